//! What requests through the SCP cost, leg by leg: a table of the report.

use sbi::ledger::HopTotals;

use super::charts::Data;
use super::numbers::{count, whole};
use crate::results::Results;

/// Over the table.
pub(super) const TITLE: &str = "Legs through the SCP";
/// Below the table.
pub(super) const NOTE: &str = "Sums over the measured part, but means per handshake of its bytes in both directions and of the opener's CPU time. The SCP keeps its \
     connections, so it has few handshakes. Other bytes are HTTP/2, access tokens, record layer and tickets.";

const HEAD: [&str; 11] = [
    "variant",
    "leg",
    "requests",
    "handshakes",
    "resumed",
    "reused",
    "handshake bytes",
    "body bytes",
    "other bytes",
    "CPU µs",
    "verify µs",
];

/// The table; none for a run in which nothing went through an SCP.
pub(super) fn legs(results: &Results) -> Option<Data> {
    let mut rows = Vec::new();
    for variant in &results.variants {
        let used = variant.totals.legs.iter();
        for (leg, totals) in used.filter(|(_, totals)| totals.requests > 0) {
            let named = [variant.name.clone(), leg_name(leg)];
            rows.push(named.into_iter().chain(cells(totals)).collect());
        }
    }
    (!rows.is_empty()).then(|| Data {
        head: HEAD.map(str::to_owned).to_vec(),
        rows,
    })
}

/// `AMF-SCP` as `AMF → SCP`.
fn leg_name(leg: &str) -> String {
    leg.replacen('-', " → ", 1)
}

fn cells(totals: &HopTotals) -> [String; 9] {
    let handshakes = totals.handshakes();
    let mean = |sum: u64, unit: f64| {
        let mean = sum as f64 / handshakes as f64 / unit;
        whole((handshakes > 0).then_some(mean))
    };
    [
        count(totals.requests),
        count(handshakes),
        count(totals.resumed),
        count(totals.reused),
        mean(totals.handshake_bytes, 1.0),
        count(totals.body_bytes),
        count(totals.other_bytes),
        mean(totals.cpu_ns, 1e3),
        mean(totals.verify_ns, 1e3),
    ]
}

#[cfg(test)]
mod tests {
    use sbi::model::NfType;

    use super::*;
    use crate::report::{Report, html, summary};
    use crate::results::sample::quick;

    #[test]
    fn each_leg_is_a_row_of_every_report_and_without_an_scp_there_is_no_section() {
        let mut results = quick();
        assert!(legs(&results).is_none());
        assert!(!html(&Report::of(&results)).contains(TITLE));
        let used = HopTotals {
            requests: 6,
            full: 2,
            handshake_bytes: 9000,
            other_bytes: 1200,
            cpu_ns: 700_000,
            ..HopTotals::default()
        };
        let first = &mut results.variants[0].totals.legs;
        first.add(&NfType::Amf, &NfType::Scp, &used);
        let report = Report::of(&results);
        let row = "| AMF → SCP | 6 | 2 | 0 | 0 | 4,500 | 0 | 1,200 | 350 | 0 |\n";
        assert!(summary(&report).contains(row), "{}", summary(&report));
        assert!(html(&report).contains("<td>AMF → SCP</td>"));
    }
}
