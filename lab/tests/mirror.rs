//! A lab whose certificates a mirror cosigns, and whose log is lost with its disk.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use experiment::scenario::Nf;
use mtc_core::entry::MtcLogEntry;
use mtc_core::id::LogId;
use mtc_core::landmark::LandmarkSequence;
use mtc_core::time::UnixTime;
use mtc_core::tree::Subtree;
use mtc_log::{AddCheckpoint, CosigningKey, DirectoryStorage, IssuanceLog};
use mtc_tls::key::NfKey;
use rustix::process::Signal;
use sbi::checksum::sha256;
use sbi::trust_file::TrustFile;
use tokio::process::Command;
use tokio::time::sleep;

use test_support::command::{Started, mtc5g, within};
use test_support::log_copy::LogCopy;
use test_support::ports::{eight_ports, localhost};
use test_support::test_lab::{Metrics, TestFolder, TestLab, small};
use test_support::test_nf::{TestNf, der};

const LOOK_INTERVAL: Duration = Duration::from_millis(50);
const MIRROR_ID: &str = "32473.77";

/// A mirror that a lab's configurations have been told of, by hand as a user would.
struct Mirror {
    /// None while it is stopped.
    process: Option<Started>,
    listen: SocketAddr,
    admin: SocketAddr,
    config: PathBuf,
}

impl Mirror {
    /// Writes the mirror's key and configuration, makes its cosignature required of every certificate, and starts it.
    async fn add_to(folder: &TestFolder) -> Self {
        let port = eight_ports();
        let (listen, admin) = (localhost(port), localhost(port + 1));
        let path = folder.path();
        let config = path.join("mirror.toml");
        let log = &folder.lab.nrf.log;
        let text = format!(
            "listen = \"{listen}\"\nadmin = \"{admin}\"\ntrust = \"trust.toml\"\nid = \"{MIRROR_ID}\"\n\
             key = \"mirror/mirror.key\"\nstate = \"mirror/copies\"\nlog = \"{log}\"\nlandmark_interval_ms = 50\n"
        );
        std::fs::write(&config, text).expect("written");
        let named = config.to_str().expect("a path that is text");
        let tables = mtc5g(["mirror", "--config", named, "--create-key"]).await;
        assert_eq!(tables.code(), Some(0), "{}", tables.stderr);
        let again = mtc5g(["mirror", "--config", named, "--create-key"]).await;
        assert_eq!(again.stdout, tables.stdout, "the key stays what it is");

        let trust = path.join("trust.toml");
        let text = std::fs::read_to_string(&trust).expect("a trust file");
        std::fs::write(&trust, text + &tables.stdout).expect("written");

        folder.set("nrf", "required_witnesses", 2);
        // Making a batch durable takes as long as all else that is written on this machine.
        folder.set("nrf", "witness_deadline_seconds", 80);
        let nrf = folder.lab.config_file("nrf");
        let mut text = std::fs::read_to_string(&nrf).expect("a configuration");
        write!(
            text,
            "\n[[witness]]\nid = \"{MIRROR_ID}\"\nsubmission_prefix = \"http://{listen}\"\nmirror = true\n"
        )
        .expect("strings take everything");
        std::fs::write(&nrf, text).expect("written");

        Self {
            process: Some(Self::start(&config).await),
            listen,
            admin,
            config,
        }
    }

    async fn start(config: &Path) -> Started {
        let config = config.to_str().expect("a path that is text");
        let mut process = Started::new(["mirror", "--config", config]);
        process.says("mirror-listening").await;
        process
    }

    /// Asks it to stop, which it does in peace.
    async fn stop(&mut self) {
        let process = self.process.take().expect("it runs");
        process.signal(Signal::TERM);
        let ended = process.end().await;
        assert!(ended.status.success(), "{}", ended.stderr);
    }

    async fn restart(&mut self) {
        self.process = Some(Self::start(&self.config).await);
    }

    /// Waits until it has a copy of landmark `number` at least.
    async fn await_landmark(&self, folder: &Path, log: &LogId, number: u64) {
        let copy = self.copy(folder, log).join("log/landmarks");
        within(async {
            loop {
                let document = std::fs::read_to_string(&copy).unwrap_or_default();
                let copied = LandmarkSequence::parse(&document, UnixTime(u64::MAX));
                if copied.is_ok_and(|copied| copied.latest().number.0 >= number) {
                    return;
                }
                sleep(LOOK_INTERVAL).await;
            }
        })
        .await;
    }

    /// The folder of its copy of a log.
    fn copy(&self, folder: &Path, log: &LogId) -> PathBuf {
        let hash = sha256(log.origin().as_bytes());
        folder.join("mirror/copies").join(hash)
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a new folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("readable").path();
        let copy = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            std::fs::copy(&path, &copy).expect("copied");
        }
    }
}

async fn restore(folder: &Path, from: &str) -> test_support::command::Ended {
    let config = folder.join("nrf.toml");
    let config = config.to_str().expect("a path that is text");
    mtc5g(["log", "restore", "--config", config, "--from", from]).await
}

#[tokio::test]
async fn a_log_that_is_lost_with_its_disk_is_had_again_from_the_mirror() {
    let folder = TestFolder::new(&small());
    let mut mirror = Mirror::add_to(&folder).await;
    let mut lab = TestLab::start(folder).await;
    let path = lab.folder.path().to_owned();
    let trust = TrustFile::load(&lab.folder.lab.pki.trust).unwrap();
    let id = LogId::new(*trust.trust.id(), trust.logs[0]).unwrap();
    let log: SocketAddr = lab.folder.lab.nrf.log.address().parse().unwrap();

    // A copy of now is too old in a moment.
    let copied = mirror.copy(&path, &id);
    let old_copy = path.join("old-copy");
    copy_folder(&copied, &old_copy);
    let old_nf = TestNf::new(&lab.folder.lab, 90);
    let old = der(&old_nf.enrol(&old_nf.token()).await.unwrap());
    let before = LogCopy::read(log, &trust).await;
    before.expect_certified(&old, &trust);
    mirror.await_landmark(&path, &id, 1).await;
    let admin = Metrics::read(mirror.admin).await;
    let mirrored = admin.value("mtc_mirror_checkpoint_entries") as u64;
    assert!(mirrored >= before.checkpoint.size.0);
    assert!(admin.value("nf_ready") == 1.0);

    // The NRF's disk is gone: log and state. Its key and configuration were elsewhere.
    lab.topology.kill(Nf::Nrf).await.unwrap();
    std::fs::remove_dir_all(path.join("log")).unwrap();
    std::fs::remove_dir_all(path.join("state/nrf")).unwrap();

    let old_place = old_copy.to_str().unwrap();
    let refused = restore(&path, old_place).await;
    assert_eq!(refused.code(), Some(1));
    let error = refused.error();
    assert!(error.contains("too old to go on from"), "{error}");
    assert!(error.contains("--next-log 2"), "{error}");
    assert!(!path.join("log").exists(), "nothing was written");

    let from = format!("http://{}", mirror.listen);
    let restored = restore(&path, &from).await;
    assert_eq!(restored.code(), Some(0), "{}", restored.stderr);
    assert!(
        restored.stdout.contains("landmarks   up to "),
        "{}",
        restored.stdout
    );
    let again = restore(&path, &from).await;
    assert_eq!(again.code(), Some(1));
    assert!(
        again.error().contains("never restored over"),
        "{}",
        again.error()
    );

    within(
        lab.topology
            .restart_with(Nf::Nrf, &["--forget-used-tokens"]),
    )
    .await
    .unwrap();
    let new_nf = TestNf::new(&lab.folder.lab, 91);
    let new = der(&new_nf.enrol(&new_nf.token()).await.unwrap());
    let after = LogCopy::read(log, &trust).await;
    assert!(after.checkpoint.size > before.checkpoint.size);
    assert_eq!(
        after.root_at(before.checkpoint.size),
        before.checkpoint.root,
        "it is the same log"
    );
    for certificate in [&old, &new] {
        after.expect_certified(certificate, &trust);
    }
    let verified = mtc5g([
        "log",
        "verify",
        &format!("http://{log}/1/"),
        "--trust",
        lab.folder.lab.pki.trust.to_str().unwrap(),
    ])
    .await;
    assert_eq!(verified.code(), Some(0), "{}", verified.stdout);
    old_nf.present(old);
    old_nf.connect().await.unwrap();

    // A mirror that ends is missed, and had again.
    mirror.stop().await;
    mirror.restart().await;
    let nf = TestNf::new(&lab.folder.lab, 92);
    let last = der(&nf.enrol(&nf.token()).await.unwrap());
    LogCopy::read(log, &trust)
        .await
        .expect_certified(&last, &trust);

    // The disk is lost while the mirror has been sent a checkpoint, and not yet all of its entries: the CA has signed it, so no other log of
    // that size may be.
    lab.topology.kill(Nf::Nrf).await.unwrap();
    let before = path.join("log-before");
    copy_folder(&path.join("log"), &before);
    let pending = next_checkpoint(&path, &lab.folder.lab.pki.cosigner_key, id);
    let offered = path.join("add-checkpoint");
    std::fs::write(&offered, pending).unwrap();
    let sent = Command::new("curl")
        .args(["--silent", "--fail", "--data-binary"])
        .arg(format!("@{}", offered.display()))
        .arg(format!("{from}/add-checkpoint"))
        .status();
    assert!(sent.await.expect("curl runs").success());
    std::fs::remove_dir_all(path.join("log")).unwrap();
    let refused = restore(&path, &from).await;
    assert_eq!(refused.code(), Some(1), "{}", refused.stdout);
    let error = refused.error();
    assert!(error.contains("too old to go on from"), "{error}");

    // Nor may an older copy of the files be, that somebody puts back without this command. It was: only what the mirror had cosigned was looked at.
    std::fs::rename(&before, path.join("log")).unwrap();
    let config = lab.folder.lab.config_file("nrf");
    let mut nrf = Started::new(["nrf", "--config", config.to_str().unwrap()]);
    nrf.says("says that it has been sent a checkpoint of").await;
    nrf.signal(Signal::TERM);
    nrf.end().await;
    lab.topology.stop().await;
}

// Where the trust file is old, a log that has been retired was restored, and would have gone on.
#[tokio::test]
async fn a_log_that_others_have_followed_is_restored_only_when_it_is_meant() {
    let folder = TestFolder::new(&small());
    let mut lab = TestLab::start(folder).await;
    let path = lab.folder.path().to_owned();
    let mut copy = path.join("copy");
    lab.topology.kill(Nf::Nrf).await.unwrap();
    copy_folder(&path.join("log"), &copy);
    within(lab.topology.restart_with(Nf::Nrf, &["--next-log", "2"]))
        .await
        .unwrap();
    lab.topology.kill(Nf::Nrf).await.unwrap();
    std::fs::remove_dir_all(path.join("log")).unwrap();
    std::fs::remove_dir_all(path.join("state/nrf")).unwrap();
    copy = copy.join("log");
    let from = copy.to_str().expect("a path that is text");

    let refused = restore(&path, from).await;
    assert_eq!(refused.code(), Some(1), "{}", refused.stdout);
    let error = refused.error();
    assert!(error.contains("has cosigned log 2"), "{error}");
    assert!(!path.join("log").exists(), "nothing was written");

    let config = lab.folder.lab.config_file("nrf");
    let config = config.to_str().unwrap();
    let meant = [
        "log", "restore", "--config", config, "--from", from, "--log", "1",
    ];
    let meant = mtc5g(meant).await;
    assert_eq!(meant.code(), Some(0), "{}", meant.stderr);
    lab.topology.stop().await;
}

/// The request that tells a mirror of the log's next checkpoint, which is signed and whose entries nobody is sent.
fn next_checkpoint(folder: &Path, key: &Path, id: LogId) -> Vec<u8> {
    let pem = std::fs::read_to_string(key).expect("the CA's key");
    let secret = NfKey::from_pem(&pem).expect("a key").into_secret();
    let key = CosigningKey::new(*id.ca(), secret).expect("it can sign");
    let storage = Arc::new(DirectoryStorage::open(folder.join("log")).expect("nobody has it"));
    let mut log = IssuanceLog::open(storage, id, key).expect("a sound log");
    let old_size = log.signed().size();
    let entry = MtcLogEntry::NULL.encode().expect("it is short");
    let now = UnixTime(log.signed().signed_at().0 + 1);
    log.append(&[entry], now).expect("it has room");
    let tree = log.reader().expect("a sound log");
    let proof = tree.consistency_proof(Subtree::whole(old_size));
    let request = AddCheckpoint {
        old_size,
        proof: proof.expect("a sound log"),
        checkpoint: log.signed().to_note(),
    };
    request.encode()
}

/// The log that is kept, beside a mirror that lost its copies: it is uploaded anew.
#[tokio::test]
async fn a_mirror_that_lost_its_copies_gets_them_again() {
    let mut plan = small();
    plan.lab.preload = 9000;
    let folder = TestFolder::new(&plan);
    let mut mirror = Mirror::add_to(&folder).await;
    let lab = TestLab::start(folder).await;
    let path = lab.folder.path().to_owned();
    let trust = TrustFile::load(&lab.folder.lab.pki.trust).unwrap();
    let log: SocketAddr = lab.folder.lab.nrf.log.address().parse().unwrap();
    mirror.stop().await;
    std::fs::remove_dir_all(path.join("mirror/copies")).unwrap();
    mirror.restart().await;
    let nf = TestNf::new(&lab.folder.lab, 90);
    let certificate = der(&nf.enrol(&nf.token()).await.unwrap());
    let copy = LogCopy::read(log, &trust).await;
    copy.expect_certified(&certificate, &trust);
    let admin = Metrics::read(mirror.admin).await;
    assert!(admin.value("mtc_mirror_checkpoint_entries") > 9000.0);
    let id = LogId::new(*trust.trust.id(), trust.logs[0]).unwrap();
    let hash = sha256(id.origin().as_bytes());
    let verified = mtc5g([
        "log",
        "verify",
        &format!("http://{}/{hash}", mirror.listen),
        "--ca",
        path.join("mtca/ca.pem").to_str().unwrap(),
    ])
    .await;
    assert_eq!(verified.code(), Some(0), "{}", verified.stdout);
    lab.topology.stop().await;
}
