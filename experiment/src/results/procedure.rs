//! What each procedure of a UE cost, on every hop from a consumer to a producer.
//!
//! ```text
//!   load generator    attempts, successes, latency ─────────────┐
//!   every consumer    requests, handshakes, bytes, own CPU ──> hops ──> sums over hops ──> ProcedureResult, per attempt
//!   every producer    CPU of accepted handshakes: their mean ──┘
//! ```
//!
//! Discoveries are hops, but in no sum: their answers serve every variant until they expire, and only the first that comes asks.
//!
//! A producer does not know which procedure a handshake that it accepts is for. All that it accepts of one variant are alike, so its
//! part is their mean, as often as consumers had a handshake with it.

use std::collections::BTreeMap;

use sbi::ledger::{HandshakeTotals, HopTotals, NfTotals, Procedure};
use sbi::model::NfType;
use serde::{Deserialize, Serialize};

use super::Latency;
use super::rounding::{microseconds, to_hundredth, to_tenth};
use crate::measure::OperationTotals;

/// What one procedure cost, as means per attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcedureResult {
    /// Which.
    pub procedure: Procedure,
    /// How often it was begun.
    pub attempts: u64,
    /// How often it did what it is for.
    pub ok: u64,
    /// From its first request to its last answer; successful ones only.
    pub latency_ms: Option<Latency>,
    /// All hops together but discoveries.
    pub all: HopCost,
    /// CPU time in handshakes by NF type, in microseconds; consumers and producers.
    pub cpu_us_by_nf: BTreeMap<String, f64>,
    /// Each hop, `AMF-AUSF` for what an AMF asks an AUSF.
    pub hops: BTreeMap<String, HopCost>,
}

/// Means per attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HopCost {
    /// Requests; each has an answer, so messages are twice as many.
    pub requests: f64,
    /// Full handshakes.
    pub handshakes_full: f64,
    /// Handshakes that resumed a session.
    pub handshakes_resumed: f64,
    /// Uses of a connection that was open already.
    pub reused: f64,
    /// TLS record bytes of handshakes, both directions.
    pub bytes_handshake: f64,
    /// Octets of bodies, both directions.
    pub bytes_body: f64,
    /// Bytes on the wire that are neither: HTTP/2 frames and headers, record layer, session tickets, goodbyes.
    pub bytes_other: f64,
    /// CPU time of both sides in handshakes, in microseconds.
    pub cpu_us: f64,
    /// Of it, verifying certificates.
    pub verify_us: f64,
}

impl HopCost {
    /// All bytes on the wire.
    pub fn bytes(&self) -> f64 {
        self.bytes_handshake + self.bytes_body + self.bytes_other
    }

    fn of(totals: &HopTotals, accepted: &HandshakeTotals, attempts: u64) -> Self {
        let each = |sum: u64| to_hundredth(sum as f64 / attempts.max(1) as f64);
        let bytes = |sum: u64| to_tenth(sum as f64 / attempts.max(1) as f64);
        let time = |own_ns: u64, accepted_ns: u64| {
            let accepted = accepted.mean(accepted_ns).unwrap_or_default();
            let both = own_ns as f64 + accepted * totals.handshakes() as f64;
            microseconds(both / attempts.max(1) as f64)
        };
        Self {
            requests: each(totals.requests),
            handshakes_full: each(totals.full),
            handshakes_resumed: each(totals.resumed),
            reused: each(totals.reused),
            bytes_handshake: bytes(totals.handshake_bytes),
            bytes_body: bytes(totals.body_bytes),
            bytes_other: bytes(totals.other_bytes),
            cpu_us: time(totals.cpu_ns, accepted.cpu_ns),
            verify_us: time(totals.verify_ns, accepted.verify_ns),
        }
    }
}

impl ProcedureResult {
    /// The procedures that the load generator began, with what all network functions counted of them.
    pub(super) fn all_of(
        begun: &BTreeMap<Procedure, OperationTotals>,
        counted: &NfTotals,
    ) -> Vec<Self> {
        let hops: BTreeMap<Procedure, _> = counted.procedures.iter().collect();
        let none = BTreeMap::new();
        begun
            .iter()
            .map(|(procedure, begun)| {
                let hops = hops.get(procedure).copied().unwrap_or(&none);
                Self::of(*procedure, begun, hops, &counted.server)
            })
            .collect()
    }

    fn of(
        procedure: Procedure,
        begun: &OperationTotals,
        hops: &BTreeMap<String, HopTotals>,
        accepted: &HandshakeTotals,
    ) -> Self {
        let attempts = begun.attempts;
        let mut sum = HopTotals::default();
        let mut by_nf: BTreeMap<String, f64> = BTreeMap::new();
        let accepted_ns = accepted.mean(accepted.cpu_ns).unwrap_or_default();
        for (hop, totals) in hops {
            if let Some((consumer, producer)) = hop.split_once('-')
                && producer != NfType::Nrf.as_str()
            {
                sum.combine(totals, u64::saturating_add);
                *by_nf.entry(consumer.to_owned()).or_default() += totals.cpu_ns as f64;
                *by_nf.entry(producer.to_owned()).or_default() +=
                    accepted_ns * totals.handshakes() as f64;
            }
        }
        let each = |ns: f64| microseconds(ns / attempts.max(1) as f64);
        let costs = hops.iter().map(|(hop, totals)| {
            let cost = HopCost::of(totals, accepted, attempts);
            (hop.clone(), cost)
        });
        Self {
            procedure,
            attempts,
            ok: begun.ok,
            latency_ms: Latency::of(&begun.latency),
            all: HopCost::of(&sum, accepted, attempts),
            cpu_us_by_nf: by_nf.into_iter().map(|(nf, ns)| (nf, each(ns))).collect(),
            hops: costs.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn costs_are_means_over_attempts_and_add_up_over_hops() {
        let hop = HopTotals {
            requests: 4,
            full: 2,
            handshake_bytes: 30_000,
            body_bytes: 800,
            other_bytes: 1_200,
            cpu_ns: 600_000,
            verify_ns: 80_000,
            ..HopTotals::default()
        };
        let mut counted = NfTotals::default();
        for producer in [NfType::Ausf, NfType::Udm] {
            let totals = &mut counted.procedures;
            totals.add(Procedure::Registration, &NfType::Amf, &producer, &hop);
        }
        let (amf, nrf) = (NfType::Amf, NfType::Nrf);
        let totals = &mut counted.procedures;
        totals.add(Procedure::Registration, &amf, &nrf, &hop);
        counted.server.handshakes = 10;
        counted.server.cpu_ns = 4_000_000;
        counted.server.verify_ns = 400_000;
        let mut begun = OperationTotals::default();
        begun.record(Some(Duration::from_millis(5)));
        begun.record(None);
        let results = ProcedureResult::all_of(
            &BTreeMap::from([(Procedure::Registration, begun)]),
            &counted,
        );
        let [result] = results.as_slice() else {
            panic!("one procedure was begun: {results:?}");
        };
        assert_eq!((result.attempts, result.ok), (2, 1));
        assert_eq!(
            (result.all.requests, result.all.handshakes_full),
            (4.0, 2.0)
        );
        assert_eq!(result.all.bytes(), 32_000.0);
        // Two handshakes a procedure, each 300 µs of the client and 400 µs of the server.
        assert_eq!((result.all.cpu_us, result.all.verify_us), (1_400.0, 160.0));
        assert_eq!(
            result.cpu_us_by_nf,
            BTreeMap::from([
                ("AMF".to_owned(), 600.0),
                ("AUSF".to_owned(), 400.0),
                ("UDM".to_owned(), 400.0)
            ])
        );
        assert_eq!(result.hops["AMF-UDM"].requests, 2.0);
        assert_eq!(result.hops["AMF-NRF"].requests, 2.0);
    }

    #[test]
    fn what_nobody_began_has_no_cost() {
        let mut counted = NfTotals::default();
        let (amf, smf) = (NfType::Amf, NfType::Smf);
        let once = HopTotals::default();
        let procedure = Procedure::SessionEstablishment;
        counted.procedures.add(procedure, &smf, &amf, &once);
        assert!(ProcedureResult::all_of(&BTreeMap::new(), &counted).is_empty());
    }
}
