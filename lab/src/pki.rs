//! The lab's PKI: every key, certificate and token that must exist before the first NF starts (docs/lab.md).
//!
//! ```text
//! DIR/
//!   trust.toml                      for every NF: CA certificate, logs, cosigners, policy
//!   mtca/cosigner.key               for the NRF alone
//!   mtca/cosigner.pub               its public half (SubjectPublicKeyInfo in PEM), for whoever verifies
//!   mtca/ca.pem, mtca/ca.der        the unsigned CA certificate (RFC 9925), the same in two forms
//!   witness/witness.key             for the SCP alone
//!   witness/witness.pub             its public half, as `--cosigner ID=FILE` takes it
//!   x509/<profile>/root.crt         for every NF of that trust domain
//!   x509/<profile>/root.key         for nobody, or for the NRF where the root issues leaves
//!   x509/<profile>/intermediate{,-2}.{key,crt}                    for the NRF
//!   enrolment/authority.pub         for the NRF
//!   enrolment/authority.key         for whoever mints further tokens
//!   tokens/<nfInstanceId>.jwt       for that NF instance, good for one certificate
//! ```
//!
//! Secrets are created with mode 0600, folders that no other NF reads from with 0700; there is no moment in which
//! another user could open them. Nothing is ever written over.

use std::collections::HashSet;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mtc_core::ca::CaCertificate;
use mtc_core::cosign::{Cosigner, KeyError, PublicKey};
use mtc_core::id::{LogNumber, TrustAnchorId};
use mtc_core::time::UnixTime;
use mtc_tls::identity::{NfSubject, SubjectError};
use mtc_tls::key::{KeyAlgorithm, NfKey, NfKeyError, X509Profile};
use mtc_tls::pem;
use nf_nrf::baseline::{self, BaselineError, CaPem};
use nf_nrf::enrolment_token::{AuthorityKeyError, TokenError, TokenVerifier};
use sbi::enrolment_claims::{ENROLMENT_ISSUER, EnrolmentClaims};
use sbi::trust_file::{CosignerEntry, GroupEntry, TrustDocument};
use uuid::Uuid;
use zeroize::Zeroizing;

use experiment::files;

/// Home domain of the lab's PLMN 001/01, the test network of TS 23.003.
pub const HOME_DOMAIN: &str = "5gc.mnc001.mcc001.3gppnetwork.org";
/// Deviation: country of the certificates' subjects, user-assigned in ISO 3166: a lab has none.
pub const COUNTRY: &str = "XX";

/// How far validity begins before the PKI is made, for NFs on machines whose clocks are behind.
const BACKDATE: Duration = Duration::from_secs(3600);
/// Algorithm of the CA cosigner and of the witness; c2sp.org/mtc-tlog knows no other.
const COSIGNER_ALGORITHM: KeyAlgorithm = KeyAlgorithm::MlDsa44;

/// FQDN of the instance `number` of an NF type in the lab: `amf1.5gc.mnc001.mcc001.3gppnetwork.org`.
pub fn fqdn(nf_type: &str, number: u16) -> String {
    let host = nf_type.to_ascii_lowercase().replace('_', "-");
    format!("{host}{number}.{HOME_DOMAIN}")
}

/// What the PKI is made for.
#[derive(Clone, Debug)]
pub struct PkiPlan {
    /// Whether relying parties remember subtrees whose cosignatures they have verified.
    pub remember_subtrees: bool,
    /// The MTCA's trust anchor ID, `32473.1`.
    pub ca_id: TrustAnchorId,
    /// The witness's trust anchor ID, `32473.2`.
    pub witness_id: TrustAnchorId,
    /// Where the CA's logs will be served, if it is known already; stands in the CA certificate.
    pub prefix_url: Option<String>,
    /// The NF instances that may enrol.
    pub instances: Vec<PlannedInstance>,
    /// The X.509 baseline CAs.
    pub x509_profiles: Vec<X509Profile>,
    /// Lifetime of the CA certificates, of the MTCA's and the baselines'.
    pub ca_lifetime: Duration,
    /// Lifetime of the enrolment tokens.
    pub token_lifetime: Duration,
}

/// One NF instance of the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedInstance {
    /// NF type as in TS 29.510, `AMF`.
    pub nf_type: String,
    /// nfInstanceId.
    pub instance_id: Uuid,
    /// The FQDN under which it will serve.
    pub fqdn: String,
}

/// Why a PKI is not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// There is a PKI, or part of one, in the folder.
    #[error(
        "there is a PKI in {} already ({} exists); remove it or choose another folder",
        folder.display(),
        found.display()
    )]
    Exists {
        /// The folder.
        folder: PathBuf,
        /// What is in it.
        found: PathBuf,
    },
    /// A file or folder cannot be written.
    #[error("cannot create {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An instance could not be certified.
    #[error("NF instance {instance_id}")]
    Instance {
        /// Which.
        instance_id: Uuid,
        /// What is wrong with it.
        source: SubjectError,
    },
    /// Two instances share an ID or an FQDN, or two X.509 profiles are the same.
    #[error("{0} is planned twice")]
    Duplicate(String),
    /// CA and witness have the same ID.
    #[error("the CA and the witness are both {0}")]
    WitnessIsCa(TrustAnchorId),
    /// A key file holds no key.
    #[error("key {}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NfKeyError,
    },
    /// A key cannot be made.
    #[error("cannot make a key")]
    Key(#[from] NfKeyError),
    /// A public key cannot be read back.
    #[error("cannot read back a public key")]
    PublicKey(#[from] KeyError),
    /// A baseline CA cannot be made.
    #[error("cannot make a baseline CA")]
    Baseline(#[from] BaselineError),
    /// A token cannot be signed.
    #[error("cannot mint the token of NF instance {instance_id}")]
    Token {
        /// Whose token.
        instance_id: Uuid,
        /// Why not.
        source: jsonwebtoken::errors::Error,
    },
    /// A file of the lab cannot be read.
    #[error("cannot read {}; is this the folder of a lab, and the instance one of it?", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The enrolment authority's public key is not one.
    #[error("enrolment/authority.pub")]
    Authority(#[from] AuthorityKeyError),
    /// A token that is to be replaced is not one of this lab.
    #[error("{}", path.display())]
    OldToken {
        /// The token.
        path: PathBuf,
        /// What is wrong with it.
        source: TokenError,
    },
    /// The trust file cannot be encoded.
    #[error("cannot encode the trust file")]
    TrustFile(#[from] toml::ser::Error),
}

/// Where everything is; all paths begin with the folder that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabPki {
    /// `trust.toml`, for every NF.
    pub trust: PathBuf,
    /// The CA cosigner's private key (PKCS#8 PEM), for the NRF.
    pub cosigner_key: PathBuf,
    /// The CA certificate, PEM.
    pub ca_pem: PathBuf,
    /// The CA certificate, DER.
    pub ca_der: PathBuf,
    /// The witness's private key (PKCS#8 PEM), for the SCP.
    pub witness_key: PathBuf,
    /// The baseline CAs.
    pub x509: Vec<X509Paths>,
    /// The enrolment authority's public key (PEM), for the NRF.
    pub authority_public_key: PathBuf,
    /// The enrolment authority's private key (PKCS#8 PEM), for minting.
    pub authority_key: PathBuf,
    /// The enrolment tokens, in the order of the plan's instances.
    pub tokens: Vec<PathBuf>,
}

/// Where a baseline CA is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct X509Paths {
    /// Which CA.
    pub profile: X509Profile,
    /// Its folder, as `nf_nrf::baseline::BaselineCa::load` takes it, for the NRF.
    pub folder: PathBuf,
    /// Its root certificate (PEM), for every NF.
    pub root_certificate: PathBuf,
}

impl LabPki {
    /// Makes a PKI in `folder`, which may exist and hold other things. Blocks on the disk.
    ///
    /// # Errors
    /// The plan is impossible (nothing is written then), there is a PKI already, or the disk refuses.
    pub fn create(folder: &Path, plan: &PkiPlan, now: UnixTime) -> Result<Self, PkiError> {
        plan.check()?;
        let folder = Folder(folder.to_owned());
        folder.claim()?;
        let validity = (now.minus(BACKDATE), now.plus(plan.ca_lifetime));

        let cosigner_key = NfKey::generate(COSIGNER_ALGORITHM)?;
        let certificate = ca_certificate(plan, &cosigner_key)?.to_der(validity.0, validity.1);
        let mtca = folder.public_folder("mtca")?;
        mtca.public("cosigner.pub", public_pem(&cosigner_key).as_bytes())?;
        let cosigner_key = mtca.secret("cosigner.key", &cosigner_key.to_pem()?)?;
        let ca_pem = mtca.public(
            "ca.pem",
            pem::encode(pem::CERTIFICATE, &certificate).as_bytes(),
        )?;
        let ca_der = mtca.public("ca.der", &certificate)?;

        let witness_key = NfKey::generate(COSIGNER_ALGORITHM)?;
        let witness = Cosigner {
            id: plan.witness_id,
            key: PublicKey::from_spki(witness_key.spki_der())?,
        };
        let folder_of_witness = folder.private_folder("witness")?;
        folder_of_witness.public("witness.pub", public_pem(&witness_key).as_bytes())?;
        let witness_key = folder_of_witness.secret("witness.key", &witness_key.to_pem()?)?;

        let x509 = write_baselines(
            &folder.public_folder("x509")?,
            &plan.x509_profiles,
            validity,
        )?;

        let authority = NfKey::generate(KeyAlgorithm::EcdsaP256)?;
        let tokens = write_tokens(
            &folder.private_folder("tokens")?,
            &plan.instances,
            &authority,
            now.plus(plan.token_lifetime),
        )?;
        let enrolment = folder.private_folder("enrolment")?;
        let authority_public_key =
            enrolment.public("authority.pub", public_pem(&authority).as_bytes())?;
        let authority_key = enrolment.secret("authority.key", &authority.to_pem()?)?;

        let trust = folder.public(
            TRUST_FILE,
            trust_document(&witness, plan.remember_subtrees)
                .to_toml()?
                .as_bytes(),
        )?;
        Ok(Self {
            trust,
            cosigner_key,
            ca_pem,
            ca_der,
            witness_key,
            x509,
            authority_public_key,
            authority_key,
            tokens,
        })
    }
}

impl PkiPlan {
    /// Refuses what the NRF would refuse to certify, and what would overwrite another's file.
    fn check(&self) -> Result<(), PkiError> {
        if self.witness_id == self.ca_id {
            return Err(PkiError::WitnessIsCa(self.ca_id));
        }
        let mut seen = HashSet::new();
        let mut unique = |name: String| {
            if seen.insert(name.clone()) {
                Ok(())
            } else {
                Err(PkiError::Duplicate(name))
            }
        };
        for PlannedInstance {
            nf_type,
            instance_id,
            fqdn,
        } in &self.instances
        {
            let subject = NfSubject::new(
                COUNTRY,
                HOME_DOMAIN,
                *instance_id,
                std::slice::from_ref(nf_type),
                std::slice::from_ref(fqdn),
            );
            subject.map_err(|source| PkiError::Instance {
                instance_id: *instance_id,
                source,
            })?;
            unique(instance_id.to_string())?;
            unique(fqdn.to_ascii_lowercase())?;
        }
        self.x509_profiles
            .iter()
            .try_for_each(|profile| unique(profile.to_string()))
    }
}

/// The public half of a key as people pass it on.
fn public_pem(key: &NfKey) -> String {
    pem::encode(pem::PUBLIC_KEY, key.spki_der())
}

const TRUST_FILE: &str = "trust.toml";

fn ca_certificate(plan: &PkiPlan, cosigner_key: &NfKey) -> Result<CaCertificate, PkiError> {
    Ok(CaCertificate {
        cosigner: Cosigner {
            id: plan.ca_id,
            key: PublicKey::from_spki(cosigner_key.spki_der())?,
        },
        // Every serial number that names a log.
        min_serial: mtc_core::id::serial(LogNumber::FIRST, 0).expect("index 0 is below 2^48"),
        max_serial: u64::MAX,
        prefix_url: plan.prefix_url.clone(),
    })
}

/// One subtree covers what one checkpoint certified, so this is as many enrolments as a lab of this size has in its
/// certificates' lifetime, and more.
const REMEMBERED_SUBTREES: usize = 1024;

/// The CA, which always must sign, and the witness.
fn trust_document(witness: &Cosigner, remember_subtrees: bool) -> TrustDocument {
    TrustDocument {
        ca_certificate: PathBuf::from("mtca/ca.pem"),
        logs: vec![LogNumber::FIRST.get().into()],
        remember_subtrees: if remember_subtrees {
            REMEMBERED_SUBTREES
        } else {
            0
        },
        cosigners: vec![CosignerEntry::from(witness)],
        groups: vec![GroupEntry {
            required: 1,
            members: vec![witness.id.to_string()],
        }],
    }
}

fn write_baselines(
    x509: &Folder,
    profiles: &[X509Profile],
    (not_before, not_after): (UnixTime, UnixTime),
) -> Result<Vec<X509Paths>, PkiError> {
    let write_ca = |profile: X509Profile| {
        let folder = x509.public_folder(&profile.to_string())?;
        let ca = baseline::create(profile, not_before, not_after)?;
        let CaPem { key, certificate } = &ca.root;
        folder.secret(baseline::ROOT_KEY_FILE, key)?;
        let root_certificate =
            folder.public(baseline::ROOT_CERTIFICATE_FILE, certificate.as_bytes())?;
        let files = baseline::INTERMEDIATE_KEY_FILES
            .into_iter()
            .zip(baseline::INTERMEDIATE_CERTIFICATE_FILES);
        for (CaPem { key, certificate }, (key_file, certificate_file)) in
            ca.intermediates.iter().zip(files)
        {
            folder.secret(key_file, key)?;
            folder.public(certificate_file, certificate.as_bytes())?;
        }
        Ok(X509Paths {
            profile,
            folder: folder.0,
            root_certificate,
        })
    };
    profiles.iter().copied().map(write_ca).collect()
}

fn write_tokens(
    folder: &Folder,
    instances: &[PlannedInstance],
    authority: &NfKey,
    expiry: UnixTime,
) -> Result<Vec<PathBuf>, PkiError> {
    let write_token = |instance: &PlannedInstance| {
        let token = mint(instance, authority, expiry)?;
        folder.secret(&token_file(instance.instance_id), &token)
    };
    instances.iter().map(write_token).collect()
}

fn mint(
    instance: &PlannedInstance,
    authority: &NfKey,
    expiry: UnixTime,
) -> Result<Zeroizing<String>, PkiError> {
    let claims = EnrolmentClaims {
        iss: ENROLMENT_ISSUER.to_owned(),
        sub: instance.instance_id,
        nf_type: instance.nf_type.clone(),
        fqdn: vec![instance.fqdn.clone()],
        exp: expiry.0,
        jti: Uuid::new_v4(),
    };
    let key = EncodingKey::from_ec_der(&authority.to_pkcs8()?);
    jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &key)
        .map(Zeroizing::new)
        .map_err(|source| PkiError::Token {
            instance_id: instance.instance_id,
            source,
        })
}

fn token_file(instance_id: Uuid) -> String {
    format!("{instance_id}.jwt")
}

/// Replaces the enrolment token of an instance of the lab in `folder` by a new one for the same instance, for when the
/// old one is used or expired. Blocks on the disk.
///
/// # Errors
/// The lab has no such instance or no authority, or the disk refuses.
pub fn renew_token(
    folder: &Path,
    instance_id: Uuid,
    lifetime: Duration,
    now: UnixTime,
) -> Result<PathBuf, PkiError> {
    let read = |path: PathBuf| {
        std::fs::read_to_string(&path).map_err(|source| PkiError::Read { path, source })
    };
    let authority = authority(folder)?;
    let verifier = TokenVerifier::new(&read(folder.join("enrolment/authority.pub"))?)?;
    let tokens = Folder(folder.join("tokens"));
    let path = tokens.0.join(token_file(instance_id));
    // Whether the old one has expired does not matter: at the beginning of time none has.
    let claims = verifier
        .verify(read(path.clone())?.trim(), UnixTime(0))
        .map_err(|source| PkiError::OldToken {
            path: path.clone(),
            source,
        })?;
    let instance = PlannedInstance {
        nf_type: claims.nf_type,
        instance_id,
        fqdn: claims.fqdn.into_iter().next().unwrap_or_default(),
    };
    let token = mint(&instance, &authority, now.plus(lifetime))?;
    let fresh = format!("{instance_id}.new");
    let written = tokens.secret(&fresh, &token)?;
    files::sync(&written)
        .and_then(|()| std::fs::rename(&written, &path))
        .and_then(|()| files::sync(&tokens.0))
        .map_err(|source| PkiError::Write {
            path: path.clone(),
            source,
        })?;
    Ok(path)
}

/// Mints tokens of the lab in `lab` for further instances, and puts them into `<into>/tokens`. Blocks on the disk.
///
/// # Errors
/// The lab has no authority, or the disk refuses.
pub fn mint_tokens(
    lab: &Path,
    into: &Path,
    instances: &[PlannedInstance],
    lifetime: Duration,
    now: UnixTime,
) -> Result<(), PkiError> {
    let authority = authority(lab)?;
    let tokens = Folder(into.to_owned()).private_folder("tokens")?;
    write_tokens(&tokens, instances, &authority, now.plus(lifetime))?;
    Ok(())
}

/// The enrolment authority of a lab.
fn authority(lab: &Path) -> Result<NfKey, PkiError> {
    let path = lab.join("enrolment/authority.key");
    let pem = std::fs::read_to_string(&path)
        .map(Zeroizing::new)
        .map_err(|source| PkiError::Read {
            path: path.clone(),
            source,
        })?;
    NfKey::from_pem(&pem).map_err(|source| PkiError::KeyFile { path, source })
}

/// A folder in which files and folders are made that were not there before.
struct Folder(PathBuf);

impl Folder {
    /// Makes the folder if need be, and refuses one that has a PKI in it.
    fn claim(&self) -> Result<(), PkiError> {
        std::fs::create_dir_all(&self.0).map_err(|source| PkiError::Write {
            path: self.0.clone(),
            source,
        })?;
        for name in [TRUST_FILE, "mtca", "witness", "x509", "enrolment", "tokens"] {
            let found = self.0.join(name);
            if found.symlink_metadata().is_ok() {
                return Err(PkiError::Exists {
                    folder: self.0.clone(),
                    found,
                });
            }
        }
        Ok(())
    }

    fn private_folder(&self, name: &str) -> Result<Self, PkiError> {
        self.folder(name, 0o700)
    }

    fn public_folder(&self, name: &str) -> Result<Self, PkiError> {
        self.folder(name, 0o755)
    }

    fn folder(&self, name: &str, mode: u32) -> Result<Self, PkiError> {
        let path = self.0.join(name);
        match DirBuilder::new().mode(mode).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(PkiError::Write { path, source }),
        }
    }

    fn secret(&self, name: &str, text: &str) -> Result<PathBuf, PkiError> {
        self.file(name, 0o600, text.as_bytes())
    }

    fn public(&self, name: &str, contents: &[u8]) -> Result<PathBuf, PkiError> {
        self.file(name, 0o644, contents)
    }

    fn file(&self, name: &str, mode: u32, contents: &[u8]) -> Result<PathBuf, PkiError> {
        let path = self.0.join(name);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .and_then(|mut file| file.write_all(contents));
        match written {
            Ok(()) => Ok(path),
            Err(source) => Err(PkiError::Write { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nf_nrf::enrolment_token::{Answer, Reserved, UsedTokens};
    use std::os::unix::fs::PermissionsExt as _;

    use mtc_core::cosign::SecretKey;
    use mtc_tls::key::Intermediates;
    use nf_nrf::baseline::BaselineCa;
    use nf_nrf::enrolment_token::TokenVerifier;
    use sbi::trust_file::TrustFile;

    use super::*;
    use mtc_tools::certificate_file::read_public_key;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn plan() -> PkiPlan {
        let instance = |nf_type: &str, id: u128| PlannedInstance {
            nf_type: nf_type.to_owned(),
            instance_id: Uuid::from_u128(id),
            fqdn: fqdn(nf_type, 1),
        };
        PkiPlan {
            remember_subtrees: true,
            ca_id: "32473.1".parse().expect("an ID"),
            witness_id: "32473.2".parse().expect("an ID"),
            prefix_url: Some("http://127.0.0.1:7000".to_owned()),
            instances: vec![instance("NRF", 1), instance("AMF", 2)],
            x509_profiles: vec![
                X509Profile {
                    ca_signature: KeyAlgorithm::Ed25519,
                    intermediates: Intermediates::None,
                },
                X509Profile {
                    ca_signature: KeyAlgorithm::MlDsa65,
                    intermediates: Intermediates::Two,
                },
            ],
            ca_lifetime: Duration::from_secs(86_400),
            token_lifetime: Duration::from_secs(3600),
        }
    }

    fn create(plan: &PkiPlan) -> (tempfile::TempDir, Result<LabPki, PkiError>) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let pki = LabPki::create(folder.path(), plan, NOW);
        (folder, pki)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path)
            .expect("path exists")
            .permissions()
            .mode()
            & 0o777
    }

    fn tree(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("folder is readable");
        let paths = entries.map(|entry| entry.expect("entry is readable").path());
        paths
            .flat_map(|path| {
                if path.is_dir() {
                    tree(&path)
                } else {
                    vec![path]
                }
            })
            .collect()
    }

    #[test]
    fn the_trust_file_is_about_the_keys_that_were_made() {
        let (_folder, pki) = create(&plan());
        let pki = pki.unwrap();
        let trust = TrustFile::load(&pki.trust).unwrap();
        let public_key = |path: &Path| {
            let key = NfKey::from_pem(&fs::read_to_string(path).unwrap()).unwrap();
            let secret =
                SecretKey::from_pkcs8(KeyAlgorithm::MlDsa44, &key.to_pkcs8().unwrap()).unwrap();
            secret.public_key().unwrap()
        };
        assert_eq!(
            trust.certificate.cosigner,
            Cosigner {
                id: plan().ca_id,
                key: public_key(&pki.cosigner_key)
            }
        );
        assert_eq!(trust.certificate.prefix_url, plan().prefix_url);
        assert_eq!(
            trust.cosigners,
            [Cosigner {
                id: plan().witness_id,
                key: public_key(&pki.witness_key)
            }]
        );
        assert_eq!(
            CaCertificate::parse(&fs::read(&pki.ca_der).unwrap()),
            Ok(trust.certificate)
        );
    }

    // `--cosigner 32473.2=witness.pub` of the help could not be followed: a lab had private keys alone.
    #[test]
    fn public_keys_of_the_cosigners_are_there_for_whoever_verifies() {
        let (folder, pki) = create(&plan());
        let trust = TrustFile::load(&pki.unwrap().trust).unwrap();
        let public_key = |name| read_public_key(&folder.path().join(name)).unwrap();
        assert_eq!(
            public_key("mtca/cosigner.pub"),
            trust.certificate.cosigner.key
        );
        assert_eq!(public_key("witness/witness.pub"), trust.cosigners[0].key);
        for name in ["mtca/cosigner.pub", "witness/witness.pub"] {
            assert_eq!(mode(&folder.path().join(name)), 0o644, "{name}");
        }
    }

    #[test]
    fn tokens_verify_with_the_authority_and_name_their_instance() {
        let (_folder, pki) = create(&plan());
        let pki = pki.unwrap();
        let verifier =
            TokenVerifier::new(&fs::read_to_string(&pki.authority_public_key).unwrap()).unwrap();
        for (instance, path) in plan().instances.iter().zip(&pki.tokens) {
            let claims = verifier
                .verify(&fs::read_to_string(path).unwrap(), NOW)
                .unwrap();
            assert_eq!(
                (claims.sub, &claims.nf_type),
                (instance.instance_id, &instance.nf_type)
            );
            assert_eq!(claims.fqdn, [instance.fqdn.as_str()]);
            assert_eq!(claims.exp, NOW.0 + 3600);
        }
    }

    #[test]
    fn baseline_cas_load_from_their_folders() {
        let (_folder, pki) = create(&plan());
        for X509Paths {
            profile,
            folder,
            root_certificate,
        } in pki.unwrap().x509
        {
            assert_eq!(
                BaselineCa::load(&folder, profile).unwrap().profile(),
                profile
            );
            assert!(root_certificate.is_file());
        }
    }

    #[test]
    fn secrets_are_the_owners_alone() {
        let (folder, pki) = create(&plan());
        pki.unwrap();
        let secret = |path: &Path| {
            path.extension()
                .is_some_and(|kind| kind == "key" || kind == "jwt")
        };
        let secrets: Vec<PathBuf> = tree(folder.path())
            .into_iter()
            .filter(|path| secret(path))
            .collect();
        assert_eq!(secrets.len(), 3 + 4 + 2);
        for path in secrets {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        for private in ["witness", "enrolment", "tokens"] {
            assert_eq!(mode(&folder.path().join(private)), 0o700, "{private}");
        }
    }

    #[test]
    fn an_existing_pki_is_left_as_it_is() {
        let (folder, pki) = create(&plan());
        let before = fs::read(pki.unwrap().cosigner_key).unwrap();
        let error = LabPki::create(folder.path(), &plan(), NOW).err().unwrap();
        assert!(error.to_string().contains("there is a PKI in"), "{error}");
        assert_eq!(
            fs::read(folder.path().join("mtca/cosigner.key")).unwrap(),
            before
        );
    }

    #[test]
    fn impossible_plans_write_nothing() {
        let refused = |change: fn(&mut PkiPlan)| {
            let mut plan = plan();
            change(&mut plan);
            let (folder, pki) = create(&plan);
            assert!(tree(folder.path()).is_empty());
            pki.expect_err("plan is refused")
        };
        let bad_fqdn = refused(|plan| plan.instances[0].fqdn = "localhost".to_owned());
        assert!(matches!(
            bad_fqdn,
            PkiError::Instance {
                source: SubjectError::Fqdn(_),
                ..
            }
        ));
        let same_id = refused(|plan| plan.instances[0].instance_id = plan.instances[1].instance_id);
        assert!(matches!(same_id, PkiError::Duplicate(_)));
        let same_profile = refused(|plan| plan.x509_profiles.push(plan.x509_profiles[0]));
        assert!(matches!(same_profile, PkiError::Duplicate(_)));
        let same_cosigner = refused(|plan| plan.witness_id = plan.ca_id);
        assert!(matches!(same_cosigner, PkiError::WitnessIsCa(_)));
    }

    #[test]
    fn fqdns_are_made_of_the_nf_type() {
        assert_eq!(fqdn("AMF", 1), "amf1.5gc.mnc001.mcc001.3gppnetwork.org");
        assert_eq!(
            fqdn("5G_EIR", 12),
            "5g-eir12.5gc.mnc001.mcc001.3gppnetwork.org"
        );
    }

    #[test]
    fn a_new_token_is_for_the_same_instance_and_another_token() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan();
        let pki = LabPki::create(folder.path(), &plan, NOW).unwrap();
        let id = plan.instances[0].instance_id;
        let verifier =
            TokenVerifier::new(&fs::read_to_string(&pki.authority_public_key).unwrap()).unwrap();
        let claims = || {
            verifier
                .verify(&fs::read_to_string(&pki.tokens[0]).unwrap(), NOW)
                .unwrap()
        };
        let old = claims();
        let record = folder.path().join("used");
        UsedTokens::begin(&record).unwrap();
        let used = UsedTokens::open(&record, NOW).unwrap();
        let Ok(Reserved::New(reservation)) = used.reserve(&old, [0; 32]) else {
            panic!("the token was not used before")
        };
        reservation.consume(Answer::Kept).unwrap();

        let path = renew_token(folder.path(), id, Duration::from_secs(60), NOW).unwrap();
        assert_eq!(path, pki.tokens[0]);
        let new = claims();
        assert_eq!(
            (new.sub, &new.fqdn, &new.nf_type),
            (old.sub, &old.fqdn, &old.nf_type)
        );
        assert_eq!(new.exp, NOW.0 + 60);
        assert!(matches!(used.reserve(&new, [0; 32]), Ok(Reserved::New(_))));

        let unknown = renew_token(
            folder.path(),
            Uuid::from_u128(9),
            Duration::from_secs(60),
            NOW,
        );
        assert!(matches!(unknown, Err(PkiError::Read { .. })));
    }
}
