//! A mixed estate: who is upgraded and who is not meet, and each is served the best that both can do.

use mtc_core::id::LandmarkNumber;
use mtc_tls::downgrade::Downgrade;
use mtc_tls::endpoint::Endpoint;
use mtc_tls::kind::CertificateKind::{self, DirectlySigned, LandmarkRelative, Standalone};
use mtc_tls::profile::{ConnectionProfile, TrustDomain};

use crate::lab::{DIRECT, Lab, NEWEST_LANDMARK, profile};
use crate::server::Server;

const NEWEST: Option<LandmarkNumber> = Some(NEWEST_LANDMARK);
/// A landmark before that of the network functions' certificates.
const OLD: Option<LandmarkNumber> = Some(LandmarkNumber(1));

const fn mixed() -> ConnectionProfile {
    profile(TrustDomain::MtcLandmarkOr(DIRECT))
}

/// Kinds and reasons of client and server.
type Outcome = [(Option<CertificateKind>, Option<Downgrade>); 2];

async fn meet(lab: &Lab, client: Endpoint, server: Endpoint) -> Outcome {
    let server = Server::start(server).await;
    let (connected, accepted) = server.meet(&client, mixed(), lab.smf.expected()).await;
    assert_eq!(accepted.profile, Some(mixed()), "it counts for the variant");
    assert_eq!(connected.cost.received, accepted.cost.presented);
    assert_eq!(accepted.cost.received, connected.cost.presented);
    [connected.cost, accepted.cost].map(|cost| (cost.presented, cost.downgrade))
}

#[tokio::test]
async fn each_pair_is_served_what_both_can_do_and_says_why_it_is_no_better() {
    use Downgrade::{NoCommonLandmark, NotUpgraded, PeerNotUpgraded};
    let lab = Lab::new();
    let best = (Some(LandmarkRelative), None);
    let x509 = |reason| (Some(DirectlySigned), reason);
    for (client, server, expected) in [
        (true, true, [best, best]),
        (
            true,
            false,
            [x509(Some(PeerNotUpgraded)), x509(Some(NotUpgraded))],
        ),
        (
            false,
            true,
            [x509(Some(NotUpgraded)), x509(Some(PeerNotUpgraded))],
        ),
        (false, false, [x509(None), x509(None)]),
    ] {
        let of = |endpoint: Endpoint, upgraded| {
            if upgraded {
                endpoint
            } else {
                endpoint.not_upgraded()
            }
        };
        let met = meet(
            &lab,
            of(lab.amf_endpoint(NEWEST), client),
            of(lab.smf_endpoint(NEWEST), server),
        );
        assert_eq!(met.await, expected, "{client} {server}");
    }
    let late = meet(&lab, lab.amf_endpoint(OLD), lab.smf_endpoint(NEWEST)).await;
    let fallback = (Some(Standalone), Some(NoCommonLandmark));
    assert_eq!(late, [best, fallback], "the client knows too few landmarks");
}

#[tokio::test]
async fn a_certificate_without_its_landmark_says_so() {
    let lab = Lab::new();
    let mut set = lab.set(&lab.smf, NEWEST);
    set.mtc = set
        .mtc
        .into_iter()
        .map(mtc_tls::credentials::MtcCredential::without_landmark)
        .collect();
    let waiting = crate::lab::endpoint(set);
    let [_, server] = meet(&lab, lab.amf_endpoint(NEWEST), waiting).await;
    assert_eq!(server, (Some(Standalone), Some(Downgrade::NoLandmarkYet)));
}

#[tokio::test]
async fn in_other_domains_it_makes_no_difference_who_is_upgraded() {
    let lab = Lab::new();
    for domain in [TrustDomain::MtcLandmark, TrustDomain::X509(DIRECT)] {
        let server = Server::start(lab.smf_endpoint(NEWEST).not_upgraded()).await;
        let client = lab.amf_endpoint(NEWEST).not_upgraded();
        let (connected, accepted) = server
            .meet(&client, profile(domain), lab.smf.expected())
            .await;
        let kinds = [connected.cost.received, accepted.cost.received];
        assert_eq!(kinds, [Some(domain.kind()); 2], "{domain}");
        assert_eq!(
            [connected.cost.downgrade, accepted.cost.downgrade],
            [None; 2]
        );
    }
}

#[tokio::test]
async fn a_foreign_root_is_accepted_from_nobody_in_a_mixed_estate() {
    let lab = Lab::new();
    let other = Lab::new();
    let server = Server::start(other.smf_endpoint(NEWEST).not_upgraded()).await;
    for client in [
        lab.amf_endpoint(NEWEST),
        lab.amf_endpoint(NEWEST).not_upgraded(),
    ] {
        let (connected, accepted) = server.attempt(&client, mixed(), other.smf.expected()).await;
        assert!(connected.is_err() && accepted.is_err());
    }
}
