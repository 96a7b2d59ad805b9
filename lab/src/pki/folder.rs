//! Folders in which secrets are the owner's alone from the first moment on.

use std::fs::DirBuilder;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use experiment::files::{PUBLIC, SECRET, create_new};

use super::error::PkiError;

/// A folder in which files and folders are made that were not there before.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(super) fn private_folder(&self, name: &str) -> Result<Self, PkiError> {
        self.folder(name, 0o700)
    }

    pub(super) fn public_folder(&self, name: &str) -> Result<Self, PkiError> {
        self.folder(name, 0o755)
    }

    fn folder(&self, name: &str, mode: u32) -> Result<Self, PkiError> {
        let path = self.0.join(name);
        match DirBuilder::new().mode(mode).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(PkiError::Write { path, source }),
        }
    }

    pub(crate) fn secret(
        &self,
        name: &str,
        contents: &(impl AsRef<[u8]> + ?Sized),
    ) -> Result<PathBuf, PkiError> {
        self.file(name, SECRET, contents.as_ref())
    }

    pub(crate) fn public(&self, name: &str, contents: &[u8]) -> Result<PathBuf, PkiError> {
        self.file(name, PUBLIC, contents)
    }

    fn file(&self, name: &str, mode: u32, contents: &[u8]) -> Result<PathBuf, PkiError> {
        let path = self.0.join(name);
        let written = create_new(&path, mode).and_then(|mut file| file.write_all(contents));
        match written {
            Ok(()) => Ok(path),
            Err(source) => Err(PkiError::Write { path, source }),
        }
    }
}
