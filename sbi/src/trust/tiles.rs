//! Hash tiles of a tree of one size, as far as they have been fetched.
//!
//! Tiles need no trust of their own: a wrong one makes a proof that does not verify.

use std::collections::HashMap;

use mtc_core::id::TreeSize;
use mtc_core::tile::{TILE_HEIGHT, TILE_WIDTH, TileKind, TilePath};
use mtc_core::tree::{HASH_SIZE, Hash, HashReader, node_hash};

use super::TrustError;

/// Tiles that one update may fetch: two subtrees of each of 4096 landmarks touch at most two tiles on each of six levels,
/// most of them shared; an honest log of this lab stays far below.
pub(super) const MAX_TILES: usize = 4096;

/// A tile that a computation needs.
pub(super) struct Missing(pub(super) TilePath);

/// Hash tiles of a tree of one size.
pub(super) struct TileCache {
    size: TreeSize,
    tiles: HashMap<(u8, u64), Vec<Hash>>,
}

impl TileCache {
    pub(super) fn new(size: TreeSize) -> Self {
        Self {
            size,
            tiles: HashMap::new(),
        }
    }

    pub(super) fn insert(&mut self, path: TilePath, bytes: &[u8]) -> Result<(), TrustError> {
        let TilePath {
            kind: TileKind::Hashes(level),
            index,
            width,
        } = path
        else {
            return Err(TrustError::Tile(path));
        };
        let (hashes, rest) = bytes.as_chunks::<HASH_SIZE>();
        if !rest.is_empty() || hashes.len() != usize::from(width) {
            return Err(TrustError::Tile(path));
        }
        if self.tiles.len() >= MAX_TILES {
            return Err(TrustError::TooManyTiles);
        }
        self.tiles.insert((level, index), hashes.to_vec());
        Ok(())
    }
}

impl HashReader for TileCache {
    type Error = Missing;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Missing> {
        let (tile_level, within) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let first = index << within;
        let path = TilePath::holding(TileKind::Hashes(tile_level), first, self.size)
            .expect("proofs ask for complete nodes of the tree only");
        let tile = self
            .tiles
            .get(&(tile_level, path.index))
            .ok_or(Missing(path))?;
        let position = (first % TILE_WIDTH) as usize;
        let mut nodes = tile[position..position + (1 << within)].to_vec();
        while nodes.len() > 1 {
            nodes = nodes
                .as_chunks()
                .0
                .iter()
                .map(|[left, right]| node_hash(left, right))
                .collect();
        }
        Ok(nodes[0])
    }
}
