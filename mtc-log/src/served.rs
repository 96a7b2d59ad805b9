//! What a log shows of its storage: its checkpoint, and the tiles as far as that covers them.
//!
//! What lies beyond, after a crash or while witnesses are asked, may still be replaced by another batch.

use mtc_core::checkpoint::Checkpoint;
use mtc_core::id::TreeSize;
use mtc_core::note::SignedNote;
use mtc_core::tile::{TILE_WIDTH, TilePath};

use crate::storage::{Object, Storage, StorageError};

/// The bytes of an object, if the log in `storage` publishes it. Blocks on the storage.
///
/// # Errors
/// The storage failed.
pub fn read_served(
    storage: &dyn Storage,
    object: &Object,
) -> Result<Option<Vec<u8>>, StorageError> {
    match object {
        Object::Tile(path) if !covers(published_size(storage)?, path) => Ok(None),
        object => storage.get(object),
    }
}

/// Size of the published checkpoint; of a log that has none to show, nothing is published.
fn published_size(storage: &dyn Storage) -> Result<TreeSize, StorageError> {
    let note = storage.get(&Object::Checkpoint)?;
    let checkpoint = note
        .and_then(|note| SignedNote::parse(&note).ok())
        .and_then(|note| Checkpoint::parse(&note.text).ok());
    Ok(checkpoint.map_or(TreeSize::EMPTY, |checkpoint| checkpoint.size))
}

/// Whether all that is in a tile or bundle is in the tree of `size` entries.
fn covers(size: TreeSize, path: &TilePath) -> bool {
    let end = path
        .index
        .checked_mul(TILE_WIDTH)
        .and_then(|start| start.checked_add(path.width.into()));
    end.is_some_and(|end| end <= path.kind.count_in(size))
}
