//! What is counted for each variant, on each side, and how counts of many processes become one.
//!
//! ```text
//!  load generator   operation ──> ClientTotals  attempts, errors, latencies ─┐
//!                   its handshakes ──> HandshakeTotals ──────────────────────┤ client side
//!  NF processes     as client (callbacks) ──> HandshakeTotals ───────────────┘
//!                   as server ──────────────> HandshakeTotals ──────────────── server side
//! ```
//!
//! Everything here is a sum or a histogram, so `merge` is exact and its order does not matter.

use std::collections::BTreeMap;
use std::time::Duration;

use mtc_tls::handshake::HandshakeCost;
use sbi::ledger::{HandshakeTotals, Procedure};
use serde::{Deserialize, Serialize};

mod histogram;
mod load_result;
mod shard;
mod slice;
mod sparse;

pub use histogram::{Histogram, HistogramError};
pub use load_result::{GeneratorUse, LoadResult, VariantMismatch, Watched};
pub use shard::{Shard, UnknownShard};
pub use slice::{ClientSlice, SLICES, SliceSums, Slicing};
pub use sparse::SparseHistogram;

/// Distinct error causes kept for one variant; what comes after is counted together under its class.
const MAX_CAUSES: usize = 32;
/// Characters of a cause that are kept.
const MAX_CAUSE: usize = 200;
/// Distinct key exchange groups kept; rustls has fewer.
const MAX_GROUPS: usize = 16;

/// What a load generator saw of one variant. Warm-up is not in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTotals {
    /// Operations that were started.
    pub attempts: u64,
    /// Operations that succeeded.
    pub ok: u64,
    /// Arrivals that were not started because too many operations were in flight; not in `attempts`.
    pub dropped: u64,
    /// Failed operations by cause, `class: cause`.
    pub errors: BTreeMap<String, u64>,
    /// Completed handshakes of the generator's connections, those of failed operations included.
    pub handshakes: HandshakeTotals,
    /// Completed handshakes by negotiated key exchange group.
    pub groups: BTreeMap<String, u64>,
    /// From an operation's intended start to its end; successful operations only.
    pub operation: Histogram,
    /// From the established TCP connection to the completed handshake, each completed handshake.
    pub handshake: Histogram,
    /// TCP connect, each completed handshake.
    pub tcp_connect: Histogram,
    /// From the established TCP connection to the head of the first answer on it, each completed handshake that got one.
    #[serde(default)]
    pub first_answer: Histogram,
    /// From an operation's intended start to its actual one: how long it queued at the generator; part of `operation`.
    pub queueing: Histogram,
    /// Operations that the generator started later than the plan's `max_lateness`.
    pub late: u64,
    /// By the name of the operation, where arrivals differ in what they do; empty otherwise.
    pub operations: BTreeMap<String, OperationTotals>,
    /// Procedures of UEs that operations consisted of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub procedures: BTreeMap<Procedure, OperationTotals>,
    /// The run cut into [`SLICES`]; slices at the end in which nothing ended may be missing.
    pub slices: Vec<ClientSlice>,
}

/// What a load generator saw of one operation of a mix, or of one procedure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationTotals {
    /// Operations that were started.
    pub attempts: u64,
    /// Operations that succeeded.
    pub ok: u64,
    /// From the intended start to the end; successful operations only.
    pub latency: Histogram,
}

impl OperationTotals {
    /// Counts an operation, with its latency if it succeeded.
    pub fn record(&mut self, latency: Option<Duration>) {
        self.attempts += 1;
        if let Some(latency) = latency {
            self.ok += 1;
            self.latency.record(latency);
        }
    }

    fn merge(&mut self, other: &Self) {
        let Self {
            attempts,
            ok,
            latency,
        } = other;
        self.attempts += attempts;
        self.ok += ok;
        self.latency.merge(latency);
    }
}

impl ClientTotals {
    /// Counts how late an operation was started.
    pub fn record_start(&mut self, late: Duration, max_lateness: Duration) {
        self.queueing.record(late);
        self.late += u64::from(late > max_lateness);
    }

    /// Counts a successful operation of a slice.
    pub fn record_success(&mut self, slice: usize, latency: Duration) {
        self.attempts += 1;
        self.ok += 1;
        self.operation.record(latency);
        self.slice(slice).operation.record(latency);
    }

    /// Counts a failed operation; `cause` is cut to 200 characters.
    pub fn record_failure(&mut self, class: &str, cause: &str) {
        self.attempts += 1;
        let cause: String = cause.chars().take(MAX_CAUSE).collect();
        self.add_error(class, format!("{class}: {cause}"), 1);
    }

    /// Counts a completed handshake of an operation of a slice.
    pub fn record_handshake(&mut self, slice: usize, cost: &HandshakeCost) {
        self.slice(slice).record_handshake(cost);
        self.handshakes.record(cost);
        self.handshake.record(cost.elapsed);
        self.tcp_connect.record(cost.tcp_connect);
        if let Some(first_answer) = cost.first_answer {
            self.first_answer.record(first_answer);
        }
        let group = cost.group.as_deref().unwrap_or("unknown");
        if self.groups.len() < MAX_GROUPS || self.groups.contains_key(group) {
            *self.groups.entry(group.to_owned()).or_default() += 1;
        }
    }

    /// Adds what another generator saw of the same variant.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            attempts,
            ok,
            dropped,
            errors,
            handshakes,
            groups,
            operation,
            handshake,
            tcp_connect,
            first_answer,
            queueing,
            late,
            operations,
            procedures,
            slices,
        } = other;
        self.attempts += attempts;
        self.ok += ok;
        self.dropped += dropped;
        for (cause, count) in errors {
            let class = cause
                .split_once(": ")
                .map_or(cause.as_str(), |(class, _)| class);
            self.add_error(class, cause.clone(), *count);
        }
        self.handshakes.merge(handshakes);
        for (group, count) in groups {
            *self.groups.entry(group.clone()).or_default() += count;
        }
        self.operation.merge(operation);
        self.handshake.merge(handshake);
        self.tcp_connect.merge(tcp_connect);
        self.first_answer.merge(first_answer);
        self.queueing.merge(queueing);
        self.late += late;
        for (name, totals) in operations {
            self.operations
                .entry(name.clone())
                .or_default()
                .merge(totals);
        }
        for (procedure, totals) in procedures {
            self.procedures.entry(*procedure).or_default().merge(totals);
        }
        for (index, slice) in slices.iter().enumerate() {
            self.slice(index).merge(slice);
        }
    }

    /// Failed operations.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    fn slice(&mut self, index: usize) -> &mut ClientSlice {
        let index = index.min(SLICES - 1);
        if self.slices.len() <= index {
            self.slices.resize_with(index + 1, ClientSlice::default);
        }
        &mut self.slices[index]
    }

    fn add_error(&mut self, class: &str, cause: String, count: u64) {
        let full = self.errors.len() >= MAX_CAUSES && !self.errors.contains_key(&cause);
        let key = if full {
            format!("{class}: other causes")
        } else {
            cause
        };
        *self.errors.entry(key).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use mtc_tls::kind::CertificateKind;

    use super::*;

    fn cost(kind: CertificateKind) -> HandshakeCost {
        HandshakeCost {
            tcp_connect: Duration::from_micros(40),
            first_answer: Some(Duration::from_micros(1500)),
            elapsed: Duration::from_micros(900),
            cpu: Duration::from_micros(300),
            verify: Duration::from_micros(36),
            bytes_sent: 7400,
            bytes_received: 7200,
            presented: Some(kind),
            received: Some(kind),
            group: Some("X25519MLKEM768".to_owned()),
            ..HandshakeCost::default()
        }
    }

    #[test]
    fn a_handshake_is_counted_on_every_counter() {
        let mut totals = ClientTotals::default();
        totals.record_handshake(0, &cost(CertificateKind::LandmarkRelative));
        totals.record_handshake(7, &cost(CertificateKind::Standalone));
        let sums = &totals.handshakes;
        assert_eq!(
            (sums.handshakes, sums.cpu_ns, sums.verify_ns),
            (2, 600_000, 72_000)
        );
        assert_eq!((sums.bytes_sent, sums.bytes_received), (14_800, 14_400));
        assert_eq!(
            sums.received.other_than(CertificateKind::LandmarkRelative),
            [("mtc-standalone", 1)]
        );
        assert_eq!(
            (
                totals.handshake.count(),
                totals.tcp_connect.count(),
                totals.first_answer.count()
            ),
            (2, 2, 2)
        );
        assert_eq!(totals.groups["X25519MLKEM768"], 2);
        let by_slice: Vec<u64> = totals.slices.iter().map(|s| s.sums.handshakes).collect();
        assert_eq!(by_slice, [1, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn merging_equals_counting_in_one() {
        let (mut first, mut second, mut whole) =
            <(ClientTotals, ClientTotals, ClientTotals)>::default();
        for (n, part) in [(1, &mut first), (2, &mut second)] {
            for totals in [part, &mut whole] {
                totals.record_handshake(7, &cost(CertificateKind::Standalone));
                totals.record_success(n as usize, Duration::from_millis(n));
                totals.record_failure("tls", "alert: unknown ca");
                totals.dropped += n;
                totals.record_start(Duration::from_millis(n), Duration::from_millis(1));
                let procedure = totals.procedures.entry(Procedure::Registration);
                procedure.or_default().record(None);
                let operation = totals.operations.entry("discover".to_owned());
                operation
                    .or_default()
                    .record(Some(Duration::from_millis(n)));
            }
        }
        first.merge(&second);
        assert_eq!(first, whole);
        assert_eq!(first.attempts, first.ok + first.failed());
        assert_eq!(first.late, 1, "a start at the limit is not late");
    }

    #[test]
    fn causes_are_bounded_and_none_is_lost() {
        let mut totals = ClientTotals::default();
        for port in 0..1000 {
            totals.record_failure("connect", &format!("refused by port {port}"));
        }
        assert_eq!(totals.errors.len(), MAX_CAUSES + 1);
        assert_eq!(totals.failed(), 1000);
        assert_eq!(
            totals.errors["connect: other causes"],
            1000 - MAX_CAUSES as u64
        );
    }

    #[test]
    fn totals_survive_the_way_between_processes() {
        let mut totals = ClientTotals::default();
        totals.record_handshake(7, &cost(CertificateKind::Standalone));
        totals.record_failure("http", "503");
        let sent = serde_json::to_string(&totals).unwrap();
        assert!(
            sent.contains(r#""received":{"mtc-standalone":1}"#),
            "{sent}"
        );
        assert_eq!(serde_json::from_str::<ClientTotals>(&sent).unwrap(), totals);
    }
}
