//! A histogram of times that merges exactly and travels as text.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram as HdrHistogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use sbi::ledger::Times;
use serde::{Deserialize, Serialize};

/// Any recorded time is off by at most a thousandth of itself.
const SIGNIFICANT_FIGURES: u8 = 3;
/// A full histogram of these bounds has fewer than 32,768 counts of at most 9 bytes: no honest text is longer.
const MAX_BASE64: usize = 512 * 1024;

/// Times from one nanosecond to ten minutes, in HDR buckets.
///
/// All instances have the same bounds, so merging adds counts bucket by bucket and loses nothing. Serialises as the
/// base64 text of the HdrHistogram V2 encoding, values in nanoseconds, which other HdrHistogram tools read.
#[derive(Clone, PartialEq)]
pub struct Histogram(HdrHistogram<u64>);

impl Histogram {
    /// Longer times are recorded as this; every operation is abandoned long before.
    pub(super) const MAX_NANOSECONDS: u64 = 600_000_000_000;

    /// Counts one time.
    pub fn record(&mut self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0
            .saturating_record(nanoseconds.clamp(1, Self::MAX_NANOSECONDS));
    }

    /// Counts a time in nanoseconds `count` times; beyond the bounds it counts as the nearest one.
    pub(super) fn add(&mut self, nanoseconds: u64, count: u64) {
        self.0
            .saturating_record_n(nanoseconds.clamp(1, Self::MAX_NANOSECONDS), count);
    }

    /// A time in nanoseconds of each bucket that is not empty, ascending, with its count.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter_recorded().map(|bucket| {
            (
                bucket.value_iterated_to(),
                bucket.count_since_last_iteration(),
            )
        })
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Self) {
        self.0
            .add(&other.0)
            .expect("all histograms have the same bounds");
    }

    /// How many times were recorded.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that a fraction `quantile` of the recorded times does not exceed, in milliseconds; `None` when empty.
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| milliseconds(self.0.value_at_quantile(quantile) as f64))
    }

    /// The mean in milliseconds; `None` when empty.
    pub fn mean_ms(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| milliseconds(self.0.mean()))
    }
}

/// What network functions counted: off by at most a hundredth.
impl From<&Times> for Histogram {
    fn from(times: &Times) -> Self {
        let mut histogram = Self::default();
        for (nanoseconds, count) in times.buckets() {
            histogram.add(nanoseconds, count);
        }
        histogram
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Histogram({} times, median {:?} ms)",
            self.count(),
            self.quantile_ms(0.5)
        )
    }
}

impl Default for Histogram {
    fn default() -> Self {
        let bounds = HdrHistogram::new_with_bounds(1, Self::MAX_NANOSECONDS, SIGNIFICANT_FIGURES);
        Self(bounds.expect("the bounds are constants that HdrHistogram accepts"))
    }
}

impl TryFrom<&str> for Histogram {
    type Error = HistogramError;

    fn try_from(text: &str) -> Result<Self, HistogramError> {
        if text.len() > MAX_BASE64 {
            return Err(HistogramError::TooLong(text.len()));
        }
        let bytes = BASE64.decode(text)?;
        let decoded: HdrHistogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|_| HistogramError::Encoding)?;
        let mut histogram = Self::default();
        histogram
            .0
            .add(decoded)
            .map_err(|_| HistogramError::Range)?;
        Ok(histogram)
    }
}

impl From<&Histogram> for String {
    fn from(histogram: &Histogram) -> Self {
        let mut bytes = Vec::new();
        let written = V2Serializer::new().serialize(&histogram.0, &mut bytes);
        written.expect("writing to memory does not fail and the bounds keep the encoding small");
        BASE64.encode(bytes)
    }
}

impl Serialize for Histogram {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from(self))
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::try_from(text.as_str()).map_err(serde::de::Error::custom)
    }
}

/// The text is not a histogram of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistogramError {
    /// Longer than any histogram of these bounds.
    #[error("histogram of {0} characters is longer than any that this version writes")]
    TooLong(usize),
    /// Not base64.
    #[error("histogram is not base64")]
    Base64(#[from] base64::DecodeError),
    /// Not the V2 encoding.
    #[error("histogram is not an HdrHistogram V2 encoding")]
    Encoding,
    /// Holds times beyond ten minutes.
    #[error("histogram holds values beyond {} ns", Histogram::MAX_NANOSECONDS)]
    Range,
}

/// Rounded to the nanosecond: further digits of a mean are noise, and would not survive JSON.
fn milliseconds(nanoseconds: f64) -> f64 {
    nanoseconds.round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(milliseconds: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        milliseconds
            .into_iter()
            .for_each(|ms| histogram.record(Duration::from_millis(ms)));
        histogram
    }

    #[test]
    fn quantiles_are_within_a_thousandth() {
        let median = of(1..=100).quantile_ms(0.5).unwrap();
        assert!((49.95..50.1).contains(&median), "{median}");
    }

    #[test]
    fn merging_equals_recording_in_one() {
        let mut merged = of(1..50);
        merged.merge(&of(50..=100));
        assert_eq!(merged, of(1..=100));
    }

    #[test]
    fn text_round_trip_keeps_every_count() {
        let histogram = of((1..1000).map(|ms| ms * 37 % 5000));
        let json = serde_json::to_string(&histogram).unwrap();
        assert_eq!(serde_json::from_str::<Histogram>(&json).unwrap(), histogram);
    }

    #[test]
    fn times_beyond_the_bounds_are_recorded_as_the_bound() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::from_secs(86_400));
        histogram.record(Duration::ZERO);
        assert_eq!(histogram.count(), 2);
    }

    #[test]
    fn an_empty_histogram_has_no_quantiles() {
        assert_eq!(Histogram::default().quantile_ms(0.5), None);
        assert_eq!(Histogram::default().mean_ms(), None);
    }

    #[test]
    fn damaged_text_is_refused() {
        let text = String::from(&of(1..10));
        assert!(matches!(
            Histogram::try_from("%%%"),
            Err(HistogramError::Base64(_))
        ));
        assert!(matches!(
            Histogram::try_from(&text[..text.len() / 8 * 4]),
            Err(HistogramError::Encoding)
        ));
        let long = "A".repeat(MAX_BASE64 + 1);
        assert!(matches!(
            Histogram::try_from(long.as_str()),
            Err(HistogramError::TooLong(_))
        ));
    }
}
