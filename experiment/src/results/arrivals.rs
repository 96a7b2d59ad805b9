//! How the load generator kept its schedule, and what an operation of each variant took of connections.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Latency;
use super::rounding::to_thousandth;
use crate::measure::{ClientTotals, GeneratorUse, Histogram, OperationTotals};
use crate::scenario::Measure;

/// Share of a variant's operations that may be late; with more its latencies are the generator's, not the servers'.
const MAX_LATE_SHARE: f64 = 0.01;

/// Fewer late operations of a variant than this spoil nothing, whatever their share: one or two are chance.
const MIN_LATE: u64 = 3;

/// Share of the machine's processors that generators of a closed loop may keep busy; with more they are what the servers wait for, and
/// rates and latencies are theirs. A client does about half of a handshake's work and its own beside it, so the rest must be left to servers.
const MAX_GENERATOR_SHARE: f64 = 0.75;

/// By what the arrivals of a run are judged.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Judged {
    /// An open loop: by how late operations were started, in milliseconds.
    ByLateness(f64),
    /// A closed loop has no intended times, and is meant to fill the machine: by who fills it, and why that spoils latencies.
    ByUse(Option<String>),
}

impl Judged {
    /// What a closed loop is judged by: what its generators used, for so many operations on a machine of so many processors.
    pub(super) fn by_use(
        used: &GeneratorUse,
        generators: u32,
        operations: u64,
        cores: usize,
    ) -> Self {
        let reason = used
            .share(cores)
            .filter(|share| *share > MAX_GENERATOR_SHARE);
        Self::ByUse(reason.map(|_| {
            format!(
                "{}; the limit is {} %, so that the servers and not the generator limit a closed loop",
                used.told(generators, operations, cores),
                MAX_GENERATOR_SHARE * 100.0
            )
        }))
    }
}

/// What the load generator did for one variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariantArrivals {
    /// From the intended start of an operation to its actual one; included in `operation_ms`.
    pub queueing_ms: Option<Latency>,
    /// How long operations queued, as a histogram.
    pub queueing_histogram: Histogram,
    /// Operations that were started later than the run's `max_lateness_ms`; none in a closed loop, which has no intended times.
    pub late: u64,
    /// Why figures of this variant are no measurement; absent when all are.
    pub invalid: Option<String>,
    /// Which figures those are. Older versions did not tell, and meant all.
    #[serde(default)]
    pub invalid_measures: Vec<Measure>,
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
    /// The latencies as a histogram.
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
    pub(super) fn of(load: &ClientTotals, judged: &Judged) -> Self {
        let ClientTotals {
            attempts,
            late,
            queueing,
            operations,
            handshakes,
            ..
        } = load;
        let (late, invalid) = match judged {
            Judged::ByLateness(max_lateness_ms) => {
                let reason = is_too_late(*late, *attempts)
                    .then(|| started_late(*late, *attempts, "operations", *max_lateness_ms));
                (*late, reason)
            }
            Judged::ByUse(invalid) => (0, invalid.clone()),
        };
        Self {
            queueing_ms: Latency::of(queueing),
            queueing_histogram: queueing.clone(),
            late,
            invalid_measures: invalid.iter().map(|_| Measure::Latency).collect(),
            invalid,
            handshakes_per_operation: (*attempts > 0)
                .then(|| to_thousandth(handshakes.handshakes as f64 / *attempts as f64)),
            operations: operations
                .iter()
                .map(|(name, totals)| (name.clone(), OperationResult::of(totals)))
                .collect(),
        }
    }

    /// Whether figures of this kind are a measurement.
    pub fn is_valid(&self, measure: Measure) -> bool {
        let spoiled = &self.invalid_measures;
        self.invalid.is_none() || !(spoiled.is_empty() || spoiled.contains(&measure))
    }

    /// Adds a reason why no figure at all is a measurement.
    pub(super) fn spoil(&mut self, reason: &str) {
        self.invalid = Some(match self.invalid.take() {
            Some(before) => format!("{before}; {reason}"),
            None => reason.to_owned(),
        });
        self.invalid_measures = Measure::ALL.to_vec();
    }
}

/// Whether so many late operations are too many: their share is over the limit, and they are not just one or two.
pub fn is_too_late(late: u64, attempts: u64) -> bool {
    late >= MIN_LATE && late as f64 > attempts as f64 * MAX_LATE_SHARE
}

/// `61 of 540 operations (11 %) started more than 1 ms late; the limit is 1 %`
pub fn started_late(late: u64, attempts: u64, what: &str, max_lateness_ms: f64) -> String {
    let percent = late as f64 / attempts.max(1) as f64 * 100.0;
    let digits = usize::from(percent < 10.0);
    format!(
        "{late} of {attempts} {what} ({percent:.digits$} %) started more than {max_lateness_ms} ms late; the limit is {} %",
        MAX_LATE_SHARE * 100.0
    )
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
