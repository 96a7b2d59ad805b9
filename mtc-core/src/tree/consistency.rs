//! Consistency proofs of a subtree in a tree (Section 4.4).

use alloc::vec::Vec;

use super::{
    Hash, HashReader, ProofError, Subtree, empty_hash, interval_hash, largest_power_of_two_below,
    node_hash,
};
use crate::id::TreeSize;

/// The proof that `subtree` is part of the tree of `tree_size` entries: `SUBTREE_PROOF`.
///
/// With `start == 0` this is RFC 9162's consistency proof, with one entry its inclusion proof. Empty when the subtree
/// reaches beyond the tree: no such proof exists, and none would verify.
///
/// # Errors
/// A node cannot be had.
pub fn consistency_proof<R: HashReader>(
    reader: &R,
    subtree: Subtree,
    tree_size: TreeSize,
) -> Result<Vec<Hash>, R::Error> {
    let mut proof = Vec::new();
    if subtree.is_empty() || subtree.end() > tree_size.0 {
        return Ok(proof);
    }
    // Descend from the whole tree [low, high) to the subtree, noting what is left aside; the verifier knows the
    // subtree's own hash while the way down is `exact`, and needs it told otherwise.
    let (mut low, mut high) = (0, tree_size.0);
    let (mut start, end) = (subtree.start(), subtree.end());
    let mut exact = true;
    while (start, end) != (low, high) {
        let middle = low + largest_power_of_two_below(high - low);
        if end <= middle {
            proof.push(interval_hash(reader, middle, high)?);
            high = middle;
        } else {
            proof.push(interval_hash(reader, low, middle)?);
            if start < middle {
                // Only a subtree that starts at 0 reaches over the middle: what is left of it lies to the right.
                start = middle;
                exact = false;
            }
            low = middle;
        }
    }
    if !exact {
        proof.push(interval_hash(reader, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Verifies that the subtree with hash `node` is part of the tree of `tree_size` entries with hash `root`
/// (Section 4.4.3).
///
/// # Errors
/// The subtree reaches beyond the tree, the proof has a wrong length, or it leads to other hashes.
pub fn verify_consistency(
    subtree: Subtree,
    tree_size: TreeSize,
    node: &Hash,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if subtree.end() > tree_size.0 {
        return Err(ProofError::BeyondTree {
            end: subtree.end(),
            tree_size,
        });
    }
    if subtree.is_empty() {
        return match (proof, *node == empty_hash()) {
            ([], true) => Ok(()),
            ([], false) => Err(ProofError::HashMismatch),
            _ => Err(ProofError::WrongLength),
        };
    }
    let mut walk = Walk {
        first: subtree.start(),
        second: subtree.end() - 1,
        third: tree_size.0 - 1,
    };
    if walk.second == walk.third {
        walk.shift_while(|walk| walk.first != walk.second);
    } else {
        walk.shift_while(|walk| walk.first != walk.second && walk.second & 1 == 1);
    }
    let (mut from_node, mut from_root, rest) = if walk.first == walk.second {
        (*node, *node, proof)
    } else {
        let [seed, rest @ ..] = proof else {
            return Err(ProofError::WrongLength);
        };
        (*seed, *seed, rest)
    };
    for hash in rest {
        if walk.third == 0 {
            return Err(ProofError::WrongLength);
        }
        if walk.second & 1 == 1 || walk.second == walk.third {
            if walk.first < walk.second {
                from_node = node_hash(hash, &from_node);
            }
            from_root = node_hash(hash, &from_root);
            walk.shift_while(|walk| walk.second & 1 == 0);
        } else {
            from_root = node_hash(&from_root, hash);
        }
        walk.shift();
    }
    if walk.third != 0 {
        return Err(ProofError::WrongLength);
    }
    if from_node == *node && from_root == *root {
        Ok(())
    } else {
        Err(ProofError::HashMismatch)
    }
}

/// The draft's `fn`, `sn` and `tn`: positions of the subtree's start, its last entry and the tree's last entry, all at
/// the same level on the way up.
struct Walk {
    first: u64,
    second: u64,
    third: u64,
}

impl Walk {
    const fn shift(&mut self) {
        self.first >>= 1;
        self.second >>= 1;
        self.third >>= 1;
    }

    /// Ends at the latest when everything is 0: the conditions of this module are false then, or `second` was 0 and
    /// equal to `third`, which the caller's loop has ruled out.
    fn shift_while(&mut self, condition: impl Fn(&Self) -> bool) {
        while condition(self) && self.third != 0 {
            self.shift();
        }
    }
}
