//! Accepting connections: SBI ports with mutual TLS, and cleartext ports beside them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mtc_tls::endpoint::{ClientAuth, Endpoint};
use mtc_tls::handshake;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::ledger::Ledger;
use crate::metrics::Side;
use crate::process::Stop;
use crate::server::{Handler, Peer, serve_cleartext, serve_connection};
use crate::telemetry::Causes;
use crate::trace;

/// Connections that one port serves at a time; each costs a file descriptor and about 100 KiB.
const MAX_CONNECTIONS: u64 = 4096;
/// Share of the process's file descriptors that one port may take: a process has a handful of ports, and files.
const DESCRIPTOR_SHARE: u64 = 8;
/// How long connections may take to end after a stop.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the system refused to accept, so that running out of file descriptors is no busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A port that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} ({what}); is another process using the port?")]
pub struct ListenError {
    /// The port.
    pub addr: SocketAddr,
    /// What it is for.
    pub what: &'static str,
    /// What the system says.
    pub source: io::Error,
}

/// As many connections as the process's limit of file descriptors allows: a peer that opens too many must not keep the
/// process from opening files.
fn max_connections() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from((limit / DESCRIPTOR_SHARE).clamp(16, MAX_CONNECTIONS)).unwrap_or(16)
}

/// Binds a port; `what` names it in the error. Port 0 takes a free one.
///
/// # Errors
/// The port cannot be had.
pub async fn bind(
    addr: SocketAddr,
    what: &'static str,
) -> Result<(TcpListener, SocketAddr), ListenError> {
    let failed = |source| ListenError { addr, what, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Serves an SBI port until stopped, then finishes what is in progress.
pub async fn serve_sbi<H: Handler>(
    listener: TcpListener,
    endpoint: Endpoint,
    client_auth: ClientAuth,
    handler: Arc<H>,
    ledger: Arc<Ledger>,
    stop: Stop,
) {
    let connection_stop = stop.clone();
    accept_all(listener, stop, move |tcp, remote| {
        let (endpoint, handler, ledger, stop) = (
            endpoint.clone(),
            handler.clone(),
            ledger.clone(),
            connection_stop.clone(),
        );
        async move {
            let started = Instant::now();
            let handshake = handshake::accept(tcp, &endpoint, client_auth, HANDSHAKE_TIMEOUT);
            let span = trace::handshake("server", remote);
            let accepted = tokio::select! {
                accepted = handshake.instrument(span.clone()) => accepted,
                () = stop.clone().wait() => return,
            };
            let profile = accepted.as_ref().ok().and_then(|accepted| accepted.profile);
            trace::shook_hands(&span, profile, accepted.as_ref().err());
            drop(span);
            let accepted = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    ledger.record_accept_failure(&error, started.elapsed());
                    tracing::info!(%remote, error = %Causes(&error), "no handshake with a client");
                    return;
                }
            };
            match accepted.profile {
                Some(profile) => ledger.record_server(profile, &accepted.cost),
                // No experiment's, and a handshake all the same: shares of failures are of all.
                None => ledger
                    .metrics()
                    .handshakes
                    .completed(Side::Server, None, &accepted.cost),
            }
            // Nobody but renewal looks at an expired identity, so that whatever asks for an identity refuses it.
            let (identity, expired) = match accepted.peer {
                Some(peer) if peer.expired => (None, Some(peer.identity)),
                peer => (peer.map(|peer| peer.identity), None),
            };
            let connection = trace::connection(remote, identity.as_ref(), accepted.profile);
            let peer = Arc::new(Peer {
                identity,
                expired,
                remote,
                profile: accepted.profile,
            });
            let requests = ledger.metrics().requests.clone();
            let _open = requests.open_connection();
            let served = serve_connection(accepted.stream, peer, handler, requests, stop.wait())
                .instrument(connection)
                .await;
            if let Err(error) = served {
                tracing::debug!(%remote, error = %Causes(&error), "connection ended");
            }
        }
    })
    .await;
}

/// Serves a cleartext port (admin, log, witness) until stopped, then finishes what is in progress.
pub async fn serve_plain<H: Handler>(listener: TcpListener, handler: Arc<H>, stop: Stop) {
    let connection_stop = stop.clone();
    accept_all(listener, stop, move |tcp, remote| {
        let (handler, stop) = (handler.clone(), connection_stop.clone());
        async move {
            if let Err(error) = serve_cleartext(tcp, remote, handler, stop.wait()).await {
                tracing::debug!(%remote, error = %Causes(&error), "connection ended");
            }
        }
    })
    .await;
}

async fn accept_all<F, S>(listener: TcpListener, mut stop: Stop, serve: F)
where
    F: Fn(TcpStream, SocketAddr) -> S,
    S: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(max_connections()));
    let mut connections = JoinSet::new();
    loop {
        let place = places.clone().acquire_owned();
        let next = async {
            // The semaphore is never closed: a place will come.
            let place = place.await;
            (place, listener.accept().await)
        };
        tokio::select! {
            () = stop.requested() => break,
            (place, accepted) = next => match accepted {
                Ok((tcp, remote)) => {
                    let connection = serve(tcp, remote);
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    // Each connection ends by itself in time; this bounds what a mistake in that could cost.
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(CLOSE_TIMEOUT, ended).await.is_err() {
        tracing::warn!("connections did not end in time and are cut off");
    }
}
