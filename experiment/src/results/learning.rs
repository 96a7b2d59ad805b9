//! What it takes a process to learn of landmarks and of what is revoked, and how old what it knows is.
//!
//! ```text
//!  published       1           2                 3
//!  known           ──── 1 ────────────┬───────── 2 ─────────┬── 3
//!  age             of 1, then of 2 ───┘                     of 3
//!  behind                      ┌──────┐          ┌──────────┐           0 elsewhere
//! ```
//!
//! Both change evenly between these moments, so their quantiles over time are exact, and those of a handshake at a random moment.

use std::collections::BTreeMap;
use std::time::Duration;

use sbi::config::default_trust_interval;
use sbi::ledger::{LandmarkName, LandmarkTime, Learner, Learning, LookTotals};
use serde::{Deserialize, Serialize};

use super::rounding::{microseconds, to_tenth, to_thousandth};
use crate::scenario::{Distribution, Nf};

const DAY: Duration = Duration::from_secs(86_400);
/// What `day` takes for the time between two landmarks where the lab's is for a short run.
const LANDMARKS_EVERY: Duration = Duration::from_secs(3600);
/// Halvings of an interval until it is below a microsecond, be it a year.
const HALVINGS: u32 = 45;

/// What the processes of one kind did to learn of landmarks and of what is revoked, in the measured part alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearningResult {
    /// What they are: `amf`, `distributor`.
    pub nf: String,
    /// How many, one that was started again twice.
    pub processes: u64,
    /// Seconds for which they were seen, all together.
    pub seen_s: f64,
    /// Bytes that they read from the logs or of trusted sets, without those of HTTP.
    pub bytes: u64,
    /// CPU time of it, verification included and connections not, in seconds.
    pub cpu_s: f64,
    /// Looks that found landmarks or revocations that were new to them.
    pub new: LookResult,
    /// Looks that found nothing.
    pub unchanged: LookResult,
    /// Looks that failed.
    pub failed: LookResult,
    /// From a landmark's publication to when it was trusted, or a later one, in seconds: over landmarks and processes. Like what follows none
    /// where nobody has told when landmarks were published.
    pub learned_after_s: Option<Spread>,
    /// How old the newest landmark that they trusted was, in seconds: over the time for which they were seen.
    pub age_s: Option<Spread>,
    /// For how many seconds there had been a later one, 0 where there was none: over the same time.
    pub behind_s: Option<Spread>,
    /// Share of that time in which there was a later one.
    pub behind_share: Option<f64>,
    /// What a day of one process comes to: computed, not measured. None where a figure that it needs was not measured.
    pub day: Option<LearningDay>,
}

/// Looks of one outcome.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LookResult {
    /// How many.
    pub count: u64,
    /// Mean bytes of one.
    pub bytes: Option<f64>,
    /// Mean CPU time of one, in microseconds.
    pub cpu_us: Option<f64>,
}

/// A distribution of seconds in three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Median.
    pub p50: f64,
    /// 99 % are not longer.
    pub p99: f64,
    /// Longest.
    pub max: f64,
}

/// A day of one process, computed from what its looks cost on average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearningDay {
    /// How it is computed.
    pub basis: String,
    /// Looks that find something.
    pub new: f64,
    /// Looks that find nothing.
    pub unchanged: f64,
    /// Bytes that it reads.
    pub bytes: f64,
    /// CPU time in seconds.
    pub cpu_s: f64,
}

impl LearningResult {
    /// What each kind of process did, by name. `way` is how the lab distributes landmarks, if that is known: a day then has the looks of an
    /// operator's cadence and not of the lab's.
    pub(super) fn all(
        learning: &BTreeMap<String, Learning>,
        way: Option<Distribution>,
    ) -> Vec<Self> {
        let mut published = Learning::default();
        learning.values().for_each(|of| published.merge(of));
        let published = published.published;
        let following = learning.iter().filter(|(_, of)| !of.learners.is_empty());
        let of = |(nf, learning): (&String, &Learning)| {
            Self::of(nf, &learning.learners, &published, way)
        };
        following.map(of).collect()
    }

    fn of(
        nf: &str,
        learners: &[Learner],
        published: &[LandmarkTime],
        way: Option<Distribution>,
    ) -> Self {
        let sum = |of: fn(&Learner) -> LookTotals| {
            let mut sum = LookTotals::default();
            learners.iter().for_each(|learner| sum.merge(&of(learner)));
            sum
        };
        let looks = [
            sum(|learner| learner.new),
            sum(|learner| learner.unchanged),
            sum(|learner| learner.failed),
        ];
        let [new, unchanged, failed] = looks.map(|totals| LookResult::of(&totals));
        let mut processes: Vec<u64> = learners.iter().map(|learner| learner.process).collect();
        processes.sort_unstable();
        processes.dedup();
        let seen_s: f64 = learners
            .iter()
            .map(|learner| seconds_between(learner.since_ms, learner.until_ms))
            .sum();
        let mut known = Known::default();
        learners
            .iter()
            .for_each(|learner| known.add(learner, published));
        let is_behind_s = known.is_behind_s();
        let cpu_ns: u64 = looks.iter().map(|of| of.cpu_ns).sum();
        Self {
            nf: nf.to_owned(),
            processes: processes.len() as u64,
            seen_s: to_thousandth(seen_s),
            bytes: looks.iter().map(|of| of.octets).sum(),
            cpu_s: to_millionth(cpu_ns as f64 / 1e9),
            learned_after_s: Spread::of_values(&known.learned_after),
            age_s: Spread::over_time(&known.ages, 0.0),
            behind_s: Spread::over_time(&known.later_ones, known.lasted_s - is_behind_s),
            behind_share: (known.lasted_s > 0.0)
                .then(|| to_thousandth(is_behind_s / known.lasted_s)),
            day: LearningDay::of(nf, &new, &unchanged, seen_s, way),
            new,
            unchanged,
            failed,
        }
    }
}

impl LookResult {
    fn of(totals: &LookTotals) -> Self {
        let mean = |sum: u64| (totals.count > 0).then(|| sum as f64 / totals.count as f64);
        Self {
            count: totals.count,
            bytes: mean(totals.octets).map(to_tenth),
            cpu_us: mean(totals.cpu_ns).map(microseconds),
        }
    }
}

impl LearningDay {
    fn of(
        nf: &str,
        new: &LookResult,
        unchanged: &LookResult,
        seen_s: f64,
        way: Option<Distribution>,
    ) -> Option<Self> {
        let (news, nothings, basis) = match way {
            Some(way) => {
                let interval = usual_interval(nf, way);
                let news = DAY.as_secs_f64() / LANDMARKS_EVERY.as_secs_f64();
                let looks = DAY.as_secs_f64() / interval.as_secs_f64();
                let basis = format!(
                    "a new landmark each hour, a look each {} s, and what looks cost on average here",
                    interval.as_secs()
                );
                (news, looks - news, basis)
            }
            None => {
                let rate = |of: &LookResult| of.count as f64 * DAY.as_secs_f64() / seen_s;
                let basis = "as many looks and new landmarks a second as here".to_owned();
                (rate(new), rate(unchanged), basis)
            }
        };
        let sum = |of: fn(&LookResult) -> Option<f64>| {
            let part = |count: f64, look| match of(look) {
                Some(mean) => Some(count * mean),
                None => (count == 0.0).then_some(0.0),
            };
            Some(part(news, new)? + part(nothings, unchanged)?)
        };
        let is_seen = seen_s > 0.0 && new.count + unchanged.count > 0;
        Some(Self {
            bytes: sum(|look| look.bytes).filter(|_| is_seen)?.round(),
            cpu_s: to_thousandth(sum(|look| look.cpu_us)? / 1e6),
            new: to_tenth(news),
            unchanged: to_tenth(nothings),
            basis,
        })
    }
}

/// How often a process looks with this way of distribution where nothing else is configured. NRF and distributor ask the logs in every way.
fn usual_interval(nf: &str, way: Distribution) -> Duration {
    let usual = Duration::from_millis(default_trust_interval());
    let asks = [Nf::Nrf, Nf::Distributor].map(Nf::as_str);
    if asks.contains(&nf) {
        usual
    } else {
        way.interval(usual)
    }
}

/// What processes knew over the time for which they knew anything.
#[derive(Default)]
struct Known {
    lasted_s: f64,
    learned_after: Vec<f64>,
    ages: Vec<Ramp>,
    later_ones: Vec<Ramp>,
}

/// An age, in seconds: it grows with time, from `from` on for so long.
struct Ramp {
    from: f64,
    lasts: f64,
}

impl Known {
    /// Adds what a process knew of landmarks, which were published at these times.
    fn add(&mut self, learner: &Learner, published: &[LandmarkTime]) {
        if published.is_empty() {
            return;
        }
        let begin = learner.known.map(|landmark| LandmarkTime {
            landmark,
            at_ms: learner.since_ms,
        });
        let times: Vec<_> = begin.into_iter().chain(learner.learned.clone()).collect();
        let ends = times.iter().skip(1).map(|next| next.at_ms);
        for (known, end_ms) in times.iter().zip(ends.chain([learner.until_ms])) {
            self.add_while(*known, end_ms, published);
        }
        for step in times.windows(2) {
            let (before, now) = (step[0].landmark, step[1].landmark);
            let learned = published
                .iter()
                .filter(|of| before < of.landmark && of.landmark <= now);
            self.learned_after
                .extend(learned.map(|of| seconds_between(of.at_ms, step[1].at_ms)));
        }
    }

    /// Adds the time until `end_ms`, from `known.at_ms` on, in which nothing later was known.
    fn add_while(&mut self, known: LandmarkTime, end_ms: u64, published: &[LandmarkTime]) {
        let LandmarkTime { landmark, at_ms } = known;
        self.lasted_s += seconds_between(at_ms, end_ms);
        let first = |is_it: &dyn Fn(LandmarkName) -> bool| {
            let found = published.iter().find(|of| is_it(of.landmark));
            found.map(|of| of.at_ms)
        };
        if let Some(published_ms) = first(&|of| of == landmark) {
            self.ages.push(Ramp {
                from: seconds_between(published_ms, at_ms),
                lasts: seconds_between(at_ms, end_ms),
            });
        }
        if let Some(later_ms) = first(&|of| of > landmark).filter(|later_ms| *later_ms < end_ms) {
            let begin_ms = later_ms.max(at_ms);
            self.later_ones.push(Ramp {
                from: seconds_between(later_ms, begin_ms),
                lasts: seconds_between(begin_ms, end_ms),
            });
        }
    }

    fn is_behind_s(&self) -> f64 {
        self.later_ones.iter().map(|ramp| ramp.lasts).sum()
    }
}

impl Spread {
    /// The quantiles of single values; none of none.
    fn of_values(values: &[f64]) -> Option<Self> {
        let max = values.iter().copied().reduce(f64::max)?;
        let below = |value: f64| values.iter().filter(|of| **of <= value).count() as f64;
        Some(Self::of(max, values.len() as f64, below))
    }

    /// The quantiles over time of what ramps go through, where it is zero for so long besides; none where that is no time.
    fn over_time(ramps: &[Ramp], zero_s: f64) -> Option<Self> {
        let lasted_s = zero_s + ramps.iter().map(|ramp| ramp.lasts).sum::<f64>();
        let ends = ramps.iter().map(|ramp| ramp.from + ramp.lasts);
        let below = |value: f64| {
            let times = ramps.iter();
            zero_s
                + times
                    .map(|ramp| (value - ramp.from).clamp(0.0, ramp.lasts))
                    .sum::<f64>()
        };
        (lasted_s > 0.0).then(|| Self::of(ends.fold(0.0, f64::max), lasted_s, below))
    }

    /// Where so much of `all` is not above a value as `below` says, which is all of it at the greatest one.
    fn of(max: f64, all: f64, below: impl Fn(f64) -> f64) -> Self {
        let quantile = |wanted: f64| {
            let (mut low, mut high) = (0.0, max);
            for _ in 0..HALVINGS {
                let middle = (low + high) / 2.0;
                if below(middle) < wanted * all {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            to_thousandth(high)
        };
        Self {
            p50: quantile(0.5),
            p99: quantile(0.99),
            max: to_thousandth(max),
        }
    }
}

fn seconds_between(earlier_ms: u64, later_ms: u64) -> f64 {
    later_ms.saturating_sub(earlier_ms) as f64 / 1e3
}

fn to_millionth(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const fn name(landmark: u64) -> LandmarkName {
        LandmarkName { log: 1, landmark }
    }

    fn times(of: &[(u64, f64)]) -> Vec<LandmarkTime> {
        let time = |(landmark, at_s): &(u64, f64)| LandmarkTime {
            landmark: name(*landmark),
            at_ms: (at_s * 1e3).round() as u64,
        };
        of.iter().map(time).collect()
    }

    fn looks(count: u64, octets: u64, cpu_ns: u64) -> LookTotals {
        LookTotals {
            count,
            octets: count * octets,
            cpu_ns: count * cpu_ns,
        }
    }

    /// From 5 s to 25 s: landmarks come at 0, 10 and 20 s, the second is learned at 12 s, the third is not.
    fn learner() -> Learner {
        Learner {
            process: 7,
            since_ms: 5_000,
            until_ms: 25_000,
            known: Some(name(1)),
            learned: times(&[(2, 12.0)]),
            learned_count: 1,
            new: looks(1, 14_500, 400_000),
            unchanged: looks(79, 54, 75_000),
            failed: LookTotals::default(),
        }
    }

    /// An AMF that asks the log, and the NRF that has told when landmarks were published.
    pub(crate) fn learning() -> BTreeMap<String, Learning> {
        let amf = Learning {
            learners: vec![learner()],
            published: Vec::new(),
        };
        let nrf = Learning {
            learners: Vec::new(),
            published: times(&[(1, 0.0), (2, 10.0), (3, 20.0)]),
        };
        [("amf".to_owned(), amf), ("nrf".to_owned(), nrf)].into()
    }

    fn result(learning: &BTreeMap<String, Learning>, way: Option<Distribution>) -> LearningResult {
        let mut all = LearningResult::all(learning, way);
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    #[test]
    fn ages_are_those_of_every_moment_and_not_of_looks_alone() {
        let amf = result(&learning(), None);
        let spread = |p50, p99, max| Some(Spread { p50, p99, max });
        assert_eq!(
            (amf.nf.as_str(), amf.processes, amf.seen_s),
            ("amf", 1, 20.0)
        );
        assert_eq!(amf.learned_after_s, spread(2.0, 2.0, 2.0));
        // Behind for 2 s and for 5 s of 20; of the first landmark's age 5 to 12 s are seen, of the second's 2 to 15.
        assert_eq!(amf.behind_share, Some(0.35));
        assert_eq!(amf.behind_s, spread(0.0, 4.8, 5.0));
        assert_eq!(amf.age_s, spread(8.5, 14.8, 15.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn quantiles_are_those_of_moments_a_millisecond_apart(
            // How long after the one before a landmark comes, and how much later it would be known.
            schedule in vec((1_u64..4000, 0_u64..6000), 1..8),
            after_ms in 1_u64..3000,
        ) {
            let (mut at_ms, mut published, mut learned) = (0, Vec::new(), Vec::new());
            for (landmark, (pause_ms, late_ms)) in (1..).map(name).zip(schedule) {
                at_ms += pause_ms;
                published.push(LandmarkTime { landmark, at_ms });
                let known = LandmarkTime { landmark, at_ms: at_ms + late_ms };
                if learned.last().is_none_or(|last: &LandmarkTime| last.at_ms < known.at_ms) {
                    learned.push(known);
                }
            }
            let until_ms = learned[learned.len() - 1].at_ms + after_ms;
            let [mut ages, mut behind] = [Vec::new(), Vec::new()];
            for now in learned[0].at_ms..until_ms {
                let known = learned.iter().rfind(|of| of.at_ms <= now).expect("the first");
                let mut published = published.iter().skip_while(|of| of.landmark < known.landmark);
                ages.push(now - published.next().expect("what is known").at_ms);
                behind.push(published.next().map_or(0, |later| now.saturating_sub(later.at_ms)));
            }
            let learner = Learner { until_ms, learned, ..Learner::default() };
            let learning = Learning { learners: vec![learner], published };
            let result = result(&[("smf".to_owned(), learning)].into(), None);
            for (mut moments, spread) in [(ages, result.age_s), (behind, result.behind_s)] {
                moments.sort_unstable();
                let spread = spread.expect("times");
                for (share, found_s) in [(0.5, spread.p50), (0.99, spread.p99), (1.0, spread.max)] {
                    let of_all = ((moments.len() - 1) as f64 * share).round() as usize;
                    let expected_s = moments[of_all] as f64 / 1e3;
                    prop_assert!((expected_s - found_s).abs() <= 0.003, "{share}: {expected_s} {found_s}");
                }
            }
        }
    }

    #[test]
    fn looks_are_summed_and_a_day_is_computed_from_their_means() {
        let amf = result(&learning(), Some(Distribution::Each));
        assert_eq!((amf.bytes, amf.cpu_s), (14_500 + 79 * 54, 0.006_325));
        assert_eq!(
            (amf.new.bytes, amf.unchanged.cpu_us),
            (Some(14_500.0), Some(75.0))
        );
        assert_eq!((amf.failed.count, amf.failed.bytes), (0, None));
        // 24 landmarks and 8,616 looks that find nothing.
        let day = amf.day.expect("both means");
        assert_eq!((day.new, day.unchanged), (24.0, 8616.0));
        assert_eq!(day.bytes, 24.0 * 14_500.0 + 8616.0 * 54.0);
        assert_eq!(day.cpu_s, to_thousandth(24.0 * 400e-6 + 8616.0 * 75e-6));
        let rarely = result(&learning(), Some(Distribution::ConfigMap)).day;
        let rarely = rarely.expect("both means");
        assert_eq!(rarely.unchanged, 1416.0);
        // Where nobody knows a cadence, it goes on as it did for 20 s.
        let day = result(&learning(), None).day.expect("both means");
        assert_eq!((day.new, day.unchanged), (4320.0, 79.0 * 4320.0));
    }

    #[test]
    fn what_was_not_measured_is_not_made_up() {
        let mut learning = learning();
        learning.remove("nrf");
        let amf = learning.get_mut("amf").expect("an AMF");
        amf.learners[0].new = LookTotals::default();
        let amf = result(&learning, Some(Distribution::Each));
        assert_eq!(
            (amf.age_s, amf.behind_s, amf.behind_share),
            (None, None, None)
        );
        assert_eq!((amf.learned_after_s, amf.day), (None, None));
    }

    #[test]
    fn a_distributor_asks_at_its_own_cadence_whatever_its_readers_do() {
        let way = Distribution::ConfigMap;
        assert_eq!(usual_interval("distributor", way), Duration::from_secs(10));
        assert_eq!(usual_interval("smf", way), Duration::from_secs(60));
    }
}
