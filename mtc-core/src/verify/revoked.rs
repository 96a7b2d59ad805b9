//! Serial numbers that are not accepted (Section 7.5).
//!
//! ```text
//!  given      50-60   30   55-70   31-32   72
//!  kept       30-32   50-70   72                ascending, none touching the next: a number is found by halving
//! ```

use std::sync::Arc;

/// Serial numbers that are not accepted, first and last included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RevokedRange {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// Revoked serial numbers in the one way in which a set of them can be written. Clones share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevokedRanges(Arc<[RevokedRange]>);

impl FromIterator<RevokedRange> for RevokedRanges {
    /// In any order, and overlapping; a range whose first exceeds its last is empty.
    fn from_iter<T: IntoIterator<Item = RevokedRange>>(ranges: T) -> Self {
        let mut ranges: Vec<_> = ranges
            .into_iter()
            .filter(|range| range.first <= range.last)
            .collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let touches = next.first <= kept.last.saturating_add(1);
            if touches {
                kept.last = kept.last.max(next.last);
            }
            touches
        });
        Self(ranges.into())
    }
}

impl RevokedRanges {
    /// These and one more.
    #[must_use]
    pub fn with(&self, range: RevokedRange) -> Self {
        self.iter().chain([range]).collect()
    }

    /// Whether a serial number is among them.
    pub fn contains(&self, serial: u64) -> bool {
        self.covers(RevokedRange {
            first: serial,
            last: serial,
        })
    }

    /// Whether all of a range is among them.
    pub fn covers(&self, range: RevokedRange) -> bool {
        let after = self.0.partition_point(|known| known.first <= range.first);
        self.0[..after]
            .last()
            .is_some_and(|known| range.last <= known.last)
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = RevokedRange> + '_ {
        self.0.iter().copied()
    }

    /// How many ranges.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64) -> RevokedRange {
        RevokedRange { first, last }
    }

    #[test]
    fn ranges_merge_when_they_touch_and_each_serial_is_found() {
        let given = [(50, 60), (30, 30), (55, 70), (31, 32), (40, 39), (72, 72)];
        let ranges: RevokedRanges = given
            .map(|(first, last)| range(first, last))
            .into_iter()
            .collect();
        let merged = [range(30, 32), range(50, 70), range(72, 72)];
        assert_eq!(ranges.iter().collect::<Vec<_>>(), merged);
        for serial in 0..100 {
            let revoked = merged
                .iter()
                .any(|range| (range.first..=range.last).contains(&serial));
            assert_eq!(ranges.contains(serial), revoked, "{serial}");
        }
        assert!(ranges.covers(range(51, 70)));
        assert!(!ranges.covers(range(70, 72)));
    }

    #[test]
    fn ranges_at_the_end_of_the_numbers_merge_without_overflow() {
        let ranges = RevokedRanges::default();
        assert!(ranges.is_empty());
        let ranges = ranges
            .with(range(u64::MAX, u64::MAX))
            .with(range(5, u64::MAX));
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [range(5, u64::MAX)]);
        assert!(!ranges.contains(4));
    }
}
