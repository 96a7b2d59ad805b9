//! The results as one HTML file that needs nothing else: no script, no font, no request.
//!
//! ```text
//!  what it costs   verdict, the answer, the table    <- the first screen
//!  what it says    findings, caveats
//!  charts          bytes, CPU, handshake, operation  each: one sentence, the drawing, its figures as a table
//!  how             environment, method, scenario
//! ```

use super::charts::{Data, Figure, figures};
use super::columns::{Column, Row};
use super::content::{Report, Verdict};
use super::escape::{escape, percent_encoded};
use super::figures::{capitalised, composition, operation, outcome, sides};
use super::svg::Caption;
use super::wording::NOT_VALID;
use crate::results::{Metric, Ratio, Results, ThresholdOutcome};

const STYLE: &str = concat!(
    include_str!("palette.css"),
    include_str!("dark.css"),
    include_str!("chart.css"),
    include_str!("style.css")
);

/// What the comparison shows of each variant, under the headings in [`comparison`].
const COLUMNS: [Column; 12] = [
    Column::Bytes,
    Column::ToFirst(Metric::Bytes),
    Column::Cpu,
    Column::ToFirst(Metric::Cpu),
    Column::Verify,
    Column::HandshakeP50,
    Column::ToFirst(Metric::HandshakeP50),
    Column::HandshakeP99,
    Column::OperationP50,
    Column::OperationP99,
    Column::Ok,
    Column::Errors,
];

/// The report as a self-contained HTML page.
pub fn html(report: &Report<'_>) -> String {
    let sections = [
        opening(report),
        statements(report),
        charts(report.results),
        method(report),
    ];
    page(&report.results.run.name, &sections.concat())
}

/// A page of this content.
pub(super) fn page(title: &str, content: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{} - mtc5g report</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
        escape(title),
        content
    )
}

fn opening(report: &Report<'_>) -> String {
    let run = &report.results.run;
    let first = report.first().unwrap_or("the first");
    let description = match run.description.as_str() {
        "" => String::new(),
        description => format!("<p class=\"note\">{}</p>\n", escape(description)),
    };
    // Figures of a failed run are not to be read before the failure.
    let (before, after) = match report.verdict {
        Verdict::Passed(_) => (String::new(), verdict(report)),
        Verdict::NotValid(_) => (verdict(report), String::new()),
    };
    format!(
        "<header>\n<p class=\"kicker\">mtc5g report: scenario {}, {} to {}</p>\n<h1>What each variant costs, compared with \
         {}</h1>\n{description}</header>\n<p class=\"lead\">{}</p>\n{}{}{}{}",
        escape(&run.name),
        moment(run.started),
        moment(run.ended),
        escape(first),
        escape(&report.headline),
        before,
        comparison(report),
        after,
        thresholds(report.thresholds)
    )
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

fn verdict(report: &Report<'_>) -> String {
    let list = |lines: &[String]| match lines {
        [] => String::new(),
        lines => {
            let items: String = lines
                .iter()
                .map(|line| format!("<li>{}</li>", escape(line)))
                .collect();
            format!("<ul>{items}</ul>")
        }
    };
    let warnings = list(report.warnings());
    match &report.verdict {
        Verdict::Passed(meaning) => format!(
            "<div class=\"verdict\"><strong>Passed.</strong> {}.{warnings}</div>\n",
            escape(&capitalised(meaning))
        ),
        Verdict::NotValid(reasons) => format!(
            "<div class=\"verdict failed\"><strong>{NOT_VALID}.</strong> The figures below are not what the scenario asks \
             for:{}{warnings}</div>\n",
            list(reasons)
        ),
    }
}

fn thresholds(thresholds: &[ThresholdOutcome]) -> String {
    if thresholds.is_empty() {
        return String::new();
    }
    let (class, text) = if thresholds.iter().all(|threshold| threshold.met) {
        ("", "Thresholds met.")
    } else {
        (" failed", "Thresholds broken.")
    };
    let items: String = thresholds
        .iter()
        .map(|threshold| {
            format!(
                "<li><strong class=\"{word}\">{word}</strong> {}: <code>{}</code> ({})</li>",
                escape(&threshold.name),
                escape(&threshold.expression),
                sides(threshold),
                word = outcome(threshold)
            )
        })
        .collect();
    format!("<div class=\"verdict{class}\"><strong>{text}</strong><ul>{items}</ul></div>\n")
}

fn comparison(report: &Report<'_>) -> String {
    let Some(first) = report.first() else {
        return String::new();
    };
    let operation = capitalised(operation(report.results));
    let rows: String = report.rows.iter().map(comparison_row).collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Comparison\">\n<table>\n<thead>\n<tr><th \
         rowspan=\"2\" scope=\"col\">Variant</th><th class=\"group\" colspan=\"2\" scope=\"colgroup\">Bytes per handshake</th>\
         <th class=\"group\" colspan=\"2\" scope=\"colgroup\">CPU per handshake, µs</th><th rowspan=\"2\" scope=\"col\">Verify, \
         µs</th><th class=\"group\" colspan=\"3\" scope=\"colgroup\">Handshake, ms</th><th class=\"group\" colspan=\"2\" \
         scope=\"colgroup\">{operation}, ms</th><th rowspan=\"2\" scope=\"col\">ok</th><th rowspan=\"2\" \
         scope=\"col\">errors</th></tr>\n<tr>{}</tr>\n</thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n\
         <p class=\"note\">Bytes and CPU: both sides together. × relates to {}; below it, the interval that holds \
         95 % of the ratios when slices of the run are drawn again.</p>\n",
        ["both", "×", "both", "×", "p50", "×", "p99", "p50", "p99"]
            .map(|text| format!("<th scope=\"col\">{text}</th>"))
            .concat(),
        escape(first)
    )
}

fn comparison_row(row: &Row<'_>) -> String {
    let cells: String = COLUMNS
        .map(|column| match column {
            Column::ToFirst(metric) => format!(
                "<td class=\"times\">{}{}</td>",
                row.cell(column),
                interval(row.variant.ratio(metric))
            ),
            column => format!("<td>{}</td>", row.cell(column)),
        })
        .concat();
    let mark = row.invalid.map_or_else(String::new, |why| {
        format!("<small class=\"broken\">{why}</small>")
    });
    let name = escape(&row.variant.name);
    format!("<tr><th scope=\"row\">{name}{mark}</th>{cells}</tr>\n")
}

/// Below its ratio: between what 95 % of the resampled ratios lie.
pub(super) fn interval(ratio: Option<&Ratio>) -> String {
    ratio.map_or_else(String::new, |Ratio { low, high, .. }| {
        format!("<small>{low:.2} to {high:.2}</small>")
    })
}

fn statements(report: &Report<'_>) -> String {
    let findings: String = report
        .findings
        .iter()
        .map(|finding| {
            let tone = finding.tone.as_str();
            format!(
                "<li><span class=\"tone {tone}\">{tone}</span><span>{}</span></li>\n",
                escape(&finding.text)
            )
        })
        .collect();
    let caveats: String = report
        .caveats
        .iter()
        .map(|caveat| format!("<li>{}</li>\n", escape(caveat)))
        .collect();
    format!(
        "<section>\n<h2>What the figures say about Merkle Tree Certificates</h2>\n<ul class=\"findings\">\n{findings}</ul>\n\
         <h2>What they cannot show</h2>\n<ul>\n{caveats}</ul>\n</section>\n"
    )
}

fn charts(results: &Results) -> String {
    let figures: String = figures(results).iter().map(figure).collect();
    format!("<section>\n<h2>Charts</h2>\n<div class=\"charts\">\n{figures}</div>\n</section>\n")
}

/// A chart with its sentence and its data.
pub(super) fn figure(
    Figure {
        caption,
        chart,
        data,
    }: &Figure,
) -> String {
    format!(
        "<figure>\n<h3>{}</h3>\n<figcaption>{}</figcaption>\n{}{}</figure>\n",
        escape(&caption.title),
        escape(&caption.sentence),
        chart.inline(caption),
        data_table(caption, data)
    )
}

/// The figures behind a chart, to read and to take away.
fn data_table(Caption { id, title, .. }: &Caption, data: &Data) -> String {
    let head: String = data
        .head
        .iter()
        .map(|cell| format!("<th scope=\"col\">{}</th>", escape(cell)))
        .collect();
    let row = |cells: &Vec<String>| {
        let cells: String = cells
            .iter()
            .map(|cell| format!("<td>{}</td>", escape(cell)))
            .collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = data.rows.iter().map(row).collect();
    format!(
        "<details><summary>Figures as a table</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Figures: {title}\">\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n\
         </div>\n<p><a download=\"{id}.csv\" href=\"data:text/csv;charset=utf-8,{}\">Download as CSV</a></p>\n</details>\n",
        percent_encoded(&data.csv()),
        title = escape(title)
    )
}

fn method(report: &Report<'_>) -> String {
    let arrivals = report.arrivals;
    let facts: String = report
        .environment
        .iter()
        .map(|(name, text)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(text)))
        .collect();
    let variants: String = report
        .results
        .variants
        .iter()
        .map(|variant| {
            format!(
                "<dt>{}</dt><dd>{}</dd>\n",
                escape(&variant.name),
                escape(&composition(variant))
            )
        })
        .collect();
    format!(
        "<section>\n<h2>Variants</h2>\n<dl>\n{variants}</dl>\n<h2>How it was measured</h2>\n\
         <p>Variants ran interleaved, arrival by arrival, so that a disturbance of the machine hits them all alike. {arrivals} Handshake latency counts from the established TCP \
         connection. Bytes are those of TLS records, without TCP and IP headers, that a side sent until its handshake \
         completed. CPU is thread time that a side spent in the handshake, verification included. Only completed handshakes \
         and successful operations are in the times.</p>\n<h2>Environment</h2>\n<dl>\n{facts}</dl>\n\
         <details><summary>The scenario, verbatim</summary>\n<pre>{}</pre>\n</details>\n</section>\n",
        escape(&report.results.scenario)
    )
}

#[cfg(test)]
mod tests;
