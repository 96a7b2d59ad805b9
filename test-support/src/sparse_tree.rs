//! A tree of any size whose leaves are all the same but for a few, so that trees too large to hold can be hashed.

use std::collections::BTreeMap;
use std::convert::Infallible;

use mtc_core::tree::{Hash, HashReader, leaf_hash, node_hash};

/// Levels of complete nodes in a tree of at most 2^64 - 1 entries.
const LEVELS: usize = 64;

/// The tree, and a check on its readers: they may ask for complete nodes only.
pub struct SparseTree {
    size: u64,
    /// Nodes above unmarked leaves, by level.
    plain: Vec<Hash>,
    /// Nodes above marked leaves, by level and index.
    marked: Vec<BTreeMap<u64, Hash>>,
}

impl SparseTree {
    /// A tree of `size` leaves, of which these have these hashes.
    pub fn new(size: u64, leaves: impl IntoIterator<Item = (u64, Hash)>) -> Self {
        let mut plain = vec![leaf_hash(b"plain")];
        let mut marked: Vec<BTreeMap<u64, Hash>> = vec![leaves.into_iter().collect()];
        for level in 0..LEVELS - 1 {
            let (below, sibling) = (&marked[level], plain[level]);
            let node = |index: u64| *below.get(&index).unwrap_or(&sibling);
            let above = below
                .keys()
                .map(|index| (index >> 1, node_hash(&node(index & !1), &node(index | 1))))
                .collect();
            marked.push(above);
            plain.push(node_hash(&sibling, &sibling));
        }
        Self {
            size,
            plain,
            marked,
        }
    }
}

impl HashReader for SparseTree {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        assert!(
            (u128::from(index) + 1) << level <= u128::from(self.size),
            "node {index} of level {level} is not complete in a tree of {} leaves",
            self.size
        );
        let level = usize::from(level);
        Ok(*self.marked[level].get(&index).unwrap_or(&self.plain[level]))
    }
}
