//! Trees and proofs from tiles are those of a tree in memory.

use std::sync::{Arc, LazyLock};

use mtc_core::id::{EntryIndex, TreeSize};
use mtc_core::tree::{self, MemoryTree, Subtree, covering_subtrees, leaf_hash};
use mtc_log::{TreeError, TreeReader, Trees};
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, proptest};
use test_support::log_world::{NOW, World, all_entries, entries, tree_of};

use crate::storage::MemoryStorage;

/// Sizes at which the big log has had a checkpoint, around where tiles fill at levels 0, 1 and 2.
const SIZES: [u64; 12] = [
    1, 2, 255, 256, 257, 511, 513, 1000, 65_535, 65_536, 65_537, 66_000,
];

struct BigLog {
    storage: Arc<MemoryStorage>,
    tree: MemoryTree,
}

/// Built once: it takes a while.
static BIG_LOG: LazyLock<BigLog> = LazyLock::new(|| {
    let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    let mut log = world.create(&storage);
    let all = entries("big", 66_000);
    let mut start = 0;
    for end in SIZES.map(|size| size as usize) {
        log.append(&all[start..end], NOW)
            .expect("the storage works");
        start = end;
    }
    BigLog {
        storage,
        tree: tree_of(&all),
    }
});

/// The big log as it was at this size.
fn reader(size: u64) -> TreeReader {
    let Ok(root) = tree::subtree_hash(&BIG_LOG.tree, Subtree::whole(TreeSize(size)));
    TreeReader::open(BIG_LOG.storage.clone(), TreeSize(size), root)
        .expect("the tree of a checkpoint")
}

/// A size, a valid subtree below it and an entry in that.
fn places() -> impl Strategy<Value = (u64, Subtree, u64)> {
    let sizes = proptest::sample::select(&SIZES[..]);
    let intervals = sizes.prop_flat_map(|size| (Just(size), 0..size, 0..size, any::<bool>()));
    let subtrees = intervals.prop_map(|(size, a, b, first)| {
        let [left, right] = covering_subtrees(a.min(b), a.max(b) + 1);
        (
            size,
            if first || right.is_empty() {
                left
            } else {
                right
            },
        )
    });
    subtrees.prop_flat_map(|(size, subtree)| {
        (Just(size), Just(subtree), subtree.start()..subtree.end())
    })
}

proptest! {
    #[test]
    fn proofs_from_tiles_equal_proofs_from_memory((size, subtree, index) in places()) {
        let (reader, memory) = (reader(size), &BIG_LOG.tree);
        let Ok(hash) = tree::subtree_hash(memory, subtree);
        prop_assert_eq!(reader.subtree_hash(subtree).unwrap(), hash);
        let Ok(inclusion) = tree::inclusion_proof(memory, EntryIndex(index), subtree);
        prop_assert_eq!(&reader.inclusion_proof(EntryIndex(index), subtree).unwrap(), &inclusion);
        let Ok(consistency) = tree::consistency_proof(memory, subtree, TreeSize(size));
        prop_assert_eq!(reader.consistency_proof(subtree).unwrap(), consistency);
        let leaf = leaf_hash(&reader.entry(EntryIndex(index)).unwrap());
        prop_assert_eq!(tree::evaluate_inclusion(EntryIndex(index), subtree, leaf, &inclusion), Ok(hash));
    }

    #[test]
    fn trees_of_one_log_opened_in_any_order_do_not_mix(places in proptest::collection::vec(places(), 1..8)) {
        let trees = Trees::new(BIG_LOG.storage.clone());
        for (size, subtree, index) in places {
            let Ok(root) = tree::subtree_hash(&BIG_LOG.tree, Subtree::whole(TreeSize(size)));
            let reader = trees.open(TreeSize(size), root).unwrap();
            let Ok(inclusion) = tree::inclusion_proof(&BIG_LOG.tree, EntryIndex(index), subtree);
            prop_assert_eq!(reader.inclusion_proof(EntryIndex(index), subtree).unwrap(), inclusion);
            let Ok(consistency) = tree::consistency_proof(&BIG_LOG.tree, subtree, TreeSize(size));
            prop_assert_eq!(reader.consistency_proof(subtree).unwrap(), consistency);
        }
    }

    #[test]
    fn proofs_made_together_are_those_made_one_by_one((size, subtree, index) in places(), count in 1..40_u64) {
        let reader = reader(size);
        let end = subtree.end().min(index + count);
        let one_by_one: Vec<_> = (index..end)
            .map(|index| reader.inclusion_proof(EntryIndex(index), subtree).unwrap())
            .collect();
        prop_assert_eq!(reader.inclusion_proofs(index..end, subtree).unwrap(), one_by_one);
        let none = reader.inclusion_proofs(end..end, subtree).unwrap();
        prop_assert_eq!(none.len(), 0);
    }

    #[test]
    fn any_sequence_of_batches_makes_the_tree_of_its_entries(batches in proptest::collection::vec(1..400_u64, 1..6)) {
        let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
        let mut log = world.create(&storage);
        let mut all = Vec::new();
        for (number, count) in batches.into_iter().enumerate() {
            let new = entries(&format!("batch {number}"), count);
            let batch = log.append(&new, NOW).unwrap();
            prop_assert_eq!((batch.start, batch.end), (all.len() as u64, all.len() as u64 + count));
            all.extend(new);
            prop_assert_eq!(batch.checkpoint.root(), tree_of(&all).root());
        }
        prop_assert_eq!(all_entries(&log.reader().unwrap()), all);
    }
}

#[test]
fn the_empty_tree_has_a_root_and_nothing_else() {
    let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    let reader = world.create(&storage).reader().unwrap();
    assert_eq!(
        (reader.size(), reader.root()),
        (TreeSize::EMPTY, tree::empty_hash())
    );
    assert!(matches!(
        reader.entry(EntryIndex(0)),
        Err(TreeError::BeyondTree {
            index: EntryIndex(0),
            size: TreeSize::EMPTY
        })
    ));
    assert_eq!(
        reader
            .consistency_proof(Subtree::whole(TreeSize::EMPTY))
            .unwrap(),
        [[0; 32]; 0]
    );
}

#[test]
fn nothing_beyond_the_tree_can_be_read_or_proven() {
    let reader = reader(257);
    let beyond = Subtree::new(256, 258).unwrap();
    assert!(matches!(
        reader.entry(EntryIndex(257)),
        Err(TreeError::BeyondTree {
            index: EntryIndex(257),
            size: TreeSize(257)
        })
    ));
    assert!(matches!(
        reader.entry(EntryIndex(u64::MAX)),
        Err(TreeError::BeyondTree { .. })
    ));
    assert!(matches!(
        reader.bundle(2),
        Err(TreeError::NoSuchTile { number: 2, .. })
    ));
    assert!(matches!(
        reader.subtree_hash(beyond),
        Err(TreeError::BeyondTree { .. })
    ));
    assert!(matches!(
        reader.consistency_proof(beyond),
        Err(TreeError::BeyondTree { .. })
    ));
    assert!(matches!(
        reader.inclusion_proof(EntryIndex(256), beyond),
        Err(TreeError::BeyondTree { .. })
    ));
    let whole = Subtree::new(0, 256).unwrap();
    assert!(matches!(
        reader.inclusion_proof(EntryIndex(256), whole),
        Err(TreeError::IndexOutside {
            index: EntryIndex(256),
            ..
        })
    ));
    assert!(matches!(
        reader.inclusion_proofs(250..257, whole),
        Err(TreeError::IndexOutside {
            index: EntryIndex(256),
            ..
        })
    ));
    assert!(matches!(
        reader.inclusion_proofs(256..257, beyond),
        Err(TreeError::BeyondTree { .. })
    ));
}

#[test]
fn a_tree_with_another_root_is_not_opened_whatever_was_opened_before() {
    let trees = Trees::new(BIG_LOG.storage.clone());
    let Ok(root) = tree::subtree_hash(&BIG_LOG.tree, Subtree::whole(TreeSize(1000)));
    for _ in 0..2 {
        trees.open(TreeSize(1000), root).unwrap();
        let Err(TreeError::RootMismatch {
            size: TreeSize(1000),
            ..
        }) = trees.open(TreeSize(1000), [7; 32])
        else {
            panic!("another root");
        };
    }
}

#[test]
fn upper_tiles_are_read_once_and_the_newest_tree_is_at_hand() {
    let Ok(root) = tree::subtree_hash(&BIG_LOG.tree, Subtree::whole(TreeSize(66_000)));
    // Other tests read the big log at the same time: reads are counted on a copy.
    let storage = Arc::new(MemoryStorage::default());
    for path in BIG_LOG.storage.paths() {
        storage.replace(&path, BIG_LOG.storage.bytes(&path));
    }
    let trees = Trees::new(storage.clone());
    let reads = |index| {
        let (_, before) = storage.operations();
        let reader = trees.open(TreeSize(66_000), root).unwrap();
        reader
            .inclusion_proof(index, Subtree::whole(TreeSize(66_000)))
            .unwrap();
        storage.operations().1 - before
    };
    // Three partial tiles, the tile above the leaves, the leaves; then only leaves.
    assert_eq!(reads(EntryIndex(3)), 5);
    assert_eq!(reads(EntryIndex(40_000)), 1);
    assert_eq!(reads(EntryIndex(70 * 256)), 1);
    // The right edge is pinned.
    assert_eq!(reads(EntryIndex(65_999)), 0);
}

#[test]
fn the_cost_of_an_append_does_not_grow_with_the_log() {
    let cost = |size: u64| {
        let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
        let mut log = world.create(&storage);
        log.append(&entries("before", size), NOW).unwrap();
        let (puts, gets) = storage.operations();
        log.append(&entries("one more", 1), NOW).unwrap();
        let after = storage.operations();
        (after.0 - puts, after.1 - gets)
    };
    // Entry bundle, level-0 tile, checkpoint; then one more partial tile read per level.
    let (small, large) = (cost(300), cost(65_536 + 300));
    assert_eq!((small.0, large.0), (3, 3));
    assert!(large.1 <= small.1 + 4 * 2, "{small:?} {large:?}");
}
