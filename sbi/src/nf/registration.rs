//! Keeping an instance registered at the NRF: heartbeats, and registering anew.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use tokio::sync::watch;
use tokio::time::sleep;

use super::presence::Contact;
use super::{NetworkFunction, RETRY_PAUSE};
use crate::client::{ClientError, Connection};
use crate::instance::{CallError, Instance};
use crate::metrics::Metrics;
use crate::model::NfProfile;
use crate::nnrf::{Heartbeat, Nrf};
use crate::process::{Event, Events};

/// Share of the heartbeat interval after which the next one is sent: early enough to be repeated once.
const HEARTBEAT_SHARE: (u32, u32) = (4, 5);

/// What the NRF is told of the load of an instance, in percent: none is measured.
const LOAD: u8 = 0;

/// An instance as the NRF is to know it. The profile is made anew each time: with many instances in a process it would be a large part of
/// what each of them takes.
pub(super) struct Described<N> {
    pub(super) instance: Arc<Instance>,
    pub(super) handler: Arc<N>,
    /// Where its SBI is reached.
    pub(super) addr: SocketAddr,
    /// The interval that is proposed.
    pub(super) heartbeat_seconds: u32,
}

impl<N: NetworkFunction> Described<N> {
    pub(super) fn profile(&self) -> NfProfile {
        let mut profile = self.handler.profile(&self.instance, self.addr);
        profile.heart_beat_timer = Some(self.heartbeat_seconds);
        profile
    }
}

/// An instance's registration, and the connection that it was made over, which heartbeats go on using where the process has few instances: a
/// heartbeat then costs no handshake that would be counted among those of an experiment.
pub(super) struct Registration {
    connection: Option<Connection>,
    pub(super) interval: Duration,
}

impl Registration {
    pub(super) const fn new(connection: Option<Connection>, interval: Duration) -> Self {
        Self {
            connection,
            interval,
        }
    }

    /// Goes on with a connection that worked, if it is to be kept, and with the interval that the NRF decided on.
    fn keep(&mut self, connection: Option<Connection>, decided: Option<Duration>) {
        self.connection = connection;
        self.interval = decided.unwrap_or(self.interval);
    }
}

/// Keeps an instance registered.
pub(super) struct Registrar<N> {
    pub(super) described: Described<N>,
    pub(super) nrf: Nrf,
    /// Whether a connection to the NRF stays open between heartbeats.
    pub(super) keeps_connection: bool,
    pub(super) registration: Registration,
    /// When the NRF last answered.
    pub(super) contact: watch::Sender<Contact>,
    /// Changes when the instance has new certificates and is to register anew with them.
    pub(super) replacements: watch::Receiver<u64>,
    pub(super) metrics: Metrics,
    pub(super) events: Events,
}

impl<N: NetworkFunction> Registrar<N> {
    /// Sends heartbeats for ever; registers again where the NRF has forgotten the instance, and when it was replaced.
    pub(super) async fn keep(mut self) {
        let mut pause = self.first_pause();
        loop {
            // What is boxed is rare, and larger than what waits: with many instances in a process memory is what waiting takes.
            tokio::select! {
                () = sleep(pause) => Box::pin(self.beat_until_heard()).await,
                // The keeper that counts them lives as long as this.
                Ok(()) = self.replacements.changed() => Box::pin(self.register_until_heard()).await,
            }
            pause = self.pause();
        }
    }

    fn pause(&self) -> Duration {
        self.registration.interval * HEARTBEAT_SHARE.0 / HEARTBEAT_SHARE.1
    }

    /// Heartbeats of many instances that registered together are spread over the interval: each opens a connection.
    fn first_pause(&self) -> Duration {
        if self.keeps_connection {
            self.pause()
        } else {
            self.pause().mul_f64(fastrand::f64())
        }
    }

    async fn beat_until_heard(&mut self) {
        while let Err(error) = self.beat().await {
            tracing::info!(fqdn = %self.described.instance.fqdn, error = %Causes(&error), "heartbeat failed");
            self.metrics.heartbeats.with_label_values(&["failed"]).inc();
            sleep(RETRY_PAUSE).await;
        }
    }

    async fn beat(&mut self) -> Result<(), CallError> {
        let kept = self.registration.connection.take();
        let open = match kept.filter(|connection| !connection.is_closed()) {
            Some(open) => open,
            None => self.open().await?,
        };
        let (id, load) = (self.described.instance.id, LOAD);
        let decided = match self.nrf.heartbeat(&open, id, load).await? {
            Heartbeat::Known { interval } => {
                self.metrics.heartbeats.with_label_values(&["ok"]).inc();
                interval
            }
            Heartbeat::Unknown => {
                tracing::info!(fqdn = %self.described.instance.fqdn, "the NRF does not know this instance any more, registering again");
                self.register(&open).await?
            }
        };
        self.registration
            .keep(self.keeps_connection.then_some(open), decided);
        self.heard();
        Ok(())
    }

    /// Registers over a connection that shows the new certificate.
    async fn register_until_heard(&mut self) {
        self.registration.connection = None;
        loop {
            let registering = async {
                let open = self.open().await?;
                let decided = self.register(&open).await?;
                Ok::<_, CallError>((open, decided))
            };
            match registering.await {
                Ok((open, decided)) => {
                    self.registration
                        .keep(self.keeps_connection.then_some(open), decided);
                    self.heard();
                    break;
                }
                Err(error) => {
                    tracing::info!(fqdn = %self.described.instance.fqdn, error = %Causes(&error), "cannot register again, retrying");
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
        self.events.tell(&Event::ReEnrolled {
            instance: self.described.instance.fqdn.clone(),
        });
    }

    fn heard(&self) {
        let interval = self.registration.interval;
        self.contact.send_replace(Contact::now(interval));
    }

    async fn open(&self) -> Result<Connection, CallError> {
        let opened = self.nrf.open_own(&self.described.instance).await?;
        Ok(opened.connection)
    }

    async fn register(&self, open: &Connection) -> Result<Option<Duration>, CallError> {
        let decided = self.nrf.register(open, &self.described.profile()).await?;
        self.metrics.registrations.inc();
        Ok(decided)
    }
}

/// Whether registering again may help: the NRF is not reachable or overloaded, rather than refusing.
pub(super) fn is_temporary(error: &CallError) -> bool {
    match error {
        CallError::Handshake(_) => true,
        CallError::Client(ClientError::Status { status, .. }) => status.is_server_error(),
        CallError::Client(_) => true,
    }
}
