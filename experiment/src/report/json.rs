//! The report as JSON: `results.json`, which is the results with what the report says of them.

use serde::Serialize;

use super::content::Report;
use super::findings::Finding;
use crate::results::Results;

/// What `results.json` holds.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    results: &'a Results,
    report: Statements<'a>,
}

/// What the report says, in sentences.
#[derive(Serialize)]
struct Statements<'a> {
    verdict: String,
    headline: &'a str,
    findings: &'a [Finding],
    caveats: &'a [String],
}

impl<'a> Document<'a> {
    fn of(report: &'a Report<'a>) -> Self {
        Self {
            results: report.results,
            report: Statements {
                verdict: report.verdict.sentence(),
                headline: &report.headline,
                findings: &report.findings,
                caveats: &report.caveats,
            },
        }
    }
}

/// The text of `results.json`.
pub fn json(report: &Report<'_>) -> String {
    text(&Document::of(report))
}

/// The runs of a sweep as a list of what their `results.json` hold.
pub fn sweep_json(runs: &[Results]) -> String {
    let reports: Vec<Report<'_>> = runs.iter().map(Report::of).collect();
    text(&reports.iter().map(Document::of).collect::<Vec<_>>())
}

fn text(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document)
        .expect("results have string keys and finite numbers only");
    text + "\n"
}

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::table;
    use crate::results::Outcome;
    use crate::results::sample::{grid, quick};

    fn document(results: &Results) -> Value {
        serde_json::from_str(&json(&Report::of(results))).expect("results are JSON")
    }

    #[test]
    fn a_script_finds_what_the_table_says() {
        let results = quick();
        let report = &document(&results)["report"];
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let table = words(&table(&Report::of(&results)));
        assert!(table.contains(report["headline"].as_str().unwrap()));
        let findings = report["findings"].as_array().unwrap();
        assert_eq!(findings.len(), Report::of(&results).findings.len());
        for finding in findings {
            let [tone, text] = ["tone", "text"].map(|name| finding[name].as_str().unwrap());
            assert!(
                table.contains(&format!("- {tone}: {text}")),
                "{tone} {text}"
            );
        }
        for caveat in report["caveats"].as_array().unwrap() {
            assert!(table.contains(caveat.as_str().unwrap()), "{caveat}");
        }
        let verdict = "Passed: no errors, no drops, every handshake was served the credential kind its variant asks for.";
        assert_eq!(report["verdict"], verdict);
    }

    #[test]
    fn the_verdict_of_a_run_that_shows_nothing_says_why() {
        let mut results = quick();
        results.verdict.outcome = Outcome::Invalid;
        results.verdict.violations = vec!["a: b".to_owned(), "c".to_owned()];
        let verdict = "Not a valid measurement: a: b; c.";
        assert_eq!(document(&results)["report"]["verdict"], verdict);
    }

    #[test]
    fn what_is_written_is_read_again_as_the_results() {
        let results = quick();
        let text = json(&Report::of(&results));
        assert_eq!(Results::from_json(&text).unwrap(), results);
        let runs = grid();
        let all: Vec<Value> = serde_json::from_str(&sweep_json(&runs)).unwrap();
        assert_eq!(all.len(), runs.len());
        assert_eq!(all[0], document(&runs[0]));
    }
}
