//! `mtc5g cert` as people use it: files in every form, good and bad, and what is said of them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
use mtc_core::der;
use mtc_core::id::TreeSize;
use mtc_core::tree::Subtree;
use mtc_tls::pem;
use serde_json::Value;

use test_support::command::{Ended, binary, mtc5g, within};
use test_support::issued_log::{IssuedLog, now};

/// Five entries in two batches; the certificate of entry 3 in every form.
struct Fixture {
    log: IssuedLog,
}

impl Fixture {
    fn new() -> Self {
        let mut log = IssuedLog::create();
        log.log(&["amf0", "amf1"]);
        log.log(&["amf2", "amf3", "amf4"]);
        let certificate = log.standalone("amf3", 3, true);
        log.write("amf3.der", &certificate);
        let text = pem::encode(pem::CERTIFICATE, &certificate);
        log.write("amf3.pem", text.as_bytes());
        let by_ca_alone = log.standalone("amf2", 2, false);
        log.write("ca-alone.der", &by_ca_alone);
        let landmark = log.unsigned("amf1", 1, Subtree::whole(TreeSize(4)));
        log.write("landmark.der", &landmark);
        Self { log }
    }

    fn path(&self, name: &str) -> String {
        self.log.path(name).display().to_string()
    }

    /// Runs `mtc5g cert verify`; arguments that begin with `%` are names of files in the folder.
    async fn verify(&self, arguments: &[&str]) -> Ended {
        let arguments = arguments.iter().map(|argument| {
            let (front, name) = argument.split_once('%').unwrap_or((argument, ""));
            if name.is_empty() {
                front.to_owned()
            } else {
                format!("{front}{}", self.path(name))
            }
        });
        let command = ["cert", "verify"].map(str::to_owned);
        mtc5g(command.into_iter().chain(arguments)).await
    }

    /// The line about the last file of a verification that fails.
    async fn rejected(&self, arguments: &[&str]) -> String {
        let ended = self.verify(arguments).await;
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        let last = ended.stdout.lines().last().expect("a line");
        let (_, reason) = last.split_once(": rejected: ").expect("a rejection");
        reason.to_owned()
    }

    /// What a usage error says.
    async fn refused(&self, arguments: &[&str]) -> String {
        let ended = self.verify(arguments).await;
        assert_eq!(ended.code(), Some(2), "{ended:?}");
        assert_eq!(ended.stdout, "");
        ended.error().to_owned()
    }
}

const WITNESS: &str = "32473.2=%witness.pub";

#[tokio::test]
async fn certificates_in_every_form_verify_and_have_a_line_each() {
    let fixture = Fixture::new();
    let log = &fixture.log;
    let text = std::fs::read_to_string(log.path("amf3.pem")).unwrap();
    let other = pem::encode(pem::CERTIFICATE, &log.standalone("amf0", 0, true));
    log.write("bundle.pem", format!("{text}{other}").as_bytes());
    let ended = fixture
        .verify(&[
            "--trust",
            "%trust.toml",
            "%amf3.der",
            "%amf3.pem",
            "%bundle.pem",
        ])
        .await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let ok3 = "ok (cosigned subtree [2, 4) of log 1, entry 3)";
    let ok0 = "ok (cosigned subtree [0, 1) of log 1, entry 0)";
    assert_eq!(
        ended.stdout,
        format!(
            "{}: {ok3}\n{}: {ok3}\n{}#1: {ok3}\n{}#2: {ok0}\n",
            fixture.path("amf3.der"),
            fixture.path("amf3.pem"),
            fixture.path("bundle.pem"),
            fixture.path("bundle.pem")
        )
    );
}

#[tokio::test]
async fn trust_may_be_put_together_from_a_ca_and_cosigners() {
    let fixture = Fixture::new();
    for trust in [
        &["--ca", "%ca.pem"][..],
        &["--ca", "%ca.der", "--cosigner", WITNESS],
        &["--ca", "%ca.der", "--cosigner", "32473.2=%witness.der"],
        &["--ca", "%ca.der", "--cosigner", WITNESS, "--require", "1"],
        &["--ca", "%ca.der", "--cosigner", WITNESS, "--require", "0"],
    ] {
        let ended = fixture.verify(&[trust, &["%amf3.der"]].concat()).await;
        assert_eq!(ended.code(), Some(0), "{trust:?}: {ended:?}");
    }
}

#[tokio::test]
async fn cosigners_that_did_not_sign_are_named() {
    let fixture = Fixture::new();
    let missing = "cosigner policy: 0 of the 1 required cosignatures verify; missing: 32473.2";
    for trust in [
        &["--trust", "%trust.toml"][..],
        &["--ca", "%ca.pem", "--cosigner", WITNESS],
    ] {
        assert_eq!(
            fixture
                .rejected(&[trust, &["%ca-alone.der"]].concat())
                .await,
            missing
        );
    }
    let two = [
        "--ca",
        "%ca.pem",
        "--cosigner",
        WITNESS,
        "--cosigner",
        "32473.3=%witness.pub",
    ];
    assert_eq!(
        fixture.rejected(&[&two[..], &["%amf3.der"]].concat()).await,
        "cosigner policy: 1 of the 2 required cosignatures verify; missing: 32473.3"
    );
    let one_of_two = [&two[..], &["--require", "1", "%amf3.der"]].concat();
    assert_eq!(fixture.verify(&one_of_two).await.code(), Some(0));
    let too_many = [&two[..], &["--require", "3", "%amf3.der"]].concat();
    assert!(
        fixture
            .refused(&too_many)
            .await
            .contains("--require 3: only 2 cosigners are given")
    );
}

#[tokio::test]
async fn a_certificate_of_another_ca_or_with_a_flipped_byte_is_rejected() {
    let fixture = Fixture::new();
    let other = IssuedLog::create();
    let other_ca = other.path("ca.pem").display().to_string();
    // The other CA has the same ID, so its signature is what tells.
    assert_eq!(
        fixture.rejected(&["--ca", &other_ca, "%amf3.der"]).await,
        "cosigner policy: the cosignature of 32473.1 does not verify"
    );
    let demo = renamed_ca(&fixture.log);
    assert_eq!(
        fixture.rejected(&["--ca", &demo, "%amf3.der"]).await,
        "the issuer is not 32473.7"
    );
    let mut damaged = std::fs::read(fixture.log.path("amf3.der")).unwrap();
    let name = damaged
        .windows(4)
        .position(|window| window == b"amf3")
        .expect("the name in the certificate");
    damaged[name] ^= 1;
    fixture.log.write("damaged.der", &damaged);
    assert_eq!(
        fixture.rejected(&["--ca", "%ca.pem", "%damaged.der"]).await,
        "cosigner policy: the cosignature of 32473.1 does not verify"
    );
}

/// The CA certificate of a CA with another ID.
fn renamed_ca(log: &IssuedLog) -> String {
    use mtc_core::ca::CaCertificate;
    let der = std::fs::read(log.path("ca.der")).expect("written");
    let mut ca = CaCertificate::parse(&der).expect("its own encoding");
    ca.cosigner.id = "32473.7".parse().expect("an ID");
    let path = log.write("other-ca.der", &ca.to_der(now(), now()));
    path.display().to_string()
}

#[tokio::test]
async fn validity_is_judged_at_the_given_time() {
    let fixture = Fixture::new();
    let at = |time| ["--ca", "%ca.pem", "--at", time, "%amf3.der"];
    let reason = fixture.rejected(&at("2100-01-01T00:00:00Z")).await;
    assert!(
        reason.starts_with("certificate: notAfter 20")
            && reason.contains(" s before the time of this check, 2100-01-01T00:00:00Z"),
        "{reason}"
    );
    let reason = fixture.rejected(&at("2000-01-01T00:00:00+01:00")).await;
    assert!(
        reason.starts_with("certificate: notBefore 20")
            && reason.contains(" s after the time of this check, 1999-12-31T23:00:00Z"),
        "{reason}"
    );
    let inside = now().minus(std::time::Duration::from_secs(60)).to_string();
    assert_eq!(fixture.verify(&at(&inside)).await.code(), Some(0));
    assert!(fixture.refused(&at("tomorrow")).await.contains("RFC 3339"));
}

#[tokio::test]
async fn revoked_serial_numbers_are_rejected_in_every_form() {
    let fixture = Fixture::new();
    let serial = (1_u64 << 48) + 3;
    for (range, revoked) in [
        (format!("{serial}-{serial}"), true),
        (format!("{}-{}", serial + 1, serial + 9), false),
        ("1:3".to_owned(), true),
        ("1:0-1:9".to_owned(), true),
        ("1:4-1:9".to_owned(), false),
        (format!("{serial:#x}"), true),
    ] {
        let arguments = ["--ca", "%ca.pem", "--revoke", &range, "%amf3.der"];
        if revoked {
            assert_eq!(
                fixture.rejected(&arguments).await,
                format!("serial number {serial} is revoked"),
                "{range}"
            );
        } else {
            assert_eq!(fixture.verify(&arguments).await.code(), Some(0), "{range}");
        }
    }
    let inverted = ["--ca", "%ca.pem", "--revoke", "9-5", "%amf3.der"];
    assert!(
        fixture
            .refused(&inverted)
            .await
            .contains("ends before it begins")
    );
}

#[tokio::test]
async fn a_trusted_subtree_accepts_without_signatures_and_a_wrong_hash_rejects() {
    let fixture = Fixture::new();
    let hash = mtc_core::hex::encode(&fixture.log.subtree_hash(Subtree::whole(TreeSize(4))));
    let untrusted = fixture
        .rejected(&["--ca", "%ca.pem", "%landmark.der"])
        .await;
    assert!(
        untrusted
            .starts_with("cosigner policy: no cosignature of the CA 32473.1 (landmark-relative")
            && untrusted.contains("--subtrees"),
        "{untrusted}"
    );
    let subtree = format!("1:0:4:{hash}");
    let file = format!("# the landmark\n1 0 4 {hash}\n");
    fixture.log.write("subtrees.txt", file.as_bytes());
    for trusting in [["--subtree", &subtree], ["--subtrees", "%subtrees.txt"]] {
        let arguments = [&["--ca", "%ca.pem"][..], &trusting, &["%landmark.der"]].concat();
        let ended = fixture.verify(&arguments).await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert!(
            ended
                .stdout
                .ends_with(": ok (trusted subtree [0, 4) of log 1, entry 1)\n"),
            "{}",
            ended.stdout
        );
    }
    let wrong = format!("1:0:4:{}", "00".repeat(32));
    assert_eq!(
        fixture
            .rejected(&["--ca", "%ca.pem", "--subtree", &wrong, "%landmark.der"])
            .await,
        "the proof leads to another hash than that of the trusted subtree [0, 4)"
    );
    let both = [
        "--ca",
        "%ca.pem",
        "--subtree",
        &wrong,
        "--subtree",
        &subtree,
        "%landmark.der",
    ];
    assert!(fixture.refused(&both).await.contains("another hash"));
    fixture.log.write("broken.txt", b"1 0 4\n");
    let broken = [
        "--ca",
        "%ca.pem",
        "--subtrees",
        "%broken.txt",
        "%landmark.der",
    ];
    assert!(fixture.refused(&broken).await.contains("line 1"));
}

#[tokio::test]
async fn files_that_are_no_certificates_have_their_line_and_the_others_theirs() {
    let fixture = Fixture::new();
    fixture.log.write("text.pem", b"hello");
    fixture.log.write("empty.pem", b"");
    let ended = fixture
        .verify(&[
            "--ca",
            "%ca.pem",
            "%missing.pem",
            "%text.pem",
            "%empty.pem",
            "%witness.pub",
            "%ca.pem",
            "%amf3.der",
        ])
        .await;
    assert_eq!(ended.code(), Some(1));
    let lines: Vec<&str> = ended.stdout.lines().collect();
    for (line, part) in lines.iter().zip([
        "missing.pem: unreadable: cannot be read: No such file",
        "text.pem: unreadable: neither DER nor PEM",
        "empty.pem: unreadable: the file is empty",
        "witness.pub: unreadable: PEM without a section CERTIFICATE; it has: PUBLIC KEY",
        "(this is the CA certificate of an MTCA: give it as --ca)",
        "amf3.der: ok (",
    ]) {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(lines.len(), 6, "{}", ended.stdout);
}

// `cat *.der | cert verify -` said only how many bytes follow.
#[tokio::test]
async fn several_certificates_in_der_are_told_to_be_too_many() {
    let fixture = Fixture::new();
    let one = std::fs::read(fixture.log.path("amf3.der")).unwrap();
    fixture.log.write("two.der", &[one.clone(), one].concat());
    let reason = fixture.rejected(&["--ca", "%ca.pem", "%two.der"]).await;
    assert!(
        reason.ends_with("(a DER file holds one certificate; PEM may hold several)"),
        "{reason}"
    );
}

#[tokio::test]
async fn the_json_document_counts_and_tells_each_verdict() {
    let fixture = Fixture::new();
    let ended = fixture
        .verify(&[
            "--json",
            "--trust",
            "%trust.toml",
            "%amf3.der",
            "%ca-alone.der",
            "%none.der",
        ])
        .await;
    assert_eq!(ended.code(), Some(1));
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    let counts = ["verified", "rejected", "unreadable"].map(|name| document[name].as_u64());
    assert_eq!(counts, [Some(1); 3]);
    let certificates = document["certificates"].as_array().unwrap();
    assert_eq!(certificates[0]["verdict"], "ok");
    assert_eq!(certificates[0]["basis"], "cosignatures");
    assert_eq!(
        (&certificates[0]["log"], &certificates[0]["index"]),
        (&Value::from(1), &Value::from(3))
    );
    assert_eq!(certificates[1]["verdict"], "rejected");
    assert_eq!(certificates[2]["verdict"], "unreadable");
}

#[tokio::test]
async fn trust_that_cannot_be_used_is_a_usage_error_that_says_what_to_do() {
    let fixture = Fixture::new();
    let off_by_one = format!("1:1:33:{}", "0".repeat(64));
    for (arguments, part) in [
        (&["%amf3.der"][..], "give --trust TRUST_TOML, or --ca CERT"),
        (
            &["--ca", "%ca.pem", "--trust", "%trust.toml", "%amf3.der"],
            "cannot be used with",
        ),
        (
            &["--ca", "%amf3.der", "%amf3.der"],
            "not the certificate of a Merkle Tree CA",
        ),
        (&["--ca", "%none.pem", "%amf3.der"], "No such file"),
        // It said: Is a directory (os error 21).
        (&["--ca", "%.", "%amf3.der"], "/ca.pem\n"),
        (
            &["--ca", "%ca.pem", "--cosigner", "32473.2=%.", "%amf3.der"],
            "it is a folder; name the file in it, such as ",
        ),
        (&["--trust", "%ca.pem", "%amf3.der"], "not a trust file"),
        (
            &[
                "--ca",
                "%ca.pem",
                "--cosigner",
                "32473.2=%ca.pem",
                "%amf3.der",
            ],
            "PEM without a section PUBLIC KEY; it has: CERTIFICATE",
        ),
        (
            &["--ca", "%ca.pem", "--cosigner", "32473.2", "%amf3.der"],
            "ID=SPKI_FILE, such as",
        ),
        (
            &[
                "--ca",
                "%ca.pem",
                "--cosigner",
                "32473.1=%witness.pub",
                "%amf3.der",
            ],
            "never counts towards a group",
        ),
        (&["--cosigner", WITNESS, "%amf3.der"], "--ca"),
        (
            &["--ca", "%ca.pem", "--subtree", "1:0:4", "%amf3.der"],
            "LOG:START:END:HEXHASH",
        ),
        // It said only that this is no subtree of a log.
        (
            &["--ca", "%ca.pem", "--subtree", &off_by_one, "%amf3.der"],
            "[1, 33) is not a valid subtree: START must be a multiple",
        ),
        (&["--ca", "%ca.pem"], "<FILE>"),
    ] {
        let error = fixture.refused(arguments).await;
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
}

#[tokio::test]
async fn standard_input_is_a_file_too() {
    let fixture = Fixture::new();
    let certificate = std::fs::read(fixture.log.path("amf3.pem")).unwrap();
    let ca = fixture.path("ca.pem");
    let run = tokio::task::spawn_blocking(move || {
        let mut process = Command::new(binary())
            .args(["cert", "verify", "--ca", &ca, "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the built command starts");
        let mut input = process.stdin.take().expect("stdin is piped");
        input.write_all(&certificate).expect("the command reads");
        drop(input);
        process.wait_with_output().expect("it ends")
    });
    let output = within(run).await.unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "-: ok (cosigned subtree [2, 4) of log 1, entry 3)\n"
    );
}

async fn inspect(paths: &[&Path]) -> Ended {
    let command = ["cert", "inspect"].map(AsRef::as_ref);
    mtc5g(
        command
            .into_iter()
            .chain(paths.iter().map(|path| path.as_os_str())),
    )
    .await
}

async fn inspect_json(path: &Path) -> Value {
    let command: [&std::ffi::OsStr; 3] = ["cert".as_ref(), "inspect".as_ref(), "--json".as_ref()];
    let ended = mtc5g(command.into_iter().chain([path.as_os_str()])).await;
    let mut document: Value = serde_json::from_str(&ended.stdout).expect("one JSON document");
    document["certificates"][0].take()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

#[tokio::test]
async fn inspect_tells_every_part_of_a_standalone_certificate() {
    let fixture = Fixture::new();
    let certificate = inspect_json(&fixture.log.path("amf3.pem")).await;
    assert_eq!(certificate["kind"], "standalone");
    assert_eq!(certificate["issuer"], "32473.1");
    assert_eq!(certificate["serial"], "281474976710659");
    assert_eq!(
        certificate["subject"],
        "C=XX, O=5gc.mnc001.mcc001.3gppnetwork.org"
    );
    assert_eq!(
        certificate["alternative_names"],
        serde_json::json!([
            { "type": "dns", "value": "amf3.5gc.mnc001.mcc001.3gppnetwork.org" },
            { "type": "uri", "value": "urn:uuid:00000000-0000-0000-0000-000000000007" }
        ])
    );
    assert_eq!(certificate["nf_types"], serde_json::json!(["AMF"]));
    assert_eq!(certificate["key_algorithm"], "ecdsa-p256");
    assert_eq!(
        certificate["key_usage"],
        serde_json::json!(["digitalSignature"])
    );
    assert_eq!(
        certificate["extended_key_usage"],
        serde_json::json!(["clientAuth", "serverAuth"])
    );
    let mtc = &certificate["mtc"];
    assert_eq!(
        [
            &mtc["log"],
            &mtc["index"],
            &mtc["start"],
            &mtc["end"],
            &mtc["proof_hashes"]
        ]
        .map(number),
        [1, 3, 2, 4, 1]
    );
    assert_eq!(
        mtc["cosigners"],
        serde_json::json!([
            { "id": "32473.1", "signature_bytes": 2420 },
            { "id": "32473.2", "signature_bytes": 2420 }
        ])
    );
}

/// Fails unless the parts of a certificate add up to its length.
fn check_sizes(certificate: &Value, whole: usize) {
    let sizes = &certificate["sizes"];
    let cosignatures = sizes["cosignatures"].as_array().expect("a list");
    let parts = [
        "tbs",
        "proof_hashes",
        "entry_extensions",
        "signature",
        "overhead",
    ]
    .map(|part| number(&sizes[part]));
    let cosignatures = cosignatures.iter().map(|one| number(&one["bytes"]));
    assert_eq!(
        parts.into_iter().chain(cosignatures).sum::<u64>(),
        whole as u64
    );
    assert_eq!(number(&sizes["whole"]), whole as u64);
    assert_eq!(
        number(&sizes["spki"]) + number(&sizes["tbs_other"]),
        number(&sizes["tbs"])
    );
}

#[tokio::test]
async fn the_sizes_of_every_kind_of_certificate_add_up() {
    let fixture = Fixture::new();
    let signed = fixture.log.write("x509.der", &directly_signed());
    for (path, kind) in [
        (fixture.log.path("amf3.der"), "standalone"),
        (fixture.log.path("landmark.der"), "landmark-relative"),
        (fixture.log.path("ca.der"), "mtca"),
        (signed, "directly-signed"),
    ] {
        let certificate = inspect_json(&path).await;
        assert_eq!(certificate["kind"], kind);
        check_sizes(&certificate, std::fs::read(&path).unwrap().len());
    }
}

/// A certificate of today's kind: a CN, a serial number of 20 bytes, signed with Ed25519.
fn directly_signed() -> Vec<u8> {
    let key = SecretKey::generate(SignatureAlgorithm::Ed25519).expect("randomness");
    let algorithm = SignatureAlgorithm::Ed25519.signature_algorithm_identifier();
    let attribute = der::element(
        der::SEQUENCE,
        &[
            &der::element(der::OID, &[&[0x55, 4, 3]]),
            &der::element(der::UTF8_STRING, &[b"Example Root"]),
        ],
    );
    let name = der::element(der::SEQUENCE, &[&der::element(der::SET, &[&attribute])]);
    let tbs = der::element(
        der::SEQUENCE,
        &[
            &[0xa0, 3, 2, 1, 2],
            &der::element(der::INTEGER, &[&[0x7f; 20]]),
            &algorithm,
            &name,
            &der::element(der::SEQUENCE, &[&now().to_der(), &now().to_der()]),
            &name,
            &key.public_key().expect("a key").to_spki(),
        ],
    );
    let signature = key.sign(&tbs).expect("a key that signs");
    der::element(
        der::SEQUENCE,
        &[&tbs, &algorithm, &der::bit_string(&signature)],
    )
}

#[tokio::test]
async fn inspect_says_what_can_be_said_of_other_certificates() {
    let fixture = Fixture::new();
    let path = fixture.log.write("x509.der", &directly_signed());
    let signed = inspect_json(&path).await;
    assert_eq!(signed["issuer"], "CN=Example Root");
    assert_eq!(signed["serial"], Value::Null);
    assert_eq!(signed["serial_hex"], "7f".repeat(20));
    assert_eq!(signed["signature_algorithm"], "ed25519");
    assert_eq!(number(&signed["sizes"]["signature"]), 64);
    assert_eq!(signed["mtc"], Value::Null);

    let ca = inspect_json(&fixture.log.path("ca.pem")).await;
    assert_eq!(
        ca["ca"],
        serde_json::json!({
            "id": "32473.1",
            "cosigner_algorithm": "ml-dsa-44",
            "min_serial": "281474976710656",
            "max_serial": "18446744073709551615",
            "prefix_url": "http://nrf.test:8080"
        })
    );
}

#[tokio::test]
async fn inspect_for_people_has_a_block_a_certificate_and_tells_faults() {
    let fixture = Fixture::new();
    let (good, damaged) = (
        fixture.log.path("amf3.der"),
        fixture.log.path("damaged.der"),
    );
    let ended = inspect(&[&good]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for line in [
        "  kind              standalone Merkle Tree Certificate",
        "  serial            281474976710659 (0x01000000000003): log 1, entry 3",
        "  subtree           [2, 4), inclusion proof of 1 hash",
        "  cosigners         32473.1, 2420 bytes",
        "                    32473.2, 2420 bytes",
        "  NF types          AMF",
    ] {
        assert!(
            ended.stdout.lines().any(|found| found == line),
            "{line}: {}",
            ended.stdout
        );
    }
    // The last byte belongs to the witness's signature; the length before it does not fit any more.
    let mut bytes = std::fs::read(&good).unwrap();
    let at = bytes.len() - 2420 - 2;
    bytes[at] ^= 2;
    std::fs::write(&damaged, bytes).unwrap();
    let missing = fixture.log.path("missing.der");
    let ended = inspect(&[&damaged, &missing, &good]).await;
    assert_eq!(ended.code(), Some(1));
    for part in [
        "whose proof cannot be read",
        "FAULT             malformed MTCProof: structure is cut short",
        "missing.der: unreadable: cannot be read: No such file",
        "standalone Merkle Tree Certificate",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
}

/// Runs `mtc5g cert export`.
async fn export(arguments: &[&str], file: &Path) -> Ended {
    let command = ["cert", "export"]
        .into_iter()
        .chain(arguments.iter().copied());
    let file = file.display().to_string();
    mtc5g(command.map(str::to_owned).chain([file])).await
}

#[tokio::test]
async fn export_writes_the_properties_that_a_certificate_has_and_inspect_shows_them() {
    let fixture = Fixture::new();
    let exported = |ended: Ended, name: &str| {
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert!(
            ended
                .stdout
                .starts_with("-----BEGIN CERTIFICATE PROPERTIES-----\n"),
            "{ended:?}"
        );
        fixture.log.write(name, ended.stdout.as_bytes())
    };
    let standalone = export(&[], &fixture.log.path("amf3.der")).await;
    let standalone = exported(standalone, "standalone.pem");
    let shown = inspect_json(&standalone).await;
    assert_eq!(
        shown["properties"],
        serde_json::json!({
            "trust_anchor": "32473.1",
            "groups": ["32473.1.2.{0-}.{0-}"],
            "negotiation": false,
            "unknown": []
        })
    );
    assert_eq!(shown["faults"], serde_json::json!([]));

    let relative = export(&["--landmark", "7"], &fixture.log.path("landmark.der")).await;
    let relative = exported(relative, "relative.pem");
    let ended = inspect(&[&relative]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for line in [
        "  trust anchor      32473.1.1.1.7",
        "  in groups         32473.1.2.1.{7-}",
        "  negotiation       for those alone who name the trust anchor or a group",
    ] {
        let found = ended.stdout.lines().any(|found| found == line);
        assert!(found, "{line}: {}", ended.stdout);
    }

    // What is there already is kept, and verification passes over it.
    let again = export(&["--only-if-named"], &standalone).await;
    let again = inspect_json(&exported(again, "again.pem")).await;
    assert_eq!(again["properties"]["negotiation"], true);
    let verified = fixture
        .verify(&["--trust", "%trust.toml", "%standalone.pem"])
        .await;
    assert_eq!(verified.code(), Some(0), "{verified:?}");

    let signed = fixture.log.write("x509.der", &directly_signed());
    let of_root = export(&["--trust-anchor", "32473.9"], &signed).await;
    let of_root = inspect_json(&exported(of_root, "x509.pem")).await;
    assert_eq!(of_root["properties"]["trust_anchor"], "32473.9");
}

#[tokio::test]
async fn export_refuses_properties_that_are_not_known_or_not_the_certificate_s() {
    let fixture = Fixture::new();
    let (standalone, relative) = (
        fixture.log.path("amf3.der"),
        fixture.log.path("landmark.der"),
    );
    let signed = fixture.log.write("x509.der", &directly_signed());
    let of_landmark = export(&["--landmark", "7"], &relative).await.stdout;
    let certificate = std::fs::read_to_string(fixture.log.path("amf3.pem")).unwrap();
    let (properties, _) = of_landmark
        .split_once("-----BEGIN CERTIFICATE-----")
        .unwrap();
    let others = fixture.log.write(
        "others.pem",
        format!("{properties}{certificate}").as_bytes(),
    );
    let old = pem::encode(pem::CERTIFICATE_PROPERTIES, &[0, 4, 0, 1, 0, 0]);
    let old = fixture
        .log
        .write("old.pem", format!("{old}{certificate}").as_bytes());
    let two = fixture
        .log
        .write("two.pem", format!("{of_landmark}{of_landmark}").as_bytes());
    for (arguments, file, error) in [
        (&[][..], &relative, "does not say of which landmark it is"),
        (&["--landmark", "1"], &standalone, "has no landmark"),
        (&[], &signed, "(--trust-anchor)"),
        (
            &["--trust-anchor", "32473.2"],
            &standalone,
            "trust anchor 32473.2, and not 32473.1",
        ),
        (&[], &others, "trust anchor 32473.1.1.1.7, and not 32473.1"),
        (&[], &old, "malformed list of certificate properties"),
        (&[], &two, "another chain begins at certificate 2"),
        (&[], &fixture.log.path("missing.pem"), "cannot be read"),
    ] {
        let ended = export(arguments, file).await;
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        assert!(ended.error().contains(error), "{error}: {ended:?}");
    }
    // Who only looks is told, and sees the certificate all the same.
    for file in [&others, &old] {
        let ended = inspect(&[file]).await;
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        for part in [
            "standalone Merkle Tree Certificate",
            "FAULT             properties: ",
        ] {
            assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
        }
    }
    let verified = fixture
        .verify(&["--trust", "%trust.toml", "%others.pem", "%old.pem"])
        .await;
    assert_eq!(verified.code(), Some(0), "{verified:?}");
}
