//! Keeping the trust of a process's instances as new as the log, for as long as it runs.

use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::MtcTrust;
use tokio::time::sleep;

use crate::instance::Instance;
use crate::metrics::{Metrics, unix_now};
use crate::orders::Orders;
use crate::process::{Event, Events};
use crate::trust::{LastFailure, TrustError, TrustUpdater};

/// Longest pause between looks at a log that fails, unless four of the usual ones are longer: landmarks come every few seconds at the most, and
/// certificates live for hours, so ten seconds after it is back is early enough.
const LONGEST_TRUST_PAUSE: Duration = Duration::from_secs(10);

/// Looks at the log for ever, unless ordered not to; a failed look keeps the old trust.
pub(super) async fn keep_trust(
    mut updater: TrustUpdater,
    clock: Clock,
    interval: Duration,
    instances: Vec<Arc<Instance>>,
    metrics: Metrics,
    events: Events,
    orders: Orders,
) {
    let mut failures = 0;
    let mut in_force = updater.revocation_list().map(|list| list.number);
    let mut last_failure = LastFailure::default();
    loop {
        let looked = if orders.landmarks_are_paused() {
            updater.expire(clock.now())
        } else {
            updater.update(clock.now()).await
        };
        let result = match looked {
            Ok(Some(trust)) => {
                publish_trust(&trust, instances.iter(), &metrics);
                "new"
            }
            Ok(None) => "unchanged",
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
                "failed"
            }
        };
        metrics.trust_updates.with_label_values(&[result]).inc();
        show_learnt(&updater, &metrics);
        if let Some(number) = updater.revocation_list().map(|list| list.number)
            && in_force.replace(number) != Some(number)
        {
            events.tell(&Event::Revoked { number });
        }
        if result == "failed" {
            failures = u32::saturating_add(failures, 1);
        } else {
            metrics.trust_updated.set(unix_now());
            if last_failure.has_passed() {
                tracing::info!(after = failures, "trust state updated again");
            }
            failures = 0;
        }
        sleep(trust_pause(interval, failures)).await;
    }
}

/// Shows the list of revoked serial numbers that is in force, and the trusted set.
pub(super) fn show_learnt(updater: &TrustUpdater, metrics: &Metrics) {
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
    metrics: &Metrics,
) {
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
    use super::*;

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
