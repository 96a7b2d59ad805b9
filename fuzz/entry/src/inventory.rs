//! Files of the certificate inventory: whatever is in them, they are read to the end, in every form that an inventory has.
//!
//! The first octet chooses a name, because the form of a text follows from it; key stores, DER and PEM are told by their octets.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inventory::{Auditor, Condition, Inventory, Passwords, cbom, csv, text};
use mtc_core::der;
use mtc_core::time::UnixTime;
use mtc_tls::pem;
use mtc_tools::certificate_file::{self, Filed};

use crate::{Verdict, certificate};

const NAMES: [&str; 4] = ["a.pem", "a.yaml", "a.json", "a.toml"];
/// When the inventory is made.
const NOW: UnixTime = UnixTime(1_800_000_000);
/// Things in one file: `MAX_ITEMS` of the inventory, and the note that there are more.
const MAX_ITEMS: usize = 100_001;

/// Makes the inventory of one file.
///
/// # Panics
/// An invariant does not hold.
pub fn inventory(data: &[u8]) -> Verdict {
    let Some((choice, bytes)) = data.split_first() else {
        return Verdict::Refused;
    };
    let name = NAMES[usize::from(*choice) % NAMES.len()];
    let inventory = inventory_of(name, bytes);
    let summary = &inventory.summary;
    assert!(inventory.certificates.len() + inventory.private_keys.len() <= MAX_ITEMS);
    assert_eq!(summary.certificates, summary.leaves + summary.authorities);
    assert_eq!(summary.certificates, inventory.certificates.len());
    // Every form can be written, and none has a control character of others in it.
    let table = text(&inventory);
    assert!(!table.contains(['\u{1b}', '\u{202e}', '\r']));
    let lines = csv(&inventory);
    assert!(!lines.contains(['\u{1b}', '\u{202e}']));
    let bill = cbom(&inventory, "id", "0");
    let components = bill["components"]
        .as_array()
        .map(Vec::len)
        .unwrap_or_default();
    assert!(components >= inventory.certificates.len());
    assert_eq!(
        Condition::QuantumVulnerable.found(&inventory).len(),
        summary.quantum_vulnerable
    );
    let is_store = [[0xfe, 0xed, 0xfe, 0xed], [0xce; 4]]
        .iter()
        .any(|magic| bytes.starts_with(magic));
    if name == "a.pem" && !is_store {
        agrees(bytes, &inventory);
    }
    Verdict::of(
        summary.certificates + summary.private_keys + summary.revocation_lists > 0
            || !inventory.requests.is_empty(),
    )
}

fn inventory_of(name: &str, bytes: &[u8]) -> Inventory {
    // Files that are named are not to be looked for on this machine.
    let nowhere = PathBuf::from("/nonexistent");
    let mut auditor = Auditor::new(Passwords::new([]), Some(nowhere));
    auditor
        .stream(name, bytes)
        .expect("it is short and in memory");
    auditor.finish(NOW)
}

/// What the reader of certificate files takes for certificates, the inventory has.
fn agrees(bytes: &[u8], inventory: &Inventory) {
    let Ok(filed) = certificate_file::certificates(bytes) else {
        return;
    };
    let mut ders: Vec<_> = filed.into_iter().map(|Filed { der, .. }| der).collect();
    ders.retain(|der| mtc_core::x509::Certificate::parse(der).is_ok());
    ders.sort_unstable();
    ders.dedup();
    assert!(inventory.certificates.len() >= ders.len());
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let ders = certificate::seeds();
    let first = &ders[0];
    let bundle: String = ders
        .iter()
        .map(|der| pem::encode(pem::CERTIFICATE, der))
        .collect();
    let encoded = STANDARD.encode(&bundle);
    let indented = bundle.replace('\n', "\n    ");
    let with = |choice: u8, bytes: &[u8]| [&[choice], bytes].concat();
    vec![
        with(0, first),
        with(0, bundle.as_bytes()),
        with(0, &java_store(&ders)),
        with(0, &key_store(&ders)),
        with(1, format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ntype: kubernetes.io/tls\ndata:\n  tls.crt: {encoded}\n").as_bytes()),
        with(1, format!("apiVersion: v1\nkind: ConfigMap\ndata:\n  ca.crt: |\n    {indented}\n").as_bytes()),
        with(
            2,
            format!("{{\"apiVersion\":\"v1\",\"kind\":\"Config\",\"users\":[{{\"name\":\"a\",\"user\":{{\"client-certificate-data\":\"{encoded}\"}}}}]}}")
                .as_bytes(),
        ),
        with(3, format!("cert = \"tls/a.pem\"\npem = '''{bundle}'''\n").as_bytes()),
    ]
}

/// A JKS store with these certificates, each trusted; its digest is that of no password.
fn java_store(ders: &[Vec<u8>]) -> Vec<u8> {
    let number = |length: usize| {
        u32::try_from(length)
            .expect("seeds are short")
            .to_be_bytes()
    };
    let mut store = [
        &[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2][..],
        &number(ders.len()),
    ]
    .concat();
    for der in ders {
        store.extend(
            [
                &[0, 0, 0, 2, 0, 1, b'a'][..],
                &[0; 8],
                &[0, 5],
                b"X.509",
                &number(der.len()),
                der,
            ]
            .concat(),
        );
    }
    store.extend([0; 20]);
    store
}

/// A PKCS#12 store with these certificates, not encrypted and without a MAC.
fn key_store(ders: &[Vec<u8>]) -> Vec<u8> {
    let sequence = |parts: &[&[u8]]| der::element(der::SEQUENCE, parts);
    let octets = |contents: &[u8]| der::element(der::OCTET_STRING, &[contents]);
    let explicit = |contents: &[u8]| der::element(der::context(0), &[contents]);
    let oid = |contents: &[u8]| der::element(der::OID, &[contents]);
    let data = oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1]);
    let bag = |der: &Vec<u8>| {
        let kind = oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 22, 1]);
        let certificate = sequence(&[&kind, &explicit(&octets(der))]);
        let kind = oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 3]);
        sequence(&[&kind, &explicit(&certificate)])
    };
    let bags: Vec<u8> = ders.iter().flat_map(bag).collect();
    let contents = sequence(&[&sequence(&[&data, &explicit(&octets(&sequence(&[&bags])))])]);
    sequence(&[
        &der::unsigned_integer(3),
        &sequence(&[&data, &explicit(&octets(&contents))]),
    ])
}
