//! Single figures as SVG files, for papers: light, with title and legend.

use super::charts::figures;
use crate::results::Results;

const STYLE: &str = concat!(
    include_str!("palette.css"),
    include_str!("chart.css"),
    "svg { background: #fff; font-family: Helvetica, Arial, sans-serif; }\n\
     .chart .heading { font-size: 15px; font-weight: 600; }\n"
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
        .map(|figure| figure.chart.standalone(&figure.caption, STYLE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::quick;

    #[test]
    fn every_figure_is_a_file_with_legend_and_style() {
        let results = quick();
        let names = figure_names(&results);
        assert_eq!(
            names,
            [
                "bytes",
                "cpu",
                "handshake",
                "operation",
                "time",
                "landmarks",
                "issuance"
            ]
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
