//! Made-up but realistic results of a scenario like `scenarios/quick.toml`, for the tests of results and reports.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use link::forwarder::Carried;
use link::probe::{Quantiles, TcpFacts};
use link::{LinkSettings, Measured, Rate};
use mtc_tls::kind::CertificateKind;
use mtc_tls::record::Side;
use sbi::ledger::{
    HandshakeDetail, HandshakeTotals, HopTotals, IssuanceTotals, NfTotals, Procedure, TokenTotals,
    VerificationTotals,
};
use sbi::model::NfType;
use time::macros::datetime;

use super::learning::tests::learning;
pub(crate) use super::start::tests::storm;
use super::{
    Counted, EventRecord, Issuance, JoinedLab, LearningResult, LinkResult, OperationResult,
    PART_SCHEMA, Part, Preflight, Results, RunHistory, ThresholdOutcome, TimelinePoint,
    TokenResult,
};
use crate::environment::{Environment, LOOPBACK};
use crate::measure::{ClientTotals, Histogram, SLICES};
use crate::measure::{GeneratorUse, LoadResult, Shard};
use crate::scenario::{Distribution, Measure, Scenario};

mod handshake;

use handshake::handshake;

/// Tests know its variants by place and by name, so it is not the shipped one, which may change.
pub(crate) const QUICK: &str = include_str!("sample/scenario.toml");

/// Bytes, CPU and verification microseconds of one side, and the median handshake in microseconds, by variant.
const COSTS: [(u64, u64, u64, u64); 5] = [
    (2_180, 230, 74, 1_050),
    (15_800, 415, 75, 1_720),
    (10_310, 335, 38, 1_430),
    (11_970, 318, 27, 1_390),
    (7_430, 297, 3, 1_290),
];
const OPERATIONS: u64 = 540;

/// A run without a fault.
pub(crate) fn quick() -> Results {
    // Made once: without optimisation a thousand resamples take a while.
    static MADE: LazyLock<Results> =
        LazyLock::new(|| make(&Scenario::parse(QUICK).expect("the sample's scenario is valid")));
    MADE.clone()
}

/// A run that claims this, on a busy machine: of the last variant 61 operations started late.
pub(crate) fn busy(claims: &[Measure]) -> Results {
    static MADE: LazyLock<Results> = LazyLock::new(|| {
        let scenario = Scenario::parse(QUICK).expect("the shipped scenario is valid");
        let mut part = quick_part();
        part.load.variants[4].late = 61;
        part.results(&scenario).expect("its variants")
    });
    let mut results = MADE.clone();
    results.run.claims = claims.to_vec();
    results.verdict = results.judge();
    results
}

/// What a run without a fault has shown, before results are made of it.
pub(crate) fn quick_part() -> Part {
    let mut part = part(&Scenario::parse(QUICK).expect("the sample's scenario is valid"));
    part.history.timeline = vec![TimelinePoint {
        at_s: 1.0,
        done: 90,
        errors: 0,
        dropped: 0,
        in_flight: 2,
    }];
    part
}

/// A run whose operations registered UEs.
pub(crate) fn with_procedures() -> Results {
    let mut part = quick_part();
    let counted = part.lab.totals.iter_mut();
    for (load, counted) in part.load.variants.iter_mut().zip(counted) {
        let begun = load.procedures.entry(Procedure::Registration).or_default();
        (0..10).for_each(|_| begun.record(Some(Duration::from_millis(12))));
        for (producer, requests) in [(NfType::Ausf, 20), (NfType::Udm, 50)] {
            let hop = HopTotals {
                requests,
                full: 10,
                handshake_bytes: 145_000,
                body_bytes: 4_000,
                other_bytes: 9_000,
                cpu_ns: 3_000_000,
                verify_ns: 300_000,
                ..HopTotals::default()
            };
            let procedures = &mut counted.procedures;
            procedures.add(Procedure::Registration, &NfType::Amf, &[producer], &hop);
        }
    }
    let scenario = Scenario::parse(QUICK).expect("the sample's scenario is valid");
    part.results(&scenario).expect("one part for each variant")
}

/// A run of a scenario with at most as many variants.
pub(crate) fn make(scenario: &Scenario) -> Results {
    part(scenario)
        .results(scenario)
        .expect("one part for each variant")
}

fn part(scenario: &Scenario) -> Part {
    let mut lateness = Histogram::default();
    (0..2700).for_each(|n| lateness.record(Duration::from_micros(300 + n * 37 % 1100)));
    let measured = scenario.variants.iter().zip(COSTS).map(|(variant, cost)| {
        let kind = variant.authentication.kind();
        let client = client(kind, cost);
        let mut server = HandshakeTotals::default();
        (0..OPERATIONS * 2).for_each(|n| server.record(&handshake(kind, cost, n, Side::Server)));
        let mut network_functions = NfTotals {
            client: client.handshakes.clone(),
            server: server.clone(),
            ..NfTotals::default()
        };
        network_functions.server.merge(&server);
        (client, network_functions)
    });
    let (variants, network_functions): (Vec<_>, Vec<_>) = measured.unzip();
    let load = LoadResult {
        started: datetime!(2026-11-22 15:30:00 UTC),
        ended: datetime!(2026-11-22 15:30:48.120 UTC),
        interrupted: false,
        lateness,
        generator: GeneratorUse {
            cpu: Duration::from_secs(12),
            wall: Duration::from_secs(45),
        },
        variants,
        watched: Default::default(),
    };
    let slices = network_functions.iter().map(in_slices).collect();
    let nothing = vec![NfTotals::default(); network_functions.len()];
    Part {
        schema: PART_SCHEMA.to_owned(),
        shard: Shard::WHOLE,
        scenario: scenario.text().to_owned(),
        shortened: false,
        environment: environment(),
        joined: false,
        joined_lab: None,
        preflight: None,
        load,
        own: Counted {
            totals: nothing,
            slices: vec![Vec::new(); scenario.variants.len()],
            learning: BTreeMap::new(),
        },
        lab: Counted {
            totals: network_functions,
            slices,
            learning: BTreeMap::new(),
        },
        history: RunHistory {
            issuance: issuance(),
            ..RunHistory::default()
        },
        notes: Vec::new(),
    }
}

/// The runs of a sweep over two settings, whose times grow with the first.
pub(crate) fn grid() -> Vec<Results> {
    let cells = ["0", "0.01"]
        .map(|loss| [("1ms", 1.0), ("20ms", 20.0), ("80ms", 80.0)].map(|rtt| (loss, rtt)));
    let run = |(loss, (rtt, ms)): (&str, (&str, f64))| {
        let mut results = quick();
        results.run.cell = [("link.rtt", rtt), ("link.loss", loss)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        for variant in &mut results.variants {
            for latency in [&mut variant.handshake_ms, &mut variant.operation_ms]
                .into_iter()
                .flatten()
            {
                latency.p50 += ms;
                latency.p99 += 2.0 * ms;
            }
        }
        results
    };
    cells.into_iter().flatten().map(run).collect()
}

/// What an AMF took to learn of landmarks by asking the log.
pub(crate) fn learned() -> Vec<LearningResult> {
    LearningResult::all(&learning(), Some(Distribution::Each))
}

/// A run in which everything is there that a run can have.
pub(crate) fn full() -> Results {
    let mut results = with_procedures();
    let mut tokens = TokenTotals::default();
    tokens.record(3600, Some(Duration::from_micros(80)));
    tokens.record_assertion(9000, Some(Duration::from_micros(300)));
    results.variants[1].totals.tokens = tokens;
    results.variants[1].tokens = TokenResult::of(&tokens, 1);
    results.variants[1].options.token = Some("ml-dsa-44".to_owned());
    results.variants[4].options.grease = true;
    results.variants[4].options.upgraded = Some(1.0);
    results.variants[4].downgrades = [("no-landmark-yet".to_owned(), 2)].into();
    let client = &mut results.variants[4].totals.client;
    client.downgrades.add("no-landmark-yet", 2);
    let verification = &mut results.variants[4].handshake.client.verification;
    verification.cosignatures_unknown = Some(1.0);
    verification.unknown_cosignature_bytes = Some(70.0);
    let mut settings = LinkSettings::with_rtt(Duration::from_millis(20));
    settings.rate = Some(Rate::bits_per_second(50_000_000));
    results.linked(LinkResult {
        configured: (&settings).into(),
        measured: Measured {
            rtt_ms: Quantiles {
                count: 25,
                min: 20.1,
                p50: 20.2,
                max: 20.9,
            },
            loss_sent: 3000,
            loss_lost: 0,
            rate_bits_per_second: Some(49_800_000.0),
            tcp: TcpFacts {
                mss: 1448,
                initcwnd: 10,
                congestion_control: "cubic".to_owned(),
            },
        },
        carried: Carried {
            delivered: 90_000,
            octets: 50_000_000,
            late_us_p50: 12.0,
            late_us_p99: 80.0,
            late_us_max: 400.0,
            ..Carried::default()
        },
    });
    results.happened(RunHistory {
        start: storm(),
        issuance: issuance(),
        clock_steps: Vec::new(),
        events: vec![EventRecord {
            action: "re-enrol".to_owned(),
            nf: "smf".to_owned(),
            instances: Some(4),
            planned_s: 10.0,
            began_s: Some(10.0),
            ended_s: Some(11.5),
            revocation: None,
        }],
        timeline: vec![TimelinePoint {
            at_s: 1.0,
            done: 60,
            errors: 0,
            dropped: 0,
            in_flight: 2,
        }],
    });
    let mut punctual = Histogram::default();
    (0..500).for_each(|_| punctual.record(Duration::from_micros(80)));
    let limit = Duration::from_millis(1);
    results.run.preflight = Some(Preflight::of(&punctual, 9, limit, Some(0.5), true));
    results.learning = learned();
    results.learning[0].failed = results.learning[0].unchanged;
    results.thresholds = thresholds();
    results.run.lab = Some(JoinedLab {
        smf: Some(2),
        certificate_lifetime_s: Some(3600),
        checkpoint_interval_ms: Some(200),
        landmark_interval_s: Some(2),
        remember_subtrees: Some(true),
        witnesses: Some(1),
        require: Some(1),
        log_entries: Some(4120),
    });
    results.run.cell = [("link.rtt".to_owned(), "20ms".to_owned())].into();
    results.expect.fallback = vec![crate::scenario::Fallback {
        variant: "mtc-landmark".to_owned(),
        min_share: 0.0,
        max_share: 0.5,
    }];
    let first = &mut results.variants[0];
    first.errors = [("timeout: no answer".to_owned(), 1)].into();
    first.arrivals.invalid = Some("late".to_owned());
    first.arrivals.operations = [(
        "discover".to_owned(),
        OperationResult {
            attempts: 1,
            ok: 1,
            latency_ms: first.operation_ms,
            histogram: first.histograms.operation.clone(),
        },
    )]
    .into();
    let failures = [("timeout: no handshake in time".to_owned(), 1)];
    first.handshake.client.failures = failures.clone().into();
    first.totals.client.detail.failures.add(&failures[0].0, 1);
    for kind in CertificateKind::ALL.into_iter().map(Some).chain([None]) {
        first.credential_kinds.add(kind, 1);
    }
    results
}

/// Slices that share the totals evenly.
fn in_slices(totals: &NfTotals) -> Vec<NfTotals> {
    let part = |totals: &HandshakeTotals| HandshakeTotals {
        handshakes: totals.handshakes / SLICES as u64,
        cpu_ns: totals.cpu_ns / SLICES as u64,
        verify_ns: totals.verify_ns / SLICES as u64,
        bytes_sent: totals.bytes_sent / SLICES as u64,
        detail: HandshakeDetail {
            verification: VerificationTotals {
                verified: totals.detail.verification.verified / SLICES as u64,
                trusted_subtree: totals.detail.verification.trusted_subtree / SLICES as u64,
                ..VerificationTotals::default()
            },
            ..HandshakeDetail::default()
        },
        ..HandshakeTotals::default()
    };
    let slice = NfTotals {
        client: part(&totals.client),
        server: part(&totals.server),
        ..NfTotals::default()
    };
    vec![slice; SLICES]
}

/// Certificates of the start, and of instances that enrolled again in the middle of the run.
fn issuance() -> Issuance {
    let of = |certificates: u64, ms: u64| IssuanceTotals {
        certificates,
        issue_ns: certificates * ms * 1_000_000,
        checkpoint_ns: certificates * (ms - 2) * 1_000_000,
    };
    let mut slices = vec![IssuanceTotals::default(); SLICES];
    slices[9] = of(4, 14);
    slices[10] = of(2, 11);
    Issuance {
        before: of(21, 38),
        slices,
    }
}

/// A threshold that is met, and one that is broken.
pub(crate) fn thresholds() -> Vec<ThresholdOutcome> {
    let outcome = |name: &str, expression: &str, left, right, met| ThresholdOutcome {
        name: name.to_owned(),
        expression: expression.to_owned(),
        left,
        right,
        met,
        judged: true,
    };
    vec![
        outcome(
            "small",
            r#"bytes("a") < bytes("b")"#,
            Some(14_860.0),
            Some(31_600.0),
            true,
        ),
        outcome(
            "quick",
            r#"p99(handshake, "a") < 1"#,
            None,
            Some(1.0),
            false,
        ),
    ]
}

pub(crate) fn environment() -> Environment {
    let libraries = [
        ("aws-lc-rs", "1.19.0"),
        ("rustls", "0.23.46"),
        ("tokio-rustls", "0.26.6"),
    ];
    Environment {
        cpu: "AMD EPYC 9R14 <96-Core>".to_owned(),
        cores: 2,
        memory_bytes: 8 << 30,
        governor: "unknown".to_owned(),
        kernel: "Linux 6.1.0-28-amd64 #1 SMP".to_owned(),
        os: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        tcp_congestion_control: "cubic".to_owned(),
        mtc5g: "0.1.0".to_owned(),
        revision: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        rustc: "rustc 1.91.0".to_owned(),
        profile: "release".to_owned(),
        libraries: libraries
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .into(),
        draft: "draft-ietf-plants-merkle-tree-certs-07".to_owned(),
        oids: BTreeMap::from([(
            "id-alg-mtcProof".to_owned(),
            "1.3.6.1.5.5.7.6.67".to_owned(),
        )]),
        network: LOOPBACK.to_owned(),
    }
}

/// One session is two handshakes of the generator.
fn client(kind: CertificateKind, cost: (u64, u64, u64, u64)) -> ClientTotals {
    let mut totals = ClientTotals::default();
    for n in 0..OPERATIONS * 2 {
        let slice = n as usize * SLICES / (OPERATIONS as usize * 2);
        let handshake = handshake(kind, cost, n, Side::Client);
        totals.record_handshake(slice, &handshake);
        if n % 2 == 0 {
            totals
                .queueing
                .record(Duration::from_micros(300 + n * 37 % 1100));
            let elapsed = handshake.elapsed.as_secs_f64() * 1e6;
            totals.record_success(
                slice,
                Duration::from_secs_f64((elapsed * 3.4 + 900.0) / 1e6),
            );
        }
    }
    totals
}
