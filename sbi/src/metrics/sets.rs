//! Metrics of trusted sets where they are taken.

use std::time::Duration;

use mtc_core::time::UnixTime;
use prometheus::{Counter, IntCounter, IntGauge};

use super::registry::Registry;

/// What a process takes of the sets that another process writes. Clones share them.
#[derive(Clone)]
pub struct SetMetrics {
    /// `mtc_distribution_taken_set`.
    taken: IntGauge,
    /// `mtc_distribution_taken_checked_timestamp_seconds`.
    checked: IntGauge,
    octets: IntCounter,
    cpu: Counter,
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
            octets: registry.counter(
                "mtc_trust_read_bytes_total",
                "Bytes of landmarks, checkpoints, tiles and lists of revoked serial numbers that were fetched from the logs, or of trusted sets that were read; without those of HTTP.",
            ),
            cpu: registry
                .sums(
                    "mtc_trust_cpu_seconds_total",
                    "CPU time of looking for new landmarks and for what is revoked, and of verifying them; without that of connections.",
                    &[],
                )
                .with_label_values::<&str>(&[]),
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

    /// Shows what all looks have cost so far.
    pub fn show_cost(&self, octets: u64, cpu: Duration) {
        self.octets.inc_by(octets.saturating_sub(self.octets.get()));
        self.cpu
            .inc_by((cpu.as_secs_f64() - self.cpu.get()).max(0.0));
    }

    /// Shows the number of the set that is in force, and when its writer last asked the logs.
    pub fn show(&self, number: u64, checked: UnixTime) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.taken.set(gauge(number));
        self.checked.set(gauge(checked.0));
    }
}
