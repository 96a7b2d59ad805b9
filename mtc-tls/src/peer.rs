//! Who is at the other end, who must be, and why somebody is not.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mtc_core::verify::Rejection;
use mtc_core::x509::UsageError;
use rustls::CertificateError;
use thiserror::Error;
use uuid::Uuid;

use crate::identity::{CertificateId, IdentityError, NfIdentity};
use crate::kind::CertificateKind;
use crate::revocation::StatusError;
use crate::revocation::ocsp::OcspError;
use crate::verification::Verification;

/// Why a peer's certificate was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The relying party's procedure rejects the MTC.
    #[error("the certificate is not authentic")]
    Mtc(#[from] Rejection),
    /// The X.509 chain, or the name in it, is refused.
    #[error("the certificate chain is not trusted")]
    X509(#[source] rustls::Error),
    /// Whether the certificate was revoked is not shown as it has to be, or it was.
    #[error("the certificate's status")]
    Status(#[from] StatusError),
    /// The certificate may not be used now or in this role.
    #[error("the certificate may not be used")]
    Usage(#[from] UsageError),
    /// The certificate is not for the server name that was called.
    #[error("the certificate is not for this server name")]
    ServerName(#[source] rustls::Error),
    /// The certificate does not say which NF instance it is.
    #[error("the certificate names no NF instance")]
    Identity(#[from] IdentityError),
    /// Another NF instance than the one that was wanted.
    #[error("the certificate belongs to NF instance {found}, expected {wanted}")]
    WrongInstance {
        /// The instance that was called.
        wanted: Uuid,
        /// The instance in the certificate.
        found: Uuid,
    },
    /// An NF of another type than the one that was wanted.
    #[error("the certificate belongs to an NF of type {found:?}, expected {wanted}")]
    WrongNfType {
        /// The type that was called.
        wanted: String,
        /// The types in the certificate.
        found: Vec<String>,
    },
}

impl VerifyError {
    /// The broken rule without what a peer wrote, so that equal refusals count together.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Mtc(Rejection::Malformed(_)) => "malformed certificate",
            Self::Mtc(Rejection::UnknownIssuer(_)) => "unknown issuer",
            Self::Mtc(Rejection::Serial(_)) => "serial number",
            Self::Mtc(Rejection::OutsideRange { .. }) => "outside the CA's range",
            Self::Mtc(Rejection::Revoked(_)) => "revoked",
            Self::Mtc(Rejection::Inclusion(_)) => "inclusion proof",
            Self::Mtc(Rejection::TrustedSubtreeMismatch(_)) => "trusted subtree mismatch",
            Self::Mtc(Rejection::Policy(_)) => "cosigner policy",
            Self::Mtc(_) => "not authentic",
            Self::X509(rustls::Error::InvalidCertificate(CertificateError::Revoked))
            | Self::Status(StatusError::Revoked | StatusError::Ocsp(OcspError::Revoked(_))) => {
                "revoked"
            }
            Self::X509(rustls::Error::InvalidCertificate(
                CertificateError::UnknownRevocationStatus,
            ))
            | Self::Status(StatusError::NoCrl) => "no CRL",
            Self::X509(rustls::Error::InvalidCertificate(
                CertificateError::ExpiredRevocationList
                | CertificateError::ExpiredRevocationListContext { .. },
            )) => "stale CRL",
            Self::X509(_) => "certificate chain",
            Self::Status(StatusError::NotStapled) => "no stapled OCSP response",
            Self::Status(StatusError::Ocsp(OcspError::Stale(_))) => "stale OCSP response",
            Self::Status(_) => "OCSP response",
            Self::Usage(UsageError::Expired { .. }) => "expired",
            Self::Usage(UsageError::NotYetValid { .. }) => "not yet valid",
            Self::Usage(_) => "usage",
            Self::ServerName(_) => "server name",
            Self::Identity(_) => "no NF instance",
            Self::WrongInstance { .. } => "another NF instance",
            Self::WrongNfType { .. } => "another NF type",
        }
    }
}

/// Who must be at the other end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExpectedPeer {
    /// The FQDN: server name of the connection, matched with the certificate's dNSNames.
    pub fqdn: String,
    /// The NF instance, when it is known.
    pub instance_id: Option<Uuid>,
    /// The NF type, when it is known.
    pub nf_type: Option<String>,
}

impl ExpectedPeer {
    /// Whether this is the NF that was wanted; its name has been looked at before.
    pub(crate) fn check(&self, identity: &NfIdentity) -> Result<(), VerifyError> {
        let found = identity.instance_id;
        if let Some(wanted) = self.instance_id.filter(|wanted| *wanted != found) {
            return Err(VerifyError::WrongInstance { wanted, found });
        }
        match &self.nf_type {
            Some(wanted) if !identity.nf_types.contains(wanted) => Err(VerifyError::WrongNfType {
                wanted: wanted.clone(),
                found: identity.nf_types.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// A peer whose certificate was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPeer {
    /// Who it is.
    pub identity: NfIdentity,
    /// The certificate that says so.
    pub certificate: CertificateId,
    /// Whether its certificate has expired: it may be renewed, and proves nothing else. Only where
    /// [`ClientAuth::OptionalOrExpired`](crate::profile::ClientAuth::OptionalOrExpired) asks for it.
    pub expired: bool,
    /// How its certificate is authenticated.
    pub kind: CertificateKind,
    /// Thread CPU time that the verification took.
    pub verify: Duration,
    /// What the verification had to do.
    pub verification: Verification,
}

/// What became of the peer's certificate; empty until it was looked at.
pub(crate) type Verdict = OnceLock<Result<VerifiedPeer, Arc<VerifyError>>>;
