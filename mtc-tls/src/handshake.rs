//! What a finished handshake cost and what was shown in it: bytes, time, CPU, certificate kinds.
//!
//! ```text
//!  connect/accept ── poll ── poll ── poll ──> HandshakeCost
//!                     ├─ thread CPU clock read around every poll
//!                     ├─ bytes counted on the socket, and attributed to messages
//!                     └─ callbacks of rustls: who is the peer, what was signed and verified
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mtc_core::x509::Role;
use rustls::pki_types::ServerName;
use rustls::server::ClientHello;
use rustls::{AlertDescription, CipherSuite, CommonState, HandshakeKind, PeerIncompatible};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

use crate::cpu::Metered;
use crate::endpoint::{Endpoint, Sampling};
use crate::notes::Notes;
use crate::peer::{ExpectedPeer, Verdict, VerifiedPeer, VerifyError};
use crate::profile::{ClientAuth, ConnectionProfile, TrustDomain};
use crate::provider::KeyExchange;
use crate::record::Side;
use crate::resumption::resumed_peer;
use crate::signal::Signal;
use crate::tcp_info::TcpInfo;
use crate::trust_anchors::{self, TrustAnchorsError};

mod cost;
mod counted;

pub use cost::{HandshakeCost, Negotiated, Sampled, SampledTcp, slow_start_waits};
pub use counted::{Counted, Traffic};

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
    /// The client speaks no TLS 1.3, and there is nothing else here (RFC 8446 section 6.2, `protocol_version`).
    #[error("the client does not offer TLS 1.3, the only version that is supported")]
    OldVersion,
    /// The client's ClientHello says what it trusts, and not in the form that the extension has.
    #[error("the client's ClientHello")]
    TrustAnchors(#[source] TrustAnchorsError),
    /// Several are served here, and the client asked for none of them (RFC 6066 section 3).
    #[error("nobody is served here by the server name that the client asks for")]
    UnknownName,
    /// The handshake failed for another reason of TLS.
    #[error("the TLS handshake failed")]
    Tls(#[source] rustls::Error),
    /// The connection broke.
    #[error("the connection broke off during the handshake")]
    Io(#[source] io::Error),
    /// It took too long.
    #[error("no handshake within {0:?}")]
    Timeout(Duration),
}

impl HandshakeError {
    /// The class: `connect`, `setup`, `tls` or `timeout`.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::ServerName(_) | Self::Setup(_) => "setup",
            Self::Refused(_)
            | Self::Alert(_)
            | Self::OldVersion
            | Self::TrustAnchors(_)
            | Self::UnknownName
            | Self::Tls(_)
            | Self::Io(_) => "tls",
            Self::Timeout(_) => "timeout",
        }
    }

    /// Class and cause by which equal failures count together, `class: cause`, without addresses and identifiers.
    pub fn cause(&self) -> String {
        let cause = match self {
            Self::Connect { source, .. } => format!("{:?}", source.kind()),
            Self::ServerName(_) => "not a server name".to_owned(),
            Self::Setup(_) => "no credential or trust for this connection".to_owned(),
            Self::Refused(error) => format!("refused: {}", error.rule()),
            Self::Alert(alert) => format!("alert received: {alert:?}"),
            Self::OldVersion => "no TLS 1.3 offered".to_owned(),
            Self::TrustAnchors(_) => "malformed trust_anchors".to_owned(),
            Self::UnknownName => "no such server name".to_owned(),
            Self::Tls(error) => tls_cause(error),
            Self::Io(error) => format!("broken off: {:?}", error.kind()),
            Self::Timeout(_) => "no handshake in time".to_owned(),
        };
        format!("{}: {cause}", self.class())
    }

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
            // A client may name the cipher suites of TLS 1.3 all the same.
            Some(rustls::Error::PeerIncompatible(
                PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOfferedOrEnabled,
            )) => Self::OldVersion,
            Some(tls) => Self::Tls(tls),
            None => Self::Io(error),
        }
    }
}

/// The stream of a connection that this side opened.
pub type ClientStream = tokio_rustls::client::TlsStream<Counted<TcpStream>>;
/// The stream of a connection that this side accepted.
pub type ServerStream = tokio_rustls::server::TlsStream<Counted<TcpStream>>;

/// A connection that this side opened.
#[derive(Debug)]
pub struct Connected {
    /// The stream, ready for HTTP/2.
    pub stream: ClientStream,
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
    let tcp_connect = started.elapsed();
    let notes = endpoint.notes();
    let observed = Observed::new(notes.clone(), &tcp);
    let handshake = async {
        let lease = endpoint
            .client(profile, expected.clone(), &notes)
            .map_err(HandshakeError::Setup)?;
        let stream = TlsConnector::from(lease.config().clone())
            .connect(server_name, Counted::new(tcp, Side::Client))
            .await
            .map_err(|error| HandshakeError::from_io(error, &notes.verdict))?;
        let peer = match verified(&notes.verdict)? {
            Some(peer) => Some(peer),
            None => resumed(
                stream.get_ref().1,
                Role::Server,
                Some(&expected),
                endpoint,
                profile.domain,
            )?,
        };
        let peer = peer.ok_or(HandshakeError::Tls(rustls::Error::NoCertificatesPresented))?;
        endpoint.met(lease, &peer);
        Ok((stream, peer))
    };
    let (outcome, cpu) = Metered::new(handshake).await;
    let (mut stream, peer) = outcome?;
    let (counted, connection) = stream.get_mut();
    let cost = HandshakeCost {
        tcp_connect,
        ..observed.cost(Side::Client, cpu, counted, connection, Some(&peer))
    };
    Ok(Connected { stream, peer, cost })
}

/// A connection that this side accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The stream, ready for HTTP/2.
    pub stream: ServerStream,
    /// The client; none if it showed no certificate where that is allowed.
    pub peer: Option<VerifiedPeer>,
    /// In which world the two authenticated each other; what this side uses to call back.
    pub profile: Option<ConnectionProfile>,
    /// How the client has said what it trusts.
    pub signal: Signal,
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
    let notes = endpoint.notes();
    accept_as(tcp, notes, client_auth, timeout, |_| Some(endpoint)).await
}

/// Completes the handshake on a TCP connection to one of several that are served at a port. `choose` is called when the client has sent its
/// whole ClientHello, before which it may be nobody, and says by the server name in it whose the connection is. `port` chooses which
/// handshakes are sampled.
///
/// # Errors
/// As [`accept`]; [`HandshakeError::UnknownName`] where `choose` finds nobody.
pub async fn accept_one_of<'a>(
    tcp: TcpStream,
    port: &Sampling,
    client_auth: ClientAuth,
    timeout: Duration,
    choose: impl FnOnce(Option<&str>) -> Option<&'a Endpoint>,
) -> Result<Accepted, HandshakeError> {
    accept_as(tcp, port.notes(), client_auth, timeout, choose).await
}

async fn accept_as<'a>(
    tcp: TcpStream,
    notes: Arc<Notes>,
    client_auth: ClientAuth,
    timeout: Duration,
    choose: impl FnOnce(Option<&str>) -> Option<&'a Endpoint>,
) -> Result<Accepted, HandshakeError> {
    let accepting = accept_unbounded(tcp, notes, client_auth, choose);
    let within = tokio::time::timeout(timeout, accepting);
    within
        .await
        .unwrap_or(Err(HandshakeError::Timeout(timeout)))
}

/// A record with a fatal alert, in the clear as everything is before ServerHello:
/// `alert(21), legacy version 0x0303, length 2, fatal(2), description`.
const fn fatal_alert(description: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, description]
}
/// `handshake_failure`, `decode_error`, `protocol_version` and `unrecognized_name` of RFC 8446 section 6.
const HANDSHAKE_FAILURE: u8 = 40;
const DECODE_ERROR: u8 = 50;
const PROTOCOL_VERSION: u8 = 70;
const UNRECOGNIZED_NAME: u8 = 112;

/// The cipher suites of TLS 1.3 (RFC 8446 section B.4): whoever speaks it offers one, and nobody else does.
const TLS13_SUITES: [CipherSuite; 5] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS13_AES_128_CCM_SHA256,
    CipherSuite::TLS13_AES_128_CCM_8_SHA256,
];

/// How long a refused client may take to close its end.
const LINGER: Duration = Duration::from_secs(1);

fn offers_tls13(hello: &ClientHello<'_>) -> bool {
    let mut suites = hello.cipher_suites().iter();
    suites.any(|suite| TLS13_SUITES.contains(suite))
}

async fn accept_unbounded<'a>(
    tcp: TcpStream,
    notes: Arc<Notes>,
    client_auth: ClientAuth,
    choose: impl FnOnce(Option<&str>) -> Option<&'a Endpoint>,
) -> Result<Accepted, HandshakeError> {
    tcp.set_nodelay(true).map_err(HandshakeError::Io)?;
    let observed = Observed::new(notes.clone(), &tcp);
    let handshake = async {
        let counted = Counted::new(tcp, Side::Server);
        let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), counted);
        let mut start = acceptor
            .await
            .map_err(|error| HandshakeError::from_io(error, &notes.verdict))?;
        let chosen = choose(start.client_hello().server_name());
        if !offers_tls13(&start.client_hello()) {
            // As below. Without this it would be told that no credential fits, which is true and no help.
            let _ = start.io.write_all(&fatal_alert(PROTOCOL_VERSION)).await;
            linger(start.io).await;
            return Err(HandshakeError::OldVersion);
        }
        let Some(endpoint) = chosen else {
            let _ = start.io.write_all(&fatal_alert(UNRECOGNIZED_NAME)).await;
            linger(start.io).await;
            return Err(HandshakeError::UnknownName);
        };
        let records = start.io.take_hello();
        if trust_anchors::asks_for_status(&records) {
            let _ = notes.status_asked.set(());
        }
        let anchors = match endpoint.trust_anchors(&records) {
            Ok(anchors) => anchors,
            Err(error) => {
                let _ = start.io.write_all(&fatal_alert(DECODE_ERROR)).await;
                linger(start.io).await;
                return Err(HandshakeError::TrustAnchors(error));
            }
        };
        let hello = start.client_hello();
        let lease = match endpoint.server(&hello, anchors.as_ref(), client_auth, &notes) {
            Ok(lease) => lease,
            Err(error) => {
                // rustls has no configuration by which to say so itself. The client may be gone already; so be it.
                let _ = start.io.write_all(&fatal_alert(HANDSHAKE_FAILURE)).await;
                return Err(HandshakeError::Setup(error));
            }
        };
        let kind = *lease.key();
        let stream = match start
            .into_stream(lease.config().clone())
            .into_fallible()
            .await
        {
            Ok(stream) => stream,
            Err((error, tcp)) => {
                linger(tcp).await;
                return Err(HandshakeError::from_io(error, &notes.verdict));
            }
        };
        let peer = match verified(&notes.verdict)? {
            Some(peer) => Some(peer),
            None => resumed(
                stream.get_ref().1,
                Role::Client,
                None,
                endpoint,
                kind.domain,
            )?,
        };
        endpoint.served(lease);
        Ok((stream, peer, kind))
    };
    let (outcome, cpu) = Metered::new(handshake).await;
    let (mut stream, peer, kind) = outcome?;
    let (counted, connection) = stream.get_mut();
    let cost = observed.cost(Side::Server, cpu, counted, connection, peer.as_ref());
    let key_exchange = connection
        .negotiated_key_exchange_group()
        .and_then(|group| KeyExchange::of_group(group.name()));
    let profile = key_exchange.map(|key_exchange| ConnectionProfile {
        domain: kind.domain,
        leaf_key: kind.leaf_key,
        key_exchange,
        tickets: kind.tickets,
        tokens: kind.tokens,
        via: kind.via,
        grease: kind.grease,
    });
    Ok(Accepted {
        stream,
        peer,
        profile,
        signal: kind.signal,
        cost,
    })
}

/// The name of a TLS error without what it carries, which a peer chooses.
fn tls_cause(error: &rustls::Error) -> String {
    let text = format!("{error:?}");
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// What is observed of a handshake from outside while it goes on.
struct Observed {
    notes: Arc<Notes>,
    /// TCP facts at its beginning, if it is sampled.
    tcp: Option<TcpInfo>,
    began: Instant,
}

impl Observed {
    fn new(notes: Arc<Notes>, tcp: &TcpStream) -> Self {
        let tcp = tcp_facts(&notes, tcp);
        Self {
            notes,
            tcp,
            began: Instant::now(),
        }
    }

    fn cost(
        self,
        side: Side,
        cpu: Duration,
        counted: &mut Counted<TcpStream>,
        connection: &CommonState,
        peer: Option<&VerifiedPeer>,
    ) -> HandshakeCost {
        let elapsed = self.began.elapsed();
        let notes = &*self.notes;
        let tcp = self.tcp.zip(tcp_facts(notes, counted.get_ref()));
        let sampled = notes.sampled.then(|| Sampled {
            sign: notes
                .own_signature
                .get()
                .and_then(|signature| signature.cpu)
                .unwrap_or_default(),
            verify: peer
                .and_then(|peer| peer.verification.steps)
                .unwrap_or_default(),
            tcp: tcp.map(|(established, complete)| SampledTcp {
                established,
                complete,
            }),
        });
        let watch = counted.take_watch();
        let counted: &Counted<_> = counted;
        let wire = watch.and_then(|watch| {
            let (client, server) = cost::protected(side, connection, notes)?;
            watch.account(&client, &server)
        });
        debug_assert!(wire.is_none_or(|wire| {
            wire.sent.total() == counted.written() && wire.received.total() == counted.read()
        }));
        let negotiated = Negotiated::of(connection, notes);
        HandshakeCost {
            tcp_connect: Duration::ZERO,
            elapsed,
            first_answer: None,
            cpu,
            verify: peer.map_or(Duration::ZERO, |peer| peer.verify),
            bytes_sent: counted.written(),
            bytes_received: counted.read(),
            wire,
            anchors: cost::anchors(side, negotiated.resumed, notes),
            presented: notes
                .own_signature
                .get()
                .and_then(|_| notes.presented.get().copied()),
            downgrade: notes
                .own_signature
                .get()
                .and_then(|_| notes.downgrade.get().copied().flatten()),
            received: peer.map(|peer| peer.kind).filter(|_| !negotiated.resumed),
            group: group_name(connection),
            verification: peer
                .map(|peer| peer.verification.clone())
                .filter(|_| !negotiated.resumed),
            negotiated,
            sampled,
        }
    }
}

/// A kernel that does not tell is no reason to fail.
fn tcp_facts(notes: &Notes, tcp: &TcpStream) -> Option<TcpInfo> {
    notes.sampled.then(|| TcpInfo::of(tcp).ok()).flatten()
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

/// The peer of a handshake that resumed a session; none if this was none, or the session's peer had shown no certificate.
fn resumed(
    connection: &CommonState,
    role: Role,
    expected: Option<&ExpectedPeer>,
    endpoint: &Endpoint,
    domain: TrustDomain,
) -> Result<Option<VerifiedPeer>, HandshakeError> {
    if connection.handshake_kind() != Some(HandshakeKind::Resumed) {
        return Ok(None);
    }
    let chain = connection.peer_certificates().unwrap_or_default();
    let (now, set) = (endpoint.clock().now(), endpoint.credentials());
    resumed_peer(chain, role, expected, now, domain, &set)
        .map_err(|error| HandshakeError::Refused(Arc::new(error)))
}

fn verified(verdict: &Verdict) -> Result<Option<VerifiedPeer>, HandshakeError> {
    match verdict.get() {
        None => Ok(None),
        Some(Ok(peer)) => Ok(Some(peer.clone())),
        Some(Err(refused)) => Err(HandshakeError::Refused(refused.clone())),
    }
}

/// The group's name in the IANA registry; rustls spells some differently.
fn group_name(connection: &CommonState) -> Option<String> {
    let group = connection.negotiated_key_exchange_group()?.name();
    let known = KeyExchange::of_group(group).map(|known| known.to_string());
    Some(known.unwrap_or_else(|| format!("{group:?}")))
}
