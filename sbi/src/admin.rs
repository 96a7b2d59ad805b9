//! The admin port: cleartext, for operators and monitoring, never for other NFs.
//!
//! ```text
//! GET /healthz        200 while the process lives
//! GET /readyz         200 when every instance is enrolled, registered and has trust state, else 503 with what is missing
//! GET /metrics        text format of Prometheus, or OpenMetrics for who accepts it
//! GET /measurements   handshake totals by connection profile (JSON): `ledger::Measurements`
//! POST ...            what a network function lets its operator order (`Commands`), if it proves that he has
//! ```
//!
//! HEAD is answered as GET is, without the body.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use hyper::{Method, StatusCode};
use tokio::sync::watch;

use crate::ledger::Ledger;
use crate::metrics::{Exposition, Metrics};
use crate::problem::Problem;
use crate::response::Response;
use crate::server::{Handler, MAX_IGNORED_BODY, Request};

/// Octets of an order.
const MAX_ORDER: usize = 16 * 1024;

/// What the operator of a network function may order at a path of its admin port. The port authenticates nobody: orders must.
pub trait Commands: Send + Sync {
    /// The path.
    fn path(&self) -> &'static str;

    /// Carries out an order.
    fn handle<'a>(
        &'a self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send + 'a>>;
}

/// Answers on the admin port.
pub struct Admin {
    /// What is still missing before the process is ready; empty when it is.
    pub missing: watch::Receiver<String>,
    /// What `/measurements` shows, and its metrics, which `/metrics` shows.
    pub ledger: Arc<Ledger>,
    /// What can be ordered, from when the network function is there.
    pub commands: OnceLock<Box<dyn Commands>>,
}

impl Handler for Admin {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        if let Some(commands) = self.commands_at(&request.path) {
            return commands.handle(&request).await;
        }
        // The server takes the body off an answer to HEAD.
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return Err(Problem::method_not_allowed("GET, HEAD"));
        }
        match request.path.as_str() {
            "/healthz" => Ok(text(StatusCode::OK, "alive\n".to_owned())),
            "/readyz" => Ok(self.readiness()),
            "/metrics" => Ok(self.metrics(Exposition::accepted(&request.headers))),
            "/measurements" => Ok(Response::json(StatusCode::OK, &self.ledger.snapshot())),
            _ => Err(Problem::not_found(
                "there are /healthz, /readyz, /metrics and /measurements",
            )),
        }
    }

    fn max_body(&self, _method: &Method, path: &str) -> usize {
        match self.commands_at(path) {
            Some(_) => MAX_ORDER,
            None => MAX_IGNORED_BODY,
        }
    }
}

impl Admin {
    fn commands_at(&self, path: &str) -> Option<&dyn Commands> {
        let commands = self.commands.get()?;
        (commands.path() == path).then_some(&**commands)
    }

    fn metrics(&self, format: Exposition) -> Response {
        let Metrics {
            ready, registry, ..
        } = self.ledger.metrics();
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

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

    use super::*;
    use crate::server::Peer;

    #[tokio::test]
    async fn head_is_answered_as_get_and_nothing_else_is() {
        let (_missing, missing) = watch::channel(String::new());
        let ledger = Arc::default();
        let commands = OnceLock::new();
        let admin = Admin {
            missing,
            ledger,
            commands,
        };
        let status = async |method: Method, path: &str| {
            let request = Request {
                method,
                path: path.to_owned(),
                query: String::new(),
                headers: HeaderMap::new(),
                body: bytes::Bytes::new(),
                peer: Arc::new(Peer::cleartext(([127, 0, 0, 1], 1).into())),
            };
            match admin.handle(request).await {
                Ok(response) => response.status.as_u16(),
                Err(problem) => problem.status.as_u16(),
            }
        };
        for path in ["/healthz", "/readyz", "/metrics", "/measurements"] {
            assert_eq!(status(Method::GET, path).await, 200, "{path}");
            assert_eq!(status(Method::HEAD, path).await, 200, "{path}");
            assert_eq!(status(Method::POST, path).await, 405, "{path}");
        }
        assert_eq!(status(Method::HEAD, "/other").await, 404);
    }
}
