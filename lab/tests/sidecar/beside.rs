//! Sidecars of a running lab, and programs beside them that are nobody's of this project.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use test_support::command::{Ended, Started, within};
use test_support::ports::{eight_ports, localhost};
use test_support::test_lab::{Metrics, TestLab, mint, now};
use tokio::process::{Child, Command};
use uuid::Uuid;

/// Ports that nobody has.
pub(crate) struct Ports(u16, u16);

impl Ports {
    pub(crate) fn new() -> Self {
        Self(eight_ports(), 0)
    }

    pub(crate) fn next(&mut self) -> SocketAddr {
        let Self(first, taken) = self;
        assert!(*taken < 8, "there are eight");
        *taken += 1;
        localhost(*first + *taken - 1)
    }
}

/// Whether these programs are there; says loudly that a test is skipped if not.
pub(crate) fn are_there(programs: &[&str]) -> bool {
    programs.iter().all(|program| is_there(program))
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !is_there {
        println!("skipped: {program} is not installed");
    }
    is_there
}

/// A sidecar that is ready.
pub(crate) struct Sidecar {
    process: Started,
    pub(crate) admin: SocketAddr,
    /// Its NF instance id.
    pub(crate) id: Uuid,
}

/// What a sidecar is.
pub(crate) struct Plan<'a> {
    pub(crate) name: &'a str,
    pub(crate) nf_type: &'a str,
    /// Its ports and peers.
    pub(crate) tables: String,
}

impl Plan<'_> {
    pub(crate) fn fqdn(&self) -> String {
        fqdn(self.name)
    }
}

pub(crate) fn fqdn(name: &str) -> String {
    format!("{name}.5gc.mnc001.mcc001.3gppnetwork.org")
}

impl Sidecar {
    /// Writes its configuration with a token of the lab, beside what the SMF of the lab has.
    fn write(lab: &TestLab, plan: &Plan<'_>, id: Uuid, admin: SocketAddr) -> PathBuf {
        let folder = lab.folder.path();
        let smf = std::fs::read_to_string(lab.folder.lab.config_file("smf"));
        let mut config: toml::Table = smf.expect("the lab's folder").parse().expect("TOML");
        let nf = config["nf"].as_table_mut().expect("a table");
        let (fqdn, token) = (plan.fqdn(), format!("{}.jwt", plan.name));
        let instance = toml::toml! {
            nf_type = "SMF"
            id = ""
            fqdn = ""
            token = ""
        };
        let mut instance = instance;
        for (key, value) in [
            ("nf_type", plan.nf_type),
            ("id", &id.to_string()),
            ("fqdn", &fqdn),
            ("token", &token),
        ] {
            instance.insert(key.to_owned(), value.into());
        }
        nf.insert("instance".to_owned(), vec![instance].into());
        nf.insert("access_tokens".to_owned(), "off".into());
        nf.insert("state".to_owned(), format!("state/{}", plan.name).into());
        nf.insert("admin".to_owned(), admin.to_string().into());
        let expiry = now().plus(Duration::from_secs(600));
        let minted = mint(&lab.folder.lab, id, plan.nf_type, &fqdn, expiry);
        std::fs::write(folder.join(&token), minted).expect("the lab's folder");
        let nf: toml::Table = [("nf".to_owned(), config["nf"].clone())]
            .into_iter()
            .collect();
        let mut text = nf.to_string();
        write!(text, "\n{}", plan.tables).expect("strings take everything");
        let file = folder.join(format!("{}.toml", plan.name));
        std::fs::write(&file, text).expect("the lab's folder");
        file
    }

    pub(crate) async fn start(lab: &TestLab, plan: Plan<'_>, admin: SocketAddr) -> Self {
        let id = Uuid::new_v4();
        let file = Self::write(lab, &plan, id, admin);
        let mut process = Started::new(["sidecar".as_ref(), "--config".as_ref(), file.as_os_str()]);
        process.says("{\"event\":\"ready\"").await;
        Self { process, admin, id }
    }

    /// Two of them: one in front of a program, with `inbound` for the keys of that port, and one with `outbound` for those of a port that leads
    /// its own program there. `names` are theirs and their NF types.
    pub(crate) async fn between(
        lab: &TestLab,
        ports: &mut Ports,
        names: [(&str, &str); 2],
        inbound: &str,
        outbound: &str,
    ) -> [Self; 2] {
        let [server, client] = names;
        let at = ports.next();
        let server = Plan {
            name: server.0,
            nf_type: server.1,
            tables: format!("[[inbound]]\nlisten = '{at}'\n{inbound}\n"),
        };
        let fqdn = server.fqdn();
        let client = Plan {
            name: client.0,
            nf_type: client.1,
            tables: format!(
                "[[outbound]]\npeer = 'program'\n{outbound}\n\
                 [[peer]]\nname = 'program'\naddress = '{at}'\nfqdn = '{fqdn}'\n"
            ),
        };
        // The client's landmarks are younger than the server.
        let server = Self::start(lab, server, ports.next()).await;
        [server, Self::start(lab, client, ports.next()).await]
    }

    pub(crate) async fn metrics(&self) -> Metrics {
        Metrics::read(self.admin).await
    }

    /// Octets that it has in memory.
    pub(crate) fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.pid());
        let status = std::fs::read_to_string(status).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        number
            .and_then(|kib| kib.parse::<u64>().ok())
            .expect("the system tells")
            * 1024
    }

    /// Asks it to end.
    pub(crate) fn stop(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits for its end, which is a good one.
    pub(crate) async fn ends(self) -> Ended {
        let ended = self.process.end().await;
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        ended
    }
}

/// A program that listens, killed when this is dropped.
pub(crate) struct Program(#[expect(dead_code, reason = "killed when dropped")] Child);

impl Program {
    /// Starts it, with what it says in a file, and waits until it listens.
    pub(crate) async fn start(command: &mut Command, at: SocketAddr, output: &Path) -> Self {
        let output = std::fs::File::create(output).expect("a temporary folder");
        let errors = output.try_clone().expect("a file");
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .expect("the program is there");
        within(tokio::task::spawn_blocking(move || {
            while TcpStream::connect(at).is_err() {
                std::thread::yield_now();
            }
        }))
        .await
        .expect("it listens");
        Self(child)
    }
}

/// nghttpd, HTTP/2 in cleartext, with the files of a folder; tells in `output` what it is asked.
pub(crate) async fn nghttpd(folder: &Path, at: SocketAddr, output: &Path) -> Program {
    let mut command = Command::new("nghttpd");
    command
        .args(["--no-tls", "-v", "--trailer", "x-sum: 7", "-d"])
        .arg(folder)
        .args(["-a", &at.ip().to_string(), &at.port().to_string()]);
    Program::start(&mut command, at, output).await
}

/// What curl says.
pub(crate) async fn curl(arguments: &[&str]) -> Ended {
    let curl = Command::new("curl")
        .args(["--silent", "--show-error", "--http2-prior-knowledge"])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = within(curl).await.expect("curl is there");
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    Ended {
        status: ended.status,
        stdout: text(ended.stdout),
        stderr: text(ended.stderr),
    }
}
