//! Detached proofs that an entry is in a log, checked without the log (c2sp.org/tlog-proof).
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64>             optional; signed by nobody, so not kept
//! index <decimal>
//! <base64 of a hash>         the inclusion proof, the leaf's sibling first; none for a log of one entry
//!
//! <checkpoint note>          verbatim, with its cosignatures
//! ```

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::checkpoint::parse_hash;
use crate::decimal::parse_decimal;
use crate::id::EntryIndex;
use crate::note::MAX_NOTE;
use crate::tree::Hash;

const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// A tree of 2^63 entries has proofs of so many hashes.
const MAX_HASHES: usize = 63;
/// Longest proof in bytes: a note, and as much again for what may stand before it.
pub const MAX_PROOF: usize = 2 * MAX_NOTE;

/// Why text is not a proof.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TlogProofError {
    /// More than [`MAX_PROOF`] bytes, or not UTF-8.
    #[error("not a text of at most 1 MiB")]
    NotText,
    /// The first line is another.
    #[error("the first line is not {HEADER:?}")]
    Header,
    /// The extra data is not base64.
    #[error("extra: not base64")]
    Extra,
    /// No line `index` where one must be, or no decimal number in it.
    #[error("index: no line with a decimal number")]
    Index,
    /// A line of the inclusion proof, counted from 1, is not the base64 of 32 bytes.
    #[error("hash {0} of the inclusion proof is not the base64 of 32 bytes")]
    Hash(usize),
    /// More hashes than any proof has.
    #[error("more than {MAX_HASHES} hashes")]
    TooManyHashes,
    /// No blank line after the inclusion proof, so no checkpoint.
    #[error("no checkpoint")]
    NoCheckpoint,
}

/// A proof as it was read: neither its hashes nor the signatures on its checkpoint have been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Index of the entry.
    pub index: EntryIndex,
    /// The entry's inclusion proof in the tree of the checkpoint.
    pub inclusion_proof: Vec<Hash>,
    /// The checkpoint's note.
    pub checkpoint: String,
}

impl TlogProof {
    /// Reads a proof.
    ///
    /// # Errors
    /// Not of the form above. The note is not read here.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        if bytes.len() > MAX_PROOF {
            return Err(TlogProofError::NotText);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TlogProofError::NotText)?;
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(TlogProofError::NoCheckpoint)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(TlogProofError::Header);
        }
        if let Some(extra) = lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            STANDARD.decode(extra).map_err(|_| TlogProofError::Extra)?;
            lines.next();
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(parse_decimal).ok_or(TlogProofError::Index)?;
        let inclusion_proof: Vec<Hash> = lines
            .take(MAX_HASHES + 1)
            .enumerate()
            .map(|(position, line)| parse_hash(line).ok_or(TlogProofError::Hash(position + 1)))
            .collect::<Result<_, _>>()?;
        if inclusion_proof.len() > MAX_HASHES {
            return Err(TlogProofError::TooManyHashes);
        }
        Ok(Self {
            index: EntryIndex(index),
            inclusion_proof,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// The proof as text; files with it end in `.tlog-proof`.
    pub fn encode(&self) -> String {
        let mut text = format!("{HEADER}\nindex {}\n", self.index);
        for hash in &self.inclusion_proof {
            let _ = writeln!(text, "{}", STANDARD.encode(hash)); // a String takes everything
        }
        text + "\n" + &self.checkpoint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKPOINT: &str = "example.com/log\n2\nAAAA\n\n\u{2014} example.com/log AAAAAAA=\n";

    fn hash_line(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    #[test]
    fn a_proof_is_read_as_it_was_written() {
        for hashes in 0..3 {
            let proof = TlogProof {
                index: EntryIndex(7),
                inclusion_proof: (0..hashes).map(|byte| [byte; 32]).collect(),
                checkpoint: CHECKPOINT.to_owned(),
            };
            assert_eq!(TlogProof::parse(proof.encode().as_bytes()), Ok(proof));
        }
    }

    #[test]
    fn extra_data_is_passed_over() {
        let text = format!(
            "{HEADER}\nextra aGVsbG8=\nindex 0\n{}\n\n{CHECKPOINT}",
            hash_line(1)
        );
        let proof = TlogProof::parse(text.as_bytes()).expect("a proof");
        assert_eq!(proof.inclusion_proof, [[1; 32]]);
        assert_eq!(proof.checkpoint, CHECKPOINT);
    }

    #[test]
    fn what_is_no_proof_is_refused_with_its_reason() {
        let line = hash_line(1);
        let many = format!("{line}\n").repeat(MAX_HASHES + 1);
        for (text, wanted) in [
            (String::new(), TlogProofError::NoCheckpoint),
            (
                format!("{HEADER}\nindex 1\n{line}\n"),
                TlogProofError::NoCheckpoint,
            ),
            (
                format!("c2sp.org/tlog-proof@v2\nindex 1\n\n{CHECKPOINT}"),
                TlogProofError::Header,
            ),
            (
                format!("{HEADER}\nextra ?\nindex 1\n\n{CHECKPOINT}"),
                TlogProofError::Extra,
            ),
            (
                format!("{HEADER}\n{line}\n\n{CHECKPOINT}"),
                TlogProofError::Index,
            ),
            (
                format!("{HEADER}\nindex 01\n\n{CHECKPOINT}"),
                TlogProofError::Index,
            ),
            (
                format!("{HEADER}\nindex -1\n\n{CHECKPOINT}"),
                TlogProofError::Index,
            ),
            (
                format!("{HEADER}\nindex 1\n{line}\nAAAA\n\n{CHECKPOINT}"),
                TlogProofError::Hash(2),
            ),
            (
                format!("{HEADER}\nindex 1\n{many}\n{CHECKPOINT}"),
                TlogProofError::TooManyHashes,
            ),
            ("x".repeat(MAX_PROOF + 1), TlogProofError::NotText),
        ] {
            assert_eq!(TlogProof::parse(text.as_bytes()), Err(wanted), "{text:.60}");
        }
    }
}
