//! One listener, and the two ends of each connection that is opened to it.

use std::net::SocketAddr;
use std::time::Duration;

use mtc_tls::endpoint::Endpoint;
use mtc_tls::handshake::{Accepted, Connected, HandshakeError, accept, connect};
use mtc_tls::peer::ExpectedPeer;
use mtc_tls::profile::{ClientAuth, ConnectionProfile};
use rustls::AlertDescription;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};

/// Nothing here waits for it to pass.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// A listener on a free port, which serves everyone by one endpoint.
pub(crate) struct Server {
    listener: TcpListener,
    endpoint: Endpoint,
    client_auth: ClientAuth,
}

impl Server {
    /// A server that requires client certificates.
    pub(crate) async fn start(endpoint: Endpoint) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self {
            listener,
            endpoint,
            client_auth: ClientAuth::Required,
        }
    }

    /// Does not require client certificates.
    pub(crate) fn with_optional_client_auth(self) -> Self {
        Self {
            client_auth: ClientAuth::Optional,
            ..self
        }
    }

    /// Does not require client certificates, and accepts those that expired at most `expired_within` ago.
    pub(crate) fn with_expired_clients(self, expired_within: Duration) -> Self {
        Self {
            client_auth: ClientAuth::OptionalOrExpired { expired_within },
            ..self
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.listener.local_addr().expect("a bound socket")
    }

    /// The next TCP connection, as it is.
    pub(crate) async fn accept_tcp(&self) -> TcpStream {
        self.listener.accept().await.expect("a connection").0
    }

    /// The next connection, from whomever.
    pub(crate) async fn accept(&self) -> Result<Accepted, HandshakeError> {
        accept(
            self.accept_tcp().await,
            &self.endpoint,
            self.client_auth,
            TIMEOUT,
        )
        .await
    }

    /// Lets `client` open a connection; what becomes of it at either end.
    pub(crate) async fn attempt(
        &self,
        client: &Endpoint,
        profile: ConnectionProfile,
        expected: ExpectedPeer,
    ) -> (
        Result<Connected, HandshakeError>,
        Result<Accepted, HandshakeError>,
    ) {
        tokio::join!(
            connect(self.addr(), client, profile, expected, TIMEOUT),
            self.accept()
        )
    }

    /// Both ends of a connection that `client` opens.
    pub(crate) async fn meet(
        &self,
        client: &Endpoint,
        profile: ConnectionProfile,
        expected: ExpectedPeer,
    ) -> (Connected, Accepted) {
        match self.attempt(client, profile, expected).await {
            (Ok(connected), Ok(accepted)) => (connected, accepted),
            (connected, accepted) => {
                panic!("{profile}: {:?}, {:?}", connected.err(), accepted.err())
            }
        }
    }
}

/// The chain that the server showed.
pub(crate) fn server_chain(connected: &Connected) -> &[CertificateDer<'static>] {
    connected
        .stream
        .get_ref()
        .1
        .peer_certificates()
        .expect("a server has one")
}

/// The chain that the client showed.
pub(crate) fn client_chain(accepted: &Accepted) -> &[CertificateDer<'static>] {
    accepted
        .stream
        .get_ref()
        .1
        .peer_certificates()
        .unwrap_or_default()
}

/// The alert that ends a stream on which nothing else arrives.
pub(crate) async fn alert(stream: &mut (impl AsyncRead + Unpin)) -> AlertDescription {
    let error = stream.read_u8().await.expect_err("an alert");
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        other => panic!("no alert but {other:?} in {error:?}"),
    }
}
