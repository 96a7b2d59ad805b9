//! The way in over TLS: handshake, who came, and what ends a connection whatever is spoken on it.
//!
//! ```text
//!  accepted ─> ClientHello: whose? ─> handshake ─> Entered ─> served until it ends, or the client's certificate is revoked
//!                                       └─ counted in the ledger
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mtc_core::causes::Causes;
use mtc_tls::endpoint::{Endpoint, Sampling};
use mtc_tls::handshake::{self, Accepted, ServerStream};
use mtc_tls::identity::CertificateId;
use mtc_tls::profile::ClientAuth;
use mtc_tls::record::Side;
use tokio::net::TcpStream;
use tracing::{Instrument as _, Span};

use super::{HANDSHAKE_TIMEOUT, Hosts, Newcomer};
use crate::ledger::Ledger;
use crate::process::Stop;
use crate::server::Peer;
use crate::trace;

/// What those who come to a port have in common.
pub(super) struct Entrance<H> {
    hosts: Hosts<H>,
    client_auth: ClientAuth,
    ledger: Arc<Ledger>,
    sampling: Sampling,
}

/// A connection whose handshake is done.
pub(super) struct Entered<H> {
    pub(super) stream: ServerStream,
    pub(super) peer: Arc<Peer>,
    /// What serves the instance that the client meant.
    pub(super) handler: Arc<H>,
}

impl<H> Entrance<H> {
    pub(super) fn new(hosts: Hosts<H>, client_auth: ClientAuth, ledger: Arc<Ledger>) -> Self {
        Self {
            hosts,
            client_auth,
            ledger,
            sampling: Sampling::default(),
        }
    }

    /// Shakes hands on `tcp` and has `serve` do the rest; a stop before the handshake is done ends it.
    pub(super) async fn admit<S: Future<Output = ()>>(
        &self,
        tcp: TcpStream,
        remote: SocketAddr,
        newcomer: &Newcomer,
        stop: Stop,
        serve: impl FnOnce(Entered<H>, Stop) -> S,
    ) {
        let Some((accepted, endpoint, handler)) =
            self.shake_hands(tcp, remote, newcomer, &stop).await
        else {
            return;
        };
        let Accepted {
            stream,
            peer,
            profile,
            ..
        } = accepted;
        // Nobody but renewal looks at an expired identity, so that whatever asks for an identity refuses it.
        let certificate = { peer.as_ref() }.map(|peer| peer.certificate.clone());
        let (identity, expired) = match peer {
            Some(peer) if peer.expired => (None, Some(peer.identity)),
            peer => (peer.map(|peer| peer.identity), None),
        };
        let span = trace::connection(remote, identity.as_ref(), profile);
        let peer = Arc::new(Peer {
            identity,
            expired,
            certificate: certificate.clone(),
            remote,
            profile,
        });
        let metrics = self.ledger.metrics();
        let _open = metrics.requests.open_connection();
        if peer.identity.is_some() {
            tokio::select! {
                () = newcomer.settle() => {}
                () = stop.clone().wait() => return,
            }
        } else {
            // Anybody can finish a handshake without a certificate.
            newcomer.set_busy(false);
        }
        let entered = Entered {
            stream,
            peer,
            handler,
        };
        tokio::select! {
            () = serve(entered, stop).instrument(span) => {}
            () = revoked(&endpoint, certificate.as_ref()) => {
                metrics.revocation.closed.with_label_values(&["server"]).inc();
                tracing::warn!(%remote, ?certificate, "closing: the client's certificate was revoked");
            }
        }
    }

    /// A handshake, counted; none if there is no connection.
    async fn shake_hands(
        &self,
        tcp: TcpStream,
        remote: SocketAddr,
        newcomer: &Newcomer,
        stop: &Stop,
    ) -> Option<(Accepted, Endpoint, Arc<H>)> {
        let started = Instant::now();
        let mut meant = None;
        let choose = |server_name: Option<&str>| {
            newcomer.set_busy(true);
            meant = self.hosts.of(server_name);
            meant.map(|host| &host.endpoint)
        };
        let handshake = handshake::accept_one_of(
            tcp,
            &self.sampling,
            self.client_auth,
            HANDSHAKE_TIMEOUT,
            choose,
        );
        let span: Span = trace::handshake("server", remote);
        let accepted = tokio::select! {
            accepted = handshake.instrument(span.clone()) => accepted,
            () = stop.clone().wait() => return None,
        };
        let profile = accepted.as_ref().ok().and_then(|accepted| accepted.profile);
        trace::shook_hands(&span, profile, accepted.as_ref().err());
        drop(span);
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                self.ledger.record_accept_failure(&error, started.elapsed());
                tracing::info!(%remote, error = %Causes(&error), "handshake with a client failed");
                return None;
            }
        };
        // There is no handshake with nobody.
        let host = meant?;
        match accepted.profile {
            Some(profile) => self.ledger.record_server(profile, &accepted.cost),
            // No experiment's, and a handshake all the same: shares of failures are of all.
            None => {
                let handshakes = &self.ledger.metrics().handshakes;
                handshakes.completed(Side::Server, None, &accepted.cost);
            }
        }
        if let Some(peer) = &accepted.peer {
            self.ledger.landmark_demand.met(peer);
        }
        Some((accepted, host.endpoint.clone(), host.handler.clone()))
    }
}

/// Waits until the certificate that a connection's client has shown is revoked.
async fn revoked(endpoint: &Endpoint, certificate: Option<&CertificateId>) {
    match certificate.cloned() {
        Some(certificate) => endpoint.revoked(certificate).await,
        None => std::future::pending().await,
    }
}
