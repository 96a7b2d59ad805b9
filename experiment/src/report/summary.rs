//! The results as Markdown, for an issue, a chat or a repository.

use mtc_core::printable::printable_lines;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::figures::{
    at, count, invalid, operation, outcome, ratio, sides, time, times, whole, with_interval,
};
use super::findings::{caveats, findings, headline};
use super::markdown::{bullets, escape};
use crate::results::{Metric, Results, VariantResult};

/// The results as Markdown.
pub fn summary(results: &Results) -> String {
    let mut text = format!("# mtc5g: {}\n\n", escape(&results.run.name));
    if !results.run.description.is_empty() {
        text.push_str(&format!("{}\n\n", escape(&results.run.description)));
    }
    text.push_str(&format!("{}\n\n", verdict(results)));
    text.push_str(&thresholds(results));
    text.push_str(&format!("{}\n\n", headline(results)));
    text.push_str(&figures(results));
    text.push_str(
        "\nBytes and CPU are means per handshake; × relates both sides' sum to the first variant. Handshake times are of the \
         load generator's connections, operation times count from the intended start.\n",
    );
    text.push_str(&intervals(results));
    text.push_str("\n## What the figures say\n\n");
    let said = findings(results)
        .into_iter()
        .map(|finding| format!("**{}**: {}", finding.tone.as_str(), finding.text));
    bullets(&mut text, said);
    text.push_str("\n## What they cannot show\n\n");
    bullets(&mut text, caveats(results));
    bullets(
        &mut text,
        results
            .verdict
            .warnings
            .iter()
            .map(|warning| escape(warning)),
    );
    text.push_str(&environment(results));
    text.push_str(&scenario(&results.scenario));
    printable_lines(&text)
}

fn verdict(results: &Results) -> String {
    if results.verdict.passed {
        return "**Passed**: no errors, no drops, every handshake was served the credential kind its variant asks for."
            .to_owned();
    }
    let violations = results
        .verdict
        .violations
        .iter()
        .map(|violation| format!("\n- {}", escape(violation)));
    format!(
        "**Not a valid measurement**:\n{}",
        violations.collect::<String>()
    )
}

fn thresholds(results: &Results) -> String {
    if results.thresholds.is_empty() {
        return String::new();
    }
    let mut text = "Thresholds:\n\n".to_owned();
    let lines = results.thresholds.iter().map(|threshold| {
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

fn figures(results: &Results) -> String {
    let Some(first) = results.variants.first() else {
        return String::new();
    };
    let operation = operation(results);
    let mut text = format!(
        "| variant | ok | errors | handshake ms p50 | p90 | p99 | p99.9 | {operation} ms p50 | p99 | bytes client | server | × | \
         CPU µs client | server | × | verify µs |\n|---|{}\n",
        "--:|".repeat(15)
    );
    for variant in &results.variants {
        text.push_str(&row(variant, first));
    }
    text
}

fn row(variant: &VariantResult, first: &VariantResult) -> String {
    let cells = [
        name(variant),
        count(variant.ok),
        count(variant.failed() + variant.dropped),
        at(variant.handshake_ms, |l| l.p50),
        at(variant.handshake_ms, |l| l.p90),
        at(variant.handshake_ms, |l| l.p99),
        at(variant.handshake_ms, |l| l.p999),
        at(variant.operation_ms, |l| l.p50),
        at(variant.operation_ms, |l| l.p99),
        whole(variant.bytes_client),
        whole(variant.bytes_server),
        times(ratio(variant.bytes(), first.bytes())),
        whole(variant.cpu_us_client),
        whole(variant.cpu_us_server),
        times(ratio(variant.cpu_us(), first.cpu_us())),
        time(variant.verify_us),
    ];
    format!("| {} |\n", cells.join(" | "))
}

fn name(variant: &VariantResult) -> String {
    match invalid(variant) {
        Some(why) => format!("{} **({why})**", escape(&variant.name)),
        None => escape(&variant.name),
    }
}

/// Every ratio to the first variant with its interval; nothing where no variant has any.
fn intervals(results: &Results) -> String {
    let related = || results.variants.iter().filter(|of| !of.to_first.is_empty());
    let Some(first) = results.variants.first().filter(|_| related().count() > 0) else {
        return String::new();
    };
    let heads = Metric::ALL.map(|metric| metric.title().split(',').next().unwrap_or_default());
    let mut text = format!(
        "\nAs multiples of {}, each with the interval that holds 95 % of the ratios when the slices of the run are drawn again:\n\n\
         | variant | {} |\n|---|{}\n",
        escape(&first.name),
        heads.join(" | "),
        "--:|".repeat(Metric::ALL.len())
    );
    for variant in related() {
        let cells = Metric::ALL.map(|metric| with_interval(variant, metric));
        text.push_str(&format!("| {} | {} |\n", name(variant), cells.join(" | ")));
    }
    text
}

fn environment(results: &Results) -> String {
    let environment = &results.environment;
    let libraries: Vec<String> = environment
        .libraries
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let lines = [
        (
            "Processor",
            format!("{}, {} logical", environment.cpu, environment.cores),
        ),
        (
            "System",
            format!("{}, {}", environment.os, environment.kernel),
        ),
        (
            "Network",
            format!(
                "{}, {}",
                environment.network, environment.tcp_congestion_control
            ),
        ),
        (
            "Build",
            format!(
                "mtc5g {} ({}), {}, {}",
                environment.mtc5g, environment.revision, environment.profile, environment.rustc
            ),
        ),
        ("Libraries", libraries.join(", ")),
        ("Certificates", environment.draft.clone()),
        (
            "Run",
            format!(
                "{} to {}, seed {}",
                moment(results.run.started),
                moment(results.run.ended),
                results.run.seed
            ),
        ),
    ];
    let mut text = "\n## Environment\n\n".to_owned();
    bullets(
        &mut text,
        lines.map(|(name, value)| format!("{name}: {}", escape(&value))),
    );
    text
}

/// RFC 3339, whole seconds.
fn moment(time: OffsetDateTime) -> String {
    let seconds = time.replace_nanosecond(0).unwrap_or(time);
    seconds
        .format(&Rfc3339)
        .unwrap_or_else(|_| time.to_string())
}

/// A fence longer than any run of backticks in the text cannot be closed by it.
fn scenario(text: &str) -> String {
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
    use crate::results::sample::quick;

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
        for text in [summary(&results), crate::report::table(&results)] {
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
        let mut results = quick();
        results.variants[1].arrivals.late = 11;
        results.variants[1].arrivals.invalid = Some("late".to_owned());
        let text = summary(&results);
        let marked = "| x509-mldsa65 **(invalid: the load generator was late)** |";
        assert_eq!(text.matches(marked).count(), 2, "{text}");
    }

    #[test]
    fn outside_text_stays_text() {
        let mut results = quick();
        results.verdict.passed = false;
        results.verdict.violations = vec!["tls: <b>a|b</b>\n# heading".to_owned()];
        results.scenario = "a ```` fence".to_owned();
        let text = summary(&results);
        assert!(
            text.contains(r"- tls: \<b\>a\|b\</b\> \# heading"),
            "{text}"
        );
        assert!(
            text.contains("\n`````toml\na ```` fence\n`````\n"),
            "{text}"
        );
    }
}
