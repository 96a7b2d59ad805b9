//! A trace from an operation through two network functions, as a collector receives it, and where a trace begins.

use std::net::Ipv4Addr;
use std::sync::Arc;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sbi::client::{Connection, Request};
use sbi::metrics::Metrics;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{self, Handler, Peer};
use sbi::trace::{self, SpanContext, TRACEPARENT};
use sbi::uri::Scheme;
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;

use test_support::collector::{Collector, DEADLINE, attribute};

const SESSION: &str = "/nsmf-pdusession/v1/sm-contexts";
const TRANSFER: &str = "/namf-comm/v1/ue-contexts/imsi-001010000000001/n1-n2-messages";

/// An SMF that calls the AMF back before it answers, in another task.
struct Smf(Arc<Connection>);

impl Handler for Smf {
    async fn handle(&self, _: server::Request) -> Result<Response, Problem> {
        let amf = self.0.clone();
        let calling = async move {
            amf.send(Request::new(Method::POST, "amf", TRANSFER), DEADLINE)
                .await
        };
        let called = tokio::spawn(trace::carried(calling)).await;
        called
            .expect("no panic")
            .map_err(|_| Problem::system_failure())?;
        Ok(Response::empty(StatusCode::CREATED))
    }
}

/// Refuses, and says what traceparent it saw.
struct Amf(mpsc::UnboundedSender<Option<String>>);

impl Handler for Amf {
    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        let seen = request.headers.get(TRACEPARENT);
        let seen = seen
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        self.0.send(seen).expect("the test listens");
        Err(Problem::system_failure())
    }
}

/// Says of what trace its request is part.
struct Tracing(mpsc::UnboundedSender<Option<SpanContext>>);

impl Handler for Tracing {
    async fn handle(&self, _: server::Request) -> Result<Response, Problem> {
        let current = SpanContext::current();
        self.0.send(current).expect("the test listens");
        Ok(Response::no_content())
    }
}

/// The client's end of a connection to `handler`.
fn serve(handler: impl Handler) -> DuplexStream {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let peer = Arc::new(Peer::cleartext((Ipv4Addr::LOCALHOST, 1).into()));
    tokio::spawn(server::serve_connection(
        server,
        peer,
        Arc::new(handler),
        Metrics::new().requests,
        std::future::pending(),
    ));
    client
}

async fn connect(handler: impl Handler) -> Connection {
    Connection::handshake(serve(handler), Scheme::Https)
        .await
        .expect("http/2")
}

fn text<'a>(span: &'a Value, member: &str) -> &'a str {
    span[member].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_collector_sees_what_an_operation_caused_and_in_which_order() {
    let mut collector = Collector::start().await;
    let (saw, mut seen) = mpsc::unbounded_channel();
    let amf = Arc::new(connect(Amf(saw)).await);
    let smf = connect(Smf(amf)).await;
    let profile = "mtc-landmark/ml-dsa-65/X25519".parse().expect("a profile");
    let answer = trace::operation("session", profile, async {
        smf.send(Request::new(Method::POST, "smf", SESSION), DEADLINE)
            .await
    });
    assert_eq!(answer.await.expect("an answer").status, StatusCode::CREATED);
    let alone = Request::new(Method::POST, "smf", SESSION);
    smf.send(alone, DEADLINE).await.expect("an answer");

    // Five of the operation, four of the request outside.
    let spans = collector.spans(9).await;
    let root = spans
        .iter()
        .find(|span| span["name"] == "session")
        .expect("the operation");
    assert_eq!(root.get("parentSpanId"), None);
    let of_trace: Vec<_> = spans
        .iter()
        .filter(|span| span["traceId"] == root["traceId"])
        .collect();
    assert_eq!(of_trace.len(), 5, "{spans:#?}");
    let below = |parent: &Value, name: &str, kind: u64| {
        let found = of_trace.iter().find(|span| {
            span["parentSpanId"] == parent["spanId"] && span["name"] == name && span["kind"] == kind
        });
        (*found.unwrap_or_else(|| panic!("{name} below {parent}: {spans:#?}"))).clone()
    };
    let created = below(root, "CreateSMContext", 3);
    let creating = below(&created, "CreateSMContext", 2);
    let called = below(&creating, "N1N2MessageTransfer", 3);
    let calling = below(&called, "N1N2MessageTransfer", 2);
    assert_eq!(attribute(&calling, "status")["intValue"], "500");
    assert_eq!(calling["status"]["code"], 2, "a failure");
    assert_eq!(creating.get("status"), None, "{creating}");
    assert_eq!(
        attribute(root, "profile")["stringValue"],
        "mtc-landmark/ml-dsa-65/X25519"
    );
    let time = |span: &Value, member| text(span, member).parse::<u128>().expect("nanoseconds");
    assert!(time(root, "startTimeUnixNano") <= time(&calling, "startTimeUnixNano"));
    assert!(time(root, "endTimeUnixNano") >= time(&creating, "startTimeUnixNano"));
    // What the callee saw is the caller's span.
    let seen = seen.recv().await.flatten().expect("a traceparent");
    assert_eq!(
        seen,
        format!(
            "00-{}-{}-01",
            text(root, "traceId"),
            text(&called, "spanId")
        )
    );
    // The request outside has a trace of its own.
    let others: Vec<_> = spans
        .iter()
        .filter(|span| span["traceId"] != root["traceId"])
        .collect();
    assert_eq!(others.len(), 4, "{others:#?}");
}

#[tokio::test]
async fn of_two_traceparents_none_is_believed() {
    // Of this thread, which is all that this test has.
    let _spans = tracing::subscriber::set_default(tracing_subscriber::registry());
    let (tell, mut told) = mpsc::unbounded_channel();
    let io = TokioIo::new(serve(Tracing(tell)));
    let handshake = http2::handshake(TokioExecutor::new(), io).await;
    let (mut sender, connection) = handshake.expect("http/2");
    tokio::spawn(connection);
    let (one, other) = (SpanContext::root(), SpanContext::root());
    for (sent, is_continued) in [
        (vec![one], true),
        (vec![one, other], false),
        (vec![one, one], false),
        (vec![], false),
    ] {
        let mut request = hyper::Request::post(format!("https://smf{SESSION}"));
        for context in &sent {
            request = request.header(TRACEPARENT, context.to_string());
        }
        let request = request.body(Empty::<Bytes>::new()).expect("a request");
        sender.send_request(request).await.expect("an answer");
        let current = told.recv().await.flatten().expect("spans are on");
        let is_of = |context: &SpanContext| context.trace == current.trace;
        assert_eq!(sent.iter().any(is_of), is_continued, "{sent:?}");
    }
}
