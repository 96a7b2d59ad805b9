//! What load generators saw and used, and the sum of several of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{ClientTotals, Histogram};

/// What one load generator saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadResult {
    /// When the first arrival, warm-up included, was intended.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// When the last operation had ended.
    #[serde(with = "time::serde::rfc3339")]
    pub ended: OffsetDateTime,
    /// Whether arrivals were stopped before the schedule's end.
    pub interrupted: bool,
    /// How late operations were started, measured arrivals only: the generator's own fault, part of every latency.
    pub lateness: Histogram,
    /// What the generator itself used in the measured part.
    pub generator: GeneratorUse,
    /// One for each variant, in the scenario's order.
    pub variants: Vec<ClientTotals>,
    /// Instances that were to be watched: the first ones. Of each, one for each variant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<Vec<Watched>>,
}

/// Until when the operations of an instance in a variant succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// When the last one that succeeded ended, from the start of the measured part.
    pub last_ok: Option<Duration>,
    /// How many ended later, and failed.
    pub failed_since: u64,
    /// How many failed at all, be it that a slow one succeeded later.
    #[serde(default)]
    pub failed: u64,
}

impl Watched {
    /// Counts an operation that ended `at`.
    pub fn record(&mut self, at: Duration, succeeded: bool) {
        self.failed += u64::from(!succeeded);
        match self.last_ok {
            Some(last) if at <= last => {}
            _ if succeeded => {
                self.last_ok = Some(at);
                self.failed_since = 0;
            }
            _ => self.failed_since += 1,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.last_ok = self.last_ok.max(other.last_ok);
        self.failed_since += other.failed_since;
        self.failed += other.failed;
    }
}

/// What load generators used in the measured part; sums over all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorUse {
    /// CPU time of their processes, the servers of their network functions included.
    pub cpu: Duration,
    /// How long they measured.
    pub wall: Duration,
}

impl GeneratorUse {
    /// Processors that a generator kept busy, on average; none when nothing was measured.
    pub fn processors(&self) -> Option<f64> {
        let busy = self.cpu.as_secs_f64() / self.wall.as_secs_f64();
        busy.is_finite().then_some(busy)
    }

    /// The share of a machine's processors that a generator kept busy; none when nothing was measured.
    pub fn share(&self, cores: usize) -> Option<f64> {
        Some(self.processors()? / cores.max(1) as f64)
    }

    /// The generator's share of the machine in words, with what an operation took of it.
    pub fn told(&self, generators: u32, operations: u64, cores: usize) -> String {
        let who = if generators == 1 {
            "the load generator"
        } else {
            "each load generator"
        };
        let busy = self.processors().unwrap_or_default();
        let share = self.share(cores).unwrap_or_default() * 100.0;
        let each = self.cpu.as_secs_f64() * 1e6 / operations.max(1) as f64;
        format!(
            "{who} kept {busy:.2} of {cores} processors busy ({share:.0} %), {each:.0} µs of its CPU time per operation"
        )
    }
}

impl LoadResult {
    /// Adds what another generator saw in the same run, variant by variant.
    ///
    /// # Errors
    ///
    /// [`VariantMismatch`] when the other ran another number of variants; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<(), VariantMismatch> {
        let Self {
            started,
            ended,
            interrupted,
            lateness,
            generator,
            variants,
            watched,
        } = other;
        if variants.len() != self.variants.len() {
            return Err(VariantMismatch {
                expected: self.variants.len(),
                found: variants.len(),
            });
        }
        self.started = self.started.min(*started);
        self.ended = self.ended.max(*ended);
        self.interrupted |= interrupted;
        self.lateness.merge(lateness);
        self.generator.cpu += generator.cpu;
        self.generator.wall += generator.wall;
        let most = self.watched.len().max(watched.len());
        let unseen = vec![Watched::default(); variants.len()];
        self.watched.resize(most, unseen);
        for (mine, theirs) in self.watched.iter_mut().zip(watched) {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                mine.merge(theirs);
            }
        }
        self.variants
            .iter_mut()
            .zip(variants)
            .for_each(|(mine, theirs)| mine.merge(theirs));
        Ok(())
    }
}

/// Two parts of a run do not speak of the same variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a result has {found} variants, expected {expected}")]
pub struct VariantMismatch {
    /// Variants of the scenario.
    pub expected: usize,
    /// Variants of the other result.
    pub found: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_that_ends_after_failures_leaves_them_counted() {
        let mut watched = Watched::default();
        for (ended, succeeded) in [(1, true), (2, false), (3, false), (5, true), (4, false)] {
            watched.record(Duration::from_secs(ended), succeeded);
        }
        watched.record(Duration::from_secs(6), false);
        assert_eq!(
            watched,
            Watched {
                last_ok: Some(Duration::from_secs(5)),
                failed_since: 1,
                failed: 4,
            }
        );
    }
}
