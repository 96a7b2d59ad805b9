//! What the SCP tells Prometheus of the requests that it routes.

use prometheus::{IntCounterVec, IntGauge};
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
    connections: IntGauge,
    in_progress: IntGauge,
}

impl RoutingMetrics {
    /// Adds them to `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
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
            connections: registry.gauge(
                "sbi_routing_connections",
                "Connections to producers that are kept or being opened, as of the last that was opened.",
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

    /// So many circuits are open.
    pub(super) fn open_circuits(&self, count: usize) {
        self.circuits.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// There are so many connections to producers.
    pub(super) fn connections(&self, count: usize) {
        self.connections
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts a request as in progress for as long as what is returned lives.
    pub(super) fn begin(&self) -> InProgress {
        self.in_progress.inc();
        InProgress(self.in_progress.clone())
    }
}

/// A request that is being routed, counted.
pub(super) struct InProgress(IntGauge);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.dec();
    }
}
