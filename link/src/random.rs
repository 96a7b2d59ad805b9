//! Chance from a seed: the same seed makes the same decisions.

use std::time::Duration;

/// SplitMix64 (Steele, Lea and Flood, 2014): seeded by any number, one word of state, passes statistical tests, and the same on every
/// machine and in every version, which no crate promises.
#[derive(Clone, Debug)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Decisions about packets.
#[derive(Clone, Debug)]
pub struct Chance(SplitMix64);

impl Chance {
    /// Decisions that follow from `seed` alone.
    pub const fn new(seed: u64) -> Self {
        Self(SplitMix64(seed))
    }

    /// Evenly distributed in `[0, 1)`.
    fn unit(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Evenly distributed from `centre - spread` to `centre + spread`, never below zero.
    pub fn around(&mut self, centre: Duration, spread: Duration) -> Duration {
        let offset = spread.as_secs_f64() * 2.0 * self.unit();
        (centre + Duration::from_secs_f64(offset)).saturating_sub(spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!(
            [random.next_u64(), random.next_u64()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]
        );
    }

    #[test]
    fn the_seed_decides() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            (0..64).map(|_| chance.unit()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn never_and_always_are_kept() {
        let mut chance = Chance::new(1);
        assert!((0..10_000).all(|_| !chance.happens(0.0)));
        assert!((0..10_000).all(|_| chance.happens(1.0)));
    }
}
