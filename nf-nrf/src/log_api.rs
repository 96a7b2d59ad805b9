//! The issuance log as mtc-tlog serves it (c2sp.org/mtc-tlog over c2sp.org/tlog-tiles), read-only and public.
//!
//! ```text
//! GET /<log number>/checkpoint                    changes
//! GET /<log number>/landmarks                     changes
//! GET /<log number>/tile/<L>/<N>[.p/<W>]          never changes
//! GET /<log number>/tile/entries/<N>[.p/<W>]      never changes
//! ```

use std::sync::Arc;

use hyper::header::CACHE_CONTROL;
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use mtc_core::id::LogNumber;
use mtc_log::{Object, Storage};
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, Request};
use sbi::telemetry::Causes;
use tokio::task::spawn_blocking;

const TEXT: &str = "text/plain; charset=utf-8";
const BINARY: &str = "application/octet-stream";
const CHANGES: HeaderValue = HeaderValue::from_static("no-cache");
const NEVER_CHANGES: HeaderValue = HeaderValue::from_static("public, max-age=604800, immutable");

/// Serves one log.
pub struct LogApi {
    /// The log's number, first segment of the path.
    pub number: LogNumber,
    /// Where the log is stored.
    pub storage: Arc<dyn Storage>,
}

impl Handler for LogApi {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return Err(Problem::method_not_allowed("GET, HEAD"));
        }
        let object = self.object(&request.path).ok_or_else(|| {
            Problem::not_found(format!(
                "this is log {0}: known are /{0}/checkpoint, /{0}/landmarks and /{0}/tile/...",
                self.number
            ))
        })?;
        let (storage, wanted) = (self.storage.clone(), object.clone());
        let read = spawn_blocking(move || storage.get(&wanted)).await;
        let bytes = match read {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => {
                tracing::error!(error = %Causes(&error), "the log cannot be read");
                return Err(Problem::system_failure());
            }
            Err(_) => return Err(Problem::system_failure()),
        };
        let bytes =
            bytes.ok_or_else(|| Problem::not_found(format!("the log has no {}", request.path)))?;
        let (content_type, cache) = match object {
            Object::Tile(_) => (BINARY, NEVER_CHANGES),
            _ => (TEXT, CHANGES),
        };
        Ok(Response::bytes(StatusCode::OK, content_type, bytes).with(CACHE_CONTROL, cache))
    }
}

impl LogApi {
    fn object(&self, path: &str) -> Option<Object> {
        let (number, rest) = path.strip_prefix('/')?.split_once('/')?;
        if number != self.number.to_string() {
            return None;
        }
        Object::served_at(rest)
    }
}
