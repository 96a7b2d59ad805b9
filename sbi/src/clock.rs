//! The wall clock as what it is: something that may be wrong at the start, and may step at any moment.
//!
//! ```text
//!  await_set      nothing that has to do with certificates begins before the clock has been set
//!  await_time     a time of the wall clock, awaited by looks at it: a monotonic timer alone misses steps
//!  StepWatch      wall clock against monotonic clock: "the clock stepped by +3600 s"
//!  watch          the same for a process: in the log, and counted
//! ```
//!
//! Steps come of NTP, of an operator, and of a machine that slept: the monotonic clock stands still meanwhile.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use mtc_core::time::UnixTime;
use mtc_tls::clock::Clock;
use tokio::time::sleep;

use crate::metrics::Metrics;

/// Longest time between two looks at the wall clock: how late a step is noticed.
const LOOK: Duration = Duration::from_secs(1);
/// Least step that is told. Slewing moves a clock by half a millisecond in a second (RFC 5905: 500 ppm), and between the
/// two readings of a look a thread may be kept waiting; certificates know whole seconds.
const LEAST_STEP: Duration = Duration::from_secs(1);
/// 2025-01-01: no clock that has been set says less, for this program is younger.
const SET: UnixTime = UnixTime(1_735_689_600);

/// Waits until `time` by `clock`, however the clock gets there.
///
/// Dropping the future loses nothing.
pub async fn await_time(clock: Clock, time: UnixTime) {
    loop {
        let left = time.0.saturating_sub(clock.now().0);
        if left == 0 {
            return;
        }
        sleep(Duration::from_secs(left).min(LOOK)).await;
    }
}

/// Waits until `clock` has been set: a board without a battery starts in 1970, and what it then signed or judged would be
/// wrong. Says so once.
///
/// Dropping the future loses nothing.
pub async fn await_set(clock: Clock) {
    let now = clock.now();
    if now >= SET {
        return;
    }
    tracing::error!(
        %now,
        "the clock of this machine is not set: waiting until it is, by NTP or date -s; nothing is signed or verified until then"
    );
    await_time(clock, SET).await;
    tracing::info!(now = %clock.now(), "the clock has been set");
}

/// A step of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// By how many milliseconds; negative if it was set back.
    pub by_ms: i64,
}

impl ClockStep {
    /// Whether it was set back.
    pub const fn is_backward(self) -> bool {
        self.by_ms < 0
    }
}

impl fmt::Display for ClockStep {
    /// `+3600 s`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+} s", (self.by_ms as f64 / 1000.0).round())
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    monotonic: Instant,
    /// Milliseconds since 1970, before which they are negative.
    wall_ms: i64,
}

impl Reading {
    fn now() -> Self {
        let monotonic = Instant::now();
        let milliseconds = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let wall_ms = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => milliseconds(after),
            Err(before) => -milliseconds(before.duration()),
        };
        Self { monotonic, wall_ms }
    }

    /// By how much the wall clock moved more than the monotonic one from `earlier` to this.
    fn step_since(self, earlier: Self) -> Option<ClockStep> {
        let passed = self.monotonic.saturating_duration_since(earlier.monotonic);
        let passed = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        let moved = self.wall_ms.saturating_sub(earlier.wall_ms);
        let by_ms = moved.saturating_sub(passed);
        let least = LEAST_STEP.as_millis();
        (u128::from(by_ms.unsigned_abs()) >= least).then_some(ClockStep { by_ms })
    }
}

/// Notices steps from one look to the next.
#[derive(Debug)]
pub struct StepWatch {
    last: Reading,
}

impl StepWatch {
    /// Begins now.
    pub fn begin() -> Self {
        Self {
            last: Reading::now(),
        }
    }

    /// The step since the last look, if there was one. A clock that is slewed makes none, if looks are frequent.
    pub fn look(&mut self) -> Option<ClockStep> {
        let now = Reading::now();
        let step = now.step_since(self.last);
        self.last = now;
        step
    }
}

/// Tells steps of the clock for ever.
pub async fn watch(metrics: Metrics) {
    let mut watch = StepWatch::begin();
    loop {
        sleep(LOOK).await;
        let Some(step) = watch.look() else { continue };
        tracing::warn!(%step, "the clock stepped");
        let direction = if step.is_backward() {
            "backward"
        } else {
            "forward"
        };
        metrics.clock_steps.with_label_values(&[direction]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(wall_ms: i64, passed: Duration) -> Option<ClockStep> {
        let earlier = Reading {
            monotonic: Instant::now(),
            wall_ms: 1_800_000_000_000,
        };
        let later = Reading {
            monotonic: earlier.monotonic + passed,
            wall_ms: earlier.wall_ms + wall_ms,
        };
        later.step_since(earlier)
    }

    #[test]
    fn a_step_is_what_the_wall_clock_moved_more_than_the_monotonic_one() {
        let second = Duration::from_secs(1);
        assert_eq!(after(1000, second), None);
        assert_eq!(after(1999, second), None, "slewed, or read late");
        assert_eq!(
            after(3_601_000, second),
            Some(ClockStep { by_ms: 3_600_000 })
        );
        assert_eq!(after(-39_000, second), Some(ClockStep { by_ms: -40_000 }));
        assert_eq!(
            after(0, second),
            Some(ClockStep { by_ms: -1000 }),
            "stopped"
        );
    }

    #[test]
    fn steps_are_told_in_whole_seconds_with_their_sign() {
        assert_eq!(ClockStep { by_ms: 3_600_012 }.to_string(), "+3600 s");
        assert_eq!(ClockStep { by_ms: -40_001 }.to_string(), "-40 s");
    }

    #[tokio::test]
    async fn a_time_that_has_come_is_not_awaited_and_a_set_clock_neither() {
        let clock = Clock::default();
        await_time(clock, clock.now()).await;
        await_set(clock).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_not_set_is_waited_for() {
        let clock = Clock {
            offset_seconds: -(1 << 40),
        };
        assert_eq!(clock.unix_seconds(), 0);
        let waited = tokio::time::timeout(Duration::from_secs(60), await_set(clock));
        assert!(waited.await.is_err());
    }
}
