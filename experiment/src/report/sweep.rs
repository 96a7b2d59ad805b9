//! A sweep in one table: a row for each variant of each run.

use std::fmt::Write as _;

use mtc_core::printable::printable_lines;
use mtc_tls::kind::CertificateKind;

use super::columns::{Column, Row};
use super::content::Judgement;
use super::findings::reasons;
use super::learning;
use super::numbers::{at, time, whole};
use super::tables::markdown_table;
use super::wording::{LEFT_OUT, settings, title};
use crate::results::{Outcome, Results, VariantResult};

mod page;

pub use page::sweep_html;

/// The runs of a sweep as a Markdown table, in their order; runs without a setting have an empty first column.
pub fn sweep(runs: &[Results]) -> String {
    let mut text = String::new();
    if let Some(first) = runs.first() {
        let _ = writeln!(text, "# {}\n\n{}\n", first.run.name, first.run.description);
    }
    let (outcome, reasons) = judged(runs);
    let _ = writeln!(text, "**{}**", title(outcome));
    for reason in &reasons {
        let _ = writeln!(text, "\n- {reason}");
    }
    text.push('\n');
    text.push_str(
        "| run | variant | ok | failed | dropped | operation p50, ms | p99, ms | queueing p99, ms | handshakes per operation | \
         bytes per operation | CPU per operation, µs | valid |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for results in runs {
        for of in Row::of(results) {
            row(&mut text, &settings(results), &of);
        }
    }
    text.push_str(
        "\nBytes and CPU time are those of the generator's handshakes, both sides, spread over its operations; requests and \
         answers are not in them.\n",
    );
    let _ = writeln!(text, "{LEFT_OUT}.");
    served(&mut text, runs);
    if let Some(learned) = learning::sweep_learning(runs) {
        let (title, table) = (learning::TITLE, markdown_table(&learned));
        let _ = writeln!(text, "\n## {title}\n\n{table}\n{}", learning::note(runs));
    }
    printable_lines(&text)
}

/// What was served in the runs of a mixed estate.
fn served(text: &mut String, runs: &[Results]) {
    let is_mixed = |of: &VariantResult| of.options.upgraded.is_some();
    if !runs.iter().flat_map(|run| &run.variants).any(is_mixed) {
        return;
    }
    text.push_str(
        "\n| run | variant | landmark-relative, % | standalone, % | X.509, % | bytes per handshake | CPU per handshake, µs | \
         worse than one end could have had |\n|---|---|---|---|---|---|---|---|\n",
    );
    for run in runs {
        for variant in &run.variants {
            let kinds = variant.shown();
            let all: u64 = CertificateKind::ALL.map(|kind| kinds.of(kind)).iter().sum();
            let of = |kind| format!("{:.1}", 100.0 * kinds.of(kind) as f64 / all.max(1) as f64);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                settings(run),
                variant.name,
                of(CertificateKind::LandmarkRelative),
                of(CertificateKind::Standalone),
                of(CertificateKind::DirectlySigned),
                whole(variant.bytes()),
                time(variant.cpu_us()),
                reasons(variant),
            );
        }
    }
}

/// The last line of a sweep on a terminal: its verdict, which is the worst of its runs.
pub fn sweep_verdict(runs: &[Results]) -> String {
    let (outcome, _) = judged(runs);
    let worst = runs.iter().filter(|run| run.verdict.outcome == outcome);
    format!(
        "{}: {} of {} runs",
        title(outcome).to_uppercase(),
        worst.count(),
        runs.len()
    )
}

/// The worst verdict of the runs, and what it and those of the others rest on, and why figures are left out.
fn judged(runs: &[Results]) -> (Outcome, Vec<String>) {
    let outcomes = runs.iter().map(|run| run.verdict.outcome);
    let reasons = runs.iter().flat_map(|run| {
        let reasons = match run.verdict.outcome {
            Outcome::Passed => Vec::new(),
            _ => Judgement::of(run).reasons,
        };
        let of = settings(run);
        let reasons = reasons.into_iter().chain(run.left_out());
        reasons.map(move |reason| format!("{of}: {reason}"))
    });
    (outcomes.max().unwrap_or_default(), reasons.collect())
}

fn row(text: &mut String, settings: &str, row: &Row<'_>) {
    let VariantResult {
        name,
        ok,
        dropped,
        arrivals,
        ..
    } = row.variant;
    let valid = match row.invalid {
        Some(which) => format!("**{which}**"),
        None => "yes".to_owned(),
    };
    let _ = writeln!(
        text,
        "| {settings} | {name} | {ok} | {} | {dropped} | {} | {} | {} | {} | {} | {} | {valid} |",
        row.variant.failed(),
        row.cell(Column::OperationP50),
        row.cell(Column::OperationP99),
        at(arrivals.queueing_ms, |latency| latency.p99),
        arrivals
            .handshakes_per_operation
            .map_or_else(|| "–".to_owned(), |share| format!("{share:.3}")),
        row.cell(Column::BytesPerOperation),
        row.cell(Column::CpuPerOperation),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::{busy, grid, quick};
    use crate::scenario::Measure;

    #[test]
    fn the_verdict_of_a_sweep_is_the_worst_of_its_runs() {
        let mut runs = grid();
        assert!(sweep(&runs).contains("\n\n**Passed**\n"));
        assert_eq!(sweep_verdict(&runs), "PASSED: 6 of 6 runs");
        let invalid = busy(&Measure::ALL).verdict;
        runs[1].verdict = invalid;
        let text = sweep(&runs);
        let reason = "**Not a valid measurement**\n\n- link.loss = 0, link.rtt = 20ms: 61 of 540 operations of mtc-landmark";
        assert!(text.contains(reason), "{text}");
        assert_eq!(sweep_verdict(&runs), "NOT A VALID MEASUREMENT: 1 of 6 runs");
        let passed = [busy(&[Measure::Bytes, Measure::Cpu])];
        let text = sweep(&passed);
        assert!(
            text.contains("**Passed**\n\n- : latencies are not valid and are left out: 61 of 540"),
            "{text}"
        );
    }

    #[test]
    fn a_mixed_estate_has_a_table_of_what_was_served_and_why_it_was_no_better() {
        assert!(!sweep(&[quick()]).contains("| X.509, % |"));
        let mut results = quick();
        results.run.cell = [("lab.upgraded".to_owned(), "1".to_owned())].into();
        let variant = &mut results.variants[4];
        variant.options.upgraded = Some(1.0);
        variant.downgrades = [
            ("no-landmark-yet".to_owned(), 3),
            ("peer-not-upgraded".to_owned(), 1_200),
        ]
        .into();
        let text = sweep(&[results]);
        let row = "| lab.upgraded = 1 | mtc-landmark | 100.0 | 0.0 | 0.0 |";
        assert!(text.contains(row), "{text}");
        assert!(
            text.contains("| 3 no-landmark-yet, 1,200 peer-not-upgraded |"),
            "{text}"
        );
    }

    #[test]
    fn costs_are_spread_over_the_operations_of_a_connection() {
        let mut results = quick();
        results.run.cell = [("load.connections.reused".to_owned(), "10".to_owned())].into();
        results.variants.truncate(1);
        results.variants[0].arrivals.handshakes_per_operation = Some(0.1);
        results.variants[0].arrivals.invalid = Some("late".to_owned());
        results.variants[0].arrivals.invalid_measures = vec![Measure::Latency];
        let text = sweep(&[results]);
        let row = text.lines().find(|line| line.contains("x509-ed25519"));
        let row = row.expect("a row for the variant");
        assert!(
            row.starts_with("| load.connections.reused = 10 | x509-ed25519 | 540 | 0 | 0 |"),
            "{row}"
        );
        assert!(
            row.ends_with("| 0 | 0 | ! | ! | 1.39 | 0.100 | 436 | 46 | **latencies not valid** |"),
            "{row}"
        );
    }
}
