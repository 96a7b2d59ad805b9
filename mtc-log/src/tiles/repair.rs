//! Damaged tiles, put back from what determines them.
//!
//! ```text
//! a full tile       its root is in the tile above: it is right if it hashes to that, wherever its hashes come from
//! the right edge    its tiles together hash to the signed root: a choice of candidates for each is right if it does
//! candidates        what is stored; the roots of the stored tiles below; what the entries hash to
//! entries           nothing determines them: a damaged bundle has to come from a copy
//! ```
//!
//! Nothing is written that does not lead to the signed root.

use std::cell::RefCell;
use std::sync::Arc;

use mtc_core::id::TreeSize;
use mtc_core::tile::{TILE_WIDTH, TileKind};
use mtc_core::tree::{self, Hash, Subtree};

use super::bundle::Bundle;
use super::hash_tile::HashTile;
use super::{TreeError, TreeReader};
use crate::storage::{Object, Storage, StorageError};

/// What [`repair`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Tiles that were damaged or missing, and are whole again.
    pub restored: Vec<Object>,
    /// What is damaged or missing, and cannot be had from the rest of the log.
    pub lost: Vec<Object>,
}

/// Finds the damaged tiles of the tree of `size` entries whose root hash is `root`, and restores what the rest of the log
/// determines. Reads the whole log; nobody may extend it meanwhile. Memory: an eighth of a byte for each entry.
///
/// # Errors
/// The storage failed, or the right edge is damaged beyond what can be had from the rest: then nothing was written.
pub fn repair(
    storage: Arc<dyn Storage>,
    size: TreeSize,
    root: Hash,
) -> Result<Repaired, TreeError> {
    let mut repair = Repair {
        tree: TreeReader {
            storage,
            size,
            root,
            edge: Arc::default(),
            tiles: Arc::default(),
            path: RefCell::default(),
        },
        from_entries: Vec::new(),
        last_leaves: None,
        repaired: Repaired::default(),
    };
    repair.read_entries()?;
    repair.restore_edge()?;
    repair.restore_full_tiles()?;
    repair.judge_bundles()?;
    Ok(repair.repaired)
}

struct Repair {
    tree: TreeReader,
    /// Row `l`: the roots of the full tiles of level `l`, as far as the entries can be read.
    from_entries: Vec<Vec<Option<Hash>>>,
    /// The leaf hashes of the last bundle, if it is not full.
    last_leaves: Option<Vec<Hash>>,
    repaired: Repaired,
}

impl Repair {
    fn read_entries(&mut self) -> Result<(), TreeError> {
        let size = self.tree.size.0;
        let mut row = Vec::new();
        for number in 0..size.div_ceil(TILE_WIDTH) {
            let leaves = self.leaves(number)?;
            if (number + 1) * TILE_WIDTH <= size {
                row.push(leaves.and_then(|leaves| HashTile::new(&leaves).root()));
            } else {
                self.last_leaves = leaves;
            }
        }
        while !row.is_empty() {
            let above = row
                .as_chunks::<{ TILE_WIDTH as usize }>()
                .0
                .iter()
                .map(|tile| HashTile::new(&all(tile.iter().copied())?).root())
                .collect();
            self.from_entries.push(row);
            row = above;
        }
        Ok(())
    }

    /// The hashes of the entries of a bundle, if it has as many as it must.
    fn leaves(&self, number: u64) -> Result<Option<Vec<Hash>>, TreeError> {
        let object = self.tree.object(TileKind::Entries, number)?;
        let bundle = self.tree.storage.get(&object)?.and_then(Bundle::parse);
        let leaves: Option<Vec<_>> =
            bundle.map(|bundle| bundle.entries().map(tree::leaf_hash).collect());
        Ok(leaves.filter(|leaves| leaves.len() as u64 == self.width(0, number)))
    }

    fn width(&self, level: u8, number: u64) -> u64 {
        (self.tree.nodes(level) - number * TILE_WIDTH).min(TILE_WIDTH)
    }

    /// What a tile may be, each once, and what is stored first, if it has the form of one.
    fn candidates(&self, level: u8, number: u64) -> Result<Vec<Vec<Hash>>, TreeError> {
        let mut candidates: Vec<Vec<Hash>> = Vec::new();
        let mut add = |candidate: Option<Vec<Hash>>| {
            if let Some(candidate) = candidate
                && !candidates.contains(&candidate)
            {
                candidates.push(candidate);
            }
        };
        add(self.stored(level, number)?);
        let (first, width) = (number * TILE_WIDTH, self.width(level, number));
        match level.checked_sub(1) {
            None if width == TILE_WIDTH => add(self.leaves(number)?),
            None => add(self.last_leaves.clone()),
            Some(below) => {
                let mut roots = Vec::new();
                for child in first..first + width {
                    let stored = self.stored(below, child)?;
                    roots.push(stored.and_then(|hashes| HashTile::new(&hashes).root()));
                }
                add(all(roots.iter().copied()));
                let row = &self.from_entries[usize::from(below)];
                let row = &row[first as usize..(first + width) as usize];
                add(all(row.iter().copied()));
                // Some of the tiles below are damaged, and some of the entries.
                add(all(roots
                    .iter()
                    .zip(row)
                    .map(|(root, entries)| entries.or(*root))));
            }
        }
        Ok(candidates)
    }

    fn stored(&self, level: u8, number: u64) -> Result<Option<Vec<Hash>>, TreeError> {
        match self.tree.load(level, number) {
            Ok(tile) => Ok(Some(tile.hashes().to_vec())),
            Err(TreeError::Storage(error)) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Tries the candidates of the tiles at the right edge together: of each of at most six levels four.
    fn restore_edge(&mut self) -> Result<(), TreeError> {
        let mut levels = Vec::new();
        for level in 0..=u8::MAX {
            let nodes = self.tree.nodes(level);
            if nodes == 0 {
                break;
            }
            levels.push(match nodes % TILE_WIDTH {
                0 => vec![None],
                _ => self
                    .candidates(level, nodes / TILE_WIDTH)?
                    .into_iter()
                    .map(Some)
                    .collect(),
            });
        }
        self.tree.path = RefCell::new(vec![None; levels.len()]);
        let choices: usize = levels.iter().map(Vec::len).product();
        for choice in 0..choices {
            let mut rest = choice;
            let chosen: Vec<&Option<Vec<Hash>>> = levels
                .iter()
                .map(|candidates| {
                    let one = &candidates[rest % candidates.len()];
                    rest /= candidates.len();
                    one
                })
                .collect();
            self.tree.edge = chosen
                .iter()
                .map(|hashes| {
                    hashes
                        .as_ref()
                        .map(|hashes| Arc::new(HashTile::new(hashes)))
                })
                .collect();
            if tree::subtree_hash(&self.tree, Subtree::whole(self.tree.size))? != self.tree.root {
                continue;
            }
            for (level, hashes) in (0..).zip(chosen) {
                if let Some(hashes) = hashes {
                    self.restore(level, self.tree.nodes(level) / TILE_WIDTH, hashes)?;
                }
            }
            return Ok(());
        }
        let edge = (0..)
            .zip(&levels)
            .filter(|(_, candidates)| candidates.first() != Some(&None))
            .map(|(level, _)| {
                self.tree
                    .tile_object(level, self.tree.nodes(level) / TILE_WIDTH)
            })
            .collect::<Result<_, _>>()?;
        Err(TreeError::RootMismatch {
            size: self.tree.size,
            edge,
        })
    }

    /// Level by level from the top, so that what is above a tile is whole, or lost, when it is judged.
    fn restore_full_tiles(&mut self) -> Result<(), TreeError> {
        for level in (0..self.tree.edge.len() as u8).rev() {
            for number in 0..self.tree.nodes(level) / TILE_WIDTH {
                let Ok(above) = self.tree.tile(level + 1, number / TILE_WIDTH) else {
                    continue; // It is lost, and what it has of this tile with it.
                };
                let expected = above.hashes()[(number % TILE_WIDTH) as usize];
                let is_right = |hashes: &Vec<Hash>| HashTile::new(hashes).root() == Some(expected);
                if self.stored(level, number)?.as_ref().is_some_and(is_right) {
                    continue;
                }
                match self.candidates(level, number)?.into_iter().find(is_right) {
                    Some(hashes) => self.restore(level, number, &hashes)?,
                    None => {
                        let object = self.tree.tile_object(level, number)?;
                        self.repaired.lost.push(object);
                    }
                }
            }
        }
        Ok(())
    }

    /// Stores a tile, unless it is stored.
    fn restore(&mut self, level: u8, number: u64, hashes: &[Hash]) -> Result<(), TreeError> {
        if self.stored(level, number)?.as_deref() == Some(hashes) {
            return Ok(());
        }
        let object = self.tree.tile_object(level, number)?;
        self.tree.storage.put(&object, hashes.as_flattened())?;
        self.repaired.restored.push(object);
        Ok(())
    }

    fn judge_bundles(&mut self) -> Result<(), StorageError> {
        for number in 0..self.tree.size.0.div_ceil(TILE_WIDTH) {
            match self.tree.checked_bundle(number) {
                Err(TreeError::Storage(error)) => return Err(error),
                Err(
                    TreeError::Missing { object, .. }
                    | TreeError::Malformed { object }
                    | TreeError::Contradiction { object, .. },
                ) if !self.repaired.lost.contains(&object) => self.repaired.lost.push(object),
                _ => {}
            }
        }
        Ok(())
    }
}

fn all(hashes: impl Iterator<Item = Option<Hash>>) -> Option<Vec<Hash>> {
    hashes.collect()
}
