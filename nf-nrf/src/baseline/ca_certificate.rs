//! What the issuer of a leaf has to know of its own certificate.

use mtc_core::der::{self, DerError, Reader};
use mtc_core::x509::Extension;

/// subjectKeyIdentifier, 2.5.29.14.
pub(super) const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];
/// basicConstraints, 2.5.29.19.
pub(super) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

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
        let (fields, extensions) =
            read_fields(certificate).map_err(|_| "not the DER of a v3 certificate")?;
        let mut key_identifier = None;
        let mut is_ca = false;
        let mut reader = Reader::new(extensions);
        while !reader.is_empty() {
            let extension = Extension::read(&mut reader).map_err(|_| "malformed extension")?;
            match extension.oid {
                SUBJECT_KEY_IDENTIFIER => {
                    let identifier = der::only(extension.value, der::OCTET_STRING);
                    key_identifier =
                        Some(identifier.map_err(|_| "malformed subjectKeyIdentifier")?);
                }
                BASIC_CONSTRAINTS => {
                    let constraints = der::only(extension.value, der::SEQUENCE);
                    let constraints = constraints.map_err(|_| "malformed basicConstraints")?;
                    is_ca = constraints.starts_with(&[der::BOOLEAN, 1, 0xff]);
                }
                _ => {}
            }
        }
        if !is_ca {
            return Err("basicConstraints do not say CA");
        }
        Ok(Self {
            key_identifier: key_identifier.ok_or("no subjectKeyIdentifier")?,
            ..fields
        })
    }
}

/// The fields up to the key, with an empty key identifier, and the contents of `Extensions`.
fn read_fields(certificate: &[u8]) -> Result<(CaCertificate<'_>, &[u8]), DerError> {
    let mut tbs =
        Reader::new(Reader::new(der::only(certificate, der::SEQUENCE)?).contents(der::SEQUENCE)?);
    tbs.expect(der::context(0))?;
    tbs.expect(der::INTEGER)?;
    tbs.expect(der::SEQUENCE)?;
    let issuer = tbs.expect(der::SEQUENCE)?.whole;
    tbs.expect(der::SEQUENCE)?;
    let subject = tbs.expect(der::SEQUENCE)?.whole;
    let spki = tbs.expect(der::SEQUENCE)?.whole;
    let extensions = der::only(tbs.contents(der::context(3))?, der::SEQUENCE)?;
    tbs.finish()?;
    Ok((
        CaCertificate {
            issuer,
            subject,
            spki,
            key_identifier: &[],
        },
        extensions,
    ))
}
