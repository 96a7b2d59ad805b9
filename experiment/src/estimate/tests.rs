use proptest::prelude::*;

use super::*;
use crate::results::Results;
use crate::scenario::{Scenario, Shipped};

/// Runs that were published, of five scenarios and two machines.
const RUNS: [&str; 4] = [
    include_str!("../../../docs/results/quick/results.json"),
    include_str!("../../../docs/results/article/results.json"),
    include_str!("../../../docs/results/procedures/results.json"),
    include_str!("../../../docs/results/procedure-tokens/results.json"),
];

fn runs() -> Vec<Results> {
    RUNS.map(|text| Results::from_json(text).expect("results were published"))
        .into()
}

fn variants() -> Vec<Variant> {
    let quick = Shipped::named("quick").expect("it is one").text;
    Scenario::parse(quick).expect("a scenario").variants
}

fn estimate(estate: &Estate) -> Estimate {
    estate.check().expect("an estate");
    Estimate::of(estate, &variants(), &Costs::published(), None)
}

#[test]
fn the_model_holds_against_every_published_run() {
    for run in runs() {
        let against = Against::of(&run, &Costs::published()).unwrap();
        assert!(against.holds(), "{}", against.table());
        assert_eq!(
            against.variants.len(),
            run.variants.len(),
            "{}",
            run.run.name
        );
    }
}

#[test]
fn a_variant_is_predicted_from_the_others_of_its_run() {
    for run in runs() {
        for (number, left_out) in run.variants.iter().enumerate() {
            let mut others = run.variants.clone();
            others.remove(number);
            let costs = Costs::of_variants(&others, &Costs::published()).unwrap();
            let (counts, measured) = fit::measured_whole(left_out).unwrap();
            let off = costs.sum(&counts) / measured - 1.0;
            assert!(
                off.abs() <= TOLERATED_CPU,
                "{} {}: {off:+.3}",
                run.run.name,
                left_out.name
            );
        }
    }
}

#[test]
fn a_run_on_another_machine_is_predicted_from_a_run_there() {
    let [_, _, procedures, tokens] = &runs()[..] else {
        unreachable!("there are four");
    };
    let costs = Costs::of_run(tokens, &Costs::published()).unwrap();
    for variant in &procedures.variants {
        let (counts, measured) = fit::measured_whole(variant).unwrap();
        let off = costs.sum(&counts) / measured - 1.0;
        assert!(off.abs() <= TOLERATED_CPU, "{}: {off:+.3}", variant.name);
    }
}

#[test]
fn the_costs_that_come_with_the_command_are_those_of_the_published_run() {
    let published = Costs::published();
    let article = &runs()[1];
    assert!(
        published
            .origin
            .contains(&article.run.started.date().to_string())
    );
    for variant in &article.variants {
        let (counts, measured) = fit::measured_whole(variant).unwrap();
        let off = published.sum(&counts) / measured - 1.0;
        assert!(off.abs() <= 0.03, "{}: {off:+.3}", variant.name);
    }
}

#[test]
fn a_bench_of_some_handshakes_predicts_another() {
    use mtc_tls::key::{Intermediates, KeyAlgorithm, X509Profile, X509Revocation};
    let x509 = TrustDomain::X509(X509Profile {
        ca_signature: KeyAlgorithm::MlDsa65,
        intermediates: Intermediates::One,
        revocation: X509Revocation::None,
    });
    // A machine of half the published speed, in which P-256 is faster than elsewhere.
    let bench = |domain, leaf_key, bytes, cpu_us, verify_us| BenchHandshake {
        domain,
        leaf_key,
        bytes,
        cpu_us,
        verify_us,
    };
    let measured = [
        bench(x509, KeyAlgorithm::MlDsa65, 32_125.0, 3_700.0, 300.0),
        bench(
            TrustDomain::MtcLandmark,
            KeyAlgorithm::MlDsa65,
            14_931.0,
            2_900.0,
            36.0,
        ),
    ];
    let origin = "a bench".to_owned();
    let costs = Costs::of_bench(origin, &measured, &Costs::published()).unwrap();
    assert_eq!(costs.origin, "a bench");
    let ratio = |costs: &Costs| {
        let proofs = Proofs {
            standalone_hashes: 1.0,
            landmark_hashes: 11.0,
            witnesses: 1.0,
        };
        let way = Way::of(&variants()[4]).unwrap();
        costs.cpu_us(way, proofs, Bytes::of(way, proofs))
    };
    let factor = ratio(&costs) / ratio(&Costs::published());
    assert!((1.9..2.1).contains(&factor), "{factor}");
    assert!(Costs::of_bench("none".to_owned(), &[], &Costs::published()).is_none());
}

#[test]
fn a_model_that_is_wrong_does_not_hold() {
    let mut run = runs().remove(0);
    let variant = run.variants.last_mut().unwrap();
    variant.bytes_server = variant.bytes_server.map(|bytes| bytes * 1.2);
    let against = Against::of(&run, &Costs::published()).unwrap();
    assert!(!against.holds());
    assert!(against.table().contains("beyond what is tolerated"));
}

#[test]
fn only_what_does_not_fit_the_initial_window_costs_a_round_trip() {
    let estate = Estate::preset("operator").unwrap();
    let estimate = estimate(&estate);
    let trips = |name: &str| {
        let mut variants = estimate.variants.iter();
        variants
            .find(|variant| variant.name == name)
            .unwrap()
            .round_trips
    };
    assert_eq!(trips("x509-p256"), 2.0);
    assert_eq!(trips("mtc-landmark"), 2.0);
    // 15,983 bytes, of which 14,480 leave at once.
    assert_eq!(trips("x509-mldsa65"), 3.0);
}

#[test]
fn text_and_json_have_every_variant_and_say_what_was_assumed() {
    for (name, _) in PRESETS {
        let estimate = estimate(&Estate::preset(name).unwrap());
        let json = serde_json::to_string(&estimate).unwrap();
        for text in [
            estimate_table(&estimate),
            estimate_markdown(&estimate),
            json,
        ] {
            for variant in variants() {
                assert!(text.contains(&variant.name), "{name}: {text}");
            }
            assert!(
                !text.contains("NaN") && !text.contains("inf"),
                "{name}: {text}"
            );
            assert!(text.contains("docs/results/article"), "{text}");
        }
    }
}

/// What grows where an estate does.
fn totals(estimate: &Estimate) -> Vec<f64> {
    let each = estimate.variants.iter();
    let each = each.flat_map(|of| {
        [
            of.bits_per_second,
            of.processors,
            of.bytes_per_day,
            of.round_trips_per_day,
        ]
    });
    let log = &estimate.log;
    each.chain([
        log.issued_per_second,
        log.entries_per_year,
        log.bytes_per_year,
        log.checkpoints_per_second,
    ])
    .collect()
}

fn any_estate() -> impl Strategy<Value = Estate> {
    let preset = prop::sample::select(PRESETS.map(|(name, _)| name).to_vec());
    let numbers = (
        1_u64..1_000_000_000_000,
        0.0..1e6_f64,
        0.0..100.0_f64,
        0.0..10.0_f64,
    );
    let times = (60_u64..86_400 * 90, 1_u64..86_400, 0_u64..2_000_000_000_000);
    (preset, numbers, times)
        .prop_map(
            |(preset, (count, rate, replaced, witnesses), (lifetime, interval, entries))| {
                let mut estate = Estate::preset(preset).expect("a preset");
                let group = &mut estate.nf[0];
                group.count = count;
                group.handshakes_per_second = Some(rate);
                group.peers = None;
                group.connection_lifetime = None;
                estate.replacements_per_day = replaced;
                estate.witnesses = witnesses;
                estate.certificate_lifetime = std::time::Duration::from_secs(lifetime).into();
                estate.landmark_interval = std::time::Duration::from_secs(interval).into();
                estate.log_entries = entries;
                estate
            },
        )
        .prop_filter("not an estate", |estate| estate.check().is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_figure_of_an_estate_is_a_number(estate in any_estate()) {
        let estimate = estimate(&estate);
        let cadences = estimate.cadences.iter().chain([&estimate.log.now]);
        for cadence in cadences {
            prop_assert!((0.0..=1.0).contains(&cadence.hit_share));
            prop_assert!(cadence.state_bytes > 0.0 && cadence.fetched_bytes_per_day.is_finite());
            prop_assert!(cadence.proof_hashes <= 48.0);
        }
        for total in totals(&estimate) {
            prop_assert!(total.is_finite() && total >= 0.0);
        }
    }

    #[test]
    fn more_of_anything_is_never_cheaper(estate in any_estate(), more in 1_u64..1000) {
        let before = totals(&estimate(&estate));
        let mut larger = estate.clone();
        larger.nf[0].count += more;
        let mut busier = estate;
        busier.nf[0].handshakes_per_second = busier.nf[0].handshakes_per_second.map(|rate| rate + more as f64);
        for changed in [larger, busier] {
            if changed.check().is_err() {
                continue;
            }
            for (after, before) in totals(&estimate(&changed)).into_iter().zip(&before) {
                // A longer log has longer proofs in the mean, and shorter ones by some hashes where its size is a power of two.
                prop_assert!(after >= before * 0.98, "{after} {before}");
            }
        }
    }

    #[test]
    fn more_witnesses_make_standalone_certificates_larger_and_no_others(estate in any_estate()) {
        let mut more = estate.clone();
        more.witnesses += 1.0;
        let [before, after] = [&estate, &more].map(|estate| estimate(estate).variants);
        for (before, after) in before.iter().zip(&after) {
            let grows = match before.name.as_str() {
                "mtc-standalone" => after.bytes() >= before.bytes() + 2.0 * 2426.9,
                // As far as there are misses.
                "mtc-landmark" => after.bytes() >= before.bytes() - 1e-6,
                _ => (after.bytes() - before.bytes()).abs() < 1e-6,
            };
            prop_assert!(grows, "{}", before.name);
        }
    }

    #[test]
    fn rarer_landmarks_never_hit_more_often(estate in any_estate(), longer in 1_u64..86_400) {
        let mut rarer = estate.clone();
        let interval = estate.landmark_interval.seconds() as u64 + longer;
        rarer.landmark_interval = std::time::Duration::from_secs(interval).into();
        prop_assume!(rarer.check().is_ok());
        let [often, rarely] = [&estate, &rarer].map(|estate| LogEstimate::of(estate).now);
        prop_assert!(rarely.hit_share <= often.hit_share);
        prop_assert!(rarely.state_bytes <= often.state_bytes);
    }
}
