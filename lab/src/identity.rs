//! The keys and certificates of a lab's network functions, for tools that are not of this project.
//!
//! ```text
//! LAB/state/.../<nfInstanceId>.json ──find──> Identity ──export──> DIR/<profile>-<key>.{key,pem}
//!                                                 properties of a Merkle Tree Certificate before it, where servers want them
//! LAB/x509/<profile>/root.crt ───────────────────────────────────> DIR/<profile>-<key>.root.pem
//! ```

mod connect;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use mtc_core::id::LandmarkNumber;
use mtc_core::wire::WireError;
use mtc_tls::identity::NfIdentity;
use mtc_tls::key::{X509Profile, X509Revocation};
use mtc_tls::pem;
use mtc_tools::chain_properties::{UnknownProperties, properties};
use nf_nrf::revocation::What;
use sbi::vault::{self, CredentialDer, RestoreError, Stored};
use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

pub use self::connect::{ConnectError, connect};
use crate::pki::{Folder, PkiError};

/// Where network functions of a lab keep their credentials.
const STATE: &str = "state";
/// How far below it they are: `state/nrf/own/<id>.json`.
const DEPTH: usize = 3;
/// Configuration with which OpenSSL takes a certificate whose signature it cannot judge, such as a Merkle Tree Certificate.
const OPENSSL_CONFIG: &str = "\
# Lets OpenSSL present a certificate whose signature algorithm it does not know, as that of Merkle Tree Certificates:
#   OPENSSL_CONF=openssl.cnf curl ...
openssl_conf = openssl_init
[openssl_init]
ssl_conf = ssl_configuration
[ssl_configuration]
system_default = tls_defaults
[tls_defaults]
CipherString = DEFAULT@SECLEVEL=0
";

/// Why no identity is exported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is no state of network functions.
    #[error("cannot read {}; is this the folder of a lab that is or was up?", path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No network function of the lab has the name.
    #[error("the lab has no network function {wanted:?} with a certificate; it has {known}")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// Those that there are.
        known: String,
    },
    /// What is stored is damaged.
    #[error("the stored credentials of {0} are damaged")]
    Damaged(String, #[source] RestoreError),
    /// There is a file already.
    #[error(
        "{} exists, perhaps of an earlier export, and nothing is written over: name another folder, or remove this one",
        path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A Merkle Tree Certificate is stored from which its properties cannot be made.
    #[error("the certificate properties of {0}")]
    Properties(String, #[source] PropertiesOfChain),
    /// Files cannot be written.
    #[error(transparent)]
    Write(PkiError),
}

impl From<PkiError> for IdentityError {
    fn from(error: PkiError) -> Self {
        match error {
            PkiError::Write { path, source } if source.kind() == io::ErrorKind::AlreadyExists => {
                Self::Exists { path }
            }
            error => Self::Write(error),
        }
    }
}

/// Why a chain has no properties.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PropertiesOfChain {
    /// They do not follow from the certificate.
    #[error(transparent)]
    Unknown(#[from] UnknownProperties),
    /// They cannot be encoded.
    #[error(transparent)]
    TooLong(#[from] WireError),
}

/// How certificates and keys are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Text, chains in one file.
    Pem,
    /// The same, and before a Merkle Tree Certificate the properties by which servers of others choose it.
    PemWithProperties,
    /// Binary, a file a certificate.
    Der,
}

/// A network function's credentials, and its name.
struct Identity {
    /// `amf1`, the first label of its FQDN.
    name: String,
    fqdn: String,
    instance: Uuid,
    stored: Stored,
}

impl Identity {
    /// That of the network function `wanted` of a lab.
    fn find(lab: &Path, wanted: &str) -> Result<Self, IdentityError> {
        let mut known = find(&lab.join(STATE))?;
        let Some(place) = known.iter().position(|identity| identity.is(wanted)) else {
            known.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            let names: Vec<_> = known.into_iter().map(|identity| identity.name).collect();
            return Err(IdentityError::Unknown {
                wanted: wanted.to_owned(),
                known: names.join(", "),
            });
        };
        Ok(known.swap_remove(place))
    }

    /// What a file stores, if it is that of a network function with a certificate.
    fn read(path: &Path) -> Option<Self> {
        let instance = path.file_stem()?.to_str()?.parse().ok()?;
        let stored = vault::read(path).ok()?;
        let credential = stored.credentials.first()?.der().ok()?;
        let identity = NfIdentity::from_certificate(credential.chain.first()?).ok()?;
        let fqdn = identity.fqdns.first()?.clone();
        Some(Self {
            name: fqdn.split('.').next()?.to_owned(),
            fqdn,
            instance,
            stored,
        })
    }

    fn is(&self, wanted: &str) -> bool {
        let wanted = wanted.to_ascii_lowercase();
        [&self.name, &self.fqdn, &self.instance.to_string()].contains(&&wanted)
    }
}

/// Writes the keys and certificates of the network function `wanted` (`amf1`, its FQDN or its instance id) of the lab in `lab`
/// into `folder`, which is made, and says which files were written. It may run meanwhile. Keys are readable by their owner
/// alone; nothing is written over. Blocks on the disk.
///
/// # Errors
/// See [`IdentityError`].
pub fn export(
    lab: &Path,
    wanted: &str,
    folder: &Path,
    form: Form,
) -> Result<Vec<PathBuf>, IdentityError> {
    let identity = Identity::find(lab, wanted)?;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| PkiError::Write {
        path: folder.to_owned(),
        source,
    })?;
    let folder = Folder(folder.to_owned());
    let mut written = vec![folder.public("openssl.cnf", OPENSSL_CONFIG.as_bytes())?];
    for credential in &identity.stored.credentials {
        let der = credential
            .der()
            .map_err(|error| IdentityError::Damaged(identity.name.clone(), error))?;
        let name = format!("{}-{}", credential.profile, credential.leaf_key);
        let landmark = credential.landmark().map(|(_, landmark)| landmark);
        let with_properties = form == Form::PemWithProperties && credential.is_mtc();
        let text = |chain: &[Vec<u8>], landmark| {
            chain_text(chain, with_properties, landmark)
                .map_err(|error| IdentityError::Properties(name.clone(), error))
        };
        match form {
            Form::Pem | Form::PemWithProperties => {
                let key = Zeroizing::new(pem::encode(pem::PRIVATE_KEY, &der.key));
                written.push(folder.secret(&format!("{name}.key"), key.as_str())?);
                let chain = text(&der.chain, None)?;
                written.push(folder.public(&format!("{name}.pem"), chain.as_bytes())?);
                if let Some(relative) = der.landmark {
                    let relative = text(&[relative], landmark)?;
                    let file = format!("{name}.landmark.pem");
                    written.push(folder.public(&file, relative.as_bytes())?);
                }
            }
            Form::Der => write_der(&folder, &name, &der, &mut written)?,
        }
        let of_profile = credential.profile.strip_prefix("x509-");
        let root = of_profile.map(|profile| lab.join("x509").join(profile).join("root.crt"));
        if let Some(root) = root.and_then(|root| std::fs::read(root).ok()) {
            written.push(folder.public(&format!("{name}.root.pem"), &root)?);
        }
    }
    Ok(written)
}

/// What is revoked of instances of the lab in `lab`, each in the form of an order: their X.509 certificates, where peers look at what was
/// revoked of them, and then all their Merkle Tree Certificates. Blocks on the disk.
///
/// # Errors
/// Their credentials cannot be read, or are damaged.
pub(crate) fn certificates_of(lab: &Path, instances: &[Uuid]) -> Result<Vec<What>, IdentityError> {
    let mut found = find(&lab.join(STATE))?;
    found.retain(|identity| instances.contains(&identity.instance));
    let (mut x509, mut mtc) = (Vec::new(), Vec::new());
    for identity in found {
        for credential in &identity.stored.credentials {
            if credential.is_mtc() {
                mtc.push(What::Instance(identity.instance));
                continue;
            }
            let profile = credential.profile.strip_prefix("x509-");
            let profile = profile.and_then(|profile| profile.parse::<X509Profile>().ok());
            if profile.is_none_or(|profile| profile.revocation == X509Revocation::None) {
                continue;
            }
            let damaged = |error| IdentityError::Damaged(identity.name.clone(), error);
            let chain = credential.der().map_err(damaged)?.chain;
            x509.extend(
                chain
                    .first()
                    .and_then(|leaf| What::of_certificate(leaf).ok()),
            );
        }
    }
    mtc.dedup();
    Ok(x509.into_iter().chain(mtc).collect())
}

/// The network functions whose credentials are below a folder.
fn find(state: &Path) -> Result<Vec<Identity>, IdentityError> {
    let failed = |source| IdentityError::State {
        path: state.to_owned(),
        source,
    };
    let mut identities = Vec::new();
    let mut folders = vec![(state.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for found in folder.read_dir().map_err(failed)? {
            let path = found.map_err(failed)?.path();
            if path.is_dir() && depth < DEPTH {
                folders.push((path, depth + 1));
            } else if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                identities.extend(Identity::read(&path));
            }
        }
    }
    Ok(identities)
}

/// A chain as PEM.
fn chain_text(
    chain: &[Vec<u8>],
    with_properties: bool,
    landmark: Option<LandmarkNumber>,
) -> Result<String, PropertiesOfChain> {
    let leaf = chain.first().filter(|_| with_properties);
    let Some(leaf) = leaf else {
        let certificates = chain.iter();
        return Ok(certificates
            .map(|der| pem::encode(pem::CERTIFICATE, der))
            .collect());
    };
    let properties = properties(leaf, landmark)?.encode()?;
    Ok(pem::chain_with_properties(&properties, chain))
}

fn write_der(
    folder: &Folder,
    name: &str,
    der: &CredentialDer,
    written: &mut Vec<PathBuf>,
) -> Result<(), PkiError> {
    written.push(folder.secret(&format!("{name}.key.der"), der.key.as_slice())?);
    for (place, certificate) in der.chain.iter().enumerate() {
        let of = match place {
            0 => String::new(),
            place => format!(".intermediate-{place}"),
        };
        written.push(folder.public(&format!("{name}{of}.der"), certificate)?);
    }
    if let Some(landmark) = &der.landmark {
        written.push(folder.public(&format!("{name}.landmark.der"), landmark)?);
    }
    Ok(())
}
