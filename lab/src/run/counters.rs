//! What the network functions count, over the lives of all their processes.
//!
//! ```text
//!  process   begin ─────── counts ───────> end of its life, or of the run      counted += now - begin
//!  next one        begin = 0 ─── counts ──> ...
//! ```
//!
//! A process that is killed takes its counters with it, so they are read just before. A server has counted a handshake a moment
//! after its client has, so both readings wait until the sides agree.

use std::collections::BTreeMap;
use std::time::Duration;

use sbi::ledger::{HandshakeTotals, Learning, Measurements, NfTotals};

use tokio::time::{Instant, sleep};

use experiment::scenario::Nf;

use crate::topology::{ChildError, Topology, TopologyError};
use experiment::measure::ClientTotals;
use experiment::scenario::Scenario;

/// How long the sides may take to agree. A server has seen the end of a handshake half a round trip and its own scheduling after the
/// client; what has failed on one side alone never agrees.
const AGREEMENT: Duration = Duration::from_secs(1);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Which processes counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The process that generates the load.
    Generator,
    /// The others.
    Lab,
}

impl Origin {
    /// The origin of a process's counts.
    pub(super) fn of(nf: &str) -> Self {
        if nf == Nf::Amf.as_str() {
            Self::Generator
        } else {
            Self::Lab
        }
    }

    /// What of a process's counts is not counted elsewhere: the load generator counts its connections as a client by
    /// operation.
    pub(super) fn seen(self, mut counted: NfTotals) -> NfTotals {
        if self == Self::Generator {
            counted.client = HandshakeTotals::default();
        }
        counted
    }
}

/// The counters of all network functions since a moment.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// What running processes had counted at that moment.
    begun: BTreeMap<&'static str, Measurements>,
    /// What processes counted after it that have ended.
    ended: BTreeMap<(&'static str, String), NfTotals>,
    /// What they did after it to learn of landmarks.
    learning: BTreeMap<&'static str, Learning>,
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

    /// What each process had counted when this began.
    pub(super) fn begun(&self) -> impl Iterator<Item = (&str, &Measurements)> + Clone {
        self.begun.iter().map(|(nf, measured)| (*nf, measured))
    }

    /// Waits until clients and servers have counted as many handshakes of the scenario's variants since this began, for a while at
    /// most: where handshakes have failed, or others use the lab too, they never do.
    pub(super) async fn agree(&self, topology: &mut Topology, scenario: &Scenario) {
        let deadline = Instant::now() + AGREEMENT;
        let profiles: Vec<String> = scenario
            .variants
            .iter()
            .map(|variant| variant.profile().to_string())
            .collect();
        while !self.agrees(topology, &profiles).await && Instant::now() < deadline {
            sleep(LOOK_EVERY).await;
        }
    }

    async fn agrees(&self, topology: &mut Topology, profiles: &[String]) -> bool {
        // By profile: handshakes as clients and as servers, of processes that have ended and of those that run.
        let mut counted = vec![(0, 0); profiles.len()];
        let mut add = |profile: &str, totals: &NfTotals| {
            let known = profiles.iter().position(|known| known == profile);
            if let Some((client, server)) = known.map(|at| &mut counted[at]) {
                *client += totals.client.handshakes;
                *server += totals.server.handshakes;
            }
        };
        for ((_, profile), totals) in &self.ended {
            add(profile, totals);
        }
        for nf in topology.running() {
            // One that does not answer now is asked again.
            let Ok(now) = topology.measurements(nf).await else {
                return false;
            };
            let begun = self.begun.get(nf.as_str());
            for (profile, now) in now.profiles {
                let before = begun
                    .and_then(|begun| begun.profiles.get(&profile))
                    .cloned();
                let before = before.unwrap_or_default();
                add(&profile, &later_less(&now, &before));
            }
        }
        counted.iter().all(|(client, server)| client == server)
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
        let learning = self.learning.entry(nf.as_str()).or_default();
        learning.merge(&now.learning.since(&before.learning));
        for (profile, counted) in now.profiles {
            let before = before.profiles.get(&profile).cloned().unwrap_or_default();
            self.ended
                .entry((nf.as_str(), profile))
                .or_default()
                .merge(&later_less(&counted, &before));
        }
        Ok(())
    }

    /// Counts until now.
    ///
    /// # Errors
    /// A process does not answer.
    pub(super) async fn end(mut self, topology: &mut Topology) -> Result<Ended, TopologyError> {
        for nf in topology.running() {
            match self.take(topology, nf).await {
                // One that was put back and is not ready has counted nothing.
                Ok(()) | Err(TopologyError::Child(ChildError::NotStarted { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Ended {
            totals: self.ended,
            learning: self.learning,
        })
    }
}

/// The difference; a process that was started again has counted from nothing.
pub(super) fn later_less(later: &NfTotals, earlier: &NfTotals) -> NfTotals {
    let has_restarted = later.client.handshakes < earlier.client.handshakes
        || later.server.handshakes < earlier.server.handshakes;
    if has_restarted {
        later.clone()
    } else {
        later.since(earlier)
    }
}

/// What was counted.
pub(super) struct Ended {
    /// By process and connection profile.
    totals: BTreeMap<(&'static str, String), NfTotals>,
    /// By process.
    learning: BTreeMap<&'static str, Learning>,
}

impl Ended {
    /// For each variant, the load generator's connections as a client that are of no recorded operation: renewals, heartbeats, and
    /// operations that were abandoned.
    pub(super) fn background(
        &self,
        scenario: &Scenario,
        recorded: &[ClientTotals],
    ) -> Vec<HandshakeTotals> {
        let variants = scenario.variants.iter().zip(recorded);
        variants
            .map(|(variant, recorded)| {
                let profile = variant.profile().to_string();
                let mut all = HandshakeTotals::default();
                for ((nf, of), counted) in &self.totals {
                    if *of == profile && Origin::of(nf) == Origin::Generator {
                        all.merge(&counted.client);
                    }
                }
                all.since(&recorded.handshakes)
            })
            .collect()
    }

    /// What one origin counted for each variant of a scenario.
    pub(super) fn of(&self, origin: Origin, scenario: &Scenario) -> Vec<NfTotals> {
        let variants = scenario.variants.iter();
        variants
            .map(|variant| {
                let profile = variant.profile().to_string();
                let mut totals = NfTotals::default();
                for ((nf, of), counted) in &self.totals {
                    if *of == profile && Origin::of(nf) == origin {
                        totals.merge(&origin.seen(counted.clone()));
                    }
                }
                totals
            })
            .collect()
    }

    /// What one origin did to learn of landmarks, by process.
    pub(super) fn learning(&self, origin: Origin) -> BTreeMap<String, Learning> {
        let of_origin = |(nf, of): (&&str, &Learning)| {
            let is_told = Origin::of(nf) == origin && !of.is_empty();
            is_told.then(|| ((*nf).to_owned(), of.clone()))
        };
        self.learning.iter().filter_map(of_origin).collect()
    }
}
