//! Where the logs of a CA are served: `<prefix>/<log number>/<object>`.

use bytes::Bytes;
use hyper::http::HeaderValue;
use mtc_core::id::LogNumber;
use mtc_web::{Client, Prefix, Tagged};

use super::{TIMEOUT, TrustError};
use crate::client::MAX_BODY;

/// The server of a CA's logs.
pub(super) struct LogSource(Client);

impl LogSource {
    /// # Errors
    /// [`TrustError::Client`].
    pub(super) fn new(prefix: Prefix) -> Result<Self, TrustError> {
        Client::new(prefix, TIMEOUT)
            .map(Self)
            .map_err(TrustError::Client)
    }

    /// Gets an object of a log.
    ///
    /// # Errors
    /// [`TrustError::Fetch`].
    pub(super) async fn fetch(&self, log: LogNumber, object: &str) -> Result<Bytes, TrustError> {
        let file = self.fetch_unless(log, object, None).await?;
        Ok(file.map(|file| file.bytes).unwrap_or_default())
    }

    /// As [`Self::fetch`]; none if the object is still the one with this tag.
    ///
    /// # Errors
    /// [`TrustError::Fetch`].
    pub(super) async fn fetch_unless(
        &self,
        log: LogNumber,
        object: &str,
        tag: Option<&HeaderValue>,
    ) -> Result<Option<Tagged>, TrustError> {
        let path = format!("{log}/{object}");
        let fetched = self.0.file_unless(&path, MAX_BODY, tag).await;
        fetched.map_err(|source| TrustError::Fetch {
            url: self.0.prefix().url(&path),
            source,
        })
    }
}
