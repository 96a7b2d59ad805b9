//! From the program to peers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::header::HOST;
use mtc_core::causes::Causes;
use mtc_tls::endpoint::{Endpoint, HTTP1};
use mtc_tls::handshake::Connected;
use mtc_tls::profile::TrustDomain;
use rustix::net::sockopt;
use sbi::body::Body;
use sbi::client::{self, Connection};
use sbi::config::ConfigError;
use sbi::header::{HeaderError, TARGET_API_ROOT, TypedHeader as _};
use sbi::instance::{CallError, Instance};
use sbi::lanes::Lanes;
use sbi::listener::keep_alive;
use sbi::problem::Problem;
use sbi::process::Stop;
use sbi::server::{Afterwards, Request, Terms, serve_program};
use sbi::uri::ApiRoot;
use tokio::net::TcpStream;

use crate::config::{OutboundConfig, PeerConfig};
use crate::forward::{BOUNDS, ForwardError, forward, onward};
use crate::metrics::{Direction, Refusal, SidecarMetrics};
use crate::peers::{Destination, Peers, Unknown};
use crate::program::{Protocol, Stream};
use crate::relay::{Relay, Relayed};
use crate::tunnel;
use crate::upgrade::{Asked, Upgrades};

/// A port at which the program reaches peers.
pub(crate) struct Outbound {
    instance: Arc<Instance>,
    /// The instance as it speaks to other sidecars of octets.
    tunnels: Endpoint,
    /// As it speaks to peers that may go on in another protocol.
    http1: Endpoint,
    protocol: Protocol,
    redirected: bool,
    follow_api_root: bool,
    domain: Option<TrustDomain>,
    peers: Peers,
    lanes: Lanes<Destination>,
    upgrades: Upgrades,
    metrics: SidecarMetrics,
    stop: Stop,
}

/// A connection of the program.
struct Client {
    port: Arc<Outbound>,
    /// Where it went, if it was redirected here.
    redirected: Option<SocketAddr>,
}

impl Outbound {
    /// A port of `instance`.
    ///
    /// # Errors
    /// A rule that `config` breaks.
    pub(crate) fn new(
        config: &OutboundConfig,
        peers: &[PeerConfig],
        instance: Arc<Instance>,
        metrics: SidecarMetrics,
        stop: Stop,
    ) -> Result<Self, ConfigError> {
        let endpoint = instance.endpoint().offering_all();
        Ok(Self {
            tunnels: endpoint.speaking(&[tunnel::PROTOCOL]),
            http1: endpoint.speaking(&[HTTP1]),
            instance,
            protocol: config.protocol,
            redirected: config.redirected,
            follow_api_root: config.follow_api_root,
            domain: config.domain()?,
            peers: Peers::new(config, peers)?,
            lanes: Lanes::new(BOUNDS),
            upgrades: Upgrades::new(Direction::Outbound, metrics.clone(), stop.clone()),
            metrics,
            stop,
        })
    }

    /// Serves a connection of the program to a port until it ends.
    pub(crate) async fn serve_tcp(
        self: Arc<Self>,
        tcp: TcpStream,
        remote: SocketAddr,
        terms: Terms,
    ) {
        let redirected = match self.redirected.then(|| original_destination(&tcp)) {
            None => None,
            Some(Ok(addr)) => Some(addr),
            Some(Err(error)) => {
                tracing::info!(%remote, %error, "closing: it was not redirected here");
                return;
            }
        };
        self.serve(tcp, remote, redirected, terms).await;
    }

    /// Serves a connection of the program until it ends; it went to `redirected`, if it was redirected here.
    pub(crate) async fn serve(
        self: Arc<Self>,
        stream: impl Stream + 'static,
        remote: SocketAddr,
        redirected: Option<SocketAddr>,
        terms: Terms,
    ) {
        match self.protocol {
            Protocol::Tcp => self.tunnel(stream, remote, redirected).await,
            Protocol::Http => {
                let stop = self.stop.clone();
                let client = Arc::new(Relayed(Client {
                    port: self,
                    redirected,
                }));
                let served = serve_program(terms, stream, remote, client, stop.wait());
                if let Err(error) = served.await {
                    tracing::debug!(%remote, error = %Causes(&error), "connection ended");
                }
            }
        }
    }

    /// Passes the octets of the program to a peer and back.
    async fn tunnel(
        &self,
        program: impl Stream,
        remote: SocketAddr,
        redirected: Option<SocketAddr>,
    ) {
        let to = match self.find(None, redirected) {
            Ok(to) => to,
            Err(unknown) => {
                tracing::info!(%remote, %unknown, "closing");
                return;
            }
        };
        let opened = match self.shake_hands(&self.tunnels, &to).await {
            Ok(opened) => opened,
            Err(error) => {
                self.refuse(Refusal::Unreachable);
                tracing::info!(peer = to.expected.fqdn, error = %Causes(&error), "no connection to a peer");
                return;
            }
        };
        let revoked = self.instance.revoked(&opened.peer);
        let counted = self.metrics.tunnel(Direction::Outbound);
        let passed = async {
            keep_alive(opened.stream.get_ref().0.get_ref())?;
            tunnel::pass(program, opened.stream, counted, self.stop.clone()).await
        };
        let passed = tokio::select! {
            passed = passed => passed,
            () = revoked => return,
        };
        if let Err(error) = passed {
            tracing::debug!(%remote, %error, "connection broke off");
        }
    }

    /// Whom the program means, which is counted if it is not known.
    fn find(
        &self,
        authority: Option<&str>,
        redirected: Option<SocketAddr>,
    ) -> Result<Destination, Unknown> {
        let found = self.peers.find(authority, redirected);
        found.inspect_err(|_| self.refuse(Refusal::UnknownPeer))
    }

    fn refuse(&self, refusal: Refusal) {
        self.metrics.refuse(Direction::Outbound, refusal);
    }

    /// A connection to `to` on which `endpoint` says what is spoken.
    async fn shake_hands(
        &self,
        endpoint: &Endpoint,
        to: &Destination,
    ) -> Result<Connected, CallError> {
        let addr = to.resolve().await.map_err(CallError::from)?;
        let profile = self.instance.own_offer_in(self.domain).profile();
        let expected = to.expected.clone();
        let shaking = self
            .instance
            .shake_hands_as(endpoint, addr, profile, expected);
        Ok(shaking.await?)
    }

    async fn open(&self, to: &Destination) -> Result<Connection, ForwardError> {
        let addr = to.resolve().await.map_err(CallError::from)?;
        let (offer, streams) = (
            self.instance.own_offer_in(self.domain),
            BOUNDS.streams as u32,
        );
        let expected = to.expected.clone();
        let opening = self.instance.open_to_pass(addr, offer, expected, streams);
        // What a request may is the program's to show.
        Ok(opening
            .await?
            .connection
            .authorized_by(None)
            .adding_nothing())
    }

    /// A request of the program's as the peer gets it that it is for.
    ///
    /// # Errors
    /// It does not say whom it means, or nobody knows.
    fn address(
        &self,
        mut request: Request,
        redirected: Option<SocketAddr>,
    ) -> Result<(Destination, client::Request), Problem> {
        let root = if self.follow_api_root {
            ApiRoot::read(&request.headers).map_err(malformed)?
        } else {
            None
        };
        let (authority, prefix) = match &root {
            Some(root) => {
                request.headers.remove(TARGET_API_ROOT);
                (Some(root.authority()), root.prefix())
            }
            None => {
                let host = request.headers.get(HOST);
                (host.and_then(|host| host.to_str().ok()), "")
            }
        };
        let to = self.find(authority, redirected)?;
        let authority = authority.unwrap_or(&to.expected.fqdn).to_owned();
        let request = onward(request, &authority, prefix);
        Ok((to, request))
    }

    fn not_passed(&self, to: &Destination, error: ForwardError) -> Problem {
        self.refuse(error.refusal());
        tracing::info!(peer = to.expected.fqdn, error = %Causes(&error), "not passed on");
        error.into()
    }
}

fn malformed(HeaderError { name, grammar }: HeaderError) -> Problem {
    Problem::mandatory_ie_incorrect(&format!("header {name}"), format!("is not {grammar}"))
}

/// Where a connection went before the kernel redirected it here.
///
/// # Errors
/// It was not, or the kernel does not know: whoever connects on purpose means nobody.
fn original_destination(tcp: &TcpStream) -> io::Result<SocketAddr> {
    let local = tcp.local_addr()?;
    let original = match local {
        SocketAddr::V4(_) => sockopt::ip_original_dst(tcp)?.into(),
        SocketAddr::V6(_) => sockopt::ipv6_original_dst(tcp)?.into(),
    };
    if original == local {
        return Err(io::Error::other("it came here directly"));
    }
    Ok(original)
}

impl Relay for Client {
    async fn relay(&self, request: Request, body: Body) -> Result<hyper::Response<Body>, Problem> {
        let port = &self.port;
        let (to, request) = port.address(request, self.redirected)?;
        let open = || port.open(&to);
        let answer = forward(&port.lanes, to.clone(), open, request, body).await;
        answer.map_err(|error| port.not_passed(&to, error))
    }

    async fn upgrade(
        &self,
        request: Request,
        asked: Asked,
    ) -> Result<(hyper::Response<Body>, Option<Afterwards>), Problem> {
        let port = &self.port;
        let (to, request) = port.address(request, self.redirected)?;
        let connect = async || {
            let opened = port.shake_hands(&port.http1, &to).await?;
            let tcp = opened.stream.get_ref().0.get_ref();
            // It fails where the connection has ended, which using it tells.
            let _ = keep_alive(tcp);
            let revoked = port.instance.revoked(&opened.peer);
            Ok((opened.stream, revoked))
        };
        let answer = port.upgrades.ask(connect, request, asked).await;
        answer.map_err(|error| port.not_passed(&to, error))
    }
}
