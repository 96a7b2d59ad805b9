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
use mtc_tls::profile::Tokens;
use sbi::access_token::TokenPolicy;
use toml::de::DeTable;

mod claims;
mod distribution;
mod duration;
mod event;
mod expect;
mod fault;
mod link;
mod load;
mod mixed;
mod nf;
mod reader;
mod shipped;
mod short;
mod sweep;
mod thresholds;
mod upgraded;
mod variant;

pub use claims::Measure;
pub use distribution::Distribution;
pub(crate) use duration::describe as describe_duration;
pub use duration::{DurationError, parse_duration};
pub use event::{Action, Event};
pub use expect::{ErrorsAllowed, Expectation, Fallback};
pub use fault::{Fault, ScenarioFaults};
pub use load::{ArrivalProcess, Connections, LoadPlan, OperationKind, Share, Stage, Workload};
pub use nf::{FurtherWitness, MAX_WITNESSES, Nf};
use reader::{Reader, Table, integer, span_of_time, text, truth};
pub use shipped::{SHIPPED, Shipped};
pub use sweep::Setting;
pub use thresholds::{Amount, Figure, Operator, Relation, Statistic, Term, Threshold, Timed};
pub use upgraded::Upgraded;
use variant::MAX_VARIANTS;
pub use variant::Variant;

/// AMF instances of a lab; each has its own key, certificate, registration and connections.
pub const AMF_INSTANCES: RangeInclusive<u64> = 1..=256;
/// SMF instances of a lab. Beyond 256 they share one port, and open a connection for each heartbeat.
pub const SMF_INSTANCES: RangeInclusive<u64> = 1..=10_000;
/// What to do who wants more instances.
pub const MORE_INSTANCES: &str = "load grows with load.stages.rate and not with instances; more AMF instances come with load \
     generators that share a deployed lab: mtc5g init --deploy --load N";
const CERTIFICATE_LIFETIME: RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(365 * 86_400);
const STATUS_LIFETIME: RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(30 * 86_400);
const TOKEN_LIFETIME: RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(86_400);
const CHECKPOINT_INTERVAL: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(60);
/// Landmarks carry an expiry in whole seconds, so they are not allocated more often than that.
const LANDMARK_INTERVAL: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(86_400);
/// A published list of landmarks has room for so many active ones beside the expired one that ends it.
const MAX_ACTIVE_LANDMARKS: u128 = MAX_LANDMARKS as u128 - 1;
/// The log is filled before the first NF starts; ten million entries are a proof of 24 hashes.
const PRELOAD: RangeInclusive<u64> = 0..=10_000_000;
/// Instances of AUSF, UDM or PCF; they are light, and one of each serves a whole lab.
const MAX_PEERS: u64 = 64;
/// The SCP is one of them.
const WITNESSES: RangeInclusive<u64> = 1..=MAX_WITNESSES as u64;
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
    /// `scenario.claims`: which figures the run is to be a measurement of; default all of them. A run is invalid only where one of
    /// these is spoiled; others that are spoiled are left out.
    pub claims: Vec<Measure>,
    /// Whether this is the short form.
    pub is_shortened: bool,
    /// `[lab]`: what is started.
    pub lab: LabPlan,
    /// `[[variant]]`, each by the ways of `load.via`: what is compared, at least one; the first is what the others are related to.
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
    /// `[sweep]`: the values that make this one of several runs of the same file; empty when nothing is swept.
    pub cell: Vec<Setting>,
    text: String,
}

impl Scenario {
    /// What network functions make of access tokens: where a variant has none, nobody may require them.
    pub fn access_tokens(&self) -> TokenPolicy {
        let has_some = |variant: &Variant| variant.tokens != Tokens::None;
        match (self.lab.tokens, self.variants.iter().all(has_some)) {
            (false, _) => TokenPolicy::Off,
            (true, true) => TokenPolicy::Required,
            (true, false) => TokenPolicy::Optional,
        }
    }

    /// Reads a scenario from the text of its file; the first one if the file is a sweep.
    ///
    /// # Errors
    ///
    /// Every fault of the text, in the order of its lines.
    pub fn parse(text: &str) -> Result<Self, ScenarioFaults> {
        let cells = Self::parse_cells(text)?;
        Ok(cells.into_iter().next().expect("a sweep has a cell"))
    }

    /// Reads the scenarios that a file stands for: one, or one for each cell of its sweep.
    ///
    /// # Errors
    ///
    /// Every fault of the text, in the order of its lines.
    pub fn parse_cells(text: &str) -> Result<Vec<Self>, ScenarioFaults> {
        let mut reader = Reader::new(text);
        let cells = reader
            .document()
            .and_then(|root| sweep::cells(&mut reader, text, root));
        let scenarios = cells.map(|cells| {
            let read = cells.into_iter().map(|cell| {
                let scenario = read_scenario(&mut reader, &cell.root, text)?;
                Some(Self {
                    cell: cell.settings,
                    ..scenario
                })
            });
            // All are read, so that all faults are found.
            let read: Vec<Option<Self>> = read.collect();
            read.into_iter().collect::<Option<Vec<Self>>>()
        });
        match (scenarios.flatten(), reader.finish()) {
            (Some(scenarios), Ok(())) => Ok(scenarios),
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
    /// `ausf`: AUSF instances, default 1 where an operation needs one, else 0.
    pub ausf: u16,
    /// `udm`: UDM instances, default 1 where an operation needs one, else 0.
    pub udm: u16,
    /// `pcf`: PCF instances, default 1 where an operation needs one, else 0.
    pub pcf: u16,
    /// `certificate_lifetime`, default 1 h.
    pub certificate_lifetime: Duration,
    /// `checkpoint_interval`: how often the sequencer signs a checkpoint when entries wait, default 200 ms.
    pub checkpoint_interval: Duration,
    /// `landmark_interval`: the least time between two landmarks, default 2 s.
    pub landmark_interval: Duration,
    /// `preload`: log entries made before the first NF enrols, so that proofs have a realistic length; default 0.
    pub preload: u64,
    /// `tokens`: whether network functions use access tokens, default true.
    pub tokens: bool,
    /// `client_credentials`: whether, beside tokens, requests through the SCP carry client credentials assertions, default true.
    pub client_credentials: bool,
    /// `token_lifetime`: for how long an access token is good, default 1 h; consumers fetch the next one after four fifths of it.
    pub token_lifetime: Duration,
    /// `status_lifetime`: for how long a CRL or an OCSP response of the X.509 CAs is good, at least 10 s, default 1 h; network functions
    /// fetch the next one after half of it.
    pub status_lifetime: Duration,
    /// `remember_subtrees`: whether a process verifies the cosignatures of a subtree once and not for every certificate in it,
    /// default true.
    pub remember_subtrees: bool,
    /// `witnesses`: how many there are, the SCP and processes of their own; default 1.
    pub witnesses: u8,
    /// `require`: how many of them must cosign, and relying parties ask for; default more than half, the fewest for which no two
    /// histories of the log can both be cosigned unless a witness cosigns both.
    pub require: u8,
    /// `distribution`: how network functions learn of landmarks and of what is revoked, default `each` asks the log.
    pub distribution: Distribution,
    /// `upgraded`: which share of the AMFs and SMFs has Merkle Tree Certificates, the others X.509 only; default all, and none is mixed.
    pub upgraded: Option<Upgraded>,
}

impl LabPlan {
    /// How many instances of an NF there are.
    pub const fn instances(&self, nf: Nf) -> u16 {
        match nf {
            Nf::Amf => self.amf,
            Nf::Smf => self.smf,
            Nf::Peers => self.ausf + self.udm + self.pcf,
            Nf::Nrf | Nf::Scp => 1,
            Nf::Distributor => self.distribution.has_distributor() as u16,
            Nf::Witness(witness) => (witness.number() <= self.witnesses) as u16,
        }
    }

    /// Whether there are AUSFs, UDMs or PCFs.
    pub const fn has_peers(&self) -> bool {
        self.instances(Nf::Peers) > 0
    }
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
            &["name", "description", "seed", "shortest", "claims"],
        )
        .map(|table| read_head(reader, &table));
    let lab_table = reader.section(
        &root,
        "lab",
        &[
            "amf",
            "smf",
            "ausf",
            "udm",
            "pcf",
            "certificate_lifetime",
            "checkpoint_interval",
            "landmark_interval",
            "preload",
            "tokens",
            "client_credentials",
            "token_lifetime",
            "status_lifetime",
            "remember_subtrees",
            "witnesses",
            "require",
            "distribution",
            "upgraded",
        ],
    );
    let load_table = reader.section(&root, "load", load::KEYS);
    let load = load_table.as_ref().map(|table| load::read(reader, table));
    let (load, ways) = match load {
        Some(Some((plan, ways))) => (Some(Some(plan)), Some(ways)),
        Some(None) => (Some(None), None),
        None => (None, None),
    };
    // Which peers there are depends on the operation.
    let lab = lab_table.as_ref().map(|table| {
        let operation = load.as_ref().and_then(Option::as_ref);
        let operation = operation.map(|load| &load.operation);
        read_lab(reader, table, operation)
    });
    let has_tokens = !matches!(&lab, Some(Some(LabPlan { tokens: false, .. })));
    let variants = variant::read(reader, &root, has_tokens);
    let variants = match (variants, &load_table, ways) {
        (Some(variants), Some(load), Some(ways)) => variant::by(reader, load, variants, &ways),
        // What is left out of the load is a fault already.
        (variants, ..) => variants,
    };
    let share = lab.as_ref().and_then(|lab| lab.as_ref()?.upgraded);
    let variants = match (variants, &lab_table, share) {
        (Some(variants), Some(table), Some(share)) => mixed::mix(reader, table, share, variants),
        (variants, ..) => variants,
    };
    let link = match reader.optional_section(&root, "link", link::KEYS) {
        Some(Some(table)) => link::read(reader, &table).map(Some),
        Some(None) => Some(None),
        None => None,
    };
    let claims = head.as_ref().and_then(Option::as_ref);
    let claims = claims.map_or_else(|| Measure::ALL.to_vec(), |head| head.claims.clone());
    let thresholds = variants
        .as_deref()
        .and_then(|variants| thresholds::read(reader, &root, variants, &claims));
    let length = load
        .as_ref()
        .and_then(Option::as_ref)
        .map(LoadPlan::measured);
    let instances_of = |nf| Some(lab.as_ref()?.as_ref()?.instances(nf));
    let events = event::read(reader, &root, length, instances_of);
    let has_events = root.has("event");
    let expect = expect::read(reader, &root, variants.as_deref(), has_events);
    let Head {
        name,
        description,
        seed,
        shortest,
        claims,
    } = head??;
    Some(Scenario {
        name,
        description,
        seed,
        shortest,
        claims,
        is_shortened: false,
        lab: lab??,
        variants: variants?,
        load: load??,
        link: link?,
        thresholds: thresholds?,
        events: events?,
        expect: expect?,
        cell: Vec::new(),
        text: text_of_file.to_owned(),
    })
}

/// `[scenario]`.
struct Head {
    name: String,
    description: String,
    seed: u64,
    shortest: Duration,
    claims: Vec<Measure>,
}

fn read_head(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<Head> {
    let name = reader.required(table, "name", reader::name(MAX_NAME));
    let description = reader.optional(table, "description", String::new(), text(MAX_DESCRIPTION));
    let seed = reader.optional(table, "seed", 1, integer(0..=i64::MAX as u64));
    let shortest = reader.optional(
        table,
        "shortest",
        Duration::from_secs(3),
        span_of_time(load::STAGE),
    );
    let all = Measure::ALL.to_vec();
    let claims = reader.optional(table, "claims", all, claims::claims);
    Some(Head {
        name: name?,
        description: description?,
        seed: seed?,
        shortest: shortest?,
        claims: claims?,
    })
}

fn instances(
    range: RangeInclusive<u64>,
) -> impl Fn(&toml::de::DeValue<'_>) -> Result<u64, reader::Refusal> {
    move |value| {
        let too_many = integer(0..=*range.end())(value).is_err();
        integer(range.clone())(value).map_err(|refusal| {
            if too_many {
                refusal.hint(MORE_INSTANCES)
            } else {
                refusal
            }
        })
    }
}

/// Instances of one type of peers: as many as the key says, at least one where an operation needs one.
fn read_peers(reader: &mut Reader<'_>, table: &Table<'_>, key: &str, needed: bool) -> Option<u16> {
    let range = u64::from(needed)..=MAX_PEERS;
    let instances = reader.optional(table, key, u64::from(needed), integer(range))?;
    Some(u16::try_from(instances).expect("MAX_PEERS fits in u16"))
}

fn read_lab(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    operation: Option<&Workload>,
) -> Option<LabPlan> {
    let needs = |of: fn(OperationKind) -> bool| operation.is_some_and(|load| load.any(of));
    let ausf = read_peers(reader, table, "ausf", needs(OperationKind::needs_ausf));
    let udm = read_peers(
        reader,
        table,
        "udm",
        needs(OperationKind::needs_udm_and_pcf),
    );
    let pcf = read_peers(
        reader,
        table,
        "pcf",
        needs(OperationKind::needs_udm_and_pcf),
    );
    let amf = reader.optional(table, "amf", 2, instances(AMF_INSTANCES));
    let smf = reader.optional(table, "smf", 2, instances(SMF_INSTANCES));
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
    let tokens = reader.optional(table, "tokens", true, truth);
    let client_credentials = reader.optional(table, "client_credentials", true, truth);
    let token_lifetime = reader.optional(
        table,
        "token_lifetime",
        Duration::from_secs(3600),
        span_of_time(TOKEN_LIFETIME),
    );
    let status_lifetime = reader.optional(
        table,
        "status_lifetime",
        Duration::from_secs(3600),
        span_of_time(STATUS_LIFETIME),
    );
    let remember = reader.optional(table, "remember_subtrees", true, truth);
    let witnesses = reader.optional(table, "witnesses", 1, integer(WITNESSES));
    let require = witnesses.and_then(|witnesses| {
        let majority = witnesses / 2 + 1;
        reader.optional(table, "require", majority, integer(1..=witnesses))
    });
    let ways = reader::choice(&Distribution::NAMED);
    let distribution = reader.optional(table, "distribution", Distribution::Each, ways);
    let upgraded = match table.has("upgraded") {
        true => Some(reader.required(table, "upgraded", reader::number(0.0..=1.0))?),
        false => None,
    };
    let plan = LabPlan {
        upgraded: upgraded.map(Upgraded::new),
        amf: u16::try_from(amf?).expect("AMF_INSTANCES fits in u16"),
        smf: u16::try_from(smf?).expect("SMF_INSTANCES fits in u16"),
        ausf: ausf?,
        udm: udm?,
        pcf: pcf?,
        certificate_lifetime: lifetime?,
        checkpoint_interval: checkpoint?,
        landmark_interval: landmark?,
        preload: preload?,
        tokens: tokens?,
        client_credentials: client_credentials?,
        token_lifetime: token_lifetime?,
        status_lifetime: status_lifetime?,
        remember_subtrees: remember?,
        witnesses: u8::try_from(witnesses?).expect("MAX_WITNESSES is one"),
        distribution: distribution?,
        require: u8::try_from(require?).expect("at most as many"),
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

#[cfg(test)]
mod tests;
