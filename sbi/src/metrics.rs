//! What a process tells Prometheus.
//!
//! ```text
//!  Registry ── each metric with help, unit and labels ──┬─> GET /metrics on the admin port (Exposition)
//!     │                                                 └─> docs/metrics.md (mtc5g metrics)
//!     ├─ Metrics                every network function: handshakes, requests, trust, certificates, the process
//!     └─ of the NRF, the SCP, the load generator: in their crates
//! ```
//!
//! Values of labels come from enums and tables, never from what a peer sends: their number is bounded.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use mtc_tls::credentials::MtcTrust;
use prometheus::{IntCounter, IntCounterVec, IntGauge};

use crate::budget::Budget;

mod exposition;
mod handshakes;
mod process;
mod registry;
mod requests;
mod revocation;
mod sets;
mod tokens;
mod x509_status;

pub use exposition::Exposition;
pub use handshakes::HandshakeMetrics;
pub use registry::{Definition, Kind, Label, Registry};
pub use requests::{OpenConnection, RequestMetrics};
pub use revocation::RevocationMetrics;
pub use sets::SetMetrics;
pub use tokens::TokenMetrics;
pub use x509_status::X509StatusMetrics;

const SIDE: Label = (
    "side",
    "`client` or `server`: which of the two this process is",
);
const RESULT: Label = ("result", "`ok` or `failed`");

/// The metrics that every NF has. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    /// Where all are, and where a network function adds its own.
    pub registry: Registry,
    /// Handshakes.
    pub handshakes: HandshakeMetrics,
    /// SBI requests.
    pub requests: RequestMetrics,
    /// Access tokens.
    pub tokens: TokenMetrics,
    /// What is fetched of the revocation of X.509 certificates.
    pub x509_status: X509StatusMetrics,
    /// `mtc_newest_landmark`.
    pub newest_landmark: IntGauge,
    /// `mtc_newest_landmark_timestamp_seconds`.
    pub newest_landmark_since: IntGauge,
    /// `mtc_newest_landmark_expiry_timestamp_seconds`.
    pub newest_landmark_expiry: IntGauge,
    /// `mtc_trusted_subtrees`.
    pub trusted_subtrees: IntGauge,
    /// `mtc_trust_updates_total` by `result`.
    pub trust_updates: IntCounterVec,
    /// `mtc_trust_update_timestamp_seconds`.
    pub trust_updated: IntGauge,
    /// Revocation.
    pub revocation: RevocationMetrics,
    /// Trusted sets.
    pub sets: SetMetrics,
    /// `mtc_certificates_obtained_total` by `profile`.
    pub certificates: IntCounterVec,
    /// `mtc_certificates_without_landmark`.
    pub without_landmark: IntGauge,
    /// `mtc_certificate_renewal_timestamp_seconds`: of the first to expire.
    pub certificate_renewal: IntGauge,
    /// `mtc_certificate_not_after_timestamp_seconds`: of the first to expire.
    pub certificate_not_after: IntGauge,
    /// `nf_heartbeats_total` by `result`.
    pub heartbeats: IntCounterVec,
    /// `nf_registrations_total`.
    pub registrations: IntCounter,
    /// `nf_clock_steps_total` by `direction`.
    pub clock_steps: IntCounterVec,
    /// What requests and answers of all peers may have together: `nf_held_bytes`, `nf_held_bytes_limit`,
    /// `nf_no_room_total`.
    pub budget: Budget,
    /// `nf_connections_refused_total` by `reason`.
    pub connections_refused: IntCounterVec,
    /// `nf_port_connections_limit`.
    pub port_connections_limit: IntGauge,
    /// `nf_ready`.
    pub ready: IntGauge,
    /// `nf_instances`.
    pub instances: IntGauge,
    info: prometheus::IntGaugeVec,
}

impl Metrics {
    /// A registry with these metrics.
    pub fn new() -> Self {
        let registry = Registry::default();
        process::export(&registry);
        let budget = Budget::default();
        export_budget(&registry, &budget);
        Self {
            budget,
            connections_refused: registry.counters(
                "nf_connections_refused_total",
                "Connections that were closed before they were served, to make room for others.",
                &[(
                    "reason",
                    "`address` (its address has reached its limit), `newer` (it had finished no handshake or sent no request when a newer one came)",
                )],
            ),
            port_connections_limit: registry.gauge(
                "nf_port_connections_limit",
                "Connections that each port of this process serves at a time; more wait until one has ended.",
            ),
            info: registry.gauges(
                "nf_info",
                "1, for what the labels say.",
                &[("nf_type", "NF type (TS 29.510)"), ("version", "of mtc5g")],
            ),
            ready: registry.gauge(
                "nf_ready",
                "1 when every instance is enrolled, registered and has trust state, else 0.",
            ),
            instances: registry.gauge(
                "nf_instances",
                "NF instances that this process hosts and has registered; 0 until all are, and of an NRF.",
            ),
            clock_steps: registry.counters(
                "nf_clock_steps_total",
                "Steps of this machine's wall clock by a second or more, as seen by the process.",
                &[("direction", "`forward` or `backward`")],
            ),
            registrations: registry.counter(
                "nf_registrations_total",
                "Successful NFRegister requests of this process.",
            ),
            heartbeats: registry.counters(
                "nf_heartbeats_total",
                "Heartbeats sent to the NRF.",
                &[RESULT],
            ),
            handshakes: HandshakeMetrics::new(&registry),
            requests: RequestMetrics::new(&registry),
            tokens: TokenMetrics::new(&registry),
            x509_status: X509StatusMetrics::new(&registry),
            newest_landmark: registry.gauge(
                "mtc_newest_landmark",
                "Number of the newest landmark that is trusted; 0 for none.",
            ),
            newest_landmark_since: registry.gauge(
                "mtc_newest_landmark_timestamp_seconds",
                "Unix time since which the newest landmark has been trusted here; 0 for none.",
            ),
            newest_landmark_expiry: registry.gauge(
                "mtc_newest_landmark_expiry_timestamp_seconds",
                "Unix time at which the newest landmark that is trusted expires: longest life of a certificate after it was allocated; 0 for none.",
            ),
            trusted_subtrees: registry.gauge(
                "mtc_trusted_subtrees",
                "Subtrees that are trusted without signatures.",
            ),
            trust_updates: registry.counters(
                "mtc_trust_updates_total",
                "Checks of the log for new landmarks.",
                &[("result", "`new` (there were some), `unchanged`, `failed`")],
            ),
            trust_updated: registry.gauge(
                "mtc_trust_update_timestamp_seconds",
                "Unix time of the last successful check of the log; until there is one, that of the start; 0 where no log is followed.",
            ),
            revocation: RevocationMetrics::new(&registry),
            sets: SetMetrics::new(&registry),
            certificates: registry.counters(
                "mtc_certificates_obtained_total",
                "Certificates obtained.",
                &[("profile", "`mtc`, or an X.509 profile")],
            ),
            without_landmark: registry.gauge(
                "mtc_certificates_without_landmark",
                "Merkle Tree Certificates of this process that are shown in their standalone form to everybody, because their landmark is not there yet.",
            ),
            certificate_renewal: registry.gauge(
                "mtc_certificate_renewal_timestamp_seconds",
                "Unix time at which the certificate that expires first is due for renewal.",
            ),
            certificate_not_after: registry.gauge(
                "mtc_certificate_not_after_timestamp_seconds",
                "Unix time at which the first certificate expires.",
            ),
            registry,
        }
    }

    /// Shows the newest landmark that is trusted, and since when, and how much is.
    pub fn show_trust(&self, trust: &MtcTrust) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let newest = trust.newest_landmark().map_or(0, |(_, newest)| newest.0);
        if gauge(newest) != self.newest_landmark.get() {
            self.newest_landmark.set(gauge(newest));
            self.newest_landmark_since.set(unix_now());
        }
        let subtrees = trust.trusted_subtrees() as u64;
        self.trusted_subtrees.set(gauge(subtrees));
    }

    /// Says what this process is, in `nf_info`.
    pub fn tell_type(&self, nf_type: &str) {
        self.info
            .with_label_values(&[nf_type, env!("CARGO_PKG_VERSION")])
            .set(1);
    }
}

fn export_budget(registry: &Registry, budget: &Budget) {
    let held = budget.clone();
    registry.read(
        "nf_held_bytes",
        "Bytes that unanswered requests and unread answers of all peers take.",
        move || held.held() as u64,
    );
    let limit = budget.clone();
    registry.read(
        "nf_held_bytes_limit",
        "Most bytes that they may take together; peers without a certificate may take half of it.",
        move || limit.limit() as u64,
    );
    let refused = budget.clone();
    registry.read_sum(
        "nf_no_room_total",
        "Requests that were answered with 503 because there was no room for them or their answer.",
        move || refused.refused() as f64,
    );
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

/// The system's Unix time, for gauges that say when: Prometheus compares them with its own, so no clock of a scenario will do.
pub fn unix_now() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
