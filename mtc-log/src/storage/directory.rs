//! Objects as files of a local directory.
//!
//! ```text
//! put:      tmp/<name>  --write, fsync-->  rename to <root>/<path>    --fsync directory-->  durable
//! put_all:  tmp/<name>  --write, ...   syncfs    rename to <root>/<path>, ...        syncfs  -->  durable
//! ```
//!
//! Two `syncfs` instead of an `fsync` for each file and directory: a batch of a thousand entries has a dozen of them.
//! `syncfs` reports write errors since Linux 5.8.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use mtc_core::id::TreeSize;
use mtc_core::tile::{TILE_WIDTH, TilePath};

use super::{Object, Storage, StorageError, superseded};
use crate::lock_file;

/// The directories whose own entry is known to be durable. A batch writes into a few directories per tile level (six levels
/// at the most) and a handful beside; forgetting one costs an `fsync`.
const KNOWN_DIRECTORIES: usize = 64;

/// So few objects are made durable one by one: `syncfs` waits for what other processes have written too, and a batch that
/// stays within a tile, two objects, should not.
const FEW: usize = 4;

const LOCK_FILE: &str = "lock";
const TEMPORARY_DIRECTORY: &str = "tmp";

/// A [`Storage`] in a directory, held under an exclusive lock until dropped.
#[derive(Debug)]
pub struct DirectoryStorage {
    root: PathBuf,
    /// Most recently used last.
    known: Mutex<VecDeque<PathBuf>>,
    /// Holds the advisory lock; the kernel gives it up with the process. Open since before the first write, so that
    /// `syncfs` on it reports the errors of all.
    lock: File,
}

impl DirectoryStorage {
    /// Opens an existing directory for writing.
    ///
    /// # Errors
    /// There is no such directory, it cannot be written, or another writer has it open.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StorageError> {
        let root = root.into();
        let lock = lock(&root.join(LOCK_FILE))?;
        let storage = Self {
            root,
            known: Mutex::default(),
            lock,
        };
        storage.clear_temporary()?;
        Ok(storage)
    }

    /// Opens a directory after making it and its parents if they are missing.
    ///
    /// # Errors
    /// As [`DirectoryStorage::open`], or the directory cannot be made.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, StorageError> {
        let root = root.into();
        fs::create_dir_all(&root).map_err(failed("create", &root))?;
        if let Some(parent) = root
            .canonicalize()
            .map_err(failed("resolve", &root))?
            .parent()
        {
            sync_directory(parent)?;
        }
        Self::open(root)
    }

    /// The directory whose files are what the log serves, by their paths below the log's prefix.
    pub fn served_directory(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Unfinished writes of a process that died: of no use, and never read.
    fn clear_temporary(&self) -> Result<(), StorageError> {
        let directory = self.root.join(TEMPORARY_DIRECTORY);
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("clear", &directory)(error))
            }
            _ => fs::create_dir(&directory).map_err(failed("create", &directory)),
        }
    }

    /// Makes a directory below the root whose name survives a crash. That it exists does not suffice: it may have been made
    /// by a process that died before the `fsync`.
    fn ensure_directory(&self, directory: &Path) -> Result<(), StorageError> {
        if directory == self.root || self.is_known(directory) {
            return Ok(());
        }
        let parent = directory.parent().expect("objects lie below the root");
        self.ensure_directory(parent)?;
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed("create", directory)(error));
            }
            _ => sync_directory(parent)?,
        }
        self.remember(directory);
        Ok(())
    }

    /// Makes everything durable that has been written or renamed.
    fn sync_all(&self) -> Result<(), StorageError> {
        rustix::fs::syncfs(&self.lock).map_err(|errno| failed("sync", &self.root)(errno.into()))
    }

    fn is_known(&self, directory: &Path) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().any(|other| other == directory)
    }

    fn forget(&self, directory: &Path) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|other| other != directory);
    }

    fn remember(&self, directory: &Path) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == KNOWN_DIRECTORIES {
            known.pop_front();
        }
        known.push_back(directory.to_owned());
    }
}

impl Storage for DirectoryStorage {
    fn put(&self, object: &Object, bytes: &[u8]) -> Result<(), StorageError> {
        let file = ObjectFile::new(&self.root, object);
        self.ensure_directory(file.directory())?;
        let written = file.write_temporary(bytes)?;
        written
            .sync_all()
            .map_err(failed("sync", &file.temporary))?;
        file.rename()?;
        sync_directory(file.directory())
    }

    fn put_all(&self, objects: &[(Object, Vec<u8>)]) -> Result<(), StorageError> {
        if objects.len() <= FEW {
            return objects
                .iter()
                .try_for_each(|(object, bytes)| self.put(object, bytes));
        }
        let files: Vec<_> = objects
            .iter()
            .map(|(object, _)| ObjectFile::new(&self.root, object))
            .collect();
        for (file, (_, bytes)) in files.iter().zip(objects) {
            self.ensure_directory(file.directory())?;
            file.write_temporary(bytes)?;
        }
        self.sync_all()?;
        files.iter().try_for_each(ObjectFile::rename)?;
        self.sync_all()
    }

    fn get(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
        read_object(&self.root, object)
    }

    fn is_empty(&self) -> Result<bool, StorageError> {
        for directory in ["log", "state", "witness"] {
            if has_file(&self.root.join(directory))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn remove_superseded(
        &self,
        trees: &[TreeSize],
        before: SystemTime,
    ) -> Result<u64, StorageError> {
        let mut removed = 0;
        let served = self.served_directory();
        let mut folders = vec![served.join("tile")];
        while let Some(folder) = folders.pop() {
            for entry in entries(&folder)? {
                let path = entry.path();
                let kind = entry.file_type().map_err(failed("inspect", &path))?;
                if !kind.is_dir() {
                    continue;
                }
                if path.extension() != Some(OsStr::new("p")) {
                    folders.push(path);
                    continue;
                }
                let full = path.with_extension("");
                let Some(tile) = tile_at(&served, &full) else {
                    continue;
                };
                let mut stored = partial_in(&path)?;
                let count = stored.len();
                if let Some(written) = last_written(&full)? {
                    stored.push((TILE_WIDTH, written));
                }
                let superseded = superseded(tile, &stored, trees, before);
                for width in &superseded {
                    let file = path.join(width.to_string());
                    fs::remove_file(&file).map_err(failed("remove", &file))?;
                    removed += 1;
                }
                // A folder that something may be written into stays.
                if count > 0 && superseded.len() == count {
                    fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
                    self.forget(&path);
                }
            }
        }
        Ok(removed)
    }
}

/// The bytes of an object below the root of a storage in a directory, or `None` if there is no such object. Takes no lock:
/// it is there for readers that must not, or cannot, hold the storage open.
///
/// # Errors
/// The file cannot be read; whether the object exists is unknown.
pub fn read_object(root: &Path, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
    let path = root.join(object.to_string());
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", &path)(error)),
    }
}

fn lock(path: &Path) -> Result<File, StorageError> {
    let locked = lock_file::take(path).map_err(failed("lock", path))?;
    locked.ok_or_else(|| StorageError::Locked {
        path: path.to_owned(),
    })
}

/// Where an object is, and where it is while it is written.
struct ObjectFile {
    path: PathBuf,
    temporary: PathBuf,
}

impl ObjectFile {
    fn new(root: &Path, object: &Object) -> Self {
        let name = object.to_string();
        Self {
            path: root.join(&name),
            temporary: root.join(TEMPORARY_DIRECTORY).join(name.replace('/', "-")),
        }
    }

    fn directory(&self) -> &Path {
        self.path.parent().expect("objects lie in directories")
    }

    fn write_temporary(&self, bytes: &[u8]) -> Result<File, StorageError> {
        let path = &self.temporary;
        let mut file = File::create(path).map_err(failed("create", path))?;
        file.write_all(bytes).map_err(failed("write", path))?;
        Ok(file)
    }

    fn rename(&self) -> Result<(), StorageError> {
        fs::rename(&self.temporary, &self.path).map_err(failed("rename to", &self.path))
    }
}

/// The widths of the partial tiles in a folder, and when they were written.
fn partial_in(folder: &Path) -> Result<Vec<(u64, SystemTime)>, StorageError> {
    let mut found = Vec::new();
    for entry in entries(folder)? {
        let name = entry.file_name();
        let width = name.to_str().and_then(|name| name.parse().ok());
        if let (Some(width), Some(written)) = (width, last_written(&entry.path())?) {
            found.push((width, written));
        }
    }
    Ok(found)
}

/// The tile or bundle whose full one has this path.
fn tile_at(served: &Path, full: &Path) -> Option<TilePath> {
    let path = full.strip_prefix(served).ok().and_then(Path::to_str);
    match path.and_then(Object::served_at) {
        Some(Object::Tile(tile)) => Some(tile),
        _ => None,
    }
}

/// When a file was last written; `None` if there is no such file.
fn last_written(file: &Path) -> Result<Option<SystemTime>, StorageError> {
    match fs::metadata(file).and_then(|metadata| metadata.modified()) {
        Ok(written) => Ok(Some(written)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("inspect", file)(error)),
    }
}

/// What is in a directory; nothing, if there is none.
fn entries(directory: &Path) -> Result<Vec<fs::DirEntry>, StorageError> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries
            .and_then(Iterator::collect)
            .map_err(failed("list", directory)),
    }
}

fn sync_directory(path: &Path) -> Result<(), StorageError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("sync", path))
}

/// Whether a regular file lies anywhere below; stops at the first.
fn has_file(directory: &Path) -> Result<bool, StorageError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries.map_err(failed("list", directory))?,
    };
    for entry in entries {
        let entry = entry.map_err(failed("list", directory))?;
        let kind = entry.file_type().map_err(failed("inspect", directory))?;
        if !kind.is_dir() || has_file(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StorageError {
    let path = path.to_owned();
    move |source| StorageError::Io {
        operation,
        path,
        source,
    }
}
