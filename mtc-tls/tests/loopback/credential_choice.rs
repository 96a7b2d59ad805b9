//! Which credential is presented: by the trust anchor names of the peer, in both directions (Section 8 of the draft).

use mtc_core::id::{LandmarkNumber, TrustAnchorId};
use mtc_core::verify::{Basis, Rejection};
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{MtcCredential, Store};
use mtc_tls::endpoint::Endpoint;
use mtc_tls::handshake::HandshakeError;
use mtc_tls::key::KeyAlgorithm;
use mtc_tls::kind::CertificateKind;
use mtc_tls::peer::VerifyError;
use mtc_tls::profile::{ConnectionProfile, TrustDomain};
use mtc_tls::provider::KeyExchange;
use rustls::{AlertDescription, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::lab::{DIRECT, INTERMEDIATE, Lab, NEWEST_LANDMARK, OWN_LANDMARK, profile};
use crate::mtca::Signer;
use crate::raw::Claims;
use crate::server::{Server, client_chain, server_chain};

use CertificateKind::{DirectlySigned, LandmarkRelative, Standalone};
use TrustDomain::{MtcLandmark, MtcStandalone, X509};

const OLDER: Option<LandmarkNumber> = Some(LandmarkNumber(OWN_LANDMARK.0 - 1));
const OWN: Option<LandmarkNumber> = Some(OWN_LANDMARK);
const NEWEST: Option<LandmarkNumber> = Some(NEWEST_LANDMARK);

#[tokio::test]
async fn one_listener_serves_every_client_what_it_trusts() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    // The client's landmarks and domain; what it gets, in how many certificates, and the domain that the server sees.
    for (newest, domain, kind, certificates, seen) in [
        (NEWEST, MtcLandmark, LandmarkRelative, 1, MtcLandmark),
        (OWN, MtcLandmark, LandmarkRelative, 1, MtcLandmark),
        (OLDER, MtcLandmark, Standalone, 1, MtcLandmark),
        (None, MtcLandmark, Standalone, 1, MtcStandalone),
        (None, MtcStandalone, Standalone, 1, MtcStandalone),
        (NEWEST, MtcStandalone, Standalone, 1, MtcStandalone),
        (NEWEST, X509(DIRECT), DirectlySigned, 1, X509(DIRECT)),
        (
            None,
            X509(INTERMEDIATE),
            DirectlySigned,
            2,
            X509(INTERMEDIATE),
        ),
    ] {
        let client = lab.amf_endpoint(newest);
        let (connected, accepted) = server
            .meet(&client, profile(domain), lab.smf.expected())
            .await;
        let case = format!("{domain}, landmarks up to {newest:?}");
        assert_eq!(server_chain(&connected).len(), certificates, "{case}");
        assert_eq!(
            (connected.cost.received, accepted.cost.presented),
            (Some(kind), Some(kind)),
            "{case}"
        );
        assert_eq!(connected.peer.kind, kind, "{case}");
        assert_eq!(
            connected.peer.identity.instance_id,
            lab.smf.instance_id(),
            "{case}"
        );
        assert_eq!(accepted.profile, Some(profile(seen)), "{case}");
    }
}

#[tokio::test]
async fn a_client_presents_what_the_server_trusts() {
    let lab = Lab::new();
    let client = lab.amf_endpoint(NEWEST);
    // The server's landmarks, the connection's domain; what the client presents, in how many certificates.
    for (newest, domain, kind, certificates) in [
        (NEWEST, MtcLandmark, LandmarkRelative, 1),
        (OWN, MtcLandmark, LandmarkRelative, 1),
        (OLDER, MtcLandmark, Standalone, 1),
        (None, MtcLandmark, Standalone, 1),
        (NEWEST, MtcStandalone, Standalone, 1),
        (NEWEST, X509(DIRECT), DirectlySigned, 1),
        (None, X509(INTERMEDIATE), DirectlySigned, 2),
    ] {
        let server = Server::start(lab.smf_endpoint(newest)).await;
        let (connected, accepted) = server
            .meet(&client, profile(domain), lab.smf.expected())
            .await;
        let case = format!("{domain}, the server's landmarks up to {newest:?}");
        assert_eq!(client_chain(&accepted).len(), certificates, "{case}");
        assert_eq!(
            (connected.cost.presented, accepted.cost.received),
            (Some(kind), Some(kind)),
            "{case}"
        );
        let peer = accepted.peer.expect("client certificates are required");
        assert_eq!(
            (peer.kind, peer.identity.instance_id),
            (kind, lab.amf.instance_id()),
            "{case}"
        );
        assert_eq!(accepted.profile, Some(profile(domain)), "{case}");
    }
}

#[tokio::test]
async fn a_party_without_its_landmark_certificate_presents_the_standalone_one() {
    let lab = Lab::new();
    let fresh = |nf| {
        let mut set = lab.set(nf, NEWEST);
        set.mtc
            .iter_mut()
            .for_each(|credential| credential.landmark = None);
        crate::lab::endpoint(set)
    };
    let server = Server::start(fresh(&lab.smf)).await;
    let (connected, accepted) = server
        .meet(&fresh(&lab.amf), profile(MtcLandmark), lab.smf.expected())
        .await;
    for cost in [connected.cost, accepted.cost] {
        assert_eq!(
            (cost.presented, cost.received),
            (Some(Standalone), Some(Standalone))
        );
    }
    assert_eq!(accepted.profile, Some(profile(MtcLandmark)));
}

#[tokio::test]
async fn a_client_that_names_nothing_known_gets_the_fallback() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST))
        .await
        .with_optional_client_auth();
    let foreign: TrustAnchorId = "32473.2".parse().unwrap();
    let standalone = lab
        .mtc_credential(&lab.smf, KeyAlgorithm::EcdsaP256)
        .standalone;
    for names in [vec![], vec![foreign.to_name()], vec![vec![0x30, 0]]] {
        let (client, accepted) = tokio::join!(
            Claims::names(&names).connect(server.addr()),
            server.accept()
        );
        let (client, accepted) = (client.unwrap(), accepted.unwrap());
        let chain = client.get_ref().1.peer_certificates().unwrap();
        let accepted_profile = accepted.profile.unwrap();
        assert_eq!(
            (chain.len(), accepted.cost.presented),
            (1, Some(Standalone)),
            "{names:?}"
        );
        assert_eq!(
            (accepted_profile.domain, accepted_profile.leaf_key),
            (MtcStandalone, standalone.leaf_key)
        );
        assert_eq!((accepted.peer, accepted.cost.received), (None, None));
    }
}

// Whoever can send no names could not use its landmark-relative certificate: the server looked at it as one that knows no landmark.
#[tokio::test]
async fn a_client_that_names_no_landmark_may_present_the_certificate_of_a_trusted_one() {
    let lab = Lab::new();
    let key = KeyAlgorithm::EcdsaP256;
    let (_, relative) = lab.mtca.landmark_relative(lab.index_of(&lab.amf, key));
    let names = [
        vec![],
        vec![lab.mtca.log_id().ca().to_name()],
        vec![vec![0x30, 0]],
    ];
    for (newest, accepted_there) in [(NEWEST, true), (OWN, true), (OLDER, false), (None, false)] {
        let server = Server::start(lab.smf_endpoint(newest)).await;
        for names in &names {
            let claims = Claims::names(names);
            let (_client, accepted) = tokio::join!(
                claims.connect_as(server.addr(), relative.clone(), lab.amf.key(key)),
                server.accept()
            );
            let case = format!("the server's landmarks up to {newest:?}, {names:?}");
            if accepted_there {
                let accepted = accepted.expect(&case);
                let peer = accepted.peer.expect("client certificates are required");
                assert_eq!(
                    (peer.kind, peer.verification.basis),
                    (LandmarkRelative, Some(Basis::TrustedSubtree)),
                    "{case}"
                );
                assert_eq!(accepted.profile.unwrap().domain, MtcStandalone, "{case}");
            } else {
                let Err(HandshakeError::Refused(why)) = accepted else {
                    panic!("{case}: {accepted:?}");
                };
                assert!(
                    matches!(*why, VerifyError::Mtc(Rejection::Policy(_))),
                    "{case}: {why:?}"
                );
            }
        }
    }
}

// A later draft has landmark-relative certificates carry cosignatures of nobody, so that verifiers keep ignoring whom they do not know.
#[tokio::test]
async fn cosignatures_of_nobody_change_nothing() {
    let lab = Lab::new();
    let key = KeyAlgorithm::EcdsaP256;
    let grease = Signer::new("32473.99");
    let greased = |nf| {
        let index = lab.index_of(nf, key);
        let subtree = lab.mtca.landmark_subtree(index);
        lab.mtca.certificate(index, subtree, &[&grease])
    };
    let greased_set = |nf| {
        let whole = lab.mtc_credential(nf, key);
        let landmark = lab.landmark_credential(nf, key, OWN_LANDMARK, greased(nf));
        lab.set_with(MtcCredential::new(whole.standalone, Some(landmark)))
    };
    let server = Server::start(crate::lab::endpoint(greased_set(&lab.smf))).await;
    let client = crate::lab::endpoint(greased_set(&lab.amf));
    let (connected, accepted) = server
        .meet(&client, profile(MtcLandmark), lab.smf.expected())
        .await;
    let at_server = accepted.peer.expect("client certificates are required");
    for peer in [&connected.peer, &at_server] {
        assert_eq!(
            (
                peer.kind,
                peer.verification.basis,
                peer.verification.cosignatures_carried,
                peer.verification.cosignatures_verified
            ),
            (LandmarkRelative, Some(Basis::TrustedSubtree), 1, 0)
        );
    }
    let (_client, accepted) = tokio::join!(
        Claims::names(&[]).connect_as(server.addr(), greased(&lab.amf), lab.amf.key(key)),
        server.accept()
    );
    let peer = accepted.expect("a trusted subtree").peer;
    assert_eq!(peer.expect("required").kind, LandmarkRelative);
    // Among cosignatures that count they change nothing either.
    let index = lab.index_of(&lab.amf, key);
    let signers = [&grease, &lab.mtca.ca, &lab.mtca.witness];
    let standalone = lab
        .mtca
        .certificate(index, lab.mtca.batch_subtree(index), &signers);
    let (_client, accepted) = tokio::join!(
        Claims::names(&[]).connect_as(server.addr(), standalone, lab.amf.key(key)),
        server.accept()
    );
    let peer = accepted.expect("cosigned").peer.expect("required");
    assert_eq!(
        (peer.kind, peer.verification.basis),
        (Standalone, Some(Basis::Cosignatures))
    );
}

#[tokio::test]
async fn a_damaged_certificate_of_a_landmark_that_was_not_named_is_refused() {
    let lab = Lab::new();
    let key = KeyAlgorithm::EcdsaP256;
    let (_, mut relative) = lab.mtca.landmark_relative(lab.index_of(&lab.amf, key));
    // The last hash of the proof, before the length of the cosignatures, which there are none of.
    let last_of_proof = relative.len() - 4;
    relative[last_of_proof] ^= 1;
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let (_client, accepted) = tokio::join!(
        Claims::names(&[]).connect_as(server.addr(), relative, lab.amf.key(key)),
        server.accept()
    );
    let Err(HandshakeError::Refused(why)) = accepted else {
        panic!("{accepted:?}");
    };
    assert!(
        matches!(*why, VerifyError::Mtc(Rejection::TrustedSubtreeMismatch(_))),
        "{why:?}"
    );
}

#[tokio::test]
async fn of_several_names_an_x509_root_and_then_the_first_anchor_of_the_ca_count() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST))
        .await
        .with_optional_client_auth();
    let log = lab.mtca.log_id();
    let [older, own] = [LandmarkNumber(OWN_LANDMARK.0 - 1), OWN_LANDMARK]
        .map(|landmark| log.landmark_group(landmark).unwrap().to_name());
    let root = lab.baselines[1].name.clone();
    for (names, kind, domain) in [
        (vec![older.clone(), own.clone()], Standalone, MtcLandmark),
        (vec![own.clone(), older], LandmarkRelative, MtcLandmark),
        (vec![own, root], DirectlySigned, X509(INTERMEDIATE)),
    ] {
        let (client, accepted) = tokio::join!(
            Claims::names(&names).connect(server.addr()),
            server.accept()
        );
        client.unwrap();
        let accepted = accepted.unwrap();
        assert_eq!(
            (accepted.cost.presented, accepted.profile.unwrap().domain),
            (Some(kind), domain)
        );
    }
}

#[tokio::test]
async fn a_client_presents_nothing_to_a_server_that_names_only_others() {
    let lab = Lab::new();
    let client = lab.amf_endpoint(NEWEST);
    let foreign: TrustAnchorId = "32473.2".parse().unwrap();
    let own = lab.mtca.log_id().landmark_group(OWN_LANDMARK).unwrap();
    let root = lab.baselines[0].name.clone();
    let (mtc, x509) = (profile(MtcLandmark), profile(X509(DIRECT)));
    for (profile, names, presented) in [
        (mtc, vec![], Some(Standalone)),
        (mtc, vec![foreign.to_name()], None),
        (mtc, vec![root.clone()], None),
        (
            mtc,
            vec![foreign.to_name(), own.to_name()],
            Some(LandmarkRelative),
        ),
        (x509, vec![], Some(DirectlySigned)),
        (x509, vec![own.to_name()], None),
        (x509, vec![own.to_name(), root], Some(DirectlySigned)),
    ] {
        let server = Server::start(lab.smf_endpoint(NEWEST)).await;
        let credential = match profile.domain {
            X509(_) => {
                lab.x509_credential(&lab.smf, &lab.baselines[0], profile.leaf_key)
                    .credential
            }
            _ => lab.mtc_credential(&lab.smf, profile.leaf_key).standalone,
        };
        let raw = async {
            let claims = Claims::names(&names);
            claims
                .accept(
                    server.accept_tcp().await,
                    credential.leaf().to_vec(),
                    lab.smf.key(profile.leaf_key),
                )
                .await
        };
        let connect = mtc_tls::handshake::connect(
            server.addr(),
            &client,
            profile,
            lab.smf.expected(),
            crate::server::TIMEOUT,
        );
        let (connected, accepted) = tokio::join!(connect, raw);
        let shown = accepted
            .unwrap()
            .get_ref()
            .1
            .peer_certificates()
            .map(<[_]>::len);
        assert_eq!(
            connected.unwrap().cost.presented,
            presented,
            "{profile} {names:?}"
        );
        assert_eq!(shown, presented.map(|_| 1), "{profile} {names:?}");
    }
}

#[tokio::test]
async fn the_client_chooses_both_leaf_keys() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = lab.amf_endpoint(NEWEST);
    for domain in [MtcLandmark, MtcStandalone, X509(DIRECT), X509(INTERMEDIATE)] {
        for leaf_key in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::MlDsa65] {
            let profile = ConnectionProfile {
                leaf_key,
                ..profile(domain)
            };
            let (connected, accepted) = server.meet(&client, profile, lab.smf.expected()).await;
            assert!(
                holds(
                    &server_chain(&connected)[0],
                    lab.smf.key(leaf_key).spki_der()
                ),
                "{profile}"
            );
            assert!(
                holds(
                    &client_chain(&accepted)[0],
                    lab.amf.key(leaf_key).spki_der()
                ),
                "{profile}"
            );
            assert_eq!(accepted.profile, Some(profile));
        }
    }
}

#[tokio::test]
async fn the_server_follows_the_order_of_the_clients_signature_schemes() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST))
        .await
        .with_optional_client_auth();
    let (ecdsa, ml_dsa) = (
        SignatureScheme::ECDSA_NISTP256_SHA256,
        SignatureScheme::ML_DSA_65,
    );
    for (schemes, leaf_key) in [
        (vec![ecdsa, ml_dsa], KeyAlgorithm::EcdsaP256),
        (vec![ml_dsa, ecdsa], KeyAlgorithm::MlDsa65),
        (
            vec![SignatureScheme::ECDSA_NISTP384_SHA384, ml_dsa],
            KeyAlgorithm::MlDsa65,
        ),
    ] {
        let claims = Claims {
            schemes,
            ..Claims::names(&[])
        };
        let (client, accepted) = tokio::join!(claims.connect(server.addr()), server.accept());
        assert!(holds(
            &client.unwrap().get_ref().1.peer_certificates().unwrap()[0],
            lab.smf.key(leaf_key).spki_der()
        ));
        assert_eq!(accepted.unwrap().profile.unwrap().leaf_key, leaf_key);
    }
}

#[tokio::test]
async fn who_offers_all_reaches_a_server_with_another_key_and_still_comes_first_with_its_own() {
    let lab = Lab::new();
    let [with_ml_dsa, with_both] = [&[KeyAlgorithm::MlDsa65][..], &[]].map(|keys| {
        let mut set = lab.set(&lab.smf, NEWEST);
        let wanted = |key| keys.is_empty() || keys.contains(&key);
        set.mtc.retain(|own| wanted(own.standalone.leaf_key));
        crate::lab::endpoint(set)
    });
    let client = lab.amf_endpoint(NEWEST);
    let own = profile(MtcLandmark);
    let server = Server::start(with_ml_dsa).await;
    let (_, accepted) = server.attempt(&client, own, lab.smf.expected()).await;
    assert!(
        matches!(accepted, Err(HandshakeError::Setup(_))),
        "{accepted:?}"
    );
    let (connected, _) = server
        .meet(&client.offering_all(), own, lab.smf.expected())
        .await;
    assert_eq!(connected.cost.negotiated.peer_signature, Some("ML_DSA_65"));
    let server = Server::start(with_both).await;
    let (connected, accepted) = server
        .meet(&client.offering_all(), own, lab.smf.expected())
        .await;
    assert_eq!(accepted.profile, Some(own));
    assert!(!connected.cost.negotiated.hello_retried);
}

#[tokio::test]
async fn a_client_that_can_verify_no_key_of_the_server_is_told_so() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let profile = ConnectionProfile {
        leaf_key: KeyAlgorithm::EcdsaP384,
        ..profile(MtcLandmark)
    };
    let (connected, accepted) = server
        .attempt(&lab.amf_endpoint(NEWEST), profile, lab.smf.expected())
        .await;
    assert!(
        matches!(accepted, Err(HandshakeError::Setup(_))),
        "{accepted:?}"
    );
    assert!(
        matches!(
            connected,
            Err(HandshakeError::Alert(AlertDescription::HandshakeFailure))
        ),
        "{connected:?}"
    );
}

/// TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, and TLS_AES_128_GCM_SHA256 of TLS 1.3.
const SUITES: [[u8; 2]; 2] = [[0xc0, 0x2b], [0x13, 0x01]];

/// A record with a ClientHello that names these suites, secp256r1, ecdsa_secp256r1_sha256 and ML-DSA-65, and has one more extension.
fn handmade_hello(suites: &[[u8; 2]], extension: &[u8]) -> Vec<u8> {
    let mut body = [&[3, 3][..], &[7; 32], &[0]].concat();
    body.extend([0, 2 * suites.len() as u8]);
    body.extend(suites.concat());
    body.extend([1, 0]);
    let extensions = [
        &[0, 10, 0, 4, 0, 2, 0, 23][..],
        &[0, 13, 0, 6, 0, 4, 4, 3, 9, 5],
        extension,
    ]
    .concat();
    body.extend([0, extensions.len() as u8]);
    body.extend(extensions);
    let handshake = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    [&[22, 3, 1, 0, handshake.len() as u8][..], &handshake].concat()
}

/// What a server answers to these bytes, to the end, and what it makes of them.
async fn answered(server: &Server, record: &[u8]) -> (Vec<u8>, HandshakeError) {
    let client = async {
        let tcp = tokio::net::TcpStream::connect(server.addr()).await;
        let mut tcp = tcp.expect("a listener");
        tcp.write_all(record).await.expect("a listener that reads");
        tcp.shutdown().await.expect("an open connection");
        let mut answer = Vec::new();
        let read = tcp.read_to_end(&mut answer).await;
        read.expect("a connection that is closed and not reset");
        answer
    };
    let (answer, accepted) = tokio::join!(client, server.accept());
    (answer, accepted.expect_err("no whole client"))
}

#[tokio::test]
async fn a_client_of_tls_1_2_is_told_the_version() {
    let lab = Lab::new();
    // One that names a suite of TLS 1.3 and no version gets as far as rustls.
    for suites in [&SUITES[..1], &SUITES] {
        let server = Server::start(lab.smf_endpoint(NEWEST)).await;
        let (answer, error) = answered(&server, &handmade_hello(suites, &[])).await;
        assert_eq!(answer, [21, 3, 3, 0, 2, 2, 70], "{suites:?}");
        assert!(matches!(error, HandshakeError::OldVersion), "{error:?}");
        assert_eq!(error.cause(), "tls: no TLS 1.3 offered");
    }
}

#[tokio::test]
async fn malformed_trust_anchors_end_the_handshake() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    for (extension, alert) in [
        // A list of three bytes in two; a sound list of one identifier goes on, to the version that is missing here.
        (&[0xca, 0x34, 0, 4, 0, 3, 1, 1][..], 50),
        (&[0xca, 0x34, 0, 4, 0, 2, 1, 1], 70),
    ] {
        let (answer, error) = answered(&server, &handmade_hello(&SUITES, extension)).await;
        assert_eq!(answer, [21, 3, 3, 0, 2, 2, alert], "{error:?}");
        assert_eq!(
            matches!(error, HandshakeError::TrustAnchors(_)),
            alert == 50,
            "{error:?}"
        );
    }
    // At another code point it is none of ours.
    let elsewhere = lab.smf_endpoint(NEWEST).with_trust_anchors_at(0xfe00);
    let server = Server::start(elsewhere).await;
    let malformed = [0xca, 0x34, 0, 4, 0, 3, 1, 1];
    let (_, error) = answered(&server, &handmade_hello(&SUITES, &malformed)).await;
    assert!(matches!(error, HandshakeError::OldVersion), "{error:?}");
}

#[tokio::test]
async fn the_clients_profile_decides_the_key_exchange() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = lab.amf_endpoint(NEWEST);
    for (key_exchange, name) in [
        (KeyExchange::X25519MlKem768, "X25519MLKEM768"),
        (KeyExchange::X25519, "X25519"),
    ] {
        let profile = ConnectionProfile {
            key_exchange,
            ..profile(MtcLandmark)
        };
        let (connected, accepted) = server.meet(&client, profile, lab.smf.expected()).await;
        assert_eq!(connected.cost.group.as_deref(), Some(name));
        assert_eq!(accepted.cost.group.as_deref(), Some(name));
        assert_eq!(accepted.profile, Some(profile));
    }
}

#[tokio::test]
async fn updates_change_the_next_connection_and_leave_the_open_one_alone() {
    let lab = Lab::new();
    let mut set = lab.set(&lab.smf, None);
    let certificates = std::mem::take(&mut set.mtc);
    set.mtc = certificates
        .iter()
        .cloned()
        .map(MtcCredential::without_landmark)
        .collect();
    let store = Store::new(set);
    let server = Server::start(Endpoint::new(store.receiver(), Clock::default())).await;
    let client = lab.amf_endpoint(NEWEST);

    let (mut connected, mut accepted) = server
        .meet(&client, profile(MtcLandmark), lab.smf.expected())
        .await;
    assert_eq!(
        (accepted.cost.presented, accepted.cost.received),
        (Some(Standalone), Some(Standalone))
    );

    store.update(|set| set.mtc = certificates);
    let (_, next) = server
        .meet(&client, profile(MtcLandmark), lab.smf.expected())
        .await;
    assert_eq!(
        (next.cost.presented, next.cost.received),
        (Some(LandmarkRelative), Some(Standalone))
    );

    store.update(|set| set.mtc_trust = lab.set(&lab.smf, NEWEST).mtc_trust);
    let (_, next) = server
        .meet(&client, profile(MtcLandmark), lab.smf.expected())
        .await;
    assert_eq!(
        (next.cost.presented, next.cost.received),
        (Some(LandmarkRelative), Some(LandmarkRelative))
    );

    store.update(|set| set.mtc.clear());
    let (refused, _) = server
        .attempt(&client, profile(MtcLandmark), lab.smf.expected())
        .await;
    assert!(
        matches!(
            refused,
            Err(HandshakeError::Alert(AlertDescription::HandshakeFailure))
        ),
        "{refused:?}"
    );

    // The first connection, opened before all that, still carries data both ways.
    connected.stream.write_all(b"ping").await.unwrap();
    let mut received = [0; 4];
    accepted.stream.read_exact(&mut received).await.unwrap();
    accepted.stream.write_all(b"pong").await.unwrap();
    connected.stream.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"pong");
}

/// Whether a certificate holds this public key.
fn holds(certificate: &[u8], spki: &[u8]) -> bool {
    certificate.windows(spki.len()).any(|window| window == spki)
}
