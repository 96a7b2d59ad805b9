//! Log entries (Section 5.2.1) and the entry hash of a certificate, computed in one pass over its bytes (Section 7.2).
//!
//! ```text
//! struct { uint16 type; opaque data<0..2^16-1>; } MTCLogEntryExtension;
//! struct {
//!     MTCLogEntryExtension extensions<0..2^16-1>;     ascending types, no duplicates
//!     uint16 type;                                    0 null_entry, 1 tbs_cert_entry
//!     tbs_cert_entry: contents octets of TBSCertificateLogEntry, to the end of the input
//! } MTCLogEntry;                                      at most 65535 bytes
//! ```

use alloc::vec::Vec;

use thiserror::Error;

use crate::der;
use crate::sha256::{self, Gather};
use crate::tree::{HASH_SIZE, Hash};
use crate::wire::{self, Reader, WireError};

/// Longest entry in bytes: tiles give each entry a 16-bit length.
pub const MAX_ENTRY: usize = 65_535;

const NULL_ENTRY: u16 = 0;
const TBS_CERT_ENTRY: u16 = 1;

/// Why bytes are not a log entry, or an entry cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The structure is malformed.
    #[error("malformed entry")]
    Wire(#[from] WireError),
    /// Extension types are not strictly ascending.
    #[error("entry extension {found} follows {previous}: types must ascend without duplicates")]
    ExtensionOrder {
        /// The type before.
        previous: u16,
        /// The type that is not greater.
        found: u16,
    },
    /// An entry type this implementation does not know.
    #[error("unknown entry type {0}")]
    UnknownType(u16),
    /// More than 65535 bytes.
    #[error("the entry has {0} bytes; at most 65535 are allowed")]
    TooLong(usize),
}

/// An entry of an issuance log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MtcLogEntry {
    /// Entry extensions: type and data, ascending by type.
    pub extensions: Vec<(u16, Vec<u8>)>,
    /// The statement.
    pub body: EntryBody,
}

/// What an entry states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryBody {
    /// Nothing; such an entry has no certificate.
    Null,
    /// The contents octets of a `TBSCertificateLogEntry`.
    TbsCert(Vec<u8>),
}

impl MtcLogEntry {
    /// An entry that states nothing.
    pub const NULL: Self = Self {
        extensions: Vec::new(),
        body: EntryBody::Null,
    };

    /// Encodes the entry as it stands in the log.
    ///
    /// # Errors
    /// Extensions out of order, or too long.
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        let mut out = Vec::new();
        wire::put_vector(
            &mut out,
            &encode_extensions(&self.extensions)?,
            2,
            "entry extensions",
        )?;
        match &self.body {
            EntryBody::Null => wire::put_uint(&mut out, NULL_ENTRY.into(), 2),
            EntryBody::TbsCert(contents) => {
                wire::put_uint(&mut out, TBS_CERT_ENTRY.into(), 2);
                out.extend_from_slice(contents);
            }
        }
        if out.len() > MAX_ENTRY {
            Err(EntryError::TooLong(out.len()))
        } else {
            Ok(out)
        }
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// Anything but the canonical encoding of an entry of a known type.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > MAX_ENTRY {
            return Err(EntryError::TooLong(bytes.len()));
        }
        let mut reader = Reader::new(bytes);
        let extensions = decode_extensions(reader.vector(2)?)?;
        let body = match reader.uint16()? {
            NULL_ENTRY => {
                reader.finish()?;
                EntryBody::Null
            }
            TBS_CERT_ENTRY => EntryBody::TbsCert(reader.rest().to_vec()),
            unknown => return Err(EntryError::UnknownType(unknown)),
        };
        Ok(Self { extensions, body })
    }
}

/// Encodes entry extensions without the length prefix of the vector.
pub(crate) fn encode_extensions(extensions: &[(u16, Vec<u8>)]) -> Result<Vec<u8>, EntryError> {
    let mut out = Vec::new();
    for (kind, data) in extensions {
        wire::put_uint(&mut out, (*kind).into(), 2);
        wire::put_vector(&mut out, data, 2, "entry extension")?;
    }
    check_extensions(&out)?;
    Ok(out)
}

/// Reads entry extensions, given without the length prefix of the vector.
pub(crate) fn decode_extensions(bytes: &[u8]) -> Result<Vec<(u16, Vec<u8>)>, EntryError> {
    check_extensions(bytes)?;
    let mut reader = Reader::new(bytes);
    let mut extensions = Vec::new();
    while !reader.is_empty() {
        extensions.push((reader.uint16()?, reader.vector(2)?.to_vec()));
    }
    Ok(extensions)
}

/// Checks in place that extensions are well formed and in order.
pub(crate) fn check_extensions(bytes: &[u8]) -> Result<(), EntryError> {
    let mut reader = Reader::new(bytes);
    let mut previous = None;
    while !reader.is_empty() {
        let found = reader.uint16()?;
        reader.vector(2)?;
        if let Some(previous) = previous.filter(|previous| *previous >= found) {
            return Err(EntryError::ExtensionOrder { previous, found });
        }
        previous = Some(found);
    }
    Ok(())
}

/// The parts of a TBSCertificate that an entry repeats, in order, as they stand in the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryParts<'a> {
    /// DER of `[0] EXPLICIT Version`, or empty for v1.
    pub(crate) version: &'a [u8],
    /// DER of issuer, validity and subject, adjacent.
    pub(crate) issuer_validity_subject: &'a [u8],
    /// DER of the SubjectPublicKeyInfo's algorithm.
    pub(crate) key_algorithm: &'a [u8],
    /// DER of the SubjectPublicKeyInfo.
    pub(crate) spki: &'a [u8],
    /// DER of what follows the SubjectPublicKeyInfo: unique identifiers and extensions.
    pub(crate) after_spki: &'a [u8],
}

/// The length of the extensions, and the type.
const ENVELOPE: usize = 2 + 2;
/// Tag and length of the OCTET STRING that holds the key's hash.
const KEY_HASH_HEADER: [u8; 2] = [der::OCTET_STRING, 32];

impl EntryParts<'_> {
    /// Whether the entry has a place in a log: one that has none could be accepted and seen by nobody.
    pub(crate) fn check_length(&self, extensions: &[u8]) -> Result<(), EntryError> {
        let Self {
            version,
            issuer_validity_subject,
            key_algorithm,
            spki: _,
            after_spki,
        } = self;
        let length = ENVELOPE
            + extensions.len()
            + version.len()
            + issuer_validity_subject.len()
            + key_algorithm.len()
            + KEY_HASH_HEADER.len()
            + HASH_SIZE
            + after_spki.len();
        if length > MAX_ENTRY {
            return Err(EntryError::TooLong(length));
        }
        Ok(())
    }

    /// `H(0x00 || MTCLogEntry)` without building the entry.
    pub(crate) fn leaf_hash(&self, extensions: &[u8]) -> Hash {
        let mut message = Gather::new();
        message.update(&[0]);
        message.update(&(extensions.len() as u16).to_be_bytes());
        message.update(extensions);
        message.update(&TBS_CERT_ENTRY.to_be_bytes());
        message.update(self.version);
        message.update(self.issuer_validity_subject);
        message.update(self.key_algorithm);
        message.update(&KEY_HASH_HEADER);
        message.update_with_digest(self.spki, self.after_spki);
        message.finish()
    }

    /// The contents octets of the `TBSCertificateLogEntry`.
    pub(crate) fn entry_contents(&self) -> Vec<u8> {
        let key_hash = sha256::digest(self.spki);
        [
            self.version,
            self.issuer_validity_subject,
            self.key_algorithm,
            &KEY_HASH_HEADER,
            &key_hash,
            self.after_spki,
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_round_trip() {
        let entry = MtcLogEntry {
            extensions: vec![(1, vec![]), (9, vec![1, 2])],
            body: EntryBody::TbsCert(vec![0xa0, 3, 2, 1, 2]),
        };
        for entry in [entry, MtcLogEntry::NULL] {
            assert_eq!(MtcLogEntry::decode(&entry.encode().unwrap()), Ok(entry));
        }
        assert_eq!(MtcLogEntry::NULL.encode(), Ok(vec![0, 0, 0, 0]));
    }

    #[test]
    fn extensions_out_of_order_are_rejected_both_ways() {
        for second in [1, 0] {
            let entry = MtcLogEntry {
                extensions: vec![(1, vec![]), (second, vec![])],
                body: EntryBody::Null,
            };
            assert_eq!(
                entry.encode(),
                Err(EntryError::ExtensionOrder {
                    previous: 1,
                    found: second
                })
            );
        }
        assert!(MtcLogEntry::decode(&[0, 8, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn the_longest_entry_is_the_one_that_a_tile_can_hold() {
        let entry = |length: usize| MtcLogEntry {
            extensions: vec![],
            body: EntryBody::TbsCert(vec![7; length - ENVELOPE]),
        };
        let longest = entry(MAX_ENTRY);
        let encoded = longest.encode().unwrap();
        assert_eq!(encoded.len(), MAX_ENTRY);
        assert_eq!(MtcLogEntry::decode(&encoded), Ok(longest));
        let too_long = Err(EntryError::TooLong(MAX_ENTRY + 1));
        assert_eq!(entry(MAX_ENTRY + 1).encode(), too_long);
    }

    #[test]
    fn malformed_entries_are_rejected() {
        assert_eq!(
            MtcLogEntry::decode(&[0, 0, 0, 2]),
            Err(EntryError::UnknownType(2))
        );
        assert!(
            MtcLogEntry::decode(&[0, 0, 0, 0, 0]).is_err(),
            "null entry with a body"
        );
        assert!(
            MtcLogEntry::decode(&[0, 1, 0, 0, 0]).is_err(),
            "extension cut short"
        );
        assert_eq!(
            MtcLogEntry::decode(&[0; MAX_ENTRY + 1]),
            Err(EntryError::TooLong(MAX_ENTRY + 1))
        );
    }
}
