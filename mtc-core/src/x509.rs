//! X.509 certificates of anybody, read in place, and what they may be used for.
//!
//! ```text
//! Certificate
//!   tbsCertificate       version, serial, signature, issuer, validity, subject, SPKI, extensions
//!   signatureAlgorithm   one of an issuer's key, id-alg-mtcProof, id-alg-unsigned
//!   signatureValue       a signature, an MTCProof, or nothing
//!
//! bytes ──> Fields ─┬─> EndEntity ──check──>   what a verifier needs, without allocation: a handshake reads this
//!                   └─> Certificate            everything, for people to look at
//! ```
//!
//! Who vouches for a certificate is not judged here: [`crate::verify`] does that for Merkle Tree Certificates.

mod algorithm;
mod end_entity;
mod extension;
mod name;
mod usage;

use crate::der::{self, DerError, Element, Reader};
use crate::oid;
use crate::time::UnixTime;
use thiserror::Error;

pub use self::algorithm::{key_algorithm, public_key, signature_algorithm};
pub use self::end_entity::EndEntity;
pub use self::extension::{Extension, extension};
pub use self::name::{GeneralName, alternative_names, distinguished_name, is_name_of};
pub use self::usage::{Role, UsageError, is_ca, key_usages, nf_types, purposes};

use self::extension::ExtensionList;

/// DER of the Version v3, inside its tag: that of certificates that have extensions.
const VERSION_3: [u8; 3] = [der::INTEGER, 1, 2];
/// Extensions in one certificate. Those of an NF have 5 to 7, public web certificates about ten; the bound keeps a hostile one
/// cheap.
const MAX_EXTENSIONS: usize = 32;

/// Why bytes are not a certificate that can be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum X509Error {
    /// A field is not the DER that belongs there.
    #[error("{field} is malformed")]
    Field {
        /// The X.509 name of the field.
        field: &'static str,
        /// What is wrong with it.
        source: DerError,
    },
    /// Not version 3, which extensions need.
    #[error("version is not v3")]
    Version,
    /// The two places that name the signature algorithm differ (RFC 5280 section 4.1.1.2).
    #[error("signatureAlgorithm differs from the one inside tbsCertificate")]
    AlgorithmMismatch,
    /// An extension that occurs twice (RFC 5280 section 4.2).
    #[error("extension {0} occurs twice")]
    DuplicateExtension(String),
    /// More extensions than the bound of this implementation.
    #[error("more than {MAX_EXTENSIONS} extensions")]
    TooManyExtensions,
}

/// Names the field in which a [`DerError`] happened.
fn in_field(field: &'static str) -> impl Fn(DerError) -> X509Error + Copy {
    move |source| X509Error::Field { field, source }
}

/// A certificate of any kind, its fields told apart and, but for the algorithms, not looked into.
struct Fields<'a> {
    is_version_3: bool,
    serial: &'a [u8],
    subject: Subject<'a>,
    spki: &'a [u8],
    extensions: Option<&'a [u8]>,
    signature_algorithm: &'a [u8],
    signature: &'a [u8],
    tbs: &'a [u8],
}

impl<'a> Fields<'a> {
    fn read(whole: &'a [u8]) -> Result<Self, X509Error> {
        let in_certificate = in_field("Certificate");
        let mut fields = Reader::new(der::only(whole, der::SEQUENCE).map_err(in_certificate)?);
        let tbs = fields
            .expect(der::SEQUENCE)
            .map_err(in_field("tbsCertificate"))?;
        let signature_algorithm = fields
            .expect(der::SEQUENCE)
            .map_err(in_field("signatureAlgorithm"))?
            .whole;
        let signature = fields
            .contents(der::BIT_STRING)
            .map_err(in_field("signatureValue"))?;
        fields.finish().map_err(in_certificate)?;
        let (_, signature) = signature
            .split_first()
            .ok_or_else(|| in_field("signatureValue")(DerError::Truncated))?;

        let mut fields = Reader::new(tbs.contents);
        let version = fields
            .optional(der::context(0))
            .map_err(in_field("version"))?;
        let serial = fields
            .contents(der::INTEGER)
            .map_err(in_field("serialNumber"))?;
        let inner_algorithm = fields
            .expect(der::SEQUENCE)
            .map_err(in_field("signature"))?
            .whole;
        if inner_algorithm != signature_algorithm {
            return Err(X509Error::AlgorithmMismatch);
        }
        let subject = Subject::read(&mut fields)?;
        let spki = fields
            .expect(der::SEQUENCE)
            .map_err(in_field("subjectPublicKeyInfo"))?
            .whole;
        let is_version_3 = version.is_some_and(|version| version.contents == VERSION_3);
        let extensions = extensions_at_the_end(fields)?;
        if extensions.is_some() && !is_version_3 {
            return Err(X509Error::Version); // RFC 5280 section 4.1.2.1
        }
        Ok(Self {
            is_version_3,
            serial,
            subject,
            spki,
            extensions,
            signature_algorithm,
            signature,
            tbs: tbs.whole,
        })
    }
}

/// Issuer, validity and subject: the run of fields that certificates and log entries share.
struct Subject<'a> {
    issuer: &'a [u8],
    /// Contents octets.
    validity: &'a [u8],
    subject: &'a [u8],
}

impl<'a> Subject<'a> {
    fn read(fields: &mut Reader<'a>) -> Result<Self, X509Error> {
        let mut sequence = |field| fields.expect(der::SEQUENCE).map_err(in_field(field));
        Ok(Self {
            issuer: sequence("issuer")?.whole,
            validity: sequence("validity")?.contents,
            subject: sequence("subject")?.whole,
        })
    }
}

/// Reads what follows the key, unique identifiers and extensions, to the end; the contents octets of the field `extensions`.
fn extensions_at_the_end<'a>(mut fields: Reader<'a>) -> Result<Option<&'a [u8]>, X509Error> {
    fields
        .optional(der::context_primitive(1))
        .map_err(in_field("issuerUniqueID"))?;
    fields
        .optional(der::context_primitive(2))
        .map_err(in_field("subjectUniqueID"))?;
    let extensions = fields
        .optional(der::context(3))
        .map_err(in_field("extensions"))?;
    fields.finish().map_err(in_field("tbsCertificate"))?;
    Ok(extensions.map(|extensions| extensions.contents))
}

/// First and last second of a validity, of which these are the contents octets.
fn validity(contents: &[u8]) -> Result<(UnixTime, UnixTime), X509Error> {
    let read = || {
        let mut validity = Reader::new(contents);
        let not_before = UnixTime::from_der(&mut validity)?;
        let not_after = UnixTime::from_der(&mut validity)?;
        validity.finish()?;
        Ok((not_before, not_after))
    };
    read().map_err(in_field("validity"))
}

/// A validity as RFC 3339 writes it, with its own years where they are before 1970.
fn validity_texts(contents: &[u8]) -> Result<[String; 2], X509Error> {
    let (not_before, not_after) = validity(contents)?;
    let mut times = Reader::new(contents);
    let mut text = |time| {
        let element = times.element().map_err(in_field("validity"))?;
        Ok(moment(time, &element))
    };
    Ok([text(not_before)?, text(not_after)?])
}

/// A `Time` that has been read as `time`, with its own year where that is before 1970.
fn moment(time: UnixTime, element: &Element<'_>) -> String {
    let digits = String::from_utf8_lossy(element.contents);
    let digits = match element.tag {
        // The years of UTCTime are from 1950 on (RFC 5280 section 4.1.2.5.1).
        der::UTC_TIME if digits.as_bytes().first() >= Some(&b'5') => format!("19{digits}"),
        der::UTC_TIME => return time.to_string(),
        _ => digits.into_owned(),
    };
    let part = |range| digits.get(range).unwrap_or_default();
    let year: Option<u64> = part(0..4).parse().ok();
    if year.is_none_or(|year| year >= 1970) {
        return time.to_string();
    }
    let [year, month, day] = [part(0..4), part(4..6), part(6..8)];
    let [hour, minute, second] = [part(8..10), part(10..12), part(12..14)];
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")
}

/// What a certificate and a log entry both say of their subject.
#[derive(Clone, Debug)]
pub struct Statement<'a> {
    /// DER of the issuer's name.
    pub issuer: &'a [u8],
    /// First second of validity.
    pub not_before: UnixTime,
    /// Last second of validity.
    pub not_after: UnixTime,
    /// First and last second of validity as RFC 3339 writes them, also where they are before 1970, which a [`UnixTime`] is not.
    pub validity: [String; 2],
    /// DER of the subject's name.
    pub subject: &'a [u8],
    /// The extensions, in their order, no two alike.
    pub extensions: Vec<Extension<'a>>,
}

impl<'a> Statement<'a> {
    fn new(subject: Subject<'a>, extensions: Option<&'a [u8]>) -> Result<Self, X509Error> {
        let Subject {
            issuer,
            validity: contents,
            subject,
        } = subject;
        let (not_before, not_after) = validity(contents)?;
        let mut statement = Self {
            issuer,
            not_before,
            not_after,
            validity: validity_texts(contents)?,
            subject,
            extensions: Vec::new(),
        };
        if let Some(extensions) = extensions {
            let mut list = ExtensionList::new(extensions)?;
            while let Some(extension) = list.next()? {
                if statement.extension(extension.oid).is_some() {
                    return Err(X509Error::DuplicateExtension(oid::name(extension.oid)));
                }
                statement.extensions.push(extension);
            }
        }
        Ok(statement)
    }

    /// The value of an extension, if there is one with this OID.
    pub fn extension(&self, oid: &[u8]) -> Option<&Extension<'a>> {
        self.extensions
            .iter()
            .find(|extension| extension.oid == oid)
    }
}

/// A certificate of any kind.
#[derive(Clone, Debug)]
pub struct Certificate<'a> {
    /// Contents octets of the serial number.
    pub serial: &'a [u8],
    /// What it says of its subject.
    pub statement: Statement<'a>,
    /// DER of the SubjectPublicKeyInfo.
    pub spki: &'a [u8],
    /// DER of the signature's AlgorithmIdentifier.
    pub signature_algorithm: &'a [u8],
    /// Octets of the signature, without the one that counts unused bits.
    pub signature: &'a [u8],
    /// DER of the part that is signed.
    pub tbs: &'a [u8],
    /// All its bytes.
    pub whole: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads a certificate.
    ///
    /// # Errors
    /// Not the DER of an X.509 certificate, extensions in one that is not of version 3, or an extension twice.
    pub fn parse(whole: &'a [u8]) -> Result<Self, X509Error> {
        let Fields {
            is_version_3: _,
            serial,
            subject,
            spki,
            extensions,
            signature_algorithm,
            signature,
            tbs,
        } = Fields::read(whole)?;
        Ok(Self {
            serial,
            statement: Statement::new(subject, extensions)?,
            spki,
            signature_algorithm,
            signature,
            tbs,
            whole,
        })
    }
}

/// Contents octets of a `TBSCertificateLogEntry` (Section 5.2.1), read as the statement that it is.
#[derive(Clone, Debug)]
pub struct LogEntry<'a> {
    /// What it says of its subject.
    pub statement: Statement<'a>,
    /// DER of the key's AlgorithmIdentifier; the key itself is not in the log.
    pub key_algorithm: Element<'a>,
}

impl<'a> LogEntry<'a> {
    /// Reads the contents octets.
    ///
    /// # Errors
    /// Not of the form that Section 5.2.1 gives, or an extension twice.
    pub fn parse(contents: &'a [u8]) -> Result<Self, X509Error> {
        let mut fields = Reader::new(contents);
        fields
            .optional(der::context(0))
            .map_err(in_field("version"))?;
        let subject = Subject::read(&mut fields)?;
        let key_algorithm = fields
            .expect(der::SEQUENCE)
            .map_err(in_field("subjectPublicKeyAlgorithm"))?;
        let in_hash = in_field("subjectPublicKeyInfoHash");
        let key_hash = fields.contents(der::OCTET_STRING).map_err(in_hash)?;
        if key_hash.len() != crate::tree::HASH_SIZE {
            return Err(in_hash(DerError::InvalidValue("length of a SHA-256 hash")));
        }
        Ok(Self {
            statement: Statement::new(subject, extensions_at_the_end(fields)?)?,
            key_algorithm,
        })
    }
}
