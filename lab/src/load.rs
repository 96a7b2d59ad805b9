//! The load generator: operations arrive when the schedule says so, whatever became of the ones before.
//!
//! ```text
//!  Schedule ──> pacer ──arrival──> engine ──spawns──> Operation::run ──Outcome──> ClientTotals ──> LoadResult
//!                        at its      │ in flight < max, else dropped                latency = end - intended start
//!                        intended    └ queueing = actual start - intended start
//!                        time
//! ```
//!
//! The load is open-loop unless the plan says `closed`: a slow server meets the same arrivals as a fast one, and the time an operation waited to be
//! started is part of its latency, so nothing is left out when the system stalls (coordinated omission). The engine runs
//! in the AMF's process; [`experiment::measure::LoadResult`] travels to the `mtc5g` process as JSON.

mod engine;
mod metrics;
mod pacer;
mod schedule;
mod scp;
pub mod worker;

use mtc_tls::handshake::HandshakeCost;
use nf_amf::{Ended, ErrorClass};

pub use engine::{Engine, Observer, Phase, Progress};
pub use metrics::LoadMetrics;
pub use pacer::Pacer;
pub use schedule::{Arrival, Schedule};

/// What an arrival does; implemented by the network function that generates the load.
pub trait Operation: Send + Sync + 'static {
    /// Does it once. Dropping the future abandons the operation: its connections close.
    fn run(&self, arrival: &Arrival) -> impl Future<Output = Outcome> + Send;

    /// Nothing of the warm-up runs any more: completes when whoever counts has taken readings, and the measured part may begin.
    fn settled(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// What became of one operation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The handshakes that this operation completed as a client, in order, also when it failed later.
    pub handshakes: Vec<HandshakeCost>,
    /// The procedures of a UE that it consisted of, in order.
    pub procedures: Vec<Ended>,
    /// Whether the operation did what it was for.
    pub result: Result<(), Failure>,
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {cause}")]
pub struct Failure {
    /// The step that failed.
    pub class: ErrorClass,
    /// One line without addresses, ports or identifiers, so that equal failures count together.
    pub cause: String,
}
