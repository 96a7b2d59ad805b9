//! Handlers that pass on every request as it comes, whichever way.
//!
//! ```text
//!  request ──────────────────────────────> Relay::relay ────> `forward`, or `http1`
//!     └── Upgrade to what passes ────────> Relay::upgrade ──> `upgrade`
//! ```

use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Method, StatusCode};
use sbi::body::Body;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Afterwards, Handler, Request};

use crate::upgrade::Asked;

/// What passes on every request as it comes.
pub(crate) trait Relay: Send + Sync + 'static {
    /// As [`Handler::relay`].
    fn relay(
        &self,
        request: Request,
        body: Body,
    ) -> impl Future<Output = Result<hyper::Response<Body>, Problem>> + Send;

    /// As [`Handler::upgrade`], of a request that asks for a protocol that passes.
    fn upgrade(
        &self,
        request: Request,
        asked: Asked,
    ) -> impl Future<Output = Result<(hyper::Response<Body>, Option<Afterwards>), Problem>> + Send;
}

/// Has every request relayed.
pub(crate) struct Relayed<R>(pub(crate) R);

impl<R: Relay> Handler for Relayed<R> {
    const RELAYS: bool = true;
    const OPEN_ENDED: bool = true;
    const UPGRADES: bool = true;

    /// All is relayed.
    async fn handle(&self, _request: Request) -> Result<Response, Problem> {
        Err(Problem::system_failure())
    }

    fn relays(&self, _method: &Method, _path: &str, _headers: &HeaderMap) -> bool {
        true
    }

    async fn relay(&self, request: Request, body: Body) -> Result<hyper::Response<Body>, Problem> {
        refuse_connect(&request)?;
        self.0.relay(request, body).await
    }

    async fn upgrade(
        &self,
        request: Request,
        upgrade: OnUpgrade,
    ) -> Result<(hyper::Response<Body>, Option<Afterwards>), Problem> {
        refuse_connect(&request)?;
        match Asked::of(&request.headers, upgrade) {
            Some(asked) => self.0.upgrade(request, asked).await,
            // Whoever is asked may go on as it was (RFC 9110 section 7.8).
            None => Ok((self.0.relay(request, Body::empty()).await?, None)),
        }
    }
}

/// A sidecar is no proxy for octets: `protocol = "tcp"` is.
fn refuse_connect(request: &Request) -> Result<(), Problem> {
    if request.method == Method::CONNECT {
        let detail = "CONNECT is not passed on";
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, detail));
    }
    Ok(())
}
