//! A message's body as HTTP sends it: whole, or a frame at a time as it comes from somebody else.
//!
//! ```text
//!   Whole    octets that are here                    what a handler answers, what a client asks
//!   Passing  frames, as fast as they are taken       what a proxy passes on; the receiver's HTTP/2 window is the bound
//! ```
//!
//! A body on its way is asked for its next frame only when there is room to send it, and HTTP/2 lets its sender send more only
//! when a frame was taken: nowhere waits more than a window.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// Octets that a process keeps at most for a body on its way: a window that is not read yet, or the copy for another attempt,
/// and as much again that waits to be sent.
pub const MAX_PASSING: usize = 2 * PASSING_WINDOW as usize;
/// Octets of a body on its way that its sender may send before they are taken.
pub const PASSING_WINDOW: u32 = 64 * 1024;

/// Why a body on its way has no more frames.
pub type BodyError = Box<dyn Error + Send + Sync>;

/// A body to be sent.
#[derive(Debug)]
pub struct Body(Kind);

enum Kind {
    /// None when they are taken.
    Whole(Option<Bytes>),
    Passing(Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError> + Send>>),
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(octets) => octets.fmt(f),
            Self::Passing(_) => f.write_str("Passing"),
        }
    }
}

impl Body {
    /// No octets.
    pub fn empty() -> Self {
        Bytes::new().into()
    }

    /// What `body` brings, frame by frame, trailers too.
    pub fn passing<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self(Kind::Passing(Box::pin(body.map_err(Into::into))))
    }

    /// Octets that this process keeps for it at most.
    pub fn kept(&self) -> usize {
        let upper = self.size_hint().upper().unwrap_or(u64::MAX);
        let octets = usize::try_from(upper).unwrap_or(usize::MAX);
        match &self.0 {
            Kind::Whole(_) => octets,
            Kind::Passing(_) => octets.min(MAX_PASSING),
        }
    }

    /// The same body, with `guard` until HTTP lets go of its last octet.
    #[must_use]
    pub fn guarded(self, guard: impl Send + Sync + 'static) -> Self {
        match self.0 {
            Kind::Whole(None) => self,
            Kind::Whole(Some(data)) => Bytes::from_owner(GuardedData { data, guard }).into(),
            Kind::Passing(_) => {
                let guard = Arc::new(guard);
                Self(Kind::Passing(Box::pin(WithGuard { body: self, guard })))
            }
        }
    }

    /// The same body with all of it here.
    ///
    /// # Errors
    /// It broke off.
    pub async fn gathered(self) -> Result<Self, BodyError> {
        let collected = self.collect().await?;
        Ok(match collected.trailers() {
            None => collected.to_bytes().into(),
            Some(_) => Self::passing(collected),
        })
    }

    /// The next frame; none after the last.
    pub async fn next(&mut self) -> Option<Result<Frame<Bytes>, BodyError>> {
        self.frame().await
    }
}

impl From<Bytes> for Body {
    fn from(body: Bytes) -> Self {
        Self(Kind::Whole((!body.is_empty()).then_some(body)))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Whole(octets) => Poll::Ready(octets.take().map(|octets| Ok(Frame::data(octets)))),
            Kind::Passing(body) => body.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(octets) => octets.is_none(),
            Kind::Passing(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(octets) => {
                SizeHint::with_exact(octets.as_ref().map_or(0, |octets| octets.len() as u64))
            }
            Kind::Passing(body) => body.size_hint(),
        }
    }
}

/// A body whose frames each keep the guard.
struct WithGuard<G> {
    body: Body,
    guard: Arc<G>,
}

impl<G: Send + Sync + 'static> HttpBody for WithGuard<G> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        frame.map_ok(|frame| {
            frame.map_data(|data| {
                Bytes::from_owner(GuardedData {
                    data,
                    guard: self.guard.clone(),
                })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct GuardedData<G> {
    data: Bytes,
    #[expect(dead_code, reason = "dropped with the data")]
    guard: G,
}

impl<G> AsRef<[u8]> for GuardedData<G> {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use hyper::HeaderMap;
    use hyper::http::HeaderValue;

    use super::*;

    #[tokio::test]
    async fn a_guard_lives_until_the_last_octet_is_let_go() {
        let guard = Arc::new(());
        let mut body = Body::from(Bytes::from_static(b"abc")).guarded(guard.clone());
        assert_eq!((body.kept(), body.size_hint().exact()), (3, Some(3)));
        let frame = body.next().await.expect("a frame").expect("no error");
        assert!(body.is_end_stream());
        drop(body);
        assert_eq!(Arc::strong_count(&guard), 2, "the frame is still there");
        drop(frame);
        assert_eq!(Arc::strong_count(&guard), 1);
    }

    #[tokio::test]
    async fn what_passes_keeps_no_more_than_its_windows_and_brings_its_trailers() {
        let trailers = HeaderMap::from_iter([(
            "x-sum".parse().expect("a name"),
            HeaderValue::from_static("1"),
        )]);
        let long = Full::new(Bytes::from(vec![0; 3 * MAX_PASSING]));
        let mut body =
            Body::passing(long.with_trailers(std::future::ready(Some(Ok(trailers.clone())))));
        assert_eq!(body.kept(), MAX_PASSING);
        let data = body.next().await.expect("a frame").expect("no error");
        assert_eq!(
            data.into_data().map(|data| data.len()).ok(),
            Some(3 * MAX_PASSING)
        );
        let last = body.next().await.expect("a frame").expect("no error");
        assert_eq!(last.into_trailers().ok(), Some(trailers));
        assert!(Body::passing(Full::new(Bytes::new())).is_end_stream());
    }
}
