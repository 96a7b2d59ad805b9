//! What a distributor tells Prometheus, beyond what every process does.

use prometheus::{IntCounter, IntCounterVec, IntGauge};
use sbi::metrics::{Registry, unix_now};

use crate::sets::SetSummary;

/// The metrics of a distributor. Clones share them.
#[derive(Clone)]
pub struct DistributorMetrics {
    set: IntGauge,
    made: IntGauge,
    landmark: IntGauge,
    expires: IntGauge,
    checked: IntGauge,
    pinned: IntGauge,
    rolled_back: IntGauge,
    held: IntGauge,
    published: IntCounter,
    looks: IntCounterVec,
}

impl DistributorMetrics {
    /// Adds them to `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            set: registry.gauge(
                "mtc_distribution_set",
                "Number of the trusted set that is current on this node; 0 for none.",
            ),
            made: registry.gauge(
                "mtc_distribution_set_timestamp_seconds",
                "Unix time at which it was written; 0 for none.",
            ),
            landmark: registry.gauge(
                "mtc_distribution_landmark",
                "Number of the newest landmark in it; 0 for none.",
            ),
            expires: registry.gauge(
                "mtc_distribution_expiry_timestamp_seconds",
                "Unix time at which the last of its landmarks expires, after which nothing is left to distribute; 0 for none.",
            ),
            checked: registry.gauge(
                "mtc_distribution_checked_timestamp_seconds",
                "Unix time at which the logs were last asked with success; if that was before this process or never, what the folder says, or the time of the start.",
            ),
            pinned: registry.gauge(
                "mtc_distribution_pinned",
                "1 while an operator keeps the set from being replaced, else 0.",
            ),
            rolled_back: registry.gauge(
                "mtc_distribution_rolled_back",
                "1 while an operator has gone back to an earlier set, else 0.",
            ),
            held: registry.gauge(
                "mtc_distribution_held_sets",
                "Sets that are held back, since this node is no canary for them.",
            ),
            published: registry.counter(
                "mtc_distribution_published_total",
                "Sets that this process has published.",
            ),
            looks: registry.counters(
                "mtc_distribution_looks_total",
                "Looks at the logs.",
                &[(
                    "result",
                    "`ok`, `failed` (the logs do not answer, or show what does not verify), `unwritten` (the folder of the sets cannot be written)",
                )],
            ),
        }
    }

    /// Begins with when the logs were last asked with success, if the folder says so: how old what it has is shows, too, if no look succeeds.
    pub(crate) fn begin(&self, checked: Option<u64>) {
        let checked = checked.and_then(|checked| i64::try_from(checked).ok());
        let now = unix_now();
        // A clock may have been ahead.
        self.checked
            .set(checked.map_or(now, |checked| now.min(checked)));
    }

    /// Shows the current set.
    pub(crate) fn show(&self, set: &SetSummary) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.set.set(gauge(set.number));
        self.made.set(gauge(set.made));
        self.landmark.set(set.landmark.parse().unwrap_or(0));
        self.expires.set(gauge(set.expires.unwrap_or(0)));
        self.pinned.set(i64::from(set.pin.is_some()));
        let rolled_back = set.pin.as_ref().and_then(|pin| pin.rolled_back_from);
        self.rolled_back.set(i64::from(rolled_back.is_some()));
    }

    /// Whether a set was shown.
    pub(crate) fn has_set(&self) -> bool {
        self.set.get() > 0
    }

    /// Shows how many sets are held back.
    pub(crate) fn hold(&self, sets: usize) {
        self.held.set(i64::try_from(sets).unwrap_or(i64::MAX));
    }

    /// Counts a set that was published.
    pub(crate) fn published(&self) {
        self.published.inc();
    }

    /// Counts a look at the logs.
    pub(crate) fn looked(&self, result: &str) {
        self.looks.with_label_values(&[result]).inc();
        if result == "ok" {
            self.checked.set(unix_now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_the_logs_were_asked_begins_with_the_folders_word_or_with_the_start() {
        let metrics = DistributorMetrics::new(&Registry::default());
        let begun = |checked| {
            metrics.begin(checked);
            metrics.checked.get()
        };
        let before = unix_now();
        assert!(begun(None) >= before);
        assert_eq!(begun(Some(5)), 5);
        let future = begun(u64::try_from(before).ok().map(|before| before + 86_400));
        assert!((before..before + 86_400).contains(&future), "{future}");
    }
}
