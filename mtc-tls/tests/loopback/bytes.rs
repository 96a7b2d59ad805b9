//! Every byte of a handshake is attributed to its message, on both sides, whatever is presented.

use mtc_core::id::LandmarkNumber;
use mtc_tls::credentials::CredentialSet;
use mtc_tls::handshake::HandshakeCost;
use mtc_tls::profile::{ConnectionProfile, TrustDomain};
use mtc_tls::provider::KeyExchange;
use mtc_tls::record::{DirectionBytes, WireBytes};
use rustls::crypto::aws_lc_rs::kx_group;
use tokio::io::AsyncWriteExt as _;

use crate::lab::{DIRECT, INTERMEDIATE, Lab, NEWEST_LANDMARK, endpoint, profile};
use crate::nf::LEAF_KEYS;
use crate::raw::Claims;
use crate::server::{Server, client_chain, server_chain};

use TrustDomain::{MtcLandmark, MtcStandalone, X509};

const NEWEST: Option<LandmarkNumber> = Some(NEWEST_LANDMARK);

/// `msg_type(1) length(3)`, an empty list of extensions, ALPN with one name of two letters, an empty server_name.
const ENCRYPTED_EXTENSIONS: u64 = 4 + 2 + (4 + 2 + 1 + 2) + 4;
/// An empty context, an empty list.
const NO_CERTIFICATE: u64 = 4 + 1 + 3;
/// Of a record: header; content type and tag where it is encrypted.
const CLEAR: u64 = 5;
const ENCRYPTED: u64 = 5 + 1 + 16;
const CHANGE_CIPHER_SPEC: u64 = 5 + 1;
/// The most that a record holds.
const MAX_CONTENT: u64 = 1 << 14;

fn wire(cost: &HandshakeCost) -> WireBytes {
    let wire = cost
        .wire
        .unwrap_or_else(|| panic!("unattributed: {cost:?}"));
    for (direction, counted) in [
        (wire.sent, cost.bytes_sent),
        (wire.received, cost.bytes_received),
    ] {
        assert_eq!(direction.total(), counted);
        assert_eq!(
            direction.flights.iter().sum::<u64>(),
            direction.messages.total() - tickets(&direction)
        );
    }
    wire
}

fn tickets(direction: &DirectionBytes) -> u64 {
    match direction.messages.new_session_ticket {
        0 => 0,
        content => content + ENCRYPTED * content.div_ceil(MAX_CONTENT),
    }
}

fn certificate_length(chain: &[rustls::pki_types::CertificateDer<'_>]) -> u64 {
    let entries = chain.iter().map(|der| 3 + der.len() as u64 + 2);
    NO_CERTIFICATE + entries.sum::<u64>()
}

#[tokio::test]
async fn parts_add_up_to_what_the_socket_counted_on_both_sides() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = lab.amf_endpoint(NEWEST);
    for domain in [MtcLandmark, MtcStandalone, X509(DIRECT), X509(INTERMEDIATE)] {
        for leaf_key in LEAF_KEYS {
            for key_exchange in KeyExchange::ALL {
                let profile = ConnectionProfile {
                    leaf_key,
                    key_exchange,
                    ..profile(domain)
                };
                let (connected, accepted) = server.meet(&client, profile, lab.smf.expected()).await;
                let (at_client, at_server) = (wire(&connected.cost), wire(&accepted.cost));
                assert_eq!(at_client.sent, at_server.received, "{profile}");
                assert_eq!(at_client.received, at_server.sent, "{profile}");

                let (up, down) = (at_client.sent.messages, at_server.sent.messages);
                assert_eq!(up.certificate, certificate_length(client_chain(&accepted)));
                assert_eq!(
                    down.certificate,
                    certificate_length(server_chain(&connected))
                );
                assert_eq!(down.encrypted_extensions, ENCRYPTED_EXTENSIONS, "{profile}");
                assert!(up.client_hello > 0 && down.server_hello > 0);
                assert!(up.certificate_verify > 0 && down.certificate_verify > 0);
                let content = up.certificate + up.certificate_verify + up.finished;
                let records = content.div_ceil(MAX_CONTENT);
                assert_eq!(
                    up.record_layer,
                    CLEAR + CHANGE_CIPHER_SPEC + records * ENCRYPTED,
                    "{profile}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_empty_certificate_has_its_bytes_too() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST))
        .await
        .with_optional_client_auth();
    let nothing = CredentialSet {
        mtc: Vec::new(),
        ..lab.set(&lab.amf, NEWEST)
    };
    let (connected, accepted) = server
        .meet(&endpoint(nothing), profile(MtcLandmark), lab.smf.expected())
        .await;
    let (at_client, at_server) = (wire(&connected.cost), wire(&accepted.cost));
    assert_eq!(at_client.sent, at_server.received);
    assert_eq!(at_client.received, at_server.sent);
    let up = at_client.sent.messages;
    assert_eq!((up.certificate, up.certificate_verify), (NO_CERTIFICATE, 0));
    assert_eq!(
        (connected.cost.presented, accepted.cost.received),
        (None, None)
    );
}

/// A client's first request may be in the same read as its Finished.
#[tokio::test]
async fn what_follows_the_handshake_is_told_apart() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let endpoint = lab.amf_endpoint(NEWEST);
    let tcp = async {
        // The server looks only when the client has sent all.
        let connect = mtc_tls::handshake::connect(
            server.addr(),
            &endpoint,
            profile(MtcLandmark),
            lab.smf.expected(),
            std::time::Duration::from_secs(10),
        );
        let mut connected = connect.await.expect("a connection");
        connected
            .stream
            .write_all(&[7; 100])
            .await
            .expect("written");
        connected
    };
    let (connected, accepted) = tokio::join!(tcp, server.accept());
    let accepted = accepted.expect("a connection");
    let (at_client, at_server) = (wire(&connected.cost), wire(&accepted.cost));
    assert_eq!(at_client.sent.messages, at_server.received.messages);
    let beyond = at_server.received.beyond;
    assert!(beyond == 0 || beyond == 100 + ENCRYPTED, "{beyond}");
}

#[tokio::test]
async fn negotiation_is_reported() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = lab.amf_endpoint(NEWEST);
    let (connected, accepted) = server
        .meet(&client, profile(MtcStandalone), lab.smf.expected())
        .await;
    for cost in [&connected.cost, &accepted.cost] {
        let negotiated = &cost.negotiated;
        assert_eq!(negotiated.version, Some("TLSv1_3"));
        assert_eq!(negotiated.own_signature, Some("ECDSA_NISTP256_SHA256"));
        assert_eq!(negotiated.peer_signature, Some("ECDSA_NISTP256_SHA256"));
        assert_eq!(negotiated.alpn.as_deref(), Some("h2"));
        assert!(!negotiated.resumed && !negotiated.hello_retried);
        assert!(
            negotiated
                .cipher_suite
                .is_some_and(|suite| suite.starts_with("TLS13_"))
        );
    }
}

/// A client that guesses a group which the server does not take is asked again.
#[tokio::test]
async fn a_second_client_hello_and_what_asked_for_it_have_their_bytes() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST))
        .await
        .with_optional_client_auth();
    let claims = Claims {
        groups: vec![kx_group::SECP384R1, kx_group::X25519],
        ..Claims::names(&[])
    };
    let (client, accepted) = tokio::join!(claims.connect(server.addr()), server.accept());
    let (_client, accepted) = (client.unwrap(), accepted.unwrap());
    assert!(accepted.cost.negotiated.hello_retried);
    let WireBytes { sent, received } = wire(&accepted.cost);
    // Version, random, the echoed session ID, suite, compression, and the extensions version and group.
    let hello_retry_request = 4 + 2 + 32 + (1 + 32) + 2 + 1 + 2 + (4 + 2) + (4 + 2);
    assert_eq!(sent.messages.hello_retry_request, hello_retry_request);
    assert_eq!(sent.flights[0], CLEAR + hello_retry_request);
    let hellos = received.flights[0] + received.flights[1] - CHANGE_CIPHER_SPEC;
    assert_eq!(received.messages.client_hello, hellos - 2 * CLEAR);
    assert!(received.flights[2] > 0 && sent.flights[1] > 0);
}
