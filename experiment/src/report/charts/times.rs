//! How long handshakes and operations took: distributions, and their course over the run.

use super::super::numbers::{at, count, time};
use super::super::svg::{Caption, Curve, Vertical, percentiles};
use super::figure::{Data, Figure, between};
use super::slices::OverSlices;
use crate::measure::{Histogram, SparseHistogram};
use crate::results::{Latency, Results, VariantResult};

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
    figure.figure(results, results.variants.iter().enumerate())
}

fn p90(times: &SparseHistogram) -> Option<f64> {
    Histogram::from(times).quantile_ms(0.9)
}
