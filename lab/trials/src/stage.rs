//! A small lab in a temporary folder whose processes a trial starts, harms and starts again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::topology::Plan;
use sbi::backoff;
use sbi::client::{ClientError, Connection, Request};
use sbi::process::Event;
use sbi::trust_file::TrustFile;
use tokio::time::{Instant, sleep};

use crate::command::{PATIENCE, keep};
use crate::process::{Ended, Process};
use crate::{Violation, violated};
use test_support::log_copy::LogCopy;
use test_support::test_lab::{TestFolder, small};

const STARTUP_SECONDS: u64 = 10;
const PAUSE: Duration = Duration::from_millis(100);
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// A network function of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nf {
    Scp,
    Nrf,
    Smf,
    Amf,
}

impl Nf {
    pub(crate) const ALL: [Self; 4] = [Self::Scp, Self::Nrf, Self::Smf, Self::Amf];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Scp => "scp",
            Self::Nrf => "nrf",
            Self::Smf => "smf",
            Self::Amf => "amf",
        }
    }

    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Nrf => &["--create-first-log"],
            _ => &[],
        }
    }

    /// What tells that others can use it.
    const fn is_up(self, event: &Event) -> bool {
        match self {
            Self::Scp => matches!(event, Event::WitnessListening { .. }),
            Self::Nrf => matches!(event, Event::SbiListening { .. }),
            Self::Smf | Self::Amf => matches!(event, Event::Ready { .. }),
        }
    }
}

/// The lab, and which of its processes run.
pub(crate) struct Stage {
    pub(crate) folder: TestFolder,
    processes: BTreeMap<Nf, Process>,
    /// Limit of file descriptors of processes that are started; none but the system's by default.
    descriptors: Option<u64>,
}

impl Stage {
    /// The files of a small lab with so many null entries in its log; nothing runs.
    pub(crate) fn new(preload: u64) -> Self {
        let mut plan = small();
        plan.lab.preload = preload;
        Self::with(&plan)
    }

    pub(crate) fn with(plan: &Plan) -> Self {
        let folder = TestFolder::new(plan);
        for nf in Nf::ALL {
            // A start that cannot succeed need not be waited for as long as in a real lab.
            folder.set(nf.name(), "startup_seconds", STARTUP_SECONDS);
        }
        Self {
            folder,
            processes: BTreeMap::new(),
            descriptors: None,
        }
    }

    /// Processes that are started from now on have so many file descriptors.
    pub(crate) const fn limit_descriptors(&mut self, limit: u64) {
        self.descriptors = Some(limit);
    }

    /// Starts a process and waits until others can use it.
    ///
    /// # Errors
    /// It ended before.
    pub(crate) async fn try_start(
        &mut self,
        nf: Nf,
        environment: &[(&str, String)],
    ) -> Result<(), Ended> {
        self.spawn(nf, environment);
        let process = self.process(nf);
        let up = process.until(|event| nf.is_up(event)).await;
        if up.is_err() {
            self.processes.remove(&nf);
        }
        up
    }

    /// Starts a process and waits for nothing.
    pub(crate) fn spawn(&mut self, nf: Nf, environment: &[(&str, String)]) {
        let process = Process::start(
            &self.folder.lab,
            nf.name(),
            nf.arguments(),
            environment,
            self.descriptors,
        );
        self.processes.insert(nf, process);
    }

    /// As [`Self::try_start`], of what must start.
    ///
    /// # Errors
    /// It did not.
    pub(crate) async fn start(&mut self, nf: Nf) -> Result<(), Violation> {
        self.try_start(nf, &[]).await.map_err(|ended| {
            let Ended { error, status } = ended;
            let error = error.unwrap_or_default();
            violated!(
                "{} does not start: {status}, {error}\n    {}",
                nf.name(),
                self.log_tail(nf)
            )
        })
    }

    pub(crate) fn process(&mut self, nf: Nf) -> &mut Process {
        self.processes.get_mut(&nf).expect("it was started")
    }

    pub(crate) fn runs(&mut self, nf: Nf) -> bool {
        self.processes.get_mut(&nf).is_some_and(Process::is_alive)
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self, nf: Nf) {
        if let Some(mut process) = self.processes.remove(&nf) {
            process.kill().await;
        }
    }

    /// The process drains and ends.
    pub(crate) async fn stop(&mut self, nf: Nf) {
        if let Some(mut process) = self.processes.remove(&nf) {
            process.stop().await;
        }
    }

    pub(crate) async fn stop_all(&mut self) {
        for nf in [Nf::Amf, Nf::Smf, Nf::Scp, Nf::Nrf] {
            self.stop(nf).await;
        }
    }

    /// Trust as the lab's relying parties read it now.
    pub(crate) fn trust(&self) -> TrustFile {
        TrustFile::load(&self.folder.lab.pki.trust).expect("the trust file is valid")
    }

    /// The log as anybody reads it; it hashes to its checkpoint, which CA and witness have cosigned.
    pub(crate) async fn read_log(&self, trust: &TrustFile) -> LogCopy {
        let addr = self.folder.lab.nrf.log.address();
        LogCopy::read(addr.parse().expect("an address"), trust).await
    }

    /// Waits until the process's `/readyz` is 200.
    ///
    /// # Errors
    /// It does not become so.
    pub(crate) async fn await_ready(&self, nf: Nf) -> Result<(), Violation> {
        let ask = || self.ask_ready(nf);
        let asked = backoff::until(Instant::now() + PATIENCE, ask, |_| true).await;
        asked.map_err(|error| {
            violated!(
                "{} does not become ready: {error}\n    {}",
                nf.name(),
                self.log_tail(nf)
            )
        })
    }

    /// Waits until the process is ready, which is true, or has ended.
    pub(crate) async fn ready_or_ended(&mut self, nf: Nf) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while self.runs(nf) && Instant::now() < deadline {
            if self.ask_ready(nf).await.is_ok() {
                return true;
            }
            sleep(PAUSE).await;
        }
        false
    }

    async fn ask_ready(&self, nf: Nf) -> Result<(), ClientError> {
        let admin = self.admin(nf);
        let connection = Connection::connect_cleartext(admin, ASK_TIMEOUT).await?;
        let request = Request::new(hyper::Method::GET, admin.to_string(), "/readyz");
        connection.call(request, ASK_TIMEOUT).await.map(drop)
    }

    /// Its admin port, from its configuration.
    pub(crate) fn admin(&self, nf: Nf) -> std::net::SocketAddr {
        self.configured(nf, "admin").parse().expect("an address")
    }

    /// The value of a line `key = "..."` of a configuration.
    pub(crate) fn configured(&self, nf: Nf, key: &str) -> String {
        let file = self.folder.lab.config_file(nf.name());
        let text = std::fs::read_to_string(file).expect("configurations are readable");
        let mut values = text.lines().filter_map(|line| {
            let (name, value) = line.split_once(" = ")?;
            (name == key).then(|| value.trim_matches('"').to_owned())
        });
        values.next().expect("the key is in the configuration")
    }

    /// A file of the lab.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a network function has logged since it was first started.
    pub(crate) fn log(&self, nf: Nf) -> String {
        std::fs::read_to_string(self.folder.lab.log_file(nf.name())).unwrap_or_default()
    }

    /// The last lines of that.
    pub(crate) fn log_tail(&self, nf: Nf) -> String {
        let log = self.log(nf);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n    ")
    }

    /// Nothing of the lab has panicked.
    ///
    /// # Errors
    /// Something did.
    pub(crate) fn expect_no_panic(&self) -> Result<(), Violation> {
        for nf in Nf::ALL {
            if let Some(line) = self.log(nf).lines().find(|line| line.contains("panicked")) {
                return Err(violated!("{} panicked: {line}", nf.name()));
            }
        }
        Ok(())
    }

    /// Copies the lab to where a violation's is kept.
    pub(crate) fn keep(&self) {
        if let Some(to) = keep() {
            copy(self.folder.path(), to);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep();
        }
    }
}

/// Copies a folder into another, over what is there.
pub(crate) fn copy(from: &Path, to: &Path) {
    let made = std::fs::create_dir_all(to);
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(from.join("."))
        .arg(to)
        .status();
    assert!(
        made.is_ok() && copied.is_ok_and(|status| status.success()),
        "{} is copied to {}",
        from.display(),
        to.display()
    );
}
