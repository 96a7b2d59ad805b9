//! The built `mtc5g` command as its user runs it: bounded in time, heard line by line, its processes found again.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines};
use tokio::process::{ChildStderr, ChildStdout, Command};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long anything may take: far more than it does, so that only what hangs is caught.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The command's file: cargo builds it before the tests of `lab`, and puts it two folders above them.
///
/// # Panics
/// Called from anything else.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the system knows the running program");
    let built = test
        .ancestors()
        .nth(2)
        .expect("tests are in target/<profile>/deps");
    let command = built.join("mtc5g");
    assert!(command.is_file(), "{} was built", command.display());
    command
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it said on standard error.
    pub stderr: String,
}

impl Ended {
    /// Its exit status; none if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The one message in which the command says why it failed.
    pub fn error(&self) -> &str {
        let mut errors = self
            .stderr
            .match_indices("error: ")
            .filter(|(at, _)| *at == 0 || self.stderr[..*at].ends_with('\n'));
        let (start, _) = errors
            .next()
            .unwrap_or_else(|| panic!("no error in {self:?}"));
        assert_eq!(errors.next(), None, "one message, not {}", self.stderr);
        &self.stderr[start..]
    }
}

/// Runs the command to its end.
pub async fn mtc5g<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    Started::new(arguments).end().await
}

/// A command that runs. Dropping it kills it.
pub struct Started {
    process: tokio::process::Child,
    stdout: Heard<ChildStdout>,
    stderr: Heard<ChildStderr>,
}

impl Started {
    /// Starts the command.
    pub fn new<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self::with(arguments, [])
    }

    /// The same with more variables in its environment.
    pub fn with<A: AsRef<OsStr>, const N: usize>(
        arguments: impl IntoIterator<Item = A>,
        variables: [(&str, &OsStr); N],
    ) -> Self {
        let mut process = Command::new(binary())
            .args(arguments)
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the built command starts");
        Self {
            stdout: Heard::new(process.stdout.take().expect("stdout is piped")),
            stderr: Heard::new(process.stderr.take().expect("stderr is piped")),
            process,
        }
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        let id = self.process.id().expect("the command runs");
        Pid::from_raw(id.cast_signed()).expect("a process ID is not 0")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the command runs");
    }

    /// Waits for a line on standard output that contains `text`.
    pub async fn prints(&mut self, text: &str) {
        within(self.stdout.until(text)).await;
    }

    /// Waits for a line on standard error that contains `text`.
    pub async fn says(&mut self, text: &str) {
        within(self.stderr.until(text)).await;
    }

    /// Waits for the end while nobody reads what it prints.
    pub async fn exits(&mut self) -> ExitStatus {
        let status = within(self.process.wait()).await;
        status.expect("the system tells how a process ended")
    }

    /// Waits for the end.
    pub async fn end(mut self) -> Ended {
        let (stdout, stderr) = (self.stdout.rest(), self.stderr.rest());
        let (stdout, stderr, status) =
            within(async { tokio::join!(stdout, stderr, self.process.wait()) }).await;
        Ended {
            status: status.expect("the system tells how a process ended"),
            stdout,
            stderr,
        }
    }
}

/// An output, and what was heard of it.
struct Heard<S> {
    lines: Lines<BufReader<S>>,
    text: String,
}

impl<S: AsyncRead + Unpin> Heard<S> {
    fn new(stream: S) -> Self {
        Self {
            lines: BufReader::new(stream).lines(),
            text: String::new(),
        }
    }

    async fn next(&mut self) -> Option<&str> {
        let line = self.lines.next_line().await.expect("output is text")?;
        let start = self.text.len();
        self.text.push_str(&line);
        self.text.push('\n');
        Some(&self.text[start..])
    }

    async fn until(&mut self, wanted: &str) {
        while let Some(line) = self.next().await {
            if line.contains(wanted) {
                return;
            }
        }
        panic!("it ended without {wanted:?}: {}", self.text);
    }

    async fn rest(mut self) -> String {
        while self.next().await.is_some() {}
        self.text
    }
}

/// What a future yields, which must not take longer than [`PATIENCE`].
pub async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("nothing hangs")
}

/// The network function processes that run with a configuration below `folder`.
pub fn processes_of(folder: &Path) -> Vec<Pid> {
    let folder = folder.to_str().expect("temporary folders are text");
    let is_ours = |pid: &Pid| {
        // A process that has ended has no command line.
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains("--config") && line.contains(folder)
    };
    std::fs::read_dir("/proc")
        .expect("/proc is there")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(is_ours)
        .collect()
}

/// Waits until the processes of [`processes_of`] have ended, which nobody here started.
pub async fn await_end_of(folder: &Path) {
    let limit = Timespec::try_from(PATIENCE).expect("a short time");
    for pid in processes_of(folder) {
        // One that cannot be opened has ended meanwhile.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
            continue;
        };
        let wait = move || poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit));
        let ended = spawn_blocking(wait).await.expect("waiting does not panic");
        assert_eq!(ended, Ok(1), "process {pid} ends in time");
    }
}
