//! The checks of RFC 5280 that webpki makes for X.509 chains, for a leaf that webpki does not verify.

use mtc_core::der::{self, DerError, Reader};
use mtc_core::time::UnixTime;
use mtc_core::x509::Role;

use super::leaf::{Leaf, MalformedCertificate, in_field};
use super::oid;

/// The purpose that extKeyUsage must name: its OID, and its name.
const fn purpose(role: Role) -> (&'static [u8], &'static str) {
    match role {
        Role::Client => (oid::CLIENT_AUTH, "clientAuth"),
        Role::Server => (oid::SERVER_AUTH, "serverAuth"),
    }
}

/// Why a certificate may not be used, whoever signed or logged it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsageError {
    /// The certificate cannot be read.
    #[error(transparent)]
    Malformed(#[from] MalformedCertificate),
    /// Its validity has not begun.
    #[error(
        "certificate: notBefore {not_before} is {} s ahead of this clock, {now}; is a clock wrong?",
        not_before.0.saturating_sub(now.0)
    )]
    NotYetValid {
        /// First valid second.
        not_before: UnixTime,
        /// The verifier's clock.
        now: UnixTime,
    },
    /// Its validity is over.
    #[error(
        "certificate: notAfter {not_after} was {} s before this clock, {now}; not renewed, or is a clock wrong?",
        now.0.saturating_sub(not_after.0)
    )]
    Expired {
        /// Last valid second.
        not_after: UnixTime,
        /// The verifier's clock.
        now: UnixTime,
    },
    /// It is the certificate of a CA.
    #[error("certificate: basicConstraints say CA, not end entity")]
    CaCertificate,
    /// keyUsage is missing or lacks digitalSignature.
    #[error("certificate: keyUsage lacks digitalSignature")]
    KeyUsage,
    /// extKeyUsage is missing or lacks the purpose of the role.
    #[error("certificate: extKeyUsage lacks {0}")]
    ExtendedKeyUsage(&'static str),
    /// A critical extension that this implementation does not process.
    #[error("certificate: critical extension with OID octets {0:02x?} is unknown")]
    UnknownCriticalExtension(Vec<u8>),
}

/// Checks validity, keyUsage, extKeyUsage and critical extensions of a leaf certificate (TS 33.310 clause 6.1.3c);
/// both ends of the validity are inclusive.
///
/// # Errors
/// Every rule has its variant in [`UsageError`]; what cannot be read is refused.
pub fn check_certificate_usage(
    certificate: &[u8],
    now: UnixTime,
    role: Role,
) -> Result<(), UsageError> {
    Leaf::parse(certificate)?.check_usage(now, role)
}

impl Leaf<'_> {
    /// Checks validity, usages and critical extensions, as [`check_certificate_usage`].
    pub(crate) fn check_usage(&self, now: UnixTime, role: Role) -> Result<(), UsageError> {
        let Self {
            not_before,
            not_after,
            ..
        } = *self;
        if now < not_before {
            return Err(UsageError::NotYetValid { not_before, now });
        }
        if now > not_after {
            return Err(UsageError::Expired { not_after, now });
        }
        if let Some(unknown) = self.unknown_critical {
            return Err(UsageError::UnknownCriticalExtension(unknown.to_vec()));
        }
        if self
            .basic_constraints
            .map(is_ca)
            .transpose()
            .map_err(in_field("basicConstraints"))?
            == Some(true)
        {
            return Err(UsageError::CaCertificate);
        }
        let key_usage = self.key_usage.ok_or(UsageError::KeyUsage)?;
        if !has_digital_signature(key_usage).map_err(in_field("keyUsage"))? {
            return Err(UsageError::KeyUsage);
        }
        let (purpose, name) = purpose(role);
        let purposes = self
            .ext_key_usage
            .ok_or(UsageError::ExtendedKeyUsage(name))?;
        if !has_purpose(purposes, purpose).map_err(in_field("extKeyUsage"))? {
            return Err(UsageError::ExtendedKeyUsage(name));
        }
        Ok(())
    }
}

/// `BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL }`.
/// Some issuers write the default out; both values of cA are read, so that neither can hide.
fn is_ca(value: &[u8]) -> Result<bool, DerError> {
    let mut constraints = Reader::new(der::only(value, der::SEQUENCE)?);
    let ca = constraints
        .optional(der::BOOLEAN)?
        .is_some_and(|ca| ca.contents != [0]);
    constraints.optional(der::INTEGER)?;
    constraints.finish()?;
    Ok(ca)
}

/// digitalSignature is bit 0 of the named bit list, the uppermost of its first octet.
fn has_digital_signature(value: &[u8]) -> Result<bool, DerError> {
    match der::only(value, der::BIT_STRING)? {
        [0..=7, first, ..] => Ok(first & 0x80 != 0),
        [0] => Ok(false),
        _ => Err(DerError::InvalidValue("BIT STRING")),
    }
}

fn has_purpose(value: &[u8], purpose: &[u8]) -> Result<bool, DerError> {
    let mut purposes = Reader::new(der::only(value, der::SEQUENCE)?);
    let mut found = false;
    while !purposes.is_empty() {
        found |= purposes.contents(der::OID)? == purpose;
    }
    Ok(found)
}
