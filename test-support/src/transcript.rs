//! Exchanges over HTTP/2 as text that reads as documentation: `transcripts/*.txt` of several crates.
//!
//! ```text
//!   # a line of prose
//!   > PUT /path?query          a request to the network function: headers, an empty line, the body
//!   < 201                      what it answers; headers that matter, then the body
//!   << POST /path              what it sends to the subscriber meanwhile; 204 is answered
//! ```
//!
//! The requests of a file are sent as they stand, and what comes back must make the very same file. What is new each time stands
//! in braces, such as `{subscriptionID}`. Of a multipart body lines end with CR LF, and what would be octets is text.

use std::fmt::Write as _;
use std::time::Duration;

use hyper::header::HeaderName;
use hyper::http::HeaderValue;
use sbi::client::{Connection, Request};
use sbi::response::Response;
use sbi::server;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);
/// The headers that a reader of a transcript wants to see.
const HEADERS: [&str; 11] = [
    "content-type",
    "location",
    "etag",
    "cache-control",
    "allow",
    "retry-after",
    "www-authenticate",
    "3gpp-sbi-target-apiroot",
    "3gpp-sbi-producer-id",
    "via",
    "server",
];

/// Where an answer says something that is new each time.
#[derive(Clone, Copy, Debug)]
pub enum Fresh {
    /// A member of the body, by its JSON Pointer.
    Member(&'static str),
    /// What is in `Location` after this.
    Location(&'static str),
}

/// Who plays transcripts: a client of a network function.
pub struct Player<'a> {
    connection: &'a Connection,
    authority: &'a str,
    fresh: &'a [(Fresh, &'static str)],
    names: Names,
    told: Option<&'a mut UnboundedReceiver<server::Request>>,
}

/// One exchange.
struct Exchange {
    /// What stands above it.
    prose: String,
    /// Method and target.
    target: String,
    /// Names and values.
    headers: Vec<(String, String)>,
    /// None where there is not even an empty line for one.
    body: Option<String>,
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

    fn learn(&mut self, name: &'static str, value: &str) {
        self.0.retain(|(_, known)| *known != name);
        self.0.push((value.to_owned(), name));
    }
}

impl<'a> Player<'a> {
    /// Plays over `connection` to the network function at `authority`; what is `fresh` in an answer is given its name.
    pub fn new(
        connection: &'a Connection,
        authority: &'a str,
        fresh: &'a [(Fresh, &'static str)],
    ) -> Self {
        Self {
            connection,
            authority,
            fresh,
            names: Names::default(),
            told: None,
        }
    }

    /// A subscriber at `port`, which is called `{port}`, hands on what it is `told`.
    #[must_use]
    pub fn told(mut self, port: u16, told: &'a mut UnboundedReceiver<server::Request>) -> Self {
        self.learn("{port}", &port.to_string());
        self.told = Some(told);
        self
    }

    /// Calls `value` by this name from now on.
    pub fn learn(&mut self, name: &'static str, value: &str) {
        self.names.learn(name, value);
    }

    /// What has this name.
    ///
    /// # Panics
    /// Nothing has.
    pub fn value(&self, name: &str) -> &str {
        let Names(names) = &self.names;
        let known = names.iter().find(|(_, known)| *known == name);
        &known.unwrap_or_else(|| panic!("no {name}")).0
    }

    /// Sends the requests of `transcript`, which must be what comes of them.
    ///
    /// # Panics
    /// It is not, and says what came.
    pub async fn check(&mut self, transcript: &str) {
        let mut played = String::new();
        for exchange in exchanges(transcript) {
            self.play(exchange, &mut played).await;
        }
        let played = played.trim_end().to_owned() + "\n";
        assert!(
            played == transcript,
            "the transcript is now:\n{played}\n---- instead of:\n{transcript}"
        );
    }

    async fn play(&mut self, exchange: Exchange, played: &mut String) {
        let Exchange {
            prose,
            target,
            headers,
            body,
            notifications,
        } = exchange;
        *played += &prose;
        quote(played, "> ", &target);
        for (name, value) in &headers {
            quote(played, "> ", &format!("{name}: {value}"));
        }
        if let Some(body) = &body {
            quote(played, "> ", &format!("\n{}", body.trim_end()));
        }
        played.push('\n');
        let request = self.request(&target, &headers, body.as_deref());
        let answer = self.connection.send(request, DEADLINE).await;
        let answer = answer.expect("an answer");
        self.learn_from(&answer);
        quote(played, "< ", &self.names.named(&answered(&answer)));
        played.push('\n');
        for _ in 0..notifications {
            let told = self.told.as_mut().expect("a subscriber");
            let notification = timeout(DEADLINE, told.recv()).await;
            let notification = notification.expect("a notification").expect("a subscriber");
            let server::Request {
                method, path, body, ..
            } = notification;
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            let text = format!("{method} {path}\n\n{body:#}");
            quote(played, "<< ", &self.names.named(&text));
            played.push('\n');
        }
    }

    fn request(&self, target: &str, headers: &[(String, String)], body: Option<&str>) -> Request {
        let (method, path) = target.split_once(' ').expect("method and target");
        let method = method.parse().expect("a method");
        let mut request = Request::new(method, self.authority, self.names.spelt(path));
        let mut is_multipart = false;
        for (name, value) in headers {
            is_multipart |= value.starts_with("multipart/");
            let name: HeaderName = name.parse().expect("a header");
            let value = HeaderValue::try_from(self.names.spelt(value)).expect("visible ASCII");
            request.headers.insert(name, value);
        }
        if let Some(body) = body {
            let body = self.names.spelt(body.trim_end());
            let body = if is_multipart {
                body.replace('\n', "\r\n") + "\r\n"
            } else {
                body
            };
            request.body = body.into();
        }
        request
    }

    /// Finds what is new in an answer.
    fn learn_from(&mut self, answer: &Response) {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let location = answer.headers.get("location");
        let location = location.and_then(|value| value.to_str().ok());
        for (fresh, name) in self.fresh {
            let value = match fresh {
                Fresh::Member(pointer) => body.pointer(pointer).and_then(Value::as_str),
                Fresh::Location(before) => location
                    .and_then(|location| location.split_once(before))
                    .map(|(_, value)| value),
            };
            if let Some(value) = value {
                self.names.learn(name, value);
            }
        }
    }
}

fn exchanges(transcript: &str) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut prose = String::new();
    let mut is_request = false;
    for line in transcript.lines() {
        if let Some(text) = line.strip_prefix('>') {
            let text = text.strip_prefix(' ').unwrap_or(text);
            if is_request {
                let exchange = exchanges.last_mut().expect("a request first");
                exchange.add(text);
            } else {
                exchanges.push(Exchange {
                    prose: std::mem::take(&mut prose),
                    target: text.to_owned(),
                    headers: Vec::new(),
                    body: None,
                    notifications: 0,
                });
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

impl Exchange {
    /// Takes up a line below the first.
    fn add(&mut self, line: &str) {
        match &mut self.body {
            Some(body) => writeln!(body, "{line}").expect("a String takes it"),
            None if line.is_empty() => self.body = Some(String::new()),
            None => {
                let (name, value) = line.split_once(": ").expect("a header");
                self.headers.push((name.to_owned(), value.to_owned()));
            }
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
