//! A witness never signs two histories, whoever asks and in whatever order.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use mtc_core::checkpoint::{SignedCheckpoint, verify_subtree_line};
use mtc_core::id::TreeSize;
use mtc_core::note::SignedNote;
use mtc_core::time::UnixTime;
use mtc_core::tree::Subtree;
use mtc_log::{
    AddCheckpoint, CaCheckpoint, IssuanceLog, Object, Refusal, SignSubtree, Storage, StorageError,
    WitnessOpenError, WitnessStore, WitnessedLog,
};
use test_support::log_world::{NOW, World, entries};
use test_support::storage_contract::Fault;

use crate::storage::MemoryStorage;

/// How the SHA-256 of the origin `oid/1.3.6.1.4.1.32473.1.0.1` begins.
const ORIGIN_HASH: &str = "3622e790";

/// A log that grows to 10 and 300 entries, and a witness of it.
struct Scene {
    world: World,
    log: IssuanceLog,
    small: CaCheckpoint,
    large: CaCheckpoint,
    storage: Arc<MemoryStorage>,
    witness: WitnessStore,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let mut log = world.create(&Arc::new(MemoryStorage::default()));
        let small = log
            .append(&entries("a", 10), NOW)
            .expect("the storage works")
            .checkpoint;
        let large = log
            .append(&entries("b", 290), NOW)
            .expect("the storage works")
            .checkpoint;
        let storage = Arc::new(MemoryStorage::default());
        let witness = open(&world, &storage).expect("an empty storage");
        Self {
            world,
            log,
            small,
            large,
            storage,
            witness,
        }
    }

    /// A request to go from `old_size` to the checkpoint, with the proof that belongs to it.
    fn request(&self, old_size: u64, to: &CaCheckpoint) -> AddCheckpoint {
        let tree = mtc_log::TreeReader::open(self.log.storage(), to.size(), to.root())
            .expect("a checkpoint of the log");
        let proof = tree
            .consistency_proof(Subtree::whole(TreeSize(old_size)))
            .expect("old_size is not beyond");
        AddCheckpoint {
            old_size: TreeSize(old_size),
            proof,
            checkpoint: to.to_note(),
        }
    }

    fn add(&self, old_size: u64, to: &CaCheckpoint) -> Result<Vec<u8>, Refusal> {
        self.witness
            .add_checkpoint(&self.request(old_size, to).encode(), NOW)
    }

    /// Size of the latest checkpoint that the witness shows.
    fn latest(&self) -> Option<u64> {
        let note = self.witness.latest(&origin_hash(&self.storage)?)?;
        let checkpoint = CaCheckpoint::verify(&note, &self.world.log, &self.world.ca())
            .expect("signed by the CA");
        checkpoint
            .signed()
            .verify(&self.world.log, self.witness.cosigner())
            .expect("signed by the witness");
        Some(checkpoint.size().0)
    }
}

fn open<S: Storage>(world: &World, storage: &Arc<S>) -> Result<WitnessStore, WitnessOpenError> {
    let log = WitnessedLog {
        id: world.log,
        ca: world.ca(),
    };
    WitnessStore::open(storage.clone(), world.witness_key(), [log])
}

/// From the one path that the witness has stored something under.
fn origin_hash(storage: &MemoryStorage) -> Option<String> {
    let path = storage.paths().into_iter().next()?;
    Some(
        path.strip_prefix("witness/")?
            .strip_suffix("/checkpoint")?
            .to_owned(),
    )
}

fn status(result: &Result<Vec<u8>, Refusal>) -> u16 {
    result.as_ref().map_or_else(Refusal::status, |_| 200)
}

#[test]
fn a_cosignature_verifies_and_tells_the_time() {
    let scene = Scene::new();
    let answer = scene.add(0, &scene.small).unwrap();
    let note = [scene.small.to_note(), answer].concat();
    let cosigned = SignedCheckpoint::parse(&note, &scene.world.log).unwrap();
    assert_eq!(
        cosigned.verify(&scene.world.log, scene.witness.cosigner()),
        Ok(NOW)
    );
    assert_eq!(scene.latest(), Some(10));
    scene.add(10, &scene.large).unwrap();
    assert_eq!(scene.latest(), Some(300));
}

#[test]
fn the_checkpoint_is_stored_under_the_hash_of_the_origin() {
    let scene = Scene::new();
    scene.add(0, &scene.small).unwrap();
    let hash = origin_hash(&scene.storage).unwrap();
    assert_eq!((hash.len(), &hash[..8]), (64, ORIGIN_HASH));
    assert_eq!(
        scene.witness.latest(&hash),
        scene.storage.bytes(&format!("witness/{hash}/checkpoint"))
    );
    assert_eq!(scene.witness.latest(&hash.to_uppercase()), None);
    assert_eq!(scene.witness.latest(""), None);
}

#[test]
fn the_same_checkpoint_is_cosigned_again() {
    let scene = Scene::new();
    scene.add(0, &scene.small).unwrap();
    scene.add(10, &scene.small).unwrap();
    assert_eq!(scene.latest(), Some(10));
}

#[test]
fn a_wrong_old_size_is_answered_with_the_latest() {
    let scene = Scene::new();
    assert!(matches!(
        scene.add(10, &scene.large),
        Err(Refusal::Conflict {
            latest: TreeSize::EMPTY
        })
    ));
    scene.add(0, &scene.large).unwrap();
    let rollback = scene.add(0, &scene.small);
    assert!(matches!(
        rollback,
        Err(Refusal::Conflict {
            latest: TreeSize(300)
        })
    ));
    assert_eq!(status(&rollback), 409);
    assert_eq!(scene.latest(), Some(300));
}

#[test]
fn each_fault_of_a_request_has_its_status() {
    let scene = Scene::new();
    scene.add(0, &scene.small).unwrap();
    let good = scene.request(10, &scene.large);
    let send = |request: &AddCheckpoint| scene.witness.add_checkpoint(&request.encode(), NOW);

    let beyond = AddCheckpoint {
        old_size: TreeSize(301),
        ..good.clone()
    };
    assert_eq!(
        status(&send(&beyond)),
        400,
        "old size beyond the checkpoint comes before 409"
    );
    assert_eq!(status(&scene.witness.add_checkpoint(b"old 10\n", NOW)), 400);
    assert_eq!(
        status(&send(&AddCheckpoint {
            checkpoint: b"no note\n".to_vec(),
            ..good.clone()
        })),
        400
    );

    let edit = |from: &str, to: &str| {
        let note = String::from_utf8(good.checkpoint.clone())
            .unwrap()
            .replacen(from, to, 1);
        AddCheckpoint {
            checkpoint: note.into_bytes(),
            ..good.clone()
        }
    };
    assert_eq!(status(&send(&edit("32473.1.0.1\n", "32473.1.0.2\n"))), 404);
    assert_eq!(
        status(&send(&edit("\n300\n", "\n301\n"))),
        403,
        "what the CA has not signed"
    );
    assert_eq!(
        status(&send(&edit("— oid", "— old"))),
        403,
        "an unknown key"
    );
    assert_eq!(status(&send(&edit("\n300\n", "\n0300\n"))), 400);

    let mut damaged = good.clone();
    damaged.proof[0][0] ^= 1;
    assert_eq!(status(&send(&damaged)), 422);
    assert_eq!(
        status(&send(&AddCheckpoint {
            proof: vec![],
            ..good.clone()
        })),
        422
    );
    assert_eq!(scene.latest(), Some(10), "none of it was stored");
    assert_eq!(status(&send(&good)), 200);
}

#[test]
fn two_trees_of_one_size_are_never_both_cosigned() {
    let scene = Scene::new();
    scene.add(0, &scene.small).unwrap();
    let fork = scene
        .world
        .create(&Arc::new(MemoryStorage::default()))
        .append(&entries("fork", 10), NOW)
        .unwrap();
    let request = AddCheckpoint {
        old_size: TreeSize(10),
        proof: vec![],
        checkpoint: fork.checkpoint.to_note(),
    };
    let refused = scene.witness.add_checkpoint(&request.encode(), NOW);
    assert!(matches!(refused, Err(Refusal::Fork { size: TreeSize(10) })));
    assert_eq!(status(&refused), 422);
}

#[test]
fn a_larger_fork_is_refused() {
    let scene = Scene::new();
    scene.add(0, &scene.small).unwrap();
    let mut fork = scene.world.create(&Arc::new(MemoryStorage::default()));
    let forked = fork.append(&entries("fork", 20), NOW).unwrap().checkpoint;
    let proof = fork
        .reader()
        .unwrap()
        .consistency_proof(Subtree::whole(TreeSize(10)))
        .unwrap();
    let request = AddCheckpoint {
        old_size: TreeSize(10),
        proof,
        checkpoint: forked.to_note(),
    };
    assert!(matches!(
        scene.witness.add_checkpoint(&request.encode(), NOW),
        Err(Refusal::Proof(_))
    ));
}

#[test]
fn state_survives_a_restart() {
    let mut scene = Scene::new();
    scene.add(0, &scene.large).unwrap();
    scene.witness = open(&scene.world, &scene.storage).unwrap();
    assert_eq!(
        (scene.latest(), scene.witness.largest()),
        (Some(300), TreeSize(300))
    );
    assert!(matches!(
        scene.add(0, &scene.small),
        Err(Refusal::Conflict {
            latest: TreeSize(300)
        })
    ));
}

#[test]
fn damaged_state_is_refused() {
    let scene = Scene::new();
    scene.add(0, &scene.small).unwrap();
    let path = scene.storage.paths().remove(0);
    let sound = scene.storage.bytes(&path).unwrap();
    for position in (0..sound.len()).step_by(101) {
        let mut damaged = sound.clone();
        damaged[position] ^= 1;
        scene.storage.replace(&path, Some(damaged));
        let opened = open(&scene.world, &scene.storage);
        assert!(
            matches!(opened, Err(WitnessOpenError::Checkpoint { .. })),
            "byte {position}"
        );
    }
    // Signed by the CA, and never seen by the witness.
    scene.storage.replace(&path, Some(scene.large.to_note()));
    assert!(matches!(
        open(&scene.world, &scene.storage),
        Err(WitnessOpenError::Checkpoint { .. })
    ));
}

#[test]
fn nothing_is_cosigned_that_could_not_be_stored() {
    for fault in Fault::ALL {
        let scene = Scene::new();
        scene.add(0, &scene.small).unwrap();
        scene.storage.fail_after(0, fault);
        let failed = scene.add(10, &scene.large);
        assert!(matches!(failed, Err(Refusal::Storage(_))));
        assert_eq!(status(&failed), 500);
        assert_eq!(
            (scene.latest(), scene.witness.largest()),
            (Some(10), TreeSize(10))
        );
        scene.add(10, &scene.large).unwrap();
        assert_eq!(
            (scene.latest(), scene.witness.largest()),
            (Some(300), TreeSize(300))
        );
    }
}

#[test]
fn a_clock_at_zero_cosigns_nothing() {
    let scene = Scene::new();
    let body = scene.request(0, &scene.small).encode();
    assert!(matches!(
        scene.witness.add_checkpoint(&body, UnixTime(0)),
        Err(Refusal::NoTime)
    ));
}

#[test]
fn a_clock_that_went_backwards_cosigns_nothing_until_its_time_has_come() {
    let scene = Scene::new();
    scene.add(0, &scene.small).unwrap();
    let body = scene.request(10, &scene.large).encode();
    let early = UnixTime(NOW.0 - 1);
    let reopened = open(&scene.world, &scene.storage).unwrap();
    for witness in [&scene.witness, &reopened] {
        assert!(matches!(
            witness.add_checkpoint(&body, early),
            Err(Refusal::ClockWentBackwards { last: NOW, now }) if now == early
        ));
        assert_eq!(scene.latest(), Some(10));
    }
    scene.add(10, &scene.large).unwrap();
}

#[test]
fn a_log_is_listed_once() {
    let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    let log = WitnessedLog {
        id: world.log,
        ca: world.ca(),
    };
    let opened = WitnessStore::open(storage, world.witness_key(), [log.clone(), log]);
    assert!(matches!(opened, Err(WitnessOpenError::DuplicateLog { .. })));
}

#[test]
fn logs_of_one_ca_are_witnessed_each_by_itself() {
    let (first, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    let second = first.with_log(2);
    let worlds = [&first, &second];
    let logs = worlds.map(|world| WitnessedLog {
        id: world.log,
        ca: world.ca(),
    });
    let witness = WitnessStore::open(storage, first.witness_key(), logs).unwrap();
    assert_eq!(witness.largest(), TreeSize::EMPTY);
    // A first checkpoint needs no proof; each log has one, of another size.
    for (world, size) in worlds.into_iter().zip([20, 10]) {
        let mut log = world.create(&Arc::new(MemoryStorage::default()));
        let checkpoint = log.append(&entries("a", size), NOW).unwrap().checkpoint;
        let request = AddCheckpoint {
            old_size: TreeSize::EMPTY,
            proof: vec![],
            checkpoint: checkpoint.to_note(),
        };
        witness.add_checkpoint(&request.encode(), NOW).unwrap();
        assert!(matches!(
            witness.add_checkpoint(&request.encode(), NOW),
            Err(Refusal::Conflict { latest }) if latest == TreeSize(size)
        ));
        assert_eq!(witness.largest(), TreeSize(20));
    }
}

/// A storage whose writes take long enough for others to come in between, and which notices if one does.
#[derive(Default)]
struct SlowStorage {
    storage: MemoryStorage,
    busy: AtomicBool,
    overlaps: AtomicUsize,
}

impl Storage for SlowStorage {
    fn put(&self, object: &Object, bytes: &[u8]) -> Result<(), StorageError> {
        if self.busy.swap(true, Ordering::SeqCst) {
            self.overlaps.fetch_add(1, Ordering::SeqCst);
        }
        (0..200).for_each(|_| thread::yield_now());
        let result = self.storage.put(object, bytes);
        self.busy.store(false, Ordering::SeqCst);
        result
    }

    fn get(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
        self.storage.get(object)
    }

    fn is_empty(&self) -> Result<bool, StorageError> {
        self.storage.is_empty()
    }
}

/// A storage whose writes wait until they may go on.
pub(crate) struct HeldStorage {
    storage: MemoryStorage,
    pub(crate) entered: Barrier,
    pub(crate) proceed: Barrier,
}

impl Default for HeldStorage {
    fn default() -> Self {
        Self {
            storage: MemoryStorage::default(),
            entered: Barrier::new(2),
            proceed: Barrier::new(2),
        }
    }
}

impl Storage for HeldStorage {
    fn put(&self, object: &Object, bytes: &[u8]) -> Result<(), StorageError> {
        self.entered.wait();
        self.proceed.wait();
        self.storage.put(object, bytes)
    }

    fn get(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
        self.storage.get(object)
    }

    fn is_empty(&self) -> Result<bool, StorageError> {
        self.storage.is_empty()
    }
}

#[test]
fn the_largest_size_is_told_while_a_checkpoint_is_being_stored() {
    let scene = Scene::new();
    let storage = Arc::new(HeldStorage::default());
    let witness = open(&scene.world, &storage).unwrap();
    let request = scene.request(0, &scene.small).encode();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| witness.add_checkpoint(&request, NOW).map(drop).unwrap());
        storage.entered.wait();
        scope.spawn(|| tell.send(witness.largest()));
        let told = told.recv_timeout(Duration::from_secs(10));
        storage.proceed.wait();
        assert_eq!(told, Ok(TreeSize::EMPTY));
    });
    assert_eq!(witness.largest(), TreeSize(10));
}

#[test]
fn racing_requests_never_roll_back() {
    const RACERS: u64 = 8;
    let world = World::new();
    let mut log = world.create(&Arc::new(MemoryStorage::default()));
    let checkpoints: Vec<_> = (0..RACERS)
        .map(|number| {
            log.append(&entries(&format!("batch {number}"), 3), NOW)
                .unwrap()
                .checkpoint
        })
        .collect();
    let storage = Arc::new(SlowStorage::default());
    let witness = open(&world, &storage).unwrap();
    let proof = |old: u64, to: &CaCheckpoint| {
        let tree = mtc_log::TreeReader::open(log.storage(), to.size(), to.root()).unwrap();
        tree.consistency_proof(Subtree::whole(TreeSize(old)))
            .unwrap()
    };
    // Every racer wants its own checkpoint cosigned and gives up only when a larger one has been. Requests are made here,
    // since trees are read in one thread.
    let requests: Vec<Vec<_>> = checkpoints
        .iter()
        .map(|to| {
            let sizes = (0..=to.size().0).step_by(3);
            sizes
                .map(|old| AddCheckpoint {
                    old_size: TreeSize(old),
                    proof: proof(old, to),
                    checkpoint: to.to_note(),
                })
                .collect()
        })
        .collect();
    let start = Barrier::new(requests.len());
    thread::scope(|scope| {
        for requests in &requests {
            let (witness, start) = (&witness, &start);
            scope.spawn(move || {
                start.wait();
                let mut old = 0;
                while let Some(request) = requests.get(old) {
                    match witness.add_checkpoint(&request.encode(), NOW) {
                        Err(Refusal::Conflict { latest }) => {
                            assert!(latest.0 / 3 > old as u64, "the latest checkpoint went back");
                            old = (latest.0 / 3) as usize;
                        }
                        answer => {
                            return drop(answer.expect("consistent with any smaller checkpoint"));
                        }
                    }
                }
            });
        }
    });
    let latest = witness
        .latest(&origin_hash(&storage.storage).unwrap())
        .unwrap();
    let latest = CaCheckpoint::verify(&latest, &world.log, &world.ca()).unwrap();
    assert_eq!(
        storage.overlaps.load(Ordering::SeqCst),
        0,
        "a check ran beside a write"
    );
    assert_eq!(
        latest.size(),
        TreeSize(3 * RACERS),
        "the largest is consistent with all and must have won"
    );
}

/// A subtree request for a checkpoint that the witness has cosigned.
fn subtree_request(scene: &Scene, start: u64, end: u64) -> SignSubtree {
    let answer = scene
        .add(0, &scene.large)
        .or_else(|_| scene.add(300, &scene.large))
        .expect("a consistent checkpoint");
    let subtree = Subtree::new(start, end).expect("a valid subtree");
    let reader = scene.log.reader().expect("a sound log");
    SignSubtree {
        subtree,
        hash: reader.subtree_hash(subtree).expect("in the tree"),
        proof: reader.consistency_proof(subtree).expect("in the tree"),
        checkpoint: [scene.large.to_note(), answer].concat(),
    }
}

#[test]
fn subtrees_of_cosigned_checkpoints_are_cosigned_without_a_time() {
    let scene = Scene::new();
    for (start, end) in [(0, 10), (8, 10), (256, 300), (299, 300), (0, 300)] {
        let request = subtree_request(&scene, start, end);
        let answer = scene.witness.sign_subtree(&request.encode()).unwrap();
        let lines = SignedNote::parse_signatures(str::from_utf8(&answer).unwrap()).unwrap();
        let cosigner = scene.witness.cosigner();
        let verified = verify_subtree_line(
            &lines,
            cosigner,
            &scene.world.log,
            request.subtree,
            &request.hash,
        );
        assert_eq!(
            verified.map(|(time, _)| time),
            Ok(UnixTime(0)),
            "{}",
            request.subtree
        );
    }
}

#[test]
fn each_fault_of_a_subtree_request_has_its_status() {
    let scene = Scene::new();
    let good = subtree_request(&scene, 8, 10);
    let send = |request: &SignSubtree| status(&scene.witness.sign_subtree(&request.encode()));
    assert_eq!(send(&good), 200);

    assert_eq!(status(&scene.witness.sign_subtree(b"subtree 3 6\n\n")), 400);
    assert_eq!(
        send(&SignSubtree {
            checkpoint: b"no note\n".to_vec(),
            ..good.clone()
        }),
        400
    );
    let foreign = String::from_utf8(good.checkpoint.clone())
        .unwrap()
        .replacen(".0.1\n", ".0.2\n", 1);
    assert_eq!(
        send(&SignSubtree {
            checkpoint: foreign.into_bytes(),
            ..good.clone()
        }),
        404
    );
    assert_eq!(
        send(&SignSubtree {
            checkpoint: scene.large.to_note(),
            ..good.clone()
        }),
        403,
        "not cosigned"
    );
    let mut damaged = good.checkpoint.clone();
    let last = damaged.len() - 40;
    damaged[last] = if damaged[last] == b'A' { b'B' } else { b'A' };
    assert_eq!(
        send(&SignSubtree {
            checkpoint: damaged,
            ..good.clone()
        }),
        403,
        "cosignature damaged"
    );

    let mut wrong = good.clone();
    wrong.hash[0] ^= 1;
    assert_eq!(send(&wrong), 422);
    assert_eq!(
        send(&SignSubtree {
            proof: vec![],
            ..good.clone()
        }),
        422
    );
    assert_eq!(
        send(&SignSubtree {
            subtree: Subtree::new(10, 12).unwrap(),
            ..good.clone()
        }),
        422
    );
    assert_eq!(
        send(&SignSubtree {
            subtree: Subtree::new(300, 301).unwrap(),
            ..good
        }),
        422,
        "beyond the checkpoint"
    );
}
