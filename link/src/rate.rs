//! How many bits pass a place in a second.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

const UNITS: [(&str, u64); 3] = [
    ("gbit", 1_000_000_000),
    ("mbit", 1_000_000),
    ("kbit", 1_000),
];

/// Bits per second, of whole IP packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(u64);

impl Rate {
    /// A rate in bits per second; 0 is taken for 1.
    pub const fn bits_per_second(bits: u64) -> Self {
        Self(if bits == 0 { 1 } else { bits })
    }

    /// Bits per second.
    pub const fn as_bits_per_second(self) -> u64 {
        self.0
    }

    /// How long `bytes` take to pass.
    pub fn time_of(self, bytes: usize) -> Duration {
        let nanos = bytes as u128 * 8 * 1_000_000_000 / u128::from(self.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Not a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is {0:?}, which is not a rate: write a whole number and kbit, Mbit or Gbit, such as \"100Mbit\""
)]
pub struct RateError(String);

impl FromStr for Rate {
    type Err = RateError;

    /// `100Mbit`, `1Gbit`, `256kbit`, also with `/s`; upper or lower case.
    fn from_str(text: &str) -> Result<Self, RateError> {
        let wrong = || RateError(text.to_owned());
        let lower = text.to_ascii_lowercase();
        let lower = lower.strip_suffix("/s").unwrap_or(&lower);
        let (number, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| Some((lower.strip_suffix(name)?.trim_end(), unit)))
            .ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let bits = number.checked_mul(*unit).ok_or_else(wrong)?;
        if bits == 0 {
            return Err(wrong());
        }
        Ok(Self(bits))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().find(|(_, unit)| self.0.is_multiple_of(*unit));
        match exact {
            Some((name @ "kbit", unit)) => write!(f, "{}{name}", self.0 / unit),
            Some((name, unit)) => {
                let (first, rest) = name.split_at(1);
                write!(f, "{}{}{rest}", self.0 / unit, first.to_ascii_uppercase())
            }
            None => write!(f, "{:.3}kbit", self.0 as f64 / 1000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for (text, bits) in [
            ("256kbit", 256_000),
            ("100Mbit", 100_000_000),
            ("1Gbit", 1_000_000_000),
        ] {
            let rate: Rate = text.parse().expect(text);
            assert_eq!(rate.as_bits_per_second(), bits);
            assert_eq!(rate.to_string(), text);
        }
        assert_eq!("10 mbit/s".parse(), Ok(Rate::bits_per_second(10_000_000)));
    }

    #[test]
    fn refuses_what_is_no_rate() {
        for text in [
            "",
            "100",
            "0Mbit",
            "-1Mbit",
            "1.5Gbit",
            "99999999999999Gbit",
            "fastMbit",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_full_packet_takes_its_time() {
        let rate = Rate::bits_per_second(12_000_000);
        assert_eq!(rate.time_of(1500), Duration::from_millis(1));
    }
}
