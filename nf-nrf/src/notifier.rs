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

/// The subscriptions, their files, and the boxes of their subscribers.
pub struct Notifier {
    subscriptions: Mutex<Subscriptions>,
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

    /// Stores a subscription, or what it has become: it survives a crash when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is changed then.
    pub fn put(&self, subscription: Arc<Subscription>) -> Result<(), StoreError> {
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

    /// Ends a subscription. Returns whether there was one. Blocks on the disk.
    pub fn remove(&self, id: &SubscriptionId) -> bool {
        let found = self.lock().remove(id);
        if found && let Err(error) = self.folder.remove(&file(id)) {
            tracing::error!(error = %Causes(&error), "cannot remove an ended subscription");
        }
        found
    }

    /// Removes the subscriptions that have ended, and counts what there is. Blocks on the disk.
    pub fn sweep(&self) {
        let ended = {
            let now = self.now();
            self.lock().ended(now)
        };
        for id in ended {
            tracing::info!(
                subscription = id.as_str(),
                "a subscription has ended unrenewed"
            );
            self.remove(&id);
        }
        let subscriptions = self.lock().len();
        let (queued, silent) = (self.outboxes.queued(), self.outboxes.silent());
        self.metrics.count(subscriptions, queued, silent);
    }

    /// Puts a change into the boxes of those whom it may concern: no comparison, no network, no disk. Changes are to come one after
    /// the other.
    pub fn announce(&self, change: &Change) {
        let now = self.now();
        let (Change::Registered(profile)
        | Change::Deregistered(profile)
        | Change::ProfileChanged { after: profile, .. }) = change;
        let watching = self.lock().about(profile, now);
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
    use sbi::model::NfType;
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
