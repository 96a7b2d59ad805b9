//! `--trust`, `--ca`, `--cosigner` and `--require`: whom to believe, the same for every command.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use mtc_core::ca::{CaCertificate, CaError};
use mtc_core::cosign::Cosigner;
use mtc_core::id::{IdError, TrustAnchorId};
use mtc_core::verify::{CaTrust, CosignerGroup, PolicyError};
use sbi::trust_file::{TrustFile, TrustFileError};
use thiserror::Error;

use super::run::LAB;
use crate::pki::TRUST_FILE;
use mtc_tools::certificate_file::{self, FileError};

/// Where a lab for containers, or that of a run, has its trust file: below the folder.
const LABS: [&str; 2] = ["public", LAB];

/// Where a lab has the certificate of its MTCA and the key of its witness, from its folder and from the folder that they are in.
const CA_CERTIFICATES: [&str; 2] = ["ca.pem", "mtca/ca.pem"];
const WITNESS_KEYS: [&str; 2] = ["witness.pub", "witness/witness.pub"];

/// Whom to believe: a trust file, or a CA certificate with cosigners.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Trust")]
pub(super) struct TrustArguments {
    /// Trust file, made by mtc5g init: CA certificate, cosigners and quorums; or the folder of the lab that it is of
    #[arg(long, value_name = "TRUST_TOML", conflicts_with_all = ["ca", "cosigner", "require"])]
    trust: Option<PathBuf>,
    /// CA certificate of the MTCA (PEM or DER, unsigned as in RFC 9925); the CA's cosignature is always required
    #[arg(long, value_name = "CERT")]
    ca: Option<PathBuf>,
    /// A witness or mirror: its trust anchor ID and the file of its public key (PEM section PUBLIC KEY, or DER)
    #[arg(long, value_name = "ID=SPKI_FILE", requires = "ca")]
    cosigner: Vec<CosignerArgument>,
    /// How many of the named cosigners must have signed, besides the CA [default: all of them]
    #[arg(long, value_name = "K", requires = "ca")]
    require: Option<usize>,
}

/// `ID=SPKI_FILE`.
#[derive(Clone, Debug)]
struct CosignerArgument {
    id: TrustAnchorId,
    file: PathBuf,
}

/// Why an argument is no cosigner.
#[derive(Clone, Debug, Error)]
pub(super) enum CosignerArgumentError {
    #[error("a cosigner is ID=SPKI_FILE, such as 32473.2=witness.pub")]
    Form,
    #[error(transparent)]
    Id(#[from] IdError),
}

impl FromStr for CosignerArgument {
    type Err = CosignerArgumentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (id, file) = text.split_once('=').ok_or(CosignerArgumentError::Form)?;
        if file.is_empty() {
            return Err(CosignerArgumentError::Form);
        }
        Ok(Self {
            id: id.parse()?,
            file: file.into(),
        })
    }
}

/// Why there is nobody to believe: the arguments, or the files that they name, cannot be used.
#[derive(Debug, Error)]
pub(super) enum TrustArgumentsError {
    #[error("--trust")]
    TrustFile(#[from] TrustFileError),
    #[error("{option} {}", path.display())]
    File {
        option: &'static str,
        path: PathBuf,
        source: FileError,
    },
    #[error("{option} {}: it is a folder; name the file in it, such as {}", path.display(), wanted.display())]
    Folder {
        option: &'static str,
        path: PathBuf,
        wanted: PathBuf,
    },
    #[error("--ca {}: not the certificate of a Merkle Tree CA", path.display())]
    Ca { path: PathBuf, source: CaError },
    #[error("--require {required}: only {named} cosigners are given with --cosigner")]
    Require { required: usize, named: usize },
    #[error("--cosigner")]
    Group(#[from] PolicyError),
}

impl TrustArguments {
    /// Reads the files and puts the trust together; nothing without arguments. Blocks.
    pub(super) fn resolve(&self) -> Result<Option<CaTrust>, TrustArgumentsError> {
        if let Some(path) = &self.trust {
            let file = TrustFile::load(&trust_file(path))?;
            return Ok(Some(file.trust));
        }
        let Some(path) = &self.ca else {
            return Ok(None);
        };
        let trust = CaTrust::ca_alone(&read_ca(path)?);
        let named = self.cosigner.len();
        let required = self.require.unwrap_or(named);
        if required > named {
            return Err(TrustArgumentsError::Require { required, named });
        }
        let members = self.cosigners()?;
        if required == 0 {
            return Ok(Some(trust));
        }
        Ok(Some(trust.require(CosignerGroup::new(members, required)?)?))
    }

    fn cosigners(&self) -> Result<Vec<Cosigner>, TrustArgumentsError> {
        self.cosigner
            .iter()
            .map(|CosignerArgument { id, file }| {
                refuse_folder("--cosigner", file, WITNESS_KEYS)?;
                let key = certificate_file::read_public_key(file).map_err(|source| {
                    TrustArgumentsError::File {
                        option: "--cosigner",
                        path: file.clone(),
                        source,
                    }
                })?;
                Ok(Cosigner { id: *id, key })
            })
            .collect()
    }
}

/// The trust file that a path stands for: itself, or that of the lab in the folder, also of one for containers or of a run.
fn trust_file(path: &Path) -> PathBuf {
    let here = path.join(TRUST_FILE);
    if !path.is_dir() {
        return path.to_owned();
    }
    let below = LABS.map(|lab| path.join(lab).join(TRUST_FILE));
    let found = below.into_iter().find(|file| file.is_file());
    found.filter(|_| !here.is_file()).unwrap_or(here)
}

/// Names the file that is wanted where a folder is named: the first of `names` that there is, as in the folder of a lab.
fn refuse_folder(
    option: &'static str,
    path: &Path,
    names: [&str; 2],
) -> Result<(), TrustArgumentsError> {
    if !path.is_dir() {
        return Ok(());
    }
    let [first, _] = names.map(|name| path.join(name));
    let mut there = names.iter().map(|name| path.join(name));
    let wanted = there.find(|file| file.is_file()).unwrap_or(first);
    Err(TrustArgumentsError::Folder {
        option,
        path: path.to_owned(),
        wanted,
    })
}

fn read_ca(path: &Path) -> Result<CaCertificate, TrustArgumentsError> {
    refuse_folder("--ca", path, CA_CERTIFICATES)?;
    let der =
        certificate_file::read_certificate(path).map_err(|source| TrustArgumentsError::File {
            option: "--ca",
            path: path.to_owned(),
            source,
        })?;
    CaCertificate::parse(&der).map_err(|source| TrustArgumentsError::Ca {
        path: path.to_owned(),
        source,
    })
}
