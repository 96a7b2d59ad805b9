//! The issuance log as mtc-tlog serves it (c2sp.org/mtc-tlog over c2sp.org/tlog-tiles), read-only and public.
//!
//! ```text
//! GET /<log number>/checkpoint                    changes
//! GET /<log number>/landmarks                     changes
//! GET /<log number>/revoked                       changes; 304 for who has it
//! GET /<log number>/tile/<L>/<N>[.p/<W>]          never changes
//! GET /<log number>/tile/entries/<N>[.p/<W>]      never changes
//! ```
//!
//! Tiles are served as far as the published checkpoint covers them: what lies beyond it, after a crash or while witnesses are
//! asked, may still be replaced by another batch.
//!
//! Every log that the CA has had is served as far as it can be read. A retired one that has no checkpoint to show is `410`,
//! so that relying parties look at the one after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use mtc_core::causes::Causes;
use mtc_core::id::LogNumber;
use mtc_log::{Object, Storage, read_served};
use sbi::checksum::sha256;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, MAX_IGNORED_BODY, Request};
use sbi::telemetry::Throttle;
use tokio::task::spawn_blocking;

use crate::retired_log::RetiredLog;

const TEXT: &str = "text/plain; charset=utf-8";
const BINARY: &str = "application/octet-stream";
/// Anybody may read, as often as the port answers.
static FAILURES: Throttle = Throttle::new();
const CHANGES: HeaderValue = HeaderValue::from_static("no-cache");
const NEVER_CHANGES: HeaderValue = HeaderValue::from_static("public, max-age=604800, immutable");

/// Serves a CA's logs.
pub struct LogApi {
    /// The current log's number, first segment of the path.
    pub current: LogNumber,
    /// Where the current log is stored.
    pub storage: Arc<dyn Storage>,
    /// The logs before it.
    pub retired: BTreeMap<LogNumber, RetiredLog>,
}

impl Handler for LogApi {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return Err(Problem::method_not_allowed("GET, HEAD"));
        }
        let (number, object) = object(&request.path).ok_or_else(|| self.unknown())?;
        let retired = self.retired.get(&number).cloned();
        let is_retired = retired.is_some();
        let storage = match retired {
            Some(retired) => Arc::new(retired),
            None if number == self.current => self.storage.clone(),
            None => return Err(self.unknown()),
        };
        let wanted = object.clone();
        let read = spawn_blocking(move || read_served(&*storage, &wanted)).await;
        let bytes = match read {
            Ok(Ok(Some(bytes))) => bytes,
            Ok(Ok(None)) if is_retired && object == Object::Checkpoint => return Err(gone(number)),
            Ok(Ok(None)) => {
                return Err(Problem::not_found(format!(
                    "the log has no {}",
                    request.path
                )));
            }
            Ok(Err(error)) if is_retired => {
                tracing::debug!(error = %Causes(&error), log = %number, "a retired log cannot be read");
                return Err(gone(number));
            }
            Ok(Err(error)) => {
                if let Some(left_out) = FAILURES.pass() {
                    tracing::error!(error = %Causes(&error), left_out, "the log cannot be read");
                }
                return Err(Problem::system_failure());
            }
            Err(_) => return Err(Problem::system_failure()),
        };
        if object == Object::Revoked {
            return Ok(tagged(&request, bytes));
        }
        let (content_type, cache) = match object {
            Object::Tile(_) => (BINARY, NEVER_CHANGES),
            _ => (TEXT, CHANGES),
        };
        Ok(Response::bytes(StatusCode::OK, content_type, bytes).with(CACHE_CONTROL, cache))
    }

    fn max_body(&self, _method: &Method, _path: &str) -> usize {
        MAX_IGNORED_BODY
    }
}

impl LogApi {
    fn unknown(&self) -> Problem {
        Problem::not_found(format!(
            "the current log is {0}: there are /{0}/checkpoint, /{0}/landmarks and /{0}/tile/...",
            self.current
        ))
    }
}

fn gone(number: LogNumber) -> Problem {
    Problem::new(
        StatusCode::GONE,
        format!("log {number} has been retired and cannot be read"),
    )
}

/// A text that relying parties ask for again and again, and that is not sent to who has it (RFC 9110 section 13.1.2).
fn tagged(request: &Request, bytes: Vec<u8>) -> Response {
    let tag = format!("\"{}\"", sha256(&bytes));
    let has_it = request
        .headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let response = if has_it {
        Response::empty(StatusCode::NOT_MODIFIED)
    } else {
        Response::bytes(StatusCode::OK, TEXT, bytes)
    };
    let tag = HeaderValue::from_str(&tag).expect("hexadecimal digits");
    response.with(CACHE_CONTROL, CHANGES).with(ETAG, tag)
}

/// A path's log and object.
fn object(path: &str) -> Option<(LogNumber, Object)> {
    let (number, rest) = path.strip_prefix('/')?.split_once('/')?;
    let log = LogNumber::new(number.parse().ok()?).ok()?;
    // One path an object: neither `01` nor `+1`.
    (number == log.to_string()).then_some((log, Object::served_at(rest)?))
}
