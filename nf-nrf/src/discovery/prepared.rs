//! Results that stand ready: a query that was asked is likely to be asked again, by all NFs of a type and for as long as they run.
//!
//! ```text
//!   query --> view, unless it is new --> instances touched since its revision --> none is or was in the result: it stands
//!     |                                                                  `------> else it is made anew of what is in it now
//!     `-- new: every instance is looked at
//! ```
//!
//! Who asks makes no difference, but where an instance of the type has `allowedNfDomains`: then nothing is kept.
//!
//! A result is always made by [`search`], of the same instances in the same order, whether all are looked at or those of a view.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use sbi::model::{NfInstanceId, NfProfile};

use super::{DiscoveryQuery, is_found, search};
use crate::allowed::depends_on_name;
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

/// The views, by what [`key`] makes of a query.
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
    state: Arc<Mutex<State>>,
}

/// What a query finds.
struct State {
    query: DiscoveryQuery,
    revision: Revision,
    found: BTreeMap<NfInstanceId, Arc<NfProfile>>,
    /// Whether the same query of another may find something else.
    depends_on_name: bool,
    /// None while it is not known to be that of `found`.
    result: Option<Tagged>,
}

/// What a query is kept under: all of it but who asks.
pub(super) fn key(query: &str) -> Box<str> {
    let params = query.split('&');
    let lasting: Vec<_> = params
        .filter(|param| !param.starts_with("requester-nf-instance-id="))
        .collect();
    lasting.join("&").into()
}

impl Prepared {
    /// The result, if it is prepared and stands. Takes microseconds: what may take longer is left to [`Prepared::work_out`].
    pub(super) fn standing(&self, key: &str, registry: &SharedRegistry) -> Option<Tagged> {
        let state = self.view(key)?;
        let mut state = match state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        state.catch_up(registry);
        state.result.clone()
    }

    /// The result, which is prepared from then on if it is small.
    pub(super) fn work_out(
        &self,
        key: Box<str>,
        query: DiscoveryQuery,
        registry: &SharedRegistry,
        validity_period: u32,
    ) -> Tagged {
        if let Some(state) = self.view(&key) {
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
            views.keep(key, state);
        } else {
            views.by_key.remove(&key);
        }
        drop(views);
        result
    }

    fn view(&self, key: &str) -> Option<Arc<Mutex<State>>> {
        let mut views = self.views();
        views.looks += 1;
        let looks = views.looks;
        let view = views.by_key.get_mut(key)?;
        view.last_look = looks;
        Some(Arc::clone(&view.state))
    }

    fn views(&self) -> MutexGuard<'_, Views> {
        // A view is put in or taken out whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Views {
    fn keep(&mut self, key: Box<str>, state: State) {
        if self.by_key.len() >= MAX_VIEWS {
            let oldest = self.by_key.iter().min_by_key(|(_, view)| view.last_look);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.by_key.remove(&key);
            }
        }
        let view = View {
            last_look: self.looks,
            state: Arc::new(Mutex::new(state)),
        };
        self.by_key.insert(key, view);
    }
}

impl State {
    /// What `query` finds, of all instances.
    fn of(query: DiscoveryQuery, registry: &SharedRegistry) -> Self {
        let (revision, of_type) = registry.read(|registry| {
            let profiles = registry.profiles();
            let of_type = profiles.filter(|profile| profile.nf_type == query.target_nf_type);
            (registry.revision(), of_type.cloned().collect::<Vec<_>>())
        });
        let depends_on_name = of_type.iter().any(|p| depends_on_name(p));
        let found = of_type.into_iter().filter(|p| is_found(&query, p));
        Self {
            revision,
            depends_on_name,
            found: found.map(|p| (p.nf_instance_id, p)).collect(),
            result: None,
            query,
        }
    }

    /// Looks at what was touched since. Returns whether that was possible; it is not after too long, and not if an instance has
    /// begun to ask for names.
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
        let nf_type = &self.query.target_nf_type;
        let asks = |now: &NfProfile| now.nf_type == *nf_type && depends_on_name(now);
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
    use std::time::Instant;

    use hyper::HeaderMap;
    use proptest::prelude::*;
    use sbi::model::Document;
    use serde_json::{Value, json};

    use super::*;
    use crate::registry::{MAX_TOUCHED, Registry, Settings};

    const QUERY: &str = "target-nf-type=SMF&requester-nf-type=AMF&dnn=a";
    const QUERIES: [&str; 4] = [
        QUERY,
        "target-nf-type=SMF&requester-nf-type=AMF&service-names=s&limit=2",
        "target-nf-type=SMF&requester-nf-type=PCF&dnn=b&requester-features=20",
        "target-nf-type=SMF&requester-nf-type=AMF&max-payload-size=1",
    ];

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
        for (name, value) in members.as_object().expect("members") {
            profile[name] = value.clone();
        }
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

        fn stands(&self, query: &str) -> bool {
            self.prepared
                .standing(&key(query), &self.registry)
                .is_some()
        }

        /// Body and tag, as the service answers.
        fn answer(&self, query: &str) -> (Vec<u8>, String) {
            let standing = self.prepared.standing(&key(query), &self.registry);
            let parsed = DiscoveryQuery::parse(query).expect("a query");
            shown(standing.unwrap_or_else(|| {
                self.prepared
                    .work_out(key(query), parsed, &self.registry, 60)
            }))
        }

        /// Body and tag, of a search among all instances.
        fn searched(&self, query: &str) -> (Vec<u8>, String) {
            let query = DiscoveryQuery::parse(query).expect("a query");
            self.registry.read(|registry| {
                let profiles = registry.profiles().map(Arc::as_ref);
                shown(Tagged::json(&search(&query, profiles, 60)))
            })
        }
    }

    fn shown(result: Tagged) -> (Vec<u8>, String) {
        let answer = result.answer(&HeaderMap::new(), None);
        let tag = answer.header(&hyper::header::ETAG).expect("a tag");
        (answer.body.to_vec(), tag.to_owned())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_prepared_answer_is_that_of_a_search_byte_for_byte(
            changes in prop::collection::vec((0_u8..4, 0_u8..6, "[ab]", 0_u8..100), 1..24)
        ) {
            let nrf = Nrf::new();
            for (kind, number, dnn, load) in changes {
                match kind {
                    0 => {
                        nrf.registry.update(|registry| registry.deregister(id(number)));
                    }
                    1 => nrf.register(smf(number, &dnn, load, json!({"nfStatus": "SUSPENDED"}))),
                    _ => nrf.register(smf(number, &dnn, load, json!({}))),
                }
                for query in QUERIES {
                    prop_assert_eq!(nrf.answer(query), nrf.searched(query));
                }
            }
        }
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
    fn what_depends_on_the_name_of_the_requester_is_not_kept() {
        let nrf = Nrf::new();
        nrf.register(smf(1, "a", 0, json!({})));
        nrf.answer(QUERY);
        assert!(nrf.stands(QUERY));
        nrf.register(smf(2, "a", 0, json!({"allowedNfDomains": ["^friend[.]"]})));
        assert!(!nrf.stands(QUERY));
        let finds = |name: &str| {
            let mut query = DiscoveryQuery::parse(QUERY).expect("a query");
            query.requester_fqdns = vec![name.to_owned()];
            let result = nrf.prepared.work_out(key(QUERY), query, &nrf.registry, 60);
            let body = String::from_utf8(shown(result).0).expect("JSON");
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
        assert_eq!(nrf.answer(QUERY), nrf.searched(QUERY));
        assert!(nrf.stands(QUERY));
    }

    #[test]
    fn what_is_large_is_not_kept() {
        let nrf = Nrf::new();
        nrf.register(smf(1, "a", 0, json!({"vendor": "x".repeat(MAX_RESULT)})));
        assert_eq!(nrf.answer(QUERY), nrf.searched(QUERY));
        assert!(!nrf.stands(QUERY));
        nrf.register(smf(1, "a", 0, json!({})));
        nrf.answer(QUERY);
        assert!(nrf.stands(QUERY));
        nrf.register(smf(1, "a", 0, json!({"vendor": "x".repeat(MAX_RESULT)})));
        assert_eq!(nrf.answer(QUERY), nrf.searched(QUERY));
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
