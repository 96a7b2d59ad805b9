//! How far a command is, on standard error: a bar on a terminal, lines otherwise.

use std::cell::Cell;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sbi::tell;
use sbi::terminal::is_json;

/// Seconds between two lines of progress where there is no terminal.
const LINE_EVERY: u64 = 5;

/// Whoever waits for a command.
pub(super) struct Terminal {
    bar: Option<ProgressBar>,
    /// In which interval the last line of progress came.
    told: Cell<Option<u64>>,
}

impl Terminal {
    pub(super) fn new() -> Self {
        let bar = (io::stderr().is_terminal() && !is_json()).then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            bar,
            told: Cell::new(None),
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    pub(super) fn step(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => tell!("{text}"),
        }
    }

    pub(super) fn warn(&self, text: &str) {
        let warn = || tell!("warning: {text}");
        match &self.bar {
            Some(bar) => bar.suspend(warn),
            None => warn(),
        }
    }

    /// How much of what was planned is over. Of lines, one comes in an interval, and whichever is wanted.
    pub(super) fn position(
        &self,
        elapsed: Duration,
        planned: Duration,
        is_wanted: bool,
        text: &str,
    ) {
        let (elapsed, planned) = (elapsed.as_secs(), planned.as_secs());
        match &self.bar {
            Some(bar) => {
                if bar.length() != Some(planned) {
                    bar.set_length(planned);
                    if let Ok(style) =
                        ProgressStyle::with_template("{spinner} [{bar:30}] {pos}/{len} s  {msg}")
                    {
                        bar.set_style(style);
                    }
                }
                bar.set_position(elapsed.min(planned));
                bar.set_message(text.to_owned());
            }
            None => {
                let interval = Some(elapsed / LINE_EVERY);
                if self.told.replace(interval) != interval || is_wanted {
                    tell!("{elapsed:>4} of {planned} s  {text}");
                }
            }
        }
    }
}
