//! The SMF as a network function: its profile, and the way from a request to its handler and back to the AMF.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use hyper::Method;
use sbi::instance::Instance;
use sbi::message::MAX_MESSAGE;
use sbi::model::{DnnSmfInfo, NfProfile, NfType, ServiceName, SmfInfo, SnssaiSmfInfo};
use sbi::nf::NetworkFunction;
use sbi::nnrf::Nrf;
use sbi::problem::{Cause, Problem};
use sbi::response::Response;
use sbi::server::{Handler, Request};
use sbi::trace;
use sbi::uri::ApiRoot;
use serde_json::{Map, json};

use crate::config::SmfConfig;
use crate::departure;
use crate::n1n2::{TransferCounts, Transfers};
use crate::pdu_session::{Answer, PduSessions};
use crate::serving_amf::ServingAmfs;

/// Seconds after which a peer that came too early may try again.
const RETRY_WHEN_STARTING: u32 = 1;

/// An SMF instance.
pub struct Smf {
    config: Arc<SmfConfig>,
    sessions: Arc<PduSessions>,
    transfers: Arc<Transfers>,
    /// Known when the port is, which is before the instance can be discovered.
    api_root: OnceLock<ApiRoot>,
}

impl Smf {
    /// The SMF that `instance` is; AMFs are looked up at `nrf`, also by a task of the current runtime that ends with the SMF.
    pub fn new(config: Arc<SmfConfig>, instance: Arc<Instance>, nrf: Nrf) -> Self {
        let amfs = Arc::new(ServingAmfs::new(instance.clone(), nrf));
        let serves = smf_info(&config);
        let sessions = PduSessions::new(serves, config.bounds(), config.max_transfers);
        let sessions = Arc::new(sessions);
        tokio::spawn(departure::keep(Arc::downgrade(&sessions), amfs.clone()));
        Self {
            sessions,
            transfers: Arc::new(Transfers::new(instance, amfs)),
            api_root: OnceLock::new(),
            config,
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
        let ["nsmf-pdusession", "v1", rest @ ..] = segments.as_slice() else {
            return Err(Problem::invalid_api(&["nsmf-pdusession/v1"]));
        };
        let api_root = self.api_root.get().ok_or_else(|| {
            let detail = "this SMF is not registered yet";
            Problem::unavailable(Cause::NfCongestion, detail, RETRY_WHEN_STARTING)
        })?;
        let Answer { response, transfer } = self.sessions.handle(&request, rest, api_root)?;
        if let Some(transfer) = transfer {
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
        self.api_root.get_or_init(|| instance.api_root(at.port()));
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
