//! NF instance identity in certificates: TS 33.310 clause 6.1.3c and RFC 9310, one profile for MTC and X.509 leaves.
//!
//! ```text
//!  issuing:   NfSubject ──> name_der, extensions_der ──> the leaf, MTC or X.509, byte for byte the same
//!  verifying: certificate ──> check_certificate_usage    validity, keyUsage, extKeyUsage, critical extensions
//!                        └──> NfIdentity                 urn:uuid, NF types, FQDNs
//! ```
//!
//! Nothing here says whether a certificate is authentic; the verifiers do. Everything that cannot be read is refused.

mod alt_names;
mod leaf;
mod nf_types;
mod oid;
mod subject;
#[cfg(test)]
mod tests;
mod usage;

use uuid::Uuid;

pub(crate) use self::alt_names::AltNames;
pub use self::alt_names::{AltNamesError, MAX_FQDNS};
pub(crate) use self::leaf::Leaf;
pub use self::leaf::MalformedCertificate;
pub use self::nf_types::{MAX_NF_TYPES, NfTypesError};
pub(crate) use self::oid::SUBJECT_ALT_NAME;
pub use self::subject::{NfSubject, SubjectError};
pub use self::usage::{UsageError, check_certificate_usage};
pub use mtc_core::x509::Role;

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
    #[error(transparent)]
    Malformed(#[from] MalformedCertificate),
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
        let leaf = Leaf::parse(certificate)?;
        leaf.identity(leaf.alt_names()?)
    }
}

impl Leaf<'_> {
    /// The names in the certificate; none without the extension.
    pub(crate) fn alt_names(&self) -> Result<AltNames, AltNamesError> {
        self.subject_alt_name
            .map_or_else(|| Ok(AltNames::default()), AltNames::parse)
    }

    /// The identity in a certificate with these names.
    pub(crate) fn identity(&self, names: AltNames) -> Result<NfIdentity, IdentityError> {
        let missing = IdentityError::MissingExtension;
        if self.subject_alt_name.is_none() {
            return Err(missing("subjectAltName"));
        }
        let nf_types = self.nf_types.ok_or_else(|| missing("nfTypes"))?;
        let AltNames { instance_id, fqdns } = names;
        Ok(NfIdentity {
            instance_id: instance_id.ok_or(IdentityError::NoInstanceId)?,
            nf_types: nf_types::parse(nf_types)?,
            fqdns,
            not_after: self.not_after.0,
        })
    }
}
