//! Writing a signed X.509 certificate.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use mtc_core::der;
use mtc_core::oid;
use mtc_core::time::UnixTime;
use mtc_core::x509::extension;
use mtc_tls::key::{NfKey, NfKeyError};

/// Octets of a serial number: 126 random bits make it unique per CA, and at most 20 octets are allowed.
const SERIAL_LENGTH: usize = 16;
/// Version `v3`.
const VERSION: u64 = 2;

/// A random positive serial number, as contents octets of an INTEGER.
pub(super) fn random_serial() -> Result<[u8; SERIAL_LENGTH], Unspecified> {
    let mut serial = [0; SERIAL_LENGTH];
    rand::fill(&mut serial)?;
    // Positive, and without leading zeros: minimal whatever was drawn.
    serial[0] = serial[0] & 0x3f | 0x40;
    Ok(serial)
}

/// The authorityKeyIdentifier extension, which holds the issuer's subjectKeyIdentifier.
///
/// ```text
/// AuthorityKeyIdentifier ::= SEQUENCE { keyIdentifier [0] OCTET STRING OPTIONAL, ... }
/// ```
pub(super) fn authority_key_identifier(issuer_key_identifier: &[u8]) -> Vec<u8> {
    let identifier = der::element(der::context_primitive(0), &[issuer_key_identifier]);
    let value = der::element(der::SEQUENCE, &[&identifier]);
    extension(oid::AUTHORITY_KEY_IDENTIFIER, false, &value)
}

/// What stands in a TBSCertificate; all slices are DER.
pub(super) struct Tbs<'a> {
    pub(super) serial: [u8; SERIAL_LENGTH],
    pub(super) issuer: &'a [u8],
    pub(super) not_before: UnixTime,
    pub(super) not_after: UnixTime,
    pub(super) subject: &'a [u8],
    pub(super) spki: &'a [u8],
    /// Parts that concatenated are the extensions.
    pub(super) extensions: &'a [&'a [u8]],
}

impl Tbs<'_> {
    /// DER of the certificate, signed by `key`.
    pub(super) fn sign(&self, key: &NfKey) -> Result<Vec<u8>, NfKeyError> {
        let algorithm = key.algorithm().signature_algorithm_identifier();
        let extensions = der::element(der::SEQUENCE, self.extensions);
        let tbs = der::element(
            der::SEQUENCE,
            &[
                &der::element(der::context(0), &[&der::unsigned_integer(VERSION)]),
                &der::element(der::INTEGER, &[&self.serial]),
                &algorithm,
                self.issuer,
                &der::element(
                    der::SEQUENCE,
                    &[&self.not_before.to_der(), &self.not_after.to_der()],
                ),
                self.subject,
                self.spki,
                &der::element(der::context(3), &[&extensions]),
            ],
        );
        let signature = der::bit_string(&key.sign(&tbs)?);
        Ok(der::element(der::SEQUENCE, &[&tbs, &algorithm, &signature]))
    }
}
