//! Two runs side by side, as plain text.

use mtc_core::printable::printable_lines;

use super::table::{WIDTH, paragraph};
use crate::results::{Comparison, Metric, Ratio};

/// Columns of a name and of a change.
const NAME: usize = 22;
const CHANGE: usize = 26;
/// Smaller changes, in percent as they are shown, bear no mark: the interval is of the spread within the runs, and bytes of two runs
/// differ by such as the lengths of ECDSA signatures.
const LEAST_MARKED: f64 = 0.5;

/// What has changed from one run to the other.
pub fn comparison(comparison: &Comparison) -> String {
    let mut text = String::new();
    if !comparison.same_scenario {
        text.push_str("The scenarios differ: only variants of the same name are compared.\n");
    }
    if !comparison.unmatched.is_empty() {
        let line = format!(
            "Only in one of the runs: {}.",
            comparison.unmatched.join(", ")
        );
        paragraph(&mut text, WIDTH, "", &line);
    }
    if !comparison.environment.is_empty() {
        text.push_str(
            "The environments differ, so a change may be the machine's or the build's:\n",
        );
        for difference in &comparison.environment {
            let line = format!(
                "{}: {} -> {}",
                difference.field, difference.earlier, difference.later
            );
            paragraph(&mut text, WIDTH, "- ", &line);
        }
    }
    if !comparison.left_out.is_empty() {
        text.push_str("Not valid, so not compared:\n");
        let lines = comparison.left_out.iter();
        lines.for_each(|line| paragraph(&mut text, WIDTH, "- ", line));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&changes(comparison));
    text.push_str(&format!(
        "\n  later to earlier, with the 95 % interval; – not valid, or too few slices\n  \
         * differs: by {LEAST_MARKED} % or more, and the interval leaves out no change\n"
    ));
    if let Some(limit) = comparison.fail_above {
        if comparison.regressions.is_empty() {
            let of_what = match comparison.left_out.as_slice() {
                [] => "nothing",
                _ => "nothing that was compared",
            };
            text.push_str(&format!(
                "\nPASSED: {of_what} is surely more than {:.1} % higher\n",
                limit * 100.0
            ));
        } else {
            text.push_str("\nHIGHER\n");
            comparison
                .regressions
                .iter()
                .for_each(|line| paragraph(&mut text, WIDTH, "- ", line));
        }
    }
    printable_lines(&text)
}

fn changes(comparison: &Comparison) -> String {
    let mut text = String::new();
    for metrics in Metric::ALL.chunks(4) {
        text.push_str(&format!("{:<NAME$}", "variant"));
        metrics
            .iter()
            .for_each(|metric| text.push_str(&format!("{:>CHANGE$}", title(*metric))));
        text.push('\n');
        for variant in &comparison.variants {
            let name: String = variant.name.chars().take(NAME).collect();
            text.push_str(&format!("{name:<NAME$}"));
            for metric in metrics {
                text.push_str(&format!("{:>CHANGE$}", change(variant.ratio(*metric))));
            }
            text.push('\n');
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// Without its unit: a ratio has none.
fn title(metric: Metric) -> &'static str {
    metric.title().split(',').next().unwrap_or_default()
}

fn change(ratio: Option<&Ratio>) -> String {
    let Some(ratio) = ratio else {
        return "–".to_owned();
    };
    let percent = |ratio: f64| (ratio - 1.0) * 100.0;
    let shown = (percent(ratio.ratio) * 10.0).round() / 10.0;
    let mark = if ratio.differs() && shown.abs() >= LEAST_MARKED {
        "*"
    } else {
        " "
    };
    format!(
        "{:+.1} % ({:+.1} to {:+.1}){mark}",
        percent(ratio.ratio),
        percent(ratio.low),
        percent(ratio.high)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::{busy, quick};
    use crate::scenario::Measure;

    #[test]
    fn what_is_not_compared_is_said_with_its_reason() {
        let busy = busy(&[Measure::Bytes, Measure::Cpu]);
        let text = comparison(&Comparison::of(&quick(), &busy, Some(0.05)));
        let said = "Not valid, so not compared:\n- latencies of the later run: 61 of 540 operations of mtc-landmark (11 %)";
        assert!(text.starts_with(said), "{text}");
        let row = text.lines().filter(|line| line.starts_with("mtc-landmark"));
        let missing: usize = row.map(|row| row.matches('–').count()).sum();
        assert_eq!(missing, 4, "{text}");
        assert!(
            text.contains("PASSED: nothing that was compared is surely more than 5.0 % higher"),
            "{text}"
        );
    }

    #[test]
    fn a_change_of_less_than_half_a_percent_is_not_marked() {
        let shown = |ratio: f64| {
            let (low, high) = (ratio - 0.0001, ratio + 0.0001);
            change(Some(&Ratio {
                metric: Metric::Bytes,
                ratio,
                low,
                high,
            }))
        };
        for (ratio, marked) in [
            (1.0002, false),
            (1.0044, false),
            (1.0046, true),
            (0.9956, false),
            (0.9954, true),
        ] {
            assert_eq!(shown(ratio).ends_with(")*"), marked, "{}", shown(ratio));
        }
        let legend = comparison(&Comparison::of(&quick(), &quick(), None));
        assert!(legend.contains("* differs: by 0.5 % or more"), "{legend}");
    }

    #[test]
    fn a_change_beyond_the_spread_is_marked() {
        let mut later = quick();
        for slice in &mut later.variants[4].slices {
            slice.client.cpu_ns *= 2;
            slice.server.cpu_ns *= 2;
        }
        later.environment.cores = 8;
        let text = comparison(&Comparison::of(&quick(), &later, Some(0.05)));
        let row = text
            .lines()
            .find(|line| line.starts_with("mtc-landmark"))
            .unwrap();
        assert!(
            row.contains("+0.0 % (") && row.contains("+100.0 % ("),
            "{text}"
        );
        assert_eq!(text.matches(")*").count(), 1, "{text}");
        assert!(text.contains("- cores: 2 -> 8\n"), "{text}");
        assert!(
            text.contains("\nHIGHER\n- mtc-landmark: CPU per handshake"),
            "{text}"
        );
    }
}
