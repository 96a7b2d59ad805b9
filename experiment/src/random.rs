//! Random numbers that are the same for the same seed, on every machine and in every version of a library.

/// SplitMix64 (Steele, Lea and Flood, 2014): small, seeded by any number, and the same on every machine.
#[derive(Clone, Debug)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Exponentially distributed with mean 1.
    pub fn exponential(&mut self) -> f64 {
        const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
        let uniform = ((self.next_u64() >> 11) + 1) as f64 * UNIT; // in (0, 1]
        -uniform.ln()
    }

    /// Fisher and Yates; the bias of the remainder is below 2^-50 for lists this short.
    pub fn shuffle(&mut self, list: &mut [usize]) {
        for last in (1..list.len()).rev() {
            let other = (self.next_u64() % (last as u64 + 1)) as usize;
            list.swap(last, other);
        }
    }
}
