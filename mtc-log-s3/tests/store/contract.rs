//! What every storage keeps, and what becomes of single lost requests and answers.

use std::error::Error as _;
use std::io::ErrorKind;

use mtc_log::{Object, Storage as _, StorageError};
use test_support::log_world::{NOW, World, entries};
use test_support::storage_contract::{self, Fault, Place as _, assert_holds};

use crate::fallible::{Log, Trouble};

#[test]
fn a_bucket_keeps_what_is_put() {
    storage_contract::keeps_what_is_put(&Log::default());
}

#[test]
fn a_bucket_keeps_logs() {
    storage_contract::keeps_logs(&Log::default());
}

#[test]
fn a_bucket_is_rid_of_what_is_superseded() {
    storage_contract::removes_what_is_superseded(&Log::default());
}

#[test]
fn after_any_interrupted_write_the_log_continues_with_everything_acknowledged() {
    storage_contract::a_log_survives_any_failed_write::<Log>();
}

#[test]
fn a_second_fault_while_the_log_is_reopened_loses_nothing() {
    storage_contract::a_log_survives_a_failed_write_while_it_is_reopened::<Log>();
}

#[test]
fn a_write_whose_answer_is_lost_is_found_to_have_been_carried_out() {
    let world = World::new();
    for successes in 0.. {
        let place = Log::default();
        let mut log = world.create(&place.open());
        let first = entries("a", 250);
        log.append(&first, NOW).unwrap();
        place
            .0
            .trouble_after(successes, Trouble::Once(Fault::AfterRename));
        let next = entries("b", 10);
        let signed = log.append(&next, NOW).unwrap().checkpoint;
        log.publish(&signed.to_note()).unwrap();
        if place.0.disarm() {
            assert!(successes > 5, "{successes} writes");
            break;
        }
        log.append(&entries("c", 1), NOW).unwrap();
        drop(log);
        let log = world.open(&place.open()).unwrap();
        assert_holds(&log, &[first, next, entries("c", 1)].concat());
    }
}

// The owner of an object whose write failed puts it again; what was stored meanwhile is not known.
#[test]
fn an_object_whose_write_failed_is_read_before_it_is_written_again() {
    for fault in Fault::ALL {
        let place = Log::default();
        let storage = place.open();
        storage.put(&Object::LandmarkState, b"old").unwrap();
        place.0.trouble_after(0, Trouble::Down(fault));
        let refused = storage.put(&Object::LandmarkState, b"new").unwrap_err();
        assert!(matches!(refused, StorageError::Io { .. }), "{refused:?}");
        storage.get(&Object::LandmarkState).unwrap_err();
        storage.put(&Object::LandmarkState, b"newer").unwrap_err();
        place.0.repair();
        storage.put(&Object::LandmarkState, b"newest").unwrap();
        let found = storage.get(&Object::LandmarkState).unwrap();
        assert_eq!(found.as_deref(), Some(&b"newest"[..]));
    }
}

#[test]
fn what_changes_is_read_once() {
    let (world, place) = (World::new(), Log::default());
    let storage = place.open();
    let mut log = world.create(&storage);
    let signed = log.append(&entries("a", 3), NOW).unwrap().checkpoint;
    log.publish(&signed.to_note()).unwrap();
    let before = place.0.requests();
    for _ in 0..10 {
        assert_eq!(
            storage.get(&Object::Checkpoint).unwrap(),
            Some(signed.to_note())
        );
    }
    assert_eq!(place.0.requests(), before);
}

// Each is a round trip to the store, but those that are made together. docs/performance.md has the sum.
#[test]
fn a_batch_within_a_tile_costs_eight_requests() {
    let (world, place) = (World::new(), Log::default());
    let mut log = world.create(&place.open());
    let mut requests = Vec::new();
    for batch in 0..4 {
        let before = place.0.requests();
        let signed = log.append(&entries("a", batch + 1), NOW).unwrap();
        log.publish(&signed.checkpoint.to_note()).unwrap();
        requests.push(place.0.requests() - before);
    }
    assert_eq!(requests[1..], [8, 8, 8]);
}

#[test]
fn a_log_without_a_lease_is_read_by_anybody() {
    let (world, place) = (World::new(), Log::default());
    let mut log = world.create(&place.open());
    let signed = log.append(&entries("a", 3), NOW).unwrap().checkpoint;
    log.publish(&signed.to_note()).unwrap();
    for object in [Object::SignedCheckpoint, Object::Checkpoint] {
        let read = place.sound_store().read(&object).unwrap();
        assert_eq!(read, Some(signed.to_note()), "{object}");
    }
    assert_eq!(place.sound_store().read(&Object::Landmarks).unwrap(), None);
}

// As `aws s3 sync` leaves it of a log in a folder.
#[test]
fn a_log_that_was_copied_from_a_folder_goes_on() {
    let (world, place) = (World::new(), Log::default());
    let mut log = world.create(&place.open());
    let signed = log.append(&entries("a", 3), NOW).unwrap().checkpoint;
    drop(log);
    place
        .sound_store()
        .write_named("state/signed-checkpoint", signed.to_note())
        .unwrap();
    let mut log = world.open(&place.open()).unwrap();
    assert_eq!(log.signed(), &signed);
    log.append(&entries("b", 1), NOW).unwrap();
}

#[test]
fn a_store_that_ignores_conditions_is_refused() {
    let place = Log::default();
    place.0.ignore_conditions();
    let StorageError::Io { path, source, .. } = place.open_as("this NRF").unwrap_err() else {
        panic!("another error");
    };
    assert_eq!(path.to_str(), Some("s3://bucket/labs/log/lock"));
    assert!(source.to_string().contains("ignores If-Match"), "{source}");
}

#[test]
fn what_is_no_lease_is_left_alone() {
    let place = Log::default();
    let others = place.sound_store();
    for stored in ["", "a document", "a\nb\nc\n", "a\nb\nc\nd\n"] {
        others.write_named("lock", stored).unwrap();
        let StorageError::Io { source, .. } = place.open_as("this NRF").unwrap_err() else {
            panic!("another error");
        };
        assert_eq!(source.kind(), ErrorKind::InvalidData);
        let found = others.read_named("lock").unwrap();
        assert_eq!(found.as_deref(), Some(stored.as_bytes()));
    }
}

#[test]
fn a_store_that_fails_is_named_with_its_error() {
    let place = Log::default();
    let storage = place.open();
    place.0.trouble_after(0, Trouble::Down(Fault::BeforeRename));
    let error = storage.put(&Object::Checkpoint, b"note").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot write s3://bucket/labs/log/log/checkpoint"
    );
    let source = error.source().expect("a cause").to_string();
    assert!(source.contains("503 Slow Down"), "{source}");
}
