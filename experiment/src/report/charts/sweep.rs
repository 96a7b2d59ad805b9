//! The runs of a sweep beside each other: a cost over one setting, a figure for each combination of the others.

use std::collections::BTreeMap;

use super::super::numbers::{time, whole};
use super::super::svg::{Caption, Course, ENOUGH_BEYOND, Horizontal, Vertical, courses as draw};
use super::figure::{Data, Figure, are_within_spread};
use crate::results::{Metric, Results, VariantResult};
use crate::scenario::Timed;

/// A cost that is drawn over the settings.
struct Cost {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    /// What the intervals within a run are of.
    metric: Metric,
    of: fn(&VariantResult) -> Option<f64>,
    write: fn(Option<f64>) -> String,
}

const HANDSHAKE: Cost = Cost {
    id: "handshake-p50",
    title: "Handshake, median",
    unit: "milliseconds",
    metric: Metric::HandshakeP50,
    of: |variant| variant.latency(Timed::Handshake).map(|latency| latency.p50),
    write: time,
};
const OPERATION_MEDIAN: Cost = Cost {
    id: "operation-p50",
    title: "Operation, median",
    unit: "milliseconds",
    metric: Metric::OperationP50,
    of: |variant| variant.latency(Timed::Operation).map(|latency| latency.p50),
    write: time,
};
const OPERATION_TAIL: Cost = Cost {
    id: "operation-p99",
    title: "Operation, 99th percentile",
    unit: "milliseconds",
    metric: Metric::OperationP99,
    of: |variant| variant.latency(Timed::Operation).map(|latency| latency.p99),
    write: time,
};
/// Of interest where runs differ in how many operations a handshake serves.
const PER_OPERATION: [Cost; 2] = [
    Cost {
        id: "bytes-per-operation",
        title: "Handshake bytes per operation",
        unit: "bytes",
        metric: Metric::Bytes,
        of: |variant| Some(variant.bytes()? * variant.arrivals.handshakes_per_operation?),
        write: whole,
    },
    Cost {
        id: "cpu-per-operation",
        title: "Handshake CPU time per operation",
        unit: "microseconds",
        metric: Metric::Cpu,
        of: |variant| Some(variant.cpu_us()? * variant.arrivals.handshakes_per_operation?),
        write: whole,
    },
];

/// All figures of a sweep; none without a setting that was swept.
pub(in super::super) fn sweep_figures(runs: &[Results]) -> Vec<Figure> {
    let Some(key) = horizontal(runs) else {
        return Vec::new();
    };
    let groups = groups(runs, &key);
    let operation = if tails_are_known(runs) {
        OPERATION_TAIL
    } else {
        OPERATION_MEDIAN
    };
    let times = [HANDSHAKE, operation];
    let costs = times
        .iter()
        .chain(PER_OPERATION.iter().filter(|_| reuse_differs(runs)));
    costs
        .flat_map(|cost| {
            groups
                .iter()
                .enumerate()
                .filter_map(|(number, (others, runs))| cost.figure(number, &key, others, runs))
        })
        .collect()
}

/// The setting with the most values; of several the first by name.
fn horizontal(runs: &[Results]) -> Option<String> {
    let keys = runs.first()?.run.cell.keys();
    let values = |key: &String| {
        let mut values: Vec<_> = runs
            .iter()
            .filter_map(|run| run.run.cell.get(key))
            .collect();
        values.sort_unstable();
        values.dedup();
        values.len()
    };
    keys.rev().max_by_key(|key| values(key)).cloned()
}

/// Runs that differ in one setting only, with what they have in common of the others, in the order of the sweep.
fn groups<'a>(runs: &'a [Results], key: &str) -> Vec<(String, Vec<&'a Results>)> {
    let mut groups: Vec<(String, Vec<&Results>)> = Vec::new();
    for run in runs {
        let others: BTreeMap<_, _> = run.run.cell.iter().filter(|(of, _)| *of != key).collect();
        let others: Vec<String> = others
            .into_iter()
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        let others = others.join(", ");
        match groups.iter_mut().find(|(of, _)| *of == others) {
            Some((_, members)) => members.push(run),
            None => groups.push((others, vec![run])),
        }
    }
    groups
}

/// Whether a 99th percentile rests on more than chance in every run.
fn tails_are_known(runs: &[Results]) -> bool {
    let mut variants = runs.iter().flat_map(|run| &run.variants);
    variants.all(|variant| variant.ok >= 100 * ENOUGH_BEYOND)
}

fn reuse_differs(runs: &[Results]) -> bool {
    let mut shares = runs
        .iter()
        .flat_map(|run| &run.variants)
        .filter_map(|variant| variant.arrivals.handshakes_per_operation);
    let first = shares.next();
    shares.any(|share| first.is_some_and(|first| (share / first - 1.0).abs() > 0.1))
}

impl Cost {
    /// The settings at which the run cannot tell the dearest variant from the cheapest.
    fn within_spread(&self, key: &str, runs: &[&Results]) -> String {
        let is_hidden = |run: &Results| {
            let known = run
                .variants
                .iter()
                .filter_map(|variant| Some(((self.of)(variant)?, variant)));
            let known: Vec<_> = known.collect();
            let least = known.iter().min_by(|a, b| a.0.total_cmp(&b.0));
            let most = known.iter().max_by(|a, b| a.0.total_cmp(&b.0));
            least.zip(most).is_some_and(|((_, least), (_, most))| {
                are_within_spread(run, least, most, self.metric)
            })
        };
        let hidden = runs.iter().filter(|run| is_hidden(run));
        let hidden: Vec<&str> = hidden
            .filter_map(|run| run.run.cell.get(key).map(String::as_str))
            .collect();
        match hidden.as_slice() {
            [] => String::new(),
            settings => format!(
                " At {key} = {} the spread of the run is wider than the differences.",
                settings.join(", ")
            ),
        }
    }

    /// None for a variant-less group.
    fn figure(&self, number: usize, key: &str, others: &str, runs: &[&Results]) -> Option<Figure> {
        let variants = &runs.first()?.variants;
        let setting = |run: &Results| run.run.cell.get(key).cloned().unwrap_or_default();
        let settings: Vec<String> = runs.iter().map(|run| setting(run)).collect();
        let of = |run: &Results, name: &str| {
            let variant = run.variants.iter().find(|variant| variant.name == name);
            variant.and_then(self.of)
        };
        let courses: Vec<Course<'_>> = variants
            .iter()
            .enumerate()
            .map(|(series, variant)| Course {
                label: &variant.name,
                series,
                values: runs.iter().map(|run| of(run, &variant.name)).collect(),
            })
            .collect();
        let condition = match others {
            "" => String::new(),
            others => format!(", {others}"),
        };
        let ends = |course: &Course<'_>| {
            let known: Vec<f64> = course.values.iter().copied().flatten().collect();
            let (first, last) = (known.first().copied()?, known.last().copied()?);
            Some(format!(
                "{} {} to {}",
                course.label,
                (self.write)(Some(first)),
                (self.write)(Some(last))
            ))
        };
        let changes: Vec<String> = courses.iter().filter_map(ends).collect();
        let sentence = if changes.is_empty() {
            "Nothing was measured.".to_owned()
        } else {
            format!(
                "From {key} = {} to {}, in {}: {}.{}",
                settings.first()?,
                settings.last()?,
                self.unit,
                changes.join(", "),
                self.within_spread(key, runs)
            )
        };
        let row = |(place, setting): (usize, &String)| {
            let cells = courses
                .iter()
                .map(|course| (self.write)(course.values[place]));
            std::iter::once(setting.clone()).chain(cells).collect()
        };
        let names = courses
            .iter()
            .map(|course| format!("{}, {}", course.label, self.unit));
        Some(Figure {
            caption: Caption {
                id: match number {
                    0 => self.id.to_owned(),
                    number => format!("{}-{}", self.id, number + 1),
                },
                title: format!("{}{condition}", self.title),
                sentence,
            },
            data: Data {
                head: std::iter::once(key.to_owned()).chain(names).collect(),
                rows: settings.iter().enumerate().map(row).collect(),
            },
            chart: draw(
                &Horizontal::Settings(&settings, key),
                Vertical::Log(self.unit),
                &courses,
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::grid;

    #[test]
    fn a_grid_has_a_figure_for_each_value_of_the_shorter_setting() {
        let figures = sweep_figures(&grid());
        let ids: Vec<&str> = figures.iter().map(|of| of.caption.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "handshake-p50",
                "handshake-p50-2",
                "operation-p50",
                "operation-p50-2"
            ]
        );
        assert_eq!(
            figures[1].caption.title,
            "Handshake, median, link.loss = 0.01"
        );
        let Data { head, rows } = &figures[0].data;
        assert_eq!(head[..2], ["link.rtt", "x509-ed25519, milliseconds"]);
        let settings: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(settings, ["1ms", "20ms", "80ms"]);
        assert!(
            figures[0]
                .caption
                .sentence
                .starts_with("From link.rtt = 1ms to 80ms, in milliseconds: x509-ed25519 2.0"),
            "{}",
            figures[0].caption.sentence
        );
    }

    // A p99 of 278 operations on a lossy link was drawn as if it said something.
    #[test]
    fn tails_are_drawn_of_enough_operations_only() {
        let tails = |ok| {
            let mut runs = grid();
            let variants = runs.iter_mut().flat_map(|run| &mut run.variants);
            variants.for_each(|variant| variant.ok = ok);
            let figures = sweep_figures(&runs);
            figures.iter().any(|of| of.caption.id == "operation-p99")
        };
        assert!(!tails(999) && tails(1000));
    }

    #[test]
    fn settings_whose_differences_are_within_the_spread_are_named() {
        let mut runs = grid();
        let ratios = &mut runs[1].variants[1].to_first;
        let ratio = ratios
            .iter_mut()
            .find(|of| of.metric == Metric::HandshakeP50);
        ratio.expect("a ratio").low = 0.9;
        let figures = sweep_figures(&runs);
        let note = " At link.rtt = 20ms the spread of the run is wider than the differences.";
        assert!(
            figures[0].caption.sentence.ends_with(note),
            "{}",
            figures[0].caption.sentence
        );
        assert!(!figures[1].caption.sentence.contains("spread"));
    }

    #[test]
    fn where_connections_are_reused_costs_are_per_operation() {
        let mut runs = grid();
        runs[3].variants[0].arrivals.handshakes_per_operation = Some(0.1);
        let figures = sweep_figures(&runs);
        let ids = figures.iter().map(|of| of.caption.id.as_str());
        assert_eq!(ids.filter(|id| id.ends_with("-per-operation")).count(), 2);
    }

    #[test]
    fn without_a_setting_there_is_nothing_to_draw() {
        let mut runs = grid();
        runs.iter_mut().for_each(|run| run.run.cell.clear());
        assert!(sweep_figures(&runs).is_empty() && sweep_figures(&[]).is_empty());
    }
}
