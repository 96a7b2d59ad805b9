//! One run of a scenario: lab up, load, counters before and after, results.
//!
//! ```text
//!  Scenario ─> LabFolder ─> Topology ─> load: warm-up | measured ─> LoadResult ──────────┐
//!                                            │ counters              │ counters           ├─> Results
//!                                            └──────── difference ───┴─> NfTotals ────────┘
//! ```

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use mtc_core::time::UnixTime;
use sbi::ledger::{Measurements, NfTotals};
use sbi::process::Event;
use tokio::time::timeout;

use crate::environment::Environment;
use crate::load::worker::{Answer, Command};
use crate::load::{LoadResult, Phase, Progress, VariantMismatch};
use crate::measure::SLICES;
use crate::results::Results;
use crate::scenario::Scenario;
use crate::topology::{ChildError, FolderError, LabFolder, Nf, Plan, Topology, TopologyError};

mod slices;

use slices::Slices;

/// How much longer than planned a load may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a run has no results.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The lab's files.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The lab.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The load generator.
    #[error("the load generator")]
    Generator(#[from] ChildError),
    /// The load generator's answer cannot be read.
    #[error("the load generator's answer cannot be read")]
    Answer(#[from] serde_json::Error),
    /// The load generator gave no result in time.
    #[error("the load generator gave no result within {0:?}")]
    Stuck(Duration),
    /// The load generator ran another number of variants.
    #[error(transparent)]
    Variants(#[from] VariantMismatch),
    /// Stopped before there was anything to report.
    #[error("interrupted before the load began")]
    Interrupted,
}

/// What a run needs besides the scenario.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The lab's folder, which must not hold a PKI yet.
    pub folder: PathBuf,
    /// The `mtc5g` command.
    pub binary: PathBuf,
}

/// Hears what is going on; must not block.
pub trait Audience {
    /// A step of the start or the end.
    fn step(&self, text: &str);
    /// How far the load is.
    fn progress(&self, progress: &Progress);
}

/// Counters of the NFs at one moment.
type Counters = BTreeMap<&'static str, Measurements>;

/// Runs a scenario from beginning to end. When `interrupt` completes, no more arrivals come and what was measured is
/// reported. The lab is stopped whatever happens.
///
/// # Errors
/// There is nothing to report.
pub async fn run(
    scenario: &Scenario,
    setting: &Setting,
    interrupt: impl Future<Output = ()>,
    audience: &impl Audience,
) -> Result<Results, RunError> {
    let mut interrupt = std::pin::pin!(interrupt);
    audience.step("making the lab's PKI and configurations");
    let folder = LabFolder::create(&setting.folder, &Plan::of(scenario), now())?;
    let starting = Topology::start(folder, setting.binary.clone(), |step| audience.step(step));
    let mut topology = tokio::select! {
        started = starting => started?,
        () = &mut interrupt => return Err(RunError::Interrupted),
    };
    let measured = measure(scenario, &mut topology, interrupt, audience).await;
    audience.step("stopping the lab");
    topology.stop().await;
    let (load, before, after, slices) = measured?;
    let totals = totals(scenario, &before, &after);
    let mut results = Results::new(Environment::detect(), scenario, load, &totals)?;
    results.sliced(&slices);
    Ok(results)
}

fn now() -> UnixTime {
    mtc_tls::endpoint::Clock::default().now()
}

async fn measure(
    scenario: &Scenario,
    topology: &mut Topology,
    mut interrupt: std::pin::Pin<&mut impl Future<Output = ()>>,
    audience: &impl Audience,
) -> Result<(LoadResult, Counters, Counters, Vec<Vec<NfTotals>>), RunError> {
    let command = Command::Load {
        plan: scenario.load.clone(),
        profiles: scenario
            .variants
            .iter()
            .map(|variant| variant.profile().to_string())
            .collect(),
        seed: scenario.seed,
    };
    let slice = (scenario.load.duration() - scenario.load.warmup) / SLICES as u32;
    let mut before = counters(topology).await?;
    let mut slices = Slices::begin(topology, slice).await;
    topology
        .child(Nf::Amf)?
        .command(&serde_json::to_string(&command)?)
        .await?;
    let patience = scenario.load.duration() + PATIENCE;
    let mut interrupted = false;
    let mut phase = None;
    let load = timeout(patience, async {
        loop {
            let event = tokio::select! {
                event = topology.next_event(Nf::Amf) => event?,
                () = slices.due(), if phase == Some(Phase::Measured) => {
                    slices.sample(topology).await;
                    continue;
                }
                () = &mut interrupt, if !interrupted => {
                    interrupted = true;
                    audience.step("interrupted: no more arrivals, waiting for what is under way");
                    let stop = serde_json::to_string(&Command::Stop)?;
                    topology.child(Nf::Amf)?.command(&stop).await?;
                    continue;
                }
            };
            let Event::Answer { value } = event else {
                continue;
            };
            match serde_json::from_value(value)? {
                Answer::Progress(progress) => {
                    if progress.phase == Phase::Measured && phase != Some(Phase::Measured) {
                        before = counters(topology).await?;
                        slices = Slices::begin(topology, slice).await;
                    }
                    phase = Some(progress.phase);
                    audience.progress(&progress);
                }
                Answer::Result(result) => return Ok::<_, RunError>(*result),
            }
        }
    });
    let load = load.await.map_err(|_| RunError::Stuck(patience))??;
    let after = counters(topology).await?;
    let slices = slices.finish(topology, scenario).await;
    Ok((load, before, after, slices))
}

async fn counters(topology: &mut Topology) -> Result<Counters, RunError> {
    let mut counters = Counters::new();
    for nf in Nf::ALL {
        counters.insert(nf.as_str(), topology.measurements(nf).await?);
    }
    Ok(counters)
}

/// What the NFs counted in between, one a variant. The load generator counts its own connections by operation, so its
/// process's client side is left out.
fn totals(scenario: &Scenario, before: &Counters, after: &Counters) -> Vec<NfTotals> {
    let of = |counters: &Counters, nf: &str, profile: &str| -> NfTotals {
        counters
            .get(nf)
            .and_then(|measured| measured.profiles.get(profile))
            .cloned()
            .unwrap_or_default()
    };
    scenario
        .variants
        .iter()
        .map(|variant| {
            let profile = variant.profile().to_string();
            let mut totals = NfTotals::default();
            for nf in Nf::ALL {
                let mut counted =
                    of(after, nf.as_str(), &profile).since(&of(before, nf.as_str(), &profile));
                if nf == Nf::Amf {
                    counted.client = Default::default();
                }
                totals.merge(&counted);
            }
            totals
        })
        .collect()
}
