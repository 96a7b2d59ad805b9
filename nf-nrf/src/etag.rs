//! Entity tags (RFC 9110 section 8.8): which state of a resource an answer shows.

use std::fmt;

use hyper::http::HeaderValue;
use sbi::checksum::sha256;

/// A strong validator, derived from the content: it survives a restart of the NRF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(String);

/// Hexadecimal digits of the SHA-256 hash that go into a tag; collisions only matter between states of one resource.
const TAG_LENGTH: usize = 24;

impl ETag {
    /// The tag of `content`.
    pub fn of(content: &[u8]) -> Self {
        let mut tag = sha256(content);
        tag.truncate(TAG_LENGTH);
        Self(tag)
    }

    /// Whether a value of `If-Match` or `If-None-Match` names this tag: `*`, or a list of tags. A weak tag is not the same state.
    pub fn is_in(&self, list: &str) -> bool {
        let quoted = self.to_string();
        list.trim() == "*" || list.split(',').any(|tag| tag.trim() == quoted)
    }

    /// The value of the `ETag` header.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.to_string()).expect("hex digits in quotes are visible ASCII")
    }
}

/// The tag in quotes.
impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
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
            tag.0.clone(),
            String::new(),
        ] {
            assert!(!tag.is_in(&other), "{other}");
        }
    }
}
