//! Light peers: the AUSF, UDM and PCF that procedures of UEs need beside AMF and SMF, any number of each in one process.
//!
//! ```text
//!   AMF ── nausf-auth ──> Ausf ── nudm-ueau ──┐
//!       ── nudm-uecm, nudm-sdm ──────────────>Udm        each with its own identity, certificate and registration
//!       ── npcf-am-policy-control ──> Pcf      │
//!   SMF ── nudm-uecm, nudm-sdm ───────────────┘
//!       ── npcf-smpolicycontrol ────> Pcf
//! ```
//!
//! In scope: the operations of registration, deregistration and PDU sessions, with bodies that are valid by their OpenAPI documents,
//! and a bounded state per UE. Out of scope: subscribers (every SUPI of the lab exists, and may everything), policies that say
//! something, and notifications.
//!
//! * [`peer`]: an instance as a network function of its type
//! * [`ausf`], [`udm`], [`pcf`]: what each type answers
//! * [`consumer`]: who asks, and whether it may
//! * [`kept`]: bounded state
//! * [`config`]: the configuration file

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: sbi::tell!, output.rs of lab

pub mod ausf;
pub mod config;
pub mod consumer;
pub mod kept;
pub mod pcf;
pub mod peer;
pub mod udm;

use std::path::Path;
use std::sync::Arc;

use sbi::instance::Instance;
use sbi::metrics::Metrics;
use sbi::model::NfType;
use sbi::nf::{self, NfError, Running};
use sbi::nnrf::Nrf;
use sbi::orders::Orders;
use sbi::process::{Control, Events, Stop};

pub use config::Config;
pub use peer::Peer;

/// What the process is called in its metrics and events: it is none of the types that it hosts.
pub const PROCESS: &str = "PEERS";

/// Runs the instances of a configuration file until told to stop.
///
/// # Errors
/// They cannot start.
pub async fn run(config: &Path, events: Events, control: Control) -> Result<(), NfError> {
    let Control { stop, orders, .. } = control;
    nf::run(start(config, events, stop.clone(), orders), stop).await
}

/// Starts the instances of a configuration file; returns when all are ready.
///
/// Dropping the future stops what has been started.
///
/// # Errors
/// They cannot start.
pub async fn start(
    config: &Path,
    events: Events,
    stop: Stop,
    orders: Orders,
) -> Result<Running<Peer>, NfError> {
    let Config { nf, peers } = Config::load(config)?;
    let nrf = Nrf::new(&nf.nrf);
    let peers = Arc::new(peers);
    let build = |instance: &Arc<Instance>| Peer::new(&peers, instance.clone(), nrf.clone());
    let process = NfType::from(PROCESS);
    nf::start(nf, process, build, Metrics::new(), events, stop, orders).await
}
