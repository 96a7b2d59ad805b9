//! A log whose checkpoints a mirror cosigns beside a witness.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::id::{LogId, TreeSize};
use mtc_log::{
    CosigningKey, IssueError, MirrorInfo, MirrorStore, Sequencer, SequencerConfig, UploadError,
    UploadReader, UploadRefusal, Uploaded, Witness, WitnessError, WitnessStore, WitnessedLog,
};

use crate::issuance::answer;
use crate::mirror::Disk;
use crate::storage::MemoryStorage;
use test_support::log_world::{NOW, World, entries, id};
use tokio::time::Instant;

/// A cosigner in this process: one of two kinds.
enum Kind {
    Witness(WitnessStore),
    Mirror(MirrorStore),
}

#[derive(Clone)]
struct TestCosigner {
    kind: Arc<Kind>,
    /// What was asked of whom, in order.
    asked: Arc<Mutex<Vec<&'static str>>>,
    /// Answers to `add-entries` instead of the mirror's own, the first last.
    instead: Arc<Mutex<Vec<Uploaded>>>,
    /// Whether a mirror answers nothing.
    is_silent: Arc<AtomicBool>,
}

impl TestCosigner {
    fn note(&self, request: &'static str) {
        self.asked.lock().expect("no panics").push(request);
    }

    fn upload(&self, body: &[u8]) -> Result<Uploaded, UploadRefusal> {
        let Kind::Mirror(mirror) = &*self.kind else {
            panic!("entries are for mirrors");
        };
        let mut reader = UploadReader::default();
        reader.push(body);
        let header = reader.header()?.ok_or(UploadError::NoHeader)?;
        let mut upload = mirror.begin_upload(&header)?;
        while let Some(next) = upload.expected()
            && let Some(package) = reader.package(next.end - next.start)?
        {
            upload.add(package)?;
        }
        upload.finish(NOW)
    }
}

impl Witness for TestCosigner {
    fn cosigner(&self) -> &Cosigner {
        match &*self.kind {
            Kind::Witness(witness) => witness.cosigner(),
            Kind::Mirror(mirror) => mirror.cosigner(),
        }
    }

    async fn add_checkpoint(&self, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        match &*self.kind {
            Kind::Witness(witness) => {
                self.note("witness");
                answer(witness.add_checkpoint(&body, NOW))
            }
            Kind::Mirror(_) if self.is_silent.load(Ordering::Relaxed) => pending().await,
            Kind::Mirror(mirror) => answer(mirror.add_checkpoint(&body).map(|()| vec![])),
        }
    }

    async fn sign_subtree(&self, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        match &*self.kind {
            Kind::Witness(witness) => answer(witness.sign_subtree(&body)),
            Kind::Mirror(mirror) => {
                self.note("mirrored");
                answer(mirror.sign_subtree(&body))
            }
        }
    }

    fn is_mirror(&self) -> bool {
        matches!(&*self.kind, Kind::Mirror(_))
    }

    async fn add_entries(&self, body: Vec<u8>) -> Result<Uploaded, WitnessError> {
        if let Some(instead) = self.instead.lock().expect("no panics").pop() {
            return Ok(instead);
        }
        match self.upload(&body) {
            Err(UploadRefusal::Conflict(info)) => Ok(Uploaded::Partly(info)),
            uploaded => uploaded.map_err(|refusal| WitnessError::Refused {
                status: refusal.status(),
                detail: refusal.to_string(),
            }),
        }
    }

    async fn latest_checkpoint(&self, log: &LogId) -> Result<Option<Vec<u8>>, WitnessError> {
        match &*self.kind {
            Kind::Witness(witness) => Ok(witness.latest_of(log)),
            Kind::Mirror(_) => Ok(None),
        }
    }
}

struct Scene {
    world: World,
    storage: Arc<MemoryStorage>,
    witness: TestCosigner,
    mirror: TestCosigner,
    copies: Disk,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let known = || WitnessedLog {
            id: world.log,
            ca: world.ca(),
        };
        let asked = Arc::default();
        let cosigner = |kind| TestCosigner {
            kind: Arc::new(kind),
            asked: Arc::clone(&asked),
            instead: Arc::default(),
            is_silent: Arc::default(),
        };
        let copies = Disk::default();
        let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("a key");
        let key = CosigningKey::new(id("32473.7"), secret).expect("a key");
        let mirror = MirrorStore::open(copies.clone(), key, [known()]).expect("an empty disk");
        let memory = Arc::new(MemoryStorage::default());
        let witness = WitnessStore::open(memory, world.witness_key(), [known()]);
        Self {
            witness: cosigner(Kind::Witness(witness.expect("an empty storage"))),
            mirror: cosigner(Kind::Mirror(mirror)),
            storage: Arc::default(),
            world,
            copies,
        }
    }

    /// Issues an entry of a log that has `before` entries already.
    async fn issue(&self, before: u64) -> Result<(), IssueError> {
        let mut log = self.world.create(&self.storage);
        if before > 0 {
            log.append(&entries("before", before), NOW).expect("works");
        }
        let config = SequencerConfig {
            queue: 10,
            min_interval: Duration::ZERO,
            required_witnesses: 2,
            witness_deadline: Duration::from_secs(30),
        };
        let cosigners = [self.witness.clone(), self.mirror.clone()];
        let (issuer, sequencer) =
            Sequencer::new(log, cosigners, config, Arc::new(|| NOW)).expect("a configuration");
        let running = tokio::spawn(sequencer.run());
        let issued = issuer.issue(b"entry".to_vec()).await;
        running.abort();
        issued.map(|issued| {
            let cosigners = issued.cosignatures.iter();
            let ids: Vec<_> = cosigners.map(|by| by.cosigner_id.to_string()).collect();
            assert_eq!(ids, ["32473.1", "32473.7", "32473.9"]);
        })
    }
}

// The clock stands still while somebody works, so that nobody is too late.
#[tokio::test(start_paused = true)]
async fn what_a_witness_cosigns_can_be_had_from_the_mirror() {
    let scene = Scene::new();
    scene.issue(9000).await.unwrap();
    let asked = scene.mirror.asked.lock().unwrap().clone();
    assert_eq!(asked.first(), Some(&"mirrored"), "{asked:?}");
    assert_eq!(asked.last(), Some(&"witness"), "{asked:?}");
    let Kind::Mirror(mirror) = &*scene.mirror.kind else {
        panic!("a mirror");
    };
    let [(_, progress)] = mirror.progress()[..] else {
        panic!("one log");
    };
    assert_eq!(progress.mirrored, TreeSize(9001));
    let bundle = "log/tile/entries/035.p/41";
    let (copy, log) = (
        scene.copies.storage.bytes(bundle),
        scene.storage.bytes(bundle),
    );
    assert!(copy.is_some() && copy == log);
}

// The clock stands still while somebody works, so that nobody is too late.
#[tokio::test(start_paused = true)]
async fn a_mirror_that_leads_nowhere_is_given_up_and_asked_again() {
    let scene = Scene::new();
    let info = |size, next| {
        Uploaded::Partly(MirrorInfo {
            size: TreeSize(size),
            next,
            ticket: vec![],
        })
    };
    // Another checkpoint; entries beyond it; the same again and again. Then it is itself.
    *scene.mirror.instead.lock().unwrap() = vec![
        info(10, 0),
        info(10, 0),
        info(10, 0),
        info(10, 12),
        info(12, 0),
    ];
    scene.issue(10).await.unwrap();
}

/// How long each of some entries takes with a witness whose cosignature is enough, and a mirror beside it.
async fn times(scene: &Scene, patience: Duration, entries: usize) -> Vec<Duration> {
    let log = scene.world.create(&scene.storage);
    let config = SequencerConfig {
        queue: 10,
        min_interval: Duration::ZERO,
        required_witnesses: 1,
        witness_deadline: patience,
    };
    let cosigners = [scene.witness.clone(), scene.mirror.clone()];
    let (issuer, sequencer) =
        Sequencer::new(log, cosigners, config, Arc::new(|| NOW)).expect("a configuration");
    let running = tokio::spawn(sequencer.run());
    let mut times = Vec::new();
    for _ in 0..entries {
        let began = Instant::now();
        issuer.issue(b"entry".to_vec()).await.expect("one is well");
        times.push(began.elapsed());
    }
    running.abort();
    times
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_hangs_is_waited_for_once_and_leaves_the_others_their_time() {
    for patience in [30, 1].map(Duration::from_secs) {
        let scene = Scene::new();
        scene.mirror.is_silent.store(true, Ordering::Relaxed);
        let times = times(&scene, patience, 4).await;
        assert!(times[0] < patience, "{times:?}");
        assert!(times[1..].iter().all(Duration::is_zero), "{times:?}");
    }
}
