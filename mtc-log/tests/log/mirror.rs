//! A mirror cosigns nothing that it has not stored, and stores nothing that is not the log's.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use mtc_core::checkpoint::verify_subtree_line;
use mtc_core::id::TreeSize;
use mtc_core::note::SignedNote;
use mtc_core::time::UnixTime;
use mtc_core::tree::{Subtree, leaf_hash};
use mtc_log::{
    AddCheckpoint, CaCheckpoint, Inspection, IssuanceLog, LandmarkCopyError, LogFolders,
    LogStorages, MirrorInfo, MirrorOpenError, MirrorStore, Object, Refusal, SignSubtree, Storage,
    StorageError, TreeReader, UploadError, UploadHeader, UploadReader, UploadRefusal, Uploaded,
    WitnessedLog, upload_body,
};
use proptest::prelude::*;

use crate::storage::MemoryStorage;
use crate::witness::HeldStorage;
use test_support::log_world::{NOW, World, all_entries, entries};
use test_support::storage_contract::Fault;

/// The storage of a mirror's only log, made when it is asked for.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub(crate) storage: Arc<MemoryStorage>,
}

impl LogStorages for Disk {
    fn of(&self, _: &str, create: bool) -> Result<Option<Arc<dyn Storage>>, StorageError> {
        let exists = create || !self.storage.is_empty()?;
        Ok(exists.then(|| Arc::clone(&self.storage) as Arc<dyn Storage>))
    }
}

/// A log that grows, and a mirror of it.
struct Scene {
    world: World,
    log: IssuanceLog,
    disk: Disk,
    mirror: MirrorStore,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let log = world.create(&Arc::new(MemoryStorage::default()));
        let disk = Disk::default();
        let mirror = open(&world, &disk).expect("an empty disk");
        Self {
            world,
            log,
            disk,
            mirror,
        }
    }

    fn grow(&mut self, count: u64) -> CaCheckpoint {
        let size = self.log.signed().size();
        let batch = self
            .log
            .append(&entries(&format!("of {size}:"), count), NOW);
        batch.expect("the storage works").checkpoint
    }

    fn restart(&mut self) -> Result<(), MirrorOpenError> {
        self.mirror = open(&self.world, &self.disk)?;
        Ok(())
    }

    fn tree(&self, of: &CaCheckpoint) -> TreeReader {
        TreeReader::open(self.log.storage(), of.size(), of.root()).expect("a checkpoint of the log")
    }

    fn announce(&self, old_size: u64, to: &CaCheckpoint) -> Result<(), Refusal> {
        let old = Subtree::whole(TreeSize(old_size));
        let request = AddCheckpoint {
            old_size: TreeSize(old_size),
            proof: self.tree(to).consistency_proof(old).expect("not beyond"),
            checkpoint: to.to_note(),
        };
        self.mirror.add_checkpoint(&request.encode())
    }

    fn header(&self, start: u64, end: u64) -> UploadHeader {
        UploadHeader {
            origin: self.world.log.origin(),
            start,
            end,
            ticket: vec![],
        }
    }

    /// One request for entries from `start` up to the checkpoint.
    fn upload(&self, start: u64, to: &CaCheckpoint) -> Result<Uploaded, UploadRefusal> {
        let body = upload_body(&self.header(start, to.size().0), &self.tree(to));
        self.send(&body.expect("a sound tree"))
    }

    fn send(&self, body: &[u8]) -> Result<Uploaded, UploadRefusal> {
        send(&self.mirror, body)
    }

    /// The checkpoint that the mirror shows, with its own signature.
    fn shown(&self) -> Option<CaCheckpoint> {
        let note = self
            .disk
            .storage
            .get(&Object::Checkpoint)
            .expect("memory")?;
        let shown = CaCheckpoint::verify(&note, &self.world.log, &self.world.ca());
        let shown = shown.expect("signed by the CA");
        let own = shown
            .signed()
            .verify(&self.world.log, self.mirror.cosigner());
        own.expect("signed by the mirror");
        Some(shown)
    }

    /// All that the mirror has cosigned is on its disk, as the log has it.
    fn assert_whole(&self) {
        let Some(shown) = self.shown() else {
            return;
        };
        let storage: Arc<dyn Storage> = self.disk.storage.clone();
        let inspection = Inspection::begin(storage.clone(), &shown).expect("a whole edge");
        inspection.finish().expect("whole tiles");
        let tree = TreeReader::open(storage, shown.size(), shown.root()).expect("a whole edge");
        let mut expected = all_entries(&self.log.reader().expect("a sound log"));
        expected.truncate(shown.size().0 as usize);
        assert_eq!(all_entries(&tree), expected);
    }
}

fn open(world: &World, disk: &Disk) -> Result<MirrorStore, MirrorOpenError> {
    let known = WitnessedLog {
        id: world.log,
        ca: world.ca(),
    };
    MirrorStore::open(disk.clone(), world.witness_key(), [known])
}

/// A disk whose writes wait.
struct Held(Arc<HeldStorage>);

impl LogStorages for Held {
    fn of(&self, _: &str, create: bool) -> Result<Option<Arc<dyn Storage>>, StorageError> {
        Ok(create.then(|| Arc::clone(&self.0) as Arc<dyn Storage>))
    }
}

// Whoever counted requests waited for the disk with them, on a thread that serves others.
#[test]
fn progress_is_told_while_a_checkpoint_is_being_stored() {
    let mut scene = Scene::new();
    let checkpoint = scene.grow(10);
    let storage = Arc::new(HeldStorage::default());
    let known = WitnessedLog {
        id: scene.world.log,
        ca: scene.world.ca(),
    };
    let held = MirrorStore::open(Held(storage.clone()), scene.world.witness_key(), [known]);
    scene.mirror = held.expect("nothing is stored");
    let pending = || {
        let progress = scene.mirror.progress();
        progress.first().map(|(_, progress)| progress.pending)
    };
    assert_eq!(pending(), None);
    let request = AddCheckpoint {
        old_size: TreeSize::EMPTY,
        proof: vec![],
        checkpoint: checkpoint.to_note(),
    };
    let (mirror, request) = (&scene.mirror, request.encode());
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| mirror.add_checkpoint(&request).expect("the CA's"));
        storage.entered.wait();
        scope.spawn(|| tell.send(mirror.progress().len()));
        let told = told.recv_timeout(Duration::from_secs(10));
        storage.proceed.wait();
        assert_eq!(told, Ok(1));
    });
    assert_eq!(pending(), Some(TreeSize(10)));
}

/// Reads a body as a server does that gets it in pieces, until it ends or is refused.
fn send(mirror: &MirrorStore, body: &[u8]) -> Result<Uploaded, UploadRefusal> {
    let mut reader = UploadReader::default();
    let mut upload = None;
    for piece in body.chunks(1000) {
        reader.push(piece);
        if upload.is_none()
            && let Some(header) = reader.header()?
        {
            upload = Some(mirror.begin_upload(&header)?);
        }
        while let Some(upload) = &mut upload
            && let Some(next) = upload.expected()
            && let Some(package) = reader.package(next.end - next.start)?
        {
            upload.add(package)?;
        }
    }
    upload.ok_or(UploadError::NoHeader)?.finish(NOW)
}

fn lines(uploaded: Result<Uploaded, UploadRefusal>) -> Vec<u8> {
    match uploaded {
        Ok(Uploaded::Mirrored(lines)) => lines,
        other => panic!("not mirrored: {other:?}"),
    }
}

fn info(uploaded: Result<Uploaded, UploadRefusal>) -> (u64, u64) {
    match uploaded {
        Ok(Uploaded::Partly(info)) | Err(UploadRefusal::Conflict(info)) => (info.size.0, info.next),
        other => panic!("no answer to go on from: {other:?}"),
    }
}

#[test]
fn a_log_is_mirrored_and_then_cosigned() {
    let mut scene = Scene::new();
    let first = scene.grow(300);
    scene.announce(0, &first).unwrap();
    assert_eq!(scene.shown(), None, "nothing is signed before it is stored");
    let answer = String::from_utf8(lines(scene.upload(0, &first))).unwrap();
    let line = SignedNote::parse_signatures(&answer).unwrap();
    let whole = Subtree::whole(first.size());
    let signed = verify_subtree_line(
        &line,
        scene.mirror.cosigner(),
        &scene.world.log,
        whole,
        &first.root(),
    );
    assert_eq!(signed.unwrap().0, NOW);
    scene.assert_whole();
    for (size, count) in [(300, 1), (301, 211), (512, 1), (513, 70_000)] {
        let next = scene.grow(count);
        scene.announce(size, &next).unwrap();
        let mut answer = scene.upload(size, &next);
        while let Ok(Uploaded::Partly(MirrorInfo { next: from, .. })) = answer {
            answer = scene.upload(from, &next);
        }
        lines(answer);
        assert_eq!(scene.shown().unwrap().size(), next.size());
    }
    scene.assert_whole();
    scene.restart().unwrap();
    scene.assert_whole();
}

#[test]
fn a_checkpoint_is_announced_as_to_a_witness() {
    let mut scene = Scene::new();
    let (first, second) = (scene.grow(3), scene.grow(4));
    scene.announce(0, &first).unwrap();
    assert!(matches!(
        scene.announce(0, &second),
        Err(Refusal::Conflict {
            latest: TreeSize(3)
        })
    ));
    scene.announce(3, &second).unwrap();
    assert!(matches!(
        scene.announce(3, &first),
        Err(Refusal::Conflict {
            latest: TreeSize(7)
        })
    ));
    let fork = AddCheckpoint {
        old_size: TreeSize(7),
        proof: vec![],
        checkpoint: scene.world.signed_note(7, [0; 32]),
    };
    let refused = scene.mirror.add_checkpoint(&fork.encode());
    assert!(matches!(refused, Err(Refusal::Fork { .. })), "{refused:?}");
    let longer = AddCheckpoint {
        checkpoint: scene.world.signed_note(8, [0; 32]),
        ..fork
    };
    let refused = scene.mirror.add_checkpoint(&longer.encode());
    assert!(matches!(refused, Err(Refusal::Proof(_))), "{refused:?}");
    // Another CA's, under the same name.
    let forged = AddCheckpoint {
        checkpoint: World::new().signed_note(8, [0; 32]),
        ..longer
    };
    let refused = scene.mirror.add_checkpoint(&forged.encode());
    assert!(matches!(refused, Err(Refusal::Signature(_))), "{refused:?}");
    let foreign = AddCheckpoint {
        checkpoint: scene.world.with_log(2).signed_note(8, [0; 32]),
        ..forged
    };
    let refused = scene.mirror.add_checkpoint(&foreign.encode());
    assert!(
        matches!(refused, Err(Refusal::UnknownLog { .. })),
        "{refused:?}"
    );
}

#[test]
fn no_room_is_made_for_a_log_before_its_ca_has_signed() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let known = WitnessedLog {
        id: world.log,
        ca: world.ca(),
    };
    let folders = LogFolders(folder.path().join("mirror"));
    let mirror = MirrorStore::open(folders.clone(), world.witness_key(), [known]).unwrap();
    let forged = AddCheckpoint {
        old_size: TreeSize(0),
        proof: vec![],
        checkpoint: World::new().signed_note(8, [0; 32]),
    };
    mirror.add_checkpoint(&forged.encode()).unwrap_err();
    assert!(!folders.0.exists());
    let signed = AddCheckpoint {
        checkpoint: world.signed_note(8, [0; 32]),
        ..forged
    };
    mirror.add_checkpoint(&signed.encode()).unwrap();
    assert_eq!(std::fs::read_dir(&folders.0).unwrap().count(), 1);
}

#[test]
fn intervals_that_cannot_be_uploaded_are_answered_with_one_that_can() {
    let mut scene = Scene::new();
    let first = scene.grow(10);
    let unknown = UploadHeader {
        origin: "oid/1.3.6.1.4.1.32473.1.0.2".to_owned(),
        ..scene.header(0, 10)
    };
    let refused = scene.send(&unknown.encode().unwrap()).unwrap_err();
    assert_eq!(refused.status(), 404);
    let refused = scene.upload(0, &first).unwrap_err();
    assert_eq!(refused.status(), 422, "nothing is pending: {refused:?}");

    scene.announce(0, &first).unwrap();
    let second = scene.grow(10);
    assert_eq!(info(scene.upload(0, &second)), (10, 0), "not announced");
    assert_eq!(info(scene.upload(1, &first)), (10, 0), "beyond the next");
    let nothing = scene.header(0, 10).encode().unwrap();
    assert_eq!(scene.send(&nothing).unwrap_err().status(), 400);
    assert_eq!(scene.send(&nothing[..20]).unwrap_err().status(), 400);

    scene.announce(10, &second).unwrap();
    lines(scene.upload(0, &first));
    lines(scene.upload(10, &second));
    assert_eq!(info(scene.upload(10, &first)), (20, 20), "overtaken");
    // What is there already need not be sent, and may be.
    lines(scene.upload(20, &second));
    lines(scene.upload(0, &second));
    let third = scene.grow(9000);
    scene.announce(20, &third).unwrap();
    assert_eq!(info(scene.upload(20, &third)), (9020, 8192));
    lines(scene.upload(8192, &third));
    assert_eq!(
        info(scene.upload(0, &third)),
        (9020, 9020),
        "too much twice"
    );
    scene.assert_whole();
}

#[test]
fn an_upload_that_breaks_off_is_continued_after_a_restart_too() {
    let mut scene = Scene::new();
    let first = scene.grow(1000);
    scene.announce(0, &first).unwrap();
    let body = upload_body(&scene.header(0, 1000), &scene.tree(&first)).unwrap();
    assert_eq!(info(scene.send(&body[..body.len() - 1])), (1000, 768));
    assert_eq!(scene.shown(), None);
    scene.restart().unwrap();
    let [(_, progress)] = scene.mirror.progress()[..] else {
        panic!("one log");
    };
    assert_eq!(progress.stored, TreeSize(768));
    assert_eq!(info(scene.upload(900, &first)), (1000, 768));
    lines(scene.upload(768, &first));
    scene.assert_whole();
}

#[test]
fn an_earlier_checkpoint_can_still_be_mirrored_when_more_is_stored() {
    let mut scene = Scene::new();
    let (first, second) = (scene.grow(300), scene.grow(700));
    scene.announce(0, &first).unwrap();
    scene.announce(300, &second).unwrap();
    let body = upload_body(&scene.header(0, 1000), &scene.tree(&second)).unwrap();
    assert_eq!(info(scene.send(&body[..body.len() - 1])), (1000, 768));
    lines(scene.upload(256, &first));
    assert_eq!(scene.shown().unwrap().size(), TreeSize(300));
    scene.assert_whole();
    scene.restart().unwrap();
    lines(scene.upload(768, &second));
    scene.assert_whole();
}

#[test]
fn what_is_not_the_logs_is_not_stored() {
    let mut scene = Scene::new();
    let first = scene.grow(600);
    scene.announce(0, &first).unwrap();
    let honest = upload_body(&scene.header(0, 600), &scene.tree(&first)).unwrap();
    // The header's fields are judged by other tests; every other byte is an entry, a length or a proof.
    let header = scene.header(0, 600).encode().unwrap().len();
    for position in (header..honest.len()).step_by(97) {
        let mut damaged = honest.clone();
        damaged[position] ^= 1;
        let refused = match scene.send(&damaged) {
            Ok(Uploaded::Partly(info)) => info.next,
            Err(error) => {
                assert!(matches!(error.status(), 400 | 422), "{error:?}");
                0
            }
            Ok(Uploaded::Mirrored(_)) => panic!("byte {position} is of no meaning"),
        };
        assert!(refused < 600);
        assert_eq!(scene.shown(), None);
        scene.disk.storage.replace("state/pending-entries", None);
        scene.restart().unwrap();
    }
    lines(scene.send(&honest));
    scene.assert_whole();
}

#[test]
fn entries_of_another_history_are_refused_whoever_signed_it() {
    let mut scene = Scene::new();
    let first = scene.grow(256);
    scene.announce(0, &first).unwrap();
    lines(scene.upload(0, &first));
    // The same CA has a second history of the same log, and its entries.
    let mut other = scene.world.create(&Arc::new(MemoryStorage::default()));
    let fork = other.append(&entries("fork", 400), NOW).unwrap().checkpoint;
    let proof = TreeReader::open(other.storage(), fork.size(), fork.root())
        .unwrap()
        .consistency_proof(Subtree::whole(TreeSize(256)));
    let request = AddCheckpoint {
        old_size: TreeSize(256),
        proof: proof.unwrap(),
        checkpoint: fork.to_note(),
    };
    let refused = scene.mirror.add_checkpoint(&request.encode()).unwrap_err();
    assert_eq!(refused.status(), 422);
    let honest = scene.grow(144);
    scene.announce(256, &honest).unwrap();
    let tree = TreeReader::open(other.storage(), fork.size(), fork.root()).unwrap();
    let body = upload_body(&scene.header(256, 400), &tree).unwrap();
    assert_eq!(scene.send(&body).unwrap_err().status(), 422);
    lines(scene.upload(256, &honest));
    scene.assert_whole();
}

#[test]
fn subtrees_are_signed_for_checkpoints_of_its_own_alone() {
    let mut scene = Scene::new();
    let first = scene.grow(10);
    scene.announce(0, &first).unwrap();
    let tree = scene.tree(&first);
    let subtree = Subtree::new(4, 6).unwrap();
    let request = |checkpoint| {
        SignSubtree {
            subtree,
            hash: tree.subtree_hash(subtree).unwrap(),
            proof: tree.consistency_proof(subtree).unwrap(),
            checkpoint,
        }
        .encode()
    };
    let refused = scene.mirror.sign_subtree(&request(first.to_note()));
    assert_eq!(refused.unwrap_err().status(), 403, "it is pending only");
    lines(scene.upload(0, &first));
    let shown = scene.shown().unwrap();
    let answer = scene.mirror.sign_subtree(&request(shown.to_note()));
    let answer = String::from_utf8(answer.unwrap()).unwrap();
    let line = SignedNote::parse_signatures(&answer).unwrap();
    let hash = tree.subtree_hash(subtree).unwrap();
    let (time, _) = verify_subtree_line(
        &line,
        scene.mirror.cosigner(),
        &scene.world.log,
        subtree,
        &hash,
    )
    .unwrap();
    assert_eq!(time, UnixTime(0));
}

#[test]
fn a_clock_that_goes_backwards_signs_nothing() {
    let mut scene = Scene::new();
    let first = scene.grow(3);
    scene.announce(0, &first).unwrap();
    lines(scene.upload(0, &first));
    let second = scene.grow(3);
    scene.announce(3, &second).unwrap();
    for (time, at_fault) in [
        (UnixTime(0), true),
        (UnixTime(NOW.0 - 1), true),
        (NOW, false),
    ] {
        let header = scene.header(3, 6);
        let mut upload = scene.mirror.begin_upload(&header).unwrap();
        let mut reader = UploadReader::default();
        reader.push(&upload_body(&header, &scene.tree(&second)).unwrap());
        reader.header().unwrap();
        upload.add(reader.package(3).unwrap().unwrap()).unwrap();
        let finished = upload.finish(time);
        assert_eq!(
            finished.is_err_and(|error| error.status() == 500),
            at_fault,
            "{time:?}"
        );
    }
}

#[test]
fn two_uploads_at_once_do_not_disturb_each_other() {
    let mut scene = Scene::new();
    let (first, second) = (scene.grow(3000), scene.grow(2000));
    scene.announce(0, &first).unwrap();
    scene.announce(3000, &second).unwrap();
    let bodies = [&first, &second, &second, &first].map(|to| {
        let header = scene.header(0, to.size().0);
        upload_body(&header, &scene.tree(to)).unwrap()
    });
    thread::scope(|scope| {
        let mirror = &scene.mirror;
        let sending = bodies
            .iter()
            .map(|body| scope.spawn(move || send(mirror, body)));
        for sent in sending.collect::<Vec<_>>() {
            match sent.join().unwrap() {
                Ok(Uploaded::Mirrored(_)) => {}
                other => assert_eq!(info(other), (5000, 5000)),
            }
        }
    });
    assert_eq!(scene.shown().unwrap().size(), TreeSize(5000));
    scene.assert_whole();
}

/// Interrupts what mirrors the second of two checkpoints at each of its writes, and lets `check` look at what is left.
fn interrupt_everywhere(mut check: impl FnMut(&mut Scene, &CaCheckpoint)) {
    for (before, count) in [(0, 3), (250, 6), (250, 10), (200, 400)] {
        for fault in Fault::ALL {
            for successes in 0.. {
                let mut scene = Scene::new();
                if before > 0 {
                    let first = scene.grow(before);
                    scene.announce(0, &first).expect("the storage works");
                    lines(scene.upload(0, &first));
                }
                let second = scene.grow(count);
                scene.disk.storage.fail_after(successes, fault);
                let announced = scene.announce(before, &second);
                let uploaded = announced
                    .is_ok()
                    .then(|| scene.upload(before, &second).is_ok());
                if scene.disk.storage.disarm() {
                    assert_eq!(uploaded, Some(true), "fewer writes than that");
                    break;
                }
                assert_ne!(uploaded, Some(true), "a write has failed");
                check(&mut scene, &second);
            }
        }
    }
}

/// Has a checkpoint mirrored, wherever the mirror stands.
fn mirror_from_anywhere(scene: &Scene, to: &CaCheckpoint) {
    let at = match scene.announce(0, to) {
        Err(Refusal::Conflict { latest }) => latest,
        other => {
            other.expect("the storage works");
            TreeSize(0)
        }
    };
    scene
        .announce(at.0, to)
        .or_else(|refusal| match refusal {
            // It was announced just now, from 0.
            Refusal::Conflict { latest } if latest == to.size() => Ok(()),
            other => Err(other),
        })
        .expect("the storage works");
    let at = match scene.upload(to.size().0, to) {
        Ok(Uploaded::Mirrored(_)) => return,
        other => info(other).1,
    };
    lines(scene.upload(at, to));
}

#[test]
fn after_any_interrupted_write_the_same_process_goes_on() {
    interrupt_everywhere(|scene, second| {
        scene.assert_whole();
        mirror_from_anywhere(scene, second);
        scene.assert_whole();
    });
}

#[test]
fn after_any_interrupted_write_another_process_goes_on() {
    interrupt_everywhere(|scene, second| {
        scene.restart().unwrap();
        scene.assert_whole();
        mirror_from_anywhere(scene, second);
        scene.assert_whole();
        // And with other entries after them.
        let third = scene.grow(300);
        mirror_from_anywhere(scene, &third);
        scene.assert_whole();
    });
}

#[test]
fn a_bit_that_flips_while_it_is_written_is_not_cosigned() {
    for successes in 0.. {
        let mut scene = Scene::new();
        let first = scene.grow(300);
        scene.announce(0, &first).unwrap();
        let second = scene.grow(100);
        scene.announce(300, &second).unwrap();
        scene.disk.storage.flip_after(successes);
        let uploaded = scene.upload(0, &second);
        if scene.disk.storage.disarm() {
            lines(uploaded);
            break;
        }
        // The last write is that of the checkpoint, which is its own proof.
        match uploaded {
            Ok(Uploaded::Mirrored(_)) => {
                let reopened = scene.restart();
                assert!(
                    matches!(reopened, Err(MirrorOpenError::Checkpoint { .. })),
                    "{reopened:?}"
                );
            }
            Ok(Uploaded::Partly(_)) => panic!("all was sent"),
            Err(error) => {
                assert_eq!(error.status(), 500);
                lines(scene.upload(0, &second));
                scene.assert_whole();
            }
        }
    }
}

#[test]
fn damage_is_named_when_the_mirror_opens() {
    let damaged = |path: &str| {
        let mut scene = Scene::new();
        let first = scene.grow(300);
        scene.announce(0, &first).unwrap();
        lines(scene.upload(0, &first));
        let mut bytes = scene.disk.storage.bytes(path).expect(path);
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        scene.disk.storage.replace(path, Some(bytes));
        scene.restart()
    };
    for path in ["log/checkpoint", "state/pending-checkpoint"] {
        let opened = damaged(path);
        assert!(
            matches!(opened, Err(MirrorOpenError::Checkpoint { .. })),
            "{path}: {opened:?}"
        );
    }
    let opened = damaged("log/tile/0/001.p/44");
    assert!(
        matches!(opened, Err(MirrorOpenError::Tree { .. })),
        "{opened:?}"
    );
    // An older copy of one of two files.
    let mut scene = Scene::new();
    let (first, second) = (scene.grow(3), scene.grow(4));
    scene.announce(0, &first).unwrap();
    let old = scene.disk.storage.bytes("state/pending-checkpoint");
    lines(scene.upload(0, &first));
    scene.announce(3, &second).unwrap();
    lines(scene.upload(3, &second));
    scene.disk.storage.replace("state/pending-checkpoint", old);
    let opened = scene.restart();
    assert!(
        matches!(opened, Err(MirrorOpenError::PendingBehind { .. })),
        "{opened:?}"
    );
}

#[test]
fn pending_entries_that_are_damaged_are_had_again() {
    for path in [
        "log/tile/0/002",
        "log/tile/1/000.p/3",
        "state/pending-entries",
    ] {
        let mut scene = Scene::new();
        let first = scene.grow(1000);
        scene.announce(0, &first).unwrap();
        let body = upload_body(&scene.header(0, 1000), &scene.tree(&first)).unwrap();
        info(scene.send(&body[..body.len() - 1]));
        let mut bytes = scene.disk.storage.bytes(path).expect(path);
        bytes[0] ^= 1;
        scene.disk.storage.replace(path, Some(bytes));
        scene.restart().unwrap();
        // At the latest when the root is not the checkpoint's, everything is uploaded again.
        let mut answer = scene.upload(768, &first);
        for _ in 0..3 {
            if let Ok(Uploaded::Mirrored(_)) = answer {
                break;
            }
            let at = match &answer {
                Err(UploadRefusal::Conflict(info)) | Ok(Uploaded::Partly(info)) => info.next,
                _ => 0,
            };
            answer = scene.upload(at, &first);
        }
        lines(answer);
        scene.assert_whole();
    }
}

#[test]
fn landmarks_are_copied_and_never_taken_back() {
    let mut scene = Scene::new();
    let first = scene.grow(20);
    scene.announce(0, &first).unwrap();
    let log = scene.world.log;
    let copy = |document: &str| scene.mirror.copy_landmarks(&log, document.as_bytes());
    assert!(matches!(
        copy("1\n5 100\n0 0\n"),
        Err(LandmarkCopyError::Beyond { .. })
    ));
    lines(scene.upload(0, &first));
    assert!(copy("1\n5 100\n0 0\n").unwrap());
    assert!(!copy("1\n5 100\n0 0\n").unwrap());
    assert!(copy("2\n9 200\n5 100\n0 0\n").unwrap());
    assert!(matches!(
        copy("1\n5 100\n0 0\n"),
        Err(LandmarkCopyError::WentBack { .. })
    ));
    assert!(matches!(
        copy("2\n8 200\n5 100\n0 0\n"),
        Err(LandmarkCopyError::Changed(_))
    ));
    assert!(matches!(
        copy("3\n21 300\n9 200\n5 100\n0 0\n"),
        Err(LandmarkCopyError::Beyond { .. })
    ));
    assert!(matches!(copy("x"), Err(LandmarkCopyError::Malformed(_))));
    let kept = scene.disk.storage.bytes("log/landmarks").unwrap();
    assert_eq!(kept, b"2\n9 200\n5 100\n0 0\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is announced and uploaded in which order, cut wherever, across restarts: what is shown is whole and never goes back.
    #[test]
    fn every_history_of_uploads_leaves_a_whole_copy(
        batches in prop::collection::vec(1..400_u64, 1..6),
        steps in prop::collection::vec((0..6_usize, 0..6_usize, 0..1000_u64, any::<bool>()), 1..40),
    ) {
        let mut scene = Scene::new();
        let checkpoints: Vec<_> = batches.iter().map(|count| scene.grow(*count)).collect();
        let mut shown = TreeSize::EMPTY;
        for (action, which, cut, restart) in steps {
            let to = &checkpoints[which % checkpoints.len()];
            let [pending, stored] = scene.mirror.progress().first().map_or([0, 0], |(_, progress)| {
                [progress.pending.0, progress.stored.0]
            });
            match action {
                0 if pending <= to.size().0 => scene.announce(pending, to).unwrap(),
                0 | 1 => drop(scene.announce(0, to)),
                2..=4 => {
                    let start = stored.min(to.size().0).saturating_sub(cut % 3 * 100);
                    let body = upload_body(&scene.header(start, to.size().0), &scene.tree(to)).unwrap();
                    let end = if action == 2 { body.len() * cut as usize / 1000 } else { body.len() };
                    let sent = scene.send(&body[..end]);
                    let is_fault = sent.as_ref().is_err_and(|error| error.status() == 500);
                    prop_assert!(!is_fault, "{:?}", sent);
                }
                _ => {
                    let body = upload_body(&scene.header(stored.min(to.size().0), to.size().0), &scene.tree(to)).unwrap();
                    let mut damaged = body;
                    let position = damaged.len() * cut as usize / 1000;
                    damaged[position] ^= 0x80;
                    let _ = scene.send(&damaged);
                }
            }
            if restart {
                scene.restart().unwrap();
            }
            let now = scene.shown().map_or(TreeSize::EMPTY, |shown| shown.size());
            prop_assert!(now >= shown);
            shown = now;
        }
        scene.assert_whole();
        mirror_from_anywhere(&scene, checkpoints.last().unwrap());
        scene.assert_whole();
    }
}

#[test]
fn what_is_stored_is_what_the_log_has_hashed() {
    let mut scene = Scene::new();
    let first = scene.grow(5);
    scene.announce(0, &first).unwrap();
    lines(scene.upload(0, &first));
    let bundle = scene
        .disk
        .storage
        .bytes("log/tile/entries/000.p/5")
        .unwrap();
    let entry = b"of 0: 0";
    assert_eq!(&bundle[2..2 + entry.len()], entry);
    let leaves = scene.disk.storage.bytes("log/tile/0/000.p/5").unwrap();
    assert_eq!(&leaves[..32], leaf_hash(entry));
}
