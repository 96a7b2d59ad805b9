//! Entity tags (RFC 9110 section 8.8): which state of a resource an answer shows, and answers that say only that it is the known one.

use std::fmt;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use hyper::http::HeaderValue;
use hyper::{HeaderMap, StatusCode};
use sbi::checksum::sha256;
use sbi::response::{HAL_JSON, JSON, Response};
use serde::Serialize;

/// A strong validator, derived from the content: it survives a restart of the NRF. In quotes, as headers have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag([u8; TAG_LENGTH + 2]);

/// Hexadecimal digits of the SHA-256 hash that go into a tag; collisions only matter between states of one resource.
const TAG_LENGTH: usize = 24;

impl ETag {
    /// The tag of `content`.
    pub fn of(content: &[u8]) -> Self {
        let mut quoted = [b'"'; TAG_LENGTH + 2];
        quoted[1..=TAG_LENGTH].copy_from_slice(&sha256(content).as_bytes()[..TAG_LENGTH]);
        Self(quoted)
    }

    /// Whether a value of `If-Match` or `If-None-Match` names this tag: `*`, or a list of tags. A weak tag is not the same state.
    pub fn is_in(&self, list: &str) -> bool {
        let mut tags = list.split(',');
        list.trim() == "*" || tags.any(|tag| tag.trim().as_bytes() == self.0)
    }

    /// The value of the `ETag` header.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("hex digits in quotes are visible ASCII")
    }
}

/// A document with its tag.
#[derive(Clone)]
pub struct Tagged {
    media_type: &'static str,
    body: Bytes,
    etag: ETag,
}

impl Tagged {
    /// `document` as `application/json`.
    pub fn json(document: &impl Serialize) -> Self {
        Self::of(JSON, document)
    }

    /// `document` as `application/3gppHal+json`.
    pub fn hal(document: &impl Serialize) -> Self {
        Self::of(HAL_JSON, document)
    }

    /// A text as it stands.
    pub fn verbatim(media_type: &'static str, text: &'static str) -> Self {
        Self {
            media_type,
            etag: ETag::of(text.as_bytes()),
            body: Bytes::from_static(text.as_bytes()),
        }
    }

    /// How many octets it has.
    pub fn octets(&self) -> usize {
        self.body.len()
    }

    /// The same document under a tag that it has already.
    #[must_use]
    pub fn tagged(self, etag: ETag) -> Self {
        Self { etag, ..self }
    }

    /// The document, or `304` if the requester has it (`If-None-Match`); with `max_age`, of [`max_age`], it may use it for so long.
    pub fn answer(self, headers: &HeaderMap, max_age: Option<HeaderValue>) -> Response {
        let known = headers
            .get(IF_NONE_MATCH)
            .and_then(|tags| tags.to_str().ok());
        let response = if known.is_some_and(|tags| self.etag.is_in(tags)) {
            Response::empty(StatusCode::NOT_MODIFIED)
        } else {
            Response::bytes(StatusCode::OK, self.media_type, self.body)
        };
        let response = response.with(ETAG, self.etag.header());
        match max_age {
            None => response,
            Some(max_age) => response.with(CACHE_CONTROL, max_age),
        }
    }

    fn of(media_type: &'static str, document: &impl Serialize) -> Self {
        let body = serde_json::to_vec(document).expect("documents have string keys");
        Self {
            media_type,
            etag: ETag::of(&body),
            body: body.into(),
        }
    }
}

/// The value of `Cache-Control` by which an answer may be used for so long.
pub fn max_age(max_age: Duration) -> HeaderValue {
    let max_age = format!("max-age={}", max_age.as_secs());
    HeaderValue::from_str(&max_age).expect("digits are visible ASCII")
}

/// The tag in quotes.
impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_itself_in_a_list_and_nothing_else() {
        let tag = ETag::of(b"a");
        assert!(tag.is_in("*") && tag.is_in(&format!("\"x\", {tag}")));
        for other in [
            ETag::of(b"b").to_string(),
            format!("W/{tag}"),
            tag.to_string().replace('"', ""),
            String::new(),
        ] {
            assert!(!tag.is_in(&other), "{other}");
        }
    }
}
