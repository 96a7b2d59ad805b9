//! A simulated SMF: PDU sessions without a user plane.
//!
//! ```text
//!   AMF ── POST sm-contexts ──> pdu_session ── 201 ──> AMF
//!                                   │
//!                                   └─ n1n2 ── fresh mTLS connection, in the profile of the request ──> AMF
//!                                        └─ serving_amf ── where is it? ──> NRF (kept connection, cached answers)
//! ```
//!
//! In scope: Nsmf_PDUSession create, update and release (TS 29.502), and the N1N2 message transfer that an SM context brings
//! about; what UDM and PCF have to say of it, where there are some. Out of scope: UPF and what NAS and NGAP messages say; their octets are of realistic length and no more.
//!
//! * [`smf`]: the network function
//! * [`pdu_session`]: the service nsmf-pdusession
//! * [`sm_context`]: SM contexts and their states
//! * [`subscription`]: what UDM and PCF are asked
//! * `establishment`: a session from its context to the transfer, or back
//! * [`n1n2`]: transfers of N1 and N2 messages to AMFs
//! * [`serving_amf`]: where an AMF is
//! * [`amf_status`]: what the NRF tells of AMFs
//! * [`departure`]: AMFs that are gone, with which their SM contexts end
//! * [`config`]: the configuration file

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: sbi::tell!, output.rs of lab

pub mod amf_status;
pub mod config;
pub mod departure;
mod establishment;
pub mod n1n2;
pub mod pdu_session;
pub mod serving_amf;
pub mod sm_context;
pub mod smf;
pub mod subscription;

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
pub use smf::{Smf, Watching};

/// Runs the SMF instances of a configuration file until told to stop.
///
/// # Errors
/// They cannot start.
pub async fn run(config: &Path, events: Events, control: Control) -> Result<(), NfError> {
    let Control { stop, orders, .. } = control;
    nf::run(start(config, events, stop.clone(), orders), stop).await
}

/// Starts the SMF instances of a configuration file; returns when all are ready.
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
) -> Result<Running<Smf>, NfError> {
    let Config { nf, smf } = Config::load(config)?;
    let nrf = Nrf::new(&nf.nrf);
    let smf = Arc::new(smf);
    let watching = if nf.is_large() {
        Watching::WithContexts
    } else {
        Watching::Always
    };
    let build =
        |instance: &Arc<Instance>| Smf::new(smf.clone(), instance.clone(), nrf.clone(), watching);
    nf::start(nf, NfType::Smf, build, Metrics::new(), events, stop, orders).await
}
