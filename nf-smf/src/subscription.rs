//! What an SMF asks UDM and PCF about a PDU session, where the network has them (TS 23.502 clauses 4.3.2.2.1, 4.3.3.2 and 4.3.4.2).
//!
//! ```text
//!  establishment   ──> UDM  nudm-uecm  this SMF serves the session        ──> PCF  npcf-smpolicycontrol  create
//!                  ──> UDM  nudm-sdm   sm-data of slice and DNN
//!  modification                                                           ──> PCF  update
//!  release         ──> UDM  nudm-uecm  no longer                          ──> PCF  delete
//! ```
//!
//! All of it is done before the AMF gets its answer, so that a refusal can still be one, and goes the way that the AMF's request took:
//! directly, or through the SCP.
//!
//! Deviation: in TS 23.502 the SM policy is asked for after the SM context is created; here a PCF that refuses would leave the AMF
//! waiting for a transfer that never comes.

use std::sync::Arc;

use hyper::Method;
use procedures::caller::{ANSWER_TIME, Caller, Came, Cause, ExchangeError};
use procedures::policy::SmPolicyContextData;
use procedures::producers::Producers;
use procedures::route::{Exchange, Resource};
use procedures::subscriber_data::SmfRegistration;
use sbi::instance::Instance;
use sbi::ledger::Procedure;
use sbi::model::{NfInstanceId, NfType, PlmnId, ServiceName, Snssai};
use sbi::nnrf::Nrf;
use sbi::uri::{ApiRoot, encode};
use serde_json::Map;

use crate::config::SmfConfig;
use crate::sm_context::{Held, PduSession};

/// A session that something is asked about, and how.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The session.
    pub session: &'a PduSession,
    /// How the AMF's request came.
    pub came: Came,
}

/// UDM and PCF, as far as there are some.
pub struct Subscription {
    own_id: NfInstanceId,
    plmn: PlmnId,
    dnn: String,
    caller: Caller,
    udm: Option<Udm>,
    pcfs: Option<Producers>,
}

struct Udm {
    contexts: Producers,
    data: Producers,
}

impl Subscription {
    /// What `config` says there is, asked as `instance`.
    pub fn new(config: &SmfConfig, instance: Arc<Instance>, nrf: Nrf) -> Self {
        let udm = || Udm {
            contexts: Producers::new(NfType::Udm, ServiceName::NudmUecm),
            data: Producers::new(NfType::Udm, ServiceName::NudmSdm),
        };
        let pcfs = || Producers::new(NfType::Pcf, ServiceName::NpcfSmpolicycontrol);
        Self {
            own_id: instance.id,
            plmn: config.plmn.clone(),
            dnn: config.dnn.clone(),
            caller: Caller::new(instance, nrf, config.connection_uses),
            udm: config.udm.then(udm),
            pcfs: config.pcf.then(pcfs),
        }
    }

    /// Has the UDM admit a session in `slice`, and a PCF give a policy for it; `api_root` is that of this SMF. What they hold of it is in
    /// `held`, also if it is not all.
    ///
    /// # Errors
    /// One of them refuses or cannot be asked.
    pub async fn establish(
        &self,
        subject: Subject<'_>,
        slice: &Snssai,
        api_root: &ApiRoot,
        held: &mut Held,
    ) -> Result<(), ExchangeError> {
        let cause = subject.cause(Procedure::SessionEstablishment);
        if let Some(udm) = &self.udm {
            held.udm = self.register(udm, cause, subject.session, slice).await?;
            held.is_registered = true;
            self.read(udm, cause, slice).await?;
        }
        if let Some(pcfs) = &self.pcfs {
            let policy = self.agree(pcfs, cause, subject.session, slice, api_root);
            held.policy = Some(policy.await?);
        }
        Ok(())
    }

    /// Has the PCF decide on a change.
    ///
    /// # Errors
    /// It refuses or cannot be asked.
    pub async fn modify(
        &self,
        subject: Subject<'_>,
        policy: &Resource,
    ) -> Result<(), ExchangeError> {
        let cause = subject.cause(Procedure::SessionModification);
        self.tell_pcf(cause, policy, "/update").await
    }

    /// Tells PCF and UDM that the session is no more, as far as they hold something of it; both are told even if one does not listen.
    ///
    /// # Errors
    /// The first that refuses or cannot be told.
    pub async fn release(&self, subject: Subject<'_>, held: &Held) -> Result<(), ExchangeError> {
        let cause = subject.cause(Procedure::SessionRelease);
        let ended = match &held.policy {
            Some(policy) => self.tell_pcf(cause, policy, "/delete").await,
            None => Ok(()),
        };
        let deregistered = match &self.udm {
            Some(udm) if held.is_registered => {
                self.deregister(udm, held.udm.as_ref(), cause, subject.session)
                    .await
            }
            _ => Ok(()),
        };
        ended.and(deregistered)
    }

    /// Says at a UDM that this SMF serves the session; where that UDM is.
    async fn register(
        &self,
        udm: &Udm,
        cause: Cause<'_>,
        session: &PduSession,
        slice: &Snssai,
    ) -> Result<Option<ApiRoot>, ExchangeError> {
        let registration = SmfRegistration {
            smf_instance_id: self.own_id,
            pdu_session_id: session.id,
            single_nssai: slice.clone(),
            plmn_id: self.plmn.clone(),
            dnn: Some(self.dnn.clone()),
        };
        let path = uecm_path(session);
        self.caller
            .exchange(&udm.contexts, None, cause, async |exchange| {
                let request = exchange.request(Method::PUT, &*path).json(&registration);
                exchange.call(request, ANSWER_TIME).await?;
                Ok(exchange.producer())
            })
            .await
    }

    async fn deregister(
        &self,
        udm: &Udm,
        at: Option<&ApiRoot>,
        cause: Cause<'_>,
        session: &PduSession,
    ) -> Result<(), ExchangeError> {
        let path = uecm_path(session);
        self.caller
            .exchange(&udm.contexts, at, cause, async |exchange| {
                let request = exchange.request(Method::DELETE, &*path);
                exchange.call(request, ANSWER_TIME).await.map(drop)
            })
            .await
    }

    async fn read(&self, udm: &Udm, cause: Cause<'_>, slice: &Snssai) -> Result<(), ExchangeError> {
        let slice =
            serde_json::to_string(slice).expect("a slice has string keys and does not fail");
        let query = format!("single-nssai={}&dnn={}", encode(&slice), encode(&self.dnn));
        self.caller
            .exchange(&udm.data, None, cause, async |exchange| {
                let supi = encode(cause.supi);
                let path = format!("/nudm-sdm/v2/{supi}/sm-data?{query}");
                let request = exchange.request(Method::GET, path);
                exchange.call(request, ANSWER_TIME).await.map(drop)
            })
            .await
    }

    async fn agree(
        &self,
        pcfs: &Producers,
        cause: Cause<'_>,
        session: &PduSession,
        slice: &Snssai,
        api_root: &ApiRoot,
    ) -> Result<Resource, ExchangeError> {
        let supi = encode(&session.supi);
        let context = SmPolicyContextData {
            supi: session.supi.clone(),
            pdu_session_id: session.id,
            pdu_session_type: "IPV4".to_owned(),
            dnn: self.dnn.clone(),
            notification_uri: format!("{api_root}/nsmf-callback/v1/{supi}/policy/{}", session.id),
            slice_info: slice.clone(),
        };
        let made = self
            .caller
            .exchange(pcfs, None, cause, async |exchange| {
                let path = "/npcf-smpolicycontrol/v1/sm-policies";
                let request = exchange.request(Method::POST, path).json(&context);
                let answer = exchange.call(request, ANSWER_TIME).await?;
                Ok(exchange.made(&answer))
            })
            .await?;
        made.map_err(|source| ExchangeError::NoLocation {
            service: pcfs.service().clone(),
            source,
        })
    }

    async fn tell_pcf(
        &self,
        cause: Cause<'_>,
        policy: &Resource,
        what: &str,
    ) -> Result<(), ExchangeError> {
        let Some(pcfs) = &self.pcfs else {
            return Ok(());
        };
        let tell = async |exchange: &Exchange<'_>| {
            let request = exchange.about(Method::POST, policy, what);
            let request = request.json(&Map::new());
            exchange.call(request, ANSWER_TIME).await.map(drop)
        };
        self.caller
            .exchange(pcfs, Some(&policy.root), cause, tell)
            .await
    }
}

impl<'a> Subject<'a> {
    fn cause(self, procedure: Procedure) -> Cause<'a> {
        Cause {
            procedure,
            came: self.came,
            supi: &self.session.supi,
        }
    }
}

/// The registration of a session's SMF at a UDM.
fn uecm_path(session: &PduSession) -> String {
    format!(
        "/nudm-uecm/v1/{}/registrations/smf-registrations/{}",
        encode(&session.supi),
        session.id
    )
}
