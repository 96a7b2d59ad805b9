//! The issuance log: entries in, signed checkpoints out.
//!
//! ```text
//! append:  entries -> bundles, tiles    put_all    | crash: junk beyond the signed checkpoint, replaced by the next batch
//!          read back, hash, compare                | a flipped bit ends here, before it is signed
//!          checkpoint, signed by the CA            | crash: as above, nobody has seen the signature
//!          state/signed-checkpoint          put    | crash: the log continues from here, witnesses are asked again
//! publish: log/checkpoint with witnesses    put    | crash: the old or the new one is served, both are true
//! ```
//!
//! A checkpoint leaves this module only after it is durable, and the next one is signed only by a log that has it. After
//! any failed write the state of the disk is unknown, so the log refuses to go on until it has been opened again.

use std::sync::Arc;

use mtc_core::checkpoint::CheckpointError;
use mtc_core::cosign::{Cosignature, Cosigner, KeyError};
use mtc_core::id::{INDEX_BITS, LogId, TreeSize};
use mtc_core::tile::TILE_WIDTH;
use mtc_core::time::UnixTime;
use mtc_core::tree::{self, Hash, ProofError, Subtree};
use thiserror::Error;

use crate::checkpoint::{CaCheckpoint, CosigningKey};
use crate::storage::{Object, Storage, StorageError};
use crate::tiles::{NewTiles, TreeError, TreeReader, Trees};

/// Longest entry in bytes: bundles have two bytes for its length.
pub const MAX_ENTRY_SIZE: usize = 0xffff;

/// Most entries in a log: the largest index is one less than what 48 bits of a serial number can say.
pub const MAX_LOG_SIZE: TreeSize = TreeSize((1 << INDEX_BITS) - 1);

/// A CA's issuance log, and the CA cosigner key that vouches for it.
///
/// Its methods block on the storage. There is one `IssuanceLog` per log in the world: it owns every object of the log but the
/// landmarks.
///
/// ```
/// use std::sync::Arc;
///
/// use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
/// use mtc_core::id::{EntryIndex, LogId, LogNumber, TreeSize};
/// use mtc_core::time::UnixTime;
/// use mtc_core::tree::{Subtree, evaluate_inclusion, leaf_hash};
/// use mtc_log::{CosigningKey, DirectoryStorage, IssuanceLog};
///
/// let folder = tempfile::tempdir()?;
/// let storage = Arc::new(DirectoryStorage::create(folder.path().join("log"))?);
/// let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44)?;
/// let key = CosigningKey::new("32473.1".parse()?, secret)?;
/// let id = LogId::new("32473.1".parse()?, LogNumber::FIRST)?;
/// let now = UnixTime(1_800_000_000);
///
/// let mut log = IssuanceLog::create(storage, id, key, now)?;
/// let batch = log.append(&[b"one".to_vec(), b"two".to_vec()], now)?;
/// assert_eq!(batch.checkpoint.size(), TreeSize(2));
/// // Witnesses would cosign it before it is published.
/// log.publish(&batch.checkpoint.to_note())?;
///
/// let tree = log.reader()?;
/// let (index, whole) = (EntryIndex(1), Subtree::whole(tree.size()));
/// let proof = tree.inclusion_proof(index, whole)?;
/// assert_eq!(evaluate_inclusion(index, whole, leaf_hash(b"two"), &proof), Ok(tree.root()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct IssuanceLog {
    storage: Arc<dyn Storage>,
    trees: Arc<Trees>,
    id: LogId,
    key: CosigningKey,
    /// What is in [`Object::SignedCheckpoint`].
    signed: CaCheckpoint,
    /// What is in [`Object::Checkpoint`].
    published: Option<CaCheckpoint>,
    /// A write has failed: what is stored is unknown.
    poisoned: bool,
}

impl IssuanceLog {
    /// Creates an empty log by signing its checkpoint of size 0.
    ///
    /// # Errors
    /// [`OpenError::Exists`] if anything is stored already, whatever it is; `key` is not the CA's; the storage failed.
    pub fn create(
        storage: Arc<dyn Storage>,
        id: LogId,
        key: CosigningKey,
        now: UnixTime,
    ) -> Result<Self, OpenError> {
        if !storage.is_empty()? {
            return Err(OpenError::Exists {
                origin: id.origin(),
            });
        }
        check_key(&id, &key)?;
        let signed = CaCheckpoint::sign(&key, &id, TreeSize::EMPTY, tree::empty_hash(), now)?;
        storage.put(&Object::SignedCheckpoint, &signed.to_note())?;
        Ok(Self {
            trees: Arc::new(Trees::new(Arc::clone(&storage))),
            storage,
            id,
            key,
            signed,
            published: None,
            poisoned: false,
        })
    }

    /// Opens a log, after a crash or not, once its tiles have been found to agree with its checkpoints.
    ///
    /// Checked are the signatures of both checkpoints, the right edge of the tree up to the signed root, the newest entries
    /// against their hashes, and that the published checkpoint is a prefix of the signed one; the rest of the log is
    /// checked piece by piece when it is read. What was written beyond the signed checkpoint is ignored.
    ///
    /// # Errors
    /// [`OpenError::NoLog`] if there is no log; an object is missing, damaged or contradicts another; the storage failed.
    pub fn open(
        storage: Arc<dyn Storage>,
        id: LogId,
        key: CosigningKey,
    ) -> Result<Self, OpenError> {
        check_key(&id, &key)?;
        let Some(signed) = load(&*storage, Object::SignedCheckpoint, &id, &key)? else {
            return Err(OpenError::NoLog {
                origin: id.origin(),
            });
        };
        let published = load(&*storage, Object::Checkpoint, &id, &key)?;
        let trees = Arc::new(Trees::new(Arc::clone(&storage)));
        let reader = trees.open(signed.size(), signed.root())?;
        if let Some(last) = signed.size().0.checked_sub(1) {
            reader.checked_bundle(last / TILE_WIDTH)?;
        }
        if let Some(published) = &published {
            check_prefix(published, &reader)?;
        }
        // The process that wrote it may have died, or been told of an error, before it was durable.
        storage.put(&Object::SignedCheckpoint, &signed.to_note())?;
        Ok(Self {
            storage,
            trees,
            id,
            key,
            signed,
            published,
            poisoned: false,
        })
    }

    /// Appends entries and signs the checkpoint that holds them. When this returns, entries and checkpoint are durable.
    ///
    /// # Errors
    /// The entries or the time are refused, and nothing has changed; or a read, write or check failed, and the log is
    /// unusable until opened again ([`AppendError::is_fatal`]).
    pub fn append(&mut self, entries: &[Vec<u8>], now: UnixTime) -> Result<Batch, AppendError> {
        self.check_usable()?;
        self.check_acceptable(entries, now)?;
        self.poisoned = true;
        let start = self.signed.size();
        self.signed = self.write_and_sign(entries, now)?;
        self.poisoned = false;
        Ok(Batch {
            start: start.0,
            end: self.signed.size().0,
            checkpoint: self.signed.clone(),
        })
    }

    /// Makes the signed checkpoint, now with the witnesses' cosignatures, the one that is served.
    ///
    /// # Errors
    /// The note is not about the signed checkpoint, and nothing has changed; or the write failed, and the log is unusable
    /// until opened again.
    pub fn publish(&mut self, note: &[u8]) -> Result<(), PublishError> {
        self.check_usable()?;
        let checkpoint = CaCheckpoint::verify(note, &self.id, self.key.cosigner())?;
        if (checkpoint.size(), checkpoint.root()) != (self.signed.size(), self.signed.root()) {
            return Err(PublishError::NotSigned {
                size: checkpoint.size(),
                signed: self.signed.size(),
            });
        }
        self.poisoned = true;
        self.storage.put(&Object::Checkpoint, note)?;
        self.published = Some(checkpoint);
        self.poisoned = false;
        Ok(())
    }

    /// The hash of a subtree of the signed checkpoint, and the CA's cosignature of it with timestamp 0 as certificates
    /// have it.
    ///
    /// # Errors
    /// The subtree reaches beyond the signed checkpoint, its tiles cannot be read or are damaged, or the key cannot sign.
    pub fn cosign_subtree(&self, subtree: Subtree) -> Result<(Hash, Cosignature), CosignError> {
        self.cosign_in(&self.reader()?, subtree)
    }

    /// [`IssuanceLog::cosign_subtree`] with the reader that is open.
    pub(crate) fn cosign_in(
        &self,
        tree: &TreeReader,
        subtree: Subtree,
    ) -> Result<(Hash, Cosignature), CosignError> {
        let hash = tree.subtree_hash(subtree)?;
        Ok((hash, self.key.cosign(&self.id, subtree, &hash)?))
    }

    /// The log's ID.
    pub const fn id(&self) -> &LogId {
        &self.id
    }

    /// The CA's cosigner, whose key this log signs with.
    pub const fn ca(&self) -> &Cosigner {
        self.key.cosigner()
    }

    /// Where the log is stored.
    pub fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.storage)
    }

    /// The newest checkpoint that the CA has signed.
    pub const fn signed(&self) -> &CaCheckpoint {
        &self.signed
    }

    /// The checkpoint that is served: cosigned to policy. `None` until the first is.
    pub const fn published(&self) -> Option<&CaCheckpoint> {
        self.published.as_ref()
    }

    /// The tree of the signed checkpoint.
    ///
    /// # Errors
    /// The tiles at its right edge have to be read, and cannot be or are damaged.
    pub fn reader(&self) -> Result<TreeReader, TreeError> {
        self.trees.open(self.signed.size(), self.signed.root())
    }

    /// The trees of this log's checkpoints.
    pub fn trees(&self) -> Arc<Trees> {
        Arc::clone(&self.trees)
    }

    const fn check_usable(&self) -> Result<(), Poisoned> {
        if self.poisoned { Err(Poisoned) } else { Ok(()) }
    }

    fn check_acceptable(&self, entries: &[Vec<u8>], now: UnixTime) -> Result<(), AppendError> {
        if entries.is_empty() {
            return Err(AppendError::NoEntries);
        }
        if let Some(entry) = entries.iter().find(|entry| entry.len() > MAX_ENTRY_SIZE) {
            return Err(AppendError::EntryTooLong {
                length: entry.len(),
            });
        }
        if entries.len() as u64 > MAX_LOG_SIZE.0.saturating_sub(self.signed.size().0) {
            return Err(AppendError::Full {
                size: self.signed.size(),
            });
        }
        // Equal is progress enough: batches are more frequent than seconds.
        if now < self.signed.signed_at() {
            return Err(AppendError::ClockWentBackwards {
                last: self.signed.signed_at(),
                now,
            });
        }
        Ok(())
    }

    fn write_and_sign(
        &self,
        entries: &[Vec<u8>],
        now: UnixTime,
    ) -> Result<CaCheckpoint, AppendError> {
        let stored = extend(&*self.storage, &self.trees, &self.reader()?, entries)?;
        let signed = CaCheckpoint::sign(&self.key, &self.id, stored.size(), stored.root(), now)?;
        self.storage
            .put(&Object::SignedCheckpoint, &signed.to_note())?;
        self.trees.keep(&stored);
        Ok(signed)
    }
}

/// What one [`IssuanceLog::append`] added: entries `[start, end)`.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Index of the first new entry.
    pub start: u64,
    /// One past the index of the last.
    pub end: u64,
    /// The signed checkpoint, of size `end`.
    pub checkpoint: CaCheckpoint,
}

fn check_key(id: &LogId, key: &CosigningKey) -> Result<(), OpenError> {
    let cosigner = &key.cosigner().id;
    if cosigner == id.ca() {
        return Ok(());
    }
    Err(OpenError::ForeignKey {
        cosigner: cosigner.to_string(),
        ca: id.ca().to_string(),
    })
}

fn load(
    storage: &dyn Storage,
    object: Object,
    id: &LogId,
    key: &CosigningKey,
) -> Result<Option<CaCheckpoint>, OpenError> {
    let Some(note) = storage.get(&object)? else {
        return Ok(None);
    };
    let checkpoint = CaCheckpoint::verify(&note, id, key.cosigner());
    checkpoint
        .map(Some)
        .map_err(|source| OpenError::Checkpoint { object, source })
}

/// The published checkpoint is one that this log has gone through.
fn check_prefix(published: &CaCheckpoint, reader: &TreeReader) -> Result<(), OpenError> {
    let contradiction = OpenError::PublishedContradictsSigned {
        published: published.size(),
        signed: reader.size(),
    };
    if published.size() > reader.size() {
        return Err(contradiction);
    }
    let root = reader.subtree_hash(Subtree::whole(published.size()))?;
    if root == published.root() {
        Ok(())
    } else {
        Err(contradiction)
    }
}

/// Stores the tree of `old` with entries after it, reads it back, and finds it to be that. Durable when this returns; after an error any
/// of its new objects may be there.
pub(crate) fn extend(
    storage: &dyn Storage,
    trees: &Trees,
    old: &TreeReader,
    entries: &[Vec<u8>],
) -> Result<TreeReader, AppendError> {
    let new = NewTiles::append(old, entries)?;
    storage.put_all(&new.objects)?;
    let stored = trees.open_stored(new.size)?;
    check_growth(old, &stored, entries)?;
    Ok(stored)
}

/// What was read back from storage is the old tree and, after it, the new entries.
fn check_growth(
    old: &TreeReader,
    stored: &TreeReader,
    entries: &[Vec<u8>],
) -> Result<(), AppendError> {
    let prefix = Subtree::whole(old.size());
    let proof = stored.consistency_proof(prefix)?;
    tree::verify_consistency(prefix, stored.size(), &old.root(), &stored.root(), &proof)?;
    let mut expected = entries.iter().map(Vec::as_slice);
    let first = old.size().0 / TILE_WIDTH;
    for number in first..=(stored.size().0 - 1) / TILE_WIDTH {
        let known = if number == first {
            (old.size().0 % TILE_WIDTH) as usize
        } else {
            0
        };
        if !stored
            .checked_bundle(number)?
            .entries()
            .skip(known)
            .all(|entry| expected.next() == Some(entry))
        {
            return Err(AppendError::NotAsWritten { bundle: number });
        }
    }
    Ok(())
}

/// Why a log was not opened or created.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no log. Logs come into being only when told to: an empty directory is more often a mistake than a wish.
    #[error("there is no log {origin} here; if it has never existed, create it")]
    NoLog {
        /// The log's origin.
        origin: String,
    },
    /// Something is stored already where a log was to be created.
    #[error("cannot create log {origin}: the storage is not empty")]
    Exists {
        /// The log's origin.
        origin: String,
    },
    /// The key belongs to another cosigner than the log's CA.
    #[error("the key of cosigner {cosigner} cannot sign for a log of CA {ca}")]
    ForeignKey {
        /// Whose key it is.
        cosigner: String,
        /// Whose log it is.
        ca: String,
    },
    /// A stored checkpoint is damaged, of another log, or signed with another key.
    #[error("{object} is not a checkpoint of this log")]
    Checkpoint {
        /// The stored checkpoint.
        object: Object,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// The tiles are damaged, or are not those of the signed checkpoint.
    #[error("the log's tiles contradict state/signed-checkpoint")]
    Tree(#[from] TreeError),
    /// The served checkpoint is not one that led to the signed one.
    #[error(
        "log/checkpoint (size {published}) contradicts state/signed-checkpoint (size {signed}): \
         one of them was replaced, do not use this log"
    )]
    PublishedContradictsSigned {
        /// Size of the published checkpoint.
        published: TreeSize,
        /// Size of the signed checkpoint.
        signed: TreeSize,
    },
    /// The first checkpoint could not be signed.
    #[error("cannot sign the first checkpoint")]
    Sign(#[from] CheckpointError),
    /// The storage failed.
    #[error("the log's storage failed")]
    Storage(#[from] StorageError),
}

/// An earlier error has left the log's storage in an unknown state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the log has failed and must be opened again")]
pub struct Poisoned;

/// Why entries were not appended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A batch holds at least one entry.
    #[error("there is nothing to append")]
    NoEntries,
    /// An entry does not fit into a bundle.
    #[error("an entry of {length} bytes exceeds the limit of {MAX_ENTRY_SIZE}")]
    EntryTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The log would have more entries than serial numbers can tell apart.
    #[error("the log is full: it has {size} entries")]
    Full {
        /// Entries in the log.
        size: TreeSize,
    },
    /// The newest checkpoint is from the future.
    #[error("the clock went backwards: the last checkpoint was signed at {}, now it is {}", last.0, now.0)]
    ClockWentBackwards {
        /// When the newest checkpoint was signed.
        last: UnixTime,
        /// What the clock says.
        now: UnixTime,
    },
    /// An earlier error has left the log's storage in an unknown state.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// Tiles cannot be read or are damaged.
    #[error("cannot read the log's tiles")]
    Tree(#[from] TreeError),
    /// What was read back after writing does not extend the log.
    #[error("the tiles just written do not extend the log")]
    Diverged(#[from] ProofError),
    /// Entries read back after writing differ from what was written.
    #[error("entry bundle {bundle} does not hold what was just written")]
    NotAsWritten {
        /// Number of the bundle.
        bundle: u64,
    },
    /// The checkpoint could not be signed.
    #[error("cannot sign the checkpoint")]
    Sign(#[from] CheckpointError),
    /// A write failed.
    #[error("cannot write the log")]
    Storage(#[from] StorageError),
}

impl AppendError {
    /// Whether the log is unusable until opened again.
    pub const fn is_fatal(&self) -> bool {
        !matches!(
            self,
            Self::NoEntries
                | Self::EntryTooLong { .. }
                | Self::Full { .. }
                | Self::ClockWentBackwards { .. }
        )
    }
}

/// Why a checkpoint was not published.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The note is no checkpoint of this log.
    #[error("the note is not a checkpoint of this log")]
    Checkpoint(#[from] CheckpointError),
    /// The note is about another tree than the newest signed one.
    #[error("cannot publish a checkpoint of size {size}: the signed one has size {signed}")]
    NotSigned {
        /// Size in the note.
        size: TreeSize,
        /// Size of the signed checkpoint.
        signed: TreeSize,
    },
    /// An earlier error has left the log's storage in an unknown state.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// The write failed.
    #[error("cannot write the checkpoint")]
    Storage(#[from] StorageError),
}

/// Why the CA did not cosign a subtree.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CosignError {
    /// The subtree's hash cannot be had.
    #[error("cannot read the log's tiles")]
    Tree(#[from] TreeError),
    /// The key cannot sign.
    #[error("cannot sign the subtree")]
    Key(#[from] KeyError),
}
