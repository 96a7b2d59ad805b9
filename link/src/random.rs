//! Chance from a seed: the same seed makes the same decisions.

use std::time::Duration;

/// SplitMix64: passes statistical tests, has one word of state, and its output is the same on every machine.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Decisions that follow from `seed` alone.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly distributed in `[0, 1)`.
    fn unit(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
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
    fn the_seed_decides() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            (0..64).map(|_| chance.next()).collect::<Vec<_>>()
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
