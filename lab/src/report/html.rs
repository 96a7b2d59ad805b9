//! The results as one HTML file that needs nothing else: no script, no font, no request.
//!
//! ```text
//!  what it costs   verdict, the answer, the table    <- the first screen
//!  what it says    findings, caveats
//!  charts          bytes, CPU, handshake, operation  each: one sentence, the drawing, its figures as a table
//!  how             environment, method, scenario
//! ```

use super::figures::{at, composition, count, outcome, ratio, sides, time, times, whole};
use super::findings::{caveats, findings, headline};
use super::svg::{Bar, Caption, Curve, bars, percentiles, swatch};
use crate::measure::Histogram;
use crate::results::{Latency, Results, VariantResult};

const STYLE: &str = include_str!("style.css");

/// The results as a self-contained HTML page.
pub fn html(results: &Results) -> String {
    let sections = [
        opening(results),
        statements(results),
        charts(results),
        method(results),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{} - mtc5g report</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
        escape(&results.run.name),
        sections.concat()
    )
}

/// Text that cannot become markup, in content and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn opening(results: &Results) -> String {
    let first = results
        .variants
        .first()
        .map_or("the first", |first| &first.name);
    let description = match results.run.description.as_str() {
        "" => String::new(),
        description => format!("<p class=\"note\">{}</p>\n", escape(description)),
    };
    // Figures of a failed run are not to be read before the failure.
    let (before, after) = match results.verdict.passed {
        true => (String::new(), verdict(results)),
        false => (verdict(results), String::new()),
    };
    format!(
        "<header>\n<p class=\"kicker\">mtc5g report: scenario {}, {} to {}</p>\n<h1>What each variant costs, compared with \
         {}</h1>\n{description}</header>\n<p class=\"lead\">{}</p>\n{}{}{}{}",
        escape(&results.run.name),
        moment(results.run.started),
        moment(results.run.ended),
        escape(first),
        escape(&headline(results)),
        before,
        comparison(results),
        after,
        thresholds(results)
    )
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

fn moment(time: time::OffsetDateTime) -> String {
    format!(
        "{} {:02}:{:02}:{:02} UTC",
        time.date(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

fn verdict(results: &Results) -> String {
    let list = |lines: &[String]| match lines {
        [] => String::new(),
        lines => {
            let items: String = lines
                .iter()
                .map(|line| format!("<li>{}</li>", escape(line)))
                .collect();
            format!("<ul>{items}</ul>")
        }
    };
    let (class, text) = if results.verdict.passed {
        (
            "",
            "<strong>Passed.</strong> No errors, no drops, every handshake was served the credential kind its variant asks for.",
        )
    } else {
        (
            " failed",
            "<strong>Not a valid measurement.</strong> The figures below are not what the scenario asks for:",
        )
    };
    let violations = list(&results.verdict.violations);
    let warnings = list(&results.verdict.warnings);
    format!("<div class=\"verdict{class}\">{text}{violations}{warnings}</div>\n")
}

fn thresholds(results: &Results) -> String {
    if results.thresholds.is_empty() {
        return String::new();
    }
    let (class, text) = if results.thresholds_met() {
        ("", "Thresholds met.")
    } else {
        (" failed", "Thresholds broken.")
    };
    let items: String = results
        .thresholds
        .iter()
        .map(|threshold| {
            format!(
                "<li><strong class=\"{word}\">{word}</strong> {}: <code>{}</code> ({})</li>",
                escape(&threshold.name),
                escape(&threshold.expression),
                sides(threshold),
                word = outcome(threshold)
            )
        })
        .collect();
    format!("<div class=\"verdict{class}\"><strong>{text}</strong><ul>{items}</ul></div>\n")
}

fn comparison(results: &Results) -> String {
    let Some(first) = results.variants.first() else {
        return String::new();
    };
    let operation = capitalised(results.run.operation.as_str());
    let rows: String = results
        .variants
        .iter()
        .map(|variant| comparison_row(variant, first))
        .collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Comparison\">\n<table>\n<thead>\n<tr><th \
         rowspan=\"2\" scope=\"col\">Variant</th><th class=\"group\" colspan=\"2\" scope=\"colgroup\">Bytes per handshake</th>\
         <th class=\"group\" colspan=\"2\" scope=\"colgroup\">CPU per handshake, µs</th><th rowspan=\"2\" scope=\"col\">Verify, \
         µs</th><th class=\"group\" colspan=\"3\" scope=\"colgroup\">Handshake, ms</th><th class=\"group\" colspan=\"2\" \
         scope=\"colgroup\">{operation}, ms</th><th rowspan=\"2\" scope=\"col\">ok</th><th rowspan=\"2\" \
         scope=\"col\">errors</th></tr>\n<tr>{}</tr>\n</thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n\
         <p class=\"note\">Bytes and CPU: both sides together. × relates to {}.</p>\n",
        ["both", "×", "both", "×", "p50", "×", "p99", "p50", "p99"]
            .map(|text| format!("<th scope=\"col\">{text}</th>"))
            .concat(),
        escape(&first.name)
    )
}

fn comparison_row(variant: &VariantResult, first: &VariantResult) -> String {
    let median = |variant: &VariantResult| variant.handshake_ms.map(|latency| latency.p50);
    let cells = [
        ("", whole(variant.bytes())),
        (
            " class=\"times\"",
            times(ratio(variant.bytes(), first.bytes())),
        ),
        ("", whole(variant.cpu_us())),
        (
            " class=\"times\"",
            times(ratio(variant.cpu_us(), first.cpu_us())),
        ),
        ("", time(variant.verify_us)),
        ("", time(median(variant))),
        (
            " class=\"times\"",
            times(ratio(median(variant), median(first))),
        ),
        ("", at(variant.handshake_ms, |l| l.p99)),
        ("", at(variant.operation_ms, |l| l.p50)),
        ("", at(variant.operation_ms, |l| l.p99)),
        ("", count(variant.ok)),
        ("", count(variant.failed() + variant.dropped)),
    ];
    let cells: String = cells
        .iter()
        .map(|(class, text)| format!("<td{class}>{text}</td>"))
        .collect();
    let name = escape(&variant.name);
    format!("<tr><th scope=\"row\">{name}</th>{cells}</tr>\n")
}

fn statements(results: &Results) -> String {
    let findings: String = findings(results)
        .iter()
        .map(|finding| {
            let tone = finding.tone.as_str();
            format!(
                "<li><span class=\"tone {tone}\">{tone}</span><span>{}</span></li>\n",
                escape(&finding.text)
            )
        })
        .collect();
    let caveats: String = caveats(results)
        .iter()
        .map(|caveat| format!("<li>{}</li>\n", escape(caveat)))
        .collect();
    format!(
        "<section>\n<h2>What the figures say about Merkle Tree Certificates</h2>\n<ul class=\"findings\">\n{findings}</ul>\n\
         <h2>What they cannot show</h2>\n<ul>\n{caveats}</ul>\n</section>\n"
    )
}

fn charts(results: &Results) -> String {
    let bytes = Cost {
        id: "bytes",
        title: "Bytes per handshake",
        unit: "B",
        of: |v| [v.bytes_client, v.bytes_server],
    };
    let cpu = Cost {
        id: "cpu",
        title: "CPU time per handshake",
        unit: "µs",
        of: |v| [v.cpu_us_client, v.cpu_us_server],
    };
    let handshake = Times {
        id: "handshake",
        title: "Handshake latency".to_owned(),
        histogram: |v| &v.histograms.handshake,
        latency: |v| v.handshake_ms,
    };
    let operation = Times {
        id: "operation",
        title: format!(
            "{} latency, from the intended start",
            capitalised(results.run.operation.as_str())
        ),
        histogram: |v| &v.histograms.operation,
        latency: |v| v.operation_ms,
    };
    let figures = [
        bytes.figure(results),
        cpu.figure(results),
        handshake.figure(results),
        operation.figure(results),
    ];
    format!(
        "<section>\n<h2>Charts</h2>\n<div class=\"charts\">\n{}</div>\n</section>\n",
        figures.concat()
    )
}

/// A cost that both sides pay.
struct Cost {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    of: fn(&VariantResult) -> [Option<f64>; 2],
}

impl Cost {
    fn figure(&self, results: &Results) -> String {
        let Self {
            id, title, unit, ..
        } = self;
        let base = results.variants.first().and_then(|first| self.sum(first));
        let drawn: Vec<Bar> = results
            .variants
            .iter()
            .map(|variant| self.bar(variant, base))
            .collect();
        let sentence = self.sentence(results);
        let legend = "<ul class=\"legend\"><li><span class=\"key client\"></span>client</li><li><span class=\"key \
                      server\"></span>server</li></ul>\n";
        let rows = results.variants.iter().map(|variant| {
            let [client, server] = (self.of)(variant);
            [
                escape(&variant.name),
                whole(client),
                whole(server),
                whole(self.sum(variant)),
            ]
        });
        let data = data_table(
            &[
                "variant".into(),
                format!("client, {unit}"),
                format!("server, {unit}"),
                format!("both, {unit}"),
            ],
            rows,
        );
        let chart = bars(
            &Caption {
                id,
                title,
                description: &sentence,
            },
            &drawn,
        );
        figure(title, &sentence, &format!("{legend}{chart}{data}"))
    }

    fn bar(&self, variant: &VariantResult, base: Option<f64>) -> Bar {
        let [client, server] = (self.of)(variant).map(Option::unwrap_or_default);
        let sum = self.sum(variant);
        let total = format!("{} {} ({})", whole(sum), self.unit, times(ratio(sum, base)));
        Bar {
            label: variant.name.clone(),
            client,
            server,
            total,
        }
    }

    fn sum(&self, variant: &VariantResult) -> Option<f64> {
        let [client, server] = (self.of)(variant);
        Some(client? + server?)
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
    fn figure(&self, results: &Results) -> String {
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
        let legend: String = curves
            .iter()
            .enumerate()
            .map(|(index, curve)| format!("<li>{}{}</li>", swatch(index), escape(curve.label)))
            .collect();
        let chart = percentiles(
            &Caption {
                id: self.id,
                title: &self.title,
                description: &sentence,
            },
            &curves,
        );
        let head = [
            "variant", "n", "p50, ms", "p90", "p99", "p99.9", "max", "mean",
        ]
        .map(str::to_owned);
        let rows = results.variants.iter().map(|variant| {
            let latency = (self.latency)(variant);
            let quantiles: [fn(&Latency) -> f64; 6] = [
                |l| l.p50,
                |l| l.p90,
                |l| l.p99,
                |l| l.p999,
                |l| l.max,
                |l| l.mean,
            ];
            let [p50, p90, p99, p999, max, mean] = quantiles.map(|quantile| at(latency, quantile));
            [
                escape(&variant.name),
                count((self.histogram)(variant).count()),
                p50,
                p90,
                p99,
                p999,
                max,
                mean,
            ]
        });
        let data = data_table(&head, rows);
        figure(
            &self.title,
            &sentence,
            &format!("<ul class=\"legend\">{legend}</ul>\n{chart}{data}"),
        )
    }
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

fn figure(title: &str, sentence: &str, body: &str) -> String {
    format!(
        "<figure>\n<h3>{}</h3>\n<figcaption>{}</figcaption>\n{body}</figure>\n",
        escape(title),
        escape(sentence)
    )
}

/// The figures behind a chart; cells are escaped by the caller.
fn data_table<const N: usize>(
    head: &[String; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let head: String = head
        .iter()
        .map(|cell| format!("<th scope=\"col\">{}</th>", escape(cell)))
        .collect();
    let rows: String = rows
        .map(|cells| {
            let cells: String = cells
                .iter()
                .map(|cell| format!("<td>{cell}</td>"))
                .collect();
            format!("<tr>{cells}</tr>\n")
        })
        .collect();
    format!(
        "<details><summary>Figures as a table</summary>\n<div class=\"scroll\">\n<table>\n<thead><tr>{head}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n</div>\n</details>\n"
    )
}

fn method(results: &Results) -> String {
    let environment = &results.environment;
    let pairs = |map: &std::collections::BTreeMap<String, String>| {
        map.iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let gibibytes = environment.memory_bytes as f64 / f64::from(1 << 30);
    let late = |quantile| at(results.lateness_ms, quantile);
    let facts = [
        (
            "Processor",
            format!(
                "{}, {} logical, governor {}",
                environment.cpu, environment.cores, environment.governor
            ),
        ),
        ("Memory", format!("{gibibytes:.1} GiB")),
        (
            "System",
            format!("{}, {}", environment.os, environment.kernel),
        ),
        (
            "Network",
            format!(
                "{}, congestion control {}",
                environment.network, environment.tcp_congestion_control
            ),
        ),
        (
            "Build",
            format!(
                "mtc5g {}, revision {}, {}, {}",
                environment.mtc5g, environment.revision, environment.profile, environment.rustc
            ),
        ),
        ("Libraries", pairs(&environment.libraries)),
        (
            "Certificates",
            format!("{}; {}", environment.draft, pairs(&environment.oids)),
        ),
        ("Arrivals", format!("seed {}", results.run.seed)),
        (
            "Generator lateness",
            format!(
                "p50 {} ms, p99 {} ms, max {} ms",
                late(|l| l.p50),
                late(|l| l.p99),
                late(|l| l.max)
            ),
        ),
    ];
    let facts: String = facts
        .iter()
        .map(|(name, text)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(text)))
        .collect();
    let variants: String = results
        .variants
        .iter()
        .map(|variant| {
            format!(
                "<dt>{}</dt><dd>{}</dd>\n",
                escape(&variant.name),
                escape(&composition(variant))
            )
        })
        .collect();
    format!(
        "<section>\n<h2>Variants</h2>\n<dl>\n{variants}</dl>\n<h2>How it was measured</h2>\n\
         <p>Variants ran interleaved, arrival by arrival, so that a disturbance of the machine hits them all alike. Arrivals \
         are open-loop: they come when the schedule says, however slow the servers are. Operation latency counts from the \
         intended start and so includes the generator's lateness below; handshake latency counts from the established TCP \
         connection. Bytes are those of TLS records, without TCP and IP headers, that a side sent until its handshake \
         completed. CPU is thread time that a side spent in the handshake, verification included. Only completed handshakes \
         and successful operations are in the times.</p>\n<h2>Environment</h2>\n<dl>\n{facts}</dl>\n\
         <details><summary>The scenario, verbatim</summary>\n<pre>{}</pre>\n</details>\n</section>\n",
        escape(&results.scenario)
    )
}

#[cfg(test)]
mod tests;
