//! Key stores of openssl and keytool, whole, cut short anywhere, and with any octet damaged: what can be read is, and what cannot is said.

use std::fs;
use std::path::Path;
use std::process::Command;

use inventory::{Auditor, Inventory, Passwords};
use mtc_core::time::UnixTime;
use zeroize::Zeroizing;

const PASSWORD: &str = "pass:changeit";
/// When inventories are made: before what openssl makes expires.
const NOW: UnixTime = UnixTime(1_800_000_000);

/// Runs a tool in a folder.
fn run(folder: &Path, tool: &str, arguments: &[&str]) {
    let ended = Command::new(tool)
        .args(arguments)
        .current_dir(folder)
        .output();
    let ended = ended.unwrap_or_else(|error| panic!("{tool}: {error}"));
    assert!(ended.status.success(), "{tool} {arguments:?}: {ended:?}");
}

/// A folder with `a.key` and `a.crt`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "a.key",
    ];
    let request = [
        "req", "-x509", "-subj", "/CN=a", "-days", "3650", "-out", "a.crt",
    ];
    run(folder.path(), "openssl", &[&request[..], &key].concat());
    folder
}

/// A PKCS#12 store that openssl encrypts in this way; one iteration, so that many can be read.
fn pkcs12(folder: &Path, more: &[&str]) -> Vec<u8> {
    let store = [
        "pkcs12", "-export", "-in", "a.crt", "-inkey", "a.key", "-out", "a.p12", "-iter", "1",
    ];
    run(
        folder,
        "openssl",
        &[&store[..], &["-passout", PASSWORD], more].concat(),
    );
    fs::read(folder.join("a.p12")).expect("a store")
}

fn inventory_of(name: &str, bytes: &[u8], passwords: &[&str]) -> Inventory {
    let given = passwords
        .iter()
        .map(|password| Zeroizing::new((*password).to_owned()));
    let mut auditor = Auditor::new(Passwords::new(given), None);
    auditor.stream(name, bytes).expect("it is in memory");
    auditor.finish(NOW)
}

#[test]
fn every_encryption_of_openssl_is_read() {
    let folder = folder();
    for more in [
        &[][..],
        &["-certpbe", "AES-128-CBC"],
        &["-certpbe", "AES-192-CBC"],
        &["-certpbe", "DES-EDE3-CBC"],
        &["-certpbe", "AES-256-CBC", "-macalg", "sha384"],
        &["-certpbe", "NONE"],
        &["-legacy"],
        &["-legacy", "-certpbe", "PBE-SHA1-3DES"],
        &["-legacy", "-certpbe", "PBE-SHA1-2DES"],
        &["-legacy", "-certpbe", "PBE-SHA1-RC2-128"],
        &["-legacy", "-certpbe", "PBE-SHA1-RC2-40"],
        &["-nomac"],
    ] {
        let inventory = inventory_of("a.p12", &pkcs12(folder.path(), more), &[]);
        assert_eq!(
            inventory.summary.certificates, 1,
            "{more:?}: {:?}",
            inventory.problems
        );
        assert_eq!(inventory.certificates[0].subject, "CN=a");
        assert_eq!(inventory.summary.private_keys, 1, "{more:?}");
        let algorithm = inventory.private_keys[0]
            .algorithm
            .as_ref()
            .map(|algorithm| algorithm.name.as_str());
        assert_eq!(
            algorithm,
            Some("ecdsa-p256"),
            "that of the certificate with the key's ID"
        );
        assert_eq!(inventory.problems, []);
    }
    let unknown = inventory_of(
        "a.p12",
        &pkcs12(folder.path(), &["-legacy", "-certpbe", "PBE-SHA1-RC4-128"]),
        &[],
    );
    assert_eq!(
        unknown.problems[0].reason,
        "the PKCS#12 store is encrypted with 1.2.840.113549.1.12.1.1, which is not known here"
    );
}

#[test]
fn a_password_in_another_script_opens_its_store() {
    let folder = folder();
    for more in [
        &["-passout", "pass:žluťoučký kůň"][..],
        &["-passout", "pass:žluťoučký kůň", "-legacy"],
    ] {
        let store = pkcs12(folder.path(), more);
        assert_eq!(
            inventory_of("a.p12", &store, &["wrong", "žluťoučký kůň"])
                .summary
                .certificates,
            1
        );
        assert_eq!(inventory_of("a.p12", &store, &[]).summary.certificates, 0);
    }
}

#[test]
fn damaged_stores_are_read_to_their_end_and_told() {
    let folder = folder();
    let java = [
        "-genkeypair",
        "-keystore",
        "a.jks",
        "-storetype",
        "JKS",
        "-storepass",
        "changeit",
        "-keypass",
        "changeit",
        "-alias",
        "a",
        "-keyalg",
        "EC",
        "-groupname",
        "secp256r1",
        "-dname",
        "CN=a",
    ];
    run(folder.path(), "keytool", &java);
    let java = fs::read(folder.path().join("a.jks")).expect("a store");
    let stores = [
        ("a.jks", java),
        ("a.p12", pkcs12(folder.path(), &[])),
        ("a.p12", pkcs12(folder.path(), &["-legacy"])),
    ];
    for (name, store) in stores {
        let whole = inventory_of(name, &store, &[]);
        assert_eq!(
            (whole.summary.certificates, whole.problems.len()),
            (1, 0),
            "{name}"
        );
        let digest = if name == "a.jks" { 20 } else { 0 };
        for length in 0..store.len() - digest {
            let cut = inventory_of(name, &store[..length], &[]);
            assert!(cut.summary.certificates <= 1);
            assert!(
                !cut.problems.is_empty(),
                "{name}, {length} of {} octets",
                store.len()
            );
        }
        for place in 0..store.len() {
            let mut damaged = store.clone();
            damaged[place] ^= 0x41;
            let inventory = inventory_of(name, &damaged, &[]);
            assert!(
                inventory.summary.certificates <= 1 && inventory.summary.private_keys <= 1,
                "{name}, octet {place}"
            );
        }
    }
}

#[test]
fn key_derivation_without_end_is_refused() {
    let folder = folder();
    let store = pkcs12(folder.path(), &["-iter", "1000001"]);
    let inventory = inventory_of("a.p12", &store, &[]);
    assert_eq!(
        inventory.problems[0].reason,
        "the PKCS#12 store derives its key with more than 1000000 iterations"
    );
}
