//! What the network functions counted in each slice of the measured part.
//!
//! ```text
//!  begin      sample     sample          finish
//!    │ slice 0  │ slice 1  │ ...  slice 19 │        counters are read at the boundaries; a slice is a difference
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use sbi::ledger::{Measurements, NfTotals};
use tokio::time::{Instant, sleep_until};

use super::counters::{Origin, later_less};
use crate::topology::Topology;
use experiment::measure::SLICES;
use experiment::results::Issuance;
use experiment::scenario::Nf;
use experiment::scenario::Scenario;

/// Counters of the NFs at one moment.
type Counters = BTreeMap<&'static str, Measurements>;

/// The counters read so far.
pub(super) struct Slices {
    samples: Vec<Counters>,
    began: Instant,
    length: Duration,
}

impl Slices {
    /// Reads the counters now, when the measured part begins.
    pub(super) async fn begin(topology: &mut Topology, length: Duration) -> Self {
        let began = Instant::now();
        let mut slices = Self {
            samples: Vec::with_capacity(SLICES + 1),
            began,
            length,
        };
        slices.sample(topology).await;
        slices
    }

    /// Completes at the next boundary between two slices. Dropping it loses nothing.
    pub(super) async fn due(&self) {
        match u32::try_from(self.samples.len()) {
            Ok(next) if self.samples.len() < SLICES => {
                sleep_until(self.began + self.length * next).await;
            }
            _ => std::future::pending().await,
        }
    }

    /// Reads the counters. A network function that does not answer, because a scenario has stopped it, stands still.
    pub(super) async fn sample(&mut self, topology: &mut Topology) {
        let mut counters = self.samples.last().cloned().unwrap_or_default();
        for nf in Nf::ALL {
            if let Ok(measured) = topology.measurements(nf).await {
                counters.insert(nf.as_str(), measured);
            }
        }
        self.samples.push(counters);
    }

    /// For each variant of a scenario, what one origin counted in each slice until the last sample.
    pub(super) fn of(&self, origin: Origin, scenario: &Scenario) -> Vec<Vec<NfTotals>> {
        let profiles = scenario.variants.iter().map(|variant| variant.profile());
        profiles
            .map(|profile| self.counted(origin, &profile.to_string()))
            .collect()
    }

    /// What the NRF issued until the first sample, and between every two.
    pub(super) fn issuance(&self) -> Issuance {
        let of = |counters: &Counters| {
            counters
                .get(Nf::Nrf.as_str())
                .map(|measured| measured.issuance)
                .unwrap_or_default()
        };
        let between = |pair: &[Counters]| of(&pair[1]).since(&of(&pair[0]));
        Issuance {
            before: self.samples.first().map(of).unwrap_or_default(),
            slices: self.samples.windows(2).map(between).collect(),
        }
    }

    fn counted(&self, origin: Origin, profile: &str) -> Vec<NfTotals> {
        let between = |pair: &[Counters]| {
            let mut totals = NfTotals::default();
            let of_origin = |(nf, _): &(&&str, &Measurements)| Origin::of(nf) == origin;
            for (nf, measured) in pair[1].iter().filter(of_origin) {
                let at = |measured: &Measurements| measured.profiles.get(profile).cloned();
                let later = at(measured).unwrap_or_default();
                let earlier = pair[0].get(nf).and_then(at).unwrap_or_default();
                totals.merge(&origin.seen(later_less(&later, &earlier)));
            }
            totals
        };
        self.samples.windows(2).map(between).collect()
    }
}

#[cfg(test)]
mod tests {
    use sbi::ledger::{HandshakeTotals, IssuanceTotals};

    use super::*;

    fn counters(nf: &'static str, client: u64, server: u64) -> Counters {
        let handshakes = |handshakes| HandshakeTotals {
            handshakes,
            ..HandshakeTotals::default()
        };
        let totals = NfTotals {
            client: handshakes(client),
            server: handshakes(server),
            ..NfTotals::default()
        };
        let profiles = BTreeMap::from([("p".to_owned(), totals)]);
        let measured = Measurements {
            profiles,
            ..Measurements::default()
        };
        Counters::from([(nf, measured)])
    }

    fn counted_of(origin: Origin, samples: Vec<Counters>) -> Vec<(u64, u64)> {
        let slices = Slices {
            samples,
            began: Instant::now(),
            length: Duration::from_secs(1),
        };
        let counted = slices.counted(origin, "p").into_iter();
        counted
            .map(|totals| (totals.client.handshakes, totals.server.handshakes))
            .collect()
    }

    #[test]
    fn a_slice_is_the_difference_of_two_samples() {
        let samples = [(1, 10), (3, 30), (3, 31)].map(|(c, s)| counters("smf", c, s));
        assert_eq!(
            counted_of(Origin::Lab, samples.clone().into()),
            [(2, 20), (0, 1)]
        );
        assert_eq!(
            counted_of(Origin::Generator, samples.into()),
            [(0, 0), (0, 0)]
        );
    }

    #[test]
    fn what_the_nrf_issued_is_told_by_slice_and_before() {
        let samples = [(3, 30), (3, 30), (5, 70)].map(|(certificates, issue_ns)| {
            let issuance = IssuanceTotals {
                certificates,
                issue_ns,
                checkpoint_ns: issue_ns / 2,
            };
            let measured = Measurements {
                issuance,
                ..Measurements::default()
            };
            Counters::from([("nrf", measured)])
        });
        let slices = Slices {
            samples: samples.into(),
            began: Instant::now(),
            length: Duration::from_secs(1),
        };
        let Issuance { before, slices } = slices.issuance();
        assert_eq!((before.certificates, before.issue_ns), (3, 30));
        assert_eq!(
            slices
                .iter()
                .map(|of| (of.certificates, of.issue_ns, of.checkpoint_ns))
                .collect::<Vec<_>>(),
            [(0, 0, 0), (2, 40, 20)]
        );
    }

    #[test]
    fn the_generator_s_own_connections_are_left_out() {
        let samples = [(0, 0), (50, 7)].map(|(c, s)| counters("amf", c, s));
        assert_eq!(counted_of(Origin::Generator, samples.into()), [(0, 7)]);
    }

    #[test]
    fn a_process_that_was_started_again_has_counted_from_nothing() {
        let samples = [(0, 90), (0, 100), (0, 4), (0, 9)].map(|(c, s)| counters("smf", c, s));
        assert_eq!(
            counted_of(Origin::Lab, samples.into()),
            [(0, 10), (0, 4), (0, 5)]
        );
    }
}
