//! Handshakes by side, by how the peer authenticated itself, leaf key, key exchange and result.
//!
//! What a handshake's labels select is looked up once and kept: recording allocates nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mtc_core::verify::Basis;
use mtc_tls::downgrade::Downgrade;
use mtc_tls::handshake::{HandshakeCost, HandshakeError};
use mtc_tls::kind::CertificateKind;
use mtc_tls::profile::ConnectionProfile;
use mtc_tls::record::Side;
use prometheus::{Counter, CounterVec, Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::registry::Label;
use super::{Registry, SIDE};

const CREDENTIAL: Label = (
    "credential",
    "how the peer authenticated itself: `mtc-landmark`, `mtc-standalone`, an X.509 trust domain such as `x509-ml-dsa-65-direct`, \
     `resumed`, or `none`; of a handshake that failed what the connection was to have, `unknown` where that is not known",
);
const LEAF_KEY: Label = ("leaf_key", "algorithm of both leaf keys, or `unknown`");
const KEY_EXCHANGE: Label = ("key_exchange", "TLS group, or `unknown`");
const RESULT: Label = (
    "result",
    "`ok`, or the class of the failure: `connect`, `setup`, `tls`, `timeout`",
);
const REASON: Label = (
    "reason",
    "`not-upgraded`: this side has no Merkle Tree Certificate; `peer-not-upgraded`: the peer verifies X.509 only; `names-missing`: the peer named \
     no trust anchor of the MTCA though it is upgraded; `nothing-named`: the peer named nobody known; `no-landmark-yet`: this side's certificate waits for its landmark; \
     `no-common-landmark`: the peer's newest landmark is too old, or of another log; `peer-stale`: the peer knows no landmark of the log",
);
const VARIANT: [Label; 4] = [SIDE, CREDENTIAL, LEAF_KEY, KEY_EXCHANGE];
const OK: &str = "ok";
const UNKNOWN: &str = "unknown";

/// What the handshakes of this process took. Clones share them.
#[derive(Clone)]
pub struct HandshakeMetrics(Arc<Inner>);

struct Inner {
    duration: HistogramVec,
    cpu: CounterVec,
    verify: CounterVec,
    sent: IntCounterVec,
    received: IntCounterVec,
    trusted_subtree: IntCounter,
    remembered_subtree: IntCounter,
    cosigned: IntCounter,
    cosignatures: IntCounter,
    downgrades: HashMap<Downgrade, [IntCounter; 2]>,
    selected: Mutex<HashMap<Labels, Arc<Selected>>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Labels {
    side: Side,
    profile: Option<ConnectionProfile>,
    credential: Credential,
    result: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Credential {
    Shown(CertificateKind),
    Resumed,
    None,
    /// Nothing was shown yet.
    Expected,
}

struct Selected {
    duration: Histogram,
    /// None of handshakes that failed: their cost is not known.
    cost: Option<CostMetrics>,
}

struct CostMetrics {
    cpu: Counter,
    verify: Counter,
    sent: IntCounter,
    received: IntCounter,
}

impl HandshakeMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let verifications = registry.counters(
            "mtc_verifications_total",
            "Merkle Tree Certificates of peers that were accepted, by what made them acceptable.",
            &[("basis", "`trusted-subtree` and `remembered-subtree` (no signature was verified), `cosignatures`")],
        );
        let by_basis = |basis: &str| verifications.with_label_values(&[basis]);
        let downgrades = registry.counters(
            "mtc_downgrades_total",
            "Certificates that this side presented in completed handshakes and that were worse than both ends could have had, by reason.",
            &[SIDE, REASON],
        );
        let downgrades = Downgrade::ALL.map(|reason| {
            let of = |side: Side| downgrades.with_label_values(&[side.as_str(), reason.as_str()]);
            (reason, [Side::Client, Side::Server].map(of))
        });
        Self(Arc::new(Inner {
            duration: registry.times(
                "sbi_handshake_duration_seconds",
                "Time from the established TCP connection to the completed or failed TLS handshake; of a client's failure, \
                 connecting included.",
                &[SIDE, CREDENTIAL, LEAF_KEY, KEY_EXCHANGE, RESULT],
            ),
            cpu: registry.sums(
                "sbi_handshake_cpu_seconds_total",
                "CPU time of completed handshakes on this side, including verification.",
                &VARIANT,
            ),
            verify: registry.sums(
                "sbi_handshake_verify_seconds_total",
                "CPU time of verifying the peer's certificate in completed handshakes.",
                &VARIANT,
            ),
            sent: registry.counters(
                "sbi_handshake_sent_bytes_total",
                "TLS record bytes sent until handshakes were complete.",
                &VARIANT,
            ),
            received: registry.counters(
                "sbi_handshake_received_bytes_total",
                "TLS record bytes received until handshakes were complete.",
                &VARIANT,
            ),
            trusted_subtree: by_basis("trusted-subtree"),
            remembered_subtree: by_basis("remembered-subtree"),
            cosigned: by_basis("cosignatures"),
            cosignatures: registry.counter(
                "mtc_cosignatures_verified_total",
                "Cosignatures of peers' certificates that were verified.",
            ),
            downgrades: downgrades.into_iter().collect(),
            selected: Mutex::default(),
        }))
    }

    /// Counts a completed handshake.
    pub fn completed(&self, side: Side, profile: Option<ConnectionProfile>, cost: &HandshakeCost) {
        let credential = match cost.received {
            _ if cost.negotiated.resumed => Credential::Resumed,
            Some(kind) => Credential::Shown(kind),
            None => Credential::None,
        };
        let selected = self.0.select(Labels {
            side,
            profile,
            credential,
            result: OK,
        });
        selected.duration.observe(cost.elapsed.as_secs_f64());
        if let Some(metrics) = &selected.cost {
            metrics.cpu.inc_by(cost.cpu.as_secs_f64());
            metrics.verify.inc_by(cost.verify.as_secs_f64());
            metrics.sent.inc_by(cost.bytes_sent);
            metrics.received.inc_by(cost.bytes_received);
        }
        let downgraded = cost.downgrade.and_then(|of| self.0.downgrades.get(&of));
        if let Some([client, server]) = downgraded {
            match side {
                Side::Client => client.inc(),
                Side::Server => server.inc(),
            }
        }
        if let Some(verification) = &cost.verification {
            match verification.basis {
                Some(Basis::TrustedSubtree) => self.0.trusted_subtree.inc(),
                Some(Basis::VerifiedSubtree) => self.0.remembered_subtree.inc(),
                Some(Basis::Cosignatures) => self.0.cosigned.inc(),
                None => {}
            }
            self.0
                .cosignatures
                .inc_by(verification.cosignatures_verified);
        }
    }

    /// Counts a handshake that failed after so long.
    pub fn failed(
        &self,
        side: Side,
        profile: Option<ConnectionProfile>,
        error: &HandshakeError,
        elapsed: Duration,
    ) {
        let labels = Labels {
            side,
            profile,
            credential: Credential::Expected,
            result: error.class(),
        };
        self.0
            .select(labels)
            .duration
            .observe(elapsed.as_secs_f64());
    }
}

impl Inner {
    fn select(&self, labels: Labels) -> Arc<Selected> {
        let mut selected = self.selected.lock().unwrap_or_else(PoisonError::into_inner);
        selected
            .entry(labels)
            .or_insert_with(|| Arc::new(self.make(labels)))
            .clone()
    }

    fn make(&self, labels: Labels) -> Selected {
        let Labels {
            side,
            profile,
            credential,
            result,
        } = labels;
        let expected =
            profile.map_or_else(|| UNKNOWN.to_owned(), |profile| profile.domain.to_string());
        let x509 = profile.map(|profile| profile.domain.not_upgraded().to_string());
        let credential = match credential {
            // Which X.509 it was only the domain says.
            Credential::Shown(CertificateKind::DirectlySigned) => x509.unwrap_or(expected),
            Credential::Expected => expected,
            Credential::Shown(kind) => kind.to_string(),
            Credential::Resumed => "resumed".to_owned(),
            Credential::None => "none".to_owned(),
        };
        let named = |name: Option<String>| name.unwrap_or_else(|| UNKNOWN.to_owned());
        let leaf_key = named(profile.map(|profile| profile.leaf_key.to_string()));
        let key_exchange = named(profile.map(|profile| profile.key_exchange.to_string()));
        let variant = [side.as_str(), &credential, &leaf_key, &key_exchange];
        Selected {
            duration: self
                .duration
                .with_label_values(&[variant[0], variant[1], variant[2], variant[3], result]),
            cost: (result == OK).then(|| CostMetrics {
                cpu: self.cpu.with_label_values(&variant),
                verify: self.verify.with_label_values(&variant),
                sent: self.sent.with_label_values(&variant),
                received: self.received.with_label_values(&variant),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Exposition;

    #[test]
    fn a_handshake_is_counted_by_what_the_peer_showed_not_by_what_was_asked_for() {
        let registry = Registry::default();
        let metrics = HandshakeMetrics::new(&registry);
        let landmark = "mtc-landmark/ml-dsa-65/X25519".parse().ok();
        let x509 = "x509-ed25519-direct/ed25519/X25519MLKEM768".parse().ok();
        assert!(landmark.is_some() && x509.is_some());
        let cost = |received| HandshakeCost {
            elapsed: Duration::from_micros(900),
            bytes_sent: 10,
            received,
            ..HandshakeCost::default()
        };
        metrics.completed(
            Side::Client,
            landmark,
            &cost(Some(CertificateKind::Standalone)),
        );
        metrics.completed(
            Side::Client,
            x509,
            &cost(Some(CertificateKind::DirectlySigned)),
        );
        metrics.completed(Side::Server, landmark, &cost(None));
        let mut resumed = cost(None);
        resumed.negotiated.resumed = true;
        metrics.completed(Side::Server, landmark, &resumed);
        let error = HandshakeError::Timeout(Duration::from_secs(10));
        metrics.failed(Side::Server, None, &error, Duration::from_secs(10));
        metrics.failed(Side::Client, landmark, &error, Duration::from_secs(10));
        let text = Exposition::Prometheus.encode(&registry.gather());
        for (credential, leaf_key, key_exchange, result, side) in [
            ("mtc-standalone", "ml-dsa-65", "X25519", "ok", "client"),
            (
                "x509-ed25519-direct",
                "ed25519",
                "X25519MLKEM768",
                "ok",
                "client",
            ),
            ("none", "ml-dsa-65", "X25519", "ok", "server"),
            ("resumed", "ml-dsa-65", "X25519", "ok", "server"),
            ("unknown", "unknown", "unknown", "timeout", "server"),
            ("mtc-landmark", "ml-dsa-65", "X25519", "timeout", "client"),
        ] {
            let line = format!(
                "sbi_handshake_duration_seconds_count{{credential=\"{credential}\",key_exchange=\"{key_exchange}\",\
                 leaf_key=\"{leaf_key}\",result=\"{result}\",side=\"{side}\"}} 1"
            );
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        // What a handshake that failed has cost is not known.
        assert!(!text.contains("sbi_handshake_sent_bytes_total{credential=\"unknown\""));
    }
}
