//! Who a request may go to, as the NRF says: asked on the consumer's behalf, and remembered for as long as the answer may be
//! used (TS 29.510 clause 5.3.2) and the NRF tells nothing new of those in it.
//!
//! ```text
//!  Wanted ── in the cache and valid? ──> Candidates
//!    └─ no: one asks, others wait ──> kept connection to the NRF ── the query ──> those that can be called ──> cache
//! ```

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use sbi::client::ClientError;
use sbi::header::UserAgent;
use sbi::instance::CallError;
use sbi::model::{NfInstanceId, NfProfile, NfService, SearchResult, ServiceName};
use sbi::nnrf::KeptNrf;
use sbi::selection::{Candidate, Candidates};
use sbi::uri::{Query, Scheme};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::metrics::RoutingMetrics;

/// Most answers to remember: those of some hundred consumers, each with what it asks for.
const MAX_ANSWERS: usize = 1024;
/// Longest time to remember one, whatever the NRF says: a producer may have moved without this SCP being told.
const MAX_VALIDITY: Duration = Duration::from_secs(3600);
/// How long it is remembered that there is nobody: one who has just registered is found soon.
const NOBODY_VALIDITY: Duration = Duration::from_secs(1);

/// What is to be discovered: everything on which the answer depends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    /// The query, which names the requester.
    pub(super) query: String,
    /// Which of the services found are meant.
    pub(super) which: Which,
}

/// Which services of the instances found are meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Which {
    /// Those of an API.
    Service {
        /// The API.
        name: ServiceName,
        /// The set that the instance must belong to.
        set: Option<String>,
        /// Where it is preferred.
        locality: Option<String>,
    },
    /// Any of the producer at an authority, `host:port`.
    At(String),
    /// SCPs that serve one of these SCP domains.
    Scp(Vec<String>),
}

/// Why it is not known whom to ask.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiscoveryError {
    /// There is no connection to the NRF, or no answer from it.
    #[error("the NRF does not answer")]
    Nrf(#[from] CallError),
    /// The NRF refuses the query.
    #[error("the NRF refuses the query")]
    Refused(#[source] ClientError),
}

/// Discovers on behalf of consumers.
pub(super) struct Discovery {
    pub(super) nrf: KeptNrf,
    cache: Mutex<Cache>,
    metrics: RoutingMetrics,
}

impl Discovery {
    pub(super) fn new(nrf: KeptNrf, metrics: RoutingMetrics) -> Self {
        Self {
            nrf,
            cache: Mutex::default(),
            metrics,
        }
    }

    /// Whom `wanted` means; none if nobody. The NRF is asked once, however many want to know.
    ///
    /// Dropping the future lets another one ask.
    ///
    /// # Errors
    /// See [`DiscoveryError`]; a failure is not remembered.
    pub(super) async fn find(
        &self,
        wanted: &Wanted,
        query: &Query,
        agent: &UserAgent,
    ) -> Result<Option<Arc<Candidates>>, DiscoveryError> {
        let slot = self.with(|cache| cache.slot(wanted, Instant::now()));
        self.metrics.looked_up(slot.initialized());
        let ask = || async {
            let connection = self.nrf.connection().await?;
            let result = self.nrf.nrf.search(&connection, query, Some(agent)).await;
            match result {
                Ok(result) => Ok(Found::of(&wanted.which, &result, Instant::now())),
                Err(error) if is_refusal(&error) => Err(DiscoveryError::Refused(error)),
                Err(error) => Err(DiscoveryError::Nrf(error.into())),
            }
        };
        let found = slot.get_or_try_init(ask).await?;
        Ok(found.candidates.clone())
    }

    /// Forgets whom `wanted` means: one of them could not be reached.
    pub(super) fn forget(&self, wanted: &Wanted) {
        self.with(|cache| cache.0.remove(wanted));
    }

    /// Forgets all answers that name `instance`: the NRF has told that it has changed or is gone.
    pub(super) fn forget_instance(&self, instance: NfInstanceId) {
        self.with(|cache| cache.forget_instance(instance));
    }

    /// Forgets all: something may have happened that the NRF told nobody.
    pub(super) fn forget_all(&self) {
        self.with(|cache| cache.0.clear());
    }

    /// Every change of the cache leaves answers as they are or takes them out, so that a panic leaves it consistent.
    fn with<T>(&self, act: impl FnOnce(&mut Cache) -> T) -> T {
        act(&mut self.cache.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_refusal(error: &ClientError) -> bool {
    matches!(error, ClientError::Status { status, .. }
        if status.is_client_error() && *status != StatusCode::TOO_MANY_REQUESTS)
}

/// An answer of the NRF.
#[derive(Debug)]
struct Found {
    candidates: Option<Arc<Candidates>>,
    /// The instances that the NRF named.
    instances: Vec<NfInstanceId>,
    valid_until: Instant,
}

impl Found {
    fn of(which: &Which, result: &SearchResult, now: Instant) -> Self {
        let instances = result.nf_instances.iter();
        let candidates = instances.flat_map(|profile| which.candidates(profile));
        let candidates = Candidates::new(candidates.collect()).map(Arc::new);
        let most = if candidates.is_some() {
            MAX_VALIDITY
        } else {
            NOBODY_VALIDITY
        };
        let validity = Duration::from_secs(result.validity_period.into());
        Self {
            candidates,
            instances: result
                .nf_instances
                .iter()
                .map(|one| one.nf_instance_id)
                .collect(),
            valid_until: now + validity.min(most),
        }
    }
}

impl Which {
    /// The services of `profile` that are meant and can be called. Only those over TLS: what is forwarded in cleartext has no
    /// identity.
    fn candidates(&self, profile: &NfProfile) -> Vec<Candidate> {
        let candidates = match self {
            Self::Service {
                name,
                set,
                locality,
            } => {
                let is_meant = set.as_deref().is_none_or(|set| belongs(profile, set));
                let service = profile.service(name).filter(|_| is_meant);
                let candidate =
                    service.and_then(|one| Candidate::new(profile, one, locality.as_deref()));
                candidate.into_iter().collect()
            }
            Self::At(authority) => {
                let services = profile.services();
                let mut all = services.filter_map(|one| Candidate::new(profile, one, None));
                let there = all.find(|candidate| {
                    let found = candidate.endpoint.authority();
                    found.eq_ignore_ascii_case(authority)
                });
                there.into_iter().collect::<Vec<_>>()
            }
            Self::Scp(domains) => {
                let serves = profile.scp_domains.iter().any(|one| domains.contains(one));
                let scp = serves.then(|| scp(profile)).flatten();
                scp.into_iter().collect()
            }
        };
        let mut candidates: Vec<Candidate> = candidates;
        candidates.retain(|candidate| candidate.endpoint.scheme == Scheme::Https);
        candidates
    }
}

/// An SCP as the next hop, which has ports but no services.
fn scp(profile: &NfProfile) -> Option<Candidate> {
    let info = profile.scp_info.as_ref()?;
    let port = *info.scp_ports.get(Scheme::Https.as_str())?;
    let v4 = profile.ipv4_addresses.first().copied().map(IpAddr::V4);
    let v6 = profile.ipv6_addresses.first().copied().map(IpAddr::V6);
    let mut hop = NfService::new(ServiceName::from("scp"));
    hop.ip_end_points = vec![SocketAddr::new(v4.or(v6)?, port).into()];
    hop.api_prefix.clone_from(&info.scp_prefix);
    Candidate::new(profile, &hop, None)
}

fn belongs(profile: &NfProfile, set: &str) -> bool {
    let sets = profile.other.get("nfSetIdList").and_then(Value::as_array);
    sets.is_some_and(|sets| sets.iter().any(|id| id.as_str() == Some(set)))
}

/// Answers by what was wanted: an empty slot is being asked for.
#[derive(Default)]
struct Cache(HashMap<Wanted, Arc<OnceCell<Found>>>);

impl Cache {
    /// Where the answer is or will be: one that may no longer be used at `now` makes way for an empty slot.
    fn slot(&mut self, wanted: &Wanted, now: Instant) -> Arc<OnceCell<Found>> {
        let Self(slots) = self;
        let is_usable =
            |slot: &OnceCell<Found>| slot.get().is_none_or(|found| now < found.valid_until);
        if let Some(slot) = slots.get(wanted).filter(|slot| is_usable(slot)) {
            return slot.clone();
        }
        if slots.len() >= MAX_ANSWERS {
            slots.retain(|_, slot| is_usable(slot));
        }
        if slots.len() >= MAX_ANSWERS
            && let Some(any) = slots.keys().next().cloned()
        {
            slots.remove(&any);
        }
        let slot = Arc::new(OnceCell::new());
        slots.insert(wanted.clone(), slot.clone());
        slot
    }

    /// Takes out the answers that name `instance`, and those that are being asked for: they may be of before.
    fn forget_instance(&mut self, instance: NfInstanceId) {
        self.0.retain(|_, slot| {
            slot.get()
                .is_some_and(|found| !found.instances.contains(&instance))
        });
    }
}

#[cfg(test)]
mod tests {
    use sbi::model::{NfType, ScpInfo};
    use serde_json::{Map, json};
    use uuid::Uuid;

    use super::*;

    fn profile(n: u8) -> NfProfile {
        let mut service = NfService::new(ServiceName::NsmfPdusession);
        service.ip_end_points = vec![SocketAddr::from(([127, 0, 0, n], 7777)).into()];
        let id = Uuid::from_u128(n.into()).into();
        let mut profile = NfProfile::new(id, NfType::Smf, format!("smf{n}.example.org"));
        profile.nf_services = vec![service];
        profile
    }

    fn found(which: &Which, nf_instances: Vec<NfProfile>, now: Instant) -> Found {
        let result = SearchResult {
            validity_period: 60,
            nf_instances,
            other: Map::new(),
        };
        Found::of(which, &result, now)
    }

    fn service(set: Option<&str>) -> Which {
        Which::Service {
            name: ServiceName::NsmfPdusession,
            set: set.map(str::to_owned),
            locality: None,
        }
    }

    fn wanted(query: &str) -> Wanted {
        Wanted {
            query: query.to_owned(),
            which: service(None),
        }
    }

    fn addrs(found: &Found) -> Option<String> {
        let candidates = found.candidates.as_ref()?;
        Some(candidates.choose(0).addr.to_string())
    }

    #[tokio::test]
    async fn only_the_producer_at_the_authority_is_meant() {
        let at = |authority: &str| Which::At(authority.to_owned());
        let now = Instant::now();
        let all = || vec![profile(1), profile(2)];
        let second = found(&at("SMF2.example.org:7777"), all(), now);
        assert_eq!(addrs(&second).as_deref(), Some("127.0.0.2:7777"));
        for elsewhere in ["smf3.example.org:7777", "smf2.example.org:22"] {
            assert_eq!(addrs(&found(&at(elsewhere), all(), now)), None);
        }
    }

    #[tokio::test]
    async fn a_set_leaves_out_who_does_not_belong_to_it() {
        let mut member = profile(2);
        let sets = json!(["set1.smfset"]);
        member.other.insert("nfSetIdList".to_owned(), sets);
        let all = vec![profile(1), member];
        let of_set = found(&service(Some("set1.smfset")), all, Instant::now());
        assert_eq!(addrs(&of_set).as_deref(), Some("127.0.0.2:7777"));
    }

    #[tokio::test]
    async fn a_next_hop_is_an_scp_of_the_domain_that_says_where_it_is() {
        let mut scp = profile(1);
        scp.nf_services.clear();
        scp.nf_type = NfType::Scp;
        scp.scp_domains = vec!["a".to_owned()];
        scp.ipv4_addresses = vec![[127, 0, 0, 3].into()];
        let info = ScpInfo {
            scp_ports: [("https".to_owned(), 7777)].into(),
            scp_prefix: Some("/hop".to_owned()),
            ..ScpInfo::default()
        };
        scp.scp_info = Some(info);
        let of = |domain: &str, scp: &NfProfile| {
            let which = Which::Scp(vec![domain.to_owned()]);
            found(&which, vec![scp.clone()], Instant::now()).candidates
        };
        let hop = of("a", &scp).expect("one");
        let hop = hop.choose(0);
        assert_eq!(hop.addr.to_string(), "127.0.0.3:7777");
        assert_eq!(hop.endpoint.api_prefix, "/hop");
        assert_eq!(of("b", &scp), None);
        scp.scp_info = None;
        assert_eq!(of("a", &scp), None);
    }

    #[tokio::test]
    async fn nobody_is_called_in_cleartext() {
        let mut plain = profile(1);
        plain.nf_services[0].scheme = Scheme::Http;
        let none = found(&service(None), vec![plain], Instant::now());
        assert_eq!(addrs(&none), None);
    }

    #[tokio::test]
    async fn an_answer_is_used_until_its_validity_ends_and_nobody_is_asked_for_again_soon() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut cache = Cache::default();
        let some = found(&service(None), vec![profile(1)], now);
        cache.slot(&wanted("a"), now).set(some).expect("empty");
        let none = found(&service(None), Vec::new(), now);
        cache.slot(&wanted("b"), now).set(none).expect("empty");
        assert!(cache.slot(&wanted("a"), at(59)).initialized());
        assert!(!cache.slot(&wanted("b"), at(1)).initialized());
        assert!(!cache.slot(&wanted("a"), at(60)).initialized());
    }

    #[tokio::test]
    async fn answers_that_name_an_instance_are_forgotten_with_it() {
        let now = Instant::now();
        let mut cache = Cache::default();
        for (query, of) in [("a", vec![1, 2]), ("b", vec![2])] {
            let answer = found(&service(None), of.into_iter().map(profile).collect(), now);
            let slot = cache.slot(&wanted(query), now);
            slot.set(answer).expect("empty");
        }
        cache.forget_instance(Uuid::from_u128(1).into());
        assert!(!cache.slot(&wanted("a"), now).initialized());
        assert!(cache.slot(&wanted("b"), now).initialized());
    }

    #[tokio::test]
    async fn the_cache_is_bounded_and_each_query_is_its_own() {
        let now = Instant::now();
        let mut cache = Cache::default();
        for n in 0..2 * MAX_ANSWERS {
            let slot = cache.slot(&wanted(&n.to_string()), now);
            let answer = found(&service(None), vec![profile(1)], now);
            slot.set(answer).expect("a slot of its own");
        }
        assert_eq!(cache.0.len(), MAX_ANSWERS);
    }
}
