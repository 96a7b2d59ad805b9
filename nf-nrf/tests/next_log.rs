//! A log that cannot go on, and the one that the CA goes on with: real files, and a witness behind real HTTP.
//!
//! ```text
//! Scene ── open_current ──> OpenedLog ── Running: Sequencer, Mtca ──> certificates
//!                └── HttpWitness ──> Witness: WitnessStore for every log of the CA
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::{Method, StatusCode};
use mtc_core::ca::CaCertificate;
use mtc_core::causes::Causes;
use mtc_core::certificate::Certificate;
use mtc_core::cosign::{Cosigner, PublicKey, SecretKey, SignatureAlgorithm};
use mtc_core::id::{EntryIndex, LandmarkNumber, LogId, LogNumber, TreeSize, serial};
use mtc_core::landmark::LandmarkSequence;
use mtc_core::verify::{Basis, CaTrust, CosignerGroup, TrustedSubtree};
use mtc_log::{
    CaCheckpoint, CosigningKey, DirectoryStorage, IssueError, Object, OpenError, Refusal,
    Sequencer, SequencerConfig, Storage, StorageError, TreeError, TreeReader, WitnessStore,
    WitnessedLog,
};
use mtc_tls::clock::Clock;
use mtc_tls::identity::{CertificateId, NfIdentity, NfSubject};
use mtc_tls::key::{KeyAlgorithm, NfKey};
use mtc_tls::pem;
use nf_nrf::answers::Answers;
use nf_nrf::certificate_management::CertificateManagement;
use nf_nrf::config::{NrfConfig, WitnessAddress};
use nf_nrf::enrolment::Enrolment;
use nf_nrf::enrolment_token::{TokenVerifier, UsedTokens};
use nf_nrf::files::PrivateFolder;
use nf_nrf::log_api::LogApi;
use nf_nrf::log_opening::{OpenLogError, OpenedLog, open_current};
use nf_nrf::logs::{LogStart, Logs, LogsError};
use nf_nrf::mtca::{Issuance, Mtca, MtcaError};
use nf_nrf::retired_log::RetiredLog;
use nf_nrf::revoked::Revoked;
use nf_nrf::witness_client::HttpWitness;
use sbi::access_token::TokenPolicy;
use sbi::client::Connection;
use sbi::config::{TlsConfig, WantedCredential};
use sbi::enrolment::{CERTIFICATES, LandmarkAnswer, landmark_relative};
use sbi::limits::LimitsConfig;
use sbi::model::PlmnId;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, Peer, Request, serve_cleartext, serve_connection};
use sbi::trust::TrustUpdater;
use sbi::trust_file::TrustFile;
use sbi::uri::Scheme;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

const CLOCK: Clock = Clock { offset_seconds: 0 };
const LANDMARK_INTERVAL: Duration = Duration::from_secs(30);
/// Logs that the witness knows.
const WITNESSED: u64 = 20;

fn number(number: u64) -> LogNumber {
    LogNumber::new(number).expect("a log number")
}

const fn next(log: LogNumber) -> LogStart {
    LogStart::ContinueWith(log)
}

/// The witness's HTTP, as far as the NRF uses it.
struct Witness(WitnessStore);

impl Handler for Witness {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        const TEXT: &str = "text/plain";
        let answer = match (&request.method, request.path.as_str()) {
            (&Method::POST, "/add-checkpoint") => self.0.add_checkpoint(&request.body, CLOCK.now()),
            (&Method::POST, "/sign-subtree") => self.0.sign_subtree(&request.body),
            (_, path) => {
                let hash = path.trim_start_matches('/').trim_end_matches("/checkpoint");
                let latest = self.0.latest(hash);
                return latest
                    .map(|note| Response::bytes(StatusCode::OK, TEXT, note))
                    .ok_or_else(|| Problem::not_found("no such log"));
            }
        };
        Ok(match answer {
            Ok(lines) => Response::bytes(StatusCode::OK, TEXT, lines),
            Err(refusal) => {
                let status = StatusCode::from_u16(refusal.status()).expect("a status");
                let body = match refusal {
                    Refusal::Conflict { latest } => format!("{latest}\n"),
                    refusal => refusal.to_string(),
                };
                Response::bytes(status, TEXT, body)
            }
        })
    }
}

/// Serves over HTTP on a port of its own.
async fn serve<H: Handler>(handler: Arc<H>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let serving = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (tcp, remote) = listener.accept().await.expect("a connection");
            let never = std::future::pending();
            connections.spawn(serve_cleartext(tcp, remote, handler.clone(), never));
        }
    });
    (addr, serving)
}

/// The files of an NRF, and its witness.
struct Scene {
    folder: TempDir,
    config: NrfConfig,
    trust_file: TrustFile,
    witness_addr: SocketAddr,
    witness: JoinHandle<()>,
}

/// The witness of a trust file, in cleartext at `addr`.
fn http_witness(trust_file: &TrustFile, addr: SocketAddr) -> HttpWitness {
    let cosigner = trust_file.cosigners[0].clone();
    let address = WitnessAddress {
        id: cosigner.id.to_string(),
        submission_prefix: addr.into(),
        monitoring_prefix: None,
        mirror: false,
    };
    HttpWitness::new(cosigner, &address).expect("cleartext needs no roots")
}

impl Scene {
    /// Before anything was created; `first` is the log in the trust file.
    async fn beginning_with(first: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ca_key = NfKey::generate(KeyAlgorithm::MlDsa44).expect("randomness");
        let pem = ca_key.to_pem().expect("encodes");
        fs::write(folder.path().join("cosigner.key"), &*pem).expect("written");
        let ca = Cosigner {
            id: "32473.1".parse().expect("a trust anchor ID"),
            key: PublicKey::from_spki(ca_key.spki_der()).expect("a cosigner's key"),
        };
        let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("randomness");
        let key = CosigningKey::new("32473.2".parse().expect("an ID"), secret).expect("a key");
        let cosigner = key.cosigner().clone();
        let trust_file = trust_file(&ca, &cosigner, number(first));
        let storage = DirectoryStorage::create(folder.path().join("witness")).expect("new");
        let log = |log| WitnessedLog {
            id: LogId::new(ca.id, log).expect("a short ID"),
            ca: ca.clone(),
        };
        let logs = (first..first + WITNESSED).filter_map(|log| LogNumber::new(log).ok());
        let store = WitnessStore::open(Arc::new(storage), key, logs.map(log)).expect("new");
        let (witness_addr, witness) = serve(Arc::new(Witness(store))).await;
        Self {
            config: config(folder.path()),
            folder,
            trust_file,
            witness_addr,
            witness,
        }
    }

    /// With log 1, and a certificate in it.
    async fn new() -> (Self, Issuance) {
        let scene = Self::beginning_with(1).await;
        let running = scene.run(LogStart::Create).await;
        let issued = running.issue().await.expect("log 1 works");
        running.stop().await;
        (scene, issued)
    }

    async fn open(&self, log_start: LogStart) -> Result<OpenedLog, OpenLogError> {
        let witness = self.http_witness();
        open_current(&self.config, &self.trust_file, log_start, &[witness]).await
    }

    async fn refused(&self, log_start: LogStart) -> OpenLogError {
        self.open(log_start)
            .await
            .expect_err("there is something wrong")
    }

    async fn run(&self, log_start: LogStart) -> Running {
        let opened = self.open(log_start).await.expect("there is nothing wrong");
        self.start(opened)
    }

    fn start(&self, opened: OpenedLog) -> Running {
        let OpenedLog {
            id,
            storage,
            log,
            landmarks,
            logs,
        } = opened;
        let config = SequencerConfig {
            queue: 16,
            min_interval: Duration::ZERO,
            required_witnesses: 1,
            witness_deadline: Duration::from_secs(10),
        };
        let clock = Arc::new(|| CLOCK.now());
        let (issuer, sequencer) =
            Sequencer::new(log, [self.http_witness()], config, clock).expect("1 of 1 witnesses");
        let mtca = Mtca::new(
            id,
            issuer,
            storage,
            landmarks,
            PrivateFolder::open(self.file("certificates")).expect("a folder"),
            Duration::from_secs(3600),
            LANDMARK_INTERVAL,
            CLOCK,
            Arc::default(),
            nf_nrf::metrics::NrfMetrics::new(&sbi::metrics::Registry::default()),
        );
        Running {
            mtca: Arc::new(mtca),
            logs,
            sequencer: tokio::spawn(async move {
                // The issuer tells its callers.
                let _ = sequencer.run().await;
            }),
        }
    }

    fn http_witness(&self) -> HttpWitness {
        http_witness(&self.trust_file, self.witness_addr)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Every file below a folder with its content, but for the marker of a retired log and the lock.
    fn files(&self, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.file(name)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("retired") && !path.ends_with("lock") {
                    let content = fs::read(&path).expect("readable");
                    files.insert(path, content);
                }
            }
        }
        files
    }

    /// Puts back what [`Self::files`] was.
    fn restore(&self, name: &str, files: &BTreeMap<PathBuf, Vec<u8>>) {
        fs::remove_dir_all(self.file(name)).expect("a folder");
        for (path, content) in files {
            fs::create_dir_all(path.parent().expect("below a folder")).expect("made");
            fs::write(path, content).expect("written");
        }
    }

    fn flip_a_bit(&self, object: &str) {
        let file = self.file(object);
        let mut bytes = fs::read(&file).expect("readable");
        bytes[0] ^= 1;
        fs::write(file, bytes).expect("written");
    }

    /// Which log is current according to the record.
    fn current(&self) -> u16 {
        let state = PrivateFolder::open(self.config.state.clone()).expect("a folder");
        let logs = Logs::open(self.file("log"), state, &self.trust_file.logs);
        logs.expect("a record").current().get()
    }

    /// The log of a certificate that relying parties accept by its cosignatures.
    fn accepted_in(&self, issued: &Issuance) -> u16 {
        let accepted = self.trust_file.trust.verify_issuance(&issued.certificate);
        let log = accepted.expect("a certificate that verifies").log_number;
        let parsed = Certificate::parse(&issued.certificate).expect("an MTC");
        assert_eq!(parsed.serial, issued.serial);
        assert_eq!(parsed.serial >> 48, u64::from(log.get()));
        log.get()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.witness.abort();
    }
}

/// An MTCA at work.
struct Running {
    mtca: Arc<Mtca>,
    logs: Logs,
    sequencer: JoinHandle<()>,
}

impl Running {
    async fn issue(&self) -> Result<Issuance, MtcaError> {
        let subject = NfSubject::new(
            "DE",
            "5gc.mnc001.mcc001.3gppnetwork.org",
            Uuid::new_v4(),
            &["SMF".to_owned()],
            &["smf1.5gc.mnc001.mcc001.3gppnetwork.org".to_owned()],
        );
        let key = NfKey::generate(KeyAlgorithm::EcdsaP256).expect("randomness");
        self.mtca
            .issue(&subject.expect("legal"), key.spki_der())
            .await
    }

    /// Ends it; when this returns, nothing holds the log any more.
    async fn stop(self) {
        let Self {
            mtca,
            logs: _,
            sequencer,
        } = self;
        // The last issuer: the sequencer ends, and with it the log.
        drop(mtca);
        sequencer.await.expect("it does not panic");
    }
}

fn trust_file(ca: &Cosigner, witness: &Cosigner, log: LogNumber) -> TrustFile {
    let certificate = CaCertificate {
        cosigner: ca.clone(),
        min_serial: serial(LogNumber::FIRST, EntryIndex(0)).expect("an index"),
        max_serial: u64::MAX,
        prefix_url: None,
    };
    let group = CosignerGroup::new(vec![witness.clone()], 1).expect("1 of 1");
    TrustFile {
        trust: CaTrust::ca_alone(&certificate)
            .require(group)
            .expect("not the CA"),
        certificate,
        certificate_der: Vec::new(),
        logs: vec![log],
        cosigners: vec![witness.clone()],
        token_keys: None,
    }
}

fn config(folder: &Path) -> NrfConfig {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    NrfConfig {
        acme: None,
        cmp: None,
        kubernetes: None,
        id: Uuid::new_v4(),
        fqdn: "nrf1.5gc.mnc001.mcc001.3gppnetwork.org".to_owned(),
        listen: any,
        cleartext: None,
        log_listen: any,
        admin: any,
        trust: folder.join("trust.toml"),
        cosigner_key: folder.join("cosigner.key"),
        log: folder.join("log").into(),
        object_store: None,
        public: None,
        retire_failed_log: false,
        state: folder.join("state"),
        enrolment_authority: folder.join("authority.pub"),
        token_keys: None,
        access_tokens: TokenPolicy::Off,
        client_credentials: true,
        access_token_lifetime_seconds: 3600,
        x509: None,
        status_lifetime_seconds: 3600,
        credential: Vec::<WantedCredential>::new(),
        plmn: PlmnId::new("001", "01").expect("the test network"),
        country: "DE".to_owned(),
        certificate_lifetime_seconds: 3600,
        checkpoint_interval_ms: 100,
        landmark_interval_seconds: 30,
        revocation_list_lifetime_seconds: 3600,
        preload: 0,
        queue: 16,
        witness_deadline_seconds: 10,
        required_witnesses: 1,
        witness: Vec::new(),
        trust_interval_ms: 1000,
        discovery_validity_seconds: 60,
        renew_expired_seconds: 43_200,
        startup_seconds: 60,
        await_landmarks: false,
        key_log: None,
        clock_offset_seconds: 0,
        tls: TlsConfig::default(),
        limits: LimitsConfig::default(),
    }
}

#[tokio::test]
async fn a_damaged_log_is_left_for_the_next_one_only_when_the_operator_says_so() {
    let (scene, old) = Scene::new().await;
    scene.flip_a_bit("log/log/tile/0/000.p/1");
    let damaged = scene.files("log");
    for _ in 0..2 {
        let error = scene.refused(LogStart::Open).await;
        assert!(error.is_proof(), "{error:?}");
        let message = error.to_string();
        assert!(
            message.contains("--next-log 2 retires it for good"),
            "{message}"
        );
        assert_eq!(scene.current(), 1);
        assert!(!scene.file("log-2").exists());
    }

    let mut serials = vec![old.serial];
    // The option may stay in a service file.
    for log_start in [next(number(2)), next(number(2)), LogStart::Open] {
        let running = scene.run(log_start).await;
        assert_eq!(running.mtca.log().id().to_string(), "32473.1.0.2");
        assert_eq!(running.logs.retired().collect::<Vec<_>>(), [number(1)]);
        let new = running.issue().await.expect("log 2 works");
        assert_eq!(scene.accepted_in(&new), 2);
        assert!(!serials.contains(&new.serial));
        serials.push(new.serial);
        running.stop().await;
    }
    assert_eq!(scene.accepted_in(&old), 1, "it stays valid");
    assert_eq!(serials[1] & 0xffff, 0, "the new log begins with index 0");
    assert_eq!(
        serials[3] & 0xffff,
        2,
        "and is opened again, not made again"
    );
    assert_eq!(
        scene.files("log"),
        damaged,
        "nobody has written to the old log"
    );
}

#[tokio::test]
async fn a_certificate_of_a_retired_log_is_kept_and_gets_no_landmark() {
    let (scene, old) = Scene::new().await;
    let running = scene.run(next(number(2))).await;
    let new = running.issue().await.expect("log 2 works");
    assert_eq!(new.serial & 0xffff, old.serial & 0xffff, "the same index");
    let kept = running.mtca.standalone(old.serial).await;
    assert_eq!(kept.expect("archived").certificate, old.certificate);
    let never = running.mtca.landmark_relative(old.serial).await;
    assert!(
        matches!(never, Err(MtcaError::Retired(log)) if log == number(1)),
        "{never:?}"
    );
    assert_eq!(
        running
            .mtca
            .landmark_relative(new.serial)
            .await
            .expect("no landmark yet"),
        None
    );
    running.stop().await;
}

impl Running {
    /// Lets the MTCA allocate a landmark, by letting the interval pass: the paused clock of a runtime of one thread jumps as
    /// soon as nothing but time can happen.
    async fn allocate_landmark(&self) {
        tokio::time::pause();
        let keeping = self.mtca.clone().keep_landmarks();
        let kept = tokio::time::timeout(LANDMARK_INTERVAL * 3 / 2, keeping).await;
        tokio::time::resume();
        kept.expect_err("landmarks are kept for ever");
    }
}

impl Scene {
    /// Serves the logs as the NRF does, retired ones read-only.
    async fn serve_logs(&self, running: &Running, storage: Arc<dyn Storage>) -> SocketAddr {
        let logs = &running.logs;
        let retired = logs
            .retired()
            .map(|log| (log, RetiredLog::new(logs.place(log))));
        let api = LogApi {
            current: logs.current(),
            storage,
            retired: retired.collect(),
        };
        serve(Arc::new(api)).await.0
    }

    /// Trust in the landmarks of a log that is stored here, as its documents say.
    fn trust_in_landmarks(&self, id: LogId, storage: &Arc<dyn Storage>) -> CaTrust {
        let get = |object| {
            let bytes = storage.get(&object).expect("readable");
            bytes.expect("it is served")
        };
        let document = String::from_utf8(get(Object::Landmarks)).expect("text");
        let sequence = LandmarkSequence::parse(&document, CLOCK.now()).expect("well formed");
        let ca = self.trust_file.trust.cosigner();
        let published = CaCheckpoint::verify(&get(Object::Checkpoint), &id, ca).expect("signed");
        let tree = TreeReader::open(storage.clone(), published.size(), published.root());
        let tree = tree.expect("a sound tree");
        let subtrees = sequence
            .active(CLOCK.now())
            .flat_map(|landmark| landmark.subtrees)
            .filter(|subtree| !subtree.is_empty())
            .map(|subtree| TrustedSubtree {
                log_number: id.number(),
                subtree,
                hash: tree.subtree_hash(subtree).expect("in the tree"),
            });
        self.trust_file.trust.with_trusted_subtrees(subtrees)
    }
}

#[tokio::test]
async fn relying_parties_follow_the_landmarks_of_both_logs() {
    let scene = Scene::beginning_with(1).await;
    let opened = scene.open(LogStart::Create).await.expect("a new log");
    let running = scene.start(opened);
    let old = running.issue().await.expect("log 1 works");
    running.allocate_landmark().await;
    let old_relative = running.mtca.landmark_relative(old.serial).await;
    let old_relative = old_relative.expect("readable").expect("below landmark 1");
    // Read-only, so that the test does not hold the log when the NRF has stopped.
    let first: Arc<dyn Storage> = Arc::new(RetiredLog::new(scene.file("log")));
    let addr = scene.serve_logs(&running, first.clone()).await;
    let known = || scene.trust_file.logs.iter().copied();
    let policy = || scene.trust_file.trust.clone();
    let mut party = TrustUpdater::new(addr, known(), policy()).expect("a short ID");
    let trust = party.update(CLOCK.now()).await.expect("an honest log");
    assert_eq!(
        trust.expect("landmark 1").newest_landmark(),
        Some((number(1), LandmarkNumber(1)))
    );
    running.stop().await;

    let opened = scene.open(next(number(2))).await.expect("a new log");
    let (id, second) = (opened.id, opened.storage.clone());
    let running = scene.start(opened);
    let new = running.issue().await.expect("log 2 works");
    running.allocate_landmark().await;
    let new_relative = running.mtca.landmark_relative(new.serial).await;
    let new_relative = new_relative.expect("readable").expect("below landmark 1");
    let addr = scene.serve_logs(&running, second.clone()).await;
    let mut party = TrustUpdater::new(addr, known(), policy()).expect("a short ID");
    let trust = party.update(CLOCK.now()).await.expect("honest logs");
    let trust = trust.expect("landmarks of both logs");
    assert_eq!(
        trust.newest_landmark(),
        Some((number(2), LandmarkNumber(1)))
    );
    assert_eq!(trust.trusted_subtrees(), 2, "one entry, one subtree, each");

    let first_id = LogId::new(*id.ca(), number(1)).expect("a short ID");
    for (id, storage, relative, standalone) in [
        (first_id, &first, &old_relative, &old),
        (id, &second, &new_relative, &new),
    ] {
        let trust = scene.trust_in_landmarks(id, storage);
        let accepted = trust
            .verify_issuance(&relative.certificate)
            .expect("it verifies");
        assert_eq!(
            (accepted.basis, accepted.log_number),
            (Basis::TrustedSubtree, id.number())
        );
        // Without landmarks the one has nothing to show, and the other has.
        let policy = policy();
        policy
            .verify_issuance(&relative.certificate)
            .expect_err("no cosignatures");
        let accepted = policy
            .verify_issuance(&standalone.certificate)
            .expect("cosigned");
        assert_eq!(accepted.basis, Basis::Cosignatures);
    }
    running.stop().await;
}

/// `nnrf-cm` alone.
struct EnrolmentApi(CertificateManagement);

impl Handler for EnrolmentApi {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let segments = request.segments()?;
        let segments: Vec<_> = segments.iter().skip(2).map(String::as_str).collect();
        self.0.handle(&request, &segments).await
    }
}

#[tokio::test]
async fn who_asks_for_the_landmark_of_a_retired_log_learns_that_there_will_be_none() {
    let (scene, old) = Scene::new().await;
    let running = scene.run(next(number(2))).await;
    let new = running.issue().await.expect("log 2 works");
    let authority = NfKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let authority = pem::encode(pem::PUBLIC_KEY, authority.spki_der());
    let enrolment = Enrolment {
        mtca: Ok(running.mtca.clone()),
        baselines: Vec::new(),
        tokens: TokenVerifier::new(&authority).unwrap(),
        used: {
            UsedTokens::begin(&scene.file("used-tokens")).unwrap();
            UsedTokens::open(&scene.file("used-tokens"), CLOCK.now()).unwrap()
        },
        pods: None,
        answers: {
            let folder = PrivateFolder::open(scene.file("answers")).unwrap();
            Answers::open(folder, CLOCK.now()).unwrap()
        },
        revoked: {
            let folder = PrivateFolder::open(scene.file("revoked")).unwrap();
            Revoked::open(folder, running.mtca.log().ca()).unwrap()
        },
        country: "DE".to_owned(),
        organization: "5gc.mnc001.mcc001.3gppnetwork.org".to_owned(),
        clock: CLOCK,
        renew_expired: Duration::from_secs(43_200),
        lifetime: Duration::from_secs(3600),
        metrics: nf_nrf::metrics::NrfMetrics::new(&sbi::metrics::Registry::default()),
    };
    let peer = Peer {
        expired: None,
        certificate: Some(CertificateId::new(&[], &[])),
        identity: Some(NfIdentity::from_certificate(&old.certificate).unwrap()),
        remote: scene.witness_addr,
        profile: None,
    };
    let (client, server) = tokio::io::duplex(64 * 1024);
    let api = Arc::new(EnrolmentApi(CertificateManagement {
        enrolment: Arc::new(enrolment),
    }));
    tokio::spawn(serve_connection(
        server,
        Arc::new(peer),
        api,
        sbi::metrics::Metrics::new().requests,
        std::future::pending(),
    ));
    let connection = Connection::handshake(client, Scheme::Https).await.unwrap();
    for (issued, is_expected) in [
        (
            &old,
            (|answer| answer == LandmarkAnswer::Never) as fn(LandmarkAnswer) -> bool,
        ),
        (&new, |answer| {
            matches!(answer, LandmarkAnswer::RetryAfter(_))
        }),
    ] {
        let path = format!("{CERTIFICATES}/{}/landmark-relative", issued.serial);
        let answer = landmark_relative(&connection, "nrf1", &path).await.unwrap();
        assert!(is_expected(answer), "{}", issued.serial);
    }
}

#[tokio::test]
async fn a_log_that_was_rolled_back_is_noticed_before_anything_is_signed() {
    let (scene, _) = Scene::new().await;
    let older = scene.files("log");
    let running = scene.run(LogStart::Open).await;
    let lost = running.issue().await.expect("log 1 works");
    running.stop().await;
    scene.restore("log", &older);
    let error = scene.refused(LogStart::Open).await;
    assert!(
        matches!(&error, OpenLogError::RolledBack { size: TreeSize(1), seen: TreeSize(2), witness, .. }
            if witness.to_string() == "32473.2"),
        "{error:?}"
    );
    assert!(error.is_proof());
    let message = error.to_string();
    assert!(
        message.contains("rolled back") && message.contains("--next-log 2"),
        "{message}"
    );
    assert_eq!(scene.files("log"), older);

    let running = scene.run(next(number(2))).await;
    let new = running.issue().await.expect("log 2 works");
    assert_eq!((scene.accepted_in(&lost), scene.accepted_in(&new)), (1, 2));
    running.stop().await;
}

#[tokio::test]
async fn another_log_of_the_same_size_is_noticed() {
    let (scene, _) = Scene::new().await;
    fs::remove_dir_all(scene.file("log")).unwrap();
    fs::remove_dir_all(scene.file("state")).unwrap();
    // An operator who insists, while the witness is away.
    let witness_addr = SocketAddr::from(([127, 0, 0, 1], 1));
    let away = http_witness(&scene.trust_file, witness_addr);
    let opened = open_current(&scene.config, &scene.trust_file, LogStart::Create, &[away]).await;
    let mut opened = opened.expect("nobody there to object");
    opened
        .log
        .append(&[b"another entry".to_vec()], CLOCK.now())
        .unwrap();
    drop(opened);
    let error = scene.refused(LogStart::Open).await;
    assert!(
        matches!(
            error,
            OpenLogError::RolledBack {
                size: TreeSize(1),
                seen: TreeSize(1),
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn proof_retires_a_log_by_itself_where_the_configuration_allows_it() {
    let (mut scene, old) = Scene::new().await;
    scene.config.retire_failed_log = true;
    let older = scene.files("log");
    let running = scene.run(LogStart::Open).await;
    running.issue().await.expect("log 1 works");
    running.stop().await;
    assert_eq!(scene.current(), 1, "a sound log is no reason");

    scene.restore("log", &older);
    let running = scene.run(LogStart::Open).await;
    let new = running.issue().await.expect("log 2 works");
    running.stop().await;
    assert_eq!((scene.accepted_in(&old), scene.accepted_in(&new)), (1, 2));

    scene.flip_a_bit("log-2/log/tile/entries/000.p/1");
    let running = scene.run(LogStart::Open).await;
    let newer = running.issue().await.expect("log 3 works");
    assert_eq!(scene.accepted_in(&newer), 3);
    running.stop().await;
    let record = fs::read_to_string(scene.file("state/issuance-logs.json")).unwrap();
    assert!(
        record.contains("rolled back") && record.contains("damaged"),
        "{record}"
    );
}

/// What may pass does not retire the log, even where proof would; put right, the log goes on.
async fn does_not_switch(
    break_it: impl FnOnce(&mut Scene),
    repair: impl FnOnce(&mut Scene),
    is_expected: impl FnOnce(&OpenLogError) -> bool,
) {
    let (mut scene, old) = Scene::new().await;
    scene.config.retire_failed_log = true;
    break_it(&mut scene);
    let error = scene.refused(LogStart::Open).await;
    assert!(!error.is_proof() && is_expected(&error), "{error:?}");
    assert_eq!(scene.current(), 1);
    assert!(!scene.file("log-2").exists());
    repair(&mut scene);
    let running = scene.run(LogStart::Open).await;
    let new = running.issue().await.expect("log 1 works again");
    running.stop().await;
    assert_eq!((scene.accepted_in(&old), scene.accepted_in(&new)), (1, 1));
}

#[tokio::test]
async fn a_folder_that_is_not_mounted_does_not_retire_the_log() {
    does_not_switch(
        |scene| fs::rename(scene.file("log"), scene.file("elsewhere")).unwrap(),
        |scene| fs::rename(scene.file("elsewhere"), scene.file("log")).unwrap(),
        |error| {
            let message = error.to_string();
            matches!(error, OpenLogError::Storage { .. })
                && message.contains("never do that to replace a log that was lost")
                && message.contains("--next-log 2")
        },
    )
    .await;
}

#[tokio::test]
async fn an_empty_mount_point_does_not_retire_the_log() {
    does_not_switch(
        |scene| {
            fs::rename(scene.file("log"), scene.file("elsewhere")).unwrap();
            fs::create_dir(scene.file("log")).unwrap();
        },
        |scene| {
            fs::remove_dir_all(scene.file("log")).unwrap();
            fs::rename(scene.file("elsewhere"), scene.file("log")).unwrap();
        },
        |error| {
            matches!(
                error,
                OpenLogError::Log {
                    source: OpenError::NoLog { .. },
                    ..
                }
            )
        },
    )
    .await;
}

#[tokio::test]
async fn a_missing_file_does_not_retire_the_log() {
    let tile = "log/log/tile/0/000.p/1";
    does_not_switch(
        |scene| fs::rename(scene.file(tile), scene.file("elsewhere")).unwrap(),
        |scene| fs::rename(scene.file("elsewhere"), scene.file(tile)).unwrap(),
        |error| {
            matches!(
                error,
                OpenLogError::Log {
                    source: OpenError::Tree(TreeError::Missing { .. }),
                    ..
                }
            )
        },
    )
    .await;
}

#[tokio::test]
async fn a_file_that_cannot_be_read_does_not_retire_the_log() {
    // Permissions would not stop root, as whom tests may run; a folder in a file's place does.
    let note = "log/state/signed-checkpoint";
    does_not_switch(
        |scene| {
            fs::rename(scene.file(note), scene.file("elsewhere")).unwrap();
            fs::create_dir(scene.file(note)).unwrap();
        },
        |scene| {
            fs::remove_dir(scene.file(note)).unwrap();
            fs::rename(scene.file("elsewhere"), scene.file(note)).unwrap();
        },
        |error| {
            matches!(
                error,
                OpenLogError::Log {
                    source: OpenError::Storage(StorageError::Io { .. }),
                    ..
                }
            )
        },
    )
    .await;
}

#[tokio::test]
async fn another_ca_s_key_does_not_retire_the_log() {
    let right = Mutex::new(PathBuf::new());
    does_not_switch(
        |scene| {
            let other = NfKey::generate(KeyAlgorithm::MlDsa44).unwrap();
            let file = scene.file("other.key");
            fs::write(&file, &*other.to_pem().unwrap()).unwrap();
            *right.lock().unwrap() = std::mem::replace(&mut scene.config.cosigner_key, file);
        },
        |scene| scene.config.cosigner_key.clone_from(&right.lock().unwrap()),
        |error| {
            matches!(
                error,
                OpenLogError::Log {
                    source: OpenError::Checkpoint { .. },
                    ..
                }
            )
        },
    )
    .await;
}

#[tokio::test]
async fn a_log_whose_disk_failed_once_goes_on_after_a_restart() {
    let (scene, _) = Scene::new().await;
    let running = scene.run(LogStart::Open).await;
    // Every write goes through a temporary file.
    fs::remove_dir_all(scene.file("log/tmp")).unwrap();
    let failed = running.issue().await.expect_err("nothing can be written");
    assert!(
        matches!(failed, MtcaError::Issue(IssueError::LogFailed(_))),
        "{failed:?}"
    );
    running.stop().await;
    let running = scene.run(LogStart::Open).await;
    let issued = running.issue().await.expect("log 1 works again");
    assert_eq!(scene.accepted_in(&issued), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_log_whose_disk_stays_dead_is_replaced_by_the_operator() {
    let (scene, old) = Scene::new().await;
    fs::remove_dir_all(scene.file("log")).unwrap();
    fs::write(scene.file("log"), "no folder").unwrap();
    let error = scene.refused(LogStart::Open).await;
    let message = error.to_string();
    assert!(
        message.contains("if its disk is lost, --next-log 2"),
        "{message}"
    );
    let running = scene.run(next(number(2))).await;
    let new = running.issue().await.expect("log 2 works");
    assert_eq!((scene.accepted_in(&old), scene.accepted_in(&new)), (1, 2));
    running.stop().await;
}

#[tokio::test]
async fn a_log_that_was_lost_is_not_created_again() {
    let (scene, _) = Scene::new().await;
    fs::remove_dir_all(scene.file("log")).unwrap();
    let error = scene.refused(LogStart::Create).await;
    assert!(matches!(error, OpenLogError::Lost { .. }), "{error:?}");
    assert!(error.to_string().contains("--next-log 2"), "{error}");
}

#[tokio::test]
async fn a_log_in_use_is_not_retired() {
    let (scene, _) = Scene::new().await;
    let running = scene.run(LogStart::Open).await;
    let error = scene.refused(next(number(2))).await;
    assert!(
        matches!(
            error,
            OpenLogError::Storage {
                source: StorageError::Locked { .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(scene.current(), 1);
    running.issue().await.expect("log 1 works");
    running.stop().await;
}

#[tokio::test]
async fn a_crash_between_the_retirement_and_the_next_log_is_made_good() {
    let (scene, _) = Scene::new().await;
    let record = scene.file("state/issuance-logs.json");
    let state = PrivateFolder::open(scene.config.state.clone()).unwrap();
    let mut logs = Logs::open(scene.file("log"), state, &[]).unwrap();
    logs.retire("crash", CLOCK.now()).unwrap();
    let before_creation = fs::read(&record).unwrap();
    assert!(!scene.file("log-2").exists());
    drop(scene.open(LogStart::Open).await.expect("log 2 is created"));
    let created = scene.files("log-2");

    // The next crash: log 2 exists, and the record does not say so yet.
    assert_ne!(fs::read(&record).unwrap(), before_creation);
    fs::write(&record, before_creation).unwrap();
    let running = scene.run(LogStart::Open).await;
    assert_eq!(
        scene.files("log-2"),
        created,
        "it is opened, not made again"
    );
    let new = running.issue().await.expect("log 2 works");
    assert_eq!(scene.accepted_in(&new), 2);
    running.stop().await;

    // From now on a loss is a loss.
    fs::remove_dir_all(scene.file("log-2")).unwrap();
    let error = scene.refused(LogStart::Open).await;
    assert!(matches!(error, OpenLogError::Storage { .. }), "{error:?}");
}

#[tokio::test]
async fn an_older_copy_of_everything_does_not_revive_a_retired_log() {
    let (scene, _) = Scene::new().await;
    let (log, state) = (scene.files("log"), scene.files("state"));
    let running = scene.run(next(number(2))).await;
    running.issue().await.expect("log 2 works");
    running.stop().await;
    scene.restore("log", &log);
    scene.restore("state", &state);
    // Its folder tells, and without it the witness does.
    let error = scene.refused(LogStart::Open).await;
    assert!(
        matches!(error, OpenLogError::Logs(LogsError::Later { .. })),
        "{error:?}"
    );
    fs::remove_dir_all(scene.file("log-2")).unwrap();
    let error = scene.refused(LogStart::Open).await;
    assert!(
        matches!(&error, OpenLogError::Superseded { later, .. } if *later == number(2)),
        "{error:?}"
    );
    assert!(error.to_string().contains("--next-log 3"), "{error}");
    let running = scene.run(next(number(3))).await;
    let new = running.issue().await.expect("log 3 works");
    assert_eq!(scene.accepted_in(&new), 3);
    running.stop().await;
}

#[tokio::test]
async fn without_a_witness_to_compare_with_the_log_is_opened() {
    let (scene, _) = Scene::new().await;
    scene.witness.abort();
    let opened = scene.open(LogStart::Open).await.expect("a sound log");
    assert_eq!(opened.log.signed().size(), TreeSize(1));
}

#[tokio::test]
async fn after_the_last_log_number_there_is_a_clear_end() {
    let mut scene = Scene::beginning_with(65535).await;
    let running = scene.run(LogStart::Create).await;
    let issued = running.issue().await.expect("log 65535 works");
    assert_eq!(scene.accepted_in(&issued), 65535);
    running.stop().await;
    scene.flip_a_bit("log-65535/log/tile/0/000.p/1");
    let error = scene.refused(LogStart::Open).await;
    assert!(
        error
            .to_string()
            .contains("the last log that this CA can have"),
        "{error}"
    );
    let error = scene.refused(next(number(1))).await;
    assert!(
        matches!(error, OpenLogError::Logs(LogsError::Exhausted { .. })),
        "{error:?}"
    );
    scene.config.retire_failed_log = true;
    let error = scene.refused(LogStart::Open).await;
    assert_eq!(
        error.to_string(),
        "log 65535 is the last that this CA can have: make a new CA with another trust anchor ID"
    );
}

#[tokio::test]
async fn a_log_of_which_nobody_would_accept_a_certificate_is_not_opened() {
    let mut scene = Scene::beginning_with(32768).await;
    scene.trust_file.certificate.max_serial = (1 << 63) - 1;
    scene.trust_file.trust = CaTrust::ca_alone(&scene.trust_file.certificate);
    let error = scene.refused(LogStart::Create).await;
    assert_eq!(
        error.to_string(),
        "log 32768: its serial numbers are outside the range of the CA's certificate, 281474976710656 to 9223372036854775807"
    );
    assert!(!scene.file("log-32768").exists());
}

// Opening does not read old tiles, and no relying party could have used what was issued.
#[tokio::test]
async fn a_bit_flipped_in_an_old_tile_is_found_before_anything_is_issued() {
    let mut scene = Scene::beginning_with(1).await;
    scene.config.preload = 300;
    let running = scene.run(LogStart::Create).await;
    running.issue().await.expect("log 1 works");
    running.stop().await;
    scene.flip_a_bit("log/log/tile/0/000");
    let error = scene.refused(LogStart::Open).await;
    assert!(matches!(error, OpenLogError::Damaged { .. }) && !error.is_proof());
    let message = Causes(&error).to_string();
    assert!(
        message.contains("log/tile/0/000") && message.contains("mtc5g log repair"),
        "{message}"
    );
    scene.flip_a_bit("log/log/tile/0/000");
    let running = scene.run(LogStart::Open).await;
    running.issue().await.expect("whole again");
    running.stop().await;
}

// A damaged checkpoint beside a whole log, and a tile that is not there, earned the advice to retire the log for good.
#[tokio::test]
async fn what_is_no_proof_is_no_reason_to_retire_a_log() {
    let (scene, _) = Scene::new().await;
    let checkpoint = scene.file("log/log/checkpoint");
    let sound = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &sound[..sound.len() - 9]).unwrap();
    let message = scene.refused(LogStart::Open).await.to_string();
    assert!(
        !message.contains("--next-log") && message.contains("mtc5g log repair"),
        "{message}"
    );
    // Its second line is the size.
    let mut larger = sound.clone();
    larger[1 + sound.iter().position(|octet| *octet == b'\n').unwrap()] ^= 1;
    fs::write(&checkpoint, larger).unwrap();
    let error = scene.refused(LogStart::Open).await;
    let message = error.to_string();
    assert!(
        !error.is_proof() && !message.contains("--next-log"),
        "{message}"
    );
    fs::write(&checkpoint, sound).unwrap();

    // What a flipped bit in the key's seed makes of it: the key of nobody.
    let key = scene.config.cosigner_key.clone();
    let sound = fs::read(&key).unwrap();
    let nobody = NfKey::generate(KeyAlgorithm::MlDsa44).unwrap();
    fs::write(&key, &*nobody.to_pem().unwrap()).unwrap();
    let error = scene.refused(LogStart::Open).await;
    let message = error.to_string();
    assert!(
        !error.is_proof() && !message.contains("--next-log") && message.contains("cosigner_key"),
        "{message}"
    );
    fs::write(&key, sound).unwrap();

    let tile = scene.file("log/log/tile/0/000.p/1");
    fs::rename(&tile, scene.file("elsewhere")).unwrap();
    // What cannot be read: a folder here, EIO or EMFILE elsewhere.
    fs::create_dir(&tile).unwrap();
    let message = scene.refused(LogStart::Open).await.to_string();
    assert!(!message.contains("--next-log"), "{message}");
    fs::remove_dir(&tile).unwrap();
    let message = scene.refused(LogStart::Open).await.to_string();
    assert!(!message.contains("--next-log"), "{message}");
    fs::rename(scene.file("elsewhere"), &tile).unwrap();
    scene.run(LogStart::Open).await.stop().await;
}

// On the server at MTC5G_S3_ENDPOINT, as mtc-log-s3/tests/server.rs has it; without one nothing is tried.
#[cfg(feature = "object-store")]
#[tokio::test]
async fn a_log_in_an_object_store_has_one_nrf_at_a_time_and_a_next_one() {
    use nf_nrf::log_location::{LogLocation, ObjectStoreConfig};

    let Ok(endpoint) = std::env::var("MTC5G_S3_ENDPOINT") else {
        eprintln!("skipped: MTC5G_S3_ENDPOINT names no server");
        return;
    };
    let mut scene = Scene::beginning_with(1).await;
    scene.config.log = LogLocation::Bucket {
        bucket: "mtc5g".to_owned(),
        prefix: format!("nrf/{}", Uuid::new_v4()),
    };
    scene.config.object_store = Some(ObjectStoreConfig {
        endpoint: Some(endpoint),
        ..ObjectStoreConfig::default()
    });
    let first = scene.run(LogStart::Create).await;
    let issued = first.issue().await.expect("log 1 works");
    assert_eq!(scene.accepted_in(&issued), 1);
    assert!(!scene.file("log").exists());

    // Who has another state folder is another NRF.
    let other = scene.file("another state");
    let own = std::mem::replace(&mut scene.config.state, other);
    let error = scene.refused(LogStart::Open).await;
    assert!(
        matches!(
            error,
            OpenLogError::Storage {
                source: StorageError::Locked { .. },
                ..
            }
        ),
        "{error:?}"
    );
    scene.config.state = own;

    // The same one starts again without having ended: what was taken over issues nothing more.
    let again = scene.run(LogStart::Open).await;
    let next_issued = again.issue().await.expect("log 1 goes on");
    assert_eq!(next_issued.serial, issued.serial + 1);
    assert!(first.issue().await.is_err());
    first.stop().await;
    let last = again.issue().await.expect("log 1 goes on");
    assert_eq!(last.serial, issued.serial + 2);
    again.stop().await;

    let retired = scene.run(next(number(2))).await;
    let new = retired.issue().await.expect("log 2 works");
    assert_eq!(scene.accepted_in(&new), 2);
    retired.stop().await;
    let again = scene.run(LogStart::Open).await;
    assert_eq!(again.logs.current(), number(2));
    again.stop().await;
}
