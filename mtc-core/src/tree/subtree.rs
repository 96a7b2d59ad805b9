//! Valid subtrees (Section 4.1).

use super::ProofError;
use crate::id::{EntryIndex, TreeSize};

/// A valid subtree `[start, end)` of a log: an interval whose hash is a node of some tree over the log.
///
/// ```
/// use mtc_core::id::EntryIndex;
/// use mtc_core::tree::Subtree;
///
/// let subtree = Subtree::new(4, 7)?;
/// assert!(subtree.contains(EntryIndex(6)) && !subtree.contains(EntryIndex(7)));
/// assert_eq!(subtree.to_string(), "[4, 7)");
/// assert!(Subtree::new(2, 5).is_err(), "2 is no multiple of 4");
/// # Ok::<(), mtc_core::tree::ProofError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subtree {
    start: u64,
    end: u64,
}

impl Subtree {
    /// The subtree `[start, end)`.
    ///
    /// # Errors
    /// [`ProofError::InvalidSubtree`] unless `start <= end` and `start` is a multiple of `end - start` rounded up to a
    /// power of two.
    pub const fn new(start: u64, end: u64) -> Result<Self, ProofError> {
        let invalid = Err(ProofError::InvalidSubtree { start, end });
        if start > end {
            return invalid;
        }
        // Above 2^63 the rounded length does not fit: only 0 is a multiple of 2^64.
        let aligned = match (end - start).checked_next_power_of_two() {
            Some(length) => start & (length - 1) == 0,
            None => start == 0,
        };
        if aligned {
            Ok(Self { start, end })
        } else {
            invalid
        }
    }

    /// The whole tree of this size.
    pub const fn whole(tree_size: TreeSize) -> Self {
        Self {
            start: 0,
            end: tree_size.0,
        }
    }

    /// For algorithms that construct intervals which are valid by their arithmetic.
    pub(super) const fn known_valid(start: u64, end: u64) -> Self {
        debug_assert!(Self::new(start, end).is_ok());
        Self { start, end }
    }

    /// First index.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// One past the last index.
    pub const fn end(self) -> u64 {
        self.end
    }

    /// Number of entries.
    pub const fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether it holds no entry.
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether it holds the entry with this index.
    pub const fn contains(self, index: EntryIndex) -> bool {
        self.start <= index.0 && index.0 < self.end
    }
}

impl core::fmt::Display for Subtree {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_at_the_edges_of_the_integer() {
        for (start, end, valid) in [
            (0, 0, true),
            (7, 7, true),
            (0, u64::MAX, true),
            (1, u64::MAX, false),
            (1 << 63, u64::MAX, true),
            (1 << 62, u64::MAX, false),
            (4, 3, false),
            (4, 8, true),
            (4, 9, false),
            (2, 5, false),
        ] {
            assert_eq!(Subtree::new(start, end).is_ok(), valid, "[{start}, {end})");
        }
    }
}
