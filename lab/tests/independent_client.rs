//! A client that shares no code with the lab's, OpenSSL, connects to a network function of a running lab.
//!
//! What it says of its handshakes must be what the network function says of them, to the byte; and what the network function
//! sends it must be what it sends the lab's own client.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use experiment::scenario::Nf;
use experiment::scenario::{LoadPlan, OperationKind};
use lab::topology::Plan;
use mtc_tls::key::KeyAlgorithm;
use mtc_tls::record::MessageBytes;
use sbi::ledger::HandshakeTotals;
use serde::Deserialize;
use tokio::process::Command;

use test_support::command::within;
use test_support::test_lab::{TestFolder, TestLab, small};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/independent_client.py");
/// Exit status of the script where there is no OpenSSL 3.
const NO_OPENSSL: i32 = 3;
const HANDSHAKES: u64 = 5;

/// X.509 profile and leaf key: what OpenSSL 3.0 knows.
const CREDENTIALS: [(&str, KeyAlgorithm); 2] = [
    ("ed25519-direct", KeyAlgorithm::Ed25519),
    ("ecdsa-p256-intermediate", KeyAlgorithm::EcdsaP256),
];

/// What the script prints.
#[derive(Debug, Deserialize)]
struct OpenSsl {
    handshakes: u64,
    bytes_read: u64,
    bytes_written: u64,
    messages_read: BTreeMap<u8, u64>,
    messages_written: BTreeMap<u8, u64>,
    handshake_ms: BTreeMap<String, f64>,
}

#[tokio::test]
async fn openssl_and_the_lab_say_the_same_of_their_handshakes() {
    let x509 = CREDENTIALS.map(|(profile, key)| (profile.parse().expect("a profile"), key));
    let plan = Plan {
        x509: x509.to_vec(),
        ..small()
    };
    let mut lab = TestLab::start(TestFolder::new(&plan)).await;
    for (profile, leaf_key) in CREDENTIALS {
        let connection = format!("x509-{profile}/{leaf_key}/X25519");
        let before = nrf_served(&mut lab, &connection).await;

        let discover = LoadPlan::steady(OperationKind::Discover, 10.0, Duration::from_secs(1));
        lab.start_load_of(discover, vec![connection.clone()]).await;
        let result = lab.load_result().await;
        assert_eq!(result.variants[0].errors, [].into());
        let with_own_client = nrf_served(&mut lab, &connection).await;
        let own = with_own_client.since(&before);
        assert!(own.handshakes > 0, "the lab's client has connected");

        let Some(openssl) = openssl(&lab, profile, leaf_key).await else {
            return;
        };
        let mut after = nrf_served(&mut lab, &connection).await;
        // The server completes a handshake after the client has.
        while after.handshakes < with_own_client.handshakes + HANDSHAKES {
            after = within(nrf_served(&mut lab, &connection)).await;
        }
        let served = after.since(&with_own_client);
        compare(&openssl, &served);
        compare_with_own_client(leaf_key, &served, &own);
    }
    lab.topology.stop().await;
}

/// OpenSSL's figures and the server's, of the same handshakes.
fn compare(openssl: &OpenSsl, served: &HandshakeTotals) {
    let wire = &served.detail.wire;
    assert_eq!(openssl.handshakes, HANDSHAKES);
    assert_eq!(
        (served.handshakes, wire.attributed),
        (HANDSHAKES, HANDSHAKES)
    );
    assert_eq!(openssl.bytes_read, served.bytes_sent);
    // The alert with which OpenSSL closes may be in the same read as its Finished.
    let received = served.bytes_received - wire.received_beyond;
    assert_eq!(openssl.bytes_written, received);
    assert_eq!(openssl.messages_read, by_type(&wire.sent));
    assert_eq!(openssl.messages_written, by_type(&wire.received));
    assert!(openssl.handshake_ms["p50"] > 0.0);
}

/// A server sends both clients the same; what a client sends of the NF's credential does not depend on who it is.
fn compare_with_own_client(
    leaf_key: KeyAlgorithm,
    served: &HandshakeTotals,
    own: &HandshakeTotals,
) {
    let each = |totals: &HandshakeTotals| {
        let (wire, count) = (&totals.detail.wire, totals.handshakes);
        let [sent, received] = [wire.sent, wire.received].map(|messages| {
            let lengths = by_type(&messages).into_iter();
            lengths.map(|(kind, length)| (kind, length as f64 / count as f64))
        });
        // Another client says hello in other words; a signature of ECDSA is some bytes longer or shorter each time.
        let varies = |kind: u8| kind == 1 || (kind == 15 && leaf_key == KeyAlgorithm::EcdsaP256);
        let both = sent
            .map(|part| ("sent", part))
            .chain(received.map(|part| ("received", part)));
        both.filter(|(_, (kind, _))| !varies(*kind))
            .collect::<Vec<_>>()
    };
    assert_eq!(each(served), each(own));
    if leaf_key == KeyAlgorithm::Ed25519 {
        assert_eq!(served.mean(served.bytes_sent), own.mean(own.bytes_sent));
    }
}

/// Lengths by HandshakeType (RFC 8446 Section 4), of messages that were sent.
fn by_type(messages: &MessageBytes) -> BTreeMap<u8, u64> {
    let lengths = [
        (1, messages.client_hello),
        (2, messages.server_hello + messages.hello_retry_request),
        (8, messages.encrypted_extensions),
        (11, messages.certificate),
        (13, messages.certificate_request),
        (15, messages.certificate_verify),
        (20, messages.finished),
    ];
    lengths
        .into_iter()
        .filter(|(_, length)| *length > 0)
        .collect()
}

/// What the NRF says of the connections of a profile that it accepted.
async fn nrf_served(lab: &mut TestLab, connection: &str) -> HandshakeTotals {
    let measured = lab.topology.measurements(Nf::Nrf).await;
    let mut measured = measured.expect("the NRF answers");
    let totals = measured.profiles.remove(connection);
    totals.unwrap_or_default().server
}

/// Lets OpenSSL connect to the NRF as the AMF. None, with a plain word about it, where it cannot be called.
async fn openssl(lab: &TestLab, profile: &str, leaf_key: KeyAlgorithm) -> Option<OpenSsl> {
    let folder = lab.folder.path();
    let (addr, name) = nrf(lab);
    let output = Command::new("python3")
        .arg(SCRIPT)
        .arg("--state")
        .arg(credentials_of_the_amf(lab))
        .args(["--profile", &format!("x509-{profile}")])
        .args(["--leaf-key", leaf_key.as_str()])
        .arg("--root")
        .arg(folder.join("x509").join(profile).join("root.crt"))
        .args(["--server", &addr.to_string(), "--name", &name])
        .args(["--handshakes", &HANDSHAKES.to_string()])
        .output();
    let output = match within(output).await {
        Ok(output) if output.status.code() == Some(NO_OPENSSL) => {
            println!("SKIPPED, nothing is shown: {output:?}");
            return None;
        }
        Ok(output) => output,
        Err(error) => {
            println!("SKIPPED, nothing is shown: python3: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{output:?}");
    Some(serde_json::from_slice(&output.stdout).expect("the script prints its figures"))
}

fn credentials_of_the_amf(lab: &TestLab) -> PathBuf {
    let files = std::fs::read_dir(lab.folder.path().join("state/amf"));
    let mut files = files.expect("the AMF has its folder").map(|file| {
        let file = file.expect("a readable folder");
        file.path()
    });
    files
        .find(|file| file.extension().is_some_and(|ending| ending == "json"))
        .expect("the AMF has stored its credentials")
}

/// Address and name of the NRF's SBI, as the AMF's configuration has it.
fn nrf(lab: &TestLab) -> (SocketAddr, String) {
    let text = std::fs::read_to_string(lab.folder.lab.config_file("amf"));
    let config: toml::Table = text.expect("a configuration").parse().expect("TOML");
    let nrf = &config["nf"]["nrf"];
    let value = |key: &str| nrf[key].as_str().expect("a text").to_owned();
    (value("sbi").parse().expect("an address"), value("fqdn"))
}
