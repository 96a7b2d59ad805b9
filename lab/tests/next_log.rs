//! The CA goes on with another log, in a whole lab of processes: nobody else is restarted, nobody is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use experiment::scenario::Nf;
use hyper::Method;
use mtc_core::causes::Causes;
use mtc_core::certificate::Certificate;
use mtc_core::id::LogNumber;
use sbi::client::{Connection, Request};
use sbi::trust_file::TrustFile;
use tokio::time::sleep;

use test_support::command::within;
use test_support::log_copy::LogCopy;
use test_support::test_lab::{TestFolder, TestLab, mint, now, small};
use test_support::test_nf::{TestNf, der};

const LOOK_INTERVAL: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(10);

/// What relying parties believe, with `log` as the log that [`LogCopy`] reads.
fn reading(trust: &TrustFile, log: u64) -> TrustFile {
    TrustFile {
        logs: vec![LogNumber::new(log).expect("a log number")],
        ..trust.clone()
    }
}

/// The files below a folder, but for the lock and a retired log's marker.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("folder is readable") {
        let path = entry.expect("entry is readable").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with("lock") && !path.ends_with("retired") {
            let content = std::fs::read(&path).expect("file is readable");
            found.insert(path, content);
        }
    }
    found
}

/// Damages the newest tile of log 1.
fn damage(log: &Path) {
    let tiles = log.join("log/tile/0/000.p");
    let entries = std::fs::read_dir(&tiles).expect("tiles are there");
    let widths = entries.map(|entry| entry.expect("entry is readable").file_name());
    let newest =
        widths.max_by_key(|width| width.to_str().and_then(|width| width.parse::<u16>().ok()));
    let newest = tiles.join(newest.expect("there is a tile"));
    let mut hashes = std::fs::read(&newest).expect("tile is readable");
    hashes[0] ^= 1;
    std::fs::write(&newest, hashes).expect("tile is written");
}

/// The status of an object of the logs.
async fn status(log: SocketAddr, path: &str) -> u16 {
    let connection = Connection::connect_cleartext(log, DEADLINE)
        .await
        .expect("the log answers");
    let request = Request::new(Method::GET, log.to_string(), path);
    let answered = connection.send(request, DEADLINE).await;
    answered.expect("the log answers").status.as_u16()
}

async fn await_checkpoint(log: SocketAddr, number: u64) {
    within(async {
        while status(log, &format!("/{number}/checkpoint")).await != 200 {
            sleep(LOOK_INTERVAL).await;
        }
    })
    .await;
}

/// The log of a certificate.
fn log_of(certificate: &[u8]) -> u16 {
    let parsed = Certificate::parse(certificate).expect("an MTC");
    parsed.entry().expect("a serial number of a log").0.get()
}

#[tokio::test]
async fn a_lab_whose_log_is_damaged_goes_on_with_the_next_one() {
    let mut plan = small();
    plan.await_landmarks = true;
    let mut lab = TestLab::start(TestFolder::new(&plan)).await;
    let trust = TrustFile::load(&lab.folder.lab.pki.trust).unwrap();
    let log: SocketAddr = lab.folder.lab.nrf.log.address().parse().unwrap();
    let old_nf = TestNf::new(&lab.folder.lab, 90);
    let old = der(&old_nf.enrol(&old_nf.token()).await.unwrap());
    assert_eq!(log_of(&old), 1);
    let others = [Nf::Amf, Nf::Scp];
    let pids = others.map(|nf| lab.pid(nf));

    lab.topology.kill(Nf::Nrf).await.unwrap();
    let first_log = lab.folder.path().join("log");
    damage(&first_log);
    let damaged = files(&first_log);
    let error = lab.topology.restart(Nf::Nrf).await.unwrap_err();
    let message = Causes(&error).to_string();
    assert!(message.contains("--next-log 2"), "{message}");
    assert!(!lab.folder.path().join("log-2").exists());

    within(lab.topology.restart_with(Nf::Nrf, &["--next-log", "2"]))
        .await
        .unwrap();
    // The NRF's own certificate is the first of the new log.
    await_checkpoint(log, 2).await;
    assert_eq!(
        status(log, "/1/checkpoint").await,
        200,
        "the old log is served"
    );

    let new_nf = TestNf::new(&lab.folder.lab, 91);
    let new = der(&new_nf.enrol(&new_nf.token()).await.unwrap());
    assert_eq!(log_of(&new), 2);
    LogCopy::read(log, &reading(&trust, 2))
        .await
        .expect_certified(&new, &trust);
    trust
        .trust
        .verify_issuance(&old)
        .expect("certificates of the old log stay valid");
    old_nf.present(old);
    old_nf.connect().await.unwrap();

    // An SMF that enrols anew is ready when its landmark-relative certificate of log 2 is there, and the landmark trusted.
    let smf = lab.folder.lab.instances.iter();
    let smf = smf
        .clone()
        .find(|planned| planned.nf_type == "SMF")
        .unwrap();
    let token = mint(
        &lab.folder.lab,
        smf.instance_id,
        "SMF",
        &smf.fqdn,
        now().plus(Duration::from_secs(60)),
    );
    let file = format!("tokens/{}.jwt", smf.instance_id);
    std::fs::write(lab.folder.path().join(file), token).unwrap();
    lab.topology.kill(Nf::Smf).await.unwrap();
    std::fs::remove_dir_all(lab.folder.path().join("state/smf")).unwrap();
    lab.topology.restart(Nf::Smf).await.unwrap();
    lab.expect_service().await;

    // The next start needs no option, and repeating it does no harm.
    for arguments in [&[][..], &["--next-log", "2"]] {
        lab.topology.kill(Nf::Nrf).await.unwrap();
        lab.topology.restart_with(Nf::Nrf, arguments).await.unwrap();
        let nf = TestNf::new(&lab.folder.lab, 92);
        let issued = der(&nf.enrol(&nf.token()).await.unwrap());
        assert_eq!(log_of(&issued), 2);
    }
    let copy = LogCopy::read(log, &reading(&trust, 2)).await;
    let fresh = TrustFile::load(&lab.folder.lab.pki.trust).unwrap();
    copy.expect_certified(&new, &fresh);
    lab.expect_service().await;
    assert_eq!(
        others.map(|nf| lab.pid(nf)),
        pids,
        "nobody else was restarted"
    );
    lab.topology.stop().await;
    assert!(!lab.folder.path().join("log-3").exists());
    assert_eq!(
        files(&first_log),
        damaged,
        "nobody has written to the old log"
    );
}

/// What once would have been asked for until the certificate expired.
#[tokio::test]
async fn an_nf_does_not_wait_for_a_landmark_that_will_never_be() {
    let mut plan = small();
    plan.lab.landmark_interval = Duration::from_secs(1800);
    let mut lab = TestLab::start(TestFolder::new(&plan)).await;
    lab.topology.kill(Nf::Nrf).await.unwrap();
    lab.topology
        .restart_with(Nf::Nrf, &["--next-log", "2"])
        .await
        .unwrap();
    lab.topology.kill(Nf::Smf).await.unwrap();
    lab.folder.set("smf", "await_landmarks", true);
    lab.topology.restart(Nf::Smf).await.unwrap();
    lab.topology.stop().await;
}
