//! The clock of an endpoint.

use std::time::{Duration, SystemTime};

use rustls::pki_types::UnixTime as TlsTime;
use rustls::time_provider::TimeProvider;

/// Where an endpoint gets the time from: the system's clock and an offset, which is how experiments skew a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Seconds by which this clock is ahead of the system's.
    pub offset_seconds: i64,
}

impl Clock {
    /// Seconds since 1970 by this clock; 0 if it is set to a time before that, as that of a board without a battery may be.
    pub fn unix_seconds(&self) -> u64 {
        // Not `TlsTime::now()`, which panics then.
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs()
            .saturating_add_signed(self.offset_seconds)
    }

    /// This clock's time.
    pub fn now(&self) -> mtc_core::time::UnixTime {
        mtc_core::time::UnixTime(self.unix_seconds())
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<TlsTime> {
        Some(TlsTime::since_unix_epoch(Duration::from_secs(
            self.unix_seconds(),
        )))
    }
}
