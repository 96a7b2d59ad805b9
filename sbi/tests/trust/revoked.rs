//! Revoked serial numbers: whose lists are applied, and what holds after a restart.

use std::sync::Arc;

use hyper::Method;
use mtc_core::id::{EntryIndex, serial};
use mtc_core::revocation_list::{RevocationList, RevocationListError};
use mtc_core::time::UnixTime;
use mtc_core::verify::RevokedRange;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::CredentialSet;
use mtc_tls::handshake::HandshakeError;
use mtc_tls::kind::CertificateKind;
use mtc_tls::peer::ExpectedPeer;
use mtc_tls::profile::ClientAuth;
use sbi::client::{self, ClientError};
use sbi::instance::Instance;
use sbi::ledger::Ledger;
use sbi::limits::Limits;
use sbi::listener::{Host, Hosts, bind, serve_sbi};
use sbi::model::{NfInstanceId, NfType};
use sbi::problem::Problem;
use sbi::process::Stop;
use sbi::response::Response;
use sbi::server::{Handler, Request};
use sbi::trust::{RevocationError, TrustError, TrustUpdater};
use tokio::time::timeout;

use crate::log::{CERTIFIED, FQDN, SIZE, Signer};
use crate::{DEADLINE, Scene};

fn list(scene: &Scene, number: u64, entries: &[u64]) -> RevocationList {
    let log = &scene.log;
    let single = |index: &u64| {
        let serial = serial(log.id.number(), EntryIndex(*index)).expect("an entry");
        RevokedRange {
            first: serial,
            last: serial,
        }
    };
    RevocationList {
        ca: log.ca.id(),
        number,
        issued: UnixTime(1_000),
        next: UnixTime(2_000),
        ranges: entries.iter().map(single).collect(),
    }
}

fn show(scene: &Scene, list: &RevocationList, signer: &Signer) {
    let note = list.sign(signer.secret()).expect("few ranges");
    scene.server.show("revoked", note);
}

fn refusal(error: TrustError) -> RevocationError {
    match error {
        TrustError::Revocation(refused) => refused,
        other => panic!("{other}"),
    }
}

fn number(updater: &TrustUpdater) -> Option<u64> {
    updater.revocation_list().map(|list| list.number)
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_in_both_forms_and_others_are_not() {
    let mut scene = Scene::trusting(2).await;
    let [relative, _, standalone] = CERTIFIED;
    assert_eq!(number(&scene.updater), None, "the log shows no list");
    show(
        &scene,
        &list(&scene, 1, &[relative, standalone]),
        &scene.log.ca,
    );
    let trust = scene.update().await.expect("an honest log");
    assert!(trust.is_some(), "new trust without new landmarks");
    for index in [relative, standalone] {
        let refused = scene.try_handshake(index).await.expect_err("revoked");
        assert!(
            matches!(&refused, HandshakeError::Refused(error) if error.rule() == "revoked"),
            "{refused:?}"
        );
    }
    let kind = scene.handshake(CERTIFIED[1]).await;
    assert_eq!(kind, CertificateKind::LandmarkRelative);
    show(&scene, &list(&scene, 2, &[relative]), &scene.log.ca);
    scene.update().await.expect("an honest log");
    let kind = scene.handshake(standalone).await;
    assert_eq!(kind, CertificateKind::Standalone, "no longer on the list");
}

#[tokio::test]
async fn lists_that_go_back_or_fork_or_are_gone_leave_the_one_in_force() {
    let mut scene = Scene::trusting(1).await;
    let revoked = CERTIFIED[0];
    let newest = list(&scene, 7, &[revoked]);
    show(&scene, &newest, &scene.log.ca);
    scene.update().await.expect("an honest log");
    show(&scene, &list(&scene, 6, &[]), &scene.log.ca);
    let error = refusal(scene.refused().await);
    assert!(
        matches!(error, RevocationError::WentBack { before: 7, now: 6 }),
        "{error}"
    );
    show(&scene, &list(&scene, 7, &[]), &scene.log.ca);
    let error = refusal(scene.refused().await);
    assert!(matches!(error, RevocationError::Forked(7)), "{error}");
    scene.server.hide("revoked");
    let error = refusal(scene.refused().await);
    assert!(matches!(error, RevocationError::Gone(7)), "{error}");
    assert!(scene.try_handshake(revoked).await.is_err());
    // Signed once more, it is the same.
    show(&scene, &newest, &scene.log.ca);
    assert!(scene.update().await.expect("the list in force").is_none());
}

#[tokio::test]
async fn a_list_that_another_key_has_signed_or_that_was_changed_is_refused() {
    let mut scene = Scene::trusting(1).await;
    show(
        &scene,
        &list(&scene, 1, &[CERTIFIED[0]]),
        &scene.log.witness,
    );
    let error = refusal(scene.refused().await);
    let unsigned = RevocationError::List(RevocationListError::NotSigned(scene.log.ca.id()));
    assert_eq!(error.to_string(), unsigned.to_string());
    let signed = list(&scene, 1, &[]).sign(scene.log.ca.secret()).unwrap();
    for damaged in [signed.replace("\n1\n", "\n2\n"), "x".repeat(600_000)] {
        scene.server.show("revoked", damaged);
        let error = refusal(scene.refused().await);
        assert!(matches!(error, RevocationError::List(_)), "{error}");
    }
    assert_eq!(number(&scene.updater), None);
    assert!(scene.try_handshake(CERTIFIED[0]).await.is_ok());
}

#[tokio::test]
async fn a_bad_list_keeps_no_landmark_from_being_trusted() {
    let mut scene = Scene::new().await;
    scene.server.show("revoked", "no list");
    scene.show(2, SIZE);
    scene.updated().await;
    scene.assert_trusted(2).await;
}

#[tokio::test]
async fn after_a_restart_the_list_is_in_force_at_once_and_no_older_one_is_taken() {
    let mut scene = Scene::trusting(1).await;
    let folder = tempfile::tempdir().unwrap();
    let restarted = |scene: &Scene| {
        let log = &scene.log;
        let updater = TrustUpdater::new(scene.server.addr, [log.id.number()], log.policy());
        updater
            .expect("a short ID")
            .keeping_revoked_in(folder.path())
    };
    scene.updater = restarted(&scene).expect("an empty folder");
    let revoked = CERTIFIED[0];
    show(&scene, &list(&scene, 7, &[revoked]), &scene.log.ca);
    scene.update().await.expect("an honest log");
    scene.updater = restarted(&scene).expect("a list");
    assert_eq!(number(&scene.updater), Some(7));
    assert!(
        scene.try_handshake(revoked).await.is_err(),
        "before any look"
    );
    show(&scene, &list(&scene, 6, &[]), &scene.log.ca);
    // The landmarks are new to it; the list is not taken all the same.
    scene.update().await.expect("landmarks");
    assert_eq!(number(&scene.updater), Some(7));
    let error = refusal(scene.refused().await);
    assert!(matches!(error, RevocationError::WentBack { .. }), "{error}");
    assert!(scene.try_handshake(revoked).await.is_err());
    std::fs::write(folder.path().join("revoked"), "damaged").unwrap();
    let error = restarted(&scene).err().map(refusal);
    assert!(
        matches!(error, Some(RevocationError::Damaged { .. })),
        "{error:?}"
    );
}

/// Answers nothing until the test is over.
struct Silent;

impl Handler for Silent {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        if request.path == "/wait" {
            std::future::pending::<()>().await;
        }
        Ok(Response::no_content())
    }
}

fn instance(scene: &Scene, index: u64) -> Arc<Instance> {
    let set = CredentialSet {
        mtc: vec![scene.log.credential(index)],
        ..CredentialSet::new(scene.updater.trust().clone(), Vec::new())
    };
    let id = NfInstanceId::from(uuid::Uuid::from_u128(u128::from(index)));
    let ledger = Arc::new(Ledger::default());
    Arc::new(Instance::new(
        id,
        NfType::Smf,
        FQDN.to_owned(),
        set,
        Clock::default(),
        ledger,
    ))
}

/// Whom a list with this entry makes refuse it.
fn applies(scene: &Scene, entry: u64, instance: &Instance) {
    let revoked = list(scene, 1, &[entry]).ranges;
    instance
        .store
        .update(|set| set.mtc_trust = set.mtc_trust.with_revoked(&revoked));
}

fn closed(instance: &Instance, side: &str) -> u64 {
    let closed = &instance.ledger().metrics().revocation.closed;
    closed.with_label_values(&[side]).get()
}

#[tokio::test]
async fn open_connections_end_at_whoever_learns_that_the_other_is_revoked() {
    let scene = Scene::trusting(3).await;
    let [of_server, of_client, of_another] = CERTIFIED;
    for at_server in [true, false] {
        let (server, client, another) = (
            instance(&scene, of_server),
            instance(&scene, of_client),
            instance(&scene, of_another),
        );
        let (listener, addr) = bind(([127, 0, 0, 1], 0).into(), "SBI", "listen").unwrap();
        let hosts = Hosts::One(Host {
            endpoint: server.endpoint().clone(),
            handler: Arc::new(Silent),
        });
        let (_stopper, stop) = Stop::new();
        let ledger = server.ledger().clone();
        let auth = ClientAuth::Required;
        tokio::spawn(serve_sbi(
            listener,
            hosts,
            auth,
            ledger,
            Limits::default(),
            stop,
        ));
        let expected = ExpectedPeer {
            fqdn: FQDN.to_owned(),
            instance_id: None,
            nf_type: None,
        };
        let open = async |by: &Instance| {
            let opened = by.open(addr, by.own_offer(), expected.clone()).await;
            opened.expect("nobody is revoked yet").connection
        };
        let (connection, others) = (open(&client).await, open(&another).await);
        let get = |path: &str| client::Request::new(Method::GET, FQDN, path);
        let answer = connection.send(get("/"), DEADLINE).await.unwrap();
        assert_eq!(answer.status, 204);

        if at_server {
            applies(&scene, of_client, &server);
        } else {
            applies(&scene, of_server, &client);
        }
        // Whatever is under way ends with it.
        let waiting = connection.send(get("/wait"), DEADLINE).await;
        assert!(matches!(waiting, Err(ClientError::Http2(_))), "{waiting:?}");
        timeout(DEADLINE, connection.ended()).await.expect("closed");
        let (by_server, by_client) = (closed(&server, "server"), closed(&client, "client"));
        assert_eq!(
            (by_server, by_client),
            if at_server { (1, 0) } else { (0, 1) }
        );
        let answer = others.send(get("/"), DEADLINE).await.unwrap();
        assert_eq!(answer.status, 204, "another's connection stays");
        // Of TLS 1.3 a client may think that it is done before it hears that it is refused.
        let refused = match client
            .open(addr, client.own_offer(), expected.clone())
            .await
        {
            Ok(opened) => opened.connection.send(get("/"), DEADLINE).await.is_err(),
            Err(_) => true,
        };
        assert!(refused);
    }
}
