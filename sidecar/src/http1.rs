//! Requests to a program that speaks nothing newer than HTTP/1.1: one at a time on each connection.
//!
//! ```text
//!  request without a body ── an idle connection, or a new one while there may be more ──> program
//!                                 ^                                                          │
//!                                 └── when the answer's body has ended, for a few seconds ───┘
//!  with a body ───────────────── a new one, which ends with the answer ───────────────────> program
//! ```
//!
//! A program that does not read a body takes it for the next request, so that no other request may come after one. A program may close an
//! idle connection at any time: what has not left is sent on another one, and so is what may be repeated (RFC 9110 section 9.2.2).

use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use hyper::body::Body as _;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderValue, TE, TRANSFER_ENCODING,
};
use hyper::http::uri::PathAndQuery;
use hyper::{StatusCode, Uri};
use hyper_util::rt::TokioIo;
use sbi::body::Body;
use sbi::client::{self, ClientError};
use sbi::header::remove_hop_by_hop;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{interval, timeout};

use crate::forward::{ForwardError, PATIENCE};
use crate::program::Program;

/// Connections to the program, each with one request at the most: such programs spend a thread on each.
const CONNECTIONS: usize = 256;
/// Connections that are kept for the next request.
const IDLE: usize = 16;
/// How long, or up to twice that: a program may have no thread for another one meanwhile.
const IDLE_TIME: Duration = Duration::from_secs(2);
/// Octets of an answer that are read before they are taken; its head is among them.
pub(crate) const BUFFER: usize = 64 * 1024;

type Idle = Mutex<Vec<Connection>>;

/// A connection without a request.
struct Connection {
    sender: SendRequest<Body>,
    since: Instant,
}

/// The connections to a program.
pub(crate) struct Http1 {
    places: Arc<Semaphore>,
    idle: Arc<Idle>,
}

impl Http1 {
    pub(crate) fn new() -> Self {
        let idle = Arc::default();
        tokio::spawn(end_idle(Arc::downgrade(&idle)));
        Self {
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            idle,
        }
    }

    /// Sends `request` with `body` to `program`. The answer's body keeps its connection.
    ///
    /// Dropping the future gives the request up, and so does dropping the answer's body.
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub(crate) async fn forward(
        &self,
        program: &Program,
        request: client::Request,
        body: Body,
    ) -> Result<hyper::Response<Body>, ForwardError> {
        let request = in_http1(request, body)?;
        if !request.body().is_end_stream() {
            let (sender, connection) = self.open(program).await?;
            let guard = Ended::new(connection);
            let sent = send(sender, request, |_| guard).await;
            return sent.map_err(|Unsent { error, .. }| error);
        }
        let request = match self.take_idle() {
            None => request,
            Some(sender) => {
                let again = repeatable(&request);
                match send(sender, request, |sender| self.kept(sender)).await {
                    Ok(answer) => return Ok(answer),
                    Err(Unsent { request, error }) => {
                        let is_gone =
                            matches!(&error, ForwardError::Http1(error) if is_gone(error));
                        let request = request.or_else(|| again.filter(|_| is_gone));
                        request.ok_or(error)?
                    }
                }
            }
        };
        let (sender, _) = self.open(program).await?;
        let sent = send(sender, request, |sender| self.kept(sender)).await;
        sent.map_err(|Unsent { error, .. }| error)
    }

    fn take_idle(&self) -> Option<SendRequest<Body>> {
        let mut idle = lock(&self.idle);
        idle.retain(|kept| !kept.sender.is_closed());
        let ready = idle.iter().rposition(|kept| kept.sender.is_ready())?;
        Some(idle.swap_remove(ready).sender)
    }

    fn kept(&self, sender: SendRequest<Body>) -> Kept {
        Kept {
            sender: Some(sender),
            idle: self.idle.clone(),
        }
    }

    async fn open(
        &self,
        program: &Program,
    ) -> Result<(SendRequest<Body>, AbortHandle), ForwardError> {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| ForwardError::Full)?;
        let stream = program.connect().await.map_err(ForwardError::Program)?;
        let mut builder = Builder::new();
        let opening = builder.max_buf_size(BUFFER).handshake(TokioIo::new(stream));
        let (sender, connection) = opening.await.map_err(ForwardError::Http1)?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to the program ended");
            }
            drop(place);
        });
        Ok((sender, task.abort_handle()))
    }
}

/// Sends a request. What `guard` makes of the connection goes with the answer's last octet.
async fn send<G: Send + Sync + 'static>(
    mut sender: SendRequest<Body>,
    request: hyper::Request<Body>,
    guard: impl FnOnce(SendRequest<Body>) -> G,
) -> Result<hyper::Response<Body>, Unsent> {
    let sent = timeout(PATIENCE, sender.try_send_request(request)).await;
    let mut answer = sent
        .map_err(|_| ForwardError::from(ClientError::Timeout(PATIENCE)))?
        .map_err(Unsent::from)?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ForwardError::Switched.into());
    }
    remove_hop_by_hop(answer.headers_mut());
    let guard = guard(sender);
    Ok(answer.map(|body| Body::passing(body).guarded(guard)))
}

/// Whether the program has closed the connection in place of an answer.
fn is_gone(error: &hyper::Error) -> bool {
    let of_io = error.source().and_then(|source| source.downcast_ref());
    let is_closed = |error: &io::Error| {
        let gone = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        gone.contains(&error.kind())
    };
    error.is_incomplete_message() || of_io.is_some_and(is_closed)
}

/// Ends connections that have been idle for long, as long as there is a pool.
async fn end_idle(idle: Weak<Idle>) {
    let mut ticks = interval(IDLE_TIME);
    loop {
        ticks.tick().await;
        let Some(idle) = idle.upgrade() else {
            return;
        };
        lock(&idle).retain(|kept| kept.since.elapsed() < IDLE_TIME);
    }
}

/// A connection that ends when this is dropped, be there something left to send or not.
pub(crate) struct Ended(AbortHandle);

impl Ended {
    pub(crate) const fn new(task: AbortHandle) -> Self {
        Self(task)
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A request that has no answer, itself if it has not left.
struct Unsent {
    request: Option<hyper::Request<Body>>,
    error: ForwardError,
}

impl From<ForwardError> for Unsent {
    fn from(error: ForwardError) -> Self {
        let request = None;
        Self { request, error }
    }
}

impl From<TrySendError<hyper::Request<Body>>> for Unsent {
    fn from(mut error: TrySendError<hyper::Request<Body>>) -> Self {
        Self {
            request: error.take_message(),
            error: ForwardError::Http1(error.into_error()),
        }
    }
}

/// A connection that is kept when this is dropped, with the last octet of its answer.
struct Kept {
    sender: Option<SendRequest<Body>>,
    idle: Arc<Idle>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut idle = lock(&self.idle);
        idle.retain(|kept| !kept.sender.is_closed());
        if idle.len() < IDLE {
            let since = Instant::now();
            let sender = self.sender.take();
            idle.extend(sender.map(|sender| Connection { sender, since }));
        }
    }
}

/// What is held under the lock stays consistent if a holder panicked: every change is a single insert or remove.
fn lock(idle: &Idle) -> MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request of HTTP/2 as HTTP/1.1 has it (RFC 9113 section 8.2.3, RFC 9110 section 7.2).
///
/// # Errors
/// Its authority or path are not those of a request.
pub(crate) fn in_http1(
    request: client::Request,
    body: Body,
) -> Result<hyper::Request<Body>, ForwardError> {
    let client::Request {
        method,
        authority,
        path,
        mut headers,
        body: _,
    } = request;
    let target = path.parse::<PathAndQuery>().ok();
    let Some((target, host)) = target.zip(HeaderValue::from_str(&authority).ok()) else {
        return Err(ClientError::Target { authority, path }.into());
    };
    join_cookies(&mut headers);
    // It is of one connection here, and programs that send trailers unasked do so anyway.
    headers.remove(TE);
    // The body comes unasked.
    headers.remove(EXPECT);
    headers.insert(HOST, host);
    if !body.is_end_stream() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        // HTTP sees to it that what a length says is true.
        if !headers.contains_key(CONTENT_LENGTH) {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
    let mut http = hyper::Request::new(body);
    *http.method_mut() = method;
    *http.uri_mut() = Uri::from(target);
    *http.headers_mut() = headers;
    Ok(http)
}

fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = { headers.get_all(COOKIE).iter() }
        .map(HeaderValue::as_bytes)
        .collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

/// A copy of a request that may be sent twice.
fn repeatable(request: &hyper::Request<Body>) -> Option<hyper::Request<Body>> {
    let may_be = request.method().is_idempotent() && request.body().is_end_stream();
    may_be.then(|| {
        let mut copy = hyper::Request::new(Body::empty());
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.headers_mut() = request.headers().clone();
        copy
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::Method;
    use hyper::body::{Body as HttpBody, Bytes, Frame};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    fn request(method: Method, authority: &str, path: &str) -> client::Request {
        client::Request::new(method, authority, path)
    }

    #[test]
    fn a_request_of_http2_has_one_host_and_one_cookie_and_asks_for_no_trailers() {
        let mut of_http2 = request(Method::GET, "program.test:80", "/a?b=c");
        for (name, value) in [(COOKIE, "a=1"), (COOKIE, "b=2"), (TE, "trailers")] {
            of_http2
                .headers
                .append(name, HeaderValue::from_static(value));
        }
        let http1 = in_http1(of_http2, Body::empty()).expect("a request");
        assert_eq!(http1.uri(), "/a?b=c");
        assert_eq!(http1.headers()[HOST], "program.test:80");
        let cookies: Vec<_> = http1.headers().get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2"]);
        assert!(!http1.headers().contains_key(TE));
        let bad = in_http1(request(Method::GET, "a\nb", "/"), Body::empty());
        assert!(matches!(
            bad,
            Err(ForwardError::Answer(ClientError::Target { .. }))
        ));
    }

    /// A program that takes connections and says what it is told.
    struct Scripted {
        listener: TcpListener,
        program: Program,
    }

    impl Scripted {
        async fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let at: SocketAddr = listener.local_addr().expect("bound");
            let address = format!("http1://{at}").parse().expect("a program's");
            Self {
                listener,
                program: Program::new(address, None).expect("no files"),
            }
        }

        async fn accept(&self) -> TcpStream {
            self.listener.accept().await.expect("a connection").0
        }
    }

    /// Reads up to what ends with `end`.
    async fn read(stream: &mut TcpStream, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            text.push(stream.read_u8().await.expect("an octet").into());
        }
        text
    }

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    async fn body_of(answer: Result<hyper::Response<Body>, ForwardError>) -> Vec<u8> {
        let mut body = answer.expect("an answer").into_body();
        let mut octets = Vec::new();
        while let Some(frame) = body.next().await {
            let data = frame.expect("it goes on").into_data();
            octets.extend_from_slice(&data.expect("no trailers"));
        }
        octets
    }

    #[tokio::test]
    async fn a_connection_serves_request_after_request_and_another_one_where_it_has_gone() {
        let (scripted, http1) = (Scripted::new().await, Http1::new());
        let get = || {
            let request = request(Method::GET, "program.test", "/page");
            http1.forward(&scripted.program, request, Body::empty())
        };
        let program = async {
            let mut stream = scripted.accept().await;
            for _ in 0..2 {
                let asked = read(&mut stream, "\r\n\r\n").await;
                assert!(asked.starts_with("GET /page HTTP/1.1\r\n"), "{asked}");
                stream.write_all(ANSWER).await.expect("it is read");
            }
            // The third comes when the program has given the connection up.
            read(&mut stream, "\r\n\r\n").await;
            drop(stream);
            let mut stream = scripted.accept().await;
            read(&mut stream, "\r\n\r\n").await;
            stream.write_all(ANSWER).await.expect("it is read");
            stream
        };
        let asking = async {
            for _ in 0..3 {
                assert_eq!(body_of(get().await).await, b"ok");
                // The connection is idle when its task has seen the end of the answer.
                http1.settle().await;
            }
        };
        tokio::join!(program, asking);
    }

    impl Http1 {
        /// A connection is idle when its task has seen the end of the answer.
        async fn settle(&self) {
            while !lock(&self.idle).iter().all(|kept| kept.sender.is_ready()) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// A body in parts, whose length nobody says.
    fn streamed(parts: &'static [&'static str]) -> Body {
        Body::passing(Parts(parts.iter()))
    }

    struct Parts(std::slice::Iter<'static, &'static str>);

    impl HttpBody for Parts {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
            let next = self
                .0
                .next()
                .map(|part| Ok(Frame::data(Bytes::from_static(part.as_bytes()))));
            Poll::Ready(next)
        }
    }

    // A program that does not read it took it for a request, whose headers no sidecar had seen, on a connection of all peers. Without a
    // length it was left out, since hyper sends none with GET.
    #[tokio::test]
    async fn a_body_goes_on_a_connection_of_its_own_whatever_the_method() {
        let (scripted, http1) = (Scripted::new().await, Http1::new());
        let get = |body| {
            let request = request(Method::GET, "program.test", "/page");
            http1.forward(&scripted.program, request, body)
        };
        let program = async {
            let mut kept = scripted.accept().await;
            read(&mut kept, "\r\n\r\n").await;
            kept.write_all(ANSWER).await.expect("it is read");
            let mut own = scripted.accept().await;
            let head = read(&mut own, "\r\n\r\n").await;
            assert!(head.contains("connection: close\r\n"), "{head}");
            assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
            let body = read(&mut own, "0\r\n\r\n").await;
            assert_eq!(body, "5\r\nGET /\r\n3\r\n...\r\n0\r\n\r\n");
            own.write_all(ANSWER).await.expect("it is read");
            let mut after = Vec::new();
            own.read_to_end(&mut after).await.expect("it ends");
            assert!(after.is_empty(), "{after:?}");
            // The one from before is still good.
            read(&mut kept, "\r\n\r\n").await;
            kept.write_all(ANSWER).await.expect("it is read");
        };
        let asking = async {
            assert_eq!(body_of(get(Body::empty()).await).await, b"ok");
            http1.settle().await;
            assert_eq!(body_of(get(streamed(&["GET /", "..."])).await).await, b"ok");
            assert_eq!(body_of(get(Body::empty()).await).await, b"ok");
        };
        tokio::join!(program, asking);
    }

    // A place was held for as long as the upload stood still.
    #[tokio::test]
    async fn an_answer_before_the_end_of_the_body_ends_the_connection() {
        let (scripted, http1) = (Scripted::new().await, Http1::new());
        struct Endless;
        impl HttpBody for Endless {
            type Data = Bytes;
            type Error = Infallible;
            fn poll_frame(
                self: Pin<&mut Self>,
                _context: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
                Poll::Pending
            }
        }
        let post = request(Method::POST, "program.test", "/page");
        let program = async {
            let mut stream = scripted.accept().await;
            read(&mut stream, "\r\n\r\n").await;
            stream.write_all(ANSWER).await.expect("it is read");
            stream
        };
        let asking = http1.forward(&scripted.program, post, Body::passing(Endless));
        let (mut stream, answer) = tokio::join!(program, asking);
        assert_eq!(body_of(answer).await, b"ok");
        let places = http1.places.acquire_many(CONNECTIONS as u32).await;
        drop(places.expect("the connection has ended"));
        assert!(!matches!(stream.read(&mut [0]).await, Ok(1..)));
    }

    #[tokio::test]
    async fn a_program_that_closes_without_reading_is_asked_again() {
        let (scripted, http1) = (Scripted::new().await, Http1::new());
        let get = || {
            let request = request(Method::GET, "program.test", "/page");
            http1.forward(&scripted.program, request, Body::empty())
        };
        let (asked, has_asked) = tokio::sync::oneshot::channel::<()>();
        let program = async {
            let mut stream = scripted.accept().await;
            read(&mut stream, "\r\n\r\n").await;
            stream.write_all(ANSWER).await.expect("it is read");
            has_asked.await.expect("it asks");
            // The second request is there, so that whoever closes resets the connection.
            stream.readable().await.expect("it is open");
            drop(stream);
            let mut stream = scripted.accept().await;
            read(&mut stream, "\r\n\r\n").await;
            stream.write_all(ANSWER).await.expect("it is read");
        };
        let asking = async {
            assert_eq!(body_of(get().await).await, b"ok");
            http1.settle().await;
            asked.send(()).expect("the program waits");
            assert_eq!(body_of(get().await).await, b"ok");
        };
        tokio::join!(program, asking);
    }

    #[tokio::test]
    async fn what_may_not_be_repeated_is_sent_once() {
        let (scripted, http1) = (Scripted::new().await, Http1::new());
        let post = || {
            let request = request(Method::POST, "program.test", "/page");
            http1.forward(&scripted.program, request, Body::empty())
        };
        let program = async {
            let mut stream = scripted.accept().await;
            read(&mut stream, "\r\n\r\n").await;
            stream.write_all(ANSWER).await.expect("it is read");
            read(&mut stream, "\r\n\r\n").await;
        };
        let asking = async {
            assert_eq!(body_of(post().await).await, b"ok");
            http1.settle().await;
            post().await
        };
        let ((), answer) = tokio::join!(program, asking);
        assert!(matches!(answer, Err(ForwardError::Http1(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn connections_are_bounded_and_their_places_come_back() {
        let scripted = Scripted::new().await;
        let http1 = Http1::new();
        let all = http1.places.clone().acquire_many_owned(CONNECTIONS as u32);
        let all = all.await.expect("none was taken");
        let get = || {
            let request = request(Method::GET, "program.test", "/");
            http1.forward(&scripted.program, request, Body::empty())
        };
        assert!(matches!(get().await, Err(ForwardError::Full)));
        drop(all);
        let program = async {
            let mut stream = scripted.accept().await;
            read(&mut stream, "\r\n\r\n").await;
            // Of HTTP/1.0, which ends with the connection.
            let answer = b"HTTP/1.0 200 OK\r\n\r\nok";
            stream.write_all(answer).await.expect("it is read");
        };
        let ((), answer) = tokio::join!(program, get());
        assert_eq!(body_of(answer).await, b"ok");
        let places = http1.places.acquire_many(CONNECTIONS as u32);
        drop(places.await.expect("the connection has ended"));
    }
}
