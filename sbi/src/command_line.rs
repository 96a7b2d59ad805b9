//! What the commands of all network functions share: arguments, logs, signals, and how the process ends.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::sleep;

use crate::pool::PoolError;
use crate::process::{Control, Event, Events};
use crate::telemetry::{Collector, CollectorError, LogFormat, Telemetry};
use mtc_core::causes::Causes;

/// Exit status of a process that could not run.
const COULD_NOT_RUN: u8 = 1;
/// Exit status of a wrong command line.
const USAGE: u8 = 2;
/// Names a collector of traces for every process that it is handed down to.
pub const COLLECTOR_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Log level where `RUST_LOG` does not say another.
const DEFAULT_LEVEL: &str = "info";
/// How often a file that is awaited is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Arguments of an NF's process.
#[derive(Clone, Debug, Args)]
pub struct NfArguments {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Wait until FILE exists before reading anything: the last file that another process writes, such as lab.toml of mtc5g init --deploy
    #[arg(long, value_name = "FILE")]
    pub await_file: Option<PathBuf>,
    /// Report events as JSON lines on standard output, and stop when standard input ends
    #[arg(long)]
    pub supervised: bool,
    /// Format of the logs on standard error
    #[arg(long, value_enum, default_value_t = LogChoice::Text)]
    pub log_format: LogChoice,
    /// Send traces to an OpenTelemetry collector (OTLP/HTTP, JSON), such as http://127.0.0.1:4318
    /// [default: $OTEL_EXPORTER_OTLP_ENDPOINT, else nowhere]
    #[arg(long, value_name = "URL")]
    pub otlp: Option<Collector>,
}

/// Form of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogChoice {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

impl NfArguments {
    /// Sets up logs, signals and events, and runs an NF with them until it ends.
    pub async fn run<E: Error>(
        self,
        nf: impl AsyncFnOnce(&Path, Events, Control) -> Result<(), E>,
    ) -> ExitCode {
        let otlp = match self.otlp.map(Ok).or_else(collector_of_environment) {
            Some(Ok(collector)) => Some(collector),
            Some(Err(error)) => {
                crate::tell!("error: {COLLECTOR_VARIABLE}: {error}");
                return ExitCode::from(USAGE);
            }
            None => None,
        };
        // amf.toml makes an AMF; a process that runs several instances is one service all the same.
        let service = self
            .config
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let telemetry = Telemetry {
            format: match self.log_format {
                LogChoice::Text => LogFormat::Text,
                LogChoice::Json => LogFormat::Json,
            },
            level: DEFAULT_LEVEL,
            otlp,
            service: &service,
        };
        let exporter = telemetry.start();
        raise_descriptor_limit();
        forbid_core_dumps();
        let events = Events::new(self.supervised);
        let control = match Control::new(self.supervised) {
            Ok(control) => control,
            Err(error) => return fail(&events, self.log_format, &error),
        };
        if let Some(file) = &self.await_file {
            tokio::select! {
                () = appeared(file) => {}
                () = control.stop.clone().wait() => return ExitCode::SUCCESS,
            }
        }
        let stop = control.stop.clone();
        let ended = nf(&self.config, events.clone(), control).await;
        if let Some(exporter) = exporter {
            exporter.flush().await;
        }
        let Err(error) = ended else {
            return ExitCode::SUCCESS;
        };
        let status = fail(&events, self.log_format, &error);
        if is_surplus(&error) && !self.supervised {
            // Whoever starts replicas would start this one again, and again. Until it is stopped, nothing answers for it.
            stop.wait().await;
        }
        status
    }
}

/// Whether the process is a replica for which there is no token, so that another start would not help.
fn is_surplus(error: &dyn Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(PoolError::Empty { .. })) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Completes when the file is there. A volume that others write tells nobody of it, so it is looked at again and again.
async fn appeared(file: &Path) {
    if !file.exists() {
        tracing::info!(file = %file.display(), "waiting for a file");
    }
    while !file.exists() {
        sleep(LOOK_EVERY).await;
    }
}

/// The collector that the environment names, as OpenTelemetry's own tools take it.
fn collector_of_environment() -> Option<Result<Collector, CollectorError>> {
    let named = std::env::var(COLLECTOR_VARIABLE).ok()?;
    (!named.is_empty()).then(|| named.parse())
}

/// Raises the soft limit of file descriptors to the hard one: every connection is one.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// Octets that a core dump may have. At 0 Linux still dumps into a program that `core_pattern` names; 1 is its word for not
/// doing that either, and less than any file needs (core(5)).
const CORE_LIMIT: u64 = 1;

/// Forbids core dumps, which would hold private keys, to this process and those that it starts. Debuggers and profilers may
/// attach as before.
pub fn forbid_core_dumps() {
    let limit = getrlimit(Resource::Core);
    let most = limit
        .maximum
        .map_or(CORE_LIMIT, |most| most.min(CORE_LIMIT));
    let none = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "cannot forbid core dumps, which would contain private keys");
    }
}

fn fail(events: &Events, format: LogChoice, error: &dyn Error) -> ExitCode {
    let error = Causes(error).to_string();
    match format {
        LogChoice::Text => crate::tell!("error: {error}"),
        // Every line is an object then, the last one too.
        LogChoice::Json => tracing::error!(error, "the process ends"),
    }
    events.tell(&Event::Failed { error });
    ExitCode::from(COULD_NOT_RUN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_leaves_no_core() {
        forbid_core_dumps();
        forbid_core_dumps();
        let limit = getrlimit(Resource::Core);
        assert!(limit.current.is_some_and(|octets| octets <= 1), "{limit:?}");
        assert_eq!(limit.current, limit.maximum);
    }
}
