//! `mtc5g log keys`

use std::process::ExitCode;

use mtc_core::checkpoint::CheckpointError;
use mtc_core::id::{IdError, LogId, LogNumber};
use mtc_core::verify::CaTrust;
use mtc_core::vkey;
use thiserror::Error;

use crate::cli::exit::{DONE, fail};
use crate::cli::output::{print, usage};
use crate::cli::trust::TrustArguments;

/// Whose keys to print
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mtc5g log keys --trust lab/trust.toml
  mtc5g log keys --trust lab/trust.toml --log-list 4 >logs.txt

A verifier key (vkey, c2sp.org/signed-note) is a name, a key ID and a key in one word. The CA's is the first; a witness is told of it,
with the origin of each log, and --log-list writes both in the form of a witness network's list of logs. The others are those of the
witnesses and mirrors that the trust file has in its groups.

Exit status: 0 printed, 1 a key has no such form (it is not of ML-DSA-44), 2 usage.
Formats: docs/tools.md.")]
pub(in crate::cli) struct KeysArguments {
    /// Print a list of logs for a witness (logs/v0): logs 1 to N of the CA, with those that it may go on with
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    log_list: Option<u16>,
    #[command(flatten)]
    trust: TrustArguments,
}

/// Why nothing is printed.
#[derive(Debug, Error)]
enum KeysError {
    #[error("whose keys? give --trust or --ca")]
    Nobody,
    #[error("{0}")]
    Key(mtc_core::id::TrustAnchorId, #[source] CheckpointError),
    #[error("log {0}")]
    Log(u16, #[source] IdError),
}

impl KeysArguments {
    pub(super) fn run(self) -> ExitCode {
        let trust = match self.trust.resolve() {
            Ok(Some(trust)) => trust,
            Ok(None) => return usage(&KeysError::Nobody, "log keys"),
            Err(error) => return usage(&error, "log keys"),
        };
        let text = match self.log_list {
            Some(logs) => log_list(&trust, logs),
            None => keys(&trust),
        };
        match text {
            Ok(text) => {
                print(&text);
                ExitCode::from(DONE)
            }
            Err(error) => fail(&error),
        }
    }
}

/// The CA's key and those of its cosigners, a line each.
fn keys(trust: &CaTrust) -> Result<String, KeysError> {
    let members = trust.groups().iter().flat_map(|group| group.members());
    let mut lines: Vec<String> = Vec::new();
    for cosigner in std::iter::once(trust.cosigner()).chain(members) {
        let key = vkey::encode(cosigner).map_err(|error| KeysError::Key(cosigner.id, error))?;
        if !lines.contains(&key) {
            lines.push(key);
        }
    }
    Ok(lines.join("\n") + "\n")
}

/// The list of logs that witnesses read.
fn log_list(trust: &CaTrust, logs: u16) -> Result<String, KeysError> {
    let ca = trust.cosigner();
    let key = vkey::encode(ca).map_err(|error| KeysError::Key(ca.id, error))?;
    let mut text = "logs/v0\n".to_owned();
    for number in 1..=logs {
        let log = LogNumber::new(u64::from(number)).and_then(|number| LogId::new(ca.id, number));
        let log = log.map_err(|error| KeysError::Log(number, error))?;
        text.push_str(&format!("\nvkey {key}\norigin {}\n", log.origin()));
    }
    Ok(text)
}
