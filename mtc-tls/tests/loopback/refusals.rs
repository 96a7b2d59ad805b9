//! What is refused, why, and how the other side learns of it.
//!
//! In TLS 1.3 a client completes its handshake before the server has looked at the client's certificate: a server that
//! refuses it is heard of at the client's first read.

mod authenticity;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use mtc_core::id::LandmarkNumber;
use mtc_core::x509::UsageError;
use mtc_tls::endpoint::Endpoint;
use mtc_tls::handshake::{HandshakeError, accept, connect};
use mtc_tls::key::KeyAlgorithm;
use mtc_tls::peer::{ExpectedPeer, VerifyError};
use mtc_tls::profile::{ClientAuth, ConnectionProfile, TrustDomain};
use rustls::{AlertDescription, CertificateError};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::lab::{DIRECT, INTERMEDIATE, Lab, NEWEST_LANDMARK, endpoint, profile, skewed};
use crate::nf::Nf;
use crate::server::{Server, TIMEOUT, alert};

use TrustDomain::{MtcLandmark, MtcStandalone, X509};

const LEAF_KEY: KeyAlgorithm = profile(MtcLandmark).leaf_key;
const NEWEST: Option<LandmarkNumber> = Some(NEWEST_LANDMARK);
const EVERY_DOMAIN: [TrustDomain; 4] =
    [MtcLandmark, MtcStandalone, X509(DIRECT), X509(INTERMEDIATE)];

/// Why the client refuses the server, and the alert that the server gets for it.
async fn refused_by_client(
    server: Endpoint,
    client: &Endpoint,
    profile: ConnectionProfile,
    expected: ExpectedPeer,
) -> (Arc<VerifyError>, AlertDescription) {
    match Server::start(server)
        .await
        .attempt(client, profile, expected)
        .await
    {
        (Err(HandshakeError::Refused(why)), Err(HandshakeError::Alert(alert))) => (why, alert),
        (connected, accepted) => panic!("{profile}: {connected:?}, {accepted:?}"),
    }
}

/// Why the server refuses the client, and the alert that the client gets for it.
async fn refused_by_server(
    server: Endpoint,
    client: &Endpoint,
    profile: ConnectionProfile,
    expected: ExpectedPeer,
) -> (Arc<VerifyError>, AlertDescription) {
    match Server::start(server)
        .await
        .attempt(client, profile, expected)
        .await
    {
        (Ok(mut connected), Err(HandshakeError::Refused(why))) => {
            (why, alert(&mut connected.stream).await)
        }
        (connected, accepted) => panic!("{profile}: {connected:?}, {accepted:?}"),
    }
}

/// An error and its causes, as a log has them.
fn text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_client_without_certificate_is_refused_where_one_is_required() {
    let lab = Lab::new();
    let client = endpoint(lab.bare_set(lab.mtca.trust(), NEWEST));
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    for domain in EVERY_DOMAIN {
        let (connected, accepted) = server
            .attempt(&client, profile(domain), lab.smf.expected())
            .await;
        let mut connected = connected.unwrap();
        let Err(HandshakeError::Tls(error)) = accepted else {
            panic!("{accepted:?}")
        };
        assert_eq!(error, rustls::Error::NoCertificatesPresented);
        assert_eq!(connected.cost.presented, None);
        assert_eq!(
            alert(&mut connected.stream).await,
            AlertDescription::CertificateRequired
        );
    }
}

#[tokio::test]
async fn a_client_without_certificate_has_no_identity_where_that_is_allowed() {
    let lab = Lab::new();
    let client = endpoint(lab.bare_set(lab.mtca.trust(), NEWEST));
    let server = Server::start(lab.smf_endpoint(NEWEST))
        .await
        .with_optional_client_auth();
    for domain in EVERY_DOMAIN {
        let (connected, accepted) = server
            .meet(&client, profile(domain), lab.smf.expected())
            .await;
        assert_eq!(
            (
                accepted.peer,
                accepted.cost.received,
                connected.cost.presented
            ),
            (None, None, None)
        );
        assert_eq!(accepted.profile, Some(profile(domain)));
    }
}

#[tokio::test]
async fn a_client_certificate_is_verified_also_where_none_is_required() {
    let lab = Lab::new();
    let index = lab.index_of(&lab.amf, LEAF_KEY);
    let unwitnessed = lab
        .mtca
        .certificate(index, lab.mtca.batch_subtree(index), &[&lab.mtca.ca]);
    let client = endpoint(lab.set_with(lab.standalone_only(&lab.amf, unwitnessed)));
    let server = Server::start(lab.smf_endpoint(NEWEST))
        .await
        .with_optional_client_auth();
    let (_, accepted) = server
        .attempt(&client, profile(MtcStandalone), lab.smf.expected())
        .await;
    assert!(
        matches!(accepted, Err(HandshakeError::Refused(_))),
        "{accepted:?}"
    );
}

#[tokio::test]
async fn a_server_of_another_name_is_refused() {
    let lab = Lab::new();
    let client = lab.amf_endpoint(NEWEST);
    let expected = ExpectedPeer {
        fqdn: "smf2.5gc.mnc001.mcc001.3gppnetwork.org".to_owned(),
        ..lab.smf.expected()
    };
    for domain in EVERY_DOMAIN {
        let server = lab.smf_endpoint(NEWEST);
        let (why, alert) =
            refused_by_client(server, &client, profile(domain), expected.clone()).await;
        let (VerifyError::ServerName(error) | VerifyError::X509(error)) = &*why else {
            panic!("{why:?}")
        };
        assert_eq!(
            matches!(*why, VerifyError::X509(_)),
            matches!(domain, X509(_))
        );
        assert!(
            matches!(
                error,
                rustls::Error::InvalidCertificate(
                    CertificateError::NotValidForName
                        | CertificateError::NotValidForNameContext { .. }
                )
            ),
            "{error:?}"
        );
        assert_eq!(alert, AlertDescription::BadCertificate);
    }
}

#[tokio::test]
async fn what_is_no_server_name_is_not_called() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let expected = ExpectedPeer {
        fqdn: "no name".to_owned(),
        ..lab.smf.expected()
    };
    let connected = connect(
        server.addr(),
        &lab.amf_endpoint(NEWEST),
        profile(MtcLandmark),
        expected,
        TIMEOUT,
    )
    .await;
    assert!(matches!(connected, Err(HandshakeError::ServerName(name)) if name == "no name"));
}

#[tokio::test]
async fn another_instance_with_the_right_name_is_refused() {
    let lab = Lab::new();
    let client = lab.amf_endpoint(NEWEST);
    let other = Uuid::new_v4();
    let expected = ExpectedPeer {
        instance_id: Some(other),
        ..lab.smf.expected()
    };
    for domain in EVERY_DOMAIN {
        let server = lab.smf_endpoint(NEWEST);
        let (why, alert) =
            refused_by_client(server, &client, profile(domain), expected.clone()).await;
        let VerifyError::WrongInstance { wanted, found } = *why else {
            panic!("{why:?}")
        };
        assert_eq!((wanted, found), (other, lab.smf.instance_id()));
        assert_eq!(alert, AlertDescription::CertificateUnknown);
    }
}

#[tokio::test]
async fn handshakes_at_the_same_time_are_judged_each_by_what_it_expects() {
    let lab = Lab::new();
    let client = lab.amf_endpoint(NEWEST);
    let servers = [
        Server::start(lab.smf_endpoint(NEWEST)).await,
        Server::start(endpoint(lab.set(&lab.amf, NEWEST))).await,
    ];
    for _ in 0..4 {
        // Each server twice: by one who wants it, and by one who wants the other instance under its name.
        let attempts = [(0, true), (1, true), (0, false), (1, false)].map(|(at, wanted)| {
            let (client, server) = (&client, &servers[at]);
            let [smf, amf] = [lab.smf.expected(), lab.amf.expected()];
            let [here, other] = if at == 0 { [smf, amf] } else { [amf, smf] };
            let instance_id = if wanted {
                here.instance_id
            } else {
                other.instance_id
            };
            let expected = ExpectedPeer {
                instance_id,
                ..here
            };
            async move {
                let (connected, _) = server.attempt(client, profile(MtcLandmark), expected).await;
                match connected {
                    Ok(connected) => {
                        assert!(wanted);
                        assert_eq!(Some(connected.peer.identity.instance_id), instance_id);
                    }
                    Err(HandshakeError::Refused(why)) => {
                        assert!(!wanted, "{why}");
                        assert!(matches!(*why, VerifyError::WrongInstance { .. }), "{why}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let [a, b, c, d] = attempts;
        tokio::join!(a, b, c, d);
    }
}

#[tokio::test]
async fn an_nf_of_another_type_is_refused() {
    let lab = Lab::new();
    let client = lab.amf_endpoint(NEWEST);
    let expected = ExpectedPeer {
        nf_type: Some("NRF".to_owned()),
        ..lab.smf.expected()
    };
    for domain in EVERY_DOMAIN {
        let server = lab.smf_endpoint(NEWEST);
        let (why, alert) =
            refused_by_client(server, &client, profile(domain), expected.clone()).await;
        let VerifyError::WrongNfType { wanted, found } = &*why else {
            panic!("{why:?}")
        };
        assert_eq!(
            (wanted.as_str(), found.as_slice()),
            ("NRF", &["SMF".to_owned()][..])
        );
        assert_eq!(alert, AlertDescription::CertificateUnknown);
    }
}

#[tokio::test]
async fn a_server_whose_instance_and_type_nobody_named_is_accepted_by_its_name() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let expected = ExpectedPeer {
        instance_id: None,
        nf_type: None,
        ..lab.smf.expected()
    };
    let (connected, _) = server
        .meet(&lab.amf_endpoint(NEWEST), profile(MtcLandmark), expected)
        .await;
    assert_eq!(connected.peer.identity.instance_id, lab.smf.instance_id());
}

/// By how much a clock is wrong below: more than the lab's certificates are valid in either direction.
const SKEW: i64 = 2 * 3600;

#[tokio::test]
async fn a_clock_that_is_ahead_finds_mtcs_expired_and_says_both_times() {
    let lab = Lab::new();
    let (smf, amf) = (lab.set(&lab.smf, NEWEST), lab.set(&lab.amf, NEWEST));
    let expected = || lab.smf.expected();
    for domain in [MtcLandmark, MtcStandalone] {
        let late = skewed(amf.clone(), SKEW);
        let of_client =
            refused_by_client(endpoint(smf.clone()), &late, profile(domain), expected()).await;
        let late = skewed(smf.clone(), SKEW);
        let of_server =
            refused_by_server(late, &endpoint(amf.clone()), profile(domain), expected()).await;
        for (why, alert) in [of_client, of_server] {
            let VerifyError::Usage(UsageError::Expired { not_after, now }) = &*why else {
                panic!("{why:?}")
            };
            assert_eq!(*not_after, lab.validity.not_after);
            let text = text(&why);
            assert!(
                text.contains(&not_after.to_string()) && text.contains(&now.to_string()),
                "{text}"
            );
            assert_eq!(alert, AlertDescription::CertificateExpired);
        }
    }
}

#[tokio::test]
async fn a_server_for_renewal_accepts_an_mtc_that_expired_a_short_while_ago_and_marks_its_peer() {
    let lab = Lab::new();
    let (smf, amf) = (lab.set(&lab.smf, NEWEST), lab.set(&lab.amf, NEWEST));
    let long_enough = Duration::from_secs(2 * SKEW as u64);
    for (domain, within, accepted) in [
        (MtcLandmark, long_enough, true),
        (MtcStandalone, long_enough, true),
        (MtcStandalone, Duration::from_secs(60), false),
        (X509(DIRECT), long_enough, false),
    ] {
        let server = Server::start(skewed(smf.clone(), SKEW)).await;
        let server = server.with_expired_clients(within);
        let (_, met) = server
            .attempt(&endpoint(amf.clone()), profile(domain), lab.smf.expected())
            .await;
        match met {
            Ok(met) => {
                let peer = met.peer.expect("a client certificate");
                assert!(accepted && peer.expired, "{domain} {within:?}");
            }
            Err(error) => {
                assert!(
                    !accepted && matches!(error, HandshakeError::Refused(_)),
                    "{domain} {within:?}: {error:?}"
                );
            }
        }
    }
    let server = Server::start(endpoint(smf)).await;
    let server = server.with_expired_clients(long_enough);
    let (_, met) = server
        .meet(&endpoint(amf), profile(MtcStandalone), lab.smf.expected())
        .await;
    assert!(!met.peer.expect("a client certificate").expired);
}

#[tokio::test]
async fn a_clock_that_is_behind_finds_mtcs_not_yet_valid_and_says_both_times() {
    let lab = Lab::new();
    let (smf, amf) = (lab.set(&lab.smf, NEWEST), lab.set(&lab.amf, NEWEST));
    let expected = || lab.smf.expected();
    for domain in [MtcLandmark, MtcStandalone] {
        let early = skewed(amf.clone(), -SKEW);
        let of_client =
            refused_by_client(endpoint(smf.clone()), &early, profile(domain), expected()).await;
        let early = skewed(smf.clone(), -SKEW);
        let of_server =
            refused_by_server(early, &endpoint(amf.clone()), profile(domain), expected()).await;
        for (why, alert) in [of_client, of_server] {
            let VerifyError::Usage(UsageError::NotYetValid { not_before, now }) = &*why else {
                panic!("{why:?}")
            };
            assert_eq!(*not_before, lab.validity.not_before);
            let text = text(&why);
            assert!(
                text.contains(&not_before.to_string()) && text.contains(&now.to_string()),
                "{text}"
            );
            assert_eq!(alert, AlertDescription::CertificateExpired);
        }
    }
}

#[tokio::test]
async fn a_wrong_clock_refuses_x509_chains_likewise() {
    let lab = Lab::new();
    let (smf, amf) = (lab.set(&lab.smf, NEWEST), lab.set(&lab.amf, NEWEST));
    for (skew, bound) in [
        (SKEW, lab.validity.not_after),
        (-SKEW, lab.validity.not_before),
    ] {
        for domain in [X509(DIRECT), X509(INTERMEDIATE)] {
            let wrong = skewed(amf.clone(), skew);
            let of_client = refused_by_client(
                endpoint(smf.clone()),
                &wrong,
                profile(domain),
                lab.smf.expected(),
            )
            .await;
            let wrong = skewed(smf.clone(), skew);
            let of_server = refused_by_server(
                wrong,
                &endpoint(amf.clone()),
                profile(domain),
                lab.smf.expected(),
            )
            .await;
            for (why, alert) in [of_client, of_server] {
                let VerifyError::X509(rustls::Error::InvalidCertificate(error)) = &*why else {
                    panic!("{why:?}")
                };
                let now = match error {
                    CertificateError::ExpiredContext { time, .. } if skew > 0 => time,
                    CertificateError::NotValidYetContext { time, .. } if skew < 0 => time,
                    other => panic!("{other:?}"),
                };
                let text = text(&why);
                assert!(text.contains(&bound.0.to_string()), "{text}");
                assert!(text.contains(&now.as_secs().to_string()), "{text}");
                assert_eq!(alert, AlertDescription::CertificateExpired);
            }
        }
    }
}

#[tokio::test]
async fn a_profile_whose_root_is_not_trusted_cannot_be_used() {
    let lab = Lab::new();
    let mut ignorant = lab.set(&lab.amf, NEWEST);
    ignorant.x509_trust.clear();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let (connected, accepted) = server
        .attempt(
            &endpoint(ignorant),
            profile(X509(DIRECT)),
            lab.smf.expected(),
        )
        .await;
    assert!(
        matches!(connected, Err(HandshakeError::Setup(_))),
        "{connected:?}"
    );
    assert!(
        matches!(accepted, Err(HandshakeError::Io(_))),
        "{accepted:?}"
    );
}

#[tokio::test]
async fn a_certificate_for_servers_alone_is_refused_of_a_client_and_accepted_of_a_server() {
    let mut lab = Lab::new();
    let leaf = |nf: &Nf| nf.leaf(LEAF_KEY, lab.validity).for_servers_only();
    let leaves = [leaf(&lab.amf), leaf(&lab.smf)];
    let [of_amf, of_smf] = leaves.each_ref().map(|leaf| lab.mtca.log(leaf));
    lab.mtca.sequence();
    let set = |nf: &Nf, index| lab.set_with(lab.standalone_only(nf, lab.mtca.standalone(index)));
    let (server, client) = (set(&lab.smf, of_smf), endpoint(set(&lab.amf, of_amf)));
    let (profile, expected) = (profile(MtcStandalone), lab.smf.expected());

    let listener = Server::start(endpoint(server.clone())).await;
    listener
        .meet(&lab.amf_endpoint(NEWEST), profile, expected.clone())
        .await;

    let (why, alert) = refused_by_server(endpoint(server), &client, profile, expected).await;
    let VerifyError::Usage(error) = &*why else {
        panic!("{why:?}")
    };
    let alerted = AlertDescription::UnsupportedCertificate;
    assert_eq!(
        (error, alert),
        (&UsageError::ExtendedKeyUsage("clientAuth"), alerted)
    );
}

#[tokio::test]
async fn an_x509_chain_for_servers_alone_is_refused_of_a_client_likewise() {
    let lab = Lab::new();
    for baseline in &lab.baselines {
        let profile = profile(X509(baseline.profile));
        let mut set = lab.set(&lab.amf, NEWEST);
        let leaf = lab.amf.leaf(LEAF_KEY, lab.validity).for_servers_only();
        let mut credential = lab.x509_credential(&lab.amf, baseline, LEAF_KEY);
        credential.credential = lab.credential(&lab.amf, LEAF_KEY, baseline.chain(&leaf));
        set.x509 = vec![credential];
        let (why, alert) = refused_by_server(
            lab.smf_endpoint(NEWEST),
            &endpoint(set),
            profile,
            lab.smf.expected(),
        )
        .await;
        let VerifyError::X509(rustls::Error::InvalidCertificate(error)) = &*why else {
            panic!("{why:?}")
        };
        assert!(
            matches!(
                error,
                CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. }
            ),
            "{error:?}"
        );
        assert_eq!(alert, AlertDescription::UnsupportedCertificate);
    }
}

#[tokio::test]
async fn nobody_there_a_silent_peer_and_one_that_speaks_no_tls_are_three_errors() {
    let lab = Lab::new();
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let addr = server.addr();

    let (silent, tcp) = tokio::join!(TcpStream::connect(addr), server.accept_tcp());
    let endpoint = lab.smf_endpoint(NEWEST);
    let accepted = accept(tcp, &endpoint, ClientAuth::Required, Duration::ZERO);
    assert!(matches!(accepted.await, Err(HandshakeError::Timeout(_))));
    drop(silent);

    let http = async {
        let mut tcp = TcpStream::connect(addr).await?;
        tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").await
    };
    let (sent, accepted) = tokio::join!(http, server.accept());
    sent.unwrap();
    assert!(
        matches!(
            accepted,
            Err(HandshakeError::Tls(rustls::Error::InvalidMessage(_)))
        ),
        "{accepted:?}"
    );

    drop(server);
    let connected = connect(
        addr,
        &lab.amf_endpoint(NEWEST),
        profile(MtcLandmark),
        lab.smf.expected(),
        TIMEOUT,
    )
    .await;
    assert!(
        matches!(connected, Err(HandshakeError::Connect { addr: to, .. }) if to == addr),
        "{connected:?}"
    );
}
