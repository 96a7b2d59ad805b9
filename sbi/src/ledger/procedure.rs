//! What the UE procedures of TS 23.502 cost, by the hop from a consumer to a producer.
//!
//! ```text
//!  AMF ── one use of a connection ── AUSF                 the consumer counts it, under the procedure that it is part of:
//!   handshake, or none: reused                             requests, handshake, bytes by kind, own CPU time
//!  AMF ── one use of a connection ── SCP ──> AUSF         the same; what comes after the SCP is in the legs, of no procedure
//! ```
//!
//! The consumer counts both directions, so nothing has to be put together from two sides.

use std::collections::BTreeMap;

use mtc_tls::handshake::HandshakeCost;
use serde::{Deserialize, Serialize};

use super::nanoseconds;
use crate::client::Used;
use crate::model::NfType;

/// A procedure of a UE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Procedure {
    /// Initial registration (TS 23.502 clause 4.2.2.2.2).
    Registration,
    /// UE-initiated deregistration (TS 23.502 clause 4.2.2.3.2).
    Deregistration,
    /// PDU session establishment (TS 23.502 clause 4.3.2.2.1).
    SessionEstablishment,
    /// PDU session modification that the UE asks for (TS 23.502 clause 4.3.3.2).
    SessionModification,
    /// PDU session release that the UE asks for (TS 23.502 clause 4.3.4.2).
    SessionRelease,
}

impl Procedure {
    /// The name in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Deregistration => "deregistration",
            Self::SessionEstablishment => "session-establishment",
            Self::SessionModification => "session-modification",
            Self::SessionRelease => "session-release",
        }
    }
}

/// Sums over the uses of connections from consumers of one type to producers of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HopTotals {
    /// Requests that were sent.
    pub requests: u64,
    /// Full handshakes.
    pub full: u64,
    /// Handshakes that resumed a session.
    pub resumed: u64,
    /// Uses of a connection that was open already.
    pub reused: u64,
    /// TLS record bytes of handshakes, both directions.
    pub handshake_bytes: u64,
    /// Octets of the bodies of requests and answers.
    pub body_bytes: u64,
    /// Bytes on the wire that are neither: HTTP/2 frames and headers, record layer, session tickets, goodbyes.
    pub other_bytes: u64,
    /// Thread CPU time of the consumer in handshakes, in nanoseconds.
    pub cpu_ns: u64,
    /// Of it, verifying producers' certificates.
    pub verify_ns: u64,
}

impl HopTotals {
    /// One use of a connection: what went over it in the use, and its handshake if it was opened for it.
    pub fn of(used: Used, handshake: Option<&HandshakeCost>) -> Self {
        let mut totals = Self {
            requests: used.requests,
            body_bytes: used.body_bytes,
            ..Self::default()
        };
        match handshake {
            None => totals.reused = 1,
            Some(cost) => {
                totals.resumed = u64::from(cost.negotiated.resumed);
                totals.full = 1 - totals.resumed;
                totals.handshake_bytes = cost.bytes_sent + cost.bytes_received;
                totals.cpu_ns = nanoseconds(cost.cpu);
                totals.verify_ns = nanoseconds(cost.verify);
            }
        }
        totals.other_bytes = used
            .wire_bytes
            .saturating_sub(totals.handshake_bytes + totals.body_bytes);
        totals
    }

    /// Handshakes, full or resumed.
    pub const fn handshakes(&self) -> u64 {
        self.full + self.resumed
    }

    /// Adds or subtracts another's, sum by sum.
    pub fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self {
            requests,
            full,
            resumed,
            reused,
            handshake_bytes,
            body_bytes,
            other_bytes,
            cpu_ns,
            verify_ns,
        } = other;
        self.requests = with(self.requests, *requests);
        self.full = with(self.full, *full);
        self.resumed = with(self.resumed, *resumed);
        self.reused = with(self.reused, *reused);
        self.handshake_bytes = with(self.handshake_bytes, *handshake_bytes);
        self.body_bytes = with(self.body_bytes, *body_bytes);
        self.other_bytes = with(self.other_bytes, *other_bytes);
        self.cpu_ns = with(self.cpu_ns, *cpu_ns);
        self.verify_ns = with(self.verify_ns, *verify_ns);
    }
}

/// The sums of one procedure, by hop: `AMF-AUSF`, or `AMF-SCP-AUSF` for the consumer's part of a way through an SCP.
pub type Hops = BTreeMap<String, HopTotals>;

/// The sums of every procedure that occurred. Hops are of the NF types that this project's consumers call, so they are few.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcedureTotals(BTreeMap<Procedure, Hops>);

impl ProcedureTotals {
    /// Adds one use of a connection by a consumer; `along` are the types of NFs from there to the producer.
    pub fn add(
        &mut self,
        procedure: Procedure,
        consumer: &NfType,
        along: &[NfType],
        used: &HopTotals,
    ) {
        let names: Vec<&str> = [consumer]
            .into_iter()
            .chain(along)
            .map(NfType::as_str)
            .collect();
        let hops = self.0.entry(procedure).or_default();
        let hop = hops.entry(names.join("-")).or_default();
        hop.combine(used, u64::saturating_add);
    }

    /// The hops of each procedure.
    pub fn iter(&self) -> impl Iterator<Item = (Procedure, &Hops)> {
        self.0.iter().map(|(procedure, hops)| (*procedure, hops))
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds or subtracts another's, sum by sum.
    pub fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        for (procedure, hops) in &other.0 {
            let mine = self.0.entry(*procedure).or_default();
            for (hop, totals) in hops {
                mine.entry(hop.clone()).or_default().combine(totals, with);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn used(wire_bytes: u64) -> Used {
        Used {
            requests: 2,
            body_bytes: 500,
            wire_bytes,
        }
    }

    fn handshake(resumed: bool) -> HandshakeCost {
        let mut cost = HandshakeCost {
            cpu: Duration::from_micros(300),
            verify: Duration::from_micros(36),
            bytes_sent: 7400,
            bytes_received: 7200,
            ..HandshakeCost::default()
        };
        cost.negotiated.resumed = resumed;
        cost
    }

    #[test]
    fn bytes_are_of_one_kind_each_and_add_up_to_the_wire() {
        let fresh = HopTotals::of(used(16_000), Some(&handshake(false)));
        assert_eq!((fresh.full, fresh.resumed, fresh.reused), (1, 0, 0));
        assert_eq!(
            (fresh.handshake_bytes, fresh.body_bytes, fresh.other_bytes),
            (14_600, 500, 900)
        );
        let reused = HopTotals::of(used(1_400), None);
        assert_eq!((reused.handshakes(), reused.reused), (0, 1));
        assert_eq!((reused.handshake_bytes, reused.other_bytes), (0, 900));
        let resumed = HopTotals::of(used(16_000), Some(&handshake(true)));
        assert_eq!((resumed.full, resumed.resumed), (0, 1));
    }

    #[test]
    fn sums_are_kept_by_procedure_and_hop() {
        let mut totals = ProcedureTotals::default();
        let use_of_it = HopTotals::of(used(1_400), None);
        for producer in [NfType::Ausf, NfType::Udm, NfType::Udm] {
            let along = [producer];
            totals.add(Procedure::Registration, &NfType::Amf, &along, &use_of_it);
        }
        let earlier = totals.clone();
        totals.add(
            Procedure::Deregistration,
            &NfType::Amf,
            &[NfType::Scp, NfType::Udm],
            &use_of_it,
        );
        let sent = serde_json::to_string(&totals).unwrap();
        assert!(
            sent.starts_with(r#"{"registration":{"AMF-AUSF":"#),
            "{sent}"
        );
        assert_eq!(
            serde_json::from_str::<ProcedureTotals>(&sent).unwrap(),
            totals
        );
        let all: BTreeMap<_, _> = totals.iter().collect();
        assert_eq!(all[&Procedure::Registration]["AMF-UDM"].requests, 4);
        totals.combine(&earlier, u64::saturating_sub);
        let later: BTreeMap<_, _> = totals.iter().collect();
        assert_eq!(later[&Procedure::Registration]["AMF-UDM"].requests, 0);
        assert_eq!(later[&Procedure::Deregistration]["AMF-SCP-UDM"].requests, 2);
    }
}
