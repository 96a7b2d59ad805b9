//! What a mirror tells Prometheus, beyond what every process does.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use hyper::StatusCode;
use mtc_log::{MirrorProgress, MirrorStore};
use prometheus::{HistogramVec, IntCounterVec, IntGauge};
use sbi::metrics::{Registry, unix_now};

/// The metrics of the mirror. Clones share them.
#[derive(Clone)]
pub struct MirrorMetrics {
    duration: HistogramVec,
    pending: IntGauge,
    stored: IntGauge,
    mirrored: IntGauge,
    mirrored_since: IntGauge,
    landmark_copies: IntCounterVec,
}

impl MirrorMetrics {
    /// Adds them to `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            duration: registry.times(
                "mtc_mirror_request_duration_seconds",
                "Time of this mirror's answers, for `add-entries` from the first octet of the body to the last.",
                &[
                    ("request", "`add-checkpoint`, `add-entries`, `sign-subtree`"),
                    ("status", "HTTP status"),
                ],
            ),
            pending: registry.gauge(
                "mtc_mirror_pending_entries",
                "Entries under the newest checkpoint that this mirror has been told of, of the newest log.",
            ),
            stored: registry.gauge(
                "mtc_mirror_stored_entries",
                "Entries that this mirror has stored of the newest log.",
            ),
            mirrored: registry.gauge(
                "mtc_mirror_checkpoint_entries",
                "Entries under the checkpoint that this mirror has cosigned last, of the newest log.",
            ),
            mirrored_since: registry.gauge(
                "mtc_mirror_checkpoint_timestamp_seconds",
                "Unix time at which this process last cosigned a checkpoint; 0 for never.",
            ),
            landmark_copies: registry.counters(
                "mtc_mirror_landmark_copies_total",
                "Looks at a log's landmarks.",
                &[(
                    "result",
                    "`new` (copied), `unchanged`, `failed` (not to be had, or not to be kept)",
                )],
            ),
        }
    }

    /// Shows how far the newest log is.
    pub fn show(&self, store: &MirrorStore) {
        let newest = store
            .progress()
            .into_iter()
            .max_by_key(|(log, _)| log.number().get());
        let Some((_, progress)) = newest else {
            return;
        };
        let MirrorProgress {
            pending,
            stored,
            mirrored,
        } = progress;
        for (gauge, size) in [
            (&self.pending, pending),
            (&self.stored, stored),
            (&self.mirrored, mirrored),
        ] {
            gauge.set(i64::try_from(size.0).unwrap_or(i64::MAX));
        }
    }

    /// Counts a request that `answering` answers, and shows what it has changed.
    pub(crate) async fn count<T>(
        &self,
        request: &str,
        store: &Arc<MirrorStore>,
        status: impl Fn(&T) -> StatusCode,
        answering: impl Future<Output = T>,
    ) -> T {
        let started = Instant::now();
        let answer = answering.await;
        let status = status(&answer);
        self.duration
            .with_label_values(&[request, status.as_str()])
            .observe(started.elapsed().as_secs_f64());
        self.show(store);
        answer
    }

    /// Shows that a checkpoint has just been cosigned.
    pub(crate) fn mirrored_checkpoint(&self) {
        self.mirrored_since.set(unix_now());
    }

    /// Counts a look at a log's landmarks.
    pub(crate) fn copied_landmarks(&self, result: &str) {
        self.landmark_copies.with_label_values(&[result]).inc();
    }
}
