//! Agreement with an independent implementation: what mtc-core issues, the crate `mtcs` accepts on the word of our CA
//! certificate, and of damaged or unwanted certificates both think alike.
//!
//! Where they differ, the test says which of the two the specification supports. `mtcs` is asked about cryptography and
//! structure only: to mtc-core validity periods are the business of the rest of X.509.

mod damage;
mod differential;
mod flips;
mod pieces;
mod random;
mod verifiers;

use std::collections::BTreeSet;
use std::time::Duration;

use mtc_core::ca::CaCertificate;
use mtc_core::certificate::with_proof;
use mtc_core::cosign::{PublicKey, SecretKey, SignatureAlgorithm};
use mtc_core::der;
use mtc_core::id::{EntryIndex, LogNumber, TreeSize, serial};
use mtc_core::landmark::LandmarkSequence;
use mtc_core::tree::{Subtree, consistency_proof, covering_subtrees, verify_consistency};
use mtc_core::verify::{Basis, PolicyError, Rejection, TrustedSubtree};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, proptest};
use proptest::sample::Index;

use self::flips::{Flip, Unnoticed, every_bit, flipped, ignored_flips, some_bits};
use self::verifiers::{Verifiers, read_by_mtcs};
use test_support::mtca::{EntryExtensions, Mtca, NOT_AFTER, NOT_BEFORE, Signer};

use SignatureAlgorithm::{EcdsaP256, EcdsaP384, Ed25519, MlDsa44, MlDsa65, MlDsa87};

const LOG_SIZES: [u64; 5] = [1, 2, 5, 130, 1000];
const CA: &str = "32473.1";

fn extensions(of_entry: u64) -> EntryExtensions {
    match of_entry % 3 {
        0 => Vec::new(),
        1 => vec![(7, Vec::new())],
        _ => vec![(1, vec![0xab; 300]), (0xffff, vec![1])],
    }
}

/// Subject keys of every algorithm.
fn subject_keys() -> Vec<PublicKey> {
    SignatureAlgorithm::ALL
        .map(|algorithm| {
            let secret = SecretKey::generate(algorithm).expect("randomness");
            secret.public_key().expect("a key")
        })
        .to_vec()
}

/// A CA whose log has `size` entries, with keys and entry extensions of every kind in turn.
fn grown(mut mtca: Mtca, size: u64, keys: &[PublicKey]) -> Mtca {
    for index in 0..size {
        mtca.append(&keys[index as usize % keys.len()], extensions(index));
    }
    mtca
}

/// A CA with Ed25519 keys throughout, so that its certificates are the same in every run.
fn repeatable(size: u64) -> Mtca {
    let key = Signer::new("32473.5", Ed25519).cosigner.key;
    grown(Mtca::new(CA, 1, Ed25519, &[Ed25519; 3]), size, &[key])
}

/// Landmarks at some sizes below that of the log, and one at it.
fn landmarks(log_size: u64) -> LandmarkSequence {
    let hour = Duration::from_secs(3600);
    let mut sequence = LandmarkSequence::new();
    let sizes = BTreeSet::from([log_size / 3, log_size / 2, log_size - 1, log_size]);
    let mut now = NOT_BEFORE;
    for size in sizes.into_iter().filter(|size| *size > 0) {
        now = now.plus(hour);
        sequence
            .allocate(TreeSize(size), now, hour, hour * 1000)
            .expect("grown, an hour later");
    }
    sequence
}

/// The subtrees of every active landmark, each consistent with the log.
fn landmark_subtrees(mtca: &Mtca, sequence: &LandmarkSequence) -> Vec<TrustedSubtree> {
    sequence
        .active(NOT_BEFORE)
        .flat_map(|landmark| landmark.subtrees)
        .filter(|subtree| !subtree.is_empty())
        .map(|subtree| {
            let trusted = mtca.trusted(subtree);
            let Ok(proof) = consistency_proof(&mtca.tree, subtree, mtca.tree.size());
            let root = mtca.tree.root();
            verify_consistency(subtree, mtca.tree.size(), &trusted.hash, &root, &proof)
                .expect("a subtree of the log");
            trusted
        })
        .collect()
}

/// The first, the last and some entries between.
fn sample(size: u64) -> BTreeSet<u64> {
    [
        0,
        1,
        size / 2,
        size * 3 / 4,
        size.saturating_sub(2),
        size - 1,
    ]
    .into_iter()
    .filter(|index| *index < size)
    .collect()
}

#[test]
fn standalone_certificates_of_every_cosigner_algorithm_are_accepted() {
    let keys = subject_keys();
    for (position, algorithm) in SignatureAlgorithm::ALL.into_iter().enumerate() {
        let other = SignatureAlgorithm::ALL[(position + 1) % SignatureAlgorithm::ALL.len()];
        for (size, log_number) in LOG_SIZES.into_iter().zip([1, 65535, 65535, 1, 65535]) {
            let mtca = Mtca::new(CA, log_number, algorithm, &[algorithm, other, EcdsaP256]);
            let mtca = grown(mtca, size, &keys);
            let (ca, witnesses) = (&mtca.ca, &mtca.witnesses);
            let by_ca = Verifiers::of(&mtca);
            let and_witness = by_ca.clone().require(1, &witnesses[..1]);
            let and_two_of_three = by_ca.clone().require(2, witnesses);
            for index in sample(size) {
                let previous_size = if index < size / 2 { 0 } else { size / 2 };
                for (verifiers, signers) in [
                    (&by_ca, &[ca][..]),
                    (&and_witness, &[ca, &witnesses[0]]),
                    (&and_two_of_three, &[&witnesses[2], ca, &witnesses[1]]),
                ] {
                    let certificate = mtca.standalone(index, previous_size, signers);
                    let accepted = verifiers.accept(&certificate);
                    assert_eq!(accepted.basis, Basis::Cosignatures);
                    assert_eq!(
                        (accepted.log_number, accepted.index),
                        (mtca.log.number(), EntryIndex(index))
                    );
                }
            }
        }
    }
}

#[test]
fn landmark_relative_certificates_of_every_entry_are_accepted() {
    let keys = subject_keys();
    for (size, log_number) in LOG_SIZES.into_iter().zip([65535, 1, 1, 65535, 1]) {
        let mtca = grown(Mtca::new(CA, log_number, MlDsa44, &[]), size, &keys);
        let sequence = landmarks(size);
        let verifiers = Verifiers::of(&mtca).trusting(&landmark_subtrees(&mtca, &sequence));
        for index in 0..size {
            let landmark = sequence
                .for_entry(EntryIndex(index), NOT_BEFORE)
                .expect("below the last");
            let subtree = landmark.holding(EntryIndex(index)).expect("covered");
            let accepted = verifiers.accept(&mtca.certificate(index, subtree, &[]));
            assert_eq!(accepted.basis, Basis::TrustedSubtree);
            assert_eq!(accepted.subtree, subtree);
        }
    }
}

#[test]
fn a_landmark_relative_certificate_is_the_standalone_one_with_another_proof() {
    let mtca = repeatable(130);
    let [_, right] = covering_subtrees(0, 100);
    for index in right.start()..right.end() {
        let standalone = mtca.standalone(index, 0, &[&mtca.ca]);
        assert_eq!(
            with_proof(&standalone, &mtca.proof(index, right, &[])),
            Ok(mtca.certificate(index, right, &[]))
        );
    }
}

#[test]
fn landmark_documents_are_read_alike() {
    for size in LOG_SIZES {
        let document = landmarks(size).to_document();
        let theirs = mtcs::parse_landmarks(&document, NOT_BEFORE.0).unwrap();
        let ours = LandmarkSequence::parse(&document, NOT_BEFORE).unwrap();
        let read: Vec<_> = theirs
            .windows(2)
            .rev()
            .map(|pair| {
                let (left, right) = pair[0].subtrees(pair[1].tree_size);
                let subtrees = [left, right].map(|subtree| (subtree.start, subtree.end));
                (pair[0].number, pair[0].expires_unix, subtrees)
            })
            .collect();
        let expected: Vec<_> = ours
            .active(NOT_BEFORE)
            .map(|one| {
                let subtrees = one.subtrees.map(|subtree| (subtree.start(), subtree.end()));
                (one.landmark.number.0, one.landmark.expiry.0, subtrees)
            })
            .collect();
        assert_eq!(read, expected);
    }
}

#[test]
fn certificates_of_another_ca_are_rejected() {
    let mtca = repeatable(5);
    let certificate = mtca.standalone(3, 0, &[&mtca.ca]);
    let other_id = Mtca::new("32473.2", 1, Ed25519, &[]);
    let (ours, theirs) = Verifiers::of(&other_id).reject(&certificate);
    assert_eq!(ours, Rejection::UnknownIssuer(other_id.ca.cosigner.id));
    assert_eq!(theirs, mtcs::Error::UnknownCa);

    let other_key = Mtca::new(CA, 1, EcdsaP384, &[]);
    let (ours, theirs) = Verifiers::of(&other_key).reject(&certificate);
    let id = mtca.ca.cosigner.id;
    assert_eq!(ours, Rejection::Policy(PolicyError::Invalid(id)));
    assert!(matches!(theirs, mtcs::Error::InvalidCosignature(_)));
}

#[test]
fn revoked_serial_numbers_are_rejected_and_their_neighbours_are_not() {
    let mtca = repeatable(5);
    let revoked = serial(LogNumber::FIRST, EntryIndex(3)).unwrap();
    let whole = Subtree::whole(TreeSize(5));
    for verifiers in [
        Verifiers::of(&mtca),
        Verifiers::of(&mtca).trusting(&[mtca.trusted(whole)]),
    ] {
        let verifiers = verifiers.revoking(revoked, revoked);
        let certificate = |index| mtca.certificate(index, whole, &[&mtca.ca]);
        let (ours, theirs) = verifiers.reject(&certificate(3));
        assert_eq!(ours, Rejection::Revoked(revoked));
        assert_eq!(theirs, mtcs::Error::Revoked);
        verifiers.accept(&certificate(2));
        verifiers.accept(&certificate(4));
    }
}

#[test]
fn serial_numbers_outside_the_range_of_the_ca_certificate_are_rejected() {
    let key = Signer::new("32473.5", Ed25519).cosigner.key;
    let admitted = Mtca::new(CA, 2, Ed25519, &[]);
    for (log_number, accepted) in [(1, false), (2, true), (3, false)] {
        let mtca = grown(
            Mtca::new(CA, log_number, Ed25519, &[]),
            1,
            std::slice::from_ref(&key),
        );
        let certificate = mtca.standalone(0, 0, &[&mtca.ca]);
        let verifiers = Verifiers::of(&admitted);
        if accepted {
            verifiers.accept(&certificate);
        } else {
            let (ours, theirs) = verifiers.reject(&certificate);
            let serials = admitted.serials();
            let outside = Rejection::OutsideRange {
                serial: log_number << 48,
                first: *serials.start(),
                last: *serials.end(),
            };
            assert_eq!(ours, outside);
            assert_eq!(theirs, mtcs::Error::Revoked);
        }
    }
}

#[test]
fn witnesses_that_are_missing_or_sign_something_else_do_not_count() {
    let mtca = repeatable(5);
    let [first, second, third] = &mtca.witnesses[..] else {
        panic!("three witnesses");
    };
    let verifiers = Verifiers::of(&mtca).require(2, &mtca.witnesses);
    let ids =
        |signers: &[&Signer]| -> Vec<_> { signers.iter().map(|one| one.cosigner.id).collect() };
    let quorum = |missing: &[&Signer], invalid: &[&Signer]| {
        Rejection::Policy(PolicyError::Quorum {
            required: 2,
            valid: 3 - missing.len() - invalid.len(),
            missing: ids(missing),
            invalid: ids(invalid),
        })
    };
    for (signers, missing) in [
        (&[&mtca.ca][..], &[first, second, third][..]),
        (&[&mtca.ca, second], &[first, third]),
    ] {
        let (ours, theirs) = verifiers.reject(&mtca.standalone(3, 0, signers));
        assert_eq!(ours, quorum(missing, &[]));
        assert!(matches!(theirs, mtcs::Error::PolicyUnsatisfied { .. }));
    }

    // Cosignatures of another subtree of the same log, in place of the first witness's alone or of two witnesses'.
    let whole = Subtree::whole(TreeSize(5));
    let elsewhere = mtca
        .proof(3, Subtree::whole(TreeSize(4)), &[first, second])
        .signatures;
    let mut proof = mtca.proof(3, whole, &[&mtca.ca, first, second, third]);
    proof.signatures[1] = elsewhere[0].clone();
    let certificate = with_proof(&mtca.certificate(3, whole, &[]), &proof).unwrap();
    verifiers.accept(&certificate);
    proof.signatures[2] = elsewhere[1].clone();
    let (ours, theirs) = verifiers.reject(&with_proof(&certificate, &proof).unwrap());
    assert_eq!(ours, quorum(&[], &[first, second]));
    assert!(matches!(theirs, mtcs::Error::PolicyUnsatisfied { .. }));
}

#[test]
fn witnesses_cannot_stand_in_for_the_ca() {
    let mtca = repeatable(5);
    let witnesses: Vec<_> = mtca.witnesses.iter().collect();
    let verifiers = Verifiers::of(&mtca).require(1, &mtca.witnesses);
    let (ours, theirs) = verifiers.reject(&mtca.standalone(3, 0, &witnesses));
    let id = mtca.ca.cosigner.id;
    assert_eq!(ours, Rejection::Policy(PolicyError::NoCaCosignature(id)));
    assert!(matches!(theirs, mtcs::Error::PolicyUnsatisfied { .. }));
}

#[test]
fn a_trusted_subtree_with_another_hash_rejects_whatever_the_cosignatures_say() {
    let mtca = repeatable(5);
    let whole = Subtree::whole(TreeSize(5));
    let certificate = mtca.certificate(3, whole, &[&mtca.ca]);
    Verifiers::of(&mtca).accept(&certificate);
    let mut trusted = mtca.trusted(whole);
    trusted.hash[31] ^= 1;
    let (ours, theirs) = Verifiers::of(&mtca)
        .trusting(&[trusted])
        .reject(&certificate);
    assert_eq!(ours, Rejection::TrustedSubtreeMismatch(whole));
    assert_eq!(theirs, mtcs::Error::ProofEvaluation);
}

#[test]
fn a_subtree_trusted_in_another_log_or_interval_does_not_help() {
    let mtca = repeatable(5);
    let certificate = mtca.certificate(3, Subtree::whole(TreeSize(5)), &[]);
    let other_log = TrustedSubtree {
        log_number: LogNumber::new(2).unwrap(),
        ..mtca.trusted(Subtree::whole(TreeSize(5)))
    };
    let other_interval = mtca.trusted(Subtree::whole(TreeSize(4)));
    for trusted in [other_log, other_interval] {
        let (ours, theirs) = Verifiers::of(&mtca)
            .trusting(&[trusted])
            .reject(&certificate);
        let id = mtca.ca.cosigner.id;
        assert_eq!(ours, Rejection::Policy(PolicyError::NoCaCosignature(id)));
        assert!(matches!(theirs, mtcs::Error::PolicyUnsatisfied { .. }));
    }
}

#[test]
fn every_flipped_bit_of_a_landmark_relative_certificate_is_noticed() {
    let mtca = repeatable(5);
    let subtree = Subtree::whole(TreeSize(5));
    let verifiers = Verifiers::of(&mtca).trusting(&[mtca.trusted(subtree)]);
    for index in 0..5 {
        let certificate = mtca.certificate(index, subtree, &[]);
        verifiers.accept(&certificate);
        assert_eq!(
            Unnoticed::of(&verifiers, &certificate, every_bit(&certificate)),
            Unnoticed::default(),
            "entry {index}"
        );
    }
}

#[test]
fn cosignatures_in_a_landmark_relative_certificate_are_all_that_is_ignored() {
    let mtca = repeatable(5);
    let subtree = Subtree::whole(TreeSize(5));
    let verifiers = Verifiers::of(&mtca).trusting(&[mtca.trusted(subtree)]);
    let certificate = mtca.certificate(4, subtree, &[&mtca.ca]);
    assert_eq!(verifiers.accept(&certificate).basis, Basis::TrustedSubtree);
    let ignored = ignored_flips(&certificate, &mtca.ca.cosigner.id);
    assert_eq!(ignored.by_mtcs_alone.len(), 1);
    assert_eq!(
        Unnoticed::of(&verifiers, &certificate, every_bit(&certificate)),
        ignored
    );
}

#[test]
fn every_flipped_byte_of_a_standalone_certificate_is_noticed() {
    let mtca = repeatable(5);
    let verifiers = Verifiers::of(&mtca).require(1, &mtca.witnesses[..1]);
    let certificate = mtca.standalone(3, 0, &[&mtca.ca, &mtca.witnesses[0]]);
    verifiers.accept(&certificate);
    assert_eq!(
        Unnoticed::of(&verifiers, &certificate, some_bits(&certificate, 1)),
        Unnoticed::default()
    );
    for flip in every_bit(&certificate) {
        let verdict = verifiers.ours.verify_issuance(&flipped(&certificate, flip));
        assert!(verdict.is_err(), "{flip:?}");
    }
}

#[test]
fn the_cosignature_of_a_stranger_is_all_that_is_ignored_in_a_standalone_certificate() {
    let mtca = repeatable(5);
    let verifiers = Verifiers::of(&mtca).require(1, &mtca.witnesses[..1]);
    let stranger = Signer::new("32473.10.1.1", Ed25519);
    let certificate = mtca.standalone(3, 0, &[&mtca.ca, &mtca.witnesses[0], &stranger]);
    verifiers.accept(&certificate);
    let ignored = ignored_flips(&certificate, &stranger.cosigner.id);
    let some = || some_bits(&certificate, 1);
    assert_eq!(
        Unnoticed::of(&verifiers, &certificate, some()),
        ignored.among(&some().collect())
    );
    let accepted: BTreeSet<Flip> = every_bit(&certificate)
        .filter(|flip| {
            verifiers
                .ours
                .verify_issuance(&flipped(&certificate, *flip))
                .is_ok()
        })
        .collect();
    assert_eq!(accepted, ignored.by_both);
}

#[test]
fn flips_are_noticed_whatever_the_cosigners_algorithms() {
    let key = Signer::new("32473.5", Ed25519).cosigner.key;
    for (ca, witness) in [
        (MlDsa44, MlDsa65),
        (MlDsa87, MlDsa44),
        (EcdsaP256, EcdsaP384),
    ] {
        let mtca = grown(
            Mtca::new(CA, 1, ca, &[witness]),
            3,
            std::slice::from_ref(&key),
        );
        let verifiers = Verifiers::of(&mtca).require(1, &mtca.witnesses);
        let certificate = mtca.standalone(1, 0, &[&mtca.ca, &mtca.witnesses[0]]);
        verifiers.accept(&certificate);
        let step = if ca == EcdsaP256 { 1 } else { 8 };
        assert_eq!(
            Unnoticed::of(&verifiers, &certificate, some_bits(&certificate, step)),
            Unnoticed::default(),
            "{ca}, {witness}"
        );
        for flip in some_bits(&certificate, 1) {
            let verdict = verifiers.ours.verify_issuance(&flipped(&certificate, flip));
            assert!(verdict.is_err(), "{ca}, {witness}, {flip:?}");
        }
    }
}

/// A change to bytes at some place: these many removed, those inserted.
fn edit() -> impl Strategy<Value = (Index, usize, Vec<u8>)> {
    (any::<Index>(), 0..4_usize, vec(any::<u8>(), 0..4))
}

#[test]
fn no_edited_certificate_is_accepted_by_us_and_rejected_by_mtcs() {
    let mtca = repeatable(5);
    let subtree = Subtree::whole(TreeSize(5));
    let verifiers = Verifiers::of(&mtca).trusting(&[mtca.trusted(subtree)]);
    let certificate = mtca.certificate(4, subtree, &[&mtca.ca, &mtca.witnesses[0]]);
    proptest!(|(edits in vec(edit(), 1..4))| {
        let mut edited = certificate.clone();
        for (place, removed, inserted) in edits {
            let start = place.index(edited.len());
            let end = edited.len().min(start + removed);
            edited.splice(start..end, inserted);
        }
        let (ours, theirs) = verifiers.ask(&edited);
        prop_assert!(ours.is_err() || theirs.is_ok(), "{theirs:?}");
    });
}

/// The certificate with other bytes in place of its TBSCertificate and its (so far empty) cosignatures.
fn reassembled(certificate: &[u8], tbs: impl Fn(&[u8]) -> Vec<u8>, cosignatures: &[u8]) -> Vec<u8> {
    let mut fields = der::Reader::new(der::only(certificate, der::SEQUENCE).expect("DER"));
    let old_tbs = fields.contents(der::SEQUENCE).expect("DER");
    let algorithm = fields.expect(der::SEQUENCE).expect("DER").whole;
    let proof = der::whole_octets(fields.contents(der::BIT_STRING).expect("DER")).expect("octets");
    let proof = proof.strip_suffix(&[0, 0, 0]).expect("no cosignatures");
    let length = (cosignatures.len() as u32).to_be_bytes();
    let proof = [proof, &length[1..], cosignatures].concat();
    der::element(
        der::SEQUENCE,
        &[
            &der::element(der::SEQUENCE, &[&tbs(old_tbs)]),
            algorithm,
            &der::bit_string(&proof),
        ],
    )
}

/// What anyone can do to a certificate without the CA noticing, that mtcs accepts and the specification forbids: each
/// gives a valid certificate a second encoding.
#[test]
fn second_encodings_that_mtcs_lets_pass_are_rejected() {
    let mtca = repeatable(5);
    let subtree = Subtree::whole(TreeSize(5));
    let verifiers = Verifiers::of(&mtca).trusting(&[mtca.trusted(subtree)]);
    let certificate = mtca.certificate(4, subtree, &[]);
    let same = |tbs: &[u8]| tbs.to_vec();
    assert_eq!(reassembled(&certificate, same, &[]), certificate);
    let cosigned_by = |id: &[u8]| [&[id.len() as u8][..], id, &[0, 1, 0xaa]].concat();
    verifiers.accept(&reassembled(&certificate, same, &cosigned_by(&[1; 32])));

    // X.690 clause 8.3.2: an INTEGER has no needless leading zero octet. The serial number is not part of the entry.
    let padded_serial = |tbs: &[u8]| {
        let version_and_tag = tbs[..6].to_vec();
        let length = tbs[6] + 1;
        [&version_and_tag[..], &[length, 0], &tbs[7..]].concat()
    };
    for (what, second_encoding) in [
        (
            "padded serial number",
            reassembled(&certificate, padded_serial, &[]),
        ),
        // Section 6.2: opaque cosigner_id<1..32>.
        (
            "ID of 33 bytes",
            reassembled(&certificate, same, &cosigned_by(&[1; 33])),
        ),
        (
            "padded component",
            reassembled(&certificate, same, &cosigned_by(&[0x80, 1])),
        ),
    ] {
        let (ours, theirs) = verifiers.ask(&second_encoding);
        assert!(
            matches!(ours, Err(Rejection::Malformed(_))),
            "{what}: {ours:?}"
        );
        assert!(theirs.is_ok(), "{what}: mtcs has become stricter");
    }
}

#[test]
fn serial_bounds_whose_der_begins_with_a_zero_octet_are_read_by_us_alone() {
    let mtca = Mtca::new(CA, 65535, Ed25519, &[]);
    for (last, readable) in [
        (1, true),
        (0x7f, true),
        (0x80, false),
        ((1 << 48) - 1, false),
        (1 << 48, true),
        ((1 << 63) - 1, true),
        (1 << 63, false),
        (u64::MAX, false),
    ] {
        let der = mtca.ca_certificate(1..=last);
        assert_eq!(CaCertificate::parse(&der).map(|ca| ca.max_serial), Ok(last));
        let theirs = mtcs::CaTrust::from_ca_certificate(&der);
        assert_eq!(theirs.is_ok(), readable, "{last}");
        assert_eq!(read_by_mtcs(last), readable, "{last}");
    }
}

/// One way only: mtcs asks less of a CA certificate, whose issuer, algorithms and unknown critical extensions may be
/// anything. We in turn do not look into the OID of a non-critical extension that we do not know.
#[test]
fn damaged_ca_certificates_that_we_read_are_read_alike_by_mtcs() {
    let mtca = Mtca::new(CA, 1, Ed25519, &[]);
    let der = mtca.ca_certificate(mtca.serials());
    for flip in every_bit(&der) {
        let Ok(ours) = CaCertificate::parse(&flipped(&der, flip)) else {
            continue;
        };
        let theirs = match mtcs::CaTrust::from_ca_certificate(&flipped(&der, flip)) {
            Err(mtcs::Error::Malformed("OID")) => continue,
            theirs => theirs.unwrap(),
        };
        assert_eq!(
            theirs.ca_id.as_bytes(),
            ours.cosigner.id.as_bytes(),
            "{flip:?}"
        );
        assert_eq!(
            theirs.ca_cosigner.spki_der,
            ours.cosigner.key.to_spki(),
            "{flip:?}"
        );
        let outside = vec![0..=ours.min_serial - 1, ours.max_serial + 1..=u64::MAX];
        assert_eq!(theirs.revoked_ranges, outside, "{flip:?}");
    }
}

#[test]
fn validity_is_written_as_mtcs_reads_it() {
    let mtca = repeatable(1);
    let mut store = mtcs::TrustStore::new();
    let ca_certificate = mtca.ca_certificate(mtca.serials());
    store.add_ca(mtcs::CaTrust::from_ca_certificate(&ca_certificate).unwrap());
    let certificate = mtca.standalone(0, 0, &[&mtca.ca]);
    let at = |time: u64| mtcs::verify_certificate(&store, &certificate, time as i64);
    assert_eq!(at(NOT_BEFORE.0 - 1), Err(mtcs::Error::TimeInvalid));
    assert!(at(NOT_BEFORE.0).is_ok());
    assert!(at(NOT_AFTER.0).is_ok());
    assert_eq!(at(NOT_AFTER.0 + 1), Err(mtcs::Error::TimeInvalid));
}
