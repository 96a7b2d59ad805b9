//! The MTCA's enrolment service on files in a temporary folder, its operator's authority, and a witness that can be
//! told to fail.
//!
//! ```text
//! token, CSR ──> Enrolment ──> Mtca ──> Sequencer ──> Scripted ──(up)──> WitnessStore
//!                                                        └──(down)──> unreachable
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mtc_core::ca::CaCertificate;
use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::id::{EntryIndex, LogId, LogNumber, serial};
use mtc_core::landmark::LandmarkSequence;
use mtc_core::tree::Subtree;
use mtc_core::verify::{CaTrust, CosignerGroup, TrustedSubtree};
use mtc_log::{
    CaCheckpoint, CosigningKey, DirectoryStorage, IssuanceLog, Issuer, LandmarkPolicy,
    LandmarkStore, Object, Refusal, Sequencer, SequencerConfig, Storage, TreeReader, Witness,
    WitnessError, WitnessStore, WitnessedLog,
};
use mtc_tls::clock::Clock;
use mtc_tls::key::{Intermediates, KeyAlgorithm, NfKey, X509Profile, X509Revocation};
use mtc_tls::pem;
use nf_nrf::answers::Answers;
use nf_nrf::baseline::{self, BaselineCa};
use nf_nrf::enrolment::Enrolment;
use nf_nrf::enrolment_token::{TokenVerifier, UsedTokens};
use nf_nrf::files::PrivateFolder;
use nf_nrf::kubernetes::Pods;
use nf_nrf::log_opening::{OpenLogError, Place, Unopened};
use nf_nrf::metrics::NrfMetrics;
use nf_nrf::mtca::Mtca;
use nf_nrf::revoked::Revoked;
use sbi::ledger::Ledger;
use serde::Serialize;
use tempfile::TempDir;

pub(crate) const HOME_DOMAIN: &str = "5gc.mnc001.mcc001.3gppnetwork.org";
/// How long after its end a certificate may be renewed.
pub(crate) const RENEW_EXPIRED: Duration = Duration::from_secs(3600);
/// Between landmarks; long, so that none appears unless a test lets the time pass.
pub(crate) const LANDMARK_INTERVAL: Duration = Duration::from_secs(30);
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);
/// The one baseline of the service.
pub(crate) const BASELINE: X509Profile = X509Profile {
    ca_signature: KeyAlgorithm::EcdsaP256,
    intermediates: Intermediates::One,
    revocation: X509Revocation::None,
};
const CLOCK: Clock = Clock { offset_seconds: 0 };

/// The enrolment service and what relying parties have to know of it.
pub(crate) struct Service {
    pub(crate) enrolment: Arc<Enrolment>,
    pub(crate) authority: Authority,
    pub(crate) ledger: Arc<Ledger>,
    witness_is_down: Arc<AtomicBool>,
    log: LogId,
    ca: Cosigner,
    witness: Cosigner,
    issuer: Issuer,
    storage: Arc<dyn Storage>,
    /// Lives as long as the files in it.
    folder: TempDir,
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_with(Ok, None)
    }

    /// As [`Self::start`], where pods may enrol too.
    pub(crate) fn start_for(pods: Pods) -> Self {
        Self::start_with(Ok, Some(pods))
    }

    /// An MTCA without an issuance log, as after a start that could not open it.
    pub(crate) fn start_without_log() -> Self {
        Self::start_with(
            |_| {
                let place = Place {
                    log: LogNumber::FIRST,
                    at: PathBuf::from("/lab/log").into(),
                };
                Err(OpenLogError::Lost { place }.into())
            },
            None,
        )
    }

    fn start_with(
        opened: impl FnOnce(Arc<Mtca>) -> Result<Arc<Mtca>, Unopened>,
        pods: Option<Pods>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (ca_key, witness_key) = (cosigning_key("32473.1"), cosigning_key("32473.9"));
        let (ca, witness) = (ca_key.cosigner().clone(), witness_key.cosigner().clone());
        let log = LogId::new(ca.id, LogNumber::FIRST).expect("a short ID");
        let storage = storage(&folder.path().join("log"));
        let issuance_log =
            IssuanceLog::create(storage.clone(), log, ca_key, CLOCK.now()).expect("empty");
        let landmarks = landmarks(&storage);
        let witness_is_down = Arc::new(AtomicBool::new(false));
        let scripted = Scripted {
            store: witness_store(&folder.path().join("witness"), witness_key, log, &ca),
            is_down: witness_is_down.clone(),
        };
        let issuer = start_sequencer(issuance_log, scripted);
        let ledger = Arc::new(Ledger::default());
        let metrics = NrfMetrics::new(&ledger.metrics().registry);
        let mtca = Mtca::new(
            log,
            issuer.clone(),
            storage.clone(),
            landmarks,
            private_folder(folder.path().join("certificates")),
            LIFETIME,
            LANDMARK_INTERVAL,
            CLOCK,
            ledger.clone(),
            metrics.clone(),
        );
        let authority = Authority::new();
        UsedTokens::begin(&folder.path().join("used-tokens")).expect("a new record");
        let used = UsedTokens::open(&folder.path().join("used-tokens"), CLOCK.now());
        let enrolment = Enrolment {
            mtca: opened(Arc::new(mtca)),
            baselines: vec![baseline(&folder.path().join("x509"))],
            tokens: authority.verifier(),
            used: used.expect("a new record"),
            pods,
            answers: Answers::open(private_folder(folder.path().join("answers")), CLOCK.now())
                .expect("a new folder"),
            revoked: Revoked::open(private_folder(folder.path().join("revoked")), &ca.id)
                .expect("a new folder"),
            country: "DE".to_owned(),
            organization: HOME_DOMAIN.to_owned(),
            clock: CLOCK,
            renew_expired: RENEW_EXPIRED,
            lifetime: LIFETIME,
            metrics,
        };
        Self {
            enrolment: Arc::new(enrolment),
            authority,
            ledger,
            witness_is_down,
            log,
            ca,
            witness,
            issuer,
            storage,
            folder,
        }
    }

    /// A file or folder of the NRF's state.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The file of an archived certificate.
    pub(crate) fn archived(&self, serial: u64) -> PathBuf {
        self.file("certificates").join(format!("{serial:016x}.der"))
    }

    /// The CA's certificate.
    fn ca(&self) -> CaCertificate {
        let number = self.log.number();
        CaCertificate {
            cosigner: self.ca.clone(),
            min_serial: serial(number, EntryIndex(0)).expect("an index"),
            max_serial: serial(number, EntryIndex((1 << 48) - 1)).expect("an index"),
            prefix_url: None,
        }
    }

    /// Its DER.
    pub(crate) fn ca_certificate(&self) -> Vec<u8> {
        let now = CLOCK.now();
        self.ca().to_der(now, now.plus(LIFETIME))
    }

    /// Trust in the CA together with its witness, and in no landmark.
    pub(crate) fn trust(&self) -> CaTrust {
        let certificate = self.ca();
        let witness = CosignerGroup::new(vec![self.witness.clone()], 1).expect("1 of 1");
        CaTrust::ca_alone(&certificate)
            .require(witness)
            .expect("not the CA")
    }

    /// Trust in the CA and in the subtrees of the landmarks that the log has published.
    pub(crate) fn trust_in_landmarks(&self) -> CaTrust {
        let document = self.storage.get(&Object::Landmarks).expect("readable");
        let document = String::from_utf8(document.expect("published")).expect("text");
        let sequence = LandmarkSequence::parse(&document, CLOCK.now()).expect("well formed");
        let published = self.published();
        let tree = TreeReader::open(self.storage.clone(), published.size(), published.root())
            .expect("a published tree");
        let trusted = |subtree: Subtree| TrustedSubtree {
            log_number: self.log.number(),
            subtree,
            hash: tree.subtree_hash(subtree).expect("in the tree"),
        };
        let active = sequence.active(CLOCK.now());
        let subtrees = active.flat_map(|landmark| landmark.subtrees);
        self.trust()
            .with_trusted_subtrees(subtrees.filter(|subtree| !subtree.is_empty()).map(trusted))
    }

    /// Lets the service allocate its first landmark, by letting the interval pass. For runtimes of one thread: their
    /// paused clock jumps as soon as nothing but time can happen, and stands still during file operations.
    pub(crate) async fn allocate_first_landmark(&self) {
        tokio::time::pause();
        let mtca = self.enrolment.mtca.clone().expect("the log is open");
        let keeping = mtca.keep_landmarks();
        let kept = tokio::time::timeout(LANDMARK_INTERVAL * 3 / 2, keeping).await;
        tokio::time::resume();
        kept.expect_err("landmarks are kept for ever");
    }

    pub(crate) fn set_witness_down(&self, down: bool) {
        self.witness_is_down.store(down, Ordering::SeqCst);
    }

    fn published(&self) -> CaCheckpoint {
        let published = self.issuer.published().borrow().clone();
        published.expect("a batch was published")
    }
}

/// Mints enrolment tokens.
pub(crate) struct Authority(NfKey);

impl Authority {
    pub(crate) fn new() -> Self {
        Self(NfKey::generate(KeyAlgorithm::EcdsaP256).expect("randomness"))
    }

    pub(crate) fn mint(&self, claims: &impl Serialize) -> String {
        let key = EncodingKey::from_ec_der(&self.0.to_pkcs8().expect("encodes"));
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), claims, &key).expect("claims encode")
    }

    fn verifier(&self) -> TokenVerifier {
        TokenVerifier::new(&pem::encode(pem::PUBLIC_KEY, self.0.spki_der())).expect("on P-256")
    }
}

/// A witness that does its work unless it is told to be down.
struct Scripted {
    store: WitnessStore,
    is_down: Arc<AtomicBool>,
}

impl Scripted {
    fn answer(
        &self,
        cosign: impl FnOnce(&WitnessStore) -> Result<Vec<u8>, Refusal>,
    ) -> Result<Vec<u8>, WitnessError> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(WitnessError::Unreachable("the test said so".into()));
        }
        cosign(&self.store).map_err(|refusal| match refusal {
            Refusal::Conflict { latest } => WitnessError::Conflict { size: latest },
            refusal => WitnessError::Refused {
                status: refusal.status(),
                detail: refusal.to_string(),
            },
        })
    }
}

impl Witness for Scripted {
    fn cosigner(&self) -> &Cosigner {
        self.store.cosigner()
    }

    async fn add_checkpoint(&self, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        self.answer(|store| store.add_checkpoint(&body, CLOCK.now()))
    }

    async fn sign_subtree(&self, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        self.answer(|store| store.sign_subtree(&body))
    }

    async fn latest_checkpoint(&self, log: &LogId) -> Result<Option<Vec<u8>>, WitnessError> {
        Ok(self.store.latest_of(log))
    }
}

fn start_sequencer(log: IssuanceLog, witness: Scripted) -> Issuer {
    let config = SequencerConfig {
        queue: 16,
        min_interval: Duration::ZERO,
        required_witnesses: 1,
        witness_deadline: Duration::from_secs(10),
    };
    let clock = Arc::new(|| CLOCK.now());
    let (issuer, sequencer) =
        Sequencer::new(log, [witness], config, clock).expect("1 of 1 witnesses");
    tokio::spawn(sequencer.run());
    issuer
}

fn cosigning_key(id: &str) -> CosigningKey {
    let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("randomness");
    CosigningKey::new(id.parse().expect("a trust anchor ID"), secret).expect("a public half")
}

fn storage(path: &Path) -> Arc<dyn Storage> {
    Arc::new(DirectoryStorage::create(path).expect("a new folder"))
}

fn private_folder(path: PathBuf) -> PrivateFolder {
    PrivateFolder::open(path).expect("a new folder")
}

fn landmarks(storage: &Arc<dyn Storage>) -> LandmarkStore {
    let policy = LandmarkPolicy {
        time_between: LANDMARK_INTERVAL,
        first_time_between: LANDMARK_INTERVAL,
        max_certificate_lifetime: LIFETIME,
    };
    LandmarkStore::open(storage.clone(), policy, None).expect("no landmarks yet")
}

fn witness_store(path: &Path, key: CosigningKey, log: LogId, ca: &Cosigner) -> WitnessStore {
    let log = WitnessedLog {
        id: log,
        ca: ca.clone(),
    };
    WitnessStore::open(storage(path), key, [log]).expect("a new witness")
}

fn baseline(folder: &Path) -> BaselineCa {
    let now = CLOCK.now();
    let pem = baseline::create(BASELINE, now.minus(LIFETIME), now.plus(2 * LIFETIME));
    let pem = pem.expect("a new CA");
    let [intermediate] = &pem.intermediates[..] else {
        panic!("the profile has one");
    };
    fs::create_dir(folder).expect("a new folder");
    for (name, text) in [
        (baseline::ROOT_CERTIFICATE_FILE, &pem.root.certificate),
        (
            baseline::INTERMEDIATE_CERTIFICATE_FILES[0],
            &intermediate.certificate,
        ),
        (baseline::INTERMEDIATE_KEY_FILES[0], &intermediate.key),
    ] {
        fs::write(folder.join(name), text).expect("written");
    }
    BaselineCa::load(folder, BASELINE).expect("a sound CA")
}
