//! Trusted sets: what is read, written again, reads the same. Nothing in a set is believed, so that reading is all that can go wrong.
//!
//! The input is what stands behind the first line, whose checksum is made here: mutations would not get past it.

use sbi::checksum::sha256;
use sbi::trust::{Base64Hash, Pin, SetLog, SetSubtree, TrustedSet};

use crate::Verdict;

/// Reads a trusted set.
///
/// # Panics
/// An invariant does not hold.
pub fn trusted_set(data: &[u8]) -> Verdict {
    let mut sealed = format!("mtc5g/trusted-set/v1 {}\n", sha256(data)).into_bytes();
    sealed.extend_from_slice(data);
    let Ok(set) = TrustedSet::parse(&sealed) else {
        return Verdict::Refused;
    };
    let again = TrustedSet::parse(&set.encode());
    assert_eq!(again.expect("what was written is read"), set);
    Verdict::Accepted
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let pinned = TrustedSet {
        number: 1_800_000_050,
        made: 1_800_000_050,
        pin: Some(Pin {
            set: 1_800_000_000,
            since: 1_800_000_050,
            rolled_back_from: Some(1_800_000_049),
        }),
        newest_log: 2,
        revoked: Some("mtc5g/revoked/v1\n".to_owned()),
        logs: vec![SetLog {
            number: 1,
            verified: 1_800_000_000,
            landmarks: "1\n4 0\n".to_owned(),
            checkpoint: "oid/1.3.6.1.4.1.32473.1.1\n".to_owned(),
            subtrees: vec![SetSubtree {
                start: 0,
                end: 4,
                hash: Base64Hash([1; 32]),
                proof: vec![Base64Hash([2; 32]), Base64Hash([3; 32])],
            }],
        }],
    };
    let empty = TrustedSet {
        pin: None,
        revoked: None,
        logs: Vec::new(),
        ..pinned
    };
    [pinned, empty]
        .map(|set| {
            let written = set.encode();
            let line = written.iter().position(|octet| *octet == b'\n');
            written[line.map_or(0, |end| end + 1)..].to_vec()
        })
        .into()
}
