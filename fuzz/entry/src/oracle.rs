//! The tree a second time, written for clarity: recursion from the definitions, 128-bit numbers, no bit tricks.

use mtc_core::tree::{Hash, empty_hash, node_hash};

/// BIT_CEIL of Section 4.1: the smallest power of two that is not below `n`.
pub(crate) fn bit_ceil(n: u64) -> u128 {
    let mut power = 1_u128;
    while power < u128::from(n) {
        power *= 2;
    }
    power
}

/// Whether `[start, end)` is a valid subtree (Section 4.1).
pub(crate) fn is_subtree(start: u64, end: u64) -> bool {
    start <= end && u128::from(start).is_multiple_of(bit_ceil(end - start))
}

/// Where a tree of `size` entries, at least 2, is split: RFC 9162's `k`.
fn split_of(size: u64) -> u64 {
    u64::try_from(bit_ceil(size) / 2).expect("at most 2^63")
}

/// The Merkle tree hash of leaves (RFC 9162 section 2.1.1).
pub(crate) fn tree_hash(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_hash(),
        [leaf] => *leaf,
        _ => {
            let split = split_of(leaves.len() as u64) as usize;
            node_hash(&tree_hash(&leaves[..split]), &tree_hash(&leaves[split..]))
        }
    }
}

/// The root of a tree of `size` entries whose entry `index` is `leaf`, if `proof` is an audit path of it: its last hash is
/// the sibling right below the root.
pub(crate) fn inclusion(index: u64, size: u64, leaf: Hash, proof: &[Hash]) -> Option<Hash> {
    if size == 1 {
        return proof.is_empty().then_some(leaf);
    }
    let (sibling, below) = proof.split_last()?;
    let split = split_of(size);
    Some(if index < split {
        node_hash(&inclusion(index, split, leaf, below)?, sibling)
    } else {
        node_hash(
            sibling,
            &inclusion(index - split, size - split, leaf, below)?,
        )
    })
}

/// What a consistency proof of `[start, end)` in a tree of `size` entries stands for: the hash of the subtree and the root of
/// the tree (Section 4.4). `given` is the subtree's hash as the verifier knows it, or nothing once the way down has left out
/// a part of the subtree: then the proof has to state the rest.
pub(crate) fn consistency(
    (start, end): (u64, u64),
    size: u64,
    given: Option<Hash>,
    proof: &[Hash],
) -> Option<(Hash, Hash)> {
    if start == 0 && end == size {
        let hash = match (given, proof) {
            (Some(hash), []) => hash,
            (None, [hash]) => *hash,
            _ => return None,
        };
        return Some((hash, hash));
    }
    let (sibling, below) = proof.split_last()?;
    let split = split_of(size);
    if end <= split {
        let (part, root) = consistency((start, end), split, given, below)?;
        Some((part, node_hash(&root, sibling)))
    } else if start >= split {
        let inside = (start - split, end - split);
        let (part, root) = consistency(inside, size - split, given, below)?;
        Some((part, node_hash(sibling, &root)))
    } else {
        let (part, root) = consistency((0, end - split), size - split, None, below)?;
        Some((node_hash(sibling, &part), node_hash(sibling, &root)))
    }
}
