//! The NRF's private files: issued certificates until they expire, and registered profiles.
//!
//! Each file is replaced as a whole, so a crash leaves it old or new. Certificates are synced, since an acknowledged one
//! must be found again; profiles are not, since an NF that finds itself unknown registers again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sbi::durable::Folder;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}; does this user have permission?", path.display())]
pub struct FileError {
    /// What was attempted.
    pub doing: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// A private folder of small files.
#[derive(Clone, Debug)]
pub struct PrivateFolder(Arc<Folder>);

impl PrivateFolder {
    /// Opens the folder, which is made (mode 0700) if it does not exist. Blocks on the disk.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(path: PathBuf) -> Result<Self, FileError> {
        let opened = Folder::open(path.clone());
        let folder = opened.map_err(|source| FileError {
            doing: "create",
            path,
            source,
        })?;
        Ok(Self(Arc::new(folder)))
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file; it survives a crash when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails; what was there stays.
    pub fn write_durably(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        let replaced = self.0.replace(name, bytes);
        replaced.map_err(|source| self.failed("write", name, source))
    }

    /// Writes a file that may be lost in a crash. Blocks on the disk's cache.
    ///
    /// # Errors
    /// The disk fails; what was there stays.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        let replaced = self.0.replace_in_cache(name, bytes);
        replaced.map_err(|source| self.failed("write", name, source))
    }

    /// Reads a file; none if it does not exist. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FileError> {
        match fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.failed("read", name, source)),
        }
    }

    /// Reads a file of at most `octets`; none if it does not exist or has more. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn read_at_most(&self, name: &str, octets: u64) -> Result<Option<Vec<u8>>, FileError> {
        let read = || -> io::Result<Option<Vec<u8>>> {
            let mut bytes = Vec::new();
            // One more than allowed tells a file that fits from one that is cut.
            let limit = octets.saturating_add(1);
            let read = File::open(self.path(name))?
                .take(limit)
                .read_to_end(&mut bytes)?;
            Ok((read as u64 <= octets).then_some(bytes))
        };
        match read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map_err(|source| self.failed("read", name, source)),
        }
    }

    /// Removes a file, which need not exist. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn remove(&self, name: &str) -> Result<(), FileError> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("remove", name, error))
            }
            _ => Ok(()),
        }
    }

    /// The names of files that end in `suffix`, in order. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn names(&self, suffix: &str) -> Result<Vec<String>, FileError> {
        let failed = |source| FileError {
            doing: "list",
            path: self.0.path().to_owned(),
            source,
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(self.0.path()).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            names.extend(
                name.to_str()
                    .filter(|name| name.ends_with(suffix))
                    .map(str::to_owned),
            );
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The files whose names end in `suffix`. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn list(&self, suffix: &str) -> Result<Vec<(String, Vec<u8>)>, FileError> {
        let mut files = Vec::new();
        for name in self.names(suffix)? {
            files.extend(self.read(&name)?.map(|bytes| (name, bytes)));
        }
        Ok(files)
    }

    fn failed(&self, doing: &'static str, name: &str, source: io::Error) -> FileError {
        FileError {
            doing,
            path: self.path(name),
            source,
        }
    }
}

/// Reads a text file that the configuration names. Blocks on the disk.
///
/// # Errors
/// It cannot be read.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(|source| FileError {
        doing: "read",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_again_and_removed_twice_without_harm() {
        let folder = tempfile::tempdir().unwrap();
        let files = PrivateFolder::open(folder.path().join("a/b")).unwrap();
        assert_eq!(files.read("x.json").unwrap(), None);
        files.write_durably("x.json", b"1").unwrap();
        files.write("x.json", b"2").unwrap();
        assert_eq!(
            files.list(".json").unwrap(),
            [("x.json".to_owned(), b"2".to_vec())]
        );
        files.remove("x.json").unwrap();
        files.remove("x.json").unwrap();
        assert!(files.list(".json").unwrap().is_empty());
    }
}
