//! Files below a folder, each once, whatever links, devices and unreadable folders there are.

use std::collections::HashSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use mtc_core::causes::Causes;
use rustix::fs::OFlags;
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest file that is read. A bundle of all web root certificates has a quarter of a megabyte, a dump of ten thousand secrets some tens.
pub(crate) const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Entries of folders in one walk: a server has some hundred thousand files.
const MAX_ENTRIES: usize = 2_000_000;
/// Octets of a file by which it is told whether the rest is worth reading.
const HEAD: usize = 4096;
/// What begins the forms that are not text: DER, JKS, JCEKS.
const STORES: [&[u8]; 3] = [&[0x30], &[0xfe, 0xed, 0xfe, 0xed], &[0xce; 4]];
/// Of `/proc` and `/sys`: what is in them are no files, and reading some of them does something.
const PSEUDO_FILE_SYSTEMS: [i64; 2] = [0x9fa0, 0x6265_6572];

/// Why a file is not read.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    #[error("cannot be read")]
    Io(#[from] io::Error),
    #[error("longer than {} MiB", MAX_FILE / 1024 / 1024)]
    TooLong,
    #[error("is not a file")]
    NoFile,
    #[error("is binary, and of no form that is read here")]
    Other,
}

/// A file's bytes, wiped when they are dropped, and what the system says of it.
pub(crate) struct Content {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) metadata: Metadata,
}

/// Reads a regular file. Never waits: whoever opens a pipe as a file would.
pub(crate) fn read(path: &Path) -> Result<Content, ReadError> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(ReadError::NoFile);
    }
    let mut head = Vec::with_capacity(HEAD);
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let head = Zeroizing::new(head);
    if head.contains(&0) && !STORES.iter().any(|start| head.starts_with(start)) {
        return Err(ReadError::Other);
    }
    if metadata.len() > MAX_FILE {
        return Err(ReadError::TooLong);
    }
    let bytes = read_bounded(head.chain(file), metadata.len())?;
    Ok(Content { bytes, metadata })
}

/// Reads to the end, if that is not too far.
pub(crate) fn read_bounded(
    source: impl io::Read,
    expected: u64,
) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    // With room for all of it, so that growing leaves no copy of a key behind.
    let room = usize::try_from(expected.min(MAX_FILE)).unwrap_or_default() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    source.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ReadError::TooLong);
    }
    Ok(bytes)
}

/// What a walk comes across.
pub(crate) enum Step {
    /// Something that may be a file: it is, or links to one.
    File(PathBuf),
    /// What cannot be walked, and why.
    Problem(PathBuf, String),
    /// A pipe, a socket, a device.
    Other,
}

/// Walks a folder and all below it, in the order of names. Folders that links lead to are walked too, but none twice.
pub(crate) fn walk(root: &Path, seen: &mut HashSet<(u64, u64)>, mut step: impl FnMut(Step)) {
    let mut folders = vec![root.to_owned()];
    let mut entries = 0;
    while let Some(folder) = folders.pop() {
        let listed = match list(&folder, seen) {
            Ok(listed) => listed,
            Err(error) => {
                step(Step::Problem(
                    folder,
                    format!("cannot be read: {}", Causes(&error)),
                ));
                continue;
            }
        };
        let mut below = Vec::new();
        for path in listed {
            entries += 1;
            if entries > MAX_ENTRIES {
                let reason = format!("has more than {MAX_ENTRIES} entries; the rest is not read");
                return step(Step::Problem(root.to_owned(), reason));
            }
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => below.push(path),
                Ok(metadata) if metadata.is_file() => step(Step::File(path)),
                Ok(_) => step(Step::Other),
                // A link to nothing, or to itself.
                Err(error) => step(Step::Problem(path, format!("cannot be read: {error}"))),
            }
        }
        folders.extend(below.into_iter().rev());
    }
}

/// The entries of a folder, sorted; none if it has been walked, or is none of files.
fn list(folder: &Path, seen: &mut HashSet<(u64, u64)>) -> io::Result<Vec<PathBuf>> {
    let opened = File::open(folder)?;
    let metadata = opened.metadata()?;
    let kind = rustix::fs::fstatfs(&opened)?.f_type;
    if PSEUDO_FILE_SYSTEMS.contains(&kind) || !seen.insert((metadata.dev(), metadata.ino())) {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in folder.read_dir()? {
        paths.push(entry?.path());
        if paths.len() > MAX_ENTRIES {
            break;
        }
    }
    paths.sort_unstable();
    Ok(paths)
}
