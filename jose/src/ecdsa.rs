//! ECDSA signatures as JWS has them, `r || s` of the curve's length (RFC 7518 section 3.4), and as everybody else does, in DER.

use mtc_core::cosign::SignatureAlgorithm;
use mtc_core::der::{self, DerError, INTEGER, Reader, SEQUENCE};

/// Octets of `r` and of `s`; none for an algorithm whose signatures are the same everywhere.
const fn coordinate(algorithm: SignatureAlgorithm) -> Option<usize> {
    match algorithm {
        SignatureAlgorithm::EcdsaP256 => Some(32),
        SignatureAlgorithm::EcdsaP384 => Some(48),
        _ => None,
    }
}

/// A signature for a JWS.
///
/// # Errors
/// An ECDSA signature that is not in DER.
pub(crate) fn to_jws(
    algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
) -> Result<Vec<u8>, DerError> {
    let Some(length) = coordinate(algorithm) else {
        return Ok(signature);
    };
    let mut integers = Reader::new(der::only(&signature, SEQUENCE)?);
    let mut fixed = Vec::with_capacity(2 * length);
    for _ in 0..2 {
        let contents = integers.contents(INTEGER)?;
        let magnitude = contents.strip_prefix(&[0]).unwrap_or(contents);
        let padding = length
            .checked_sub(magnitude.len())
            .ok_or(DerError::InvalidValue("INTEGER: longer than the curve"))?;
        fixed.resize(fixed.len() + padding, 0);
        fixed.extend_from_slice(magnitude);
    }
    integers.finish()?;
    Ok(fixed)
}

/// A signature of a JWS as keys verify it; none if it has another length than the algorithm's.
pub(crate) fn from_jws(algorithm: SignatureAlgorithm, signature: &[u8]) -> Option<Vec<u8>> {
    let Some(length) = coordinate(algorithm) else {
        return Some(signature.to_vec());
    };
    if signature.len() != 2 * length {
        return None;
    }
    let (r, s) = signature.split_at(length);
    Some(der::element(SEQUENCE, &[&integer(r), &integer(s)]))
}

/// A non-negative INTEGER of big-endian octets.
fn integer(octets: &[u8]) -> Vec<u8> {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    let magnitude = &octets[zeros.min(octets.len() - 1)..];
    let sign: &[u8] = if magnitude[0] & 0x80 != 0 { &[0] } else { &[] };
    der::element(INTEGER, &[sign, magnitude])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_keep_their_length_whatever_they_begin_with() {
        for (first, second) in [(0x7f, 0x80), (0, 0xff), (1, 0)] {
            let mut fixed = vec![7; 64];
            (fixed[0], fixed[32], fixed[33]) = (first, 0, second);
            let der = from_jws(SignatureAlgorithm::EcdsaP256, &fixed).unwrap();
            assert_eq!(to_jws(SignatureAlgorithm::EcdsaP256, der), Ok(fixed));
        }
    }

    #[test]
    fn signatures_of_another_length_are_none() {
        assert_eq!(from_jws(SignatureAlgorithm::EcdsaP256, &[1; 63]), None);
        assert_eq!(from_jws(SignatureAlgorithm::EcdsaP384, &[1; 64]), None);
        let long = der::element(INTEGER, &[&[1; 33]]);
        let der = der::element(SEQUENCE, &[&long, &long]);
        assert!(to_jws(SignatureAlgorithm::EcdsaP256, der).is_err());
    }
}
