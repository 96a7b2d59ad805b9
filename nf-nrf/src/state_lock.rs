//! One NRF at a time on a state folder: registered profiles, subscriptions and the record of used tokens have one writer.
//!
//! The log has a lock of its own, and so have the NRF's own keys, by instance. Neither is held by a second NRF that was given another
//! log and another id, and the same state folder.

use std::fs::File;
use std::path::PathBuf;

use mtc_log::lock_file;

use crate::files::{FileError, PrivateFolder};

/// The file that is locked.
const NAME: &str = "lock";

/// Why the folder cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateLockError {
    /// Another process has it.
    #[error(
        "{} is locked: another NRF runs on this state folder; stop it, or give this one a state folder of its own",
        .0.display()
    )]
    Locked(PathBuf),
    /// The disk fails.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A state folder that this process alone uses, as long as this lives.
#[derive(Debug)]
pub struct StateLock(#[expect(dead_code, reason = "closing it gives the lock back")] File);

impl StateLock {
    /// Takes `state`. Blocks on the disk.
    ///
    /// # Errors
    /// [`StateLockError`].
    pub fn take(state: &PrivateFolder) -> Result<Self, StateLockError> {
        let path = state.path(NAME);
        match lock_file::take(&path) {
            Ok(Some(file)) => Ok(Self(file)),
            Ok(None) => Err(StateLockError::Locked(path)),
            Err(source) => Err(StateLockError::File(FileError {
                doing: "lock",
                path,
                source,
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_folder_has_one_holder_at_a_time() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = PrivateFolder::open(folder.path().to_owned()).expect("a folder");
        let first = StateLock::take(&state).expect("nobody has it");
        let second = StateLock::take(&state).expect_err("the first has it");
        assert!(matches!(second, StateLockError::Locked(_)), "{second}");
        drop(first);
        StateLock::take(&state).expect("nobody has it any more");
    }
}
