//! The current log, opened or created, and compared with what witnesses have seen before anything of it is signed.
//!
//! ```text
//! Logs ── current ──> place ──> IssuanceLog, LandmarkStore       an error: the operator is told what can be done
//!                                     │
//!                      witnesses: have they cosigned what this log does not lead to, or a later log?
//!                                     │
//!                      recorded as begun ──> Sequencer
//! ```
//!
//! Two kinds of failure are kept apart ([`OpenLogError::is_proof`]): what signatures prove will not pass, and everything else
//! may.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use mtc_core::cosign::Cosigner;
use mtc_core::entry::{EntryError, MtcLogEntry};
use mtc_core::id::{EntryIndex, IdError, LogId, LogNumber, TreeSize, TrustAnchorId, serial};
use mtc_core::tree::Subtree;
use mtc_log::{
    AppendError, CaCheckpoint, CosigningKey, Inspection, IssuanceLog, LandmarkPolicy,
    LandmarkStore, LandmarkStoreError, Object, OpenError, Storage, StorageError, TreeError,
    TreeReader,
};
use mtc_tls::key::{NfKey, NfKeyError};
use sbi::trust_file::TrustFile;
use tokio::task::{JoinError, spawn_blocking};
use zeroize::Zeroizing;

use crate::config::NrfConfig;
use crate::files::{FileError, PrivateFolder, read_text};
use crate::log_place::{LogPlace, LogPlaceError};
use crate::logs::{LogStart, Logs, LogsError};
use crate::witness_client::HttpWitness;

/// Null entries that are appended at once when a log is preloaded.
const PRELOAD_BATCH: u64 = 65_536;

/// A log of at most so many entries is read as a whole before anything is issued from it. With entries of 1 kB these are 64 MiB,
/// read and hashed in well under a second; larger logs are read in the background ([`crate::inspection`]).
const READ_AT_START: TreeSize = TreeSize(65_536);

/// A log and where it is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its number.
    pub log: LogNumber,
    /// Where it is stored.
    pub at: LogPlace,
}

impl Place {
    /// How to go on without it.
    fn next(&self) -> String {
        match LogNumber::new(u64::from(self.log.get()) + 1) {
            Ok(next) => {
                format!("--next-log {next} retires it for good and continues with log {next}")
            }
            Err(_) => "it is the last log that this CA can have".to_owned(),
        }
    }
}

/// Why the current log cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenLogError {
    /// The process is ending.
    #[error("the process is shutting down")]
    Ending(#[from] JoinError),
    /// Which log is current.
    #[error(transparent)]
    Logs(#[from] LogsError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Where it is.
    #[error(transparent)]
    Place(#[from] LogPlaceError),
    /// The cosigner key.
    #[error("cosigner_key {}", path.display())]
    CosignerKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NfKeyError,
    },
    /// The cosigner key cannot sign.
    #[error("cosigner_key")]
    CosigningKey(#[from] mtc_core::cosign::KeyError),
    /// The CA's ID is too long for a log.
    #[error("the CA's ID")]
    Id(#[from] IdError),
    /// Nobody would accept a certificate of it.
    #[error(
        "log {log}: its serial numbers are outside the range of the CA's certificate, {first} to {last}"
    )]
    OutsideRange {
        /// The current log.
        log: LogNumber,
        /// The first serial number that relying parties accept.
        first: u64,
        /// The last.
        last: u64,
    },
    /// What the log is stored in.
    #[error("the issuance log in {} ({})", place.at, storage_hint(place, source))]
    Storage {
        /// The log.
        place: Place,
        /// What is wrong.
        source: StorageError,
    },
    /// There is no log, or it contradicts its checkpoint.
    #[error("the issuance log in {}{}", place.at, hint(place, source))]
    Log {
        /// The log.
        place: Place,
        /// What is wrong.
        source: OpenError,
    },
    /// Old tiles or entries, which opening it does not read, are damaged. No proof that it cannot go on: tiles can be had from the
    /// rest of the log.
    #[error("the issuance log in {}{}", place.at, tree_hint(place, source))]
    Damaged {
        /// The log.
        place: Place,
        /// What is wrong.
        source: TreeError,
    },
    /// A log is to be created where one has been.
    #[error(
        "the issuance log in {} was created earlier and is gone: restore the latest copy of the files; if they are lost, {}",
        place.at, place.next()
    )]
    Lost {
        /// The log.
        place: Place,
    },
    /// The log could not be preloaded.
    #[error("the new log could not be preloaded")]
    Preload(#[from] AppendError),
    /// A null entry cannot be encoded.
    #[error("a null entry cannot be encoded")]
    Entry(#[from] EntryError),
    /// The landmarks.
    #[error(
        "the landmarks of the log in {}{}", place.at, landmarks_hint(place, source)
    )]
    Landmarks {
        /// The log.
        place: Place,
        /// What is wrong.
        source: LandmarkStoreError,
    },
    /// A witness has cosigned a tree that is not part of this log.
    #[error(
        "the issuance log in {} has {size} entries, and witness {witness} has cosigned {seen} that they do not lead to: it was \
         rolled back, or replaced. Restore the latest copy of the files; if they are lost, {}",
        place.at, place.next()
    )]
    RolledBack {
        /// The log.
        place: Place,
        /// Its size.
        size: TreeSize,
        /// The witness.
        witness: TrustAnchorId,
        /// Size of the tree that it has cosigned, which is signed by the CA.
        seen: TreeSize,
    },
    /// A mirror has been sent a later checkpoint, and not yet what is under it. It says so and shows no signature: no proof.
    #[error(
        "the issuance log in {} has {size} entries, and mirror {mirror} says that it has been sent a checkpoint of {seen}: this is an older copy.          Restore the latest copy of the files; if they are lost, {}. If the mirror is wrong, take its [[witness]] out",
        place.at, place.next()
    )]
    Behind {
        /// The log.
        place: Place,
        /// Its size.
        size: TreeSize,
        /// The mirror.
        mirror: TrustAnchorId,
        /// Size of the tree that it has been told of.
        seen: TreeSize,
    },
    /// A witness has cosigned a later log.
    #[error(
        "witness {witness} has cosigned log {later}, so the log in {} has been retired, and this NRF's files are an older copy. \
         Restore the latest copy; if it is lost, continue with a log that nobody has seen: --next-log {}",
        place.at, later.get().saturating_add(1)
    )]
    Superseded {
        /// The log.
        place: Place,
        /// The witness.
        witness: TrustAnchorId,
        /// The newest log that it has cosigned.
        later: LogNumber,
    },
}

/// What is left of an issuance log that could not be opened: why. Nothing of it is read, signed or served. Clones share it.
#[derive(Clone, Debug)]
pub struct Unopened(Arc<OpenLogError>);

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Causes(&*self.0).fmt(f)
    }
}

impl std::error::Error for Unopened {}

impl From<OpenLogError> for Unopened {
    fn from(error: OpenLogError) -> Self {
        Self(Arc::new(error))
    }
}

impl OpenLogError {
    /// Whether this is about the log alone, so that everything else of the NRF can go on: not a mistake in the configuration,
    /// and not another NRF that runs on the same files.
    pub const fn concerns_log_alone(&self) -> bool {
        match self {
            Self::Storage { source, .. } => !matches!(
                source,
                StorageError::Locked { .. } | StorageError::TakenOver { .. }
            ),
            // Which log is current is known, and not whether its place says otherwise.
            Self::Logs(LogsError::Look(_))
            | Self::Log { .. }
            | Self::Damaged { .. }
            | Self::Lost { .. }
            | Self::Landmarks { .. }
            | Self::RolledBack { .. }
            | Self::Behind { .. }
            | Self::Superseded { .. } => true,
            _ => false,
        }
    }

    /// Whether this proves that the log cannot go on: two things that the CA has signed contradict each other, or what is
    /// stored contradicts the checkpoint that the CA has signed for it.
    ///
    /// Nothing else does. A file that is missing, a folder that cannot be read and a disk that is full may be there, be
    /// readable and have room tomorrow; a checkpoint that does not verify may be another CA's, by a mistake in the
    /// configuration.
    pub const fn is_proof(&self) -> bool {
        matches!(
            self,
            Self::Log {
                source: OpenError::PublishedContradictsSigned { .. }
                    | OpenError::Tree(
                        TreeError::Malformed { .. }
                            | TreeError::Contradiction { .. }
                            | TreeError::RootMismatch { .. }
                    ),
                ..
            } | Self::Landmarks {
                source: LandmarkStoreError::Damaged | LandmarkStoreError::BeyondPublished { .. },
                ..
            } | Self::RolledBack { .. }
        )
    }
}

fn create_hint(place: &Place) -> String {
    format!(
        "start with --create-log to create one; never do that to replace a log that was lost: restore it, or {}",
        place.next()
    )
}

fn storage_hint(place: &Place, error: &StorageError) -> String {
    match error {
        StorageError::Locked { .. } | StorageError::TakenOver { .. } => {
            place.at.release().to_owned()
        }
        StorageError::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
            create_hint(place)
        }
        StorageError::Io { source, .. } if source.kind() == ErrorKind::NotADirectory => format!(
            "{}; if its disk is lost, {}",
            place.at.must_be(),
            place.next()
        ),
        // Descriptors run out, and reads fail that succeed when they are tried again.
        _ => format!(
            "{}; nothing shows that the log itself is damaged, so try again",
            place.at.must_be()
        ),
    }
}

fn landmarks_hint(place: &Place, error: &LandmarkStoreError) -> String {
    match error {
        LandmarkStoreError::Storage(error) => format!(" ({})", storage_hint(place, error)),
        LandmarkStoreError::Damaged | LandmarkStoreError::BeyondPublished { .. } => format!(
            " (restore the latest copy of the files; if it is lost, {})",
            place.next()
        ),
        _ => " (restore the latest copy of the files)".to_owned(),
    }
}

fn tree_hint(place: &Place, error: &TreeError) -> String {
    let repair = place.at.repair();
    match error {
        TreeError::Storage(error) => format!(" ({})", storage_hint(place, error)),
        TreeError::Missing { .. } => {
            format!(" (restore the file, or {repair})")
        }
        _ => format!(
            " (it is damaged: restore the latest copy of the files, or {repair}, which restores what the \
             other files allow; if both fail, {})",
            place.next()
        ),
    }
}

fn hint(place: &Place, error: &OpenError) -> String {
    match error {
        OpenError::NoLog { .. } => format!(" ({})", create_hint(place)),
        OpenError::Exists { .. } => " (start without --create-log to open it)".to_owned(),
        OpenError::Tree(error) => tree_hint(place, error),
        // What it says is in the signed one too, and witnesses sign that again.
        OpenError::Checkpoint {
            object: Object::Checkpoint,
            ..
        } => format!(
            " (the log itself is whole: {} with --trust FILE, which replaces its served checkpoint)",
            place.at.repair()
        ),
        OpenError::Checkpoint { .. } => {
            " (it is damaged, or another CA's: restore the latest copy of the file, and check that trust \
             and cosigner_key belong to this CA)"
                .to_owned()
        }
        OpenError::PublishedContradictsSigned { .. } => format!(
            " (it is damaged: restore the latest copy of the files; if it is lost, {})",
            place.next()
        ),
        OpenError::Storage(error) => format!(" ({})", storage_hint(place, error)),
        _ => String::new(),
    }
}

/// The current log, and the record of which one that is.
pub struct OpenedLog {
    /// Its ID.
    pub id: LogId,
    /// Where it is stored.
    pub storage: Arc<dyn Storage>,
    /// The log.
    pub log: IssuanceLog,
    /// Its landmarks.
    pub landmarks: LandmarkStore,
    /// What else the CA has.
    pub logs: Logs,
}

impl fmt::Debug for OpenedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "OpenedLog({}, {} entries)",
            self.id.id(),
            self.log.signed().size()
        )
    }
}

/// Opens or creates the current log, as the operator wishes.
///
/// # Errors
/// It cannot be used; see [`OpenLogError`].
pub async fn open_current(
    config: &NrfConfig,
    trust_file: &TrustFile,
    log_start: LogStart,
    witnesses: &[HttpWitness],
) -> Result<OpenedLog, OpenLogError> {
    let ca = *trust_file.trust.id();
    let (for_thread, known) = (config.clone(), trust_file.logs.clone());
    let logs = spawn_blocking(move || decide(&for_thread, &known, log_start)).await??;
    let mut opened = open_checked(config, trust_file, logs.clone(), log_start, witnesses).await;
    if let Err(error) = &opened
        && error.is_proof()
        && config.retire_failed_log
    {
        let (mut logs, reason) = (logs, Causes(error).to_string());
        tracing::error!(
            log = %logs.current(),
            reason,
            "the issuance log cannot continue; retiring it and continuing with the next one"
        );
        let now = config.clock().now();
        let logs = spawn_blocking(move || logs.retire(&reason, now).map(|()| logs)).await??;
        opened = open_checked(config, trust_file, logs, LogStart::Open, witnesses).await;
    }
    let opened = opened?;
    tracing::info!(log = %opened.id.number(), size = opened.log.signed().size().0, %ca, "issuance log opened");
    let mut logs = opened.logs;
    let logs = spawn_blocking(move || logs.begin().map(|()| logs)).await??;
    Ok(OpenedLog { logs, ..opened })
}

/// Which log is current, as the operator chooses. Blocks on the disk.
fn decide(
    config: &NrfConfig,
    known: &[LogNumber],
    log_start: LogStart,
) -> Result<Logs, OpenLogError> {
    let state = PrivateFolder::open(config.state.clone())?;
    let first = LogPlace::of(config, &state)?;
    let mut logs = Logs::open(first, state, known)?;
    if let LogStart::ContinueWith(wanted) = log_start
        && wanted != logs.current()
    {
        let place = place_of(&logs);
        // Whoever extends it would go on doing so.
        if let Err(source @ StorageError::Locked { .. }) = place.at.open() {
            return Err(OpenLogError::Storage { place, source });
        }
        logs.continue_with(wanted, "--next-log", config.clock().now())?;
        tracing::warn!(retired = %place.log, current = %wanted, "the CA continues with another log, as --next-log says");
    }
    logs.check()?;
    Ok(logs)
}

async fn open_checked(
    config: &NrfConfig,
    trust_file: &TrustFile,
    logs: Logs,
    log_start: LogStart,
    witnesses: &[HttpWitness],
) -> Result<OpenedLog, OpenLogError> {
    let id = LogId::new(*trust_file.trust.id(), logs.current())?;
    let serials = trust_file.trust.serials();
    if !serials.contains(&serial(id.number(), EntryIndex(1))?) {
        return Err(OpenLogError::OutsideRange {
            log: id.number(),
            first: *serials.start(),
            last: *serials.end(),
        });
    }
    let for_thread = config.clone();
    let opened = spawn_blocking(move || open_files(&for_thread, id, logs, log_start)).await??;
    for witness in witnesses {
        check_witness(&opened, witness, trust_file.trust.cosigner()).await?;
    }
    Ok(opened)
}

/// Compares the log with what a witness has cosigned, of it and of the logs after it. A witness that does not answer is
/// passed over: the sequencer signs nothing before enough of them agree.
async fn check_witness(
    opened: &OpenedLog,
    witness: &HttpWitness,
    ca: &Cosigner,
) -> Result<(), OpenLogError> {
    let mut later = None;
    for number in std::iter::once(opened.id.number()).chain(opened.logs.within_reach()) {
        let id = LogId::new(*opened.id.ca(), number)?;
        match witness.latest(&id, ca).await {
            Ok(None) => {}
            Ok(Some(seen)) if id == opened.id => check_seen(opened, witness, &seen).await?,
            Ok(Some(_)) => later = Some(number),
            Err(error) => {
                tracing::warn!(error = %Causes(&error), witness = %witness.id(), "cannot compare the log with what the witness has seen");
                break;
            }
        }
    }
    match later {
        None => check_pending(opened, witness).await,
        Some(later) => Err(OpenLogError::Superseded {
            place: place_of(&opened.logs),
            witness: witness.id(),
            later,
        }),
    }
}

/// No mirror waits for entries that the log lacks. One that does not answer is passed over, as any witness.
async fn check_pending(opened: &OpenedLog, witness: &HttpWitness) -> Result<(), OpenLogError> {
    let own = opened.log.signed();
    match witness.pending_after(own).await {
        Ok(None) => Ok(()),
        Ok(Some(seen)) => Err(OpenLogError::Behind {
            place: place_of(&opened.logs),
            size: own.size(),
            mirror: witness.id(),
            seen,
        }),
        Err(error) => {
            tracing::warn!(error = %Causes(&error), mirror = %witness.id(), "cannot ask the mirror for its pending checkpoint");
            Ok(())
        }
    }
}

/// The log goes through what the witness has cosigned.
async fn check_seen(
    opened: &OpenedLog,
    witness: &HttpWitness,
    seen: &CaCheckpoint,
) -> Result<(), OpenLogError> {
    let place = place_of(&opened.logs);
    let rolled_back = OpenLogError::RolledBack {
        place: place.clone(),
        size: opened.log.signed().size(),
        witness: witness.id(),
        seen: seen.size(),
    };
    let prefix = seen.size();
    if prefix > opened.log.signed().size() {
        return Err(rolled_back);
    }
    let (storage, signed) = (opened.storage.clone(), opened.log.signed().clone());
    let root = spawn_blocking(move || {
        TreeReader::open(storage, signed.size(), signed.root())?
            .subtree_hash(Subtree::whole(prefix))
    });
    match root.await? {
        Ok(root) if root == seen.root() => Ok(()),
        Ok(_) => Err(rolled_back),
        Err(error) => Err(OpenLogError::Log {
            place,
            source: error.into(),
        }),
    }
}

fn place_of(logs: &Logs) -> Place {
    Place {
        log: logs.current(),
        at: logs.place(logs.current()),
    }
}

/// Opens or creates the log and its landmarks. Blocks on the disk.
fn open_files(
    config: &NrfConfig,
    id: LogId,
    logs: Logs,
    log_start: LogStart,
) -> Result<OpenedLog, OpenLogError> {
    let now = config.clock().now();
    let place = place_of(&logs);
    let pem = Zeroizing::new(read_text(&config.cosigner_key)?);
    let key = NfKey::from_pem(&pem).map_err(|source| OpenLogError::CosignerKey {
        path: config.cosigner_key.clone(),
        source,
    })?;
    let key = CosigningKey::new(*id.ca(), key.into_secret())?;
    let create = match log_start {
        LogStart::Create => true,
        LogStart::CreateFirst => logs.is_first()? || logs.is_to_be_created()?,
        LogStart::Open | LogStart::ContinueWith(_) => logs.is_to_be_created()?,
    };
    let opened = if create {
        place.at.create()
    } else {
        place.at.open()
    };
    let storage = opened.map_err(|source| OpenLogError::Storage {
        place: place.clone(),
        source,
    })?;
    let failed = |source| OpenLogError::Log {
        place: place.clone(),
        source,
    };
    let mut log = if create {
        let is_empty = storage.is_empty().map_err(|error| failed(error.into()))?;
        if is_empty && logs.is_begun() {
            return Err(OpenLogError::Lost { place });
        }
        IssuanceLog::create(storage.clone(), id, key, now).map_err(failed)?
    } else {
        let log = IssuanceLog::open(storage.clone(), id, key).map_err(failed)?;
        if log.signed().size() <= READ_AT_START {
            Inspection::begin(storage.clone(), log.signed())
                .and_then(Inspection::finish)
                .map_err(|source| OpenLogError::Damaged {
                    place: place.clone(),
                    source,
                })?;
        }
        log
    };
    if create {
        preload(&mut log, config.preload, config)?;
    }
    let policy = LandmarkPolicy {
        time_between: Duration::from_secs(config.landmark_interval_seconds),
        first_time_between: config.first_time_between_landmarks(),
        max_certificate_lifetime: config.certificate_lifetime(),
    };
    let landmarks = LandmarkStore::open(storage.clone(), policy, log.published());
    let landmarks = landmarks.map_err(|source| OpenLogError::Landmarks { place, source })?;
    Ok(OpenedLog {
        id,
        storage,
        log,
        landmarks,
        logs,
    })
}

fn preload(log: &mut IssuanceLog, entries: u64, config: &NrfConfig) -> Result<(), OpenLogError> {
    let null = MtcLogEntry::NULL.encode()?;
    let mut left = entries;
    while left > 0 {
        let batch = left.min(PRELOAD_BATCH);
        log.append(&vec![null.clone(); batch as usize], config.clock().now())?;
        left -= batch;
    }
    Ok(())
}
