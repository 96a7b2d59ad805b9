//! What survives when processes are killed, stopped or cannot start.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::slice;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use experiment::scenario::Nf;
use hyper::Method;
use hyper::header::{AUTHORIZATION, RETRY_AFTER};
use lab::topology::Topology;
use mtc_core::causes::Causes;
use mtc_tls::csr;
use rustix::process::{Pid, Signal, kill_process};
use sbi::client::Request;
use sbi::credentials::ObtainError;
use sbi::enrolment::{CERTIFICATES, CertificateRequest, MTC_PROFILE};
use sbi::response::Response;
use sbi::trust_file::TrustFile;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use test_support::command::{PATIENCE, Started, await_end_of, binary, processes_of, within};
use test_support::log_copy::LogCopy;
use test_support::run::results_in;
use test_support::test_lab::{Metrics, TestFolder, TestLab, small};
use test_support::test_nf::{TestNf, der, refusal};

/// Enrolments that are under way or still to come when the NRF is killed.
const APPLICANTS: u16 = 24;
/// Certificates that are acknowledged before.
const ACKNOWLEDGED: usize = 6;
/// Enrolments that are under way when the NRF is told to stop.
const UNDER_WAY: u16 = 8;
/// Between looks at metrics: what they tell can only be asked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Null entries that fill one tile and begin another.
const PRELOAD: u64 = 300;

/// Every MTC that the network functions of a lab have stored.
fn stored_certificates(state: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(state).expect("state folder is readable") {
        let path = entry.expect("entry is readable").path();
        if path.is_dir() {
            found.extend(stored_certificates(&path));
            continue;
        }
        let text = std::fs::read(&path).expect("state is readable");
        let Ok(vault) = serde_json::from_slice::<serde_json::Value>(&text) else {
            continue;
        };
        let credentials = vault["credentials"].as_array().cloned().unwrap_or_default();
        for credential in credentials {
            let certificate = credential["chain"][0].as_str().expect("chain has a leaf");
            found.push(
                STANDARD
                    .decode(certificate)
                    .expect("certificates are base64"),
            );
        }
    }
    found
}

/// What became of an enrolment.
type Answer = (TestNf, String, Result<Vec<u8>, ObtainError>);

/// Enrols one after the other of `applicants` in three tasks; answers come as they come.
fn enrol_all(applicants: Vec<(TestNf, String)>) -> mpsc::Receiver<Answer> {
    let (answer, answers) = mpsc::channel(usize::from(APPLICANTS));
    let mut parts: [Vec<_>; 3] = Default::default();
    for (position, applicant) in applicants.into_iter().enumerate() {
        parts[position % 3].push(applicant);
    }
    for part in parts {
        let answer = answer.clone();
        tokio::spawn(async move {
            for (nf, token) in part {
                let result = nf.enrol(&token).await.map(|issued| der(&issued));
                answer
                    .send((nf, token, result))
                    .await
                    .expect("the test listens");
            }
        });
    }
    answers
}

#[tokio::test]
async fn a_killed_nrf_comes_back_with_everything_it_had_acknowledged() {
    let mut plan = small();
    plan.lab.preload = PRELOAD;
    plan.await_landmarks = true;
    let mut lab = TestLab::start(TestFolder::new(&plan)).await;
    let trust = TrustFile::load(&lab.folder.lab.pki.trust).unwrap();
    let log: SocketAddr = lab.folder.lab.nrf.log.address().parse().unwrap();
    let others = [Nf::Amf, Nf::Smf, Nf::Scp];
    let pids = others.map(|nf| lab.pid(nf));
    let before = LogCopy::read(log, &trust).await.checkpoint;

    lab.start_load(20.0, Duration::from_secs(4)).await;
    lab.load_is_under_way().await;
    let applicant = |number| {
        let nf = TestNf::new(&lab.folder.lab, number);
        let token = nf.token();
        (nf, token)
    };
    let mut answers = enrol_all(
        (0..APPLICANTS)
            .map(|number| applicant(100 + number))
            .collect(),
    );
    let mut acknowledged = Vec::new();
    while acknowledged.len() < ACKNOWLEDGED {
        let (_, _, result) = within(answers.recv())
            .await
            .expect("there are more applicants");
        acknowledged.push(result.unwrap());
    }
    lab.topology.kill(Nf::Nrf).await.unwrap();
    let mut refused = Vec::new();
    while let Some((nf, token, result)) = within(answers.recv()).await {
        match result {
            Ok(certificate) => acknowledged.push(certificate),
            Err(_) => refused.push((nf, token)),
        }
    }
    assert!(!refused.is_empty(), "the NRF was killed in the middle");

    lab.topology.restart(Nf::Nrf).await.unwrap();
    // What failed in between is no matter here: sessions need the NRF.
    lab.load_result().await;
    let stored = stored_certificates(&lab.folder.path().join("state"));
    assert_eq!(stored.len(), 4, "one MTC for each NF");
    let copy = LogCopy::read(log, &trust).await;
    for certificate in stored.iter().chain(&acknowledged) {
        copy.expect_certified(certificate, &trust);
    }
    assert_eq!(copy.root_at(before.size), before.root, "the log only grew");

    // A token may have been used up by an answer that never arrived; then, and only then, it is refused.
    for (nf, token) in &refused {
        match nf.enrol(token).await {
            Ok(issued) => acknowledged.push(der(&issued)),
            Err(error) => assert_eq!(refusal(&error).0, 403),
        }
    }
    let newcomer = TestNf::new(&lab.folder.lab, 99);
    acknowledged.push(der(&newcomer.enrol(&newcomer.token()).await.unwrap()));
    let later = LogCopy::read(log, &trust).await;
    assert!(
        later.checkpoint.size > copy.checkpoint.size,
        "the witness cosigned a larger tree"
    );
    for certificate in &acknowledged {
        later.expect_certified(certificate, &trust);
    }

    lab.expect_service().await;
    assert_eq!(
        others.map(|nf| lab.pid(nf)),
        pids,
        "nobody else was restarted"
    );
    lab.topology.stop().await;
}

#[tokio::test]
async fn without_the_witness_nothing_is_issued_and_everything_else_goes_on() {
    let folder = TestFolder::new(&small());
    folder.set("nrf", "witness_deadline_seconds", 1);
    let mut lab = TestLab::start(folder).await;
    let newcomer = TestNf::new(&lab.folder.lab, 100);
    let token = newcomer.token();

    let scp = lab.pid(Nf::Scp);
    signal(scp, Signal::STOP);
    expect_unwitnessed(&newcomer, &token).await;
    signal(scp, Signal::CONT);
    is_enrolled(&newcomer, &token).await;

    let newcomer = TestNf::new(&lab.folder.lab, 101);
    let token = newcomer.token();
    lab.topology.kill(Nf::Scp).await.unwrap();
    lab.start_load(10.0, Duration::from_secs(2)).await;
    expect_unwitnessed(&newcomer, &token).await;
    for variant in lab.load_result().await.variants {
        assert_eq!(variant.errors, [].into());
        assert_eq!(variant.ok, 10);
    }
    lab.topology.restart(Nf::Scp).await.unwrap();
    is_enrolled(&newcomer, &token).await;
    lab.topology.stop().await;
}

#[tokio::test]
async fn enrolments_under_way_when_the_nrf_is_told_to_stop_are_to_be_tried_again() {
    let mut lab = TestLab::start(TestFolder::new(&small())).await;
    let (scp, nrf) = (lab.pid(Nf::Scp), lab.pid(Nf::Nrf));
    let admin = lab.topology.admin(Nf::Nrf).unwrap();
    // Nobody cosigns: one batch waits for the witness, and the others for it.
    signal(scp, Signal::STOP);
    let mut asking = JoinSet::new();
    for number in 0..UNDER_WAY {
        let nf = TestNf::new(&lab.folder.lab, 100 + number);
        let token = nf.token();
        asking.spawn(async move {
            let answer = ask_for_certificate(&nf, &token).await;
            (nf, token, answer)
        });
    }
    within(async {
        while waiting_for_witness(admin).await < f64::from(UNDER_WAY) {
            sleep(LOOK_INTERVAL).await;
        }
    })
    .await;
    signal(nrf, Signal::TERM);
    let answers = within(asking.join_all()).await;
    for (_, _, answer) in &answers {
        assert_eq!(answer.status, 503, "{answer:?}");
        let retry = answer.headers.get(RETRY_AFTER).expect("when to ask again");
        let seconds: u32 = retry.to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
    let error = within(lab.topology.ended()).await.to_string();
    assert!(
        error.contains("nrf ended unexpectedly (exit status: 0)"),
        "{error}"
    );
    signal(scp, Signal::CONT);
    lab.topology.restart(Nf::Nrf).await.unwrap();
    for (nf, token, _) in answers {
        let again = ask_for_certificate(&nf, &token).await;
        assert_eq!(
            again.status, 201,
            "the token is as good as before: {again:?}"
        );
    }
    lab.topology.stop().await;
}

/// Asks the NRF for a certificate, and hears all of its answer.
async fn ask_for_certificate(nf: &TestNf, token: &str) -> Response {
    let csr = csr::create(&nf.key, nf.id(), slice::from_ref(&nf.instance.fqdn)).expect("keys sign");
    let body = CertificateRequest {
        csr: STANDARD.encode(csr),
        profile: MTC_PROFILE.to_owned(),
    };
    let mut request = Request::new(Method::POST, nf.nrf.authority(), CERTIFICATES).json(&body);
    let bearer = format!("Bearer {token}");
    let bearer = bearer.parse().expect("a token fits a header");
    request.headers.insert(AUTHORIZATION, bearer);
    let connection = nf.connect().await.expect("the NRF serves").connection;
    let answer = connection.send(request, PATIENCE).await;
    answer.expect("the NRF answers before it ends")
}

/// Enrolments that wait for the witness, or for a batch that does, by the NRF's metrics.
async fn waiting_for_witness(admin: SocketAddr) -> f64 {
    let metrics = Metrics::read(admin).await;
    let value = |name| metrics.value(name);
    value("mtc_log_signed_entries") - value("mtc_log_entries") + value("mtc_log_queue_entries")
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process ID is not 0");
    kill_process(pid, signal).expect("the process runs");
}

/// The NRF must say soon, and clearly, that it has no witness; the token stays good.
async fn expect_unwitnessed(nf: &TestNf, token: &str) {
    let (status, detail) = refusal(&within(nf.enrol(token)).await.expect_err("nobody cosigns"));
    assert_eq!(status, 503, "{detail}");
    for part in [
        "no certificate can be issued now",
        "1 witnesses must cosign",
        "32473.2",
    ] {
        assert!(detail.contains(part), "{detail}");
    }
}

/// It is enrolled in the end: a witness that is back may take longer for its first cosignature than the NRF waits. Only that is asked again.
async fn is_enrolled(nf: &TestNf, token: &str) {
    within(async {
        while let Err(error) = nf.enrol(token).await {
            let (status, detail) = refusal(&error);
            assert_eq!(status, 503, "{detail}");
            sleep(LOOK_INTERVAL).await;
        }
    })
    .await;
}

/// A scenario that runs for longer than any test.
const LONG: &str = r#"
[scenario]
name = "long"
[lab]
amf = 1
smf = 1
landmark_interval = "1s"
[[variant]]
name = "landmark"
auth = "mtc-landmark"
[load]
operation = "handshake"
warmup = "0s"
stages = [{ rate = 20.0, duration = "10m" }]
max_lateness = "60s" # other processes share this machine: what is tested is not when operations start
"#;

/// Starts a run of [`LONG`] into `folder`.
fn long_run(folder: &Path) -> Started {
    let scenario = folder.join("long.toml");
    std::fs::write(&scenario, LONG).expect("scenario is written");
    Started::new([
        "run".as_ref(),
        scenario.as_os_str(),
        "--out".as_ref(),
        folder.join("out").as_os_str(),
    ])
}

#[tokio::test]
async fn when_the_run_is_killed_its_processes_end_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = long_run(folder.path());
    run.says("measuring").await;
    assert_eq!(processes_of(folder.path()).len(), 4);
    run.signal(Signal::KILL);
    await_end_of(folder.path()).await;
    assert_eq!(processes_of(folder.path()), []);
}

#[tokio::test]
async fn an_interrupted_run_reports_what_it_measured_and_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = long_run(folder.path());
    // A line comes in every five seconds, whichever second it is: when there are two, operations have ended.
    for _ in 0..2 {
        run.says(" of 600 s").await;
    }
    run.signal(Signal::INT);
    let ended = run.end().await;
    assert_eq!(ended.code(), Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("interrupted"), "{}", ended.stderr);
    let results = results_in(&folder.path().join("out"));
    assert!(results.run.interrupted && !results.verdict.passed);
    assert!(
        results.verdict.violations[0].contains("interrupted"),
        "{:?}",
        results.verdict
    );
    let landmark = &results.variants[0];
    assert!(
        landmark.ok > 0 && landmark.errors.is_empty(),
        "{landmark:?}"
    );
    assert_eq!(processes_of(folder.path()), []);
}

#[tokio::test]
async fn a_run_interrupted_while_it_starts_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = long_run(folder.path());
    run.says("starting AMFs").await;
    run.signal(Signal::INT);
    let ended = run.end().await;
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.error().contains("interrupted before the load began"),
        "{}",
        ended.stderr
    );
    // Killed, not drained: they had not begun to serve.
    await_end_of(folder.path()).await;
    assert_eq!(processes_of(folder.path()), []);
}

#[tokio::test]
async fn a_process_that_fails_to_start_takes_the_others_with_it() {
    let folder = TestFolder::new(&small());
    let _taken = TcpListener::bind(folder.lab.nrf.sbi.resolve().await.unwrap()).unwrap();
    let started = within(Topology::start(folder.lab.clone(), binary(), |_| {})).await;
    let error = Causes(&started.err().unwrap()).to_string();
    let address = folder.lab.nrf.sbi.to_string();
    for part in [
        "nrf: cannot listen on",
        &address,
        "SBI",
        "is another process using it?",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(processes_of(folder.path()), []);
}

#[tokio::test]
async fn a_process_that_is_told_to_stop_does_so_while_its_supervisor_stays() {
    let mut lab = TestLab::start(TestFolder::new(&small())).await;
    let mut stops = vec![Signal::TERM, Signal::QUIT];
    if sbi::process::hangup_is_ignored() {
        eprintln!("SIGHUP is not tried: this test runs below nohup, and so do its processes");
    } else {
        // That of a terminal that is gone.
        stops.push(Signal::HUP);
    }
    for stop in stops {
        signal(lab.pid(Nf::Smf), stop);
        let error = within(lab.topology.ended()).await.to_string();
        assert!(
            error.contains("smf ended unexpectedly (exit status: 0)"),
            "{stop:?}: {error}"
        );
        lab.topology.restart(Nf::Smf).await.unwrap();
    }
    lab.topology.stop().await;
}

#[tokio::test]
async fn a_process_that_fails_while_another_is_awaited_is_the_one_that_is_named() {
    let folder = TestFolder::new(&small());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    // The SCP's witness listens by then, so that the NRF is awaited, which would ask it for ever.
    folder.set(
        "scp",
        "admin",
        format!("\"{}\"", taken.local_addr().unwrap()),
    );
    let started = within(Topology::start(folder.lab.clone(), binary(), |_| {})).await;
    let error = started.err().unwrap().to_string();
    assert!(error.contains("scp: cannot listen on"), "{error}");
    assert_eq!(processes_of(folder.path()), []);
}
