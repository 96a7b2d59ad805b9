//! Logs and metrics of a process.

use std::error::Error;
use std::fmt;

use prometheus::{Encoder, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// An error with all its causes in one line, for logs and answers.
#[derive(Debug)]
pub struct Causes<'a>(pub &'a dyn Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut last = self.0.to_string();
        let mut source = self.0.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // A transparent error repeats its cause.
            if text != last {
                write!(f, ": {text}")?;
            }
            last = text;
            source = cause.source();
        }
        Ok(())
    }
}

/// How logs look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Sends logs to standard error, at the level that `RUST_LOG` says, or `default`.
///
/// Does nothing if a process has set up its logs before.
pub fn init_logs(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE);
    // The only failure is that a subscriber is set already, by a test in the same process.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// The metrics that every NF has.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// `mtc_newest_landmark`.
    pub newest_landmark: IntGauge,
    /// `mtc_trusted_subtrees`.
    pub trusted_subtrees: IntGauge,
    /// `mtc_trust_updates_total` by `result`.
    pub trust_updates: IntCounterVec,
    /// `mtc_certificates_obtained_total` by `profile`.
    pub certificates: IntCounterVec,
    /// `mtc_certificate_expiry_seconds`: of the first to expire.
    pub certificate_expiry: IntGauge,
    /// `nf_heartbeats_total` by `result`.
    pub heartbeats: IntCounterVec,
    /// `nf_registrations_total`.
    pub registrations: IntCounter,
}

impl Metrics {
    /// A registry with these metrics.
    ///
    /// # Panics
    /// Never: names and labels are constants that are valid and different.
    pub fn new() -> Self {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help).expect("a valid metric");
            registry
                .register(Box::new(gauge.clone()))
                .expect("a metric of its own");
            gauge
        };
        let counters = |name: &str, help: &str, label: &str| {
            let counters =
                IntCounterVec::new(Opts::new(name, help), &[label]).expect("a valid metric");
            registry
                .register(Box::new(counters.clone()))
                .expect("a metric of its own");
            counters
        };
        let registrations =
            IntCounter::new("nf_registrations_total", "Successful NFRegister requests.")
                .expect("a valid metric");
        registry
            .register(Box::new(registrations.clone()))
            .expect("a metric of its own");
        Self {
            newest_landmark: gauge(
                "mtc_newest_landmark",
                "Number of the newest landmark that is trusted; 0 for none.",
            ),
            trusted_subtrees: gauge(
                "mtc_trusted_subtrees",
                "Subtrees that are trusted without signatures.",
            ),
            trust_updates: counters(
                "mtc_trust_updates_total",
                "Looks at the log for landmarks, by result.",
                "result",
            ),
            certificates: counters(
                "mtc_certificates_obtained_total",
                "Certificates obtained, by profile.",
                "profile",
            ),
            certificate_expiry: gauge(
                "mtc_certificate_expiry_seconds",
                "Unix time at which the first certificate expires.",
            ),
            heartbeats: counters(
                "nf_heartbeats_total",
                "Heartbeats sent to the NRF, by result.",
                "result",
            ),
            registrations,
            registry,
        }
    }

    /// The metrics in the text format of Prometheus.
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to memory does not fail, and the metrics are of valid types.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
