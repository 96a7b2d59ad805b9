//! A simulated AMF: it sets up PDU sessions for UEs that do not exist, which is the load of an experiment.
//!
//! ```text
//!   session ── 1 discover ──> NRF          each over a fresh mTLS connection
//!     │ sbi::selection: which SMF?
//!     ├─ 2 create, 4 modify, 5 release ──> SMF
//!     └─ waits ── ue_context <── 3 N1N2 transfer ── communication <── SMF
//! ```
//!
//! In scope: discovery and choice of SMFs, Nsmf_PDUSession as a consumer, Namf_Communication N1N2 message transfer and SM context
//! status notifications as a producer (TS 29.502, TS 29.518), and registration with AUSF, UDM and PCF as a consumer. Out of scope: N2,
//! and what NAS and NGAP messages say.
//!
//! * [`amf`]: the network function
//! * [`session`]: the operations that a load generator drives
//! * `registration`, `session_procedures`: those of them that are procedures of a UE
//! * [`mobility`]: the registration state of UEs
//! * [`pdu_session`]: the requests to it
//! * [`ue_context`]: UE contexts and what their PDU sessions wait for
//! * [`communication`]: the service namf-comm, and notifications
//! * [`error`]: why an operation failed
//! * [`config`]: the configuration file

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: sbi::tell!, output.rs of lab

pub mod amf;
pub mod communication;
pub mod config;
pub mod error;
mod home;
pub mod mobility;
pub mod pdu_session;
mod registration;
pub mod session;
mod session_procedures;
#[cfg(test)]
mod test_smf;
pub mod ue_context;
mod watched;

use std::path::Path;
use std::sync::Arc;

use sbi::instance::Instance;
use sbi::metrics::Metrics;
use sbi::model::NfType;
use sbi::nf::{self, NfError, Running};
use sbi::orders::Orders;
use sbi::process::{Events, Stop};

pub use amf::Amf;
pub use config::Config;
pub use error::{ErrorClass, SessionError};
pub use session::{Attempt, ConnectionPool, Ended, Indirect, Reach};

/// Starts the AMF instances of a configuration file; returns when all are ready.
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
) -> Result<Running<Amf>, NfError> {
    let Config { nf, amf } = Config::load(config)?;
    let amf = Arc::new(amf);
    let build = |instance: &Arc<Instance>| Amf::new(amf.clone(), instance.clone());
    nf::start(nf, NfType::Amf, build, Metrics::new(), events, stop, orders).await
}
