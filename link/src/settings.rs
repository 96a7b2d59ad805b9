//! What a link is to be like.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rate::Rate;

/// The path between every two hosts of a network, the same in both directions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkSettings {
    /// Round-trip time without queueing: each direction delays by half of it.
    pub rtt: Duration,
    /// A packet's delay in one direction differs from half the round-trip time by up to this much, evenly distributed.
    /// Packets do not overtake each other.
    pub jitter: Duration,
    /// Probability that a packet is lost, in each direction, independently of others.
    pub loss: f64,
    /// Bottleneck in each direction; `None` when the path passes whatever comes.
    pub rate: Option<Rate>,
    /// Packets that may wait for the bottleneck; one that comes when so many wait is dropped.
    pub queue: usize,
    /// Octets of the largest IP packet.
    pub mtu: u32,
    /// Segments that a TCP sender may send before the first acknowledgement.
    pub initcwnd: u32,
    /// The kernel's congestion control for connections over the link.
    pub congestion_control: String,
}

impl LinkSettings {
    /// A path without loss or bottleneck, with an Ethernet's MTU and what Linux does by default.
    pub fn with_rtt(rtt: Duration) -> Self {
        Self {
            rtt,
            jitter: Duration::ZERO,
            loss: 0.0,
            rate: None,
            queue: 256,
            mtu: 1500,
            initcwnd: 10,
            congestion_control: "cubic".to_owned(),
        }
    }
}
