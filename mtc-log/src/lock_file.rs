//! One process at a time: a file that is locked as long as it is open, whatever becomes of the process.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Locks the file at `path`, which is made if it is not there, for its owner alone; none if another process or another opening has it.
/// Closing the file gives the lock back. Blocks on the disk, never on the lock.
///
/// # Errors
/// The file cannot be opened or locked.
pub fn take(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}
