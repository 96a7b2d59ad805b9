//! Revocation in a running lab: by command, through the list that the NRF publishes, to processes that refuse who is revoked; and the same
//! list, with landmarks, through the files of a distributor, or on demand.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use experiment::scenario::{LoadPlan, Nf, OperationKind};
use lab::load::Progress;
use lab::topology::Plan;
use mtc_core::x509::Certificate;
use mtc_distributor::sets::Status;
use mtc_tls::key::{Intermediates, KeyAlgorithm, X509Profile, X509Revocation};
use mtc_tls::kind::CertificateKind;
use mtc_tls::revocation::crl::{Crl, MAX_CRL};
use mtc_tls::revocation::crl_paths;
use mtc_tools::certificate_file::read_certificate;
use mtc_web::{Client, Prefix};
use nf_nrf::config::NrfConfig;
use nf_nrf::revocation::{Answer, PublishedList};
use sbi::ledger::{Learning, LookTotals};
use sbi::orders::Order;
use sbi::process::Event;
use tokio::time::sleep;

use test_support::command::{Ended, mtc5g, within};
use test_support::distributor::Distributor;
use test_support::test_lab::{LEAF_KEY, LOOK_INTERVAL, Metrics, TestFolder, TestLab, shows, small};
use test_support::test_nf::TestNf;

/// How the peer of whoever is revoked says so.
const REFUSED: &str = "CertificateRevoked";
/// Operations of which some are of either variant, which take turns.
const ENOUGH: u64 = 20;

async fn revoke(lab: &str, arguments: &[&str]) -> Ended {
    mtc5g([&["revoke", lab], arguments].concat()).await
}

fn json<T: serde::de::DeserializeOwned>(ended: &Ended) -> T {
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("one document")
}

/// Waits until a list is in force in a process.
async fn is_in_force(lab: &mut TestLab, nf: Nf, number: u64) {
    let admin = lab.topology.admin(nf).expect("it was started");
    shows(admin, |metrics| {
        metrics.value("mtc_revocation_list_number") >= number as f64
    })
    .await;
}

/// A short load in which nothing may succeed.
async fn is_refused(lab: &mut TestLab) {
    lab.start_load(20.0, Duration::from_secs(1)).await;
    for variant in lab.load_result().await.variants {
        assert!(variant.attempts > 0 && variant.ok == 0, "{variant:?}");
        let revoked = |cause: &String| cause.contains(REFUSED);
        assert!(variant.errors.keys().any(revoked), "{:?}", variant.errors);
    }
}

#[tokio::test]
async fn an_x509_certificate_is_in_the_crl_when_the_command_returns() {
    let profile = X509Profile {
        ca_signature: KeyAlgorithm::EcdsaP256,
        intermediates: Intermediates::None,
        revocation: X509Revocation::Crl,
    };
    let folder = TestFolder::new(&Plan {
        x509: vec![(profile, KeyAlgorithm::EcdsaP256)],
        ..small()
    });
    let path = folder.path().to_str().expect("temporary folders are text");
    let path = path.to_owned();
    let nrf: NrfConfig = sbi::config::load(&folder.lab.config_file("nrf")).expect("it is sound");
    let _lab = TestLab::start(folder).await;
    let own = format!("{path}/amf1");
    let exported = mtc5g(["identity", "export", &path, "amf1", &own]).await;
    assert_eq!(exported.code(), Some(0), "{}", exported.stderr);
    let file = format!("{own}/x509-{profile}-ecdsa-p256.pem");
    let leaf = read_certificate(Path::new(&file)).expect("a certificate");
    let serial = Certificate::parse(&leaf).expect("a certificate").serial;
    let prefix: Prefix = nrf.log_listen.into();
    let client = Client::new(prefix, Duration::from_secs(10)).expect("no TLS");
    let url = crl_paths(profile).last().expect("of the leaves' issuer");
    let has_it = async || {
        let list = client.file(&url, MAX_CRL).await.expect("it is served");
        let serials =
            Crl::parse(&list).and_then(|list| list.serials().map(|of| of.contains(&serial)));
        serials.expect("a list")
    };
    assert!(!has_it().await);
    for _ in 0..2 {
        let answer: Answer = json(&revoke(&path, &["--certificate", &file, "--json"]).await);
        assert_eq!((answer.revoked, answer.list), (vec![], None));
        assert!(has_it().await);
    }
    let said = revoke(&path, &["--certificate", &file]).await;
    assert!(said.stdout.contains("CRLs"), "{}", said.stdout);
}

#[tokio::test]
async fn who_is_revoked_is_refused_by_all_and_stays_so_after_crashes() {
    let folder = TestFolder::new(&small());
    let path = folder.path().to_str().expect("temporary folders are text");
    let path = path.to_owned();
    let id_of = |nf_type: &str| {
        let mut instances = folder.lab.instances.iter();
        let found = instances.find(|nf| nf.nf_type == nf_type);
        found.expect("there is one").instance_id.to_string()
    };
    let (amf, unknown) = (id_of("AMF"), uuid::Uuid::nil().to_string());
    let mut lab = TestLab::start(folder).await;
    lab.expect_service().await;
    let empty: PublishedList = json(&revoke(&path, &["--list", "--json"]).await);
    assert!(empty.ranges.is_empty());

    let nobody = revoke(&path, &["--instance", &unknown]).await;
    assert_eq!(nobody.code(), Some(1));
    assert!(nobody.error().contains("404"), "{}", nobody.stderr);
    let future = revoke(&path, &["--serial", "1:0-1:99999"]).await;
    assert_eq!(future.code(), Some(1));
    assert!(future.error().contains("issued"), "{}", future.stderr);

    // It works when the order comes, and goes on until it has been refused, however long the order takes.
    lab.start_load(20.0, Duration::from_secs(600)).await;
    let is_good = |progress: Progress| progress.done - progress.errors >= ENOUGH;
    while !is_good(lab.load_is_under_way().await) {}
    let order = ["--instance", &amf, "--reason", "key-compromise", "--json"];
    let answer: Answer = json(&revoke(&path, &order).await);
    let list = answer.list.expect("it is published");
    assert!(list.number > empty.number);
    assert_eq!(list.ranges.len(), answer.revoked.len());
    for nf in [Nf::Nrf, Nf::Scp, Nf::Amf, Nf::Smf] {
        is_in_force(&mut lab, nf, list.number).await;
    }
    let refused_before = lab.load_is_under_way().await.errors;
    within(async { while lab.load_is_under_way().await.errors < refused_before + ENOUGH {} }).await;
    for variant in lab.end_load().await.variants {
        let refused = variant.errors.keys().any(|cause| cause.contains(REFUSED));
        assert!(variant.ok > 0 && refused, "{variant:?}");
    }
    is_refused(&mut lab).await;

    // Both come back with what they knew, whatever the other knows.
    for nf in [Nf::Smf, Nf::Nrf] {
        within(lab.topology.kill(nf)).await.expect("it was running");
        within(lab.topology.restart(nf)).await.expect("it starts");
        is_in_force(&mut lab, nf, list.number).await;
        is_refused(&mut lab).await;
    }
    let again: PublishedList = json(&revoke(&path, &["--list", "--json"]).await);
    assert!(again.number >= list.number);
    assert_eq!(again.ranges, list.ranges);
    let repeated: Answer = json(&revoke(&path, &order).await);
    assert_eq!(repeated.revoked, answer.revoked, "carried out once");
}

async fn status(distributor: &Distributor) -> Status {
    json(&distributor.order(&["status", "--json"]).await)
}

/// A short load over landmark-relative certificates, of which none may fall back to another kind.
async fn shows_landmark_certificates(lab: &mut TestLab) {
    let profile = format!("mtc-landmark/{LEAF_KEY}/X25519MLKEM768");
    let plan = LoadPlan::steady(OperationKind::Handshake, 10.0, Duration::from_secs(1));
    lab.start_load_of(plan, vec![profile.clone()]).await;
    for variant in lab.load_result().await.variants {
        assert_eq!(variant.errors, [].into());
        let kinds = &variant.handshakes.received;
        assert!(kinds.of(CertificateKind::LandmarkRelative) > 0, "{kinds:?}");
        let others = kinds.other_than(CertificateKind::LandmarkRelative);
        assert!(others.is_empty(), "{kinds:?}");
    }
}

#[tokio::test]
async fn one_process_of_a_node_asks_the_log_for_all_and_its_operator_can_go_back() {
    let folder = TestFolder::new(&Plan {
        await_landmarks: true,
        ..small()
    });
    let path = folder.path().to_owned();
    let mut distributor = Distributor::add_to(&folder).await;
    let mut lab = TestLab::start(folder).await;
    let amf = lab.topology.admin(Nf::Amf).expect("it was started");
    shows_landmark_certificates(&mut lab).await;
    let early = distributor.order(&["rollback", "--to", "1"]).await;
    assert_eq!(early.code(), Some(1));
    assert!(early.error().contains("set-1"), "{}", early.stderr);
    let not_pinned = distributor.order(&["unpin"]).await;
    assert!(
        not_pinned.error().contains("is not pinned"),
        "{}",
        not_pinned.stderr
    );

    // The log grows, and so do landmarks.
    let newest = Metrics::read(amf).await.value("mtc_newest_landmark");
    let nf = TestNf::new(&lab.folder.lab, 90);
    nf.enrol(&nf.token()).await.expect("a certificate");
    shows(amf, |metrics| metrics.value("mtc_newest_landmark") > newest).await;

    let before = status(&distributor).await;
    let bounded = std::fs::read_to_string(&distributor.config).expect("a configuration");
    let strict = path.join("strict.toml");
    std::fs::write(&strict, bounded + "rollback_seconds = 0\n").expect("written");
    let strict = strict.to_str().expect("temporary folders are text");
    let too_old = mtc5g(["distribute", "rollback", "--config", strict]).await;
    assert_eq!(too_old.code(), Some(1));
    assert!(
        too_old.error().contains("rollback_seconds = 0"),
        "{}",
        too_old.stderr
    );
    assert_eq!(status(&distributor).await.current, before.current);
    let back = distributor.order(&["rollback"]).await;
    assert_eq!(back.code(), Some(0), "{}", back.stderr);
    assert!(back.stderr.contains("ROLLED BACK"), "{}", back.stderr);
    shows(amf, |metrics| {
        metrics.value("mtc_newest_landmark") <= newest
    })
    .await;
    shows(distributor.admin, |metrics| {
        metrics.value("mtc_distribution_rolled_back") == 1.0
    })
    .await;
    // Whoever runs says so, and not the command alone.
    distributor.says("ROLLED BACK").await;
    let log = lab.folder.lab.log_file("amf");
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(log.contains("ROLLED BACK"), "{log}");
    let after = status(&distributor).await;
    assert!(after.current > before.current);
    let pin = after.sets.last().and_then(|set| set.pin.clone());
    assert_eq!(pin.expect("it is pinned").rolled_back_from, before.current);

    // What is revoked goes on.
    let path = path.to_str().expect("temporary folders are text");
    let order = revoke(path, &["--serial", "1:0", "--json"]).await;
    let list = json::<Answer>(&order).list.expect("it is published");
    is_in_force(&mut lab, Nf::Amf, list.number).await;
    let held = Metrics::read(amf).await.value("mtc_newest_landmark");
    assert!(held <= newest, "landmark {held} is newer than {newest}");

    let unpinned = distributor.order(&["unpin"]).await;
    assert_eq!(unpinned.code(), Some(0), "{}", unpinned.stderr);
    shows(amf, |metrics| metrics.value("mtc_newest_landmark") > newest).await;

    // While nobody mends it, somebody writes what nobody has signed.
    distributor.kill().await;
    distributor.replace_current(&distributor.poisoned());
    shows(amf, |metrics| {
        metrics.value("mtc_distribution_refused_total") > 0.0
    })
    .await;
    shows_landmark_certificates(&mut lab).await;
    distributor.restart().await;
    shows(distributor.admin, |metrics| {
        metrics.value("mtc_distribution_set") > 0.0
    })
    .await;
    let mended = status(&distributor).await;
    let refused = mended.sets.last().map(|set| set.refused.clone());
    assert_eq!(refused, Some(None), "{mended:?}");
    let number = mended.current.expect("there is one") as f64;
    shows(amf, |metrics| {
        metrics.value("mtc_distribution_taken_set") >= number
    })
    .await;
    assert_eq!(distributor.readers_asked(), 0, "the log is asked by one");
    lab.topology.stop().await;
}

#[tokio::test]
async fn on_demand_the_log_is_asked_when_a_peer_shows_what_no_known_landmark_covers() {
    let folder = TestFolder::new(&Plan {
        await_landmarks: true,
        ..small()
    });
    folder.set(
        "amf",
        "trust_interval_ms",
        "3600000\ntrust_on_demand_ms = 50",
    );
    let mut lab = TestLab::start(folder).await;
    let mut admin_of = |nf| lab.topology.admin(nf).expect("it was started");
    let (amf, nrf) = (admin_of(Nf::Amf), admin_of(Nf::Nrf));
    let first_look = |metrics: &Metrics| {
        let of = |result| format!("mtc_trust_updates_total{{result=\"{result}\"}}");
        let looks = ["new", "unchanged"].map(|result| metrics.value_or_zero(&of(result)));
        looks.iter().sum::<f64>() > 0.0
    };
    shows(amf, first_look).await;
    let before = Metrics::read(amf).await;
    let started = learning(&mut lab, Nf::Amf).await;
    let newest = before.value("mtc_newest_landmark");

    // A landmark covers new certificates of the SMF, and the AMF has not met them.
    let order = Order::ReEnrol { instance: 0 };
    let ordered = lab.topology.order(Nf::Smf, order).await;
    ordered.expect("the SMF hears");
    let smf = lab.topology.child(Nf::Smf).expect("it was started");
    while !matches!(
        within(smf.next_event()).await.expect("the SMF runs"),
        Event::ReEnrolled { .. }
    ) {}
    shows(nrf, |metrics| {
        metrics.value("mtc_log_newest_landmark") > newest
            && metrics.value("mtc_log_landmark_entries") == metrics.value("mtc_log_entries")
    })
    .await;
    let unasked = Metrics::read(amf).await;
    for metric in ["mtc_newest_landmark", "mtc_trust_read_bytes_total"] {
        assert_eq!(unasked.value(metric), before.value(metric), "{metric}");
    }

    let plan = LoadPlan::steady(OperationKind::Handshake, 20.0, Duration::from_secs(1));
    let profile = format!("mtc-landmark/{LEAF_KEY}/X25519MLKEM768");
    lab.start_load_of(plan, vec![profile]).await;
    for variant in lab.load_result().await.variants {
        assert_eq!(variant.errors, [].into());
        let kinds = &variant.handshakes.received;
        assert!(kinds.of(CertificateKind::Standalone) > 0, "{kinds:?}");
    }
    let published = Metrics::read(nrf).await.value("mtc_log_newest_landmark");
    shows(amf, |metrics| {
        metrics.value("mtc_newest_landmark") >= published
    })
    .await;
    counts_what_its_metrics_show(&mut lab, amf, &started, &before).await;
    lab.topology.stop().await;
}

/// What a process has done to learn of landmarks.
async fn learning(lab: &mut TestLab, nf: Nf) -> Learning {
    let measured = lab.topology.measurements(nf).await;
    measured.expect("it answers").learning
}

/// The AMF's looks since it had `started`, of which results are made, come to be those that its metrics show since `before`; and what it has
/// learned, the NRF has published earlier.
async fn counts_what_its_metrics_show(
    lab: &mut TestLab,
    amf: SocketAddr,
    started: &Learning,
    before: &Metrics,
) {
    let shown = |metrics: &Metrics| {
        let looks = ["new", "unchanged", "failed"]
            .map(|of| format!("mtc_trust_updates_total{{result=\"{of}\"}}"))
            .map(|series| metrics.value_or_zero(&series));
        let cost = ["mtc_trust_read_bytes_total", "mtc_trust_cpu_seconds_total"]
            .map(|name| metrics.value(name));
        [&looks[..], &cost].concat()
    };
    let compared = async {
        loop {
            let learned = learning(lab, Nf::Amf).await.since(started);
            let metrics = Metrics::read(amf).await;
            let [learner] = &learned.learners[..] else {
                panic!("one process: {learned:?}");
            };
            let looks = [learner.new, learner.unchanged, learner.failed];
            let sum = |of: fn(&LookTotals) -> u64| looks.iter().map(of).sum::<u64>() as f64;
            let cost = [sum(|of| of.octets), sum(|of| of.cpu_ns) / 1e9];
            let counts = looks.map(|of| of.count as f64);
            let counted = [&counts[..], &cost].concat();
            let earlier = shown(before).into_iter();
            let differences = shown(&metrics).into_iter().zip(earlier);
            let mut pairs = differences.map(|(now, before)| now - before).zip(counted);
            // A look may be between one answer and the other.
            if pairs.all(|(shown, counted)| (shown - counted).abs() < 1e-6) {
                break learner.clone();
            }
            sleep(LOOK_INTERVAL).await;
        }
    };
    let amf = within(compared).await;
    assert!(amf.new.count > 0 && amf.new.octets > 0 && amf.new.cpu_ns > 0);
    assert!(amf.known.is_some() && !amf.learned.is_empty(), "{amf:?}");
    let published = learning(lab, Nf::Nrf).await.published;
    for learned in &amf.learned {
        let same = published.iter().find(|of| of.landmark == learned.landmark);
        let same = same.expect("the NRF has published it");
        // It says so a moment after others could read it.
        assert!(same.at_ms <= learned.at_ms + 1000, "{same:?} {learned:?}");
    }
}
