//! Counts by name, bounded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Names kept; what comes after is counted as [`OTHER`]. TLS has fewer of anything that is counted here but causes of failure.
const MAX_NAMES: usize = 32;
/// The name of what found no place.
const OTHER: &str = "other";

/// Counts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamedCounts(BTreeMap<String, u64>);

impl NamedCounts {
    /// Counts `count` more of a name.
    pub fn add(&mut self, name: &str, count: u64) {
        if let Some(known) = self.0.get_mut(name) {
            *known += count;
            return;
        }
        let name = if self.0.len() < MAX_NAMES {
            name
        } else {
            OTHER
        };
        *self.0.entry(name.to_owned()).or_default() += count;
    }

    /// Names and counts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds or subtracts another's, name by name; names whose count is 0 then are left out.
    pub fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        for (name, count) in other.iter() {
            match self.0.get_mut(name) {
                Some(mine) => *mine = with(*mine, count),
                None => self.add(name, with(0, count)),
            }
        }
        self.0.retain(|_, count| *count > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_none_is_lost() {
        let mut counts = NamedCounts::default();
        (0..100).for_each(|n| counts.add(&n.to_string(), 1));
        assert_eq!(counts.iter().count(), MAX_NAMES + 1);
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 100);
        assert_eq!(
            counts.iter().find(|(name, _)| *name == OTHER),
            Some((OTHER, 100 - MAX_NAMES as u64))
        );
    }

    #[test]
    fn subtracting_what_was_added_leaves_the_rest() {
        let mut counts = NamedCounts::default();
        counts.add("h2", 3);
        let earlier = counts.clone();
        counts.add("h2", 2);
        counts.add("none", 1);
        counts.combine(&earlier, u64::saturating_sub);
        assert_eq!(counts.iter().collect::<Vec<_>>(), [("h2", 2), ("none", 1)]);
        let same = counts.clone();
        counts.combine(&same, u64::saturating_sub);
        assert!(counts.is_empty());
    }
}
