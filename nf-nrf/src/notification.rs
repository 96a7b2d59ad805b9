//! What a subscriber is told of a change (TS 29.510 clause 5.2.2.6): pure.
//!
//! ```text
//!                      known before, known now    NF_PROFILE_CHANGED: what changed, or the whole profile
//!                      - , meets the condition    NF_PROFILE_CHANGED, NF_ADDED: the whole profile
//!   a changed profile  met the condition, -       NF_PROFILE_CHANGED, NF_REMOVED: the whole profile
//!                      - , may be known now       NF_REGISTERED
//!                      might be known, not now    NF_DEREGISTERED
//! ```
//!
//! Whoever reads services as a map (feature Service-Map) gets what changed, everybody else the whole profile.

use sbi::model::{ConditionEventType, NfProfile, NotificationData, NotificationEventType as Event};
use sbi::uri::ApiRoot;
use serde_json::Map;

use crate::profile_changes::ProfileChanges;
use crate::registry::Change;
use crate::subscription::Subscription;

/// Whether `change` may concern `subscription`: what is quickly told, without comparing profiles.
pub fn may_concern(subscription: &Subscription, change: &Change) -> bool {
    let concerns = |profile| Standing::of(subscription, profile).is_known();
    match change {
        Change::Registered(profile) => wants(subscription, &Event::Registered) && concerns(profile),
        Change::Deregistered(profile) => {
            wants(subscription, &Event::Deregistered) && concerns(profile)
        }
        Change::ProfileChanged { before, after } => concerns(before) || concerns(after),
        // Heartbeats are many: who does not ask for the load is not kept busy with it.
        Change::LoadChanged { after, .. } => subscription.monitors_load() && concerns(after),
    }
}

/// What `subscription`'s subscriber is told of `change` by the NRF at `nrf`; nothing if it is none of its concern.
pub fn notification(
    subscription: &Subscription,
    change: &Change,
    nrf: &ApiRoot,
) -> Option<NotificationData> {
    let told = match change {
        Change::Registered(profile) => is_known(subscription, profile)
            .then(|| Told::whole(Event::Registered, subscription.view(profile))),
        Change::Deregistered(profile) => {
            is_known(subscription, profile).then(|| Told::of(Event::Deregistered))
        }
        Change::ProfileChanged { before, after } | Change::LoadChanged { before, after } => {
            changed(subscription, before, after)
        }
    }?;
    if !wants(subscription, &told.event) {
        return None;
    }
    let (Change::Registered(profile)
    | Change::Deregistered(profile)
    | Change::ProfileChanged { after: profile, .. }
    | Change::LoadChanged { after: profile, .. }) = change;
    let id = profile.nf_instance_id;
    Some(NotificationData {
        event: told.event,
        nf_instance_uri: format!("{nrf}/nnrf-nfm/v1/nf-instances/{id}"),
        nf_profile: told.profile,
        profile_changes: told.changes,
        condition_event: told.condition_event,
        subscription_context: Some(subscription.context()),
        other: Map::new(),
    })
}

fn wants(subscription: &Subscription, event: &Event) -> bool {
    let wanted = &subscription.data.req_notif_events;
    wanted.is_empty() || wanted.contains(event)
}

fn is_known(subscription: &Subscription, profile: &NfProfile) -> bool {
    Standing::of(subscription, profile).is_known()
}

/// What a profile is to a subscription.
#[derive(Clone, Copy)]
struct Standing {
    /// It meets the condition.
    is_met: bool,
    /// The subscriber may know of what the condition is about.
    is_allowed: bool,
    /// The subscriber may know of it, if not of what the condition is about.
    is_allowed_in_part: bool,
}

impl Standing {
    fn of(subscription: &Subscription, profile: &NfProfile) -> Self {
        Self {
            is_met: subscription.is_about(profile),
            is_allowed: subscription.may_know(profile),
            is_allowed_in_part: subscription.may_know_some(profile),
        }
    }

    const fn is_known(self) -> bool {
        self.is_met && self.is_allowed
    }

    /// Whether it is the condition alone that keeps the subscriber from hearing of it: of an instance without the service that a
    /// subscription is about, the subscriber may know by the others.
    const fn is_outside(self) -> bool {
        !self.is_met && self.is_allowed_in_part
    }
}

/// The part of a notification that differs.
struct Told {
    event: Event,
    profile: Option<Box<NfProfile>>,
    changes: Vec<serde_json::Value>,
    condition_event: Option<ConditionEventType>,
}

impl Told {
    fn of(event: Event) -> Self {
        Self {
            event,
            profile: None,
            changes: Vec::new(),
            condition_event: None,
        }
    }

    fn whole(event: Event, profile: NfProfile) -> Self {
        Self {
            profile: Some(Box::new(profile)),
            ..Self::of(event)
        }
    }

    fn moved(condition_event: ConditionEventType, profile: NfProfile) -> Self {
        Self {
            condition_event: Some(condition_event),
            ..Self::whole(Event::ProfileChanged, profile)
        }
    }
}

fn changed(subscription: &Subscription, before: &NfProfile, after: &NfProfile) -> Option<Told> {
    let (was, is) = (
        Standing::of(subscription, before),
        Standing::of(subscription, after),
    );
    let view = || subscription.view(after);
    match (was.is_known(), is.is_known()) {
        (true, true) => differing(subscription, before, after),
        (false, true) if was.is_outside() => Some(Told::moved(ConditionEventType::Added, view())),
        (false, true) => Some(Told::whole(Event::Registered, view())),
        (true, false) if is.is_outside() => Some(Told::moved(ConditionEventType::Removed, view())),
        (true, false) => Some(Told::of(Event::Deregistered)),
        (false, false) => None,
    }
}

/// What changed in what the subscriber sees, if it matters to it.
fn differing(subscription: &Subscription, before: &NfProfile, after: &NfProfile) -> Option<Told> {
    let json = |profile: &NfProfile| {
        serde_json::to_value(profile).expect("a profile has string keys and does not fail")
    };
    let now = subscription.view(after);
    let changes = ProfileChanges::between(&json(&subscription.view(before)), &json(&now));
    if !changes.matter(subscription.data.notif_condition.as_ref()) {
        return None;
    }
    let items = changes
        .into_items()
        .filter(|_| subscription.reads_service_map());
    Some(match items {
        Some(changes) => Told {
            changes,
            ..Told::of(Event::ProfileChanged)
        },
        None => Told::whole(Event::ProfileChanged, now),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mtc_core::time::UnixTime;
    use sbi::model::{Document, NfType, SubscriptionData};
    use serde_json::{Value, json};

    use super::*;
    use crate::subscription::{Subscriber, SubscriptionId};

    const ID: &str = "5b1d9a77-3a51-4c0b-8d55-7e0f6a3b2c02";

    fn subscription(members: Value) -> Subscription {
        let mut body = json!({"nfStatusNotificationUri": "https://amf1.example.org/cb"});
        for (name, value) in members.as_object().expect("members") {
            body[name] = value.clone();
        }
        let data = SubscriptionData::from_value(body).expect("valid");
        let subscriber = Subscriber {
            id: "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01"
                .parse()
                .expect("an id"),
            nf_type: NfType::Amf,
            fqdns: vec!["amf1.example.org".to_owned()],
            address: [127, 0, 0, 1].into(),
            domain: None,
        };
        let id = SubscriptionId::named("0123");
        Subscription::new(id, data, subscriber, UnixTime(1)).expect("valid")
    }

    fn smf(members: Value) -> Arc<NfProfile> {
        let service = |id: &str, allowed: Value| {
            json!({"serviceInstanceId": id, "serviceName": id, "scheme": "https", "nfServiceStatus": "REGISTERED",
                "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.3.0"}], "allowedNfTypes": allowed})
        };
        let mut profile = json!({"nfInstanceId": ID, "nfType": "SMF", "nfStatus": "REGISTERED", "fqdn": "smf1.example.org",
            "heartBeatTimer": 10, "load": 0, "allowedNfTypes": ["AMF"], "allowedRuleSet": {"a": {}}, "vendor": {"kept": true},
            "nfServiceList": {"nsmf-a": service("nsmf-a", json!(["AMF"])), "nsmf-b": service("nsmf-b", json!(["PCF"]))}});
        for (name, value) in members.as_object().expect("members") {
            profile[name] = value.clone();
        }
        Arc::new(NfProfile::from_value(profile).expect("valid"))
    }

    fn change(before: Value, after: Value) -> Change {
        Change::ProfileChanged {
            before: smf(before),
            after: smf(after),
        }
    }

    fn told(subscription: &Subscription, change: &Change) -> Option<Value> {
        let nrf = "https://nrf1.example.org:7777".parse().expect("an apiRoot");
        let notification = notification(subscription, change, &nrf)?;
        assert!(may_concern(subscription, change));
        let mut body = serde_json::to_value(notification).expect("JSON");
        let members = body.as_object_mut().expect("an object");
        let uri = members.remove("nfInstanceUri");
        let expected = format!("https://nrf1.example.org:7777/nnrf-nfm/v1/nf-instances/{ID}");
        assert_eq!(uri, Some(expected.into()));
        let context = members.remove("subscriptionContext").expect("a context");
        assert_eq!(context["subscriptionId"], "0123");
        Some(body)
    }

    #[test]
    fn a_new_instance_is_told_with_what_the_subscriber_may_see() {
        let subscription = subscription(json!({"subscrCond": {"nfType": "SMF"}}));
        let body = told(&subscription, &Change::Registered(smf(json!({})))).unwrap();
        let service = json!({"serviceInstanceId": "nsmf-a", "serviceName": "nsmf-a", "scheme": "https",
            "nfServiceStatus": "REGISTERED", "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.3.0"}]});
        assert_eq!(
            body,
            json!({"event": "NF_REGISTERED", "nfProfile": {"nfInstanceId": ID, "nfType": "SMF", "nfStatus": "REGISTERED",
                "fqdn": "smf1.example.org", "load": 0, "vendor": {"kept": true}, "nfServices": [service]}})
        );
        let gone = told(&subscription, &Change::Deregistered(smf(json!({})))).unwrap();
        assert_eq!(gone, json!({"event": "NF_DEREGISTERED"}));
    }

    #[test]
    fn who_reads_a_map_is_told_what_changed_and_others_the_whole_profile() {
        let change = change(json!({}), json!({"nfStatus": "SUSPENDED"}));
        let items = [
            json!({"op": "REPLACE", "path": "/nfStatus", "origValue": "REGISTERED", "newValue": "SUSPENDED"}),
        ];
        assert_eq!(
            told(&subscription(json!({"requesterFeatures": "1"})), &change).unwrap(),
            json!({"event": "NF_PROFILE_CHANGED", "profileChanges": items})
        );
        let body = told(&subscription(json!({})), &change).unwrap();
        assert_eq!(body["nfProfile"]["nfStatus"], "SUSPENDED");
        assert_eq!(body.get("profileChanges"), None);
    }

    #[test]
    fn who_may_not_know_of_an_instance_is_told_nothing() {
        let barred = json!({"allowedNfTypes": ["PCF"], "nfServiceList": {"a": {"serviceInstanceId": "a", "serviceName": "a",
            "scheme": "https", "nfServiceStatus": "REGISTERED", "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.0.0"}]}}});
        let everything = subscription(json!({}));
        assert_eq!(
            told(&everything, &Change::Registered(smf(barred.clone()))),
            None
        );
        let of_barred_service = subscription(json!({"subscrCond": {"serviceName": "nsmf-b"}}));
        assert_eq!(
            told(&of_barred_service, &Change::Registered(smf(json!({})))),
            None
        );
        // It gets to know of it with the permission, and no more when that is withdrawn.
        let opened = told(&everything, &change(barred.clone(), json!({}))).unwrap();
        assert_eq!(opened["event"], "NF_REGISTERED");
        let closed = told(&everything, &change(json!({}), barred.clone())).unwrap();
        assert_eq!(closed, json!({"event": "NF_DEREGISTERED"}));
        let unseen = change(
            barred.clone(),
            json!({"allowedNfTypes": ["UDM"], "nfServiceList": barred["nfServiceList"]}),
        );
        assert_eq!(told(&everything, &unseen), None);
    }

    /// An SCP judges for its consumers.
    #[test]
    fn who_is_told_all_hears_of_every_instance_and_of_who_may_use_it() {
        let all = subscription(json!({"completeProfileSubscription": true,
            "requesterFeatures": "1", "subscrCond": {"serviceName": "nsmf-b"}}));
        let body = told(&all, &Change::Registered(smf(json!({})))).unwrap();
        let whole = serde_json::to_value(smf(json!({})).as_ref()).unwrap();
        assert_eq!(body["nfProfile"], whole);
        assert_eq!(body["nfProfile"]["allowedNfTypes"], json!(["AMF"]));
        assert_eq!(body["nfProfile"]["heartBeatTimer"], 10);
        let items = [
            json!({"op": "REPLACE", "path": "/allowedNfTypes", "origValue": ["AMF"], "newValue": ["PCF"]}),
        ];
        let barred = change(json!({}), json!({"allowedNfTypes": ["PCF"]}));
        assert_eq!(
            told(&all, &barred).unwrap(),
            json!({"event": "NF_PROFILE_CHANGED", "profileChanges": items})
        );
        assert!(all.answer().requester_features.is_none());
        assert!(!all.answer().complete_profile_subscription);
    }

    #[test]
    fn who_may_use_an_instance_is_not_told_of_changes_that_it_does_not_see() {
        let allowed = change(json!({}), json!({"allowedNfTypes": ["AMF", "UDM"]}));
        assert_eq!(told(&subscription(json!({})), &allowed), None);
        let timer = change(json!({}), json!({"heartBeatTimer": 20}));
        assert_eq!(told(&subscription(json!({})), &timer), None);
        let load = change(json!({}), json!({"load": 7}));
        assert_eq!(told(&subscription(json!({})), &load), None);
        let monitoring =
            subscription(json!({"notifCondition": {"monitoredAttributes": ["/load"]}}));
        assert!(told(&monitoring, &load).is_some());
    }

    #[test]
    fn load_alone_is_told_to_who_asks_for_it_and_to_nobody_else() {
        let change = Change::LoadChanged {
            before: smf(json!({})),
            after: smf(json!({"load": 7})),
        };
        let asking = |members: Value| {
            subscription(json!({"requesterFeatures": "1", "notifCondition": members}))
        };
        let monitoring = asking(json!({"monitoredAttributes": ["/load"]}));
        let items = [json!({"op": "REPLACE", "path": "/load", "origValue": 0, "newValue": 7})];
        assert_eq!(
            told(&monitoring, &change).unwrap(),
            json!({"event": "NF_PROFILE_CHANGED", "profileChanges": items})
        );
        for others in [
            subscription(json!({})),
            asking(json!({"monitoredAttributes": ["/nfStatus"]})),
            asking(json!({"unmonitoredAttributes": ["/locality"]})),
            subscription(
                json!({"subscrCond": {"nfType": "AMF"}, "notifCondition": {"monitoredAttributes": ["/load"]}}),
            ),
        ] {
            assert!(!may_concern(&others, &change), "{:?}", others.data);
        }
    }

    #[test]
    fn an_instance_that_begins_or_ceases_to_meet_the_condition_is_told_whole() {
        let subscription = subscription(json!({"subscrCond": {"snssaiList": [{"sst": 1}]}}));
        let (within, outside) = (
            json!({"sNssais": [{"sst": 1}]}),
            json!({"sNssais": [{"sst": 2}]}),
        );
        for (before, after, expected) in [
            (&outside, &within, "NF_ADDED"),
            (&within, &outside, "NF_REMOVED"),
        ] {
            let body = told(&subscription, &change(before.clone(), after.clone())).unwrap();
            assert_eq!(body["event"], "NF_PROFILE_CHANGED");
            assert_eq!(body["conditionEvent"], expected);
            assert_eq!(body["nfProfile"]["sNssais"], after["sNssais"]);
        }
        let elsewhere = change(outside, json!({"sNssais": [{"sst": 3}]}));
        assert_eq!(told(&subscription, &elsewhere), None);
    }

    /// It was told as a registration and a deregistration, of which a subscriber to changes alone heard nothing.
    #[test]
    fn an_instance_that_gets_or_loses_the_service_of_the_condition_is_told_whole() {
        let subscription = subscription(json!({"subscrCond": {"serviceName": "nsmf-c"},
            "reqNotifEvents": ["NF_PROFILE_CHANGED"]}));
        let without = json!({});
        let with = |allowed: &str| {
            let mut profile = serde_json::to_value(smf(json!({})).as_ref()).expect("JSON");
            let mut service = profile["nfServiceList"]["nsmf-a"].clone();
            for member in ["serviceInstanceId", "serviceName"] {
                service[member] = json!("nsmf-c");
            }
            service["allowedNfTypes"] = json!([allowed]);
            profile["nfServiceList"]["nsmf-c"] = service;
            json!({"nfServiceList": profile["nfServiceList"]})
        };
        let added = told(&subscription, &change(without.clone(), with("AMF"))).unwrap();
        assert_eq!(added["event"], "NF_PROFILE_CHANGED");
        assert_eq!(added["conditionEvent"], "NF_ADDED");
        let removed = told(&subscription, &change(with("AMF"), without.clone())).unwrap();
        assert_eq!(removed["conditionEvent"], "NF_REMOVED");
        assert_eq!(told(&subscription, &change(without, with("PCF"))), None);
    }

    #[test]
    fn only_the_events_asked_for_are_told() {
        let subscription = subscription(json!({"reqNotifEvents": ["NF_DEREGISTERED"]}));
        let registered = Change::Registered(smf(json!({})));
        assert!(!may_concern(&subscription, &registered));
        assert_eq!(told(&subscription, &registered), None);
        assert_eq!(
            told(
                &subscription,
                &change(json!({}), json!({"locality": "zone-b"}))
            ),
            None
        );
        assert!(told(&subscription, &Change::Deregistered(smf(json!({})))).is_some());
    }
}
