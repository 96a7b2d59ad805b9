//! A log below a URL.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use mtc_web::{Client, HttpError};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{PlaceError, ReadError};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where a log is served.
#[derive(Debug)]
pub(super) struct Http {
    runtime: Handle,
    client: Client,
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
        let log = url.strip_suffix("/checkpoint").unwrap_or(url);
        let prefix = log.parse().map_err(|source| PlaceError::Url {
            url: url.to_owned(),
            source,
        })?;
        let client = Client::new(prefix, TIMEOUT).map_err(PlaceError::Http)?;
        Ok(Self {
            runtime,
            client,
            stopped: watch::Sender::new(false),
        })
    }

    pub(super) fn stop(&self) -> Stop {
        Stop(self.stopped.clone())
    }

    pub(super) fn url(&self, object: &str) -> String {
        self.client.prefix().url(object)
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
        let bound = usize::try_from(limit).unwrap_or(usize::MAX);
        let answer = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => return Err(ReadError::Stopped),
            answer = self.client.file(object, bound) => answer,
        };
        match answer {
            Ok(body) => Ok(Some(body.into())),
            Err(HttpError::Status(StatusCode::NOT_FOUND)) => Ok(None),
            Err(HttpError::TooLong(_)) => Err(ReadError::TooLong {
                object: self.url(object),
                limit,
            }),
            Err(source) => Err(ReadError::Fetch {
                url: self.url(object),
                source,
            }),
        }
    }
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
        let refused = Http::new("http://h/1/?x", Handle::current());
        assert!(matches!(refused, Err(PlaceError::Url { .. })));
    }
}
