//! Writes that fail or never return, at every place where they can.

use std::sync::Arc;

use mtc_core::id::TreeSize;
use mtc_core::time::UnixTime;
use mtc_log::{AppendError, PublishError};

use test_support::log_world::{NOW, World, entries};
use test_support::storage_contract::{BATCHES, Fault, assert_holds};

use crate::storage::MemoryStorage;

#[test]
fn whichever_objects_of_a_batch_survive_a_crash_the_log_continues() {
    // They are put together, so any of them may be there when others are not.
    let world = World::new();
    for (before, count) in BATCHES {
        let whole = Arc::new(MemoryStorage::default());
        let mut log = world.create(&whole);
        let acknowledged = entries("acknowledged", before);
        if before > 0 {
            log.append(&acknowledged, NOW).expect("the storage works");
        }
        let old = whole.paths();
        let signed = whole.bytes("state/signed-checkpoint");
        log.append(&entries("interrupted", count), NOW)
            .expect("the storage works");
        drop(log);
        let new: Vec<_> = whole
            .paths()
            .into_iter()
            .filter(|path| !old.contains(path))
            .collect();
        assert!((2..=8).contains(&new.len()), "{new:?}");
        for survivors in 0..1_u32 << new.len() {
            let storage = Arc::new(MemoryStorage::default());
            let survives = |path: &&String| {
                let position = new.iter().position(|new| new == *path);
                position.is_none_or(|position| survivors & (1 << position) != 0)
            };
            for path in whole.paths().iter().filter(survives) {
                storage.replace(path, whole.bytes(path));
            }
            storage.replace("state/signed-checkpoint", signed.clone());
            let mut log = world.open(&storage).unwrap();
            assert_holds(&log, &acknowledged);
            let next = entries("next", 300);
            log.append(&next, NOW).unwrap();
            assert_holds(&log, &[&acknowledged[..], &next].concat());
        }
    }
}

#[test]
fn a_failed_log_touches_the_storage_no_more() {
    let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    let mut log = world.create(&storage);
    storage.fail_after(1, Fault::BeforeRename);
    log.append(&entries("a", 1), NOW).unwrap_err();
    let before = storage.operations();
    assert!(matches!(
        log.append(&entries("b", 1), NOW),
        Err(AppendError::Poisoned(_))
    ));
    let note = log.signed().to_note();
    assert!(matches!(log.publish(&note), Err(PublishError::Poisoned(_))));
    assert_eq!(storage.operations(), before);
}

#[test]
fn an_unpublished_checkpoint_stays_unpublished_when_the_write_fails() {
    let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    let mut log = world.create(&storage);
    let batch = log.append(&entries("a", 1), NOW).unwrap();
    storage.fail_after(0, Fault::BeforeRename);
    assert!(matches!(
        log.publish(&batch.checkpoint.to_note()),
        Err(PublishError::Storage(_))
    ));
    assert!(log.published().is_none());
    assert!(matches!(
        log.append(&entries("b", 1), NOW),
        Err(AppendError::Poisoned(_))
    ));
    let mut log = world.open(&storage).unwrap();
    assert!(log.published().is_none());
    log.publish(&batch.checkpoint.to_note()).unwrap();
    assert_eq!(
        world.open(&storage).unwrap().published(),
        Some(&batch.checkpoint)
    );
}

#[test]
fn the_signed_checkpoint_is_the_last_write_of_a_batch() {
    let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    let mut log = world.create(&storage);
    let signed = storage.bytes("state/signed-checkpoint");
    let (before, _) = storage.operations();
    log.append(&entries("probe", 300), NOW).unwrap();
    let writes = storage.operations().0 - before;

    let storage = Arc::new(MemoryStorage::default());
    storage.replace("state/signed-checkpoint", signed);
    let mut log = world.open(&storage).unwrap();
    let old = storage.bytes("state/signed-checkpoint");
    storage.fail_after(writes - 1, Fault::BeforeRename);
    log.append(&entries("probe", 300), NOW).unwrap_err();
    assert_eq!(storage.bytes("state/signed-checkpoint"), old);
    for path in [
        "tile/entries/000",
        "tile/entries/001.p/44",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
    ] {
        assert!(storage.bytes(&format!("log/{path}")).is_some(), "{path}");
    }
}

#[test]
fn a_clock_that_goes_backwards_signs_nothing() {
    let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    let mut log = world.create(&storage);
    log.append(&entries("a", 1), UnixTime(NOW.0 + 10)).unwrap();
    let before = storage.operations();
    let error = log
        .append(&entries("b", 1), UnixTime(NOW.0 + 9))
        .unwrap_err();
    assert!(matches!(error, AppendError::ClockWentBackwards { last, .. } if last.0 == NOW.0 + 10));
    assert!(!error.is_fatal());
    assert_eq!(storage.operations(), before);
    log.append(&entries("b", 1), UnixTime(NOW.0 + 10))
        .expect("the same second is progress enough");
    let mut log = world.open(&storage).unwrap();
    assert!(
        matches!(
            log.append(&entries("c", 1), NOW),
            Err(AppendError::ClockWentBackwards { .. })
        ),
        "after reopening"
    );
}

#[test]
fn refused_entries_change_nothing() {
    let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    let mut log = world.create(&storage);
    assert!(matches!(log.append(&[], NOW), Err(AppendError::NoEntries)));
    let long = vec![vec![], vec![0; 65_536]];
    assert!(matches!(
        log.append(&long, NOW),
        Err(AppendError::EntryTooLong { length: 65_536 })
    ));
    let longest = vec![vec![], vec![7; 65_535]];
    assert_eq!(log.append(&longest, NOW).unwrap().end, 2);
    assert_holds(&world.open(&storage).unwrap(), &longest);
}

#[test]
fn only_the_signed_checkpoint_can_be_published() {
    let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    let mut log = world.create(&storage);
    let first = log.append(&entries("a", 1), NOW).unwrap().checkpoint;
    let second = log.append(&entries("b", 1), NOW).unwrap().checkpoint;
    assert!(matches!(
        log.publish(&first.to_note()),
        Err(PublishError::NotSigned {
            size: TreeSize(1),
            signed: TreeSize(2)
        })
    ));
    assert!(matches!(
        log.publish(b"nonsense"),
        Err(PublishError::Checkpoint(_))
    ));
    let mut damaged = second.to_note();
    *damaged.last_mut().unwrap() = b' ';
    assert!(matches!(
        log.publish(&damaged),
        Err(PublishError::Checkpoint(_))
    ));
    assert_eq!(storage.bytes("log/checkpoint"), None);
    log.publish(&second.to_note()).unwrap();
    assert_eq!(storage.bytes("log/checkpoint"), Some(second.to_note()));
}
