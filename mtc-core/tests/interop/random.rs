//! Choices that are the same in every run, seeded with the number of the case.

/// A sequence of choices.
pub(crate) struct Random(fastrand::Rng);

impl Random {
    /// The choices of one case.
    pub(crate) fn of_case(case: u64) -> Self {
        // The first numbers of neighbouring seeds are neighbours too.
        Self(fastrand::Rng::with_seed(
            case.wrapping_mul(0xd134_2543_de82_ef95),
        ))
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0.u64(..bound)
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
