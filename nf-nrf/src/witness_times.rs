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

/// What witnesses have signed last, and when. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct WitnessTimes(Arc<Mutex<Option<Signed>>>);

/// The times that witnesses have signed on one checkpoint, and when that was.
#[derive(Debug)]
struct Signed {
    times: Vec<UnixTime>,
    at: Instant,
}

impl WitnessTimes {
    /// Witnesses have just signed these times.
    pub fn signed(&self, times: Vec<UnixTime>) {
        self.signed_at(times, Instant::now());
    }

    fn signed_at(&self, times: Vec<UnixTime>, at: Instant) {
        let signed = Some(Signed { times, at });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = signed;
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
            let times = |checkpoint: CaCheckpoint| -> Vec<UnixTime> {
                let signed = |witness| checkpoint.signed().verify(&log, witness).ok();
                witnesses.iter().filter_map(signed).collect()
            };
            let times = checkpoint.map(times).unwrap_or_default();
            if !times.is_empty() {
                self.signed(times);
            }
            sleep(LISTENING_PAUSE).await;
        }
    }

    /// How far `now` is from the time by the nearest of the clocks of the witnesses that signed last, if that is too far: one
    /// witness whose clock is wrong stops nothing as long as another's is right. None has signed since the start of this
    /// process: then there is nothing to compare with.
    pub fn far_from(&self, now: UnixTime) -> Option<Duration> {
        self.far_at(now, Instant::now())
    }

    fn far_at(&self, now: UnixTime, at: Instant) -> Option<Duration> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Signed { times, at: signed } = last.as_ref()?;
        let since = at.saturating_duration_since(*signed);
        let away = times.iter().map(|time| now.0.abs_diff(time.plus(since).0));
        let away = Duration::from_secs(away.min()?);
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
        times.signed_at(vec![at(0)], begin);
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

    #[test]
    fn one_witness_of_several_with_a_wrong_clock_stops_nothing() {
        let (times, begin) = (WitnessTimes::default(), Instant::now());
        let at = |seconds: u64| UnixTime(1_800_000_000 + seconds);
        times.signed_at(vec![at(86_400), at(1)], begin);
        assert_eq!(times.far_at(at(0), begin), None);
        times.signed_at(vec![at(86_400), at(3600)], begin);
        assert_eq!(
            times.far_at(at(0), begin),
            Some(Duration::from_secs(3600)),
            "a clock that no witness's is near is the one that is wrong"
        );
    }
}
