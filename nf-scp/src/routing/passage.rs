//! An answer's body on its way from a producer to the consumer.
//!
//! ```text
//!  producer ── frames ──> a task, one frame in hand ──> consumer      the next frame is taken when this one was
//!                           └ gives up: a side stands still for as long as the consumer waits, or it takes too long altogether
//! ```
//!
//! The task sees a consumer that takes nothing, which the body itself does not: HTTP asks it for frames only when it has room.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use sbi::body::{Body, BodyError};
use sbi::server::ANSWER_TIMEOUT;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

/// How much less time than the server leaves to whoever takes an answer: a producer that is slow must not be laid to the
/// consumer's charge, whose connection the server would end.
const MARGIN: Duration = Duration::from_secs(10);

/// Bounds and notes of one passage.
pub(super) trait Passenger: Send + 'static {
    /// Octets have passed.
    fn passed(&mut self, octets: u64);
}

/// `body` as the consumer gets it: each side may stand still for `patience`. What `passenger` holds it holds until the last frame
/// is taken, or nobody wants more.
pub(super) fn pass(body: Body, patience: Duration, passenger: impl Passenger) -> Body {
    let size = body.size_hint();
    let (sender, frames) = mpsc::channel(1);
    tokio::spawn(carry(body, patience, sender, passenger));
    Body::passing(Frames {
        frames,
        size,
        is_over: false,
    })
}

type Carried = Result<Frame<Bytes>, BodyError>;

async fn carry(
    mut body: Body,
    patience: Duration,
    sender: mpsc::Sender<Option<Carried>>,
    mut passenger: impl Passenger,
) {
    let end = Instant::now() + ANSWER_TIMEOUT.saturating_sub(MARGIN);
    loop {
        let next = timeout_at(end, timeout(patience, body.next()));
        let next = tokio::select! {
            next = next => next,
            () = sender.closed() => return,
        };
        let carried = match next {
            Ok(Ok(carried)) => carried,
            // The consumer's stream is reset.
            Ok(Err(_)) | Err(_) => Some(Err(cancelled())),
        };
        let is_last = !matches!(carried, Some(Ok(_)));
        if let Some(Ok(frame)) = &carried {
            passenger.passed(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        let taken = timeout_at(end, timeout(patience, sender.send(carried))).await;
        if is_last || !matches!(taken, Ok(Ok(Ok(())))) {
            return;
        }
    }
}

/// What the task hands over; `None` is the end, and an end without it is a task that has given up.
struct Frames {
    frames: mpsc::Receiver<Option<Carried>>,
    size: SizeHint,
    is_over: bool,
}

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Carried>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let carried = std::task::ready!(self.frames.poll_recv(context));
        let carried = carried.unwrap_or_else(|| Some(Err(cancelled())));
        self.is_over = !matches!(carried, Some(Ok(_)));
        Poll::Ready(carried)
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

fn cancelled() -> BodyError {
    h2::Error::from(Reason::CANCEL).into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use test_support::body::Written;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    struct Counter {
        octets: Arc<AtomicU64>,
        _alive: mpsc::Sender<()>,
    }

    impl Passenger for Counter {
        fn passed(&mut self, octets: u64) {
            self.octets.fetch_add(octets, Ordering::Relaxed);
        }
    }

    /// What a counter has counted, and whether it is still there.
    struct Seen {
        octets: Arc<AtomicU64>,
        alive: mpsc::Receiver<()>,
    }

    impl Seen {
        /// The octets when the passage has let go of the counter.
        async fn at_the_end(mut self) -> u64 {
            assert_eq!(self.alive.recv().await, None);
            self.octets.load(Ordering::Relaxed)
        }
    }

    fn counter() -> (Counter, Seen) {
        let octets = Arc::new(AtomicU64::new(0));
        let (sender, alive) = mpsc::channel(1);
        let counter = Counter {
            octets: octets.clone(),
            _alive: sender,
        };
        (counter, Seen { octets, alive })
    }

    /// A frame of ten octets.
    const TEN: Bytes = Bytes::from_static(&[0; 10]);

    #[tokio::test(start_paused = true)]
    async fn all_frames_pass_in_order_and_are_counted() {
        let (counter, seen) = counter();
        let mut body = pass(Body::passing(Written::whole([TEN; 3])), PATIENCE, counter);
        for _ in 0..3 {
            assert!(body.next().await.expect("a frame").is_ok());
        }
        assert!(body.next().await.is_none());
        assert_eq!(seen.at_the_end().await, 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_producer_that_stands_still_is_given_up() {
        let (counter, seen) = counter();
        let mut body = pass(Body::passing(Written::endless([TEN])), PATIENCE, counter);
        assert!(body.next().await.expect("a frame").is_ok());
        assert!(body.next().await.expect("an error").is_err());
        assert!(body.next().await.is_none());
        assert_eq!(seen.at_the_end().await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_consumer_that_takes_nothing_two_frames_wait_and_not_for_ever() {
        let (counter, seen) = counter();
        let body = pass(
            Body::passing(Written::endless(std::iter::repeat(TEN))),
            PATIENCE,
            counter,
        );
        let octets = seen.at_the_end().await;
        assert_eq!(octets, 20, "one handed over, one in hand");
        drop(body);
    }

    #[tokio::test(start_paused = true)]
    async fn a_consumer_that_has_gone_is_noticed_while_the_producer_stands_still() {
        let (counter, seen) = counter();
        let begun = Instant::now();
        drop(pass(Body::passing(Written::endless([])), PATIENCE, counter));
        seen.at_the_end().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
