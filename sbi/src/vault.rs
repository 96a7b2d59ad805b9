//! The keys and certificates of an NF instance on disk, so that a restart needs no new enrolment.
//!
//! One JSON file an instance, mode 0600, replaced as a whole (temporary file, fsync, rename): it is complete or as before. A checksum
//! in it tells damage: the proof of a landmark-relative certificate says nothing to its owner, and only peers would notice.
//! One process has it at a time: a lock (`<instance>.lock`, which stays) is held as long as the vault is.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mtc_core::certificate::Certificate;
use mtc_core::id::{LandmarkNumber, LogNumber};
use mtc_core::time::UnixTime;
use mtc_core::verify::Rejection;
use mtc_log::lock_file;
use mtc_tls::credentials::{
    Credential, CredentialError, LandmarkCredential, MtcCredential, X509Credential,
};
use mtc_tls::key::{NfKey, NfKeyError, X509Profile};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::checksum::sha256;
use crate::durable::Folder;
use crate::enrolment::MTC_PROFILE;
use mtc_core::causes::Causes;

/// Why stored credentials cannot be used or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The disk failed.
    #[error("cannot {doing} {}", path.display())]
    Disk {
        /// `read`, `write`, `create`, `set aside` or `lock`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process is this instance.
    #[error(
        "{} is locked: another process runs this NF instance with the same state folder; stop it, or give this one another state and id",
        path.display()
    )]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// The file is not what was written.
    #[error("{} is damaged; remove it and enrol again with a new token", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The credentials that are stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// One a certificate.
    pub credentials: Vec<StoredCredential>,
    /// Requests with tokens that may have been answered: the answers are not here yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<StoredRequest>,
    /// SHA-256 of the file without this member. Files of older versions have none: they are read, and get one when they are
    /// replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// What is stored is not what the checksum was made of.
#[derive(Debug, thiserror::Error)]
#[error("it does not match its checksum")]
struct Checksum;

impl Stored {
    /// The file's text.
    fn to_text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("stored credentials have string keys and do not fail")
    }

    /// A copy that carries its checksum.
    fn sealed(&self) -> Self {
        let mut sealed = self.clone();
        sealed.sha256 = None;
        sealed.sha256 = Some(sha256(&sealed.to_text()));
        sealed
    }

    /// Lets go of keys and certificates: what is left says which there are and when they are due.
    pub(crate) fn forget_texts(&mut self) {
        let credentials = self.credentials.iter_mut();
        credentials.for_each(StoredCredential::forget_texts);
    }

    /// Takes keys and certificates again from `stored`, which is what is on the disk; whether all were there.
    pub(crate) fn recall_texts(&mut self, stored: Self) -> bool {
        let mut stored = stored.credentials;
        self.credentials.iter_mut().all(|own| {
            let is_it = |other: &StoredCredential| {
                other.profile == own.profile && other.leaf_key == own.leaf_key
            };
            let found = stored.iter().position(is_it);
            found.is_some_and(|at| {
                own.take_texts(stored.swap_remove(at));
                true
            })
        })
    }

    fn is_whole(&self) -> bool {
        self.sha256.is_none() || self.sha256 == self.sealed().sha256
    }
}

/// A key and the request for its certificate, which is the same when it is repeated. Holds a secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredRequest {
    /// `mtc`, or the name of an X.509 profile.
    pub profile: String,
    /// The key's algorithm.
    pub leaf_key: String,
    /// The name that is asked for.
    pub fqdn: String,
    key: String,
    csr: String,
}

impl std::fmt::Debug for StoredRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredRequest({}, {})", self.profile, self.leaf_key)
    }
}

impl StoredRequest {
    /// A request (DER) for `key`.
    ///
    /// # Errors
    /// The key cannot be encoded.
    pub fn new(profile: String, key: &NfKey, fqdn: String, csr: &[u8]) -> Result<Self, NfKeyError> {
        Ok(Self {
            profile,
            leaf_key: key.algorithm().to_string(),
            fqdn,
            key: STANDARD.encode(key.to_pkcs8()?),
            csr: STANDARD.encode(csr),
        })
    }

    /// The key, and the request (DER).
    ///
    /// # Errors
    /// See [`RestoreError`].
    pub fn restore(&self) -> Result<(NfKey, Vec<u8>), RestoreError> {
        let key = NfKey::from_pkcs8(&STANDARD.decode(&self.key)?)?;
        Ok((key, STANDARD.decode(&self.csr)?))
    }
}

/// A stored key and its certificates. Holds a secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredCredential {
    /// `mtc`, or the name of an X.509 profile.
    pub profile: String,
    /// The key's algorithm.
    pub leaf_key: String,
    key: Zeroizing<String>,
    chain: Vec<String>,
    /// Last second of validity.
    pub not_after: u64,
    /// When to renew it, Unix time.
    pub renew_at: u64,
    /// Where the landmark-relative certificate is to be had; MTC only.
    pub landmark_relative: Option<String>,
    landmark: Option<StoredLandmark>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredLandmark {
    log_number: u64,
    landmark: LandmarkNumber,
    certificate: String,
}

impl std::fmt::Debug for StoredCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "StoredCredential({}, until {})",
            self.profile,
            UnixTime(self.not_after)
        )
    }
}

/// What makes stored text a credential again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// A field is not base64.
    #[error("not base64")]
    Base64(#[from] base64::DecodeError),
    /// The key is not one.
    #[error(transparent)]
    Key(#[from] NfKeyError),
    /// Key and certificate do not belong together.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// Peers would refuse the certificate.
    #[error("the certificate does not verify")]
    Certificate(#[from] Rejection),
    /// The log has no such number.
    #[error(transparent)]
    Log(#[from] mtc_core::id::IdError),
    /// Not a profile.
    #[error(transparent)]
    Profile(#[from] mtc_tls::key::UnknownX509Profile),
}

/// A key and its certificates in DER. Holds a secret.
pub struct CredentialDer {
    /// PKCS#8 of the key.
    pub key: Zeroizing<Vec<u8>>,
    /// The certificate, and the intermediates that lead to a root.
    pub chain: Vec<Vec<u8>>,
    /// The landmark-relative certificate, if it is an MTC's and has been got.
    pub landmark: Option<Vec<u8>>,
}

impl StoredCredential {
    /// What was issued for `key`.
    ///
    /// # Errors
    /// The key cannot be encoded.
    pub fn new(
        profile: String,
        key: &NfKey,
        chain: &[Vec<u8>],
        not_after: u64,
        renew_at: u64,
        landmark_relative: Option<String>,
    ) -> Result<Self, NfKeyError> {
        Ok(Self {
            profile,
            leaf_key: key.algorithm().to_string(),
            key: Zeroizing::new(STANDARD.encode(&*key.to_pkcs8()?)),
            chain: chain
                .iter()
                .map(|certificate| STANDARD.encode(certificate))
                .collect(),
            not_after,
            renew_at,
            landmark_relative,
            landmark: None,
        })
    }

    /// Adds the landmark-relative certificate.
    pub fn set_landmark(
        &mut self,
        log_number: LogNumber,
        landmark: LandmarkNumber,
        certificate: &[u8],
    ) {
        let log_number = log_number.get().into();
        self.landmark = Some(StoredLandmark {
            log_number,
            landmark,
            certificate: STANDARD.encode(certificate),
        });
    }

    /// Lets go of the key and the certificates, which are on the disk.
    fn forget_texts(&mut self) {
        self.key = Zeroizing::default();
        self.chain = Vec::new();
        if let Some(landmark) = &mut self.landmark {
            landmark.certificate = String::new();
        }
    }

    /// Takes key and certificates from `stored`, which is the same credential.
    fn take_texts(&mut self, stored: Self) {
        self.key = stored.key;
        self.chain = stored.chain;
        if let (Some(landmark), Some(stored)) = (&mut self.landmark, stored.landmark) {
            landmark.certificate = stored.certificate;
        }
    }

    /// Whether it is a Merkle Tree Certificate.
    pub fn is_mtc(&self) -> bool {
        self.profile == MTC_PROFILE
    }

    /// Whether its last second has passed.
    pub const fn has_expired(&self, now: UnixTime) -> bool {
        self.not_after < now.0
    }

    /// Whether there will be a landmark-relative certificate that is not here yet.
    pub const fn lacks_landmark(&self) -> bool {
        self.landmark_relative.is_some() && self.landmark.is_none()
    }

    /// The landmark that the landmark-relative certificate belongs to, behind the number of its log.
    pub fn landmark(&self) -> Option<(LogNumber, LandmarkNumber)> {
        let stored = self.landmark.as_ref()?;
        Some((LogNumber::new(stored.log_number).ok()?, stored.landmark))
    }

    /// The log that holds the certificate's entry; none if it is no MTC.
    pub fn log_number(&self) -> Option<LogNumber> {
        let leaf = STANDARD.decode(self.chain.first()?).ok()?;
        let (log_number, _) = Certificate::parse(&leaf).ok()?.entry().ok()?;
        Some(log_number)
    }

    /// Key and certificates as other tools take them.
    ///
    /// # Errors
    /// A field is not base64.
    pub fn der(&self) -> Result<CredentialDer, RestoreError> {
        let landmark = self.landmark.as_ref();
        Ok(CredentialDer {
            key: Zeroizing::new(STANDARD.decode(&*self.key)?),
            chain: self
                .chain
                .iter()
                .map(|certificate| STANDARD.decode(certificate))
                .collect::<Result<_, _>>()?,
            landmark: landmark
                .map(|stored| STANDARD.decode(&stored.certificate))
                .transpose()?,
        })
    }

    fn key_and_chain(&self) -> Result<(NfKey, Credential), RestoreError> {
        let key = NfKey::from_pkcs8(&Zeroizing::new(STANDARD.decode(&*self.key)?))?;
        let chain = self
            .chain
            .iter()
            .map(|certificate| STANDARD.decode(certificate))
            .collect::<Result<_, _>>()?;
        let credential = Credential::new(chain, &key, UnixTime(self.not_after))?;
        Ok((key, credential))
    }

    /// The MTC credential for TLS.
    ///
    /// # Errors
    /// See [`RestoreError`].
    pub fn mtc(&self) -> Result<MtcCredential, RestoreError> {
        let (_, standalone) = self.key_and_chain()?;
        let landmark = self.landmark.as_ref().map(|stored| {
            let leaf = STANDARD.decode(&stored.certificate)?;
            Ok::<_, RestoreError>(LandmarkCredential {
                log_number: LogNumber::new(stored.log_number)?,
                landmark: stored.landmark,
                credential: standalone.of_same_key(leaf)?,
            })
        });
        Ok(MtcCredential::new(standalone, landmark.transpose()?))
    }

    /// The X.509 credential for TLS.
    ///
    /// # Errors
    /// See [`RestoreError`].
    pub fn x509(&self, profile: X509Profile) -> Result<X509Credential, RestoreError> {
        Ok(X509Credential {
            profile,
            credential: self.key_and_chain()?.1,
        })
    }
}

/// The file of one NF instance.
#[derive(Clone, Debug)]
pub struct Vault {
    folder: Arc<Folder>,
    path: PathBuf,
    /// What a damaged file is moved to.
    set_aside: Option<PathBuf>,
    /// Locked until the last clone is gone, or the process.
    _lock: Arc<File>,
}

impl Vault {
    /// The vault of an instance below `folder`, which is made (mode 0700) if it does not exist. Blocks on the disk.
    ///
    /// # Errors
    /// The folder cannot be made, or another process has the vault.
    pub fn open(folder: &Path, instance: Uuid) -> Result<Self, VaultError> {
        Self::beside(&folder_of_vaults(folder)?, instance)
    }

    /// The vault of an instance among others in a folder. Blocks on the disk.
    ///
    /// # Errors
    /// Another process has the vault.
    pub fn beside(folder: &Arc<Folder>, instance: Uuid) -> Result<Self, VaultError> {
        let path = folder.path();
        Ok(Self {
            folder: Arc::clone(folder),
            path: path.join(format!("{instance}.json")),
            set_aside: None,
            _lock: Arc::new(lock(&path.join(format!("{instance}.lock")))?),
        })
    }

    /// Sets a damaged file aside with a warning, as if nothing were stored, instead of failing: for an instance that can get new
    /// certificates at any time.
    #[must_use]
    pub fn replaceable(mut self) -> Self {
        self.set_aside = Some(self.path.with_extension("damaged"));
        self
    }

    /// Reads what is stored; nothing if there is no file. Blocks on the disk.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub fn load(&self) -> Result<Stored, VaultError> {
        let read = self.read();
        match (&read, &self.set_aside) {
            (Err(error @ VaultError::Damaged { .. }), Some(set_aside)) => {
                fs::rename(&self.path, set_aside)
                    .map_err(|source| self.disk("set aside", source))?;
                tracing::warn!(
                    error = %Causes(error),
                    kept = %set_aside.display(),
                    "stored certificates are set aside, issuing new ones"
                );
                Ok(Stored::default())
            }
            _ => read,
        }
    }

    fn read(&self) -> Result<Stored, VaultError> {
        match read(&self.path) {
            Err(VaultError::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Stored::default())
            }
            read => read,
        }
    }

    /// Replaces what is stored. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails; what was stored before stays.
    pub fn save(&self, stored: &Stored) -> Result<(), VaultError> {
        let text = Zeroizing::new(stored.sealed().to_text());
        let name = self.path.file_name().and_then(OsStr::to_str);
        let name = name.expect("a vault is named after a UUID");
        let replaced = self.folder.replace(name, &text);
        replaced.map_err(|source| self.disk("write", source))
    }

    /// The error for stored text that does not make a credential.
    pub fn damaged(&self, source: Box<dyn std::error::Error + Send + Sync>) -> VaultError {
        VaultError::Damaged {
            path: self.path.clone(),
            source,
        }
    }

    fn disk(&self, doing: &'static str, source: io::Error) -> VaultError {
        VaultError::Disk {
            doing,
            path: self.path.clone(),
            source,
        }
    }
}

/// The folder of the vaults of a process, which is made (mode 0700) if it does not exist. Blocks on the disk.
///
/// # Errors
/// The folder cannot be made.
pub fn folder_of_vaults(path: &Path) -> Result<Arc<Folder>, VaultError> {
    let opened = Folder::open(path.to_owned());
    opened.map(Arc::new).map_err(|source| VaultError::Disk {
        doing: "create",
        path: path.to_owned(),
        source,
    })
}

/// Reads what an NF instance has stored, also while it runs: the file is replaced as a whole. Blocks on the disk.
///
/// # Errors
/// The file cannot be read, or is none of an NF instance's credentials.
pub fn read(path: &Path) -> Result<Stored, VaultError> {
    let text = fs::read(path).map_err(|source| VaultError::Disk {
        doing: "read",
        path: path.to_owned(),
        source,
    })?;
    let damaged = |source| VaultError::Damaged {
        path: path.to_owned(),
        source,
    };
    let stored: Stored =
        serde_json::from_slice(&Zeroizing::new(text)).map_err(|error| damaged(error.into()))?;
    if !stored.is_whole() {
        return Err(damaged(Checksum.into()));
    }
    Ok(stored)
}

fn lock(path: &Path) -> Result<File, VaultError> {
    let locked = lock_file::take(path).map_err(|source| VaultError::Disk {
        doing: "lock",
        path: path.to_owned(),
        source,
    })?;
    locked.ok_or_else(|| VaultError::Locked {
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use mtc_tls::key::KeyAlgorithm;

    use super::*;

    #[test]
    fn a_vault_has_one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let open = |instance| Vault::open(folder.path(), Uuid::from_u128(instance));
        let vault = open(7).unwrap();
        let clone = vault.clone();
        drop(vault);
        let second = open(7).unwrap_err();
        assert!(matches!(second, VaultError::Locked { .. }), "{second}");
        open(8).unwrap();
        drop(clone);
        open(7).unwrap();
    }

    #[test]
    fn nothing_is_stored_before_the_first_save_and_damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(&folder.path().join("state"), Uuid::from_u128(7)).unwrap();
        assert!(vault.load().unwrap().credentials.is_empty());
        vault.save(&Stored::default()).unwrap();
        assert!(vault.load().unwrap().credentials.is_empty());
        assert_eq!(
            fs::metadata(&vault.path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::write(&vault.path, "{").unwrap();
        assert!(matches!(vault.load(), Err(VaultError::Damaged { .. })));
    }

    /// A vault with a key, a certificate and its landmark-relative form, none of which needs to be real.
    fn filled(folder: &Path) -> Vault {
        let vault = Vault::open(folder, Uuid::from_u128(7)).unwrap();
        let key = NfKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let path = Some("/nnrf-cm/v1/certificates/1/landmark-relative".to_owned());
        let chain = [b"certificate".to_vec()];
        let mut credential =
            StoredCredential::new(MTC_PROFILE.to_owned(), &key, &chain, 9, 8, path).unwrap();
        credential.set_landmark(LogNumber::FIRST, LandmarkNumber(3), b"with a proof");
        let credentials = vec![credential];
        let stored = Stored {
            credentials,
            ..Stored::default()
        };
        vault.save(&stored).unwrap();
        vault
    }

    #[test]
    fn what_was_let_go_of_is_had_again_from_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let vault = filled(folder.path());
        let whole = vault.load().unwrap();
        let mut outline = whole.clone();
        outline.forget_texts();
        let [credential] = outline.credentials.as_slice() else {
            panic!("one credential");
        };
        assert!(credential.key.is_empty() && credential.chain.is_empty());
        assert_eq!(credential.not_after, 9);
        assert!(!credential.lacks_landmark());
        assert!(outline.recall_texts(vault.load().unwrap()));
        assert_eq!(outline.to_text(), whole.to_text());
        assert!(
            !outline.recall_texts(Stored::default()),
            "the disk lacks it"
        );
    }

    // A bit of the proof of a landmark-relative certificate said nothing to its owner, who presented it.
    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let folder = tempfile::tempdir().unwrap();
        let vault = filled(folder.path());
        let whole = fs::read(&vault.path).unwrap();
        let stored = vault.load().unwrap().to_text();
        for octet in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[octet] ^= 1 << (octet % 8);
            fs::write(&vault.path, &flipped).unwrap();
            match vault.load() {
                Err(VaultError::Damaged { path, .. }) => assert_eq!(path, vault.path),
                // Another spelling of the same.
                loaded => assert_eq!(loaded.unwrap().to_text(), stored, "octet {octet}"),
            }
        }
    }

    #[test]
    fn a_file_of_an_older_version_is_read_and_gets_a_checksum() {
        let folder = tempfile::tempdir().unwrap();
        let vault = filled(folder.path());
        let mut older: serde_json::Value =
            serde_json::from_slice(&fs::read(&vault.path).unwrap()).unwrap();
        older.as_object_mut().unwrap().remove("sha256").unwrap();
        fs::write(&vault.path, older.to_string()).unwrap();
        let stored = vault.load().unwrap();
        assert_eq!((stored.credentials.len(), &stored.sha256), (1, &None));
        vault.save(&stored).unwrap();
        assert!(vault.load().unwrap().sha256.is_some());
    }

    #[test]
    fn what_can_be_had_again_is_set_aside_when_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let vault = filled(folder.path()).replaceable();
        let damaged = fs::read_to_string(&vault.path)
            .unwrap()
            .replace("mtc", "mtd");
        fs::write(&vault.path, &damaged).unwrap();
        assert!(vault.load().unwrap().credentials.is_empty());
        assert!(!vault.path.exists());
        let kept = vault.path.with_extension("damaged");
        assert_eq!(fs::read_to_string(kept).unwrap(), damaged);
    }
}
