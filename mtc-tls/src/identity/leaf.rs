//! An end-entity certificate, X.509 or MTC alike, read in place as far as identity and usage need it.

use mtc_core::certificate::Certificate;
use mtc_core::der::{self, DerError, Reader};
use mtc_core::time::UnixTime;

use super::oid;
use mtc_core::x509::Extension;

/// Extensions in one certificate. The profile has 5 to 7; the bound keeps a hostile certificate cheap.
const MAX_EXTENSIONS: usize = 32;

/// Why a certificate is not even readable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedCertificate {
    /// A field is not the DER that belongs there.
    #[error("certificate: {field} is malformed")]
    Field {
        /// The X.509 name of the field.
        field: &'static str,
        /// What is wrong with it.
        source: DerError,
    },
    /// Not version 3, which extensions need.
    #[error("certificate: version is not v3")]
    Version,
    /// An extension that matters here occurs twice.
    #[error("certificate: {0} occurs twice")]
    DuplicateExtension(&'static str),
    /// More extensions than the bound of this implementation.
    #[error("certificate: more than {MAX_EXTENSIONS} extensions")]
    TooManyExtensions,
}

/// Names the field in which a [`DerError`] happened.
pub(super) fn in_field(field: &'static str) -> impl Fn(DerError) -> MalformedCertificate {
    move |source| MalformedCertificate::Field { field, source }
}

/// What this crate reads of a certificate, once: every check borrows it. Extension fields hold the contents of `extnValue`.
#[derive(Debug, Default)]
pub(crate) struct Leaf<'a> {
    pub(super) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
    /// DER of the SubjectPublicKeyInfo.
    pub(crate) spki: &'a [u8],
    pub(super) key_usage: Option<&'a [u8]>,
    pub(super) ext_key_usage: Option<&'a [u8]>,
    pub(super) subject_alt_name: Option<&'a [u8]>,
    pub(super) basic_constraints: Option<&'a [u8]>,
    pub(super) nf_types: Option<&'a [u8]>,
    /// Contents octets of the OID of the first critical extension that is none of the above.
    pub(super) unknown_critical: Option<&'a [u8]>,
}

impl<'a> Leaf<'a> {
    /// The leaf that a Merkle Tree Certificate is, of which the fields have been told apart.
    pub(crate) fn of_mtc(certificate: &Certificate<'a>) -> Result<Self, MalformedCertificate> {
        let extensions = certificate
            .extensions
            .ok_or(DerError::Truncated)
            .map_err(in_field("extensions"))?;
        Self::of(certificate.validity, certificate.spki, extensions)
    }

    /// Reads a certificate of any kind.
    pub(crate) fn parse(certificate: &'a [u8]) -> Result<Self, MalformedCertificate> {
        let mut certificate =
            Reader::new(der::only(certificate, der::SEQUENCE).map_err(in_field("Certificate"))?);
        let tbs = certificate
            .contents(der::SEQUENCE)
            .map_err(in_field("tbsCertificate"))?;
        certificate
            .expect(der::SEQUENCE)
            .map_err(in_field("signatureAlgorithm"))?;
        certificate
            .expect(der::BIT_STRING)
            .map_err(in_field("signatureValue"))?;
        certificate.finish().map_err(in_field("Certificate"))?;
        Self::parse_tbs(Reader::new(tbs))
    }

    fn parse_tbs(mut tbs: Reader<'a>) -> Result<Self, MalformedCertificate> {
        let version = tbs.optional(der::context(0)).map_err(in_field("version"))?;
        if version.is_none_or(|version| version.contents != [der::INTEGER, 1, 2]) {
            return Err(MalformedCertificate::Version);
        }
        tbs.expect(der::INTEGER).map_err(in_field("serialNumber"))?;
        tbs.expect(der::SEQUENCE).map_err(in_field("signature"))?;
        tbs.expect(der::SEQUENCE).map_err(in_field("issuer"))?;
        let validity = tbs.contents(der::SEQUENCE).map_err(in_field("validity"))?;
        tbs.expect(der::SEQUENCE).map_err(in_field("subject"))?;
        let spki = tbs
            .expect(der::SEQUENCE)
            .map_err(in_field("subjectPublicKeyInfo"))?;
        tbs.optional(der::context_primitive(1))
            .map_err(in_field("issuerUniqueID"))?;
        tbs.optional(der::context_primitive(2))
            .map_err(in_field("subjectUniqueID"))?;
        let extensions = tbs
            .contents(der::context(3))
            .map_err(in_field("extensions"))?;
        tbs.finish().map_err(in_field("tbsCertificate"))?;
        Self::of(validity, spki.whole, extensions)
    }

    fn of(
        validity: &[u8],
        spki: &'a [u8],
        extensions: &'a [u8],
    ) -> Result<Self, MalformedCertificate> {
        let (not_before, not_after) = parse_validity(validity).map_err(in_field("validity"))?;
        let mut leaf = Self {
            not_before,
            not_after,
            spki,
            ..Self::default()
        };
        leaf.parse_extensions(extensions)?;
        Ok(leaf)
    }

    fn parse_extensions(&mut self, extensions: &'a [u8]) -> Result<(), MalformedCertificate> {
        let malformed = in_field("extensions");
        let mut extensions = Reader::new(der::only(extensions, der::SEQUENCE).map_err(&malformed)?);
        for _ in 0..MAX_EXTENSIONS {
            if extensions.is_empty() {
                return Ok(());
            }
            let extension = Extension::read(&mut extensions).map_err(&malformed)?;
            self.take(extension)?;
        }
        if extensions.is_empty() {
            Ok(())
        } else {
            Err(MalformedCertificate::TooManyExtensions)
        }
    }

    fn take(&mut self, extension: Extension<'a>) -> Result<(), MalformedCertificate> {
        let (slot, name) = match extension.oid {
            oid::KEY_USAGE => (&mut self.key_usage, "keyUsage"),
            oid::EXT_KEY_USAGE => (&mut self.ext_key_usage, "extKeyUsage"),
            oid::SUBJECT_ALT_NAME => (&mut self.subject_alt_name, "subjectAltName"),
            oid::BASIC_CONSTRAINTS => (&mut self.basic_constraints, "basicConstraints"),
            oid::NF_TYPE => (&mut self.nf_types, "nfTypes"),
            unknown => {
                if extension.critical && self.unknown_critical.is_none() {
                    self.unknown_critical = Some(unknown);
                }
                return Ok(());
            }
        };
        match slot.replace(extension.value) {
            Some(_) => Err(MalformedCertificate::DuplicateExtension(name)),
            None => Ok(()),
        }
    }
}

fn parse_validity(contents: &[u8]) -> Result<(UnixTime, UnixTime), DerError> {
    let mut validity = Reader::new(contents);
    let not_before = UnixTime::from_der(&mut validity)?;
    let not_after = UnixTime::from_der(&mut validity)?;
    validity.finish()?;
    Ok((not_before, not_after))
}
