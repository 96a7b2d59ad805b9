//! Makes a scenario's events happen at their times, and keeps the record of them.
//!
//! ```text
//!  [[event]] ──> steps by time ── due ──> act ──> Topology: kill, take out, put back, order
//!                                          │ under way
//!                events of the processes ──┴─> over: gone, ready again, re-enrolled ──> EventRecord
//! ```
//!
//! Nothing here waits: what an event has begun goes on while the load does, or somewhat longer, and is over when a process says so.

use std::collections::VecDeque;
use std::time::Duration;

use sbi::orders::Order;
use sbi::process::Event as ProcessEvent;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::counters::Counters;
use super::{ProgressListener, RunError};
use crate::topology::Topology;
use experiment::measure::Watched;
use experiment::results::{EventRecord, RevocationRecord, RevokedInVariant};
use experiment::scenario::{Action, Event, Nf, Variant};

/// The processes that follow what is revoked.
const FOLLOWERS: [Nf; 4] = [Nf::Nrf, Nf::Scp, Nf::Amf, Nf::Smf];

/// How many instances of the load generator the events revoke, the first ones.
pub(super) fn revoked(events: &[Event]) -> usize {
    let revoked = events.iter().map(|event| match event.action {
        Action::Revoke { instances } => instances.into(),
        _ => 0,
    });
    revoked.max().unwrap_or(0)
}

/// A step of an event: all of it, or one of its instances.
#[derive(Clone, Copy, Debug)]
struct DueStep {
    at: Duration,
    event: usize,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Begin,
    /// The second half of a restart, due when the first is over.
    Start,
    /// The instance at this position re-enrols.
    ReEnrol(usize),
}

/// What an event that has begun waits for.
#[derive(Debug)]
enum Awaited {
    Ready,
    /// The instances that have not re-enrolled yet, by name.
    Instances(Vec<String>),
    /// The network functions that have not this list, or a later one, in force yet.
    InForce {
        number: u64,
        missing: Vec<Nf>,
    },
}

/// Plays the events of one run.
pub(super) struct Director {
    began: Instant,
    steps: VecDeque<DueStep>,
    /// One for each event of the scenario.
    records: Vec<EventRecord>,
    events: Vec<Event>,
    awaited: Vec<Option<Awaited>>,
    /// Processes that drain; each yields its event.
    ending: JoinSet<usize>,
}

impl Director {
    /// Begins now, at the start of the measured part.
    pub(super) fn begin(events: &[Event], topology: &Topology) -> Self {
        let mut in_time: Vec<usize> = (0..events.len()).collect();
        in_time.sort_by_key(|event| events[*event].at);
        let mut steps = Vec::new();
        let mut next_instance = Nf::ALL.map(|nf| (nf, 0));
        for event in in_time {
            let at = events[event].at;
            steps.push(DueStep {
                at,
                event,
                what: What::Begin,
            });
            let Action::ReEnrol { instances, over } = events[event].action else {
                continue;
            };
            let nf = events[event].nf;
            let Some((_, next)) = next_instance.iter_mut().find(|(of, _)| *of == nf) else {
                continue;
            };
            let all = topology.instances(nf).count().max(1);
            for n in 0..instances {
                steps.push(DueStep {
                    at: at + over * u32::from(n) / u32::from(instances),
                    event,
                    what: What::ReEnrol(*next),
                });
                *next = (*next + 1) % all;
            }
        }
        steps.sort_by_key(|step| step.at);
        Self {
            began: Instant::now(),
            steps: steps.into(),
            records: events.iter().map(EventRecord::planned).collect(),
            awaited: events.iter().map(|_| None).collect(),
            events: events.to_vec(),
            ending: JoinSet::new(),
        }
    }

    /// Begins no event any more after a load of this length, nor what was planned for later than its end.
    pub(super) fn load_is_over(&mut self, length: Duration) {
        let records = &self.records;
        self.steps
            .retain(|step| step.at < length && records[step.event].began_s.is_some());
    }

    /// Whether an event has begun and is not over.
    pub(super) fn is_waiting(&self) -> bool {
        let mut records = self.records.iter();
        records.any(|record| record.began_s.is_some() && record.ended_s.is_none())
    }

    /// Completes when [`Self::act`] has something to do. Dropping the future loses nothing.
    pub(super) async fn due(&mut self) {
        let next = async {
            match self.steps.front() {
                Some(step) => sleep_until(self.began + step.at).await,
                None => std::future::pending().await,
            }
        };
        let gone = async {
            match self.ending.join_next().await {
                Some(event) => event.expect("stopping a process does not panic"),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = next => {}
            event = gone => self.is_gone(event),
        }
    }

    /// Makes happen what is due.
    ///
    /// # Errors
    /// A process cannot be stopped, started or told.
    pub(super) async fn act(
        &mut self,
        topology: &mut Topology,
        counters: &mut Counters,
        listener: &impl ProgressListener,
    ) -> Result<(), RunError> {
        while let Some(step) = self.next_due() {
            let event = self.events[step.event].clone();
            match step.what {
                What::Begin => {
                    listener.step(&format!("event: {} {}", event.action, event.nf.as_str()));
                    self.records[step.event].began_s = Some(self.began.elapsed().as_secs_f64());
                    self.begin_event(step.event, &event, topology, counters)
                        .await?;
                }
                What::Start => {
                    topology.put_back(event.nf)?;
                    self.awaited[step.event] = Some(Awaited::Ready);
                }
                What::ReEnrol(instance) => {
                    topology
                        .order(event.nf, Order::ReEnrol { instance })
                        .await?;
                }
            }
        }
        Ok(())
    }

    fn next_due(&mut self) -> Option<DueStep> {
        let is_due = self.steps.front()?.at <= self.began.elapsed();
        is_due.then(|| self.steps.pop_front()).flatten()
    }

    async fn begin_event(
        &mut self,
        index: usize,
        Event { action, nf, .. }: &Event,
        topology: &mut Topology,
        counters: &mut Counters,
    ) -> Result<(), RunError> {
        match action {
            Action::Kill => {
                counters.take(topology, *nf).await?;
                topology.kill(*nf).await?;
                self.is_over(index);
            }
            Action::Stop | Action::Restart => {
                counters.take(topology, *nf).await?;
                let ending = topology.take_out(*nf)?;
                self.ending.spawn(async move {
                    ending.await;
                    index
                });
            }
            Action::Start => {
                topology.put_back(*nf)?;
                self.awaited[index] = Some(Awaited::Ready);
            }
            Action::PauseLandmarks => {
                topology.order(*nf, Order::PauseLandmarks).await?;
                self.is_over(index);
            }
            Action::ResumeLandmarks => {
                topology.order(*nf, Order::ResumeLandmarks).await?;
                self.is_over(index);
            }
            Action::ReEnrol { .. } => {
                let names: Vec<&str> = topology.instances(*nf).collect();
                let awaited = self.steps.iter().filter(|step| step.event == index);
                let awaited = awaited.filter_map(|step| match step.what {
                    What::ReEnrol(instance) => names.get(instance).map(|name| (*name).to_owned()),
                    What::Begin | What::Start => None,
                });
                self.awaited[index] = Some(Awaited::Instances(awaited.collect()));
            }
            Action::Revoke { instances } => {
                let number = topology.revoke(*nf, (*instances).into()).await?;
                self.records[index].revocation = Some(RevocationRecord {
                    number,
                    published_s: self.began.elapsed().as_secs_f64(),
                    ..RevocationRecord::default()
                });
                match number {
                    Some(number) => {
                        let missing = FOLLOWERS.into_iter().filter(|nf| topology.has_started(*nf));
                        let missing = missing.collect();
                        self.awaited[index] = Some(Awaited::InForce { number, missing });
                    }
                    None => self.is_over(index),
                }
            }
        }
        Ok(())
    }

    /// Hears what a process tells.
    pub(super) fn hear(&mut self, nf: Nf, reported: &ProcessEvent) {
        if let ProcessEvent::Revoked { number } = reported {
            self.is_in_force(nf, *number);
            return;
        }
        for index in 0..self.events.len() {
            if self.events[index].nf != nf {
                continue;
            }
            let is_over = match (&mut self.awaited[index], reported) {
                (Some(Awaited::Ready), ProcessEvent::Ready { .. }) => true,
                (Some(Awaited::Instances(names)), ProcessEvent::ReEnrolled { instance }) => {
                    names.retain(|name| name != instance);
                    names.is_empty()
                }
                _ => false,
            };
            if is_over {
                self.awaited[index] = None;
                self.is_over(index);
            }
        }
    }

    /// A list of revoked serial numbers is in force in a process.
    fn is_in_force(&mut self, nf: Nf, number: u64) {
        for index in 0..self.events.len() {
            let Some(Awaited::InForce {
                number: wanted,
                missing,
            }) = &mut self.awaited[index]
            else {
                continue;
            };
            if number < *wanted || !missing.contains(&nf) {
                continue;
            }
            missing.retain(|of| *of != nf);
            let is_over = missing.is_empty();
            let now = self.began.elapsed().as_secs_f64();
            if let Some(record) = &mut self.records[index].revocation {
                record.in_force_s.insert(nf.as_str().to_owned(), now);
            }
            if is_over {
                self.awaited[index] = None;
                self.is_over(index);
            }
        }
    }

    /// The record of every event; `watched` is until when the operations of instances succeeded, of each in each of the variants.
    pub(super) fn finish(
        mut self,
        watched: &[Vec<Watched>],
        variants: &[Variant],
    ) -> Vec<EventRecord> {
        for record in &mut self.records {
            let Some(revocation) = &mut record.revocation else {
                continue;
            };
            let revoked = watched.iter().take(record.instances.unwrap_or(0).into());
            let variants = variants.iter().enumerate().map(|(position, variant)| {
                let revoked = revoked.clone().filter_map(|of| of.get(position));
                let last = revoked.clone().filter_map(|of| of.last_ok).max();
                RevokedInVariant {
                    name: variant.name.clone(),
                    revocation: variant.revocation().to_owned(),
                    last_accepted_s: last.map(|last| last.as_secs_f64()),
                    refused: revoked.clone().map(|of| of.failed_since).sum(),
                    failed: Some(revoked.map(|of| of.failed).sum()),
                }
            });
            revocation.variants = variants.collect();
        }
        self.records
    }

    fn is_gone(&mut self, index: usize) {
        if self.events[index].action == Action::Restart {
            self.steps.push_front(DueStep {
                at: Duration::ZERO,
                event: index,
                what: What::Start,
            });
        } else {
            self.is_over(index);
        }
    }

    fn is_over(&mut self, index: usize) {
        self.records[index].ended_s = Some(self.began.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn director(events: Vec<Event>, steps: Vec<DueStep>) -> Director {
        Director {
            began: Instant::now(),
            steps: steps.into(),
            records: events.iter().map(EventRecord::planned).collect(),
            awaited: events.iter().map(|_| None).collect(),
            events,
            ending: JoinSet::new(),
        }
    }

    #[tokio::test]
    async fn what_has_begun_is_awaited_after_the_load_and_nothing_else() {
        let [first, last, late] = [1, 3, 4].map(Duration::from_secs);
        let event = |at, action| Event {
            at,
            action,
            nf: Nf::Smf,
        };
        let all = Action::ReEnrol {
            instances: 2,
            over: last,
        };
        let step = |event, at, what| DueStep { at, event, what };
        let events = vec![event(first, all), event(last, Action::Restart)];
        let steps = vec![
            step(0, last, What::ReEnrol(0)),
            step(1, last, What::Begin),
            step(0, late, What::ReEnrol(1)),
        ];
        let mut director = director(events, steps);
        assert!(!director.is_waiting(), "nothing has begun");

        director.records[0].began_s = Some(1.0);
        director.awaited[0] = Some(Awaited::Instances(vec!["smf1".to_owned()]));
        director.load_is_over(late);
        let left: Vec<_> = director.steps.iter().map(|step| step.event).collect();
        assert_eq!(
            left,
            [0],
            "what was planned for the load, of what has begun"
        );
        assert!(director.is_waiting());
        let instance = "smf1".to_owned();
        director.hear(Nf::Smf, &ProcessEvent::ReEnrolled { instance });
        assert!(!director.is_waiting());
    }
}
