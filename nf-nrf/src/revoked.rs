//! Certificates that were revoked, by whatever protocol: one file each, in a folder of their own.
//!
//! ```text
//! <SHA-256 of issuer and serial number>.json: { serial, issuer (DER), reason, revokedAt, notAfter }      X.509
//! <first>-<last>.json:                        { first, last, reason, revokedAt }                         serial numbers of the MTCA
//!                                                                     └─> crate::revocation publishes them
//! ```
//!
//! By issuer and serial number, since anybody can make another encoding of a certificate: its landmark-relative form, or one with a cosignature
//! of nobody known. Nobody is certified by this NRF on the strength of such a certificate ([`crate::enrolment`]).

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mtc_core::hex;
use mtc_core::id::TrustAnchorId;
use mtc_core::revocation_list::MAX_RANGES;
use mtc_core::time::UnixTime;
use mtc_core::verify::{RevokedRange, RevokedRanges};
use mtc_core::x509::Certificate;
use mtc_tls::identity::CertificateId;
use mtc_tls::revocation::RevokedCertificate;
use sbi::checksum::sha256;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
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
    /// Nobody could be told.
    #[error(
        "{0} ranges of serial numbers would be revoked, and a list has at most {MAX_RANGES}: revoke what lies between some of them too"
    )]
    TooMany(usize),
    /// It cannot be read, though it was issued or accepted here.
    #[error("the certificate cannot be read")]
    Certificate(#[from] mtc_core::x509::X509Error),
    /// The disk.
    #[error(transparent)]
    File(#[from] FileError),
    /// A record is not one.
    #[error("{} is damaged: restore it; without it, what it revokes would be valid again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The process is ending.
    #[error("the NRF is stopping")]
    Ending(#[from] tokio::task::JoinError),
}

/// The revoked certificates. Clones share them.
#[derive(Clone, Debug)]
pub struct Revoked {
    folder: PrivateFolder,
    /// DER of the Name of the MTCA.
    mtca: Arc<[u8]>,
    /// Names of the files of X.509 certificates.
    known: Arc<Mutex<HashSet<String>>>,
    /// Serial numbers of the MTCA.
    ranges: Arc<watch::Sender<RevokedRanges>>,
    /// Held by whoever adds ranges: how many there may be is looked at before.
    adding: Arc<tokio::sync::Mutex<()>>,
}

/// What a file says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Record {
    /// A certificate.
    #[serde(rename_all = "camelCase")]
    Certificate {
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
    },
    /// Serial numbers of the MTCA.
    #[serde(rename_all = "camelCase")]
    Range {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
        /// `CRLReason`.
        reason: Option<u8>,
        /// Unix time.
        revoked_at: u64,
    },
}

impl Record {
    fn read(folder: &PrivateFolder, name: &str, json: &[u8]) -> Result<Self, RevokedError> {
        serde_json::from_slice(json).map_err(|source| RevokedError::Damaged {
            path: folder.path(name),
            source,
        })
    }

    /// As lists and answers of this issuer (DER of the Name) have it, and until when the certificate is valid; none of another's.
    fn certificate(&self, issuer: &[u8]) -> Option<(RevokedCertificate, UnixTime)> {
        let Self::Certificate {
            serial,
            issuer: of,
            reason,
            revoked_at,
            not_after,
        } = self
        else {
            return None;
        };
        let revoked = RevokedCertificate {
            serial: hex::decode(serial).filter(|_| *of == hex::encode(issuer))?,
            revoked_at: UnixTime(*revoked_at),
            reason: *reason,
        };
        Some((revoked, UnixTime(*not_after)))
    }
}

impl Revoked {
    /// Those in a folder, of a CA that issues Merkle Tree Certificates and of any others. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails, or a record is damaged.
    pub fn open(folder: PrivateFolder, mtca: &TrustAnchorId) -> Result<Self, RevokedError> {
        let mtca = mtca.to_name();
        let mut known = HashSet::new();
        let mut ranges = Vec::new();
        for (name, json) in folder.list(SUFFIX)? {
            match Record::read(&folder, &name, &json)? {
                Record::Range { first, last, .. } => ranges.push(RevokedRange { first, last }),
                Record::Certificate { serial, issuer, .. } => {
                    let id = hex::decode(&issuer).zip(hex::decode(&serial));
                    let id = id.map(|(issuer, serial)| CertificateId::new(&issuer, &serial));
                    // An NRF of before has recorded those of the MTCA like all others.
                    let own = id.as_ref().and_then(|id| serial_of(id, &mtca));
                    ranges.extend(own.map(single));
                    known.insert(name);
                }
            }
        }
        Ok(Self {
            folder,
            mtca: mtca.into(),
            known: Arc::new(Mutex::new(known)),
            ranges: Arc::new(watch::Sender::new(ranges.into_iter().collect())),
            adding: Arc::default(),
        })
    }

    /// Whether a certificate was revoked.
    pub fn contains(&self, certificate: &CertificateId) -> bool {
        match serial_of(certificate, &self.mtca) {
            Some(serial) => self.ranges.borrow().contains(serial),
            None => self.lock().contains(&name(certificate)),
        }
    }

    /// How many X.509 certificates there are: another number says that there are others.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// The X.509 certificates of one issuer (DER of the Name), in the order of their serial numbers; without those that have expired, which
    /// nobody accepts anyway. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails, or a record is damaged.
    pub fn of_issuer(
        &self,
        issuer: &[u8],
        now: UnixTime,
    ) -> Result<Vec<RevokedCertificate>, RevokedError> {
        let mut found = Vec::new();
        for (name, json) in self.folder.list(SUFFIX)? {
            let record = Record::read(&self.folder, &name, &json)?;
            found.extend(
                record
                    .certificate(issuer)
                    .filter(|(_, not_after)| *not_after >= now),
            );
        }
        let mut found: Vec<_> = found.into_iter().map(|(revoked, _)| revoked).collect();
        found.sort_unstable_by(|one, other| one.serial.cmp(&other.serial));
        Ok(found)
    }

    /// The revocation of one X.509 certificate. Blocks on the disk.
    ///
    /// # Errors
    /// As [`Self::of_issuer`].
    pub fn find(
        &self,
        issuer: &[u8],
        serial: &[u8],
    ) -> Result<Option<RevokedCertificate>, RevokedError> {
        let name = name(&CertificateId::new(issuer, serial));
        if !self.lock().contains(&name) {
            return Ok(None);
        }
        let Some(json) = self.folder.read(&name)? else {
            return Ok(None);
        };
        let record = Record::read(&self.folder, &name, &json)?;
        Ok(record.certificate(issuer).map(|(revoked, _)| revoked))
    }

    /// The serial number of a certificate, if it is one of the MTCA.
    pub fn serial(&self, certificate: &CertificateId) -> Option<u64> {
        serial_of(certificate, &self.mtca)
    }

    /// The serial numbers of the MTCA that are revoked, now and from now on.
    pub fn ranges(&self) -> watch::Receiver<RevokedRanges> {
        self.ranges.subscribe()
    }

    /// Records the revocation of a certificate, DER; it survives a crash when this returns.
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
        let id = CertificateId::new(parsed.statement.issuer, parsed.serial);
        self.mark_id(&id, parsed.statement.not_after, reason, now)
            .await
    }

    /// As [`Self::mark`], of a certificate that is valid until `not_after`.
    ///
    /// # Errors
    /// As [`Self::mark`].
    pub async fn mark_id(
        &self,
        certificate: &CertificateId,
        not_after: UnixTime,
        reason: Option<u8>,
        now: UnixTime,
    ) -> Result<(), RevokedError> {
        if self.contains(certificate) {
            return Err(RevokedError::Already);
        }
        if let Some(serial) = serial_of(certificate, &self.mtca) {
            return self.revoke([single(serial)], reason, now).await;
        }
        let name = name(certificate);
        let record = Record::Certificate {
            serial: hex::encode(certificate.serial()),
            issuer: hex::encode(certificate.issuer()),
            reason,
            revoked_at: now.0,
            not_after: not_after.0,
        };
        self.write(name.clone(), &record).await?;
        self.lock().insert(name);
        Ok(())
    }

    /// Records the revocation of serial numbers of the MTCA; it survives a crash when this returns. What was revoked before stays so.
    ///
    /// # Errors
    /// There would be too many ranges, or the disk fails: some of these may have been recorded then.
    pub async fn revoke(
        &self,
        ranges: impl IntoIterator<Item = RevokedRange>,
        reason: Option<u8>,
        now: UnixTime,
    ) -> Result<(), RevokedError> {
        let _adding = self.adding.lock().await;
        let before = self.ranges.borrow().clone();
        let new: Vec<_> = ranges
            .into_iter()
            .filter(|range| !before.covers(*range))
            .collect();
        let all: RevokedRanges = before.iter().chain(new.iter().copied()).collect();
        if all.len() > MAX_RANGES {
            return Err(RevokedError::TooMany(all.len()));
        }
        for RevokedRange { first, last } in new {
            let record = Record::Range {
                first,
                last,
                reason,
                revoked_at: now.0,
            };
            let name = format!("{first:016x}-{last:016x}{SUFFIX}");
            self.write(name, &record).await?;
            let range = RevokedRange { first, last };
            self.ranges
                .send_modify(|ranges| *ranges = ranges.with(range));
        }
        Ok(())
    }

    async fn write(&self, name: String, record: &Record) -> Result<(), RevokedError> {
        let json = serde_json::to_vec(record).expect("numbers and texts do not fail");
        let folder = self.folder.clone();
        spawn_blocking(move || folder.write_durably(&name, &json)).await??;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn single(serial: u64) -> RevokedRange {
    RevokedRange {
        first: serial,
        last: serial,
    }
}

/// The serial number of a certificate of this CA.
fn serial_of(certificate: &CertificateId, issuer: &[u8]) -> Option<u64> {
    let serial = certificate.small_serial();
    serial.filter(|_| certificate.issuer() == issuer)
}

fn name(certificate: &CertificateId) -> String {
    format!("{}{SUFFIX}", sha256(certificate.octets()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CA: &str = "32473.1";

    fn open(folder: &tempfile::TempDir) -> Result<Revoked, RevokedError> {
        let folder = PrivateFolder::open(folder.path().to_owned()).unwrap();
        Revoked::open(folder, &CA.parse().unwrap())
    }

    #[tokio::test]
    async fn a_revocation_survives_a_restart_and_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = rcgen::generate_simple_self_signed(["amf1.test".to_owned()]).unwrap();
        let certificate = certificate.cert.der();
        let parsed = Certificate::parse(certificate).unwrap();
        let (issuer, serial) = (parsed.statement.issuer, parsed.serial);
        let id = CertificateId::new(issuer, serial);
        let revoked = open(&folder).unwrap();
        assert!(!revoked.contains(&id));
        revoked
            .mark(certificate, Some(1), UnixTime(7))
            .await
            .unwrap();
        assert!(revoked.contains(&id));
        let entry = RevokedCertificate {
            serial: serial.to_vec(),
            revoked_at: UnixTime(7),
            reason: Some(1),
        };
        assert_eq!(revoked.find(issuer, serial).unwrap(), Some(entry.clone()));
        assert_eq!(revoked.find(b"another", serial).unwrap(), None);
        let of = |issuer: &[u8], now| revoked.of_issuer(issuer, UnixTime(now)).unwrap();
        assert_eq!(of(issuer, 8), [entry]);
        assert_eq!(of(issuer, u64::MAX), []);
        assert_eq!(of(b"another", 8), []);
        let again = open(&folder).unwrap();
        assert!(again.contains(&id));
        assert_eq!(again.count(), 1);
        let other = CertificateId::new(issuer, &[serial, b"1"].concat());
        assert!(!again.contains(&other));
        let error = again.mark(certificate, None, UnixTime(8)).await;
        assert!(matches!(error, Err(RevokedError::Already)));
        let foreign = again.mark(b"no certificate", None, UnixTime(8)).await;
        assert!(matches!(foreign, Err(RevokedError::Certificate(_))));
        assert!(again.ranges().borrow().is_empty());
    }

    #[tokio::test]
    async fn serial_numbers_of_the_mtca_are_ranges_and_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let issuer = CA.parse::<TrustAnchorId>().unwrap().to_name();
        let id = |serial: u8| CertificateId::new(&issuer, &[serial]);
        let revoked = open(&folder).unwrap();
        let range = |first, last| RevokedRange { first, last };
        let given = [range(3, 5), range(9, 9)];
        revoked.revoke(given, Some(1), UnixTime(7)).await.unwrap();
        revoked
            .mark_id(&id(6), UnixTime(9), None, UnixTime(8))
            .await
            .unwrap();
        for revoked in [&revoked, &open(&folder).unwrap()] {
            let ranges: Vec<_> = revoked.ranges().borrow().iter().collect();
            assert_eq!(ranges, [range(3, 6), range(9, 9)]);
            assert!(revoked.contains(&id(4)) && !revoked.contains(&id(7)));
            assert!(!revoked.contains(&CertificateId::new(b"another CA", &[4])));
            let again = revoked
                .mark_id(&id(4), UnixTime(9), None, UnixTime(8))
                .await;
            assert!(matches!(again, Err(RevokedError::Already)));
        }
        let many = (0..MAX_RANGES as u64).map(|at| range(100 + 2 * at, 100 + 2 * at));
        let error = revoked.revoke(many, None, UnixTime(8)).await;
        assert!(matches!(error, Err(RevokedError::TooMany(count)) if count == MAX_RANGES + 2));
    }

    #[test]
    fn a_damaged_record_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("0-1.json"), "{\"first\":0").unwrap();
        assert!(matches!(open(&folder), Err(RevokedError::Damaged { .. })));
    }
}
