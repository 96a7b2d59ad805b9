//! Operation `pdu-session`: the life of a PDU session as three procedures of the UE (TS 23.502 clause 4.3), each over a connection to
//! the SMF of its own, fresh or used before.
//!
//! ```text
//!  establishment   AMF ── create ──> SMF ──> UDM, PCF      N1N2 transfer <── SMF      AMF ── modify: resources are set up ──> SMF
//!  modification    AMF ── modify: the UE asks ──> SMF ──> PCF
//!  release         AMF ── release ──> SMF ──> PCF, UDM
//! ```
//!
//! SMFs are discovered once and then for as long as the NRF's answer is valid. The UE is not registered: that is another operation,
//! and its cost another figure.

use mtc_tls::handshake::HandshakeCost;
use sbi::ledger::Procedure;
use sbi::selection::{Candidate, scramble};
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::amf::Amf;
use crate::error::{OperationStep, SessionError};
use crate::pdu_session::{SmContext, SmfConnection, SmfRoute, Wanted};
use crate::session::{Attempt, PDU_SESSION_ID, Reach, TRANSFER_TIME, failed, is_unreachable};
use crate::ue_context::Registered;

/// A PDU session that is established.
struct Established {
    session: Registered,
    smf: Candidate,
    context: SmContext,
}

impl Amf {
    /// Operation `pdu-session`: establishes a PDU session for the UE number `ue`, numbered as in [`Amf::establish_session`], has it
    /// modified, and releases it.
    ///
    /// Dropping the future closes its connections; the SM context stays at the SMF until the UE comes again.
    pub async fn live_session(&self, reach: Reach<'_>, ue: u64) -> Attempt {
        let mut attempt = Attempt::default();
        let result = self.live(reach, ue, &mut attempt).await;
        Attempt { result, ..attempt }
    }

    async fn live(
        &self,
        reach: Reach<'_>,
        ue: u64,
        attempt: &mut Attempt,
    ) -> Result<(), SessionError> {
        let procedure = Procedure::SessionEstablishment;
        let established = attempt
            .procedure(procedure, async |handshakes| {
                self.establish_in(reach.within(procedure), ue, handshakes)
                    .await
            })
            .await?;
        let Established {
            session,
            smf,
            context,
        } = &established;
        let procedure = Procedure::SessionModification;
        let modified = attempt
            .procedure(procedure, async |handshakes| {
                let (step, reach) = (OperationStep::Modify, reach.within(procedure));
                self.at_smf(step, reach, smf, handshakes, async |smf| {
                    smf.modify_for_ue(context, session.pdu_session_id()).await
                })
                .await
            })
            .await;
        let procedure = Procedure::SessionRelease;
        let released = attempt
            .procedure(procedure, async |handshakes| {
                let (step, reach) = (OperationStep::Release, reach.within(procedure));
                self.at_smf(step, reach, smf, handshakes, async |smf| {
                    smf.release(context.clone()).await
                })
                .await
            })
            .await;
        modified.and(released)
    }

    async fn establish_in(
        &self,
        reach: Reach<'_>,
        ue: u64,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<Established, SessionError> {
        let step = OperationStep::Discover;
        let smfs = self
            .home
            .smfs
            .candidates(async |_| {
                self.ask_nrf(step, reach, handshakes, async |connection| {
                    let wanted = self.wanted();
                    let found = reach.nrf.discover(connection, &self.instance, &wanted);
                    found.await.map_err(|error| failed(step, error))
                })
                .await
            })
            .await?
            .ok_or(SessionError::NoSmf)?;
        let smf = smfs.choose(scramble(ue)).clone();
        let mut session = self.contexts.register(self.supi(ue), PDU_SESSION_ID)?;
        let step = OperationStep::Create;
        let context = self
            .at_smf(step, reach, &smf, handshakes, async |smf| {
                establish(&smf, &mut session).await
            })
            .await
            .inspect_err(|error| self.home.smfs.forget_if(is_unreachable(error)))?;
        Ok(Established {
            session,
            smf,
            context,
        })
    }

    async fn at_smf<T>(
        &self,
        step: OperationStep,
        reach: Reach<'_>,
        smf: &Candidate,
        handshakes: &mut Vec<HandshakeCost>,
        act: impl AsyncFnOnce(SmfConnection<'_>) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let (addr, expected) = (smf.addr, smf.expected());
        self.over(
            step,
            reach,
            addr,
            expected,
            handshakes,
            async |connection| {
                let route = SmfRoute::Direct(&smf.endpoint);
                act(self.smf_connection(connection, route)?).await
            },
        )
        .await
    }
}

/// Once there is an SM context it is released if it does not become a session.
async fn establish(
    smf: &SmfConnection<'_>,
    session: &mut Registered,
) -> Result<SmContext, SessionError> {
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
    match established.await {
        Ok(()) => Ok(context),
        Err(error) => {
            // The first failure is the one to tell.
            let _ = smf.release(context).await;
            Err(error)
        }
    }
}
