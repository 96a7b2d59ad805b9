//! How the load generator kept its schedule, and what an operation of each variant took of connections.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Latency;
use crate::load::GeneratorUse;
use crate::measure::{ClientTotals, Histogram, OperationTotals};

/// Share of a variant's operations that may be late; with more the figures are the generator's, not the servers'.
pub const MAX_LATE_SHARE: f64 = 0.01;

/// What the load generator did for one variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariantArrivals {
    /// From the intended start of an operation to its actual one; included in `operation_ms`.
    pub queueing_ms: Option<Latency>,
    /// The same as a histogram.
    pub queueing_histogram: Histogram,
    /// Operations that were started later than the run's `max_lateness_ms`.
    pub late: u64,
    /// Why the figures of this variant are no measurement; absent when they are.
    pub invalid: Option<String>,
    /// Handshakes that the generator completed for each operation: below 1 where connections are reused.
    pub handshakes_per_operation: Option<f64>,
    /// By operation, where arrivals differ in what they do.
    pub operations: BTreeMap<String, OperationResult>,
}

/// One operation of a mix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationResult {
    /// Operations that were started.
    pub attempts: u64,
    /// Operations that succeeded.
    pub ok: u64,
    /// From the intended start to the end.
    pub latency_ms: Option<Latency>,
    /// The same as a histogram.
    pub histogram: Histogram,
}

/// What the load generators used in the measured part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneratorResult {
    /// Generators; their processes serve their network functions too (an AMF is called back).
    pub generators: u32,
    /// CPU time of all, in seconds.
    pub cpu_seconds: f64,
    /// Processors that one kept busy, on average.
    pub processors: Option<f64>,
    /// Operations started later than this count as late, in milliseconds.
    pub max_lateness_ms: f64,
}

impl VariantArrivals {
    pub(super) fn of(load: &ClientTotals, max_lateness_ms: f64) -> Self {
        let ClientTotals {
            attempts,
            late,
            queueing,
            operations,
            handshakes,
            ..
        } = load;
        let too_many = *late as f64 > *attempts as f64 * MAX_LATE_SHARE;
        Self {
            queueing_ms: Latency::of(queueing),
            queueing_histogram: queueing.clone(),
            late: *late,
            invalid: too_many.then(|| {
                format!(
                    "the load generator started {late} of {attempts} operations more than {max_lateness_ms} ms late; at most \
                     {} % may be: is this machine busy with something else, or the rate too high for it?",
                    MAX_LATE_SHARE * 100.0
                )
            }),
            handshakes_per_operation: (*attempts > 0)
                .then(|| to_thousandth(handshakes.handshakes as f64 / *attempts as f64)),
            operations: operations
                .iter()
                .map(|(name, totals)| (name.clone(), OperationResult::of(totals)))
                .collect(),
        }
    }
}

impl OperationResult {
    fn of(totals: &OperationTotals) -> Self {
        Self {
            attempts: totals.attempts,
            ok: totals.ok,
            latency_ms: Latency::of(&totals.latency),
            histogram: totals.latency.clone(),
        }
    }
}

impl GeneratorResult {
    pub(super) fn new(generators: u32, used: &GeneratorUse, max_lateness_ms: f64) -> Self {
        Self {
            generators,
            cpu_seconds: to_thousandth(used.cpu.as_secs_f64()),
            processors: used.processors().map(to_thousandth),
            max_lateness_ms,
        }
    }
}

fn to_thousandth(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
