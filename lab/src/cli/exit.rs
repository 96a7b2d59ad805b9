//! How a command ends: its exit status, and what asks it to stop.

use std::future::pending;
use std::process::ExitCode;

use sbi::tell;

use experiment::results::Results;

/// What the numbers below mean, for whoever asks for help.
pub(super) const HELP: &str = "Exit status: 0 done, 1 could not run, 2 usage or a faulty scenario, 3 a threshold is broken, 4 not a valid measurement (see the verdict), 5 a log showed two histories.";

/// Done.
pub(super) const DONE: u8 = 0;
/// Could not run.
pub(super) const COULD_NOT_RUN: u8 = 1;
/// Usage: wrong arguments (clap exits with the same) or a faulty scenario.
pub(super) const USAGE: u8 = 2;
/// The run is a valid measurement, and what it shows is not what was wanted.
pub(super) const THRESHOLDS_BROKEN: u8 = 3;
/// The run was no valid measurement: see its verdict.
pub(super) const INVALID: u8 = 4;
/// A log showed two histories.
pub(super) const FORK: u8 = 5;

/// Says why there is no result.
pub(super) fn fail(error: &dyn std::error::Error) -> ExitCode {
    tell!("error: {}", mtc_core::causes::Causes(error));
    ExitCode::from(COULD_NOT_RUN)
}

/// An invalid measurement neither meets nor breaks a threshold.
pub(super) fn status(results: &Results) -> u8 {
    if !results.verdict.passed {
        INVALID
    } else if !results.thresholds_met() {
        THRESHOLDS_BROKEN
    } else {
        DONE
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
    use experiment::results::ThresholdOutcome;

    use super::*;

    /// Of a run that was published.
    const RESULTS: &str = include_str!("../../../docs/results/article/results.json");

    #[test]
    fn the_exit_status_tells_invalid_before_broken_before_done() {
        let mut results: Results = serde_json::from_str(RESULTS).expect("results");
        assert_eq!(status(&results), DONE);
        results.thresholds.push(ThresholdOutcome {
            name: "small".to_owned(),
            expression: r#"bytes("a") < 1"#.to_owned(),
            left: Some(14_860.0),
            right: Some(1.0),
            met: false,
        });
        assert_eq!(status(&results), THRESHOLDS_BROKEN);
        results.verdict.passed = false;
        assert_eq!(status(&results), INVALID);
    }
}
