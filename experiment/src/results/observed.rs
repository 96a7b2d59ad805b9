//! Results without a load of ours: what live processes counted in a window, whoever used them.
//!
//! ```text
//!  process   begin ──┬──┬── ... ──┬── end     counters at its ends and between; a slice is a sum of differences, the whole is all
//!                    0  1         19
//!  Observation: counts by connection profile ──> a variant each ┐
//!               counts by process, by request ─────────────────┴─> Results, [`Run::observed`]
//! ```
//!
//! What only a load knows is absent: operations and their latencies, a schedule, what ought to have been served. So an observation
//! has nothing to fail, but to have seen nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use mtc_tls::kind::CertificateKind;
use mtc_tls::profile::ConnectionProfile;
use sbi::ledger::{HandshakeTotals, Learning, NfTotals};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::arrivals::Judged;
use super::rounding::to_thousandth;
use super::{
    GeneratorResult, Issuance, LearningResult, Results, Run, SCHEMA, VariantArrivals,
    VariantResult, Verdict,
};
use crate::environment::Environment;
use crate::measure::{ClientSlice, ClientTotals, GeneratorUse, Histogram};
use crate::scenario::{Expectation, Measure, Variant};

/// What `run.name` and `run.operation` are of an observation.
const NAME: &str = "observed";

/// What was seen of live processes, before results are made of it.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The first look.
    pub started: OffsetDateTime,
    /// The last look.
    pub ended: OffsetDateTime,
    /// Whether it was ended before the window was over.
    pub interrupted: bool,
    /// How long the window was to be.
    pub planned: Duration,
    /// What all processes counted, by what both ends of a connection are.
    pub profiles: BTreeMap<ConnectionProfile, ProfileCounts>,
    /// What an NRF among them issued.
    pub issuance: Issuance,
    /// What they did to learn of landmarks, by what they are.
    pub learning: BTreeMap<String, Learning>,
    /// The processes and their requests.
    pub observed: Observed,
}

/// What all processes counted of one connection profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfileCounts {
    /// In the window.
    pub totals: NfTotals,
    /// In each of its slices, as far as it went.
    pub slices: Vec<NfTotals>,
}

/// Of what results are that no load of ours brought about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Seconds from the first look to the last.
    pub elapsed_s: f64,
    /// The processes that were read.
    pub processes: Vec<ObservedProcess>,
    /// Those that never answered.
    pub silent: Vec<SilentProcess>,
    /// SBI requests in the window, by all processes together.
    pub requests: Vec<ObservedRequests>,
}

/// One process that was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedProcess {
    /// What it is: `nrf`, `smf`, `load`, and `nf` where nobody says.
    pub nf: String,
    /// Its admin port.
    pub address: String,
    /// From when on it was counted, in seconds from the first look: later than 0 if it did not answer before.
    pub from_s: f64,
    /// When it answered last.
    pub until_s: f64,
    /// How often its counters had begun anew: of each time, what it had counted since the look before is lost.
    pub restarts: u32,
    /// CPU time of the process, in seconds.
    pub cpu_s: f64,
    /// CPU time of its threads in completed handshakes, part of that, in seconds.
    pub handshake_cpu_s: f64,
    /// Handshakes that it completed as a client.
    pub client_handshakes: u64,
    /// Handshakes that it completed as a server.
    pub server_handshakes: u64,
    /// Connections that it opened and whose handshake failed.
    pub failed_connects: u64,
    /// Connections that it accepted and whose handshake failed.
    pub failed_accepts: u64,
    /// The failed accepts by `class: cause`.
    pub failed_accepts_by_cause: BTreeMap<String, u64>,
}

/// A process of which nothing is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilentProcess {
    /// What it is said to be.
    pub nf: String,
    /// Its admin port.
    pub address: String,
    /// Why it was not read.
    pub reason: String,
}

/// The requests of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservedRequests {
    /// `client` or `server`: who counted them. One between two observed processes is there twice.
    pub side: String,
    /// Name of the service.
    pub service: String,
    /// Service operation.
    pub operation: String,
    /// HTTP status, or `failed` where no answer came.
    pub status: String,
    /// How many.
    pub count: u64,
    /// Mean time in milliseconds: on the server from the head of the request to its answer, on the client to the whole answer.
    pub mean_ms: f64,
}

impl Results {
    /// Makes results of what was seen of live processes. Variants are the connection profiles that were used, those of X.509 first.
    pub fn observed(environment: Environment, observation: Observation) -> Self {
        let Observation {
            started,
            ended,
            interrupted,
            planned,
            profiles,
            issuance,
            learning,
            observed,
        } = observation;
        let mut profiles: Vec<_> = profiles
            .into_iter()
            .filter(|(_, counts)| counts.is_used())
            .collect();
        profiles.sort_by_key(|(profile, _)| {
            (
                profile.domain.kind() != CertificateKind::DirectlySigned,
                *profile,
            )
        });
        let variants = profiles.iter().map(|(profile, counts)| {
            let seen = counts.seen();
            let arrivals = VariantArrivals::of(&seen, &Judged::ByUse(None));
            VariantResult::new(&Variant::of(*profile), seen, arrivals, &counts.totals)
        });
        let mut results = Self {
            schema: SCHEMA.to_owned(),
            run: Run {
                name: NAME.to_owned(),
                description: String::new(),
                operation: NAME.to_owned(),
                connections: None,
                cell: BTreeMap::new(),
                claims: Measure::ALL.to_vec(),
                seed: 0,
                started,
                ended,
                interrupted,
                shortened: false,
                measured_s: to_thousandth(planned.as_secs_f64()),
                joined: false,
                lab: None,
                preflight: None,
                clock_steps: Vec::new(),
                observed: Some(observed),
            },
            verdict: Verdict::default(),
            environment,
            link: None,
            notes: Vec::new(),
            scenario: String::new(),
            thresholds: Vec::new(),
            variants: variants.collect(),
            generator: GeneratorResult::new(0, &GeneratorUse::default(), 0.0),
            lateness_ms: None,
            lateness_histogram: Histogram::default(),
            expect: Expectation::default(),
            events: Vec::new(),
            timeline: Vec::new(),
            issuance,
            start: None,
            learning: LearningResult::all(&learning, None),
        };
        let slices: Vec<_> = profiles.into_iter().map(|(_, of)| of.slices).collect();
        results.sliced(&slices);
        results.verdict = results.judge();
        results
    }
}

impl ProfileCounts {
    fn is_used(&self) -> bool {
        let NfTotals { client, server, .. } = &self.totals;
        let begun = |side: &HandshakeTotals| side.handshakes + side.failures;
        begun(client) + begun(server) > 0
    }

    /// How long clients' handshakes took, which stands in the place of a load generator's; all else is in the sums.
    fn seen(&self) -> ClientTotals {
        let times = |of: &NfTotals| Histogram::from(&of.client.detail.elapsed);
        let slice = |of| ClientSlice {
            handshake: (&times(of)).into(),
            ..ClientSlice::default()
        };
        ClientTotals {
            handshake: times(&self.totals),
            slices: self.slices.iter().map(slice).collect(),
            ..ClientTotals::default()
        }
    }
}

impl Observed {
    /// What of the processes is not in the figures, a sentence each.
    pub(super) fn gaps(&self) -> Vec<String> {
        let silent = self.silent.iter().map(|process| {
            let SilentProcess {
                nf,
                address,
                reason,
            } = process;
            format!("{nf} {address} never answered, so nothing of it is in the figures: {reason}")
        });
        let read = self.processes.iter().flat_map(|process| process.gaps(self));
        silent.chain(read).collect()
    }
}

impl ObservedProcess {
    fn gaps(&self, of: &Observed) -> Vec<String> {
        /// A look takes a moment.
        const MOMENT: f64 = 0.05;
        let Self {
            nf,
            address,
            from_s,
            until_s,
            restarts,
            ..
        } = self;
        let mut gaps = Vec::new();
        if *from_s > MOMENT {
            gaps.push(format!(
                "{nf} {address} was counted from {from_s:.1} s on: it did not answer before"
            ));
        }
        if *restarts > 0 {
            let times = match restarts {
                1 => "once".to_owned(),
                more => format!("{more} times"),
            };
            gaps.push(format!(
                "{nf} {address} began to count anew {times}, as a process does that was started again: what it had counted since the look \
                 before is lost"
            ));
        }
        if of.elapsed_s - until_s > MOMENT {
            gaps.push(format!(
                "{nf} {address} answered for the last time at {until_s:.1} s: what it counted after is not in the figures"
            ));
        }
        gaps
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::measure::SLICES;
    use crate::results::sample::{environment, quick};
    use crate::results::{Metric, Outcome};

    /// What processes counted that were used as the first and the last variant of the sample were.
    pub(crate) fn observation() -> Observation {
        let run = quick();
        let of = |name: &str, variant: usize| {
            let totals = run.variants[variant].totals.clone();
            let share = |of: &HandshakeTotals, slice: u64| HandshakeTotals {
                handshakes: of.handshakes / SLICES as u64,
                cpu_ns: of.cpu_ns / SLICES as u64 + slice,
                bytes_sent: of.bytes_sent / SLICES as u64,
                detail: of.detail.clone(),
                ..HandshakeTotals::default()
            };
            let slice = |slice| NfTotals {
                client: share(&totals.client, slice),
                server: share(&totals.server, slice),
                ..NfTotals::default()
            };
            let slices = (0..SLICES as u64).map(slice).collect();
            let profile = name.parse().expect("a profile");
            (profile, ProfileCounts { totals, slices })
        };
        let process = |nf: &str, port: u16| ObservedProcess {
            nf: nf.to_owned(),
            address: format!("127.0.0.1:{port}"),
            until_s: 60.0,
            cpu_s: 12.5,
            handshake_cpu_s: 5.0,
            client_handshakes: 1080,
            server_handshakes: 1620,
            ..ObservedProcess::default()
        };
        Observation {
            started: datetime!(2026-11-29 12:00 UTC),
            ended: datetime!(2026-11-29 12:01 UTC),
            interrupted: false,
            planned: Duration::from_secs(60),
            profiles: [
                of("mtc-landmark/ml-dsa-65/X25519MLKEM768", 4),
                of("x509-ed25519-intermediate/ed25519/X25519MLKEM768", 0),
                (
                    "mtc-standalone/ml-dsa-65/X25519"
                        .parse()
                        .expect("a profile"),
                    ProfileCounts::default(),
                ),
            ]
            .into(),
            issuance: Issuance::default(),
            learning: BTreeMap::new(),
            observed: Observed {
                elapsed_s: 60.0,
                processes: vec![process("nrf", 1), process("smf", 2)],
                silent: Vec::new(),
                requests: vec![ObservedRequests {
                    side: "server".to_owned(),
                    service: "nnrf-disc".to_owned(),
                    operation: "NFDiscover".to_owned(),
                    status: "200".to_owned(),
                    count: 540,
                    mean_ms: 1.25,
                }],
            },
        }
    }

    pub(crate) fn observed() -> Results {
        Results::observed(environment(), observation())
    }

    #[test]
    fn figures_are_those_of_a_run_that_counted_the_same_and_the_load_s_are_absent() {
        let (results, run) = (observed(), quick());
        let names: Vec<&str> = results.variants.iter().map(|of| of.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "x509-ed25519-intermediate/ed25519/X25519MLKEM768",
                "mtc-landmark/ml-dsa-65/X25519MLKEM768"
            ]
        );
        for (variant, of_run) in results
            .variants
            .iter()
            .zip([&run.variants[0], &run.variants[4]])
        {
            let figures = |of: &VariantResult| {
                (
                    of.bytes(),
                    of.cpu_us(),
                    of.verify_us,
                    of.credential_kinds,
                    of.handshake.clone().server,
                )
            };
            assert_eq!(figures(variant), figures(of_run));
            assert_eq!((variant.attempts, variant.operation_ms), (0, None));
            assert_eq!(variant.handshake_ms, variant.handshake.client.handshake_ms);
        }
        assert!(results.variants[1].ratio(Metric::Bytes).is_some());
        assert_eq!(
            (results.verdict.outcome, results.run.connections),
            (Outcome::Passed, None)
        );
        let text = results.to_json();
        assert_eq!(Results::from_json(&text).expect("results"), results);
    }

    #[test]
    fn a_variant_is_that_of_its_profile() {
        for name in [
            "x509-ecdsa-p256-direct/ecdsa-p256/X25519/stateless",
            "mtc-landmark-stale/ml-dsa-65/X25519MLKEM768/scp-d",
        ] {
            let profile: ConnectionProfile = name.parse().expect("a profile");
            let variant = Variant::of(profile);
            assert_eq!((variant.profile(), variant.name.as_str()), (profile, name));
        }
    }

    #[test]
    fn an_observation_of_nothing_is_no_measurement() {
        let mut nothing = observation();
        nothing.profiles.clear();
        let verdict = Results::observed(environment(), nothing).verdict;
        assert_eq!(verdict.outcome, Outcome::Invalid);
        assert!(
            verdict.violations[0].contains("no handshake"),
            "{verdict:?}"
        );
    }

    #[test]
    fn an_observation_that_was_ended_early_is_one_of_a_shorter_time() {
        let mut short = observation();
        short.interrupted = true;
        let results = Results::observed(environment(), short);
        assert_eq!(results.verdict.outcome, Outcome::Passed);
        assert!(
            results
                .verdict
                .warnings
                .iter()
                .any(|of| of.contains("ended early"))
        );
    }

    #[test]
    fn what_is_missing_of_processes_is_said() {
        let mut gone = observation();
        let observed = &mut gone.observed;
        observed.processes[0].restarts = 2;
        observed.processes[0].until_s = 31.0;
        observed.processes[1].from_s = 4.0;
        observed.silent = vec![SilentProcess {
            nf: "scp".to_owned(),
            address: "127.0.0.1:9".to_owned(),
            reason: "connection refused".to_owned(),
        }];
        let warnings = Results::observed(environment(), gone).verdict.warnings;
        for (nf, part) in [
            ("scp", "connection refused"),
            ("nrf", "began to count anew 2 times"),
            ("nrf", "last time at 31.0 s"),
            ("smf", "from 4.0 s on"),
        ] {
            let said = |warning: &String| warning.starts_with(nf) && warning.contains(part);
            assert!(warnings.iter().any(said), "{nf} {part}: {warnings:?}");
        }
    }
}
