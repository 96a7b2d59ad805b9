//! Signed notes (c2sp.org/signed-note): a text, a blank line, signature lines.
//!
//! ```text
//! text, ending in a newline
//!
//! — <name> base64(4-byte key ID || signature)
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// Most signature lines that a note may have.
pub const MAX_SIGNATURES: usize = 64;
/// Longest note in bytes: a checkpoint with 64 ML-DSA-87 signatures stays below it.
pub const MAX_NOTE: usize = 512 * 1024;

const DASH: &str = "\u{2014} ";
const KEY_ID: usize = 4;

/// Why bytes are not a signed note.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoteError {
    /// More than [`MAX_NOTE`] bytes, or not UTF-8, or control characters other than newline.
    #[error("not a text of at most 512 KiB without control characters")]
    NotText,
    /// No blank line before the signatures, or no newline at the end.
    #[error("no blank line between text and signatures, or no newline at the end")]
    NoSignatureBlock,
    /// A line in the signature block is not a signature line.
    #[error("signature line {0} is malformed")]
    Signature(usize),
    /// More than [`MAX_SIGNATURES`] signature lines.
    #[error("more than 64 signature lines")]
    TooManySignatures,
}

/// A text and the signatures on it, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    /// The text, including its last newline.
    pub text: String,
    /// The signature lines, in order.
    pub signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// First four bytes of a hash over name, algorithm and key.
    pub key_id: [u8; KEY_ID],
    /// What follows the key ID; its form depends on the algorithm.
    pub signature: Vec<u8>,
}

impl SignedNote {
    /// Reads a note.
    ///
    /// # Errors
    /// Not a note; signatures are not verified here.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE {
            return Err(NoteError::NotText);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        if note
            .chars()
            .any(|character| character.is_control() && character != '\n')
        {
            return Err(NoteError::NotText);
        }
        let blank = note.rfind("\n\n").ok_or(NoteError::NoSignatureBlock)?;
        let (text, block) = (&note[..=blank], &note[blank + 2..]);
        let block = block
            .strip_suffix('\n')
            .ok_or(NoteError::NoSignatureBlock)?;
        let signatures = Self::parse_signatures(block)?;
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// Reads signature lines alone, as a witness answers them.
    ///
    /// # Errors
    /// A line is not a signature line, or there are too many.
    pub fn parse_signatures(block: &str) -> Result<Vec<NoteSignature>, NoteError> {
        let lines = block.strip_suffix('\n').unwrap_or(block).split('\n');
        let signatures = lines
            .enumerate()
            .take(MAX_SIGNATURES + 1)
            .map(|(position, line)| {
                NoteSignature::parse(line).ok_or(NoteError::Signature(position + 1))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            Err(NoteError::TooManySignatures)
        } else {
            Ok(signatures)
        }
    }

    /// The note as text.
    pub fn encode(&self) -> String {
        let mut out = format!("{}\n", self.text);
        self.signatures
            .iter()
            .for_each(|signature| out.push_str(&signature.to_line()));
        out
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
        let decoded = STANDARD.decode(encoded).ok()?;
        let (key_id, signature) = decoded.split_first_chunk()?;
        if name.is_empty()
            || signature.is_empty()
            || name.contains(|character: char| character == '+' || character.is_whitespace())
        {
            return None;
        }
        Some(Self {
            name: name.to_owned(),
            key_id: *key_id,
            signature: signature.to_vec(),
        })
    }

    /// The line, with its newline.
    pub fn to_line(&self) -> String {
        let encoded = STANDARD.encode([&self.key_id[..], &self.signature].concat());
        format!("{DASH}{} {encoded}\n", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> SignedNote {
        SignedNote {
            text: "origin\n5\nhash\n".to_owned(),
            signatures: vec![
                NoteSignature {
                    name: "a".to_owned(),
                    key_id: [1; 4],
                    signature: vec![2; 9],
                },
                NoteSignature {
                    name: "b".to_owned(),
                    key_id: [3; 4],
                    signature: vec![4],
                },
            ],
        }
    }

    #[test]
    fn notes_round_trip() {
        assert_eq!(SignedNote::parse(note().encode().as_bytes()), Ok(note()));
    }

    #[test]
    fn a_text_with_blank_lines_ends_at_the_last_one() {
        let mut note = note();
        note.text = "a\n\nb\n".to_owned();
        assert_eq!(SignedNote::parse(note.encode().as_bytes()), Ok(note));
    }

    #[test]
    fn malformed_notes_are_rejected() {
        let good = note().encode();
        let damaged = [
            (
                "text only",
                "origin\n".to_owned(),
                NoteError::NoSignatureBlock,
            ),
            (
                "no last newline",
                good.trim_end().to_owned(),
                NoteError::NoSignatureBlock,
            ),
            (
                "hyphen",
                good.replace('\u{2014}', "-"),
                NoteError::Signature(1),
            ),
            (
                "space in a name",
                good.replace("\u{2014} a", "\u{2014} a\u{2003}"),
                NoteError::Signature(1),
            ),
            (
                "base64",
                good.replace("AwMDAwQ=", "AwMDAwQ"),
                NoteError::Signature(2),
            ),
            (
                "only a key ID",
                good.replace("AwMDAwQ=", "AwMDAw=="),
                NoteError::Signature(2),
            ),
            (
                "control",
                good.replace("origin", "o\trigin"),
                NoteError::NotText,
            ),
            (
                "too many",
                format!("{good}{}", note().signatures[0].to_line().repeat(63)),
                NoteError::TooManySignatures,
            ),
        ];
        for (what, text, error) in damaged {
            assert_eq!(SignedNote::parse(text.as_bytes()), Err(error), "{what}");
        }
        assert_eq!(SignedNote::parse(&[0xff]), Err(NoteError::NotText));
    }
}
