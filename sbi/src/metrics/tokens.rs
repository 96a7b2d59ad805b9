//! Access tokens by what became of them.

use prometheus::IntCounterVec;

use super::{RESULT, Registry};

/// The access tokens of a process. Clones share them.
#[derive(Clone, Debug)]
pub struct TokenMetrics {
    checks: IntCounterVec,
    fetched: IntCounterVec,
}

impl TokenMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            checks: registry.counters(
                "sbi_access_token_checks_total",
                "Requests to services that ask for an access token, by what the token was found to be.",
                &[(
                    "result",
                    "`verified` (its signature, now), `known` (verified before), `absent` (and not required); refused: `missing`, `malformed`, \
                     `key`, `signature`, `expired`, `audience`, `subject`, `assertion` (of whose it is, behind an SCP), `scope`, `slice`",
                )],
            ),
            fetched: registry.counters(
                "sbi_access_token_requests_total",
                "Access tokens that this process asked the NRF for.",
                &[RESULT],
            ),
        }
    }

    /// Counts a request by the result of its token's check, one of those that the label lists.
    pub fn checked(&self, result: &'static str) {
        self.checks.with_label_values(&[result]).inc();
    }

    /// Counts a request for a token.
    pub fn fetched(&self, is_ok: bool) {
        let result = if is_ok { "ok" } else { "failed" };
        self.fetched.with_label_values(&[result]).inc();
    }
}
