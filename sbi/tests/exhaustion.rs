//! Peers that take and do not give: bodies that never end, answers that nobody reads, connections that say nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::client::conn::http2;
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sbi::budget::Budget;
use sbi::client::{Connection, Request};
use sbi::limits::{Limits, LimitsConfig};
use sbi::listener::{bind, serve_plain};
use sbi::metrics::Metrics;
use sbi::problem::Problem;
use sbi::process::Stop;
use sbi::response::Response;
use sbi::server::{self, Handler, MAX_BODY, ServeError, Terms};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use test_support::body::Written;

const DEADLINE: Duration = Duration::from_secs(8);
const REMOTE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
/// Octets of an answer that does not fit into any buffer on the way.
const LONG: usize = 1 << 20;

/// Answers `/long` at length and anything else shortly.
struct Talker;

impl Handler for Talker {
    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        let length = if request.path == "/long" { LONG } else { 2 };
        Ok(Response::bytes(
            StatusCode::OK,
            "text/plain",
            vec![b'.'; length],
        ))
    }

    fn max_body(&self, _method: &Method, path: &str) -> usize {
        if path == "/small" { 1000 } else { MAX_BODY }
    }
}

struct Port {
    addr: SocketAddr,
    metrics: Metrics,
    stopper: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

async fn port(config: LimitsConfig) -> Port {
    let (listener, addr) = bind(([127, 0, 0, 1], 0).into(), "test", "none").expect("a free port");
    let metrics = Metrics::new();
    let limits = Limits::new(&config, &metrics);
    let (stopper, stop) = Stop::new();
    let serving = tokio::spawn(serve_plain(listener, Arc::new(Talker), limits, stop));
    Port {
        addr,
        metrics,
        stopper,
        serving,
    }
}

impl Port {
    async fn status(&self, method: Method, path: &str, body: Vec<u8>) -> u16 {
        let connection = Connection::connect_cleartext(self.addr, DEADLINE)
            .await
            .expect("a connection");
        let request = Request::new(method, "a", path);
        let request = request.body(HeaderValue::from_static("text/plain"), body);
        let answer = connection.send(request, DEADLINE).await;
        let answer = answer.expect("an answer");
        answer.status.as_u16()
    }
}

#[tokio::test]
async fn bodies_that_never_end_share_the_budget_and_no_more() {
    const PEERS: usize = 8;
    const STREAMS: usize = 32;
    let port = port(LimitsConfig {
        held_mib: 4,
        ..LimitsConfig::default()
    })
    .await;
    let budget = port.metrics.budget.clone();
    // All together would have 64 MB.
    let mut answers = JoinSet::new();
    for _ in 0..PEERS {
        let tcp = TcpStream::connect(port.addr).await.unwrap();
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tcp))
            .await
            .unwrap();
        tokio::spawn(connection);
        for _ in 0..STREAMS {
            let mut sender = sender.clone();
            answers.spawn(async move {
                let chunks = vec![Bytes::from_static(&[7; 1000]); 250];
                let request = hyper::Request::post("http://a/").body(Written::endless(chunks));
                let answer = sender.send_request(request.unwrap()).await;
                let answer = answer.expect("an answer");
                (
                    answer.status(),
                    answer.headers().contains_key("retry-after"),
                )
            });
        }
    }
    let refused = timeout(DEADLINE, answers.join_next()).await;
    let refused = refused.expect("some are refused before they are given up");
    assert_eq!(
        refused.unwrap().unwrap(),
        (StatusCode::SERVICE_UNAVAILABLE, true)
    );
    assert!(budget.refused() > 0);
    // Strangers have half.
    assert!(budget.held() <= budget.limit() / 2, "{}", budget.held());
    answers.shutdown().await;
    port.stopper.send_replace(true);
    port.serving.await.unwrap();
    // Streams are tasks of their own, which end when their connection has.
    let given_back = async {
        while budget.held() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, given_back).await.unwrap();
}

#[tokio::test]
async fn a_route_has_its_own_bound() {
    let port = port(LimitsConfig::default()).await;
    let post = |path, length| port.status(Method::POST, path, vec![7; length]);
    assert_eq!(post("/small", 1000).await, 200);
    assert_eq!(post("/small", 1001).await, 413);
    assert_eq!(post("/", 1001).await, 200);
    let long = vec![7; server::MAX_IGNORED_BODY + 1];
    assert_eq!(port.status(Method::GET, "/", long).await, 413);
}

/// Serves one connection in memory, whose client sends `requests` and reads nothing; how it ends, and the budget.
async fn unread(requests: Vec<u8>) -> (Result<(), ServeError>, Budget) {
    let (mut client, server) = tokio::io::duplex(4096);
    let budget = Budget::default();
    let terms = Terms::new(None, budget.clone());
    let never = std::future::pending();
    let serving = server::serve_cleartext_within(terms, server, REMOTE, Arc::new(Talker), never);
    let sending = async {
        // The server closes while this waits.
        let _ = client.write_all(&requests).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = serving => (ended, budget),
        () = sending => unreachable!("it never ends"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http_1_that_never_reads_is_closed() {
    let request = b"GET /long HTTP/1.1\r\nhost: a\r\n\r\n".repeat(600);
    let (ended, budget) = unread(request).await;
    assert!(matches!(ended, Err(ServeError::Connection(_))), "{ended:?}");
    assert_eq!(budget.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http_2_that_opens_no_window_is_closed() {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let budget = Budget::default();
    let terms = Terms::new(None, budget.clone());
    let never = std::future::pending();
    let handler = Arc::new(Talker);
    let serving = tokio::spawn(server::serve_cleartext_within(
        terms, server, REMOTE, handler, never,
    ));
    // Its driver answers PINGs.
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1024)
        .handshake(TokioIo::new(client))
        .await
        .unwrap();
    tokio::spawn(connection);
    let nothing = http_body_util::Empty::<Bytes>::new();
    let request = hyper::Request::get("http://a/long").body(nothing);
    let answer = sender.send_request(request.unwrap()).await.unwrap();
    assert!(budget.held() >= LONG, "{}", budget.held());
    let ended = serving.await.unwrap();
    assert!(matches!(ended, Err(ServeError::Unread)), "{ended:?}");
    tokio::task::yield_now().await;
    drop(answer);
    assert_eq!(budget.held(), 0);
}

#[tokio::test]
async fn an_honest_peer_gets_in_where_others_say_nothing() {
    // 128 places, and 64 for newcomers.
    let few = Rlimit {
        current: Some(1024),
        ..getrlimit(Resource::Nofile)
    };
    setrlimit(Resource::Nofile, few).unwrap();
    let port = port(LimitsConfig::default()).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(port.addr).await.unwrap());
    }
    // Within less than the time in which the silent ones are given up.
    assert_eq!(port.status(Method::GET, "/", Vec::new()).await, 200);
    let oldest = timeout(DEADLINE, silent[0].read(&mut [0])).await;
    assert!(matches!(oldest, Ok(Ok(0) | Err(_))), "{oldest:?}");
    let refused = port
        .metrics
        .connections_refused
        .with_label_values(&["newer"])
        .get();
    assert!(refused >= 300 - 64, "{refused}");
}

#[tokio::test]
async fn a_burst_on_a_new_connection_is_answered_whole() {
    let port = port(LimitsConfig::default()).await;
    let connection = Connection::connect_cleartext(port.addr, DEADLINE).await;
    let connection = Arc::new(connection.unwrap());
    let mut requests = JoinSet::new();
    for _ in 0..200 {
        let connection = connection.clone();
        requests.spawn(async move {
            let request = Request::new(Method::GET, "a", "/");
            connection.send(request, DEADLINE).await.unwrap().status
        });
    }
    let statuses = requests.join_all().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}
