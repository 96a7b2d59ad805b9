//! What handshakes are said to have cost in bytes, against a packet capture of them: to the byte, in each direction, by message.

use std::collections::BTreeMap;
use std::sync::Arc;

use mtc_core::id::LandmarkNumber;
use mtc_tls::key::{Intermediates, KeyAlgorithm, X509Profile, X509Revocation};
use mtc_tls::profile::{ConnectionProfile, TrustDomain};
use mtc_tls::provider::KeyExchange;
use mtc_tls::record::{DirectionBytes, MessageBytes};
use rustls::crypto::aws_lc_rs::kx_group;

use crate::lab::{DIRECT, INTERMEDIATE, Lab, NEWEST_LANDMARK, profile};
use crate::raw::Claims;
use crate::server::Server;
use crate::tshark::{Capture, Keys, Ports};

use KeyAlgorithm::{EcdsaP256, EcdsaP384, Ed25519, MlDsa44, MlDsa65, MlDsa87};
use TrustDomain::{MtcLandmark, MtcStandalone, MtcStandaloneCa, X509};

const NEWEST: Option<LandmarkNumber> = Some(NEWEST_LANDMARK);

/// A chain that takes more than one record.
const LONGEST: X509Profile = X509Profile {
    ca_signature: MlDsa87,
    intermediates: Intermediates::Two,
    revocation: X509Revocation::None,
};

/// The most that a record holds.
const MAX_CONTENT: u64 = 1 << 14;

/// What is compared: each kind of certificate, each length of chain, each leaf key, each group.
const VARIANTS: [(TrustDomain, KeyAlgorithm, KeyExchange); 9] = [
    (MtcLandmark, MlDsa65, KeyExchange::X25519MlKem768),
    (MtcLandmark, EcdsaP256, KeyExchange::X25519),
    (MtcStandalone, MlDsa44, KeyExchange::X25519MlKem768),
    (MtcStandaloneCa, Ed25519, KeyExchange::SecP256r1),
    (X509(DIRECT), EcdsaP256, KeyExchange::X25519),
    (X509(DIRECT), EcdsaP384, KeyExchange::SecP256r1),
    (X509(INTERMEDIATE), MlDsa65, KeyExchange::X25519MlKem768),
    (X509(INTERMEDIATE), Ed25519, KeyExchange::SecP256r1MlKem768),
    (X509(LONGEST), MlDsa87, KeyExchange::X25519MlKem768),
];

#[tokio::test]
async fn bytes_agree_with_a_packet_capture() {
    let lab = Lab::with(
        "32473.1",
        &KeyAlgorithm::ALL,
        &[DIRECT, INTERMEDIATE, LONGEST],
    );
    let keys = Arc::new(Keys::default());
    let server = Server::start(lab.smf_endpoint(NEWEST).with_key_log(keys.clone())).await;
    let client = lab.amf_endpoint(NEWEST);
    let port = server.addr().port();
    let Some(capture) = Capture::start(port) else {
        return;
    };
    let mut accounts = BTreeMap::new();
    for (domain, leaf_key, key_exchange) in VARIANTS {
        let profile = ConnectionProfile {
            leaf_key,
            key_exchange,
            ..profile(domain)
        };
        let (connected, accepted) = server.meet(&client, profile, lab.smf.expected()).await;
        let ports = client_ports(connected.stream.get_ref().0.get_ref(), port);
        let at_client = connected.cost.wire.expect("an account of every byte");
        let at_server = accepted.cost.wire.expect("an account of every byte");
        assert_eq!(
            (at_client.sent, at_client.received),
            (at_server.received, at_server.sent)
        );
        assert_eq!(at_client.sent.messages.total(), connected.cost.bytes_sent);
        assert_eq!(at_server.sent.messages.total(), accepted.cost.bytes_sent);
        accounts.insert(ports, (profile.to_string(), at_client.sent));
        accounts.insert(ports.back(), (profile.to_string(), at_client.received));
    }
    let certificates = accounts.values().map(|(_, sent)| sent.messages.certificate);
    assert!(
        certificates.max() > Some(MAX_CONTENT),
        "{LONGEST} takes several records"
    );
    let recorded = capture.finish();
    let (streams, messages) = (recorded.streams(), recorded.messages(&keys.text()));
    for (ports, (profile, account)) in &accounts {
        compare(profile, account, &streams[ports], &messages[ports]);
    }
    let seen: Vec<_> = streams.keys().collect();
    assert_eq!(seen, accounts.keys().collect::<Vec<_>>());
}

/// Two ClientHellos and what asked for the second one; the client is plain rustls and shows no certificate.
#[tokio::test]
async fn bytes_of_a_hello_retry_request_agree_with_a_packet_capture() {
    let lab = Lab::new();
    let keys = Arc::new(Keys::default());
    let server = Server::start(lab.smf_endpoint(NEWEST).with_key_log(keys.clone()))
        .await
        .with_optional_client_auth();
    let port = server.addr().port();
    let Some(capture) = Capture::start(port) else {
        return;
    };
    let claims = Claims {
        groups: vec![kx_group::SECP384R1, kx_group::X25519],
        ..Claims::names(&[])
    };
    let (client, accepted) = tokio::join!(claims.connect(server.addr()), server.accept());
    let (client, accepted) = (client.unwrap(), accepted.unwrap());
    let up = client_ports(client.get_ref().0, port);
    let wire = accepted.cost.wire.expect("an account of every byte");
    assert!(wire.sent.messages.hello_retry_request > 0);
    let recorded = capture.finish();
    let (streams, messages) = (recorded.streams(), recorded.messages(&keys.text()));
    for (ports, account) in [(up, wire.received), (up.back(), wire.sent)] {
        compare("hello retry", &account, &streams[&ports], &messages[&ports]);
    }
}

fn client_ports(client: &tokio::net::TcpStream, server: u16) -> Ports {
    Ports {
        from: client.local_addr().expect("a connected socket").port(),
        to: server,
    }
}

/// One direction: all bytes, what the record layer adds, and each message.
fn compare(profile: &str, account: &DirectionBytes, stream: &[u8], messages: &[(u8, u64)]) {
    let told = &account.messages;
    assert_eq!(
        account.beyond, 0,
        "{profile}: nothing follows the handshake"
    );
    assert_eq!(told.total(), stream.len() as u64, "{profile}: bytes");
    assert_eq!(
        told.record_layer,
        record_layer(stream),
        "{profile}: records"
    );
    let mut seen = BTreeMap::<u8, u64>::new();
    for (kind, length) in messages {
        *seen.entry(*kind).or_default() += length;
    }
    assert_eq!(by_type(told), seen, "{profile}: messages by type");
}

/// Lengths by HandshakeType (RFC 8446 Section 4); a HelloRetryRequest is a ServerHello by its type.
fn by_type(told: &MessageBytes) -> BTreeMap<u8, u64> {
    let lengths = [
        (1, told.client_hello),
        (2, told.server_hello + told.hello_retry_request),
        (4, told.new_session_ticket),
        (8, told.encrypted_extensions),
        (11, told.certificate),
        (13, told.certificate_request),
        (15, told.certificate_verify),
        (20, told.finished),
    ];
    lengths
        .into_iter()
        .filter(|(_, length)| *length > 0)
        .collect()
}

/// What is not message in a stream of records: headers, ChangeCipherSpec, and of what is encrypted the content type and the tag.
fn record_layer(mut stream: &[u8]) -> u64 {
    let mut overhead = 0;
    while let [kind, _, _, high, low, rest @ ..] = stream {
        let length = u16::from_be_bytes([*high, *low]);
        overhead += match kind {
            20 => 5 + u64::from(length),
            22 => 5,
            23 => 5 + 1 + 16,
            other => panic!("a record of type {other} in a handshake"),
        };
        stream = rest.get(usize::from(length)..).expect("whole records");
    }
    assert!(stream.is_empty(), "whole records");
    overhead
}
