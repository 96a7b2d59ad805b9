//! The operations that a load generator drives (TS 23.502 clause 4.3.2, without UDM, PCF and UPF), each over mTLS connections
//! of one profile, fresh or kept in a pool.
//!
//! ```text
//!  establish_session                                             shake_hands
//!   1 ── mTLS ──> NRF    discover SMFs, close or keep             (SMFs are discovered once, over a connection of its own)
//!   2    choose an SMF, register the session                      1 ── mTLS ──> SMF   close, wait until the SMF has closed
//!   3 ── mTLS ──> SMF    create
//!   4 <── mTLS ── SMF    N1N2 transfer, before or after the answer to 3
//!   5 ──────────> SMF    modify, release, close or keep
//!
//!  discover_smfs                                                 register
//!   1 ── mTLS ──> NRF    discover SMFs, close or keep             1 ── mTLS ──> NRF   put the own profile, close or keep
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use mtc_tls::handshake::HandshakeCost;
use mtc_tls::peer::ExpectedPeer;
use mtc_tls::profile::ConnectionProfile;
use procedures::pool::{Kept, Pool};
use procedures::route::{self, Destination, Exchange, Route};
use sbi::client::{Connection, Used};
use sbi::indirect::Scp;
use sbi::instance::{CallError, Opened};
use sbi::ledger::{HopTotals, Procedure};
use sbi::model::{NfProfile, NfType, SearchResult, ServiceName};
use sbi::nnrf::{Discover, Nrf};
use sbi::selection::{Candidate, Candidates, scramble};
use sbi::uri::Scheme;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::amf::Amf;
use crate::error::{OperationStep, SessionError};
use crate::pdu_session::{Requester, SmfConnection, Wanted};
use crate::ue_context::Registered;
use crate::watched::{Failure, Watched};

/// How long the SMF may take from creating an SM context to its N1N2 transfer.
pub(crate) const TRANSFER_TIME: Duration = Duration::from_secs(5);
/// How long a goodbye may take.
const CLOSE_TIME: Duration = Duration::from_secs(1);
/// How long a peer may take to close a connection that this side has closed.
const PEER_CLOSE_TIME: Duration = Duration::from_secs(5);
/// SMFs to ask the NRF for.
const MAX_SMFS: usize = 16;
/// The one PDU session of each UE.
pub(crate) const PDU_SESSION_ID: u8 = 5;
/// UEs of an AMF, and blocks of UEs of which it takes one: together the ten digits of a subscriber in a network with a
/// two-digit MNC.
const UES: u64 = 100_000;
const UE_BLOCKS: u128 = 100_000;

/// What became of an operation.
#[derive(Debug)]
pub struct Attempt {
    /// The handshakes that it completed, in order, also when it failed later.
    pub handshakes: Vec<HandshakeCost>,
    /// The procedures that it consisted of, where it consists of some, in order.
    pub procedures: Vec<Ended>,
    /// Whether it did what it was for.
    pub result: Result<(), SessionError>,
}

/// A procedure that has ended, well or badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub procedure: Procedure,
    /// How long it took.
    pub took: Duration,
    /// Whether it did what it was for.
    pub succeeded: bool,
}

impl Default for Attempt {
    /// One that has done nothing, which is well so far.
    fn default() -> Self {
        Self::of(Vec::new(), Ok(()))
    }
}

impl Attempt {
    /// One that is no procedure of a UE.
    const fn of(handshakes: Vec<HandshakeCost>, result: Result<(), SessionError>) -> Self {
        Self {
            handshakes,
            procedures: Vec::new(),
            result,
        }
    }

    /// Carries a procedure out, and notes how it ended.
    pub(crate) async fn procedure<T>(
        &mut self,
        procedure: Procedure,
        act: impl AsyncFnOnce(&mut Vec<HandshakeCost>) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let started = Instant::now();
        let result = act(&mut self.handshakes).await;
        self.procedures.push(Ended {
            procedure,
            took: started.elapsed(),
            succeeded: result.is_ok(),
        });
        result
    }
}

/// How an operation reaches others.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    /// The NRF.
    pub nrf: &'a Nrf,
    /// How both ends of a connection authenticate each other.
    pub profile: ConnectionProfile,
    /// Connections that may be used again.
    pub pool: &'a ConnectionPool,
    /// The procedure of a UE that connections are used for.
    pub procedure: Option<Procedure>,
    /// The SCP that requests to other producers than the NRF go through, if they do.
    pub via: Option<Indirect<'a>>,
}

/// Communication through an SCP.
#[derive(Clone, Copy, Debug)]
pub struct Indirect<'a> {
    /// The SCP.
    pub scp: &'a Scp,
    /// Whether it finds the producers too (model D), or the AMF does (model C).
    pub is_delegated: bool,
}

impl Reach<'_> {
    /// The way to a producer that was discovered.
    pub(crate) fn way_to(
        self,
        step: OperationStep,
        producer: Candidate,
    ) -> Result<Route, SessionError> {
        match self.via {
            None => Ok(Route::direct(producer)),
            Some(Indirect { scp, .. }) => {
                Route::through_to(scp.clone(), &producer).map_err(|error| failed(step, error))
            }
        }
    }

    /// The way to whatever producer the SCP finds; none if it is not asked to find one.
    pub(crate) fn delegated(self, wanted: impl FnOnce() -> Discover<'static>) -> Option<Route> {
        let Indirect { scp, is_delegated } = self.via?;
        is_delegated.then(|| Route::delegated(scp.clone(), NfType::Amf, wanted()))
    }

    /// The same, for a procedure.
    pub(crate) const fn within(mut self, procedure: Procedure) -> Self {
        self.procedure = Some(procedure);
        self
    }
}

/// Open connections of one AMF instance.
pub type ConnectionPool = Pool<Open>;

impl Amf {
    /// Operation `session`: sets up a PDU session for the UE number `ue`, and releases it.
    ///
    /// UEs are numbered modulo 100,000; those of operations under way at the same AMF must differ. Different AMFs have different
    /// UEs, as far as their instance ids differ modulo 100,000.
    ///
    /// Dropping the future closes its connections; the SM context stays at the SMF until the UE comes again.
    pub async fn establish_session(&self, reach: Reach<'_>, ue: u64) -> Attempt {
        let mut handshakes = Vec::with_capacity(2);
        let result = self.set_up(reach, ue, &mut handshakes).await;
        Attempt::of(handshakes, result)
    }

    /// Operation `discover`: asks the NRF for SMFs.
    ///
    /// Dropping the future closes its connection.
    pub async fn discover_smfs(&self, reach: Reach<'_>) -> Attempt {
        let mut handshakes = Vec::with_capacity(1);
        let result = self.discover(reach, &mut handshakes).await.map(drop);
        Attempt::of(handshakes, result)
    }

    /// Operation `register`: puts `own`, the profile that this AMF is registered with, to the NRF again (NFRegister, TS 29.510
    /// clause 5.2.2.2). It is not deregistered, because the certificate allows no other instance's profile to be put, and SMFs
    /// that call this AMF back look it up.
    ///
    /// Dropping the future closes its connection.
    pub async fn register(&self, reach: Reach<'_>, own: &NfProfile) -> Attempt {
        let mut handshakes = Vec::with_capacity(1);
        let step = OperationStep::Register;
        let result = self
            .ask_nrf(step, reach, &mut handshakes, async |connection| {
                let registered = reach.nrf.register(connection, own).await;
                registered.map(drop).map_err(|error| failed(step, error))
            })
            .await;
        Attempt::of(handshakes, result)
    }

    /// Operation `handshake`: a connection to an SMF, with nothing on it.
    ///
    /// It ends when the SMF has closed the connection: by then it has seen this side's certificate, and if it refuses it, its
    /// alert is here.
    ///
    /// Dropping the future closes the connection.
    pub async fn shake_hands(&self, nrf: &Nrf, profile: ConnectionProfile) -> Attempt {
        let mut handshakes = Vec::with_capacity(1);
        let result = self.connect_and_close(nrf, profile, &mut handshakes).await;
        Attempt::of(handshakes, result)
    }

    async fn set_up(
        &self,
        reach: Reach<'_>,
        ue: u64,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<(), SessionError> {
        let route = match reach.delegated(|| self.wanted()) {
            Some(route) => route,
            None => {
                let smfs = self.discover(reach, handshakes).await?;
                reach.way_to(OperationStep::Create, smfs.choose(scramble(ue)).clone())?
            }
        };
        let mut session = self.contexts.register(self.supi(ue), PDU_SESSION_ID)?;
        self.at_smf(
            OperationStep::Create,
            reach,
            &route,
            handshakes,
            async |smf| establish(&smf, &mut session).await,
        )
        .await
    }

    /// Does something over a connection to a peer: one that is kept, or a new one, which is closed or kept afterwards. What it
    /// took is counted under the procedure that it is part of.
    pub(crate) async fn over<T>(
        &self,
        step: OperationStep,
        reach: Reach<'_>,
        to: Destination,
        handshakes: &mut Vec<HandshakeCost>,
        act: impl AsyncFnOnce(&Connection) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let Reach { profile, pool, .. } = reach;
        let Destination {
            addr,
            expected,
            along,
        } = to;
        let (kept, complete) = match pool.take(profile, addr, Open::is_usable) {
            Some(kept) => (kept, None),
            None => {
                let opened = self.open(step, addr, profile, expected, handshakes);
                let (open, complete) = opened.await?;
                (Kept::new(open), Some(complete))
            }
        };
        let usage = kept.connection.connection.usage();
        // A new connection's handshake is part of its first use.
        let before = complete.map_or_else(|| usage.now(), |_| Used::default());
        let result = act(&kept.connection.connection).await;
        // `act` opens no connections, so the last handshake is this one's.
        if let (Some(complete), Some(cost)) = (complete, handshakes.last_mut()) {
            let answered = kept.connection.connection.first_answer();
            cost.first_answer = answered.map(|at| cost.elapsed + at.duration_since(complete));
        }
        let failure = kept.connection.failure.clone();
        let finished = match result {
            Ok(_) => pool.give(profile, addr, kept),
            Err(_) => Some(kept.connection),
        };
        if let Some(open) = finished {
            close(open.connection).await;
        }
        let cost = complete.and_then(|_| handshakes.last());
        let used = HopTotals::of(usage.now().since(before), cost);
        let (ledger, consumer) = (self.instance.ledger(), &self.instance.nf_type);
        if let Some(procedure) = reach.procedure {
            ledger.record_procedure(profile, procedure, consumer, &along, &used);
        }
        if let [NfType::Scp, _] = along.as_slice() {
            ledger.record_leg(profile, consumer, &NfType::Scp, &used);
        }
        result.map_err(|error| failure.explain(step, error))
    }

    pub(crate) async fn ask_nrf<T>(
        &self,
        step: OperationStep,
        reach: Reach<'_>,
        handshakes: &mut Vec<HandshakeCost>,
        act: impl AsyncFnOnce(&Connection) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let addr = reach.nrf.addr().await;
        let nrf = Destination {
            addr: addr.map_err(|error| failed(step, error))?,
            expected: reach.nrf.expected(),
            along: vec![NfType::Nrf],
        };
        self.over(step, reach, nrf, handshakes, act).await
    }

    /// Does something over a connection on the way to an SMF.
    pub(crate) async fn at_smf<T>(
        &self,
        step: OperationStep,
        reach: Reach<'_>,
        route: &Route,
        handshakes: &mut Vec<HandshakeCost>,
        act: impl AsyncFnOnce(SmfConnection<'_>) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let to = route.destination();
        self.over(step, reach, to, handshakes, async |connection| {
            act(SmfConnection {
                exchange: Exchange::new(connection, route, self.agent.as_ref()),
                requester: Requester {
                    id: self.instance.id,
                    api_root: self.api_root.get().ok_or(SessionError::NotServing)?,
                    config: &self.config,
                },
            })
            .await
        })
        .await
    }

    async fn discover(
        &self,
        reach: Reach<'_>,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<Candidates, SessionError> {
        let step = OperationStep::Discover;
        let result = self
            .ask_nrf(step, reach, handshakes, async |connection| {
                let found = reach
                    .nrf
                    .discover(connection, &self.instance, &self.wanted())
                    .await;
                found.map_err(|error| failed(step, error))
            })
            .await?;
        smfs_of(&result)
    }

    pub(crate) fn wanted(&self) -> Discover<'static> {
        let slices = serde_json::to_string(&[&self.config.slice])
            .expect("a slice has string keys and does not fail");
        Discover {
            nf_type: NfType::Smf,
            service: ServiceName::NsmfPdusession,
            filters: vec![
                ("snssais", slices),
                ("dnn", self.config.dnn.clone()),
                ("limit", MAX_SMFS.to_string()),
            ],
        }
    }

    /// Opens a connection, and notes what its handshake cost even if HTTP/2 cannot be started on it. Also when the
    /// handshake was complete.
    async fn open(
        &self,
        step: OperationStep,
        addr: SocketAddr,
        profile: ConnectionProfile,
        expected: ExpectedPeer,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<(Open, Instant), SessionError> {
        let connected = self.instance.shake_hands(addr, profile, expected).await;
        let complete = Instant::now();
        let connected = connected.map_err(|error| failed(step, error))?;
        handshakes.push(connected.cost);
        let traffic = connected.stream.get_ref().0.traffic();
        let mut open = Open::start(step, connected.stream).await?;
        open.connection = open
            .connection
            .over(traffic)
            .authorized_by(self.instance.authorizer(profile, &connected.peer));
        Ok((open, complete))
    }

    async fn connect_and_close(
        &self,
        nrf: &Nrf,
        profile: ConnectionProfile,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<(), SessionError> {
        let known = self.known_smfs();
        // Over a connection that the scenario does not choose, and that is not part of the operation.
        let discover = || async {
            let step = OperationStep::Discover;
            let opened = nrf.open_own(&self.instance).await;
            let Opened { connection, .. } = opened.map_err(|error| failed(step, error))?;
            let found = nrf
                .discover(&connection, &self.instance, &self.wanted())
                .await;
            let found = found.map_err(|error| failed(step, error))?;
            connection.close().await;
            smfs_of(&found)
        };
        let smfs = known.get_or_try_init(discover).await?;
        let number = self.handshakes.fetch_add(1, Ordering::Relaxed);
        let smf = smfs.choose(scramble(number));
        let connected = self.instance.shake_hands(smf.addr, profile, smf.expected());
        let result = match connected.await {
            Ok(connected) => {
                handshakes.push(connected.cost);
                close_and_wait(connected.stream).await
            }
            Err(error) => Err(failed(OperationStep::Handshake, error)),
        };
        if result.is_err() {
            self.forget_smfs(&known);
        }
        result
    }

    fn known_smfs(&self) -> Arc<OnceCell<Candidates>> {
        let known = self.known_smfs.lock();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has the SMFs discovered again, unless someone else has done so already: those of `known` may be gone.
    fn forget_smfs(&self, known: &Arc<OnceCell<Candidates>>) {
        let current = self.known_smfs.lock();
        let mut current = current.unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, known) {
            *current = Arc::default();
        }
    }

    /// The SUPI of a UE: its network, this AMF's block of UEs, and the UE's number in it.
    pub(crate) fn supi(&self, ue: u64) -> String {
        let block = self.instance.id.uuid().as_u128() % UE_BLOCKS;
        format!("imsi-{}{block:05}{:05}", self.config.imsi_prefix, ue % UES)
    }
}

/// A connection with HTTP/2 on it.
#[derive(Debug)]
pub struct Open {
    connection: Connection,
    /// What TLS has to say if it ends early.
    failure: Failure,
}

impl Open {
    /// Whether it takes requests.
    fn is_usable(&self) -> bool {
        !self.connection.is_closed()
    }

    async fn start<S>(step: OperationStep, stream: S) -> Result<Self, SessionError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (stream, failure) = Watched::new(stream);
        match Connection::handshake(stream, Scheme::Https).await {
            Ok(connection) => Ok(Self {
                connection,
                failure,
            }),
            Err(error) => Err(failure.explain(step, failed(step, error))),
        }
    }
}

/// The requests to the SMF, and the wait for its transfer. Once there is an SM context it is released, whatever happens in between.
async fn establish(smf: &SmfConnection<'_>, session: &mut Registered) -> Result<(), SessionError> {
    let context = smf
        .create(Wanted {
            supi: session.supi(),
            pdu_session_id: session.pdu_session_id(),
            now: OffsetDateTime::now_utc(),
        })
        .await?;
    let established = async {
        let transferred = timeout(TRANSFER_TIME, session.transferred()).await;
        transferred
            .map_err(|_| SessionError::NoTransfer)?
            .map_err(|_| SessionError::Released)?;
        smf.modify(&context).await
    };
    let established = established.await;
    let released = smf.release(&context).await;
    established.and(released)
}

/// Closes the connection and waits until it is closed, so that connections of finished operations do not pile up.
async fn close(connection: Connection) {
    // A peer that does not close its side in time is left to the kernel.
    let _ = timeout(CLOSE_TIME, connection.close()).await;
}

/// Closes a TLS stream and reads until the peer has closed it too, so that a late alert is not missed.
async fn close_and_wait(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<(), SessionError> {
    let step = OperationStep::Handshake;
    let closing = async {
        // A peer that has refused this side may be gone already: what it had to say is read below.
        let _ = stream.shutdown().await;
        let mut discarded = [0; 1024];
        while stream.read(&mut discarded).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    match timeout(PEER_CLOSE_TIME, closing).await {
        Ok(Ok(())) => Ok(()),
        // Without close_notify: the peer has nothing to lose by a truncated connection, nor have we.
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Ok(Err(source)) => Err(SessionError::BrokenOff { step, source }),
        Err(_) => Err(SessionError::NotClosed { step }),
    }
}

/// Whether there was no way to the producer, so that it may be elsewhere now.
pub(crate) fn is_unreachable(error: &SessionError) -> bool {
    match error {
        SessionError::Call { source, .. } => match source {
            CallError::Handshake(_) => true,
            CallError::Client(error) => route::is_unreachable(error),
            _ => false,
        },
        _ => false,
    }
}

fn smfs_of(found: &SearchResult) -> Result<Candidates, SessionError> {
    let candidates = Candidates::of(found, &NfType::Smf, &ServiceName::NsmfPdusession);
    candidates.ok_or(SessionError::NoSmf)
}

pub(crate) fn failed(step: OperationStep, error: impl Into<CallError>) -> SessionError {
    SessionError::Call {
        step,
        source: error.into(),
    }
}

#[cfg(test)]
mod tests;
