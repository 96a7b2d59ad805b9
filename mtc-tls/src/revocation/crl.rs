//! Certificate revocation lists (RFC 5280 section 5).
//!
//! ```text
//! CertificateList ::= SEQUENCE {
//!     tbsCertList SEQUENCE { version v2, signature, issuer, thisUpdate, nextUpdate,
//!                            revokedCertificates SEQUENCE OF { userCertificate, revocationDate, [reasonCode] } OPTIONAL,
//!                            crlExtensions [0] { authorityKeyIdentifier, cRLNumber } },
//!     signatureAlgorithm, signatureValue BIT STRING }
//! ```

use mtc_core::cosign::PublicKey;
use mtc_core::der::{self, DerError, Reader};
use mtc_core::oid;
use mtc_core::time::UnixTime;
use mtc_core::x509::{Extension, extension};

use super::RevokedCertificate;
use crate::key::{NfKey, NfKeyError};

/// Longest list that is read: 40,000 entries of about 50 bytes.
pub const MAX_CRL: usize = 2 * 1024 * 1024;

/// Version v2, which extensions need.
const VERSION: [u8; 3] = [der::INTEGER, 1, 1];
/// Extensions of one list: there are two that every list has, and a few others that are defined.
const MAX_EXTENSIONS: usize = 16;

/// Why a CRL is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// Longer than [`MAX_CRL`].
    #[error("CRL of {0} bytes; at most {MAX_CRL} are allowed")]
    TooLong(usize),
    /// A field is not the DER that belongs there.
    #[error("CRL: {field} is malformed")]
    Malformed {
        /// The name of the field in RFC 5280.
        field: &'static str,
        /// What is wrong with it.
        source: DerError,
    },
    /// It has no number, or no end, both of which RFC 5280 asks for.
    #[error("CRL: no {0}")]
    Missing(&'static str),
    /// Another CA's.
    #[error("CRL of another CA")]
    Issuer,
    /// Not signed by the CA.
    #[error("CRL: the CA's signature does not verify")]
    Signature,
    /// It begins in the future.
    #[error("CRL of {this_update}, which is not yet")]
    NotYet {
        /// When it was issued.
        this_update: UnixTime,
    },
    /// It has ended.
    #[error("CRL was to be replaced by {next_update}")]
    Stale {
        /// When there should have been another.
        next_update: UnixTime,
    },
    /// An older one than the last.
    #[error("CRL went back from number {before} to {now}")]
    WentBack {
        /// The number before.
        before: u64,
        /// The number now.
        now: u64,
    },
}

/// What a list says.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// DER of the Name of the CA.
    pub issuer: &'a [u8],
    /// Contents octets of the CA's subjectKeyIdentifier.
    pub key_identifier: &'a [u8],
    /// `cRLNumber`, greater than any before.
    pub number: u64,
    /// When it is issued.
    pub this_update: UnixTime,
    /// By when there is another.
    pub next_update: UnixTime,
    /// What is revoked.
    pub revoked: &'a [RevokedCertificate],
}

impl List<'_> {
    /// DER of the CRL, signed by the CA's key.
    ///
    /// # Errors
    /// [`NfKeyError::Backend`] if signing fails.
    pub fn sign(&self, key: &NfKey) -> Result<Vec<u8>, NfKeyError> {
        let algorithm = key.algorithm().signature_algorithm_identifier();
        let revoked: Vec<u8> = self.revoked.iter().flat_map(entry).collect();
        // RFC 5280 section 5.1.2.6: absent where nothing is revoked.
        let revoked = if revoked.is_empty() {
            revoked
        } else {
            der::element(der::SEQUENCE, &[&revoked])
        };
        let authority = der::element(der::context_primitive(0), &[self.key_identifier]);
        let extensions = der::element(
            der::SEQUENCE,
            &[
                &extension(
                    oid::AUTHORITY_KEY_IDENTIFIER,
                    false,
                    &der::element(der::SEQUENCE, &[&authority]),
                ),
                &extension(oid::CRL_NUMBER, false, &der::unsigned_integer(self.number)),
            ],
        );
        let tbs = der::element(
            der::SEQUENCE,
            &[
                &VERSION,
                &algorithm,
                self.issuer,
                &self.this_update.to_der(),
                &self.next_update.to_der(),
                &revoked,
                &der::element(der::context(0), &[&extensions]),
            ],
        );
        let signature = der::bit_string(&key.sign(&tbs)?);
        Ok(der::element(der::SEQUENCE, &[&tbs, &algorithm, &signature]))
    }
}

fn entry(revoked: &RevokedCertificate) -> Vec<u8> {
    let reason = revoked.reason.map(|reason| {
        let reason = der::element(der::ENUMERATED, &[&[reason]]);
        let reason = extension(oid::REASON_CODE, false, &reason);
        der::element(der::SEQUENCE, &[&reason])
    });
    der::element(
        der::SEQUENCE,
        &[
            &der::element(der::INTEGER, &[&revoked.serial]),
            &revoked.revoked_at.to_der(),
            &reason.unwrap_or_default(),
        ],
    )
}

/// A list as far as whoever fetches it has to read it.
#[derive(Clone, Copy, Debug)]
pub struct Crl<'a> {
    /// DER of the issuer's Name.
    pub issuer: &'a [u8],
    /// `cRLNumber`.
    pub number: u64,
    /// When it was issued.
    pub this_update: UnixTime,
    /// By when there is another.
    pub next_update: UnixTime,
    /// What is revoked, one entry behind the other.
    entries: &'a [u8],
    /// DER of the part that is signed.
    tbs: &'a [u8],
    /// DER of the AlgorithmIdentifier.
    algorithm: &'a [u8],
    /// Octets of the signature.
    signature: &'a [u8],
}

impl<'a> Crl<'a> {
    /// Reads a list but for its entries; nothing of it is believed yet.
    ///
    /// # Errors
    /// [`CrlError::TooLong`], [`CrlError::Malformed`] or [`CrlError::Missing`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CrlError> {
        if bytes.len() > MAX_CRL {
            return Err(CrlError::TooLong(bytes.len()));
        }
        let in_list = malformed("CertificateList");
        let mut list = Reader::new(der::only(bytes, der::SEQUENCE).map_err(in_list)?);
        let tbs = list
            .expect(der::SEQUENCE)
            .map_err(malformed("tbsCertList"))?;
        let algorithm = list
            .expect(der::SEQUENCE)
            .map_err(malformed("signatureAlgorithm"))?
            .whole;
        let signature = list
            .contents(der::BIT_STRING)
            .and_then(der::whole_octets)
            .map_err(malformed("signatureValue"))?;
        list.finish().map_err(in_list)?;

        let mut fields = Reader::new(tbs.contents);
        if !fields.known(&VERSION) {
            return Err(malformed("version")(DerError::InvalidValue("Version")));
        }
        if !fields.known(algorithm) {
            return Err(malformed("signature")(DerError::InvalidValue(
                "AlgorithmIdentifier",
            )));
        }
        let issuer = fields.expect(der::SEQUENCE).map_err(malformed("issuer"))?;
        let this_update = UnixTime::from_der(&mut fields).map_err(malformed("thisUpdate"))?;
        if !matches!(
            fields.peek_tag(),
            Some(der::UTC_TIME | der::GENERALIZED_TIME)
        ) {
            return Err(CrlError::Missing("nextUpdate"));
        }
        let next_update = UnixTime::from_der(&mut fields).map_err(malformed("nextUpdate"))?;
        let entries = fields
            .optional(der::SEQUENCE)
            .map_err(malformed("revokedCertificates"))?;
        let in_extensions = malformed("crlExtensions");
        let extensions = fields.optional(der::context(0)).map_err(in_extensions)?;
        fields.finish().map_err(malformed("tbsCertList"))?;
        let extensions = extensions.ok_or(CrlError::Missing("cRLNumber"))?;
        let extensions = der::only(extensions.contents, der::SEQUENCE).map_err(in_extensions)?;
        Ok(Self {
            issuer: issuer.whole,
            number: number(extensions)?,
            this_update,
            next_update,
            entries: entries.map_or(&[], |entries| entries.contents),
            tbs: tbs.whole,
            algorithm,
            signature,
        })
    }

    /// The serial numbers (contents octets) of what is revoked. What else entries say is for webpki to read, which takes no list whose entries
    /// are of other issuers.
    ///
    /// # Errors
    /// [`CrlError::Malformed`].
    pub fn serials(&self) -> Result<Vec<&'a [u8]>, CrlError> {
        let in_entries = malformed("revokedCertificates");
        let mut left = Reader::new(self.entries);
        let mut serials = Vec::new();
        while !left.is_empty() {
            let entry = left.expect(der::SEQUENCE).map_err(in_entries)?;
            let mut entry = Reader::new(entry.contents);
            serials.push(entry.contents(der::INTEGER).map_err(in_entries)?);
        }
        Ok(serials)
    }

    /// Checks that this CA has signed it, that it is one of now, and that it is none from before the one of number `newest`.
    ///
    /// # Errors
    /// The first of these that it is not.
    pub fn check(
        &self,
        issuer: &[u8],
        key: &PublicKey,
        now: UnixTime,
        newest: u64,
    ) -> Result<(), CrlError> {
        if self.issuer != issuer {
            return Err(CrlError::Issuer);
        }
        let is_of_key = self.algorithm == key.algorithm().signature_algorithm_identifier();
        if !is_of_key || !key.verifies(self.tbs, self.signature) {
            return Err(CrlError::Signature);
        }
        if self.this_update > now.plus(super::ocsp::SKEW) {
            return Err(CrlError::NotYet {
                this_update: self.this_update,
            });
        }
        if self.next_update <= now {
            return Err(CrlError::Stale {
                next_update: self.next_update,
            });
        }
        if self.number < newest {
            return Err(CrlError::WentBack {
                before: newest,
                now: self.number,
            });
        }
        Ok(())
    }
}

fn number(extensions: &[u8]) -> Result<u64, CrlError> {
    let mut left = Reader::new(extensions);
    for _ in 0..MAX_EXTENSIONS {
        if left.is_empty() {
            break;
        }
        let read = Extension::read(&mut left).map_err(malformed("crlExtensions"))?;
        if read.oid == oid::CRL_NUMBER {
            return der::only(read.value, der::INTEGER)
                .and_then(der::unsigned)
                .map_err(malformed("cRLNumber"));
        }
    }
    Err(CrlError::Missing("cRLNumber"))
}

fn malformed(field: &'static str) -> impl Fn(DerError) -> CrlError + Copy {
    move |source| CrlError::Malformed { field, source }
}

#[cfg(test)]
mod tests;
