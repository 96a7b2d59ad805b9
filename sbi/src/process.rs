//! The life of a network function's process: what it tells whoever started it, and when it stops.
//!
//! ```text
//!  mtc5g run ──stdin──> lines: orders, commands; end of file: stop (only when supervised)
//!            <──stdout── events, a JSON object a line
//!            ──SIGTERM, SIGINT, SIGQUIT, SIGHUP──> stop
//! ```
//!
//! A supervised process ends when its standard input does, so it cannot outlive a supervisor that was killed.

use std::future::poll_fn;
use std::io::Write;
use std::net::SocketAddr;
use std::task::Poll;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use crate::orders::{OrderSource, Orders};

/// Commands that may wait; a supervisor sends one at a time.
const MAX_COMMANDS: usize = 16;

/// What a process tells its supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A witness takes requests.
    WitnessListening {
        /// Where.
        addr: SocketAddr,
    },
    /// The mirror's endpoint takes requests.
    MirrorListening {
        /// Where.
        addr: SocketAddr,
    },
    /// The process takes requests on its admin port.
    AdminListening {
        /// Where.
        addr: SocketAddr,
    },
    /// An NF instance takes requests on its SBI port.
    SbiListening {
        /// The FQDN of the NF instance.
        instance: String,
        /// Where.
        addr: SocketAddr,
    },
    /// A sidecar takes connections at one of its ports.
    SidecarListening {
        /// Which: `inbound` or `outbound`, and its place among those of the configuration, from 1.
        port: String,
        /// Where: an address, or `unix:` and a path.
        addr: String,
    },
    /// Everything is enrolled, registered and has trust state.
    Ready {
        /// The NF type.
        nf_type: String,
    },
    /// An instance that was ordered to has new certificates and is registered again.
    ReEnrolled {
        /// The FQDN of the NF instance.
        instance: String,
    },
    /// Another list of revoked serial numbers is in force.
    Revoked {
        /// Its number.
        number: u64,
    },
    /// A command's answer, as the NF defines it.
    Answer {
        /// Its JSON.
        value: serde_json::Value,
    },
    /// The process cannot go on, or not with what it is for.
    Failed {
        /// One line: what failed, why, and what to do.
        error: String,
    },
}

/// Tells events: to a supervisor on standard output, otherwise to the log.
#[derive(Clone, Debug)]
pub struct Events {
    supervised: bool,
}

impl Events {
    /// Events of a process that is supervised or not.
    pub const fn new(supervised: bool) -> Self {
        Self { supervised }
    }

    /// Tells an event.
    pub fn tell(&self, event: &Event) {
        let line = serde_json::to_string(event).expect("events have string keys and do not fail");
        if !self.supervised {
            tracing::info!("{line}");
            return;
        }
        let mut stdout = std::io::stdout().lock();
        // A supervisor that is gone closes standard input too, which ends the process.
        let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    }
}

/// When to stop, and commands that came before.
#[derive(Debug)]
pub struct Control {
    /// Turns true when the process is to stop.
    pub stop: Stop,
    /// Orders on standard input; none when not supervised.
    pub orders: Orders,
    /// Other lines on standard input; none when not supervised.
    pub commands: mpsc::Receiver<String>,
}

/// Tells whether to stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A stop signal and the sender that raises it.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Completes when the process is to stop. Dropping the future loses nothing.
    pub async fn requested(&mut self) {
        // A sender that is gone will never ask again: whoever held it has ended.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// As [`Self::requested`], for a task of its own.
    pub async fn wait(mut self) {
        self.requested().await;
    }
}

impl Control {
    /// Listens to signals, and to standard input when supervised.
    ///
    /// # Errors
    /// The system refuses a signal handler.
    pub fn new(supervised: bool) -> std::io::Result<Self> {
        let (raise, stop) = Stop::new();
        let (sender, commands) = mpsc::channel(MAX_COMMANDS);
        let (source, orders) = Orders::new();
        let interrupted = interrupted()?;
        tokio::spawn(async move {
            tokio::select! {
                () = interrupted => {}
                () = read_input(sender, source), if supervised => {}
            }
            raise.send_replace(true);
        });
        Ok(Self {
            stop,
            orders,
            commands,
        })
    }
}

/// Hears what asks the process to stop, from the call on: Ctrl-C, SIGTERM, SIGQUIT, and SIGHUP of a terminal that is gone
/// unless it is ignored, as below nohup. Completes on the first.
///
/// # Errors
/// The system refuses a signal handler; the signal ends the process then.
pub fn interrupted() -> std::io::Result<impl Future<Output = ()> + Send + use<>> {
    let hangup = (!hangup_is_ignored()).then(SignalKind::hangup);
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::quit(),
    ];
    let mut signals = kinds
        .into_iter()
        .chain(hangup)
        .map(signal)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(poll_fn(move |context| {
        let came = signals
            .iter_mut()
            .any(|signal| signal.poll_recv(context).is_ready());
        if came { Poll::Ready(()) } else { Poll::Pending }
    }))
}

/// Whether whoever started this process wants it to outlive its terminal. Its children inherit that.
pub fn hangup_is_ignored() -> bool {
    // SIGHUP is the first signal; the mask is hexadecimal, the first signal its last bit.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 1)
}

/// Hands on orders and other lines until standard input ends.
///
/// On a thread of its own: tokio reads standard input on a thread that its runtime waits for, so a process that stops for
/// another reason would go on until its supervisor closed the pipe.
async fn read_input(commands: mpsc::Sender<String>, orders: OrderSource) {
    let (end, ended) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(order) => orders.give(order),
                // Nobody listens for commands: the end of input still matters.
                Err(_) => drop(commands.blocking_send(line)),
            }
        }
        drop(end);
    });
    // The sender is dropped and never sends.
    let _ = ended.await;
}
