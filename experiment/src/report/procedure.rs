//! Cost per procedure: the table that all forms of the report show, each in its way.

use std::collections::BTreeSet;

use sbi::ledger::Procedure;

use super::charts::Data;
use super::numbers::{at, count, time, whole};
use crate::results::{ProcedureResult, Results, VariantResult};
use crate::scenario::Measure;

/// Over the table.
pub(super) const TITLE: &str = "Cost per procedure";
/// Over the table of CPU time by network function.
pub(super) const BY_NF: &str = "CPU time in handshakes, by network function";
/// Below the table.
pub(super) const NOTE: &str = "Means per attempt over all hops of the procedure, in both directions: requests (each has its answer), handshakes that are new \
     or resume a session, uses of open connections, and bytes on the wire by kind, of which the last are HTTP/2, \
     access tokens, record layer, tickets and goodbyes. CPU times are those of both sides in handshakes, an accepting side's at the mean of what it accepts; CPU of requests is not in \
     them. Discoveries are left out: their answers serve all variants while they are valid.";

/// What the table has of each procedure in each variant.
const HEAD: [&str; 14] = [
    "procedure",
    "variant",
    "ok",
    "failed",
    "requests",
    "new",
    "resumed",
    "reused",
    "bytes TLS handshake",
    "bytes bodies",
    "bytes other",
    "CPU µs",
    "verify µs",
    "p50 ms",
];
/// What is left of it where lines are short.
const NARROW: [usize; 9] = [0, 1, 4, 5, 6, 8, 11, 12, 13];
const NARROW_HEAD: [&str; 9] = [
    "procedure",
    "variant",
    "requests",
    "new",
    "resumed",
    "TLS bytes",
    "CPU µs",
    "verify µs",
    "p50 ms",
];

/// The cost of each procedure in each variant, variants of a procedure below each other; none if operations have no procedures.
pub(super) fn costs(results: &Results) -> Option<Data> {
    let rows = rows_of(results, row);
    (!rows.is_empty()).then(|| Data {
        head: HEAD.map(str::to_owned).to_vec(),
        rows,
    })
}

/// The same for lines of at most 120 characters.
pub(super) fn narrow_costs(results: &Results) -> Option<Data> {
    let full = costs(results)?;
    let cells = |row: &Vec<String>| NARROW.map(|column| row[column].clone()).to_vec();
    Some(Data {
        head: NARROW_HEAD.map(str::to_owned).to_vec(),
        rows: full.rows.iter().map(cells).collect(),
    })
}

/// The cost of each hop, and the CPU time of each network function: everything that there is, for other programs.
pub(super) fn hop_costs(results: &Results) -> Option<Data> {
    let mut rows = Vec::new();
    for variant in &results.variants {
        for procedure in &variant.procedures {
            let name = procedure.procedure.as_str().to_owned();
            for (hop, cost) in &procedure.hops {
                let figures = [
                    cost.requests,
                    cost.handshakes_full,
                    cost.handshakes_resumed,
                    cost.reused,
                    cost.bytes_handshake,
                    cost.bytes_body,
                    cost.bytes_other,
                    cost.cpu_us,
                    cost.verify_us,
                ];
                let figures = figures.iter().map(f64::to_string);
                let named = [variant.name.clone(), name.clone(), hop.clone()];
                rows.push(named.into_iter().chain(figures).collect());
            }
        }
    }
    let head = [
        "variant",
        "procedure",
        "hop",
        "requests",
        "handshakes new",
        "handshakes resumed",
        "connections reused",
        "bytes TLS handshake",
        "bytes bodies",
        "bytes other",
        "CPU µs",
        "verify µs",
    ];
    (!rows.is_empty()).then(|| Data {
        head: head.map(str::to_owned).to_vec(),
        rows,
    })
}

/// CPU time in handshakes by network function: who pays for the procedures.
pub(super) fn nf_costs(results: &Results) -> Option<Data> {
    let all = results.variants.iter().flat_map(|of| &of.procedures);
    let nfs: BTreeSet<&String> = all.flat_map(|cost| cost.cpu_us_by_nf.keys()).collect();
    let rows = rows_of(results, |variant, cost| {
        let named = [cost.procedure.as_str().to_owned(), variant.name.clone()];
        let each = nfs
            .iter()
            .map(|nf| whole(cost.cpu_us_by_nf.get(*nf).copied()));
        named.into_iter().chain(each).collect()
    });
    let names = nfs.iter().map(|nf| format!("{nf} µs"));
    (!rows.is_empty()).then(|| Data {
        head: ["procedure".to_owned(), "variant".to_owned()]
            .into_iter()
            .chain(names)
            .collect(),
        rows,
    })
}

/// The procedures that some variant has.
pub(super) fn procedures_of(results: &Results) -> BTreeSet<Procedure> {
    let all = results.variants.iter().flat_map(|of| &of.procedures);
    all.map(|cost| cost.procedure).collect()
}

/// A row for each procedure in each variant, the variants of a procedure below each other.
fn rows_of(
    results: &Results,
    row: impl Fn(&VariantResult, &ProcedureResult) -> Vec<String>,
) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for procedure in procedures_of(results) {
        for variant in &results.variants {
            let costs = variant.procedures.iter();
            let costs = costs.filter(|cost| cost.procedure == procedure);
            rows.extend(costs.map(|cost| row(variant, cost)));
        }
    }
    rows
}

fn row(variant: &VariantResult, cost: &ProcedureResult) -> Vec<String> {
    let all = &cost.all;
    let latency = cost
        .latency_ms
        .filter(|_| variant.is_valid(Measure::Latency));
    let each = |mean: f64| format!("{mean:.1}");
    vec![
        cost.procedure.as_str().to_owned(),
        variant.name.clone(),
        count(cost.ok),
        count(cost.attempts.saturating_sub(cost.ok)),
        each(all.requests),
        each(all.handshakes_full),
        each(all.handshakes_resumed),
        each(all.reused),
        whole(Some(all.bytes_handshake)),
        whole(Some(all.bytes_body)),
        whole(Some(all.bytes_other)),
        whole(Some(all.cpu_us)),
        time(Some(all.verify_us)),
        at(latency, |latency| latency.p50),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, TableFormat, html, procedure_table, summary, table};
    use crate::results::sample::{quick, with_procedures};

    #[test]
    fn every_form_of_the_report_has_the_cost_of_each_procedure() {
        let results = with_procedures();
        let report = Report::of(&results);
        let markdown = procedure_table(&report, TableFormat::Markdown).expect("procedures");
        let lines: Vec<&str> = markdown.lines().collect();
        assert_eq!(lines.len(), 2 + 5);
        assert!(
            lines[6].starts_with(
                "| registration | mtc-landmark | 10 | 0 | 7.0 | 2.0 | 0.0 | 0.0 | 29,000 | 800 | 1,800 | 1,194 | 66.0 |"
            ),
            "{}",
            lines[6]
        );
        assert!(summary(&report).contains(&markdown));
        let by_nf = "| registration | mtc-landmark | 600 | 297 | 297 |";
        assert!(summary(&report).contains(by_nf), "{}", summary(&report));
        let page = html(&report);
        assert!(page.contains("Hop by hop") && page.contains("AUSF µs"));
        assert!(page.contains("<section id=\"procedures\"><h2>Cost per procedure</h2>"));
        let text = table(&report);
        assert!(
            text.contains("COST PER PROCEDURE\nprocedure     variant "),
            "{text}"
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= 120),
            "{text}"
        );
        let csv = procedure_table(&report, TableFormat::Csv).expect("procedures");
        assert!(
            csv.contains("\r\nmtc-landmark,registration,AMF-UDM,5,1,0,0,14500,400,900,597,"),
            "{csv}"
        );
    }

    #[test]
    fn a_run_without_procedures_has_no_such_table() {
        let results = quick();
        let report = Report::of(&results);
        assert_eq!(procedure_table(&report, TableFormat::Latex), None);
        assert!(!summary(&report).contains(TITLE) && !html(&report).contains(TITLE));
    }
}
