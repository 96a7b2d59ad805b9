//! The requests that a log needs, below a prefix: read, write under a condition, list, remove.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::StreamExt as _;
use mtc_log::StorageError;
use object_store::path::Path;
use object_store::{
    Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion,
};

/// No object is longer: a bundle has 256 entries of at most 2^16 - 1 octets and their lengths.
pub(crate) const MAX_OBJECT: u64 = 256 * (2 + 0xffff);

/// An object as it was read or written.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) bytes: Bytes,
    /// What a condition names.
    pub(crate) version: UpdateVersion,
}

/// When a write is carried out.
#[derive(Clone)]
pub(crate) enum Condition {
    /// There is no such object.
    Absent,
    /// It is still the one that was found.
    Unchanged(UpdateVersion),
}

impl Condition {
    pub(crate) fn as_found(found: Option<&Found>) -> Self {
        found.map_or(Self::Absent, |found| Self::Unchanged(found.version.clone()))
    }
}

/// What became of a write.
pub(crate) enum Written {
    /// It is there.
    Done(Found),
    /// The condition was not met: this is there.
    Other(Option<Found>),
}

/// One object of a list.
pub(crate) struct Listed {
    /// Its name below the prefix.
    pub(crate) name: String,
    pub(crate) modified: SystemTime,
}

/// A store below a prefix. Displays as the URL that errors name.
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    url: String,
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl Objects {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, prefix: &str, url: String) -> Self {
        Self {
            store,
            prefix: Path::from(prefix),
            url,
        }
    }

    /// The same store below another prefix.
    pub(crate) fn below(&self, prefix: &str, url: String) -> Self {
        Self::new(self.store.clone(), prefix, url)
    }

    /// The URL of an object, where errors have the path of a file.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        format!("{}/{name}", self.url).into()
    }

    fn path(&self, name: &str) -> Path {
        self.prefix
            .parts()
            .chain(Path::from(name).parts())
            .collect()
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Option<Found>, StorageError> {
        let failed = |error| self.failed("read", name, error);
        let found = match self.store.get(&self.path(name)).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(failed)?,
        };
        if found.meta.size > MAX_OBJECT {
            return Err(self.refused("read", name, "it is longer than any object of a log"));
        }
        let version = UpdateVersion {
            e_tag: found.meta.e_tag.clone(),
            version: found.meta.version.clone(),
        };
        let bytes = found.bytes().await.map_err(failed)?;
        Ok(Some(Found { bytes, version }))
    }

    /// Writes under a condition. Where the answer is lost, what is stored tells what became of it.
    ///
    /// # Errors
    /// The write failed, or may yet be carried out.
    pub(crate) async fn put(
        &self,
        name: &str,
        bytes: Bytes,
        condition: Condition,
    ) -> Result<Written, StorageError> {
        let mode = match condition {
            Condition::Absent => PutMode::Create,
            Condition::Unchanged(version) => PutMode::Update(version),
        };
        let payload = PutPayload::from_bytes(bytes.clone());
        let path = self.path(name);
        let put = self.store.put_opts(&path, payload, PutOptions::from(mode));
        let error = match put.await {
            Ok(stored) => {
                let version = UpdateVersion::from(stored);
                return Ok(Written::Done(Found { bytes, version }));
            }
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => None,
            Err(error) => Some(self.failed("write", name, error)),
        };
        // An attempt whose answer was lost may be what a repeated one was refused for.
        match (self.get(name).await, error) {
            (Ok(Some(found)), _) if found.bytes == bytes => Ok(Written::Done(found)),
            (_, Some(error)) => Err(error),
            (found, None) => Ok(Written::Other(found?)),
        }
    }

    /// The objects whose names begin with `below` and a slash.
    pub(crate) async fn list(&self, below: &str) -> Result<Vec<Listed>, StorageError> {
        let mut found = self.store.list(Some(&self.path(below)));
        let mut listed = Vec::new();
        while let Some(object) = found.next().await {
            let object = object.map_err(|error| self.failed("list", below, error))?;
            if let Some(name) = object.location.prefix_match(&self.prefix) {
                let parts: Vec<_> = name.map(|part| part.as_ref().to_owned()).collect();
                listed.push(Listed {
                    name: parts.join("/"),
                    modified: object.last_modified.into(),
                });
            }
        }
        Ok(listed)
    }

    /// Whether there is an object whose name begins with `below` and a slash.
    pub(crate) async fn any(&self, below: &str) -> Result<bool, StorageError> {
        let mut found = self.store.list(Some(&self.path(below)));
        match found.next().await {
            None => Ok(false),
            Some(object) => object
                .map(|_| true)
                .map_err(|error| self.failed("list", below, error)),
        }
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<(), StorageError> {
        match self.store.delete(&self.path(name)).await {
            Err(Error::NotFound { .. }) => Ok(()),
            removed => removed.map_err(|error| self.failed("remove", name, error)),
        }
    }

    /// Something that the store has and a log cannot use.
    pub(crate) fn refused(
        &self,
        operation: &'static str,
        name: &str,
        why: &'static str,
    ) -> StorageError {
        StorageError::Io {
            operation,
            path: self.place(name),
            source: io::Error::new(ErrorKind::InvalidData, why),
        }
    }

    fn failed(&self, operation: &'static str, name: &str, error: Error) -> StorageError {
        let kind = match &error {
            Error::NotFound { .. } => ErrorKind::NotFound,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                ErrorKind::PermissionDenied
            }
            _ => ErrorKind::Other,
        };
        StorageError::Io {
            operation,
            path: self.place(name),
            source: io::Error::new(kind, error),
        }
    }
}
