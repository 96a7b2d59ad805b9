//! What the issuer of a leaf has to know of its own certificate.

use mtc_core::der;
use mtc_core::oid;
use mtc_core::x509::{Certificate, is_ca};

/// Parts of a CA certificate, read in place. The certificate is the operator's own file: its signature is not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CaCertificate<'a> {
    /// DER of the issuer's Name.
    pub(super) issuer: &'a [u8],
    /// DER of the subject's Name.
    pub(super) subject: &'a [u8],
    /// DER of the SubjectPublicKeyInfo.
    pub(super) spki: &'a [u8],
    /// Contents octets of subjectKeyIdentifier.
    pub(super) key_identifier: &'a [u8],
}

impl<'a> CaCertificate<'a> {
    /// Reads the certificate or says which rule it breaks.
    pub(super) fn parse(certificate: &'a [u8]) -> Result<Self, &'static str> {
        let certificate =
            Certificate::parse(certificate).map_err(|_| "not the DER of a certificate")?;
        let extension = |oid| Some(certificate.statement.extension(oid)?.value);
        let constraints = extension(oid::BASIC_CONSTRAINTS).map(is_ca).transpose();
        if constraints.map_err(|_| "malformed basicConstraints")? != Some(true) {
            return Err("basicConstraints lacks cA");
        }
        let key_identifier =
            extension(oid::SUBJECT_KEY_IDENTIFIER).ok_or("no subjectKeyIdentifier")?;
        Ok(Self {
            issuer: certificate.statement.issuer,
            subject: certificate.statement.subject,
            spki: certificate.spki,
            key_identifier: der::only(key_identifier, der::OCTET_STRING)
                .map_err(|_| "malformed subjectKeyIdentifier")?,
        })
    }
}
