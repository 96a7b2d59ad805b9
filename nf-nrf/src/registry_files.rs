//! Registered profiles on disk, so that a restarted NRF knows its NFs.

use std::time::Instant;

use sbi::model::NfProfile;
use sbi::telemetry::Causes;

use crate::files::{FileError, PrivateFolder};
use crate::registry::{Change, ChangeSink, Registry, Settings};

const SUFFIX: &str = ".json";

/// The registry as it was stored; files that cannot be read are left out, since their NFs will register again. Blocks on
/// the disk.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn restore(
    folder: &PrivateFolder,
    settings: Settings,
    now: Instant,
) -> Result<Registry, FileError> {
    let profiles = folder.list(SUFFIX)?.into_iter().filter_map(|(name, bytes)| {
        let profile: Result<NfProfile, _> = serde_json::from_slice(&bytes);
        profile.inspect_err(|error| tracing::warn!(file = name, %error, "a stored profile is damaged and left out")).ok()
    });
    Ok(Registry::restore(settings, profiles, now))
}

/// Stores each change. A profile that cannot be stored is registered all the same: its NF would have to register again
/// after a restart, which is what it does when it is unknown.
pub(crate) fn sink(folder: PrivateFolder) -> ChangeSink {
    Box::new(move |change| {
        let stored = match change {
            Change::Registered(profile) | Change::ProfileChanged(profile) => {
                let json = serde_json::to_vec(&**profile)
                    .expect("a profile has string keys and does not fail");
                folder.write(&format!("{}{SUFFIX}", profile.nf_instance_id), &json)
            }
            Change::Deregistered(id) => folder.remove(&format!("{id}{SUFFIX}")),
        };
        if let Err(error) = stored {
            tracing::error!(error = %Causes(&error), "a change of the registry is not on disk");
        }
    })
}
