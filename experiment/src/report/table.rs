//! The table that a run ends with on a terminal: 120 columns, no colour needed.

use mtc_core::printable::printable_lines;

use super::figures::{
    at, count, invalid, outcome, ratio, sides, time, times, whole, with_interval,
};
use super::findings::{caveats, findings, headline};
use crate::results::{Metric, Results, ThresholdOutcome, VariantResult};
use crate::scenario::Expectation;

const WIDTH: usize = 120;
/// Longer names are cut, so that the figures keep their columns.
const MAX_NAME: usize = 22;

/// One column: the heading over its group, its own heading, and its cells.
struct Column {
    group: &'static str,
    heading: String,
    cell: fn(&VariantResult, &VariantResult) -> String,
}

/// The results as plain text, lines of at most 120 characters.
pub fn table(results: &Results) -> String {
    let mut text = String::new();
    if !results.verdict.passed {
        text.push_str("NOT A VALID MEASUREMENT\n");
        violations(&mut text, results);
        text.push('\n');
    }
    if let Some(first) = results.variants.first() {
        text.push_str(&grid(results, first, &columns(&results.run.operation)));
        text.push_str("\n  bytes and CPU are means per handshake; × relates both sides' sum to the first variant's\n");
        if let Some(invalid) = results.variants.iter().find_map(invalid) {
            text.push_str(&format!(
                "  ! {invalid}, so its times are no measurement of this variant\n"
            ));
        }
        text.push('\n');
        if results
            .variants
            .iter()
            .any(|variant| !variant.to_first.is_empty())
        {
            text.push_str(&grid(results, first, &intervals()));
            text.push_str("\n  to the first variant, with the interval that holds 95 % of the ratios when slices are drawn again\n\n");
        }
    }
    paragraph(&mut text, "", &headline(results));
    let said = findings(results)
        .into_iter()
        .map(|finding| format!("{}: {}", finding.tone.as_str(), finding.text));
    said.for_each(|line| paragraph(&mut text, "- ", &line));
    caveats(results)
        .iter()
        .for_each(|line| paragraph(&mut text, "- caveat: ", line));
    results
        .verdict
        .warnings
        .iter()
        .for_each(|line| paragraph(&mut text, "- warning: ", line));
    thresholds(&mut text, results);
    if results.verdict.passed {
        let nothing_special = results.expect == Expectation::default();
        text.push_str(if nothing_special {
            "\nPASSED: no errors, no drops, every handshake was served the credential kind its variant asks for\n"
        } else {
            "\nPASSED: errors, drops and fallbacks are within what the scenario's [expect] allows\n"
        });
    } else {
        text.push_str("\nNOT A VALID MEASUREMENT\n");
        violations(&mut text, results);
    }
    printable_lines(&text)
}

fn violations(text: &mut String, results: &Results) {
    results
        .verdict
        .violations
        .iter()
        .for_each(|line| paragraph(text, "- ", line));
}

fn thresholds(text: &mut String, results: &Results) {
    if results.thresholds.is_empty() {
        return;
    }
    text.push_str("\nTHRESHOLDS\n");
    for threshold in &results.thresholds {
        let ThresholdOutcome {
            name, expression, ..
        } = threshold;
        let line = format!(
            "{} {name}: {expression} ({})",
            outcome(threshold),
            sides(threshold)
        );
        paragraph(text, "- ", &line);
    }
}

fn columns(operation: &str) -> Vec<Column> {
    let column = |group, heading: &str, cell| Column {
        group,
        heading: heading.to_owned(),
        cell,
    };
    vec![
        column("", "ok", |v, _| count(v.ok)),
        column("", "err", |v, _| count(v.failed() + v.dropped)),
        column("handshake, ms", "p50", |v, _| at(v.handshake_ms, |l| l.p50)),
        column("handshake, ms", "p90", |v, _| at(v.handshake_ms, |l| l.p90)),
        column("handshake, ms", "p99", |v, _| at(v.handshake_ms, |l| l.p99)),
        column("handshake, ms", "p99.9", |v, _| {
            at(v.handshake_ms, |l| l.p999)
        }),
        column(
            if operation == "session" {
                "session, ms"
            } else {
                "operation"
            },
            "p50",
            |v, _| at(v.operation_ms, |l| l.p50),
        ),
        column(
            if operation == "session" {
                "session, ms"
            } else {
                "operation"
            },
            "p99",
            |v, _| at(v.operation_ms, |l| l.p99),
        ),
        column("bytes sent", "client", |v, _| whole(v.bytes_client)),
        column("bytes sent", "server", |v, _| whole(v.bytes_server)),
        column("CPU, µs", "clnt", |v, _| whole(v.cpu_us_client)),
        column("CPU, µs", "serv", |v, _| whole(v.cpu_us_server)),
        column("verify", "µs", |v, _| time(v.verify_us)),
        column("to the first", "bytes", |v, first| {
            times(ratio(v.bytes(), first.bytes()))
        }),
        column("to the first", "CPU", |v, first| {
            times(ratio(v.cpu_us(), first.cpu_us()))
        }),
    ]
}

fn intervals() -> Vec<Column> {
    let column = |heading: &str, cell| Column {
        group: "",
        heading: heading.to_owned(),
        cell,
    };
    vec![
        column("bytes", |v, _| with_interval(v, Metric::Bytes)),
        column("CPU", |v, _| with_interval(v, Metric::Cpu)),
        column("handshake p50", |v, _| {
            with_interval(v, Metric::HandshakeP50)
        }),
        column("operation p50", |v, _| {
            with_interval(v, Metric::OperationP50)
        }),
    ]
}

fn grid(results: &Results, first: &VariantResult, columns: &[Column]) -> String {
    let name = |variant: &VariantResult| match invalid(variant) {
        Some(_) => fit(&variant.name, MAX_NAME - 2) + " !",
        None => fit(&variant.name, MAX_NAME),
    };
    let name_width = results
        .variants
        .iter()
        .map(|v| width(&name(v)))
        .max()
        .unwrap_or_default()
        .max("variant".len());
    let mut lines = vec![" ".repeat(name_width), pad_end("variant", name_width)];
    lines.extend(
        results
            .variants
            .iter()
            .map(|variant| pad_end(&name(variant), name_width)),
    );
    for group in columns.chunk_by(|a, b| a.group == b.group && !a.group.is_empty()) {
        let mut block: Vec<String> = vec![String::new(); lines.len() - 1];
        for (index, column) in group.iter().enumerate() {
            let cells = results
                .variants
                .iter()
                .map(|variant| (column.cell)(variant, first));
            let cells: Vec<String> = std::iter::once(column.heading.clone())
                .chain(cells)
                .collect();
            let column_width = cells
                .iter()
                .map(|cell| width(cell))
                .max()
                .unwrap_or_default();
            for (line, cell) in block.iter_mut().zip(&cells) {
                let gap = if index == 0 { "" } else { " " };
                line.push_str(&format!("{gap}{}", pad_start(cell, column_width)));
            }
        }
        let heading = group[0].group;
        let block_width = width(&block[0]).max(width(heading));
        lines[0].push_str(&format!("  {}", pad_start(heading, block_width)));
        for (line, cells) in lines[1..].iter_mut().zip(&block) {
            line.push_str(&format!("  {}", pad_start(cells, block_width)));
        }
    }
    let rule = "─".repeat(
        lines
            .iter()
            .map(|line| width(line))
            .max()
            .unwrap_or_default(),
    );
    lines.insert(2, rule);
    // Where no column has a group there is no line of them.
    let lines = lines.iter().map(|line| line.trim_end());
    lines
        .filter(|line| !line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Appends `text` in lines of at most [`WIDTH`], the first one after `lead`, the others below its text.
pub(super) fn paragraph(out: &mut String, lead: &str, text: &str) {
    let indent = " ".repeat(if lead.is_empty() { 0 } else { 2 });
    let mut line = lead.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && width(&line) + 1 + width(word) > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line.clone_from(&indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(&line);
    out.push('\n');
}

fn fit(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    text.chars().take(max - 1).chain(['…']).collect()
}

fn pad_start(text: &str, to: usize) -> String {
    format!("{text:>to$}")
}

fn pad_end(text: &str, to: usize) -> String {
    format!("{text:<to$}")
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::quick;

    #[test]
    fn shows_every_variant_in_its_columns() {
        let expected = "\
                             handshake, ms  session, ms     bytes sent    CPU, µs  verify  to the first
variant               ok  err  p50  p90  p99 p99.9    p50   p99  client server  clnt serv      µs  bytes   CPU
";
        let text = table(&quick());
        let rows: Vec<&str> = text.lines().skip(3).take(5).collect();
        let first_words: Vec<&str> = rows
            .iter()
            .filter_map(|row| row.split(' ').next())
            .collect();
        assert_eq!(
            first_words,
            [
                "x509-ed25519",
                "x509-mldsa65",
                "x509-mldsa65-direct",
                "mtc-standalone",
                "mtc-landmark"
            ]
        );
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            words(&text.lines().take(2).collect::<String>()),
            words(&expected.replace('\n', ""))
        );
        assert_eq!(
            words(rows[4])[1..],
            [
                "540", "0", "1.31", "1.68", "3.30", "5.89", "5.35", "11.7", "7,430", "7,430",
                "297", "297", "3.00", "3.41×", "1.29×"
            ]
        );
    }

    #[test]
    fn no_line_is_longer_than_120() {
        let mut results = quick();
        for variant in &mut results.variants {
            variant.name = format!("{}-with-a-very-long-name", variant.name);
            variant.operation_ms = variant.operation_ms.map(|l| crate::results::Latency {
                p50: 4321.0,
                p99: 54321.0,
                ..l
            });
            variant.bytes_client = Some(123_456.0);
        }
        results.verdict.violations.push("word ".repeat(50));
        results.verdict.passed = false;
        for line in table(&results).lines() {
            assert!(width(line) <= WIDTH, "{} columns: {line}", width(line));
        }
    }

    #[test]
    fn ratios_have_their_intervals_in_a_table_of_their_own() {
        let text = table(&quick());
        let rows = || text.lines().filter(|line| line.contains('['));
        assert_eq!(rows().count(), 4, "{text}");
        let landmark = rows().next_back().expect("a row");
        assert!(
            landmark.starts_with("mtc-landmark ") && landmark.contains(" 3.41 [3.41, 3.41] "),
            "{landmark}"
        );
        let mut results = quick();
        results
            .variants
            .iter_mut()
            .for_each(|variant| variant.to_first.clear());
        assert!(!table(&results).contains('['));
    }

    #[test]
    fn an_invalid_variant_is_marked() {
        let mut results = quick();
        assert!(!table(&results).contains('!'));
        results.variants[1].arrivals.invalid = Some("late".to_owned());
        results.variants[1].arrivals.late = 1;
        let text = table(&results);
        assert_eq!(text.matches("x509-mldsa65 !  ").count(), 2, "{text}");
        assert!(
            text.contains(
                "! invalid: the load generator was late, so its times are no measurement"
            )
        );
    }

    #[test]
    fn says_whether_the_run_passed() {
        let mut results = quick();
        assert!(table(&results).ends_with("credential kind its variant asks for\n"));
        results.verdict.passed = false;
        results.verdict.violations = vec!["x509-ed25519: 3 of 540 operations failed".to_owned()];
        let failed = "NOT A VALID MEASUREMENT\n- x509-ed25519: 3 of 540 operations failed\n";
        assert!(table(&results).starts_with(failed) && table(&results).ends_with(failed));
    }

    #[test]
    fn a_threshold_shows_both_sides_and_what_became_of_it() {
        assert!(!table(&quick()).contains("THRESHOLDS"));
        let mut results = quick();
        results.thresholds = crate::results::sample::thresholds();
        assert!(table(&results).contains(
            "\nTHRESHOLDS\n- met small: bytes(\"a\") < bytes(\"b\") (14,860 against 31,600)\n\
             - broken quick: p99(handshake, \"a\") < 1 (– against 1.00)\n"
        ));
    }
}
