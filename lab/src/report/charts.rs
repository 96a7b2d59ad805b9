//! The figures of a report: what each shows, its drawing, its data.

use super::figures::{at, capitalised, count, ratio, time, times, whole};
use super::svg::{Bar, Caption, Chart, Course, Curve, bars, course, percentiles};
use crate::measure::{Histogram, SparseHistogram};
use crate::results::{Latency, Results, Slice, VariantResult};

/// One figure.
pub(super) struct Figure {
    pub(super) caption: Caption,
    pub(super) chart: Chart,
    pub(super) data: Data,
}

/// What a chart is drawn of, as a table of texts.
pub(super) struct Data {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Data {
    /// Comma-separated, as RFC 4180 has it: thousands are not set apart.
    pub(super) fn csv(&self) -> String {
        let cell = |cell: &String| {
            let plain = cell
                .chars()
                .all(|c| c.is_ascii_digit() || c == ',' || c == '.');
            let text = if plain {
                cell.replace(',', "")
            } else {
                cell.clone()
            };
            if text.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text
            }
        };
        let line = |row: &Vec<String>| {
            let cells: Vec<String> = row.iter().map(cell).collect();
            cells.join(",") + "\r\n"
        };
        std::iter::once(&self.head)
            .chain(&self.rows)
            .map(line)
            .collect()
    }
}

/// All figures of a run, in the order of a report.
pub(super) fn figures(results: &Results) -> Vec<Figure> {
    let operation = capitalised(results.run.operation.as_str());
    let bytes = Cost {
        id: "bytes",
        title: "Bytes per handshake",
        unit: "B",
        parts: byte_parts,
    };
    let cpu = Cost {
        id: "cpu",
        title: "CPU time per handshake",
        unit: "µs",
        parts: cpu_parts,
    };
    let handshake = Times {
        id: "handshake",
        title: "Handshake latency".to_owned(),
        histogram: |v| &v.histograms.handshake,
        latency: |v| v.handshake_ms,
    };
    let operation_times = Times {
        id: "operation",
        title: format!("{operation} latency, from the intended start"),
        histogram: |v| &v.histograms.operation,
        latency: |v| v.operation_ms,
    };
    vec![
        bytes.figure(results),
        cpu.figure(results),
        handshake.figure(results),
        operation_times.figure(results),
        over_time(results, &operation),
    ]
}

/// A cost in named parts.
struct Cost {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    parts: fn(&VariantResult) -> Vec<(&'static str, f64)>,
}

fn byte_parts(variant: &VariantResult) -> Vec<(&'static str, f64)> {
    let (Some(client), Some(server)) = (variant.bytes_client, variant.bytes_server) else {
        return Vec::new();
    };
    vec![("client", client), ("server", server)]
}

/// Verification is part of either side's CPU time.
fn cpu_parts(variant: &VariantResult) -> Vec<(&'static str, f64)> {
    let side = |cpu: Option<f64>, verify: Option<f64>| Some((verify?, cpu? - verify?));
    let client = side(variant.cpu_us_client, variant.verify_us_client);
    let server = side(variant.cpu_us_server, variant.verify_us_server);
    let (Some(client), Some(server)) = (client, server) else {
        return Vec::new();
    };
    vec![
        ("client: verification", client.0),
        ("client: the rest", client.1),
        ("server: verification", server.0),
        ("server: the rest", server.1),
    ]
}

impl Cost {
    fn figure(&self, results: &Results) -> Figure {
        let of = |variant: &VariantResult| (self.parts)(variant);
        let named = results.variants.iter().map(of).max_by_key(Vec::len);
        let names: Vec<&str> = named.iter().flatten().map(|(name, _)| *name).collect();
        let base = results.variants.first().and_then(|first| self.sum(first));
        let bar = |variant: &VariantResult| {
            let sum = self.sum(variant);
            Bar {
                label: variant.name.clone(),
                parts: of(variant).iter().map(|(_, value)| *value).collect(),
                total: format!("{} {} ({})", whole(sum), self.unit, times(ratio(sum, base))),
            }
        };
        let drawn: Vec<Bar> = results.variants.iter().map(bar).collect();
        let with_unit = names.iter().map(|name| format!("{name}, {}", self.unit));
        let head = std::iter::once("variant".to_owned())
            .chain(with_unit)
            .chain([format!("sum, {}", self.unit)]);
        let row = |variant: &VariantResult| {
            let parts = of(variant);
            let cell = |index| whole(parts.get(index).map(|(_, value): &(&str, f64)| *value));
            let cells = (0..names.len()).map(cell);
            std::iter::once(variant.name.clone())
                .chain(cells)
                .chain([whole(self.sum(variant))])
                .collect()
        };
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Figure {
            caption: Caption {
                id: self.id,
                title: self.title.to_owned(),
                sentence: self.sentence(results),
            },
            chart: bars(&names, &drawn),
            data: Data {
                head: head.collect(),
                rows: results.variants.iter().map(row).collect(),
            },
        }
    }

    fn sum(&self, variant: &VariantResult) -> Option<f64> {
        let parts = (self.parts)(variant);
        (!parts.is_empty()).then(|| parts.iter().map(|(_, value)| value).sum())
    }

    fn sentence(&self, results: &Results) -> String {
        let unit = self.unit;
        between(
            results,
            |variant| self.sum(variant),
            |value| format!("{} {unit}", whole(Some(value))),
            "both sides together",
        )
    }
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
                id: self.id,
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
fn over_time(results: &Results, operation: &str) -> Figure {
    let ms = |slice: &Slice| p90(&slice.operation);
    let courses: Vec<Course<'_>> = results
        .variants
        .iter()
        .map(|variant| Course {
            label: &variant.name,
            ms: variant.slices.iter().map(ms).collect(),
        })
        .collect();
    let known = || courses.iter().flat_map(|course| course.ms.iter().flatten());
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
        let cell = |course: &Course<'_>| time(course.ms.get(slice).copied().flatten());
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
            id: "time",
            title: format!("{operation} latency over time, p90"),
            sentence,
        },
        chart: course(results.run.measured_s, &courses),
        data,
    }
}

fn p90(times: &SparseHistogram) -> Option<f64> {
    Histogram::from(times).quantile_ms(0.9)
}

/// "From 4,360 B (a) to 31,600 B (b), both sides together."
fn between(
    results: &Results,
    of: impl Fn(&VariantResult) -> Option<f64>,
    write: impl Fn(f64) -> String,
    what: &str,
) -> String {
    let known: Vec<(f64, &str)> = results
        .variants
        .iter()
        .filter_map(|variant| Some((of(variant)?, variant.name.as_str())))
        .collect();
    let least = known.iter().min_by(|a, b| a.0.total_cmp(&b.0));
    let most = known.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    match (least, most) {
        (Some((low, least)), Some((high, most))) => {
            format!(
                "From {} ({least}) to {} ({most}), {what}.",
                write(*low),
                write(*high)
            )
        }
        _ => "Nothing was measured.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_has_plain_numbers_and_quotes_what_needs_it() {
        let data = Data {
            head: vec!["variant".to_owned(), "sum, B".to_owned()],
            rows: vec![vec!["a \"b\"".to_owned(), "1,234.5".to_owned()]],
        };
        assert_eq!(
            data.csv(),
            "variant,\"sum, B\"\r\n\"a \"\"b\"\"\",1234.5\r\n"
        );
    }
}
