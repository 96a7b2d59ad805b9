//! Where an issuance log, its landmarks and a witness keep their bytes.
//!
//! Everything stored is an [`Object`] that is written whole and read whole, so a [`Storage`] has few methods and one
//! promise: when [`Storage::put`] returns `Ok`, the object survives a crash, whole. Which order objects are written in,
//! and therefore what a crash can leave behind, is decided by the callers.

mod directory;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use mtc_core::hex;
use mtc_core::id::TreeSize;
use mtc_core::tile::{TILE_WIDTH, TilePath};
use mtc_core::tree::Hash;
use thiserror::Error;

pub use self::directory::{DirectoryStorage, read_object};

/// Keeps [`Object`]s.
///
/// Durability: an object is durable, contents and name, when `put` returns `Ok`. When it returns an error, or the process
/// dies inside it, a later `get` finds either the old bytes or the new ones, never a mixture; which of the two may even
/// change at the next crash, so whoever needs to know has to `put` again.
///
/// Concurrency: reads may run beside anything. Each object has one writer at a time, which is the business of the object's
/// owner ([`IssuanceLog`](crate::IssuanceLog), [`LandmarkStore`](crate::LandmarkStore),
/// [`WitnessStore`](crate::WitnessStore)); that no second process writes is the business of the storage.
pub trait Storage: Send + Sync + 'static {
    /// Creates or replaces an object, durably and atomically.
    ///
    /// # Errors
    /// The object could not be made durable; see the trait's documentation for what is stored then.
    fn put(&self, object: &Object, bytes: &[u8]) -> Result<(), StorageError>;

    /// Creates or replaces objects, all durable when this returns, each of them as by [`Storage::put`]. In which order they
    /// get there is undefined, and an error or a crash may leave some of them new and others old.
    ///
    /// A storage overrides this if making many objects durable at once is cheaper.
    ///
    /// # Errors
    /// As [`Storage::put`], for any of them.
    fn put_all(&self, objects: &[(Object, Vec<u8>)]) -> Result<(), StorageError> {
        objects
            .iter()
            .try_for_each(|(object, bytes)| self.put(object, bytes))
    }

    /// The bytes of an object, or `None` if there is no such object.
    ///
    /// # Errors
    /// The storage failed; whether the object exists is unknown.
    fn get(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError>;

    /// Whether nothing has ever been stored here.
    ///
    /// # Errors
    /// The storage failed.
    fn is_empty(&self) -> Result<bool, StorageError>;

    /// Removes the partial tiles and bundles that the full one, or a wider one, of the largest of `trees` superseded before
    /// `before`; how many there were. `trees` are sizes of trees that are still to be read: of the published checkpoint, of the
    /// newest landmark. c2sp.org/tlog-tiles allows it: whoever misses a partial tile asks for the full one, and as long as there
    /// is none, for a newer checkpoint. The partial ones at the right edge of any of `trees` stay.
    ///
    /// A storage in which they take no room of their own removes nothing. A crash leaves some of them, to be removed next time.
    ///
    /// # Errors
    /// The storage failed; some may have been removed.
    fn remove_superseded(
        &self,
        _trees: &[TreeSize],
        _before: SystemTime,
    ) -> Result<u64, StorageError> {
        Ok(0)
    }
}

impl<S: Storage + ?Sized> Storage for Arc<S> {
    fn put(&self, object: &Object, bytes: &[u8]) -> Result<(), StorageError> {
        (**self).put(object, bytes)
    }

    fn put_all(&self, objects: &[(Object, Vec<u8>)]) -> Result<(), StorageError> {
        (**self).put_all(objects)
    }

    fn get(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
        (**self).get(object)
    }

    fn is_empty(&self) -> Result<bool, StorageError> {
        (**self).is_empty()
    }

    fn remove_superseded(
        &self,
        trees: &[TreeSize],
        before: SystemTime,
    ) -> Result<u64, StorageError> {
        (**self).remove_superseded(trees, before)
    }
}

/// The name of what is stored. [`fmt::Display`] gives its path below the storage's root:
///
/// ```text
/// log/checkpoint                     what a log serves, laid out as c2sp.org/tlog-tiles and mtc-tlog say
/// log/landmarks
/// log/revoked                        what the CA has revoked, which its owner puts here: nothing in this crate looks into it
/// log/tile/<L>/<N>[.p/<W>]
/// log/tile/entries/<N>[.p/<W>]
/// state/signed-checkpoint            what the CA has signed, perhaps not cosigned by witnesses yet
/// state/landmarks                    the landmarks with a checksum
/// state/pending-checkpoint           what a mirror has been told of, whose entries it may not all have
/// state/pending-entries              how many entries a mirror has
/// witness/<hex H(origin)>/checkpoint what a witness has cosigned last
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// A hash tile or entry bundle. Immutable as far as a signed checkpoint covers it; beyond that it is what a crash left,
    /// and the next batch replaces it.
    Tile(TilePath),
    /// The served checkpoint, cosigned to policy.
    Checkpoint,
    /// The served landmark document.
    Landmarks,
    /// The served list of revoked serial numbers (`mtc_core::revocation_list`).
    Revoked,
    /// The newest checkpoint that the CA has signed.
    SignedCheckpoint,
    /// The landmarks in the form that detects damage.
    LandmarkState,
    /// The newest checkpoint that a mirror has been told of.
    PendingCheckpoint,
    /// How many entries a mirror has stored, where that is more than its [`Object::Checkpoint`] says.
    PendingEntries,
    /// The newest checkpoint that this witness has cosigned, by the SHA-256 of the log's origin.
    WitnessedCheckpoint(Hash),
}

impl Object {
    /// The object that a log serves under `path`, relative to the log's prefix: `checkpoint`, `landmarks`, `revoked`, or a tile's
    /// canonical path. Nothing else has a name, so a path from the network cannot reach outside the served objects.
    pub fn served_at(path: &str) -> Option<Self> {
        match path {
            "checkpoint" => Some(Self::Checkpoint),
            "landmarks" => Some(Self::Landmarks),
            "revoked" => Some(Self::Revoked),
            _ => path.parse().ok().map(Self::Tile),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tile(path) => write!(f, "log/{path}"),
            Self::Checkpoint => f.write_str("log/checkpoint"),
            Self::Landmarks => f.write_str("log/landmarks"),
            Self::Revoked => f.write_str("log/revoked"),
            Self::SignedCheckpoint => f.write_str("state/signed-checkpoint"),
            Self::LandmarkState => f.write_str("state/landmarks"),
            Self::PendingCheckpoint => f.write_str("state/pending-checkpoint"),
            Self::PendingEntries => f.write_str("state/pending-entries"),
            Self::WitnessedCheckpoint(origin_hash) => {
                write!(f, "witness/{}/checkpoint", hex::encode(origin_hash))
            }
        }
    }
}

/// Which partial tiles of one place in the tree [`Storage::remove_superseded`] removes, by their widths, the narrowest first: in this order
/// what supersedes a tile is there when it goes. `stored` are the widths that are stored and when they were written, the full one among
/// them.
pub fn superseded(
    tile: TilePath,
    stored: &[(u64, SystemTime)],
    trees: &[TreeSize],
    before: SystemTime,
) -> Vec<u64> {
    let needed: Vec<_> = trees.iter().map(|size| width_in(tile, *size)).collect();
    let newest = needed.iter().copied().max().unwrap_or(0);
    let mut stored = stored.to_vec();
    stored.sort_unstable();
    let mut superseded = Vec::new();
    if newest == TILE_WIDTH {
        let full = stored.iter().find(|(width, _)| *width == TILE_WIDTH);
        if full.is_some_and(|(_, written)| *written < before) {
            superseded.extend(stored.iter().map(|(width, _)| *width));
            superseded.retain(|width| *width < TILE_WIDTH);
        }
        return superseded;
    }
    for pair in stored.windows(2) {
        let [(width, _), (wider, written)] = *pair else {
            continue;
        };
        // A tree that is wider still is not published: a batch is under way, or was when the process died.
        if wider > newest || written >= before {
            break;
        }
        if !needed.contains(&width) {
            superseded.push(width);
        }
    }
    superseded
}

/// How many hashes or entries a tile or bundle has in the tree of `size` entries.
fn width_in(tile: TilePath, size: TreeSize) -> u64 {
    let first = tile.index.saturating_mul(TILE_WIDTH);
    let count = tile.kind.count_in(size);
    count.saturating_sub(first).min(TILE_WIDTH)
}

/// Why the storage failed. Where a storage is no folder, its paths are URLs.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Another process, or another handle in this one, has the storage open.
    #[error("{path} is in use by another writer")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// Another writer has opened the storage since, so this one may write no more.
    #[error("{path} has been taken over by another writer")]
    TakenOver {
        /// What shows it.
        path: PathBuf,
    },
    /// An object is not the one that its writer has read or written last.
    #[error("{path} was changed by somebody else than its writer")]
    Changed {
        /// The object.
        path: PathBuf,
    },
    /// The operating system refused an operation.
    #[error("cannot {operation} {path}")]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}
