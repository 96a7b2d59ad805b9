//! The choice of a producer among those discovered (TS 29.510 clause 6.1.6.2: priority, capacity, load).
//!
//! ```text
//!  SearchResult ── usable, with address ──> Candidates ── preferred place, lowest priority ── weighted by capacity * (100 - load) ──> one
//! ```
//!
//! Pure: the random number is an argument.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::SocketAddr;

use mtc_tls::peer::ExpectedPeer;

use crate::model::{
    Endpoint, NfInstanceId, NfProfile, NfService, NfType, SearchResult, ServiceName,
};

/// What a profile that says nothing is taken to mean: least preferred, usual capacity, no load.
const DEFAULT_PRIORITY: u16 = u16::MAX;
const DEFAULT_CAPACITY: u16 = 100;
/// A load of everything, in percent.
const FULL_LOAD: u8 = 100;

/// A producer that can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its instance.
    pub id: NfInstanceId,
    /// What it is.
    pub nf_type: NfType,
    /// Where its service is.
    pub endpoint: Endpoint,
    /// Where to connect.
    pub addr: SocketAddr,
    /// The SCP domains that it belongs to; none if it is reached from everywhere.
    pub scp_domains: Vec<String>,
    /// Smaller is preferred: in the wanted place or not, then priority.
    rank: (bool, u16),
    capacity: u16,
    /// In percent.
    load: u8,
}

impl Candidate {
    /// The producer of a service of `profile`, preferred if it is in `locality`; none if the profile does not say where it is.
    pub fn new(profile: &NfProfile, service: &NfService, locality: Option<&str>) -> Option<Self> {
        let endpoint = Endpoint::of(profile, service).ok()?;
        let is_elsewhere = locality.is_some() && profile.locality.as_deref() != locality;
        let priority = service.priority.or(profile.priority);
        Some(Self {
            id: profile.nf_instance_id,
            nf_type: profile.nf_type.clone(),
            addr: endpoint.addr?,
            endpoint,
            scp_domains: profile.scp_domains.clone(),
            rank: (is_elsewhere, priority.unwrap_or(DEFAULT_PRIORITY)),
            // What the service says overrides what its profile says.
            capacity: service
                .capacity
                .or(profile.capacity)
                .unwrap_or(DEFAULT_CAPACITY),
            load: service.load.or(profile.load).unwrap_or(0),
        })
    }

    /// The same with what it says of its load now, in percent, instead of what the NRF knows.
    #[must_use]
    pub fn with_load(self, load: u8) -> Self {
        Self { load, ..self }
    }

    fn weight(&self) -> u64 {
        u64::from(self.capacity) * u64::from(FULL_LOAD.saturating_sub(self.load))
    }

    /// Who must be there.
    pub fn expected(&self) -> ExpectedPeer {
        ExpectedPeer {
            fqdn: self.endpoint.server_name.clone(),
            instance_id: Some(self.id.uuid()),
            nf_type: Some(self.nf_type.as_str().to_owned()),
        }
    }
}

/// The producers to choose from. At least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates(Vec<Candidate>);

impl Candidates {
    /// These; none if there are none.
    pub fn new(candidates: Vec<Candidate>) -> Option<Self> {
        (!candidates.is_empty()).then_some(Self(candidates))
    }

    /// The producers of `service` in the answer of an NRF: instances of `nf_type` that have the service in operation and say
    /// where. None if there are none.
    pub fn of(result: &SearchResult, nf_type: &NfType, service: &ServiceName) -> Option<Self> {
        let instances = result.nf_instances.iter();
        let of_type = instances.filter(|profile| profile.nf_type == *nf_type);
        let usable =
            of_type.filter_map(|profile| Candidate::new(profile, profile.service(service)?, None));
        Self::new(usable.collect())
    }

    /// The same, each as `change` makes it.
    #[must_use]
    pub fn map(&self, change: impl Fn(&Candidate) -> Candidate) -> Self {
        Self(self.0.iter().map(change).collect())
    }

    /// One of the most preferred by `random`: each as often as its weight says, and all equally often if none has any.
    pub fn choose(&self, random: u64) -> &Candidate {
        let Self(candidates) = self;
        let chosen = self.choose_among(random, |_| true);
        chosen.unwrap_or(&candidates[0])
    }

    /// As [`Candidates::choose`], among those that are usable; none if none is.
    pub fn choose_among(
        &self,
        random: u64,
        is_usable: impl Fn(&Candidate) -> bool,
    ) -> Option<&Candidate> {
        let Self(candidates) = self;
        let usable: Vec<&Candidate> = candidates.iter().filter(|one| is_usable(one)).collect();
        let best = usable.iter().map(|candidate| candidate.rank).min()?;
        let equals = || usable.iter().filter(|candidate| candidate.rank == best);
        let total: u64 = equals().map(|candidate| candidate.weight()).sum();
        let mut at = random.checked_rem(total).unwrap_or_default();
        let weighted = equals().find(|candidate| {
            let is_here = at < candidate.weight();
            at = at.saturating_sub(candidate.weight());
            is_here
        });
        let any = || {
            let position = random % equals().count() as u64;
            // The remainder is below a count, so it is one of the positions.
            equals().nth(usize::try_from(position).unwrap_or_default())
        };
        weighted.or_else(any).copied()
    }
}

/// A number that looks random, and is the same each time for the same `number`.
pub fn scramble(number: u64) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Map;

    use super::*;

    fn smf(n: u8, priority: u16, capacity: u16, load: u8) -> NfProfile {
        let mut service = NfService::new(ServiceName::NsmfPdusession);
        service.ip_end_points = vec![SocketAddr::from(([127, 0, 0, n], 7777)).into()];
        let id = uuid::Uuid::from_u128(n.into()).into();
        let mut profile = NfProfile::new(id, NfType::Smf, format!("smf{n}.example.org"));
        profile.priority = Some(priority);
        profile.capacity = Some(capacity);
        profile.load = Some(load);
        profile.nf_services = vec![service];
        profile
    }

    fn candidates(nf_instances: Vec<NfProfile>) -> Option<Candidates> {
        let result = SearchResult {
            validity_period: 60,
            nf_instances,
            other: Map::new(),
        };
        Candidates::of(&result, &NfType::Smf, &ServiceName::NsmfPdusession)
    }

    /// How often each SMF, by the last number of its address, is chosen in `rounds`.
    fn shares(candidates: &Candidates, rounds: u64) -> BTreeMap<String, u64> {
        let mut shares = BTreeMap::new();
        for ue in 0..rounds {
            let chosen = candidates.choose(scramble(ue)).endpoint.server_name.clone();
            *shares.entry(chosen).or_default() += 1;
        }
        shares
    }

    #[test]
    fn only_the_lowest_priority_is_chosen() {
        let candidates = candidates(vec![smf(1, 2, 100, 0), smf(2, 1, 1, 99)]).unwrap();
        assert_eq!(
            shares(&candidates, 100),
            [("smf2.example.org".to_owned(), 100)].into()
        );
    }

    #[test]
    fn equals_share_by_capacity_and_free_load() {
        let candidates = candidates(vec![
            smf(1, 1, 100, 0),
            smf(2, 1, 100, 50),
            smf(3, 1, 50, 100),
        ])
        .unwrap();
        let shares = shares(&candidates, 30_000);
        assert_eq!(shares.get("smf3.example.org"), None);
        let first = shares["smf1.example.org"];
        assert!(
            (19_500..20_500).contains(&first),
            "{first} of 30000, expected two thirds"
        );
    }

    #[test]
    fn what_a_producer_says_of_its_load_itself_counts_instead_of_what_the_nrf_knows() {
        let known = candidates(vec![smf(1, 1, 100, 0), smf(2, 1, 100, 0)]).unwrap();
        let said = known.map(|one| match one.endpoint.server_name.as_str() {
            "smf1.example.org" => one.clone().with_load(100),
            _ => one.clone(),
        });
        assert_eq!(
            shares(&said, 100),
            [("smf2.example.org".to_owned(), 100)].into()
        );
    }

    #[test]
    fn every_unit_of_weight_is_one_remainder() {
        let candidates = candidates(vec![smf(1, 1, 1, 99), smf(2, 1, 2, 99)]).unwrap();
        let chosen: Vec<_> = (0..4)
            .map(|random| candidates.choose(random).addr.ip().to_string())
            .collect();
        assert_eq!(chosen, ["127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.1"]);
    }

    #[test]
    fn without_any_weight_all_are_chosen_equally() {
        let candidates = candidates(vec![smf(1, 1, 0, 0), smf(2, 1, 100, 100)]).unwrap();
        assert_eq!(candidates.choose(0).addr.ip().to_string(), "127.0.0.1");
        assert_eq!(candidates.choose(1).addr.ip().to_string(), "127.0.0.2");
    }

    #[test]
    fn what_the_service_says_overrides_the_profile() {
        let mut preferred = smf(2, 9, 100, 0);
        preferred.nf_services[0].priority = Some(0);
        let candidates = candidates(vec![smf(1, 1, 100, 0), preferred]).unwrap();
        assert_eq!(
            candidates.choose(0).endpoint.server_name,
            "smf2.example.org"
        );
    }

    #[test]
    fn the_next_best_is_chosen_when_the_best_is_not_usable() {
        let candidates = candidates(vec![smf(1, 1, 100, 0), smf(2, 2, 100, 0)]).unwrap();
        let chosen = |usable: fn(&Candidate) -> bool| {
            let chosen = candidates.choose_among(0, usable);
            chosen.map(|candidate| candidate.addr.ip().to_string())
        };
        assert_eq!(chosen(|_| true).as_deref(), Some("127.0.0.1"));
        let not_first = chosen(|candidate| candidate.addr.ip().to_string() != "127.0.0.1");
        assert_eq!(not_first.as_deref(), Some("127.0.0.2"));
        assert_eq!(chosen(|_| false), None);
    }

    #[test]
    fn who_is_in_the_wanted_place_comes_first_whatever_the_priority() {
        let mut near = smf(1, 9, 100, 0);
        near.locality = Some("zone-a".to_owned());
        let far = smf(2, 1, 100, 0);
        let candidate =
            |profile: &NfProfile, place| Candidate::new(profile, &profile.nf_services[0], place);
        let first = |place| {
            let all = [&far, &near].map(|profile| candidate(profile, place).expect("it has one"));
            let candidates = Candidates::new(all.into()).expect("two");
            candidates.choose(0).addr.ip().to_string()
        };
        assert_eq!(first(None), "127.0.0.2");
        assert_eq!(first(Some("zone-a")), "127.0.0.1");
        assert_eq!(first(Some("zone-b")), "127.0.0.2");
    }

    #[test]
    fn what_cannot_be_called_is_no_candidate() {
        let mut an_amf = smf(1, 1, 100, 0);
        an_amf.nf_type = NfType::Amf;
        let mut without_service = smf(2, 1, 100, 0);
        without_service.nf_services.clear();
        let mut without_address = smf(3, 1, 100, 0);
        without_address.nf_services[0].ip_end_points.clear();
        assert_eq!(
            candidates(vec![an_amf, without_service, without_address]),
            None
        );
        assert_eq!(candidates(Vec::new()), None);
    }

    #[test]
    fn the_certificate_must_be_that_of_the_chosen_instance() {
        let candidates = candidates(vec![smf(1, 1, 100, 0)]).unwrap();
        let expected = candidates.choose(0).expected();
        assert_eq!(expected.fqdn, "smf1.example.org");
        assert_eq!(expected.instance_id, Some(uuid::Uuid::from_u128(1)));
        assert_eq!(expected.nf_type.as_deref(), Some("SMF"));
    }
}
