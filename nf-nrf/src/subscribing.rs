//! NFStatusSubscribe and NFStatusUnSubscribe (TS 29.510 clauses 5.2.2.5 and 5.2.2.7): subscriptions over the SBI.
//!
//! ```text
//!   certificate ──> Subscriber     POST ─> SubscriptionData ─> condition, callback, bounds ─> 201, stored
//!                      `── the same for PATCH (renewal) and DELETE
//! ```
//!
//! The answer tells until when it lasts, which is for the NRF to decide. A new subscription replays nothing: who must know every
//! instance subscribes first and discovers then.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::LOCATION;
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use mtc_core::time::UnixTime;
use mtc_tls::identity::NfIdentity;
use mtc_tls::profile::TrustDomain;
use sbi::access_token::AccessTokens;
use sbi::json_patch;
use sbi::model::{
    Document, NfInstanceId, NfProfile, NfType, PatchItem, ServiceName, SubscriptionData,
};
use sbi::problem::{Cause, InvalidParam, Problem};
use sbi::response::{JSON, JSON_PATCH, Response};
use sbi::server::Request;
use sbi::uri::ApiRoot;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::callback::{Callback, CallbackError, Reach};
use crate::caller::{Caller, Callers};
use crate::condition::Condition;
use crate::management::{certifies, read_patch};
use crate::notifier::{Notifier, StoreError};
use crate::registry::{Registry, SharedRegistry};
use crate::subscription::{
    COMPLETE_PROFILES, Subscriber, Subscription, SubscriptionError, SubscriptionId,
};
use crate::subscriptions::{AddError, MAX_OCTETS};

/// How long a subscription lasts that proposes nothing, and at most: a subscriber that is gone for good is forgotten in a day.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long it lasts at least: renewals write to the disk.
pub const SHORTEST: Duration = Duration::from_secs(60);
/// Seconds after which a subscriber may try again that found no place.
const RETRY_WHEN_FULL: u32 = 30;
/// What a subscription is by: no patch changes it.
const IMMUTABLE: [&str; 4] = [
    "/subscriptionId",
    "/reqNfInstanceId",
    "/reqNfType",
    "/completeProfileSubscription",
];

/// The subscriptions of the service `nnrf-nfm`.
pub struct Subscribing {
    notifier: Arc<Notifier>,
    registry: Arc<SharedRegistry>,
    api_root: ApiRoot,
    reach: Reach,
    callers: Callers,
    tokens: Option<Arc<AccessTokens>>,
}

impl Subscribing {
    /// Subscriptions to what happens in `registry`, kept by `notifier`; `api_root` is that of the NRF, for `Location`.
    pub fn new(
        notifier: Arc<Notifier>,
        registry: Arc<SharedRegistry>,
        api_root: ApiRoot,
        reach: Reach,
    ) -> Self {
        Self {
            notifier,
            registry,
            api_root,
            reach,
            callers: Callers::default(),
            tokens: None,
        }
    }

    /// Tells complete profiles to whom these tokens permit it; without, to nobody.
    #[must_use]
    pub fn guarded_by(mut self, tokens: Option<Arc<AccessTokens>>) -> Self {
        self.tokens = tokens;
        self
    }

    /// Takes requests from `callers`, of whom those with a certificate are the default.
    #[must_use]
    pub fn called_by(mut self, callers: Callers) -> Self {
        self.callers = callers;
        self
    }

    /// Answers a request whose path is `/nnrf-nfm/v1/subscriptions/` and `segments`. Blocks on the disk.
    ///
    /// # Errors
    /// The problem to answer with.
    pub fn handle(&self, request: &Request, segments: &[&str]) -> Result<Response, Problem> {
        let caller = self.callers.identify(request)?;
        match (&request.method, segments) {
            (&Method::POST, []) => self.subscribe(caller, request),
            (_, []) => Err(Problem::method_not_allowed("POST")),
            (&Method::PATCH, [id]) => self.update(&SubscriptionId::named(id), caller, request),
            (&Method::DELETE, [id]) => self.unsubscribe(&SubscriptionId::named(id), caller),
            (_, [_]) => Err(Problem::method_not_allowed("PATCH, DELETE")),
            (_, [_, ..]) => Err(Problem::resource_uri_structure_not_found()),
        }
    }

    fn subscribe(&self, caller: Caller<'_>, request: &Request) -> Result<Response, Problem> {
        request.require_media_type(JSON)?;
        if request.body.len() > MAX_OCTETS {
            return Err(too_large(request.body.len()));
        }
        let data = SubscriptionData::read(&request.body)?;
        let subscriber = self.subscriber(caller, &data, request)?;
        if data.complete_profile_subscription {
            self.require_all(caller, &subscriber, request)?;
        }
        let subscription = self.checked(SubscriptionId::random(), data, subscriber)?;
        let subscription = Arc::new(subscription);
        self.notifier.put(subscription.clone())?;
        self.heed(&subscription);
        let location = format!(
            "{}/nnrf-nfm/v1/subscriptions/{}",
            self.api_root,
            subscription.id.as_str()
        );
        let location = HeaderValue::from_str(&location).expect("apiRoot and id are visible ASCII");
        Ok(Response::json(StatusCode::CREATED, &subscription.answer()).with(LOCATION, location))
    }

    fn update(
        &self,
        id: &SubscriptionId,
        caller: Caller<'_>,
        request: &Request,
    ) -> Result<Response, Problem> {
        request.require_media_type(JSON_PATCH)?;
        let patch = read_patch(&request.body)?;
        let mut proposed = None;
        let subscription = self.notifier.change(id, |before| {
            let before = own(before, caller)?;
            let data = patched(&before.data, &patch)?;
            proposed.clone_from(&data.validity_time);
            self.checked(id.clone(), data, before.subscriber.clone())
        })?;
        self.heed(&subscription);
        let is_as_proposed = match proposed {
            Some(proposed) => moment(&proposed)? == subscription.expires,
            None => false,
        };
        Ok(if is_as_proposed {
            Response::no_content()
        } else {
            Response::json(StatusCode::OK, &subscription.answer())
        })
    }

    /// Has the registry tell of load alone, if a subscription that is kept now asks for that.
    fn heed(&self, subscription: &Subscription) {
        if subscription.monitors_load() {
            self.registry.update(Registry::tell_load);
        }
    }

    fn unsubscribe(&self, id: &SubscriptionId, caller: Caller<'_>) -> Result<Response, Problem> {
        own(self.notifier.get(id), caller)?;
        if self.notifier.remove(id) {
            Ok(Response::no_content())
        } else {
            Err(unknown())
        }
    }

    /// Check 7: the subscriber is the one of the certificate, or a registered instance for which an SCP asks.
    fn subscriber(
        &self,
        caller: Caller<'_>,
        data: &SubscriptionData,
        request: &Request,
    ) -> Result<Subscriber, Problem> {
        let Some(identity) = caller.identity() else {
            return claimed(caller, data, request);
        };
        let certified = NfInstanceId::from(identity.instance_id);
        let id = data.req_nf_instance_id.unwrap_or(certified);
        let subscriber = if id == certified {
            let mut types = identity.nf_types.iter().map(|t| NfType::from(t.as_str()));
            let nf_type = match &data.req_nf_type {
                Some(wanted) => types.find(|t| t == wanted),
                None => types.next(),
            };
            Subscriber {
                id,
                nf_type: nf_type.ok_or_else(|| self.wrong_type(identity, data))?,
                fqdns: identity.fqdns.clone(),
                address: request.peer.remote.ip(),
                domain: not_of_the_mtca(request),
            }
        } else if is_scp(identity) {
            self.on_behalf(id, data, request)?
        } else {
            return Err(Problem::certificate_mismatch(format!(
                "certificate is of instance {certified}, reqNfInstanceId is {id}"
            )));
        };
        match &data.req_nf_fqdn {
            Some(fqdn) if !certifies(&subscriber.fqdns, fqdn) => {
                Err(Problem::certificate_mismatch(format!(
                    "the subscriber is {}, reqNfFqdn is {fqdn}",
                    subscriber.fqdns.join(", ")
                )))
            }
            _ => Ok(subscriber),
        }
    }

    /// Refuses who may not be told complete profiles: it needs an access token of that scope, and nobody can ask for another.
    fn require_all(
        &self,
        caller: Caller<'_>,
        subscriber: &Subscriber,
        request: &Request,
    ) -> Result<(), Problem> {
        let Some(tokens) = &self.tokens else {
            return Err(not_allowed(
                "completeProfileSubscription: needs an access token, and this NRF issues none",
            ));
        };
        let certified = caller.identity().map(|identity| identity.instance_id);
        if certified != Some(subscriber.id.uuid()) {
            return Err(not_allowed(
                "completeProfileSubscription: complete profiles are told to nobody on behalf of another",
            ));
        }
        let scopes = ["nnrf-nfm", COMPLETE_PROFILES].map(ServiceName::from);
        tokens.require(request, &scopes)
    }

    /// The instance `id` as it is registered.
    fn on_behalf(
        &self,
        id: NfInstanceId,
        data: &SubscriptionData,
        request: &Request,
    ) -> Result<Subscriber, Problem> {
        let profile = self.profile(id).ok_or_else(|| {
            Problem::certificate_mismatch(format!("reqNfInstanceId {id} is not registered"))
        })?;
        if data
            .req_nf_type
            .as_ref()
            .is_some_and(|t| *t != profile.nf_type)
        {
            return Err(Problem::certificate_mismatch(format!(
                "reqNfInstanceId is registered as {}",
                profile.nf_type
            )));
        }
        let of_services = profile.services().filter_map(|s| s.fqdn.as_ref());
        Ok(Subscriber {
            id,
            nf_type: profile.nf_type.clone(),
            fqdns: profile.fqdn.iter().chain(of_services).cloned().collect(),
            address: request.peer.remote.ip(),
            domain: None,
        })
    }

    fn wrong_type(&self, identity: &NfIdentity, data: &SubscriptionData) -> Problem {
        let asked = data.req_nf_type.as_ref().map_or("absent", NfType::as_str);
        Problem::certificate_mismatch(format!(
            "certificate is for nfType {}, reqNfType is {asked}",
            identity.nf_types.join(", ")
        ))
    }

    fn profile(&self, id: NfInstanceId) -> Option<Arc<NfProfile>> {
        self.registry
            .read(|registry| registry.get(id).map(|stored| stored.profile.clone()))
    }

    /// The subscription that `data` asks for, if the subscriber may have it.
    fn checked(
        &self,
        id: SubscriptionId,
        data: SubscriptionData,
        subscriber: Subscriber,
    ) -> Result<Subscription, Problem> {
        let expires = self.expiry(data.validity_time.as_deref())?;
        let uri = &data.nf_status_notification_uri;
        match self.callers {
            Callers::Certified => {
                let profile = self.profile(subscriber.id);
                Callback::read(uri, &subscriber.fqdns, profile.as_deref(), self.reach)
            }
            Callers::Claimed { .. } => {
                Callback::read_cleartext(uri, subscriber.address, self.reach)
            }
        }
        .map_err(uncallable)?;
        let subscription =
            Subscription::new(id, data, subscriber, expires).map_err(|error| match error {
                SubscriptionError::Callback(error) => uncallable(error),
                SubscriptionError::Condition(_) => optional("/subscrCond", &error),
                SubscriptionError::Features => optional("/requesterFeatures", &error),
            })?;
        self.require_known(&subscription)?;
        let octets = json_patch::octets(&subscription.data);
        if octets > MAX_OCTETS {
            return Err(too_large(octets));
        }
        Ok(subscription)
    }

    /// Who asks for one instance is told at once if there is none, or it may not know of it.
    fn require_known(&self, subscription: &Subscription) -> Result<(), Problem> {
        let Some(Condition::Instances(ids)) = &subscription.condition else {
            return Ok(());
        };
        let [id] = ids.as_slice() else {
            return Ok(());
        };
        let profile = self.profile(*id).ok_or_else(|| {
            let detail = format!("instance {id} is not registered");
            Problem::with_cause(StatusCode::NOT_FOUND, Cause::NfNotFound, detail)
        })?;
        if subscription.may_know(&profile) {
            return Ok(());
        }
        Err(not_allowed(&format!("the subscriber may not know of {id}")))
    }

    /// When a subscription ends for which the subscriber proposes `proposed`.
    fn expiry(&self, proposed: Option<&str>) -> Result<UnixTime, Problem> {
        let now = self.notifier.now();
        let proposed = proposed.map(moment).transpose()?;
        let proposed = proposed.unwrap_or_else(|| now.plus(LONGEST));
        Ok(proposed.clamp(now.plus(SHORTEST), now.plus(LONGEST)))
    }
}

/// The subscription that was found, if it is the requester's own, or one that an SCP may change for it.
/// Without a certificate, who knows its id may.
fn own(found: Option<Arc<Subscription>>, caller: Caller<'_>) -> Result<Arc<Subscription>, Problem> {
    let found = found.ok_or_else(unknown)?;
    let Some(identity) = caller.identity() else {
        return Ok(found);
    };
    let certified = NfInstanceId::from(identity.instance_id);
    if found.subscriber.id == certified || is_scp(identity) {
        return Ok(found);
    }
    Err(Problem::certificate_mismatch(format!(
        "certificate is of instance {certified}, which did not make this subscription"
    )))
}

/// The subscriber that `data` names. Who names none shares the place of all such: it is told what anybody is told.
fn claimed(
    caller: Caller<'_>,
    data: &SubscriptionData,
    request: &Request,
) -> Result<Subscriber, Problem> {
    let id = data.req_nf_instance_id;
    id.map_or(Ok(()), |id| caller.require_own(id))?;
    let nf_type = data.req_nf_type.clone();
    Ok(Subscriber {
        id: id.unwrap_or_else(|| uuid::Uuid::nil().into()),
        nf_type: nf_type.unwrap_or_else(|| NfType::from("CUSTOM_UNNAMED")),
        fqdns: data.req_nf_fqdn.iter().cloned().collect(),
        address: request.peer.remote.ip(),
        domain: None,
    })
}

/// The trust domain in which the peer of a connection authenticated itself, if it is one of X.509: that may be all that it has.
fn not_of_the_mtca(request: &Request) -> Option<TrustDomain> {
    let domain = request.peer.profile.map(|profile| profile.domain);
    domain.filter(|domain| matches!(domain, TrustDomain::X509(_)))
}

fn is_scp(identity: &NfIdentity) -> bool {
    identity.nf_types.iter().any(|t| t == NfType::Scp.as_str())
}

/// The data of a subscription after `patch`.
fn patched(data: &SubscriptionData, patch: &[PatchItem]) -> Result<SubscriptionData, Problem> {
    let document = serde_json::to_value(data).expect("JSON has string keys and does not fail");
    let after = json_patch::apply(&document, patch).map_err(|error| {
        Problem::mandatory_ie_incorrect(&format!("/{}", error.index), error.to_string())
    })?;
    for path in IMMUTABLE {
        if after.pointer(path) != document.pointer(path) {
            let detail = format!("{path} cannot be changed");
            let mut problem =
                Problem::with_cause(StatusCode::FORBIDDEN, Cause::ModificationNotAllowed, detail);
            problem.details.invalid_params = vec![InvalidParam::new(path, "cannot be changed")];
            return Err(problem);
        }
    }
    SubscriptionData::from_value(after)
}

/// A moment in whole seconds.
fn moment(text: &str) -> Result<UnixTime, Problem> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339);
    let parsed = parsed.map_err(|error| optional("/validityTime", &error))?;
    // Before 1970 is long over, as 1970 is.
    Ok(UnixTime(parsed.unix_timestamp().try_into().unwrap_or(0)))
}

fn optional(member: &str, error: &impl std::fmt::Display) -> Problem {
    let param = InvalidParam::new(member, error.to_string());
    Problem::invalid_params(Cause::OptionalIeIncorrect, vec![param])
}

fn uncallable(error: CallbackError) -> Problem {
    let reason = error.to_string();
    match error {
        CallbackError::Foreign(_) | CallbackError::Unreachable(_) => {
            not_allowed(&format!("nfStatusNotificationUri {reason}"))
        }
        _ => Problem::mandatory_ie_incorrect("/nfStatusNotificationUri", reason),
    }
}

fn not_allowed(detail: &str) -> Problem {
    Problem::with_cause(StatusCode::FORBIDDEN, Cause::SubscriptionNotAllowed, detail)
}

fn too_large(octets: usize) -> Problem {
    let detail = format!("subscription has {octets} octets; at most {MAX_OCTETS} are allowed");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

fn unknown() -> Problem {
    let detail = "there is no such subscription";
    Problem::with_cause(StatusCode::NOT_FOUND, Cause::SubscriptionNotFound, detail)
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Add(error @ AddError::Full(_)) => Self::unavailable(
                Cause::InsufficientResources,
                error.to_string(),
                RETRY_WHEN_FULL,
            ),
            StoreError::Add(error) => not_allowed(&error.to_string()),
            StoreError::File(error) => {
                tracing::error!(error = %mtc_core::causes::Causes(&error), "cannot store a subscription");
                Self::system_failure()
            }
        }
    }
}
