//! Detached proofs of inclusion: what is accepted without extra data is encoded to the bytes that were read, and with it to what reads as
//! the same.

use mtc_core::id::EntryIndex;
use mtc_core::tlog_proof::{MAX_PROOF, TlogProof};

use crate::Verdict;
use crate::fixture::HISTORIES;

/// Reads a detached proof; its checkpoint is `checkpoint`'s to read, and its hashes are `tree`'s.
///
/// # Panics
/// An invariant does not hold.
pub fn tlog_proof(data: &[u8]) -> Verdict {
    let Ok(proof) = TlogProof::parse(data) else {
        return Verdict::Refused;
    };
    let encoded = proof.encode();
    let has_extra = data.windows(7).any(|window| window == b"\nextra ");
    assert!(has_extra || encoded.as_bytes() == data);
    assert!(data.len() <= MAX_PROOF && encoded.len() <= data.len());
    assert_eq!(TlogProof::parse(encoded.as_bytes()), Ok(proof));
    Verdict::Accepted
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let fork = &HISTORIES.forks[0];
    let checkpoint = String::from_utf8_lossy(&fork.notes[2]).into_owned();
    let proof = TlogProof {
        index: EntryIndex(1),
        inclusion_proof: vec![fork.leaves[0]],
        checkpoint,
    };
    let text = proof.encode();
    let with_extra = text.replacen("\nindex", "\nextra aGVsbG8=\nindex", 1);
    vec![text.into_bytes(), with_extra.into_bytes()]
}
