//! One figure: its sentence, its drawing and its data.

use super::super::svg::{Caption, Chart};
use crate::results::{Metric, Results, VariantResult};

/// One figure.
pub(in super::super) struct Figure {
    pub(in super::super) caption: Caption,
    pub(in super::super) chart: Chart,
    pub(in super::super) data: Data,
}

/// What a chart is drawn of, as a table of texts.
pub(in super::super) struct Data {
    pub(in super::super) head: Vec<String>,
    pub(in super::super) rows: Vec<Vec<String>>,
}

impl Data {
    /// Comma-separated, as RFC 4180 has it: thousands are not set apart.
    pub(in super::super) fn csv(&self) -> String {
        let cell = |cell: &String| {
            let plain = cell
                .chars()
                .all(|c| c.is_ascii_digit() || c == ',' || c == '.');
            let text = if plain {
                cell.replace(',', "")
            } else {
                cell.clone()
            };
            if text.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text
            }
        };
        let line = |row: &Vec<String>| {
            let cells: Vec<String> = row.iter().map(cell).collect();
            cells.join(",") + "\r\n"
        };
        std::iter::once(&self.head)
            .chain(&self.rows)
            .map(line)
            .collect()
    }
}

/// "From 4,360 B (a) to 31,600 B (b), both sides together.", and whether the run can tell the two apart.
pub(super) fn between(
    results: &Results,
    of: impl Fn(&VariantResult) -> Option<f64>,
    write: impl Fn(f64) -> String,
    what: &str,
    metric: Metric,
) -> String {
    let known: Vec<(f64, &VariantResult)> = results
        .variants
        .iter()
        .filter_map(|variant| Some((of(variant)?, variant)))
        .collect();
    let least = known.iter().min_by(|a, b| a.0.total_cmp(&b.0));
    let most = known.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    match (least, most) {
        (Some((low, least)), Some((high, most))) => {
            let known_to_differ = if are_within_spread(results, least, most, metric) {
                " Their intervals overlap: the spread of the run is wider than the difference."
            } else {
                ""
            };
            format!(
                "From {} ({}) to {} ({}), {what}.{known_to_differ}",
                write(*low),
                least.name,
                write(*high),
                most.name
            )
        }
        _ => "Nothing was measured.".to_owned(),
    }
}

/// Whether the intervals of two variants overlap; without intervals nobody knows.
pub(super) fn are_within_spread(
    results: &Results,
    one: &VariantResult,
    other: &VariantResult,
    metric: Metric,
) -> bool {
    // The first variant is what the intervals relate to.
    let interval = |variant: &VariantResult| match results.variants.first() {
        Some(first) if first.name == variant.name => Some((1.0, 1.0)),
        _ => variant.ratio(metric).map(|ratio| (ratio.low, ratio.high)),
    };
    let intervals = interval(one).zip(interval(other));
    one.name != other.name && intervals.is_some_and(|(a, b)| a.0 <= b.1 && b.0 <= a.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::quick;

    #[test]
    fn differences_that_the_spread_of_the_run_hides_are_said_to_be_so() {
        let median = |variant: &VariantResult| variant.handshake_ms.map(|latency| latency.p50);
        let sentence = |results: &Results| {
            let write = |ms: f64| format!("{ms:.2} ms");
            between(
                results,
                median,
                write,
                "at the median",
                Metric::HandshakeP50,
            )
        };
        let mut results = quick();
        assert_eq!(
            sentence(&results),
            "From 1.07 ms (x509-ed25519) to 1.74 ms (x509-mldsa65), at the median."
        );
        let ratios = &mut results.variants[1].to_first;
        let ratio = ratios
            .iter_mut()
            .find(|of| of.metric == Metric::HandshakeP50);
        ratio.expect("a ratio").low = 0.9;
        assert!(sentence(&results).ends_with(
            "at the median. Their intervals overlap: the spread of the run is wider than the difference."
        ));
        results.variants[1].to_first.clear();
        assert!(sentence(&results).ends_with("at the median."));
    }

    #[test]
    fn csv_has_plain_numbers_and_quotes_what_needs_it() {
        let data = Data {
            head: vec!["variant".to_owned(), "sum, B".to_owned()],
            rows: vec![vec!["a \"b\"".to_owned(), "1,234.5".to_owned()]],
        };
        assert_eq!(
            data.csv(),
            "variant,\"sum, B\"\r\n\"a \"\"b\"\"\",1234.5\r\n"
        );
    }
}
