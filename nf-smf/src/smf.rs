//! The SMF as a network function: its profile, and the way from a request to its handler and back to the AMF.

use std::net::SocketAddr;
use std::sync::{Arc, Once, OnceLock};

use hyper::Method;
use procedures::caller::Came;
use sbi::instance::Instance;
use sbi::message::MAX_MESSAGE;
use sbi::model::{DnnSmfInfo, NfProfile, NfType, ServiceName, SmfInfo, SnssaiSmfInfo};
use sbi::nf::NetworkFunction;
use sbi::nf_status;
use sbi::nnrf::Nrf;
use sbi::problem::{Cause, Problem};
use sbi::response::Response;
use sbi::server::{Handler, Request};
use sbi::trace;
use sbi::uri::ApiRoot;
use serde_json::{Map, json};
use tokio::sync::{oneshot, watch};

use crate::amf_status::{AmfStatus, CALLBACK};
use crate::config::SmfConfig;
use crate::departure;
use crate::establishment::{Establishment, refusal};
use crate::n1n2::{Transfer, TransferCounts, Transfers};
use crate::pdu_session::{Answer, Change, PduSessions, nested};
use crate::serving_amf::ServingAmfs;
use crate::sm_context::SmContext;
use crate::subscription::{Subject, Subscription};

/// Seconds after which a peer that came too early may try again.
const RETRY_WHEN_STARTING: u32 = 1;

/// From when an SMF has the NRF tell it of AMFs, over a connection that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watching {
    /// From its registration: a handshake less when the first SM context comes.
    Always,
    /// From its first SM context: without contexts there are no AMFs to hear of. For processes of many instances.
    WithContexts,
}

/// An SMF instance.
pub struct Smf {
    config: Arc<SmfConfig>,
    nrf: Nrf,
    is_watching: Once,
    sessions: Arc<PduSessions>,
    establishment: Establishment,
    amfs: Arc<ServingAmfs>,
    status: Arc<AmfStatus>,
    /// Where the NRF tells of AMFs, from when it is known.
    callback: watch::Sender<Option<String>>,
    /// Known when the port is, which is before the instance can be discovered.
    api_root: OnceLock<ApiRoot>,
}

impl Smf {
    /// The SMF that `instance` is; AMFs are looked up at `nrf`, also by tasks of the current runtime that end with the SMF.
    pub fn new(
        config: Arc<SmfConfig>,
        instance: Arc<Instance>,
        nrf: Nrf,
        watching: Watching,
    ) -> Self {
        let subscription = Subscription::new(&config, instance.clone(), nrf.clone());
        let amfs = Arc::new(ServingAmfs::new(instance.clone(), nrf.clone()));
        let serves = smf_info(&config);
        let sessions = PduSessions::new(serves, config.bounds(), config.max_transfers);
        let sessions = Arc::new(sessions);
        let establishment = Establishment {
            sessions: sessions.clone(),
            subscription: Arc::new(subscription),
            transfers: Arc::new(Transfers::new(instance, amfs.clone())),
        };
        let smf = Self {
            sessions,
            establishment,
            amfs,
            status: Arc::default(),
            callback: watch::Sender::new(None),
            api_root: OnceLock::new(),
            config,
            nrf,
            is_watching: Once::new(),
        };
        if watching == Watching::Always {
            smf.watch_amfs();
        }
        smf
    }

    /// Has the NRF tell of AMFs, and ends the contexts of those that are gone; once.
    fn watch_amfs(&self) {
        self.is_watching.call_once(|| {
            let (amfs, callback) = (self.amfs.clone(), self.callback.subscribe());
            let told = self.status.clone().keep(self.nrf.clone(), amfs, callback);
            tokio::spawn(told);
            let sessions = Arc::downgrade(&self.sessions);
            let ending = departure::keep(sessions, self.amfs.clone(), self.status.clone());
            tokio::spawn(ending);
        });
    }

    /// Establishes the session of a new context, and answers `created` if there is one then.
    async fn establish(
        &self,
        transfer: Transfer,
        replaced: Option<SmContext>,
        api_root: &ApiRoot,
        created: Response,
    ) -> Response {
        let (tell, told) = oneshot::channel();
        let establishment = self.establishment.clone();
        let establishing = establishment.carry_out(transfer, replaced, api_root.clone(), tell);
        // A task of its own: the AMF gets its answer before the transfer, and if it gives up, somebody must take the context back.
        tokio::spawn(trace::carried(establishing));
        match told.await {
            Ok(Ok(())) => created,
            Ok(Err(problem)) => nested(problem),
            Err(_) => nested(Problem::system_failure()),
        }
    }

    /// Has UDM and PCF take part in a change. A session that is released is so whatever they say, and whether or not the AMF waits for it.
    async fn change(&self, change: Change, came: Came) -> Result<(), Problem> {
        match change {
            Change::Modified(SmContext { session, held, .. }) => {
                let Some(policy) = &held.policy else {
                    return Ok(());
                };
                let subject = Subject {
                    session: &session,
                    came,
                };
                let modified = self.establishment.subscription.modify(subject, policy);
                modified.await.map_err(|error| refusal(&error))
            }
            Change::Released(SmContext { session, held, .. }) => {
                let establishment = self.establishment.clone();
                let ending = async move { establishment.end(&session, came, &held).await };
                // It fails only when the runtime ends.
                let _ = tokio::spawn(trace::carried(ending)).await;
                Ok(())
            }
        }
    }

    /// What became of its N1N2 transfers.
    pub fn transfers(&self) -> TransferCounts {
        self.establishment.transfers.counts()
    }
}

impl Handler for Smf {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let segments = request.segments()?;
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let rest = match segments.as_slice() {
            ["nsmf-pdusession", "v1", rest @ ..] => rest,
            ["nsmf-callback", "v1", "nf-status"] if request.method == Method::POST => {
                let told = nf_status::notification(&request)?;
                self.status.hear(&told, &self.amfs);
                return Ok(Response::no_content());
            }
            ["nsmf-callback", "v1", "nf-status"] => {
                return Err(Problem::method_not_allowed("POST"));
            }
            _ => return Err(Problem::invalid_api(&["nsmf-pdusession/v1"])),
        };
        let api_root = self.api_root.get().ok_or_else(|| {
            let detail = "this SMF is not registered yet";
            Problem::unavailable(Cause::NfCongestion, detail, RETRY_WHEN_STARTING)
        })?;
        let Answer {
            response,
            transfer,
            replaced,
            change,
        } = self.sessions.handle(&request, rest, api_root)?;
        if let Some(change) = change
            && let Err(refused) = self.change(change, Came::of(&request)).await
        {
            return Ok(nested(refused));
        }
        if let Some(transfer) = transfer {
            self.watch_amfs();
            let established = self.establish(transfer, replaced, api_root, response);
            return Ok(established.await);
        }
        Ok(response)
    }

    fn max_body(&self, _method: &Method, _path: &str) -> usize {
        MAX_MESSAGE
    }
}

impl NetworkFunction for Smf {
    fn profile(&self, instance: &Instance, at: SocketAddr) -> NfProfile {
        let root = self.api_root.get_or_init(|| instance.api_root(at.port()));
        self.callback.send_if_modified(|callback| {
            let is_new = callback.is_none();
            callback.get_or_insert_with(|| format!("{root}{CALLBACK}"));
            is_new
        });
        let mut profile = instance.producing(ServiceName::NsmfPdusession, at);
        profile.plmn_list = vec![self.config.plmn.clone()];
        profile.s_nssais = vec![self.config.slice.clone().into()];
        profile.allowed_nf_types = vec![NfType::Amf, NfType::Scp];
        profile.smf_info = Some(smf_info(&self.config));
        profile
    }
}

fn smf_info(config: &SmfConfig) -> SmfInfo {
    SmfInfo {
        s_nssai_smf_info_list: vec![SnssaiSmfInfo {
            s_nssai: config.slice.clone().into(),
            dnn_smf_info_list: vec![DnnSmfInfo {
                dnn: config.dnn.clone(),
                other: Map::new(),
            }],
            other: Map::new(),
        }],
        tai_list: vec![config.tracking_area.clone()],
        tai_range_list: Vec::new(),
        other: Map::from_iter([("accessType".to_owned(), json!(["3GPP_ACCESS"]))]),
    }
}
