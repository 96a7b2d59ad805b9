//! Checkpoint notes: what is accepted is encoded to the bytes that were read, and no other checkpoint than those that were
//! signed verifies.

use mtc_core::checkpoint::{Checkpoint, SignedCheckpoint};
use mtc_core::note::{MAX_NOTE, MAX_SIGNATURES, SignedNote};

use crate::Verdict;
use crate::fixture::{self, HISTORIES, NOW};

/// Reads a note, the checkpoint in it, and verifies the CA's signature on it.
///
/// # Panics
/// An invariant does not hold.
pub fn checkpoint(data: &[u8]) -> Verdict {
    let log = fixture::log(1);
    let signed = SignedCheckpoint::parse(data, &log);
    let Ok(note) = SignedNote::parse(data) else {
        assert!(signed.is_err(), "a checkpoint that is no note");
        return Verdict::Refused;
    };
    assert_eq!(note.encode().as_bytes(), data);
    assert!(data.len() <= MAX_NOTE && note.signatures.len() <= MAX_SIGNATURES);
    assert!(note.text.ends_with('\n') && !note.signatures.is_empty());
    for line in &note.signatures {
        let text = line.to_line();
        assert_eq!(
            SignedNote::parse_signatures(&text).as_deref(),
            Ok(std::slice::from_ref(line))
        );
    }
    if let Ok(checkpoint) = Checkpoint::parse(&note.text) {
        assert_eq!(checkpoint.to_text(), note.text);
        assert_eq!(signed.is_ok(), checkpoint.origin == log.origin());
    } else {
        assert!(signed.is_err(), "a note that is no checkpoint");
    }
    let Ok(signed) = signed else {
        return Verdict::Refused;
    };
    let verdict = signed.verify(&log, HISTORIES.ca.cosigner());
    if let Ok(time) = verdict {
        assert_eq!(time, NOW);
        assert!(
            HISTORIES.was_signed(signed.checkpoint.size.0, signed.checkpoint.root),
            "forged: {:?}",
            signed.checkpoint
        );
    }
    Verdict::of(verdict.is_ok())
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let forks = &HISTORIES.forks;
    vec![
        forks[0].notes[0].clone(),
        forks[0].notes[1].clone(),
        forks[1].notes[20].clone(),
    ]
}
