//! What nobody knows changes nothing but bytes, and hides nothing that is missing.

use mtc_core::certificate::Certificate;
use mtc_core::id::LandmarkNumber;
use mtc_core::verify::{Basis, PolicyError, Rejection};
use mtc_tls::anchor_bytes::AnchorBytes;
use mtc_tls::handshake::HandshakeError;
use mtc_tls::peer::VerifyError;
use mtc_tls::profile::{ConnectionProfile, Tickets, TrustDomain};
use rustls::pki_types::CertificateDer;

use TrustDomain::{MtcLandmark, MtcLandmarkStale, MtcStandalone, MtcStandaloneCa, X509};

use crate::lab::{DIRECT, Lab, NEWEST_LANDMARK, endpoint, profile};
use crate::resumption::visit;
use crate::server::{Server, client_chain, server_chain};

const NEWEST: Option<LandmarkNumber> = Some(NEWEST_LANDMARK);
/// A length, an ID of 3 bytes, a length, 64 bytes.
const COSIGNATURE: u64 = 1 + 3 + 2 + 64;
/// Such an ID as a name, with its length, and as `trust_anchors` has it.
const NAME: u64 = 2 + 21;
const ANCHOR: u64 = 1 + 3;
/// `32473.1.7.1` as a name, with its length.
const WISH: u64 = 2 + 24;
/// On a certificate that was chosen by what was named.
const MARK: u64 = 4;

fn greased(domain: TrustDomain) -> ConnectionProfile {
    ConnectionProfile {
        grease: true,
        ..profile(domain)
    }
}

/// The cosigners of a certificate, in their order.
fn cosigners(chain: &[CertificateDer<'_>]) -> Vec<String> {
    let leaf = Certificate::parse(&chain[0]).expect("an MTC");
    let signatures = leaf.proof.signatures();
    signatures.map(|(id, _)| id.to_string()).collect()
}

#[tokio::test]
async fn handshakes_with_what_nobody_knows_are_as_without() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = lab.amf_endpoint(NEWEST);
    for (domain, basis, known) in [
        (MtcLandmark, Basis::TrustedSubtree, &[][..]),
        (
            MtcLandmarkStale,
            Basis::Cosignatures,
            &["32473.1", "32473.9"],
        ),
        (MtcStandalone, Basis::Cosignatures, &["32473.1", "32473.9"]),
        (MtcStandaloneCa, Basis::Cosignatures, &["32473.1"]),
    ] {
        let (plain, at_server) = server
            .meet(&client, profile(domain), lab.smf.expected())
            .await;
        let (with, accepted) = server
            .meet(&client, greased(domain), lab.smf.expected())
            .await;
        assert_eq!(accepted.profile, Some(greased(domain)));
        assert_eq!(at_server.profile, Some(profile(domain)));
        let peers = [
            (Some(&with.peer), Some(&plain.peer)),
            (accepted.peer.as_ref(), at_server.peer.as_ref()),
        ];
        for (with, plain) in peers {
            let (with, plain) = (with.expect("required"), plain.expect("required"));
            assert_eq!((with.kind, &with.identity), (plain.kind, &plain.identity));
            let (with, plain) = (&with.verification, &plain.verification);
            assert_eq!(with.basis, Some(basis), "{domain}");
            assert_eq!(
                (plain.cosignatures_unknown, plain.unknown_cosignature_bytes),
                (0, 0)
            );
            assert_eq!(
                (with.cosignatures_unknown, with.unknown_cosignature_bytes),
                (1, COSIGNATURE),
                "{domain}"
            );
            assert_eq!(with.cosignatures_carried, plain.cosignatures_carried + 1);
            assert_eq!(with.cosignatures_verified, plain.cosignatures_verified);
        }
        for chain in [server_chain(&with), client_chain(&accepted)] {
            let found = cosigners(chain);
            let number: u32 = found[0].parse().expect("one number");
            assert!((1 << 20..1 << 21).contains(&number), "{number}");
            assert_eq!(found[1..], *known, "{domain}");
        }
        assert_ne!(
            cosigners(server_chain(&with))[0],
            cosigners(client_chain(&accepted))[0],
            "each certificate has its own"
        );
        let wire = |cost: &mtc_tls::handshake::HandshakeCost| cost.wire.expect("attributed").sent;
        let (up, down) = (wire(&with.cost).messages, wire(&accepted.cost).messages);
        let (up_plain, down_plain) = (wire(&plain.cost).messages, wire(&at_server.cost).messages);
        assert_eq!(up.client_hello, up_plain.client_hello + NAME + WISH);
        assert_eq!(
            down.certificate_request,
            down_plain.certificate_request + NAME
        );
        // Lengths of DER may take a byte more.
        for (with, plain) in [(up, up_plain), (down, down_plain)] {
            let more = with.certificate - plain.certificate;
            assert!((COSIGNATURE..COSIGNATURE + 4).contains(&more), "{more}");
        }
        for (with, plain) in [(&with.cost, &plain.cost), (&accepted.cost, &at_server.cost)] {
            let mut expected = plain.anchors;
            expected.stand_in += NAME;
            expected.trust_anchors += ANCHOR;
            assert_eq!(with.anchors, expected, "{domain}");
        }
    }
}

#[tokio::test]
async fn what_naming_trust_anchors_takes_is_counted() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = lab.amf_endpoint(NEWEST);
    // C.2.1.3 and C, C.1.1.2 and C.
    for (domain, stand_in, trust_anchors) in [
        (MtcLandmark, 33, 14),
        (MtcLandmarkStale, 33, 14),
        (MtcStandalone, 30, 11),
        (X509(DIRECT), 0, 0),
    ] {
        let (connected, accepted) = server
            .meet(&client, profile(domain), lab.smf.expected())
            .await;
        let is_named = stand_in > 0;
        let own = AnchorBytes {
            stand_in,
            trust_anchors: trust_anchors + if is_named { MARK } else { 0 },
            available: 0,
        };
        assert_eq!(connected.cost.anchors, own, "{domain}");
        let of_server = AnchorBytes {
            available: if is_named { 19 } else { 0 },
            ..own
        };
        assert_eq!(accepted.cost.anchors, of_server, "{domain}");
    }
    // Whoever resumes a session names the same, and is neither asked nor shown a certificate.
    let resuming = ConnectionProfile {
        tickets: Tickets::Stateful,
        ..profile(MtcLandmark)
    };
    visit(&server, &client, resuming, lab.smf.expected()).await;
    let (connected, accepted) = visit(&server, &client, resuming, lab.smf.expected()).await;
    assert!(connected.cost.negotiated.resumed);
    let named = AnchorBytes {
        stand_in: 33,
        trust_anchors: 14,
        available: 0,
    };
    assert_eq!(connected.cost.anchors, named);
    assert_eq!(accepted.cost.anchors, AnchorBytes::default());
}

#[tokio::test]
async fn a_cosignature_of_nobody_stands_for_none() {
    let lab = Lab::new();
    let key = profile(MtcStandalone).leaf_key;
    let index = lab.index_of(&lab.smf, key);
    let subtree = lab.mtca.batch_subtree(index);
    let without_witness = lab.mtca.certificate(index, subtree, &[&lab.mtca.ca]);
    let of_nobody = lab.mtca.certificate(index, subtree, &[]);
    for (certificate, missing) in [(without_witness, "32473.9"), (of_nobody, "32473.1")] {
        let set = lab.set_with(lab.standalone_only(&lab.smf, certificate));
        let server = Server::start(endpoint(set)).await;
        let (connected, _) = server
            .attempt(
                &lab.amf_endpoint(NEWEST),
                greased(MtcStandalone),
                lab.smf.expected(),
            )
            .await;
        let Err(HandshakeError::Refused(why)) = connected else {
            panic!("{connected:?}");
        };
        let VerifyError::Mtc(Rejection::Policy(policy)) = &*why else {
            panic!("{why:?}");
        };
        match policy {
            PolicyError::Quorum { .. } => assert_eq!(missing, "32473.9"),
            PolicyError::NoCaCosignature(ca) => assert_eq!(ca.to_string(), missing),
            other => panic!("{other}"),
        }
    }
}
