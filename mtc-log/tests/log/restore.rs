//! A lost log is made again from a copy, and from nothing that the CA has not signed.

use std::sync::Arc;
use std::time::Duration;

use mtc_core::id::TreeSize;
use mtc_core::landmark::LandmarkSequence;
use mtc_core::time::UnixTime;
use mtc_log::{
    CaCheckpoint, IssuanceLog, LandmarkPolicy, LandmarkStore, Object, RestoreError, Storage,
    TreeReader, restore,
};

use crate::storage::MemoryStorage;
use test_support::log_world::{NOW, World, all_entries, entries};
use test_support::storage_contract::Fault;

const POLICY: LandmarkPolicy = LandmarkPolicy {
    time_between: Duration::from_secs(60),
    first_time_between: Duration::from_secs(60),
    max_certificate_lifetime: Duration::from_secs(3600),
};

/// A log of some entries with two landmarks, as others see it.
struct Scene {
    world: World,
    log: IssuanceLog,
    landmarks: LandmarkSequence,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let mut log = world.create(&Arc::new(MemoryStorage::default()));
        for (count, time) in [(700, NOW), (9000, UnixTime(NOW.0 + 60))] {
            let batch = log.append(&entries("entry", count), time).expect("works");
            log.publish(&batch.checkpoint.to_note()).expect("works");
            let mut store = LandmarkStore::open(log.storage(), POLICY, log.published());
            let store = store.as_mut().expect("works");
            store.allocate(&batch.checkpoint, time).expect("due");
        }
        let document = log.storage().get(&Object::Landmarks).expect("works");
        let document = String::from_utf8(document.expect("two landmarks")).expect("text");
        let landmarks = LandmarkSequence::parse(&document, NOW).expect("landmarks");
        Self {
            world,
            log,
            landmarks,
        }
    }

    fn restore(&self, storage: &Arc<MemoryStorage>) -> Result<(), RestoreError> {
        let tree = self.log.reader().expect("a sound log");
        let storage: Arc<dyn Storage> = storage.clone();
        restore(
            &tree,
            self.log.signed(),
            Some(&self.landmarks),
            &storage,
            |_| {},
        )
    }
}

#[test]
fn what_was_lost_is_what_it_was_and_goes_on() {
    let scene = Scene::new();
    let storage = Arc::new(MemoryStorage::default());
    scene.restore(&storage).unwrap();
    let mut log = scene.world.open(&storage).unwrap();
    assert_eq!(log.signed(), scene.log.signed());
    let all = all_entries(&scene.log.reader().unwrap());
    assert_eq!(all_entries(&log.reader().unwrap()), all);
    let store = LandmarkStore::open(storage.clone(), POLICY, log.published()).unwrap();
    assert_eq!(store.sequence(), &scene.landmarks);
    let next = entries("next", 10);
    log.append(&next, UnixTime(NOW.0 + 60)).unwrap();
    assert_eq!(all_entries(&log.reader().unwrap()), [all, next].concat());
    let again = scene.restore(&storage);
    assert!(
        matches!(again, Err(RestoreError::Exists { .. })),
        "{again:?}"
    );
}

#[test]
fn an_interrupted_restore_leaves_no_log_and_can_be_made_again() {
    let scene = Scene::new();
    for fault in Fault::ALL {
        for successes in 0.. {
            let storage = Arc::new(MemoryStorage::default());
            storage.fail_after(successes, fault);
            let restored = scene.restore(&storage);
            if storage.disarm() {
                restored.unwrap();
                break;
            }
            restored.unwrap_err();
            // The last write makes it a log, and may have got there though it failed.
            if storage.get(&Object::SignedCheckpoint).unwrap().is_none() {
                scene.restore(&storage).unwrap();
            }
            assert_eq!(
                scene.world.open(&storage).unwrap().signed(),
                scene.log.signed()
            );
        }
    }
}

#[test]
fn a_damaged_copy_or_one_of_another_checkpoint_is_refused() {
    let scene = Scene::new();
    let tree = scene.log.reader().unwrap();
    let small = TreeReader::open(
        scene.log.storage(),
        TreeSize(700),
        tree.subtree_hash(mtc_core::tree::Subtree::whole(TreeSize(700)))
            .unwrap(),
    )
    .unwrap();
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let refused = restore(&small, scene.log.signed(), None, &storage, |_| {});
    assert!(matches!(refused, Err(RestoreError::OtherTree)));
    let note = scene.world.signed_note(700, small.root());
    let old = CaCheckpoint::verify(&note, &scene.world.log, &scene.world.ca()).unwrap();
    let refused = restore(&small, &old, Some(&scene.landmarks), &storage, |_| {});
    assert!(
        matches!(refused, Err(RestoreError::Beyond { .. })),
        "{refused:?}"
    );
    let damaged = Object::served_at("tile/entries/010").unwrap();
    let copied = scene.log.storage();
    let mut bytes = copied.get(&damaged).unwrap().unwrap();
    bytes[2] ^= 1;
    copied.put(&damaged, &bytes).unwrap();
    let refused = restore(&tree, scene.log.signed(), None, &storage, |_| {});
    assert!(matches!(refused, Err(RestoreError::Copy(_))), "{refused:?}");
    assert!(storage.get(&Object::SignedCheckpoint).unwrap().is_none());
}

#[test]
fn what_is_left_of_a_newer_log_is_not_written_over() {
    let scene = Scene::new();
    let root = scene.log.signed().root();
    let newer = scene.world.signed_note(9800, root);
    let others = format!("{}\n", scene.landmarks.to_document());
    for (left, bytes) in [
        (Object::Checkpoint, newer),
        (Object::Landmarks, others.into_bytes()),
    ] {
        let storage = Arc::new(MemoryStorage::default());
        storage.put(&left, &bytes).unwrap();
        let refused = scene.restore(&storage);
        assert!(
            matches!(&refused, Err(RestoreError::Exists { object }) if *object == left),
            "{refused:?}"
        );
        assert_eq!(storage.get(&left).unwrap(), Some(bytes));
        assert_eq!(storage.get(&Object::SignedCheckpoint).unwrap(), None);
    }
}
