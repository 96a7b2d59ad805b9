//! Lines over percentiles, over the time of a run, and over the runs of a sweep.

use super::super::escape::escape;
use super::chart::{COLOURS, Chart, Mark, stroke};
use super::scale::Scale;

/// The plot area within the drawing.
const PLOT: Area = Area {
    left: 46.0,
    top: 26.0,
    right: 448.0,
    bottom: 250.0,
};
const PLOT_HEIGHT: f64 = 292.0;
/// Marks of the percentile axis: the fraction and its label.
const PERCENTILES: [(f64, &str); 5] = [
    (0.0, "0 %"),
    (0.5, "50"),
    (0.9, "90"),
    (0.99, "99"),
    (0.999, "99.9 %"),
];
/// A quantile is worth drawing when so many samples lie beyond it; the last one of fewer is chance.
pub(in super::super) const ENOUGH_BEYOND: u64 = 10;
/// Marks of an axis of seconds at least.
const MIN_SECOND_MARKS: f64 = 3.0;
/// Points of a curve.
const STEPS: u32 = 90;

/// One curve: the time at each fraction of the samples.
pub(in super::super) struct Curve<'a> {
    pub(in super::super) label: &'a str,
    pub(in super::super) samples: u64,
    /// Milliseconds at a quantile.
    pub(in super::super) at: &'a dyn Fn(f64) -> Option<f64>,
}

/// A value at each of several places along the horizontal axis.
pub(in super::super) struct Course<'a> {
    pub(in super::super) label: &'a str,
    /// Which of the lines of all charts it is, so that a variant looks the same in each.
    pub(in super::super) series: usize,
    /// None where nothing was measured.
    pub(in super::super) values: Vec<Option<f64>>,
}

/// What the vertical axis shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Vertical {
    /// On a log scale, in this unit.
    Log(&'static str),
    /// From 0 to 100 %.
    Percent,
}

/// What the horizontal axis shows.
pub(in super::super) enum Horizontal<'a> {
    /// So many seconds, which the values divide into parts of equal length.
    Seconds(f64),
    /// A label for each value (an empty one is not drawn), and what they are values of.
    Settings(&'a [String], &'a str),
}

struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    /// Where a share of the width stands.
    fn x_of(&self, share: f64) -> f64 {
        self.left + (self.right - self.left) * share
    }

    /// Where a value stands.
    fn y_of(&self, scale: &Scale, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * scale.share_of(value)
    }
}

/// Curves over a percentile axis that gives each nine as much room; times on a log scale.
pub(in super::super) fn percentiles(curves: &[Curve<'_>]) -> Chart {
    let lines: Vec<Vec<(f64, f64)>> = curves.iter().map(points).collect();
    let Some(scale) = Scale::log(lines.iter().flatten().map(|(_, ms)| *ms)) else {
        return Chart::nothing();
    };
    let mut body = rulings(&scale);
    body.push_str(&percentile_marks());
    body.push_str(&axes_note(Vertical::Log("milliseconds"), "percentile"));
    for (index, line) in lines.iter().enumerate() {
        let at = line
            .iter()
            .map(|(nines, ms)| (PLOT.x_of(nines / 3.0), PLOT.y_of(&scale, *ms)));
        body.push_str(&polyline(index, at));
    }
    let drawn = curves.iter().zip(&lines).enumerate();
    let drawn = drawn.filter(|(_, (_, line))| !line.is_empty());
    Chart {
        height: PLOT_HEIGHT,
        body,
        legend: legend(drawn.map(|(index, (curve, _))| (index, curve.label))),
    }
}

/// Values along a horizontal axis, a line each; places where nothing was measured are left out.
pub(in super::super) fn courses(
    horizontal: &Horizontal<'_>,
    vertical: Vertical,
    courses: &[Course<'_>],
) -> Chart {
    let known = courses
        .iter()
        .flat_map(|course| course.values.iter().flatten());
    let scale = match vertical {
        Vertical::Log(_) => Scale::log(known.copied().filter(|value| *value > 0.0)),
        Vertical::Percent => known.copied().next().map(|_| Scale::Percent),
    };
    let Some(scale) = scale else {
        return Chart::nothing();
    };
    let mut body = rulings(&scale);
    let name = match horizontal {
        Horizontal::Seconds(seconds) => {
            body.push_str(&second_marks(*seconds));
            "seconds of the measured part"
        }
        Horizontal::Settings(labels, name) => {
            body.push_str(&setting_marks(labels));
            *name
        }
    };
    body.push_str(&axes_note(vertical, name));
    for Course { series, values, .. } in courses {
        let middle = |place: usize| PLOT.x_of((place as f64 + 0.5) / values.len() as f64);
        let known = values.iter().enumerate();
        let known: Vec<(f64, f64)> = known
            .filter_map(|(place, value)| Some((middle(place), PLOT.y_of(&scale, (*value)?))))
            .collect();
        body.push_str(&polyline(*series, known.iter().copied()));
        if matches!(horizontal, Horizontal::Settings(..)) || known.len() < values.len() {
            body.extend(known.iter().map(|(x, y)| dot(*series, *x, *y)));
        }
    }
    Chart {
        height: PLOT_HEIGHT,
        body,
        legend: legend(courses.iter().map(|course| (course.series, course.label))),
    }
}

fn legend<'a>(labels: impl Iterator<Item = (usize, &'a str)>) -> Vec<(Mark, String)> {
    labels
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

/// A line of one point would not be seen.
fn dot(index: usize, x: f64, y: f64) -> String {
    format!(
        "<circle class=\"dot s{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>\n",
        index % COLOURS
    )
}

/// Up to the last percentile beyond which there are [`ENOUGH_BEYOND`] samples, and the median at least.
fn points(curve: &Curve<'_>) -> Vec<(f64, f64)> {
    let beyond = curve.samples as f64 / ENOUGH_BEYOND as f64;
    let last = beyond.max(2.0).log10().min(3.0);
    let steps = (0..=STEPS).map(|step| last * f64::from(step) / f64::from(STEPS));
    steps
        .filter_map(|nines| Some((nines, (curve.at)(1.0 - 10_f64.powf(-nines))?)))
        .collect()
}

/// The vertical axis.
fn rulings(scale: &Scale) -> String {
    let Area { left, right, .. } = PLOT;
    let line = |value: f64| {
        let y = PLOT.y_of(scale, value);
        format!(
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>\n",
            left - 6.0,
            y + 4.0
        )
    };
    scale.marks().into_iter().map(line).collect()
}

/// A mark of the horizontal axis.
fn upright(x: f64, anchor: &str, label: &str) -> String {
    let Area { top, bottom, .. } = PLOT;
    format!(
        "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
         <text class=\"tick\" x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{}</text>\n",
        bottom + 18.0,
        escape(label)
    )
}

/// What the axes show: above the vertical one, and below the horizontal one.
fn axes_note(vertical: Vertical, horizontal: &str) -> String {
    let vertical = match vertical {
        Vertical::Log(unit) => format!("{unit}, log scale"),
        Vertical::Percent => "percent".to_owned(),
    };
    format!(
        "<text class=\"tick\" x=\"0\" y=\"12\">{vertical}</text>\
         <text class=\"tick\" x=\"{}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\n",
        PLOT.right,
        PLOT.bottom + 37.0,
        escape(horizontal)
    )
}

fn percentile_marks() -> String {
    let mark = |(fraction, label): (f64, &str)| {
        let anchor = if fraction > 0.99 { "end" } else { "middle" };
        let nines = -(1.0_f64 - fraction).log10();
        upright(PLOT.x_of(nines / 3.0), anchor, label)
    };
    PERCENTILES.into_iter().map(mark).collect()
}

/// Marks at round numbers, from 0 on.
fn second_marks(seconds: f64) -> String {
    let step = round_step(seconds / MIN_SECOND_MARKS);
    let marks = (0..).map(|mark| f64::from(mark) * step);
    let marks = marks.take_while(|at| *at <= seconds * (1.0 + 1e-9));
    let mark = |at: f64| {
        let anchor = if at > seconds * 0.97 { "end" } else { "middle" };
        // Steps below a second are tenths or less.
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        upright(PLOT.x_of(at / seconds), anchor, &format!("{at:.decimals$}"))
    };
    if seconds > 0.0 {
        marks.map(mark).collect()
    } else {
        String::new()
    }
}

/// The largest of 1, 2 and 5 times a power of ten that is no larger.
fn round_step(at_most: f64) -> f64 {
    let power = 10_f64.powf(at_most.log10().floor());
    let steps = [5.0, 2.0, 1.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| *step <= at_most * (1.0 + 1e-9))
        .unwrap_or(power)
}

fn setting_marks(labels: &[String]) -> String {
    let mark = |(index, label): (usize, &String)| {
        if label.is_empty() {
            return String::new();
        }
        let share = (index as f64 + 0.5) / labels.len() as f64;
        upright(PLOT.x_of(share), "middle", label)
    };
    labels.iter().enumerate().map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(label: &str, values: Vec<Option<f64>>) -> Course<'_> {
        Course {
            label,
            series: 0,
            values,
        }
    }

    fn points_of(chart: &Chart) -> Vec<&str> {
        let line = chart.body.split("points=\"").nth(1);
        let points = line.and_then(|line| line.split('"').next());
        points.expect("a line").split(' ').collect()
    }

    #[test]
    fn a_course_leaves_out_what_was_not_measured() {
        let values = vec![Some(1.0), None, Some(2.0), None];
        let chart = courses(
            &Horizontal::Seconds(60.0),
            Vertical::Log("milliseconds"),
            &[course("a", values)],
        );
        let points = points_of(&chart);
        assert_eq!(points.len(), 2, "{points:?}");
        assert!(
            points[0].starts_with("96.2,"),
            "an eighth of the width: {points:?}"
        );
        assert_eq!(
            chart.body.matches("<circle").count(),
            2,
            "what stands alone is to be seen"
        );
    }

    #[test]
    fn seconds_are_marked_at_round_numbers() {
        let labels = |seconds| {
            let body = second_marks(seconds);
            let texts = body
                .split("</text>")
                .filter_map(|text| text.rsplit('>').next());
            let texts: Vec<String> = texts.map(str::trim).map(str::to_owned).collect();
            texts
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
        };
        assert_eq!(labels(45.0), ["0", "10", "20", "30", "40"]);
        assert_eq!(labels(180.0), ["0", "50", "100", "150"]);
        assert_eq!(labels(2.0), ["0.0", "0.5", "1.0", "1.5", "2.0"]);
        assert_eq!(labels(0.0), Vec::<String>::new());
    }

    #[test]
    fn shares_stand_between_nothing_and_everything() {
        let values = vec![Some(0.0), Some(100.0)];
        let chart = courses(
            &Horizontal::Seconds(60.0),
            Vertical::Percent,
            &[course("a", values)],
        );
        assert_eq!(points_of(&chart), ["146.5,250.0", "347.5,26.0"]);
        assert!(chart.body.contains(">percent</text>"));
    }

    #[test]
    fn settings_are_marked_by_their_names() {
        let labels = ["0 ms".to_owned(), "<20 ms".to_owned()];
        let chart = courses(
            &Horizontal::Settings(&labels, "link.rtt"),
            Vertical::Log("milliseconds"),
            &[course("a", vec![Some(1.0), Some(40.0)])],
        );
        assert!(chart.body.contains(">0 ms</text>") && chart.body.contains(">&lt;20 ms</text>"));
        assert!(chart.body.contains(">link.rtt</text>"));
        assert_eq!(chart.body.matches("<circle").count(), 2);
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
        assert_eq!(last(3), Some(2.0_f64.log10()));
        assert_eq!(last(100), Some(1.0));
        assert_eq!(last(1_000_000), Some(3.0));
    }

    #[test]
    fn nothing_measured_is_said() {
        let none = Curve {
            label: "a",
            samples: 0,
            at: &|_| None,
        };
        assert!(percentiles(&[none]).body.contains("Nothing was measured."));
        for vertical in [Vertical::Log("milliseconds"), Vertical::Percent] {
            let none = course("a", vec![None; 3]);
            let chart = courses(&Horizontal::Seconds(1.0), vertical, &[none]);
            assert!(chart.body.contains("Nothing was measured."));
        }
    }

    #[test]
    fn the_legend_names_what_has_a_line_in_its_own_colour() {
        let nothing = Curve {
            label: "left out",
            samples: 100,
            at: &|_| None,
        };
        let measured = Curve {
            label: "drawn",
            samples: 100,
            at: &|quantile| Some(1.0 + quantile),
        };
        let legend = percentiles(&[nothing, measured]).legend;
        assert!(
            matches!(&legend[..], [(Mark::Line(1), label)] if label == "drawn"),
            "the second line's mark alone"
        );
    }
}
