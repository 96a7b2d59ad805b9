//! A sweep in one table: a row for each variant of each run.

use std::fmt::Write as _;

use mtc_core::printable::printable_lines;

use super::columns::{Column, Row};
use super::numbers::at;
use super::wording::settings;
use crate::results::{Results, VariantResult};

mod page;

pub use page::sweep_html;

/// The runs of a sweep as a Markdown table, in their order; runs without a setting have an empty first column.
pub fn sweep(runs: &[Results]) -> String {
    let mut text = String::new();
    if let Some(first) = runs.first() {
        let _ = writeln!(text, "# {}\n\n{}\n", first.run.name, first.run.description);
    }
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
    for results in runs {
        for violation in &results.verdict.violations {
            let _ = writeln!(text, "\n- {:?}: {violation}", results.run.cell);
        }
    }
    printable_lines(&text)
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
        Some(_) if arrivals.late > 0 => "**no**: late",
        Some(_) => "**no**: the generator took the machine",
        None => "yes",
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
    use crate::results::sample::quick;

    #[test]
    fn costs_are_spread_over_the_operations_of_a_connection() {
        let mut results = quick();
        results.run.cell = [("load.connections.reused".to_owned(), "10".to_owned())].into();
        results.variants.truncate(1);
        results.variants[0].arrivals.handshakes_per_operation = Some(0.1);
        results.variants[0].arrivals.late = 11;
        results.variants[0].arrivals.invalid = Some("late".to_owned());
        let text = sweep(&[results]);
        let row = text.lines().find(|line| line.contains("x509-ed25519"));
        let row = row.expect("a row for the variant");
        assert!(
            row.starts_with("| load.connections.reused = 10 | x509-ed25519 | 540 | 0 | 0 |"),
            "{row}"
        );
        assert!(row.contains("| 0.100 | 436 | 46 | **no**: late |"), "{row}");
    }
}
