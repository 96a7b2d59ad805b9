//! The results as one HTML file that needs nothing else: no script, no font, no request.
//!
//! ```text
//!  what it costs   verdict, the answer, the table    <- the first screen
//!  what it says    findings, caveats
//!  charts          bytes, CPU, handshake, operation  each: one sentence, the drawing, its figures as a table
//!  how             environment, method, scenario
//! ```

use super::charts::{Data, Figure, figures};
use super::escape::{escape, percent_encoded};
use super::figures::{
    at, capitalised, composition, count, invalid, operation, outcome, ratio, sides, time, times,
    whole,
};
use super::findings::{caveats, findings, headline};
use super::svg::Caption;
use crate::results::{Metric, Ratio, Results, VariantResult};
use crate::scenario::{ArrivalProcess, Scenario};

const STYLE: &str = concat!(
    include_str!("palette.css"),
    include_str!("dark.css"),
    include_str!("chart.css"),
    include_str!("style.css")
);

/// The results as a self-contained HTML page.
pub fn html(results: &Results) -> String {
    let sections = [
        opening(results),
        statements(results),
        charts(results),
        method(results),
    ];
    page(&results.run.name, &sections.concat())
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

fn opening(results: &Results) -> String {
    let first = results
        .variants
        .first()
        .map_or("the first", |first| &first.name);
    let description = match results.run.description.as_str() {
        "" => String::new(),
        description => format!("<p class=\"note\">{}</p>\n", escape(description)),
    };
    // Figures of a failed run are not to be read before the failure.
    let (before, after) = match results.verdict.passed {
        true => (String::new(), verdict(results)),
        false => (verdict(results), String::new()),
    };
    format!(
        "<header>\n<p class=\"kicker\">mtc5g report: scenario {}, {} to {}</p>\n<h1>What each variant costs, compared with \
         {}</h1>\n{description}</header>\n<p class=\"lead\">{}</p>\n{}{}{}{}",
        escape(&results.run.name),
        moment(results.run.started),
        moment(results.run.ended),
        escape(first),
        escape(&headline(results)),
        before,
        comparison(results),
        after,
        thresholds(results)
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

fn verdict(results: &Results) -> String {
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
    let (class, text) = if results.verdict.passed {
        (
            "",
            "<strong>Passed.</strong> No errors, no drops, every handshake was served the credential kind its variant asks for.",
        )
    } else {
        (
            " failed",
            "<strong>Not a valid measurement.</strong> The figures below are not what the scenario asks for:",
        )
    };
    let violations = list(&results.verdict.violations);
    let warnings = list(&results.verdict.warnings);
    format!("<div class=\"verdict{class}\">{text}{violations}{warnings}</div>\n")
}

fn thresholds(results: &Results) -> String {
    if results.thresholds.is_empty() {
        return String::new();
    }
    let (class, text) = if results.thresholds_met() {
        ("", "Thresholds met.")
    } else {
        (" failed", "Thresholds broken.")
    };
    let items: String = results
        .thresholds
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

fn comparison(results: &Results) -> String {
    let Some(first) = results.variants.first() else {
        return String::new();
    };
    let operation = capitalised(operation(results));
    let rows: String = results
        .variants
        .iter()
        .map(|variant| comparison_row(variant, first))
        .collect();
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
        escape(&first.name)
    )
}

fn comparison_row(variant: &VariantResult, first: &VariantResult) -> String {
    let median = |variant: &VariantResult| variant.handshake_ms.map(|latency| latency.p50);
    let cells = [
        ("", whole(variant.bytes())),
        (
            " class=\"times\"",
            times(ratio(variant.bytes(), first.bytes())) + &interval(variant.ratio(Metric::Bytes)),
        ),
        ("", whole(variant.cpu_us())),
        (
            " class=\"times\"",
            times(ratio(variant.cpu_us(), first.cpu_us())) + &interval(variant.ratio(Metric::Cpu)),
        ),
        ("", time(variant.verify_us)),
        ("", time(median(variant))),
        (
            " class=\"times\"",
            times(ratio(median(variant), median(first)))
                + &interval(variant.ratio(Metric::HandshakeP50)),
        ),
        ("", at(variant.handshake_ms, |l| l.p99)),
        ("", at(variant.operation_ms, |l| l.p50)),
        ("", at(variant.operation_ms, |l| l.p99)),
        ("", count(variant.ok)),
        ("", count(variant.failed() + variant.dropped)),
    ];
    let cells: String = cells
        .iter()
        .map(|(class, text)| format!("<td{class}>{text}</td>"))
        .collect();
    let mark = invalid(variant).map_or_else(String::new, |why| {
        format!("<small class=\"broken\">{why}</small>")
    });
    let name = escape(&variant.name);
    format!("<tr><th scope=\"row\">{name}{mark}</th>{cells}</tr>\n")
}

/// Below its ratio: between what 95 % of the resampled ratios lie.
pub(super) fn interval(ratio: Option<&Ratio>) -> String {
    ratio.map_or_else(String::new, |Ratio { low, high, .. }| {
        format!("<small>{low:.2} to {high:.2}</small>")
    })
}

fn statements(results: &Results) -> String {
    let findings: String = findings(results)
        .iter()
        .map(|finding| {
            let tone = finding.tone.as_str();
            format!(
                "<li><span class=\"tone {tone}\">{tone}</span><span>{}</span></li>\n",
                escape(&finding.text)
            )
        })
        .collect();
    let caveats: String = caveats(results)
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

fn method(results: &Results) -> String {
    let environment = &results.environment;
    let pairs = |map: &std::collections::BTreeMap<String, String>| {
        map.iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let gibibytes = environment.memory_bytes as f64 / f64::from(1 << 30);
    let late = |quantile| at(results.lateness_ms, quantile);
    let facts = [
        (
            "Processor",
            format!(
                "{}, {} logical, governor {}",
                environment.cpu, environment.cores, environment.governor
            ),
        ),
        ("Memory", format!("{gibibytes:.1} GiB")),
        (
            "System",
            format!("{}, {}", environment.os, environment.kernel),
        ),
        (
            "Network",
            format!(
                "{}, congestion control {}",
                environment.network, environment.tcp_congestion_control
            ),
        ),
        (
            "Build",
            format!(
                "mtc5g {}, revision {}, {}, {}",
                environment.mtc5g, environment.revision, environment.profile, environment.rustc
            ),
        ),
        ("Libraries", pairs(&environment.libraries)),
        (
            "Certificates",
            format!("{}; {}", environment.draft, pairs(&environment.oids)),
        ),
        ("Arrivals", format!("seed {}", results.run.seed)),
        (
            "Generator lateness",
            format!(
                "p50 {} ms, p99 {} ms, max {} ms",
                late(|l| l.p50),
                late(|l| l.p99),
                late(|l| l.max)
            ),
        ),
    ];
    let facts: String = facts
        .iter()
        .map(|(name, text)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(text)))
        .collect();
    let variants: String = results
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
    let is_closed = Scenario::parse_cells(&results.scenario).is_ok_and(|cells| {
        let closed = |cell: &Scenario| matches!(cell.load.arrivals, ArrivalProcess::Closed { .. });
        cells.iter().any(closed)
    });
    let arrivals = if is_closed {
        "The loop is closed: each of its workers begins an operation when its last one has ended, and the latency of an operation counts from \
         there. It is judged by what the generator took of the machine, not by lateness."
    } else {
        "Arrivals are open-loop: they come when the schedule says, however slow the servers are. Operation latency counts from the \
         intended start and so includes the generator's lateness below."
    };
    format!(
        "<section>\n<h2>Variants</h2>\n<dl>\n{variants}</dl>\n<h2>How it was measured</h2>\n\
         <p>Variants ran interleaved, arrival by arrival, so that a disturbance of the machine hits them all alike. {arrivals} Handshake latency counts from the established TCP \
         connection. Bytes are those of TLS records, without TCP and IP headers, that a side sent until its handshake \
         completed. CPU is thread time that a side spent in the handshake, verification included. Only completed handshakes \
         and successful operations are in the times.</p>\n<h2>Environment</h2>\n<dl>\n{facts}</dl>\n\
         <details><summary>The scenario, verbatim</summary>\n<pre>{}</pre>\n</details>\n</section>\n",
        escape(&results.scenario)
    )
}

#[cfg(test)]
mod tests;
