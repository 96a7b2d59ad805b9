//! One subscription: what was asked for, by whom, and what both let the NRF tell.

use std::net::IpAddr;

use mtc_core::time::UnixTime;
use mtc_tls::profile::TrustDomain;
use sbi::model::{
    NfInstanceId, NfProfile, NfService, NfType, ServiceForm, Snssai, SubscriptionContext,
    SubscriptionData, SupportedFeatures,
};
use serde::{Deserialize, Serialize};

use crate::allowed::{self, Requester, listed};
use crate::callback::{Callback, CallbackError};
use crate::condition::{Condition, ConditionError};
use crate::profile_changes;

/// Feature of nnrf-nfm: services as a map.
pub const SERVICE_MAP: u32 = 1;
/// The scope of access tokens that complete profiles are told for, beside that of `nnrf-nfm` (TS 29.510 annex A.2).
pub const COMPLETE_PROFILES: &str = "nnrf-nfm:subscriptions:subs-complete-profile";

/// The name of a subscription: 32 hex digits, since a hyphen would end a network's prefix (TS 29.510 table 6.1.6.2.16-1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId(String);

impl SubscriptionId {
    /// A new one.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }

    /// The one of this spelling, which may be nobody's.
    pub fn named(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// How it is spelt.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who subscribed, as its certificate says; an SCP's subscription is that of the NF for which it asks, as that is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscriber {
    /// Its instance.
    pub id: NfInstanceId,
    /// Its type.
    pub nf_type: NfType,
    /// Its names.
    pub fqdns: Vec<String>,
    /// The address from which it subscribed.
    pub address: IpAddr,
    /// The trust domain of a certificate that is not the MTCA's: it is called where it authenticates.
    #[serde(default, with = "domain", skip_serializing_if = "Option::is_none")]
    pub domain: Option<TrustDomain>,
}

/// A trust domain as its text.
mod domain {
    use mtc_tls::profile::TrustDomain;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        domain: &Option<TrustDomain>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match domain {
            Some(domain) => serializer.collect_str(domain),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<TrustDomain>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(de::Error::custom))
            .transpose()
    }
}

/// A subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// What it is called.
    pub id: SubscriptionId,
    /// What was asked for, and answered.
    pub data: SubscriptionData,
    /// By whom.
    pub subscriber: Subscriber,
    /// When it ends.
    pub expires: UnixTime,
    /// Where notifications go.
    pub callback: Callback,
    /// Which instances it is about; none = all that may be known.
    pub condition: Option<Condition>,
    features: SupportedFeatures,
    snssais: Vec<Snssai>,
}

/// Why there can be no such subscription.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// The notification URI.
    #[error("nfStatusNotificationUri {0}")]
    Callback(#[from] CallbackError),
    /// The condition.
    #[error("subscrCond {0}")]
    Condition(#[from] ConditionError),
    /// The features.
    #[error("requesterFeatures are not hex digits")]
    Features,
}

impl Subscription {
    /// The subscription `id` of `subscriber` until `expires`, which the answer tells. That the subscriber may be called at the
    /// URI is for [`Callback::read`] to say.
    ///
    /// # Errors
    /// [`SubscriptionError`].
    pub fn new(
        id: SubscriptionId,
        mut data: SubscriptionData,
        subscriber: Subscriber,
        expires: UnixTime,
    ) -> Result<Self, SubscriptionError> {
        let callback = Callback::parse(&data.nf_status_notification_uri)?;
        let condition = data.subscr_cond.as_ref().map(Condition::read).transpose()?;
        let features = data.requester_features.as_deref().unwrap_or_default();
        let features = features.parse().map_err(|_| SubscriptionError::Features)?;
        data.subscription_id = Some(id.as_str().to_owned());
        data.validity_time = Some(expires.to_string());
        let slices = data.req_snssais.iter();
        Ok(Self {
            snssais: slices.map(|slice| slice.snssai.clone()).collect(),
            id,
            data,
            subscriber,
            expires,
            callback,
            condition,
            features,
        })
    }

    /// What the subscriber is answered: what is only in requests stays with the NRF, which tells its own features.
    pub fn answer(&self) -> SubscriptionData {
        SubscriptionData {
            complete_profile_subscription: false,
            requester_features: None,
            nrf_supported_features: Some(format!("{SERVICE_MAP:x}")),
            ..self.data.clone()
        }
    }

    /// What notifications say of it.
    pub fn context(&self) -> SubscriptionContext {
        SubscriptionContext {
            subscription_id: self.id.as_str().to_owned(),
            subscr_cond: self.data.subscr_cond.clone(),
        }
    }

    /// Whether it is about `profile`.
    pub fn is_about(&self, profile: &NfProfile) -> bool {
        let in_network = self.data.plmn_id.as_ref().is_none_or(|wanted| {
            // An instance that names no network is in that of the NRF, as is who asks for one here.
            listed(&profile.plmn_list, |plmn| plmn == wanted)
        });
        let condition = self.condition.as_ref();
        in_network && condition.is_none_or(|condition| condition.is_met(profile))
    }

    /// Whether the subscriber may know of `profile`: of one of the services that the subscription is about, if there are services.
    pub fn may_know(&self, profile: &NfProfile) -> bool {
        let condition = self.condition.as_ref();
        self.may_use_one(profile, |service| {
            condition.is_none_or(|condition| condition.is_about(service))
        })
    }

    /// Whether the subscriber may know of `profile` whatever the subscription is about: of one of its services, if there are services.
    pub fn may_know_some(&self, profile: &NfProfile) -> bool {
        self.may_use_one(profile, |_| true)
    }

    fn may_use_one(&self, profile: &NfProfile, is_it: impl Fn(&NfService) -> bool) -> bool {
        let requester = self.requester();
        let mut services = profile.services().peekable();
        if services.peek().is_none() {
            return self.is_told_all() || allowed::may_know(requester, profile);
        }
        services.any(|service| {
            is_it(service) && (self.is_told_all() || allowed::may_use(requester, service, profile))
        })
    }

    /// Whether the subscriber hears of every instance and all of its profile: it judges itself who may use which, as an SCP does for
    /// its consumers.
    const fn is_told_all(&self) -> bool {
        self.data.complete_profile_subscription
    }

    /// `profile` as the subscriber gets to see it, with its services in the form that it reads: those that it may use, and without what is
    /// between the instance and the NRF, unless it is told all.
    pub fn view(&self, profile: &NfProfile) -> NfProfile {
        let requester = self.requester();
        let mut view = profile.clone();
        if !self.is_told_all() {
            view.retain_services(|service| allowed::may_use(requester, service, profile));
            view.heart_beat_timer = None;
            allowed::hide_lists(&mut view);
        }
        view.convert_services(if self.reads_service_map() {
            ServiceForm::Map
        } else {
            ServiceForm::Array
        });
        view
    }

    /// Whether the subscriber reads services as a map. JSON Pointers into a list of services would shift with every service.
    pub fn reads_service_map(&self) -> bool {
        self.features.has(SERVICE_MAP)
    }

    /// Whether the subscriber wants to hear of changes of an instance's load that come alone.
    pub fn monitors_load(&self) -> bool {
        let condition = self.data.notif_condition.as_ref();
        condition.is_some_and(profile_changes::monitors_load)
    }

    fn requester(&self) -> Requester<'_> {
        Requester {
            nf_type: &self.subscriber.nf_type,
            fqdns: &self.subscriber.fqdns,
            plmns: &self.data.req_plmn_list,
            snssais: &self.snssais,
        }
    }
}
