//! The thread that carries packets between TUN devices.
//!
//! ```text
//!  loop: wait until a device has packets, or the next packet is due, or the network is dropped
//!        read every waiting packet ──> Switch ──> write every due packet
//! ```
//!
//! A millisecond timer would be coarser than what is measured. The thread waits with the kernel's high-resolution timers
//! and no slack, and runs before others that share its processor. How late it still was is counted with each packet.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use tappers::Tun;

use crate::settings::LinkSettings;
use crate::switch::{Counts, Switch};

/// Packets read from one device before the due ones are looked at again.
const BATCH: usize = 32;
/// The highest priority that is not real time: a link that waits for the hosts it connects would be another link.
const PRIORITY: i32 = -20;
/// A millisecond in nanoseconds, above which lateness is no longer told apart.
const MAX_LATENESS: u64 = 1_000_000_000;
/// Octets of the longest IP packet.
const MAX_PACKET: usize = 65_535;

/// A packet path between devices; dropping it ends its thread.
#[derive(Debug)]
pub struct Forwarder {
    /// Closing it wakes the thread up and ends it.
    alive: Option<io::PipeWriter>,
    thread: Option<JoinHandle<()>>,
    told: Arc<Mutex<Told>>,
}

/// What the thread tells others.
#[derive(Debug)]
struct Told {
    counts: Counts,
    lateness: Histogram<u64>,
    unwritten: u64,
}

/// What a path has carried so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// Packets that reached their host.
    pub delivered: u64,
    /// Octets of those.
    pub octets: u64,
    /// Packets lost by the link's loss.
    pub lost: u64,
    /// Packets dropped by the bottleneck's queue.
    pub overflowed: u64,
    /// Packets that this machine failed to carry; a link has none of those.
    pub failed: u64,
    /// How much later than due packets were delivered, median, in microseconds.
    pub late_us_p50: f64,
    /// How late 99 % of packets were at most, in microseconds.
    pub late_us_p99: f64,
    /// The latest.
    pub late_us_max: f64,
}

impl Forwarder {
    /// Starts carrying packets between devices, which are those of hosts with these addresses.
    ///
    /// # Errors
    /// The system refuses a thread or pipe.
    pub fn start(
        devices: Vec<(Ipv4Addr, Tun)>,
        settings: &LinkSettings,
        seed: u64,
    ) -> io::Result<Self> {
        let (addresses, mut devices): (Vec<_>, Vec<_>) = devices.into_iter().unzip();
        for device in &mut devices {
            device.set_nonblocking(true)?;
        }
        let lateness = Histogram::new_with_bounds(1, MAX_LATENESS, 3).map_err(io::Error::other)?;
        let told = Arc::new(Mutex::new(Told {
            counts: Counts::default(),
            lateness,
            unwritten: 0,
        }));
        let (end, alive) = io::pipe()?;
        let path = Path {
            devices,
            switch: Switch::new(addresses, settings, seed),
            epoch: Instant::now(),
            told: told.clone(),
            end,
        };
        let thread = thread::Builder::new()
            .name("link".to_owned())
            .spawn(move || path.carry())?;
        Ok(Self {
            alive: Some(alive),
            thread: Some(thread),
            told,
        })
    }

    /// What was carried since the start.
    pub fn carried(&self) -> Carried {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let late = |quantile| told.lateness.value_at_quantile(quantile) as f64 / 1000.0;
        Carried {
            delivered: told.counts.delivered,
            octets: told.counts.octets,
            lost: told.counts.lost,
            overflowed: told.counts.overflowed,
            failed: told.counts.unbearable + told.unwritten,
            late_us_p50: late(0.5),
            late_us_p99: late(0.99),
            late_us_max: late(1.0),
        }
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed by it.
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct Path {
    devices: Vec<Tun>,
    switch: Switch,
    epoch: Instant,
    told: Arc<Mutex<Told>>,
    end: io::PipeReader,
}

impl Path {
    fn carry(mut self) {
        take_precedence();
        let mut packet = vec![0; MAX_PACKET];
        loop {
            match self.wait() {
                Ok(Woken::Ended) => return,
                Ok(Woken::Work) => {}
                Err(error) => {
                    tracing::error!(%error, "the link cannot wait for packets, stopping");
                    return;
                }
            }
            self.read(&mut packet);
            self.write();
        }
    }

    fn wait(&self) -> io::Result<Woken> {
        let next_due = self.switch.next_due();
        let left = next_due.map(|due| due.saturating_sub(self.epoch.elapsed()));
        let devices = self.devices.iter().map(AsFd::as_fd);
        let mut watched: Vec<_> = devices
            .chain([self.end.as_fd()])
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        wait(&mut watched, left)?;
        let ended = watched.last().is_some_and(|end| !end.revents().is_empty());
        Ok(if ended { Woken::Ended } else { Woken::Work })
    }

    fn read(&mut self, packet: &mut [u8]) {
        for (host, device) in self.devices.iter().enumerate() {
            for _ in 0..BATCH {
                // An empty device and a device that is down are the same here: nothing to carry.
                let Ok(octets) = device.recv(packet) else {
                    break;
                };
                let now = self.epoch.elapsed();
                self.switch.accept(host, now, &packet[..octets]);
            }
        }
    }

    fn write(&mut self) {
        let Self {
            devices,
            switch,
            epoch,
            told,
            ..
        } = self;
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = epoch.elapsed();
        switch.deliver(now, |host, due, packet| {
            if devices[host].send(packet).is_err() {
                told.unwritten += 1;
            }
            let late = epoch.elapsed().saturating_sub(due);
            told.lateness
                .saturating_record(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
        });
        told.counts = switch.counts();
    }
}

enum Woken {
    Work,
    Ended,
}

/// Waits until a descriptor is ready or so much time has passed; a signal may end it early.
pub(crate) fn wait(watched: &mut [PollFd<'_>], left: Option<Duration>) -> io::Result<()> {
    let timeout = left.map(|left| Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    });
    match poll(watched, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Lets the calling thread run at once when it has something to do. What the system refuses makes packets later, which is
/// counted.
pub(crate) fn take_precedence() {
    let slack = std::num::NonZeroU64::MIN;
    if let Err(error) = rustix::thread::set_current_timer_slack(Some(slack)) {
        tracing::warn!(%error, "cannot make the link's timers more precise");
    }
    // On Linux, "the calling process" is the calling thread here.
    if let Err(error) = rustix::process::setpriority_process(None, PRIORITY) {
        tracing::warn!(%error, "cannot raise the link's priority");
    }
}
