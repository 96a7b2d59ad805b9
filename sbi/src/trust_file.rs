//! `trust.toml`: what an NF has to be told before it can trust its operator's MTCA. Public, the same for every NF.
//!
//! ```toml
//! ca_certificate = "mtca/ca.pem"     # unsigned (RFC 9925), relative to this file
//! logs = [1]                         # numbers of the issuance logs that are known; later ones are found
//! remember_subtrees = 1024           # so many subtrees whose cosignatures were verified are remembered; default 0
//! token_keys = "token-keys.json"     # public keys of the NRF's access tokens, if it issues some
//!
//! [[cosigner]]                       # witnesses; the CA cosigner is in the certificate
//! id = "32473.2"
//! algorithm = "ml-dsa-44"
//! public_key = "<base64 of the bare key>"
//!
//! [[group]]                          # besides the CA, so many of these must have cosigned
//! required = 1
//! members = ["32473.2"]
//! ```
//!
//! ```text
//!  file ──TOML──> TrustDocument ──resolve──> TrustFile { CaTrust, logs, cosigners, token_keys }
//! ```

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jose::{KeySet, KeySetError};
use mtc_core::ca::{CaCertificate, CaError};
use mtc_core::cosign::{Cosigner, KeyError, PublicKey};
use mtc_core::id::{IdError, LogNumber, TrustAnchorId};
use mtc_core::verify::{CaTrust, CosignerGroup, PolicyError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Logs and cosigners in one file: a CA has one current log and few that are not forgotten, a quorum a handful of members.
const MAX_ENTRIES: usize = 64;
/// Subtrees of 72 bytes each, so 4.5 MiB at most.
const MAX_REMEMBERED: usize = 65_536;

/// A trust file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("trust file {}", path.display())]
pub struct TrustFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub source: Box<TrustFileFault>,
}

/// What is wrong with a trust file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustFileFault {
    /// The file, or the CA certificate that it names, cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Not TOML, or not these keys; the message has line and column.
    #[error("not a trust file")]
    Syntax(#[from] toml::de::Error),
    /// The CA certificate is not PEM.
    #[error("ca_certificate: {} has no PEM section CERTIFICATE", .0.display())]
    NotPem(PathBuf),
    /// The CA certificate is not one of an MTCA.
    #[error("ca_certificate: not the certificate of an MTCA")]
    CaCertificate(#[from] CaError),
    /// No log, or too many, or one twice.
    #[error("logs: list 1 to {MAX_ENTRIES} different log numbers")]
    LogCount,
    /// A log number out of range.
    #[error("logs")]
    Log(#[source] IdError),
    /// More cosigners or groups than the bound of this implementation.
    #[error("{0}: more than {MAX_ENTRIES} entries")]
    TooMany(&'static str),
    /// More remembered subtrees than the bound of this implementation.
    #[error("remember_subtrees: {0} is more than {MAX_REMEMBERED}")]
    Remembered(usize),
    /// A cosigner's ID is none.
    #[error("cosigner.id")]
    CosignerId(#[source] IdError),
    /// Two cosigners with one ID, or one with the CA's.
    #[error("cosigner.id: {0} is named twice, or is the CA")]
    DuplicateCosigner(TrustAnchorId),
    /// A cosigner's algorithm or key is none.
    #[error("cosigner {id}: algorithm or public_key")]
    CosignerKey {
        /// Which cosigner.
        id: TrustAnchorId,
        /// What is wrong.
        source: KeyError,
    },
    /// A cosigner's key is not base64.
    #[error("cosigner {id}: public_key is not base64")]
    NotBase64 {
        /// Which cosigner.
        id: TrustAnchorId,
        /// What is wrong.
        source: base64::DecodeError,
    },
    /// The keys of access tokens are none.
    #[error("token_keys: {}", path.display())]
    TokenKeys {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeySetError,
    },
    /// A group names a cosigner that has no entry.
    #[error("group.members: there is no cosigner {0:?}")]
    UnknownMember(String),
    /// A group cannot be satisfied, or would be satisfied by nothing.
    #[error("group")]
    Group(#[from] PolicyError),
}

/// The file as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustDocument {
    /// PEM file of the CA certificate, which is unsigned (RFC 9925) and has the CA's cosigner in it.
    pub ca_certificate: PathBuf,
    /// Numbers of the CA's issuance logs that are known when the file is written; NFs find later ones by themselves.
    pub logs: Vec<u64>,
    /// How many subtrees to remember, at most 65,536, once their cosignatures have been verified, so that further
    /// certificates in them need no signature checks.
    #[serde(default)]
    pub remember_subtrees: usize,
    /// File of the public keys of the NRF's access tokens, a JWK set (RFC 7517); needed where access tokens are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_keys: Option<PathBuf>,
    /// Cosigners other than the CA, such as witnesses.
    #[serde(default, rename = "cosigner")]
    pub cosigners: Vec<CosignerEntry>,
    /// Quorums of cosigners. A certificate needs the CA's cosignature and all of these quorums; without any, the CA's
    /// cosignature is enough.
    #[serde(default, rename = "group")]
    pub groups: Vec<GroupEntry>,
}

/// One cosigner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CosignerEntry {
    /// Its trust anchor ID, such as `32473.2`.
    pub id: String,
    /// Its signature algorithm, such as `ml-dsa-44`.
    pub algorithm: String,
    /// Base64 of its bare public key.
    pub public_key: String,
}

/// One quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupEntry {
    /// How many of the members must have cosigned.
    pub required: usize,
    /// IDs of cosigners.
    pub members: Vec<String>,
}

impl From<&Cosigner> for CosignerEntry {
    fn from(cosigner: &Cosigner) -> Self {
        Self {
            id: cosigner.id.to_string(),
            algorithm: cosigner.key.algorithm().to_string(),
            public_key: STANDARD.encode(cosigner.key.raw()),
        }
    }
}

impl TrustDocument {
    /// The document as TOML.
    ///
    /// # Errors
    /// A path that is not UTF-8, which TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// Checks the document and reads the CA certificate, whose path is relative to `folder`. Blocks on the disk.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn resolve(&self, folder: &Path) -> Result<TrustFile, TrustFileFault> {
        let certificate_der = read_ca_certificate(&folder.join(&self.ca_certificate))?;
        let certificate = CaCertificate::parse(&certificate_der)?;
        let logs = self.resolve_logs()?;
        let cosigners = self.resolve_cosigners(&certificate.cosigner)?;
        if self.groups.len() > MAX_ENTRIES {
            return Err(TrustFileFault::TooMany("group"));
        }
        let mut trust = CaTrust::ca_alone(&certificate);
        for group in &self.groups {
            trust = trust.require(group.resolve(&cosigners)?)?;
        }
        if self.remember_subtrees > MAX_REMEMBERED {
            return Err(TrustFileFault::Remembered(self.remember_subtrees));
        }
        if let Some(capacity) = NonZeroUsize::new(self.remember_subtrees) {
            trust = trust.remembering(capacity);
        }
        let token_keys = self.token_keys.as_ref();
        let token_keys = token_keys.map(|path| read_token_keys(&folder.join(path)));
        Ok(TrustFile {
            certificate,
            certificate_der,
            trust,
            logs,
            cosigners,
            token_keys: token_keys.transpose()?,
        })
    }

    fn resolve_logs(&self) -> Result<Vec<LogNumber>, TrustFileFault> {
        let repeated = self
            .logs
            .iter()
            .enumerate()
            .any(|(index, log)| self.logs[..index].contains(log));
        if repeated || !(1..=MAX_ENTRIES).contains(&self.logs.len()) {
            return Err(TrustFileFault::LogCount);
        }
        self.logs
            .iter()
            .map(|number| LogNumber::new(*number))
            .collect::<Result<_, _>>()
            .map_err(TrustFileFault::Log)
    }

    fn resolve_cosigners(&self, ca: &Cosigner) -> Result<Vec<Cosigner>, TrustFileFault> {
        if self.cosigners.len() > MAX_ENTRIES {
            return Err(TrustFileFault::TooMany("cosigner"));
        }
        let mut cosigners: Vec<Cosigner> = Vec::with_capacity(self.cosigners.len());
        for entry in &self.cosigners {
            let cosigner = entry.resolve()?;
            if cosigner.id == ca.id || cosigners.iter().any(|known| known.id == cosigner.id) {
                return Err(TrustFileFault::DuplicateCosigner(cosigner.id));
            }
            cosigners.push(cosigner);
        }
        Ok(cosigners)
    }
}

impl CosignerEntry {
    fn resolve(&self) -> Result<Cosigner, TrustFileFault> {
        let id: TrustAnchorId = self.id.parse().map_err(TrustFileFault::CosignerId)?;
        let raw = STANDARD
            .decode(&self.public_key)
            .map_err(|source| TrustFileFault::NotBase64 { id, source })?;
        let key = self
            .algorithm
            .parse()
            .and_then(|algorithm| PublicKey::from_raw(algorithm, &raw))
            .map_err(|source| TrustFileFault::CosignerKey { id, source })?;
        Ok(Cosigner { id, key })
    }
}

impl GroupEntry {
    fn resolve(&self, cosigners: &[Cosigner]) -> Result<CosignerGroup, TrustFileFault> {
        let members = self
            .members
            .iter()
            .map(|member| {
                let known = cosigners
                    .iter()
                    .find(|cosigner| cosigner.id.to_string() == *member);
                known
                    .cloned()
                    .ok_or_else(|| TrustFileFault::UnknownMember(member.clone()))
            })
            .collect::<Result<_, _>>()?;
        Ok(CosignerGroup::new(members, self.required)?)
    }
}

/// A trust file that was checked.
#[derive(Clone, Debug)]
pub struct TrustFile {
    /// What the CA certificate says.
    pub certificate: CaCertificate,
    /// Its DER.
    pub certificate_der: Vec<u8>,
    /// Trust in the CA under the file's policy, with no trusted subtree yet.
    pub trust: CaTrust,
    /// The logs that are known, at least one.
    pub logs: Vec<LogNumber>,
    /// Every cosigner other than the CA, in a group or not.
    pub cosigners: Vec<Cosigner>,
    /// The keys that the NRF signs access tokens with.
    pub token_keys: Option<KeySet>,
}

impl TrustFile {
    /// The cosigner of this ID, other than the CA.
    pub fn cosigner(&self, id: &str) -> Option<&Cosigner> {
        let mut cosigners = self.cosigners.iter();
        cosigners.find(|cosigner| cosigner.id.to_string() == id)
    }

    /// Reads and checks the file. Blocks on the disk.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn load(path: &Path) -> Result<Self, TrustFileError> {
        let resolved = || {
            let document: TrustDocument = toml::from_str(&read(path)?)?;
            document.resolve(path.parent().unwrap_or_else(|| Path::new("")))
        };
        resolved().map_err(|source| TrustFileError {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }
}

fn read(path: &Path) -> Result<String, TrustFileFault> {
    crate::text_file::read(path).map_err(|source| TrustFileFault::Read {
        path: path.to_owned(),
        source,
    })
}

fn read_token_keys(path: &Path) -> Result<KeySet, TrustFileFault> {
    KeySet::parse(read(path)?.as_bytes()).map_err(|source| TrustFileFault::TokenKeys {
        path: path.to_owned(),
        source,
    })
}

fn read_ca_certificate(path: &Path) -> Result<Vec<u8>, TrustFileFault> {
    let certificate = CertificateDer::from_pem_slice(read(path)?.as_bytes())
        .map_err(|_| TrustFileFault::NotPem(path.to_owned()))?;
    Ok(certificate.to_vec())
}

#[cfg(test)]
mod tests {
    use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
    use mtc_core::time::UnixTime;
    use mtc_tls::pem;

    use super::*;

    fn cosigner(id: &str) -> Cosigner {
        let key = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("key generation works");
        Cosigner {
            id: id.parse().expect("an ID"),
            key: key.public_key().expect("a public key"),
        }
    }

    /// A folder with the certificate of CA 32473.1, and a document that trusts it and the witness 32473.2.
    fn example() -> (tempfile::TempDir, TrustDocument) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let certificate = CaCertificate {
            cosigner: cosigner("32473.1"),
            min_serial: 1 << 48,
            max_serial: u64::MAX,
            prefix_url: None,
        };
        let der = certificate.to_der(UnixTime(0), UnixTime(1));
        std::fs::write(
            folder.path().join("ca.pem"),
            pem::encode(pem::CERTIFICATE, &der),
        )
        .expect("file is written");
        let document = TrustDocument {
            ca_certificate: "ca.pem".into(),
            remember_subtrees: 8,
            token_keys: None,
            logs: vec![1],
            cosigners: vec![CosignerEntry::from(&cosigner("32473.2"))],
            groups: vec![GroupEntry {
                required: 1,
                members: vec!["32473.2".to_owned()],
            }],
        };
        (folder, document)
    }

    fn resolve(change: impl FnOnce(&mut TrustDocument)) -> Result<TrustFile, TrustFileFault> {
        let (folder, mut document) = example();
        change(&mut document);
        document.resolve(folder.path())
    }

    #[test]
    fn what_is_written_loads_with_every_name_resolved() {
        let (folder, document) = example();
        let path = folder.path().join("trust.toml");
        std::fs::write(&path, document.to_toml().unwrap()).unwrap();
        let file = TrustFile::load(&path).unwrap();
        assert_eq!(file.certificate.cosigner.id.to_string(), "32473.1");
        assert_eq!(file.trust.id().to_string(), "32473.1");
        assert_eq!(file.logs, [LogNumber::FIRST]);
        assert_eq!(
            CosignerEntry::from(&file.cosigners[0]),
            document.cosigners[0]
        );
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let (folder, document) = example();
        let path = folder.path().join("trust.toml");
        std::fs::write(
            &path,
            format!("colour = 1\n{}", document.to_toml().unwrap()),
        )
        .unwrap();
        let error = TrustFile::load(&path).err().unwrap();
        assert!(
            matches!(&*error.source, TrustFileFault::Syntax(toml) if toml.to_string().contains("line 1")),
            "{error:?}"
        );
    }

    #[test]
    fn missing_and_foreign_ca_certificates_are_refused() {
        let missing = resolve(|document| document.ca_certificate = "other.pem".into());
        assert!(
            matches!(missing, Err(TrustFileFault::Read { path, .. }) if path.ends_with("other.pem"))
        );
        let (folder, document) = example();
        std::fs::write(folder.path().join("ca.pem"), "no certificate").unwrap();
        assert!(matches!(
            document.resolve(folder.path()),
            Err(TrustFileFault::NotPem(_))
        ));
        std::fs::write(
            folder.path().join("ca.pem"),
            pem::encode(pem::CERTIFICATE, &[0x30, 0]),
        )
        .unwrap();
        assert!(matches!(
            document.resolve(folder.path()),
            Err(TrustFileFault::CaCertificate(_))
        ));
    }

    #[test]
    fn impossible_log_numbers_are_refused() {
        for logs in [vec![], vec![1, 1], (1..=65).collect()] {
            assert!(matches!(
                resolve(|document| document.logs = logs),
                Err(TrustFileFault::LogCount)
            ));
        }
        assert!(matches!(
            resolve(|document| document.logs = vec![0]),
            Err(TrustFileFault::Log(_))
        ));
    }

    #[test]
    fn impossible_cosigners_are_refused() {
        let bad =
            |change: fn(&mut CosignerEntry)| resolve(|document| change(&mut document.cosigners[0]));
        assert!(matches!(
            bad(|entry| entry.id = "x".to_owned()),
            Err(TrustFileFault::CosignerId(_))
        ));
        assert!(matches!(
            bad(|entry| entry.id = "32473.1".to_owned()),
            Err(TrustFileFault::DuplicateCosigner(_))
        ));
        assert!(matches!(
            bad(|entry| entry.algorithm = "rsa".to_owned()),
            Err(TrustFileFault::CosignerKey { .. })
        ));
        assert!(matches!(
            bad(|entry| entry.algorithm = "ml-dsa-65".to_owned()),
            Err(TrustFileFault::CosignerKey { .. })
        ));
        assert!(matches!(
            bad(|entry| entry.public_key = "*".to_owned()),
            Err(TrustFileFault::NotBase64 { .. })
        ));
        let doubled = resolve(|document| document.cosigners.push(document.cosigners[0].clone()));
        assert!(matches!(doubled, Err(TrustFileFault::DuplicateCosigner(_))));
    }

    #[test]
    fn impossible_quorums_are_refused() {
        let bad = |change: fn(&mut GroupEntry)| resolve(|document| change(&mut document.groups[0]));
        assert!(matches!(
            bad(|group| group.members = vec!["32473.3".to_owned()]),
            Err(TrustFileFault::UnknownMember(_))
        ));
        for required in [0, 2] {
            let refused = resolve(|document| document.groups[0].required = required);
            assert!(matches!(
                refused,
                Err(TrustFileFault::Group(PolicyError::Group { .. }))
            ));
        }
        assert!(matches!(
            bad(|group| group.members.push("32473.2".to_owned())),
            Err(TrustFileFault::Group(PolicyError::Member(_)))
        ));
    }
}
