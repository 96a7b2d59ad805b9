//! A tree read from tiles, and tiles made of new entries (c2sp.org/tlog-tiles).
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

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use mtc_core::tile::{TILE_HEIGHT, TILE_WIDTH, TileKind, TilePath};
use mtc_core::tree::{self, HASH_SIZE, Hash, HashReader, Subtree};
use mtc_core::wire;
use thiserror::Error;

use crate::storage::{Object, Storage, StorageError};

/// Full tiles kept by a [`TreeReader`], 16 KiB each: a proof touches two per tile level, of which there are six below the
/// largest log of 2^48 - 1 entries, and neighbouring entries share them.
const CACHED_TILES: usize = 12;

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
        size: u64,
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
        "the tiles of a log of {size} entries do not hash to its checkpoint's root; damaged is one of {}",
        list(edge)
    )]
    RootMismatch {
        /// Size of the tree.
        size: u64,
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
        size: u64,
    },
    /// An entry or subtree beyond the tree was asked for.
    #[error("entry {index} is beyond the log of {size} entries")]
    BeyondTree {
        /// The last entry asked for.
        index: u64,
        /// Size of the tree.
        size: u64,
    },
    /// An entry was asked to be proven in a subtree that does not hold it.
    #[error("entry {index} is not in {subtree}")]
    IndexOutside {
        /// The entry.
        index: u64,
        /// The subtree.
        subtree: Subtree,
    },
}

fn list(objects: &[Object]) -> String {
    objects
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The tree of one checkpoint, read from tiles and authenticated by the checkpoint's root.
///
/// Memory is bounded, whatever the size of the log; each operation reads O(log n) tiles. Reads block on the storage. Opening
/// is cheap, so open one per operation (or per batch of neighbouring entries) rather than keep it.
pub struct TreeReader {
    storage: Arc<dyn Storage>,
    size: u64,
    root: Hash,
    /// The partial tile of each level, `None` where the level ends with a full one. Pinned, because nothing above
    /// authenticates them a second time.
    edge: Vec<Option<Rc<HashTile>>>,
    /// Full tiles, most recently used last.
    cache: RefCell<VecDeque<CachedTile>>,
}

impl TreeReader {
    /// Opens the tree of `size` entries whose root hash is `root`.
    ///
    /// # Errors
    /// A tile at the right edge is missing or malformed, or the tiles hash to another root.
    pub fn open(storage: Arc<dyn Storage>, size: u64, root: Hash) -> Result<Self, TreeError> {
        let reader = Self::open_stored(storage, size)?;
        if reader.root == root {
            return Ok(reader);
        }
        let edge = (0..).zip(&reader.edge).filter(|(_, tile)| tile.is_some());
        let edge =
            edge.map(|(level, _)| reader.tile_object(level, reader.nodes(level) / TILE_WIDTH));
        let edge = edge.collect::<Result<_, _>>()?;
        Err(TreeError::RootMismatch { size, edge })
    }

    /// Opens the tree with whatever root its tiles hash to.
    pub(crate) fn open_stored(storage: Arc<dyn Storage>, size: u64) -> Result<Self, TreeError> {
        let mut reader = Self {
            storage,
            size,
            root: tree::empty_hash(),
            edge: Vec::new(),
            cache: RefCell::default(),
        };
        for level in 0.. {
            let nodes = reader.nodes(level);
            if nodes == 0 {
                break;
            }
            let partial = match nodes % TILE_WIDTH {
                0 => None,
                _ => Some(Rc::new(reader.load(level, nodes / TILE_WIDTH)?)),
            };
            reader.edge.push(partial);
        }
        reader.root = tree::subtree_hash(&reader, Subtree::whole(size))?;
        Ok(reader)
    }

    /// Number of entries.
    pub const fn size(&self) -> u64 {
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
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, TreeError> {
        if index >= self.size {
            return Err(TreeError::BeyondTree {
                index,
                size: self.size,
            });
        }
        Ok(self
            .bundle(index / TILE_WIDTH)?
            .swap_remove((index % TILE_WIDTH) as usize))
    }

    /// The entries of a bundle, checked against their leaf hashes.
    ///
    /// # Errors
    /// As [`TreeReader::entry`].
    pub fn bundle(&self, number: u64) -> Result<Vec<Vec<u8>>, TreeError> {
        let tile = self.tile(0, number)?;
        let object = self.object(TileKind::Entries, number, self.size)?;
        let bytes = self.read(&object)?;
        let entries = parse_bundle(&bytes).ok_or_else(|| TreeError::Malformed {
            object: object.clone(),
        })?;
        let hashes = entries.iter().map(|entry| tree::leaf_hash(entry));
        if hashes.eq(tile.hashes().iter().copied()) {
            return Ok(entries);
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
    pub fn inclusion_proof(&self, index: u64, subtree: Subtree) -> Result<Vec<Hash>, TreeError> {
        self.require(subtree)?;
        if !subtree.contains(index) {
            return Err(TreeError::IndexOutside { index, subtree });
        }
        tree::inclusion_proof(self, index, subtree)
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
        if subtree.end() <= self.size {
            return Ok(());
        }
        Err(TreeError::BeyondTree {
            index: subtree.end() - 1,
            size: self.size,
        })
    }

    /// Hashes at a tile level: complete subtrees of `256^level` entries.
    fn nodes(&self, level: u8) -> u64 {
        self.size
            .checked_shr(u32::from(TILE_HEIGHT) * u32::from(level))
            .unwrap_or(0)
    }

    fn tile_object(&self, level: u8, number: u64) -> Result<Object, TreeError> {
        self.object(TileKind::Hashes(level), number, self.nodes(level))
    }

    /// The tile or bundle `number` of a row of `count` hashes or entries.
    fn object(&self, kind: TileKind, number: u64, count: u64) -> Result<Object, TreeError> {
        let path = number
            .checked_mul(TILE_WIDTH)
            .and_then(|first| TilePath::holding(kind, first, count));
        path.map(Object::Tile).ok_or(TreeError::NoSuchTile {
            kind,
            number,
            size: self.size,
        })
    }

    /// A tile that has been authenticated.
    fn tile(&self, level: u8, number: u64) -> Result<Rc<HashTile>, TreeError> {
        let full = self.nodes(level) / TILE_WIDTH;
        if number < full {
            return self.full_tile(level, number);
        }
        let edge = self
            .edge
            .get(usize::from(level))
            .and_then(Option::as_ref)
            .filter(|_| number == full);
        edge.cloned().ok_or(TreeError::NoSuchTile {
            kind: TileKind::Hashes(level),
            number,
            size: self.size,
        })
    }

    fn full_tile(&self, level: u8, number: u64) -> Result<Rc<HashTile>, TreeError> {
        if let Some(tile) = self.cached(level, number) {
            return Ok(tile);
        }
        let tile = Rc::new(self.load(level, number)?);
        let parent = self.tile(level + 1, number / TILE_WIDTH)?;
        if tile.root() != parent.node(0, number % TILE_WIDTH) {
            let parent = self.tile_object(level + 1, number / TILE_WIDTH)?;
            return Err(TreeError::Contradiction {
                object: self.tile_object(level, number)?,
                parent,
            });
        }
        let mut cache = self.cache.borrow_mut();
        if cache.len() == CACHED_TILES {
            cache.pop_front();
        }
        cache.push_back(CachedTile {
            level,
            number,
            tile: Rc::clone(&tile),
        });
        Ok(tile)
    }

    fn cached(&self, level: u8, number: u64) -> Option<Rc<HashTile>> {
        let mut cache = self.cache.borrow_mut();
        let position = cache
            .iter()
            .position(|cached| (cached.level, cached.number) == (level, number))?;
        let cached = cache.remove(position)?;
        let tile = Rc::clone(&cached.tile);
        cache.push_back(cached);
        Some(tile)
    }

    fn load(&self, level: u8, number: u64) -> Result<HashTile, TreeError> {
        let object = self.tile_object(level, number)?;
        let bytes = self.read(&object)?;
        let width = (self.nodes(level) - number * TILE_WIDTH).min(TILE_WIDTH);
        match bytes.as_chunks::<HASH_SIZE>() {
            (hashes, []) if hashes.len() as u64 == width => Ok(HashTile::new(hashes.to_vec())),
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

/// A full tile that has been compared with its parent.
struct CachedTile {
    level: u8,
    number: u64,
    tile: Rc<HashTile>,
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

/// What the tree with new entries stores, to be put in this order: a tile after those it is made of.
pub(crate) struct NewTiles {
    /// Each with its bytes.
    pub(crate) objects: Vec<(Object, Vec<u8>)>,
    /// Size of the tree with the new entries.
    pub(crate) size: u64,
}

impl NewTiles {
    /// Appends entries to a tree. Reads the partial tiles and the partial bundle at the right edge and nothing else, so the
    /// cost depends on the number of new entries and not on the size of the log.
    ///
    /// # Errors
    /// The partial bundle cannot be read or is damaged.
    pub(crate) fn append(reader: &TreeReader, entries: &[Vec<u8>]) -> Result<Self, TreeError> {
        let mut new = Self {
            objects: Vec::new(),
            size: reader.size + entries.len() as u64,
        };
        new.bundles(reader, entries)?;
        let mut hashes: Vec<Hash> = entries.iter().map(|entry| tree::leaf_hash(entry)).collect();
        for level in 0.. {
            if hashes.is_empty() {
                break;
            }
            hashes = new.level(reader, level, hashes);
        }
        Ok(new)
    }

    fn bundles(&mut self, reader: &TreeReader, entries: &[Vec<u8>]) -> Result<(), TreeError> {
        let first = reader.size / TILE_WIDTH;
        let mut row = if reader.size.is_multiple_of(TILE_WIDTH) {
            Vec::new()
        } else {
            reader.bundle(first)?
        };
        row.extend_from_slice(entries);
        for (number, bundle) in (first..).zip(row.chunks(TILE_WIDTH as usize)) {
            self.push(
                TileKind::Entries,
                number,
                bundle.len(),
                encode_bundle(bundle),
            );
        }
        Ok(())
    }

    /// Appends hashes to a tile level; returns the roots of the tiles that this completes.
    fn level(&mut self, reader: &TreeReader, level: u8, hashes: Vec<Hash>) -> Vec<Hash> {
        let first = reader.nodes(level) / TILE_WIDTH;
        let edge = reader.edge.get(usize::from(level)).and_then(Option::as_ref);
        let mut row = edge.map_or_else(Vec::new, |tile| tile.hashes().to_vec());
        row.extend(hashes);
        for (number, tile) in (first..).zip(row.chunks(TILE_WIDTH as usize)) {
            self.push(TileKind::Hashes(level), number, tile.len(), tile.concat());
        }
        row.chunks_exact(TILE_WIDTH as usize)
            .filter_map(|tile| HashTile::new(tile.to_vec()).root())
            .collect()
    }

    fn push(&mut self, kind: TileKind, index: u64, width: usize, bytes: Vec<u8>) {
        let width = u16::try_from(width).expect("a tile is at most 256 wide");
        self.objects
            .push((Object::Tile(TilePath { kind, index, width }), bytes));
    }
}

/// A tile with the nodes inside it.
struct HashTile {
    /// `rows[r][i]` is the root of hashes `[i << r, (i + 1) << r)`; complete nodes only.
    rows: Vec<Vec<Hash>>,
}

impl HashTile {
    fn new(hashes: Vec<Hash>) -> Self {
        let mut rows = vec![hashes];
        for row in 0..usize::from(TILE_HEIGHT) {
            let pairs = rows[row].as_chunks::<2>().0;
            let next = pairs
                .iter()
                .map(|[left, right]| tree::node_hash(left, right))
                .collect();
            rows.push(next);
        }
        Self { rows }
    }

    fn hashes(&self) -> &[Hash] {
        &self.rows[0]
    }

    fn node(&self, row: u8, index: u64) -> Option<Hash> {
        self.rows[usize::from(row)].get(index as usize).copied()
    }

    /// The root of a full tile.
    fn root(&self) -> Option<Hash> {
        self.node(TILE_HEIGHT, 0)
    }
}

/// Entries, each behind its length in two bytes. That they fit has been checked by whoever accepted them.
fn encode_bundle(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).expect("entries are at most 65535 bytes");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    bytes
}

fn parse_bundle(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = wire::Reader::new(bytes);
    let mut entries = Vec::new();
    while !reader.is_empty() {
        let length = reader.uint16().ok()?;
        entries.push(reader.bytes(length.into()).ok()?.to_vec());
    }
    Some(entries)
}
