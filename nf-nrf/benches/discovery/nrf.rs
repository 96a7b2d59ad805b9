//! The NRF's cleartext port as the NRF serves it, on one thread: listener, services, registry, files, expiry and couriers are its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::{HeaderMap, Method, StatusCode};
use mtc_tls::cpu::process_time;
use nf_nrf::callback::Reach;
use nf_nrf::caller::Callers;
use nf_nrf::cleartext::{Cleartext, Registries};
use nf_nrf::courier::{CleartextDial, Couriers};
use nf_nrf::discovery::Discovery;
use nf_nrf::kept_registry;
use nf_nrf::metrics::NrfMetrics;
use nf_nrf::offload::Offload;
use nf_nrf::registry::{Registry, Settings, SharedRegistry};
use sbi::limits::Limits;
use sbi::listener::{bind, serve_cleartext_sbi};
use sbi::metrics::Metrics;
use sbi::model::{Document, NfProfile};
use sbi::process::Stop;
use sbi::server::{Peer, Request};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::Outcome;
use crate::population::smf;

/// Seconds for which a consumer may use a result.
const VALIDITY: u32 = 60;

/// An NRF that serves until it is dropped.
pub(crate) struct Nrf {
    pub(crate) addr: SocketAddr,
    pub(crate) registry: Arc<SharedRegistry>,
    runtime: Runtime,
    _stopper: watch::Sender<bool>,
    _state: TempDir,
}

impl Nrf {
    /// An NRF with the first `instances` of the population, at `addr`.
    pub(crate) fn serve(instances: usize, addr: SocketAddr) -> Outcome<Self> {
        let state = tempfile::tempdir()?;
        let metrics = Metrics::new();
        let nrf_metrics = NrfMetrics::new(&metrics.registry);
        let folders = ["profiles", "subscriptions"].map(|name| state.path().join(name));
        let (registry, notifier) = kept_registry::open(
            folders,
            (Settings::default(), Default::default()),
            Default::default(),
            nrf_metrics.notifications(),
        )?;
        fill(&registry, instances)?;
        // As many as the NRF has on one core; what blocks has threads of its own there too.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let (listener, addr) = bind(addr, "bench", "none")?;
        let api_root: sbi::uri::ApiRoot = format!("http://{addr}").parse()?;
        let reach = Reach::of(addr.ip());
        let dial = CleartextDial { reach };
        runtime.spawn(Couriers::new(notifier.clone(), api_root.clone(), dial).run());
        let counted = nrf_metrics.clone();
        let count = move |registry: &Registry| counted.registered(registry.counts());
        runtime.spawn(kept_registry::expire(
            registry.clone(),
            notifier.clone(),
            count,
        ));
        let registries = Registries {
            claimed: registry.clone(),
            certified: nobody(),
        };
        let handler = Cleartext::new(registries, notifier, api_root, reach, VALIDITY, nrf_metrics);
        let limits = Limits::new(&Default::default(), &metrics);
        let (stopper, stop) = Stop::new();
        let requests = metrics.requests;
        runtime.spawn(serve_cleartext_sbi(
            listener,
            Arc::new(handler),
            requests,
            limits,
            stop,
        ));
        drop(entered);
        Ok(Self {
            addr,
            registry,
            runtime,
            _stopper: stopper,
            _state: state,
        })
    }

    /// The CPU time of each of `queries`, none of which was asked before, without HTTP.
    pub(crate) fn ask_first(&self, queries: &[String]) -> Duration {
        let certified = nobody();
        let discovery = Discovery::new(self.registry.clone(), VALIDITY);
        let discovery = Arc::new(discovery.called_by(Callers::Claimed { certified }));
        let offload = Offload::default();
        let requests: Vec<_> = queries.iter().map(|query| request(query)).collect();
        let before = process_time();
        self.runtime.block_on(async {
            for request in &requests {
                let answer = discovery.handle(request, &["nf-instances"], &offload).await;
                assert_eq!(
                    answer.map(|answer| answer.status).ok(),
                    Some(StatusCode::OK)
                );
            }
        });
        (process_time() - before) / u32::try_from(queries.len()).expect("a few queries")
    }
}

/// Registers the first `instances` of the population, as their `PUT` does.
pub(crate) fn fill(registry: &SharedRegistry, instances: usize) -> Outcome<()> {
    let now = Instant::now();
    for number in 0..instances {
        let profile = NfProfile::read(smf(number).to_string().as_bytes());
        let profile = profile.expect("a valid profile");
        registry.update(|registry| registry.register(profile, now))?;
    }
    Ok(())
}

fn nobody() -> Arc<SharedRegistry> {
    let registry = Registry::new(Settings::default());
    Arc::new(SharedRegistry::new(registry, Box::new(|_| {})))
}

fn request(query: &str) -> Request {
    let (path, query) = query.split_once('?').expect("a query");
    Request {
        method: Method::GET,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: HeaderMap::new(),
        body: Default::default(),
        peer: Arc::new(Peer::cleartext(([127, 0, 0, 1], 1).into())),
    }
}
