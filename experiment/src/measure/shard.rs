//! A part of the load, for one of several generators.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Generators that may share a schedule.
const MAX_SHARDS: u32 = 1024;

/// Which part of a schedule a generator starts: of `count` generators the one with number `index`, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Number of this generator.
    pub index: u32,
    /// Generators.
    pub count: u32,
}

impl Shard {
    /// The only generator.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Whether an arrival belongs to it.
    pub fn has(self, sequence: u64) -> bool {
        sequence % u64::from(self.count) == u64::from(self.index)
    }

    /// Its part of a bound that holds for all generators together, rounded up.
    pub fn part_of(self, bound: usize) -> usize {
        bound.div_ceil(self.count as usize)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

/// The text is not `I/N` with `I` from 1 to `N` and `N` up to 1024.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a shard: write 1/3 for the first of three, up to 1024")]
pub struct UnknownShard(pub String);

/// `1/3` is the first of three: people count from 1.
impl FromStr for Shard {
    type Err = UnknownShard;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || UnknownShard(text.to_owned());
        let (number, count) = text.split_once('/').ok_or_else(fault)?;
        let number: u32 = number.parse().map_err(|_| fault())?;
        let count: u32 = count.parse().map_err(|_| fault())?;
        if !(1..=count).contains(&number) || count > MAX_SHARDS {
            return Err(fault());
        }
        Ok(Self {
            index: number - 1,
            count,
        })
    }
}
