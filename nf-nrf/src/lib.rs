//! The NRF: where NF instances register and find each other (TS 29.510), and the Merkle Tree CA that certifies them.
//!
//! ```text
//!   management   PUT, PATCH, DELETE, GET nf-instances  --.
//!   discovery    GET nf-instances?target-nf-type=..      |--> registry: pure state, changes in order
//!                missing heartbeats suspend and purge  --'
//!   enrolment    POST certificates --> mtca (issuance log, landmarks) or baseline (X.509)
//!   services     the three of them on the SBI port, counted
//!   logs         which of the CA's issuance logs is current --> log_opening
//!   log_api      GET checkpoint, landmarks, tiles: the issuance logs, public
//!   public_files GET /lab/...: what everybody may know of a deployed lab, on the same port
//! ```
//!
//! [`run`] is the process: everything from configuration to drain.

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: sbi::tell!, output.rs of lab

pub mod answers;
pub mod baseline;
pub mod config;
pub mod discovery;
pub mod enrolment;
pub mod enrolment_token;
pub mod etag;
pub mod files;
mod inspection;
pub mod log_api;
pub mod log_opening;
pub mod logs;
pub mod management;
pub mod metrics;
pub mod mtca;
mod nrf;
mod own;
pub mod public_files;
pub mod registry;
mod registry_files;
pub mod retired_log;
pub mod services;
pub mod witness_client;
pub mod witness_times;

use std::process::ExitCode;

use clap::Parser;
use mtc_core::id::{IdError, LogNumber};
use sbi::command_line::NfArguments;

use self::logs::LogWish;
pub use self::nrf::{NrfError, run};

/// Runs an NRF, the Merkle Tree CA of the lab
#[derive(Clone, Debug, Parser)]
pub struct NrfArguments {
    #[command(flatten)]
    process: NfArguments,
    /// Create the issuance log. Needed once; an existing log is never replaced
    #[arg(long)]
    create_log: bool,
    /// Create the issuance log if there has never been one, and go on with it otherwise
    #[arg(long, conflicts_with_all = ["create_log", "next_log"])]
    create_first_log: bool,
    /// Retire the current issuance log, which cannot go on, and go on with log N; done once, if repeated
    #[arg(long, value_name = "N", value_parser = log_number, conflicts_with = "create_log")]
    next_log: Option<LogNumber>,
    /// Begin a new record of used enrolment tokens in place of one that is missing or damaged: used tokens that have not expired
    /// are good once more
    #[arg(long)]
    forget_used_tokens: bool,
}

fn log_number(text: &str) -> Result<LogNumber, IdError> {
    // Whatever is no number is no log's either.
    LogNumber::new(text.parse().unwrap_or_default())
}

impl NrfArguments {
    /// Runs the NRF until it ends.
    pub async fn run(self) -> ExitCode {
        let wish = match self.next_log {
            Some(next) => LogWish::ContinueWith(next),
            None if self.create_log => LogWish::Create,
            None if self.create_first_log => LogWish::CreateFirst,
            None => LogWish::Open,
        };
        let nrf = |config: std::path::PathBuf, events, control| async move {
            run(&config, wish, self.forget_used_tokens, events, control).await
        };
        self.process.run(nrf).await
    }
}
