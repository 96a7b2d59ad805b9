//! The packets that are under way between hosts.
//!
//! ```text
//!  packet of host i ──destination──> lane (i, j) ──Arrives(due)──> line (i, j) ──due──> host j
//! ```
//!
//! A line is in order of due times, because a lane never lets a packet overtake another. Anything that is not an IPv4
//! packet to another host of the network is undeliverable: kernels talk about IPv6 and multicast unasked.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::lane::{Fate, Lane};
use crate::settings::LinkSettings;

/// Octets that may be under way in one direction: more than windows of kernel TCP with its default buffers (6 MB a
/// connection) fill, and a bound on memory when a sender without congestion control meets a long delay.
const MAX_UNDER_WAY: usize = 64 << 20;
/// Where an IPv4 header has the destination (RFC 791 Section 3.1), and its least length.
const DESTINATION: std::ops::Range<usize> = 16..20;
const MIN_HEADER: usize = 20;

/// What a switch has done with packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handed to their destination.
    pub delivered: u64,
    /// Octets of those.
    pub octets: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Dropped before the bottleneck, whose queue was full.
    pub overflowed: u64,
    /// Dropped because too much was under way for this program: not part of any link.
    pub unbearable: u64,
    /// Not for a host of this network.
    pub undeliverable: u64,
}

/// The lines between all hosts.
#[derive(Debug)]
pub struct Switch {
    addresses: Vec<Ipv4Addr>,
    /// By source, then by destination.
    lines: Vec<Vec<Line>>,
    counts: Counts,
}

#[derive(Debug)]
struct Line {
    lane: Lane,
    under_way: VecDeque<(Duration, Vec<u8>)>,
    octets: usize,
}

impl Line {
    fn take_due(&mut self, now: Duration) -> Option<(Duration, Vec<u8>)> {
        let (due, _) = self.under_way.front()?;
        if *due > now {
            return None;
        }
        let taken = self.under_way.pop_front()?;
        self.octets -= taken.1.len();
        Some(taken)
    }
}

impl Switch {
    /// A switch between hosts with these addresses, each pair by links of its own. `seed` decides about loss and jitter.
    pub fn new(addresses: Vec<Ipv4Addr>, settings: &LinkSettings, seed: u64) -> Self {
        let hosts = addresses.len() as u64;
        let line = |source: u64, destination: u64| Line {
            lane: Lane::new(
                settings.clone(),
                // Lanes must not lose their packets in step.
                seed.wrapping_add(1 + source * hosts + destination)
                    .wrapping_mul(0xd134_2543_de82_ef95),
            ),
            under_way: VecDeque::new(),
            octets: 0,
        };
        let lines = (0..hosts)
            .map(|source| {
                (0..hosts)
                    .map(|destination| line(source, destination))
                    .collect()
            })
            .collect();
        Self {
            addresses,
            lines,
            counts: Counts::default(),
        }
    }

    /// Takes a packet that host `source` has sent at the time `now`.
    pub fn accept(&mut self, source: usize, now: Duration, packet: &[u8]) {
        let Some(destination) = self.destination(source, packet) else {
            self.counts.undeliverable += 1;
            return;
        };
        let line = &mut self.lines[source][destination];
        match line.lane.offer(now, packet.len()) {
            Fate::Lost => self.counts.lost += 1,
            Fate::Overflowed => self.counts.overflowed += 1,
            Fate::Arrives(_) if line.octets + packet.len() > MAX_UNDER_WAY => {
                self.counts.unbearable += 1;
            }
            Fate::Arrives(due) => {
                line.octets += packet.len();
                line.under_way.push_back((due, packet.to_vec()));
            }
        }
    }

    /// When the next packet is due; `None` when none is under way.
    pub fn next_due(&self) -> Option<Duration> {
        self.lines
            .iter()
            .flatten()
            .filter_map(|line| line.under_way.front().map(|(due, _)| *due))
            .min()
    }

    /// Hands every packet that is due to `deliver`: the host's position, when it was due, and the packet.
    pub fn deliver(&mut self, now: Duration, mut deliver: impl FnMut(usize, Duration, &[u8])) {
        for lines in &mut self.lines {
            for (destination, line) in lines.iter_mut().enumerate() {
                while let Some((due, packet)) = line.take_due(now) {
                    self.counts.delivered += 1;
                    self.counts.octets += packet.len() as u64;
                    deliver(destination, due, &packet);
                }
            }
        }
    }

    /// What was done so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    fn destination(&self, source: usize, packet: &[u8]) -> Option<usize> {
        let is_ipv4 = packet.len() >= MIN_HEADER && packet[0] >> 4 == 4;
        let octets: [u8; 4] = packet.get(DESTINATION)?.try_into().ok()?;
        let wanted = Ipv4Addr::from(octets);
        let found = self
            .addresses
            .iter()
            .position(|address| *address == wanted)?;
        (is_ipv4 && found != source).then_some(found)
    }
}
