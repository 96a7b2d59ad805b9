//! The log in real files.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mtc_core::checkpoint::CheckpointError;
use mtc_core::id::TreeSize;
use mtc_core::tile::{TileKind, TilePath};
use mtc_log::{DirectoryStorage, Inspection, Object, OpenError, Storage, StorageError};
use test_support::log_world::{NOW, World, all_entries, entries};

/// Relative paths of all files below.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.push(
                    path.strip_prefix(root)
                        .expect("below the root")
                        .display()
                        .to_string(),
                );
            }
        }
    }
    found.sort();
    found
}

#[test]
fn files_lie_where_tlog_tiles_says() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let mut log = World::new().create(&storage);
    let batch = log.append(&entries("a", 300), NOW).unwrap();
    log.publish(&batch.checkpoint.to_note()).unwrap();
    assert_eq!(
        files(directory.path()),
        [
            "lock",
            "log/checkpoint",
            "log/tile/0/000",
            "log/tile/0/001.p/44",
            "log/tile/1/000.p/1",
            "log/tile/entries/000",
            "log/tile/entries/001.p/44",
            "state/signed-checkpoint",
        ],
    );
    assert_eq!(
        fs::read(storage.served_directory().join("checkpoint")).unwrap(),
        batch.checkpoint.to_note()
    );
    assert_eq!(
        fs::read(storage.served_directory().join("tile/0/000"))
            .unwrap()
            .len(),
        256 * 32
    );
}

#[test]
fn a_log_survives_in_a_directory() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let root = directory.path().join("new/log");
    let storage = Arc::new(DirectoryStorage::create(&root).unwrap());
    world
        .create(&storage)
        .append(&entries("a", 260), NOW)
        .unwrap();
    drop(storage);
    let log = world
        .open(&Arc::new(DirectoryStorage::open(&root).unwrap()))
        .unwrap();
    assert_eq!(all_entries(&log.reader().unwrap()), entries("a", 260));
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let first = DirectoryStorage::open(directory.path()).unwrap();
    let Err(StorageError::Locked { path }) = DirectoryStorage::open(directory.path()) else {
        panic!("two writers on one directory");
    };
    assert_eq!(path, directory.path().join("lock"));
    drop(first);
    DirectoryStorage::open(directory.path()).unwrap();
}

#[test]
fn a_log_comes_into_being_only_when_told_to() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    assert!(matches!(
        DirectoryStorage::open(directory.path().join("absent")),
        Err(StorageError::Io {
            operation: "lock",
            ..
        }),
    ));
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    assert!(matches!(world.open(&storage), Err(OpenError::NoLog { .. })));
    assert!(storage.is_empty().unwrap(), "looking creates nothing");
    drop(world.create(&storage));
    let again = mtc_log::IssuanceLog::create(storage.clone(), world.log, world.ca_key(), NOW);
    assert!(matches!(again, Err(OpenError::Exists { .. })));
    assert_eq!(
        world.open(&storage).unwrap().signed().size(),
        TreeSize::EMPTY
    );
}

#[test]
fn a_log_that_lost_its_state_is_not_created_anew() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    world
        .create(&storage)
        .append(&entries("a", 1), NOW)
        .unwrap();
    fs::remove_dir_all(directory.path().join("state")).unwrap();
    assert!(matches!(world.open(&storage), Err(OpenError::NoLog { .. })));
    let created = mtc_log::IssuanceLog::create(storage, world.log, world.ca_key(), NOW);
    assert!(
        matches!(created, Err(OpenError::Exists { .. })),
        "its tiles are still there"
    );
}

#[test]
fn a_torn_write_is_never_seen() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let signed = world
        .create(&storage)
        .append(&entries("a", 1), NOW)
        .unwrap()
        .checkpoint;
    drop(storage);
    // What a process leaves that dies between write and rename.
    let torn = directory.path().join("tmp/state-signed-checkpoint");
    fs::write(&torn, &signed.to_note()[..100]).unwrap();
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    assert!(!torn.exists());
    assert_eq!(world.open(&storage).unwrap().signed(), &signed);
}

#[test]
fn an_unwritable_place_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let storage = DirectoryStorage::open(directory.path()).unwrap();
    // A file where a directory has to be fails for every user, root too.
    fs::write(directory.path().join("state"), b"in the way").unwrap();
    let Err(StorageError::Io { path, .. }) = storage.put(&Object::SignedCheckpoint, b"bytes")
    else {
        panic!("written through a file");
    };
    assert!(path.starts_with(directory.path()));
}

#[test]
fn what_is_put_together_is_stored_like_what_is_put_alone() {
    let (together, alone) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let contents = |root: &Path| -> Vec<_> {
        let files = files(root).into_iter();
        files
            .map(|file| (fs::read(root.join(&file)).unwrap(), file))
            .collect()
    };
    let one = DirectoryStorage::open(alone.path()).unwrap();
    let all = DirectoryStorage::open(together.path()).unwrap();
    // Few, many, and many of which some replace others.
    for (first, count) in [(0, 2), (0, 12), (6, 14)] {
        let objects: Vec<_> = (first..first + count)
            .map(|index| {
                let path = TilePath {
                    kind: TileKind::Hashes((index % 3) as u8),
                    index,
                    width: 256,
                };
                (Object::Tile(path), vec![index as u8; first as usize + 3])
            })
            .collect();
        all.put_all(&objects).unwrap();
        for (object, bytes) in &objects {
            one.put(object, bytes).unwrap();
            assert_eq!(all.get(object).unwrap().as_ref(), Some(bytes));
        }
        assert_eq!(contents(together.path()), contents(alone.path()));
    }
}

#[test]
fn one_object_that_cannot_be_written_fails_all_that_are_put_together() {
    let directory = tempfile::tempdir().unwrap();
    let storage = DirectoryStorage::open(directory.path()).unwrap();
    fs::create_dir_all(directory.path().join("log/tile/0")).unwrap();
    // A file where a directory has to be fails for every user, root too.
    fs::write(directory.path().join("log/tile/1"), b"in the way").unwrap();
    let tile = |level, index| {
        let path = TilePath {
            kind: TileKind::Hashes(level),
            index,
            width: 256,
        };
        (Object::Tile(path), vec![7; 32])
    };
    let objects: Vec<_> = (0..20)
        .map(|index| tile(0, index))
        .chain([tile(1, 0)])
        .collect();
    let Err(StorageError::Io { path, .. }) = storage.put_all(&objects) else {
        panic!("written through a file");
    };
    assert!(
        path.starts_with(directory.path().join("log/tile/1")),
        "{}",
        path.display()
    );
}

#[test]
fn logs_of_one_ca_lie_side_by_side() {
    let (first, directory) = (World::new(), tempfile::tempdir().unwrap());
    let worlds = [first.with_log(1), first.with_log(2), first.with_log(65_535)];
    let root = |world: &World| directory.path().join(world.log.number().to_string());
    let storages = worlds
        .each_ref()
        .map(|world| Arc::new(DirectoryStorage::create(root(world)).unwrap()));
    let mut logs: Vec<_> = worlds
        .iter()
        .zip(&storages)
        .map(|(world, storage)| world.create(storage))
        .collect();
    for round in 0..3 {
        for (number, log) in logs.iter_mut().enumerate() {
            log.append(&entries(&format!("log {number} round {round}"), 100), NOW)
                .unwrap();
        }
    }
    drop(logs);
    for (number, (world, storage)) in worlds.iter().zip(&storages).enumerate() {
        let expected =
            (0..3).flat_map(|round| entries(&format!("log {number} round {round}"), 100));
        let log = world.open(storage).unwrap();
        assert_eq!(
            all_entries(&log.reader().unwrap()),
            expected.collect::<Vec<_>>()
        );
        // Their CA and key are the same, their place and their signatures are not.
        for other in worlds.iter().filter(|other| other.log != world.log) {
            assert!(matches!(
                other.open(storage),
                Err(OpenError::Checkpoint {
                    source: CheckpointError::Origin { .. },
                    ..
                })
            ));
            let created =
                mtc_log::IssuanceLog::create(storage.clone(), other.log, other.ca_key(), NOW);
            assert!(matches!(created, Err(OpenError::Exists { .. })));
        }
    }
}

#[test]
fn nothing_but_served_objects_has_a_served_path() {
    for path in [
        "checkpoint",
        "landmarks",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/entries/x001/234",
    ] {
        assert_eq!(
            Object::served_at(path).unwrap().to_string(),
            format!("log/{path}")
        );
    }
    for path in [
        "",
        "state/signed-checkpoint",
        "../state/landmarks",
        "tile/0/../../checkpoint",
        "/checkpoint",
        "tile/0/0",
    ] {
        assert_eq!(Object::served_at(path), None, "{path}");
    }
}

/// The partial tiles and bundles of a log.
fn partial(root: &Path) -> Vec<String> {
    let mut files = files(root);
    files.retain(|file| file.contains(".p/"));
    files
}

// They were never removed: 306 batches of an entry left 15 MB, of which 14 were of use to nobody.
#[test]
fn partial_tiles_that_full_ones_supersede_are_removed_after_a_while() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let mut log = world.create(&storage);
    let mut grow = |count| {
        log.append(&entries("a", count), NOW).unwrap();
        log.signed().clone()
    };
    grow(100);
    grow(100);
    let signed = grow(100);
    let all = partial(directory.path());
    assert_eq!(all.len(), 7, "{all:?}");
    let long_ago = SystemTime::UNIX_EPOCH;
    let from_now = SystemTime::now() + Duration::from_secs(60);
    // Too young, or wanted by the published checkpoint.
    assert_eq!(
        storage
            .remove_superseded(&[TreeSize(300)], long_ago)
            .unwrap(),
        0
    );
    assert_eq!(
        storage
            .remove_superseded(&[TreeSize(150)], from_now)
            .unwrap(),
        0
    );
    assert_eq!(partial(directory.path()), all);
    assert_eq!(
        storage
            .remove_superseded(&[TreeSize(300)], from_now)
            .unwrap(),
        4
    );
    assert_eq!(
        partial(directory.path()),
        [
            "log/tile/0/001.p/44",
            "log/tile/1/000.p/1",
            "log/tile/entries/001.p/44"
        ]
    );
    Inspection::begin(storage.clone(), &signed)
        .and_then(Inspection::finish)
        .unwrap();
    drop((log, storage));
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let mut log = world.open(&storage).unwrap();
    log.append(&entries("b", 300), NOW).unwrap();
}

// Only full ones superseded anything, so that a log between two full tiles kept a pair of files for each batch.
#[test]
fn partial_tiles_that_wider_ones_supersede_are_removed_after_a_while_wherever_a_crash_interrupts() {
    const BATCHES: u64 = 10;
    let landmark = 3;
    let trees = [BATCHES, landmark].map(TreeSize);
    let from_now = SystemTime::now() + Duration::from_secs(60);
    for removed_before_the_crash in 0.. {
        let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
        let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
        let mut log = world.create(&storage);
        for entry in entries("a", BATCHES) {
            log.append(&[entry], NOW).unwrap();
        }
        let signed = log.signed().clone();
        let all = partial(directory.path());
        assert_eq!(all.len() as u64, 2 * BATCHES, "{all:?}");
        assert_eq!(
            storage
                .remove_superseded(&trees, SystemTime::UNIX_EPOCH)
                .unwrap(),
            0
        );
        assert_eq!(
            storage.remove_superseded(&[TreeSize(1)], from_now).unwrap(),
            0
        );
        assert_eq!(
            partial(directory.path()),
            all,
            "too young, or not published"
        );
        let kept: Vec<String> = ["log/tile/0/000.p", "log/tile/entries/000.p"]
            .into_iter()
            .flat_map(|folder| ["10", "3"].map(|width| format!("{folder}/{width}")))
            .collect();
        let superseded: Vec<_> = all.iter().filter(|file| !kept.contains(file)).collect();
        // The process dies after some of them.
        for file in superseded.iter().take(removed_before_the_crash) {
            fs::remove_file(directory.path().join(file)).unwrap();
        }
        drop((log, storage));
        let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
        let sound = || {
            Inspection::begin(storage.clone(), &signed)
                .and_then(Inspection::finish)
                .unwrap();
            world.open(&storage).unwrap()
        };
        drop(sound());
        let rest = superseded.len().saturating_sub(removed_before_the_crash);
        assert_eq!(
            storage.remove_superseded(&trees, from_now).unwrap(),
            rest as u64
        );
        assert_eq!(partial(directory.path()), kept);
        sound().append(&entries("b", 300), NOW).unwrap();
        if rest == 0 {
            break;
        }
    }
}

// What the largest tree does not have yet is a batch under way, or one that a crash ended: it supersedes nothing.
#[test]
fn an_unpublished_batch_supersedes_no_partial_tile() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let mut log = world.create(&storage);
    for count in [5, 5, 5] {
        log.append(&entries("a", count), NOW).unwrap();
    }
    let from_now = SystemTime::now() + Duration::from_secs(60);
    assert_eq!(
        storage
            .remove_superseded(&[TreeSize(10), TreeSize::EMPTY], from_now)
            .unwrap(),
        2
    );
    let widths = ["10", "15"];
    let kept = ["log/tile/0/000.p", "log/tile/entries/000.p"]
        .map(|folder| widths.map(|width| format!("{folder}/{width}")));
    assert_eq!(partial(directory.path()), kept.concat());
}
