//! Times as certificates and logs have them: whole seconds since 1970.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::der::{self, DerError};

const SECONDS_PER_DAY: u64 = 86_400;
/// The first second of the year 2050, from which on X.509 uses GeneralizedTime (RFC 5280 section 4.1.2.5).
const YEAR_2050: u64 = 2_524_608_000;
/// Characters of a UTCTime, and the last ones of a GeneralizedTime.
const UTC_TIME_LENGTH: usize = 13;
/// Days before each month of a year that is no leap year.
const DAYS_BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
/// The last second of the year 9999, the latest that GeneralizedTime can say.
const YEAR_9999_END: u64 = 253_402_300_799;

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// ```
/// use std::time::Duration;
///
/// use mtc_core::time::UnixTime;
///
/// let time = UnixTime(1_795_360_000).plus(Duration::from_secs(20));
/// assert_eq!(time.to_string(), "2026-11-22T15:07:00Z");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// This time and `duration`, whole seconds only.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// This time less `duration`, whole seconds only, not before 1970.
    #[must_use]
    pub const fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_secs()))
    }

    /// The `Time` of a certificate: UTCTime until 2049, GeneralizedTime from then on; the year 9999 at the latest.
    pub fn to_der(self) -> Vec<u8> {
        if self.0 < YEAR_2050 {
            der::element(der::UTC_TIME, &[&Civil::of(self).digits().as_bytes()[2..]])
        } else {
            self.to_generalized_der()
        }
    }

    /// A GeneralizedTime, which other messages of PKIX have for every year; the year 9999 at the latest.
    pub fn to_generalized_der(self) -> Vec<u8> {
        let text = Civil::of(self.min(Self(YEAR_9999_END)));
        der::element(der::GENERALIZED_TIME, &[text.digits().as_bytes()])
    }

    /// Reads the `Time` of a certificate; times before 1970 are read as 1970.
    ///
    /// # Errors
    /// Another type, a form that X.509 does not allow, or no such date.
    pub fn from_der(reader: &mut der::Reader<'_>) -> Result<Self, DerError> {
        let element = reader.element()?;
        let invalid = DerError::InvalidValue("Time");
        let parts = element.contents.split_last_chunk::<UTC_TIME_LENGTH>();
        let (century, digits) = match (element.tag, parts) {
            (der::UTC_TIME, Some(([], digits))) => {
                (Some(if digits[0] < b'5' { 20 } else { 19 }), digits)
            }
            (der::GENERALIZED_TIME, Some(([tens, ones], digits))) => {
                (two_digits(*tens, *ones), digits)
            }
            (der::UTC_TIME | der::GENERALIZED_TIME, _) => return Err(invalid),
            (found, _) => {
                return Err(DerError::UnexpectedTag {
                    expected: der::UTC_TIME,
                    found,
                });
            }
        };
        century
            .and_then(|century| Civil::parse(century, digits))
            .and_then(Civil::seconds)
            .ok_or(invalid)
    }
}

impl fmt::Display for UnixTime {
    /// RFC 3339, in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = Civil::of(*self);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// A date and time of the proleptic Gregorian calendar.
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Civil {
    fn of(time: UnixTime) -> Self {
        let (mut days, in_day) = (time.0 / SECONDS_PER_DAY, time.0 % SECONDS_PER_DAY);
        // Whole cycles of 400 years first, so that the loops below are short for any input.
        let mut year = 1970 + 400 * (days / 146_097);
        days %= 146_097;
        while days >= days_in_year(year) {
            days -= days_in_year(year);
            year += 1;
        }
        let mut month = 1;
        while days >= days_in_month(year, month) {
            days -= days_in_month(year, month);
            month += 1;
        }
        Self {
            year,
            month,
            day: days + 1,
            hour: in_day / 3600,
            minute: in_day / 60 % 60,
            second: in_day % 60,
        }
    }

    /// `YYYYMMDDHHMMSSZ`
    fn digits(&self) -> String {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self;
        format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z")
    }

    /// `YYMMDDHHMMSSZ` in a century, of which 20 is the one of the year 2000.
    fn parse(century: u64, digits: &[u8; UTC_TIME_LENGTH]) -> Option<Self> {
        let (digits, b"Z") = digits.split_first_chunk::<12>()? else {
            return None;
        };
        let digits = digits.map(|digit| digit.wrapping_sub(b'0'));
        if digits.iter().fold(0, |largest, digit| largest.max(*digit)) > 9 {
            return None;
        }
        let [y, year, m, month, d, day, h, hour, i, minute, s, second] = digits.map(u64::from);
        Some(Self {
            year: 100 * century + 10 * y + year,
            month: 10 * m + month,
            day: 10 * d + day,
            hour: 10 * h + hour,
            minute: 10 * i + minute,
            second: 10 * s + second,
        })
    }

    fn seconds(self) -> Option<UnixTime> {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self;
        let in_range = (1..=12).contains(&month)
            && day >= 1
            && day <= days_in_month(year, month)
            && hour < 24
            && minute < 60
            && second < 60;
        if !in_range {
            return None;
        }
        if year < 1970 {
            return Some(UnixTime(0));
        }
        let after_february = u64::from(month > 2 && is_leap(year));
        let days = days_before_year(year) - days_before_year(1970)
            + DAYS_BEFORE_MONTH[month as usize - 1]
            + after_february
            + day
            - 1;
        Some(UnixTime(((days * 24 + hour) * 60 + minute) * 60 + second))
    }
}

/// The number that two ASCII digits write.
const fn two_digits(tens: u8, ones: u8) -> Option<u64> {
    if tens.is_ascii_digit() && ones.is_ascii_digit() {
        Some(10 * (tens - b'0') as u64 + (ones - b'0') as u64)
    } else {
        None
    }
}

/// Days from the first of the year 1 to that of a year; without a loop, because every handshake reads two times.
const fn days_before_year(year: u64) -> u64 {
    let years = year - 1;
    365 * years + years / 4 - years / 100 + years / 400
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

const fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(time: UnixTime) -> UnixTime {
        let der = time.to_der();
        let mut reader = der::Reader::new(&der);
        let read = UnixTime::from_der(&mut reader).unwrap();
        reader.finish().unwrap();
        read
    }

    #[test]
    fn known_times_have_known_texts() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_360_000, "2026-11-22T15:06:40Z"),
            (YEAR_2050, "2050-01-01T00:00:00Z"),
            (YEAR_9999_END, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(UnixTime(seconds).to_string(), text);
            assert_eq!(round_trip(UnixTime(seconds)), UnixTime(seconds));
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_read_as_it_was_written() {
        for day in 0..146_097 {
            let time = UnixTime(day * SECONDS_PER_DAY + day % SECONDS_PER_DAY);
            assert_eq!(round_trip(time), time);
        }
    }

    #[test]
    fn the_form_changes_with_the_year_2050() {
        assert_eq!(UnixTime(YEAR_2050 - 1).to_der()[0], der::UTC_TIME);
        assert_eq!(UnixTime(YEAR_2050).to_der()[0], der::GENERALIZED_TIME);
        assert_eq!(
            UnixTime(u64::MAX).to_der(),
            UnixTime(YEAR_9999_END).to_der()
        );
    }

    #[test]
    fn impossible_times_are_rejected() {
        for digits in [
            "261322150640Z",
            "260230000000Z",
            "261122240000Z",
            "26112215064Z",
            "2611221506400",
            "26+122150640Z",
            "260022150640Z",
            "261100150640Z",
            "260229000000Z",
            "20261122150640Z",
            "",
        ] {
            let der = der::element(der::UTC_TIME, &[digits.as_bytes()]);
            assert!(
                UnixTime::from_der(&mut der::Reader::new(&der)).is_err(),
                "{digits}"
            );
        }
        for digits in ["21000229000000Z", "2x261122150640Z", "261122150640Z"] {
            let der = der::element(der::GENERALIZED_TIME, &[digits.as_bytes()]);
            let read = UnixTime::from_der(&mut der::Reader::new(&der));
            assert_eq!(read, Err(DerError::InvalidValue("Time")), "{digits}");
        }
    }

    #[test]
    fn times_before_1970_read_as_1970() {
        let der = der::element(der::UTC_TIME, &[b"500101000000Z"]);
        assert_eq!(
            UnixTime::from_der(&mut der::Reader::new(&der)),
            Ok(UnixTime(0))
        );
    }
}
