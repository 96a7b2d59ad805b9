//! What a lab does, from two scrapes: rates and quantiles are of the time between them.

use std::collections::BTreeMap;

use super::scrape::{Process, Scrape};
use super::text::{Samples, Series};

/// Sections of a screen, in the order of their importance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// One line: what there is, and whether something is wrong.
    pub headline: String,
    /// Whether it is.
    pub is_troubled: bool,
    /// Tables.
    pub sections: Vec<Section>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Its title.
    pub title: String,
    /// Names of the columns; a name that begins with a space is of a column of numbers.
    pub columns: Vec<&'static str>,
    /// Cells.
    pub rows: Vec<Vec<String>>,
}

/// The columns of the widest table.
pub(super) const HANDSHAKE_COLUMNS: [&str; 11] = [
    "peer's credential",
    "leaf key",
    "key exchange",
    " /s",
    " p50 ms",
    " p90",
    " p99",
    " CPU us",
    " verify",
    " bytes",
    " failed/s",
];

/// The increase of every counter between two scrapes, and for how long.
struct Increases {
    processes: Vec<Samples>,
    seconds: f64,
}

impl Increases {
    /// What a process has counted counts as a whole if it was started since, and not at all if it was not seen before.
    fn new(before: &Scrape, now: &Scrape) -> Self {
        let processes = now.processes.iter().map(|process| {
            let earlier = before
                .processes
                .iter()
                .find(|earlier| earlier.addr == process.addr);
            let (
                Ok(said),
                Some(Process {
                    said: Ok(earlier), ..
                }),
            ) = (&process.said, earlier)
            else {
                return Samples::default();
            };
            let is_another = started(said) != started(earlier);
            let increase = |(series, value): (&Series, &f64)| {
                let earlier = earlier.0.get(series).filter(|_| !is_another);
                (series.clone(), value - earlier.copied().unwrap_or(0.0))
            };
            Samples(said.0.iter().map(increase).collect())
        });
        Self {
            processes: processes.collect(),
            seconds: (now.at - before.at).as_secs_f64(),
        }
    }

    /// Sums of a counter over all processes by labels, of the series that `is_wanted`.
    fn by<'a>(
        &'a self,
        name: &'a str,
        labels: &[&str],
        is_wanted: impl Fn(&Series) -> bool,
    ) -> BTreeMap<Vec<String>, f64> {
        let mut sums = BTreeMap::new();
        for (series, value) in self.processes.iter().flat_map(|samples| samples.of(name)) {
            if is_wanted(series) {
                *sums.entry(key(series, labels)).or_default() += value;
            }
        }
        sums
    }

    fn rate(&self, increase: f64) -> f64 {
        if self.seconds > 0.0 {
            increase / self.seconds
        } else {
            0.0
        }
    }

    /// Histograms of a metric over all processes by labels.
    fn histograms(
        &self,
        name: &str,
        labels: &[&str],
        is_wanted: impl Fn(&Series) -> bool,
    ) -> BTreeMap<Vec<String>, Histogram> {
        let mut histograms: BTreeMap<Vec<String>, Histogram> = BTreeMap::new();
        let name = format!("{name}_bucket");
        for (series, value) in self.processes.iter().flat_map(|samples| samples.of(&name)) {
            if is_wanted(series) {
                histograms
                    .entry(key(series, labels))
                    .or_default()
                    .add(series.label("le"), value);
            }
        }
        histograms.retain(|_, histogram| histogram.count() > 0.0);
        histograms
    }
}

/// When a process was started, by which it is told from the one that takes its place.
fn started(samples: &Samples) -> Option<f64> {
    samples.sum("process_start_time_seconds")
}

fn key(series: &Series, labels: &[&str]) -> Vec<String> {
    labels
        .iter()
        .map(|label| series.label(label).to_owned())
        .collect()
}

/// Cumulative counts by upper bound.
#[derive(Clone, Debug, Default)]
struct Histogram(Vec<(f64, f64)>);

impl Histogram {
    fn add(&mut self, bound: &str, count: f64) {
        let bound = bound.parse().unwrap_or(f64::INFINITY);
        match self.0.iter_mut().find(|(known, _)| *known == bound) {
            Some((_, sum)) => *sum += count,
            None => {
                self.0.push((bound, count));
                self.0.sort_by(|a, b| a.0.total_cmp(&b.0));
            }
        }
    }

    fn count(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, count)| *count)
    }

    /// As Prometheus tells it: evenly spread within a bucket, and the highest bound for what is above all.
    fn quantile(&self, quantile: f64) -> f64 {
        let wanted = quantile * self.count();
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, count) in &self.0 {
            if *count >= wanted && *count > below {
                let share = (wanted - below) / (count - below);
                return if bound.is_finite() {
                    lower + (bound - lower) * share
                } else {
                    lower
                };
            }
            (lower, below) = (*bound, *count);
        }
        lower
    }
}

impl View {
    /// What the second scrape shows, with rates since the first.
    pub fn new(before: &Scrape, now: &Scrape) -> Self {
        let increases = Increases::new(before, now);
        let mut sections = vec![
            functions(now, &increases),
            handshakes(&increases),
            requests(&increases),
            log(now, &increases),
        ];
        sections.extend(load(now, &increases));
        let down: Vec<&str> = now
            .processes
            .iter()
            .filter(|process| process.said.is_err())
            .map(|process| process.nf.as_str())
            .collect();
        let unready = said(now)
            .filter(|samples| samples.sum("nf_ready") == Some(0.0))
            .count();
        let failures = failures(&increases);
        let mut troubles = Vec::new();
        if now.processes.is_empty() {
            troubles.push("no network function is announced: is the lab up?".to_owned());
        }
        if !down.is_empty() {
            troubles.push(format!("down: {}", down.join(", ")));
        }
        if unready > 0 {
            troubles.push(format!("{unready} not ready"));
        }
        troubles.extend(failures);
        let is_troubled = !troubles.is_empty();
        let state = if is_troubled {
            troubles.join("; ")
        } else {
            "all ready, no failures".to_owned()
        };
        Self {
            headline: format!(
                "{} processes, last {:.0} s: {state}",
                now.processes.len(),
                increases.seconds
            ),
            is_troubled,
            sections,
        }
    }
}

fn said(now: &Scrape) -> impl Iterator<Item = &Samples> {
    now.processes
        .iter()
        .filter_map(|process| process.said.as_ref().ok())
}

fn failures(increases: &Increases) -> Option<String> {
    let failed = increases.by(
        "sbi_handshake_duration_seconds_count",
        &["result"],
        |series| series.label("result") != "ok",
    );
    let errors = increases.by("sbi_request_duration_seconds_count", &["side"], |series| {
        series.label("side") == "server" && series.label("status").starts_with('5')
    });
    let mut parts: Vec<String> = failed
        .iter()
        .filter(|(_, count)| **count > 0.0)
        .map(|(result, count)| {
            format!(
                "{} handshakes/s failed ({})",
                figure(increases.rate(*count)),
                result.concat()
            )
        })
        .collect();
    let errors: f64 = errors.values().sum();
    if errors > 0.0 {
        parts.push(format!(
            "{} requests/s answered 5xx",
            figure(increases.rate(errors))
        ));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn functions(now: &Scrape, increases: &Increases) -> Section {
    let rows = now
        .processes
        .iter()
        .zip(&increases.processes)
        .map(|(process, increase)| {
            let samples = match &process.said {
                Ok(samples) => samples,
                Err(error) => {
                    return vec![
                        process.nf.clone(),
                        process.addr.clone(),
                        format!("down: {error}"),
                    ];
                }
            };
            let rate = |name: &str| figure(increases.rate(increase.sum(name).unwrap_or(0.0)));
            let cpu = increases.rate(increase.sum("process_cpu_seconds_total").unwrap_or(0.0));
            let expires = samples
                .sum("mtc_certificate_not_after_timestamp_seconds")
                .map(|at| span(at - now.unix));
            vec![
                process.nf.clone(),
                process.addr.clone(),
                if samples.sum("nf_ready") == Some(1.0) {
                    "ready"
                } else {
                    "not ready"
                }
                .to_owned(),
                format!("{:.0} %", 100.0 * cpu),
                samples
                    .sum("process_resident_memory_bytes")
                    .map_or_else(String::new, |bytes| {
                        format!("{:.0} MiB", bytes / 1_048_576.0)
                    }),
                samples
                    .sum("sbi_connections")
                    .map_or_else(String::new, count),
                rate("sbi_handshake_duration_seconds_count"),
                rate("sbi_request_duration_seconds_count"),
                expires.unwrap_or_default(),
            ]
        });
    Section {
        title: "Network functions".to_owned(),
        columns: vec![
            "NF",
            "admin port",
            "state",
            " CPU",
            " memory",
            " conns",
            " hs/s",
            " req/s",
            " certificate",
        ],
        rows: rows.collect(),
    }
}

fn handshakes(increases: &Increases) -> Section {
    const VARIANT: [&str; 3] = ["credential", "leaf_key", "key_exchange"];
    let is_client = |series: &Series| series.label("side") == "client";
    let name = "sbi_handshake_duration_seconds";
    let times = increases.histograms(name, &VARIANT, |series| {
        is_client(series) && series.label("result") == "ok"
    });
    let sums = |name: &str| increases.by(name, &VARIANT, is_client);
    let (cpu, verify) = (
        sums("sbi_handshake_cpu_seconds_total"),
        sums("sbi_handshake_verify_seconds_total"),
    );
    let (sent, received) = (
        sums("sbi_handshake_sent_bytes_total"),
        sums("sbi_handshake_received_bytes_total"),
    );
    let failed = increases.by(&format!("{name}_count"), &VARIANT, |series| {
        is_client(series) && series.label("result") != "ok"
    });
    let mut variants: Vec<&Vec<String>> = times.keys().chain(failed.keys()).collect();
    variants.sort_unstable();
    variants.dedup();
    let rows = variants.into_iter().filter_map(|variant| {
        let histogram = times.get(variant).cloned().unwrap_or_default();
        let (count, failed) = (
            histogram.count(),
            failed.get(variant).copied().unwrap_or(0.0),
        );
        if count + failed == 0.0 {
            return None;
        }
        let of = |sums: &BTreeMap<Vec<String>, f64>| {
            sums.get(variant).copied().unwrap_or(0.0) / count.max(1.0)
        };
        let ms = |quantile| figure(1e3 * histogram.quantile(quantile));
        let mut row = variant.clone();
        row.extend([
            figure(increases.rate(count)),
            ms(0.5),
            ms(0.9),
            ms(0.99),
            figure(1e6 * of(&cpu)),
            figure(1e6 * of(&verify)),
            figure(of(&sent) + of(&received)),
            figure(increases.rate(failed)),
        ]);
        Some(row)
    });
    Section {
        title: "Handshakes, as clients see them".to_owned(),
        columns: HANDSHAKE_COLUMNS.to_vec(),
        rows: rows.collect(),
    }
}

fn requests(increases: &Increases) -> Section {
    const OPERATION: [&str; 2] = ["service", "operation"];
    let is_server = |series: &Series| series.label("side") == "server";
    let times = increases.histograms("sbi_request_duration_seconds", &OPERATION, is_server);
    let refused = |class: char| {
        increases.by(
            "sbi_request_duration_seconds_count",
            &OPERATION,
            move |series| is_server(series) && series.label("status").starts_with(class),
        )
    };
    let (client, server) = (refused('4'), refused('5'));
    let rows = times.iter().map(|(operation, histogram)| {
        let rate = |counts: &BTreeMap<Vec<String>, f64>| {
            figure(increases.rate(counts.get(operation).copied().unwrap_or(0.0)))
        };
        let mut row = operation.clone();
        row.extend([
            figure(increases.rate(histogram.count())),
            figure(1e3 * histogram.quantile(0.5)),
            figure(1e3 * histogram.quantile(0.99)),
            rate(&client),
            rate(&server),
        ]);
        row
    });
    Section {
        title: "Requests, as servers see them".to_owned(),
        columns: vec![
            "service",
            "operation",
            " /s",
            " p50 ms",
            " p99",
            " 4xx/s",
            " 5xx/s",
        ],
        rows: rows.collect(),
    }
}

fn log(now: &Scrape, increases: &Increases) -> Section {
    let value = |name: &str| said(now).find_map(|samples| samples.sum(name));
    let number = |name: &str| value(name).map_or_else(|| "-".to_owned(), count);
    let age = |name: &str| {
        value(name)
            .filter(|at| *at > 0.0)
            .map_or_else(|| "-".to_owned(), |at| span(now.unix - at))
    };
    let all = |name: &str| -> f64 { increases.by(name, &[], |_| true).values().sum() };
    let quantile = |name: &str| {
        let histograms = increases.histograms(name, &[], |_| true);
        histograms.values().next().map_or_else(
            || "-".to_owned(),
            |histogram| format!("{} ms", figure(1e3 * histogram.quantile(0.5))),
        )
    };
    let newest = value("mtc_log_newest_landmark");
    let behind = said(now)
        .filter_map(|samples| samples.sum("mtc_newest_landmark"))
        .filter(|trusted| newest.is_some_and(|newest| *trusted < newest))
        .count();
    let basis = increases.by("mtc_verifications_total", &["basis"], |_| true);
    let verified: f64 = basis.values().sum();
    let share = |name: &str| {
        let hits = basis.get(&vec![name.to_owned()]).copied().unwrap_or(0.0);
        if verified > 0.0 {
            format!("{:.0} %", 100.0 * hits / verified)
        } else {
            "-".to_owned()
        }
    };
    let lag = value("mtc_log_signed_entries")
        .zip(value("mtc_witness_entries"))
        .map(|(signed, cosigned)| (signed - cosigned).max(0.0));
    let batches = all("mtc_log_batch_entries_count");
    let batch = if batches > 0.0 {
        figure(all("mtc_log_batch_entries_sum") / batches)
    } else {
        "-".to_owned()
    };
    let pair =
        |left: [String; 2], right: [String; 2]| left.into_iter().chain(right).collect::<Vec<_>>();
    let of = |name: &str, value: String| [name.to_owned(), value];
    Section {
        title: "Log, landmarks, trust".to_owned(),
        columns: vec!["", " ", "", " "],
        rows: vec![
            pair(
                of("entries published", number("mtc_log_entries")),
                of("newest landmark", number("mtc_log_newest_landmark")),
            ),
            pair(
                of(
                    "checkpoint age",
                    age("mtc_log_checkpoint_timestamp_seconds"),
                ),
                of("landmark age", age("mtc_log_landmark_timestamp_seconds")),
            ),
            pair(
                of("entries waiting", number("mtc_log_queue_entries")),
                of("relying parties behind", behind.to_string()),
            ),
            pair(
                of("entries in a batch", batch),
                of("verified by trusted subtree", share("trusted-subtree")),
            ),
            pair(
                of(
                    "issuance, median",
                    quantile("mtc_issuance_duration_seconds"),
                ),
                of("by remembered subtree", share("remembered-subtree")),
            ),
            pair(
                of(
                    "witness behind, entries",
                    lag.map_or_else(|| "-".to_owned(), count),
                ),
                of("by cosignatures", share("cosignatures")),
            ),
        ],
    }
}

/// Nothing where no load runs.
fn load(now: &Scrape, increases: &Increases) -> Option<Section> {
    let scenario = said(now).find_map(|samples| {
        samples
            .of("load_scenario_info")
            .map(|(series, _)| series.label("scenario").to_owned())
            .next()
    })?;
    let phase = said(now).find_map(|samples| {
        let mut phases = samples.of("load_phase");
        phases
            .find(|(_, is_it)| *is_it > 0.0)
            .map(|(series, _)| series.label("phase").to_owned())
    });
    let durations = increases.histograms("load_operation_duration_seconds", &["variant"], |_| true);
    let ended = increases.by("load_operations_total", &["variant"], |_| true);
    let failed = increases.by("load_operations_total", &["variant"], |series| {
        series.label("result") != "ok"
    });
    let dropped = increases.by("load_dropped_total", &["variant"], |_| true);
    let lateness = increases.histograms("load_lateness_seconds", &[], |_| true);
    let late = lateness.values().next().map_or_else(
        || "-".to_owned(),
        |late| format!("{} ms", figure(1e3 * late.quantile(0.99))),
    );
    let in_flight: f64 = said(now)
        .filter_map(|samples| samples.sum("load_operations_in_flight"))
        .sum();
    let rows = ended.iter().map(|(variant, count)| {
        let rate = |counts: &BTreeMap<Vec<String>, f64>| {
            figure(increases.rate(counts.get(variant).copied().unwrap_or(0.0)))
        };
        let ms = |quantile| {
            durations.get(variant).map_or_else(
                || "-".to_owned(),
                |times| figure(1e3 * times.quantile(quantile)),
            )
        };
        vec![
            variant.concat(),
            figure(increases.rate(*count)),
            ms(0.5),
            ms(0.99),
            rate(&failed),
            rate(&dropped),
        ]
    });
    Some(Section {
        title: format!(
            "Load: {scenario}, {}, {in_flight:.0} in flight, started late p99 {late}",
            phase.as_deref().unwrap_or("between phases")
        ),
        columns: vec![
            "variant",
            " operations/s",
            " p50 ms",
            " p99",
            " failed/s",
            " dropped/s",
        ],
        rows: rows.collect(),
    })
}

/// A number of things.
fn count(value: f64) -> String {
    format!("{value:.0}")
}

/// A number in few digits.
fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        small if small < 0.01 => format!("{value:.3}"),
        small if small < 10.0 => format!("{value:.2}"),
        medium if medium < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A span of seconds in its largest unit.
fn span(seconds: f64) -> String {
    match seconds {
        past if past < 0.0 => format!("{} ago", span(-past)),
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds < 172_800.0 => format!("{:.0} h", seconds / 3600.0),
        seconds => format!("{:.0} d", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    const BEFORE: &str = "nf_ready 1\nprocess_cpu_seconds_total 1\n\
        sbi_handshake_duration_seconds_bucket{side=\"client\",credential=\"mtc-landmark\",leaf_key=\"ml-dsa-65\",key_exchange=\"X25519\",result=\"ok\",le=\"0.001\"} 10\n\
        sbi_handshake_duration_seconds_bucket{side=\"client\",credential=\"mtc-landmark\",leaf_key=\"ml-dsa-65\",key_exchange=\"X25519\",result=\"ok\",le=\"0.002\"} 10\n\
        sbi_handshake_duration_seconds_bucket{side=\"client\",credential=\"mtc-landmark\",leaf_key=\"ml-dsa-65\",key_exchange=\"X25519\",result=\"ok\",le=\"+Inf\"} 10\n\
        sbi_handshake_cpu_seconds_total{side=\"client\",credential=\"mtc-landmark\",leaf_key=\"ml-dsa-65\",key_exchange=\"X25519\"} 0.01\n\
        mtc_verifications_total{basis=\"trusted-subtree\"} 10\nmtc_log_newest_landmark 3\nmtc_newest_landmark 2\n";
    const NOW: &str = "nf_ready 1\nprocess_cpu_seconds_total 2\n\
        sbi_handshake_duration_seconds_bucket{side=\"client\",credential=\"mtc-landmark\",leaf_key=\"ml-dsa-65\",key_exchange=\"X25519\",result=\"ok\",le=\"0.001\"} 20\n\
        sbi_handshake_duration_seconds_bucket{side=\"client\",credential=\"mtc-landmark\",leaf_key=\"ml-dsa-65\",key_exchange=\"X25519\",result=\"ok\",le=\"0.002\"} 30\n\
        sbi_handshake_duration_seconds_bucket{side=\"client\",credential=\"mtc-landmark\",leaf_key=\"ml-dsa-65\",key_exchange=\"X25519\",result=\"ok\",le=\"+Inf\"} 30\n\
        sbi_handshake_cpu_seconds_total{side=\"client\",credential=\"mtc-landmark\",leaf_key=\"ml-dsa-65\",key_exchange=\"X25519\"} 0.02\n\
        mtc_verifications_total{basis=\"trusted-subtree\"} 13\nmtc_verifications_total{basis=\"cosignatures\"} 1\n\
        mtc_log_newest_landmark 3\nmtc_newest_landmark 2\nload_scenario_info{scenario=\"quick\"} 1\nload_phase{phase=\"measured\"} 1\n\
        load_operations_total{variant=\"v\",operation=\"session\",result=\"ok\"} 40\n";

    fn scrape(at: Instant, said: &[(&str, Result<&str, &str>)]) -> Scrape {
        let processes = said.iter().map(|(nf, said)| Process {
            nf: (*nf).to_owned(),
            addr: format!("{nf}:1"),
            said: said
                .map(|text| Samples::parse(text).expect("samples"))
                .map_err(str::to_owned),
        });
        Scrape {
            at,
            unix: 1000.0,
            processes: processes.collect(),
        }
    }

    fn cell<'a>(view: &'a View, section: usize, row: usize, column: &str) -> &'a str {
        let Section { columns, rows, .. } = &view.sections[section];
        let position = columns
            .iter()
            .position(|name| name.trim() == column)
            .expect("a column");
        &rows[row][position]
    }

    #[test]
    fn rates_and_quantiles_are_of_the_time_between_two_scrapes() {
        let start = Instant::now();
        let before = scrape(start, &[("amf", Ok(BEFORE))]);
        let now = scrape(start + Duration::from_secs(10), &[("amf", Ok(NOW))]);
        let view = View::new(&before, &now);
        assert_eq!(cell(&view, 0, 0, "CPU"), "10 %");
        assert_eq!(cell(&view, 1, 0, "/s"), "2.00");
        // 10 of 20 below a millisecond, the others evenly below two.
        assert_eq!(
            (cell(&view, 1, 0, "p50 ms"), cell(&view, 1, 0, "p90")),
            ("1.00", "1.80")
        );
        assert_eq!(cell(&view, 1, 0, "CPU us"), "500");
        let log = &view.sections[3].rows;
        assert_eq!(log[2][2..], ["relying parties behind", "1"]);
        assert_eq!(log[3][2..], ["verified by trusted subtree", "75 %"]);
        assert!(
            view.sections[4].title.starts_with("Load: quick, measured"),
            "{}",
            view.sections[4].title
        );
        assert_eq!(cell(&view, 4, 0, "operations/s"), "4.00");
        assert_eq!(
            (view.is_troubled, view.headline.as_str()),
            (false, "1 processes, last 10 s: all ready, no failures")
        );
    }

    #[test]
    fn a_process_that_began_anew_has_counted_from_nothing_and_one_that_is_down_is_told() {
        let start = Instant::now();
        let (first, second) = (
            format!("{BEFORE}process_start_time_seconds 100\n"),
            format!("{NOW}process_start_time_seconds 990\n"),
        );
        let before = scrape(start, &[("amf", Ok(&first)), ("smf", Ok(NOW))]);
        let now = scrape(
            start + Duration::from_secs(10),
            &[("amf", Ok(&second)), ("smf", Err("cannot connect"))],
        );
        let view = View::new(&before, &now);
        // All of what the second counted, which is more than the first did.
        assert_eq!(cell(&view, 1, 0, "/s"), "3.00");
        assert_eq!(cell(&view, 1, 0, "p50 ms"), "0.75");
        assert!(
            view.is_troubled && view.headline.ends_with("down: smf"),
            "{}",
            view.headline
        );
        assert_eq!(cell(&view, 0, 1, "state"), "down: cannot connect");
        assert!(View::new(&scrape(start, &[]), &scrape(start, &[])).is_troubled);
    }

    #[test]
    fn a_quantile_above_all_bounds_is_the_highest() {
        let mut histogram = Histogram::default();
        for (bound, count) in [("1", 0.0), ("10", 1.0), ("+Inf", 2.0)] {
            histogram.add(bound, count);
        }
        assert_eq!(
            (histogram.quantile(0.25), histogram.quantile(0.99)),
            (5.5, 10.0)
        );
        assert_eq!(Histogram::default().quantile(0.5), 0.0);
    }
}
