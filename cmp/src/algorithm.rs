//! AlgorithmIdentifier, of which it is for others to know the parameters.

use mtc_core::der::{self, DerError, Reader};

/// An AlgorithmIdentifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm<'a> {
    /// All its octets.
    pub whole: &'a [u8],
    /// Contents octets of the OBJECT IDENTIFIER.
    pub oid: &'a [u8],
    /// DER of the parameters; empty if there are none.
    pub parameters: &'a [u8],
}

impl<'a> Algorithm<'a> {
    /// Reads one.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DerError> {
        let element = reader.expect(der::SEQUENCE)?;
        let mut fields = Reader::new(element.contents);
        let oid = fields.contents(der::OID)?;
        let parameters = fields.rest();
        if !fields.is_empty() {
            fields.element()?;
        }
        fields.finish()?;
        Ok(Self {
            whole: element.whole,
            oid,
            parameters,
        })
    }
}
