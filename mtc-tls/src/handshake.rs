//! What a finished handshake cost and what was shown in it: bytes, time, CPU, certificate kinds.
//!
//! ```text
//!  connect/accept ── poll ── poll ── poll ──> HandshakeCost
//!                     └─ thread CPU clock read around every poll, bytes counted on the socket
//! ```

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CommonState};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

use crate::cpu::Metered;
use crate::endpoint::{ClientAuth, Endpoint};
use crate::hints::{ConnectionProfile, Tickets};
use crate::provider::KeyExchange;
use crate::verifier::{ExpectedPeer, Verdict, VerifiedPeer, VerifyError};

/// How a certificate is authenticated; the vocabulary of results, logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CertificateKind {
    /// Today's X.509: signed by a CA, possibly through intermediates (`x509`).
    DirectlySigned,
    /// A Merkle Tree Certificate with cosignatures (`mtc-standalone`).
    Standalone,
    /// A Merkle Tree Certificate with a proof to a landmark subtree and no signatures (`mtc-landmark`).
    LandmarkRelative,
}

impl CertificateKind {
    /// Every kind, in the order in which tables list them.
    pub const ALL: [Self; 3] = [
        Self::DirectlySigned,
        Self::Standalone,
        Self::LandmarkRelative,
    ];

    /// The name used in scenarios, results and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DirectlySigned => "x509",
            Self::Standalone => "mtc-standalone",
            Self::LandmarkRelative => "mtc-landmark",
        }
    }
}

impl fmt::Display for CertificateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not one of `x509`, `mtc-standalone`, `mtc-landmark`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown certificate kind {0:?}; known: x509, mtc-standalone, mtc-landmark")]
pub struct UnknownCertificateKind(pub String);

impl FromStr for CertificateKind {
    type Err = UnknownCertificateKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownCertificateKind(text.to_owned()))
    }
}

/// What one handshake cost this side of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeCost {
    /// From the start of TCP connect to an established connection; zero on the accepting side.
    pub tcp_connect: Duration,
    /// From the established TCP connection to the completed handshake on this side.
    pub elapsed: Duration,
    /// Thread CPU time that this side spent in the handshake, socket calls included.
    pub cpu: Duration,
    /// Thread CPU time spent verifying the peer's certificate (its chain or proof, names, policy), included in `cpu`.
    pub verify: Duration,
    /// TLS record bytes this side wrote until its handshake completed.
    pub bytes_sent: u64,
    /// TLS record bytes this side read until its handshake completed.
    pub bytes_received: u64,
    /// The kind of certificate this side presented, if any.
    pub presented: Option<CertificateKind>,
    /// The kind of certificate the peer presented, if any.
    pub received: Option<CertificateKind>,
    /// The negotiated key exchange group, e.g. `X25519MLKEM768`.
    pub group: Option<String>,
}

/// Why a connection could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// TCP did not connect.
    #[error("cannot connect to {addr}")]
    Connect {
        /// Where to.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The server name is not one that TLS can carry.
    #[error("{0:?} is not a server name")]
    ServerName(String),
    /// This side has nothing to offer for the connection.
    #[error("no TLS configuration for this connection")]
    Setup(#[source] rustls::Error),
    /// This side refused the peer's certificate.
    #[error("refused the peer's certificate")]
    Refused(#[source] Arc<VerifyError>),
    /// The peer ended the handshake with an alert.
    #[error("the peer ended the handshake: {0:?}")]
    Alert(AlertDescription),
    /// The handshake failed for another reason of TLS.
    #[error("the TLS handshake failed")]
    Tls(#[source] rustls::Error),
    /// The connection broke.
    #[error("the connection broke during the handshake")]
    Io(#[source] io::Error),
    /// It took too long.
    #[error("no handshake within {0:?}")]
    Timeout(Duration),
}

impl HandshakeError {
    /// Sorts out what an I/O error of a TLS stream stands for.
    fn from_io(error: io::Error, verdict: &Verdict) -> Self {
        if let Some(Err(refused)) = verdict.get() {
            return Self::Refused(refused.clone());
        }
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .cloned();
        match tls {
            Some(rustls::Error::AlertReceived(alert)) => Self::Alert(alert),
            Some(tls) => Self::Tls(tls),
            None => Self::Io(error),
        }
    }
}

/// A byte stream that counts what passes.
#[derive(Debug)]
pub struct Counted<S> {
    stream: S,
    read: u64,
    written: u64,
}

impl<S> Counted<S> {
    const fn new(stream: S) -> Self {
        Self {
            stream,
            read: 0,
            written: 0,
        }
    }

    /// The stream beneath, for its addresses and options; what passes here is not counted.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Bytes read so far.
    pub const fn read(&self) -> u64 {
        self.read
    }

    /// Bytes written so far.
    pub const fn written(&self) -> u64 {
        self.written
    }

    fn count_written(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(written)) = polled {
            self.written += written as u64;
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.read += (buffer.filled().len() - before) as u64;
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count_written(polled)
    }

    // Without this, rustls' records would leave one by one, each in a segment of its own, and an alert queued behind
    // another record would be lost: on an error tokio-rustls writes once more before it gives up.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.count_written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A connection that this side opened.
#[derive(Debug)]
pub struct Connected {
    /// The stream, ready for HTTP/2.
    pub stream: tokio_rustls::client::TlsStream<Counted<TcpStream>>,
    /// The server.
    pub peer: VerifiedPeer,
    /// What the handshake cost this side.
    pub cost: HandshakeCost,
}

/// Opens a connection and completes the handshake.
///
/// Dropping the future closes the connection.
///
/// # Errors
/// Every way in which there can be no connection has its variant.
pub async fn connect(
    addr: SocketAddr,
    endpoint: &Endpoint,
    profile: ConnectionProfile,
    expected: ExpectedPeer,
    timeout: Duration,
) -> Result<Connected, HandshakeError> {
    let within = tokio::time::timeout(
        timeout,
        connect_unbounded(addr, endpoint, profile, expected),
    );
    within
        .await
        .unwrap_or(Err(HandshakeError::Timeout(timeout)))
}

async fn connect_unbounded(
    addr: SocketAddr,
    endpoint: &Endpoint,
    profile: ConnectionProfile,
    expected: ExpectedPeer,
) -> Result<Connected, HandshakeError> {
    let server_name = ServerName::try_from(expected.fqdn.clone())
        .map_err(|_| HandshakeError::ServerName(expected.fqdn.clone()))?;
    let started = Instant::now();
    let connected = TcpStream::connect(addr)
        .await
        .and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp));
    let tcp = connected.map_err(|source| HandshakeError::Connect { addr, source })?;
    let established = Instant::now();
    let handshake = async {
        let setup = endpoint
            .client(profile, expected)
            .map_err(HandshakeError::Setup)?;
        let connector = TlsConnector::from(setup.config);
        let stream = connector
            .connect(server_name, Counted::new(tcp))
            .await
            .map_err(|error| HandshakeError::from_io(error, &setup.verdict))?;
        let peer = verified(&setup.verdict)?
            .ok_or(HandshakeError::Tls(rustls::Error::NoCertificatesPresented))?;
        Ok((stream, peer, setup.presented.get().copied()))
    };
    let (outcome, cpu) = Metered::new(handshake).await;
    let (stream, peer, presented) = outcome?;
    let (counted, connection) = stream.get_ref();
    let cost = HandshakeCost {
        tcp_connect: established - started,
        elapsed: established.elapsed(),
        cpu,
        verify: peer.verify,
        bytes_sent: counted.written(),
        bytes_received: counted.read(),
        presented,
        received: Some(peer.kind),
        group: group_name(connection),
    };
    Ok(Connected { stream, peer, cost })
}

/// A connection that this side accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The stream, ready for HTTP/2.
    pub stream: tokio_rustls::server::TlsStream<Counted<TcpStream>>,
    /// The client; none if it showed no certificate where that is allowed.
    pub peer: Option<VerifiedPeer>,
    /// In which world the two authenticated each other; what this side uses to call back.
    pub profile: Option<ConnectionProfile>,
    /// What the handshake cost this side.
    pub cost: HandshakeCost,
}

/// Completes the handshake on an accepted TCP connection.
///
/// Dropping the future closes the connection.
///
/// # Errors
/// Every way in which there can be no connection has its variant.
pub async fn accept(
    tcp: TcpStream,
    endpoint: &Endpoint,
    client_auth: ClientAuth,
    timeout: Duration,
) -> Result<Accepted, HandshakeError> {
    let within = tokio::time::timeout(timeout, accept_unbounded(tcp, endpoint, client_auth));
    within
        .await
        .unwrap_or(Err(HandshakeError::Timeout(timeout)))
}

/// A record with the fatal alert `handshake_failure`, in the clear as everything is before ServerHello:
/// `alert(21), legacy version 0x0303, length 2, fatal(2), handshake_failure(40)`.
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// How long a refused client may take to close its end.
const LINGER: Duration = Duration::from_secs(1);

async fn accept_unbounded(
    tcp: TcpStream,
    endpoint: &Endpoint,
    client_auth: ClientAuth,
) -> Result<Accepted, HandshakeError> {
    tcp.set_nodelay(true).map_err(HandshakeError::Io)?;
    let established = Instant::now();
    let handshake = async {
        let unjudged = Verdict::new();
        let acceptor =
            LazyConfigAcceptor::new(rustls::server::Acceptor::default(), Counted::new(tcp));
        let mut start = acceptor
            .await
            .map_err(|error| HandshakeError::from_io(error, &unjudged))?;
        let setup = match endpoint.server(&start.client_hello(), client_auth) {
            Ok(setup) => setup,
            Err(error) => {
                // rustls has no configuration by which to say so itself. The client may be gone already; so be it.
                let _ = start.io.write_all(&HANDSHAKE_FAILURE).await;
                return Err(HandshakeError::Setup(error));
            }
        };
        let stream = match start.into_stream(setup.config).into_fallible().await {
            Ok(stream) => stream,
            Err((error, tcp)) => {
                linger(tcp).await;
                return Err(HandshakeError::from_io(error, &setup.verdict));
            }
        };
        let peer = verified(&setup.verdict)?;
        Ok((stream, peer, setup.domain, setup.leaf_key, setup.presented))
    };
    let (outcome, cpu) = Metered::new(handshake).await;
    let (stream, peer, domain, leaf_key, presented) = outcome?;
    let (counted, connection) = stream.get_ref();
    let cost = HandshakeCost {
        tcp_connect: Duration::ZERO,
        elapsed: established.elapsed(),
        cpu,
        verify: peer.as_ref().map_or(Duration::ZERO, |peer| peer.verify),
        bytes_sent: counted.written(),
        bytes_received: counted.read(),
        presented: Some(presented),
        received: peer.as_ref().map(|peer| peer.kind),
        group: group_name(connection),
    };
    let key_exchange = connection
        .negotiated_key_exchange_group()
        .and_then(|group| KeyExchange::of_group(group.name()));
    let profile = leaf_key
        .zip(key_exchange)
        .map(|(leaf_key, key_exchange)| ConnectionProfile {
            domain,
            leaf_key,
            key_exchange,
            tickets: Tickets::None,
        });
    Ok(Accepted {
        stream,
        peer,
        profile,
        cost,
    })
}

/// Closes a connection so that the alert on it arrives. A client sends its first request along with its certificate, and
/// closing a socket with unread bytes resets the connection, which overtakes the alert.
async fn linger(mut tcp: impl AsyncRead + AsyncWrite + Unpin) {
    let close = async {
        tcp.shutdown().await?;
        let mut discarded = [0; 1024];
        while tcp.read(&mut discarded).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    // A client that is gone, or stays, has got what it can get.
    let _ = tokio::time::timeout(LINGER, close).await;
}

fn verified(verdict: &Verdict) -> Result<Option<VerifiedPeer>, HandshakeError> {
    match verdict.get() {
        None => Ok(None),
        Some(Ok(peer)) => Ok(Some(peer.clone())),
        Some(Err(refused)) => Err(HandshakeError::Refused(refused.clone())),
    }
}

fn group_name(connection: &CommonState) -> Option<String> {
    connection
        .negotiated_key_exchange_group()
        .map(|group| format!("{:?}", group.name()))
}
