//! `mtc5g link`: a command on a host whose packets to its neighbours are late; what a container does when links are wanted.

use std::fmt;
use std::io;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use link::{AccessError, AccessLink, LinkSettings, Rate};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::exit::{COULD_NOT_RUN, fail, interrupted};
use super::output::usage;
use experiment::environment::LINK_VARIABLE;
use experiment::scenario::parse_duration;

/// As in a scenario's `[link]`.
const LONGEST_RTT: Duration = Duration::from_secs(2);
const MOST_LOSS: f64 = 0.2;
/// What shells say of a command that a signal ended.
const SIGNALLED: i32 = 128;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct LinkArguments {
    /// Round-trip time between two hosts that both have such a link: each adds half of it. 0ms for no link
    #[arg(long, value_name = "TIME", value_parser = rtt)]
    rtt: Duration,
    /// Largest difference between a packet's delay and half of --rtt
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = rtt)]
    jitter: Duration,
    /// Probability that a packet is lost, up to 0.2
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = loss)]
    loss: f64,
    /// Rate limit for what this host sends, such as 100Mbit
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Network device that leads to the other hosts
    #[arg(long, value_name = "NAME", default_value = "eth0")]
    device: String,
    /// User and group ID to run the command as; it needs no privileges
    #[arg(long, value_name = "ID")]
    user: Option<u32>,
    /// Seed of loss and jitter
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The command
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("--jitter must be at most half of --rtt, the delay of one direction")]
struct JitterTooLong;

#[derive(Debug, thiserror::Error)]
enum LinkedError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("cannot start {command}")]
    Start { command: String, source: io::Error },
    #[error("cannot wait for the command")]
    Wait(#[source] io::Error),
}

fn rtt(text: &str) -> Result<Duration, String> {
    let rtt = parse_duration(text).map_err(|error| error.to_string())?;
    if rtt > LONGEST_RTT {
        return Err(format!("{text} is more than {LONGEST_RTT:?}"));
    }
    Ok(rtt)
}

fn loss(text: &str) -> Result<f64, String> {
    let loss: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=MOST_LOSS).contains(&loss) {
        return Ok(loss);
    }
    Err(format!("{text} is not from 0 to {MOST_LOSS}"))
}

/// The link in words.
impl fmt::Display for LinkArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round trip {:?}", self.rtt)?;
        if !self.jitter.is_zero() {
            write!(f, ", jitter {:?}", self.jitter)?;
        }
        if self.loss > 0.0 {
            write!(f, ", loss {}", self.loss)?;
        }
        if let Some(rate) = self.rate {
            write!(f, ", {rate}/s")?;
        }
        Ok(())
    }
}

impl LinkArguments {
    pub(super) async fn run(self) -> ExitCode {
        if self.jitter > self.rtt / 2 {
            return usage(&JitterTooLong, "link");
        }
        match self.linked().await {
            Ok(status) => exit_code(status),
            Err(error) => fail(&error),
        }
    }

    async fn linked(self) -> Result<ExitStatus, LinkedError> {
        let settings = LinkSettings {
            jitter: self.jitter,
            loss: self.loss,
            rate: self.rate,
            ..LinkSettings::with_rtt(self.rtt)
        };
        let plain = LinkSettings::with_rtt(Duration::ZERO);
        let link = (settings != plain)
            .then(|| AccessLink::start(&self.device, &settings, self.seed))
            .transpose()?;
        let mut command = self.command.iter();
        let program = command.next().map_or("", String::as_str);
        let mut starting = Command::new(program);
        starting.args(command).kill_on_drop(true);
        if link.is_some() {
            starting.env(LINK_VARIABLE, self.to_string());
        }
        if let Some(user) = self.user {
            starting.uid(user).gid(user);
        }
        let child = starting.spawn().map_err(|source| LinkedError::Start {
            command: program.to_owned(),
            source,
        })?;
        let status = obey(child).await.map_err(LinkedError::Wait);
        drop(link);
        status
    }
}

/// Waits for the command; what asks this process to stop is passed on.
async fn obey(mut child: Child) -> io::Result<ExitStatus> {
    let pid = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    loop {
        tokio::select! {
            status = child.wait() => return status,
            () = interrupted() => if let Some(pid) = pid {
                // It may have ended at this moment.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| SIGNALLED + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .map_or_else(|| ExitCode::from(COULD_NOT_RUN), ExitCode::from)
}
