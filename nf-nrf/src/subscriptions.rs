//! The subscriptions there are: pure state, bounded, and found by what they are about.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mtc_core::time::UnixTime;
use sbi::model::{NfInstanceId, NfProfile, NfType};

use crate::condition::Condition;
use crate::subscription::{Subscription, SubscriptionId};

/// What the operator could decide about subscriptions.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most subscriptions. Each takes a kilobyte or two, at most a few times [`MAX_OCTETS`].
    pub max_subscriptions: usize,
    /// Most of one requester: an NF has one for each kind of NF that it calls.
    pub max_per_requester: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_subscriptions: 50_000,
            max_per_requester: 32,
        }
    }
}

/// Most octets of a subscription as JSON.
pub const MAX_OCTETS: usize = 8 * 1024;

/// Why a subscription was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// There is no place for anybody's.
    #[error("the NRF has {0} subscriptions, which is the most it keeps")]
    Full(usize),
    /// There is no place for another of this requester.
    #[error("the requester has {0} subscriptions, which is the most it may have")]
    RequesterFull(usize),
}

/// The subscriptions.
#[derive(Debug, Default)]
pub struct Subscriptions {
    bounds: Bounds,
    by_id: HashMap<SubscriptionId, Arc<Subscription>>,
    per_requester: HashMap<NfInstanceId, usize>,
    watching: HashMap<Watched, BTreeSet<SubscriptionId>>,
}

/// The cheapest sign by which a subscription may be about an instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Watched {
    Instance(NfInstanceId),
    Type(NfType),
    Any,
}

impl Watched {
    fn by(subscription: &Subscription) -> Vec<Self> {
        match &subscription.condition {
            Some(Condition::Instances(ids)) => ids.iter().copied().map(Self::Instance).collect(),
            Some(Condition::Type(nf_type) | Condition::Groups { nf_type, .. }) => {
                vec![Self::Type(nf_type.clone())]
            }
            _ => vec![Self::Any],
        }
    }
}

impl Subscriptions {
    /// None yet.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            ..Self::default()
        }
    }

    /// Adds a subscription, or replaces the one with its id.
    ///
    /// # Errors
    /// [`AddError`].
    pub fn put(&mut self, subscription: Arc<Subscription>) -> Result<(), AddError> {
        let Bounds {
            max_subscriptions,
            max_per_requester,
        } = self.bounds;
        let requester = subscription.subscriber.id;
        if !self.by_id.contains_key(&subscription.id) {
            if self.by_id.len() >= max_subscriptions {
                return Err(AddError::Full(max_subscriptions));
            }
            let has = self.per_requester.get(&requester).copied();
            if has.is_some_and(|has| has >= max_per_requester) {
                return Err(AddError::RequesterFull(max_per_requester));
            }
        }
        self.remove(&subscription.id);
        *self.per_requester.entry(requester).or_default() += 1;
        for watched in Watched::by(&subscription) {
            let watching = self.watching.entry(watched).or_default();
            watching.insert(subscription.id.clone());
        }
        self.by_id.insert(subscription.id.clone(), subscription);
        Ok(())
    }

    /// Removes a subscription. Returns whether it was there.
    pub fn remove(&mut self, id: &SubscriptionId) -> bool {
        let Some(subscription) = self.by_id.remove(id) else {
            return false;
        };
        let requester = subscription.subscriber.id;
        if let Some(has) = self.per_requester.get_mut(&requester) {
            *has -= 1;
            if *has == 0 {
                self.per_requester.remove(&requester);
            }
        }
        for watched in Watched::by(&subscription) {
            if let Some(watching) = self.watching.get_mut(&watched) {
                watching.remove(id);
                if watching.is_empty() {
                    self.watching.remove(&watched);
                }
            }
        }
        true
    }

    /// The subscription `id`, unless it has ended by `now`.
    pub fn get(&self, id: &SubscriptionId, now: UnixTime) -> Option<&Arc<Subscription>> {
        self.by_id.get(id).filter(|found| now < found.expires)
    }

    /// The subscriptions that have ended by `now`.
    pub fn ended(&self, now: UnixTime) -> Vec<SubscriptionId> {
        let ended = self.by_id.values().filter(|found| found.expires <= now);
        ended.map(|found| found.id.clone()).collect()
    }

    /// The subscriptions that may be about an instance with this profile, in the order of their ids.
    pub fn about(&self, profile: &NfProfile, now: UnixTime) -> Vec<Arc<Subscription>> {
        let signs = [
            Watched::Instance(profile.nf_instance_id),
            Watched::Type(profile.nf_type.clone()),
            Watched::Any,
        ];
        let ids = signs.iter().filter_map(|sign| self.watching.get(sign));
        ids.flatten()
            .filter_map(|id| self.get(id, now).cloned())
            .collect()
    }

    /// Whether one of them asks for changes of load alone.
    pub fn is_load_monitored(&self) -> bool {
        let mut all = self.by_id.values();
        all.any(|subscription| subscription.monitors_load())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use sbi::model::SubscriptionData;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::subscription::Subscriber;

    fn subscription(requester: u128, condition: Option<Value>, expires: u64) -> Arc<Subscription> {
        let mut data = SubscriptionData::new("https://amf1.example.org/cb");
        data.subscr_cond = condition.map(|c| c.as_object().expect("an object").clone());
        let subscriber = Subscriber {
            id: Uuid::from_u128(requester).into(),
            nf_type: NfType::Amf,
            fqdns: vec!["amf1.example.org".to_owned()],
            address: [127, 0, 0, 1].into(),
            domain: None,
        };
        let id = SubscriptionId::random();
        Arc::new(Subscription::new(id, data, subscriber, UnixTime(expires)).expect("valid"))
    }

    fn instance(n: u128, nf_type: NfType) -> NfProfile {
        NfProfile::new(Uuid::from_u128(n).into(), nf_type, "a.example.org")
    }

    #[test]
    fn those_that_may_be_about_an_instance_are_found() {
        let mut all = Subscriptions::new(Bounds::default());
        let of = [
            Some(json!({"nfInstanceIdList": [Uuid::from_u128(1), Uuid::from_u128(2)]})),
            Some(json!({"nfType": "SMF"})),
            Some(json!({"serviceName": "namf-comm"})),
            None,
        ]
        .map(|condition| subscription(9, condition, 100));
        for subscription in &of {
            all.put(subscription.clone()).unwrap();
        }
        let found = |profile: &NfProfile| {
            let found = all.about(profile, UnixTime(99));
            of.each_ref().map(|of| found.iter().any(|f| f.id == of.id))
        };
        assert_eq!(found(&instance(1, NfType::Smf)), [true, true, true, true]);
        assert_eq!(found(&instance(2, NfType::Amf)), [true, false, true, true]);
        assert_eq!(found(&instance(3, NfType::Amf)), [false, false, true, true]);
        assert!(
            all.about(&instance(1, NfType::Smf), UnixTime(100))
                .is_empty()
        );
        assert_eq!(all.ended(UnixTime(100)).len(), 4);
        for subscription in &of {
            assert!(all.remove(&subscription.id));
            assert!(!all.remove(&subscription.id));
        }
        assert!(all.is_empty() && all.watching.is_empty() && all.per_requester.is_empty());
    }

    #[test]
    fn subscriptions_are_bounded_for_each_and_for_all() {
        let mut all = Subscriptions::new(Bounds {
            max_subscriptions: 3,
            max_per_requester: 2,
        });
        let first = subscription(1, None, 100);
        all.put(first.clone()).unwrap();
        all.put(subscription(1, None, 100)).unwrap();
        let third = all.put(subscription(1, None, 100));
        assert_eq!(third, Err(AddError::RequesterFull(2)));
        all.put(subscription(2, None, 100)).unwrap();
        let fourth = all.put(subscription(3, None, 100));
        assert_eq!(fourth, Err(AddError::Full(3)));
        let mut renewed = Subscription::clone(&first);
        renewed.expires = UnixTime(200);
        all.put(Arc::new(renewed)).unwrap();
        assert_eq!(all.len(), 3);
        assert!(all.get(&first.id, UnixTime(199)).is_some());
        all.remove(&first.id);
        all.put(subscription(1, None, 100)).unwrap();
    }
}
