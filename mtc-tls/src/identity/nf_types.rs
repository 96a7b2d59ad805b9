//! The NF types extension of RFC 9310: `NFTypes ::= SEQUENCE SIZE (1..MAX) OF IA5String (SIZE (1..32))`.

use mtc_core::der::{self, DerError, Reader};
use mtc_core::oid;
use mtc_core::x509::extension;

/// NF types in one certificate; an NF is of one type, combined ones of a few.
pub const MAX_NF_TYPES: usize = 8;
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
pub(super) fn parse(value: &[u8]) -> Result<Vec<String>, NfTypesError> {
    let mut reader = Reader::new(der::only(value, der::SEQUENCE)?);
    let mut nf_types: Vec<String> = Vec::new();
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
    let in_bounds = (1..=MAX_NF_TYPE_LENGTH).contains(&octets.len());
    match std::str::from_utf8(octets) {
        Ok(text) if in_bounds && octets.iter().all(u8::is_ascii_graphic) => Ok(text.to_owned()),
        _ => Err(NfTypesError::InvalidNfType),
    }
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
