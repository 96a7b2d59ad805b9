//! What each procedure of a UE cost, on every hop from a consumer to a producer.
//!
//! ```text
//!   load generator    attempts, successes, latency ─────────────┐
//!   every consumer    requests, handshakes, bytes, own CPU ──> hops ──> sums over hops ──> ProcedureResult, per attempt
//!   every producer    CPU of accepted handshakes: their mean ──┤
//!   SCP               the same of its own legs: their mean ────┘
//! ```
//!
//! Discoveries are hops, but in no sum: their answers serve every variant until they expire, and only the first that comes asks.
//!
//! A producer does not know which procedure a handshake that it accepts is for. All that it accepts of one variant are alike, so its
//! part is their mean, as often as consumers had a handshake with it. Nor does an SCP know which procedure it forwards a request of:
//! its leg to a producer is the mean of all requests on that leg, as often as consumers sent one there, but for the bodies, which are
//! those that the consumers sent.

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
    /// Each hop: `AMF-AUSF` for what an AMF asks an AUSF; through an SCP `AMF-SCP-AUSF` for the AMF's part, and `SCP-AUSF` for the SCP's.
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

    /// Means of sums.
    fn of(sums: &Sums, accepted: &HandshakeTotals, attempts: u64) -> Self {
        let attempts = attempts.max(1) as f64;
        let time = |own_ns: f64, accepted_ns: u64| {
            let accepted = accepted.mean(accepted_ns).unwrap_or_default();
            microseconds((own_ns + accepted * sums.handshakes()) / attempts)
        };
        Self {
            requests: to_hundredth(sums.requests / attempts),
            handshakes_full: to_hundredth(sums.full / attempts),
            handshakes_resumed: to_hundredth(sums.resumed / attempts),
            reused: to_hundredth(sums.reused / attempts),
            bytes_handshake: to_tenth(sums.handshake_bytes / attempts),
            bytes_body: to_tenth(sums.body_bytes / attempts),
            bytes_other: to_tenth(sums.other_bytes / attempts),
            cpu_us: time(sums.cpu_ns, accepted.cpu_ns),
            verify_us: time(sums.verify_ns, accepted.verify_ns),
        }
    }
}

/// [`HopTotals`], of which a part may be a share of a leg's.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    requests: f64,
    full: f64,
    resumed: f64,
    reused: f64,
    handshake_bytes: f64,
    body_bytes: f64,
    other_bytes: f64,
    cpu_ns: f64,
    verify_ns: f64,
}

impl From<&HopTotals> for Sums {
    fn from(totals: &HopTotals) -> Self {
        let HopTotals {
            requests,
            full,
            resumed,
            reused,
            handshake_bytes,
            body_bytes,
            other_bytes,
            cpu_ns,
            verify_ns,
        } = *totals;
        Self {
            requests: requests as f64,
            full: full as f64,
            resumed: resumed as f64,
            reused: reused as f64,
            handshake_bytes: handshake_bytes as f64,
            body_bytes: body_bytes as f64,
            other_bytes: other_bytes as f64,
            cpu_ns: cpu_ns as f64,
            verify_ns: verify_ns as f64,
        }
    }
}

impl Sums {
    fn handshakes(&self) -> f64 {
        self.full + self.resumed
    }

    /// The part of a leg's that is of these `requests`; bodies pass an SCP as they are.
    fn share_of(leg: &HopTotals, requests: f64, body_bytes: f64) -> Self {
        let of = |sum: u64| sum as f64 * requests / leg.requests.max(1) as f64;
        Self {
            requests,
            full: of(leg.full),
            resumed: of(leg.resumed),
            reused: of(leg.reused),
            handshake_bytes: of(leg.handshake_bytes),
            body_bytes,
            other_bytes: of(leg.other_bytes),
            cpu_ns: of(leg.cpu_ns),
            verify_ns: of(leg.verify_ns),
        }
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.full += other.full;
        self.resumed += other.resumed;
        self.reused += other.reused;
        self.handshake_bytes += other.handshake_bytes;
        self.body_bytes += other.body_bytes;
        self.other_bytes += other.other_bytes;
        self.cpu_ns += other.cpu_ns;
        self.verify_ns += other.verify_ns;
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
                Self::of(
                    *procedure,
                    begun,
                    &with_forwarding(hops, counted),
                    &counted.server,
                )
            })
            .collect()
    }

    fn of(
        procedure: Procedure,
        begun: &OperationTotals,
        hops: &BTreeMap<String, Sums>,
        accepted: &HandshakeTotals,
    ) -> Self {
        let attempts = begun.attempts;
        let mut sum = Sums::default();
        let mut by_nf: BTreeMap<String, f64> = BTreeMap::new();
        let accepted_ns = accepted.mean(accepted.cpu_ns).unwrap_or_default();
        for (hop, sums) in hops {
            let mut ends = hop.split('-');
            if let (Some(from), Some(to)) = (ends.next(), ends.next())
                && to != NfType::Nrf.as_str()
            {
                sum.add(sums);
                *by_nf.entry(from.to_owned()).or_default() += sums.cpu_ns;
                *by_nf.entry(to.to_owned()).or_default() += accepted_ns * sums.handshakes();
            }
        }
        let each = |ns: f64| microseconds(ns / attempts.max(1) as f64);
        let costs = hops.iter().map(|(hop, sums)| {
            let cost = HopCost::of(sums, accepted, attempts);
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

/// The hops that consumers counted, and the SCP's part of those that go through it: `SCP-UDM` where there is `AMF-SCP-UDM`.
fn with_forwarding(
    hops: &BTreeMap<String, HopTotals>,
    counted: &NfTotals,
) -> BTreeMap<String, Sums> {
    let mut all: BTreeMap<String, Sums> = BTreeMap::new();
    for (hop, totals) in hops {
        all.insert(hop.clone(), totals.into());
    }
    for (leg, of_all) in counted.legs.iter() {
        let to_it = format!("-{leg}");
        let through = hops.iter().filter(|(hop, _)| hop.ends_with(&to_it));
        let sent: Sums = through.fold(Sums::default(), |mut sent, (_, totals)| {
            sent.add(&totals.into());
            sent
        });
        if sent.requests > 0.0 {
            let share = Sums::share_of(of_all, sent.requests, sent.body_bytes);
            all.insert(leg.to_owned(), share);
        }
    }
    all
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
            totals.add(Procedure::Registration, &NfType::Amf, &[producer], &hop);
        }
        let (amf, nrf) = (NfType::Amf, NfType::Nrf);
        let totals = &mut counted.procedures;
        totals.add(Procedure::Registration, &amf, &[nrf], &hop);
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
    fn the_scp_s_part_is_a_share_of_its_leg_and_has_the_bodies_of_the_requests() {
        let hop = |requests, body_bytes| HopTotals {
            requests,
            full: 1,
            handshake_bytes: 15_000,
            body_bytes,
            other_bytes: 900,
            cpu_ns: 300_000,
            ..HopTotals::default()
        };
        let mut counted = NfTotals::default();
        let along = [NfType::Scp, NfType::Udm];
        for (procedure, consumer, used) in [
            (Procedure::Registration, NfType::Amf, hop(4, 1_000)),
            (Procedure::Registration, NfType::Ausf, hop(2, 600)),
            (Procedure::Deregistration, NfType::Amf, hop(2, 400)),
        ] {
            counted.procedures.add(procedure, &consumer, &along, &used);
        }
        let leg = HopTotals {
            requests: 8,
            full: 1,
            reused: 7,
            handshake_bytes: 16_000,
            body_bytes: 2_000,
            other_bytes: 4_000,
            cpu_ns: 400_000,
            ..HopTotals::default()
        };
        counted.legs.add(&NfType::Scp, &NfType::Udm, &leg);
        counted.server.handshakes = 4;
        counted.server.cpu_ns = 400_000;
        let mut once = OperationTotals::default();
        once.record(Some(Duration::from_millis(5)));
        let begun = BTreeMap::from([(Procedure::Registration, once)]);
        let [result] = &*ProcedureResult::all_of(&begun, &counted) else {
            panic!("one procedure was begun");
        };
        // Six of eight requests.
        let forwarded = result.hops["SCP-UDM"];
        assert_eq!((forwarded.requests, forwarded.handshakes_full), (6.0, 0.75));
        assert_eq!(
            (forwarded.bytes_body, forwarded.bytes_other),
            (1_600.0, 3_000.0)
        );
        assert_eq!(forwarded.bytes_handshake, 12_000.0);
        assert_eq!(result.all.requests, 12.0);
        assert_eq!(result.all.bytes_body, 3_200.0);
        // Consumers' handshakes are accepted by the SCP, and the SCP's by the UDM, each for 100 µs.
        let of = |nf: &str| result.cpu_us_by_nf[nf];
        assert_eq!((of("AMF"), of("AUSF")), (300.0, 300.0));
        assert_eq!((of("SCP"), of("UDM")), (200.0 + 300.0, 75.0));
    }

    #[test]
    fn what_nobody_began_has_no_cost() {
        let mut counted = NfTotals::default();
        let (amf, smf) = (NfType::Amf, NfType::Smf);
        let once = HopTotals::default();
        let procedure = Procedure::SessionEstablishment;
        counted.procedures.add(procedure, &smf, &[amf], &once);
        assert!(ProcedureResult::all_of(&BTreeMap::new(), &counted).is_empty());
    }
}
