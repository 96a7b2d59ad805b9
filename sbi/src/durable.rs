//! Files, most of them private, that are replaced as a whole: whenever the machine stops, a file is complete, or as it was before.
//!
//! ```text
//!   <name>.tmp: write ──> sync its octets ──> rename to <name> ──> sync the folder ──> durable
//!                           `── those who come while others sync do it together ──'
//! ```
//!
//! A disk takes as long for one sync as for hundreds of small files: when many instances enrol at once, what each of them keeps is made durable
//! in rounds.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod rounds;

pub use rounds::Rounds;

/// So many files are synced one by one. More are by `syncfs`, which waits for what other processes have written too, and reports write
/// errors since Linux 5.8.
const FEW: usize = 4;

/// A folder of files that are replaced as a whole.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Mode of its files.
    mode: u32,
    /// Open since before the first write, so that `syncfs` on it reports the errors of all.
    file: File,
    contents: Rounds<File, io::Error>,
    names: Rounds<(), io::Error>,
}

impl Folder {
    /// Opens the folder, which is made (mode 0700, its files 0600) if it does not exist. Blocks on the disk.
    ///
    /// # Errors
    /// The folder cannot be made or opened.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        Self::open_with(path, 0o700, 0o600)
    }

    /// As [`Self::open`], but others may read folder (mode 0755) and files (0644): nothing in it is secret.
    ///
    /// # Errors
    /// The folder cannot be made or opened.
    pub fn open_public(path: PathBuf) -> io::Result<Self> {
        Self::open_with(path, 0o755, 0o644)
    }

    fn open_with(path: PathBuf, folder: u32, mode: u32) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(folder)
            .create(&path)?;
        Ok(Self {
            file: File::open(&path)?,
            path,
            mode,
            contents: Rounds::default(),
            names: Rounds::default(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file, which survives a crash when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails, perhaps for another file that was to be made durable at the same time; what was there stays, or is replaced.
    pub fn replace(&self, name: &str, octets: &[u8]) -> io::Result<()> {
        let (written, temporary) = self.write(name, octets)?;
        let sync_all = |files: &[File]| {
            if files.len() <= FEW {
                return files.iter().try_for_each(File::sync_all);
            }
            Ok(rustix::fs::syncfs(&self.file)?)
        };
        self.contents.join(written, sync_all).map_err(own)?;
        fs::rename(temporary, self.path.join(name))?;
        let synced = self.names.join((), |_| self.file.sync_all());
        synced.map_err(own)
    }

    /// Writes a file that may be lost in a crash. Blocks on the disk's cache.
    ///
    /// # Errors
    /// The disk fails; what was there stays.
    pub fn replace_in_cache(&self, name: &str, octets: &[u8]) -> io::Result<()> {
        let (_, temporary) = self.write(name, octets)?;
        fs::rename(temporary, self.path.join(name))
    }

    fn write(&self, name: &str, octets: &[u8]) -> io::Result<(File, PathBuf)> {
        let temporary = self.path.join(format!("{name}.tmp"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(self.mode)
            .open(&temporary)?;
        file.write_all(octets)?;
        Ok((file, temporary))
    }
}

/// What failed for several, as it is told to one of them.
fn own(error: Arc<io::Error>) -> io::Error {
    io::Error::new(error.kind(), error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::thread;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_private_in_a_private_folder() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(parent.path().join("a/b")).unwrap();
        folder.replace("x", b"longer").unwrap();
        folder.replace("x", b"1").unwrap();
        folder.replace_in_cache("y", b"2").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.path()), 0o700);
        for (name, octets) in [("x", b"1"), ("y", b"2")] {
            assert_eq!(fs::read(folder.path().join(name)).unwrap(), octets);
            assert_eq!(mode(&folder.path().join(name)), 0o600);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_public_is_for_all_to_read_and_for_nobody_else_to_write() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open_public(parent.path().join("a")).unwrap();
        folder.replace("x", b"1").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.path()), 0o755);
        assert_eq!(mode(&folder.path().join("x")), 0o644);
    }

    #[test]
    fn all_files_that_are_written_at_once_are_there() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(parent.path().to_owned()).unwrap();
        thread::scope(|scope| {
            for number in 0..40 {
                let folder = &folder;
                scope.spawn(move || {
                    let text = format!("{number}");
                    folder.replace(&text, text.as_bytes()).unwrap();
                    assert_eq!(
                        fs::read(folder.path().join(&text)).unwrap(),
                        text.as_bytes()
                    );
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 40);
    }

    #[test]
    fn what_cannot_be_written_leaves_what_was_there() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(parent.path().to_owned()).unwrap();
        folder.replace("x", b"1").unwrap();
        fs::create_dir(parent.path().join("x.tmp")).unwrap();
        assert!(folder.replace("x", b"2").is_err());
        assert_eq!(fs::read(parent.path().join("x")).unwrap(), b"1");
    }
}
