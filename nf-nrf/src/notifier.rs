//! The subscriptions as the services of the NRF share them: kept on disk, and each change put into the boxes of those whom it
//! may concern.
//!
//! ```text
//!   subscribing ── put, remove ──> Notifier ── put ──> outboxes ──> couriers
//!   registry ────── announce ────────┘   `── a file for each subscription
//! ```
//!
//! Subscriptions survive a restart; what waits in boxes does not. Who must not miss anything discovers again when it renews.

use std::sync::{Arc, Mutex, PoisonError};

use mtc_core::causes::Causes;
use mtc_core::time::UnixTime;
use mtc_tls::clock::Clock;
use sbi::model::SubscriptionData;
use serde::{Deserialize, Serialize};

use crate::files::{FileError, PrivateFolder};
use crate::metrics::notifications::{Delivery, NotificationMetrics};
use crate::notification::may_concern;
use crate::outbox::{Outboxes, Queued};
use crate::registry::Change;
use crate::subscription::{Subscriber, Subscription, SubscriptionId};
use crate::subscriptions::{AddError, Bounds, MAX_OCTETS, Subscriptions};

const SUFFIX: &str = ".json";
/// Most octets of a file: a subscription, and who made it. A larger one is not from here and is not read.
const MAX_FILE: u64 = 4 * MAX_OCTETS as u64;

/// Locks that those take who change subscriptions: so many that one who waits for the disk holds up few others.
const WRITERS: usize = 16;

/// The subscriptions, their files, and the boxes of their subscribers.
pub struct Notifier {
    subscriptions: Mutex<Subscriptions>,
    /// Held by whoever changes or ends a subscription, from the look at it until the disk has what it has become: a renewal is not lost
    /// to its end, nor the end to a renewal that looked before. Before [`Self::subscriptions`], never while that is locked.
    writers: [Mutex<()>; WRITERS],
    folder: PrivateFolder,
    clock: Clock,
    metrics: NotificationMetrics,
    /// What is still to be told.
    pub outboxes: Outboxes,
}

/// Why a subscription was not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no place.
    #[error(transparent)]
    Add(#[from] AddError),
    /// The disk fails.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A subscription as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    data: SubscriptionData,
    subscriber: Subscriber,
    /// Unix seconds.
    expires: u64,
}

impl Notifier {
    /// The subscriptions that are stored in `folder`; files that cannot be read are left out, and their subscribers subscribe again
    /// when they find out. Blocks on the disk.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn open(
        folder: PrivateFolder,
        bounds: Bounds,
        clock: Clock,
        metrics: NotificationMetrics,
    ) -> Result<Self, FileError> {
        let mut subscriptions = Subscriptions::new(bounds);
        for name in folder.names(SUFFIX)? {
            let bytes = folder.read_at_most(&name, MAX_FILE)?;
            let restored = bytes.and_then(|bytes| restored(&name, &bytes));
            let stored = restored.map(|subscription| subscriptions.put(Arc::new(subscription)));
            if !matches!(stored, Some(Ok(()))) {
                tracing::warn!(
                    file = name,
                    "skipping a stored subscription that cannot be used"
                );
            }
        }
        Ok(Self {
            subscriptions: Mutex::new(subscriptions),
            writers: Default::default(),
            folder,
            clock,
            metrics,
            outboxes: Outboxes::default(),
        })
    }

    /// What time it is, of which subscriptions end.
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Stores a new subscription: it survives a crash when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is changed then.
    pub fn put(&self, subscription: Arc<Subscription>) -> Result<(), StoreError> {
        let _writer = self.writer(&subscription.id);
        self.store(subscription)
    }

    /// Stores what `change` makes of the subscription `id`, which nobody else changes or ends meanwhile; `change` is given none if there
    /// is none. Survives a crash when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// Those of `change`, or [`StoreError`]; nothing is changed then.
    pub fn change<E: From<StoreError>>(
        &self,
        id: &SubscriptionId,
        change: impl FnOnce(Option<Arc<Subscription>>) -> Result<Subscription, E>,
    ) -> Result<Arc<Subscription>, E> {
        let _writer = self.writer(id);
        let subscription = Arc::new(change(self.get(id))?);
        self.store(subscription.clone())?;
        Ok(subscription)
    }

    fn store(&self, subscription: Arc<Subscription>) -> Result<(), StoreError> {
        let id = subscription.id.clone();
        let stored = Stored {
            data: subscription.data.clone(),
            subscriber: subscription.subscriber.clone(),
            expires: subscription.expires.0,
        };
        let json =
            serde_json::to_vec(&stored).expect("a subscription has string keys and does not fail");
        // Into memory first: what has no place must leave no file, and what is not acknowledged may be told for a moment.
        let before = {
            let mut subscriptions = self.lock();
            let before = subscriptions.get(&id, UnixTime(0)).cloned();
            subscriptions.put(subscription)?;
            before
        };
        let written = self.folder.write_durably(&file(&id), &json);
        if written.is_err() {
            let mut subscriptions = self.lock();
            match before {
                Some(before) => subscriptions.put(before)?,
                None => drop(subscriptions.remove(&id)),
            }
        }
        Ok(written?)
    }

    /// The subscription `id`, unless it has ended.
    pub fn get(&self, id: &SubscriptionId) -> Option<Arc<Subscription>> {
        let now = self.now();
        self.lock().get(id, now).cloned()
    }

    /// Whether a subscriber wants to hear of load alone.
    pub fn is_load_monitored(&self) -> bool {
        self.lock().is_load_monitored()
    }

    /// Ends a subscription. Returns whether there was one. Blocks on the disk.
    pub fn remove(&self, id: &SubscriptionId) -> bool {
        let _writer = self.writer(id);
        self.end(id)
    }

    /// Removes the subscriptions that have ended, and counts what there is. Blocks on the disk.
    pub fn sweep(&self) {
        let ended = {
            let now = self.now();
            self.lock().ended(now)
        };
        for id in ended {
            self.end_unrenewed(&id);
        }
        let subscriptions = self.lock().len();
        let (queued, silent) = (self.outboxes.queued(), self.outboxes.silent());
        self.metrics.count(subscriptions, queued, silent);
    }

    /// Ends a subscription whose time is over, unless it has been renewed since that was seen.
    fn end_unrenewed(&self, id: &SubscriptionId) {
        let _writer = self.writer(id);
        if self.get(id).is_none() && self.end(id) {
            tracing::info!(
                subscription = id.as_str(),
                "a subscription has ended unrenewed"
            );
        }
    }

    fn end(&self, id: &SubscriptionId) -> bool {
        let found = self.lock().remove(id);
        if found && let Err(error) = self.folder.remove(&file(id)) {
            tracing::error!(error = %Causes(&error), "cannot remove an ended subscription");
        }
        found
    }

    fn writer(&self, id: &SubscriptionId) -> std::sync::MutexGuard<'_, ()> {
        let sum: usize = id.as_str().bytes().map(usize::from).sum();
        let writer = &self.writers[sum % WRITERS];
        writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a change into the boxes of those whom it may concern: no comparison, no network, no disk. Changes are to come one after
    /// the other.
    pub fn announce(&self, change: &Change) {
        let now = self.now();
        let watching = {
            let subscriptions = self.lock();
            match change {
                Change::Registered(profile) | Change::Deregistered(profile) => {
                    subscriptions.about(profile, now)
                }
                // Of another type now: those are told too who watched it as what it was.
                Change::ProfileChanged { before, after } if before.nf_type != after.nf_type => {
                    let mut watching = subscriptions.about(after, now);
                    watching.extend(subscriptions.about(before, now));
                    watching.sort_by(|one, other| one.id.cmp(&other.id));
                    watching.dedup_by(|one, other| one.id == other.id);
                    watching
                }
                Change::ProfileChanged { after, .. } | Change::LoadChanged { after, .. } => {
                    subscriptions.about(after, now)
                }
            }
        };
        for subscription in watching {
            if !may_concern(&subscription, change) {
                continue;
            }
            let change = change.clone();
            let overflown = self.outboxes.put(Queued {
                subscription,
                change,
            });
            self.lost(overflown);
        }
    }

    /// Counts what had no room to wait.
    pub fn lost(&self, overflown: impl IntoIterator<Item = Queued>) {
        for _ in overflown {
            self.metrics.notified(None, Delivery::Overflown);
        }
    }

    /// Where notifications are counted.
    pub const fn metrics(&self) -> &NotificationMetrics {
        &self.metrics
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Subscriptions> {
        // A panic within would be one of the standard library's maps; a change of them is not left half done otherwise.
        self.subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn file(id: &SubscriptionId) -> String {
    format!("{}{SUFFIX}", id.as_str())
}

fn restored(name: &str, bytes: &[u8]) -> Option<Subscription> {
    let Stored {
        data,
        subscriber,
        expires,
    } = serde_json::from_slice(bytes).ok()?;
    let id = SubscriptionId::named(name.strip_suffix(SUFFIX)?);
    Subscription::new(id, data, subscriber, UnixTime(expires)).ok()
}

#[cfg(test)]
mod tests {
    use sbi::metrics::Registry;
    use sbi::model::{NfProfile, NfType};
    use serde_json::json;
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::*;

    fn open(folder: &TempDir) -> Notifier {
        let folder = PrivateFolder::open(folder.path().to_owned()).expect("a folder");
        let metrics = NotificationMetrics::new(&Registry::default());
        Notifier::open(folder, Bounds::default(), Clock::default(), metrics).expect("readable")
    }

    fn subscription(lasts: u64) -> Arc<Subscription> {
        let mut data = SubscriptionData::new("https://amf1.example.org/cb");
        data.other.insert("vendor".to_owned(), "kept".into());
        let subscriber = Subscriber {
            id: Uuid::from_u128(7).into(),
            nf_type: NfType::Amf,
            fqdns: vec!["amf1.example.org".to_owned()],
            address: [192, 0, 2, 1].into(),
            domain: None,
        };
        let expires = UnixTime(Clock::default().now().0 + lasts);
        let id = SubscriptionId::random();
        Arc::new(Subscription::new(id, data, subscriber, expires).expect("valid"))
    }

    #[test]
    fn what_was_acknowledged_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, removed) = (subscription(60), subscription(60));
        let notifier = open(&folder);
        notifier.put(kept.clone()).unwrap();
        notifier.put(removed.clone()).unwrap();
        assert!(notifier.remove(&removed.id));
        std::fs::write(folder.path().join("damaged.json"), "{").unwrap();
        let notifier = open(&folder);
        assert_eq!(notifier.get(&kept.id), Some(kept));
        assert_eq!(notifier.get(&removed.id), None);
    }

    #[test]
    fn a_subscription_that_ends_is_gone_and_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let notifier = open(&folder);
        let ended = subscription(0);
        notifier.put(ended.clone()).unwrap();
        assert_eq!(notifier.get(&ended.id), None);
        notifier.sweep();
        assert!(notifier.lock().is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    /// They went on using it.
    #[test]
    fn who_watches_a_type_is_told_of_an_instance_that_is_of_another_now() {
        let folder = tempfile::tempdir().unwrap();
        let notifier = open(&folder);
        for condition in ["SMF", "AMF", "UPF"] {
            let mut watching = Subscription::clone(&subscription(60));
            let condition = json!({"nfType": condition});
            watching.data.subscr_cond = condition.as_object().cloned();
            let Subscription {
                id,
                data,
                subscriber,
                expires,
                ..
            } = watching;
            let watching = Subscription::new(id, data, subscriber, expires).expect("valid");
            notifier.put(Arc::new(watching)).unwrap();
        }
        let profile = |nf_type| {
            let id = Uuid::from_u128(8).into();
            Arc::new(NfProfile::new(id, nf_type, "smf1.example.org"))
        };
        notifier.announce(&Change::ProfileChanged {
            before: profile(NfType::Smf),
            after: profile(NfType::Amf),
        });
        assert_eq!(notifier.outboxes.queued(), 2);
    }

    /// The renewal brought it back, in memory and on the disk, after its subscriber had been told that it was gone.
    #[test]
    fn what_is_ended_while_it_is_renewed_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let notifier = open(&folder);
        let kept = subscription(60);
        notifier.put(kept.clone()).unwrap();
        let removed = std::thread::scope(|scope| {
            let mut removing = None;
            let renewed: Result<_, StoreError> = notifier.change(&kept.id, |before| {
                removing = Some(scope.spawn(|| notifier.remove(&kept.id)));
                Ok(Subscription::clone(&before.expect("it is there")))
            });
            renewed.unwrap();
            removing.expect("it was begun").join().unwrap()
        });
        assert!(removed);
        assert_eq!(notifier.get(&kept.id), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_subscription_that_was_seen_to_end_and_is_renewed_stays() {
        let folder = tempfile::tempdir().unwrap();
        let notifier = open(&folder);
        let kept = subscription(60);
        notifier.put(kept.clone()).unwrap();
        let after = UnixTime(notifier.now().0 + 60);
        let seen = notifier.lock().ended(after);
        assert_eq!(seen, std::slice::from_ref(&kept.id));
        notifier.end_unrenewed(&kept.id);
        assert_eq!(notifier.get(&kept.id), Some(kept));
    }

    #[test]
    fn a_subscription_that_cannot_be_stored_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let notifier = open(&folder);
        std::fs::remove_dir_all(folder.path()).unwrap();
        let lost = subscription(60);
        let refused = notifier.put(lost.clone());
        assert!(matches!(refused, Err(StoreError::File(_))), "{refused:?}");
        assert_eq!(notifier.get(&lost.id), None);
    }
}
