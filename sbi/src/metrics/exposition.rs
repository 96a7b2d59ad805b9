//! How metrics look to who asks: the text format of Prometheus, or OpenMetrics 1.0 for who accepts it.

use hyper::HeaderMap;
use hyper::header::ACCEPT;
use prometheus::proto::MetricFamily;
use prometheus::{TEXT_FORMAT, TextEncoder};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const COUNTER_SUFFIX: &str = "_total";
/// Units that OpenMetrics lets a family declare, which its name then ends in.
const UNITS: [&str; 2] = ["seconds", "bytes"];

/// A format of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// `text/plain; version=0.0.4`.
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl Exposition {
    /// The one that a client accepts: OpenMetrics where `Accept` names it and does not prefer plain text.
    pub fn accepted(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter();
        let ranges = accepted
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let (mut open_metrics, mut plain) = (0.0, 0.0);
        for range in ranges {
            let mut parts = range.split(';').map(str::trim);
            let best = match parts.next() {
                Some(name) if name.eq_ignore_ascii_case("application/openmetrics-text") => {
                    &mut open_metrics
                }
                Some(name) if name.eq_ignore_ascii_case("text/plain") => &mut plain,
                _ => continue,
            };
            let quality = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
            *best = f64::max(*best, quality);
        }
        if open_metrics > 0.0 && open_metrics >= plain {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// For `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => TEXT_FORMAT,
            Self::OpenMetrics => OPEN_METRICS,
        }
    }

    /// The text.
    pub fn encode(self, families: &[MetricFamily]) -> String {
        // Fails for a family without a metric only, and none is gathered.
        let text = TextEncoder::new()
            .encode_to_string(families)
            .unwrap_or_default();
        match self {
            Self::Prometheus => text,
            Self::OpenMetrics => open_metrics(&text),
        }
    }
}

/// The text format in which families of counters are named without `_total`, units are said, and the end is marked. Lines of
/// samples are the same in both.
fn open_metrics(text: &str) -> String {
    let mut open = String::with_capacity(text.len() + 64);
    let types = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let counters: Vec<&str> = types
        .filter(|(_, kind)| *kind == "counter")
        .map(|(name, _)| name)
        .collect();
    for line in text.lines() {
        let described = ["# HELP ", "# TYPE "].into_iter().find_map(|keyword| {
            let (name, rest) = line.strip_prefix(keyword)?.split_once(' ')?;
            Some((keyword, name, rest))
        });
        let Some((keyword, name, rest)) = described else {
            open.push_str(line);
            open.push('\n');
            continue;
        };
        let family = match name.strip_suffix(COUNTER_SUFFIX) {
            Some(family) if counters.contains(&name) => family,
            _ => name,
        };
        open.push_str(&format!("{keyword}{family} {rest}\n"));
        let unit = UNITS
            .into_iter()
            .find(|unit| family.ends_with(&format!("_{unit}")));
        if let Some(unit) = unit.filter(|_| keyword == "# TYPE ") {
            open.push_str(&format!("# UNIT {family} {unit}\n"));
        }
    }
    open.push_str("# EOF\n");
    open
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Registry;

    fn accepted(value: &'static str) -> Exposition {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, value.parse().expect("a header"));
        Exposition::accepted(&headers)
    }

    #[test]
    fn open_metrics_are_for_who_asks() {
        assert_eq!(
            Exposition::accepted(&HeaderMap::new()),
            Exposition::Prometheus
        );
        for plain in [
            "*/*",
            "text/plain",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.1,text/plain;q=0.9",
        ] {
            assert_eq!(accepted(plain), Exposition::Prometheus, "{plain}");
        }
        // As Prometheus 2.42 asks.
        let asks = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(accepted(asks), Exposition::OpenMetrics);
    }

    #[test]
    fn counters_lose_their_suffix_in_the_family_and_keep_it_in_the_sample() {
        let registry = Registry::default();
        registry
            .sums("x_seconds_total", "Time.", &[("side", "")])
            .with_label_values(&["a"])
            .inc_by(0.5);
        registry.gauge("y_bytes", "Size.").set(7);
        registry.gauge("z_total", "No counter.").set(1);
        registry.time("t_seconds", "Durations.").observe(2e-5);
        let families = registry.gather();
        let text = Exposition::OpenMetrics.encode(&families);
        for line in [
            "# HELP x_seconds Time.",
            "# TYPE x_seconds counter",
            "# UNIT x_seconds seconds",
            "x_seconds_total{side=\"a\"} 0.5",
            "# UNIT y_bytes bytes",
            "y_bytes 7",
            "# TYPE z_total gauge",
            "# TYPE t_seconds histogram",
            "t_seconds_bucket{le=\"0.00002\"} 1",
            "t_seconds_bucket{le=\"+Inf\"} 1",
            "t_seconds_count 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"));
        let text = Exposition::Prometheus.encode(&families);
        assert!(text.contains("# TYPE x_seconds_total counter\n") && !text.contains("EOF"));
    }
}
