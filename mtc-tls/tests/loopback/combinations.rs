//! Everything that a variant of a scenario can choose, over sockets: keys, chains, groups, cosigners, stale landmarks.

use mtc_core::certificate::Certificate;
use mtc_core::id::LandmarkNumber;
use mtc_core::verify::{PolicyError, Rejection};
use mtc_tls::handshake::HandshakeError;
use mtc_tls::key::{Intermediates, KeyAlgorithm, X509Profile, X509Revocation};
use mtc_tls::kind::CertificateKind;
use mtc_tls::peer::VerifyError;
use mtc_tls::profile::{ConnectionProfile, TrustDomain};
use mtc_tls::provider::KeyExchange;

use crate::lab::{Lab, NEWEST_LANDMARK, endpoint, profile};
use crate::server::{Server, client_chain, server_chain};

use CertificateKind::Standalone;
use TrustDomain::{MtcLandmark, MtcLandmarkStale, MtcStandalone, MtcStandaloneCa, X509};

const NEWEST: Option<LandmarkNumber> = Some(NEWEST_LANDMARK);

#[tokio::test]
async fn every_leaf_key_meets_every_ca_signature_at_every_length_of_chain_and_every_kind_of_mtc() {
    for ca_signature in KeyAlgorithm::ALL {
        let profiles = Intermediates::ALL.map(|intermediates| X509Profile {
            ca_signature,
            intermediates,
            revocation: X509Revocation::None,
        });
        let lab = Lab::with("32473.1", &KeyAlgorithm::ALL, &profiles);
        let server = Server::start(lab.smf_endpoint(NEWEST)).await;
        let client = lab.amf_endpoint(NEWEST);
        let domains = TrustDomain::MTC.into_iter().chain(profiles.map(X509));
        for (domain, leaf_key) in
            domains.flat_map(|domain| KeyAlgorithm::ALL.map(|leaf_key| (domain, leaf_key)))
        {
            let profile = ConnectionProfile {
                leaf_key,
                ..profile(domain)
            };
            let (connected, accepted) = server.meet(&client, profile, lab.smf.expected()).await;
            let certificates = match domain {
                X509(profile) => 1 + usize::from(profile.intermediates.count()),
                _ => 1,
            };
            for chain in [server_chain(&connected), client_chain(&accepted)] {
                assert_eq!(chain.len(), certificates, "{profile}");
            }
            for cost in [connected.cost, accepted.cost] {
                let kind = Some(domain.kind());
                assert_eq!((cost.presented, cost.received), (kind, kind), "{profile}");
            }
            assert_eq!(accepted.profile, Some(profile));
        }
    }
}

#[tokio::test]
async fn the_client_decides_among_every_group() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = lab.amf_endpoint(NEWEST);
    let mut sent = Vec::new();
    for key_exchange in [
        KeyExchange::X25519,
        KeyExchange::SecP256r1,
        KeyExchange::X25519MlKem768,
        KeyExchange::SecP256r1MlKem768,
    ] {
        let profile = ConnectionProfile {
            key_exchange,
            ..profile(MtcLandmark)
        };
        let (connected, accepted) = server.meet(&client, profile, lab.smf.expected()).await;
        assert_eq!(accepted.profile, Some(profile));
        for cost in [&connected.cost, &accepted.cost] {
            assert_eq!(cost.group.as_deref(), Some(key_exchange.as_str()));
        }
        sent.push(connected.cost.bytes_sent);
    }
    assert_eq!(
        KeyExchange::ALL.len(),
        sent.len(),
        "a group that nobody tried"
    );
    // A P-256 share is longer than an X25519 one, and ML-KEM-768's encapsulation key has 1184 bytes.
    assert!(sent.is_sorted(), "{sent:?}");
    assert!(sent[2] > sent[1] + 1000, "{sent:?}");
}

/// How many cosignatures the first certificate of a chain carries.
fn cosignatures(leaf: &[u8]) -> usize {
    let certificate = Certificate::parse(leaf).expect("a Merkle Tree Certificate");
    certificate.proof.signatures().count()
}

#[tokio::test]
async fn both_ends_carry_the_cosignatures_that_the_other_asks_for() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = lab.amf_endpoint(NEWEST);
    let mut bytes = Vec::new();
    for (domain, expected) in [(MtcStandalone, 2), (MtcStandaloneCa, 1), (MtcLandmark, 0)] {
        let (connected, accepted) = server
            .meet(&client, profile(domain), lab.smf.expected())
            .await;
        assert_eq!(
            cosignatures(&server_chain(&connected)[0]),
            expected,
            "{domain}"
        );
        assert_eq!(
            cosignatures(&client_chain(&accepted)[0]),
            expected,
            "{domain}"
        );
        bytes.push(connected.cost.bytes_sent + connected.cost.bytes_received);
    }
    // Each cosignature is one of ML-DSA-44, 2420 bytes, in both directions; a landmark's proof is some hashes longer.
    assert!(
        bytes.windows(2).all(|pair| pair[0] > pair[1] + 2 * 2300),
        "{bytes:?}"
    );
}

#[tokio::test]
async fn a_party_that_requires_the_witness_refuses_the_cas_cosignature_alone() {
    let lab = Lab::new();
    // The server has nothing but what the CA alone cosigned, and serves it to whoever asks.
    let key = profile(MtcStandalone).leaf_key;
    let index = lab.index_of(&lab.smf, key);
    let certificate = lab
        .mtca
        .certificate(index, lab.mtca.batch_subtree(index), &[&lab.mtca.ca]);
    let set = lab.set_with(lab.standalone_only(&lab.smf, certificate));
    let server = Server::start(endpoint(set)).await;
    let client = lab.amf_endpoint(NEWEST);
    let (connected, _) = server
        .attempt(&client, profile(MtcStandalone), lab.smf.expected())
        .await;
    let Err(HandshakeError::Refused(why)) = connected else {
        panic!("{connected:?}")
    };
    let VerifyError::Mtc(Rejection::Policy(PolicyError::Quorum { missing, .. })) = &*why else {
        panic!("{why:?}")
    };
    assert_eq!(missing, &[lab.mtca.witness.id()]);
    server
        .meet(&client, profile(MtcStandaloneCa), lab.smf.expected())
        .await;
}

#[tokio::test]
async fn the_ca_alone_is_not_enough_trust_without_its_cosignature() {
    let lab = Lab::new();
    let key = profile(MtcStandalone).leaf_key;
    let index = lab.index_of(&lab.smf, key);
    let certificate =
        lab.mtca
            .certificate(index, lab.mtca.batch_subtree(index), &[&lab.mtca.witness]);
    let set = lab.set_with(lab.standalone_only(&lab.smf, certificate));
    let server = Server::start(endpoint(set)).await;
    let (connected, _) = server
        .attempt(
            &lab.amf_endpoint(NEWEST),
            profile(MtcStandaloneCa),
            lab.smf.expected(),
        )
        .await;
    assert!(
        matches!(connected, Err(HandshakeError::Refused(_))),
        "{connected:?}"
    );
}

#[tokio::test]
async fn stale_parties_are_served_standalone_by_peers_that_have_landmarks() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    for newest in [NEWEST, None] {
        let client = lab.amf_endpoint(newest);
        let (connected, accepted) = server
            .meet(&client, profile(MtcLandmarkStale), lab.smf.expected())
            .await;
        for cost in [connected.cost, accepted.cost] {
            assert_eq!(
                (cost.presented, cost.received),
                (Some(Standalone), Some(Standalone))
            );
        }
        assert_eq!(accepted.profile, Some(profile(MtcLandmarkStale)));
    }
}
