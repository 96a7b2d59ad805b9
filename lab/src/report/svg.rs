//! The two kinds of chart, as inline SVG without scripts: colours come from the page's style sheet.
//!
//! ```text
//!  bars    x509-mldsa65                31,600 B     percentiles   ms │           ___/
//!          ████████████▒▒▒▒▒▒▒▒▒▒▒▒                     (log)     │   ____----
//!          client      server                                        └──┬────┬────┬────┬─
//!                                                                       50   90   99   99.9 %
//! ```
//!
//! A chart is as wide as its figure and its text stays readable at the width of a phone. Each has a title and a
//! description for those who do not see it. Series differ in dash as well as in colour.

use super::html::escape;

/// The units that a chart is drawn in; the page scales them.
const WIDTH: f64 = 460.0;
const BAR_ROW: f64 = 40.0;
const BAR: f64 = 14.0;
/// A percentile plot: the plot area within the drawing.
const PLOT: Area = Area {
    left: 42.0,
    top: 10.0,
    right: 448.0,
    bottom: 240.0,
};
const PLOT_HEIGHT: f64 = 280.0;
/// Marks of the percentile axis: the fraction and its label.
const PERCENTILES: [(f64, &str); 5] = [
    (0.0, "0 %"),
    (0.5, "50"),
    (0.9, "90"),
    (0.99, "99"),
    (0.999, "99.9 %"),
];
/// Points of a curve.
const STEPS: u32 = 90;
/// Dashes by series; colours come round after six, so no two of twelve series look the same.
const DASHES: [&str; 12] = [
    "",
    "7 3",
    "2 3",
    "9 3 2 3",
    "14 4",
    "5 2 1 2 1 2",
    "3 6",
    "10 2",
    "1 2",
    "6 2 6 6",
    "12 3 3 3",
    "4 4",
];

/// How many colours the style sheet has, `--series-0` and so on.
pub(super) const COLOURS: usize = 6;

/// What a chart is called, for those who see it and those who do not.
pub(super) struct Caption<'a> {
    /// Unique in the page.
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    pub(super) description: &'a str,
}

/// One bar: what a client and a server spend.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) client: f64,
    pub(super) server: f64,
    /// The sum as text, with its unit and ratio.
    pub(super) total: String,
}

/// One curve: the time at each fraction of the samples.
pub(super) struct Curve<'a> {
    pub(super) label: &'a str,
    pub(super) samples: u64,
    /// Milliseconds at a quantile.
    pub(super) at: &'a dyn Fn(f64) -> Option<f64>,
}

struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

/// Horizontal bars of two parts, one below the other.
pub(super) fn bars(caption: &Caption<'_>, bars: &[Bar]) -> String {
    let longest = bars
        .iter()
        .map(|bar| bar.client + bar.server)
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut body = String::new();
    for (index, bar) in bars.iter().enumerate() {
        let top = BAR_ROW * index as f64;
        let client = bar.client / longest * WIDTH;
        let server = bar.server / longest * WIDTH;
        let (text, y) = (top + 15.0, top + 21.0);
        body.push_str(&format!(
            "<text class=\"label\" x=\"0\" y=\"{text:.0}\">{}</text>\
             <text class=\"value\" x=\"{WIDTH}\" y=\"{text:.0}\" text-anchor=\"end\">{}</text>\
             <rect class=\"client\" x=\"0\" y=\"{y:.0}\" width=\"{client:.1}\" height=\"{BAR}\"/>\
             <rect class=\"server\" x=\"{client:.1}\" y=\"{y:.0}\" width=\"{server:.1}\" height=\"{BAR}\"/>\n",
            escape(&bar.label),
            escape(&bar.total)
        ));
    }
    frame(caption, BAR_ROW * bars.len() as f64, &body)
}

/// Curves over a percentile axis that gives each nine as much room; times on a log scale.
pub(super) fn percentiles(caption: &Caption<'_>, curves: &[Curve<'_>]) -> String {
    let lines: Vec<Vec<(f64, f64)>> = curves.iter().map(points).collect();
    let times = || lines.iter().flatten().map(|(_, ms)| *ms);
    let (low, high) = (
        times().fold(f64::MAX, f64::min),
        times().fold(f64::MIN, f64::max),
    );
    if low > high {
        let nothing = "<text class=\"label\" x=\"0\" y=\"20\">Nothing was measured.</text>\n";
        return frame(caption, 30.0, nothing);
    }
    let scale = LogScale::around(low, high);
    let mut body = axes(&scale);
    for (index, line) in lines.iter().enumerate() {
        let path: Vec<String> = line
            .iter()
            .map(|(nines, ms)| format!("{:.1},{:.1}", x_of(*nines), scale.y_of(*ms)))
            .collect();
        body.push_str(&format!(
            "<polyline {} points=\"{}\"/>\n",
            stroke(index),
            path.join(" ")
        ));
    }
    frame(caption, PLOT_HEIGHT, &body)
}

/// A short sample of a curve's line, for a legend.
pub(super) fn swatch(index: usize) -> String {
    format!(
        "<svg class=\"swatch\" viewBox=\"0 0 34 10\" aria-hidden=\"true\"><polyline {} points=\"1,5 33,5\"/></svg>",
        stroke(index)
    )
}

fn stroke(index: usize) -> String {
    format!(
        "class=\"line s{}\" stroke-dasharray=\"{}\"",
        index % COLOURS,
        DASHES[index % DASHES.len()]
    )
}

fn frame(
    Caption {
        id,
        title,
        description,
    }: &Caption<'_>,
    height: f64,
    body: &str,
) -> String {
    format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
         <title id=\"{id}-title\">{}</title><desc id=\"{id}-desc\">{}</desc>\n{body}</svg>\n",
        escape(title),
        escape(description)
    )
}

/// Up to the last percentile that the samples can tell: one in a thousand needs a thousand of them.
fn points(curve: &Curve<'_>) -> Vec<(f64, f64)> {
    let last = (curve.samples.max(1) as f64).log10().min(3.0);
    let steps = (0..=STEPS).map(|step| last * f64::from(step) / f64::from(STEPS));
    steps
        .filter_map(|nines| Some((nines, (curve.at)(1.0 - 10_f64.powf(-nines))?)))
        .collect()
}

/// Where a number of nines (1 for 90 %, 3 for 99.9 %) stands.
fn x_of(nines: f64) -> f64 {
    PLOT.left + (PLOT.right - PLOT.left) * nines / 3.0
}

fn axes(scale: &LogScale) -> String {
    let Area {
        left,
        top,
        right,
        bottom,
    } = PLOT;
    let mut body = String::new();
    for ms in scale.marks() {
        let y = scale.y_of(ms);
        body.push_str(&format!(
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{ms}</text>\n",
            left - 6.0,
            y + 4.0
        ));
    }
    for (fraction, label) in PERCENTILES {
        let x = x_of(-(1.0_f64 - fraction).log10());
        let anchor = if fraction > 0.99 { "end" } else { "middle" };
        body.push_str(&format!(
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{label}</text>\n",
            bottom + 18.0
        ));
    }
    body.push_str(&format!(
        "<text class=\"tick\" x=\"{left}\" y=\"{:.0}\">vertical: milliseconds, log scale; horizontal: percentile</text>\n",
        bottom + 36.0
    ));
    body
}

/// Milliseconds, from a mark at or below the lowest time to one at or above the highest.
struct LogScale {
    low: f64,
    high: f64,
}

impl LogScale {
    fn around(low: f64, high: f64) -> Self {
        let marks = || (-4..=6).flat_map(|power| [1.0, 2.0, 5.0].map(|step| mark(step, power)));
        let first = marks()
            .filter(|mark| *mark <= low)
            .fold(mark(1.0, -4), f64::max);
        let last = marks()
            .filter(|mark| *mark >= high && *mark > first)
            .fold(mark(1.0, 7), f64::min);
        Self {
            low: first,
            high: last,
        }
    }

    fn marks(&self) -> impl Iterator<Item = f64> {
        let all = (-4..=7).flat_map(|power| [1.0, 2.0, 5.0].map(|step| mark(step, power)));
        all.filter(|mark| (self.low..=self.high).contains(mark))
    }

    fn y_of(&self, ms: f64) -> f64 {
        let share = (ms.clamp(self.low, self.high) / self.low).ln() / (self.high / self.low).ln();
        PLOT.bottom - (PLOT.bottom - PLOT.top) * share
    }
}

/// Divides for negative powers, so that 0.2 prints as such.
fn mark(step: f64, power: i32) -> f64 {
    if power < 0 {
        step / 10_f64.powi(-power)
    } else {
        step * 10_f64.powi(power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTION: Caption<'_> = Caption {
        id: "c",
        title: "A < B",
        description: "shows & tells",
    };

    fn bar(label: &str, client: f64, server: f64) -> Bar {
        Bar {
            label: label.to_owned(),
            client,
            server,
            total: format!("{}", client + server),
        }
    }

    #[test]
    fn bars_are_as_long_as_their_share_of_the_longest() {
        let svg = bars(&CAPTION, &[bar("a", 100.0, 100.0), bar("b", 50.0, 0.0)]);
        assert!(
            svg.contains("<rect class=\"server\" x=\"230.0\" y=\"21\" width=\"230.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("<rect class=\"client\" x=\"0\" y=\"61\" width=\"115.0\""),
            "{svg}"
        );
    }

    #[test]
    fn a_chart_has_an_escaped_title_and_description() {
        let svg = bars(&CAPTION, &[bar("<script>", 1.0, 1.0)]);
        assert!(svg.contains("aria-labelledby=\"c-title c-desc\""));
        assert!(svg.contains(
            "<title id=\"c-title\">A &lt; B</title><desc id=\"c-desc\">shows &amp; tells</desc>"
        ));
        assert!(!svg.contains("<script>"));
    }

    #[test]
    fn a_curve_ends_where_its_samples_end() {
        let at = |quantile: f64| Some(1.0 + quantile);
        let last = |samples| {
            points(&Curve {
                label: "a",
                samples,
                at: &at,
            })
            .last()
            .map(|(nines, _)| *nines)
        };
        assert_eq!(last(100), Some(2.0));
        assert_eq!(last(1_000_000), Some(3.0));
    }

    #[test]
    fn marks_enclose_the_times() {
        let scale = LogScale::around(0.83, 7.9);
        assert_eq!(
            scale.marks().collect::<Vec<_>>(),
            [0.5, 1.0, 2.0, 5.0, 10.0]
        );
        assert_eq!((scale.y_of(0.5), scale.y_of(10.0)), (PLOT.bottom, PLOT.top));
        let flat = LogScale::around(1.0, 1.0);
        assert!(flat.high > flat.low);
    }

    #[test]
    fn nothing_measured_is_said() {
        let svg = percentiles(
            &CAPTION,
            &[Curve {
                label: "a",
                samples: 0,
                at: &|_| None,
            }],
        );
        assert!(svg.contains("Nothing was measured."));
    }
}
