//! The report that a run ends with on a terminal: 120 columns, no colour needed.

use mtc_core::printable::printable_lines;

use super::columns::{Column, Row};
use super::content::{Judgement, Report};
use super::numbers::with_interval;
use super::wording::{LEFT_OUT, outcome, sides, title};
use crate::results::{Metric, Outcome, ThresholdOutcome};

const WIDTH: usize = 120;
/// Longer names are cut, so that the figures keep their columns.
const MAX_NAME: usize = 22;

/// One column: the heading over its group, its own heading, and its cells.
struct Cells {
    group: &'static str,
    heading: &'static str,
    cells: Vec<String>,
}

/// The report as plain text, lines of at most 120 characters.
pub fn table(report: &Report<'_>) -> String {
    let mut text = String::new();
    if report.verdict.outcome != Outcome::Passed {
        let title = title(report.verdict.outcome).to_uppercase();
        text.push_str(&format!("{title}: the reason is in the last line\n\n"));
    }
    if !report.rows.is_empty() {
        let rows = &report.rows;
        text.push_str(&grid(rows, &columns(rows, &report.results.run.operation)));
        text.push_str("\n  bytes and CPU are means per handshake; × relates both sides' sum to the first variant's\n");
        if rows.iter().any(|row| row.invalid.is_some()) {
            paragraph(&mut text, "  ", LEFT_OUT);
        }
        text.push('\n');
        if rows.iter().any(|row| !row.variant.to_first.is_empty()) {
            text.push_str(&grid(rows, &intervals(rows)));
            text.push_str("\n  to the first variant, with the interval that holds 95 % of the ratios when slices are drawn again\n\n");
        }
    }
    paragraph(&mut text, "", &report.headline);
    for finding in &report.findings {
        let line = format!("{}: {}", finding.tone.as_str(), finding.text);
        paragraph(&mut text, "- ", &line);
    }
    for caveat in &report.caveats {
        paragraph(&mut text, "- caveat: ", caveat);
    }
    for warning in report.warnings() {
        paragraph(&mut text, "- warning: ", warning);
    }
    thresholds(&mut text, report.thresholds);
    text.push('\n');
    verdict(&mut text, &report.verdict);
    printable_lines(&text)
}

fn verdict(text: &mut String, verdict: &Judgement) {
    let title = title(verdict.outcome).to_uppercase();
    let line = format!("{title}: {}", verdict.reasons.join("; "));
    paragraph(text, "", &line);
}

fn thresholds(text: &mut String, thresholds: &[ThresholdOutcome]) {
    if thresholds.is_empty() {
        return;
    }
    text.push_str("\nTHRESHOLDS\n");
    for threshold in thresholds {
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

fn columns(rows: &[Row<'_>], operation: &str) -> Vec<Cells> {
    const HANDSHAKE: &str = "handshake, ms";
    let operation = if operation == "session" {
        "session, ms"
    } else {
        "operation"
    };
    let columns = [
        ("", "ok", Column::Ok),
        ("", "err", Column::Errors),
        (HANDSHAKE, "p50", Column::HandshakeP50),
        (HANDSHAKE, "p90", Column::HandshakeP90),
        (HANDSHAKE, "p99", Column::HandshakeP99),
        (HANDSHAKE, "p99.9", Column::HandshakeP999),
        (operation, "p50", Column::OperationP50),
        (operation, "p99", Column::OperationP99),
        ("bytes sent", "client", Column::BytesClient),
        ("bytes sent", "server", Column::BytesServer),
        ("CPU, µs", "clnt", Column::CpuClient),
        ("CPU, µs", "serv", Column::CpuServer),
        ("verify", "µs", Column::Verify),
        ("to the first", "bytes", Column::ToFirst(Metric::Bytes)),
        ("to the first", "CPU", Column::ToFirst(Metric::Cpu)),
    ];
    let cells = |(group, heading, column)| Cells {
        group,
        heading,
        cells: rows.iter().map(|row| row.cell(column)).collect(),
    };
    columns.map(cells).into()
}

fn intervals(rows: &[Row<'_>]) -> Vec<Cells> {
    let columns = [
        ("bytes", Metric::Bytes),
        ("CPU", Metric::Cpu),
        ("handshake p50", Metric::HandshakeP50),
        ("operation p50", Metric::OperationP50),
    ];
    let cells = |(heading, metric)| Cells {
        group: "",
        heading,
        cells: rows
            .iter()
            .map(|row| with_interval(row.variant, metric))
            .collect(),
    };
    columns.map(cells).into()
}

fn grid(rows: &[Row<'_>], columns: &[Cells]) -> String {
    let name = |row: &Row<'_>| match row.invalid {
        Some(_) => fit(&row.variant.name, MAX_NAME - 2) + " !",
        None => fit(&row.variant.name, MAX_NAME),
    };
    let names: Vec<String> = rows.iter().map(name).collect();
    let widest = |texts: &mut dyn Iterator<Item = &str>| texts.map(width).max().unwrap_or_default();
    let name_width = widest(&mut names.iter().map(String::as_str)).max("variant".len());
    let mut lines = vec![" ".repeat(name_width), pad_end("variant", name_width)];
    lines.extend(names.iter().map(|name| pad_end(name, name_width)));
    for group in columns.chunk_by(|a, b| a.group == b.group && !a.group.is_empty()) {
        let mut block: Vec<String> = vec![String::new(); lines.len() - 1];
        for (index, column) in group.iter().enumerate() {
            let cells =
                || std::iter::once(column.heading).chain(column.cells.iter().map(String::as_str));
            let column_width = widest(&mut cells());
            for (line, cell) in block.iter_mut().zip(cells()) {
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
    use crate::results::Results;
    use crate::results::sample::{busy, quick};
    use crate::scenario::Measure;

    fn table(results: &Results) -> String {
        super::table(&Report::of(results))
    }

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
    fn latencies_that_are_not_valid_are_left_out_and_marked() {
        assert!(!table(&quick()).contains('!'));
        let text = table(&busy(&[Measure::Bytes, Measure::Cpu]));
        let rows = text
            .lines()
            .filter(|line| line.starts_with("mtc-landmark !  "));
        let words: Vec<String> = rows
            .map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            words,
            [
                "mtc-landmark ! 540 0 ! ! ! ! ! ! 7,430 7,430 297 297 3.00 3.41× 1.29×",
                "mtc-landmark ! 3.41 [3.41, 3.41] 1.29 [1.29, 1.29] ! !"
            ]
        );
        assert!(
            text.contains("! left out: not a valid measurement,"),
            "{text}"
        );
        assert_eq!(
            text.matches("61 of 540").count(),
            1,
            "one cause is said once"
        );
        let last = text.rfind("PASSED: no errors").expect("the verdict");
        let last = text[last..].replace('\n', " ");
        assert!(
            last.ends_with("; latencies, which the scenario does not claim, are not valid "),
            "{last}"
        );
        let invalid = table(&busy(&Measure::ALL));
        assert_eq!(invalid.matches("61 of 540").count(), 1, "{invalid}");
        let last = invalid
            .rfind("NOT A VALID MEASUREMENT: 61 of 540")
            .expect("the verdict");
        assert_eq!(invalid[last..].lines().count(), 2);
    }

    #[test]
    fn the_last_line_is_the_verdict() {
        let mut results = quick();
        assert!(table(&results).ends_with("credential kind its variant asks for\n"));
        results.thresholds = crate::results::sample::thresholds();
        results.verdict = results.judge();
        assert!(table(&results).ends_with(
            "\nA THRESHOLD IS BROKEN: quick: p99(handshake, \"a\") < 1 (– against 1.00)\n"
        ));
        results.verdict.outcome = Outcome::Invalid;
        results.verdict.violations = vec!["x509-ed25519: 3 of 540 operations failed".to_owned()];
        let text = table(&results);
        assert!(text.starts_with("NOT A VALID MEASUREMENT: the reason is in the last line\n\n"));
        assert!(
            text.ends_with("\nNOT A VALID MEASUREMENT: x509-ed25519: 3 of 540 operations failed\n")
        );
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
