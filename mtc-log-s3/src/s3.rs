//! Where a bucket is and who asks, and the requests to it over this project's HTTP and TLS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt as _, Full, Limited};
use mtc_web::{Connections, HttpError as WebError, connections, trust_of_the_system};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use rustls::ClientConfig;
use thiserror::Error;
use tokio::time::timeout;

use crate::location::Location;
use crate::objects::MAX_OBJECT;
use crate::store::Store;

/// How long one attempt of a request may take. The largest object, 16 MiB, takes it at 14 Mbit/s.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How attempts are repeated after errors that pass: refused connections, 5xx, 429. None begins after 15 s, so that with the last one
/// a request is over in 25 s: before a lease ends that was renewed when it began.
const ATTEMPTS: RetryConfig = RetryConfig {
    backoff: BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(3),
        base: 2.0,
    },
    max_retries: 8,
    retry_timeout: Duration::from_secs(15),
};
/// Octets of an answer: an object, or a list of a thousand names.
const MAX_ANSWER: usize = MAX_OBJECT as usize;

/// Who asks.
#[derive(Clone)]
pub enum Credentials {
    /// Whoever the environment says, as for Amazon's own tools: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, with
    /// `AWS_SESSION_TOKEN`; a web identity (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`); a container's role; a machine's role.
    Environment,
    /// These.
    Key {
        /// The access key's ID.
        id: String,
        /// Its secret.
        secret: String,
        /// The token of a session, for keys that pass.
        session_token: Option<String>,
    },
}

/// Why there is no client for a bucket.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A setting, or the environment, names something that is none.
    #[error("the object store's settings")]
    Settings(#[from] object_store::Error),
    /// TLS.
    #[error(transparent)]
    Web(#[from] WebError),
    /// No thread for the requests.
    #[error(transparent)]
    Thread(#[from] mtc_log::StorageError),
}

/// A client for what is stored at a location. Asks for nothing yet.
///
/// # Errors
/// What was given, or is in the environment, is not what a client can be made of.
pub fn connect(location: &Location, credentials: &Credentials) -> Result<Store, ConnectError> {
    let builder = match credentials {
        Credentials::Environment => AmazonS3Builder::from_env(),
        Credentials::Key {
            id,
            secret,
            session_token,
        } => {
            let builder = AmazonS3Builder::new()
                .with_access_key_id(id)
                .with_secret_access_key(secret);
            match session_token {
                Some(token) => builder.with_token(token),
                None => builder,
            }
        }
    };
    let mut builder = builder
        .with_bucket_name(&location.bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(ATTEMPTS);
    if let Some(region) = &location.region {
        builder = builder.with_region(region);
    }
    let mut is_https = true;
    if let Some(endpoint) = &location.endpoint {
        is_https = endpoint.starts_with("https:");
        builder = builder
            .with_config(AmazonS3ConfigKey::S3Endpoint, endpoint)
            .with_allow_http(!is_https);
    }
    let tls = trust_of_the_system(is_https)?;
    let store = builder.with_http_connector(Web { tls }).build()?;
    Ok(Store::new(
        Arc::new(store),
        &location.prefix,
        location.to_string(),
    )?)
}

/// Makes clients that trust whom the system trusts.
#[derive(Debug)]
struct Web {
    tls: ClientConfig,
}

impl HttpConnector for Web {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let connections = connections(self.tls.clone(), ATTEMPT);
        Ok(HttpClient::new(Requests(connections)))
    }
}

/// Makes single attempts of requests.
#[derive(Debug)]
struct Requests(Connections);

#[async_trait]
impl HttpService for Requests {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        timeout(ATTEMPT, self.attempt(request))
            .await
            .unwrap_or_else(|late| Err(HttpError::new(HttpErrorKind::Timeout, late)))
    }
}

impl Requests {
    async fn attempt(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let request = hyper::Request::from_parts(head, Full::new(body));
        let answer = self.0.request(request).await.map_err(|error| {
            let kind = if error.is_connect() {
                HttpErrorKind::Connect
            } else {
                HttpErrorKind::Request
            };
            HttpError::new(kind, error)
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body
            .map_err(|error| HttpError::new(HttpErrorKind::Interrupted, io::Error::other(error)))?;
        let body = HttpResponseBody::from(body.to_bytes());
        Ok(HttpResponse::from_parts(head, body))
    }
}
