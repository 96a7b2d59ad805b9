//! Runs a schedule against an operation: one driver starts, bounds, records and drains.

use std::collections::hash_map::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use mtc_tls::cpu::process_time;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout_at};

use super::pacer::Due;
use nf_amf::{Ended, ErrorClass};

use super::{Arrival, Failure, Operation, Outcome, Pacer, Schedule};
use experiment::measure::{ClientTotals, Histogram, Slicing};
use experiment::measure::{GeneratorUse, LoadResult, Watched};

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
    /// An operation that is started later than this is late.
    pub max_lateness: Duration,
    /// Who waits for the time of an arrival.
    pub pacer: Pacer,
    /// Instances of which it is told when the last of their operations succeeded.
    pub watched: usize,
}

/// The part of a run that is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Arrivals run and are not recorded.
    WarmUp,
    /// No arrivals: what the warm-up began ends, and readings are taken.
    Settling,
    /// Arrivals are recorded.
    Measured,
    /// No more arrivals; waiting for what runs.
    Draining,
}

impl Phase {
    /// The name in messages and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WarmUp => "warm-up",
            Self::Settling => "settling",
            Self::Measured => "measured",
            Self::Draining => "draining",
        }
    }
}

/// Hears what a run does, warm-up and drain included. It holds up arrivals while it listens.
pub trait Observer {
    /// How far the run is: once a second and at each change of phase.
    fn progress(&mut self, progress: Progress);

    /// An operation has ended; `late` is how late it was started, if it told.
    fn ended(
        &mut self,
        _arrival: &Arrival,
        _late: Option<Duration>,
        _took: Duration,
        _failed: Option<ErrorClass>,
    ) {
    }

    /// An arrival was dropped.
    fn dropped(&mut self, _arrival: &Arrival) {}
}

impl<F: FnMut(Progress)> Observer for F {
    fn progress(&mut self, progress: Progress) {
        self(progress);
    }
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
    /// Runs the whole schedule, open loop or closed, or until `stop` completes, then drains; the result is whole in either case.
    ///
    /// Dropping the future abandons everything. A panic of an operation is passed on.
    pub async fn run<O: Operation>(
        &self,
        operation: Arc<O>,
        schedule: Schedule,
        stop: impl Future<Output = ()>,
        observer: impl Observer,
    ) -> LoadResult {
        let mut run = Run::new(self, operation, &schedule, observer);
        let mut stop = pin!(stop);
        let interrupted = tokio::select! {
            biased;
            () = &mut stop => true,
            () = run.arrive(self.pacer, schedule) => false,
        };
        run.enter(Phase::Draining);
        run.finish().await;
        run.result(interrupted)
    }
}

/// The state of one run; owned by the driver alone, so nothing is locked.
struct Run<O, P> {
    operation: Arc<O>,
    max_in_flight: usize,
    operation_timeout: Duration,
    drain: Duration,
    max_lateness: Duration,
    /// Whether operations are counted by kind.
    by_kind: bool,
    /// The start of the run; moved on by as long as [`Phase::Settling`] took.
    epoch: Instant,
    started: OffsetDateTime,
    planned: Duration,
    measured_from: Duration,
    slicing: Slicing,
    observer: P,
    phase: Phase,
    tasks: JoinSet<Completed>,
    /// Which arrival a task is for, needed when it is abandoned; as many as are in flight.
    arrivals: HashMap<Id, Arrival>,
    lateness: Histogram,
    /// This process's CPU time when the measured part began, and what it used in it.
    cpu_before: Duration,
    used: GeneratorUse,
    variants: Vec<ClientTotals>,
    watched: Vec<Vec<Watched>>,
    /// Sums over `variants`, kept so that progress costs nothing.
    done: u64,
    errors: u64,
    dropped: u64,
}

struct Completed {
    arrival: Arrival,
    /// None when the operation never told.
    late: Option<Duration>,
    latency: Duration,
    outcome: Outcome,
}

impl<O: Operation, P: Observer> Run<O, P> {
    fn new(engine: &Engine, operation: Arc<O>, schedule: &Schedule, observer: P) -> Self {
        Self {
            operation,
            max_in_flight: engine.max_in_flight,
            operation_timeout: engine.operation_timeout,
            drain: engine.drain,
            max_lateness: engine.max_lateness,
            by_kind: schedule.is_mix(),
            epoch: Instant::now(),
            started: OffsetDateTime::now_utc(),
            planned: schedule.end(),
            measured_from: schedule.measured_from(),
            slicing: Slicing::new(schedule.measured_from(), schedule.end()),
            observer,
            phase: Phase::WarmUp,
            tasks: JoinSet::new(),
            arrivals: HashMap::new(),
            lateness: Histogram::default(),
            cpu_before: Duration::ZERO,
            used: GeneratorUse::default(),
            variants: vec![ClientTotals::default(); schedule.variants()],
            watched: vec![vec![Watched::default(); schedule.variants()]; engine.watched],
            done: 0,
            errors: 0,
            dropped: 0,
        }
    }

    /// Starts operations until the last stage ends. Completions are taken in between.
    async fn arrive(&mut self, pacer: Pacer, schedule: Schedule) {
        if !self.measured_from.is_zero() {
            self.enter(Phase::WarmUp);
        }
        match schedule.workers() {
            Some(workers) => self.work(workers, schedule).await,
            None => self.fire(pacer, schedule).await,
        }
    }

    /// An open loop: every arrival is started at its time.
    async fn fire(&mut self, pacer: Pacer, schedule: Schedule) {
        let (mut due, resume) = pacer.start(self.epoch, schedule);
        let mut resume = Some(resume);
        let mut ticks = self.ticks();
        loop {
            tokio::select! {
                biased;
                Some(due) = due.recv() => match due {
                    Due::Arrival(arrival) => self.start(arrival),
                    Due::Measured => {
                        self.settle().await;
                        ticks = self.ticks();
                        // A pacer that is gone tells of no arrival.
                        let _ = resume.take().map(|resume| resume.send(self.epoch));
                    }
                    Due::End => return,
                },
                Some(joined) = self.tasks.join_next_with_id() => self.take(joined),
                _ = ticks.tick() => self.report(),
            }
        }
    }

    /// A closed loop: an operation is started when one has ended, so that always so many are under way.
    async fn work(&mut self, workers: usize, mut schedule: Schedule) {
        let mut ticks = self.ticks();
        let mut end = pin!(sleep_until(self.epoch + self.planned));
        loop {
            if self.phase == Phase::WarmUp && self.epoch.elapsed() >= self.measured_from {
                self.settle().await;
                ticks = self.ticks();
                end.as_mut().reset(self.epoch + self.planned);
            }
            while self.tasks.len() < workers {
                self.spawn(schedule.next_now(self.epoch.elapsed()));
            }
            tokio::select! {
                biased;
                () = &mut end => return,
                Some(joined) = self.tasks.join_next_with_id() => self.take(joined),
                _ = ticks.tick() => self.report(),
            }
        }
    }

    /// Begins the measured part when nothing runs and everything before it is counted: a handshake that one side counts after the
    /// readings and the other before them would be in the figures of one side alone. The schedule waits meanwhile.
    async fn settle(&mut self) {
        self.enter(Phase::Settling);
        self.finish().await;
        self.operation.settled().await;
        self.epoch += (self.epoch + self.measured_from).elapsed();
        self.enter(Phase::Measured);
    }

    fn ticks(&self) -> Interval {
        let begun = match self.phase {
            Phase::WarmUp | Phase::Settling => Duration::ZERO,
            Phase::Measured | Phase::Draining => self.measured_from,
        };
        let next = self.epoch + begun + PROGRESS_INTERVAL;
        let mut ticks = interval_at(next, PROGRESS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks
    }

    fn start(&mut self, arrival: Arrival) {
        if self.tasks.len() >= self.max_in_flight {
            self.reap();
        }
        if self.tasks.len() >= self.max_in_flight {
            self.observer.dropped(&arrival);
            if !arrival.warmup {
                self.variants[arrival.variant].dropped += 1;
                self.dropped += 1;
            }
            return;
        }
        self.spawn(arrival);
    }

    fn spawn(&mut self, arrival: Arrival) {
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
                late: Some(started.saturating_duration_since(intended)),
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

    /// Waits for what runs, and abandons what takes too long.
    async fn finish(&mut self) {
        let mut deadline = pin!(sleep_until(Instant::now() + self.drain));
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
                    late: None,
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
        let failed = outcome.result.as_ref().err().map(|failure| failure.class);
        self.observer.ended(&arrival, late, latency, failed);
        if arrival.warmup {
            return;
        }
        if let Some(watched) = self.watched.get_mut(arrival.instance) {
            let ended = (arrival.at + latency).saturating_sub(self.measured_from);
            watched[arrival.variant].record(ended, outcome.result.is_ok());
        }
        let slice = self.slicing.index(arrival.at);
        let totals = &mut self.variants[arrival.variant];
        let mut succeeded = None;
        outcome
            .handshakes
            .iter()
            .for_each(|cost| totals.record_handshake(slice, cost));
        match outcome.result {
            Ok(()) => {
                totals.record_success(slice, latency);
                succeeded = Some(latency);
            }
            Err(Failure { class, cause }) => {
                totals.record_failure(&class.to_string(), &cause);
                self.errors += 1;
            }
        }
        for Ended {
            procedure,
            took,
            succeeded,
        } in outcome.procedures
        {
            let ended = totals.procedures.entry(procedure).or_default();
            ended.record(succeeded.then_some(took));
        }
        if self.by_kind {
            let name = arrival.operation.as_str().to_owned();
            totals.operations.entry(name).or_default().record(succeeded);
        }
        if let Some(late) = late {
            totals.record_start(late, self.max_lateness);
            self.lateness.record(late);
        }
        self.done += 1;
    }

    fn enter(&mut self, phase: Phase) {
        if phase == Phase::Measured {
            self.cpu_before = process_time();
        } else if self.phase == Phase::Measured {
            self.used = GeneratorUse {
                cpu: process_time().saturating_sub(self.cpu_before),
                wall: self.epoch.elapsed().saturating_sub(self.measured_from),
            };
        }
        self.phase = phase;
        self.report();
    }

    fn report(&mut self) {
        self.observer.progress(Progress {
            phase: self.phase,
            elapsed: match self.phase {
                Phase::Settling => self.measured_from,
                _ => self.epoch.elapsed(),
            },
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
            // By the monotonic clock, as all durations are: the wall clock may have been set back since.
            ended: self.started + self.epoch.elapsed(),
            interrupted,
            lateness: self.lateness,
            generator: self.used,
            variants: self.variants,
            watched: self.watched,
        }
    }
}

fn abandoned(cause: &str) -> Outcome {
    let failure = Failure {
        class: ErrorClass::Timeout,
        cause: cause.to_owned(),
    };
    Outcome {
        handshakes: Vec::new(),
        procedures: Vec::new(),
        result: Err(failure),
    }
}

#[cfg(test)]
mod tests;
