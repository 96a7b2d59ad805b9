//! Bodies that a test writes: these octets, frame by frame, and what then comes of it. Shared with the trials of the built command.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};

/// A body of these frames, as many as there are, and with this end.
pub struct Written<F> {
    frames: F,
    end: End,
}

enum End {
    Whole,
    Never,
    Broken,
}

impl<F: Iterator<Item = Bytes>> Written<F> {
    /// It ends after the last frame.
    pub fn whole(frames: impl IntoIterator<IntoIter = F>) -> Self {
        Self::of(frames, End::Whole)
    }

    /// Nothing comes after the last frame, for ever.
    pub fn endless(frames: impl IntoIterator<IntoIter = F>) -> Self {
        Self::of(frames, End::Never)
    }

    /// It breaks off after the last frame.
    pub fn broken(frames: impl IntoIterator<IntoIter = F>) -> Self {
        Self::of(frames, End::Broken)
    }

    fn of(frames: impl IntoIterator<IntoIter = F>, end: End) -> Self {
        Self {
            frames: frames.into_iter(),
            end,
        }
    }
}

impl<F: Iterator<Item = Bytes> + Unpin> Body for Written<F> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match (self.frames.next(), &self.end) {
            (Some(octets), _) => Poll::Ready(Some(Ok(Frame::data(octets)))),
            (None, End::Whole) => Poll::Ready(None),
            (None, End::Never) => Poll::Pending,
            (None, End::Broken) => Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into()))),
        }
    }
}
