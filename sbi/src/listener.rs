//! Accepting connections: SBI ports with mutual TLS, and cleartext ports beside them.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mtc_tls::endpoint::{Endpoint, HTTP1};
use mtc_tls::handshake::ServerStream;
use mtc_tls::https::HttpsServer;
use mtc_tls::profile::ClientAuth;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::ledger::Ledger;
use crate::limits::{Limits, Refused};
use crate::metrics::RequestMetrics;
use crate::process::Stop;
use crate::server::{
    self, Handler, Peer, Terms, Versions, serve_cleartext_within, serve_sbi_within,
};
use mtc_core::causes::Causes;

mod acceptor;
mod addresses;
mod entrance;
mod hosts;
mod keep_alive;
mod newcomers;

pub use acceptor::{Acceptor, LocalSocket};
use addresses::Addresses;
use entrance::{Entered, Entrance};
pub use hosts::{Host, Hosts};
pub use keep_alive::keep_alive;
pub(crate) use newcomers::Newcomer;
use newcomers::Newcomers;

/// Connections that one port serves at a time; each costs a file descriptor and about 100 KiB.
const MAX_CONNECTIONS: u64 = 4096;
/// Share of the process's file descriptors that one port may take: a process has a handful of ports, and files.
const DESCRIPTOR_SHARE: u64 = 8;
/// Connections that the kernel keeps until they are accepted, less if `net.core.somaxconn` says so. Where there is no room for an honest
/// peer's, it tries again only after a second (RFC 6298).
const BACKLOG: u32 = 4096;
/// Connections at one port that have not finished their handshake or not sent a first request: as many handshakes as two
/// processors do in half a second.
const MAX_NEWCOMERS: u64 = 512;
/// Share of the process's file descriptors that they may take beside the others.
const NEWCOMERS_SHARE: u64 = 16;
/// How long connections may take to end after a stop.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the system refused to accept, so that running out of file descriptors is no busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A port that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} ({what}; key {key}); is another process using it?")]
pub struct ListenError {
    /// The port, or the socket.
    pub addr: String,
    /// What it is for.
    pub what: &'static str,
    /// The key of the configuration that says which port it is.
    pub key: &'static str,
    /// What the system says.
    pub source: io::Error,
}

/// File descriptors that the process may have.
pub(crate) fn descriptor_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// As many as the process's limit of file descriptors allows: a peer that opens too many must not keep the process from
/// opening files.
fn within_descriptors(share: u64, most: u64) -> usize {
    usize::try_from((descriptor_limit() / share).clamp(16, most)).unwrap_or(16)
}

/// Connections that one port serves at a time.
pub(crate) fn connections_limit() -> usize {
    within_descriptors(DESCRIPTOR_SHARE, MAX_CONNECTIONS)
}

/// Binds a port; `what` names it in the error, and `key` of the configuration says which it is. Port 0 takes a free one.
///
/// # Errors
/// The port cannot be had.
pub fn bind(
    addr: SocketAddr,
    what: &'static str,
    key: &'static str,
) -> Result<(TcpListener, SocketAddr), ListenError> {
    let failed = |source| ListenError {
        addr: addr.to_string(),
        what,
        key,
        source,
    };
    let listener = listen(addr).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Listens at a Unix socket; `what` and `key` are as of [`bind`]. See [`LocalSocket::bind`], which blocks.
///
/// # Errors
/// The socket cannot be had.
pub fn bind_local(
    path: &Path,
    mode: u32,
    what: &'static str,
    key: &'static str,
) -> Result<LocalSocket, ListenError> {
    LocalSocket::bind(path, mode).map_err(|source| ListenError {
        addr: path.display().to_string(),
        what,
        key,
        source,
    })
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?; // as std and tokio do: a restart need not wait for old connections
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Serves the SBI of the instances at a port until stopped, then finishes what is in progress.
pub async fn serve_sbi<H: Handler>(
    listener: TcpListener,
    hosts: Hosts<H>,
    client_auth: ClientAuth,
    ledger: Arc<Ledger>,
    limits: Limits,
    stop: Stop,
) {
    let (budget, requests) = (limits.budget.clone(), ledger.metrics().requests.clone());
    let entrance = Arc::new(Entrance::new(hosts, client_auth, ledger));
    let connection_stop = stop.clone();
    accept_all(listener, limits, stop, move |tcp, remote, newcomer| {
        let (entrance, stop) = (entrance.clone(), connection_stop.clone());
        let terms = Terms {
            metrics: Some(requests.clone()),
            budget: budget.clone(),
            newcomer: Some(newcomer.clone()),
        };
        let serve = async move |entered: Entered<H>, stop: Stop| {
            let Entered {
                stream,
                peer,
                handler,
            } = entered;
            let versions = if stream.get_ref().1.alpn_protocol() == Some(HTTP1) {
                // It has no PING. Where this fails the connection has ended, which using it tells.
                let _ = keep_alive(stream.get_ref().0.get_ref());
                Versions::All
            } else {
                Versions::Http2
            };
            let is_anonymous = peer.identity.is_none();
            let stop = stop.wait();
            let served =
                server::serve(versions, is_anonymous, terms, stream, peer, handler, stop).await;
            if let Err(error) = served {
                tracing::debug!(%remote, error = %Causes(&error), "connection ended");
            }
        };
        async move { entrance.admit(tcp, remote, &newcomer, stop, serve).await }
    })
    .await;
}

/// Serves streams of octets over mutual TLS until stopped: `serve` has each until it ends, and is to end by itself soon after a stop.
pub async fn serve_streams<S>(
    listener: TcpListener,
    endpoint: Endpoint,
    ledger: Arc<Ledger>,
    limits: Limits,
    stop: Stop,
    serve: impl Fn(ServerStream, Arc<Peer>) -> S + Clone + Send + Sync + 'static,
) where
    S: Future<Output = ()> + Send + 'static,
{
    let host = Hosts::One(Host {
        endpoint,
        handler: Arc::new(()),
    });
    let entrance = Arc::new(Entrance::new(host, ClientAuth::Required, ledger));
    let connection_stop = stop.clone();
    accept_all(listener, limits, stop, move |tcp, remote, newcomer| {
        let (entrance, stop, serve) = (entrance.clone(), connection_stop.clone(), serve.clone());
        let serve = async move |entered: Entered<()>, _: Stop| {
            serve(entered.stream, entered.peer).await;
        };
        async move { entrance.admit(tcp, remote, &newcomer, stop, serve).await }
    })
    .await;
}

/// Accepts connections of a program on this machine until stopped: `serve` has each until it ends, and is to end by itself soon after a stop.
pub async fn serve_local<A: Acceptor, S>(
    listener: A,
    limits: Limits,
    stop: Stop,
    serve: impl Fn(A::Stream, SocketAddr) -> S + Clone + Send + Sync + 'static,
) where
    S: Future<Output = ()> + Send + 'static,
{
    accept_all(listener, limits, stop, move |stream, remote, newcomer| {
        let serve = serve.clone();
        async move {
            newcomer.settle().await;
            serve(stream, remote).await;
        }
    })
    .await;
}

/// Serves a cleartext port (admin, log, witness) until stopped, then finishes what is in progress.
pub async fn serve_plain<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    limits: Limits,
    stop: Stop,
) {
    let connection_stop = stop.clone();
    let budget = limits.budget.clone();
    accept_all(listener, limits, stop, move |tcp, remote, newcomer| {
        let (handler, stop) = (handler.clone(), connection_stop.clone());
        let terms = Terms {
            metrics: None,
            budget: budget.clone(),
            newcomer: Some(newcomer),
        };
        async move {
            let served = serve_cleartext_within(terms, tcp, remote, handler, stop.wait());
            if let Err(error) = served.await {
                tracing::debug!(%remote, error = %Causes(&error), "connection ended");
            }
        }
    })
    .await;
}

/// Serves a port of HTTPS to clients that show no certificate until stopped, then finishes what is in progress.
pub async fn serve_https<H: Handler>(
    listener: TcpListener,
    server: HttpsServer,
    handler: Arc<H>,
    limits: Limits,
    stop: Stop,
) {
    let connection_stop = stop.clone();
    let budget = limits.budget.clone();
    accept_all(listener, limits, stop, move |tcp, remote, newcomer| {
        let (server, handler, stop) = (server.clone(), handler.clone(), connection_stop.clone());
        let terms = Terms {
            metrics: None,
            budget: budget.clone(),
            newcomer: Some(newcomer),
        };
        async move {
            let accepted = tokio::select! {
                accepted = timeout(HANDSHAKE_TIMEOUT, server.accept(tcp)) => accepted,
                () = stop.clone().wait() => return,
            };
            let stream = match accepted {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    tracing::info!(%remote, error = %Causes(&error), "handshake with a client failed");
                    return;
                }
                Err(_) => {
                    tracing::debug!(%remote, "closing: no handshake in time");
                    return;
                }
            };
            let served = serve_cleartext_within(terms, stream, remote, handler, stop.wait());
            if let Err(error) = served.await {
                tracing::debug!(%remote, error = %Causes(&error), "connection ended");
            }
        }
    })
    .await;
}

/// Serves an SBI in cleartext (HTTP/2 with prior knowledge alone), to peers that nothing authenticates, until stopped, then
/// finishes what is in progress. Requests are counted in `metrics`.
pub async fn serve_cleartext_sbi<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    metrics: RequestMetrics,
    limits: Limits,
    stop: Stop,
) {
    let connection_stop = stop.clone();
    let budget = limits.budget.clone();
    accept_all(listener, limits, stop, move |tcp, remote, newcomer| {
        let (handler, stop) = (handler.clone(), connection_stop.clone());
        let terms = Terms {
            metrics: Some(metrics.clone()),
            budget: budget.clone(),
            newcomer: Some(newcomer),
        };
        async move {
            let peer = Arc::new(Peer::cleartext(remote));
            let served = serve_sbi_within(terms, tcp, peer, handler, stop.wait());
            if let Err(error) = served.await {
                tracing::debug!(%remote, error = %Causes(&error), "connection ended");
            }
        }
    })
    .await;
}

async fn accept_all<A, F, S>(listener: A, limits: Limits, mut stop: Stop, serve: F)
where
    A: Acceptor,
    F: Fn(A::Stream, SocketAddr, Arc<Newcomer>) -> S,
    S: Future<Output = ()> + Send + 'static,
{
    let newcomers = Newcomers::new(
        within_descriptors(NEWCOMERS_SHARE, MAX_NEWCOMERS),
        connections_limit(),
        limits.clone(),
    );
    let addresses = Addresses::default();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.requested() => break,
            accepted = Acceptor::accept(&listener) => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = A::prepare(&stream) {
            tracing::debug!(%remote, %error, "closing: it is gone already");
            continue;
        }
        let address = remote.ip();
        let Some(counted) = addresses.count(address, limits.of_address(address)) else {
            limits.count(Refused::Address);
            tracing::debug!(%remote, "closing: its address has reached its limit of connections");
            continue;
        };
        let (newcomer, closed) = tokio::select! {
            () = stop.requested() => break,
            admitted = newcomers.admit() => admitted,
        };
        let connection = serve(stream, remote, Arc::new(newcomer));
        connections.spawn(async move {
            let _counted = counted;
            tokio::select! {
                () = connection => {}
                Ok(()) = closed => tracing::debug!(%remote, "closing: silent, and a newer connection needs its place"),
            }
        });
    }
    drop(listener);
    // Each connection ends by itself in time; this bounds what a mistake in that could cost.
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(CLOSE_TIMEOUT, ended).await.is_err() {
        tracing::warn!("connections did not end in time, closing them");
    }
}
