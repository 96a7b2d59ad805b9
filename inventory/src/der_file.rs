//! Things that are kept in DER: how each is told from the others, and added to what was found.

use mtc_core::der::{self, DerError, Reader};
use mtc_core::x509::Certificate;

use crate::found::{Findings, Item};

/// `id-signedData`, 1.2.840.113549.1.7.2.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];

/// Adds what is said to be a certificate.
pub(crate) fn certificate(bytes: &[u8], findings: &mut Findings) {
    match Certificate::parse(bytes) {
        Ok(_) => findings.add(Item::Certificate(bytes.to_vec())),
        Err(error) => {
            findings.fault(format!(
                "not a certificate: {}",
                mtc_core::causes::Causes(&error)
            ));
        }
    }
}

/// Adds what is said to be a certification request.
pub(crate) fn request(bytes: &[u8], findings: &mut Findings) {
    match is_request(bytes) {
        Ok(()) => findings.add(Item::Request(bytes.to_vec())),
        Err(error) => findings.fault(format!("not a certification request: {error}")),
    }
}

/// Adds the certificates of a SignedData that carries nothing else (`.p7b`).
pub(crate) fn pkcs7(bytes: &[u8], findings: &mut Findings) {
    match signed_certificates(bytes) {
        Ok(list) => {
            let mut certificates = Reader::new(list);
            while let Ok(element) = certificates.element() {
                findings.next_position();
                certificate(element.whole, findings);
            }
        }
        Err(error) => findings.fault(format!("not certificates in PKCS#7: {error}")),
    }
}

/// `ContentInfo { id-signedData, [0] SignedData { version, digests, contents, [0] certificates ... } }`: the last.
pub(crate) fn signed_certificates(bytes: &[u8]) -> Result<&[u8], DerError> {
    let mut fields = Reader::new(der::only(bytes, der::SEQUENCE)?);
    if fields.contents(der::OID)? != SIGNED_DATA {
        return Err(DerError::InvalidValue("contentType"));
    }
    let content = der::only(fields.contents(der::context(0))?, der::SEQUENCE)?;
    let mut fields = Reader::new(content);
    fields.contents(der::INTEGER)?;
    fields.contents(der::SET)?;
    fields.contents(der::SEQUENCE)?;
    fields.contents(der::context(0))
}

/// `CertificationRequest { { 0, subject, key, [0] attributes }, algorithm, signature }` (RFC 2986).
pub(crate) fn is_request(bytes: &[u8]) -> Result<(), DerError> {
    let mut fields = Reader::new(der::only(bytes, der::SEQUENCE)?);
    let mut info = Reader::new(fields.contents(der::SEQUENCE)?);
    der::unsigned(info.contents(der::INTEGER)?)?;
    info.contents(der::SEQUENCE)?;
    let mut key = Reader::new(info.contents(der::SEQUENCE)?);
    key.contents(der::SEQUENCE)?;
    key.contents(der::BIT_STRING)?;
    fields.contents(der::SEQUENCE)?;
    fields.contents(der::BIT_STRING)?;
    fields.finish()
}

/// Subject and SubjectPublicKeyInfo of a certification request, both DER.
pub(crate) fn request_parts(bytes: &[u8]) -> Result<(&[u8], &[u8]), DerError> {
    let mut fields = Reader::new(der::only(bytes, der::SEQUENCE)?);
    let mut info = Reader::new(fields.contents(der::SEQUENCE)?);
    info.contents(der::INTEGER)?;
    Ok((
        info.expect(der::SEQUENCE)?.whole,
        info.expect(der::SEQUENCE)?.whole,
    ))
}

/// `CertificateList { { 1, algorithm, issuer, thisUpdate ... }, algorithm, signature }` (RFC 5280 section 5.1).
pub(crate) fn is_revocation_list(bytes: &[u8]) -> Result<(), DerError> {
    let mut fields = Reader::new(der::only(bytes, der::SEQUENCE)?);
    let mut list = Reader::new(fields.contents(der::SEQUENCE)?);
    list.optional(der::INTEGER)?;
    list.contents(der::SEQUENCE)?;
    list.contents(der::SEQUENCE)?;
    mtc_core::time::UnixTime::from_der(&mut list)?;
    fields.contents(der::SEQUENCE)?;
    fields.contents(der::BIT_STRING)?;
    fields.finish()
}
