//! A load that no machine bears: the run says that it is no measurement, in every output and by its exit status.

use std::path::Path;

use experiment::results::Outcome;
use experiment::scenario::Measure;

use test_support::command::{Ended, mtc5g};
use test_support::run::results_in;

/// A hundred thousand handshakes a second, of which eight may be under way.
const OVERLOADED: &str = r#"
[lab]
amf = 1
smf = 1
landmark_interval = "1s"
[[variant]]
name = "mtc-landmark"
auth = "mtc-landmark"
[load]
operation = "handshake"
warmup = "1s"
stages = [{ rate = 100000, duration = "2s" }]
max_in_flight = 8
"#;

/// The folder of its results.
const OUT: &str = "out";

/// Runs it with what else a scenario says.
async fn run(folder: &Path, head: &str, rest: &str) -> Ended {
    let file = folder.join("overloaded.toml");
    let text = format!("[scenario]\nname = \"overloaded\"\n{head}{OVERLOADED}{rest}");
    std::fs::write(&file, text).expect("the scenario is written");
    let out = folder.join(OUT);
    let arguments = [
        "run".as_ref(),
        file.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ];
    mtc5g(arguments).await
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(OUT).join(name)).expect("it is written")
}

/// Keeps half of the processors busy until it is dropped.
struct Spinning(Vec<std::process::Child>);

impl Spinning {
    fn start() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let spin = |_| {
            let spin = std::process::Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .spawn();
            spin.expect("there is a shell")
        };
        Self((0..processors.div_ceil(2)).map(spin).collect())
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may be gone already; then there is nothing to do.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test]
async fn an_overloaded_run_is_invalid_in_every_output() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    let broken = "[thresholds]\nbytes = 'bytes(\"mtc-landmark\") < 1'\n";
    let ended = run(folder, "", broken).await;
    // Not 3, though the threshold is broken: an invalid measurement breaks none.
    assert_eq!(ended.code(), Some(4), "{}", ended.stderr);
    let results = results_in(&folder.join(OUT));
    assert!(!results.verdict.passed);
    let dropped = &results.variants[0].dropped;
    assert!(*dropped > 100_000, "{dropped}");
    let violation = results.verdict.violations.iter();
    let violation = violation.filter(|violation| violation.contains("arrivals were dropped"));
    let [violation] = *violation.collect::<Vec<_>>() else {
        panic!("{:?}", results.verdict);
    };
    assert!(
        ended.stdout.contains("arrivals were dropped"),
        "{}",
        ended.stdout
    );
    // Markdown escapes what follows.
    let (violation, _) = violation.split_once(" because").expect("it says why");
    for (name, text) in [
        ("summary.md", read(folder, "summary.md")),
        ("report.html", read(folder, "report.html")),
    ] {
        assert!(text.contains(violation), "{name} does not say: {violation}");
    }
}

#[tokio::test]
async fn on_a_machine_kept_busy_bytes_and_cpu_are_valid_and_latencies_are_left_out() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    let spinning = Spinning::start();
    let claims = "claims = [\"bytes\", \"cpu\"]\n";
    // What cannot be started of a hundred thousand is dropped, and what is started is late.
    let ended = run(folder, claims, "[expect]\nmax_dropped_ratio = 1.0\n").await;
    drop(spinning);
    assert_eq!(ended.code(), Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(
        ended.stderr.contains("warning: this machine is busy: "),
        "{}",
        ended.stderr
    );
    let results = results_in(&folder.join(OUT));
    assert_eq!(
        results.verdict.outcome,
        Outcome::Passed,
        "{:?}",
        results.verdict
    );
    assert_eq!(results.verdict.invalid_measures, [Measure::Latency]);
    let variant = &results.variants[0];
    assert!(
        variant.bytes().is_some()
            && variant.is_valid(Measure::Cpu)
            && !variant.is_valid(Measure::Latency)
    );
    let warnings = results.verdict.warnings.iter();
    let late: Vec<_> = warnings
        .filter(|of| of.contains("started more than 1 ms late"))
        .collect();
    let [late] = *late else {
        panic!("{:?}", results.verdict);
    };
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let table = words(&ended.stdout);
    assert_eq!(table.matches(late.as_str()).count(), 1, "{table}");
    assert!(
        table.contains("mtc-landmark ! ") && table.contains(" ! ! ! ! ! ! "),
        "{table}"
    );
    let page = read(folder, "report.html");
    assert!(page.contains("latencies not valid") && !page.contains("id=\"handshake-title\""));
    assert!(read(folder, "summary.md").contains("**(latencies not valid)**"));
}
