//! What the SCP tells Prometheus of the requests that it routes.

use prometheus::{IntCounter, IntCounterVec, IntGauge};
use sbi::metrics::Registry;

use super::ask::Model;

/// The outcome of a request that was answered by its producer, whatever the status.
const ANSWERED: &str = "answered";
/// The outcome of a request whose refusal has no cause.
const REFUSED: &str = "refused";

/// The metrics of routing. Clones share them.
#[derive(Clone)]
pub struct RoutingMetrics {
    requests: IntCounterVec,
    retries: IntCounterVec,
    discoveries: IntCounterVec,
    circuits: IntGauge,
    overloaded: IntGauge,
    connections: IntGauge,
    in_progress: IntGauge,
    request_bytes: IntCounter,
    answer_bytes: IntCounter,
}

/// Which way a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// To the producer.
    Request,
    /// To the consumer.
    Answer,
}

impl RoutingMetrics {
    /// Adds them to `registry`.
    pub fn new(registry: &Registry) -> Self {
        let bytes = registry.counters(
            "sbi_routed_body_bytes_total",
            "Octets of the bodies of routed requests and their answers that this SCP has taken from whoever sends them.",
            &[("direction", "`request` or `answer`")],
        );
        Self {
            request_bytes: bytes.with_label_values(&["request"]),
            answer_bytes: bytes.with_label_values(&["answer"]),
            requests: registry.counters(
                "sbi_routed_requests_total",
                "Requests that this SCP was asked to route.",
                &[
                    ("model", "`c`, `d` (TS 23.501 annex E), `nrf` for a discovery that goes to the NRF as it is, or `unknown` where the headers cannot be read"),
                    ("outcome", "`answered` by the producer, or the cause that this SCP refused with (TS 29.500 clause 6.10), `refused` without one"),
                ],
            ),
            retries: registry.counters(
                "sbi_routing_retries_total",
                "Routed requests that were sent to another producer because the one before failed.",
                &[("model", "`c` or `d`")],
            ),
            discoveries: registry.counters(
                "sbi_routing_discoveries_total",
                "Looks for the producers of routed requests.",
                &[("result", "`hit` (known from an earlier answer of the NRF) or `miss`")],
            ),
            circuits: registry.gauge(
                "sbi_routing_circuits_open",
                "Producers that are left alone because requests to them failed several times in a row.",
            ),
            overloaded: registry.gauge(
                "sbi_routing_producers_overloaded",
                "Producers that have asked for fewer requests (`3gpp-Sbi-Oci`), as of the last answer.",
            ),
            connections: registry.gauge(
                "sbi_routing_connections",
                "Open connections to producers.",
            ),
            in_progress: registry.gauge(
                "sbi_routing_requests_in_progress",
                "Requests that are being routed.",
            ),
        }
    }

    /// A request of `model` ended; with the cause of its refusal, if it was refused by the SCP itself.
    pub(super) fn routed(&self, model: Option<Model>, refusal: Option<Option<&str>>) {
        let model = model.map_or("unknown", Model::as_str);
        let outcome = refusal.map_or(ANSWERED, |cause| cause.unwrap_or(REFUSED));
        self.requests.with_label_values(&[model, outcome]).inc();
    }

    /// A request of `model` is sent to another producer.
    pub(super) fn retried(&self, model: Model) {
        self.retries.with_label_values(&[model.as_str()]).inc();
    }

    /// Producers were looked for.
    pub(super) fn looked_up(&self, is_hit: bool) {
        let result = if is_hit { "hit" } else { "miss" };
        self.discoveries.with_label_values(&[result]).inc();
    }

    /// Octets of a body were taken.
    pub(super) fn passed(&self, direction: Direction, octets: u64) {
        match direction {
            Direction::Request => self.request_bytes.inc_by(octets),
            Direction::Answer => self.answer_bytes.inc_by(octets),
        }
    }

    /// So many circuits are open.
    pub(super) fn open_circuits(&self, count: usize) {
        self.circuits.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// So many producers want fewer requests.
    pub(super) fn overloaded_producers(&self, count: usize) {
        self.overloaded
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts a connection to a producer for as long as what is returned lives.
    pub(super) fn connect(&self) -> Counted {
        Counted::new(&self.connections)
    }

    /// Counts a request as in progress for as long as what is returned lives.
    pub(super) fn begin(&self) -> Counted {
        Counted::new(&self.in_progress)
    }
}

/// One more in a gauge.
#[derive(Debug)]
pub(super) struct Counted(IntGauge);

impl Counted {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
