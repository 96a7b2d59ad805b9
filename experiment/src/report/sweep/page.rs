//! A sweep as one HTML page: what each variant costs in each run, and how that changes with the settings.

use super::super::charts::sweep_figures;
use super::super::columns::{Column, Row};
use super::super::escape::escape;
use super::super::figures::ratio;
use super::super::html::{figure, interval, page};
use super::super::wording::{machine, settings};
use crate::results::{Metric, Results, VariantResult};

/// The runs of a sweep as a self-contained HTML page.
pub fn sweep_html(runs: &[Results]) -> String {
    let Some(first) = runs.first() else {
        return page("sweep", "<h1>Nothing was run</h1>\n");
    };
    let base = first.variants.first().map_or("the first", |of| &of.name);
    let groups: String = runs.iter().map(group).collect();
    let figures: String = sweep_figures(runs).iter().map(figure).collect();
    let content = format!(
        "<header>\n<p class=\"kicker\">mtc5g report: scenario {name}, {} runs</p>\n<h1>What each variant costs, compared with {base}, run \
         by run</h1>\n<p class=\"note\">{}</p>\n</header>\n<p class=\"lead\">{}</p>\n{verdict}\
         <div class=\"charts\">\n{figures}</div>\n<section>\n<h2>Runs</h2>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Runs\">\n<table class=\"runs\">\n<thead><tr>{}</tr></thead>\n\
         {groups}</table>\n</div>\n<p class=\"note\">× relates to {base} in the same run; below it, the interval that \
         holds 95 % of the ratios when slices of that run are drawn again. Bytes and CPU time are those of the generator's handshakes, \
         both sides, spread over its operations. Each run has a report of its own in the folder cells.</p>\n</section>\n\
         <section>\n<h2>Environment</h2>\n<dl>\n{}</dl>\n<details><summary>The scenario, verbatim</summary>\n<pre>{}</pre>\n</details>\n\
         </section>\n",
        runs.len(),
        escape(&first.run.description),
        escape(&lead(runs)),
        HEAD.map(|text| format!("<th scope=\"col\">{text}</th>"))
            .concat(),
        environment(first),
        escape(&first.scenario),
        name = escape(&first.run.name),
        base = escape(base),
        verdict = verdict(runs),
    );
    page(&first.run.name, &content)
}

const HEAD: [&str; 10] = [
    "Variant",
    "Bytes per operation",
    "CPU per operation, µs",
    "Handshake p50, ms",
    "×",
    "p99, ms",
    "Operation p50, ms",
    "p99, ms",
    "ok",
    "errors",
];

/// What stands below the headings behind the variant's.
const COLUMNS: [Column; 9] = [
    Column::BytesPerOperation,
    Column::CpuPerOperation,
    Column::HandshakeP50,
    Column::ToFirst(Metric::HandshakeP50),
    Column::HandshakeP99,
    Column::OperationP50,
    Column::OperationP99,
    Column::Ok,
    Column::Errors,
];

/// How far each variant's median handshake is from the first one's, over all runs.
fn lead(runs: &[Results]) -> String {
    let median = |of: &VariantResult| of.handshake_ms.map(|latency| latency.p50);
    let names = runs
        .iter()
        .take(1)
        .flat_map(|run| run.variants.iter().skip(1));
    let said = names.filter_map(|variant| {
        let ratios = runs.iter().filter_map(|run| {
            let of = run.variants.iter().find(|of| of.name == variant.name)?;
            ratio(median(of), median(run.variants.first()?))
        });
        let (low, high) = ratios.fold((f64::MAX, f64::MIN), |(low, high), of| {
            (low.min(of), high.max(of))
        });
        (low <= high).then(|| format!("{} takes {low:.2} to {high:.2} times as long", variant.name))
    });
    let said: Vec<String> = said.collect();
    match (
        runs.first().and_then(|run| run.variants.first()),
        said.as_slice(),
    ) {
        (Some(first), [_, ..]) => format!(
            "Median handshake, over all runs: compared with {}, {}.",
            first.name,
            said.join(", ")
        ),
        _ => "Nothing was compared.".to_owned(),
    }
}

/// What makes runs no measurements, before their figures.
fn verdict(runs: &[Results]) -> String {
    let of_run = |run: &Results| {
        let label = escape(&settings(run));
        let violations = run.verdict.violations.iter();
        violations
            .map(|violation| format!("<li>{label}: {}</li>", escape(violation)))
            .collect::<String>()
    };
    let violations: String = runs.iter().map(of_run).collect();
    if violations.is_empty() {
        return String::new();
    }
    format!(
        "<div class=\"verdict failed\"><strong>Not all runs are valid measurements.</strong><ul>{violations}</ul></div>\n"
    )
}

/// A run's settings over its variants.
fn group(run: &Results) -> String {
    let rows = Row::of(run);
    format!(
        "<tbody>\n<tr><th class=\"group\" scope=\"rowgroup\" colspan=\"{}\">{}</th></tr>\n{}</tbody>\n",
        HEAD.len(),
        escape(&settings(run)),
        rows.iter().map(row).collect::<String>()
    )
}

fn row(row: &Row<'_>) -> String {
    let mark = row.invalid.map_or_else(String::new, |why| {
        format!("<small class=\"broken\">{why}</small>")
    });
    let cells = COLUMNS
        .map(|column| {
            let interval = match column {
                Column::ToFirst(metric) => interval(row.variant.ratio(metric)),
                _ => String::new(),
            };
            format!("<td class=\"times\">{}{interval}</td>", row.cell(column))
        })
        .concat();
    format!(
        "<tr><th scope=\"row\">{}{mark}</th>{cells}</tr>\n",
        escape(&row.variant.name)
    )
}

/// Where and with what the runs were measured.
fn environment(run: &Results) -> String {
    let seed = ("Seed", run.run.seed.to_string());
    machine(&run.environment)
        .iter()
        .chain([&seed])
        .map(|(name, fact)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(fact)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::grid;

    #[test]
    fn a_page_has_a_row_for_each_variant_of_each_run_and_relates_it_to_the_first() {
        let page = sweep_html(&grid());
        assert!(
            page.contains(
                "<h1>What each variant costs, compared with x509-ed25519, run by run</h1>"
            )
        );
        assert_eq!(page.matches("<th scope=\"row\">").count(), 6 * 5);
        assert_eq!(page.matches("<figure>").count(), 4);
        assert!(page.contains(
            "colspan=\"10\">link.loss = 0.01, link.rtt = 80ms</th></tr>\n<tr><th scope=\"row\">x509-ed25519</th>"
        ));
        assert!(
            page.contains("compared with x509-ed25519, x509-mldsa65 takes "),
            "the answer in a sentence"
        );
        assert!(!page.contains("Not all runs"));
    }

    #[test]
    fn what_is_no_measurement_is_said_first_and_hostile_text_stays_text() {
        let mut runs = grid();
        runs[1].verdict.violations = vec!["<script>".to_owned()];
        runs[1].variants[2].arrivals.invalid = Some("late".to_owned());
        let page = sweep_html(&runs);
        assert!(page.find("Not all runs are valid") < page.find("aria-label=\"Runs\""));
        assert!(
            page.contains("<li>link.loss = 0, link.rtt = 20ms: &lt;script&gt;</li>")
                && !page.contains("<script")
        );
        assert!(page.contains("x509-mldsa65-direct<small class=\"broken\">"));
        assert!(sweep_html(&[]).contains("Nothing was run"));
    }
}
