//! The AMF as a network function: its profile, and what its services and its operations share.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use hyper::Method;
use sbi::header::UserAgent;
use sbi::instance::Instance;
use sbi::model::{AmfInfo, NfProfile, NfService, NfType, ServiceName};
use sbi::nf::NetworkFunction;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, Request};
use sbi::uri::{ApiRoot, Scheme};
use serde_json::Map;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::OnceCell;

use crate::communication::Communication;
use crate::config::AmfConfig;
use crate::selection::Candidates;
use crate::ue_context::SharedUeContexts;

/// What the NRF is told of the preference and weight of an instance; all are equal.
const PRIORITY: u16 = 1;
const CAPACITY: u16 = 100;
/// Octets of a request: two binary parts of a few hundred and a JSON part of 2 KiB.
const MAX_MESSAGE: usize = 32 * 1024;

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
        self.api_root.get_or_init(|| {
            ApiRoot::new(Scheme::Https, &instance.fqdn, at.port())
                .expect("the instance has a certificate for its fqdn, so it is a host name")
        });
        let mut service = NfService::new(ServiceName::NamfComm);
        service.fqdn = Some(instance.fqdn.clone());
        service.ip_end_points = vec![at.into()];
        let mut profile = NfProfile::new(instance.id, NfType::Amf, &instance.fqdn);
        match at.ip() {
            IpAddr::V4(ip) => profile.ipv4_addresses.push(ip),
            IpAddr::V6(ip) => profile.ipv6_addresses.push(ip),
        }
        profile.plmn_list = vec![self.config.plmn.clone()];
        profile.s_nssais = vec![self.config.slice.clone().into()];
        profile.allowed_nf_types = vec![NfType::Smf, NfType::Scp];
        profile.priority = Some(PRIORITY);
        profile.capacity = Some(CAPACITY);
        profile.load = Some(0);
        profile.recovery_time.clone_from(&self.started);
        profile.amf_info = Some(amf_info(&self.config));
        profile
            .nf_service_list
            .insert(service.service_instance_id.clone(), service);
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
