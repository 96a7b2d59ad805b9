//! What a process knows of revoked certificates, and what it has done about them.

use mtc_core::revocation_list::RevocationList;
use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::registry::Registry;

/// Metrics of revocation. Clones share them.
#[derive(Clone)]
pub struct RevocationMetrics {
    number: IntGauge,
    issued: IntGauge,
    due: IntGauge,
    ranges: IntGauge,
    /// `mtc_revocation_list_refused_total`.
    pub refused: IntCounter,
    /// `nf_revoked_connections_closed_total` by `side`.
    pub closed: IntCounterVec,
}

impl RevocationMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            number: registry.gauge(
                "mtc_revocation_list_number",
                "Number of the list of revoked serial numbers that is in force here; 0 for none.",
            ),
            issued: registry.gauge(
                "mtc_revocation_list_timestamp_seconds",
                "Unix time at which the CA has made that list; 0 for none.",
            ),
            due: registry.gauge(
                "mtc_revocation_list_due_timestamp_seconds",
                "Unix time by which the next list is due, after which that one is stale; 0 for none.",
            ),
            ranges: registry.gauge(
                "mtc_revoked_ranges",
                "Ranges of serial numbers that are refused here.",
            ),
            refused: registry.counter(
                "mtc_revocation_list_refused_total",
                "Lists that were served and not applied: not signed by the CA, or older than the one in force.",
            ),
            closed: registry.counters(
                "nf_revoked_connections_closed_total",
                "Open connections that were closed since the peer's certificate was revoked.",
                &[super::SIDE],
            ),
        }
    }

    /// Shows the list that is in force.
    pub fn show(&self, list: &RevocationList) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.number.set(gauge(list.number));
        self.issued.set(gauge(list.issued.0));
        self.due.set(gauge(list.next.0));
        self.ranges.set(gauge(list.ranges.len() as u64));
    }
}
