//! Writes that fail or never return, at every place where they can.

use std::sync::Arc;

use mtc_core::id::TreeSize;
use mtc_core::time::UnixTime;
use mtc_log::{AppendError, IssuanceLog, OpenError, PublishError};

use crate::storage::{Fault, MemoryStorage};
use crate::world::{NOW, World, all_entries, entries, tree_of};

/// The log holds exactly these entries, on disk and by its signature.
fn assert_holds(log: &IssuanceLog, expected: &[Vec<u8>]) {
    let reader = log.reader().expect("a sound tree");
    assert_eq!(all_entries(&reader), expected);
    assert_eq!(log.signed().root(), tree_of(expected).root());
}

/// Sizes before and after the batch that is interrupted: within a tile, filling it, over its edge, over two edges.
const BATCHES: [(u64, u64); 5] = [(0, 3), (3, 2), (250, 6), (250, 10), (200, 400)];

/// Interrupts the second of three batches at each of its writes, and gives `check` the log after the first two and what
/// opening it again yields.
fn interrupt_everywhere(
    mut check: impl FnMut(&World, &Arc<MemoryStorage>, &[Vec<u8>], &[Vec<u8>]),
) {
    let world = World::new();
    for (before, count) in BATCHES {
        for fault in Fault::ALL {
            for successes in 0.. {
                let storage = Arc::new(MemoryStorage::default());
                let mut log = world.create(&storage);
                let (acknowledged, interrupted) = (
                    entries("acknowledged", before),
                    entries("interrupted", count),
                );
                if before > 0 {
                    let batch = log.append(&acknowledged, NOW).expect("the storage works");
                    log.publish(&batch.checkpoint.to_note())
                        .expect("the storage works");
                }
                storage.fail_after(successes, fault);
                let result = log.append(&interrupted, NOW);
                if storage.disarm() {
                    result.expect("fewer writes than that");
                    break;
                }
                let error = result.expect_err("a write has failed");
                assert!(
                    matches!(error, AppendError::Storage(_)) && error.is_fatal(),
                    "{error:?}"
                );
                assert!(matches!(
                    log.append(&interrupted, NOW),
                    Err(AppendError::Poisoned(_))
                ));
                drop(log);
                check(&world, &storage, &acknowledged, &interrupted);
            }
        }
    }
}

#[test]
fn after_any_interrupted_write_the_log_continues_with_everything_acknowledged() {
    interrupt_everywhere(|world, storage, acknowledged, interrupted| {
        let mut log = world.open(storage).unwrap();
        let whole = [acknowledged, interrupted].concat();
        let survived = if log.signed().size() == TreeSize(whole.len() as u64) {
            &whole
        } else {
            acknowledged
        };
        assert_holds(&log, survived);
        assert_eq!(
            log.published()
                .map_or(TreeSize::EMPTY, mtc_log::CaCheckpoint::size),
            TreeSize(acknowledged.len() as u64)
        );
        // Other entries take the indices of those that no checkpoint covers.
        let next = entries("next", 300);
        log.append(&next, NOW).unwrap();
        assert_holds(&log, &[survived, &next].concat());
        drop(log);
        assert_holds(&world.open(storage).unwrap(), &[survived, &next].concat());
    });
}

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
fn a_second_fault_while_the_log_is_reopened_loses_nothing() {
    interrupt_everywhere(|world, storage, acknowledged, interrupted| {
        for fault in Fault::ALL {
            storage.fail_after(0, fault);
            assert!(matches!(world.open(storage), Err(OpenError::Storage(_))));
            assert!(!storage.disarm());
        }
        let log = world.open(storage).unwrap();
        let whole = [acknowledged, interrupted].concat();
        assert_holds(
            &log,
            if log.signed().size() == TreeSize(whole.len() as u64) {
                &whole
            } else {
                acknowledged
            },
        );
    });
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
