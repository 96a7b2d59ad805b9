//! X.509 certificates that were revoked, by CRL and by stapled OCSP response, and peers who do not show whether theirs were.

use std::process::Stdio;
use std::sync::Arc;

use mtc_core::time::UnixTime;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{CredentialSet, Store};
use mtc_tls::endpoint::Endpoint;
use mtc_tls::handshake::HandshakeError;
use mtc_tls::key::{Intermediates, KeyAlgorithm, X509Profile, X509Revocation};
use mtc_tls::peer::VerifyError;
use mtc_tls::pem;
use mtc_tls::profile::TrustDomain::X509;
use mtc_tls::profile::{ConnectionProfile, Tickets};
use mtc_tls::revocation::StatusError;
use mtc_tls::revocation::ocsp::OcspError;
use rustls::AlertDescription;
use tokio::process::Command;

use crate::baseline::Baseline;
use crate::lab::{Lab, endpoint, profile};
use crate::nf::{Nf, Validity};
use crate::resumption::visit;
use crate::server::{Server, alert};

const fn checked(intermediates: Intermediates, revocation: X509Revocation) -> X509Profile {
    X509Profile {
        ca_signature: KeyAlgorithm::EcdsaP256,
        intermediates,
        revocation,
    }
}

const CRL: X509Profile = checked(Intermediates::One, X509Revocation::Crl);
const OCSP: X509Profile = checked(Intermediates::One, X509Revocation::OcspStapled);
const DIRECT_OCSP: X509Profile = checked(Intermediates::None, X509Revocation::OcspStapled);

fn lab(profile: X509Profile) -> Lab {
    Lab::with("32473.1", &[KeyAlgorithm::EcdsaP256], &[profile])
}

/// What an NF has, that knows these lists and staples this answer.
fn set(lab: &Lab, nf: &Nf, lists: Option<Vec<Vec<u8>>>, staple: Option<Vec<u8>>) -> CredentialSet {
    let mut set = lab.set(nf, None);
    if let Some(lists) = lists {
        set.x509_trust[0] = set.x509_trust[0].with_lists(&lists).expect("lists");
    }
    if let Some(staple) = staple {
        set.x509[0].credential = set.x509[0].credential.stapling(staple);
    }
    set
}

fn ended(validity: Validity) -> Validity {
    Validity {
        not_after: UnixTime(validity.not_before.0 + 60),
        ..validity
    }
}

/// What becomes of a handshake: at the client, at the server.
type Verdicts = [Result<(), Arc<VerifyError>>; 2];

async fn meet(lab: &Lab, client: CredentialSet, server: CredentialSet) -> Verdicts {
    let domain = X509(lab.baselines[0].profile);
    let server = Server::start(endpoint(server)).await;
    let client = endpoint(client);
    match server
        .attempt(&client, profile(domain), lab.smf.expected())
        .await
    {
        (Ok(connected), Ok(_)) => {
            let wire = connected.cost.wire.expect("every byte is attributed");
            let staple = wire.received.messages.certificate_status;
            let is_stapled = lab.baselines[0].profile.revocation == X509Revocation::OcspStapled;
            assert_eq!(staple > 0, is_stapled);
            [Ok(()), Ok(())]
        }
        (Err(HandshakeError::Refused(why)), Err(HandshakeError::Alert(_))) => [Err(why), Ok(())],
        (Ok(mut connected), Err(HandshakeError::Refused(why))) => {
            alert(&mut connected.stream).await;
            [Ok(()), Err(why)]
        }
        (connected, accepted) => panic!("{connected:?}, {accepted:?}"),
    }
}

/// The rule that a refusal names.
fn rules(verdicts: &Verdicts) -> [Option<&'static str>; 2] {
    verdicts
        .each_ref()
        .map(|verdict| verdict.as_ref().err().map(|error| error.rule()))
}

#[tokio::test]
async fn who_stands_in_a_crl_is_refused_by_either_side_and_so_is_a_stale_or_missing_crl() {
    let lab = lab(CRL);
    let baseline = &lab.baselines[0];
    let of = |nf, lists| set(&lab, nf, lists, None);
    let good = || Some(baseline.lists(lab.validity, [false, false]));
    for (bad, rule) in [
        (None, "no CRL"),
        (Some(baseline.lists(lab.validity, [false, true])), "revoked"),
        (Some(baseline.lists(lab.validity, [true, false])), "revoked"),
        (
            Some(baseline.lists(ended(lab.validity), [false, false])),
            "stale CRL",
        ),
        // The list of the leaf's issuer alone says nothing of that issuer.
        (good().map(|lists| lists[1..].to_vec()), "no CRL"),
    ] {
        let (client, server) = (of(&lab.amf, bad.clone()), of(&lab.smf, good()));
        assert_eq!(rules(&meet(&lab, client, server).await), [Some(rule), None]);
        let (client, server) = (of(&lab.amf, good()), of(&lab.smf, bad));
        assert_eq!(rules(&meet(&lab, client, server).await), [None, Some(rule)]);
    }
    let (client, server) = (of(&lab.amf, good()), of(&lab.smf, good()));
    assert_eq!(rules(&meet(&lab, client, server).await), [None, None]);
}

#[tokio::test]
async fn lists_of_another_ca_with_the_same_name_are_refused() {
    let lab = lab(CRL);
    let impostor = Baseline::new(CRL, lab.validity);
    let lists = |baseline: &Baseline| Some(baseline.lists(lab.validity, [false, false]));
    let client = set(&lab, &lab.amf, lists(&impostor), None);
    let server = set(&lab, &lab.smf, lists(&lab.baselines[0]), None);
    let [refused, _] = meet(&lab, client, server).await;
    assert_eq!(refused.unwrap_err().rule(), "certificate chain");
}

#[tokio::test]
async fn a_server_staples_that_it_is_good_and_a_client_is_looked_up_in_the_crl() {
    for profile in [OCSP, DIRECT_OCSP] {
        let lab = lab(profile);
        let baseline = &lab.baselines[0];
        let good = || Some(baseline.lists(lab.validity, [false, false]));
        // The client has no list, and needs none.
        let client = || set(&lab, &lab.amf, None, None);
        let server = |lists, staple| set(&lab, &lab.smf, lists, staple);
        let answer = Some(baseline.answer(lab.validity, false));
        let verdicts = meet(&lab, client(), server(good(), answer.clone())).await;
        assert_eq!(rules(&verdicts), [None, None]);

        let impostor = Baseline::new(profile, lab.validity);
        let mut damaged = answer.clone().expect("there is one");
        damaged.pop();
        for (staple, rule) in [
            (None, "no stapled OCSP response"),
            (Some(baseline.answer(lab.validity, true)), "revoked"),
            (
                Some(baseline.answer(ended(lab.validity), false)),
                "stale OCSP response",
            ),
            (Some(impostor.answer(lab.validity, false)), "OCSP response"),
            (Some(damaged), "OCSP response"),
        ] {
            let verdicts = meet(&lab, client(), server(good(), staple)).await;
            assert_eq!(rules(&verdicts), [Some(rule), None]);
        }
        for (lists, rule) in [
            (None, "no CRL"),
            (Some(baseline.lists(lab.validity, [false, true])), "revoked"),
        ] {
            let verdicts = meet(&lab, client(), server(lists, answer.clone())).await;
            assert_eq!(rules(&verdicts), [None, Some(rule)]);
        }
    }
}

/// An open connection is watched with [`Endpoint::revoked`].
#[tokio::test]
async fn a_new_crl_ends_connections_and_sessions_with_who_stands_in_it_at_either_side() {
    for (of, tickets, at_server) in [
        (CRL, Tickets::Stateful, true),
        (CRL, Tickets::Stateless, false),
        (OCSP, Tickets::Stateless, true),
        (OCSP, Tickets::Stateful, false),
    ] {
        let lab = lab(of);
        let baseline = &lab.baselines[0];
        let answer = || Some(baseline.answer(lab.validity, false));
        let lists = |is_revoked| baseline.lists(lab.validity, [false, is_revoked]);
        let stores =
            [&lab.smf, &lab.amf].map(|nf| Store::new(set(&lab, nf, Some(lists(false)), answer())));
        let [server, client] = stores
            .each_ref()
            .map(|store| Endpoint::new(store.receiver(), Clock::default()));
        let watching = if at_server { &server } else { &client }.clone();
        let server = Server::start(server).await;
        let profile = ConnectionProfile {
            tickets,
            ..profile(X509(of))
        };
        let expected = || lab.smf.expected();
        let (connected, accepted) = visit(&server, &client, profile, expected()).await;
        let (again, _) = visit(&server, &client, profile, expected()).await;
        assert!(again.cost.negotiated.resumed);
        let (store, peer) = if at_server {
            (
                &stores[0],
                accepted.peer.expect("it has shown a certificate"),
            )
        } else {
            (&stores[1], connected.peer)
        };
        assert!(!store.current().is_revoked(&peer.certificate));
        let revoked = tokio::spawn(watching.revoked(peer.certificate));
        store.update(|set| {
            set.x509_trust[0] = set.x509_trust[0].with_lists(&lists(true)).expect("lists");
        });
        revoked.await.expect("it is told");
        let (connected, accepted) = server.attempt(&client, profile, expected()).await;
        let error = if at_server {
            accepted.err()
        } else {
            // Its server still staples that it is good.
            connected.err()
        };
        let error = error.expect("it is refused").cause();
        assert_eq!(error, "tls: refused: revoked");
    }
}

#[tokio::test]
async fn a_refusal_names_the_rule_and_is_told_by_its_alert() {
    let lab = lab(OCSP);
    let refused = |staple: Option<Vec<u8>>| async {
        let lists = Some(lab.baselines[0].lists(lab.validity, [false, false]));
        let server = Server::start(endpoint(set(&lab, &lab.smf, lists, staple))).await;
        let client = endpoint(set(&lab, &lab.amf, None, None));
        match server
            .attempt(&client, profile(X509(OCSP)), lab.smf.expected())
            .await
        {
            (Err(HandshakeError::Refused(why)), Err(HandshakeError::Alert(alert))) => (why, alert),
            (connected, accepted) => panic!("{connected:?}, {accepted:?}"),
        }
    };
    let (why, alert) = refused(None).await;
    assert!(matches!(
        &*why,
        VerifyError::Status(StatusError::NotStapled)
    ));
    assert_eq!(alert, AlertDescription::BadCertificateStatusResponse);
    let (why, alert) = refused(Some(lab.baselines[0].answer(lab.validity, true))).await;
    assert!(matches!(
        &*why,
        VerifyError::Status(StatusError::Ocsp(OcspError::Revoked(at))) if *at == lab.validity.not_before
    ));
    assert_eq!(alert, AlertDescription::CertificateRevoked);
}

#[test]
fn a_certificate_without_an_answer_waits_behind_the_one_before_it() {
    let lab = lab(OCSP);
    let mut set = lab.bare_set(lab.mtca.trust(), None);
    let new = || lab.x509_credential(&lab.smf, &lab.baselines[0], KeyAlgorithm::EcdsaP256);
    let (first, second) = (new(), new());
    let answer = lab.baselines[0].answer(lab.validity, false);
    set.present_x509(vec![first.clone()]);
    assert_eq!((set.x509.len(), set.unstapled.len()), (0, 1));
    set.staple(first.credential.leaf(), &answer);
    assert_eq!((set.x509.len(), set.unstapled.len()), (1, 0));
    // What is published again keeps its answer.
    set.present_x509(vec![first.clone()]);
    assert_eq!(set.x509[0].credential.staple(), Some(&answer[..]));
    set.present_x509(vec![second.clone()]);
    assert_eq!(set.x509[0].credential.leaf(), first.credential.leaf());
    set.staple(second.credential.leaf(), &answer);
    assert_eq!((set.x509.len(), set.unstapled.len()), (1, 0));
    assert_eq!(set.x509[0].credential.leaf(), second.credential.leaf());
    set.staple(b"gone", &answer);
    assert_eq!(set.x509.len(), 1);
}

/// What `openssl s_client -status` says of a server.
async fn s_client(lab: &Lab, staple: Vec<u8>) -> String {
    let baseline = &lab.baselines[0];
    let lists = Some(baseline.lists(lab.validity, [false, false]));
    let server = Server::start(endpoint(set(lab, &lab.smf, lists, Some(staple))))
        .await
        .with_optional_client_auth();
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root.pem");
    std::fs::write(&root, pem::encode(pem::CERTIFICATE, &baseline.root)).expect("written");
    let asked = Command::new("openssl")
        .args(["s_client", "-status", "-tls1_3", "-verify_return_error"])
        .args(["-groups", "X25519", "-connect", &server.addr().to_string()])
        .arg("-CAfile")
        .arg(&root)
        .arg("-requestCAfile")
        .arg(&root)
        .stdin(Stdio::null())
        .output();
    let (said, accepted) = tokio::join!(asked, server.accept());
    accepted.expect("openssl connects");
    let said = said.expect("openssl is installed");
    String::from_utf8_lossy(&said.stdout).into_owned()
}

#[tokio::test]
async fn openssl_reads_what_is_stapled() {
    let lab = lab(OCSP);
    let baseline = &lab.baselines[0];
    for (is_revoked, status) in [(false, "Cert Status: good"), (true, "Cert Status: revoked")] {
        let said = s_client(&lab, baseline.answer(lab.validity, is_revoked)).await;
        for expected in ["OCSP Response Status: successful (0x0)", status] {
            assert!(said.contains(expected), "{said}");
        }
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    }
}
