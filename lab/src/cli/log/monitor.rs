//! `mtc5g log monitor URL`

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use mtc_core::causes::Causes;
use mtc_core::id::{EntryIndex, TreeSize};
use mtc_core::verify::CaTrust;
use sbi::tell;
use serde::Serialize;
use thiserror::Error;
use tokio::time::sleep;

use super::{blocking, checkpoint_text, open, signatures_text};
use crate::cli::exit::{COULD_NOT_RUN, DONE, FORK, fail, interrupted};
use crate::cli::output::try_print;
use crate::cli::trust::TrustArguments;
use experiment::files::write_whole;
use experiment::scenario::parse_duration;
use mtc_tools::entry::EntrySummary;
use mtc_tools::monitor::{Fork, Monitor, MonitorError, TreeChange};
use mtc_tools::public_log::{CheckpointSignature, Observed, ObservedError, PublicLog};

/// Longest pause before an unreachable log is asked again, unless the interval is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A log to follow
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mtc5g log monitor http://127.0.0.1:7778/1/ --trust lab/trust.toml
  mtc5g log monitor http://127.0.0.1:7778/1/ --trust lab/trust.toml --state log1.checkpoint
  mtc5g log monitor http://127.0.0.1:7778/1/ --from 0 --once

Ctrl-C ends it. A log that does not answer is asked again, ever more slowly, up to once a minute.

A log that is smaller than before and begins the same is a stale copy: a warning, and no fork.

Exit status: 0 ended by Ctrl-C, or --once found nothing wrong; 1 --once could not read or believe the log or found it stale, the
state cannot be used, or the output cannot be written; 2 usage; 5 the log showed two histories (both checkpoints are printed and are the evidence: keep them).
Formats: docs/tools.md.")]
pub(in crate::cli) struct MonitorArguments {
    /// The URL of one log, or a folder that contains one
    #[arg(value_name = "URL|DIR")]
    place: String,
    /// Time between two checks, such as 500ms, 2s, 1m
    #[arg(long, default_value = "2s", value_parser = interval)]
    interval: Duration,
    /// File that keeps the last checkpoint, so that a fork is also noticed if it happens while this command is not running
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Print entries from this index on [default: new ones only]
    #[arg(long, value_name = "INDEX")]
    from: Option<u64>,
    /// Check once and exit
    #[arg(long)]
    once: bool,
    /// Print one JSON document per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    trust: TrustArguments,
}

fn interval(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(Duration::ZERO) => Err("the interval must be longer than 0".to_owned()),
        Ok(interval) => Ok(interval),
        Err(error) => Err(error.to_string()),
    }
}

/// Why the state cannot be used.
#[derive(Debug, Error)]
enum StateError {
    #[error("cannot read the state {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "the state {} is not a checkpoint; remove it to start over, which forgets what the log showed before", path.display()
    )]
    NotACheckpoint {
        path: PathBuf,
        source: ObservedError,
    },
    #[error("the state {} is not signed by those that are trusted", path.display())]
    NotTrusted {
        path: PathBuf,
        source: ObservedError,
    },
    #[error("cannot write the state {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// A line of JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Checkpoint {
        log: String,
        size: TreeSize,
        root: String,
        signatures_checked: bool,
        signatures: Vec<CheckpointSignature>,
    },
    Entry(&'a EntrySummary),
    Fork {
        reason: String,
        before: String,
        now: String,
    },
}

/// How lines are printed, and by whose word.
#[derive(Clone)]
struct Printer {
    json: bool,
    trust: Option<CaTrust>,
}

/// What follows a look at the log.
enum Verdict {
    Continue,
    End(ExitCode),
}

impl MonitorArguments {
    pub(super) async fn run(self) -> ExitCode {
        let (log, trust) = match open(&self.place, &self.trust, "log monitor") {
            Ok(opened) => opened,
            Err(usage) => return usage,
        };
        let last = match &self.state {
            Some(path) => load(path, trust.as_ref()),
            None => Ok(None),
        };
        let last = match last {
            Ok(last) => last,
            Err(error) => return fail(&error),
        };
        let printer = Printer {
            json: self.json,
            trust,
        };
        let monitor = Monitor::new(last, self.from.map(EntryIndex));
        let stop = log.stop();
        tokio::select! {
            // The handlers are there before the first line is: whoever reads it may send a signal.
            biased;
            () = interrupted() => {
                // A read under way must not hold up the end of the process.
                if let Some(stop) = stop {
                    stop.stop();
                }
                ExitCode::from(DONE)
            }
            ended = self.follow(log, monitor, printer) => ended,
        }
    }

    async fn follow(&self, log: PublicLog, mut monitor: Monitor, printer: Printer) -> ExitCode {
        let mut failures = 0;
        let mut kept = monitor.last().cloned();
        loop {
            let (log, printer) = (log.clone(), printer.clone());
            let looked;
            (monitor, looked) = blocking(move || {
                let trust = printer.trust.as_ref();
                let looked = monitor.look(
                    &log,
                    trust,
                    |step, observed| printer.checkpoint(step, observed),
                    |entry| printer.entry(entry),
                );
                (monitor, looked.map_err(|error| printer.tell_fork(error)))
            })
            .await;
            let failed = looked.is_err();
            if let Verdict::End(code) = self.judge(looked) {
                return code;
            }
            // Only once all its entries are told: whoever starts anew is told those that are missing.
            if !failed && monitor.last() != kept.as_ref() {
                kept = monitor.last().cloned();
                if let Err(error) = self.keep(kept.as_ref()) {
                    return fail(&error);
                }
            }
            if self.once {
                return ExitCode::from(if failed { COULD_NOT_RUN } else { DONE });
            }
            failures = if failed { failures + 1 } else { 0 };
            sleep(self.pause(failures)).await;
        }
    }

    /// Whether to go on after a look. A failure that may pass is told and no more.
    fn judge(&self, looked: Result<(), MonitorError>) -> Verdict {
        match looked {
            Ok(()) => Verdict::Continue,
            Err(MonitorError::Fork(_)) => Verdict::End(ExitCode::from(FORK)),
            // Whoever read has read enough.
            Err(MonitorError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Verdict::End(ExitCode::from(DONE))
            }
            Err(error @ (MonitorError::Output(_) | MonitorError::OtherLog { .. })) => {
                Verdict::End(fail(&error))
            }
            Err(error @ (MonitorError::Stale { .. } | MonitorError::Behind { .. })) => {
                tell!("warning: {}", Causes(&error));
                Verdict::Continue
            }
            Err(error) => {
                tell!("error: {}", Causes(&error));
                Verdict::Continue
            }
        }
    }

    /// The interval, doubled with every failure in a row.
    fn pause(&self, failures: u32) -> Duration {
        let doubled = self.interval.saturating_mul(1 << failures.min(16));
        doubled.min(LONGEST_PAUSE.max(self.interval))
    }

    fn keep(&self, last: Option<&Observed>) -> Result<(), StateError> {
        match (&self.state, last) {
            (Some(path), Some(last)) => store(path, last),
            _ => Ok(()),
        }
    }
}

/// The checkpoint in the state, signed by the trusted if there are any; none when this is the first time.
fn load(path: &Path, trust: Option<&CaTrust>) -> Result<Option<Observed>, StateError> {
    let note = match std::fs::read(path) {
        Ok(note) => note,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(StateError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    let observed = Observed::parse(&note).map_err(|source| StateError::NotACheckpoint {
        path: path.to_owned(),
        source,
    })?;
    match observed.signatures(trust) {
        Ok(_) => Ok(Some(observed)),
        Err(source) => Err(StateError::NotTrusted {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Replaces the state whole, so that there is always one checkpoint or the other in it.
fn store(path: &Path, last: &Observed) -> Result<(), StateError> {
    write_whole(path, last.to_note().as_ref()).map_err(|error| StateError::Write {
        path: error.path,
        source: error.source,
    })
}

impl Printer {
    fn line(line: &Line<'_>) -> io::Result<()> {
        let text = serde_json::to_string(line).map_err(io::Error::other)?;
        try_print(&format!("{text}\n"))
    }

    fn checkpoint(&self, step: &TreeChange, observed: &Observed) -> io::Result<()> {
        let signatures = observed
            .signatures(self.trust.as_ref())
            .map_err(io::Error::other)?;
        if self.json {
            return Self::line(&Line::Checkpoint {
                log: observed.log.origin(),
                size: observed.checkpoint.size,
                root: mtc_core::hex::encode(&observed.checkpoint.root),
                signatures_checked: self.trust.is_some(),
                signatures,
            });
        }
        let first = match step {
            TreeChange::First => format!(
                "following {}; signatures: {}\n",
                observed.log.origin(),
                signatures_text(&signatures)
            ),
            TreeChange::Unchanged | TreeChange::Grown | TreeChange::Shrunk => String::new(),
        };
        try_print(&format!(
            "{first}checkpoint: {}\n",
            checkpoint_text(observed)
        ))
    }

    fn entry(&self, entry: &EntrySummary) -> io::Result<()> {
        if self.json {
            Self::line(&Line::Entry(entry))
        } else {
            try_print(&format!("{entry}\n"))
        }
    }

    /// Prints the evidence if the error is a fork.
    fn tell_fork(&self, error: MonitorError) -> MonitorError {
        if let MonitorError::Fork(fork) = &error {
            // With nobody to read it the exit status still tells.
            let _ = self.fork(fork);
        }
        error
    }

    fn fork(&self, fork: &Fork) -> io::Result<()> {
        let (before, now) = (fork.before.to_note(), fork.now.to_note());
        if self.json {
            return Self::line(&Line::Fork {
                reason: fork.to_string(),
                before,
                now,
            });
        }
        try_print(&format!(
            "FORK: {fork}\n--- the checkpoint before\n{before}--- the checkpoint now\n{now}"
        ))
    }
}
