//! A tile with the nodes inside it.
//!
//! ```text
//! row 8                 r                     the root, if the tile is full
//!  ...
//! row 1      n     n     n     n    ...       complete nodes only
//! row 0    h   h h   h h   h h   h  ...       the tile as it is stored
//! ```

use mtc_core::tile::TILE_HEIGHT;
use mtc_core::tree::{self, Hash};

/// At most 16 KiB.
pub(super) struct HashTile {
    /// Hashes in row 0.
    width: usize,
    /// Row after row. Row `r` has `width >> r` nodes, node `i` being the root of hashes `[i << r, (i + 1) << r)`.
    nodes: Vec<Hash>,
}

impl HashTile {
    pub(super) fn new(hashes: &[Hash]) -> Self {
        let width = hashes.len();
        let mut nodes = Vec::with_capacity(2 * width);
        nodes.extend_from_slice(hashes);
        let mut start = 0;
        for row in 0..TILE_HEIGHT {
            let end = start + (width >> row);
            for left in (start..end.saturating_sub(1)).step_by(2) {
                nodes.push(tree::node_hash(&nodes[left], &nodes[left + 1]));
            }
            start = end;
        }
        Self { width, nodes }
    }

    /// Row 0.
    pub(super) fn hashes(&self) -> &[Hash] {
        &self.nodes[..self.width]
    }

    pub(super) fn node(&self, row: u8, index: u64) -> Option<Hash> {
        let start: usize = (0..row).map(|row| self.width >> row).sum();
        let index = usize::try_from(index).ok()?;
        (index < self.width >> row).then(|| self.nodes[start + index])
    }

    /// The root of a full tile.
    pub(super) fn root(&self) -> Option<Hash> {
        self.node(TILE_HEIGHT, 0)
    }
}

#[cfg(test)]
mod tests {
    use mtc_core::tree::{HashReader, MemoryTree};

    use super::*;

    #[test]
    fn the_nodes_of_a_tile_are_those_of_a_tree() {
        for width in [1, 2, 3, 5, 128, 255, 256] {
            let hashes: Vec<Hash> = (0..width).map(|byte| [byte as u8; 32]).collect();
            let (tile, tree) = (
                HashTile::new(&hashes),
                hashes.iter().copied().collect::<MemoryTree>(),
            );
            for row in 0..=TILE_HEIGHT {
                let complete = width >> row;
                for index in 0..complete {
                    assert_eq!(Ok(tile.node(row, index).unwrap()), tree.node(row, index));
                }
                assert_eq!(tile.node(row, complete), None, "row {row} of {width}");
            }
            assert_eq!(tile.root().is_some(), width == 256);
        }
    }
}
