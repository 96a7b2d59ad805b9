//! Access tokens, and client credentials assertions beside them, counted where they are checked and where they are made.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{is_zero, nanoseconds};

/// Sums over access tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenTotals {
    /// Requests that carried a token which permitted them.
    pub requests: u64,
    /// Octets of those tokens, as they stand in `Authorization` before HPACK.
    pub bytes: u64,
    /// Tokens whose signature was verified; those of the other requests had been before.
    pub verified: u64,
    /// Thread CPU time of that, in nanoseconds.
    pub verify_ns: u64,
    /// Of the requests, those that came through an SCP with an assertion of whose they are.
    #[serde(skip_serializing_if = "is_zero")]
    pub assertions: u64,
    /// Octets of those assertions, as they stand in `3gpp-Sbi-Client-Credentials` before HPACK.
    #[serde(skip_serializing_if = "is_zero")]
    pub assertion_bytes: u64,
    /// Assertions whose certificate and signature were verified; those of the other requests had been before.
    #[serde(skip_serializing_if = "is_zero")]
    pub assertions_verified: u64,
    /// Thread CPU time of that, in nanoseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub assertion_verify_ns: u64,
    /// Requests that were refused for their token or assertion, or for want of one.
    pub refused: u64,
    /// Tokens that the NRF made.
    pub issued: u64,
    /// Octets of those.
    pub issued_bytes: u64,
    /// Thread CPU time of token requests at the NRF, in nanoseconds.
    pub issue_ns: u64,
}

impl TokenTotals {
    /// Counts a request with a token of so many octets, whose signature was verified now if that took time.
    pub fn record(&mut self, octets: usize, verified: Option<Duration>) {
        self.requests += 1;
        self.bytes += octets as u64;
        if let Some(cpu) = verified {
            self.verified += 1;
            self.verify_ns += nanoseconds(cpu);
        }
    }

    /// Counts the assertion of such a request, in the same way.
    pub fn record_assertion(&mut self, octets: usize, verified: Option<Duration>) {
        self.assertions += 1;
        self.assertion_bytes += octets as u64;
        if let Some(cpu) = verified {
            self.assertions_verified += 1;
            self.assertion_verify_ns += nanoseconds(cpu);
        }
    }

    /// Counts a token that was made.
    pub fn record_issued(&mut self, octets: usize, cpu: Duration) {
        self.issued += 1;
        self.issued_bytes += octets as u64;
        self.issue_ns += nanoseconds(cpu);
    }

    /// Whether there were any.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self {
            requests,
            bytes,
            verified,
            verify_ns,
            assertions,
            assertion_bytes,
            assertions_verified,
            assertion_verify_ns,
            refused,
            issued,
            issued_bytes,
            issue_ns,
        } = other;
        self.requests = with(self.requests, *requests);
        self.bytes = with(self.bytes, *bytes);
        self.verified = with(self.verified, *verified);
        self.verify_ns = with(self.verify_ns, *verify_ns);
        self.assertions = with(self.assertions, *assertions);
        self.assertion_bytes = with(self.assertion_bytes, *assertion_bytes);
        self.assertions_verified = with(self.assertions_verified, *assertions_verified);
        self.assertion_verify_ns = with(self.assertion_verify_ns, *assertion_verify_ns);
        self.refused = with(self.refused, *refused);
        self.issued = with(self.issued, *issued);
        self.issued_bytes = with(self.issued_bytes, *issued_bytes);
        self.issue_ns = with(self.issue_ns, *issue_ns);
    }
}
