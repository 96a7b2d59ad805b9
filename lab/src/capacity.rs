//! Capacity: the highest rate of arrivals that a lab sustains, found by bisection in one lab that stays up.
//!
//! ```text
//!  rate      min ──> x2 ──> x2 ──> ...  until one fails or max is sustained       open loop, one variant at a time
//!            then half way between the highest sustained and the lowest failed, until they are 5 % apart
//!  sustained no operation failed, none was dropped, p99 within the limit, and the generator kept the schedule
//! ```

use std::time::Duration;

use sbi::process::Event;
use serde::Serialize;
use tokio::time::timeout;

use crate::load::worker::{Answer, Command};
use crate::run::RunError;
use crate::topology::Topology;
use experiment::measure::{LoadResult, Shard};
use experiment::results::{is_too_late, started_late};
use experiment::scenario::Nf;
use experiment::scenario::{ArrivalProcess, LoadPlan, Scenario, Stage};

/// The search ends when the lowest failed rate is at most this much above the highest sustained one.
const RESOLUTION: f64 = 0.05;
/// Before each probe: connections to open, caches to fill.
const WARMUP: Duration = Duration::from_secs(1);
/// How much longer than planned a probe may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is looked for, and where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The 99th percentile of the operation's latency is not longer.
    pub p99: Duration,
    /// The first rate that is tried, in operations per second.
    pub min: f64,
    /// No higher rate is tried.
    pub max: f64,
    /// How long each rate is tried.
    pub probe: Duration,
}

/// One rate that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probe {
    /// Operations per second.
    pub rate: f64,
    /// Operations that succeeded.
    pub ok: u64,
    /// Operations that failed.
    pub failed: u64,
    /// Arrivals that were dropped.
    pub dropped: u64,
    /// Operations that the generator started late.
    pub late: u64,
    /// 99th percentile of the operation's latency, in milliseconds; none where the generator was late, whose latency it would be.
    pub p99_ms: Option<f64>,
    /// Whether nothing speaks against the rate but that the generator was late.
    pub by_generator: bool,
    /// Why the rate is not sustained; absent when it is.
    pub refused: Option<String>,
}

/// What was found for one variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capacity {
    /// The variant.
    pub variant: String,
    /// The highest rate that was sustained; none when not even the first was.
    pub rate: Option<f64>,
    /// Whether the highest rate to try was sustained, so that the capacity is at least that.
    pub at_max: bool,
    /// Whether the lowest rate that was not sustained was too high for the generator, so that the servers may sustain more.
    pub by_generator: bool,
    /// Every rate that was tried, in order.
    pub probes: Vec<Probe>,
}

/// Finds what each of the variants sustains; `on_probe` hears of each probe.
///
/// # Errors
/// The lab does not go on.
pub async fn capacities(
    topology: &mut Topology,
    scenario: &Scenario,
    variants: &[String],
    limits: Limits,
    mut on_probe: impl FnMut(&str, &Probe),
) -> Result<Vec<Capacity>, RunError> {
    let mut found = Vec::new();
    for variant in &scenario.variants {
        if !variants.is_empty() && !variants.contains(&variant.name) {
            continue;
        }
        let mut search = Search::new(limits.min, limits.max);
        let mut probes = Vec::new();
        while let Some(rate) = search.next() {
            let plan = plan(&scenario.load, rate, limits.probe);
            let profile = variant.profile().to_string();
            let load = load(topology, plan, profile, scenario.seed).await?;
            let probe = Probe::of(rate, &load, limits.p99, scenario.load.max_lateness);
            search.observe(rate, probe.refused.is_none());
            on_probe(&variant.name, &probe);
            probes.push(probe);
        }
        found.push(Capacity::of(variant.name.clone(), probes, limits));
    }
    Ok(found)
}

/// The scenario's load at one rate. A closed loop has none, so arrivals are then constant.
fn plan(load: &LoadPlan, rate: f64, duration: Duration) -> LoadPlan {
    LoadPlan {
        arrivals: match load.arrivals {
            ArrivalProcess::Closed { .. } => ArrivalProcess::Constant,
            open => open,
        },
        stages: vec![Stage {
            rate,
            to: rate,
            duration,
        }],
        warmup: WARMUP,
        ..load.clone()
    }
}

async fn load(
    topology: &mut Topology,
    plan: LoadPlan,
    profile: String,
    seed: u64,
) -> Result<LoadResult, RunError> {
    let patience = plan.duration() + PATIENCE;
    let command = Command::Load {
        plan: Box::new(plan),
        scenario: "capacity".to_owned(),
        variants: vec![profile.clone()],
        profiles: vec![profile],
        seed,
        watched: 0,
        shard: Shard::WHOLE,
    };
    let command = serde_json::to_string(&command)?;
    topology.child(Nf::Amf)?.command(&command).await?;
    let answer = async {
        loop {
            let event = topology.next_event(Nf::Amf).await?;
            let Event::Answer { value } = event else {
                continue;
            };
            match serde_json::from_value(value)? {
                Answer::Progress(_) => {}
                // The servers' counters are not looked at.
                Answer::Settled => {
                    let measure = serde_json::to_string(&Command::Measure)?;
                    topology.child(Nf::Amf)?.command(&measure).await?;
                }
                Answer::Result(result) => return Ok(*result),
            }
        }
    };
    let answered = timeout(patience, answer).await;
    answered.map_err(|_| RunError::Stuck(patience))?
}

impl Capacity {
    fn of(variant: String, probes: Vec<Probe>, limits: Limits) -> Self {
        let by_rate = |a: &&Probe, b: &&Probe| a.rate.total_cmp(&b.rate);
        let (refused, sustained): (Vec<&Probe>, Vec<&Probe>) =
            probes.iter().partition(|probe| probe.refused.is_some());
        let rate = sustained
            .into_iter()
            .max_by(by_rate)
            .map(|probe| probe.rate);
        let lowest = refused.into_iter().min_by(by_rate);
        Self {
            variant,
            rate,
            at_max: rate == Some(limits.max),
            by_generator: lowest.is_some_and(|probe| probe.by_generator),
            probes,
        }
    }
}

impl Probe {
    fn of(rate: f64, load: &LoadResult, limit: Duration, max_lateness: Duration) -> Self {
        let totals = load.variants.first().cloned().unwrap_or_default();
        let max_lateness_ms = max_lateness.as_secs_f64() * 1e3;
        let is_late = is_too_late(totals.late, totals.attempts);
        let p99_ms = totals.operation.quantile_ms(0.99);
        let limit_ms = limit.as_secs_f64() * 1e3;
        let refused = if load.interrupted {
            Some("interrupted".to_owned())
        } else if let Some((cause, _)) = totals.errors.iter().max_by_key(|(_, count)| **count) {
            Some(cause.clone())
        } else if totals.dropped > 0 {
            Some("arrivals were dropped".to_owned())
        } else if is_late {
            let late = started_late(totals.late, totals.attempts, "operations", max_lateness_ms);
            Some(format!("{late}, so this says nothing about the servers"))
        } else if p99_ms.is_none_or(|p99| p99 > limit_ms) {
            Some(format!("p99 above {limit_ms} ms"))
        } else {
            None
        };
        Self {
            rate,
            ok: totals.ok,
            failed: totals.failed(),
            dropped: totals.dropped,
            late: totals.late,
            p99_ms: p99_ms.filter(|_| !is_late),
            by_generator: is_late
                && !load.interrupted
                && totals.failed() == 0
                && totals.dropped == 0,
            refused,
        }
    }
}

/// Which rate to try next.
#[derive(Clone, Debug)]
struct Search {
    min: f64,
    max: f64,
    sustained: Option<f64>,
    failed: Option<f64>,
}

impl Search {
    const fn new(min: f64, max: f64) -> Self {
        Self {
            min,
            max,
            sustained: None,
            failed: None,
        }
    }

    fn next(&self) -> Option<f64> {
        match (self.sustained, self.failed) {
            (None, None) => Some(self.min),
            (None, Some(_)) => None,
            (Some(sustained), None) => {
                (sustained < self.max).then(|| self.max.min(sustained * 2.0))
            }
            (Some(sustained), Some(failed)) => {
                (failed > sustained * (1.0 + RESOLUTION)).then(|| f64::midpoint(sustained, failed))
            }
        }
    }

    const fn observe(&mut self, rate: f64, is_sustained: bool) {
        if is_sustained {
            self.sustained = Some(rate);
        } else {
            self.failed = Some(rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use experiment::measure::GeneratorUse;
    use experiment::measure::{ClientTotals, Histogram};

    /// What a search finds at servers that sustain `capacity`, and how many rates it tries.
    fn search(capacity: f64) -> (Option<f64>, usize) {
        let mut search = Search::new(10.0, 1000.0);
        let mut tried = 0;
        while let Some(rate) = search.next() {
            assert!((10.0..=1000.0).contains(&rate));
            search.observe(rate, rate <= capacity);
            tried += 1;
        }
        (search.sustained, tried)
    }

    #[test]
    fn the_highest_sustained_rate_is_found_to_a_twentieth() {
        for capacity in [10.0, 11.0, 100.0, 317.0, 640.0, 999.0] {
            let (found, tried) = search(capacity);
            let found = found.unwrap();
            assert!(
                found <= capacity && found * (1.0 + RESOLUTION) >= capacity,
                "{found} of {capacity}"
            );
            assert!(tried <= 14, "{tried}");
        }
    }

    #[test]
    fn a_search_ends_at_its_bounds() {
        assert_eq!(search(9.0), (None, 1));
        assert_eq!(search(5000.0).0, Some(1000.0));
    }

    const LIMITS: Limits = Limits {
        p99: Duration::from_millis(5),
        min: 10.0,
        max: 1000.0,
        probe: Duration::from_secs(5),
    };

    fn probe_at(rate: f64, change: impl FnOnce(&mut ClientTotals)) -> Probe {
        let mut totals = ClientTotals::default();
        for _ in 0..100 {
            totals.record_success(0, Duration::from_millis(4));
        }
        change(&mut totals);
        let load = LoadResult {
            started: OffsetDateTime::UNIX_EPOCH,
            ended: OffsetDateTime::UNIX_EPOCH,
            interrupted: false,
            lateness: Histogram::default(),
            generator: GeneratorUse::default(),
            variants: vec![totals],
            watched: Default::default(),
        };
        Probe::of(rate, &load, LIMITS.p99, Duration::from_millis(1))
    }

    fn probe(change: impl FnOnce(&mut ClientTotals)) -> Option<String> {
        probe_at(10.0, change).refused
    }

    #[test]
    fn a_late_generator_says_nothing_of_the_servers() {
        let of = |last: fn(&mut ClientTotals)| {
            let probes = vec![
                probe_at(10.0, |_| {}),
                probe_at(20.0, |_| {}),
                probe_at(40.0, |totals| totals.record_failure("tls", "an alert")),
                probe_at(30.0, last),
            ];
            Capacity::of("a".to_owned(), probes, LIMITS)
        };
        let late = of(|totals| totals.late = 50);
        assert_eq!((late.rate, late.by_generator), (Some(20.0), true));
        assert_eq!(late.probes[3].p99_ms, None, "it would be the generator's");
        let failed = of(|totals| totals.record_failure("tls", "an alert"));
        assert_eq!((failed.rate, failed.by_generator), (Some(20.0), false));
        let both = of(|totals| {
            totals.late = 50;
            totals.dropped = 1;
        });
        assert!(!both.by_generator);
    }

    #[test]
    fn a_rate_is_sustained_when_nothing_speaks_against_it() {
        assert_eq!(probe(|_| {}), None);
        assert_eq!(probe(|totals| totals.late = 2), None);
        let refused = |change: fn(&mut ClientTotals)| probe(change).unwrap();
        assert_eq!(
            refused(|totals| totals.record_failure("tls", "an alert")),
            "tls: an alert"
        );
        assert_eq!(
            refused(|totals| totals.dropped = 1),
            "arrivals were dropped"
        );
        assert_eq!(
            refused(|totals| totals.late = 3),
            "3 of 100 operations (3.0 %) started more than 1 ms late; the limit is 1 %, so this says nothing about the servers"
        );
        let slow = |totals: &mut ClientTotals| {
            (0..2).for_each(|_| totals.record_success(0, Duration::from_millis(6)));
        };
        assert_eq!(refused(slow), "p99 above 5 ms");
    }
}
