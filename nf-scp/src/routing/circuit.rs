//! When a producer that fails is left alone, and when it is tried again. Pure: times are given.
//!
//! ```text
//!   Closed(n) ── fails ──> Closed(n + 1) ... FAILURES in a row ──> Open until `next`, then one trial each PAUSE
//!      └─────────────────────── answers: forgotten ─────────────────┘
//! ```

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row after which a producer is left alone.
const FAILURES: u32 = 5;
/// For how long, and from one trial to the next.
const PAUSE: Duration = Duration::from_secs(5);

/// Whether a producer is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Circuit {
    /// It is, after so many failures in a row.
    Closed(u32),
    /// It is not, but for one request when this time has come.
    Open {
        /// When.
        next: Instant,
    },
}

impl Default for Circuit {
    fn default() -> Self {
        Self::Closed(0)
    }
}

impl Circuit {
    /// Whether a request may go to the producer at `now`.
    pub(super) fn admits(self, now: Instant) -> bool {
        match self {
            Self::Closed(_) => true,
            Self::Open { next } => now >= next,
        }
    }

    /// A request goes to the producer at `now`: no other does for a while if it is a trial. What became of the trial need
    /// not be heard.
    pub(super) fn begin(&mut self, now: Instant) {
        if let Self::Open { next } = self {
            *next = now + PAUSE;
        }
    }

    /// The producer could not be reached, or did not answer, at `now`.
    pub(super) fn failed(&mut self, now: Instant) {
        *self = match self {
            Self::Closed(failures) if *failures + 1 < FAILURES => Self::Closed(*failures + 1),
            Self::Closed(_) | Self::Open { .. } => Self::Open { next: now + PAUSE },
        };
    }

    /// Whether the producer is left alone.
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(now: Instant) -> Circuit {
        let mut circuit = Circuit::default();
        for _ in 0..FAILURES {
            assert!(circuit.admits(now));
            circuit.failed(now);
        }
        circuit
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let now = Instant::now();
        let mut circuit = Circuit::default();
        for _ in 1..FAILURES {
            circuit.failed(now);
        }
        assert!(!circuit.is_open() && circuit.admits(now));
        circuit.failed(now);
        assert!(circuit.is_open() && !circuit.admits(now));
    }

    #[test]
    fn one_trial_is_let_through_each_pause() {
        let now = Instant::now();
        let mut circuit = open(now);
        let due = now + PAUSE;
        assert!(circuit.admits(due));
        circuit.begin(due);
        assert!(!circuit.admits(due), "one trial at a time");
        assert!(circuit.admits(due + PAUSE), "a trial that nobody heard of");
        circuit.failed(due);
        assert!(!circuit.admits(due + PAUSE / 2));
    }
}
