//! TCP through two sidecars: PostgreSQL and its clients, which speak a protocol of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use test_support::command::{Ended, within};
use test_support::test_lab::{TestFolder, TestLab, small};
use tokio::process::Command;

use crate::beside::{Plan, Ports, Program, Sidecar, are_there, fqdn};

/// The programs of the newest PostgreSQL that Debian's packages have installed.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let newest = folders.filter(|bin| bin.join("postgres").is_file()).max();
    if newest.is_none() {
        println!("skipped: postgresql is not installed");
    }
    newest
}

/// A server that root may not run, as its packages' user if this is root.
struct Postgres {
    _program: Program,
    _data: TempDir,
}

impl Postgres {
    async fn start(bin: &Path, at: SocketAddr) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let folder = data.path().join("db");
        std::fs::create_dir(&folder).expect("a new folder");
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            let given = Command::new("chown")
                .args(["-R", "postgres"])
                .arg(data.path())
                .status();
            assert!(given.await.expect("chown is there").success());
        }
        let command = |program: &str| {
            let program = bin.join(program);
            if !is_root {
                return Command::new(program);
            }
            let mut command = Command::new("setpriv");
            command.args([
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                "--",
            ]);
            command.arg(program);
            command
        };
        let made = command("initdb")
            .args(["--auth=trust", "--username=test", "--no-sync", "--pgdata"])
            .arg(&folder)
            .output();
        let made = within(made).await.expect("initdb is there");
        assert!(made.status.success(), "{made:?}");
        let mut server = command("postgres");
        server
            .arg("-D")
            .arg(&folder)
            .args(["-h", &at.ip().to_string(), "-p", &at.port().to_string()])
            .args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
        let output = data.path().join("output");
        Self {
            _program: Program::start(&mut server, at, &output).await,
            _data: data,
        }
    }
}

async fn psql(at: SocketAddr, query: &str) -> Ended {
    let url = format!("postgresql://test@{at}/postgres?gssencmode=disable&sslmode=disable");
    let psql = Command::new("psql")
        .args([
            &url,
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "-c",
            query,
        ])
        .kill_on_drop(true)
        .output();
    let ended = within(psql).await.expect("psql is there");
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    Ended {
        status: ended.status,
        stdout: text(ended.stdout),
        stderr: text(ended.stderr),
    }
}

#[tokio::test]
async fn a_database_is_used_over_mutual_tls_by_clients_that_may() {
    let Some(bin) = programs().filter(|_| are_there(&["psql", "setpriv"])) else {
        return;
    };
    let lab = TestLab::start(TestFolder::new(&small())).await;
    let mut ports = Ports::new();
    let (database, peer) = (ports.next(), ports.next());
    let _running = Postgres::start(&bin, database).await;
    let server = Plan {
        name: "db1",
        nf_type: "UDR",
        tables: format!(
            "[[inbound]]\nlisten = '{peer}'\nforward = 'tcp://{database}'\n\
             [[inbound.allow]]\nfqdn = '{}'\n",
            fqdn("user1")
        ),
    };
    let server = Sidecar::start(&lab, server, ports.next()).await;
    let peer = format!(
        "[[peer]]\nname = 'db'\naddress = '{peer}'\nfqdn = '{}'\n",
        fqdn("db1")
    );
    let mut client = async |name: &str| {
        let listen = ports.next();
        let plan = Plan {
            name,
            nf_type: "UDM",
            tables: format!(
                "[[outbound]]\nlisten = '{listen}'\nprotocol = 'tcp'\npeer = 'db'\n{peer}"
            ),
        };
        let sidecar = Sidecar::start(&lab, plan, ports.next()).await;
        (sidecar, listen)
    };
    let (user, at) = client("user1").await;
    let (stranger, not_at) = client("stranger1").await;

    let answer = psql(at, "select 6 * 7").await;
    assert_eq!(answer.stdout, "42\n", "{answer:?}");
    // Some megabytes in one answer.
    let answer = psql(at, "select repeat('x', 1000) from generate_series(1, 5000)").await;
    assert_eq!(answer.stdout.len(), 5000 * 1001, "{}", answer.stderr);

    let refused = psql(not_at, "select 1").await;
    assert_ne!(refused.code(), Some(0), "{refused:?}");
    let metrics = server.metrics().await;
    let refusals = "sidecar_refused_total{direction=\"inbound\",reason=\"not-allowed\"}";
    assert!(metrics.value(refusals) >= 1.0);
    let octets = "sidecar_tunnel_bytes_total{direction=\"inbound\",to=\"peer\"}";
    assert!(metrics.value(octets) >= 5e6);

    for sidecar in [user, stranger, server] {
        sidecar.stop();
        sidecar.ends().await;
    }
    lab.topology.stop().await;
}
