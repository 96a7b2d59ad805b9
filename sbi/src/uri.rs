//! Paths, queries and API roots of SBI URIs (TS 29.501 clause 4.4, TS 29.500 clause 5.2.10).
//!
//! ```text
//!   https://smf1.example.org:7777/edge/nsmf-pdusession/v1/sm-contexts?a=b
//!   |------ ApiRoot ------------------|----- path segments ---------| Query
//! ```
//!
//! All three are percent-decoded here and nowhere else. A `+` is a literal plus: only form bodies use it for a space.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Most query parameters a request may have: nnrf-disc defines some 170 and a consumer sends a dozen.
pub const MAX_QUERY_PARAMS: usize = 64;

/// A URI that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// A `%` without two hex digits, or octets that are not UTF-8.
    #[error("{part} is not percent-encoded UTF-8")]
    Encoding {
        /// Which part of the URI.
        part: &'static str,
    },
    /// More than [`MAX_QUERY_PARAMS`].
    #[error("more than {MAX_QUERY_PARAMS} query parameters")]
    TooManyParams,
    /// Not `http` or `https`, no authority, or a query, fragment, user or trailing slash where none may be.
    #[error("not an apiRoot: {reason}")]
    ApiRoot {
        /// The rule it breaks.
        reason: &'static str,
    },
}

/// The decoded segments of `path`, to match on. The leading slash starts the first one; `/a//b` has an empty segment.
///
/// # Errors
/// [`UriError::Encoding`].
pub fn segments(path: &str) -> Result<Vec<String>, UriError> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split('/')
        .map(|segment| decode(segment, "path"))
        .collect()
}

/// The parameters of a query, decoded, in the order of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of a URI (without the `?`).
    ///
    /// # Errors
    /// [`UriError::Encoding`] and [`UriError::TooManyParams`].
    pub fn parse(query: &str) -> Result<Self, UriError> {
        let mut params = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if params.len() == MAX_QUERY_PARAMS {
                return Err(UriError::TooManyParams);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            params.push((decode(name, "query")?, decode(value, "query")?));
        }
        Ok(Self(params))
    }

    /// Every value given for `name`.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let params = self.0.iter().filter(move |(param, _)| param == name);
        params.map(|(_, value)| value.as_str())
    }

    /// The names of the parameters, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Adds a parameter.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }
}

/// The encoded query, without the `?`.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_char('&')?;
            }
            write!(f, "{}={}", encode(name), encode(value))?;
        }
        Ok(())
    }
}

/// `text` with everything but unreserved characters percent-encoded (RFC 3986 section 2.3): safe in a segment and a query.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a String does not fail");
        }
    }
    encoded
}

pub(crate) fn decode(text: &str, part: &'static str) -> Result<String, UriError> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let (high, low) = digit().zip(digit()).ok_or(UriError::Encoding { part })?;
            u8::try_from(high * 16 + low).expect("two hex digits fit an octet")
        } else {
            byte
        });
    }
    String::from_utf8(decoded).map_err(|_| UriError::Encoding { part })
}

/// The two schemes of the SBI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Cleartext HTTP/2 with prior knowledge.
    Http,
    /// HTTP/2 over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URI of this scheme means when it names none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `scheme://authority[/prefix]`, the value of `3gpp-Sbi-Target-apiRoot` and the front of every resource URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApiRoot {
    scheme: Scheme,
    authority: String,
    prefix: String,
}

impl ApiRoot {
    /// The root of a producer that serves under `host` and `port` without a prefix.
    ///
    /// # Errors
    /// [`UriError::ApiRoot`] if `host` is not one.
    pub fn new(scheme: Scheme, host: &str, port: u16) -> Result<Self, UriError> {
        format!("{scheme}://{host}:{port}").parse()
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// `host[:port]`, as it belongs in `:authority`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Empty, or a path without trailing slash, such as `/edge`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Splits an absolute URI such as a callback or a `Location` into its scheme, authority and path with query. The prefix of
    /// the root is empty: where it ends only the API's own names could tell.
    ///
    /// # Errors
    /// [`UriError::ApiRoot`].
    pub fn split(uri: &str) -> Result<(Self, &str), UriError> {
        let after_scheme = uri.find("://").map_or(0, |colon| colon + "://".len());
        let path = uri[after_scheme..]
            .find(['/', '?'])
            .map_or(uri.len(), |slash| after_scheme + slash);
        let (root, path) = uri.split_at(path);
        if path.contains('#') {
            return Err(UriError::ApiRoot { reason: "fragment" });
        }
        Ok((root.parse()?, if path.is_empty() { "/" } else { path }))
    }
}

impl FromStr for ApiRoot {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let reject = |reason| Err(UriError::ApiRoot { reason });
        let (scheme, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (Scheme::Https, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (Scheme::Http, rest)
        } else {
            return reject("scheme is neither http nor https");
        };
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if prefix.ends_with('/') || prefix.contains("//") {
            return reject("trailing or double slash");
        }
        if !prefix.bytes().all(|b| b.is_ascii_graphic()) || prefix.contains(['?', '#']) {
            return reject("prefix is not a path");
        }
        if authority.contains('@') {
            return reject("user information");
        }
        match authority.parse::<hyper::http::uri::Authority>() {
            Ok(parsed) if !parsed.host().is_empty() => Ok(Self {
                scheme,
                authority: authority.to_owned(),
                prefix: prefix.to_owned(),
            }),
            _ => reject("authority is not host and port"),
        }
    }
}

impl fmt::Display for ApiRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_decoded_after_the_split() {
        assert_eq!(segments("/a/b%2Fc/").unwrap(), ["a", "b/c", ""]);
    }

    #[test]
    fn plus_in_a_query_is_a_plus() {
        let query = Query::parse("a=1+2&b=%2C&a=%7B%22x%22%7D").unwrap();
        assert_eq!(query.values("a").collect::<Vec<_>>(), ["1+2", r#"{"x"}"#]);
        assert_eq!(query.values("b").collect::<Vec<_>>(), [","]);
    }

    #[test]
    fn bad_escapes_are_refused() {
        for query in ["a=%", "a=%4", "a=%zz", "a=%+1", "%ff=1"] {
            assert_eq!(
                Query::parse(query),
                Err(UriError::Encoding { part: "query" }),
                "{query}"
            );
        }
    }

    #[test]
    fn parameters_are_bounded() {
        assert!(Query::parse(&"a=1&".repeat(MAX_QUERY_PARAMS)).is_ok());
        let query = Query::parse(&"a=1&".repeat(MAX_QUERY_PARAMS + 1));
        assert_eq!(query, Err(UriError::TooManyParams));
    }

    #[test]
    fn query_round_trips() {
        let mut query = Query::default();
        query.push("snssais", r#"[{"sst":1}]"#);
        query.push("dnn", "a&b=c%é");
        assert_eq!(Query::parse(&query.to_string()), Ok(query));
    }

    #[test]
    fn api_root_has_a_prefix_but_no_trailing_slash() {
        let root: ApiRoot = "https://smf1.example.org:7777/edge".parse().unwrap();
        assert_eq!(
            (root.authority(), root.prefix()),
            ("smf1.example.org:7777", "/edge")
        );
        assert_eq!(root.to_string(), "https://smf1.example.org:7777/edge");
        for bad in [
            "ftp://a.b",
            "https://",
            "https://a.b/",
            "https://u@a.b",
            "https://a.b/x?y",
            "a.b",
            "https://a b",
            "https://:1",
        ] {
            assert!(bad.parse::<ApiRoot>().is_err(), "{bad}");
        }
    }

    #[test]
    fn splits_a_callback_uri() {
        let (root, path) = ApiRoot::split("https://amf1.example.org:7777/cb/1?x=y").unwrap();
        assert_eq!(root.to_string(), "https://amf1.example.org:7777");
        assert_eq!(path, "/cb/1?x=y");
        assert_eq!(ApiRoot::split("http://a.b").unwrap().1, "/");
        assert!(ApiRoot::split("/relative").is_err());
    }
}
