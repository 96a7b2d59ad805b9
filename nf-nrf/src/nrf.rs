//! The NRF's process: from configuration to drain.
//!
//! ```text
//! admin port ─> log opened or recovered ─> sequencer, landmarks ─> log port ─> own certificates (logged, cosigned)
//!            ─> SBI: nnrf-nfm, nnrf-disc, nnrf-oauth2, nnrf-cm ─> trust in its own landmarks ─> ready
//! ```
//!
//! A log that cannot be opened keeps no registry from working: with a certificate of its own that is still valid, or one of its
//! X.509 baselines, the NRF serves everything but Merkle Tree Certificates and the log, and is not ready.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use mtc_core::cosign::{Cosigner, KeyError};
use mtc_core::id::{IdError, LogId, LogNumber, TrustAnchorId};
use mtc_log::{
    Issuer, LandmarkStore, Object, Sequencer, SequencerConfig, SequencerConfigError, Storage,
    StorageError,
};
use mtc_tls::credentials::{CredentialSet, MtcTrust};
use mtc_tls::endpoint::Endpoint;
use mtc_tls::identity::{NfSubject, SubjectError};
use mtc_tls::key::{NfKey, NfKeyError};
use mtc_tls::profile::{ClientAuth, Tokens};
use mtc_web::HttpError;
use sbi::config::{ConfigError, Wanted, x509_profiles};
use sbi::credentials::{Keeper, ObtainError};
use sbi::instance::Instance;
use sbi::listener::{ListenError, bind};
use sbi::metrics::Metrics;
use sbi::model::{NfInstanceId, NfType};
use sbi::nf::{Life, NfError, x509_trust};
use sbi::orders::Orders;
use sbi::process::{Control, Event, Events, Stop};
use sbi::trust::{TrustError, TrustUpdater};
use sbi::trust_file::{TrustFile, TrustFileError};
use sbi::uri::{ApiRoot, Scheme, UriError};
use sbi::vault::{Vault, VaultError};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use crate::access_token::{AccessTokenService, TokenKey};
use crate::acme_port::{self, AcmePort};
use crate::answers::Answers;
use crate::baseline::{BaselineCa, BaselineError};
use crate::bootstrapping::Bootstrapping;
use crate::callback::Reach;
use crate::cleartext::{self, Cleartext, Registries};
use crate::cmp_port::CmpPort;
use crate::config::NrfConfig;
use crate::courier::{CleartextDial, Couriers, TlsDial};
use crate::discovery::Discovery;
use crate::enrolment::Enrolment;
use crate::enrolment_token::{
    AuthorityKeyError, SharedSecrets, SharedSecretsError, TokenVerifier, UsedTokens,
    UsedTokensError,
};
use crate::files::{FileError, PrivateFolder, read_text};
use crate::inspection::keep_inspecting;
use crate::kept_registry;
use crate::kubernetes::{FetchError, Pods};
use crate::log_api::LogApi;
use crate::log_opening::{OpenLogError, OpenedLog, Unopened, open_current};
use crate::log_place::LogPlace;
use crate::logs::{self, LogStart};
use crate::management::Management;
use crate::metrics::NrfMetrics;
use crate::metrics::notifications::NotificationMetrics;
use crate::mtca::Mtca;
use crate::openapi::OpenApi;
use crate::own::OwnSource;
use crate::public_files::PublicPort;
use crate::registry::{Registry, Settings, SharedRegistry};
use crate::retired_log::RetiredLog;
use crate::revocation::{PublishError, Publisher, RevocationCommand};
use crate::revoked::{Revoked, RevokedError};
use crate::services::Services;
use crate::state_lock::{StateLock, StateLockError};
use crate::subscribing::Subscribing;
use crate::subscriptions::Bounds;
use crate::witness_client::HttpWitness;
use crate::witness_times::WitnessTimes;
use crate::x509_status::X509Status;

/// The record of used enrolment tokens in the private folder.
const USED_TOKENS: &str = "used-tokens";

/// Why the NRF cannot start, or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NrfError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The trust file.
    #[error(transparent)]
    TrustFile(#[from] TrustFileError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The state folder.
    #[error(transparent)]
    StateLock(#[from] StateLockError),
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
    /// Certificates could have fewer cosignatures than relying parties ask for.
    #[error(
        "required_witnesses: with {required} of these [[witness]] tables a certificate may have only {sure} of the {wanted} cosignatures \
         that a [[group]] of the trust file asks for"
    )]
    Quorum {
        /// How many witnesses must cosign.
        required: usize,
        /// How many of a group are among them, whoever they are.
        sure: usize,
        /// How many of the group relying parties ask for.
        wanted: usize,
    },
    /// The CA's ID is too long for a log.
    #[error("the CA's ID")]
    Id(#[from] IdError),
    /// The NRF's own logs cannot be followed.
    #[error("the NRF's own logs")]
    Trust(#[from] TrustError),
    /// A witness cannot be asked.
    #[error("witness {id}")]
    Witness {
        /// Its cosigner ID.
        id: String,
        /// Why.
        source: HttpError,
    },
    /// The enrolment authority's key.
    #[error("enrolment_authority {}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: AuthorityKeyError,
    },
    /// The key of CMP secrets.
    #[error("cmp.secrets {}", path.display())]
    CmpSecrets {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SharedSecretsError,
    },
    /// The public keys of the cluster whose pods may enrol.
    #[error("kubernetes.jwks")]
    Kubernetes(#[from] FetchError),
    /// The key of ACME's external accounts.
    #[error("acme.external_accounts {}", path.display())]
    ExternalAccounts {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SharedSecretsError,
    },
    /// What was revoked.
    #[error("the record of revoked certificates")]
    Revoked(#[from] RevokedError),
    /// The list of what was revoked.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A key of access tokens.
    #[error("token_keys {}", path.display())]
    TokenKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NfKeyError,
    },
    /// The library holds a key of access tokens that it does not take back.
    #[error("token_keys")]
    TokenPublicKey(#[from] KeyError),
    /// There is no key of access tokens.
    #[error("token_keys {}: there is no key; mtc5g init makes es256.key, ml-dsa-44.key and ml-dsa-65.key", .0.display())]
    NoTokenKey(PathBuf),
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
    #[error("x509 must be the folder of the baseline CAs, which mtc5g init writes")]
    NoX509,
    /// The NRF's own name.
    #[error("id, fqdn, country or plmn")]
    Subject(#[from] SubjectError),
    /// The NRF's own address.
    #[error("fqdn")]
    Fqdn(#[from] UriError),
    /// What the life of every NF needs: ports, the key log, roots.
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
    log_start: LogStart,
    forget_used_tokens: bool,
    events: Events,
    control: Control,
) -> Result<(), NrfError> {
    let config = sbi::config::load::<NrfConfig>(config)?.resolve(sbi::config::folder_of(config))?;
    if forget_used_tokens {
        // It may be lost with the record.
        let used_tokens = PrivateFolder::open(config.state.clone())?.path(USED_TOKENS);
        tracing::warn!(path = %used_tokens.display(), "starting a new record of used enrolment tokens: used ones that have not expired are accepted again");
        UsedTokens::forget(&used_tokens)?;
    }
    let stop = control.stop.clone();
    let process = tokio::select! {
        started = Process::start(config, log_start, events, control.stop) => started?,
        () = stop.wait() => return Ok(()),
    };
    process.finish().await;
    Ok(())
}

/// A running NRF, and what its parts share.
struct Process {
    life: Life,
    config: NrfConfig,
    nrf_metrics: NrfMetrics,
    /// Below which its issuance logs are served.
    log_root: ApiRoot,
    /// No other NRF uses the state folder meanwhile.
    _state: StateLock,
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
        log_start: LogStart,
        events: Events,
        stop: Stop,
    ) -> Result<Self, NrfError> {
        let metrics = Metrics::new();
        let nrf_metrics = NrfMetrics::new(&metrics.registry);
        let life = Life::begin(NfType::Nrf, config.process(), metrics, events, stop).await?;
        let state = PrivateFolder::open(config.state.clone())?;
        let mut process = Self {
            life,
            nrf_metrics,
            log_root: cleartext::api_root(config.log_listen, &config.fqdn)?,
            _state: StateLock::take(&state)?,
            config,
        };
        process.life.lacks("issuance log");
        let trust_file = TrustFile::load(&process.config.trust)?;
        let policy = process.config.access_tokens;
        process.life.use_access_tokens(
            policy,
            trust_file.token_keys.clone(),
            process.config.client_credentials,
        )?;
        let (for_thread, private) = (process.config.clone(), state.clone());
        spawn_blocking(move || {
            let log = LogPlace::of(&for_thread, &private).map_err(OpenLogError::from)?;
            begin_used_tokens(&log, &private)
        })
        .await
        .map_err(OpenLogError::from)??;
        let log = match open_log(
            &process.config,
            &trust_file,
            log_start,
            &process.nrf_metrics,
        )
        .await
        {
            Err(NrfError::OpenLog(error))
                if log_start.opens_what_there_is() && error.concerns_log_alone() =>
            {
                return process.serve_without_log(error.into(), &trust_file).await;
            }
            opened => opened?,
        };
        let current = log.id.number();
        let (log_api, storage) = (log.api(), log.storage.clone());
        let mtca = process.mtca(log)?;
        let enrolment = Arc::new(process.enrolment(Ok(mtca), trust_file.trust.id())?);
        process.publish_revoked(&enrolment, Some(storage))?;
        let log_addr = process.serve_log(Ok(log_api), &enrolment)?;
        process.life.lacks("own certificates");
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
        process
            .keep_x509_status(log_addr, &instance, deadline)
            .await?;
        let keeping = keeper.keep(Orders::none().of_instance(0));
        process.life.spawn(keeping);
        let logs = trust_file.logs.into_iter().chain([current]);
        let updater = TrustUpdater::new(log_addr, logs, trust_file.trust)?
            .keeping_revoked_in(&process.config.state.join("trust"))?;
        process
            .life
            .keep_trust(updater, vec![instance.clone()], Orders::none(), None);
        process.serve_sbi(enrolment, &instance).await?;
        process.life.lacks("trust state");
        let mut credentials = instance.store.receiver();
        credentials
            .wait_for(|set| set.mtc_trust.newest_landmark() >= own_landmark)
            .await;
        process.life.lacks("");
        process.life.tell_ready();
        Ok(process)
    }

    /// Serves what needs no issuance log. Nothing of the log is read for anybody, and nothing signed.
    async fn serve_without_log(
        mut self,
        unopened: Unopened,
        trust_file: &TrustFile,
    ) -> Result<Self, NrfError> {
        self.nrf_metrics.unopened();
        self.life.lacks("own certificates");
        let ca = trust_file.trust.id();
        let enrolment = Arc::new(self.enrolment(Err(unopened.clone()), ca)?);
        self.publish_revoked(&enrolment, None)?;
        let (mut keeper, deadline) = self.load_certificates(trust_file, &enrolment)?;
        let is_x509 = |wanted| matches!(wanted, Wanted::X509(..));
        keeper.complete_of(is_x509, deadline).await?;
        if !keeper.has_valid() {
            return Err(unopened.into());
        }
        let error = format!("nothing is issued until a restart opens the issuance log: {unopened}");
        tracing::error!(
            error,
            "the issuance log cannot be opened; registration, discovery and X.509 certificates are still served"
        );
        let log_addr = self.serve_log(Err(unopened), &enrolment)?;
        let instance = keeper.instance().clone();
        self.keep_x509_status(log_addr, &instance, deadline).await?;
        self.life.spawn(keeper.keep(Orders::none().of_instance(0)));
        self.serve_sbi(enrolment, &instance).await?;
        self.life.lacks(error.clone());
        self.life.events.tell(&Event::Failed { error });
        Ok(self)
    }

    async fn finish(mut self) {
        self.life.await_stop().await;
        self.life.end().await;
    }

    /// Serves the log and what the X.509 CAs say, and returns where both are reached from this machine.
    fn serve_log(
        &mut self,
        log: Result<LogApi, Unopened>,
        enrolment: &Arc<Enrolment>,
    ) -> Result<SocketAddr, NrfError> {
        let lists = PrivateFolder::open(self.config.state.join("x509-lists"))?;
        let lifetime = self.config.status_lifetime();
        let port = Arc::new(PublicPort {
            log,
            status: X509Status::open(enrolment.clone(), lists, lifetime)?,
            files: self.config.public.clone(),
            openapi: OpenApi::default(),
        });
        let addr = self.config.log_listen;
        let addr = self
            .life
            .serve_plain(addr, "issuance log", "log_listen", port)?;
        self.log_root = cleartext::api_root(addr, &self.config.fqdn)?;
        Ok(reachable(addr))
    }

    /// Asks its own CAs for what every other instance asks them for.
    async fn keep_x509_status(
        &mut self,
        log: SocketAddr,
        instance: &Arc<Instance>,
        deadline: tokio::time::Instant,
    ) -> Result<(), NrfError> {
        let roots = instance.store.current().x509_trust.clone();
        let own = [instance.clone()];
        let keeper = self.life.x509_status(log, &roots, &own, deadline).await?;
        if let Some(keeper) = keeper {
            self.life.spawn(keeper.keep(own.to_vec()));
        }
        Ok(())
    }

    async fn serve_sbi(
        &mut self,
        enrolment: Arc<Enrolment>,
        instance: &Arc<Instance>,
    ) -> Result<(), NrfError> {
        self.serve_cmp(&enrolment, instance)?;
        self.serve_acme(&enrolment, instance)?;
        let (listener, addr) = bind(self.config.listen, "SBI", "listen")?;
        let services = Arc::new(self.services(addr, instance, enrolment)?);
        let auth = ClientAuth::OptionalOrExpired {
            expired_within: self.config.renew_expired(),
        };
        self.life
            .serve_sbi(listener, addr, instance, auth, services);
        Ok(())
    }

    /// Serves CMP if the configuration says so.
    fn serve_cmp(
        &mut self,
        enrolment: &Arc<Enrolment>,
        instance: &Arc<Instance>,
    ) -> Result<(), NrfError> {
        let config = self.config.clone();
        let Some(cmp) = &config.cmp else {
            return Ok(());
        };
        let secrets = Zeroizing::new(read_text(&cmp.secrets)?);
        let secrets = SharedSecrets::new(&secrets).map_err(|source| NrfError::CmpSecrets {
            path: cmp.secrets.clone(),
            source,
        })?;
        let port = CmpPort::new(
            enrolment.clone(),
            secrets,
            Endpoint::new(instance.store.receiver(), config.clock()),
            &subject(&config)?.name_der(),
        );
        let addr = self
            .life
            .serve_plain(cmp.listen, "CMP", "cmp.listen", Arc::new(port))?;
        tracing::info!(%addr, "serving CMP at http://{addr}/.well-known/cmp");
        Ok(())
    }

    /// Serves ACME if the configuration says so.
    fn serve_acme(
        &mut self,
        enrolment: &Arc<Enrolment>,
        instance: &Arc<Instance>,
    ) -> Result<(), NrfError> {
        let config = self.config.clone();
        let Some(acme) = config.acme else {
            return Ok(());
        };
        let path = acme.external_accounts;
        let key = Zeroizing::new(read_text(&path)?);
        let external_accounts = SharedSecrets::new(&key)
            .map_err(|source| NrfError::ExternalAccounts { path, source })?;
        let (listener, addr) = bind(acme.listen, "ACME", "acme.listen")?;
        let own_root = ApiRoot::new(Scheme::Https, &config.fqdn, addr.port())?;
        let root = acme.url.unwrap_or_else(|| own_root.to_string());
        tracing::info!(%addr, "serving ACME at {root}/acme/directory");
        let place = acme_port::Place {
            root,
            logs: self.log_root.to_string(),
            ca_certificate: TrustFile::load(&config.trust)?.certificate_der,
        };
        let port = AcmePort::new(
            enrolment.clone(),
            external_accounts,
            &PrivateFolder::open(config.state.join("acme"))?,
            place,
        )?;
        self.life.serve_https(listener, instance, Arc::new(port));
        Ok(())
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
        self.life.spawn(
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
            self.life.ledger.clone(),
            self.nrf_metrics.clone(),
        );
        let mtca = Arc::new(mtca.with_witness_times(witness_times));
        let (events, missing) = (self.life.events.clone(), self.life.missing());
        self.life.spawn(async move {
            if let Err(error) = sequencer.run().await {
                let error = Causes(&error).to_string();
                tracing::error!(
                    error,
                    "the issuance log has failed: no certificates are issued until a restart recovers it"
                );
                missing.send_replace(format!("the issuance log has failed: {error}"));
                events.tell(&Event::Failed { error });
            }
        });
        self.life.spawn(mtca.clone().keep_landmarks());
        self.life.spawn(inspecting);
        Ok(mtca)
    }

    /// Builds the enrolment service.
    fn enrolment(
        &mut self,
        mtca: Result<Arc<Mtca>, Unopened>,
        ca: &TrustAnchorId,
    ) -> Result<Enrolment, NrfError> {
        let pods = self.pods()?;
        let config = &self.config;
        let state = PrivateFolder::open(config.state.clone())?;
        let mut baselines = Vec::new();
        for profile in x509_profiles(&config.wanted()?) {
            let x509 = config.x509.as_ref().ok_or(NrfError::NoX509)?;
            let ca = BaselineCa::load(&x509.join(profile.to_string()), profile)?;
            baselines.push(ca.published_below(&config.log_url()));
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
            pods,
            answers: Answers::open(
                PrivateFolder::open(state.path("answers"))?,
                config.clock().now(),
            )?,
            revoked: Revoked::open(PrivateFolder::open(state.path("revoked"))?, ca)?,
            country: config.country.clone(),
            organization: config.plmn.home_domain(),
            clock: config.clock(),
            renew_expired: config.renew_expired(),
            lifetime: config.certificate_lifetime(),
            metrics: self.nrf_metrics.clone(),
        })
    }

    /// Who pods are, if they may enrol. Their cluster's keys are kept from now on.
    fn pods(&mut self) -> Result<Option<Pods>, NrfError> {
        let Some(kubernetes) = &self.config.kubernetes else {
            return Ok(None);
        };
        let (pods, keeping) = Pods::open(kubernetes)?;
        self.life.spawn(keeping.keep());
        Ok(Some(pods))
    }

    /// Publishes what is revoked beside the log in `storage`, if that is open, and takes orders to revoke.
    fn publish_revoked(
        &mut self,
        enrolment: &Arc<Enrolment>,
        storage: Option<Arc<dyn Storage>>,
    ) -> Result<(), NrfError> {
        let config = self.config.clone();
        let mut published = None;
        if let (Some(storage), Ok(mtca)) = (storage, &enrolment.mtca) {
            let path = &config.cosigner_key;
            let key = NfKey::from_pem(&Zeroizing::new(read_text(path)?));
            let key = key.map_err(|source| OpenLogError::CosignerKey {
                path: path.clone(),
                source,
            })?;
            let publisher = Publisher::new(
                *mtca.log().ca(),
                key.into_secret(),
                Duration::from_secs(config.revocation_list_lifetime_seconds),
                PrivateFolder::open(config.state.clone())?,
                storage,
                &enrolment.revoked,
                config.clock(),
                self.nrf_metrics.clone(),
            )?;
            published = Some(publisher.published());
            self.life.spawn(publisher.keep());
        }
        self.life.take_commands(Box::new(RevocationCommand {
            enrolment: enrolment.clone(),
            published,
        }));
        Ok(())
    }

    /// The NRF as an instance with the certificates that it has, and when it must have those that are missing.
    fn load_certificates(
        &self,
        trust_file: &TrustFile,
        enrolment: &Arc<Enrolment>,
    ) -> Result<(Keeper<OwnSource>, tokio::time::Instant), NrfError> {
        let config = &self.config;
        let wanted = config.wanted()?;
        let x509 = x509_trust(config.x509.as_deref(), &wanted)?;
        let instance = self.life.instance(
            None,
            NfInstanceId::from(config.id),
            config.fqdn.clone(),
            CredentialSet::new(MtcTrust::new(trust_file.trust.clone()), x509),
            true,
        );
        let source = OwnSource {
            enrolment: enrolment.clone(),
            subject: subject(config)?,
        };
        // It issues its own certificates, as often as it takes.
        let vault = Vault::open(&config.state.join("own"), config.id)?.replaceable();
        let metrics = self.life.metrics.clone();
        let keeper = Keeper::load(instance, source, wanted, vault, metrics)?;
        let deadline = self.life.deadline();
        Ok((keeper, deadline))
    }

    /// Builds what answers on the SBI, with the registry as it was stored.
    fn services(
        &mut self,
        addr: SocketAddr,
        instance: &Arc<Instance>,
        enrolment: Arc<Enrolment>,
    ) -> Result<Services, NrfError> {
        let config = self.config.clone();
        let (registry, notifier) = kept_registry::open(
            ["profiles", "subscriptions"].map(|name| config.state.join(name)),
            (Settings::default(), Bounds::default()),
            config.clock(),
            self.nrf_metrics.notifications(),
        )?;
        let metrics = self.nrf_metrics.clone();
        let count = move |registry: &Registry| metrics.registered(registry.counts());
        self.life.spawn(kept_registry::expire(
            registry.clone(),
            notifier.clone(),
            count,
        ));
        self.serve_cleartext(&registry)?;
        let api_root = ApiRoot::new(Scheme::Https, &config.fqdn, addr.port())?;
        let reach = Reach::of(addr.ip());
        let dial = TlsDial {
            instance: instance.clone(),
            registry: registry.clone(),
            reach,
        };
        let couriers = Couriers::new(notifier.clone(), api_root.clone(), dial);
        self.life.spawn(couriers.run());
        let services = Services::new(
            Management::new(registry.clone(), api_root.clone())
                .counted_in(self.nrf_metrics.clone()),
            Subscribing::new(notifier, registry.clone(), api_root.clone(), reach)
                .guarded_by(instance.access_tokens().cloned()),
            Discovery::new(registry.clone(), config.discovery_validity_seconds),
            Bootstrapping::new(instance.id, &api_root, config.token_keys.is_some()),
            enrolment,
        );
        let Some(folder) = &config.token_keys else {
            return Ok(services);
        };
        let service = AccessTokenService {
            id: instance.id,
            plmn: config.plmn.clone(),
            registry,
            keys: token_keys(folder)?,
            credentials: instance.client_credentials().cloned(),
            lifetime_seconds: config.access_token_lifetime_seconds,
            clock: config.clock(),
            ledger: self.life.ledger.clone(),
            metrics: self.nrf_metrics.clone(),
        };
        Ok(services.with_access_tokens(service))
    }

    /// Serves a registry in cleartext if the configuration says so, beside that of those who are `certified`.
    fn serve_cleartext(&mut self, certified: &Arc<SharedRegistry>) -> Result<(), NrfError> {
        let config = self.config.clone();
        let Some(cleartext) = &config.cleartext else {
            return Ok(());
        };
        let (claimed, notifier) = kept_registry::open(
            ["cleartext-profiles", "cleartext-subscriptions"].map(|name| config.state.join(name)),
            (
                cleartext::settings(cleartext.heartbeat_seconds),
                cleartext::bounds(),
            ),
            config.clock(),
            // Not shown: those that are shown are of subscribers with certificates.
            NotificationMetrics::new(&Default::default()),
        )?;
        let metrics = self.nrf_metrics.clone();
        let count = move |registry: &Registry| metrics.claimed(registry.len());
        self.life.spawn(kept_registry::expire(
            claimed.clone(),
            notifier.clone(),
            count,
        ));
        let (listener, addr) = bind(cleartext.listen, "cleartext SBI", "cleartext.listen")?;
        let api_root = cleartext::api_root(addr, &config.fqdn)?;
        let reach = Reach::of(addr.ip());
        let couriers = Couriers::new(notifier.clone(), api_root.clone(), CleartextDial { reach });
        self.life.spawn(couriers.run());
        tracing::warn!(
            %addr, beyond_loopback = cleartext.beyond_loopback,
            "cleartext is set: whoever reaches this port can register, discover and change everything that is registered there, unauthenticated"
        );
        self.nrf_metrics.serves_cleartext();
        let registries = Registries {
            claimed,
            certified: certified.clone(),
        };
        let handler = Cleartext::new(
            registries,
            notifier,
            api_root,
            reach,
            config.discovery_validity_seconds,
            self.nrf_metrics.clone(),
        );
        self.life.serve_cleartext_sbi(listener, Arc::new(handler));
        Ok(())
    }
}

/// What the NRF's own certificates say of it.
fn subject(config: &NrfConfig) -> Result<NfSubject, SubjectError> {
    NfSubject::new(
        &config.country,
        &config.plmn.home_domain(),
        config.id,
        &[NfType::Nrf.to_string()],
        std::slice::from_ref(&config.fqdn),
    )
}

/// The keys of access tokens that are in a folder. Blocks on the disk.
fn token_keys(folder: &Path) -> Result<Vec<TokenKey>, NrfError> {
    let mut keys = Vec::new();
    for tokens in Tokens::ALL {
        let path = folder.join(format!("{tokens}.key"));
        if tokens == Tokens::None || !path.exists() {
            continue;
        }
        let key = NfKey::from_pem(&Zeroizing::new(read_text(&path)?));
        let key = key.map_err(|source| NrfError::TokenKey { path, source })?;
        keys.push(TokenKey::new(key.into_secret())?);
    }
    if keys.is_empty() {
        return Err(NrfError::NoTokenKey(folder.to_owned()));
    }
    Ok(keys)
}

/// The address at which a listener is reached from this machine.
fn reachable(bound: SocketAddr) -> SocketAddr {
    if bound.ip().is_unspecified() {
        SocketAddr::from(([127, 0, 0, 1], bound.port()))
    } else {
        bound
    }
}

/// Refuses a number of witnesses with which a certificate could be issued that relying parties refuse: any so many may cosign it.
fn check_quorums(
    required: usize,
    witnesses: &[Cosigner],
    trust_file: &TrustFile,
) -> Result<(), NrfError> {
    for group in trust_file.trust.groups() {
        let is_member = |witness: &&Cosigner| group.members().iter().any(|of| of.id == witness.id);
        let others = witnesses.iter().filter(|of| !is_member(of)).count();
        let (sure, wanted) = (required.saturating_sub(others), group.required());
        if sure < wanted {
            return Err(NrfError::Quorum {
                required,
                sure,
                wanted,
            });
        }
    }
    Ok(())
}

async fn open_log(
    config: &NrfConfig,
    trust_file: &TrustFile,
    log_start: LogStart,
    metrics: &NrfMetrics,
) -> Result<Log, NrfError> {
    let mut witnesses = Vec::new();
    let mut cosigners = Vec::new();
    for address in &config.witness {
        let cosigner = trust_file
            .cosigner(&address.id)
            .ok_or_else(|| NrfError::UnknownWitness(address.id.clone()))?;
        cosigners.push(cosigner.clone());
        let witness = HttpWitness::new(cosigner.clone(), address);
        let witness = witness.map_err(|source| NrfError::Witness {
            id: address.id.clone(),
            source,
        })?;
        witnesses.push(witness.counted_in(metrics.clone()));
    }
    check_quorums(config.required_witnesses, &cosigners, trust_file)?;
    let OpenedLog {
        id,
        storage,
        log,
        landmarks,
        logs,
    } = open_current(config, trust_file, log_start, &witnesses).await?;
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
    metrics.required_witnesses(config.required_witnesses);
    let retired = logs
        .retired()
        .map(|log| (log, RetiredLog::new(logs.place(log))));
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
fn begin_used_tokens(log: &LogPlace, state: &PrivateFolder) -> Result<(), NrfError> {
    let record = state.path(USED_TOKENS);
    if record.exists() || state.path(logs::RECORD).exists() {
        return Ok(());
    }
    if log.read(&Object::SignedCheckpoint)?.is_none() {
        UsedTokens::begin(&record)?;
    }
    Ok(())
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
        let place = LogPlace::from(log);
        let refused = begin_used_tokens(&place, &state);
        assert!(matches!(refused, Err(NrfError::Storage(_))), "{refused:?}");
        assert!(!state.path(USED_TOKENS).exists());

        fs::remove_dir(&checkpoint).unwrap();
        begin_used_tokens(&place, &state).unwrap();
        assert!(state.path(USED_TOKENS).exists());
    }
}
