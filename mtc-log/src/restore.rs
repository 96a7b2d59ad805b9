//! A log that was lost, made again from a copy of what it served.
//!
//! ```text
//! copy: checkpoint of the CA ── root ──> entries, each up to that root ──> bundles, tiles      computed anew, read back
//!       landmarks ───────────────────────────────────────────────────────> state/landmarks, log/landmarks
//!                                                                          log/checkpoint
//!                                                                          state/signed-checkpoint     last: only now is it a log
//! ```
//!
//! Nothing of the copy is believed but what the CA has signed. That the copy is not an old one is for others to know: witnesses.

use std::sync::Arc;

use mtc_core::id::TreeSize;
use mtc_core::landmark::{Landmark, LandmarkSequence};
use mtc_core::tile::TILE_WIDTH;
use mtc_core::tree;
use thiserror::Error;

use crate::checkpoint::CaCheckpoint;
use crate::landmarks::store_sequence;
use crate::log::{AppendError, extend};
use crate::storage::{Object, Storage, StorageError};
use crate::tiles::{TreeError, TreeReader, Trees};

/// Bundles whose entries are written at a time.
const BATCH: u64 = 32;

/// Writes the log of a checkpoint, which the CA has signed, into a storage without one. `copy` is its tree. `progress` is told how many
/// entries are there. Blocks on the storage.
///
/// A restore that is interrupted leaves no log, and can be made again into the same storage.
///
/// # Errors
/// There is a log; the copy is damaged or of another checkpoint; a landmark is beyond it; the storage failed.
pub fn restore(
    copy: &TreeReader,
    checkpoint: &CaCheckpoint,
    landmarks: Option<&LandmarkSequence>,
    storage: &Arc<dyn Storage>,
    mut progress: impl FnMut(TreeSize),
) -> Result<(), RestoreError> {
    let (size, root) = (checkpoint.size(), checkpoint.root());
    if storage.get(&Object::SignedCheckpoint)?.is_some() {
        let object = Object::SignedCheckpoint;
        return Err(RestoreError::Exists { object });
    }
    // What an interrupted restore of the same copy has left is written again; anything else may be all that is left of a newer log.
    let mut made_last = vec![(Object::Checkpoint, checkpoint.to_note())];
    made_last
        .extend(landmarks.map(|sequence| (Object::Landmarks, sequence.to_document().into_bytes())));
    for (object, ours) in made_last {
        if storage.get(&object)?.is_some_and(|there| there != ours) {
            return Err(RestoreError::Exists { object });
        }
    }
    if (copy.size(), copy.root()) != (size, root) {
        return Err(RestoreError::OtherTree);
    }
    if let Some(landmark) = landmarks.map(LandmarkSequence::latest)
        && landmark.tree_size > size
    {
        return Err(RestoreError::Beyond { landmark, size });
    }
    let trees = Trees::new(Arc::clone(storage));
    let mut tree = trees.open(TreeSize::EMPTY, tree::empty_hash())?;
    let bundles = size.0.div_ceil(TILE_WIDTH);
    for first in (0..bundles).step_by(BATCH as usize) {
        let mut entries = Vec::new();
        for number in first..bundles.min(first + BATCH) {
            entries.extend(copy.bundle(number)?);
        }
        tree = extend(&**storage, &trees, &tree, &entries)?;
        progress(tree.size());
    }
    if tree.root() != root {
        return Err(RestoreError::OtherTree);
    }
    if let Some(landmarks) = landmarks {
        store_sequence(&**storage, landmarks)?;
    }
    let note = checkpoint.to_note();
    storage.put(&Object::Checkpoint, &note)?;
    storage.put(&Object::SignedCheckpoint, &note)?;
    Ok(())
}

/// Why a log was not restored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// There is a log, or what is left of one.
    #[error("there is {object} already: a log is never restored over another")]
    Exists {
        /// What is there.
        object: Object,
    },
    /// The copy's tree is not that of the checkpoint.
    #[error("the copy is not that of its checkpoint")]
    OtherTree,
    /// A landmark is of entries that the copy lacks.
    #[error("landmark {} is at {}, beyond the {size} entries of the copy", landmark.number, landmark.tree_size)]
    Beyond {
        /// The newest landmark.
        landmark: Landmark,
        /// Entries of the copy.
        size: TreeSize,
    },
    /// The copy is damaged, or cannot be read.
    #[error("cannot read the copy")]
    Copy(#[from] TreeError),
    /// The entries cannot be stored.
    #[error("cannot write the log")]
    Write(#[from] AppendError),
    /// The storage failed.
    #[error("cannot write the log")]
    Storage(#[from] StorageError),
}
