//! Serving one connection: HTTP/2 over an authenticated stream, or cleartext for the ports that need no client certificate.
//!
//! ```text
//!   accept, TLS (the caller) -> serve_connection -> hyper HTTP/2 -> Request with its whole body -> Handler -> Response
//!                                 |           `-> Request without it, and the body as it comes -> Handler::relay, as it comes
//!                                 |                                                              `-> Problem -> Response
//!                                 |           `-> HTTP/1.1's Upgrade -> Handler::upgrade, and another protocol from then on
//!                                 `- shutdown, or the client certificate expires: GOAWAY, finish streams, close; at once, if there are
//!                                    none and nobody answers
//! ```
//!
//! The identity of the peer is bound to the connection once; a handler checks each request against it. A handler that panics
//! costs its own request an answer of 500 and nothing else.
//!
//! What is held for peers, unfinished requests and answers that nobody reads, is paid from the [`Budget`] of the process.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, pending, poll_fn};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, UPGRADE};
use hyper::http::HeaderValue;
use hyper::http::uri::Authority;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Method, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use mtc_core::time::UnixTime;
use mtc_tls::clock::Clock;
use mtc_tls::identity::{CertificateId, NfIdentity};
use mtc_tls::profile::ConnectionProfile;
use mtc_tls::record::Side;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tracing::Span;

use crate::body::{Body, PASSING_WINDOW};
use crate::budget::{Budget, Share};
use crate::clock;
use crate::listener::Newcomer;
use crate::metrics::RequestMetrics;
use crate::model::Document;
use crate::operation::ServiceOperation;
use crate::outcome::Outcome;
use crate::problem::Problem;
use crate::response::Response;
use crate::telemetry::Quoted;
use crate::trace;
use crate::uri::{self, UriError};

mod answers;
mod body;
mod progress;

pub use answers::ANSWER_TIMEOUT;
use answers::Answers;
use progress::{Progress, WRITE_TIMEOUT};

/// Requests in progress on one connection. A peer that needs more opens another one (TS 29.500 clause 5.2.6).
pub const MAX_CONCURRENT_STREAMS: u32 = 256;
/// Requests at a time of a peer without a certificate: whoever enrols, reads the log or asks for health sends a few.
pub const MAX_ANONYMOUS_STREAMS: u32 = 32;
/// Octets that a peer may send on a stream, and on all streams of a connection, before this side has read them: what HTTP
/// itself may have to keep. A round trip of 50 ms leaves 5 MB/s.
const WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// As much for all streams of a connection as for each: a producer that does not take the body of one request stops no other
/// request of the same consumer. Only handlers that bound the requests they relay may have it.
const RELAYED_CONNECTION_WINDOW: u32 = MAX_CONCURRENT_STREAMS * PASSING_WINDOW;
/// Windows for a peer without a certificate: a certificate request and, for the connection, the least that HTTP/2 allows.
const ANONYMOUS_WINDOW: u32 = 32 * 1024;
const ANONYMOUS_CONNECTION_WINDOW: u32 = 65_535;
/// Octets of all headers of a request: discovery queries reach 4 KiB, an access token with a signature of ML-DSA-65 5 KiB, a client
/// credentials assertion with a chain of three certificates of ML-DSA-87 48 KiB.
pub const MAX_HEADER_LIST: u32 = 64 * 1024;
/// As before, of a peer without a certificate, which sends no assertion.
pub const ANONYMOUS_HEADER_LIST: u32 = 16 * 1024;
/// Octets of a request body, unless the route has a lower bound ([`Handler::max_body`]). A large profile has 32 KiB.
pub const MAX_BODY: usize = 256 * 1024;
/// Octets of the body of a GET, HEAD or DELETE: none has one here, and what comes is ignored.
pub const MAX_IGNORED_BODY: usize = 1024;
/// What a request costs the budget before its headers and body: its stream, task and log span.
const REQUEST_COST: usize = 2 * 1024;
/// Streams that a peer may have opened and reset before they were served (rapid reset, CVE-2023-44487).
const MAX_RESET_STREAMS: usize = 32;
/// Streams that this side may refuse before it ends the connection: a client that has not heard yet how many it may open
/// opens the 100 that RFC 9113 section 6.5.2 recommends to allow.
const MAX_REFUSED_STREAMS: usize = 100;
/// How long an idle connection goes without a PING from this side, and how long the answer may take.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be open before its first request.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests in progress may take after GOAWAY; well within what a supervisor grants a process.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a peer without a request may take to answer the PING that comes with GOAWAY (RFC 9113 section 6.8): a client such as libcurl reads
/// nothing between requests, and a process that waits for it holds up its own successor.
const IDLE_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Who is on the other side of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Identity from the client certificate; none without one.
    pub identity: Option<NfIdentity>,
    /// Identity from a client certificate that had expired at the handshake, which no service but renewal may look at.
    pub expired: Option<NfIdentity>,
    /// The certificate that says one of these; none without one.
    pub certificate: Option<CertificateId>,
    /// Address of the peer.
    pub remote: SocketAddr,
    /// How the connection was authenticated; none without TLS. A call back to the peer is made in the same way.
    pub profile: Option<ConnectionProfile>,
}

impl Peer {
    /// A peer without TLS.
    pub fn cleartext(remote: SocketAddr) -> Self {
        Self {
            identity: None,
            expired: None,
            certificate: None,
            remote,
            profile: None,
        }
    }

    /// Waits until the certificate that authenticated the connection expires. Without one, never.
    pub async fn expires(&self) {
        let Some(identity) = &self.identity else {
            return pending().await;
        };
        // notAfter is the last second in which the certificate is valid.
        let end = UnixTime(identity.not_after.saturating_add(1));
        clock::await_time(Clock::default(), end).await;
    }
}

/// A request with its whole body.
#[derive(Clone, Debug)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Path as it was sent, percent-encoded.
    pub path: String,
    /// Query as it was sent, without the `?`; empty if there is none.
    pub query: String,
    /// Header fields.
    pub headers: HeaderMap,
    /// The body, at most [`MAX_BODY`].
    pub body: Bytes,
    /// Who sent it.
    pub peer: Arc<Peer>,
}

impl Request {
    /// The decoded path segments, to match on.
    ///
    /// # Errors
    /// `400` when the path is not percent-encoded UTF-8.
    pub fn segments(&self) -> Result<Vec<String>, Problem> {
        uri::segments(&self.path)
            .map_err(|error: UriError| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))
    }

    /// The media type of the body without parameters.
    pub fn media_type(&self) -> Option<&str> {
        let value = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let (media_type, _) = value.split_once(';').unwrap_or((value, ""));
        Some(media_type.trim())
    }

    /// Refuses a body that is not of type `expected`.
    ///
    /// # Errors
    /// `415`.
    pub fn require_media_type(&self, expected: &str) -> Result<(), Problem> {
        match self.media_type() {
            Some(media_type) if media_type.eq_ignore_ascii_case(expected) => Ok(()),
            _ => Err(Problem::unsupported_media_type(expected)),
        }
    }

    /// The body, read as `application/json`.
    ///
    /// # Errors
    /// `415`, or `400` with the information elements at fault.
    pub fn document<T: Document>(&self) -> Result<T, Problem> {
        self.require_media_type(crate::response::JSON)?;
        T::read(&self.body)
    }
}

/// What is done with a connection that goes on in another protocol, until that ends.
pub type Afterwards = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What answers the requests of a listener.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. The future is dropped when the client gives up.
    fn handle(&self, request: Request) -> impl Future<Output = Result<Response, Problem>> + Send;

    /// Hears of each request once how it ended, of those too that never reached [`Handler::handle`] or that it panicked on.
    /// `status` is that of the answer; none when none was sent: the client gave up or is gone, or this side stopped before.
    /// For counting: it must not block.
    fn answered(&self, _operation: ServiceOperation, _status: Option<StatusCode>) {}

    /// Whether it passes bodies on while they come: those of requests that it [relays](Self::relays), of which it bounds the number.
    const RELAYS: bool = false;

    /// Whether its answers may take as long as they like, as that to a watch does, so that a peer that does not take one is only found out by
    /// the PINGs that it does not answer. What such an answer keeps meanwhile is bounded by the windows of its stream.
    const OPEN_ENDED: bool = false;

    /// Whether the request of `method` for `path` with `headers` goes to [`Handler::relay`] before its body is here.
    fn relays(&self, _method: &Method, _path: &str, _headers: &HeaderMap) -> bool {
        false
    }

    /// Answers one request of those that it relays. `request` has no body: that is `body`, of any length. Its `Host` is the authority that
    /// the request names, in whichever way (RFC 9113 section 8.3.1). The answer's may be on its way
    /// too. The future is dropped when the client gives up before there is an answer, and the answer's body when it does so later.
    fn relay(
        &self,
        _request: Request,
        _body: Body,
    ) -> impl Future<Output = Result<hyper::Response<Body>, Problem>> + Send {
        async { Err(Problem::system_failure()) }
    }

    /// Whether it [answers](Self::upgrade) requests to go on in another protocol.
    const UPGRADES: bool = false;

    /// Answers one request of HTTP/1.1 to go on in another protocol (RFC 9110 section 7.8), which has no body; `Upgrade` is among its headers.
    /// With an answer of 101 the connection is there in `upgrade` as soon as that is sent, and what the handler does with it is the
    /// connection's until it ends. With any other, which says nothing of afterwards, HTTP goes on.
    fn upgrade(
        &self,
        _request: Request,
        _upgrade: OnUpgrade,
    ) -> impl Future<Output = Result<(hyper::Response<Body>, Option<Afterwards>), Problem>> + Send
    {
        async { Err(Problem::system_failure()) }
    }

    /// Octets that the body of a request may have; more is 413. Kept low where it is known what comes: it bounds what one
    /// request can cost. At most [`MAX_BODY`] counts, and [`MAX_IGNORED_BODY`] where the method has no body.
    fn max_body(&self, _method: &Method, _path: &str) -> usize {
        MAX_BODY
    }
}

/// Why a connection ended other than by agreement.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The peer broke HTTP, or the stream below failed.
    #[error("connection failed")]
    Connection(#[source] Box<dyn Error + Send + Sync>),
    /// Requests were still in progress some time after GOAWAY.
    #[error("requests did not finish within {DRAIN_TIMEOUT:?} of shutdown")]
    Drain,
    /// The peer did not take an answer in time.
    #[error("the peer did not read an answer within {ANSWER_TIMEOUT:?}")]
    Unread,
}

/// What a connection has beside its stream and its peer.
pub struct Terms {
    /// Where requests are counted; none on the cleartext ports.
    pub metrics: Option<RequestMetrics>,
    /// What pays for requests and answers.
    pub budget: Budget,
    /// The connection's standing at its port, where it settles with its first request.
    pub(crate) newcomer: Option<Arc<Newcomer>>,
}

impl Terms {
    /// Those of a connection that stands for itself.
    pub const fn new(metrics: Option<RequestMetrics>, budget: Budget) -> Self {
        Self {
            metrics,
            budget,
            newcomer: None,
        }
    }
}

/// Serves HTTP/2 on `io`, an authenticated stream, until the peer closes it, `shutdown` completes or the peer's certificate
/// expires. Requests are counted in `metrics`, and paid from a budget of the connection's own.
///
/// # Errors
/// [`ServeError`]. The connection is closed in any case.
pub async fn serve_connection<IO, H>(
    io: IO,
    peer: Arc<Peer>,
    handler: Arc<H>,
    metrics: RequestMetrics,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let terms = Terms::new(Some(metrics), Budget::default());
    serve_sbi_within(terms, io, peer, handler, shutdown).await
}

/// As [`serve_connection`], within what the process's connections share.
///
/// # Errors
/// As [`serve_connection`].
pub async fn serve_sbi_within<IO, H>(
    terms: Terms,
    io: IO,
    peer: Arc<Peer>,
    handler: Arc<H>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let is_anonymous = peer.identity.is_none();
    serve(
        Versions::Http2,
        is_anonymous,
        terms,
        io,
        peer,
        handler,
        shutdown,
    )
    .await
}

/// Serves HTTP/1.1 or HTTP/2 in cleartext to a program on this machine that this process works for: it may have what an authenticated peer
/// may.
///
/// # Errors
/// As [`serve_connection`].
pub async fn serve_program<IO, H>(
    terms: Terms,
    io: IO,
    remote: SocketAddr,
    handler: Arc<H>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let peer = Arc::new(Peer::cleartext(remote));
    serve(Versions::All, false, terms, io, peer, handler, shutdown).await
}

/// Serves HTTP/1.1 or HTTP/2 on `io`, a cleartext stream or one whose peer showed no certificate: the admin, log and witness ports. Requests are
/// paid from a budget of the connection's own.
///
/// # Errors
/// As [`serve_connection`].
pub async fn serve_cleartext<IO, H>(
    io: IO,
    remote: SocketAddr,
    handler: Arc<H>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let terms = Terms::new(None, Budget::default());
    serve_cleartext_within(terms, io, remote, handler, shutdown).await
}

/// As [`serve_cleartext`], within what the process's connections share.
///
/// # Errors
/// As [`serve_connection`].
pub async fn serve_cleartext_within<IO, H>(
    terms: Terms,
    io: IO,
    remote: SocketAddr,
    handler: Arc<H>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let peer = Arc::new(Peer::cleartext(remote));
    serve(Versions::All, true, terms, io, peer, handler, shutdown).await
}

fn builder(is_anonymous: bool, is_relaying: bool) -> auto::Builder<TokioExecutor> {
    let (streams, window, connection_window, header_list) = if is_anonymous {
        (
            MAX_ANONYMOUS_STREAMS,
            ANONYMOUS_WINDOW,
            ANONYMOUS_CONNECTION_WINDOW,
            ANONYMOUS_HEADER_LIST,
        )
    } else if is_relaying {
        (
            MAX_CONCURRENT_STREAMS,
            PASSING_WINDOW,
            RELAYED_CONNECTION_WINDOW,
            MAX_HEADER_LIST,
        )
    } else {
        (
            MAX_CONCURRENT_STREAMS,
            WINDOW,
            CONNECTION_WINDOW,
            MAX_HEADER_LIST,
        )
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .initial_stream_window_size(window)
        .initial_connection_window_size(connection_window)
        .max_header_list_size(header_list)
        .max_send_buf_size(PASSING_WINDOW as usize)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_REFUSED_STREAMS)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    builder
        .http1()
        .timer(TokioTimer::new())
        .max_buf_size(header_list as usize);
    builder
}

/// The versions of HTTP that are spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versions {
    /// HTTP/2.
    Http2,
    /// HTTP/1.1 or HTTP/2, as the peer begins.
    All,
}

/// As [`serve_connection`], for every kind of connection; to anonymous peers within narrower bounds.
///
/// # Errors
/// As [`serve_connection`].
pub(crate) async fn serve<IO, H>(
    versions: Versions,
    is_anonymous: bool,
    terms: Terms,
    io: IO,
    peer: Arc<Peer>,
    handler: Arc<H>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let Terms {
        metrics,
        budget,
        newcomer,
    } = terms;
    let answers = Answers::default();
    let spoken = AtomicBool::new(false);
    // Each request that is being answered has a share of it.
    let requests = Arc::new(());
    let afterwards = Slot::default();
    // Streams are served by other tasks.
    let connection_span = Span::current();
    let service = service_fn(|request: hyper::Request<Incoming>| {
        spoken.store(true, Ordering::Relaxed);
        let (peer, handler, metrics) = (Arc::clone(&peer), Arc::clone(&handler), metrics.clone());
        let (budget, answers, newcomer) = (budget.clone(), answers.clone(), newcomer.clone());
        let (in_progress, afterwards) = (requests.clone(), afterwards.clone());
        let span = connection_span.clone();
        async move {
            let _in_progress = in_progress;
            let started = Instant::now();
            let is_head = request.method() == Method::HEAD;
            let operation = ServiceOperation::of(request.method(), request.uri().path());
            let outcome = Outcome::new(|status| {
                if let Some(metrics) = &metrics {
                    metrics.record(Side::Server, operation, status, started.elapsed());
                }
                handler.answered(operation, status);
            });
            if let Some(newcomer) = newcomer {
                newcomer.settle().await;
            }
            let cost = REQUEST_COST + octets_of(request.headers());
            let (mut response, share) = match budget.share(cost, is_anonymous) {
                Ok(mut share) => {
                    let answering = traced(
                        operation,
                        request,
                        peer,
                        handler.as_ref(),
                        &span,
                        (&mut share, &afterwards),
                    );
                    (answering.await, Some(share))
                }
                Err(_) => (into_http(body::no_room().into_response()), None),
            };
            if is_head {
                remove_body(&mut response);
            }
            if let Some(mut share) = share {
                // The request is gone; its place is for the answer, and a small one always fits.
                if share.resize(cost.max(response.body().kept())).is_err() {
                    let _ = share.resize(cost);
                    response = into_http(body::no_room().into_response());
                }
                if !response.body().is_end_stream() {
                    response = response.map(|body| answers.hold(body, share));
                }
            }
            outcome.answered(response.status());
            Ok::<_, Infallible>(response)
        }
    });
    // A program may stop reading for as long as it likes, as it may where no sidecar is; what it is sent meanwhile waits at the sender.
    let patience = (is_anonymous || versions == Versions::Http2).then_some(WRITE_TIMEOUT);
    let io = TokioIo::new(Progress::new(io, patience));
    let builder = builder(is_anonymous, H::RELAYS);
    // A process that stops may have one that waits for its ports; a certificate that expires has not, and a stalled link gets its time.
    let has_successor = AtomicBool::new(true);
    let end = async {
        tokio::select! {
            () = answers.overdue(), if !H::OPEN_ENDED => return Err(ServeError::Unread),
            () = shutdown => {}
            () = silence(&spoken) => tracing::debug!(remote = %peer.remote, "closing: no request"),
            () = peer.expires() => {
                tracing::debug!(remote = %peer.remote, "closing: client certificate expired");
                has_successor.store(false, Ordering::Relaxed);
            }
        }
        Ok(())
    };
    let idle = async {
        if !has_successor.load(Ordering::Relaxed) {
            return pending().await;
        }
        sleep(IDLE_DRAIN_TIMEOUT).await;
        if Arc::strong_count(&requests) > 1 || answers.are_open() {
            // Whoever waits for an answer reads, so the connection ends with it.
            pending().await
        }
    };
    let served = if H::UPGRADES && versions == Versions::All {
        let connection = pin!(builder.serve_connection_with_upgrades(io, service));
        until_ended(
            connection,
            end,
            |connection| connection.graceful_shutdown(),
            idle,
        )
        .await
    } else {
        let builder = match versions {
            Versions::Http2 => builder.http2_only(),
            Versions::All => builder,
        };
        let connection = pin!(builder.serve_connection(io, service));
        until_ended(
            connection,
            end,
            |connection| connection.graceful_shutdown(),
            idle,
        )
        .await
    };
    if let Some(afterwards) = afterwards.take() {
        afterwards.await;
    }
    served
}

/// Has `connection` until it has ended by itself, or `end` completes: then it is to `finish`, unless it is `idle`.
async fn until_ended<C>(
    mut connection: Pin<&mut C>,
    end: impl Future<Output = Result<(), ServeError>>,
    finish: impl FnOnce(Pin<&mut C>),
    idle: impl Future<Output = ()>,
) -> Result<(), ServeError>
where
    C: Future<Output = Result<(), Box<dyn Error + Send + Sync>>>,
{
    tokio::select! {
        done = after_others(connection.as_mut()) => return done.map_err(ServeError::Connection),
        ended = end => ended?,
    }
    finish(connection.as_mut());
    let drained = tokio::select! {
        drained = timeout(DRAIN_TIMEOUT, connection) => drained,
        () = idle => {
            tracing::debug!("closing: nothing is in progress, and the peer does not answer");
            return Ok(());
        }
    };
    match drained {
        Ok(Ok(())) => Ok(()),
        // A peer may hang up as soon as it has seen GOAWAY.
        Ok(Err(error)) => {
            tracing::debug!(%error, "peer closed the connection while draining");
            Ok(())
        }
        Err(_) => Err(ServeError::Drain),
    }
}

/// What becomes of a connection when HTTP has ended on it.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Option<Afterwards>>>);

impl Slot {
    fn put(&self, afterwards: Option<Afterwards>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = afterwards;
    }

    fn take(&self) -> Option<Afterwards> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Polls `connection` each time only after the tasks that are ready now. It is woken by the first answer of those that are worked on, and
/// would write each by itself; those that wait behind it leave with it in one write.
async fn after_others<F: Future>(mut connection: Pin<&mut F>) -> F::Output {
    let mut is_behind = false;
    poll_fn(|context| {
        is_behind = !is_behind;
        if is_behind {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        connection.as_mut().poll(context)
    })
    .await
}

/// Completes when a connection has been open for a while without a request: it only holds a place.
async fn silence(spoken: &AtomicBool) {
    sleep(FIRST_REQUEST_TIMEOUT).await;
    if spoken.load(Ordering::Relaxed) {
        pending().await
    }
}

/// Answers as part of the trace that the caller named, if somebody asked for traces.
async fn traced<H: Handler>(
    operation: ServiceOperation,
    request: hyper::Request<Incoming>,
    peer: Arc<Peer>,
    handler: &H,
    connection: &Span,
    (share, afterwards): (&mut Share, &Slot),
) -> hyper::Response<Body> {
    let traced = connection.in_scope(|| trace::received_request(request.headers(), operation));
    let answering = async {
        let answer = answer(request, peer, handler, share, afterwards).await;
        // 503 is said to shed load, and saying so in the log too would add to it.
        if let Err(problem) = &answer
            && problem.status.is_server_error()
            && problem.status != StatusCode::SERVICE_UNAVAILABLE
        {
            // Its text may have the sender's words in it.
            let problem = problem.to_string();
            let problem = Quoted(&problem);
            tracing::warn!(service = operation.service, operation = operation.operation, %problem, "request failed");
        }
        answer.unwrap_or_else(|problem| into_http(problem.into_response()))
    };
    let Some((context, span)) = traced else {
        return answering.await;
    };
    let outcome = Outcome::new(|status| trace::answered(&span, status));
    // On the heap, as all that few requests need: the rest is moved from place to place with each.
    let response = Box::pin(trace::within(context, span.clone(), answering)).await;
    outcome.answered(response.status());
    response
}

async fn answer<H: Handler>(
    mut request: hyper::Request<Incoming>,
    peer: Arc<Peer>,
    handler: &H,
    share: &mut Share,
    afterwards: &Slot,
) -> Result<hyper::Response<Body>, Problem> {
    let upgrade = H::UPGRADES && asks_for_another_protocol(&request);
    let upgrade = upgrade.then(|| hyper::upgrade::on(&mut request));
    let (head, body) = request.into_parts();
    let is_relayed = handler.relays(&head.method, head.uri.path(), &head.headers);
    let mut bound = handler
        .max_body(&head.method, head.uri.path())
        .min(MAX_BODY);
    if matches!(head.method, Method::GET | Method::HEAD | Method::DELETE) {
        bound = bound.min(MAX_IGNORED_BODY);
    }
    let mut request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: Bytes::new(),
        peer,
    };
    // On the heap, and only when the request is there: a handler that calls others takes tens of kilobytes, which an unfinished
    // request must not cost.
    let handled = if let Some(upgrade) = upgrade {
        name_host(&mut request.headers, head.uri.authority());
        let upgraded = catch_panic(Box::pin(handler.upgrade(request, upgrade))).await;
        upgraded.map(|upgraded| {
            let (answer, then) = upgraded?;
            afterwards.put(then);
            Ok(answer)
        })
    } else if is_relayed {
        name_host(&mut request.headers, head.uri.authority());
        let body = Body::passing(body);
        share.grow(body.kept()).map_err(|_| body::no_room())?;
        catch_panic(Box::pin(handler.relay(request, body))).await
    } else {
        request.body = body::read(body, bound, share).await?;
        let handled = catch_panic(Box::pin(handler.handle(request))).await;
        handled.map(|answer| answer.map(into_http))
    };
    handled.unwrap_or_else(|HandlerPanicked| Err(Problem::system_failure()))
}

/// Whether a request asks that the connection goes on in another protocol. One with a body is none: that would be in the way.
fn asks_for_another_protocol(request: &hyper::Request<Incoming>) -> bool {
    let names_upgrade = |value: &HeaderValue| {
        let value = value.to_str().unwrap_or_default();
        let mut options = value.split(',').map(str::trim);
        options.any(|option| option.eq_ignore_ascii_case(UPGRADE.as_str()))
    };
    let headers = request.headers();
    request.version() == Version::HTTP_11
        && headers.contains_key(UPGRADE)
        && headers.get_all(CONNECTION).iter().any(names_upgrade)
        && request.body().is_end_stream()
}

/// Gives a request that goes on the `Host` that an older receiver looks for.
fn name_host(headers: &mut HeaderMap, authority: Option<&Authority>) {
    let named = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(named) = named {
        headers.insert(HOST, named);
    }
}

/// Octets of `headers`, as much as they take in memory at least.
fn octets_of(headers: &HeaderMap) -> usize {
    let octets = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    octets.sum()
}

/// Makes the answer to GET that to HEAD. Over HTTP/1.1 hyper would do so itself, over HTTP/2 it sends the body.
fn remove_body(response: &mut hyper::Response<Body>) {
    let body = std::mem::replace(response.body_mut(), Body::empty());
    if let Some(length) = body.size_hint().exact().filter(|length| *length > 0) {
        let length = HeaderValue::from(length);
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
}

fn into_http(response: Response) -> hyper::Response<Body> {
    let Response {
        status,
        headers,
        body,
    } = response;
    let mut http = hyper::Response::new(body.into());
    *http.status_mut() = status;
    *http.headers_mut() = headers;
    http
}

/// The panic hook has already reported where.
struct HandlerPanicked;

/// Runs `future` in place: a task of its own would outlive the request when the client gives up.
async fn catch_panic<F: Future>(future: F) -> Result<F::Output, HandlerPanicked> {
    let mut future = pin!(future);
    poll_fn(|context| {
        // The future is not polled again after a panic, and what it shares with others is behind locks that note one.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(HandlerPanicked)),
        }
    })
    .await
}
