//! The command line as a person meets it: help, a lab set up by hand, a lab that stays up.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use sbi::ledger::Measurements;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use test_support::command::{Ended, Started, mtc5g, processes_of, within};
use test_support::ports::{eight_ports, localhost};

/// Between looks at a process that is not ready: its readiness can only be asked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

#[tokio::test]
async fn help_lists_the_subcommands_and_what_they_take() {
    for (arguments, parts) in [
        (
            &["--help"][..],
            &[
                "run",
                "lab",
                "init",
                "nrf",
                "scp",
                "amf",
                "smf",
                "peers",
                "Exit status",
            ][..],
        ),
        (
            &["run", "--help"],
            &["SCENARIO", "--out", "--json", "--keep"],
        ),
        (
            &["lab", "up", "--help"],
            &["--folder", "--port", "--amf", "--smf"],
        ),
        (
            &["init", "--help"],
            &[
                "FOLDER",
                "--port",
                "--landmark-interval",
                "--certificate-lifetime",
            ],
        ),
        (
            &["nrf", "--help"],
            &["--config", "--create-log", "--supervised", "--log-format"],
        ),
        (
            &["audit", "--help"],
            &["TARGET", "--json", "--cbom", "--fail-on", "Exit status"],
        ),
        (&["scp", "--help"], &["--config"]),
        (&["amf", "--help"], &["--config"]),
        (&["smf", "--help"], &["--config"]),
    ] {
        let ended = mtc5g(arguments).await;
        assert_eq!(ended.code(), Some(0), "{arguments:?}: {}", ended.stderr);
        for part in parts {
            assert!(
                ended.stdout.contains(part),
                "{arguments:?} lacks {part}: {}",
                ended.stdout
            );
        }
    }
}

#[tokio::test]
async fn the_version_is_that_of_the_package() {
    let ended = mtc5g(["--version"]).await;
    assert_eq!(ended.code(), Some(0));
    assert_eq!(
        ended.stdout,
        format!("mtc5g {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn wrong_arguments_are_a_usage_error() {
    for arguments in [
        &["run", "x.toml", "--jsn"][..],
        &["walk"],
        &["run"],
        &["init", "x", "--port", "80"],
        &[],
    ] {
        let ended = mtc5g(arguments).await;
        assert_eq!(ended.code(), Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("--help") || ended.stderr.contains("Usage"),
            "{}",
            ended.stderr
        );
    }
}

/// What `GET` of a path on a cleartext port answers: status and body, over HTTP/1.1 as curl would ask.
async fn get(addr: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(addr).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok((status.expect("an HTTP status line"), body.to_owned()))
}

/// Asks a process until it is ready. Until then it must say what it lacks.
async fn await_ready(addr: SocketAddr) {
    within(async {
        loop {
            match get(addr, "/readyz").await {
                Ok((200, body)) => return assert_eq!(body, "ready\n"),
                Ok((status, body)) => {
                    assert_eq!(status, 503);
                    assert!(body.starts_with("not ready: ") && body.len() > 12, "{body}");
                }
                // It does not listen yet.
                Err(_) => {}
            }
            sleep(LOOK_INTERVAL).await;
        }
    })
    .await;
}

/// Fails unless each line is a comment or a sample of the Prometheus text format.
fn check_metrics(text: &str) {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte))
    };
    for line in text
        .lines()
        .filter(|line| !line.starts_with("# HELP ") && !line.starts_with("# TYPE "))
    {
        let (series, value) = line
            .rsplit_once(' ')
            .unwrap_or_else(|| panic!("not a sample: {line}"));
        let name = series.split_once('{').map_or(series, |(name, labels)| {
            assert!(labels.ends_with("\"}"), "{line}");
            name
        });
        assert!(is_name(name) && value.parse::<f64>().is_ok(), "{line}");
    }
    for metric in [
        "mtc_newest_landmark",
        "mtc_certificate_not_after_timestamp_seconds",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(metric)),
            "{metric} is missing"
        );
    }
}

/// Makes a lab in `folder` with its ports from `port` on.
async fn init(folder: &Path, port: u16) -> Ended {
    let port = port.to_string();
    let options = [
        "--port",
        &port,
        "--amf",
        "1",
        "--smf",
        "1",
        "--landmark-interval",
        "1",
        "--certificate-lifetime",
        "1",
    ];
    mtc5g(
        ["init".as_ref(), folder.as_os_str()]
            .into_iter()
            .chain(options.map(AsRef::as_ref)),
    )
    .await
}

#[tokio::test]
async fn init_does_not_write_over_a_lab() {
    let folder = tempfile::tempdir().unwrap();
    let port = eight_ports();
    assert_eq!(init(folder.path(), port).await.code(), Some(0));
    let trust = std::fs::read(folder.path().join("trust.toml")).unwrap();
    let again = init(folder.path(), port).await;
    assert_eq!(again.code(), Some(1));
    for part in ["there is a PKI in", "remove it or choose another folder"] {
        assert!(again.error().contains(part), "{}", again.stderr);
    }
    assert_eq!(
        std::fs::read(folder.path().join("trust.toml")).unwrap(),
        trust
    );
}

#[tokio::test]
async fn a_lab_set_up_by_hand_becomes_ready_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let port = eight_ports();
    let made = init(folder.path(), port).await;
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    // The very lines that it prints, and nobody waits before the next one.
    let commands = made
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("  mtc5g "));
    let commands = commands.map(|line| line.split('#').next().expect("a first part"));
    let processes: Vec<Started> = commands
        .map(|line| Started::new(line.split_whitespace()))
        .collect();
    assert_eq!(processes.len(), 4);

    let admins = (port + 3..port + 7).map(localhost);
    for admin in admins.clone() {
        await_ready(admin).await;
    }
    for admin in admins {
        let (status, metrics) = get(admin, "/metrics").await.unwrap();
        assert_eq!(status, 200);
        check_metrics(&metrics);
        let (status, measurements) = get(admin, "/measurements").await.unwrap();
        assert_eq!(status, 200);
        let measurements: Measurements = serde_json::from_str(&measurements).unwrap();
        assert!(
            !measurements.profiles.is_empty(),
            "everybody has shaken hands"
        );
        assert_eq!(
            get(admin, "/healthz").await.unwrap(),
            (200, "alive\n".to_owned())
        );
        assert_eq!(get(admin, "/other").await.unwrap().0, 404);
    }
    let (status, checkpoint) = get(localhost(port + 1), "/1/checkpoint").await.unwrap();
    assert_eq!(status, 200);
    assert!(
        checkpoint.starts_with("oid/1.3.6.1.4.1.32473.1.0.1\n"),
        "{checkpoint}"
    );

    for (process, signal) in processes
        .into_iter()
        .rev()
        .zip([Signal::INT, Signal::TERM].into_iter().cycle())
    {
        process.signal(signal);
        let ended = process.end().await;
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    }
    assert_eq!(processes_of(folder.path()), []);
}

#[tokio::test]
async fn lab_up_prints_its_endpoints_and_stops_on_ctrl_c() {
    let folder = tempfile::tempdir().unwrap();
    let (lab, port) = (folder.path().join("lab"), eight_ports());
    let first = port.to_string();
    let options = [
        "--port",
        &first,
        "--amf",
        "1",
        "--smf",
        "1",
        "--landmark-interval",
        "1",
        "--certificate-lifetime",
        "1",
    ];
    let arguments = [
        "lab".as_ref(),
        "up".as_ref(),
        "--folder".as_ref(),
        lab.as_os_str(),
    ];
    let mut up = Started::new(arguments.into_iter().chain(options.map(AsRef::as_ref)));
    up.prints("Ctrl-C stops it").await;
    assert_eq!(processes_of(folder.path()).len(), 4);
    for holds_keys in processes_of(folder.path()).into_iter().chain([up.pid()]) {
        let limits = std::fs::read_to_string(format!("/proc/{holds_keys}/limits")).unwrap();
        let core = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max core file size"));
        // 1: neither a file nor what core_pattern names.
        let words: Vec<_> = core.unwrap().split_whitespace().collect();
        assert_eq!(words, ["1", "1", "bytes"], "{limits}");
    }
    let (status, _) = get(localhost(port + 3), "/readyz").await.unwrap();
    assert_eq!(status, 200);
    up.signal(Signal::INT);
    let ended = up.end().await;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    for part in [
        format!("its files are in {}", lab.display()),
        format!("http://127.0.0.1:{}/1/checkpoint", port + 1),
        format!("https://127.0.0.1:{port} as nrf1."),
        format!("http://127.0.0.1:{}/readyz", port + 6),
        format!("http://127.0.0.1:{}/add-checkpoint", port + 2),
        "as amf1.".to_owned(),
        "as smf1.".to_owned(),
    ] {
        assert!(
            ended.stdout.contains(&part),
            "{part} is not in {}",
            ended.stdout
        );
    }
    assert_eq!(processes_of(folder.path()), []);
}

#[tokio::test]
async fn what_a_lab_can_do_without_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path().join("lab");
    let first = eight_ports();
    let made = init(&lab, first).await;
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    std::fs::write(lab.join("targets"), "no folder").unwrap();
    let port = first.to_string();
    let arguments = ["lab", "up", "--port", &port, "--amf", "1", "--smf", "1"];
    let folder = ["--folder".as_ref(), lab.as_os_str()];
    let mut up = Started::new(arguments.map(OsStr::new).into_iter().chain(folder));
    up.prints("Ctrl-C stops it").await;
    up.signal(Signal::INT);
    let ended = up.end().await;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let told = ended.stderr.matches("WARN cannot announce an admin port");
    assert_eq!(told.count(), 4, "{}", ended.stderr);
}

#[tokio::test]
async fn secrets_of_connections_are_written_where_the_flag_says_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| folder.path().join(name);
    let (lab, keys, unheeded) = (of("lab"), of("keys"), of("unheeded"));
    let port = eight_ports().to_string();
    let up = |flags: &[&OsStr]| {
        let arguments = ["lab", "up", "--port", &port, "--amf", "1", "--smf", "1"];
        let folder = ["--folder".as_ref(), lab.as_os_str()];
        let all = arguments.map(OsStr::new).into_iter().chain(folder);
        let all: Vec<&OsStr> = all.chain(flags.iter().copied()).collect();
        Started::with(all, [("SSLKEYLOGFILE", unheeded.as_os_str())])
    };
    for (flags, is_written, is_warned_of) in [
        (&[][..], false, false),
        (&["--key-log".as_ref(), keys.as_os_str()][..], true, false),
        // The same lab again: it was made so, whatever is given now.
        (&[], true, true),
    ] {
        let mut up = up(flags);
        up.prints("Ctrl-C stops it").await;
        up.signal(Signal::INT);
        let ended = up.end().await;
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        let written = std::fs::read_to_string(&keys).unwrap_or_default();
        let has_secrets = written.contains("SERVER_HANDSHAKE_TRAFFIC_SECRET ");
        assert_eq!(has_secrets, is_written);
        let log = std::fs::read_to_string(lab.join("logs/smf.log")).unwrap();
        assert_eq!(log.contains("key_log is set"), is_written, "{log}");
        assert!(!unheeded.exists());
        let warning = format!(
            "made with --key-log: secrets of its connections are appended to {}\n",
            keys.display()
        );
        let is_warned = ended.stderr.contains(&warning);
        assert_eq!(is_warned, is_warned_of, "{}", ended.stderr);
        if !is_written {
            std::fs::remove_dir_all(&lab).unwrap();
        }
    }
}

/// The enrolment tokens of a lab, by file.
fn tokens_in(lab: &Path) -> BTreeMap<PathBuf, String> {
    let files = lab.join("tokens").read_dir().expect("a lab has tokens");
    let files = files.map(|found| found.expect("the folder can be listed").path());
    let token = |path: PathBuf| {
        let token = std::fs::read_to_string(&path).expect("a token can be read");
        (path, token)
    };
    files.map(token).collect()
}

#[tokio::test]
async fn lab_up_goes_on_with_its_folder_also_after_a_start_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let (lab, port) = (folder.path().join("lab"), eight_ports());
    let first = port.to_string();
    let up = |options: &[&str]| {
        let arguments = [
            "lab".as_ref(),
            "up".as_ref(),
            "--folder".as_ref(),
            lab.as_os_str(),
        ];
        Started::new(arguments.into_iter().chain(options.iter().map(OsStr::new)))
    };
    let made_with = ["--port", &first, "--amf", "1", "--smf", "1"];
    let taken = std::net::TcpListener::bind(localhost(port)).unwrap();
    let ended = up(&made_with).end().await;
    assert_eq!(ended.code(), Some(1));
    let in_use = format!("127.0.0.1:{port} is in use, perhaps by another lab: ");
    let advice = format!("{in_use}give --port the first of 8 free ports\n");
    assert!(ended.error().ends_with(&advice), "{}", ended.stderr);
    assert!(!lab.exists());
    drop(taken);

    let no_file = lab.join("none/keys");
    let no_file = no_file.to_str().expect("temporary folders are text");
    let ended = up(&[&made_with[..], &["--key-log", no_file]].concat())
        .end()
        .await;
    assert_eq!(ended.code(), Some(1));
    assert!(ended.error().contains("none/keys"), "{}", ended.stderr);
    assert_eq!(processes_of(folder.path()), []);
    // No key stays behind, and it is said what does.
    let stays = format!(
        "only the logs of its processes stay: {}/logs",
        lab.display()
    );
    assert!(ended.stderr.contains(&stays), "{}", ended.stderr);
    let names = lab
        .read_dir()
        .unwrap()
        .map(|found| found.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["logs"]);

    let mut certificates = Vec::new();
    for (options, warning) in [
        (&made_with[..], None),
        // What is not given is not compared: the lab has its own port, and one AMF where the default is two.
        (&[], None),
        (
            &["--amf", "2", "--smf", "1"],
            Some("its own values of --amf\n"),
        ),
    ] {
        let mut running = up(options);
        running.prints("Ctrl-C stops it").await;
        let tokens = tokens_in(&lab);
        let second = up(&[]).end().await;
        assert_eq!(second.code(), Some(1));
        let already = format!(
            "the lab in {0} is already running; load it with mtc5g run SCENARIO --lab {0}\n",
            lab.display()
        );
        assert!(second.stderr.ends_with(&already), "{}", second.stderr);
        assert_eq!(tokens_in(&lab), tokens);
        running.signal(Signal::INT);
        let ended = running.end().await;
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        let went_on = ended.stderr.contains("continuing with the lab in ");
        assert_eq!(went_on, !certificates.is_empty(), "{}", ended.stderr);
        let warned = ended
            .stderr
            .contains("the existing lab keeps its own values of");
        assert_eq!(warned, warning.is_some(), "{}", ended.stderr);
        assert!(ended.stderr.contains(warning.unwrap_or_default()));
        let issued = lab.join("state/nrf/certificates").read_dir().unwrap();
        certificates.push(issued.count());
    }
    let taken = std::net::TcpListener::bind(localhost(port + 1)).unwrap();
    let ended = up(&[]).end().await;
    assert_eq!(ended.code(), Some(1));
    let in_use = format!(
        "127.0.0.1:{} is in use, perhaps by another lab: stop",
        port + 1
    );
    assert!(ended.error().contains(&in_use), "{}", ended.stderr);
    assert!(ended.error().contains("--folder"), "{}", ended.stderr);
    drop(taken);

    // The certificates of before are good still.
    assert_eq!(certificates[1], certificates[0], "{certificates:?}");
    assert_eq!(certificates[2], certificates[0], "{certificates:?}");
}

// A user's notes got a PKI beside them, and keys of a lab a results.json.
#[tokio::test]
async fn keys_and_other_files_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let names = |path: &Path| {
        let found = path.read_dir().unwrap();
        let mut names: Vec<_> = found.map(|entry| entry.unwrap().file_name()).collect();
        names.sort_unstable();
        names
    };
    let notes = folder.path().join("notes");
    std::fs::create_dir_all(notes.join("logs")).unwrap();
    std::fs::write(notes.join("a.txt"), "mine").unwrap();
    let up = ["lab", "up", "--folder"].map(OsStr::new);
    let refused = mtc5g(up.into_iter().chain([notes.as_os_str()])).await;
    assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
    let message = "notes has a.txt in it and is not the folder of a lab: give --folder";
    assert!(refused.error().contains(message), "{}", refused.stderr);
    assert!(!refused.stderr.contains("keys"), "{}", refused.stderr);
    assert_eq!(names(&notes), ["a.txt", "logs"]);

    let lab = folder.path().join("lab");
    let made = init(&lab, eight_ports()).await;
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    let before = names(&lab);
    let run = ["run", "quick", "--out"].map(OsStr::new);
    let refused = mtc5g(run.into_iter().chain([lab.as_os_str()])).await;
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    let message = "lab is the folder of a lab: give --out another folder";
    assert!(refused.error().contains(message), "{}", refused.stderr);
    assert_eq!(names(&lab), before);
}
