//! Where an AMF is: asked at the NRF by `servingNfId`, and remembered for as long as the answer may be used (TS 29.510
//! clause 5.3.2), and the NRF tells nothing new of it (amf_status).
//!
//! ```text
//!  find ── in the cache and valid? ──> ServingAmf
//!    └─ no: one asks, others wait ──> kept connection to the NRF ── target-nf-instance-id ──> cache
//! ```

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mtc_tls::peer::ExpectedPeer;
use procedures::known_scp::{FindScpError, KnownScp};
use sbi::client::{ClientError, Connection};
use sbi::indirect::Scp;
use sbi::instance::{CallError, Instance};
use sbi::model::{
    Endpoint, EndpointError, NfInstanceId, NfProfile, NfType, SearchResult, ServiceName,
};
use sbi::nnrf::{Discover, KeptNrf, Nrf};
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Most AMFs to remember, several times those of a large network.
const MAX_AMFS: usize = 1024;
/// Longest time to remember one, whatever the NRF says: it may have moved without this SMF being told.
const MAX_VALIDITY: Duration = Duration::from_secs(3600);

/// An AMF that can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServingAmf {
    /// Its instance.
    pub id: NfInstanceId,
    /// Where its service namf-comm is.
    pub endpoint: Endpoint,
    /// Where to connect.
    pub addr: SocketAddr,
}

impl ServingAmf {
    /// Who must be there.
    pub fn expected(&self) -> ExpectedPeer {
        ExpectedPeer {
            fqdn: self.endpoint.server_name.clone(),
            instance_id: Some(self.id.uuid()),
            nf_type: Some(NfType::Amf.as_str().to_owned()),
        }
    }
}

/// Why it is not known where an AMF is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// There is no connection to the NRF.
    #[error("no connection to the NRF")]
    Connect(#[source] CallError),
    /// The NRF does not answer, or refuses.
    #[error("the NRF did not say where the AMF is")]
    Discover(#[source] ClientError),
    /// It is not registered, or not discoverable.
    #[error("the NRF knows no AMF {0} with namf-comm")]
    Unknown(NfInstanceId),
    /// It is not known where the SCP is that a request came through.
    #[error(transparent)]
    Scp(#[from] FindScpError),
    /// Its profile does not say where it is.
    #[error("the profile of AMF {id} does not say where it is")]
    Endpoint {
        /// The AMF.
        id: NfInstanceId,
        /// What is missing.
        source: EndpointError,
    },
    /// Its profile has a name but no address, and there is no name service.
    #[error("the profile of AMF {0} has no address")]
    NoAddress(NfInstanceId),
}

/// Finds AMFs on behalf of an SMF instance.
pub struct ServingAmfs {
    nrf: KeptNrf,
    cache: Mutex<Cache>,
    scp: KnownScp,
}

impl ServingAmfs {
    /// Nothing is known yet; `nrf` will be asked as `instance`.
    pub fn new(instance: Arc<Instance>, nrf: Nrf) -> Self {
        Self {
            nrf: KeptNrf::new(instance, nrf),
            cache: Mutex::default(),
            scp: KnownScp::default(),
        }
    }

    /// Where the AMF `id` is. The NRF is asked once, however many want to know.
    ///
    /// Dropping the future lets another one ask.
    ///
    /// # Errors
    /// See [`FindError`]; a failure is not remembered.
    pub async fn find(&self, id: NfInstanceId) -> Result<ServingAmf, FindError> {
        let slot = with(&self.cache, |cache| cache.slot(id, Instant::now()));
        let found = slot.get_or_try_init(|| self.discover(id)).await?;
        Ok(found.amf.clone())
    }

    /// Forgets where the AMF `id` is: it could not be reached there.
    pub fn forget(&self, id: NfInstanceId) {
        with(&self.cache, |cache| cache.slots.remove(&id));
    }

    /// Forgets all: something may have been missed.
    pub fn forget_all(&self) {
        with(&self.cache, |cache| cache.slots.clear());
    }

    /// Where the SCP `id` is.
    ///
    /// # Errors
    /// See [`FindError`]; a failure is not remembered.
    pub async fn scp(&self, id: NfInstanceId) -> Result<Scp, FindError> {
        Ok(self.scp.find(id, &self.nrf).await?)
    }

    /// Forgets where the SCP `id` is: it could not be reached there.
    pub fn forget_scp(&self, id: NfInstanceId) {
        self.scp.forget(id);
    }

    /// The profile of the AMF `id`, whether or not it may be discovered; none if it is not registered. Never from the cache.
    ///
    /// # Errors
    /// See [`FindError`].
    pub async fn registered(&self, id: NfInstanceId) -> Result<Option<NfProfile>, FindError> {
        let connection = self.connection().await?;
        let retrieved = self.nrf.nrf.retrieve(&connection, id).await;
        retrieved.map_err(FindError::Discover)
    }

    async fn discover(&self, id: NfInstanceId) -> Result<Found, FindError> {
        let wanted = Discover {
            nf_type: NfType::Amf,
            service: ServiceName::NamfComm,
            filters: vec![("target-nf-instance-id", id.to_string())],
        };
        let connection = self.connection().await?;
        let KeptNrf { instance, nrf, .. } = &self.nrf;
        let result = nrf.discover(&connection, instance, &wanted);
        let result = result.await.map_err(FindError::Discover)?;
        Found::read(id, &result, Instant::now())
    }

    /// The kept connection, or a new one to keep.
    ///
    /// # Errors
    /// [`FindError::Connect`].
    pub async fn connection(&self) -> Result<Arc<Connection>, FindError> {
        self.nrf.connection().await.map_err(FindError::Connect)
    }
}

/// What was held under the lock stays consistent if a holder panicked: every change is a single insert or remove.
fn with<T, R>(shared: &Mutex<T>, work: impl FnOnce(&mut T) -> R) -> R {
    work(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
}

/// An answer of the NRF.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    amf: ServingAmf,
    valid_until: Instant,
}

impl Found {
    fn read(id: NfInstanceId, result: &SearchResult, now: Instant) -> Result<Self, FindError> {
        let mut instances = result.nf_instances.iter();
        let profile = instances
            .find(|profile| profile.nf_instance_id == id && profile.nf_type == NfType::Amf)
            .ok_or(FindError::Unknown(id))?;
        let service = profile
            .service(&ServiceName::NamfComm)
            .ok_or(FindError::Unknown(id))?;
        let endpoint =
            Endpoint::of(profile, service).map_err(|source| FindError::Endpoint { id, source })?;
        let addr = endpoint.addr.ok_or(FindError::NoAddress(id))?;
        let validity = Duration::from_secs(result.validity_period.into()).min(MAX_VALIDITY);
        Ok(Self {
            amf: ServingAmf { id, endpoint, addr },
            valid_until: now + validity,
        })
    }
}

/// Answers by AMF: an empty slot is being asked for.
#[derive(Default)]
struct Cache {
    slots: HashMap<NfInstanceId, Arc<OnceCell<Found>>>,
}

impl Cache {
    /// Where the answer for `id` is or will be: an answer that may no longer be used at `now` makes way for an empty slot.
    fn slot(&mut self, id: NfInstanceId, now: Instant) -> Arc<OnceCell<Found>> {
        let is_usable =
            |slot: &OnceCell<Found>| slot.get().is_none_or(|found| now < found.valid_until);
        if let Some(slot) = self.slots.get(&id).filter(|slot| is_usable(slot)) {
            return slot.clone();
        }
        if self.slots.len() >= MAX_AMFS {
            self.slots.retain(|_, slot| is_usable(slot));
        }
        if self.slots.len() >= MAX_AMFS
            && let Some(&any) = self.slots.keys().next()
        {
            self.slots.remove(&any);
        }
        let slot = Arc::new(OnceCell::new());
        self.slots.insert(id, slot.clone());
        slot
    }
}

#[cfg(test)]
mod tests {
    use sbi::model::NfService;
    use serde_json::Map;
    use uuid::Uuid;

    use super::*;

    fn amf(n: u128) -> NfInstanceId {
        Uuid::from_u128(n).into()
    }

    fn profile(id: NfInstanceId) -> NfProfile {
        let mut service = NfService::new(ServiceName::NamfComm);
        service.ip_end_points = vec![SocketAddr::from(([127, 0, 0, 11], 7777)).into()];
        let mut profile = NfProfile::new(id, NfType::Amf, "amf1.example.org");
        profile.nf_services = vec![service];
        profile
    }

    fn result(validity_period: u32, nf_instances: Vec<NfProfile>) -> SearchResult {
        SearchResult {
            validity_period,
            nf_instances,
            other: Map::new(),
        }
    }

    fn found(n: u128, now: Instant) -> Found {
        Found::read(amf(n), &result(60, vec![profile(amf(n))]), now).expect("a usable profile")
    }

    #[tokio::test]
    async fn the_profile_says_where_the_amf_is_and_for_how_long() {
        let now = Instant::now();
        let Found {
            amf: found,
            valid_until,
        } = found(1, now);
        assert_eq!(found.addr, SocketAddr::from(([127, 0, 0, 11], 7777)));
        assert_eq!(found.endpoint.authority(), "amf1.example.org:7777");
        assert_eq!(found.expected().instance_id, Some(amf(1).uuid()));
        assert_eq!(valid_until, now + Duration::from_secs(60));
    }

    #[tokio::test]
    async fn no_other_instance_is_taken_for_the_amf() {
        let now = Instant::now();
        let mut an_smf = profile(amf(1));
        an_smf.nf_type = NfType::Smf;
        let mut without_service = profile(amf(1));
        without_service.nf_services.clear();
        for other in [profile(amf(2)), an_smf, without_service] {
            let refused = Found::read(amf(1), &result(60, vec![other]), now);
            assert!(matches!(refused, Err(FindError::Unknown(id)) if id == amf(1)));
        }
        let mut without_address = profile(amf(1));
        without_address.nf_services[0].ip_end_points.clear();
        let refused = Found::read(amf(1), &result(60, vec![without_address]), now);
        assert!(matches!(refused, Err(FindError::NoAddress(_))));
    }

    #[tokio::test]
    async fn an_answer_is_used_until_its_validity_ends() {
        let now = Instant::now();
        let mut cache = Cache::default();
        cache.slot(amf(1), now).set(found(1, now)).unwrap();
        let at = |seconds| now + Duration::from_secs(seconds);
        assert!(cache.slot(amf(1), at(59)).get().is_some());
        assert!(cache.slot(amf(1), at(60)).get().is_none());
    }

    #[tokio::test]
    async fn those_who_ask_at_the_same_time_share_a_slot() {
        let now = Instant::now();
        let mut cache = Cache::default();
        let (first, second) = (cache.slot(amf(1), now), cache.slot(amf(1), now));
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[tokio::test]
    async fn the_cache_is_bounded() {
        let now = Instant::now();
        let mut cache = Cache::default();
        for n in 0..2 * MAX_AMFS as u128 {
            cache.slot(amf(n), now).set(found(n, now)).unwrap();
        }
        assert_eq!(cache.slots.len(), MAX_AMFS);
        cache.slot(amf(u128::MAX), now + MAX_VALIDITY);
        assert_eq!(cache.slots.len(), 1);
    }
}
