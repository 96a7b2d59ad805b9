//! How long handshakes and operations took: distributions, and their course over the run.

use super::super::figures::{at, count, time};
use super::super::svg::{
    Caption, Course, Curve, Horizontal, Vertical, courses as draw, percentiles,
};
use super::figure::{Data, Figure, between};
use crate::measure::{Histogram, SparseHistogram};
use crate::results::{Latency, Results, Slice, VariantResult};

/// Of the load generator's connections.
pub(super) fn handshake(results: &Results) -> Figure {
    let times = Times {
        id: "handshake",
        title: "Handshake latency".to_owned(),
        histogram: |v| &v.histograms.handshake,
        latency: |v| v.handshake_ms,
    };
    times.figure(results)
}

/// Of successful operations.
pub(super) fn operation(results: &Results, operation: &str) -> Figure {
    let times = Times {
        id: "operation",
        title: format!("{operation} latency, from the intended start"),
        histogram: |v| &v.histograms.operation,
        latency: |v| v.operation_ms,
    };
    times.figure(results)
}

/// A distribution of times.
struct Times {
    id: &'static str,
    title: String,
    histogram: fn(&VariantResult) -> &Histogram,
    latency: fn(&VariantResult) -> Option<Latency>,
}

impl Times {
    fn figure(self, results: &Results) -> Figure {
        let median = |variant: &VariantResult| (self.latency)(variant).map(|latency| latency.p50);
        let sentence = between(
            results,
            median,
            |value| format!("{} ms", time(Some(value))),
            "at the median",
        );
        let quantiles: Vec<_> = results
            .variants
            .iter()
            .map(|variant| (self.histogram)(variant))
            .map(|histogram| move |quantile: f64| histogram.quantile_ms(quantile))
            .collect();
        let curves: Vec<Curve<'_>> = results
            .variants
            .iter()
            .zip(&quantiles)
            .map(|(variant, at)| Curve {
                label: &variant.name,
                samples: (self.histogram)(variant).count(),
                at,
            })
            .collect();
        let head = [
            "variant",
            "n",
            "p50, ms",
            "p90, ms",
            "p99, ms",
            "p99.9, ms",
            "max, ms",
            "mean, ms",
        ];
        let row = |variant: &VariantResult| {
            let latency = (self.latency)(variant);
            let quantiles: [fn(&Latency) -> f64; 6] = [
                |l| l.p50,
                |l| l.p90,
                |l| l.p99,
                |l| l.p999,
                |l| l.max,
                |l| l.mean,
            ];
            let samples = count((self.histogram)(variant).count());
            [variant.name.clone(), samples]
                .into_iter()
                .chain(quantiles.map(|quantile| at(latency, quantile)))
                .collect()
        };
        Figure {
            chart: percentiles(&curves),
            caption: Caption {
                id: self.id.to_owned(),
                title: self.title,
                sentence,
            },
            data: Data {
                head: head.map(str::to_owned).into(),
                rows: results.variants.iter().map(row).collect(),
            },
        }
    }
}

/// The 90th percentile of each slice: the median hides what happens, the maximum is chance.
pub(super) fn over_time(results: &Results, operation: &str) -> Figure {
    let ms = |slice: &Slice| p90(&slice.operation);
    let courses: Vec<Course<'_>> = results
        .variants
        .iter()
        .enumerate()
        .map(|(series, variant)| Course {
            label: &variant.name,
            series,
            values: variant.slices.iter().map(ms).collect(),
        })
        .collect();
    let known = || {
        courses
            .iter()
            .flat_map(|course| course.values.iter().flatten())
    };
    let (low, high) = (
        known().copied().reduce(f64::min),
        known().copied().reduce(f64::max),
    );
    let sentence = match (low, high) {
        (Some(low), Some(high)) => format!(
            "In each twentieth of the run, 90 % took at most so long: {} to {} ms.",
            time(Some(low)),
            time(Some(high))
        ),
        _ => "Nothing was measured.".to_owned(),
    };
    let slices = results
        .variants
        .iter()
        .map(|variant| variant.slices.len())
        .max()
        .unwrap_or_default();
    let names = results.variants.iter().map(|variant| variant.name.clone());
    let row = |slice: usize| {
        let cell = |course: &Course<'_>| time(course.values.get(slice).copied().flatten());
        std::iter::once(slice.to_string())
            .chain(courses.iter().map(cell))
            .collect()
    };
    let data = Data {
        head: std::iter::once("slice".to_owned()).chain(names).collect(),
        rows: (0..slices).map(row).collect(),
    };
    Figure {
        caption: Caption {
            id: "time".to_owned(),
            title: format!("{operation} latency over time, p90"),
            sentence,
        },
        chart: draw(
            &Horizontal::Seconds(results.run.measured_s),
            Vertical::Log("milliseconds"),
            &courses,
        ),
        data,
    }
}

fn p90(times: &SparseHistogram) -> Option<f64> {
    Histogram::from(times).quantile_ms(0.9)
}
