//! Which variant and instance does something when: decided by the plan and the seed alone.
//!
//! ```text
//!  plan    | warm-up | stage 0 | stage 1 |      times within a stage: every 1/rate (constant) or exponential gaps
//!  rounds  | c a b | a c b | b a c | ...        each round is every variant once, in a random order
//!  shards  | 0 1 0 | 1 0 1 | 0 1 0 | ...        of n generators number i starts the arrivals whose sequence is i mod n
//! ```
//!
//! Rounds keep variants interleaved arrival by arrival, so that a disturbance of the machine hits all of them alike, and
//! the random order keeps any one from always following the same other. All arrivals of a round have the same instance
//! and do the same operation of a mix.
//!
//! In a closed loop there are no times: [`Schedule::next_now`] says what a worker that is free does next.

use std::time::Duration;

use experiment::measure::Shard;
use experiment::scenario::{ArrivalProcess, LoadPlan, OperationKind, Share, Stage, Workload};
use link::random::SplitMix64;

/// One operation to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Arrivals before this one, warm-up included.
    pub sequence: u64,
    /// When it is to start, from the start of the run.
    pub at: Duration,
    /// Index of its variant in the scenario.
    pub variant: usize,
    /// What it does.
    pub operation: OperationKind,
    /// Index of the NF instance that acts, below the schedule's number of instances.
    pub instance: usize,
    /// Whether it runs without being recorded.
    pub warmup: bool,
}

/// The arrivals of a run in the order of their times; the same for the same arguments.
#[derive(Clone, Debug)]
pub struct Schedule {
    process: ArrivalProcess,
    phases: Vec<PhasePlan>,
    /// The phase of the next arrival, and how many arrivals of it are due before that one: a whole number, but for Poisson
    /// arrivals a sum of exponential gaps.
    phase: usize,
    due: f64,
    round: Round,
    sequence: u64,
    shard: Shard,
    random: SplitMix64,
}

impl Schedule {
    /// Plans a run of `variants` variants over `instances` instances; both are at least 1.
    pub fn new(plan: &LoadPlan, variants: usize, instances: usize, seed: u64) -> Self {
        let warmup = plan.stages.first().map(|first| Stage {
            duration: plan.warmup,
            to: first.rate,
            ..*first
        });
        let stages = warmup
            .into_iter()
            .map(|stage| (stage, true))
            .chain(plan.stages.iter().map(|stage| (*stage, false)));
        let mut start = Duration::ZERO;
        let phases = stages
            .map(|(stage, warmup)| {
                let phase = PhasePlan {
                    start,
                    stage,
                    warmup,
                };
                start += stage.duration;
                phase
            })
            .collect();
        let mut schedule = Self {
            process: plan.arrivals,
            phases,
            phase: 0,
            due: 0.0,
            round: Round {
                number: 0,
                order: (0..variants.max(1)).collect(),
                next: 0,
                instances: instances.max(1),
                workload: plan.operation.clone(),
                operation: OperationKind::Handshake,
            },
            sequence: 0,
            shard: Shard::WHOLE,
            random: SplitMix64(seed),
        };
        schedule.enter_phase();
        schedule
    }

    /// The part of it that one of several generators starts; together they start exactly the whole.
    #[must_use]
    pub fn shard(self, shard: Shard) -> Self {
        Self { shard, ..self }
    }

    /// Whether arrivals differ in what they do.
    pub fn is_mix(&self) -> bool {
        self.round.workload.is_mix()
    }

    /// Operations that are under way at a time in a closed loop, this generator's part; none in an open one.
    pub fn workers(&self) -> Option<usize> {
        match self.process {
            ArrivalProcess::Closed { workers } => Some(self.shard.part_of(workers)),
            ArrivalProcess::Constant | ArrivalProcess::Poisson => None,
        }
    }

    /// What a worker that is free at `at` does next, in a closed loop.
    pub fn next_now(&mut self, at: Duration) -> Arrival {
        let warmup = at < self.measured_from();
        if !warmup && self.phase == 0 && self.phases.len() > 1 {
            self.phase = 1;
            self.round.restart();
        }
        loop {
            let arrival = self.arrive(at, warmup);
            if self.shard.has(arrival.sequence) {
                return arrival;
            }
        }
    }

    /// How many variants the arrivals speak of.
    pub fn variants(&self) -> usize {
        self.round.order.len()
    }

    /// When the measured part begins, from the start of the run.
    pub fn measured_from(&self) -> Duration {
        self.phases
            .iter()
            .find(|phase| !phase.warmup)
            .map_or(Duration::ZERO, |phase| phase.start)
    }

    /// When the last stage ends, from the start of the run.
    pub fn end(&self) -> Duration {
        self.phases
            .last()
            .map_or(Duration::ZERO, |phase| phase.start + phase.stage.duration)
    }

    /// How much of the rate's integral the first arrival of a phase waits for: nothing if arrivals are even.
    fn enter_phase(&mut self) {
        self.due = 0.0;
        self.pass_gap(0.0);
    }

    /// Goes on to the next arrival, `even` further where arrivals are even.
    fn pass_gap(&mut self, even: f64) {
        self.due += match self.process {
            ArrivalProcess::Poisson => exponential(&mut self.random),
            ArrivalProcess::Constant | ArrivalProcess::Closed { .. } => even,
        };
    }

    fn arrive(&mut self, at: Duration, warmup: bool) -> Arrival {
        let (variant, instance) = self.round.draw(&mut self.random);
        let arrival = Arrival {
            sequence: self.sequence,
            at,
            variant,
            operation: self.round.operation,
            instance,
            warmup,
        };
        self.sequence += 1;
        arrival
    }

    fn next_of_all(&mut self) -> Option<Arrival> {
        loop {
            let phase = *self.phases.get(self.phase)?;
            let within = phase.stage.time_of(self.due);
            if within < phase.stage.duration.as_secs_f64() {
                let at = phase.start + Duration::from_secs_f64(within);
                let arrival = self.arrive(at, phase.warmup);
                self.pass_gap(1.0);
                return Some(arrival);
            }
            self.phase += 1;
            self.enter_phase();
            if phase.warmup {
                self.round.restart();
            }
        }
    }
}

/// The arrivals of an open loop.
impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        if self.workers().is_some() {
            return None;
        }
        loop {
            let arrival = self.next_of_all()?;
            if self.shard.has(arrival.sequence) {
                return Some(arrival);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct PhasePlan {
    start: Duration,
    stage: Stage,
    warmup: bool,
}

/// Every variant once, in a random order.
#[derive(Clone, Debug)]
struct Round {
    number: usize,
    order: Vec<usize>,
    next: usize,
    instances: usize,
    workload: Workload,
    /// What the arrivals of this round do.
    operation: OperationKind,
}

impl Round {
    fn draw(&mut self, random: &mut SplitMix64) -> (usize, usize) {
        if self.next == 0 {
            shuffle(&mut self.order, random);
            self.operation = match &self.workload {
                Workload::Only(operation) => *operation,
                Workload::Mix(shares) => draw_operation(shares, random.next_u64()),
            };
        }
        let drawn = (self.order[self.next], self.number % self.instances);
        self.next += 1;
        if self.next == self.order.len() {
            self.restart();
        }
        drawn
    }

    /// Begins a new round, so that the measured part has as many arrivals of each variant, give or take one.
    fn restart(&mut self) {
        self.next = 0;
        self.number = self.number.wrapping_add(1);
    }
}

/// Exponentially distributed with mean 1.
fn exponential(random: &mut SplitMix64) -> f64 {
    const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
    let uniform = ((random.next_u64() >> 11) + 1) as f64 * UNIT; // in (0, 1]
    -uniform.ln()
}

/// Fisher and Yates; the bias of the remainder is below 2^-50 for lists this short.
fn shuffle(list: &mut [usize], random: &mut SplitMix64) {
    for last in (1..list.len()).rev() {
        let other = (random.next_u64() % (last as u64 + 1)) as usize;
        list.swap(last, other);
    }
}

/// An operation of a mix; the bias of the remainder is below 2^-40 for sums of weights this small.
fn draw_operation(shares: &[Share], random: u64) -> OperationKind {
    let total: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
    let mut at = random.checked_rem(total).unwrap_or_default();
    let drawn = shares.iter().find(|share| {
        let is_here = at < u64::from(share.weight);
        at = at.saturating_sub(share.weight.into());
        is_here
    });
    drawn.map_or(OperationKind::Handshake, |share| share.operation)
}

#[cfg(test)]
mod tests {
    use experiment::measure::UnknownShard;

    use super::*;

    fn plan(arrivals: ArrivalProcess, warmup: u64, stages: &[(f64, u64)]) -> LoadPlan {
        let stage = |&(rate, s): &(f64, u64)| Stage {
            rate,
            to: rate,
            duration: Duration::from_secs(s),
        };
        LoadPlan {
            arrivals,
            stages: stages.iter().map(stage).collect(),
            warmup: Duration::from_secs(warmup),
            ..LoadPlan::steady(OperationKind::Session, 1.0, Duration::from_secs(1))
        }
    }

    fn constant(warmup: u64, stages: &[(f64, u64)]) -> Schedule {
        Schedule::new(&plan(ArrivalProcess::Constant, warmup, stages), 5, 2, 7)
    }

    #[test]
    fn the_same_seed_makes_the_same_arrivals() {
        for process in [ArrivalProcess::Constant, ArrivalProcess::Poisson] {
            let schedule = |seed| {
                Schedule::new(&plan(process, 1, &[(50.0, 2)]), 5, 3, seed).collect::<Vec<_>>()
            };
            assert_eq!(schedule(9), schedule(9));
            assert_ne!(schedule(9), schedule(10));
        }
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced_in_each_stage() {
        let times: Vec<f64> = constant(0, &[(2.0, 2), (4.0, 1)])
            .map(|arrival| arrival.at.as_secs_f64())
            .collect();
        assert_eq!(times, [0.0, 0.5, 1.0, 1.5, 2.0, 2.25, 2.5, 2.75]);
    }

    #[test]
    fn warm_up_precedes_the_measured_part_at_its_first_rate() {
        let arrivals: Vec<Arrival> = constant(1, &[(3.0, 1), (6.0, 1)]).collect();
        let warmup: Vec<bool> = arrivals.iter().map(|arrival| arrival.warmup).collect();
        assert_eq!(warmup, [[true; 3].as_slice(), &[false; 9]].concat());
        assert_eq!(arrivals[3].at, constant(1, &[(3.0, 1)]).measured_from());
    }

    #[test]
    fn poisson_arrivals_have_the_stage_s_rate() {
        let schedule = Schedule::new(&plan(ArrivalProcess::Poisson, 0, &[(1000.0, 10)]), 5, 2, 1);
        let arrivals: Vec<Arrival> = schedule.collect();
        assert!(
            (9_700..10_300).contains(&arrivals.len()),
            "{}",
            arrivals.len()
        );
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.at));
    }

    #[test]
    fn each_round_has_every_variant_once_at_one_instance() {
        let measured: Vec<Arrival> = constant(1, &[(7.0, 20)])
            .filter(|arrival| !arrival.warmup)
            .collect();
        let mut orders = Vec::new();
        for round in measured.chunks_exact(5) {
            let mut variants: Vec<usize> = round.iter().map(|arrival| arrival.variant).collect();
            orders.push(variants.clone());
            variants.sort_unstable();
            assert_eq!(variants, [0, 1, 2, 3, 4]);
            assert!(
                round
                    .iter()
                    .all(|arrival| arrival.instance == round[0].instance)
            );
        }
        orders.dedup();
        assert!(orders.len() > 10, "the order of variants must vary");
    }

    #[test]
    fn every_variant_meets_every_instance() {
        let mut met: Vec<(usize, usize)> = constant(0, &[(10.0, 1)])
            .map(|a| (a.variant, a.instance))
            .collect();
        met.sort_unstable();
        assert_eq!(
            met,
            (0..5)
                .flat_map(|variant| [(variant, 0), (variant, 1)])
                .collect::<Vec<_>>()
        );
    }

    fn ramp(arrivals: ArrivalProcess, rate: f64, to: f64, seconds: u64) -> Schedule {
        let stages = vec![Stage {
            rate,
            to,
            duration: Duration::from_secs(seconds),
        }];
        let plan = LoadPlan {
            stages,
            ..plan(arrivals, 0, &[])
        };
        Schedule::new(&plan, 1, 1, 3)
    }

    #[test]
    fn a_ramp_changes_the_rate_evenly() {
        for (rate, to) in [(10.0, 100.0), (100.0, 10.0)] {
            let times: Vec<f64> = ramp(ArrivalProcess::Constant, rate, to, 20)
                .map(|arrival| arrival.at.as_secs_f64())
                .collect();
            assert_eq!(times.len(), 1100);
            assert!(times.is_sorted());
            let of_second = |second: f64| {
                let within = |at: &&f64| (second..second + 1.0).contains(*at);
                times.iter().filter(within).count() as f64
            };
            for second in 0..20 {
                let expected = rate + (to - rate) * (f64::from(second) + 0.5) / 20.0;
                let found = of_second(second.into());
                assert!(
                    (found - expected).abs() <= 1.0,
                    "{second}: {found}, {expected}"
                );
            }
        }
    }

    #[test]
    fn a_poisson_ramp_has_as_many_arrivals_as_an_even_one() {
        let count = ramp(ArrivalProcess::Poisson, 10.0, 1000.0, 20).count();
        assert!((9_700..10_500).contains(&count), "{count}");
    }

    #[test]
    fn shards_together_are_exactly_the_schedule() {
        for arrivals in [ArrivalProcess::Constant, ArrivalProcess::Poisson] {
            let whole = || Schedule::new(&plan(arrivals, 1, &[(50.0, 2), (9.0, 3)]), 5, 3, 9);
            for count in [1, 2, 3, 7] {
                let mut union: Vec<Arrival> = (0..count)
                    .flat_map(|index| whole().shard(Shard { index, count }))
                    .collect();
                union.sort_by_key(|arrival| arrival.sequence);
                assert_eq!(union, whole().collect::<Vec<_>>(), "{count} shards");
            }
        }
    }

    #[test]
    fn shards_are_counted_from_one_by_people() {
        let third: Shard = "3/4".parse().unwrap();
        assert_eq!(third, Shard { index: 2, count: 4 });
        assert_eq!(third.to_string(), "3/4");
        for wrong in ["", "1", "0/2", "3/2", "1/1025", "a/b", "-1/2"] {
            let fault = wrong.parse::<Shard>();
            assert_eq!(fault, Err(UnknownShard(wrong.to_owned())));
        }
    }

    #[test]
    fn a_mix_is_drawn_by_weight_and_alike_for_all_variants() {
        let shares = vec![
            Share {
                operation: OperationKind::Discover,
                weight: 9,
            },
            Share {
                operation: OperationKind::Session,
                weight: 1,
            },
        ];
        let plan = LoadPlan {
            operation: Workload::Mix(shares),
            ..plan(ArrivalProcess::Constant, 0, &[(1000.0, 50)])
        };
        let arrivals: Vec<Arrival> = Schedule::new(&plan, 5, 2, 7).collect();
        for round in arrivals.chunks_exact(5) {
            assert!(round.iter().all(|a| a.operation == round[0].operation));
        }
        let sessions = arrivals
            .iter()
            .filter(|a| a.operation == OperationKind::Session);
        let share = sessions.count() as f64 / arrivals.len() as f64;
        assert!((0.09..0.11).contains(&share), "{share}");
    }

    #[test]
    fn a_closed_loop_has_rounds_and_no_times() {
        let plan = plan(ArrivalProcess::Closed { workers: 5 }, 1, &[(0.0, 10)]);
        let mut schedule = Schedule::new(&plan, 3, 1, 7);
        assert_eq!(schedule.clone().next(), None);
        assert_eq!(schedule.workers(), Some(5));
        let first = schedule.next_now(Duration::from_millis(999));
        assert!(first.warmup);
        let mut variants: Vec<usize> = (0..3)
            .map(|n| schedule.next_now(Duration::from_secs(1 + n)))
            .inspect(|arrival| assert!(!arrival.warmup))
            .map(|arrival| arrival.variant)
            .collect();
        variants.sort_unstable();
        assert_eq!(
            variants,
            [0, 1, 2],
            "the measured part begins with a new round"
        );
        let shard = Shard { index: 1, count: 2 };
        let mut half = schedule.shard(shard);
        assert_eq!(half.workers(), Some(3));
        let sequences = [0; 3].map(|_| half.next_now(Duration::from_secs(5)).sequence);
        assert!(sequences.iter().all(|n| n % 2 == 1), "{sequences:?}");
    }
}
