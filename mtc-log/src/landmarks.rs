//! Allocating landmarks, keeping them, and proving entries against them (Section 6.4).
//!
//! ```text
//! allocate:  sequence + landmark -> state/landmarks  put | crash: the landmark exists and is published on opening
//!                                -> log/landmarks    put | crash: published, complete
//! ```
//!
//! A number stands for one tree size for ever, so a landmark is durable before anybody can read of it. The state has a
//! checksum, because a flipped digit would make another valid sequence of it.

use std::sync::Arc;
use std::time::Duration;

use mtc_core::hex;
use mtc_core::id::{EntryIndex, LandmarkNumber, TreeSize};
use mtc_core::landmark::{Landmark, LandmarkError, LandmarkSequence};
use mtc_core::time::UnixTime;
use mtc_core::tree::{Hash, Subtree};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::checkpoint::CaCheckpoint;
use crate::storage::{Object, Storage, StorageError};
use crate::tiles::{TreeError, TreeReader};

/// By this clock everything has expired.
const END_OF_TIME: UnixTime = UnixTime(u64::MAX);

/// When landmarks are allocated and how long they last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LandmarkPolicy {
    /// Least time between two landmarks (Section 6.4.2: `time_between_landmarks`).
    pub time_between: Duration,
    /// Least time between the first landmark and the second. It doubles from each landmark to the next until it is
    /// [`LandmarkPolicy::time_between`]; from there on, or if it is no less at once, that is kept.
    ///
    /// Deviation: with less than `time_between` some landmarks more are active than Section 6.4.2 counts, until the first have
    /// expired: as many as it takes doublings.
    pub first_time_between: Duration,
    /// Longest life of a certificate: a landmark expires this long after its allocation.
    pub max_certificate_lifetime: Duration,
}

impl LandmarkPolicy {
    /// Least time from landmark `latest` to the next.
    fn spacing(&self, latest: LandmarkNumber) -> Duration {
        let doublings = u32::try_from(latest.0.saturating_sub(1)).unwrap_or(u32::MAX);
        let early = 2u32
            .checked_pow(doublings)
            .and_then(|factor| self.first_time_between.checked_mul(factor));
        early.map_or(self.time_between, |early| early.min(self.time_between))
    }
}

/// The landmarks of a log. Its methods block on the storage, and it is the one writer of its objects.
///
/// ```
/// use std::time::Duration;
///
/// use mtc_core::id::{EntryIndex, LandmarkNumber};
/// use mtc_core::time::UnixTime;
/// use mtc_core::tree::{evaluate_inclusion, leaf_hash};
/// use mtc_log::{LandmarkPolicy, LandmarkStore};
/// # use std::sync::Arc;
/// # use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
/// # use mtc_core::id::{LogId, LogNumber};
/// # use mtc_log::{CosigningKey, DirectoryStorage, IssuanceLog};
/// # let folder = tempfile::tempdir()?;
/// # let storage = Arc::new(DirectoryStorage::create(folder.path().join("log"))?);
/// # let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44)?;
/// # let key = CosigningKey::new("32473.1".parse()?, secret)?;
/// # let id = LogId::new("32473.1".parse()?, LogNumber::FIRST)?;
/// # let now = UnixTime(1_800_000_000);
/// # let mut log = IssuanceLog::create(storage, id, key, now)?;
/// # let batch = log.append(&[b"one".to_vec(), b"two".to_vec()], now)?;
/// # log.publish(&batch.checkpoint.to_note())?;
/// # let published = batch.checkpoint;
///
/// let policy = LandmarkPolicy {
///     time_between: Duration::from_secs(3600),
///     first_time_between: Duration::from_secs(2),
///     max_certificate_lifetime: Duration::from_secs(7 * 86_400),
/// };
/// let mut landmarks = LandmarkStore::open(log.storage(), policy, log.published())?;
/// let landmark = landmarks.allocate(&published, now)?;
/// assert_eq!((landmark.number, landmark.tree_size), (LandmarkNumber(1), published.size()));
///
/// let index = EntryIndex(1);
/// let proof = landmarks.prove(&log.reader()?, index, now)?.expect("an entry below the landmark");
/// let hash = evaluate_inclusion(index, proof.subtree, leaf_hash(b"two"), &proof.inclusion_proof)?;
/// assert_eq!(hash, proof.hash);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LandmarkStore {
    storage: Arc<dyn Storage>,
    policy: LandmarkPolicy,
    /// What is in [`Object::LandmarkState`].
    sequence: LandmarkSequence,
    /// Whether [`Object::Landmarks`] is known to say the same.
    published: bool,
}

/// What makes a landmark-relative certificate of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LandmarkProof {
    /// The landmark.
    pub landmark: Landmark,
    /// The one of its subtrees that holds the entry.
    pub subtree: Subtree,
    /// The subtree's hash: what a relying party that knows the landmark has.
    pub hash: Hash,
    /// The entry's inclusion proof in the subtree.
    pub inclusion_proof: Vec<Hash>,
}

/// Size of the tree at the newest landmark of a log; empty if it has none. Blocks on the storage.
///
/// # Errors
/// The stored landmarks are damaged; the storage failed.
pub fn newest_landmark_size(storage: &dyn Storage) -> Result<TreeSize, LandmarkStoreError> {
    match storage.get(&Object::LandmarkState)? {
        Some(state) => {
            let sequence = LandmarkSequence::parse(unseal(&state)?, END_OF_TIME)?;
            Ok(sequence.latest().tree_size)
        }
        None => Ok(TreeSize::EMPTY),
    }
}

impl LandmarkStore {
    /// Loads the landmarks of a log, or starts with none. `published` is the log's published checkpoint.
    ///
    /// # Errors
    /// The stored landmarks are damaged, missing beside a published document, or beyond the published checkpoint; the
    /// storage failed.
    pub fn open(
        storage: Arc<dyn Storage>,
        policy: LandmarkPolicy,
        published: Option<&CaCheckpoint>,
    ) -> Result<Self, LandmarkStoreError> {
        let document = storage.get(&Object::Landmarks)?;
        let sequence = match (storage.get(&Object::LandmarkState)?, &document) {
            // Sealed by this log's writer, and not judged by the present clock: it would refuse what it has made when it was
            // ahead for a moment, and that passes as time does.
            (Some(state), _) => LandmarkSequence::parse(unseal(&state)?, END_OF_TIME)?,
            (None, Some(_)) => return Err(LandmarkStoreError::StateMissing),
            (None, None) => LandmarkSequence::new(),
        };
        let size = published.map_or(TreeSize::EMPTY, CaCheckpoint::size);
        if sequence.latest().tree_size > size {
            return Err(LandmarkStoreError::BeyondPublished {
                landmark: sequence.latest(),
                size,
            });
        }
        let mut store = Self {
            storage,
            policy,
            sequence,
            published: false,
        };
        store.persist(&store.sequence)?;
        store.published =
            document.is_some_and(|document| document == store.sequence.to_document().into_bytes());
        store.publish()?;
        Ok(store)
    }

    /// Allocates a landmark at the published checkpoint and publishes it.
    ///
    /// # Errors
    /// [`LandmarkError::NotGrown`] or [`LandmarkError::TooEarly`] when none is due; or the storage failed, and the landmark
    /// exists if and only if [`LandmarkStore::sequence`] has it.
    pub fn allocate(
        &mut self,
        published: &CaCheckpoint,
        now: UnixTime,
    ) -> Result<Landmark, LandmarkStoreError> {
        self.publish()?;
        let (sequence, landmark) = self.next(published, now)?;
        self.persist(&sequence)?;
        self.sequence = sequence;
        self.published = false;
        self.publish()?;
        Ok(landmark)
    }

    /// The landmark that [`LandmarkStore::allocate`] would allocate.
    ///
    /// # Errors
    /// None is due.
    pub fn due(&self, published: &CaCheckpoint, now: UnixTime) -> Result<Landmark, LandmarkError> {
        self.next(published, now).map(|(_, landmark)| landmark)
    }

    fn next(
        &self,
        published: &CaCheckpoint,
        now: UnixTime,
    ) -> Result<(LandmarkSequence, Landmark), LandmarkError> {
        let mut sequence = self.sequence.clone();
        let landmark = sequence.allocate(
            published.size(),
            now,
            self.policy.spacing(sequence.latest().number),
            self.policy.max_certificate_lifetime,
        )?;
        Ok((sequence, landmark))
    }

    /// The earliest that the next landmark may be allocated; while there is none, at any time.
    pub fn earliest_next(&self) -> UnixTime {
        let spacing = self.policy.spacing(self.sequence.latest().number);
        self.sequence
            .earliest_next(spacing, self.policy.max_certificate_lifetime)
    }

    /// The landmarks.
    pub const fn sequence(&self) -> &LandmarkSequence {
        &self.sequence
    }

    /// The proof of an entry against its landmark, read from `tree`, or `None` while there is no active landmark above it.
    ///
    /// # Errors
    /// The tree is smaller than the landmark, or cannot be read or is damaged.
    pub fn prove(
        &self,
        tree: &TreeReader,
        index: EntryIndex,
        now: UnixTime,
    ) -> Result<Option<LandmarkProof>, TreeError> {
        let found = self.sequence.for_entry(index, now);
        let Some((landmark, subtree)) =
            found.and_then(|found| Some((found.landmark, found.holding(index)?)))
        else {
            return Ok(None);
        };
        let inclusion_proof = tree.inclusion_proof(index, subtree)?;
        Ok(Some(LandmarkProof {
            landmark,
            subtree,
            hash: tree.subtree_hash(subtree)?,
            inclusion_proof,
        }))
    }

    fn persist(&self, sequence: &LandmarkSequence) -> Result<(), StorageError> {
        self.storage.put(
            &Object::LandmarkState,
            seal(&sequence.to_document()).as_bytes(),
        )
    }

    fn publish(&mut self) -> Result<(), StorageError> {
        if !self.published {
            self.storage
                .put(&Object::Landmarks, self.sequence.to_document().as_bytes())?;
            self.published = true;
        }
        Ok(())
    }
}

/// Stores landmarks as those of a log, which has been made from a copy.
pub(crate) fn store_sequence(
    storage: &dyn Storage,
    sequence: &LandmarkSequence,
) -> Result<(), StorageError> {
    let document = sequence.to_document();
    storage.put(&Object::LandmarkState, seal(&document).as_bytes())?;
    storage.put(&Object::Landmarks, document.as_bytes())
}

/// The document behind a line with its SHA-256 in hex.
fn seal(document: &str) -> String {
    format!("{}\n{document}", checksum(document))
}

fn unseal(state: &[u8]) -> Result<&str, LandmarkStoreError> {
    let parts = str::from_utf8(state)
        .ok()
        .and_then(|text| text.split_once('\n'));
    let document = parts
        .filter(|(sum, document)| *sum == checksum(document))
        .map(|(_, document)| document);
    document.ok_or(LandmarkStoreError::Damaged)
}

fn checksum(document: &str) -> String {
    hex::encode(&Sha256::digest(document))
}

/// Why landmarks were not loaded or allocated.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LandmarkStoreError {
    /// The stored landmarks do not have their checksum.
    #[error("state/landmarks is damaged")]
    Damaged,
    /// Landmarks have been published, and what they were allocated from is gone.
    #[error("state/landmarks is missing beside log/landmarks")]
    StateMissing,
    /// A landmark is beyond what witnesses have cosigned.
    #[error("state/landmarks has landmark {} at {}, beyond the published checkpoint of {size}", landmark.number, landmark.tree_size)]
    BeyondPublished {
        /// The newest landmark.
        landmark: Landmark,
        /// Size of the published checkpoint.
        size: TreeSize,
    },
    /// No landmark is due, or the stored ones are no sequence.
    #[error(transparent)]
    Landmark(#[from] LandmarkError),
    /// The storage failed.
    #[error("the storage of landmarks failed")]
    Storage(#[from] StorageError),
}
