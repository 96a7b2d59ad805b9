//! How long inclusion proofs are, without a tree (docs/estimate.md, "Proofs").

use mtc_core::id::EntryIndex;
use mtc_core::tree::{covering_subtrees, inclusion_proof_length};

/// Hashes in the proofs of all `leaves` of a tree together: each half adds one to every proof in it.
fn total_path(mut leaves: u64) -> f64 {
    // A tree of n leaves is a complete one of the largest power of two below n beside the rest, so the recursion is a loop over
    // the bits of n.
    let mut total = 0.0;
    while leaves > 1 {
        let left = 1_u64 << (leaves - 1).ilog2();
        total += leaves as f64 + left as f64 * f64::from(left.ilog2());
        leaves -= left;
    }
    total
}

/// Mean hashes in the proofs to the covering subtrees of the entries `[start, end)`, over these entries.
///
/// What a subtree covers before `start` counts too: it is less than half of it, and as deep.
pub(super) fn mean_path(start: u64, end: u64) -> f64 {
    let subtrees = covering_subtrees(start, end);
    let sizes = subtrees.map(|subtree| subtree.len());
    let leaves: u64 = sizes.iter().sum();
    if leaves == 0 {
        return 0.0;
    }
    sizes.into_iter().map(total_path).sum::<f64>() / leaves as f64
}

/// The same over the last `count` of these entries, as many as there are.
pub(super) fn mean_path_of_last(start: u64, end: u64, count: u64) -> f64 {
    let first = end.saturating_sub(count).max(start);
    let subtrees = covering_subtrees(start, end);
    // The one that does not hold an entry says 0.
    let hashes = |index: u64| subtrees.map(|of| inclusion_proof_length(EntryIndex(index), of));
    let total: usize = (first..end).flat_map(hashes).sum();
    total as f64 / end.saturating_sub(first).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_the_sums_of_the_paths() {
        for end in 1..300 {
            for start in [0, end / 3, end - 1] {
                let [left, right] = covering_subtrees(start, end);
                let covered = end - left.start();
                let sum = mean_path_of_last(left.start(), end, covered);
                let [_, same] = covering_subtrees(left.start(), end);
                // From where the left subtree starts the same two cover.
                assert_eq!(right, same, "{start}..{end}");
                assert!((mean_path(start, end) - sum).abs() < 1e-9, "{start}..{end}");
            }
        }
    }

    #[test]
    fn a_path_has_a_hash_a_level() {
        assert_eq!(mean_path(0, 8), 2.0);
        assert_eq!(mean_path(5, 6), 0.0);
        assert_eq!(mean_path_of_last(0, 7, 1), 1.0);
        assert_eq!(mean_path_of_last(0, 7, 0), 0.0);
    }

    #[test]
    fn the_largest_log_has_no_more_levels_than_an_index_has_bits() {
        let most = 1_u64 << 48;
        assert!(mean_path(0, most) <= 47.0);
        assert!(mean_path(most - 1_000_000_007, most) <= 30.0);
    }
}
