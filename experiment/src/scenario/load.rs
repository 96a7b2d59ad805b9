//! `[load]`: what arrives when, and over which connections.
//!
//! ```text
//!  operation, mix        what an arrival does            connections   over which connections
//!  via                   each variant by which ways: direct, through the SCP
//!  arrivals, stages      when arrivals come  ── open loop: they come whatever became of the ones before
//!  arrivals = "closed"   workers             ── closed loop: each begins when the one before has ended
//! ```

use std::ops::RangeInclusive;
use std::time::Duration;

use mtc_tls::profile::Via;
use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::reader::{Reader, Refusal, Table, choice, integer, list, number, span_of_time, truth};

const RATE: RangeInclusive<f64> = 0.01..=100_000.0;
const MAX_STAGES: usize = 100;
pub(super) const STAGE: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(86_400);
const WARMUP: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(600);
const DEFAULT_WARMUP: Duration = Duration::from_secs(3);
const MAX_IN_FLIGHT: RangeInclusive<u64> = 1..=65_536;
const DEFAULT_MAX_IN_FLIGHT: u64 = 256;
const WORKERS: RangeInclusive<u64> = 1..=4096;
const DEFAULT_WORKERS: u64 = 8;
const WEIGHT: RangeInclusive<u64> = 0..=1_000_000;
/// Uses of one connection; the bound keeps the sum of a sweep readable.
const REUSES: RangeInclusive<u64> = 1..=1_000_000;
const MAX_LATENESS: RangeInclusive<Duration> = Duration::from_micros(100)..=Duration::from_secs(60);
/// Each arrival leaves a count in a histogram; this is the bound on a run, not on memory.
const MAX_ARRIVALS: f64 = 100e6;

/// `[load]`: what arrives when. Goes to the load generator's process as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadPlan {
    /// `operation` and `mix`: what each arrival does.
    pub operation: Workload,
    /// `connections`: over which connections, default `fresh`.
    pub connections: Connections,
    /// `arrivals`: how arrivals are spaced, default `constant`.
    pub arrivals: ArrivalProcess,
    /// `stages`: the measured part, in order.
    pub stages: Vec<Stage>,
    /// `warmup`: time at the first stage's first rate before the measured part, whose arrivals run and are not recorded;
    /// default 3 s.
    pub warmup: Duration,
    /// `max_in_flight`: an arrival that finds this many operations unfinished is dropped and counted; default 256.
    pub max_in_flight: usize,
    /// `max_lateness`: an operation that the generator started later than this was late; default [`Self::MAX_LATENESS`].
    pub max_lateness: Duration,
    /// `adapt_rate`: whether the rates are lowered to the share of the processors that other programs leave right before the run;
    /// default false. The results say so.
    pub adapt_rate: bool,
}

impl LoadPlan {
    /// Where `max_lateness` is not given: what a measurement is held to.
    pub const MAX_LATENESS: Duration = Duration::from_millis(1);

    /// Operations of one kind at one rate, constant arrivals over fresh connections; everything else as by default.
    pub fn steady(operation: OperationKind, rate: f64, duration: Duration) -> Self {
        Self {
            operation: Workload::Only(operation),
            connections: Connections::Fresh,
            arrivals: ArrivalProcess::Constant,
            stages: vec![Stage {
                rate,
                to: rate,
                duration,
            }],
            warmup: DEFAULT_WARMUP,
            max_in_flight: DEFAULT_MAX_IN_FLIGHT as usize,
            max_lateness: Self::MAX_LATENESS,
            adapt_rate: false,
        }
    }

    /// The plan with its rates multiplied by `factor`.
    #[must_use]
    pub fn at_rate(mut self, factor: f64) -> Self {
        for stage in &mut self.stages {
            stage.rate *= factor;
            stage.to *= factor;
        }
        self
    }

    /// From the first arrival to the last, warm-up included.
    pub fn duration(&self) -> Duration {
        self.warmup + self.measured()
    }

    /// From the first arrival that is recorded to the last.
    pub fn measured(&self) -> Duration {
        self.stages.iter().map(|stage| stage.duration).sum()
    }
}

/// What the arrivals of a load do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Workload {
    /// All the same.
    Only(OperationKind),
    /// One of several, drawn from the seed by weight; at least one weight is not zero.
    Mix(Vec<Share>),
}

/// How often an operation occurs in a mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The operation.
    pub operation: OperationKind,
    /// Its weight among those of the mix.
    pub weight: u32,
}

impl Workload {
    /// The name in scenarios and results.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Only(kind) => kind.as_str(),
            Self::Mix(_) => MIX,
        }
    }

    /// Whether an arrival may do something of which `holds`.
    pub fn any(&self, holds: impl Fn(OperationKind) -> bool) -> bool {
        match self {
            Self::Only(kind) => holds(*kind),
            Self::Mix(shares) => shares.iter().any(|share| holds(share.operation)),
        }
    }

    /// Whether arrivals differ in what they do.
    pub const fn is_mix(&self) -> bool {
        matches!(self, Self::Mix(_))
    }
}

/// The name of a load whose arrivals differ in what they do.
const MIX: &str = "mix";

/// What one arrival does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    /// Connect to an SMF, complete the handshake, close.
    Handshake,
    /// Discover SMFs at the NRF.
    Discover,
    /// Discover an SMF at the NRF, create an SM context at it, be called back, release.
    Session,
    /// Put the own profile to the NRF.
    Register,
    /// Register a UE with AUSF, UDM and PCF, and deregister it.
    Registration,
    /// Establish a PDU session at an SMF, which asks UDM and PCF, have it modified, and release it.
    PduSession,
}

impl OperationKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Handshake,
        Self::Discover,
        Self::Session,
        Self::Register,
        Self::Registration,
        Self::PduSession,
    ];

    /// Whether it is made of procedures of a UE, whose cost is told.
    pub const fn has_procedures(self) -> bool {
        matches!(self, Self::Registration | Self::PduSession)
    }

    /// Whether its requests have other producers than the NRF, so that they can go through an SCP.
    pub const fn may_be_indirect(self) -> bool {
        matches!(self, Self::Session | Self::Registration | Self::PduSession)
    }

    /// Whether it goes nowhere without an AUSF.
    pub const fn needs_ausf(self) -> bool {
        matches!(self, Self::Registration)
    }

    /// Whether it goes nowhere without a UDM and a PCF.
    pub const fn needs_udm_and_pcf(self) -> bool {
        self.has_procedures()
    }

    /// The name in scenarios and results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Handshake => "handshake",
            Self::Discover => "discover",
            Self::Register => "register",
            Self::Registration => "registration",
            Self::PduSession => "pdu-session",
        }
    }
}

/// Over which connections operations go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connections {
    /// A new one each time; whether its handshake resumes a session is the variant's affair.
    Fresh,
    /// One that was used before, until it has served this many operations.
    Reused(u32),
}

impl Connections {
    /// How many operations each serves.
    pub const fn uses(self) -> u32 {
        match self {
            Self::Fresh => 1,
            Self::Reused(uses) => uses,
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
    /// Not by time: so many workers begin an operation as soon as their last one has ended.
    Closed {
        /// How many.
        workers: usize,
    },
}

/// A time at one rate, or of a rate that changes evenly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Operations per second when it begins, over all variants together. Means nothing in a closed loop.
    pub rate: f64,
    /// Arrivals per second when it ends.
    pub to: f64,
    /// How long.
    pub duration: Duration,
}

impl Stage {
    /// Arrivals of the whole stage.
    fn arrivals(&self) -> f64 {
        (self.rate + self.to) / 2.0 * self.duration.as_secs_f64()
    }

    /// When, in seconds from its beginning, so many arrivals are due: where the integral of the rate reaches `arrivals`. Beyond
    /// the stage's duration, or infinite, if that is not within it.
    pub fn time_of(&self, arrivals: f64) -> f64 {
        let growth = (self.to - self.rate) / self.duration.as_secs_f64().max(f64::MIN_POSITIVE);
        // growth / 2 * t^2 + rate * t = arrivals, solved in the form that does not cancel.
        let discriminant = self.rate * self.rate + 2.0 * growth * arrivals;
        if discriminant < 0.0 {
            return f64::INFINITY;
        }
        if arrivals <= 0.0 {
            return 0.0;
        }
        2.0 * arrivals / (self.rate + discriminant.sqrt())
    }
}

pub(super) const KEYS: &[&str] = &[
    "operation",
    "mix",
    "via",
    "connections",
    "arrivals",
    "workers",
    "stages",
    "warmup",
    "max_in_flight",
    "max_lateness",
    "adapt_rate",
];

/// The load, and the ways by which the requests of each variant go.
pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<(LoadPlan, Vec<Via>)> {
    let operation = read_operation(reader, table);
    let ways = reader.optional(table, "via", vec![Via::Direct], ways);
    let connections = reader.optional(table, "connections", Connections::Fresh, connections);
    let arrivals = read_arrivals(reader, table);
    let stages = read_stages(reader, table, arrivals);
    let warmup = reader.optional(table, "warmup", DEFAULT_WARMUP, span_of_time(WARMUP));
    let max_in_flight = reader.optional(
        table,
        "max_in_flight",
        DEFAULT_MAX_IN_FLIGHT,
        integer(MAX_IN_FLIGHT),
    );
    let max_lateness = reader.optional(
        table,
        "max_lateness",
        LoadPlan::MAX_LATENESS,
        span_of_time(MAX_LATENESS),
    );
    let adapt_rate = reader.optional(table, "adapt_rate", false, truth);
    if matches!(arrivals, Some(ArrivalProcess::Closed { .. })) {
        let rule = "has no meaning with arrivals = \"closed\": workers decide the rate";
        reader.refuse(table, "adapt_rate", rule);
    }
    if matches!(connections, Some(Connections::Reused(_)))
        && operation == Some(Workload::Only(OperationKind::Handshake))
    {
        let rule =
            "cannot be reused by operation = \"handshake\", which does nothing but open them";
        let hint = "use operation = \"discover\"";
        reader.fault_at(table, "connections", rule, Some(hint.into()));
    }
    let is_indirect = |ways: &Vec<Via>| ways.iter().any(|via| *via != Via::Direct);
    if ways.as_ref().is_some_and(is_indirect)
        && operation
            .as_ref()
            .is_some_and(|load| load.any(|kind| !kind.may_be_indirect()))
    {
        let rule = "other than \"direct\" is for operations session, registration and pdu-session, and mixes of these";
        reader.fault_at(table, "via", rule, None);
    }
    let plan = LoadPlan {
        operation: operation?,
        connections: connections?,
        arrivals: arrivals?,
        stages: stages?,
        warmup: warmup?,
        max_in_flight: usize::try_from(max_in_flight?).expect("MAX_IN_FLIGHT fits in usize"),
        max_lateness: max_lateness?,
        adapt_rate: adapt_rate?,
    };
    Some((plan, ways?))
}

/// One way, or several that are compared.
fn ways(value: &DeValue<'_>) -> Result<Vec<Via>, Refusal> {
    let known = Via::ALL.map(|via| (via.as_str(), via));
    if value.as_array().is_none() {
        return Ok(vec![choice(&known)(value)?]);
    }
    let ways = list(value, |one| choice(&known)(one))?;
    let mut rest = ways.as_slice();
    while let Some((via, others)) = rest.split_first() {
        if others.contains(via) {
            return Err(Refusal::new(format!("has {via} twice")));
        }
        rest = others;
    }
    if ways.is_empty() {
        return Err(Refusal::new("has no way").hint("write, for example, [\"direct\", \"scp-c\"]"));
    }
    Ok(ways)
}

fn read_operation(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<Workload> {
    let kinds = OperationKind::ALL.map(|kind| (kind.as_str(), Some(kind)));
    let named: Vec<(&str, Option<OperationKind>)> =
        kinds.into_iter().chain([(MIX, None)]).collect();
    match reader.required(table, "operation", choice(&named))? {
        Some(kind) => {
            reader.refuse(table, "mix", "is for operation = \"mix\" only");
            Some(Workload::Only(kind))
        }
        None => read_mix(reader, table).map(Workload::Mix),
    }
}

fn read_mix(reader: &mut Reader<'_>, load: &Table<'_>) -> Option<Vec<Share>> {
    let names = OperationKind::ALL.map(OperationKind::as_str);
    let table = reader.section(load, "mix", &names)?;
    let shares: Option<Vec<Share>> = OperationKind::ALL
        .into_iter()
        .map(|operation| {
            let weight = reader.optional(&table, operation.as_str(), 0, integer(WEIGHT))?;
            let weight = u32::try_from(weight).expect("WEIGHT fits in u32");
            Some(Share { operation, weight })
        })
        .collect();
    let mut shares = shares?;
    shares.retain(|share| share.weight > 0);
    if shares.is_empty() {
        let rule = "has no operation with a weight above 0";
        let hint = "write, for example, { discover = 10, session = 1 }";
        reader.fault_at(load, "mix", rule, Some(hint.into()));
        return None;
    }
    let has = |kind| shares.iter().any(|share| share.operation == kind);
    if has(OperationKind::Session) && has(OperationKind::PduSession) {
        let rule = "has both session and pdu-session: SMFs of one lab ask UDM and PCF for every session, or for none";
        let hint = "leave session out";
        reader.fault_at(load, "mix", rule, Some(hint.into()));
        return None;
    }
    Some(shares)
}

fn connections(value: &DeValue<'_>) -> Result<Connections, Refusal> {
    if let Some(table) = value.as_table() {
        let only = table.iter().next().filter(|_| table.len() == 1);
        return match only {
            Some((key, reused)) if key.get_ref() == "reused" => {
                let uses = integer(REUSES)(reused.get_ref())?;
                Ok(Connections::Reused(
                    u32::try_from(uses).expect("REUSES fits in u32"),
                ))
            }
            _ => Err(Refusal::new("is a table with other keys than \"reused\"")
                .hint("write { reused = 100 } for 100 operations on each connection")),
        };
    }
    if value.as_str() == Some("resumed") {
        let refusal = Refusal::new("cannot be \"resumed\": resumption is set for each variant");
        return Err(refusal.hint("leave the key out and set tickets in a [[variant]]"));
    }
    choice(&[("fresh", Connections::Fresh)])(value)
}

fn read_arrivals(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<ArrivalProcess> {
    let workers = reader.optional(table, "workers", DEFAULT_WORKERS, integer(WORKERS));
    let closed = ArrivalProcess::Closed {
        workers: usize::try_from(workers.unwrap_or(1)).expect("WORKERS fits in usize"),
    };
    let process = reader.optional(
        table,
        "arrivals",
        ArrivalProcess::Constant,
        choice(&[
            ("constant", ArrivalProcess::Constant),
            ("poisson", ArrivalProcess::Poisson),
            ("closed", closed),
        ]),
    )?;
    if process == closed {
        workers?;
    } else {
        reader.refuse(table, "workers", "is for arrivals = \"closed\" only");
    }
    Some(process)
}

fn read_stages(
    reader: &mut Reader<'_>,
    load: &Table<'_>,
    arrivals: Option<ArrivalProcess>,
) -> Option<Vec<Stage>> {
    let known = ["rate", "to", "duration"];
    let tables = reader.sections(load, "stages", 1..=MAX_STAGES, &known)?;
    let closed = matches!(arrivals, Some(ArrivalProcess::Closed { .. }));
    let read: Vec<Option<Stage>> = tables
        .iter()
        .map(|table| read_stage(reader, table, closed))
        .collect();
    let stages: Vec<Stage> = read.into_iter().collect::<Option<_>>()?;
    let arrivals: f64 = stages.iter().map(Stage::arrivals).sum();
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

fn read_stage(reader: &mut Reader<'_>, table: &Table<'_>, closed: bool) -> Option<Stage> {
    let duration = reader.required(table, "duration", span_of_time(STAGE));
    if closed {
        for key in ["rate", "to"] {
            let rule = "has no meaning with arrivals = \"closed\": workers decide the rate";
            reader.refuse(table, key, rule);
        }
        return Some(Stage {
            rate: 0.0,
            to: 0.0,
            duration: duration?,
        });
    }
    let rate = reader.required(table, "rate", number(RATE));
    let to = reader.optional(table, "to", rate.unwrap_or(1.0), number(RATE));
    Some(Stage {
        rate: rate?,
        to: to?,
        duration: duration?,
    })
}

#[cfg(test)]
mod tests;
