//! A log that is no more extended: it can be read and served, and there is no way to write to it.

use std::io;

use mtc_log::{Object, Storage, StorageError};

use crate::log_place::LogPlace;

/// The files of a retired log. Takes no lock and makes no folder: its disk may be damaged or mounted read-only.
#[derive(Clone, Debug)]
pub struct RetiredLog {
    place: LogPlace,
}

impl RetiredLog {
    /// The retired log in `place`, which need not be readable.
    pub fn new(place: impl Into<LogPlace>) -> Self {
        Self {
            place: place.into(),
        }
    }
}

impl Storage for RetiredLog {
    /// Refuses.
    fn put(&self, object: &Object, _bytes: &[u8]) -> Result<(), StorageError> {
        Err(StorageError::Io {
            operation: "write to a retired log:",
            path: self.place.named(&object.to_string()),
            source: io::ErrorKind::ReadOnlyFilesystem.into(),
        })
    }

    fn get(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
        self.place.read(object)
    }

    /// A log that was retired is no place for another.
    fn is_empty(&self) -> Result<bool, StorageError> {
        Ok(false)
    }
}
