//! Properties: every algorithm of the tree against a naive one and against damage, every format there and back again,
//! and no input that makes a parser panic.
//!
//! A proof alone does not say which tree it belongs to: the proof of entry 0 in `[0, 3)` also evaluates in `[0, 4)`, to the
//! same hash. What it must never do is yield the *true* hash of another interval, or satisfy the *true* root of another
//! size; with those it is compared wherever it is used, and so it is here.

use std::convert::Infallible;
use std::time::Duration;

use mtc_core::ca::CaCertificate;
use mtc_core::certificate::{
    Certificate, CertificateFields, MtcProof, ParsedProof, is_mtc, with_proof,
};
use mtc_core::checkpoint::{Checkpoint, SignedCheckpoint};
use mtc_core::cosign::{
    Cosignature, CosignedMessage, Cosigner, PublicKey, SecretKey, SignatureAlgorithm,
};
use mtc_core::der;
use mtc_core::entry::{EntryBody, MtcLogEntry};
use mtc_core::id::{
    Anchor, EntryIndex, LandmarkNumber, LogId, LogNumber, TreeSize, TrustAnchorId, serial,
    split_serial,
};
use mtc_core::landmark::{LandmarkError, LandmarkSequence};
use mtc_core::note::{NoteSignature, SignedNote};
use mtc_core::properties::{AnchorPattern, CertificateProperties};
use mtc_core::revocation_list::RevocationList;
use mtc_core::tile::{MAX_LEVEL, TileKind, TilePath};
use mtc_core::time::UnixTime;
use mtc_core::tree::{
    Hash, HashReader, MemoryTree, Subtree, consistency_proof, covering_subtrees, empty_hash,
    evaluate_inclusion, inclusion_proof, inclusion_proof_length, leaf_hash, node_hash,
    subtree_hash, verify_consistency,
};
use mtc_core::verify::{RevokedRange, RevokedRanges};
use mtc_core::wire;
use proptest::array::uniform32;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{
    Just, Strategy, any, prop_assert, prop_assert_eq, prop_assert_ne, prop_assume, prop_oneof,
    proptest,
};
use proptest::sample::{Index, select};
use proptest::test_runner::TestCaseError;
use sha2::{Digest, Sha256};

use test_support::parts::Parts;
use test_support::sparse_tree::SparseTree;

/// Leaves of the trees that are held in memory.
const LEAVES: u64 = 300;

fn read<T>(result: Result<T, Infallible>) -> T {
    let Ok(value) = result;
    value
}

/// A tree whose leaves all differ; its prefixes serve as the smaller trees.
fn tree() -> MemoryTree {
    (0..LEAVES)
        .map(|index| leaf_hash(&index.to_be_bytes()))
        .collect()
}

/// RFC 9162 section 2.1.1, word for word.
fn naive_hash(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_hash(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(largest_power_below(leaves.len() as u64) as usize);
            node_hash(&naive_hash(left), &naive_hash(right))
        }
    }
}

/// The largest power of two smaller than `n`.
fn largest_power_below(n: u64) -> u64 {
    (0..u64::BITS)
        .map(|bit| 1 << bit)
        .take_while(|power| *power < n)
        .last()
        .expect("n is 2 or more")
}

/// The hash of a tree of `size` leaves in which leaf `index` is `leaf`, from the top of the proof down.
fn naive_inclusion(index: u64, size: u64, leaf: Hash, proof: &[Hash]) -> Option<Hash> {
    if size == 1 {
        return proof.is_empty().then_some(leaf);
    }
    let (top, below) = proof.split_last()?;
    let k = largest_power_below(size);
    if index < k {
        Some(node_hash(&naive_inclusion(index, k, leaf, below)?, top))
    } else {
        Some(node_hash(
            top,
            &naive_inclusion(index - k, size - k, leaf, below)?,
        ))
    }
}

/// The hashes of `[start, end)` and of the tree of `size` that a proof stands for, SUBTREE_PROOF read backwards (Section
/// 4.4.1). Where the proof leaves the subtree's hash to the verifier it is `node`.
fn naive_consistency(
    (start, end): (u64, u64),
    size: u64,
    known: bool,
    node: Hash,
    proof: &[Hash],
) -> Option<(Hash, Hash)> {
    if (start, end) == (0, size) {
        return match (known, proof) {
            (true, []) => Some((node, node)),
            (false, [hash]) => Some((*hash, *hash)),
            _ => None,
        };
    }
    let (top, below) = proof.split_last()?;
    let k = largest_power_below(size);
    if end <= k {
        let (part, root) = naive_consistency((start, end), k, known, node, below)?;
        Some((part, node_hash(&root, top)))
    } else if k <= start {
        let (part, root) = naive_consistency((start - k, end - k), size - k, known, node, below)?;
        Some((part, node_hash(top, &root)))
    } else {
        let (part, root) = naive_consistency((0, end - k), size - k, false, node, below)?;
        Some((node_hash(top, &part), node_hash(top, &root)))
    }
}

/// Numbers of every magnitude, those beside powers of two above all.
fn any_magnitude() -> impl Strategy<Value = u64> {
    let beside_power = (0..u64::BITS, -3..=3_i64)
        .prop_map(|(bit, offset)| (1_u64 << bit).wrapping_add_signed(offset));
    let of_some_length = (any::<u64>(), 0..u64::BITS).prop_map(|(value, shift)| value >> shift);
    prop_oneof![beside_power, of_some_length, Just(u64::MAX)]
}

/// A subtree that is not empty, and a tree at least that large.
fn subtree_in(sizes: impl Strategy<Value = u64>) -> impl Strategy<Value = (Subtree, u64)> {
    (sizes, any::<u64>(), any::<u64>(), 0..u64::BITS).prop_map(|(size, place, length, level)| {
        let size = size.max(1);
        // Not longer than 2^level and starting at a multiple of it is valid.
        let start = (place % size) >> level << level;
        let length = length % (size - start).min(1 << level) + 1;
        let subtree = Subtree::new(start, start + length).expect("aligned");
        (subtree, size)
    })
}

/// A tree's size, a subtree of it, and an entry of that subtree.
fn entry_in(sizes: impl Strategy<Value = u64>) -> impl Strategy<Value = (u64, Subtree, u64)> {
    (subtree_in(sizes), any::<u64>()).prop_map(|((subtree, size), place)| {
        (subtree.start() + place % subtree.len(), subtree, size)
    })
}

/// Every way of changing one thing in a list of hashes.
fn changed(proof: &[Hash], place: Index, bit: u8) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    let hash = [bit; 32];
    let mut longer = proof.to_vec();
    longer.insert(place.index(proof.len() + 1), hash);
    all.push(longer);
    if !proof.is_empty() {
        let position = place.index(proof.len());
        let mut shorter = proof.to_vec();
        shorter.remove(position);
        all.push(shorter);
        let mut damaged = proof.to_vec();
        damaged[position] = flipped(damaged[position], bit);
        all.push(damaged);
        let mut swapped = proof.to_vec();
        swapped.swap(position, 0);
        if swapped != proof {
            all.push(swapped);
        }
    }
    all
}

fn flipped(mut hash: Hash, bit: u8) -> Hash {
    hash[usize::from(bit / 8)] ^= 1 << (bit % 8);
    hash
}

/// Block boundaries are where a hash that is fed in pieces goes wrong: every length of every piece, three blocks long.
#[test]
fn hashes_are_sha_256_for_every_length_of_what_is_hashed() {
    let bytes: Vec<u8> = (0..200).map(|byte| byte as u8 ^ 0x5a).collect();
    let issuer: TrustAnchorId = "32473.1".parse().expect("an ID");
    let certificate = |subject: &[u8], key: &[u8], extensions: &[u8], entry_extension: &[u8]| {
        let key = der::element(
            der::SEQUENCE,
            &[&der::element(der::SEQUENCE, &[]), &der::bit_string(key)],
        );
        let fields = CertificateFields {
            issuer: &issuer,
            not_before: UnixTime(0),
            not_after: UnixTime(1),
            subject: &der::element(der::SEQUENCE, &[subject]),
            spki: &key,
            extensions: &der::element(der::SEQUENCE, &[extensions]),
        };
        let proof = MtcProof {
            extensions: vec![(1, entry_extension.to_vec())],
            subtree: Subtree::whole(TreeSize(1)),
            inclusion_proof: Vec::new(),
            signatures: Vec::new(),
        };
        fields
            .certificate(LogNumber::FIRST, EntryIndex(0), &proof)
            .expect("short")
    };
    for length in 0..=bytes.len() {
        let piece = &bytes[..length];
        let expected: Hash = Sha256::digest([&[0][..], piece].concat()).into();
        assert_eq!(leaf_hash(piece), expected, "leaf of {length} bytes");
        for certificate in [
            certificate(piece, &[], &[], &[]),
            certificate(&[], piece, &[], &[]),
            certificate(&[], &[], piece, &[]),
            certificate(&[], &[], &[], piece),
            certificate(&bytes[length..], piece, piece, &bytes[length..]),
        ] {
            let parsed = Certificate::parse(&certificate).expect("our own");
            assert_eq!(
                parsed.leaf_hash(),
                Parts::of(&certificate).leaf_hash(),
                "{length} bytes"
            );
        }
    }
    let (left, right) = ([0xab; 32], [0xcd; 32]);
    let expected: Hash = Sha256::digest([&[1][..], &left, &right].concat()).into();
    assert_eq!(node_hash(&left, &right), expected);
    let nothing: Hash = Sha256::digest([]).into();
    assert_eq!(empty_hash(), nothing);
}

#[test]
fn subtree_hashes_are_those_of_the_definition() {
    let tree = tree();
    let leaves: Vec<Hash> = (0..LEAVES).map(|index| read(tree.node(0, index))).collect();
    proptest!(|((subtree, _) in subtree_in(1..=LEAVES))| {
        let interval = subtree.start() as usize..subtree.end() as usize;
        prop_assert_eq!(read(subtree_hash(&tree, subtree)), naive_hash(&leaves[interval]));
    });
}

#[test]
fn a_generated_inclusion_proof_evaluates_and_nothing_near_it_does() {
    let tree = tree();
    let hash_of = |subtree| read(subtree_hash(&tree, subtree));
    proptest!(|(
        (index, subtree, _) in entry_in(1..=LEAVES),
        (other_subtree, _) in subtree_in(1..=LEAVES),
        other_index in 0..LEAVES,
        place in any::<Index>(),
        bit in any::<u8>(),
    )| {
        let (leaf, hash) = (read(tree.node(0, index)), hash_of(subtree));
        let proof = read(inclusion_proof(&tree, EntryIndex(index), subtree));
        prop_assert_eq!(proof.len(), inclusion_proof_length(EntryIndex(index), subtree));
        prop_assert_eq!(evaluate_inclusion(EntryIndex(index), subtree, leaf, &proof), Ok(hash));

        if other_index != index {
            prop_assert_ne!(evaluate_inclusion(EntryIndex(other_index), subtree, leaf, &proof), Ok(hash));
        }
        if other_subtree != subtree {
            let evaluated = evaluate_inclusion(EntryIndex(index), other_subtree, leaf, &proof);
            prop_assert_ne!(evaluated, Ok(hash_of(other_subtree)));
        }
        prop_assert_ne!(evaluate_inclusion(EntryIndex(index), subtree, flipped(leaf, bit), &proof), Ok(hash));
        for proof in changed(&proof, place, bit) {
            prop_assert_ne!(evaluate_inclusion(EntryIndex(index), subtree, leaf, &proof), Ok(hash));
        }
    });
}

#[test]
fn a_generated_consistency_proof_verifies_and_nothing_near_it_does() {
    let tree = tree();
    let hash_of = |subtree| read(subtree_hash(&tree, subtree));
    proptest!(|(
        (subtree, size) in subtree_in(1..=LEAVES),
        (other_subtree, _) in subtree_in(1..=LEAVES),
        other_size in 1..=LEAVES,
        place in any::<Index>(),
        bit in any::<u8>(),
    )| {
        let (node, root) = (hash_of(subtree), hash_of(Subtree::whole(TreeSize(size))));
        let proof = read(consistency_proof(&tree, subtree, TreeSize(size)));
        prop_assert_eq!(verify_consistency(subtree, TreeSize(size), &node, &root, &proof), Ok(()));

        if other_subtree != subtree {
            prop_assert!(verify_consistency(other_subtree, TreeSize(size), &node, &root, &proof).is_err());
            let other_node = hash_of(other_subtree);
            prop_assert!(verify_consistency(subtree, TreeSize(size), &other_node, &root, &proof).is_err());
        }
        if other_size != size {
            let other_root = hash_of(Subtree::whole(TreeSize(other_size)));
            prop_assert!(verify_consistency(subtree, TreeSize(other_size), &node, &other_root, &proof).is_err());
            prop_assert!(verify_consistency(subtree, TreeSize(size), &node, &other_root, &proof).is_err());
        }
        let (other_node, other_root) = (flipped(node, bit), flipped(root, bit));
        prop_assert!(verify_consistency(subtree, TreeSize(size), &other_node, &root, &proof).is_err());
        prop_assert!(verify_consistency(subtree, TreeSize(size), &node, &other_root, &proof).is_err());
        for proof in changed(&proof, place, bit) {
            prop_assert!(verify_consistency(subtree, TreeSize(size), &node, &root, &proof).is_err());
        }
    });
}

#[test]
fn ca_certificates_round_trip() {
    let keys = SignatureAlgorithm::ALL.map(|algorithm| {
        let secret = SecretKey::generate(algorithm).expect("randomness");
        secret.public_key().expect("a key")
    });
    proptest!(|(
        id in trust_anchor_id(),
        key in select(keys.to_vec()),
        (one, other) in (any_magnitude(), any_magnitude()),
        prefix_url in option::of(vec(0x20..0x7f_u8, 0..300)),
        (not_before, not_after) in (any_time(), any_time()),
    )| {
        let certificate = CaCertificate {
            cosigner: Cosigner { id, key },
            min_serial: one.min(other),
            max_serial: one.max(other),
            prefix_url: prefix_url.map(|url| String::from_utf8(url).expect("ASCII")),
        };
        let der = certificate.to_der(not_before, not_after);
        prop_assert_eq!(CaCertificate::parse(&der), Ok(certificate));
    });
}

#[test]
fn an_empty_subtree_is_consistent_with_every_tree_and_by_an_empty_proof_alone() {
    proptest!(|(size in any_magnitude(), place in any_magnitude(), root in uniform32(any::<u8>()))| {
        let subtree = Subtree::new(place, place).expect("empty");
        let verdict = |node: &Hash, proof: &[Hash]| verify_consistency(subtree, TreeSize(size), node, &root, proof);
        prop_assert_eq!(verdict(&empty_hash(), &[]).is_ok(), place <= size);
        prop_assert!(verdict(&root, &[]).is_err());
        prop_assert!(verdict(&empty_hash(), &[root]).is_err());
    });
}

proptest! {
    #[test]
    fn evaluation_is_the_naive_one_for_every_index_and_proof(
        (index, subtree, _) in entry_in(any_magnitude()),
        leaf in uniform32(any::<u8>()),
        seed in any::<u64>(),
        surplus in -2..=2_isize,
    ) {
        let fitting = inclusion_proof_length(EntryIndex(index), subtree);
        let proof = random_hashes(seed, fitting.saturating_add_signed(surplus));
        let evaluated = evaluate_inclusion(EntryIndex(index), subtree, leaf, &proof).ok();
        let naive = naive_inclusion(index - subtree.start(), subtree.len(), leaf, &proof);
        prop_assert_eq!(evaluated, naive);
        prop_assert_eq!(evaluated.is_some(), proof.len() == fitting);
    }

    #[test]
    fn an_index_outside_the_subtree_never_evaluates(
        (subtree, _) in subtree_in(any_magnitude()),
        index in any_magnitude(),
        leaf in uniform32(any::<u8>()),
    ) {
        prop_assume!(!subtree.contains(EntryIndex(index)));
        prop_assert!(evaluate_inclusion(EntryIndex(index), subtree, leaf, &[]).is_err());
        prop_assert_eq!(inclusion_proof_length(EntryIndex(index), subtree), 0);
    }

    #[test]
    fn verification_is_the_naive_one_for_every_size_and_proof(
        (subtree, size) in subtree_in(any_magnitude()),
        node in uniform32(any::<u8>()),
        seed in any::<u64>(),
    ) {
        let interval = (subtree.start(), subtree.end());
        let mut fitting = 0;
        for length in 0..=130 {
            let proof = random_hashes(seed, length);
            let Some((node, root)) = naive_consistency(interval, size, true, node, &proof) else {
                let verdict = verify_consistency(subtree, TreeSize(size), &node, &node, &proof);
                prop_assert!(verdict.is_err());
                continue;
            };
            fitting += 1;
            prop_assert_eq!(verify_consistency(subtree, TreeSize(size), &node, &root, &proof), Ok(()));
            prop_assert!(verify_consistency(subtree, TreeSize(size), &root, &node, &proof).is_err() || node == root);
        }
        prop_assert_eq!(fitting, 1);
    }

    #[test]
    fn proofs_are_made_and_verify_in_trees_too_large_to_hold(
        (index, subtree, size) in entry_in(any_magnitude()),
        marked in any_magnitude(),
    ) {
        for marked in [index, marked] {
            let tree = SparseTree::new(size, [(marked, leaf_hash(b"marked"))]);
            let hash = read(subtree_hash(&tree, subtree));
            let root = read(subtree_hash(&tree, Subtree::whole(TreeSize(size))));
            let leaf = read(tree.node(0, index));
            let proof = read(inclusion_proof(&tree, EntryIndex(index), subtree));
            prop_assert_eq!(proof.len(), inclusion_proof_length(EntryIndex(index), subtree));
            prop_assert_eq!(evaluate_inclusion(EntryIndex(index), subtree, leaf, &proof), Ok(hash));
            let proof = read(consistency_proof(&tree, subtree, TreeSize(size)));
            prop_assert_eq!(verify_consistency(subtree, TreeSize(size), &hash, &root, &proof), Ok(()));
        }
    }

    #[test]
    fn a_subtree_is_valid_when_its_start_is_a_multiple_of_its_rounded_length(
        start in any_magnitude(),
        length in any_magnitude(),
    ) {
        let end = start.saturating_add(length);
        let rounded = u128::from(end - start).next_power_of_two();
        let valid = u128::from(start) % rounded == 0;
        prop_assert_eq!(Subtree::new(start, end).is_ok(), valid);
        prop_assert_eq!(Subtree::new(end, start).is_ok(), end == start);
    }

    #[test]
    fn covering_subtrees_cover_with_little_before_and_nothing_after(
        one in any_magnitude(),
        other in any_magnitude(),
    ) {
        check_cover(one.min(other), one.max(other))?;
        check_cover(one, one.saturating_add(other % 1000))?;
        let [left, right] = covering_subtrees(one.max(other), one.min(other));
        prop_assert!(left.is_empty() && right.is_empty());
    }

    #[test]
    fn serial_numbers_split_into_what_made_them(number in 1..=u64::from(u16::MAX), index in 0..1_u64 << 48) {
        let log = LogNumber::new(number).expect("in range");
        let serial = serial(log, EntryIndex(index)).expect("in range");
        prop_assert_eq!(split_serial(serial), Ok((log, EntryIndex(index))));
        prop_assert!(serial > 0);
    }
}

/// Section 4.5: both valid and adjacent, nothing after `end`, before `start` fewer entries than the interval has.
fn check_cover(start: u64, end: u64) -> Result<(), TestCaseError> {
    let [left, right] = covering_subtrees(start, end);
    for subtree in [left, right] {
        prop_assert_eq!(Subtree::new(subtree.start(), subtree.end()), Ok(subtree));
    }
    prop_assert_eq!((left.end(), right.end()), (right.start(), end));
    prop_assert!(left.start() <= start && start <= left.end());
    let length = end - start;
    let surplus = start - left.start();
    prop_assert!(surplus == 0 || surplus < length);
    prop_assert_eq!(right.is_empty(), length <= 1);
    if length > 1 {
        // The left one is a complete tree, and half of it would not do.
        prop_assert!(left.len().is_power_of_two());
        prop_assert!(surplus == 0 || surplus < left.len() / 2);
    }
    Ok(())
}

fn random_hashes(seed: u64, length: usize) -> Vec<Hash> {
    (0..length)
        .map(|position| leaf_hash(&[seed, position as u64].map(u64::to_be_bytes).concat()))
        .collect()
}

fn bytes(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=longest)
}

fn trust_anchor_id() -> impl Strategy<Value = TrustAnchorId> {
    vec(any_magnitude(), 0..3).prop_map(|components| {
        let root: TrustAnchorId = "32473".parse().expect("an ID");
        root.child(&components).expect("at most 23 bytes")
    })
}

fn entry_extensions() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
    btree_map(any::<u16>(), bytes(40), 0..4).prop_map(|map| map.into_iter().collect())
}

fn mtc_proof() -> impl Strategy<Value = MtcProof> {
    (
        entry_extensions(),
        subtree_in(1..1_u64 << 48),
        vec(uniform32(any::<u8>()), 0..50),
        btree_map(trust_anchor_id(), bytes(80), 0..4),
    )
        .prop_map(
            |(extensions, (subtree, _), inclusion_proof, signatures)| MtcProof {
                extensions,
                subtree,
                inclusion_proof,
                signatures: signatures
                    .into_iter()
                    .map(|(cosigner_id, signature)| Cosignature {
                        cosigner_id,
                        signature,
                    })
                    .collect(),
            },
        )
}

/// A certificate for some entry, with fields that are DER and say nothing.
fn certificate() -> impl Strategy<Value = (Vec<u8>, MtcProof)> {
    let key = der::element(
        der::SEQUENCE,
        &[&der::element(der::SEQUENCE, &[]), &[3, 1, 0]],
    );
    (
        trust_anchor_id(),
        1..=u64::from(u16::MAX),
        0..1_u64 << 48,
        mtc_proof(),
    )
        .prop_map(move |(issuer, number, index, proof)| {
            let fields = CertificateFields {
                issuer: &issuer,
                not_before: UnixTime(0),
                not_after: UnixTime(1),
                subject: &der::element(der::SEQUENCE, &[]),
                spki: &key,
                extensions: &der::element(der::SEQUENCE, &[]),
            };
            let log = LogNumber::new(number).expect("in range");
            let certificate = fields.certificate(log, EntryIndex(index), &proof);
            (certificate.expect("in range"), proof)
        })
}

/// Seconds up to the end of the year 9999.
fn any_time() -> impl Strategy<Value = UnixTime> {
    let of_any_year = 0..=253_402_300_799_u64;
    let beside_2050 = 2_524_607_990..2_524_608_010_u64;
    prop_oneof![3 => of_any_year, 1 => beside_2050].prop_map(UnixTime)
}

/// The proof of a certificate, read and made again.
fn proof_of(certificate: &Certificate<'_>) -> MtcProof {
    let signatures = certificate.proof.signatures();
    MtcProof {
        extensions: certificate
            .log_entry()
            .expect("checked when parsed")
            .extensions,
        subtree: certificate.proof.subtree,
        inclusion_proof: certificate.proof.inclusion_proof.to_vec(),
        signatures: signatures
            .map(|(cosigner_id, signature)| Cosignature {
                cosigner_id,
                signature: signature.to_vec(),
            })
            .collect(),
    }
}

fn tile_path() -> impl Strategy<Value = TilePath> {
    let kind = prop_oneof![
        (0..=MAX_LEVEL).prop_map(TileKind::Hashes),
        Just(TileKind::Entries)
    ];
    (kind, any_magnitude(), 1..=256_u16).prop_map(|(kind, index, width)| TilePath {
        kind,
        index,
        width,
    })
}

/// Text of the characters that matter to signed notes.
fn note_characters(longest: usize) -> impl Strategy<Value = String> {
    let characters = ['a', 'Z', '0', '/', '.', '\u{2014}', '\u{e9}', '-', '='];
    vec(select(characters.to_vec()), 1..=longest).prop_map(String::from_iter)
}

fn signed_note() -> impl Strategy<Value = SignedNote> {
    let signature = (
        note_characters(20),
        any::<[u8; 4]>(),
        vec(any::<u8>(), 1..80),
    )
        .prop_map(|(name, key_id, signature)| NoteSignature {
            name,
            key_id,
            signature,
        });
    let line = prop_oneof![3 => note_characters(20), 1 => Just(String::new())];
    (vec(line, 1..5), vec(signature, 1..4)).prop_map(|(lines, signatures)| SignedNote {
        text: lines.join("\n") + "\n",
        signatures,
    })
}

/// A sequence after some growth, and the time of the last landmark.
fn landmark_sequence() -> impl Strategy<Value = (LandmarkSequence, UnixTime)> {
    let steps = vec((1..1000_u64, 0..3000_u64), 0..40);
    (steps, 0..20_000_u64).prop_map(|(steps, lifetime)| {
        let mut sequence = LandmarkSequence::new();
        let mut now = UnixTime(1_000_000);
        for (growth, pause) in steps {
            now = now.plus(Duration::from_secs(pause));
            let size = TreeSize(sequence.latest().tree_size.0 + growth);
            sequence
                .allocate(size, now, Duration::ZERO, Duration::from_secs(lifetime))
                .expect("grown, and no spacing asked for");
        }
        (sequence, now)
    })
}

proptest! {
    #[test]
    fn log_entries_round_trip(extensions in entry_extensions(), contents in bytes(200), null in any::<bool>()) {
        let body = if null { EntryBody::Null } else { EntryBody::TbsCert(contents) };
        let entry = MtcLogEntry { extensions, body };
        let encoded = entry.encode().expect("short");
        prop_assert_eq!(MtcLogEntry::decode(&encoded), Ok(entry));
    }

    #[test]
    fn certificates_and_their_proofs_round_trip((certificate, proof) in certificate()) {
        let encoded = proof.encode().expect("short");
        let parsed = Certificate::parse(&certificate).expect("our own");
        prop_assert_eq!(proof_of(&parsed), proof);
        prop_assert_eq!(ParsedProof::parse(&encoded), Ok(parsed.proof));
        prop_assert_eq!(parsed.leaf_hash(), leaf_hash(&parsed.log_entry().unwrap().encode().unwrap()));
    }

    #[test]
    fn a_certificate_taken_to_pieces_has_the_same_entry_hash((certificate, _) in certificate()) {
        let parts = Parts::of(&certificate);
        let parsed = Certificate::parse(&certificate).expect("our own");
        prop_assert_eq!(parts.leaf_hash(), parsed.leaf_hash());
        prop_assert_eq!(parts.encode(), certificate);
    }

    #[test]
    fn cosigned_messages_say_every_field_once(
        (cosigner, ca) in (trust_anchor_id(), trust_anchor_id()),
        number in 1..=u64::from(u16::MAX),
        timestamp in any_magnitude(),
        (subtree, _) in subtree_in(any_magnitude()),
        hash in uniform32(any::<u8>()),
    ) {
        let number = LogNumber::new(number).expect("in range");
        let Ok(log) = LogId::new(ca, number) else { return Ok(()) };
        let timestamp = UnixTime(timestamp);
        let message = CosignedMessage { cosigner: &cosigner, log: &log, timestamp, subtree, hash: &hash };
        let encoded = message.encode();
        // Whatever can be read back of it belongs to no other message.
        let (name, origin) = (cosigner.signed_text_name(), log.origin());
        let mut reader = wire::Reader::new(&encoded);
        prop_assert_eq!(reader.bytes(12), Ok(&b"subtree/v1\n\0"[..]));
        prop_assert_eq!(reader.vector(1), Ok(name.as_bytes()));
        prop_assert_eq!(reader.uint(8), Ok(timestamp.0));
        prop_assert_eq!(reader.vector(1), Ok(origin.as_bytes()));
        prop_assert_eq!(reader.uint(8), Ok(subtree.start()));
        prop_assert_eq!(reader.uint(8), Ok(subtree.end()));
        prop_assert_eq!(reader.bytes(32), Ok(&hash[..]));
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn times_round_trip_and_keep_their_order(one in any_time(), other in any_time()) {
        let read = |time: UnixTime| {
            let der = time.to_der();
            let mut reader = der::Reader::new(&der);
            UnixTime::from_der(&mut reader).and_then(|time| reader.finish().map(|()| time))
        };
        prop_assert_eq!(read(one), Ok(one));
        prop_assert_eq!(one.to_string().cmp(&other.to_string()), one.cmp(&other));
    }

    #[test]
    fn trust_anchor_ids_round_trip_in_every_form(id in trust_anchor_id(), number in 1..=u64::from(u16::MAX), landmark in 0..1_u64 << 48) {
        prop_assert_eq!(TrustAnchorId::from_bytes(id.as_bytes()), Ok(id));
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(TrustAnchorId::from_name(&id.to_name()), Ok(id));
        prop_assert_eq!(TrustAnchorId::from_signed_text_name(&id.signed_text_name()), Ok(id));
        let components: Vec<u64> = id.components().collect();
        prop_assert_eq!(components[0], 32473);
        if let Ok(log) = LogId::new(id, LogNumber::new(number).unwrap())
            && let Ok(group) = log.landmark_group(LandmarkNumber(landmark))
        {
            let expected = Anchor::LandmarkGroup { log_number: log.number(), landmark: LandmarkNumber(landmark) };
            prop_assert_eq!(group.as_anchor_of(&id), Some(expected));
        }
    }

    #[test]
    fn certificate_properties_have_one_encoding(encoded in certificate_properties()) {
        let read = CertificateProperties::parse(&encoded).unwrap();
        prop_assert_eq!(read.encode(), Ok(encoded));
    }

    #[test]
    fn a_pattern_matches_the_ids_between_its_bounds_and_no_others(
        bounds in vec((any_magnitude(), any_magnitude(), any_magnitude(), any::<bool>()), 1..3)
    ) {
        let mut pattern = Vec::new();
        let mut id = Vec::new();
        let mut is_meant = true;
        for (one, other, number, is_bounded) in bounds {
            let (minimum, maximum) = (one.min(other), one.max(other));
            pattern.extend(component(minimum));
            pattern.extend(if is_bounded { component(maximum) } else { vec![0x80] });
            id.extend(component(number));
            is_meant &= minimum <= number && (!is_bounded || number <= maximum);
        }
        let pattern = AnchorPattern::from_bytes(&pattern).unwrap();
        let id = TrustAnchorId::from_bytes(&id).unwrap();
        prop_assert_eq!(pattern.matches(&id), is_meant, "{} {}", pattern, id);
        let longer = id.child(&[0]).unwrap();
        prop_assert!(!pattern.matches(&longer));
    }

    #[test]
    fn tile_paths_round_trip(path in tile_path()) {
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }

    #[test]
    fn the_tile_that_holds_a_position_does(position in any_magnitude(), size in any_magnitude()) {
        let tile = TilePath::holding(TileKind::Entries, position, TreeSize(size));
        prop_assert_eq!(tile.is_some(), position < size);
        if let Some(tile) = tile {
            let first = tile.index * 256;
            prop_assert!(first <= position && position - first < u64::from(tile.width));
            prop_assert!(size - first >= u64::from(tile.width));
            prop_assert_eq!(tile.is_partial(), size - first < 256);
        }
    }

    #[test]
    fn revoked_ranges_hold_what_any_of_them_holds_in_one_form_whatever_their_order(
        ranges in vec((0..60_u64, 0..60_u64), 0..20),
        order in vec(any::<Index>(), 20),
    ) {
        let range = |&(first, last): &(u64, u64)| RevokedRange { first, last };
        let merged: RevokedRanges = ranges.iter().map(range).collect();
        for serial in 0..64 {
            let held = ranges.iter().any(|(first, last)| (first..=last).contains(&&serial));
            prop_assert_eq!(merged.contains(serial), held, "{}", serial);
        }
        let mut shuffled = ranges.clone();
        for (at, other) in order.iter().enumerate().take(ranges.len()) {
            shuffled.swap(at, other.index(ranges.len()));
        }
        let one_by_one = shuffled.iter().map(range).fold(RevokedRanges::default(), |all, next| all.with(next));
        prop_assert_eq!(&one_by_one, &merged);
        let list = RevocationList {
            ca: "32473.1".parse().expect("an ID"),
            number: 1,
            issued: UnixTime(1),
            next: UnixTime(2),
            ranges: merged,
        };
        prop_assert_eq!(RevocationList::parse(&list.to_text(), list.ca), Ok(list));
    }

    #[test]
    fn signed_notes_round_trip(note in signed_note()) {
        prop_assert_eq!(SignedNote::parse(note.encode().as_bytes()), Ok(note));
    }

    #[test]
    fn checkpoints_round_trip(origin in note_characters(40), size in any_magnitude(), root in uniform32(any::<u8>())) {
        let checkpoint = Checkpoint { origin, size: TreeSize(size), root };
        prop_assert_eq!(Checkpoint::parse(&checkpoint.to_text()), Ok(checkpoint));
    }

    #[test]
    fn landmark_documents_round_trip((sequence, now) in landmark_sequence()) {
        prop_assert_eq!(LandmarkSequence::parse(&sequence.to_document(), now), Ok(sequence));
    }

    #[test]
    fn the_landmark_of_an_entry_is_the_lowest_above_it_and_active(
        steps in vec((1..1000_u64, 0..3000_u64), 1..40),
        place in any::<Index>(),
    ) {
        let lifetime = Duration::from_secs(10_000);
        let (mut sequence, mut now) = (LandmarkSequence::new(), UnixTime(1_000_000));
        let mut all = Vec::new();
        for (growth, pause) in steps {
            now = now.plus(Duration::from_secs(pause));
            let size = TreeSize(sequence.latest().tree_size.0 + growth);
            all.push(sequence.allocate(size, now, Duration::ZERO, lifetime).unwrap());
        }
        let index = place.index(sequence.latest().tree_size.0 as usize) as u64;
        let lowest = all.into_iter().find(|landmark| landmark.tree_size.holds(EntryIndex(index)));
        let found = sequence.for_entry(EntryIndex(index), now);
        prop_assert_eq!(
            found.map(|pair| pair.landmark),
            lowest.filter(|landmark| landmark.expiry > now)
        );
        prop_assert!(found.is_none_or(|pair| pair.holding(EntryIndex(index)).is_some()));
    }
}

proptest! {
    /// Whatever the clock and the lifetime do from one landmark to the next.
    #[test]
    fn landmarks_expire_after_what_they_cover_and_never_before_the_last(
        steps in vec((0..3_u64, 0..5000_u64, 0..20_000_u64), 1..40),
        spacing in 0..2000_u64,
    ) {
        let mut sequence = LandmarkSequence::new();
        for (growth, now, lifetime) in steps {
            let (now, lifetime) = (UnixTime(now), Duration::from_secs(lifetime));
            let before = sequence.clone();
            let size = TreeSize(before.latest().tree_size.0 + growth);
            match sequence.allocate(size, now, Duration::from_secs(spacing), lifetime) {
                Ok(landmark) => {
                    prop_assert!(growth > 0);
                    prop_assert_eq!(landmark, sequence.latest());
                    prop_assert_eq!(landmark.number, before.latest().number.next());
                    prop_assert_eq!(landmark.tree_size, size);
                    prop_assert!(landmark.expiry >= now.plus(lifetime));
                    prop_assert!(landmark.expiry >= before.latest().expiry);
                }
                Err(error) => {
                    prop_assert_eq!(growth == 0, matches!(error, LandmarkError::NotGrown(_)));
                    prop_assert_eq!(&sequence, &before);
                }
            }
            prop_assert!(sequence.active(now).all(|pair| pair.landmark.number > LandmarkNumber(0)));
            prop_assert!(sequence.active(now).all(|pair| pair.landmark.expiry > now));
        }
    }
}

/// Gives `input` to every parser. What one accepts must be the only spelling of what it read.
fn parse_with_everything(input: &[u8]) -> Result<(), TestCaseError> {
    let now = UnixTime(1_000_000);
    let log = LogId::new("32473.1".parse().expect("an ID"), LogNumber::FIRST).expect("short");
    if let Ok(entry) = MtcLogEntry::decode(input) {
        prop_assert_eq!(&entry.encode().expect("it was"), input);
    }
    if let Ok(certificate) = Certificate::parse(input) {
        prop_assert!(is_mtc(input));
        let again = with_proof(input, &proof_of(&certificate));
        prop_assert_eq!(&again.expect("it was"), input);
    }
    if let Ok(properties) = CertificateProperties::parse(input) {
        prop_assert_eq!(&properties.encode().expect("it was"), input);
    }
    if let Ok(id) = TrustAnchorId::from_bytes(input) {
        prop_assert_eq!(id.as_bytes(), input);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
    }
    if let Ok(id) = TrustAnchorId::from_name(input) {
        prop_assert_eq!(id.to_name(), input);
    }
    if let Ok(key) = PublicKey::from_spki(input) {
        prop_assert_eq!(key.to_spki(), input);
    }
    if let Ok(note) = SignedNote::parse(input) {
        prop_assert_eq!(note.encode().into_bytes(), input);
    }
    let _ = ParsedProof::parse(input);
    let _ = CaCertificate::parse(input);
    let _ = SignedCheckpoint::parse(input, &log);
    let _ = UnixTime::from_der(&mut der::Reader::new(input));
    let mut elements = der::Reader::new(input);
    while let Ok(element) = elements.element() {
        prop_assert_eq!(
            der::element(element.tag, &[element.contents]),
            element.whole
        );
    }
    let text = String::from_utf8_lossy(input);
    if let Ok(id) = text.parse::<TrustAnchorId>() {
        prop_assert_eq!(&id.to_string(), &text);
    }
    if let Ok(id) = TrustAnchorId::from_signed_text_name(&text) {
        prop_assert_eq!(&id.signed_text_name(), &text);
    }
    if let Ok(path) = text.parse::<TilePath>() {
        prop_assert_eq!(&path.to_string(), &text);
    }
    if let Ok(checkpoint) = Checkpoint::parse(&text) {
        prop_assert_eq!(&checkpoint.to_text(), &text);
    }
    if let Ok(sequence) = LandmarkSequence::parse(&text, now) {
        prop_assert_eq!(&sequence.to_document(), &text);
    }
    let _ = SignedNote::parse_signatures(&text);
    Ok(())
}

/// A component of an OID.
fn component(number: u64) -> Vec<u8> {
    let id: TrustAnchorId = number.to_string().parse().expect("a number is an ID");
    id.as_bytes().to_vec()
}

/// A pattern of trust anchor IDs.
fn anchor_pattern() -> impl Strategy<Value = Vec<u8>> {
    let pair = (any_magnitude(), option::of(any_magnitude())).prop_map(|(minimum, maximum)| {
        let maximum = maximum.map_or_else(|| vec![0x80], component);
        [component(minimum), maximum].concat()
    });
    vec(pair, 1..5).prop_map(|pairs| pairs.concat())
}

/// A list of certificate properties, some of them unknown.
fn certificate_properties() -> impl Strategy<Value = Vec<u8>> {
    let id =
        option::of(trust_anchor_id()).prop_map(|id| id.map(|id| (0_u16, id.as_bytes().to_vec())));
    let groups = vec(anchor_pattern(), 0..3).prop_map(|patterns| {
        let mut list = Vec::new();
        for pattern in &patterns {
            wire::put_vector(&mut list, pattern, 1, "a pattern").expect("short");
        }
        let mut data = Vec::new();
        wire::put_vector(&mut data, &list, 2, "patterns").expect("short");
        (!patterns.is_empty()).then_some((1_u16, data))
    });
    let negotiation = option::of(Just((2_u16, Vec::new())));
    let unknown = btree_map(3..=u16::MAX, bytes(9), 0..3);
    (id, groups, negotiation, unknown).prop_map(|(id, groups, negotiation, unknown)| {
        let known = [id, groups, negotiation].into_iter().flatten();
        let mut list = Vec::new();
        for (kind, data) in known.chain(unknown) {
            wire::put_uint(&mut list, kind.into(), 2);
            wire::put_vector(&mut list, &data, 2, "a property").expect("short");
        }
        let mut encoded = Vec::new();
        wire::put_vector(&mut encoded, &list, 2, "properties").expect("short");
        encoded
    })
}

/// Something well formed of every format.
fn well_formed() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        certificate().prop_map(|(certificate, _)| certificate),
        mtc_proof().prop_map(|proof| proof.encode().expect("short")),
        (entry_extensions(), bytes(60)).prop_map(|(extensions, contents)| {
            let body = EntryBody::TbsCert(contents);
            MtcLogEntry { extensions, body }.encode().expect("short")
        }),
        certificate_properties(),
        trust_anchor_id().prop_map(|id| id.as_bytes().to_vec()),
        trust_anchor_id().prop_map(|id| id.to_name()),
        trust_anchor_id().prop_map(|id| id.signed_text_name().into_bytes()),
        signed_note().prop_map(|note| note.encode().into_bytes()),
        tile_path().prop_map(|path| path.to_string().into_bytes()),
        landmark_sequence().prop_map(|(sequence, _)| sequence.to_document().into_bytes()),
        (note_characters(9), any_magnitude(), uniform32(any::<u8>())).prop_map(
            |(origin, size, root)| Checkpoint {
                origin,
                size: TreeSize(size),
                root
            }
            .to_text()
            .into_bytes()
        ),
    ]
}

proptest! {
    #[test]
    fn no_parser_panics_or_reads_two_spellings_in_random_bytes(input in bytes(200)) {
        parse_with_everything(&input)?;
    }

    #[test]
    fn no_parser_panics_or_reads_two_spellings_in_edited_input(
        input in well_formed(),
        edits in vec((any::<Index>(), 0..4_usize, bytes(3)), 0..3),
    ) {
        let mut edited = input;
        for (place, removed, inserted) in edits {
            let start = place.index(edited.len() + 1);
            let end = edited.len().min(start + removed);
            edited.splice(start..end, inserted);
        }
        parse_with_everything(&edited)?;
    }
}
