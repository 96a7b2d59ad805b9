//! The TLS presentation language (RFC 8446 section 3): integers and length-prefixed vectors, big-endian.
//!
//! All length arithmetic of MTC structures is here.

use alloc::vec::Vec;

use thiserror::Error;

/// Why bytes are not the structure that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// The input ends inside a field.
    #[error("structure is cut short")]
    Truncated,
    /// Bytes follow the structure.
    #[error("{0} bytes follow the structure")]
    TrailingBytes(usize),
    /// A vector does not fit its length prefix, or an integer its width.
    #[error("{0} is too long for its length prefix")]
    TooLong(&'static str),
}

/// Reads fields one after the other from a slice, in place.
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

    /// Reads `length` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    #[inline]
    pub const fn bytes(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let Some((taken, rest)) = self.input.split_at_checked(length) else {
            return Err(WireError::Truncated);
        };
        self.input = rest;
        Ok(taken)
    }

    /// Reads a big-endian unsigned integer of `width` bytes, at most eight.
    ///
    /// # Errors
    /// Fewer bytes are left.
    #[inline]
    pub fn uint(&mut self, width: usize) -> Result<u64, WireError> {
        Ok(self
            .bytes(width)?
            .iter()
            .fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    }

    /// Reads a `uint16`.
    ///
    /// # Errors
    /// Fewer bytes are left.
    #[inline]
    pub fn uint16(&mut self) -> Result<u16, WireError> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// Reads a `uint48`.
    ///
    /// # Errors
    /// Fewer bytes are left.
    #[inline]
    pub fn uint48(&mut self) -> Result<u64, WireError> {
        let [a, b, c, d, e, f] = *self.array()?;
        Ok(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    #[inline]
    const fn array<const LENGTH: usize>(&mut self) -> Result<&'a [u8; LENGTH], WireError> {
        let Some((taken, rest)) = self.input.split_first_chunk() else {
            return Err(WireError::Truncated);
        };
        self.input = rest;
        Ok(taken)
    }

    /// Reads a vector whose length prefix has `prefix_width` bytes.
    ///
    /// # Errors
    /// The vector is cut short.
    #[inline]
    pub fn vector(&mut self, prefix_width: usize) -> Result<&'a [u8], WireError> {
        let length = self.uint(prefix_width)?;
        self.bytes(usize::try_from(length).map_err(|_| WireError::Truncated)?)
    }

    /// Requires that everything has been read.
    ///
    /// # Errors
    /// Bytes are left.
    pub const fn finish(self) -> Result<(), WireError> {
        if self.input.is_empty() {
            Ok(())
        } else {
            Err(WireError::TrailingBytes(self.input.len()))
        }
    }
}

/// Appends the `width` low bytes of `value`, big-endian.
pub fn put_uint(out: &mut Vec<u8>, value: u64, width: usize) {
    out.extend_from_slice(&value.to_be_bytes()[8 - width..]);
}

/// Appends a vector with a length prefix of `prefix_width` bytes.
///
/// # Errors
/// `contents` is longer than the prefix can say; `what` names it in the error.
pub fn put_vector(
    out: &mut Vec<u8>,
    contents: &[u8],
    prefix_width: usize,
    what: &'static str,
) -> Result<(), WireError> {
    put_length(out, contents.len(), prefix_width, what)?;
    out.extend_from_slice(contents);
    Ok(())
}

/// Appends the length prefix of a vector whose contents the caller appends.
///
/// # Errors
/// As [`put_vector`].
pub fn put_length(
    out: &mut Vec<u8>,
    length: usize,
    prefix_width: usize,
    what: &'static str,
) -> Result<(), WireError> {
    if length as u64 >= 1_u64 << (8 * prefix_width) {
        return Err(WireError::TooLong(what));
    }
    put_uint(out, length as u64, prefix_width);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_round_trip_and_every_truncation_fails() {
        let mut out = Vec::new();
        put_uint(&mut out, 0x0102_0304_0506, 6);
        put_vector(&mut out, b"abc", 3, "test").unwrap();
        let mut reader = Reader::new(&out);
        assert_eq!(reader.uint48(), Ok(0x0102_0304_0506));
        assert_eq!(reader.vector(3), Ok(&b"abc"[..]));
        assert_eq!(reader.finish(), Ok(()));
        for end in 0..out.len() {
            let mut reader = Reader::new(&out[..end]);
            let read = reader.uint48().and_then(|_| reader.vector(3));
            assert_eq!(read, Err(WireError::Truncated), "cut at {end}");
        }
    }

    #[test]
    fn a_vector_longer_than_its_prefix_is_refused() {
        assert_eq!(
            put_vector(&mut Vec::new(), &[0; 256], 1, "name"),
            Err(WireError::TooLong("name"))
        );
    }
}
