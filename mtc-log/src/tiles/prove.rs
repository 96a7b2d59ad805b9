//! Inclusion proofs of neighbouring entries (Section 4.3), made together.
//!
//! ```text
//!           .                the proofs of the entries below a node have everything above it in common: going down
//!         /   \              from the subtree, each node's sibling is fetched once and put on all of their proofs
//!       /\     x
//!      o  x                  x: what is on the path when the entries below o are reached
//! ```

use std::ops::Range;

use mtc_core::tree::{self, Hash, HashReader, Subtree};

/// The proofs of `entries`, all of which are in `subtree`.
pub(super) fn inclusion_proofs<R: HashReader>(
    reader: &R,
    entries: Range<u64>,
    subtree: Subtree,
) -> Result<Vec<Vec<Hash>>, R::Error> {
    let mut descent = Descent {
        reader,
        proofs: Vec::with_capacity((entries.end - entries.start) as usize),
        entries,
        path: Vec::new(),
    };
    descent.prove(subtree.start()..subtree.end())?;
    Ok(descent.proofs)
}

struct Descent<'a, R> {
    reader: &'a R,
    entries: Range<u64>,
    /// Siblings of the nodes passed, the topmost first.
    path: Vec<Hash>,
    proofs: Vec<Vec<Hash>>,
}

impl<R: HashReader> Descent<'_, R> {
    /// Proves what is wanted of the entries below a node. The depth is that of the tree: at most 48.
    fn prove(&mut self, node: Range<u64>) -> Result<(), R::Error> {
        let length = node.end - node.start;
        if length == 1 {
            self.proofs.push(self.path.iter().rev().copied().collect());
            return Ok(());
        }
        let middle = node.start + (1 << (length - 1).ilog2());
        let (left, right) = (node.start..middle, middle..node.end);
        if self.entries.start < middle {
            self.below(left.clone(), right.clone())?;
        }
        if self.entries.end > middle {
            self.below(right, left)?;
        }
        Ok(())
    }

    fn below(&mut self, node: Range<u64>, sibling: Range<u64>) -> Result<(), R::Error> {
        let sibling = Subtree::new(sibling.start, sibling.end)
            .expect("a subtree's parts, split at a power of two, are subtrees");
        self.path.push(tree::subtree_hash(self.reader, sibling)?);
        self.prove(node)?;
        self.path.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mtc_core::id::EntryIndex;
    use mtc_core::tree::MemoryTree;

    use super::*;

    #[test]
    fn proofs_made_together_are_those_made_one_by_one() {
        let tree: MemoryTree = (0..64).map(|byte| [byte; 32]).collect();
        let subtrees = (0..64).flat_map(|start| (start + 1..=64).map(move |end| (start, end)));
        for subtree in subtrees.filter_map(|(start, end)| Subtree::new(start, end).ok()) {
            for first in subtree.start()..subtree.end() {
                for end in [first + 1, (first + 5).min(subtree.end()), subtree.end()] {
                    let one_by_one: Vec<_> = (first..end)
                        .map(|index| {
                            tree::inclusion_proof(&tree, EntryIndex(index), subtree).unwrap()
                        })
                        .collect();
                    assert_eq!(inclusion_proofs(&tree, first..end, subtree), Ok(one_by_one));
                }
            }
        }
    }
}
