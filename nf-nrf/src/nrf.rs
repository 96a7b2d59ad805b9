//! The NRF's process: from configuration to drain.
//!
//! ```text
//! admin port ─> log opened or recovered ─> sequencer, landmarks ─> log port ─> own certificates (logged, cosigned)
//!            ─> SBI: nnrf-nfm, nnrf-disc, nnrf-cm ─> trust in its own landmarks ─> ready
//! ```
//!
//! A log that cannot be opened keeps no registry from working: with a certificate of its own that is still valid, or one of its
//! X.509 baselines, the NRF serves everything but Merkle Tree Certificates and the log, and is not ready.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mtc_core::causes::Causes;
use mtc_core::cosign::Cosigner;
use mtc_core::id::{IdError, LogId, LogNumber};
use mtc_log::{
    Issuer, LandmarkStore, Object, Sequencer, SequencerConfig, SequencerConfigError, Storage,
    StorageError, read_object,
};
use mtc_tls::credentials::{CredentialSet, MtcTrust};
use mtc_tls::identity::{NfSubject, SubjectError};
use mtc_tls::profile::ClientAuth;
use sbi::admin::Admin;
use sbi::clock;
use sbi::config::{ConfigError, Wanted};
use sbi::credentials::{Keeper, ObtainError};
use sbi::instance::Instance;
use sbi::ledger::Ledger;
use sbi::limits::Limits;
use sbi::listener::{ListenError, bind, serve_plain, serve_sbi};
use sbi::metrics::Metrics;
use sbi::model::{NfInstanceId, NfType};
use sbi::nf::{NfError, await_stop, keep_trust, load_root, open_key_log};
use sbi::orders::Orders;
use sbi::process::{Control, Event, Events, Stop};
use sbi::trust::TrustUpdater;
use sbi::trust_file::{TrustFile, TrustFileError};
use sbi::uri::{ApiRoot, Scheme, UriError};
use sbi::vault::{Vault, VaultError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::answers::Answers;
use crate::baseline::{BaselineCa, BaselineError};
use crate::config::NrfConfig;
use crate::discovery::Discovery;
use crate::enrolment::Enrolment;
use crate::enrolment_token::{AuthorityKeyError, TokenVerifier, UsedTokens, UsedTokensError};
use crate::files::{FileError, PrivateFolder, read_text};
use crate::inspection::keep_inspecting;
use crate::log_api::LogApi;
use crate::log_opening::{OpenLogError, OpenedLog, Unopened, open_current};
use crate::logs::{self, LogWish};
use crate::management::Management;
use crate::metrics::NrfMetrics;
use crate::mtca::Mtca;
use crate::own::OwnSource;
use crate::public_files::PublicPort;
use crate::registry::{Settings, SharedRegistry};
use crate::registry_files;
use crate::retired_log::RetiredLog;
use crate::services::Services;
use crate::witness_client::HttpWitness;
use crate::witness_times::WitnessTimes;

/// The record of used enrolment tokens in the private folder.
const USED_TOKENS: &str = "used-tokens";
/// How often missing heartbeats are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(500);

/// Why the NRF cannot start, or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NrfError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The trust file.
    #[error("trust file {}", path.display())]
    TrustFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<TrustFileError>,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The issuance log.
    #[error(transparent)]
    OpenLog(#[from] OpenLogError),
    /// The issuance log, and the NRF has no certificate to serve anything else with.
    #[error(transparent)]
    Unopened(#[from] Unopened),
    /// The sequencer.
    #[error("the sequencer")]
    Sequencer(#[from] SequencerConfigError),
    /// A witness has an address and is nobody in the trust file.
    #[error("witness {0} is not a cosigner in the trust file")]
    UnknownWitness(String),
    /// The CA's ID is too long for a log.
    #[error("the CA's ID")]
    Id(#[from] IdError),
    /// The enrolment authority's key.
    #[error("enrolment_authority {}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: AuthorityKeyError,
    },
    /// Whether there is an issuance log cannot be told.
    #[error("the issuance log")]
    Storage(#[from] StorageError),
    /// The record of used tokens.
    #[error(transparent)]
    UsedTokens(#[from] UsedTokensError),
    /// A baseline CA.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    /// X.509 credentials are wanted and there is no folder of CAs.
    #[error("x509 must name the folder of the baseline CAs, which mtc5g init writes")]
    NoX509,
    /// The NRF's own name.
    #[error("id, fqdn, country or plmn")]
    Subject(#[from] SubjectError),
    /// The NRF's own address.
    #[error("fqdn")]
    Fqdn(#[from] UriError),
    /// A root.
    #[error(transparent)]
    Nf(#[from] NfError),
    /// The NRF's own keys.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The NRF's own certificates.
    #[error("the NRF has no certificate; is a witness running, and at the address of [[witness]]?")]
    Own(#[from] ObtainError),
    /// A port.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// Runs the NRF until it is told to stop.
///
/// # Errors
/// It cannot start, or its log failed.
pub async fn run(
    config: &Path,
    wish: LogWish,
    forget_used_tokens: bool,
    events: Events,
    control: Control,
) -> Result<(), NrfError> {
    let config = sbi::config::load::<NrfConfig>(config)?.resolve(sbi::config::folder_of(config))?;
    let used_tokens = config.state.join(USED_TOKENS);
    if forget_used_tokens {
        tracing::warn!(path = %used_tokens.display(), "beginning a new record of used enrolment tokens: used ones that have not expired are good once more");
        UsedTokens::forget(&used_tokens)?;
    }
    let stop = control.stop.clone();
    let process = tokio::select! {
        started = Process::start(config, wish, events, control.stop) => started?,
        () = stop.wait() => return Ok(()),
    };
    process.finish().await;
    Ok(())
}

/// A running NRF, and what its parts share.
struct Process {
    config: NrfConfig,
    limits: Limits,
    ledger: Arc<Ledger>,
    metrics: Metrics,
    nrf_metrics: NrfMetrics,
    events: Events,
    /// What is still missing before the NRF is ready.
    missing: watch::Sender<String>,
    stop: Stop,
    tasks: JoinSet<()>,
}

/// The current log, opened, and what works on it.
struct Log {
    id: LogId,
    storage: Arc<dyn Storage>,
    issuer: Issuer,
    sequencer: Sequencer<HttpWitness>,
    landmarks: LandmarkStore,
    /// Who cosigns it.
    witnesses: Vec<Cosigner>,
    /// The logs before it.
    retired: BTreeMap<LogNumber, RetiredLog>,
}

impl Log {
    fn api(&self) -> LogApi {
        LogApi {
            current: self.id.number(),
            storage: self.storage.clone(),
            retired: self.retired.clone(),
        }
    }
}

impl Process {
    async fn start(
        config: NrfConfig,
        wish: LogWish,
        events: Events,
        stop: Stop,
    ) -> Result<Self, NrfError> {
        let metrics = Metrics::new();
        metrics.tell_type(&NfType::Nrf.to_string());
        let mut process = Self {
            limits: Limits::new(&config.limits, &metrics),
            config,
            ledger: Arc::new(Ledger::new(metrics.clone())),
            nrf_metrics: NrfMetrics::new(&metrics.registry),
            metrics,
            events,
            missing: watch::Sender::new("issuance log".to_owned()),
            stop,
            tasks: JoinSet::new(),
        };
        process.serve_admin().await?;
        process.spawn(clock::watch(process.metrics.clone()));
        let missing = process.missing.clone();
        clock::await_set(process.config.clock(), || {
            missing.send_replace("a clock that is set".to_owned());
        })
        .await;
        process.missing.send_replace("issuance log".to_owned());
        let trust_file = process.trust_file()?;
        let state = PrivateFolder::open(process.config.state.clone())?;
        begin_used_tokens(&process.config.log, &state)?;
        let log = match open_log(&process.config, &trust_file, wish, &process.nrf_metrics).await {
            Err(NrfError::OpenLog(error))
                if wish.goes_on_as_it_was() && error.concerns_log_alone() =>
            {
                return process.serve_without_log(error.into(), &trust_file).await;
            }
            opened => opened?,
        };
        let current = log.id.number();
        let log_api = log.api();
        let mtca = process.mtca(log)?;
        let enrolment = Arc::new(process.enrolment(Ok(mtca))?);
        let log_addr = process.serve_log(Ok(log_api)).await?;
        process.missing.send_replace("own certificates".to_owned());
        let (mut keeper, deadline) = process.load_certificates(&trust_file, &enrolment)?;
        keeper.complete(deadline).await?;
        if process.config.await_landmarks {
            keeper.complete_landmarks(deadline).await?;
        }
        keeper.renew_into(current);
        // Landmarks of a retired log may be gone with it.
        let own_landmark = keeper
            .newest_own_landmark()
            .filter(|(log, _)| *log == current);
        let instance = keeper.instance().clone();
        process.spawn(keeper.keep(Orders::none().of_instance(0)));
        let logs = trust_file.logs.into_iter().chain([current]);
        process.keep_trust(
            TrustUpdater::new(log_addr, logs, trust_file.trust)?,
            &instance,
        );
        process.serve_sbi(enrolment, &instance).await?;
        process.missing.send_replace("trust state".to_owned());
        let mut credentials = instance.store.receiver();
        credentials
            .wait_for(|set| set.mtc_trust.newest_landmark() >= own_landmark)
            .await;
        process.missing.send_replace(String::new());
        process.events.tell(&Event::Ready {
            nf_type: NfType::Nrf.to_string(),
        });
        Ok(process)
    }

    /// Serves what needs no issuance log. Nothing of the log is read for anybody, and nothing signed.
    async fn serve_without_log(
        mut self,
        unopened: Unopened,
        trust_file: &TrustFile,
    ) -> Result<Self, NrfError> {
        self.nrf_metrics.unopened();
        self.missing.send_replace("own certificates".to_owned());
        let enrolment = Arc::new(self.enrolment(Err(unopened.clone()))?);
        let (mut keeper, deadline) = self.load_certificates(trust_file, &enrolment)?;
        let is_x509 = |wanted| matches!(wanted, Wanted::X509(..));
        keeper.complete_of(is_x509, deadline).await?;
        if !keeper.has_valid() {
            return Err(unopened.into());
        }
        let error = format!("nothing is issued until a restart opens the issuance log: {unopened}");
        tracing::error!(
            error,
            "the issuance log cannot be opened; registration, discovery and X.509 certificates are served all the same"
        );
        self.serve_log(Err(unopened)).await?;
        let instance = keeper.instance().clone();
        self.spawn(keeper.keep(Orders::none().of_instance(0)));
        self.serve_sbi(enrolment, &instance).await?;
        self.missing.send_replace(error.clone());
        self.events.tell(&Event::Failed { error });
        Ok(self)
    }

    async fn finish(mut self) {
        await_stop(&mut self.tasks, self.stop.clone()).await;
        while self.tasks.join_next().await.is_some() {}
    }

    /// Runs `work` until it ends or the process stops.
    fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = stop.wait() => {}
            }
        });
    }

    fn trust_file(&self) -> Result<TrustFile, NrfError> {
        TrustFile::load(&self.config.trust).map_err(|source| NrfError::TrustFile {
            path: self.config.trust.clone(),
            source: Box::new(source),
        })
    }

    async fn serve_admin(&mut self) -> Result<(), NrfError> {
        let admin = Admin {
            missing: self.missing.subscribe(),
            ledger: self.ledger.clone(),
        };
        let (listener, addr) = bind(self.config.admin, "admin").await?;
        self.tasks.spawn(serve_plain(
            listener,
            Arc::new(admin),
            self.limits.clone(),
            self.stop.clone(),
        ));
        self.events.tell(&Event::AdminListening { addr });
        Ok(())
    }

    /// Serves the log, and returns where it is reached from this machine.
    async fn serve_log(&mut self, log: Result<LogApi, Unopened>) -> Result<SocketAddr, NrfError> {
        let (listener, addr) = bind(self.config.log_listen, "issuance log").await?;
        let port = PublicPort {
            log,
            files: self.config.public.clone(),
        };
        self.tasks.spawn(serve_plain(
            listener,
            Arc::new(port),
            self.limits.clone(),
            self.stop.clone(),
        ));
        Ok(reachable(addr))
    }

    async fn serve_sbi(
        &mut self,
        enrolment: Arc<Enrolment>,
        instance: &Instance,
    ) -> Result<(), NrfError> {
        let (listener, addr) = bind(self.config.listen, "SBI").await?;
        let services = Arc::new(self.services(addr, enrolment)?);
        self.tasks.spawn(serve_sbi(
            listener,
            instance.endpoint().clone(),
            ClientAuth::OptionalOrExpired {
                expired_within: self.config.renew_expired(),
            },
            services,
            self.ledger.clone(),
            self.limits.clone(),
            self.stop.clone(),
        ));
        self.events.tell(&Event::SbiListening {
            instance: self.config.fqdn.clone(),
            addr,
        });
        Ok(())
    }

    fn keep_trust(&mut self, updater: TrustUpdater, instance: &Arc<Instance>) {
        let interval = Duration::from_millis(self.config.trust_interval_ms);
        let (clock, metrics) = (self.config.clock(), self.metrics.clone());
        self.spawn(keep_trust(
            updater,
            clock,
            interval,
            vec![instance.clone()],
            metrics,
            Orders::none(),
        ));
    }

    /// Builds the MTCA and starts the sequencer and the landmarks.
    fn mtca(&mut self, log: Log) -> Result<Arc<Mtca>, NrfError> {
        let config = self.config.clone();
        let Log {
            id,
            storage,
            issuer,
            sequencer,
            landmarks,
            witnesses,
            retired: _,
        } = log;
        let witness_times = WitnessTimes::default();
        self.spawn(
            witness_times
                .clone()
                .keep_listening(id, witnesses, issuer.published()),
        );
        let inspecting = keep_inspecting(storage.clone(), issuer.clone(), self.nrf_metrics.clone());
        let mtca = Mtca::new(
            id,
            issuer,
            storage,
            landmarks,
            PrivateFolder::open(config.state.join("certificates"))?,
            config.certificate_lifetime(),
            Duration::from_secs(config.landmark_interval_seconds),
            config.clock(),
            self.ledger.clone(),
            self.nrf_metrics.clone(),
        );
        let mtca = Arc::new(mtca.with_witness_times(witness_times));
        let (events, missing) = (self.events.clone(), self.missing.clone());
        self.spawn(async move {
            if let Err(error) = sequencer.run().await {
                let error = Causes(&error).to_string();
                tracing::error!(
                    error,
                    "the issuance log has failed: no more certificates until a restart has recovered it"
                );
                missing.send_replace(format!("the issuance log has failed: {error}"));
                events.tell(&Event::Failed { error });
            }
        });
        self.spawn(mtca.clone().keep_landmarks());
        self.spawn(inspecting);
        Ok(mtca)
    }

    /// Builds the enrolment service.
    fn enrolment(&self, mtca: Result<Arc<Mtca>, Unopened>) -> Result<Enrolment, NrfError> {
        let config = &self.config;
        let state = PrivateFolder::open(config.state.clone())?;
        let mut baselines: Vec<BaselineCa> = Vec::new();
        for wanted in config.wanted()? {
            let Wanted::X509(profile, _) = wanted else {
                continue;
            };
            if !baselines
                .iter()
                .any(|baseline| baseline.profile() == profile)
            {
                let folder = config
                    .x509
                    .as_ref()
                    .ok_or(NrfError::NoX509)?
                    .join(profile.to_string());
                baselines.push(BaselineCa::load(&folder, profile)?);
            }
        }
        let authority = &config.enrolment_authority;
        let tokens =
            TokenVerifier::new(&read_text(authority)?).map_err(|source| NrfError::Authority {
                path: authority.clone(),
                source,
            })?;
        Ok(Enrolment {
            mtca,
            baselines,
            tokens,
            used: UsedTokens::open(&state.path(USED_TOKENS), config.clock().now())?,
            answers: Answers::open(
                PrivateFolder::open(state.path("answers"))?,
                config.clock().now(),
            )?,
            country: config.country.clone(),
            organization: config.plmn.home_domain(),
            clock: config.clock(),
            renew_expired: config.renew_expired(),
            lifetime: config.certificate_lifetime(),
            metrics: self.nrf_metrics.clone(),
        })
    }

    /// The NRF as an instance with the certificates that it has, and when it must have those that are missing.
    fn load_certificates(
        &self,
        trust_file: &TrustFile,
        enrolment: &Arc<Enrolment>,
    ) -> Result<(Keeper<OwnSource>, tokio::time::Instant), NrfError> {
        let config = &self.config;
        let mut x509_trust = Vec::new();
        for baseline in &enrolment.baselines {
            let folder = config
                .x509
                .as_ref()
                .ok_or(NrfError::NoX509)?
                .join(baseline.profile().to_string());
            x509_trust.push(load_root(baseline.profile(), &folder.join("root.crt"))?);
        }
        let instance = Instance::new(
            NfInstanceId::from(config.id),
            NfType::Nrf,
            config.fqdn.clone(),
            CredentialSet::new(MtcTrust::new(trust_file.trust.clone()), x509_trust),
            config.clock(),
            self.ledger.clone(),
        );
        let instance = Arc::new(match &config.key_log {
            Some(path) => instance.with_key_log(open_key_log(path)?),
            None => instance,
        });
        let subject = NfSubject::new(
            &config.country,
            &config.plmn.home_domain(),
            config.id,
            &[NfType::Nrf.to_string()],
            std::slice::from_ref(&config.fqdn),
        )?;
        let source = OwnSource {
            enrolment: enrolment.clone(),
            subject,
        };
        // It issues its own certificates, as often as it takes.
        let vault = Vault::open(&config.state.join("own"), config.id)?.replaceable();
        let keeper = Keeper::load(
            instance,
            source,
            config.wanted()?,
            vault,
            self.metrics.clone(),
        )?;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(config.startup_seconds);
        Ok((keeper, deadline))
    }

    /// Builds what answers on the SBI, with the registry as it was stored.
    fn services(
        &mut self,
        addr: SocketAddr,
        enrolment: Arc<Enrolment>,
    ) -> Result<Services, NrfError> {
        let config = self.config.clone();
        let folder = PrivateFolder::open(config.state.join("profiles"))?;
        let registry = registry_files::restore(&folder, Settings::default(), Instant::now())?;
        let registry = Arc::new(SharedRegistry::new(registry, registry_files::sink(folder)));
        self.spawn(expire(registry.clone(), self.nrf_metrics.clone()));
        let api_root = ApiRoot::new(Scheme::Https, &config.fqdn, addr.port())?;
        Ok(Services::new(
            Management::new(registry.clone(), api_root).counted_in(self.nrf_metrics.clone()),
            Discovery::new(registry, config.discovery_validity_seconds),
            enrolment,
        ))
    }
}

/// The address at which a listener is reached from this machine.
fn reachable(bound: SocketAddr) -> SocketAddr {
    if bound.ip().is_unspecified() {
        SocketAddr::from(([127, 0, 0, 1], bound.port()))
    } else {
        bound
    }
}

async fn open_log(
    config: &NrfConfig,
    trust_file: &TrustFile,
    wish: LogWish,
    metrics: &NrfMetrics,
) -> Result<Log, NrfError> {
    let mut witnesses = Vec::new();
    let mut cosigners = Vec::new();
    for address in &config.witness {
        let known = trust_file
            .cosigners
            .iter()
            .find(|cosigner| cosigner.id.to_string() == address.id);
        let cosigner = known.ok_or_else(|| NrfError::UnknownWitness(address.id.clone()))?;
        cosigners.push(cosigner.clone());
        let witness = HttpWitness::new(cosigner.clone(), address.addr.clone());
        witnesses.push(witness.counted_in(metrics.clone()));
    }
    let OpenedLog {
        id,
        storage,
        log,
        landmarks,
        logs,
    } = open_current(config, trust_file, wish, &witnesses).await?;
    let clock = config.clock();
    let sequencer_config = SequencerConfig {
        queue: config.queue,
        min_interval: Duration::from_millis(config.checkpoint_interval_ms),
        required_witnesses: config.required_witnesses,
        witness_deadline: Duration::from_secs(config.witness_deadline_seconds),
    };
    let signed = log.signed().clone();
    let (issuer, sequencer) = Sequencer::new(
        log,
        witnesses,
        sequencer_config,
        Arc::new(move || clock.now()),
    )?;
    let sequencer = sequencer.observed_by(metrics.observer());
    metrics.opened(&issuer, &signed);
    let retired = logs
        .retired()
        .map(|log| (log, RetiredLog::new(logs.folder(log))));
    Ok(Log {
        id,
        storage,
        issuer,
        sequencer,
        landmarks,
        witnesses: cosigners,
        retired: retired.collect(),
    })
}

/// Begins the record of used enrolment tokens before there is a log: a record that is missing beside one is a lost one.
///
/// # Errors
/// There is no record, and whether there is a log cannot be told: neither is then begun without the other.
fn begin_used_tokens(log: &Path, state: &PrivateFolder) -> Result<(), NrfError> {
    let record = state.path(USED_TOKENS);
    if record.exists() || state.path(logs::RECORD).exists() {
        return Ok(());
    }
    if read_object(log, &Object::SignedCheckpoint)?.is_none() {
        UsedTokens::begin(&record)?;
    }
    Ok(())
}

/// Suspends and purges instances whose heartbeats are missing, and counts those that are there, for ever.
async fn expire(registry: Arc<SharedRegistry>, metrics: NrfMetrics) {
    let mut ticks = tokio::time::interval(EXPIRY_INTERVAL);
    loop {
        ticks.tick().await;
        let late = registry.clone();
        // Off the runtime: what changes is written to disk. It fails only when the runtime ends.
        let _ = tokio::task::spawn_blocking(move || late.expire(Instant::now())).await;
        registry.read(|registry| {
            let registered = registry.profiles();
            let types = registered.map(|profile| profile.nf_type.as_str());
            metrics.registered(types);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn no_log_is_begun_without_a_record_of_used_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let (log, state) = (folder.path().join("log"), folder.path().join("state"));
        let state = PrivateFolder::open(state).unwrap();
        // A folder in the checkpoint's place cannot be read, as a file cannot when the disk fails.
        let checkpoint = log.join(Object::SignedCheckpoint.to_string());
        fs::create_dir_all(&checkpoint).unwrap();
        let refused = begin_used_tokens(&log, &state);
        assert!(matches!(refused, Err(NrfError::Storage(_))), "{refused:?}");
        assert!(!state.path(USED_TOKENS).exists());

        fs::remove_dir(&checkpoint).unwrap();
        begin_used_tokens(&log, &state).unwrap();
        assert!(state.path(USED_TOKENS).exists());
    }
}
