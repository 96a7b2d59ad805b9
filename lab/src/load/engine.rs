//! Runs a schedule against an operation: one driver starts, bounds, records and drains.

use std::collections::hash_map::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout_at};

use super::{Arrival, Failure, FailureClass, LoadResult, Operation, Outcome, Schedule};
use crate::measure::{ClientTotals, Histogram, Slicing};

/// How often progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// The bounds of a run.
#[derive(Clone, Copy, Debug)]
pub struct Engine {
    /// An arrival that finds this many operations unfinished is dropped.
    pub max_in_flight: usize,
    /// An operation that has not finished this long after its actual start is abandoned and counts as a timeout.
    pub operation_timeout: Duration,
    /// Operations still running this long after the last arrival are abandoned and count as timeouts.
    pub drain: Duration,
}

/// The part of a run that is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Arrivals run and are not recorded.
    WarmUp,
    /// Arrivals are recorded.
    Measured,
    /// No more arrivals; waiting for what runs.
    Draining,
}

/// How far a run is; counts are of the measured part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The part that is going on.
    pub phase: Phase,
    /// Since the start of the run.
    pub elapsed: Duration,
    /// From the start of the run to the end of the last stage.
    pub planned: Duration,
    /// Operations that ended, well or badly.
    pub done: u64,
    /// Operations that run now, those of the warm-up included.
    pub in_flight: usize,
    /// Operations that ended badly.
    pub errors: u64,
    /// Arrivals that were dropped.
    pub dropped: u64,
}

impl Engine {
    /// Runs the whole schedule, or until `stop` completes, then drains; the result is whole in either case.
    ///
    /// `progress` is called once a second and at each change of phase, and holds up arrivals while it runs. Dropping the
    /// future abandons everything. A panic of an operation is passed on.
    pub async fn run<O: Operation>(
        &self,
        operation: Arc<O>,
        schedule: Schedule,
        stop: impl Future<Output = ()>,
        progress: impl FnMut(Progress),
    ) -> LoadResult {
        let mut run = Run::new(self, operation, &schedule, progress);
        let mut stop = pin!(stop);
        let interrupted = tokio::select! {
            biased;
            () = &mut stop => true,
            () = run.fire(schedule) => false,
        };
        run.drain(self.drain).await;
        run.result(interrupted)
    }
}

/// The state of one run; owned by the driver alone, so nothing is locked.
struct Run<O, P> {
    operation: Arc<O>,
    max_in_flight: usize,
    operation_timeout: Duration,
    epoch: Instant,
    started: OffsetDateTime,
    planned: Duration,
    measured_from: Duration,
    slicing: Slicing,
    progress: P,
    phase: Phase,
    tasks: JoinSet<Completed>,
    /// Which arrival a task is for, needed when it is abandoned; as many as are in flight.
    arrivals: HashMap<Id, Arrival>,
    lateness: Histogram,
    variants: Vec<ClientTotals>,
    /// Sums over `variants`, kept so that progress costs nothing.
    done: u64,
    errors: u64,
    dropped: u64,
}

struct Completed {
    arrival: Arrival,
    late: Duration,
    latency: Duration,
    outcome: Outcome,
}

impl<O: Operation, P: FnMut(Progress)> Run<O, P> {
    fn new(engine: &Engine, operation: Arc<O>, schedule: &Schedule, progress: P) -> Self {
        Self {
            operation,
            max_in_flight: engine.max_in_flight,
            operation_timeout: engine.operation_timeout,
            epoch: Instant::now(),
            started: OffsetDateTime::now_utc(),
            planned: schedule.end(),
            measured_from: schedule.measured_from(),
            slicing: Slicing::new(schedule.measured_from(), schedule.end()),
            progress,
            phase: Phase::WarmUp,
            tasks: JoinSet::new(),
            arrivals: HashMap::new(),
            lateness: Histogram::default(),
            variants: vec![ClientTotals::default(); schedule.variants()],
            done: 0,
            errors: 0,
            dropped: 0,
        }
    }

    /// Starts every arrival at its time. Completions are taken in between and never waited for.
    async fn fire(&mut self, schedule: Schedule) {
        let mut ticks = interval_at(self.epoch + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.enter(if self.measured_from.is_zero() {
            Phase::Measured
        } else {
            Phase::WarmUp
        });
        let end = self.planned;
        for (at, arrival) in schedule
            .map(|arrival| (arrival.at, Some(arrival)))
            .chain([(end, None)])
        {
            if self.phase == Phase::WarmUp && at >= self.measured_from {
                self.wait_until(self.measured_from, &mut ticks).await;
                self.enter(Phase::Measured);
            }
            self.wait_until(at, &mut ticks).await;
            if let Some(arrival) = arrival {
                self.start(arrival);
            }
        }
    }

    async fn wait_until(&mut self, at: Duration, ticks: &mut tokio::time::Interval) {
        let mut due = pin!(sleep_until(self.epoch + at));
        loop {
            tokio::select! {
                biased;
                () = &mut due => return,
                Some(joined) = self.tasks.join_next_with_id() => self.take(joined),
                _ = ticks.tick() => self.report(),
            }
        }
    }

    fn start(&mut self, arrival: Arrival) {
        if self.tasks.len() >= self.max_in_flight {
            self.reap();
        }
        if self.tasks.len() >= self.max_in_flight {
            if !arrival.warmup {
                self.variants[arrival.variant].dropped += 1;
                self.dropped += 1;
            }
            return;
        }
        let operation = Arc::clone(&self.operation);
        let intended = self.epoch + arrival.at;
        let limit = self.operation_timeout;
        let task = self.tasks.spawn(async move {
            let started = Instant::now();
            let outcome = timeout_at(started + limit, operation.run(&arrival))
                .await
                .unwrap_or_else(|_| abandoned("the operation did not finish in time"));
            Completed {
                arrival,
                late: started - intended,
                latency: intended.elapsed(),
                outcome,
            }
        });
        self.arrivals.insert(task.id(), arrival);
    }

    /// Takes completions that wait to be taken, so that only what really runs counts as in flight.
    fn reap(&mut self) {
        while let Some(joined) = self.tasks.try_join_next_with_id() {
            self.take(joined);
        }
    }

    async fn drain(&mut self, limit: Duration) {
        self.enter(Phase::Draining);
        let mut deadline = pin!(sleep_until(Instant::now() + limit));
        let mut ticks = interval_at(Instant::now() + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
        loop {
            tokio::select! {
                biased;
                joined = self.tasks.join_next_with_id() => match joined {
                    Some(joined) => self.take(joined),
                    None => return,
                },
                () = &mut deadline => self.tasks.abort_all(),
                _ = ticks.tick() => self.report(),
            }
            if deadline.is_elapsed() {
                break;
            }
        }
        while let Some(joined) = self.tasks.join_next_with_id().await {
            self.take(joined);
        }
    }

    fn take(&mut self, joined: Result<(Id, Completed), JoinError>) {
        match joined {
            Ok((id, completed)) => {
                self.arrivals.remove(&id);
                self.record(completed);
            }
            Err(error) => {
                let arrival = self
                    .arrivals
                    .remove(&error.id())
                    .expect("every task was noted when it was spawned");
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
                let outcome = abandoned("the run ended before the operation did");
                self.record(Completed {
                    arrival,
                    late: Duration::ZERO,
                    latency: Duration::ZERO,
                    outcome,
                });
            }
        }
    }

    fn record(
        &mut self,
        Completed {
            arrival,
            late,
            latency,
            outcome,
        }: Completed,
    ) {
        if arrival.warmup {
            return;
        }
        let slice = self.slicing.index(arrival.at);
        let totals = &mut self.variants[arrival.variant];
        outcome
            .handshakes
            .iter()
            .for_each(|cost| totals.record_handshake(slice, cost));
        match outcome.result {
            Ok(()) => totals.record_success(slice, latency),
            Err(Failure { class, cause }) => {
                totals.record_failure(&class.to_string(), &cause);
                self.errors += 1;
            }
        }
        self.lateness.record(late);
        self.done += 1;
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.report();
    }

    fn report(&mut self) {
        (self.progress)(Progress {
            phase: self.phase,
            elapsed: self.epoch.elapsed(),
            planned: self.planned,
            done: self.done,
            in_flight: self.tasks.len(),
            errors: self.errors,
            dropped: self.dropped,
        });
    }

    fn result(self, interrupted: bool) -> LoadResult {
        LoadResult {
            started: self.started,
            ended: OffsetDateTime::now_utc(),
            interrupted,
            lateness: self.lateness,
            variants: self.variants,
        }
    }
}

fn abandoned(cause: &str) -> Outcome {
    let failure = Failure {
        class: FailureClass::Timeout,
        cause: cause.to_owned(),
    };
    Outcome {
        handshakes: Vec::new(),
        result: Err(failure),
    }
}

#[cfg(test)]
mod tests;
