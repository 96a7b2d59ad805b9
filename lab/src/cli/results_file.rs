//! The results of a run, found by their file or by the folder that the run wrote.

use std::path::{Path, PathBuf};

use experiment::results::{Results, ResultsError};

/// What `mtc5g run` calls its results.
pub(super) const RESULTS: &str = "results.json";
/// The runs of a sweep, in the folder of its results.
pub(super) const CELLS: &str = "cells";

/// No results can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("cannot read {}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} holds no results of a run", path.display())]
    Results { path: PathBuf, source: ResultsError },
    #[error(
        "{0} is the folder of a sweep, which has several runs: name one of them, {0}/{CELLS}/01",
        path.display()
    )]
    Sweep { path: PathBuf },
    #[error(
        "{} is a folder without {RESULTS}: name the folder of a run, mtc5g-results/...",
        path.display()
    )]
    Folder { path: PathBuf },
}

/// Reads the results of a run, from their file or from the run's folder.
pub(super) fn read(path: &Path) -> Result<Results, ReadError> {
    let file = file_of(path)?;
    let json = sbi::text_file::read(&file).map_err(|source| ReadError::File {
        path: file.clone(),
        source,
    })?;
    Results::from_json(&json).map_err(|source| ReadError::Results { path: file, source })
}

/// The runs that a path stands for: those of a sweep, in their order, where it is the folder of one; else itself.
pub(super) fn runs_of(path: &Path) -> Vec<PathBuf> {
    let cells = std::fs::read_dir(path.join(CELLS)).into_iter().flatten();
    let mut cells: Vec<PathBuf> = cells.filter_map(|cell| Some(cell.ok()?.path())).collect();
    cells.sort_unstable();
    if cells.is_empty() {
        cells.push(path.to_owned());
    }
    cells
}

/// The folder that a run's results are in, or are.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !path.is_dir() => parent,
        _ => path,
    }
}

fn file_of(path: &Path) -> Result<PathBuf, ReadError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let file = path.join(RESULTS);
    let path = path.to_owned();
    if file.exists() {
        Ok(file)
    } else if path.join(CELLS).is_dir() {
        Err(ReadError::Sweep { path })
    } else {
        Err(ReadError::Folder { path })
    }
}
