//! Nnrf_NFDiscovery (TS 29.510 clause 5.3 and 6.2): which instances fit a query.
//!
//! ```text
//!   query string -> DiscoveryQuery -> filter, trim services -> order -> limit -> strip, service form -> SearchResult
//!         |              `- Claim: bound to the client certificate, if there must be one: its own type and id, or an SCP on behalf of another NF
//!         `- asked before -> Claim -> SearchResult
//! ```
//!
//! A small result is kept with its query and brought up to date by the instances that changed (`prepared`). Then the query is not read again,
//! but who may ask it is.
//!
//! No match is an empty list, not an error. A filter that this NRF does not apply is refused (`INVALID_QUERY_PARAM`, TS 29.500
//! clause 5.2.7.2): a result must not look filtered when it is not. Parameters that only order or enrich a result ([`HARMLESS`])
//! are ignored and listed in it.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use hyper::http::HeaderValue;
use mtc_tls::identity::NfIdentity;
use sbi::model::{
    Guami, NfInstanceId, NfProfile, NfService, NfStatus, NfType, PlmnId, SearchResult, ServiceForm,
    ServiceName, Snssai, SupportedFeatures, Tai,
};
use sbi::problem::{Cause, InvalidParam, Problem};
use sbi::response::Response;
use sbi::server::Request;
use sbi::uri::Query;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::allowed::{self, Requester, listed};
use crate::caller::{Caller, Callers};
use crate::etag::max_age;
use crate::management::{
    certifies, incorrect_param, parse_count, parse_param, read_query, refuse_unsupported,
};
use crate::offload::Offload;
use crate::registry::{SharedRegistry, Wanted};

mod prepared;

use prepared::{Asked, Key, Prepared};

/// Feature of nnrf-disc: services as a map.
pub const SERVICE_MAP: u32 = 6;
/// Kilobytes of a result when the consumer sets no limit, and at most (`max-payload-size`).
const DEFAULT_PAYLOAD: usize = 124;
const MAX_PAYLOAD: usize = 2000;

/// The service `nnrf-disc`.
pub struct Discovery {
    registry: Arc<SharedRegistry>,
    prepared: Prepared,
    validity_period: u32,
    /// The same for HTTP.
    max_age: HeaderValue,
    callers: Callers,
}

impl Discovery {
    /// The service on `registry`. Consumers may use a result for `validity_period` seconds; 0 upsets them and becomes 1.
    pub fn new(registry: Arc<SharedRegistry>, validity_period: u32) -> Self {
        let validity_period = validity_period.max(1);
        Self {
            registry,
            prepared: Prepared::default(),
            validity_period,
            max_age: max_age(Duration::from_secs(validity_period.into())),
            callers: Callers::default(),
        }
    }

    /// Takes requests from `callers`, of whom those with a certificate are the default.
    #[must_use]
    pub fn called_by(mut self, callers: Callers) -> Self {
        self.callers = callers;
        self
    }

    /// Answers a request whose path is `/nnrf-disc/v1/` and `segments`: at once if the answer is prepared, else by `offload`.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn handle(
        self: &Arc<Self>,
        request: &Request,
        segments: &[&str],
        offload: &Offload,
    ) -> Result<Response, Problem> {
        let caller = self.callers.identify(request)?;
        match (&request.method, segments) {
            (&Method::GET, ["nf-instances"]) => {}
            (_, ["nf-instances"]) => return Err(Problem::method_not_allowed("GET")),
            (_, ["nf-instances", _, ..]) => return Err(Problem::resource_uri_structure_not_found()),
            _ => return Err(Problem::not_found("nnrf-disc has no such resource")),
        }
        let key = Key::of(&request.query);
        if let Some(key) = &key
            && let Some(result) = self.prepared.standing(key, caller, &self.registry)?
        {
            return Ok(result.answer(&request.headers, Some(self.max_age.clone())));
        }
        let query = DiscoveryQuery::parse(&request.query)?;
        let asked = Asked {
            kept_as: key.map(Key::into_lasting),
            claim: query.claim(),
            query: query.bound_to(caller)?,
        };
        let (discovery, headers) = (Arc::clone(self), request.headers.clone());
        let work = move || {
            let (prepared, registry) = (&discovery.prepared, &discovery.registry);
            let result = prepared.work_out(asked, registry, discovery.validity_period);
            Ok(result.answer(&headers, Some(discovery.max_age.clone())))
        };
        offload.run(work).await
    }
}

/// What a consumer looks for.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscoveryQuery {
    /// The kind of NF.
    pub target_nf_type: NfType,
    /// The kind of NF that asks.
    pub requester_nf_type: NfType,
    /// The instance that asks.
    pub requester_nf_instance_id: Option<NfInstanceId>,
    /// Names of the requester, against `allowedNfDomains`: the one in the query, or those of its certificate.
    pub requester_fqdns: Vec<String>,
    /// Networks of the requester, against `allowedPlmns`.
    pub requester_plmn_list: Vec<PlmnId>,
    /// Slices of the requester, against `allowedNssais`.
    pub requester_snssais: Vec<Snssai>,
    /// Services, of which one is enough; none = any.
    pub service_names: Vec<ServiceName>,
    /// The one instance to return.
    pub target_nf_instance_id: Option<NfInstanceId>,
    /// Slices, of which one is enough; none = any.
    pub snssais: Vec<Snssai>,
    /// A data network, in one of the slices.
    pub dnn: Option<String>,
    /// Instances of which any will do; none = any at all.
    pub target_nf_instance_id_list: Vec<NfInstanceId>,
    /// The name of the instance.
    pub target_nf_fqdn: Option<String>,
    /// Networks of the instance, of which one is enough; none = any.
    pub target_plmn_list: Vec<PlmnId>,
    /// A tracking area that an AMF or SMF serves.
    pub tai: Option<Tai>,
    /// An AMF.
    pub guami: Option<Guami>,
    /// An AMF region, 2 hex digits.
    pub amf_region_id: Option<String>,
    /// An AMF set, 3 hex digits.
    pub amf_set_id: Option<String>,
    /// Comes first in the result; no filter.
    pub preferred_locality: Option<String>,
    /// Most instances.
    pub limit: Option<usize>,
    /// Most kilobytes of the result.
    pub max_payload_size: usize,
    /// Features that the one service in [`Self::service_names`] must have; of more services it says nothing.
    pub supported_features: SupportedFeatures,
    /// Features of the consumer.
    pub requester_features: SupportedFeatures,
    /// Parameters that were not considered.
    pub ignored: Vec<String>,
}

impl DiscoveryQuery {
    /// A query of NFs of one type for those of another, with no other condition.
    pub fn between(requester_nf_type: NfType, target_nf_type: NfType) -> Self {
        Self {
            target_nf_type,
            requester_nf_type,
            requester_nf_instance_id: None,
            requester_fqdns: Vec::new(),
            requester_plmn_list: Vec::new(),
            requester_snssais: Vec::new(),
            service_names: Vec::new(),
            target_nf_instance_id: None,
            snssais: Vec::new(),
            dnn: None,
            target_nf_instance_id_list: Vec::new(),
            target_nf_fqdn: None,
            target_plmn_list: Vec::new(),
            tai: None,
            guami: None,
            amf_region_id: None,
            amf_set_id: None,
            preferred_locality: None,
            limit: None,
            max_payload_size: DEFAULT_PAYLOAD,
            supported_features: SupportedFeatures::default(),
            requester_features: SupportedFeatures::default(),
            ignored: Vec::new(),
        }
    }

    /// Reads the query of a discovery request.
    ///
    /// # Errors
    /// `400` with the parameter at fault.
    pub fn parse(query: &str) -> Result<Self, Problem> {
        let query = read_query(query)?;
        let mut ignored = ignored(&query)?;
        let service_names = comma_list(&query, "service-names")?;
        let mut supported_features = parse_param(&query, "supported-features")?;
        // Each service numbers its own features (TS 29.510, 6.2.3.2.3.1).
        if service_names.len() != 1 && supported_features.take().is_some() {
            ignored.push("supported-features".to_owned());
            ignored.sort_unstable();
        }
        let payload = parse_param::<usize>(&query, "max-payload-size")?;
        Ok(Self {
            target_nf_type: mandatory_type(&query, "target-nf-type")?,
            requester_nf_type: mandatory_type(&query, "requester-nf-type")?,
            requester_nf_instance_id: parse_param(&query, "requester-nf-instance-id")?,
            requester_fqdns: parse_param(&query, "requester-nf-instance-fqdn")?
                .into_iter()
                .collect(),
            requester_plmn_list: json_list(&query, "requester-plmn-list")?,
            requester_snssais: json_list(&query, "requester-snssais")?,
            service_names,
            supported_features: supported_features.unwrap_or_default(),
            target_nf_instance_id: target_instance(&query)?,
            snssais: json_list(&query, "snssais")?,
            dnn: parse_param(&query, "dnn")?,
            target_nf_instance_id_list: instance_list(&query)?,
            target_nf_fqdn: parse_param(&query, "target-nf-fqdn")?,
            target_plmn_list: json_list(&query, "target-plmn-list")?,
            tai: json(&query, "tai")?,
            guami: json(&query, "guami")?,
            amf_region_id: parse_param(&query, "amf-region-id")?,
            amf_set_id: parse_param(&query, "amf-set-id")?,
            preferred_locality: parse_param(&query, "preferred-locality")?,
            limit: parse_count(&query, "limit")?,
            max_payload_size: payload.unwrap_or(DEFAULT_PAYLOAD).min(MAX_PAYLOAD),
            requester_features: parse_param(&query, "requester-features")?.unwrap_or_default(),
            ignored,
        })
    }

    /// Who asks, for the lists of those who may.
    pub(crate) fn requester(&self) -> Requester<'_> {
        Requester {
            nf_type: &self.requester_nf_type,
            fqdns: &self.requester_fqdns,
            plmns: &self.requester_plmn_list,
            snssais: &self.requester_snssais,
        }
    }

    /// What the registry has lists of.
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            nf_type: &self.target_nf_type,
            ids: match &self.target_nf_instance_id {
                Some(id) => std::slice::from_ref(id),
                None => &self.target_nf_instance_id_list,
            },
            services: &self.service_names,
            slices: &self.snssais,
        }
    }

    /// Who asks, as the query says.
    fn claim(&self) -> Claim {
        Claim {
            nf_type: self.requester_nf_type.clone(),
            fqdn: self.requester_fqdns.first().cloned(),
        }
    }

    /// The query of one who may make it, with the names of its certificate if it gives none.
    fn bound_to(mut self, caller: Caller<'_>) -> Result<Self, Problem> {
        let speaker = self.claim().check(self.requester_nf_instance_id, caller)?;
        if let Speaker::Itself(identity) = speaker
            && self.requester_fqdns.is_empty()
        {
            self.requester_fqdns.clone_from(&identity.fqdns);
        }
        Ok(self)
    }
}

/// Who asks, as a query says, but for the instance.
#[derive(Clone, Debug)]
struct Claim {
    nf_type: NfType,
    fqdn: Option<String>,
}

/// Who speaks for whom a query says that it is from.
enum Speaker<'a> {
    /// It itself, by its certificate.
    Itself(&'a NfIdentity),
    /// An SCP, or whoever sends requests in cleartext.
    Another,
}

impl Claim {
    /// Check 5: the requester, whose instance the query says is `id`, is the one of the certificate, or the certificate is an SCP's, which asks
    /// on behalf of another. Without a certificate it is the one that the query names, unless that is registered with one.
    fn check<'a>(
        &self,
        id: Option<NfInstanceId>,
        caller: Caller<'a>,
    ) -> Result<Speaker<'a>, Problem> {
        let Some(identity) = caller.identity() else {
            id.map_or(Ok(()), |id| caller.require_own(id))?;
            return Ok(Speaker::Another);
        };
        let has_type = |wanted: &NfType| identity.nf_types.iter().any(|t| t == wanted.as_str());
        if has_type(&NfType::Scp) {
            return Ok(Speaker::Another);
        }
        if !has_type(&self.nf_type) {
            return Err(Problem::certificate_mismatch(format!(
                "certificate is for nfType {}, requester-nf-type is {}",
                identity.nf_types.join(", "),
                self.nf_type
            )));
        }
        let certified = NfInstanceId::from(identity.instance_id);
        match id {
            Some(id) if id != certified => {
                return Err(Problem::certificate_mismatch(format!(
                    "certificate is of instance {certified}, requester-nf-instance-id is {id}"
                )));
            }
            _ => {}
        }
        match &self.fqdn {
            Some(fqdn) if !certifies(&identity.fqdns, fqdn) => {
                Err(Problem::certificate_mismatch(format!(
                    "certificate is for fqdn {}, requester-nf-instance-fqdn is {fqdn}",
                    identity.fqdns.join(", ")
                )))
            }
            _ => Ok(Speaker::Itself(identity)),
        }
    }
}

/// The parameters that [`DiscoveryQuery::parse`] reads.
const PARAMS: [&str; 22] = [
    "target-nf-type",
    "requester-nf-type",
    "requester-nf-instance-id",
    "requester-nf-instance-fqdn",
    "requester-plmn-list",
    "requester-snssais",
    "service-names",
    "target-nf-instance-id",
    "target-nf-instance-id-list",
    "target-nf-fqdn",
    "target-plmn-list",
    "snssais",
    "dnn",
    "tai",
    "guami",
    "amf-region-id",
    "amf-set-id",
    "preferred-locality",
    "limit",
    "max-payload-size",
    "requester-features",
    // Features that the *target's* service must have, so a filter; those of the requester are in `requester-features`.
    "supported-features",
];

/// Parameters that leave the result true when they are ignored: preferences order a result and never filter it, the others ask
/// for more of it or allow for more.
pub const HARMLESS: [&str; 16] = [
    "complete-profile",
    "complete-search-result",
    "ext-preferred-locality",
    "max-payload-size-ext",
    "preferences-precedence",
    "preferred-analytics-delays",
    "preferred-api-versions",
    "preferred-collocated-nf-types",
    "preferred-features",
    "preferred-full-plmn",
    "preferred-nf-instances",
    "preferred-pgw-ind",
    "preferred-tai",
    "preferred-up-positioning-ind",
    "preferred-vendor-specific-features",
    "preferred-vendor-specific-nf-features",
];

/// The parameters that are ignored.
fn ignored(query: &Query) -> Result<Vec<String>, Problem> {
    refuse_unsupported(query, |name| {
        PARAMS.contains(&name) || HARMLESS.contains(&name)
    })?;
    let ignored = query.names().filter(|name| !PARAMS.contains(name));
    let mut ignored: Vec<_> = ignored.map(str::to_owned).collect();
    ignored.sort_unstable();
    ignored.dedup();
    Ok(ignored)
}

fn mandatory_type(query: &Query, name: &str) -> Result<NfType, Problem> {
    let problem = |cause, reason| {
        let param = InvalidParam::new(format!("query {name}"), reason);
        Err(Problem::invalid_params(cause, vec![param]))
    };
    let mut values = query.values(name);
    let Some(value) = values.next() else {
        return problem(Cause::MandatoryQueryParamMissing, "missing");
    };
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if values.next().is_some() || value.is_empty() || !value.bytes().all(is_name) {
        return problem(Cause::MandatoryQueryParamIncorrect, "is not one NF type");
    }
    Ok(NfType::from(value))
}

/// Open5GS hands back what an SCP told it as `3gpp-Sbi-Producer-Id`, with the prefix.
fn target_instance(query: &Query) -> Result<Option<NfInstanceId>, Problem> {
    let name = "target-nf-instance-id";
    let text: Option<String> = parse_param(query, name)?;
    text.map(|text| {
        let id = text.strip_prefix("nfinst=").unwrap_or(&text);
        id.parse()
            .map_err(|error| incorrect_param(name, &format!("{error}")))
    })
    .transpose()
}

/// Instances, as a list with commas.
fn instance_list(query: &Query) -> Result<Vec<NfInstanceId>, Problem> {
    let name = "target-nf-instance-id-list";
    let elements = query.values(name).flat_map(|value| value.split(','));
    let ids = elements.map(str::parse);
    ids.collect::<Result<_, _>>()
        .map_err(|error| incorrect_param(name, &format!("{error}")))
}

/// A JSON value.
fn json<T: DeserializeOwned>(query: &Query, name: &str) -> Result<Option<T>, Problem> {
    let text: Option<String> = parse_param(query, name)?;
    let value = text.map(|text| serde_json::from_str(&text)).transpose();
    value.map_err(|error| incorrect_param(name, &error.to_string()))
}

/// `a,b`, with the comma encoded or not, or `name=a&name=b`.
fn comma_list(query: &Query, name: &str) -> Result<Vec<ServiceName>, Problem> {
    let elements = query.values(name).flat_map(|value| value.split(','));
    let list: Vec<_> = elements.map(ServiceName::from).collect();
    if list.iter().any(|element| element.as_str().is_empty()) {
        return Err(incorrect_param(name, "has an empty element"));
    }
    Ok(list)
}

/// A JSON array of at least one element.
fn json_list<T: DeserializeOwned>(query: &Query, name: &str) -> Result<Vec<T>, Problem> {
    let Some(text) = parse_param::<String>(query, name)? else {
        return Ok(Vec::new());
    };
    match serde_json::from_str::<Vec<T>>(&text) {
        Ok(list) if list.is_empty() => Err(incorrect_param(name, "has no element")),
        Ok(list) => Ok(list),
        Err(error) => Err(incorrect_param(name, &error.to_string())),
    }
}

/// The instances among `profiles` that fit `query`, as the consumer gets them.
pub fn search<'a>(
    query: &DiscoveryQuery,
    profiles: impl Iterator<Item = &'a NfProfile>,
    validity_period: u32,
) -> SearchResult {
    let found = profiles.filter(|profile| is_found(query, profile));
    let mut found: Vec<_> = found.map(|p| (preference(query, p), p)).collect();
    // Stable: equals stay ordered by instance id.
    found.sort_by_key(|(preference, _)| *preference);
    // Copied is only what is shown: the others may be thousands.
    let shown = found.into_iter().map(|(_, profile)| shown(query, profile));
    let shown = shown.take(query.limit.unwrap_or(usize::MAX));
    SearchResult {
        validity_period,
        nf_instances: fitting(shown, query.max_payload_size),
        other: considered(query),
    }
}

/// Whether an instance is in the result, unless a bound leaves it out: it fits, and has a service that the requester asks for and
/// may use, or none at all and the requester may use the instance.
pub(crate) fn is_found(query: &DiscoveryQuery, profile: &NfProfile) -> bool {
    if !fits(query, profile) {
        return false;
    }
    let mut services = profile.services().peekable();
    if services.peek().is_none() {
        query.service_names.is_empty() && allowed::may_know(query.requester(), profile)
    } else {
        services.any(|service| is_wanted(query, service, profile))
    }
}

fn fits(query: &DiscoveryQuery, profile: &NfProfile) -> bool {
    profile.nf_type == query.target_nf_type
        && profile.nf_status == NfStatus::Registered
        && query
            .target_nf_instance_id
            .is_none_or(|id| id == profile.nf_instance_id)
        && listed(&query.target_nf_instance_id_list, |id| {
            *id == profile.nf_instance_id
        })
        && query.target_nf_fqdn.as_ref().is_none_or(|wanted| {
            let fqdn = profile.fqdn.as_deref();
            fqdn.is_some_and(|fqdn| fqdn.eq_ignore_ascii_case(wanted))
        })
        // An instance that names no network is in that of the NRF, as is who asks for one here.
        && (query.target_plmn_list.is_empty()
            || listed(&profile.plmn_list, |plmn| {
                query.target_plmn_list.contains(plmn)
            }))
        && fits_slice(query, profile)
        && fits_amf(query, profile)
}

/// One block of an AMF's information must have all that is asked of it. AMFs without any fit, as do other types of NF, which
/// have no region, set or GUAMI.
fn fits_amf(query: &DiscoveryQuery, profile: &NfProfile) -> bool {
    let is = |wanted: &Option<String>, has: &str| {
        let wanted = wanted.as_ref();
        wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(has))
    };
    any_or_none(profile.amf_infos(), |info| {
        let areas = query.tai.as_ref();
        let guamis = query.guami.as_ref();
        areas.is_none_or(|area| info.serves_area(area))
            && guamis.is_none_or(|wanted| info.guami_list.iter().any(|guami| guami.is(wanted)))
            && is(&query.amf_region_id, &info.amf_region_id)
            && is(&query.amf_set_id, &info.amf_set_id)
    })
}

/// One slice must be served by the instance and, for an SMF, offer the data network.
fn fits_slice(query: &DiscoveryQuery, profile: &NfProfile) -> bool {
    let serves = |snssai: Option<&Snssai>| {
        snssai.is_none_or(|wanted| listed(&profile.s_nssais, |slice| slice.serves(wanted)))
            && any_or_none(profile.smf_infos(), |info| {
                info.serves(snssai, query.dnn.as_deref())
                    && query.tai.as_ref().is_none_or(|area| info.serves_area(area))
            })
    };
    if query.snssais.is_empty() {
        serves(None)
    } else {
        query.snssais.iter().any(|snssai| serves(Some(snssai)))
    }
}

/// The profile as the consumer gets it: with those of its services that it asks for and may use, in the form that it reads, and without
/// what is between the instance and the NRF.
fn shown(query: &DiscoveryQuery, profile: &NfProfile) -> NfProfile {
    let mut shown = profile.clone();
    shown.retain_services(|service| is_wanted(query, service, profile));
    shown.heart_beat_timer = None;
    allowed::hide_lists(&mut shown);
    shown.convert_services(if query.requester_features.has(SERVICE_MAP) {
        ServiceForm::Map
    } else {
        ServiceForm::Array
    });
    shown
}

fn is_wanted(query: &DiscoveryQuery, service: &NfService, profile: &NfProfile) -> bool {
    service.nf_service_status == NfStatus::Registered
        && listed(&query.service_names, |name| *name == service.service_name)
        && has_features(query, service)
        && allowed::may_use(query.requester(), service, profile)
}

/// A service that names no features has none.
fn has_features(query: &DiscoveryQuery, service: &NfService) -> bool {
    let features = service.other.get("supportedFeatures");
    let features = features.and_then(Value::as_str).unwrap_or_default();
    features
        .parse::<SupportedFeatures>()
        .unwrap_or_default()
        .includes(query.supported_features)
}

/// As [`listed`], of what `xxxInfo` and `xxxInfoList` hold together: an instance that has neither serves everything.
fn any_or_none<'a, T: 'a>(
    infos: impl Iterator<Item = &'a T>,
    is_it: impl FnMut(&'a T) -> bool,
) -> bool {
    let mut infos = infos.peekable();
    infos.peek().is_none() || infos.any(is_it)
}

/// Smaller comes first: preferred locality, then priority (the best of the services that are shown, or the profile's), then capacity.
fn preference(query: &DiscoveryQuery, profile: &NfProfile) -> (bool, u16, Reverse<u16>) {
    let wanted = query.preferred_locality.as_ref();
    let is_elsewhere = wanted.is_some_and(|wanted| profile.locality.as_ref() != Some(wanted));
    let of_services = profile
        .services()
        .filter(|service| is_wanted(query, service, profile))
        .filter_map(|service| service.priority)
        .min();
    let priority = of_services.or(profile.priority).unwrap_or(u16::MAX);
    (
        is_elsewhere,
        priority,
        Reverse(profile.capacity.unwrap_or(0)),
    )
}

/// The first of `profiles` that have at most `kilobytes` together.
fn fitting(profiles: impl Iterator<Item = NfProfile>, kilobytes: usize) -> Vec<NfProfile> {
    let mut room = kilobytes * 1000;
    let fitting = profiles.take_while(|profile| {
        let json =
            serde_json::to_vec(profile).expect("a profile has string keys and does not fail");
        let left = room.checked_sub(json.len() + ",".len());
        room = left.unwrap_or_default();
        left.is_some()
    });
    fitting.collect()
}

fn considered(query: &DiscoveryQuery) -> Map<String, Value> {
    let mut members = Map::new();
    if !query.ignored.is_empty() {
        members.insert(
            "ignoredQueryParams".to_owned(),
            query.ignored.clone().into(),
        );
    }
    members
}
