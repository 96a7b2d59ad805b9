//! What a process did to learn of landmarks and of what is revoked, and when it knew of which landmark.
//!
//! ```text
//!  NRF   landmark ──> Learning::published ─────────────────┐
//!  NF    look, new trust ──> Learning::learners, by process ┴─> what looks cost, how long which landmark was known where and was not
//! ```
//!
//! Times are by the wall clock of each process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mtc_core::id::{LandmarkNumber, LogNumber};
use serde::{Deserialize, Serialize};

use super::nanoseconds;

/// Landmarks that a process remembers the times of: an hour of one each 3.5 seconds, or six weeks of one an hour.
const MAX_REMEMBERED: usize = 1024;

/// What a look at the logs, or into a folder of trusted sets, has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Other landmarks than before, be it that one has expired, or something else revoked.
    New,
    /// Nothing new.
    Unchanged,
    /// It failed.
    Failed,
}

impl Look {
    /// Label of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

/// Sums over looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookTotals {
    /// How many.
    pub count: u64,
    /// Octets that they read from the logs or of sets, without those of HTTP.
    pub octets: u64,
    /// Their CPU time in nanoseconds, verification included and connections not.
    pub cpu_ns: u64,
}

impl LookTotals {
    /// Adds other looks.
    pub fn merge(&mut self, other: &Self) {
        self.combine(other, u64::saturating_add);
    }

    fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self {
            count,
            octets,
            cpu_ns,
        } = other;
        self.count = with(self.count, *count);
        self.octets = with(self.octets, *octets);
        self.cpu_ns = with(self.cpu_ns, *cpu_ns);
    }
}

/// A landmark of the CA's, by the log and its number; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LandmarkName {
    /// The log's number.
    pub log: u16,
    /// The landmark's number.
    pub landmark: u64,
}

impl From<(LogNumber, LandmarkNumber)> for LandmarkName {
    fn from((log, landmark): (LogNumber, LandmarkNumber)) -> Self {
        Self {
            log: log.get(),
            landmark: landmark.0,
        }
    }
}

/// When something became of a landmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LandmarkTime {
    /// The landmark.
    #[serde(flatten)]
    pub landmark: LandmarkName,
    /// Unix time in milliseconds.
    pub at_ms: u64,
}

/// What one process did and knew over a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learner {
    /// Tells it from others: when it began to follow the logs, Unix time in nanoseconds.
    pub process: u64,
    /// Begin of the while, Unix time in milliseconds.
    pub since_ms: u64,
    /// Its end.
    pub until_ms: u64,
    /// The newest landmark that was trusted at the begin.
    pub known: Option<LandmarkName>,
    /// Landmarks that then became the newest one that is trusted, in the order of time; of very many the last.
    pub learned: Vec<LandmarkTime>,
    /// How many there were, which tells a later report from an earlier one.
    pub learned_count: u64,
    /// Looks that found something.
    pub new: LookTotals,
    /// Looks that found nothing.
    pub unchanged: LookTotals,
    /// Looks that failed.
    pub failed: LookTotals,
}

impl Learner {
    /// A process that begins now.
    pub(super) fn begin() -> Self {
        let now = unix_time();
        Self {
            process: nanoseconds(now),
            since_ms: milliseconds(now),
            until_ms: milliseconds(now),
            ..Self::default()
        }
    }

    /// Counts a look and what it cost.
    pub(super) fn record(&mut self, look: Look, octets: u64, cpu: Duration) {
        let totals = match look {
            Look::New => &mut self.new,
            Look::Unchanged => &mut self.unchanged,
            Look::Failed => &mut self.failed,
        };
        totals.merge(&LookTotals {
            count: 1,
            octets,
            cpu_ns: nanoseconds(cpu),
        });
    }

    /// Notes that this is the newest landmark that is trusted from now on.
    pub(super) fn trusts(&mut self, landmark: LandmarkName) {
        if self.newest() != Some(landmark) {
            self.learned_count += 1;
            remember(&mut self.learned, landmark);
        }
    }

    /// As it is now.
    pub(super) fn until_now(&self) -> Self {
        Self {
            until_ms: milliseconds(unix_time()),
            ..self.clone()
        }
    }

    /// The newest landmark that is trusted at the end.
    pub fn newest(&self) -> Option<LandmarkName> {
        let last = self.learned.last();
        last.map(|learned| learned.landmark).or(self.known)
    }

    /// What became of an earlier report of the same process.
    fn since(&self, earlier: &Self) -> Self {
        let learned_count = self.learned_count.saturating_sub(earlier.learned_count);
        let later = usize::try_from(learned_count).unwrap_or(usize::MAX);
        let mut since = Self {
            since_ms: earlier.until_ms,
            known: earlier.newest(),
            learned: self.learned[self.learned.len().saturating_sub(later)..].to_vec(),
            learned_count,
            ..self.clone()
        };
        since.combine(earlier, u64::saturating_sub);
        since
    }

    fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        self.new.combine(&other.new, with);
        self.unchanged.combine(&other.unchanged, with);
        self.failed.combine(&other.failed, with);
    }

    /// Adds what the same process did and knew in the while that follows.
    fn append(&mut self, next: &Self) {
        self.until_ms = next.until_ms;
        self.learned.extend(&next.learned);
        self.learned_count += next.learned_count;
        self.combine(next, u64::saturating_add);
    }
}

/// What processes did to learn of landmarks, and when which were published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Learning {
    /// By process; one that was started again is two, and one that was not seen in between too.
    pub learners: Vec<Learner>,
    /// When landmarks were published, by number; of very many the last. Only an NRF knows.
    pub published: Vec<LandmarkTime>,
}

impl Learning {
    /// Whether there is nothing.
    pub const fn is_empty(&self) -> bool {
        self.learners.is_empty() && self.published.is_empty()
    }

    /// Notes that a landmark is published from now on.
    pub(super) fn publish(&mut self, landmark: LandmarkName) {
        remember(&mut self.published, landmark);
    }

    /// Adds what others report, or the same ones of the while that follows: one entry for each landmark of a run or an observation.
    pub fn merge(&mut self, other: &Self) {
        for theirs in &other.learners {
            let follows = |mine: &&mut Learner| {
                mine.process == theirs.process && mine.until_ms == theirs.since_ms
            };
            match self.learners.iter_mut().find(follows) {
                Some(mine) => mine.append(theirs),
                None => self.learners.push(theirs.clone()),
            }
        }
        self.published.extend(&other.published);
        self.published.sort_unstable();
        self.published.dedup_by_key(|published| published.landmark);
    }

    /// What was done and learned after `earlier`, an older report of the same processes or of those before them. What was published before
    /// stays: processes know of it, or do not.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let since = |later: &Learner| {
            let mut before = earlier.learners.iter();
            let before = before.find(|before| before.process == later.process);
            before.map_or_else(|| later.clone(), |before| later.since(before))
        };
        Self {
            learners: self.learners.iter().map(since).collect(),
            published: self.published.clone(),
        }
    }
}

fn remember(times: &mut Vec<LandmarkTime>, landmark: LandmarkName) {
    if times.len() == MAX_REMEMBERED {
        times.remove(0);
    }
    let at_ms = milliseconds(unix_time());
    times.push(LandmarkTime { landmark, at_ms });
}

/// The system's, which other processes have too: no clock of a scenario would do.
fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn name(landmark: u64) -> LandmarkName {
        LandmarkName { log: 1, landmark }
    }

    fn learned(learner: &Learner) -> Vec<u64> {
        let learned = learner.learned.iter();
        learned.map(|learned| learned.landmark.landmark).collect()
    }

    /// A process that has looked and learned so far.
    fn learner(until_ms: u64, landmarks: &[u64], unchanged: u64) -> Learner {
        let mut learner = Learner {
            process: 7,
            since_ms: 1000,
            until_ms,
            ..Learner::default()
        };
        for landmark in landmarks {
            learner.record(Look::New, 14_000, Duration::from_micros(400));
            learner.trusts(name(*landmark));
        }
        for _ in 0..unchanged {
            learner.record(Look::Unchanged, 22, Duration::from_micros(75));
        }
        learner
    }

    fn learning(learner: Learner) -> Learning {
        Learning {
            learners: vec![learner],
            published: Vec::new(),
        }
    }

    #[test]
    fn what_was_done_before_the_while_is_left_out_and_what_was_known_is_not() {
        let earlier = learning(learner(2000, &[1, 2], 10));
        let later = learning(learner(9000, &[1, 2, 3, 5], 50));
        let since = later.since(&earlier);
        let since = &since.learners[0];
        assert_eq!((since.since_ms, since.until_ms), (2000, 9000));
        assert_eq!((since.known, learned(since)), (Some(name(2)), vec![3, 5]));
        assert_eq!((since.new.count, since.unchanged.count), (2, 40));
        assert_eq!((since.new.octets, since.unchanged.octets), (28_000, 880));
        assert_eq!(since.new.cpu_ns, 800_000);
    }

    #[test]
    fn whiles_that_follow_each_other_are_one_and_the_same_as_the_whole() {
        let reports = [(2000, 1, 10), (3000, 2, 11), (5000, 2, 30), (9000, 4, 50)];
        let reports = reports.map(|(until, landmarks, unchanged)| {
            learning(learner(until, &[1, 2, 3, 5][..landmarks], unchanged))
        });
        let mut sum = Learning::default();
        for pair in reports.windows(2) {
            sum.merge(&pair[1].since(&pair[0]));
        }
        assert_eq!(sum, reports[3].since(&reports[0]));
    }

    #[test]
    fn a_process_that_was_started_again_is_another_and_counts_from_its_start() {
        let earlier = learning(learner(2000, &[1, 2], 10));
        let again = learning(Learner {
            process: 8,
            ..learner(9000, &[2], 3)
        });
        assert_eq!(again.since(&earlier), again);
        let mut both = earlier;
        both.merge(&again);
        assert_eq!(both.learners.len(), 2);
    }

    #[test]
    fn the_same_landmark_is_learned_once_and_an_older_one_when_somebody_goes_back() {
        let mut learner = learner(2000, &[1, 2], 0);
        learner.trusts(name(2));
        assert_eq!(learned(&learner), [1, 2]);
        learner.trusts(name(1));
        assert_eq!(learned(&learner), [1, 2, 1]);
    }

    #[test]
    fn no_more_is_remembered_than_the_bound_and_the_count_goes_on() {
        let all: Vec<u64> = (1..=MAX_REMEMBERED as u64 + 5).collect();
        let earlier = learning(learner(2000, &all[..MAX_REMEMBERED + 3], 0));
        let later = learning(learner(9000, &all, 0));
        let whole = &later.learners[0];
        assert_eq!((whole.learned.len(), learned(whole)[0]), (1024, 6));
        let since = later.since(&earlier);
        assert_eq!(learned(&since.learners[0]), [1028, 1029]);
    }

    #[test]
    fn a_landmark_was_published_when_it_was_said_to_be_first() {
        let at = |landmark, at_ms| LandmarkTime {
            landmark: name(landmark),
            at_ms,
        };
        let published = |published: &[LandmarkTime]| Learning {
            learners: Vec::new(),
            published: published.to_vec(),
        };
        let mut sum = published(&[at(2, 20)]);
        sum.merge(&published(&[at(1, 10), at(2, 25)]));
        assert_eq!(sum, published(&[at(1, 10), at(2, 20)]));
    }
}
