//! Bits that flip and files that vanish while nobody looks.

use std::sync::Arc;

use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
use mtc_core::id::{EntryIndex, LogId, LogNumber, TreeSize};
use mtc_log::{
    CosigningKey, Inspection, IssuanceLog, OpenError, Repaired, TreeError, TreeReader, repair,
};
use test_support::log_world::{NOW, World, entries, id};

use crate::storage::MemoryStorage;

/// A log of 600 entries, published at 300.
fn damaged_log() -> (World, Arc<MemoryStorage>) {
    let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    let mut log = world.create(&storage);
    let batch = log
        .append(&entries("first", 300), NOW)
        .expect("the storage works");
    log.publish(&batch.checkpoint.to_note())
        .expect("the storage works");
    log.append(&entries("second", 300), NOW)
        .expect("the storage works");
    (world, storage)
}

/// The object with one bit flipped at `position`.
fn flipped(storage: &MemoryStorage, path: &str, position: usize) -> Vec<u8> {
    let mut bytes = storage.bytes(path).expect("an object of the log");
    bytes[position] ^= 1;
    bytes
}

/// Every message of an error and its causes.
fn describe(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[test]
fn a_sound_log_opens() {
    let (world, storage) = damaged_log();
    let log = world.open(&storage).unwrap();
    assert_eq!(
        (log.signed().size(), log.published().unwrap().size()),
        (TreeSize(600), TreeSize(300))
    );
}

#[test]
fn a_flipped_bit_at_the_right_edge_is_detected_and_the_file_named() {
    let (world, storage) = damaged_log();
    for path in [
        "log/tile/0/002.p/88",
        "log/tile/1/000.p/2",
        "log/tile/entries/002.p/88",
    ] {
        let sound = storage.bytes(path);
        for position in (0..sound.as_ref().unwrap().len()).step_by(37) {
            storage.replace(path, Some(flipped(&storage, path, position)));
            let Err(error) = world.open(&storage) else {
                panic!("{path} with byte {position} damaged was accepted")
            };
            assert!(matches!(error, OpenError::Tree(_)), "{error:?}");
            assert!(describe(&error).contains(path), "{}", describe(&error));
            storage.replace(path, sound.clone());
        }
    }
    world.open(&storage).unwrap();
}

#[test]
fn a_flipped_bit_in_a_checkpoint_is_detected_and_the_file_named() {
    let (world, storage) = damaged_log();
    for path in ["state/signed-checkpoint", "log/checkpoint"] {
        let sound = storage.bytes(path);
        for position in (0..sound.as_ref().unwrap().len()).step_by(11) {
            storage.replace(path, Some(flipped(&storage, path, position)));
            let Err(error) = world.open(&storage) else {
                panic!("{path} with byte {position} damaged was accepted")
            };
            assert!(
                matches!(error, OpenError::Checkpoint { .. }) && describe(&error).contains(path),
                "{error:?}"
            );
            storage.replace(path, sound.clone());
        }
    }
    world.open(&storage).unwrap();
}

#[test]
fn a_flipped_bit_deep_in_the_log_is_detected_when_it_is_read() {
    let (world, storage) = damaged_log();
    for path in ["log/tile/0/000", "log/tile/entries/000"] {
        let sound = storage.bytes(path);
        storage.replace(path, Some(flipped(&storage, path, 2000)));
        let log = world.open(&storage).unwrap();
        let error = log.reader().unwrap().entry(EntryIndex(3)).unwrap_err();
        assert!(
            matches!(&error, TreeError::Contradiction { object, .. } if object.to_string() == path),
            "{error:?}"
        );
        assert_eq!(
            log.reader().unwrap().entry(EntryIndex(300)).unwrap(),
            b"second 0",
            "the rest is still readable"
        );
        storage.replace(path, sound);
    }
}

#[test]
fn a_proof_is_never_made_of_damaged_hashes() {
    let (world, storage) = damaged_log();
    let log = world.open(&storage).unwrap();
    storage.replace(
        "log/tile/0/001",
        Some(flipped(&storage, "log/tile/0/001", 32 * 17)),
    );
    let subtree = mtc_core::tree::Subtree::new(256, 512).unwrap();
    let reader = log.reader().unwrap();
    assert!(matches!(
        reader.inclusion_proof(EntryIndex(300), subtree),
        Err(TreeError::Contradiction { .. })
    ));
    assert!(
        log.cosign_subtree(mtc_core::tree::Subtree::new(256, 320).unwrap())
            .is_err()
    );
}

#[test]
fn missing_and_misshapen_files_are_named() {
    let (world, storage) = damaged_log();
    for path in [
        "log/tile/0/002.p/88",
        "log/tile/1/000.p/2",
        "log/tile/entries/002.p/88",
    ] {
        let sound = storage.bytes(path).unwrap();
        storage.replace(path, None);
        let error = world.open(&storage).err().expect("a file is missing");
        assert!(
            matches!(error, OpenError::Tree(TreeError::Missing { .. }))
                && describe(&error).contains(path),
            "{error:?}"
        );
        storage.replace(path, Some(sound[..sound.len() - 1].to_vec()));
        let error = world.open(&storage).err().expect("a file is cut short");
        assert!(
            matches!(error, OpenError::Tree(TreeError::Malformed { .. }))
                && describe(&error).contains(path),
            "{error:?}"
        );
        storage.replace(path, Some(sound));
    }
}

#[test]
fn a_damaged_right_edge_stops_the_next_batch() {
    let (world, storage) = damaged_log();
    let mut log = world.open(&storage).unwrap();
    let signed = storage.bytes("state/signed-checkpoint");
    storage.replace(
        "log/tile/entries/002.p/88",
        Some(flipped(&storage, "log/tile/entries/002.p/88", 9)),
    );
    assert!(
        log.append(&entries("third", 1), NOW)
            .unwrap_err()
            .is_fatal()
    );
    assert_eq!(storage.bytes("state/signed-checkpoint"), signed);
}

#[test]
fn a_checkpoint_put_back_from_a_backup_is_noticed() {
    let (world, storage) = damaged_log();
    let old = storage.bytes("log/checkpoint");
    let mut log = world.open(&storage).unwrap();
    let note = log.signed().to_note();
    log.publish(&note).unwrap();
    storage.replace("state/signed-checkpoint", old);
    // The older log would go on from 300 and fork.
    assert!(matches!(
        world.open(&storage),
        Err(OpenError::PublishedContradictsSigned {
            published: TreeSize(600),
            signed: TreeSize(300)
        }),
    ));
}

#[test]
fn a_published_checkpoint_of_another_history_is_noticed() {
    let (world, storage) = damaged_log();
    let other = Arc::new(MemoryStorage::default());
    let fork = world
        .create(&other)
        .append(&entries("fork", 300), NOW)
        .unwrap();
    storage.replace("log/checkpoint", Some(fork.checkpoint.to_note()));
    assert!(matches!(
        world.open(&storage),
        Err(OpenError::PublishedContradictsSigned { .. })
    ));
}

#[test]
fn a_log_opens_with_its_own_name_and_key_only() {
    let (world, storage) = damaged_log();
    let secret = || SecretKey::generate(SignatureAlgorithm::MlDsa44).unwrap();
    let foreign = CosigningKey::new(id("32473.2"), secret()).unwrap();
    let opened = IssuanceLog::open(storage.clone(), world.log, foreign);
    assert!(matches!(opened, Err(OpenError::ForeignKey { .. })));
    let new_key = CosigningKey::new(*world.log.ca(), secret()).unwrap();
    let opened = IssuanceLog::open(storage.clone(), world.log, new_key);
    assert!(matches!(opened, Err(OpenError::Checkpoint { .. })));
    let second = LogId::new(*world.log.ca(), LogNumber::new(2).unwrap()).unwrap();
    let opened = IssuanceLog::open(storage, second, world.ca_key());
    assert!(matches!(opened, Err(OpenError::Checkpoint { .. })));
}

#[test]
fn a_tree_opens_with_its_own_root_only() {
    let (world, storage) = damaged_log();
    let signed = world.open(&storage).unwrap().signed().clone();
    let mut root = signed.root();
    root[31] ^= 1;
    let error = TreeReader::open(storage, signed.size(), root)
        .err()
        .expect("another root");
    assert!(
        matches!(&error, TreeError::RootMismatch { size: TreeSize(600), edge } if edge.len() == 2),
        "{error:?}"
    );
}

#[test]
fn a_bit_flipped_while_it_is_written_is_noticed_before_the_signature() {
    // Two bundles, two tiles and the tile above them.
    for write in 0..5 {
        let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
        let mut log = world.create(&storage);
        log.append(&entries("before", 250), NOW).unwrap();
        let signed = storage.bytes("state/signed-checkpoint");
        storage.flip_after(write);
        let error = log.append(&entries("flipped", 10), NOW).unwrap_err();
        assert!(
            !storage.disarm() && error.is_fatal(),
            "write {write}: {error:?}"
        );
        assert_eq!(storage.bytes("state/signed-checkpoint"), signed);
        // The next process replaces what is wrong.
        let mut log = world.open(&storage).unwrap();
        log.append(&entries("again", 10), NOW).unwrap();
        world.open(&storage).unwrap();
    }
}

fn inspect(storage: &Arc<MemoryStorage>, log: &IssuanceLog) -> Result<(), TreeError> {
    Inspection::begin(storage.clone(), log.signed())?.finish()
}

fn names(objects: &[mtc_log::Object]) -> Vec<String> {
    objects.iter().map(ToString::to_string).collect()
}

const TILES: [&str; 4] = [
    "log/tile/0/000",
    "log/tile/0/001",
    "log/tile/0/002.p/88",
    "log/tile/1/000.p/2",
];

#[test]
fn an_inspection_finds_what_opening_does_not() {
    let (world, storage) = damaged_log();
    let log = world.open(&storage).unwrap();
    inspect(&storage, &log).unwrap();
    storage.replace(
        "log/tile/0/000",
        Some(flipped(&storage, "log/tile/0/000", 99)),
    );
    world
        .open(&storage)
        .expect("damage that opening does not see");
    assert!(inspect(&storage, &log).is_err());
    assert_eq!(
        repair(storage.clone(), TreeSize(600), log.signed().root())
            .unwrap()
            .restored
            .len(),
        1
    );
    for path in [
        "log/tile/0/000",
        "log/tile/0/001",
        "log/tile/entries/000",
        "log/tile/entries/001",
    ] {
        let sound = storage.bytes(path);
        for damaged in [Some(flipped(&storage, path, 99)), None] {
            storage.replace(path, damaged);
            let error = inspect(&storage, &log).unwrap_err();
            assert!(
                error.is_damage() && describe(&error).contains(path),
                "{error:?}"
            );
        }
        storage.replace(path, sound);
    }
}

#[test]
fn tiles_are_repaired_from_entries_and_from_tiles_below() {
    let (world, storage) = damaged_log();
    let signed = world.open(&storage).unwrap().signed().clone();
    let mend = || repair(storage.clone(), signed.size(), signed.root());
    assert_eq!(mend().unwrap(), Repaired::default());
    // One tile, and any two together: flipped, cut, or gone.
    for first in TILES {
        for second in TILES {
            let sound = (storage.bytes(first), storage.bytes(second));
            let cut = sound.1.clone().map(|bytes| bytes[..9].to_vec());
            for damaged in [Some(flipped(&storage, second, 40)), cut, None] {
                storage.replace(first, Some(flipped(&storage, first, 40)));
                storage.replace(second, damaged);
                let repaired = mend().unwrap();
                let mut restored = names(&repaired.restored);
                restored.sort();
                let mut expected = vec![first.to_owned(), second.to_owned()];
                expected.sort();
                expected.dedup();
                assert_eq!((restored, repaired.lost), (expected, vec![]));
                assert_eq!(
                    (storage.bytes(first), storage.bytes(second)),
                    sound,
                    "byte for byte"
                );
            }
        }
    }
    inspect(&storage, &world.open(&storage).unwrap()).unwrap();
}

#[test]
fn what_nothing_determines_is_named_and_left_alone() {
    let (world, storage) = damaged_log();
    let signed = world.open(&storage).unwrap().signed().clone();
    let bundle = "log/tile/entries/000";
    let damaged = flipped(&storage, bundle, 9);
    storage.replace(bundle, Some(damaged.clone()));
    let repaired = repair(storage.clone(), signed.size(), signed.root()).unwrap();
    assert_eq!(
        (names(&repaired.restored), names(&repaired.lost)),
        (vec![], vec![bundle.to_owned()])
    );
    assert_eq!(storage.bytes(bundle), Some(damaged));

    // With its tile damaged too nothing is left that could tell what was there.
    storage.replace(
        "log/tile/0/000",
        Some(flipped(&storage, "log/tile/0/000", 9)),
    );
    let repaired = repair(storage.clone(), signed.size(), signed.root()).unwrap();
    assert!(
        names(&repaired.lost).contains(&"log/tile/0/000".to_owned()),
        "{repaired:?}"
    );

    // A root that is not this log's: nothing is written.
    let before = storage.operations().0;
    let error = repair(storage.clone(), signed.size(), [7; 32]).unwrap_err();
    assert!(matches!(error, TreeError::RootMismatch { .. }), "{error:?}");
    assert_eq!(storage.operations().0, before);
}

#[test]
fn a_log_of_65_537_entries_is_repaired_at_three_levels() {
    let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    let mut log = world.create(&storage);
    log.append(&vec![vec![0]; 65_537], NOW)
        .expect("the storage works");
    let (size, root) = (log.signed().size(), log.signed().root());
    let damaged = ["log/tile/0/007", "log/tile/1/000", "log/tile/2/000.p/1"];
    let sound = damaged.map(|path| storage.bytes(path).expect("a tile"));
    for path in damaged {
        storage.replace(path, Some(flipped(&storage, path, 3)));
    }
    let repaired = repair(storage.clone(), size, root).unwrap();
    assert_eq!((repaired.restored.len(), repaired.lost.len()), (3, 0));
    assert_eq!(
        damaged.map(|path| storage.bytes(path).expect("a tile")),
        sound
    );
}
