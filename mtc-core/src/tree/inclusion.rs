//! Inclusion proofs of an entry in a subtree (Section 4.3).

use alloc::vec::Vec;

use super::{Hash, HashReader, ProofError, Subtree, interval_hash, largest_power_of_two_below};
use crate::id::EntryIndex;
use crate::sha256::NodeHasher;

/// The inclusion proof of entry `index` in `subtree`, leaf's sibling first.
///
/// Empty when the subtree does not contain the index: no such proof exists, and none would evaluate.
///
/// # Errors
/// A node cannot be had.
pub fn inclusion_proof<R: HashReader>(
    reader: &R,
    index: EntryIndex,
    subtree: Subtree,
) -> Result<Vec<Hash>, R::Error> {
    let mut proof = Vec::with_capacity(inclusion_proof_length(index, subtree));
    if !subtree.contains(index) {
        return Ok(proof);
    }
    let (mut start, mut end) = (subtree.start(), subtree.end());
    while end - start > 1 {
        let middle = start + largest_power_of_two_below(end - start);
        if index.0 < middle {
            proof.push(interval_hash(reader, middle, end)?);
            end = middle;
        } else {
            proof.push(interval_hash(reader, start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// How many hashes the inclusion proof of `index` in `subtree` has; 0 when the subtree does not contain it.
pub const fn inclusion_proof_length(index: EntryIndex, subtree: Subtree) -> usize {
    if !subtree.contains(index) {
        return 0;
    }
    let fn_ = index.0 - subtree.start();
    let sn = subtree.len() - 1;
    let below = u64::BITS - (fn_ ^ sn).leading_zeros();
    let above = if below == u64::BITS {
        0
    } else {
        (fn_ >> below).count_ones()
    };
    (below + above) as usize
}

/// The hash of `subtree` that follows from the entry's leaf hash and the proof.
///
/// # Errors
/// The index is outside, or the proof has not the length that the indices dictate.
pub fn evaluate_inclusion(
    index: EntryIndex,
    subtree: Subtree,
    leaf: Hash,
    proof: &[Hash],
) -> Result<Hash, ProofError> {
    if !subtree.contains(index) {
        return Err(ProofError::IndexOutside {
            index,
            start: subtree.start(),
            end: subtree.end(),
        });
    }
    let mut position = index.0 - subtree.start();
    let mut last = subtree.len() - 1;
    let mut node = NodeHasher::new(&leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if position & 1 == 1 || position == last {
            node.with_left(sibling);
            // A node at the right edge without a right sibling is carried up unchanged.
            let levels = position.trailing_zeros();
            position >>= levels;
            last >>= levels;
        } else {
            node.with_right(sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if last == 0 {
        Ok(node.finish())
    } else {
        Err(ProofError::WrongLength)
    }
}
