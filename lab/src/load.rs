//! The load generator: operations arrive when the schedule says so, whatever became of the ones before.
//!
//! ```text
//!  Schedule ──> pacer ──arrival──> engine ──spawns──> Operation::run ──Outcome──> ClientTotals ──> LoadResult
//!                        at its      │ in flight < max, else dropped                latency = end - intended start
//!                        intended    └ queueing = actual start - intended start
//!                        time
//! ```
//!
//! The load is open-loop unless the plan says `closed`: a slow server meets the same arrivals as a fast one, and the time an operation waited to be
//! started is part of its latency, so nothing is left out when the system stalls (coordinated omission). The engine runs
//! in the AMF's process; [`LoadResult`] travels to the `mtc5g` process as JSON.

mod engine;
mod metrics;
mod pacer;
mod schedule;
pub mod worker;

use std::fmt;
use std::time::Duration;

use mtc_tls::handshake::HandshakeCost;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::measure::{ClientTotals, Histogram};

pub use engine::{Engine, Observer, Phase, Progress};
pub use metrics::LoadMetrics;
pub use pacer::Pacer;
pub(crate) use schedule::SplitMix64;
pub use schedule::{Arrival, Schedule, Shard, UnknownShard};

/// What an arrival does; implemented by the network function that generates the load.
pub trait Operation: Send + Sync + 'static {
    /// Does it once. Dropping the future abandons the operation: its connections close.
    fn run(&self, arrival: &Arrival) -> impl Future<Output = Outcome> + Send;

    /// Nothing of the warm-up runs any more: completes when whoever counts has taken readings, and the measured part may begin.
    fn settled(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// What became of one operation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The handshakes that this operation completed as a client, in order, also when it failed later.
    pub handshakes: Vec<HandshakeCost>,
    /// Whether the operation did what it was for.
    pub result: Result<(), Failure>,
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {cause}")]
pub struct Failure {
    /// The step that failed.
    pub class: FailureClass,
    /// One line without addresses, ports or identifiers, so that equal failures count together.
    pub cause: String,
}

/// The step of an operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureClass {
    /// TCP connect.
    Connect,
    /// TLS handshake, ours or the peer's alert.
    Tls,
    /// HTTP/2: a broken connection or stream, or a status other than the expected.
    Http,
    /// The procedure: an answer that breaks the 3GPP rules, a callback that did not come.
    Application,
    /// Not finished in time.
    Timeout,
}

impl FailureClass {
    /// The name in results and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Application => "application",
            Self::Timeout => "timeout",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one load generator saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadResult {
    /// When the first arrival, warm-up included, was intended.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// When the last operation had ended.
    #[serde(with = "time::serde::rfc3339")]
    pub ended: OffsetDateTime,
    /// Whether arrivals were stopped before the schedule's end.
    pub interrupted: bool,
    /// How late operations were started, measured arrivals only: the generator's own fault, part of every latency.
    pub lateness: Histogram,
    /// What the generator itself used in the measured part.
    pub generator: GeneratorUse,
    /// One for each variant, in the scenario's order.
    pub variants: Vec<ClientTotals>,
}

/// What load generators used in the measured part; sums over all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorUse {
    /// CPU time of their processes, the servers of their network functions included.
    pub cpu: Duration,
    /// How long they measured.
    pub wall: Duration,
}

impl GeneratorUse {
    /// Processors that a generator kept busy, on average; none when nothing was measured.
    pub fn processors(&self) -> Option<f64> {
        let busy = self.cpu.as_secs_f64() / self.wall.as_secs_f64();
        busy.is_finite().then_some(busy)
    }

    /// The share of a machine's processors that a generator kept busy; none when nothing was measured.
    pub fn share(&self, cores: usize) -> Option<f64> {
        Some(self.processors()? / cores.max(1) as f64)
    }

    /// The same in words, with what an operation took of it.
    pub fn told(&self, generators: u32, operations: u64, cores: usize) -> String {
        let who = if generators == 1 {
            "the load generator"
        } else {
            "each load generator"
        };
        let busy = self.processors().unwrap_or_default();
        let share = self.share(cores).unwrap_or_default() * 100.0;
        let each = self.cpu.as_secs_f64() * 1e6 / operations.max(1) as f64;
        format!(
            "{who} kept {busy:.2} of {cores} processors busy ({share:.0} %), {each:.0} µs of its CPU time per operation"
        )
    }
}

impl LoadResult {
    /// Adds what another generator saw in the same run, variant by variant.
    ///
    /// # Errors
    ///
    /// [`VariantMismatch`] when the other ran another number of variants; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<(), VariantMismatch> {
        let Self {
            started,
            ended,
            interrupted,
            lateness,
            generator,
            variants,
        } = other;
        if variants.len() != self.variants.len() {
            return Err(VariantMismatch {
                expected: self.variants.len(),
                found: variants.len(),
            });
        }
        self.started = self.started.min(*started);
        self.ended = self.ended.max(*ended);
        self.interrupted |= interrupted;
        self.lateness.merge(lateness);
        self.generator.cpu += generator.cpu;
        self.generator.wall += generator.wall;
        self.variants
            .iter_mut()
            .zip(variants)
            .for_each(|(mine, theirs)| mine.merge(theirs));
        Ok(())
    }
}

/// Two parts of a run do not speak of the same variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a result has {found} variants, expected {expected}")]
pub struct VariantMismatch {
    /// Variants of the scenario.
    pub expected: usize,
    /// Variants of the other result.
    pub found: usize,
}
