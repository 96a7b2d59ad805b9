//! Which variant and instance does something when: decided by the plan and the seed alone.
//!
//! ```text
//!  plan    | warm-up | stage 0 | stage 1 |      times within a stage: every 1/rate (constant) or exponential gaps
//!  rounds  | c a b | a c b | b a c | ...        each round is every variant once, in a random order
//! ```
//!
//! Rounds keep variants interleaved arrival by arrival, so that a disturbance of the machine hits all of them alike, and
//! the random order keeps any one from always following the same other. All arrivals of a round have the same instance.

use std::time::Duration;

use crate::scenario::{ArrivalProcess, LoadPlan, Stage};

/// One operation to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Arrivals before this one, warm-up included.
    pub sequence: u64,
    /// When it is to start, from the start of the run.
    pub at: Duration,
    /// Index of its variant in the scenario.
    pub variant: usize,
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
    /// The phase of the next arrival, and how many it has made.
    phase: usize,
    made: u64,
    /// Time of the last arrival within the phase, for Poisson gaps.
    since_phase_start: f64,
    round: Round,
    sequence: u64,
    random: SplitMix64,
}

impl Schedule {
    /// Plans a run of `variants` variants over `instances` instances; both are at least 1.
    pub fn new(plan: &LoadPlan, variants: usize, instances: usize, seed: u64) -> Self {
        let warmup = plan.stages.first().map(|first| Stage {
            duration: plan.warmup,
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
        Self {
            process: plan.arrivals,
            phases,
            phase: 0,
            made: 0,
            since_phase_start: 0.0,
            round: Round {
                number: 0,
                order: (0..variants.max(1)).collect(),
                next: 0,
                instances: instances.max(1),
            },
            sequence: 0,
            random: SplitMix64(seed),
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

    fn next_in_phase(&mut self, stage: Stage) -> f64 {
        match self.process {
            ArrivalProcess::Constant => self.made as f64 / stage.rate,
            ArrivalProcess::Poisson => {
                self.since_phase_start + self.random.exponential() / stage.rate
            }
        }
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        loop {
            let phase = *self.phases.get(self.phase)?;
            let within = self.next_in_phase(phase.stage);
            if within < phase.stage.duration.as_secs_f64() {
                let arrival = self.arrive(phase, within);
                return Some(arrival);
            }
            self.phase += 1;
            self.made = 0;
            self.since_phase_start = 0.0;
            if phase.warmup {
                self.round.restart();
            }
        }
    }
}

impl Schedule {
    fn arrive(&mut self, phase: PhasePlan, within: f64) -> Arrival {
        let (variant, instance) = self.round.draw(&mut self.random);
        let arrival = Arrival {
            sequence: self.sequence,
            at: phase.start + Duration::from_secs_f64(within),
            variant,
            instance,
            warmup: phase.warmup,
        };
        self.sequence += 1;
        self.made += 1;
        self.since_phase_start = within;
        arrival
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
}

impl Round {
    fn draw(&mut self, random: &mut SplitMix64) -> (usize, usize) {
        if self.next == 0 {
            random.shuffle(&mut self.order);
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

/// SplitMix64 (Steele, Lea and Flood, 2014): small, seeded by any number, and the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Exponentially distributed with mean 1.
    fn exponential(&mut self) -> f64 {
        const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
        let uniform = ((self.next() >> 11) + 1) as f64 * UNIT; // in (0, 1]
        -uniform.ln()
    }

    /// Fisher and Yates; the bias of the remainder is below 2^-50 for lists this short.
    fn shuffle(&mut self, list: &mut [usize]) {
        for last in (1..list.len()).rev() {
            let other = (self.next() % (last as u64 + 1)) as usize;
            list.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::OperationKind;

    fn plan(arrivals: ArrivalProcess, warmup: u64, stages: &[(f64, u64)]) -> LoadPlan {
        LoadPlan {
            operation: OperationKind::Session,
            arrivals,
            stages: stages
                .iter()
                .map(|&(rate, s)| Stage {
                    rate,
                    duration: Duration::from_secs(s),
                })
                .collect(),
            warmup: Duration::from_secs(warmup),
            max_in_flight: 16,
        }
    }

    fn constant(warmup: u64, stages: &[(f64, u64)]) -> Schedule {
        Schedule::new(&plan(ArrivalProcess::Constant, warmup, stages), 5, 2, 7)
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!(
            [random.next(), random.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]
        );
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
}
