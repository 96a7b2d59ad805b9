//! Whether the instances of a running process are still what `/readyz` says: what was there at the start may be lost.
//!
//! ```text
//!  Registrar ── heard from the NRF ──> Contact ──.
//!  Keeper ──> Store: certificates ───────────────┴─ looked at ──> what is missing, on the admin port
//! ```

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use mtc_core::time::UnixTime;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::instance::Instance;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(500);
/// Heartbeat intervals without an answer after which the NRF is lost: it suspends an instance after one and a margin, and one
/// lost heartbeat is repeated within the interval, so three are no accident.
const LOST_AFTER: u32 = 3;

/// When the NRF last answered an instance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contact {
    pub(super) last: Instant,
    /// Between heartbeats.
    pub(super) interval: Duration,
}

impl Contact {
    /// It has answered now.
    pub(super) fn now(interval: Duration) -> Self {
        Self {
            last: Instant::now(),
            interval,
        }
    }

    fn silent_for(self, now: Instant) -> Option<Duration> {
        let silent = now.saturating_duration_since(self.last);
        (silent > self.interval * LOST_AFTER).then_some(silent)
    }
}

/// One instance.
pub(super) struct Presence {
    pub(super) instance: Arc<Instance>,
    /// When the NRF last answered it; none where it does not register.
    pub(super) contact: Option<watch::Receiver<Contact>>,
}

impl Presence {
    /// What is missing now, added to `missing`.
    fn look(&self, now: Instant, missing: &mut String) {
        let Self { instance, contact } = self;
        let separator = |missing: &str| if missing.is_empty() { "" } else { "; " };
        let set = instance.store.current();
        let newest = set.mtc.iter().map(|mtc| mtc.standalone.not_after).max();
        if let Some(expired) = expired(newest, instance.endpoint().clock().now()) {
            let _ = write!(
                missing,
                "{}{}: {expired}",
                separator(missing),
                instance.fqdn
            );
        }
        let silent = { contact.as_ref() }.and_then(|contact| contact.borrow().silent_for(now));
        if let Some(silent) = silent {
            let _ = write!(
                missing,
                "{}{}: the NRF, from which nothing was heard for {} s",
                separator(missing),
                instance.fqdn,
                silent.as_secs()
            );
        }
    }
}

/// What is wrong with the newest certificate.
fn expired(newest: Option<UnixTime>, now: UnixTime) -> Option<String> {
    match newest {
        None => Some("a certificate".to_owned()),
        Some(not_after) if not_after < now => Some(format!(
            "a valid certificate, for its own expired at {not_after}"
        )),
        Some(_) => None,
    }
}

/// Keeps `missing` true for ever.
pub(super) async fn keep_telling(instances: Vec<Presence>, missing: watch::Sender<String>) {
    loop {
        sleep(LOOK).await;
        let mut found = String::new();
        let now = Instant::now();
        for instance in &instances {
            instance.look(now, &mut found);
        }
        missing.send_if_modified(|missing_now| {
            // The seconds of silence run on; that is shown, and not logged again.
            match (missing_now.is_empty(), found.is_empty()) {
                (true, false) => tracing::warn!(missing = found, "not ready any more"),
                (false, true) => tracing::info!("ready again"),
                _ => {}
            }
            let changed = *missing_now != found;
            *missing_now = found;
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nrf_is_lost_after_some_heartbeats() {
        let interval = Duration::from_secs(5);
        let contact = Contact::now(interval);
        let silent = |seconds| contact.silent_for(contact.last + Duration::from_secs(seconds));
        assert_eq!([0, 5, 15].map(silent), [None; 3]);
        assert_eq!(silent(16), Some(Duration::from_secs(16)));
    }

    #[test]
    fn a_certificate_is_missing_when_it_has_expired() {
        let end = UnixTime(1_800_000_000);
        assert!(expired(None, end).is_some());
        assert_eq!(expired(Some(end), end), None);
        let text = expired(Some(end), UnixTime(end.0 + 1)).unwrap_or_default();
        assert!(text.contains(&end.to_string()), "{text}");
    }
}
