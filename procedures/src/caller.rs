//! One use of a connection to a producer, by a consumer that generates no load itself: an SMF, an AUSF.
//!
//! ```text
//!  exchange ── as the request came that brought this about: directly, or through an SCP (TS 23.501 annex E)
//!     │          producers: where? ──> NRF, if not known and not the SCP's affair
//!     │          sbi::selection: which?
//!     ├─ pool: a connection in the profile of that request, used before or fresh
//!     ├─ the requests
//!     └─ counted under the procedure; the connection is kept or closed
//! ```

use std::sync::Arc;
use std::time::Duration;

use mtc_tls::handshake::HandshakeCost;
use mtc_tls::profile::{ConnectionProfile, Via};
use sbi::client::{ClientError, Connection};
use sbi::header::UserAgent;
use sbi::indirect::Scp;
use sbi::instance::{CallError, Instance, Offer, Opened};
use sbi::ledger::{HopTotals, Procedure};
use sbi::model::{NfInstanceId, NfType, ServiceName};
use sbi::nnrf::{KeptNrf, Nrf};
use sbi::selection::{Candidate, scramble};
use sbi::server::Request;
use sbi::uri::ApiRoot;
use tokio::time::timeout;

use crate::known_scp::{FindScpError, KnownScp};
use crate::pool::{Kept, Pool};
use crate::producers::Producers;
use crate::route::{Destination, Exchange, ResourceError, Route, is_unreachable};

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
    /// It is not known where the SCP is that leads to the producer.
    #[error("no SCP leads to the producer of {service}")]
    Scp {
        /// The service.
        service: ServiceName,
        /// Why.
        source: FindScpError,
    },
    /// There is no connection to the producer, or to the SCP that leads to it.
    #[error("no connection to the producer of {service}")]
    Connect {
        /// The service.
        service: ServiceName,
        /// Why.
        source: CallError,
    },
    /// It does not say where what it made is.
    #[error("the producer of {service} did not say where what it made is")]
    NoLocation {
        /// The service.
        service: ServiceName,
        /// Why.
        source: ResourceError,
    },
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
    agent: Option<UserAgent>,
    scp: KnownScp,
    connections: Pool<Connection>,
}

/// What an exchange is for.
#[derive(Clone, Copy, Debug)]
pub struct Cause<'a> {
    /// The procedure that it is part of.
    pub procedure: Procedure,
    /// How the request came that brought it about.
    pub came: Came,
    /// The subscriber, by whom the producer is chosen: the same one each time, as long as the producers stay the same.
    pub supi: &'a str,
}

/// How a request came: what it brings about goes the same way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// How both ends of its connection authenticated each other; none for a connection that is no consumer's of this project.
    pub profile: Option<ConnectionProfile>,
    /// The SCP that it came through, if it did.
    pub scp: Option<NfInstanceId>,
}

impl Came {
    /// How `request` came.
    pub fn of(request: &Request) -> Self {
        let is_scp = |nf_type: &String| nf_type == NfType::Scp.as_str();
        let identity = request.peer.identity.as_ref();
        let scp = identity.filter(|identity| identity.nf_types.iter().any(is_scp));
        Self {
            profile: request.peer.profile,
            scp: scp.map(|identity| identity.instance_id.into()),
        }
    }

    /// Whether the SCP finds producers too, and not the consumer alone.
    fn is_delegated(self) -> bool {
        self.profile.is_some_and(|profile| profile.via == Via::ScpD)
    }
}

impl Caller {
    /// A consumer that is `instance` and opens a new connection after so many uses of one.
    pub fn new(instance: Arc<Instance>, nrf: Nrf, connection_uses: u32) -> Self {
        Self {
            agent: UserAgent::new(&instance.nf_type, &instance.fqdn).ok(),
            nrf: KeptNrf::new(instance, nrf),
            scp: KnownScp::default(),
            connections: Pool::new(connection_uses),
        }
    }

    /// Does `act` over a connection on the way to one of `producers`, the one at `root` if there is one.
    ///
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// See [`ExchangeError`].
    pub async fn exchange<T>(
        &self,
        producers: &Producers,
        root: Option<&ApiRoot>,
        cause: Cause<'_>,
        act: impl AsyncFnOnce(&Exchange<'_>) -> Result<T, ClientError>,
    ) -> Result<T, ExchangeError> {
        let instance = &self.nrf.instance;
        let route = self.route(producers, root, cause).await?;
        let to = route.destination();
        let offer = instance.offer_after(cause.came.profile);
        let opened = self.connection(producers, cause.came, offer, &to);
        let (kept, cost) = opened.await?;
        let usage = kept.connection.usage();
        // A new connection's handshake is part of its first use.
        let before = cost
            .as_ref()
            .map_or_else(|| usage.now(), |_| Default::default());
        let result = act(&Exchange::new(
            &kept.connection,
            &route,
            self.agent.as_ref(),
        ))
        .await;
        let finished = match result {
            Ok(_) => self.connections.give(offer, to.addr, kept),
            Err(_) => Some(kept.connection),
        };
        if let Some(connection) = finished {
            // A peer that does not close its side in time is left to the kernel.
            let _ = timeout(CLOSE_TIME, connection.close()).await;
        }
        let used = HopTotals::of(usage.now().since(before), cost.as_ref());
        let profile = offer.profile();
        let (ledger, consumer) = (instance.ledger(), &instance.nf_type);
        ledger.record_procedure(profile, cause.procedure, consumer, &to.along, &used);
        if let [NfType::Scp, _] = to.along.as_slice() {
            ledger.record_leg(profile, consumer, &NfType::Scp, &used);
        }
        result.map_err(|source| {
            producers.forget_if(is_unreachable(&source));
            let service = producers.service().clone();
            ExchangeError::Call { service, source }
        })
    }

    /// A connection to there, used before or new, and what the handshake of a new one cost.
    async fn connection(
        &self,
        producers: &Producers,
        came: Came,
        offer: Offer,
        to: &Destination,
    ) -> Result<(Kept<Connection>, Option<HandshakeCost>), ExchangeError> {
        let is_usable = |connection: &Connection| !connection.is_closed();
        if let Some(kept) = self.connections.take(offer, to.addr, is_usable) {
            return Ok((kept, None));
        }
        let instance = &self.nrf.instance;
        let opened = instance.open(to.addr, offer, to.expected.clone()).await;
        let Opened {
            connection, cost, ..
        } = opened.map_err(|source| {
            match came.scp {
                Some(scp) => self.scp.forget(scp),
                None => producers.forget(),
            }
            let service = producers.service().clone();
            ExchangeError::Connect { service, source }
        })?;
        Ok((Kept::new(connection), Some(cost)))
    }

    /// The way to one of `producers`, or to the one at `root`.
    async fn route(
        &self,
        producers: &Producers,
        root: Option<&ApiRoot>,
        cause: Cause<'_>,
    ) -> Result<Route, ExchangeError> {
        let scp = self.scp_of(producers, cause.came).await?;
        match (scp, root) {
            (Some(scp), Some(root)) => {
                let nf_type = producers.nf_type().clone();
                Ok(Route::through(scp, nf_type, root.clone()))
            }
            (Some(scp), None) if cause.came.is_delegated() => {
                let requester = self.nrf.instance.nf_type.clone();
                Ok(Route::delegated(scp, requester, producers.wanted()))
            }
            (scp, root) => {
                let producer = self.producer(producers, root, cause.supi).await?;
                let Some(scp) = scp else {
                    return Ok(Route::direct(producer));
                };
                Route::through_to(scp, &producer).map_err(|source| {
                    let service = producers.service().clone();
                    ExchangeError::Call { service, source }
                })
            }
        }
    }

    /// The SCP through which the producers are asked, if one is.
    async fn scp_of(
        &self,
        producers: &Producers,
        came: Came,
    ) -> Result<Option<Scp>, ExchangeError> {
        let Some(id) = came.scp else {
            return Ok(None);
        };
        let found = self.scp.find(id, &self.nrf).await;
        let found = found.map_err(|source| {
            let service = producers.service().clone();
            ExchangeError::Scp { service, source }
        });
        found.map(Some)
    }

    /// The producer at `root`, if it is still one; otherwise for a subscriber the same one, as long as they stay the same.
    async fn producer(
        &self,
        producers: &Producers,
        root: Option<&ApiRoot>,
        supi: &str,
    ) -> Result<Candidate, ExchangeError> {
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
        let seed = scramble(seed(supi));
        let is_there =
            |one: &Candidate| root.is_some_and(|root| root.authority() == one.endpoint.authority());
        let chosen = candidates.choose_among(seed, is_there);
        Ok(chosen.unwrap_or_else(|| candidates.choose(seed)).clone())
    }
}

/// A number of a subscriber: that of its IMSI, and the same for all that have none.
fn seed(supi: &str) -> u64 {
    let digits = supi.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    digits.parse().unwrap_or_default()
}
