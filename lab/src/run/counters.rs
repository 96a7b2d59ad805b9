//! What the network functions count, over the lives of all their processes.
//!
//! ```text
//!  process   begin ─────── counts ───────> end of its life, or of the run      counted += now - begin
//!  next one        begin = 0 ─── counts ──> ...
//! ```
//!
//! A process that is killed takes its counters with it, so they are read just before.

use std::collections::BTreeMap;

use sbi::ledger::{Measurements, NfTotals};

use crate::scenario::Scenario;
use crate::topology::{ChildError, Nf, Topology, TopologyError};

/// The counters of all network functions since a moment.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// What running processes had counted at that moment.
    begun: BTreeMap<&'static str, Measurements>,
    /// What processes counted after it that have ended.
    ended: BTreeMap<(&'static str, String), NfTotals>,
}

impl Counters {
    /// Begins now.
    ///
    /// # Errors
    /// A process does not answer.
    pub(super) async fn begin(topology: &mut Topology) -> Result<Self, TopologyError> {
        let mut counters = Self::default();
        for nf in topology.running() {
            let now = topology.measurements(nf).await?;
            counters.begun.insert(nf.as_str(), now);
        }
        Ok(counters)
    }

    /// Takes what a process has counted, which is about to end.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) async fn take(
        &mut self,
        topology: &mut Topology,
        nf: Nf,
    ) -> Result<(), TopologyError> {
        let now = topology.measurements(nf).await?;
        let before = self.begun.remove(nf.as_str()).unwrap_or_default();
        for (profile, counted) in now.profiles {
            let before = before.profiles.get(&profile).cloned().unwrap_or_default();
            self.ended
                .entry((nf.as_str(), profile))
                .or_default()
                .merge(&counted.since(&before));
        }
        Ok(())
    }

    /// What was counted until now, one a variant. The load generator counts its own connections by operation, so its
    /// process's client side is left out.
    ///
    /// # Errors
    /// A process does not answer.
    pub(super) async fn end(
        mut self,
        topology: &mut Topology,
        scenario: &Scenario,
    ) -> Result<Vec<NfTotals>, TopologyError> {
        for nf in topology.running() {
            match self.take(topology, nf).await {
                // One that was put back and is not ready has counted nothing.
                Ok(()) | Err(TopologyError::Child(ChildError::NotStarted { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        let variants = scenario.variants.iter();
        Ok(variants
            .map(|variant| self.of(&variant.profile().to_string()))
            .collect())
    }

    fn of(&self, profile: &str) -> NfTotals {
        let mut totals = NfTotals::default();
        for ((nf, of), counted) in &self.ended {
            if of != profile {
                continue;
            }
            let mut counted = counted.clone();
            if *nf == Nf::Amf.as_str() {
                counted.client = Default::default();
            }
            totals.merge(&counted);
        }
        totals
    }
}
