//! Octets as hexadecimal digits, and back.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Octets in lower-case hexadecimal digits.
///
/// ```
/// use mtc_core::hex;
///
/// assert_eq!(hex::encode(&[0x0a, 0xff]), "0aff");
/// assert_eq!(hex::decode("0AFF"), Some(vec![0x0a, 0xff]));
/// ```
pub fn encode(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The octets that hexadecimal digits of either case say; nothing if it is not pairs of those.
pub fn decode(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let octet = |pair: &[u8; 2]| {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()
    };
    pairs.iter().map(octet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_round_trip_and_both_cases_are_read() {
        let octets: Vec<u8> = (0..=255).collect();
        let digits = encode(&octets);
        assert_eq!(digits.len(), 512);
        assert!(digits.starts_with("000102") && digits.ends_with("fdfeff"));
        assert_eq!(decode(&digits), Some(octets.clone()));
        assert_eq!(decode(&digits.to_uppercase()), Some(octets));
        assert_eq!(decode(""), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_pair_of_digits_is_refused() {
        for text in ["0", "000", "0g", "+1", " 1", "\u{e9}"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
