//! The links of a run: made, measured, and refused if they are not what the scenario asks for.

use std::sync::Arc;

use link::probe::{self, ProbeError};
use link::{LinkError, LinkSettings, Measured, Network, OffTolerance};

use crate::topology::{Addresses, network};
use experiment::environment::Environment;
use experiment::results::{ConfiguredLink, LinkResult};
use experiment::scenario::LabPlan;

/// Measurements of a link before it counts as not what was asked for: a machine that is busy for a moment, such as with the
/// end of a build, delays packets and says nothing about the rest of a run.
const ATTEMPTS: usize = 3;

/// Why a run has no link.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunLinkError {
    /// It cannot be made.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// It cannot be measured.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// It is not what the scenario asks for.
    #[error(
        "the link is not what [link] asks for, so nothing was run: {}; is the machine busy with something else?",
        list(.0)
    )]
    OffTolerance(Vec<OffTolerance>),
    /// The thread that makes and measures it ended.
    #[error("the measurement of the link failed")]
    Broken(#[source] tokio::task::JoinError),
}

fn list(off: &[OffTolerance]) -> String {
    let sentences: Vec<String> = off.iter().map(ToString::to_string).collect();
    sentences.join("; ")
}

/// Links that are what the scenario asks for.
pub(super) struct Links {
    pub(super) network: Arc<Network>,
    measured: Measured,
}

impl Links {
    /// Makes and measures them.
    pub(super) async fn new(
        settings: &LinkSettings,
        seed: u64,
        lab: &LabPlan,
    ) -> Result<Self, RunLinkError> {
        let (settings, lab) = (settings.clone(), lab.clone());
        let made = tokio::task::spawn_blocking(move || {
            let network = network(&settings, seed, &lab)?;
            let measured = measure(&network)?;
            Ok(Self {
                network: Arc::new(network),
                measured,
            })
        });
        made.await.map_err(RunLinkError::Broken)?
    }

    pub(super) fn addresses(&self) -> Addresses {
        Addresses::of_hosts(&self.network)
    }

    pub(super) fn describe(&self, environment: &mut Environment) {
        let configured = ConfiguredLink::from(self.network.settings());
        environment.network = configured.to_string();
        environment.tcp_congestion_control = self.measured.tcp.congestion_control.clone();
    }

    pub(super) fn result(self) -> LinkResult {
        LinkResult {
            configured: self.network.settings().into(),
            measured: self.measured,
            carried: self.network.carried(),
        }
    }
}

fn measure(network: &Network) -> Result<Measured, RunLinkError> {
    let mut attempt = 1;
    loop {
        let measured = probe::measure(network)?;
        let off = measured.judge(network.settings());
        if off.is_empty() {
            return Ok(measured);
        }
        if attempt == ATTEMPTS {
            return Err(RunLinkError::OffTolerance(off));
        }
        tracing::warn!(attempt, off = list(&off), "measuring the link again");
        attempt += 1;
    }
}
