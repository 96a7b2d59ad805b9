//! The list of revoked serial numbers that a CA publishes: a signed note (c2sp.org/signed-note) of a form that is this project's own, since
//! Section 7.5 leaves open how relying parties learn of revoked ranges.
//!
//! ```text
//! mtc5g/revoked/v1                            what this is: no checkpoint begins like it
//! oid/1.3.6.1.4.1.32473.1                     whose: the CA
//! 7                                           number: each list has a greater one than the list before
//! 1800000000 1800003600                       when it was made, and by when the next one is due, Unix time
//! 281474976710657 281474976710660             first and last of a range, ascending, none touching the next
//!
//! — oid/1.3.6.1.4.1.32473.1 base64(key ID || signature over all of the above up to the empty line)
//! ```
//!
//! The CA's cosigner key signs it, which relying parties have anyway. What that key signs of logs begins with `subtree/v1\n\0`
//! ([`crate::cosign`]), so nothing that is signed as one can be taken for the other.

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::cosign::{Cosigner, KeyError, SecretKey};
use crate::decimal::parse_decimal;
use crate::id::TrustAnchorId;
use crate::note::{NoteError, NoteSignature, SignedNote};
use crate::time::UnixTime;
use crate::verify::{RevokedRange, RevokedRanges};

/// Most ranges of a list. With two numbers of 20 digits each and 64 signatures it is below what a note may have.
pub const MAX_RANGES: usize = 10_000;

const LABEL: &str = "mtc5g/revoked/v1";
/// Type of signatures without a byte of their own in c2sp.org/signed-note; a name follows.
const UNASSIGNED: u8 = 0xff;

/// Why a list is refused, or cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RevocationListError {
    /// Not a signed note.
    #[error("not a signed note")]
    Note(#[from] NoteError),
    /// A line is not what it should be.
    #[error("line {line} of the list: {rule}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// More ranges than [`MAX_RANGES`].
    #[error("more than {MAX_RANGES} ranges: revoke what lies between some of them too")]
    TooMany,
    /// The list of another CA.
    #[error("the list is of {found}, not of {expected}")]
    OtherCa {
        /// The CA whose list was wanted.
        expected: String,
        /// Whose it is.
        found: String,
    },
    /// The CA has not signed it.
    #[error("no signature of {0}")]
    NotSigned(TrustAnchorId),
    /// The CA's signature does not verify.
    #[error("the signature of {0} does not verify")]
    BadSignature(TrustAnchorId),
    /// The key could not sign.
    #[error("the list could not be signed")]
    Key(#[from] KeyError),
}

/// What a CA has revoked, as of a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// The CA.
    pub ca: TrustAnchorId,
    /// Greater than that of any list before; the first is 1.
    pub number: u64,
    /// When it was made.
    pub issued: UnixTime,
    /// By when the next list is to be had: after that, this one is stale.
    pub next: UnixTime,
    /// What is revoked.
    pub ranges: RevokedRanges,
}

impl RevocationList {
    /// The note with the CA's signature.
    ///
    /// # Errors
    /// There are too many ranges, or the key cannot sign.
    pub fn sign(&self, key: &SecretKey) -> Result<String, RevocationListError> {
        if self.ranges.len() > MAX_RANGES {
            return Err(RevocationListError::TooMany);
        }
        let text = self.to_text();
        let cosigner = Cosigner {
            id: self.ca,
            key: key.public_key()?,
        };
        let signature = NoteSignature {
            name: self.ca.signed_text_name(),
            key_id: key_id(&cosigner),
            signature: key.sign(text.as_bytes())?,
        };
        let signatures = vec![signature];
        Ok(SignedNote { text, signatures }.encode())
    }

    /// Reads a list and verifies that the CA has signed it. Signatures of others are passed over.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn verify(note: &[u8], ca: &Cosigner) -> Result<Self, RevocationListError> {
        let SignedNote { text, signatures } = SignedNote::parse(note)?;
        let name = ca.id.signed_text_name();
        let key_id = key_id(ca);
        let signature = signatures
            .iter()
            .find(|line| line.name == name && line.key_id == key_id)
            .ok_or(RevocationListError::NotSigned(ca.id))?;
        if !ca.key.verifies(text.as_bytes(), &signature.signature) {
            return Err(RevocationListError::BadSignature(ca.id));
        }
        Self::parse(&text, ca.id)
    }

    /// Reads the text of a list of this CA, whoever has written it.
    ///
    /// # Errors
    /// Not of the one form that a list of the CA has.
    pub fn parse(text: &str, ca: TrustAnchorId) -> Result<Self, RevocationListError> {
        let broken = |line, rule| RevocationListError::Line { line, rule };
        let mut lines = text
            .strip_suffix('\n')
            .ok_or_else(|| broken(1, "no newline at the end"))?
            .split('\n');
        if lines.next() != Some(LABEL) {
            return Err(broken(1, "is not mtc5g/revoked/v1"));
        }
        let (expected, found) = (ca.signed_text_name(), lines.next().unwrap_or_default());
        if found != expected {
            let found = found.to_owned();
            return Err(RevocationListError::OtherCa { expected, found });
        }
        let number = lines.next().and_then(parse_decimal);
        let number = number.filter(|number| *number > 0);
        let number = number.ok_or_else(|| broken(3, "is not the number of a list"))?;
        let (issued, next) = lines
            .next()
            .and_then(pair)
            .filter(|(issued, next)| issued <= next)
            .ok_or_else(|| broken(4, "is not two times, the later one last"))?;
        let mut ranges: Vec<RevokedRange> = Vec::new();
        for (at, line) in lines.enumerate() {
            if at == MAX_RANGES {
                return Err(RevocationListError::TooMany);
            }
            let (first, last) = pair(line)
                .filter(|(first, last)| first <= last)
                .ok_or_else(|| broken(at + 5, "is not first and last of a range"))?;
            let before = ranges.last().map(|range| range.last);
            if before.is_some_and(|before| before.saturating_add(1) >= first) {
                return Err(broken(at + 5, "does not lie beyond the range before it"));
            }
            ranges.push(RevokedRange { first, last });
        }
        Ok(Self {
            ca,
            number,
            issued: UnixTime(issued),
            next: UnixTime(next),
            ranges: ranges.into_iter().collect(),
        })
    }

    /// The text that is signed.
    pub fn to_text(&self) -> String {
        let Self {
            ca,
            number,
            issued,
            next,
            ranges,
        } = self;
        let ca = ca.signed_text_name();
        let mut text = format!("{LABEL}\n{ca}\n{number}\n{} {}\n", issued.0, next.0);
        for RevokedRange { first, last } in ranges.iter() {
            text.push_str(&format!("{first} {last}\n"));
        }
        text
    }

    /// Whether the next list was due before `now`.
    pub fn is_stale(&self, now: UnixTime) -> bool {
        now > self.next
    }
}

/// Two decimal numbers, one space between them.
fn pair(line: &str) -> Option<(u64, u64)> {
    let (one, other) = line.split_once(' ')?;
    Some((parse_decimal(one)?, parse_decimal(other)?))
}

/// The key ID of signatures on lists, another than that of the same key on checkpoints.
fn key_id(ca: &Cosigner) -> [u8; 4] {
    let digest = Sha256::new()
        .chain_update(ca.id.signed_text_name())
        .chain_update([b'\n', UNASSIGNED])
        .chain_update(LABEL)
        .chain_update(ca.key.raw())
        .finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosign::SignatureAlgorithm;

    fn range(first: u64, last: u64) -> RevokedRange {
        RevokedRange { first, last }
    }

    fn list(ranges: impl IntoIterator<Item = RevokedRange>) -> RevocationList {
        RevocationList {
            ca: "32473.1".parse().expect("an ID"),
            number: 7,
            issued: UnixTime(100),
            next: UnixTime(200),
            ranges: ranges.into_iter().collect(),
        }
    }

    fn signed(list: &RevocationList) -> (String, Cosigner) {
        let key = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("randomness");
        let cosigner = Cosigner {
            id: list.ca,
            key: key.public_key().expect("a key"),
        };
        (list.sign(&key).expect("few ranges"), cosigner)
    }

    #[test]
    fn a_list_is_read_as_it_was_signed() {
        for list in [list([]), list([range(1, 5), range(9, u64::MAX)])] {
            let (note, ca) = signed(&list);
            assert_eq!(RevocationList::verify(note.as_bytes(), &ca), Ok(list));
        }
        let text = "mtc5g/revoked/v1\noid/1.3.6.1.4.1.32473.1\n7\n100 200\n1 5\n9 9\n";
        assert_eq!(list([range(9, 9), range(1, 5)]).to_text(), text);
        assert!(!list([]).is_stale(UnixTime(200)));
        assert!(list([]).is_stale(UnixTime(201)));
    }

    #[test]
    fn a_changed_list_and_one_of_another_key_or_ca_are_refused() {
        let (note, ca) = signed(&list([range(1, 5)]));
        let refused = |note: &str, ca: &Cosigner| {
            RevocationList::verify(note.as_bytes(), ca).expect_err("refused")
        };
        let bad = RevocationListError::BadSignature(ca.id);
        assert_eq!(refused(&note.replace("\n1 5\n", "\n1 4\n"), &ca), bad);
        assert_eq!(refused(&note.replace("\n7\n", "\n8\n"), &ca), bad);
        let (_, other_key) = signed(&list([]));
        let unsigned = RevocationListError::NotSigned(ca.id);
        assert_eq!(refused(&note, &other_key), unsigned);
        let elsewhere = Cosigner {
            id: "32473.2".parse().unwrap(),
            ..ca
        };
        let unsigned = RevocationListError::NotSigned(elsewhere.id);
        assert_eq!(refused(&note, &elsewhere), unsigned);
        assert!(matches!(
            RevocationList::parse(&list([]).to_text(), elsewhere.id),
            Err(RevocationListError::OtherCa { .. })
        ));
    }

    #[test]
    fn only_the_one_form_is_read() {
        let ca: TrustAnchorId = "32473.1".parse().unwrap();
        let head = "mtc5g/revoked/v1\noid/1.3.6.1.4.1.32473.1\n";
        for (text, line) in [
            ("", 1),
            ("mtc5g/revoked/v2\n", 1),
            (&format!("{head}0\n1 2\n"), 3),
            (&format!("{head}01\n1 2\n"), 3),
            (&format!("{head}1\n"), 4),
            (&format!("{head}1\n2 1\n"), 4),
            (&format!("{head}1\n1  2\n"), 4),
            (&format!("{head}1\n1 2\n5 4\n"), 5),
            (&format!("{head}1\n1 2\n5\n"), 5),
            (&format!("{head}1\n1 2\n5 6\n6 7\n"), 6),
            (&format!("{head}1\n1 2\n5 6\n7 8\n"), 6),
            (&format!("{head}1\n1 2\n5 6\n\n"), 6),
            (&format!("{head}1\n1 2\n5 18446744073709551615\n9 9\n"), 6),
            (&format!("{head}1\n1 2\n5 18446744073709551616\n"), 5),
        ] {
            let refused = RevocationList::parse(text, ca);
            assert!(
                matches!(refused, Err(RevocationListError::Line { line: at, .. }) if at == line),
                "{text:?}: {refused:?}"
            );
        }
        assert!(RevocationList::parse(&format!("{head}1\n1 2\n5 6\n8 9\n"), ca).is_ok());
    }

    #[test]
    fn the_longest_list_fits_a_note_and_a_longer_one_is_refused() {
        let apart = |count: u64| {
            (0..count)
                .map(|at| u64::MAX - 2 * at)
                .map(|at| range(at, at))
        };
        let longest = list(apart(MAX_RANGES as u64));
        let (note, ca) = signed(&longest);
        assert_eq!(RevocationList::verify(note.as_bytes(), &ca), Ok(longest));
        let longer = list(apart(MAX_RANGES as u64 + 1));
        let key = SecretKey::generate(SignatureAlgorithm::Ed25519).unwrap();
        assert_eq!(longer.sign(&key), Err(RevocationListError::TooMany));
        let parsed = RevocationList::parse(&longer.to_text(), longer.ca);
        assert_eq!(parsed, Err(RevocationListError::TooMany));
    }
}
