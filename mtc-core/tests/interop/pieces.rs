//! What verification is made of, piece by piece and at any size: the algorithms of the tree, trust anchor IDs and
//! landmark documents, each asked of both implementations.
//!
//! As with certificates, a disagreement must be excused by one of the reasons listed beside each test, and every reason
//! must occur.

use std::collections::BTreeSet;

use mtc_core::id::{EntryIndex, TreeSize, TrustAnchorId};
use mtc_core::landmark::LandmarkSequence;
use mtc_core::time::UnixTime;
use mtc_core::tree::{
    Hash, Subtree, consistency_proof, covering_subtrees, evaluate_inclusion, inclusion_proof,
    inclusion_proof_length, leaf_hash, subtree_hash, verify_consistency,
};

use crate::random::Random;
use test_support::sparse_tree::SparseTree;

const CASES: u64 = 2000;

fn read<T>(result: Result<T, std::convert::Infallible>) -> T {
    let Ok(value) = result;
    value
}

/// Numbers of every magnitude, those beside powers of two above all.
fn of_any_magnitude(random: &mut Random) -> u64 {
    let power = 1_u64 << random.below(64);
    match random.below(3) {
        0 => power.wrapping_add(random.below(5)).wrapping_sub(2),
        1 => random.below(power),
        _ => random.below(40),
    }
}

/// A valid subtree with at least one entry.
fn subtree(random: &mut Random) -> Subtree {
    let level = random.below(64);
    let start = of_any_magnitude(random).min(u64::MAX - 1) >> level << level;
    let length = 1 + of_any_magnitude(random).min((1 << level) - 1);
    Subtree::new(start, start.saturating_add(length)).expect("not longer than its alignment")
}

/// A number near another, or anywhere.
fn other(random: &mut Random, number: u64) -> u64 {
    match random.below(4) {
        0 => of_any_magnitude(random),
        1 => number.saturating_add(1),
        2 => number.saturating_sub(1),
        _ => number,
    }
}

/// The proof with one hash more, less, changed, or as it was.
fn changed(random: &mut Random, proof: &[Hash]) -> Vec<Hash> {
    let mut proof = proof.to_vec();
    match random.below(6) {
        0 => proof.push([0xab; 32]),
        1 => drop(proof.pop()),
        2 if !proof.is_empty() => drop(proof.remove(0)),
        3 if !proof.is_empty() => {
            let place = random.position(proof.len());
            random.flip(&mut proof[place]);
        }
        _ => {}
    }
    proof
}

fn theirs(subtree: Subtree) -> mtcs::Subtree {
    mtcs::Subtree::new(subtree.start(), subtree.end()).expect("valid for both")
}

#[test]
fn intervals_are_valid_and_covered_alike() {
    for number in 0..CASES * 10 {
        let mut random = Random::of_case(number);
        let (one, another) = (of_any_magnitude(&mut random), of_any_magnitude(&mut random));
        let (start, end) = (one.min(another), one.max(another));
        for (start, end) in [(start, end), (end, start)] {
            let valid = mtcs::is_valid_subtree(start, end);
            assert_eq!(Subtree::new(start, end).is_ok(), valid, "[{start}, {end})");
        }
        let (left, right) = mtcs::covering_subtrees(start, end);
        let ours = covering_subtrees(start, end).map(|subtree| (subtree.start(), subtree.end()));
        assert_eq!(ours, [(left.start, left.end), (right.start, right.end)]);
    }
}

#[test]
fn inclusion_proofs_are_evaluated_alike() {
    let mut verdicts = BTreeSet::new();
    for number in 0..CASES {
        let mut random = Random::of_case(number);
        let subtree = subtree(&mut random);
        let index = subtree.start() + random.below(subtree.len());
        let leaf = leaf_hash(b"marked");
        let tree = SparseTree::new(u64::MAX, [(index, leaf)]);
        let proof = changed(
            &mut random,
            &read(inclusion_proof(&tree, EntryIndex(index), subtree)),
        );
        let index = other(&mut random, index);
        let ours = evaluate_inclusion(EntryIndex(index), subtree, leaf, &proof).ok();
        let by_mtcs = subtree.contains(EntryIndex(index)).then(|| {
            mtcs::evaluate_inclusion_proof(proof.as_flattened(), index, &leaf, theirs(subtree))
        });
        assert_eq!(
            ours,
            by_mtcs.flatten(),
            "case {number}: {index} in {subtree}"
        );
        let fits = subtree.contains(EntryIndex(index))
            && proof.len() == inclusion_proof_length(EntryIndex(index), subtree);
        assert_eq!(ours.is_some(), fits, "case {number}");
        verdicts.insert(ours.map(|hash| hash == read(subtree_hash(&tree, subtree))));
    }
    assert_eq!(verdicts, BTreeSet::from([None, Some(false), Some(true)]));
}

#[test]
fn consistency_proofs_are_verified_alike() {
    let mut verdicts = BTreeSet::new();
    for number in 0..CASES {
        let mut random = Random::of_case(number);
        let subtree = subtree(&mut random);
        let size = subtree.end().saturating_add(of_any_magnitude(&mut random));
        let tree = SparseTree::new(
            u64::MAX,
            [subtree.start(), subtree.end() - 1, size - 1]
                .map(|index| (index, leaf_hash(&index.to_be_bytes()))),
        );
        let node = read(subtree_hash(&tree, subtree));
        let root = read(subtree_hash(&tree, Subtree::whole(TreeSize(size))));
        let proof = read(consistency_proof(&tree, subtree, TreeSize(size)));
        let proof = changed(&mut random, &proof);
        let size = other(&mut random, size);
        let (start, end) = match random.below(4) {
            0 => (
                other(&mut random, subtree.start()),
                other(&mut random, subtree.end()),
            ),
            _ => (subtree.start(), subtree.end()),
        };
        let Ok(subtree) = Subtree::new(start, end) else {
            continue;
        };
        let ours = verify_consistency(subtree, TreeSize(size), &node, &root, &proof).is_ok();
        let by_mtcs = mtcs::verify_consistency_proof(
            size,
            theirs(subtree),
            proof.as_flattened(),
            &node,
            &root,
        );
        assert_eq!(ours, by_mtcs, "case {number}: {subtree} in {size}");
        verdicts.insert(ours);
    }
    assert_eq!(verdicts.len(), 2);
}

/// Why mtcs reads an ID that we refuse.
fn excuse_for_id(bytes: &[u8]) -> Option<&'static str> {
    if bytes.len() > 32 {
        return Some("longer than 32 bytes (draft-ietf-tls-trust-anchor-ids section 3)");
    }
    let components = || bytes.split_inclusive(|byte| byte & 0x80 == 0);
    if components().any(|component| component[0] == 0x80) {
        return Some("a padded component (X.690 clause 8.20.2)");
    }
    // Ten groups of seven bits, of which the first may say one bit.
    if components()
        .any(|component| component.len() > 10 || (component.len() == 10 && component[0] > 0x81))
    {
        return Some("a component above 64 bits, which this implementation bounds");
    }
    None
}

#[test]
fn trust_anchor_ids_are_read_alike() {
    let mut excused = BTreeSet::new();
    for number in 0..CASES * 10 {
        let mut random = Random::of_case(number);
        let length = *random.pick(&[1, 2, 4, 9, 12, 31, 32, 33]);
        let mut bytes = vec![0; length];
        for byte in &mut bytes {
            *byte = *random.pick(&[0, 1, 0x7f, 0x80, 0x81, 0xff]);
        }
        if !random.once_in(4) {
            bytes[length - 1] &= 0x7f;
        }
        let ours = TrustAnchorId::from_bytes(&bytes);
        match (&ours, mtcs::TrustAnchorId::from_binary(&bytes)) {
            (Ok(ours), Ok(by_mtcs)) => {
                let text = ours.to_string();
                assert_eq!(text, by_mtcs.to_dotted());
                assert_eq!(mtcs::TrustAnchorId::from_dotted(&text), Ok(by_mtcs));
                assert_eq!(text.parse(), Ok(*ours));
            }
            (Err(_), Err(_)) => {}
            (Err(error), Ok(by_mtcs)) => {
                let reason = excuse_for_id(&bytes);
                let reason = reason.unwrap_or_else(|| panic!("{error}: {by_mtcs}, {bytes:02x?}"));
                assert!(
                    by_mtcs.to_dotted().parse::<TrustAnchorId>().is_err() || bytes.contains(&0x80)
                );
                excused.insert(reason);
            }
            (Ok(ours), Err(error)) => panic!("we read {ours}, mtcs says {error}: {bytes:02x?}"),
        }
    }
    assert_eq!(excused.len(), 3, "{excused:?}");
}

/// Why a document is read by one of the two alone; `ours` says by whom.
fn excuse_for_document(document: &str, now: u64, ours: bool) -> Option<&'static str> {
    let numbers: Vec<u64> = document
        .split(['\n', ' '])
        .filter_map(|number| number.parse().ok())
        .collect();
    let lines: Vec<(u64, u64)> = numbers[1..]
        .as_chunks::<2>()
        .0
        .iter()
        .map(|[size, expiry]| (*size, *expiry))
        .collect();
    let (oldest_size, oldest_expiry) = *lines.last()?;
    let oldest_number = numbers[0].checked_sub(lines.len() as u64 - 1)?;
    if ours {
        if oldest_expiry == now && oldest_number != 0 {
            return Some(
                "whoever expires now has expired, and is in the past from the next second on",
            );
        }
        if oldest_number == 0 && oldest_expiry >= now {
            return Some(
                "landmark 0 is never active, so that it may end the list whatever its expiry",
            );
        }
        if numbers.iter().any(|number| number >> 48 != 0) {
            return Some(
                "numbers above 2^48 - 1: a size that no tree has is found beyond the checkpoint",
            );
        }
    } else {
        if !document.ends_with('\n') {
            return Some("every line is ended (Section 6.4.3)");
        }
        if (oldest_size == 0) != (oldest_number == 0) {
            return Some("landmark 0 has size 0, and no other (Section 6.4)");
        }
    }
    None
}

/// A document that is nearly always well formed, and now and then in order.
fn document(random: &mut Random) -> String {
    let latest = random.below(6);
    let lines = random.below(latest + 2) + u64::from(!random.once_in(8));
    let (mut size, mut expiry) = (200_u64, 120_u64);
    let mut document = format!("{latest}\n");
    for line in 0..lines {
        if line == latest && !random.once_in(6) {
            size = 0;
        }
        if random.once_in(20) {
            size = (1 << 48) + 5 - random.below(9);
        }
        document += &format!("{size} {expiry}\n");
        size -= random.below(40).min(size) + u64::from(size > 50 && !random.once_in(9));
        expiry = (expiry + u64::from(random.once_in(16))).saturating_sub(random.below(3) * 10);
    }
    if random.once_in(5) {
        let place = random.position(document.len());
        let with = *random.pick(&["", "", " ", "\n", "0", "1", "+", "\t", "\r", "-"]);
        document.replace_range(place..place + usize::from(random.once_in(2)), with);
    }
    if random.once_in(12) {
        document.pop();
    }
    document
}

#[test]
fn landmark_documents_are_read_alike_or_for_a_reason_not() {
    const NOW: u64 = 100;
    let (mut excused, mut read_by_both) = (BTreeSet::new(), 0);
    for number in 0..CASES * 10 {
        let document = document(&mut Random::of_case(number));
        let ours = LandmarkSequence::parse(&document, UnixTime(NOW));
        match (ours, mtcs::parse_landmarks(&document, NOW)) {
            (Ok(ours), Ok(by_mtcs)) => {
                read_by_both += 1;
                let theirs: Vec<_> = by_mtcs
                    .iter()
                    .map(|one| (one.tree_size, one.expires_unix))
                    .collect();
                let text: String = theirs
                    .iter()
                    .map(|(size, expiry)| format!("{size} {expiry}\n"))
                    .collect();
                assert_eq!(ours.to_document(), format!("{}\n{text}", by_mtcs[0].number));
            }
            (Err(_), Err(_)) => {}
            (ours, by_mtcs) => {
                let excuse = excuse_for_document(&document, NOW, ours.is_ok());
                let verdicts = format!("{document:?}: {ours:?} / {by_mtcs:?}");
                excused.insert(excuse.unwrap_or_else(|| panic!("{verdicts}")));
            }
        }
    }
    assert!(read_by_both > 100, "{read_by_both}");
    assert_eq!(excused.len(), 5, "{excused:?}");
}
