//! Whether a run shows what it claims.

use mtc_tls::kind::CertificateKind;
use mtc_tls::provider::KeyExchange;
use sbi::ledger::{KindCounts, NfTotals};
use serde::{Deserialize, Serialize};

use super::arrivals::{is_too_late, started_late};
use super::{ClockStep, LinkResult, Results, VariantResult};
use crate::scenario::{Connections, LoadPlan, Measure};

/// What became of a run, the best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A valid measurement that shows what the scenario expects.
    Passed,
    /// A valid measurement; what the scenario expects did not happen.
    ExpectationFailed,
    /// A valid measurement; a threshold is not met.
    ThresholdBroken,
    /// Not a valid measurement of what the scenario claims.
    #[default]
    Invalid,
}

/// The outcome of the checks that every run goes through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The worst that was found.
    #[serde(default)]
    pub outcome: Outcome,
    /// Nothing was found: the outcome is [`Outcome::Passed`].
    pub passed: bool,
    /// Why the run is invalid or what it was expected to show and did not, a sentence each. Thresholds speak for themselves.
    pub violations: Vec<String>,
    /// Kinds of figures that are not a measurement in this run, or not in all of its variants.
    #[serde(default)]
    pub invalid_measures: Vec<Measure>,
    /// What makes figures less trustworthy, a sentence each.
    pub warnings: Vec<String>,
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
        /// The variant, or all with this cause.
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
        /// The variant, or all that this happened to.
        variant: String,
        /// How many.
        count: u64,
    },
    /// The generator did not keep the schedule.
    #[error("{}. {}", started_late(*.late, *.attempts, .what, *.max_lateness_ms), late_advice(*.is_alone))]
    Late {
        /// How many operations.
        late: u64,
        /// Of how many.
        attempts: u64,
        /// `operations`, of which variants if not of all.
        what: String,
        /// The limit in milliseconds.
        max_lateness_ms: f64,
        /// Whether nothing else is wrong with the run, so that bytes and CPU are measurements.
        is_alone: bool,
    },
    /// The generator of a closed loop took the machine.
    #[error("{used}. Use fewer workers, or generators on other machines")]
    GeneratorLimits {
        /// What it used, and the limit.
        used: String,
    },
    /// The wall clock was set during the run.
    #[error("{steps}, so certificates, landmarks and timers did not last as the scenario says")]
    ClockStepped {
        /// When and by how much.
        steps: String,
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
    #[error("the event at {planned_s} s, {action} {nf}, did not end")]
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
    /// A revoked instance was accepted for longer than the scenario expects, or nobody refused it.
    #[error("{variant}: a revoked {nf} was {what}; expected is a refusal within {within_s} s")]
    NotRevoked {
        /// The variant.
        variant: String,
        /// Of which network function.
        nf: String,
        /// What became of it.
        what: String,
        /// What is expected.
        within_s: f64,
    },
    /// The emulated link is not one that a network has.
    #[error(
        "the emulated link failed to carry {count} packets, which no link of the scenario would have lost"
    )]
    LinkFailed {
        /// How many.
        count: u64,
    },
    /// Live processes completed no handshake while they were observed.
    #[error("no handshake was completed while the processes were observed")]
    NothingObserved,
    /// The run was stopped.
    #[error("the run was interrupted before its schedule ended")]
    Interrupted,
}

impl Results {
    /// Every reason why the run is not a measurement of what its scenario claims, or does not show what that expects; none for a good run.
    pub fn violations(&self) -> Vec<Violation> {
        let found = self.found().into_iter();
        let mut violations = self.together(found.filter(|of| self.counts(of)));
        if let [Violation::Late { is_alone, .. }] = violations.as_mut_slice() {
            *is_alone = true;
        }
        violations.extend(self.unmet_expectations());
        violations
    }

    /// Each cause once, whichever variants it was in.
    fn together(&self, violations: impl Iterator<Item = Violation>) -> Vec<Violation> {
        let mut together: Vec<Violation> = Vec::new();
        for violation in violations {
            if !together.iter_mut().any(|of| of.takes_in(&violation)) {
                together.push(violation);
            }
        }
        let names: Vec<&str> = self.variants.iter().map(|of| of.name.as_str()).collect();
        let all = names.join(", ");
        for violation in &mut together {
            if let Violation::Errors { variant, .. } | Violation::Dropped { variant, .. } =
                violation
                && names.len() > 1
                && *variant == all
            {
                *variant = "every variant".to_owned();
            }
        }
        together
    }

    /// Whether it is about something that the scenario claims and does not allow.
    fn counts(&self, violation: &Violation) -> bool {
        let claims = &self.run.claims;
        violation.spoils().iter().any(|of| claims.contains(of)) && !self.is_expected(violation)
    }

    /// All that speaks against figures, whether the scenario claims them or not.
    fn found(&self) -> Vec<Violation> {
        if self.run.observed.is_some() {
            return self.nothing_observed().into_iter().collect();
        }
        let interrupted = self.run.interrupted.then_some(Violation::Interrupted);
        let link = self.link.as_ref().and_then(LinkResult::violations);
        let variants = self.variants.iter();
        interrupted
            .into_iter()
            .chain(link)
            .chain(self.spoiling())
            .chain(variants.flat_map(|variant| variant.violations(self.run.connections)))
            .collect()
    }

    /// Nobody has said what live processes ought to do, so all that can be wrong is that they did nothing.
    fn nothing_observed(&self) -> Option<Violation> {
        let mut sides = self.variants.iter().flat_map(|variant| {
            let NfTotals { client, server, .. } = &variant.totals;
            [client.handshakes, server.handshakes]
        });
        sides
            .all(|handshakes| handshakes == 0)
            .then_some(Violation::NothingObserved)
    }

    /// What has spoiled figures of all variants alike, each cause once.
    pub(super) fn spoiling(&self) -> Vec<Violation> {
        let steps = self.run.clock_steps.iter().map(ClockStep::to_string);
        let steps: Vec<_> = steps.collect();
        let clock = (!steps.is_empty()).then(|| Violation::ClockStepped {
            steps: steps.join(", "),
        });
        let late = self.late();
        let limits = self.variants.iter().find_map(|variant| {
            let used = variant.arrivals.invalid.clone()?;
            Some(Violation::GeneratorLimits { used })
        });
        let limits = limits.filter(|_| clock.is_none() && late.is_none());
        clock.into_iter().chain(late).chain(limits).collect()
    }

    fn late(&self) -> Option<Violation> {
        let is_late = |of: &&VariantResult| is_too_late(of.arrivals.late, of.attempts);
        let variants: Vec<&VariantResult> = self.variants.iter().filter(is_late).collect();
        let names: Vec<&str> = variants.iter().map(|of| of.name.as_str()).collect();
        (!variants.is_empty()).then(|| Violation::Late {
            late: variants.iter().map(|of| of.arrivals.late).sum(),
            attempts: variants.iter().map(|of| of.attempts).sum(),
            what: if variants.len() == self.variants.len() {
                "operations".to_owned()
            } else {
                format!("operations of {}", names.join(", "))
            },
            max_lateness_ms: self.generator.max_lateness_ms,
            is_alone: false,
        })
    }

    /// Which figures are left out of reports though the run may be valid, because the scenario does not claim them, and why.
    pub fn left_out(&self) -> Vec<String> {
        let unclaimed = self.spoiling().into_iter().filter(|of| !self.counts(of));
        let sentence = |of: Violation| {
            let measures: Vec<_> = of.spoils().iter().map(|of| of.plural()).collect();
            format!(
                "{} are not valid and are left out: {of}",
                measures.join(", ")
            )
        };
        unclaimed.map(sentence).collect()
    }

    /// The verdict on the results as they are.
    pub(crate) fn judge(&self) -> Verdict {
        let violations = self.violations();
        let outcome = if violations.iter().any(|of| !of.is_expectation()) {
            Outcome::Invalid
        } else if !self.thresholds_met() {
            Outcome::ThresholdBroken
        } else if !violations.is_empty() {
            Outcome::ExpectationFailed
        } else {
            Outcome::Passed
        };
        let found = self.found();
        let wrong = found.iter().filter(|of| !self.is_expected(of));
        let mut invalid_measures: Vec<Measure> =
            wrong.flat_map(|of| of.spoils().iter().copied()).collect();
        invalid_measures.sort_unstable();
        invalid_measures.dedup();
        Verdict {
            outcome,
            passed: outcome == Outcome::Passed,
            violations: violations.iter().map(ToString::to_string).collect(),
            invalid_measures,
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
            let who = if self.run.shortened {
                "--short"
            } else {
                "the scenario"
            };
            warnings.push(format!(
                "operations count as late only beyond {limit} ms, as {who} wants: latencies may be the generator's"
            ));
        }
        let preflight = self.run.preflight.as_ref();
        let lowered = preflight.filter(|found| found.rate_factor < 1.0);
        warnings.extend(lowered.map(|found| format!("before the run {}", found.advice())));
        warnings.extend(self.left_out());
        if self.environment.profile == "debug" {
            warnings.push("built without optimisation: times and CPU figures say nothing about a release build".to_owned());
        }
        warnings.extend(self.link.as_ref().and_then(LinkResult::warnings));
        if let Some(observed) = &self.run.observed {
            if self.run.interrupted {
                warnings.push(format!(
                    "ended early, after {:.1} of {} s",
                    observed.elapsed_s, self.run.measured_s
                ));
            }
            warnings.extend(observed.gaps());
        }
        warnings.extend(
            self.variants
                .iter()
                .filter_map(VariantResult::unequal_sides),
        );
        warnings
    }
}

/// What to do about late starts; a scenario can do without latencies where they are all that is wrong.
const fn late_advice(is_alone: bool) -> &'static str {
    if is_alone {
        "Stop other programs, lower load.stages.rate, or claim bytes and CPU only: claims = [\"bytes\", \"cpu\"] in [scenario]"
    } else {
        "Stop other programs or lower load.stages.rate"
    }
}

impl Violation {
    /// The kinds of figures that it makes no measurement.
    pub(super) fn spoils(&self) -> &'static [Measure] {
        match self {
            Self::Late { .. } | Self::GeneratorLimits { .. } => &[Measure::Latency],
            _ => &Measure::ALL,
        }
    }

    /// Adds another violation of the same cause to this one; does nothing where the cause is another.
    fn takes_in(&mut self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Errors {
                    variant,
                    count,
                    attempts,
                    cause,
                },
                Self::Errors {
                    variant: other,
                    count: others,
                    attempts: of,
                    cause: same,
                },
            ) if cause == same => {
                variant.push_str(&format!(", {other}"));
                *count += others;
                *attempts += of;
                true
            }
            (
                Self::Dropped { variant, count },
                Self::Dropped {
                    variant: other,
                    count: others,
                },
            ) => {
                variant.push_str(&format!(", {other}"));
                *count += others;
                true
            }
            _ => false,
        }
    }

    /// Whether the figures are a measurement all the same, of something that was not expected.
    const fn is_expectation(&self) -> bool {
        matches!(
            self,
            Self::ErrorsOutsideEvents { .. }
                | Self::EventNotOver { .. }
                | Self::FallbackShare { .. }
                | Self::NotRevoked { .. }
        )
    }
}

impl VariantResult {
    /// Says so when the figures of the two sides are not of the same handshakes.
    fn unequal_sides(&self) -> Option<String> {
        let NfTotals { client, server, .. } = &self.totals;
        let [clients, servers] = [client, server].map(|side| side.handshakes);
        (clients != servers).then(|| {
            format!(
                "{}: clients completed {clients} handshakes and servers {servers}: figures of one side are not of the same handshakes as \
                 those of the other",
                self.name
            )
        })
    }

    fn violations(&self, connections: Option<Connections>) -> Vec<Violation> {
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
        // Kept connections need no handshake in the measured part.
        let reused = matches!(connections, Some(Connections::Reused(_))) && self.ok > 0;
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
        let has_tickets = self.options.tickets.is_some();
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
        let NfTotals { client, server, .. } = &self.totals;
        let expected = self.options.expected_kind(self.auth);
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
        // Who is served X.509 in a mixed estate, its downgrades say.
        let is_foreign = |other: &(&str, (&str, u64))| {
            !(self.options.is_mixed() && other.1.0 == CertificateKind::DirectlySigned.as_str())
        };
        servers
            .chain(clients)
            .filter(is_foreign)
            .map(move |(side, (found, count))| Violation::OtherKind {
                variant: self.name.clone(),
                side,
                expected,
                found,
                count,
            })
    }
}
