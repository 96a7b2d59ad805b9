//! A log over cleartext HTTP/1.1: what the NRF speaks on the log's port, and every server of static files.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use sbi::uri::{ApiRoot, Scheme};
use thiserror::Error;
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{PlaceError, ReadError};

/// How long a connection, and then an answer, may take.
const TIMEOUT: Duration = Duration::from_secs(10);
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
    #[error("http failed; is this the port of the log, and not one that speaks TLS?")]
    Http(#[from] hyper::Error),
    /// The answer is longer than any object of its kind.
    #[error("the answer is longer than {0} bytes")]
    TooLong(u64),
    /// The server refused.
    #[error("status {0}")]
    Status(StatusCode),
}

/// Where a log is served, and idle connections to it.
#[derive(Debug)]
pub(super) struct Http {
    runtime: Handle,
    authority: String,
    /// Path of the log: `/1`, without a slash at its end.
    prefix: String,
    /// Held for a push or a pop only.
    idle: Mutex<Vec<SendRequest<Empty<Bytes>>>>,
    connections: Semaphore,
    stopped: watch::Sender<bool>,
}

/// Ends the reads of a log.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// Reads under way and all later ones fail with [`ReadError::Stopped`].
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Http {
    /// The log at a URL. The URL of its checkpoint, which a lab prints, is taken for the log's.
    pub(super) fn new(url: &str, runtime: Handle) -> Result<Self, PlaceError> {
        let trimmed = url.strip_suffix("/checkpoint").unwrap_or(url);
        let trimmed = trimmed.trim_end_matches('/');
        let root: ApiRoot = trimmed.parse().map_err(|source| PlaceError::Url {
            url: url.to_owned(),
            source,
        })?;
        Ok(Self {
            runtime,
            authority: root.authority().to_owned(),
            prefix: root.prefix().to_owned(),
            idle: Mutex::default(),
            connections: Semaphore::new(MAX_CONNECTIONS),
            stopped: watch::Sender::new(false),
        })
    }

    pub(super) fn stop(&self) -> Stop {
        Stop(self.stopped.clone())
    }

    pub(super) fn url(&self, object: &str) -> String {
        format!("http://{}{}/{object}", self.authority, self.prefix)
    }

    pub(super) fn get(&self, object: &str, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
        self.runtime.block_on(self.fetch(object, limit))
    }

    /// All objects, each with the length of the longest of its kind, in their order, several at a time.
    pub(super) fn get_all(
        self: &Arc<Self>,
        objects: Vec<(String, u64)>,
    ) -> Vec<Result<Option<Vec<u8>>, ReadError>> {
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for (position, (object, limit)) in objects.into_iter().enumerate() {
                let http = Arc::clone(self);
                tasks.spawn(async move { (position, http.fetch(&object, limit).await) });
            }
            let mut answers = tasks.join_all().await;
            answers.sort_by_key(|(position, _)| *position);
            answers.into_iter().map(|(_, answer)| answer).collect()
        })
    }

    async fn fetch(&self, object: &str, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let mut stopped = self.stopped.subscribe();
        let answer = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => return Err(ReadError::Stopped),
            answer = self.exchange(object, limit) => answer,
        };
        match answer {
            Ok(body) => Ok(Some(body.into())),
            Err(HttpError::Status(StatusCode::NOT_FOUND)) => Ok(None),
            Err(HttpError::TooLong(limit)) => Err(ReadError::TooLong {
                object: self.url(object),
                limit,
            }),
            Err(source) => Err(ReadError::Fetch {
                url: self.url(object),
                source,
            }),
        }
    }

    /// Asks over an idle connection, and over a new one when that turns out to be closed: servers close idle ones.
    async fn exchange(&self, object: &str, limit: u64) -> Result<Bytes, HttpError> {
        // The semaphore is never closed.
        let _slot = self.connections.acquire().await;
        while let Some(idle) = self.take_idle() {
            match self.ask(idle, object, limit).await {
                Err(HttpError::Http(_)) => {}
                answer => return answer,
            }
        }
        self.ask(self.connect().await?, object, limit).await
    }

    fn take_idle(&self) -> Option<SendRequest<Empty<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop()
    }

    /// One request; the connection is kept if it can be used again.
    async fn ask(
        &self,
        mut connection: SendRequest<Empty<Bytes>>,
        object: &str,
        limit: u64,
    ) -> Result<Bytes, HttpError> {
        let request = Request::get(format!("{}/{object}", self.prefix))
            .header(HOST, &self.authority)
            .body(Empty::new())?;
        let exchange = async {
            connection.ready().await?;
            let (head, body) = connection.send_request(request).await?.into_parts();
            let body = Limited::new(body, limit as usize).collect().await;
            let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
                Ok(error) => HttpError::Http(*error),
                Err(error) => {
                    debug_assert!(error.is::<LengthLimitError>());
                    HttpError::TooLong(limit)
                }
            })?;
            Ok::<_, HttpError>((head.status, body.to_bytes()))
        };
        let (status, body) = timeout(TIMEOUT, exchange)
            .await
            .map_err(|_| HttpError::Timeout(TIMEOUT))??;
        if !connection.is_closed() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(connection);
        }
        if status == StatusCode::OK {
            Ok(body)
        } else {
            Err(HttpError::Status(status))
        }
    }

    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>, HttpError> {
        let addresses = if has_port(&self.authority) {
            lookup_host(self.authority.clone()).await
        } else {
            let port = Scheme::Http.default_port();
            lookup_host(format!("{}:{port}", self.authority)).await
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

    #[tokio::test]
    async fn every_spelling_of_a_logs_url_is_understood() {
        for url in [
            "http://127.0.0.1:7778/1",
            "http://127.0.0.1:7778/1/",
            "http://127.0.0.1:7778/1/checkpoint",
        ] {
            let http = Http::new(url, Handle::current()).unwrap();
            assert_eq!(http.url("landmarks"), "http://127.0.0.1:7778/1/landmarks");
        }
        for url in ["http://", "http:///1/", "http://a b/1/", "http://h/1/?x"] {
            assert!(
                matches!(
                    Http::new(url, Handle::current()),
                    Err(PlaceError::Url { .. })
                ),
                "{url}"
            );
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
}
