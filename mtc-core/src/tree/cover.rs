//! Covering subtrees (Section 4.5).

use super::Subtree;

/// The two subtrees, the first ending where the second starts, that together cover `[start, end)`.
///
/// What they cover beyond the interval lies before `start` only. The second is empty when one suffices for a single
/// entry. An interval whose `start` lies after `end` counts as empty at `end`.
pub const fn covering_subtrees(start: u64, end: u64) -> [Subtree; 2] {
    if end.saturating_sub(start) <= 1 {
        let start = if start < end { start } else { end };
        return [
            Subtree::known_valid(start, end),
            Subtree::known_valid(end, end),
        ];
    }
    let last = end - 1;
    // The bit where start and last part: everything above is common, so `mid` lies between them.
    let split = (start ^ last).ilog2();
    let mask = (1_u64 << split) - 1;
    let mid = last & !mask;
    // start's run of ones below the split is as far as it can move without passing an entry of its own.
    let left_split = u64::BITS - (!start & mask).leading_zeros();
    let left_start = start & !((1_u64 << left_split) - 1);
    [
        Subtree::known_valid(left_start, mid),
        Subtree::known_valid(mid, end),
    ]
}
