//! Whether the figures are what `[thresholds]` of the scenario wants.

use serde::{Deserialize, Serialize};

use super::{Latency, VariantResult};
use crate::scenario::{Amount, Figure, Statistic, Threshold, Timed};

/// One threshold and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThresholdOutcome {
    /// Its key in `[thresholds]`.
    pub name: String,
    /// Its text.
    pub expression: String,
    /// The value of its left side; none when a figure in it was not measured.
    pub left: Option<f64>,
    /// The value of its right side; none when a figure in it was not measured.
    pub right: Option<f64>,
    /// Whether it holds; it does not when a side has no value.
    pub met: bool,
    /// Whether all figures in it are a measurement; without that it is neither met nor broken, and the run is invalid.
    #[serde(default = "yes")]
    pub judged: bool,
}

/// Older versions judged every threshold.
const fn yes() -> bool {
    true
}

impl ThresholdOutcome {
    /// Judges a threshold by the figures of a run, whose variants are those of the scenario.
    pub fn of(threshold: &Threshold, variants: &[VariantResult]) -> Self {
        let judged = threshold.figures().all(|(figure, index)| {
            let variant = variants.get(index);
            let spoiled = |of| variant.is_some_and(|variant| !variant.is_valid(of));
            !figure.measure().is_some_and(spoiled)
        });
        let figure = |figure, index: usize| variants.get(index).and_then(|of| value(figure, of));
        let left = threshold.left.value(&figure).filter(|_| judged);
        let right = threshold.right.value(&figure).filter(|_| judged);
        let met = left
            .zip(right)
            .is_some_and(|(left, right)| threshold.relation.holds(left, right));
        // JSON has no infinity: a division by zero has no value that could be written.
        let finite = |side: Option<f64>| side.filter(|value| value.is_finite());
        Self {
            name: threshold.name.clone(),
            expression: threshold.text.clone(),
            left: finite(left),
            right: finite(right),
            met,
            judged,
        }
    }
}

fn value(figure: Figure, variant: &VariantResult) -> Option<f64> {
    match figure {
        Figure::Time(statistic, timed) => {
            let latency = match timed {
                Timed::Handshake => variant.handshake_ms,
                Timed::Operation => variant.operation_ms,
                Timed::TcpConnect => variant.tcp_connect_ms,
            };
            latency.map(|latency| of_latency(statistic, &latency))
        }
        Figure::Amount(amount) => of_variant(amount, variant),
    }
}

const fn of_latency(statistic: Statistic, latency: &Latency) -> f64 {
    match statistic {
        Statistic::P50 => latency.p50,
        Statistic::P90 => latency.p90,
        Statistic::P99 => latency.p99,
        Statistic::P999 => latency.p999,
        Statistic::Max => latency.max,
        Statistic::Mean => latency.mean,
    }
}

fn of_variant(amount: Amount, variant: &VariantResult) -> Option<f64> {
    match amount {
        Amount::Bytes => variant.bytes(),
        Amount::BytesClient => variant.bytes_client,
        Amount::BytesServer => variant.bytes_server,
        Amount::Cpu => variant.cpu_us(),
        Amount::CpuClient => variant.cpu_us_client,
        Amount::CpuServer => variant.cpu_us_server,
        Amount::Verify => variant.verify_us,
        Amount::Attempts => Some(variant.attempts as f64),
        Amount::Ok => Some(variant.ok as f64),
        Amount::Errors => Some(variant.failed() as f64),
        Amount::Dropped => Some(variant.dropped as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{QUICK, quick};
    use super::*;
    use crate::scenario::{Measure, Scenario};

    fn outcome(expression: &str) -> ThresholdOutcome {
        let text = format!("{QUICK}\n[thresholds]\nonly = '{expression}'\n");
        let scenario = Scenario::parse(&text).expect("a valid threshold");
        ThresholdOutcome::of(&scenario.thresholds[0], &quick().variants)
    }

    #[test]
    fn a_threshold_is_met_or_broken_and_shows_both_sides() {
        let met = outcome(r#"bytes("mtc-landmark") < 0.5 * bytes("x509-mldsa65")"#);
        assert_eq!(
            (met.met, met.left, met.right),
            (true, Some(14_860.0), Some(15_800.0))
        );
        let broken = outcome(r#"bytes("mtc-landmark") > 0.5 * bytes("x509-mldsa65")"#);
        assert_eq!((broken.met, broken.left), (false, met.left));
    }

    #[test]
    fn every_figure_has_a_value() {
        for amount in [
            "bytes",
            "bytes_client",
            "bytes_server",
            "cpu",
            "cpu_client",
            "cpu_server",
            "verify",
            "attempts",
            "ok",
        ] {
            assert!(
                outcome(&format!("{amount}(\"mtc-landmark\") > 0")).met,
                "{amount}"
            );
        }
        for none in ["errors", "dropped"] {
            assert!(outcome(&format!("{none}(\"mtc-landmark\") <= 0")).met);
        }
        let quantiles = ["p50", "p90", "p99", "p999", "max"];
        for time in ["handshake", "operation", "tcp_connect"] {
            for pair in quantiles.windows(2) {
                let of = |statistic| format!("{statistic}({time}, \"mtc-landmark\")");
                let rising = outcome(&format!("{} <= {}", of(pair[0]), of(pair[1])));
                assert!(rising.met && rising.left > Some(0.0), "{rising:?}");
            }
        }
    }

    #[test]
    fn what_was_not_measured_breaks_a_threshold() {
        let text = format!("{QUICK}\n[thresholds]\nonly = 'verify(\"mtc-landmark\") < 1000'\n");
        let scenario = Scenario::parse(&text).unwrap();
        let mut variants = quick().variants;
        variants[4].verify_us = None;
        let outcome = ThresholdOutcome::of(&scenario.thresholds[0], &variants);
        assert_eq!((outcome.met, outcome.left), (false, None));
    }

    #[test]
    fn a_threshold_of_spoiled_latencies_is_not_judged_and_one_of_bytes_is() {
        let of = |expression: &str| {
            let text = format!("{QUICK}\n[thresholds]\nonly = '{expression}'\n");
            let scenario = Scenario::parse(&text).expect("a valid threshold");
            let mut variants = quick().variants;
            variants[4].arrivals.invalid = Some("late".to_owned());
            variants[4].arrivals.invalid_measures = vec![Measure::Latency];
            let outcome = ThresholdOutcome::of(&scenario.thresholds[0], &variants);
            (outcome.judged, outcome.met, outcome.left)
        };
        let spoiled = of(r#"p99(handshake, "mtc-landmark") < 1000"#);
        assert_eq!(spoiled, (false, false, None));
        let bytes = of(r#"bytes("mtc-landmark") < 100000"#);
        assert_eq!(bytes, (true, true, Some(14_860.0)));
        let of_another = of(r#"p99(handshake, "x509-mldsa65") < 1000"#);
        assert!(of_another.0 && of_another.1);
    }

    #[test]
    fn a_division_by_zero_can_be_written() {
        let outcome = outcome(r#"1 / errors("mtc-landmark") > 5"#);
        assert_eq!((outcome.left, outcome.right), (None, Some(5.0)));
        assert!(serde_json::to_string(&outcome).is_ok());
    }
}
