//! Subscriptions to what happens to NF instances, and the notifications about it (TS 29.510 clause 6.1.6.2.16 and following).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::document::Document;
use super::name::{NfInstanceId, NfType};
use super::network::{ExtSnssai, PlmnId};
use super::open::{Other, listed};
use super::open_enum::open_enum;
use super::profile::NfProfile;
use super::tolerance::{self, Tolerated};
use crate::problem::InvalidParam;

open_enum! {
    /// What happened to an NF instance.
    NotificationEventType {
        /// It is new.
        Registered = "NF_REGISTERED",
        /// It is gone.
        Deregistered = "NF_DEREGISTERED",
        /// It has another profile.
        ProfileChanged = "NF_PROFILE_CHANGED",
    }
}

open_enum! {
    /// What a changed profile means for the condition of a subscription.
    ConditionEventType {
        /// The instance meets it from now on.
        Added = "NF_ADDED",
        /// The instance no longer meets it.
        Removed = "NF_REMOVED",
    }
}

/// What a subscriber wants to hear of, and where. Request and answer have the same form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionData {
    /// Where notifications are sent: an absolute URI.
    pub nf_status_notification_uri: String,
    /// Which subscription it is; the NRF's choice, so only in answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<String>,
    /// Who subscribes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub req_nf_instance_id: Option<NfInstanceId>,
    /// What kind of NF subscribes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub req_nf_type: Option<NfType>,
    /// The name under which it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub req_nf_fqdn: Option<String>,
    /// Which instances it is about, as an object of one of the shapes of `SubscrCond`; none = all that the subscriber may know of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscr_cond: Option<Map<String, Value>>,
    /// What to be told of; none = everything.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub req_notif_events: Vec<NotificationEventType>,
    /// Which changes of a profile matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notif_condition: Option<NotifCondition>,
    /// When it ends, RFC 3339. The subscriber proposes, the NRF decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_time: Option<String>,
    /// Slices of the subscriber.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub req_snssais: Vec<ExtSnssai>,
    /// Networks of the subscriber.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub req_plmn_list: Vec<PlmnId>,
    /// The network whose instances it is about; none = that of the NRF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plmn_id: Option<PlmnId>,
    /// Whether to be told all of a profile, and whoever may discover the instance; only in requests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub complete_profile_subscription: bool,
    /// Features of the subscriber, only in requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester_features: Option<String>,
    /// Features of the NRF, only in answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nrf_supported_features: Option<String>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl SubscriptionData {
    /// Everything about every instance, told to `uri`.
    pub fn new(uri: impl Into<String>) -> Self {
        Self {
            nf_status_notification_uri: uri.into(),
            subscription_id: None,
            req_nf_instance_id: None,
            req_nf_type: None,
            req_nf_fqdn: None,
            subscr_cond: None,
            req_notif_events: Vec::new(),
            notif_condition: None,
            validity_time: None,
            req_snssais: Vec::new(),
            req_plmn_list: Vec::new(),
            plmn_id: None,
            complete_profile_subscription: false,
            requester_features: None,
            nrf_supported_features: None,
            other: Other::new(),
        }
    }
}

impl Document for SubscriptionData {
    // `subscriptionId` is required by the schema and read-only: a request has none.
    const SMALLEST: &'static str = r#"{"nfStatusNotificationUri":"https://a.b/c"}"#;

    fn tolerate(document: &mut Value) -> Vec<Tolerated> {
        tolerance::tolerate(document)
    }

    fn check(&self) -> Result<(), Vec<InvalidParam>> {
        match &self.notif_condition {
            Some(condition) => condition.check(),
            None => Ok(()),
        }
    }
}

/// Which members of a profile matter, as JSON Pointers: those that are listed, or all but those.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotifCondition {
    /// Only these.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub monitored_attributes: Vec<String>,
    /// All but these.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub unmonitored_attributes: Vec<String>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl NotifCondition {
    fn check(&self) -> Result<(), Vec<InvalidParam>> {
        let Self {
            monitored_attributes: monitored,
            unmonitored_attributes: unmonitored,
            other: _,
        } = self;
        let refused = |reason| Err(vec![InvalidParam::new("/notifCondition", reason)]);
        if !monitored.is_empty() && !unmonitored.is_empty() {
            return refused("has both monitoredAttributes and unmonitoredAttributes");
        }
        let is_pointer = |text: &String| text.starts_with('/');
        if !monitored.iter().chain(unmonitored).all(is_pointer) {
            return refused("has an attribute that is not a JSON Pointer to a member");
        }
        Ok(())
    }
}

/// What a subscriber is told: something happened to an NF instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationData {
    /// What happened.
    pub event: NotificationEventType,
    /// To which instance: its resource at the NRF.
    pub nf_instance_uri: String,
    /// Its profile as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nf_profile: Option<Box<NfProfile>>,
    /// What changed in its profile, as objects `ChangeItem` (TS 29.571).
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub profile_changes: Vec<Value>,
    /// What it means for the condition of the subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition_event: Option<ConditionEventType>,
    /// Which subscription it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_context: Option<SubscriptionContext>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl NotificationData {
    /// The instance of which it tells.
    pub fn instance_id(&self) -> Option<NfInstanceId> {
        let (_, id) = self.nf_instance_uri.rsplit_once('/')?;
        id.parse().ok()
    }
}

impl Document for NotificationData {
    const SMALLEST: &'static str =
        r#"{"event":"NF_DEREGISTERED","nfInstanceUri":"https://a.b/nf-instances/c"}"#;

    fn tolerate(document: &mut Value) -> Vec<Tolerated> {
        tolerance::tolerate(document)
    }
}

/// The subscription to which a notification belongs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionContext {
    /// Which one.
    pub subscription_id: String,
    /// Its condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscr_cond: Option<Map<String, Value>>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(body: Value) -> (Option<String>, String) {
        let problem = SubscriptionData::from_value(body).unwrap_err();
        let param = problem.details.invalid_params.first().cloned();
        (
            problem.details.cause,
            param.map(|p| p.param).unwrap_or_default(),
        )
    }

    #[test]
    fn a_subscription_comes_back_as_it_was_sent() {
        let sent = json!({"nfStatusNotificationUri": "https://amf1.example.org:7777/cb", "reqNfType": "AMF",
            "subscrCond": {"nfType": "SMF", "vendor": 1}, "reqNotifEvents": ["NF_REGISTERED", "OWN_EVENT"],
            "notifCondition": {"monitoredAttributes": ["/nfStatus"]}, "preferredLocality": "zone-a"});
        let read = SubscriptionData::from_value(sent.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), sent);
    }

    #[test]
    fn what_is_wrong_with_a_subscription_is_named() {
        let with = |member: &str, value: Value| {
            let mut body = json!({"nfStatusNotificationUri": "https://a.b/c"});
            body[member] = value;
            fault(body)
        };
        let optional = Some("OPTIONAL_IE_INCORRECT".to_owned());
        for (member, value) in [
            (
                "notifCondition",
                json!({"monitoredAttributes": ["/a"], "unmonitoredAttributes": ["/b"]}),
            ),
            ("notifCondition", json!({"monitoredAttributes": ["load"]})),
            ("reqNotifEvents", json!([])),
            ("subscrCond", json!([])),
            ("reqNfInstanceId", json!("x")),
        ] {
            let expected = (optional.clone(), format!("/{member}"));
            assert_eq!(with(member, value.clone()), expected, "{member} {value}");
        }
        let missing = Some("MANDATORY_IE_MISSING".to_owned());
        assert_eq!(
            fault(json!({})),
            (missing, "/nfStatusNotificationUri".to_owned())
        );
    }

    #[test]
    fn a_notification_names_its_instance() {
        let id = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01";
        let uri = format!("https://nrf1.example.org/nnrf-nfm/v1/nf-instances/{id}");
        let body = json!({"event": "NF_DEREGISTERED", "nfInstanceUri": uri});
        let read = NotificationData::from_value(body).unwrap();
        assert_eq!(read.event, NotificationEventType::Deregistered);
        assert_eq!(read.instance_id(), Some(id.parse().unwrap()));
    }
}
