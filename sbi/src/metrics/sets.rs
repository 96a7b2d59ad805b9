//! Metrics of trusted sets where they are taken.

use mtc_core::time::UnixTime;
use prometheus::{IntCounter, IntGauge};

use super::registry::Registry;

/// What a process takes of the sets that another process writes. Clones share them.
#[derive(Clone)]
pub struct SetMetrics {
    /// `mtc_distribution_taken_set`.
    taken: IntGauge,
    /// `mtc_distribution_taken_checked_timestamp_seconds`.
    checked: IntGauge,
    /// `mtc_distribution_refused_total`.
    pub refused: IntCounter,
    /// `mtc_distribution_refused_timestamp_seconds`.
    pub refused_at: IntGauge,
}

impl SetMetrics {
    /// Adds them to `registry`.
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            taken: registry.gauge(
                "mtc_distribution_taken_set",
                "Number of the trusted set that is in force here; 0 for none, and where the logs are asked.",
            ),
            checked: registry.gauge(
                "mtc_distribution_taken_checked_timestamp_seconds",
                "Unix time at which whoever writes the trusted sets of this node last asked the logs with success; 0 if it is not known.",
            ),
            refused: registry.counter(
                "mtc_distribution_refused_total",
                "Looks at a trusted set that was refused: damaged, not signed as it must be, or older than one before.",
            ),
            refused_at: registry.gauge(
                "mtc_distribution_refused_timestamp_seconds",
                "Unix time at which a trusted set was last refused; 0 for never.",
            ),
        }
    }

    /// Shows the number of the set that is in force, and when its writer last asked the logs.
    pub fn show(&self, number: u64, checked: UnixTime) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.taken.set(gauge(number));
        self.checked.set(gauge(checked.0));
    }
}
