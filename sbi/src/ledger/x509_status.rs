//! What a process fetched to know which X.509 certificates were revoked, and to show that its own were not.

use serde::{Deserialize, Serialize};

/// Sums over what was fetched for one X.509 profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct X509StatusTotals {
    /// CRLs that were fetched.
    pub crls: u64,
    /// Their octets, without the headers of HTTP.
    pub crl_bytes: u64,
    /// OCSP responses that were fetched.
    pub responses: u64,
    /// Their octets and those of the requests, without the headers of HTTP.
    pub response_bytes: u64,
}

impl X509StatusTotals {
    /// Counts a list.
    pub const fn record_crl(&mut self, octets: u64) {
        self.crls += 1;
        self.crl_bytes += octets;
    }

    /// Counts an answer and its question.
    pub const fn record_response(&mut self, octets: u64) {
        self.responses += 1;
        self.response_bytes += octets;
    }

    /// Whether there was anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what another process fetched.
    pub const fn merge(&mut self, other: &Self) {
        let Self {
            crls,
            crl_bytes,
            responses,
            response_bytes,
        } = other;
        self.crls += *crls;
        self.crl_bytes += *crl_bytes;
        self.responses += *responses;
        self.response_bytes += *response_bytes;
    }

    /// What was counted after `earlier`; a process that was started again has counted from nothing.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        if self.crls < earlier.crls || self.responses < earlier.responses {
            return *self;
        }
        Self {
            crls: self.crls - earlier.crls,
            crl_bytes: self.crl_bytes.saturating_sub(earlier.crl_bytes),
            responses: self.responses - earlier.responses,
            response_bytes: self.response_bytes.saturating_sub(earlier.response_bytes),
        }
    }
}
