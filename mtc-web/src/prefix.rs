//! The URL below which something is served.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use hyper::Uri;
use hyper::http::uri::{Authority, Scheme};
use serde::{Deserialize, Serialize};

/// A submission or monitoring prefix (c2sp.org/tlog-witness, tlog-tiles): `http` or `https`, host, port, and the path of a folder
/// without a slash at its end.
///
/// ```
/// let prefix: mtc_web::Prefix = "https://logs.example/mtc/".parse()?;
/// assert_eq!(prefix.url("1/checkpoint"), "https://logs.example/mtc/1/checkpoint");
/// // An address alone is that of a server in cleartext.
/// let own: mtc_web::Prefix = "127.0.0.1:7778".parse()?;
/// assert_eq!(own.to_string(), "http://127.0.0.1:7778");
/// # Ok::<(), mtc_web::UrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    scheme: Scheme,
    authority: Authority,
    path: String,
}

/// Why a text is no such URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Another scheme.
    #[error("{0:?}: only http:// and https:// can be read")]
    Scheme(String),
    /// No host, no port where a colon is, or a user's name.
    #[error("{0:?} is not a host and a port")]
    Authority(String),
    /// A query, a fragment, or what no path has.
    #[error("{0:?} is not the path of a folder")]
    Path(String),
}

impl Prefix {
    /// Whether its server speaks TLS.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// `host:port`, the port of the scheme if none is named.
    pub fn address(&self) -> String {
        let port = if self.is_https() { 443 } else { 80 };
        let port = self.authority.port_u16().unwrap_or(port);
        format!("{}:{port}", self.authority.host())
    }

    /// The prefix one folder further down.
    #[must_use]
    pub fn join(mut self, folder: &str) -> Self {
        self.path.push('/');
        self.path.push_str(folder);
        self
    }

    /// The URL of an object below the prefix.
    pub fn url(&self, object: &str) -> String {
        format!("{self}/{object}")
    }

    pub(crate) fn uri(&self, object: &str) -> Result<Uri, hyper::http::Error> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}/{object}", self.path))
            .build()
    }
}

impl FromStr for Prefix {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Scheme::HTTP, rest),
            Some(("https", rest)) => (Scheme::HTTPS, rest),
            Some((other, _)) => return Err(UrlError::Scheme(other.to_owned())),
            None => (Scheme::HTTP, text),
        };
        let rest = rest.trim_end_matches('/');
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) || path.contains(['?', '#']) {
            return Err(UrlError::Path(path.to_owned()));
        }
        let no_authority = || UrlError::Authority(authority.to_owned());
        let parsed: Authority = authority.parse().map_err(|_| no_authority())?;
        // A colon without a port is one that somebody forgot.
        let has_port = parsed.port_u16().is_some();
        let is_bare = parsed.as_str() == parsed.host();
        if parsed.host().is_empty() || authority.contains('@') || !(has_port || is_bare) {
            return Err(no_authority());
        }
        Ok(Self {
            scheme,
            authority: parsed,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

impl From<SocketAddr> for Prefix {
    /// A server in cleartext.
    fn from(addr: SocketAddr) -> Self {
        let authority = addr.to_string();
        Self {
            scheme: Scheme::HTTP,
            authority: authority.parse().expect("a socket address is an authority"),
            path: String::new(),
        }
    }
}

impl TryFrom<String> for Prefix {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_prefix_is_refused() {
        let refused = |text: &str| text.parse::<Prefix>().unwrap_err();
        assert!(matches!(refused("ftp://h/1"), UrlError::Scheme(_)));
        for url in ["", "http://", "http:///1/", "https://u@h/", "h:", "h:70000"] {
            assert!(matches!(refused(url), UrlError::Authority(_)), "{url}");
        }
        for url in ["http://h/1/?x", "http://h/#a", "http://h/a b"] {
            assert!(matches!(refused(url), UrlError::Path(_)), "{url}");
        }
    }

    #[test]
    fn a_port_that_is_not_named_is_that_of_the_scheme() {
        for (url, address) in [
            ("http://h", "h:80"),
            ("https://[::1]/x", "[::1]:443"),
            ("https://[::1]:8443", "[::1]:8443"),
            ("h:7778", "h:7778"),
        ] {
            assert_eq!(url.parse::<Prefix>().unwrap().address(), address);
        }
    }
}
