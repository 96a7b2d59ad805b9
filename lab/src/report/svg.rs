//! The kinds of chart, as SVG without scripts: colours come from a style sheet. A third kind, `course`, is as `percentiles`
//! with seconds on its horizontal axis.
//!
//! ```text
//!  bars    x509-mldsa65                31,600 B     percentiles   ms │           ___/
//!          ████████████▒▒▒▒▒▒▒▒▒▒▒▒                     (log)     │   ____----
//!          one part    another                                       └──┬────┬────┬────┬─
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

/// How many colours the parts of a bar have, `--part-0` and so on.
pub(super) const PARTS: usize = 8;

/// What a chart is called, for those who see it and those who do not.
pub(super) struct Caption {
    /// Unique in the page.
    pub(super) id: &'static str,
    pub(super) title: String,
    /// What it shows, in one sentence.
    pub(super) sentence: String,
}

/// A drawing with its legend.
pub(super) struct Chart {
    height: f64,
    body: String,
    legend: Vec<(Mark, String)>,
}

/// What a legend shows beside a name.
#[derive(Clone, Copy)]
enum Mark {
    Part(usize),
    Line(usize),
}

/// One bar: a variant's cost in parts.
pub(super) struct Bar {
    pub(super) label: String,
    /// One for each name of the legend.
    pub(super) parts: Vec<f64>,
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

/// A time in each of several slices.
pub(super) struct Course<'a> {
    pub(super) label: &'a str,
    /// Milliseconds; none where nothing was measured.
    pub(super) ms: Vec<Option<f64>>,
}

struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Chart {
    /// The legend and the drawing as parts of a page, whose style sheet colours them.
    pub(super) fn inline(
        &self,
        Caption {
            id,
            title,
            sentence,
        }: &Caption,
    ) -> String {
        let entries = self.legend.iter();
        let legend: String = entries
            .map(|(mark, name)| format!("<li>{}{}</li>", mark.swatch(), escape(name)))
            .collect();
        format!(
            "<ul class=\"legend\">{legend}</ul>\n<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-desc\">\n<title id=\"{id}-title\">{}</title><desc \
             id=\"{id}-desc\">{}</desc>\n{}</svg>\n",
            self.height,
            escape(title),
            escape(sentence),
            self.body
        )
    }

    /// The drawing as a file of its own, with title and legend, coloured by `style`.
    pub(super) fn standalone(
        &self,
        Caption {
            title, sentence, ..
        }: &Caption,
        style: &str,
    ) -> String {
        const MARGIN: f64 = 14.0;
        const TITLE: f64 = 30.0;
        const ROW: f64 = 18.0;
        let rows = self.legend.len().div_ceil(2);
        let legend_top = TITLE + self.height + 8.0;
        let height = legend_top + ROW * rows as f64 + 4.0;
        let legend: String = self
            .legend
            .iter()
            .enumerate()
            .map(|(index, (mark, name))| {
                let x = (index % 2) as f64 * WIDTH / 2.0;
                let y = legend_top + ROW * (index / 2) as f64;
                format!(
                    "<g transform=\"translate({x:.0} {y:.0})\">{}<text x=\"42\" y=\"10\">{}</text></g>\n",
                    mark.draw(),
                    escape(name)
                )
            })
            .collect();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"-{MARGIN} -{MARGIN} {:.0} {:.0}\" \
             width=\"{:.0}\" height=\"{:.0}\">\n<title>{title}</title><desc>{}</desc>\n<style>{style}</style>\n\
             <text class=\"heading\" x=\"0\" y=\"10\">{title}</text>\n<g transform=\"translate(0 {TITLE})\">\n{}</g>\n\
             {legend}</svg>\n",
            WIDTH + 2.0 * MARGIN,
            height + 2.0 * MARGIN,
            WIDTH + 2.0 * MARGIN,
            height + 2.0 * MARGIN,
            escape(sentence),
            self.body,
            title = escape(title),
        )
    }

    fn nothing() -> Self {
        Self {
            height: 30.0,
            body: "<text class=\"label\" x=\"0\" y=\"20\">Nothing was measured.</text>\n"
                .to_owned(),
            legend: Vec::new(),
        }
    }
}

impl Mark {
    fn draw(self) -> String {
        match self {
            Self::Part(index) => format!(
                "<rect class=\"p{}\" x=\"11\" width=\"12\" height=\"10\"/>",
                index % PARTS
            ),
            Self::Line(index) => format!("<polyline {} points=\"1,5 33,5\"/>", stroke(index)),
        }
    }

    fn swatch(self) -> String {
        format!(
            "<svg class=\"swatch\" viewBox=\"0 0 34 10\" aria-hidden=\"true\">{}</svg>",
            self.draw()
        )
    }
}

/// Horizontal bars, one below the other, each of the named parts.
pub(super) fn bars(names: &[String], bars: &[Bar]) -> Chart {
    let longest = bars
        .iter()
        .map(|bar| bar.parts.iter().sum())
        .fold(f64::MIN_POSITIVE, f64::max);
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
            .map(|(index, name)| (Mark::Part(index), name.clone()))
            .collect(),
    }
}

/// Curves over a percentile axis that gives each nine as much room; times on a log scale.
pub(super) fn percentiles(curves: &[Curve<'_>]) -> Chart {
    let lines: Vec<Vec<(f64, f64)>> = curves.iter().map(points).collect();
    let Some(scale) = LogScale::of(lines.iter().flatten().map(|(_, ms)| *ms)) else {
        return Chart::nothing();
    };
    let mut body = times(&scale);
    body.push_str(&percentile_marks());
    for (index, line) in lines.iter().enumerate() {
        let at = line
            .iter()
            .map(|(nines, ms)| (x_of(*nines), scale.y_of(*ms)));
        body.push_str(&polyline(index, at));
    }
    Chart {
        height: PLOT_HEIGHT,
        body,
        legend: line_legend(curves.iter().map(|curve| curve.label)),
    }
}

/// Times over the slices of a run that lasted `seconds`.
pub(super) fn course(seconds: f64, courses: &[Course<'_>]) -> Chart {
    let known = courses.iter().flat_map(|course| course.ms.iter().flatten());
    let Some(scale) = LogScale::of(known.copied()) else {
        return Chart::nothing();
    };
    let mut body = times(&scale);
    body.push_str(&second_marks(seconds));
    for (index, Course { ms, .. }) in courses.iter().enumerate() {
        let middle = |slice: usize| {
            PLOT.left + (PLOT.right - PLOT.left) * (slice as f64 + 0.5) / ms.len() as f64
        };
        let known = ms.iter().enumerate();
        let known = known.filter_map(|(slice, ms)| Some((middle(slice), scale.y_of((*ms)?))));
        body.push_str(&polyline(index, known));
    }
    Chart {
        height: PLOT_HEIGHT,
        body,
        legend: line_legend(courses.iter().map(|course| course.label)),
    }
}

fn line_legend<'a>(labels: impl Iterator<Item = &'a str>) -> Vec<(Mark, String)> {
    labels
        .enumerate()
        .map(|(index, label)| (Mark::Line(index), label.to_owned()))
        .collect()
}

fn polyline(index: usize, points: impl Iterator<Item = (f64, f64)>) -> String {
    let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    format!(
        "<polyline {} points=\"{}\"/>\n",
        stroke(index),
        points.join(" ")
    )
}

fn stroke(index: usize) -> String {
    format!(
        "class=\"line s{}\" stroke-dasharray=\"{}\"",
        index % COLOURS,
        DASHES[index % DASHES.len()]
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

/// The vertical axis.
fn times(scale: &LogScale) -> String {
    let Area { left, right, .. } = PLOT;
    let line = |ms: f64| {
        let y = scale.y_of(ms);
        format!(
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{ms}</text>\n",
            left - 6.0,
            y + 4.0
        )
    };
    scale.marks().map(line).collect()
}

/// A mark of the horizontal axis.
fn upright(x: f64, anchor: &str, label: &str) -> String {
    let Area { top, bottom, .. } = PLOT;
    format!(
        "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
         <text class=\"tick\" x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{label}</text>\n",
        bottom + 18.0
    )
}

fn axes_note(horizontal: &str) -> String {
    format!(
        "<text class=\"tick\" x=\"{}\" y=\"{:.0}\">vertical: milliseconds, log scale; horizontal: {horizontal}</text>\n",
        PLOT.left,
        PLOT.bottom + 36.0
    )
}

fn percentile_marks() -> String {
    let mark = |(fraction, label): (f64, &str)| {
        let anchor = if fraction > 0.99 { "end" } else { "middle" };
        upright(x_of(-(1.0_f64 - fraction).log10()), anchor, label)
    };
    let marks: String = PERCENTILES.into_iter().map(mark).collect();
    marks + &axes_note("percentile")
}

fn second_marks(seconds: f64) -> String {
    let mark = |quarter: u32| {
        let share = f64::from(quarter) / 4.0;
        let x = PLOT.left + (PLOT.right - PLOT.left) * share;
        let at = seconds * share;
        let label = if seconds < 40.0 {
            format!("{at:.1}")
        } else {
            format!("{at:.0}")
        };
        upright(x, if quarter == 4 { "end" } else { "middle" }, &label)
    };
    let marks: String = (0..=4).map(mark).collect();
    marks + &axes_note("seconds of the measured part")
}

/// Milliseconds, from a mark at or below the lowest time to one at or above the highest.
struct LogScale {
    low: f64,
    high: f64,
}

impl LogScale {
    /// None without a time.
    fn of(times: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let low = times.clone().fold(f64::MAX, f64::min);
        let high = times.fold(f64::MIN, f64::max);
        (low <= high).then(|| Self::around(low, high))
    }

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

    fn caption() -> Caption {
        Caption {
            id: "c",
            title: "A < B".to_owned(),
            sentence: "shows & tells".to_owned(),
        }
    }

    fn bar(label: &str, parts: [f64; 2]) -> Bar {
        Bar {
            label: label.to_owned(),
            parts: parts.into(),
            total: parts.iter().sum::<f64>().to_string(),
        }
    }

    fn names() -> [String; 2] {
        ["client".to_owned(), "server".to_owned()]
    }

    #[test]
    fn bars_are_as_long_as_their_share_of_the_longest() {
        let svg = bars(&names(), &[bar("a", [100.0, 100.0]), bar("b", [50.0, 0.0])]).body;
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

    #[test]
    fn a_chart_has_an_escaped_title_and_description() {
        let chart = bars(&names(), &[bar("<script>", [1.0, 1.0])]);
        let svg = chart.inline(&caption());
        assert!(svg.contains("aria-labelledby=\"c-title c-desc\""));
        assert!(svg.contains(
            "<title id=\"c-title\">A &lt; B</title><desc id=\"c-desc\">shows &amp; tells</desc>"
        ));
        assert!(!svg.contains("<script>"));
        let file = chart.standalone(&caption(), ".a{}");
        assert!(file.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
        assert!(file.contains("<title>A &lt; B</title>") && file.contains("<style>.a{}</style>"));
        assert!(file.contains(">client</text>") && file.contains(">server</text>"));
    }

    #[test]
    fn a_course_leaves_out_what_was_not_measured() {
        let ms = vec![Some(1.0), None, Some(2.0), None];
        let chart = course(60.0, &[Course { label: "a", ms }]);
        let line = chart.body.split("points=\"").nth(1).unwrap();
        let points = line.split('"').next().unwrap();
        assert_eq!(points.split(' ').count(), 2, "{points}");
        assert!(
            points.starts_with("92.8,"),
            "an eighth of the width: {points}"
        );
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
        let none = Curve {
            label: "a",
            samples: 0,
            at: &|_| None,
        };
        assert!(percentiles(&[none]).body.contains("Nothing was measured."));
        let none = Course {
            label: "a",
            ms: vec![None; 3],
        };
        assert!(course(1.0, &[none]).body.contains("Nothing was measured."));
    }
}
