//! Connections to producers: each carries the requests of all consumers that came in the same way.
//!
//! ```text
//!  send ── a place on a lane ──> its connection ── mutual TLS, in the profile of the consumer's own connection ──> producer
//! ```
//!
//! The SCP's requests are not the consumer's: whoever it is, the producer sees the SCP's certificate (TS 33.501 clause 13.1).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Body as _;
use mtc_tls::handshake::HandshakeCost;
use mtc_tls::peer::ExpectedPeer;
use sbi::body::{Body, BodyError, PASSING_WINDOW};
use sbi::client::{ClientError, Connection, Request, Used};
use sbi::instance::{CallError, Instance, Offer, Opened};
use sbi::lanes::{Bounds, Lanes};
use sbi::ledger::HopTotals;
use sbi::model::NfType;
use sbi::response::Response;
use sbi::selection::Candidate;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::circuit::Circuit;
use super::metrics::{Counted, Direction, RoutingMetrics};
use super::upload::{Missing, Upload};
use super::wire::OtherBytes;

/// Connections to producers. More requests to one than its connections carry find it congested.
const BOUNDS: Bounds = Bounds {
    // Half of what a server here takes, so that none is ever refused.
    streams: 128,
    lanes: 4,
    all: 1024,
};
/// Circuits to remember, those of producers that have failed.
const MAX_CIRCUITS: usize = 1024;
/// Octets of an answer that is taken whole before the consumer has any of it, if the producer says that it has no more: one that breaks
/// off can still be asked for elsewhere.
const SMALL_ANSWER: u64 = PASSING_WINDOW as u64;
/// A producer that does not answer within less is not to be blamed: how long a consumer waits is its own choice, and those here wait for
/// five seconds.
const FAIR_TIME: Duration = Duration::from_secs(3);

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
    /// No SCP is known that serves the producer's domain.
    #[error("no SCP serves the producer's domain")]
    NoWay,
    /// The consumer has not sent its body before its time was up.
    #[error("the body did not arrive in time")]
    BodyLate,
    /// The consumer's body broke off.
    #[error("the body broke off")]
    BodyBroken,
    /// The producer's answer was not all here before the consumer's time was up.
    #[error("the answer did not arrive in time")]
    AnswerLate,
    /// The producer's answer broke off.
    #[error("the answer broke off")]
    AnswerBroken(#[source] BodyError),
}

impl SendError {
    /// Whether the producer has certainly not begun with the request.
    pub(super) fn is_unprocessed(&self) -> bool {
        match self {
            Self::Full | Self::NoWay | Self::Late | Self::Call(CallError::Handshake(_)) => true,
            Self::Call(CallError::Client(error)) => error.is_unprocessed(),
            Self::Call(_)
            | Self::BodyLate
            | Self::BodyBroken
            | Self::AnswerLate
            | Self::AnswerBroken(_) => false,
        }
    }

    /// What failed with `error` while the consumer owed `missing` of its body.
    fn of(error: ClientError, missing: Missing) -> Self {
        match (missing, &error) {
            (Missing::Rest, _) => Self::BodyBroken,
            (Missing::More, ClientError::Timeout(_)) => Self::BodyLate,
            _ => Self::Call(error.into()),
        }
    }
}

/// A producer's answer.
pub(super) struct Answer {
    /// Status and headers.
    pub(super) head: Response,
    /// The body, whole if it is small.
    pub(super) body: Body,
    /// The place that it takes for as long as its body is on its way.
    pub(super) place: Option<Place>,
}

/// One peer in one profile. What fails with one is not laid to another's charge: a consumer chooses its profile, and who is registered
/// at an address need not be there.
type Key = (Offer, SocketAddr, Option<Uuid>);

/// The producers that this SCP sends to.
pub(super) struct Producers {
    instance: Arc<Instance>,
    lanes: Lanes<Key, OtherBytes>,
    circuits: Mutex<HashMap<Key, Circuit>>,
    metrics: RoutingMetrics,
}

/// A place on a lane, for one request.
pub(super) struct Place {
    lane: sbi::lanes::Place<Key, OtherBytes>,
    /// Where the octets of its answer are counted that come after it was told.
    leg: Leg,
}

impl Place {
    /// Counts octets of a body.
    pub(super) fn count(&self, octets: u64) {
        self.leg.record(&HopTotals {
            body_bytes: octets,
            other_bytes: self.other_bytes(octets),
            ..HopTotals::default()
        });
    }

    /// What is new on the connection, beside so many bytes more of a handshake or of bodies.
    fn other_bytes(&self, known: u64) -> u64 {
        let connection = self.lane.connection();
        let wire = connection.map_or(0, |connection| connection.usage().now().wire_bytes);
        self.lane.notes().count(wire, known)
    }
}

/// Where what goes over a connection is counted.
#[derive(Clone)]
struct Leg {
    instance: Arc<Instance>,
    offer: Offer,
    producer: NfType,
}

impl Leg {
    fn record(&self, used: &HopTotals) {
        let (ledger, own_type) = (self.instance.ledger(), &self.instance.nf_type);
        ledger.record_leg(self.offer.profile(), own_type, &self.producer, used);
    }
}

impl Producers {
    pub(super) fn new(instance: Arc<Instance>, metrics: RoutingMetrics) -> Self {
        Self {
            instance,
            lanes: Lanes::new(BOUNDS),
            circuits: Mutex::default(),
            metrics,
        }
    }

    /// Whether a request may go to `producer` in `profile` now: it has not failed all the time.
    pub(super) fn admits(&self, offer: Offer, producer: &Candidate) -> bool {
        let circuits = lock(&self.circuits);
        let circuit = circuits.get(&(offer, producer.addr, Some(producer.id.uuid())));
        circuit.is_none_or(|circuit| circuit.admits(Instant::now()))
    }

    /// Sends `request` with the body `upload` over a connection in `profile`, which must answer before `deadline`.
    ///
    /// # Errors
    /// See [`SendError`].
    pub(super) async fn send(
        &self,
        to: &Destination,
        offer: Offer,
        request: Request,
        upload: &Upload,
        deadline: Instant,
    ) -> Result<Answer, SendError> {
        let key = (offer, to.addr, to.expected.instance_id);
        if let Some(circuit) = lock(&self.circuits).get_mut(&key) {
            circuit.begin(Instant::now());
        }
        let begun = Instant::now();
        let sent = self.send_once(to, offer, request.clone(), upload, deadline);
        let answered = match sent.await {
            // The kept connection had ended, which says nothing of the producer.
            Err((true, error)) if error.is_unprocessed() && upload.can_repeat() => {
                let again = self.send_once(to, offer, request, upload, deadline).await;
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
        offer: Offer,
        request: Request,
        upload: &Upload,
        deadline: Instant,
    ) -> Result<Answer, (bool, SendError)> {
        let leg = Leg {
            instance: self.instance.clone(),
            offer,
            producer: NfType::from(to.expected.nf_type.as_deref().unwrap_or_default()),
        };
        let key = (offer, to.addr, to.expected.instance_id);
        let lane = self.lanes.place(key).ok_or((false, SendError::Full))?;
        let place = Place { lane, leg };
        let was_open = place.lane.connection().is_some();
        let mut opened = None;
        let connection = place.lane.connect(|| self.open(to, offer, &mut opened));
        let connection = match timeout_at(deadline, connection).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err((was_open, error.into())),
            Err(_) => return Err((was_open, SendError::Late)),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let passed = connection.pass(request, upload.attempt(), left).await;
        let answered = match passed {
            Ok(answer) => gather_small(answer, deadline).await,
            Err(error) => Err(SendError::of(error, upload.missing())),
        };
        let here = answered.as_ref().ok().filter(|(_, _, rest)| !rest);
        let answer_octets = here.and_then(|(_, body, _)| body.size_hint().exact());
        let answer_octets = answer_octets.unwrap_or_default();
        self.metrics.passed(Direction::Answer, answer_octets);
        let used = Used {
            requests: 1,
            body_bytes: upload.octets() + answer_octets,
            wire_bytes: 0,
        };
        let mut used = HopTotals::of(used, opened.as_ref());
        used.other_bytes = place.other_bytes(used.handshake_bytes + used.body_bytes);
        place.leg.record(&used);
        match answered {
            Ok((head, body, is_on_its_way)) => Ok(Answer {
                head,
                body,
                place: is_on_its_way.then_some(place),
            }),
            Err(error) => Err((was_open, error)),
        }
    }

    /// Opens a connection, which is counted. What it cost is in `opened`.
    async fn open(
        &self,
        to: &Destination,
        offer: Offer,
        opened: &mut Option<HandshakeCost>,
    ) -> Result<(Connection, Counted), CallError> {
        let (expected, streams) = (to.expected.clone(), BOUNDS.streams as u32);
        let opening = self
            .instance
            .open_to_pass(to.addr, offer, expected, streams);
        let Opened {
            connection, cost, ..
        } = opening.await?;
        *opened = Some(cost);
        // A request is as good as its consumer's token: the SCP's own would permit what the consumer may not.
        Ok((connection.authorized_by(None), self.metrics.connect()))
    }

    /// Notes what became of a request.
    fn judge(&self, key: Key, answered: &Result<Answer, SendError>, begun: Instant) {
        let has_failed = match answered {
            Ok(_) => false,
            Err(
                SendError::Call(CallError::Client(ClientError::Timeout(_)))
                | SendError::Late
                | SendError::AnswerLate,
            ) => begun.elapsed() >= FAIR_TIME,
            // Nothing is known of the producer.
            Err(
                SendError::Full | SendError::NoWay | SendError::BodyLate | SendError::BodyBroken,
            ) => return,
            Err(SendError::Call(_) | SendError::AnswerBroken(_)) => true,
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

/// The head of an answer, its body, which is here if it is small, and whether it is on its way.
///
/// # Errors
/// The body broke off, or was not here before the deadline.
async fn gather_small(
    answer: hyper::Response<Body>,
    deadline: Instant,
) -> Result<(Response, Body, bool), SendError> {
    let (parts, body) = answer.into_parts();
    let head = Response {
        headers: parts.headers,
        ..Response::empty(parts.status)
    };
    let size = body.size_hint().exact();
    if size.is_none_or(|size| size > SMALL_ANSWER) {
        return Ok((head, body, true));
    }
    match timeout_at(deadline, body.gathered()).await {
        Ok(Ok(body)) => Ok((head, body, false)),
        Ok(Err(error)) => Err(SendError::AnswerBroken(error)),
        Err(_) => Err(SendError::AnswerLate),
    }
}

/// What is held under these locks stays consistent if a holder panicked: every change is a single insert or remove.
fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
