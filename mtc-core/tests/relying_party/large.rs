//! Trees too large to hold: entries next to the last one that a log can have, proofs next to 2^63.

use mtc_core::certificate::{Certificate, CertificateError, CertificateFields, MtcProof};
use mtc_core::cosign::SignatureAlgorithm;
use mtc_core::der;
use mtc_core::id::{EntryIndex, IdError, LogId, LogNumber, TreeSize};
use mtc_core::time::UnixTime;
use mtc_core::tree::{
    Hash, ProofError, Subtree, consistency_proof, covering_subtrees, evaluate_inclusion,
    inclusion_proof, inclusion_proof_length, leaf_hash, subtree_hash, verify_consistency,
};
use mtc_core::verify::{Basis, Rejection, RevokedRange, TrustedSubtree};

use crate::{CA, trust_in};
use test_support::mtca::Signer;
use test_support::parts::Parts;
use test_support::sparse_tree::SparseTree;

/// Entries of the largest log.
const LARGEST_LOG: u64 = (1 << 48) - 1;
/// Sizes beside those where a carry, a sign or an overflow would show.
const SIZES: [u64; 9] = [
    (1 << 32) + 1,
    LARGEST_LOG - 1,
    LARGEST_LOG,
    1 << 48,
    (1 << 48) + 1,
    (1 << 63) - 1,
    1 << 63,
    (1 << 63) + 1,
    u64::MAX,
];

/// Marks on some leaves, so that their nodes differ from those around.
fn marked(size: u64) -> Vec<(u64, Hash)> {
    [
        0,
        1,
        size / 3,
        size / 2 - 1,
        size / 2,
        size - 3,
        size - 2,
        size - 1,
    ]
    .into_iter()
    .map(|index| (index, leaf_hash(&index.to_be_bytes())))
    .collect()
}

fn read<T>(result: Result<T, std::convert::Infallible>) -> T {
    let Ok(value) = result;
    value
}

/// The whole, batches at the end, in the middle and of nearly everything, single entries at both ends.
fn some_subtrees(size: u64) -> Vec<Subtree> {
    let mut subtrees = vec![Subtree::whole(TreeSize(size))];
    for (start, end) in [
        (0, size - 1),
        (1, size),
        (size - 1000, size),
        (size / 2 - 3, size / 2 + 5),
        (size / 3, size - 1),
        (size - 1, size),
        (0, 1),
    ] {
        subtrees.extend(covering_subtrees(start, end));
    }
    subtrees.retain(|subtree| !subtree.is_empty());
    subtrees
}

#[test]
fn inclusion_is_proven_beside_2_48_and_2_63_and_for_no_other_index() {
    for size in SIZES {
        let leaves = marked(size);
        let tree = SparseTree::new(size, leaves.iter().copied());
        for subtree in some_subtrees(size) {
            let hash = read(subtree_hash(&tree, subtree));
            for (index, leaf) in leaves
                .iter()
                .filter(|(index, _)| subtree.contains(EntryIndex(*index)))
            {
                let proof = read(inclusion_proof(&tree, EntryIndex(*index), subtree));
                assert_eq!(
                    proof.len(),
                    inclusion_proof_length(EntryIndex(*index), subtree)
                );
                assert!(proof.len() <= 64);
                let evaluate = |index, leaf| evaluate_inclusion(index, subtree, leaf, &proof);
                assert_eq!(
                    evaluate(EntryIndex(*index), *leaf),
                    Ok(hash),
                    "{index} in {subtree}"
                );
                for (other, other_leaf) in leaves.iter().filter(|(other, _)| other != index) {
                    assert_ne!(
                        evaluate(EntryIndex(*other), *leaf),
                        Ok(hash),
                        "{other} in {subtree}"
                    );
                    assert_ne!(evaluate(EntryIndex(*index), *other_leaf), Ok(hash));
                }
            }
        }
    }
}

#[test]
fn consistency_is_proven_beside_2_48_and_2_63_and_with_no_other_size() {
    for size in SIZES {
        let tree = SparseTree::new(size, marked(size));
        let root = read(subtree_hash(&tree, Subtree::whole(TreeSize(size))));
        for subtree in some_subtrees(size) {
            let hash = read(subtree_hash(&tree, subtree));
            let proof = read(consistency_proof(&tree, subtree, TreeSize(size)));
            assert!(proof.len() <= 65, "{} hashes", proof.len());
            let verify = |size, root| verify_consistency(subtree, size, &hash, root, &proof);
            assert_eq!(verify(TreeSize(size), &root), Ok(()), "{subtree} in {size}");
            assert!(verify(TreeSize(size), &hash).is_err() || hash == root);
            if let Some(smaller) = size.checked_sub(1).filter(|size| *size >= subtree.end()) {
                let smaller_root = read(subtree_hash(&tree, Subtree::whole(TreeSize(smaller))));
                assert!(verify(TreeSize(smaller), &smaller_root).is_err());
                assert!(verify(TreeSize(size), &smaller_root).is_err());
            }
        }
    }
}

fn fields<'a>(ca: &'a Signer, spki: &'a [u8], empty: &'a [u8]) -> CertificateFields<'a> {
    CertificateFields {
        issuer: &ca.cosigner.id,
        not_before: UnixTime(0),
        not_after: UnixTime(1),
        subject: empty,
        spki,
        extensions: empty,
    }
}

/// A log that is full but for nothing, and its last entries.
struct FullLog {
    ca: Signer,
    log: LogId,
    tree: SparseTree,
    spki: Vec<u8>,
}

impl FullLog {
    fn new(number: u64) -> Self {
        let ca = Signer::new(CA, SignatureAlgorithm::Ed25519);
        let number = LogNumber::new(number).expect("a log number");
        let spki = ca.cosigner.key.to_spki();
        let empty = der::element(der::SEQUENCE, &[]);
        let entry = fields(&ca, &spki, &empty)
            .log_entry()
            .expect("well-formed fields");
        let leaf = leaf_hash(&entry.encode().expect("short"));
        let tree = SparseTree::new(
            LARGEST_LOG,
            [(LARGEST_LOG - 1, leaf), (LARGEST_LOG - 7, leaf)],
        );
        Self {
            log: LogId::new(ca.cosigner.id, number).expect("short"),
            ca,
            tree,
            spki,
        }
    }

    fn proof(&self, index: u64, subtree: Subtree, signers: &[&Signer]) -> MtcProof {
        let hash = read(subtree_hash(&self.tree, subtree));
        MtcProof {
            extensions: Vec::new(),
            subtree,
            inclusion_proof: read(inclusion_proof(&self.tree, EntryIndex(index), subtree)),
            signatures: signers
                .iter()
                .map(|signer| signer.cosignature(&self.log, subtree, &hash))
                .collect(),
        }
    }

    fn certificate(&self, index: u64, proof: &MtcProof) -> Result<Vec<u8>, CertificateError> {
        let empty = der::element(der::SEQUENCE, &[]);
        fields(&self.ca, &self.spki, &empty).certificate(
            self.log.number(),
            EntryIndex(index),
            proof,
        )
    }
}

#[test]
fn the_last_entries_of_the_last_log_have_certificates() {
    let log = FullLog::new(65535);
    let trust = trust_in(&log.ca);
    for index in [LARGEST_LOG - 1, LARGEST_LOG - 7] {
        let [left, right] = covering_subtrees(LARGEST_LOG - 1000, LARGEST_LOG);
        for subtree in [left, right, Subtree::whole(TreeSize(LARGEST_LOG))] {
            if !subtree.contains(EntryIndex(index)) {
                continue;
            }
            let trusting = trust.with_trusted_subtrees([TrustedSubtree {
                log_number: log.log.number(),
                subtree,
                hash: read(subtree_hash(&log.tree, subtree)),
            }]);
            for (trust, signers, basis) in [
                (&trust, &[&log.ca][..], Basis::Cosignatures),
                (&trusting, &[], Basis::TrustedSubtree),
            ] {
                let proof = log.proof(index, subtree, signers);
                let certificate = log.certificate(index, &proof).expect("within the limits");
                let parsed = Certificate::parse(&certificate).expect("our own");
                assert_eq!(parsed.serial, (65535 << 48) + index);
                assert_eq!(parsed.entry(), Ok((log.log.number(), EntryIndex(index))));
                let accepted = trust.verify_issuance(&certificate).expect("ours");
                assert_eq!(
                    (accepted.index, accepted.subtree),
                    (EntryIndex(index), subtree)
                );
                assert_eq!(accepted.basis, basis);
            }
        }
    }
}

/// A log has at most 2^48 - 1 entries, so that sizes are below 2^48: the last entry has index 2^48 - 2.
#[test]
fn nothing_is_issued_beyond_the_limits_of_a_log() {
    let log = FullLog::new(65535);
    let (index, subtree) = (LARGEST_LOG - 1, Subtree::whole(TreeSize(LARGEST_LOG)));
    let proof = log.proof(index, subtree, &[]);
    assert!(log.certificate(index, &proof).is_ok());
    assert_eq!(
        log.certificate(1 << 48, &proof),
        Err(IdError::EntryIndex(EntryIndex(1 << 48)).into())
    );
    let beyond = MtcProof {
        subtree: Subtree::whole(TreeSize(1 << 48)),
        ..proof
    };
    assert_eq!(
        log.certificate(index, &beyond),
        Err(IdError::EntryIndex(EntryIndex(1 << 48)).into())
    );
    assert_eq!(LogNumber::new(65536), Err(IdError::LogNumber(65536)));
}

#[test]
fn serial_numbers_beside_the_largest_are_rejected_each_for_its_reason() {
    let log = FullLog::new(65535);
    let (index, subtree) = (LARGEST_LOG - 1, Subtree::whole(TreeSize(LARGEST_LOG)));
    let hash = read(subtree_hash(&log.tree, subtree));
    let log_number = log.log.number();
    let mut trust = trust_in(&log.ca).with_trusted_subtrees([TrustedSubtree {
        log_number,
        subtree,
        hash,
    }]);
    let certificate = log.certificate(index, &log.proof(index, subtree, &[]));
    let good = Parts::of(&certificate.expect("within the limits"));
    assert_eq!(good.serial, [0, 255, 255, 255, 255, 255, 255, 255, 254]);
    assert!(trust.verify_issuance(&good.encode()).is_ok());
    let with_serial = |contents: &[u8]| {
        Parts {
            serial: contents.to_vec(),
            ..good.clone()
        }
        .encode()
    };
    // 2^64 - 1: index 2^48 - 1, which no log has.
    assert_eq!(
        trust.verify_issuance(&with_serial(&[0, 255, 255, 255, 255, 255, 255, 255, 255])),
        Err(ProofError::IndexOutside {
            index: EntryIndex(LARGEST_LOG),
            start: 0,
            end: LARGEST_LOG
        }
        .into())
    );
    for (what, contents) in [
        ("2^64", &[1, 0, 0, 0, 0, 0, 0, 0, 0][..]),
        (
            "2^64 + the right one",
            &[1, 255, 255, 255, 255, 255, 255, 255, 254],
        ),
        ("zero", &[0]),
        ("negative", &[255, 255, 255, 255, 255, 255, 255, 254]),
        ("padded", &[0, 0, 255, 255, 255, 255, 255, 255, 255, 254]),
        ("empty", &[]),
    ] {
        assert_eq!(
            trust.verify_issuance(&with_serial(contents)),
            Err(Rejection::Malformed(CertificateError::SerialRange)),
            "{what}"
        );
    }
    // 2^48 - 2: the same index in log 0, which no CA has.
    assert_eq!(
        trust.verify_issuance(&with_serial(&[0, 255, 255, 255, 255, 255, 254])),
        Err(Rejection::Serial(IdError::LogNumber(0)))
    );
    trust.revoke(RevokedRange {
        first: u64::MAX - 1,
        last: u64::MAX,
    });
    assert_eq!(
        trust.verify_issuance(&good.encode()),
        Err(Rejection::Revoked(u64::MAX - 1))
    );
}
