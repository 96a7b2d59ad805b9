//! What access tokens cost beside the handshakes.

use sbi::ledger::TokenTotals;
use serde::{Deserialize, Serialize};

use super::rounding::{microseconds, to_tenth};

/// The access tokens of a variant, as producers and the NRF counted them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenResult {
    /// Requests that carried a token which permitted them.
    pub requests: u64,
    /// Mean octets of a token, before HPACK.
    pub bytes: Option<f64>,
    /// Octets of tokens in all requests of an operation, before HPACK.
    pub bytes_per_operation: Option<f64>,
    /// Tokens whose signature was verified; a producer remembers it.
    pub verified: u64,
    /// Mean CPU time of that, in microseconds.
    pub verify_us: Option<f64>,
    /// CPU time of that spread over the operations, in microseconds.
    pub verify_us_per_operation: Option<f64>,
    /// Client credentials assertions beside them, where requests came through an SCP with some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertions: Option<AssertionResult>,
    /// Requests that were refused for their token or assertion.
    pub refused: u64,
    /// Tokens that the NRF made: each is an answered token request.
    pub issued: u64,
    /// Mean CPU time of a token request at the NRF, in microseconds.
    pub issue_us: Option<f64>,
}

/// The client credentials assertions of a variant, as producers counted them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssertionResult {
    /// Requests that carried one.
    pub requests: u64,
    /// Mean octets of an assertion, before HPACK.
    pub bytes: Option<f64>,
    /// Octets of assertions in all requests of an operation, before HPACK, on the last leg alone.
    pub bytes_per_operation: Option<f64>,
    /// Assertions whose certificate and signature were verified; a producer remembers it.
    pub verified: u64,
    /// Mean CPU time of that, in microseconds.
    pub verify_us: Option<f64>,
    /// CPU time of that spread over the operations, in microseconds.
    pub verify_us_per_operation: Option<f64>,
}

impl AssertionResult {
    fn of(totals: &TokenTotals, operations: u64) -> Option<Self> {
        let (requests, verified) = (totals.assertions, totals.assertions_verified);
        let verify_ns = totals.assertion_verify_ns;
        (requests > 0).then(|| Self {
            requests,
            bytes: mean(totals.assertion_bytes, requests).map(to_tenth),
            bytes_per_operation: mean(totals.assertion_bytes, operations).map(to_tenth),
            verified,
            verify_us: mean(verify_ns, verified).map(microseconds),
            verify_us_per_operation: mean(verify_ns, operations).map(microseconds),
        })
    }
}

fn mean(sum: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum as f64 / count as f64)
}

impl TokenResult {
    /// What `totals` say of so many operations; none where there were no tokens.
    pub(crate) fn of(totals: &TokenTotals, operations: u64) -> Option<Self> {
        (!totals.is_empty()).then(|| Self {
            requests: totals.requests,
            bytes: mean(totals.bytes, totals.requests).map(to_tenth),
            bytes_per_operation: mean(totals.bytes, operations).map(to_tenth),
            verified: totals.verified,
            verify_us: mean(totals.verify_ns, totals.verified).map(microseconds),
            verify_us_per_operation: mean(totals.verify_ns, operations).map(microseconds),
            assertions: AssertionResult::of(totals, operations),
            refused: totals.refused,
            issued: totals.issued,
            issue_us: mean(totals.issue_ns, totals.issued).map(microseconds),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn tokens_are_spread_over_requests_and_operations() {
        assert_eq!(TokenResult::of(&TokenTotals::default(), 5), None);
        let mut totals = TokenTotals::default();
        totals.record(400, Some(Duration::from_micros(60)));
        for _ in 0..3 {
            totals.record(400, None);
        }
        totals.record_issued(400, Duration::from_micros(90));
        let result = TokenResult::of(&totals, 2).unwrap();
        assert_eq!((result.requests, result.verified, result.issued), (4, 1, 1));
        assert_eq!(
            (result.bytes, result.bytes_per_operation),
            (Some(400.0), Some(800.0))
        );
        assert_eq!(
            (result.verify_us, result.verify_us_per_operation),
            (Some(60.0), Some(30.0))
        );
        assert_eq!(result.issue_us, Some(90.0));
        assert_eq!(result.assertions, None);
        totals.record_assertion(9000, Some(Duration::from_micros(200)));
        totals.record_assertion(9000, None);
        let result = TokenResult::of(&totals, 4).unwrap().assertions.unwrap();
        assert_eq!((result.requests, result.verified), (2, 1));
        assert_eq!(
            (result.bytes, result.bytes_per_operation),
            (Some(9000.0), Some(4500.0))
        );
        assert_eq!(
            (result.verify_us, result.verify_us_per_operation),
            (Some(200.0), Some(50.0))
        );
    }
}
