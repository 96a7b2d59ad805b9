//! Keeping the trust of a process's instances as new as the log, for as long as it runs.
//!
//! ```text
//!  look ──> publish ──┬─ the interval is over ────────────────────────────────────┬──> look
//!                     └─ on demand: the pause is over ── a landmark is lacking ───┘
//! ```

use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::MtcTrust;
use tokio::time::sleep;

use crate::instance::Instance;
use crate::landmark_demand::LandmarkDemand;
use crate::ledger::{Ledger, Look};
use crate::metrics::{Metrics, unix_now};
use crate::orders::Orders;
use crate::process::{Event, Events};
use crate::trust::{LastFailure, TrustError, TrustUpdater};

/// Longest pause between looks at a log that fails, unless four of the usual ones are longer: landmarks come every few seconds at the most, and
/// certificates live for hours, so ten seconds after it is back is early enough.
const LONGEST_TRUST_PAUSE: Duration = Duration::from_secs(10);

/// When to look at the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    /// From one look to the next at the latest: what is revoked is known after so long.
    pub(super) interval: Duration,
    /// Where a peer can bring a look about, the pause between looks at the least.
    pub(super) on_demand: Option<Duration>,
}

impl Looks {
    /// Waits from a look to the next, after so many failures in a row.
    async fn next(self, failures: u32, demand: &LandmarkDemand) {
        let interval = sleep(trust_pause(self.interval, failures));
        let Some(pause) = self.on_demand else {
            return interval.await;
        };
        let demanded = async {
            sleep(trust_pause(pause, failures)).await;
            demand.is_there().await;
        };
        tokio::select! {
            () = interval => {}
            () = demanded => {}
        }
    }
}

/// Looks at the log for ever, unless ordered not to; a failed look keeps the old trust.
pub(super) async fn keep_trust(
    mut updater: TrustUpdater,
    clock: Clock,
    looks: Looks,
    instances: Vec<Arc<Instance>>,
    ledger: Arc<Ledger>,
    events: Events,
    orders: Orders,
) {
    let (metrics, demand) = (ledger.metrics(), &ledger.landmark_demand);
    let mut failures = 0;
    let mut in_force = updater.revocation_list().map(|list| list.number);
    let mut last_failure = LastFailure::default();
    loop {
        let demanded = demand.take();
        let before = updater.cost();
        let looked = if orders.landmarks_are_paused() {
            updater.expire(clock.now())
        } else {
            updater.update(clock.now()).await
        };
        let look = match looked {
            Ok(Some(trust)) => {
                publish_trust(&trust, instances.iter(), &ledger);
                Look::New
            }
            Ok(None) => Look::Unchanged,
            Err(error) => {
                if matches!(error, TrustError::Revocation(_)) {
                    metrics.revocation.refused.inc();
                }
                if updater.taken_set().is_some() && error.is_refused_set() {
                    metrics.sets.refused.inc();
                    metrics.sets.refused_at.set(unix_now());
                }
                if last_failure.is_new(&error) {
                    tracing::warn!(error = %Causes(&error), "trust state not updated, keeping the old one");
                } else {
                    tracing::debug!(error = %Causes(&error), "trust state still not updated");
                }
                Look::Failed
            }
        };
        let cost = updater.cost().since(before);
        ledger.record_look(look, cost.octets, cost.cpu);
        demand.is_covered_below(updater.covered());
        show_learnt(&updater, metrics);
        if let Some(number) = updater.revocation_list().map(|list| list.number)
            && in_force.replace(number) != Some(number)
        {
            events.tell(&Event::Revoked { number });
        }
        if look == Look::Failed {
            failures = u32::saturating_add(failures, 1);
            if let Some(serial) = demanded {
                demand.met_standalone(serial);
            }
        } else {
            metrics.trust_updated.set(unix_now());
            if last_failure.has_passed() {
                tracing::info!(after = failures, "trust state updated again");
            }
            failures = 0;
        }
        looks.next(failures, demand).await;
    }
}

/// Shows what looks have cost, when the newest landmark expires, the list of revoked serial numbers that is in force, and the trusted set.
pub(super) fn show_learnt(updater: &TrustUpdater, metrics: &Metrics) {
    let expiry = updater.newest_expiry().map_or(0, |expiry| expiry.0);
    metrics
        .newest_landmark_expiry
        .set(i64::try_from(expiry).unwrap_or(i64::MAX));
    metrics
        .sets
        .show_cost(updater.cost().octets, updater.cost().cpu);
    if let Some(taken) = updater.taken_set() {
        metrics.sets.show(taken.number, taken.checked);
    }
    if let Some(list) = updater.revocation_list() {
        metrics.revocation.show(list);
    }
}

/// Gives every instance the trust, and shows how new it is.
pub(super) fn publish_trust<'a>(
    trust: &MtcTrust,
    instances: impl Iterator<Item = &'a Arc<Instance>>,
    ledger: &Ledger,
) {
    let metrics = ledger.metrics();
    ledger.record_newest_landmark(trust.newest_landmark());
    instances.for_each(|instance| instance.store.update(|set| set.mtc_trust = trust.clone()));
    let newest = trust.newest_landmark().map_or(0, |(_, newest)| newest.0);
    let newest = i64::try_from(newest).unwrap_or(i64::MAX);
    if newest != metrics.newest_landmark.get() {
        metrics.newest_landmark.set(newest);
        metrics.newest_landmark_since.set(unix_now());
    }
    metrics
        .trusted_subtrees
        .set(i64::try_from(trust.trusted_subtrees()).unwrap_or(i64::MAX));
}

/// The pause before the next look at a log after so many failures in a row: longer each time, since whoever does not answer is not helped by
/// being asked four times a second.
fn trust_pause(interval: Duration, failures: u32) -> Duration {
    let longest = LONGEST_TRUST_PAUSE.max(4 * interval);
    interval.saturating_mul(1 << failures.min(16)).min(longest)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const LOOKS: Looks = Looks {
        interval: Duration::from_secs(60),
        on_demand: Some(Duration::from_secs(1)),
    };

    /// How long it is until the next look, by a clock that nothing but waiting moves.
    async fn wait(looks: Looks, demand: &LandmarkDemand) -> Duration {
        let began = Instant::now();
        looks.next(0, demand).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn without_demand_the_log_is_looked_at_at_the_interval() {
        let demand = LandmarkDemand::default();
        assert_eq!(wait(LOOKS, &demand).await, LOOKS.interval);
        let never = Looks {
            on_demand: None,
            ..LOOKS
        };
        demand.met_standalone(1);
        assert_eq!(wait(never, &demand).await, never.interval);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_new_certificates_makes_one_look_a_pause() {
        let demand = LandmarkDemand::default();
        let flood = async {
            for serial in 0.. {
                demand.met_standalone(serial);
                sleep(Duration::from_millis(1)).await;
            }
        };
        let looking = async {
            for _ in 0..10 {
                demand.take();
                assert!(wait(LOOKS, &demand).await >= Duration::from_secs(1));
            }
        };
        let began = Instant::now();
        tokio::select! {
            () = flood => {}
            () = looking => {}
        }
        // Each was brought about by the flood all the same.
        assert!(began.elapsed() < LOOKS.interval);
    }

    // A log behind a server that speaks HTTP/1.1 only was asked every 250 ms for ever.
    #[test]
    fn a_log_that_fails_is_asked_ever_more_rarely_up_to_a_bound() {
        let short = Duration::from_millis(250);
        assert_eq!(trust_pause(short, 0), short);
        assert_eq!(trust_pause(short, 1), 2 * short);
        assert_eq!(trust_pause(short, 3), 8 * short);
        for failures in [6, 16, 17, u32::MAX] {
            assert_eq!(trust_pause(short, failures), LONGEST_TRUST_PAUSE);
        }
        let long = Duration::from_secs(30);
        assert_eq!(trust_pause(long, 1), 2 * long);
        assert_eq!(trust_pause(long, 9), 4 * long);
    }
}
