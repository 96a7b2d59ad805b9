//! What is on the wire, and how it is counted.

use std::time::Duration;

use mtc_core::id::LandmarkNumber;
use mtc_tls::handshake::HandshakeError;
use mtc_tls::key::KeyAlgorithm;
use mtc_tls::kind::CertificateKind;
use mtc_tls::profile::{ConnectionProfile, TrustDomain};
use mtc_tls::provider::KeyExchange;
use rustls::{AlertDescription, Error, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::lab::{DIRECT, INTERMEDIATE, Lab, NEWEST_LANDMARK, OWN_LANDMARK, profile};
use crate::raw::Claims;
use crate::server::{Server, server_chain};

use TrustDomain::{MtcLandmark, MtcStandalone, X509};

const NEWEST: Option<LandmarkNumber> = Some(NEWEST_LANDMARK);
const EVERY_DOMAIN: [TrustDomain; 4] =
    [MtcLandmark, MtcStandalone, X509(DIRECT), X509(INTERMEDIATE)];

/// A whole record with the ClientHello of a client that knows TLS 1.2 only.
///
/// ```text
/// handshake(22), legacy version, length
/// client_hello(1), length, version 0x0303, random, no session ID, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, no compression,
/// extensions: supported_groups { x25519 }, signature_algorithms { ecdsa_secp256r1_sha256 }
/// ```
fn tls12_client_hello() -> Vec<u8> {
    const EXTENSIONS: [u8; 18] = [0, 16, 0, 10, 0, 4, 0, 2, 0, 0x1d, 0, 13, 0, 4, 0, 2, 4, 3];
    const SUITES: [u8; 7] = [0, 0, 2, 0xc0, 0x2b, 1, 0];
    let body = [&[3, 3][..], &[7; 32], &SUITES, &EXTENSIONS].concat();
    let length = u8::try_from(body.len()).expect("short");
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length], &body[..]].concat()
}

#[tokio::test]
async fn a_client_of_tls_1_2_is_refused() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = async {
        let mut tcp = TcpStream::connect(server.addr()).await?;
        tcp.write_all(&tls12_client_hello()).await?;
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).await.map(|_| answer)
    };
    let (answer, accepted) = tokio::join!(client, server.accept());
    assert!(
        matches!(accepted, Err(HandshakeError::OldVersion)),
        "{accepted:?}"
    );
    let answer = answer.unwrap();
    let [21, 3, _, 0, 2, 2, alert] = answer[..] else {
        panic!("no alert but {answer:02x?}")
    };
    assert_eq!(
        AlertDescription::from(alert),
        AlertDescription::ProtocolVersion
    );
}

#[tokio::test]
async fn connections_are_tls_1_3_and_http_2() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = lab.amf_endpoint(NEWEST);
    for domain in EVERY_DOMAIN {
        let (connected, accepted) = server
            .meet(&client, profile(domain), lab.smf.expected())
            .await;
        let (client, server) = (connected.stream.get_ref().1, accepted.stream.get_ref().1);
        assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(
            (client.alpn_protocol(), server.alpn_protocol()),
            (Some(&b"h2"[..]), Some(&b"h2"[..]))
        );
    }
}

#[tokio::test]
async fn a_client_of_another_application_protocol_is_refused() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST))
        .await
        .with_optional_client_auth();
    let claims = Claims {
        alpn: b"http/1.1",
        ..Claims::names(&[])
    };
    let (client, accepted) = tokio::join!(claims.connect(server.addr()), server.accept());
    assert!(
        matches!(
            accepted,
            Err(HandshakeError::Tls(Error::NoApplicationProtocol))
        ),
        "{accepted:?}"
    );
    let error = client.unwrap_err();
    let error = error.get_ref().and_then(|inner| inner.downcast_ref());
    assert_eq!(
        error,
        Some(&Error::AlertReceived(
            AlertDescription::NoApplicationProtocol
        ))
    );
}

/// Bytes of a TLS 1.3 record around its content: header, content type, tag of the AEAD.
const RECORD_OVERHEAD: u64 = 5 + 1 + 16;
const ALERT_LENGTH: u64 = 2;

#[tokio::test]
async fn no_session_ticket_follows_the_handshake() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST))
        .await
        .with_optional_client_auth();

    let (mut connected, mut accepted) = server
        .meet(
            &lab.amf_endpoint(NEWEST),
            profile(MtcLandmark),
            lab.smf.expected(),
        )
        .await;
    accepted.stream.write_all(b"data").await.unwrap();
    accepted.stream.shutdown().await.unwrap();
    let mut received = Vec::new();
    connected.stream.read_to_end(&mut received).await.unwrap();
    let after = connected.stream.get_ref().0.read() - connected.cost.bytes_received;
    assert_eq!(
        (&received[..], after),
        (&b"data"[..], 2 * RECORD_OVERHEAD + 4 + ALERT_LENGTH)
    );

    // A client that would resume gets none either.
    let (client, accepted) =
        tokio::join!(Claims::names(&[]).connect(server.addr()), server.accept());
    let (mut client, mut accepted) = (client.unwrap(), accepted.unwrap());
    accepted.stream.shutdown().await.unwrap();
    client.read_to_end(&mut received).await.unwrap();
    assert_eq!(client.get_ref().1.tls13_tickets_received(), 0);
}

#[tokio::test]
async fn records_leave_at_once_and_together() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let (connected, accepted) = server
        .meet(
            &lab.amf_endpoint(NEWEST),
            profile(MtcLandmark),
            lab.smf.expected(),
        )
        .await;
    for stream in [connected.stream.get_ref().0, accepted.stream.get_ref().0] {
        assert!(stream.get_ref().nodelay().unwrap());
        // What was written one record a segment, and lost an alert that stood behind another record.
        assert!(stream.is_write_vectored());
    }
}

#[tokio::test]
async fn both_sides_count_the_same_bytes() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = lab.amf_endpoint(NEWEST);
    for domain in EVERY_DOMAIN {
        for key_exchange in KeyExchange::ALL {
            let profile = ConnectionProfile {
                key_exchange,
                ..profile(domain)
            };
            let (connected, accepted) = server.meet(&client, profile, lab.smf.expected()).await;
            let (client, server) = (connected.cost, accepted.cost);
            assert!(client.bytes_sent > 0 && server.bytes_sent > 0);
            assert_eq!(client.bytes_sent, server.bytes_received, "{profile}");
            assert_eq!(server.bytes_sent, client.bytes_received, "{profile}");
        }
    }
}

#[tokio::test]
async fn verification_is_a_part_of_the_cpu_time_of_a_handshake() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = lab.amf_endpoint(NEWEST);
    for domain in EVERY_DOMAIN {
        let (connected, accepted) = server
            .meet(&client, profile(domain), lab.smf.expected())
            .await;
        assert_eq!(accepted.cost.tcp_connect, Duration::ZERO);
        for cost in [connected.cost, accepted.cost] {
            assert!(
                Duration::ZERO < cost.verify && cost.verify <= cost.cpu,
                "{domain}: {cost:?}"
            );
        }
    }
}

/// With an ML-DSA leaf, whose signatures have one length, and in one trust domain, nothing else has another size.
#[tokio::test]
async fn a_landmark_relative_certificate_saves_exactly_the_cosignatures_less_its_longer_proof() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let profile = ConnectionProfile {
        leaf_key: KeyAlgorithm::MlDsa65,
        ..profile(MtcLandmark)
    };
    let mut flights = Vec::new();
    for newest in [LandmarkNumber(OWN_LANDMARK.0 - 1), OWN_LANDMARK] {
        let client = lab.amf_endpoint(Some(newest));
        let (connected, accepted) = server.meet(&client, profile, lab.smf.expected()).await;
        assert_eq!(
            connected.cost.presented,
            Some(CertificateKind::LandmarkRelative)
        );
        flights.push((
            accepted.cost.bytes_sent,
            server_chain(&connected)[0].len() as u64,
        ));
    }
    let [
        (standalone, standalone_certificate),
        (landmark, landmark_certificate),
    ] = flights[..]
    else {
        unreachable!("two connections")
    };
    assert!(landmark < standalone);
    assert_eq!(
        standalone - landmark,
        standalone_certificate - landmark_certificate
    );
}
