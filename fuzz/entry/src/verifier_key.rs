//! Verifier keys: what is accepted is written as it was read.

use mtc_core::cosign::SignatureAlgorithm;
use mtc_core::vkey::{self, MAX_VKEY};

use crate::Verdict;
use crate::fixture::HISTORIES;

/// Reads a verifier key.
///
/// # Panics
/// An invariant does not hold.
pub fn verifier_key(data: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(data) else {
        return Verdict::Refused;
    };
    let Ok(cosigner) = vkey::parse(text) else {
        return Verdict::Refused;
    };
    assert!(text.len() <= MAX_VKEY);
    assert_eq!(cosigner.key.algorithm(), SignatureAlgorithm::MlDsa44);
    assert_eq!(vkey::encode(&cosigner).as_deref(), Ok(text));
    Verdict::Accepted
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let ca = vkey::encode(HISTORIES.ca.cosigner()).expect("it signs checkpoints");
    vec![ca.into_bytes()]
}
