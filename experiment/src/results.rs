//! The results of a run: what `results.json` holds, field by field in `docs/results.md`.
//!
//! Figures are means and quantiles of what [`crate::measure`] counted; the counts and histograms stand beside them, so
//! that reports can be drawn again and runs merged. [`Results::violations`] says whether the run shows what it claims.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::environment::Environment;
use crate::measure::Histogram;
use crate::scenario::{Connections, Expectation, Measure};

mod arrivals;
mod comparison;
mod events;
mod expectation;
mod handshake;
mod joined_lab;
mod latency;
mod learning;
mod link;
mod making;
pub(crate) mod observed;
mod part;
mod preflight;
mod procedure;
mod rounding;
mod slices;
mod start;
mod thresholds;
mod tokens;
mod variant;
mod variant_options;
mod verdict;
mod x509_status;

pub use arrivals::{GeneratorResult, OperationResult, VariantArrivals, is_too_late, started_late};
pub use comparison::{Comparison, EnvironmentDifference, VariantComparison};
pub use events::{
    ClockStep, EventRecord, Issuance, RevocationRecord, RevokedInVariant, RunHistory, TimelinePoint,
};
pub use handshake::{
    AnchorResult, CpuSplit, HandshakeResult, MIN_RTT_MS, RoundTrips, SideResult, TcpResult,
    VerificationResult,
};
pub use joined_lab::JoinedLab;
pub(crate) use joined_lab::LabValue;
pub use latency::Latency;
pub use learning::{LearningDay, LearningResult, LookResult, Spread};
pub use link::{ConfiguredLink, LinkResult};
pub use observed::{
    Observation, Observed, ObservedProcess, ObservedRequests, ProfileCounts, SilentProcess,
};
pub use part::{Counted, MergeError, PART_SCHEMA, Part, merge};
pub use preflight::Preflight;
pub use procedure::{HopCost, ProcedureResult};
pub use slices::{Metric, Ratio, Slice};
pub use start::{StartResult, StepResult};
pub use thresholds::ThresholdOutcome;
pub use tokens::{AssertionResult, TokenResult};
pub use variant::{Histograms, VariantResult};
pub use variant_options::{LandmarkState, VariantOptions};
pub use verdict::{Outcome, Verdict, Violation};
pub use x509_status::StatusResult;

/// The schema that this version writes and reads; it changes when a field changes its meaning.
pub const SCHEMA: &str = "mtc5g-results/1";

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: String,
    /// What the run was.
    pub run: Run,
    /// Whether it shows what it claims.
    pub verdict: Verdict,
    /// What became of the scenario's thresholds.
    #[serde(default)]
    pub thresholds: Vec<ThresholdOutcome>,
    /// Where and with what it was measured.
    pub environment: Environment,
    /// The links between network functions; `None` on the loopback.
    #[serde(default)]
    pub link: Option<LinkResult>,
    /// What these figures cannot show, a sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The scenario file, verbatim.
    pub scenario: String,
    /// One for each variant, in the scenario's order; the first is what the others are related to.
    pub variants: Vec<VariantResult>,
    /// What the load generator itself used.
    pub generator: GeneratorResult,
    /// How late the generator started operations.
    pub lateness_ms: Option<Latency>,
    /// How late operations were started, as a histogram.
    pub lateness_histogram: Histogram,
    /// What the scenario expects besides success.
    #[serde(default)]
    pub expect: Expectation,
    /// What happened to the network functions meanwhile, in the scenario's order.
    #[serde(default)]
    pub events: Vec<EventRecord>,
    /// How the load went on, about once a second.
    #[serde(default)]
    pub timeline: Vec<TimelinePoint>,
    /// What the NRF's CA issued meanwhile and before.
    #[serde(default)]
    pub issuance: Issuance,
    /// How the lab's instances enrolled and registered before the load; none of a lab that was up before the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartResult>,
    /// What it took processes to learn of landmarks and of what is revoked, by what they are; empty where none does, and in older files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learning: Vec<LearningResult>,
}

/// What a run was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The scenario's name.
    pub name: String,
    /// The scenario's description.
    pub description: String,
    /// What each arrival did: the name of the operation, or `mix`; `observed` where no load of ours came.
    pub operation: String,
    /// Over which connections; none of an observation, which does not know.
    #[serde(default)]
    pub connections: Option<Connections>,
    /// The values that make this one of several runs of a sweep, by key; empty where nothing was swept.
    pub cell: BTreeMap<String, String>,
    /// Which figures are to be a measurement; older versions claimed all.
    #[serde(default = "all_measures")]
    pub claims: Vec<Measure>,
    /// The seed of the arrivals.
    pub seed: u64,
    /// When the first arrival, warm-up included, was intended.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// When the last operation had ended.
    #[serde(with = "time::serde::rfc3339")]
    pub ended: OffsetDateTime,
    /// Whether arrivals were stopped before the schedule's end.
    pub interrupted: bool,
    /// Whether this is the scenario's short form, whose figures are not to be cited.
    #[serde(default)]
    pub shortened: bool,
    /// Length of the measured part in seconds, as planned.
    #[serde(default)]
    pub measured_s: f64,
    /// Whether the lab was up before the run: what the scenario says in `[lab]` was not applied then.
    #[serde(default)]
    pub joined: bool,
    /// What that lab was, as far as it said; none of a lab that was made for the run.
    #[serde(default)]
    pub lab: Option<JoinedLab>,
    /// What the second before the run has shown of the load generator's machine; of several generators, of the first one's.
    #[serde(default)]
    pub preflight: Option<Preflight>,
    /// Steps of the load generator's wall clock in the measured part: with one, no figure is a measurement.
    #[serde(default)]
    pub clock_steps: Vec<ClockStep>,
    /// What was observed, if this is no run but what live processes counted without a load of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
}

impl Results {
    /// Bytes, CPU and verification of a variant as multiples of another's, with 95 % intervals; none with too few slices.
    pub fn costs_between(&self, of: &VariantResult, to: &VariantResult) -> Vec<Ratio> {
        slices::costs(&of.slices, &to.slices, self.run.seed)
    }

    /// Whether every threshold of the scenario is met.
    pub fn thresholds_met(&self) -> bool {
        self.thresholds.iter().all(|threshold| threshold.met)
    }

    /// The text of a `results.json` without what a report adds to it.
    #[cfg(test)]
    pub(crate) fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self)
            .expect("results have string keys and finite numbers only");
        json.push('\n');
        json
    }

    /// Reads the text of a `results.json`.
    ///
    /// # Errors
    ///
    /// [`ResultsError`] when it is of another schema or not results at all.
    pub fn from_json(json: &str) -> Result<Self, ResultsError> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
            #[serde(default)]
            verdict: HeadVerdict,
        }
        #[derive(Default, Deserialize)]
        struct HeadVerdict {
            outcome: Option<Outcome>,
        }
        let Head { schema, verdict } = serde_json::from_str(json)?;
        if schema != SCHEMA {
            return Err(ResultsError::Schema(schema));
        }
        let mut results: Self = serde_json::from_str(json)?;
        // Older versions told apart valid from invalid variants and runs only.
        if verdict.outcome.is_none() {
            let is_clock_whole = results.run.clock_steps.is_empty();
            for variant in results.variants.iter_mut().filter(|_| is_clock_whole) {
                let late = variant.arrivals.invalid.iter();
                variant.arrivals.invalid_measures = late.map(|_| Measure::Latency).collect();
            }
            results.verdict = results.judge();
        }
        Ok(results)
    }
}

fn all_measures() -> Vec<Measure> {
    Measure::ALL.to_vec()
}

/// The text is not the results of a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// Written by another version.
    #[error("results are of schema {0:?}, this version reads {SCHEMA:?}")]
    Schema(String),
    /// Not JSON, or a field is missing or of another type.
    #[error("results are not readable")]
    Json(#[from] serde_json::Error),
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
