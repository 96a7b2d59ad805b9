//! Trees read from tiles, and tiles made of new entries (c2sp.org/tlog-tiles).
//!
//! ```text
//! level 1                      [n0 n1 ....            ] partial: right edge, checked against the root
//!                               /   \
//! level 0     [h0 h1 ... h255] [h256 ... h511] [h512 ..] full tiles: checked against their parent
//! entries     [e0 e1 ... e255] [e256 ... e511] [e512 ..] checked against level 0
//! ```
//!
//! A [`TreeReader`] trusts one thing, the root hash it is opened with. The partial tiles at the right edge are hashed up to
//! that root when it opens; every full tile is compared with its node in the tile above when it is loaded; every entry with
//! its leaf hash. A bit that has flipped on disk therefore ends in an error that names the file, not in a proof.
//!
//! What is read of a log of any size is the right edge, once per checkpoint; of its upper tiles, few and wanted by every
//! proof, those that [`TileCache`] has not kept; and one tile of leaves per proof.

mod append;
mod bundle;
mod cache;
mod hash_tile;
mod inspect;
mod prove;
mod repair;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mtc_core::id::{EntryIndex, TreeSize};
use mtc_core::tile::{TILE_HEIGHT, TILE_WIDTH, TileKind, TilePath};
use mtc_core::tree::{self, HASH_SIZE, Hash, HashReader, Subtree};
use thiserror::Error;

pub(crate) use self::append::NewTiles;
pub(crate) use self::bundle::Bundle;
use self::cache::TileCache;
use self::hash_tile::HashTile;
pub use self::inspect::Inspection;
pub use self::repair::{Repaired, repair};
use crate::storage::{Object, Storage, StorageError};

/// Why a stored tree could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The storage failed.
    #[error("cannot read the log")]
    Storage(#[from] StorageError),
    /// A tile or entry bundle that the tree needs is not there.
    #[error("{object} is missing from a log of {size} entries")]
    Missing {
        /// The missing object.
        object: Object,
        /// Size of the tree.
        size: TreeSize,
    },
    /// A tile or entry bundle has not the form of one.
    #[error("{object} is malformed")]
    Malformed {
        /// The object.
        object: Object,
    },
    /// A tile or entry bundle does not hash to what the tile above it says.
    #[error("{object} contradicts {parent}: one of them is damaged")]
    Contradiction {
        /// The lower object.
        object: Object,
        /// The tile that holds its hashes.
        parent: Object,
    },
    /// The right edge does not hash to the signed root.
    #[error(
        "the tiles of a log of {size} entries do not hash to its checkpoint's root; one of these is damaged: {}",
        list(edge)
    )]
    RootMismatch {
        /// Size of the tree.
        size: TreeSize,
        /// The tiles at the right edge.
        edge: Vec<Object>,
    },
    /// A tile beyond the tree was asked for.
    #[error("a log of {size} entries has no tile {number} of {kind:?}")]
    NoSuchTile {
        /// Its level, or that it is an entry bundle.
        kind: TileKind,
        /// Its number.
        number: u64,
        /// Size of the tree.
        size: TreeSize,
    },
    /// An entry or subtree beyond the tree was asked for.
    #[error("entry {index} is beyond the log of {size} entries")]
    BeyondTree {
        /// The last entry asked for.
        index: EntryIndex,
        /// Size of the tree.
        size: TreeSize,
    },
    /// An entry was asked to be proven in a subtree that does not hold it.
    #[error("entry {index} is not in {subtree}")]
    IndexOutside {
        /// The entry.
        index: EntryIndex,
        /// The subtree.
        subtree: Subtree,
    },
}

impl TreeError {
    /// Whether what is stored is not what was signed. A read that failed says nothing of the kind: the next may not.
    pub const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Missing { .. }
                | Self::Malformed { .. }
                | Self::Contradiction { .. }
                | Self::RootMismatch { .. }
        )
    }
}

fn list(objects: &[Object]) -> String {
    objects
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The trees of one log's checkpoints, for readers that come again and again: what does not change between them is kept.
///
/// Memory is bounded, whatever the size of the log; see [`TreeReader`].
pub struct Trees {
    storage: Arc<dyn Storage>,
    tiles: Arc<TileCache>,
    newest: Mutex<Option<TreeReader>>,
}

impl Trees {
    /// The trees of the log in `storage`.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            storage,
            tiles: Arc::default(),
            newest: Mutex::new(None),
        }
    }

    /// Opens the tree of `size` entries whose root hash is `root`; at once if it is the one that was opened last.
    ///
    /// # Errors
    /// As [`TreeReader::open`].
    pub fn open(&self, size: TreeSize, root: Hash) -> Result<TreeReader, TreeError> {
        if let Some(kept) = &*self.newest()
            && (kept.size, kept.root) == (size, root)
        {
            return Ok(kept.again());
        }
        let reader = self.open_stored(size)?.rooted(root)?;
        self.keep(&reader);
        Ok(reader)
    }

    /// Opens the tree with whatever root its tiles hash to.
    pub(crate) fn open_stored(&self, size: TreeSize) -> Result<TreeReader, TreeError> {
        TreeReader::open_stored(Arc::clone(&self.storage), Arc::clone(&self.tiles), size)
    }

    /// Makes this the tree that was opened last.
    pub(crate) fn keep(&self, reader: &TreeReader) {
        *self.newest() = Some(reader.again());
    }

    fn newest(&self) -> MutexGuard<'_, Option<TreeReader>> {
        // A thread that panicked has not assigned to it: what is there is a tree that was opened.
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tree of one checkpoint, read from tiles and authenticated by the checkpoint's root.
///
/// Memory is bounded, whatever the size of the log: a tile per level, and a few MiB of upper tiles, which readers from one
/// [`Trees`] share. Each operation reads O(log n) tiles. Reads block on the storage.
pub struct TreeReader {
    storage: Arc<dyn Storage>,
    size: TreeSize,
    root: Hash,
    /// The partial tile of each level, `None` where the level ends with a full one. Pinned, because nothing above
    /// authenticates them a second time.
    edge: Arc<[Option<Arc<HashTile>>]>,
    tiles: Arc<TileCache>,
    /// The full tile of each level that was used last: neighbouring nodes are in it.
    path: RefCell<Vec<Option<NumberedTile>>>,
}

/// A tile with its number at its level.
type NumberedTile = (u64, Arc<HashTile>);

impl TreeReader {
    /// Opens the tree of `size` entries whose root hash is `root`.
    ///
    /// # Errors
    /// A tile at the right edge is missing or malformed, or the tiles hash to another root.
    pub fn open(storage: Arc<dyn Storage>, size: TreeSize, root: Hash) -> Result<Self, TreeError> {
        Self::open_stored(storage, Arc::default(), size)?.rooted(root)
    }

    fn open_stored(
        storage: Arc<dyn Storage>,
        tiles: Arc<TileCache>,
        size: TreeSize,
    ) -> Result<Self, TreeError> {
        let mut reader = Self {
            storage,
            size,
            root: tree::empty_hash(),
            edge: Arc::default(),
            tiles,
            path: RefCell::default(),
        };
        let mut edge = Vec::new();
        for level in 0.. {
            let nodes = reader.nodes(level);
            if nodes == 0 {
                break;
            }
            edge.push(match nodes % TILE_WIDTH {
                0 => None,
                _ => Some(Arc::new(reader.load(level, nodes / TILE_WIDTH)?)),
            });
        }
        reader.path = RefCell::new(vec![None; edge.len()]);
        reader.edge = edge.into();
        reader.root = tree::subtree_hash(&reader, Subtree::whole(size))?;
        Ok(reader)
    }

    /// This reader, if its tiles hash to `root`.
    fn rooted(self, root: Hash) -> Result<Self, TreeError> {
        if self.root == root {
            return Ok(self);
        }
        let edge = (0..)
            .zip(&*self.edge)
            .filter(|(_, tile)| tile.is_some())
            .map(|(level, _)| self.tile_object(level, self.nodes(level) / TILE_WIDTH));
        Err(TreeError::RootMismatch {
            size: self.size,
            edge: edge.collect::<Result<_, _>>()?,
        })
    }

    /// Another reader of the same tree.
    fn again(&self) -> Self {
        Self {
            storage: Arc::clone(&self.storage),
            size: self.size,
            root: self.root,
            edge: Arc::clone(&self.edge),
            tiles: Arc::clone(&self.tiles),
            path: RefCell::new(vec![None; self.edge.len()]),
        }
    }

    /// Number of entries.
    pub const fn size(&self) -> TreeSize {
        self.size
    }

    /// The root hash.
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// The bytes of an entry.
    ///
    /// # Errors
    /// The index is beyond the tree, or the entry cannot be read or contradicts its leaf hash.
    pub fn entry(&self, index: EntryIndex) -> Result<Vec<u8>, TreeError> {
        if !self.size.holds(index) {
            return Err(TreeError::BeyondTree {
                index,
                size: self.size,
            });
        }
        let bundle = self.checked_bundle(index.0 / TILE_WIDTH)?;
        Ok(bundle
            .entry((index.0 % TILE_WIDTH) as usize)
            .expect("a bundle that agrees with its tile has as many entries")
            .to_vec())
    }

    /// The entries of a bundle, checked against their leaf hashes.
    ///
    /// # Errors
    /// As [`TreeReader::entry`].
    pub fn bundle(&self, number: u64) -> Result<Vec<Vec<u8>>, TreeError> {
        let bundle = self.checked_bundle(number)?;
        Ok(bundle.entries().map(<[u8]>::to_vec).collect())
    }

    pub(crate) fn checked_bundle(&self, number: u64) -> Result<Bundle, TreeError> {
        let tile = self.tile(0, number)?;
        let object = self.object(TileKind::Entries, number)?;
        let Some(bundle) = Bundle::parse(self.read(&object)?) else {
            return Err(TreeError::Malformed { object });
        };
        if bundle
            .entries()
            .map(tree::leaf_hash)
            .eq(tile.hashes().iter().copied())
        {
            return Ok(bundle);
        }
        Err(TreeError::Contradiction {
            object,
            parent: self.tile_object(0, number)?,
        })
    }

    /// The hash of a subtree.
    ///
    /// # Errors
    /// The subtree reaches beyond the tree, or a tile cannot be read or is damaged.
    pub fn subtree_hash(&self, subtree: Subtree) -> Result<Hash, TreeError> {
        self.require(subtree)?;
        tree::subtree_hash(self, subtree)
    }

    /// The inclusion proof of an entry in a subtree.
    ///
    /// # Errors
    /// The subtree does not hold the entry or reaches beyond the tree, or a tile cannot be read or is damaged.
    pub fn inclusion_proof(
        &self,
        index: EntryIndex,
        subtree: Subtree,
    ) -> Result<Vec<Hash>, TreeError> {
        self.require(subtree)?;
        if !subtree.contains(index) {
            return Err(TreeError::IndexOutside { index, subtree });
        }
        tree::inclusion_proof(self, index, subtree)
    }

    /// The inclusion proofs of neighbouring entries in a subtree, in their order. What their proofs have in common, which
    /// is nearly everything, is looked up once.
    ///
    /// # Errors
    /// As [`TreeReader::inclusion_proof`], for the last entry.
    pub fn inclusion_proofs(
        &self,
        entries: Range<u64>,
        subtree: Subtree,
    ) -> Result<Vec<Vec<Hash>>, TreeError> {
        self.require(subtree)?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(index) = [entries.start, entries.end - 1]
            .map(EntryIndex)
            .into_iter()
            .find(|index| !subtree.contains(*index))
        {
            return Err(TreeError::IndexOutside { index, subtree });
        }
        prove::inclusion_proofs(self, entries, subtree)
    }

    /// The proof that a subtree is part of this tree.
    ///
    /// # Errors
    /// The subtree reaches beyond the tree, or a tile cannot be read or is damaged.
    pub fn consistency_proof(&self, subtree: Subtree) -> Result<Vec<Hash>, TreeError> {
        self.require(subtree)?;
        tree::consistency_proof(self, subtree, self.size)
    }

    fn require(&self, subtree: Subtree) -> Result<(), TreeError> {
        if subtree.end() <= self.size.0 {
            return Ok(());
        }
        Err(TreeError::BeyondTree {
            index: EntryIndex(subtree.end() - 1),
            size: self.size,
        })
    }

    /// Hashes at a tile level: complete subtrees of `256^level` entries.
    fn nodes(&self, level: u8) -> u64 {
        TileKind::Hashes(level).count_in(self.size)
    }

    fn tile_object(&self, level: u8, number: u64) -> Result<Object, TreeError> {
        self.object(TileKind::Hashes(level), number)
    }

    /// The tile or bundle with this number.
    fn object(&self, kind: TileKind, number: u64) -> Result<Object, TreeError> {
        let path = number
            .checked_mul(TILE_WIDTH)
            .and_then(|first| TilePath::holding(kind, first, self.size));
        path.map(Object::Tile).ok_or(TreeError::NoSuchTile {
            kind,
            number,
            size: self.size,
        })
    }

    /// A tile that has been authenticated.
    fn tile(&self, level: u8, number: u64) -> Result<Arc<HashTile>, TreeError> {
        let full = self.nodes(level) / TILE_WIDTH;
        if number < full {
            return self.full_tile(level, number);
        }
        let edge = self.edge_tile(level).filter(|_| number == full);
        edge.cloned().ok_or(TreeError::NoSuchTile {
            kind: TileKind::Hashes(level),
            number,
            size: self.size,
        })
    }

    /// The partial tile of a level, if it has one.
    fn edge_tile(&self, level: u8) -> Option<&Arc<HashTile>> {
        self.edge.get(usize::from(level)).and_then(Option::as_ref)
    }

    fn full_tile(&self, level: u8, number: u64) -> Result<Arc<HashTile>, TreeError> {
        if let Some((last, tile)) = &self.path.borrow()[usize::from(level)]
            && *last == number
        {
            return Ok(Arc::clone(tile));
        }
        let (above, position) = (number / TILE_WIDTH, number % TILE_WIDTH);
        let expected = self.tile(level + 1, above)?.hashes()[position as usize];
        let tile = match self.tiles.get(level, &expected) {
            Some(tile) => tile,
            None => {
                let tile = Arc::new(self.load(level, number)?);
                if tile.root() != Some(expected) {
                    return Err(TreeError::Contradiction {
                        object: self.tile_object(level, number)?,
                        parent: self.tile_object(level + 1, above)?,
                    });
                }
                self.tiles.insert(level, expected, &tile);
                tile
            }
        };
        self.path.borrow_mut()[usize::from(level)] = Some((number, Arc::clone(&tile)));
        Ok(tile)
    }

    fn load(&self, level: u8, number: u64) -> Result<HashTile, TreeError> {
        let object = self.tile_object(level, number)?;
        let bytes = self.read(&object)?;
        let width = (self.nodes(level) - number * TILE_WIDTH).min(TILE_WIDTH);
        match bytes.as_chunks::<HASH_SIZE>() {
            (hashes, []) if hashes.len() as u64 == width => Ok(HashTile::new(hashes)),
            _ => Err(TreeError::Malformed { object }),
        }
    }

    fn read(&self, object: &Object) -> Result<Vec<u8>, TreeError> {
        self.storage.get(object)?.ok_or_else(|| TreeError::Missing {
            object: object.clone(),
            size: self.size,
        })
    }
}

impl HashReader for TreeReader {
    type Error = TreeError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, TreeError> {
        let (tile_level, row) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let first = index << row;
        let tile = self.tile(tile_level, first / TILE_WIDTH)?;
        let node = tile.node(row, (first % TILE_WIDTH) >> row);
        let kind = TileKind::Hashes(tile_level);
        node.ok_or(TreeError::NoSuchTile {
            kind,
            number: first / TILE_WIDTH,
            size: self.size,
        })
    }
}
