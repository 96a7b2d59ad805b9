//! PKIBody (RFC 9810 section 5.1.2), as far as a CA of the Lightweight Profile is sent any.
//!
//! ```text
//!  ir [0], cr [2], kur [7] CertReqMessages    p10cr [4] CertificationRequest    rr [11] RevReqContent
//!  certConf [24] SEQUENCE OF CertStatus       pollReq [25] SEQUENCE OF SEQUENCE { certReqId INTEGER }
//!  genm [21] SEQUENCE OF InfoTypeAndValue     error [23] ErrorMsgContent
//! ```
//!
//! RFC 9483 has one request in a message, and so has this.

use mtc_core::der::{self, DerError, Element, Reader};
use mtc_core::x509::Extension;

use crate::oid;
use crate::request::{CertRequest, RequestKind, Template};

const IR: u8 = der::context(0);
const CR: u8 = der::context(2);
const P10CR: u8 = der::context(4);
const KUR: u8 = der::context(7);
const RR: u8 = der::context(11);
const GENM: u8 = der::context(21);
const ERROR: u8 = der::context(23);
const CERT_CONF: u8 = der::context(24);
const POLL_REQ: u8 = der::context(25);
/// Octets of a `certReqId`; RFC 9483 has 0 and -1.
pub const MAX_REQUEST_ID: usize = 8;

/// Why a body cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is not the DER that belongs there.
    #[error("CMP message: body {name} is malformed")]
    Malformed {
        /// Its name in RFC 9810.
        name: &'static str,
        /// What is wrong with it.
        source: DerError,
    },
    /// It has no request, or more than one.
    #[error("CMP message: body {0} does not have exactly one entry")]
    Count(&'static str),
    /// It is of a kind that is not sent to a CA, or not known here.
    #[error("CMP message: a body with tag {0:#04x} is not answered here")]
    Unsupported(u8),
}

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// A certificate, in CRMF.
    Request(RequestKind, Box<CertRequest<'a>>),
    /// A certificate, by a PKCS#10 request: its DER.
    Pkcs10(&'a [u8]),
    /// The end of a certificate.
    Revocation(Revocation<'a>),
    /// That the certificate has been received.
    Confirmation(Confirmation<'a>),
    /// What has become of a request: contents octets of its `certReqId`.
    Poll(&'a [u8]),
    /// The certificates of the CAs (`id-it-caCerts`).
    CaCertificates,
    /// The other side gives up: all octets of its ErrorMsgContent.
    Error(&'a [u8]),
}

/// One RevDetails.
#[derive(Clone, Debug)]
pub struct Revocation<'a> {
    /// Which certificate: issuer and serial number.
    pub template: Template<'a>,
    /// The value of a `cRLReason`, if the request gives one.
    pub reason: Option<u8>,
}

/// One CertStatus, or none, which rejects whatever was issued.
#[derive(Clone, Copy, Debug)]
pub struct Confirmation<'a> {
    /// Hash of the certificate; empty if it is rejected without one.
    pub hash: &'a [u8],
    /// Contents octets of `certReqId`.
    pub id: &'a [u8],
    /// Whether the certificate is accepted.
    pub accepted: bool,
}

impl<'a> Body<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn parse(body: Element<'a>) -> Result<Self, BodyError> {
        let malformed = |name| move |source| BodyError::Malformed { name, source };
        let request = |kind, name| {
            let only = only_entry(body.contents).map_err(malformed(name))?;
            let entry = only.ok_or(BodyError::Count(name))?;
            let request = CertRequest::parse(entry).map_err(malformed(name))?;
            if request.id.len() > MAX_REQUEST_ID {
                return Err(malformed(name)(DerError::InvalidValue("certReqId")));
            }
            Ok(Self::Request(kind, Box::new(request)))
        };
        match body.tag {
            IR => request(RequestKind::Initial, "ir"),
            CR => request(RequestKind::Another, "cr"),
            KUR => request(RequestKind::Update, "kur"),
            P10CR => {
                let whole = der::only(body.contents, der::SEQUENCE);
                whole.map_err(malformed("p10cr"))?;
                Ok(Self::Pkcs10(body.contents))
            }
            RR => {
                let only = only_entry(body.contents).map_err(malformed("rr"))?;
                let entry = only.ok_or(BodyError::Count("rr"))?;
                let revocation = Revocation::parse(entry).map_err(malformed("rr"))?;
                Ok(Self::Revocation(revocation))
            }
            CERT_CONF => {
                let confirmation = Confirmation::parse(body.contents);
                Ok(Self::Confirmation(
                    confirmation.map_err(malformed("certConf"))?,
                ))
            }
            POLL_REQ => {
                let only = only_entry(body.contents).map_err(malformed("pollReq"))?;
                let entry = only.ok_or(BodyError::Count("pollReq"))?;
                let id = der::only(entry, der::INTEGER).map_err(malformed("pollReq"))?;
                Ok(Self::Poll(id))
            }
            GENM => {
                let only = only_entry(body.contents).map_err(malformed("genm"))?;
                let entry = only.ok_or(BodyError::Count("genm"))?;
                let mut info = Reader::new(entry);
                match info.contents(der::OID).map_err(malformed("genm"))? {
                    oid::CA_CERTS => Ok(Self::CaCertificates),
                    _ => Err(BodyError::Unsupported(GENM)),
                }
            }
            ERROR => Ok(Self::Error(body.contents)),
            tag => Err(BodyError::Unsupported(tag)),
        }
    }

    /// Its name in RFC 9810.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Request(RequestKind::Initial, _) => "ir",
            Self::Request(RequestKind::Another, _) => "cr",
            Self::Request(RequestKind::Update, _) => "kur",
            Self::Pkcs10(_) => "p10cr",
            Self::Revocation(_) => "rr",
            Self::Confirmation(_) => "certConf",
            Self::Poll(_) => "pollReq",
            Self::CaCertificates => "genm",
            Self::Error(_) => "error",
        }
    }
}

/// The contents of the one SEQUENCE in a SEQUENCE OF; none if there are more or none.
fn only_entry(contents: &[u8]) -> Result<Option<&[u8]>, DerError> {
    let mut list = Reader::new(der::only(contents, der::SEQUENCE)?);
    if list.is_empty() {
        return Ok(None);
    }
    let entry = list.contents(der::SEQUENCE)?;
    Ok(Some(entry).filter(|_| list.is_empty()))
}

impl<'a> Revocation<'a> {
    /// `RevDetails ::= SEQUENCE { certDetails CertTemplate, crlEntryDetails Extensions OPTIONAL }`
    fn parse(contents: &'a [u8]) -> Result<Self, DerError> {
        let mut fields = Reader::new(contents);
        let template = Template::parse(fields.contents(der::SEQUENCE)?)?;
        let mut reason = None;
        if let Some(extensions) = fields.optional(der::SEQUENCE)? {
            let mut extensions = Reader::new(extensions.contents);
            while !extensions.is_empty() {
                let extension = Extension::read(&mut extensions)?;
                if extension.oid == oid::REASON_CODE {
                    reason = match der::only(extension.value, der::ENUMERATED)? {
                        // RFC 5280 section 5.3.1; removeFromCRL (8) would take a revocation back.
                        [reason @ (0..=6 | 9 | 10)] => Some(*reason),
                        _ => return Err(DerError::InvalidValue("cRLReason")),
                    };
                }
            }
        }
        fields.finish()?;
        Ok(Self { template, reason })
    }
}

impl<'a> Confirmation<'a> {
    /// `CertStatus ::= SEQUENCE { certHash OCTET STRING, certReqId INTEGER, statusInfo PKIStatusInfo OPTIONAL, hashAlg [0] OPTIONAL }`.
    /// Which hash it is, its length says.
    fn parse(contents: &'a [u8]) -> Result<Self, DerError> {
        const REJECTED: Confirmation<'static> = Confirmation {
            hash: &[],
            id: &[],
            accepted: false,
        };
        let mut list = Reader::new(der::only(contents, der::SEQUENCE)?);
        if list.is_empty() {
            return Ok(REJECTED);
        }
        let mut fields = Reader::new(list.contents(der::SEQUENCE)?);
        list.finish()?;
        let hash = fields.contents(der::OCTET_STRING)?;
        let id = fields.contents(der::INTEGER)?;
        let accepted = match fields.optional(der::SEQUENCE)? {
            Some(status) => {
                let status = Reader::new(status.contents).contents(der::INTEGER)?;
                // accepted or grantedWithMods
                matches!(der::unsigned(status)?, 0 | 1)
            }
            None => true,
        };
        fields.optional(der::context(0))?;
        fields.finish()?;
        Ok(Self { hash, id, accepted })
    }
}
