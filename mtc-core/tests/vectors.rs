//! The accumulated test vectors of the draft's appendix: every subtree, inclusion proof, consistency proof and cover of
//! trees up to 130 leaves, condensed into one SHA-256 each.
//!
//! Source: draft-ietf-plants-merkle-tree-certs-07, "Accumulated Test Vectors"; leaf `i` is the single byte `i`. To remake:
//! print one ASCII line a case as each function below does and hash the lines.

use std::fmt::Write;

use mtc_core::tree::{
    Hash, HashReader, MemoryTree, Subtree, consistency_proof, covering_subtrees,
    evaluate_inclusion, inclusion_proof, inclusion_proof_length, leaf_hash, subtree_hash,
    verify_consistency,
};
use sha2::{Digest, Sha256};

const LARGEST: u64 = 130;

fn tree(size: u64) -> MemoryTree {
    (0..size).map(|leaf| leaf_hash(&[leaf as u8])).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("strings take any text");
        text
    })
}

fn spaced(hashes: &[Hash]) -> String {
    hashes
        .iter()
        .map(|hash| format!(" {}", hex(hash)))
        .collect()
}

fn read<T>(result: Result<T, <MemoryTree as HashReader>::Error>) -> T {
    let Ok(value) = result;
    value
}

fn valid_subtrees(largest_end: u64) -> impl Iterator<Item = Subtree> {
    (0..=largest_end)
        .flat_map(|end| (0..=end).filter_map(move |start| Subtree::new(start, end).ok()))
}

#[test]
fn subtree_hashes() {
    let mut digest = Sha256::new();
    let tree = tree(LARGEST);
    for subtree in valid_subtrees(LARGEST) {
        digest.update(format!(
            "{subtree} {}\n",
            hex(&read(subtree_hash(&tree, subtree)))
        ));
    }
    assert_eq!(
        hex(&digest.finalize()),
        "b82806ad4265bb151c1119c0f4db437bb4d1a1f887b3a7fba1cd4ebf552e3e81"
    );
}

#[test]
fn inclusion_proofs() {
    let mut digest = Sha256::new();
    let tree = tree(LARGEST);
    for subtree in valid_subtrees(LARGEST) {
        let expected = read(subtree_hash(&tree, subtree));
        for index in subtree.start()..subtree.end() {
            let proof = read(inclusion_proof(&tree, index, subtree));
            assert_eq!(proof.len(), inclusion_proof_length(index, subtree));
            assert_eq!(
                evaluate_inclusion(index, subtree, leaf_hash(&[index as u8]), &proof),
                Ok(expected)
            );
            digest.update(format!("{index} {subtree}{}\n", spaced(&proof)));
        }
    }
    assert_eq!(
        hex(&digest.finalize()),
        "ac2a8f989e44d99e399db448050ff5f19757df53cfb716aa81015d3955d8163f"
    );
}

#[test]
fn consistency_proofs() {
    let mut digest = Sha256::new();
    for size in 0..=LARGEST {
        let tree = tree(size);
        for subtree in valid_subtrees(size) {
            let proof = read(consistency_proof(&tree, subtree, size));
            let node = read(subtree_hash(&tree, subtree));
            assert_eq!(
                verify_consistency(subtree, size, &node, &tree.root(), &proof),
                Ok(())
            );
            digest.update(format!("{subtree} {size}{}\n", spaced(&proof)));
        }
    }
    assert_eq!(
        hex(&digest.finalize()),
        "10fa99b37bf9bf9ffa26b412fbd98bd75363256d0b75d61bc4538b9c9c5a0a74"
    );
}

#[test]
fn covering_subtrees_of_every_interval() {
    let mut digest = Sha256::new();
    for end in 0..=LARGEST {
        for start in 0..=end {
            let [left, right] = covering_subtrees(start, end);
            digest.update(format!("{left} {right}\n"));
        }
    }
    assert_eq!(
        hex(&digest.finalize()),
        "7fd9c8b926e9d2b5cf831560e8ce295a5ef97ad5c5ede4ea0dea28a8c8fc8bb0"
    );
}
