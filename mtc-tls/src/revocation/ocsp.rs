//! Questions and answers about one certificate (RFC 6960, in the profile of RFC 5019).
//!
//! ```text
//! OCSPRequest ::= SEQUENCE { tbsRequest SEQUENCE { requestList SEQUENCE OF SEQUENCE { CertID } } }
//! CertID ::= SEQUENCE { hashAlgorithm SHA-1, issuerNameHash, issuerKeyHash, serialNumber }
//!
//! OCSPResponse ::= SEQUENCE { responseStatus, responseBytes [0] { id-pkix-ocsp-basic, OCTET STRING {
//!     BasicOCSPResponse ::= SEQUENCE {
//!         tbsResponseData SEQUENCE { responderID byKey [2], producedAt, responses SEQUENCE OF SEQUENCE {
//!             CertID, certStatus good [0] | revoked [1] | unknown [2], thisUpdate, nextUpdate [0] } },
//!         signatureAlgorithm, signature BIT STRING }                                -- by the CA itself
//! }}}
//! ```
//!
//! SHA-1 names issuers here and protects nothing: every client knows it, and no other hash is asked for by RFC 5019.

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use mtc_core::cosign::PublicKey;
use mtc_core::der::{self, DerError, Reader};
use mtc_core::time::UnixTime;
use mtc_core::x509::Certificate;

use super::RevokedCertificate;
use crate::key::{NfKey, NfKeyError};

/// Longest response that is read. One with an ML-DSA-87 signature has 4.8 kB, and some CAs add a certificate.
pub const MAX_RESPONSE: usize = 32 * 1024;
/// Longest request that is read.
pub const MAX_REQUEST: usize = 2 * 1024;
/// By how much the clocks of CA and relying party may differ.
pub(super) const SKEW: Duration = Duration::from_secs(300);
/// Octets of a SHA-1 hash.
const HASH: usize = 20;

/// `AlgorithmIdentifier` of SHA-1, with the NULL that OpenSSL writes.
const SHA1: [u8; 11] = [der::SEQUENCE, 9, der::OID, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0];
/// Contents octets of the OID of SHA-1, for those who leave the NULL out.
const SHA1_OID: &[u8] = &[0x2b, 0x0e, 3, 2, 0x1a];
/// `id-pkix-ocsp-basic`, 1.3.6.1.5.5.7.48.1.1.
const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
/// `responseStatus` of an answer.
const SUCCESSFUL: u8 = 0;

/// Why there is no answer (`OCSPResponseStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The request cannot be read.
    Malformed = 1,
    /// Something failed here.
    Internal = 2,
    /// Too many ask.
    TryLater = 3,
    /// Not a certificate of this CA.
    Unauthorized = 6,
}

impl Failure {
    /// DER of the response that says so, which nobody signs.
    pub fn to_der(self) -> Vec<u8> {
        let status = der::element(der::ENUMERATED, &[&[self as u8]]);
        der::element(der::SEQUENCE, &[&status])
    }
}

/// Why a response does not show that a certificate is good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OcspError {
    /// Longer than its bound.
    #[error(
        "OCSP: {0} bytes; at most {MAX_RESPONSE} are allowed in a response, {MAX_REQUEST} in a request"
    )]
    TooLong(usize),
    /// A field is not the DER that belongs there.
    #[error("OCSP: {field} is malformed")]
    Malformed {
        /// The name of the field in RFC 6960.
        field: &'static str,
        /// What is wrong with it.
        source: DerError,
    },
    /// The responder does not answer.
    #[error("OCSP: the responder does not answer: status {0}")]
    Status(u8),
    /// About another certificate, or several.
    #[error("OCSP: not about this certificate")]
    OtherCertificate,
    /// Not signed by the CA.
    #[error("OCSP: the CA's signature does not verify")]
    Signature,
    /// It begins in the future.
    #[error("OCSP response of {0}, which is not yet")]
    NotYet(UnixTime),
    /// It has ended.
    #[error("OCSP response was to be replaced by {0}")]
    Stale(UnixTime),
    /// The certificate was revoked.
    #[error("OCSP: revoked at {0}")]
    Revoked(UnixTime),
    /// The CA does not know the certificate.
    #[error("OCSP: the CA does not know the certificate")]
    Unknown,
}

/// Names a certificate by its issuer and serial number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertId {
    name_hash: [u8; HASH],
    key_hash: [u8; HASH],
    /// Contents octets.
    serial: Vec<u8>,
}

/// SHA-1 of the bits of a public key, by which CAs name their keys (RFC 5280 section 4.2.1.2, method 1): a label, not a protection.
///
/// # Errors
/// Not a SubjectPublicKeyInfo.
pub fn key_identifier(spki: &[u8]) -> Result<[u8; HASH], DerError> {
    let mut fields = Reader::new(der::only(spki, der::SEQUENCE)?);
    fields.expect(der::SEQUENCE)?;
    Ok(sha1(der::whole_octets(fields.contents(der::BIT_STRING)?)?))
}

fn sha1(bytes: &[u8]) -> [u8; HASH] {
    let mut hash = [0; HASH];
    hash.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    hash
}

impl CertId {
    /// The certificate with this serial number (contents octets) of the CA with this Name and SubjectPublicKeyInfo (DER).
    ///
    /// # Errors
    /// The key is malformed.
    pub fn new(issuer_name: &[u8], issuer_spki: &[u8], serial: &[u8]) -> Result<Self, OcspError> {
        Ok(Self {
            name_hash: sha1(issuer_name),
            key_hash: key_identifier(issuer_spki).map_err(malformed("subjectPublicKeyInfo"))?,
            serial: serial.to_vec(),
        })
    }

    /// Contents octets of the serial number.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// DER.
    fn to_der(&self) -> Vec<u8> {
        der::element(
            der::SEQUENCE,
            &[
                &SHA1,
                &der::element(der::OCTET_STRING, &[&self.name_hash]),
                &der::element(der::OCTET_STRING, &[&self.key_hash]),
                &der::element(der::INTEGER, &[&self.serial]),
            ],
        )
    }

    /// Reads contents octets; none if the hash is another one than SHA-1.
    fn read(contents: &[u8]) -> Result<Option<Self>, DerError> {
        let mut fields = Reader::new(contents);
        let algorithm = Reader::new(fields.contents(der::SEQUENCE)?).contents(der::OID)?;
        let name_hash = fields.contents(der::OCTET_STRING)?;
        let key_hash = fields.contents(der::OCTET_STRING)?;
        let serial = fields.contents(der::INTEGER)?.to_vec();
        fields.finish()?;
        if algorithm != SHA1_OID {
            return Ok(None);
        }
        let hash = |octets: &[u8]| {
            <[u8; HASH]>::try_from(octets).map_err(|_| DerError::InvalidValue("hash"))
        };
        Ok(Some(Self {
            name_hash: hash(name_hash)?,
            key_hash: hash(key_hash)?,
            serial,
        }))
    }

    /// DER of the request about this certificate, without a nonce: the answer is for everybody.
    pub fn request(&self) -> Vec<u8> {
        let request = der::element(der::SEQUENCE, &[&self.to_der()]);
        let list = der::element(der::SEQUENCE, &[&request]);
        der::element(der::SEQUENCE, &[&der::element(der::SEQUENCE, &[&list])])
    }

    /// What a request is about; none if it names its issuer by another hash than SHA-1. A nonce and other extensions are passed over, as
    /// RFC 5019 allows, and nobody has to sign.
    ///
    /// # Errors
    /// Too long, malformed, or about several certificates.
    pub fn of_request(bytes: &[u8]) -> Result<Option<Self>, OcspError> {
        if bytes.len() > MAX_REQUEST {
            return Err(OcspError::TooLong(bytes.len()));
        }
        let in_request = malformed("OCSPRequest");
        let mut request = Reader::new(der::only(bytes, der::SEQUENCE).map_err(in_request)?);
        let tbs = request.contents(der::SEQUENCE).map_err(in_request)?;
        let in_tbs = malformed("tbsRequest");
        let mut tbs = Reader::new(tbs);
        for optional in [0, 1] {
            tbs.optional(der::context(optional)).map_err(in_tbs)?;
        }
        let mut list = Reader::new(tbs.contents(der::SEQUENCE).map_err(in_tbs)?);
        let in_list = malformed("requestList");
        let one = list.contents(der::SEQUENCE).map_err(in_list)?;
        if !list.is_empty() {
            return Err(OcspError::OtherCertificate);
        }
        let cert_id = Reader::new(one).contents(der::SEQUENCE).map_err(in_list)?;
        Self::read(cert_id).map_err(malformed("reqCert"))
    }
}

/// What the CA says of a certificate.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Which certificate.
    pub cert_id: &'a CertId,
    /// Its revocation, if it was revoked.
    pub revoked: Option<&'a RevokedCertificate>,
    /// Now.
    pub this_update: UnixTime,
    /// Until when it may be relied on.
    pub next_update: UnixTime,
}

impl Answer<'_> {
    /// DER of the OCSP response, signed by the CA's key.
    ///
    /// # Errors
    /// [`NfKeyError::Backend`] if signing fails.
    pub fn sign(&self, key: &NfKey) -> Result<Vec<u8>, NfKeyError> {
        let status = match self.revoked {
            None => der::element(der::context_primitive(0), &[]),
            Some(revoked) => {
                let reason = revoked.reason.map(|reason| {
                    let reason = der::element(der::ENUMERATED, &[&[reason]]);
                    der::element(der::context(0), &[&reason])
                });
                let at = revoked.revoked_at.to_generalized_der();
                der::element(der::context(1), &[&at, &reason.unwrap_or_default()])
            }
        };
        let next_update = self.next_update.to_generalized_der();
        let single = der::element(
            der::SEQUENCE,
            &[
                &self.cert_id.to_der(),
                &status,
                &self.this_update.to_generalized_der(),
                &der::element(der::context(0), &[&next_update]),
            ],
        );
        let responder = der::element(der::OCTET_STRING, &[&self.cert_id.key_hash]);
        let tbs = der::element(
            der::SEQUENCE,
            &[
                &der::element(der::context(2), &[&responder]),
                &self.this_update.to_generalized_der(),
                &der::element(der::SEQUENCE, &[&single]),
            ],
        );
        let basic = der::element(
            der::SEQUENCE,
            &[
                &tbs,
                &key.algorithm().signature_algorithm_identifier(),
                &der::bit_string(&key.sign(&tbs)?),
            ],
        );
        let bytes = der::element(
            der::SEQUENCE,
            &[
                &der::element(der::OID, &[BASIC]),
                &der::element(der::OCTET_STRING, &[&basic]),
            ],
        );
        Ok(der::element(
            der::SEQUENCE,
            &[
                &der::element(der::ENUMERATED, &[&[SUCCESSFUL]]),
                &der::element(der::context(0), &[&bytes]),
            ],
        ))
    }
}

/// The state of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked {
        /// When.
        at: UnixTime,
    },
    /// Not one of the CA's.
    Unknown,
}

/// A response, read; nothing of it is believed before [`Self::check`].
#[derive(Clone, Debug)]
pub struct Response<'a> {
    /// What it says.
    pub status: Status,
    /// When.
    pub this_update: UnixTime,
    /// Until when.
    pub next_update: UnixTime,
    cert_id: CertId,
    /// DER of the part that is signed.
    tbs: &'a [u8],
    /// DER of the AlgorithmIdentifier.
    algorithm: &'a [u8],
    /// Octets of the signature.
    signature: &'a [u8],
}

impl<'a> Response<'a> {
    /// Reads a response about one certificate that says when it ends.
    ///
    /// # Errors
    /// Too long, malformed, or no answer.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, OcspError> {
        if bytes.len() > MAX_RESPONSE {
            return Err(OcspError::TooLong(bytes.len()));
        }
        let basic = basic(bytes)?;
        let in_basic = malformed("BasicOCSPResponse");
        let mut basic = Reader::new(der::only(basic, der::SEQUENCE).map_err(in_basic)?);
        let tbs = basic
            .expect(der::SEQUENCE)
            .map_err(malformed("tbsResponseData"))?;
        let algorithm = basic
            .expect(der::SEQUENCE)
            .map_err(malformed("signatureAlgorithm"))?
            .whole;
        let signature = basic
            .contents(der::BIT_STRING)
            .and_then(der::whole_octets)
            .map_err(malformed("signature"))?;
        // Certificates of a delegated responder, of which there is none: the CA's own key must verify.
        basic.optional(der::context(0)).map_err(in_basic)?;
        basic.finish().map_err(in_basic)?;
        let single = single(tbs.contents)?;
        let in_single = malformed("SingleResponse");
        let mut single = Reader::new(single);
        let cert_id = single.contents(der::SEQUENCE).map_err(in_single)?;
        let cert_id = CertId::read(cert_id)
            .map_err(malformed("certID"))?
            .ok_or(OcspError::OtherCertificate)?;
        let status = single.element().map_err(malformed("certStatus"))?;
        let status = read_status(status).map_err(malformed("certStatus"))?;
        let this_update = time(&mut single).map_err(malformed("thisUpdate"))?;
        let next_update = single
            .contents(der::context(0))
            .and_then(|contents| time(&mut Reader::new(contents)))
            .map_err(malformed("nextUpdate"))?;
        single.optional(der::context(1)).map_err(in_single)?;
        single.finish().map_err(in_single)?;
        Ok(Self {
            status,
            this_update,
            next_update,
            cert_id,
            tbs: tbs.whole,
            algorithm,
            signature,
        })
    }

    /// Checks that the issuer of a certificate says now that it is good. `issuer` is the certificate of the issuer, `serial` the contents
    /// octets of the certificate's serial number.
    ///
    /// # Errors
    /// The first rule that the response breaks.
    pub fn check(
        &self,
        issuer: &Certificate<'_>,
        serial: &[u8],
        now: UnixTime,
    ) -> Result<(), OcspError> {
        let wanted = CertId::new(issuer.statement.subject, issuer.spki, serial)?;
        if self.cert_id != wanted {
            return Err(OcspError::OtherCertificate);
        }
        let key = PublicKey::from_spki(issuer.spki).map_err(|_| OcspError::Signature)?;
        let is_of_key = self.algorithm == key.algorithm().signature_algorithm_identifier();
        if !is_of_key || !key.verifies(self.tbs, self.signature) {
            return Err(OcspError::Signature);
        }
        if self.this_update > now.plus(SKEW) {
            return Err(OcspError::NotYet(self.this_update));
        }
        if self.next_update <= now {
            return Err(OcspError::Stale(self.next_update));
        }
        match self.status {
            Status::Good => Ok(()),
            Status::Revoked { at } => Err(OcspError::Revoked(at)),
            Status::Unknown => Err(OcspError::Unknown),
        }
    }
}

/// The BasicOCSPResponse in a response.
fn basic(bytes: &[u8]) -> Result<&[u8], OcspError> {
    let in_response = malformed("OCSPResponse");
    let mut response = Reader::new(der::only(bytes, der::SEQUENCE).map_err(in_response)?);
    let status = response
        .contents(der::ENUMERATED)
        .map_err(malformed("responseStatus"))?;
    match status {
        [SUCCESSFUL] => {}
        [status] => return Err(OcspError::Status(*status)),
        _ => {
            let invalid = DerError::InvalidValue("ENUMERATED");
            return Err(malformed("responseStatus")(invalid));
        }
    }
    let in_bytes = malformed("responseBytes");
    let contents = response.contents(der::context(0)).map_err(in_bytes)?;
    response.finish().map_err(in_response)?;
    let mut fields = Reader::new(der::only(contents, der::SEQUENCE).map_err(in_bytes)?);
    if fields.contents(der::OID).map_err(in_bytes)? != BASIC {
        return Err(in_bytes(DerError::InvalidValue("responseType")));
    }
    let basic = fields.contents(der::OCTET_STRING).map_err(in_bytes)?;
    fields.finish().map_err(in_bytes)?;
    Ok(basic)
}

/// Contents octets of the one SingleResponse in a ResponseData.
fn single(contents: &[u8]) -> Result<&[u8], OcspError> {
    let in_data = malformed("tbsResponseData");
    let mut data = Reader::new(contents);
    data.optional(der::context(0)).map_err(in_data)?;
    let responder = data.element().map_err(malformed("responderID"))?;
    if ![der::context(1), der::context(2)].contains(&responder.tag) {
        return Err(malformed("responderID")(DerError::InvalidValue("CHOICE")));
    }
    time(&mut data).map_err(malformed("producedAt"))?;
    let in_responses = malformed("responses");
    let mut list = Reader::new(data.contents(der::SEQUENCE).map_err(in_responses)?);
    data.optional(der::context(1)).map_err(in_data)?;
    data.finish().map_err(in_data)?;
    let one = list.contents(der::SEQUENCE).map_err(in_responses)?;
    if !list.is_empty() {
        return Err(OcspError::OtherCertificate);
    }
    Ok(one)
}

fn read_status(element: der::Element<'_>) -> Result<Status, DerError> {
    const GOOD: u8 = der::context_primitive(0);
    const REVOKED: u8 = der::context(1);
    const UNKNOWN: u8 = der::context_primitive(2);
    match (element.tag, element.contents) {
        (GOOD, []) => Ok(Status::Good),
        (UNKNOWN, []) => Ok(Status::Unknown),
        (REVOKED, contents) => {
            let mut fields = Reader::new(contents);
            let at = time(&mut fields)?;
            fields.optional(der::context(0))?;
            fields.finish()?;
            Ok(Status::Revoked { at })
        }
        _ => Err(DerError::InvalidValue("CertStatus")),
    }
}

/// A GeneralizedTime.
fn time(reader: &mut Reader<'_>) -> Result<UnixTime, DerError> {
    match reader.peek_tag() {
        Some(der::GENERALIZED_TIME) => UnixTime::from_der(reader),
        _ => Err(DerError::InvalidValue("GeneralizedTime")),
    }
}

fn malformed(field: &'static str) -> impl Fn(DerError) -> OcspError + Copy {
    move |source| OcspError::Malformed { field, source }
}

#[cfg(test)]
mod tests;
