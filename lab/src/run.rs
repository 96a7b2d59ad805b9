//! One run of a scenario: lab up, load, counters before and after, results.
//!
//! ```text
//!  Scenario ─> LabFolder ─> Topology ─> load: warm-up | measured ─> LoadResult ──────────┐
//!                                            │ counters              │ counters           │
//!                                            ├──────── difference ───┴─> NfTotals ────────┼─> Results
//!                                            └─ director: [[event]] ───> EventRecord ─────┘
//! ```

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use mtc_core::time::UnixTime;
use sbi::ledger::NfTotals;
use sbi::process::Event;
use tokio::time::timeout;

use crate::environment::Environment;
use crate::load::worker::{Answer, Command};
use crate::load::{LoadResult, Phase, Progress, Shard, VariantMismatch};
use crate::measure::SLICES;
use crate::results::{Happenings, Results, TimelinePoint};
use crate::scenario::Scenario;
use crate::topology::{
    Addresses, ChildError, FolderError, LabFolder, Nf, Plan, Topology, TopologyError,
};

mod counters;
mod director;
mod link;
mod slices;

use counters::Counters;
use director::Director;
use link::Links;
pub use link::RunLinkError;
use slices::Slices;

/// Points of a timeline: an hour of seconds.
const MAX_POINTS: usize = 3600;
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
    /// The links.
    #[error(transparent)]
    Link(#[from] RunLinkError),
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
    let links = match &scenario.link {
        Some(settings) => {
            audience.step("making and measuring the links");
            Some(Links::new(settings, scenario.seed).await?)
        }
        None => None,
    };
    audience.step("making the lab's PKI and configurations");
    let addresses = links.as_ref().map_or(Addresses::LOOPBACK, Links::addresses);
    let folder = LabFolder::create_at(&setting.folder, &Plan::of(scenario), addresses, now())?;
    let network = links.as_ref().map(|links| links.network.clone());
    let starting = Topology::start_on(network, folder, setting.binary.clone(), |step| {
        audience.step(step);
    });
    let mut topology = tokio::select! {
        started = starting => started?,
        () = &mut interrupt => return Err(RunError::Interrupted),
    };
    let measured = measure(scenario, &mut topology, interrupt, audience).await;
    audience.step("stopping the lab");
    topology.stop().await;
    let Measured {
        load,
        network_functions,
        slices,
        happenings,
    } = measured?;
    let mut environment = Environment::detect();
    if let Some(links) = &links {
        links.describe(&mut environment);
    }
    let mut results = Results::new(environment, scenario, load, &network_functions)?;
    results.sliced(&slices);
    results.happened(happenings);
    if let Some(links) = links {
        results.linked(links.result());
    }
    Ok(results)
}

fn now() -> UnixTime {
    mtc_tls::endpoint::Clock::default().now()
}

/// What a run has shown.
struct Measured {
    load: LoadResult,
    network_functions: Vec<NfTotals>,
    /// What the network functions counted in each slice, a list for each variant.
    slices: Vec<Vec<NfTotals>>,
    happenings: Happenings,
}

async fn measure(
    scenario: &Scenario,
    topology: &mut Topology,
    mut interrupt: std::pin::Pin<&mut impl Future<Output = ()>>,
    audience: &impl Audience,
) -> Result<Measured, RunError> {
    let command = Command::Load {
        plan: scenario.load.clone(),
        profiles: scenario
            .variants
            .iter()
            .map(|variant| variant.profile().to_string())
            .collect(),
        seed: scenario.seed,
        shard: Shard::WHOLE,
    };
    let slice = scenario.load.measured() / SLICES as u32;
    let mut counters = Counters::begin(topology).await?;
    let mut slices = Slices::begin(topology, slice).await;
    topology
        .child(Nf::Amf)?
        .command(&serde_json::to_string(&command)?)
        .await?;
    let patience = scenario.load.duration() + PATIENCE;
    let mut interrupted = false;
    let mut phase = None;
    // There are no events before the measured part.
    let mut director = Director::begin(&[], topology);
    let mut timeline = Vec::new();
    let load = timeout(patience, async {
        loop {
            let (nf, event) = tokio::select! {
                event = topology.next() => event?,
                () = director.due() => {
                    director.act(topology, &mut counters, audience).await?;
                    continue;
                }
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
            director.hear(nf, &event);
            let Event::Answer { value } = event else {
                continue;
            };
            match serde_json::from_value(value)? {
                Answer::Progress(progress) => {
                    if progress.phase == Phase::Measured && phase != Some(Phase::Measured) {
                        counters = Counters::begin(topology).await?;
                        slices = Slices::begin(topology, slice).await;
                        director = Director::begin(&scenario.events, topology);
                    }
                    phase = Some(progress.phase);
                    timeline.extend(point_of(&progress, scenario));
                    thin_out(&mut timeline);
                    audience.progress(&progress);
                }
                Answer::Result(result) => return Ok::<_, RunError>(*result),
            }
        }
    });
    let load = load.await.map_err(|_| RunError::Stuck(patience))??;
    Ok(Measured {
        load,
        network_functions: counters.end(topology, scenario).await?,
        slices: slices.finish(topology, scenario).await,
        happenings: Happenings {
            events: director.finish(),
            timeline,
        },
    })
}

/// A point of the measured part and what follows it.
fn point_of(progress: &Progress, scenario: &Scenario) -> Option<TimelinePoint> {
    (progress.phase != Phase::WarmUp).then(|| TimelinePoint {
        at_s: progress
            .elapsed
            .saturating_sub(scenario.load.warmup)
            .as_secs_f64(),
        done: progress.done,
        errors: progress.errors,
        dropped: progress.dropped,
        in_flight: progress.in_flight,
    })
}

/// Leaves every other point where there are too many for a chart.
fn thin_out(timeline: &mut Vec<TimelinePoint>) {
    if timeline.len() > MAX_POINTS {
        let mut keep = false;
        timeline.retain(|_| {
            keep = !keep;
            keep
        });
    }
}
