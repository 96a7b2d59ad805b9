//! A histogram of few times, which costs memory by what it holds and not by what it could hold.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Histogram;

/// Leading bits that a recorded time keeps: those of an HDR bucket of three significant figures.
const KEPT_BITS: u32 = 11;

/// Times in the buckets of [`Histogram`], and in its text form; a slice of a run holds some dozens of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseHistogram(BTreeMap<u64, u64>);

impl SparseHistogram {
    /// Counts one time.
    pub fn record(&mut self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.add(nanoseconds.clamp(1, Histogram::MAX_NANOSECONDS), 1);
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Self) {
        other
            .buckets()
            .for_each(|(nanoseconds, count)| self.add(nanoseconds, count));
    }

    /// The least time of each bucket in nanoseconds, ascending, with its count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(time, count)| (*time, *count))
    }

    /// How many times were recorded.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    fn add(&mut self, nanoseconds: u64, count: u64) {
        *self.0.entry(bucket(nanoseconds)).or_default() += count;
    }
}

/// The least time in the bucket of a time.
const fn bucket(nanoseconds: u64) -> u64 {
    let bits = u64::BITS - nanoseconds.leading_zeros();
    let cut = bits.saturating_sub(KEPT_BITS);
    nanoseconds >> cut << cut
}

impl From<&SparseHistogram> for Histogram {
    fn from(sparse: &SparseHistogram) -> Self {
        let mut histogram = Self::default();
        sparse
            .buckets()
            .for_each(|(nanoseconds, count)| histogram.add(nanoseconds, count));
        histogram
    }
}

impl From<&Histogram> for SparseHistogram {
    fn from(histogram: &Histogram) -> Self {
        let mut sparse = Self::default();
        histogram
            .buckets()
            .for_each(|(nanoseconds, count)| sparse.add(nanoseconds, count));
        sparse
    }
}

impl Serialize for SparseHistogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Histogram::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SparseHistogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(&Histogram::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times() -> impl Iterator<Item = Duration> {
        [
            0,
            1,
            2047,
            2048,
            2049,
            4097,
            1_234_567,
            987_654_321,
            u64::MAX,
        ]
        .into_iter()
        .map(Duration::from_nanos)
    }

    #[test]
    fn its_buckets_are_those_of_a_histogram() {
        let (mut sparse, mut histogram) = (SparseHistogram::default(), Histogram::default());
        for time in times() {
            sparse.record(time);
            histogram.record(time);
        }
        assert_eq!(SparseHistogram::from(&histogram), sparse);
        assert_eq!(Histogram::from(&sparse), histogram);
    }

    #[test]
    fn text_round_trip_keeps_every_count() {
        let mut sparse = SparseHistogram::default();
        times().chain(times()).for_each(|time| sparse.record(time));
        let json = serde_json::to_string(&sparse).unwrap();
        assert_eq!(
            serde_json::from_str::<SparseHistogram>(&json).unwrap(),
            sparse
        );
        assert_eq!(sparse.count(), 18);
    }
}
