//! Scenarios that the built command runs to their end, and the results that runs leave.

use std::path::{Path, PathBuf};

use experiment::results::Results;
use tempfile::TempDir;

use crate::command::{Ended, mtc5g, processes_of};

/// A run that has ended well.
pub struct Run {
    /// Where all of it is; gone when this is dropped.
    pub folder: TempDir,
    /// Where its results and reports are.
    pub out: PathBuf,
    /// What it printed.
    pub ended: Ended,
    /// Its results.
    pub results: Results,
}

/// Runs a scenario with these further options. It passes, and leaves no process.
pub async fn passing(scenario: &str, options: &[&str]) -> Run {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (file, out) = (
        folder.path().join("scenario.toml"),
        folder.path().join("out"),
    );
    std::fs::write(&file, scenario).expect("scenario is written");
    let arguments = [
        "run".as_ref(),
        file.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ];
    let options = options.iter().map(AsRef::as_ref);
    let ended = mtc5g(arguments.into_iter().chain(options)).await;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let results = results_in(&out);
    assert!(results.verdict.passed, "{:?}", results.verdict);
    assert_eq!(processes_of(folder.path()), []);
    Run {
        folder,
        out,
        ended,
        results,
    }
}

/// The results in the folder of a run.
pub fn results_in(out: &Path) -> Results {
    let text = std::fs::read_to_string(out.join("results.json")).expect("results are written");
    Results::from_json(&text).expect("results are readable")
}
