//! A stream that can be ended from outside.
//!
//! hyper drives a client's stream in a task of its own, which outlives what is dropped of the connection as long as a request waits for
//! its answer. What must end such a request therefore has to end the stream.
//!
//! ```text
//!   h2 ── read, write ──> Until ──> TLS
//!                           └── once `end` has completed: ConnectionAborted
//! ```

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that fails, with [`io::ErrorKind::ConnectionAborted`], as soon as `end` has completed.
pub(super) struct Until<IO> {
    io: IO,
    /// `None` when it has completed.
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<IO> Until<IO> {
    pub(super) fn new(io: IO, end: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            io,
            end: Some(Box::pin(end)),
        }
    }

    /// The stream, unless it has ended; wakes whoever reads or writes when it does.
    fn going_on(&mut self, cx: &mut Context<'_>) -> io::Result<&mut IO> {
        if let Some(end) = &mut self.end {
            if end.as_mut().poll(cx).is_pending() {
                return Ok(&mut self.io);
            }
            self.end = None;
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Until<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.going_on(cx)?).poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Until<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.going_on(cx)?).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.going_on(cx)?).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.going_on(cx)?).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
