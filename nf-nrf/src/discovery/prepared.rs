//! Results that stand ready: a query that was asked is likely to be asked again, by all NFs of a type and for as long as they run.
//!
//! ```text
//!   query --> view, unless it is new --> instances touched since its revision --> none is or was in the result: it stands
//!     |                                                                  `------> else it is made anew of what is in it now
//!     `-- new: the instances that may fit are looked at, of which the registry has lists
//! ```
//!
//! Who asks makes no difference, but where an instance that it may find has `allowedNfDomains`: then nothing is kept. Whether it may ask as who
//! it says it is, is looked at each time, by what the query was read as when it was new.
//!
//! A result is always made by [`search`], of the same instances in the same order, whether all are looked at or those of a view.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use sbi::model::{NfInstanceId, NfProfile};
use sbi::problem::Problem;
use sbi::uri::MAX_QUERY_PARAMS;

use super::{Claim, DiscoveryQuery, is_found, search};
use crate::allowed::depends_on_name;
use crate::caller::Caller;
use crate::etag::Tagged;
use crate::registry::{Revision, SharedRegistry};

/// Most views; the one not used for longest goes first. NFs of a dozen types ask a few things each.
const MAX_VIEWS: usize = 256;
/// Most instances of a view. They outlive their registration until the view is used again or goes.
const MAX_FOUND: usize = 32;
/// Most octets of a result that is kept, so that all of them take 4 MiB.
const MAX_RESULT: usize = 16 * 1024;
/// Most octets of a query that is kept: all of them take 256 KiB.
const MAX_KEY: usize = 1024;

/// The views, by what is [lasting](Key::lasting) of a query.
#[derive(Default)]
pub(super) struct Prepared(Mutex<Views>);

#[derive(Default)]
struct Views {
    by_key: HashMap<Box<str>, View>,
    /// How often a view was looked for: the time by which they grow old.
    looks: u64,
}

struct View {
    last_look: u64,
    claim: Arc<Claim>,
    state: Arc<Mutex<State>>,
}

/// What a query finds.
struct State {
    /// Without the names of who asked, unless it depends on them.
    query: DiscoveryQuery,
    revision: Revision,
    found: BTreeMap<NfInstanceId, Arc<NfProfile>>,
    /// Whether the same query of another may find something else, or less of it.
    depends_on_name: bool,
    /// None while it is not known to be that of `found`.
    result: Option<Tagged>,
}

/// What a query is kept under, as it was sent.
#[derive(Debug)]
pub(super) struct Key<'a> {
    /// All of it but who asks.
    lasting: Cow<'a, str>,
    /// Who asks.
    requester: Option<NfInstanceId>,
}

const REQUESTER: &str = "requester-nf-instance-id";

impl<'a> Key<'a> {
    /// None of a query that has to be read to be understood: with an encoded name, or more requesters or parameters than one may have.
    pub(super) fn of(query: &'a str) -> Option<Self> {
        let (mut params, mut requester, mut at) = (0, None, 0);
        let mut lasting = Cow::Borrowed(query);
        for param in query.split('&') {
            params += 1;
            let (name, value) = param.split_once('=').unwrap_or((param, ""));
            if name.contains('%') || params > MAX_QUERY_PARAMS {
                return None;
            }
            if name == REQUESTER {
                if requester.replace(value.parse().ok()?).is_some() {
                    return None;
                }
                lasting = without(query, at, param);
            }
            at += param.len() + 1;
        }
        Some(Self { lasting, requester })
    }

    /// What does not depend on who asks.
    pub(super) fn into_lasting(self) -> Box<str> {
        self.lasting.into()
    }
}

/// `query` without `param`, which is there at `at`, and without the `&` beside it.
fn without<'a>(query: &'a str, at: usize, param: &str) -> Cow<'a, str> {
    let (before, after) = (&query[..at], &query[at + param.len()..]);
    match (before.strip_suffix('&'), after.strip_prefix('&')) {
        (None, after) => after.unwrap_or_default().into(),
        (Some(before), None) => before.into(),
        (Some(before), Some(after)) => format!("{before}&{after}").into(),
    }
}

/// A query that was read.
pub(super) struct Asked {
    /// What of its [`Key`] lasts.
    pub(super) kept_as: Option<Box<str>>,
    pub(super) claim: Claim,
    /// With the names of who asks.
    pub(super) query: DiscoveryQuery,
}

impl Prepared {
    /// The result, if it is prepared and stands. Takes microseconds: what may take longer is left to [`Prepared::work_out`].
    ///
    /// # Errors
    /// `caller` may not ask as who it says it is.
    pub(super) fn standing(
        &self,
        key: &Key<'_>,
        caller: Caller<'_>,
        registry: &SharedRegistry,
    ) -> Result<Option<Tagged>, Problem> {
        let Some((claim, state)) = self.view(&key.lasting) else {
            return Ok(None);
        };
        claim.check(key.requester, caller)?;
        let mut state = match state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        state.catch_up(registry);
        Ok(state.result.clone())
    }

    /// The result, which is prepared from then on if it is small.
    pub(super) fn work_out(
        &self,
        asked: Asked,
        registry: &SharedRegistry,
        validity_period: u32,
    ) -> Tagged {
        let Asked {
            kept_as,
            claim,
            query,
        } = asked;
        let Some(key) = kept_as else {
            return State::of(query, registry).result(validity_period);
        };
        if let Some((_, state)) = self.view(&key) {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.catch_up(registry) {
                let result = state.result(validity_period);
                if !state.may_stay(&result) {
                    self.views().by_key.remove(&key);
                }
                return result;
            }
        }
        let mut state = State::of(query, registry);
        let result = state.result(validity_period);
        let mut views = self.views();
        if state.may_stay(&result) && key.len() <= MAX_KEY {
            views.keep(key, claim, state);
        } else {
            views.by_key.remove(&key);
        }
        drop(views);
        result
    }

    fn view(&self, key: &str) -> Option<(Arc<Claim>, Arc<Mutex<State>>)> {
        let mut views = self.views();
        views.looks += 1;
        let looks = views.looks;
        let view = views.by_key.get_mut(key)?;
        view.last_look = looks;
        Some((Arc::clone(&view.claim), Arc::clone(&view.state)))
    }

    fn views(&self) -> MutexGuard<'_, Views> {
        // A view is put in or taken out whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Views {
    fn keep(&mut self, key: Box<str>, claim: Claim, state: State) {
        if self.by_key.len() >= MAX_VIEWS {
            let oldest = self.by_key.iter().min_by_key(|(_, view)| view.last_look);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.by_key.remove(&key);
            }
        }
        let view = View {
            last_look: self.looks,
            claim: Arc::new(claim),
            state: Arc::new(Mutex::new(state)),
        };
        self.by_key.insert(key, view);
    }
}

impl State {
    /// What `query` finds now.
    fn of(mut query: DiscoveryQuery, registry: &SharedRegistry) -> Self {
        let (revision, mut found) = registry.read(|registry| {
            let candidates = registry.candidates(&query.wanted());
            (registry.revision(), candidates)
        });
        // Without a name everybody is in each domain.
        let names = std::mem::take(&mut query.requester_fqdns);
        found.retain(|profile| is_found(&query, profile));
        let depends_on_name = found.iter().any(|profile| depends_on_name(profile));
        if depends_on_name {
            query.requester_fqdns = names;
            found.retain(|profile| is_found(&query, profile));
        }
        Self {
            revision,
            depends_on_name,
            found: found.into_iter().map(|p| (p.nf_instance_id, p)).collect(),
            result: None,
            query,
        }
    }

    /// Looks at what was touched since. Returns whether that was possible; it is not after too long, and not if an instance that is found
    /// has begun to ask for names.
    fn catch_up(&mut self, registry: &SharedRegistry) -> bool {
        // The registry is locked for the look only, not while profiles are judged or freed.
        let touched = registry.read(|registry| {
            let touched = registry.since(self.revision)?;
            let touched: Vec<_> = touched.map(|(id, now)| (id, now.cloned())).collect();
            Some((registry.revision(), touched))
        });
        let Some((revision, touched)) = touched else {
            self.result = None;
            return false;
        };
        let asks = |now: &NfProfile| depends_on_name(now) && is_found(&self.query, now);
        if touched
            .iter()
            .any(|(_, now)| now.as_deref().is_some_and(asks))
        {
            self.result = None;
            return false;
        }
        self.revision = revision;
        for (id, now) in touched {
            let now = now.filter(|profile| is_found(&self.query, profile));
            let is_in = now.is_some();
            let before = match now {
                Some(profile) => self.found.insert(id, profile),
                None => self.found.remove(&id),
            };
            if is_in || before.is_some() {
                self.result = None;
            }
        }
        true
    }

    fn result(&mut self, validity_period: u32) -> Tagged {
        let (query, found) = (&self.query, &self.found);
        let search = || {
            let found = found.values().map(Arc::as_ref);
            Tagged::json(&search(query, found, validity_period))
        };
        self.result.get_or_insert_with(search).clone()
    }

    fn may_stay(&self, result: &Tagged) -> bool {
        !self.depends_on_name && self.found.len() <= MAX_FOUND && result.octets() <= MAX_RESULT
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use hyper::HeaderMap;
    use mtc_tls::identity::NfIdentity;
    use proptest::prelude::*;
    use sbi::model::Document;
    use serde_json::{Value, json};

    use super::*;
    use crate::registry::{MAX_TOUCHED, Registry, Settings};

    const QUERY: &str = "target-nf-type=SMF&requester-nf-type=AMF&dnn=a";
    /// Longer than a heartbeat may be late.
    const LATE: Duration = Duration::from_secs(3600);

    struct Nrf {
        registry: SharedRegistry,
        prepared: Prepared,
    }

    fn id(number: u8) -> NfInstanceId {
        let id = format!("5b1d9a77-0000-4000-8000-0000000000{number:02x}");
        id.parse().expect("a UUID")
    }

    fn smf(number: u8, dnn: &str, load: u8, members: Value) -> NfProfile {
        let mut profile = json!({
            "nfInstanceId": id(number), "nfType": "SMF", "nfStatus": "REGISTERED", "fqdn": "smf.example.org", "load": load,
            "priority": load % 3,
            "smfInfo": {"sNssaiSmfInfoList": [{"sNssai": {"sst": 1}, "dnnSmfInfoList": [{"dnn": dnn}]}]},
            "nfServiceList": {"s": {"serviceInstanceId": "s", "serviceName": "s", "scheme": "https", "nfServiceStatus": "REGISTERED",
                "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.0.0"}], "allowedNfTypes": ["AMF"]}}
        });
        // Null takes a member out.
        for (name, value) in members.as_object().expect("members") {
            profile[name] = value.clone();
        }
        let present = profile.as_object_mut().expect("an object");
        present.retain(|_, value| !value.is_null());
        NfProfile::from_value(profile).expect("a valid profile")
    }

    impl Nrf {
        fn new() -> Self {
            let registry = Registry::new(Settings::default());
            Self {
                registry: SharedRegistry::new(registry, Box::new(|_| {})),
                prepared: Prepared::default(),
            }
        }

        fn register(&self, profile: NfProfile) {
            let now = Instant::now();
            let registered = self.registry.update(|r| r.register(profile, now));
            registered.expect("there is a place");
        }

        /// As an SCP sees it, which asks on behalf of anybody.
        fn standing(&self, query: &str) -> Option<Tagged> {
            let key = Key::of(query).expect("plain");
            let scp = NfIdentity {
                instance_id: id(99).uuid(),
                nf_types: vec!["SCP".to_owned()],
                fqdns: Vec::new(),
                not_after: 0,
            };
            let standing = self
                .prepared
                .standing(&key, Caller::Certified(&scp), &self.registry);
            standing.expect("an SCP may ask")
        }

        fn stands(&self, query: &str) -> bool {
            self.standing(query).is_some()
        }

        fn meet(&self, number: u8, event: Event) {
            let (id, now) = (id(number), Instant::now());
            match event {
                Event::Register(members) => self.register(smf(number, "a", 0, members)),
                Event::Patch(patch) => {
                    let patch: Vec<_> = serde_json::from_value(patch).expect("a patch");
                    let revised = self
                        .registry
                        .read(|registry| registry.basis(id))
                        .revise(&patch);
                    if let Ok(draft) = revised {
                        let committed =
                            self.registry.update(|registry| registry.commit(draft, now));
                        committed.expect("nobody else is there");
                    }
                }
                Event::Miss => self
                    .registry
                    .update(|registry| registry.expire_one(id, now + LATE)),
                Event::Deregister => {
                    self.registry.update(|registry| registry.deregister(id));
                }
            }
        }

        /// Body and tag, as the service answers.
        fn answer(&self, query: &str) -> (Vec<u8>, String) {
            self.answer_to(query, None)
        }

        /// As the service answers one whose certificate has this name.
        fn answer_to(&self, query: &str, name: Option<&str>) -> (Vec<u8>, String) {
            shown(self.standing(query).unwrap_or_else(|| {
                let asked = Asked {
                    kept_as: Key::of(query).map(Key::into_lasting),
                    claim: DiscoveryQuery::parse(query).expect("a query").claim(),
                    query: asked(query, name),
                };
                self.prepared.work_out(asked, &self.registry, 60)
            }))
        }

        /// Body and tag, of a search among all instances.
        fn searched(&self, query: &str, name: Option<&str>) -> (Vec<u8>, String) {
            let query = asked(query, name);
            self.registry.read(|registry| {
                let profiles = registry.profiles().map(Arc::as_ref);
                shown(Tagged::json(&search(&query, profiles, 60)))
            })
        }
    }

    fn asked(query: &str, name: Option<&str>) -> DiscoveryQuery {
        let mut query = DiscoveryQuery::parse(query).expect("a query");
        query.requester_fqdns = name.map(str::to_owned).into_iter().collect();
        query
    }

    fn shown(result: Tagged) -> (Vec<u8>, String) {
        let answer = result.answer(&HeaderMap::new(), None);
        let tag = answer.header(&hyper::header::ETAG).expect("a tag");
        (answer.body.to_vec(), tag.to_owned())
    }

    /// What may happen to an instance.
    #[derive(Clone, Debug)]
    enum Event {
        /// It registers with these members, whatever there was of it.
        Register(Value),
        /// Its profile is patched so.
        Patch(Value),
        /// Its heartbeats are missing.
        Miss,
        Deregister,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => members().prop_map(Event::Register),
            1 => (0_u8..100).prop_map(|load| Event::Patch(json!([{"op": "add", "path": "/load", "value": load}]))),
            1 => slices().prop_map(|slices| Event::Patch(json!([{"op": "add", "path": "/sNssais", "value": slices}]))),
            1 => Just(Event::Miss),
            1 => Just(Event::Deregister),
        ]
    }

    fn members() -> impl Strategy<Value = Value> {
        let nf_type = prop_oneof![4 => Just("SMF"), 1 => Just("AMF"), 1 => Just("NWDAF")];
        let status = prop_oneof![6 => Just("REGISTERED"), 1 => Just("UNDISCOVERABLE")];
        let services = prop::collection::btree_map("[stu]", any::<bool>(), 0..3);
        let domains =
            prop_oneof![8 => Just(""), 1 => Just("^friend[.]"), 1 => Just("^stranger[.]")];
        let members = (
            nf_type,
            status,
            services,
            slices(),
            "[ab]",
            domains,
            0_u8..100,
        );
        members.prop_map(|(nf_type, status, services, slices, dnn, domains, load)| {
            let services_are_none = services.is_empty();
            let services: serde_json::Map<_, _> = services
                .into_iter()
                .map(|(name, is_up)| {
                    let status = if is_up { "REGISTERED" } else { "SUSPENDED" };
                    let service = json!({"serviceInstanceId": name, "serviceName": name, "scheme": "https", "nfServiceStatus": status,
                        "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.0.0"}]});
                    (name, service)
                })
                .collect();
            let mut members = json!({"nfType": nf_type, "nfStatus": status, "load": load, "nfServiceList": services});
            if services_are_none {
                members["nfServiceList"] = Value::Null;
            }
            if load.is_multiple_of(3) {
                members["smfInfo"] = Value::Null;
            }
            if slices.as_array().is_some_and(|slices| !slices.is_empty()) {
                // Half of the SMFs tell their slices only with the data networks in them.
                if nf_type == "SMF" {
                    let infos = slices.as_array().into_iter().flatten();
                    let infos: Vec<_> = infos
                        .map(|slice| json!({"sNssai": slice, "dnnSmfInfoList": [{"dnn": dnn}]}))
                        .collect();
                    members["smfInfo"] = json!({"sNssaiSmfInfoList": infos});
                }
                if load.is_multiple_of(2) {
                    members["sNssais"] = slices;
                }
            }
            if !domains.is_empty() {
                members["allowedNfDomains"] = json!([domains]);
            }
            members
        })
    }

    fn slices() -> impl Strategy<Value = Value> {
        let slice = prop_oneof![
            3 => (1..3).prop_map(|sd| json!({"sst": 1, "sd": format!("00000{sd}")})),
            1 => Just(json!({"sst": 1})),
            1 => Just(json!({"sst": 1, "wildcardSd": true})),
            1 => Just(json!({"sst": 1, "sdRanges": [{"start": "000002", "end": "000005"}]})),
        ];
        prop::collection::vec(slice, 1..3).prop_map(Value::from)
    }

    fn query() -> impl Strategy<Value = String> {
        let nf_type = prop_oneof![4 => Just("SMF"), 1 => Just("AMF"), 1 => Just("UDM")];
        let services = prop::collection::vec("[stuv]", 0..3);
        let slices = prop::collection::vec("00000[12345]|ffffff", 0..3);
        let ids = prop::collection::vec(0_u8..8, 0..3);
        let one = prop::option::weighted(0.1, 0_u8..8);
        let rest = prop_oneof![
            Just(""),
            Just("&dnn=a"),
            Just("&limit=2"),
            Just("&max-payload-size=1"),
            Just("&requester-features=20")
        ];
        (
            nf_type,
            services,
            slices,
            prop::option::weighted(0.2, ids),
            one,
            rest,
        )
            .prop_map(|(nf_type, services, slices, ids, one, rest)| {
                let mut query = format!("target-nf-type={nf_type}&requester-nf-type=AMF{rest}");
                let mut add = |name: &str, list: Vec<String>| {
                    if !list.is_empty() {
                        query.push_str(&format!("&{name}={}", list.join(",")));
                    }
                };
                add("service-names", services);
                let slices = slices
                    .iter()
                    .map(|sd| format!(r#"{{"sst":1,"sd":"{sd}"}}"#));
                let slices = slices.collect::<Vec<_>>().join(",");
                if !slices.is_empty() {
                    add("snssais", vec![format!("[{slices}]")]);
                }
                let ids = ids.unwrap_or_default().into_iter();
                add(
                    "target-nf-instance-id-list",
                    ids.map(|number| id(number).to_string()).collect(),
                );
                add(
                    "target-nf-instance-id",
                    one.map(|number| id(number).to_string())
                        .into_iter()
                        .collect(),
                );
                query
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn an_answer_is_that_of_a_search_of_all_instances_byte_for_byte(
            queries in prop::collection::vec(query(), 6),
            events in prop::collection::vec((0_u8..8, event()), 1..32),
        ) {
            let nrf = Nrf::new();
            for (number, event) in events {
                nrf.meet(number, event);
                for query in &queries {
                    for name in [None, Some("friend.example.org"), Some("stranger.example.org")] {
                        prop_assert_eq!(nrf.answer_to(query, name), nrf.searched(query, name), "{} of {:?}", query, name);
                    }
                }
            }
        }
    }

    #[test]
    fn what_happens_to_instances_of_another_type_throws_nothing_away() {
        let nrf = Nrf::new();
        nrf.register(smf(1, "a", 0, json!({})));
        nrf.answer(QUERY);
        let amf = |load: u8| {
            smf(
                2,
                "a",
                load,
                json!({"nfType": "AMF", "allowedNfDomains": ["^friend[.]"]}),
            )
        };
        nrf.register(amf(0));
        assert!(nrf.stands(QUERY));
        nrf.register(amf(1));
        nrf.registry.update(|registry| registry.deregister(id(2)));
        assert!(nrf.stands(QUERY));
        // Nor what happens to one that the query does not find, though it is of the type.
        nrf.register(smf(3, "b", 0, json!({"allowedNfDomains": ["^friend[.]"]})));
        nrf.registry.update(|registry| registry.deregister(id(3)));
        assert!(nrf.stands(QUERY));
    }

    #[test]
    fn a_result_stands_until_an_instance_of_it_changes() {
        let nrf = Nrf::new();
        nrf.register(smf(1, "a", 0, json!({})));
        assert!(!nrf.stands(QUERY));
        nrf.answer(QUERY);
        nrf.register(smf(2, "b", 1, json!({})));
        assert!(nrf.stands(QUERY));
        nrf.register(smf(1, "a", 1, json!({})));
        assert!(!nrf.stands(QUERY));
        nrf.answer(QUERY);
        assert!(nrf.stands(QUERY));
    }

    #[test]
    fn a_result_is_the_same_whoever_asks() {
        let nrf = Nrf::new();
        let asking = |number| format!("requester-nf-instance-id={}&{QUERY}", id(number));
        nrf.answer(&asking(1));
        assert!(nrf.stands(&asking(2)));
        assert!(!nrf.stands(&format!("{QUERY}&limit=1")));
    }

    #[test]
    fn a_query_is_kept_without_who_asks_and_only_if_it_is_plain() {
        let asking = format!("requester-nf-instance-id={}", id(1));
        for query in [
            format!("{asking}&a=%20&b"),
            format!("a=%20&{asking}&b"),
            format!("a=%20&b&{asking}"),
            "a=%20&b".to_owned(),
        ] {
            let key = Key::of(&query).expect("plain");
            let is_named = query.contains(&asking);
            assert_eq!(key.requester, is_named.then(|| id(1)), "{query}");
            assert_eq!(&*key.into_lasting(), "a=%20&b");
        }
        let many = "a=&".repeat(MAX_QUERY_PARAMS);
        for query in [
            format!("{asking}&{asking}"),
            format!("requester%2Dnf-instance-id={}", id(1)),
            "requester-nf-instance-id=1".to_owned(),
            many,
        ] {
            assert!(Key::of(&query).is_none(), "{query}");
        }
        assert_eq!(&*Key::of(&asking).expect("plain").into_lasting(), "");
    }

    #[test]
    fn who_may_not_ask_is_not_answered_from_what_is_kept() {
        let nrf = Nrf::new();
        nrf.register(smf(1, "a", 0, json!({})));
        nrf.answer(QUERY);
        let identity = |number, nf_type: &str| NfIdentity {
            instance_id: id(number).uuid(),
            nf_types: vec![nf_type.to_owned()],
            fqdns: vec!["amf.example.org".to_owned()],
            not_after: 0,
        };
        let ask = |query: &str, identity: &NfIdentity| {
            let key = Key::of(query).expect("plain");
            let caller = Caller::Certified(identity);
            let standing = nrf.prepared.standing(&key, caller, &nrf.registry);
            standing
                .map(|result| result.is_some())
                .map_err(|problem| problem.status)
        };
        let amf = identity(2, "AMF");
        let as_amf = |number| format!("{QUERY}&requester-nf-instance-id={}", id(number));
        assert_eq!(ask(QUERY, &amf), Ok(true));
        assert_eq!(ask(&as_amf(2), &amf), Ok(true));
        let forbidden = Err(hyper::StatusCode::FORBIDDEN);
        assert_eq!(ask(&as_amf(3), &amf), forbidden);
        assert_eq!(ask(QUERY, &identity(2, "SMF")), forbidden);
        let named = |name| format!("{QUERY}&requester-nf-instance-fqdn={name}.example.org");
        nrf.answer(&named("amf"));
        nrf.answer(&named("other"));
        assert_eq!(ask(&named("amf"), &amf), Ok(true));
        assert_eq!(ask(&named("other"), &amf), forbidden);
    }

    #[test]
    fn what_depends_on_the_name_of_the_requester_is_not_kept() {
        let nrf = Nrf::new();
        nrf.register(smf(1, "a", 0, json!({})));
        nrf.answer(QUERY);
        assert!(nrf.stands(QUERY));
        nrf.register(smf(2, "a", 0, json!({"allowedNfDomains": ["^friend[.]"]})));
        assert!(!nrf.stands(QUERY));
        let finds = |name: &str| {
            let (body, _) = nrf.answer_to(QUERY, Some(name));
            let body = String::from_utf8(body).expect("JSON");
            body.contains(&id(2).to_string())
        };
        assert!(finds("friend.example.org"));
        assert!(!nrf.stands(QUERY));
        assert!(!finds("stranger.example.org"));
        nrf.registry.update(|registry| registry.deregister(id(2)));
        nrf.answer(QUERY);
        assert!(nrf.stands(QUERY));
    }

    #[test]
    fn a_result_that_missed_too_much_is_made_anew_of_all_instances() {
        let nrf = Nrf::new();
        nrf.answer(QUERY);
        nrf.register(smf(1, "a", 0, json!({})));
        (0..MAX_TOUCHED).for_each(|_| nrf.register(smf(2, "b", 0, json!({}))));
        assert!(!nrf.stands(QUERY));
        assert_eq!(nrf.answer(QUERY), nrf.searched(QUERY, None));
        assert!(nrf.stands(QUERY));
    }

    #[test]
    fn what_is_large_is_not_kept() {
        let nrf = Nrf::new();
        nrf.register(smf(1, "a", 0, json!({"vendor": "x".repeat(MAX_RESULT)})));
        assert_eq!(nrf.answer(QUERY), nrf.searched(QUERY, None));
        assert!(!nrf.stands(QUERY));
        nrf.register(smf(1, "a", 0, json!({})));
        nrf.answer(QUERY);
        assert!(nrf.stands(QUERY));
        nrf.register(smf(1, "a", 0, json!({"vendor": "x".repeat(MAX_RESULT)})));
        assert_eq!(nrf.answer(QUERY), nrf.searched(QUERY, None));
        assert!(!nrf.stands(QUERY));
    }

    #[test]
    fn the_views_are_bounded_and_the_least_used_goes() {
        let nrf = Nrf::new();
        let numbered = |limit: usize| format!("{QUERY}&limit={limit}");
        for limit in 1..=MAX_VIEWS {
            nrf.answer(&numbered(limit));
        }
        assert!(nrf.stands(&numbered(1)));
        nrf.answer(&numbered(MAX_VIEWS + 1));
        assert!(nrf.stands(&numbered(1)));
        assert!(!nrf.stands(&numbered(2)));
        assert!(nrf.stands(&numbered(MAX_VIEWS + 1)));
    }
}
