//! What a lab does when the machine's wall clock steps. The steps are those of libfaketime (Debian: `faketime`), which gives
//! the processes of the lab another wall clock and leaves them the monotonic one; without it the tests that need it are skipped.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use experiment::scenario::Nf;
use hyper::Method;
use lab::topology::Topology;
use sbi::client::{ClientError, Connection, Request};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use test_support::command::{PATIENCE, binary, mtc5g, within};
use test_support::test_lab::{TestFolder, TestLab, now, small};

/// Where Debian has it, by architecture.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];
const LIFETIME: Duration = Duration::from_secs(60);

/// The wall clock of a lab's processes.
struct WallClock {
    offset: PathBuf,
    /// The `mtc5g` command under this clock.
    command: PathBuf,
}

impl WallClock {
    /// None, and a word about it, without libfaketime.
    fn new(folder: &Path) -> Option<Self> {
        let Some(library) = LIBRARIES.into_iter().find(|file| Path::new(file).exists()) else {
            println!("skipped: libfaketime is not installed (apt-get install faketime)");
            return None;
        };
        let clock = Self {
            offset: folder.join("clock"),
            command: folder.join("mtc5g"),
        };
        clock.set(0);
        let script = format!(
            "#!/bin/sh\nLD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={} FAKETIME_NO_CACHE=1 \
             FAKETIME_DONT_FAKE_MONOTONIC=1 exec {} \"$@\"\n",
            clock.offset.display(),
            binary().display()
        );
        std::fs::write(&clock.command, script).expect("script is written");
        std::fs::set_permissions(&clock.command, Permissions::from_mode(0o700))
            .expect("script is made executable");
        Some(clock)
    }

    /// Steps to `offset` seconds ahead of the machine's clock.
    fn set(&self, offset: i64) {
        let next = self.offset.with_extension("next");
        std::fs::write(&next, format!("{offset:+}\n")).expect("offset is written");
        std::fs::rename(&next, &self.offset).expect("offset is replaced");
    }
}

/// Status and text of a resource on an admin port.
async fn get(lab: &mut TestLab, nf: Nf, path: &str) -> (u16, String) {
    let addr = lab.topology.admin(nf).expect("it has an admin port");
    let connection = Connection::connect_cleartext(addr, PATIENCE)
        .await
        .expect("the admin port answers");
    let request = Request::new(Method::GET, addr.to_string(), path);
    match connection.call(request, PATIENCE).await {
        Ok(response) => (
            response.status.as_u16(),
            String::from_utf8_lossy(&response.body).into_owned(),
        ),
        Err(ClientError::Status { status, .. }) => (status.as_u16(), String::new()),
        Err(error) => panic!("{error:?}"),
    }
}

async fn await_ready(lab: &mut TestLab, nf: Nf, ready: bool) {
    let wanted = if ready { 200 } else { 503 };
    within(async {
        while get(lab, nf, "/readyz").await.0 != wanted {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Loads until one in which nothing fails.
async fn await_service(lab: &mut TestLab) {
    within(async {
        loop {
            lab.start_load(10.0, Duration::from_secs(1)).await;
            let variants = lab.load_result().await.variants;
            if variants.iter().all(|variant| variant.errors.is_empty()) {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_lab_lives_through_steps_of_the_wall_clock_past_its_certificates_lifetime_and_back() {
    let temporary = tempfile::tempdir().expect("temporary folder");
    let Some(clock) = WallClock::new(temporary.path()) else {
        return;
    };
    let mut plan = small();
    plan.lab.certificate_lifetime = LIFETIME;
    let folder = TestFolder::new(&plan);
    let starting = Topology::start(folder.lab.clone(), clock.command.clone(), |_| {});
    let topology = within(starting).await.expect("the lab starts");
    let mut lab = TestLab { topology, folder };
    lab.expect_service().await;
    for offset in [40, 3600 + 40] {
        clock.set(offset);
        await_service(&mut lab).await;
    }
    let (_, metrics) = get(&mut lab, Nf::Nrf, "/metrics").await;
    let counted = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .unwrap_or_default()
    };
    assert!(counted("mtc_expired_renewals_total{result=\"allowed\"}") >= 3.0);
    assert!(counted("nf_clock_steps_total{direction=\"forward\"}") >= 2.0);
    // Within what certificates are backdated by, and then with time: nothing was signed before what had been.
    clock.set(3600);
    await_service(&mut lab).await;
    lab.topology.stop().await;
}

#[tokio::test]
async fn a_clock_before_1970_is_said_and_waited_for() {
    let temporary = tempfile::tempdir().expect("temporary folder");
    let Some(clock) = WallClock::new(temporary.path()) else {
        return;
    };
    let folder = TestFolder::new(&small());
    let now = i64::try_from(now().0).expect("a time of this century");
    for process in ["scp", "nrf"] {
        clock.set(-now - 3600);
        let mut running = tokio::process::Command::new(&clock.command)
            .args([process, "--config"])
            .arg(folder.lab.config_file(process))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the built command starts");
        let stderr = running.stderr.take().expect("stderr is piped");
        let mut lines = BufReader::new(stderr).lines();
        for wanted in ["is not set: waiting until it is", "the clock has been set"] {
            within(async {
                loop {
                    let line = lines.next_line().await.expect("output is text");
                    let line = line.expect("the process does not end");
                    assert!(!line.contains("panicked"), "{line}");
                    if line.contains(wanted) {
                        return;
                    }
                }
            })
            .await;
            clock.set(0);
        }
    }
}

#[tokio::test]
async fn a_network_function_is_not_ready_while_the_nrf_is_lost() {
    let folder = TestFolder::new(&small());
    for process in ["amf", "smf", "scp"] {
        folder.set(process, "heartbeat_seconds", 1);
    }
    let mut lab = TestLab::start(folder).await;
    let others = [Nf::Amf, Nf::Smf, Nf::Scp];
    for nf in others {
        await_ready(&mut lab, nf, true).await;
    }
    lab.topology.kill(Nf::Nrf).await.expect("the NRF runs");
    for nf in others {
        await_ready(&mut lab, nf, false).await;
    }
    lab.topology
        .restart(Nf::Nrf)
        .await
        .expect("the NRF starts again");
    for nf in others {
        await_ready(&mut lab, nf, true).await;
    }
    lab.topology.stop().await;
}

#[tokio::test]
async fn two_processes_are_not_the_same_instance() {
    let mut lab = TestLab::start(TestFolder::new(&small())).await;
    // The lab's own but for its ports, so that these do not keep it from starting.
    let config = lab.folder.lab.config_file("amf");
    let text = std::fs::read_to_string(&config).expect("configuration is readable");
    let text: String = text
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some((key @ ("admin" | "listen"), _)) => format!("{key} = \"127.0.0.1:0\"\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let config = config.with_file_name("second.toml");
    std::fs::write(&config, text).expect("configuration is written");
    let second = mtc5g(["amf".as_ref(), "--config".as_ref(), config.as_os_str()]).await;
    assert_ne!(second.code(), Some(0));
    assert!(second.error().contains("is locked"), "{}", second.error());
    await_ready(&mut lab, Nf::Amf, true).await;
    lab.topology.stop().await;
}
