//! Where the logs of a CA are served: `<prefix>/<log number>/<object>`.

use bytes::Bytes;
use mtc_core::id::LogNumber;
use mtc_web::{Client, Prefix};

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
        let path = format!("{log}/{object}");
        let fetched = self.0.file(&path, MAX_BODY).await;
        fetched.map_err(|source| TrustError::Fetch {
            url: self.0.prefix().url(&path),
            source,
        })
    }
}
