//! What each procedure costs directly and through the SCP, side by side: a line for each variant, whose ways are variants of the run.

use sbi::ledger::Procedure;

use super::charts::Data;
use super::numbers::{at, whole};
use super::procedure::procedures_of;
use crate::results::{ProcedureResult, Results, VariantResult};
use crate::scenario::Measure;

/// Over the table.
pub(super) const TITLE: &str = "Cost per procedure, directly and through the SCP";
/// Below the table.
pub(super) const NOTE: &str = "Means per attempt. Directly a consumer discovers producers and calls them (models A and B); C: it names them to the SCP, which forwards; \
     D: the SCP discovers them too. Through the SCP each request and its answer travel twice. The consumer's part is counted under its \
     procedure; the SCP's is the mean of its leg to that producer, over connections that it keeps.";

/// The ways in the order of columns: what results call them, and what the heading does.
const WAYS: [(Option<&str>, &str); 3] =
    [(None, "direct"), (Some("scp-c"), "C"), (Some("scp-d"), "D")];

type Cell = fn(&VariantResult, &ProcedureResult) -> String;

/// What the table has of each way.
const FIGURES: [(&str, Cell); 5] = [
    ("requests", |_, cost| format!("{:.1}", cost.all.requests)),
    ("handshakes", |_, cost| {
        format!(
            "{:.1}",
            cost.all.handshakes_full + cost.all.handshakes_resumed
        )
    }),
    ("bytes", |_, cost| whole(Some(cost.all.bytes()))),
    ("CPU µs", |_, cost| whole(Some(cost.all.cpu_us))),
    ("p50 ms", |variant, cost| {
        let valid = variant.is_valid(Measure::Latency);
        at(cost.latency_ms.filter(|_| valid), |latency| latency.p50)
    }),
];
/// Those of them for short lines.
const NARROW: [usize; 2] = [2, 3];

/// The table; none for a run whose variants all go the same way.
pub(super) fn ways(results: &Results) -> Option<Data> {
    of_figures(results, &FIGURES)
}

/// The same for lines of at most 120 characters.
pub(super) fn narrow_ways(results: &Results) -> Option<Data> {
    of_figures(results, &NARROW.map(|figure| FIGURES[figure]))
}

fn of_figures(results: &Results, figures: &[(&str, Cell)]) -> Option<Data> {
    let is_taken = |way: &(Option<&str>, &str)| {
        let mut variants = results.variants.iter();
        variants.any(|of| of.options.via.as_deref() == way.0 && !of.procedures.is_empty())
    };
    let taken: Vec<_> = WAYS.into_iter().filter(is_taken).collect();
    if taken.len() < 2 {
        return None;
    }
    let mut head = vec!["procedure".to_owned(), "variant".to_owned()];
    for (figure, _) in figures {
        head.extend(taken.iter().map(|(_, way)| format!("{figure} {way}")));
    }
    let mut rows = Vec::new();
    for procedure in procedures_of(results) {
        for name in names(results) {
            let mut row = vec![procedure.as_str().to_owned(), name.to_owned()];
            for (_, cell) in figures {
                for (via, _) in &taken {
                    let cost = cost(results, procedure, name, *via);
                    row.push(cost.map_or_else(|| "–".to_owned(), |(of, cost)| cell(of, cost)));
                }
            }
            rows.push(row);
        }
    }
    Some(Data { head, rows })
}

/// The variants without their ways, each once, in the order of the run.
fn names(results: &Results) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for variant in &results.variants {
        let name = name(variant);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A variant's name without its way.
fn name(variant: &VariantResult) -> &str {
    let via = variant.options.via.as_deref();
    let without = via.and_then(|via| variant.name.strip_suffix(via)?.strip_suffix('-'));
    without.unwrap_or(&variant.name)
}

/// What a procedure costs in the variant of that name that goes that way.
fn cost<'a>(
    results: &'a Results,
    procedure: Procedure,
    of: &str,
    via: Option<&str>,
) -> Option<(&'a VariantResult, &'a ProcedureResult)> {
    let mut variants = results.variants.iter();
    let variant =
        variants.find(|variant| name(variant) == of && variant.options.via.as_deref() == via)?;
    let mut costs = variant.procedures.iter();
    Some((variant, costs.find(|cost| cost.procedure == procedure)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, TableFormat, csv_files, html, procedure_table, summary, table};
    use crate::results::sample::with_procedures;

    fn with_ways() -> Results {
        let mut results = with_procedures();
        let first = results.variants[0].name.clone();
        for (variant, via) in results.variants[1..3].iter_mut().zip(["scp-c", "scp-d"]) {
            variant.name = format!("{first}-{via}");
            variant.options.via = Some(via.to_owned());
        }
        results
    }

    #[test]
    fn the_ways_of_a_variant_are_side_by_side_in_every_form() {
        let results = with_ways();
        let data = ways(&results).expect("three ways");
        assert_eq!(
            data.head[2..5],
            ["requests direct", "requests C", "requests D"]
        );
        assert_eq!(data.head.len(), 2 + 5 * 3);
        // Five variants, of which three are one by three ways.
        assert_eq!(data.rows.len(), 3);
        let [direct, c, d] = [0, 1, 2].map(|of| results.variants[of].procedures[0].all.cpu_us);
        let cpu = [direct, c, d].map(|cpu| whole(Some(cpu)));
        assert_eq!(data.rows[0][1], results.variants[0].name);
        assert_eq!(data.rows[0][11..14], cpu);
        assert_eq!(data.rows[1][3], "–");
        let report = Report::of(&results);
        let page = html(&report);
        assert!(page.contains(TITLE) && page.contains("requests direct"));
        assert!(summary(&report).contains(TITLE));
        let text = table(&report);
        assert!(text.contains(&TITLE.to_uppercase()), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 120),
            "{text}"
        );
        for format in [TableFormat::Markdown, TableFormat::Latex] {
            let table = procedure_table(&report, format).expect("procedures");
            assert!(table.contains("bytes D"), "{table}");
        }
        let files = csv_files(&results);
        assert!(
            files
                .iter()
                .any(|(name, _)| name == "procedures-by-way.csv")
        );
    }

    #[test]
    fn without_several_ways_there_is_no_such_table() {
        assert!(ways(&with_procedures()).is_none());
    }
}
