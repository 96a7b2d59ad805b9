//! An instance as a network function of its type: its profile, and the way from a request to its handler.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use hyper::Method;
use sbi::instance::Instance;
use sbi::model::{NfProfile, NfService, NfType, PlmnId, ServiceName};
use sbi::nf::NetworkFunction;
use sbi::nnrf::Nrf;
use sbi::problem::{Cause, Problem};
use sbi::response::Response;
use sbi::server::{Handler, Request};
use sbi::uri::ApiRoot;

use crate::ausf::{self, Ausf};
use crate::config::PeersConfig;
use crate::pcf::{self, Pcf};
use crate::udm::{self, Udm};

/// Octets of a request; the largest, a subscription to three resources, takes a few hundred.
const MAX_REQUEST: usize = 8 * 1024;
/// Seconds after which a consumer that came too early may try again.
const RETRY_WHEN_STARTING: u32 = 1;

/// An instance.
pub struct Peer {
    role: Role,
    plmn: PlmnId,
    /// Known when the port is, which is before the instance can be discovered.
    api_root: OnceLock<ApiRoot>,
}

enum Role {
    Ausf(Box<Ausf>),
    Udm(Box<Udm>),
    Pcf(Box<Pcf>),
}

impl Peer {
    /// What `instance` is by its type; AUSFs look UDMs up at `nrf`.
    pub fn new(config: &PeersConfig, instance: Arc<Instance>, nrf: Nrf) -> Self {
        let PeersConfig {
            plmn,
            slice,
            max_ues,
            connection_uses,
        } = config;
        let role = match instance.nf_type {
            NfType::Udm => Role::Udm(Box::new(Udm::new(slice.clone(), *max_ues))),
            NfType::Pcf => Role::Pcf(Box::new(Pcf::new(*max_ues))),
            // The configuration has no other types.
            _ => {
                let ausf = Ausf::new(instance, nrf, *connection_uses, *max_ues);
                Role::Ausf(Box::new(ausf))
            }
        };
        Self {
            role,
            plmn: plmn.clone(),
            api_root: OnceLock::new(),
        }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// The problem to answer with.
    async fn answer(&self, request: &Request) -> Result<Response, Problem> {
        let segments = request.segments()?;
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let api_root = self.api_root.get().ok_or_else(|| {
            let detail = "this NF is not registered yet";
            Problem::unavailable(Cause::NfCongestion, detail, RETRY_WHEN_STARTING)
        })?;
        match &self.role {
            Role::Ausf(ausf) => ausf.handle(request, &segments, api_root).await,
            Role::Udm(udm) => udm.handle(request, &segments, api_root),
            Role::Pcf(pcf) => pcf.handle(request, &segments, api_root),
        }
    }
}

impl Handler for Peer {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        self.answer(&request).await
    }

    fn max_body(&self, _method: &Method, _path: &str) -> usize {
        MAX_REQUEST
    }
}

impl NetworkFunction for Peer {
    fn profile(&self, instance: &Instance, at: SocketAddr) -> NfProfile {
        self.api_root.get_or_init(|| instance.api_root(at.port()));
        let (first, others, consumers): (_, &[ServiceName], _) = match &self.role {
            Role::Ausf(_) => (&ausf::SERVICES[0], &ausf::SERVICES[1..], vec![NfType::Amf]),
            Role::Udm(_) => (
                &udm::SERVICES[0],
                &udm::SERVICES[1..],
                vec![NfType::Ausf, NfType::Amf, NfType::Smf],
            ),
            Role::Pcf(_) => (
                &pcf::SERVICES[0],
                &pcf::SERVICES[1..],
                vec![NfType::Amf, NfType::Smf],
            ),
        };
        let mut profile = instance.producing(first.clone(), at);
        for name in others {
            let mut service = NfService::new(name.clone());
            service.fqdn = Some(instance.fqdn.clone());
            service.ip_end_points = vec![at.into()];
            profile
                .nf_service_list
                .insert(service.service_instance_id.clone(), Box::new(service));
        }
        profile.plmn_list = vec![self.plmn.clone()];
        profile.allowed_nf_types = consumers;
        profile.allowed_nf_types.push(NfType::Scp);
        profile
    }
}
