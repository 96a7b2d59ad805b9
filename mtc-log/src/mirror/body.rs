//! Uploads made from a log's tree: what a client of a mirror sends.

use mtc_core::tile::TILE_WIDTH;
use mtc_core::tree::Subtree;

use super::request::{Package, UploadHeader, aligned};
use crate::tiles::{TreeError, TreeReader};

/// Most packages in a request: so c2sp.org/tlog-mirror recommends.
const MAX_PACKAGES: usize = 32;
/// A request of so many bytes gets no further package.
const MAX_BYTES: usize = 4 << 20;

/// The body of an `add-entries` request, with as many packages as belong into one; the mirror says where the next goes on. `tree` is
/// that of the checkpoint of `header.end` entries. Blocks on the storage.
///
/// # Errors
/// The tree cannot be read or is damaged, or is smaller.
///
/// # Panics
/// Origin or ticket is longer than 65535 bytes.
pub fn upload_body(header: &UploadHeader, tree: &TreeReader) -> Result<Vec<u8>, TreeError> {
    let mut body = header.encode().expect("the caller has made sure of it");
    for range in header.packages().take(MAX_PACKAGES) {
        let first = aligned(range.start);
        let subtree = Subtree::new(first, range.end)
            .expect("up to 256 entries from a multiple of 256 are a subtree");
        let mut entries = tree.bundle(range.start / TILE_WIDTH)?;
        entries.truncate((range.end - first) as usize);
        entries.drain(..(range.start - first) as usize);
        let package = Package {
            entries,
            proof: tree.consistency_proof(subtree)?,
        };
        package
            .encode_to(&mut body)
            .expect("entries of a log and proofs in it are not longer than that");
        if body.len() >= MAX_BYTES {
            break;
        }
    }
    Ok(body)
}
