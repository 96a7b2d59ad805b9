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
use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use mtc_core::id::{LandmarkNumber, LogNumber};
use mtc_tls::credentials::{CredentialSet, MtcTrust};
use mtc_tls::profile::ClientAuth;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::address::own_address_towards;
use crate::backoff;
use crate::config::{NfConfig, Wanted};
use crate::credentials::{Keeper, NrfSource};
use crate::instance::Instance;
use crate::listener::bind;
use crate::metrics::Metrics;
use crate::model::{NfInstanceId, NfProfile, NfType};
use crate::nnrf::{Nrf, NrfTokens};
use crate::orders::Orders;
use crate::pool;
use crate::process::{Events, Stop};
use crate::server::Handler;
use crate::trust::TrustUpdater;
use crate::trust_file::TrustFile;
use crate::vault::Vault;

mod error;
mod life;
mod presence;
mod registration;
mod roots;
mod trust_keeping;

pub use error::NfError;
pub use life::Life;
pub use roots::x509_trust;

use presence::{Contact, Presence};
use registration::{Registrar, Registration, is_temporary};
use trust_keeping::publish_trust;

/// How long deregistration may hold up a stop.
const DEREGISTER_TIME: Duration = Duration::from_secs(2);
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
    profiles: Vec<NfProfile>,
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
    let (mut start, mut updater) = prepare(config, nf_type, metrics, events, stop, orders).await?;
    let keepers = start.certificates().await?;
    let instances = start.listen(&keepers, build).await?;
    let own_landmark = keepers.iter().filter_map(Keeper::newest_own_landmark).max();
    start.trust(&mut updater, &instances, own_landmark).await?;
    let registrations = start.register(&instances).await?;
    let profiles = registrations
        .iter()
        .map(|registration| registration.profile.clone())
        .collect();
    start.life.lacks("");
    start.maintain(&instances, registrations, keepers, updater);
    let Start { life, nrf, .. } = start;
    life.tell_ready();
    Ok(Running {
        instances,
        nrf,
        metrics: life.metrics.clone(),
        life,
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
        () = stop.wait() => return Ok(()),
    };
    running.finish().await;
    Ok(())
}

impl<N> Running<N> {
    /// The profile that each instance registered, in the order of the instances.
    pub fn profiles(&self) -> &[NfProfile] {
        &self.profiles
    }
}

impl<N: NetworkFunction> Running<N> {
    /// Waits until the process is to stop, deregisters, and ends when requests in progress are finished.
    pub async fn finish(mut self) {
        self.life.await_stop().await;
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
    let wanted = config.wanted()?;
    let trust_file = TrustFile::load(&config.trust)?;
    let updater = TrustUpdater::new(
        config.nrf.log.clone(),
        trust_file.logs.iter().copied(),
        trust_file.trust.clone(),
    )?;
    let initial = CredentialSet::new(
        MtcTrust::new(trust_file.trust),
        x509_trust(config.x509.as_deref(), &wanted)?,
    );
    let mut life = Life::begin(nf_type, config.process(), metrics, events, stop).await?;
    life.use_access_tokens(config.access_tokens, trust_file.token_keys)?;
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
    /// Enrols all instances at the same time.
    async fn certificates(&self) -> Result<Vec<Keeper<NrfSource>>, NfError> {
        let mut enrolling = JoinSet::new();
        for (position, config) in self.config.instance.iter().enumerate() {
            let instance = self.life.instance(
                config.nf_type.clone(),
                NfInstanceId::from(config.id),
                config.fqdn.clone(),
                self.initial.clone(),
            );
            if let Some(tokens) = instance.access_tokens() {
                tokens.fetch_from(NrfTokens {
                    nrf: self.nrf.clone(),
                    instance: Arc::downgrade(&instance),
                });
            }
            let vault = Vault::open(&self.config.state, config.id)?;
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
        for (keeper, config) in keepers.iter().zip(&self.config.instance) {
            let instance = keeper.instance().clone();
            let (listener, bound) = bind(config.listen, "SBI", "listen")?;
            let addr = self.reachable(bound).await?;
            let handler = Arc::new(build(&instance));
            if let Some(tokens) = instance.access_tokens() {
                tokens.serve_slices(handler.profile(&instance, addr).s_nssais);
            }
            let auth = ClientAuth::Required;
            self.life
                .serve_sbi(listener, addr, &instance, auth, handler.clone());
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
        own_landmark: Option<(LogNumber, LandmarkNumber)>,
    ) -> Result<(), NfError> {
        self.life.lacks("trust state");
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
            &self.life.metrics,
        );
        Ok(())
    }

    async fn register<N: NetworkFunction>(
        &self,
        instances: &[Up<N>],
    ) -> Result<Vec<Registration>, NfError> {
        self.life.lacks("registration");
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
            self.life.metrics.registrations.inc();
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
                metrics: self.life.metrics.clone(),
                events: self.life.events.clone(),
            };
            self.life.spawn(registrar.keep());
        }
        let telling = presence::keep_telling(presences, self.life.missing());
        self.life.spawn(telling);
        for (position, keeper) in keepers.into_iter().enumerate() {
            self.life
                .spawn(keeper.keep(self.orders.clone().of_instance(position)));
        }
        let all = instances.iter().map(|up| up.instance.clone()).collect();
        self.life.keep_trust(updater, all, self.orders.clone());
    }
}
