//! Whether a run shows what it claims.

use mtc_tls::kind::CertificateKind;
use mtc_tls::provider::KeyExchange;
use sbi::ledger::{KindCounts, NfTotals};
use serde::{Deserialize, Serialize};

use super::{LinkResult, Results, VariantResult};
use crate::scenario::{Connections, LoadPlan};

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

    pub(super) fn judge(&self) -> Verdict {
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
