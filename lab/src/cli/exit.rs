//! How a command ends: its exit status, and what asks it to stop.

use std::future::pending;
use std::process::ExitCode;

use sbi::tell;

use experiment::results::{Outcome, Results};

/// What each number below means: in a line of help, and in `docs/lab.md`.
const STATUSES: [(u8, &str, &str); 7] = [
    (
        DONE,
        "done",
        "done; for `run`, the run is a valid measurement of what its scenario claims, and shows what it expects",
    ),
    (
        COULD_NOT_RUN,
        "could not run",
        "could not run: the message on standard error says why",
    ),
    (
        USAGE,
        "usage or a faulty scenario",
        "wrong arguments, or a scenario that cannot be read or has faults",
    ),
    (
        NOT_AS_WANTED,
        "a threshold is broken or an expectation failed",
        "a valid measurement that does not show what was wanted: `run`, a threshold is broken or an expectation failed; `compare`, a figure is higher than `--fail-above` allows; `estimate --against`, the model is too far off",
    ),
    (
        INVALID,
        "not a valid measurement (see the verdict)",
        "not a valid measurement: `run` wrote results, whose verdict says why; `compare` and `plot` refuse what is not valid",
    ),
    (
        FORK,
        "a log showed two histories",
        "`log monitor` only: the log showed two histories",
    ),
    (
        FOUND,
        "audit found what --fail-on names",
        "`audit` only: what `--fail-on` names was found",
    ),
];

/// What the numbers mean, for whoever asks for help.
pub(super) fn help() -> String {
    let statuses = STATUSES.map(|(status, short, _)| format!("{status} {short}"));
    format!("Exit status: {}.", statuses.join(", "))
}

/// Done.
pub(super) const DONE: u8 = 0;
/// Could not run.
pub(super) const COULD_NOT_RUN: u8 = 1;
/// Usage: wrong arguments (clap exits with the same) or a faulty scenario.
pub(super) const USAGE: u8 = 2;
/// The run is a valid measurement, and what it shows is not what was wanted.
pub(super) const NOT_AS_WANTED: u8 = 3;
/// The run was no valid measurement of what its scenario claims: see its verdict.
pub(super) const INVALID: u8 = 4;
/// A log showed two histories.
pub(super) const FORK: u8 = 5;
/// An inventory has what it must not have.
pub(super) const FOUND: u8 = 6;

/// Says why there is no result.
pub(super) fn fail(error: &dyn std::error::Error) -> ExitCode {
    tell!("error: {}", mtc_core::causes::Causes(error));
    ExitCode::from(COULD_NOT_RUN)
}

/// That of a run's verdict.
pub(super) const fn status(results: &Results) -> u8 {
    match results.verdict.outcome {
        Outcome::Passed => DONE,
        Outcome::ExpectationFailed | Outcome::ThresholdBroken => NOT_AS_WANTED,
        Outcome::Invalid => INVALID,
    }
}

/// As [`sbi::process::interrupted`]. Without handlers the signals end the process, and the children with it.
pub(super) fn interrupted() -> impl Future<Output = ()> {
    let interrupted = sbi::process::interrupted();
    async {
        match interrupted {
            Ok(interrupted) => interrupted.await,
            Err(_) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_manual_has_every_status() {
        let rows = STATUSES.map(|(status, _, long)| format!("| {status} | {long} |\n"));
        let table = format!("| Status | Meaning |\n|---|---|\n{}", rows.concat());
        let manual = include_str!("../../../docs/lab.md");
        assert!(manual.contains(&table), "write into docs/lab.md:\n{table}");
    }

    /// Of a run that was published.
    const RESULTS: &str = include_str!("../../../docs/results/article/results.json");

    #[test]
    fn the_exit_status_is_that_of_the_verdict() {
        let mut results = Results::from_json(RESULTS).expect("results");
        for (outcome, wanted) in [
            (Outcome::Passed, DONE),
            (Outcome::ExpectationFailed, NOT_AS_WANTED),
            (Outcome::ThresholdBroken, NOT_AS_WANTED),
            (Outcome::Invalid, INVALID),
        ] {
            results.verdict.outcome = outcome;
            assert_eq!(status(&results), wanted);
        }
    }
}
