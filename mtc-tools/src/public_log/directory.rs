//! A log in a folder.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{PlaceError, ReadError};

/// Where below a folder a log may lie: what it serves, as the NRF keeps it, as a lab keeps the NRF's.
const CANDIDATES: [&str; 3] = ["", "log", "log/log"];

/// The folder with what a log serves. Takes no lock: a log that is being written can be read.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub(super) fn find(place: &str) -> Result<Self, PlaceError> {
        let folder = Path::new(place);
        if !folder.is_dir() {
            return Err(PlaceError::Neither(place.to_owned()));
        }
        CANDIDATES
            .iter()
            .map(|below| folder.join(below))
            .find(|root| root.join("checkpoint").is_file())
            .map(|root| Self { root })
            .ok_or_else(|| PlaceError::NoCheckpoint(folder.to_owned()))
    }

    pub(super) fn path(&self, object: &str) -> PathBuf {
        self.root.join(object)
    }

    pub(super) fn get(&self, object: &str, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let path = self.path(object);
        let read = || {
            let mut bytes = Vec::new();
            File::open(&path)?.take(limit + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) if bytes.len() as u64 > limit => Err(ReadError::TooLong {
                object: path.display().to_string(),
                limit,
            }),
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(source) => Err(ReadError::File { path, source }),
        }
    }
}

/// A bundle `000` and its partial forms `000.p/44` have different parents, of which either may be missing.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
