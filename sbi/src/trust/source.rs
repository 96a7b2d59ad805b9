//! Where the logs of a CA are served: `<address>/<log number>/<object>`, over a connection that is kept.

use bytes::Bytes;
use hyper::Method;
use hyper::header::{CONTENT_ENCODING, HeaderValue};
use mtc_core::id::LogNumber;

use super::{TIMEOUT, TrustError};
use crate::address::Address;
use crate::client::{ClientError, Connection, MAX_BODY, Request};
use crate::response::Response;
use mtc_log::encoding::decoded;

/// The server of a CA's logs.
pub(super) struct LogSource {
    address: Address,
    connection: Option<Connection>,
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
        let connection = match self
            .connection
            .take()
            .filter(|connection| !connection.is_closed())
        {
            Some(connection) => connection,
            None => Connection::connect_cleartext(self.address.resolve().await?, TIMEOUT).await?,
        };
        let request = Request::new(Method::GET, self.address.to_string(), path);
        let answered = connection.call(request, TIMEOUT).await;
        // Whoever answers, even with a refusal, goes on answering.
        if matches!(answered, Ok(_) | Err(ClientError::Status { .. })) {
            self.connection = Some(connection);
        }
        answered
    }
}
