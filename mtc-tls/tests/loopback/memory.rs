//! Handshakes in memory are those over TCP without TCP.

use mtc_core::id::LandmarkNumber;
use mtc_tls::handshake::HandshakeError;
use mtc_tls::memory::handshake;
use mtc_tls::profile::{ConnectionProfile, TrustDomain};

use crate::lab::{DIRECT, INTERMEDIATE, Lab, NEWEST_LANDMARK, profile};
use crate::nf::LEAF_KEYS;
use crate::server::Server;

use TrustDomain::{MtcLandmark, MtcStandalone, X509};

const NEWEST: Option<LandmarkNumber> = Some(NEWEST_LANDMARK);

#[tokio::test]
async fn they_send_the_same_bytes_and_kinds() {
    let lab = Lab::new();
    let (smf, amf) = (lab.smf_endpoint(NEWEST), lab.amf_endpoint(NEWEST));
    let server = Server::start(smf.clone()).await;
    for domain in [MtcLandmark, MtcStandalone, X509(DIRECT), X509(INTERMEDIATE)] {
        for leaf_key in LEAF_KEYS {
            let profile = ConnectionProfile {
                leaf_key,
                ..profile(domain)
            };
            let expected = lab.smf.expected();
            let in_memory = handshake(&amf, &smf, profile, expected.clone()).expect("a handshake");
            let (connected, accepted) = server.meet(&amf, profile, expected).await;
            for (side, cost) in [
                (&in_memory.client, &connected.cost),
                (&in_memory.server, &accepted.cost),
            ] {
                assert_eq!(Some(side.received), cost.received, "{profile}");
                // A signature of ECDSA is some bytes longer or shorter each time.
                let difference = side.bytes_sent.abs_diff(cost.bytes_sent);
                assert!(difference < 20, "{profile}: {difference}");
                assert!(side.verify <= side.cpu, "one is within the other");
            }
        }
    }
}

#[test]
fn a_client_that_knows_another_server_refuses_this_one() {
    let lab = Lab::new();
    let (smf, amf) = (lab.smf_endpoint(NEWEST), lab.amf_endpoint(NEWEST));
    let outcome = handshake(&amf, &smf, profile(MtcLandmark), lab.amf.expected());
    assert!(
        matches!(outcome, Err(HandshakeError::Refused(_))),
        "{outcome:?}"
    );
}
