//! What every [`Storage`] keeps, whatever it is made of, and what a log on it survives.
//!
//! ```text
//! Place::open            as a process does that has just started     keeps_what_is_put, keeps_logs, removes_what_is_superseded
//! Fallible::fail_after   one write goes wrong                        a_log_survives_any_failed_write, ..._while_it_is_reopened
//! ```

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mtc_core::id::TreeSize;
use mtc_core::tile::{TileKind, TilePath};
use mtc_log::{AppendError, CaCheckpoint, Inspection, IssuanceLog, Object, OpenError, Storage};

use crate::log_world::{NOW, World, all_entries, entries, tree_of};

/// Where a storage is.
pub trait Place {
    /// The storage.
    type Storage: Storage;

    /// Opens it as a process does that has just started. Whoever had it open before has dropped it.
    fn open(&self) -> Arc<Self::Storage>;
}

/// What a failing write leaves behind; both are what [`Storage`] allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The old object: the disk is full, or the process died before the rename, or the request was lost.
    BeforeRename,
    /// The new object, and yet an error: the directory's `fsync` failed, or the process died before it could answer, or the answer was
    /// lost.
    AfterRename,
}

impl Fault {
    /// Both.
    pub const ALL: [Self; 2] = [Self::BeforeRename, Self::AfterRename];
}

/// A place whose storage fails when told to.
pub trait Fallible: Place + Default {
    /// Lets the write fail that comes after `successes` more.
    fn fail_after(&self, successes: usize, fault: Fault);

    /// Takes back a fault that has not happened; whether there was one.
    fn disarm(&self) -> bool;
}

const fn tile(kind: TileKind, index: u64, width: u16) -> Object {
    Object::Tile(TilePath { kind, index, width })
}

/// What is put is found by the one who put it and by the next who opens the place: alone and together, new and replaced.
pub fn keeps_what_is_put(place: &impl Place) {
    let storage = place.open();
    assert!(storage.is_empty().expect("it works"));
    let alone = [
        Object::SignedCheckpoint,
        Object::Checkpoint,
        Object::LandmarkState,
        Object::Landmarks,
        Object::Revoked,
        Object::WitnessedCheckpoint([7; 32]),
        tile(TileKind::Hashes(0), 0, 1),
        tile(TileKind::Entries, 1_234_567, 256),
    ];
    for object in &alone {
        assert_eq!(storage.get(object).expect("it works"), None, "{object}");
        for bytes in [&b"first\n"[..], b"", b"second", b"second", &[0; 70_000]] {
            storage.put(object, bytes).expect("it works");
            let found = storage.get(object).expect("it works");
            assert_eq!(found.as_deref(), Some(bytes), "{object}");
        }
        assert!(!storage.is_empty().expect("it works"));
    }
    // Few, many, and many of which some replace others.
    for (first, count) in [(0, 2), (0, 12), (6, 40)] {
        let together: Vec<_> = (first..first + count)
            .map(|index| {
                let object = tile(TileKind::Hashes((index % 3) as u8), index, 256);
                (object, vec![index as u8; first as usize + 3])
            })
            .collect();
        storage.put_all(&together).expect("it works");
        for (object, bytes) in &together {
            let found = storage.get(object).expect("it works");
            assert_eq!(found.as_ref(), Some(bytes), "{object}");
        }
    }
    drop(storage);
    let storage = place.open();
    assert!(!storage.is_empty().expect("it works"));
    for object in &alone[..5] {
        let found = storage.get(object).expect("it works");
        assert_eq!(found.as_deref(), Some(&[0; 70_000][..]), "{object}");
        storage.put(object, b"third").expect("it works");
    }
    let found = storage.get(&tile(TileKind::Hashes(0), 45, 256));
    assert_eq!(found.expect("it works"), Some(vec![45; 9]));
}

/// Logs come into being when told to, once, and go on after each opening.
pub fn keeps_logs(place: &impl Place) {
    let world = World::new();
    let storage = place.open();
    assert!(matches!(world.open(&storage), Err(OpenError::NoLog { .. })));
    assert!(
        storage.is_empty().expect("it works"),
        "looking creates nothing"
    );
    drop(world.create(&storage));
    let again = IssuanceLog::create(storage.clone(), world.log, world.ca_key(), NOW);
    assert!(matches!(again, Err(OpenError::Exists { .. })));
    drop(storage);
    let mut held = Vec::new();
    for (round, count) in [1, 3, 252, 1, 300, 10].into_iter().enumerate() {
        let mut log = world.open(&place.open()).expect("as it was left");
        assert_holds(&log, &held);
        let batch = entries(&format!("round {round}"), count);
        let signed = log.append(&batch, NOW).expect("it works").checkpoint;
        log.publish(&signed.to_note()).expect("it works");
        held.extend(batch);
        assert_holds(&log, &held);
        drop(log);
        let log = world.open(&place.open()).expect("as it was left");
        assert_eq!((log.signed(), log.published()), (&signed, Some(&signed)));
    }
}

/// Partial tiles go when full or wider ones have superseded them for long enough, and what remains is a whole log.
pub fn removes_what_is_superseded(place: &impl Place) {
    let (world, storage) = (World::new(), place.open());
    let mut log = world.create(&storage);
    for count in [100, 100, 100, 5, 5] {
        log.append(&entries("a", count), NOW).expect("it works");
    }
    let signed = log.signed().clone();
    let from_now = SystemTime::now() + Duration::from_secs(60);
    let remove = |trees: &[u64], before| {
        let trees: Vec<_> = trees.iter().copied().map(TreeSize).collect();
        storage.remove_superseded(&trees, before).expect("it works")
    };
    assert_eq!(remove(&[310], SystemTime::UNIX_EPOCH), 0, "too young");
    assert_eq!(remove(&[100], from_now), 0, "not published");
    // Widths 100 and 200 of the first tile and bundle; 44 of the second, but not 49, which a landmark needs.
    assert_eq!(remove(&[310, 305], from_now), 6);
    assert_eq!(remove(&[310, 305], from_now), 0);
    for (index, width, is_there) in [
        (0, 100, false),
        (0, 200, false),
        (0, 256, true),
        (1, 44, false),
        (1, 49, true),
        (1, 54, true),
    ] {
        for kind in [TileKind::Hashes(0), TileKind::Entries] {
            let found = storage.get(&tile(kind, index, width)).expect("it works");
            assert_eq!(found.is_some(), is_there, "{kind:?} {index} {width}");
        }
    }
    Inspection::begin(storage.clone(), &signed)
        .and_then(Inspection::finish)
        .expect("a whole log");
    drop((log, storage));
    let mut log = world.open(&place.open()).expect("a whole log");
    log.append(&entries("b", 300), NOW).expect("it works");
}

/// After any failed write a log opens again, with everything that was acknowledged, and goes on.
pub fn a_log_survives_any_failed_write<P: Fallible>() {
    interrupt_everywhere::<P>(|world, place, acknowledged, interrupted| {
        let mut log = world.open(&place.open()).expect("it works again");
        let whole = [acknowledged, interrupted].concat();
        let survived = if log.signed().size() == TreeSize(whole.len() as u64) {
            &whole
        } else {
            acknowledged
        };
        assert_holds(&log, survived);
        assert_eq!(
            log.published().map_or(TreeSize::EMPTY, CaCheckpoint::size),
            TreeSize(acknowledged.len() as u64)
        );
        // Other entries take the indices of those that no checkpoint covers.
        let next = entries("next", 300);
        log.append(&next, NOW).expect("it works again");
        assert_holds(&log, &[survived, &next].concat());
        drop(log);
        let log = world.open(&place.open()).expect("as it was left");
        assert_holds(&log, &[survived, &next].concat());
    });
}

/// Another failed write, while the log is opened again, loses nothing either.
pub fn a_log_survives_a_failed_write_while_it_is_reopened<P: Fallible>() {
    interrupt_everywhere::<P>(|world, place, acknowledged, interrupted| {
        for fault in Fault::ALL {
            let storage = place.open();
            place.fail_after(0, fault);
            let opened = world.open(&storage);
            assert!(matches!(opened, Err(OpenError::Storage(_))));
            assert!(!place.disarm());
        }
        let log = world.open(&place.open()).expect("it works again");
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

/// The log holds exactly these entries, as stored and by its signature.
pub fn assert_holds(log: &IssuanceLog, expected: &[Vec<u8>]) {
    let reader = log.reader().expect("a sound tree");
    assert_eq!(all_entries(&reader), expected);
    assert_eq!(log.signed().root(), tree_of(expected).root());
}

/// Sizes before and after the batch that is interrupted: within a tile, filling it, over its edge, over two edges.
pub const BATCHES: [(u64, u64); 5] = [(0, 3), (3, 2), (250, 6), (250, 10), (200, 400)];

/// Interrupts the second of three batches at each of its writes, and gives `check` the place of the log and its entries: of the first
/// batch, and of the second.
fn interrupt_everywhere<P: Fallible>(mut check: impl FnMut(&World, &P, &[Vec<u8>], &[Vec<u8>])) {
    let world = World::new();
    for (before, count) in BATCHES {
        for fault in Fault::ALL {
            for successes in 0.. {
                let place = P::default();
                let mut log = world.create(&place.open());
                let (acknowledged, interrupted) = (
                    entries("acknowledged", before),
                    entries("interrupted", count),
                );
                if before > 0 {
                    let batch = log.append(&acknowledged, NOW).expect("the storage works");
                    log.publish(&batch.checkpoint.to_note())
                        .expect("the storage works");
                }
                place.fail_after(successes, fault);
                let result = log.append(&interrupted, NOW);
                if place.disarm() {
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
                check(&world, &place, &acknowledged, &interrupted);
            }
        }
    }
}
