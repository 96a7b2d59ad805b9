//! The tree a second time, written for clarity: recursion from the definitions, 128-bit numbers, no bit tricks.

use mtc_core::tree::{Hash, empty_hash, node_hash};

/// BIT_CEIL of Section 4.1: the smallest power of two that is not below `n`.
pub(crate) fn bit_ceil(n: u64) -> u128 {
    let mut power = 1_u128;
    while power < u128::from(n) {
        power *= 2;
    }
    power
}

/// Whether `[start, end)` is a valid subtree (Section 4.1).
pub(crate) fn is_subtree(start: u64, end: u64) -> bool {
    start <= end && u128::from(start).is_multiple_of(bit_ceil(end - start))
}

/// Where a tree of `size` entries, at least 2, is split: RFC 9162's `k`.
fn split_of(size: u64) -> u64 {
    u64::try_from(bit_ceil(size) / 2).expect("at most 2^63")
}

/// The Merkle tree hash of leaves (RFC 9162 section 2.1.1).
pub(crate) fn tree_hash(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_hash(),
        [leaf] => *leaf,
        _ => {
            let split = split_of(leaves.len() as u64) as usize;
            node_hash(&tree_hash(&leaves[..split]), &tree_hash(&leaves[split..]))
        }
    }
}

/// The root of a tree of `size` entries whose entry `index` is `leaf`, if `proof` is an audit path of it: its last hash is
/// the sibling right below the root.
pub(crate) fn inclusion(index: u64, size: u64, leaf: Hash, proof: &[Hash]) -> Option<Hash> {
    if size == 1 {
        return proof.is_empty().then_some(leaf);
    }
    let (sibling, below) = proof.split_last()?;
    let split = split_of(size);
    Some(if index < split {
        node_hash(&inclusion(index, split, leaf, below)?, sibling)
    } else {
        node_hash(
            sibling,
            &inclusion(index - split, size - split, leaf, below)?,
        )
    })
}

/// What a consistency proof of `[start, end)` in a tree of `size` entries stands for: the hash of the subtree and the root of
/// the tree (Section 4.4). `given` is the subtree's hash as the verifier knows it, or nothing once the way down has left out
/// a part of the subtree: then the proof has to state the rest.
pub(crate) fn consistency(
    (start, end): (u64, u64),
    size: u64,
    given: Option<Hash>,
    proof: &[Hash],
) -> Option<(Hash, Hash)> {
    if start == 0 && end == size {
        let hash = match (given, proof) {
            (Some(hash), []) => hash,
            (None, [hash]) => *hash,
            _ => return None,
        };
        return Some((hash, hash));
    }
    let (sibling, below) = proof.split_last()?;
    let split = split_of(size);
    if end <= split {
        let (part, root) = consistency((start, end), split, given, below)?;
        Some((part, node_hash(&root, sibling)))
    } else if start >= split {
        let inside = (start - split, end - split);
        let (part, root) = consistency(inside, size - split, given, below)?;
        Some((part, node_hash(sibling, &root)))
    } else {
        let (part, root) = consistency((0, end - split), size - split, None, below)?;
        Some((node_hash(sibling, &part), node_hash(sibling, &root)))
    }
}

/// A component of an OID: its octets, and its bits without leading zeros.
type Component = (Vec<u8>, String);

/// The components of an OID's octets, which are well formed.
fn components(octets: &[u8]) -> Vec<Component> {
    let split = octets.split_inclusive(|octet| *octet < 0x80);
    split
        .map(|component| {
            let bits = component
                .iter()
                .map(|octet| format!("{:07b}", octet & 0x7f));
            let bits: String = bits.collect();
            (component.to_vec(), bits.trim_start_matches('0').to_owned())
        })
        .collect()
}

/// The octets of each minimum of a pattern of trust anchor IDs, which is well formed, and its maximum's; none for infinity.
pub(crate) fn pairs(pattern: &[u8]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let (mut rest, mut pairs) = (pattern, Vec::new());
    while !rest.is_empty() {
        let minimum = components(rest).swap_remove(0).0;
        rest = &rest[minimum.len()..];
        // No component begins so: it would not be minimal.
        let maximum = (rest[0] != 0x80).then(|| components(rest).swap_remove(0).0);
        rest = &rest[maximum.as_ref().map_or(1, Vec::len)..];
        pairs.push((minimum, maximum));
    }
    pairs
}

/// Whether a pattern matches an ID (draft-ietf-tls-trust-anchor-ids-06), both well formed.
pub(crate) fn pattern_matches(pattern: &[u8], id: &[u8]) -> bool {
    let (pairs, id) = (pairs(pattern), components(id));
    let number = |octets: &[u8]| {
        let bits = components(octets).swap_remove(0).1;
        (bits.len(), bits)
    };
    pairs.len() == id.len()
        && pairs
            .iter()
            .zip(&id)
            .all(|((minimum, maximum), (octets, _))| {
                let maximum = maximum.as_deref().map(number);
                number(minimum) <= number(octets)
                    && maximum.is_none_or(|most| number(octets) <= most)
            })
}
