//! A witness: what it remembers of each log, and the checks before it cosigns (c2sp.org/tlog-witness).
//!
//! ```text
//! add-checkpoint:  parse 400 -> known log 404 -> signed by its CA 403 -> old size <= size 400
//!                  [ -> old size is the latest 409 -> consistent with the latest 422 -> cosign -> put ] -> cosignature
//! sign-subtree:    parse 400 -> known log 404 -> cosigned by this witness 403 -> subtree in that tree 422 -> cosignature
//! ```
//!
//! What stands in brackets happens under the log's lock, so of two racing requests the later one sees what the earlier one
//! has stored, and the witness never goes back. A cosignature leaves only after the checkpoint it is for is durable.
//!
//! `sign-subtree` needs no state: a checkpoint with the witness's own cosignature was consistent with all others when that
//! was made.

mod request;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mtc_core::checkpoint::{CheckpointError, SignedCheckpoint, verify_subtree_line};
use mtc_core::cosign::Cosigner;
use mtc_core::hex;
use mtc_core::id::{LogId, TreeSize};
use mtc_core::note::{NoteError, SignedNote};
use mtc_core::time::UnixTime;
use mtc_core::tree::{self, Hash, ProofError, Subtree};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tracing::{error, info};

pub use self::request::{
    AddCheckpoint, MAX_PROOF_HASHES, MAX_REQUEST_SIZE, RequestError, SignSubtree,
};
use crate::checkpoint::{CaCheckpoint, CosigningKey};
use crate::storage::{Object, Storage, StorageError};

/// A log that a witness cosigns for.
#[derive(Clone, Debug)]
pub struct WitnessedLog {
    /// The log.
    pub id: LogId,
    /// Its CA, with the key that signs its checkpoints.
    pub ca: Cosigner,
}

/// A witness's key, the logs it knows, and the latest checkpoint it has cosigned of each.
///
/// Its methods block on the storage and on each other, per log, where they do not say otherwise; they may be called from any
/// number of threads.
///
/// ```
/// use mtc_core::id::TreeSize;
/// use mtc_core::note::SignedNote;
/// use mtc_core::time::UnixTime;
/// use mtc_log::{AddCheckpoint, Refusal, WitnessStore, WitnessedLog};
/// # use std::sync::Arc;
/// # use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
/// # use mtc_core::id::{LogId, LogNumber};
/// # use mtc_log::{CosigningKey, DirectoryStorage, IssuanceLog};
/// # let folder = tempfile::tempdir()?;
/// # let storage = |name| DirectoryStorage::create(folder.path().join(name)).map(Arc::new);
/// # let key = |id: &str| -> Result<_, Box<dyn std::error::Error>> {
/// #     Ok(CosigningKey::new(id.parse()?, SecretKey::generate(SignatureAlgorithm::MlDsa44)?)?)
/// # };
/// # let id = LogId::new("32473.1".parse()?, LogNumber::FIRST)?;
/// # let now = UnixTime(1_800_000_000);
/// # let mut log = IssuanceLog::create(storage("log")?, id, key("32473.1")?, now)?;
/// # log.append(&[b"one".to_vec()], now)?;
///
/// let known = WitnessedLog { id: *log.id(), ca: log.ca().clone() };
/// let witness = WitnessStore::open(storage("witness")?, key("32473.2")?, [known])?;
/// let first = AddCheckpoint {
///     old_size: TreeSize::EMPTY,
///     proof: vec![],
///     checkpoint: log.signed().to_note(),
/// };
/// let answer = String::from_utf8(witness.add_checkpoint(&first.encode(), now)?)?;
/// let lines = SignedNote::parse_signatures(&answer)?;
/// assert_eq!(lines[0].name, "oid/1.3.6.1.4.1.32473.2");
/// // From now on its history of this log begins with that checkpoint.
/// let again = witness.add_checkpoint(&first.encode(), now);
/// assert!(matches!(again, Err(Refusal::Conflict { latest: TreeSize(1) })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WitnessStore {
    storage: Arc<dyn Storage>,
    key: CosigningKey,
    /// By origin.
    logs: BTreeMap<String, LogState>,
    /// Size of the largest latest checkpoint, to be read while one is being written.
    largest: AtomicU64,
}

struct LogState {
    log: WitnessedLog,
    /// What is in [`Object::WitnessedCheckpoint`]. Held locked from the comparison to the end of the write.
    latest: Mutex<Option<CaCheckpoint>>,
}

impl WitnessStore {
    /// Opens the witness, with what it has cosigned before. A log without stored checkpoint starts at size 0.
    ///
    /// # Errors
    /// A log is listed twice, a stored checkpoint is damaged or not cosigned by this witness, or the storage failed.
    pub fn open(
        storage: Arc<dyn Storage>,
        key: CosigningKey,
        logs: impl IntoIterator<Item = WitnessedLog>,
    ) -> Result<Self, WitnessOpenError> {
        let mut witness = Self {
            storage,
            key,
            logs: BTreeMap::new(),
            largest: AtomicU64::new(0),
        };
        for log in logs {
            let latest = witness.load(&log)?;
            witness.note(latest.as_ref());
            let latest = Mutex::new(latest);
            let origin = log.id.origin();
            if witness
                .logs
                .insert(origin.clone(), LogState { log, latest })
                .is_some()
            {
                return Err(WitnessOpenError::DuplicateLog { origin });
            }
        }
        Ok(witness)
    }

    /// Answers `add-checkpoint`: with cosignature lines, once the checkpoint is stored.
    ///
    /// # Errors
    /// The request is refused, or the checkpoint could not be stored; nothing has been cosigned.
    pub fn add_checkpoint(&self, body: &[u8], now: UnixTime) -> Result<Vec<u8>, Refusal> {
        let request = AddCheckpoint::parse(body)?;
        let LogState { log, latest } = self.log_of(&request.checkpoint)?;
        let checkpoint = signed_checkpoint(&request, log)?;
        // A thread that panicked has not assigned to it: what is there is still the latest.
        let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
        check_growth(latest.as_ref(), &checkpoint, &request)?;
        if let Some(latest) = latest.as_ref() {
            // Its own line in what is stored says when it signed last, across restarts too.
            let own = latest.signed().verify(&log.id, self.key.cosigner());
            if let Ok(last) = own
                && now < last
            {
                return Err(Refusal::ClockWentBackwards { last, now });
            }
        }
        let (stored, answer) = self.cosign(log, checkpoint, now)?;
        self.storage.put(&object(&log.id), &stored.to_note())?;
        info!(
            origin = log.id.origin(),
            tree_size = stored.size().0,
            "cosigned checkpoint"
        );
        *latest = Some(stored);
        self.note(latest.as_ref());
        Ok(answer)
    }

    /// Answers `sign-subtree` with a cosignature line.
    ///
    /// # Errors
    /// The request is refused, or the key cannot sign.
    pub fn sign_subtree(&self, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        let request = SignSubtree::parse(body)?;
        let log = &self.log_of(&request.checkpoint)?.log.id;
        cosign_subtree(&self.key, log, &request)
    }

    /// The latest checkpoint cosigned for the log whose origin has this SHA-256, in lower-case hex; a note with the
    /// signatures of the log's CA and of this witness.
    pub fn latest(&self, origin_hash: &str) -> Option<Vec<u8>> {
        self.latest_where(|log| hex::encode(&hash_origin(log)) == origin_hash)
    }

    /// The note of the latest checkpoint of `log` that was cosigned.
    pub fn latest_of(&self, log: &LogId) -> Option<Vec<u8>> {
        self.latest_where(|id| id == log)
    }

    fn latest_where(&self, is_it: impl Fn(&LogId) -> bool) -> Option<Vec<u8>> {
        let mut logs = self.logs.values();
        let state = logs.find(|state| is_it(&state.log.id))?;
        let latest = state.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.as_ref().map(CaCheckpoint::to_note)
    }

    /// Size of the largest checkpoint that it has cosigned; empty for none. Does not block.
    pub fn largest(&self) -> TreeSize {
        TreeSize(self.largest.load(Ordering::Relaxed))
    }

    /// Who this witness is.
    pub const fn cosigner(&self) -> &Cosigner {
        self.key.cosigner()
    }

    /// Notes the size of a log's latest checkpoint. Logs do not shrink, so the largest of all is the largest ever noted.
    fn note(&self, latest: Option<&CaCheckpoint>) {
        let size = latest.map_or(TreeSize::EMPTY, CaCheckpoint::size);
        self.largest.fetch_max(size.0, Ordering::Relaxed);
    }

    fn load(&self, log: &WitnessedLog) -> Result<Option<CaCheckpoint>, WitnessOpenError> {
        let object = object(&log.id);
        let Some(note) = self.storage.get(&object)? else {
            return Ok(None);
        };
        let checkpoint = CaCheckpoint::verify(&note, &log.id, &log.ca).and_then(|checkpoint| {
            checkpoint
                .signed()
                .verify(&log.id, self.key.cosigner())
                .map(|_| checkpoint)
        });
        checkpoint
            .map(Some)
            .map_err(|source| WitnessOpenError::Checkpoint { object, source })
    }

    /// The state of the log whose checkpoint this claims to be.
    fn log_of(&self, checkpoint: &[u8]) -> Result<&LogState, Refusal> {
        let origin = origin_of(checkpoint)?;
        self.logs.get(&origin).ok_or(Refusal::UnknownLog { origin })
    }

    /// The checkpoint with the lines that have been verified and this witness's own, and the latter as an answer.
    fn cosign(
        &self,
        log: &WitnessedLog,
        mut checkpoint: CaCheckpoint,
        now: UnixTime,
    ) -> Result<(CaCheckpoint, Vec<u8>), Refusal> {
        // 0 would make it a subtree cosignature.
        if now == UnixTime(0) {
            return Err(Refusal::NoTime);
        }
        let (tree, root) = (Subtree::whole(checkpoint.size()), checkpoint.root());
        let line = self
            .key
            .cosign_line(&log.id, now, tree, &root)
            .map_err(Refusal::Sign)?;
        let answer = line.to_line().into_bytes();
        keep_line_of_ca(&mut checkpoint, log);
        Ok((checkpoint.with_lines([line]), answer))
    }
}

/// A cosignature line of a subtree that is part of a checkpoint with the key's own signature.
pub(crate) fn cosign_subtree(
    key: &CosigningKey,
    log: &LogId,
    request: &SignSubtree,
) -> Result<Vec<u8>, Refusal> {
    let reference =
        SignedCheckpoint::parse(&request.checkpoint, log).map_err(Refusal::of_signature)?;
    reference
        .verify(log, key.cosigner())
        .map_err(Refusal::of_signature)?;
    let (tree, subtree, hash) = (reference.checkpoint, request.subtree, &request.hash);
    tree::verify_consistency(subtree, tree.size, hash, &tree.root, &request.proof)?;
    let line = key
        .cosign_line(log, UnixTime(0), subtree, hash)
        .map_err(Refusal::Sign)?;
    Ok(line.to_line().into_bytes())
}

/// The checkpoint of a request, if the CA of the log has signed it and it is not smaller than where the request starts.
pub(crate) fn signed_checkpoint(
    request: &AddCheckpoint,
    log: &WitnessedLog,
) -> Result<CaCheckpoint, Refusal> {
    let checkpoint = CaCheckpoint::verify(&request.checkpoint, &log.id, &log.ca)
        .map_err(Refusal::of_signature)?;
    if request.old_size > checkpoint.size() {
        return Err(Refusal::OldSizeBeyondCheckpoint {
            old_size: request.old_size,
            size: checkpoint.size(),
        });
    }
    Ok(checkpoint)
}

/// Drops all lines but that of the log's CA: the others have not been verified.
pub(crate) fn keep_line_of_ca(checkpoint: &mut CaCheckpoint, log: &WitnessedLog) {
    let (tree, root) = (Subtree::whole(checkpoint.size()), checkpoint.root());
    checkpoint.retain_lines(|line| {
        verify_subtree_line(std::slice::from_ref(line), &log.ca, &log.id, tree, &root).is_ok()
    });
}

/// The origin in the first line of a checkpoint's note.
pub(crate) fn origin_of(checkpoint: &[u8]) -> Result<String, Refusal> {
    let note = SignedNote::parse(checkpoint)?;
    Ok(note.text.lines().next().unwrap_or_default().to_owned())
}

/// The request starts from the latest checkpoint, and its proof leads from there to the new one.
pub(crate) fn check_growth(
    latest: Option<&CaCheckpoint>,
    checkpoint: &CaCheckpoint,
    request: &AddCheckpoint,
) -> Result<(), Refusal> {
    let (size, root) = latest.map_or_else(
        || (TreeSize::EMPTY, tree::empty_hash()),
        |latest| (latest.size(), latest.root()),
    );
    if request.old_size != size {
        return Err(Refusal::Conflict { latest: size });
    }
    if checkpoint.size() == size && checkpoint.root() != root {
        // Two trees of one size with the CA's signature on both: the log has forked. Keep the evidence.
        let latest = latest.map(|latest| String::from_utf8_lossy(&latest.to_note()).into_owned());
        let submitted = String::from_utf8_lossy(&request.checkpoint);
        error!(tree_size = size.0, latest, %submitted, "the log has signed two trees of one size");
        return Err(Refusal::Fork { size });
    }
    tree::verify_consistency(
        Subtree::whole(size),
        checkpoint.size(),
        &root,
        &checkpoint.root(),
        &request.proof,
    )?;
    Ok(())
}

fn object(log: &LogId) -> Object {
    Object::WitnessedCheckpoint(hash_origin(log))
}

pub(crate) fn hash_origin(log: &LogId) -> Hash {
    Sha256::digest(log.origin()).into()
}

/// Why a witness was not opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WitnessOpenError {
    /// A log is configured twice.
    #[error("log {origin} is listed twice")]
    DuplicateLog {
        /// The log's origin.
        origin: String,
    },
    /// A stored checkpoint is damaged, or was not stored by this witness for this log.
    #[error("{object} is not a checkpoint that this witness has cosigned")]
    Checkpoint {
        /// The stored checkpoint.
        object: Object,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// The storage failed.
    #[error("the witness's storage failed")]
    Storage(#[from] StorageError),
}

/// Why a witness does not cosign; [`Refusal::status`] is the HTTP status that says so.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The body is not a request.
    #[error("malformed request")]
    Request(#[from] RequestError),
    /// The checkpoint in the body is not a signed note.
    #[error("malformed checkpoint note")]
    Note(#[from] NoteError),
    /// The checkpoint in the body has not the form of one.
    #[error("malformed checkpoint")]
    Checkpoint(#[source] CheckpointError),
    /// The old size exceeds the checkpoint's.
    #[error("old size {old_size} is beyond the checkpoint's size {size}")]
    OldSizeBeyondCheckpoint {
        /// From the request.
        old_size: TreeSize,
        /// From the checkpoint.
        size: TreeSize,
    },
    /// The checkpoint is of a log that this witness has not been told of.
    #[error("unknown log {origin}")]
    UnknownLog {
        /// The checkpoint's origin.
        origin: String,
    },
    /// Whose signature is needed has not signed: the log's CA, or for a subtree this witness.
    #[error("the checkpoint lacks a valid signature")]
    Signature(#[source] CheckpointError),
    /// The old size is not that of the latest checkpoint cosigned.
    #[error("the latest checkpoint has size {latest}")]
    Conflict {
        /// Size of the latest checkpoint cosigned; the answer's body, with a newline.
        latest: TreeSize,
    },
    /// The proof does not lead from the latest checkpoint to the new one, or from the subtree to the checkpoint.
    #[error("the consistency proof does not hold")]
    Proof(#[from] ProofError),
    /// Another tree of this size has been cosigned.
    #[error("another tree of size {size} has been cosigned")]
    Fork {
        /// The size of both.
        size: TreeSize,
    },
    /// The clock reads 0, which no cosignature of a checkpoint may say.
    #[error("the witness's clock is not set")]
    NoTime,
    /// The clock is behind the time of the last cosignature; it signs again when that has come.
    #[error(
        "the witness's clock went backwards: the last checkpoint was cosigned at {}, now it is {}", last.0, now.0
    )]
    ClockWentBackwards {
        /// When it cosigned last.
        last: UnixTime,
        /// What the clock says.
        now: UnixTime,
    },
    /// The key cannot sign.
    #[error("the witness cannot sign")]
    Sign(#[source] CheckpointError),
    /// The checkpoint could not be stored.
    #[error("the witness's storage failed")]
    Storage(#[from] StorageError),
    /// A mirror has no room for the log, or what is in the way there is not its own.
    #[error("the mirror's storage failed")]
    Mirror(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Refusal {
    /// The status of the answer, as c2sp.org/tlog-witness assigns them; 500 for what is the witness's own fault. The answer
    /// to [`Refusal::Conflict`] has the content type [`CONFLICT_CONTENT_TYPE`].
    pub const fn status(&self) -> u16 {
        match self {
            Self::Request(_)
            | Self::Note(_)
            | Self::Checkpoint(_)
            | Self::OldSizeBeyondCheckpoint { .. } => 400,
            Self::Signature(_) => 403,
            Self::UnknownLog { .. } => 404,
            Self::Conflict { .. } => 409,
            Self::Proof(_) | Self::Fork { .. } => 422,
            Self::NoTime
            | Self::ClockWentBackwards { .. }
            | Self::Sign(_)
            | Self::Storage(_)
            | Self::Mirror(_) => 500,
        }
    }

    const fn of_signature(error: CheckpointError) -> Self {
        match error {
            CheckpointError::NotSigned(_) | CheckpointError::BadSignature(_) => {
                Self::Signature(error)
            }
            _ => Self::Checkpoint(error),
        }
    }
}

/// Content type of the answer to a request that starts from a wrong size.
pub const CONFLICT_CONTENT_TYPE: &str = "text/x.tlog.size";
