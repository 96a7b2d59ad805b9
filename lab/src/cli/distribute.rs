//! `mtc5g distribute`

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use mtc_core::time::UnixTime;
use mtc_distributor::config::DistributorConfig;
use mtc_distributor::sets::{OrderError, SetSummary, Sets, Status};
use sbi::command_line::NfArguments;
use sbi::config::ConfigError;
use sbi::telemetry::warn_on_stderr;
use sbi::trust::{SetFolderError, TrustedSet};
use sbi::trust_file::{TrustFile, TrustFileError};
use serde::Serialize;

use super::exit::{DONE, USAGE, fail};
use super::output::{print, print_json};

#[derive(Clone, Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  mtc5g distribute --config distributor.toml               the process, one on each node
  mtc5g distribute status --config distributor.toml        the sets that are kept, and which is current
  mtc5g distribute rollback --config distributor.toml      back to the set before, and stay there
  mtc5g distribute pin --config distributor.toml           keep the current set
  mtc5g distribute unpin --config distributor.toml         follow the logs again

Orders are carried out at once, also while no distributor runs, by whoever may write its folder of sets. Whatever is ordered, what
is revoked stays revoked. See docs/distribution.md."
)]
pub(super) struct DistributeArguments {
    #[command(subcommand)]
    order: Option<Order>,
    #[command(flatten)]
    process: Option<NfArguments>,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Order {
    /// Show the sets that are kept, which is current, and when the logs were last asked
    Status(OrderArguments),
    /// Go back to an earlier set, which then stays until it is unpinned or all of its landmarks have expired
    Rollback {
        /// Number of the set; otherwise the newest with older landmarks than the current one
        #[arg(long, value_name = "SET")]
        to: Option<u64>,
        #[command(flatten)]
        arguments: OrderArguments,
    },
    /// Keep a set from being replaced
    Pin {
        /// Number of the set; otherwise the current one
        #[arg(long, value_name = "SET")]
        set: Option<u64>,
        #[command(flatten)]
        arguments: OrderArguments,
    },
    /// Follow the logs again
    Unpin(OrderArguments),
}

#[derive(Clone, Debug, clap::Args)]
struct OrderArguments {
    /// Configuration file of the distributor (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Why an order is not carried out.
#[derive(Debug, thiserror::Error)]
enum DistributeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Trust(#[from] TrustFileError),
    #[error(transparent)]
    Folder(#[from] SetFolderError),
    #[error(transparent)]
    Order(#[from] OrderError),
}

/// What an order has made.
#[derive(Serialize)]
struct Made {
    /// Number of the set that is current now.
    current: u64,
    /// Number of the set whose landmarks it has, where it is pinned.
    pinned: Option<u64>,
    /// The set that was current before, where it was taken back.
    rolled_back_from: Option<u64>,
}

impl DistributeArguments {
    /// Runs the distributor until it ends, or carries out an order.
    pub(super) async fn run(self) -> ExitCode {
        match (self.order, self.process) {
            (Some(order), _) => {
                warn_on_stderr();
                match order.carry_out() {
                    Ok(()) => ExitCode::from(DONE),
                    Err(error) => fail(&error),
                }
            }
            (None, Some(process)) => process.run(mtc_distributor::run).await,
            (None, None) => {
                sbi::tell!(
                    "error: name the distributor's configuration with --config, or see mtc5g distribute --help"
                );
                ExitCode::from(USAGE)
            }
        }
    }
}

impl Order {
    /// Carries it out. Blocks on the disk.
    fn carry_out(self) -> Result<(), DistributeError> {
        let arguments = match &self {
            Self::Status(arguments)
            | Self::Rollback { arguments, .. }
            | Self::Pin { arguments, .. }
            | Self::Unpin(arguments) => arguments.clone(),
        };
        let config = DistributorConfig::load(&arguments.config)?;
        let now = config.clock().now();
        let policy = TrustFile::load(&config.trust)?.trust;
        let sets = Sets::new(config, policy);
        let set = match self {
            Self::Status(_) => {
                let status = sets.status(now)?;
                if arguments.json {
                    print_json(&status);
                } else {
                    print(&text_of(&status, now));
                }
                return Ok(());
            }
            Self::Rollback { to, .. } => sets.roll_back(to, now)?,
            Self::Pin { set, .. } => sets.pin(set, now)?,
            Self::Unpin(_) => sets.unpin(now)?,
        };
        let made = Made::of(&set);
        if arguments.json {
            print_json(&made);
        } else {
            print(&made.text());
        }
        Ok(())
    }
}

impl Made {
    fn of(set: &TrustedSet) -> Self {
        let pin = set.pin.as_ref();
        Self {
            current: set.number,
            pinned: pin.map(|pin| pin.set),
            rolled_back_from: pin.and_then(|pin| pin.rolled_back_from),
        }
    }

    fn text(&self) -> String {
        let current = self.current;
        match (self.pinned, self.rolled_back_from) {
            (Some(set), Some(from)) => format!(
                "rolled back: set {current} has the landmarks of set {set} in place of those of set {from}, until mtc5g distribute unpin\n"
            ),
            (Some(set), None) => format!(
                "pinned: set {current} has the landmarks of set {set}, until mtc5g distribute unpin\n"
            ),
            (None, _) => {
                format!("set {current} is current, and newer landmarks replace it\n")
            }
        }
    }
}

fn text_of(status: &Status, now: UnixTime) -> String {
    let ago = |time: u64| now.0.saturating_sub(time);
    let mut text = match status.checked {
        Some(checked) => format!("logs asked {} s ago\n", ago(checked)),
        None => "logs never asked\n".to_owned(),
    };
    for set in &status.sets {
        let SetSummary {
            number,
            made,
            log,
            landmark,
            expires,
            pin,
            refused,
        } = set;
        let mark = if status.current == Some(*number) {
            '*'
        } else {
            ' '
        };
        // Writing to a string does not fail.
        let _ = write!(text, "{mark} set {number}  {} s old", ago(*made));
        if !landmark.is_empty() {
            let _ = write!(text, "  landmark {landmark} of log {log}");
        }
        let _ = match (refused, expires) {
            (Some(refused), _) => write!(text, "  REFUSED: {refused}"),
            (None, Some(expires)) if *expires > now.0 => {
                write!(text, "  expires in {} s", expires - now.0)
            }
            (None, Some(_)) => write!(text, "  expired"),
            (None, None) => write!(text, "  no landmarks"),
        };
        if let Some(pin) = pin {
            let how = match pin.rolled_back_from {
                Some(from) => format!("ROLLED BACK from set {from} to"),
                None => "PINNED to".to_owned(),
            };
            let _ = write!(text, "  {how} set {} {} s ago", pin.set, ago(pin.since));
        }
        text.push('\n');
    }
    text
}
