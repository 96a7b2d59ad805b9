//! What it takes to know which X.509 certificates were revoked.

use sbi::ledger::X509StatusTotals;
use serde::{Deserialize, Serialize};

use super::rounding::to_tenth;

/// What the processes that had connections of a variant fetched during the run, from the first of those connections on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusResult {
    /// CRLs: of each CA of the chain one, by each process.
    pub crls: u64,
    /// Mean octets of one.
    pub crl_bytes: Option<f64>,
    /// OCSP responses: one for each certificate of a network function.
    pub responses: u64,
    /// Mean octets of one and its request.
    pub response_bytes: Option<f64>,
    /// Mean octets that a server staples in a handshake.
    pub stapled_bytes: Option<f64>,
}

impl StatusResult {
    /// What `totals` say, and what servers stapled; none where nothing was fetched or stapled.
    pub(crate) fn of(totals: &X509StatusTotals, stapled: Option<f64>) -> Option<Self> {
        let mean = |sum: u64, count: u64| (count > 0).then(|| to_tenth(sum as f64 / count as f64));
        (!totals.is_empty() || stapled.is_some()).then(|| Self {
            crls: totals.crls,
            crl_bytes: mean(totals.crl_bytes, totals.crls),
            responses: totals.responses,
            response_bytes: mean(totals.response_bytes, totals.responses),
            stapled_bytes: stapled,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_of_what_was_fetched() {
        let mut totals = X509StatusTotals::default();
        assert_eq!(StatusResult::of(&totals, None), None);
        totals.record_crl(400);
        totals.record_crl(600);
        totals.record_response(300);
        let status = StatusResult::of(&totals, Some(310.0)).unwrap();
        assert_eq!((status.crls, status.crl_bytes), (2, Some(500.0)));
        assert_eq!((status.responses, status.response_bytes), (1, Some(300.0)));
        assert_eq!(status.stapled_bytes, Some(310.0));
        let later = totals.since(&totals);
        assert!(later.is_empty());
    }
}
