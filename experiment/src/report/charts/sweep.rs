//! The runs of a sweep beside each other: a cost over one setting, a figure for each combination of the others.

use std::collections::BTreeMap;

use super::super::numbers::{time, whole};
use super::super::svg::{Caption, Course, Horizontal, Vertical, courses as draw};
use super::figure::{Data, Figure};
use crate::results::{Results, VariantResult};
use crate::scenario::Timed;

/// A cost that is drawn over the settings.
struct Cost {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    of: fn(&VariantResult) -> Option<f64>,
    write: fn(Option<f64>) -> String,
}

const TIMES: [Cost; 2] = [
    Cost {
        id: "handshake-p50",
        title: "Handshake, median",
        unit: "milliseconds",
        of: |variant| variant.latency(Timed::Handshake).map(|latency| latency.p50),
        write: time,
    },
    Cost {
        id: "operation-p99",
        title: "Operation, 99th percentile",
        unit: "milliseconds",
        of: |variant| variant.latency(Timed::Operation).map(|latency| latency.p99),
        write: time,
    },
];
/// Of interest where runs differ in how many operations a handshake serves.
const PER_OPERATION: [Cost; 2] = [
    Cost {
        id: "bytes-per-operation",
        title: "Handshake bytes per operation",
        unit: "bytes",
        of: |variant| Some(variant.bytes()? * variant.arrivals.handshakes_per_operation?),
        write: whole,
    },
    Cost {
        id: "cpu-per-operation",
        title: "Handshake CPU time per operation",
        unit: "microseconds",
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
    let costs = TIMES
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

fn reuse_differs(runs: &[Results]) -> bool {
    let mut shares = runs
        .iter()
        .flat_map(|run| &run.variants)
        .filter_map(|variant| variant.arrivals.handshakes_per_operation);
    let first = shares.next();
    shares.any(|share| first.is_some_and(|first| (share / first - 1.0).abs() > 0.1))
}

impl Cost {
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
                "From {key} = {} to {}, in {}: {}.",
                settings.first()?,
                settings.last()?,
                self.unit,
                changes.join(", ")
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
                "operation-p99",
                "operation-p99-2"
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
