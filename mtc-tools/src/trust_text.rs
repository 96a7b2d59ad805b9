//! What a relying party trusts beside its CA, in plain text: subtrees and revoked serial numbers.

use std::ops::RangeInclusive;
use std::str::FromStr;

use mtc_core::id::{self, EntryIndex, IdError, LogNumber};
use mtc_core::tree::{Hash, ProofError, Subtree};
use mtc_core::verify::{RevokedRange, TrustedSubtree};
use thiserror::Error;

/// Lines of a file of trusted subtrees: two for each of the 4096 landmarks that a log may have active, and comments.
const MAX_SUBTREE_LINES: usize = 65_536;

/// Why text is not a trusted subtree or a range of serial numbers. The reason is in the text and not the source: clap prints no
/// sources of what is wrong with an argument.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrustTextError {
    /// Not four parts.
    #[error("a trusted subtree is LOG:START:END:HEXHASH, such as 1:0:8:<64 hexadecimal digits>")]
    SubtreeForm,
    /// The log's number, or an index, is not a decimal number.
    #[error("{0:?} is not a decimal number")]
    Number(String),
    /// The hash is not 64 hexadecimal digits.
    #[error("the hash of a trusted subtree is 64 hexadecimal digits, not {0:?}")]
    HashForm(String),
    /// The interval is no subtree.
    #[error(
        "{0}: START must be a multiple of END - START rounded up to a power of two, and not exceed END"
    )]
    Interval(ProofError),
    /// The log's number or the index is out of range.
    #[error("not an entry of a log: {0}")]
    Id(IdError),
    /// The first serial number is greater than the last.
    #[error("the range ends before it begins: {first} to {last}")]
    Inverted {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// A file of trusted subtrees names a subtree twice with two hashes.
    #[error("subtree {subtree} of log {log} has another hash in an earlier line")]
    Contradiction {
        /// The log.
        log: LogNumber,
        /// The subtree.
        subtree: Subtree,
    },
    /// A line of a file of trusted subtrees is none.
    #[error("line {line}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// More lines than active landmarks need.
    #[error("more than {MAX_SUBTREE_LINES} lines")]
    TooManyLines,
}

fn number(text: &str) -> Result<u64, TrustTextError> {
    mtc_core::checkpoint::parse_decimal(text).ok_or_else(|| TrustTextError::Number(text.to_owned()))
}

fn log_number(text: &str) -> Result<LogNumber, TrustTextError> {
    LogNumber::new(number(text)?).map_err(TrustTextError::Id)
}

/// A trusted subtree as an argument: `LOG:START:END:HEXHASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubtreeText(pub TrustedSubtree);

impl FromStr for SubtreeText {
    type Err = TrustTextError;

    fn from_str(text: &str) -> Result<Self, TrustTextError> {
        let parts: Vec<&str> = text.split(':').collect();
        let [log, start, end, hash] = parts.as_slice() else {
            return Err(TrustTextError::SubtreeForm);
        };
        Ok(Self(TrustedSubtree {
            log_number: log_number(log)?,
            subtree: Subtree::new(number(start)?, number(end)?)
                .map_err(TrustTextError::Interval)?,
            hash: parse_hash(hash).ok_or_else(|| TrustTextError::HashForm((*hash).to_owned()))?,
        }))
    }
}

fn parse_hash(text: &str) -> Option<Hash> {
    mtc_core::hex::decode(text)?.try_into().ok()
}

/// Reads a file of trusted subtrees:
///
/// ```text
/// # log start end hash                      a comment, also behind a line
/// 1 0 8 5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9
/// 1:8:13:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
/// ```
///
/// # Errors
/// A line that is neither empty, a comment nor a trusted subtree, with its number.
pub fn parse_subtrees(text: &str) -> Result<Vec<TrustedSubtree>, TrustTextError> {
    let mut subtrees: Vec<TrustedSubtree> = Vec::new();
    for (position, line) in text.lines().enumerate() {
        if position == MAX_SUBTREE_LINES {
            return Err(TrustTextError::TooManyLines);
        }
        let at = |source| TrustTextError::Line {
            line: position + 1,
            source: Box::new(source),
        };
        let content = line.split('#').next().unwrap_or_default();
        let parts: Vec<&str> = content.split_whitespace().collect();
        if parts.is_empty() {
            continue;
        }
        let SubtreeText(subtree) = parts.join(":").parse().map_err(at)?;
        subtrees.push(subtree);
    }
    Ok(subtrees)
}

/// Refuses two hashes for one subtree: the first would silently lose.
///
/// # Errors
/// The first contradiction.
pub fn check_contradictions(subtrees: &[TrustedSubtree]) -> Result<(), TrustTextError> {
    let mut known = std::collections::HashMap::new();
    for TrustedSubtree {
        log_number,
        subtree,
        hash,
    } in subtrees
    {
        let before = known.insert((*log_number, *subtree), hash);
        if before.is_some_and(|before| before != hash) {
            return Err(TrustTextError::Contradiction {
                log: *log_number,
                subtree: *subtree,
            });
        }
    }
    Ok(())
}

/// The line of a trusted subtree in a file.
pub fn subtree_line(trusted: &TrustedSubtree) -> String {
    let TrustedSubtree {
        log_number,
        subtree,
        hash,
    } = trusted;
    format!(
        "{log_number} {} {} {}\n",
        subtree.start(),
        subtree.end(),
        mtc_core::hex::encode(hash)
    )
}

/// Revoked serial numbers as an argument: `FIRST-LAST`, or one, each in decimal, in hexadecimal behind `0x`, or `LOG:INDEX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokedText(pub RevokedRange);

impl FromStr for RevokedText {
    type Err = TrustTextError;

    fn from_str(text: &str) -> Result<Self, TrustTextError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (serial(first)?, serial(last)?);
        if first > last {
            return Err(TrustTextError::Inverted { first, last });
        }
        Ok(Self(RevokedRange { first, last }))
    }
}

fn serial(text: &str) -> Result<u64, TrustTextError> {
    if let Some((log, index)) = text.split_once(':') {
        return id::serial(log_number(log)?, EntryIndex(number(index)?))
            .map_err(TrustTextError::Id);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16)
            .map_err(|_| TrustTextError::Number(text.to_owned()));
    }
    number(text)
}

/// The serial numbers of a range.
pub const fn serials(range: &RevokedRange) -> RangeInclusive<u64> {
    range.first..=range.last
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9";

    #[test]
    fn subtrees_are_read_in_both_forms_and_written_back() {
        let text =
            format!("# log start end hash\n\n1 0 8 {HASH} # landmark 1\n  2:8:13:{HASH}\r\n");
        let subtrees = parse_subtrees(&text).unwrap();
        let written: String = subtrees.iter().map(subtree_line).collect();
        assert_eq!(written, format!("1 0 8 {HASH}\n2 8 13 {HASH}\n"));
        assert_eq!(parse_subtrees(&written), Ok(subtrees));
    }

    #[test]
    fn malformed_subtrees_are_refused_with_their_line() {
        let refused = |line: &str| match parse_subtrees(&format!("\n{line}\n")) {
            Err(TrustTextError::Line { line: 2, source }) => *source,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(refused("1 0 8"), TrustTextError::SubtreeForm);
        assert_eq!(
            refused(&format!("one 0 8 {HASH}")),
            TrustTextError::Number("one".to_owned())
        );
        assert_eq!(
            refused(&format!("0 0 8 {HASH}")),
            TrustTextError::Id(IdError::LogNumber(0))
        );
        assert!(matches!(
            refused(&format!("1 1 8 {HASH}")),
            TrustTextError::Interval(_)
        ));
        for hash in [
            &HASH[1..],
            &HASH.replace('f', "g"),
            "",
            &format!("{HASH}00"),
        ] {
            assert!(matches!(
                format!("1:0:8:{hash}").parse::<SubtreeText>(),
                Err(TrustTextError::HashForm(_))
            ));
        }
    }

    #[test]
    fn two_hashes_for_one_subtree_are_a_contradiction() {
        let other = HASH.replace('5', "6");
        let subtrees = parse_subtrees(&format!("1 0 8 {HASH}\n1 0 8 {HASH}\n")).unwrap();
        assert_eq!(check_contradictions(&subtrees), Ok(()));
        let subtrees = parse_subtrees(&format!("1 0 8 {HASH}\n1 0 8 {other}\n")).unwrap();
        assert!(matches!(
            check_contradictions(&subtrees),
            Err(TrustTextError::Contradiction { .. })
        ));
    }

    #[test]
    fn serial_numbers_are_read_in_every_form() {
        let range = |text: &str| text.parse().map(|RevokedText(range)| serials(&range));
        let first = 1 << 48;
        assert_eq!(range("5-9"), Ok(5..=9));
        assert_eq!(range("1:0-1:99"), Ok(first..=first + 99));
        assert_eq!(range("1:7"), Ok(first + 7..=first + 7));
        assert_eq!(range("0x10-0xff"), Ok(16..=255));
        assert_eq!(range("1:0-281474976710660"), Ok(first..=first + 4));
        assert_eq!(
            range("9-5"),
            Err(TrustTextError::Inverted { first: 9, last: 5 })
        );
        for text in [
            "",
            "-",
            "1-",
            "a",
            "1:x",
            "0:1",
            "1:281474976710656",
            "0x",
            "1-2-3",
        ] {
            assert!(range(text).is_err(), "{text}");
        }
    }
}
