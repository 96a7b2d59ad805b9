//! How long something took, as counts: sums like everything in the ledger, from which quantiles can be told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::nanoseconds;

/// Buckets from one power of two to the next: a time is told within a hundredth of itself.
const PER_OCTAVE: u32 = 64;

/// Counts of times by length, to within one percent. In JSON pairs of nanoseconds and count: what is buffered on the way to
/// a tagged enum cannot have numbers as keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Times(BTreeMap<u64, u64>);

impl Times {
    /// Counts a time.
    pub fn record(&mut self, time: Duration) {
        *self.0.entry(middle(nanoseconds(time))).or_default() += 1;
    }

    /// Nanoseconds in the middle of each bucket that is not empty, ascending, with its count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(middle, count)| (*middle, *count))
    }

    pub(super) fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        for (middle, count) in other.buckets() {
            let mine = self.0.entry(middle).or_default();
            *mine = with(*mine, count);
        }
        self.0.retain(|_, count| *count > 0);
    }
}

impl From<Vec<(u64, u64)>> for Times {
    fn from(buckets: Vec<(u64, u64)>) -> Self {
        Self(buckets.into_iter().collect())
    }
}

impl From<Times> for Vec<(u64, u64)> {
    fn from(times: Times) -> Self {
        times.0.into_iter().collect()
    }
}

/// The middle of the bucket of so many nanoseconds; short times have buckets of their own.
fn middle(nanoseconds: u64) -> u64 {
    let octave = nanoseconds.max(1).ilog2();
    let width = 1 << octave.saturating_sub(PER_OCTAVE.ilog2());
    let start = nanoseconds - nanoseconds % width;
    start + width / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn a_time_is_told_within_a_hundredth(nanoseconds in 1..1_u64 << 60) {
            let told = middle(nanoseconds);
            prop_assert!(told.abs_diff(nanoseconds) <= nanoseconds / 100, "{told}");
            prop_assert_eq!(middle(told), told, "it is its own bucket's");
        }
    }

    #[test]
    fn what_was_counted_before_can_be_left_out() {
        let mut earlier = Times::default();
        earlier.record(Duration::from_micros(100));
        let mut later = earlier.clone();
        later.record(Duration::from_micros(100));
        later.record(Duration::from_millis(3));
        later.combine(&earlier, u64::saturating_sub);
        let counts: Vec<u64> = later.buckets().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 1]);
        earlier.combine(&later, |mine, theirs| mine + theirs);
        let counts: Vec<u64> = earlier.buckets().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 1]);
        let text = serde_json::to_string(&earlier).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Times>(&text).expect("the same"),
            earlier
        );
    }
}
