//! Requests that no peer should send: headers without measure, more streams than there may be, bodies that do not come.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::client::conn::http2;
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sbi::client::{Connection, Request};
use sbi::problem::{Problem, ProblemDetails};
use sbi::response::Response;
use sbi::server::{self, ANONYMOUS_HEADER_LIST, Handler, MAX_ANONYMOUS_STREAMS};
use sbi::uri::Scheme;
use test_support::body::Written;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);
const REMOTE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
/// Frame types and error codes of RFC 9113.
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// Answers once it is told to.
struct Patient(watch::Receiver<bool>);

impl Handler for Patient {
    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        request.segments()?;
        let mut told = self.0.clone();
        // It is told, or the test is over.
        let _ = told.wait_for(|told| *told).await;
        Ok(Response::no_content())
    }
}

/// The client's end of a connection in memory to a server that answers when it is told.
fn serve() -> (DuplexStream, watch::Sender<bool>) {
    let (client, server) = tokio::io::duplex(256 * 1024);
    let (tell, told) = watch::channel(false);
    let never = std::future::pending();
    let handler = Arc::new(Patient(told));
    tokio::spawn(server::serve_cleartext(server, REMOTE, handler, never));
    (client, tell)
}

#[tokio::test]
async fn headers_beyond_the_limit_are_431_and_the_connection_goes_on() {
    let (client, tell) = serve();
    tell.send_replace(true);
    let connection = Connection::handshake(client, Scheme::Http).await.unwrap();
    let status = async |octets: usize| {
        let mut request = Request::new(Method::GET, "nrf.example.org", "/");
        let long = HeaderValue::try_from("x".repeat(octets)).unwrap();
        request.headers.insert("x-long", long);
        let answer = connection.send(request, DEADLINE).await;
        answer.unwrap().status
    };
    let most = ANONYMOUS_HEADER_LIST as usize;
    assert_eq!(status(most - 1024).await, StatusCode::NO_CONTENT);
    assert_eq!(
        status(most + 1).await,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    );
    assert_eq!(status(1).await, StatusCode::NO_CONTENT);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_408_with_details() {
    let (client, _tell) = serve();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(client))
        .await
        .unwrap();
    tokio::spawn(connection);
    let begun = Written::endless([Bytes::from_static(b"{")]);
    let request = hyper::Request::post("http://nrf.example.org/").body(begun);
    let answer = sender.send_request(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    let body = http_body_util::BodyExt::collect(answer.into_body()).await;
    let details = ProblemDetails::from_body(&body.unwrap().to_bytes()).unwrap();
    assert_eq!(details.status, Some(408));
}

#[tokio::test]
async fn a_path_that_is_not_percent_encoded_text_is_400() {
    let (client, tell) = serve();
    tell.send_replace(true);
    let connection = Connection::handshake(client, Scheme::Http).await.unwrap();
    for path in ["/%zz", "/%4", "/a/%ff", "/%c3%28"] {
        let request = Request::new(Method::GET, "nrf.example.org", path);
        let answer = connection.send(request, DEADLINE).await.unwrap();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(ProblemDetails::from_body(&answer.body).is_some());
    }
}

/// A client that does not care how many streams it may open: frames by hand.
struct Careless(DuplexStream);

impl Careless {
    async fn begin(mut stream: DuplexStream) -> Self {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        stream.write_all(preface).await.expect("there is room");
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        stream.write_all(&settings).await.expect("there is room");
        Self(stream)
    }

    /// GET / on the stream, whole: from the static table of RFC 7541, and the authority `a`.
    async fn get(&mut self, stream: u32) {
        let block = [0x82, 0x86, 0x84, 0x41, 1, b'a'];
        let mut frame = vec![0, 0, block.len() as u8, HEADERS, 0x5];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(&block);
        self.0.write_all(&frame).await.expect("there is room");
    }

    /// Type, stream and payload of the next frame.
    async fn frame(&mut self) -> (u8, u32, Vec<u8>) {
        let mut head = [0; 9];
        let read = timeout(DEADLINE, self.0.read_exact(&mut head)).await;
        read.expect("a frame").expect("an open connection");
        let [_, high, low, kind, _, stream @ ..] = head;
        let mut payload = vec![0; usize::from(u16::from_be_bytes([high, low]))];
        let read = self.0.read_exact(&mut payload).await;
        read.expect("a whole frame");
        (kind, u32::from_be_bytes(stream), payload)
    }

    /// Stream and error code of the next frame of a type; that of GOAWAY comes after the last stream, and text may follow.
    async fn error(&mut self, wanted: u8) -> (u32, u32) {
        loop {
            let (kind, stream, payload) = self.frame().await;
            if kind == wanted {
                let before = if wanted == GOAWAY { 4 } else { 0 };
                let code = payload[before..].first_chunk().expect("a code");
                return (stream, u32::from_be_bytes(*code));
            }
        }
    }
}

#[tokio::test]
async fn a_stream_too_many_is_refused_and_the_others_are_answered() {
    let (client, tell) = serve();
    let mut client = Careless::begin(client).await;
    let streams: Vec<u32> = (0..=MAX_ANONYMOUS_STREAMS).map(|n| 2 * n + 1).collect();
    for stream in &streams {
        client.get(*stream).await;
    }
    let (last, others) = streams.split_last().expect("some streams");
    assert_eq!(client.error(RST_STREAM).await, (*last, REFUSED_STREAM));
    tell.send_replace(true);
    let mut answered = Vec::new();
    while answered.len() < others.len() {
        let (kind, stream, _) = client.frame().await;
        if kind == HEADERS {
            answered.push(stream);
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, others);
}

#[tokio::test]
async fn who_goes_on_opening_streams_loses_the_connection() {
    let (client, _tell) = serve();
    let mut client = Careless::begin(client).await;
    for n in 0..200 {
        client.get(2 * n + 1).await;
    }
    let (stream, code) = client.error(GOAWAY).await;
    assert_eq!((stream, code), (0, ENHANCE_YOUR_CALM));
}
