//! A storage in memory that fails when told to.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use mtc_log::{Object, Storage, StorageError};
use test_support::storage_contract::Fault;

/// What a write has done.
enum Outcome {
    Stored,
    Failed(Fault),
    /// Stored with one bit flipped, and reported as a success: what no [`Storage`] allows and hardware does.
    Flipped,
}

/// The bytes outlive every log opened on them, as a disk's do.
#[derive(Default)]
pub(crate) struct MemoryStorage(Mutex<State>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    puts: usize,
    gets: usize,
    /// Which write from now goes wrong, and how.
    fault: Option<(usize, Outcome)>,
}

impl MemoryStorage {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .expect("no test panics while it holds the lock")
    }

    /// Lets the write fail that comes after `successes` more.
    pub(crate) fn fail_after(&self, successes: usize, fault: Fault) {
        self.state().fault = Some((successes, Outcome::Failed(fault)));
    }

    /// Flips a bit in the write that comes after `successes` more, silently.
    pub(crate) fn flip_after(&self, successes: usize) {
        self.state().fault = Some((successes, Outcome::Flipped));
    }

    /// Takes back a fault that has not happened; whether there was one.
    pub(crate) fn disarm(&self) -> bool {
        self.state().fault.take().is_some()
    }

    /// Writes and reads so far.
    pub(crate) fn operations(&self) -> (usize, usize) {
        let state = self.state();
        (state.puts, state.gets)
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    pub(crate) fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        self.state().objects.get(path).cloned()
    }

    /// Changes an object behind everybody's back.
    pub(crate) fn replace(&self, path: &str, bytes: Option<Vec<u8>>) {
        let objects = &mut self.state().objects;
        match bytes {
            Some(bytes) => objects.insert(path.to_owned(), bytes),
            None => objects.remove(path),
        };
    }
}

impl Storage for MemoryStorage {
    fn put(&self, object: &Object, bytes: &[u8]) -> Result<(), StorageError> {
        let mut state = self.state();
        state.puts += 1;
        let path = object.to_string();
        let (outcome, left) = match state.fault.take() {
            Some((0, outcome)) => (outcome, None),
            Some((successes, outcome)) => (Outcome::Stored, Some((successes - 1, outcome))),
            None => (Outcome::Stored, None),
        };
        state.fault = left;
        let mut bytes = bytes.to_vec();
        if let (Outcome::Flipped, Some(last)) = (&outcome, bytes.last_mut()) {
            *last ^= 1;
        }
        if !matches!(outcome, Outcome::Failed(Fault::BeforeRename)) {
            state.objects.insert(path.clone(), bytes);
        }
        let failed = |operation, source| StorageError::Io {
            operation,
            path: PathBuf::from(path),
            source,
        };
        match outcome {
            Outcome::Stored | Outcome::Flipped => Ok(()),
            Outcome::Failed(Fault::BeforeRename) => {
                Err(failed("write", io::ErrorKind::StorageFull.into()))
            }
            Outcome::Failed(Fault::AfterRename) => {
                Err(failed("sync", io::Error::other("input/output error")))
            }
        }
    }

    fn get(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
        let mut state = self.state();
        state.gets += 1;
        Ok(state.objects.get(&object.to_string()).cloned())
    }

    fn is_empty(&self) -> Result<bool, StorageError> {
        Ok(self.state().objects.is_empty())
    }
}
