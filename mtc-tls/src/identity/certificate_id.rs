//! Which certificate it is: issuer and serial number, as revocation names it (RFC 5280 section 5.3, Section 7.5 of the draft).

use std::fmt;

use mtc_core::der;
use mtc_core::hex;
use mtc_core::x509::EndEntity;

/// Issuer and serial number of a certificate: what is the same in all that can be made of it, its landmark-relative form or one with
/// another cosignature.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CertificateId {
    /// DER of the issuer's Name, then the contents octets of the serial number. The DER tells where it ends.
    octets: Box<[u8]>,
    issuer_length: usize,
}

impl CertificateId {
    /// The one with this issuer, DER of a Name, and this serial number, contents octets.
    pub fn new(issuer: &[u8], serial: &[u8]) -> Self {
        Self {
            octets: [issuer, serial].concat().into(),
            issuer_length: issuer.len(),
        }
    }

    /// Of a certificate that has been read.
    pub(crate) fn of(leaf: &EndEntity<'_>) -> Self {
        Self::new(leaf.issuer, leaf.serial)
    }

    /// DER of the issuer's Name.
    pub fn issuer(&self) -> &[u8] {
        &self.octets[..self.issuer_length]
    }

    /// Contents octets of the serial number.
    pub fn serial(&self) -> &[u8] {
        &self.octets[self.issuer_length..]
    }

    /// The serial number, if it is one that a Merkle Tree Certificate can have: positive, below 2^64.
    pub fn small_serial(&self) -> Option<u64> {
        der::unsigned(self.serial()).ok()
    }

    /// Both, one behind the other: different for different certificates.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

impl fmt::Debug for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateId({})", hex::encode(self.serial()))
    }
}
