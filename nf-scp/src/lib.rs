//! The SCP: the witness of the NRF's issuance log, and an NF. Routing of requests comes later.
//!
//! ```text
//!   witness_api   add-checkpoint, sign-subtree ──> mtc_log::WitnessStore: consistent or refused, stored before signed
//!   scp           enrols and registers like any NF
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: sbi::tell!, output.rs of lab

pub mod config;
pub mod metrics;
mod scp;
pub mod witness_api;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sbi::command_line::NfArguments;

pub use self::scp::{ScpError, run};

/// Runs an SCP, the witness of the NRF's issuance log
#[derive(Clone, Debug, Parser)]
pub struct ScpArguments {
    #[command(flatten)]
    process: NfArguments,
}

impl ScpArguments {
    /// Runs the SCP until it ends.
    pub async fn run(self) -> ExitCode {
        self.process.run(|config: PathBuf, events, control| async move { run(&config, events, control).await }).await
    }
}
