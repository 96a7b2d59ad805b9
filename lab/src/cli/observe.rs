//! `mtc5g observe`

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use experiment::environment::Environment;
use experiment::report;
use experiment::results::Results;
use experiment::scenario::parse_duration;
use sbi::tell;

use super::exit::{USAGE, fail, interrupted, status};
use super::output::{print_results, tell_earlier, usage};
use super::progress::Terminal;
use super::run::{default_out, holds_a_lab};
use super::watched::Watched;
use crate::observe::{Progress, observe};

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ObserveArguments {
    #[command(flatten)]
    watched: Watched,
    /// How long to watch. Ctrl-C ends it before, with what there is
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = window)]
    window: Duration,
    /// Where results go [default: mtc5g-results/observed-<time>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print results.json instead of the table
    #[arg(long)]
    json: bool,
}

fn window(text: &str) -> Result<Duration, String> {
    let window = parse_duration(text).map_err(|error| error.to_string())?;
    if !(SHORTEST..=LONGEST).contains(&window) {
        return Err("must be from 1s to 7 days, such as 60s".to_owned());
    }
    Ok(window)
}

impl ObserveArguments {
    pub(super) async fn run(self) -> ExitCode {
        let places = match self.watched.places("observe").await {
            Ok(places) => places,
            Err(error) => return usage(&*error, "observe"),
        };
        let out = self.out.clone().unwrap_or_else(|| default_out("observed"));
        if holds_a_lab(&out) {
            tell!(
                "error: {} is the folder of a lab: give --out another folder",
                out.display()
            );
            return ExitCode::from(USAGE);
        }
        let terminal = Terminal::new();
        let tell_progress = |progress: Progress| {
            let Progress {
                elapsed,
                answering,
                client_handshakes,
                server_handshakes,
            } = progress;
            let text = format!(
                "{answering} processes answer; handshakes: {client_handshakes} by clients, {server_handshakes} by servers"
            );
            terminal.position(elapsed, self.window, elapsed >= self.window, &text);
        };
        let observed = observe(&places, self.window, interrupted(), tell_progress).await;
        terminal.finish();
        let observation = match observed {
            Ok(observation) => observation,
            Err(error) => return fail(&error),
        };
        let mut environment = Environment::detect();
        if !self.watched.is_of_this_machine() {
            environment = environment.as_observed();
        }
        match self.write(&Results::observed(environment, observation), &out) {
            Ok(status) => ExitCode::from(status),
            Err(error) => fail(&*error),
        }
    }

    fn write(&self, results: &Results, out: &PathBuf) -> Result<u8, Box<dyn Error>> {
        // First, so that it is there whatever becomes of the disk.
        print_results(results, self.json);
        std::fs::create_dir_all(out)
            .map_err(|error| format!("cannot make {}: {error}", out.display()))?;
        let written = report::write(results, None, out)?;
        tell!(
            "\nwrote {0}/results.json, {0}/summary.md and {0}/report.html",
            out.display()
        );
        tell_earlier(&written);
        Ok(status(results))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_bounds() {
        assert_eq!(window("60s"), Ok(Duration::from_secs(60)));
        for wrong in ["0s", "200ms", "9000h", "soon"] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }
}
