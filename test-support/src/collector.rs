//! A collector of traces: an HTTP server that keeps what is posted to it.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sbi::telemetry::{Exporter, LogFormat, Telemetry};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// How long anything may take.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Where the spans of this process go.
pub struct Collector {
    posts: mpsc::UnboundedReceiver<(String, Value)>,
    exporter: Exporter,
}

impl Collector {
    /// Has the spans of this process sent here. One for each process, which can have one subscriber.
    pub async fn start() -> Self {
        let (url, posts) = listen().await;
        let telemetry = Telemetry {
            format: LogFormat::Json,
            level: "info",
            otlp: Some(url.parse().expect("a collector")),
            service: "test",
        };
        let exporter = telemetry.start().expect("a collector");
        Self { posts, exporter }
    }

    /// The spans that have ended, once there are `count`.
    pub async fn spans(&mut self, count: usize) -> Vec<Value> {
        self.exporter.flush().await;
        let mut spans = Vec::new();
        while spans.len() < count {
            let post = tokio::time::timeout(DEADLINE, self.posts.recv()).await;
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
        spans
    }
}

async fn listen() -> (String, mpsc::UnboundedReceiver<(String, Value)>) {
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

/// The value of an attribute of a span.
///
/// # Panics
/// The span has no such attribute.
pub fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().expect("attributes");
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    found.map_or(&Value::Null, |attribute| &attribute["value"])
}
