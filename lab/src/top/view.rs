//! What a lab does, from the scrapes of a window: rates and quantiles are of the time between the first and the last.

use std::collections::BTreeMap;

use super::scrape::Scrape;
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

/// What every counter has gained a second, over the time for which its process was watched.
struct Rates {
    /// In the order of the processes; none for one that was not seen before.
    processes: Vec<Option<Samples>>,
    /// How long the longest was watched.
    seconds: f64,
}

impl Rates {
    /// Of a window of scrapes, the oldest first. A process that was started within it begins with its first samples: what
    /// was there before it was another.
    fn new(window: &[Scrape]) -> Self {
        let (Some(first), Some(now)) = (window.first(), window.last()) else {
            return Self {
                processes: Vec::new(),
                seconds: 0.0,
            };
        };
        let processes = now.processes.iter().map(|process| {
            let samples = process.samples.as_ref().ok()?;
            let (earlier, at) = window.iter().find_map(|scrape| {
                let same = scrape
                    .processes
                    .iter()
                    .find(|earlier| earlier.addr == process.addr);
                let earlier = same?.samples.as_ref().ok()?;
                (started(earlier) == started(samples)).then_some((earlier, scrape.at))
            })?;
            let seconds = (now.at - at).as_secs_f64();
            let rate = |(series, value): (&Series, &f64)| {
                let earlier = earlier.0.get(series).copied().unwrap_or(0.0);
                (series.clone(), (value - earlier).max(0.0) / seconds)
            };
            (seconds > 0.0).then(|| Samples(samples.0.iter().map(rate).collect()))
        });
        Self {
            processes: processes.collect(),
            seconds: (now.at - first.at).as_secs_f64(),
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
        for (series, value) in self
            .processes
            .iter()
            .flatten()
            .flat_map(|samples| samples.of(name))
        {
            if is_wanted(series) {
                *sums.entry(key(series, labels)).or_default() += value;
            }
        }
        sums
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
        for (series, value) in self
            .processes
            .iter()
            .flatten()
            .flat_map(|samples| samples.of(&name))
        {
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
    /// What the last of some scrapes shows, with rates since the first.
    pub fn new(window: &[Scrape]) -> Self {
        let Some(now) = window.last() else {
            return Self::default();
        };
        let rates = Rates::new(window);
        let mut sections = vec![
            functions(now, &rates),
            handshakes(&rates),
            requests(&rates),
            log(now, &rates),
        ];
        sections.extend(load(now, &rates));
        let down: Vec<&str> = now
            .processes
            .iter()
            .filter(|process| process.samples.is_err())
            .map(|process| process.nf.as_str())
            .collect();
        let unready = answering(now)
            .filter(|samples| samples.sum("nf_ready") == Some(0.0))
            .count();
        let failures = failures(&rates);
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
                rates.seconds
            ),
            is_troubled,
            sections,
        }
    }
}

fn answering(now: &Scrape) -> impl Iterator<Item = &Samples> {
    now.processes
        .iter()
        .filter_map(|process| process.samples.as_ref().ok())
}

/// Whether a server's answer with this status, or that there was none, is the server's fault.
fn is_failure(status: &str) -> bool {
    status.starts_with('5') || status == "failed"
}

fn failures(rates: &Rates) -> Option<String> {
    let failed = rates.by(
        "sbi_handshake_duration_seconds_count",
        &["result"],
        |series| series.label("result") != "ok",
    );
    let errors = rates.by("sbi_request_duration_seconds_count", &["side"], |series| {
        series.label("side") == "server" && is_failure(series.label("status"))
    });
    let mut parts: Vec<String> = failed
        .iter()
        .filter(|(_, count)| **count > 0.0)
        .map(|(result, count)| {
            format!(
                "{} handshakes/s failed ({})",
                figure(*count),
                result.concat()
            )
        })
        .collect();
    let errors: f64 = errors.values().sum();
    if errors > 0.0 {
        parts.push(format!(
            "{} requests/s answered 5xx or not at all",
            figure(errors)
        ));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The memory of a process by its instances, what they share included; nothing of a process with one or none.
fn memory_of_each(samples: &Samples) -> String {
    let resident = samples.sum("process_resident_memory_bytes");
    let instances = samples.sum("nf_instances").filter(|count| *count > 1.0);
    let each = resident.zip(instances);
    each.map_or_else(String::new, |(bytes, instances)| {
        format!("{:.0} KiB", bytes / instances / 1024.0)
    })
}

fn functions(now: &Scrape, rates: &Rates) -> Section {
    let rows = now
        .processes
        .iter()
        .zip(&rates.processes)
        .map(|(process, rates)| {
            let samples = match &process.samples {
                Ok(samples) => samples,
                Err(error) => {
                    return vec![
                        process.nf.clone(),
                        process.addr.clone(),
                        format!("down: {error}"),
                    ];
                }
            };
            // What was not seen before has no rate yet.
            let rate = |name: &str, show: fn(f64) -> String| {
                let rates = rates.as_ref();
                rates.map_or_else(
                    || "-".to_owned(),
                    |rates| show(rates.sum(name).unwrap_or(0.0)),
                )
            };
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
                rate("process_cpu_seconds_total", |busy| {
                    format!("{:.0} %", 100.0 * busy)
                }),
                samples
                    .sum("process_resident_memory_bytes")
                    .map_or_else(String::new, |bytes| {
                        format!("{:.0} MiB", bytes / 1_048_576.0)
                    }),
                memory_of_each(samples),
                samples
                    .sum("sbi_connections")
                    .map_or_else(String::new, count),
                rate("sbi_handshake_duration_seconds_count", figure),
                rate("sbi_request_duration_seconds_count", figure),
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
            " each",
            " conns",
            " hs/s",
            " req/s",
            " certificate",
        ],
        rows: rows.collect(),
    }
}

fn handshakes(rates: &Rates) -> Section {
    const VARIANT: [&str; 3] = ["credential", "leaf_key", "key_exchange"];
    let is_client = |series: &Series| series.label("side") == "client";
    let name = "sbi_handshake_duration_seconds";
    let times = rates.histograms(name, &VARIANT, |series| {
        is_client(series) && series.label("result") == "ok"
    });
    let sums = |name: &str| rates.by(name, &VARIANT, is_client);
    let (cpu, verify) = (
        sums("sbi_handshake_cpu_seconds_total"),
        sums("sbi_handshake_verify_seconds_total"),
    );
    let (sent, received) = (
        sums("sbi_handshake_sent_bytes_total"),
        sums("sbi_handshake_received_bytes_total"),
    );
    let failed = rates.by(&format!("{name}_count"), &VARIANT, |series| {
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
            let sum = sums.get(variant).copied().unwrap_or(0.0);
            if count > 0.0 { sum / count } else { 0.0 }
        };
        let ms = |quantile| figure(1e3 * histogram.quantile(quantile));
        let mut row = variant.clone();
        row.extend([
            figure(count),
            ms(0.5),
            ms(0.9),
            ms(0.99),
            figure(1e6 * of(&cpu)),
            figure(1e6 * of(&verify)),
            figure(of(&sent) + of(&received)),
            figure(failed),
        ]);
        Some(row)
    });
    Section {
        title: "Handshakes, as clients see them".to_owned(),
        columns: HANDSHAKE_COLUMNS.to_vec(),
        rows: rows.collect(),
    }
}

fn requests(rates: &Rates) -> Section {
    const OPERATION: [&str; 2] = ["service", "operation"];
    let is_server = |series: &Series| series.label("side") == "server";
    let times = rates.histograms("sbi_request_duration_seconds", &OPERATION, is_server);
    let of = |is_wanted: fn(&str) -> bool| {
        rates.by(
            "sbi_request_duration_seconds_count",
            &OPERATION,
            move |series| is_server(series) && is_wanted(series.label("status")),
        )
    };
    let (client, server) = (of(|status| status.starts_with('4')), of(is_failure));
    let rows = times.iter().map(|(operation, histogram)| {
        let rate = |counts: &BTreeMap<Vec<String>, f64>| {
            figure(counts.get(operation).copied().unwrap_or(0.0))
        };
        let mut row = operation.clone();
        row.extend([
            figure(histogram.count()),
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
            " 5xx or none/s",
        ],
        rows: rows.collect(),
    }
}

fn log(now: &Scrape, rates: &Rates) -> Section {
    let value = |name: &str| answering(now).find_map(|samples| samples.sum(name));
    let number = |name: &str| value(name).map_or_else(|| "-".to_owned(), count);
    let age = |name: &str| {
        value(name)
            .filter(|at| *at > 0.0)
            .map_or_else(|| "-".to_owned(), |at| span(now.unix - at))
    };
    let all = |name: &str| -> f64 { rates.by(name, &[], |_| true).values().sum() };
    let quantile = |name: &str| {
        let histograms = rates.histograms(name, &[], |_| true);
        histograms.values().next().map_or_else(
            || "-".to_owned(),
            |histogram| format!("{} ms", figure(1e3 * histogram.quantile(0.5))),
        )
    };
    let newest = value("mtc_log_newest_landmark");
    let behind = answering(now)
        .filter_map(|samples| samples.sum("mtc_newest_landmark"))
        .filter(|trusted| newest.is_some_and(|newest| *trusted < newest))
        .count();
    let basis = rates.by("mtc_verifications_total", &["basis"], |_| true);
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
fn load(now: &Scrape, rates: &Rates) -> Option<Section> {
    let scenario = answering(now).find_map(|samples| {
        samples
            .of("load_scenario_info")
            .map(|(series, _)| series.label("scenario").to_owned())
            .next()
    })?;
    let phase = answering(now).find_map(|samples| {
        let mut phases = samples.of("load_phase");
        phases
            .find(|(_, is_it)| *is_it > 0.0)
            .map(|(series, _)| series.label("phase").to_owned())
    });
    let durations = rates.histograms("load_operation_duration_seconds", &["variant"], |_| true);
    let ended = rates.by("load_operations_total", &["variant"], |_| true);
    let failed = rates.by("load_operations_total", &["variant"], |series| {
        series.label("result") != "ok"
    });
    let dropped = rates.by("load_dropped_total", &["variant"], |_| true);
    let lateness = rates.histograms("load_lateness_seconds", &[], |_| true);
    let late = lateness.values().next().map_or_else(
        || "-".to_owned(),
        |late| format!("{} ms", figure(1e3 * late.quantile(0.99))),
    );
    let in_flight: f64 = answering(now)
        .filter_map(|samples| samples.sum("load_operations_in_flight"))
        .sum();
    let rows = ended.iter().map(|(variant, count)| {
        let rate = |counts: &BTreeMap<Vec<String>, f64>| {
            figure(counts.get(variant).copied().unwrap_or(0.0))
        };
        let ms = |quantile| {
            durations.get(variant).map_or_else(
                || "-".to_owned(),
                |times| figure(1e3 * times.quantile(quantile)),
            )
        };
        vec![
            variant.concat(),
            figure(*count),
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

    use super::super::scrape::Process;
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

    fn scrape(at: Instant, samples: &[(&str, Result<&str, &str>)]) -> Scrape {
        let processes = samples.iter().map(|(nf, samples)| Process {
            nf: (*nf).to_owned(),
            addr: format!("{nf}:1"),
            samples: samples
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
        let view = View::new(&[before, now]);
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
    fn the_memory_of_a_process_is_also_told_for_each_of_its_instances() {
        let samples = "nf_ready 1\nnf_instances 100\nprocess_resident_memory_bytes 10485760\n";
        let one = "nf_ready 1\nnf_instances 1\nprocess_resident_memory_bytes 10485760\n";
        let processes = [("smf", Ok(samples)), ("scp", Ok(one))];
        let view = View::new(&[scrape(Instant::now(), &processes)]);
        let each = [0, 1].map(|row| cell(&view, 0, row, "each"));
        assert_eq!(each, ["102 KiB", ""]);
        assert_eq!(cell(&view, 0, 0, "memory"), "10 MiB");
    }

    #[test]
    fn a_process_that_began_anew_or_came_later_is_measured_since_then() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let of = |text: &str, started: u32| format!("{text}process_start_time_seconds {started}\n");
        let (old, anew, now) = (of(NOW, 100), of(BEFORE, 990), of(NOW, 990));
        let mut window = vec![
            scrape(at(0), &[("amf", Ok(&old))]),
            scrape(at(4), &[("amf", Ok(&anew))]),
        ];
        let view = View::new(&window);
        assert_eq!(
            (cell(&view, 0, 0, "CPU"), cell(&view, 0, 0, "hs/s")),
            ("-", "-")
        );
        assert!(view.sections[1].rows.is_empty(), "{view:?}");
        window.push(scrape(at(9), &[("amf", Ok(&now)), ("smf", Ok(&now))]));
        let view = View::new(&window);
        // 20 handshakes and a second of CPU in five.
        assert_eq!(cell(&view, 1, 0, "/s"), "4.00");
        assert_eq!(
            (cell(&view, 0, 0, "CPU"), cell(&view, 0, 1, "CPU")),
            ("20 %", "-")
        );
        assert!(view.headline.contains("last 9 s"), "{}", view.headline);
    }

    #[test]
    fn a_process_that_is_down_is_told() {
        let start = Instant::now();
        let before = scrape(start, &[("amf", Ok(NOW)), ("smf", Ok(NOW))]);
        let now = scrape(
            start + Duration::from_secs(10),
            &[("amf", Ok(NOW)), ("smf", Err("cannot connect"))],
        );
        let view = View::new(&[before, now]);
        assert!(
            view.is_troubled && view.headline.ends_with("down: smf"),
            "{}",
            view.headline
        );
        assert_eq!(cell(&view, 0, 1, "state"), "down: cannot connect");
        assert!(View::new(&[scrape(start, &[])]).is_troubled);
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
