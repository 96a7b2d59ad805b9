//! What a network's links really are, measured from host to host before anything depends on them.
//!
//! ```text
//!  every pair:  pings, one at a time             ──> round-trip time
//!               a train of small packets, echoed ──> loss, both directions
//!  first pair:  more than the bottleneck passes  ──> rate            (only where there is one)
//!               a TCP connection                 ──> segment size, initial window, congestion control
//! ```
//!
//! [`Measured::judge`] compares with what was asked for. Its tolerances are those of the method, stated at the constants.

use std::io;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::network::{Host, Network};
use crate::settings::LinkSettings;

mod echo;
mod flood;
mod tcp;

pub use tcp::TcpFacts;

/// Pairs that are measured: all of a lab's; the lanes of a larger network are made alike.
const MAX_PAIRS: usize = 16;
/// Two wake-ups of the forwarder and four of the hosts, on processors that others use too.
const RTT_TOLERANCE: Duration = Duration::from_micros(500);
/// Of the round-trip time.
const RTT_SHARE: f64 = 0.05;
/// Of the rate.
const RATE_SHARE: f64 = 0.05;
/// Standard deviations of a binomial count: one correct link in 150,000 is refused.
const LOSS_DEVIATIONS: f64 = 4.5;
/// Octets of the IP and TCP headers of a segment, without and with the timestamp option (RFC 7323).
const SEGMENT_HEADERS: [u32; 2] = [40, 52];

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Round-trip times of pings over all pairs, in milliseconds.
    pub rtt_ms: Quantiles,
    /// Packets that were counted for loss, both directions, all pairs.
    pub loss_sent: u64,
    /// How many of those did not arrive.
    pub loss_lost: u64,
    /// Bits per second that passed the bottleneck in one direction; `None` where there is none.
    pub rate_bits_per_second: Option<f64>,
    /// What the kernel says about a new TCP connection.
    pub tcp: TcpFacts,
}

/// Quantiles of a few measurements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// How many.
    pub count: usize,
    /// Smallest.
    pub min: f64,
    /// Median.
    pub p50: f64,
    /// Largest.
    pub max: f64,
}

/// A link that is not what was asked for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OffTolerance {
    /// Round-trip time.
    #[error("round-trip time is {measured:.3} ms, not {wanted:.3} ± {tolerance:.3} ms")]
    Rtt {
        /// Median, in milliseconds.
        measured: f64,
        /// In milliseconds.
        wanted: f64,
        /// In milliseconds.
        tolerance: f64,
    },
    /// Loss.
    #[error(
        "{lost} of {sent} packets were lost; with a loss of {wanted} it is {expected:.1} ± {tolerance:.1}"
    )]
    Loss {
        /// How many were lost.
        lost: u64,
        /// Of how many.
        sent: u64,
        /// The probability.
        wanted: f64,
        /// That probability's mean.
        expected: f64,
        /// Packets.
        tolerance: f64,
    },
    /// Rate.
    #[error("{measured:.0} bit/s arrive, not {wanted:.0} ± 5 %")]
    Rate {
        /// Bits per second.
        measured: f64,
        /// Bits per second: the link's rate without what its loss takes away.
        wanted: f64,
    },
    /// A property of new TCP connections.
    #[error("{what} of a new TCP connection is {measured}, not {wanted}")]
    Tcp {
        /// Which.
        what: &'static str,
        /// What it is.
        measured: String,
        /// What it should be.
        wanted: String,
    },
}

/// Why a network cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The system refuses a socket, a thread or the command `ss`.
    #[error("cannot measure the link from {from} to {to}")]
    System {
        /// A host's name.
        from: String,
        /// A host's name.
        to: String,
        /// What the system says.
        source: io::Error,
    },
    /// No ping was answered.
    #[error("no ping was answered: the link carries nothing")]
    Nothing,
    /// A network of fewer than two hosts has no link.
    #[error("a network of fewer than two hosts has no link")]
    NoPair,
}

/// Measures the links of a network. Blocks for some seconds.
///
/// # Errors
/// [`ProbeError`].
pub fn measure(network: &Network) -> Result<Measured, ProbeError> {
    let settings = network.settings();
    let pairs = pairs(network.hosts());
    let [(from, to), ..] = pairs[..] else {
        return Err(ProbeError::NoPair);
    };
    let pings = on_all(&pairs, |from, to| echo::pings(from, to, settings))?;
    let trains = on_all(&pairs, |from, to| echo::train(from, to, settings))?;
    let failed = |source| failed(from, to, source);
    let rate = settings
        .rate
        .map(|rate| flood::rate(from, to, settings, rate));
    let rtt_ms: Vec<f64> = pings
        .into_iter()
        .flatten()
        .map(|rtt| rtt.as_secs_f64() * 1000.0)
        .collect();
    Ok(Measured {
        rtt_ms: Quantiles::of(rtt_ms).ok_or(ProbeError::Nothing)?,
        loss_sent: trains.iter().map(|train| train.sent).sum(),
        loss_lost: trains.iter().map(|train| train.lost).sum(),
        rate_bits_per_second: rate.transpose().map_err(failed)?,
        tcp: tcp::facts(from, to).map_err(failed)?,
    })
}

impl Measured {
    /// Everything that is not what `settings` ask for.
    pub fn judge(&self, settings: &LinkSettings) -> Vec<OffTolerance> {
        let mut off = Vec::new();
        off.extend(self.judge_rtt(settings));
        off.extend(self.judge_loss(settings));
        off.extend(self.judge_rate(settings));
        off.extend(self.tcp.judge(settings));
        off
    }

    fn judge_rtt(&self, settings: &LinkSettings) -> Option<OffTolerance> {
        let mut rtt = settings.rtt;
        if let Some(rate) = settings.rate {
            rtt += rate.time_of(echo::PACKET) * 2;
        }
        let tolerance = RTT_TOLERANCE + rtt.mul_f64(RTT_SHARE) + settings.jitter;
        let [wanted, tolerance] = [rtt, tolerance].map(|time| time.as_secs_f64() * 1000.0);
        let measured = self.rtt_ms.p50;
        ((measured - wanted).abs() > tolerance).then_some(OffTolerance::Rtt {
            measured,
            wanted,
            tolerance,
        })
    }

    fn judge_loss(&self, settings: &LinkSettings) -> Option<OffTolerance> {
        let (sent, wanted) = (self.loss_sent, settings.loss);
        let expected = sent as f64 * wanted;
        let tolerance = LOSS_DEVIATIONS * (expected * (1.0 - wanted)).sqrt();
        let difference = (self.loss_lost as f64 - expected).abs();
        (difference > tolerance).then_some(OffTolerance::Loss {
            lost: self.loss_lost,
            sent,
            wanted,
            expected,
            tolerance,
        })
    }

    fn judge_rate(&self, settings: &LinkSettings) -> Option<OffTolerance> {
        // What is lost has passed the bottleneck and is not seen behind it.
        let wanted = settings.rate?.as_bits_per_second() as f64 * (1.0 - settings.loss);
        let measured = self.rate_bits_per_second.unwrap_or_default();
        let difference = (measured - wanted).abs();
        (difference > wanted * RATE_SHARE).then_some(OffTolerance::Rate { measured, wanted })
    }
}

impl TcpFacts {
    fn judge(&self, settings: &LinkSettings) -> Vec<OffTolerance> {
        let sizes = SEGMENT_HEADERS.map(|headers| settings.mtu.saturating_sub(headers));
        let checks = [
            (
                "the maximum segment size",
                sizes.contains(&self.mss),
                self.mss.to_string(),
                format!("{} or {}", sizes[1], sizes[0]),
            ),
            (
                "the initial congestion window",
                self.initcwnd == settings.initcwnd,
                self.initcwnd.to_string(),
                settings.initcwnd.to_string(),
            ),
            (
                "the congestion control",
                self.congestion_control == settings.congestion_control,
                self.congestion_control.clone(),
                settings.congestion_control.clone(),
            ),
        ];
        checks
            .into_iter()
            .filter(|(_, holds, ..)| !holds)
            .map(|(what, _, measured, wanted)| OffTolerance::Tcp {
                what,
                measured,
                wanted,
            })
            .collect()
    }
}

impl Quantiles {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        Some(Self {
            count: values.len(),
            min: *values.first()?,
            p50: values[values.len() / 2],
            max: *values.last()?,
        })
    }
}

/// Every two hosts, once.
fn pairs(hosts: &[Host]) -> Vec<(&Host, &Host)> {
    let each = hosts.iter().enumerate();
    each.flat_map(|(position, from)| hosts[position + 1..].iter().map(move |to| (from, to)))
        .take(MAX_PAIRS)
        .collect()
}

/// Measures all pairs at the same time.
fn on_all<T: Send>(
    pairs: &[(&Host, &Host)],
    measure: impl Fn(&Host, &Host) -> io::Result<T> + Sync,
) -> Result<Vec<T>, ProbeError> {
    let measure = &measure;
    thread::scope(|scope| {
        let started: Vec<_> = pairs
            .iter()
            .map(|(from, to)| (from, to, scope.spawn(move || measure(from, to))))
            .collect();
        started
            .into_iter()
            .map(|(from, to, thread)| match thread.join() {
                Ok(result) => result.map_err(|source| failed(from, to, source)),
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

fn failed(from: &Host, to: &Host, source: io::Error) -> ProbeError {
    ProbeError::System {
        from: from.name.clone(),
        to: to.name.clone(),
        source,
    }
}

/// How long after it was sent a packet may still be under way, queueing aside.
fn longest(settings: &LinkSettings) -> Duration {
    settings.rtt + settings.jitter * 2
}

#[cfg(test)]
mod tests;
