//! The report as Markdown, for an issue, a chat or a repository.

use mtc_core::printable::printable_lines;

use super::columns::{Column, Row};
use super::content::{Judgement, Report};
use super::learning;
use super::legs::{self, legs};
use super::markdown::{bullets, escape};
use super::numbers::with_interval;
use super::observed;
use super::procedure::{BY_NF, NOTE, TITLE, costs, nf_costs};
use super::scenario_text::lines;
use super::storm;
use super::tables::markdown_table;
use super::ways;
use super::wording::{LEFT_OUT, operation, outcome, sides, title};
use crate::results::{Metric, Results, ThresholdOutcome};

/// What the table shows of each variant.
const COLUMNS: [Column; 15] = [
    Column::Ok,
    Column::Errors,
    Column::HandshakeP50,
    Column::HandshakeP90,
    Column::HandshakeP99,
    Column::HandshakeP999,
    Column::OperationP50,
    Column::OperationP99,
    Column::BytesClient,
    Column::BytesServer,
    Column::ToFirst(Metric::Bytes),
    Column::CpuClient,
    Column::CpuServer,
    Column::ToFirst(Metric::Cpu),
    Column::Verify,
];

/// The report as Markdown.
pub fn summary(report: &Report<'_>) -> String {
    let results = report.results;
    let run = &results.run;
    let mut text = format!("# mtc5g: {}\n\n", escape(&run.name));
    text.push_str(&format!("{}\n\n", verdict(&report.verdict)));
    if !run.description.is_empty() {
        text.push_str(&format!("{}\n\n", escape(&run.description)));
    }
    text.push_str(&thresholds(report.thresholds));
    text.push_str(&format!("{}\n\n", report.headline));
    text.push_str(&match results.run.observed {
        Some(_) => markdown_table(&observed::comparison(&report.rows)),
        None => comparison(report),
    });
    text.push_str(if results.run.observed.is_some() {
        "\nBytes and CPU are means per handshake; × relates both sides' sum to the first variant. Handshake times are those of the \
         observed processes as clients.\n"
    } else {
        "\nBytes and CPU are means per handshake; × relates both sides' sum to the first variant. Handshake times are of the \
         load generator's connections, operation times count from the intended start.\n"
    });
    if report.rows.iter().any(|row| row.invalid.is_some()) {
        text.push_str(&format!("\n{LEFT_OUT}.\n"));
    }
    for sentence in &report.legend {
        text.push_str(&format!("\n{}\n", escape(sentence)));
    }
    text.push_str(&intervals(report));
    if let Some(costs) = ways::ways(report.results) {
        let (title, note, table) = (ways::TITLE, ways::NOTE, markdown_table(&costs));
        text.push_str(&format!("\n## {title}\n\n{table}\n{note}\n"));
    }
    if let Some(costs) = costs(report.results) {
        let table = markdown_table(&costs);
        text.push_str(&format!("\n## {TITLE}\n\n{table}\n{NOTE}\n"));
    }
    if let Some(costs) = nf_costs(report.results) {
        text.push_str(&format!("\n{BY_NF}:\n\n{}", markdown_table(&costs)));
    }
    if let Some(legs) = legs(report.results) {
        let (title, note, table) = (legs::TITLE, legs::NOTE, markdown_table(&legs));
        text.push_str(&format!("\n## {title}\n\n{table}\n{note}\n"));
    }
    if let Some((steps, sentences)) =
        storm::steps(report.results).zip(storm::summary(report.results))
    {
        let table = markdown_table(&steps);
        text.push_str(&format!("\n## {}\n\n{table}\n{sentences}\n", storm::TITLE));
    }
    if let Some(learned) = learning::learning(results) {
        let (title, table) = (learning::TITLE, markdown_table(&learned));
        let note = learning::note([results]);
        text.push_str(&format!("\n## {title}\n\n{table}\n{note}\n"));
    }
    for (title, data, note) in observed::tables(results) {
        text.push_str(&format!("\n## {title}\n\n{}", markdown_table(&data)));
        if !note.is_empty() {
            text.push_str(&format!("\n{note}\n"));
        }
    }
    if !report.findings.is_empty() {
        text.push_str("\n## What the figures say\n\n");
        let findings = report.findings.iter();
        bullets(
            &mut text,
            findings.map(|finding| format!("**{}**: {}", finding.tone.as_str(), finding.text)),
        );
    }
    text.push_str("\n## What they cannot show\n\n");
    bullets(&mut text, report.caveats.iter().cloned());
    bullets(&mut text, report.warnings().iter().map(|of| escape(of)));
    text.push_str("\n## Environment\n\n");
    let facts = report.environment.iter();
    bullets(
        &mut text,
        facts.map(|(name, fact)| format!("{name}: {}", escape(fact))),
    );
    if results.run.observed.is_none() {
        text.push_str(&scenario(results));
    }
    printable_lines(&text)
}

fn verdict(verdict: &Judgement) -> String {
    let title = title(verdict.outcome);
    match verdict.reasons.as_slice() {
        [reason] => format!("**{title}**: {}.", escape(reason)),
        reasons => {
            let reasons = reasons.iter().map(|of| format!("\n- {}", escape(of)));
            format!("**{title}**:\n{}", reasons.collect::<String>())
        }
    }
}

fn thresholds(thresholds: &[ThresholdOutcome]) -> String {
    if thresholds.is_empty() {
        return String::new();
    }
    let mut text = "Thresholds:\n\n".to_owned();
    let lines = thresholds.iter().map(|threshold| {
        format!(
            "**{}** {}: {} ({})",
            outcome(threshold),
            escape(&threshold.name),
            escape(&threshold.expression),
            sides(threshold)
        )
    });
    bullets(&mut text, lines);
    text.push('\n');
    text
}

fn comparison(report: &Report<'_>) -> String {
    if report.rows.is_empty() {
        return String::new();
    }
    let operation = operation(report.results);
    let mut text = format!(
        "| variant | ok | errors | handshake ms p50 | p90 | p99 | p99.9 | {operation} ms p50 | p99 | bytes client | server | × | \
         CPU µs client | server | × | verify µs |\n|---|{}\n",
        "--:|".repeat(COLUMNS.len())
    );
    for row in &report.rows {
        let cells = COLUMNS.map(|column| row.cell(column));
        text.push_str(&format!("| {} | {} |\n", name(row), cells.join(" | ")));
    }
    text
}

fn name(row: &Row<'_>) -> String {
    match row.invalid {
        Some(why) => format!("{} **({why})**", escape(&row.variant.name)),
        None => escape(&row.variant.name),
    }
}

/// Every ratio to the first variant with its interval; nothing where no variant has any.
fn intervals(report: &Report<'_>) -> String {
    let related = || {
        report
            .rows
            .iter()
            .filter(|of| !of.variant.to_first.is_empty())
    };
    let Some(first) = report.first().filter(|_| related().count() > 0) else {
        return String::new();
    };
    let heads = Metric::ALL.map(|metric| metric.title().split(',').next().unwrap_or_default());
    let mut text = format!(
        "\nAs multiples of {}, each with the interval that holds 95 % of the ratios when the slices of the run are drawn again:\n\n\
         | variant | {} |\n|---|{}\n",
        escape(first),
        heads.join(" | "),
        "--:|".repeat(Metric::ALL.len())
    );
    for row in related() {
        let cells = Metric::ALL.map(|metric| with_interval(row.variant, metric));
        text.push_str(&format!("| {} | {} |\n", name(row), cells.join(" | ")));
    }
    text
}

/// A fence longer than any run of backticks in the text cannot be closed by it.
fn scenario(results: &Results) -> String {
    let text: String = lines(results)
        .iter()
        .map(|line| match line.is_applied {
            true => format!("{}\n", line.text),
            false => {
                let instead = line.instead.as_deref();
                let instead = instead.map_or_else(String::new, |instead| format!("; {instead}"));
                format!("# not applied: {}{instead}\n", line.text)
            }
        })
        .collect();
    let longest = text
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!(
        "\n## Scenario\n\n{fence}toml\n{}\n{fence}\n",
        text.trim_end()
    )
}

#[cfg(test)]
mod tests {
    use mtc_core::printable::is_hidden;

    use super::*;
    use crate::results::sample::{busy, quick};
    use crate::results::{Outcome, Results};
    use crate::scenario::Measure;

    fn summary(results: &Results) -> String {
        super::summary(&Report::of(results))
    }

    #[test]
    fn has_a_row_for_every_variant_and_every_section() {
        let text = summary(&quick());
        assert_eq!(
            text.lines().filter(|line| line.starts_with("| ")).count(),
            6 + 5
        );
        let columns: Vec<usize> = text
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(|line| line.matches('|').count())
            .collect();
        assert_eq!(columns[..7], [17; 7]);
        assert_eq!(columns[7..], [9; 6]);
        assert!(text.contains("| mtc-landmark | 3.41 [3.41, 3.41] | "));
        for heading in [
            "# mtc5g: quick",
            "## What the figures say",
            "## What they cannot show",
            "## Environment",
            "## Scenario",
        ] {
            assert!(text.lines().any(|line| line == heading), "{heading}");
        }
        assert!(text.contains("**Passed**"));
    }

    #[test]
    fn a_threshold_shows_both_sides_and_what_became_of_it() {
        let mut results = quick();
        results.thresholds = crate::results::sample::thresholds();
        let text = summary(&results);
        assert!(
            text.contains(
                "- **met** small: bytes(\"a\") \\< bytes(\"b\") (14,860 against 31,600)\n\
                 - **broken** quick: p99(handshake, \"a\") \\< 1 (– against 1.00)\n"
            ),
            "{text}"
        );
    }

    // A threshold's name reached the file and the terminal as it was.
    #[test]
    fn no_text_of_others_controls_a_terminal_and_times_are_rfc_3339() {
        let mut results = quick();
        results.thresholds = crate::results::sample::thresholds();
        results.run.description = "d\u{202e}".to_owned();
        results.thresholds[0].name = "t\u{1b}[2J\n".to_owned();
        results.verdict.warnings.push("w\u{9b}".to_owned());
        results.scenario.push_str("# \u{1b}c\n");
        for text in [
            summary(&results),
            crate::report::table(&Report::of(&results)),
        ] {
            let hidden = text.chars().find(|c| *c != '\n' && is_hidden(*c));
            assert_eq!(hidden, None, "{text}");
            assert!(text.contains("u{1b}"), "{text}");
        }
        let text = summary(&results);
        assert!(text.contains("Z to "), "{text}");
        assert!(!text.contains("+00:00:00"), "{text}");
    }

    #[test]
    fn an_invalid_variant_is_marked() {
        let text = summary(&busy(&[Measure::Bytes, Measure::Cpu]));
        let marked = "| mtc-landmark **(latencies not valid)** | 540 | 0 | ! | ! | ! | ! | ! | ! | 7,430 | 7,430 | 3.41× | ";
        assert_eq!(text.matches(marked).count(), 1, "{text}");
        assert!(
            text.contains(" | 0.04 [0.04, 0.04] | ! | ! | ! | ! |\n"),
            "{text}"
        );
        assert!(text.contains("\n! left out: not a valid measurement,"));
        assert!(
            text.starts_with("# mtc5g: quick\n\n**Passed**: no errors, no drops,")
                && text
                    .contains("; latencies, which the scenario does not claim, are not valid.\n")
        );
        assert_eq!(
            text.matches("61 of 540 operations of mtc-landmark (11 %)")
                .count(),
            1
        );
        let invalid = summary(&busy(&Measure::ALL));
        assert!(
            invalid.starts_with(
                "# mtc5g: quick\n\n**Not a valid measurement**: 61 of 540 operations of mtc-landmark"
            ),
            "{invalid}"
        );
        assert_eq!(
            invalid.matches("61 of 540").count(),
            1,
            "one cause is said once"
        );
    }

    #[test]
    fn outside_text_stays_text() {
        let mut results = quick();
        results.verdict.outcome = Outcome::Invalid;
        results.verdict.violations = vec!["tls: <b>a|b</b>\n# heading".to_owned()];
        results.scenario = "a ```` fence".to_owned();
        let text = summary(&results);
        assert!(
            text.contains(r"**: tls: \<b\>a\|b\</b\> \# heading"),
            "{text}"
        );
        assert!(
            text.contains("\n`````toml\na ```` fence\n`````\n"),
            "{text}"
        );
    }
}
