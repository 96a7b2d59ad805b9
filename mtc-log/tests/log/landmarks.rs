//! Landmarks: when they come, that they last, and what is proven against them.

use std::sync::Arc;
use std::time::Duration;

use mtc_core::id::{EntryIndex, LandmarkNumber, TreeSize};
use mtc_core::landmark::{LandmarkError, LandmarkSequence};
use mtc_core::time::UnixTime;
use mtc_core::tree::{evaluate_inclusion, leaf_hash};
use mtc_log::{IssuanceLog, LandmarkPolicy, LandmarkStore, LandmarkStoreError, TreeError};
use test_support::log_world::{NOW, World, entries};
use test_support::storage_contract::Fault;

use crate::storage::MemoryStorage;

const POLICY: LandmarkPolicy = LandmarkPolicy {
    time_between: Duration::from_secs(60),
    first_time_between: Duration::from_secs(60),
    max_certificate_lifetime: Duration::from_secs(3600),
};

fn later(seconds: u64) -> UnixTime {
    UnixTime(NOW.0 + seconds)
}

/// A log with its landmarks.
struct Log {
    storage: Arc<MemoryStorage>,
    log: IssuanceLog,
}

impl Log {
    fn new() -> Self {
        let storage = Arc::new(MemoryStorage::default());
        Self {
            log: World::new().create(&storage),
            storage,
        }
    }

    /// Publishes so many more entries.
    fn grow(&mut self, count: u64) {
        let start = self.log.signed().size();
        let batch = self
            .log
            .append(&entries(&format!("from {start}"), count), NOW)
            .expect("the storage works");
        self.log
            .publish(&batch.checkpoint.to_note())
            .expect("the storage works");
    }

    fn open(&self) -> Result<LandmarkStore, LandmarkStoreError> {
        self.open_with(POLICY)
    }

    fn open_with(&self, policy: LandmarkPolicy) -> Result<LandmarkStore, LandmarkStoreError> {
        LandmarkStore::open(self.storage.clone(), policy, self.log.published())
    }

    fn allocate(
        &self,
        landmarks: &mut LandmarkStore,
        now: UnixTime,
    ) -> Result<(LandmarkNumber, TreeSize), LandmarkStoreError> {
        let published = self.log.published().expect("grown before");
        landmarks
            .allocate(published, now)
            .map(|landmark| (landmark.number, landmark.tree_size))
    }

    fn served(&self) -> String {
        String::from_utf8(self.storage.bytes("log/landmarks").expect("published")).expect("text")
    }
}

#[test]
fn a_new_log_publishes_landmark_zero() {
    let log = Log::new();
    log.open().unwrap();
    assert_eq!(log.served(), "0\n0 0\n");
}

#[test]
fn landmarks_need_time_and_growth() {
    let mut log = Log::new();
    log.grow(5);
    let mut landmarks = log.open().unwrap();
    assert_eq!(
        log.allocate(&mut landmarks, NOW).unwrap(),
        (LandmarkNumber(1), TreeSize(5))
    );
    let not_grown = log.allocate(&mut landmarks, later(60));
    assert!(matches!(
        not_grown,
        Err(LandmarkStoreError::Landmark(LandmarkError::NotGrown(
            TreeSize(5)
        )))
    ));
    log.grow(5);
    let early = log.allocate(&mut landmarks, later(59));
    assert!(matches!(
        early,
        Err(LandmarkStoreError::Landmark(LandmarkError::TooEarly(_)))
    ));
    assert_eq!(
        log.allocate(&mut landmarks, later(60)).unwrap(),
        (LandmarkNumber(2), TreeSize(10))
    );
    let expiry = |seconds| later(seconds).0 + 3600;
    assert_eq!(
        log.served(),
        format!("2\n10 {}\n5 {}\n0 0\n", expiry(60), expiry(0))
    );
}

#[test]
fn a_log_that_begins_gets_landmarks_at_doubling_times() {
    let mut log = Log::new();
    let policy = LandmarkPolicy {
        first_time_between: Duration::from_secs(2),
        ..POLICY
    };
    let mut landmarks = log.open_with(policy).unwrap();
    assert_eq!(landmarks.earliest_next(), UnixTime(0), "the first");
    let mut seconds = 0;
    for spacing in [2, 4, 8, 16, 32, 60, 60] {
        log.grow(1);
        log.allocate(&mut landmarks, later(seconds)).unwrap();
        // Spacing is kept over restarts too.
        landmarks = log.open_with(policy).unwrap();
        assert_eq!(landmarks.earliest_next(), later(seconds + spacing));
        log.grow(1);
        let early = log.allocate(&mut landmarks, later(seconds + spacing - 1));
        assert!(matches!(
            early,
            Err(LandmarkStoreError::Landmark(LandmarkError::TooEarly(_)))
        ));
        seconds += spacing;
    }
}

#[test]
fn landmarks_survive_a_restart() {
    let mut log = Log::new();
    log.grow(5);
    let mut landmarks = log.open().unwrap();
    log.allocate(&mut landmarks, NOW).unwrap();
    let again = log.open().unwrap();
    assert_eq!(again.sequence(), landmarks.sequence());
}

#[test]
fn whatever_write_fails_a_number_keeps_its_size() {
    for fault in Fault::ALL {
        for successes in 0..2 {
            let mut log = Log::new();
            log.grow(5);
            let mut landmarks = log.open().unwrap();
            log.storage.fail_after(successes, fault);
            assert!(matches!(
                log.allocate(&mut landmarks, NOW),
                Err(LandmarkStoreError::Storage(_))
            ));
            assert!(!log.storage.disarm());
            let seen = LandmarkSequence::parse(&log.served(), NOW).unwrap();
            log.grow(5);
            let reopened = log.open().unwrap();
            assert_eq!(
                log.served(),
                reopened.sequence().to_document(),
                "opening publishes what is stored"
            );
            if seen.latest().number == LandmarkNumber(1) {
                assert_eq!(
                    reopened.sequence().latest(),
                    seen.latest(),
                    "what was readable stays"
                );
            }
        }
    }
}

#[test]
fn an_unpublished_landmark_is_published_on_the_next_occasion() {
    let mut log = Log::new();
    log.grow(5);
    let mut landmarks = log.open().unwrap();
    log.storage.fail_after(1, Fault::BeforeRename);
    log.allocate(&mut landmarks, NOW).unwrap_err();
    assert_eq!(
        (landmarks.sequence().latest().number, log.served().as_str()),
        (LandmarkNumber(1), "0\n0 0\n")
    );
    log.allocate(&mut landmarks, NOW).unwrap_err();
    assert_eq!(log.served(), landmarks.sequence().to_document());
}

#[test]
fn every_flipped_bit_is_detected() {
    let mut log = Log::new();
    log.grow(5);
    let mut landmarks = log.open().unwrap();
    log.allocate(&mut landmarks, NOW).unwrap();
    let sound = log.storage.bytes("state/landmarks").unwrap();
    for position in 0..sound.len() {
        let mut damaged = sound.clone();
        damaged[position] ^= 1;
        log.storage.replace("state/landmarks", Some(damaged));
        assert!(
            matches!(log.open(), Err(LandmarkStoreError::Damaged)),
            "byte {position}"
        );
    }
    log.storage.replace("state/landmarks", Some(sound));
    let served = log.served();
    log.storage
        .replace("log/landmarks", Some(served.replace('5', "4").into_bytes()));
    log.open().unwrap();
    assert_eq!(log.served(), served, "the copy is made again");
}

#[test]
fn lost_or_impossible_landmarks_are_refused() {
    let mut log = Log::new();
    log.grow(5);
    let mut landmarks = log.open().unwrap();
    log.allocate(&mut landmarks, NOW).unwrap();
    let state = log.storage.bytes("state/landmarks");
    log.storage.replace("state/landmarks", None);
    assert!(matches!(log.open(), Err(LandmarkStoreError::StateMissing)));
    let mut smaller = Log::new();
    smaller.grow(4);
    smaller.storage.replace("state/landmarks", state);
    assert!(matches!(
        smaller.open(),
        Err(LandmarkStoreError::BeyondPublished {
            size: TreeSize(4),
            ..
        })
    ));
}

#[test]
fn an_entry_is_proven_against_its_landmark() {
    let mut log = Log::new();
    let mut landmarks = log.open().unwrap();
    for (number, count) in [(0, 300), (1, 7), (2, 1)] {
        log.grow(count);
        log.allocate(&mut landmarks, later(60 * number)).unwrap();
    }
    log.grow(2);
    let (tree, now) = (log.log.reader().unwrap(), later(180));
    for (index, number) in [(0, 1), (299, 1), (300, 2), (306, 2), (307, 3)] {
        let proof = landmarks
            .prove(&tree, EntryIndex(index), now)
            .unwrap()
            .expect("below the newest landmark");
        assert_eq!(proof.landmark.number, LandmarkNumber(number));
        let leaf = leaf_hash(&tree.entry(EntryIndex(index)).unwrap());
        assert_eq!(
            evaluate_inclusion(
                EntryIndex(index),
                proof.subtree,
                leaf,
                &proof.inclusion_proof
            ),
            Ok(proof.hash)
        );
    }
    assert_eq!(
        landmarks.prove(&tree, EntryIndex(308), now).unwrap(),
        None,
        "no landmark yet"
    );
    assert_eq!(
        landmarks.prove(&tree, EntryIndex(0), later(3600)).unwrap(),
        None,
        "expired"
    );
}

#[test]
fn a_tree_older_than_the_landmark_proves_nothing() {
    let mut log = Log::new();
    log.grow(5);
    let old = log.log.reader().unwrap();
    log.grow(5);
    let mut landmarks = log.open().unwrap();
    log.allocate(&mut landmarks, NOW).unwrap();
    assert!(matches!(
        landmarks.prove(&old, EntryIndex(7), NOW),
        Err(TreeError::BeyondTree { .. })
    ));
}

// The clock was ahead for a moment: older landmarks were dropped, and the next start refused the list for good.
#[test]
fn landmarks_made_with_a_clock_that_was_ahead_are_no_reason_not_to_start() {
    let mut log = Log::new();
    log.grow(5);
    let mut landmarks = log.open().unwrap();
    log.allocate(&mut landmarks, NOW).unwrap();
    log.grow(5);
    log.allocate(&mut landmarks, later(100_000)).unwrap();
    log.grow(5);
    log.allocate(&mut landmarks, later(200_000)).unwrap();
    // By the right clock none of those that are left has expired.
    assert!(!log.served().contains("\n0 0\n"), "{}", log.served());
    let again = log.open().unwrap();
    assert_eq!(again.sequence(), landmarks.sequence());
}
