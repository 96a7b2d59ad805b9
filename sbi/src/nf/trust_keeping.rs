//! Getting the first trust of a process's instances, and keeping it as new as the log for as long as the process runs.
//!
//! ```text
//!  look ──> publish ──┬─ the interval is over ────────────────────────────────────┬──> look
//!                     └─ on demand: the pause is over ── a landmark is lacking ───┘
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use mtc_core::id::{LandmarkNumber, LogNumber};
use mtc_tls::clock::Clock;
use mtc_tls::credentials::MtcTrust;
use tokio::time::{Instant, sleep};

use super::RETRY_PAUSE;
use super::error::NfError;
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

/// Looks until a set was taken, where `sets` are read, and until `own_landmark`, the newest that the process's own certificates need, is known.
///
/// Without it nothing is waited for that the log alone could give: whoever has no landmarks accepts standalone certificates, and the log may
/// be back later. A folder without a set is rather a mistake in the configuration, which nobody would notice otherwise.
///
/// # Errors
/// It is `deadline`, and something is still lacking.
pub(super) async fn await_trust(
    updater: &mut TrustUpdater,
    clock: Clock,
    sets: Option<&Path>,
    own_landmark: Option<(LogNumber, LandmarkNumber)>,
    deadline: Instant,
) -> Result<(), NfError> {
    let mut last_failure = LastFailure::default();
    loop {
        let looked = updater.update(clock.now()).await;
        let set = sets.filter(|_| updater.awaits_set());
        let landmark = own_landmark.filter(|own| !updater.has_caught_up(*own));
        if set.is_none() && landmark.is_none() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(match (looked, set, landmark) {
                (looked, Some(folder), _) => NfError::TrustedSets {
                    folder: folder.to_owned(),
                    source: looked.err(),
                },
                (Ok(_), None, Some((log, landmark))) => NfError::OldLog { log, landmark },
                (Err(error), None, _) => NfError::Trust(error),
                (Ok(_), None, None) => return Ok(()),
            });
        }
        if let Err(error) = looked {
            if last_failure.is_new(&error) {
                tracing::warn!(error = %Causes(&error), "no trust state yet");
            } else {
                tracing::debug!(error = %Causes(&error), "still no trust state");
            }
        }
        sleep(RETRY_PAUSE).await;
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
    if metrics.trust_updated.get() == 0 {
        // So that it is noticed, too, if no look ever succeeds.
        metrics.trust_updated.set(unix_now());
    }
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
    metrics.show_trust(trust);
}

/// The pause before the next look at a log after so many failures in a row: longer each time, since whoever does not answer is not helped by
/// being asked four times a second.
fn trust_pause(interval: Duration, failures: u32) -> Duration {
    let longest = LONGEST_TRUST_PAUSE.max(4 * interval);
    interval.saturating_mul(1 << failures.min(16)).min(longest)
}

#[cfg(test)]
mod tests {
    use mtc_core::ca::CaCertificate;
    use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
    use mtc_core::verify::CaTrust;
    use tempfile::TempDir;

    use super::*;
    use crate::trust::{LockedSets, TrustedSet};

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

    /// A folder without a set, and a reader of it.
    fn reader() -> (TempDir, TrustUpdater) {
        let key = SecretKey::generate(SignatureAlgorithm::Ed25519).expect("a key");
        let policy = CaTrust::ca_alone(&CaCertificate {
            cosigner: Cosigner {
                id: "32473.1".parse().expect("an ID"),
                key: key.public_key().expect("its public key"),
            },
            min_serial: 0,
            max_serial: u64::MAX,
            prefix_url: None,
        });
        let folder = tempfile::tempdir().expect("a folder");
        let reader = TrustUpdater::reading(folder.path(), policy);
        (folder, reader)
    }

    /// Publishes a set of a log that has no landmarks yet.
    fn publish(folder: &Path) {
        let now = Clock::default().now().0;
        let set = TrustedSet {
            number: now,
            made: now,
            pin: None,
            newest_log: 1,
            revoked: None,
            logs: Vec::new(),
        };
        let locked = LockedSets::lock(folder).expect("nobody else has it");
        locked.publish(&set).expect("it has room");
    }

    // A process whose configuration named the wrong folder was ready, without landmarks and without what is revoked.
    #[tokio::test(start_paused = true)]
    async fn without_a_set_a_start_ends_with_the_folder_and_its_key() {
        let (folder, mut reader) = reader();
        let typo = folder.path().join("typo");
        let deadline = Instant::now() + Duration::from_secs(60);
        let started = Instant::now();
        let awaited = await_trust(&mut reader, Clock::default(), Some(&typo), None, deadline).await;
        let error = awaited.expect_err("there is none");
        assert!(started.elapsed() >= Duration::from_secs(60));
        let text = Causes(&error).to_string();
        for part in ["typo", "trusted_sets", "cannot read", "current"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_goes_on_when_the_first_set_is_there() {
        let (folder, mut reader) = reader();
        let deadline = Instant::now() + Duration::from_secs(60);
        assert!(reader.awaits_set());
        let (awaited, ()) = tokio::join!(
            await_trust(
                &mut reader,
                Clock::default(),
                Some(folder.path()),
                None,
                deadline
            ),
            async {
                sleep(Duration::from_secs(10)).await;
                publish(folder.path());
            }
        );
        awaited.expect("a set");
        assert!(!reader.awaits_set());
    }

    #[tokio::test(start_paused = true)]
    async fn without_sets_a_start_does_not_wait_for_a_log_that_nothing_needs_yet() {
        let (_folder, mut reader) = reader();
        let awaited = await_trust(&mut reader, Clock::default(), None, None, Instant::now());
        awaited.await.expect("standalone certificates will do");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_never_reads_the_log_shows_since_when() {
        let (_folder, reader) = reader();
        let metrics = Metrics::new();
        let ledger = Arc::new(Ledger::new(metrics.clone()));
        assert_eq!(metrics.trust_updated.get(), 0);
        let keeping = keep_trust(
            reader,
            Clock::default(),
            LOOKS,
            Vec::new(),
            ledger,
            Events::new(false),
            Orders::none(),
        );
        let an_hour = Duration::from_secs(3600);
        let kept = tokio::time::timeout(an_hour, keeping).await;
        kept.expect_err("for ever");
        let failed = metrics.trust_updates.with_label_values(&["failed"]);
        assert!(failed.get() > 1, "{}", failed.get());
        assert!(metrics.trust_updated.get() > 0);
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
