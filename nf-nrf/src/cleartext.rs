//! The registry in cleartext: `nnrf-nfm` and `nnrf-disc` over HTTP/2 with prior knowledge, for network functions of other
//! projects that have no certificate of the lab. Off unless the configuration has `[cleartext]`.
//!
//! ```text
//!   mutual TLS  ──> services ──> registry <── read: whose id is it? ──┐
//!   cleartext   ──> Cleartext ──> a registry and subscriptions of its own ──> notifications in cleartext, to who subscribed
//! ```
//!
//! Who calls is not known, only claimed ([`Callers::Claimed`]), so the two registries never mix: what is registered in cleartext
//! is discovered, told and changed in cleartext alone, and an instance that is registered with a certificate cannot be spoken for.
//! Certificates (`nnrf-cm`) and access tokens are not served.
//!
//! Deviation: TS 33.501 clause 13.1 has TLS mandatory to support and its use up to the operator; peers' laboratories go without.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use hyper::StatusCode;
use sbi::operation::ServiceOperation;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, Request};
use sbi::uri::{ApiRoot, Scheme, UriError};

use crate::callback::Reach;
use crate::caller::Callers;
use crate::discovery::Discovery;
use crate::management::Management;
use crate::metrics::NrfMetrics;
use crate::notifier::Notifier;
use crate::offload::Offload;
use crate::registry::{Settings, SharedRegistry};
use crate::subscribing::Subscribing;
use crate::subscriptions::Bounds;

const SERVICES: [&str; 2] = ["nnrf-nfm/v1", "nnrf-disc/v1"];

/// Most instances: a laboratory of another project has a dozen, and who is not known must not fill the disk.
const MAX_INSTANCES: usize = 256;
/// Most subscriptions, for the same reason; each instance has one for each kind of NF that it calls.
const MAX_SUBSCRIPTIONS: usize = 2048;

/// Answers on the cleartext port.
pub struct Cleartext {
    management: Arc<Management>,
    subscribing: Arc<Subscribing>,
    discovery: Arc<Discovery>,
    /// Places of its own: those with a certificate do not wait for it.
    offload: Offload,
    metrics: NrfMetrics,
}

/// What is registered in cleartext, and what for others with a certificate.
pub struct Registries {
    /// Of those that came in cleartext.
    pub claimed: Arc<SharedRegistry>,
    /// Of those with a certificate, whom nobody else may speak for.
    pub certified: Arc<SharedRegistry>,
}

impl Cleartext {
    /// The services at `api_root` on what is registered in cleartext, whose subscriptions `notifier` keeps. Consumers may use a
    /// result for `validity_period` seconds.
    pub fn new(
        registries: Registries,
        notifier: Arc<Notifier>,
        api_root: ApiRoot,
        reach: Reach,
        validity_period: u32,
        metrics: NrfMetrics,
    ) -> Self {
        let Registries { claimed, certified } = registries;
        let callers = Callers::Claimed { certified };
        let management = Management::new(claimed.clone(), api_root.clone())
            .counted_in(metrics.clone())
            .called_by(callers.clone());
        let subscribing =
            Subscribing::new(notifier, claimed.clone(), api_root, reach).called_by(callers.clone());
        let discovery = Discovery::new(claimed, validity_period).called_by(callers);
        Self {
            management: Arc::new(management),
            subscribing: Arc::new(subscribing),
            discovery: Arc::new(discovery),
            offload: Offload::default(),
            metrics,
        }
    }
}

/// Bounds of what is registered in cleartext by instances that send a heartbeat every so many seconds, unless they propose another
/// interval.
pub fn settings(heartbeat_seconds: u32) -> Settings {
    let settings = Settings::default();
    let (shortest, longest) = settings.heartbeat_range.into_inner();
    Settings {
        max_instances: MAX_INSTANCES,
        heartbeat_interval: heartbeat_seconds,
        heartbeat_range: shortest..=longest.max(heartbeat_seconds),
        ..Settings::default()
    }
}

/// Bounds of subscriptions in cleartext.
pub fn bounds() -> Bounds {
    Bounds {
        max_subscriptions: MAX_SUBSCRIPTIONS,
        ..Bounds::default()
    }
}

/// The root of a listener at `bound`, which has the name `fqdn` where its address is all of the machine's.
///
/// # Errors
/// The name is none.
pub(crate) fn api_root(bound: SocketAddr, fqdn: &str) -> Result<ApiRoot, UriError> {
    let host = match bound {
        _ if bound.ip().is_unspecified() => fqdn.to_owned(),
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    };
    ApiRoot::new(Scheme::Http, &host, bound.port())
}

impl Handler for Cleartext {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let path = request.segments()?;
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["nnrf-nfm", "v1", "subscriptions", ..] => {
                let subscribing = self.subscribing.clone();
                let work = move || subscribing.handle(&request, &below(&path)[1..]);
                self.offload.run(work).await
            }
            ["nnrf-nfm", "v1", ..] => {
                let management = self.management.clone();
                let work = move || management.handle(&request, &below(&path), Instant::now());
                self.offload.run(work).await
            }
            ["nnrf-disc", "v1", ..] => {
                let (discovery, segments) = (&self.discovery, below(&path));
                discovery.handle(&request, &segments, &self.offload).await
            }
            _ => Err(Problem::invalid_api(&SERVICES)),
        }
    }

    fn answered(&self, operation: ServiceOperation, status: Option<StatusCode>) {
        self.metrics.answered(operation, status);
    }
}

/// The segments after API name and version.
fn below(path: &[String]) -> Vec<&str> {
    path.iter().skip(2).map(String::as_str).collect()
}
