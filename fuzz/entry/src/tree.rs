//! Proofs over intervals of any size, up to 2^64: compared with the oracle, and no arithmetic that overflows.
//!
//! ```text
//! 0..24    three numbers: a tree size or the start of an interval, its end, an index
//! 24       the length of a proof, whose hashes all differ
//! 25       which hash of it is changed in the trees that are small enough to build
//! ```

use mtc_core::id::{EntryIndex, TreeSize};
use mtc_core::tree::{
    Hash, MemoryTree, ProofError, Subtree, consistency_proof, covering_subtrees,
    evaluate_inclusion, inclusion_proof, inclusion_proof_length, leaf_hash, subtree_hash,
    verify_consistency,
};

use crate::{Verdict, oracle};

/// Entries of the tree in which honest proofs are made.
const SMALL: u64 = 70;
/// One more than the hashes of the longest proof: a subtree and a tree of 2^64 - 1 entries.
const MAX_PROOF: usize = 66;

/// Reads numbers and makes, evaluates and verifies proofs for them.
///
/// # Panics
/// An invariant does not hold.
pub fn tree(data: &[u8]) -> Verdict {
    let Some(([first, second, third], [proof_length, damage, ..])) = numbers(data) else {
        return Verdict::Refused;
    };
    let proof: Vec<Hash> = (0..usize::from(*proof_length) % MAX_PROOF)
        .map(|position| leaf_hash(&[position as u8]))
        .collect();
    check_cover(first, second);
    let valid = check_interval(first, second, third, &proof);
    let [size, end, index] = [first, second, third].map(|number| number % (SMALL + 1));
    check_small(size, end, index, *damage);
    Verdict::of(valid)
}

fn numbers(data: &[u8]) -> Option<([u64; 3], &[u8])> {
    let (numbers, rest) = data.split_first_chunk::<24>()?;
    let (chunks, _) = numbers.as_chunks::<8>();
    let [first, second, third] = chunks else {
        return None;
    };
    let numbers = [first, second, third].map(|number| u64::from_le_bytes(*number));
    (rest.len() >= 2).then_some((numbers, rest))
}

/// The three properties of Section 4.5, for an interval that is not empty.
fn check_cover(start: u64, end: u64) {
    let [left, right] = covering_subtrees(start, end);
    for subtree in [left, right] {
        assert!(oracle::is_subtree(subtree.start(), subtree.end()));
    }
    if start >= end {
        assert!(left.is_empty() && right.is_empty());
        return;
    }
    assert!(left.start() <= start && left.end() == right.start() && right.end() == end);
    // What is covered in vain is less than what is wanted, and before it: nobody else's entry follows.
    assert!(left.end() > start || left.is_empty());
    assert!(start - left.start() < end - start);
}

/// Any interval, any index, a proof of any length; whether the interval is a subtree.
fn check_interval(start: u64, end: u64, index: u64, proof: &[Hash]) -> bool {
    let subtree = Subtree::new(start, end);
    assert_eq!(subtree.is_ok(), oracle::is_subtree(start, end));
    let Ok(subtree) = subtree else {
        return false;
    };
    check_inclusion(subtree, index, proof);
    // As a tree size, the number is often smaller than the subtree's end; so is the other way round tried.
    check_consistency(subtree, index, proof);
    if let Some(larger) = end.checked_add(index) {
        check_consistency(subtree, larger, proof);
    }
    true
}

fn check_inclusion(subtree: Subtree, index: u64, proof: &[Hash]) {
    let leaf = leaf_hash(b"entry");
    let found = evaluate_inclusion(EntryIndex(index), subtree, leaf, proof);
    if !subtree.contains(EntryIndex(index)) {
        assert!(matches!(found, Err(ProofError::IndexOutside { .. })));
        assert_eq!(inclusion_proof_length(EntryIndex(index), subtree), 0);
        return;
    }
    let place = index - subtree.start();
    let expected = oracle::inclusion(place, subtree.len(), leaf, proof);
    assert_eq!(found, expected.ok_or(ProofError::WrongLength));
    let right_length = inclusion_proof_length(EntryIndex(index), subtree) == proof.len();
    assert_eq!(expected.is_some(), right_length);
}

fn check_consistency(subtree: Subtree, size: u64, proof: &[Hash]) {
    let node = leaf_hash(b"subtree");
    let verify =
        |node: &Hash, root: &Hash| verify_consistency(subtree, TreeSize(size), node, root, proof);
    let interval = (subtree.start(), subtree.end());
    if subtree.end() > size {
        assert!(matches!(
            verify(&node, &node),
            Err(ProofError::BeyondTree { .. })
        ));
        return;
    }
    if subtree.is_empty() {
        assert!(
            verify(&node, &node).is_err(),
            "an empty tree of another hash"
        );
        let empty = mtc_core::tree::empty_hash();
        assert_eq!(verify(&empty, &node).is_ok(), proof.is_empty());
        return;
    }
    match oracle::consistency(interval, size, Some(node), proof) {
        Some((part, root)) => {
            // A proof that states the subtree's parts leads to their hash, another must be given.
            assert_eq!(verify(&part, &root), Ok(()));
            let other = leaf_hash(b"another");
            assert_eq!(verify(&part, &other), Err(ProofError::HashMismatch));
            assert!(verify(&other, &root).is_err());
        }
        None => assert_eq!(verify(&node, &node), Err(ProofError::WrongLength)),
    }
}

/// Honest proofs in a tree that can be built hold, and do not when anything about them is changed.
fn check_small(size: u64, end: u64, index: u64, damage: u8) {
    let leaves: Vec<Hash> = (0..size)
        .map(|index| leaf_hash(&index.to_be_bytes()))
        .collect();
    let tree: MemoryTree = leaves.iter().copied().collect();
    assert_eq!(tree.root(), oracle::tree_hash(&leaves));
    if size == 0 {
        return;
    }
    let (index, end) = (index % size, end % size + 1);
    // Some valid subtree that ends there, and one that holds the index: what covers the entries from the index on.
    let [left, right] = covering_subtrees(index.min(end - 1), end);
    for subtree in [left, right, Subtree::whole(TreeSize(end))] {
        let range = subtree.start() as usize..subtree.end() as usize;
        let hash = oracle::tree_hash(&leaves[range]);
        let Ok(computed) = subtree_hash(&tree, subtree);
        assert_eq!(computed, hash);

        let Ok(proof) = consistency_proof(&tree, subtree, TreeSize(size));
        let verify = |proof: &[Hash]| {
            verify_consistency(subtree, TreeSize(size), &hash, &tree.root(), proof)
        };
        assert_eq!(verify(&proof), Ok(()));
        check_damage(&proof, damage, |proof| verify(proof).is_ok());

        if subtree.contains(EntryIndex(index)) {
            let leaf = leaves[index as usize];
            let Ok(proof) = inclusion_proof(&tree, EntryIndex(index), subtree);
            assert_eq!(
                proof.len(),
                inclusion_proof_length(EntryIndex(index), subtree)
            );
            let evaluate =
                |proof: &[Hash]| evaluate_inclusion(EntryIndex(index), subtree, leaf, proof);
            assert_eq!(evaluate(&proof), Ok(hash));
            check_damage(&proof, damage, |proof| evaluate(proof) == Ok(hash));
        }
    }
}

/// A proof with a hash changed, left out or added does not hold.
fn check_damage(proof: &[Hash], damage: u8, holds: impl Fn(&[Hash]) -> bool) {
    let mut longer = proof.to_vec();
    longer.insert(usize::from(damage) % (proof.len() + 1), [damage; 32]);
    assert!(!holds(&longer), "a hash was added");
    if proof.is_empty() {
        return;
    }
    let position = usize::from(damage) % proof.len();
    let mut changed = proof.to_vec();
    changed[position][usize::from(damage) % 32] ^= 1;
    assert!(!holds(&changed), "a hash was changed");
    let mut shorter = proof.to_vec();
    shorter.remove(position);
    assert!(!holds(&shorter), "a hash was left out");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let cases: [([u64; 3], u8); 8] = [
        ([0, 7, 3], 3),
        ([0, 1 << 63, 5], 63),
        ([0, (1 << 63) + 1, 1 << 63], 1),
        ([0, u64::MAX, u64::MAX - 1], 63),
        ([1 << 62, (1 << 62) + 3, (1 << 62) + 2], 1),
        ([64, 128, 0], 1),
        ([8, 13, 9], 4),
        ([1 << 47, 1 << 48, 1 << 47], 47),
    ];
    cases
        .into_iter()
        .map(|(numbers, length)| {
            let mut seed: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
            seed.extend([length, 1]);
            seed
        })
        .collect()
}
