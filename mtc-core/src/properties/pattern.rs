//! Patterns of trust anchor IDs (draft-ietf-tls-trust-anchor-ids-06, Section 3 and Appendix A).
//!
//! ```text
//! pattern    for each component of an ID: minimum, maximum       each a component as in a RELATIVE-OID
//!            maximum 0x80, which no component is: no maximum
//!
//! 32473.{123-456}.{789-}     81 fd 59  81 fd 59 | 7b  83 48 | 86 15  80
//! ```
//!
//! Of two components in their only encoding the longer one is greater, and of two as long the one with greater bytes; so none is
//! ever decoded, and none is too large.

use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::id::{LANDMARK_GROUP_BRANCH, TrustAnchorId, put_component};

/// Stands for no maximum.
const INFINITY: u8 = 0x80;
/// Of a byte that another one of the same component follows.
const MORE: u8 = 0x80;

/// Why bytes are no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It matches nothing that there is.
    #[error("a pattern without a component")]
    Empty,
    /// A minimum without a maximum.
    #[error("a pattern whose last minimum has no maximum")]
    Pairs,
    /// Neither a component nor, as a maximum, 0x80.
    #[error("a component of a pattern is not minimally encoded, or cut short")]
    Component,
}

/// Which trust anchor IDs are meant: a minimum and a maximum for each component.
#[derive(Clone, PartialEq, Eq)]
pub struct AnchorPattern(Vec<u8>);

impl AnchorPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// See [`PatternError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PatternError> {
        if bytes.is_empty() {
            return Err(PatternError::Empty);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, rest) = split_pair(rest)?;
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The branch of a CA's landmark groups, to which the log and the landmark are to be added (Section 8.2.1 of the draft).
    pub(super) fn landmark_groups(ca: &TrustAnchorId) -> Self {
        let components = ca.components().chain([LANDMARK_GROUP_BRANCH]);
        components.fold(Self(Vec::new()), Self::exactly)
    }

    /// With one more component, which is this one.
    #[must_use]
    pub(super) fn exactly(mut self, component: u64) -> Self {
        put_component(&mut self.0, component);
        put_component(&mut self.0, component);
        self
    }

    /// With one more component, which is this one or a greater one.
    #[must_use]
    pub(super) fn at_least(mut self, minimum: u64) -> Self {
        put_component(&mut self.0, minimum);
        self.0.push(INFINITY);
        self
    }

    /// The pattern's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the ID is one of those that are meant.
    pub fn matches(&self, id: &TrustAnchorId) -> bool {
        self.matches_octets(id.as_bytes())
    }

    /// As [`Self::matches`], also of IDs that are too large to be any here.
    fn matches_octets(&self, id: &[u8]) -> bool {
        let (mut pattern, mut id) = (self.0.as_slice(), id);
        while let (Ok((pair, after)), Some((component, below))) =
            (split_pair(pattern), split_component(id))
        {
            let is_within = pair.minimum <= component
                && pair.maximum.is_none_or(|maximum| component <= maximum);
            if !is_within {
                return false;
            }
            (pattern, id) = (after, below);
        }
        pattern.is_empty() && id.is_empty()
    }
}

/// A component in its encoding. Ordered as numbers are.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Component<'a>(&'a [u8]);

impl Ord for Component<'_> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.0.len(), self.0).cmp(&(other.0.len(), other.0))
    }
}

impl PartialOrd for Component<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Component<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Decimal digits, the last one first.
        let mut digits: Vec<u32> = Vec::new();
        for byte in self.0 {
            let mut carry = u32::from(byte & !MORE);
            for digit in &mut digits {
                carry += *digit << 7;
                *digit = carry % 10;
                carry /= 10;
            }
            while carry > 0 {
                digits.push(carry % 10);
                carry /= 10;
            }
        }
        if digits.is_empty() {
            return f.write_str("0");
        }
        digits
            .iter()
            .rev()
            .try_for_each(|digit| write!(f, "{digit}"))
    }
}

/// What one component of an ID may be.
struct Pair<'a> {
    minimum: Component<'a>,
    maximum: Option<Component<'a>>,
}

fn split_pair(pattern: &[u8]) -> Result<(Pair<'_>, &[u8]), PatternError> {
    let (minimum, rest) = split_component(pattern).ok_or(PatternError::Component)?;
    let (maximum, rest) = match rest {
        [] => return Err(PatternError::Pairs),
        [INFINITY, rest @ ..] => (None, rest),
        _ => {
            let (maximum, rest) = split_component(rest).ok_or(PatternError::Component)?;
            (Some(maximum), rest)
        }
    };
    Ok((Pair { minimum, maximum }, rest))
}

/// The first component and what follows it; none if it is not minimally encoded, or cut short.
fn split_component(bytes: &[u8]) -> Option<(Component<'_>, &[u8])> {
    if bytes.first() == Some(&MORE) {
        return None;
    }
    let last = bytes.iter().position(|byte| byte & MORE == 0)?;
    let (component, rest) = bytes.split_at(last + 1);
    Some((Component(component), rest))
}

/// As in the draft, `32473.{123-456}.{789-}`.
impl fmt::Display for AnchorPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_slice();
        let mut separator = "";
        while let Ok((Pair { minimum, maximum }, after)) = split_pair(rest) {
            f.write_str(separator)?;
            match maximum {
                None => write!(f, "{{{minimum}-}}")?,
                Some(maximum) if maximum == minimum => write!(f, "{minimum}")?,
                Some(maximum) => write!(f, "{{{minimum}-{maximum}}}")?,
            }
            (rest, separator) = (after, ".");
        }
        Ok(())
    }
}

impl fmt::Debug for AnchorPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnchorPattern({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn octets(hex: &str) -> Vec<u8> {
        crate::hex::decode(&hex.replace(' ', "")).expect("hexadecimal")
    }

    fn pattern(hex: &str) -> AnchorPattern {
        AnchorPattern::from_bytes(&octets(hex)).expect("a pattern")
    }

    /// Appendix A of draft-ietf-tls-trust-anchor-ids-06.
    #[test]
    fn the_vectors_of_the_draft() {
        let bounded = pattern("81fd59 81fd59 7b 8348 8615 80");
        assert_eq!(bounded.to_string(), "32473.{123-456}.{789-}");
        for (id, is_meant) in [
            ("81fd59 7b 8615", true),
            ("81fd59 822c 8704", true),
            ("81fd59 8348 868d1f", true),
            ("81fd59 8348 81ffffffffffffffff7f", true),
            ("81fd59 8348 82808080808080808000", true),
            ("81fd59 7b", false),
            ("81fd59 7b 8615 00", false),
            ("81fd5a 7b 8615", false),
            ("81fd59 8374 8615", false),
            ("81fd59 7b 853c", false),
            ("80 81fd59 7b 8615", false),
            ("81fd59 7b 8695", false),
        ] {
            assert_eq!(bounded.matches_octets(&octets(id)), is_meant, "{id}");
        }
        let large = pattern("81fd59 81fd59 82808080808080808001 82808080808080808003");
        assert_eq!(
            large.to_string(),
            "32473.{18446744073709551617-18446744073709551619}"
        );
        for (id, is_meant) in [
            ("81fd59 02", false),
            ("81fd59 82808080808080808000", false),
            ("81fd59 82808080808080808001", true),
            ("81fd59 82808080808080808002", true),
            ("81fd59 82808080808080808003", true),
            ("81fd59 82808080808080808004", false),
        ] {
            assert_eq!(large.matches_octets(&octets(id)), is_meant, "{id}");
        }
        for (malformed, error) in [
            ("81fd59", PatternError::Pairs),
            ("81fd", PatternError::Component),
            ("81fd59 81ffff", PatternError::Component),
            ("80 42", PatternError::Component),
            ("80 80", PatternError::Component),
            ("", PatternError::Empty),
        ] {
            let read = AnchorPattern::from_bytes(&octets(malformed));
            assert_eq!(read, Err(error), "{malformed}");
        }
    }

    #[test]
    fn components_are_ordered_and_shown_as_numbers() {
        let numbers = [0, 1, 9, 10, 127, 128, 16_383, 16_384, 1 << 40, u64::MAX];
        for minimum in numbers {
            for number in numbers {
                let pattern = AnchorPattern(Vec::new()).at_least(minimum);
                let mut id = Vec::new();
                put_component(&mut id, number);
                let is_meant = number >= minimum;
                assert_eq!(pattern.matches_octets(&id), is_meant, "{number} {minimum}");
            }
            let shown = AnchorPattern(Vec::new()).exactly(minimum).to_string();
            assert_eq!(shown, minimum.to_string());
        }
    }
}
