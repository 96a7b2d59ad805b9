//! Why a lab's PKI is not made, or a token of it.

use std::io;
use std::path::PathBuf;

use mtc_core::cosign::KeyError;
use mtc_core::id::TrustAnchorId;
use mtc_tls::identity::SubjectError;
use mtc_tls::key::NfKeyError;
use nf_nrf::baseline::BaselineError;
use nf_nrf::enrolment_token::{AuthorityKeyError, SharedSecretsError, TokenError};
use uuid::Uuid;

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
    /// Two instances share an ID or an FQDN, or two witnesses or X.509 profiles are the same.
    #[error("{0} is planned twice")]
    Duplicate(String),
    /// CA and a witness have the same ID.
    #[error("the CA and a witness are both {0}")]
    WitnessIsCa(TrustAnchorId),
    /// Fewer than one witness is required, or more than there are.
    #[error("{required} of {witnesses} witnesses cannot be required")]
    Quorum {
        /// How many are required.
        required: usize,
        /// How many there are.
        witnesses: usize,
    },
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
    /// An order to revoke cannot be signed.
    #[error("cannot sign the order")]
    Order(#[source] jsonwebtoken::errors::Error),
    /// A file of the lab cannot be read.
    #[error("cannot read {}; is this a lab's folder, and is the instance in that lab?", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The enrolment authority's public key is not one.
    #[error("enrolment/authority.pub")]
    Authority(#[from] AuthorityKeyError),
    /// The key of CMP secrets or of ACME's external accounts is not one.
    #[error("{}; openssl rand -hex 32 makes one", path.display())]
    SharedKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SharedSecretsError,
    },
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
