//! The columns that tables of variants have: what each shows of a variant, and of the first one beside it.

use super::numbers::{MISSING, NOT_VALID, at, count, ratio, time, times, whole};
use super::wording::invalid;
use crate::results::{Metric, Results, VariantResult};
use crate::scenario::Measure;
use sbi::ledger::NfTotals;

/// What a table shows of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// Operations that succeeded.
    Ok,
    /// Operations that failed, and arrivals that were dropped.
    Errors,
    /// Completed by those who opened the connection.
    ClientHandshakes,
    /// Completed by those who accepted it.
    ServerHandshakes,
    /// Handshakes that went on with an earlier session.
    Resumed,
    /// Handshakes that failed, as those who opened the connection counted: who accepts it does not know a variant.
    FailedHandshakes,
    HandshakeP50,
    HandshakeP90,
    HandshakeP99,
    HandshakeP999,
    OperationP50,
    OperationP99,
    BytesClient,
    BytesServer,
    /// Of both sides.
    Bytes,
    CpuClient,
    CpuServer,
    /// Of both sides.
    Cpu,
    Verify,
    /// As a multiple of the first variant's.
    ToFirst(Metric),
    /// Bytes spread over the operations of a connection.
    BytesPerOperation,
    /// CPU time spread over the operations of a connection.
    CpuPerOperation,
}

impl Column {
    /// What its figures are of; none for counts.
    const fn measure(self) -> Option<Measure> {
        match self {
            Self::Ok
            | Self::Errors
            | Self::ClientHandshakes
            | Self::ServerHandshakes
            | Self::Resumed
            | Self::FailedHandshakes => None,
            Self::HandshakeP50
            | Self::HandshakeP90
            | Self::HandshakeP99
            | Self::HandshakeP999
            | Self::OperationP50
            | Self::OperationP99 => Some(Measure::Latency),
            Self::BytesClient | Self::BytesServer | Self::Bytes | Self::BytesPerOperation => {
                Some(Measure::Bytes)
            }
            Self::CpuClient
            | Self::CpuServer
            | Self::Cpu
            | Self::Verify
            | Self::CpuPerOperation => Some(Measure::Cpu),
            Self::ToFirst(metric) => Some(metric.measure()),
        }
    }
}

/// A variant in a table.
pub(super) struct Row<'a> {
    pub(super) variant: &'a VariantResult,
    /// Which of its figures are no measurement, if some are none.
    pub(super) invalid: Option<&'static str>,
    first: &'a VariantResult,
    /// Whether no load of ours brought it about: then there are no operations that could succeed or fail.
    pub(super) is_observed: bool,
}

impl<'a> Row<'a> {
    /// The variants of a run.
    pub(super) fn of(results: &'a Results) -> Vec<Self> {
        let variants = &results.variants;
        let row = |(variant, first)| Row {
            variant,
            invalid: invalid(variant),
            first,
            is_observed: results.run.observed.is_some(),
        };
        variants
            .iter()
            .filter_map(|variant| Some((variant, variants.first()?)))
            .map(row)
            .collect()
    }

    /// What stands in a column.
    pub(super) fn cell(&self, column: Column) -> String {
        let Self { variant, first, .. } = *self;
        let is_related = matches!(column, Column::ToFirst(_));
        let spoiled = column
            .measure()
            .is_some_and(|of| !variant.is_valid(of) || is_related && !first.is_valid(of));
        if spoiled {
            return NOT_VALID.to_owned();
        }
        let NfTotals { client, server, .. } = &variant.totals;
        let share = variant.arrivals.handshakes_per_operation;
        let spread = |cost: Option<f64>| whole(cost.zip(share).map(|(cost, share)| cost * share));
        match column {
            Column::Ok | Column::Errors if self.is_observed => MISSING.to_owned(),
            Column::Ok => count(variant.ok),
            Column::Errors => count(variant.failed() + variant.dropped),
            Column::ClientHandshakes => count(client.handshakes),
            Column::ServerHandshakes => count(server.handshakes),
            Column::Resumed => {
                let [by_client, by_server] =
                    [client, server].map(|of| of.detail.negotiated.resumed);
                count(by_client.max(by_server))
            }
            Column::FailedHandshakes => count(client.failures),
            Column::HandshakeP50 => at(variant.handshake_ms, |l| l.p50),
            Column::HandshakeP90 => at(variant.handshake_ms, |l| l.p90),
            Column::HandshakeP99 => at(variant.handshake_ms, |l| l.p99),
            Column::HandshakeP999 => at(variant.handshake_ms, |l| l.p999),
            Column::OperationP50 => at(variant.operation_ms, |l| l.p50),
            Column::OperationP99 => at(variant.operation_ms, |l| l.p99),
            Column::BytesClient => whole(variant.bytes_client),
            Column::BytesServer => whole(variant.bytes_server),
            Column::Bytes => whole(variant.bytes()),
            Column::CpuClient => whole(variant.cpu_us_client),
            Column::CpuServer => whole(variant.cpu_us_server),
            Column::Cpu => whole(variant.cpu_us()),
            Column::Verify => time(variant.verify_us),
            Column::ToFirst(metric) => times(ratio(mean(variant, metric), mean(first, metric))),
            Column::BytesPerOperation => spread(variant.bytes()),
            Column::CpuPerOperation => spread(variant.cpu_us()),
        }
    }
}

/// A figure of the whole run.
fn mean(variant: &VariantResult, metric: Metric) -> Option<f64> {
    match metric {
        Metric::Bytes => variant.bytes(),
        Metric::Cpu => variant.cpu_us(),
        Metric::Verify => variant.verify_us,
        Metric::HandshakeP50 => variant.handshake_ms.map(|l| l.p50),
        Metric::HandshakeP99 => variant.handshake_ms.map(|l| l.p99),
        Metric::OperationP50 => variant.operation_ms.map(|l| l.p50),
        Metric::OperationP99 => variant.operation_ms.map(|l| l.p99),
    }
}
