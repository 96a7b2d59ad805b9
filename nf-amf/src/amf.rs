//! The AMF as a network function: its profile, and what its services and its operations share.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use hyper::Method;
use sbi::header::UserAgent;
use sbi::instance::Instance;
use sbi::message::MAX_MESSAGE;
use sbi::model::{AmfInfo, NfProfile, NfType, ServiceName};
use sbi::nf::NetworkFunction;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::selection::Candidates;
use sbi::server::{Handler, Request};
use sbi::uri::ApiRoot;
use serde_json::Map;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::OnceCell;

use crate::communication::Communication;
use crate::config::AmfConfig;
use crate::home::Home;
use crate::mobility::Mobility;
use crate::ue_context::SharedUeContexts;

/// An AMF instance.
pub struct Amf {
    pub(crate) config: Arc<AmfConfig>,
    pub(crate) instance: Arc<Instance>,
    pub(crate) agent: Option<UserAgent>,
    pub(crate) contexts: SharedUeContexts,
    /// Known when the port is, which is before the instance can be discovered.
    pub(crate) api_root: OnceLock<ApiRoot>,
    /// The SMFs for operation `handshake`; an empty cell is being filled.
    pub(crate) known_smfs: Mutex<Arc<OnceCell<Candidates>>>,
    /// Operations `handshake` so far.
    pub(crate) handshakes: AtomicU64,
    /// The registration state of its UEs.
    pub(crate) mobility: Mobility,
    /// The producers for its UEs' procedures.
    pub(crate) home: Home,
    communication: Communication,
    /// When it started, with no contexts: RFC 3339, for `recoveryTime`. None in a year that has no such form.
    started: Option<String>,
}

impl Amf {
    /// The AMF that `instance` is.
    pub fn new(config: Arc<AmfConfig>, instance: Arc<Instance>) -> Self {
        let contexts = SharedUeContexts::new(config.max_ue_contexts);
        Self {
            agent: UserAgent::new(&instance.nf_type, &instance.fqdn).ok(),
            communication: Communication::new(contexts.clone()),
            api_root: OnceLock::new(),
            known_smfs: Mutex::default(),
            handshakes: AtomicU64::new(0),
            mobility: Mobility::new(config.max_ue_contexts),
            home: Home::default(),
            started: OffsetDateTime::now_utc().format(&Rfc3339).ok(),
            config,
            instance,
            contexts,
        }
    }
}

impl Handler for Amf {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let segments = request.segments()?;
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        self.communication.handle(&request, &segments)
    }

    fn max_body(&self, _method: &Method, _path: &str) -> usize {
        MAX_MESSAGE
    }
}

impl NetworkFunction for Amf {
    fn profile(&self, instance: &Instance, at: SocketAddr) -> NfProfile {
        self.api_root.get_or_init(|| instance.api_root(at.port()));
        let mut profile = instance.producing(ServiceName::NamfComm, at);
        profile.plmn_list = vec![self.config.plmn.clone()];
        profile.s_nssais = vec![self.config.slice.clone().into()];
        profile.allowed_nf_types = vec![NfType::Smf, NfType::Scp];
        profile.recovery_time.clone_from(&self.started);
        profile.amf_info = Some(amf_info(&self.config));
        profile
    }
}

fn amf_info(config: &AmfConfig) -> AmfInfo {
    AmfInfo {
        amf_region_id: format!("{:02x}", config.region),
        amf_set_id: format!("{:03x}", config.set),
        guami_list: vec![config.guami()],
        tai_list: vec![config.tracking_area.clone()],
        tai_range_list: Vec::new(),
        other: Map::new(),
    }
}
