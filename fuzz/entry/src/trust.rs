//! What a relying party holds: revoked ranges in any order and overlapping, trusted subtrees true and false, remembered ones.
//!
//! The input is a script of up to [`MAX_STEPS`] steps of [`STEP`] bytes that change the trust. Then a few certificates are
//! verified, and the verdicts compared with those of lists that are searched from end to end.
//!
//! ```text
//! byte 0 mod 4   0 revoke from byte 1 to byte 2   1, 2 trust subtree number byte 1 of log byte 2, byte 3: its true hash
//!                3 remember up to byte 1 subtrees, or from 128 on: verify now, so that there is something to remember
//! ```

use std::num::NonZeroUsize;

use mtc_core::certificate::Certificate;
use mtc_core::id::LogNumber;
use mtc_core::tree::{Hash, Subtree, covering_subtrees};
use mtc_core::verify::{Accepted, Basis, CaTrust, Rejection, RevokedRange, TrustedSubtree};

use crate::Verdict;
use crate::fixture::{self, PKI};

/// Steps of a script.
const MAX_STEPS: usize = 24;
/// Bytes of a step.
const STEP: usize = 4;
/// Entries whose certificates are verified.
const ENTRIES: [usize; 4] = [0, 5, 8, 12];
/// The first serial number of log 1.
const FIRST_SERIAL: u64 = 1 << 48;

/// Runs a script of changes to a relying party.
///
/// # Panics
/// An invariant does not hold.
pub fn trust(data: &[u8]) -> Verdict {
    let (steps, _) = data.as_chunks::<STEP>();
    let mut model = Model {
        trust: PKI.cosigners.clone(),
        trusted: Vec::new(),
        revoked: Vec::new(),
        verified: None,
    };
    for step in steps.iter().take(MAX_STEPS) {
        model.step(*step);
    }
    Verdict::of(model.verify_all())
}

struct Model {
    trust: CaTrust,
    trusted: Vec<TrustedSubtree>,
    revoked: Vec<RevokedRange>,
    /// The subtrees of which cosignatures have been verified, if they are remembered; some may have been displaced.
    verified: Option<Vec<TrustedSubtree>>,
}

impl Model {
    fn step(&mut self, [kind, first, second, third]: [u8; STEP]) {
        match kind % 4 {
            0 => {
                let range = RevokedRange {
                    first: serial(first),
                    last: serial(second),
                };
                self.trust.revoke(range);
                self.revoked.push(range);
                if range.first <= range.last {
                    self.verified = self.verified.take().map(|_| Vec::new());
                }
            }
            1 | 2 => {
                let subtree = subtree(first);
                let mut hash = fixture::hash_of(&PKI.tree, subtree);
                hash[0] ^= u8::from(third % 4 == 0);
                self.trusted.push(TrustedSubtree {
                    log_number: LogNumber::new(1 + u64::from(second) % 2).expect("1 or 2"),
                    subtree,
                    hash,
                });
                self.trust = self
                    .trust
                    .with_trusted_subtrees(self.trusted.iter().copied());
            }
            _ if first >= 128 => {
                self.verify_all();
            }
            _ => {
                let capacity = NonZeroUsize::new(1 + usize::from(first)).expect("not 0");
                self.trust = self.trust.clone().remembering(capacity);
                self.verified = Some(Vec::new());
            }
        }
    }

    /// Whether anything is accepted.
    fn verify_all(&mut self) -> bool {
        let mut any = false;
        for index in ENTRIES {
            let issued = &PKI.issued[index];
            for certificate in [&issued.standalone, &issued.landmark_relative] {
                any |= !certificate.is_empty() && self.verify(certificate);
            }
        }
        any
    }

    fn verify(&mut self, certificate: &[u8]) -> bool {
        let parsed = Certificate::parse(certificate).expect("issued");
        let (log_number, index) = parsed.entry().expect("issued");
        let subtree = parsed.proof.subtree;
        let stated = TrustedSubtree {
            log_number,
            subtree,
            hash: fixture::hash_of(&PKI.tree, subtree),
        };
        let accepted = |basis| {
            Ok(Accepted {
                basis,
                log_number,
                index,
                subtree,
            })
        };
        let verdict = self.trust.verify_issuance(certificate);
        if self.is_revoked(parsed.serial) {
            assert_eq!(verdict, Err(Rejection::Revoked(parsed.serial)));
        } else if let Some(hash) = self.trusted_hash(stated) {
            let expected = if hash == stated.hash {
                accepted(Basis::TrustedSubtree)
            } else {
                Err(Rejection::TrustedSubtreeMismatch(subtree))
            };
            assert_eq!(verdict, expected);
        } else if verdict == accepted(Basis::VerifiedSubtree) {
            let verified = self.verified.as_deref().unwrap_or_default();
            assert!(verified.contains(&stated), "never verified");
        } else if parsed.proof.is_unsigned() {
            assert!(matches!(verdict, Err(Rejection::Policy(_))), "{verdict:?}");
        } else {
            assert_eq!(verdict, accepted(Basis::Cosignatures));
            if let Some(verified) = &mut self.verified {
                verified.push(stated);
                // Nothing has come in between that could have displaced it.
                let again = self.trust.verify_issuance(certificate);
                assert_eq!(again, accepted(Basis::VerifiedSubtree));
            }
        }
        verdict.is_ok()
    }

    fn is_revoked(&self, serial: u64) -> bool {
        self.revoked
            .iter()
            .any(|range| range.first <= serial && serial <= range.last)
    }

    /// The hash that was trusted last for the same subtree.
    fn trusted_hash(&self, stated: TrustedSubtree) -> Option<Hash> {
        self.trusted
            .iter()
            .rev()
            .find(|trusted| {
                (trusted.log_number, trusted.subtree) == (stated.log_number, stated.subtree)
            })
            .map(|trusted| trusted.hash)
    }
}

/// Serial numbers about those of the certificates, and the ends of all numbers.
fn serial(byte: u8) -> u64 {
    match byte {
        0..=250 => FIRST_SERIAL - 2 + u64::from(byte % 18),
        251 => 0,
        252 => u64::MAX,
        253 => FIRST_SERIAL * 2,
        254 => FIRST_SERIAL / 2,
        255 => u64::MAX - 1,
    }
}

/// A subtree of the log, among others those of its batches and of the landmark.
fn subtree(byte: u8) -> Subtree {
    let size = PKI.tree.size().0;
    let start = u64::from(byte & 15) % size;
    let end = start + u64::from(byte >> 4) % (size - start) + 1;
    covering_subtrees(start, end)[usize::from(byte & 1)]
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let scripts: [&[[u8; STEP]]; 4] = [
        &[],
        // Overlapping ranges, in no order; then one that is empty.
        &[[0, 9, 12, 0], [0, 3, 4, 0], [0, 10, 15, 0], [0, 8, 7, 0]],
        // The landmark's subtrees, one of them false; then again, true.
        &[
            [1, 0x75, 0, 0],
            [1, 0x38, 0, 1],
            [1, 0x75, 0, 1],
            [1, 0x75, 1, 0],
        ],
        &[
            [3, 16, 0, 0],
            [3, 128, 0, 0],
            [0, 3, 4, 0],
            [3, 1, 0, 0],
            [3, 200, 0, 0],
        ],
    ];
    scripts
        .map(|script| script.as_flattened().to_vec())
        .to_vec()
}
