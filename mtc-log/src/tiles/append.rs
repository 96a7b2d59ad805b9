//! Tiles and bundles of a tree with new entries.

use mtc_core::id::TreeSize;
use mtc_core::tile::{TILE_WIDTH, TileKind, TilePath};
use mtc_core::tree::{self, Hash};

use super::{Bundle, HashTile, TreeError, TreeReader};
use crate::storage::Object;

/// Hashes or entries in a tile, as a length.
const WIDTH: usize = TILE_WIDTH as usize;

/// What the tree with new entries stores. A partial tile or bundle of the old tree stays beside the wider one.
pub(crate) struct NewTiles {
    /// Each with its bytes.
    pub(crate) objects: Vec<(Object, Vec<u8>)>,
    /// Size of the tree with the new entries.
    pub(crate) size: TreeSize,
}

impl NewTiles {
    /// Appends entries to a tree. Reads the partial bundle at the right edge and nothing else, so the cost depends on the
    /// number of new entries and not on the size of the log.
    ///
    /// # Errors
    /// The partial bundle cannot be read or is damaged.
    pub(crate) fn append(reader: &TreeReader, entries: &[Vec<u8>]) -> Result<Self, TreeError> {
        let mut new = Self {
            objects: Vec::new(),
            size: TreeSize(reader.size.0 + entries.len() as u64),
        };
        new.bundles(reader, entries)?;
        let mut hashes: Vec<Hash> = entries.iter().map(|entry| tree::leaf_hash(entry)).collect();
        for level in 0.. {
            if hashes.is_empty() {
                break;
            }
            hashes = new.level(reader, level, &hashes);
        }
        Ok(new)
    }

    /// The partial tiles and the partial bundle at the right edge of the tree's first `size` entries, cut from what the tree has.
    ///
    /// # Errors
    /// A tile cannot be read or is damaged.
    pub(crate) fn edge(reader: &TreeReader, size: TreeSize) -> Result<Self, TreeError> {
        let mut edge = Self {
            objects: Vec::new(),
            size,
        };
        let (number, width) = (size.0 / TILE_WIDTH, (size.0 % TILE_WIDTH) as usize);
        if width > 0 {
            let whole = reader.checked_bundle(number)?;
            let mut bundle = Bundle::default();
            whole
                .entries()
                .take(width)
                .for_each(|entry| bundle.push(entry));
            edge.push(TileKind::Entries, number, width, bundle.into_bytes());
        }
        for level in 0.. {
            let kind = TileKind::Hashes(level);
            let nodes = kind.count_in(size);
            if nodes == 0 {
                break;
            }
            let (number, width) = (nodes / TILE_WIDTH, (nodes % TILE_WIDTH) as usize);
            if width > 0 {
                let whole = reader.tile(level, number)?;
                let bytes = whole.hashes()[..width].as_flattened().to_vec();
                edge.push(kind, number, width, bytes);
            }
        }
        Ok(edge)
    }

    fn bundles(&mut self, reader: &TreeReader, entries: &[Vec<u8>]) -> Result<(), TreeError> {
        let first = reader.size.0 / TILE_WIDTH;
        let mut bundle = if reader.size.0.is_multiple_of(TILE_WIDTH) {
            Bundle::default()
        } else {
            reader.checked_bundle(first)?
        };
        let mut rest = entries;
        for number in first.. {
            let (new, after) = rest.split_at(rest.len().min(WIDTH - bundle.len()));
            new.iter().for_each(|entry| bundle.push(entry));
            let width = bundle.len();
            self.push(TileKind::Entries, number, width, bundle.into_bytes());
            if after.is_empty() {
                break;
            }
            (bundle, rest) = (Bundle::default(), after);
        }
        Ok(())
    }

    /// Appends hashes to a tile level; returns the roots of the tiles that this completes.
    fn level(&mut self, reader: &TreeReader, level: u8, hashes: &[Hash]) -> Vec<Hash> {
        let first = reader.nodes(level) / TILE_WIDTH;
        let edge = reader
            .edge_tile(level)
            .map_or(&[][..], |tile| tile.hashes());
        let row = [edge, hashes].concat();
        let mut roots = Vec::with_capacity(row.len() / WIDTH);
        for (number, tile) in (first..).zip(row.chunks(WIDTH)) {
            if tile.len() == WIDTH {
                roots.extend(HashTile::new(tile).root());
            }
            let bytes = tile.as_flattened().to_vec();
            self.push(TileKind::Hashes(level), number, tile.len(), bytes);
        }
        roots
    }

    fn push(&mut self, kind: TileKind, index: u64, width: usize, bytes: Vec<u8>) {
        let width = u16::try_from(width).expect("a tile is at most 256 wide");
        self.objects
            .push((Object::Tile(TilePath { kind, index, width }), bytes));
    }
}
