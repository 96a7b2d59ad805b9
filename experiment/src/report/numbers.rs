//! How numbers are written: as many digits as a reader can use.

use crate::results::{Latency, Metric, Ratio, VariantResult};

/// Stands where nothing was measured.
pub(super) const MISSING: &str = "–";
/// Stands where what was measured is not a valid measurement.
pub(super) const NOT_VALID: &str = "!";

/// A whole number with its thousands set apart: `14,860`.
pub(crate) fn count(number: u64) -> String {
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
    if !variant.is_valid(metric.measure()) {
        return NOT_VALID.to_owned();
    }
    variant.ratio(metric).map_or_else(
        || MISSING.to_owned(),
        |Ratio {
             ratio, low, high, ..
         }| format!("{} [{}, {}]", number(*ratio), number(*low), number(*high)),
    )
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
