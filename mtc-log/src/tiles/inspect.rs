//! Whether everything that a signed tree consists of is on disk as it was signed.
//!
//! ```text
//! root ── edge ── full tiles, from the top ── entry bundles        a step reads one bundle and what leads from it to the root
//! ```
//!
//! A log's writer reads little of what it has written long ago, and its relying parties read much: without this, they would be
//! the first to notice a bit that has flipped in an old tile.

use std::ops::Range;
use std::sync::Arc;

use mtc_core::tile::TILE_WIDTH;

use super::{TreeError, TreeReader};
use crate::checkpoint::CaCheckpoint;
use crate::storage::Storage;

/// Reads a whole log, bundle by bundle, at the pace of whoever calls [`Inspection::step`].
///
/// Nothing is kept from an earlier reading, so what is found is what the disk has now.
pub struct Inspection {
    tree: TreeReader,
    left: Range<u64>,
}

impl Inspection {
    /// An inspection of the tree of `checkpoint`. Blocks on the storage, as every step does.
    ///
    /// # Errors
    /// The right edge is damaged or cannot be read.
    pub fn begin(storage: Arc<dyn Storage>, checkpoint: &CaCheckpoint) -> Result<Self, TreeError> {
        let tree = TreeReader::open(storage, checkpoint.size(), checkpoint.root())?;
        let left = 0..tree.size().0.div_ceil(TILE_WIDTH);
        Ok(Self { tree, left })
    }

    /// Reads the next bundle of entries, its tile of leaf hashes, and the tiles above that have not been read. The entries that
    /// have been found sound so far, or `None` when all have.
    ///
    /// # Errors
    /// Something is damaged, missing or cannot be read. The next step tries the same again.
    pub fn step(&mut self) -> Result<Option<u64>, TreeError> {
        if self.left.is_empty() {
            return Ok(None);
        }
        self.tree.checked_bundle(self.left.start)?;
        self.left.start += 1;
        Ok(Some((self.left.start * TILE_WIDTH).min(self.tree.size().0)))
    }

    /// Takes all steps that are left.
    ///
    /// # Errors
    /// As [`Inspection::step`].
    pub fn finish(mut self) -> Result<(), TreeError> {
        while self.step()?.is_some() {}
        Ok(())
    }
}
