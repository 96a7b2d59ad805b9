//! The report as one HTML file that needs nothing else: no script, no font, no request.
//!
//! ```text
//!  what it costs   verdict, the answer, the table    <- the first screen
//!  what it says    findings, caveats
//!  charts          bytes, CPU, handshake, operation  each: one sentence, the drawing, its figures as a table
//!  how             environment, method, scenario
//! ```

use maud::{DOCTYPE, Markup, PreEscaped, html};
use mtc_core::printable::printable_lines;

use super::charts::{Data, Figure, figures};
use super::columns::{Column, Row};
use super::content::{Judgement, Report};
use super::escape::percent_encoded;
use super::learning;
use super::legs::{self, legs};
use super::observed;
use super::procedure::{BY_NF, NOTE, TITLE, costs, hop_costs, nf_costs};
use super::scenario_text::lines;
use super::storm;
use super::svg::Caption;
use super::ways;
use super::wording::{LEFT_OUT, capitalised, composition, operation, outcome, sides, title};
use crate::results::{Metric, Outcome, Ratio, Results, ThresholdOutcome};

const STYLE: &str = concat!(
    include_str!("palette.css"),
    include_str!("dark.css"),
    include_str!("chart.css"),
    include_str!("style.css")
);

/// What the comparison shows of each variant, under the headings in [`comparison`]; where there is no room for those, under these.
const COLUMNS: [(&str, Column); 12] = [
    ("Bytes", Column::Bytes),
    ("Bytes, ×", Column::ToFirst(Metric::Bytes)),
    ("CPU, µs", Column::Cpu),
    ("CPU, ×", Column::ToFirst(Metric::Cpu)),
    ("Verify, µs", Column::Verify),
    ("Handshake p50, ms", Column::HandshakeP50),
    ("Handshake p50, ×", Column::ToFirst(Metric::HandshakeP50)),
    ("Handshake p99, ms", Column::HandshakeP99),
    ("Operation p50, ms", Column::OperationP50),
    ("Operation p99, ms", Column::OperationP99),
    ("ok", Column::Ok),
    ("errors", Column::Errors),
];

/// The report as a self-contained HTML page.
pub fn html(report: &Report<'_>) -> String {
    let content = html! {
        (opening(report))
        (procedures(report.results))
        (registration_storm(report.results))
        (learning_table(report.results))
        (observed_tables(report.results))
        (statements(report))
        (charts(report))
        (method(report))
    };
    html_page(&report.results.run.name, &content)
}

/// A page of this content in the style of reports, self-contained.
pub fn html_page(title: &str, content: &Markup) -> String {
    let page = html! {
        (DOCTYPE) "\n"
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " - mtc5g report" }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (content) } }
        }
        "\n"
    };
    // Markup of others is text by now; what turns or hides the text around it becomes visible.
    printable_lines(&page.into_string())
}

fn opening(report: &Report<'_>) -> Markup {
    let run = &report.results.run;
    html! {
        header {
            p.kicker { "mtc5g report: " @if run.observed.is_none() { "scenario " } (run.name) ", " (moment(run.started)) " to " (moment(run.ended)) }
            h1 { "What each variant costs, compared with " (report.first().unwrap_or("the first")) }
            @if !run.description.is_empty() {
                p.note { (run.description) }
            }
        }
        (verdict(report))
        p.lead { (report.headline) }
        @if let Some(first) = report.first() {
            @if run.observed.is_some() { (observed_comparison(report, first)) } @else { (comparison(report, first)) }
        }
        @if !report.warnings().is_empty() {
            div class="verdict warnings" { strong { "Warnings." } (list(report.warnings())) }
        }
        @if !report.thresholds.is_empty() { (thresholds(report.thresholds)) }
    }
}

fn moment(time: time::OffsetDateTime) -> String {
    format!(
        "{} {:02}:{:02}:{:02} UTC",
        time.date(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

fn verdict(report: &Report<'_>) -> Markup {
    let Judgement { outcome, reasons } = &report.verdict;
    let class = match outcome {
        Outcome::Passed => "verdict",
        _ => "verdict failed",
    };
    html! {
        div class=(class) {
            strong { (title(*outcome)) "." }
            @if let [reason] = reasons.as_slice() { " " (capitalised(reason)) "." } @else { (list(reasons)) }
        }
    }
}

fn list(lines: &[String]) -> Markup {
    html! {
        @if !lines.is_empty() {
            ul { @for line in lines { li { (line) } } }
        }
    }
}

fn thresholds(thresholds: &[ThresholdOutcome]) -> Markup {
    let (class, text) = if thresholds.iter().all(|threshold| threshold.met) {
        ("verdict", "Thresholds met.")
    } else if thresholds.iter().any(|threshold| !threshold.judged) {
        ("verdict failed", "Not all thresholds could be judged.")
    } else {
        ("verdict failed", "Thresholds broken.")
    };
    html! {
        div class=(class) {
            strong { (text) }
            ul {
                @for threshold in thresholds {
                    li {
                        strong class=(outcome(threshold)) { (outcome(threshold)) }
                        " " (threshold.name) ": " code { (threshold.expression) } " (" (sides(threshold)) ")"
                    }
                }
            }
        }
    }
}

fn comparison(report: &Report<'_>, first: &str) -> Markup {
    let table = html! {
        thead {
            tr {
                th rowspan="2" scope="col" { "Variant" }
                th.group colspan="2" scope="colgroup" { "Bytes per handshake" }
                th.group colspan="2" scope="colgroup" { "CPU per handshake, µs" }
                th rowspan="2" scope="col" { "Verify, µs" }
                th.group colspan="3" scope="colgroup" { "Handshake, ms" }
                th.group colspan="2" scope="colgroup" { (capitalised(operation(report.results))) ", ms" }
                th rowspan="2" scope="col" { "ok" }
                th rowspan="2" scope="col" { "errors" }
            }
            tr {
                @for heading in ["both", "×", "both", "×", "p50", "×", "p99", "p50", "p99"] {
                    th scope="col" { (heading) }
                }
            }
        }
        tbody { @for of in &report.rows { (row(of, &COLUMNS)) } }
    };
    html! {
        (scroll("Comparison", &html! { table.cards { (table) } }))
        p.note {
            "Bytes and CPU: both sides together. × relates to " (first) "; below it, the interval that holds 95 % of the ratios \
             when slices of the run are drawn again."
            @for sentence in &report.legend { " " (sentence) }
        }
        @if report.rows.iter().any(|row| row.invalid.is_some()) { p.note { (LEFT_OUT) "." } }
    }
}

/// The comparison of what no load of ours brought about.
fn observed_comparison(report: &Report<'_>, first: &str) -> Markup {
    html! {
        (scroll("Comparison", &figures_table(&observed::comparison(&report.rows))))
        p.note {
            "Bytes and CPU are means per handshake, and × relates both sides' sum to " (first) "."
            @for sentence in &report.legend { " " (sentence) }
        }
    }
}

/// The processes that were observed, and their requests.
fn observed_tables(results: &Results) -> Markup {
    html! {
        @for (title, data, note) in observed::tables(results) {
            section {
                h2 { (title) }
                (scroll(title, &figures_table(&data)))
                @if !note.is_empty() { p.note { (note) } }
            }
        }
    }
}

/// What may be wider than a screen, such as a table; `label` names it to those who do not see it.
pub fn scroll(label: &str, content: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) { (content) }
    }
}

/// A variant in a table with these columns, each with its label for narrow screens; below a ratio, between what 95 % of the resampled
/// ones lie.
pub(super) fn row(row: &Row<'_>, columns: &[(&str, Column)]) -> Markup {
    html! {
        "\n"
        tr {
            th scope="row" {
                (row.variant.name)
                @if let Some(why) = row.invalid { small.broken { (why) } }
            }
            @for (label, column) in columns {
                @if let Column::ToFirst(metric) = *column {
                    td.times data-label=(label) {
                        (row.cell(*column))
                        @if let Some(Ratio { low, high, .. }) = row.variant.ratio(metric) {
                            small { (format!("{low:.2} to {high:.2}")) }
                        }
                    }
                } @else {
                    td data-label=(label) { (row.cell(*column)) }
                }
            }
        }
    }
}

/// What each procedure of a UE costs, and what each leg of a way through the SCP.
fn procedures(results: &Results) -> Markup {
    html! {
        @if let Some(costs) = costs(results) {
            section id="procedures" {
                @if let Some(costs) = ways::ways(results) {
                    h2 { (ways::TITLE) }
                    (scroll(ways::TITLE, &figures_table(&costs)))
                    p.note { (ways::NOTE) }
                }
                h2 { (TITLE) }
                (scroll(TITLE, &figures_table(&costs)))
                p.note { (NOTE) }
                @if let Some(costs) = nf_costs(results) {
                    h3 { (BY_NF) }
                    (scroll(BY_NF, &figures_table(&costs)))
                }
                @if let Some(costs) = hop_costs(results) {
                    details {
                        summary { "Hop by hop" }
                        (scroll("Hop by hop", &figures_table(&costs)))
                        p {
                            a download="procedures.csv" href={ "data:text/csv;charset=utf-8," (percent_encoded(&costs.csv())) } { "Download as CSV" }
                        }
                    }
                }
            }
        }
        @if let Some(legs) = legs(results) {
            section id="legs" {
                h2 { (legs::TITLE) }
                (scroll(legs::TITLE, &figures_table(&legs)))
                p.note { (legs::NOTE) }
            }
        }
    }
}

/// How the instances of a large lab came up.
fn registration_storm(results: &Results) -> Markup {
    html! {
        @if let Some((steps, sentences)) = storm::steps(results).zip(storm::summary(results)) {
            section id="storm" {
                h2 { (storm::TITLE) }
                (scroll(storm::TITLE, &figures_table(&steps)))
                p.note { (sentences) }
            }
        }
    }
}

/// What it took processes to learn of landmarks.
fn learning_table(results: &Results) -> Markup {
    html! {
        @if let Some(learned) = learning::narrow_learning(results) {
            (learned_section(&learned, &learning::note([results])))
        }
    }
}

/// The section of such a table, of a run or of a sweep.
pub(super) fn learned_section(learned: &Data, note: &str) -> Markup {
    html! {
        section id="learning" {
            h2 { (learning::TITLE) }
            (scroll(learning::TITLE, &figures_table(learned)))
            p.note { (note) }
        }
    }
}

fn statements(report: &Report<'_>) -> Markup {
    html! {
        section {
            @if !report.findings.is_empty() {
                h2 { "What the figures say" @if report.has_mtc() { " about Merkle Tree Certificates" } }
                ul.findings {
                    @for finding in &report.findings {
                        li {
                            span class={ "tone " (finding.tone.as_str()) } { (finding.tone.as_str()) }
                            span { (finding.text) }
                        }
                    }
                }
            }
            h2 { "What they cannot show" }
            (list(&report.caveats))
        }
    }
}

fn charts(report: &Report<'_>) -> Markup {
    html! {
        section {
            h2 { "Charts" }
            div.charts { @for of in &figures(report.results) { (figure(of)) } }
        }
    }
}

/// A chart with its sentence and its data.
pub(super) fn figure(
    Figure {
        caption,
        chart,
        data,
    }: &Figure,
) -> Markup {
    html! {
        "\n"
        figure {
            h3 { (caption.title) }
            figcaption { (caption.sentence) }
            (PreEscaped(chart.inline(caption)))
            (data_table(caption, data))
        }
    }
}

fn figures_table(data: &Data) -> Markup {
    html! {
        table {
            thead { tr { @for cell in &data.head { th scope="col" { (cell) } } } }
            tbody {
                @for cells in &data.rows {
                    "\n"
                    tr { @for cell in cells { td { (cell) } } }
                }
            }
        }
    }
}

/// The figures behind a chart, to read and to take away.
fn data_table(Caption { id, title, .. }: &Caption, data: &Data) -> Markup {
    let table = figures_table(data);
    html! {
        details {
            summary { "Figures as a table" }
            (scroll(&format!("Figures: {title}"), &table))
            p {
                a download={ (id) ".csv" } href={ "data:text/csv;charset=utf-8," (percent_encoded(&data.csv())) } { "Download as CSV" }
            }
        }
    }
}

/// Names and what belongs to each.
pub(super) fn facts<T: maud::Render>(facts: &[(&str, T)]) -> Markup {
    html! {
        dl { @for (name, fact) in facts { dt { (name) } dd { (fact) } } }
    }
}

/// The scenario, to be opened; what was not applied is struck out.
pub(super) fn scenario(results: &Results) -> Markup {
    html! {
        details {
            summary { "The scenario" @if results.run.joined { "; struck out is what was not applied" } @else { ", verbatim" } }
            pre {
                @for line in lines(results) {
                    @if line.is_applied { (line.text) } @else { s { (line.text) } }
                    @if let Some(instead) = line.instead { " # " (instead) }
                    "\n"
                }
            }
        }
    }
}

fn method(report: &Report<'_>) -> Markup {
    let variants = report.rows.iter().map(|row| row.variant);
    let variants: Vec<(&str, String)> = variants
        .map(|variant| (variant.name.as_str(), composition(variant)))
        .collect();
    html! {
        section {
            h2 { "Variants" }
            (facts(&variants))
            h2 { "How it was measured" }
            p {
                @if report.results.run.observed.is_none() {
                    "Variants ran interleaved, arrival by arrival, so that a disturbance of the machine hits them all alike. "
                }
                (report.arrivals)
                " Handshake latency counts from the established TCP connection. Bytes are those of TLS records, without TCP and IP \
                 headers, that a side sent until its handshake completed. CPU is thread time that a side spent in the handshake, \
                 verification included. Only completed handshakes"
                @if report.results.run.observed.is_none() { " and successful operations" }
                " are in the times."
            }
            h2 { "Environment" }
            (facts(&report.environment))
            @if report.results.run.observed.is_none() { (scenario(report.results)) }
        }
    }
}

#[cfg(test)]
mod tests;
