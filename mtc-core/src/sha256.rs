//! SHA-256 (FIPS 180-4) of messages that stand in pieces or have one length, without a buffered digest's bookkeeping.
//!
//! ```text
//! digest      message in one slice:   whole blocks are compressed where they stand | last block, padded
//! Gather      message in pieces:      pieces are copied into a few blocks, compressed together
//! NodeHasher  0x01 || left || right:  two blocks whose padding is written once for a whole proof
//! ```
//!
//! The compression function is that of `sha2`; what is here puts blocks in front of it. Why: a verification hashes some
//! twenty short messages, and a fifth of the time went into bookkeeping (`docs/performance.md`).

use sha2::block_api::compress256;

/// Bytes of a digest.
pub(crate) const DIGEST_SIZE: usize = 32;
const BLOCK_SIZE: usize = 64;
/// Bytes at the end of the last block that hold the message's length in bits.
const LENGTH_SIZE: usize = 8;
const PADDING_START: u8 = 0x80;

type Block = [u8; BLOCK_SIZE];
type Digest = [u8; DIGEST_SIZE];

/// FIPS 180-4 section 5.3.3.
const INITIAL_STATE: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The digest of a message in one slice.
#[inline]
pub(crate) fn digest(message: &[u8]) -> Digest {
    let mut state = INITIAL_STATE;
    let (blocks, tail) = message.as_chunks::<BLOCK_SIZE>();
    compress256(&mut state, blocks);
    let mut last = [[0; BLOCK_SIZE]; 2];
    copy(&mut last.as_flattened_mut()[..tail.len()], tail);
    compress256(&mut state, pad(&mut last, tail.len(), message.len()));
    to_bytes(state)
}

/// Copies a short piece without the C library, whose copies of 16 to 32 bytes use VEX instructions. sha2's have no VEX, and a change
/// between the two takes a hundred cycles on some processors, where other code has left upper halves of registers in use
/// (aws-lc does, here): a quarter of a verification's time.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    const HALF: usize = 16;
    match (from.first_chunk::<HALF>(), from.last_chunk::<HALF>()) {
        // The two halves may overlap.
        (Some(first), Some(last)) if from.len() <= 2 * HALF && to.len() == from.len() => {
            to[..HALF].copy_from_slice(first);
            to[from.len() - HALF..].copy_from_slice(last);
        }
        _ => to.copy_from_slice(from),
    }
}

/// Pads a message whose last `filled` bytes stand in zeroed `blocks`, and returns the blocks that are in use.
///
/// There is always room: callers leave more than half a block.
fn pad(blocks: &mut [Block], filled: usize, message_length: usize) -> &[Block] {
    let used = (filled + 1 + LENGTH_SIZE).div_ceil(BLOCK_SIZE);
    let blocks = &mut blocks[..used];
    let bits = 8 * message_length as u64;
    let bytes = blocks.as_flattened_mut();
    bytes[filled] = PADDING_START;
    bytes[used * BLOCK_SIZE - LENGTH_SIZE..].copy_from_slice(&bits.to_be_bytes());
    blocks
}

/// Eight bytes at a time, which is twice as fast to read back as four.
#[inline]
fn to_bytes(state: [u32; 8]) -> Digest {
    let mut digest = [0; DIGEST_SIZE];
    let pairs = state.as_chunks::<2>().0;
    for (bytes, [high, low]) in digest.as_chunks_mut().0.iter_mut().zip(pairs) {
        *bytes = (u64::from(*high) << 32 | u64::from(*low)).to_be_bytes();
    }
    digest
}

/// Digests a message that is handed over in pieces.
pub(crate) struct Gather {
    state: [u32; 8],
    /// Zero from `filled` on.
    blocks: [Block; Self::BLOCKS],
    filled: usize,
    length: usize,
}

impl Gather {
    /// Most log entries of network functions have five to seven blocks: they are compressed in one call.
    const BLOCKS: usize = 8;
    const ROOM: usize = Self::BLOCKS * BLOCK_SIZE;

    pub(crate) const fn new() -> Self {
        Self {
            state: INITIAL_STATE,
            blocks: [[0; BLOCK_SIZE]; Self::BLOCKS],
            filled: 0,
            length: 0,
        }
    }

    #[inline]
    pub(crate) fn update(&mut self, mut piece: &[u8]) {
        self.length += piece.len();
        while let Some((now, later)) = piece.split_at_checked(Self::ROOM - self.filled) {
            self.blocks.as_flattened_mut()[self.filled..].copy_from_slice(now);
            compress256(&mut self.state, &self.blocks);
            self.blocks = [[0; BLOCK_SIZE]; Self::BLOCKS];
            self.filled = 0;
            piece = later;
        }
        let end = self.filled + piece.len();
        copy(&mut self.blocks.as_flattened_mut()[self.filled..end], piece);
        self.filled = end;
    }

    /// The digest of `digested` and then `piece`. It is made when all else stands in its place: copying takes no time while
    /// the compression function is at work, and waiting for it does.
    #[inline]
    pub(crate) fn update_with_digest(&mut self, digested: &[u8], piece: &[u8]) {
        let place = self.filled..self.filled + DIGEST_SIZE;
        if place.end + piece.len() < Self::ROOM {
            self.filled = place.end;
            self.length += DIGEST_SIZE;
            self.update(piece);
            self.blocks.as_flattened_mut()[place].copy_from_slice(&digest(digested));
        } else {
            self.update(&digest(digested));
            self.update(piece);
        }
    }

    #[inline]
    pub(crate) fn finish(mut self) -> Digest {
        if self.filled + 1 + LENGTH_SIZE > Self::ROOM {
            // The padding needs a block more than there is.
            let (whole, last) = self.blocks.split_at(Self::BLOCKS - 1);
            compress256(&mut self.state, whole);
            let mut blocks = [[0; BLOCK_SIZE]; 2];
            blocks[0] = last[0];
            let filled = self.filled - whole.len() * BLOCK_SIZE;
            compress256(&mut self.state, pad(&mut blocks, filled, self.length));
        } else {
            let blocks = pad(&mut self.blocks, self.filled, self.length);
            compress256(&mut self.state, blocks);
        }
        to_bytes(self.state)
    }
}

/// Climbs from a node towards the root: hashes it with one sibling after the other, `H(0x01 || left || right)`.
pub(crate) struct NodeHasher {
    blocks: [Block; 2],
    /// The node reached, as the compression function leaves it.
    node: [u32; 8],
}

impl NodeHasher {
    const LEFT: usize = 1;
    const RIGHT: usize = Self::LEFT + DIGEST_SIZE;
    const END: usize = Self::RIGHT + DIGEST_SIZE;

    #[inline]
    pub(crate) fn new(node: &Digest) -> Self {
        let mut blocks = [[0; BLOCK_SIZE]; 2];
        blocks[0][0] = 1;
        pad(&mut blocks, Self::END, Self::END);
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(node.as_chunks().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        Self {
            blocks,
            node: words,
        }
    }

    /// Climbs past a left sibling.
    #[inline]
    pub(crate) fn with_left(&mut self, sibling: &Digest) {
        self.climb::<{ Self::LEFT }, { Self::RIGHT }>(sibling);
    }

    /// Climbs past a right sibling.
    #[inline]
    pub(crate) fn with_right(&mut self, sibling: &Digest) {
        self.climb::<{ Self::RIGHT }, { Self::LEFT }>(sibling);
    }

    #[inline]
    fn climb<const SIBLING: usize, const NODE: usize>(&mut self, sibling: &Digest) {
        let bytes = self.blocks.as_flattened_mut();
        bytes[SIBLING..SIBLING + DIGEST_SIZE].copy_from_slice(sibling);
        bytes[NODE..NODE + DIGEST_SIZE].copy_from_slice(&to_bytes(self.node));
        self.node = INITIAL_STATE;
        compress256(&mut self.node, &self.blocks);
    }

    /// The hash of the node reached.
    #[inline]
    pub(crate) fn finish(&self) -> Digest {
        to_bytes(self.node)
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn reference(message: &[u8]) -> Digest {
        Sha256::digest(message).into()
    }

    fn message(length: usize) -> Vec<u8> {
        (0..length).map(|place| (place * 7 + 1) as u8).collect()
    }

    #[test]
    fn the_standard_s_example() {
        let expected = [
            0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae,
            0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61,
            0xf2, 0x00, 0x15, 0xad,
        ];
        assert_eq!(digest(b"abc"), expected);
    }

    #[test]
    fn every_length_digests_as_in_the_library_in_one_slice_and_in_pieces() {
        for length in 0..=3 * Gather::ROOM + 9 {
            let message = message(length);
            let expected = reference(&message);
            assert_eq!(digest(&message), expected, "{length} bytes");
            for piece in [1, 55, 64, 511, 512, 513] {
                let mut gather = Gather::new();
                message.chunks(piece).for_each(|piece| gather.update(piece));
                gather.update(&[]);
                assert_eq!(gather.finish(), expected, "{length} bytes by {piece}");
            }
        }
    }

    #[test]
    fn a_digest_within_a_message_is_in_its_place_whatever_stands_around_it() {
        for before in [0, 5, 63, 200, 448, 479, 480, 481, 600] {
            for after in [0, 1, 31, 32, 33, 200, 431, 600] {
                let (before, after) = (message(before), message(after));
                let digested = message(91);
                let mut gather = Gather::new();
                gather.update(&before);
                gather.update_with_digest(&digested, &after);
                let whole = [&before[..], &reference(&digested), &after].concat();
                assert_eq!(gather.finish(), reference(&whole), "{}", whole.len());
            }
        }
    }

    #[test]
    fn a_node_hasher_climbs_past_siblings_on_both_sides() {
        let mut node = [7; 32];
        let mut hasher = NodeHasher::new(&node);
        for place in 0..6 {
            let sibling = [0xf0 + place; 32];
            if place % 3 == 0 {
                hasher.with_left(&sibling);
                node = reference(&[&[1][..], &sibling, &node].concat());
            } else {
                hasher.with_right(&sibling);
                node = reference(&[&[1][..], &node, &sibling].concat());
            }
            assert_eq!(hasher.finish(), node);
        }
    }
}
