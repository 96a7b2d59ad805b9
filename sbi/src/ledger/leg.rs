//! What requests that go through an SCP cost, by leg: from a consumer to the SCP, from the SCP to a producer.
//!
//! ```text
//!  AMF ──── AMF-SCP ────> SCP ──── SCP-SMF ────> SMF      whoever opens the connection counts the leg
//!      <─── SCP-AMF ─────     <─── SMF-SCP ─────
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::procedure::HopTotals;
use crate::model::NfType;

/// The sums of every leg that occurred, `AMF-SCP` for example. NF types are those of registered producers, so legs are few.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LegTotals(BTreeMap<String, HopTotals>);

impl LegTotals {
    /// Adds one use of a connection.
    pub fn add(&mut self, from: &NfType, to: &NfType, used: &HopTotals) {
        let leg = self.0.entry(format!("{from}-{to}")).or_default();
        leg.combine(used, u64::saturating_add);
    }

    /// The legs by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &HopTotals)> {
        self.0.iter().map(|(leg, totals)| (leg.as_str(), totals))
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds or subtracts another's, sum by sum.
    pub fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        for (leg, totals) in &other.0 {
            let mine = self.0.entry(leg.clone()).or_default();
            mine.combine(totals, with);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_are_summed_apart_and_what_was_before_is_taken_off() {
        let used = |requests| HopTotals {
            requests,
            reused: 1,
            ..HopTotals::default()
        };
        let mut legs = LegTotals::default();
        assert!(legs.is_empty());
        legs.add(&NfType::Amf, &NfType::Scp, &used(3));
        let earlier = legs.clone();
        legs.add(&NfType::Amf, &NfType::Scp, &used(3));
        legs.add(&NfType::Scp, &NfType::Smf, &used(1));
        legs.combine(&earlier, u64::saturating_sub);
        let requests: Vec<_> = legs.iter().map(|(leg, one)| (leg, one.requests)).collect();
        assert_eq!(requests, [("AMF-SCP", 3), ("SCP-SMF", 1)]);
    }
}
