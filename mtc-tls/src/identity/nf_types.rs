//! The NF types extension of RFC 9310: `NFTypes ::= SEQUENCE SIZE (1..MAX) OF IA5String (SIZE (1..32))`.

use mtc_core::der::{self, DerError, Reader};
use mtc_core::oid;
use mtc_core::x509::extension;

use super::alt_names::graphic_text;

/// NF types in one certificate; an NF is of one type, combined ones of a few.
pub const MAX_NF_TYPES: usize = 8;
/// Room that is made for them at once.
const USUAL_NF_TYPES: usize = 1;
/// Longest NF type, in characters.
pub(super) const MAX_NF_TYPE_LENGTH: usize = 32;

/// Why the NF types extension cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NfTypesError {
    /// Not the DER of NFTypes.
    #[error("nfTypes is malformed")]
    Malformed(#[from] DerError),
    /// An NF type that is empty, longer than 32, or not of printable ASCII characters.
    #[error("nfTypes has an entry that is not 1 to {MAX_NF_TYPE_LENGTH} printable characters")]
    InvalidNfType,
    /// An NF type occurs twice.
    #[error("nfTypes has {0} twice")]
    Duplicate(String),
    /// No NF type, or more than the bound of this implementation.
    #[error("nfTypes does not have 1 to {MAX_NF_TYPES} entries")]
    Count,
}

/// Reads the value of the extension; the order is kept and not judged.
pub(crate) fn parse(value: &[u8]) -> Result<Vec<String>, NfTypesError> {
    let mut reader = Reader::new(der::only(value, der::SEQUENCE)?);
    let mut nf_types: Vec<String> = Vec::with_capacity(USUAL_NF_TYPES);
    while !reader.is_empty() {
        let nf_type = parse_one(reader.contents(der::IA5_STRING)?)?;
        if nf_types.contains(&nf_type) {
            return Err(NfTypesError::Duplicate(nf_type));
        }
        if nf_types.len() == MAX_NF_TYPES {
            return Err(NfTypesError::Count);
        }
        nf_types.push(nf_type);
    }
    if nf_types.is_empty() {
        Err(NfTypesError::Count)
    } else {
        Ok(nf_types)
    }
}

fn parse_one(octets: &[u8]) -> Result<String, NfTypesError> {
    graphic_text(octets)
        .filter(|text| (1..=MAX_NF_TYPE_LENGTH).contains(&text.len()))
        .map(str::to_owned)
        .ok_or(NfTypesError::InvalidNfType)
}

/// The extension, not critical, in the given order.
pub(super) fn extension_der(nf_types: &[String]) -> Vec<u8> {
    let entries: Vec<u8> = nf_types
        .iter()
        .flat_map(|nf_type| der::element(der::IA5_STRING, &[nf_type.as_bytes()]))
        .collect();
    let value = der::element(der::SEQUENCE, &[&entries]);
    extension(oid::NF_TYPES, false, &value)
}
