//! The command line that every NF's binary shares: thin mains differ in which NF they run.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::process::{Control, Event, Events};
use crate::telemetry::{Causes, LogFormat, init_logs};

/// Exit status of a process that could not run.
const COULD_NOT_RUN: u8 = 1;
/// Log level where `RUST_LOG` does not say another.
const DEFAULT_LEVEL: &str = "info";

/// Arguments of an NF's process.
#[derive(Clone, Debug, Args)]
pub struct NfArguments {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Tell events as JSON lines on standard output, and stop when standard input ends
    #[arg(long)]
    pub supervised: bool,
    /// Form of the logs on standard error
    #[arg(long, value_enum, default_value_t = LogChoice::Text)]
    pub log_format: LogChoice,
}

/// Form of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogChoice {
    /// For people
    Text,
    /// A JSON object a line
    Json,
}

impl NfArguments {
    /// Sets up logs, signals and events, and runs an NF with them until it ends.
    pub async fn run<E, F>(self, nf: impl FnOnce(PathBuf, Events, Control) -> F) -> ExitCode
    where
        E: Error,
        F: Future<Output = Result<(), E>>,
    {
        init_logs(
            match self.log_format {
                LogChoice::Text => LogFormat::Text,
                LogChoice::Json => LogFormat::Json,
            },
            DEFAULT_LEVEL,
        );
        raise_descriptor_limit();
        let events = Events::new(self.supervised);
        let control = match Control::new(self.supervised) {
            Ok(control) => control,
            Err(error) => return fail(&events, &error),
        };
        match nf(self.config, events.clone(), control).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&events, &error),
        }
    }
}

/// Raises the soft limit of file descriptors to the hard one: every connection is one.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

fn fail(events: &Events, error: &dyn Error) -> ExitCode {
    let error = Causes(error).to_string();
    eprintln!("error: {error}");
    events.tell(&Event::Failed { error });
    ExitCode::from(COULD_NOT_RUN)
}
