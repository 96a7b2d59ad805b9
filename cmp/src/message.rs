//! PKIMessage and PKIHeader (RFC 9810 sections 5.1 and 5.1.1).
//!
//! ```text
//! PKIMessage ::= SEQUENCE { header PKIHeader, body PKIBody, protection [0] BIT STRING OPTIONAL,
//!                           extraCerts [1] SEQUENCE SIZE (1..MAX) OF CMPCertificate OPTIONAL }
//! PKIHeader  ::= SEQUENCE { pvno INTEGER { cmp2000(2), cmp2021(3) }, sender GeneralName, recipient GeneralName,
//!     messageTime [0] GeneralizedTime OPTIONAL, protectionAlg [1] AlgorithmIdentifier OPTIONAL,
//!     senderKID [2] OCTET STRING OPTIONAL, recipKID [3] OCTET STRING OPTIONAL, transactionID [4] OCTET STRING OPTIONAL,
//!     senderNonce [5] OCTET STRING OPTIONAL, recipNonce [6] OCTET STRING OPTIONAL,
//!     freeText [7] PKIFreeText OPTIONAL, generalInfo [8] SEQUENCE SIZE (1..MAX) OF InfoTypeAndValue OPTIONAL }
//! ```
//!
//! The tags are explicit. What is protected is the DER of `SEQUENCE { header, body }`, taken from the message as it came.

use mtc_core::cosign::PublicKey;
use mtc_core::der::{self, DerError, Element, Reader};
use mtc_core::time::UnixTime;

use crate::algorithm::Algorithm;
use crate::mac::Mac;
use crate::oid;

/// Longest message that is read. One of ML-DSA-87, with two signatures and a chain of three certificates, has some 36 kB.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Octets of a transaction ID; RFC 9483 has 16.
pub const MAX_TRANSACTION_ID: usize = 64;
/// Fewest octets of a nonce: 128 bits (RFC 9483 section 3.1).
pub const MIN_NONCE: usize = 16;
/// Most octets of a nonce.
pub const MAX_NONCE: usize = 64;
/// Certificates beside a message: the chain of its signer, and a few more.
const MAX_EXTRA_CERTS: usize = 8;
/// Members of generalInfo that are looked at.
const MAX_GENERAL_INFO: usize = 16;

/// Why bytes are no CMP message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Longer than [`MAX_MESSAGE`].
    #[error("CMP message: {0} bytes; at most {MAX_MESSAGE} are allowed")]
    TooLong(usize),
    /// A field is not the DER that belongs there.
    #[error("CMP message: {field} is malformed")]
    Malformed {
        /// Its name in RFC 9810.
        field: &'static str,
        /// What is wrong with it.
        source: DerError,
    },
    /// More of something than the bound of this implementation.
    #[error("CMP message: {0} has too many entries, or one that is too long")]
    Bound(&'static str),
}

pub(crate) fn in_field(field: &'static str) -> impl Fn(DerError) -> MessageError + Copy {
    move |source| MessageError::Malformed { field, source }
}

/// The header of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// `pvno`: 2 or 3 for what is spoken today.
    pub version: u64,
    /// DER of the sender's GeneralName: what the message says, and no proof.
    pub sender: &'a [u8],
    /// DER of the recipient's GeneralName.
    pub recipient: &'a [u8],
    /// When the message was made, by its sender's clock.
    pub time: Option<UnixTime>,
    /// How it is protected.
    pub protection: Option<Algorithm<'a>>,
    /// `senderKID`: which secret or key protects it. A reference number, where a shared secret does.
    pub key_id: Option<&'a [u8]>,
    /// To which transaction it belongs.
    pub transaction_id: Option<&'a [u8]>,
    /// A fresh nonce.
    pub sender_nonce: Option<&'a [u8]>,
    /// The nonce of the message that this one answers.
    pub recipient_nonce: Option<&'a [u8]>,
    /// Whether the sender would like to do without certConf.
    pub implicit_confirm: bool,
    /// The certificate profile that is asked for (`id-it-certProfile`).
    pub profile: Option<&'a str>,
}

impl<'a> Header<'a> {
    fn parse(contents: &'a [u8]) -> Result<Self, MessageError> {
        let mut fields = Reader::new(contents);
        let version = fields.contents(der::INTEGER).and_then(der::unsigned);
        let version = version.map_err(in_field("pvno"))?;
        let sender = fields.element().map_err(in_field("sender"))?.whole;
        let recipient = fields.element().map_err(in_field("recipient"))?.whole;
        let time = tagged(&mut fields, 0, "messageTime")?
            .map(|time| read_time(time).map_err(in_field("messageTime")))
            .transpose()?;
        let protection = tagged(&mut fields, 1, "protectionAlg")?
            .map(|algorithm| {
                let mut reader = Reader::new(algorithm);
                let read = Algorithm::read(&mut reader)?;
                reader.finish().map(|()| read)
            })
            .transpose()
            .map_err(in_field("protectionAlg"))?;
        let key_id = octets(&mut fields, 2, "senderKID")?;
        octets(&mut fields, 3, "recipKID")?;
        let transaction_id = octets(&mut fields, 4, "transactionID")?;
        let sender_nonce = octets(&mut fields, 5, "senderNonce")?;
        let recipient_nonce = octets(&mut fields, 6, "recipNonce")?;
        tagged(&mut fields, 7, "freeText")?;
        let general_info = tagged(&mut fields, 8, "generalInfo")?;
        fields.finish().map_err(in_field("header"))?;
        let mut header = Self {
            version,
            sender,
            recipient,
            time,
            protection,
            key_id,
            transaction_id,
            sender_nonce,
            recipient_nonce,
            implicit_confirm: false,
            profile: None,
        };
        if let Some(general_info) = general_info {
            header.read_general_info(general_info)?;
        }
        Ok(header)
    }

    /// Reads what it knows of `generalInfo`; everything else is passed over, as RFC 9810 section 5.1.1.3 asks.
    fn read_general_info(&mut self, general_info: &'a [u8]) -> Result<(), MessageError> {
        let malformed = in_field("generalInfo");
        let mut list = Reader::new(der::only(general_info, der::SEQUENCE).map_err(malformed)?);
        let mut count = 0;
        while !list.is_empty() {
            count += 1;
            if count > MAX_GENERAL_INFO {
                return Err(MessageError::Bound("generalInfo"));
            }
            let info = list.contents(der::SEQUENCE).map_err(malformed)?;
            let mut fields = Reader::new(info);
            match fields.contents(der::OID).map_err(malformed)? {
                oid::IMPLICIT_CONFIRM => self.implicit_confirm = true,
                oid::CERT_PROFILE => {
                    let names = fields.contents(der::SEQUENCE).map_err(malformed)?;
                    // RFC 9483 has one, as a message has one request.
                    let name = der::only(names, der::UTF8_STRING).map_err(malformed)?;
                    let name = std::str::from_utf8(name);
                    let text = name.map_err(|_| malformed(DerError::InvalidValue("UTF8String")))?;
                    self.profile = Some(text);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// GeneralizedTime as RFC 9810 section 5.1.1 has it: in seconds, and in UTC.
fn read_time(contents: &[u8]) -> Result<UnixTime, DerError> {
    let mut reader = Reader::new(contents);
    if reader.peek_tag() != Some(der::GENERALIZED_TIME) {
        reader.expect(der::GENERALIZED_TIME)?;
    }
    let time = UnixTime::from_der(&mut reader)?;
    reader.finish().map(|()| time)
}

/// The contents of an element with an explicit tag, if it is next.
fn tagged<'a>(
    fields: &mut Reader<'a>,
    tag: u8,
    field: &'static str,
) -> Result<Option<&'a [u8]>, MessageError> {
    let element = fields
        .optional(der::context(tag))
        .map_err(in_field(field))?;
    Ok(element.map(|element| element.contents))
}

/// The octets of an OCTET STRING with an explicit tag, if it is next.
fn octets<'a>(
    fields: &mut Reader<'a>,
    tag: u8,
    field: &'static str,
) -> Result<Option<&'a [u8]>, MessageError> {
    tagged(fields, tag, field)?
        .map(|contents| der::only(contents, der::OCTET_STRING).map_err(in_field(field)))
        .transpose()
}

/// Why a key has not signed a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtectionError {
    /// `protectionAlg` is not the algorithm of the key's signatures.
    #[error("CMP message: protectionAlg is not what this key signs with")]
    Algorithm,
    /// It has not.
    #[error("CMP message: the protection does not verify")]
    BadSignature,
}

/// A message, borrowed from its bytes.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// Its header.
    pub header: Header<'a>,
    /// Its body, of which the tag says what it is.
    pub body: Element<'a>,
    /// MAC or signature.
    pub protection: Option<&'a [u8]>,
    /// DER of the certificates beside it, the signer's first (RFC 9483 section 3.3).
    pub extra_certs: Vec<&'a [u8]>,
    header_der: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a message, its body only as far as to know where it ends.
    ///
    /// # Errors
    /// See [`MessageError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(MessageError::TooLong(bytes.len()));
        }
        let contents = der::only(bytes, der::SEQUENCE).map_err(in_field("PKIMessage"))?;
        let mut fields = Reader::new(contents);
        let header = fields.expect(der::SEQUENCE).map_err(in_field("header"))?;
        let body = fields.element().map_err(in_field("body"))?;
        let protection = tagged(&mut fields, 0, "protection")?
            .map(|bits| der::only(bits, der::BIT_STRING).and_then(der::whole_octets))
            .transpose()
            .map_err(in_field("protection"))?;
        let extra_certs = match tagged(&mut fields, 1, "extraCerts")? {
            Some(list) => extra_certs(list)?,
            None => Vec::new(),
        };
        fields.finish().map_err(in_field("PKIMessage"))?;
        Ok(Self {
            header: Header::parse(header.contents)?,
            body,
            protection,
            extra_certs,
            header_der: header.whole,
        })
    }

    /// What is protected.
    fn protected_part(&self) -> Vec<u8> {
        der::element(der::SEQUENCE, &[self.header_der, self.body.whole])
    }

    /// Whether this secret has protected it. Compares in constant time.
    pub fn mac_protects(&self, mac: &Mac) -> bool {
        self.protection
            .is_some_and(|tag| mac.verifies(&self.protected_part(), tag))
    }

    /// Whether the holder of this key has signed it.
    ///
    /// # Errors
    /// He has not, or by another algorithm.
    pub fn is_signed_by(&self, key: &PublicKey) -> Result<(), ProtectionError> {
        let identifier = key.algorithm().signature_algorithm_identifier();
        if self.header.protection.map(|named| named.whole) != Some(&identifier) {
            return Err(ProtectionError::Algorithm);
        }
        let signature = self.protection.unwrap_or_default();
        if !key.verifies(&self.protected_part(), signature) {
            return Err(ProtectionError::BadSignature);
        }
        Ok(())
    }
}

fn extra_certs(list: &[u8]) -> Result<Vec<&[u8]>, MessageError> {
    let malformed = in_field("extraCerts");
    let mut list = Reader::new(der::only(list, der::SEQUENCE).map_err(malformed)?);
    let mut certs = Vec::new();
    while !list.is_empty() {
        if certs.len() == MAX_EXTRA_CERTS {
            return Err(MessageError::Bound("extraCerts"));
        }
        certs.push(list.expect(der::SEQUENCE).map_err(malformed)?.whole);
    }
    Ok(certs)
}
