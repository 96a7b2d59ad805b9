//! The Merkle tree of an issuance log and its subtrees.
//!
//! ```text
//!              root of [0, 7)
//!             /              \
//!        [0, 4)              [4, 7)          a subtree [start, end) is valid when start is a
//!        /    \             /      \         multiple of end - start rounded up to a power of two
//!     [0,2)  [2,4)       [4,6)    [6,7)
//! ```
//!
//! Hashing is RFC 9162 section 2.1.1 with SHA-256. Algorithms that need stored nodes take a [`HashReader`], which hands
//! out complete nodes only; everything ragged at the right edge is computed here. One file an algorithm:
//! [`Subtree`] (Section 4.1), inclusion (4.3), consistency (4.4) and covering subtrees (4.5).

mod consistency;
mod cover;
mod inclusion;
mod subtree;

use alloc::vec::Vec;
use core::convert::Infallible;

use thiserror::Error;

pub use self::consistency::{consistency_proof, verify_consistency};
pub use self::cover::covering_subtrees;
pub use self::inclusion::{evaluate_inclusion, inclusion_proof, inclusion_proof_length};
pub use self::subtree::Subtree;
use crate::id::{EntryIndex, TreeSize};
use crate::sha256::{self, Gather, NodeHasher};

/// A SHA-256 hash.
pub type Hash = [u8; HASH_SIZE];

/// Length of a hash in bytes.
pub const HASH_SIZE: usize = sha256::DIGEST_SIZE;

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofError {
    /// `start` is not a multiple of the interval's length rounded up to a power of two, or lies after `end`.
    #[error("[{start}, {end}) is not a valid subtree")]
    InvalidSubtree {
        /// First index.
        start: u64,
        /// One past the last index.
        end: u64,
    },
    /// The index is not in the subtree.
    #[error("entry {index} is not in [{start}, {end})")]
    IndexOutside {
        /// The entry's index.
        index: EntryIndex,
        /// First index.
        start: u64,
        /// One past the last index.
        end: u64,
    },
    /// The subtree reaches beyond the tree.
    #[error("the subtree ends at {end}, beyond the tree of size {tree_size}")]
    BeyondTree {
        /// One past the subtree's last index.
        end: u64,
        /// Size of the tree.
        tree_size: TreeSize,
    },
    /// The proof has not the number of hashes that the indices dictate.
    #[error("the proof has the wrong number of hashes")]
    WrongLength,
    /// The proof leads to another hash.
    #[error("the proof leads to another hash")]
    HashMismatch,
}

/// Gives the complete nodes of a tree.
pub trait HashReader {
    /// What can go wrong when a node is fetched.
    type Error;

    /// The root of leaves `[index << level, (index + 1) << level)`, all of which must be in the tree.
    ///
    /// # Errors
    /// The node cannot be had.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// The hash of a leaf: `H(0x00 || entry)`.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut message = Gather::new();
    message.update(&[0]);
    message.update(entry);
    message.finish()
}

/// The hash of an inner node: `H(0x01 || left || right)`.
#[inline]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut node = NodeHasher::new(left);
    node.with_right(right);
    node.finish()
}

/// The root of the empty tree: `H("")`.
pub fn empty_hash() -> Hash {
    sha256::digest(&[])
}

/// The hash of a subtree, read from stored nodes: at most two per level.
///
/// # Errors
/// A node cannot be had.
pub fn subtree_hash<R: HashReader>(reader: &R, subtree: Subtree) -> Result<Hash, R::Error> {
    interval_hash(reader, subtree.start(), subtree.end())
}

/// MTH of an interval that is a valid subtree, or the right part of one.
fn interval_hash<R: HashReader>(reader: &R, start: u64, end: u64) -> Result<Hash, R::Error> {
    let length = end - start;
    if length == 0 {
        return Ok(empty_hash());
    }
    if length.is_power_of_two() {
        let level = length.trailing_zeros() as u8;
        return reader.node(level, start >> level);
    }
    let split = largest_power_of_two_below(length);
    let left = interval_hash(reader, start, start + split)?;
    let right = interval_hash(reader, start + split, end)?;
    Ok(node_hash(&left, &right))
}

/// The largest power of two smaller than `n`, which is at least 2 (RFC 9162: `k`).
const fn largest_power_of_two_below(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// All leaf hashes of a tree in memory; for tests and small trees.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree {
    /// `levels[l]` holds the complete nodes of level `l`.
    levels: Vec<Vec<Hash>>,
}

impl MemoryTree {
    /// A tree without leaves.
    pub const fn new() -> Self {
        Self { levels: Vec::new() }
    }

    /// Number of leaves.
    pub fn size(&self) -> TreeSize {
        TreeSize(self.levels.first().map_or(0, |leaves| leaves.len() as u64))
    }

    /// Appends a leaf hash and the nodes that it completes.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(hash);
            let [.., left, right] = self.levels[level].as_slice() else {
                return;
            };
            if self.levels[level].len() % 2 == 1 {
                return;
            }
            hash = node_hash(left, right);
        }
    }

    /// The root hash of the whole tree.
    pub fn root(&self) -> Hash {
        let Ok(hash) = subtree_hash(self, Subtree::whole(self.size()));
        hash
    }
}

impl FromIterator<Hash> for MemoryTree {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut tree = Self::new();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }
}

impl HashReader for MemoryTree {
    type Error = Infallible;

    /// # Panics
    /// The node is not complete in this tree, which is the caller's mistake.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let index = usize::try_from(index).expect("a tree in memory is indexed by usize");
        Ok(self.levels[usize::from(level)][index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_empty_until_it_has_a_leaf() {
        let mut tree = MemoryTree::new();
        assert_eq!((tree.size(), tree.root()), (TreeSize::EMPTY, empty_hash()));
        tree.push(leaf_hash(b""));
        assert_eq!((tree.size(), tree.root()), (TreeSize(1), leaf_hash(b"")));
    }
}
