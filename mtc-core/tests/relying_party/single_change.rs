//! Whatever is changed in a certificate, and be it one thing only, it is rejected.
//!
//! A proof alone does not bind its interval: that of entry 0 in `[0, 3)` also evaluates in `[0, 4)`. The hash that a
//! relying party trusts for the interval does, so here it trusts *every* subtree of the log, with its true hash.

use mtc_core::id::EntryIndex;
use mtc_core::tree::{ProofError, Subtree};
use mtc_core::verify::{Basis, CaTrust, Rejection};
use proptest::prelude::{any, prop_assert_eq, proptest};
use proptest::sample::Index;

use crate::{log_of, serial_of, subtrees, trust_in, unsigned};
use test_support::mtca::Mtca;
use test_support::parts::Parts;

/// Trust in every subtree of the log.
fn all_trusting(mtca: &Mtca) -> CaTrust {
    let trusted = subtrees(mtca.tree.size().0).map(|subtree| mtca.trusted(subtree));
    trust_in(&mtca.ca).with_trusted_subtrees(trusted)
}

/// Every entry in every subtree that holds it.
fn placed_entries(size: u64) -> impl Iterator<Item = (u64, Subtree)> {
    subtrees(size)
        .flat_map(|subtree| (subtree.start()..subtree.end()).map(move |index| (index, subtree)))
}

#[test]
fn every_other_index_start_and_end_is_rejected() {
    const SIZE: u64 = 11;
    let mtca = log_of(1, SIZE);
    let trust = all_trusting(&mtca);
    for (index, subtree) in placed_entries(SIZE) {
        let parts = Parts::of(&mtca.certificate(index, subtree, &[]));
        let accepted = trust.verify_issuance(&parts.encode()).expect("unchanged");
        assert_eq!(
            (accepted.index, accepted.subtree),
            (EntryIndex(index), subtree)
        );
        assert_eq!(accepted.basis, Basis::TrustedSubtree);
        for other in 0..SIZE + 3 {
            let mut other_index = parts.clone();
            other_index.set_serial(serial_of(&mtca, other));
            let mut other_start = parts.clone();
            other_start.start = other;
            let mut other_end = parts.clone();
            other_end.end = other;
            for changed in [other_index, other_start, other_end] {
                if changed != parts {
                    let verdict = trust.verify_issuance(&changed.encode());
                    assert!(
                        matches!(
                            verdict,
                            Err(Rejection::Malformed(_)
                                | Rejection::Inclusion(_)
                                | Rejection::TrustedSubtreeMismatch(_)
                                | Rejection::Policy(_))
                        ),
                        "{other} in entry {index} of {subtree}: {verdict:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_other_length_of_the_proof_is_rejected() {
    const SIZE: u64 = 23;
    let mtca = log_of(1, SIZE);
    let trust = all_trusting(&mtca);
    for (index, subtree) in placed_entries(SIZE) {
        let parts = Parts::of(&mtca.certificate(index, subtree, &[]));
        let fitting = parts.hashes.len();
        for length in (0..=fitting + 64)
            .step_by(32)
            .filter(|length| *length != fitting)
        {
            let mut changed = parts.clone();
            changed.hashes.resize(length, 0xab);
            assert_eq!(
                trust.verify_issuance(&changed.encode()),
                Err(ProofError::WrongLength.into()),
                "{length} bytes in entry {index} of {subtree}"
            );
        }
    }
}

#[test]
fn a_flipped_bit_of_any_hash_or_of_the_entry_leads_to_another_hash() {
    const SIZE: u64 = 100;
    let mtca = log_of(1, SIZE);
    let trust = all_trusting(&mtca);
    proptest!(|(place in any::<Index>(), bit in any::<Index>(), also in any::<Index>())| {
        let all: Vec<_> = placed_entries(SIZE).filter(|(_, subtree)| subtree.len() > 1).collect();
        let (index, subtree) = *place.get(&all);
        let parts = Parts::of(&mtca.certificate(index, subtree, &[]));
        let flip = |bytes: &mut [u8], from: usize| {
            let bit = bit.index((bytes.len() - from) * 8);
            bytes[from + bit / 8] ^= 1 << (bit % 8);
        };
        let mut of_a_hash = parts.clone();
        flip(&mut of_a_hash.hashes, 0);
        // The ends of structures, not their headers: what is changed stays well formed.
        let mut of_the_validity = parts.clone();
        flip(&mut of_the_validity.validity, 5);
        let mut of_the_subject = parts.clone();
        let last = of_the_subject.subject.len() - 5;
        flip(&mut of_the_subject.subject, last);
        let mut of_the_key = parts.clone();
        flip(&mut of_the_key.key, 3);
        let mut of_an_extension = parts.clone();
        let last = of_an_extension.after_key.len() - 1;
        flip(&mut of_an_extension.after_key, last);
        let mut of_an_entry_extension = parts.clone();
        flip(&mut of_an_entry_extension.extensions, 4);
        let mut swapped = parts.clone();
        let hashes = parts.hashes.len() / 32;
        let (one, other) = (place.index(hashes), also.index(hashes));
        for byte in 0..32 {
            swapped.hashes.swap(one * 32 + byte, other * 32 + byte);
        }
        for changed in [
            of_a_hash, of_the_validity, of_the_subject, of_the_key, of_an_extension,
            of_an_entry_extension, swapped,
        ] {
            if changed != parts {
                prop_assert_eq!(
                    trust.verify_issuance(&changed.encode()),
                    Err(Rejection::TrustedSubtreeMismatch(subtree))
                );
            }
        }
    });
}

#[test]
fn a_subtree_that_nobody_trusts_needs_cosignatures() {
    let mtca = log_of(1, 11);
    for (index, subtree) in placed_entries(11) {
        let others = subtrees(11).filter(|other| *other != subtree);
        let trust =
            trust_in(&mtca.ca).with_trusted_subtrees(others.map(|subtree| mtca.trusted(subtree)));
        let verdict = |signers| trust.verify_issuance(&mtca.certificate(index, subtree, signers));
        assert_eq!(verdict(&[]), Err(unsigned(&mtca)));
        assert_eq!(
            verdict(&[&mtca.ca]).map(|accepted| accepted.basis),
            Ok(Basis::Cosignatures)
        );
    }
}
