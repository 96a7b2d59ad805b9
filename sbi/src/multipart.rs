//! `multipart/related` bodies: JSON with binary NAS and NGAP parts (TS 29.502 clause 6.1.2.4, RFC 2387).
//!
//! ```text
//!   --b1 CRLF Content-Type: application/json CRLF CRLF {...} CRLF
//!   --b1 CRLF Content-Type: application/vnd.3gpp.5gnas CRLF Content-Id: n1-sm CRLF CRLF <octets> CRLF
//!   --b1-- CRLF
//! ```
//!
//! Strict out: JSON first, unquoted boundary after `; `, ids without brackets. Tolerant in: quoted boundary, further parameters,
//! header names in any case, ids in brackets, preamble and epilogue. The root is the first part.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

use crate::response::JSON;

/// NAS messages.
pub const NAS: &str = "application/vnd.3gpp.5gnas";
/// NGAP elements.
pub const NGAP: &str = "application/vnd.3gpp.ngap";
/// Most parts of a message; Open5GS takes no more, and a session message has three.
pub const MAX_PARTS: usize = 8;
/// Most octets of headers in a part. The ones defined take a hundred.
pub const MAX_PART_HEADERS: usize = 1024;
/// Longest boundary (RFC 2046 section 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// A body that is not `multipart/related` as its content type promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MultipartError {
    /// Another media type.
    #[error("content type is not multipart/related")]
    ContentType,
    /// No boundary, or one longer than 70 characters.
    #[error("content type has no boundary of 1 to 70 characters")]
    Boundary,
    /// The body does not begin with a delimiter, or the closing one is missing.
    #[error("delimiter missing")]
    Delimiter,
    /// More than [`MAX_PARTS`].
    #[error("more than {MAX_PARTS} parts")]
    TooManyParts,
    /// Headers of a part do not end, are longer than [`MAX_PART_HEADERS`], or are not `name: value`.
    #[error("headers of part {part} are malformed")]
    PartHeaders {
        /// Which part, from 0.
        part: usize,
    },
    /// A part encoded otherwise than binary.
    #[error("part {part} has a transfer encoding")]
    TransferEncoding {
        /// Which part, from 0.
        part: usize,
    },
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its media type; `text/plain` when it names none.
    pub content_type: String,
    /// Its id, without brackets.
    pub content_id: Option<String>,
    /// Its octets.
    pub body: Bytes,
}

/// A message with at least one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multipart {
    root: Part,
    attached: Vec<Part>,
}

impl Multipart {
    /// A message of `json` alone, to attach to.
    pub fn json(json: &impl Serialize) -> Self {
        let body = serde_json::to_vec(json).expect("model types have string keys and do not fail");
        Self {
            root: Part {
                content_type: JSON.to_owned(),
                content_id: None,
                body: body.into(),
            },
            attached: Vec::new(),
        }
    }

    /// The same message with a binary part; `content_id` is what the JSON refers to it by.
    pub fn attach(mut self, content_type: &str, content_id: &str, body: impl Into<Bytes>) -> Self {
        self.attached.push(Part {
            content_type: content_type.to_owned(),
            content_id: Some(content_id.to_owned()),
            body: body.into(),
        });
        self
    }

    /// The first part: the JSON.
    pub fn root(&self) -> &Part {
        &self.root
    }

    /// The attached part `content_id`.
    pub fn part(&self, content_id: &str) -> Option<&Part> {
        let mut parts = self.attached.iter();
        parts.find(|part| part.content_id.as_deref() == Some(content_id))
    }

    /// The content type and the body.
    pub fn encode(&self) -> (String, Bytes) {
        let boundary = self.free_boundary();
        let mut body = BytesMut::new();
        for part in self.parts() {
            body.put(format!("--{boundary}\r\nContent-Type: {}\r\n", part.content_type).as_bytes());
            if let Some(id) = &part.content_id {
                body.put(format!("Content-Id: {id}\r\n").as_bytes());
            }
            body.put(&b"\r\n"[..]);
            body.put(part.body.as_ref());
            body.put(&b"\r\n"[..]);
        }
        body.put(format!("--{boundary}--\r\n").as_bytes());
        let content_type = format!("multipart/related; boundary={boundary}");
        (content_type, body.freeze())
    }

    /// Reads a body by its content type.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn parse(content_type: &str, body: &Bytes) -> Result<Self, MultipartError> {
        let delimiter = format!("--{}", boundary(content_type)?);
        let mut parts = Vec::new();
        let mut delimiter_at = find_delimiter(body, 0, &delimiter)?;
        while !delimiter_at.closing {
            let start = delimiter_at.after;
            delimiter_at = find_delimiter(body, start, &delimiter)?;
            if parts.len() == MAX_PARTS {
                return Err(MultipartError::TooManyParts);
            }
            parts.push(parse_part(
                body.slice(start..delimiter_at.before),
                parts.len(),
            )?);
        }
        let mut parts = parts.into_iter();
        Ok(Self {
            root: parts.next().ok_or(MultipartError::Delimiter)?,
            attached: parts.collect(),
        })
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.root).chain(&self.attached)
    }

    /// The first of `b1`, `b2`, ... that no part contains as a delimiter.
    fn free_boundary(&self) -> String {
        let taken = |boundary: &String| {
            let delimiter = format!("--{boundary}");
            self.parts()
                .any(|part| find(&part.body, delimiter.as_bytes()).is_some())
        };
        (1_u64..)
            .map(|n| format!("b{n}"))
            .find(|boundary| !taken(boundary))
            .expect("a finite body does not contain every boundary")
    }
}

/// Whether `content_type` names `multipart/related`.
pub fn is_multipart(content_type: &str) -> bool {
    let (media_type, _) = content_type.split_once(';').unwrap_or((content_type, ""));
    media_type.trim().eq_ignore_ascii_case("multipart/related")
}

fn boundary(content_type: &str) -> Result<&str, MultipartError> {
    if !is_multipart(content_type) {
        return Err(MultipartError::ContentType);
    }
    let boundary = content_type
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))
        .map(|(_, value)| value.trim().trim_matches('"'))
        .ok_or(MultipartError::Boundary)?;
    if !(1..=MAX_BOUNDARY).contains(&boundary.len()) {
        return Err(MultipartError::Boundary);
    }
    Ok(boundary)
}

/// Where a delimiter line is in a body.
struct Delimiter {
    /// End of what comes before: the line break in front belongs to the delimiter.
    before: usize,
    /// Start of what comes after.
    after: usize,
    /// Whether it is the last one.
    closing: bool,
}

/// The next delimiter at or after `from`, which is the start of a line. A line that merely starts like one is data.
fn find_delimiter(body: &[u8], from: usize, delimiter: &str) -> Result<Delimiter, MultipartError> {
    let mut search = from;
    while let Some(found) = find(&body[search..], delimiter.as_bytes()) {
        let at = search + found;
        let rest = &body[at + delimiter.len()..];
        let line_end = find(rest, b"\r\n");
        let line = &rest[..line_end.unwrap_or(rest.len())];
        let closing = line.starts_with(b"--");
        let padding = if closing { &line[2..] } else { line };
        let is_line = padding.iter().all(|b| matches!(b, b' ' | b'\t'));
        let before = if at == from {
            Some(at)
        } else {
            body[from..at]
                .strip_suffix(b"\r\n")
                .map(|data| from + data.len())
        };
        if let Some(before) = before.filter(|_| is_line && (closing || line_end.is_some())) {
            let after = at + delimiter.len() + line.len() + line_end.map_or(0, |_| 2);
            return Ok(Delimiter {
                before,
                after,
                closing,
            });
        }
        search = at + 1;
    }
    Err(MultipartError::Delimiter)
}

fn parse_part(part: Bytes, index: usize) -> Result<Part, MultipartError> {
    let malformed = MultipartError::PartHeaders { part: index };
    let (headers, body_start) = if part.starts_with(b"\r\n") {
        (0, 2)
    } else {
        let window = &part[..part.len().min(MAX_PART_HEADERS)];
        let end = find(window, b"\r\n\r\n").ok_or(malformed)?;
        (end, end + 4)
    };
    let headers = std::str::from_utf8(&part[..headers]).map_err(|_| malformed)?;
    let mut content_type = "text/plain".to_owned();
    let mut content_id = None;
    for line in headers.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(malformed)?;
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "content-type" => content_type = value.to_owned(),
            "content-id" => {
                let bare = value.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
                content_id = Some(bare.unwrap_or(value).to_owned());
            }
            "content-transfer-encoding" if !is_identity(value) => {
                return Err(MultipartError::TransferEncoding { part: index });
            }
            _ => {}
        }
    }
    Ok(Part {
        content_type,
        content_id,
        body: part.slice(body_start..),
    })
}

fn is_identity(transfer_encoding: &str) -> bool {
    ["binary", "8bit", "7bit"]
        .iter()
        .any(|identity| transfer_encoding.eq_ignore_ascii_case(identity))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NAS_REQUEST: &[u8] = &[0x2e, 0x05, 0x01, 0xc1, 0xff, 0xff, 0x91, 0xa1];

    fn parse(content_type: &str, body: &[u8]) -> Result<Multipart, MultipartError> {
        Multipart::parse(content_type, &Bytes::copy_from_slice(body))
    }

    #[test]
    fn emits_exactly_what_strict_peers_read() {
        let (content_type, body) = Multipart::json(&json!({"a": 1}))
            .attach(NAS, "n1-sm", "xyz")
            .encode();
        assert_eq!(content_type, "multipart/related; boundary=b1");
        assert_eq!(
            body,
            "--b1\r\nContent-Type: application/json\r\n\r\n{\"a\":1}\r\n--b1\r\n\
             Content-Type: application/vnd.3gpp.5gnas\r\nContent-Id: n1-sm\r\n\r\nxyz\r\n--b1--\r\n"
        );
    }

    #[test]
    fn round_trips() {
        let message = Multipart::json(&json!({}))
            .attach(NAS, "n1", NAS_REQUEST)
            .attach(NGAP, "n2", &b"\r\n--b1--\r\n"[..]);
        let (content_type, body) = message.encode();
        assert_eq!(Multipart::parse(&content_type, &body), Ok(message));
    }

    #[test]
    fn accepts_what_other_implementations_send() {
        let message = parse(
            r#"Multipart/Related; type="application/json"; boundary="=-a""#,
            b"preamble\r\n--=-a \r\ncontent-type:application/json\r\n\r\n{}\r\n--=-a\r\nCONTENT-ID: <5gnas-sm>\r\n\
              Content-Transfer-Encoding: Binary\r\nContent-Type: application/vnd.3gpp.5gnas\r\n\r\n\x00\r\n--=-ab\r\n--=-a--epilogue\r\n--=-a--",
        )
        .unwrap();
        assert_eq!(message.root().body, "{}");
        assert_eq!(
            message.part("5gnas-sm").unwrap().body,
            &b"\x00\r\n--=-ab\r\n--=-a--epilogue"[..]
        );
    }

    #[test]
    fn a_part_may_be_empty_or_have_no_headers() {
        let message = parse(
            "multipart/related; boundary=b",
            b"--b\r\n\r\n\r\n--b\r\nContent-Id: x\r\n\r\n\r\n--b--",
        )
        .unwrap();
        assert!(message.root().body.is_empty());
        assert!(message.part("x").unwrap().body.is_empty());
    }

    #[test]
    fn damage_is_named() {
        let related = "multipart/related; boundary=b";
        let nine = "--b\r\n\r\n\r\n".repeat(MAX_PARTS + 1) + "--b--";
        let long = format!(
            "--b\r\nx: {}\r\n\r\n\r\n--b--",
            "y".repeat(MAX_PART_HEADERS)
        );
        for (content_type, body, error) in [
            ("application/json", "--b--", MultipartError::ContentType),
            ("multipart/related", "--b--", MultipartError::Boundary),
            (
                "multipart/related; boundary=",
                "--b--",
                MultipartError::Boundary,
            ),
            (related, "", MultipartError::Delimiter),
            (related, "--b--", MultipartError::Delimiter),
            (related, "--b\r\n\r\n{}", MultipartError::Delimiter),
            (related, "--b\r\n\r\n{}--b--", MultipartError::Delimiter),
            (related, "--b\r\n\r\n{}\r\n--b-", MultipartError::Delimiter),
            (
                related,
                "--b\r\nx\r\n\r\n{}\r\n--b--",
                MultipartError::PartHeaders { part: 0 },
            ),
            (
                related,
                "--b\r\n{}\r\n--b--",
                MultipartError::PartHeaders { part: 0 },
            ),
            (related, &long, MultipartError::PartHeaders { part: 0 }),
            (related, &nine, MultipartError::TooManyParts),
            (
                related,
                "--b\r\nContent-Transfer-Encoding: base64\r\n\r\n\r\n--b--",
                MultipartError::TransferEncoding { part: 0 },
            ),
        ] {
            assert_eq!(parse(content_type, body.as_bytes()), Err(error), "{body:?}");
        }
    }

    #[test]
    fn every_truncation_before_the_closing_delimiter_is_refused() {
        let (content_type, body) = Multipart::json(&json!({}))
            .attach(NAS, "n1", NAS_REQUEST)
            .encode();
        let complete = body.len() - "\r\n".len();
        for length in 0..complete {
            assert!(parse(&content_type, &body[..length]).is_err(), "{length}");
        }
        assert!(parse(&content_type, &body[..complete]).is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_never_panic(body in "(--b|\r\n|--|-|b|:|Content-Id|x){0,24}") {
            let _ = parse("multipart/related; boundary=b", body.as_bytes());
        }

        #[test]
        fn arbitrary_parts_round_trip(
            parts in prop::collection::vec(prop::collection::vec(prop::sample::select(&b"\r\n-b1:x"[..]), 0..20), 0..4)
        ) {
            let mut message = Multipart::json(&json!({}));
            for (i, part) in parts.into_iter().enumerate() {
                message = message.attach(NGAP, &format!("p{i}"), part);
            }
            let (content_type, body) = message.encode();
            prop_assert_eq!(Multipart::parse(&content_type, &body), Ok(message));
        }
    }
}
