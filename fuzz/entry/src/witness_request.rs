//! Bodies of the requests to a witness: reading, writing, and a witness that is asked.
//!
//! - What is accepted is encoded to the bytes that were read (a `sign-subtree` request without the subtree cosignatures, which
//!   mean nothing to this witness and are dropped).
//! - A witness that is sent the body signs nothing but what the CA has signed. What a series of requests leads to is the
//!   business of [`witness_history`](crate::witness_history).

use std::sync::Arc;

use mtc_core::checkpoint::SignedCheckpoint;
use mtc_core::id::TreeSize;
use mtc_log::{
    AddCheckpoint, MAX_PROOF_HASHES, MAX_REQUEST_SIZE, Refusal, SignSubtree, WitnessStore,
    WitnessedLog,
};

use crate::fixture::{self, HISTORIES, MemoryStorage, NOW, WITNESS};
use crate::{Verdict, oracle};

/// Reads a request body as each of the two, and asks a witness.
///
/// # Panics
/// An invariant does not hold.
pub fn witness_request(data: &[u8]) -> Verdict {
    let added = AddCheckpoint::parse(data).is_ok_and(|request| {
        assert_eq!(request.encode(), data);
        check_bounds(data, request.proof.len());
        add_checkpoint(data, &request)
    });
    let signed = SignSubtree::parse(data).is_ok_and(|request| {
        let encoded = request.encode();
        assert_eq!(SignSubtree::parse(&encoded).as_ref(), Ok(&request));
        let header = data.len() - request.checkpoint.len();
        let has_cosignatures = data[..header]
            .windows(4)
            .any(|bytes| bytes == b"\n\xe2\x80\x94");
        assert_eq!(encoded != data, has_cosignatures);
        check_bounds(data, request.proof.len());
        assert!(oracle::is_subtree(
            request.subtree.start(),
            request.subtree.end()
        ));
        sign_subtree(data, &request)
    });
    assert!(!(added && signed), "one body, two requests");
    Verdict::of(added || signed)
}

fn check_bounds(data: &[u8], proof_hashes: usize) {
    assert!(data.len() <= MAX_REQUEST_SIZE && proof_hashes <= MAX_PROOF_HASHES);
}

/// A witness that has cosigned nothing yet.
fn witness() -> WitnessStore {
    let log = WitnessedLog {
        id: fixture::log(1),
        ca: HISTORIES.ca.cosigner().clone(),
    };
    let storage = Arc::new(MemoryStorage::default());
    WitnessStore::open(storage, fixture::cosigning_key(WITNESS), [log]).expect("an empty storage")
}

fn add_checkpoint(body: &[u8], request: &AddCheckpoint) -> bool {
    match witness().add_checkpoint(body, NOW) {
        Ok(_) => {
            assert_eq!(
                request.old_size,
                TreeSize::EMPTY,
                "it has not cosigned anything before"
            );
            let signed = SignedCheckpoint::parse(&request.checkpoint, &fixture::log(1));
            let checkpoint = signed.expect("cosigned").checkpoint;
            assert!(
                HISTORIES.was_signed(checkpoint.size.0, checkpoint.root),
                "forged: {checkpoint:?}"
            );
            true
        }
        Err(refusal) => {
            check_refusal(&refusal);
            false
        }
    }
}

/// Only requests that rest on the witness's own cosignature are answered; there is one such checkpoint in the seeds.
fn sign_subtree(body: &[u8], request: &SignSubtree) -> bool {
    match witness().sign_subtree(body) {
        Ok(_) => {
            let (start, end) = (request.subtree.start(), request.subtree.end());
            let empty = start == end && request.hash == oracle::tree_hash(&[]);
            let hash = HISTORIES.forks[0].hash(start, end);
            assert!(empty || hash == Some(request.hash), "not in the tree");
            true
        }
        Err(refusal) => {
            check_refusal(&refusal);
            false
        }
    }
}

/// Nothing that a client sends is the witness's own fault.
fn check_refusal(refusal: &Refusal) {
    assert!((400..500).contains(&refusal.status()), "{refusal}");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let fork = &HISTORIES.forks[0];
    let add = |size: usize| AddCheckpoint {
        old_size: TreeSize::EMPTY,
        proof: Vec::new(),
        checkpoint: fork.notes[size].clone(),
    };
    let cosigned = HISTORIES.cosigned(&fork.notes[13]);
    let subtree = |start, end| {
        let subtree = mtc_core::tree::Subtree::new(start, end).expect("valid");
        SignSubtree {
            subtree,
            hash: fork.hash(start, end).expect("in the tree"),
            proof: fork.proof(subtree, 13),
            checkpoint: cosigned.clone(),
        }
    };
    vec![
        add(0).encode(),
        add(13).encode(),
        subtree(8, 13).encode(),
        subtree(4, 6).encode(),
    ]
}
