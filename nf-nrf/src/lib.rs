//! The NRF: where NF instances register and find each other (TS 29.510), and the Merkle Tree CA that certifies them.
//!
//! ```text
//!   management   PUT, PATCH, DELETE, GET nf-instances  --.
//!   discovery    GET nf-instances?target-nf-type=..      |--> registry: pure state, changes in order
//!                missing heartbeats suspend and purge  --'
//!   enrolment    POST certificates --> mtca (issuance log, landmarks) or baseline (X.509)
//!   log_api      GET checkpoint, landmarks, tiles: the issuance log, public
//! ```
//!
//! [`run`] is the process: everything from configuration to drain.

pub mod baseline;
pub mod config;
pub mod discovery;
pub mod enrolment;
pub mod enrolment_token;
pub mod etag;
pub mod files;
pub mod log_api;
pub mod management;
pub mod mtca;
mod nrf;
mod own;
pub mod registry;
mod registry_files;
pub mod witness_client;

use std::process::ExitCode;

use clap::Parser;
use sbi::command_line::NfArguments;

pub use self::nrf::{NrfError, run};

/// Runs an NRF, the Merkle Tree CA of the lab
#[derive(Clone, Debug, Parser)]
pub struct NrfArguments {
    #[command(flatten)]
    process: NfArguments,
    /// Create the issuance log. Needed once; an existing log is never replaced
    #[arg(long)]
    create_log: bool,
}

impl NrfArguments {
    /// Runs the NRF until it ends.
    pub async fn run(self) -> ExitCode {
        let create_log = self.create_log;
        let nrf = |config: std::path::PathBuf, events, control| async move {
            run(&config, create_log, events, control).await
        };
        self.process.run(nrf).await
    }
}
