//! `mtc5g log repair DIR`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use mtc_core::checkpoint::{Checkpoint, CheckpointError};
use mtc_core::id::{IdError, LogId};
use mtc_core::note::{NoteError, SignedNote};
use mtc_core::verify::CaTrust;
use mtc_log::{
    CaCheckpoint, DirectoryStorage, Object, Repaired, Storage, StorageError, TreeError,
    read_object, repair,
};
use thiserror::Error;

use super::blocking;
use crate::cli::exit::{COULD_NOT_RUN, DONE, fail};
use crate::cli::output::{print, usage};
use crate::cli::trust::TrustArguments;

/// A log to repair
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mtc5g log repair lab/log --trust lab/trust.toml

The NRF must not run. Every tile is compared with state/signed-checkpoint, from the top, and one that is damaged or missing is made
anew from the entries, or from the tiles below it. Nothing is written that does not lead to the signed root. A bundle of entries
cannot be made from anything: restore it from a copy of the log. With --trust or --ca the signature of state/signed-checkpoint is
verified first, and a served checkpoint that the CA has not signed is replaced by it; the NRF has that cosigned when it starts.

Exit status: 0 the log is whole, 1 it is not or cannot be read, 2 usage.
Formats: docs/tools.md.")]
pub(in crate::cli) struct RepairArguments {
    /// Folder in which the NRF keeps the log; contains log/ and state/
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    trust: TrustArguments,
}

/// Why nothing was repaired.
#[derive(Debug, Error)]
enum RepairError {
    #[error("cannot lock the log in {}; stop the NRF that runs on it", folder.display())]
    Locked {
        folder: PathBuf,
        source: StorageError,
    },
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("there is no log in {}: it has no state/signed-checkpoint", .0.display())]
    NoLog(PathBuf),
    #[error("state/signed-checkpoint is not a note")]
    Note(#[from] NoteError),
    #[error("state/signed-checkpoint is not a checkpoint of a log, or not signed by the CA")]
    Checkpoint(#[from] CheckpointError),
    #[error("state/signed-checkpoint is of {origin}, which is not a log")]
    Origin { origin: String, source: IdError },
    #[error(
        "the log is damaged beyond what its other files can restore: restore the latest copy of the files"
    )]
    Beyond(#[from] TreeError),
}

impl RepairArguments {
    pub(super) async fn run(self) -> ExitCode {
        let trust = match self.trust.resolve() {
            Ok(trust) => trust,
            Err(error) => return usage(&error, "log repair"),
        };
        let folder = self.folder;
        match blocking(move || mend(folder, trust.as_ref())).await {
            Ok(repaired) => {
                print(&text(&repaired));
                ExitCode::from(if repaired.lost.is_empty() {
                    DONE
                } else {
                    COULD_NOT_RUN
                })
            }
            Err(error) => fail(&error),
        }
    }
}

fn mend(folder: PathBuf, trust: Option<&CaTrust>) -> Result<Repaired, RepairError> {
    // Opening makes files, which do not belong into a folder that was named by mistake.
    if read_object(&folder, &Object::SignedCheckpoint)?.is_none() {
        return Err(RepairError::NoLog(folder));
    }
    let storage = match DirectoryStorage::open(&folder) {
        Ok(storage) => Arc::new(storage),
        Err(source @ StorageError::Locked { .. }) => {
            return Err(RepairError::Locked { folder, source });
        }
        Err(error) => return Err(error.into()),
    };
    let signed = storage.get(&Object::SignedCheckpoint)?;
    let signed = signed.ok_or(RepairError::NoLog(folder))?;
    let checkpoint = Checkpoint::parse(&SignedNote::parse(&signed)?.text)?;
    let log = LogId::from_origin(&checkpoint.origin).map_err(|source| RepairError::Origin {
        origin: checkpoint.origin.clone(),
        source,
    })?;
    if let Some(trust) = trust {
        CaCheckpoint::verify(&signed, &log, trust.cosigner())?;
    }
    let mut repaired = repair(storage.clone(), checkpoint.size, checkpoint.root)?;
    // One that the CA has signed is left alone even if it contradicts the other: that is no damage, but two histories.
    if let Some(trust) = trust
        && let Some(served) = storage.get(&Object::Checkpoint)?
        && CaCheckpoint::verify(&served, &log, trust.cosigner()).is_err()
    {
        storage.put(&Object::Checkpoint, &signed)?;
        repaired.restored.push(Object::Checkpoint);
    }
    Ok(repaired)
}

fn text(repaired: &Repaired) -> String {
    let Repaired { restored, lost } = repaired;
    let mut text = String::new();
    for object in restored {
        text.push_str(&format!("restored    {object}\n"));
    }
    for object in lost {
        text.push_str(&format!("LOST        {object}: restore it from a copy\n"));
    }
    text.push_str(match (restored.is_empty(), lost.is_empty()) {
        (true, true) => "verdict     nothing was damaged\n",
        (false, true) => "verdict     whole again\n",
        (_, false) => "verdict     STILL DAMAGED\n",
    });
    text
}
