use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::sleep;

use super::*;
use experiment::scenario::{ArrivalProcess, LoadPlan, OperationKind, Share, Workload};

const ENGINE: Engine = Engine {
    max_in_flight: 100,
    operation_timeout: Duration::from_secs(5),
    drain: Duration::from_secs(10),
    max_lateness: Duration::from_millis(1),
    pacer: Pacer::Task,
    watched: 0,
};

/// Takes a fixed time, well or badly, and notes when it was started.
struct Fixed {
    takes: Duration,
    result: Result<(), Failure>,
    starts: Mutex<Vec<(Arrival, Instant)>>,
}

impl Fixed {
    fn taking(takes: Duration) -> Arc<Self> {
        Arc::new(Self {
            takes,
            result: Ok(()),
            starts: Mutex::default(),
        })
    }
}

impl Operation for Fixed {
    async fn run(&self, arrival: &Arrival) -> Outcome {
        self.starts
            .lock()
            .expect("no test panics in here")
            .push((*arrival, Instant::now()));
        sleep(self.takes).await;
        Outcome {
            handshakes: Vec::new(),
            procedures: Vec::new(),
            result: self.result.clone(),
        }
    }
}

fn schedule(rate: f64, warmup: u64, seconds: u64) -> Schedule {
    let plan = LoadPlan {
        warmup: Duration::from_secs(warmup),
        ..LoadPlan::steady(OperationKind::Handshake, rate, Duration::from_secs(seconds))
    };
    Schedule::new(&plan, 2, 1, 1)
}

fn attempts(result: &LoadResult) -> Vec<u64> {
    result
        .variants
        .iter()
        .map(|totals| totals.attempts)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn operations_start_on_time_however_slow_they_are() {
    let operation = Fixed::taking(Duration::from_secs(3));
    let begin = Instant::now();
    ENGINE
        .run(
            Arc::clone(&operation),
            schedule(10.0, 0, 2),
            std::future::pending(),
            |_| {},
        )
        .await;
    let starts = operation.starts.lock().unwrap();
    assert_eq!(starts.len(), 20);
    for (arrival, start) in starts.iter() {
        let late = (*start - begin).saturating_sub(arrival.at);
        assert!(
            late <= Duration::from_millis(1),
            "{arrival:?} is late by {late:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn latency_counts_from_the_intended_start() {
    let operation = Fixed::taking(Duration::from_millis(250));
    let result = ENGINE
        .run(
            operation,
            schedule(10.0, 0, 2),
            std::future::pending(),
            |_| {},
        )
        .await;
    let median = result.variants[0].operation.quantile_ms(0.5).unwrap();
    assert!((250.0..252.0).contains(&median), "{median}");
    assert_eq!(attempts(&result), [10, 10]);
    assert_eq!(result.lateness.count(), 20);
    assert!(!result.interrupted);
}

#[tokio::test(start_paused = true)]
async fn an_operation_belongs_to_the_slice_of_its_intended_start() {
    // Ends in another slice than it starts in: a slice lasts 100 ms.
    let operation = Fixed::taking(Duration::from_millis(250));
    let result = ENGINE
        .run(
            operation,
            schedule(20.0, 1, 2),
            std::future::pending(),
            |_| {},
        )
        .await;
    for totals in &result.variants {
        let counts: Vec<u64> = totals
            .slices
            .iter()
            .map(|slice| slice.operation.count())
            .collect();
        assert_eq!(counts, [1; experiment::measure::SLICES]);
    }
}

#[tokio::test(start_paused = true)]
async fn warm_up_runs_and_is_not_recorded() {
    let operation = Fixed::taking(Duration::from_millis(1));
    let result = ENGINE
        .run(
            Arc::clone(&operation),
            schedule(10.0, 1, 2),
            std::future::pending(),
            |_| {},
        )
        .await;
    assert_eq!(operation.starts.lock().unwrap().len(), 30);
    assert_eq!(attempts(&result), [10, 10]);
}

#[tokio::test(start_paused = true)]
async fn arrivals_above_the_limit_are_dropped_and_counted() {
    let engine = Engine {
        max_in_flight: 4,
        ..ENGINE
    };
    let operation = Fixed::taking(Duration::from_secs(1));
    let result = engine
        .run(
            operation,
            schedule(10.0, 0, 1),
            std::future::pending(),
            |_| {},
        )
        .await;
    let dropped: u64 = result.variants.iter().map(|totals| totals.dropped).sum();
    assert_eq!((attempts(&result).iter().sum::<u64>(), dropped), (4, 6));
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_by_cause_and_have_no_latency() {
    let failure = Failure {
        class: ErrorClass::Tls,
        cause: "alert: unknown ca".to_owned(),
    };
    let operation = Arc::new(Fixed {
        takes: Duration::ZERO,
        result: Err(failure),
        starts: Mutex::default(),
    });
    let result = ENGINE
        .run(
            operation,
            schedule(10.0, 0, 1),
            std::future::pending(),
            |_| {},
        )
        .await;
    assert_eq!(result.variants[0].errors["tls: alert: unknown ca"], 5);
    assert_eq!(
        (result.variants[0].ok, result.variants[0].operation.count()),
        (0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_hangs_is_a_timeout() {
    let operation = Fixed::taking(Duration::from_secs(3600));
    let result = ENGINE
        .run(
            operation,
            schedule(10.0, 0, 1),
            std::future::pending(),
            |_| {},
        )
        .await;
    assert_eq!(
        result.variants[0].errors["timeout: the operation did not finish in time"],
        5
    );
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_arrivals_and_keeps_what_was_done() {
    let operation = Fixed::taking(Duration::from_millis(10));
    let stop = sleep(Duration::from_millis(950));
    let result = ENGINE
        .run(operation, schedule(10.0, 0, 3600), stop, |_| {})
        .await;
    assert!(result.interrupted);
    assert_eq!(attempts(&result), [5, 5]);
    assert_eq!(result.variants[0].ok, 5);
}

#[tokio::test(start_paused = true)]
async fn draining_has_a_deadline_and_loses_no_attempt() {
    let engine = Engine {
        operation_timeout: Duration::from_secs(3600),
        drain: Duration::from_secs(1),
        ..ENGINE
    };
    let operation = Fixed::taking(Duration::from_secs(1800));
    let begin = Instant::now();
    let result = engine
        .run(
            operation,
            schedule(10.0, 0, 1),
            std::future::pending(),
            |_| {},
        )
        .await;
    assert!(begin.elapsed() < Duration::from_secs(3));
    assert_eq!(
        result.variants[1].errors["timeout: the run ended before the operation did"],
        5
    );
    assert_eq!(attempts(&result), [5, 5]);
}

#[tokio::test(start_paused = true)]
async fn progress_comes_each_second_and_at_each_change_of_phase() {
    let mut seen: Vec<Progress> = Vec::new();
    let operation = Fixed::taking(Duration::from_millis(1));
    ENGINE
        .run(
            operation,
            schedule(10.0, 2, 2),
            std::future::pending(),
            |progress| seen.push(progress),
        )
        .await;
    let phases: Vec<Phase> = seen.iter().map(|progress| progress.phase).collect();
    assert_eq!(phases.first(), Some(&Phase::WarmUp));
    assert_eq!(phases.last(), Some(&Phase::Draining));
    assert!(phases.is_sorted_by_key(|phase| *phase as u8), "{phases:?}");
    let measuring = seen
        .iter()
        .find(|progress| progress.phase == Phase::Measured)
        .unwrap();
    assert_eq!((measuring.elapsed.as_secs(), measuring.done), (2, 0));
    assert!(seen.len() >= 6, "{seen:?}");
}

/// Notes what runs when readings are taken, which takes a while.
#[derive(Default)]
struct Watched {
    running: AtomicUsize,
    at_readings: Mutex<Vec<usize>>,
}

const READINGS: Duration = Duration::from_millis(700);

impl Operation for Watched {
    async fn run(&self, _arrival: &Arrival) -> Outcome {
        self.running.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(350)).await;
        self.running.fetch_sub(1, Ordering::Relaxed);
        Outcome {
            handshakes: Vec::new(),
            procedures: Vec::new(),
            result: Ok(()),
        }
    }

    async fn settled(&self) {
        let running = self.running.load(Ordering::Relaxed);
        self.at_readings.lock().unwrap().push(running);
        sleep(READINGS).await;
    }
}

// Readings were taken while operations of the warm-up, and of the measured part, ran: each side counted some of them.
#[tokio::test(start_paused = true)]
async fn nothing_runs_while_readings_are_taken_and_the_schedule_waits() {
    let mut closed = LoadPlan::steady(OperationKind::Handshake, 10.0, Duration::from_secs(2));
    closed.arrivals = ArrivalProcess::Closed { workers: 4 };
    closed.warmup = Duration::from_secs(1);
    for (schedule, attempted) in [
        (schedule(10.0, 1, 2), vec![10, 10]),
        (schedule(10.0, 0, 2), vec![10, 10]),
        // Each of four workers begins six: at 0, 350, ..., 1750 ms.
        (Schedule::new(&closed, 1, 1, 1), vec![24]),
    ] {
        let watched = Arc::new(Watched::default());
        let begin = Instant::now();
        let planned = schedule.end();
        let result = ENGINE
            .run(
                Arc::clone(&watched),
                schedule,
                std::future::pending(),
                |_| {},
            )
            .await;
        assert_eq!(*watched.at_readings.lock().unwrap(), [0]);
        assert_eq!(attempts(&result), attempted);
        assert!(begin.elapsed() >= planned + READINGS);
        // The schedule waited, so nothing is late by it.
        assert!(result.lateness.quantile_ms(1.0) < Some(2.0));
    }
}

#[tokio::test(start_paused = true)]
async fn results_of_two_generators_merge_and_travel() {
    let run = || {
        ENGINE.run(
            Fixed::taking(Duration::from_millis(5)),
            schedule(10.0, 0, 1),
            std::future::pending(),
            |_| {},
        )
    };
    let mut first = run().await;
    let sent = serde_json::to_string(&run().await).unwrap();
    let second: LoadResult = serde_json::from_str(&sent).unwrap();
    first.merge(&second).unwrap();
    assert_eq!(attempts(&first), [10, 10]);
    assert_eq!(first.lateness.count(), 20);
}

#[test]
fn results_of_different_scenarios_do_not_merge() {
    let result = |variants: usize| LoadResult {
        started: OffsetDateTime::UNIX_EPOCH,
        ended: OffsetDateTime::UNIX_EPOCH,
        interrupted: false,
        lateness: Histogram::default(),
        generator: GeneratorUse::default(),
        variants: vec![ClientTotals::default(); variants],
        watched: Default::default(),
    };
    let mismatch = experiment::measure::VariantMismatch {
        expected: 2,
        found: 3,
    };
    assert_eq!(result(2).merge(&result(3)), Err(mismatch));
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a bug in an operation")]
async fn a_panic_of_an_operation_is_passed_on() {
    struct Broken;
    impl Operation for Broken {
        async fn run(&self, _: &Arrival) -> Outcome {
            panic!("a bug in an operation")
        }
    }
    ENGINE
        .run(
            Arc::new(Broken),
            schedule(10.0, 0, 1),
            std::future::pending(),
            |_| {},
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_keeps_its_workers_busy_and_no_more() {
    let plan = LoadPlan {
        arrivals: ArrivalProcess::Closed { workers: 4 },
        warmup: Duration::from_secs(1),
        ..LoadPlan::steady(OperationKind::Handshake, 1.0, Duration::from_secs(2))
    };
    let mut most = 0;
    let result = ENGINE
        .run(
            Fixed::taking(Duration::from_millis(100)),
            Schedule::new(&plan, 2, 1, 1),
            std::future::pending(),
            |progress: Progress| most = most.max(progress.in_flight),
        )
        .await;
    let all: u64 = attempts(&result).iter().sum();
    assert!((76..=84).contains(&all), "{all} of 2 s / 100 ms * 4");
    assert_eq!(most, 4);
    let (max, late) = (
        result.variants[0].operation.quantile_ms(1.0).unwrap(),
        result.variants[0].late,
    );
    assert!(max < 103.0 && late == 0, "{max} {late}");
}

#[tokio::test(start_paused = true)]
async fn queueing_is_told_apart_and_what_is_late_is_counted() {
    /// Blocks the one thread that starts operations, as a generator without processors would be blocked.
    struct Blocking;
    impl Operation for Blocking {
        async fn run(&self, arrival: &Arrival) -> Outcome {
            if arrival.sequence == 0 {
                tokio::time::advance(Duration::from_millis(250)).await;
            }
            Outcome {
                handshakes: Vec::new(),
                procedures: Vec::new(),
                result: Ok(()),
            }
        }
    }
    let result = ENGINE
        .run(
            Arc::new(Blocking),
            schedule(20.0, 0, 1),
            std::future::pending(),
            |_| {},
        )
        .await;
    let mut whole = result.variants[0].clone();
    whole.merge(&result.variants[1]);
    assert_eq!(whole.queueing.count(), 20);
    // Those of 50, 100, 150 and 200 ms come at 250.
    assert_eq!(whole.late, 4);
    let longest = whole.queueing.quantile_ms(1.0).unwrap();
    assert!((199.0..203.0).contains(&longest), "{longest}");
    assert!(whole.operation.quantile_ms(1.0).unwrap() >= longest);
}

#[tokio::test(start_paused = true)]
async fn a_mix_is_counted_by_operation() {
    let share = |operation| Share {
        operation,
        weight: 1,
    };
    let plan = LoadPlan {
        operation: Workload::Mix(vec![
            share(OperationKind::Discover),
            share(OperationKind::Session),
        ]),
        warmup: Duration::ZERO,
        ..LoadPlan::steady(OperationKind::Discover, 100.0, Duration::from_secs(1))
    };
    let result = ENGINE
        .run(
            Fixed::taking(Duration::from_millis(1)),
            Schedule::new(&plan, 1, 1, 1),
            std::future::pending(),
            |_| {},
        )
        .await;
    let by_kind = &result.variants[0].operations;
    let sum: u64 = by_kind.values().map(|totals| totals.ok).sum();
    assert_eq!(by_kind.keys().collect::<Vec<_>>(), ["discover", "session"]);
    assert_eq!((sum, result.variants[0].ok), (100, 100));
}
