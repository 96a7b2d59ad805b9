//! What a report has of an observation in the place of a load: handshakes instead of operations, the processes, their requests.

use super::charts::Data;
use super::columns::{Column, Row};
use super::numbers::{count, time};
use crate::results::{Metric, Observed, ObservedProcess, ObservedRequests, Results};

/// Over the processes.
pub(super) const PROCESSES: &str = "Processes";
/// Over the requests.
pub(super) const REQUESTS: &str = "Requests";
/// Below them.
pub(super) const REQUESTS_NOTE: &str = "One between two observed processes is there on both sides. On the server it lasts from its head to its answer, on the client to the whole answer.";
/// What the comparison shows of each variant, beside its name.
pub(super) const COLUMNS: [(&str, Column); 15] = [
    ("handshakes, clients", Column::ClientHandshakes),
    ("servers", Column::ServerHandshakes),
    ("resumed", Column::Resumed),
    ("failed", Column::FailedHandshakes),
    ("handshake p50, ms", Column::HandshakeP50),
    ("p90", Column::HandshakeP90),
    ("p99", Column::HandshakeP99),
    ("bytes client", Column::BytesClient),
    ("server", Column::BytesServer),
    ("×", Column::ToFirst(Metric::Bytes)),
    ("CPU client, µs", Column::CpuClient),
    ("server", Column::CpuServer),
    ("×", Column::ToFirst(Metric::Cpu)),
    ("verify, µs", Column::Verify),
    ("handshake p50, ×", Column::ToFirst(Metric::HandshakeP50)),
];

/// The comparison of the variants.
pub(super) fn comparison(rows: &[Row<'_>]) -> Data {
    let names = COLUMNS.map(|(name, _)| name.to_owned());
    let cells = |row: &Row<'_>| {
        let cells = COLUMNS.map(|(_, column)| row.cell(column));
        [vec![row.variant.name.clone()], cells.to_vec()].concat()
    };
    Data {
        head: [vec!["variant".to_owned()], names.to_vec()].concat(),
        rows: rows.iter().map(cells).collect(),
    }
}

/// What else there is to show of an observation: titles, tables, and notes below them; nothing of a run.
pub(super) fn tables(results: &Results) -> Vec<(&'static str, Data, &'static str)> {
    let Some(observed) = &results.run.observed else {
        return Vec::new();
    };
    let tables = [
        (PROCESSES, processes(observed), ""),
        (REQUESTS, requests(observed), REQUESTS_NOTE),
    ];
    let has_rows = |(_, data, _): &(_, Data, _)| !data.rows.is_empty();
    tables.into_iter().filter(has_rows).collect()
}

fn processes(observed: &Observed) -> Data {
    let row = |process: &ObservedProcess| {
        vec![
            process.nf.clone(),
            process.address.clone(),
            count(process.client_handshakes),
            count(process.server_handshakes),
            count(process.failed_connects),
            count(process.failed_accepts),
            time(Some(process.cpu_s)),
            time(Some(process.handshake_cpu_s)),
        ]
    };
    data(
        &[
            "process",
            "admin port",
            "handshakes as client",
            "as server",
            "failed as client",
            "as server",
            "CPU s",
            "in handshakes",
        ],
        observed.processes.iter().map(row),
    )
}

fn requests(observed: &Observed) -> Data {
    let row = |of: &ObservedRequests| {
        vec![
            format!("{}, {}", of.service, of.operation),
            of.side.clone(),
            of.status.clone(),
            count(of.count),
            time(Some(of.mean_ms)),
        ]
    };
    data(
        &["operation", "counted by", "status", "requests", "mean ms"],
        observed.requests.iter().map(row),
    )
}

fn data(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Data {
    Data {
        head: head.iter().map(|&name| name.to_owned()).collect(),
        rows: rows.collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::report::{Report, TableFormat, comparison_table, html, summary, table};
    use crate::results::observed::tests::observed;

    #[test]
    fn every_report_has_what_was_counted_and_claims_no_load() {
        let results = observed();
        let report = Report::of(&results);
        let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in [html(&report), summary(&report), table(&report)].map(words) {
            for wanted in [
                "mtc-landmark/ml-dsa-65/X25519MLKEM768",
                "127.0.0.1:2",
                "nnrf-disc, NFDiscover",
                "2 processes were observed for 60.0 s",
            ] {
                assert!(text.contains(wanted), "{wanted}: {text}");
            }
            for load in [
                "scenario",
                "intended",
                "lateness",
                "load generator",
                "operations",
            ] {
                assert!(!text.to_lowercase().contains(load), "{load}: {text}");
            }
        }
        let csv = comparison_table(&report, TableFormat::Csv);
        assert!(
            csv.contains(",–,–,"),
            "no operation succeeded or failed: {csv}"
        );
    }
}
