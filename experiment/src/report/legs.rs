//! What requests through the SCP cost, leg by leg, as a table of the summary.

use std::fmt::Write as _;

use sbi::ledger::HopTotals;

use super::markdown::escape;
use crate::results::Results;

/// The section; empty for a run in which nothing went through an SCP.
pub(super) fn legs(results: &Results) -> String {
    let mut rows = String::new();
    for variant in &results.variants {
        for (leg, totals) in variant.totals.legs.iter() {
            let name = escape(&variant.name);
            // Writing to a string does not fail.
            let _ = writeln!(rows, "| {name} | {} | {} |", leg_name(leg), cells(totals));
        }
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "\n## Legs through the SCP\n\n| variant | leg | requests | handshakes | resumed | reused | handshake bytes | body bytes | \
         CPU µs | verify µs |\n|---|---|{}\n{rows}\nSums over the measured part, but means per handshake of its bytes in both \
         directions and of the opener's CPU time. The SCP keeps its connections, so it has few handshakes.\n",
        "--:|".repeat(8)
    )
}

/// `AMF-SCP` as `AMF → SCP`.
fn leg_name(leg: &str) -> String {
    escape(&leg.replacen('-', " → ", 1))
}

fn cells(totals: &HopTotals) -> String {
    let handshakes = totals.handshakes();
    let mean = |sum: u64, unit: f64| {
        if handshakes == 0 {
            "-".to_owned()
        } else {
            format!("{:.0}", sum as f64 / handshakes as f64 / unit)
        }
    };
    let cells = [
        totals.requests.to_string(),
        handshakes.to_string(),
        totals.resumed.to_string(),
        totals.reused.to_string(),
        mean(totals.handshake_bytes, 1.0),
        totals.body_bytes.to_string(),
        mean(totals.cpu_ns, 1e3),
        mean(totals.verify_ns, 1e3),
    ];
    cells.join(" | ")
}

#[cfg(test)]
mod tests {
    use sbi::model::NfType;

    use super::*;
    use crate::results::sample::quick;

    #[test]
    fn each_leg_is_a_row_and_without_an_scp_there_is_no_section() {
        let mut results = quick();
        assert_eq!(legs(&results), "");
        let used = HopTotals {
            requests: 6,
            full: 2,
            handshake_bytes: 9000,
            cpu_ns: 700_000,
            ..HopTotals::default()
        };
        let first = &mut results.variants[0].totals.legs;
        first.add(&NfType::Amf, &NfType::Scp, &used);
        let section = legs(&results);
        let row = "| AMF → SCP | 6 | 2 | 0 | 0 | 4500 | 0 | 350 | 0 |\n";
        assert!(section.contains(row), "{section}");
    }
}
