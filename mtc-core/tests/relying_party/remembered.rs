//! Subtrees that are remembered once their cosignatures satisfied the policy: faster, and never laxer.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use mtc_core::certificate::Certificate;
use mtc_core::cosign::SignatureAlgorithm;
use mtc_core::id::{EntryIndex, TreeSize};
use mtc_core::tree::{Subtree, evaluate_inclusion};
use mtc_core::verify::{Basis, CaTrust, CosignerGroup, Rejection, RevokedRange, TrustedSubtree};
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;

use crate::{log_of, serial_of, subtrees, trust_in, unsigned};
use test_support::mtca::{Mtca, Signer};
use test_support::parts::Parts;

fn remembering(mtca: &Mtca, capacity: usize) -> CaTrust {
    trust_in(&mtca.ca).remembering(NonZeroUsize::new(capacity).expect("some room"))
}

fn basis(trust: &CaTrust, certificate: &[u8]) -> Result<Basis, Rejection> {
    trust
        .verify_issuance(certificate)
        .map(|accepted| accepted.basis)
}

#[test]
fn further_certificates_of_a_verified_subtree_need_no_signatures() {
    let mtca = log_of(1, 5);
    let whole = Subtree::whole(TreeSize(5));
    let trust = remembering(&mtca, 16);
    let bare = |index| mtca.certificate(index, whole, &[]);
    assert_eq!(basis(&trust, &bare(2)), Err(unsigned(&mtca)));
    let signed = mtca.certificate(3, whole, &[&mtca.ca]);
    assert_eq!(basis(&trust, &signed), Ok(Basis::Cosignatures));
    for index in 0..5 {
        assert_eq!(basis(&trust, &bare(index)), Ok(Basis::VerifiedSubtree));
    }
    // Without being told to, nothing is remembered.
    let plain = trust_in(&mtca.ca);
    for _ in 0..2 {
        assert_eq!(basis(&plain, &signed), Ok(Basis::Cosignatures));
        assert_eq!(basis(&plain, &bare(2)), Err(unsigned(&mtca)));
    }
}

#[test]
fn what_is_remembered_is_the_log_the_interval_and_the_hash() {
    let (mtca, other) = (log_of(1, 8), log_of(2, 8));
    let trust = remembering(&mtca, 16);
    let half = Subtree::whole(TreeSize(4));
    assert!(
        trust
            .verify_issuance(&mtca.certificate(3, half, &[&mtca.ca]))
            .is_ok()
    );
    assert!(
        trust
            .verify_issuance(&mtca.certificate(2, half, &[]))
            .is_ok()
    );
    for certificate in [
        other.certificate(2, half, &[]),
        mtca.certificate(2, Subtree::whole(TreeSize(8)), &[]),
        mtca.certificate(2, Subtree::whole(TreeSize(3)), &[]),
        mtca.certificate(2, Subtree::new(2, 4).expect("valid"), &[]),
    ] {
        assert_eq!(basis(&trust, &certificate), Err(unsigned(&mtca)));
    }
    let mut damaged = Parts::of(&mtca.certificate(2, half, &[]));
    damaged.key[9] ^= 1;
    assert_eq!(basis(&trust, &damaged.encode()), Err(unsigned(&mtca)));
}

#[test]
fn what_was_rejected_is_not_remembered() {
    let mtca = log_of(1, 5);
    let whole = Subtree::whole(TreeSize(5));
    let witness = Signer::new("32473.9", SignatureAlgorithm::Ed25519);
    let group = CosignerGroup::new(vec![witness.cosigner], 1).expect("one of one");
    let trust = remembering(&mtca, 16).require(group).expect("not the CA");
    let of_the_ca = mtca.certificate(3, whole, &[&mtca.ca]);
    let first = basis(&trust, &of_the_ca);
    assert!(matches!(first, Err(Rejection::Policy(_))));
    assert_eq!(basis(&trust, &of_the_ca), first);
    let revoked = RevokedRange {
        first: serial_of(&mtca, 3),
        last: serial_of(&mtca, 3),
    };
    let mut revoking = remembering(&mtca, 16);
    revoking.revoke(revoked);
    assert_eq!(
        basis(&revoking, &of_the_ca),
        Err(Rejection::Revoked(revoked.first))
    );
    let bare = mtca.certificate(2, whole, &[]);
    assert_eq!(basis(&revoking, &bare), Err(unsigned(&mtca)));
}

#[test]
fn a_change_of_policy_or_revocation_forgets() {
    let mtca = log_of(1, 5);
    let whole = Subtree::whole(TreeSize(5));
    let (signed, bare) = (
        mtca.certificate(3, whole, &[&mtca.ca]),
        mtca.certificate(2, whole, &[]),
    );
    let verified = || {
        let trust = remembering(&mtca, 16);
        assert!(trust.verify_issuance(&signed).is_ok());
        assert_eq!(basis(&trust, &bare), Ok(Basis::VerifiedSubtree));
        trust
    };
    let witness = Signer::new("32473.9", SignatureAlgorithm::Ed25519);
    let group = CosignerGroup::new(vec![witness.cosigner], 1).expect("one of one");
    let stricter = verified().require(group).expect("not the CA");
    assert_eq!(basis(&stricter, &bare), Err(unsigned(&mtca)));

    let mut revoking = verified();
    revoking.revoke(RevokedRange {
        first: serial_of(&mtca, 4),
        last: serial_of(&mtca, 4),
    });
    assert_eq!(basis(&revoking, &bare), Err(unsigned(&mtca)));
    assert_eq!(basis(&revoking, &signed), Ok(Basis::Cosignatures));
    assert_eq!(basis(&revoking, &bare), Ok(Basis::VerifiedSubtree));
}

/// Section 7.2: what a relying party was told of a subtree comes before what cosigners say, today or before.
#[test]
fn a_trusted_subtree_with_another_hash_rejects_what_was_verified_before() {
    let mtca = log_of(1, 5);
    let whole = Subtree::whole(TreeSize(5));
    let trust = remembering(&mtca, 16);
    let signed = mtca.certificate(3, whole, &[&mtca.ca]);
    assert!(trust.verify_issuance(&signed).is_ok());
    let other_hash = TrustedSubtree {
        hash: [0xab; 32],
        ..mtca.trusted(whole)
    };
    let trusting = |trusted| basis(&trust.with_trusted_subtrees([trusted]), &signed);
    assert_eq!(
        trusting(other_hash),
        Err(Rejection::TrustedSubtreeMismatch(whole))
    );
    assert_eq!(trusting(mtca.trusted(whole)), Ok(Basis::TrustedSubtree));
}

/// However little room there is, whoever was displaced, and in whatever order certificates come.
#[test]
fn whoever_remembers_accepts_nothing_that_was_not_cosigned() {
    const SIZE: u64 = 21;
    let mtca = log_of(1, SIZE);
    let all: Vec<_> = subtrees(SIZE).collect();
    let step = (any::<Index>(), any::<Index>(), any::<bool>(), 0..8_u8);
    proptest!(|(capacity in 1..40_usize, steps in vec(step, 1..60))| {
        let (plain, trust) = (trust_in(&mtca.ca), remembering(&mtca, capacity));
        let mut cosigned = HashSet::new();
        for (subtree, index, signed, damage) in steps {
            let subtree = *subtree.get(&all);
            let index = subtree.start() + index.index(subtree.len() as usize) as u64;
            let signers: &[&Signer] = if signed { &[&mtca.ca] } else { &[] };
            let mut parts = Parts::of(&mtca.certificate(index, subtree, signers));
            match damage {
                0 => parts.key[9] ^= 1,
                1 => parts.hashes.iter_mut().take(1).for_each(|byte| *byte ^= 1),
                2 => parts.cosignatures.iter_mut().for_each(|(_, signature)| signature[9] ^= 1),
                _ => {}
            }
            let certificate = parts.encode();
            let parsed = Certificate::parse(&certificate).expect("well formed");
            let hash = evaluate_inclusion(
                EntryIndex(index),
                subtree,
                parsed.leaf_hash(),
                parts.hashes.as_chunks().0,
            );
            let this = (subtree, hash.expect("of the right length"));
            let by_cosignatures = basis(&plain, &certificate);
            match basis(&trust, &certificate) {
                Ok(Basis::VerifiedSubtree) => prop_assert!(cosigned.contains(&this)),
                verdict => prop_assert_eq!(&verdict, &by_cosignatures),
            }
            if by_cosignatures.is_ok() {
                cosigned.insert(this);
            }
        }
    });
}
