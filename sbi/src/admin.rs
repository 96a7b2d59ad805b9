//! The admin port: cleartext, for operators and monitoring, never for other NFs.
//!
//! ```text
//! GET /healthz        200 while the process lives
//! GET /readyz         200 when every instance is enrolled, registered and has trust state, else 503 with what is missing
//! GET /metrics        text format of Prometheus, or OpenMetrics for who accepts it
//! GET /measurements   handshake totals by connection profile (JSON): `ledger::Measurements`
//! ```

use std::sync::Arc;

use hyper::{Method, StatusCode};
use tokio::sync::watch;

use crate::ledger::Ledger;
use crate::metrics::{Exposition, Metrics};
use crate::problem::Problem;
use crate::response::Response;
use crate::server::{Handler, Request};

/// Answers on the admin port.
#[derive(Debug)]
pub struct Admin {
    /// What is still missing before the process is ready; empty when it is.
    pub missing: watch::Receiver<String>,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// What `/measurements` shows.
    pub ledger: Arc<Ledger>,
}

impl Handler for Admin {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        if request.method != Method::GET {
            return Err(Problem::method_not_allowed("GET"));
        }
        match request.path.as_str() {
            "/healthz" => Ok(text(StatusCode::OK, "alive\n".to_owned())),
            "/readyz" => Ok(self.readiness()),
            "/metrics" => Ok(self.metrics(Exposition::accepted(&request.headers))),
            "/measurements" => Ok(Response::json(StatusCode::OK, &self.ledger.snapshot())),
            _ => Err(Problem::not_found(
                "known are /healthz, /readyz, /metrics and /measurements",
            )),
        }
    }
}

impl Admin {
    fn metrics(&self, format: Exposition) -> Response {
        let Metrics {
            ready, registry, ..
        } = &self.metrics;
        ready.set(i64::from(self.missing.borrow().is_empty()));
        let text = format.encode(&registry.gather());
        Response::bytes(StatusCode::OK, format.content_type(), text)
    }

    fn readiness(&self) -> Response {
        let missing = self.missing.borrow();
        if missing.is_empty() {
            text(StatusCode::OK, "ready\n".to_owned())
        } else {
            text(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: {}\n", *missing),
            )
        }
    }
}

fn text(status: StatusCode, body: String) -> Response {
    Response::bytes(status, "text/plain; charset=utf-8", body)
}
