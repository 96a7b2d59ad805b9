//! Digits beyond which figures are noise.

/// Mean bytes to a tenth; further digits are noise.
pub(super) fn to_tenth(bytes: f64) -> f64 {
    (bytes * 10.0).round() / 10.0
}

/// Mean nanoseconds as microseconds, to a nanosecond.
pub(super) fn microseconds(nanoseconds: f64) -> f64 {
    nanoseconds.round() / 1000.0
}

/// To a hundredth.
pub(super) fn to_hundredth(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// To a thousandth.
pub(super) fn to_thousandth(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
