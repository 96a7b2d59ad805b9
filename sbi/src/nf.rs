//! The one life of a network function's process, from configuration to drain.
//!
//! ```text
//!  config ─> admin port ─> for each instance: certificates ─> SBI port ─> trust ─> NFRegister ─> ready
//!                                                                                     │
//!     heartbeats, renewal, trust updates  <───────────────────────────────────────────┘
//!                                   stop ─> NFDeregister ─> finish requests in progress ─> end
//! ```
//!
//! An NF is a configuration, a profile and a [`Handler`]; everything between is here.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use mtc_core::id::LogNumber;
use mtc_tls::credentials::{CredentialSet, MtcTrust};
use mtc_tls::key_log::KeyLogFile;
use mtc_tls::profile::ClientAuth;
use rustls::KeyLog;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::address::own_address_towards;
use crate::admin::Admin;
use crate::backoff;
use crate::clock;
use crate::config::{NfConfig, Wanted};
use crate::credentials::{Keeper, NrfSource};
use crate::instance::Instance;
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::listener::{bind, serve_plain, serve_sbi};
use crate::metrics::Metrics;
use crate::model::{NfInstanceId, NfProfile, NfType};
use crate::nnrf::Nrf;
use crate::orders::Orders;
use crate::pool;
use crate::process::{Event, Events, Stop};
use crate::server::Handler;
use crate::trust::TrustUpdater;
use crate::trust_file::TrustFile;
use crate::vault::Vault;

mod error;
mod presence;
mod registration;
mod roots;
mod trust_keeping;

pub use error::NfError;
pub use roots::load_root;
pub use trust_keeping::keep_trust;

use presence::{Contact, Presence};
use registration::{Registrar, Registration, is_temporary};
use roots::x509_trust;
use trust_keeping::publish_trust;

/// How long deregistration may hold up a stop.
const DEREGISTER_TIME: Duration = Duration::from_secs(2);
/// Pause after a heartbeat, or a look at the log, that did not get through.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// What the admin port is told when the process is ready.
const NOTHING_MISSING: &str = "";

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
    tasks: JoinSet<()>,
    profiles: Vec<NfProfile>,
}

/// What the parts of a process share.
struct Parts {
    config: NfConfig,
    nf_type: NfType,
    wanted: Vec<Wanted>,
    initial: CredentialSet,
    ledger: Arc<Ledger>,
    limits: Limits,
    metrics: Metrics,
    nrf: Nrf,
    deadline: Instant,
    events: Events,
    stop: Stop,
    orders: Orders,
    missing: watch::Sender<String>,
    tasks: JoinSet<()>,
    key_log: Option<Arc<dyn KeyLog>>,
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
    let (mut parts, mut updater) = prepare(config, nf_type, metrics, events, stop, orders).await?;
    let keepers = parts.certificates().await?;
    let instances = parts.listen(&keepers, build).await?;
    let own_landmark = keepers.iter().filter_map(Keeper::newest_own_landmark).max();
    parts.trust(&mut updater, &instances, own_landmark).await?;
    let registrations = parts.register(&instances).await?;
    let profiles = registrations
        .iter()
        .map(|registration| registration.profile.clone())
        .collect();
    parts.missing.send_replace(NOTHING_MISSING.to_owned());
    parts.maintain(&instances, registrations, keepers, updater);
    parts.events.tell(&Event::Ready {
        nf_type: parts.nf_type.to_string(),
    });
    Ok(Running {
        instances,
        nrf: parts.nrf,
        metrics: parts.metrics,
        tasks: parts.tasks,
        profiles,
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
        () = stop.clone().wait() => return Ok(()),
    };
    running.finish(stop).await;
    Ok(())
}

impl<N> Running<N> {
    /// The profile that each instance registered, in the order of the instances.
    pub fn profiles(&self) -> &[NfProfile] {
        &self.profiles
    }
}

impl<N: NetworkFunction> Running<N> {
    /// Waits until `stop` is requested, deregisters, and ends when requests in progress are finished. A task that dies
    /// before ends the process too: half an NF would look like a whole one.
    pub async fn finish(mut self, stop: Stop) {
        await_stop(&mut self.tasks, stop).await;
        let deregister = async {
            for (up, profile) in self.instances.iter().zip(&self.profiles) {
                match self.nrf.open(&up.instance, up.instance.own_profile()).await {
                    Ok(opened) => {
                        if let Err(error) = self.nrf.deregister(&opened.connection, profile).await {
                            tracing::info!(fqdn = %up.instance.fqdn, error = %Causes(&error), "not deregistered");
                        }
                    }
                    Err(error) => {
                        tracing::info!(fqdn = %up.instance.fqdn, error = %Causes(&error), "not deregistered");
                        return;
                    }
                }
            }
        };
        if timeout(DEREGISTER_TIME, deregister).await.is_err() {
            tracing::info!("the NRF took too long to deregister all instances");
        }
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Waits until `stop` is requested, or one of `tasks` has panicked, in which case the others are ended too; that they end
/// by themselves is no reason.
pub async fn await_stop(tasks: &mut JoinSet<()>, stop: Stop) {
    let mut stop = std::pin::pin!(stop.wait());
    loop {
        tokio::select! {
            () = &mut stop => return,
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a part of the process died, stopping");
                    tasks.abort_all();
                    return;
                }
            }
        }
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
) -> Result<(Parts, TrustUpdater), NfError> {
    let wanted = config.wanted()?;
    let trust_file = TrustFile::load(&config.trust).map_err(|source| NfError::TrustFile {
        path: config.trust.clone(),
        source: Box::new(source),
    })?;
    let updater = TrustUpdater::new(
        config.nrf.log.clone(),
        trust_file.logs.iter().copied(),
        trust_file.trust.clone(),
    )?;
    let initial = CredentialSet::new(
        MtcTrust::new(trust_file.trust),
        x509_trust(&config, &wanted)?,
    );
    metrics.tell_type(&nf_type.to_string());
    let ledger = Arc::new(Ledger::new(metrics.clone()));
    let (missing, watcher) = watch::channel("certificates".to_owned());
    let (listener, addr) = bind(config.admin, "admin").await?;
    let admin = Admin {
        missing: watcher,
        ledger: ledger.clone(),
    };
    let mut tasks = JoinSet::new();
    let watching = clock::watch(metrics.clone());
    let stopping = stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = watching => {}
            () = stopping.wait() => {}
        }
    });
    let limits = Limits::new(&config.limits, &metrics);
    tasks.spawn(serve_plain(
        listener,
        Arc::new(admin),
        limits.clone(),
        stop.clone(),
    ));
    events.tell(&Event::AdminListening { addr });
    clock::await_set(config.clock(), || {
        missing.send_replace("a clock that is set".to_owned());
    })
    .await;
    missing.send_replace("certificates".to_owned());
    let nrf = Nrf::new(&config.nrf);
    let deadline = Instant::now() + Duration::from_secs(config.startup_seconds);
    let key_log = config.key_log.as_deref().map(open_key_log).transpose()?;
    let parts = Parts {
        config,
        nf_type,
        wanted,
        initial,
        ledger,
        limits,
        metrics,
        nrf,
        deadline,
        events,
        stop,
        orders,
        missing,
        tasks,
        key_log,
    };
    Ok((parts, updater))
}

/// Opens the key log that a configuration names, and says so loudly. Blocks on the disk.
///
/// # Errors
/// The file cannot be written.
pub fn open_key_log(path: &Path) -> Result<Arc<dyn KeyLog>, NfError> {
    let log = KeyLogFile::open(path).map_err(|source| NfError::KeyLog {
        path: path.to_owned(),
        source,
    })?;
    tracing::warn!(
        path = %path.display(),
        "key_log is set: whoever reads this file can read every connection of this process"
    );
    Ok(Arc::new(log))
}

impl Parts {
    /// Enrols all instances at the same time.
    async fn certificates(&self) -> Result<Vec<Keeper<NrfSource>>, NfError> {
        let mut enrolling = JoinSet::new();
        for (position, config) in self.config.instance.iter().enumerate() {
            let instance = Instance::new(
                NfInstanceId::from(config.id),
                self.nf_type.clone(),
                config.fqdn.clone(),
                self.initial.clone(),
                self.config.clock(),
                self.ledger.clone(),
            );
            let instance = Arc::new(match &self.key_log {
                Some(key_log) => instance.with_key_log(key_log.clone()),
                None => instance,
            });
            let vault = Vault::open(&self.config.state, config.id)?;
            let source = NrfSource {
                instance: instance.clone(),
                nrf: self.nrf.clone(),
                token: config.token.clone(),
                leaf_key: self.wanted[0].leaf_key(),
            };
            let (wanted, metrics, deadline) =
                (self.wanted.clone(), self.metrics.clone(), self.deadline);
            let (fqdn, await_landmarks) = (config.fqdn.clone(), self.config.await_landmarks);
            enrolling.spawn(async move {
                let failed = |source| NfError::Obtain {
                    fqdn: fqdn.clone(),
                    source,
                };
                let mut keeper =
                    Keeper::load(instance, source, wanted, vault, metrics).map_err(failed)?;
                keeper.complete(deadline).await.map_err(failed)?;
                if await_landmarks {
                    keeper.complete_landmarks(deadline).await.map_err(failed)?;
                }
                Ok::<_, NfError>((position, keeper))
            });
        }
        let mut keepers = Vec::new();
        while let Some(enrolled) = enrolling.join_next().await {
            let enrolled = enrolled.expect("enrolment does not panic and is not aborted");
            if let Err(NfError::Obtain { source, .. }) = &enrolled
                && source.token_is_used()
                && self.config.is_replica
            {
                self.give_up_token();
            }
            keepers.push(enrolled?);
        }
        keepers.sort_by_key(|(position, _)| *position);
        Ok(keepers.into_iter().map(|(_, keeper)| keeper).collect())
    }

    /// A crash has lost the certificate that the token was used for, and nobody else will ever have it.
    fn give_up_token(&self) {
        match pool::give_up(&self.config.state) {
            Ok(()) => tracing::warn!("the next start takes another enrolment token from the pool"),
            Err(error) => {
                tracing::error!(error = %Causes(&error), "the used enrolment token stays")
            }
        }
    }

    async fn listen<N: NetworkFunction>(
        &mut self,
        keepers: &[Keeper<NrfSource>],
        build: impl Fn(&Arc<Instance>) -> N,
    ) -> Result<Vec<Up<N>>, NfError> {
        let mut instances = Vec::new();
        for (keeper, config) in keepers.iter().zip(&self.config.instance) {
            let instance = keeper.instance().clone();
            let (listener, bound) = bind(config.listen, "SBI").await?;
            let addr = self.reachable(bound).await?;
            let handler = Arc::new(build(&instance));
            self.tasks.spawn(serve_sbi(
                listener,
                instance.endpoint().clone(),
                ClientAuth::Required,
                handler.clone(),
                self.ledger.clone(),
                self.limits.clone(),
                self.stop.clone(),
            ));
            self.events.tell(&Event::SbiListening {
                instance: instance.fqdn.clone(),
                addr,
            });
            instances.push(Up {
                instance,
                handler,
                addr,
            });
        }
        Ok(instances)
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

    /// Waits until the landmarks that this process's own certificates need are trusted here too: its peers have them, or
    /// soon will.
    async fn trust<N>(
        &self,
        updater: &mut TrustUpdater,
        instances: &[Up<N>],
        own_landmark: Option<(LogNumber, u64)>,
    ) -> Result<(), NfError> {
        self.missing.send_replace("trust state".to_owned());
        let clock = self.config.clock();
        loop {
            let looked = updater.update(clock.now()).await;
            let Some((log, landmark)) = own_landmark.filter(|own| !updater.has_caught_up(*own))
            else {
                break;
            };
            if Instant::now() >= self.deadline {
                return Err(match looked {
                    Err(error) => NfError::Trust(error),
                    Ok(_) => NfError::OldLog { log, landmark },
                });
            }
            if let Err(error) = looked {
                tracing::info!(error = %Causes(&error), "no trust state yet");
            }
            sleep(RETRY_PAUSE).await;
        }
        publish_trust(
            updater.trust(),
            instances.iter().map(|up| &up.instance),
            &self.metrics,
        );
        Ok(())
    }

    async fn register<N: NetworkFunction>(
        &self,
        instances: &[Up<N>],
    ) -> Result<Vec<Registration>, NfError> {
        self.missing.send_replace("registration".to_owned());
        let mut registrations = Vec::new();
        for up in instances {
            let mut profile = up.handler.profile(&up.instance, up.addr);
            profile.heart_beat_timer = Some(self.config.heartbeat_seconds);
            let attempt = || async {
                let opened = self
                    .nrf
                    .open(&up.instance, up.instance.own_profile())
                    .await?;
                let interval = self.nrf.register(&opened.connection, &profile).await?;
                Ok((opened.connection, interval))
            };
            let (connection, interval) = backoff::until(self.deadline, attempt, is_temporary)
                .await
                .map_err(|source| NfError::Register {
                    fqdn: up.instance.fqdn.clone(),
                    source,
                })?;
            self.metrics.registrations.inc();
            registrations.push(Registration::new(profile, connection, interval));
        }
        Ok(registrations)
    }

    /// Starts what keeps the instances up.
    fn maintain<N>(
        &mut self,
        instances: &[Up<N>],
        registrations: Vec<Registration>,
        keepers: Vec<Keeper<NrfSource>>,
        updater: TrustUpdater,
    ) {
        let mut presences = Vec::new();
        for ((up, registration), keeper) in instances.iter().zip(registrations).zip(&keepers) {
            let contact = watch::Sender::new(Contact::now(registration.interval));
            presences.push(Presence {
                instance: up.instance.clone(),
                contact: contact.subscribe(),
            });
            let registrar = Registrar {
                contact,
                instance: up.instance.clone(),
                nrf: self.nrf.clone(),
                registration,
                replacements: keeper.replacements(),
                metrics: self.metrics.clone(),
                events: self.events.clone(),
            };
            self.spawn_until_stop(registrar.keep());
        }
        self.spawn_until_stop(presence::keep_telling(presences, self.missing.clone()));
        for (position, keeper) in keepers.into_iter().enumerate() {
            self.spawn_until_stop(keeper.keep(self.orders.clone().of_instance(position)));
        }
        let interval = Duration::from_millis(self.config.trust_interval_ms);
        let all = instances.iter().map(|up| up.instance.clone()).collect();
        self.spawn_until_stop(keep_trust(
            updater,
            self.config.clock(),
            interval,
            all,
            self.metrics.clone(),
            self.orders.clone(),
        ));
    }

    fn spawn_until_stop(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = stop.wait() => {}
            }
        });
    }
}
