//! Operation `pdu-session`: the life of a PDU session as three procedures of the UE (TS 23.502 clause 4.3), each over a connection of
//! its own to the SMF, or to the SCP that leads to it, fresh or used before.
//!
//! ```text
//!  establishment   AMF ── create ──> SMF ──> UDM, PCF      N1N2 transfer <── SMF      AMF ── modify: resources are set up ──> SMF
//!  modification    AMF ── modify: the UE asks ──> SMF ──> PCF
//!  release         AMF ── release ──> SMF ──> PCF, UDM
//! ```
//!
//! SMFs are discovered once and then for as long as the NRF's answer is valid; where the SCP finds one, it is asked once a session. The UE is not registered: that is another operation,
//! and its cost another figure.

use mtc_tls::handshake::HandshakeCost;
use procedures::route::{Resource, Route};
use sbi::ledger::Procedure;
use sbi::selection::scramble;
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::amf::Amf;
use crate::error::{OperationStep, SessionError};
use crate::pdu_session::{SmfConnection, Wanted};
use crate::session::{Attempt, PDU_SESSION_ID, Reach, TRANSFER_TIME, failed, is_unreachable};
use crate::ue_context::Registered;

/// A PDU session that is established.
struct Established {
    session: Registered,
    /// The way to its SMF.
    smf: Route,
    context: Resource,
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
                    smf.release(context).await
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
        let route = self.way_to_an_smf(reach, ue, handshakes).await?;
        let mut session = self.contexts.register(self.supi(ue), PDU_SESSION_ID)?;
        let step = OperationStep::Create;
        let (context, smf) = self
            .at_smf(step, reach, &route, handshakes, async |smf| {
                let context = establish(&smf, &mut session).await?;
                Ok((context, smf.exchange.onwards()))
            })
            .await
            .inspect_err(|error| self.home.smfs.forget_if(is_unreachable(error)))?;
        Ok(Established {
            session,
            smf,
            context,
        })
    }

    async fn way_to_an_smf(
        &self,
        reach: Reach<'_>,
        ue: u64,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<Route, SessionError> {
        if let Some(route) = reach.delegated(|| self.wanted()) {
            return Ok(route);
        }
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
        reach.way_to(step, smfs.choose(scramble(ue)).clone())
    }
}

/// Once there is an SM context it is released if it does not become a session.
async fn establish(
    smf: &SmfConnection<'_>,
    session: &mut Registered,
) -> Result<Resource, SessionError> {
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
            let _ = smf.release(&context).await;
            Err(error)
        }
    }
}
