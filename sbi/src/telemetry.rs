//! Logs and traces of a process.

use std::str::FromStr;

use tracing::Level;
use tracing_subscriber::filter::{Directive, LevelFilter, Targets};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::terminal::is_json;
use crate::trace::TARGET;

mod otlp;
mod quoted;

pub use otlp::{Collector, CollectorError, Exporter};
pub use quoted::{MAX_QUOTED, Quoted, Throttle};

/// What a log filter says to have spans, see [`crate::trace`].
const TRACED: &str = "sbi::trace=debug";

/// Whether such levels, as in `RUST_LOG`, ask for spans (see [`crate::trace`]). What cannot be told counts as if they did.
pub fn asks_for_traces(levels: &str) -> bool {
    let targets: Result<Targets, _> = levels.parse();
    // A bracket begins a filter of spans, which `Targets` takes for a name.
    levels.contains('[')
        || targets.map_or(true, |targets| targets.would_enable(TARGET, &Level::DEBUG))
}

/// How logs look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// What is told of a process, and to whom.
#[derive(Clone, Debug)]
pub struct Telemetry<'a> {
    /// How logs look.
    pub format: LogFormat,
    /// Level where `RUST_LOG` does not say another.
    pub level: &'a str,
    /// Who is sent traces.
    pub otlp: Option<Collector>,
    /// What this process is, in traces.
    pub service: &'a str,
}

impl Telemetry<'_> {
    /// Sends logs to standard error and traces to the collector, if there is one. Needs a runtime for traces.
    ///
    /// Does nothing if a process has set up its telemetry before.
    pub fn start(self) -> Option<Exporter> {
        let filter =
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(self.level));
        // Logs then have the IDs of the traces that they belong to.
        let filter = if self.otlp.is_some() {
            filter.add_directive(Directive::from_str(TRACED).expect("a valid directive"))
        } else {
            filter
        };
        let asked = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
        let logs = fmt_layer(self.format, asks_for_traces(&asked)).with_filter(filter);
        let (layer, exporter) = self
            .otlp
            .map(|collector| otlp::start(collector, self.service))
            .unzip();
        let traces =
            layer.map(|layer| layer.with_filter(Targets::new().with_target(TARGET, Level::DEBUG)));
        // The only failure is that a subscriber is set already, by a test in the same process.
        let _ = tracing_subscriber::registry()
            .with(logs)
            .with(traces)
            .try_init();
        exporter
    }
}

/// Sends warnings to standard error, for a command that starts processes: `RUST_LOG` is for those.
///
/// Does nothing if a process has set up its telemetry before.
pub fn warn_on_stderr() {
    let layer = if is_json() {
        fmt_layer(LogFormat::Json, false)
    } else {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            // It would tell of a reader that is gone with a macro that panics then.
            .log_internal_errors(false)
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .boxed()
    };
    let layer = layer.with_filter(LevelFilter::WARN);
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

/// `ends_of_spans`: whether a line is written when a span ends.
fn fmt_layer<S>(format: LogFormat, ends_of_spans: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // It would tell of a reader that is gone with a macro that panics then.
        .log_internal_errors(false)
        .with_span_events(if ends_of_spans {
            FmtSpan::CLOSE
        } else {
            FmtSpan::NONE
        });
    match format {
        LogFormat::Text => layer.with_ansi(false).boxed(),
        LogFormat::Json => layer.json().boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_that_ask_for_traces_are_told_from_others() {
        for on in [
            "debug",
            "trace",
            "info,sbi::trace=debug",
            "info,sbi=trace",
            "sbi=debug",
            "info,[request]=debug",
        ] {
            assert!(asks_for_traces(on), "{on}");
        }
        for off in ["", "info", "warn", "info,hyper=trace", "debug,sbi=info"] {
            assert!(!asks_for_traces(off), "{off}");
        }
    }
}
