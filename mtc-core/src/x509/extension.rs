//! X.509 extensions, read and written.

use crate::der::{self, DerError, Reader};

use super::{MAX_EXTENSIONS, X509Error, in_field};

/// An extension of a certificate or of a certification request.
///
/// ```text
/// Extension ::= SEQUENCE { extnID OBJECT IDENTIFIER, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Contents octets of `extnID`.
    pub oid: &'a [u8],
    /// Whether a verifier that does not know the extension must reject.
    pub critical: bool,
    /// Contents octets of `extnValue`, the DER of the extension's own type.
    pub value: &'a [u8],
}

impl<'a> Extension<'a> {
    /// Reads the next extension of an `Extensions` SEQUENCE.
    ///
    /// # Errors
    /// Not the DER of an extension.
    pub fn read(extensions: &mut Reader<'a>) -> Result<Self, DerError> {
        let mut extension = Reader::new(extensions.contents(der::SEQUENCE)?);
        let oid = extension.contents(der::OID)?;
        let critical = match extension.optional(der::BOOLEAN)? {
            None => false,
            // DER leaves out the default FALSE and writes TRUE as one octet of ones.
            Some(boolean) if boolean.contents == [0xff] => true,
            Some(_) => return Err(DerError::InvalidValue("BOOLEAN")),
        };
        let value = extension.contents(der::OCTET_STRING)?;
        extension.finish()?;
        Ok(Self {
            oid,
            critical,
            value,
        })
    }
}

/// DER of an extension; a flag of FALSE is left out, being the default.
pub fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical {
        &[der::BOOLEAN, 1, 0xff]
    } else {
        &[]
    };
    der::element(
        der::SEQUENCE,
        &[
            &der::element(der::OID, &[oid]),
            flag,
            &der::element(der::OCTET_STRING, &[value]),
        ],
    )
}

/// Reads the extensions of a certificate one by one, at most [`MAX_EXTENSIONS`].
pub(super) struct ExtensionList<'a> {
    list: &'a [u8],
    left: Reader<'a>,
    read: usize,
}

impl<'a> ExtensionList<'a> {
    /// Of the contents octets of the field `extensions`.
    pub(super) fn new(field: &'a [u8]) -> Result<Self, X509Error> {
        let list = der::only(field, der::SEQUENCE).map_err(in_field("extensions"))?;
        Ok(Self {
            list,
            left: Reader::new(list),
            read: 0,
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Extension<'a>>, X509Error> {
        if self.left.is_empty() {
            return Ok(None);
        }
        if self.read == MAX_EXTENSIONS {
            return Err(X509Error::TooManyExtensions);
        }
        self.read += 1;
        let extension = Extension::read(&mut self.left).map_err(in_field("extensions"))?;
        Ok(Some(extension))
    }

    /// Whether an extension before the last one that was read has this OID.
    pub(super) fn repeats(&self, oid: &[u8]) -> bool {
        let mut earlier = Reader::new(self.list);
        (1..self.read).any(|_| Extension::read(&mut earlier).is_ok_and(|one| one.oid == oid))
    }
}
