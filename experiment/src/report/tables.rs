//! Tables to take away: the comparison for a paper, and every figure as a file of comma-separated values.

use super::charts::{Data, figures, sweep_figures};
use super::columns::{Column, Row};
use super::content::Report;
use super::learning::{learning, sweep_learning};
use super::markdown;
use super::numbers::{count, with_interval};
use super::procedure::{costs, hop_costs};
use super::ways::ways;
use super::wording::settings;
use crate::results::{Metric, Results};

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// A table of GitHub's Markdown.
    Markdown,
    /// A `tabular` with the rules of the package booktabs.
    Latex,
    /// Comma-separated values as of RFC 4180, with every column there is.
    Csv,
}

/// The file of what it took processes to learn of landmarks.
const LEARNING: &str = "learning.csv";

/// A file's name, and what is in it.
pub type CsvFile = (String, String);

/// What a table of a paper shows: the heading, and what stands there.
const OF_A_PAPER: [(&str, Shown); 9] = [
    ("key exchange", Shown::KeyExchange),
    ("bytes", Shown::Column(Column::Bytes)),
    ("×", Shown::Interval(Metric::Bytes)),
    ("CPU, µs", Shown::Column(Column::Cpu)),
    ("×", Shown::Interval(Metric::Cpu)),
    ("verify, µs", Shown::Column(Column::Verify)),
    ("handshake p50, ms", Shown::Column(Column::HandshakeP50)),
    ("×", Shown::Interval(Metric::HandshakeP50)),
    ("operation p50, ms", Shown::Column(Column::OperationP50)),
];

/// Everything that a variant's row has.
const EVERYTHING: [(&str, Shown); 18] = [
    ("key exchange", Shown::KeyExchange),
    ("ok", Shown::Column(Column::Ok)),
    ("errors", Shown::Column(Column::Errors)),
    ("bytes, client", Shown::Column(Column::BytesClient)),
    ("bytes, server", Shown::Column(Column::BytesServer)),
    ("bytes, both", Shown::Column(Column::Bytes)),
    ("CPU client, µs", Shown::Column(Column::CpuClient)),
    ("CPU server, µs", Shown::Column(Column::CpuServer)),
    ("CPU both, µs", Shown::Column(Column::Cpu)),
    ("verify, µs", Shown::Column(Column::Verify)),
    ("handshake p50, ms", Shown::Column(Column::HandshakeP50)),
    ("handshake p90, ms", Shown::Column(Column::HandshakeP90)),
    ("handshake p99, ms", Shown::Column(Column::HandshakeP99)),
    ("handshake p99.9, ms", Shown::Column(Column::HandshakeP999)),
    ("operation p50, ms", Shown::Column(Column::OperationP50)),
    ("operation p99, ms", Shown::Column(Column::OperationP99)),
    (
        "bytes per operation",
        Shown::Column(Column::BytesPerOperation),
    ),
    (
        "CPU per operation, µs",
        Shown::Column(Column::CpuPerOperation),
    ),
];

/// What stands in a column.
#[derive(Clone, Copy)]
enum Shown {
    KeyExchange,
    Column(Column),
    /// The ratio to the first variant and its interval.
    Interval(Metric),
}

impl Shown {
    fn cell(self, row: &Row<'_>) -> String {
        match self {
            Self::KeyExchange => row.variant.key_exchange.to_string(),
            Self::Column(column) => row.cell(column),
            Self::Interval(metric) => with_interval(row.variant, metric),
        }
    }
}

/// The comparison of a run's variants.
pub fn comparison_table(report: &Report<'_>, format: TableFormat) -> String {
    match format {
        TableFormat::Csv => everything(report).csv(),
        TableFormat::Markdown => markdown_table(&of_columns(report, &OF_A_PAPER)),
        TableFormat::Latex => latex(report, &of_columns(report, &OF_A_PAPER)),
    }
}

/// The cost of each procedure of a run's variants, and as comma-separated values that of each hop; nothing if the run's operations have
/// no procedures. Where variants go several ways these stand side by side in a table before.
pub fn procedure_table(report: &Report<'_>, format: TableFormat) -> Option<String> {
    let write: fn(&Report<'_>, &Data) -> String = match format {
        TableFormat::Csv => return Some(hop_costs(report.results)?.csv()),
        TableFormat::Markdown => |_, data| markdown_table(data),
        TableFormat::Latex => latex,
    };
    let costs = write(report, &costs(report.results)?);
    let ways = ways(report.results).map(|ways| format!("{}\n", write(report, &ways)));
    Some(format!("{}{costs}", ways.unwrap_or_default()))
}

/// The comparison and all figures of a run.
pub fn csv_files(results: &Results) -> Vec<CsvFile> {
    let comparison = comparison_table(&Report::of(results), TableFormat::Csv);
    let figures = figures(results).into_iter();
    let figures = figures.map(|figure| (format!("{}.csv", figure.caption.id), figure.data.csv()));
    let procedures = hop_costs(results).map(|costs| ("procedures.csv".to_owned(), costs.csv()));
    let ways = ways(results).map(|ways| ("procedures-by-way.csv".to_owned(), ways.csv()));
    let learned = learning(results).map(|learned| (LEARNING.to_owned(), learned.csv()));
    std::iter::once(("comparison.csv".to_owned(), comparison))
        .chain(procedures)
        .chain(ways)
        .chain(learned)
        .chain(figures)
        .collect()
}

/// The comparison of each run of a sweep in one file, and all figures of the sweep.
pub fn sweep_csv_files(runs: &[Results]) -> Vec<CsvFile> {
    let tables = runs.iter().map(|run| (run, everything(&Report::of(run))));
    let mut all = Data {
        head: Vec::new(),
        rows: Vec::new(),
    };
    for (run, Data { head, rows }) in tables {
        all.head = std::iter::once("run".to_owned()).chain(head).collect();
        let rows = rows.into_iter();
        all.rows.extend(rows.map(|row| {
            std::iter::once(settings(run))
                .chain(row)
                .collect::<Vec<_>>()
        }));
    }
    let figures = sweep_figures(runs).into_iter();
    let figures = figures.map(|figure| (format!("{}.csv", figure.caption.id), figure.data.csv()));
    let learned = sweep_learning(runs).map(|learned| (LEARNING.to_owned(), learned.csv()));
    std::iter::once(("comparison.csv".to_owned(), all.csv()))
        .chain(learned)
        .chain(figures)
        .collect()
}

fn of_columns(report: &Report<'_>, columns: &[(&str, Shown)]) -> Data {
    let headings = columns.iter().map(|(heading, _)| (*heading).to_owned());
    let cells = |row: &Row<'_>| -> Vec<String> {
        let cells = columns.iter().map(|(_, shown)| shown.cell(row));
        std::iter::once(row.variant.name.clone())
            .chain(cells)
            .collect()
    };
    Data {
        head: std::iter::once("variant".to_owned())
            .chain(headings)
            .collect(),
        rows: report.rows.iter().map(cells).collect(),
    }
}

/// Every column, then each ratio to the first variant with the ends of its interval in columns of their own.
fn everything(report: &Report<'_>) -> Data {
    let mut table = of_columns(report, &EVERYTHING);
    for metric in Metric::ALL {
        let name = metric.title().split(',').next().unwrap_or_default();
        let ends = ["", ", low", ", high"].map(|end| format!("{name} to the first{end}"));
        table.head.extend(ends);
        for (cells, row) in table.rows.iter_mut().zip(&report.rows) {
            // What is not valid has no interval in a report either.
            let shown = with_interval(row.variant, metric);
            let numbers = shown.replace(['[', ']', ','], " ");
            let mut numbers = numbers.split_whitespace().map(str::to_owned);
            cells.extend((0..3).map(|_| numbers.next().unwrap_or_default()));
        }
    }
    table
}

/// A table of GitHub's Markdown.
pub(super) fn markdown_table(Data { head, rows }: &Data) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| markdown::escape(cell)).collect();
        format!(
            "| {} |\n",
            cells.join(" | ").replace("\\[", "[").replace("\\]", "]")
        )
    };
    let rule = format!("|---|{}\n", "--:|".repeat(head.len().saturating_sub(1)));
    let rows: String = rows.iter().map(|row| line(row)).collect();
    line(head) + &rule + &rows
}

fn latex(report: &Report<'_>, Data { head, rows }: &Data) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| latex_escape(cell)).collect();
        format!("{} \\\\\n", cells.join(" & "))
    };
    let notes = std::iter::once(report.verdict.sentence()).chain(report.legend.iter().cloned());
    let notes: String = notes
        .map(|note| format!("% {}\n", note.replace(['\n', '\r'], " ")))
        .collect();
    let run = &report.results.run;
    let rows: String = rows.iter().map(|row| line(row)).collect();
    format!(
        "% mtc5g {}, scenario {}, {} operations a variant at least; needs the package booktabs\n{notes}\\begin{{tabular}}{{ll{}}}\n\\toprule\n{}\
         \\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n",
        report.results.environment.mtc5g,
        run.name.replace(['\n', '\r'], " "),
        fewest(report),
        "r".repeat(head.len().saturating_sub(2)),
        line(head),
    )
}

fn fewest(report: &Report<'_>) -> String {
    let operations = report.rows.iter().map(|row| row.variant.ok);
    count(operations.min().unwrap_or_default())
}

/// Text that LaTeX sets as it is.
fn latex_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', c]),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '×' => escaped.push_str("$\\times$"),
            'µ' => escaped.push_str("$\\mu$"),
            '–' => escaped.push_str("--"),
            '\n' | '\r' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::{grid, quick};

    fn of(results: &Results, format: TableFormat) -> String {
        comparison_table(&Report::of(results), format)
    }

    #[test]
    fn a_table_of_a_paper_names_key_exchange_and_interval() {
        let text = of(&quick(), TableFormat::Markdown);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("| variant | key exchange | bytes | × | CPU, µs |"));
        assert_eq!(lines.len(), 2 + 5);
        assert!(
            lines[6].starts_with(
                "| mtc-landmark | X25519MLKEM768 | 14,860 | 3.41 [3.41, 3.41] | 594 | 1.29 ["
            ),
            "{}",
            lines[6]
        );
        let columns: Vec<usize> = lines.iter().map(|line| line.matches('|').count()).collect();
        assert_eq!(columns, [11; 7]);
    }

    #[test]
    fn latex_is_escaped_and_says_what_it_shows() {
        let mut results = quick();
        results.variants[0].name = "50%_of & $\\more".to_owned();
        let text = of(&results, TableFormat::Latex);
        assert!(
            text.contains(
                "\n50\\%\\_of \\& \\$\\textbackslash{}more & X25519MLKEM768 & 4,360 & -- &"
            ),
            "{text}"
        );
        assert!(text.contains("\\begin{tabular}{llrrrrrrrr}\n\\toprule\nvariant & key exchange & bytes & $\\times$ &"), "{text}");
        assert!(
            text.starts_with("% mtc5g 0.1.0, scenario quick, 540 operations a variant at least")
        );
        assert!(
            text.contains("\n% Passed: no errors") && text.contains("\n% A session: "),
            "{text}"
        );
        assert!(text.ends_with("\\bottomrule\n\\end{tabular}\n"));
    }

    #[test]
    fn every_figure_is_a_file_and_the_comparison_another() {
        let files = csv_files(&quick());
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "comparison.csv",
                "bytes.csv",
                "cpu.csv",
                "handshake.csv",
                "operation.csv",
                "time.csv",
                "issuance.csv"
            ]
        );
        let comparison: Vec<&str> = files[0].1.split("\r\n").collect();
        assert!(
            comparison[0].starts_with("variant,key exchange,ok,errors,\"bytes, client\""),
            "{}",
            comparison[0]
        );
        assert!(
            comparison[5]
                .starts_with("mtc-landmark,X25519MLKEM768,540,0,7430,7430,14860,297,297,594,3.00,"),
            "{}",
            comparison[5]
        );
        assert!(
            comparison[5].contains(",3.41,3.41,3.41,"),
            "{}",
            comparison[5]
        );
    }

    #[test]
    fn a_sweep_has_its_settings_in_the_first_column() {
        let files = sweep_csv_files(&grid());
        let (name, comparison) = &files[0];
        assert_eq!((name.as_str(), files.len()), ("comparison.csv", 1 + 4));
        assert_eq!(comparison.lines().count(), 1 + 6 * 5);
        assert!(comparison.contains("\r\n\"link.loss = 0, link.rtt = 20ms\",mtc-landmark,"));
        assert!(sweep_csv_files(&[]).len() == 1);
    }
}
