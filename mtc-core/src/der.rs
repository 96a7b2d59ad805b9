//! The DER that this profile needs: a strict reader that slices in place, and a writer that nests.
//!
//! Only single-byte tags and definite, minimal lengths below 2^32 exist here; everything else is an error, so what
//! parses has exactly one encoding (X.690 clause 10).

use alloc::vec::Vec;

use thiserror::Error;

/// BOOLEAN.
pub const BOOLEAN: u8 = 0x01;
/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// BIT STRING.
pub const BIT_STRING: u8 = 0x03;
/// OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// NULL.
pub const NULL: u8 = 0x05;
/// OBJECT IDENTIFIER.
pub const OID: u8 = 0x06;
/// UTF8String.
pub const UTF8_STRING: u8 = 0x0c;
/// RELATIVE-OID.
pub const RELATIVE_OID: u8 = 0x0d;
/// PrintableString.
pub const PRINTABLE_STRING: u8 = 0x13;
/// IA5String.
pub const IA5_STRING: u8 = 0x16;
/// UTCTime.
pub const UTC_TIME: u8 = 0x17;
/// GeneralizedTime.
pub const GENERALIZED_TIME: u8 = 0x18;
/// ENUMERATED.
pub const ENUMERATED: u8 = 0x0a;
/// SEQUENCE, constructed.
pub const SEQUENCE: u8 = 0x30;
/// SET, constructed.
pub const SET: u8 = 0x31;

const HIGH_TAG_NUMBER: u8 = 0x1f;

/// The tag of a constructed context-specific element `[number]`.
pub const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// The tag of a primitive context-specific element `[number] IMPLICIT`.
pub const fn context_primitive(number: u8) -> u8 {
    0x80 | number
}

/// Why bytes are not the DER that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DerError {
    /// The input ends inside an element.
    #[error("element is cut short")]
    Truncated,
    /// Another tag than the one that belongs here.
    #[error("expected tag {expected:#04x}, found {found:#04x}")]
    UnexpectedTag {
        /// The tag that belongs here.
        expected: u8,
        /// The tag that is there.
        found: u8,
    },
    /// A multi-byte tag, an indefinite or non-minimal length, or a length of 2^32 or more.
    #[error("tag or length is not in the distinguished form")]
    NotDistinguished,
    /// Bytes follow the element.
    #[error("{0} bytes follow the element")]
    TrailingBytes(usize),
    /// The contents are not a value of the type.
    #[error("invalid {0}")]
    InvalidValue(&'static str),
}

/// One element: its tag, its contents octets, and all its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// Identifier octet.
    pub tag: u8,
    /// Contents octets.
    pub contents: &'a [u8],
    /// Identifier, length and contents octets.
    pub whole: &'a [u8],
}

/// Reads elements one after the other from a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over `input`.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { input }
    }

    /// Whether everything has been read.
    pub const fn is_empty(&self) -> bool {
        self.input.is_empty()
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.input
    }

    /// The tag of the next element, if there is one.
    pub fn peek_tag(&self) -> Option<u8> {
        self.input.first().copied()
    }

    /// Reads the next element, whatever its tag.
    ///
    /// # Errors
    /// The input is cut short or not DER.
    #[inline(always)]
    pub fn element(&mut self) -> Result<Element<'a>, DerError> {
        let [tag, first, after @ ..] = self.input else {
            return Err(DerError::Truncated);
        };
        if tag & HIGH_TAG_NUMBER == HIGH_TAG_NUMBER {
            return Err(DerError::NotDistinguished);
        }
        let (length, header) = match (*first, after) {
            (0..=0x7f, _) => (usize::from(*first), 2),
            (0x81, [octet @ 0x80..=0xff, ..]) => (usize::from(*octet), 3),
            (0x82, [high @ 1..=0xff, low, ..]) => {
                (usize::from(u16::from_be_bytes([*high, *low])), 4)
            }
            _ => long_length(*first, after)?,
        };
        let end = header.checked_add(length).ok_or(DerError::Truncated)?;
        let (whole, rest) = self
            .input
            .split_at_checked(end)
            .ok_or(DerError::Truncated)?;
        self.input = rest;
        Ok(Element {
            tag: *tag,
            contents: &whole[header..],
            whole,
        })
    }

    /// Reads an element that must have this tag.
    ///
    /// # Errors
    /// Another tag, or not DER.
    #[inline(always)]
    pub fn expect(&mut self, tag: u8) -> Result<Element<'a>, DerError> {
        match self.peek_tag() {
            Some(found) if found == tag => self.element(),
            Some(found) => Err(DerError::UnexpectedTag {
                expected: tag,
                found,
            }),
            None => Err(DerError::Truncated),
        }
    }

    /// Reads the contents octets of an element that must have this tag.
    ///
    /// # Errors
    /// Another tag, or not DER.
    #[inline(always)]
    pub fn contents(&mut self, tag: u8) -> Result<&'a [u8], DerError> {
        self.expect(tag).map(|element| element.contents)
    }

    /// Reads an element whose octets are all known, if it is next.
    #[inline]
    pub fn known(&mut self, whole: &[u8]) -> bool {
        self.input.strip_prefix(whole).is_some_and(|rest| {
            self.input = rest;
            true
        })
    }

    /// Reads an element if it is next.
    ///
    /// # Errors
    /// The element is there but not DER.
    #[inline]
    pub fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, DerError> {
        if self.peek_tag() == Some(tag) {
            self.element().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Requires that everything has been read.
    ///
    /// # Errors
    /// Bytes are left.
    pub const fn finish(self) -> Result<(), DerError> {
        if self.input.is_empty() {
            Ok(())
        } else {
            Err(DerError::TrailingBytes(self.input.len()))
        }
    }
}

/// The length and the size of tag and length, for lengths in more octets than certificates usually have, and for the
/// forms that are not allowed.
#[cold]
fn long_length(first: u8, after: &[u8]) -> Result<(usize, usize), DerError> {
    let count = match first {
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return Err(DerError::NotDistinguished),
    };
    let octets = after.get(..count).ok_or(DerError::Truncated)?;
    let length = octets
        .iter()
        .fold(0_u64, |length, octet| (length << 8) | u64::from(*octet));
    let minimal = if count == 1 {
        0x80
    } else {
        1_u64 << (8 * (count - 1))
    };
    if length < minimal {
        return Err(DerError::NotDistinguished);
    }
    let length = usize::try_from(length).map_err(|_| DerError::Truncated)?;
    Ok((length, 2 + count))
}

/// Reads an element that must be the whole input and returns its contents octets.
///
/// # Errors
/// Another tag, not DER, or trailing bytes.
pub fn only(input: &[u8], tag: u8) -> Result<&[u8], DerError> {
    let mut reader = Reader::new(input);
    let contents = reader.contents(tag)?;
    reader.finish()?;
    Ok(contents)
}

/// The octets of a BIT STRING that has no unused bits.
///
/// # Errors
/// Unused bits, or no octet that tells their number.
pub const fn whole_octets(bit_string_contents: &[u8]) -> Result<&[u8], DerError> {
    match bit_string_contents {
        [0, octets @ ..] => Ok(octets),
        _ => Err(DerError::InvalidValue("BIT STRING: unused bits")),
    }
}

/// The value of a non-negative INTEGER's contents octets that fits in 64 bits.
///
/// # Errors
/// Negative, non-minimal or too large.
pub fn unsigned(contents: &[u8]) -> Result<u64, DerError> {
    let magnitude = match contents {
        [0] => &contents[1..],
        [0, next, ..] if next & 0x80 != 0 => &contents[1..],
        [0, ..] | [] => return Err(DerError::InvalidValue("INTEGER: not minimal")),
        [first, ..] if first & 0x80 != 0 => {
            return Err(DerError::InvalidValue("INTEGER: negative"));
        }
        _ => contents,
    };
    if magnitude.len() > 8 {
        return Err(DerError::InvalidValue("INTEGER: more than 64 bits"));
    }
    Ok(magnitude
        .iter()
        .fold(0, |value, octet| (value << 8) | u64::from(*octet)))
}

/// Encodes an element whose contents are `parts`, concatenated.
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(element_length(length));
    put_header(&mut out, tag, length);
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// Appends the tag and length of an element with so many contents octets.
pub fn put_header(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let octets = (length as u64).to_be_bytes();
        let significant = &octets[8 - length_octets(length)..];
        out.push(0x80 | significant.len() as u8);
        out.extend_from_slice(significant);
    }
}

/// Octets of an element with so many contents octets.
pub const fn element_length(length: usize) -> usize {
    if length < 0x80 {
        2 + length
    } else {
        2 + length_octets(length) + length
    }
}

/// Octets of a length, without leading zeros.
const fn length_octets(length: usize) -> usize {
    (usize::BITS - length.leading_zeros()).div_ceil(8) as usize
}

/// Encodes a non-negative INTEGER.
pub fn unsigned_integer(value: u64) -> Vec<u8> {
    let octets = value.to_be_bytes();
    let skip = octets
        .iter()
        .take_while(|octet| **octet == 0)
        .count()
        .min(7);
    let sign: &[u8] = if octets[skip] & 0x80 != 0 { &[0] } else { &[] };
    element(INTEGER, &[sign, &octets[skip..]])
}

/// Encodes a BIT STRING without unused bits.
pub fn bit_string(octets: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], octets])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_at_every_length_form() {
        for length in [0_usize, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000] {
            let contents = vec![7_u8; length];
            let encoded = element(OCTET_STRING, &[&contents]);
            assert_eq!(encoded.len(), element_length(length));
            assert_eq!(
                only(&encoded, OCTET_STRING),
                Ok(contents.as_slice()),
                "length {length}"
            );
        }
    }

    #[test]
    fn rejects_lengths_that_are_not_minimal() {
        for bytes in [
            &[4, 0x81, 1, 0][..],
            &[4, 0x82, 0, 0x80],
            &[4, 0x80, 0, 0],
            &[4, 0x85, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(
                Reader::new(bytes).element(),
                Err(DerError::NotDistinguished),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_length_near_the_address_space_is_truncated_and_no_panic() {
        assert_eq!(
            Reader::new(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).element(),
            Err(DerError::Truncated)
        );
        assert_eq!(
            Reader::new(&[0x30, 0x88, 0xff, 0xff, 0xff, 0xff]).element(),
            Err(DerError::NotDistinguished)
        );
    }

    #[test]
    fn every_truncation_of_an_element_is_rejected() {
        let encoded = element(SEQUENCE, &[&[9; 300]]);
        for end in 0..encoded.len() {
            assert_eq!(
                Reader::new(&encoded[..end]).element(),
                Err(DerError::Truncated),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn integers_round_trip_and_have_one_form() {
        for value in [
            0,
            1,
            0x7f,
            0x80,
            0xff,
            0x100,
            u64::from(u32::MAX),
            1 << 63,
            u64::MAX,
        ] {
            let encoded = unsigned_integer(value);
            assert_eq!(only(&encoded, INTEGER).and_then(unsigned), Ok(value));
        }
        assert!(unsigned(&[0, 1]).is_err(), "padded");
        assert!(unsigned(&[0x80]).is_err(), "negative");
        assert!(unsigned(&[]).is_err(), "empty");
        assert!(unsigned(&[1; 9]).is_err(), "too large");
    }
}
