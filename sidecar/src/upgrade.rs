//! Requests after which another protocol is spoken on the connection: WebSocket, and SPDY as `kubectl` has it.
//!
//! ```text
//!  program ── GET, Upgrade ──> outbound ══ mutual TLS, HTTP/1.1, a connection of its own ══> inbound ── HTTP/1.1 ──> program
//!          <────── 101 ───────          <═════════════════ 101 ═════════════════════════          <────── 101 ─────
//!          <══════════════════════════ octets as they are, both ways ════════════════════════════════════════════>
//! ```
//!
//! HTTP/2 has no Upgrade (RFC 9113 section 8.2.2), and what it has instead (RFC 8441) few programs know and keeps no method, so these requests
//! alone go over HTTP/1.1. Only protocols pass that carry no requests of HTTP: by `h2c` a peer would ask the program for what nobody looks at.

use std::io;
use std::sync::Arc;

use hyper::StatusCode;
use hyper::client::conn::http1::Builder;
use hyper::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use sbi::body::Body;
use sbi::client::{self, ClientError};
use sbi::header::remove_hop_by_hop;
use sbi::process::Stop;
use sbi::server::Afterwards;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::forward::{ForwardError, PATIENCE};
use crate::http1::{BUFFER, Ended, in_http1};
use crate::metrics::{Direction, SidecarMetrics};
use crate::program::Stream;
use crate::tunnel;

/// What passes.
const PROTOCOLS: [&str; 2] = ["websocket", "SPDY/3.1"];
/// Connections at a port that go on in another protocol, or may be about to.
const CONNECTIONS: usize = 256;

/// A request that asks for another protocol.
pub(crate) struct Asked {
    /// Those of its protocols that pass.
    protocols: HeaderValue,
    /// The connection that it came on.
    upgrade: OnUpgrade,
}

impl Asked {
    /// What a request with `headers` asks for; nothing if that does not pass.
    pub(crate) fn of(headers: &HeaderMap, upgrade: OnUpgrade) -> Option<Self> {
        let protocols = passing(headers)?;
        Some(Self { protocols, upgrade })
    }
}

/// The protocols in `Upgrade` that pass, in the order of preference.
fn passing(headers: &HeaderMap) -> Option<HeaderValue> {
    let values = headers.get_all(UPGRADE).iter();
    let named = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    let passes = |name: &&str| {
        PROTOCOLS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    };
    let passing: Vec<_> = named.map(str::trim).filter(passes).collect();
    if passing.is_empty() {
        return None;
    }
    HeaderValue::from_str(&passing.join(", ")).ok()
}

/// The connections of a port that go on in another protocol.
pub(crate) struct Upgrades {
    direction: Direction,
    places: Arc<Semaphore>,
    metrics: SidecarMetrics,
    stop: Stop,
}

impl Upgrades {
    pub(crate) fn new(direction: Direction, metrics: SidecarMetrics, stop: Stop) -> Self {
        Self {
            direction,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            metrics,
            stop,
        }
    }

    /// Asks, on a new connection, for what was asked for here. The answer, and if that is 101 the passing of octets, which ends some time after
    /// a stop; else its body keeps the connection.
    ///
    /// Dropping the future gives the request up.
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub(crate) async fn ask<S: Stream + 'static>(
        &self,
        connect: impl AsyncFnOnce() -> Result<S, ForwardError>,
        request: client::Request,
        asked: Asked,
    ) -> Result<(hyper::Response<Body>, Option<Afterwards>), ForwardError> {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| ForwardError::Full)?;
        let mut request = in_http1(request, Body::empty())?;
        switch(request.headers_mut(), asked.protocols);
        let mut builder = Builder::new();
        let opening = builder.max_buf_size(BUFFER);
        let opening = opening.handshake(TokioIo::new(connect().await?));
        let (mut sender, connection) = opening.await.map_err(ForwardError::Http1)?;
        let ended = Ended::new(tokio::spawn(connection.with_upgrades()).abort_handle());
        let answer = timeout(PATIENCE, sender.send_request(request)).await;
        let answer = answer.map_err(|_| ClientError::Timeout(PATIENCE))?;
        let mut answer = answer.map_err(ForwardError::Http1)?;
        let has_switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let chosen = passing(answer.headers());
        remove_hop_by_hop(answer.headers_mut());
        if !has_switched {
            let guard = (ended, place);
            return Ok((answer.map(|body| Body::passing(body).guarded(guard)), None));
        }
        switch(answer.headers_mut(), chosen.ok_or(ForwardError::Switched)?);
        let far = hyper::upgrade::on(&mut answer);
        let passing = self.pass(asked.upgrade, far, place);
        Ok((answer.map(|_| Body::empty()), Some(Box::pin(passing))))
    }

    /// Passes octets between a connection that was asked for another protocol and the one that has it.
    fn pass(
        &self,
        near: OnUpgrade,
        far: OnUpgrade,
        place: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (direction, stop) = (self.direction, self.stop.clone());
        let counted = self.metrics.tunnel(direction);
        async move {
            let both = tokio::try_join!(near, far);
            let passed = match both {
                Err(error) => Err(io::Error::other(error)),
                Ok((near, far)) => {
                    let (near, far) = (TokioIo::new(near), TokioIo::new(far));
                    match direction {
                        Direction::Inbound => tunnel::pass(far, near, counted, stop).await,
                        Direction::Outbound => tunnel::pass(near, far, counted, stop).await,
                    }
                }
            };
            drop(place);
            if let Err(error) = passed {
                tracing::debug!(%error, "connection broke off");
            }
        }
    }
}

/// Says in the headers of a message of HTTP/1.1 that its connection goes on in one of `protocols`.
fn switch(headers: &mut HeaderMap, protocols: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocols);
}
