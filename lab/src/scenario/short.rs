//! The short form of a scenario, which shows that it works and gives no figures to cite.

use std::time::Duration;

use super::{Action, Scenario};

/// A warm-up is not made shorter than this: connections and caches have to be used once.
const SHORTEST_WARMUP: Duration = Duration::from_millis(500);

impl Scenario {
    /// The same scenario with a measured part of [`Scenario::shortest`]: stages, events and warm-up are shortened in
    /// proportion. One that is not longer stays as it is, and is marked all the same.
    #[must_use]
    pub fn shortened(&self) -> Self {
        let mut short = self.clone();
        short.is_shortened = true;
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
