//! What a supervisor can order a process to do to itself, so that experiments can disturb a lab in mid-run.
//!
//! ```text
//!  mtc5g run ──stdin──> {"order":"pause-landmarks"}            trust: no looks at the log; landmarks go on expiring
//!                       {"order":"resume-landmarks"}
//!                       {"order":"re-enrol","instance":0}      keeper: new keys, new certificates
//!            <──stdout── {"event":"re-enrolled", ...}          heartbeats: registered again
//! ```
//!
//! Orders are standing: the parts of a process look at the latest state, and two orders to re-enrol that an instance had no
//! time for in between are one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// A line on standard input of a supervised process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// Get no new landmarks.
    PauseLandmarks,
    /// Get them again.
    ResumeLandmarks,
    /// Replace every key and certificate of an instance, and register it again.
    ReEnrol {
        /// Its position in the configuration.
        instance: usize,
    },
}

/// Everything that was ordered so far.
#[derive(Clone, Debug, Default)]
struct Standing {
    landmarks_paused: bool,
    /// How often by instance.
    re_enrolments: BTreeMap<usize, u64>,
}

/// Where orders come from: who reads them from the supervisor.
#[derive(Debug)]
pub(crate) struct OrderSource(watch::Sender<Standing>);

impl OrderSource {
    pub(crate) fn give(&self, order: Order) {
        self.0.send_modify(|standing| match order {
            Order::PauseLandmarks => standing.landmarks_paused = true,
            Order::ResumeLandmarks => standing.landmarks_paused = false,
            Order::ReEnrol { instance } => {
                *standing.re_enrolments.entry(instance).or_default() += 1;
            }
        });
    }
}

/// What was ordered, as the parts of a process see it.
#[derive(Clone, Debug)]
pub struct Orders(watch::Receiver<Standing>);

impl Orders {
    pub(crate) fn new() -> (OrderSource, Self) {
        let (sender, receiver) = watch::channel(Standing::default());
        (OrderSource(sender), Self(receiver))
    }

    /// Those of a process that takes none.
    pub fn none() -> Self {
        Self::new().1
    }

    /// Whether no new landmarks are to be had.
    pub fn landmarks_are_paused(&self) -> bool {
        self.0.borrow().landmarks_paused
    }

    /// Those for the instance at a position of the configuration.
    pub const fn of_instance(self, position: usize) -> InstanceOrders {
        InstanceOrders {
            orders: self,
            position,
            done: 0,
        }
    }
}

/// What one instance was ordered to do.
#[derive(Debug)]
pub struct InstanceOrders {
    orders: Orders,
    position: usize,
    done: u64,
}

impl InstanceOrders {
    /// Completes when the instance is to re-enrol, and counts that as done.
    ///
    /// Dropping the future loses nothing.
    pub async fn re_enrolment(&mut self) {
        let Self {
            orders,
            position,
            done,
        } = self;
        let asked = |standing: &Standing| standing.re_enrolments.get(position).copied();
        let wanted = orders.0.wait_for(|standing| asked(standing) > Some(*done));
        match wanted.await.map(|standing| asked(&standing)) {
            Ok(count) => *done = count.unwrap_or_default(),
            // Who gave orders is gone and will give no more.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_asked(instance: &mut InstanceOrders) -> bool {
        tokio::select! {
            biased;
            () = instance.re_enrolment() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn an_instance_hears_its_own_orders_once() {
        let (source, orders) = Orders::new();
        let (mut first, mut second) = (orders.clone().of_instance(0), orders.of_instance(1));
        assert!(!is_asked(&mut first).await);
        source.give(Order::ReEnrol { instance: 0 });
        source.give(Order::ReEnrol { instance: 0 });
        assert!(is_asked(&mut first).await, "both at once");
        assert!(!is_asked(&mut first).await);
        assert!(!is_asked(&mut second).await);
        source.give(Order::ReEnrol { instance: 0 });
        assert!(is_asked(&mut first).await);
    }

    #[tokio::test]
    async fn landmarks_are_paused_until_they_are_resumed() {
        let (source, orders) = Orders::new();
        assert!(!orders.landmarks_are_paused());
        source.give(Order::PauseLandmarks);
        assert!(orders.landmarks_are_paused());
        source.give(Order::ResumeLandmarks);
        assert!(!orders.landmarks_are_paused());
    }

    #[tokio::test]
    async fn a_process_without_orders_waits_for_ever() {
        assert!(!is_asked(&mut Orders::none().of_instance(0)).await);
    }
}
