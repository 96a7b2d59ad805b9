//! Certificates that were revoked, by whatever protocol: one file each, in a folder of their own.
//!
//! ```text
//! <SHA-256 of issuer and serial number>.json: { serial, issuer (DER), reason, revokedAt, notAfter }
//! ```
//!
//! By issuer and serial number, since anybody can make another encoding of a certificate: its landmark-relative form, or one with a cosignature
//! of nobody known. Nobody is certified by this NRF on the strength of such a certificate ([`crate::enrolment`]).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mtc_core::hex;
use mtc_core::time::UnixTime;
use mtc_core::x509::Certificate;
use mtc_tls::identity::CertificateId;
use sbi::checksum::sha256;
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::files::{FileError, PrivateFolder};

const SUFFIX: &str = ".json";

/// Why a revocation is not recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokedError {
    /// It has been before.
    #[error("the certificate has been revoked already")]
    Already,
    /// It cannot be read, though it was issued or accepted here.
    #[error("the certificate cannot be read")]
    Certificate(#[from] mtc_core::x509::X509Error),
    /// The disk.
    #[error(transparent)]
    File(#[from] FileError),
    /// The process is ending.
    #[error("the NRF is stopping")]
    Ending(#[from] tokio::task::JoinError),
}

/// The revoked certificates. Clones share them.
#[derive(Clone, Debug)]
pub struct Revoked {
    folder: PrivateFolder,
    /// Names of the files.
    known: Arc<Mutex<HashSet<String>>>,
}

/// What a file says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    /// Contents octets, hexadecimal.
    serial: String,
    /// DER of the Name, hexadecimal.
    issuer: String,
    /// `CRLReason` (RFC 5280 section 5.3.1).
    reason: Option<u8>,
    /// Unix time.
    revoked_at: u64,
    /// Unix time.
    not_after: u64,
}

impl Revoked {
    /// Those in a folder. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open(folder: PrivateFolder) -> Result<Self, RevokedError> {
        let known = folder.names(SUFFIX)?.into_iter().collect();
        Ok(Self {
            folder,
            known: Arc::new(Mutex::new(known)),
        })
    }

    /// Whether a certificate was revoked.
    pub fn contains(&self, certificate: &CertificateId) -> bool {
        self.lock().contains(&name(certificate))
    }

    /// Records a revocation; it survives a crash when this returns.
    ///
    /// # Errors
    /// It was revoked before, or the disk fails.
    pub async fn mark(
        &self,
        certificate: &[u8],
        reason: Option<u8>,
        now: UnixTime,
    ) -> Result<(), RevokedError> {
        let parsed = Certificate::parse(certificate)?;
        let name = name(&CertificateId::new(parsed.statement.issuer, parsed.serial));
        if self.lock().contains(&name) {
            return Err(RevokedError::Already);
        }
        let record = Record {
            serial: hex::encode(parsed.serial),
            issuer: hex::encode(parsed.statement.issuer),
            reason,
            revoked_at: now.0,
            not_after: parsed.statement.not_after.0,
        };
        let json = serde_json::to_vec(&record).expect("numbers and texts do not fail");
        let (folder, file) = (self.folder.clone(), name.clone());
        spawn_blocking(move || folder.write_durably(&file, &json)).await??;
        self.lock().insert(name);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(certificate: &CertificateId) -> String {
    format!("{}{SUFFIX}", sha256(certificate.octets()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_revocation_survives_a_restart_and_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let folder = PrivateFolder::open(folder.path().to_owned()).unwrap();
            Revoked::open(folder).unwrap()
        };
        let certificate = rcgen::generate_simple_self_signed(["amf1.test".to_owned()]).unwrap();
        let certificate = certificate.cert.der();
        let parsed = Certificate::parse(certificate).unwrap();
        let (issuer, serial) = (parsed.statement.issuer, parsed.serial);
        let id = CertificateId::new(issuer, serial);
        let revoked = open();
        assert!(!revoked.contains(&id));
        revoked
            .mark(certificate, Some(1), UnixTime(7))
            .await
            .unwrap();
        assert!(revoked.contains(&id));
        let again = open();
        assert!(again.contains(&id));
        let other = CertificateId::new(issuer, &[serial, b"1"].concat());
        assert!(!again.contains(&other));
        let error = again.mark(certificate, None, UnixTime(8)).await;
        assert!(matches!(error, Err(RevokedError::Already)));
        let foreign = again.mark(b"no certificate", None, UnixTime(8)).await;
        assert!(matches!(foreign, Err(RevokedError::Certificate(_))));
    }
}
