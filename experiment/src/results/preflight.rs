//! How punctual a machine was right before a run: what its latencies can be worth, known before a minute is spent.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::arrivals::{is_too_late, started_late};
use super::rounding::to_thousandth;
use crate::measure::Histogram;

/// Up to this share of the processors others may keep busy without a word: a desktop at rest does.
const BUSY: f64 = 0.1;
/// Rates are lowered to no less than this share.
const LEAST: f64 = 0.25;

/// What the second before a run has shown of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preflight {
    /// How often a thread slept until a time.
    pub wakes: u64,
    /// How often it came later than the run's `max_lateness_ms`.
    pub late: u64,
    /// 99 % came no later than so, in milliseconds.
    pub p99_ms: f64,
    /// The run's limit.
    pub max_lateness_ms: f64,
    /// Share of the machine's processors that was busy, with other programs; none if the system does not tell.
    pub busy: Option<f64>,
    /// What the scenario's rates were multiplied by; below 1 only where `load.adapt_rate` allows it.
    pub rate_factor: f64,
}

impl Preflight {
    /// Judges a machine by how late a thread woke, and by which share of its processors was busy meanwhile. `adapts` says whether the
    /// rates of the run may be lowered by it.
    pub fn of(
        lateness: &Histogram,
        late: u64,
        max_lateness: Duration,
        busy: Option<f64>,
        adapts: bool,
    ) -> Self {
        let crowded = busy.filter(|busy| adapts && *busy > BUSY);
        Self {
            wakes: lateness.count(),
            late,
            p99_ms: to_thousandth(lateness.quantile_ms(0.99).unwrap_or_default()),
            max_lateness_ms: max_lateness.as_secs_f64() * 1e3,
            busy: busy.map(to_thousandth),
            rate_factor: crowded.map_or(1.0, |busy| to_thousandth((1.0 - busy).max(LEAST))),
        }
    }

    /// Whether latencies of this machine may well be invalid.
    pub fn is_unpunctual(&self) -> bool {
        is_too_late(self.late, self.wakes) || self.busy.is_some_and(|busy| busy > BUSY)
    }

    /// What to do about it, in a sentence without its full stop.
    pub fn advice(&self) -> String {
        let rate = if self.rate_factor < 1.0 {
            format!(
                "the rates are lowered to {:.0} % of the scenario's",
                self.rate_factor * 100.0
            )
        } else {
            "stop other programs or lower load.stages.rate".to_owned()
        };
        format!("{self}; latencies may not be valid: {rate}")
    }
}

/// `9 of 500 wake-ups (1.8 %) started more than 1 ms late; the limit is 1 %, p99 1.7 ms; other programs kept 50 % of the processors busy`
impl fmt::Display for Preflight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let late = started_late(self.late, self.wakes, "wake-ups", self.max_lateness_ms);
        write!(f, "{late}; p99 {:.2} ms", self.p99_ms)?;
        if let Some(busy) = self.busy {
            let percent = busy * 100.0;
            write!(
                f,
                "; other programs kept {percent:.0} % of the processors busy"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preflight(late: u64, busy: Option<f64>, adapts: bool) -> Preflight {
        let mut lateness = Histogram::default();
        (0..500).for_each(|_| lateness.record(Duration::from_micros(100)));
        Preflight::of(&lateness, late, Duration::from_millis(1), busy, adapts)
    }

    #[test]
    fn a_machine_is_punctual_if_it_wakes_in_time_and_nobody_else_fills_it() {
        for (late, busy, unpunctual) in [
            (0, None, false),
            (5, Some(0.1), false),
            (6, Some(0.0), true),
            (0, Some(0.5), true),
        ] {
            let found = preflight(late, busy, false);
            assert_eq!(found.is_unpunctual(), unpunctual, "{found}");
            assert_eq!(found.rate_factor, 1.0);
        }
    }

    #[test]
    fn rates_are_lowered_to_what_others_leave_and_only_where_that_is_allowed() {
        let factor = |busy| preflight(0, busy, true).rate_factor;
        assert_eq!(factor(None), 1.0);
        assert_eq!(factor(Some(0.05)), 1.0);
        assert_eq!(factor(Some(0.5)), 0.5);
        assert_eq!(factor(Some(0.99)), LEAST);
        let text = preflight(9, Some(0.5), true).advice();
        assert_eq!(
            text,
            "9 of 500 wake-ups (1.8 %) started more than 1 ms late; the limit is 1 %; p99 0.10 ms; other programs kept 50 % of the \
             processors busy; latencies may not be valid: the rates are lowered to 50 % of the scenario's"
        );
        assert!(
            preflight(9, None, false)
                .advice()
                .ends_with("stop other programs or lower load.stages.rate")
        );
    }
}
