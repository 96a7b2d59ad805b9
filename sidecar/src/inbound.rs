//! From peers to the program.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::HOST;
use mtc_core::causes::Causes;
use mtc_tls::handshake::ServerStream;
use sbi::body::Body;
use sbi::client::{self, Connection};
use sbi::lanes::Lanes;
use sbi::listener::keep_alive;
use sbi::problem::Problem;
use sbi::process::Stop;
use sbi::server::{Afterwards, Peer, Request};

use crate::allow::{Allowed, Guest, Introduction};
use crate::forward::{BOUNDS, ForwardError, forward, onward};
use crate::http1::Http1;
use crate::metrics::{Direction, Refusal, SidecarMetrics};
use crate::program::Program;
use crate::relay::Relay;
use crate::tunnel;
use crate::upgrade::{Asked, Upgrades};

/// What the program is called in requests that name no authority, which HTTP/2 demands.
const NAMELESS: &str = "localhost";

/// A port at which peers reach the program.
pub(crate) struct Inbound {
    program: Program,
    allowed: Allowed,
    introduction: Arc<Introduction>,
    connections: Connections,
    upgrades: Upgrades,
    metrics: SidecarMetrics,
    stop: Stop,
}

/// Those to the program, for requests.
enum Connections {
    Http1(Http1),
    Http2(Lanes<()>),
}

impl Inbound {
    pub(crate) fn new(
        program: Program,
        allowed: Allowed,
        introduction: Introduction,
        metrics: SidecarMetrics,
        stop: Stop,
    ) -> Self {
        let connections = if program.address.is_http1 {
            Connections::Http1(Http1::new())
        } else {
            Connections::Http2(Lanes::new(BOUNDS))
        };
        Self {
            program,
            allowed,
            introduction: Arc::new(introduction),
            connections,
            upgrades: Upgrades::new(Direction::Inbound, metrics.clone(), stop.clone()),
            metrics,
            stop,
        }
    }

    /// As whom a peer may come in, which is counted if it may not.
    fn admit(&self, peer: &Peer) -> Option<Guest<'_>> {
        let guest = { peer.identity.as_ref() }.and_then(|identity| self.allowed.admit(identity));
        if guest.is_none() {
            self.refuse(Refusal::NotAllowed);
        }
        guest
    }

    fn refuse(&self, refusal: Refusal) {
        self.metrics.refuse(Direction::Inbound, refusal);
    }

    /// Passes the octets of a peer to the program and back.
    pub(crate) async fn tunnel(self: Arc<Self>, stream: ServerStream, peer: Arc<Peer>) {
        if self.admit(&peer).is_none() {
            tracing::info!(remote = %peer.remote, "closing: no allow fits the peer");
            return;
        }
        let program = match self.program.connect().await {
            Ok(program) => program,
            Err(error) => {
                self.refuse(Refusal::Unreachable);
                tracing::warn!(program = %self.program.address, %error, "the program cannot be reached");
                return;
            }
        };
        let counted = self.metrics.tunnel(Direction::Inbound);
        let passed = async {
            keep_alive(stream.get_ref().0.get_ref())?;
            tunnel::pass(program, stream, counted, self.stop.clone()).await
        };
        let passed = tokio::select! {
            passed = passed => passed,
            () = peer.expires() => {
                tracing::info!(remote = %peer.remote, "closing: client certificate expired");
                return;
            }
        };
        if let Err(error) = passed {
            tracing::debug!(remote = %peer.remote, %error, "connection broke off");
        }
    }

    async fn open(&self) -> Result<Connection, ForwardError> {
        let stream = self
            .program
            .connect()
            .await
            .map_err(ForwardError::Program)?;
        let streams = BOUNDS.streams as u32;
        let never = std::future::pending();
        let opened = Connection::handshake_to_pass(stream, self.program.scheme(), streams, never);
        Ok(opened.await?.adding_nothing())
    }

    /// A request of a peer's as the program gets it.
    ///
    /// # Errors
    /// The peer may not use the program.
    fn introduced(&self, request: Request) -> Result<client::Request, Problem> {
        let peer = request.peer.clone();
        let (Some(identity), Some(guest)) = (&peer.identity, self.admit(&peer)) else {
            let detail = "this peer may not use the program";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        };
        let host = request.headers.get(HOST);
        let authority = host.and_then(|host| host.to_str().ok());
        let authority = authority.unwrap_or(NAMELESS).to_owned();
        let mut request = onward(request, &authority, "");
        // Last, so that no field of the peer's can have them removed as those of one connection.
        self.introduction
            .introduce(identity, &guest, &mut request.headers);
        Ok(request)
    }

    fn not_passed(&self, error: ForwardError) -> Problem {
        self.refuse(error.refusal());
        tracing::info!(program = %self.program.address, error = %Causes(&error), "not passed on");
        error.into()
    }
}

impl Relay for Arc<Inbound> {
    async fn relay(&self, request: Request, body: Body) -> Result<hyper::Response<Body>, Problem> {
        let request = self.introduced(request)?;
        let body = self.introduction.guard(body);
        let answer = match &self.connections {
            Connections::Http1(http1) => http1.forward(&self.program, request, body).await,
            Connections::Http2(lanes) => forward(lanes, (), || self.open(), request, body).await,
        };
        answer.map_err(|error| self.not_passed(error))
    }

    async fn upgrade(
        &self,
        request: Request,
        asked: Asked,
    ) -> Result<(hyper::Response<Body>, Option<Afterwards>), Problem> {
        let peer = request.peer.clone();
        let request = self.introduced(request)?;
        let connect = async || {
            let stream = self.program.connect_in_http1().await;
            let stream = stream.map_err(ForwardError::Program)?;
            Ok((stream, async move { peer.expires().await }))
        };
        let answer = self.upgrades.ask(connect, request, asked).await;
        answer.map_err(|error| self.not_passed(error))
    }
}
