//! Several witnesses of which some must cosign: which may fail, lag or be somebody else, and whose cosignatures certificates get.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mtc_core::cosign::{CosignedMessage, Cosigner};
use mtc_core::id::{TreeSize, TrustAnchorId};
use mtc_core::time::UnixTime;
use mtc_core::tree::{evaluate_inclusion, leaf_hash};
use mtc_log::{
    BatchStep, CaCheckpoint, IssueError, Issued, Issuer, Sequencer, SequencerConfig,
    SequencerError, Witness, WitnessFault,
};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep};

use crate::issuance::{CONFIG, Gated, Mood, TestWitness};
use crate::storage::MemoryStorage;
use test_support::log_world::{NOW, World};

const TWO: SequencerConfig = SequencerConfig {
    required_witnesses: 2,
    ..CONFIG
};
const IDS: [&str; 3] = ["32473.2", "32473.3", "32473.4"];

type Running = (Issuer, JoinHandle<Result<(), Arc<SequencerError>>>);

/// A log and three witnesses.
struct Scene {
    world: World,
    storage: Arc<MemoryStorage>,
    witnesses: [TestWitness; 3],
}

impl Scene {
    fn new() -> Self {
        let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
        world.create(&storage);
        let witnesses =
            IDS.map(|id| TestWitness::signing_with(&world, world.another_witness_key(id)));
        Self {
            world,
            storage,
            witnesses,
        }
    }

    fn start(&self) -> Running {
        self.start_with(self.witnesses.clone())
    }

    fn start_with<W: Witness>(&self, witnesses: impl IntoIterator<Item = W>) -> Running {
        let log = self.world.open(&self.storage).expect("a sound log");
        let (issuer, sequencer) =
            Sequencer::new(log, witnesses, TWO, Arc::new(|| NOW)).expect("two of three");
        (issuer, tokio::spawn(sequencer.run()))
    }

    /// Opens the log again after its sequencer has ended.
    async fn restart(&self, (issuer, sequencer): Running) -> Running {
        drop(issuer);
        sequencer.await.expect("no panic").expect("no failure");
        self.start()
    }

    fn cosigners(&self) -> Vec<Cosigner> {
        let witnesses = self.witnesses.iter().map(|of| of.cosigner().clone());
        [self.world.ca()].into_iter().chain(witnesses).collect()
    }

    /// Who has cosigned a certificate's subtree. Every cosignature there is verifies, and they are in the order of certificates.
    fn signers(&self, entry: &[u8], issued: &Issued) -> Vec<TrustAnchorId> {
        let (index, subtree) = (issued.index, issued.subtree);
        let hash = evaluate_inclusion(index, subtree, leaf_hash(entry), &issued.inclusion_proof)
            .expect("a proof");
        let cosigners = self.cosigners();
        let signers = issued.cosignatures.iter().map(|cosignature| {
            let id = cosignature.cosigner_id;
            let signer = cosigners.iter().find(|of| of.id == id).expect("known");
            let message = CosignedMessage {
                cosigner: &id,
                log: &self.world.log,
                timestamp: UnixTime(0),
                subtree,
                hash: &hash,
            };
            let verifies = signer
                .key
                .verifies(&message.encode(), &cosignature.signature);
            assert!(verifies, "{id}");
            id
        });
        let signers: Vec<_> = signers.collect();
        assert!(signers.is_sorted(), "{signers:?}");
        signers
    }

    /// Entries of the published checkpoint, and how many witnesses have cosigned that.
    fn published(&self) -> (TreeSize, usize) {
        let note = self.storage.bytes("log/checkpoint").expect("published");
        let checkpoint = CaCheckpoint::verify(&note, &self.world.log, &self.world.ca());
        let checkpoint = checkpoint.expect("the CA's");
        let cosigned = |witness: &&TestWitness| {
            let verified = checkpoint
                .signed()
                .verify(&self.world.log, witness.cosigner());
            verified.is_ok()
        };
        let cosigned = self.witnesses.iter().filter(cosigned).count();
        (checkpoint.size(), cosigned)
    }
}

fn ids(positions: [usize; 2]) -> Vec<TrustAnchorId> {
    let ids = ["32473.1"].into_iter().chain(positions.map(|at| IDS[at]));
    ids.map(|id| id.parse().expect("an ID")).collect()
}

#[tokio::test(start_paused = true)]
async fn whichever_of_three_fails_the_other_two_are_in_the_certificate() {
    for (failing, others) in [(0, [1, 2]), (1, [0, 2]), (2, [0, 1])] {
        for mood in [
            Mood::Down,
            Mood::Silent,
            Mood::HalfDown,
            Mood::Lying,
            Mood::Refusing(404),
            Mood::Refusing(503),
            Mood::Claiming(99),
        ] {
            let scene = Scene::new();
            let (issuer, _sequencer) = scene.start();
            scene.witnesses[failing].set(mood);
            for (entry, size) in [(b"a", 1), (b"b", 2)] {
                let issued = issuer.issue(entry.to_vec()).await.expect("two are well");
                assert_eq!(scene.signers(entry, &issued), ids(others), "{mood:?}");
                assert_eq!(scene.published(), (TreeSize(size), 2), "{mood:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn certificates_are_as_large_when_all_are_well() {
    let scene = Scene::new();
    let (issuer, _sequencer) = scene.start();
    for entry in [b"a", b"b"] {
        let issued = issuer.issue(entry.to_vec()).await.expect("all are well");
        assert_eq!(scene.signers(entry, &issued).len(), 3, "the CA and two");
        assert_eq!(scene.published().1, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_key_has_signed_counts_for_nobody() {
    let scene = Scene::new();
    let [first, second, third] = scene.witnesses.clone();
    let known_as = second.cosigner().clone();
    let foreign = scene.world.another_witness_key("32473.3");
    let foreign = TestWitness::signing_with(&scene.world, foreign).taken_for(known_as);
    let (issuer, _sequencer) = scene.start_with([first, foreign, third.clone()]);
    let issued = issuer.issue(b"a".to_vec()).await.expect("two are well");
    assert_eq!(scene.signers(b"a", &issued), ids([0, 2]));
    third.set(Mood::Down);
    let error = issuer.issue(b"b".to_vec()).await.expect_err("one is well");
    let told = error.to_string();
    assert!(told.contains("2 witnesses must cosign"), "{told}");
    assert!(told.contains("32473.3"), "{told}");
    assert!(told.contains("not usable"), "{told}");
    assert!(told.contains("32473.4"), "{told}");
    assert!(!told.contains("32473.2"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn below_the_quorum_nothing_is_issued_and_later_everything_is_covered() {
    let scene = Scene::new();
    let (issuer, _sequencer) = scene.start();
    issuer.issue(b"a".to_vec()).await.expect("all are well");
    scene.witnesses[0].set(Mood::Down);
    scene.witnesses[2].set(Mood::Silent);
    let error = issuer.issue(b"b".to_vec()).await.expect_err("one is well");
    let IssueError::WitnessUnavailable { required, failures } = &error else {
        panic!("{error}");
    };
    assert_eq!((*required, failures.len()), (2, 2));
    assert_eq!(scene.published(), (TreeSize(1), 2), "nothing is published");

    scene.witnesses[2].set(Mood::Well);
    let issued = issuer.issue(b"c".to_vec()).await.expect("two are well");
    assert_eq!(scene.signers(b"c", &issued), ids([1, 2]));
    assert_eq!(scene.published(), (TreeSize(3), 2));
}

// Its view is several checkpoints old when it is needed.
#[tokio::test(start_paused = true)]
async fn a_witness_that_was_away_takes_over_from_where_it_was() {
    let scene = Scene::new();
    let (issuer, _sequencer) = scene.start();
    issuer.issue(b"a".to_vec()).await.expect("all are well");
    scene.witnesses[2].set(Mood::Down);
    for entry in [b"b", b"c", b"d"] {
        issuer.issue(entry.to_vec()).await.expect("two are well");
    }
    assert!(scene.witnesses[2].size() <= TreeSize(1));
    scene.witnesses[2].set(Mood::Well);
    scene.witnesses[0].set(Mood::Down);
    let issued = issuer.issue(b"e".to_vec()).await.expect("two are well");
    assert_eq!(scene.signers(b"e", &issued), ids([1, 2]));
    assert_eq!(scene.witnesses[2].size(), TreeSize(5));
}

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Cosigned(u64),
    Failed(WitnessFault),
}

#[tokio::test]
async fn a_slow_witness_is_not_needed_and_not_forgotten() {
    let scene = Scene::new();
    let gates = [100, 100, 0].map(|permits| Arc::new(Semaphore::new(permits)));
    let slow: TrustAnchorId = IDS[2].parse().expect("an ID");
    let witnesses = scene.witnesses.clone().into_iter().zip(&gates);
    let witnesses = witnesses.map(|(witness, gate)| Gated {
        witness,
        gate: gate.clone(),
    });
    let log = scene.world.open(&scene.storage).expect("a sound log");
    let (issuer, sequencer) =
        Sequencer::new(log, witnesses, TWO, Arc::new(|| NOW)).expect("two of three");
    let told = Arc::new(Mutex::new(Vec::new()));
    let hears = told.clone();
    let sequencer = sequencer.observed_by(Arc::new(move |step| {
        let heard = match step {
            BatchStep::WitnessCosigned { id, size } if id == slow => Told::Cosigned(size.0),
            BatchStep::WitnessFailed { id, fault } if id == slow => Told::Failed(fault),
            _ => return,
        };
        hears.lock().expect("no panic").push(heard);
    }));
    tokio::spawn(sequencer.run());
    for entry in [b"a", b"b"] {
        let issued = issuer.issue(entry.to_vec()).await.expect("two are fast");
        assert_eq!(scene.signers(entry, &issued), ids([0, 1]));
    }
    // The first batch found that it had not answered for the empty log, the second for the first. Now the log rests, and it has the
    // time that it needs.
    gates[2].add_permits(100);
    while scene.witnesses[2].size() < TreeSize(2) || told.lock().expect("no panic").len() < 3 {
        yield_now().await;
    }
    let told = std::mem::take(&mut *told.lock().expect("no panic"));
    let late = || Told::Failed(WitnessFault::Late);
    assert_eq!(told, [late(), late(), Told::Cosigned(2)]);
    issuer.issue(b"c".to_vec()).await.expect("all are fast");
}

#[tokio::test(start_paused = true)]
async fn a_restart_waits_for_no_more_witnesses_than_tell_of_a_rollback() {
    let scene = Scene::new();
    let running = scene.start();
    running.0.issue(b"a".to_vec()).await.expect("all are well");
    scene.witnesses[1].set(Mood::Silent);
    let began = Instant::now();
    let (issuer, _sequencer) = scene.restart(running).await;
    issuer.issue(b"b".to_vec()).await.expect("two are well");
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

// Two of three had cosigned what is gone, so one of those is among any two that answer.
#[tokio::test(start_paused = true)]
async fn a_rollback_is_found_whichever_witness_is_away() {
    for away in 0..3 {
        let scene = Scene::new();
        let (issuer, sequencer) = scene.start();
        issuer.issue(b"a".to_vec()).await.expect("all are well");
        let backup = ["state/signed-checkpoint", "log/checkpoint"]
            .map(|object| (object, scene.storage.bytes(object)));
        // One that has seen nothing of what follows.
        scene.witnesses[(away + 1) % 3].set(Mood::Down);
        issuer.issue(b"b".to_vec()).await.expect("two are well");
        drop(issuer);
        sequencer.await.expect("no panic").expect("no failure");
        for (object, bytes) in backup {
            scene.storage.replace(object, bytes);
        }
        scene.witnesses[(away + 1) % 3].set(Mood::Well);
        scene.witnesses[away].set(Mood::Down);
        let (issuer, sequencer) = scene.start();
        let error = issuer.issue(b"c".to_vec()).await.expect_err("rolled back");
        assert!(matches!(error, IssueError::LogFailed(_)), "{away}: {error}");
        let ended = sequencer.await.expect("no panic").expect_err("an end");
        assert!(matches!(&*ended, SequencerError::RolledBack(_)), "{ended}");
    }
}

// Two agree with what was put back, and the log goes on with them; the third alone has seen more, and says so when it is late.
#[tokio::test(start_paused = true)]
async fn a_late_proof_of_a_rollback_is_heard_before_anything_is_signed() {
    const SIGNED: &str = "state/signed-checkpoint";
    let scene = Scene::new();
    let (issuer, sequencer) = scene.start();
    issuer.issue(b"a".to_vec()).await.expect("all are well");
    let backup = scene.storage.bytes(SIGNED);
    for away in 0..2 {
        scene.witnesses[away].set(Mood::Down);
    }
    for entry in [b"b", b"c"] {
        issuer.issue(entry.to_vec()).await.expect_err("one of two");
    }
    assert_eq!(scene.witnesses[2].size(), TreeSize(3));
    drop(issuer);
    sequencer.await.expect("no panic").expect("no failure");
    scene.storage.replace(SIGNED, backup);

    for back in 0..2 {
        scene.witnesses[back].set(Mood::Well);
    }
    let gates = [100, 100, 0].map(|permits| Arc::new(Semaphore::new(permits)));
    let witnesses = scene.witnesses.clone().into_iter().zip(&gates);
    let (issuer, sequencer) = scene.start_with(witnesses.map(|(witness, gate)| Gated {
        witness,
        gate: gate.clone(),
    }));
    issuer.issue(b"d".to_vec()).await.expect("two agree");
    let signed = scene.storage.bytes(SIGNED);
    gates[2].add_permits(100);
    // The clock goes on when nobody has anything left to do.
    sleep(Duration::from_secs(1)).await;
    let error = issuer.issue(b"e".to_vec()).await.expect_err("rolled back");
    assert!(matches!(error, IssueError::LogFailed(_)), "{error}");
    let ended = sequencer.await.expect("no panic").expect_err("an end");
    assert!(matches!(&*ended, SequencerError::RolledBack(_)), "{ended}");
    assert!(scene.storage.bytes(SIGNED) == signed, "nothing was signed");
}
