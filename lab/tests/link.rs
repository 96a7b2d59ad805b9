//! Runs over emulated links: what a large flight costs there, and what happens where links cannot be made.

use std::io::{Write, stderr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use test_support::command::{binary, mtc5g, within};
use test_support::run::results_in;

const RTT_MS: f64 = 20.0;
/// The server's flight of the first variant is above ten segments of 1,448 octets, that of the second far below.
const SCENARIO: &str = r#"
[scenario]
name = "cliff"
[lab]
amf = 1
smf = 1
landmark_interval = "1s"
[[variant]]
name = "x509"
auth = "x509"
chain = 1
[[variant]]
name = "landmark"
auth = "mtc-landmark"
[load]
operation = "handshake"
warmup = "1s"
stages = [{ rate = 10, duration = "6s" }]
[link]
rtt = "20ms"
"#;
/// User and group that own nothing.
const NOBODY: u32 = 65_534;

#[tokio::test]
async fn a_flight_above_the_initial_window_costs_a_round_trip() {
    let folder = TempDir::new().expect("a folder");
    let scenario = write(folder.path(), SCENARIO);
    let out = folder.path().join("out");
    let ended = mtc5g(["run", &scenario, "--out", &out.display().to_string()]).await;
    if ended.code() == Some(1) && ended.error().contains("[link] needs") {
        skip(
            "a_flight_above_the_initial_window_costs_a_round_trip",
            ended.error(),
        );
        return;
    }
    // A machine that is busy with other tests makes the generator late, which is no matter here.
    assert!(matches!(ended.code(), Some(0 | 4)), "{ended:?}");
    let results = results_in(&out);
    let [x509, landmark] = &results.variants[..] else {
        panic!("two variants");
    };
    assert!(results.variants.iter().all(|variant| variant.failed() == 0));
    let link = results.link.as_ref().expect("a link");
    assert_eq!(link.initial_window(), 14_480);
    assert!(
        x509.bytes_server > Some(14_480.0),
        "{:?}",
        x509.bytes_server
    );
    assert!(landmark.bytes_server < Some(14_480.0));
    // Medians, with margins for a busy machine: one round trip more is told from none at 0.6.
    let round_trips =
        [x509, landmark].map(|variant| variant.handshake_ms.expect("handshakes").p50 / RTT_MS);
    let [more, one] = round_trips;
    assert!(one >= 1.0, "{one} round trips");
    assert!(more - one > 0.6, "{more} and {one} round trips");
    assert!(results.notes.iter().all(|note| !note.contains("loopback")));
}

#[tokio::test]
async fn without_privileges_links_are_refused_with_what_to_do() {
    let folder = TempDir::new().expect("a folder");
    let everyone = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), everyone).expect("own folder");
    let scenario = write(folder.path(), SCENARIO);
    let mut command = tokio::process::Command::new(binary());
    command.args(["run", &scenario, "--out"]);
    command.arg(folder.path().join("out"));
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = match within(command.output()).await {
        Ok(output) => output,
        Err(error) => {
            let reason = format!("nobody may not run {}: {error}", binary().display());
            return skip("without_privileges_links_are_refused", &reason);
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: [link] needs"), "{said}");
    assert!(
        said.contains("run as root") && said.contains("remove [link]"),
        "{said}"
    );
    assert!(
        !folder.path().join("out/lab").exists(),
        "nothing was started"
    );
}

#[tokio::test]
async fn a_congestion_control_that_is_not_there_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let scenario = write(
        folder.path(),
        &format!("{SCENARIO}congestion_control = \"pigeon\"\n"),
    );
    let out = folder.path().join("out").display().to_string();
    let ended = mtc5g(["run", &scenario, "--out", &out]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(
        ended.error().contains("\"pigeon\" is not in this kernel"),
        "{ended:?}"
    );
}

fn write(folder: &Path, text: &str) -> String {
    let path = folder.join("scenario.toml");
    std::fs::write(&path, text).expect("own folder");
    path.display().to_string()
}

/// Past the test harness, which would hide it.
fn skip(test: &str, reason: &str) {
    let _ = writeln!(stderr(), "SKIPPED {test}: {reason}");
}
