//! Times in few numbers.

use serde::{Deserialize, Serialize};

use crate::measure::Histogram;

/// Quantiles of a time, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 90 % are not longer.
    pub p90: f64,
    /// 99 % are not longer.
    pub p99: f64,
    /// 99.9 % are not longer; the maximum when there are fewer than a thousand.
    pub p999: f64,
    /// Longest.
    pub max: f64,
    /// Mean.
    pub mean: f64,
}

impl Latency {
    pub(super) fn of(histogram: &Histogram) -> Option<Self> {
        let at = |quantile| histogram.quantile_ms(quantile);
        Some(Self {
            p50: at(0.5)?,
            p90: at(0.9)?,
            p99: at(0.99)?,
            p999: at(0.999)?,
            max: at(1.0)?,
            mean: histogram.mean_ms()?,
        })
    }
}
