//! Keeping an instance registered at the NRF: heartbeats, and registering anew.

use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use tokio::sync::watch;
use tokio::time::sleep;

use super::RETRY_PAUSE;
use super::presence::Contact;
use crate::client::{ClientError, Connection};
use crate::instance::{CallError, Instance};
use crate::metrics::Metrics;
use crate::model::NfProfile;
use crate::nnrf::{Heartbeat, Nrf};
use crate::process::{Event, Events};

/// Share of the heartbeat interval after which the next one is sent: early enough to be repeated once.
const HEARTBEAT_SHARE: (u32, u32) = (4, 5);

/// An instance's registration, and the connection that it was made over, which heartbeats go on using: a heartbeat costs no
/// handshake that would be counted among those of an experiment.
pub(super) struct Registration {
    pub(super) profile: NfProfile,
    connection: Option<Connection>,
    pub(super) interval: Duration,
}

impl Registration {
    pub(super) fn new(
        profile: NfProfile,
        connection: Connection,
        decided: Option<Duration>,
    ) -> Self {
        let proposed = Duration::from_secs(profile.heart_beat_timer.unwrap_or(1).into());
        Self {
            profile,
            connection: Some(connection),
            interval: decided.unwrap_or(proposed),
        }
    }

    /// Goes on with a connection that worked, and with the interval that the NRF decided on.
    fn keep(&mut self, connection: Connection, decided: Option<Duration>) {
        self.connection = Some(connection);
        self.interval = decided.unwrap_or(self.interval);
    }
}

/// Keeps an instance registered.
pub(super) struct Registrar {
    pub(super) instance: Arc<Instance>,
    pub(super) nrf: Nrf,
    pub(super) registration: Registration,
    /// When the NRF last answered.
    pub(super) contact: watch::Sender<Contact>,
    /// Changes when the instance has new certificates and is to register anew with them.
    pub(super) replacements: watch::Receiver<u64>,
    pub(super) metrics: Metrics,
    pub(super) events: Events,
}

impl Registrar {
    /// Sends heartbeats for ever; registers again where the NRF has forgotten the instance, and when it was replaced.
    pub(super) async fn keep(mut self) {
        loop {
            let interval = self.registration.interval * HEARTBEAT_SHARE.0 / HEARTBEAT_SHARE.1;
            tokio::select! {
                () = sleep(interval) => self.beat_until_heard().await,
                // The keeper that counts them lives as long as this.
                Ok(()) = self.replacements.changed() => self.register_until_heard().await,
            }
        }
    }

    async fn beat_until_heard(&mut self) {
        while let Err(error) = self.beat().await {
            tracing::info!(fqdn = %self.instance.fqdn, error = %Causes(&error), "heartbeat failed");
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
        let profile = &self.registration.profile;
        let decided = match self
            .nrf
            .heartbeat(&open, profile, profile.load.unwrap_or(0))
            .await?
        {
            Heartbeat::Known { interval } => {
                self.metrics.heartbeats.with_label_values(&["ok"]).inc();
                interval
            }
            Heartbeat::Unknown => {
                tracing::info!(fqdn = %self.instance.fqdn, "the NRF does not know this instance any more, registering again");
                self.register(&open).await?
            }
        };
        self.registration.keep(open, decided);
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
                    self.registration.keep(open, decided);
                    self.heard();
                    break;
                }
                Err(error) => {
                    tracing::info!(fqdn = %self.instance.fqdn, error = %Causes(&error), "cannot register again, retrying");
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
        self.events.tell(&Event::ReEnrolled {
            instance: self.instance.fqdn.clone(),
        });
    }

    fn heard(&self) {
        let interval = self.registration.interval;
        self.contact.send_replace(Contact::now(interval));
    }

    async fn open(&self) -> Result<Connection, CallError> {
        let profile = self.instance.own_profile();
        Ok(self.nrf.open(&self.instance, profile).await?.connection)
    }

    async fn register(&self, open: &Connection) -> Result<Option<Duration>, CallError> {
        let decided = self.nrf.register(open, &self.registration.profile).await?;
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
