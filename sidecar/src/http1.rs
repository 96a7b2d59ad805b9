//! Requests to a program that speaks nothing newer than HTTP/1.1: one at a time on each connection.
//!
//! ```text
//!  request ── an idle connection, or a new one while there may be more ──> head, body as it comes ──> program
//!                ^                                                                                       │
//!                └────────── when the answer's body has ended, if the program keeps it open ─────────────┘
//! ```
//!
//! A program may close an idle connection at any time. What has not left is sent on another one, and so is what may be repeated
//! (RFC 9110 section 9.2.2) and has no body.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::Uri;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{COOKIE, HOST, HeaderMap, HeaderValue, TE};
use hyper::http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use sbi::body::Body;
use sbi::client::{self, ClientError};
use sbi::header::remove_hop_by_hop;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::forward::{ForwardError, PATIENCE};
use crate::program::Program;

/// Connections to the program, each with one request at the most: such programs spend a thread on each.
const CONNECTIONS: usize = 256;
/// Connections that are kept for the next request.
const IDLE: usize = 16;
/// Octets of an answer that are read before they are taken; its head is among them.
const BUFFER: usize = 64 * 1024;

type Idle = Arc<Mutex<Vec<SendRequest<Body>>>>;

/// The connections to a program.
pub(crate) struct Http1 {
    places: Arc<Semaphore>,
    idle: Idle,
}

impl Http1 {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            idle: Idle::default(),
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
        let request = match self.take_idle() {
            None => request,
            Some(sender) => {
                let again = repeatable(&request);
                match self.send(sender, request).await {
                    Ok(answer) => return Ok(answer),
                    Err(Unsent { request, error }) => {
                        let is_gone =
                            matches!(&error, ForwardError::Http1(e) if e.is_incomplete_message());
                        let request = request.or_else(|| again.filter(|_| is_gone));
                        request.ok_or(error)?
                    }
                }
            }
        };
        let sender = self.open(program).await?;
        let sent = self.send(sender, request).await;
        sent.map_err(|Unsent { error, .. }| error)
    }

    fn take_idle(&self) -> Option<SendRequest<Body>> {
        let mut idle = lock(&self.idle);
        idle.retain(|sender| !sender.is_closed());
        let ready = idle.iter().rposition(SendRequest::is_ready)?;
        Some(idle.swap_remove(ready))
    }

    async fn open(&self, program: &Program) -> Result<SendRequest<Body>, ForwardError> {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| ForwardError::Full)?;
        let stream = program.connect().await.map_err(ForwardError::Program)?;
        let mut builder = Builder::new();
        let opening = builder.max_buf_size(BUFFER).handshake(TokioIo::new(stream));
        let (sender, connection) = opening.await.map_err(ForwardError::Http1)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to the program ended");
            }
            drop(place);
        });
        Ok(sender)
    }

    async fn send(
        &self,
        mut sender: SendRequest<Body>,
        request: hyper::Request<Body>,
    ) -> Result<hyper::Response<Body>, Unsent> {
        let sent = timeout(PATIENCE, sender.try_send_request(request)).await;
        let mut answer = sent
            .map_err(|_| ForwardError::from(ClientError::Timeout(PATIENCE)))?
            .map_err(Unsent::from)?;
        remove_hop_by_hop(answer.headers_mut());
        let kept = Kept {
            sender: Some(sender),
            idle: self.idle.clone(),
        };
        Ok(answer.map(|body| Body::passing(body).guarded(kept)))
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
    idle: Idle,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE {
            idle.extend(self.sender.take());
        }
    }
}

/// What is held under the lock stays consistent if a holder panicked: every change is a single insert or remove.
fn lock(idle: &Idle) -> MutexGuard<'_, Vec<SendRequest<Body>>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request of HTTP/2 as HTTP/1.1 has it (RFC 9113 section 8.2.3, RFC 9110 section 7.2).
///
/// # Errors
/// Its authority or path are not those of a request.
fn in_http1(request: client::Request, body: Body) -> Result<hyper::Request<Body>, ForwardError> {
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
    headers.insert(HOST, host);
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
    use hyper::body::Body as _;
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
    use std::net::SocketAddr;

    use hyper::Method;
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
                while !lock(&http1.idle).iter().all(SendRequest::is_ready) {
                    tokio::task::yield_now().await;
                }
            }
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
            while !lock(&http1.idle).iter().all(SendRequest::is_ready) {
                tokio::task::yield_now().await;
            }
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
