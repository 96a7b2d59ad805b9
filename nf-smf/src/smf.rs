//! The SMF as a network function: its profile, and the way from a request to its handler and back to the AMF.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use hyper::{Method, StatusCode};
use mtc_core::causes::Causes;
use mtc_tls::profile::ConnectionProfile;
use procedures::caller::ExchangeError;
use sbi::client::ClientError;
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
use tokio::sync::watch;

use crate::amf_status::{AmfStatus, CALLBACK};
use crate::config::SmfConfig;
use crate::departure;
use crate::n1n2::{Transfer, TransferCounts, Transfers};
use crate::pdu_session::{Answer, Change, PduSessions, nested};
use crate::serving_amf::ServingAmfs;
use crate::sm_context::PduSession;
use crate::subscription::{Subject, Subscription};

/// Seconds after which a peer that came too early may try again.
const RETRY_WHEN_STARTING: u32 = 1;

/// An SMF instance.
pub struct Smf {
    config: Arc<SmfConfig>,
    sessions: Arc<PduSessions>,
    transfers: Arc<Transfers>,
    amfs: Arc<ServingAmfs>,
    status: Arc<AmfStatus>,
    /// Where the NRF tells of AMFs, from when it is known.
    callback: watch::Sender<Option<String>>,
    subscription: Subscription,
    /// Known when the port is, which is before the instance can be discovered.
    api_root: OnceLock<ApiRoot>,
}

impl Smf {
    /// The SMF that `instance` is; AMFs are looked up at `nrf`, also by tasks of the current runtime that end with the SMF.
    pub fn new(config: Arc<SmfConfig>, instance: Arc<Instance>, nrf: Nrf) -> Self {
        let subscription = Subscription::new(&config, instance.clone(), nrf.clone());
        let amfs = Arc::new(ServingAmfs::new(instance.clone(), nrf.clone()));
        let status = Arc::new(AmfStatus::default());
        let callback = watch::Sender::new(None);
        tokio::spawn(status.clone().keep(nrf, amfs.clone(), callback.subscribe()));
        let serves = smf_info(&config);
        let sessions = PduSessions::new(serves, config.bounds(), config.max_transfers);
        let sessions = Arc::new(sessions);
        tokio::spawn(departure::keep(
            Arc::downgrade(&sessions),
            amfs.clone(),
            status.clone(),
        ));
        Self {
            sessions,
            transfers: Arc::new(Transfers::new(instance, amfs.clone())),
            amfs,
            status,
            callback,
            subscription,
            api_root: OnceLock::new(),
            config,
        }
    }

    /// Asks UDM and PCF for what a new session needs.
    async fn establish(&self, transfer: &Transfer, api_root: &ApiRoot) -> Result<(), Problem> {
        let Transfer {
            context,
            session,
            slice,
            profile,
            ..
        } = transfer;
        let subject = Subject {
            session,
            profile: *profile,
        };
        let established = self.subscription.establish(subject, slice, api_root).await;
        if let Some(policy) = established.map_err(|error| refusal(&error))? {
            self.sessions.give_policy(*context, policy);
        }
        Ok(())
    }

    /// Has UDM and PCF take part in a change. A session that is released is so whatever they say.
    async fn change(
        &self,
        change: &Change,
        profile: Option<ConnectionProfile>,
    ) -> Result<(), Problem> {
        let (Change::Modified(context) | Change::Released(context)) = change;
        let subject = Subject {
            session: &context.session,
            profile,
        };
        let policy = context.policy.as_ref();
        match (change, policy) {
            (Change::Modified(_), Some(policy)) => {
                let modified = self.subscription.modify(subject, policy).await;
                modified.map_err(|error| refusal(&error))
            }
            (Change::Modified(_), None) => Ok(()),
            (Change::Released(_), policy) => {
                if let Err(error) = self.subscription.release(subject, policy).await {
                    let PduSession { supi, id } = &context.session;
                    let error = Causes(&error);
                    tracing::warn!(supi, pdu_session_id = id, %error, "UDM or PCF keeps a session that is no more");
                }
                Ok(())
            }
        }
    }

    /// What became of its N1N2 transfers.
    pub fn transfers(&self) -> TransferCounts {
        self.transfers.counts()
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
            change,
        } = self.sessions.handle(&request, rest, api_root)?;
        let profile = request.peer.profile;
        if let Some(change) = change
            && let Err(refused) = self.change(&change, profile).await
        {
            return Ok(nested(refused));
        }
        if let Some(transfer) = transfer {
            if let Err(refused) = self.establish(&transfer, api_root).await {
                return Ok(self.sessions.take_back(transfer.context, refused));
            }
            let transfers = self.transfers.clone();
            // Not awaited: the AMF gets its answer first. Bounded by the transfer's place and time.
            let carrying_out = async move { transfers.carry_out(transfer).await };
            tokio::spawn(trace::carried(carrying_out));
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

/// What the AMF hears when UDM or PCF does not do its part (TS 29.502 clause 6.1.7.3).
fn refusal(error: &ExchangeError) -> Problem {
    let (status, cause) = match error {
        ExchangeError::Call {
            source: ClientError::Status { status, .. },
            ..
        } if status.is_client_error() => (StatusCode::FORBIDDEN, Cause::SubscriptionDenied),
        _ => (StatusCode::GATEWAY_TIMEOUT, Cause::PeerNotResponding),
    };
    Problem::with_cause(status, cause, error.to_string())
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
