//! Files that are there whole or not at all, and on the disk before anybody is told of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Mode of a file for its owner alone.
pub const SECRET: u32 = 0o600;
/// Mode of a file that everybody may read.
pub const PUBLIC: u32 = 0o644;
/// Mode of a file of which nothing is said: whoever starts the process decides.
const PLAIN: u32 = 0o666;

/// A file is not written. What was there under its name before is there still.
#[derive(Debug, Error)]
#[error("cannot write {}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// Writes a file whole: beside its place first, to the disk, then under its name. What is no file, such as `/dev/stdout` or a pipe, is written
/// as it is. Blocks on the disk.
///
/// # Errors
/// The disk refuses; then nothing of it stays.
pub fn write_whole(path: &Path, contents: &[u8]) -> Result<(), WriteError> {
    write_whole_as(path, PLAIN, contents)
}

/// As [`write_whole`], for a file that is made with `mode`: nobody else can open it at any moment.
///
/// # Errors
/// The disk refuses; then nothing of it stays.
pub fn write_whole_as(path: &Path, mode: u32, contents: &[u8]) -> Result<(), WriteError> {
    let failed = |source| WriteError {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return fs::write(path, contents).map_err(failed);
    }
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    // What an attempt that was broken off has left may have another mode; it is made anew.
    let _ = fs::remove_file(&fresh);
    let written = create_new(&fresh, mode).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        sync(folder_of(path))
    });
    written.map_err(|source| {
        // Half a file would look like a whole one of another tool; if it cannot be removed it was not made.
        let _ = fs::remove_file(&fresh);
        failed(source)
    })
}

/// Makes a file with `mode` that was not there before. Blocks on the disk.
///
/// # Errors
/// There is one, or the disk refuses.
pub fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
}

/// Waits until a file, or the names in a folder, are on the disk. Blocks on it.
///
/// # Errors
/// The disk refuses.
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes everything in a folder, and its own name, to the disk; links are not followed. Says how many files and folders there are.
///
/// # Errors
/// The disk refuses.
pub fn sync_tree(folder: &Path) -> Result<usize, WriteError> {
    let count = sync_below(folder)?;
    let parent = folder_of(folder);
    sync(parent).map_err(|source| WriteError {
        path: parent.to_owned(),
        source,
    })?;
    Ok(count)
}

fn sync_below(folder: &Path) -> Result<usize, WriteError> {
    let failed = |path: &Path, source| WriteError {
        path: path.to_owned(),
        source,
    };
    let mut count = 1;
    for found in fs::read_dir(folder).map_err(|source| failed(folder, source))? {
        let found = found.map_err(|source| failed(folder, source))?;
        let (path, kind) = (found.path(), found.file_type());
        let kind = kind.map_err(|source| failed(&path, source))?;
        if kind.is_dir() {
            count += sync_below(&path)?;
        } else if kind.is_file() {
            sync(&path).map_err(|source| failed(&path, source))?;
            count += 1;
        }
    }
    // Its names last: what they name is there then.
    sync(folder).map_err(|source| failed(folder, source))?;
    Ok(count)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_whole_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        // Where the new one cannot be written the old one stays, and no half of the new one.
        fs::create_dir(folder.path().join("a.new")).unwrap();
        let error = write_whole(&path, b"three").unwrap_err();
        assert!(error.to_string().ends_with("/a"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let full = write_whole(Path::new("/dev/full"), b"x").unwrap_err();
        assert_eq!(full.source.kind(), io::ErrorKind::StorageFull);
        write_whole(Path::new("/dev/null"), b"x").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_secret_is_its_owners_alone_whatever_an_attempt_before_has_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(folder.path().join("key.new"), "half").unwrap();
        write_whole_as(&path, SECRET, b"secret").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"secret");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            SECRET
        );
        assert!(create_new(&path, PUBLIC).is_err());
    }

    #[test]
    fn everything_in_a_folder_is_synced_and_its_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("b/c")).unwrap();
        fs::write(folder.path().join("b/c/d"), "x").unwrap();
        fs::write(folder.path().join("e"), "x").unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("f")).unwrap();
        assert_eq!(sync_tree(folder.path()).unwrap(), 5);
        assert!(sync_tree(&folder.path().join("none")).is_err());
    }
}
