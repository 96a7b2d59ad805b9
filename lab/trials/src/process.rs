//! A network function as a process: heard by its events, killed or stopped, measured from outside.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use lab::topology::LabFolder;
use sbi::process::Event;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::command::{PATIENCE, binary};

/// Lines of a log that a violation quotes.
const TAIL: usize = 12;

/// A started network function. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    events: Lines<BufReader<ChildStdout>>,
    /// Where its SBI is, once it has told.
    sbi: Option<SocketAddr>,
    log: PathBuf,
}

/// How a process ended that was waited for.
pub(crate) struct Ended {
    /// What it said last as an event.
    pub(crate) error: Option<String>,
    /// How the system tells it.
    pub(crate) status: String,
}

impl Process {
    /// Starts `mtc5g NAME --config ... --supervised ARGUMENTS`. Its log grows over its restarts.
    pub(crate) fn start(
        folder: &LabFolder,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, String)],
        descriptors: Option<u64>,
    ) -> Self {
        let log = folder.log_file(name);
        let log_file = File::options().create(true).append(true).open(&log);
        let mut command = match descriptors {
            None => Command::new(binary()),
            // A process of this program's own could only be limited by what Rust calls unsafe.
            Some(limit) => {
                let mut shell = Command::new("sh");
                let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
                shell.arg("-c").arg(script).arg(binary());
                shell
            }
        };
        let mut child = command
            .arg(name)
            .arg("--config")
            .arg(folder.config_file(name))
            .arg("--supervised")
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file.expect("logs can be written"))
            .kill_on_drop(true)
            .spawn()
            .expect("the command starts");
        let output = child.stdout.take().expect("standard output is piped");
        Self {
            input: child.stdin.take(),
            events: BufReader::new(output).lines(),
            sbi: None,
            child,
            log,
        }
    }

    /// Waits for an event, or the process's end.
    ///
    /// # Errors
    /// How it ended.
    pub(crate) async fn until(&mut self, is_it: impl Fn(&Event) -> bool) -> Result<(), Ended> {
        let mut error = None;
        let waiting = async {
            // A process under trial may be cut off in the middle of a line.
            while let Ok(Some(line)) = self.events.next_line().await {
                match serde_json::from_str(&line) {
                    Ok(Event::Failed { error: told }) => error = Some(told),
                    Ok(event) => {
                        if let Event::SbiListening { addr, .. } = event {
                            self.sbi = Some(addr);
                        }
                        if is_it(&event) {
                            return true;
                        }
                    }
                    Err(_) => {}
                }
            }
            false
        };
        match timeout(PATIENCE, waiting).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Ended {
                error,
                status: self.wait().await,
            }),
            Err(_) => {
                self.kill().await;
                Err(Ended {
                    error,
                    status: format!("neither ready nor ended after {PATIENCE:?}"),
                })
            }
        }
    }

    async fn wait(&mut self) -> String {
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "its output has ended and it has not".to_owned(),
        }
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        // One that has ended already cannot be killed.
        let _ = self.child.kill().await;
    }

    /// Closes its input, which makes it drain and end; its exit status.
    pub(crate) async fn stop(&mut self) -> String {
        drop(self.input.take());
        self.wait().await
    }

    /// Whether it runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Where its SBI is, if it has told while it was waited for.
    pub(crate) const fn sbi(&self) -> Option<SocketAddr> {
        self.sbi
    }

    /// The end of its log.
    pub(crate) fn tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n    ")
    }
}

/// `VmRSS` of a process in KiB; 0 if there is none.
pub(crate) fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap_or(0)
}
