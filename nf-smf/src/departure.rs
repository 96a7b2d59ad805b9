//! AMFs that are gone: their SM contexts end with them.
//!
//! ```text
//!  each AMF with contexts, when there is news of it and every minute (every few seconds without a subscription):
//!  what does the NRF say?
//!    not registered, as the NRF has told         ──> its contexts end
//!    not registered, for longer than a heartbeat ──> its contexts end
//!    registered with another time of recovery    ──> those from before its restart end (TS 29.510, recoveryTime)
//!    no answer                                   ──> nothing is known, nothing ends
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use mtc_core::causes::Causes;
use sbi::model::NfInstanceId;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, sleep};

use crate::amf_status::{AmfStatus, News};
use crate::pdu_session::PduSessions;
use crate::serving_amf::ServingAmfs;

/// How often the NRF is asked while it tells nothing by itself, or knows nothing of an AMF.
const INTERVAL: Duration = Duration::from_secs(5);
/// How often it is asked while there is a subscription: a notification may be lost.
const INTERVAL_WITH_NEWS: Duration = Duration::from_secs(60);
/// How long an AMF may be unknown to the NRF before it is gone: an NRF that has lost its registrations gets them again with the
/// next heartbeat, which is due within 10 seconds.
const GRACE: Duration = Duration::from_secs(15);

/// What the NRF says of an AMF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// It is not registered.
    Absent,
    /// It is, and has lost its contexts at that time, if it says so.
    Present {
        /// `recoveryTime`.
        recovered: Option<SystemTime>,
    },
}

impl Registration {
    fn of(profile: Option<&sbi::model::NfProfile>) -> Self {
        let Some(profile) = profile else {
            return Self::Absent;
        };
        let recovered = profile.recovery_time.as_deref();
        let recovered = recovered.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
        Self::Present {
            recovered: recovered.map(SystemTime::from),
        }
    }
}

/// Which contexts of an AMF are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// None.
    Nothing,
    /// All.
    All,
    /// Those from before a restart.
    Before {
        /// The AMF was seen before its restart then.
        seen: Instant,
        /// When it restarted, by its own clock.
        recovered: SystemTime,
    },
}

/// What is known of AMFs that have contexts. Pure: times are given.
#[derive(Debug, Default)]
pub struct Departures {
    known: HashMap<NfInstanceId, Known>,
}

#[derive(Debug)]
struct Known {
    seen: Instant,
    recovered: Option<SystemTime>,
    absent_since: Option<Instant>,
}

impl Departures {
    /// Forgets AMFs that are not among `amfs`, so that there are never more here than have contexts.
    pub fn retain(&mut self, amfs: &[NfInstanceId]) {
        let amfs: HashSet<_> = amfs.iter().collect();
        self.known.retain(|amf, _| amfs.contains(amf));
    }

    /// Whether it is to be looked again soon: an AMF is unknown, and not for long yet.
    pub fn is_waiting(&self) -> bool {
        self.known
            .values()
            .any(|known| known.absent_since.is_some())
    }

    /// What is lost of `amf`, of which the NRF says `registration` at `now` and has told `news`.
    pub fn judge(
        &mut self,
        amf: NfInstanceId,
        registration: Registration,
        news: Option<News>,
        now: Instant,
    ) -> Lost {
        let known = self.known.entry(amf).or_insert(Known {
            seen: now,
            recovered: None,
            absent_since: None,
        });
        match registration {
            Registration::Absent => {
                let since = *known.absent_since.get_or_insert(now);
                let is_told = news == Some(News::Gone);
                if !is_told && now.saturating_duration_since(since) < GRACE {
                    return Lost::Nothing;
                }
                self.known.remove(&amf);
                Lost::All
            }
            Registration::Present { recovered } => {
                let before = std::mem::replace(
                    known,
                    Known {
                        seen: now,
                        recovered,
                        absent_since: None,
                    },
                );
                match (before.recovered, recovered) {
                    (Some(old), Some(recovered)) if old != recovered => Lost::Before {
                        seen: before.seen,
                        recovered,
                    },
                    _ => Lost::Nothing,
                }
            }
        }
    }
}

/// Ends the contexts of `sessions` with their AMFs, as long as somebody else holds `sessions`.
pub async fn keep(sessions: Weak<PduSessions>, amfs: Arc<ServingAmfs>, status: Arc<AmfStatus>) {
    let Some(new_amf) = sessions.upgrade().map(|sessions| sessions.new_amf()) else {
        return;
    };
    let mut departures = Departures::default();
    let mut subscribed = status.subscribed();
    loop {
        let is_subscribed = *subscribed.borrow_and_update() > 0;
        let interval = if is_subscribed && !departures.is_waiting() {
            INTERVAL_WITH_NEWS
        } else {
            INTERVAL
        };
        let is_news = tokio::select! {
            () = status.arrived() => true,
            // An AMF is first asked for when it gets its first context: its time of recovery is known before it can change.
            () = new_amf.notified() => false,
            () = sleep(interval) => false,
            // What is remembered may be out of date since nobody told of it.
            _ = subscribed.changed() => {
                amfs.forget_all();
                false
            }
        };
        let Some(sessions) = sessions.upgrade() else {
            return;
        };
        let news = status.take();
        let mut with_contexts = sessions.amfs();
        departures.retain(&with_contexts);
        if is_news {
            with_contexts.retain(|amf| news.contains_key(amf));
        }
        for amf in with_contexts {
            let profile = match amfs.registered(amf).await {
                Ok(profile) => profile,
                Err(error) => {
                    tracing::debug!(%amf, error = %Causes(&error), "cannot tell whether an AMF is still there");
                    continue;
                }
            };
            let registration = Registration::of(profile.as_ref());
            let ended = match departures.judge(
                amf,
                registration,
                news.get(&amf).copied(),
                Instant::now(),
            ) {
                Lost::Nothing => continue,
                Lost::All => sessions.end(amf, |_| true),
                Lost::Before { seen, recovered } => sessions.end(amf, |context| {
                    context.created.at < seen || context.created.wall < recovered
                }),
            };
            amfs.forget(amf);
            tracing::info!(%amf, ended, "an AMF is gone or has restarted, releasing its SM contexts");
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn amf() -> NfInstanceId {
        Uuid::from_u128(7).into()
    }

    fn recovered(seconds: u64) -> Registration {
        Registration::Present {
            recovered: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
        }
    }

    #[test]
    fn an_amf_is_gone_when_it_is_unknown_for_longer_than_a_heartbeat() {
        let mut departures = Departures::default();
        let start = Instant::now();
        let mut judge = |registration, seconds| {
            let at = start + Duration::from_secs(seconds);
            departures.judge(amf(), registration, None, at)
        };
        assert_eq!(judge(recovered(1), 0), Lost::Nothing);
        assert_eq!(judge(Registration::Absent, 5), Lost::Nothing);
        assert_eq!(judge(Registration::Absent, 19), Lost::Nothing);
        assert_eq!(judge(recovered(1), 20), Lost::Nothing);
        assert_eq!(judge(Registration::Absent, 25), Lost::Nothing);
        assert_eq!(judge(Registration::Absent, 40), Lost::All);
    }

    #[test]
    fn an_amf_is_gone_at_once_when_the_nrf_has_told_and_says_so() {
        let mut departures = Departures::default();
        let now = Instant::now();
        let told = Some(News::Gone);
        assert_eq!(
            departures.judge(amf(), recovered(1), told, now),
            Lost::Nothing
        );
        let changed = Some(News::Changed);
        assert_eq!(
            departures.judge(amf(), Registration::Absent, changed, now),
            Lost::Nothing
        );
        assert_eq!(
            departures.judge(amf(), Registration::Absent, told, now),
            Lost::All
        );
    }

    #[test]
    fn an_amf_that_has_restarted_has_lost_what_it_had_before() {
        let mut departures = Departures::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(
            departures.judge(amf(), recovered(100), None, at(0)),
            Lost::Nothing
        );
        assert_eq!(
            departures.judge(amf(), recovered(100), None, at(5)),
            Lost::Nothing
        );
        let lost = Lost::Before {
            seen: at(5),
            recovered: SystemTime::UNIX_EPOCH + Duration::from_secs(200),
        };
        assert_eq!(departures.judge(amf(), recovered(200), None, at(10)), lost);
        assert_eq!(
            departures.judge(amf(), recovered(200), None, at(15)),
            Lost::Nothing
        );
        departures.retain(&[]);
        assert!(departures.known.is_empty());
    }
}
