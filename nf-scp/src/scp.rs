//! The SCP's process: the witness first, then an NF like the others.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::Method;
use mtc_core::id::{IdError, LogId, LogNumber};
use mtc_log::{
    CosigningKey, DirectoryStorage, StorageError, WitnessOpenError, WitnessStore, WitnessedLog,
};
use mtc_tls::key::{NfKey, NfKeyError};
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
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use crate::config::{ScpConfig, WitnessConfig};
use crate::metrics::WitnessMetrics;
use crate::routing::{Router, RoutingMetrics};
use crate::witness_api::WitnessApi;

/// Where the SCP is notified of NF instances, below its apiRoot.
const CALLBACK: &str = "/nscp-callback/v1/nf-status";
/// The domain that the lab's SCP serves.
const DOMAIN: &str = "lab";
/// Logs after those of the trust file that the witness knows: it keeps a few kilobytes for each, and logs that fail more
/// often have an operator who lists the newest one in the trust file.
const LOGS_AHEAD: u64 = 255;
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
    /// The witness's key cannot be read.
    #[error("cannot read the witness's key {}", path.display())]
    ReadKey {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The witness's key is not one.
    #[error("witness key {}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NfKeyError,
    },
    /// The witness's key cannot cosign.
    #[error("witness key")]
    CosigningKey(#[from] mtc_core::cosign::KeyError),
    /// An identifier.
    #[error("witness.id, or the CA's ID")]
    Id(#[from] IdError),
    /// The witness's folder.
    #[error("the witness's state in {}", path.display())]
    Storage {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        source: StorageError,
    },
    /// What the witness has stored.
    #[error("the witness's state in {}", path.display())]
    Witness {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        source: WitnessOpenError,
    },
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
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let is_own = request.path == CALLBACK && !request.headers.contains_key(TARGET_API_ROOT);
        if is_own && request.method == Method::POST {
            self.router.hear(&nf_status::notification(&request)?);
            return Ok(Response::no_content());
        }
        Ok(self.router.route(&request).await)
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
        let mut profile = NfProfile::new(instance.id, NfType::Scp, instance.fqdn.clone());
        profile.load = Some(0);
        match at.ip() {
            IpAddr::V4(ip) => profile.ipv4_addresses.push(ip),
            IpAddr::V6(ip) => profile.ipv6_addresses.push(ip),
        }
        profile.scp_domains = vec![DOMAIN.to_owned()];
        let ports = [("https".to_owned(), at.port())];
        let domain = ScpDomainInfo {
            scp_fqdn: Some(instance.fqdn.clone()),
            scp_ports: ports.clone().into(),
            ..ScpDomainInfo::default()
        };
        profile.scp_info = Some(ScpInfo {
            scp_ports: ports.into(),
            scp_domain_info_list: [(DOMAIN.to_owned(), domain)].into(),
            ..ScpInfo::default()
        });
        profile
    }
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
    let witness = config.witness.clone();
    let opening = spawn_blocking(move || open_witness(&witness, &trust_file));
    let store = Arc::new(
        opening
            .await
            .expect("opening does not panic and is not aborted")?,
    );
    let (listener, addr) = bind(config.witness.listen, "witness", "witness.listen")?;
    let metrics = Metrics::new();
    let mut limits = Limits::new(&config.nf.limits, &metrics);
    limits.budget = Budget::new(WITNESS_BUDGET);
    let witness_metrics = WitnessMetrics::new(&metrics.registry);
    witness_metrics.show(&store);
    let api = Arc::new(WitnessApi {
        store,
        clock,
        metrics: witness_metrics,
    });
    let serving = tokio::spawn(serve_plain(listener, api, limits, control.stop.clone()));
    events.tell(&Event::WitnessListening { addr });
    let (nrf, max_requests) = (Nrf::new(&config.nf.nrf), config.routing.max_requests);
    let routing_metrics = RoutingMetrics::new(&metrics.registry);
    let build = move |instance: &Arc<Instance>| {
        let router = Arc::new(Router::new(
            instance.clone(),
            nrf.clone(),
            max_requests,
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

/// The logs that are cosigned for: those of the trust file, and those with which the CA may go on after them without anybody
/// telling the witness. That the CA signs for them is checked with each checkpoint.
fn witnessed(known: &[LogNumber]) -> impl Iterator<Item = LogNumber> {
    let last = known.iter().max().map_or(0, |log| u64::from(log.get()));
    let after = last + 1..=last + LOGS_AHEAD;
    let known = known.iter().map(|log| u64::from(log.get()));
    known
        .chain(after)
        .filter_map(|number| LogNumber::new(number).ok())
}

/// Opens the witness for the logs of the trust file's CA. Blocks on the disk.
fn open_witness(config: &WitnessConfig, trust_file: &TrustFile) -> Result<WitnessStore, ScpError> {
    let text = std::fs::read_to_string(&config.key)
        .map(Zeroizing::new)
        .map_err(|source| ScpError::ReadKey {
            path: config.key.clone(),
            source,
        })?;
    let key = NfKey::from_pem(&text).map_err(|source| ScpError::Key {
        path: config.key.clone(),
        source,
    })?;
    let key = CosigningKey::new(config.id.parse()?, key.into_secret())?;
    let storage = DirectoryStorage::create(&config.state).map_err(|source| ScpError::Storage {
        path: config.state.clone(),
        source,
    })?;
    let mut logs = Vec::new();
    for number in witnessed(&trust_file.logs) {
        let id = LogId::new(*trust_file.trust.id(), number)?;
        logs.push(WitnessedLog {
            id,
            ca: trust_file.trust.cosigner().clone(),
        });
    }
    WitnessStore::open(Arc::new(storage), key, logs).map_err(|source| ScpError::Witness {
        path: config.state.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(known: &[u64]) -> Vec<u16> {
        let known = known
            .iter()
            .map(|log| LogNumber::new(*log).expect("a log number"));
        let known: Vec<_> = known.collect();
        witnessed(&known).map(LogNumber::get).collect()
    }

    #[test]
    fn the_logs_after_the_known_ones_are_cosigned_for_too() {
        assert_eq!(numbers(&[1]), (1..=256).collect::<Vec<_>>());
        assert_eq!(numbers(&[3, 1])[..4], [3, 1, 4, 5]);
        assert_eq!(numbers(&[65535]), [65535]);
        assert_eq!(numbers(&[65530]), (65530..=65535).collect::<Vec<_>>());
    }
}
