//! What the SCP tells Prometheus as a witness, beyond what every network function does.

use std::future::Future;
use std::time::Instant;

use mtc_log::WitnessStore;
use prometheus::{HistogramVec, IntGauge};
use sbi::metrics::{Registry, unix_now};
use sbi::problem::Problem;
use sbi::response::Response;

/// The metrics of the witness.
pub struct WitnessMetrics {
    duration: HistogramVec,
    checkpoint_entries: IntGauge,
    checkpoint_since: IntGauge,
}

impl WitnessMetrics {
    /// Adds them to `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            checkpoint_entries: registry.gauge(
                "mtc_witness_checkpoint_entries",
                "Entries under the largest checkpoint that this witness has cosigned.",
            ),
            duration: registry.times(
                "mtc_cosigning_duration_seconds",
                "Time of this witness's answers.",
                &[
                    ("request", "`add-checkpoint`, `sign-subtree`"),
                    ("status", "HTTP status"),
                ],
            ),
            checkpoint_since: registry.gauge(
                "mtc_witness_checkpoint_timestamp_seconds",
                "Unix time at which this process last cosigned a checkpoint; 0 for never.",
            ),
        }
    }

    /// Shows what the witness has cosigned.
    pub fn show(&self, store: &WitnessStore) {
        let entries = i64::try_from(store.largest().0).unwrap_or(i64::MAX);
        self.checkpoint_entries.set(entries);
    }

    /// Counts a request that `answering` answers.
    pub(crate) async fn count(
        &self,
        request: &str,
        answering: impl Future<Output = Result<Response, Problem>>,
    ) -> Result<Response, Problem> {
        let started = Instant::now();
        let answer = answering.await;
        let status = match &answer {
            Ok(response) => response.status,
            Err(problem) => problem.status,
        };
        self.duration
            .with_label_values(&[request, status.as_str()])
            .observe(started.elapsed().as_secs_f64());
        answer
    }

    /// Shows that the witness has just cosigned a checkpoint.
    pub(crate) fn cosigned_checkpoint(&self, store: &WitnessStore) {
        self.show(store);
        self.checkpoint_since.set(unix_now());
    }
}
