//! A sweep as one HTML page: what each variant costs in each run, and how that changes with the settings.

use maud::{Markup, html};

use super::super::charts::sweep_figures;
use super::super::columns::{Column, Row};
use super::super::html::{facts, figure, html_page, learned_section, row, scenario, scroll};
use super::super::learning;
use super::super::numbers::ratio;
use super::super::wording::{LEFT_OUT, machine, settings, title};
use super::judged;
use crate::results::{Metric, Outcome, Results, VariantResult};
use crate::scenario::Timed;

/// What the table shows of each variant, and its headings.
const COLUMNS: [(&str, Column); 9] = [
    ("Bytes per operation", Column::BytesPerOperation),
    ("CPU per operation, µs", Column::CpuPerOperation),
    ("Handshake p50, ms", Column::HandshakeP50),
    ("×", Column::ToFirst(Metric::HandshakeP50)),
    ("p99, ms", Column::HandshakeP99),
    ("Operation p50, ms", Column::OperationP50),
    ("p99, ms", Column::OperationP99),
    ("ok", Column::Ok),
    ("errors", Column::Errors),
];

/// The runs of a sweep as a self-contained HTML page.
pub fn sweep_html(runs: &[Results]) -> String {
    let Some(first) = runs.first() else {
        return html_page("sweep", &html! { h1 { "Nothing was run" } });
    };
    let base = first.variants.first().map_or("the first", |of| &of.name);
    let mut environment = machine(&first.environment);
    environment.push(("Seed", first.run.seed.to_string()));
    let content = html! {
        header {
            p.kicker { "mtc5g report: scenario " (first.run.name) ", " (runs.len()) " runs" }
            h1 { "What each variant costs, compared with " (base) ", run by run" }
            p.note { (first.run.description) }
        }
        (verdict(runs))
        p.lead { (lead(runs)) }
        div.charts { @for of in &sweep_figures(runs) { (figure(of)) } }
        section {
            h2 { "Runs" }
            (scroll("Runs", &table(runs)))
            p.note {
                "× relates to " (base) " in the same run; below it, the interval that holds 95 % of the ratios when slices of that run \
                 are drawn again. Bytes and CPU time are those of the generator's handshakes, both sides, spread over its operations. \
                 Each run has a report of its own in the folder cells. " (LEFT_OUT) "."
            }
        }
        @if let Some(learned) = learning::narrow_sweep_learning(runs) {
            (learned_section(&learned, &learning::note(runs)))
        }
        section {
            h2 { "Environment" }
            (facts(&environment))
            (scenario(first))
        }
    };
    html_page(&first.run.name, &content)
}

/// How far each variant's median handshake is from the first one's, over all runs.
fn lead(runs: &[Results]) -> String {
    let median = |of: &VariantResult| of.latency(Timed::Handshake).map(|latency| latency.p50);
    let names = runs
        .iter()
        .take(1)
        .flat_map(|run| run.variants.iter().skip(1));
    let multiples = names.filter_map(|variant| {
        let ratios = runs.iter().filter_map(|run| {
            let of = run.variants.iter().find(|of| of.name == variant.name)?;
            ratio(median(of), median(run.variants.first()?))
        });
        let (low, high) = ratios.fold((f64::MAX, f64::MIN), |(low, high), of| {
            (low.min(of), high.max(of))
        });
        (low <= high).then(|| format!("{} takes {low:.2} to {high:.2} times as long", variant.name))
    });
    let multiples: Vec<String> = multiples.collect();
    match (
        runs.first().and_then(|run| run.variants.first()),
        multiples.as_slice(),
    ) {
        (Some(first), [_, ..]) => format!(
            "Median handshake, over all runs: compared with {}, {}.",
            first.name,
            multiples.join(", ")
        ),
        _ => "Nothing was compared.".to_owned(),
    }
}

/// The worst verdict of the runs and what it rests on, before their figures.
fn verdict(runs: &[Results]) -> Markup {
    let (outcome, reasons) = judged(runs);
    let class = match outcome {
        Outcome::Passed => "verdict",
        _ => "verdict failed",
    };
    html! {
        div class=(class) {
            strong { (title(outcome)) "." }
            @if !reasons.is_empty() { ul { @for reason in &reasons { li { (reason) } } } }
        }
    }
}

/// Each run's settings over its variants.
fn table(runs: &[Results]) -> Markup {
    html! {
        table.runs.cards {
            thead {
                tr {
                    th scope="col" { "Variant" }
                    @for (heading, _) in COLUMNS { th scope="col" { (heading) } }
                }
            }
            @for run in runs {
                "\n"
                tbody {
                    tr { th.group scope="rowgroup" colspan=(COLUMNS.len() + 1) { (settings(run)) } }
                    @for of in &Row::of(run) { (row(of, &COLUMNS)) }
                }
            }
        }
    }
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
        assert!(page.contains("<strong>Passed.</strong>"));
    }

    #[test]
    fn what_is_no_measurement_is_said_first_and_hostile_text_stays_text() {
        let mut runs = grid();
        runs[1].verdict.outcome = Outcome::Invalid;
        runs[1].verdict.violations = vec!["<script>".to_owned()];
        runs[1].variants[2].arrivals.invalid = Some("late".to_owned());
        let page = sweep_html(&runs);
        assert!(page.find("Not a valid measurement.") < page.find("aria-label=\"Runs\""));
        assert!(
            page.contains("<li>link.loss = 0, link.rtt = 20ms: &lt;script&gt;</li>")
                && !page.contains("<script")
        );
        assert!(page.contains("x509-mldsa65-direct<small class=\"broken\">"));
        assert!(sweep_html(&[]).contains("Nothing was run"));
    }
}
