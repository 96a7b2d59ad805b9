//! The witness over HTTP (c2sp.org/tlog-witness): statuses and bodies around [`WitnessStore`].
//!
//! ```text
//! POST /add-checkpoint                  200 cosignature lines; 400, 403, 404, 409 (with the latest size), 422
//! POST /sign-subtree                    200 a cosignature line; 400, 403, 404, 422
//! GET  /<hex SHA-256 of the origin>/checkpoint     the latest checkpoint cosigned
//! ```

use std::sync::Arc;

use hyper::{Method, StatusCode};
use mtc_core::causes::Causes;
use mtc_log::{CONFLICT_CONTENT_TYPE, MAX_REQUEST_SIZE, Refusal, WitnessStore};
use mtc_tls::clock::Clock;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, Request};
use sbi::telemetry::{Quoted, Throttle};
use tokio::task::spawn_blocking;

use crate::metrics::WitnessMetrics;

const TEXT: &str = "text/plain; charset=utf-8";
static REFUSALS: Throttle = Throttle::new();

/// Answers a witness's requests.
pub struct WitnessApi {
    /// What it has cosigned.
    pub store: Arc<WitnessStore>,
    /// Its clock.
    pub clock: Clock,
    /// Where it counts.
    pub metrics: WitnessMetrics,
}

impl Handler for WitnessApi {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        match (&request.method, request.path.as_str()) {
            (&Method::POST, "/add-checkpoint") => {
                let now = self.clock.now();
                let cosigning =
                    self.cosign(request, move |store, body| store.add_checkpoint(body, now));
                let answer = self.metrics.count("add-checkpoint", cosigning).await;
                if answer
                    .as_ref()
                    .is_ok_and(|answer| answer.status == StatusCode::OK)
                {
                    self.metrics.cosigned_checkpoint(&self.store);
                }
                answer
            }
            (&Method::POST, "/sign-subtree") => {
                let cosigning = self.cosign(request, |store, body| store.sign_subtree(body));
                self.metrics.count("sign-subtree", cosigning).await
            }
            (_, "/add-checkpoint" | "/sign-subtree") => Err(Problem::method_not_allowed("POST")),
            (&Method::GET, path) => self.latest(path),
            _ => Err(Problem::method_not_allowed("GET")),
        }
    }

    /// One octet more, so that who sends a little too much over HTTP/1.1 is told so by the handler after all was read:
    /// closing before that can lose the answer.
    fn max_body(&self, _method: &Method, _path: &str) -> usize {
        MAX_REQUEST_SIZE + 1
    }
}

impl WitnessApi {
    async fn cosign(
        &self,
        request: Request,
        answer: impl FnOnce(&WitnessStore, &[u8]) -> Result<Vec<u8>, Refusal> + Send + 'static,
    ) -> Result<Response, Problem> {
        if request.body.len() > MAX_REQUEST_SIZE {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("more than {MAX_REQUEST_SIZE} bytes"),
            ));
        }
        let store = self.store.clone();
        // A log that has never been here asks nothing, to learn from the refusal that there is a witness.
        let is_probe = request.body.is_empty();
        let answered = spawn_blocking(move || answer(&store, &request.body)).await;
        match answered.map_err(|_| Problem::system_failure())? {
            Ok(lines) => Ok(Response::bytes(StatusCode::OK, TEXT, lines)),
            Err(refusal) => {
                if !is_probe {
                    warn(&refusal);
                }
                Ok(refused(&refusal))
            }
        }
    }

    fn latest(&self, path: &str) -> Result<Response, Problem> {
        let origin_hash = path
            .strip_prefix('/')
            .and_then(|path| path.strip_suffix("/checkpoint"));
        origin_hash
            .and_then(|origin_hash| self.store.latest(origin_hash))
            .map(|note| Response::bytes(StatusCode::OK, TEXT, note))
            .ok_or_else(|| Problem::not_found("there are /add-checkpoint, /sign-subtree and /<hex hash of a log's origin>/checkpoint"))
    }
}

/// Anybody can have requests refused, as fast as the port answers, so not each is told of.
fn warn(refusal: &Refusal) {
    if let Some(left_out) = REFUSALS.pass() {
        let (status, reason) = (refusal.status(), Causes(refusal));
        let reason = Quoted(&reason.to_string()).to_string();
        tracing::warn!(%status, reason, left_out, "did not cosign");
    }
}

/// tlog-witness wants plain bodies: the latest size on a conflict, and a reason for people otherwise.
fn refused(refusal: &Refusal) -> Response {
    let status =
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = Quoted(&Causes(refusal).to_string()).to_string();
    match refusal {
        Refusal::Conflict { latest } => {
            Response::bytes(status, CONFLICT_CONTENT_TYPE, format!("{latest}\n"))
        }
        _ => Response::bytes(status, TEXT, format!("{reason}\n")),
    }
}
