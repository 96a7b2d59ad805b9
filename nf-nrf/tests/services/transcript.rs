//! Exchanges over HTTP/2 as text that reads as documentation: `transcripts/*.txt`.
//!
//! ```text
//!   # a line of prose
//!   > PUT /path?query          a request to the NRF, its body as JSON
//!   < 201                      what it answers; headers that matter, then the body
//!   << POST /path              what the NRF sends to the subscriber; 204 is answered
//! ```
//!
//! The requests of a file are sent as they stand, and what comes back must make the very same file. What is new each time stands
//! in braces: `{port}` of the subscriber, `{subscriptionID}`, `{validityTime}`.

use std::fmt::Write as _;
use std::time::Duration;

use hyper::http::HeaderValue;
use sbi::client::{Connection, Request};
use sbi::response::Response;
use sbi::server;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);
/// The headers that a reader of a transcript wants to see.
const HEADERS: [&str; 5] = ["content-type", "location", "etag", "cache-control", "allow"];

/// One exchange.
struct Exchange {
    /// What stands above it.
    prose: String,
    /// Method and target.
    target: String,
    content_type: Option<String>,
    body: String,
    /// How many notifications follow it.
    notifications: usize,
}

/// What was new each time, and what stands for it.
#[derive(Default)]
struct Names(Vec<(String, &'static str)>);

impl Names {
    fn spelt(&self, text: &str) -> String {
        let names = self.0.iter();
        names.fold(text.to_owned(), |text, (value, name)| {
            text.replace(name, value)
        })
    }

    fn named(&self, text: &str) -> String {
        let names = self.0.iter();
        names.fold(text.to_owned(), |text, (value, name)| {
            text.replace(value, name)
        })
    }
}

/// Sends the requests of `transcript` over `connection`, and returns what it is now. The subscriber at `port` is told `told`.
pub(crate) async fn play(
    transcript: &str,
    connection: &Connection,
    port: u16,
    told: &mut UnboundedReceiver<server::Request>,
) -> String {
    let mut names = Names(vec![(port.to_string(), "{port}")]);
    let mut played = String::new();
    for exchange in exchanges(transcript) {
        let Exchange {
            prose,
            target,
            content_type,
            body,
            notifications,
        } = exchange;
        let (method, path) = target.split_once(' ').expect("method and target");
        let method = method.parse().expect("a method");
        let mut request = Request::new(method, "127.0.0.1:7777", names.spelt(path));
        if let Some(content_type) = &content_type {
            let content_type = HeaderValue::from_str(content_type).expect("a media type");
            request = request.body(content_type, names.spelt(&body));
        }
        let answer = connection.send(request, DEADLINE).await;
        let answer = answer.expect("an answer");
        learn(&mut names, &answer);
        played += &prose;
        quote(&mut played, "> ", &target);
        if let Some(content_type) = &content_type {
            quote(&mut played, "> ", &format!("content-type: {content_type}"));
            quote(&mut played, "> ", &format!("\n{}", body.trim_end()));
        }
        played.push('\n');
        quote(&mut played, "< ", &names.named(&answered(&answer)));
        played.push('\n');
        for _ in 0..notifications {
            let notification = timeout(DEADLINE, told.recv()).await;
            let notification = notification.expect("a notification").expect("a subscriber");
            let server::Request {
                method, path, body, ..
            } = notification;
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            let text = format!("{method} {path}\n\n{body:#}");
            quote(&mut played, "<< ", &names.named(&text));
            played.push('\n');
        }
    }
    played.trim_end().to_owned() + "\n"
}

fn exchanges(transcript: &str) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut prose = String::new();
    let mut is_request = false;
    for line in transcript.lines() {
        if let Some(text) = line.strip_prefix('>') {
            let text = text.strip_prefix(' ').unwrap_or(text);
            if !is_request {
                exchanges.push(Exchange {
                    prose: std::mem::take(&mut prose),
                    target: text.to_owned(),
                    content_type: None,
                    body: String::new(),
                    notifications: 0,
                });
            } else if let Some(exchange) = exchanges.last_mut() {
                match text.strip_prefix("content-type: ") {
                    Some(content_type) => exchange.content_type = Some(content_type.to_owned()),
                    None if exchange.body.is_empty() && text.is_empty() => {}
                    None => writeln!(exchange.body, "{text}").expect("a String takes it"),
                }
            }
            is_request = true;
            continue;
        }
        is_request = false;
        if line.starts_with("<< POST") {
            exchanges.last_mut().expect("a request first").notifications += 1;
        } else if line.starts_with('#') {
            writeln!(prose, "{line}").expect("a String takes it");
        }
    }
    exchanges
}

/// Finds what is new in an answer.
fn learn(names: &mut Names, answer: &Response) {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    for (member, name) in [
        ("subscriptionId", "{subscriptionID}"),
        ("validityTime", "{validityTime}"),
    ] {
        if let Some(value) = body[member].as_str() {
            names.0.retain(|(_, known)| *known != name);
            names.0.push((value.to_owned(), name));
        }
    }
}

fn answered(answer: &Response) -> String {
    let mut text = answer.status.as_u16().to_string();
    for name in HEADERS {
        if let Some(value) = answer.headers.get(name) {
            let value = value.to_str().expect("text");
            write!(text, "\n{name}: {value}").expect("a String takes it");
        }
    }
    if !answer.body.is_empty() {
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        write!(text, "\n\n{body:#}").expect("a String takes it");
    }
    text
}

/// Appends `text` with `mark` before each line.
fn quote(played: &mut String, mark: &str, text: &str) {
    for line in text.lines() {
        let line = format!("{mark}{line}");
        writeln!(played, "{}", line.trim_end()).expect("a String takes it");
    }
}
