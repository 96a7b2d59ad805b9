//! The model held against a run: what it says of the run's own lab, and what was measured.
//!
//! Bytes come from the scenario alone: algorithms, instances, preload. CPU times come from known costs, which the run's first variant
//! scales to its machine; nothing else of the run goes into them.

use mtc_tls::profile::TrustDomain;
use serde::Serialize;

use crate::results::{Results, VariantResult};
use crate::scenario::{LabPlan, Scenario, ScenarioFaults};

use super::costs::Costs;
use super::sizes::{Bytes, Proofs};
use super::tree::mean_path_of_last;
use super::way::Way;

/// How far bytes may be off.
pub const TOLERATED_BYTES: f64 = 0.05;
/// How far CPU times may be off.
pub const TOLERATED_CPU: f64 = 0.15;
/// Instances that enrol at once share a batch; a lab's come in a few.
const BATCH: u64 = 4;

/// What the model says of a run, and what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Against {
    /// The run.
    pub run: String,
    /// Whence the CPU times are.
    pub costs: String,
    /// Its variants, but for those that the model does not know.
    pub variants: Vec<Compared>,
}

/// One variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// Bytes of a handshake in both directions: of the model.
    pub bytes: f64,
    /// The same as measured.
    pub measured_bytes: f64,
    /// CPU time of both ends in microseconds: of the model.
    pub cpu_us: f64,
    /// The same as measured.
    pub measured_cpu_us: f64,
}

/// The model cannot be held against a run.
#[derive(Debug, thiserror::Error)]
pub enum AgainstError {
    /// It is no run of a scenario.
    #[error(
        "an observation of live processes: the model needs what a scenario says of its lab, so name a run of mtc5g run"
    )]
    Observed,
    /// Its scenario is not one of this version.
    #[error("the run's scenario")]
    Scenario(#[source] ScenarioFaults),
    /// Nothing to compare.
    #[error("no variant of the run has handshakes that the model knows")]
    Nothing,
}

impl Against {
    /// The model beside a run.
    ///
    /// # Errors
    /// Its scenario cannot be read, or no variant can be compared.
    pub fn of(results: &Results, known: &Costs) -> Result<Self, AgainstError> {
        if results.run.observed.is_some() {
            return Err(AgainstError::Observed);
        }
        let scenario = Scenario::parse(&results.scenario).map_err(AgainstError::Scenario)?;
        let first = results.variants.first().ok_or(AgainstError::Nothing)?;
        let costs = Costs::scaled_to(first, known).ok_or(AgainstError::Nothing)?;
        let proofs = proofs(&scenario);
        let variants: Vec<Compared> = results
            .variants
            .iter()
            .filter_map(|variant| Compared::of(variant, proofs, &costs))
            .collect();
        if variants.is_empty() {
            return Err(AgainstError::Nothing);
        }
        Ok(Self {
            run: results.run.name.clone(),
            costs: known.origin.clone(),
            variants,
        })
    }

    /// Whether every variant is within [`TOLERATED_BYTES`] and [`TOLERATED_CPU`].
    pub fn holds(&self) -> bool {
        self.variants.iter().all(Compared::holds)
    }
}

impl Compared {
    fn of(variant: &VariantResult, proofs: Proofs, costs: &Costs) -> Option<Self> {
        let way = Way::of_result(variant)?;
        let bytes = Bytes::of(way, proofs);
        Some(Self {
            name: variant.name.clone(),
            bytes: bytes.both(),
            measured_bytes: variant.bytes_client? + variant.bytes_server?,
            cpu_us: costs.cpu_us(way, proofs, bytes),
            measured_cpu_us: variant.cpu_us_client? + variant.cpu_us_server?,
        })
    }

    /// By how much the model's bytes are above what was measured.
    pub fn bytes_off(&self) -> f64 {
        self.bytes / self.measured_bytes - 1.0
    }

    /// By how much the model's CPU time is above what was measured.
    pub fn cpu_off(&self) -> f64 {
        self.cpu_us / self.measured_cpu_us - 1.0
    }

    /// Whether both are within what is tolerated.
    pub fn holds(&self) -> bool {
        self.bytes_off().abs() <= TOLERATED_BYTES && self.cpu_off().abs() <= TOLERATED_CPU
    }
}

/// The proofs of a lab's certificates: its network functions enrol behind the preload, and the first landmark covers all.
fn proofs(scenario: &Scenario) -> Proofs {
    let lab = &scenario.lab;
    let entries = mtc_certificates(scenario);
    // An issuance log begins with an entry that states nothing.
    let size = 1 + lab.preload + entries;
    Proofs {
        standalone_hashes: mean_path_of_last(size - BATCH.min(size), size, BATCH),
        landmark_hashes: mean_path_of_last(0, size, entries),
        witnesses: f64::from(lab.require),
    }
}

/// Merkle Tree Certificates that a lab's instances have: one for each leaf key of the variants that use them.
fn mtc_certificates(scenario: &Scenario) -> u64 {
    let variants = scenario.variants.iter();
    let uses = variants.filter(|of| !matches!(of.authentication, TrustDomain::X509(_)));
    let mut keys: Vec<_> = uses.map(|variant| variant.leaf_key).collect();
    keys.sort_unstable();
    keys.dedup();
    instances(&scenario.lab) * keys.len().max(1) as u64
}

/// Network functions, NRF and SCP among them.
fn instances(lab: &LabPlan) -> u64 {
    let groups = [lab.amf, lab.smf, lab.ausf, lab.udm, lab.pcf];
    2 + groups.into_iter().map(u64::from).sum::<u64>()
}
