//! When new landmarks are published on a node: at once on a canary, later on all others.
//!
//! ```text
//!  landmark 8 verified ── hash(node, log, landmark) below the share? ── yes ──> due now
//!                                                                    └─ no ───> due after `hold`
//! ```
//!
//! What is held back is in memory, and is verified again after a restart; until when it is held back is kept ([`Held`]).

use std::collections::VecDeque;
use std::time::Duration;

use mtc_core::time::UnixTime;
use sbi::checksum::sha256;
use sbi::trust::{SetLog, TrustedSet};
use serde::{Deserialize, Serialize};

/// Sets that are held back at the same time. When there are more, newer ones are looked at again later.
const MAX_HELD: usize = 64;

/// Until when a landmark is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Held {
    /// The newest log.
    pub(crate) log: u64,
    /// The newest landmark of that.
    pub(crate) landmark: u64,
    /// Unix time.
    pub(crate) due: u64,
}

/// Decides when what was verified is published.
#[derive(Debug)]
pub struct Release {
    node: String,
    canary: f64,
    hold: Duration,
    /// Oldest first.
    held: VecDeque<(UnixTime, TrustedSet)>,
    /// What was held back before a restart, until something is verified; at most [`MAX_HELD`].
    before: Vec<Held>,
}

impl Release {
    /// For a node, where a share of nodes are canaries and the others hold landmarks back for a while.
    pub const fn new(node: String, canary: f64, hold: Duration) -> Self {
        Self {
            node,
            canary,
            hold,
            held: VecDeque::new(),
            before: Vec::new(),
        }
    }

    /// After a restart, before which these were held back: none of them waits longer for it.
    pub(crate) fn remembering(mut self, mut before: Vec<Held>) -> Self {
        before.truncate(MAX_HELD);
        self.before = before;
        self
    }

    /// Takes what was verified now, if something was, and returns what is due: the newest whose time has come. `published` are the logs of the
    /// current set; while there are none, nothing is held back, since nothing is there to go on with.
    pub fn due(
        &mut self,
        verified: Option<TrustedSet>,
        published: &[SetLog],
        now: UnixTime,
    ) -> Option<TrustedSet> {
        let latest = now.plus(self.hold);
        if let Some(verified) = verified {
            if published.is_empty() || self.hold.is_zero() || self.is_canary(&verified.logs) {
                self.held.clear();
                self.before.clear();
                return Some(verified);
            }
            let newest_held = self.held.back().map(|(_, set)| set.logs.as_slice());
            let is_new = !same_landmarks(&verified.logs, newest_held.unwrap_or(published));
            if is_new && self.held.len() < MAX_HELD {
                let due = self.due_before(&verified.logs).unwrap_or(latest);
                self.held.push_back((due, verified));
            }
            // The others are older, and their sets are gone.
            self.before.clear();
        }
        // None is held back longer because a clock was ahead.
        for (due, _) in &mut self.held {
            *due = latest.min(*due);
        }
        let come = self.held.iter().take_while(|(due, _)| *due <= now).count();
        self.held.drain(..come).next_back().map(|(_, set)| set)
    }

    /// How many sets are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Until when landmarks are held back, or were before a restart.
    pub(crate) fn times(&self) -> Vec<Held> {
        let of = |(due, set): &(UnixTime, TrustedSet)| {
            let (log, landmark) = newest(&set.logs)?;
            let due = due.0;
            Some(Held { log, landmark, due })
        };
        let held = self.held.iter().filter_map(of);
        self.before.iter().copied().chain(held).collect()
    }

    /// Until when these landmarks were held back before a restart.
    fn due_before(&self, logs: &[SetLog]) -> Option<UnixTime> {
        let of = newest(logs)?;
        let before = self.before.iter();
        let mut same = before.filter(|held| (held.log, held.landmark) == of);
        same.next().map(|held| UnixTime(held.due))
    }

    /// Whether this node publishes these landmarks at once.
    fn is_canary(&self, logs: &[SetLog]) -> bool {
        let (log, landmark) = newest(logs).unwrap_or_default();
        let hash = sha256(format!("{}\n{log}\n{landmark}", self.node).as_bytes());
        // 52 bits, which a float has without loss.
        let drawn = u64::from_str_radix(&hash[..13], 16).unwrap_or(u64::MAX);
        (drawn as f64) < self.canary * (1_u64 << 52) as f64
    }
}

/// Whether logs have the same landmarks, whenever and against whatever checkpoint they were verified.
pub(crate) fn same_landmarks(these: &[SetLog], those: &[SetLog]) -> bool {
    let landmarks = |log: &SetLog| (log.number, log.landmarks.clone());
    these.iter().map(landmarks).eq(those.iter().map(landmarks))
}

/// The number of a log's newest landmark, the first line of its document.
pub(crate) fn newest_landmark(log: &SetLog) -> &str {
    log.landmarks.lines().next().unwrap_or_default()
}

/// The newest log that has landmarks, and the newest of these.
pub(crate) fn newest(logs: &[SetLog]) -> Option<(u64, u64)> {
    let log = logs.last()?;
    Some((log.number, newest_landmark(log).parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_secs(100);

    fn set(landmark: u64) -> TrustedSet {
        TrustedSet {
            number: landmark,
            made: 0,
            pin: None,
            newest_log: 1,
            revoked: None,
            logs: vec![SetLog {
                number: 1,
                verified: 0,
                landmarks: format!("{landmark}\n"),
                checkpoint: String::new(),
                subtrees: Vec::new(),
            }],
        }
    }

    fn release(node: usize, canary: f64) -> Release {
        Release::new(format!("node-{node}"), canary, HOLD)
    }

    #[test]
    fn landmarks_wait_on_a_node_that_is_no_canary_and_the_newest_that_is_due_is_published() {
        let mut release = release(1, 0.0);
        let published = set(1).logs;
        let mut at = |landmark, now| {
            let due = release.due(Some(set(landmark)), &published, UnixTime(now));
            (due.map(|set| set.number), release.held())
        };
        assert_eq!(at(1, 0), (None, 0), "what is published already");
        assert_eq!(at(2, 10), (None, 1));
        assert_eq!(at(2, 50), (None, 1), "the same is held once");
        assert_eq!(at(3, 60), (None, 2));
        assert_eq!(at(3, 109), (None, 2));
        assert_eq!(at(4, 110), (Some(2), 2));
        assert_eq!(at(4, 300), (Some(4), 0));
    }

    #[test]
    fn a_canary_publishes_at_once_and_what_it_has_held_back_is_forgotten() {
        let is_canary = |node: &usize, landmark| {
            let release = release(*node, 0.5);
            release.is_canary(&set(landmark).logs)
        };
        let node = (0..100).find(|node| !is_canary(node, 2) && is_canary(node, 3));
        let mut release = release(node.expect("one in four"), 0.5);
        let published = set(1).logs;
        assert_eq!(release.due(Some(set(2)), &published, UnixTime(0)), None);
        assert_eq!(release.held(), 1);
        let due = release.due(Some(set(3)), &published, UnixTime(1));
        assert_eq!((due, release.held()), (Some(set(3)), 0));
    }

    #[test]
    fn nothing_waits_for_landmarks_where_there_are_none() {
        let mut release = release(1, 0.0);
        assert_eq!(release.due(Some(set(2)), &[], UnixTime(0)), Some(set(2)));
    }

    // While the log did not answer, what was held back stayed so.
    #[test]
    fn what_is_held_is_due_without_anything_new_too() {
        let mut release = release(1, 0.0);
        let published = set(1).logs;
        assert_eq!(release.due(Some(set(2)), &published, UnixTime(0)), None);
        assert_eq!(release.due(None, &published, UnixTime(99)), None);
        let due = release.due(None, &published, UnixTime(100));
        assert_eq!((due, release.held()), (Some(set(2)), 0));
    }

    #[test]
    fn a_restart_makes_nothing_wait_longer_than_it_would_have_and_nothing_shorter() {
        let published = set(1).logs;
        let mut before = release(1, 0.0);
        before.due(Some(set(2)), &published, UnixTime(0));
        before.due(Some(set(3)), &published, UnixTime(50));
        let mut after = release(1, 0.0).remembering(before.times());
        // The log does not answer yet, and there is another restart.
        assert_eq!(after.due(None, &published, UnixTime(80)), None);
        let mut after = release(1, 0.0).remembering(after.times());
        assert_eq!(after.due(Some(set(3)), &published, UnixTime(90)), None);
        assert_eq!(after.times(), before.times()[1..]);
        assert_eq!(after.due(Some(set(3)), &published, UnixTime(149)), None);
        let due = after.due(Some(set(3)), &published, UnixTime(150));
        assert_eq!(due, Some(set(3)));
        // What is new waits its own time.
        assert_eq!(after.due(Some(set(4)), &published, UnixTime(160)), None);
        assert_eq!(after.times()[0].due, 260);
    }

    #[test]
    fn a_clock_that_was_ahead_makes_nothing_wait_longer() {
        let mut release = release(1, 0.0);
        let published = set(1).logs;
        release.due(Some(set(2)), &published, UnixTime(10_000));
        assert_eq!(release.due(None, &published, UnixTime(0)), None);
        let due = release.due(None, &published, UnixTime(100));
        assert_eq!(due, Some(set(2)));
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut release = release(1, 0.0);
        for landmark in 2..200 {
            release.due(Some(set(landmark)), &set(1).logs, UnixTime(0));
        }
        assert_eq!(release.held(), MAX_HELD);
        let due = release.due(Some(set(200)), &set(1).logs, UnixTime(100));
        assert_eq!(due, Some(set(MAX_HELD as u64 + 1)));
    }

    #[test]
    fn the_canaries_are_the_share_that_was_asked_for_and_others_for_each_landmark() {
        let canaries = |landmark, share| {
            let nodes =
                (0..1000).filter(|node| release(*node, share).is_canary(&set(landmark).logs));
            nodes.collect::<Vec<_>>()
        };
        let tenth = canaries(7, 0.1);
        assert!((60..=140).contains(&tenth.len()), "{}", tenth.len());
        assert_ne!(tenth, canaries(8, 0.1));
        assert_eq!(canaries(7, 0.0).len(), 0);
        assert_eq!(canaries(7, 1.0).len(), 1000);
    }
}
