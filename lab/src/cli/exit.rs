//! How a command ends: its exit status, and what asks it to stop.

use std::future::pending;
use std::process::ExitCode;

use sbi::tell;

use experiment::results::{Outcome, Results};

/// What the numbers below mean, for whoever asks for help.
pub(super) const HELP: &str = "Exit status: 0 done, 1 could not run, 2 usage or a faulty scenario, 3 a threshold is broken or an expectation failed, 4 not a valid measurement (see the verdict), 5 a log showed two histories.";

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

    /// Of a run that was published.
    const RESULTS: &str = include_str!("../../../docs/results/article/results.json");

    #[test]
    fn the_exit_status_is_that_of_the_verdict() {
        let mut results = Results::from_json(RESULTS).expect("results");
        assert_eq!(status(&results), DONE);
        for (outcome, wanted) in [
            (Outcome::ExpectationFailed, NOT_AS_WANTED),
            (Outcome::ThresholdBroken, NOT_AS_WANTED),
            (Outcome::Invalid, INVALID),
        ] {
            results.verdict.outcome = outcome;
            assert_eq!(status(&results), wanted);
        }
    }
}
