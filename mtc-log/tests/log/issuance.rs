//! Certificates from entries: batches, witnesses that come and go, and what happens when the log fails.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mtc_core::cosign::{CosignedMessage, Cosigner};
use mtc_core::id::{EntryIndex, LogId, TreeSize};
use mtc_core::time::UnixTime;
use mtc_core::tree::{Hash, Subtree, evaluate_inclusion, leaf_hash, verify_consistency};
use mtc_log::{
    BatchStep, Clock, CosigningKey, DirectoryStorage, Inspection, IssueError, Issued, Issuer,
    Object, Refusal, Sequencer, SequencerConfig, SequencerConfigError, SequencerError, Storage,
    TreeError, TreeReader, Witness, WitnessError, WitnessStore, WitnessedLog,
};
use test_support::log_world::{NOW, World, all_entries, entries, tree_of};
use test_support::storage_contract::Fault;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::storage::MemoryStorage;

pub(crate) const CONFIG: SequencerConfig = SequencerConfig {
    queue: 1000,
    min_interval: Duration::ZERO,
    required_witnesses: 1,
    witness_deadline: Duration::from_secs(5),
};

/// How a witness behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Connections are refused.
    Down,
    /// Requests are never answered.
    Silent,
    /// Every request gets this status.
    Refusing(u16),
    /// Claims to be at this size, whatever it has cosigned.
    Claiming(u64),
    /// Cosigns checkpoints and no subtrees.
    HalfDown,
    /// Answers with a signature on something else.
    Lying,
}

/// A witness in this process, shared with the test.
#[derive(Clone)]
pub(crate) struct TestWitness {
    store: Arc<WitnessStore>,
    /// Whom the log takes it for.
    known_as: Cosigner,
    mood: Arc<Mutex<Mood>>,
    requests: Arc<AtomicUsize>,
}

impl TestWitness {
    fn new(world: &World) -> Self {
        Self::signing_with(world, world.witness_key())
    }

    /// One that signs with another key than the world's witness.
    pub(crate) fn signing_with(world: &World, key: CosigningKey) -> Self {
        let log = WitnessedLog {
            id: world.log,
            ca: world.ca(),
        };
        let store = WitnessStore::open(Arc::new(MemoryStorage::default()), key, [log]);
        let store = Arc::new(store.expect("an empty storage"));
        Self {
            known_as: store.cosigner().clone(),
            store,
            mood: Arc::new(Mutex::new(Mood::Well)),
            requests: Arc::default(),
        }
    }

    /// The same one, where the log expects another's signatures.
    pub(crate) fn taken_for(self, known_as: Cosigner) -> Self {
        Self { known_as, ..self }
    }

    /// Entries that it has cosigned.
    pub(crate) fn size(&self) -> TreeSize {
        self.store.largest()
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().expect("no panics under the lock") = mood;
    }

    async fn mood(&self) -> Result<Mood, WitnessError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mood = *self.mood.lock().expect("no panics under the lock");
        match mood {
            Mood::Down => Err(WitnessError::Unreachable("connection refused".into())),
            Mood::Silent => std::future::pending().await,
            Mood::Refusing(status) => Err(WitnessError::Refused {
                status,
                detail: "no".to_owned(),
            }),
            Mood::Claiming(size) => Err(WitnessError::Conflict {
                size: TreeSize(size),
            }),
            mood => Ok(mood),
        }
    }
}

/// A store's answer as it is had over HTTP.
pub(crate) fn answer(result: Result<Vec<u8>, Refusal>) -> Result<Vec<u8>, WitnessError> {
    result.map_err(|refusal| match refusal {
        Refusal::Conflict { latest } => WitnessError::Conflict { size: latest },
        refusal => WitnessError::Refused {
            status: refusal.status(),
            detail: refusal.to_string(),
        },
    })
}

impl Witness for TestWitness {
    fn cosigner(&self) -> &Cosigner {
        &self.known_as
    }

    async fn add_checkpoint(&self, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        self.mood().await?;
        answer(self.store.add_checkpoint(&body, NOW))
    }

    async fn sign_subtree(&self, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        match self.mood().await? {
            Mood::HalfDown => Err(WitnessError::Unreachable("connection reset".into())),
            Mood::Lying => {
                let signed = answer(self.store.sign_subtree(&body))?;
                Ok(String::from_utf8(signed)
                    .expect("text")
                    .replace(" AA", " AB")
                    .replace("AAAAAAAA", "AAAAAAAB")
                    .into_bytes())
            }
            _ => answer(self.store.sign_subtree(&body)),
        }
    }

    async fn latest_checkpoint(&self, log: &LogId) -> Result<Option<Vec<u8>>, WitnessError> {
        Ok(self.store.latest_of(log))
    }
}

struct Scene {
    world: World,
    storage: Arc<MemoryStorage>,
    witness: TestWitness,
    now: Arc<Mutex<UnixTime>>,
}

impl Scene {
    /// A scene with an empty log.
    fn new() -> Self {
        let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
        world.create(&storage);
        let witness = TestWitness::new(&world);
        Self {
            world,
            storage,
            witness,
            now: Arc::new(Mutex::new(NOW)),
        }
    }

    /// Opens the log and starts its sequencer.
    fn start(
        &self,
        config: SequencerConfig,
    ) -> (Issuer, JoinHandle<Result<(), Arc<SequencerError>>>) {
        let log = self.world.open(&self.storage).expect("a sound log");
        let now = Arc::clone(&self.now);
        let clock: Clock = Arc::new(move || *now.lock().expect("no panics under the lock"));
        let (issuer, sequencer) = Sequencer::new(log, [self.witness.clone()], config, clock)
            .expect("a sane configuration");
        (issuer, tokio::spawn(sequencer.run()))
    }

    /// Proof and cosignatures hold, as a relying party would find.
    fn assert_valid(&self, entry: &[u8], issued: &Issued) {
        let hash = self.proven_hash(entry, issued);
        let ids: Vec<_> = issued
            .cosignatures
            .iter()
            .map(|cosignature| cosignature.cosigner_id)
            .collect();
        assert_eq!(
            ids,
            [self.world.ca().id, self.witness.cosigner().id],
            "in the order of certificates"
        );
        for (cosigner, cosignature) in [self.world.ca(), self.witness.cosigner().clone()]
            .iter()
            .zip(&issued.cosignatures)
        {
            let message = CosignedMessage {
                cosigner: &cosigner.id,
                log: &self.world.log,
                timestamp: UnixTime(0),
                subtree: issued.subtree,
                hash: &hash,
            };
            assert!(
                cosigner
                    .key
                    .verifies(&message.encode(), &cosignature.signature),
                "{}",
                cosigner.id
            );
        }
    }

    fn proven_hash(&self, entry: &[u8], issued: &Issued) -> Hash {
        evaluate_inclusion(
            issued.index,
            issued.subtree,
            leaf_hash(entry),
            &issued.inclusion_proof,
        )
        .expect("a proof")
    }

    /// What is served, and by whom it is cosigned.
    fn published_size(&self) -> Option<u64> {
        let note = self.storage.bytes("log/checkpoint")?;
        let checkpoint = mtc_log::CaCheckpoint::verify(&note, &self.world.log, &self.world.ca())
            .expect("signed");
        checkpoint
            .signed()
            .verify(&self.world.log, self.witness.cosigner())
            .expect("cosigned");
        Some(checkpoint.size().0)
    }
}

#[tokio::test]
async fn an_entry_is_acknowledged_durable_and_cosigned() {
    let scene = Scene::new();
    let (issuer, _sequencer) = scene.start(CONFIG);
    let issued = issuer.issue(b"entry".to_vec()).await.unwrap();
    assert_eq!(
        (issued.index, issued.tree_size),
        (EntryIndex(0), TreeSize(1))
    );
    scene.assert_valid(b"entry", &issued);
    assert_eq!(scene.published_size(), Some(1));
    assert_eq!(
        issuer
            .published()
            .borrow()
            .as_ref()
            .map(mtc_log::CaCheckpoint::size),
        Some(TreeSize(1))
    );
    let log = scene.world.open(&scene.storage).unwrap();
    assert_eq!(
        log.reader().unwrap().entry(EntryIndex(0)).unwrap(),
        b"entry"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_issuance_gives_each_entry_its_own_index() {
    const CALLERS: u64 = 300;
    let directory = tempfile::tempdir().unwrap();
    let scene = Scene::new();
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let log = scene.world.create(&storage);
    let (issuer, sequencer) =
        Sequencer::new(log, [scene.witness.clone()], CONFIG, Arc::new(|| NOW)).unwrap();
    let sequencer = tokio::spawn(sequencer.run());
    let mut callers = JoinSet::new();
    for entry in entries("parallel", CALLERS) {
        let issuer = issuer.clone();
        callers.spawn(async move { (issuer.issue(entry.clone()).await.unwrap(), entry) });
    }
    let issued = callers.join_all().await;
    let indices: BTreeSet<_> = issued.iter().map(|(issued, _)| issued.index.0).collect();
    assert!(
        indices.into_iter().eq(0..CALLERS),
        "indices are a permutation of [0, n)"
    );
    for (issued, entry) in &issued {
        scene.assert_valid(entry, issued);
    }
    drop(issuer);
    sequencer.await.unwrap().unwrap();
    // Replay: what lies on disk hashes to the signed root, and every entry is where its certificate says.
    drop(storage);
    let log = scene
        .world
        .open(&Arc::new(DirectoryStorage::open(directory.path()).unwrap()))
        .unwrap();
    let stored = all_entries(&log.reader().unwrap());
    assert_eq!(tree_of(&stored).root(), log.signed().root());
    assert_eq!(log.published().unwrap().root(), log.signed().root());
    for (issued, entry) in &issued {
        assert_eq!(&stored[issued.index.0 as usize], entry);
    }
}

#[tokio::test(start_paused = true)]
async fn what_arrives_within_the_interval_makes_one_batch() {
    let scene = Scene::new();
    let (issuer, _sequencer) = scene.start(SequencerConfig {
        min_interval: Duration::from_secs(1),
        ..CONFIG
    });
    let first = issuer.issue(b"first".to_vec()).await.unwrap();
    let mut callers = JoinSet::new();
    for entry in entries("later", 20) {
        let issuer = issuer.clone();
        callers.spawn(async move { issuer.issue(entry).await.unwrap() });
    }
    let later = callers.join_all().await;
    assert_eq!(first.tree_size, TreeSize(1));
    assert!(later.iter().all(|issued| issued.tree_size == TreeSize(21)));
}

#[tokio::test(start_paused = true)]
async fn a_witness_that_is_down_fails_the_batch_and_the_next_covers_it() {
    for mood in [
        Mood::Down,
        Mood::Silent,
        Mood::HalfDown,
        Mood::Lying,
        Mood::Refusing(503),
        Mood::Refusing(403),
    ] {
        let scene = Scene::new();
        let (issuer, _sequencer) = scene.start(CONFIG);
        let old = issuer.issue(b"old".to_vec()).await.unwrap();
        scene.witness.set(mood);
        for entry in [b"lost".to_vec(), b"lost too".to_vec()] {
            let error = issuer.issue(entry).await.unwrap_err();
            assert!(
                matches!(&error, IssueError::WitnessUnavailable { failures, .. } if failures.len() == 1),
                "{mood:?}: {error}"
            );
            assert!(error.to_string().contains("32473.9"), "{error}");
        }
        assert_eq!(scene.published_size(), Some(1), "{mood:?}");
        scene.witness.set(Mood::Well);
        let new = issuer.issue(b"new".to_vec()).await.unwrap();
        assert_eq!(
            (new.index, new.tree_size),
            (EntryIndex(3), TreeSize(4)),
            "{mood:?}"
        );
        scene.assert_valid(b"new", &new);
        assert_eq!(scene.published_size(), Some(4));

        // The old certificate's subtree is part of the larger tree.
        scene.assert_valid(b"old", &old);
        let log = scene.world.open(&scene.storage).unwrap();
        let reader = log.reader().unwrap();
        let proof = reader.consistency_proof(old.subtree).unwrap();
        let hash = scene.proven_hash(b"old", &old);
        assert_eq!(
            verify_consistency(old.subtree, reader.size(), &hash, &reader.root(), &proof),
            Ok(())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_witness_is_asked_again_within_bounds() {
    let scene = Scene::new();
    scene.witness.set(Mood::Down);
    let (issuer, _sequencer) = scene.start(CONFIG);
    issuer.issue(b"entry".to_vec()).await.unwrap_err();
    // On starting and for the batch: 5 seconds with pauses of 50 ms, doubling up to 2 s.
    let requests = scene.witness.requests.load(Ordering::Relaxed);
    assert!((2 * 6..=2 * 10).contains(&requests), "{requests}");

    scene.witness.set(Mood::Refusing(403));
    let before = scene.witness.requests.load(Ordering::Relaxed);
    issuer.issue(b"entry".to_vec()).await.unwrap_err();
    assert_eq!(
        scene.witness.requests.load(Ordering::Relaxed) - before,
        1,
        "what a witness refuses it will refuse again"
    );
}

#[tokio::test]
async fn a_witness_at_another_size_is_asked_from_there() {
    let scene = Scene::new();
    let (issuer, sequencer) = scene.start(CONFIG);
    issuer.issue(b"a".to_vec()).await.unwrap();
    drop(issuer);
    sequencer.await.unwrap().unwrap();
    // The log has forgotten that it was published: it believes the witness to be at 0.
    scene.storage.replace("log/checkpoint", None);
    let (issuer, _sequencer) = scene.start(CONFIG);
    let issued = issuer.issue(b"b".to_vec()).await.unwrap();
    assert_eq!(issued.tree_size, TreeSize(2));
    scene.assert_valid(b"b", &issued);
}

/// A scene whose log is an old copy: the witness has seen two entries, the log has one.
async fn rolled_back() -> Scene {
    let scene = Scene::new();
    let (issuer, sequencer) = scene.start(CONFIG);
    issuer.issue(b"a".to_vec()).await.expect("issued");
    let backup = ["state/signed-checkpoint", "log/checkpoint"]
        .map(|object| (object, scene.storage.bytes(object)));
    issuer.issue(b"b".to_vec()).await.expect("issued");
    drop(issuer);
    sequencer.await.expect("no panic").expect("a sound log");
    for (object, bytes) in backup {
        scene.storage.replace(object, bytes);
    }
    scene
}

/// The CA signed the next entry before it asked the witness, so there were two histories with its signature.
#[tokio::test]
async fn a_log_that_was_rolled_back_fails_before_anything_is_signed() {
    let scene = rolled_back().await;
    let signed = scene.storage.bytes("state/signed-checkpoint");
    let (issuer, sequencer) = scene.start(CONFIG);
    let error = issuer.issue(b"c".to_vec()).await.unwrap_err();
    let IssueError::LogFailed(failure) = &error else {
        panic!("{error}")
    };
    let SequencerError::RolledBack(witness) = &**failure else {
        panic!("{failure}")
    };
    assert!(
        matches!(
            witness.source,
            WitnessError::Ahead {
                witness: TreeSize(2),
                log: TreeSize(1)
            }
        ),
        "{witness}"
    );
    assert!(sequencer.await.unwrap().is_err(), "it must not go on");
    assert_eq!(scene.storage.bytes("state/signed-checkpoint"), signed);
}

/// Anybody at the witness's address can say a number; what the CA has signed nobody else can show.
#[tokio::test(start_paused = true)]
async fn a_larger_size_without_a_checkpoint_stops_nothing_for_good() {
    let scene = Scene::new();
    let (issuer, _sequencer) = scene.start(CONFIG);
    issuer.issue(b"a".to_vec()).await.expect("issued");
    scene.witness.set(Mood::Claiming(99_999_999_999));
    let error = issuer.issue(b"b".to_vec()).await.unwrap_err();
    let IssueError::WitnessUnavailable { failures, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        matches!(
            failures[0].source,
            WitnessError::Unproven {
                claimed: TreeSize(99_999_999_999),
                log: TreeSize(2)
            }
        ),
        "{}",
        failures[0].source
    );
    let requests = scene.witness.requests.load(Ordering::Relaxed);
    assert!(requests < 12, "{requests} requests: the pause grows");
    scene.witness.set(Mood::Well);
    let issued = issuer.issue(b"c".to_vec()).await.expect("issued");
    scene.assert_valid(b"c", &issued);
}

#[tokio::test]
async fn nothing_is_signed_before_the_witness_was_heard() {
    let scene = rolled_back().await;
    let signed = scene.storage.bytes("state/signed-checkpoint");
    scene.witness.set(Mood::Refusing(403));
    let (issuer, _sequencer) = scene.start(CONFIG);
    let error = issuer.issue(b"c".to_vec()).await.unwrap_err();
    assert!(
        matches!(error, IssueError::WitnessUnavailable { .. }),
        "{error}"
    );
    scene.witness.set(Mood::Well);
    let error = issuer.issue(b"c".to_vec()).await.unwrap_err();
    assert!(matches!(error, IssueError::LogFailed(_)), "{error}");
    assert_eq!(scene.storage.bytes("state/signed-checkpoint"), signed);
}

#[tokio::test]
async fn a_checkpoint_signed_before_a_crash_is_published_on_starting() {
    let scene = Scene::new();
    let mut log = scene.world.open(&scene.storage).unwrap();
    log.append(&entries("before the crash", 3), NOW).unwrap();
    drop(log);
    let (issuer, _sequencer) = scene.start(CONFIG);
    let mut published = issuer.published();
    published
        .wait_for(|published| {
            published
                .as_ref()
                .is_some_and(|published| published.size() == TreeSize(3))
        })
        .await
        .unwrap();
    assert_eq!(scene.published_size(), Some(3));
}

#[tokio::test]
async fn a_published_checkpoint_that_lost_its_cosignature_is_cosigned_again() {
    let scene = Scene::new();
    let (issuer, sequencer) = scene.start(CONFIG);
    issuer.issue(b"a".to_vec()).await.unwrap();
    drop(issuer);
    sequencer.await.unwrap().unwrap();
    let mut damaged = scene.storage.bytes("log/checkpoint").unwrap();
    let position = damaged.len() - 40;
    damaged[position] = if damaged[position] == b'A' {
        b'B'
    } else {
        b'A'
    };
    scene
        .storage
        .replace("log/checkpoint", Some(damaged.clone()));
    let (issuer, sequencer) = scene.start(CONFIG);
    drop(issuer);
    sequencer.await.unwrap().unwrap();
    assert_ne!(scene.storage.bytes("log/checkpoint"), Some(damaged));
    assert_eq!(scene.published_size(), Some(1));
}

#[tokio::test]
async fn a_full_disk_ends_issuance_and_everyone_is_told() {
    for fault in Fault::ALL {
        // An entry bundle, a tile, the signed checkpoint, the published checkpoint.
        for successes in 0..4 {
            let scene = Scene::new();
            let (issuer, sequencer) = scene.start(CONFIG);
            issuer.issue(b"acknowledged".to_vec()).await.unwrap();
            scene.storage.fail_after(successes, fault);
            assert!(matches!(
                issuer.issue(b"x".to_vec()).await,
                Err(IssueError::LogFailed(_))
            ));
            assert!(
                matches!(
                    issuer.issue(b"y".to_vec()).await,
                    Err(IssueError::LogFailed(_))
                ),
                "later calls too"
            );
            sequencer.await.unwrap().unwrap_err();
            let expected = if fault == Fault::AfterRename && successes == 3 {
                2
            } else {
                1
            };
            assert_eq!(scene.published_size(), Some(expected));
            // Opened again, it goes on.
            let (issuer, _sequencer) = scene.start(CONFIG);
            let issued = issuer.issue(b"z".to_vec()).await.unwrap();
            scene.assert_valid(b"z", &issued);
            let log = scene.world.open(&scene.storage).unwrap();
            assert_eq!(
                log.reader().unwrap().entry(EntryIndex(0)).unwrap(),
                b"acknowledged"
            );
        }
    }
}

#[tokio::test]
async fn a_clock_that_goes_backwards_fails_the_batch_only() {
    let scene = Scene::new();
    let (issuer, _sequencer) = scene.start(CONFIG);
    *scene.now.lock().unwrap() = UnixTime(NOW.0 - 1);
    assert!(matches!(
        issuer.issue(b"x".to_vec()).await,
        Err(IssueError::Refused(_))
    ));
    *scene.now.lock().unwrap() = NOW;
    assert_eq!(
        issuer.issue(b"x".to_vec()).await.unwrap().index,
        EntryIndex(0)
    );
}

/// A witness that answers when the test lets it.
pub(crate) struct Gated {
    pub(crate) witness: TestWitness,
    pub(crate) gate: Arc<Semaphore>,
}

impl Witness for Gated {
    fn cosigner(&self) -> &Cosigner {
        self.witness.cosigner()
    }

    async fn add_checkpoint(&self, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        self.gate.acquire().await.expect("never closed").forget();
        self.witness.add_checkpoint(body).await
    }

    async fn sign_subtree(&self, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        self.witness.sign_subtree(body).await
    }

    async fn latest_checkpoint(&self, log: &LogId) -> Result<Option<Vec<u8>>, WitnessError> {
        self.witness.latest_checkpoint(log).await
    }
}

#[tokio::test]
async fn a_full_queue_is_told_at_once() {
    let scene = Scene::new();
    let gate = Arc::new(Semaphore::new(0));
    let witness = Gated {
        witness: scene.witness.clone(),
        gate: Arc::clone(&gate),
    };
    let log = scene.world.open(&scene.storage).unwrap();
    let config = SequencerConfig { queue: 2, ..CONFIG };
    let (issuer, sequencer) = Sequencer::new(log, [witness], config, Arc::new(|| NOW)).unwrap();
    let mut waiting = JoinSet::new();
    for entry in entries("waiting", 2) {
        let issuer = issuer.clone();
        waiting.spawn(async move { issuer.issue(entry).await });
    }
    // The sequencer is not running yet, so the two fill the queue as soon as they have been polled.
    tokio::task::yield_now().await;
    assert!(matches!(
        issuer.issue(b"third".to_vec()).await,
        Err(IssueError::Overloaded)
    ));
    tokio::spawn(sequencer.run());
    gate.add_permits(2);
    for issued in waiting.join_all().await {
        assert_eq!(issued.unwrap().tree_size, TreeSize(2));
    }
}

#[tokio::test]
async fn an_entry_too_long_is_refused_alone() {
    let scene = Scene::new();
    let (issuer, _sequencer) = scene.start(CONFIG);
    let (long, longest) =
        tokio::join!(issuer.issue(vec![0; 65_536]), issuer.issue(vec![0; 65_535]));
    assert!(matches!(
        long,
        Err(IssueError::EntryTooLong { length: 65_536 })
    ));
    assert_eq!(longest.unwrap().index, EntryIndex(0));
}

#[tokio::test]
async fn a_stopped_sequencer_says_so() {
    let scene = Scene::new();
    let (issuer, sequencer) = scene.start(CONFIG);
    sequencer.abort();
    assert!(sequencer.await.unwrap_err().is_cancelled());
    assert!(matches!(
        issuer.issue(b"x".to_vec()).await,
        Err(IssueError::Stopped)
    ));
}

#[tokio::test]
async fn one_witness_of_two_suffices_if_the_policy_says_so() {
    let scene = Scene::new();
    let down = TestWitness::new(&scene.world);
    down.set(Mood::Silent);
    let log = scene.world.open(&scene.storage).unwrap();
    let (issuer, sequencer) =
        Sequencer::new(log, [down, scene.witness.clone()], CONFIG, Arc::new(|| NOW))
            .expect("one of two");
    tokio::spawn(sequencer.run());
    scene.assert_valid(b"x", &issuer.issue(b"x".to_vec()).await.unwrap());
}

#[tokio::test]
async fn one_witness_that_has_seen_more_outweighs_one_that_has_seen_nothing() {
    let scene = rolled_back().await;
    let log = scene.world.open(&scene.storage).unwrap();
    let witnesses = [TestWitness::new(&scene.world), scene.witness.clone()];
    let (issuer, sequencer) =
        Sequencer::new(log, witnesses, CONFIG, Arc::new(|| NOW)).expect("one of two");
    tokio::spawn(sequencer.run());
    let error = issuer.issue(b"c".to_vec()).await.unwrap_err();
    assert!(matches!(error, IssueError::LogFailed(_)), "{error}");
}

#[test]
fn impossible_configurations_are_refused() {
    let scene = Scene::new();
    let attempt = |config| {
        let log = scene.world.open(&scene.storage).expect("a sound log");
        Sequencer::new(log, [scene.witness.clone()], config, Arc::new(|| NOW)).err()
    };
    assert_eq!(
        attempt(SequencerConfig { queue: 0, ..CONFIG }),
        Some(SequencerConfigError::NoQueue)
    );
    assert_eq!(
        attempt(SequencerConfig {
            required_witnesses: 2,
            ..CONFIG
        }),
        Some(SequencerConfigError::TooFewWitnesses {
            required: 2,
            configured: 1
        }),
    );
}

#[tokio::test]
async fn certificates_survive_a_restart_of_everything() {
    let scene = Scene::new();
    let mut certificates = Vec::new();
    for round in 0..3 {
        let (issuer, sequencer) = scene.start(CONFIG);
        for entry in entries(&format!("round {round}"), 5) {
            certificates.push((issuer.issue(entry.clone()).await.unwrap(), entry));
        }
        drop(issuer);
        sequencer.await.unwrap().unwrap();
    }
    let log = scene.world.open(&scene.storage).unwrap();
    let storage: Arc<dyn Storage> = scene.storage.clone();
    let reader = TreeReader::open(storage, TreeSize(15), log.signed().root()).unwrap();
    for (position, (issued, entry)) in certificates.iter().enumerate() {
        let index = position as u64;
        assert_eq!(issued.index, EntryIndex(index));
        assert_eq!(
            Subtree::new(index, index + 1),
            Ok(issued.subtree),
            "a batch's subtrees begin where the last batch ended"
        );
        scene.assert_valid(entry, issued);
        let hash = scene.proven_hash(entry, issued);
        let proof = reader.consistency_proof(issued.subtree).unwrap();
        verify_consistency(issued.subtree, TreeSize(15), &hash, &reader.root(), &proof).unwrap();
    }
    assert_eq!(
        reader.subtree_hash(Subtree::whole(TreeSize(15))).unwrap(),
        log.published().unwrap().root()
    );
}

/// Which files a log has signed and published.
fn signed_and_published(scene: &Scene) -> [Option<Vec<u8>>; 2] {
    ["state/signed-checkpoint", "log/checkpoint"].map(|path| scene.storage.bytes(path))
}

fn a_damage() -> TreeError {
    TreeError::Malformed {
        object: Object::served_at("tile/0/000").expect("a tile's path"),
    }
}

#[tokio::test]
async fn damage_ends_the_wait_for_witnesses() {
    let scene = Scene::new();
    let (issuer, sequencer) = scene.start(CONFIG);
    issuer.issue(b"entry".to_vec()).await.unwrap();
    scene.witness.set(Mood::Silent);
    let asked = scene.witness.requests.load(Ordering::Relaxed);
    let waiting = tokio::spawn({
        let issuer = issuer.clone();
        async move { issuer.issue(b"waits".to_vec()).await }
    });
    while scene.witness.requests.load(Ordering::Relaxed) == asked {
        tokio::task::yield_now().await;
    }
    let [signed, published] = signed_and_published(&scene);
    issuer.stop_for(a_damage());
    // A silent witness alone would end the batch with another error, and the sequencer not at all.
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, IssueError::LogFailed(_)), "{error:?}");
    let ended = sequencer.await.unwrap().unwrap_err();
    assert!(matches!(&*ended, SequencerError::Damaged(_)), "{ended:?}");
    assert!(signed_and_published(&scene) == [signed, published]);
}

#[tokio::test]
async fn nothing_is_signed_or_published_after_damage_was_found() {
    for (last_step, signs) in [("taken", false), ("signed", true), ("cosigned", true)] {
        let scene = Scene::new();
        let log = scene.world.open(&scene.storage).unwrap();
        let (issuer, sequencer) =
            Sequencer::new(log, [scene.witness.clone()], CONFIG, Arc::new(|| NOW)).unwrap();
        let (finder, is_armed) = (issuer.clone(), Arc::new(AtomicBool::new(false)));
        let finds = Arc::clone(&is_armed);
        let sequencer = sequencer.observed_by(Arc::new(move |step| {
            let step = match step {
                BatchStep::Taken { .. } => "taken",
                BatchStep::Signed { .. } => "signed",
                BatchStep::Cosigned { .. } => "cosigned",
                _ => return,
            };
            if step == last_step && finds.load(Ordering::Relaxed) {
                finder.stop_for(a_damage());
            }
        }));
        let sequencer = tokio::spawn(sequencer.run());
        issuer.issue(b"first".to_vec()).await.unwrap();
        is_armed.store(true, Ordering::Relaxed);
        let asked = scene.witness.requests.load(Ordering::Relaxed);
        let [signed, published] = signed_and_published(&scene);
        let error = issuer.issue(b"entry".to_vec()).await.unwrap_err();
        assert!(
            matches!(error, IssueError::LogFailed(_)),
            "{last_step}: {error:?}"
        );
        sequencer.await.unwrap().unwrap_err();
        let [signed_after, published_after] = signed_and_published(&scene);
        assert_eq!(signed_after != signed, signs, "{last_step}");
        assert!(published_after == published, "{last_step}");
        let asks = scene.witness.requests.load(Ordering::Relaxed) > asked;
        assert_eq!(asks, last_step == "cosigned", "{last_step}");
    }
}

#[tokio::test]
async fn damage_that_was_found_ends_issuance() {
    let scene = Scene::new();
    let (issuer, sequencer) = scene.start(CONFIG);
    issuer.issue(b"entry".to_vec()).await.unwrap();
    let log = scene.world.open(&scene.storage).unwrap();
    let tile = "log/tile/0/000.p/1";
    let mut bytes = scene.storage.bytes(tile).expect("a tile");
    bytes[3] ^= 1;
    scene.storage.replace(tile, Some(bytes));
    let damage = Inspection::begin(scene.storage.clone(), log.signed())
        .err()
        .expect("a flipped bit");
    issuer.stop_for(damage);
    let ended = sequencer.await.unwrap().unwrap_err();
    assert!(matches!(&*ended, SequencerError::Damaged(_)), "{ended:?}");
    let error = issuer.issue(b"late".to_vec()).await.unwrap_err();
    assert!(matches!(error, IssueError::LogFailed(_)), "{error:?}");
}
