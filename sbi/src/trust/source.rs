//! Where the logs of a CA are served: `<prefix>/<log number>/<object>`.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hyper::http::HeaderValue;
use mtc_core::id::LogNumber;
use mtc_web::{Client, Prefix, Tagged};

use super::{TIMEOUT, TrustError};
use crate::client::MAX_BODY;

/// The server of a CA's logs.
pub(super) struct LogSource {
    client: Client,
    /// Octets of what was fetched.
    fetched: AtomicU64,
}

impl LogSource {
    /// # Errors
    /// [`TrustError::Client`].
    pub(super) fn new(prefix: Prefix) -> Result<Self, TrustError> {
        let client = Client::new(prefix, TIMEOUT).map_err(TrustError::Client)?;
        Ok(Self {
            client,
            fetched: AtomicU64::new(0),
        })
    }

    /// Octets of everything that was fetched, without headers.
    pub(super) fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
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
        let fetched = self.client.file_unless(&path, MAX_BODY, tag).await;
        if let Ok(Some(file)) = &fetched {
            let octets = file.bytes.len() as u64;
            self.fetched.fetch_add(octets, Ordering::Relaxed);
        }
        fetched.map_err(|source| TrustError::Fetch {
            url: self.client.prefix().url(&path),
            source,
        })
    }
}
