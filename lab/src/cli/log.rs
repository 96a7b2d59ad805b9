//! `mtc5g log ...`

mod keys;
mod monitor;
mod prove;
mod repair;
mod restore;
mod verify;

use std::process::ExitCode;

use mtc_core::id::TreeSize;
use mtc_core::verify::CaTrust;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::output::usage;
use super::trust::TrustArguments;
use mtc_tools::public_log::{CheckpointSignature, Observed, PublicLog, SignatureState};

/// What to do with an issuance log.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum LogCommand {
    /// Recompute a whole log and compare it with its tiles, checkpoint and landmarks
    Verify(verify::VerifyArguments),
    /// Prove that an entry, or a certificate's entry, is in a log
    Prove(prove::ProveArguments),
    /// Restore damaged tiles of a log from its other files
    Repair(repair::RepairArguments),
    /// Make a lost log again from a mirror, or another copy of it
    Restore(restore::RestoreArguments),
    /// Follow a log: print new entries, and exit when it shows two histories
    Monitor(monitor::MonitorArguments),
    /// Print the keys of a CA and its witnesses in the form that the logs and witnesses of others read
    Keys(keys::KeysArguments),
}

impl LogCommand {
    pub(super) async fn run(self) -> ExitCode {
        match self {
            Self::Verify(arguments) => arguments.run().await,
            Self::Prove(arguments) => arguments.run().await,
            Self::Repair(arguments) => arguments.run().await,
            Self::Restore(arguments) => arguments.run().await,
            Self::Monitor(arguments) => arguments.run().await,
            Self::Keys(arguments) => arguments.run(),
        }
    }
}

/// The log at a place and whom to believe about it; or the usage error.
fn open(
    place: &str,
    trust: &TrustArguments,
    command: &str,
) -> Result<(PublicLog, Option<CaTrust>), ExitCode> {
    let trust = trust.resolve().map_err(|error| usage(&error, command))?;
    let log = PublicLog::at(place, Handle::current()).map_err(|error| usage(&error, command))?;
    Ok((log, trust))
}

/// Reads a log where that may block: on a thread of its own, which the end of the process does not wait for. For a blocking
/// task the runtime would, and one that writes to a pipe which nobody reads never ends.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        // With nobody to hear it, the process is about to end.
        let _ = tell.send(work());
    });
    told.await.expect("reading a log does not panic")
}

/// A checkpoint in a line.
fn checkpoint_text(observed: &Observed) -> String {
    let plural = if observed.checkpoint.size == TreeSize(1) {
        "entry"
    } else {
        "entries"
    };
    format!(
        "{} {plural}, root {}",
        observed.checkpoint.size,
        mtc_core::hex::encode(&observed.checkpoint.root)
    )
}

/// The signatures of a checkpoint in a line.
pub(super) fn signatures_text(signatures: &[CheckpointSignature]) -> String {
    let names: Vec<_> = signatures
        .iter()
        .map(|signature| {
            let name = signature
                .name
                .strip_prefix("oid/1.3.6.1.4.1.")
                .unwrap_or(&signature.name);
            match (signature.state, &signature.time) {
                (SignatureState::Verified, Some(time)) => format!("{name} verified, of {time}"),
                (SignatureState::Verified, None) => format!("{name} verified"),
                (SignatureState::Unknown, _) => format!("{name} unknown"),
                (SignatureState::NotChecked, _) => name.to_owned(),
            }
        })
        .collect();
    let unchecked = signatures
        .iter()
        .any(|signature| signature.state == SignatureState::NotChecked);
    match (names.is_empty(), unchecked) {
        (true, _) => "none".to_owned(),
        (_, true) => format!(
            "NOT CHECKED ({}): anybody could have made this log; give --trust or --ca",
            names.join(", ")
        ),
        (_, false) => names.join("; "),
    }
}
