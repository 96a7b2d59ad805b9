//! Landmarks (Section 6.4): tree sizes that relying parties know, so that certificates need no signatures.
//!
//! ```text
//! sizes   0 ......... 1027 ............. 1100 ...... 1131        document (Section 6.4.3)
//! number  0            1                  2           3          3
//!         never active |<- two subtrees ->|                      1131 <expiry 3>
//!                                                                1100 <expiry 2>  ... down to an expired one
//! ```

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use thiserror::Error;

use crate::decimal::parse_decimal;
use crate::id::{EntryIndex, LandmarkNumber, TreeSize};
use crate::time::UnixTime;
use crate::tree::{Subtree, covering_subtrees};

/// Most lines after the first that a document may have; 169 are active with lifetimes of 7 days and one an hour.
pub const MAX_LANDMARKS: usize = 4096;

/// How long an expired landmark is kept before it is dropped: a reader whose clock is behind by less must still find one
/// that has expired by its clock.
const EXPIRED_FOR: Duration = Duration::from_secs(300);

/// Why a landmark cannot be allocated, or a document is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LandmarkError {
    /// The log has not grown since the last landmark.
    #[error("the tree has not grown beyond the last landmark's {0} entries")]
    NotGrown(TreeSize),
    /// The last landmark is too recent.
    #[error("the next landmark may be allocated at {0}")]
    TooEarly(UnixTime),
    /// The document's first line, or another, is not of the form that Section 6.4.3 gives.
    #[error("line {0} of the landmarks document is malformed")]
    Malformed(usize),
    /// Tree sizes must strictly decrease from line to line.
    #[error("line {0}: tree sizes must strictly decrease")]
    SizeOrder(usize),
    /// Expiries must not increase from line to line.
    #[error("line {0}: expiries must not increase")]
    ExpiryOrder(usize),
    /// Landmark 0 has size 0 and none other has.
    #[error("line {0}: landmark 0, and no other, has tree size 0")]
    Zero(usize),
    /// More lines than landmarks, or than this implementation allows.
    #[error("the document lists more landmarks than are allowed")]
    TooMany,
    /// The last line must be expired, or landmark 0.
    #[error("the document ends before an expired landmark")]
    NoExpired,
}

/// A landmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landmark {
    /// Its number; 0 is never active.
    pub number: LandmarkNumber,
    /// Entries below it.
    pub tree_size: TreeSize,
    /// From when on nobody needs it: at or after every `notAfter` below `tree_size`.
    pub expiry: UnixTime,
}

/// A landmark's two subtrees, of which the second may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LandmarkSubtrees {
    /// The landmark.
    pub landmark: Landmark,
    /// Covering subtrees of the entries since the landmark before.
    pub subtrees: [Subtree; 2],
}

impl LandmarkSubtrees {
    /// The subtree that holds entry `index`.
    pub fn holding(&self, index: EntryIndex) -> Option<Subtree> {
        // The first subtree can reach back before the previous landmark; the entries there still are in it.
        self.subtrees
            .into_iter()
            .find(|subtree| subtree.contains(index))
    }
}

/// The landmarks of a log, consecutive, oldest first.
///
/// ```
/// use std::time::Duration;
///
/// use mtc_core::id::{EntryIndex, LandmarkNumber, TreeSize};
/// use mtc_core::landmark::LandmarkSequence;
/// use mtc_core::time::UnixTime;
///
/// let (hour, week) = (Duration::from_secs(3600), Duration::from_secs(7 * 86_400));
/// let now = UnixTime(1_800_000_000);
/// let mut landmarks = LandmarkSequence::new();
/// let first = landmarks.allocate(TreeSize(1027), now, hour, week)?;
/// assert_eq!(first.number, LandmarkNumber(1));
/// assert!(landmarks.allocate(TreeSize(1100), now, hour, week).is_err(), "an hour has not passed");
/// let holding = landmarks.for_entry(EntryIndex(1026), now);
/// assert_eq!(holding.map(|found| found.landmark), Some(first));
/// assert_eq!(landmarks.to_document(), "1\n1027 1800604800\n0 0\n");
/// # Ok::<(), mtc_core::landmark::LandmarkError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LandmarkSequence {
    landmarks: Vec<Landmark>,
}

impl Default for LandmarkSequence {
    fn default() -> Self {
        Self::new()
    }
}

impl LandmarkSequence {
    /// The sequence of a new log: landmark 0 alone.
    pub fn new() -> Self {
        Self {
            landmarks: vec![Landmark {
                number: LandmarkNumber(0),
                tree_size: TreeSize::EMPTY,
                expiry: UnixTime(0),
            }],
        }
    }

    /// The newest landmark.
    pub fn latest(&self) -> Landmark {
        *self
            .landmarks
            .last()
            .expect("a sequence is made with a landmark and loses none of the newest")
    }

    /// The earliest that the next landmark may be allocated, `spacing` after the newest; with landmark 0 alone at any time.
    ///
    /// A landmark was allocated `max_lifetime`, the longest that a certificate lives, before its expiry: that is how the
    /// spacing is kept without more state.
    pub fn earliest_next(&self, spacing: Duration, max_lifetime: Duration) -> UnixTime {
        let latest = self.latest();
        match latest.number {
            LandmarkNumber(0) => UnixTime(0),
            _ => latest.expiry.minus(max_lifetime).plus(spacing),
        }
    }

    /// Adds a landmark at `tree_size`, and drops those that expired long enough ago not to be needed. `spacing` and
    /// `max_lifetime` are those of [`LandmarkSequence::earliest_next`].
    ///
    /// # Errors
    /// The tree has not grown, or the last landmark is too recent.
    pub fn allocate(
        &mut self,
        tree_size: TreeSize,
        now: UnixTime,
        spacing: Duration,
        max_lifetime: Duration,
    ) -> Result<Landmark, LandmarkError> {
        let latest = self.latest();
        if tree_size <= latest.tree_size {
            return Err(LandmarkError::NotGrown(latest.tree_size));
        }
        let earliest = self.earliest_next(spacing, max_lifetime);
        if now < earliest {
            return Err(LandmarkError::TooEarly(earliest));
        }
        let expiry = now.plus(max_lifetime).max(latest.expiry);
        let landmark = Landmark {
            number: latest.number.next(),
            tree_size,
            expiry,
        };
        self.landmarks.push(landmark);
        let expired = self
            .landmarks
            .iter()
            .take_while(|landmark| landmark.expiry.plus(EXPIRED_FOR) <= now)
            .count();
        self.landmarks.drain(..expired.saturating_sub(1));
        Ok(landmark)
    }

    /// The active landmarks with their subtrees, oldest first.
    pub fn active(&self, now: UnixTime) -> impl Iterator<Item = LandmarkSubtrees> + '_ {
        self.pairs().filter(move |pair| pair.landmark.expiry > now)
    }

    /// The lowest-numbered landmark above entry `index`, if it is active.
    pub fn for_entry(&self, index: EntryIndex, now: UnixTime) -> Option<LandmarkSubtrees> {
        // Entries below the oldest landmark that is kept belong to it, or to one that was dropped.
        if self.landmarks.first()?.tree_size.holds(index) {
            return None;
        }
        self.pairs()
            .find(|pair| pair.landmark.tree_size.holds(index))
            .filter(|pair| pair.landmark.expiry > now)
    }

    fn pairs(&self) -> impl Iterator<Item = LandmarkSubtrees> + '_ {
        self.landmarks.windows(2).map(|pair| LandmarkSubtrees {
            landmark: pair[1],
            subtrees: covering_subtrees(pair[0].tree_size.0, pair[1].tree_size.0),
        })
    }

    /// The document that the log publishes, with the sequence's oldest landmark as the one that has expired.
    pub fn to_document(&self) -> String {
        let mut document = format!("{}\n", self.latest().number);
        for landmark in self.landmarks.iter().rev() {
            document.push_str(&format!("{} {}\n", landmark.tree_size, landmark.expiry.0));
        }
        document
    }

    /// Reads a published document.
    ///
    /// # Errors
    /// Any departure from the form that Section 6.4.3 gives.
    pub fn parse(document: &str, now: UnixTime) -> Result<Self, LandmarkError> {
        let mut lines = document
            .strip_suffix('\n')
            .ok_or(LandmarkError::Malformed(1))?
            .split('\n');
        let latest = lines
            .next()
            .and_then(parse_decimal)
            .ok_or(LandmarkError::Malformed(1))?;
        let mut newest_first: Vec<Landmark> = Vec::new();
        for (back, line) in lines.enumerate() {
            let line_number = back + 2;
            let number = latest
                .checked_sub(back as u64)
                .ok_or(LandmarkError::TooMany)?;
            if back > MAX_LANDMARKS {
                return Err(LandmarkError::TooMany);
            }
            let landmark = line
                .split_once(' ')
                .and_then(|(size, expiry)| Some((parse_decimal(size)?, parse_decimal(expiry)?)))
                .map(|(tree_size, expiry)| Landmark {
                    number: LandmarkNumber(number),
                    tree_size: TreeSize(tree_size),
                    expiry: UnixTime(expiry),
                })
                .ok_or(LandmarkError::Malformed(line_number))?;
            if (landmark.tree_size == TreeSize::EMPTY) != (number == 0) {
                return Err(LandmarkError::Zero(line_number));
            }
            if let Some(newer) = newest_first.last() {
                if landmark.tree_size >= newer.tree_size {
                    return Err(LandmarkError::SizeOrder(line_number));
                }
                if landmark.expiry > newer.expiry {
                    return Err(LandmarkError::ExpiryOrder(line_number));
                }
            }
            newest_first.push(landmark);
        }
        let oldest = newest_first.last().ok_or(LandmarkError::Malformed(2))?;
        if oldest.number != LandmarkNumber(0) && oldest.expiry > now {
            return Err(LandmarkError::NoExpired);
        }
        newest_first.reverse();
        Ok(Self {
            landmarks: newest_first,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
    const START: UnixTime = UnixTime(1_000_000);

    fn grown(landmarks: u64) -> (LandmarkSequence, UnixTime) {
        let mut sequence = LandmarkSequence::new();
        let mut now = START;
        for number in 1..=landmarks {
            now = now.plus(HOUR);
            sequence
                .allocate(TreeSize(10 * number), now, HOUR, WEEK)
                .expect("grown and late enough");
        }
        (sequence, now)
    }

    #[test]
    fn landmarks_are_spaced_and_need_growth() {
        let mut sequence = LandmarkSequence::new();
        assert_eq!(
            sequence.allocate(TreeSize::EMPTY, START, HOUR, WEEK),
            Err(LandmarkError::NotGrown(TreeSize::EMPTY))
        );
        assert_eq!(
            sequence
                .allocate(TreeSize(5), START, HOUR, WEEK)
                .map(|landmark| landmark.number),
            Ok(LandmarkNumber(1))
        );
        assert_eq!(
            sequence.allocate(TreeSize(5), START.plus(HOUR), HOUR, WEEK),
            Err(LandmarkError::NotGrown(TreeSize(5)))
        );
        assert_eq!(
            sequence.allocate(TreeSize(6), START, HOUR, WEEK),
            Err(LandmarkError::TooEarly(START.plus(HOUR)))
        );
        assert_eq!(
            sequence
                .allocate(TreeSize(6), START.plus(HOUR), HOUR, WEEK)
                .map(|landmark| landmark.number),
            Ok(LandmarkNumber(2))
        );
    }

    #[test]
    fn state_is_bounded_by_lifetime_over_spacing() {
        let (sequence, now) = grown(1000);
        assert_eq!(sequence.active(now).count(), 168);
        // The one that expires right now and the one before it, which has been expired for long enough.
        assert_eq!(sequence.landmarks.len(), 170);
    }

    #[test]
    fn documents_round_trip() {
        for landmarks in [0, 1, 5, 500] {
            let (sequence, now) = grown(landmarks);
            assert_eq!(
                LandmarkSequence::parse(&sequence.to_document(), now),
                Ok(sequence)
            );
        }
    }

    #[test]
    fn an_entry_belongs_to_the_lowest_landmark_above_it() {
        let (sequence, now) = grown(3);
        for index in 0..30 {
            let found = sequence
                .for_entry(EntryIndex(index), now)
                .expect("below the last landmark");
            assert_eq!(found.landmark.number, LandmarkNumber(index / 10 + 1));
            assert!(found.holding(EntryIndex(index)).is_some());
        }
        assert_eq!(sequence.for_entry(EntryIndex(30), now), None);
        assert_eq!(
            sequence.for_entry(EntryIndex(0), now.plus(WEEK)),
            None,
            "expired"
        );
    }

    #[test]
    fn malformed_documents_are_rejected() {
        let now = UnixTime(100);
        for (document, error) in [
            ("", LandmarkError::Malformed(1)),
            ("0\n0 0", LandmarkError::Malformed(1)),
            ("00\n0 0\n", LandmarkError::Malformed(1)),
            ("0\n", LandmarkError::Malformed(2)),
            ("1\n5  200\n0 0\n", LandmarkError::Malformed(2)),
            ("1\n5 200 \n0 0\n", LandmarkError::Malformed(2)),
            ("1\n5 0200\n0 0\n", LandmarkError::Malformed(2)),
            ("2\n5 200\n5 200\n0 0\n", LandmarkError::SizeOrder(3)),
            ("2\n6 200\n5 201\n0 0\n", LandmarkError::ExpiryOrder(3)),
            ("2\n6 200\n5 200\n", LandmarkError::NoExpired),
            ("1\n0 200\n0 0\n", LandmarkError::Zero(2)),
            ("0\n0 0\n0 0\n", LandmarkError::TooMany),
        ] {
            assert_eq!(
                LandmarkSequence::parse(document, now),
                Err(error),
                "{document:?}"
            );
        }
        assert!(
            LandmarkSequence::parse("2\n6 200\n5 99\n", now).is_ok(),
            "an expired landmark ends the list"
        );
    }
}
