//! One use of a connection to a producer, by a consumer that generates no load itself: an SMF, an AUSF.
//!
//! ```text
//!  exchange ── producers: where? ──> NRF, if not known
//!     │          sbi::selection: which?
//!     ├─ pool: a connection in the profile of the request that brought this about, used before or fresh
//!     ├─ the requests
//!     └─ counted under the procedure; the connection is kept or closed
//! ```

use std::sync::Arc;
use std::time::Duration;

use mtc_tls::profile::ConnectionProfile;
use sbi::client::{ClientError, Connection};
use sbi::instance::{CallError, Instance, Opened};
use sbi::ledger::{HopTotals, Procedure};
use sbi::model::{Endpoint, ServiceName};
use sbi::nnrf::{KeptNrf, Nrf};
use sbi::selection::scramble;
use tokio::time::timeout;

use crate::pool::{Kept, Pool};
use crate::producers::Producers;

/// How long a producer may take for a request.
pub const ANSWER_TIME: Duration = Duration::from_secs(5);
/// How long a goodbye may take.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// Why a producer did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The NRF did not say who produces the service.
    #[error("cannot discover {service}")]
    Discover {
        /// The service.
        service: ServiceName,
        /// Why.
        source: CallError,
    },
    /// Nobody does.
    #[error("the NRF knows no producer of {0} that can be called")]
    NoProducer(ServiceName),
    /// There is no connection to the producer.
    #[error("no connection to the producer of {service}")]
    Connect {
        /// The service.
        service: ServiceName,
        /// Why.
        source: CallError,
    },
    /// It does not say where what it made is.
    #[error("the producer of {0} did not say where what it made is")]
    NoLocation(ServiceName),
    /// It refused, or did not answer.
    #[error("the producer of {service} did not answer as it should")]
    Call {
        /// The service.
        service: ServiceName,
        /// What it did.
        source: ClientError,
    },
}

/// A consumer, with its connections.
pub struct Caller {
    nrf: KeptNrf,
    connections: Pool<Connection>,
}

/// What an exchange is for.
#[derive(Clone, Copy, Debug)]
pub struct Cause<'a> {
    /// The procedure that it is part of.
    pub procedure: Procedure,
    /// How both ends authenticate each other: as in the request that brought it about.
    pub profile: Option<ConnectionProfile>,
    /// The subscriber, by whom the producer is chosen: the same one each time, as long as the producers stay the same.
    pub supi: &'a str,
}

impl Caller {
    /// A consumer that is `instance` and opens a new connection after so many uses of one.
    pub fn new(instance: Arc<Instance>, nrf: Nrf, connection_uses: u32) -> Self {
        Self {
            nrf: KeptNrf::new(instance, nrf),
            connections: Pool::new(connection_uses),
        }
    }

    /// Does `act` over a connection to one of `producers`.
    ///
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// See [`ExchangeError`].
    pub async fn exchange<T>(
        &self,
        producers: &Producers,
        cause: Cause<'_>,
        act: impl AsyncFnOnce(&Connection, &Endpoint) -> Result<T, ClientError>,
    ) -> Result<T, ExchangeError> {
        let KeptNrf { instance, nrf, .. } = &self.nrf;
        let service = producers.service();
        let candidates = producers.candidates(async |wanted| {
            let connection = self.nrf.connection().await?;
            Ok(nrf.discover(&connection, instance, wanted).await?)
        });
        let candidates = candidates
            .await
            .map_err(|source| ExchangeError::Discover {
                service: service.clone(),
                source,
            })?
            .ok_or_else(|| ExchangeError::NoProducer(service.clone()))?;
        let chosen = candidates.choose(scramble(seed(cause.supi)));
        let profile = cause.profile.unwrap_or_else(|| instance.own_profile());
        let is_usable = |connection: &Connection| !connection.is_closed();
        let (kept, cost) = match self.connections.take(profile, chosen.addr, is_usable) {
            Some(kept) => (kept, None),
            None => {
                let opened = instance.open(chosen.addr, profile, chosen.expected());
                let Opened {
                    connection, cost, ..
                } = opened.await.map_err(|source| {
                    producers.forget();
                    ExchangeError::Connect {
                        service: service.clone(),
                        source,
                    }
                })?;
                (Kept::new(connection), Some(cost))
            }
        };
        let usage = kept.connection.usage();
        // A new connection's handshake is part of its first use.
        let before = cost
            .as_ref()
            .map_or_else(|| usage.now(), |_| Default::default());
        let result = act(&kept.connection, &chosen.endpoint).await;
        let finished = match result {
            Ok(_) => self.connections.give(profile, chosen.addr, kept),
            Err(_) => Some(kept.connection),
        };
        if let Some(connection) = finished {
            // A peer that does not close its side in time is left to the kernel.
            let _ = timeout(CLOSE_TIME, connection.close()).await;
        }
        let used = HopTotals::of(usage.now().since(before), cost.as_ref());
        instance.ledger().record_procedure(
            profile,
            cause.procedure,
            &instance.nf_type,
            &chosen.nf_type,
            &used,
        );
        result.map_err(|source| ExchangeError::Call {
            service: service.clone(),
            source,
        })
    }
}

/// A number of a subscriber: that of its IMSI, and the same for all that have none.
fn seed(supi: &str) -> u64 {
    let digits = supi.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    digits.parse().unwrap_or_default()
}
