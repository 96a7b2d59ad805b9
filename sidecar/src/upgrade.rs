//! Requests after which another protocol is spoken on the connection: WebSocket, and SPDY as `kubectl` has it.
//!
//! ```text
//!  program ── GET, Upgrade ──> outbound ══ mutual TLS, HTTP/1.1, a connection of its own ══> inbound ── HTTP/1.1 ──> program
//!          <────── 101 ───────          <═════════════════ 101 ═════════════════════════          <────── 101 ─────
//!          <══════════════════════════ octets as they are, both ways ════════════════════════════════════════════>
//! ```
//!
//! HTTP/2 has no Upgrade (RFC 9113 section 8.2.2), and what it has instead (RFC 8441) few programs know and keeps no method, so sidecars
//! send these requests over HTTP/1.1. Only protocols pass that carry no requests of HTTP: by `h2c` a peer would ask the program for what nobody looks at.

use std::io;
use std::sync::Arc;
use std::time::Duration;

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
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use crate::forward::ForwardError;
use crate::http1::{BUFFER, Ended, in_http1};
use crate::metrics::{Direction, SidecarMetrics};
use crate::program::Stream;
use crate::tunnel;

/// What passes.
const PROTOCOLS: [&str; 2] = ["websocket", "SPDY/3.1"];
/// How long the head of an answer may take: it is no watch's, and whoever has begun to speak already is not seen to leave before it.
const HEAD: Duration = Duration::from_secs(60);
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

    /// Asks, on a new connection that goes until its future completes, for what was asked for here. The answer, and if that is 101 the passing of
    /// octets, which also ends some time after a stop; else its body keeps the connection.
    ///
    /// Dropping the future gives the request up.
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub(crate) async fn ask<S, E>(
        &self,
        connect: impl AsyncFnOnce() -> Result<(S, E), ForwardError>,
        request: client::Request,
        asked: Asked,
    ) -> Result<(hyper::Response<Body>, Option<Afterwards>), ForwardError>
    where
        S: Stream + 'static,
        E: Future<Output = ()> + Send + 'static,
    {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| ForwardError::Full)?;
        let mut request = in_http1(request, Body::empty())?;
        switch(request.headers_mut(), asked.protocols);
        let (stream, end) = connect().await?;
        let mut builder = Builder::new();
        let opening = builder.max_buf_size(BUFFER).handshake(TokioIo::new(stream));
        let (mut sender, connection) = opening.await.map_err(ForwardError::Http1)?;
        let (hand_over, handed_over) = oneshot::channel();
        let speaking = tokio::spawn(async move {
            let mut end = Box::pin(end);
            tokio::select! {
                // What comes after HTTP ends at the same time; nobody is there to take it if there was no 101.
                _ = connection.with_upgrades() => {
                    let _ = hand_over.send(end);
                }
                () = &mut end => {}
            }
        });
        let ended = Ended::new(speaking.abort_handle());
        let answer = timeout(HEAD, sender.send_request(request)).await;
        let answer = answer.map_err(|_| ClientError::Timeout(HEAD))?;
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
        let passing = self.pass(asked.upgrade, far);
        let afterwards = async move {
            let _held = (ended, place);
            let end = async {
                // Without it the connection has ended already.
                if let Ok(end) = handed_over.await {
                    end.await;
                }
            };
            tokio::select! {
                () = passing => {}
                () = end => {}
            }
        };
        Ok((answer.map(|_| Body::empty()), Some(Box::pin(afterwards))))
    }

    /// Passes octets between a connection that was asked for another protocol and the one that has it.
    fn pass(&self, near: OnUpgrade, far: OnUpgrade) -> impl Future<Output = ()> + Send + use<> {
        let (direction, stop) = (self.direction, self.stop.clone());
        let counted = self.metrics.tunnel(direction);
        async move {
            let passed = match tokio::try_join!(near, far) {
                Err(error) => Err(io::Error::other(error)),
                Ok((near, far)) => {
                    let (near, far) = (TokioIo::new(near), TokioIo::new(far));
                    match direction {
                        Direction::Inbound => tunnel::pass(far, near, counted, stop).await,
                        Direction::Outbound => tunnel::pass(near, far, counted, stop).await,
                    }
                }
            };
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hyper::Method;
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use sbi::metrics::Registry;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::mpsc;

    use super::*;

    const REQUEST: &[u8] =
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    const SWITCHING: &[u8] =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

    /// A connection that was asked for WebSocket, and whoever has asked on it.
    async fn asked() -> (Asked, DuplexStream) {
        let (mut peer, own) = duplex(1024);
        let (tell, mut told) = mpsc::unbounded_channel();
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            let upgrade = hyper::upgrade::on(&mut request);
            let told = tell.send(upgrade);
            async move {
                told.expect("the test listens");
                let mut answer = hyper::Response::new(Body::empty());
                *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                switch(answer.headers_mut(), HeaderValue::from_static("websocket"));
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(own), service);
        tokio::spawn(connection.with_upgrades());
        peer.write_all(REQUEST).await.expect("is taken");
        let asked = Asked {
            protocols: HeaderValue::from_static("websocket"),
            upgrade: told.recv().await.expect("a request"),
        };
        (asked, peer)
    }

    // What ends a connection was looked at only when something was read or written: a half that was closed, and a peer that said nothing,
    // kept their place for ever.
    #[tokio::test]
    async fn what_follows_ends_when_it_must_though_nothing_passes() {
        let (asked, mut peer) = asked().await;
        let (far, mut program) = duplex(1024);
        let (_running, stop) = Stop::new();
        let metrics = SidecarMetrics::new(&Registry::default());
        let upgrades = Upgrades::new(Direction::Inbound, metrics, stop);
        let (end, ended) = oneshot::channel::<()>();
        let connect = async move || {
            let end = async move {
                let _ = ended.await;
            };
            Ok((far, end))
        };
        let request = client::Request::new(Method::GET, "a", "/");
        let answering = async {
            let mut octets = Vec::new();
            while !octets.ends_with(b"\r\n\r\n") {
                program.read_buf(&mut octets).await.expect("a request");
            }
            program.write_all(SWITCHING).await.expect("is taken");
            program.shutdown().await.expect("ends");
        };
        let (answer, ()) = tokio::join!(upgrades.ask(connect, request, asked), answering);
        let (answer, afterwards) = answer.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        let passing = tokio::spawn(afterwards.expect("it has switched"));
        let mut octets = Vec::new();
        let read = peer.read_to_end(&mut octets).await;
        read.expect("the end of the program's half");
        assert!(!passing.is_finished());
        assert_eq!(upgrades.places.available_permits(), CONNECTIONS - 1);
        end.send(()).expect("somebody waits");
        passing.await.expect("no panic");
        assert_eq!(upgrades.places.available_permits(), CONNECTIONS);
    }
}
