//! One HTTP/2 connection as a client.
//!
//! The caller connects and, for `https`, runs the TLS handshake; this module sends requests over the stream it gets. Failures
//! are kept apart by what they say about the request: it never left, its fate is unknown (timeout, broken connection), or the
//! producer answered with an error.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::http::HeaderValue;
use hyper::http::uri::{Authority, PathAndQuery};
use hyper::{HeaderMap, Method, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use mtc_tls::handshake::Traffic;
use mtc_tls::record::Side;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{timeout, timeout_at};

use crate::access_token::{Authorizer, Bearer};
use crate::address::ResolveError;
use crate::body::{Body, PASSING_WINDOW};
use crate::header::{MAX_RSP_TIME, MaxRspTime, TypedHeader};
use crate::metrics::RequestMetrics;
use crate::operation::ServiceOperation;
use crate::outcome::Outcome;
use crate::problem::ProblemDetails;
use crate::response::{JSON, Response};
use crate::server::MAX_ANONYMOUS_STREAMS;
use crate::trace;
use crate::uri::Scheme;

mod until;

use until::Until;

/// Octets of an answer's body: a discovery result has at most 2,000 kB (`max-payload-size`), a tile 8 KiB.
pub const MAX_BODY: usize = 4 * 1024 * 1024;
/// Octets of an answer's headers.
const MAX_HEADER_LIST: u32 = 16 * 1024;
/// Requests in progress before the server has said how many it takes: as many as any server here does. More would be refused,
/// and a server that refuses many ends the connection.
const FIRST_STREAMS: usize = MAX_ANONYMOUS_STREAMS as usize;
/// How long an open connection goes without a PING while requests wait, and how long the answer may take.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a request has no answer that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No TCP connection.
    #[error("cannot connect to {addr}")]
    Connect {
        /// Where to.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The producer's name has no address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The HTTP/2 connection did not come about.
    #[error("http/2 connection setup failed")]
    Handshake(#[source] hyper::Error),
    /// Authority or path are not those of a URI: our own mistake, or a URI the peer gave us.
    #[error("not a request target: {authority:?} {path:?}")]
    Target {
        /// The authority.
        authority: String,
        /// The path and query.
        path: String,
    },
    /// No answer in time; the request may have been carried out.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection or stream failed; the request may have been carried out.
    #[error("http/2 failed")]
    Http2(#[source] hyper::Error),
    /// The answer is longer than so many octets.
    #[error("answer is longer than {0} octets")]
    TooLong(usize),
    /// The producer refused.
    #[error("status {status}: {details}")]
    Status {
        /// Status of the answer.
        status: StatusCode,
        /// What its body says, empty if nothing.
        details: Box<ProblemDetails>,
    },
    /// There is no access token for the request.
    #[error("no access token")]
    Token(#[source] Box<dyn Error + Send + Sync>),
    /// The NRF's answer has a token that no header can carry.
    #[error("access_token is not visible ASCII")]
    TokenText,
    /// A successful answer whose body is not what it should be.
    #[error("answer cannot be read")]
    Body(#[from] serde_json::Error),
}

impl ClientError {
    /// Whether the producer has certainly not begun with the request, which then may be sent elsewhere: nothing of it was
    /// sent, or the producer says so (RFC 9113 sections 6.8 and 8.7).
    pub fn is_unprocessed(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Resolve(_) | Self::Handshake(_) | Self::Target { .. } => {
                true
            }
            // hyper cancels what it has not begun to send when the connection ends.
            Self::Http2(error) => error.is_canceled() || is_refused(error),
            _ => false,
        }
    }
}

fn is_refused(error: &hyper::Error) -> bool {
    let http2 = error.source().and_then(|s| s.downcast_ref::<h2::Error>());
    http2.is_some_and(|http2| {
        let reset = http2.is_reset() && http2.reason() == Some(h2::Reason::REFUSED_STREAM);
        // Streams up to the last that the producer began with do not end with this error.
        let gone = http2.is_go_away() && http2.reason() == Some(h2::Reason::NO_ERROR);
        http2.is_remote() && (reset || gone)
    })
}

/// A request to send.
#[derive(Clone, Debug)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// `host[:port]` for `:authority`.
    pub authority: String,
    /// Path and query, percent-encoded.
    pub path: String,
    /// Header fields.
    pub headers: HeaderMap,
    /// The body, empty if there is none.
    pub body: Bytes,
}

impl Request {
    /// A request without a body.
    pub fn new(method: Method, authority: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            method,
            authority: authority.into(),
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// The same request with `body` as `application/json`.
    pub fn json(self, body: &impl Serialize) -> Self {
        self.json_as(JSON, body)
    }

    /// The same request with `body` as JSON under another media type.
    pub fn json_as(self, content_type: &'static str, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("model types have string keys and do not fail");
        self.body(HeaderValue::from_static(content_type), body)
    }

    /// The same request with a body.
    pub fn body(mut self, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        self.headers.insert(CONTENT_TYPE, content_type);
        self.body = body.into();
        self
    }

    /// The same request with an access token, if there is one.
    pub fn bearing(mut self, token: Option<&Bearer>) -> Self {
        if let Some(token) = token {
            self.headers.insert(AUTHORIZATION, token.header().clone());
        }
        self
    }

    /// The same request with a `3gpp-Sbi-*` header.
    pub fn header(mut self, header: &impl TypedHeader) -> Self {
        header.write(&mut self.headers);
        self
    }
}

/// An open HTTP/2 connection. Requests may be sent concurrently; dropping it lets those in progress finish.
#[derive(Debug)]
pub struct Connection {
    scheme: Scheme,
    sender: http2::SendRequest<Body>,
    driver: JoinHandle<()>,
    /// Has no sender any more when the stream has ended.
    open: watch::Receiver<()>,
    /// When the head of the first answer was here.
    first_answer: OnceLock<Instant>,
    usage: Arc<Usage>,
    metrics: Option<RequestMetrics>,
    /// Octets that an answer's body may have.
    max_body: usize,
    authorizer: Option<Authorizer>,
    /// Whether requests are somebody else's, to which nothing is added.
    adds_nothing: bool,
}

/// What has gone over a connection; readable while and after it is closed.
#[derive(Debug, Default)]
pub struct Usage {
    requests: AtomicU64,
    body_bytes: AtomicU64,
    traffic: OnceLock<Arc<Traffic>>,
}

/// What had gone over a connection at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Requests that were sent.
    pub requests: u64,
    /// Octets of the bodies of requests and answers.
    pub body_bytes: u64,
    /// Bytes on the TCP connection in both directions; zero where nobody counts them.
    pub wire_bytes: u64,
}

impl Used {
    /// What has gone over it since an earlier moment.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            body_bytes: self.body_bytes.saturating_sub(earlier.body_bytes),
            wire_bytes: self.wire_bytes.saturating_sub(earlier.wire_bytes),
        }
    }
}

impl Usage {
    /// As of now.
    pub fn now(&self) -> Used {
        Used {
            requests: self.requests.load(Ordering::Relaxed),
            body_bytes: self.body_bytes.load(Ordering::Relaxed),
            wire_bytes: self.traffic.get().map_or(0, |traffic| traffic.total()),
        }
    }

    fn exchanged(&self, body: &Bytes) {
        self.body_bytes
            .fetch_add(body.len() as u64, Ordering::Relaxed);
    }
}

impl Connection {
    /// Starts HTTP/2 on `io`, over which `scheme` is spoken. Server push is off.
    ///
    /// # Errors
    /// [`ClientError::Handshake`].
    pub async fn handshake<IO>(io: IO, scheme: Scheme) -> Result<Self, ClientError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::start(io, scheme, &builder()).await
    }

    /// As [`Connection::handshake`], but the connection is closed, whatever is under way on it, when `end` completes.
    ///
    /// # Errors
    /// [`ClientError::Handshake`].
    pub async fn handshake_until<IO>(
        io: IO,
        scheme: Scheme,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, ClientError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::start(Until::new(io, end), scheme, &builder()).await
    }

    /// As [`Connection::handshake_until`], for `streams` requests at a time whose answers are [passed on](Connection::pass): the
    /// producer may send a window of each before it is taken, so that an answer that nobody takes stops no other.
    ///
    /// # Errors
    /// [`ClientError::Handshake`].
    pub async fn handshake_to_pass<IO>(
        io: IO,
        scheme: Scheme,
        streams: u32,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, ClientError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = builder();
        builder
            .initial_stream_window_size(PASSING_WINDOW)
            .initial_connection_window_size(PASSING_WINDOW.saturating_mul(streams))
            .max_send_buf_size(PASSING_WINDOW as usize);
        Self::start(Until::new(io, end), scheme, &builder).await
    }

    async fn start<IO>(
        io: IO,
        scheme: Scheme,
        builder: &http2::Builder<TokioExecutor>,
    ) -> Result<Self, ClientError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = builder.handshake(TokioIo::new(io));
        let (sender, connection) = handshake.await.map_err(ClientError::Handshake)?;
        let (opened, open) = watch::channel(());
        let driver = tokio::spawn(async move {
            let _opened = opened;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "http/2 client connection ended");
            }
        });
        Ok(Self {
            scheme,
            sender,
            driver,
            open,
            first_answer: OnceLock::new(),
            usage: Arc::default(),
            metrics: None,
            max_body: MAX_BODY,
            authorizer: None,
            adds_nothing: false,
        })
    }

    /// Counts the requests of this connection in `metrics`.
    #[must_use]
    pub fn counted_in(mut self, metrics: RequestMetrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Reads the bytes on the wire from `traffic`, which counts those of the stream beneath.
    #[must_use]
    pub fn over(self, traffic: Arc<Traffic>) -> Self {
        self.usage.traffic.get_or_init(|| traffic);
        self
    }

    /// What goes over this connection.
    pub fn usage(&self) -> Arc<Usage> {
        self.usage.clone()
    }

    /// Takes answers of so many octets at most.
    #[must_use]
    pub const fn bounded(mut self, max_body: usize) -> Self {
        self.max_body = max_body;
        self
    }

    /// Gives the requests of this connection the access tokens and assertions that they need; what a request has, it keeps.
    #[must_use]
    pub fn authorized_by(mut self, authorizer: Option<Authorizer>) -> Self {
        self.authorizer = authorizer;
        self
    }

    /// Adds nothing to requests, neither how long this side waits nor the trace that they are part of: they are a program's of which it is not
    /// known whether it is an NF.
    #[must_use]
    pub const fn adding_nothing(mut self) -> Self {
        self.adds_nothing = true;
        self
    }

    /// Connects to `addr` and starts cleartext HTTP/2 with prior knowledge: log, witness and admin ports.
    ///
    /// # Errors
    /// [`ClientError::Connect`], [`ClientError::Timeout`] or [`ClientError::Handshake`].
    pub async fn connect_cleartext(
        addr: SocketAddr,
        deadline: Duration,
    ) -> Result<Self, ClientError> {
        Self::handshake(connect_tcp(addr, deadline).await?, Scheme::Http).await
    }

    /// Sends `request` and returns the answer whatever its status. The producer is told how long this side waits
    /// (`3gpp-Sbi-Max-Rsp-Time`), unless the request already says so. Dropping the future gives the request up; it is then
    /// counted as one without an answer, and may have been carried out.
    ///
    /// A request whose access token or client credentials assertion is refused is sent once more with another one, if there is one
    /// (TS 29.500 clause 6.7.3): it has not been carried out.
    /// All of it, fetching tokens too, must be done within `deadline`.
    ///
    /// # Errors
    /// [`ClientError`], but not [`ClientError::Status`].
    pub async fn send(
        &self,
        request: Request,
        deadline: Duration,
    ) -> Result<Response, ClientError> {
        let authorizer = self.authorizer.as_ref();
        let needed = authorizer.and_then(|authorizer| {
            let need = authorizer.need(&request.method, &request.path)?;
            Some((authorizer, need))
        });
        let Some((authorizer, need)) = needed else {
            return self.send_as_it_is(request, deadline).await;
        };
        let until = tokio::time::Instant::now() + deadline;
        let mut is_first = true;
        loop {
            let permit = authorizer.permit(&need, &request.headers, is_first);
            let permit = timeout_at(until, permit).await;
            let permit = permit.map_err(|_| ClientError::Timeout(deadline))?;
            let permit = permit.map_err(ClientError::Token)?;
            let mut sent = request.clone();
            permit.write(&mut sent.headers);
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            let response = self.send_as_it_is(sent, left).await;
            let response = response.map_err(|error| match error {
                // Equal causes are counted together, so that none may say how much was left.
                ClientError::Timeout(_) => ClientError::Timeout(deadline),
                error => error,
            })?;
            if !std::mem::take(&mut is_first) || !authorizer.learn(&need, &permit, &response) {
                return Ok(response);
            }
        }
    }

    async fn send_as_it_is(
        &self,
        mut request: Request,
        deadline: Duration,
    ) -> Result<Response, ClientError> {
        let body = std::mem::take(&mut request.body);
        self.usage.exchanged(&body);
        let whole = async |answer| whole(answer, self.max_body).await;
        let response: Response = self
            .send_body(request, body.into(), deadline, whole)
            .await?;
        self.usage.exchanged(&response.body);
        Ok(response)
    }

    /// Sends `request` with `body` instead of its own, as fast as the producer takes it, and returns the head of the answer with a body
    /// that is on its way: whoever takes that counts its octets and bounds its time. An answer may come before the request's body has
    /// ended. Access tokens are the caller's to set.
    ///
    /// Dropping the future, or the answer's body, resets the stream; so does an error of `body`.
    ///
    /// # Errors
    /// [`ClientError`], but not [`ClientError::Status`].
    pub async fn pass(
        &self,
        request: Request,
        body: Body,
        deadline: Duration,
    ) -> Result<hyper::Response<Body>, ClientError> {
        let passing = async |answer: hyper::Response<Incoming>| Ok(answer.map(Body::passing));
        self.send_body(request, body, deadline, passing).await
    }

    /// Sends `request` with `body`, and takes the answer as `take` does before the deadline.
    async fn send_body<T: Answer>(
        &self,
        request: Request,
        body: Body,
        deadline: Duration,
        take: impl AsyncFnOnce(hyper::Response<Incoming>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        self.usage.requests.fetch_add(1, Ordering::Relaxed);
        let request = self.http_request(request, body, deadline)?;
        let operation = ServiceOperation::of(request.method(), request.uri().path());
        let started = Instant::now();
        let outcome = Outcome::new(|status| {
            if let Some(metrics) = &self.metrics {
                metrics.record(Side::Client, operation, status, started.elapsed());
            }
        });
        // At the deadline the exchange is dropped, and its span with it has no answer.
        let exchange = timeout(deadline, self.traced(operation, request, take));
        let answered = exchange.await;
        let answer = answered.unwrap_or(Err(ClientError::Timeout(deadline)))?;
        outcome.answered(answer.status());
        Ok(answer)
    }

    /// As [`Connection::send`], but a status other than 2xx is an error.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn call(
        &self,
        request: Request,
        deadline: Duration,
    ) -> Result<Response, ClientError> {
        successful(self.send(request, deadline).await?)
    }

    /// When the head of the first answer on this connection was here.
    pub fn first_answer(&self) -> Option<Instant> {
        self.first_answer.get().copied()
    }

    /// Whether the connection takes no more requests.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Completes when the connection has ended, whoever ended it; it may be dropped before.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut open = self.open.clone();
        async move { while open.changed().await.is_ok() {} }
    }

    /// Lets requests in progress finish, says goodbye and closes the stream.
    pub async fn close(self) {
        drop(self.sender);
        // The driver has nothing to return, and a panic in it is hyper's to report.
        let _ = self.driver.await;
    }

    /// Sends a request as part of the trace that the task belongs to, if somebody asked for traces.
    async fn traced<T: Answer>(
        &self,
        operation: ServiceOperation,
        mut request: hyper::Request<Body>,
        take: impl AsyncFnOnce(hyper::Response<Incoming>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let sent = (!self.adds_nothing).then(|| trace::sent_request(operation));
        let Some((context, span)) = sent.flatten() else {
            return take(self.exchange(request).await?).await;
        };
        let traceparent = HeaderValue::from_str(&context.to_string());
        let traceparent = traceparent.expect("a traceparent is visible ASCII");
        request
            .headers_mut()
            .insert(trace::TRACEPARENT, traceparent);
        let outcome = Outcome::new(|status| trace::answered(&span, status));
        let exchange = async { take(self.exchange(request).await?).await };
        let answer = trace::within(context, span.clone(), exchange).await?;
        outcome.answered(answer.status());
        Ok(answer)
    }

    async fn exchange(
        &self,
        request: hyper::Request<Body>,
    ) -> Result<hyper::Response<Incoming>, ClientError> {
        let response = self.sender.clone().send_request(request).await;
        let response = response.map_err(ClientError::Http2)?;
        self.first_answer.get_or_init(Instant::now);
        Ok(response)
    }

    fn http_request(
        &self,
        request: Request,
        body: Body,
        deadline: Duration,
    ) -> Result<hyper::Request<Body>, ClientError> {
        let Request {
            method,
            authority,
            path,
            mut headers,
            body: _,
        } = request;
        let target = || {
            Uri::builder()
                .scheme(self.scheme.as_str())
                .authority(authority.parse::<Authority>()?)
                .path_and_query(path.parse::<PathAndQuery>()?)
                .build()
        };
        let uri = target().map_err(|_| ClientError::Target {
            authority: authority.clone(),
            path: path.clone(),
        })?;
        if !self.adds_nothing && !headers.contains_key(MAX_RSP_TIME) {
            MaxRspTime::new(deadline).write(&mut headers);
        }
        let mut http = hyper::Request::new(body);
        *http.method_mut() = method;
        *http.uri_mut() = uri;
        *http.headers_mut() = headers;
        Ok(http)
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_LIST)
        .initial_max_send_streams(FIRST_STREAMS)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    builder
}

/// What is taken of an answer, which has a status.
trait Answer {
    fn status(&self) -> StatusCode;
}

impl Answer for Response {
    fn status(&self) -> StatusCode {
        self.status
    }
}

impl Answer for hyper::Response<Body> {
    fn status(&self) -> StatusCode {
        self.status()
    }
}

/// A TCP connection that does not wait with small writes.
///
/// # Errors
/// [`ClientError::Connect`], [`ClientError::Timeout`].
async fn connect_tcp(addr: SocketAddr, deadline: Duration) -> Result<TcpStream, ClientError> {
    let connect = async {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    timeout(deadline, connect)
        .await
        .map_err(|_| ClientError::Timeout(deadline))?
        .map_err(|source| ClientError::Connect { addr, source })
}

/// An answer with its body, of `max_body` octets at most.
///
/// # Errors
/// [`ClientError::TooLong`], [`ClientError::Http2`].
async fn whole(
    answer: hyper::Response<Incoming>,
    max_body: usize,
) -> Result<Response, ClientError> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, max_body).collect().await;
    let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
        Ok(error) => ClientError::Http2(*error),
        Err(error) => {
            debug_assert!(error.is::<LengthLimitError>());
            ClientError::TooLong(max_body)
        }
    })?;
    Ok(Response {
        status: head.status,
        headers: head.headers,
        body: body.to_bytes(),
    })
}

/// An answer whose status is 2xx.
///
/// # Errors
/// [`ClientError::Status`].
fn successful(response: Response) -> Result<Response, ClientError> {
    if response.status.is_success() {
        return Ok(response);
    }
    Err(ClientError::Status {
        status: response.status,
        details: Box::new(ProblemDetails::from_body(&response.body).unwrap_or_default()),
    })
}
