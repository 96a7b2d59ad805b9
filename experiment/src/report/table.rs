//! The report that a run ends with on a terminal: at most 120 columns, no colour needed.

use mtc_core::printable::printable_lines;

use super::charts::Data;
use super::columns::{Column, Row};
use super::content::{Judgement, Report};
use super::learning::{self, narrow_learning};
use super::numbers::with_interval;
use super::observed;
use super::procedure::{NOTE, TITLE, narrow_costs};
use super::storm;
use super::ways::{self, narrow_ways};
use super::wording::{LEFT_OUT, operation, outcome, sides, title};
use crate::results::{Metric, Outcome, ThresholdOutcome};

/// The widest lines, which are also those where nobody knows of a screen.
pub(super) const WIDTH: usize = 120;
/// Longer names are cut, so that the figures keep their columns.
const MAX_NAME: usize = 22;

/// The same of the connection profiles after which variants are called that were observed.
const MAX_PROFILE: usize = 40;

/// A column of the comparison.
struct Heading {
    /// What stands over it and its neighbours of the same group; nothing for a column that stands for itself.
    group: &'static str,
    name: &'static str,
    /// Both in words, for where it is left out.
    label: &'static str,
    column: Column,
}

const fn heading(
    group: &'static str,
    name: &'static str,
    label: &'static str,
    column: Column,
) -> Heading {
    Heading {
        group,
        name,
        label,
        column,
    }
}

const HANDSHAKE: &str = "handshake, ms";
/// Stands for what the run's operations are called.
const OPERATION: &str = "operation, ms";
const COMPLETED: &str = "handshakes";
const FIRST: &str = "to the first";
const CPU: &str = "CPU, µs";

const OK: Heading = heading("", "ok", "ok", Column::Ok);
const ERRORS: Heading = heading("", "err", "errors", Column::Errors);
const HANDSHAKE_P50: Heading = heading(HANDSHAKE, "p50", "handshake p50", Column::HandshakeP50);
const HANDSHAKE_P90: Heading = heading(HANDSHAKE, "p90", "handshake p90", Column::HandshakeP90);
const HANDSHAKE_P99: Heading = heading(HANDSHAKE, "p99", "handshake p99", Column::HandshakeP99);
const HANDSHAKE_P999: Heading =
    heading(HANDSHAKE, "p99.9", "handshake p99.9", Column::HandshakeP999);
const OPERATION_P50: Heading = heading(OPERATION, "p50", "operation p50", Column::OperationP50);
const OPERATION_P99: Heading = heading(OPERATION, "p99", "operation p99", Column::OperationP99);
const BYTES: Heading = heading("", "bytes", "bytes", Column::Bytes);
const BYTES_CLIENT: Heading = heading("bytes sent", "client", "bytes by side", Column::BytesClient);
const BYTES_SERVER: Heading = heading("bytes sent", "server", "bytes by side", Column::BytesServer);
const CPU_BOTH: Heading = heading(CPU, "both", "CPU", Column::Cpu);
const CPU_CLIENT: Heading = heading(CPU, "clnt", "CPU by side", Column::CpuClient);
const CPU_SERVER: Heading = heading(CPU, "serv", "CPU by side", Column::CpuServer);
const VERIFY: Heading = heading("verify", "µs", "verification", Column::Verify);
const BYTES_TO_FIRST: Heading = heading(
    FIRST,
    "bytes",
    "bytes to the first",
    Column::ToFirst(Metric::Bytes),
);
const CPU_TO_FIRST: Heading = heading(
    FIRST,
    "CPU",
    "CPU to the first",
    Column::ToFirst(Metric::Cpu),
);

/// Everything that the comparison can show.
const FULL: [Heading; 15] = [
    OK,
    ERRORS,
    HANDSHAKE_P50,
    HANDSHAKE_P90,
    HANDSHAKE_P99,
    HANDSHAKE_P999,
    OPERATION_P50,
    OPERATION_P99,
    BYTES_CLIENT,
    BYTES_SERVER,
    CPU_CLIENT,
    CPU_SERVER,
    VERIFY,
    BYTES_TO_FIRST,
    CPU_TO_FIRST,
];

/// With sums over both sides, for a narrower terminal.
const SUMS: [Heading; 10] = [
    ERRORS,
    HANDSHAKE_P50,
    HANDSHAKE_P99,
    OPERATION_P50,
    OPERATION_P99,
    BYTES,
    CPU_BOTH,
    VERIFY,
    BYTES_TO_FIRST,
    CPU_TO_FIRST,
];

/// For a terminal of 80 columns.
const NARROW: [Heading; 7] = [
    HANDSHAKE_P50,
    HANDSHAKE_P99,
    BYTES,
    CPU_BOTH,
    VERIFY,
    BYTES_TO_FIRST,
    CPU_TO_FIRST,
];

/// What the run is about.
const LEAST: [Heading; 5] = [HANDSHAKE_P50, BYTES, CPU_BOTH, BYTES_TO_FIRST, CPU_TO_FIRST];

const CLIENT_HANDSHAKES: Heading = heading(
    COMPLETED,
    "clients",
    "handshakes by side",
    Column::ClientHandshakes,
);
const SERVER_HANDSHAKES: Heading = heading(
    COMPLETED,
    "servers",
    "handshakes by side",
    Column::ServerHandshakes,
);
const FAILED: Heading = heading("", "failed", "failed", Column::FailedHandshakes);

/// What the comparison of an observation shows, whose variants have longer names.
const OBSERVED: [Heading; 9] = [
    CLIENT_HANDSHAKES,
    SERVER_HANDSHAKES,
    FAILED,
    HANDSHAKE_P50,
    BYTES,
    CPU_BOTH,
    VERIFY,
    BYTES_TO_FIRST,
    CPU_TO_FIRST,
];

/// The ratios that are shown with their intervals, what goes first for want of room last.
const INTERVALS: [(&str, Metric); 4] = [
    ("bytes", Metric::Bytes),
    ("CPU", Metric::Cpu),
    ("handshake p50", Metric::HandshakeP50),
    ("operation p50", Metric::OperationP50),
];

/// One column: the heading over its group, its own heading, and its cells.
struct Cells {
    group: String,
    heading: &'static str,
    label: &'static str,
    cells: Vec<String>,
}

/// The report as plain text, lines of at most 120 characters.
pub fn table(report: &Report<'_>) -> String {
    table_within(report, WIDTH)
}

/// The report as plain text for a terminal of so many columns, of which no more than 120 are used. Tables leave out columns until they
/// fit, and say which; where not even the least does, each variant is a block of lines.
pub fn table_within(report: &Report<'_>, width: usize) -> String {
    let width = width.min(WIDTH);
    let mut text = String::new();
    if report.verdict.outcome != Outcome::Passed {
        let title = title(report.verdict.outcome).to_uppercase();
        let line = format!("{title}: the reason is in the last line");
        paragraph(&mut text, width, "", &line);
        text.push('\n');
    }
    if !report.rows.is_empty() {
        let rows = &report.rows;
        let operation = operation(report.results);
        let layouts: [&[Heading]; 4] = match report.results.run.observed {
            None => [&FULL, &SUMS, &NARROW, &LEAST],
            Some(_) => [&OBSERVED, &NARROW, &LEAST, &LEAST],
        };
        fitted(
            &mut text,
            rows,
            &layouts.map(|of| columns(rows, of, operation)),
            width,
        );
        text.push('\n');
        paragraph(
            &mut text,
            width,
            "  ",
            "bytes and CPU are means per handshake; × relates both sides' sum to the first variant's",
        );
        if rows.iter().any(|row| row.invalid.is_some()) {
            paragraph(&mut text, width, "  ", LEFT_OUT);
        }
        for sentence in &report.legend {
            paragraph(&mut text, width, "  ", sentence);
        }
        text.push('\n');
        if rows.iter().any(|row| !row.variant.to_first.is_empty()) {
            let layouts: Vec<Vec<Cells>> = (1..=INTERVALS.len())
                .rev()
                .map(|shown| intervals(rows, &INTERVALS[..shown]))
                .collect();
            fitted(&mut text, rows, &layouts, width);
            text.push('\n');
            paragraph(
                &mut text,
                width,
                "  ",
                "to the first variant, with the interval that holds 95 % of the ratios when slices are drawn again",
            );
            text.push('\n');
        }
    }
    let by_way = narrow_ways(report.results).map(|ways| (ways::TITLE, ways, ways::NOTE));
    let costs = narrow_costs(report.results).map(|costs| (TITLE, costs, NOTE));
    for (title, data, note) in by_way.into_iter().chain(costs) {
        text.push_str(&format!("{}\n", title.to_uppercase()));
        plain_grid(&mut text, width, &data);
        text.push('\n');
        paragraph(&mut text, width, "  ", note);
        text.push('\n');
    }
    if let Some((steps, sentences)) =
        storm::steps(report.results).zip(storm::summary(report.results))
    {
        text.push_str(&format!("{}\n", storm::TITLE.to_uppercase()));
        plain_grid(&mut text, width, &steps);
        text.push('\n');
        paragraph(&mut text, width, "  ", &sentences);
        text.push('\n');
    }
    if let Some(learning) = narrow_learning(report.results) {
        text.push_str(&format!("{}\n", learning::TITLE.to_uppercase()));
        plain_grid(&mut text, width, &learning);
        text.push('\n');
        paragraph(&mut text, width, "  ", &learning::note([report.results]));
        text.push('\n');
    }
    for (title, data, note) in observed::tables(report.results) {
        text.push_str(&format!("{}\n", title.to_uppercase()));
        plain_grid(&mut text, width, &data);
        if !note.is_empty() {
            text.push('\n');
            paragraph(&mut text, width, "  ", note);
        }
        text.push('\n');
    }
    paragraph(&mut text, width, "", &report.headline);
    for finding in &report.findings {
        let line = format!("{}: {}", finding.tone.as_str(), finding.text);
        paragraph(&mut text, width, "- ", &line);
    }
    for caveat in &report.caveats {
        paragraph(&mut text, width, "- caveat: ", caveat);
    }
    for warning in report.warnings() {
        paragraph(&mut text, width, "- warning: ", warning);
    }
    thresholds(&mut text, width, report.thresholds);
    text.push('\n');
    verdict(&mut text, width, &report.verdict);
    printable_lines(&text)
}

fn verdict(text: &mut String, width: usize, verdict: &Judgement) {
    let title = title(verdict.outcome).to_uppercase();
    let line = format!("{title}: {}", verdict.reasons.join("; "));
    paragraph(text, width, "", &line);
}

/// The first of the layouts that fits, the widest of which has everything; what it leaves out is said below it.
fn fitted(text: &mut String, rows: &[Row<'_>], layouts: &[Vec<Cells>], width: usize) {
    let Some(full) = layouts.first() else {
        return;
    };
    let drawn = layouts.iter().map(|layout| (layout, grid(rows, layout)));
    let fits =
        |(_, grid): &(&Vec<Cells>, String)| grid.lines().all(|line| self::width(line) <= width);
    let Some((layout, grid)) = drawn.into_iter().find(fits) else {
        return blocks(text, rows, full, width);
    };
    text.push_str(&grid);
    let mut left_out: Vec<&str> = full
        .iter()
        .map(|column| column.label)
        .filter(|label| layout.iter().all(|shown| shown.label != *label))
        .collect();
    left_out.dedup();
    if !left_out.is_empty() {
        let line = format!(
            "left out, as this terminal has {width} columns: {}; mtc5g report table has them when it does not print to a terminal",
            left_out.join(", ")
        );
        paragraph(text, width, "  ", &line);
    }
}

/// Each variant by itself, with everything that there is.
fn blocks(text: &mut String, rows: &[Row<'_>], columns: &[Cells], width: usize) {
    for (index, row) in rows.iter().enumerate() {
        text.push_str(&format!("{}\n", marked(row)));
        let group = |group: &[Cells]| {
            let cells = group
                .iter()
                .map(|column| format!("{} {}", column.heading, column.cells[index]));
            let cells: Vec<String> = cells.collect();
            match group[0].group.as_str() {
                "" => cells.join(", "),
                name => format!("{name}: {}", cells.join(", ")),
            }
        };
        for line in columns.chunk_by(|a, b| a.group == b.group).map(group) {
            paragraph(text, width, "  ", &line);
        }
    }
}

/// The name of a variant, and whether its times are no measurement.
fn marked(row: &Row<'_>) -> String {
    match row.invalid {
        Some(_) => fit(&row.variant.name, MAX_NAME - 2) + " !",
        None if row.is_observed => fit(&row.variant.name, MAX_PROFILE),
        None => fit(&row.variant.name, MAX_NAME),
    }
}

fn thresholds(text: &mut String, width: usize, thresholds: &[ThresholdOutcome]) {
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
        paragraph(text, width, "- ", &line);
    }
}

fn columns(rows: &[Row<'_>], headings: &[Heading], operation: &str) -> Vec<Cells> {
    let group = |heading: &Heading| match heading.group {
        OPERATION => format!("{operation}, ms"),
        group => group.to_owned(),
    };
    let cells = |heading: &Heading| Cells {
        group: group(heading),
        heading: heading.name,
        label: heading.label,
        cells: rows.iter().map(|row| row.cell(heading.column)).collect(),
    };
    headings.iter().map(cells).collect()
}

fn intervals(rows: &[Row<'_>], metrics: &[(&'static str, Metric)]) -> Vec<Cells> {
    let cells = |(heading, metric): &(&'static str, Metric)| Cells {
        group: String::new(),
        heading,
        label: heading,
        cells: rows
            .iter()
            .map(|row| with_interval(row.variant, *metric))
            .collect(),
    };
    metrics.iter().map(cells).collect()
}

fn grid(rows: &[Row<'_>], columns: &[Cells]) -> String {
    let names: Vec<String> = rows.iter().map(marked).collect();
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
        let heading = &group[0].group;
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

/// A table whose first two columns are names; where it is too wide, each row is a paragraph.
fn plain_grid(out: &mut String, max: usize, Data { head, rows }: &Data) {
    let lines = || std::iter::once(head).chain(rows);
    let widest = |column: usize| lines().map(|cells| width(&cells[column])).max();
    let widths: Vec<usize> = (0..head.len()).filter_map(widest).collect();
    if widths.iter().map(|width| width + 2).sum::<usize>() > max + 2 {
        for cells in rows {
            let figures = head.iter().zip(cells).skip(2);
            let figures: Vec<String> = figures
                .map(|(head, cell)| format!("{head} {cell}"))
                .collect();
            let line = format!("{}, {}: {}", cells[0], cells[1], figures.join(", "));
            paragraph(out, max, "", &line);
        }
        return;
    }
    for cells in lines() {
        let padded = cells.iter().zip(&widths).enumerate();
        let padded = padded.map(|(column, (cell, width))| match column {
            0 | 1 => pad_end(cell, *width),
            _ => pad_start(cell, *width),
        });
        let line = padded.collect::<Vec<_>>().join("  ");
        out.push_str(&format!("{}\n", line.trim_end()));
    }
}

/// Appends `text` in lines of at most so many characters, the first one after `lead`, the others below its text.
pub(super) fn paragraph(out: &mut String, max: usize, lead: &str, text: &str) {
    let indent = " ".repeat(if lead.is_empty() { 0 } else { 2 });
    let mut line = lead.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && width(&line) + 1 + width(word) > max {
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
    fn the_unit_of_every_operation_is_named() {
        for (operation, heading) in [
            ("register", "register, ms"),
            ("discover", "discover, ms"),
            ("handshake", "operation, ms"),
            ("mix", "mix, ms"),
        ] {
            let mut results = quick();
            results.run.operation = operation.to_owned();
            let text = table(&results);
            assert!(text.lines().any(|line| line.contains(heading)), "{text}");
        }
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
    fn a_table_fits_its_terminal_and_says_what_it_left_out() {
        let results = quick();
        let report = Report::of(&results);
        for columns in [40, 60, 80, 100, 120] {
            let text = table_within(&report, columns);
            let longest = text.lines().map(width).max();
            assert!(longest <= Some(columns), "{columns} columns: {text}");
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let says_so = words.contains("left out, as this terminal has");
            assert_eq!(says_so, columns < 120, "{columns} columns: {text}");
            assert!(words.contains("14,860"), "{columns} columns: {text}");
        }
        let text = table_within(&report, 80);
        assert!(
            text.contains("left out, as this terminal has 80 columns: ok, errors, handshake p90,"),
            "{text}"
        );
        assert_eq!(table_within(&report, 500), super::table(&report));
    }

    #[test]
    fn where_no_table_fits_each_variant_is_a_block_with_everything() {
        let results = quick();
        let text = table_within(&Report::of(&results), 30);
        let block = "mtc-landmark\n  ok 540, err 0\n  handshake, ms: p50 1.31, p90\n  1.68, p99 3.30, p99.9 5.89\n";
        assert!(text.contains(block), "{text}");
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
