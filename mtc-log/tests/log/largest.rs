//! The last indices of the largest log, with tiles that are computed instead of stored.

use std::convert::Infallible;
use std::sync::Arc;

use mtc_core::entry::MtcLogEntry;
use mtc_core::id::{EntryIndex, TreeSize};
use mtc_core::tile::{TILE_HEIGHT, TILE_WIDTH, TileKind, TilePath};
use mtc_core::tree::{
    self, Hash, HashReader, Subtree, covering_subtrees, evaluate_inclusion, leaf_hash, node_hash,
};
use mtc_log::{AppendError, MAX_LOG_SIZE, Object, Storage, StorageError};
use test_support::log_world::{NOW, World, entries};

use crate::storage::MemoryStorage;

/// A log of null entries up to `size`, and over it whatever is written.
pub(crate) struct NullLog {
    size: u64,
    /// The one hash that all complete nodes of a level have.
    levels: Vec<Hash>,
    written: MemoryStorage,
}

impl NullLog {
    /// Signed by the world's CA.
    pub(crate) fn new(world: &World, size: u64) -> Arc<Self> {
        let null = MtcLogEntry::NULL.encode().expect("four bytes");
        let levels = std::iter::successors(Some(leaf_hash(&null)), |below| {
            Some(node_hash(below, below))
        });
        let log = Self {
            size,
            levels: levels.take(64).collect(),
            written: MemoryStorage::default(),
        };
        let Ok(root) = tree::subtree_hash(&log, Subtree::whole(TreeSize(size)));
        log.written
            .put(&Object::SignedCheckpoint, &world.signed_note(size, root))
            .expect("memory works");
        Arc::new(log)
    }

    fn computed(&self, path: TilePath) -> Option<Vec<u8>> {
        let (level, element) = match path.kind {
            TileKind::Entries => (0, &[0, 4, 0, 0, 0, 0][..]),
            TileKind::Hashes(level) => {
                let level = TILE_HEIGHT * level;
                (level, &self.levels[usize::from(level)][..])
            }
        };
        let end = path.index * TILE_WIDTH + u64::from(path.width);
        (end <= self.size >> level).then(|| element.repeat(path.width.into()))
    }
}

impl HashReader for NullLog {
    type Error = Infallible;

    fn node(&self, level: u8, _index: u64) -> Result<Hash, Infallible> {
        Ok(self.levels[usize::from(level)])
    }
}

impl Storage for NullLog {
    fn put(&self, object: &Object, bytes: &[u8]) -> Result<(), StorageError> {
        self.written.put(object, bytes)
    }

    fn get(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(match (self.written.get(object)?, object) {
            (None, Object::Tile(path)) => self.computed(*path),
            (written, _) => written,
        })
    }

    fn is_empty(&self) -> Result<bool, StorageError> {
        Ok(false)
    }
}

#[test]
fn the_last_entries_that_fit_are_appended_and_proven() {
    let world = World::new();
    let mut log = world
        .open(&NullLog::new(&world, MAX_LOG_SIZE.0 - 700))
        .unwrap();
    let mut appended = Vec::new();
    for (label, count) in [("before", 100), ("last", 600)] {
        let new = entries(label, count);
        let batch = log.append(&new, NOW).unwrap();
        appended.extend(new);
        let reader = log.reader().unwrap();
        for subtree in covering_subtrees(batch.start, batch.end) {
            let (hash, _) = log.cosign_subtree(subtree).unwrap();
            let start = subtree.start().max(batch.start);
            let proofs = reader
                .inclusion_proofs(start..subtree.end(), subtree)
                .unwrap();
            for (index, proof) in (start..).zip(&proofs) {
                let entry = &appended[(index - (MAX_LOG_SIZE.0 - 700)) as usize];
                assert_eq!(
                    evaluate_inclusion(EntryIndex(index), subtree, leaf_hash(entry), proof),
                    Ok(hash)
                );
                assert_eq!(&reader.entry(EntryIndex(index)).unwrap(), entry);
                assert_eq!(
                    &reader.inclusion_proof(EntryIndex(index), subtree).unwrap(),
                    proof
                );
            }
        }
    }
    assert_eq!(log.signed().size(), MAX_LOG_SIZE);
}

#[test]
fn entries_anywhere_in_the_largest_log_are_proven_in_the_whole_of_it() {
    let world = World::new();
    let log = world.open(&NullLog::new(&world, MAX_LOG_SIZE.0)).unwrap();
    let reader = log.reader().unwrap();
    let whole = Subtree::whole(MAX_LOG_SIZE);
    let null = leaf_hash(&MtcLogEntry::NULL.encode().unwrap());
    for index in [
        0,
        255,
        256,
        1 << 40,
        (1 << 47) - 1,
        1 << 47,
        MAX_LOG_SIZE.0 - 1,
    ] {
        assert_eq!(
            MtcLogEntry::decode(&reader.entry(EntryIndex(index)).unwrap()),
            Ok(MtcLogEntry::NULL)
        );
        let proof = reader.inclusion_proof(EntryIndex(index), whole).unwrap();
        assert_eq!(
            evaluate_inclusion(EntryIndex(index), whole, null, &proof),
            Ok(reader.root()),
            "entry {index}"
        );
    }
    let first_half = Subtree::new(0, 1 << 47).unwrap();
    tree::verify_consistency(
        first_half,
        MAX_LOG_SIZE,
        &reader.subtree_hash(first_half).unwrap(),
        &reader.root(),
        &reader.consistency_proof(first_half).unwrap(),
    )
    .unwrap();
}

#[test]
fn a_full_log_says_so_and_stays_readable() {
    let world = World::new();
    let storage = NullLog::new(&world, MAX_LOG_SIZE.0 - 1);
    let mut log = world.open(&storage).unwrap();
    let error = log.append(&entries("too many", 2), NOW).unwrap_err();
    assert!(
        matches!(error, AppendError::Full { size } if size.0 == MAX_LOG_SIZE.0 - 1)
            && !error.is_fatal()
    );
    log.append(&entries("the last", 1), NOW).unwrap();
    let error = log.append(&entries("one more", 1), NOW).unwrap_err();
    assert!(matches!(error, AppendError::Full { size: MAX_LOG_SIZE }) && !error.is_fatal());
    drop(log);
    let log = world.open(&storage).unwrap();
    assert_eq!(
        log.reader()
            .unwrap()
            .entry(EntryIndex(MAX_LOG_SIZE.0 - 1))
            .unwrap(),
        b"the last 0"
    );
}

#[test]
fn a_log_that_is_larger_than_logs_can_be_takes_no_entries() {
    let world = World::new();
    let mut log = world
        .open(&NullLog::new(&world, MAX_LOG_SIZE.0 + 5))
        .unwrap();
    assert!(matches!(
        log.append(&entries("one more", 1), NOW),
        Err(AppendError::Full { .. })
    ));
}
