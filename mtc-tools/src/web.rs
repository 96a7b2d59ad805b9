//! Files below a URL, over cleartext HTTP/1.1: what the NRF speaks on its public port, and every server of static files.
//!
//! ```text
//! WebFolder::get("tile/0/000") ──> an idle connection, or a new one ──> GET <prefix>/tile/0/000 ──> bytes, bounded
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_ENCODING, HOST, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use mtc_log::encoding::{EncodingError, decoded, is_encoded};
use thiserror::Error;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The port of `http` where none is named.
const PORT: u16 = 80;
/// How long a connection, and then an answer, may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Octets that gzip may add to what it cannot compress: 18 of its header and trailer, a name, and 5 a block of 64 kB of the longest file.
const GZIP_OVERHEAD: u64 = 16 * 1024;
/// Connections at a time: enough to hide a round trip, few enough for a server of files.
const MAX_CONNECTIONS: usize = 8;

/// Why a request has no answer that can be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// No TCP connection.
    #[error("cannot connect to {addr}")]
    Connect {
        /// Where to.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The host has no address.
    #[error("the host has no address")]
    Address(#[source] io::Error),
    /// Host or path cannot be part of a request.
    #[error("not a request target")]
    Target(#[from] hyper::http::Error),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection failed, or what it carried is not HTTP.
    #[error("http failed; is this a port that speaks TLS?")]
    Http(#[from] hyper::Error),
    /// The answer is longer than any file of its kind.
    #[error("the answer is longer than {0} bytes")]
    TooLong(u64),
    /// The answer is in an encoding that cannot be decoded.
    #[error(transparent)]
    Encoding(EncodingError),
    /// The server refused.
    #[error("status {0}")]
    Status(StatusCode),
}

/// Why a URL is none that files are read at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Another scheme, or none.
    #[error("files can be read over http:// only")]
    Scheme,
    /// No host, no port where a colon is, or a user's name.
    #[error("no host and port after http://")]
    Authority,
    /// A query, a fragment, or what no path has.
    #[error("the part after host and port is not the path of a folder")]
    Path,
}

/// A folder of files that a server has, and idle connections to it.
#[derive(Debug)]
pub struct WebFolder {
    authority: String,
    /// Path of the folder: `/1`, without a slash at its end.
    prefix: String,
    /// Held for a push or a pop only.
    idle: Mutex<Vec<SendRequest<Empty<Bytes>>>>,
    connections: Semaphore,
}

impl WebFolder {
    /// The folder at a URL, `http://host:port/1` with or without a slash at its end. Whether a server answers is seen on the
    /// first read.
    ///
    /// # Errors
    /// It is no such URL.
    pub fn new(url: &str) -> Result<Self, UrlError> {
        let rest = url.strip_prefix("http://").ok_or(UrlError::Scheme)?;
        let rest = rest.trim_end_matches('/');
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !prefix.bytes().all(|byte| byte.is_ascii_graphic()) || prefix.contains(['?', '#']) {
            return Err(UrlError::Path);
        }
        let parsed: Authority = authority.parse().map_err(|_| UrlError::Authority)?;
        if parsed.host().is_empty() || authority.contains('@') {
            return Err(UrlError::Authority);
        }
        Ok(Self {
            authority: authority.to_owned(),
            prefix: prefix.to_owned(),
            idle: Mutex::default(),
            connections: Semaphore::new(MAX_CONNECTIONS),
        })
    }

    /// The URL of a file.
    pub fn url(&self, file: &str) -> String {
        format!("http://{}{}/{file}", self.authority, self.prefix)
    }

    /// The bytes of a file, at most `limit`.
    ///
    /// # Errors
    /// No answer, or another status than 200.
    pub async fn get(&self, file: &str, limit: u64) -> Result<Bytes, HttpError> {
        // The semaphore is never closed.
        let _slot = self.connections.acquire().await;
        // Servers close idle connections.
        while let Some(idle) = self.take_idle() {
            match self.ask(idle, file, limit).await {
                Err(HttpError::Http(_)) => {}
                answer => return answer,
            }
        }
        self.ask(self.connect().await?, file, limit).await
    }

    fn take_idle(&self) -> Option<SendRequest<Empty<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop()
    }

    /// One request; the connection is kept if it can be used again.
    async fn ask(
        &self,
        mut connection: SendRequest<Empty<Bytes>>,
        file: &str,
        limit: u64,
    ) -> Result<Bytes, HttpError> {
        let request = Request::get(format!("{}/{file}", self.prefix))
            .header(HOST, &self.authority)
            .body(Empty::new())?;
        let exchange = async {
            connection.ready().await?;
            let (head, body) = connection.send_request(request).await?.into_parts();
            let encodings = head.headers.get_all(CONTENT_ENCODING);
            let most = if is_encoded(encodings.iter().map(HeaderValue::as_bytes)) {
                limit + GZIP_OVERHEAD
            } else {
                limit
            };
            let body = Limited::new(body, most as usize).collect().await;
            let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
                Ok(error) => HttpError::Http(*error),
                Err(error) => {
                    debug_assert!(error.is::<LengthLimitError>());
                    HttpError::TooLong(limit)
                }
            })?;
            Ok::<_, HttpError>((head.status, head.headers, body.to_bytes()))
        };
        let (status, headers, body) = timeout(TIMEOUT, exchange)
            .await
            .map_err(|_| HttpError::Timeout(TIMEOUT))??;
        if !connection.is_closed() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(connection);
        }
        if status == StatusCode::OK {
            let encodings = headers.get_all(CONTENT_ENCODING);
            let encodings = encodings.iter().map(HeaderValue::as_bytes);
            decoded(encodings, body, limit as usize).map_err(|error| match error {
                EncodingError::TooLong(_) => HttpError::TooLong(limit),
                error => HttpError::Encoding(error),
            })
        } else {
            Err(HttpError::Status(status))
        }
    }

    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>, HttpError> {
        let addresses = if has_port(&self.authority) {
            lookup_host(self.authority.clone()).await
        } else {
            lookup_host(format!("{}:{PORT}", self.authority)).await
        };
        let mut failure = HttpError::Address(io::ErrorKind::NotFound.into());
        for addr in addresses.map_err(HttpError::Address)? {
            match connect_to(addr).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

async fn connect_to(addr: SocketAddr) -> Result<SendRequest<Empty<Bytes>>, HttpError> {
    let stream = timeout(TIMEOUT, TcpStream::connect(addr))
        .await
        .map_err(|_| HttpError::Timeout(TIMEOUT))?
        .map_err(|source| HttpError::Connect { addr, source })?;
    // A request is one small write: it need not wait for an acknowledgement.
    stream
        .set_nodelay(true)
        .map_err(|source| HttpError::Connect { addr, source })?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // Whoever asks over it hears of the failure.
        let _ = connection.await;
    });
    Ok(sender)
}

/// Whether an authority ends in a port; the colons of an IPv6 address stand in brackets.
fn has_port(authority: &str) -> bool {
    authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_of_a_folder_is_refused() {
        for url in ["https://h/1", "http://", "http:///1/", "http://h/1/?x"] {
            assert!(WebFolder::new(url).is_err(), "{url}");
        }
    }

    #[test]
    fn ports_are_told_from_ipv6_addresses() {
        for (authority, port) in [
            ("h:80", true),
            ("h", false),
            ("[::1]", false),
            ("[::1]:80", true),
        ] {
            assert_eq!(has_port(authority), port, "{authority}");
        }
    }

    /// A server that gives every connection this answer.
    async fn serve(head: &'static str, body: Vec<u8>) -> WebFolder {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&body).await;
            }
        });
        WebFolder::new(&format!("http://{addr}/1")).unwrap()
    }

    // It was read as damage, though c2sp.org/tlog-tiles allows it without negotiation.
    #[tokio::test]
    async fn a_bundle_with_gzip_is_read_and_another_encoding_is_named() {
        use std::io::Write as _;
        let plain = [9; 5000];
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&plain).unwrap();
        let body = encoder.finish().unwrap();
        let gzip = "Content-Encoding: gzip\r\n";
        let folder = serve(gzip, body.clone()).await;
        assert_eq!(
            folder.get("tile/entries/000", 5000).await.unwrap(),
            &plain[..]
        );
        let long = folder.get("tile/entries/000", 4999).await.unwrap_err();
        assert!(matches!(long, HttpError::TooLong(4999)), "{long:?}");
        let folder = serve("Content-Encoding: zstd\r\n", body).await;
        let other = folder.get("tile/entries/000", 5000).await.unwrap_err();
        assert!(other.to_string().contains("\"zstd\""), "{other}");
    }
}
