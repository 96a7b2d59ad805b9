//! What a load generator tells Prometheus while it runs; warm-up and drain included, which results leave out.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};
use sbi::metrics::{Label, Registry};

use nf_amf::ErrorClass;

use super::{Arrival, Observer, Phase, Progress};

const VARIANT: Label = ("variant", "the variant's name in the scenario");
const OPERATION: Label = (
    "operation",
    "`session`, `handshake`, `discover` or `register`",
);

/// The metrics of a load generator. Clones share them.
#[derive(Clone)]
pub struct LoadMetrics {
    scenario: IntGaugeVec,
    phase: IntGaugeVec,
    operations: IntCounterVec,
    durations: HistogramVec,
    lateness: HistogramVec,
    dropped: IntCounterVec,
    in_flight: IntGauge,
}

impl LoadMetrics {
    /// Adds them to `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            scenario: registry.gauges(
                "load_scenario_info",
                "1 while a load runs, absent otherwise.",
                &[("scenario", "the scenario's name")],
            ),
            phase: registry.gauges(
                "load_phase",
                "1 for the phase that a load is in, 0 for the others.",
                &[("phase", "`warm-up`, `settling`, `measured`, `draining`")],
            ),
            operations: registry.counters(
                "load_operations_total",
                "Operations that have ended.",
                &[
                    VARIANT,
                    OPERATION,
                    ("result", "`ok`, or the step that failed: `connect`, `tls`, `http`, `application`, `timeout`"),
                ],
            ),
            durations: registry.times(
                "load_operation_duration_seconds",
                "Time of successful operations from their intended start.",
                &[VARIANT, OPERATION],
            ),
            lateness: registry.times(
                "load_lateness_seconds",
                "How late operations were started: a delay of the generator itself, and part of every duration.",
                &[],
            ),
            dropped: registry.counters(
                "load_dropped_total",
                "Operations that were not started because too many were in progress.",
                &[VARIANT],
            ),
            in_flight: registry.gauge("load_operations_in_flight", "Operations under way."),
        }
    }

    /// The observer of one load; `on_progress` hears how far it is.
    pub(super) fn observer<T: FnMut(Progress)>(
        &self,
        scenario: &str,
        variants: Vec<String>,
        on_progress: T,
    ) -> LoadObserver<T> {
        self.scenario.with_label_values(&[scenario]).set(1);
        LoadObserver {
            metrics: self.clone(),
            variants,
            on_progress,
        }
    }

    fn enter(&self, current: Option<Phase>) {
        for phase in [
            Phase::WarmUp,
            Phase::Settling,
            Phase::Measured,
            Phase::Draining,
        ] {
            let is_current = current == Some(phase);
            self.phase
                .with_label_values(&[phase.as_str()])
                .set(i64::from(is_current));
        }
    }
}

/// Tells the metrics of one load, until it is dropped.
pub(super) struct LoadObserver<T> {
    metrics: LoadMetrics,
    variants: Vec<String>,
    on_progress: T,
}

impl<T> LoadObserver<T> {
    fn variant(&self, arrival: &Arrival) -> &str {
        self.variants
            .get(arrival.variant)
            .map_or("", String::as_str)
    }
}

impl<T: FnMut(Progress)> Observer for LoadObserver<T> {
    fn progress(&mut self, progress: Progress) {
        (self.on_progress)(progress);
        self.metrics.enter(Some(progress.phase));
        self.metrics
            .in_flight
            .set(i64::try_from(progress.in_flight).unwrap_or(i64::MAX));
    }

    fn ended(
        &mut self,
        arrival: &Arrival,
        late: Option<Duration>,
        took: Duration,
        failed: Option<ErrorClass>,
    ) {
        let (variant, operation) = (self.variant(arrival), arrival.operation.as_str());
        let result = failed.map_or("ok", ErrorClass::as_str);
        self.metrics
            .operations
            .with_label_values(&[variant, operation, result])
            .inc();
        if failed.is_none() {
            self.metrics
                .durations
                .with_label_values(&[variant, operation])
                .observe(took.as_secs_f64());
        }
        if let Some(late) = late {
            self.metrics
                .lateness
                .with_label_values::<&str>(&[])
                .observe(late.as_secs_f64());
        }
    }

    fn dropped(&mut self, arrival: &Arrival) {
        self.metrics
            .dropped
            .with_label_values(&[self.variant(arrival)])
            .inc();
    }
}

impl<T> Drop for LoadObserver<T> {
    fn drop(&mut self) {
        self.metrics.scenario.reset();
        self.metrics.enter(None);
        self.metrics.in_flight.set(0);
    }
}
