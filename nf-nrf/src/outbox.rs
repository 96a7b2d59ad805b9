//! What is still to be told, a queue for each subscriber: in order, bounded, and nobody's queue holds up another's.
//!
//! ```text
//!   put ──> box of an address ──> next ──> its courier (one for each box)
//!            `─ new: new_box ──> a courier begins              close: the box was empty for a while, the courier ends
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use sbi::model::NfInstanceId;
use tokio::sync::Notify;

use crate::registry::Change;
use crate::subscription::Subscription;

/// Most notifications that wait for one subscriber: minutes of changes in a network whose instances come and go each second.
pub const MAX_QUEUED: usize = 256;
/// Most that wait for a subscriber that has not answered for long. All that a change keeps in memory are two profiles, which the
/// boxes share, so even if every subscriber is silent they hold little more than the last few changes.
pub const MAX_QUEUED_SILENT: usize = 16;

/// Whose box it is: a subscriber, at one of the addresses that it gave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BoxAddress {
    /// The subscriber.
    pub subscriber: NfInstanceId,
    /// `host:port` of its notification URI.
    pub authority: String,
}

impl BoxAddress {
    /// The box for the notifications of `subscription`.
    pub fn of(subscription: &Subscription) -> Self {
        Self {
            subscriber: subscription.subscriber.id,
            authority: subscription.callback.authority().to_owned(),
        }
    }
}

/// A change of which a subscriber is to be told.
#[derive(Clone, Debug)]
pub struct Queued {
    /// For whom.
    pub subscription: Arc<Subscription>,
    /// What happened.
    pub change: Change,
}

/// The boxes.
#[derive(Debug, Default)]
pub struct Outboxes {
    boxes: Mutex<Boxes>,
    is_new: Notify,
}

#[derive(Debug, Default)]
struct Boxes {
    by_address: HashMap<BoxAddress, Outbox>,
    /// Boxes that have no courier yet.
    new: VecDeque<(BoxAddress, Arc<Notify>)>,
    queued: usize,
}

#[derive(Debug, Default)]
struct Outbox {
    queue: VecDeque<Queued>,
    is_silent: bool,
    arrived: Arc<Notify>,
}

impl Outboxes {
    /// Puts something into its box. What has waited longest makes room in a full one, and is returned.
    pub fn put(&self, queued: Queued) -> Option<Queued> {
        let address = BoxAddress::of(&queued.subscription);
        let mut boxes = self.lock();
        let Boxes {
            by_address,
            new,
            queued: count,
        } = &mut *boxes;
        let outbox = by_address.entry(address).or_insert_with_key(|address| {
            let outbox = Outbox::default();
            new.push_back((address.clone(), outbox.arrived.clone()));
            self.is_new.notify_one();
            outbox
        });
        outbox.queue.push_back(queued);
        *count += 1;
        let overflown = (outbox.queue.len() > outbox.bound())
            .then(|| outbox.queue.pop_front())
            .flatten();
        if overflown.is_some() {
            *count -= 1;
        }
        outbox.arrived.notify_one();
        overflown
    }

    /// The next box that needs a courier, and what wakes the courier.
    ///
    /// Dropping the future loses no box.
    pub async fn new_box(&self) -> (BoxAddress, Arc<Notify>) {
        loop {
            let is_new = self.is_new.notified();
            if let Some(new) = self.lock().new.pop_front() {
                return new;
            }
            is_new.await;
        }
    }

    /// Takes out what has waited longest at `address`.
    pub fn next(&self, address: &BoxAddress) -> Option<Queued> {
        let mut boxes = self.lock();
        let next = boxes.by_address.get_mut(address)?.queue.pop_front();
        if next.is_some() {
            boxes.queued -= 1;
        }
        next
    }

    /// Remembers whether the subscriber at `address` answers. Returns what a silent one's box has no room for.
    pub fn set_silent(&self, address: &BoxAddress, is_silent: bool) -> Vec<Queued> {
        let mut boxes = self.lock();
        let Some(outbox) = boxes.by_address.get_mut(address) else {
            return Vec::new();
        };
        outbox.is_silent = is_silent;
        let excess = outbox.queue.len().saturating_sub(outbox.bound());
        let overflown: Vec<_> = outbox.queue.drain(..excess).collect();
        boxes.queued -= overflown.len();
        overflown
    }

    /// Removes the box at `address` if it is empty. Returns whether it is gone, with which its courier's work ends.
    pub fn close(&self, address: &BoxAddress) -> bool {
        let mut boxes = self.lock();
        let is_empty = boxes
            .by_address
            .get(address)
            .is_none_or(|outbox| outbox.queue.is_empty());
        if is_empty {
            boxes.by_address.remove(address);
        }
        is_empty
    }

    /// How many notifications wait.
    pub fn queued(&self) -> usize {
        self.lock().queued
    }

    /// For how many silent subscribers there is a box.
    pub fn silent(&self) -> usize {
        let boxes = self.lock();
        let silent = boxes.by_address.values().filter(|outbox| outbox.is_silent);
        silent.count()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Boxes> {
        // Nothing in here panics between one change of it and the next.
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox {
    const fn bound(&self) -> usize {
        if self.is_silent {
            MAX_QUEUED_SILENT
        } else {
            MAX_QUEUED
        }
    }
}

#[cfg(test)]
mod tests {
    use mtc_core::time::UnixTime;
    use sbi::model::{NfProfile, NfType, SubscriptionData};
    use uuid::Uuid;

    use super::*;
    use crate::subscription::{Subscriber, SubscriptionId};

    fn queued(subscriber: u128, instance: u128) -> Queued {
        let data = SubscriptionData::new("https://amf1.example.org:7777/cb");
        let subscriber = Subscriber {
            id: Uuid::from_u128(subscriber).into(),
            nf_type: NfType::Amf,
            fqdns: Vec::new(),
            address: [127, 0, 0, 1].into(),
            domain: None,
        };
        let id = SubscriptionId::random();
        let subscription = Subscription::new(id, data, subscriber, UnixTime(1)).expect("valid");
        let id = Uuid::from_u128(instance).into();
        let profile = NfProfile::new(id, NfType::Smf, "smf1.example.org");
        Queued {
            subscription: Arc::new(subscription),
            change: Change::Registered(Arc::new(profile)),
        }
    }

    fn instance(queued: &Queued) -> u128 {
        let Change::Registered(profile) = &queued.change else {
            panic!("another change");
        };
        profile.nf_instance_id.uuid().as_u128()
    }

    #[tokio::test]
    async fn a_box_has_one_courier_and_keeps_the_order() {
        let boxes = Outboxes::default();
        for n in [1, 2, 3] {
            assert!(boxes.put(queued(7, n)).is_none());
        }
        boxes.put(queued(8, 4));
        let (first, _) = boxes.new_box().await;
        let (second, _) = boxes.new_box().await;
        assert_ne!(first, second);
        assert!(boxes.lock().new.is_empty());
        let taken: Vec<_> = std::iter::from_fn(|| boxes.next(&first)).collect();
        assert_eq!(taken.iter().map(instance).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(boxes.queued(), 1);
        assert!(boxes.close(&first) && !boxes.close(&second));
        boxes.put(queued(7, 5));
        assert_eq!(boxes.new_box().await.0, first);
    }

    #[tokio::test]
    async fn a_full_box_loses_what_has_waited_longest_and_a_silent_one_is_small() {
        let boxes = Outboxes::default();
        let bound = MAX_QUEUED as u128;
        for n in 0..bound {
            assert!(boxes.put(queued(7, n)).is_none());
        }
        let overflown = boxes.put(queued(7, bound));
        assert_eq!(overflown.as_ref().map(instance), Some(0));
        assert_eq!(boxes.queued(), MAX_QUEUED);
        let (address, _) = boxes.new_box().await;
        let lost = boxes.set_silent(&address, true);
        assert_eq!(lost.len(), MAX_QUEUED - MAX_QUEUED_SILENT);
        assert_eq!((boxes.queued(), boxes.silent()), (MAX_QUEUED_SILENT, 1));
        assert!(boxes.put(queued(7, 1)).is_some());
        assert!(boxes.set_silent(&address, false).is_empty());
        assert!(boxes.put(queued(7, 1)).is_none());
    }
}
