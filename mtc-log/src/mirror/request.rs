//! The body of `add-entries`, and the answer that says where to go on (c2sp.org/tlog-mirror).
//!
//! ```text
//! uint16 length, log origin | uint64 start | uint64 end | uint16 length, ticket | package | package | ...
//!
//! package:  (uint16 length, entry) for each entry of [package start, package end) | uint8 number of hashes | hashes
//! ```
//!
//! Packages end at multiples of 256, and at `end`. Each has the proof that its entries, with those before them since the last multiple
//! of 256, are a subtree of the checkpoint of `end` entries: so each can be judged, and stored, by itself.

use std::ops::Range;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use mtc_core::checkpoint;
use mtc_core::id::TreeSize;
use mtc_core::tile::TILE_WIDTH;
use mtc_core::tree::{HASH_SIZE, Hash};
use mtc_core::wire;
use thiserror::Error;

use crate::witness::MAX_PROOF_HASHES;

/// Content type of [`MirrorInfo`].
pub const MIRROR_INFO_CONTENT_TYPE: &str = "text/x.tlog.mirror-info";

/// Longest ticket that is read from an answer, in base64: this project's mirror gives none, others put a checkpoint into it.
const MAX_TICKET: usize = 64 * 1024;

/// What an upload begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadHeader {
    /// The log's origin.
    pub origin: String,
    /// Index of the first entry.
    pub start: u64,
    /// One past the index of the last entry, and the size of the checkpoint that the proofs lead to.
    pub end: u64,
    /// What the mirror gave in its last answer.
    pub ticket: Vec<u8>,
}

impl UploadHeader {
    /// Its bytes.
    ///
    /// # Errors
    /// Origin or ticket is longer than 65535 bytes.
    pub fn encode(&self) -> Result<Vec<u8>, wire::WireError> {
        let mut bytes = Vec::new();
        wire::put_vector(&mut bytes, self.origin.as_bytes(), 2, "log origin")?;
        wire::put_uint(&mut bytes, self.start, 8);
        wire::put_uint(&mut bytes, self.end, 8);
        wire::put_vector(&mut bytes, &self.ticket, 2, "ticket")?;
        Ok(bytes)
    }

    /// The entries of each package, in their order: the canonical sequence.
    pub fn packages(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let end = self.end;
        let mut start = self.start;
        std::iter::from_fn(move || {
            if start >= end {
                return None;
            }
            let package = start..aligned(start).saturating_add(TILE_WIDTH).min(end);
            start = package.end;
            Some(package)
        })
    }
}

/// The last multiple of 256 that is not beyond an index: where the subtree of a package begins.
pub(crate) const fn aligned(index: u64) -> u64 {
    index - index % TILE_WIDTH
}

/// Up to 256 entries, and the proof that they belong to a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The entries, at most 65535 bytes each.
    pub entries: Vec<Vec<u8>>,
    /// Consistency of their subtree with the checkpoint.
    pub proof: Vec<Hash>,
}

impl Package {
    /// Appends its bytes.
    ///
    /// # Errors
    /// An entry is longer than 65535 bytes, or there are more than 255 hashes.
    pub fn encode_to(&self, bytes: &mut Vec<u8>) -> Result<(), wire::WireError> {
        for entry in &self.entries {
            wire::put_vector(bytes, entry, 2, "entry")?;
        }
        wire::put_length(bytes, self.proof.len(), 1, "proof")?;
        bytes.extend_from_slice(self.proof.as_flattened());
        Ok(())
    }
}

/// Reads an upload as it comes. It holds what has not been taken: a package at most, 16 MiB, and what was pushed last.
#[derive(Debug, Default)]
pub struct UploadReader {
    held: Vec<u8>,
}

impl UploadReader {
    /// Takes the bytes that come next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Bytes that it has room for.
    pub fn capacity(&self) -> usize {
        self.held.capacity()
    }

    /// The header, when all of it has come.
    ///
    /// # Errors
    /// It is not one.
    pub fn header(&mut self) -> Result<Option<UploadHeader>, UploadError> {
        let mut reader = wire::Reader::new(&self.held);
        // Nothing can be wrong with a length but that more bytes are to come.
        let (Ok(origin), Ok(start), Ok(end), Ok(ticket)) = (
            reader.vector(2),
            reader.uint(8),
            reader.uint(8),
            reader.vector(2),
        ) else {
            return Ok(None);
        };
        let origin = String::from_utf8(origin.to_vec()).map_err(|_| UploadError::Origin)?;
        if start > end {
            return Err(UploadError::Interval { start, end });
        }
        let header = UploadHeader {
            origin,
            start,
            end,
            ticket: ticket.to_vec(),
        };
        let taken = self.held.len() - reader.rest().len();
        self.held.drain(..taken);
        Ok(Some(header))
    }

    /// The next package, of so many entries, when all of it has come.
    ///
    /// # Errors
    /// It is not one.
    pub fn package(&mut self, entries: u64) -> Result<Option<Package>, UploadError> {
        let mut reader = wire::Reader::new(&self.held);
        // Where entries are is found first: most calls find that some are to come, and copy nothing.
        for _ in 0..entries {
            if reader.vector(2).is_err() {
                return Ok(None);
            }
        }
        let Ok(hashes) = reader.uint(1) else {
            return Ok(None);
        };
        let hashes = hashes as usize;
        if hashes > MAX_PROOF_HASHES {
            return Err(UploadError::TooManyHashes { hashes });
        }
        let Ok(proof) = reader.bytes(hashes * HASH_SIZE) else {
            return Ok(None);
        };
        let (proof, _) = proof.as_chunks::<HASH_SIZE>();
        let proof = proof.to_vec();
        let taken = self.held.len() - reader.rest().len();
        let mut reader = wire::Reader::new(&self.held);
        let entries = (0..entries)
            .map(|_| reader.vector(2).map(<[u8]>::to_vec))
            .collect::<Result<_, _>>()
            .expect("found above");
        self.held.drain(..taken);
        Ok(Some(Package { entries, proof }))
    }
}

/// Why a body is not an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UploadError {
    /// The log's origin is not UTF-8.
    #[error("the log origin is not UTF-8")]
    Origin,
    /// The interval's end is before its start.
    #[error("upload_start {start} is beyond upload_end {end}")]
    Interval {
        /// From the header.
        start: u64,
        /// From the header.
        end: u64,
    },
    /// More hashes than the largest tree's proof has.
    #[error("num_hashes is {hashes}, and at most {MAX_PROOF_HASHES} are allowed")]
    TooManyHashes {
        /// From the package.
        hashes: usize,
    },
    /// It ended before its first package did.
    #[error("the body ends before its first entry package does")]
    NoPackage,
    /// It ended within the header.
    #[error("the body ends before the entry packages")]
    NoHeader,
}

/// Where an upload can go on.
///
/// ```text
/// <size of a pending checkpoint>\n
/// <index of the next entry>\n
/// <ticket in base64>\n
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorInfo {
    /// Size of a checkpoint that the proofs of an upload may lead to.
    pub size: TreeSize,
    /// Index of the first entry that the mirror does not have.
    pub next: u64,
    /// To be handed back.
    pub ticket: Vec<u8>,
}

impl MirrorInfo {
    /// The body of an answer.
    pub fn encode(&self) -> String {
        let ticket = BASE64_STANDARD.encode(&self.ticket);
        format!("{}\n{}\n{ticket}\n", self.size, self.next)
    }

    /// Reads an answer; none if it is not three lines of this form.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let text = str::from_utf8(body).ok()?;
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (size, next, ticket) = (lines.next()?, lines.next()?, lines.next()?);
        if lines.next().is_some() || ticket.len() > MAX_TICKET {
            return None;
        }
        Some(Self {
            size: TreeSize(checkpoint::parse_decimal(size)?),
            next: checkpoint::parse_decimal(next)?,
            ticket: BASE64_STANDARD.decode(ticket).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn header(start: u64, end: u64) -> UploadHeader {
        UploadHeader {
            origin: "origin".to_owned(),
            start,
            end,
            ticket: vec![7],
        }
    }

    #[test]
    fn the_body_is_as_tlog_mirror_draws_it() {
        let mut bytes = header(1, 3).encode().unwrap();
        let package = Package {
            entries: vec![b"a".to_vec(), vec![]],
            proof: vec![[9; 32]],
        };
        package.encode_to(&mut bytes).unwrap();
        let expected = [
            &b"\0\x06origin"[..],
            &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 1, 7],
            b"\0\x01a\0\0\x01",
            &[9; 32],
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn packages_are_the_canonical_sequence() {
        let packages = |start, end| {
            let ranges = header(start, end).packages();
            ranges
                .map(|range| (range.start, range.end))
                .collect::<Vec<_>>()
        };
        assert_eq!(packages(5, 5), []);
        assert_eq!(packages(0, 1), [(0, 1)]);
        assert_eq!(packages(255, 257), [(255, 256), (256, 257)]);
        assert_eq!(packages(100, 700), [(100, 256), (256, 512), (512, 700)]);
        assert_eq!(packages(256, 512), [(256, 512)]);
        let last = u64::MAX;
        assert_eq!(packages(last - 1, last), [(last - 1, last)]);
    }

    #[test]
    fn what_is_no_upload_is_refused() {
        let of = |bytes: &[u8]| {
            let mut reader = UploadReader::default();
            reader.push(bytes);
            reader
        };
        let backwards = header(2, 1).encode().unwrap();
        assert_eq!(
            of(&backwards).header(),
            Err(UploadError::Interval { start: 2, end: 1 })
        );
        let mut no_text = header(1, 2).encode().unwrap();
        no_text[2] = 0xff;
        assert_eq!(of(&no_text).header(), Err(UploadError::Origin));
        assert_eq!(
            of(&[0, 0, 64]).package(1),
            Err(UploadError::TooManyHashes { hashes: 64 })
        );
        assert_eq!(of(&[0, 0, 63]).package(1), Ok(None));
        assert!(
            UploadHeader {
                origin: "x".repeat(65_536),
                ..header(0, 0)
            }
            .encode()
            .is_err()
        );
    }

    #[test]
    fn answers_have_three_lines() {
        let info = MirrorInfo {
            size: TreeSize(12),
            next: 7,
            ticket: b"ticket".to_vec(),
        };
        assert_eq!(info.encode(), "12\n7\ndGlja2V0\n");
        assert_eq!(MirrorInfo::parse(info.encode().as_bytes()), Some(info));
        for text in [
            "",
            "12\n",
            "12\n7\n",
            "12\n7\n\n\n",
            "12\n07\n\n",
            "12\n7\n*\n",
            "-1\n7\n\n",
            "12\n7\n\nx",
        ] {
            assert_eq!(MirrorInfo::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_upload_is_read_however_it_is_cut(
            entries in vec(vec(any::<u8>(), 0..20), 1..600),
            start in 0..600_u64,
            hashes in vec(any::<[u8; 32]>(), 0..MAX_PROOF_HASHES),
            pieces in vec(1..700_usize, 1..9),
        ) {
            let header = header(start, start + entries.len() as u64);
            let mut bytes = header.encode().unwrap();
            let mut expected = Vec::new();
            for package in header.packages() {
                let range = (package.start - start) as usize..(package.end - start) as usize;
                let package = Package { entries: entries[range].to_vec(), proof: hashes.clone() };
                package.encode_to(&mut bytes).unwrap();
                expected.push(package);
            }
            let mut reader = UploadReader::default();
            let (mut rest, mut read) = (&bytes[..], None);
            let mut packages = header.packages().peekable();
            let mut found = Vec::new();
            for piece in pieces.iter().cycle() {
                let (piece, after) = rest.split_at(rest.len().min(*piece));
                reader.push(piece);
                rest = after;
                if read.is_none() {
                    read = reader.header().unwrap();
                }
                while read.is_some() && let Some(next) = packages.peek() {
                    let Some(package) = reader.package(next.end - next.start).unwrap() else { break };
                    found.push(package);
                    packages.next();
                }
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(read, Some(header));
            prop_assert_eq!(found, expected);
            prop_assert_eq!(reader.held.len(), 0);
        }
    }
}
