//! The landmarks of the mirrored logs: asked for again and again, since no entry tells of them.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use mtc_core::causes::Causes;
use mtc_core::id::LogId;
use mtc_log::{LandmarkCopyError, MirrorStore};
use mtc_web::{Client, HttpError};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::metrics::MirrorMetrics;

/// Longest landmarks document in octets: 4097 lines of two numbers of 20 digits.
const MAX_DOCUMENT: usize = 256 * 1024;

/// Why landmarks were not copied.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error("cannot get the landmarks of log {}", log.id())]
    Fetch { log: LogId, source: HttpError },
    #[error("the landmarks of log {} are not kept", log.id())]
    Refused {
        log: LogId,
        source: LandmarkCopyError,
    },
}

/// Copies landmarks for ever. A failure is told once until it has passed.
pub(crate) async fn keep_copying(
    store: Arc<MirrorStore>,
    log: Client,
    interval: Duration,
    metrics: MirrorMetrics,
) {
    let mut told = None;
    loop {
        let mut failure = None;
        for (id, progress) in store.progress() {
            if progress.mirrored.0 == 0 {
                continue;
            }
            let copied = copy(&store, &log, id).await;
            metrics.copied_landmarks(match &copied {
                Ok(true) => "new",
                Ok(false) => "unchanged",
                Err(_) => "failed",
            });
            failure = copied
                .err()
                .map(|error| Causes(&error).to_string())
                .or(failure);
        }
        if failure != told {
            if let Some(error) = &failure {
                tracing::warn!(error, "landmarks are not copied");
            }
            told = failure;
        }
        sleep(interval).await;
    }
}

/// Copies the landmarks of a log; whether they are other ones than before.
async fn copy(store: &Arc<MirrorStore>, client: &Client, log: LogId) -> Result<bool, CopyError> {
    let object = format!("{}/landmarks", log.number());
    let document = match client.file(&object, MAX_DOCUMENT).await {
        Ok(document) => document,
        // A log has none at first; one that was retired and cannot be read is gone.
        Err(HttpError::Status(StatusCode::NOT_FOUND | StatusCode::GONE)) => return Ok(false),
        Err(source) => return Err(CopyError::Fetch { log, source }),
    };
    let store = Arc::clone(store);
    let kept = spawn_blocking(move || store.copy_landmarks(&log, &document)).await;
    match kept {
        // The log is a moment ahead.
        Ok(Err(LandmarkCopyError::Beyond { .. })) => Ok(false),
        Ok(kept) => kept.map_err(|source| CopyError::Refused { log, source }),
        // The runtime is going down.
        Err(_) => Ok(false),
    }
}
