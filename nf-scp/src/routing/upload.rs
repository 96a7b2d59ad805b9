//! A request's body on its way from the consumer to a producer, of which the beginning is kept for another attempt.
//!
//! ```text
//!  consumer ── frames ──> Upload ── attempt 1 ──> producer           taken from the consumer when the producer has room
//!                           │ └──── attempt 2 ──> the next best      from the copy first; only while that is whole
//!                           └ copy of the first MAX_KEPT octets
//! ```

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::Reason;
use hyper::HeaderMap;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use sbi::body::{Body, BodyError, PASSING_WINDOW};

use super::metrics::{Direction, RoutingMetrics};

/// Octets of a body that are kept for another attempt: every body of the SBI that this project knows, and what the server has
/// set aside for a request on its way.
const MAX_KEPT: usize = PASSING_WINDOW as usize;
/// Frames that are kept: a sender that sends an octet in each would make the copy many times as large as what it sends.
const MAX_KEPT_FRAMES: usize = 256;

/// A consumer's body. When it is dropped, the attempt that sends it ends with a reset.
pub(super) struct Upload(Arc<Mutex<State>>);

struct State {
    consumer: Consumer,
    /// What has been taken from the consumer, in order, unless that was too much.
    kept: Vec<Kept>,
    kept_octets: usize,
    is_kept: bool,
    /// Octets that have been taken.
    octets: u64,
    /// The attempt that may take more; earlier ones have failed.
    attempt: u32,
    /// Wakes the attempt, which need not be asking when it has to end.
    waker: Option<Waker>,
    metrics: RoutingMetrics,
}

/// What is known of the consumer's side.
enum Consumer {
    /// It has more.
    Sends {
        body: Body,
        /// It was asked, and had nothing yet.
        is_awaited: bool,
    },
    /// It has sent all.
    Done,
    /// It broke off.
    BrokeOff,
    /// Nobody wants the rest.
    Dropped,
}

#[derive(Clone, Debug)]
enum Kept {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl From<Kept> for Frame<Bytes> {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Data(data) => Self::data(data),
            Kept::Trailers(trailers) => Self::trailers(trailers),
        }
    }
}

/// Who keeps a body from arriving that has not arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The consumer has sent all, or the producer has no room for more: not the consumer.
    Nothing,
    /// The consumer, which sends no more for now.
    More,
    /// The consumer, which broke off.
    Rest,
}

impl Upload {
    /// What is taken of `body` is counted in `metrics`.
    pub(super) fn new(body: Body, metrics: RoutingMetrics) -> Self {
        let consumer = if body.is_end_stream() {
            Consumer::Done
        } else {
            Consumer::Sends {
                body,
                is_awaited: false,
            }
        };
        Self(Arc::new(Mutex::new(State {
            consumer,
            kept: Vec::new(),
            kept_octets: 0,
            is_kept: true,
            octets: 0,
            attempt: 0,
            waker: None,
            metrics,
        })))
    }

    /// The body from its beginning, for a first or another attempt. Those before it end.
    pub(super) fn attempt(&self) -> Body {
        let mut state = self.state();
        state.attempt += 1;
        state.wake();
        if state.kept.is_empty() && matches!(state.consumer, Consumer::Done) {
            return Body::empty();
        }
        let attempt = Attempt {
            number: state.attempt,
            size: state.size(),
            state: self.0.clone(),
            next: 0,
        };
        // It asks the attempt whether it has an end.
        drop(state);
        Body::passing(attempt)
    }

    /// Whether there can be another attempt: all that was taken is still here.
    pub(super) fn can_repeat(&self) -> bool {
        let state = self.state();
        state.is_kept && !matches!(state.consumer, Consumer::BrokeOff)
    }

    /// Octets that have been taken from the consumer.
    pub(super) fn octets(&self) -> u64 {
        self.state().octets
    }

    /// What the consumer owes, if an attempt does not get on.
    pub(super) fn missing(&self) -> Missing {
        match &self.state().consumer {
            Consumer::Sends {
                is_awaited: true, ..
            } => Missing::More,
            Consumer::BrokeOff => Missing::Rest,
            Consumer::Sends { .. } | Consumer::Done | Consumer::Dropped => Missing::Nothing,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut state = self.state();
        state.kept = Vec::new();
        if matches!(state.consumer, Consumer::Sends { .. }) {
            state.consumer = Consumer::Dropped;
        }
        state.wake();
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// What is known of the size of the whole body.
    fn size(&self) -> SizeHint {
        let mut size = match &self.consumer {
            Consumer::Sends { body, .. } => body.size_hint(),
            _ => SizeHint::with_exact(0),
        };
        if let Some(upper) = size.upper() {
            size.set_upper(upper + self.octets);
        }
        size.set_lower(size.lower() + self.octets);
        size
    }

    /// The next frame from the consumer.
    fn poll_consumer(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Consumer::Sends { body, is_awaited } = &mut self.consumer else {
            return Poll::Ready(match self.consumer {
                Consumer::Done => None,
                _ => Some(Err(cancelled())),
            });
        };
        let polled = Pin::new(&mut *body).poll_frame(context);
        *is_awaited = polled.is_pending();
        match polled {
            Poll::Pending => {
                self.waker = Some(context.waker().clone());
                Poll::Pending
            }
            Poll::Ready(None) => {
                self.consumer = Consumer::Done;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                self.consumer = Consumer::BrokeOff;
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(Some(Ok(frame))) => {
                if body.is_end_stream() {
                    self.consumer = Consumer::Done;
                }
                Poll::Ready(Some(Ok(self.keep(frame))))
            }
        }
    }

    /// Keeps a copy of `frame` if there is room. A frame is a part of what was read from the socket and would hold all of it, so
    /// what is kept is a copy.
    fn keep(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let octets = frame.data_ref().map_or(0, Bytes::len);
        self.octets += octets as u64;
        self.metrics.passed(Direction::Request, octets as u64);
        self.kept_octets += octets;
        let has_room = self.kept_octets <= MAX_KEPT && self.kept.len() < MAX_KEPT_FRAMES;
        if !self.is_kept || !has_room {
            (self.is_kept, self.kept) = (false, Vec::new());
            return frame;
        }
        let kept = match frame.into_data() {
            Ok(data) => Kept::Data(Bytes::copy_from_slice(&data)),
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => Kept::Trailers(trailers),
                Err(frame) => return frame,
            },
        };
        self.kept.push(kept.clone());
        kept.into()
    }
}

/// One way of the body to a producer.
struct Attempt {
    state: Arc<Mutex<State>>,
    number: u32,
    size: SizeHint,
    /// The frame of the copy that is next.
    next: usize,
}

impl HttpBody for Attempt {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let mut state = lock(&this.state);
        if state.attempt != this.number {
            return Poll::Ready(Some(Err(cancelled())));
        }
        let kept = state.kept.get(this.next).cloned();
        this.next += 1;
        if let Some(kept) = kept {
            return Poll::Ready(Some(Ok(kept.into())));
        }
        let polled = state.poll_consumer(context);
        if polled.is_pending() {
            this.next -= 1;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let state = lock(&self.state);
        let is_current = state.attempt == self.number;
        is_current && self.next >= state.kept.len() && matches!(state.consumer, Consumer::Done)
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

/// The producer is told that nobody wants its answer any more.
fn cancelled() -> BodyError {
    h2::Error::from(Reason::CANCEL).into()
}

/// A panic leaves the state as one of its steps does.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use hyper::http::HeaderValue;
    use sbi::metrics::Metrics;
    use tokio::sync::mpsc;

    use super::*;

    /// A consumer's body that the test sends.
    struct Sent(mpsc::UnboundedReceiver<Result<Frame<Bytes>, BodyError>>);

    impl HttpBody for Sent {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            self.0.poll_recv(context)
        }
    }

    type Sender = mpsc::UnboundedSender<Result<Frame<Bytes>, BodyError>>;

    fn upload() -> (Sender, Upload) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, of(Body::passing(Sent(receiver))))
    }

    fn of(body: Body) -> Upload {
        Upload::new(body, RoutingMetrics::new(&Metrics::new().registry))
    }

    fn send(sender: &Sender, octets: usize) {
        let data = Frame::data(Bytes::from(vec![7; octets]));
        sender.send(Ok(data)).expect("the body is there");
    }

    /// The octets of the next frame of data.
    async fn octets(body: &mut Body) -> Option<usize> {
        let frame = body.next().await?.expect("no error");
        frame.into_data().ok().map(|data| data.len())
    }

    #[tokio::test]
    async fn a_short_body_is_sent_again_whole_with_its_trailers() {
        let (sender, upload) = upload();
        let mut first = upload.attempt();
        send(&sender, 3);
        assert_eq!(octets(&mut first).await, Some(3));
        send(&sender, 4);
        let trailers =
            HeaderMap::from_iter([("a".parse().unwrap(), HeaderValue::from_static("b"))]);
        sender.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
        drop(sender);
        let mut second = upload.attempt();
        assert!(first.next().await.expect("an error").is_err(), "it is over");
        assert_eq!(octets(&mut second).await, Some(3));
        assert_eq!(octets(&mut second).await, Some(4));
        let last = second.next().await.expect("a frame").expect("no error");
        assert_eq!(last.into_trailers().ok(), Some(trailers));
        assert!(second.next().await.is_none());
        assert!(upload.can_repeat() && upload.octets() == 7);
    }

    #[tokio::test]
    async fn what_is_too_long_to_keep_is_not_kept_and_not_sent_again() {
        let (sender, upload) = upload();
        let mut body = upload.attempt();
        send(&sender, MAX_KEPT);
        assert_eq!(octets(&mut body).await, Some(MAX_KEPT));
        assert!(upload.can_repeat());
        send(&sender, 1);
        assert_eq!(octets(&mut body).await, Some(1));
        assert!(!upload.can_repeat() && upload.state().kept.is_empty());
        send(&sender, 5);
        drop(sender);
        assert_eq!(octets(&mut body).await, Some(5), "it goes on all the same");
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn many_small_frames_are_not_kept() {
        let (sender, upload) = upload();
        let mut body = upload.attempt();
        for _ in 0..=MAX_KEPT_FRAMES {
            send(&sender, 1);
            assert_eq!(octets(&mut body).await, Some(1));
        }
        assert!(!upload.can_repeat());
    }

    #[tokio::test]
    async fn who_keeps_the_body_from_arriving_is_known() {
        let (sender, upload) = upload();
        let mut body = upload.attempt();
        send(&sender, 1);
        assert_eq!(upload.missing(), Missing::Nothing, "nobody has asked");
        assert_eq!(octets(&mut body).await, Some(1));
        tokio::select! {
            biased;
            _ = body.next() => panic!("there is nothing"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(upload.missing(), Missing::More);
        sender.send(Err("reset".into())).unwrap();
        assert!(body.next().await.expect("an error").is_err());
        assert_eq!(upload.missing(), Missing::Rest);
        assert!(!upload.can_repeat());
    }

    #[tokio::test]
    async fn an_attempt_ends_when_nobody_wants_the_answer() {
        let (_sender, upload) = upload();
        let mut body = upload.attempt();
        let (ended, ()) = tokio::join!(biased; body.next(), async { drop(upload) });
        let error = ended.expect("an error").expect_err("an error");
        let reason = error
            .downcast_ref::<h2::Error>()
            .and_then(h2::Error::reason);
        assert_eq!(reason, Some(Reason::CANCEL));
    }

    #[tokio::test]
    async fn a_request_without_a_body_has_none_in_any_attempt() {
        let upload = of(Body::empty());
        assert!(upload.attempt().is_end_stream() && upload.attempt().is_end_stream());
    }
}
