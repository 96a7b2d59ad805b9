//! Issuing a batch of certificates, as the NRF does it.
//!
//! ```text
//! request: subject, SPKI --Issuer::certify--> entry -> append -> CA and witness cosign -> publish -> prove -> DER
//!          x 1000, a task each, as from as many connections          once a batch           x 1000
//! ```
//!
//! The log, its sequencer and the witness are those of the lab, in this process: what HTTP, CSRs and the archive of
//! certificates cost is not in it. CA and witness sign with ML-DSA-44, subjects have ML-DSA-65 keys.

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mtc_core::ca::CaCertificate;
use mtc_core::certificate::CertificateFields;
use mtc_core::cosign::{Cosigner, KeyError, SecretKey, SignatureAlgorithm};
use mtc_core::id::{IdError, LogId, LogNumber, TrustAnchorId};
use mtc_core::time::UnixTime;
use mtc_core::verify::{CaTrust, CosignerGroup, PolicyError, Rejection};
use mtc_log::{
    Certified, CertifyError, CosigningKey, DirectoryStorage, IssuanceLog, Issuer, Object,
    OpenError, Refusal, Sequencer, SequencerConfig, SequencerConfigError, Storage, StorageError,
    Witness, WitnessError, WitnessOpenError, WitnessStore, WitnessedLog,
};
use mtc_tls::identity::{NfSubject, SubjectError};
use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::task::{JoinError, JoinSet};
use uuid::Uuid;

const NOW: UnixTime = UnixTime(1_795_305_600); // 2026-11-22
const LIFETIME: Duration = Duration::from_secs(7 * 86_400);

/// Why there is nothing to time, or a batch has failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IssuanceError {
    /// An identifier.
    #[error("identifier")]
    Id(#[from] IdError),
    /// A key.
    #[error("key")]
    Key(#[from] KeyError),
    /// The subject of a certificate.
    #[error("subject of a certificate")]
    Subject(#[from] SubjectError),
    /// The policy.
    #[error("policy")]
    Policy(#[from] PolicyError),
    /// The runtime or the temporary directory.
    #[error("operating system")]
    Io(#[from] std::io::Error),
    /// The storage.
    #[error("storage")]
    Storage(#[from] StorageError),
    /// The log.
    #[error("log")]
    Log(#[from] OpenError),
    /// The witness.
    #[error("witness")]
    Witness(#[from] WitnessOpenError),
    /// The sequencer.
    #[error("sequencer")]
    Sequencer(#[from] SequencerConfigError),
    /// A certificate was not issued.
    #[error("a certificate was not issued")]
    Issue(#[from] CertifyError),
    /// The task of a request has panicked.
    #[error("the task of a request was lost")]
    Lost(#[from] JoinError),
    /// The requests did not make one batch, so what was timed is not what was asked for.
    #[error("the requests ended up in several batches")]
    Split,
    /// A certificate that was issued does not verify, which is a defect.
    #[error("an issued certificate does not verify")]
    Rejected(#[from] Rejection),
}

/// Where the log and the witness keep their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStorage {
    /// In this process.
    Memory,
    /// In a temporary directory, durably.
    Directory,
}

/// A CA with its log, a witness, and requests for certificates.
pub struct IssuanceFixture {
    runtime: Runtime,
    issuer: Issuer,
    log: LogId,
    requests: Vec<Arc<Request>>,
    trust: CaTrust,
    _directory: Option<tempfile::TempDir>,
}

/// What is left of a CSR that has been parsed and allowed.
struct Request {
    subject: NfSubject,
    spki: Vec<u8>,
}

/// What issuing a batch has cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IssuanceCost {
    /// How many certificates were issued.
    pub certificates: u64,
    /// CPU time of the whole process.
    pub cpu: Duration,
    /// Time on the wall.
    pub wall: Duration,
}

impl IssuanceCost {
    /// Certificates per second and core.
    pub fn per_cpu_second(&self) -> f64 {
        self.certificates as f64 / self.cpu.as_secs_f64()
    }

    /// Certificates per second of wall time.
    pub fn per_second(&self) -> f64 {
        self.certificates as f64 / self.wall.as_secs_f64()
    }
}

impl IssuanceFixture {
    /// An empty log and `batch` requests, each with a key of its own.
    ///
    /// # Errors
    /// Keys, runtime, directory or log could not be made.
    pub fn new(storage: LogStorage, batch: usize) -> Result<Self, IssuanceError> {
        let ca_id: TrustAnchorId = "32473.1".parse()?;
        let log = LogId::new(ca_id, LogNumber::FIRST)?;
        let directory = match storage {
            LogStorage::Memory => None,
            LogStorage::Directory => Some(tempfile::tempdir()?),
        };
        let open = |name: &str| open_storage(directory.as_ref().map(|root| root.path().join(name)));
        let ca_key = CosigningKey::new(ca_id, SecretKey::generate(SignatureAlgorithm::MlDsa44)?)?;
        let ca = ca_key.cosigner().clone();
        let witness = LocalWitness::open(open("witness")?, "32473.9".parse()?, log, ca.clone())?;
        let trust = trust(ca, witness.cosigner().clone())?;
        let issuance_log = IssuanceLog::create(open("log")?, log, ca_key, NOW)?;
        let config = SequencerConfig {
            queue: batch.max(1),
            min_interval: Duration::ZERO,
            required_witnesses: 1,
            witness_deadline: Duration::from_secs(60),
        };
        let clock = Arc::new(|| NOW);
        let (issuer, sequencer) = Sequencer::new(issuance_log, [witness], config, clock)?;
        // One thread, so that all requests are queued before the sequencer takes the batch.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        runtime.spawn(sequencer.run());
        let requests = (0..batch).map(Request::new);
        let requests = requests.collect::<Result<_, _>>()?;
        Ok(Self {
            runtime,
            issuer,
            log,
            requests,
            trust,
            _directory: directory,
        })
    }

    /// One batch: a standalone certificate, DER, for each request.
    ///
    /// # Errors
    /// A certificate was not issued, or not in the batch of the others.
    pub fn issue(&self) -> Result<Vec<Vec<u8>>, IssuanceError> {
        let mut certificates = Vec::with_capacity(self.requests.len());
        self.issue_to(|certificate| certificates.push(certificate))?;
        Ok(certificates)
    }

    /// One batch, each certificate handed over when it is finished, as a server answers.
    fn issue_to(&self, mut receive: impl FnMut(Vec<u8>)) -> Result<(), IssuanceError> {
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for request in &self.requests {
                let (issuer, log, request) = (self.issuer.clone(), self.log, Arc::clone(request));
                tasks.spawn(async move { request.issue(&issuer, &log).await });
            }
            let mut batch = None;
            while let Some(finished) = tasks.join_next().await {
                let Certified {
                    tree_size,
                    certificate,
                    ..
                } = finished??;
                if *batch.get_or_insert(tree_size) != tree_size {
                    return Err(IssuanceError::Split);
                }
                receive(certificate);
            }
            Ok(())
        })
    }

    /// What a batch costs: the median, by CPU time, of so many.
    ///
    /// A signature of ML-DSA takes as many attempts as chance wants, and a disk now and then its time: the mean of a few
    /// batches says more of those than of issuing.
    ///
    /// # Errors
    /// As [`IssuanceFixture::issue`].
    pub fn cost(&self, batches: usize) -> Result<IssuanceCost, IssuanceError> {
        let mut costs = Vec::with_capacity(batches.max(1));
        for _ in 0..batches.max(1) {
            costs.push(self.cost_of_batch()?);
        }
        costs.sort_by_key(|cost| cost.cpu);
        Ok(costs[costs.len() / 2])
    }

    fn cost_of_batch(&self) -> Result<IssuanceCost, IssuanceError> {
        let (cpu, wall) = (process_cpu(), Instant::now());
        let mut certificates = 0;
        self.issue_to(|certificate| {
            black_box(certificate);
            certificates += 1;
        })?;
        Ok(IssuanceCost {
            certificates,
            cpu: process_cpu().saturating_sub(cpu),
            wall: wall.elapsed(),
        })
    }

    /// Checks certificates as a relying party does that requires the CA and the witness.
    ///
    /// # Errors
    /// One of them is rejected.
    pub fn verify(&self, certificates: &[Vec<u8>]) -> Result<(), IssuanceError> {
        for certificate in certificates {
            self.trust.verify_issuance(certificate)?;
        }
        Ok(())
    }
}

impl Request {
    fn new(number: usize) -> Result<Arc<Self>, IssuanceError> {
        let id = Uuid::from_u128(0x5eed_0000_0000_4000_8000_0000_0000_0000 + number as u128);
        let network = "5gc.mnc001.mcc001.3gppnetwork.org";
        let fqdn = format!("smf-{number}.{network}");
        let subject = NfSubject::new("DE", network, id, &["SMF".to_owned()], &[fqdn])?;
        let key = SecretKey::generate(SignatureAlgorithm::MlDsa65)?.public_key()?;
        let spki = key.to_spki();
        Ok(Arc::new(Self { subject, spki }))
    }

    async fn issue(&self, issuer: &Issuer, log: &LogId) -> Result<Certified, CertifyError> {
        let (name, extensions) = (self.subject.name_der(), self.subject.extensions_der());
        let fields = CertificateFields {
            issuer: log.ca(),
            not_before: NOW,
            not_after: NOW.plus(LIFETIME),
            subject: &name,
            spki: &self.spki,
            extensions: &extensions,
        };
        issuer.certify(&fields).await
    }
}

/// CPU time that this process has used.
fn process_cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(used.tv_sec).unwrap_or_default(),
        u32::try_from(used.tv_nsec).unwrap_or_default(),
    )
}

fn trust(ca: Cosigner, witness: Cosigner) -> Result<CaTrust, PolicyError> {
    let certificate = CaCertificate {
        cosigner: ca,
        min_serial: 1,
        max_serial: u64::MAX,
        prefix_url: None,
    };
    CaTrust::ca_alone(&certificate).require(CosignerGroup::new(vec![witness], 1)?)
}

fn open_storage(directory: Option<impl AsRef<Path>>) -> Result<Arc<dyn Storage>, StorageError> {
    Ok(match directory {
        Some(path) => Arc::new(DirectoryStorage::create(path.as_ref())?),
        None => Arc::new(MemoryStorage::default()),
    })
}

/// The SCP's witness without the network.
struct LocalWitness {
    store: Arc<WitnessStore>,
}

impl LocalWitness {
    fn open(
        storage: Arc<dyn Storage>,
        id: TrustAnchorId,
        log: LogId,
        ca: Cosigner,
    ) -> Result<Self, IssuanceError> {
        let key = CosigningKey::new(id, SecretKey::generate(SignatureAlgorithm::MlDsa44)?)?;
        let store = WitnessStore::open(storage, key, [WitnessedLog { id: log, ca }])?;
        Ok(Self {
            store: Arc::new(store),
        })
    }
}

impl Witness for LocalWitness {
    fn cosigner(&self) -> &Cosigner {
        self.store.cosigner()
    }

    async fn add_checkpoint(&self, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        let store = Arc::clone(&self.store);
        let answer = tokio::task::spawn_blocking(move || store.add_checkpoint(&body, NOW)).await?;
        answer.map_err(refused)
    }

    async fn sign_subtree(&self, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        let store = Arc::clone(&self.store);
        let answer = tokio::task::spawn_blocking(move || store.sign_subtree(&body)).await?;
        answer.map_err(refused)
    }

    async fn latest_checkpoint(&self, log: &LogId) -> Result<Option<Vec<u8>>, WitnessError> {
        Ok(self.store.latest_of(log))
    }
}

fn refused(refusal: Refusal) -> WitnessError {
    match refusal {
        Refusal::Conflict { latest } => WitnessError::Conflict { size: latest },
        refusal => WitnessError::Refused {
            status: refusal.status(),
            detail: refusal.to_string(),
        },
    }
}

/// A storage that dies with the process.
#[derive(Default)]
struct MemoryStorage(Mutex<HashMap<Object, Vec<u8>>>);

impl Storage for MemoryStorage {
    fn put(&self, object: &Object, bytes: &[u8]) -> Result<(), StorageError> {
        let mut objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        objects.insert(object.clone(), bytes.to_vec());
        Ok(())
    }

    fn get(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
        let objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(objects.get(object).cloned())
    }

    fn is_empty(&self) -> Result<bool, StorageError> {
        let objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(objects.is_empty())
    }
}
