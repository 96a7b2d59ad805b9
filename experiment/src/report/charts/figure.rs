//! One figure: its sentence, its drawing and its data.

use super::super::svg::{Caption, Chart};
use crate::results::{Results, VariantResult};

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

/// "From 4,360 B (a) to 31,600 B (b), both sides together."
pub(super) fn between(
    results: &Results,
    of: impl Fn(&VariantResult) -> Option<f64>,
    write: impl Fn(f64) -> String,
    what: &str,
) -> String {
    let known: Vec<(f64, &str)> = results
        .variants
        .iter()
        .filter_map(|variant| Some((of(variant)?, variant.name.as_str())))
        .collect();
    let least = known.iter().min_by(|a, b| a.0.total_cmp(&b.0));
    let most = known.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    match (least, most) {
        (Some((low, least)), Some((high, most))) => {
            format!(
                "From {} ({least}) to {} ({most}), {what}.",
                write(*low),
                write(*high)
            )
        }
        _ => "Nothing was measured.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
