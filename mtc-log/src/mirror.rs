//! A mirror: copies of logs, each entry of which is proven before it is stored, and stored before it is cosigned (c2sp.org/tlog-mirror).
//!
//! ```text
//! add-checkpoint ──> pending checkpoint ──> add-entries: package, proof ──> stored ──> mirror checkpoint, cosigned
//!    as a witness,        at least as           │ up to the pending one                    served, with its entries
//!    signs nothing        new as all else       └─ a strict prefix: 202, where to go on
//! sign-subtree ──> a checkpoint with the mirror's own cosignature, a subtree of it ──> cosignature
//! ```
//!
//! A mirror's cosignature says more than a witness's: not only that there is one history, but that its entries can be had from
//! somebody else when the log has lost them. So it is a cosigner of its own, with a key of its own.

mod body;
mod log;
mod request;
mod upload;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mtc_core::checkpoint::CheckpointError;
use mtc_core::cosign::Cosigner;
use mtc_core::hex;
use mtc_core::id::{LandmarkNumber, LogId, TreeSize};
use mtc_core::landmark::{Landmark, LandmarkError};
use mtc_core::time::UnixTime;
use mtc_core::tree::ProofError;
use thiserror::Error;

pub use self::body::upload_body;
use self::log::MirroredLog;
pub use self::request::{
    MIRROR_INFO_CONTENT_TYPE, MirrorInfo, Package, UploadError, UploadHeader, UploadReader,
};
pub use self::upload::{Upload, Uploaded};
use crate::checkpoint::CosigningKey;
use crate::log::AppendError;
use crate::served::read_served;
use crate::storage::{DirectoryStorage, Object, Storage, StorageError};
use crate::tiles::TreeError;
use crate::witness::{
    AddCheckpoint, Refusal, SignSubtree, WitnessedLog, cosign_subtree, hash_origin, origin_of,
    signed_checkpoint,
};

/// Where a mirror keeps its logs, each in a storage of its own.
pub trait LogStorages: Send + Sync + 'static {
    /// The storage of the log whose origin has this SHA-256, in lower-case hex. If there is none, it is made or `None`, as `create`
    /// says.
    ///
    /// # Errors
    /// It cannot be opened or made.
    fn of(&self, origin_hash: &str, create: bool)
    -> Result<Option<Arc<dyn Storage>>, StorageError>;
}

/// Logs in the folders of a folder: `<folder>/<hex SHA-256 of the origin>/`.
#[derive(Clone, Debug)]
pub struct LogFolders(pub PathBuf);

impl LogStorages for LogFolders {
    fn of(
        &self,
        origin_hash: &str,
        create: bool,
    ) -> Result<Option<Arc<dyn Storage>>, StorageError> {
        let folder = self.0.join(origin_hash);
        if create {
            return Ok(Some(Arc::new(DirectoryStorage::create(folder)?)));
        }
        match folder.try_exists() {
            Ok(false) => Ok(None),
            // What is in the way, if it is no folder, is told when it is opened.
            _ => Ok(Some(Arc::new(DirectoryStorage::open(folder)?))),
        }
    }
}

/// A mirror's key, the logs it knows, and what it has of each.
///
/// Its methods block on the storage and on each other, per log; they may be called from any number of threads. No upload holds
/// anything locked while its next package is on the way.
pub struct MirrorStore {
    storages: Box<dyn LogStorages>,
    key: Arc<CosigningKey>,
    /// By origin.
    logs: BTreeMap<String, Slot>,
}

struct Slot {
    log: WitnessedLog,
    origin_hash: String,
    /// None until the log is heard of.
    mirrored: OnceLock<Arc<MirroredLog>>,
    /// Held locked while room is made for it.
    opening: Mutex<()>,
}

impl Slot {
    fn mirrored(&self) -> Option<Arc<MirroredLog>> {
        self.mirrored.get().cloned()
    }
}

/// How far a mirror is with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorProgress {
    /// Size of the newest checkpoint that it has been told of.
    pub pending: TreeSize,
    /// Entries that are stored.
    pub stored: TreeSize,
    /// Entries under the checkpoint that it has cosigned last.
    pub mirrored: TreeSize,
}

impl MirrorStore {
    /// Opens the mirror with what is stored of `logs`. Room for the others is made when their CA's first checkpoint comes.
    ///
    /// # Errors
    /// A log is listed twice; what is stored of one is damaged, of another CA or not this mirror's; the storage failed.
    pub fn open(
        storages: impl LogStorages,
        key: CosigningKey,
        logs: impl IntoIterator<Item = WitnessedLog>,
    ) -> Result<Self, MirrorOpenError> {
        let mut store = Self {
            storages: Box::new(storages),
            key: Arc::new(key),
            logs: BTreeMap::new(),
        };
        for log in logs {
            let origin = log.id.origin();
            let origin_hash = hex::encode(&hash_origin(&log.id));
            let mirrored = match store.storages.of(&origin_hash, false)? {
                Some(storage) => Some(Arc::new(store.open_log(&log, storage)?)),
                None => None,
            };
            let slot = Slot {
                log,
                origin_hash,
                mirrored: mirrored.map_or_else(OnceLock::new, OnceLock::from),
                opening: Mutex::default(),
            };
            if store.logs.insert(origin.clone(), slot).is_some() {
                return Err(MirrorOpenError::DuplicateLog { origin });
            }
        }
        Ok(store)
    }

    fn open_log(
        &self,
        log: &WitnessedLog,
        storage: Arc<dyn Storage>,
    ) -> Result<MirroredLog, MirrorOpenError> {
        MirroredLog::open(log.clone(), Arc::clone(&self.key), storage)
    }

    /// Answers `add-checkpoint`: when this returns, the checkpoint is the pending one, durably. Nothing is signed.
    ///
    /// # Errors
    /// As [`WitnessStore::add_checkpoint`](crate::WitnessStore::add_checkpoint), with the pending checkpoint as the latest.
    pub fn add_checkpoint(&self, body: &[u8]) -> Result<(), Refusal> {
        let request = AddCheckpoint::parse(body)?;
        let slot = self.slot_of(&request.checkpoint)?;
        let checkpoint = signed_checkpoint(&request, &slot.log)?;
        self.log_in(slot)?.add_checkpoint(&request, checkpoint)
    }

    /// The log in a slot; room is made for one whose CA has signed a checkpoint.
    fn log_in(&self, slot: &Slot) -> Result<Arc<MirroredLog>, Refusal> {
        // Whoever panicked has left no log, or a whole one.
        let _opening = slot.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mirrored) = slot.mirrored() {
            return Ok(mirrored);
        }
        let storage = self.storages.of(&slot.origin_hash, true)?;
        let storage = storage.expect("one that is missing is made");
        let opened = self.open_log(&slot.log, storage).map(Arc::new);
        let opened = opened.map_err(|error| Refusal::Mirror(Box::new(error)))?;
        Ok(Arc::clone(slot.mirrored.get_or_init(|| opened)))
    }

    /// Begins an upload as `add-entries` asks for it.
    ///
    /// # Errors
    /// The log is not known or has no pending checkpoint, or the interval is not one that can be uploaded now.
    pub fn begin_upload(&self, header: &UploadHeader) -> Result<Upload, UploadRefusal> {
        let origin = || header.origin.clone();
        let slot = self.logs.get(&header.origin);
        let slot = slot.ok_or_else(|| UploadRefusal::UnknownLog { origin: origin() })?;
        let log = slot.mirrored();
        let log = log.ok_or_else(|| UploadRefusal::NoPending { origin: origin() })?;
        let target = log.begin(header)?;
        Ok(Upload::new(log, target, header))
    }

    /// Answers `sign-subtree` with a cosignature line, if the checkpoint is one that this mirror has cosigned.
    ///
    /// # Errors
    /// The request is refused, or the key cannot sign.
    pub fn sign_subtree(&self, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        let request = SignSubtree::parse(body)?;
        let log = &self.slot_of(&request.checkpoint)?.log.id;
        cosign_subtree(&self.key, log, &request)
    }

    /// The bytes of an object of the log whose origin has this SHA-256, in lower-case hex: its mirror checkpoint, what that covers, and
    /// the copy of its landmarks.
    ///
    /// # Errors
    /// The storage failed.
    pub fn read(
        &self,
        origin_hash: &str,
        object: &Object,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let mut slots = self.logs.values();
        let log = slots
            .find(|slot| slot.origin_hash == origin_hash)
            .and_then(Slot::mirrored);
        match log {
            Some(log) => read_served(&*log.storage(), object),
            None => Ok(None),
        }
    }

    /// Keeps a copy of a log's landmarks (Section 6.4.3), which no tile has; whether it differs from the copy before.
    ///
    /// # Errors
    /// It is no landmarks document, takes something back, or is of entries that are not mirrored yet; or the storage failed.
    pub fn copy_landmarks(&self, log: &LogId, document: &[u8]) -> Result<bool, LandmarkCopyError> {
        match self.logs.get(&log.origin()).and_then(Slot::mirrored) {
            Some(log) => log.copy_landmarks(document),
            None => Ok(false),
        }
    }

    /// The logs of which there is something, and how far they are. Does not block: it waits for no write.
    pub fn progress(&self) -> Vec<(LogId, MirrorProgress)> {
        let logs = self.logs.values().filter_map(Slot::mirrored);
        logs.map(|log| {
            let [pending, stored, mirrored] = log.sizes();
            let progress = MirrorProgress {
                pending,
                stored,
                mirrored,
            };
            (*log.id(), progress)
        })
        .collect()
    }

    /// Who this mirror is.
    pub fn cosigner(&self) -> &Cosigner {
        self.key.cosigner()
    }

    fn slot_of(&self, checkpoint: &[u8]) -> Result<&Slot, Refusal> {
        let origin = origin_of(checkpoint)?;
        self.logs.get(&origin).ok_or(Refusal::UnknownLog { origin })
    }
}

/// Why a mirror was not opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MirrorOpenError {
    /// A log is configured twice.
    #[error("log {origin} is listed twice")]
    DuplicateLog {
        /// The log's origin.
        origin: String,
    },
    /// A stored checkpoint is damaged, of another CA, or not cosigned by this mirror.
    #[error("{object} of log {origin} is not a checkpoint that this mirror has stored")]
    Checkpoint {
        /// The log's origin.
        origin: String,
        /// The stored checkpoint.
        object: Object,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// The pending checkpoint is older than the mirror checkpoint.
    #[error(
        "the pending checkpoint of log {origin} has {pending} entries, and the mirror checkpoint {mirrored}: one of them is an older copy"
    )]
    PendingBehind {
        /// The log's origin.
        origin: String,
        /// Size of the pending checkpoint.
        pending: TreeSize,
        /// Size of the mirror checkpoint.
        mirrored: TreeSize,
    },
    /// The entries under the mirror checkpoint are damaged.
    #[error("the copy of log {origin}")]
    Tree {
        /// The log's origin.
        origin: String,
        /// What is wrong.
        source: TreeError,
    },
    /// The storage failed.
    #[error("the mirror's storage failed")]
    Storage(#[from] StorageError),
}

/// Why entries are not taken; [`UploadRefusal::status`] is the HTTP status that says so.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UploadRefusal {
    /// The body is not an upload.
    #[error("malformed upload")]
    Malformed(#[from] UploadError),
    /// The log is not one that this mirror has been told of.
    #[error("unknown log {origin}")]
    UnknownLog {
        /// From the header.
        origin: String,
    },
    /// No checkpoint of the log has come.
    #[error("log {origin} has no pending checkpoint; send add-checkpoint first")]
    NoPending {
        /// The log's origin.
        origin: String,
    },
    /// The interval is not one that can be uploaded now.
    #[error("upload entries from {} up to {}", .0.next, .0.size)]
    Conflict(MirrorInfo),
    /// The entries are not those of the checkpoint.
    #[error("the entry package is not part of the checkpoint")]
    Proof(#[from] ProofError),
    /// The stored entries are not what was proven.
    #[error("the stored entries do not hash to the checkpoint of size {size}: upload them again")]
    Damaged {
        /// Size of the checkpoint.
        size: TreeSize,
    },
    /// The clock reads 0, which no cosignature of a checkpoint may say.
    #[error("the mirror's clock is not set")]
    NoTime,
    /// The clock is behind the time of the last cosignature.
    #[error("the mirror's clock went backwards: the last checkpoint was cosigned at {}, now it is {}", last.0, now.0)]
    ClockWentBackwards {
        /// When it cosigned last.
        last: UnixTime,
        /// What the clock says.
        now: UnixTime,
    },
    /// The key cannot sign.
    #[error("the mirror cannot sign")]
    Sign(#[source] CheckpointError),
    /// The entries could not be stored, or were not read back as they were written.
    #[error("the mirror cannot store entries")]
    Store(#[from] AppendError),
    /// What is stored cannot be read or is damaged.
    #[error("the mirror cannot read what it has stored")]
    Tree(#[from] TreeError),
    /// The storage failed.
    #[error("the mirror's storage failed")]
    Storage(#[from] StorageError),
}

impl UploadRefusal {
    /// The status of the answer, as c2sp.org/tlog-mirror assigns them; 500 for what is the mirror's own fault. The answer to
    /// [`UploadRefusal::Conflict`] has the content type [`MIRROR_INFO_CONTENT_TYPE`].
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::UnknownLog { .. } => 404,
            Self::Conflict(_) => 409,
            Self::NoPending { .. } | Self::Proof(_) => 422,
            Self::Damaged { .. }
            | Self::NoTime
            | Self::ClockWentBackwards { .. }
            | Self::Sign(_)
            | Self::Store(_)
            | Self::Tree(_)
            | Self::Storage(_) => 500,
        }
    }
}

/// Why a landmarks document is not kept.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LandmarkCopyError {
    /// It is not text.
    #[error("the landmarks document is not text")]
    NotText,
    /// It is not of the form that Section 6.4.3 gives.
    #[error("the landmarks document")]
    Malformed(#[from] LandmarkError),
    /// Its newest landmark is of entries that are not mirrored yet. They may be, soon.
    #[error("landmark {} is at {}, beyond the {size} entries that are mirrored", landmark.number, landmark.tree_size)]
    Beyond {
        /// The newest landmark.
        landmark: Landmark,
        /// Entries that are mirrored.
        size: TreeSize,
    },
    /// It gives a landmark another tree size than before.
    #[error("landmark {0} has another tree size than it had")]
    Changed(LandmarkNumber),
    /// Its newest landmark is older than that of the copy.
    #[error("the newest landmark is {now}, and was {before}")]
    WentBack {
        /// In the copy.
        before: LandmarkNumber,
        /// In the document.
        now: LandmarkNumber,
    },
    /// The storage failed.
    #[error("the mirror's storage failed")]
    Storage(#[from] StorageError),
}
