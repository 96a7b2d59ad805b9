//! What a CA answers: bodies, and the message around one.

use std::time::Duration;

use mtc_core::cosign::{KeyError, SignatureAlgorithm, Signer};
use mtc_core::der;
use mtc_core::time::UnixTime;

use crate::mac::Mac;
use crate::oid;
use crate::request::RequestKind;
use crate::status::{Failure, Status};

/// `certReqId` in the answer to a PKCS#10 request, which has none: -1 (RFC 9483 section 4.1.4), contents octets.
pub const PKCS10_REQUEST_ID: &[u8] = &[0xff];
/// Characters of a text that goes into a message.
const MAX_TEXT: usize = 1024;

/// Header and body of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// `pvno` of the request.
    pub version: u64,
    /// DER of this side's GeneralName.
    pub sender: &'a [u8],
    /// DER of the GeneralName of whoever asked.
    pub recipient: &'a [u8],
    /// Now.
    pub time: UnixTime,
    /// The reference number of the shared secret, if one protects the answer.
    pub key_id: Option<&'a [u8]>,
    /// That of the request.
    pub transaction_id: Option<&'a [u8]>,
    /// A fresh nonce.
    pub nonce: &'a [u8],
    /// The nonce of the request.
    pub recipient_nonce: Option<&'a [u8]>,
    /// Whether certConf is not waited for.
    pub implicit_confirm: bool,
    /// DER of the body.
    pub body: &'a [u8],
}

impl Reply<'_> {
    /// The message with a MAC, and these certificates beside it.
    pub fn with_mac(&self, mac: &Mac, extra_certs: &[&[u8]]) -> Vec<u8> {
        let header = self.header(Some(mac.identifier()));
        let protected = der::element(der::SEQUENCE, &[&header, self.body]);
        self.message(&header, Some(&mac.sign(&protected)), extra_certs)
    }

    /// The message signed, and these certificates beside it, the signer's first.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn signed(
        &self,
        algorithm: SignatureAlgorithm,
        signer: &impl Signer,
        extra_certs: &[&[u8]],
    ) -> Result<Vec<u8>, KeyError> {
        let header = self.header(Some(&algorithm.signature_algorithm_identifier()));
        let protected = der::element(der::SEQUENCE, &[&header, self.body]);
        let signature = signer.sign(&protected)?;
        Ok(self.message(&header, Some(&signature), extra_certs))
    }

    /// The message without protection: for errors of which nobody can say to whom they go.
    pub fn unprotected(&self) -> Vec<u8> {
        self.message(&self.header(None), None, &[])
    }

    fn message(&self, header: &[u8], protection: Option<&[u8]>, extra_certs: &[&[u8]]) -> Vec<u8> {
        let protection = protection
            .map(|octets| der::element(der::context(0), &[&der::bit_string(octets)]))
            .unwrap_or_default();
        let extra_certs = if extra_certs.is_empty() {
            Vec::new()
        } else {
            der::element(
                der::context(1),
                &[&der::element(der::SEQUENCE, extra_certs)],
            )
        };
        der::element(
            der::SEQUENCE,
            &[header, self.body, &protection, &extra_certs],
        )
    }

    fn header(&self, protection: Option<&[u8]>) -> Vec<u8> {
        let octets = |tag, value: Option<&[u8]>| {
            let value = value.map(|value| der::element(der::OCTET_STRING, &[value]));
            value
                .map(|value| der::element(der::context(tag), &[&value]))
                .unwrap_or_default()
        };
        let protection = protection
            .map(|identifier| der::element(der::context(1), &[identifier]))
            .unwrap_or_default();
        let general_info = if self.implicit_confirm {
            let info = [
                der::element(der::OID, &[oid::IMPLICIT_CONFIRM]),
                der::element(der::NULL, &[]),
            ];
            let info = der::element(der::SEQUENCE, &[&info[0], &info[1]]);
            der::element(der::context(8), &[&der::element(der::SEQUENCE, &[&info])])
        } else {
            Vec::new()
        };
        der::element(
            der::SEQUENCE,
            &[
                &der::unsigned_integer(self.version),
                self.sender,
                self.recipient,
                &der::element(der::context(0), &[&self.time.to_generalized_der()]),
                &protection,
                &octets(2, self.key_id),
                &octets(4, self.transaction_id),
                &octets(5, Some(self.nonce)),
                &octets(6, self.recipient_nonce),
                &general_info,
            ],
        )
    }
}

/// `GeneralName` of a Name: `directoryName [4]`, explicit because Name is a CHOICE.
pub fn directory_name(name_der: &[u8]) -> Vec<u8> {
    der::element(der::context(4), &[name_der])
}

/// How a certificate request is answered: the tag of ip, cp or kup. A PKCS#10 request is answered with cp.
const fn answer_tag(kind: Option<RequestKind>) -> u8 {
    match kind {
        Some(RequestKind::Initial) => der::context(1),
        Some(RequestKind::Another) | None => der::context(3),
        Some(RequestKind::Update) => der::context(8),
    }
}

/// ip, cp or kup with a certificate. `kind` is none after a PKCS#10 request, `id` the contents octets of `certReqId`, and `ca_certificates` are
/// certificates of CAs that may be trusted if the message may.
pub fn certificate(
    kind: Option<RequestKind>,
    id: &[u8],
    with_mods: Option<&str>,
    certificate: &[u8],
    ca_certificates: &[&[u8]],
) -> Vec<u8> {
    let status = match with_mods {
        Some(mods) => status(Status::GrantedWithMods, mods, None),
        None => status(Status::Accepted, "", None),
    };
    let issued = der::element(der::context(0), &[certificate]);
    let issued = der::element(der::SEQUENCE, &[&issued]);
    let ca_certificates = if ca_certificates.is_empty() {
        Vec::new()
    } else {
        let list = der::element(der::SEQUENCE, ca_certificates);
        der::element(der::context(1), &[&list])
    };
    response(kind, id, &status, &issued, &ca_certificates)
}

/// ip, cp or kup without a certificate: it is refused, or has to be polled for.
pub fn no_certificate(
    kind: Option<RequestKind>,
    id: &[u8],
    refused: Option<Failure>,
    text: &str,
) -> Vec<u8> {
    let status = match refused {
        Some(failure) => status(Status::Rejection, text, Some(failure)),
        None => status(Status::Waiting, text, None),
    };
    response(kind, id, &status, &[], &[])
}

fn response(
    kind: Option<RequestKind>,
    id: &[u8],
    status: &[u8],
    issued: &[u8],
    ca_certificates: &[u8],
) -> Vec<u8> {
    let response = der::element(
        der::SEQUENCE,
        &[&der::element(der::INTEGER, &[id]), status, issued],
    );
    let responses = der::element(der::SEQUENCE, &[&response]);
    let message = der::element(der::SEQUENCE, &[ca_certificates, &responses]);
    der::element(answer_tag(kind), &[&message])
}

/// pkiConf: the confirmation has been heard.
pub fn confirmed() -> Vec<u8> {
    der::element(der::context(19), &[&der::element(der::NULL, &[])])
}

/// pollRep: ask again after this time.
pub fn poll_again(id: &[u8], after: Duration) -> Vec<u8> {
    let entry = der::element(
        der::SEQUENCE,
        &[
            &der::element(der::INTEGER, &[id]),
            &der::unsigned_integer(after.as_secs().max(1)),
        ],
    );
    der::element(der::context(26), &[&der::element(der::SEQUENCE, &[&entry])])
}

/// rp: what has become of a revocation.
pub fn revocation(refused: Option<Failure>, text: &str) -> Vec<u8> {
    let status = match refused {
        Some(failure) => status(Status::Rejection, text, Some(failure)),
        None => status(Status::Accepted, text, None),
    };
    let statuses = der::element(der::SEQUENCE, &[&status]);
    der::element(
        der::context(12),
        &[&der::element(der::SEQUENCE, &[&statuses])],
    )
}

/// genp with the certificates of CAs.
pub fn ca_certificates(certificates: &[&[u8]]) -> Vec<u8> {
    let name = der::element(der::OID, &[oid::CA_CERTS]);
    let list = if certificates.is_empty() {
        Vec::new()
    } else {
        der::element(der::SEQUENCE, certificates)
    };
    let info = der::element(der::SEQUENCE, &[&name, &list]);
    der::element(der::context(22), &[&der::element(der::SEQUENCE, &[&info])])
}

/// error: nothing can be done with the message.
pub fn error(failure: Failure, text: &str) -> Vec<u8> {
    let status = status(Status::Rejection, text, Some(failure));
    der::element(
        der::context(23),
        &[&der::element(der::SEQUENCE, &[&status])],
    )
}

/// `PKIStatusInfo ::= SEQUENCE { status INTEGER, statusString PKIFreeText OPTIONAL, failInfo PKIFailureInfo OPTIONAL }`
fn status(status: Status, text: &str, failure: Option<Failure>) -> Vec<u8> {
    let free_text = if text.is_empty() {
        Vec::new()
    } else {
        let end = text
            .char_indices()
            .nth(MAX_TEXT)
            .map_or(text.len(), |(end, _)| end);
        let text = der::element(der::UTF8_STRING, &[&text.as_bytes()[..end]]);
        der::element(der::SEQUENCE, &[&text])
    };
    let failure = failure.map(Failure::to_der).unwrap_or_default();
    der::element(
        der::SEQUENCE,
        &[&der::unsigned_integer(status as u64), &free_text, &failure],
    )
}
