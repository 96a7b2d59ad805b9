//! Optional features of an API (TS 29.571 clause 5.2.2, TS 29.500 clause 6.6.2).

use std::str::FromStr;

/// A bit for each feature, from a hex string whose last digit has features 1 to 4. Compared as a number: `20` and `0020` are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SupportedFeatures(u128);

impl SupportedFeatures {
    /// Whether feature `number`, from 1, is supported.
    pub fn has(self, number: u32) -> bool {
        number
            .checked_sub(1)
            .and_then(|bit| self.0.checked_shr(bit))
            .is_some_and(|bits| bits & 1 == 1)
    }
}

impl SupportedFeatures {
    /// Whether all of `others` are supported.
    pub const fn includes(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

/// Not a hex string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("features are not hex digits")]
pub struct InvalidFeatures;

impl FromStr for SupportedFeatures {
    type Err = InvalidFeatures;

    /// Features above 128 are ignored: no API has that many.
    fn from_str(text: &str) -> Result<Self, InvalidFeatures> {
        if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidFeatures);
        }
        let low_digits = &text[text.len().saturating_sub(32)..];
        if low_digits.is_empty() {
            return Ok(Self::default());
        }
        let bits = u128::from_str_radix(low_digits, 16);
        bits.map(Self).map_err(|_| InvalidFeatures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_count_from_the_right() {
        let features: SupportedFeatures = "0020".parse().unwrap();
        assert!(features.has(6));
        assert!(!features.has(5) && !features.has(0) && !features.has(129));
        assert_eq!(features, "20".parse().unwrap());
        assert_eq!("".parse(), Ok(SupportedFeatures::default()));
        assert!(
            "f".repeat(40)
                .parse::<SupportedFeatures>()
                .unwrap()
                .has(128)
        );
        assert!("2x".parse::<SupportedFeatures>().is_err());
    }
}
