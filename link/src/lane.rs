//! One direction of a link: what becomes of a packet, and when.
//!
//! ```text
//!  offered ──> queue (bounded) ──> rate ──> loss ──> rtt/2 ± jitter ──> due, never before the packet in front
//!                  └─ full: overflowed        └─ lost
//! ```
//!
//! A lost packet has used the bottleneck: on real paths most losses happen behind it or in it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::random::Chance;
use crate::settings::LinkSettings;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives at this time.
    Arrives(Duration),
    /// Chance took it.
    Lost,
    /// The queue before the bottleneck was full.
    Overflowed,
}

/// One direction between two hosts. Times are counted from any fixed moment and do not go backwards.
#[derive(Clone, Debug)]
pub struct Lane {
    settings: LinkSettings,
    chance: Chance,
    /// When each packet that waits for the bottleneck will have passed it, in order; the last one is when it is free.
    passing: VecDeque<Duration>,
    /// When the last packet that was let through is due.
    last_due: Duration,
}

impl Lane {
    /// An idle lane. `seed` decides about loss and jitter.
    pub const fn new(settings: LinkSettings, seed: u64) -> Self {
        Self {
            settings,
            chance: Chance::new(seed),
            passing: VecDeque::new(),
            last_due: Duration::ZERO,
        }
    }

    /// Takes a packet of `octets` at the time `now`.
    pub fn offer(&mut self, now: Duration, octets: usize) -> Fate {
        let Some(passed) = self.pass(now, octets) else {
            return Fate::Overflowed;
        };
        // Both are drawn for each packet, so that what happens to one does not depend on the settings for another.
        let lost = self.chance.happens(self.settings.loss);
        let delay = self
            .chance
            .around(self.settings.rtt / 2, self.settings.jitter);
        if lost {
            return Fate::Lost;
        }
        self.last_due = self.last_due.max(passed + delay);
        Fate::Arrives(self.last_due)
    }

    /// When the packet has passed the bottleneck; `None` when there is no room to wait for it.
    fn pass(&mut self, now: Duration, octets: usize) -> Option<Duration> {
        let Some(rate) = self.settings.rate else {
            return Some(now);
        };
        while self.passing.front().is_some_and(|passed| *passed <= now) {
            self.passing.pop_front();
        }
        // The first one is on its way through and does not wait.
        if self.passing.len() > self.settings.queue {
            return None;
        }
        let free = self.passing.back().copied().unwrap_or(now);
        let passed = free + rate.time_of(octets);
        self.passing.push_back(passed);
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Rate;

    const MS: Duration = Duration::from_millis(1);

    fn plain() -> LinkSettings {
        LinkSettings::with_rtt(20 * MS)
    }

    #[test]
    fn each_direction_delays_by_half_the_round_trip() {
        let mut lane = Lane::new(plain(), 1);
        assert_eq!(lane.offer(MS, 1500), Fate::Arrives(11 * MS));
        assert_eq!(lane.offer(MS, 40), Fate::Arrives(11 * MS));
        assert_eq!(lane.offer(5 * MS, 1500), Fate::Arrives(15 * MS));
    }

    #[test]
    fn the_bottleneck_passes_one_packet_after_the_other() {
        let rate = Some(Rate::bits_per_second(12_000_000));
        let mut lane = Lane::new(LinkSettings { rate, ..plain() }, 1);
        assert_eq!(lane.offer(Duration::ZERO, 1500), Fate::Arrives(11 * MS));
        assert_eq!(lane.offer(Duration::ZERO, 1500), Fate::Arrives(12 * MS));
        assert_eq!(lane.offer(100 * MS, 1500), Fate::Arrives(111 * MS));
    }

    #[test]
    fn a_full_queue_drops_what_comes_until_one_has_passed() {
        let settings = LinkSettings {
            rate: Some(Rate::bits_per_second(12_000_000)),
            queue: 2,
            ..plain()
        };
        let mut lane = Lane::new(settings, 1);
        for n in 1..=3 {
            assert_eq!(
                lane.offer(Duration::ZERO, 1500),
                Fate::Arrives((10 + n) * MS)
            );
        }
        assert_eq!(lane.offer(Duration::ZERO, 1500), Fate::Overflowed);
        assert_eq!(lane.offer(MS, 1500), Fate::Arrives(14 * MS));
    }

    #[test]
    fn the_same_seed_loses_the_same_packets() {
        let fates = |seed| {
            let mut lane = Lane::new(
                LinkSettings {
                    loss: 0.3,
                    ..plain()
                },
                seed,
            );
            (0..200)
                .map(|n| lane.offer(n * MS, 100))
                .collect::<Vec<_>>()
        };
        assert_eq!(fates(3), fates(3));
        assert_ne!(fates(3), fates(4));
    }
}
