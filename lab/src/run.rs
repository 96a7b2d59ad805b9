//! One run of a scenario: lab up, load, counters before and after, results.
//!
//! ```text
//!  Scenario ─> LabFolder ─> Topology ─> load: warm-up | measured ─> LoadResult ──────────┐
//!              RunningLab ──┘                │ counters              │ counters           │
//!                                            ├──────── difference ───┴─> Counted ─────────┼─> Part ─> Results
//!                                            └─ director: [[event]] ───> EventRecord ─────┘
//! ```
//!
//! The lab is made for the run, or was up before ([`Setting::join`]): then several generators may share it, each with its
//! part of the arrivals.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use mtc_core::time::UnixTime;
use mtc_tls::kind::CertificateKind;
use sbi::process::Event;
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::load::worker::{Answer, Command};
use crate::load::{Phase, Progress};
use crate::preflight::preflight;
use crate::top::{Places, scrape};
use crate::topology::{
    Addresses, ChildError, FolderError, JoinError, LabFolder, LabPlace, Plan, RunningLab, Topology,
    TopologyError,
};
use experiment::environment::Environment;
use experiment::measure::SLICES;
use experiment::measure::{LoadResult, Shard, VariantMismatch};
use experiment::results::{
    Counted, JoinedLab, PART_SCHEMA, Part, Preflight, Results, RunHistory, StartResult,
    TimelinePoint,
};
use experiment::scenario::Nf;
use experiment::scenario::Scenario;

mod clock;
mod counters;
mod director;
mod landmarks;
mod link;
mod slices;

use clock::ClockSteps;
use counters::{Counters, Origin};
use director::Director;
use landmarks::await_landmarks;
use link::Links;
pub use link::RunLinkError;
use slices::Slices;

/// Points of a timeline: an hour of seconds.
const MAX_POINTS: usize = 3600;
/// How much longer than planned a load may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long an event that has begun may go on after the load: what it waits for is there in a moment, or a process hangs.
const ENDING: Duration = Duration::from_secs(30);
/// What is left of the time before a load that is to begin at a given one.
const START_MARGIN: Duration = Duration::from_secs(1);
/// The metric of the NRF that says how large its log is.
const LOG_ENTRIES: &str = "mtc_log_entries";

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
    /// The lab that is up already.
    #[error("the lab")]
    Join(#[from] JoinError),
    /// The scenario does to the lab what only a lab of its own allows.
    #[error("{0} needs a lab of its own: run without --lab")]
    NotJoined(&'static str),
    /// The generator became ready after the time at which it was to start.
    #[error(
        "the load generator was ready {late:?} after the time of --start-at; give it more time"
    )]
    TooLate {
        /// How long after.
        late: Duration,
    },
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
    /// The lab's folder, which must not hold a PKI yet; the generator's alone when it joins a lab.
    pub folder: PathBuf,
    /// The `mtc5g` command.
    pub binary: PathBuf,
    /// The lab that is up already; without one the run has its own.
    pub join: Option<Joined>,
    /// File that gets the secrets of the connections of the processes that the run starts.
    pub key_log: Option<PathBuf>,
}

/// How a load generator joins a lab that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The lab.
    pub lab: LabPlace,
    /// Folder of enrolment tokens for load generators, if not the lab's own.
    pub tokens: Option<PathBuf>,
    /// Which of the arrivals are this generator's.
    pub shard: Shard,
    /// When the load begins, so that generators begin together; at once without it.
    pub start_at: Option<OffsetDateTime>,
}

/// What a run has shown.
#[derive(Debug)]
pub struct Ran {
    /// Its results.
    pub results: Results,
    /// What they were made of, for merging with other generators'.
    pub part: Part,
}

/// Hears what is going on; must not block.
pub trait ProgressListener {
    /// A step of the start or the end.
    fn step(&self, text: &str);
    /// Something that whoever waits for the figures should know at once.
    fn warn(&self, text: &str);
    /// How far the load is.
    fn progress(&self, progress: &Progress);
}

/// Runs a scenario from beginning to end. When `interrupt` completes, no more arrivals come and what was measured is
/// reported. What was started is stopped whatever happens.
///
/// # Errors
/// There is nothing to report.
pub async fn run(
    scenario: &Scenario,
    setting: &Setting,
    interrupt: impl Future<Output = ()>,
    listener: &impl ProgressListener,
) -> Result<Ran, RunError> {
    let mut interrupt = std::pin::pin!(interrupt);
    if let Some(joined) = &setting.join {
        return run_joined(scenario, setting, joined, interrupt, listener).await;
    }
    let preflight = look(scenario, interrupt.as_mut(), listener).await?;
    tell(&preflight, listener);
    let mut scenario = scenario.clone();
    scenario.load = scenario.load.at_rate(preflight.rate_factor);
    let scenario = &scenario;
    let links = match &scenario.link {
        Some(settings) => {
            listener.step("setting up and measuring the links");
            Some(Links::new(settings, scenario.seed, &scenario.lab).await?)
        }
        None => None,
    };
    listener.step("making the lab's PKI and configurations");
    let addresses = links.as_ref().map_or(Addresses::LOOPBACK, Links::addresses);
    let folder =
        LabFolder::create_at(&setting.folder, &plan(scenario, setting)?, addresses, now())?;
    let network = links.as_ref().map(|links| links.network.clone());
    let starting = Topology::start_on(network, folder, setting.binary.clone(), |step| {
        listener.step(step);
    });
    let mut topology = tokio::select! {
        started = starting => started?,
        () = &mut interrupt => return Err(RunError::Interrupted),
    };
    let measured = measure(scenario, Shard::WHOLE, &mut topology, interrupt, listener).await;
    listener.step("stopping the lab");
    topology.stop().await;
    let mut environment = Environment::detect();
    if let Some(links) = &links {
        links.describe(&mut environment);
    }
    let part = Part {
        preflight: Some(preflight),
        ..measured?.part(scenario, Shard::WHOLE, environment)
    };
    let mut results = part.clone().results(scenario)?;
    if let Some(links) = links {
        results.linked(links.result());
    }
    Ok(Ran { results, part })
}

/// Looks for a second how punctual this machine is.
async fn look(
    scenario: &Scenario,
    interrupt: std::pin::Pin<&mut impl Future<Output = ()>>,
    listener: &impl ProgressListener,
) -> Result<Preflight, RunError> {
    listener.step("looking how punctual this machine is");
    tokio::select! {
        found = preflight(&scenario.load) => Ok(found),
        () = interrupt => Err(RunError::Interrupted),
    }
}

/// Says before a minute is spent that latencies may be lost.
fn tell(preflight: &Preflight, listener: &impl ProgressListener) {
    if preflight.is_unpunctual() {
        listener.warn(&format!("this machine is busy: {}", preflight.advice()));
    }
}

/// The lab that a scenario asks for, watched as the setting says.
fn plan(scenario: &Scenario, setting: &Setting) -> Result<Plan, RunError> {
    let absolute = |file: &PathBuf| {
        std::path::absolute(file).map_err(|source| FolderError::Write {
            path: file.clone(),
            source,
        })
    };
    Ok(Plan {
        key_log: setting.key_log.as_ref().map(absolute).transpose()?,
        ..Plan::of(scenario)
    })
}

/// Runs this generator's part of a scenario against a lab that is up.
async fn run_joined(
    scenario: &Scenario,
    setting: &Setting,
    joined: &Joined,
    mut interrupt: std::pin::Pin<&mut impl Future<Output = ()>>,
    listener: &impl ProgressListener,
) -> Result<Ran, RunError> {
    if scenario.link.is_some() {
        return Err(RunError::NotJoined("[link]"));
    }
    if !scenario.events.is_empty() {
        return Err(RunError::NotJoined("[[event]]"));
    }
    let lab = tokio::select! {
        found = RunningLab::find(&joined.lab, &setting.folder) => found?,
        () = &mut interrupt => return Err(RunError::Interrupted),
    };
    let lab = match &joined.tokens {
        Some(pool) => lab.with_tokens(pool)?,
        None => lab,
    };
    let plan = plan(scenario, setting)?;
    lab.check(&plan)?;
    // All generators of a run keep the same rate.
    let preflight = Preflight {
        rate_factor: 1.0,
        ..look(scenario, interrupt.as_mut(), listener).await?
    };
    tell(&preflight, listener);
    let generator = lab.generator(&plan, &setting.folder, now())?;
    let starting = Topology::join(&lab, generator, setting.binary.clone(), |step| {
        listener.step(step);
    });
    let mut topology = tokio::select! {
        started = starting => started?,
        () = &mut interrupt => return Err(RunError::Interrupted),
    };
    let measured = async {
        let mut kinds = scenario
            .variants
            .iter()
            .map(|variant| variant.authentication.kind());
        if kinds.any(|kind| kind == CertificateKind::LandmarkRelative) {
            listener.step("waiting for the lab's network functions to have the landmark too");
            let lacking = tokio::select! {
                lacking = await_landmarks(&mut topology, patience(joined.start_at)) => lacking?,
                () = &mut interrupt => return Err(RunError::Interrupted),
            };
            if let Some(lacking) = lacking {
                listener.warn(&lacking.to_string());
            }
        }
        if let Some(at) = joined.start_at {
            listener.step(&format!("ready; waiting for {at}"));
            tokio::select! {
                waited = wait_until(at) => waited?,
                ended = topology.ended() => return Err(ended.into()),
                () = &mut interrupt => return Err(RunError::Interrupted),
            }
        }
        let found = found(&lab).await;
        let shard = joined.shard;
        let measured = measure(scenario, shard, &mut topology, interrupt, listener).await;
        Ok((measured?, found))
    }
    .await;
    listener.step("stopping the load generator");
    topology.stop().await;
    let mut environment = Environment::detect();
    if lab.is_deployed() {
        environment = environment.as_deployed();
    }
    let (measured, found) = measured?;
    let mut part = measured.part(scenario, joined.shard, environment);
    part.preflight = Some(preflight);
    part.joined = true;
    part.joined_lab = Some(found);
    let results = part.clone().results(scenario)?;
    Ok(Ran { results, part })
}

/// What a lab is, as its configurations say and its NRF does now.
async fn found(lab: &RunningLab) -> JoinedLab {
    let nrf = Places {
        targets: None,
        addresses: lab.nrf_admin(),
    };
    let scraped = scrape(&nrf).await;
    let samples = scraped.processes.iter();
    let entries = samples
        .filter_map(|process| process.samples.as_ref().ok()?.sum(LOG_ENTRIES))
        .next();
    JoinedLab {
        log_entries: entries.map(|entries| entries as u64),
        ..lab.says().clone()
    }
}

/// How long the lab is waited for: not beyond the time at which the load is to begin.
fn patience(start_at: Option<OffsetDateTime>) -> Duration {
    let left = start_at.map(|at| at - OffsetDateTime::now_utc() - START_MARGIN);
    left.map_or(landmarks::PATIENCE, |left| {
        let left = Duration::try_from(left).unwrap_or_default();
        left.min(landmarks::PATIENCE)
    })
}

/// Waits for a time by this machine's clock.
async fn wait_until(at: OffsetDateTime) -> Result<(), RunError> {
    let left = at - OffsetDateTime::now_utc();
    match Duration::try_from(left) {
        Ok(left) => {
            tokio::time::sleep(left).await;
            Ok(())
        }
        Err(_) => Err(RunError::TooLate {
            late: left.unsigned_abs(),
        }),
    }
}

fn now() -> UnixTime {
    mtc_tls::clock::Clock::default().now()
}

/// What a run has shown.
struct Measured {
    load: LoadResult,
    own: Counted,
    lab: Counted,
    history: RunHistory,
}

impl Measured {
    fn part(self, scenario: &Scenario, shard: Shard, environment: Environment) -> Part {
        Part {
            schema: PART_SCHEMA.to_owned(),
            shard,
            scenario: scenario.text().to_owned(),
            shortened: scenario.is_shortened,
            environment,
            joined: false,
            joined_lab: None,
            preflight: None,
            load: self.load,
            own: self.own,
            lab: self.lab,
            history: self.history,
            notes: Vec::new(),
        }
    }
}

async fn measure(
    scenario: &Scenario,
    shard: Shard,
    topology: &mut Topology,
    mut interrupt: std::pin::Pin<&mut impl Future<Output = ()>>,
    listener: &impl ProgressListener,
) -> Result<Measured, RunError> {
    let command = Command::Load {
        plan: Box::new(scenario.load.clone()),
        scenario: scenario.name.clone(),
        variants: scenario
            .variants
            .iter()
            .map(|variant| variant.name.clone())
            .collect(),
        profiles: scenario
            .variants
            .iter()
            .map(|variant| variant.profile().to_string())
            .collect(),
        seed: scenario.seed,
        shard,
        watched: director::revoked(&scenario.events),
    };
    let slice = scenario.load.measured() / SLICES as u32;
    let mut counters = Counters::begin(topology).await?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let start = StartResult::of(counters.begun(), cores);
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
    let mut clock = ClockSteps::begin();
    let mut timeline = Vec::new();
    let load = timeout(patience, async {
        loop {
            let (nf, event) = tokio::select! {
                event = topology.next() => event?,
                () = director.due() => {
                    director.act(topology, &mut counters, listener).await?;
                    continue;
                }
                () = clock.due() => {
                    clock.look();
                    continue;
                }
                () = slices.due(), if phase == Some(Phase::Measured) => {
                    slices.sample(topology).await;
                    continue;
                }
                () = &mut interrupt, if !interrupted => {
                    interrupted = true;
                    listener.step("interrupted: no more arrivals, waiting for operations in progress");
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
                        director = Director::begin(&scenario.events, topology);
                    }
                    phase = Some(progress.phase);
                    timeline.extend(point_of(&progress, scenario));
                    thin_out(&mut timeline);
                    listener.progress(&progress);
                }
                Answer::Settled => {
                    counters.agree(topology, scenario).await;
                    counters = Counters::begin(topology).await?;
                    slices = Slices::begin(topology, slice).await;
                    clock = ClockSteps::begin();
                    let measure = serde_json::to_string(&Command::Measure)?;
                    topology.child(Nf::Amf)?.command(&measure).await?;
                }
                Answer::Result(result) => return Ok::<_, RunError>(*result),
            }
        }
    });
    let load = load.await.map_err(|_| RunError::Stuck(patience))??;
    director.load_is_over(scenario.load.measured());
    if !load.interrupted {
        tokio::select! {
            ended = await_events(&mut director, topology, &mut counters, listener) => ended?,
            () = &mut interrupt, if !interrupted => {}
        }
    }
    counters.agree(topology, scenario).await;
    let ended = counters.end(topology).await?;
    slices.sample(topology).await;
    let watched = load.watched.clone();
    let counted = |side| Counted {
        totals: ended.of(side, scenario),
        slices: slices.of(side, scenario),
        learning: ended.learning(side),
    };
    let mut own = counted(Origin::Generator);
    let background = ended.background(scenario, &load.variants);
    for (totals, background) in own.totals.iter_mut().zip(&background) {
        totals.client.merge(background);
    }
    Ok(Measured {
        load,
        own,
        lab: counted(Origin::Lab),
        history: RunHistory {
            events: director.finish(&watched, &scenario.variants),
            timeline,
            issuance: slices.issuance(),
            clock_steps: clock.finish(),
            start,
        },
    })
}

/// Waits until the events that have begun are over, or too long; the records of those that are not say so.
async fn await_events(
    director: &mut Director,
    topology: &mut Topology,
    counters: &mut Counters,
    listener: &impl ProgressListener,
) -> Result<(), RunError> {
    let over = async {
        while director.is_waiting() {
            tokio::select! {
                event = topology.next() => {
                    let (nf, event) = event?;
                    director.hear(nf, &event);
                }
                () = director.due() => director.act(topology, counters, listener).await?,
            }
        }
        Ok(())
    };
    timeout(ENDING, over).await.unwrap_or(Ok(()))
}

/// A point of the measured part and what follows it.
fn point_of(progress: &Progress, scenario: &Scenario) -> Option<TimelinePoint> {
    let counts = matches!(progress.phase, Phase::Measured | Phase::Draining);
    counts.then(|| TimelinePoint {
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
