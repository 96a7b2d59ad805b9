//! Durations as people write them: a number and a unit, `200ms`, `45s`, `1.5h`.

use std::time::Duration;

/// Units by their suffix; the longer of two that end alike stands first.
const UNITS: [(&str, f64); 6] = [
    ("us", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
];

/// The text is not a number followed by a unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a duration: a number and one of us, ms, s, m, h, d, as in \"200ms\" or \"1.5h\""
)]
pub struct DurationError(pub String);

/// Reads a duration such as `200ms` or `1.5h`.
///
/// # Errors
///
/// [`DurationError`] for anything but a non-negative decimal number and a unit.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let fault = || DurationError(text.to_owned());
    let (number, seconds) = UNITS
        .iter()
        .find_map(|(suffix, seconds)| Some((text.strip_suffix(suffix)?, seconds)))
        .ok_or_else(fault)?;
    let number = number.trim_end();
    if !number.starts_with(|c: char| c.is_ascii_digit()) || number.contains(['e', 'E']) {
        return Err(fault());
    }
    let number: f64 = number.parse().map_err(|_| fault())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| fault())
}

/// Writes a duration in the largest unit that keeps it short.
pub(crate) fn describe(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let (suffix, unit) = UNITS
        .iter()
        .rev()
        .find(|(_, unit)| seconds >= *unit)
        .unwrap_or(&("s", 1.0));
    // Without the digits that a division of decimal fractions leaves behind.
    format!("{}{suffix}", (seconds / unit * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        assert_eq!(parse_duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse_duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(parse_duration("45s"), Ok(Duration::from_secs(45)));
        assert_eq!(parse_duration("2 m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
    }

    #[test]
    fn refuses_what_is_not_a_number_and_a_unit() {
        for text in [
            "",
            "s",
            "45",
            "-1s",
            "+1s",
            "1e3s",
            "inf s",
            "nans",
            "1 fortnight",
            "1e999s",
            "99999999999999999999d",
        ] {
            assert_eq!(
                parse_duration(text),
                Err(DurationError(text.to_owned())),
                "{text}"
            );
        }
    }

    #[test]
    fn describes_in_the_largest_unit() {
        assert_eq!(describe(Duration::from_millis(10)), "10ms");
        assert_eq!(describe(Duration::from_micros(50)), "50us");
        assert_eq!(describe(Duration::from_secs(60)), "1m");
        assert_eq!(describe(Duration::ZERO), "0s");
    }
}
