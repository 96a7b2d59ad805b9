//! Server and client against each other over real HTTP/2 in memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::client::conn::http2;
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mtc_tls::identity::NfIdentity;
use sbi::client::{self, ClientError, Connection};
use sbi::header::{MAX_RSP_TIME, MaxRspTime, TypedHeader};
use sbi::metrics::{Exposition, Metrics};
use sbi::operation::ServiceOperation;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{self, Handler, MAX_BODY, Peer, Request, ServeError};
use sbi::uri::Scheme;
use test_support::body::Written;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);
const REMOTE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

/// Answers by path.
#[derive(Default)]
struct Scripted {
    entered: Notify,
    proceed: Notify,
    /// Who hears how requests ended.
    ends: Option<mpsc::UnboundedSender<End>>,
}

type End = (ServiceOperation, Option<StatusCode>);

impl Handler for Scripted {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let segments = request.segments()?;
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        match (&request.method, segments.as_slice()) {
            (&Method::POST, ["echo"]) => {
                Ok(Response::bytes(StatusCode::OK, "text/plain", request.body))
            }
            (&Method::GET, ["query"]) => {
                Ok(Response::bytes(StatusCode::OK, "text/plain", request.query))
            }
            (&Method::GET, ["wait"]) => {
                self.entered.notify_one();
                self.proceed.notified().await;
                Ok(Response::no_content())
            }
            (&Method::GET, ["max-rsp-time"]) => {
                let waits =
                    MaxRspTime::read(&request.headers).expect("client sends a valid header");
                Ok(Response::json(
                    StatusCode::OK,
                    &waits.map(|waits| waits.duration().as_millis()),
                ))
            }
            (&Method::GET, ["panic"]) => panic!("a handler panics on purpose"),
            (_, ["echo"]) => Err(Problem::method_not_allowed("POST")),
            _ => Err(Problem::invalid_api(&["echo"])),
        }
    }

    fn answered(&self, operation: ServiceOperation, status: Option<StatusCode>) {
        if let Some(ends) = &self.ends {
            ends.send((operation, status)).expect("the test listens");
        }
    }
}

struct Served {
    client: Connection,
    handler: Arc<Scripted>,
    /// Of both sides.
    metrics: Metrics,
    ends: mpsc::UnboundedReceiver<End>,
    shutdown: oneshot::Sender<()>,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    /// The status with which the next request ended on the server.
    async fn end(&mut self) -> Option<StatusCode> {
        let end = timeout(DEADLINE, self.ends.recv()).await;
        end.expect("in time").expect("the handler is there").1
    }

    /// How many requests were counted on a side, by status.
    fn counted(&self, side: &str) -> BTreeMap<String, u64> {
        let text = Exposition::Prometheus.encode(&self.metrics.registry.gather());
        let counts = text.lines().filter_map(|line| {
            let labels = line.strip_prefix("sbi_request_duration_seconds_count{")?;
            let (labels, count) = labels.split_once("} ")?;
            let (_, status) = labels.split_once("status=\"")?;
            let is_of_side = labels.contains(&format!("side=\"{side}\""));
            is_of_side.then(|| {
                let status = status.trim_end_matches('"').to_owned();
                (status, count.parse().expect("a number"))
            })
        });
        counts.collect()
    }
}

async fn serve(identity: Option<NfIdentity>) -> Served {
    let (client_io, server_io) = tokio::io::duplex(64 * 1024);
    let (tell, ends) = mpsc::unbounded_channel();
    let handler = Arc::new(Scripted {
        ends: Some(tell),
        ..Scripted::default()
    });
    let metrics = Metrics::new();
    let peer = Arc::new(Peer {
        expired: None,
        certificate: None,
        identity,
        remote: REMOTE,
        profile: None,
    });
    let (shutdown, stopped) = oneshot::channel();
    let server = tokio::spawn(server::serve_connection(
        server_io,
        peer,
        Arc::clone(&handler),
        metrics.requests.clone(),
        async {
            // Shutdown is the sender's end, whether it sends or is dropped.
            let _ = stopped.await;
        },
    ));
    let client = Connection::handshake(client_io, Scheme::Https)
        .await
        .expect("http/2 handshake")
        .counted_in(metrics.requests.clone());
    Served {
        client,
        handler,
        metrics,
        ends,
        shutdown,
        server,
    }
}

fn get(path: &str) -> client::Request {
    client::Request::new(Method::GET, "nrf.example.org:7777", path)
}

fn post(path: &str, body: Vec<u8>) -> client::Request {
    let content_type = HeaderValue::from_static("application/octet-stream");
    client::Request::new(Method::POST, "nrf.example.org:7777", path).body(content_type, body)
}

#[tokio::test]
async fn a_body_travels_both_ways() {
    let served = serve(None).await;
    let response = served
        .client
        .call(post("/echo", b"hello".to_vec()), DEADLINE)
        .await
        .unwrap();
    assert_eq!(response.body, "hello");
}

#[tokio::test]
async fn path_and_query_pass_byte_for_byte() {
    let served = serve(None).await;
    let response = served
        .client
        .call(get("/query?a=%2C+b&c"), DEADLINE)
        .await
        .unwrap();
    assert_eq!(response.body, "a=%2C+b&c");
}

#[tokio::test]
async fn the_producer_is_told_how_long_the_client_waits() {
    let served = serve(None).await;
    let response = served
        .client
        .call(get("/max-rsp-time"), DEADLINE)
        .await
        .unwrap();
    assert_eq!(response.body, "10000");
    let mut request = get("/max-rsp-time");
    request
        .headers
        .insert(MAX_RSP_TIME, HeaderValue::from_static("7"));
    let response = served.client.call(request, DEADLINE).await.unwrap();
    assert_eq!(response.body, "7");
}

#[tokio::test]
async fn a_problem_arrives_as_status_and_details() {
    let served = serve(None).await;
    let error = served
        .client
        .call(get("/unknown/v1"), DEADLINE)
        .await
        .unwrap_err();
    let ClientError::Status { status, details } = error else {
        panic!("{error}");
    };
    assert_eq!(status, 400);
    assert_eq!(details.cause.as_deref(), Some("INVALID_API"));
    assert_eq!(details.supported_api_versions, ["echo"]);
}

#[tokio::test]
async fn a_wrong_method_gets_allow() {
    let served = serve(None).await;
    let response = served.client.send(get("/echo"), DEADLINE).await.unwrap();
    assert_eq!(
        (response.status.as_u16(), &response.headers["allow"]),
        (405, &HeaderValue::from_static("POST"))
    );
}

#[tokio::test]
async fn a_body_up_to_the_limit_passes_and_one_octet_more_does_not() {
    let served = serve(None).await;
    let response = served
        .client
        .send(post("/echo", vec![7; MAX_BODY]), DEADLINE)
        .await
        .unwrap();
    assert_eq!(
        (response.status.as_u16(), response.body.len()),
        (200, MAX_BODY)
    );
    let response = served
        .client
        .send(post("/echo", vec![7; MAX_BODY + 1]), DEADLINE)
        .await
        .unwrap();
    assert_eq!(response.status, 413);
}

#[tokio::test]
async fn a_panicking_handler_costs_one_answer_only() {
    let served = serve(None).await;
    let response = served.client.send(get("/panic"), DEADLINE).await.unwrap();
    assert_eq!(response.status, 500);
    assert!(
        served
            .client
            .call(post("/echo", Vec::new()), DEADLINE)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn no_answer_in_time_is_a_timeout() {
    let served = serve(None).await;
    let error = served
        .client
        .send(get("/wait"), Duration::from_millis(1))
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Timeout(_)), "{error}");
}

#[tokio::test]
async fn a_broken_connection_is_an_http2_failure() {
    let served = serve(None).await;
    let waiting = served.client.send(get("/wait"), DEADLINE);
    let abort = async {
        served.handler.entered.notified().await;
        served.server.abort();
    };
    let (result, ()) = tokio::join!(waiting, abort);
    let error = result.unwrap_err();
    assert!(matches!(error, ClientError::Http2(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_is_counted_once_on_each_side() {
    let mut served = serve(None).await;
    tokio::select! {
        _ = served.client.send(get("/wait"), DEADLINE) => panic!("nobody lets the handler go on"),
        () = served.handler.entered.notified() => {}
    }
    assert_eq!(served.end().await, None);
    // The clock jumps when there is nothing left but to wait: when the handler has the request.
    let error = served.client.send(get("/wait"), DEADLINE).await;
    assert!(matches!(error, Err(ClientError::Timeout(_))), "{error:?}");
    assert_eq!(served.end().await, None);
    served.client.send(get("/query"), DEADLINE).await.unwrap();
    assert_eq!(served.end().await, Some(StatusCode::OK));
    let counts = BTreeMap::from([("200".to_owned(), 1), ("failed".to_owned(), 2)]);
    assert_eq!(served.counted("client"), counts);
    assert_eq!(served.counted("server"), counts);
}

#[tokio::test]
async fn handlers_hear_how_each_request_ended_also_when_it_never_reached_them() {
    const REGISTRATION: &str = "/nnrf-nfm/v1/nf-instances/0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01";
    let mut served = serve(None).await;
    for (request, status) in [
        (post("/echo", Vec::new()), 200),
        (get("/unknown"), 400),
        (get("/panic"), 500),
        (post("/echo", vec![7; MAX_BODY + 1]), 413),
    ] {
        served.client.send(request, DEADLINE).await.unwrap();
        assert_eq!(served.end().await.unwrap(), status);
    }
    let registering = client::Request::new(Method::PUT, "nrf.example.org:7777", REGISTRATION);
    served.client.send(registering, DEADLINE).await.unwrap();
    let (operation, _) = served.ends.recv().await.unwrap();
    assert_eq!(operation.operation, "NFRegister");
    assert!(served.ends.try_recv().is_err(), "each is told once");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_the_clients_fault() {
    let (client_io, server_io) = tokio::io::duplex(64 * 1024);
    let (tell, mut ends) = mpsc::unbounded_channel();
    let handler = Arc::new(Scripted {
        ends: Some(tell),
        ..Scripted::default()
    });
    let peer = Arc::new(Peer::cleartext(REMOTE));
    let metrics = Metrics::new().requests;
    let never = std::future::pending();
    tokio::spawn(server::serve_connection(
        server_io, peer, handler, metrics, never,
    ));
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(client_io))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::post("https://nrf.example.org:7777/echo");
    let request = request
        .body(Written::broken([Bytes::from_static(b"{")]))
        .unwrap();
    assert!(sender.send_request(request).await.is_err());
    let end = timeout(DEADLINE, ends.recv()).await.unwrap().unwrap();
    assert_eq!(end.1, Some(StatusCode::BAD_REQUEST));
}

#[tokio::test]
async fn an_impossible_target_is_not_sent() {
    let served = serve(None).await;
    let error = served.client.send(get("/a b"), DEADLINE).await.unwrap_err();
    assert!(matches!(error, ClientError::Target { .. }), "{error}");
}

#[tokio::test]
async fn shutdown_lets_requests_finish_and_takes_no_more() {
    let served = serve(None).await;
    let waiting = served.client.send(get("/wait"), DEADLINE);
    let stop = async {
        served.handler.entered.notified().await;
        served.shutdown.send(()).expect("server listens");
        served.handler.proceed.notify_one();
    };
    let (result, ()) = tokio::join!(waiting, stop);
    assert_eq!(result.unwrap().status, 204);
    served.server.await.unwrap().unwrap();
    assert!(served.client.send(get("/wait"), DEADLINE).await.is_err());
}

// libcurl reads nothing between requests. A sidecar that was stopped waited four seconds for its PONG, and its successor for the port.
#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_holds_up_a_stop_only_while_it_waits_for_an_answer() {
    for (path, is_answered) in [("/query", true), ("/wait", false)] {
        let (mut client, server_io) = tokio::io::duplex(64 * 1024);
        let (tell, mut ends) = mpsc::unbounded_channel();
        let handler = Arc::new(Scripted {
            ends: Some(tell),
            ..Scripted::default()
        });
        let (shutdown, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(server::serve_connection(
            server_io,
            Arc::new(Peer::cleartext(REMOTE)),
            handler.clone(),
            Metrics::new().requests,
            async {
                let _ = stopped.await;
            },
        ));
        // Any client of a library would answer: it writes the preface, SETTINGS and a request (RFC 9113 sections 3.4 and 6.2, RFC 7541 appendix A).
        let mut octets = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        let fields = [b"\x82\x86\x04", &[path.len() as u8][..], path.as_bytes()].concat();
        octets.extend(
            [
                &[0, 0, fields.len() as u8],
                &b"\x01\x05\0\0\0\x01"[..],
                &fields,
            ]
            .concat(),
        );
        client.write_all(&octets).await.expect("the server reads");
        if is_answered {
            assert_eq!(ends.recv().await.expect("an end").1, Some(StatusCode::OK));
        } else {
            handler.entered.notified().await;
        }
        let began = tokio::time::Instant::now();
        shutdown.send(()).expect("server listens");
        let served = server.await.expect("no panic");
        let seconds = began.elapsed().as_secs();
        match served {
            Ok(()) => assert!(is_answered && seconds == 1, "{path}: {seconds} s"),
            Err(ServeError::Drain) => assert!(!is_answered && seconds == 4, "{path}: {seconds} s"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn an_expired_certificate_closes_the_connection() {
    let identity = |not_after| NfIdentity {
        instance_id: uuid::Uuid::new_v4(),
        nf_types: vec!["AMF".to_owned()],
        fqdns: Vec::new(),
        not_after,
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    serve(Some(identity(now - 1)))
        .await
        .server
        .await
        .unwrap()
        .unwrap();
    let valid = serve(Some(identity(now + 3600))).await;
    assert!(valid.client.call(get("/query"), DEADLINE).await.is_ok());
    assert!(!valid.server.is_finished());
}

#[tokio::test]
async fn closing_the_client_ends_the_server() {
    let served = serve(None).await;
    served.client.call(get("/query"), DEADLINE).await.unwrap();
    served.client.close().await;
    served.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_sbi_port_speaks_no_http_1() {
    let (mut client, server_io) = tokio::io::duplex(4096);
    let peer = Arc::new(Peer::cleartext(REMOTE));
    let handler = Arc::new(Scripted::default());
    let server = tokio::spawn(server::serve_connection(
        server_io,
        peer,
        handler,
        Metrics::new().requests,
        std::future::pending(),
    ));
    client
        .write_all(b"GET /query HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(matches!(
        server.await.unwrap(),
        Err(ServeError::Connection(_))
    ));
}

#[tokio::test]
async fn the_cleartext_port_speaks_http_1_and_http_2() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let accept = tokio::spawn(async move {
        for _ in 0..2 {
            let (stream, remote) = listener.accept().await.expect("accept");
            let handler = Arc::new(Scripted::default());
            tokio::spawn(server::serve_cleartext(
                stream,
                remote,
                handler,
                std::future::pending(),
            ));
        }
    });

    let client = Connection::connect_cleartext(addr, DEADLINE).await.unwrap();
    assert_eq!(
        client.call(get("/query?2"), DEADLINE).await.unwrap().body,
        "2"
    );

    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    stream
        .write_all(b"GET /query?1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n\r\n1"),
        "{answer}"
    );
    accept.await.unwrap();
}
