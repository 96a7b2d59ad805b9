//! A witness never signs two histories, whatever it is asked, in whatever order, and whatever its storage does.
//!
//! The input is a script of up to [`MAX_STEPS`] steps of [`STEP`] bytes. The CA cheats: it has signed two histories, and the
//! script chooses from both. A model says what the witness has to answer, and everything that it ever signs must be
//! part of one history.
//!
//! ```text
//! byte 0 mod 8   0..=3 add-checkpoint   4, 5 sign-subtree   6 the next write fails   7 the witness is started again
//! byte 1         bit 0 history, bit 1 history of proof and subtree hash, bits 2..=4 damage to the proof
//! byte 2         size of the checkpoint, or one more than there is: the empty tree that is not empty
//! byte 3         old size, or from 128 on the latest (sign-subtree: start)
//! byte 4                                             (sign-subtree: end)
//! byte 5         which hash is damaged
//! ```

use std::sync::Arc;

use mtc_core::checkpoint::verify_subtree_line;
use mtc_core::hex;
use mtc_core::id::TreeSize;
use mtc_core::note::SignedNote;
use mtc_core::time::UnixTime;
use mtc_core::tree::{Hash, Subtree};
use mtc_log::{
    AddCheckpoint, CaCheckpoint, MAX_PROOF_HASHES, Refusal, SignSubtree, WitnessStore, WitnessedLog,
};
use sha2::{Digest, Sha256};

use crate::Verdict;
use crate::fixture::{
    self, FALSE_ROOT, Fault, HISTORIES, HISTORY_LENGTH, MemoryStorage, NOW, WITNESS,
};

/// Steps of a script.
const MAX_STEPS: usize = 12;
/// Bytes of a step.
const STEP: usize = 6;

/// Runs a script against a witness.
///
/// # Panics
/// An invariant does not hold.
pub fn witness_history(data: &[u8]) -> Verdict {
    let (steps, _) = data.as_chunks::<STEP>();
    let mut scene = Scene::new();
    for step in steps.iter().take(MAX_STEPS) {
        scene.step(*step);
        scene.check();
    }
    Verdict::of(scene.signatures > 0)
}

struct Scene {
    storage: Arc<MemoryStorage>,
    witness: WitnessStore,
    /// What the witness has cosigned last: size and root.
    latest: Option<(u64, Hash)>,
    /// After a failed write: what may be stored instead of the latest, and is what counts after a restart.
    in_doubt: Option<(u64, Hash)>,
    fault: Option<Fault>,
    /// The histories of which everything that was signed is part.
    possible: [bool; 2],
    signatures: usize,
}

impl Scene {
    fn new() -> Self {
        let storage = Arc::new(MemoryStorage::default());
        Self {
            witness: open(&storage),
            storage,
            latest: None,
            in_doubt: None,
            fault: None,
            possible: [true; 2],
            signatures: 0,
        }
    }

    fn step(&mut self, [kind, choice, size, first, second, place]: [u8; STEP]) {
        let choice = Choice::of(choice, place);
        let claim = Claim::of(choice, u64::from(size) % (HISTORY_LENGTH + 2));
        match kind % 8 {
            0..=3 => {
                let old_size = if first < 128 {
                    u64::from(first) % (HISTORY_LENGTH + 2)
                } else {
                    self.latest.map_or(0, |(size, _)| size)
                };
                self.add_checkpoint(choice, old_size, &claim);
            }
            4 | 5 => {
                let bound = HISTORY_LENGTH + 2;
                if let Ok(subtree) =
                    Subtree::new(u64::from(first) % bound, u64::from(second) % bound)
                {
                    self.sign_subtree(choice, &claim, subtree);
                }
            }
            6 => {
                let fault = if first % 2 == 0 {
                    Fault::Lost
                } else {
                    Fault::Stored
                };
                self.storage.fail_next_write(fault);
                self.fault = Some(fault);
            }
            _ => {
                self.witness = open(&self.storage);
                self.latest = self.in_doubt.take().or(self.latest);
            }
        }
    }

    fn add_checkpoint(&mut self, choice: Choice, old_size: u64, claim: &Claim) {
        let (fork, size) = (&HISTORIES.forks[choice.history], claim.size);
        let honest =
            HISTORIES.forks[choice.proof_history].proof(Subtree::whole(TreeSize(old_size)), size);
        let proof = choice.damaged(honest);
        let request = AddCheckpoint {
            old_size: TreeSize(old_size),
            proof,
            checkpoint: claim.note.to_vec(),
        };
        let answer = self.witness.add_checkpoint(&request.encode(), NOW);
        let proof = request.proof;

        let latest_size = self.latest.map_or(0, |(size, _)| size);
        let proven = proof == fork.proof(Subtree::whole(TreeSize(old_size)), size);
        let extends = fork.root(size) == Some(claim.root)
            && self
                .latest
                .is_none_or(|(size, root)| fork.root(size) == Some(root));
        let expected = if proof.len() > MAX_PROOF_HASHES || old_size > size {
            400
        } else if old_size != latest_size {
            409
        } else if !extends || !proven {
            422
        } else if self.fault.is_some() {
            500
        } else {
            200
        };
        let latest = self.latest.map(|(size, _)| size);
        assert_eq!(
            status(&answer),
            expected,
            "{old_size} to {size} by {} hashes, after {latest:?}",
            proof.len()
        );
        match answer {
            Ok(lines) => {
                check_line(&lines, NOW, Subtree::whole(TreeSize(size)), &claim.root);
                self.latest = Some((size, claim.root));
                self.in_doubt = None;
                self.signed(Subtree::whole(TreeSize(size)), &claim.root);
            }
            Err(Refusal::Storage(_)) => {
                self.in_doubt = match self.fault.take() {
                    Some(Fault::Stored) => Some((size, claim.root)),
                    _ => self.in_doubt,
                };
            }
            Err(Refusal::Conflict { latest }) => assert_eq!(latest, TreeSize(latest_size)),
            Err(_) => {}
        }
    }

    fn sign_subtree(&mut self, choice: Choice, claim: &Claim, subtree: Subtree) {
        let (fork, size) = (&HISTORIES.forks[choice.history], claim.size);
        let (start, end) = (subtree.start(), subtree.end());
        let hash = HISTORIES.forks[choice.proof_history]
            .hash(start, end)
            .unwrap_or([0; 32]);
        // Only of the latest checkpoint can the cosignature be had; the others are sent as the CA has signed them.
        let cosigned = self.latest == Some((size, claim.root));
        let checkpoint = if cosigned {
            self.note().expect("it has cosigned")
        } else {
            claim.note.to_vec()
        };
        let proof = choice.damaged(fork.proof(subtree, size));
        let proven = end <= size
            && fork.hash(start, end) == Some(hash)
            && proof == fork.proof(subtree, size);
        let request = SignSubtree {
            subtree,
            hash,
            proof,
            checkpoint,
        };
        let answer = self.witness.sign_subtree(&request.encode());
        let expected = if request.proof.len() > MAX_PROOF_HASHES {
            400
        } else if !cosigned {
            403
        } else if !proven {
            422
        } else {
            200
        };
        assert_eq!(
            status(&answer),
            expected,
            "{subtree} in {size} by {} hashes, after {:?}",
            request.proof.len(),
            self.latest
        );
        if let Ok(line) = answer {
            check_line(&line, UnixTime(0), subtree, &hash);
            self.signed(subtree, &hash);
        }
    }

    /// One history is left that holds all that has been signed.
    fn signed(&mut self, subtree: Subtree, hash: &Hash) {
        self.signatures += 1;
        for (possible, fork) in self.possible.iter_mut().zip(&HISTORIES.forks) {
            *possible &= fork.hash(subtree.start(), subtree.end()) == Some(*hash);
        }
        assert!(self.possible.contains(&true), "two histories");
    }

    /// What the witness shows is what it has cosigned, and so is what is stored, but for a write that failed.
    fn check(&self) {
        let checkpoint_of = |note: &[u8]| {
            let log = fixture::log(1);
            let checkpoint = CaCheckpoint::verify(note, &log, HISTORIES.ca.cosigner())
                .expect("signed by the CA");
            let signed = checkpoint.signed();
            assert_eq!(signed.verify(&log, &HISTORIES.witness), Ok(NOW));
            (checkpoint.size().0, checkpoint.root())
        };
        assert_eq!(self.note().map(|note| checkpoint_of(&note)), self.latest);
        let stored = self.storage.stored();
        assert!(stored.len() <= 1);
        let expected = self.in_doubt.or(self.latest);
        assert_eq!(stored.first().map(|note| checkpoint_of(note)), expected);
    }

    fn note(&self) -> Option<Vec<u8>> {
        let hash = Sha256::digest(fixture::log(1).origin());
        self.witness.latest(&hex::encode(&hash))
    }
}

/// What a step chooses beside numbers.
#[derive(Clone, Copy)]
struct Choice {
    history: usize,
    proof_history: usize,
    damage: u8,
    place: u8,
}

impl Choice {
    fn of(bits: u8, place: u8) -> Self {
        Self {
            history: usize::from(bits & 1),
            // Mostly the proof belongs to the checkpoint.
            proof_history: usize::from((bits & 1) ^ (bits >> 1 & 1)),
            damage: bits >> 2 & 7,
            place,
        }
    }

    fn damaged(self, mut proof: Vec<Hash>) -> Vec<Hash> {
        let place = usize::from(self.place);
        match self.damage {
            1 => proof.insert(place % (proof.len() + 1), [self.place; 32]),
            2 if !proof.is_empty() => drop(proof.remove(place % proof.len())),
            3 if !proof.is_empty() => {
                let position = place % proof.len();
                proof[position][place % 32] ^= 1;
            }
            4 if !proof.is_empty() => {
                let last = proof.len() - 1;
                proof.swap(place % (last + 1), last);
            }
            5 => proof.resize(usize::from(self.place) % 70, [0; 32]),
            _ => {}
        }
        proof
    }
}

/// A checkpoint that the CA has signed.
struct Claim {
    size: u64,
    root: Hash,
    note: &'static [u8],
}

impl Claim {
    fn of(choice: Choice, size: u64) -> Self {
        let fork = &HISTORIES.forks[choice.history];
        let note = fork.notes.get(size as usize).map(Vec::as_slice);
        match fork.root(size).zip(note) {
            Some((root, note)) => Self { size, root, note },
            None => Self {
                size: 0,
                root: FALSE_ROOT,
                note: &HISTORIES.false_empty,
            },
        }
    }
}

fn open(storage: &Arc<MemoryStorage>) -> WitnessStore {
    let log = WitnessedLog {
        id: fixture::log(1),
        ca: HISTORIES.ca.cosigner().clone(),
    };
    WitnessStore::open(storage.clone(), fixture::cosigning_key(WITNESS), [log])
        .expect("what it has stored itself")
}

fn check_line(line: &[u8], time: UnixTime, subtree: Subtree, hash: &Hash) {
    let text = std::str::from_utf8(line).expect("text");
    let lines = SignedNote::parse_signatures(text).expect("signature lines");
    let (witness, log) = (&HISTORIES.witness, fixture::log(1));
    let verified = verify_subtree_line(&lines, witness, &log, subtree, hash);
    assert_eq!(verified.map(|(time, _)| time), Ok(time));
}

fn status(answer: &Result<Vec<u8>, Refusal>) -> u16 {
    answer.as_ref().map_or_else(Refusal::status, |_| 200)
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const LATEST: u8 = 255;
    let scripts: [&[[u8; STEP]]; 5] = [
        // Growth, a subtree, a restart, growth.
        &[
            [0, 0, 4, LATEST, 0, 0],
            [0, 0, 13, LATEST, 0, 0],
            [4, 0, 13, 8, 13, 0],
            [7, 0, 0, 0, 0, 0],
            [0, 0, 21, LATEST, 0, 0],
        ],
        // The other history, in vain.
        &[
            [0, 0, 13, LATEST, 0, 0],
            [0, 1, 13, LATEST, 0, 0],
            [0, 1, 20, LATEST, 0, 0],
            [0, 3, 20, LATEST, 0, 0],
        ],
        // An empty tree that is not, before and after one that is; a proof of one hash too many.
        &[
            [0, 0, 22, LATEST, 0, 0],
            [0, 0, 0, LATEST, 0, 0],
            [0, 0, 22, LATEST, 0, 0],
            [0, 20, 13, LATEST, 0, 64],
        ],
        // What both have in common, then the other one.
        &[[0, 0, 6, LATEST, 0, 0], [0, 1, 20, LATEST, 0, 0]],
        // A write that fails though it is stored, then a restart, then the other history.
        &[
            [0, 0, 4, LATEST, 0, 0],
            [6, 0, 0, 1, 0, 0],
            [0, 0, 13, LATEST, 0, 0],
            [7, 0, 0, 0, 0, 0],
            [0, 1, 20, LATEST, 0, 0],
            [0, 0, 20, LATEST, 0, 0],
        ],
    ];
    scripts
        .map(|script| script.as_flattened().to_vec())
        .to_vec()
}
