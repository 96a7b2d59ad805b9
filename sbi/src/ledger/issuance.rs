//! How long a CA took to issue certificates.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::nanoseconds;

/// Sums over the certificates that an MTCA issued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IssuanceTotals {
    /// Certificates that are in these sums.
    pub certificates: u64,
    /// From the request, which has been checked, to the certificate, which is archived.
    pub issue_ns: u64,
    /// Of that, from the entry to a published checkpoint that covers it and is cosigned.
    pub checkpoint_ns: u64,
}

impl IssuanceTotals {
    /// Counts a certificate.
    pub fn record(&mut self, issue: Duration, checkpoint: Duration) {
        self.certificates += 1;
        self.issue_ns += nanoseconds(issue);
        self.checkpoint_ns += nanoseconds(checkpoint);
    }

    /// Adds what another process issued.
    pub const fn merge(&mut self, other: &Self) {
        self.certificates += other.certificates;
        self.issue_ns += other.issue_ns;
        self.checkpoint_ns += other.checkpoint_ns;
    }

    /// What was counted after `earlier`; a process that was started again has counted from nothing.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        if self.certificates < earlier.certificates {
            return *self;
        }
        Self {
            certificates: self.certificates - earlier.certificates,
            issue_ns: self.issue_ns.saturating_sub(earlier.issue_ns),
            checkpoint_ns: self.checkpoint_ns.saturating_sub(earlier.checkpoint_ns),
        }
    }

    /// Mean milliseconds of one of the sums; none without a certificate.
    pub fn mean_ms(&self, sum_ns: u64) -> Option<f64> {
        (self.certificates > 0).then(|| sum_ns as f64 / self.certificates as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_the_difference_unless_the_process_is_another() {
        let mut earlier = IssuanceTotals::default();
        earlier.record(Duration::from_millis(5), Duration::from_millis(4));
        let mut later = earlier;
        later.record(Duration::from_millis(9), Duration::from_millis(7));
        let second = later.since(&earlier);
        assert_eq!(second.mean_ms(second.issue_ns), Some(9.0));
        assert_eq!(second.mean_ms(second.checkpoint_ns), Some(7.0));
        assert_eq!(earlier.since(&later), earlier);
        assert_eq!(IssuanceTotals::default().mean_ms(0), None);
    }
}
