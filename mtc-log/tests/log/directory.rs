//! The log in real files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mtc_log::{DirectoryStorage, Object, OpenError, Storage, StorageError};

use crate::world::{NOW, World, all_entries, entries};

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
            operation: "open",
            ..
        }),
    ));
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    assert!(matches!(world.open(&storage), Err(OpenError::NoLog { .. })));
    assert!(storage.is_empty().unwrap(), "looking creates nothing");
    drop(world.create(&storage));
    let again = mtc_log::IssuanceLog::create(storage.clone(), world.log, world.ca_key(), NOW);
    assert!(matches!(again, Err(OpenError::Exists { .. })));
    assert_eq!(world.open(&storage).unwrap().signed().size(), 0);
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
