//! Hash tiles of a tree that grows, as far as they have been fetched.
//!
//! ```text
//!  tree of 700 entries:  tile/0/000   tile/0/001   tile/0/002.p/188
//!                            │ complete: the same      ✗ partial: changes with the tree
//!  of 900:               tile/0/000   tile/0/001   tile/0/002   tile/0/003.p/132
//! ```
//!
//! Tiles need no trust of their own: a wrong one makes a proof that does not verify, whereupon all are fetched anew.

use std::collections::HashMap;

use mtc_core::id::TreeSize;
use mtc_core::tile::{TILE_HEIGHT, TILE_WIDTH, TileKind, TilePath};
use mtc_core::tree::{HASH_SIZE, Hash, HashReader, node_hash};

use super::TrustError;

/// Tiles that one update may need: two subtrees of each of 4096 landmarks touch at most two tiles on each of six levels,
/// most of them shared; an honest log of this lab stays far below. They are kept until the next update: 32 MiB a log at the most.
pub(super) const MAX_TILES: usize = 4096;

/// A tile that a computation needs.
pub(super) struct Missing(pub(super) TilePath);

type Tiles = HashMap<(u8, u64), Vec<Hash>>;

/// Hash tiles of a tree.
pub(super) struct TileCache {
    size: TreeSize,
    tiles: Tiles,
    /// Complete ones that the update before needed, and this one has not yet.
    before: Tiles,
}

impl TileCache {
    /// None yet, of the empty tree.
    pub(super) fn new() -> Self {
        Self {
            size: TreeSize(0),
            tiles: Tiles::new(),
            before: Tiles::new(),
        }
    }

    /// Those that were needed, for the time until the next update.
    pub(super) fn settled(self) -> Self {
        Self {
            before: Tiles::new(),
            ..self
        }
    }

    /// Those of the tree at a later look. What was not needed at the one before is forgotten, and what was not complete.
    pub(super) fn resized(self, size: TreeSize) -> Self {
        let mut before = self.tiles;
        before.retain(|_, hashes| hashes.len() as u64 == TILE_WIDTH);
        Self {
            size,
            tiles: Tiles::new(),
            before,
        }
    }

    /// Has a tile that was there before; returns whether it was.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn recall(&mut self, path: TilePath) -> Result<bool, TrustError> {
        let TileKind::Hashes(level) = path.kind else {
            return Ok(false);
        };
        if u64::from(path.width) != TILE_WIDTH {
            return Ok(false);
        }
        let key = (level, path.index);
        let Some(hashes) = self.before.remove(&key) else {
            return Ok(false);
        };
        self.keep(key, hashes)?;
        Ok(true)
    }

    fn keep(&mut self, key: (u8, u64), hashes: Vec<Hash>) -> Result<(), TrustError> {
        if self.tiles.len() >= MAX_TILES {
            return Err(TrustError::TooManyTiles);
        }
        self.tiles.insert(key, hashes);
        Ok(())
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
        self.keep((level, index), hashes.to_vec())
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
