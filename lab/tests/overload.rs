//! A load that no machine bears: the run says that it is no measurement, in every output and by its exit status.

#[expect(dead_code, reason = "shared with tests that need more of it")]
#[path = "support/command.rs"]
mod command;

use experiment::results::Results;

use command::mtc5g;

/// A hundred thousand handshakes a second, of which eight may be under way.
const OVERLOADED: &str = r#"
[scenario]
name = "overloaded"
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
[thresholds]
bytes = 'bytes("mtc-landmark") < 1'
"#;

#[tokio::test]
async fn an_overloaded_run_is_invalid_in_every_output() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (file, out) = (
        folder.path().join("overloaded.toml"),
        folder.path().join("out"),
    );
    std::fs::write(&file, OVERLOADED).expect("the scenario is written");
    let ended = mtc5g([
        "run".as_ref(),
        file.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ])
    .await;
    // Not 3, though the threshold is broken: an invalid measurement breaks none.
    assert_eq!(ended.code(), Some(4), "{}", ended.stderr);
    let read = |name: &str| std::fs::read_to_string(out.join(name)).expect("it is written");
    let results = Results::from_json(&read("results.json")).expect("results are readable");
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
        ("summary.md", read("summary.md")),
        ("report.html", read("report.html")),
    ] {
        assert!(text.contains(violation), "{name} does not say: {violation}");
    }
}
