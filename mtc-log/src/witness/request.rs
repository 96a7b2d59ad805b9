//! The bodies of the two requests that a witness answers (c2sp.org/tlog-witness).

use std::fmt::Write as _;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use mtc_core::checkpoint;
use mtc_core::id::TreeSize;
use mtc_core::tree::{Hash, Subtree};
use thiserror::Error;

/// Most hashes in a proof: one per level of the largest tree with a 64-bit size.
pub const MAX_PROOF_HASHES: usize = 63;

/// Most cosignature lines of a subtree in a `sign-subtree` request.
const MAX_SUBTREE_COSIGNATURES: usize = 8;

/// Longest request body in bytes: the largest proof takes 3 KiB, and a cosignature line of ML-DSA-44 3.4 KiB, of which
/// there is one per cosigner in the checkpoint and up to eight before it.
pub const MAX_REQUEST_SIZE: usize = 128 * 1024;

const EM_DASH: char = '\u{2014}';

/// A request for a cosignature of a checkpoint.
///
/// ```text
/// old <size of the checkpoint that the witness cosigned last>\n
/// <base64 proof hash>\n           at most 63: consistency of that checkpoint with the new one
/// \n
/// <checkpoint>                    a signed note
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the checkpoint that the witness is believed to have cosigned last; 0 if none.
    pub old_size: TreeSize,
    /// The consistency proof from `old_size`; empty if that is 0.
    pub proof: Vec<Hash>,
    /// The new checkpoint, a signed note.
    pub checkpoint: Vec<u8>,
}

impl AddCheckpoint {
    /// The request body.
    pub fn encode(&self) -> Vec<u8> {
        let mut header = format!("old {}\n", self.old_size);
        push_hashes(&mut header, &self.proof);
        [header.as_bytes(), b"\n", &self.checkpoint].concat()
    }

    /// Reads a request body; the checkpoint in it remains to be parsed.
    ///
    /// # Errors
    /// The body is too long or not as drawn above.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let (header, checkpoint) = split(body)?;
        let mut lines = header.split('\n');
        let old_size = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .ok_or(RequestError::FirstLine)?;
        let old_size = TreeSize(parse_decimal(old_size)?);
        Ok(Self {
            old_size,
            proof: parse_proof(lines)?,
            checkpoint: checkpoint.to_vec(),
        })
    }
}

/// A request for a cosignature of a subtree.
///
/// ```text
/// subtree <start> <end>\n
/// <base64 subtree hash>\n
/// — <name> <base64>\n             at most 8 cosignatures of the subtree, of no meaning to this project's witness
/// <base64 proof hash>\n           at most 63: consistency of the subtree with the checkpoint
/// \n
/// <checkpoint>                    a signed note that carries the witness's own cosignature
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignSubtree {
    /// The subtree.
    pub subtree: Subtree,
    /// Its hash.
    pub hash: Hash,
    /// The consistency proof to the checkpoint.
    pub proof: Vec<Hash>,
    /// The reference checkpoint, a signed note.
    pub checkpoint: Vec<u8>,
}

impl SignSubtree {
    /// The request body.
    pub fn encode(&self) -> Vec<u8> {
        let mut header = format!("subtree {} {}\n", self.subtree.start(), self.subtree.end());
        push_hashes(&mut header, &[self.hash]);
        push_hashes(&mut header, &self.proof);
        [header.as_bytes(), b"\n", &self.checkpoint].concat()
    }

    /// Reads a request body; the checkpoint in it remains to be parsed.
    ///
    /// # Errors
    /// The body is too long or not as drawn above, or the interval is no valid subtree.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let (header, checkpoint) = split(body)?;
        let mut lines = header.split('\n').peekable();
        let interval = lines
            .next()
            .and_then(|line| line.strip_prefix("subtree "))
            .ok_or(RequestError::FirstLine)?;
        let (start, end) = interval.split_once(' ').ok_or(RequestError::FirstLine)?;
        let (start, end) = (parse_decimal(start)?, parse_decimal(end)?);
        let subtree = Subtree::new(start, end).map_err(|_| RequestError::Subtree { start, end })?;
        let hash = parse_hash(lines.next().ok_or(RequestError::Hash)?)?;
        let mut cosignatures = 0;
        while lines.next_if(|line| line.starts_with(EM_DASH)).is_some() {
            cosignatures += 1;
        }
        if cosignatures > MAX_SUBTREE_COSIGNATURES {
            return Err(RequestError::TooManyCosignatures);
        }
        Ok(Self {
            subtree,
            hash,
            proof: parse_proof(lines)?,
            checkpoint: checkpoint.to_vec(),
        })
    }
}

/// Why a request body was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Longer than [`MAX_REQUEST_SIZE`].
    #[error("the request is longer than {MAX_REQUEST_SIZE} bytes")]
    TooLong,
    /// No blank line between proof and checkpoint.
    #[error("no blank line before the checkpoint")]
    NoCheckpoint,
    /// The lines before the checkpoint are not UTF-8.
    #[error("the lines before the checkpoint are not UTF-8")]
    NotText,
    /// The first line is not `old <size>` or `subtree <start> <end>`.
    #[error("the first line does not belong to this request")]
    FirstLine,
    /// A size or index is not decimal without leading zeros, below 2^64.
    #[error("a size is not a decimal number without leading zeros")]
    Number,
    /// The interval is no valid subtree.
    #[error("[{start}, {end}) is not a valid subtree")]
    Subtree {
        /// First index.
        start: u64,
        /// One past the last index.
        end: u64,
    },
    /// A line is not the base64 of 32 bytes.
    #[error("a line is not the base64 of a 32-byte hash")]
    Hash,
    /// More than [`MAX_PROOF_HASHES`] hashes in the proof.
    #[error("the proof has more than {MAX_PROOF_HASHES} hashes")]
    TooManyHashes,
    /// More than eight cosignatures of the subtree.
    #[error("there are more than {MAX_SUBTREE_COSIGNATURES} subtree cosignatures")]
    TooManyCosignatures,
}

fn push_hashes(text: &mut String, hashes: &[Hash]) {
    for hash in hashes {
        writeln!(text, "{}", BASE64_STANDARD.encode(hash)).expect("strings take all writes");
    }
}

/// The lines before the first blank one, without the last newline, and what follows it.
fn split(body: &[u8]) -> Result<(&str, &[u8]), RequestError> {
    if body.len() > MAX_REQUEST_SIZE {
        return Err(RequestError::TooLong);
    }
    let blank = body
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .ok_or(RequestError::NoCheckpoint)?;
    let header = str::from_utf8(&body[..blank]).map_err(|_| RequestError::NotText)?;
    Ok((header, &body[blank + 2..]))
}

fn parse_decimal(text: &str) -> Result<u64, RequestError> {
    checkpoint::parse_decimal(text).ok_or(RequestError::Number)
}

fn parse_hash(line: &str) -> Result<Hash, RequestError> {
    checkpoint::parse_hash(line).ok_or(RequestError::Hash)
}

fn parse_proof<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Hash>, RequestError> {
    let proof = lines
        .take(MAX_PROOF_HASHES + 1)
        .map(parse_hash)
        .collect::<Result<Vec<_>, _>>()?;
    if proof.len() > MAX_PROOF_HASHES {
        Err(RequestError::TooManyHashes)
    } else {
        Ok(proof)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add_checkpoint() -> AddCheckpoint {
        AddCheckpoint {
            old_size: TreeSize(5),
            proof: vec![[1; 32], [2; 32]],
            checkpoint: b"origin\n9\nroot\n\nsignatures\n".to_vec(),
        }
    }

    fn sign_subtree() -> SignSubtree {
        SignSubtree {
            subtree: Subtree::new(4, 6).expect("a valid subtree"),
            hash: [3; 32],
            proof: vec![[1; 32]],
            checkpoint: b"origin\n9\nroot\n\nsignatures\n".to_vec(),
        }
    }

    #[test]
    fn bodies_are_as_tlog_witness_draws_them() {
        let hash = |byte| BASE64_STANDARD.encode([byte; 32]);
        assert_eq!(
            String::from_utf8(add_checkpoint().encode()).unwrap(),
            format!(
                "old 5\n{}\n{}\n\norigin\n9\nroot\n\nsignatures\n",
                hash(1),
                hash(2)
            ),
        );
        assert_eq!(
            String::from_utf8(sign_subtree().encode()).unwrap(),
            format!(
                "subtree 4 6\n{}\n{}\n\norigin\n9\nroot\n\nsignatures\n",
                hash(3),
                hash(1)
            ),
        );
    }

    #[test]
    fn bodies_survive_the_round_trip() {
        assert_eq!(
            AddCheckpoint::parse(&add_checkpoint().encode()),
            Ok(add_checkpoint())
        );
        assert_eq!(
            SignSubtree::parse(&sign_subtree().encode()),
            Ok(sign_subtree())
        );
        let first = AddCheckpoint {
            old_size: TreeSize::EMPTY,
            proof: vec![],
            ..add_checkpoint()
        };
        assert_eq!(AddCheckpoint::parse(&first.encode()), Ok(first));
    }

    #[test]
    fn proofs_are_bounded() {
        let longest = AddCheckpoint {
            proof: vec![[0; 32]; MAX_PROOF_HASHES],
            ..add_checkpoint()
        };
        assert_eq!(AddCheckpoint::parse(&longest.encode()), Ok(longest));
        let too_long = AddCheckpoint {
            proof: vec![[0; 32]; MAX_PROOF_HASHES + 1],
            ..add_checkpoint()
        };
        assert_eq!(
            AddCheckpoint::parse(&too_long.encode()),
            Err(RequestError::TooManyHashes)
        );
        let huge = AddCheckpoint {
            checkpoint: vec![b'x'; MAX_REQUEST_SIZE],
            ..add_checkpoint()
        };
        assert_eq!(
            AddCheckpoint::parse(&huge.encode()),
            Err(RequestError::TooLong)
        );
    }

    #[test]
    fn numbers_have_one_spelling() {
        for number in [
            "",
            "05",
            "00",
            "+5",
            "-5",
            " 5",
            "5 ",
            "0x5",
            "18446744073709551616",
            "५",
        ] {
            let body = format!("old {number}\n\ncheckpoint");
            assert_eq!(
                AddCheckpoint::parse(body.as_bytes()),
                Err(RequestError::Number),
                "{number:?}"
            );
        }
    }

    #[test]
    fn subtree_cosignatures_come_before_the_proof_and_are_bounded() {
        let body = |cosignatures: usize, after: &str| {
            let hash = BASE64_STANDARD.encode([3; 32]);
            let cosignatures = "— name AAAA\n".repeat(cosignatures);
            format!("subtree 4 6\n{hash}\n{cosignatures}{hash}\n{after}\ncheckpoint").into_bytes()
        };
        assert_eq!(SignSubtree::parse(&body(8, "")).unwrap().proof, [[3; 32]]);
        assert_eq!(
            SignSubtree::parse(&body(9, "")),
            Err(RequestError::TooManyCosignatures)
        );
        assert_eq!(
            SignSubtree::parse(&body(0, "— name AAAA\n")),
            Err(RequestError::Hash)
        );
    }

    #[test]
    fn rejects_what_is_not_a_request() {
        let valid = String::from_utf8(sign_subtree().encode()).unwrap();
        for (body, error) in [
            (
                valid.replace("4 6", "3 6"),
                RequestError::Subtree { start: 3, end: 6 },
            ),
            (valid.replace("4 6", "4"), RequestError::FirstLine),
            (valid.replace("4 6", "4 6 7"), RequestError::Number),
            (valid.replace("subtree", "Subtree"), RequestError::FirstLine),
            (valid.replace("\n\n", "\n"), RequestError::NoCheckpoint),
            (valid.replace("=\n", "\n"), RequestError::Hash),
            ("subtree 4 6\n\ncheckpoint".to_owned(), RequestError::Hash),
        ] {
            assert_eq!(SignSubtree::parse(body.as_bytes()), Err(error), "{body}");
        }
    }

    #[test]
    fn no_truncation_of_the_header_is_a_request() {
        let body = sign_subtree().encode();
        let header = body.windows(2).position(|pair| pair == b"\n\n").unwrap();
        for length in 0..=header + 1 {
            assert!(SignSubtree::parse(&body[..length]).is_err(), "{length}");
        }
    }
}
