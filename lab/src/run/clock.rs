//! Steps of the wall clock during the measured part, which make it no measurement: what they end (certificates, landmarks,
//! timers) is not what the scenario describes.

use std::time::{Duration, Instant};

use experiment::results::ClockStep;
use sbi::clock::StepWatch;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often the clocks are compared.
const LOOK: Duration = Duration::from_millis(500);

/// Keeps the record of steps.
pub(super) struct ClockSteps {
    began: Instant,
    watch: StepWatch,
    looks: Interval,
    steps: Vec<ClockStep>,
}

impl ClockSteps {
    /// Begins now, at the start of the measured part.
    pub(super) fn begin() -> Self {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            began: Instant::now(),
            watch: StepWatch::begin(),
            looks,
            steps: Vec::new(),
        }
    }

    /// Completes when the clocks are to be compared.
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn due(&mut self) {
        self.looks.tick().await;
    }

    /// Compares the clocks.
    pub(super) fn look(&mut self) {
        if let Some(step) = self.watch.look() {
            self.steps.push(ClockStep {
                at_s: self.began.elapsed().as_secs_f64(),
                by_s: step.by_ms as f64 / 1000.0,
            });
        }
    }

    /// What happened.
    pub(super) fn finish(mut self) -> Vec<ClockStep> {
        self.look();
        self.steps
    }
}
