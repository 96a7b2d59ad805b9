//! `mtc5g compare EARLIER LATER`

use std::path::PathBuf;
use std::process::ExitCode;

use sbi::tell;

use super::exit::{DONE, INVALID, NOT_AS_WANTED, USAGE, fail};
use super::output::{print, print_json};
use super::results_file::read;
use experiment::report;
use experiment::results::{Comparison, Outcome};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct CompareArguments {
    /// The earlier run: its folder, or results.json in it
    earlier: PathBuf,
    /// The later run
    later: PathBuf,
    /// Exit with 3 if a figure has surely risen by more than this, such as 5%
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    fail_above: Option<f64>,
    /// Compare runs of different scenarios, or runs that were not valid measurements
    #[arg(long)]
    force: bool,
    /// Print JSON instead of the table
    #[arg(long)]
    json: bool,
}

impl CompareArguments {
    pub(super) fn run(self) -> ExitCode {
        let (earlier, later) = match (read(&self.earlier), read(&self.later)) {
            (Ok(earlier), Ok(later)) => (earlier, later),
            (Err(error), _) | (_, Err(error)) => return fail(&error),
        };
        if !self.force {
            if earlier.scenario != later.scenario {
                tell!(
                    "error: {} and {} are of different scenarios; --force compares the variants that both have",
                    self.earlier.display(),
                    self.later.display()
                );
                return ExitCode::from(USAGE);
            }
            for (file, results) in [(&self.earlier, &earlier), (&self.later, &later)] {
                if results.verdict.outcome == Outcome::Invalid {
                    tell!(
                        "error: {} is not a valid measurement: {}; --force compares what is valid in it",
                        file.display(),
                        results.verdict.violations.join("; ")
                    );
                    return ExitCode::from(INVALID);
                }
            }
        }
        let comparison = Comparison::of(&earlier, &later, self.fail_above);
        if self.json {
            print_json(&comparison);
        } else {
            print(&report::comparison(&comparison));
        }
        ExitCode::from(if comparison.regressions.is_empty() {
            DONE
        } else {
            NOT_AS_WANTED
        })
    }
}

/// `5%` and `5` are 0.05.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=1000.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("must be a percentage from 0% to 1000%, such as 5%".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_read_with_and_without_their_sign() {
        assert_eq!(percent("5%"), Ok(0.05));
        assert_eq!(percent("0"), Ok(0.0));
        for wrong in ["", "%", "-1%", "NaN", "inf", "5%%", "2000"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }
}
