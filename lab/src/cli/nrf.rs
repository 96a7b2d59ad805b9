//! `mtc5g nrf`

use std::path::Path;
use std::process::ExitCode;

use mtc_core::id::{IdError, LogNumber};
use nf_nrf::logs::LogStart;
use sbi::command_line::NfArguments;

/// Arguments of the NRF's process.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct NrfArguments {
    #[command(flatten)]
    process: NfArguments,
    /// Create the issuance log. Needed once; an existing log is never replaced
    #[arg(long)]
    create_log: bool,
    /// Create the issuance log if there has never been one, otherwise open it
    #[arg(long, conflicts_with_all = ["create_log", "next_log"])]
    create_first_log: bool,
    /// Retire the current issuance log, which cannot continue, and continue with log N; repeating it does nothing
    #[arg(long, value_name = "N", value_parser = log_number, conflicts_with = "create_log")]
    next_log: Option<LogNumber>,
    /// Start a new record of used enrolment tokens in place of one that is missing or damaged: used tokens that have not expired
    /// are accepted again
    #[arg(long)]
    forget_used_tokens: bool,
}

fn log_number(text: &str) -> Result<LogNumber, IdError> {
    // Whatever is no number is no log's either.
    LogNumber::new(text.parse().unwrap_or_default())
}

impl NrfArguments {
    /// Runs the NRF until it ends.
    pub(super) async fn run(self) -> ExitCode {
        let log_start = match self.next_log {
            Some(next) => LogStart::ContinueWith(next),
            None if self.create_log => LogStart::Create,
            None if self.create_first_log => LogStart::CreateFirst,
            None => LogStart::Open,
        };
        let forget = self.forget_used_tokens;
        let nrf = async |config: &Path, events, control| {
            nf_nrf::run(config, log_start, forget, events, control).await
        };
        self.process.run(nrf).await
    }
}
