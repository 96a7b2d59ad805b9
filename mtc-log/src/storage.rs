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
use mtc_core::tile::TilePath;
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
/// log/tile/<L>/<N>[.p/<W>]
/// log/tile/entries/<N>[.p/<W>]
/// state/signed-checkpoint            what the CA has signed, perhaps not cosigned by witnesses yet
/// state/landmarks                    the landmarks with a checksum
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
    /// The newest checkpoint that the CA has signed.
    SignedCheckpoint,
    /// The landmarks in the form that detects damage.
    LandmarkState,
    /// The newest checkpoint that this witness has cosigned, by the SHA-256 of the log's origin.
    WitnessedCheckpoint(Hash),
}

impl Object {
    /// The object that a log serves under `path`, relative to the log's prefix: `checkpoint`, `landmarks`, or a tile's
    /// canonical path. Nothing else has a name, so a path from the network cannot reach outside the served objects.
    pub fn served_at(path: &str) -> Option<Self> {
        match path {
            "checkpoint" => Some(Self::Checkpoint),
            "landmarks" => Some(Self::Landmarks),
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
            Self::SignedCheckpoint => f.write_str("state/signed-checkpoint"),
            Self::LandmarkState => f.write_str("state/landmarks"),
            Self::WitnessedCheckpoint(origin_hash) => {
                write!(f, "witness/{}/checkpoint", hex::encode(origin_hash))
            }
        }
    }
}

/// Why the storage failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Another process, or another handle in this one, has the directory open.
    #[error("{path} is in use by another writer")]
    Locked {
        /// The lock file.
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
