//! An end entity's certificate, X.509 or MTC alike, read in place and without allocation as far as its user needs it.

use crate::certificate;
use crate::oid;
use crate::time::UnixTime;

use super::extension::{Extension, ExtensionList};
use super::{Fields, X509Error, validity};

/// What a verifier reads of an end entity's certificate, once: every check borrows it. Extensions are the contents octets of
/// their `extnValue`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndEntity<'a> {
    /// DER of the issuer's Name.
    pub issuer: &'a [u8],
    /// Contents octets of the serial number.
    pub serial: &'a [u8],
    /// First second of validity.
    pub not_before: UnixTime,
    /// Last second of validity.
    pub not_after: UnixTime,
    /// DER of the SubjectPublicKeyInfo.
    pub spki: &'a [u8],
    /// keyUsage.
    pub key_usage: Option<&'a [u8]>,
    /// extKeyUsage.
    pub ext_key_usage: Option<&'a [u8]>,
    /// subjectAltName.
    pub subject_alt_name: Option<&'a [u8]>,
    /// basicConstraints.
    pub basic_constraints: Option<&'a [u8]>,
    /// nfTypes (RFC 9310).
    pub nf_types: Option<&'a [u8]>,
    /// Contents octets of the OID of the first critical extension that is none of the above.
    pub unknown_critical: Option<&'a [u8]>,
}

impl<'a> EndEntity<'a> {
    /// Reads a certificate of any kind.
    ///
    /// # Errors
    /// Not the DER of an X.509 certificate of version 3, or an extension twice (RFC 5280 section 4.2).
    pub fn parse(whole: &'a [u8]) -> Result<Self, X509Error> {
        let fields = Fields::read(whole)?;
        if !fields.is_version_3 {
            return Err(X509Error::Version);
        }
        let id = (fields.subject.issuer, fields.serial);
        Self::new(id, fields.subject.validity, fields.spki, fields.extensions)
    }

    /// Reads on where the reader of Merkle Tree Certificates stops: it has told the fields apart.
    ///
    /// # Errors
    /// The validity or the extensions are malformed, or there is an extension twice (RFC 5280 section 4.2).
    pub fn of_mtc(certificate: &certificate::Certificate<'a>) -> Result<Self, X509Error> {
        Self::new(
            (certificate.issuer, certificate.serial_octets),
            certificate.validity,
            certificate.spki,
            certificate.extensions,
        )
    }

    fn new(
        (issuer, serial): (&'a [u8], &'a [u8]),
        validity_contents: &[u8],
        spki: &'a [u8],
        extensions: Option<&'a [u8]>,
    ) -> Result<Self, X509Error> {
        let (not_before, not_after) = validity(validity_contents)?;
        let mut end_entity = Self {
            issuer,
            serial,
            not_before,
            not_after,
            spki,
            ..Self::default()
        };
        if let Some(extensions) = extensions {
            let mut list = ExtensionList::new(extensions)?;
            while let Some(extension) = list.next()? {
                end_entity.take(extension, &list)?;
            }
        }
        Ok(end_entity)
    }

    fn take(
        &mut self,
        extension: Extension<'a>,
        list: &ExtensionList<'a>,
    ) -> Result<(), X509Error> {
        let slot = match extension.oid {
            oid::KEY_USAGE => &mut self.key_usage,
            oid::EXT_KEY_USAGE => &mut self.ext_key_usage,
            oid::SUBJECT_ALT_NAME => &mut self.subject_alt_name,
            oid::BASIC_CONSTRAINTS => &mut self.basic_constraints,
            oid::NF_TYPES => &mut self.nf_types,
            unknown => {
                if extension.critical && self.unknown_critical.is_none() {
                    self.unknown_critical = Some(unknown);
                }
                return no_duplicate(list.repeats(unknown), unknown);
            }
        };
        no_duplicate(slot.replace(extension.value).is_some(), extension.oid)
    }
}

fn no_duplicate(repeated: bool, oid: &[u8]) -> Result<(), X509Error> {
    if repeated {
        Err(X509Error::DuplicateExtension(oid::name(oid)))
    } else {
        Ok(())
    }
}
