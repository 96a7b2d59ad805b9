//! The folder of a lab that goes with its run, and with it the lab's private keys.
//!
//! ```text
//!  claim ── run ──┬─ remove: nothing stays                                  a run with results, or interrupted
//!                 ├─ leave_logs, drop: logs/ stays                          a run that failed, a panic
//!                 └─ killed: run.lock stays, and nobody holds its lock      the next start removes the folder
//! ```

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::folder::LOGS;

/// Locked as long as the run lives.
const MARKER: &str = "run.lock";
const MARKER_TEXT: &str = "This lab goes with the mtc5g process that locks this file. When that was killed, the next mtc5g run or \
                           mtc5g capacity removes the folder.\n";
/// How often a folder is emptied again because a process that was just killed had made another file in it.
const REMOVALS: usize = 16;

/// Why a lab cannot have its folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThrowawayError {
    /// There is something in it that this run has not made and must not remove.
    #[error(
        "{} is not empty ({} exists); remove it or choose another folder",
        folder.display(),
        found.display()
    )]
    Occupied {
        /// The folder.
        folder: PathBuf,
        /// What is in it.
        found: PathBuf,
    },
    /// The disk refuses.
    #[error("cannot make {}", path.display())]
    Make {
        /// What.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The disk refuses.
    #[error("cannot remove {}, which contains the lab's private keys", path.display())]
    Remove {
        /// What.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A lab's folder that does not survive its run. Dropping it leaves the logs and nothing else.
#[derive(Debug)]
pub struct Throwaway {
    path: PathBuf,
    /// Unlocked when it is closed, whatever closes it.
    _lock: File,
    is_gone: bool,
}

impl Throwaway {
    /// Makes the folder. What a killed run or the logs of a failed one have left in it is removed. Blocks on the disk.
    ///
    /// # Errors
    /// There is something else in it, or the disk refuses.
    pub fn claim(path: &Path) -> Result<Self, ThrowawayError> {
        remove_abandoned(path)?;
        let made = |source| ThrowawayError::Make {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(made)?;
        for found in fs::read_dir(path).map_err(made)? {
            let found = found.map_err(made)?;
            if found.file_name() != LOGS {
                return Err(ThrowawayError::Occupied {
                    folder: path.to_owned(),
                    found: found.path(),
                });
            }
        }
        let marker = path.join(MARKER);
        let fresh = path.join(format!("{MARKER}.new"));
        // Locked before it has its name, so that it never looks abandoned.
        let lock = File::create_new(&fresh).and_then(|mut file| {
            file.write_all(MARKER_TEXT.as_bytes())?;
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            fs::rename(&fresh, &marker)?;
            Ok(file)
        });
        let lock = lock.map_err(|source| {
            // A full disk may have taken the name and not the text.
            let _ = fs::remove_file(&fresh);
            ThrowawayError::Make {
                path: marker,
                source,
            }
        })?;
        let logs = path.join(LOGS);
        let removed = remove(&logs).or_else(ignore_missing);
        removed.map_err(|source| ThrowawayError::Remove { path: logs, source })?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
            is_gone: false,
        })
    }

    /// Removes the folder with all that is in it. Blocks on the disk.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn remove(mut self) -> Result<(), ThrowawayError> {
        self.is_gone = true;
        let removed = remove(&self.path).or_else(ignore_missing);
        removed.map_err(|source| ThrowawayError::Remove {
            path: self.path.clone(),
            source,
        })
    }

    /// Removes all but the logs of its processes, and says where those are. Blocks on the disk.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn leave_logs(mut self) -> Result<PathBuf, ThrowawayError> {
        self.is_gone = true;
        self.empty()?;
        Ok(self.path.join(LOGS))
    }

    /// Removes what is not a log; goes on when something cannot be removed, and returns the first error. The marker goes last.
    fn empty(&self) -> Result<(), ThrowawayError> {
        leave_only(&self.path, &[LOGS, MARKER])?;
        match fs::remove_file(self.path.join(MARKER)) {
            Err(source) if self.path.exists() => {
                return Err(ThrowawayError::Remove {
                    path: self.path.join(MARKER),
                    source,
                });
            }
            _ => {}
        }
        // Where nothing was started nothing stays; folders that are not empty refuse to go.
        let _ = fs::remove_dir(self.path.join(LOGS));
        let _ = fs::remove_dir(&self.path);
        Ok(())
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        if !self.is_gone
            && let Err(error) = self.empty()
        {
            tracing::warn!(
                error = %mtc_core::causes::Causes(&error),
                "keys of the lab remain on the disk"
            );
        }
    }
}

/// Removes all of a lab that never came up but the logs of its processes, and says where those are. Blocks on the disk.
///
/// # Errors
/// The disk refuses.
pub fn leave_logs(path: &Path) -> Result<PathBuf, ThrowawayError> {
    leave_only(path, &[LOGS])?;
    Ok(path.join(LOGS))
}

/// Empties a folder but for these names; goes on when something cannot be removed, and returns the first error.
fn leave_only(path: &Path, names: &[&str]) -> Result<(), ThrowawayError> {
    let failed = |source| ThrowawayError::Remove {
        path: path.to_owned(),
        source,
    };
    let listed = match fs::read_dir(path) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let mut result = Ok(());
    for found in listed {
        let removed = found.and_then(|found| {
            if names.iter().any(|name| found.file_name() == *name) {
                Ok(())
            } else {
                remove(&found.path())
            }
        });
        if let Err(error) = removed
            && result.is_ok()
        {
            result = Err(failed(error));
        }
    }
    result
}

/// Removes the lab in `path` if the run that it belonged to was killed; says whether it did. Blocks on the disk.
///
/// # Errors
/// The disk refuses.
pub fn remove_abandoned(path: &Path) -> Result<bool, ThrowawayError> {
    // What cannot be opened is another user's, or not there.
    let Ok(marker) = File::open(path.join(MARKER)) else {
        return Ok(false);
    };
    let is_own = marker
        .metadata()
        .is_ok_and(|meta| meta.uid() == rustix::process::getuid().as_raw());
    if !is_own || flock(&marker, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(false);
    }
    remove(path).map_err(|source| ThrowawayError::Remove {
        path: path.to_owned(),
        source,
    })?;
    Ok(true)
}

/// Removes a file, or a folder with what is in it.
fn remove(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return fs::remove_file(path);
    }
    let mut removed = fs::remove_dir_all(path);
    for _ in 1..REMOVALS {
        match &removed {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                removed = fs::remove_dir_all(path);
            }
            _ => break,
        }
    }
    removed
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let listed = fs::read_dir(folder).expect("a folder");
        let name = |found: io::Result<fs::DirEntry>| {
            found.expect("an entry").file_name().into_string().unwrap()
        };
        let mut names: Vec<_> = listed.map(name).collect();
        names.sort();
        names
    }

    fn lab(folder: &Path) -> (PathBuf, Throwaway) {
        let path = folder.join("lab");
        let claimed = Throwaway::claim(&path).expect("an empty folder");
        fs::create_dir_all(path.join("mtca")).unwrap();
        fs::create_dir_all(path.join(LOGS)).unwrap();
        fs::write(path.join("mtca/cosigner.key"), "secret").unwrap();
        fs::write(path.join(LOGS).join("nrf.log"), "a line\n").unwrap();
        (path, claimed)
    }

    #[test]
    fn keys_go_with_every_end_and_logs_stay_after_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let (path, claimed) = lab(folder.path());
        assert!(path.join(MARKER).exists());
        claimed.remove().unwrap();
        assert!(!path.exists());
        let (_, claimed) = lab(folder.path());
        assert_eq!(claimed.leave_logs().unwrap(), path.join(LOGS));
        assert_eq!(names(&path), [LOGS]);
        // Logs of a run that failed are no reason to refuse the next one.
        let (_, claimed) = lab(folder.path());
        drop(claimed);
        assert_eq!(names(&path), [LOGS]);
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_a_lab_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (path, claimed) = lab(folder.path());
        assert!(!remove_abandoned(&path).unwrap(), "its run lives");
        assert!(path.join("mtca/cosigner.key").exists());
        // As the kernel does it when the process is killed: the lock goes and nothing else.
        flock(&claimed._lock, FlockOperation::Unlock).unwrap();
        assert!(remove_abandoned(&path).unwrap());
        assert!(!path.exists());
        assert!(!remove_abandoned(&path).unwrap(), "once");
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lab");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("trust.toml"), "kept").unwrap();
        let error = Throwaway::claim(&path).expect_err("there is a lab");
        assert!(
            matches!(error, ThrowawayError::Occupied { .. }),
            "{error:?}"
        );
        assert_eq!(names(&path), ["trust.toml"]);
    }
}
