//! What a sidecar tells Prometheus, beyond what every network function does.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use sbi::metrics::Registry;

const DIRECTION: (&str, &str) = (
    "direction",
    "`inbound` (from a peer to the program) or `outbound`",
);

/// The metrics of a sidecar. Clones share them.
#[derive(Clone)]
pub struct SidecarMetrics {
    refused: IntCounterVec,
    tunnels: IntGaugeVec,
    bytes: IntCounterVec,
}

/// Which way a connection was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// By a peer, to the program.
    Inbound,
    /// By the program, to a peer.
    Outbound,
}

impl Direction {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// Why a request or a connection did not get on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The peer may not connect.
    NotAllowed,
    /// It is not known whom the program means.
    UnknownPeer,
    /// The program, or the peer, cannot be reached or does not answer.
    Unreachable,
    /// As many requests are in progress as may be.
    Full,
}

impl SidecarMetrics {
    /// Adds them to `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            refused: registry.counters(
                "sidecar_refused_total",
                "Requests and TCP connections that this sidecar has not passed on.",
                &[
                    DIRECTION,
                    ("reason", "`not-allowed` (the peer fits no rule), `unknown-peer` (nobody knows whom the program means), `unreachable` (no connection, or no answer), `full` (as many requests are in progress as may be)"),
                ],
            ),
            tunnels: registry.gauges(
                "sidecar_tunnels",
                "Open TCP connections that this sidecar passes on.",
                &[DIRECTION],
            ),
            bytes: registry.counters(
                "sidecar_tunnel_bytes_total",
                "Octets of TCP connections that this sidecar has passed on, in cleartext.",
                &[DIRECTION, ("to", "`program` or `peer`")],
            ),
        }
    }

    /// Counts what is not passed on.
    pub(crate) fn refuse(&self, direction: Direction, refusal: Refusal) {
        let reason = match refusal {
            Refusal::NotAllowed => "not-allowed",
            Refusal::UnknownPeer => "unknown-peer",
            Refusal::Unreachable => "unreachable",
            Refusal::Full => "full",
        };
        let labels = [direction.as_str(), reason];
        self.refused.with_label_values(&labels).inc();
    }

    /// Counts a tunnel, for as long as what is returned lives.
    pub(crate) fn tunnel(&self, direction: Direction) -> Counted {
        let direction = direction.as_str();
        let open = self.tunnels.with_label_values(&[direction]);
        open.inc();
        Counted {
            open,
            to_program: self.bytes.with_label_values(&[direction, "program"]),
            to_peer: self.bytes.with_label_values(&[direction, "peer"]),
        }
    }
}

/// An open tunnel, and where its octets are counted.
pub(crate) struct Counted {
    open: IntGauge,
    pub(crate) to_program: IntCounter,
    pub(crate) to_peer: IntCounter,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.dec();
    }
}
