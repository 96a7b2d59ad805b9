//! CPU time of the calling thread, of the process, and of a future: the clock is read around every poll.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time that the calling thread has used (`CLOCK_THREAD_CPUTIME_ID`): user and system.
pub fn thread_time() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// CPU time that all threads of this process have used (`CLOCK_PROCESS_CPUTIME_ID`): user and system.
pub fn process_time() -> Duration {
    read(ClockId::ProcessCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// A future that also tells how much CPU time its polls took, on whatever threads they ran.
#[derive(Debug)]
pub struct Metered<F> {
    future: Pin<Box<F>>,
    spent: Duration,
}

impl<F: Future> Metered<F> {
    /// Meters `future`.
    pub fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            spent: Duration::ZERO,
        }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = (F::Output, Duration);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let started = thread_time();
        let polled = self.future.as_mut().poll(context);
        self.spent += thread_time().saturating_sub(started);
        let spent = self.spent;
        polled.map(|output| (output, spent))
    }
}
