//! A network function's process: started supervised, heard by its events, stopped by closing its standard input.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use experiment::scenario::Nf;
use link::Host;
use sbi::process::Event;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::folder::ProcessFiles;
use super::targets::{Announced, Announcement};

/// How long a process may take to drain.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
/// Events that may wait to be heard; a load generator tells one a second.
const EVENT_QUEUE: usize = 1024;
/// Lines of a log that are shown when its process ends.
const LOG_TAIL: usize = 8;

/// Why a process does not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// It was not started.
    #[error("{name} was not started")]
    NotStarted {
        /// Which process.
        name: &'static str,
    },
    /// It cannot be started, or talked to.
    #[error("{name}: cannot {doing}")]
    System {
        /// Which process.
        name: &'static str,
        /// What was attempted.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// It said why it cannot go on.
    #[error("{name}: {error}")]
    Failed {
        /// Which process.
        name: &'static str,
        /// What it said.
        error: String,
    },
    /// It ended.
    #[error("{name} ended unexpectedly ({status}); its log {} ends:\n{tail}", log.display())]
    Ended {
        /// Which process.
        name: &'static str,
        /// How.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// It took too long.
    #[error("{name} was not ready within {waited:?}; its log {} ends:\n{tail}", log.display())]
    Timeout {
        /// Which process.
        name: &'static str,
        /// How long it was waited for.
        waited: Duration,
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
}

/// A supervised process. Dropping it kills the process.
pub struct Child {
    name: &'static str,
    process: tokio::process::Child,
    input: Option<ChildStdin>,
    arriving: mpsc::Receiver<Event>,
    heard: Vec<Event>,
    log: PathBuf,
    announcement: Announcement,
    /// Once the admin port is known.
    announced: Option<Announced>,
}

impl Child {
    /// Starts `binary nf --config <folder>/nf.toml --supervised`, with its log in the folder; on `host`, if there is
    /// one, otherwise where this process is. Its admin port is announced.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn spawn(
        nf: Nf,
        binary: &Path,
        files: &ProcessFiles,
        arguments: &[&str],
        host: Option<&Host>,
        announcement: Announcement,
    ) -> Result<Self, ChildError> {
        let name = nf.as_str();
        let failed = |doing| {
            move |source| ChildError::System {
                name,
                doing,
                source,
            }
        };
        let log = files.log(name);
        let log_file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(failed("write its log"))?;
        let mut command = Command::new(binary);
        command
            .arg(nf.command())
            .arg("--config")
            .arg(files.config(name))
            .arg("--supervised")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            // A group of its own: Ctrl-C at the terminal goes to the supervisor, which stops the lab in order.
            .process_group(0)
            .kill_on_drop(true);
        let spawned = match host {
            None => command.spawn(),
            Some(host) => {
                let runtime = tokio::runtime::Handle::current();
                host.namespace.run(|| {
                    let _entered = runtime.enter();
                    command.spawn()
                })
            }
        };
        let mut process = spawned.map_err(failed("start"))?;
        let input = process.stdin.take();
        let (sender, arriving) = mpsc::channel(EVENT_QUEUE);
        if let Some(output) = process.stdout.take() {
            tokio::spawn(async move {
                let mut lines = BufReader::new(output).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    match serde_json::from_str(&line) {
                        Ok(event) => {
                            if sender.send(event).await.is_err() {
                                return;
                            }
                        }
                        Err(error) => tracing::warn!(name, %error, line, "not an event"),
                    }
                }
            });
        }
        Ok(Self {
            name,
            process,
            input,
            arriving,
            heard: Vec::new(),
            log,
            announcement,
            announced: None,
        })
    }

    /// The next event.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// The process failed or ended.
    pub async fn next_event(&mut self) -> Result<Event, ChildError> {
        match self.arriving.recv().await {
            Some(Event::Failed { error }) => Err(ChildError::Failed {
                name: self.name,
                error,
            }),
            Some(event) => {
                if let Event::AdminListening { addr } = event {
                    self.announced = self.announcement.publish(addr);
                }
                // Answers may be large and many; only what tells a state is kept.
                if !matches!(event, Event::Answer { .. }) {
                    self.heard.push(event.clone());
                }
                Ok(event)
            }
            None => {
                let status = self.process.wait().await;
                let status = status.map_err(|source| ChildError::System {
                    name: self.name,
                    doing: "wait for its end",
                    source,
                })?;
                Err(ChildError::Ended {
                    name: self.name,
                    status,
                    log: self.log.clone(),
                    tail: self.tail(),
                })
            }
        }
    }

    /// Waits for an event, unless it was heard already.
    ///
    /// # Errors
    /// The process failed, ended or took too long.
    pub async fn await_event(
        &mut self,
        within: Duration,
        is_it: impl Fn(&Event) -> bool,
    ) -> Result<Event, ChildError> {
        if let Some(event) = self.heard.iter().find(|event| is_it(event)) {
            return Ok(event.clone());
        }
        let waiting = async {
            loop {
                let event = self.next_event().await?;
                if is_it(&event) {
                    return Ok(event);
                }
            }
        };
        match timeout(within, waiting).await {
            Ok(result) => result,
            Err(_) => Err(ChildError::Timeout {
                name: self.name,
                waited: within,
                log: self.log.clone(),
                tail: self.tail(),
            }),
        }
    }

    /// The last event heard of which `pick` makes something.
    pub fn seen<T>(&self, pick: impl Fn(&Event) -> Option<T>) -> Option<T> {
        self.heard.iter().rev().find_map(pick)
    }

    /// The events heard so far, answers left out.
    pub fn events(&self) -> &[Event] {
        &self.heard
    }

    /// Sends a command: one line.
    ///
    /// # Errors
    /// The process does not read any more.
    pub async fn command(&mut self, line: &str) -> Result<(), ChildError> {
        let name = self.name;
        let input = self.input.as_mut().ok_or(ChildError::NotStarted { name })?;
        let written = input.write_all(format!("{line}\n").as_bytes()).await;
        written.map_err(|source| ChildError::System {
            name,
            doing: "send a command",
            source,
        })
    }

    /// The process's ID, as long as it lives.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Kills the process at once (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// The system refuses.
    pub async fn kill(&mut self) -> Result<(), ChildError> {
        self.announced = None;
        self.process
            .kill()
            .await
            .map_err(|source| ChildError::System {
                name: self.name,
                doing: "kill",
                source,
            })
    }

    /// Closes the process's input, which makes it drain and end; kills it if it does not.
    pub async fn stop(mut self) {
        drop(self.input.take());
        // Nobody hears its last events; a full pipe must not keep it from ending.
        let draining = async { while self.arriving.recv().await.is_some() {} };
        let ended = timeout(STOP_TIMEOUT, async {
            tokio::join!(draining, self.process.wait())
        })
        .await;
        if ended.is_err() {
            tracing::warn!(name = self.name, "did not end in time, killing it");
            // Dropping kills it as well; this waits until it is gone.
            let _ = self.process.kill().await;
        }
    }

    fn tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL)..]
            .iter()
            .map(|line| format!("    {line}\n"))
            .collect()
    }
}
