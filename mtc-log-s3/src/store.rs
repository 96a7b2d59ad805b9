//! A place in an object store, read without a lease.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use mtc_log::{Object, StorageError};
use object_store::ObjectStore;

use crate::fence::without_writer;
use crate::location::Location;
use crate::objects::{Condition, Objects, Written};
use crate::worker::Worker;

/// What is stored below a prefix. Displays as its URL; clones share their thread.
#[derive(Clone)]
pub struct Store {
    pub(crate) objects: Arc<Objects>,
    pub(crate) worker: Arc<Worker>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.objects)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.objects.fmt(f)
    }
}

impl Store {
    /// What `store` has below `prefix`, named `url` in errors. Asks for nothing yet.
    ///
    /// # Errors
    /// The system has no thread for the requests.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        url: impl Into<String>,
    ) -> Result<Self, StorageError> {
        let url = url.into();
        let worker = Worker::start().map_err(|source| StorageError::Io {
            operation: "start a thread for",
            path: url.clone().into(),
            source,
        })?;
        Ok(Self {
            objects: Arc::new(Objects::new(store, prefix, url)),
            worker: Arc::new(worker),
        })
    }

    /// Another place that the same client reaches.
    pub fn beside(&self, location: &Location) -> Self {
        Self {
            objects: Arc::new(self.objects.below(&location.prefix, location.to_string())),
            worker: self.worker.clone(),
        }
    }

    /// The bytes of an object, or `None` if there is no such object. Needs no lease: it is there for readers that must not, or
    /// cannot, hold the storage open. Blocks on the network.
    ///
    /// # Errors
    /// The store failed; whether the object exists is unknown.
    pub fn read(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
        let bytes = self.read_named(&object.to_string())?;
        Ok(bytes.map(|bytes| match object {
            Object::SignedCheckpoint => without_writer(&bytes).to_vec(),
            _ => bytes,
        }))
    }

    /// The bytes of what is no object of a log and lies beside them, by its name below the prefix.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_named(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let (objects, name) = (self.objects.clone(), name.to_owned());
        let found = self.wait("read", async move { objects.get(&name).await })?;
        Ok(found.map(|found| found.bytes.to_vec()))
    }

    /// Creates or replaces what is no object of a log and lies beside them, by its name below the prefix, whoever else writes it.
    ///
    /// # Errors
    /// The store failed.
    pub fn write_named(&self, name: &str, bytes: impl Into<Bytes>) -> Result<(), StorageError> {
        let (objects, name, bytes) = (self.objects.clone(), name.to_owned(), bytes.into());
        self.wait("write", async move {
            let found = objects.get(&name).await?;
            let condition = Condition::as_found(found.as_ref());
            match objects.put(&name, bytes, condition).await? {
                Written::Done(_) => Ok(()),
                Written::Other(_) => Err(StorageError::Changed {
                    path: objects.place(&name),
                }),
            }
        })
    }

    /// Blocks until `work` is done.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StorageError>> + Send + 'static,
    ) -> Result<T, StorageError> {
        let done = self.worker.wait(work);
        done.unwrap_or_else(|| {
            Err(self
                .objects
                .refused(operation, "", "the thread that makes the requests failed"))
        })
    }
}
