//! From peers to the program.

use std::sync::Arc;

use hyper::header::HOST;
use hyper::{HeaderMap, Method, StatusCode};
use mtc_core::causes::Causes;
use mtc_tls::handshake::ServerStream;
use sbi::body::Body;
use sbi::client::Connection;
use sbi::lanes::Lanes;
use sbi::problem::Problem;
use sbi::process::Stop;
use sbi::response::Response;
use sbi::server::{Handler, Peer, Request};

use crate::allow::{Allowed, Guest, Introduction};
use crate::forward::{BOUNDS, ForwardError, forward, onward};
use crate::metrics::{Direction, Refusal, SidecarMetrics};
use crate::program::Program;
use crate::tunnel;

/// What the program is called in requests that name no authority, which HTTP/2 demands.
const NAMELESS: &str = "localhost";

/// A port at which peers reach the program.
pub(crate) struct Inbound {
    program: Program,
    allowed: Allowed,
    introduction: Introduction,
    lanes: Lanes<()>,
    metrics: SidecarMetrics,
}

impl Inbound {
    pub(crate) fn new(
        program: Program,
        allowed: Allowed,
        introduction: Introduction,
        metrics: SidecarMetrics,
    ) -> Self {
        Self {
            program,
            allowed,
            introduction,
            lanes: Lanes::new(BOUNDS),
            metrics,
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
    pub(crate) async fn tunnel(self: Arc<Self>, stream: ServerStream, peer: Arc<Peer>, stop: Stop) {
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
            tunnel::keep_alive(stream.get_ref().0.get_ref())?;
            tunnel::pass(program, stream, counted, stop).await
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
}

impl Handler for Inbound {
    const RELAYS: bool = true;
    const OPEN_ENDED: bool = true;

    /// All is relayed.
    async fn handle(&self, _request: Request) -> Result<Response, Problem> {
        Err(Problem::system_failure())
    }

    fn relays(&self, _method: &Method, _path: &str, _headers: &HeaderMap) -> bool {
        true
    }

    async fn relay(&self, request: Request, body: Body) -> Result<hyper::Response<Body>, Problem> {
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
        let answer = forward(&self.lanes, (), || self.open(), request, body).await;
        answer.map_err(|error| {
            self.refuse(Refusal::Unreachable);
            tracing::info!(program = %self.program.address, error = %Causes(&error), "not passed on");
            error.into()
        })
    }
}
