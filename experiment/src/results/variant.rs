//! What one variant cost.

use std::collections::BTreeMap;

use mtc_tls::kind::CertificateKind;
use mtc_tls::profile::TrustDomain;
use mtc_tls::provider::KeyExchange;
use sbi::ledger::{KindCounts, NfTotals, ProcedureTotals};
use serde::{Deserialize, Serialize};

use super::rounding::{microseconds, to_tenth};
use super::tokens::TokenResult;
use super::{
    AnchorResult, HandshakeResult, Latency, Metric, ProcedureResult, Ratio, Slice, StatusResult,
    VariantArrivals, VariantOptions,
};
use crate::measure::{ClientTotals, Histogram};
use crate::scenario::{Measure, Timed, Variant};

/// What one variant cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariantResult {
    /// The variant's name.
    pub name: String,
    /// The kind of certificate it asks for.
    #[serde(with = "as_text")]
    pub auth: CertificateKind,
    /// What belongs to `auth` of an MTC, and how sessions are resumed.
    #[serde(flatten)]
    pub options: VariantOptions,
    /// Intermediate certificates; X.509 only.
    pub chain: Option<u8>,
    /// The X.509 CAs' algorithm; X.509 only.
    pub ca_signature: Option<String>,
    /// The network functions' keys.
    pub leaf_key: String,
    /// The group that was offered.
    #[serde(with = "as_text")]
    pub key_exchange: KeyExchange,
    /// Operations that were started.
    pub attempts: u64,
    /// Operations that succeeded.
    pub ok: u64,
    /// Arrivals that were not started, see [`ClientTotals::dropped`].
    pub dropped: u64,
    /// How the load generator kept the schedule.
    pub arrivals: VariantArrivals,
    /// Failed operations by cause.
    pub errors: BTreeMap<String, u64>,
    /// Handshakes by kind of certificate served, as the clients received it.
    pub credential_kinds: KindCounts,
    /// Certificates that either side presented and that were worse than both ends could have had, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub downgrades: BTreeMap<String, u64>,
    /// Completed handshakes by negotiated group.
    pub groups: BTreeMap<String, u64>,
    /// From the established TCP connection to the completed handshake, at the load generator.
    pub handshake_ms: Option<Latency>,
    /// From an operation's intended start to its end.
    pub operation_ms: Option<Latency>,
    /// TCP connect at the load generator.
    pub tcp_connect_ms: Option<Latency>,
    /// From the established TCP connection to the head of the first answer on it, at the load generator.
    #[serde(default)]
    pub first_answer_ms: Option<Latency>,
    /// Mean TLS bytes that the client sent until its handshake completed.
    pub bytes_client: Option<f64>,
    /// Mean TLS bytes that the server sent until its handshake completed.
    pub bytes_server: Option<f64>,
    /// Mean CPU time of the client per handshake, in microseconds.
    pub cpu_us_client: Option<f64>,
    /// Mean CPU time of the server per handshake, in microseconds.
    pub cpu_us_server: Option<f64>,
    /// Mean time to verify one certificate, over both sides, in microseconds.
    pub verify_us: Option<f64>,
    /// Microseconds that clients took to verify what servers present.
    pub verify_us_client: Option<f64>,
    /// Microseconds that servers took to verify what clients present.
    pub verify_us_server: Option<f64>,
    /// How the figures relate to the first variant's, with 95 % intervals; empty for the first variant.
    #[serde(default)]
    pub to_first: Vec<Ratio>,
    /// The measured part in slices of equal length.
    #[serde(default)]
    pub slices: Vec<Slice>,
    /// What the handshakes consisted of.
    #[serde(default)]
    pub handshake: HandshakeResult,
    /// The access tokens of its requests, where there were some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenResult>,
    /// What it took to know which certificates were revoked, where peers ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusResult>,
    /// What each procedure of a UE cost, where operations consist of some.
    #[serde(default)]
    pub procedures: Vec<ProcedureResult>,
    /// The sums that the means come from; those of procedures left out.
    pub totals: NfTotals,
    /// The distributions that the quantiles come from.
    pub histograms: Histograms,
}

/// Distributions, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histograms {
    /// Of `handshake_ms`.
    pub handshake: Histogram,
    /// Of `operation_ms`.
    pub operation: Histogram,
    /// Of `tcp_connect_ms`.
    pub tcp_connect: Histogram,
    /// Of `first_answer_ms`.
    #[serde(default)]
    pub first_answer: Histogram,
}

impl VariantResult {
    pub(super) fn new(
        variant: &Variant,
        load: ClientTotals,
        arrivals: VariantArrivals,
        network_functions: &NfTotals,
    ) -> Self {
        let (chain, ca_signature) = match variant.authentication {
            TrustDomain::X509(profile) => (
                Some(profile.intermediates.count()),
                Some(profile.ca_signature.to_string()),
            ),
            TrustDomain::MtcLandmark
            | TrustDomain::MtcLandmarkOr(_)
            | TrustDomain::MtcLandmarkStale
            | TrustDomain::MtcStandalone
            | TrustDomain::MtcStandaloneCa => (None, None),
        };
        let mut totals = network_functions.clone();
        totals.client.merge(&load.handshakes);
        let procedures = ProcedureResult::all_of(&load.procedures, &totals);
        totals.procedures = ProcedureTotals::default();
        let NfTotals {
            client,
            server,
            tokens,
            status,
            ..
        } = &totals;
        let mut both = client.clone();
        both.merge(server);
        let handshake = HandshakeResult::of(
            &totals,
            load.tcp_connect.quantile_ms(0.5),
            load.handshake.quantile_ms(0.5),
        );
        let stapled = handshake.server.bytes_by_message.get("certificate_status");
        let status = StatusResult::of(status, stapled.copied());
        Self {
            name: variant.name.clone(),
            auth: variant.auth,
            options: VariantOptions::of(variant),
            chain,
            ca_signature,
            leaf_key: variant.leaf_key.to_string(),
            key_exchange: variant.key_exchange,
            attempts: load.attempts,
            ok: load.ok,
            dropped: load.dropped,
            arrivals,
            credential_kinds: client.received,
            downgrades: both
                .downgrades
                .iter()
                .map(|(reason, count)| (reason.to_owned(), count))
                .collect(),
            handshake_ms: Latency::of(&load.handshake),
            operation_ms: Latency::of(&load.operation),
            tcp_connect_ms: Latency::of(&load.tcp_connect),
            first_answer_ms: Latency::of(&load.first_answer),
            bytes_client: client.mean(client.bytes_sent).map(to_tenth),
            bytes_server: server.mean(server.bytes_sent).map(to_tenth),
            cpu_us_client: client.mean(client.cpu_ns).map(microseconds),
            cpu_us_server: server.mean(server.cpu_ns).map(microseconds),
            verify_us: both.mean(both.verify_ns).map(microseconds),
            verify_us_client: client.mean(client.verify_ns).map(microseconds),
            verify_us_server: server.mean(server.verify_ns).map(microseconds),
            to_first: Vec::new(),
            slices: Slice::of_client(load.slices),
            handshake,
            status,
            tokens: TokenResult::of(tokens, load.attempts),
            procedures,
            errors: load.errors,
            groups: load.groups,
            histograms: Histograms {
                handshake: load.handshake,
                operation: load.operation,
                tcp_connect: load.tcp_connect,
                first_answer: load.first_answer,
            },
            totals,
        }
    }

    /// Certificates that both sides showed, by kind, as those who received them have counted.
    pub fn shown(&self) -> KindCounts {
        let NfTotals { client, server, .. } = &self.totals;
        let mut shown = client.received;
        for kind in CertificateKind::ALL {
            shown.add(Some(kind), server.received.of(kind));
        }
        shown
    }

    /// Mean TLS bytes of both sides per handshake.
    pub fn bytes(&self) -> Option<f64> {
        Some(self.bytes_client? + self.bytes_server?)
    }

    /// Mean bytes of both sides to say whom they trust, where names stand in for `trust_anchors`.
    pub fn anchor_bytes(&self) -> Option<AnchorResult> {
        let HandshakeResult { client, server, .. } = &self.handshake;
        match (client.trust_anchors, server.trust_anchors) {
            (Some(client), Some(server)) => Some(client + server),
            (one, other) => one.or(other),
        }
    }

    /// Mean CPU time of both sides per handshake, in microseconds.
    pub fn cpu_us(&self) -> Option<f64> {
        Some(self.cpu_us_client? + self.cpu_us_server?)
    }

    /// Whether its figures of this kind are a measurement.
    pub fn is_valid(&self, measure: Measure) -> bool {
        self.arrivals.is_valid(measure)
    }

    /// How long something took, if that is a measurement.
    pub fn latency(&self, timed: Timed) -> Option<Latency> {
        let latency = match timed {
            Timed::Handshake => self.handshake_ms,
            Timed::Operation => self.operation_ms,
            Timed::TcpConnect => self.tcp_connect_ms,
        };
        latency.filter(|_| self.is_valid(Measure::Latency))
    }

    /// How a figure relates to the first variant's.
    pub fn ratio(&self, metric: Metric) -> Option<&Ratio> {
        self.to_first.iter().find(|ratio| ratio.metric == metric)
    }

    /// Operations that failed.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// Values by their names.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
