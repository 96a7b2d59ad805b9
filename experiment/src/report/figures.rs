//! How figures are written: as many digits as a reader can use.

use crate::results::{
    Latency, Metric, Ratio, Results, ThresholdOutcome, VariantArrivals, VariantResult,
};

/// Stands where nothing was measured.
const MISSING: &str = "–";

/// A whole number with its thousands set apart: `14,860`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A mean of whole things, such as bytes.
pub(super) fn whole(mean: Option<f64>) -> String {
    mean.map_or_else(
        || MISSING.to_owned(),
        |mean| count(mean.round().max(0.0) as u64),
    )
}

/// A measured time with about three significant digits; the unit is the caller's.
pub(super) fn time(value: Option<f64>) -> String {
    match value {
        None => MISSING.to_owned(),
        Some(value) if value < 9.995 => format!("{value:.2}"),
        Some(value) if value < 99.95 => format!("{value:.1}"),
        value => whole(value),
    }
}

/// One quantile of a time.
pub(super) fn at(latency: Option<Latency>, quantile: fn(&Latency) -> f64) -> String {
    time(latency.as_ref().map(quantile))
}

/// `value` as a multiple of `base`; `None` where either is missing or the base is zero.
pub(super) fn ratio(value: Option<f64>, base: Option<f64>) -> Option<f64> {
    Some(value? / base.filter(|base| *base > 0.0)?)
}

/// A ratio: `0.71×`.
pub(super) fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| MISSING.to_owned(), |ratio| format!("{ratio:.2}×"))
}

/// A ratio to the first variant with its interval: `0.71 [0.69, 0.73]`.
pub(super) fn with_interval(variant: &VariantResult, metric: Metric) -> String {
    let number = |of: f64| time(Some(of));
    variant.ratio(metric).map_or_else(
        || MISSING.to_owned(),
        |Ratio {
             ratio, low, high, ..
         }| format!("{} [{}, {}]", number(*ratio), number(*low), number(*high)),
    )
}

/// What stands beside the name of a variant whose figures are no measurement.
pub(super) fn invalid(variant: &VariantResult) -> Option<&'static str> {
    let VariantArrivals { invalid, late, .. } = &variant.arrivals;
    let reason = invalid.as_ref()?;
    Some(if reason.starts_with("the clock") {
        "invalid: the clock stepped"
    } else if *late == 0 {
        "invalid: the load generator took the machine"
    } else {
        "invalid: the load generator was late"
    })
}

/// What a run's operations are called beside the handshakes that are in them.
pub(super) fn operation(results: &Results) -> &str {
    match results.run.operation.as_str() {
        "handshake" => "operation",
        name => name,
    }
}

/// A word at the start of a title.
pub(super) fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

/// Both sides of a threshold: `1.31 against 1.40`.
pub(super) fn sides(threshold: &ThresholdOutcome) -> String {
    format!("{} against {}", time(threshold.left), time(threshold.right))
}

/// A word for what became of a threshold.
pub(super) const fn outcome(threshold: &ThresholdOutcome) -> &'static str {
    if threshold.met { "met" } else { "broken" }
}

/// What a variant is made of, in one line.
pub(super) fn composition(variant: &VariantResult) -> String {
    let key = format!("{} keys, {}", variant.leaf_key, variant.key_exchange);
    match (&variant.ca_signature, variant.chain) {
        (Some(ca), Some(0)) => format!("X.509, {ca} root signs directly, {key}"),
        (Some(ca), Some(1)) => format!("X.509, {ca} root and one intermediate, {key}"),
        (Some(ca), _) => format!("X.509, {ca} root and two intermediates, {key}"),
        _ => format!("{}, {key}", variant.auth),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 999, 1_000, 14_860, 1_234_567].map(count);
        assert_eq!(texts, ["0", "999", "1,000", "14,860", "1,234,567"]);
    }

    #[test]
    fn times_keep_about_three_digits() {
        let texts = [0.0, 0.123, 9.994, 9.996, 99.96, 1234.5].map(|value| time(Some(value)));
        assert_eq!(texts, ["0.00", "0.12", "9.99", "10.0", "100", "1,235"]);
        assert_eq!(time(None), "–");
    }

    #[test]
    fn a_ratio_needs_both_figures() {
        assert_eq!(times(ratio(Some(3.0), Some(4.0))), "0.75×");
        assert_eq!(times(ratio(Some(3.0), Some(0.0))), "–");
        assert_eq!(times(ratio(None, Some(1.0))), "–");
    }
}
