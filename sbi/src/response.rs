//! An SBI answer with its whole body: what a handler returns and what a client gets.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName};
use hyper::http::HeaderValue;
use hyper::{HeaderMap, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// `application/json`.
pub const JSON: &str = "application/json";
/// `application/problem+json`, the form of every error but those of the token endpoint and SM context create.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// `application/json-patch+json`, the form of a PATCH.
pub const JSON_PATCH: &str = "application/json-patch+json";
/// `application/x-www-form-urlencoded`, the form of a request for an access token.
pub const FORM: &str = "application/x-www-form-urlencoded";
/// `application/3gppHal+json`, the form of the NRF's lists.
pub const HAL_JSON: &str = "application/3gppHal+json";

/// Status, headers and body of an answer. Bodies of the SBI are small, so they are held whole.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status code.
    pub status: StatusCode,
    /// Header fields, `content-type` among them.
    pub headers: HeaderMap,
    /// The body, empty if there is none.
    pub body: Bytes,
}

impl Response {
    /// An answer without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// `204 No Content`.
    pub fn no_content() -> Self {
        Self::empty(StatusCode::NO_CONTENT)
    }

    /// `body` as `application/json`.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        Self::json_as(status, JSON, body)
    }

    /// `body` as JSON under another media type, such as [`HAL_JSON`].
    pub fn json_as(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("model types have string keys and do not fail");
        Self::bytes(status, content_type, body)
    }

    /// `body` as it is.
    pub fn bytes(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..Self::empty(status)
        }
        .with(CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// The same answer with `name` set to `value`.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The text of header `name`, if it is there once at least and is visible ASCII.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// What the JSON reader says.
    pub fn read_json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}
