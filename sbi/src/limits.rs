//! What a process grants its peers: the `[limits]` of its configuration, and what its ports share.

use std::net::IpAddr;

use prometheus::IntCounterVec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::{Budget, DEFAULT_BUDGET};
use crate::metrics::Metrics;

/// Connections of one source address at one port where the configuration does not say: a quarter of a port's places, and more
/// than any peer needs but a load generator.
const DEFAULT_CONNECTIONS_PER_ADDRESS: usize = 1024;

/// `[limits]` of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// MiB that unanswered requests and unread answers of all peers may take together; beyond it a request is answered
    /// with 503. Peers without a certificate may take half of it.
    pub held_mib: u32,
    /// Connections that one source address (IPv6: one /64) may have at one port; 0 for any number. Does not apply to
    /// loopback.
    pub connections_per_address: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            held_mib: (DEFAULT_BUDGET >> 20) as u32,
            connections_per_address: DEFAULT_CONNECTIONS_PER_ADDRESS,
        }
    }
}

impl LimitsConfig {
    /// Whether every limit is the default one.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The limits in force, shared by the ports of a process. Clones share them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// What pays for requests and answers.
    pub budget: Budget,
    per_address: Option<usize>,
    refused: IntCounterVec,
}

/// Why a connection was closed before it was served; the values of a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its address has as many as it may.
    Address,
    /// It was the oldest that had not spoken when a newer one came.
    Newer,
}

impl Default for Limits {
    /// The default ones, of a port that tells nobody.
    fn default() -> Self {
        Self::new(&LimitsConfig::default(), &Metrics::new())
    }
}

impl Limits {
    /// Those of `config`, told in `metrics`, whose budget they set.
    pub fn new(config: &LimitsConfig, metrics: &Metrics) -> Self {
        metrics
            .budget
            .set_limit((config.held_mib as usize).saturating_mul(1 << 20));
        let per_address = config.connections_per_address;
        Self {
            budget: metrics.budget.clone(),
            per_address: (per_address > 0).then_some(per_address),
            refused: metrics.connections_refused.clone(),
        }
    }

    /// How many connections `address` may have at a port; none for any number.
    pub(crate) fn of_address(&self, address: IpAddr) -> Option<usize> {
        self.per_address.filter(|_| !address.is_loopback())
    }

    pub(crate) fn count(&self, reason: Refused) {
        let reason = match reason {
            Refused::Address => "address",
            Refused::Newer => "newer",
        };
        self.refused.with_label_values(&[reason]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_no_limit_and_others_have_the_configured_one() {
        let config = LimitsConfig {
            connections_per_address: 7,
            held_mib: 3,
        };
        let metrics = Metrics::new();
        let limits = Limits::new(&config, &metrics);
        assert_eq!(metrics.budget.limit(), 3 << 20);
        assert_eq!(limits.of_address([127, 0, 0, 2].into()), None);
        assert_eq!(limits.of_address([10, 0, 0, 2].into()), Some(7));
        let any = LimitsConfig {
            connections_per_address: 0,
            ..config
        };
        let limits = Limits::new(&any, &metrics);
        assert_eq!(limits.of_address([10, 0, 0, 2].into()), None);
    }
}
