//! The OpenAPI document of the services that no 3GPP document has, which is the file `openapi.json` beside this one:
//! `GET /openapi.json` on the SBI port and on that of the issuance log, by anybody.
//!
//! Tests hold it against what is served: every resource of [`crate::certificate_management::Resource`], of the log and of the admin port is in it,
//! and nothing else. `.ci/check-openapi` sends requests that are made of it to a running NRF.

use std::time::Duration;

use hyper::Method;
use sbi::problem::Problem;
use sbi::response::{JSON, Response};
use sbi::server::Request;

use crate::etag::{Tagged, max_age};

/// Where the document is.
pub const PATH: &str = "/openapi.json";
/// The document.
pub const DOCUMENT: &str = include_str!("openapi.json");
/// How long it may be used: it changes with the version of the NRF only.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// Answers with the document.
pub struct OpenApi(Tagged);

impl Default for OpenApi {
    fn default() -> Self {
        Self(Tagged::verbatim(JSON, DOCUMENT))
    }
}

impl OpenApi {
    /// Answers a request for [`PATH`].
    ///
    /// # Errors
    /// Another method than GET and HEAD.
    pub fn handle(&self, request: &Request) -> Result<Response, Problem> {
        match request.method {
            // The server takes the body off an answer to HEAD.
            Method::GET | Method::HEAD => {
                let answer = self.0.clone();
                Ok(answer.answer(&request.headers, Some(max_age(MAX_AGE))))
            }
            _ => Err(Problem::method_not_allowed("GET, HEAD")),
        }
    }
}
