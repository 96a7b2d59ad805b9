//! Where the logs of a CA are served: `<address>/<log number>/<object>`, over a connection that is kept. It is HTTP/1.1, which the
//! NRF's public port speaks as well as every server of static files.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_ENCODING, HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use mtc_core::id::LogNumber;
use mtc_log::encoding::decoded;
use tokio::time::timeout;

use super::{TIMEOUT, TrustError};
use crate::address::Address;
use crate::client::{ClientError, MAX_BODY, connect_tcp, successful, whole};
use crate::response::Response;

/// The server of a CA's logs.
pub(super) struct LogSource {
    address: Address,
    connection: Option<SendRequest<Empty<Bytes>>>,
}

impl LogSource {
    pub(super) const fn new(address: Address) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    /// Gets an object of a log.
    ///
    /// # Errors
    /// [`TrustError::Fetch`], [`TrustError::Encoding`].
    pub(super) async fn fetch(
        &mut self,
        log: LogNumber,
        object: &str,
    ) -> Result<Bytes, TrustError> {
        let path = format!("/{log}/{object}");
        let fetched = self.get(&path).await;
        let response = match fetched {
            Ok(response) => response,
            Err(source) => {
                return Err(TrustError::Fetch {
                    address: self.address.clone(),
                    path,
                    source,
                });
            }
        };
        let encodings = response.headers.get_all(CONTENT_ENCODING);
        let encodings = encodings.iter().map(HeaderValue::as_bytes);
        let body = decoded(encodings, response.body, MAX_BODY);
        body.map_err(|source| TrustError::Encoding {
            address: self.address.clone(),
            path,
            source,
        })
    }

    async fn get(&mut self, path: &str) -> Result<Response, ClientError> {
        // Servers close connections on which nothing happens, perhaps while a request is on its way.
        if let Some(kept) = self.connection.take() {
            match self.ask(kept, path).await {
                Err(ClientError::Http1(_)) => {}
                answered => return answered,
            }
        }
        let stream = connect_tcp(self.address.resolve().await?, TIMEOUT).await?;
        let connected = http1::handshake(TokioIo::new(stream)).await;
        let (connection, driver) = connected.map_err(ClientError::Http1)?;
        tokio::spawn(async move {
            // Whoever asks over it hears of the failure.
            let _ = driver.await;
        });
        self.ask(connection, path).await
    }

    /// One request; whoever answers, even with a refusal, goes on answering.
    async fn ask(
        &mut self,
        mut connection: SendRequest<Empty<Bytes>>,
        path: &str,
    ) -> Result<Response, ClientError> {
        let authority = self.address.to_string();
        let request = Request::get(path)
            .header(HOST, &authority)
            .body(Empty::new());
        let request = request.map_err(|_| ClientError::Target {
            authority,
            path: path.to_owned(),
        })?;
        let exchange = async {
            connection.ready().await.map_err(ClientError::Http1)?;
            let answer = connection.send_request(request).await;
            whole(
                answer.map_err(ClientError::Http1)?,
                MAX_BODY,
                ClientError::Http1,
            )
            .await
        };
        let answered = timeout(TIMEOUT, exchange).await;
        let response = answered.unwrap_or(Err(ClientError::Timeout(TIMEOUT)))?;
        self.connection = Some(connection);
        successful(response)
    }
}
