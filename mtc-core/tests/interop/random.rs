//! Choices that are the same in every run: SplitMix64, seeded with the number of the case.

/// A sequence of choices.
pub(crate) struct Random(u64);

impl Random {
    /// The choices of one case.
    pub(crate) const fn of_case(case: u64) -> Self {
        Self(case.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A position in something of this length, which is not 0.
    pub(crate) fn position(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// One of some, of which there is at least one.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.position(from.len())]
    }

    /// Some of them, in order.
    pub(crate) fn some<'a, T>(&mut self, from: &'a [T]) -> Vec<&'a T> {
        from.iter().filter(|_| self.once_in(2)).collect()
    }

    /// Changes one bit, if there is one.
    pub(crate) fn flip(&mut self, bytes: &mut [u8]) {
        if !bytes.is_empty() {
            let position = self.position(bytes.len());
            bytes[position] ^= 1 << self.below(8);
        }
    }
}
