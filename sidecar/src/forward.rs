//! A request on its way to the program or to a peer, with its body and its answer's as fast as they are taken.

use std::hash::Hash;
use std::io;
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Body as _;
use hyper::header::{HOST, HeaderMap, HeaderValue, TE};
use mtc_core::causes::Causes;
use sbi::body::Body;
use sbi::client::{self, ClientError, Connection};
use sbi::header::remove_hop_by_hop;
use sbi::instance::CallError;
use sbi::lanes::{Bounds, Lanes};
use sbi::problem::{Cause, Problem};
use sbi::server::Request;

use crate::metrics::Refusal;

/// Connections in either direction. So many requests on one are what RFC 9113 section 6.5.2 recommends that all take.
pub(crate) const BOUNDS: Bounds = Bounds {
    streams: 100,
    lanes: 16,
    all: 1024,
};
/// How long the head of an answer may take: longer than connections live. Programs set times of their own, and what they give up is given up
/// here; some send the head of a stream with its first message.
pub(crate) const PATIENCE: Duration = Duration::from_secs(7 * 86_400);
/// Seconds after which a program may try again that came when there was no place.
const RETRY_WHEN_BUSY: u32 = 1;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    /// As many requests are in progress as may be.
    #[error("as many requests are in progress as may be")]
    Full,
    /// The program does not listen.
    #[error("the program cannot be reached")]
    Program(#[source] io::Error),
    /// There is no connection to the peer.
    #[error("the peer cannot be reached")]
    Peer(#[from] CallError),
    /// There is a connection, and no answer.
    #[error("no answer")]
    Answer(#[from] ClientError),
    /// The same of a program that speaks HTTP/1.1.
    #[error("no answer of http/1.1")]
    Http1(#[source] hyper::Error),
    /// It answers with another protocol, for which nobody has asked.
    #[error("the program switches to another protocol")]
    Switched,
}

impl ForwardError {
    /// As what it is counted.
    pub(crate) const fn refusal(&self) -> Refusal {
        match self {
            Self::Full => Refusal::Full,
            Self::Program(_)
            | Self::Peer(_)
            | Self::Answer(_)
            | Self::Http1(_)
            | Self::Switched => Refusal::Unreachable,
        }
    }
}

impl From<ForwardError> for Problem {
    fn from(error: ForwardError) -> Self {
        let detail = Causes(&error).to_string();
        match error {
            ForwardError::Full => Self::unavailable(Cause::NfCongestion, detail, RETRY_WHEN_BUSY),
            ForwardError::Program(_)
            | ForwardError::Peer(_)
            | ForwardError::Answer(_)
            | ForwardError::Http1(_)
            | ForwardError::Switched => {
                let status = StatusCode::GATEWAY_TIMEOUT;
                Self::with_cause(status, Cause::TargetNfNotReachable, detail)
            }
        }
    }
}

/// `request` as it goes on, to `authority` and below `prefix`.
pub(crate) fn onward(request: Request, authority: &str, prefix: &str) -> client::Request {
    let mut headers = request.headers;
    take_connection_fields(&mut headers);
    headers.remove(HOST);
    let mut path = format!("{prefix}{}", request.path);
    if !request.query.is_empty() {
        path.push('?');
        path.push_str(&request.query);
    }
    client::Request {
        method: request.method,
        authority: authority.to_owned(),
        path,
        headers,
        body: Default::default(),
    }
}

/// Removes what is meant for this process alone. Trailers pass, and whoever asks for them is heard (gRPC refuses calls that do not).
fn take_connection_fields(headers: &mut HeaderMap) {
    let trailers = HeaderValue::from_static("trailers");
    let asks = headers.get_all(TE).iter().any(|te| te == trailers);
    remove_hop_by_hop(headers);
    if asks {
        headers.insert(TE, trailers);
    }
}

/// Sends `request` with `body` on one of `lanes` to whom `key` means, opened with `open` if need be. The answer's body keeps its place.
///
/// A request without a body that met a connection which had just ended is sent once more; others are the sender's to repeat.
///
/// Dropping the future gives the request up, and so does dropping the answer's body.
///
/// # Errors
/// See [`ForwardError`].
pub(crate) async fn forward<K, O>(
    lanes: &Lanes<K>,
    key: K,
    open: impl Fn() -> O,
    request: client::Request,
    body: Body,
) -> Result<hyper::Response<Body>, ForwardError>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    O: Future<Output = Result<Connection, ForwardError>>,
{
    if !body.is_end_stream() {
        return send(lanes, key, &open, request, body)
            .await
            .map_err(|(_, error)| error);
    }
    match send(lanes, key.clone(), &open, request.clone(), body).await {
        Err((true, ForwardError::Answer(error))) if error.is_unprocessed() => {
            let again = send(lanes, key, &open, request, Body::empty()).await;
            again.map_err(|(_, error)| error)
        }
        sent => sent.map_err(|(_, error)| error),
    }
}

/// Sends once. With an error it says whether the connection had been there before.
async fn send<K, O>(
    lanes: &Lanes<K>,
    key: K,
    open: impl Fn() -> O,
    request: client::Request,
    body: Body,
) -> Result<hyper::Response<Body>, (bool, ForwardError)>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    O: Future<Output = Result<Connection, ForwardError>>,
{
    let place = lanes.place(key).ok_or((false, ForwardError::Full))?;
    let was_open = place.connection().is_some();
    let connection = place.connect(async || Ok((open().await?, ()))).await;
    let connection = connection.map_err(|error| (was_open, error))?;
    let passed = connection.pass(request, body, PATIENCE).await;
    let mut answer = passed.map_err(|error| (was_open, error.into()))?;
    remove_hop_by_hop(answer.headers_mut());
    Ok(answer.map(|body| body.guarded(place)))
}
