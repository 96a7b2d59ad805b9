//! A share of instances that are upgraded.

use std::fmt;

/// A share of instances, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upgraded(u16);

impl Upgraded {
    const WHOLE: u16 = 1000;

    /// A share from 0 to 1.
    pub(super) fn new(share: f64) -> Self {
        Self((share.clamp(0.0, 1.0) * f64::from(Self::WHOLE)).round() as u16)
    }

    /// From 0 to 1.
    pub fn share(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }

    /// How many of so many instances are upgraded, to the nearest whole.
    pub fn of(self, instances: usize) -> usize {
        (instances as f64 * self.share()).round() as usize
    }
}

impl fmt::Display for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.share().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_upgraded_to_the_nearest_whole() {
        for (share, instances, upgraded) in [
            (0.0, 8, 0),
            (0.25, 8, 2),
            (0.5, 3, 2),
            (0.75, 4, 3),
            (1.0, 5, 5),
        ] {
            assert_eq!(Upgraded::new(share).of(instances), upgraded, "{share}");
        }
    }
}
