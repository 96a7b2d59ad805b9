//! Output that nobody takes: a closed pipe, a full disk, a terminal that is gone. And what is left of a lab then.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Signal, kill_process};
use tempfile::TempDir;
use tokio::process::Command;

use test_support::command::{Started, await_end_of, binary, mtc5g, processes_of, within};
use test_support::run::results_in;
use test_support::terminal::Terminal;

/// The exit status of a Rust process that panicked.
const PANICKED: i32 = 101;

/// A run of a few seconds.
const SHORT: &str = r#"
[scenario]
name = "short"
[lab]
amf = 1
smf = 1
landmark_interval = "1s"
[[variant]]
name = "landmark"
auth = "mtc-landmark"
[load]
operation = "handshake"
warmup = "1s"
stages = [{ rate = 10, duration = "2s" }]
max_lateness = "60s"
"#;

/// The write end of a pipe whose reader is gone.
fn closed_pipe() -> Stdio {
    let (reader, writer) = io::pipe().expect("pipes are to be had");
    drop(reader);
    writer.into()
}

/// Where no byte has room.
fn full_disk() -> Stdio {
    let full = File::options().write(true).open("/dev/full");
    full.expect("/dev/full is there").into()
}

/// Runs the command to its end with such standard output and standard error.
async fn unheard(arguments: &[&str], output: fn() -> Stdio) -> Option<i32> {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output())
        .stderr(output())
        .kill_on_drop(true);
    let status = within(command.status()).await;
    status.expect("the built command starts").code()
}

fn scenario() -> (TempDir, String, PathBuf) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("short.toml");
    std::fs::write(&file, SHORT).expect("scenario is written");
    let out = folder.path().join("out");
    (folder, file.to_str().expect("text").to_owned(), out)
}

#[tokio::test]
async fn no_subcommand_panics_where_nobody_takes_what_it_prints() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    for (number, output) in [closed_pipe as fn() -> Stdio, full_disk]
        .into_iter()
        .enumerate()
    {
        let (lab, deployed) = (path(&format!("lab{number}")), path(&format!("d{number}")));
        let token = "00000000-0000-4000-8000-000000000000";
        for arguments in [
            &["--help"][..],
            &["--version"],
            &["walk"],
            &["scenarios"],
            &["scenarios", "quick"],
            &["scenarios", "none"],
            &["metrics"],
            &["metrics", "--json"],
            &["init", &lab],
            &["init", &lab],
            &["init", "--deploy", &deployed],
            &["init", "--deploy", &deployed],
            &["lab", "up", "--folder", "/dev/null/lab"],
            &["token", &lab, token],
            &["run", "none.toml"],
            &["run", "quick", "--lab", "http://127.0.0.1:1/lab.toml"],
            &["capacity", "none.toml"],
            &["compare", "none.json", "none.json"],
            &["plot", "none.json", "--figure", "bytes"],
            &["report", "table", "none.json"],
            &["report", "html", "none.json"],
            &["report", "merge", "none", "--out", &lab],
            &["health", "127.0.0.1:1"],
            &["top", "--once", "--interval", "200ms", "127.0.0.1:1"],
            &["top", "127.0.0.1:1"],
            &["cert", "inspect", "none.pem"],
            &["log", "verify", "none"],
            &["log", "monitor", "--once", "none"],
            &["nrf", "--config", "none.toml"],
            &["scp", "--config", "none.toml"],
            &[
                "amf",
                "--config",
                "none.toml",
                "--otlp",
                "http://127.0.0.1:1",
            ],
            &["smf", "--config", "none.toml", "--supervised"],
            &["peers", "--config", "none.toml", "--supervised"],
        ] {
            let code = unheard(arguments, output).await;
            assert!(
                code.is_some_and(|code| code != PANICKED),
                "{arguments:?}: {code:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_a_full_disk_did_not_take_is_no_success() {
    for (output, code) in [(closed_pipe as fn() -> Stdio, 0), (full_disk, 1)] {
        assert_eq!(unheard(&["scenarios"], output).await, Some(code));
        assert_eq!(unheard(&["metrics", "--json"], output).await, Some(code));
    }
}

#[tokio::test]
async fn a_run_whose_reader_is_gone_goes_on_and_leaves_results_and_no_keys() {
    let (folder, file, out) = scenario();
    let out_text = out.to_str().expect("text");
    let code = unheard(&["run", &file, "--out", out_text], closed_pipe).await;
    assert_eq!(code, Some(0));
    assert!(results_in(&out).verdict.passed);
    assert!(!out.join("lab").exists());
    assert_eq!(processes_of(folder.path()), []);
}

#[tokio::test]
async fn a_run_whose_terminal_hangs_up_stops_and_leaves_no_keys() {
    let (folder, file, out) = scenario();
    for signal in [Signal::HUP, Signal::QUIT, Signal::TERM] {
        let mut started = Started::new(["run", &file, "--out", out.to_str().expect("text")]);
        started.says("starting the NRF").await;
        started.signal(signal);
        let ended = started.end().await;
        assert_eq!(ended.code(), Some(1), "{signal:?}: {}", ended.stderr);
        assert!(ended.error().contains("interrupted"), "{}", ended.stderr);
        await_end_of(folder.path()).await;
        assert!(!out.join("lab").exists(), "{signal:?}");
    }
}

#[tokio::test]
async fn the_lab_of_a_killed_run_goes_with_the_next_start() {
    let (folder, file, out) = scenario();
    let arguments = ["run", &file, "--out", out.to_str().expect("text")];
    let mut started = Started::new(arguments);
    started.says("starting AMFs").await;
    kill_process(started.pid(), Signal::KILL).expect("the command runs");
    started.exits().await;
    await_end_of(folder.path()).await;
    let keys = out.join("lab/mtca/cosigner.key");
    assert!(keys.exists(), "nobody was left to remove it");
    let ended = mtc5g(arguments).await;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("a run that was killed had left its lab there"),
        "{}",
        ended.stderr
    );
    assert!(!out.join("lab").exists());
}

/// The results of a whole run, as they are kept with the documentation.
const ARTICLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../docs/results/article/results.json"
);

#[test]
fn a_table_fits_the_terminal_that_it_is_printed_to() -> io::Result<()> {
    for columns in [50, 100] {
        let mut terminal = Terminal::open(columns)?;
        let mut command = std::process::Command::new(binary())
            .args(["report", "table", ARTICLE])
            .stdin(Stdio::null())
            .stdout(terminal.side()?)
            .spawn()?;
        let mut shown = Vec::new();
        // It ends with an error when nobody has the other side any more.
        let _ = terminal.screen.read_to_end(&mut shown);
        assert!(command.wait()?.success());
        let shown = String::from_utf8(shown).map_err(io::Error::other)?;
        let longest = shown
            .lines()
            .map(|line| line.trim_end().chars().count())
            .max();
        assert!(
            longest <= Some(columns.into()),
            "{columns} columns: {shown}"
        );
        assert!(
            longest > Some(usize::from(columns) / 2),
            "{columns} columns: {shown}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_table_that_goes_to_no_terminal_leaves_nothing_out() {
    let ended = mtc5g(["report", "table", ARTICLE]).await;
    let table = ended.stdout;
    assert!(
        table.contains("p99.9") && !table.contains("left out, as this terminal"),
        "{table}"
    );
}
