//! The second before a load: how punctual this machine is while nothing is measured.
//!
//! ```text
//!  |<------------- 1 s ------------->|
//!  sleep 2 ms, late by ...  500 times     how punctual a thread is, as the pacer of arrivals is one
//!  /proc/stat             /proc/stat      which share of the processors was busy, so with other programs
//! ```

use std::thread::sleep;
use std::time::{Duration, Instant};

use experiment::measure::Histogram;
use experiment::results::Preflight;
use experiment::scenario::LoadPlan;

/// One in a hundred that is late must be several.
const WAKES: u32 = 500;
const EVERY: Duration = Duration::from_millis(2);
const STAT: &str = "/proc/stat";

/// Looks at the machine for a second, for a load of this plan.
pub(crate) async fn preflight(plan: &LoadPlan) -> Preflight {
    let (max_lateness, adapts) = (plan.max_lateness, plan.adapt_rate);
    let looked = tokio::task::spawn_blocking(move || look(max_lateness, adapts));
    looked.await.expect("sleeping and reading do not panic")
}

fn look(max_lateness: Duration, adapts: bool) -> Preflight {
    let mut lateness = Histogram::default();
    let mut late = 0;
    let before = Processors::now();
    let began = Instant::now();
    for wake in 1..=WAKES {
        let due = began + EVERY * wake;
        sleep(due.saturating_duration_since(Instant::now()));
        let by = due.elapsed();
        late += u64::from(by > max_lateness);
        lateness.record(by);
    }
    let busy = before
        .zip(Processors::now())
        .and_then(|(before, after)| after.busy_since(before));
    Preflight::of(&lateness, late, max_lateness, busy, adapts)
}

/// Time of all processors since the machine started, in ticks.
#[derive(Clone, Copy)]
struct Processors {
    idle: u64,
    all: u64,
}

impl Processors {
    /// None if the system does not tell.
    fn now() -> Option<Self> {
        Self::read(&std::fs::read_to_string(STAT).ok()?)
    }

    /// Of proc(5): `cpu  user nice system idle iowait irq softirq steal guest guest_nice`, where user holds guest.
    fn read(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Result<Vec<u64>, _> = line.split_whitespace().take(8).map(str::parse).collect();
        let ticks = ticks.ok()?;
        let (idle, iowait) = (ticks.get(3)?, ticks.get(4)?);
        Some(Self {
            idle: idle + iowait,
            all: ticks.iter().sum(),
        })
    }

    fn busy_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        let idle = self.idle.checked_sub(before.idle)?;
        Some((1.0 - idle as f64 / all as f64).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_busy_processors_is_what_was_neither_idle_nor_waiting() {
        let at = |text: &str| Processors::read(text);
        let before = at("cpu  100 0 50 800 50 0 0 0 90 0\ncpu0 1 1 1 1\n").expect("a line");
        let after = at("cpu  150 10 80 880 70 4 4 2 99 0\n").expect("a line");
        assert_eq!(after.busy_since(before), Some(0.5));
        assert_eq!(before.busy_since(before), None, "no time has passed");
        assert!(
            at("cpu0 1 2 3 4 5\n").is_none() && at("cpu 1 2 x 4 5\n").is_none() && at("").is_none()
        );
    }

    #[tokio::test]
    async fn a_second_of_this_machine_has_all_its_wakes() {
        let plan = LoadPlan {
            max_lateness: Duration::from_secs(60),
            ..LoadPlan::steady(
                experiment::scenario::OperationKind::Handshake,
                1.0,
                Duration::from_secs(1),
            )
        };
        let found = preflight(&plan).await;
        assert_eq!((found.wakes, found.late, found.rate_factor), (500, 0, 1.0));
        assert!(found.busy.is_some_and(|busy| (0.0..=1.0).contains(&busy)));
    }
}
