//! What a variant's handshakes consisted of: bytes by message, CPU by step, negotiation, TCP facts, round trips.
//!
//! Means of the sums in [`sbi::ledger::HandshakeDetail`], which stand beside them in `totals`.

use std::collections::BTreeMap;

use mtc_tls::anchor_bytes::AnchorBytes;
use sbi::ledger::{
    HandshakeTotals, NamedCounts, NfTotals, SampledTotals, TcpTotals, VerificationTotals,
};
use serde::{Deserialize, Serialize};

use super::Latency;
use super::rounding::{microseconds, to_hundredth, to_tenth};
use crate::measure::Histogram;

/// Round-trip times below this are the kernel's own; what was observed cannot be counted in them.
pub const MIN_RTT_MS: f64 = 1.0;

/// What the handshakes of a variant consisted of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HandshakeResult {
    /// The sides that opened connections.
    pub client: SideResult,
    /// The sides that accepted them.
    pub server: SideResult,
    /// Round trips until the client's handshake is complete, TCP's included.
    pub round_trips: Option<RoundTrips>,
}

/// One side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SideResult {
    /// From the established TCP connection to the completed handshake on this side, each off by at most a hundredth.
    #[serde(default)]
    pub handshake_ms: Option<Latency>,
    /// Mean bytes sent per handshake by message, and `record_layer`; they add up to the mean of the side's bytes.
    pub bytes_by_message: BTreeMap<String, f64>,
    /// Handshakes with bytes that belong to no known message; nothing of them is in `bytes_by_message`.
    pub unattributed: u64,
    /// What saying whom it trusts takes, where it does so by names that stand in for `trust_anchors`; part of the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_anchors: Option<AnchorResult>,
    /// Mean bytes of the largest flight.
    pub largest_flight: Option<f64>,
    /// CPU time by step, of sampled handshakes.
    pub cpu: Option<CpuSplit>,
    /// What verifying peers' certificates consisted of.
    pub verification: VerificationResult,
    /// What was negotiated.
    pub negotiated: BTreeMap<String, BTreeMap<String, u64>>,
    /// TCP facts, of sampled handshakes.
    pub tcp: Option<TcpResult>,
    /// Failed handshakes by class and cause.
    pub failures: BTreeMap<String, u64>,
}

/// Mean bytes per handshake of saying whom one trusts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnchorResult {
    /// By names in `certificate_authorities`, as they were sent.
    pub stand_in: f64,
    /// By `trust_anchors`, had it been sent, with the mark on a certificate that it chose.
    pub trust_anchors: f64,
    /// The list of what a server has, which it may send for a client's second attempt; none was.
    pub available: f64,
}

/// Mean CPU time of the sampled handshakes by step, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CpuSplit {
    /// Handshakes that were sampled.
    pub sampled: u64,
    /// The whole handshake.
    pub total_us: f64,
    /// This side's signature.
    pub sign_us: f64,
    /// Verifying the peer's certificate, as a whole.
    pub verify_us: f64,
    /// Verification by step; the steps add up to a little less than `verify_us`, which has the first reading of the clock too.
    pub verify_steps_us: BTreeMap<String, f64>,
    /// What is left: key exchange, CertificateVerify of the peer, key schedule, records, socket calls.
    pub other_us: f64,
}

/// What there was to verify, as means per verified certificate, and what made certificates acceptable, as counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VerificationResult {
    /// Verified certificates.
    pub verified: u64,
    /// MTCs in a trusted subtree.
    pub trusted_subtree: u64,
    /// MTCs in a subtree that was verified before and remembered.
    pub remembered_subtree: u64,
    /// MTCs whose cosignatures were verified.
    pub cosigned: u64,
    /// Certificates in a chain.
    pub certificates: Option<f64>,
    /// Hashes in an inclusion proof.
    pub proof_hashes: Option<f64>,
    /// Cosignatures on a certificate.
    pub cosignatures_carried: Option<f64>,
    /// Those of cosigners that the verifier was not told of, where there were some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosignatures_unknown: Option<f64>,
    /// Bytes that those take of a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_cosignature_bytes: Option<f64>,
    /// Cosignatures that were verified.
    pub cosignatures_verified: Option<f64>,
}

/// Means of TCP facts at the completion of sampled handshakes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TcpResult {
    /// Handshakes of which the kernel told.
    pub sampled: u64,
    /// Smoothed round-trip time.
    pub rtt_ms: f64,
    /// Shortest round-trip time of a connection.
    pub min_rtt_ms: f64,
    /// Bytes of the largest segment.
    pub mss: f64,
    /// Congestion window right after connecting, in segments.
    pub initial_window: f64,
    /// Congestion window at completion, in segments.
    pub window: f64,
    /// Segments sent again.
    pub retransmissions: f64,
    /// Segments sent and received, those without payload included.
    pub segments_sent: f64,
    /// Segments received, those without payload included.
    pub segments_received: f64,
    /// Flights of this side larger than its initial window, per handshake.
    pub flights_above_window: f64,
    /// Round trips that this side's flights wait for acknowledgements, by slow start without loss, per handshake.
    pub extra_round_trips: f64,
    /// Sampled handshakes by congestion control algorithm.
    pub congestion_control: BTreeMap<String, u64>,
}

/// Round trips from the start of TCP connect until the client's handshake is complete.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundTrips {
    /// From bytes, segment size and initial window: TCP's, TLS', one for each HelloRetryRequest, and the waits of the
    /// server's flight.
    pub derived: f64,
    /// From the clock: median time of connecting and of the handshake over the shortest round-trip time; none below a
    /// millisecond, where it would count computing.
    pub observed: Option<f64>,
}

impl HandshakeResult {
    /// `connected_ms` and `handshake_ms` are medians at the load generator.
    pub(super) fn of(
        totals: &NfTotals,
        connected_ms: Option<f64>,
        handshake_ms: Option<f64>,
    ) -> Self {
        let NfTotals { client, server, .. } = totals;
        let client_result = SideResult::of(client);
        let server_result = SideResult::of(server);
        let min_rtt_ms = client_result.tcp.as_ref().map(|tcp| tcp.min_rtt_ms);
        let observed = || {
            let rtt = min_rtt_ms.filter(|rtt| *rtt >= MIN_RTT_MS)?;
            Some(to_hundredth((connected_ms? + handshake_ms?) / rtt))
        };
        let derived = || {
            let waits = server_result.tcp.as_ref()?.extra_round_trips;
            let retried = client.mean(client.detail.negotiated.hello_retried)?;
            Some(to_hundredth(2.0 + retried + waits))
        };
        let round_trips = derived().map(|derived| RoundTrips {
            derived,
            observed: observed(),
        });
        Self {
            client: client_result,
            server: server_result,
            round_trips,
        }
    }
}

impl SideResult {
    fn of(totals: &HandshakeTotals) -> Self {
        let detail = &totals.detail;
        let wire = &detail.wire;
        let parts = wire.sent.parts().into_iter();
        let bytes_by_message = parts
            .filter(|(_, bytes)| *bytes > 0)
            .filter_map(|(name, bytes)| {
                let mean = mean(bytes, wire.attributed)?;
                Some((name.to_owned(), to_tenth(mean)))
            })
            .collect();
        let negotiated = &detail.negotiated;
        let of = |name: &str, counts: &NamedCounts| (name.to_owned(), named(counts));
        let count = |name: &str, yes: u64| {
            let counts = [("yes", yes), ("no", totals.handshakes.saturating_sub(yes))];
            let counts = counts.into_iter().filter(|(_, count)| *count > 0);
            let counts = counts.map(|(name, count)| (name.to_owned(), count));
            (name.to_owned(), counts.collect())
        };
        Self {
            handshake_ms: Latency::of(&Histogram::from(&detail.elapsed)),
            bytes_by_message,
            unattributed: wire.unattributed,
            trust_anchors: AnchorResult::of(totals),
            largest_flight: mean(wire.largest_flight, wire.attributed).map(to_tenth),
            cpu: CpuSplit::of(&detail.sampled),
            verification: VerificationResult::of(&detail.verification),
            negotiated: BTreeMap::from([
                of("version", &negotiated.versions),
                of("cipher_suite", &negotiated.cipher_suites),
                of("own_signature", &negotiated.own_signatures),
                of("peer_signature", &negotiated.peer_signatures),
                of("alpn", &negotiated.alpn),
                count("resumed", negotiated.resumed),
                count("hello_retried", negotiated.hello_retried),
            ]),
            tcp: TcpResult::of(&detail.sampled.tcp),
            failures: named(&detail.failures),
        }
    }
}

impl AnchorResult {
    fn of(totals: &HandshakeTotals) -> Option<Self> {
        let AnchorBytes {
            stand_in,
            trust_anchors,
            available,
        } = totals.detail.anchors;
        let each = |sum| totals.mean(sum).map(to_tenth);
        Some(Self {
            stand_in: each(stand_in).filter(|bytes| *bytes > 0.0)?,
            trust_anchors: each(trust_anchors)?,
            available: each(available)?,
        })
    }
}

impl std::ops::Add for AnchorResult {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            stand_in: self.stand_in + other.stand_in,
            trust_anchors: self.trust_anchors + other.trust_anchors,
            available: self.available + other.available,
        }
    }
}

impl CpuSplit {
    fn of(sampled: &SampledTotals) -> Option<Self> {
        let us = |ns| mean(ns, sampled.handshakes).map(microseconds);
        let other = sampled
            .cpu_ns
            .saturating_sub(sampled.sign_ns + sampled.verify_ns);
        let steps = sampled.verify.parts().into_iter();
        Some(Self {
            sampled: sampled.handshakes,
            total_us: us(sampled.cpu_ns)?,
            sign_us: us(sampled.sign_ns)?,
            verify_us: us(sampled.verify_ns)?,
            verify_steps_us: steps
                .filter(|(_, ns)| *ns > 0)
                .filter_map(|(name, ns)| Some((name.to_owned(), us(ns)?)))
                .collect(),
            other_us: us(other)?,
        })
    }
}

impl VerificationResult {
    fn of(totals: &VerificationTotals) -> Self {
        let each = |sum| mean(sum, totals.verified).map(to_hundredth);
        Self {
            verified: totals.verified,
            trusted_subtree: totals.trusted_subtree,
            remembered_subtree: totals.remembered_subtree,
            cosigned: totals.cosigned,
            certificates: each(totals.certificates),
            proof_hashes: each(totals.proof_hashes),
            cosignatures_carried: each(totals.cosignatures_carried),
            cosignatures_unknown: each(totals.cosignatures_unknown).filter(|count| *count > 0.0),
            unknown_cosignature_bytes: each(totals.unknown_cosignature_bytes)
                .filter(|bytes| *bytes > 0.0),
            cosignatures_verified: each(totals.cosignatures_verified),
        }
    }
}

impl TcpResult {
    fn of(totals: &TcpTotals) -> Option<Self> {
        let each = |sum| mean(sum, totals.handshakes).map(to_hundredth);
        let ms = |ns| mean(ns, totals.handshakes).map(|ns| ns.round() / 1e6);
        Some(Self {
            sampled: totals.handshakes,
            rtt_ms: ms(totals.rtt_ns)?,
            min_rtt_ms: ms(totals.min_rtt_ns)?,
            mss: each(totals.mss)?,
            initial_window: each(totals.initial_window)?,
            window: each(totals.window)?,
            retransmissions: each(totals.retransmissions)?,
            segments_sent: each(totals.segments_sent)?,
            segments_received: each(totals.segments_received)?,
            flights_above_window: each(totals.flights_above_window)?,
            extra_round_trips: each(totals.extra_round_trips)?,
            congestion_control: named(&totals.congestion_control),
        })
    }
}

fn named(counts: &NamedCounts) -> BTreeMap<String, u64> {
    counts
        .iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

fn mean(sum: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum as f64 / count as f64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mtc_tls::handshake::{HandshakeCost, Negotiated, Sampled, SampledTcp};
    use mtc_tls::record::{DirectionBytes, MessageBytes, WireBytes};
    use mtc_tls::tcp_info::TcpInfo;
    use mtc_tls::verification::VerifySteps;

    use super::*;

    fn cost(flight: u64, rtt: Duration) -> HandshakeCost {
        let messages = MessageBytes {
            certificate: flight - 100,
            record_layer: 100,
            ..MessageBytes::default()
        };
        let sent = DirectionBytes {
            messages,
            flights: [flight, 0, 0],
            beyond: 0,
        };
        let tcp = TcpInfo {
            rtt,
            min_rtt: rtt,
            mss: 1448,
            congestion_window: 10,
            congestion_control: "cubic".to_owned(),
            ..TcpInfo::default()
        };
        HandshakeCost {
            elapsed: 4 * rtt,
            cpu: Duration::from_micros(300),
            verify: Duration::from_micros(60),
            wire: Some(WireBytes {
                sent,
                received: sent,
            }),
            negotiated: Negotiated {
                alpn: Some("h2".to_owned()),
                ..Negotiated::default()
            },
            sampled: Some(Sampled {
                sign: Duration::from_micros(100),
                verify: VerifySteps {
                    parse_ns: 5_000,
                    cosignatures_ns: 50_000,
                    ..VerifySteps::default()
                },
                tcp: Some(SampledTcp {
                    established: tcp.clone(),
                    complete: tcp,
                }),
            }),
            ..HandshakeCost::default()
        }
    }

    fn totals(flights: &[u64], rtt: Duration) -> NfTotals {
        let mut totals = NfTotals::default();
        for flight in flights {
            totals.client.record(&cost(1_454, rtt));
            totals.server.record(&cost(*flight, rtt));
        }
        totals
    }

    #[test]
    fn means_are_those_of_the_sums() {
        let totals = totals(&[1_000, 2_000], Duration::from_micros(50));
        let result = HandshakeResult::of(&totals, Some(0.1), Some(0.9));
        let server = result.server;
        let handshake_ms = server.handshake_ms.map(|latency| latency.p50).unwrap();
        assert!((handshake_ms - 0.2).abs() < 0.002, "{handshake_ms}");
        assert_eq!(
            server.bytes_by_message,
            BTreeMap::from([
                ("certificate".to_owned(), 1_400.0),
                ("record_layer".to_owned(), 100.0)
            ])
        );
        let cpu = server.cpu.unwrap();
        assert_eq!((cpu.sampled, cpu.total_us, cpu.sign_us), (2, 300.0, 100.0));
        assert_eq!((cpu.verify_us, cpu.other_us), (60.0, 140.0));
        assert_eq!(
            cpu.verify_steps_us,
            BTreeMap::from([("cosignatures".to_owned(), 50.0), ("parse".to_owned(), 5.0)])
        );
        assert_eq!(
            server.negotiated["alpn"],
            BTreeMap::from([("h2".to_owned(), 2)])
        );
        assert_eq!(
            server.negotiated["resumed"],
            BTreeMap::from([("no".to_owned(), 2)])
        );
    }

    #[test]
    fn a_flight_above_the_initial_window_costs_a_round_trip() {
        let rtt = Duration::from_millis(20);
        for (flight, above, round_trips) in [
            (14_480, 0.0, 2.0),
            (14_481, 1.0, 3.0),
            (43_440, 1.0, 3.0),
            (43_441, 1.0, 4.0),
        ] {
            let result = HandshakeResult::of(&totals(&[flight], rtt), Some(20.0), Some(41.0));
            let tcp = result.server.tcp.unwrap();
            assert_eq!(tcp.flights_above_window, above, "{flight}");
            let found = result.round_trips.unwrap();
            assert_eq!(found.derived, round_trips, "{flight}");
            assert_eq!(found.observed, Some(3.05));
        }
    }

    #[test]
    fn loopback_shows_no_round_trips() {
        let result = HandshakeResult::of(
            &totals(&[1_000], Duration::from_micros(40)),
            Some(0.1),
            Some(0.9),
        );
        assert_eq!(result.round_trips.unwrap().observed, None);
        let nothing = HandshakeResult::of(&NfTotals::default(), None, None);
        assert_eq!(nothing.round_trips, None);
        assert_eq!((nothing.client.cpu, nothing.client.tcp), (None, None));
    }
}
