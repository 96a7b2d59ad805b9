//! Multipart bodies: within their bounds, every part one of the body that was read, and encoded again they read as the same.
//!
//! ```text
//! <Content-Type> LF <body>
//! ```

use bytes::Bytes;
use sbi::multipart::{MAX_PARTS, Multipart, NAS, NGAP};
use serde_json::json;

use crate::Verdict;

/// Reads a message by its content type.
///
/// # Panics
/// An invariant does not hold.
pub fn multipart(data: &[u8]) -> Verdict {
    let mut halves = data.splitn(2, |byte| *byte == b'\n');
    let content_type = halves.next().unwrap_or_default();
    let body = Bytes::copy_from_slice(halves.next().unwrap_or_default());
    let Ok(content_type) = std::str::from_utf8(content_type) else {
        return Verdict::Refused;
    };
    let Ok(message) = Multipart::parse(content_type, &body) else {
        return Verdict::Refused;
    };
    let (encoded_type, encoded) = message.encode();
    // At most: what parts hold, a boundary of up to five characters and the names of two headers for each.
    assert!(encoded.len() <= body.len() + (MAX_PARTS + 1) * 64);
    let again = Multipart::parse(&encoded_type, &encoded).expect("what was encoded is a message");
    assert_eq!(again, message);
    Verdict::Accepted
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let messages = [
        Multipart::json(&json!({})),
        Multipart::json(&json!({"n1SmMsg": {"contentId": "n1"}}))
            .attach(NAS, "n1", &b"\x2e\x05\x01\xc1\r\n--b1\r\n"[..])
            .attach(NGAP, "n2", &b"\0\r\n"[..]),
    ];
    let mut seeds: Vec<_> = messages
        .iter()
        .map(|message| {
            let (content_type, body) = message.encode();
            [content_type.as_bytes(), b"\n", &body].concat()
        })
        .collect();
    seeds.push(
        b"Multipart/Related; type=\"application/json\"; boundary=\"b 1\"\npreamble\r\n--b 1 \r\nCONTENT-ID: <x>\r\n\r\n{}\r\n--b 1--\r\nepilogue"
            .to_vec(),
    );
    seeds
}
