//! The SCP's process: the witness first, then an NF like the others.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use hyper::{HeaderMap, Method};
use sbi::body::Body;
use sbi::budget::Budget;
use sbi::clock;
use sbi::config::ConfigError;
use sbi::header::TARGET_API_ROOT;
use sbi::instance::Instance;
use sbi::limits::Limits;
use sbi::listener::{ListenError, bind, serve_plain};
use sbi::metrics::Metrics;
use sbi::model::{NfProfile, NfType, ScpDomainInfo, ScpInfo};
use sbi::nf::{self, NetworkFunction, NfError};
use sbi::nf_status;
use sbi::nnrf::Nrf;
use sbi::problem::Problem;
use sbi::process::{Control, Event, Events};
use sbi::response::Response;
use sbi::server::{Handler, Request};
use sbi::trust_file::{TrustFile, TrustFileError};
use tokio::sync::watch;

use crate::config::ScpConfig;
use crate::routing::{Router, RoutingMetrics};
use crate::witness::{self, WitnessError};

/// Where the SCP is notified of NF instances, below its apiRoot.
const CALLBACK: &str = "/nscp-callback/v1/nf-status";
/// Bytes that the witness's port may hold for its peers: requests have 64 KiB at most and are answered at once. It is not taken
/// from what routed requests may have, so that a full SCP still cosigns. Peers without a certificate, as all are here, may take half.
const WITNESS_BUDGET: usize = 64 << 20;

/// Why the SCP cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScpError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The trust file.
    #[error(transparent)]
    TrustFile(#[from] TrustFileError),
    /// The witness.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// A port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The NF half.
    #[error(transparent)]
    Nf(#[from] NfError),
}

/// The SCP as an NF.
struct Scp {
    router: Arc<Router>,
    /// Where the NRF tells of producers, from when it is known.
    callback: watch::Sender<Option<String>>,
}

impl Handler for Scp {
    const RELAYS: bool = true;

    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        self.router.hear(&nf_status::notification(&request)?);
        Ok(Response::no_content())
    }

    /// All but what the NRF tells the SCP itself.
    fn relays(&self, method: &Method, path: &str, headers: &HeaderMap) -> bool {
        let is_own = path == CALLBACK && !headers.contains_key(TARGET_API_ROOT);
        !(is_own && method == Method::POST)
    }

    async fn relay(&self, request: Request, body: Body) -> Result<hyper::Response<Body>, Problem> {
        Ok(self.router.route(&request, body).await)
    }
}

impl NetworkFunction for Scp {
    fn profile(&self, instance: &Instance, at: SocketAddr) -> NfProfile {
        let uri = format!("{}{CALLBACK}", instance.api_root(at.port()));
        self.callback.send_if_modified(|callback| {
            let is_new = callback.is_none();
            callback.get_or_insert(uri);
            is_new
        });
        profile(instance, at, self.router.domain())
    }
}

/// The profile of `instance` as an SCP at `at` that serves `domain`.
pub fn profile(instance: &Instance, at: SocketAddr, domain: &str) -> NfProfile {
    let mut profile = NfProfile::new(instance.id, NfType::Scp, instance.fqdn.clone());
    profile.load = Some(0);
    match at.ip() {
        IpAddr::V4(ip) => profile.ipv4_addresses.push(ip),
        IpAddr::V6(ip) => profile.ipv6_addresses.push(ip),
    }
    profile.scp_domains = vec![domain.to_owned()];
    let ports = [("https".to_owned(), at.port())];
    let in_domain = ScpDomainInfo {
        scp_fqdn: Some(instance.fqdn.clone()),
        scp_ports: ports.clone().into(),
        ..ScpDomainInfo::default()
    };
    profile.scp_info = Some(ScpInfo {
        scp_ports: ports.into(),
        scp_domain_info_list: [(domain.to_owned(), in_domain)].into(),
        ..ScpInfo::default()
    });
    profile
}

/// Runs the SCP until it is told to stop.
///
/// # Errors
/// It cannot start.
pub async fn run(config: &Path, events: Events, control: Control) -> Result<(), ScpError> {
    let config = ScpConfig::load(config)?;
    let clock = config.nf.clock();
    let trust_file = TrustFile::load(&config.nf.trust)?;
    tokio::select! {
        // A witness signs times.
        () = clock::await_set(clock) => {}
        () = control.stop.clone().wait() => return Ok(()),
    }
    let metrics = Metrics::new();
    let witness = config.witness.clone();
    let api = witness::open(witness, trust_file, clock, &metrics.registry).await?;
    let (listener, addr) = bind(config.witness.listen, "witness", "witness.listen")?;
    let mut limits = Limits::new(&config.nf.limits, &metrics);
    limits.budget = Budget::new(WITNESS_BUDGET);
    let serving = tokio::spawn(serve_plain(listener, api, limits, control.stop.clone()));
    events.tell(&Event::WitnessListening { addr });
    let (nrf, routing) = (Nrf::new(&config.nf.nrf), config.routing);
    let routing_metrics = RoutingMetrics::new(&metrics.registry);
    let build = move |instance: &Arc<Instance>| {
        let router = Arc::new(Router::new(
            instance.clone(),
            nrf.clone(),
            &routing,
            routing_metrics.clone(),
        ));
        let callback = watch::Sender::new(None);
        tokio::spawn(router.clone().keep_hearing(callback.subscribe()));
        Scp { router, callback }
    };
    let starting = nf::start(
        config.nf,
        NfType::Scp,
        build,
        metrics,
        events,
        control.stop.clone(),
        control.orders,
    );
    nf::run(starting, control.stop).await?;
    // The witness answers until the very end: it ends with the same signal, and a panic in it was reported by its task.
    let _ = serving.await;
    Ok(())
}
