//! A log where it is stored: the one module that knows folders and object stores.
//!
//! ```text
//! log 1   DIR      s3://bucket/prefix          opened, created: a Storage under a lock or lease
//! log N   DIR-N    s3://bucket/prefix-N        read, looked at: without one
//! ```
//!
//! Object stores are there in builds with the feature `object-store`.

#[cfg(feature = "object-store")]
mod bucket;

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mtc_core::id::LogNumber;
use mtc_log::{DirectoryStorage, Object, Storage, StorageError, read_object};
use sbi::config::ConfigError;

use crate::config::NrfConfig;
use crate::files::{FileError, PrivateFolder};
use crate::log_location::LogLocation;

#[cfg(feature = "object-store")]
pub use self::bucket::Bucket;

/// Why there is no place for logs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogPlaceError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file of the access key.
    #[cfg(feature = "object-store")]
    #[error("object_store.credentials {}: access_key_id and secret_access_key are needed", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
    },
    /// The object store.
    #[cfg(feature = "object-store")]
    #[error("object_store")]
    Connect(#[from] mtc_log_s3::ConnectError),
}

/// Where a log is stored. Displays as the path of the folder, or the URL.
#[derive(Clone, Debug)]
pub enum LogPlace {
    /// A folder.
    Folder(PathBuf),
    /// A prefix in a bucket.
    #[cfg(feature = "object-store")]
    Bucket(Bucket),
}

impl fmt::Display for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            #[cfg(feature = "object-store")]
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

impl From<PathBuf> for LogPlace {
    fn from(folder: PathBuf) -> Self {
        Self::Folder(folder)
    }
}

impl LogPlace {
    /// The place of log 1, as the configuration says. Blocks on the disk.
    ///
    /// # Errors
    /// What it says of an object store cannot be used, or this build has none.
    pub fn of(config: &NrfConfig, state: &PrivateFolder) -> Result<Self, LogPlaceError> {
        match &config.log {
            LogLocation::Folder(folder) => Ok(Self::Folder(folder.clone())),
            #[cfg(feature = "object-store")]
            LogLocation::Bucket { bucket, prefix } => {
                let store = config.object_store.clone().unwrap_or_default();
                Bucket::of(bucket, prefix, &store, state).map(Self::Bucket)
            }
            #[cfg(not(feature = "object-store"))]
            LogLocation::Bucket { .. } => {
                let _ = state;
                Err(LogPlaceError::Config(ConfigError::Rule {
                    key: "log",
                    rule: "is in an object store, and this mtc5g was built without: cargo build --release --features object-store".to_owned(),
                }))
            }
        }
    }

    /// The place of a log, if this is that of log 1: `<this>-N` for log N, beside it, since a log often fails with its disk.
    pub fn numbered(&self, log: LogNumber) -> Self {
        if log == LogNumber::FIRST {
            return self.clone();
        }
        match self {
            Self::Folder(folder) => Self::Folder(folder_of(folder, log)),
            #[cfg(feature = "object-store")]
            Self::Bucket(bucket) => Self::Bucket(bucket.with_suffix(&format!("-{log}"))),
        }
    }

    /// Opens the storage there, as its only writer. Blocks.
    ///
    /// # Errors
    /// There is no such folder or bucket, it cannot be written, or another writer has it open.
    pub fn open(&self) -> Result<Arc<dyn Storage>, StorageError> {
        match self {
            Self::Folder(folder) => Ok(Arc::new(DirectoryStorage::open(folder)?)),
            #[cfg(feature = "object-store")]
            Self::Bucket(bucket) => Ok(Arc::new(bucket.open()?)),
        }
    }

    /// As [`LogPlace::open`], after making a folder that is missing. Buckets are made by others.
    ///
    /// # Errors
    /// As [`LogPlace::open`], or the folder cannot be made.
    pub fn create(&self) -> Result<Arc<dyn Storage>, StorageError> {
        match self {
            Self::Folder(folder) => Ok(Arc::new(DirectoryStorage::create(folder)?)),
            #[cfg(feature = "object-store")]
            Self::Bucket(bucket) => Ok(Arc::new(bucket.open()?)),
        }
    }

    /// The bytes of an object, read as anybody may. Blocks.
    ///
    /// # Errors
    /// Whether there is such an object is unknown.
    pub fn read(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
        match self {
            Self::Folder(folder) => read_object(folder, object),
            #[cfg(feature = "object-store")]
            Self::Bucket(bucket) => bucket.store().read(object),
        }
    }

    /// Whether something is stored there under a name. Blocks.
    ///
    /// # Errors
    /// That is unknown.
    pub fn has(&self, name: &str) -> Result<bool, StorageError> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                match path.try_exists() {
                    // Something that is no folder is in the way; whoever opens it says so.
                    Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(false),
                    looked => looked.map_err(|source| StorageError::Io {
                        operation: "read",
                        path,
                        source,
                    }),
                }
            }
            #[cfg(feature = "object-store")]
            Self::Bucket(bucket) => Ok(bucket.store().read_named(name)?.is_some()),
        }
    }

    /// Stores what is no object of a log. Blocks.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, text: String) -> Result<(), StorageError> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                std::fs::write(&path, text).map_err(|source| StorageError::Io {
                    operation: "write",
                    path,
                    source,
                })
            }
            #[cfg(feature = "object-store")]
            Self::Bucket(bucket) => bucket.store().write_named(name, text),
        }
    }

    /// The name of what is stored there, as people are told it.
    pub fn named(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.join(name),
            #[cfg(feature = "object-store")]
            Self::Bucket(bucket) => format!("{bucket}/{name}").into(),
        }
    }

    /// What it must be for an NRF to use it.
    pub(crate) fn must_be(&self) -> &'static str {
        match self {
            Self::Folder(_) => "it must be a folder that this user may read and write",
            #[cfg(feature = "object-store")]
            Self::Bucket(_) => {
                "it must be in a bucket that these credentials may list, read, write and delete in, with conditional writes"
            }
        }
    }

    /// How a log that is damaged there is repaired.
    pub(crate) fn repair(&self) -> String {
        match self {
            Self::Folder(folder) => format!("run mtc5g log repair {}", folder.display()),
            #[cfg(feature = "object-store")]
            Self::Bucket(_) => {
                "copy the log into a folder, run mtc5g log repair on it, and copy it back"
                    .to_owned()
            }
        }
    }

    /// What to do about another writer.
    pub(crate) fn release(&self) -> &'static str {
        match self {
            Self::Folder(_) => "stop the other NRF that runs on it",
            #[cfg(feature = "object-store")]
            Self::Bucket(_) => {
                "stop the other NRF that runs on it; if that was killed on another machine, its lease runs out within half a minute"
            }
        }
    }
}

/// The folder of a log, where `configured` is that of log 1; see [`LogPlace::numbered`].
pub fn folder_of(configured: &Path, log: LogNumber) -> PathBuf {
    if log == LogNumber::FIRST {
        return configured.to_owned();
    }
    let mut name = configured.file_name().unwrap_or_default().to_owned();
    name.push(format!("-{log}"));
    configured.with_file_name(name)
}
