//! A scenario: the one TOML file that says which lab to start, which variants to compare and how to load them.
//!
//! ```text
//!  text ──TOML──> tables with spans ──Reader──> Scenario          every value inside its bounds
//!                                        └────> ScenarioFaults    all faults of the file, by line
//! ```
//!
//! The tables are read key by key and not by `serde`, because `deny_unknown_fields` stops at the first fault and a
//! person who fixes a file wants to see all of them. A [`Scenario`] that exists is valid: there is no other maker than
//! [`Scenario::parse`].

use std::ops::RangeInclusive;
use std::time::Duration;

use ::link::LinkSettings;
use mtc_core::landmark::MAX_LANDMARKS;
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use crate::topology::Nf;

mod duration;
mod event;
mod expect;
mod fault;
mod link;
mod reader;
mod short;
mod thresholds;
mod variant;

pub use duration::{DurationError, parse_duration};
pub use event::{Action, Event};
pub use expect::{ErrorsAllowed, Expectation, Fallback};
pub use fault::{Fault, ScenarioFaults};
use reader::{Reader, Table, choice, integer, number, span_of_time, text};
pub use thresholds::{Amount, Figure, Operator, Relation, Statistic, Term, Threshold, Timed};
use variant::MAX_VARIANTS;
pub use variant::Variant;

/// Instances of one NF type; each has its own key, certificate, registration and connections.
const INSTANCES: RangeInclusive<u64> = 1..=256;
const CERTIFICATE_LIFETIME: RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(365 * 86_400);
const CHECKPOINT_INTERVAL: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(60);
/// Landmarks carry an expiry in whole seconds, so they are not allocated more often than that.
const LANDMARK_INTERVAL: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(86_400);
/// A published list of landmarks has room for so many active ones beside the expired one that ends it.
const MAX_ACTIVE_LANDMARKS: u128 = MAX_LANDMARKS as u128 - 1;
/// The log is filled before the first NF starts; ten million entries are a proof of 24 hashes.
const PRELOAD: RangeInclusive<u64> = 0..=10_000_000;
const RATE: RangeInclusive<f64> = 0.01..=100_000.0;
const MAX_STAGES: usize = 100;
const STAGE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(86_400);
const WARMUP: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(600);
const MAX_IN_FLIGHT: RangeInclusive<u64> = 1..=65_536;
/// Each arrival leaves a count in a histogram; this is the bound on a run, not on memory.
const MAX_ARRIVALS: f64 = 100e6;
const MAX_NAME: usize = 32;
const MAX_DESCRIPTION: usize = 1000;

/// A valid scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// `scenario.name`: names the result directory; letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// `scenario.description`: for the reader of the report; default empty.
    pub description: String,
    /// `scenario.seed`: two runs with the same seed make the same arrivals; default 1.
    pub seed: u64,
    /// `scenario.shortest`: the measured part that still shows what the scenario is for, see [`Self::shortened`]; default
    /// 3 s.
    pub shortest: Duration,
    /// Whether this is the short form.
    pub is_shortened: bool,
    /// `[lab]`: what is started.
    pub lab: LabPlan,
    /// `[[variant]]`: what is compared, at least one; the first is what the others are related to.
    pub variants: Vec<Variant>,
    /// `[load]`: what is done.
    pub load: LoadPlan,
    /// `[link]`: the path between network functions; `None` for the loopback.
    pub link: Option<LinkSettings>,
    /// `[thresholds]`: what the run has to show, in the order of their names.
    pub thresholds: Vec<Threshold>,
    /// `[[event]]`: what happens meanwhile, in the order of the file.
    pub events: Vec<Event>,
    /// `[expect]`: what is no fault of the run.
    pub expect: Expectation,
    text: String,
}

impl Scenario {
    /// Reads a scenario from the text of its file.
    ///
    /// # Errors
    ///
    /// Every fault of the text, in the order of its lines.
    pub fn parse(text: &str) -> Result<Self, ScenarioFaults> {
        let mut reader = Reader::new(text);
        let scenario = reader
            .document()
            .and_then(|root| read_scenario(&mut reader, &root, text));
        match (scenario, reader.finish()) {
            (Some(scenario), Ok(())) => Ok(scenario),
            (None, Ok(())) => unreachable!("a value is withheld only where a fault was reported"),
            (_, Err(faults)) => Err(faults),
        }
    }

    /// The text this scenario was read from, byte for byte; results carry it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// `[lab]`: the network functions and their certificate authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabPlan {
    /// `amf`: AMF instances, default 2.
    pub amf: u16,
    /// `smf`: SMF instances, default 2.
    pub smf: u16,
    /// `certificate_lifetime`, default 1 h.
    pub certificate_lifetime: Duration,
    /// `checkpoint_interval`: how often the sequencer signs a checkpoint when entries wait, default 200 ms.
    pub checkpoint_interval: Duration,
    /// `landmark_interval`: the least time between two landmarks, default 2 s.
    pub landmark_interval: Duration,
    /// `preload`: log entries made before the first NF enrols, so that proofs have a realistic length; default 0.
    pub preload: u64,
}

impl LabPlan {
    /// How many instances of an NF there are.
    pub const fn instances(&self, nf: Nf) -> u16 {
        match nf {
            Nf::Amf => self.amf,
            Nf::Smf => self.smf,
            Nf::Nrf | Nf::Scp => 1,
        }
    }
}

/// `[load]`: what arrives when. Goes to the load generator's process as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadPlan {
    /// `operation`: what each arrival does.
    pub operation: OperationKind,
    /// `arrivals`: how arrivals are spaced, default `constant`.
    pub arrivals: ArrivalProcess,
    /// `stages`: the measured part, in order.
    pub stages: Vec<Stage>,
    /// `warmup`: time at the first stage's rate before the measured part, whose arrivals run and are not recorded;
    /// default 3 s.
    pub warmup: Duration,
    /// `max_in_flight`: an arrival that finds this many operations unfinished is dropped and counted; default 256.
    pub max_in_flight: usize,
}

impl LoadPlan {
    /// From the first arrival to the last, warm-up included.
    pub fn duration(&self) -> Duration {
        self.warmup + self.measured()
    }

    /// From the first arrival that is recorded to the last.
    pub fn measured(&self) -> Duration {
        self.stages.iter().map(|stage| stage.duration).sum()
    }
}

/// What one arrival does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationKind {
    /// Discover an SMF at the NRF, create an SM context, be called back; each over a fresh mTLS connection.
    Session,
    /// Connect to an SMF, complete the handshake, close.
    Handshake,
}

impl OperationKind {
    /// The name in scenarios and results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Handshake => "handshake",
        }
    }
}

/// How arrivals are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArrivalProcess {
    /// Evenly.
    Constant,
    /// With exponentially distributed gaps, drawn from the seed.
    Poisson,
}

/// A time at one rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Operations per second, over all variants together.
    pub rate: f64,
    /// How long.
    pub duration: Duration,
}

fn read_scenario(
    reader: &mut Reader<'_>,
    root: &DeTable<'_>,
    text_of_file: &str,
) -> Option<Scenario> {
    const TABLES: &[&str] = &[
        "scenario",
        "lab",
        "variant",
        "load",
        "link",
        "event",
        "expect",
        "thresholds",
    ];
    let root = reader.root(root, TABLES);
    let head = reader
        .section(
            &root,
            "scenario",
            &["name", "description", "seed", "shortest"],
        )
        .map(|table| read_head(reader, &table));
    let lab = reader
        .section(
            &root,
            "lab",
            &[
                "amf",
                "smf",
                "certificate_lifetime",
                "checkpoint_interval",
                "landmark_interval",
                "preload",
            ],
        )
        .map(|table| read_lab(reader, &table));
    let variants = variant::read(reader, &root);
    let load = reader
        .section(
            &root,
            "load",
            &["operation", "arrivals", "stages", "warmup", "max_in_flight"],
        )
        .map(|table| read_load(reader, &table));
    let link = match reader.optional_section(&root, "link", link::KEYS) {
        Some(Some(table)) => link::read(reader, &table).map(Some),
        Some(None) => Some(None),
        None => None,
    };
    let thresholds = variants
        .as_deref()
        .and_then(|variants| thresholds::read(reader, &root, variants));
    let length = load
        .as_ref()
        .and_then(Option::as_ref)
        .map(LoadPlan::measured);
    let instances_of = |nf| Some(lab.as_ref()?.as_ref()?.instances(nf));
    let events = event::read(reader, &root, length, instances_of);
    let has_events = root.has("event");
    let expect = expect::read(reader, &root, variants.as_deref(), has_events);
    let (name, description, seed, shortest) = head??;
    Some(Scenario {
        name,
        description,
        seed,
        shortest,
        is_shortened: false,
        lab: lab??,
        variants: variants?,
        load: load??,
        link: link?,
        thresholds: thresholds?,
        events: events?,
        expect: expect?,
        text: text_of_file.to_owned(),
    })
}

fn read_head(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
) -> Option<(String, String, u64, Duration)> {
    let name = reader.required(table, "name", reader::name(MAX_NAME));
    let description = reader.optional(table, "description", String::new(), text(MAX_DESCRIPTION));
    let seed = reader.optional(table, "seed", 1, integer(0..=i64::MAX as u64));
    let shortest = reader.optional(
        table,
        "shortest",
        Duration::from_secs(3),
        span_of_time(STAGE),
    );
    Some((name?, description?, seed?, shortest?))
}

fn read_lab(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<LabPlan> {
    let amf = reader.optional(table, "amf", 2, integer(INSTANCES));
    let smf = reader.optional(table, "smf", 2, integer(INSTANCES));
    let lifetime = reader.optional(
        table,
        "certificate_lifetime",
        Duration::from_secs(3600),
        span_of_time(CERTIFICATE_LIFETIME),
    );
    let checkpoint = reader.optional(
        table,
        "checkpoint_interval",
        Duration::from_millis(200),
        span_of_time(CHECKPOINT_INTERVAL),
    );
    let landmark = reader.optional(
        table,
        "landmark_interval",
        Duration::from_secs(2),
        span_of_time(LANDMARK_INTERVAL),
    );
    let preload = reader.optional(table, "preload", 0, integer(PRELOAD));
    let plan = LabPlan {
        amf: u16::try_from(amf?).expect("INSTANCES fits in u16"),
        smf: u16::try_from(smf?).expect("INSTANCES fits in u16"),
        certificate_lifetime: lifetime?,
        checkpoint_interval: checkpoint?,
        landmark_interval: landmark?,
        preload: preload?,
    };
    check_intervals(reader, table, &plan);
    Some(plan)
}

fn check_intervals(reader: &mut Reader<'_>, table: &Table<'_>, plan: &LabPlan) {
    if plan.landmark_interval < plan.checkpoint_interval {
        let rule =
            "must not be shorter than checkpoint_interval: a landmark is a checkpoint's tree size";
        reader.fault_at(table, "landmark_interval", rule, None);
    }
    if plan.landmark_interval >= plan.certificate_lifetime {
        let rule = "must be shorter than certificate_lifetime, or no certificate lives to see its landmark";
        reader.fault_at(table, "landmark_interval", rule, None);
    }
    if plan.certificate_lifetime.as_millis() / plan.landmark_interval.as_millis()
        > MAX_ACTIVE_LANDMARKS
    {
        let rule = format!("would keep more than {MAX_ACTIVE_LANDMARKS} landmarks active at once");
        reader.fault_at(
            table,
            "certificate_lifetime",
            rule,
            Some("shorten it or lengthen landmark_interval".into()),
        );
    }
}

fn read_load(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<LoadPlan> {
    let operations = [OperationKind::Session, OperationKind::Handshake];
    let operation = reader.required(
        table,
        "operation",
        choice(&operations.map(|kind| (kind.as_str(), kind))),
    );
    let arrivals = reader.optional(
        table,
        "arrivals",
        ArrivalProcess::Constant,
        choice(&[
            ("constant", ArrivalProcess::Constant),
            ("poisson", ArrivalProcess::Poisson),
        ]),
    );
    let stages = read_stages(reader, table);
    let warmup = reader.optional(
        table,
        "warmup",
        Duration::from_secs(3),
        span_of_time(WARMUP),
    );
    let max_in_flight = reader.optional(table, "max_in_flight", 256, integer(MAX_IN_FLIGHT));
    Some(LoadPlan {
        operation: operation?,
        arrivals: arrivals?,
        stages: stages?,
        warmup: warmup?,
        max_in_flight: usize::try_from(max_in_flight?).expect("MAX_IN_FLIGHT fits in usize"),
    })
}

fn read_stages(reader: &mut Reader<'_>, load: &Table<'_>) -> Option<Vec<Stage>> {
    let tables = reader.sections(load, "stages", 1..=MAX_STAGES, &["rate", "duration"])?;
    let read: Vec<Option<Stage>> = tables
        .iter()
        .map(|table| {
            let rate = reader.required(table, "rate", number(RATE));
            let duration = reader.required(table, "duration", span_of_time(STAGE));
            Some(Stage {
                rate: rate?,
                duration: duration?,
            })
        })
        .collect();
    let stages: Vec<Stage> = read.into_iter().collect::<Option<_>>()?;
    let arrivals: f64 = stages
        .iter()
        .map(|stage| stage.rate * stage.duration.as_secs_f64())
        .sum();
    if arrivals > MAX_ARRIVALS {
        let rule = format!("make {arrivals:.0} arrivals; a run has at most {MAX_ARRIVALS:.0}");
        reader.fault_at(
            load,
            "stages",
            rule,
            Some("lower a rate or shorten a stage".into()),
        );
    }
    Some(stages)
}

#[cfg(test)]
mod tests;
