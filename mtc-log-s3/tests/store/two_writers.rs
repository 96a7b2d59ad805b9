//! Two writers of one log: the lease keeps the second out, and where it does not, the fence stops the first.

use std::sync::Arc;

use mtc_core::id::TreeSize;
use mtc_log::{
    IssuanceLog, LandmarkPolicy, LandmarkStore, LandmarkStoreError, Object, PublishError, Storage,
    StorageError,
};
use mtc_log_s3::{ObjectStorage, Store};
use test_support::log_world::{NOW, World, entries};
use test_support::storage_contract::{BATCHES, Place as _, assert_holds};
use uuid::Uuid;

use crate::fallible::{Log, Trouble};

/// Lets the lease of a place run out, as if its holder's machine had been asleep.
fn expire(store: &Store) {
    let terms = format!("somebody\n{}\n0\n", Uuid::new_v4());
    store.write_named("lock", terms).expect("it works");
}

/// Another NRF, on another machine, whose requests succeed.
fn take_over(store: &Store) -> Arc<ObjectStorage> {
    expire(store);
    Arc::new(ObjectStorage::open(store.clone(), "another NRF").expect("the lease has run out"))
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let place = Log::default();
    let first = place.open_as("first").unwrap();
    let Err(StorageError::Locked { path }) = place.open_as("second") else {
        panic!("two writers in one place");
    };
    assert_eq!(path.to_str(), Some("s3://bucket/labs/log/lock"));
    first.put(&Object::Checkpoint, b"still writes").unwrap();
    drop(first);
    place.open_as("second").unwrap();
}

#[test]
fn a_restarted_writer_takes_its_own_lease_over_at_once() {
    let place = Log::default();
    let killed = place.open_as("this NRF").unwrap();
    // Nobody gives up a lease whose process was killed.
    std::mem::forget(killed);
    assert!(matches!(
        place.open_as("another NRF"),
        Err(StorageError::Locked { .. })
    ));
    place.open_as("this NRF").unwrap();
}

#[test]
fn a_lease_that_has_run_out_is_anybodys() {
    let place = Log::default();
    std::mem::forget(place.open_as("first").unwrap());
    expire(&place.sound_store());
    place.open_as("second").unwrap();
}

// At each of the first writer's requests the second takes over, and issues.
#[test]
fn a_writer_that_is_fenced_out_signs_and_publishes_nothing_more() {
    let world = Arc::new(World::new());
    for (before, count) in BATCHES {
        for successes in 0.. {
            let place = Log::default();
            let mut log = world.create(&place.open());
            let acknowledged = entries("acknowledged", before.max(1));
            let batch = log.append(&acknowledged, NOW).unwrap();
            log.publish(&batch.checkpoint.to_note()).unwrap();

            let (store, theirs) = (place.sound_store(), world.clone());
            let taking = move || {
                let mut log = theirs.open(&take_over(&store)).expect("a sound log");
                // As many, so that their tiles have the same names.
                let batch = log
                    .append(&entries("second", count), NOW)
                    .expect("it works");
                log.publish(&batch.checkpoint.to_note()).expect("it works");
            };
            place
                .0
                .trouble_after(successes, Trouble::Before(Box::new(taking)));
            let appended = log.append(&entries("first", count), NOW);
            let published = appended
                .as_ref()
                .map(|batch| log.publish(&batch.checkpoint.to_note()));
            if place.0.disarm() {
                published
                    .expect("appended")
                    .expect("fewer writes than that");
                break;
            }
            let first = match published {
                Err(error) => {
                    assert!(error.is_fatal(), "{error:?}");
                    vec![]
                }
                // Taken over between the two.
                Ok(published) => {
                    assert!(matches!(published, Err(PublishError::Storage(_))));
                    entries("first", count)
                }
            };
            drop(log);
            let whole = [acknowledged, first, entries("second", count)].concat();
            let log = world.open(&place.open()).unwrap();
            assert_holds(&log, &whole);
            let published = log.published().expect("the second's");
            assert_eq!(published.size(), TreeSize(whole.len() as u64));
        }
    }
}

#[test]
fn a_writer_that_is_fenced_out_replaces_and_removes_nothing_more() {
    let (world, place) = (World::new(), Log::default());
    let first = place.open();
    let mut log = world.create(&first);
    log.append(&entries("a", 3), NOW).unwrap();
    first.put(&Object::LandmarkState, b"of the first").unwrap();
    let _second = take_over(&place.sound_store());
    for object in [
        Object::SignedCheckpoint,
        Object::Checkpoint,
        Object::LandmarkState,
        Object::Landmarks,
        Object::served_at("tile/0/000.p/3").unwrap(),
    ] {
        let before = place.sound_store().read(&object).unwrap();
        let refused = first.put(&object, b"late").unwrap_err();
        assert!(
            matches!(refused, StorageError::TakenOver { .. }),
            "{object}: {refused:?}"
        );
        assert_eq!(place.sound_store().read(&object).unwrap(), before);
    }
    let refused = first.remove_superseded(&[TreeSize(3)], std::time::SystemTime::now());
    assert!(matches!(refused, Err(StorageError::TakenOver { .. })));
}

// The fence was read in the moment before: what the first publishes then is never taken back unseen.
#[test]
fn a_landmark_of_a_writer_that_is_being_fenced_out_is_not_overwritten() {
    const POLICY: LandmarkPolicy = LandmarkPolicy {
        time_between: std::time::Duration::from_secs(60),
        first_time_between: std::time::Duration::from_secs(60),
        max_certificate_lifetime: std::time::Duration::from_secs(3600),
    };
    let (world, place) = (Arc::new(World::new()), Log::default());
    let first = place.open();
    let mut log = world.create(&first);
    let batch = log.append(&entries("a", 3), NOW).unwrap();
    log.publish(&batch.checkpoint.to_note()).unwrap();
    let mut landmarks = LandmarkStore::open(first, POLICY, log.published()).unwrap();

    // The second opens everything before the first's write of the landmark arrives.
    let (opened, theirs) = std::sync::mpsc::channel();
    let (store, their_world) = (place.sound_store(), world.clone());
    let taking = move || {
        let storage = take_over(&store);
        let log = their_world.open(&storage).expect("a sound log");
        for object in [Object::LandmarkState, Object::Landmarks] {
            storage.get(&object).expect("it works");
        }
        opened.send((storage, log)).expect("awaited");
    };
    place.0.trouble_after(0, Trouble::Before(Box::new(taking)));
    let allocated = landmarks.allocate(log.published().unwrap(), NOW);
    // Its state was swapped a moment too late to be stopped; then the fence was seen.
    assert!(matches!(
        allocated,
        Err(LandmarkStoreError::Storage(StorageError::TakenOver { .. }))
    ));
    let (second, mut their_log): (Arc<ObjectStorage>, IssuanceLog) = theirs.recv().unwrap();
    let batch = their_log.append(&entries("b", 3), NOW).unwrap();
    their_log.publish(&batch.checkpoint.to_note()).unwrap();
    let refused = second.put(&Object::LandmarkState, b"another").unwrap_err();
    assert!(
        matches!(refused, StorageError::Changed { .. }),
        "{refused:?}"
    );
    drop((second, their_log));
    // Opened again, it has the landmark.
    let third = take_over(&place.sound_store());
    let log = world.open(&third).unwrap();
    let landmarks = LandmarkStore::open(third, POLICY, log.published()).unwrap();
    assert_eq!(landmarks.sequence().latest().tree_size, TreeSize(3));
}
