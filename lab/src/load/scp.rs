//! The SCP that a load goes through, also when it has been started again and listens elsewhere.

use std::sync::{Arc, Mutex, PoisonError};

use nf_amf::Amf;
use sbi::indirect::Scp;
use sbi::instance::{CallError, Instance};
use sbi::nf::Running;
use sbi::nnrf::Nrf;

/// Why it is not known where the SCP is.
#[derive(Debug, thiserror::Error)]
pub(super) enum FindScpError {
    /// The NRF does not say.
    #[error("the NRF does not say where the SCP is")]
    Discover(#[from] CallError),
    /// There is none.
    #[error("no SCP is registered")]
    None,
}

/// The SCP of a lab.
pub(super) struct LoadScp {
    nrf: Nrf,
    instance: Arc<Instance>,
    known: Mutex<Arc<Scp>>,
    /// Who holds it asks the NRF; the others do not.
    asking: tokio::sync::Mutex<()>,
}

impl LoadScp {
    /// The one that the NRF names now.
    pub(super) async fn find(running: &Running<Amf>) -> Result<Self, FindScpError> {
        let instance = running.instances.first().ok_or(FindScpError::None)?;
        let (nrf, instance) = (running.nrf.clone(), instance.instance.clone());
        let known = discover(&nrf, &instance).await?;
        Ok(Self {
            nrf,
            instance,
            known: Mutex::new(Arc::new(known)),
            asking: tokio::sync::Mutex::new(()),
        })
    }

    /// Where it was last.
    pub(super) fn known(&self) -> Arc<Scp> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Asks the NRF again, unless somebody does already: nobody was at `unreachable`. If the NRF does not know better, the next who finds
    /// nobody asks again.
    pub(super) async fn look_again(&self, unreachable: &Arc<Scp>) {
        let Ok(_asking) = self.asking.try_lock() else {
            return;
        };
        if !Arc::ptr_eq(&self.known(), unreachable) {
            return;
        }
        match discover(&self.nrf, &self.instance).await {
            Ok(found) => {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                *known = Arc::new(found);
            }
            Err(error) => tracing::debug!(%error, "the SCP is not to be found"),
        }
    }
}

async fn discover(nrf: &Nrf, instance: &Instance) -> Result<Scp, FindScpError> {
    let opened = nrf.open_own(instance).await?;
    let found = Scp::discover(nrf, &opened.connection, instance, None).await;
    found.map_err(CallError::from)?.ok_or(FindScpError::None)
}
