//! Subscriptions to NF instances: what is accepted reads as the same when it is written again, and the NRF calls a host, a port
//! and a path that the URI names, and nothing that is not within bounds.

use std::net::{IpAddr, Ipv4Addr};

use mtc_core::time::UnixTime;
use nf_nrf::callback::MAX_URI;
use nf_nrf::condition::{Condition, MAX_ELEMENTS};
use nf_nrf::subscription::{Subscriber, Subscription, SubscriptionId};
use sbi::model::{Document, NfType, SubscriptionData};

use crate::Verdict;

/// Reads the body of a subscription.
///
/// # Panics
/// An invariant does not hold.
pub fn subscription(data: &[u8]) -> Verdict {
    let Ok(body) = SubscriptionData::read(data) else {
        return Verdict::Refused;
    };
    let written = serde_json::to_value(&body).expect("a subscription has string keys");
    let again = SubscriptionData::from_value(written).expect("what was written is a subscription");
    assert_eq!(again, body);
    let make =
        |body| Subscription::new(SubscriptionId::named("0"), body, subscriber(), UnixTime(1));
    let Ok(made) = make(body) else {
        return Verdict::Refused;
    };
    let callback = &made.callback;
    assert!(callback.path().len() > 1 && callback.path().starts_with('/'));
    assert!(callback.path().len() < MAX_URI && callback.port() > 0);
    // Whether the scheme may be called, and the host, is for the service to say, which knows who subscribes.
    let uri = &made.data.nf_status_notification_uri;
    let below = format!("{}{}", callback.authority(), callback.path());
    assert_eq!(uri.split_once("://"), Some((scheme_of(uri), &*below)));
    if let Some(Condition::Instances(ids)) = &made.condition {
        assert!((1..=MAX_ELEMENTS).contains(&ids.len()));
    }
    // As it is stored and read at the next start.
    assert_eq!(make(made.data.clone()), Ok(made));
    Verdict::Accepted
}

fn scheme_of(uri: &str) -> &'static str {
    if uri.starts_with("https:") {
        "https"
    } else {
        "http"
    }
}

fn subscriber() -> Subscriber {
    Subscriber {
        id: "5b1d0000-0000-4000-8000-000000000001"
            .parse()
            .expect("an NF instance id"),
        nf_type: NfType::Amf,
        fqdns: vec!["amf1.5gc.test".to_owned()],
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        domain: None,
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"nfStatusNotificationUri":"https://amf1.5gc.test:7777/cb?x=y","reqNfType":"AMF","subscrCond":{"nfType":"SMF"},
            "reqNotifEvents":["NF_REGISTERED","NF_PROFILE_CHANGED"],"notifCondition":{"monitoredAttributes":["/nfStatus"]},
            "validityTime":"2026-11-28T20:00:00Z","requesterFeatures":"1","vendor":{"x":[1]}}"#,
        r#"{"nfStatusNotificationUri":"https://[2001:db8::1]/cb","reqSnssais":[{"sst":1,"sd":"010203"}],
            "reqPlmnList":[{"mcc":"001","mnc":"01"}],"plmnId":{"mcc":"001","mnc":"01"},"subscrCond":{"nfInstanceIdList":
            ["5b1d0000-0000-4000-8000-000000000001","5b1d0000-0000-4000-8000-000000000002"]}}"#,
        r#"{"nfStatusNotificationUri":"https://127.0.0.1:1/cb","notifCondition":{"unmonitoredAttributes":["/load"]},
            "subscrCond":{"conditionType":"NF_GROUP_LIST_COND","nfType":"UDM","nfGroupIdList":["g1","g2"]}}"#,
    ]
    .map(|body| body.as_bytes().to_vec())
    .into()
}
