//! Sessions: who may resume one, what that costs, and what ends them.

use mtc_core::id::LandmarkNumber;
use mtc_core::verify::{RevokedRange, RevokedRanges};
use mtc_tls::clock::Clock;
use mtc_tls::credentials::Store;
use mtc_tls::endpoint::Endpoint;
use mtc_tls::handshake::{Accepted, Connected};
use mtc_tls::peer::ExpectedPeer;
use mtc_tls::profile::{ConnectionProfile, Tickets, TrustDomain};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::lab::{INTERMEDIATE, Lab, NEWEST_LANDMARK, profile};
use crate::server::Server;

const NEWEST: Option<LandmarkNumber> = Some(NEWEST_LANDMARK);

fn with(tickets: Tickets, domain: TrustDomain) -> ConnectionProfile {
    ConnectionProfile {
        tickets,
        ..profile(domain)
    }
}

/// A connection to its end, so that the client has what the server sends after the handshake.
pub(crate) async fn visit(
    server: &Server,
    client: &Endpoint,
    profile: ConnectionProfile,
    expected: ExpectedPeer,
) -> (Connected, Accepted) {
    let (mut connected, mut accepted) = server.meet(client, profile, expected).await;
    accepted.stream.shutdown().await.expect("it closes");
    let mut rest = Vec::new();
    connected
        .stream
        .read_to_end(&mut rest)
        .await
        .expect("it ends");
    assert_eq!(rest, [] as [u8; 0]);
    (connected, accepted)
}

/// Whether both ends resumed; they must agree.
fn resumed((connected, accepted): &(Connected, Accepted)) -> bool {
    let both = (
        connected.cost.negotiated.resumed,
        accepted.cost.negotiated.resumed,
    );
    assert_eq!(both.0, both.1);
    both.0
}

#[tokio::test]
async fn a_session_is_resumed_without_certificates_and_its_peers_are_known() {
    let lab = Lab::new();
    for tickets in [Tickets::Stateful, Tickets::Stateless] {
        for domain in [TrustDomain::MtcLandmark, TrustDomain::X509(INTERMEDIATE)] {
            let server = Server::start(lab.smf_endpoint(NEWEST)).await;
            let client = lab.amf_endpoint(NEWEST);
            let profile = with(tickets, domain);
            let first = visit(&server, &client, profile, lab.smf.expected()).await;
            assert!(!resumed(&first), "{profile}");
            for _ in 0..3 {
                let later = visit(&server, &client, profile, lab.smf.expected()).await;
                assert!(resumed(&later), "{profile}");
                let (connected, accepted) = &later;
                assert_eq!(connected.peer.identity, first.0.peer.identity);
                assert_eq!(connected.peer.kind, domain.kind());
                let peer = accepted.peer.as_ref().expect("the session's client");
                assert_eq!(peer.identity.instance_id, lab.amf.instance_id());
                assert_eq!(peer.kind, domain.kind());
                assert_eq!(accepted.profile, Some(profile));
                for cost in [&connected.cost, &accepted.cost] {
                    assert_eq!((cost.presented, cost.received), (None, None));
                    assert_eq!(cost.verification, None);
                    let wire = cost.wire.expect("every byte is attributed");
                    for messages in [wire.sent.messages, wire.received.messages] {
                        assert_eq!(messages.certificate + messages.certificate_verify, 0);
                        assert_eq!(messages.certificate_request, 0);
                        assert!(messages.finished > 0);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_ticket_without_state_carries_the_client_s_chain() {
    let lab = Lab::new();
    let mut hello = Vec::new();
    for tickets in [Tickets::Stateful, Tickets::Stateless] {
        let server = Server::start(lab.smf_endpoint(NEWEST)).await;
        let client = lab.amf_endpoint(NEWEST);
        let profile = with(tickets, TrustDomain::X509(INTERMEDIATE));
        let first = visit(&server, &client, profile, lab.smf.expected()).await;
        let later = visit(&server, &client, profile, lab.smf.expected()).await;
        assert!(!resumed(&first) && resumed(&later));
        let up =
            |visit: &(Connected, Accepted)| visit.0.cost.wire.expect("attributed").sent.messages;
        let chain = up(&first).certificate;
        hello.push((up(&later).client_hello, chain));
    }
    let [(stateful, _), (stateless, chain)] = *hello else {
        unreachable!("two kinds")
    };
    assert!(
        stateless > stateful + chain / 2,
        "{stateful}, {stateless}, {chain}"
    );
}

#[tokio::test]
async fn a_session_is_for_one_profile_and_one_peer() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = lab.amf_endpoint(NEWEST);
    let stateful = with(Tickets::Stateful, TrustDomain::MtcLandmark);
    let by_name = ExpectedPeer {
        instance_id: None,
        ..lab.smf.expected()
    };
    for (profile, expected) in [
        (stateful, lab.smf.expected()),
        (stateful, by_name),
        (
            with(Tickets::Stateful, TrustDomain::MtcStandalone),
            lab.smf.expected(),
        ),
        (
            with(Tickets::Stateful, TrustDomain::X509(INTERMEDIATE)),
            lab.smf.expected(),
        ),
        (
            with(Tickets::Stateless, TrustDomain::MtcLandmark),
            lab.smf.expected(),
        ),
        (
            with(Tickets::None, TrustDomain::MtcLandmark),
            lab.smf.expected(),
        ),
        (
            with(Tickets::None, TrustDomain::MtcLandmark),
            lab.smf.expected(),
        ),
    ] {
        let first = visit(&server, &client, profile, expected).await;
        assert!(!resumed(&first), "{profile}");
    }
    let again = visit(&server, &client, stateful, lab.smf.expected()).await;
    assert!(resumed(&again), "the sessions of the others are their own");
    let other = lab.amf_endpoint(NEWEST);
    let foreign = visit(&server, &other, stateful, lab.smf.expected()).await;
    assert!(!resumed(&foreign), "another client has no session");
}

#[tokio::test]
async fn a_new_set_of_credentials_ends_the_sessions_of_its_side() {
    let lab = Lab::new();
    let stores = [&lab.smf, &lab.amf].map(|nf| Store::new(lab.set(nf, NEWEST)));
    let [serving, calling] = &stores;
    let server = Server::start(Endpoint::new(serving.receiver(), Clock::default())).await;
    let client = Endpoint::new(calling.receiver(), Clock::default());
    let profile = with(Tickets::Stateful, TrustDomain::MtcLandmark);
    for changed in [serving, calling] {
        for expected in [false, true] {
            let visit = visit(&server, &client, profile, lab.smf.expected()).await;
            assert_eq!(resumed(&visit), expected);
        }
        changed.update(|set| set.mtc_trust = set.mtc_trust.clone());
    }
    let after = visit(&server, &client, profile, lab.smf.expected()).await;
    assert!(!resumed(&after));
}

#[tokio::test]
async fn a_session_with_a_peer_that_is_revoked_is_resumed_by_neither_side() {
    let lab = Lab::new();
    for tickets in [Tickets::Stateful, Tickets::Stateless] {
        for at_server in [true, false] {
            let stores = [&lab.smf, &lab.amf].map(|nf| Store::new(lab.set(nf, NEWEST)));
            let [serving, calling] = &stores;
            let server = Server::start(Endpoint::new(serving.receiver(), Clock::default())).await;
            let client = Endpoint::new(calling.receiver(), Clock::default());
            let profile = with(tickets, TrustDomain::MtcLandmark);
            let expected = || lab.smf.expected();
            let (connected, accepted) = visit(&server, &client, profile, expected()).await;
            assert!(resumed(&visit(&server, &client, profile, expected()).await));
            let (store, peer) = if at_server {
                (serving, accepted.peer.expect("it has shown a certificate"))
            } else {
                (calling, connected.peer)
            };
            let serial = peer.certificate.small_serial().expect("an MTC");
            let range = RevokedRange {
                first: serial,
                last: serial,
            };
            let ranges = RevokedRanges::default().with(range);
            store.update(|set| set.mtc_trust = set.mtc_trust.with_revoked(&ranges));
            assert!(store.current().is_revoked(&peer.certificate));
            let (connected, accepted) = server.attempt(&client, profile, expected()).await;
            let error = if at_server {
                accepted.err()
            } else {
                connected.err()
            };
            let error = error.expect("it is refused").cause();
            assert_eq!(error, "tls: refused: revoked");
        }
    }
}

#[tokio::test]
async fn handshakes_at_the_same_time_resume_sessions_of_their_own() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = lab.amf_endpoint(NEWEST);
    let profile = with(Tickets::Stateless, TrustDomain::MtcLandmark);
    let mut counts = Vec::new();
    for _ in 0..2 {
        let visits = (0..4).map(|_| visit(&server, &client, profile, lab.smf.expected()));
        let mut count = 0;
        for visit in visits.collect::<Vec<_>>() {
            count += usize::from(resumed(&visit.await));
        }
        counts.push(count);
    }
    assert_eq!(counts, [3, 4], "one after another, they share a session");
    let both = tokio::join!(
        visit(&server, &client, profile, lab.smf.expected()),
        visit(&server, &client, profile, lab.smf.expected())
    );
    // One has the only session; the accepting ends may be swapped between the two.
    let clients = [&both.0.0, &both.1.0].map(|c| c.cost.negotiated.resumed);
    assert_eq!(clients.iter().filter(|resumed| **resumed).count(), 1);
}
