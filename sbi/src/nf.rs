//! The one life of a network function's process, from configuration to drain.
//!
//! ```text
//!  config ─> admin port ─> for each instance: certificates ─> SBI port ─> trust ─> NFRegister ─> [landmarks] ─> ready
//!                                                                                                     │
//!     heartbeats, renewal, trust updates  <───────────────────────────────────────────────────────────┘
//!                                   stop ─> NFDeregister ─> finish requests in progress ─> end
//! ```
//!
//! An NF is a configuration, a profile and a [`Handler`]; everything between is here. Who serves other things than an SBI of its own only
//! [enrols](enrol): certificates, trust and their upkeep, without a port and a registration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use mtc_core::id::{LandmarkNumber, LogNumber};
use mtc_tls::credentials::{CredentialSet, MtcTrust};
use mtc_tls::profile::ClientAuth;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::address::own_address_towards;
use crate::backoff;
use crate::config::{InstanceConfig, NfConfig, Wanted};
use crate::credentials::{Keeper, NrfSource};
use crate::durable::Folder;
use crate::instance::{CallError, Instance};
use crate::ledger::StartStep;
use crate::listener::{bind, descriptor_limit};
use crate::metrics::Metrics;
use crate::model::{NfInstanceId, NfProfile, NfType};
use crate::nnrf::{Nrf, NrfTokens};
use crate::orders::Orders;
use crate::pool;
use crate::process::{Events, Stop};
use crate::server::Handler;
use crate::trust::TrustUpdater;
use crate::trust_file::TrustFile;
use crate::vault::{Vault, folder_of_vaults};
use crate::x509_status::StatusKeeper;

mod descriptors;
mod error;
mod life;
mod many;
mod presence;
mod registration;
mod roots;
mod trust_keeping;

pub use error::NfError;
pub use life::Life;
pub use roots::x509_trust;

use presence::{Contact, Presence};
use registration::{Described, Registrar, Registration, is_temporary};
use trust_keeping::{await_trust, publish_trust, show_learnt};

/// Instances that enrol at the same time: enough to keep the processors busy while most wait for a checkpoint that covers them.
const ENROLLING: usize = 256;
/// Instances that register, deregister or fetch what a landmark has brought at the same time: nobody waits for anything but processors.
const REGISTERING: usize = 32;
/// How long deregistration may hold up a stop.
const DEREGISTER_TIME: Duration = Duration::from_secs(2);
/// Folder of what a process has learnt of its CA, in that of its state.
const TRUST: &str = "trust";
/// Pause after a heartbeat, or a look at the log, that did not get through.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A network function: what it answers, and how it describes itself.
pub trait NetworkFunction: Handler {
    /// The profile that is registered for `instance`, which serves at `at`.
    fn profile(&self, instance: &Instance, at: SocketAddr) -> NfProfile;
}

/// An instance that is up.
pub struct Up<N> {
    /// The instance as a client.
    pub instance: Arc<Instance>,
    /// What answers its SBI.
    pub handler: Arc<N>,
    /// Where its SBI listens.
    pub addr: SocketAddr,
}

/// A process whose instances are all ready.
pub struct Running<N> {
    /// The instances.
    pub instances: Vec<Up<N>>,
    /// The NRF.
    pub nrf: Nrf,
    /// The metrics of the process.
    pub metrics: Metrics,
    life: Life,
    heartbeat_seconds: u32,
}

/// Instances that have certificates and trust, which are kept up, and that nobody is told of.
pub struct Enrolled {
    /// The instances, in the order of the configuration.
    pub instances: Vec<Arc<Instance>>,
    /// What else the process does goes into it. It is for the caller to say when nothing is lacking any more.
    pub life: Life,
}

/// A start that is under way.
struct Start {
    life: Life,
    config: NfConfig,
    wanted: Vec<Wanted>,
    initial: CredentialSet,
    nrf: Nrf,
    deadline: Instant,
    orders: Orders,
}

/// Starts every instance and returns when all are ready. The admin port shows `metrics`.
///
/// Dropping the future stops what has been started.
///
/// # Errors
/// The first thing that cannot be had within `startup_seconds`, or at all.
pub async fn start<N: NetworkFunction>(
    config: NfConfig,
    nf_type: NfType,
    build: impl Fn(&Arc<Instance>) -> N,
    metrics: Metrics,
    events: Events,
    stop: Stop,
    orders: Orders,
) -> Result<Running<N>, NfError> {
    config.check_listening()?;
    let (mut start, mut updater) = prepare(config, nf_type, metrics, events, stop, orders).await?;
    let began = Instant::now();
    let mut keepers = start.certificates().await?;
    let status = start.x509_status(&keepers).await?;
    let instances = start.listen(&keepers, build).await?;
    let own_landmark = keepers.iter().filter_map(Keeper::newest_own_landmark).max();
    let enrolled: Vec<_> = instances.iter().map(|up| up.instance.clone()).collect();
    start.trust(&mut updater, &enrolled, own_landmark).await?;
    let registrations = start.register(&instances).await?;
    // From now on the NRF waits for heartbeats, and a landmark may be longer in coming than that.
    let presences = start.keep_registered(&instances, registrations, &keepers);
    start.tell_started(instances.len(), began);
    if start.config.await_landmarks {
        keepers = start.landmarks(keepers).await?;
        let own_landmark = keepers.iter().filter_map(Keeper::newest_own_landmark).max();
        start.trust(&mut updater, &enrolled, own_landmark).await?;
    }
    start.life.lacks("");
    start.maintain(enrolled, presences, keepers, updater, status);
    let Start {
        life, nrf, config, ..
    } = start;
    life.tell_ready();
    Ok(Running {
        instances,
        nrf,
        metrics: life.metrics.clone(),
        life,
        heartbeat_seconds: config.heartbeat_seconds,
    })
}

/// Has every instance enrol, and returns when all have their certificates and trust state; nothing is served but the admin port, which shows
/// `metrics`, and no instance is registered.
///
/// Dropping the future stops what has been started.
///
/// # Errors
/// As [`start`].
pub async fn enrol(
    config: NfConfig,
    nf_type: NfType,
    metrics: Metrics,
    events: Events,
    stop: Stop,
    orders: Orders,
) -> Result<Enrolled, NfError> {
    let (mut start, mut updater) = prepare(config, nf_type, metrics, events, stop, orders).await?;
    let began = Instant::now();
    let mut keepers = start.certificates().await?;
    let status = start.x509_status(&keepers).await?;
    if start.config.await_landmarks {
        keepers = start.landmarks(keepers).await?;
    }
    let enrolled = keepers.iter().map(|keeper| keeper.instance().clone());
    let instances: Vec<_> = enrolled.collect();
    let own_landmark = keepers.iter().filter_map(Keeper::newest_own_landmark).max();
    start.trust(&mut updater, &instances, own_landmark).await?;
    start.tell_started(instances.len(), began);
    let presences = instances.iter().map(|instance| Presence {
        instance: instance.clone(),
        contact: None,
    });
    let presences = presences.collect();
    start.maintain(instances.clone(), presences, keepers, updater, status);
    Ok(Enrolled {
        instances,
        life: start.life,
    })
}

/// Waits for a start, and then until the process is told to stop; a stop during the start ends it.
///
/// # Errors
/// Those of the start.
pub async fn run<N: NetworkFunction>(
    starting: impl Future<Output = Result<Running<N>, NfError>>,
    stop: Stop,
) -> Result<(), NfError> {
    let running = tokio::select! {
        running = starting => running?,
        () = stop.wait() => return Ok(()),
    };
    running.finish().await;
    Ok(())
}

impl<N: NetworkFunction> Up<N> {
    fn described(&self, heartbeat_seconds: u32) -> Described<N> {
        Described {
            instance: self.instance.clone(),
            handler: self.handler.clone(),
            addr: self.addr,
            heartbeat_seconds,
        }
    }
}

impl<N: NetworkFunction> Running<N> {
    /// The profile that each instance registered, in the order of the instances.
    pub fn profiles(&self) -> Vec<NfProfile> {
        let described = self
            .instances
            .iter()
            .map(|up| up.described(self.heartbeat_seconds));
        described.map(|described| described.profile()).collect()
    }

    /// Waits until the process is to stop, deregisters, and ends when requests in progress are finished.
    pub async fn finish(mut self) {
        self.life.await_stop().await;
        let deregistering = self.instances.iter().map(|up| {
            let (nrf, instance) = (self.nrf.clone(), up.instance.clone());
            async move {
                let opened = nrf.open_own(&instance).await?;
                // What one is refused others may be granted; without a connection nobody gets one.
                if let Err(error) = nrf.deregister(&opened.connection, instance.id).await {
                    tracing::info!(fqdn = %instance.fqdn, error = %Causes(&error), "not deregistered");
                }
                Ok::<_, CallError>(())
            }
        });
        let deregister = async {
            if let Err(error) = many::each(deregistering, REGISTERING).await {
                tracing::info!(error = %Causes(&error), "not all deregistered");
            }
        };
        if timeout(DEREGISTER_TIME, deregister).await.is_err() {
            tracing::info!("the NRF took too long to deregister all instances");
        }
        self.life.end().await;
    }
}

/// Reads what the configuration names and opens the admin port.
async fn prepare(
    config: NfConfig,
    nf_type: NfType,
    metrics: Metrics,
    events: Events,
    stop: Stop,
    orders: Orders,
) -> Result<(Start, TrustUpdater), NfError> {
    config.check_types(&nf_type)?;
    descriptors::require(&config, descriptor_limit())?;
    let wanted = config.wanted()?;
    let trust_file = TrustFile::load(&config.trust)?;
    let policy = trust_file.trust.clone();
    let updater = match &config.trusted_sets {
        Some(folder) => TrustUpdater::reading(folder, policy),
        None => TrustUpdater::new(
            config.nrf.log.clone(),
            trust_file.logs.iter().copied(),
            policy,
        )?,
    }
    .keeping_revoked_in(&config.state.join(TRUST))?;
    let initial = CredentialSet::new(
        MtcTrust::new(trust_file.trust),
        x509_trust(config.x509.as_deref(), &wanted)?,
    );
    let mut life = Life::begin(nf_type, config.process(), metrics, events, stop).await?;
    let (policy, credentials) = (config.access_tokens, config.client_credentials);
    life.use_access_tokens(policy, trust_file.token_keys, credentials)?;
    if config.is_large() {
        life.spare_memory();
    }
    life.lacks("certificates");
    let start = Start {
        wanted,
        initial,
        nrf: Nrf::new(&config.nrf),
        deadline: life.deadline(),
        orders,
        config,
        life,
    };
    Ok((start, updater))
}

impl Start {
    /// Enrols all instances, many at the same time.
    async fn certificates(&self) -> Result<Vec<Keeper<NrfSource>>, NfError> {
        let vaults = folder_of_vaults(&self.config.state)?;
        let instances = self.config.instance.iter();
        let enrolling = instances.map(|config| self.enrol(config, &vaults));
        let enrolled = many::each(enrolling, ENROLLING).await;
        if let Err(NfError::Obtain { source, .. }) = &enrolled
            && source.token_is_used()
            && self.config.took_token
        {
            self.give_up_token();
        }
        enrolled
    }

    /// The work of enrolling an instance.
    fn enrol(
        &self,
        config: &InstanceConfig,
        vaults: &Arc<Folder>,
    ) -> impl Future<Output = Result<Keeper<NrfSource>, NfError>> + use<> {
        let instance = self.life.instance(
            config.nf_type.clone(),
            NfInstanceId::from(config.id),
            config.fqdn.clone(),
            self.initial.clone(),
            config.upgraded,
        );
        if let Some(tokens) = instance.access_tokens() {
            tokens.fetch_from(NrfTokens {
                nrf: self.nrf.clone(),
                instance: Arc::downgrade(&instance),
            });
        }
        let vault = Vault::beside(vaults, config.id);
        let source = NrfSource {
            instance: instance.clone(),
            nrf: self.nrf.clone(),
            token: config.token.clone(),
            leaf_key: self.wanted[0].leaf_key(),
        };
        let (wanted, metrics, deadline) = (
            self.wanted.clone(),
            self.life.metrics.clone(),
            self.deadline,
        );
        let (fqdn, spares_memory) = (config.fqdn.clone(), self.config.is_large());
        async move {
            let vault = vault?;
            let obtaining = async {
                let mut keeper = Keeper::load(instance, source, wanted, vault, metrics)?;
                keeper.complete(deadline).await?;
                Ok(if spares_memory {
                    keeper.sparing_memory()
                } else {
                    keeper
                })
            };
            obtaining
                .await
                .map_err(|source| NfError::Obtain { fqdn, source })
        }
    }

    /// Waits until there are lists for all X.509 profiles that have them, and answers for the own certificates.
    async fn x509_status(
        &self,
        keepers: &[Keeper<NrfSource>],
    ) -> Result<Option<StatusKeeper>, NfError> {
        let instances = keepers.iter().map(|keeper| keeper.instance().clone());
        let roots = &self.initial.x509_trust;
        let prefix = self.config.nrf.log.clone();
        self.life
            .x509_status(prefix, roots, &instances.collect::<Vec<_>>(), self.deadline)
            .await
    }

    /// Waits for the landmarks of all certificates, and gets the landmark-relative ones.
    async fn landmarks(
        &self,
        keepers: Vec<Keeper<NrfSource>>,
    ) -> Result<Vec<Keeper<NrfSource>>, NfError> {
        self.life.lacks("landmark-relative certificates");
        let deadline = self.deadline;
        let completing = keepers.into_iter().map(|mut keeper| async move {
            match keeper.complete_landmarks(deadline).await {
                Ok(()) => Ok(keeper),
                Err(source) => Err(NfError::Obtain {
                    fqdn: keeper.instance().fqdn.clone(),
                    source,
                }),
            }
        });
        many::each(completing, REGISTERING).await
    }

    /// A crash has lost the certificate that the token was used for, and nobody else will ever have it.
    fn give_up_token(&self) {
        match pool::give_up(&self.config.state) {
            Ok(()) => tracing::warn!("the next start takes another enrolment token from the pool"),
            Err(error) => {
                tracing::error!(error = %Causes(&error), "cannot remove the used enrolment token")
            }
        }
    }

    async fn listen<N: NetworkFunction>(
        &mut self,
        keepers: &[Keeper<NrfSource>],
        build: impl Fn(&Arc<Instance>) -> N,
    ) -> Result<Vec<Up<N>>, NfError> {
        let mut instances = Vec::new();
        let mut keepers = keepers.iter();
        let configs = self.config.instance.clone();
        // Neighbours that listen at the same address.
        let is_shared = self.config.share_ports;
        for at_port in configs.chunk_by(|one, next| is_shared && one.listen == next.listen) {
            let Some(first) = at_port.first() else {
                continue;
            };
            let at = first.listen.expect("checked: every instance listens");
            let (listener, bound) = bind(at, "SBI", "listen")?;
            let addr = self.reachable(bound).await?;
            let ups = keepers.by_ref().take(at_port.len()).map(|keeper| {
                let instance = keeper.instance().clone();
                let handler = Arc::new(build(&instance));
                if let Some(tokens) = instance.access_tokens() {
                    tokens.serve_slices(handler.profile(&instance, addr).s_nssais);
                }
                Up {
                    instance,
                    handler,
                    addr,
                }
            });
            let ups: Vec<_> = ups.collect();
            self.serve(listener, addr, &ups);
            instances.extend(ups);
        }
        Ok(instances)
    }

    /// Serves the SBI of the instances at a port.
    fn serve<N: NetworkFunction>(
        &mut self,
        listener: TcpListener,
        addr: SocketAddr,
        ups: &[Up<N>],
    ) {
        let auth = ClientAuth::Required;
        match ups {
            [up] => {
                let handler = up.handler.clone();
                self.life
                    .serve_sbi(listener, addr, &up.instance, auth, handler);
            }
            ups => {
                let instances = ups.iter().map(|up| (&*up.instance, up.handler.clone()));
                self.life.serve_sbi_of(listener, addr, instances, auth);
            }
        }
    }

    /// Where others reach what listens at `bound`: on every address of this machine, at the one that the NRF sees.
    async fn reachable(&self, bound: SocketAddr) -> Result<SocketAddr, NfError> {
        if !bound.ip().is_unspecified() {
            return Ok(bound);
        }
        let nrf = self.nrf.addr().await.map_err(NfError::Nrf)?;
        let own = own_address_towards(nrf).map_err(|source| NfError::NoRoute { nrf, source })?;
        Ok(SocketAddr::new(own, bound.port()))
    }

    /// Waits until a trusted set was taken, where they are read, and until the landmarks that this process's own certificates need are trusted
    /// here too: its peers have them, or soon will.
    async fn trust(
        &self,
        updater: &mut TrustUpdater,
        instances: &[Arc<Instance>],
        own_landmark: Option<(LogNumber, LandmarkNumber)>,
    ) -> Result<(), NfError> {
        let sets = self.config.trusted_sets.as_deref();
        let missing = sets.filter(|_| updater.awaits_set());
        self.life
            .lacks(missing.map_or("trust state", |_| "a trusted set"));
        await_trust(
            updater,
            self.config.clock(),
            sets,
            own_landmark,
            self.deadline,
        )
        .await?;
        show_learnt(updater, &self.life.metrics);
        publish_trust(updater.trust(), instances.iter(), &self.life.ledger);
        Ok(())
    }

    /// Registers all instances, many at the same time.
    async fn register<N: NetworkFunction>(
        &self,
        instances: &[Up<N>],
    ) -> Result<Vec<Registration>, NfError> {
        self.life.lacks("registration");
        let keeps_connection = !self.config.is_large();
        let registering = instances.iter().map(|up| {
            let described = up.described(self.config.heartbeat_seconds);
            let (nrf, registrations) = (self.nrf.clone(), self.life.metrics.registrations.clone());
            let deadline = self.deadline;
            async move {
                let began = Instant::now();
                let (instance, profile) = (&described.instance, described.profile());
                let attempt = || async {
                    let opened = nrf.open_own(instance).await?;
                    let interval = nrf.register(&opened.connection, &profile).await?;
                    Ok((opened.connection, interval))
                };
                let (connection, decided) = backoff::until(deadline, attempt, is_temporary)
                    .await
                    .map_err(|source| NfError::Register {
                    fqdn: instance.fqdn.clone(),
                    source,
                })?;
                registrations.inc();
                let ledger = instance.ledger();
                ledger.record_step(StartStep::Registration, began.elapsed(), Duration::ZERO);
                let kept = keeps_connection.then_some(connection);
                let proposed = Duration::from_secs(described.heartbeat_seconds.into());
                Ok(Registration::new(kept, decided.unwrap_or(proposed)))
            }
        });
        many::each(registering, REGISTERING).await
    }

    /// Starts what keeps the instances registered.
    fn keep_registered<N: NetworkFunction>(
        &mut self,
        instances: &[Up<N>],
        registrations: Vec<Registration>,
        keepers: &[Keeper<NrfSource>],
    ) -> Vec<Presence> {
        let mut presences = Vec::new();
        for ((up, registration), keeper) in instances.iter().zip(registrations).zip(keepers) {
            let contact = watch::Sender::new(Contact::now(registration.interval));
            presences.push(Presence {
                instance: up.instance.clone(),
                contact: Some(contact.subscribe()),
            });
            let registrar = Registrar {
                contact,
                described: up.described(self.config.heartbeat_seconds),
                nrf: self.nrf.clone(),
                keeps_connection: !self.config.is_large(),
                registration,
                replacements: keeper.replacements(),
                metrics: self.life.metrics.clone(),
                events: self.life.events.clone(),
            };
            self.life.spawn(registrar.keep());
        }
        presences
    }

    /// Counts what has started.
    fn tell_started(&self, instances: usize, began: Instant) {
        let Life {
            ledger, metrics, ..
        } = &self.life;
        ledger.record_start(instances, began.elapsed());
        metrics
            .instances
            .set(i64::try_from(instances).unwrap_or(i64::MAX));
    }

    /// Starts what else keeps the instances up.
    fn maintain(
        &mut self,
        instances: Vec<Arc<Instance>>,
        presences: Vec<Presence>,
        keepers: Vec<Keeper<NrfSource>>,
        updater: TrustUpdater,
        status: Option<StatusKeeper>,
    ) {
        let telling = presence::keep_telling(presences, self.life.missing());
        self.life.spawn(telling);
        for (position, keeper) in keepers.into_iter().enumerate() {
            self.life
                .spawn(keeper.keep(self.orders.clone().of_instance(position)));
        }
        if let Some(status) = status {
            self.life.spawn(status.keep(instances.clone()));
        }
        let on_demand = self.config.trust_on_demand();
        self.life
            .keep_trust(updater, instances, self.orders.clone(), on_demand);
    }
}
