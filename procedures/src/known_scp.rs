//! Where the SCP is that requests come through: what they bring about goes through it too.

use std::sync::{Arc, Mutex, PoisonError};

use sbi::indirect::Scp;
use sbi::instance::CallError;
use sbi::model::NfInstanceId;
use sbi::nnrf::KeptNrf;
use tokio::sync::OnceCell;

/// Why it is not known where an SCP is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindScpError {
    /// The NRF does not say.
    #[error("the NRF did not say where the SCP is")]
    Discover(#[source] CallError),
    /// It is not registered, or does not say where it is.
    #[error("the NRF knows no SCP {0} with an address")]
    Unknown(NfInstanceId),
}

/// The SCP that requests came through last. One is remembered: a lab has one.
#[derive(Debug, Default)]
pub struct KnownScp(Mutex<Arc<OnceCell<Scp>>>);

impl KnownScp {
    /// Where the SCP `id` is. `nrf` is asked once, however many want to know.
    ///
    /// Dropping the future lets another one ask.
    ///
    /// # Errors
    /// See [`FindScpError`]; a failure is not remembered.
    pub async fn find(&self, id: NfInstanceId, nrf: &KeptNrf) -> Result<Scp, FindScpError> {
        let slot = self.with(|slot| {
            if slot.get().is_some_and(|known| known.id != id) {
                *slot = Arc::default();
            }
            slot.clone()
        });
        let discover = || async {
            let connection = nrf.connection().await.map_err(FindScpError::Discover)?;
            let found = Scp::discover(&nrf.nrf, &connection, &nrf.instance, Some(id)).await;
            let found = found.map_err(|error| FindScpError::Discover(error.into()))?;
            found.ok_or(FindScpError::Unknown(id))
        };
        slot.get_or_try_init(discover).await.cloned()
    }

    /// Forgets where the SCP `id` is: it could not be reached there.
    pub fn forget(&self, id: NfInstanceId) {
        self.with(|slot| {
            if slot.get().is_some_and(|known| known.id == id) {
                *slot = Arc::default();
            }
        });
    }

    /// A pointer has no state in between that a panic could leave broken.
    fn with<T>(&self, act: impl FnOnce(&mut Arc<OnceCell<Scp>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
