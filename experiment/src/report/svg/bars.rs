//! Horizontal bars of several parts.

use super::super::escape::escape;
use super::chart::{Chart, Mark, PARTS, WIDTH};

const BAR_ROW: f64 = 40.0;
const BAR: f64 = 14.0;

/// One bar: a variant's cost in parts.
pub(in super::super) struct Bar {
    pub(in super::super) label: String,
    /// One for each name of the legend.
    pub(in super::super) parts: Vec<f64>,
    /// The sum as text, with its unit and ratio.
    pub(in super::super) total: String,
}

/// Horizontal bars, one below the other, each of the named parts.
pub(in super::super) fn bars(names: &[&str], bars: &[Bar]) -> Chart {
    let longest = bars
        .iter()
        .map(|bar| bar.parts.iter().sum())
        .fold(f64::MIN_POSITIVE, f64::max);
    if bars
        .iter()
        .flat_map(|bar| &bar.parts)
        .all(|part| *part <= 0.0)
    {
        return Chart::nothing();
    }
    let mut body = String::new();
    for (index, bar) in bars.iter().enumerate() {
        let top = BAR_ROW * index as f64;
        let (text, y) = (top + 15.0, top + 21.0);
        body.push_str(&format!(
            "<text class=\"label\" x=\"0\" y=\"{text:.0}\">{}</text>\
             <text class=\"value\" x=\"{WIDTH}\" y=\"{text:.0}\" text-anchor=\"end\">{}</text>",
            escape(&bar.label),
            escape(&bar.total)
        ));
        let mut x = 0.0;
        for (part, value) in bar.parts.iter().enumerate() {
            let width = value / longest * WIDTH;
            if width > 0.0 {
                body.push_str(&format!(
                    "<rect class=\"part p{}\" x=\"{x:.1}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{BAR}\"/>",
                    part % PARTS
                ));
            }
            x += width;
        }
        body.push('\n');
    }
    let names = names.iter().enumerate();
    Chart {
        height: BAR_ROW * bars.len() as f64,
        body,
        legend: names
            .map(|(index, name)| (Mark::Part(index), (*name).to_owned()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::chart::Caption;
    use super::*;

    fn bar(label: &str, parts: [f64; 2]) -> Bar {
        Bar {
            label: label.to_owned(),
            parts: parts.into(),
            total: parts.iter().sum::<f64>().to_string(),
        }
    }

    #[test]
    fn bars_are_as_long_as_their_share_of_the_longest() {
        let drawn = [bar("a", [100.0, 100.0]), bar("b", [50.0, 0.0])];
        let svg = bars(&["client", "server"], &drawn).body;
        assert!(
            svg.contains("<rect class=\"part p1\" x=\"230.0\" y=\"21\" width=\"230.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("<rect class=\"part p0\" x=\"0.0\" y=\"61\" width=\"115.0\""),
            "{svg}"
        );
        assert_eq!(
            svg.matches("<rect").count(),
            3,
            "nothing is drawn of nothing"
        );
    }

    fn caption() -> Caption {
        Caption {
            id: "c".to_owned(),
            title: "A < B".to_owned(),
            sentence: "shows & tells".to_owned(),
        }
    }

    #[test]
    fn a_chart_has_an_escaped_title_and_description() {
        let chart = bars(&["client", "server"], &[bar("<script>", [1.0, 1.0])]);
        let svg = chart.inline(&caption());
        assert!(svg.contains("aria-labelledby=\"c-title c-desc\""));
        assert!(svg.contains(
            "<title id=\"c-title\">A &lt; B</title><desc id=\"c-desc\">shows &amp; tells</desc>"
        ));
        assert!(!svg.contains("<script>"));
        let file = chart.standalone(&caption(), None, ".a{}");
        assert!(file.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
        assert!(file.contains("<title>A &lt; B</title>") && file.contains("<style>.a{}</style>"));
        assert!(file.contains(">client</text>") && file.contains(">server</text>"));
    }
}
