//! Several load generators against one lab that is up, through the built command, and what comes of their results.

use std::ffi::OsStr;
use std::path::Path;

use experiment::results::Results;
use experiment::scenario::Scenario;
use lab::load::Schedule;
use lab::topology::targets;
use rustix::process::Signal;

use test_support::command::{Ended, Started, mtc5g, processes_of};
use test_support::ports::eight_ports;
use test_support::run::results_in;

const SCENARIO: &str = r#"
[scenario]
name = "shared"
[lab]
amf = 1
smf = 1
landmark_interval = "1s"
[[variant]]
name = "x509"
auth = "x509"
leaf_key = "ed25519"
ca_signature = "ed25519"
[[variant]]
name = "landmark"
auth = "mtc-landmark"
[load]
operation = "session"
warmup = "1s"
stages = [{ rate = 12, duration = "3s" }]
max_lateness = "60s"
"#;

const EVENT: &str = "[[event]]\nat = \"1s\"\ndo = \"pause-landmarks\"\nnf = \"smf\"\n";
const SWEEP: &str = "[sweep]\nlab.preload = [0, 1000]\n";

fn start(scenario: &Path, lab: &Path, out: &Path, more: &[&str]) -> Started {
    Started::new(arguments(scenario, lab, out, more))
}

/// The same in the pod with this number of a Job.
fn start_in_job(index: u32, scenario: &Path, lab: &Path, out: &Path, more: &[&str]) -> Started {
    let index = index.to_string();
    Started::with(
        arguments(scenario, lab, out, more),
        [("JOB_COMPLETION_INDEX", index.as_ref())],
    )
}

fn arguments<'a>(
    scenario: &'a Path,
    lab: &'a Path,
    out: &'a Path,
    more: &'a [&str],
) -> impl Iterator<Item = &'a OsStr> {
    let arguments = [
        "run".as_ref(),
        scenario.as_os_str(),
        "--lab".as_ref(),
        lab.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ];
    arguments.into_iter().chain(more.iter().map(AsRef::as_ref))
}

async fn run(scenario: &Path, lab: &Path, out: &Path, more: &[&str]) -> Ended {
    start(scenario, lab, out, more).end().await
}

#[tokio::test]
async fn two_generators_of_one_lab_do_the_arrivals_of_one_and_their_results_are_merged() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = |name: &str| folder.path().join(name);
    let (scenario, lab) = (path("shared.toml"), path("lab"));
    std::fs::write(&scenario, SCENARIO).expect("the scenario is written");
    let port = eight_ports().to_string();
    let mut up = Started::new([
        "lab".as_ref(),
        "up".as_ref(),
        "--folder".as_ref(),
        lab.as_os_str(),
        "--port".as_ref(),
        port.as_ref(),
        "--scenario".as_ref(),
        scenario.as_os_str(),
    ]);
    up.prints("Ctrl-C stops it").await;

    let observation = path("observed");
    let mut observer = Started::new([
        "observe".as_ref(),
        "--lab".as_ref(),
        lab.as_os_str(),
        "--for".as_ref(),
        "1h".as_ref(),
        "--out".as_ref(),
        observation.as_os_str(),
    ]);
    observer.says("0 of 3600 s  4 processes answer").await;

    let outs = [path("one"), path("two")];
    // One as a person starts it, the other as an Indexed Job of Kubernetes does.
    let (one, two) = tokio::join!(
        run(&scenario, &lab, &outs[0], &["--shard", "1/2"]),
        start_in_job(1, &scenario, &lab, &outs[1], &["--shard", "job/2"]).end(),
    );
    for ended in [&one, &two] {
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    }
    let parts = [results_in(&outs[0]), results_in(&outs[1])];
    let whole = path("whole");
    let merged = mtc5g([
        "report".as_ref(),
        "merge".as_ref(),
        outs[0].as_os_str(),
        outs[1].as_os_str(),
        "--out".as_ref(),
        whole.as_os_str(),
    ])
    .await;
    assert_eq!(merged.code(), Some(0), "{}", merged.stderr);
    let whole = results_in(&whole);
    assert_eq!(whole.generator.generators, 2);

    let plan = Scenario::parse(SCENARIO).expect("a valid scenario");
    let schedule = Schedule::new(&plan.load, 2, plan.lab.amf.into(), plan.seed);
    let planned = schedule.filter(|arrival| !arrival.warmup).count() as u64;
    let attempts = |results: &Results| results.variants.iter().map(|v| v.attempts).sum::<u64>();
    assert_eq!(attempts(&whole), planned);
    assert_eq!(attempts(&parts[0]) + attempts(&parts[1]), planned);
    for (variant, whole) in whole.variants.iter().enumerate() {
        let counts = |of: &Results| of.variants[variant].histograms.operation.count();
        let sum = counts(&parts[0]) + counts(&parts[1]);
        assert_eq!(whole.histograms.operation.count(), sum);
        assert!(whole.errors.is_empty(), "{:?}", whole.errors);
        assert!(whole.totals.server.handshakes > 0);
    }
    let learners = |results: &Results| -> Vec<(String, u64)> {
        let learning = results.learning.iter();
        learning.map(|of| (of.nf.clone(), of.processes)).collect()
    };
    let of = |amf: u64| [("amf", amf), ("nrf", 1), ("scp", 1), ("smf", 1)];
    let of = |amf| of(amf).map(|(nf, count)| (nf.to_owned(), count));
    assert_eq!(learners(&parts[0]), of(1));
    assert_eq!(learners(&whole), of(2));

    let on_one = "These are the results of load generator 1/2 only";
    let noted = |results: &Results| results.notes.iter().any(|note| note.starts_with(on_one));
    assert!(noted(&parts[0]) && !noted(&whole));

    let said = whole.run.lab.as_ref().expect("the lab was up before");
    let planned = Some(plan.lab.landmark_interval.as_secs());
    assert_eq!(said.landmark_interval_s, planned);
    assert!(said.log_entries > Some(0), "{said:?}");

    observer.signal(Signal::INT);
    let ended = observer.end().await;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let all = Schedule::new(&plan.load, 2, plan.lab.amf.into(), plan.seed).count() as u64;
    is_what_the_run_measured(&results_in(&observation), &whole, all);
    observations_are_results_like_others(&observation, &outs[0]).await;

    announcements(&scenario, &lab, &path("waiting")).await;
    refusals(&scenario, &lab, folder.path()).await;

    up.signal(Signal::INT);
    let ended = up.end().await;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    assert_eq!(processes_of(folder.path()), []);
    assert_eq!(announced(&lab), [""; 0]);

    // The lab is down now.
    let gone = run(&scenario, &lab, &path("gone"), &[]).await;
    assert_eq!(gone.code(), Some(1));
    assert!(
        gone.error().contains("the admin port of nrf at 127.0.0.1:"),
        "{}",
        gone.stderr
    );
    assert!(gone.error().contains("is it up?"), "{}", gone.stderr);
}

/// What an observer without a load has seen of a run, warm-up included: so many sessions.
fn is_what_the_run_measured(observed: &Results, run: &Results, sessions: u64) {
    let is_close = |a: Option<f64>, b: Option<f64>| {
        let ratio = a.zip(b).map(|(a, b)| a / b);
        assert!(
            ratio.is_some_and(|ratio| (ratio - 1.0).abs() < 0.02),
            "{a:?} and {b:?}"
        );
    };
    for (profile, name) in [
        ("x509-ed25519-intermediate/ed25519/X25519MLKEM768", "x509"),
        ("mtc-landmark/ml-dsa-65/X25519MLKEM768", "landmark"),
    ] {
        let of = |results: &Results, name: &str| {
            let found = results.variants.iter().find(|of| of.name == name);
            found.cloned().unwrap_or_else(|| panic!("{name} was used"))
        };
        let (seen, measured) = (of(observed, profile), of(run, name));
        is_close(seen.bytes_client, measured.bytes_client);
        is_close(seen.bytes_server, measured.bytes_server);
        let slices = seen.slices.iter().map(|slice| slice.server.handshakes);
        assert_eq!(slices.sum::<u64>(), seen.totals.server.handshakes);
        assert_eq!((seen.attempts, seen.operation_ms), (0, None));
    }
    let seen = observed.run.observed.as_ref().expect("an observation");
    let created = seen
        .requests
        .iter()
        .find(|of| (of.side.as_str(), of.operation.as_str()) == ("server", "CreateSMContext"));
    assert_eq!(created.expect("sessions").count, sessions, "{seen:?}");
    // In each session the SMF is asked once, and calls back once.
    let smf = seen.processes.iter().find(|of| of.nf == "smf");
    let smf = smf.expect("it was up all the time");
    assert!(smf.server_handshakes >= sessions && smf.client_handshakes >= sessions);
    let by_process = seen.processes.iter().map(|of| of.server_handshakes);
    let by_variant = observed.variants.iter();
    let by_variant = by_variant.map(|of| of.totals.server.handshakes);
    assert_eq!(by_process.sum::<u64>(), by_variant.sum::<u64>());
    let of_lab = seen.processes.iter().filter(|of| of.nf != "load");
    let mut of_lab: Vec<&str> = of_lab.map(|of| of.nf.as_str()).collect();
    of_lab.sort_unstable();
    assert_eq!(of_lab, ["amf", "nrf", "scp", "smf"]);
    let mut learning = observed.learning.iter();
    let smf = learning.find(|of| of.nf == "smf").expect("it looks");
    assert!(smf.unchanged.count > 0 && smf.bytes > 0, "{smf:?}");
    assert!(observed.run.interrupted && observed.verdict.passed);
}

/// Other commands take an observation for what it is.
async fn observations_are_results_like_others(observation: &Path, run: &Path) {
    let [seen, run] = [observation, run].map(|path| path.to_str().expect("text"));
    for (arguments, code, message) in [
        (&["report", "html", seen][..], 0, "wrote"),
        (&["compare", seen, seen], 0, "mtc-landmark"),
        (&["compare", run, seen], 2, "of different scenarios"),
        (
            &["estimate", "--against", seen],
            2,
            "an observation of live processes",
        ),
        (
            &["observe", "127.0.0.1:1"],
            1,
            "no process answers: nf 127.0.0.1:1: cannot connect",
        ),
        (&["observe", "--for", "1ms"], 2, "must be from 1s to 7 days"),
    ] {
        let ended = mtc5g(arguments).await;
        assert_eq!(ended.code(), Some(code), "{arguments:?} {}", ended.stderr);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains(message), "{arguments:?} {said}");
    }
}

/// The kinds of processes that a lab announces to Prometheus.
fn announced(lab: &Path) -> Vec<String> {
    let targets = targets::read(&lab.join(targets::FOLDER)).expect("a folder");
    let mut kinds: Vec<String> = targets.into_iter().map(|(nf, _)| nf).collect();
    kinds.sort_unstable();
    kinds
}

/// A generator is announced as long as it is there.
async fn announcements(scenario: &Path, lab: &Path, out: &Path) {
    let of_lab = ["amf", "nrf", "scp", "smf"];
    assert_eq!(announced(lab), of_lab);
    let mut waiting = start(scenario, lab, out, &["--start-at", "2100-01-01T00:00:00Z"]);
    waiting.says("ready; waiting for").await;
    assert_eq!(announced(lab), ["amf", "load", "nrf", "scp", "smf"]);
    waiting.signal(Signal::INT);
    let ended = waiting.end().await;
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert_eq!(announced(lab), of_lab);
}

/// What a lab that is up cannot be used for, or not so.
async fn refusals(scenario: &Path, lab: &Path, folder: &Path) {
    let with = |name: &str, more: &str| {
        let path = folder.join(name);
        std::fs::write(&path, format!("{SCENARIO}{more}")).expect("the scenario is written");
        path
    };
    let (event, sweep) = (with("event.toml", EVENT), with("sweep.toml", SWEEP));
    let other = folder.join("other.toml");
    std::fs::write(&other, SCENARIO.replace("\"ed25519\"", "\"ecdsa-p256\"")).expect("written");
    for (file, more, code, message) in [
        (&*event, &[][..], 1, "[[event]] needs a lab of its own"),
        (&*sweep, &[], 2, "[sweep] starts a lab for each run"),
        (&*other, &[], 1, "mtc5g lab up --scenario FILE"),
        (scenario, &["--shard", "3/2"], 2, "\"3/2\" is not a shard"),
        (scenario, &["--shard", "job/2"], 2, "$JOB_COMPLETION_INDEX"),
        (
            scenario,
            &["--start-at", "tomorrow"],
            2,
            "not a time such as",
        ),
        (
            scenario,
            &["--start-at", "2026-01-01T00:00:00Z"],
            1,
            "after the time of --start-at",
        ),
    ] {
        let ended = run(file, lab, &folder.join("refused"), more).await;
        assert_eq!(ended.code(), Some(code), "{message}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(message),
            "{message}: {}",
            ended.stderr
        );
        // What can be known at once is not told after the second of the pre-flight.
        let is_late = ended.stderr.contains("how punctual this machine is");
        assert_eq!(is_late, message.ends_with("--start-at"), "{}", ended.stderr);
        let _ = std::fs::remove_dir_all(folder.join("refused"));
    }
    let url = "http://127.0.0.1:1/lab/lab.toml";
    for (arguments, code, message) in [
        (&["--shard", "1/2"][..], 2, "--lab"),
        (&["--tokens", "."], 2, "--lab"),
        (
            &["--lab", url],
            2,
            "give a folder of them with --tokens DIR",
        ),
        (
            &["--lab", url, "--tokens", "."],
            1,
            "cannot connect to 127.0.0.1:1",
        ),
        (&["--lab", "nrf1:7778"], 1, "a URL that begins with http://"),
    ] {
        let out = folder.join("refused");
        let out = out.to_str().expect("temporary folders are text");
        let refused = mtc5g([&["run", "quick", "--out", out], arguments].concat()).await;
        assert_eq!(refused.code(), Some(code), "{}", refused.stderr);
        assert!(refused.stderr.contains(message), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn parts_that_do_not_make_a_whole_are_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let out = folder.path().join("out");
    let none = mtc5g([
        "report".as_ref(),
        "merge".as_ref(),
        folder.path().as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ])
    .await;
    assert_eq!(none.code(), Some(2));
    // It named the missing file alone.
    for part in ["is no shard of a run", "part.json", "--shard I/N"] {
        assert!(none.error().contains(part), "{}", none.stderr);
    }
    assert!(!out.exists());
}
