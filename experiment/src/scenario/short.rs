//! The short form of a scenario, which shows that it works and gives no figures to cite.

use std::time::Duration;

use super::{Action, Measure, Scenario};

/// A warm-up is not made shorter than this: connections and caches have to be used once.
const SHORTEST_WARMUP: Duration = Duration::from_millis(500);
/// How late operations may start where latencies are claimed: it runs on machines that do other things meanwhile.
const MAX_LATENESS: Duration = Duration::from_secs(10);

impl Scenario {
    /// The same scenario with a measured part of [`Scenario::shortest`]: stages, events and warm-up are shortened in
    /// proportion, rates stay, and a busy machine is no fault. One that is not longer keeps its times.
    #[must_use]
    pub fn shortened(&self) -> Self {
        let mut short = self.clone();
        short.is_shortened = true;
        short.load.adapt_rate = false;
        if self.claims.contains(&Measure::Latency) {
            short.load.max_lateness = MAX_LATENESS;
        }
        let scale = self.shortest.div_duration_f64(self.load.measured());
        if scale >= 1.0 {
            return short;
        }
        let shorten = |time: &mut Duration| *time = time.mul_f64(scale);
        for stage in &mut short.load.stages {
            shorten(&mut stage.duration);
        }
        shorten(&mut short.load.warmup);
        short.load.warmup = short.load.warmup.max(self.load.warmup.min(SHORTEST_WARMUP));
        for event in &mut short.events {
            shorten(&mut event.at);
            if let Action::ReEnrol { over, .. } = &mut event.action {
                shorten(over);
            }
        }
        short
    }
}

#[cfg(test)]
mod tests;
