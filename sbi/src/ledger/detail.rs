//! What the handshakes of one side consisted of: bytes by message, negotiation, verification, TCP facts.
//!
//! Sums like everything in the ledger: those of many processes add up exactly.

use mtc_core::verify::Basis;
use mtc_tls::anchor_bytes::AnchorBytes;
use mtc_tls::handshake::{HandshakeCost, Negotiated, Sampled, SampledTcp};
use mtc_tls::record::{MAX_FLIGHTS, MessageBytes, WireBytes};
use mtc_tls::tcp_info::TcpInfo;
use mtc_tls::verification::{Verification, VerifySteps};
use serde::{Deserialize, Serialize};

use super::named::NamedCounts;
use super::nanoseconds;
use super::times::Times;

/// Sums over what handshakes of one side consisted of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HandshakeDetail {
    /// From the established TCP connection to the completed handshake on this side.
    pub elapsed: Times,
    /// What this side sent to say whom it trusts, and what `trust_anchors` would have taken.
    pub anchors: AnchorBytes,
    /// Bytes sent and received, of handshakes whose every byte could be attributed.
    pub wire: WireTotals,
    /// What was negotiated.
    pub negotiated: NegotiatedTotals,
    /// What verifying the peers' certificates consisted of.
    pub verification: VerificationTotals,
    /// Of the handshakes that were sampled.
    pub sampled: SampledTotals,
    /// Failed handshakes by class and cause, `class: cause`.
    pub failures: NamedCounts,
}

impl HandshakeDetail {
    pub(super) fn record(&mut self, cost: &HandshakeCost) {
        self.elapsed.record(cost.elapsed);
        self.anchors
            .combine(&cost.anchors, |mine, more| mine + more);
        self.wire.record(cost.wire.as_ref());
        self.negotiated.record(&cost.negotiated);
        if let Some(verification) = &cost.verification {
            self.verification.record(verification);
        }
        if let Some(sampled) = &cost.sampled {
            self.sampled.record(sampled, cost);
        }
    }

    pub(super) fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self {
            elapsed,
            anchors,
            wire,
            negotiated,
            verification,
            sampled,
            failures,
        } = other;
        self.elapsed.combine(elapsed, with);
        self.anchors.combine(anchors, with);
        self.wire.combine(wire, with);
        self.negotiated.combine(negotiated, with);
        self.verification.combine(verification, with);
        self.sampled.combine(sampled, with);
        self.failures.combine(failures, with);
    }
}

/// Bytes by message and direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WireTotals {
    /// Handshakes that are in these sums.
    pub attributed: u64,
    /// Handshakes with bytes that belong to no known message; nothing of them is in these sums.
    pub unattributed: u64,
    /// Bytes sent, by message.
    pub sent: MessageBytes,
    /// Bytes received, by message.
    pub received: MessageBytes,
    /// Bytes that were read before the handshake was complete and are no part of it.
    pub received_beyond: u64,
    /// Bytes of the largest flight that this side sent.
    pub largest_flight: u64,
}

impl WireTotals {
    fn record(&mut self, wire: Option<&WireBytes>) {
        let Some(WireBytes { sent, received }) = wire else {
            self.unattributed += 1;
            return;
        };
        self.attributed += 1;
        self.sent.combine(&sent.messages, |mine, more| mine + more);
        self.received
            .combine(&received.messages, |mine, more| mine + more);
        self.received_beyond += received.beyond;
        self.largest_flight += sent.flights.iter().max().copied().unwrap_or_default();
    }

    fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self {
            attributed,
            unattributed,
            sent,
            received,
            received_beyond,
            largest_flight,
        } = other;
        self.sent.combine(sent, with);
        self.received.combine(received, with);
        combine_all(
            [
                (&mut self.attributed, attributed),
                (&mut self.unattributed, unattributed),
                (&mut self.received_beyond, received_beyond),
                (&mut self.largest_flight, largest_flight),
            ],
            with,
        );
    }
}

/// Handshakes by what was negotiated, with the names of the IANA registries as rustls spells them; `none` where there was
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NegotiatedTotals {
    /// Protocol version.
    pub versions: NamedCounts,
    /// Cipher suite.
    pub cipher_suites: NamedCounts,
    /// Scheme of this side's CertificateVerify.
    pub own_signatures: NamedCounts,
    /// Scheme of the peer's CertificateVerify.
    pub peer_signatures: NamedCounts,
    /// Application protocol.
    pub alpn: NamedCounts,
    /// Handshakes that resumed a session.
    pub resumed: u64,
    /// Handshakes with a HelloRetryRequest.
    pub hello_retried: u64,
}

impl NegotiatedTotals {
    fn record(&mut self, negotiated: &Negotiated) {
        let Negotiated {
            version,
            cipher_suite,
            own_signature,
            peer_signature,
            alpn,
            resumed,
            hello_retried,
        } = negotiated;
        for (counts, name) in [
            (&mut self.versions, *version),
            (&mut self.cipher_suites, *cipher_suite),
            (&mut self.own_signatures, *own_signature),
            (&mut self.peer_signatures, *peer_signature),
            (&mut self.alpn, alpn.as_deref()),
        ] {
            counts.add(name.unwrap_or("none"), 1);
        }
        self.resumed += u64::from(*resumed);
        self.hello_retried += u64::from(*hello_retried);
    }

    fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self {
            versions,
            cipher_suites,
            own_signatures,
            peer_signatures,
            alpn,
            resumed,
            hello_retried,
        } = other;
        for (mine, theirs) in [
            (&mut self.versions, versions),
            (&mut self.cipher_suites, cipher_suites),
            (&mut self.own_signatures, own_signatures),
            (&mut self.peer_signatures, peer_signatures),
            (&mut self.alpn, alpn),
        ] {
            mine.combine(theirs, with);
        }
        combine_all(
            [
                (&mut self.resumed, resumed),
                (&mut self.hello_retried, hello_retried),
            ],
            with,
        );
    }
}

/// Verified certificates by what made them acceptable, and what there was to verify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VerificationTotals {
    /// Peers' certificates that were verified.
    pub verified: u64,
    /// MTCs in a trusted subtree: no signature was verified.
    pub trusted_subtree: u64,
    /// MTCs in a subtree whose cosignatures were verified before and remembered: no signature was verified.
    pub remembered_subtree: u64,
    /// MTCs whose cosignatures were verified.
    pub cosigned: u64,
    /// Certificates in the chains, leaves included.
    pub certificates: u64,
    /// Hashes in inclusion proofs.
    pub proof_hashes: u64,
    /// Cosignatures carried by certificates.
    pub cosignatures_carried: u64,
    /// Those of cosigners that the verifier was not told of.
    pub cosignatures_unknown: u64,
    /// Bytes of certificates that those take.
    pub unknown_cosignature_bytes: u64,
    /// Cosignatures that were verified.
    pub cosignatures_verified: u64,
}

impl VerificationTotals {
    fn record(&mut self, verification: &Verification) {
        let Verification {
            basis,
            certificates,
            proof_hashes,
            cosignatures_carried,
            cosignatures_unknown,
            unknown_cosignature_bytes,
            cosignatures_verified,
            steps: _,
        } = verification;
        self.verified += 1;
        match basis {
            Some(Basis::TrustedSubtree) => self.trusted_subtree += 1,
            Some(Basis::VerifiedSubtree) => self.remembered_subtree += 1,
            Some(Basis::Cosignatures) => self.cosigned += 1,
            None => {}
        }
        self.certificates += certificates;
        self.proof_hashes += proof_hashes;
        self.cosignatures_carried += cosignatures_carried;
        self.cosignatures_unknown += cosignatures_unknown;
        self.unknown_cosignature_bytes += unknown_cosignature_bytes;
        self.cosignatures_verified += cosignatures_verified;
    }

    fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self {
            verified,
            trusted_subtree,
            remembered_subtree,
            cosigned,
            certificates,
            proof_hashes,
            cosignatures_carried,
            cosignatures_unknown,
            unknown_cosignature_bytes,
            cosignatures_verified,
        } = other;
        combine_all(
            [
                (&mut self.verified, verified),
                (&mut self.trusted_subtree, trusted_subtree),
                (&mut self.remembered_subtree, remembered_subtree),
                (&mut self.cosigned, cosigned),
                (&mut self.certificates, certificates),
                (&mut self.proof_hashes, proof_hashes),
                (&mut self.cosignatures_carried, cosignatures_carried),
                (&mut self.cosignatures_unknown, cosignatures_unknown),
                (
                    &mut self.unknown_cosignature_bytes,
                    unknown_cosignature_bytes,
                ),
                (&mut self.cosignatures_verified, cosignatures_verified),
            ],
            with,
        );
    }
}

/// Sums over the sampled handshakes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SampledTotals {
    /// Handshakes that are in these sums.
    pub handshakes: u64,
    /// Thread CPU time of the whole handshake.
    pub cpu_ns: u64,
    /// Thread CPU time of verification, as a whole.
    pub verify_ns: u64,
    /// Thread CPU time of this side's signatures.
    pub sign_ns: u64,
    /// Thread CPU time of verification, by step.
    pub verify: VerifySteps,
    /// TCP facts.
    pub tcp: TcpTotals,
}

impl SampledTotals {
    fn record(&mut self, sampled: &Sampled, cost: &HandshakeCost) {
        let Sampled { sign, verify, tcp } = sampled;
        self.handshakes += 1;
        self.cpu_ns += nanoseconds(cost.cpu);
        self.verify_ns += nanoseconds(cost.verify);
        self.sign_ns += nanoseconds(*sign);
        self.verify.combine(verify, |mine, more| mine + more);
        if let Some(tcp) = tcp {
            let flights = cost.wire.map(|wire| wire.sent.flights);
            self.tcp.record(tcp, &flights.unwrap_or_default());
        }
    }

    fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self {
            handshakes,
            cpu_ns,
            verify_ns,
            sign_ns,
            verify,
            tcp,
        } = other;
        self.verify.combine(verify, with);
        self.tcp.combine(tcp, with);
        combine_all(
            [
                (&mut self.handshakes, handshakes),
                (&mut self.cpu_ns, cpu_ns),
                (&mut self.verify_ns, verify_ns),
                (&mut self.sign_ns, sign_ns),
            ],
            with,
        );
    }
}

/// Sums over the sampled handshakes whose TCP facts the kernel told, at their completion unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TcpTotals {
    /// Handshakes that are in these sums.
    pub handshakes: u64,
    /// Smoothed round-trip times.
    pub rtt_ns: u64,
    /// Shortest round-trip times of the connections.
    pub min_rtt_ns: u64,
    /// Bytes of the largest segments.
    pub mss: u64,
    /// Congestion windows right after connecting, in segments.
    pub initial_window: u64,
    /// Congestion windows at completion, in segments.
    pub window: u64,
    /// Segments sent again.
    pub retransmissions: u64,
    /// Bytes of payload sent again.
    pub bytes_retransmitted: u64,
    /// Segments sent, those without payload included.
    pub segments_sent: u64,
    /// Segments received, those without payload included.
    pub segments_received: u64,
    /// Flights of this side larger than its initial window.
    pub flights_above_window: u64,
    /// Round trips that this side's flights wait for acknowledgements, by slow start without loss.
    pub extra_round_trips: u64,
    /// Handshakes by congestion control algorithm.
    pub congestion_control: NamedCounts,
}

impl TcpTotals {
    fn record(&mut self, tcp: &SampledTcp, flights: &[u64; MAX_FLIGHTS]) {
        let SampledTcp {
            established,
            complete,
        } = tcp;
        let TcpInfo {
            rtt,
            min_rtt,
            mss,
            congestion_window,
            retransmissions,
            segments_sent,
            segments_received,
            bytes_retransmitted,
            congestion_control,
            ..
        } = complete;
        self.handshakes += 1;
        self.rtt_ns += nanoseconds(*rtt);
        self.min_rtt_ns += nanoseconds(*min_rtt);
        self.mss += u64::from(*mss);
        self.initial_window += u64::from(established.congestion_window);
        self.window += u64::from(*congestion_window);
        self.retransmissions += u64::from(*retransmissions);
        self.bytes_retransmitted += bytes_retransmitted;
        self.segments_sent += u64::from(*segments_sent);
        self.segments_received += u64::from(*segments_received);
        self.flights_above_window += tcp.flights_above_window(flights);
        self.extra_round_trips += tcp.extra_round_trips(flights);
        self.congestion_control.add(congestion_control, 1);
    }

    fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self {
            handshakes,
            rtt_ns,
            min_rtt_ns,
            mss,
            initial_window,
            window,
            retransmissions,
            bytes_retransmitted,
            segments_sent,
            segments_received,
            flights_above_window,
            extra_round_trips,
            congestion_control,
        } = other;
        self.congestion_control.combine(congestion_control, with);
        combine_all(
            [
                (&mut self.handshakes, handshakes),
                (&mut self.rtt_ns, rtt_ns),
                (&mut self.min_rtt_ns, min_rtt_ns),
                (&mut self.mss, mss),
                (&mut self.initial_window, initial_window),
                (&mut self.window, window),
                (&mut self.retransmissions, retransmissions),
                (&mut self.bytes_retransmitted, bytes_retransmitted),
                (&mut self.segments_sent, segments_sent),
                (&mut self.segments_received, segments_received),
                (&mut self.flights_above_window, flights_above_window),
                (&mut self.extra_round_trips, extra_round_trips),
            ],
            with,
        );
    }
}

fn combine_all<const N: usize>(sums: [(&mut u64, &u64); N], with: fn(u64, u64) -> u64) {
    for (mine, theirs) in sums {
        *mine = with(*mine, *theirs);
    }
}
