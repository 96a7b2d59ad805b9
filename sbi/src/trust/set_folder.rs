//! The folder in which a node's trusted sets are: one process writes it, all others read it.
//!
//! ```text
//!  set-1800000000, set-1800000050   sets by number, each written whole and never changed
//!  current ─> set-1800000050        a link, replaced whole: what is to be used now; a copy will do (as in a ConfigMap)
//!  checked                          when the logs were last asked with success, Unix time
//!  lock                             held by whoever is about to change any of these
//! ```

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mtc_tls::cpu::thread_time;
use rustix::fs::{FlockOperation, OFlags, flock};
use tokio::task::spawn_blocking;

use super::set::{MAX_SET, SetError, TrustedSet};
use crate::durable::Folder;

const CURRENT: &str = "current";
const CHECKED: &str = "checked";
const LOCK: &str = "lock";
const PREFIX: &str = "set-";
/// Octets of `checked`: 20 digits and a newline.
const MAX_CHECKED: u64 = 21;

/// Why there is no set, or none can be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetFolderError {
    /// The file is not there or cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is a pipe, a folder or a device.
    #[error("{} is not a regular file", path.display())]
    NoFile {
        /// What should be a file.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no set.
    #[error("{} is no trusted set", path.display())]
    Set {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SetError,
    },
}

impl SetFolderError {
    /// Whether there simply is no such file.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// What it has cost to learn what is trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Octets that were fetched or read, without those of HTTP.
    pub octets: u64,
    /// CPU time, without that of the connections.
    pub cpu: Duration,
}

impl Cost {
    /// What was added to an earlier state of the same sums.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            octets: self.octets.saturating_sub(earlier.octets),
            cpu: self.cpu.saturating_sub(earlier.cpu),
        }
    }
}

/// What tells a file from the one that was there before.
type Identity = (u64, u64, u64, i64, i64);

/// Reads what another process writes.
#[derive(Debug)]
pub(super) struct SetReader {
    folder: Arc<Path>,
    seen: Option<Identity>,
    checked: Option<u64>,
    cost: Cost,
}

impl SetReader {
    /// A reader of the sets in a folder, which need not be there yet.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.into(),
            seen: None,
            checked: None,
            cost: Cost::default(),
        }
    }

    /// The current set, unless it is the one that this returned last.
    ///
    /// # Errors
    /// There is none, or it is damaged; it is read again next time.
    pub(super) async fn read_new(&mut self) -> Result<Option<TrustedSet>, SetFolderError> {
        let (folder, seen) = (self.folder.clone(), self.seen.take());
        let reading = spawn_blocking(move || {
            let began = thread_time();
            let read = (checked(&folder), read_unless(&folder, seen));
            (read, thread_time().saturating_sub(began))
        });
        // Reading does not panic; it is aborted when the runtime is going down.
        let aborted = ((None, Ok(None)), Duration::ZERO);
        let ((checked, read), cpu) = reading.await.unwrap_or(aborted);
        self.checked = checked;
        self.cost.cpu += cpu;
        let Some((identity, set)) = read? else {
            self.seen = seen;
            return Ok(None);
        };
        self.seen = Some(identity);
        self.cost.octets += identity.2;
        Ok(Some(set))
    }

    /// What reading has cost so far.
    pub(super) const fn cost(&self) -> Cost {
        self.cost
    }

    /// Has the current set read again next time, though it is the same.
    pub(super) const fn forget(&mut self) {
        self.seen = None;
    }

    /// When the logs had last been asked with success as of the last look, Unix time; none if nobody said.
    pub(super) const fn checked(&self) -> Option<u64> {
        self.checked
    }
}

/// The current set of a folder and what tells its file from others, unless that is `seen`.
fn read_unless(
    folder: &Path,
    seen: Option<Identity>,
) -> Result<Option<(Identity, TrustedSet)>, SetFolderError> {
    let path = folder.join(CURRENT);
    let (file, metadata) = open(&path)?;
    let identity = (
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    );
    if seen == Some(identity) {
        return Ok(None);
    }
    Ok(Some((identity, read_set(file, &path)?)))
}

/// When the logs of a folder's sets were last asked with success, Unix time; none if nobody says. Blocks on the disk.
pub fn checked(folder: &Path) -> Option<u64> {
    let mut text = String::new();
    let (file, _) = open(&folder.join(CHECKED)).ok()?;
    file.take(MAX_CHECKED).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

/// Opens a file of a folder in which somebody else may have put anything. Never waits: whoever opens a pipe as a file would, for ever.
fn open(path: &Path) -> Result<(File, Metadata), SetFolderError> {
    let failed = |source| SetFolderError::Read {
        path: path.to_owned(),
        source,
    };
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        let path = path.to_owned();
        return Err(SetFolderError::NoFile { path });
    }
    Ok((file, metadata))
}

fn read_set(file: File, path: &Path) -> Result<TrustedSet, SetFolderError> {
    let mut octets = Vec::new();
    // One more than a set may have, so that what is longer is told from what is not.
    let read = file.take(MAX_SET as u64 + 1).read_to_end(&mut octets);
    read.map_err(|source| SetFolderError::Read {
        path: path.to_owned(),
        source,
    })?;
    TrustedSet::parse(&octets).map_err(|source| SetFolderError::Set {
        path: path.to_owned(),
        source,
    })
}

/// The folder for one who changes it, and who keeps others from that until it is dropped.
#[derive(Debug)]
pub struct LockedSets {
    folder: Folder,
    _lock: File,
}

impl LockedSets {
    /// Opens the folder, which is made if it does not exist and which all may read, and waits until nobody else changes it. Blocks.
    ///
    /// # Errors
    /// It cannot be made or opened.
    pub fn lock(path: &Path) -> Result<Self, SetFolderError> {
        let failed = |source| SetFolderError::Write {
            path: path.to_owned(),
            source,
        };
        let folder = Folder::open_public(path.to_owned()).map_err(failed)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// The current set.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn current(&self) -> Result<TrustedSet, SetFolderError> {
        self.read(CURRENT)
    }

    /// The set with a number.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn set(&self, number: u64) -> Result<TrustedSet, SetFolderError> {
        self.read(&name(number))
    }

    fn read(&self, name: &str) -> Result<TrustedSet, SetFolderError> {
        let path = self.folder.path().join(name);
        let (file, _) = open(&path)?;
        read_set(file, &path)
    }

    /// The numbers of the sets that are kept, ascending.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn numbers(&self) -> Result<Vec<u64>, SetFolderError> {
        let path = self.folder.path();
        let entries = fs::read_dir(path).map_err(|source| SetFolderError::Read {
            path: path.to_owned(),
            source,
        })?;
        let number = |entry: io::Result<fs::DirEntry>| {
            let name = entry.ok()?.file_name();
            name.to_str()?.strip_prefix(PREFIX)?.parse().ok()
        };
        let mut numbers: Vec<u64> = entries.filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes a set the current one; readers see the one before or this one, whole. It survives a crash when this returns.
    ///
    /// # Errors
    /// The disk fails; the one before stays current.
    pub fn publish(&self, set: &TrustedSet) -> Result<(), SetFolderError> {
        let name = name(set.number);
        let path = self.folder.path();
        let written = self.folder.replace(&name, &set.encode());
        let linked = written.and_then(|()| {
            let link = path.join(format!("{CURRENT}.tmp"));
            match fs::remove_file(&link) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => symlink(&name, &link)?,
            }
            fs::rename(&link, path.join(CURRENT))?;
            File::open(path)?.sync_all()
        });
        linked.map_err(|source| SetFolderError::Write {
            path: path.join(name),
            source,
        })
    }

    /// Forgets a set, if it is there. Whoever is reading it goes on.
    ///
    /// # Errors
    /// The disk fails.
    pub fn remove(&self, number: u64) -> Result<(), SetFolderError> {
        let path = self.folder.path().join(name(number));
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(SetFolderError::Write { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Says that the logs were asked with success just now.
    ///
    /// # Errors
    /// The disk fails.
    pub fn tell_checked(&self, now: u64) -> Result<(), SetFolderError> {
        let written = self
            .folder
            .replace_in_cache(CHECKED, format!("{now}\n").as_bytes());
        written.map_err(|source| SetFolderError::Write {
            path: self.folder.path().join(CHECKED),
            source,
        })
    }
}

fn name(number: u64) -> String {
    format!("{PREFIX}{number}")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    /// Far longer than reading takes, so that whoever waits for a writer is told from whoever reads slowly.
    const DEADLINE: Duration = Duration::from_secs(10);

    #[test]
    fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [CURRENT, CHECKED, "set-1"] {
            let path = folder.path().join(name);
            mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
        }
        let (tell, told) = mpsc::channel();
        let path = folder.path().to_owned();
        // Whoever waits for a writer of the pipe does so for ever.
        thread::spawn(move || {
            let checked = checked(&path);
            let current = read_unless(&path, None).map(drop);
            let kept = LockedSets::lock(&path).and_then(|sets| sets.set(1).map(drop));
            let _ = tell.send((checked, current, kept));
        });
        let (checked, current, kept) = told.recv_timeout(DEADLINE).expect("nobody waits");
        assert_eq!(checked, None);
        for refused in [current, kept] {
            let refused = refused.expect_err("it is no file");
            assert!(
                matches!(refused, SetFolderError::NoFile { .. }),
                "{refused}"
            );
        }
    }
}
