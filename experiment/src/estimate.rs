//! What an estate will cost, before anything of it is changed: a model of handshakes and of the log, held against measured runs.
//!
//! ```text
//!  estate (file, preset, flags) ─┐   sizes: bytes of a handshake      ┐
//!  variants (of a scenario) ─────┼─> tree:  hashes of a proof         ├─> Estimate ──> table, Markdown, JSON
//!  costs (a run's results) ──────┘   costs: CPU time of its parts     │
//!                                    log:   landmarks, growth, state  ┘
//!  results of a run ──> against: what the model says of it, beside what was measured
//! ```
//!
//! The formulas and what they leave out are in `docs/estimate.md`; names here are those of that page.

use serde::Serialize;

use crate::scenario::Variant;

mod against;
mod audit;
mod costs;
mod estate;
mod fit;
mod log;
mod sizes;
mod text;
mod tree;
mod way;

pub use against::{Against, AgainstError, Compared, TOLERATED_BYTES, TOLERATED_CPU};
pub use audit::{Audit, AuditError};
pub use costs::{Costs, CostsError};
pub use estate::{Estate, EstateError, NfGroup, PRESETS, Time};
pub use fit::{BenchHandshake, FitError};
pub use log::{Cadence, LogEstimate};
pub use text::{estimate_markdown, estimate_table};

use estate::DAY;
use mtc_tls::handshake::slow_start_waits;
use mtc_tls::profile::TrustDomain;
use sizes::{Bytes, Proofs};
use way::Way;

/// The schema of the JSON form.
pub const SCHEMA: &str = "mtc5g-estimate/1";

/// What an estate will cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The estate, with every default.
    pub estate: Estate,
    /// Whence the CPU times are.
    pub costs: String,
    /// Instances of all types.
    pub instances: f64,
    /// Handshakes in a second.
    pub handshakes_per_second: f64,
    /// Requests in a second.
    pub requests_per_second: f64,
    /// Leaf certificates that an audit has found, by algorithm; none without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// Each way of authenticating, in the scenario's order; the first is what the others are related to.
    pub variants: Vec<VariantEstimate>,
    /// The log of the Merkle Tree CA.
    pub log: LogEstimate,
    /// What other intervals between landmarks would make of it.
    pub cadences: Vec<Cadence>,
}

/// What one way of authenticating costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VariantEstimate {
    /// Its name in the scenario.
    pub name: String,
    /// Bytes of a handshake from the client: TLS records.
    pub bytes_client: f64,
    /// The same from the server.
    pub bytes_server: f64,
    /// CPU time of a handshake, both ends, in microseconds.
    pub cpu_us: f64,
    /// Round trips until the client's handshake is complete, TCP's included.
    pub round_trips: f64,
    /// The same until the first answer of the server, whatever the server takes for it.
    pub first_answer_round_trips: f64,
    /// What those take, in milliseconds.
    pub first_answer_ms: f64,
    /// Bits of handshakes in a second, over the estate.
    pub bits_per_second: f64,
    /// Processors that handshakes keep busy, over the estate.
    pub processors: f64,
    /// Bytes of handshakes in a day.
    pub bytes_per_day: f64,
    /// CPU time of handshakes in a day, in seconds.
    pub cpu_seconds_per_day: f64,
    /// Round trips waited for handshakes in a day.
    pub round_trips_per_day: f64,
    /// Bytes of handshakes for each request; none without requests.
    pub bytes_per_request: Option<f64>,
    /// Bytes as a multiple of the first variant's.
    pub bytes_to_first: f64,
    /// CPU time as a multiple of the first variant's.
    pub cpu_to_first: f64,
}

impl Estimate {
    /// What `estate` will cost with each of the variants that the model knows: full handshakes, no grease.
    ///
    /// The estate was [checked](Estate::check).
    pub fn of(estate: &Estate, variants: &[Variant], costs: &Costs, audit: Option<Audit>) -> Self {
        let log = LogEstimate::of(estate);
        let proofs = log.proofs(estate);
        let of = |variant: &Variant| {
            let way = Way::of(variant)?;
            Some(VariantEstimate::of(
                variant.name.clone(),
                estate,
                &handshake(way, proofs, log.now.hit_share, costs, estate),
            ))
        };
        let mut all: Vec<VariantEstimate> = variants.iter().filter_map(of).collect();
        if let Some(first) = all.first().cloned() {
            for variant in &mut all {
                variant.relate(&first);
            }
        }
        let cadences = Cadence::others(estate, log.standalone_hashes);
        Self {
            schema: SCHEMA,
            costs: costs.origin.clone(),
            instances: estate.instances(),
            handshakes_per_second: estate.handshakes_per_second(),
            requests_per_second: estate.requests_per_second(),
            audit,
            variants: all,
            log,
            cadences,
            estate: estate.clone(),
        }
    }
}

/// A handshake of a way, the mean over those with and without a landmark.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Handshake {
    client: f64,
    server: f64,
    cpu_us: f64,
    round_trips: f64,
    first_answer: f64,
}

fn handshake(
    way: Way,
    proofs: Proofs,
    hit_share: f64,
    costs: &Costs,
    estate: &Estate,
) -> Handshake {
    let hit = full_handshake(way, proofs, costs, estate);
    if way.domain != TrustDomain::MtcLandmark {
        return hit;
    }
    // Who knows no landmark of the peer is served as one whose landmarks are stale.
    let missed = Way {
        domain: TrustDomain::MtcLandmarkStale,
        ..way
    };
    let miss = full_handshake(missed, proofs, costs, estate);
    let mean = |of: fn(Handshake) -> f64| hit_share * of(hit) + (1.0 - hit_share) * of(miss);
    Handshake {
        client: mean(|of| of.client),
        server: mean(|of| of.server),
        cpu_us: mean(|of| of.cpu_us),
        round_trips: mean(|of| of.round_trips),
        first_answer: mean(|of| of.first_answer),
    }
}

fn full_handshake(way: Way, proofs: Proofs, costs: &Costs, estate: &Estate) -> Handshake {
    let bytes = Bytes::of(way, proofs);
    let [mss, window] = [estate.mss, estate.initial_window].map(u64::from);
    let waits = |flights: &[f64]| {
        let flights = flights.iter().map(|flight| *flight as u64);
        slow_start_waits(flights, mss, window) as f64
    };
    // One for TCP and one for TLS.
    let round_trips = 2.0 + waits(&[bytes.server]);
    let hello = bytes.client - bytes.client_flight;
    Handshake {
        client: bytes.client,
        server: bytes.server,
        cpu_us: costs.cpu_us(way, proofs, bytes),
        round_trips,
        first_answer: round_trips + 1.0 + waits(&[hello, bytes.client_flight]),
    }
}

impl VariantEstimate {
    fn of(name: String, estate: &Estate, handshake: &Handshake) -> Self {
        let rate = estate.handshakes_per_second();
        let requests = estate.requests_per_second();
        let bytes = handshake.client + handshake.server;
        Self {
            name,
            bytes_client: handshake.client,
            bytes_server: handshake.server,
            cpu_us: handshake.cpu_us,
            round_trips: handshake.round_trips,
            first_answer_round_trips: handshake.first_answer,
            first_answer_ms: handshake.first_answer * estate.rtt.seconds() * 1e3,
            bits_per_second: rate * bytes * 8.0,
            processors: rate * handshake.cpu_us / 1e6,
            bytes_per_day: rate * bytes * DAY,
            cpu_seconds_per_day: rate * handshake.cpu_us / 1e6 * DAY,
            round_trips_per_day: rate * handshake.round_trips * DAY,
            bytes_per_request: (requests > 0.0).then(|| rate * bytes / requests),
            bytes_to_first: 1.0,
            cpu_to_first: 1.0,
        }
    }

    /// Bytes of a handshake in both directions.
    pub const fn bytes(&self) -> f64 {
        self.bytes_client + self.bytes_server
    }

    fn relate(&mut self, first: &Self) {
        self.bytes_to_first = self.bytes() / first.bytes();
        self.cpu_to_first = self.cpu_us / first.cpu_us;
    }
}

#[cfg(test)]
mod tests;
