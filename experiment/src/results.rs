//! The results of a run: what `results.json` holds, field by field in `docs/results.md`.
//!
//! Figures are means and quantiles of what [`crate::measure`] counted; the counts and histograms stand beside them, so
//! that reports can be drawn again and runs merged. [`Results::violations`] says whether the run shows what it claims.

use std::collections::BTreeMap;

use mtc_tls::kind::CertificateKind;
use mtc_tls::profile::TrustDomain;
use mtc_tls::provider::KeyExchange;
use sbi::ledger::{KindCounts, NfTotals};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::environment::Environment;
use crate::measure::{ClientTotals, Histogram};
use crate::measure::{LoadResult, VariantMismatch};
use crate::scenario::{ArrivalProcess, Connections, Expectation, LoadPlan, Scenario, Variant};

mod arrivals;
mod comparison;
mod events;
mod expectation;
mod handshake;
mod link;
mod makeup;
mod part;
mod slices;
mod thresholds;

use arrivals::Judged;
pub use arrivals::{
    GeneratorResult, MAX_GENERATOR_SHARE, MAX_LATE_SHARE, OperationResult, VariantArrivals,
};
pub use comparison::{Comparison, EnvironmentDifference, VariantComparison};
pub use events::{ClockStep, EventRecord, Happenings, Issuance, TimelinePoint};
pub use handshake::{
    CpuSplit, HandshakeResult, MIN_RTT_MS, RoundTrips, SideResult, TcpResult, VerificationResult,
};
pub use link::{ConfiguredLink, LinkResult};
pub use makeup::{LandmarkState, Makeup};
pub use part::{Counted, MergeError, PART_SCHEMA, Part, merge};
pub use slices::{Metric, Ratio, Slice};
pub use thresholds::ThresholdOutcome;

/// The schema that this version writes and reads; it changes when a field changes its meaning.
pub const SCHEMA: &str = "mtc5g-results/1";

/// What a run without `[link]` cannot show.
const LOOPBACK: &str = "The network functions met on the loopback, where a segment holds 32 KB and nothing takes time: round \
                        trips that flights above the initial congestion window cost cannot be seen. A scenario with [link] \
                        shows them.";

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: String,
    /// What the run was.
    pub run: Run,
    /// Whether it shows what it claims.
    pub verdict: Verdict,
    /// What became of the scenario's thresholds.
    #[serde(default)]
    pub thresholds: Vec<ThresholdOutcome>,
    /// Where and with what it was measured.
    pub environment: Environment,
    /// The links between network functions; `None` on the loopback.
    #[serde(default)]
    pub link: Option<LinkResult>,
    /// What these figures cannot show, a sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The scenario file, verbatim.
    pub scenario: String,
    /// One for each variant, in the scenario's order; the first is what the others are related to.
    pub variants: Vec<VariantResult>,
    /// What the load generator itself used.
    pub generator: GeneratorResult,
    /// How late the generator started operations.
    pub lateness_ms: Option<Latency>,
    /// How late operations were started, as a histogram.
    pub lateness_histogram: Histogram,
    /// What the scenario expects besides success.
    #[serde(default)]
    pub expect: Expectation,
    /// What happened to the network functions meanwhile, in the scenario's order.
    #[serde(default)]
    pub events: Vec<EventRecord>,
    /// How the load went on, about once a second.
    #[serde(default)]
    pub timeline: Vec<TimelinePoint>,
    /// What the NRF's CA issued meanwhile and before.
    #[serde(default)]
    pub issuance: Issuance,
}

/// What a run was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The scenario's name.
    pub name: String,
    /// The scenario's description.
    pub description: String,
    /// What each arrival did: the name of the operation, or `mix`.
    pub operation: String,
    /// Over which connections.
    pub connections: Connections,
    /// The values that make this one of several runs of a sweep, by key; empty where nothing was swept.
    pub cell: BTreeMap<String, String>,
    /// The seed of the arrivals.
    pub seed: u64,
    /// When the first arrival, warm-up included, was intended.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// When the last operation had ended.
    #[serde(with = "time::serde::rfc3339")]
    pub ended: OffsetDateTime,
    /// Whether arrivals were stopped before the schedule's end.
    pub interrupted: bool,
    /// Whether this is the scenario's short form, whose figures are not to be cited.
    #[serde(default)]
    pub shortened: bool,
    /// Length of the measured part in seconds, as planned.
    #[serde(default)]
    pub measured_s: f64,
    /// Steps of the load generator's wall clock in the measured part: with one, no figure is a measurement.
    #[serde(default)]
    pub clock_steps: Vec<ClockStep>,
}

/// The outcome of the checks that every run goes through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// No violations.
    pub passed: bool,
    /// What makes the run fail, a sentence each.
    pub violations: Vec<String>,
    /// What makes figures less trustworthy, a sentence each.
    pub warnings: Vec<String>,
}

/// What one variant cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariantResult {
    /// The variant's name.
    pub name: String,
    /// The kind of certificate it asks for.
    #[serde(with = "as_text")]
    pub auth: CertificateKind,
    /// What belongs to `auth` of an MTC, and how sessions are resumed.
    #[serde(flatten)]
    pub makeup: Makeup,
    /// Intermediate certificates; X.509 only.
    pub chain: Option<u8>,
    /// The X.509 CAs' algorithm; X.509 only.
    pub ca_signature: Option<String>,
    /// The network functions' keys.
    pub leaf_key: String,
    /// The group that was offered.
    #[serde(with = "as_text")]
    pub key_exchange: KeyExchange,
    /// Operations that were started.
    pub attempts: u64,
    /// Operations that succeeded.
    pub ok: u64,
    /// Arrivals that were not started, see [`ClientTotals::dropped`].
    pub dropped: u64,
    /// How the load generator kept the schedule.
    pub arrivals: VariantArrivals,
    /// Failed operations by cause.
    pub errors: BTreeMap<String, u64>,
    /// Handshakes by kind of certificate served, as the clients received it.
    pub credential_kinds: KindCounts,
    /// Completed handshakes by negotiated group.
    pub groups: BTreeMap<String, u64>,
    /// From the established TCP connection to the completed handshake, at the load generator.
    pub handshake_ms: Option<Latency>,
    /// From an operation's intended start to its end.
    pub operation_ms: Option<Latency>,
    /// TCP connect at the load generator.
    pub tcp_connect_ms: Option<Latency>,
    /// From the established TCP connection to the head of the first answer on it, at the load generator.
    #[serde(default)]
    pub first_answer_ms: Option<Latency>,
    /// Mean TLS bytes that the client sent until its handshake completed.
    pub bytes_client: Option<f64>,
    /// Mean TLS bytes that the server sent until its handshake completed.
    pub bytes_server: Option<f64>,
    /// Mean CPU time of the client per handshake, in microseconds.
    pub cpu_us_client: Option<f64>,
    /// Mean CPU time of the server per handshake, in microseconds.
    pub cpu_us_server: Option<f64>,
    /// Mean time to verify one certificate, over both sides, in microseconds.
    pub verify_us: Option<f64>,
    /// Microseconds that clients took to verify what servers present.
    pub verify_us_client: Option<f64>,
    /// Microseconds that servers took to verify what clients present.
    pub verify_us_server: Option<f64>,
    /// How the figures relate to the first variant's, with 95 % intervals; empty for the first variant.
    #[serde(default)]
    pub to_first: Vec<Ratio>,
    /// The measured part in slices of equal length.
    #[serde(default)]
    pub slices: Vec<Slice>,
    /// What the handshakes consisted of.
    #[serde(default)]
    pub handshake: HandshakeResult,
    /// The sums that the means come from.
    pub totals: NfTotals,
    /// The distributions that the quantiles come from.
    pub histograms: Histograms,
}

/// Quantiles of a time, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 90 % are not longer.
    pub p90: f64,
    /// 99 % are not longer.
    pub p99: f64,
    /// 99.9 % are not longer; the maximum when there are fewer than a thousand.
    pub p999: f64,
    /// Longest.
    pub max: f64,
    /// Mean.
    pub mean: f64,
}

/// Distributions, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histograms {
    /// Of `handshake_ms`.
    pub handshake: Histogram,
    /// Of `operation_ms`.
    pub operation: Histogram,
    /// Of `tcp_connect_ms`.
    pub tcp_connect: Histogram,
    /// Of `first_answer_ms`.
    #[serde(default)]
    pub first_answer: Histogram,
}

/// A reason why a run does not show what it claims.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A certificate of another kind was shown.
    #[error("{variant}: {count} {side} showed a certificate of kind {found}, not {expected}")]
    OtherKind {
        /// The variant.
        variant: String,
        /// Who showed it.
        side: &'static str,
        /// The variant's kind.
        expected: CertificateKind,
        /// The kind that was shown, or `none`.
        found: &'static str,
        /// How often.
        count: u64,
    },
    /// Another group was negotiated.
    #[error("{variant}: {count} handshakes used key exchange {found}, not {expected}")]
    OtherGroup {
        /// The variant.
        variant: String,
        /// The variant's group.
        expected: KeyExchange,
        /// The group that was negotiated.
        found: String,
        /// How often.
        count: u64,
    },
    /// Operations failed.
    #[error("{variant}: {count} of {attempts} operations failed, most often: {cause}")]
    Errors {
        /// The variant.
        variant: String,
        /// How many failed.
        count: u64,
        /// Of how many.
        attempts: u64,
        /// The most frequent cause.
        cause: String,
    },
    /// Arrivals were dropped, so the load was not the scenario's.
    #[error(
        "{variant}: {count} arrivals were dropped because max_in_flight operations were unfinished"
    )]
    Dropped {
        /// The variant.
        variant: String,
        /// How many.
        count: u64,
    },
    /// The generator did not keep the schedule.
    #[error("{variant} is invalid: {reason}")]
    Late {
        /// The variant.
        variant: String,
        /// How many of how many, and the limit.
        reason: String,
    },
    /// A variant has no operation or one side of it no handshake.
    #[error("{variant}: nothing was measured on the {side} side")]
    NothingMeasured {
        /// The variant.
        variant: String,
        /// `client` or `server`.
        side: &'static str,
    },
    /// A variant with tickets resumed no session.
    #[error(
        "{variant}: no session was resumed in {handshakes} handshakes, though the variant has tickets"
    )]
    NothingResumed {
        /// The variant.
        variant: String,
        /// How many handshakes there were.
        handshakes: u64,
    },
    /// Operations failed at a time when nothing disturbed the lab.
    #[error(
        "{count} operations failed outside the scenario's events, the first about {at_s} s after the start"
    )]
    ErrorsOutsideEvents {
        /// How many.
        count: u64,
        /// When the first was known, in seconds from the start of the measured part.
        at_s: u64,
    },
    /// The scenario's event did not come to its end.
    #[error("the event at {planned_s} s, {action} {nf}, was not over when the load ended")]
    EventNotOver {
        /// What was done.
        action: String,
        /// To which network function.
        nf: String,
        /// When it was to begin, in seconds from the start of the measured part.
        planned_s: f64,
    },
    /// Fewer or more certificates were standalone than the scenario expects.
    #[error(
        "{variant}: {percent} % of certificates were standalone, expected are {min_percent} to {max_percent} %"
    )]
    FallbackShare {
        /// The variant.
        variant: String,
        /// The share that was found.
        percent: String,
        /// The least that is expected.
        min_percent: String,
        /// The most that is expected.
        max_percent: String,
    },
    /// The emulated link is not one that a network has.
    #[error(
        "the emulated link failed to carry {count} packets, which no link of the scenario would have lost"
    )]
    LinkFailed {
        /// How many.
        count: u64,
    },
    /// The run was stopped.
    #[error("the run was interrupted before its schedule ended")]
    Interrupted,
}

impl Results {
    /// Makes results of what was counted: by so many load generators together, and by the network functions (each connection of theirs
    /// except the load generator's), one [`NfTotals`] for each variant.
    ///
    /// # Errors
    ///
    /// [`VariantMismatch`] when load or network functions counted for another number of variants than the scenario has.
    pub fn new(
        environment: Environment,
        scenario: &Scenario,
        load: LoadResult,
        generators: u32,
        network_functions: &[NfTotals],
    ) -> Result<Self, VariantMismatch> {
        let expected = scenario.variants.len();
        for found in [load.variants.len(), network_functions.len()] {
            if found != expected {
                return Err(VariantMismatch { expected, found });
            }
        }
        let LoadResult {
            started,
            ended,
            interrupted,
            lateness,
            generator,
            variants,
        } = load;
        let max_lateness_ms = scenario.load.max_lateness.as_secs_f64() * 1e3;
        let operations = variants.iter().map(|variant| variant.attempts).sum();
        let is_closed = matches!(scenario.load.arrivals, ArrivalProcess::Closed { .. });
        let (judged, closed) = if is_closed {
            let cores = environment.cores;
            let used = generator.told(generators, operations, cores);
            (
                Judged::by_use(&generator, generators, operations, cores),
                Some(format!(
                    "The loop was closed, so latencies are those at this concurrency, and no rate was intended that operations could be late for: \
                     {used}."
                )),
            )
        } else {
            (Judged::ByLateness(max_lateness_ms), None)
        };
        let counted = variants.into_iter().zip(network_functions);
        let variants: Vec<VariantResult> = scenario
            .variants
            .iter()
            .zip(counted)
            .map(|(variant, (load, nfs))| {
                let arrivals = VariantArrivals::of(&load, &judged);
                VariantResult::new(variant, load, arrivals, nfs)
            })
            .collect();
        let mut results = Self {
            schema: SCHEMA.to_owned(),
            run: Run {
                name: scenario.name.clone(),
                description: scenario.description.clone(),
                operation: scenario.load.operation.as_str().to_owned(),
                connections: scenario.load.connections,
                cell: scenario
                    .cell
                    .iter()
                    .map(|setting| (setting.key.clone(), setting.value.clone()))
                    .collect(),
                seed: scenario.seed,
                started,
                ended,
                interrupted,
                shortened: scenario.is_shortened,
                measured_s: (scenario.load.duration() - scenario.load.warmup).as_secs_f64(),
                clock_steps: Vec::new(),
            },
            verdict: Verdict {
                passed: false,
                violations: Vec::new(),
                warnings: Vec::new(),
            },
            environment,
            link: None,
            notes: std::iter::once(LOOPBACK.to_owned()).chain(closed).collect(),
            scenario: scenario.text().to_owned(),
            thresholds: scenario
                .thresholds
                .iter()
                .map(|threshold| ThresholdOutcome::of(threshold, &variants))
                .collect(),
            variants,
            generator: GeneratorResult::new(generators, &generator, max_lateness_ms),
            lateness_ms: Latency::of(&lateness),
            lateness_histogram: lateness,
            expect: scenario.expect.clone(),
            events: Vec::new(),
            timeline: Vec::new(),
            issuance: Issuance::default(),
        };
        results.relate();
        results.verdict = results.judge();
        Ok(results)
    }

    /// Says which links the network functions had instead of the loopback.
    pub fn linked(&mut self, link: LinkResult) {
        self.link = Some(link);
        self.notes.retain(|note| note != LOOPBACK);
        self.verdict = self.judge();
    }

    /// Adds what network functions counted in each slice, a list for each variant.
    pub fn sliced(&mut self, network_functions: &[Vec<NfTotals>]) {
        for (variant, counted) in self.variants.iter_mut().zip(network_functions) {
            let slices = variant.slices.iter_mut().zip(counted);
            slices.for_each(|(slice, counted)| slice.add(counted));
        }
        self.relate();
    }

    fn relate(&mut self) {
        let slices: Vec<Vec<Slice>> = self.variants.iter().map(|v| v.slices.clone()).collect();
        let ratios = slices::to_first(&slices, self.run.seed);
        for (variant, ratios) in self.variants.iter_mut().zip(ratios) {
            variant.to_first = ratios;
        }
    }

    /// Bytes, CPU and verification of a variant as multiples of another's, with 95 % intervals; none with too few slices.
    pub fn costs_between(&self, of: &VariantResult, to: &VariantResult) -> Vec<Ratio> {
        slices::costs(&of.slices, &to.slices, self.run.seed)
    }

    /// Whether every threshold of the scenario is met; says nothing of a run that did not pass.
    pub fn thresholds_met(&self) -> bool {
        self.thresholds.iter().all(|threshold| threshold.met)
    }

    /// Adds what happened during the run, which the verdict then takes into account.
    pub fn happened(
        &mut self,
        Happenings {
            events,
            timeline,
            issuance,
            clock_steps,
        }: Happenings,
    ) {
        if !clock_steps.is_empty() {
            let reasons: Vec<_> = clock_steps.iter().map(ClockStep::to_string).collect();
            let reason = reasons.join(", ");
            for variant in &mut self.variants {
                variant
                    .arrivals
                    .invalid
                    .get_or_insert_with(|| reason.clone());
            }
        }
        self.run.clock_steps = clock_steps;
        self.events = events;
        self.timeline = timeline;
        self.issuance = issuance;
        self.verdict = self.judge();
    }

    /// Every reason why the run does not show what it claims; none for a good run.
    pub fn violations(&self) -> Vec<Violation> {
        let interrupted = self.run.interrupted.then_some(Violation::Interrupted);
        let link = self.link.as_ref().and_then(LinkResult::violations);
        interrupted
            .into_iter()
            .chain(link)
            .chain(
                self.variants
                    .iter()
                    .flat_map(|variant| variant.violations(self.run.connections)),
            )
            .filter(|violation| !self.is_expected(violation))
            .chain(self.unmet_expectations())
            .collect()
    }

    /// The text of a `results.json` without what a report adds to it.
    #[cfg(test)]
    pub(crate) fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self)
            .expect("results have string keys and finite numbers only");
        json.push('\n');
        json
    }

    /// Reads the text of a `results.json`.
    ///
    /// # Errors
    ///
    /// [`ResultsError`] when it is of another schema or not results at all.
    pub fn from_json(json: &str) -> Result<Self, ResultsError> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let Head { schema } = serde_json::from_str(json)?;
        if schema != SCHEMA {
            return Err(ResultsError::Schema(schema));
        }
        Ok(serde_json::from_str(json)?)
    }

    fn judge(&self) -> Verdict {
        let violations: Vec<String> = self.violations().iter().map(ToString::to_string).collect();
        Verdict {
            passed: violations.is_empty(),
            violations,
            warnings: self.warnings(),
        }
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.run.shortened {
            warnings.push("the short form of the scenario: it shows that the scenario works, its figures are not to be cited".to_owned());
        }
        let limit = self.generator.max_lateness_ms;
        if limit > LoadPlan::MAX_LATENESS.as_secs_f64() * 1e3 {
            warnings.push(format!(
                "operations count as late only beyond {limit} ms, as the scenario wants: latencies may be the generator's"
            ));
        }
        if self.environment.profile == "debug" {
            warnings.push("built without optimisation: times and CPU figures say nothing about a release build".to_owned());
        }
        warnings.extend(self.link.as_ref().and_then(LinkResult::warnings));
        warnings.extend(
            self.variants
                .iter()
                .filter_map(VariantResult::unequal_sides),
        );
        warnings
    }
}

impl VariantResult {
    fn new(
        variant: &Variant,
        load: ClientTotals,
        arrivals: VariantArrivals,
        network_functions: &NfTotals,
    ) -> Self {
        let (chain, ca_signature) = match variant.authentication {
            TrustDomain::X509(profile) => (
                Some(profile.intermediates.count()),
                Some(profile.ca_signature.to_string()),
            ),
            TrustDomain::MtcLandmark
            | TrustDomain::MtcLandmarkStale
            | TrustDomain::MtcStandalone
            | TrustDomain::MtcStandaloneCa => (None, None),
        };
        let mut totals = network_functions.clone();
        totals.client.merge(&load.handshakes);
        let NfTotals { client, server } = &totals;
        let mut both = client.clone();
        both.merge(server);
        Self {
            name: variant.name.clone(),
            auth: variant.auth,
            makeup: Makeup::of(variant),
            chain,
            ca_signature,
            leaf_key: variant.leaf_key.to_string(),
            key_exchange: variant.key_exchange,
            attempts: load.attempts,
            ok: load.ok,
            dropped: load.dropped,
            arrivals,
            credential_kinds: client.received,
            handshake_ms: Latency::of(&load.handshake),
            operation_ms: Latency::of(&load.operation),
            tcp_connect_ms: Latency::of(&load.tcp_connect),
            first_answer_ms: Latency::of(&load.first_answer),
            bytes_client: client.mean(client.bytes_sent).map(to_tenth),
            bytes_server: server.mean(server.bytes_sent).map(to_tenth),
            cpu_us_client: client.mean(client.cpu_ns).map(microseconds),
            cpu_us_server: server.mean(server.cpu_ns).map(microseconds),
            verify_us: both.mean(both.verify_ns).map(microseconds),
            verify_us_client: client.mean(client.verify_ns).map(microseconds),
            verify_us_server: server.mean(server.verify_ns).map(microseconds),
            to_first: Vec::new(),
            slices: Slice::of_client(load.slices),
            handshake: HandshakeResult::of(
                &totals,
                load.tcp_connect.quantile_ms(0.5),
                load.handshake.quantile_ms(0.5),
            ),
            errors: load.errors,
            groups: load.groups,
            histograms: Histograms {
                handshake: load.handshake,
                operation: load.operation,
                tcp_connect: load.tcp_connect,
                first_answer: load.first_answer,
            },
            totals,
        }
    }

    /// Mean TLS bytes of both sides per handshake.
    pub fn bytes(&self) -> Option<f64> {
        Some(self.bytes_client? + self.bytes_server?)
    }

    /// Mean CPU time of both sides per handshake, in microseconds.
    pub fn cpu_us(&self) -> Option<f64> {
        Some(self.cpu_us_client? + self.cpu_us_server?)
    }

    /// How a figure relates to the first variant's.
    pub fn ratio(&self, metric: Metric) -> Option<&Ratio> {
        self.to_first.iter().find(|ratio| ratio.metric == metric)
    }

    /// Operations that failed.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Says so when the figures of the two sides are not of the same handshakes.
    fn unequal_sides(&self) -> Option<String> {
        let NfTotals { client, server } = &self.totals;
        let [clients, servers] = [client, server].map(|side| side.handshakes);
        (clients != servers).then(|| {
            format!(
                "{}: clients completed {clients} handshakes and servers {servers}: figures of one side are not of the same handshakes as \
                 those of the other",
                self.name
            )
        })
    }

    fn violations(&self, connections: Connections) -> Vec<Violation> {
        let variant = || self.name.clone();
        let mut violations = Vec::new();
        if let Some((cause, _)) = self.errors.iter().max_by_key(|(_, count)| **count) {
            let (count, attempts) = (self.failed(), self.attempts);
            violations.push(Violation::Errors {
                variant: variant(),
                count,
                attempts,
                cause: cause.clone(),
            });
        }
        if self.dropped > 0 {
            violations.push(Violation::Dropped {
                variant: variant(),
                count: self.dropped,
            });
        }
        if let Some(reason) = self.arrivals.invalid.clone() {
            violations.push(Violation::Late {
                variant: variant(),
                reason,
            });
        }
        // Kept connections need no handshake in the measured part.
        let reused = matches!(connections, Connections::Reused(_)) && self.ok > 0;
        for (side, totals) in [
            ("client", &self.totals.client),
            ("server", &self.totals.server),
        ] {
            if totals.handshakes == 0 && !reused {
                violations.push(Violation::NothingMeasured {
                    variant: variant(),
                    side,
                });
            }
        }
        let client = &self.totals.client;
        let has_tickets = self.makeup.tickets.is_some();
        if has_tickets && client.handshakes > 0 && client.detail.negotiated.resumed == 0 {
            violations.push(Violation::NothingResumed {
                variant: variant(),
                handshakes: client.handshakes,
            });
        }
        violations.extend(self.other_kinds());
        let wanted = self.key_exchange.as_str();
        violations.extend(
            self.groups
                .iter()
                .filter(|(group, _)| *group != wanted)
                .map(|(found, count)| Violation::OtherGroup {
                    variant: variant(),
                    expected: self.key_exchange,
                    found: found.clone(),
                    count: *count,
                }),
        );
        violations
    }

    /// Each side is believed about what it received; what it presented is checked too, in case nobody counted it there.
    fn other_kinds(&self) -> impl Iterator<Item = Violation> {
        let NfTotals { client, server } = &self.totals;
        let expected = self.makeup.expected_kind(self.auth);
        let seen = |received: &KindCounts, presented: &KindCounts| {
            let received = received.other_than(expected);
            if received.is_empty() {
                presented.other_than(expected)
            } else {
                received
            }
        };
        let servers = seen(&client.received, &server.presented)
            .into_iter()
            .map(|other| ("servers", other));
        let clients = seen(&server.received, &client.presented)
            .into_iter()
            .map(|other| ("clients", other));
        servers
            .chain(clients)
            .map(move |(side, (found, count))| Violation::OtherKind {
                variant: self.name.clone(),
                side,
                expected,
                found,
                count,
            })
    }
}

impl Latency {
    fn of(histogram: &Histogram) -> Option<Self> {
        let at = |quantile| histogram.quantile_ms(quantile);
        Some(Self {
            p50: at(0.5)?,
            p90: at(0.9)?,
            p99: at(0.99)?,
            p999: at(0.999)?,
            max: at(1.0)?,
            mean: histogram.mean_ms()?,
        })
    }
}

/// Mean bytes to a tenth; further digits are noise.
fn to_tenth(bytes: f64) -> f64 {
    (bytes * 10.0).round() / 10.0
}

/// Mean nanoseconds as microseconds, to a nanosecond.
fn microseconds(nanoseconds: f64) -> f64 {
    nanoseconds.round() / 1000.0
}

/// The text is not the results of a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// Written by another version.
    #[error("results are of schema {0:?}, this version reads {SCHEMA:?}")]
    Schema(String),
    /// Not JSON, or a field is missing or of another type.
    #[error("results are not readable")]
    Json(#[from] serde_json::Error),
}

/// Values by their names.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
