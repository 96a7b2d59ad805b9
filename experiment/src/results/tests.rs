use std::time::Duration;

use mtc_tls::kind::CertificateKind;
use sbi::ledger::{HandshakeTotals, KindCounts, NfTotals};

use super::arrivals::Judged;
use super::sample::{QUICK, busy, environment, make, quick};
use super::*;
use crate::measure::{ClientTotals, GeneratorUse, LoadResult, VariantMismatch};
use crate::scenario::{Fallback, Scenario, Timed};

use CertificateKind::{DirectlySigned, LandmarkRelative, Standalone};

#[test]
fn a_good_run_has_no_violations() {
    let results = quick();
    assert_eq!(results.violations(), []);
    assert!(results.verdict.passed);
    assert_eq!(results.verdict.warnings, Vec::<String>::new());
}

#[test]
fn a_time_is_read_as_it_was_written() {
    // 2.078718917 s as `Duration::as_secs_f64` has it: more digits than fit a double's mantissa as an integer.
    let at_s = 2.078_718_916_999_999_8;
    let written = serde_json::to_string(&at_s).unwrap();
    assert_eq!(written, "2.0787189169999998");
    assert_eq!(serde_json::from_str::<f64>(&written).unwrap(), at_s);
}

#[test]
fn every_field_of_the_contract_is_there() {
    let json: serde_json::Value = serde_json::from_str(&quick().to_json()).unwrap();
    assert_eq!(json["schema"], "mtc5g-results/1");
    assert_eq!(json["scenario"], QUICK);
    assert_eq!(
        json["environment"]["draft"],
        "draft-ietf-plants-merkle-tree-certs-07"
    );
    let landmark = &json["variants"][4];
    assert_eq!(landmark["name"], "mtc-landmark");
    assert_eq!(landmark["auth"], "mtc-landmark");
    assert_eq!(
        (&landmark["attempts"], &landmark["ok"]),
        (&540.into(), &540.into())
    );
    assert_eq!(landmark["errors"], serde_json::json!({}));
    assert_eq!(
        landmark["credential_kinds"],
        serde_json::json!({ "mtc-landmark": 2160 })
    );
    for times in ["handshake_ms", "operation_ms"] {
        for quantile in ["p50", "p90", "p99", "p999", "max", "mean"] {
            assert!(
                landmark[times][quantile]
                    .as_f64()
                    .is_some_and(|ms| ms > 0.0),
                "{times}.{quantile}"
            );
        }
    }
    assert_eq!(landmark["bytes_client"], 7430.0);
    assert_eq!(landmark["bytes_server"], 7430.0);
    assert_eq!(landmark["cpu_us_client"], 297.0);
    assert_eq!(landmark["cpu_us_server"], 297.0);
    assert_eq!(landmark["verify_us"], 3.0);
}

#[test]
fn results_can_be_read_again() {
    let results = quick();
    assert_eq!(Results::from_json(&results.to_json()).unwrap(), results);
}

#[test]
fn results_of_another_schema_are_refused() {
    let json = quick()
        .to_json()
        .replace("mtc5g-results/1", "mtc5g-results/99");
    assert!(
        matches!(Results::from_json(&json), Err(ResultsError::Schema(schema)) if schema == "mtc5g-results/99")
    );
    assert!(matches!(
        Results::from_json("{}"),
        Err(ResultsError::Json(_))
    ));
}

#[test]
fn a_certificate_of_another_kind_is_a_violation_on_either_side() {
    for (side, change) in [
        (
            "servers",
            (|totals| &mut totals.client.received) as fn(&mut NfTotals) -> &mut KindCounts,
        ),
        ("servers", |totals| &mut totals.server.presented),
        ("clients", |totals| &mut totals.server.received),
        ("clients", |totals| &mut totals.client.presented),
    ] {
        let mut results = quick();
        change(&mut results.variants[4].totals).add(Some(Standalone), 2);
        let expected = Violation::OtherKind {
            variant: "mtc-landmark".to_owned(),
            side,
            expected: LandmarkRelative,
            found: "mtc-standalone",
            count: 2,
        };
        assert_eq!(results.violations(), [expected]);
    }
}

#[test]
fn in_a_mixed_estate_both_kinds_are_as_they_should_be_and_nothing_else() {
    // The share, and of which kinds two certificates more are a violation.
    for (share, broken_by) in [
        (0.0, [false, true, true]),
        (0.5, [false, true, false]),
        (1.0, [true, true, false]),
    ] {
        for (kind, breaks) in [DirectlySigned, Standalone, LandmarkRelative]
            .into_iter()
            .zip(broken_by)
        {
            let mut results = quick();
            let variant = &mut results.variants[4];
            variant.options.upgraded = Some(share);
            if share == 0.0 {
                let totals = &mut variant.totals;
                for side in [&mut totals.client, &mut totals.server] {
                    for kinds in [&mut side.received, &mut side.presented] {
                        *kinds = KindCounts::default();
                        kinds.add(Some(DirectlySigned), 10);
                    }
                }
            }
            variant.totals.client.received.add(Some(kind), 2);
            let violations = results.violations();
            assert_eq!(
                !violations.is_empty(),
                breaks,
                "{share} {kind}: {violations:?}"
            );
        }
    }
}

#[test]
fn with_stale_landmarks_the_fallback_is_what_must_be_served() {
    let landmark = |key: &str| {
        let text = format!(
            "[scenario]\nname = \"one\"\n[lab]\n[[variant]]\nname = \"a\"\nauth = \"mtc-landmark\"\n{key}\n\
             [load]\noperation = \"handshake\"\nstages = [{{ rate = 1, duration = \"1s\" }}]\n"
        );
        make(&Scenario::parse(&text).unwrap())
    };
    // What the scenario says, and which kinds beside the expected one are a violation.
    for (key, broken_by) in [
        ("", [1, 0, 1]),
        ("landmarks = \"fresh\"", [1, 0, 1]),
        ("landmarks = \"stale\"", [0, 1, 1]),
        ("[[expect.fallback]]\nvariant = \"a\"", [0, 0, 1]),
    ] {
        let results = landmark(key);
        assert_eq!(results.variants[0].auth, LandmarkRelative);
        assert_eq!(results.violations(), [], "{key}");
        let found = [Standalone, LandmarkRelative, DirectlySigned].map(|kind| {
            let mut results = results.clone();
            let totals = &mut results.variants[0].totals;
            totals.client.received.add(Some(kind), 2);
            results.violations().len()
        });
        assert_eq!(found, broken_by, "{key}");
    }
    assert_eq!(
        landmark("landmarks = \"stale\"").variants[0]
            .options
            .landmarks,
        Some(LandmarkState::Stale)
    );
}

#[test]
fn errors_drops_groups_and_interruption_are_violations() {
    let mut results = quick();
    results.run.interrupted = true;
    results.variants[0].errors =
        BTreeMap::from([("tls: a".to_owned(), 1), ("http: b".to_owned(), 2)]);
    results.variants[1].dropped = 4;
    results.variants[2].groups = BTreeMap::from([("X25519".to_owned(), 5)]);
    results.variants[3].totals.server = HandshakeTotals::default();
    let texts: Vec<String> = results
        .violations()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        texts,
        [
            "the run was interrupted before its schedule ended",
            "x509-ed25519: 3 of 540 operations failed, most often: http: b",
            "x509-mldsa65: 4 arrivals were dropped because max_in_flight operations were unfinished",
            "x509-mldsa65-direct: 5 handshakes used key exchange X25519, not X25519MLKEM768",
            "mtc-standalone: nothing was measured on the server side",
        ]
    );
}

// A busy machine was told six times, in six sentences of one line of the terminal.
#[test]
fn a_cause_that_several_variants_share_is_said_once() {
    let told = |failed: &[usize]| {
        let mut results = quick();
        for (variant, cause) in failed
            .iter()
            .zip(["timeout", "timeout", "tls", "timeout", "timeout"])
        {
            results.variants[*variant].errors = [(cause.to_owned(), 2)].into();
            results.variants[*variant].dropped = 1;
        }
        let violations = results.violations().into_iter();
        violations.map(|of| of.to_string()).collect::<Vec<_>>()
    };
    let dropped = "arrivals were dropped because max_in_flight operations were unfinished";
    assert_eq!(
        told(&[0, 1, 2]),
        [
            "x509-ed25519, x509-mldsa65: 4 of 1080 operations failed, most often: timeout"
                .to_owned(),
            format!("x509-ed25519, x509-mldsa65, x509-mldsa65-direct: 3 {dropped}"),
            "x509-mldsa65-direct: 2 of 540 operations failed, most often: tls".to_owned(),
        ]
    );
    let of_all = told(&[0, 1, 4, 2, 3]);
    assert_eq!(of_all[1], format!("every variant: 5 {dropped}"));
    assert_eq!(of_all.len(), 3, "{of_all:?}");
}

#[test]
fn a_variant_without_handshakes_has_no_figures() {
    let scenario = Scenario::parse(QUICK).unwrap();
    let nothing = LoadResult {
        started: OffsetDateTime::UNIX_EPOCH,
        ended: OffsetDateTime::UNIX_EPOCH,
        interrupted: false,
        lateness: Histogram::default(),
        generator: GeneratorUse::default(),
        variants: vec![ClientTotals::default(); 5],
        watched: Default::default(),
    };
    let results = Results::new(
        environment(),
        &scenario,
        nothing,
        1,
        &vec![NfTotals::default(); 5],
    )
    .unwrap();
    assert!(!results.verdict.passed);
    assert_eq!(
        (
            results.variants[0].bytes(),
            results.variants[0].handshake_ms
        ),
        (None, None)
    );
    assert_eq!(Results::from_json(&results.to_json()).unwrap(), results);
}

#[test]
fn parts_for_other_variants_are_refused() {
    let scenario = Scenario::parse(QUICK).unwrap();
    let load = LoadResult {
        started: OffsetDateTime::UNIX_EPOCH,
        ended: OffsetDateTime::UNIX_EPOCH,
        interrupted: false,
        lateness: Histogram::default(),
        generator: GeneratorUse::default(),
        variants: vec![ClientTotals::default(); 5],
        watched: Default::default(),
    };
    let mismatch = Results::new(environment(), &scenario, load, 1, &[]);
    assert_eq!(
        mismatch,
        Err(VariantMismatch {
            expected: 5,
            found: 0
        })
    );
}

#[test]
fn a_raised_limit_of_lateness_and_a_debug_build_are_warned_of() {
    let mut results = quick();
    results.environment.profile = "debug".to_owned();
    results.generator.max_lateness_ms = 25.0;
    let warnings = results.judge().warnings;
    assert_eq!(warnings.len(), 2);
    assert!(
        warnings[0].contains("late only beyond 25 ms"),
        "{warnings:?}"
    );
}

#[test]
fn late_starts_spoil_latencies_and_the_run_only_if_it_claims_them() {
    const REASON: &str = "61 of 540 operations of mtc-landmark (11 %) started more than 1 ms late; the limit is 1 %. Stop other \
                          programs";
    let claims_all = busy(&Measure::ALL);
    let Verdict {
        outcome,
        passed,
        violations,
        invalid_measures,
        ..
    } = &claims_all.verdict;
    assert_eq!((*outcome, *passed), (Outcome::Invalid, false));
    let way_out = "lower load.stages.rate, or claim bytes and CPU only: claims = [\"bytes\", \"cpu\"] in [scenario]";
    assert_eq!(violations, &[format!("{REASON}, {way_out}")]);
    assert_eq!(invalid_measures, &[Measure::Latency]);

    let claims_costs = busy(&[Measure::Bytes, Measure::Cpu]);
    let Verdict {
        outcome,
        passed,
        violations,
        invalid_measures,
        warnings,
    } = &claims_costs.verdict;
    assert_eq!((*outcome, *passed), (Outcome::Passed, true));
    assert!(violations.is_empty(), "{violations:?}");
    assert_eq!(invalid_measures, &[Measure::Latency]);
    assert_eq!(
        warnings,
        &[format!(
            "latencies are not valid and are left out: {REASON} or lower load.stages.rate"
        )]
    );
    let valid = |variant: &VariantResult| Measure::ALL.map(|of| variant.is_valid(of));
    let [first, .., last] = claims_costs.variants.as_slice() else {
        panic!("several variants");
    };
    assert_eq!(
        (valid(first), valid(last)),
        ([true; 3], [true, true, false])
    );
    assert_eq!(last.latency(Timed::Handshake), None);
    let related = last.to_first.iter().map(|ratio| ratio.metric.measure());
    assert!(related.clone().count() == 3 && related.clone().all(|of| of != Measure::Latency));
}

#[test]
fn a_cause_that_spoils_all_variants_is_said_once() {
    let mut results = busy(&Measure::ALL);
    for variant in &mut results.variants {
        variant.arrivals.late = 61;
    }
    let violations: Vec<String> = results
        .violations()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        violations,
        [
            "305 of 2700 operations (11 %) started more than 1 ms late; the limit is 1 %. Stop other programs, lower \
             load.stages.rate, or claim bytes and CPU only: claims = [\"bytes\", \"cpu\"] in [scenario]"
        ]
    );
}

#[test]
fn no_claim_is_advised_away_where_more_than_latencies_is_wrong() {
    let mut results = busy(&Measure::ALL);
    results.run.interrupted = true;
    let violations = results.violations();
    let late = violations.iter().map(ToString::to_string);
    let [late] = &late.filter(|of| of.contains("late")).collect::<Vec<_>>()[..] else {
        panic!("{violations:?}");
    };
    assert!(
        late.ends_with("Stop other programs or lower load.stages.rate"),
        "{late}"
    );
}

#[test]
fn one_or_two_late_operations_of_a_short_run_spoil_nothing() {
    let judged = |late: u64, attempts: u64| {
        let load = ClientTotals {
            late,
            attempts,
            ..ClientTotals::default()
        };
        let arrivals = VariantArrivals::of(&load, &Judged::ByLateness(1.0));
        assert_eq!(arrivals.late, late, "is counted all the same");
        arrivals.is_valid(Measure::Latency)
    };
    assert!(judged(1, 66) && judged(2, 66), "chance");
    assert!(!judged(3, 66), "over the limit, and no chance");
    assert!(
        judged(3, 300) && !judged(4, 300),
        "the limit is the share's"
    );
}

#[test]
fn the_verdict_is_the_worst_that_was_found() {
    let mut results = quick();
    let outcome = |results: &Results| {
        let verdict = results.judge();
        assert_eq!(verdict.passed, verdict.outcome == Outcome::Passed);
        verdict.outcome
    };
    assert_eq!(outcome(&results), Outcome::Passed);
    results.expect.fallback = vec![Fallback {
        variant: "mtc-landmark".to_owned(),
        min_share: 0.5,
        max_share: 1.0,
    }];
    assert_eq!(outcome(&results), Outcome::ExpectationFailed);
    results.thresholds = sample::thresholds();
    assert_eq!(outcome(&results), Outcome::ThresholdBroken);
    results.run.interrupted = true;
    assert_eq!(outcome(&results), Outcome::Invalid);
}

// A broken threshold was said to have passed.
#[test]
fn files_of_older_versions_are_judged_when_they_are_read() {
    let mut results = quick();
    results.thresholds = sample::thresholds();
    let mut older: serde_json::Value = serde_json::from_str(&results.to_json()).unwrap();
    older["verdict"].as_object_mut().unwrap().remove("outcome");
    older["run"].as_object_mut().unwrap().remove("claims");
    let read = Results::from_json(&older.to_string()).unwrap();
    assert_eq!(read.verdict.outcome, Outcome::ThresholdBroken);
    assert!(!read.verdict.passed);
    assert_eq!(read.run.claims, Measure::ALL);
}

#[test]
fn late_variants_in_files_of_older_versions_have_valid_bytes() {
    let results = busy(&Measure::ALL);
    let mut older: serde_json::Value = serde_json::from_str(&results.to_json()).unwrap();
    older["verdict"].as_object_mut().unwrap().remove("outcome");
    for variant in older["variants"].as_array_mut().unwrap() {
        variant["arrivals"]
            .as_object_mut()
            .unwrap()
            .remove("invalid_measures");
    }
    let valid = |older: &serde_json::Value| {
        let read = Results::from_json(&older.to_string()).unwrap();
        Measure::ALL.map(|measure| read.variants[4].is_valid(measure))
    };
    assert_eq!(valid(&older), [true, true, false]);
    older["run"]["clock_steps"] = serde_json::json!([{ "at_s": 12.0, "by_s": 3600.0 }]);
    assert_eq!(valid(&older), [false; 3]);
}

#[test]
fn lowered_rates_are_warned_of_with_their_reason() {
    let mut results = quick();
    let mut preflight = Preflight {
        wakes: 500,
        late: 0,
        p99_ms: 0.1,
        max_lateness_ms: 1.0,
        busy: Some(0.5),
        rate_factor: 1.0,
    };
    results.run.preflight = Some(preflight);
    assert_eq!(results.judge().warnings, Vec::<String>::new());
    preflight.rate_factor = 0.5;
    results.run.preflight = Some(preflight);
    let warnings = results.judge().warnings;
    assert!(
        warnings[0].starts_with("before the run 0 of 500 wake-ups (0.0 %) started")
            && warnings[0].ends_with("the rates are lowered to 50 % of the scenario's"),
        "{warnings:?}"
    );
}

#[test]
fn the_short_form_is_named_as_what_loosened_the_limit() {
    let mut results = quick();
    results.generator.max_lateness_ms = 10_000.0;
    results.run.shortened = true;
    let warnings = results.judge().warnings;
    assert!(
        warnings.contains(
            &"operations count as late only beyond 10000 ms, as --short wants: latencies may be the generator's".to_owned()
        ),
        "{warnings:?}"
    );
}

// A closed loop of 64 workers was said to be late, though it has no times to be late for.
#[test]
fn a_closed_loop_is_judged_by_what_the_generator_took_of_the_machine() {
    let of = |busy| {
        let used = GeneratorUse {
            cpu: Duration::from_millis(busy),
            wall: Duration::from_secs(1),
        };
        let totals = ClientTotals {
            attempts: 1000,
            late: 900,
            ..ClientTotals::default()
        };
        VariantArrivals::of(&totals, &Judged::by_use(&used, 1, 1000, 2))
    };
    assert_eq!((of(1500).late, of(1500).invalid), (0, None));
    assert_eq!(
        of(1600).invalid.as_deref(),
        Some(
            "the load generator kept 1.60 of 2 processors busy (80 %), 1600 µs of its CPU time per operation; the limit is 75 %, so that \
             the servers and not the generator limit a closed loop"
        )
    );
}

#[test]
fn latencies_are_invalid_when_more_than_a_hundredth_of_operations_was_late() {
    let arrivals = |late| {
        let totals = ClientTotals {
            attempts: 1000,
            late,
            ..ClientTotals::default()
        };
        VariantArrivals::of(&totals, &Judged::ByLateness(1.0))
    };
    assert_eq!(arrivals(10).invalid, None);
    assert_eq!(
        arrivals(11).invalid.as_deref(),
        Some("11 of 1000 operations (1.1 %) started more than 1 ms late; the limit is 1 %")
    );
}

#[test]
fn reused_connections_need_no_handshake_in_the_measured_part() {
    let mut results = quick();
    results.variants[0].totals = NfTotals::default();
    assert_eq!(results.violations().len(), 2);
    results.run.connections = Some(Connections::Reused(1000));
    assert_eq!(results.violations(), []);
}

#[test]
fn every_variant_but_the_first_is_related_to_it_with_intervals() {
    let results = quick();
    assert_eq!(results.variants[0].to_first, []);
    for variant in &results.variants[1..] {
        for metric in Metric::ALL {
            let ratio = variant.ratio(metric).expect("a ratio for each metric");
            assert!(
                ratio.low <= ratio.ratio && ratio.ratio <= ratio.high,
                "{ratio:?}"
            );
        }
    }
    let bytes = results.variants[4].ratio(Metric::Bytes).unwrap();
    assert!((3.40..3.42).contains(&bytes.ratio), "{bytes:?}");
}

#[test]
fn slices_and_whole_count_the_same() {
    for variant in quick().variants {
        let of = |of: fn(&Slice) -> u64| variant.slices.iter().map(of).sum::<u64>();
        assert_eq!(of(|slice| slice.operation.count()), variant.ok);
        assert_eq!(
            of(|slice| slice.handshake.count()),
            variant.histograms.handshake.count()
        );
        assert_eq!(
            of(|slice| slice.client.handshakes),
            variant.totals.client.handshakes
        );
        assert_eq!(
            of(|slice| slice.server.trusted_subtree),
            variant.totals.server.detail.verification.trusted_subtree
        );
    }
}
