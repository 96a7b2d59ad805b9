//! Traces to an OpenTelemetry collector: OTLP/HTTP with JSON (`POST /v1/traces`).
//!
//! ```text
//!  span of trace::TARGET ends ──> Layer ──bounded queue──> task: up to 512 spans or a second ──> collector
//!                                   └ full: dropped and counted
//! ```
//!
//! A collector that is slow or away costs spans, never a request. Our own and not the OpenTelemetry SDK: IDs of spans are those
//! of the logs and of `traceparent` (see [`crate::trace`]), and the format is small and stable.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::trace::TARGET;
use mtc_core::causes::Causes;

/// Spans that wait for the collector.
const QUEUE: usize = 8192;
/// Spans in one request, and how long the first of them waits for others.
const BATCH: usize = 512;
const WAIT: Duration = Duration::from_secs(1);
/// How long a collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a process that stops waits for it.
const FLUSH: Duration = Duration::from_secs(2);
/// Least time between two complaints about the collector.
const QUIET: Duration = Duration::from_secs(60);
const PATH: &str = "/v1/traces";

/// Values of `Span.kind` and `Status.code` of OTLP.
const KIND_INTERNAL: u64 = 1;
const KIND_SERVER: u64 = 2;
const KIND_CLIENT: u64 = 3;
const STATUS_ERROR: u64 = 2;

/// The address of a collector cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a collector: write http://HOST:PORT, such as http://127.0.0.1:4318")]
pub struct CollectorError(String);

/// Where a collector listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector(String);

impl std::str::FromStr for Collector {
    type Err = CollectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Option<Uri> = text.parse().ok();
        uri.filter(|uri| uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/" | PATH))
            .and_then(|uri| {
                let authority = uri.authority()?;
                authority.port().map(|_| Self(authority.to_string()))
            })
            .ok_or_else(|| CollectorError(text.to_owned()))
    }
}

/// Takes spans that have ended. Part of a subscriber.
pub(super) struct Layer {
    queue: mpsc::Sender<Message>,
    dropped: Arc<AtomicU64>,
}

enum Message {
    Span(Value),
    Flush(oneshot::Sender<()>),
}

/// Sends the spans that have ended to a collector. Cheap to clone.
#[derive(Clone)]
pub struct Exporter(mpsc::Sender<Message>);

impl Exporter {
    /// Waits until everything that was taken is sent, or has failed, or a moment has passed.
    pub async fn flush(&self) {
        let (done, sent) = oneshot::channel();
        let flushing = async {
            if self.0.send(Message::Flush(done)).await.is_ok() {
                // The sender is gone only with the runtime.
                let _ = sent.await;
            }
        };
        // A process that stops has few seconds for everything; what is not sent then is lost.
        let _ = timeout(FLUSH, flushing).await;
    }
}

/// A layer for a subscriber, and what sends to `collector` what it takes, as the service `name`. Needs a runtime.
pub(super) fn start(collector: Collector, name: &str) -> (Layer, Exporter) {
    let (queue, messages) = mpsc::channel(QUEUE);
    let dropped = Arc::<AtomicU64>::default();
    let sender = Sender {
        collector,
        name: name.to_owned(),
        dropped: dropped.clone(),
        complained: None,
    };
    tokio::spawn(sender.run(messages));
    let exporter = Exporter(queue.clone());
    (Layer { queue, dropped }, exporter)
}

/// A span while it is open.
struct Open {
    name: &'static str,
    start: SystemTime,
    fields: Fields,
}

#[derive(Default)]
struct Fields {
    trace_id: String,
    span_id: String,
    parent_id: String,
    kind: String,
    others: Map<String, Value>,
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        let text = || value.as_str().unwrap_or_default().to_owned();
        match field.name() {
            "trace_id" => self.trace_id = text(),
            "span_id" => self.span_id = text(),
            "parent_id" => self.parent_id = text(),
            "kind" => self.kind = text(),
            name => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, Value::String(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Value::from(value));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Layer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() != TARGET {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        // A connection outlives its requests and belongs to no trace.
        if fields.trace_id.is_empty() {
            return;
        }
        span.extensions_mut().insert(Open {
            name: attributes.metadata().name(),
            start: SystemTime::now(),
            fields,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(&mut open.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let Some(open) = span.extensions_mut().remove::<Open>() else {
            return;
        };
        if self
            .queue
            .try_send(Message::Span(encode(open, SystemTime::now())))
            .is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A span in the JSON encoding of `opentelemetry.proto.trace.v1.Span`: IDs in hex, 64-bit numbers as text.
fn encode(open: Open, end: SystemTime) -> Value {
    let Open {
        name,
        start,
        fields,
    } = open;
    let nanoseconds = |time: SystemTime| {
        time.duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos()
            .to_string()
    };
    let text = |name: &str| fields.others.get(name).and_then(Value::as_str);
    let name = match (name, text("operation"), text("name")) {
        ("request", Some(operation), _) => operation,
        ("operation", _, Some(name)) => name,
        (name, ..) => name,
    };
    let kind = match fields.kind.as_str() {
        "server" => KIND_SERVER,
        "client" => KIND_CLIENT,
        _ => KIND_INTERNAL,
    };
    let failed = fields
        .others
        .get("status")
        .is_some_and(|status| status.as_u64().is_none_or(|status| status >= 500))
        || text("result").is_some_and(|result| result != "ok");
    let attributes: Vec<Value> = fields
        .others
        .iter()
        .map(|(key, value)| {
            let value = match value {
                Value::Number(number) => json!({ "intValue": number.to_string() }),
                value => json!({ "stringValue": value }),
            };
            json!({ "key": key, "value": value })
        })
        .collect();
    let mut span = json!({
        "traceId": fields.trace_id,
        "spanId": fields.span_id,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": nanoseconds(start),
        "endTimeUnixNano": nanoseconds(end),
        "attributes": attributes,
    });
    if !fields.parent_id.is_empty() {
        span["parentSpanId"] = fields.parent_id.into();
    }
    if failed {
        span["status"] = json!({ "code": STATUS_ERROR });
    }
    span
}

struct Sender {
    collector: Collector,
    name: String,
    dropped: Arc<AtomicU64>,
    complained: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    #[error("http failed")]
    Http(#[from] hyper::Error),
    #[error("not a request")]
    Request(#[from] hyper::http::Error),
    #[error("status {0}")]
    Status(hyper::StatusCode),
    #[error("no answer within {TIMEOUT:?}")]
    Timeout,
}

impl Sender {
    /// Sends batches until every sender of messages is gone.
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let (mut batch, mut flushed) = (Vec::new(), Vec::new());
        while let Some(first) = messages.recv().await {
            let deadline = Instant::now() + WAIT;
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Span(span) => batch.push(span),
                    Message::Flush(done) => flushed.push(done),
                }
                next = if !flushed.is_empty() {
                    // Who flushes has stopped making spans: what is there is all.
                    messages.try_recv().ok()
                } else if batch.len() >= BATCH {
                    None
                } else {
                    timeout_at(deadline, messages.recv()).await.ok().flatten()
                };
            }
            self.send(std::mem::take(&mut batch)).await;
            for done in flushed.drain(..) {
                // An error means that whoever waited has given up.
                let _ = done.send(());
            }
        }
    }

    async fn send(&mut self, spans: Vec<Value>) {
        if spans.is_empty() {
            return;
        }
        let lost = spans.len() as u64;
        let sent = timeout(TIMEOUT, self.post(spans)).await;
        if let Err(error) = sent.unwrap_or(Err(SendError::Timeout)) {
            self.dropped.fetch_add(lost, Ordering::Relaxed);
            self.complain(&Causes(&error).to_string());
        } else if self.dropped.load(Ordering::Relaxed) > 0 {
            self.complain("the collector is too slow");
        }
    }

    fn complain(&mut self, error: &str) {
        if self.complained.is_some_and(|last| last.elapsed() < QUIET) {
            return;
        }
        self.complained = Some(Instant::now());
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        tracing::warn!(
            collector = self.collector.0,
            dropped,
            error,
            "traces were lost"
        );
    }

    async fn post(&self, spans: Vec<Value>) -> Result<(), SendError> {
        let resource = json!({ "key": "service.name", "value": { "stringValue": self.name } });
        let body = json!({ "resourceSpans": [{
            "resource": { "attributes": [resource] },
            "scopeSpans": [{ "scope": { "name": "mtc5g", "version": env!("CARGO_PKG_VERSION") }, "spans": spans }],
        }] });
        let tcp = TcpStream::connect(&self.collector.0)
            .await
            .map_err(SendError::Connect)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
        let driver = tokio::spawn(connection);
        let request = hyper::Request::builder()
            .method(Method::POST)
            .uri(PATH)
            .header(HOST, &self.collector.0)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        // Read to its end, so that the collector is not reset while it writes.
        let _ = response.into_body().collect().await;
        drop(sender);
        driver.abort();
        if status.is_success() {
            Ok(())
        } else {
            Err(SendError::Status(status))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_has_a_scheme_and_a_port() {
        assert_eq!(
            "http://127.0.0.1:4318".parse::<Collector>().ok(),
            Some(Collector("127.0.0.1:4318".to_owned()))
        );
        assert!("http://otel:4318/v1/traces".parse::<Collector>().is_ok());
        for bad in [
            "",
            "127.0.0.1:4318",
            "https://otel:4318",
            "http://otel",
            "http://otel:4318/other",
            "grpc://otel:4317",
        ] {
            assert!(bad.parse::<Collector>().is_err(), "{bad}");
        }
    }
}
