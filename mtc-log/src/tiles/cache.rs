//! Full tiles that have been authenticated, kept for the next proof.
//!
//! A tile is kept under its root hash, which is what the tile above has of it: whichever tree it is wanted for, and however
//! that tree has grown, a tile that is found is the right one. Tiles of leaves are not kept. There are as many of them as
//! of all others 256 times over, a proof of an entry somewhere in a large log wants one that no other proof has wanted
//! lately, and it would push out the tiles above, which every proof wants.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use mtc_core::tree::Hash;

use super::hash_tile::HashTile;

/// Tiles in a generation. Two generations of 256 tiles of 16 KiB are 8 MiB, and hold all upper tiles of a log of
/// 16 million entries at least.
const GENERATION: usize = 256;

/// A bounded cache; shared by readers.
#[derive(Default)]
pub(super) struct TileCache(Mutex<Generations>);

/// Tiles used since the last change of generations are young, and survive the next.
#[derive(Default)]
struct Generations {
    young: HashMap<Hash, Arc<HashTile>>,
    old: HashMap<Hash, Arc<HashTile>>,
}

impl TileCache {
    /// The tile of this level with this root hash.
    pub(super) fn get(&self, level: u8, root: &Hash) -> Option<Arc<HashTile>> {
        if level == 0 {
            return None;
        }
        let mut tiles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tile) = tiles.young.get(root) {
            return Some(Arc::clone(tile));
        }
        let tile = tiles.old.remove(root)?;
        tiles.insert(*root, &tile);
        Some(tile)
    }

    /// Keeps a tile of this level that has been found to have this root hash.
    pub(super) fn insert(&self, level: u8, root: Hash, tile: &Arc<HashTile>) {
        if level > 0 {
            let mut tiles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            tiles.insert(root, tile);
        }
    }
}

impl Generations {
    fn insert(&mut self, root: Hash, tile: &Arc<HashTile>) {
        if self.young.len() == GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(root, Arc::clone(tile));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(number: u16) -> (Hash, Arc<HashTile>) {
        let mut hash = [0; 32];
        hash[..2].copy_from_slice(&number.to_be_bytes());
        (hash, Arc::new(HashTile::new(&[hash])))
    }

    #[test]
    fn tiles_in_use_stay_and_the_cache_is_bounded() {
        let cache = TileCache::default();
        let (wanted, kept) = tile(u16::MAX);
        cache.insert(1, wanted, &kept);
        for number in 0..2000 {
            let (root, tile) = tile(number);
            cache.insert(1, root, &tile);
            assert!(cache.get(1, &wanted).is_some(), "after {number} others");
        }
        assert!(cache.get(1, &tile(0).0).is_none());
        let tiles = cache.0.lock().unwrap();
        assert!(tiles.young.len() <= GENERATION && tiles.old.len() <= GENERATION);
    }

    #[test]
    fn tiles_of_leaves_are_not_kept() {
        let cache = TileCache::default();
        let (root, leaves) = tile(1);
        cache.insert(0, root, &leaves);
        assert!(cache.get(0, &root).is_none() && cache.get(1, &root).is_none());
    }
}
