//! The producers of a service, as the NRF told them, for as long as the answer may be used (TS 29.510 clause 5.3.2.2.2,
//! `validityPeriod`).
//!
//! ```text
//!  candidates ── known and valid? ──> Candidates
//!    └─ no: one asks the NRF, others wait for the same answer
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sbi::model::{NfType, SearchResult, ServiceName};
use sbi::nnrf::Discover;
use sbi::selection::Candidates;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Longest time to use an answer, whatever the NRF says: a producer may have moved without its consumers being told.
const MAX_VALIDITY: Duration = Duration::from_secs(3600);
/// Producers to ask the NRF for.
const MAX_PRODUCERS: usize = 16;

/// The producers of one service, as one consumer knows them.
#[derive(Debug)]
pub struct Producers {
    nf_type: NfType,
    service: ServiceName,
    /// An empty cell is being filled.
    known: Mutex<Arc<OnceCell<Known>>>,
}

/// An answer of the NRF; no candidates if it knows none that can be called.
#[derive(Debug)]
struct Known {
    candidates: Option<Arc<Candidates>>,
    valid_until: Instant,
}

impl Producers {
    /// Nothing is known yet of the producers of `service`, which are of type `nf_type`.
    pub fn new(nf_type: NfType, service: ServiceName) -> Self {
        Self {
            nf_type,
            service,
            known: Mutex::default(),
        }
    }

    /// The service.
    pub const fn service(&self) -> &ServiceName {
        &self.service
    }

    /// Their type.
    pub const fn nf_type(&self) -> &NfType {
        &self.nf_type
    }

    /// What an SCP is to find, if it chooses.
    pub fn wanted(&self) -> Discover<'static> {
        Discover {
            nf_type: self.nf_type.clone(),
            service: self.service.clone(),
            filters: Vec::new(),
        }
    }

    /// The producers to choose from; none if the NRF knows none. `discover` asks it, once, however many want to know; that there are
    /// none is not remembered.
    ///
    /// Dropping the future lets another one ask.
    ///
    /// # Errors
    /// Those of `discover`; they are not remembered.
    pub async fn candidates<E>(
        &self,
        discover: impl AsyncFnOnce(&Discover<'_>) -> Result<SearchResult, E>,
    ) -> Result<Option<Arc<Candidates>>, E> {
        let slot = self.slot(Instant::now());
        let ask = || async {
            let mut wanted = self.wanted();
            wanted.filters.push(("limit", MAX_PRODUCERS.to_string()));
            let result = discover(&wanted).await?;
            let validity = Duration::from_secs(result.validity_period.into()).min(MAX_VALIDITY);
            Ok(Known {
                candidates: Candidates::of(&result, &self.nf_type, &self.service).map(Arc::new),
                valid_until: Instant::now() + validity,
            })
        };
        let candidates = slot.get_or_try_init(ask).await?.candidates.clone();
        if candidates.is_none() {
            self.forget_slot(&slot);
        }
        Ok(candidates)
    }

    /// Has the NRF asked again: one of the producers could not be reached.
    pub fn forget(&self) {
        *self.lock() = Arc::default();
    }

    /// As [`Self::forget`], if `unreachable`.
    pub fn forget_if(&self, unreachable: bool) {
        if unreachable {
            self.forget();
        }
    }

    /// Where the answer is or will be: one that may no longer be used at `now` makes way for an empty slot.
    fn slot(&self, now: Instant) -> Arc<OnceCell<Known>> {
        let mut known = self.lock();
        if known.get().is_some_and(|known| now >= known.valid_until) {
            *known = Arc::default();
        }
        known.clone()
    }

    /// Forgets an answer, unless someone else has another one already.
    fn forget_slot(&self, slot: &Arc<OnceCell<Known>>) {
        let mut known = self.lock();
        if Arc::ptr_eq(&known, slot) {
            *known = Arc::default();
        }
    }

    /// A pointer has no state in between that a panic could leave broken.
    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<OnceCell<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::net::SocketAddr;

    use sbi::model::{NfProfile, NfService};
    use serde_json::Map;

    use super::*;

    fn answer(validity_period: u32, instances: u8) -> SearchResult {
        let profile = |n| {
            let mut service = NfService::new(ServiceName::NudmSdm);
            service.ip_end_points = vec![SocketAddr::from(([127, 0, 0, n], 7777)).into()];
            let id = uuid::Uuid::from_u128(n.into()).into();
            let mut profile = NfProfile::new(id, NfType::Udm, format!("udm{n}.example.org"));
            profile.nf_services = vec![service];
            profile
        };
        SearchResult {
            validity_period,
            nf_instances: (1..=instances).map(profile).collect(),
            other: Map::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_nrf_is_asked_once_while_its_answer_is_valid() {
        let producers = Producers::new(NfType::Udm, ServiceName::NudmSdm);
        let asked = Cell::new(0);
        let find = async || {
            let found = producers.candidates(async |wanted| {
                assert_eq!(wanted.nf_type, NfType::Udm);
                asked.set(asked.get() + 1);
                Ok::<_, Infallible>(answer(60, 1))
            });
            found.await.unwrap().expect("a producer")
        };
        assert_eq!(find().await.choose(0).expected().fqdn, "udm1.example.org");
        find().await;
        assert_eq!(asked.get(), 1);
        tokio::time::advance(Duration::from_secs(60)).await;
        find().await;
        assert_eq!(asked.get(), 2);
        producers.forget();
        find().await;
        assert_eq!(asked.get(), 3);
    }

    #[tokio::test]
    async fn failures_and_empty_answers_are_not_remembered() {
        let producers = Producers::new(NfType::Udm, ServiceName::NudmSdm);
        let failed = producers.candidates(async |_| Err("no NRF")).await;
        assert_eq!(failed.err(), Some("no NRF"));
        let none = producers.candidates(async |_| Ok::<_, &str>(answer(60, 0)));
        assert_eq!(none.await.unwrap(), None);
        let found = producers.candidates(async |_| Ok::<_, &str>(answer(60, 2)));
        assert!(found.await.unwrap().is_some());
    }
}
