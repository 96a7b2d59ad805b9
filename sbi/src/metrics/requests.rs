//! SBI requests by service, operation and status.

use std::time::Duration;

use hyper::StatusCode;
use mtc_tls::record::Side;
use prometheus::{HistogramVec, IntGauge};

use super::{Registry, SIDE};
use crate::operation::ServiceOperation;

/// The status of a request whose answer never came, or that was given up before.
const NO_ANSWER: &str = "failed";
/// A status that HTTP does not know.
const OTHER: &str = "other";

/// What the SBI requests of this process took. Clones share them.
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    duration: HistogramVec,
    connections: IntGauge,
}

impl RequestMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            duration: registry.times(
                "sbi_request_duration_seconds",
                "Time of an SBI request: on the server from its head to its answer, on the client from sending to the whole answer.",
                &[
                    SIDE,
                    ("service", "name of the service, or `unknown`"),
                    ("operation", "service operation (TS 23.502, TS 29.5xx), or `unknown`"),
                    ("status", "HTTP status, `other` for one that HTTP does not know, or `failed` where no answer came before the client gave up"),
                ],
            ),
            connections: registry.gauge("sbi_connections", "Connections that are accepted, authenticated and open."),
        }
    }

    /// Counts a request.
    pub fn record(
        &self,
        side: Side,
        operation: ServiceOperation,
        status: Option<StatusCode>,
        took: Duration,
    ) {
        // A peer may answer with any number; those that have a meaning are few.
        let status = status.as_ref().map_or(NO_ANSWER, |status| {
            let is_known = status.canonical_reason().is_some();
            if is_known { status.as_str() } else { OTHER }
        });
        self.duration
            .with_label_values(&[
                side.as_str(),
                operation.service,
                operation.operation,
                status,
            ])
            .observe(took.as_secs_f64());
    }

    /// Counts a connection for as long as what is returned lives.
    pub fn open_connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }
}

/// An open connection, counted.
#[derive(Debug)]
pub struct OpenConnection(IntGauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
