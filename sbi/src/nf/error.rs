//! Why a process of NF instances cannot start.

use std::net::SocketAddr;
use std::path::PathBuf;

use mtc_core::id::{LandmarkNumber, LogNumber};
use mtc_tls::credentials::CredentialError;

use crate::client::ClientError;
use crate::config::ConfigError;
use crate::credentials::ObtainError;
use crate::instance::CallError;
use crate::listener::ListenError;
use crate::trust::TrustError;
use crate::trust_file::TrustFileError;
use crate::vault::VaultError;
use crate::x509_status::FetchError;

/// Why a process of NF instances cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NfError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The trust file.
    #[error(transparent)]
    TrustFile(#[from] TrustFileError),
    /// The logs of the CA cannot be followed.
    #[error("nrf.log")]
    Log(#[from] TrustError),
    /// An X.509 credential is wanted and there is no root.
    #[error("cannot read the root certificate {}; set x509 to the folder that mtc5g init wrote", path.display())]
    X509Root {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A root or credential cannot be used.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The process may not open as many files as its instances need.
    #[error(
        "{instances} instances need {needed} file descriptors, and this process may have {limit}: raise the hard limit of open files (ulimit -Hn, LimitNOFILE of systemd), or start fewer"
    )]
    Descriptors {
        /// The instances.
        instances: usize,
        /// What they need.
        needed: u64,
        /// What it may have.
        limit: u64,
    },
    /// An instance has no certificate.
    #[error("{fqdn} did not get its certificates")]
    Obtain {
        /// The instance.
        fqdn: String,
        /// Why.
        source: ObtainError,
    },
    /// There is no trust state.
    #[error("no trust state from the log")]
    Trust(#[source] TrustError),
    /// There is no trusted set, or none that could be taken.
    #[error(
        "no trusted set in {}, which trusted_sets names: is it the folder of the node's mtc5g distribute, and does that run?",
        folder.display()
    )]
    TrustedSets {
        /// The folder.
        folder: PathBuf,
        /// Why the last look has brought none; nothing if it was broken off.
        source: Option<TrustError>,
    },
    /// What the X.509 CAs say of certificates that were revoked is not there.
    #[error("no CRLs or OCSP responses of the X.509 CAs")]
    X509Status(#[from] FetchError),
    /// The log does not have the landmarks of this process's own certificates.
    #[error(
        "log {log} lacks landmark {landmark}, which this NF's certificates rely on; if the log belongs to another lab or is an older copy, remove the NF's state and enrol it again"
    )]
    OldLog {
        /// The log of the process's own certificates.
        log: LogNumber,
        /// The newest landmark of the process's own certificates.
        landmark: LandmarkNumber,
    },
    /// The key log.
    #[error("cannot write the key log {}", path.display())]
    KeyLog {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Access tokens are used, and their keys are unknown.
    #[error(
        "access_tokens: the trust file names no token_keys, which mtc5g init writes; or set access_tokens = \"off\""
    )]
    NoTokenKeys,
    /// The NRF's name has no address.
    #[error("the NRF")]
    Nrf(#[source] ClientError),
    /// No address of this machine leads to the NRF.
    #[error("this machine has no address that reaches the NRF at {nrf}")]
    NoRoute {
        /// Where the NRF is.
        nrf: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// An instance is not registered.
    #[error("{fqdn} could not register at the NRF")]
    Register {
        /// The instance.
        fqdn: String,
        /// Why.
        source: CallError,
    },
}
