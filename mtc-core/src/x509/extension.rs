//! One X.509 extension, read and written.

use crate::der::{self, DerError, Reader};

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

    /// DER of the extension.
    pub fn to_der(&self) -> Vec<u8> {
        let critical: &[u8] = if self.critical {
            &[der::BOOLEAN, 1, 0xff]
        } else {
            &[]
        };
        der::element(
            der::SEQUENCE,
            &[
                &der::element(der::OID, &[self.oid]),
                critical,
                &der::element(der::OCTET_STRING, &[self.value]),
            ],
        )
    }
}
