//! Registered profiles on disk, so that a restarted NRF knows its NFs.

use std::time::Instant;

use mtc_core::causes::Causes;
use sbi::model::NfProfile;

use crate::files::{FileError, PrivateFolder};
use crate::registry::{Change, MAX_PROFILE, Registry, Settings};

const SUFFIX: &str = ".json";
/// Most octets of a file: those of a profile, and as many again for the few by which the NRF's own changes (its status, when
/// heartbeats are missing) lengthen it. A larger one is not from here and is not read: it must not keep the NRF from starting.
const MAX_FILE: u64 = 2 * MAX_PROFILE as u64;

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
    let mut profiles = Vec::new();
    for name in folder.names(SUFFIX)? {
        let Some(bytes) = folder.read_at_most(&name, MAX_FILE)? else {
            tracing::warn!(
                file = name,
                octets = MAX_FILE,
                "skipping a stored profile that is too large"
            );
            continue;
        };
        match serde_json::from_slice::<NfProfile>(&bytes) {
            Ok(profile) => profiles.push(profile),
            Err(error) => {
                tracing::warn!(file = name, %error, "skipping a damaged stored profile");
            }
        }
    }
    Ok(Registry::restore(settings, profiles, now))
}

/// Stores a change. Blocks on the disk. A profile that cannot be stored is registered all the same: its NF would have to register again
/// after a restart, which is what it does when it is unknown.
pub(crate) fn store(folder: &PrivateFolder, change: &Change) {
    let stored = match change {
        Change::Registered(profile) | Change::ProfileChanged { after: profile, .. } => {
            let json = serde_json::to_vec(&**profile)
                .expect("a profile has string keys and does not fail");
            folder.write(&format!("{}{SUFFIX}", profile.nf_instance_id), &json)
        }
        Change::LoadChanged { .. } => Ok(()),
        Change::Deregistered(profile) => {
            folder.remove(&format!("{}{SUFFIX}", profile.nf_instance_id))
        }
    };
    if let Err(error) = stored {
        tracing::error!(error = %Causes(&error), "cannot store a change of the registry");
    }
}

#[cfg(test)]
mod tests {
    use sbi::model::{NfInstanceId, NfType};

    use super::*;

    #[test]
    fn a_file_that_is_too_large_is_left_out_and_the_others_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open(folder.path().to_owned()).unwrap();
        let store = |profile: &NfProfile| {
            let json = serde_json::to_vec(profile).unwrap();
            folder
                .write(&format!("{}{SUFFIX}", profile.nf_instance_id), &json)
                .unwrap();
        };
        let known = NfProfile::new(NfInstanceId::random(), NfType::Amf, "amf1.example.org");
        store(&known);
        let mut large = NfProfile::new(NfInstanceId::random(), NfType::Amf, "amf2.example.org");
        let member = "x".repeat(3 * MAX_PROFILE).into();
        large.other.insert("vendor".to_owned(), member);
        store(&large);
        let registry = restore(&folder, Settings::default(), Instant::now()).unwrap();
        let restored: Vec<_> = registry.profiles().map(|p| p.nf_instance_id).collect();
        assert_eq!(restored, [known.nf_instance_id]);
    }
}
