//! Peers that no honest network function would be. Each is held by what it returns: dropping that ends it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use test_support::body::Written;

/// Streams that a connection of a greedy peer asks for: as many as a server would ever allow.
pub(crate) const STREAMS: usize = 256;
/// Octets of each body that arrive: just below what a server takes.
const OCTETS: usize = 250_000;
/// How long a connection that keeps silent may take to be made: SYNs beyond the backlog are dropped.
const CONNECT: Duration = Duration::from_millis(1500);

static ZEROS: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![0; OCTETS]));

/// Asks `POST url` on 256 streams of one connection, each with a body that never ends.
pub(crate) async fn endless_bodies<IO>(io: IO, url: String) -> JoinSet<()>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let made = http2::Builder::new(TokioExecutor::new())
        .handshake(TokioIo::new(io))
        .await;
    // A server may refuse it; so be it.
    let Ok((sender, connection)) = made else {
        return tasks;
    };
    tasks.spawn(async move { drop(connection.await) });
    for _ in 0..STREAMS {
        let (mut sender, url) = (sender.clone(), url.clone());
        tasks.spawn(async move {
            let request = Request::post(url).body(Written::endless([ZEROS.clone()]));
            let request = request.expect("a request of constants");
            if sender.ready().await.is_ok() {
                drop(sender.send_request(request).await);
            }
            // The connection is held as long as this task.
            std::future::pending::<()>().await;
        });
    }
    tasks
}

/// Sends `count` requests `GET path` over HTTP/1.1 without reading an answer.
pub(crate) async fn unread_http1(addr: SocketAddr, path: &str, count: usize) -> Option<TcpStream> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n").repeat(count);
    send_unread(addr, request.as_bytes()).await
}

/// Asks for `path` on `count` streams of HTTP/2 with the largest windows, and reads no answer.
pub(crate) async fn unread_http2(addr: SocketAddr, path: &str, count: u32) -> Option<TcpStream> {
    let mut octets = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let largest = 0x7fff_ffff_u32;
    // SETTINGS_INITIAL_WINDOW_SIZE, and what the connection's window lacks of the same.
    frame(
        &mut octets,
        4,
        0,
        0,
        &[&[0, 4][..], &largest.to_be_bytes()].concat(),
    );
    frame(&mut octets, 8, 0, 0, &(largest - 65_535).to_be_bytes());
    for number in 0..count {
        let authority = addr.to_string();
        // HPACK: GET and http by their indices in the static table, path and authority as literals.
        let mut block = vec![0x82, 0x86, 0x04, path.len() as u8];
        block.extend_from_slice(path.as_bytes());
        block.extend_from_slice(&[0x01, authority.len() as u8]);
        block.extend_from_slice(authority.as_bytes());
        frame(&mut octets, 1, 0x5, 2 * number + 1, &block);
    }
    send_unread(addr, &octets).await
}

fn frame(octets: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    octets.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    octets.extend_from_slice(&[kind, flags]);
    octets.extend_from_slice(&stream.to_be_bytes());
    octets.extend_from_slice(payload);
}

async fn send_unread(addr: SocketAddr, octets: &[u8]) -> Option<TcpStream> {
    let mut stream = silent(addr).await?;
    // A server that does not read on because nobody reads its answers is one that defends itself.
    let _ = timeout(CONNECT, stream.write_all(octets)).await;
    Some(stream)
}

/// Connects and says nothing.
pub(crate) async fn silent(addr: SocketAddr) -> Option<TcpStream> {
    timeout(CONNECT, TcpStream::connect(addr)).await.ok()?.ok()
}

/// Something at a witness's address that answers everything with an unsigned 409: "the log has 99,999,999,999 entries".
pub(crate) struct FalseWitness {
    _serving: JoinSet<()>,
}

impl FalseWitness {
    /// Takes the address, which must be free.
    pub(crate) async fn start(addr: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                connections.spawn(async move {
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    drop(
                        server
                            .serve_connection(TokioIo::new(tcp), service_fn(lie))
                            .await,
                    );
                });
            }
        });
        Ok(Self { _serving: serving })
    }
}

async fn lie(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut answer = Response::new(Full::from("99999999999\n"));
    *answer.status_mut() = StatusCode::CONFLICT;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/x.tlog.size"));
    Ok(answer)
}
