//! What a report says of a run, made once of its results: `table`, `summary`, `html` and `json` write it, each in its form.

use super::columns::Row;
use super::findings::{Finding, caveats, findings, headline};
use super::wording::{NOT_VALID, arrivals, facts, passed};
use crate::results::{Results, ThresholdOutcome};

/// The report of a run.
pub struct Report<'a> {
    /// What it is the report of: its name, its charts, the scenario.
    pub(super) results: &'a Results,
    pub(super) verdict: Validity<'a>,
    /// What became of the scenario's thresholds.
    pub(super) thresholds: &'a [ThresholdOutcome],
    /// The answer in one sentence.
    pub(super) headline: String,
    pub(super) findings: Vec<Finding>,
    /// What the figures cannot show, a sentence each.
    pub(super) caveats: Vec<String>,
    /// One for each variant, the first of them what the others are related to.
    pub(super) rows: Vec<Row<'a>>,
    /// How the load came, in sentences.
    pub(super) arrivals: &'static str,
    /// Where and with what it was measured: a name and a text each.
    pub(super) environment: Vec<(&'static str, String)>,
}

/// Whether the run is a valid measurement, and why.
pub(super) enum Validity<'a> {
    /// What it means that the run passed: a sentence without its full stop.
    Valid(String),
    /// Why it is none, a sentence each.
    NotValid(&'a [String]),
}

impl<'a> Report<'a> {
    /// Makes the report of these results.
    pub fn of(results: &'a Results) -> Self {
        Self {
            results,
            verdict: match results.verdict.passed {
                true => Validity::Valid(passed(results)),
                false => Validity::NotValid(&results.verdict.violations),
            },
            thresholds: &results.thresholds,
            headline: headline(results),
            findings: findings(results),
            caveats: caveats(results),
            rows: Row::of(results),
            arrivals: arrivals(results),
            environment: facts(results),
        }
    }

    /// The variant that the others are related to.
    pub(super) fn first(&self) -> Option<&str> {
        self.rows.first().map(|row| row.variant.name.as_str())
    }

    /// What makes the figures less trustworthy, a sentence each.
    pub(super) fn warnings(&self) -> &'a [String] {
        &self.results.verdict.warnings
    }
}

impl Validity<'_> {
    /// The verdict with its reasons.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Valid(meaning) => format!("Passed: {meaning}."),
            Self::NotValid(reasons) => format!("{NOT_VALID}: {}.", reasons.join("; ")),
        }
    }
}
