//! Several logs of a CA, entries that state nothing, and entry extensions.

use mtc_core::cosign::SignatureAlgorithm;
use mtc_core::entry::MtcLogEntry;
use mtc_core::id::{EntryIndex, LogNumber, TreeSize};
use mtc_core::tree::{MemoryTree, Subtree, inclusion_proof, leaf_hash};
use mtc_core::verify::{Basis, PolicyError, Rejection, RevokedRange, TrustedSubtree};

use crate::{CA, log_of, serial_of, trust_in, unsigned};
use test_support::mtca::{EntryExtensions, Mtca, Signer};
use test_support::parts::{Parts, vector};

#[test]
fn the_same_index_in_two_logs_is_two_entries() {
    let whole = Subtree::whole(TreeSize(5));
    let logs = [log_of(1, 5), log_of(2, 5)];
    let trust = trust_in(&logs[0].ca);
    for (own, other) in [(&logs[0], &logs[1]), (&logs[1], &logs[0])] {
        let certificate = own.certificate(3, whole, &[]);
        let trusting = |trusted: &[TrustedSubtree]| {
            trust
                .with_trusted_subtrees(trusted.iter().copied())
                .verify_issuance(&certificate)
        };
        let accepted = trusting(&[own.trusted(whole), other.trusted(whole)]).expect("its own");
        assert_eq!(accepted.log_number, own.log.number());
        assert_eq!(accepted.basis, Basis::TrustedSubtree);
        assert_eq!(trusting(&[other.trusted(whole)]), Err(unsigned(own)));
        // The other log's hash under this log's number.
        let mixed = TrustedSubtree {
            log_number: own.log.number(),
            ..other.trusted(whole)
        };
        assert_eq!(
            trusting(&[mixed]),
            Err(Rejection::TrustedSubtreeMismatch(whole))
        );
    }
}

#[test]
fn a_certificate_moved_to_another_log_is_rejected() {
    let (first, second) = (log_of(1, 5), log_of(2, 5));
    let whole = Subtree::whole(TreeSize(5));
    let trust = trust_in(&first.ca);
    let moved = |signers: &[&Signer]| {
        let mut parts = Parts::of(&first.certificate(3, whole, signers));
        parts.set_serial(serial_of(&second, 3));
        parts.encode()
    };
    let trusting = trust.with_trusted_subtrees([first.trusted(whole), second.trusted(whole)]);
    assert_eq!(
        trusting.verify_issuance(&moved(&[])),
        Err(Rejection::TrustedSubtreeMismatch(whole))
    );
    // The cosigned message names the log.
    assert_eq!(
        trust.verify_issuance(&moved(&[&first.ca])),
        Err(PolicyError::Invalid(first.ca.cosigner.id).into())
    );
}

/// When a log fails, its CA goes on with the next number; what was issued from the old one stays good, or is revoked.
#[test]
fn certificates_of_a_failed_log_and_of_its_successor_are_both_good_until_one_is_revoked() {
    let (failed, next) = (log_of(1, 5), log_of(2, 3));
    let mut trust = trust_in(&failed.ca);
    let certificates = [
        failed.standalone(4, 0, &[&failed.ca]),
        next.standalone(0, 0, &[&next.ca]),
    ];
    for certificate in &certificates {
        assert!(trust.verify_issuance(certificate).is_ok());
    }
    trust.revoke(RevokedRange {
        first: serial_of(&failed, 0),
        last: serial_of(&next, 0) - 1,
    });
    assert_eq!(
        trust.verify_issuance(&certificates[0]),
        Err(Rejection::Revoked(serial_of(&failed, 4)))
    );
    assert!(trust.verify_issuance(&certificates[1]).is_ok());
}

#[test]
fn an_entry_that_states_nothing_has_no_certificate() {
    const NULL: u64 = 2;
    let mtca = log_of(1, 5);
    let whole = Subtree::whole(TreeSize(5));
    let parts: Vec<Parts> = (0..5)
        .map(|index| Parts::of(&mtca.certificate(index, whole, &[])))
        .collect();
    let null = leaf_hash(&MtcLogEntry::NULL.encode().expect("short"));
    let tree: MemoryTree = (0..5)
        .map(|index| match index {
            NULL => null,
            index => parts[index as usize].leaf_hash(),
        })
        .collect();
    let trust = trust_in(&mtca.ca).with_trusted_subtrees([TrustedSubtree {
        log_number: LogNumber::FIRST,
        subtree: whole,
        hash: tree.root(),
    }]);
    for (index, parts) in (0..).zip(&parts) {
        for claimed in 0..5 {
            let mut parts = parts.clone();
            parts.set_serial(serial_of(&mtca, claimed));
            let Ok(proof) = inclusion_proof(&tree, EntryIndex(claimed), whole);
            parts.hashes = proof.concat();
            let verdict = trust.verify_issuance(&parts.encode());
            if claimed == index && index != NULL {
                assert!(verdict.is_ok(), "{verdict:?}");
            } else {
                assert_eq!(
                    verdict,
                    Err(Rejection::TrustedSubtreeMismatch(whole)),
                    "{index} as {claimed}"
                );
            }
        }
    }
}

fn encoded(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    extensions
        .iter()
        .flat_map(|(kind, data)| [kind.to_be_bytes().to_vec(), vector(data, 2)].concat())
        .collect()
}

#[test]
fn entry_extensions_are_those_of_the_log() {
    let logged: &[(u16, &[u8])] = &[(1, b"one"), (2, b""), (0xffff, b"last")];
    let owned: EntryExtensions = logged
        .iter()
        .map(|(kind, data)| (*kind, data.to_vec()))
        .collect();
    let mut mtca = Mtca::new(CA, 1, SignatureAlgorithm::Ed25519, &[]);
    let key = Signer::new("32473.5", SignatureAlgorithm::Ed25519)
        .cosigner
        .key;
    mtca.append(&key, owned);
    let only = Subtree::whole(TreeSize(1));
    let trust = trust_in(&mtca.ca).with_trusted_subtrees([mtca.trusted(only)]);
    let parts = Parts::of(&mtca.certificate(0, only, &[]));
    assert_eq!(parts.extensions, encoded(logged));
    assert!(trust.verify_issuance(&parts.encode()).is_ok());
    for (what, extensions) in [
        ("none", &[][..]),
        ("first dropped", &logged[1..]),
        ("last dropped", &logged[..2]),
        ("data changed", &[(1, b"onE"), (2, b""), (0xffff, b"last")]),
        ("data emptied", &[(1, b""), (2, b""), (0xffff, b"last")]),
        ("type changed", &[(1, b"one"), (3, b""), (0xffff, b"last")]),
        (
            "one added",
            &[(0, b""), (1, b"one"), (2, b""), (0xffff, b"last")],
        ),
    ] {
        let changed = Parts {
            extensions: encoded(extensions),
            ..parts.clone()
        };
        assert_eq!(
            trust.verify_issuance(&changed.encode()),
            Err(Rejection::TrustedSubtreeMismatch(only)),
            "{what}"
        );
    }
}

/// Certificates of entries with none, some and the most extensions that an entry has room for.
#[test]
fn the_entry_hash_is_that_of_the_entry_for_every_kind_of_extension() {
    let mut mtca = Mtca::new(CA, 1, SignatureAlgorithm::Ed25519, &[]);
    let key = Signer::new("32473.5", SignatureAlgorithm::Ed25519)
        .cosigner
        .key;
    let kinds: [EntryExtensions; 4] = [
        Vec::new(),
        vec![(0, Vec::new())],
        (0..300).map(|kind| (kind, vec![kind as u8; 3])).collect(),
        vec![(9, vec![0xab; 65_000])],
    ];
    for extensions in kinds {
        let index = mtca.append(&key, extensions);
        let only = Subtree::new(index, index + 1).expect("one entry");
        let certificate = mtca.certificate(index, only, &[]);
        assert_eq!(Parts::of(&certificate).leaf_hash(), mtca.hash(only));
        assert_eq!(Parts::of(&certificate).encode(), certificate);
        let trust = trust_in(&mtca.ca).with_trusted_subtrees([mtca.trusted(only)]);
        assert!(trust.verify_issuance(&certificate).is_ok());
    }
}
