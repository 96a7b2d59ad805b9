//! The Merkle Tree CA: from a subject and a key to certificates.
//!
//! ```text
//! issue:              entry ─> Issuer (durable, cosigned) ─> standalone certificate ─> archive ─> acknowledged
//! landmark_relative:  archive ─> landmark above the entry? ─> proof to its subtree ─> certificate
//! keep_landmarks:     every interval, and more often at first, a landmark at the published checkpoint, if the tree has grown
//! ```

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mtc_core::certificate::{
    Certificate, CertificateError, CertificateFields, MtcProof, with_proof,
};
use mtc_core::id::{EntryIndex, LandmarkNumber, LogId, LogNumber, split_serial};
use mtc_core::landmark::{Landmark, LandmarkError};
use mtc_core::time::UnixTime;
use mtc_core::tree::{Subtree, covering_subtrees};
use mtc_log::{
    CaCheckpoint, Certified, CertifyError, IssueError, Issuer, LandmarkStore, LandmarkStoreError,
    Storage, TreeError, TreeReader,
};
use mtc_tls::clock::Clock;
use mtc_tls::identity::{NfIdentity, NfSubject};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;
use uuid::Uuid;

use crate::files::{FileError, PrivateFolder};
use crate::inspection::damaged;
use crate::metrics::NrfMetrics;
use crate::witness_times::{CLOCK_TOLERANCE, WitnessTimes};
use mtc_core::causes::Causes;
use sbi::ledger::{Ledger, StartStep};

const ARCHIVE_SUFFIX: &str = ".der";

/// How long after its start an NRF allocates a log's first landmark, if the interval is not shorter: it then holds the
/// certificates of the NFs that start with the NRF, and nobody waits for long.
const FIRST_LANDMARK_AFTER: Duration = Duration::from_secs(2);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MtcaError {
    /// The certificate cannot be built.
    #[error("the certificate cannot be built")]
    Certificate(#[from] CertificateError),
    /// The subject makes no certificate of this CA.
    #[error("the certificate cannot be issued")]
    Fields(#[source] CertifyError),
    /// The log did not take the entry, or witnesses did not cosign.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The archive cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// An archived certificate is not the one that was issued: its entry in the log is another.
    #[error(
        "{} is damaged: it does not match its entry in the log; restore it, or let its holder renew, or enrol with a new token",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Tree(#[from] TreeError),
    /// The landmarks.
    #[error(transparent)]
    Landmarks(#[from] LandmarkStoreError),
    /// The clock is not what a witness's is, so that landmarks would expire when they must not.
    #[error("the clock is {0} seconds away from that of the nearest witness that signed last")]
    Clock(u64),
    /// The process is ending.
    #[error("the process is shutting down")]
    Ending(#[from] JoinError),
    /// No such certificate was issued.
    #[error("no certificate with serial number {0} was issued here, or it has expired")]
    Unknown(u64),
    /// The certificate's log has been retired.
    #[error("log {0} has been retired: it gets no more landmarks")]
    Retired(LogNumber),
}

impl From<CertifyError> for MtcaError {
    fn from(error: CertifyError) -> Self {
        match error {
            CertifyError::Issue(error) => Self::Issue(error),
            error => Self::Fields(error),
        }
    }
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuance {
    /// Its serial number.
    pub serial: u64,
    /// The standalone certificate.
    pub certificate: Vec<u8>,
    /// Last second of its validity.
    pub not_after: UnixTime,
}

/// A landmark-relative certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LandmarkRelative {
    /// The certificate.
    pub certificate: Vec<u8>,
    /// The landmark that relying parties must know.
    pub landmark: Landmark,
}

/// The MTCA.
pub struct Mtca {
    log: LogId,
    issuer: Issuer,
    storage: Arc<dyn Storage>,
    /// Held for file operations on blocking threads only, never over an await.
    landmarks: Mutex<LandmarkStore>,
    archive: PrivateFolder,
    lifetime: Duration,
    landmark_interval: Duration,
    clock: Clock,
    ledger: Arc<Ledger>,
    metrics: NrfMetrics,
    witness_times: WitnessTimes,
}

impl Mtca {
    /// An MTCA on a log with its sequencer's handle.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of the MTCA; nobody else builds one"
    )]
    pub fn new(
        log: LogId,
        issuer: Issuer,
        storage: Arc<dyn Storage>,
        landmarks: LandmarkStore,
        archive: PrivateFolder,
        lifetime: Duration,
        landmark_interval: Duration,
        clock: Clock,
        ledger: Arc<Ledger>,
        metrics: NrfMetrics,
    ) -> Self {
        metrics.newest_landmark(&landmarks.sequence().latest());
        metrics.landmark_interval(landmark_interval);
        let landmarks = Mutex::new(landmarks);
        Self {
            log,
            issuer,
            storage,
            landmarks,
            archive,
            lifetime,
            landmark_interval,
            clock,
            ledger,
            metrics,
            witness_times: WitnessTimes::default(),
        }
    }

    /// Allocates landmarks only while the clock agrees with the times that witnesses have just signed.
    #[must_use]
    pub fn with_witness_times(mut self, witness_times: WitnessTimes) -> Self {
        self.witness_times = witness_times;
        self
    }

    /// The log.
    pub const fn log(&self) -> &LogId {
        &self.log
    }

    /// How long it takes until the next landmark may be allocated, which is then done if the tree has grown.
    ///
    /// # Errors
    /// The process is ending.
    pub async fn until_next_landmark(self: &Arc<Self>) -> Result<Duration, MtcaError> {
        let mtca = self.clone();
        blocking(move || {
            let next = mtca.lock_landmarks().earliest_next();
            let seconds = next.0.saturating_sub(mtca.clock.now().0);
            Ok::<_, MtcaError>(Duration::from_secs(seconds))
        })
        .await
    }

    /// Issues a certificate: when this returns, its entry is durable and cosigned, and the certificate archived.
    ///
    /// Dropping the future abandons the answer; the entry may be logged all the same.
    ///
    /// # Errors
    /// See [`MtcaError`].
    pub async fn issue(&self, subject: &NfSubject, spki: &[u8]) -> Result<Issuance, MtcaError> {
        let began = Instant::now();
        let (not_before, not_after) = validity(self.clock, self.lifetime);
        let (name, extensions) = (subject.name_der(), subject.extensions_der());
        let fields = CertificateFields {
            issuer: self.log.ca(),
            not_before,
            not_after,
            subject: &name,
            spki,
            extensions: &extensions,
        };
        let Certified {
            index,
            certificate,
            logging,
            assembling,
            ..
        } = self.issuer.certify(&fields).await?;
        let serial =
            mtc_core::id::serial(self.log.number(), index).map_err(CertificateError::from)?;
        let archiving = Instant::now();
        let (archive, copy) = (self.archive.clone(), certificate.clone());
        blocking(move || archive.write_durably(&archive_name(serial), &copy)).await?;
        let whole = began.elapsed();
        self.metrics
            .issued_mtc(assembling, archiving.elapsed(), whole);
        self.ledger.record_issuance(whole, logging);
        self.record_step(StartStep::Checkpoint, logging, Duration::ZERO);
        Ok(Issuance {
            serial,
            certificate,
            not_after,
        })
    }

    /// Counts a step of the start of whoever is certified.
    pub(crate) fn record_step(&self, step: StartStep, elapsed: Duration, cpu: Duration) {
        self.ledger.record_step(step, elapsed, cpu);
    }

    /// The landmark-relative certificate of an issued one, or none as long as its landmark does not exist.
    ///
    /// # Errors
    /// See [`MtcaError`].
    pub async fn landmark_relative(
        self: &Arc<Self>,
        serial: u64,
    ) -> Result<Option<LandmarkRelative>, MtcaError> {
        let mtca = self.clone();
        blocking(move || mtca.build_landmark_relative(serial)).await
    }

    /// Blocks on the disk.
    fn build_landmark_relative(&self, serial: u64) -> Result<Option<LandmarkRelative>, MtcaError> {
        let standalone = self.read_archive(serial)?;
        let Ok((log, index)) = split_serial(serial) else {
            return Err(MtcaError::Unknown(serial));
        };
        // Its landmarks could be read, but peers show the newest log's: nobody would be presented the certificate.
        if log != self.log.number() {
            return Err(MtcaError::Retired(log));
        }
        let (proof, archived) = {
            // Locked before the tree is read: no landmark can be allocated beyond that tree in between.
            let landmarks = self.lock_landmarks();
            let Some(tree) = self.issuer.published_tree()? else {
                return Ok(None);
            };
            let Some(proof) = landmarks.prove(&tree, index, self.clock.now())? else {
                return Ok(None);
            };
            // A proof of one entry below the contents of another is a certificate that every peer refuses.
            (proof, self.as_logged(&tree, index, serial, &standalone)?)
        };
        let mtc_proof = MtcProof {
            extensions: archived.log_entry()?.extensions,
            subtree: proof.subtree,
            inclusion_proof: proof.inclusion_proof,
            signatures: Vec::new(),
        };
        let certificate = with_proof(&standalone, &mtc_proof)?;
        Ok(Some(LandmarkRelative {
            certificate,
            landmark: proof.landmark,
        }))
    }

    /// An issued certificate that has not expired; one that has is removed.
    ///
    /// # Errors
    /// See [`MtcaError`].
    pub async fn standalone(self: &Arc<Self>, serial: u64) -> Result<Issuance, MtcaError> {
        let mtca = self.clone();
        let certificate = blocking(move || mtca.read_standalone(serial)).await?;
        let not_after = expiry(&certificate).ok_or(MtcaError::Unknown(serial))?;
        Ok(Issuance {
            serial,
            certificate,
            not_after,
        })
    }

    /// Whether an entry of the current log has been published.
    pub fn holds(&self, index: EntryIndex) -> bool {
        let published = self.issuer.published();
        let published = published.borrow();
        { published.as_ref() }.is_some_and(|published| published.size().holds(index))
    }

    /// The serial numbers of an NF instance's certificates that have not expired.
    ///
    /// # Errors
    /// The archive cannot be read.
    pub async fn serials_of(self: &Arc<Self>, instance: Uuid) -> Result<Vec<u64>, MtcaError> {
        let mtca = self.clone();
        blocking(move || mtca.read_serials_of(instance)).await
    }

    /// Blocks on the disk.
    fn read_serials_of(&self, instance: Uuid) -> Result<Vec<u64>, FileError> {
        let now = self.clock.now();
        let mut serials = Vec::new();
        for name in self.archive.names(ARCHIVE_SUFFIX)? {
            let certificate = self.archive.read(&name)?.unwrap_or_default();
            let Ok(identity) = NfIdentity::from_certificate(&certificate) else {
                continue;
            };
            let serial = Certificate::parse(&certificate).map(|certificate| certificate.serial);
            if identity.instance_id == instance && UnixTime(identity.not_after) >= now {
                serials.extend(serial);
            }
        }
        Ok(serials)
    }

    /// Blocks on the disk.
    fn read_standalone(&self, serial: u64) -> Result<Vec<u8>, MtcaError> {
        let certificate = self.read_archive(serial)?;
        // A retired log is not read any more.
        if let Ok((log, index)) = split_serial(serial)
            && log == self.log.number()
            && let Some(tree) = self.issuer.published_tree()?
            && tree.size().holds(index)
        {
            self.as_logged(&tree, index, serial, &certificate)?;
        }
        Ok(certificate)
    }

    /// Reads an archived certificate, which is damaged unless its contents are the log's entry. Blocks on the disk.
    fn as_logged<'a>(
        &self,
        tree: &TreeReader,
        index: EntryIndex,
        serial: u64,
        certificate: &'a [u8],
    ) -> Result<Certificate<'a>, MtcaError> {
        let leaf = Subtree::new(index.0, index.0 + 1).map_err(CertificateError::from)?;
        let logged = tree.subtree_hash(leaf)?;
        Certificate::parse(certificate)
            .ok()
            .filter(|archived| archived.serial == serial && archived.leaf_hash() == logged)
            .ok_or_else(|| MtcaError::Damaged {
                path: self.archive.path(&archive_name(serial)),
            })
    }

    /// Blocks on the disk.
    fn read_archive(&self, serial: u64) -> Result<Vec<u8>, MtcaError> {
        let name = archive_name(serial);
        let certificate = self
            .archive
            .read(&name)?
            .ok_or(MtcaError::Unknown(serial))?;
        if expiry(&certificate).is_none_or(|not_after| not_after < self.clock.now()) {
            self.archive.remove(&name)?;
            return Err(MtcaError::Unknown(serial));
        }
        Ok(certificate)
    }

    /// Removes archived certificates that have expired. Serial numbers ascend with time and lifetimes are equal, so the
    /// first that has not ends the sweep. Blocks on the disk.
    fn sweep_archive(&self) -> Result<(), FileError> {
        for name in self.archive.names(ARCHIVE_SUFFIX)? {
            let certificate = self.archive.read(&name)?.unwrap_or_default();
            if expiry(&certificate).is_some_and(|not_after| not_after >= self.clock.now()) {
                break;
            }
            self.archive.remove(&name)?;
        }
        Ok(())
    }

    /// Allocates landmarks for ever: when the tree has grown and the store's policy lets it, the first a moment after the
    /// start.
    ///
    /// Dropping the future stops allocating.
    pub async fn keep_landmarks(self: Arc<Self>) {
        let mut published = self.issuer.published();
        if self.latest_landmark() == LandmarkNumber(0) {
            sleep(self.landmark_interval.min(FIRST_LANDMARK_AFTER)).await;
        }
        loop {
            let mtca = self.clone();
            let swept = blocking({
                let mtca = mtca.clone();
                move || mtca.sweep_archive()
            });
            if let Err(error) = swept.await {
                tracing::warn!(error = %Causes(&error), "cannot remove expired certificates from the archive");
            }
            let allocated = blocking(move || mtca.allocate_landmark()).await;
            let Ok(until_next) = self.until_next_landmark().await else {
                return; // the process is ending
            };
            match allocated {
                Ok(Some(landmark)) => {
                    self.metrics.newest_landmark(&landmark);
                    tracing::info!(
                        landmark = landmark.number.0,
                        tree_size = landmark.tree_size.0,
                        "allocated a landmark"
                    );
                    sleep(until_next).await;
                }
                // It is too early.
                Ok(None) if !until_next.is_zero() => sleep(until_next).await,
                // The tree has to grow first. After an interval the archive is swept all the same.
                Ok(None) => {
                    let grown = published.changed();
                    tokio::select! {
                        changed = grown => if changed.is_err() { return },
                        () = sleep(self.landmark_interval) => {}
                    }
                }
                // Relying parties would not get there: nobody shall be given what only its holder can use.
                Err(MtcaError::Tree(damage)) if damage.is_damage() => {
                    return damaged(damage, &self.issuer, &self.metrics);
                }
                Err(error) => {
                    tracing::error!(error = %Causes(&error), "no landmark allocated, retrying");
                    sleep(self.landmark_interval).await;
                }
            }
        }
    }

    fn latest_landmark(&self) -> LandmarkNumber {
        self.lock_landmarks().sequence().latest().number
    }

    fn lock_landmarks(&self) -> MutexGuard<'_, LandmarkStore> {
        self.landmarks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks on the disk.
    fn allocate_landmark(&self) -> Result<Option<Landmark>, MtcaError> {
        let published = self.issuer.published().borrow().clone();
        let Some(published) = published else {
            return Ok(None);
        };
        let mut landmarks = self.lock_landmarks();
        let now = self.clock.now();
        let due = match landmarks.due(&published, now) {
            Ok(due) => due,
            Err(LandmarkError::NotGrown(_) | LandmarkError::TooEarly(_)) => return Ok(None),
            Err(error) => return Err(LandmarkStoreError::from(error).into()),
        };
        if let Some(away) = self.witness_times.far_from(now) {
            return Err(MtcaError::Clock(away.as_secs()));
        }
        let active = landmarks.sequence().active(now);
        let last = landmarks.sequence().latest().tree_size;
        let subtrees = active.flat_map(|pair| pair.subtrees);
        let subtrees = subtrees.chain(covering_subtrees(last.0, due.tree_size.0));
        self.read_as_relying_parties_do(&published, subtrees)?;
        let landmark = landmarks.allocate(&published, now)?;
        let (log, number) = (self.log.number(), landmark.number);
        self.ledger.record_published_landmark(log, number);
        Ok(Some(landmark))
    }

    /// Reads from the disk, past every cache, what a relying party that learns of the landmark will.
    fn read_as_relying_parties_do(
        &self,
        published: &CaCheckpoint,
        subtrees: impl Iterator<Item = Subtree>,
    ) -> Result<(), TreeError> {
        let storage = self.storage.clone();
        let tree = TreeReader::open(storage, published.size(), published.root())?;
        for subtree in subtrees.filter(|subtree| !subtree.is_empty()) {
            tree.subtree_hash(subtree)?;
            tree.consistency_proof(subtree)?;
        }
        Ok(())
    }
}

/// The validity of a certificate issued now.
pub(crate) fn validity(clock: Clock, lifetime: Duration) -> (UnixTime, UnixTime) {
    let now = clock.now();
    (now.minus(CLOCK_TOLERANCE), now.plus(lifetime))
}

/// Last second of a certificate's validity.
fn expiry(certificate: &[u8]) -> Option<UnixTime> {
    NfIdentity::from_certificate(certificate)
        .ok()
        .map(|identity| UnixTime(identity.not_after))
}

fn archive_name(serial: u64) -> String {
    format!("{serial:016x}{ARCHIVE_SUFFIX}")
}

/// Runs file operations where they may block. At the end of the process those that have not begun never do.
async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, MtcaError>
where
    T: Send + 'static,
    E: Send + 'static,
    MtcaError: From<E>,
{
    Ok(spawn_blocking(work).await??)
}
