//! The path between network functions in a run with `[link]`: as asked for, as measured before the load, and what it
//! carried.

use std::fmt;
use std::time::Duration;

use link::forwarder::Carried;
use link::{LinkSettings, Measured, Rate};
use serde::{Deserialize, Serialize};

use super::Violation;

/// One percent of packets later than this share of the one-way delay, and than [`LATE_US`], make a warning.
const LATE_SHARE: f64 = 0.05;
const LATE_US: f64 = 500.0;

/// The links of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkResult {
    /// What the scenario asks for.
    pub configured: ConfiguredLink,
    /// What was measured between the hosts before the lab started. A run whose link is off tolerance has no results.
    pub measured: Measured,
    /// What the links carried from the lab's start to its end.
    pub carried: Carried,
}

/// `[link]` with its defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfiguredLink {
    /// Round-trip time without queueing, in milliseconds.
    pub rtt_ms: f64,
    /// How much a packet's one-way delay differs from half of it at most, in milliseconds.
    pub jitter_ms: f64,
    /// Probability that a packet is lost, in each direction.
    pub loss: f64,
    /// Bottleneck in each direction, in bits per second.
    pub rate_bits_per_second: Option<u64>,
    /// Packets that may wait for the bottleneck, if there is one.
    pub queue: Option<usize>,
    /// Octets of the largest IP packet.
    pub mtu: u32,
    /// Initial congestion window in segments.
    pub initcwnd: u32,
    /// Congestion control.
    pub congestion_control: String,
}

impl LinkResult {
    pub(super) fn violations(&self) -> Option<Violation> {
        let count = self.carried.failed;
        (count > 0).then_some(Violation::LinkFailed { count })
    }

    pub(super) fn warnings(&self) -> Option<String> {
        let late = self.carried.late_us_p99;
        let bound = (self.configured.rtt_ms * 500.0 * LATE_SHARE).max(LATE_US);
        (late > bound).then(|| {
            format!(
                "the emulated link delivered 1 % of packets more than {late:.0} µs late: this machine was too busy, and \
                 times are longer by that"
            )
        })
    }

    /// Octets of payload that a server may send before the first acknowledgement.
    pub fn initial_window(&self) -> u64 {
        u64::from(self.measured.tcp.mss) * u64::from(self.measured.tcp.initcwnd)
    }
}

impl From<&LinkSettings> for ConfiguredLink {
    fn from(settings: &LinkSettings) -> Self {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let LinkSettings {
            rtt,
            jitter,
            loss,
            rate,
            queue,
            mtu,
            initcwnd,
            congestion_control,
        } = settings;
        Self {
            rtt_ms: milliseconds(*rtt),
            jitter_ms: milliseconds(*jitter),
            loss: *loss,
            rate_bits_per_second: rate.map(Rate::as_bits_per_second),
            queue: rate.map(|_| *queue),
            mtu: *mtu,
            initcwnd: *initcwnd,
            congestion_control: congestion_control.clone(),
        }
    }
}

/// One line: what the path is, without what is not there.
impl fmt::Display for ConfiguredLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "emulated links, round trip {} ms", self.rtt_ms)?;
        if self.jitter_ms > 0.0 {
            write!(f, ", jitter {} ms", self.jitter_ms)?;
        }
        if self.loss > 0.0 {
            write!(f, ", loss {} %", self.loss * 100.0)?;
        }
        if let Some(rate) = self.rate_bits_per_second {
            write!(f, ", {}/s", Rate::bits_per_second(rate))?;
        }
        write!(
            f,
            ", MTU {}, initial window {} segments",
            self.mtu, self.initcwnd
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_what_there_is() {
        let mut settings = LinkSettings::with_rtt(Duration::from_millis(20));
        assert_eq!(
            ConfiguredLink::from(&settings).to_string(),
            "emulated links, round trip 20 ms, MTU 1500, initial window 10 segments"
        );
        settings.jitter = Duration::from_micros(1500);
        settings.loss = 0.01;
        settings.rate = Some(Rate::bits_per_second(50_000_000));
        assert_eq!(
            ConfiguredLink::from(&settings).to_string(),
            "emulated links, round trip 20 ms, jitter 1.5 ms, loss 1 %, 50Mbit/s, MTU 1500, initial window 10 segments"
        );
    }
}
