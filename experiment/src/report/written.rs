//! The files of a run: written whole, after what an earlier run has left under their names was put aside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::content::Report;
use super::html::html;
use super::json::json;
use super::summary::summary;
use crate::files::{WriteError, write_whole};
use crate::results::{Part, Results};

/// Every name that results have in their folder.
const NAMES: [&str; 4] = ["results.json", "summary.md", "report.html", "part.json"];
/// Folders for earlier results that are tried.
const MAX_EARLIER: usize = 1000;

/// Results are on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Where those of an earlier run are now, if there were some.
    pub earlier: Option<PathBuf>,
}

/// Results are not, or not all, on the disk.
#[derive(Debug, Error)]
#[error("{}; {}", mtc_core::causes::Causes(error), kept(written))]
pub struct NotWritten {
    /// The first file that is missing, and why.
    pub error: WriteError,
    /// What is there.
    pub written: Written,
}

fn kept(written: &Written) -> String {
    let names: Vec<String> = written
        .files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let mut text = if names.is_empty() {
        "nothing of this run was kept".to_owned()
    } else {
        format!("kept: {}", names.join(", "))
    };
    if let Some(earlier) = &written.earlier {
        text.push_str(&format!(
            "; results of an earlier run are in {}",
            earlier.display()
        ));
    }
    text
}

/// Writes `results.json`, `summary.md`, `report.html` and, if there is a part, `part.json` into a folder that exists. Blocks on the disk.
///
/// # Errors
/// The disk refuses one of them; the others are written if it takes them.
pub fn write(results: &Results, part: Option<&Part>, folder: &Path) -> Result<Written, NotWritten> {
    let report = Report::of(results);
    let mut files = vec![
        (NAMES[0], json(&report)),
        (NAMES[1], summary(&report)),
        (NAMES[2], html(&report)),
    ];
    files.extend(part.map(|part| (NAMES[3], part.to_json())));
    write_files(&files, folder)
}

/// Writes files of these names and contents as [`write()`] does.
///
/// # Errors
/// As [`write()`].
pub fn write_files(files: &[(&str, String)], folder: &Path) -> Result<Written, NotWritten> {
    let mut written = Written {
        files: Vec::new(),
        earlier: None,
    };
    match put_aside(folder) {
        Ok(earlier) => written.earlier = earlier,
        Err(error) => return Err(NotWritten { error, written }),
    }
    let mut first = None;
    for (name, contents) in files {
        let path = folder.join(name);
        match write_whole(&path, contents.as_bytes()) {
            Ok(()) => written.files.push(path),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    match first {
        None => Ok(written),
        Some(error) => Err(NotWritten { error, written }),
    }
}

/// Moves earlier results into a folder of their own, `earlier-<n>`, and says which.
fn put_aside(folder: &Path) -> Result<Option<PathBuf>, WriteError> {
    let found: Vec<&str> = NAMES
        .into_iter()
        .filter(|name| folder.join(name).symlink_metadata().is_ok())
        .collect();
    if found.is_empty() {
        return Ok(None);
    }
    let aside = new_folder(folder)?;
    for name in found {
        let path = aside.join(name);
        fs::rename(folder.join(name), &path).map_err(|source| WriteError { path, source })?;
    }
    Ok(Some(aside))
}

fn new_folder(folder: &Path) -> Result<PathBuf, WriteError> {
    for number in 1..=MAX_EARLIER {
        let path = folder.join(format!("earlier-{number}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(WriteError { path, source }),
        }
    }
    let source = io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("there are results of {MAX_EARLIER} earlier runs; name another folder"),
    );
    Err(WriteError {
        path: folder.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::{quick, quick_part};

    #[test]
    fn earlier_results_are_put_aside_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let first = write(&quick(), Some(&quick_part()), folder.path()).unwrap();
        assert_eq!((first.files.len(), first.earlier), (4, None));
        let before = fs::read(folder.path().join("part.json")).unwrap();
        let second = write(&quick(), None, folder.path()).unwrap();
        let aside = folder.path().join("earlier-1");
        assert_eq!(
            (second.files.len(), second.earlier),
            (3, Some(aside.clone()))
        );
        assert_eq!(fs::read(aside.join("part.json")).unwrap(), before);
        assert!(!folder.path().join("part.json").exists());
        let third = write(&quick(), None, folder.path()).unwrap();
        assert_eq!(third.earlier, Some(folder.path().join("earlier-2")));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_with_what_was_kept() {
        let folder = tempfile::tempdir().unwrap();
        // Where its beginning would be written there is a folder.
        fs::create_dir(folder.path().join("summary.md.new")).unwrap();
        let error = write(&quick(), None, folder.path())
            .unwrap_err()
            .to_string();
        let path = folder.path().display();
        assert!(
            error.starts_with(&format!("cannot write {path}/summary.md: ")),
            "{error}"
        );
        assert!(
            error.ends_with(&format!("; kept: {path}/results.json, {path}/report.html")),
            "{error}"
        );
        assert!(!folder.path().join("summary.md").exists());
    }
}
