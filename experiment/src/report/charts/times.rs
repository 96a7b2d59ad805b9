//! How long handshakes and operations took: distributions, and their course over the run.

use super::super::numbers::{at, count, time};
use super::super::svg::{Caption, Curve, ENOUGH_BEYOND, Vertical, percentiles};
use super::figure::{Data, Figure, between};
use super::slices::OverSlices;
use crate::measure::{Histogram, SparseHistogram};
use crate::results::{Latency, Metric, Results, VariantResult};
use crate::scenario::{Measure, Timed};

/// The names of the figures below.
pub(in super::super) const LATENCIES: [&str; 3] = ["handshake", "operation", "time"];
/// In the place of a figure that is no measurement, for people and for scripts.
const INVALID: &str = "invalid";

/// Of the load generator's connections.
pub(super) fn handshake(results: &Results) -> Figure {
    let times = Times {
        id: "handshake",
        title: "Handshake latency".to_owned(),
        histogram: |v| &v.histograms.handshake,
        latency: |v| v.latency(Timed::Handshake),
        metric: Metric::HandshakeP50,
    };
    times.figure(results)
}

/// Of successful operations.
pub(super) fn operation(results: &Results, operation: &str) -> Figure {
    let times = Times {
        id: "operation",
        title: format!("{operation} latency, from the intended start"),
        histogram: |v| &v.histograms.operation,
        latency: |v| v.latency(Timed::Operation),
        metric: Metric::OperationP50,
    };
    times.figure(results)
}

/// Says which variants have no latencies that are a measurement, if some have none.
pub(in super::super) fn left_out(results: &Results) -> Option<String> {
    let variants = results.variants.iter();
    let names: Vec<&str> = variants
        .filter(|variant| !variant.is_valid(Measure::Latency))
        .map(|variant| variant.name.as_str())
        .collect();
    (!names.is_empty()).then(|| format!("Left out, not valid: {}", names.join(", ")))
}

/// A distribution of times.
struct Times {
    id: &'static str,
    title: String,
    histogram: fn(&VariantResult) -> &Histogram,
    latency: fn(&VariantResult) -> Option<Latency>,
    /// What the intervals of the median are of.
    metric: Metric,
}

impl Times {
    fn figure(self, results: &Results) -> Figure {
        let median = |variant: &VariantResult| (self.latency)(variant).map(|latency| latency.p50);
        let sentence = between(
            results,
            median,
            |value| format!("{} ms", time(Some(value))),
            "at the median",
            self.metric,
        ) + &left_out(results).map_or_else(String::new, |text| format!(" {text}."));
        let quantiles: Vec<_> = results
            .variants
            .iter()
            .map(|variant| {
                let histogram = (self.histogram)(variant);
                let valid = variant.is_valid(Measure::Latency);
                move |quantile: f64| histogram.quantile_ms(quantile).filter(|_| valid)
            })
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
            let cell = |quantile| match variant.is_valid(Measure::Latency) {
                true => at(latency, quantile),
                false => INVALID.to_owned(),
            };
            [variant.name.clone(), samples]
                .into_iter()
                .chain(quantiles.map(cell))
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
    let figure = OverSlices {
        id: "time",
        title: format!("{operation} latency over time, p90"),
        vertical: Vertical::Log("milliseconds"),
        value: |slice| p90(&slice.operation),
        unit: "",
        written: |ms| time(Some(ms)),
        sentence: |range| match range {
            Some((low, high)) => format!(
                "In each twentieth of the run, 90 % took at most so long: {} to {} ms.",
                time(Some(low)),
                time(Some(high))
            ),
            None => "Nothing was measured.".to_owned(),
        },
    };
    let valid = results.variants.iter().enumerate();
    let valid = valid.filter(|(_, variant)| variant.is_valid(Measure::Latency));
    let mut figure = figure.figure(results, valid);
    figure.caption.sentence.push_str(&fewest(results));
    if let Some(text) = left_out(results) {
        figure.caption.sentence.push_str(&format!(" {text}."));
    }
    figure
}

/// How little the points rest on, where that is little.
fn fewest(results: &Results) -> String {
    let slices = results.variants.iter().flat_map(|variant| &variant.slices);
    let counts = slices.map(|slice| slice.operation.count());
    match counts.filter(|count| *count > 0).min() {
        Some(count) if count < 10 * ENOUGH_BEYOND => format!(
            " A point rests on as few as {count} operation{}, so its ups and downs are mostly chance.",
            if count == 1 { "" } else { "s" }
        ),
        _ => String::new(),
    }
}

fn p90(times: &SparseHistogram) -> Option<f64> {
    Histogram::from(times).quantile_ms(0.9)
}
