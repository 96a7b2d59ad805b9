//! Single figures as SVG files, for papers: light, with title and legend.

use super::charts::{LATENCIES, figures, left_out};
use super::wording::title;
use crate::results::Results;
use crate::scenario::Measure;

const STYLE: &str = concat!(
    include_str!("palette.css"),
    include_str!("chart.css"),
    "svg { background: #fff; font-family: Helvetica, Arial, sans-serif; }\n\
     .chart .heading { font-size: 15px; font-weight: 600; }\n\
     .chart .mark { font-size: 12px; font-weight: 600; fill: #b3261e; }\n"
);

/// The names of the figures that a run has.
pub fn figure_names(results: &Results) -> Vec<String> {
    figures(results)
        .into_iter()
        .map(|figure| figure.caption.id)
        .collect()
}

/// A figure as an SVG file; none without a figure of that name.
pub fn plot(results: &Results, name: &str) -> Option<String> {
    figures(results)
        .iter()
        .find(|figure| figure.caption.id == name)
        .map(|figure| {
            let mark = mark(results, name);
            figure
                .chart
                .standalone(&figure.caption, mark.as_deref(), STYLE)
        })
}

/// What a reader of the figure alone has to know of the run.
fn mark(results: &Results, name: &str) -> Option<String> {
    let outcome = results.verdict.outcome;
    if results.verdict.invalid_measures.contains(&Measure::Bytes) {
        return Some(title(outcome).to_owned());
    }
    let variants = &results.variants;
    let left_out = variants.iter().filter(|of| !of.is_valid(Measure::Latency));
    let left_out = left_out.count();
    (left_out > 0 && LATENCIES.contains(&name)).then(|| {
        format!(
            "{left_out} of {} variants left out, not valid",
            variants.len()
        )
    })
}

/// Why a run has no figure of this name, if it would have one were it not for its verdict.
pub fn why_not_plotted(results: &Results, name: &str) -> Option<String> {
    let is_there = figures(results).iter().any(|of| of.caption.id == name);
    (LATENCIES.contains(&name) && !is_there)
        .then(|| left_out(results))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::{busy, quick};

    #[test]
    fn a_figure_of_what_is_not_valid_bears_a_mark_or_is_not_drawn() {
        let mark = "<text class=\"mark\"";
        let mut busy = busy(&Measure::ALL);
        assert!(!plot(&busy, "bytes").unwrap().contains(mark));
        let svg = plot(&busy, "handshake").unwrap();
        assert!(
            svg.contains("1 of 5 variants left out, not valid</text>"),
            "{svg}"
        );
        let arrivals = busy.variants[4].arrivals.clone();
        let all = busy.variants.iter_mut();
        all.for_each(|variant| variant.arrivals = arrivals.clone());
        assert_eq!(plot(&busy, "handshake"), None);
        let why = why_not_plotted(&busy, "handshake").expect("a reason");
        assert!(
            why.starts_with("Left out, not valid: x509-ed25519, "),
            "{why}"
        );
        assert_eq!(why_not_plotted(&busy, "other"), None);

        let mut interrupted = quick();
        interrupted.run.interrupted = true;
        interrupted.verdict = interrupted.judge();
        for name in figure_names(&interrupted) {
            let svg = plot(&interrupted, &name).unwrap();
            assert!(
                svg.contains(mark) && svg.contains(">Not a valid measurement</text>"),
                "{name}"
            );
        }
    }

    #[test]
    fn every_figure_is_a_file_with_legend_and_style() {
        let results = quick();
        let names = figure_names(&results);
        assert_eq!(
            names,
            ["bytes", "cpu", "handshake", "operation", "time", "issuance"]
        );
        for name in names {
            let svg = plot(&results, &name).expect("a figure of this name");
            assert!(
                svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"),
                "{name}"
            );
            assert!(
                svg.contains("--part-0") && svg.contains("class=\"heading\""),
                "{name}"
            );
            assert!(svg.contains("<g transform="), "{name}");
        }
        assert_eq!(plot(&results, "other"), None);
    }
}
