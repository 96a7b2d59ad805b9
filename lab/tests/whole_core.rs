//! Whole runs of a scenario through the built command: a core starts, enrols, is loaded, is measured and is gone.

use std::path::Path;

use experiment::results::{Latency, Results, VariantResult};
use experiment::scenario::Scenario;
use lab::load::Schedule;
use tempfile::TempDir;

use test_support::command::{Started, mtc5g};
use test_support::run::{Run, passing};

/// The lab and the variants of the shipped scenario, which is what README tells strangers to run.
const QUICK: &str = include_str!("../../scenarios/quick.toml");
/// Sums of both sides' bytes that mtc-landmark may have at most, as shares of two X.509 variants.
const BYTES_AT_MOST: [(&str, f64); 2] = [("x509-mldsa65-direct", 0.75), ("x509-mldsa65", 0.50)];

/// The shipped scenario with a load of a few seconds.
fn short(operation: &str) -> String {
    let (before_load, _) = QUICK.split_once("[load]").expect("quick.toml has a load");
    format!(
        "{before_load}[load]\noperation = \"{operation}\"\nwarmup = \"1s\"\n\
         stages = [{{ rate = 15.0, duration = \"2s\" }}]\nmax_lateness = \"60s\"\n"
    )
}

/// Variants that differ in what `quick.toml` does not vary.
const UNUSUAL: &str = r#"
[scenario]
name = "unusual"
[lab]
amf = 1
smf = 1
landmark_interval = "1s"
[[variant]]
name = "chain-of-two"
auth = "x509"
chain = 2
leaf_key = "ml-dsa-87"
ca_signature = "ml-dsa-44"
key_exchange = "SecP256r1MLKEM768"
[[variant]]
name = "standalone"
auth = "mtc-standalone"
token = "ml-dsa-65"
[[variant]]
name = "standalone-ca"
auth = "mtc-standalone"
cosigners = ["ca"]
[[variant]]
name = "stale"
auth = "mtc-landmark"
landmarks = "stale"
token = "ml-dsa-44"
[load]
operation = "session"
warmup = "1s"
stages = [{ rate = 8, duration = "2s" }]
max_lateness = "60s"
"#;

/// Recorded arrivals by variant, as the schedule alone decides them.
fn planned(scenario: &Scenario) -> Vec<u64> {
    let variants = scenario.variants.len();
    let mut planned = vec![0; variants];
    let schedule = Schedule::new(
        &scenario.load,
        variants,
        scenario.lab.amf.into(),
        scenario.seed,
    );
    for arrival in schedule.filter(|arrival| !arrival.warmup) {
        planned[arrival.variant] += 1;
    }
    planned
}

/// Runs a scenario and checks what every good run has.
async fn run(text: &str) -> (TempDir, Results) {
    let Run {
        folder,
        out,
        ended,
        results,
    } = passing(text, &["--json"]).await;
    let written = std::fs::read_to_string(out.join("results.json")).expect("results are written");
    assert_eq!(ended.stdout, written, "--json prints results.json");
    assert_eq!(results.scenario, text);
    for report in ["report.html", "summary.md"] {
        let report = std::fs::read_to_string(out.join(report)).expect("reports are written");
        assert!(report.contains(&results.variants[0].name), "{report}");
    }
    for variant in &results.variants {
        let [client, server] = [&variant.handshake.client, &variant.handshake.server];
        assert_eq!(
            client.verification.verified, server.verification.verified,
            "{}: both sides count the same handshakes",
            variant.name
        );
        let totals = &variant.totals;
        assert_eq!(totals.client.handshakes, totals.server.handshakes);
    }
    assert!(
        results.issuance.before.certificates > 0,
        "the MTCA issued before the load"
    );
    redraw(&out).await;
    assert!(
        !out.join("lab").exists(),
        "the lab's keys are gone without --keep"
    );
    (folder, results)
}

/// The servers' counters were read after the load had begun, and before its last handshake had ended there: three of four such runs
/// said that nothing was measured on the server side.
#[tokio::test]
async fn one_arrival_without_a_warm_up_is_measured_on_both_sides() {
    let (before_load, _) = UNUSUAL.split_once("[load]").expect("a load");
    let (lab, _) = before_load.split_once("[[variant]]").expect("a variant");
    let text = format!(
        "{lab}[[variant]]\nname = \"one\"\nauth = \"mtc-landmark\"\n[load]\noperation = \"handshake\"\nwarmup = \"0s\"\n\
         stages = [{{ rate = 1.0, duration = \"1s\" }}]\nmax_lateness = \"60s\"\n"
    );
    let (_folder, results) = run(&text).await;
    let one = &results.variants[0];
    assert_eq!(one.ok, 1);
    // Its own, that of the AMF's connection for looking up SMFs, which its first operation opens, and that of the connection on
    // which the AMF gets an access token for it.
    let totals = &one.totals;
    assert_eq!((totals.client.handshakes, totals.server.handshakes), (3, 3));
}

/// The IDs of the traces that begin with an operation of the load generator, in the order of its log.
fn traces(log: &str) -> Vec<&str> {
    let of_operation = log.split("operation{trace_id=").skip(1);
    of_operation.filter_map(|rest| rest.get(..32)).collect()
}

#[tokio::test]
async fn a_session_is_one_trace_in_the_logs_of_all_that_it_reaches() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (file, out) = (
        folder.path().join("scenario.toml"),
        folder.path().join("out"),
    );
    std::fs::write(&file, UNUSUAL).expect("scenario is written");
    let run = Started::with(
        [
            "run".as_ref(),
            file.as_os_str(),
            "--out".as_ref(),
            out.as_os_str(),
            "--keep".as_ref(),
        ],
        [("RUST_LOG", "info,sbi::trace=debug".as_ref())],
    );
    let ended = run.end().await;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let log =
        |nf: &str| std::fs::read_to_string(out.join(format!("lab/logs/{nf}.log"))).expect("a log");
    let [amf, smf, nrf] = ["amf", "smf", "nrf"].map(log);
    let whole = traces(&amf).into_iter().find(|id| {
        let answered = |log: &str, operation: &str| {
            log.lines()
                .any(|line| line.contains(id) && line.contains(operation))
        };
        answered(&nrf, "NFDiscover")
            && answered(&smf, "CreateSMContext")
            && answered(&amf, "N1N2MessageTransfer")
    });
    assert!(
        whole.is_some(),
        "no trace goes from AMF to NRF, to SMF and back:\n{amf}"
    );
}

/// The report can be drawn again from the results alone, and figures taken from them.
async fn redraw(out: &Path) {
    let read = |name: &str| std::fs::read_to_string(out.join(name)).expect("it was written");
    let (results, again) = (out.join("results.json"), out.join("again.html"));
    let output = "--output".as_ref();
    let drawn = mtc5g([
        "report".as_ref(),
        "html".as_ref(),
        results.as_os_str(),
        output,
        again.as_os_str(),
    ])
    .await;
    assert_eq!(drawn.code(), Some(0), "{}", drawn.stderr);
    assert_eq!(read("again.html"), read("report.html"));
    let table = ["report".as_ref(), "table".as_ref(), results.as_os_str()];
    let printed = mtc5g(table).await;
    assert!(printed.stdout.contains("to the first"), "{printed:?}");
    let printed = mtc5g([&table[..], &["--json".as_ref()]].concat()).await;
    assert_eq!(printed.stdout, read("results.json"));
    assert_eq!(printed.stderr, "", "a log holds the results alone");
    let plotted = mtc5g([
        "plot".as_ref(),
        results.as_os_str(),
        "--figure".as_ref(),
        "bytes".as_ref(),
    ])
    .await;
    assert!(plotted.stdout.starts_with("<svg "), "{}", plotted.stderr);
}

fn check_variants(text: &str, results: &Results) {
    let scenario = Scenario::parse(text).expect("scenario is valid");
    let attempts: Vec<u64> = results
        .variants
        .iter()
        .map(|variant| variant.attempts)
        .collect();
    assert_eq!(
        attempts,
        planned(&scenario),
        "the seed decides the arrivals"
    );
    for variant in &results.variants {
        let name = &variant.name;
        assert!(
            variant.ok > 0 && variant.ok == variant.attempts,
            "{name}: {variant:?}"
        );
        assert!(variant.errors.is_empty(), "{name}: {:?}", variant.errors);
        assert!(
            variant.credential_kinds.of(variant.auth) >= variant.ok,
            "{name}"
        );
        assert_eq!(
            variant.credential_kinds.other_than(variant.auth),
            [],
            "{name}"
        );
        assert!(
            variant.handshake_ms.is_some() && variant.operation_ms.is_some(),
            "{name}"
        );
        assert!(
            variant.cpu_us_client > Some(0.0) && variant.cpu_us_server > Some(0.0),
            "{name}"
        );
        assert!(variant.verify_us > Some(0.0), "{name}");
    }
}

/// Every handshake is timed on both sides, and every connection that is asked something has a first answer.
fn check_times(results: &Results, asked: bool) {
    for variant in &results.variants {
        let name = &variant.name;
        let (histograms, totals) = (&variant.histograms, &variant.totals);
        for (side, result) in [
            (&totals.client, &variant.handshake.client),
            (&totals.server, &variant.handshake.server),
        ] {
            let timed = side.detail.elapsed.buckets().map(|(_, count)| count);
            assert_eq!(timed.sum::<u64>(), side.handshakes, "{name}");
            assert!(result.handshake_ms.is_some(), "{name}");
        }
        let answered = histograms.first_answer.count();
        let expected = if asked {
            histograms.handshake.count()
        } else {
            0
        };
        assert_eq!(answered, expected, "{name}");
        // An answer is never before its connection's handshake is complete.
        let median = |latency: Option<Latency>| latency.map(|latency| latency.p50);
        let first_answer = median(variant.first_answer_ms);
        assert_eq!(first_answer.is_some(), asked, "{name}");
        assert!(
            first_answer.is_none() || first_answer > median(variant.handshake_ms),
            "{name}"
        );
    }
}

fn check_bytes(results: &Results) {
    let bytes = |name: &str| {
        let variant = results.variants.iter().find(|variant| variant.name == name);
        variant
            .and_then(VariantResult::bytes)
            .expect("the variant has handshakes")
    };
    for (rival, share) in BYTES_AT_MOST {
        let (landmark, rival_bytes) = (bytes("mtc-landmark"), bytes(rival));
        assert!(
            landmark <= share * rival_bytes,
            "mtc-landmark {landmark} bytes, {rival} {rival_bytes}"
        );
    }
}

/// Each request that needs one had an access token of the variant's kind, and no producer verified one twice.
fn check_tokens(results: &Results) {
    for variant in &results.variants {
        let tokens = variant.tokens.as_ref().expect("tokens are used");
        let (least, most) = match variant.options.token.as_deref() {
            None => (300.0, 600.0),
            Some("ml-dsa-44") => (3400.0, 3900.0),
            Some(_) => (4600.0, 5100.0),
        };
        let bytes = tokens.bytes.expect("a mean");
        assert!((least..most).contains(&bytes), "{}: {bytes}", variant.name);
        // To the SMF create, modify and release, to the NRF discovery, to the AMF the transfer.
        assert_eq!(tokens.requests, 5 * variant.ok, "{}", variant.name);
        assert_eq!(
            (tokens.refused, tokens.verified),
            (0, 0),
            "{}",
            variant.name
        );
    }
}

#[tokio::test]
async fn sessions_run_in_every_variant_and_landmarks_save_the_promised_bytes() {
    let text = short("session");
    let (_folder, results) = run(&text).await;
    assert_eq!(results.variants.len(), 6);
    check_variants(&text, &results);
    check_times(&results, true);
    check_bytes(&results);
}

#[tokio::test]
async fn handshakes_run_in_every_variant_and_landmarks_save_the_promised_bytes() {
    let text = short("handshake");
    let (_folder, results) = run(&text).await;
    check_variants(&text, &results);
    check_times(&results, false);
    check_bytes(&results);
}

/// The run is longer than a certificate lives, so what was shown at its end was issued after its beginning.
#[tokio::test]
async fn certificates_are_renewed_before_they_expire() {
    let text = r#"
[scenario]
name = "renewal"
[lab]
amf = 1
smf = 1
certificate_lifetime = "20s" # a quarter of it is left for renewal, beside the other tests
landmark_interval = "1s"
[[variant]]
name = "x509"
auth = "x509"
leaf_key = "ed25519"
[[variant]]
name = "standalone"
auth = "mtc-standalone"
[load]
operation = "session"
warmup = "1s"
stages = [{ rate = 10.0, duration = "23s" }]
max_lateness = "60s" # other processes share this machine: what is tested is not when operations start
"#;
    let (_folder, results) = run(text).await;
    check_variants(text, &results);
}

#[tokio::test]
async fn chains_groups_cosigners_and_stale_landmarks_are_what_the_scenario_says() {
    let (_folder, results) = run(UNUSUAL).await;
    check_tokens(&results);
    let bytes = |name: &str| {
        let variant = results.variants.iter().find(|of| of.name == name);
        variant.and_then(VariantResult::bytes).expect("measured")
    };
    let stale = &results.variants[3];
    let standalone = stale.credential_kinds.mtc_standalone;
    assert!(standalone > 0);
    assert_eq!(stale.credential_kinds.mtc_landmark, 0);
    // One cosignature of ML-DSA-44 less, 2420 bytes, on both sides.
    assert!(bytes("standalone") - bytes("standalone-ca") > 2.0 * 2400.0);
    // The fallback is the standalone certificate; what the client says that it knows is a few bytes longer.
    assert!((bytes("stale") - bytes("standalone")).abs() < 40.0);
    // Two intermediates more than a leaf of these sizes, on both sides.
    assert!(bytes("chain-of-two") > 2.0 * (3.0 * 2420.0 + 2592.0 + 2.0 * 1312.0 + 4627.0));
}
