//! Hands arrivals over when they are due.
//!
//! ```text
//!  Schedule ──> pacer: sleeps until the next is due ──Due──> bounded channel ──> engine
//!                  <──────── the time that counts as the start of the run from Due::Measured on ────────┘
//! ```
//!
//! tokio's timer has ticks of a millisecond, as long as a whole handshake, so the pacer of a real run is a thread that
//! sleeps by itself: the system wakes it some 60 microseconds after the time. Where the clock is tokio's (paused in tests)
//! the pacer is a task.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::{Arrival, Schedule};

/// Arrivals that are due and not yet started; a full queue holds up the pacer, and every arrival keeps its intended time.
const QUEUE: usize = 1024;
/// Longest sleep of the thread, after which it looks whether anyone still waits.
const NAP: Duration = Duration::from_millis(50);

/// Who waits for the time of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacer {
    /// A thread on the system's clock.
    Thread,
    /// A task on tokio's clock.
    Task,
}

/// What has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// An arrival.
    Arrival(Arrival),
    /// The measured part: what comes is recorded.
    Measured,
    /// The end of the last stage.
    End,
}

impl Pacer {
    /// Tells what is due, at its time after `epoch`; after [`Due::Measured`] it waits for a new `epoch`. Dropping the receiver or the
    /// sender ends the pacer.
    pub(super) fn start(
        self,
        epoch: Instant,
        schedule: Schedule,
    ) -> (mpsc::Receiver<Due>, oneshot::Sender<Instant>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (resume, resumed) = oneshot::channel();
        let due = in_order(schedule);
        match self {
            Self::Thread => {
                // It ends with the schedule, or within NAP of the receiver.
                std::thread::spawn(move || pace(epoch, due, &sender, resumed));
            }
            Self::Task => {
                tokio::spawn(async move {
                    let (mut epoch, mut resumed) = (epoch, Some(resumed));
                    for (at, due) in due {
                        sleep_until(epoch + at).await;
                        if sender.send(due).await.is_err() {
                            return;
                        }
                        if due == Due::Measured
                            && let Some(resumed) = resumed.take()
                        {
                            let Ok(later) = resumed.await else { return };
                            epoch = later;
                        }
                    }
                });
            }
        }
        (receiver, resume)
    }
}

/// Arrivals and phases by their times.
fn in_order(schedule: Schedule) -> impl Iterator<Item = (Duration, Due)> + Send {
    let (measured_from, end) = (schedule.measured_from(), schedule.end());
    let mut measured = Some((measured_from, Due::Measured));
    schedule
        .map(|arrival| (arrival.at, Due::Arrival(arrival)))
        .chain([(end, Due::End)])
        .flat_map(move |(at, due)| {
            let before = measured.take_if(|(from, _)| *from <= at);
            before.into_iter().chain([(at, due)])
        })
}

fn pace(
    mut epoch: Instant,
    all: impl Iterator<Item = (Duration, Due)>,
    sender: &mpsc::Sender<Due>,
    resumed: oneshot::Receiver<Instant>,
) {
    let mut resumed = Some(resumed);
    for (at, due) in all {
        loop {
            let left = (epoch + at).saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            if sender.is_closed() {
                return;
            }
            std::thread::sleep(left.min(NAP));
        }
        if sender.blocking_send(due).is_err() {
            return;
        }
        if due == Due::Measured
            && let Some(resumed) = resumed.take()
        {
            let Ok(later) = resumed.blocking_recv() else {
                return;
            };
            epoch = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use experiment::scenario::{LoadPlan, OperationKind};

    fn schedule() -> Schedule {
        let mut plan = LoadPlan::steady(OperationKind::Handshake, 100.0, Duration::from_millis(50));
        plan.warmup = Duration::from_millis(20);
        Schedule::new(&plan, 1, 1, 1)
    }

    async fn all(pacer: Pacer) -> Vec<Due> {
        let mut epoch = Instant::now();
        let (mut receiver, resume) = pacer.start(epoch, schedule());
        let mut resume = Some(resume);
        let mut all = Vec::new();
        while let Some(due) = receiver.recv().await {
            if due == Due::Measured {
                epoch += Duration::from_millis(30);
                let resume = resume.take().expect("the measured part begins once");
                resume.send(epoch).expect("the pacer waits");
            }
            if let Due::Arrival(arrival) = due {
                assert!(
                    epoch.elapsed() >= arrival.at,
                    "nothing comes before its time"
                );
            }
            all.push(due);
        }
        all
    }

    #[tokio::test]
    async fn a_thread_tells_what_a_task_tells() {
        let told = all(Pacer::Thread).await;
        assert_eq!(told, all(Pacer::Task).await);
        let arrivals = told.iter().filter(|due| matches!(due, Due::Arrival(_)));
        assert_eq!(arrivals.count(), 7);
        assert_eq!(told[2], Due::Measured);
        assert_eq!(told.last(), Some(&Due::End));
    }
}
