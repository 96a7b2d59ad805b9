//! A trace from an operation through two network functions, as a collector receives it. One process, one subscriber: one test.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use sbi::client::{Connection, Request};
use sbi::metrics::Metrics;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{self, Handler, Peer};
use sbi::telemetry::{LogFormat, Telemetry};
use sbi::trace::{self, TRACEPARENT};
use sbi::uri::Scheme;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const DEADLINE: Duration = Duration::from_secs(10);
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

async fn connect(handler: impl Handler) -> Connection {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let peer = Arc::new(Peer::cleartext((Ipv4Addr::LOCALHOST, 1).into()));
    tokio::spawn(server::serve_connection(
        server,
        peer,
        Arc::new(handler),
        Metrics::new().requests,
        std::future::pending(),
    ));
    Connection::handshake(client, Scheme::Https)
        .await
        .expect("http/2")
}

/// A collector: what is posted to it, and where it is.
async fn collector() -> (String, mpsc::UnboundedReceiver<(String, Value)>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (posted, posts) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let posted = posted.clone();
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let posted = posted.clone();
                async move {
                    let path = request.uri().path().to_owned();
                    let body = request.into_body().collect().await?.to_bytes();
                    let body = serde_json::from_slice(&body).expect("JSON");
                    posted.send((path, body)).expect("the test listens");
                    Ok::<_, hyper::Error>(hyper::Response::new(Full::new(Bytes::from_static(
                        b"{}",
                    ))))
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
        }
    });
    (url, posts)
}

fn text<'a>(span: &'a Value, member: &str) -> &'a str {
    span[member].as_str().unwrap_or_default()
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().expect("attributes");
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    found.map_or(&Value::Null, |attribute| &attribute["value"])
}

#[tokio::test]
async fn a_collector_sees_what_an_operation_caused_and_in_which_order() {
    let (url, mut posts) = collector().await;
    let telemetry = Telemetry {
        format: LogFormat::Json,
        level: "info",
        otlp: Some(url.parse().expect("a collector")),
        service: "test",
    };
    let exporter = telemetry.start().expect("a collector");
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
    exporter.flush().await;

    let mut spans = Vec::new();
    // Nine in all: five of the operation, four of the request outside.
    while spans.len() < 9 {
        let post = tokio::time::timeout(DEADLINE, posts.recv()).await;
        let (path, body) = post.expect("spans in time").expect("a collector");
        assert_eq!(path, "/v1/traces");
        let resource = &body["resourceSpans"][0];
        assert_eq!(
            resource["resource"]["attributes"][0]["value"]["stringValue"],
            "test"
        );
        let found = resource["scopeSpans"][0]["spans"]
            .as_array()
            .expect("spans");
        spans.extend(found.iter().cloned());
    }
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
