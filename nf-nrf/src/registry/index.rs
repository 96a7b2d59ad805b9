//! Which instances a query has to look at: lists of those that have what a query may ask for.
//!
//! ```text
//!   SMF ─┬─ all                               10,002
//!        ├─ with the service nsmf-pdusession  10,000, and    2 that have too many to be listed
//!        └─ in the slice 1-010203                  2, and    1 that serves any   <── the fewest: these are looked at
//! ```
//!
//! An instance that fits a query is in each list that the query is about, so one of them is enough to look at; whether those in it fit,
//! the query has still to judge. Lists tell of what never changes with a heartbeat.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use sbi::model::{ExtSnssai, NfInstanceId, NfProfile, NfType, ServiceName, Snssai};

/// Most services, and most slices, by which an instance is listed. One that has more is among those that have any, so that a profile
/// full of them takes no more memory here than another.
const MAX_LISTED: usize = 16;

/// What an instance must have, and may have to be more.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its kind.
    pub nf_type: &'a NfType,
    /// Instances of which it is one; none = any.
    pub ids: &'a [NfInstanceId],
    /// Services of which it has one, in operation or not; none = any.
    pub services: &'a [ServiceName],
    /// Slices of which it serves one; none = any.
    pub slices: &'a [Snssai],
}

/// The lists of all instances.
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<NfType, Lists>);

/// The lists of one kind of instance.
#[derive(Debug, Default)]
struct Lists {
    all: BTreeSet<NfInstanceId>,
    services: By<ServiceName>,
    slices: By<u32>,
}

/// Lists by something of which an instance has some, or any.
#[derive(Debug)]
struct By<K> {
    lists: HashMap<K, BTreeSet<NfInstanceId>>,
    any: BTreeSet<NfInstanceId>,
}

/// In which lists an instance is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    nf_type: NfType,
    services: Has<ServiceName>,
    slices: Has<u32>,
}

#[derive(Clone, Debug, PartialEq)]
enum Has<K> {
    /// No two are the same.
    These(Vec<K>),
    Any,
}

impl Index {
    pub(super) fn put(&mut self, id: NfInstanceId, entry: Entry) {
        let lists = self.0.entry(entry.nf_type).or_default();
        lists.all.insert(id);
        lists.services.put(id, entry.services);
        lists.slices.put(id, entry.slices);
    }

    /// Takes out what was put in with the same entry.
    pub(super) fn remove(&mut self, id: NfInstanceId, entry: &Entry) {
        let Some(lists) = self.0.get_mut(&entry.nf_type) else {
            return;
        };
        lists.all.remove(&id);
        lists.services.remove(id, &entry.services);
        lists.slices.remove(id, &entry.slices);
        if lists.all.is_empty() {
            self.0.remove(&entry.nf_type);
        }
    }

    /// The instances of `nf_type`; none if there are none.
    pub(super) fn of(&self, nf_type: &NfType) -> Option<&BTreeSet<NfInstanceId>> {
        self.0.get(nf_type).map(|lists| &lists.all)
    }

    /// How many instances there are of each type.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&NfType, usize)> {
        self.0
            .iter()
            .map(|(nf_type, lists)| (nf_type, lists.all.len()))
    }

    /// The instances to look at for `wanted`, whatever its ids; one may be told more than once.
    pub(super) fn fewest(&self, wanted: &Wanted<'_>) -> impl Iterator<Item = NfInstanceId> {
        let lists = self.0.get(wanted.nf_type);
        let mut fewest: Vec<_> = lists.map(|lists| &lists.all).into_iter().collect();
        if let Some(Lists {
            services, slices, ..
        }) = lists
        {
            let services = services.having(wanted.services.iter().cloned());
            let slices = slices.having(wanted.slices.iter().map(Snssai::number));
            for lists in [services, slices].into_iter().flatten() {
                if count(&lists) < count(&fewest) {
                    fewest = lists;
                }
            }
        }
        fewest.into_iter().flatten().copied()
    }
}

fn count(lists: &[&BTreeSet<NfInstanceId>]) -> usize {
    lists.iter().map(|list| list.len()).sum()
}

impl<K: Eq + Hash> By<K> {
    fn put(&mut self, id: NfInstanceId, has: Has<K>) {
        match has {
            Has::Any => {
                self.any.insert(id);
            }
            Has::These(keys) => {
                for key in keys {
                    self.lists.entry(key).or_default().insert(id);
                }
            }
        }
    }

    fn remove(&mut self, id: NfInstanceId, has: &Has<K>) {
        let Has::These(keys) = has else {
            self.any.remove(&id);
            return;
        };
        for key in keys {
            let Some(list) = self.lists.get_mut(key) else {
                continue;
            };
            list.remove(&id);
            if list.is_empty() {
                self.lists.remove(key);
            }
        }
    }

    /// The lists that have each instance with one of `wanted`; none if nothing is wanted.
    fn having(&self, wanted: impl Iterator<Item = K>) -> Option<Vec<&BTreeSet<NfInstanceId>>> {
        let mut wanted = wanted.peekable();
        wanted.peek()?;
        let lists = wanted.filter_map(|key| self.lists.get(&key));
        Some(lists.chain([&self.any]).collect())
    }
}

impl<K> Default for By<K> {
    fn default() -> Self {
        Self {
            lists: HashMap::new(),
            any: BTreeSet::new(),
        }
    }
}

impl Entry {
    pub(super) fn of(profile: &NfProfile) -> Self {
        let services = profile.services().map(|service| &service.service_name);
        Self {
            nf_type: profile.nf_type.clone(),
            services: Has::of(services.map(|name| Some(name.clone()))),
            slices: slices(profile),
        }
    }
}

/// The slices outside which an instance is never found. What it serves as an SMF narrows them further, and counts where it says nothing
/// else.
fn slices(profile: &NfProfile) -> Has<u32> {
    if !profile.s_nssais.is_empty() {
        return Has::of(profile.s_nssais.iter().map(number));
    }
    let of_smf = profile
        .smf_infos()
        .flat_map(|info| &info.s_nssai_smf_info_list);
    let mut of_smf = of_smf.map(|slice| number(&slice.s_nssai)).peekable();
    if of_smf.peek().is_none() {
        return Has::Any;
    }
    Has::of(of_smf)
}

/// The number of the one slice that this is; none if it is several.
fn number(slices: &ExtSnssai) -> Option<u32> {
    let is_one = slices.sd_ranges.is_empty() && slices.wildcard_sd != Some(true);
    is_one.then(|| slices.snssai.number())
}

impl<K: PartialEq> Has<K> {
    /// None of `keys` stands for any.
    fn of(keys: impl Iterator<Item = Option<K>>) -> Self {
        let mut these = Vec::new();
        for key in keys {
            match key {
                Some(key) if these.contains(&key) => {}
                Some(key) if these.len() < MAX_LISTED => these.push(key),
                _ => return Self::Any,
            }
        }
        Self::These(these)
    }
}

#[cfg(test)]
mod tests {
    use sbi::model::Document;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> NfInstanceId {
        Uuid::from_u128(number).into()
    }

    fn smf(number: u128, services: &[&str], slices: Value) -> NfProfile {
        let services: serde_json::Map<_, _> = services
            .iter()
            .map(|name| {
                let service = json!({"serviceInstanceId": name, "serviceName": name, "scheme": "https", "nfServiceStatus": "REGISTERED",
                    "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.0.0"}]});
                ((*name).to_owned(), service)
            })
            .collect();
        let mut profile = json!({"nfInstanceId": id(number), "nfType": "SMF", "nfStatus": "REGISTERED", "fqdn": "smf.example.org"});
        if !services.is_empty() {
            profile["nfServiceList"] = services.into();
        }
        if !slices.is_null() {
            profile["sNssais"] = slices;
        }
        NfProfile::from_value(profile).expect("a valid profile")
    }

    fn slice(sd: &str) -> Snssai {
        Snssai::new(1, Some(sd)).expect("a slice")
    }

    impl Index {
        fn with(profiles: &[NfProfile]) -> Self {
            let mut index = Self::default();
            for profile in profiles {
                index.put(profile.nf_instance_id, Entry::of(profile));
            }
            index
        }

        /// Numbers of the instances to look at, in order.
        fn told(&self, services: &[&str], slices: &[Snssai]) -> Vec<u128> {
            let services: Vec<_> = services
                .iter()
                .map(|&name| ServiceName::from(name))
                .collect();
            let wanted = Wanted {
                nf_type: &NfType::Smf,
                ids: &[],
                services: &services,
                slices,
            };
            let fewest = self.fewest(&wanted);
            let mut numbers: Vec<_> = fewest.map(|id| id.uuid().as_u128()).collect();
            numbers.sort_unstable();
            numbers
        }
    }

    #[test]
    fn the_rarest_of_what_is_wanted_decides() {
        let of_slice = |sd| json!([{"sst": 1, "sd": sd}]);
        let index = Index::with(&[
            smf(1, &["a"], of_slice("000001")),
            smf(2, &["a"], of_slice("000002")),
            smf(3, &["a", "b"], of_slice("000002")),
            smf(4, &[], of_slice("000002")),
        ]);
        assert_eq!(index.told(&[], &[]), [1, 2, 3, 4]);
        assert_eq!(index.told(&["a"], &[]), [1, 2, 3]);
        assert_eq!(index.told(&["b"], &[slice("000002")]), [3]);
        assert_eq!(index.told(&["a"], &[slice("000001")]), [1]);
        assert!(index.told(&["c"], &[]).is_empty());
        let udm = Wanted {
            nf_type: &NfType::Udm,
            ids: &[],
            services: &[],
            slices: &[],
        };
        assert_eq!(index.fewest(&udm).count(), 0);
    }

    #[test]
    fn who_serves_any_slice_or_has_too_many_services_is_always_looked_at() {
        let names: Vec<_> = (0..=MAX_LISTED).map(|number| number.to_string()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let index = Index::with(&[
            smf(1, &["a"], Value::Null),
            smf(
                2,
                &["a"],
                json!([{"sst": 1, "sd": "000001", "sdRanges": [{"start": "000002", "end": "000009"}]}]),
            ),
            smf(3, &["a"], json!([{"sst": 1, "wildcardSd": true}])),
            smf(4, &names, json!([{"sst": 1}])),
        ]);
        assert_eq!(index.told(&[], &[slice("000007")]), [1, 2, 3]);
        assert_eq!(index.told(&["3"], &[]), [4]);
        // Without an SD is the same slice as with all ones.
        assert_eq!(index.told(&[], &[slice("ffffff")]), [1, 2, 3, 4]);
    }

    #[test]
    fn what_is_taken_out_leaves_nothing_behind() {
        let profiles = [
            smf(1, &["a"], json!([{"sst": 1}])),
            smf(2, &["a", "b"], Value::Null),
        ];
        let mut index = Index::with(&profiles);
        index.remove(id(2), &Entry::of(&profiles[1]));
        assert_eq!(index.told(&["a"], &[]), [1]);
        assert_eq!(index.0[&NfType::Smf].services.lists.len(), 1);
        index.remove(id(1), &Entry::of(&profiles[0]));
        assert!(index.0.is_empty());
    }
}
