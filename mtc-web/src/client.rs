//! Requests to one server, over connections that are kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH,
};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client as Pool};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use mtc_log::encoding::{EncodingError, decoded, is_encoded};
use rustls::crypto::aws_lc_rs;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::prefix::Prefix;

/// Octets that gzip may add to what it cannot compress: 18 of its header and trailer, a name, and 5 a block of 64 kB of the longest file.
const GZIP_OVERHEAD: usize = 16 * 1024;
/// Requests at a time: enough to hide a round trip, few enough for a server of files.
const MAX_REQUESTS: usize = 8;
/// How long a connection without requests is kept.
const IDLE: Duration = Duration::from_secs(60);

/// Why a request has no answer that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// No connection: the name has no address, nobody listens, or its certificate is not trusted.
    #[error("cannot connect to {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        source: Box<legacy::Error>,
    },
    /// The path cannot be part of a request.
    #[error("not a request target")]
    Target(#[from] hyper::http::Error),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection failed, or what it carried is not HTTP.
    #[error("http failed; does this port speak {}?", if *.https { "http instead of https" } else { "https" })]
    Http {
        /// Whether TLS was spoken.
        https: bool,
        /// Why.
        source: Box<legacy::Error>,
    },
    /// The answer ended before its end.
    #[error("the answer broke off")]
    Body(#[source] hyper::Error),
    /// The answer is longer than any of its kind.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The answer is in an encoding that cannot be decoded.
    #[error(transparent)]
    Encoding(EncodingError),
    /// The server refused.
    #[error("status {0}")]
    Status(StatusCode),
    /// The certificates that this system trusts cannot be read.
    #[error("cannot read the CA certificates that this system trusts")]
    Roots(#[source] std::io::Error),
}

/// A file, and what its server tells it from others of that name by (RFC 9110 section 8.8.3).
#[derive(Clone, Debug)]
pub struct Tagged {
    /// Its bytes, without their encoding.
    pub bytes: Bytes,
    /// Its `ETag`, if it has one.
    pub tag: Option<HeaderValue>,
}

/// What a server answered, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as it was sent.
    pub body: Bytes,
}

/// Connections that are kept, and opened as they are needed.
pub type Connections = Pool<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Connections to `http` servers, and to `https` servers that `tls` trusts, which names no ALPN protocols: those are chosen here. To be
/// opened, one may take `timeout`.
pub fn connections(tls: ClientConfig, timeout: Duration) -> Connections {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // A request is one small write: it need not wait for an acknowledgement.
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(timeout));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp);
    Pool::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_REQUESTS)
        .build(connector)
}

/// Asks for what is below a prefix. At most eight requests are under way at a time; further ones wait.
///
/// Certificates of `https` servers are verified against the CAs that the system trusts, or those in the file that `SSL_CERT_FILE` names.
#[derive(Debug)]
pub struct Client {
    prefix: Prefix,
    timeout: Duration,
    pool: Connections,
    slots: Semaphore,
}

impl Client {
    /// A client for what is below `prefix`; an answer may take `timeout`. Whether a server answers is seen on the first request.
    ///
    /// # Errors
    /// [`HttpError::Roots`], for `https` alone.
    pub fn new(prefix: Prefix, timeout: Duration) -> Result<Self, HttpError> {
        let tls = trust_of_the_system(prefix.is_https())?;
        Ok(Self::with_tls(prefix, timeout, tls))
    }

    /// As [`Client::new`], for `https` servers that `tls` trusts. It names no ALPN protocols: those are the client's.
    pub fn with_tls(prefix: Prefix, timeout: Duration, tls: ClientConfig) -> Self {
        Self {
            prefix,
            timeout,
            pool: connections(tls, timeout),
            slots: Semaphore::const_new(MAX_REQUESTS),
        }
    }

    /// Below what it asks.
    pub const fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// The bytes of a file, at most `limit`, without their encoding.
    ///
    /// # Errors
    /// No answer, or another status than 200.
    pub async fn file(&self, object: &str, limit: usize) -> Result<Bytes, HttpError> {
        self.file_for(None, object, limit).await
    }

    /// As [`Self::file`], for somebody who says who he is: `authorization` is the value of that header.
    ///
    /// # Errors
    /// As there.
    pub async fn file_for(
        &self,
        authorization: Option<HeaderValue>,
        object: &str,
        limit: usize,
    ) -> Result<Bytes, HttpError> {
        let header = authorization.map(|value| (AUTHORIZATION, value));
        let file = self.file_with(header, object, limit).await?;
        file.map(|file| file.bytes)
            .ok_or(HttpError::Status(StatusCode::NOT_MODIFIED))
    }

    /// As [`Self::file`]; none if it is still the one with this tag.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub async fn file_unless(
        &self,
        object: &str,
        limit: usize,
        tag: Option<&HeaderValue>,
    ) -> Result<Option<Tagged>, HttpError> {
        let header = tag.map(|tag| (IF_NONE_MATCH, tag.clone()));
        self.file_with(header, object, limit).await
    }

    /// None if the header asks for what is newer, and nothing is.
    async fn file_with(
        &self,
        header: Option<(HeaderName, HeaderValue)>,
        object: &str,
        limit: usize,
    ) -> Result<Option<Tagged>, HttpError> {
        let is_conditional = matches!(&header, Some((IF_NONE_MATCH, _)));
        let answer = self.get_with(header, object, limit).await?;
        if answer.status == StatusCode::NOT_MODIFIED && is_conditional {
            return Ok(None);
        }
        if answer.status != StatusCode::OK {
            return Err(HttpError::Status(answer.status));
        }
        let tag = answer.headers.get(ETAG).cloned();
        let encodings = answer.headers.get_all(CONTENT_ENCODING);
        let encodings = encodings.iter().map(HeaderValue::as_bytes);
        let bytes = decoded(encodings, answer.body, limit).map_err(|error| match error {
            EncodingError::TooLong(_) => HttpError::TooLong(limit),
            error => HttpError::Encoding(error),
        })?;
        Ok(Some(Tagged { bytes, tag }))
    }

    /// `GET`. The body is at most `limit` octets long, and what gzip adds.
    ///
    /// # Errors
    /// No answer.
    pub async fn get(&self, object: &str, limit: usize) -> Result<Answer, HttpError> {
        self.get_with(None, object, limit).await
    }

    async fn get_with(
        &self,
        header: Option<(HeaderName, HeaderValue)>,
        object: &str,
        limit: usize,
    ) -> Result<Answer, HttpError> {
        let ask = || async {
            let mut request = self.request(Method::GET, object, Bytes::new())?;
            request.headers_mut().extend(header.clone());
            self.ask(request, limit).await
        };
        match ask().await {
            // The server may have closed the connection while the request was on its way.
            Err(HttpError::Http { .. } | HttpError::Body(_)) => ask().await,
            answered => answered,
        }
    }

    /// `POST` of a body of type `content_type`. The answer is at most `limit` octets long.
    ///
    /// # Errors
    /// No answer; the request may have been carried out.
    pub async fn post(
        &self,
        object: &str,
        content_type: HeaderValue,
        body: impl Into<Bytes>,
        limit: usize,
    ) -> Result<Answer, HttpError> {
        let mut request = self.request(Method::POST, object, body.into())?;
        request.headers_mut().insert(CONTENT_TYPE, content_type);
        self.ask(request, limit).await
    }

    fn request(
        &self,
        method: Method,
        object: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, HttpError> {
        let uri = self.prefix.uri(object)?;
        Ok(Request::builder()
            .method(method)
            .uri(uri)
            .body(Full::new(body))?)
    }

    async fn ask(&self, request: Request<Full<Bytes>>, limit: usize) -> Result<Answer, HttpError> {
        // The semaphore is never closed.
        let _slot = self.slots.acquire().await;
        let exchange = async {
            let answer = self.pool.request(request).await;
            whole(answer.map_err(|error| self.failed(error))?, limit).await
        };
        timeout(self.timeout, exchange)
            .await
            .map_err(|_| HttpError::Timeout(self.timeout))?
    }

    fn failed(&self, source: legacy::Error) -> HttpError {
        let source = Box::new(source);
        if source.is_connect() {
            let address = self.prefix.address();
            return HttpError::Connect { address, source };
        }
        HttpError::Http {
            https: self.prefix.is_https(),
            source,
        }
    }
}

/// An answer with its body, of `limit` octets at most.
async fn whole(answer: hyper::Response<Incoming>, limit: usize) -> Result<Answer, HttpError> {
    let (head, body) = answer.into_parts();
    let encodings = head.headers.get_all(CONTENT_ENCODING);
    let most = if is_encoded(encodings.iter().map(HeaderValue::as_bytes)) {
        limit.saturating_add(GZIP_OVERHEAD)
    } else {
        limit
    };
    let body = Limited::new(body, most).collect().await;
    let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
        Ok(error) => HttpError::Body(*error),
        Err(error) => {
            debug_assert!(error.is::<LengthLimitError>());
            HttpError::TooLong(limit)
        }
    })?;
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: body.to_bytes(),
    })
}

/// Trust in the CAs that the system trusts, or those in the file that `SSL_CERT_FILE` names; in none where TLS is not spoken, as reading
/// them takes a while.
///
/// # Errors
/// [`HttpError::Roots`].
pub fn trust_of_the_system(is_https: bool) -> Result<ClientConfig, HttpError> {
    let mut roots = RootCertStore::empty();
    if is_https {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if let (true, Some(error)) = (roots.is_empty(), found.errors.into_iter().next()) {
            return Err(HttpError::Roots(std::io::Error::other(error)));
        }
    }
    trust_in(roots)
}

/// Trust in these CAs.
///
/// # Errors
/// [`HttpError::Roots`].
pub fn trust_in(roots: RootCertStore) -> Result<ClientConfig, HttpError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(std::io::Error::other)
        .map_err(HttpError::Roots)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
