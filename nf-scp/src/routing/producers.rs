//! Connections to producers: each carries the requests of all consumers that came in the same way.
//!
//! ```text
//!  send ── a lane with room? ──> its connection                     up to STREAMS requests at a time on each
//!    └─ no: a new lane, up to LANES ── mutual TLS ──> connection    in the profile of the consumer's own connection
//! ```
//!
//! The SCP's requests are not the consumer's: whoever it is, the producer sees the SCP's certificate (TS 33.501 clause 13.1).

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mtc_tls::peer::ExpectedPeer;
use mtc_tls::profile::ConnectionProfile;
use sbi::client::{ClientError, Connection, Request, Used};
use sbi::instance::{CallError, Instance, Opened};
use sbi::ledger::HopTotals;
use sbi::model::NfType;
use sbi::response::Response;
use sbi::selection::Candidate;
use sbi::server::MAX_BODY;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::circuit::Circuit;
use super::metrics::RoutingMetrics;

/// Requests in progress on one connection: half of what a server here takes, so that none is ever refused.
const STREAMS: usize = 128;
/// Connections to one producer in one profile. More requests than all of them carry find the producer congested.
const LANES: usize = 4;
/// Connections of all.
const MAX_LANES: usize = 1024;
/// Circuits to remember, those of producers that have failed.
const MAX_CIRCUITS: usize = 1024;
/// A producer that does not answer within less is not to be blamed.
const FAIR_TIME: Duration = Duration::from_secs(1);

/// Who a request goes to.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    /// Where to connect.
    pub(super) addr: SocketAddr,
    /// Who must be there.
    pub(super) expected: ExpectedPeer,
    /// `host:port` for `:authority`.
    pub(super) authority: String,
}

impl From<&Candidate> for Destination {
    fn from(candidate: &Candidate) -> Self {
        Self {
            addr: candidate.addr,
            expected: candidate.expected(),
            authority: candidate.endpoint.authority(),
        }
    }
}

/// Why a producer did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// It has as many requests of this SCP as it may.
    #[error("the producer has as many requests in progress as it may")]
    Full,
    /// There is no connection, or no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// There was no connection before the consumer's time was up.
    #[error("no connection in time")]
    Late,
}

impl SendError {
    /// Whether the producer has certainly not begun with the request.
    pub(super) fn is_unprocessed(&self) -> bool {
        match self {
            Self::Full | Self::Late | Self::Call(CallError::Handshake(_)) => true,
            Self::Call(CallError::Client(error)) => error.is_unprocessed(),
            Self::Call(_) => false,
        }
    }
}

/// One peer in one profile. What fails with one is not laid to another's charge: a consumer chooses its profile, and who is registered
/// at an address need not be there.
type Key = (ConnectionProfile, SocketAddr, Option<Uuid>);

/// The producers that this SCP sends to.
pub(super) struct Producers {
    instance: Arc<Instance>,
    lanes: Mutex<BTreeMap<Key, Vec<Arc<Lane>>>>,
    circuits: Mutex<HashMap<Key, Circuit>>,
    metrics: RoutingMetrics,
}

/// A connection, or what becomes one.
#[derive(Default)]
struct Lane {
    connection: OnceCell<Connection>,
    in_progress: AtomicUsize,
}

impl Lane {
    fn is_closed(&self) -> bool {
        self.connection.get().is_some_and(Connection::is_closed)
    }

    fn is_idle(&self) -> bool {
        self.in_progress.load(Ordering::Relaxed) == 0
    }
}

/// A place on a lane, for one request.
struct Place(Arc<Lane>);

impl Place {
    fn on(lane: &Arc<Lane>) -> Self {
        lane.in_progress.fetch_add(1, Ordering::Relaxed);
        Self(lane.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Producers {
    pub(super) fn new(instance: Arc<Instance>, metrics: RoutingMetrics) -> Self {
        Self {
            instance,
            lanes: Mutex::default(),
            circuits: Mutex::default(),
            metrics,
        }
    }

    /// Whether a request may go to `producer` in `profile` now: it has not failed all the time.
    pub(super) fn admits(&self, profile: ConnectionProfile, producer: &Candidate) -> bool {
        let circuits = lock(&self.circuits);
        let circuit = circuits.get(&(profile, producer.addr, Some(producer.id.uuid())));
        circuit.is_none_or(|circuit| circuit.admits(Instant::now()))
    }

    /// Sends `request` over a connection in `profile`, which must answer before `deadline`.
    ///
    /// # Errors
    /// See [`SendError`].
    pub(super) async fn send(
        &self,
        to: &Destination,
        profile: ConnectionProfile,
        request: Request,
        deadline: Instant,
    ) -> Result<Response, SendError> {
        let key = (profile, to.addr, to.expected.instance_id);
        if let Some(circuit) = lock(&self.circuits).get_mut(&key) {
            circuit.begin(Instant::now());
        }
        let begun = Instant::now();
        let sent = self.send_once(to, profile, request.clone(), deadline).await;
        let answered = match sent {
            // The kept connection had ended, which says nothing of the producer.
            Err((true, error)) if error.is_unprocessed() => {
                let again = self.send_once(to, profile, request, deadline).await;
                again.map_err(|(_, error)| error)
            }
            sent => sent.map_err(|(_, error)| error),
        };
        self.judge(key, &answered, begun);
        answered
    }

    /// Sends once. With an error it says whether the connection had been there before.
    async fn send_once(
        &self,
        to: &Destination,
        profile: ConnectionProfile,
        request: Request,
        deadline: Instant,
    ) -> Result<Response, (bool, SendError)> {
        let key = (profile, to.addr, to.expected.instance_id);
        let place = self.place(key).ok_or((false, SendError::Full))?;
        let lane = &place.0;
        let was_open = lane.connection.initialized();
        let mut opened = None;
        let open = async || {
            let opening = self.instance.open(to.addr, profile, to.expected.clone());
            let Opened {
                connection, cost, ..
            } = opening.await?;
            opened = Some(cost);
            // A routed answer is held whole, as a request is. A request is as good as its consumer's token: the SCP's own
            // would permit what the consumer may not.
            Ok::<_, CallError>(connection.bounded(MAX_BODY).authorized_by(None))
        };
        let connection = timeout_at(deadline, lane.connection.get_or_try_init(open)).await;
        let connection = match connection {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err((was_open, error.into())),
            Err(_) => return Err((was_open, SendError::Late)),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let sent_bytes = request.body.len();
        let answered = connection.send(request, left).await;
        let answer_bytes = answered.as_ref().map_or(0, |answer| answer.body.len());
        // Requests share the connection, so what is neither handshake nor body is nobody's.
        let used = Used {
            requests: 1,
            body_bytes: (sent_bytes + answer_bytes) as u64,
            wire_bytes: 0,
        };
        let used = HopTotals::of(used, opened.as_ref());
        let producer = NfType::from(to.expected.nf_type.as_deref().unwrap_or_default());
        let (ledger, own_type) = (self.instance.ledger(), &self.instance.nf_type);
        ledger.record_leg(profile, own_type, &producer, &used);
        answered.map_err(|error| (was_open, CallError::from(error).into()))
    }

    /// A place on a lane that has one, or on a new lane; none if there may be no more.
    fn place(&self, key: Key) -> Option<Place> {
        let mut lanes = lock(&self.lanes);
        let own = lanes.entry(key).or_default();
        own.retain(|lane| !lane.is_closed());
        let mut with_room = own
            .iter()
            .filter(|lane| lane.in_progress.load(Ordering::Relaxed) < STREAMS);
        if let Some(lane) = with_room.next() {
            return Some(Place::on(lane));
        }
        if own.len() >= LANES {
            return None;
        }
        let count = |lanes: &BTreeMap<Key, Vec<Arc<Lane>>>| lanes.values().map(Vec::len).sum();
        let mut all: usize = count(&lanes);
        if all >= MAX_LANES {
            for own in lanes.values_mut() {
                own.retain(|lane| !lane.is_idle());
            }
            lanes.retain(|_, own| !own.is_empty());
            all = count(&lanes);
        }
        if all >= MAX_LANES {
            return None;
        }
        let lane = Arc::new(Lane::default());
        let place = Place::on(&lane);
        lanes.entry(key).or_default().push(lane);
        self.metrics.connections(all + 1);
        Some(place)
    }

    /// Notes what became of a request.
    fn judge(&self, key: Key, answered: &Result<Response, SendError>, begun: Instant) {
        let has_failed = match answered {
            Ok(_) => false,
            Err(SendError::Call(CallError::Client(ClientError::Timeout(_))) | SendError::Late) => {
                begun.elapsed() >= FAIR_TIME
            }
            Err(SendError::Full) => return,
            Err(SendError::Call(CallError::Client(ClientError::TooLong(_)))) => return,
            Err(SendError::Call(_)) => true,
        };
        let mut circuits = lock(&self.circuits);
        if has_failed {
            let is_known = circuits.contains_key(&key);
            // Producers that fail are few; if they were many, the first would be known and the others tried.
            if is_known || circuits.len() < MAX_CIRCUITS {
                circuits.entry(key).or_default().failed(Instant::now());
            }
        } else if answered.is_ok() && circuits.contains_key(&key) {
            circuits.remove(&key);
        } else {
            return;
        }
        let open = circuits.values().filter(|circuit| circuit.is_open());
        self.metrics.open_circuits(open.count());
    }
}

/// What is held under these locks stays consistent if a holder panicked: every change is a single insert or remove.
fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
