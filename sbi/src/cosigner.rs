//! What the processes that cosign for the CA's logs have in common: a key in a file, and the logs that they know.

use std::path::{Path, PathBuf};

use mtc_core::cosign::{Cosigner, KeyError};
use mtc_core::id::{IdError, LogId, LogNumber};
use mtc_log::{CosigningKey, WitnessedLog};
use mtc_tls::key::{NfKey, NfKeyError};
use zeroize::Zeroizing;

/// Logs after those that are known that a cosigner knows too: it keeps a few kilobytes for each, and logs that fail more
/// often have an operator who lists the newest one in the trust file.
const LOGS_AHEAD: u64 = 255;

/// Why a cosigner cannot cosign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CosignerError {
    /// The file of its key cannot be read.
    #[error("cannot read the cosigner's key {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// What is in it is no key.
    #[error("the cosigner's key {}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NfKeyError,
    },
    /// The key cannot cosign.
    #[error("the cosigner's key")]
    CosigningKey(#[from] KeyError),
    /// The cosigner's ID is none, or the CA's is too long for a log.
    #[error("the cosigner's ID, or the CA's")]
    Id(#[from] IdError),
}

/// The key in a file (PKCS#8 PEM), as that of the cosigner `id`. Blocks on the disk.
///
/// # Errors
/// It cannot be read, or cannot cosign; the ID is none.
pub fn read_key(id: &str, path: &Path) -> Result<CosigningKey, CosignerError> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| CosignerError::Read {
            path: path.to_owned(),
            source,
        })?;
    let key = NfKey::from_pem(&text).map_err(|source| CosignerError::Key {
        path: path.to_owned(),
        source,
    })?;
    Ok(CosigningKey::new(id.parse()?, key.into_secret())?)
}

/// The logs of a CA that are cosigned for: those that are known, and those with which the CA may go on after them without anybody
/// telling its cosigners. That the CA signs for them is checked with each checkpoint.
///
/// # Errors
/// The CA's ID is too long for a log.
pub fn logs(ca: &Cosigner, known: &[LogNumber]) -> Result<Vec<WitnessedLog>, IdError> {
    let logs = numbers(known).map(|number| {
        Ok(WitnessedLog {
            id: LogId::new(ca.id, number)?,
            ca: ca.clone(),
        })
    });
    logs.collect()
}

fn numbers(known: &[LogNumber]) -> impl Iterator<Item = LogNumber> {
    let last = known.iter().max().map_or(0, |log| u64::from(log.get()));
    let after = last + 1..=last + LOGS_AHEAD;
    let known = known.iter().map(|log| u64::from(log.get()));
    known
        .chain(after)
        .filter_map(|number| LogNumber::new(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers_of(known: &[u64]) -> Vec<u16> {
        let known = known
            .iter()
            .map(|log| LogNumber::new(*log).expect("a log number"));
        let known: Vec<_> = known.collect();
        numbers(&known).map(LogNumber::get).collect()
    }

    #[test]
    fn the_logs_after_the_known_ones_are_cosigned_for_too() {
        assert_eq!(numbers_of(&[1]), (1..=256).collect::<Vec<_>>());
        assert_eq!(numbers_of(&[3, 1])[..4], [3, 1, 4, 5]);
        assert_eq!(numbers_of(&[65535]), [65535]);
        assert_eq!(numbers_of(&[65530]), (65530..=65535).collect::<Vec<_>>());
    }
}
