//! Metrics of what is fetched of the revocation of X.509 certificates.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::{Label, Registry, unix_now};

const KIND: Label = ("kind", "`crl` or `ocsp`");

/// CRLs and OCSP responses that a process fetched. Clones share them.
#[derive(Clone)]
pub struct X509StatusMetrics {
    fetched: IntCounterVec,
    bytes: IntCounterVec,
    failed: IntCounter,
    fresh: IntGauge,
}

impl X509StatusMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            fetched: registry.counters(
                "mtc_x509_status_fetched_total",
                "CRLs and OCSP responses that were fetched.",
                &[KIND],
            ),
            bytes: registry.counters(
                "mtc_x509_status_fetched_bytes_total",
                "Bytes of those and of their requests, without the headers of HTTP.",
                &[KIND],
            ),
            failed: registry.counter(
                "mtc_x509_status_failures_total",
                "Looks after which a CRL or an OCSP response was missing that was due.",
            ),
            fresh: registry.gauge(
                "mtc_x509_status_timestamp_seconds",
                "Unix time at which no CRL or OCSP response was due for the last time; 0 where none is needed.",
            ),
        }
    }

    /// One was fetched.
    pub fn fetched(&self, kind: &'static str, octets: u64) {
        self.fetched.with_label_values(&[kind]).inc();
        self.bytes.with_label_values(&[kind]).inc_by(octets);
    }

    /// One that was due was not fetched.
    pub fn failed(&self) {
        self.failed.inc();
    }

    /// None is due.
    pub fn is_fresh(&self) {
        self.fresh.set(unix_now());
    }
}
