//! NF instance identity in certificates: TS 33.310 clause 6.1.3c and RFC 9310, one profile for MTC and X.509 leaves.
//!
//! ```text
//!  issuing:   NfSubject ──> name_der, extensions_der ──> the leaf, MTC or X.509, byte for byte the same
//!  verifying: certificate ──> EndEntity ─┬─> check_usage   validity, keyUsage, extKeyUsage, critical extensions
//!                         (mtc_core::x509) └─> NfIdentity    urn:uuid, NF types, FQDNs
//! ```
//!
//! Nothing here says whether a certificate is authentic; the verifiers do. Everything that cannot be read is refused.

mod alt_names;
mod certificate_id;
pub(crate) mod nf_types;
mod subject;
#[cfg(test)]
mod tests;

use mtc_core::x509::{EndEntity, X509Error};
use uuid::Uuid;

pub(crate) use self::alt_names::AltNames;
pub use self::alt_names::{AltNamesError, MAX_FQDNS};
pub use self::certificate_id::CertificateId;
pub use self::nf_types::{MAX_NF_TYPES, NfTypesError};
pub use self::subject::{NfSubject, SubjectError};

/// Who an NF instance is, as its certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NfIdentity {
    /// The NF instance: the one `urn:uuid:` in the subject alternative names.
    pub instance_id: Uuid,
    /// NF types of RFC 9310 (`AMF`, `SMF`, ...), in the order of the certificate.
    pub nf_types: Vec<String>,
    /// FQDNs under which the NF serves: the dNSNames, in the order of the certificate.
    pub fqdns: Vec<String>,
    /// End of the certificate's validity, Unix seconds, inclusive.
    pub not_after: u64,
}

/// Why a certificate does not identify an NF instance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The certificate cannot be read.
    #[error("malformed certificate")]
    Malformed(#[from] X509Error),
    /// An extension that carries the identity is not there.
    #[error("certificate: no {0} extension")]
    MissingExtension(&'static str),
    /// No `urn:uuid:` name.
    #[error("certificate: subjectAltName has no urn:uuid of an NF instance")]
    NoInstanceId,
    /// The names cannot be used.
    #[error("certificate names no NF instance")]
    AltNames(#[from] AltNamesError),
    /// The NF types cannot be used.
    #[error("certificate names no NF type")]
    NfTypes(#[from] NfTypesError),
}

impl NfIdentity {
    /// Reads the identity from a leaf certificate, MTC or X.509. UUIDs of any version are taken, in any case;
    /// NF types in any order; URIs that are no `urn:uuid` and names of other forms are passed over.
    ///
    /// # Errors
    /// Every rule has its variant in [`IdentityError`].
    pub fn from_certificate(certificate: &[u8]) -> Result<Self, IdentityError> {
        let leaf = EndEntity::parse(certificate)?;
        Self::of(&leaf, AltNames::of(&leaf)?)
    }

    /// The identity in a certificate that has been read, with its names.
    pub(crate) fn of(leaf: &EndEntity<'_>, names: AltNames) -> Result<Self, IdentityError> {
        let missing = IdentityError::MissingExtension;
        if leaf.subject_alt_name.is_none() {
            return Err(missing("subjectAltName"));
        }
        let nf_types = leaf.nf_types.ok_or_else(|| missing("nfTypes"))?;
        let AltNames { instance_id, fqdns } = names;
        Ok(Self {
            instance_id: instance_id.ok_or(IdentityError::NoInstanceId)?,
            nf_types: nf_types::parse(nf_types)?,
            fqdns,
            not_after: leaf.not_after.0,
        })
    }
}
