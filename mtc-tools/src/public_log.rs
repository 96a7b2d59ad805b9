//! An issuance log as anybody can read it: from a folder, or over HTTP below its prefix (c2sp.org/tlog-tiles, mtc-tlog).
//!
//! ```text
//! DIR, http://host/1/ ──> PublicLog ──> checkpoint, landmarks, tiles, bundles      bytes, bounded, trusted by nobody
//!                             └── as a read-only Storage ──> mtc_log::TreeReader    nodes and entries, up to a root hash
//! ```
//!
//! Reads block; whoever waits for them in asynchronous code calls them on a thread that may block. Nothing is written.

mod checkpoint;
mod directory;
mod http;

use std::path::PathBuf;
use std::sync::Arc;

use mtc_core::landmark::{LandmarkError, LandmarkSequence, MAX_LANDMARKS};
use mtc_core::note::MAX_NOTE;
use mtc_core::tile::{TILE_WIDTH, TileKind, TilePath};
use mtc_core::time::UnixTime;
use mtc_core::tree::HASH_SIZE;
use mtc_core::wire;
use mtc_log::{Object, Storage, StorageError, TreeError, TreeReader};
use mtc_web::{HttpError, UrlError};
use thiserror::Error;
use tokio::runtime::Handle;

pub use self::checkpoint::{CheckpointSignature, Observed, ObservedError, SignatureState};
use self::directory::Directory;
use self::http::Http;
pub use self::http::Stop;

/// Longest entry in a bundle, in bytes, with its length before it.
const MAX_ENTRY: u64 = 2 + 65_535;
/// Longest landmarks document: its first line has a number, each other one a tree size and an expiry, and no number more
/// than 20 digits.
const MAX_LANDMARKS_DOCUMENT: u64 = 21 + (MAX_LANDMARKS as u64 + 1) * (20 + 1 + 20 + 1);

/// Why there is no log to read at a place.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// Not a folder that is there, and not a URL.
    #[error("{0} is neither a folder nor an http:// or https:// URL")]
    Neither(String),
    /// A folder without a log.
    #[error(
        "there is no checkpoint in {0} or in its folder log/; give the folder that is served, or the one in which the NRF keeps the log"
    )]
    NoCheckpoint(PathBuf),
    /// A URL that names no host or path.
    #[error("{url} is not the URL of a log, such as http://127.0.0.1:7778/1/")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        source: UrlError,
    },
    /// No server can be asked.
    #[error(transparent)]
    Http(HttpError),
}

/// Why an object of a log was not read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An object is longer than any of its kind can be.
    #[error("{object} is longer than {limit} bytes")]
    TooLong {
        /// Where it is.
        object: String,
        /// Length of the longest of its kind.
        limit: u64,
    },
    /// The server did not answer.
    #[error("cannot get {url}")]
    Fetch {
        /// What was asked for.
        url: String,
        /// Why.
        source: HttpError,
    },
    /// An object that every log has is not there.
    #[error("{0} does not exist; is this the prefix of one log, such as http://127.0.0.1:7778/1/?")]
    Missing(String),
    /// Reading was told to end.
    #[error("reading was stopped")]
    Stopped,
}

/// Why the landmarks of a log cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LandmarksError {
    /// The document cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is not text.
    #[error("the landmarks document is not text")]
    NotText,
    /// It is not of the form that Section 6.4.3 gives.
    #[error("the landmarks document")]
    Malformed(#[from] LandmarkError),
}

/// A log that can be read.
///
/// ```
/// use mtc_core::id::{EntryIndex, TreeSize};
/// use mtc_tools::inclusion::prove;
/// use mtc_tools::public_log::PublicLog;
/// # use std::sync::Arc;
/// # use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
/// # use mtc_core::entry::MtcLogEntry;
/// # use mtc_core::id::{LogId, LogNumber};
/// # use mtc_core::time::UnixTime;
/// # use mtc_log::{CosigningKey, DirectoryStorage, IssuanceLog};
/// # let folder = tempfile::tempdir()?;
/// # let storage = Arc::new(DirectoryStorage::create(folder.path().join("log"))?);
/// # let served = storage.served_directory().display().to_string();
/// # let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44)?;
/// # let key = CosigningKey::new("32473.1".parse()?, secret)?;
/// # let id = LogId::new("32473.1".parse()?, LogNumber::FIRST)?;
/// # let now = UnixTime(1_800_000_000);
/// # let mut writer = IssuanceLog::create(storage, id, key, now)?;
/// # let batch = writer.append(&[MtcLogEntry::NULL.encode()?], now)?;
/// # writer.publish(&batch.checkpoint.to_note())?;
/// # let runtime = tokio::runtime::Runtime::new()?;
///
/// let log = PublicLog::at(&served, runtime.handle().clone())?;
/// let observed = log.checkpoint()?;
/// assert_eq!(observed.checkpoint.size, TreeSize(1));
/// let inclusion = prove(&log.tree(&observed)?, EntryIndex(0), None)?;
/// assert_eq!(inclusion.subtree_hash, observed.checkpoint.root);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PublicLog {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Directory(Directory),
    Http(Arc<Http>),
}

impl PublicLog {
    /// The log at a place: a folder (as a log serves it, as the NRF keeps it, or a lab's) or a URL.
    ///
    /// Requests are driven by `runtime`, which must not be the thread that reads the log.
    ///
    /// # Errors
    /// The place cannot be one of a log. Whether a server answers is seen on the first read.
    pub fn at(place: &str, runtime: Handle) -> Result<Self, PlaceError> {
        let source = if ["http://", "https://"]
            .iter()
            .any(|scheme| place.starts_with(scheme))
        {
            Source::Http(Arc::new(Http::new(place, runtime)?))
        } else {
            Source::Directory(Directory::find(place)?)
        };
        Ok(Self { source })
    }

    /// Makes reads under way and all later ones end, if the log is read over HTTP.
    pub fn stop(&self) -> Option<Stop> {
        match &self.source {
            Source::Directory(_) => None,
            Source::Http(http) => Some(http.stop()),
        }
    }

    /// The name of an object, for messages.
    fn describe(&self, object: &str) -> String {
        match &self.source {
            Source::Directory(directory) => directory.path(object).display().to_string(),
            Source::Http(http) => http.url(object),
        }
    }

    /// The bytes of an object by its path below the log's prefix, at most `limit`, or none if there is no such object.
    fn get(&self, object: &str, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
        match &self.source {
            Source::Directory(directory) => directory.get(object, limit),
            Source::Http(http) => http.get(object, limit),
        }
    }

    fn get_tile(&self, path: TilePath) -> Result<Option<Vec<u8>>, ReadError> {
        self.get(&path.to_string(), longest(path))
    }

    /// The newest checkpoint, whose signatures are still to be verified.
    ///
    /// # Errors
    /// There is none, or it is not one.
    pub fn checkpoint(&self) -> Result<Observed, ObservedError> {
        let name = "checkpoint";
        let note = self
            .get(name, MAX_NOTE as u64)?
            .ok_or_else(|| ReadError::Missing(self.describe(name)))?;
        Observed::parse(&note)
    }

    /// The landmarks, if the log publishes any.
    ///
    /// # Errors
    /// The document cannot be read or is malformed.
    pub fn landmarks(&self, now: UnixTime) -> Result<Option<LandmarkSequence>, LandmarksError> {
        let Some(document) = self.get("landmarks", MAX_LANDMARKS_DOCUMENT)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&document).map_err(|_| LandmarksError::NotText)?;
        Ok(Some(LandmarkSequence::parse(text, now)?))
    }

    /// A tile or bundle, or none if there is no such object. A partial one that has been removed in favour of the full
    /// one, as c2sp.org/tlog-tiles allows, is cut from that.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn tile(&self, path: TilePath) -> Result<Option<Vec<u8>>, ReadError> {
        if let Some(bytes) = self.get_tile(path)? {
            return Ok(Some(bytes));
        }
        self.tile_from_full(path)
    }

    fn tile_from_full(&self, path: TilePath) -> Result<Option<Vec<u8>>, ReadError> {
        if !path.is_partial() {
            return Ok(None);
        }
        let full = TilePath {
            width: TILE_WIDTH as u16,
            ..path
        };
        let bytes = self.get_tile(full)?;
        Ok(bytes.and_then(|bytes| first_of(path, &bytes)))
    }

    /// Several tiles or bundles, in their order; over HTTP several are asked for at a time.
    pub fn tiles(&self, paths: &[TilePath]) -> Vec<Result<Option<Vec<u8>>, ReadError>> {
        let Source::Http(http) = &self.source else {
            return paths.iter().map(|path| self.tile(*path)).collect();
        };
        let wanted = paths
            .iter()
            .map(|path| (path.to_string(), longest(*path)))
            .collect();
        let answers = http.get_all(wanted);
        paths
            .iter()
            .zip(answers)
            .map(|(path, answer)| match answer? {
                Some(bytes) => Ok(Some(bytes)),
                None => self.tile_from_full(*path),
            })
            .collect()
    }

    /// The tree of a checkpoint: what it gives has been checked up to the checkpoint's root.
    ///
    /// # Errors
    /// The tiles at the right edge cannot be read, or hash to another root.
    pub fn tree(&self, observed: &Observed) -> Result<TreeReader, TreeError> {
        let storage: Arc<dyn Storage> = Arc::new(ReadOnly(self.clone()));
        TreeReader::open(storage, observed.checkpoint.size, observed.checkpoint.root)
    }
}

/// Length of the longest tile or bundle that can be at a path.
fn longest(path: TilePath) -> u64 {
    let each = match path.kind {
        TileKind::Hashes(_) => HASH_SIZE as u64,
        TileKind::Entries => MAX_ENTRY,
    };
    each * u64::from(path.width)
}

/// The first hashes or entries of a full tile or bundle, as many as `path` says.
fn first_of(path: TilePath, full: &[u8]) -> Option<Vec<u8>> {
    let length = match path.kind {
        TileKind::Hashes(_) => HASH_SIZE * usize::from(path.width),
        TileKind::Entries => {
            let mut reader = wire::Reader::new(full);
            for _ in 0..path.width {
                reader.vector(2).ok()?;
            }
            full.len() - reader.rest().len()
        }
    };
    full.get(..length).map(<[u8]>::to_vec)
}

/// The log as a storage that nobody can write.
struct ReadOnly(PublicLog);

impl Storage for ReadOnly {
    fn put(&self, object: &Object, _: &[u8]) -> Result<(), StorageError> {
        Err(StorageError::Io {
            operation: "write",
            path: object.to_string().into(),
            source: std::io::ErrorKind::ReadOnlyFilesystem.into(),
        })
    }

    fn get(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
        // A reader of a tree asks for nothing but tiles.
        let Object::Tile(path) = object else {
            return Ok(None);
        };
        self.0.tile(*path).map_err(|error| StorageError::Io {
            operation: "read",
            path: path.to_string().into(),
            source: std::io::Error::other(error),
        })
    }

    fn is_empty(&self) -> Result<bool, StorageError> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_tile_is_the_beginning_of_the_full_one() {
        let partial = |kind| TilePath {
            kind,
            index: 0,
            width: 2,
        };
        let hashes: Vec<u8> = (0..=255).flat_map(|octet| [octet; HASH_SIZE]).collect();
        let cut = first_of(partial(TileKind::Hashes(0)), &hashes);
        assert_eq!(cut.as_deref(), Some(&hashes[..64]));
        let bundle = [0, 1, b'a', 0, 2, b'b', b'c', 0, 0];
        let cut = first_of(partial(TileKind::Entries), &bundle);
        assert_eq!(cut.as_deref(), Some(&bundle[..7]));
        assert_eq!(first_of(partial(TileKind::Entries), &bundle[..5]), None);
    }
}
