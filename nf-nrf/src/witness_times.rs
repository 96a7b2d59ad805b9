//! The time by witnesses' clocks, as they have just signed it.
//!
//! A landmark's expiry is for ever, and the landmarks that have expired by then are dropped for ever. A clock that is ahead for
//! a moment, such as at a start before NTP has set it, would drop those that relying parties still need; so it is compared with
//! another machine's before a landmark is allocated.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mtc_core::cosign::Cosigner;
use mtc_core::id::LogId;
use mtc_core::time::UnixTime;
use mtc_log::CaCheckpoint;
use tokio::sync::watch;
use tokio::time::sleep;

/// How far clocks may be apart: validity begins as much before issuance, for relying parties whose clocks are behind.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// Checkpoints are many under load, and one a second tells as much.
const LISTENING_PAUSE: Duration = Duration::from_secs(1);

/// What a witness has signed last, and when. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct WitnessTimes(Arc<Mutex<Option<(UnixTime, Instant)>>>);

impl WitnessTimes {
    /// A witness has just signed this time.
    pub fn signed(&self, time: UnixTime) {
        self.signed_at(time, Instant::now());
    }

    fn signed_at(&self, time: UnixTime, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((time, at));
    }

    /// Listens to what is published, for as long as anything is: a checkpoint that has just been published has just been signed by
    /// witnesses.
    pub async fn keep_listening(
        self,
        log: LogId,
        witnesses: Vec<Cosigner>,
        mut published: watch::Receiver<Option<CaCheckpoint>>,
    ) {
        published.mark_unchanged();
        while published.changed().await.is_ok() {
            let checkpoint = published.borrow_and_update().clone();
            let newest = checkpoint.and_then(|checkpoint| {
                let times = witnesses
                    .iter()
                    .filter_map(|witness| checkpoint.signed().verify(&log, witness).ok());
                times.max()
            });
            if let Some(newest) = newest {
                self.signed(newest);
            }
            sleep(LISTENING_PAUSE).await;
        }
    }

    /// How far `now` is from the time by the clock of the witness that signed last, if that is too far. None has signed since
    /// the start of this process: then there is nothing to compare with.
    pub fn far_from(&self, now: UnixTime) -> Option<Duration> {
        self.far_at(now, Instant::now())
    }

    fn far_at(&self, now: UnixTime, at: Instant) -> Option<Duration> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (time, signed) = last?;
        let expected = time.plus(at.saturating_duration_since(signed));
        let away = Duration::from_secs(now.0.abs_diff(expected.0));
        (away > CLOCK_TOLERANCE).then_some(away)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_compared_with_what_a_witness_signed_and_the_time_since() {
        let (times, begin) = (WitnessTimes::default(), Instant::now());
        let at = |seconds: u64| UnixTime(1_800_000_000 + seconds);
        assert_eq!(times.far_at(at(0), begin), None, "nobody has signed");
        times.signed_at(at(0), begin);
        let hour = Duration::from_secs(3600);
        for (now, later, away) in [
            (at(0), Duration::ZERO, None),
            (at(300), Duration::ZERO, None),
            (at(3600), Duration::ZERO, Some(3600)),
            (at(3600), hour, None),
            (at(0), hour, Some(3600)),
        ] {
            let far = times.far_at(now, begin + later);
            assert_eq!(
                far.map(|far| far.as_secs()),
                away,
                "{now:?} after {later:?}"
            );
        }
    }
}
