//! What a report says of a run, made once of its results: `table`, `summary`, `html` and `json` write it, each in its form.

use mtc_tls::kind::CertificateKind;

use super::charts::log_facts;
use super::columns::Row;
use super::findings::{Finding, caveats, findings, headline};
use super::wording::{arrivals, broken, facts, legend, passed, title};
use crate::results::{Outcome, Results, ThresholdOutcome};
use crate::scenario::Measure;

/// Instead of the answer, where bytes and CPU times are no measurement.
const NOTHING_CONCLUDED: &str =
    "This run is not a valid measurement, so nothing is concluded from its figures.";

/// The report of a run.
pub struct Report<'a> {
    /// What it is the report of: its name, its charts, the scenario.
    pub(super) results: &'a Results,
    pub(super) verdict: Judgement,
    /// What became of the scenario's thresholds.
    pub(super) thresholds: &'a [ThresholdOutcome],
    /// The answer in one sentence.
    pub(super) headline: String,
    pub(super) findings: Vec<Finding>,
    /// What the figures cannot show, a sentence each.
    pub(super) caveats: Vec<String>,
    /// What a reader of the tables has to know, a sentence each.
    pub(super) legend: Vec<String>,
    /// One for each variant, the first of them what the others are related to.
    pub(super) rows: Vec<Row<'a>>,
    /// How the load came, in sentences.
    pub(super) arrivals: &'static str,
    /// Where and with what it was measured: a name and a text each.
    pub(super) environment: Vec<(&'static str, String)>,
}

/// What became of the run, the worst of all that was found, and why.
pub(super) struct Judgement {
    pub(super) outcome: Outcome,
    /// What it rests on, sentences without their full stops; at least one.
    pub(super) reasons: Vec<String>,
}

impl<'a> Report<'a> {
    /// Makes the report of these results.
    pub fn of(results: &'a Results) -> Self {
        let spoiled = &results.verdict.invalid_measures;
        // What is concluded is of bytes and CPU time.
        let concludes = !spoiled.contains(&Measure::Bytes) && !spoiled.contains(&Measure::Cpu);
        Self {
            results,
            verdict: Judgement::of(results),
            thresholds: &results.thresholds,
            headline: if concludes {
                headline(results)
            } else {
                NOTHING_CONCLUDED.to_owned()
            },
            findings: if concludes {
                findings(results)
            } else {
                Vec::new()
            },
            caveats: caveats(results),
            legend: legend(results),
            rows: Row::of(results),
            arrivals: arrivals(results),
            environment: facts(results)
                .into_iter()
                .chain(log_facts(results))
                .collect(),
        }
    }

    /// The variant that the others are related to.
    pub(super) fn first(&self) -> Option<&str> {
        self.rows.first().map(|row| row.variant.name.as_str())
    }

    /// Whether a variant has Merkle Tree Certificates.
    pub(super) fn has_mtc(&self) -> bool {
        let mut variants = self.rows.iter().map(|row| row.variant);
        variants.any(|variant| variant.auth != CertificateKind::DirectlySigned)
    }

    /// What makes the figures less trustworthy, a sentence each.
    pub(super) fn warnings(&self) -> &'a [String] {
        &self.results.verdict.warnings
    }
}

impl Judgement {
    /// Judges a run by its verdict.
    pub(super) fn of(results: &Results) -> Self {
        let verdict = &results.verdict;
        let thresholds = results.thresholds.iter().filter(|of| !of.met).map(broken);
        let violations = verdict.violations.iter().cloned();
        Self {
            outcome: verdict.outcome,
            reasons: match verdict.outcome {
                Outcome::Passed => vec![passed(results)],
                Outcome::ThresholdBroken => thresholds.chain(violations).collect(),
                Outcome::ExpectationFailed | Outcome::Invalid => violations.collect(),
            },
        }
    }

    /// The verdict with its reasons.
    pub(super) fn sentence(&self) -> String {
        format!("{}: {}.", title(self.outcome), self.reasons.join("; "))
    }
}
