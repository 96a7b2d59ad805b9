//! A byte stream that counts what passes, and watches a handshake's records.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::record::{Side, Watch};

/// Bytes that passed a stream so far; readable while something else owns the stream.
#[derive(Debug, Default)]
pub struct Traffic {
    read: AtomicU64,
    written: AtomicU64,
}

impl Traffic {
    /// Bytes in both directions.
    pub fn total(&self) -> u64 {
        self.read.load(Ordering::Relaxed) + self.written.load(Ordering::Relaxed)
    }
}

/// A byte stream that counts what passes.
#[derive(Debug)]
pub struct Counted<S> {
    stream: S,
    traffic: Arc<Traffic>,
    /// Until the handshake is complete.
    watch: Option<Box<Watch>>,
    /// What a server has read, until somebody takes its ClientHello from it.
    hello: Option<Vec<u8>>,
}

/// Bytes that are kept for whoever looks into ClientHello. rustls takes one of 64 KiB at most, in ordinary records as in BoringSSL's
/// largest of some kilobytes; what a client spreads over more bytes is not kept, and says nothing.
const MAX_HELLO: usize = 80 * 1024;

impl<S> Counted<S> {
    pub(super) fn new(stream: S, side: Side) -> Self {
        Self {
            stream,
            traffic: Arc::default(),
            watch: Some(Box::new(Watch::new(side))),
            hello: (side == Side::Server).then(Vec::new),
        }
    }

    /// The stream beneath, for its addresses and options; what passes here is not counted.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Bytes read so far.
    pub fn read(&self) -> u64 {
        self.traffic.read.load(Ordering::Relaxed)
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.traffic.written.load(Ordering::Relaxed)
    }

    /// Where the bytes are counted, also those that are still to pass.
    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    /// What was read so far, and nothing is kept from now on; nothing if it was too much.
    pub(super) fn take_hello(&mut self) -> Vec<u8> {
        self.hello.take().unwrap_or_default()
    }

    /// What was watched; what comes now is only counted.
    pub(super) fn take_watch(&mut self) -> Option<Box<Watch>> {
        self.watch.take()
    }

    fn count_written(&mut self, buffers: &[IoSlice<'_>], written: usize) {
        let all = &self.traffic.written;
        all.fetch_add(written as u64, Ordering::Relaxed);
        let Some(watch) = &mut self.watch else {
            return;
        };
        let mut left = written;
        for buffer in buffers {
            let taken = left.min(buffer.len());
            watch.sent(&buffer[..taken]);
            left -= taken;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = &buffer.filled()[before..];
        let all = &self.traffic.read;
        all.fetch_add(read.len() as u64, Ordering::Relaxed);
        if let Some(watch) = &mut self.watch {
            watch.received(read);
        }
        if let Some(hello) = self.hello.as_mut() {
            if hello.len() + read.len() <= MAX_HELLO {
                hello.extend_from_slice(read);
            } else {
                self.hello = None;
            }
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = polled {
            self.count_written(&[IoSlice::new(bytes)], written);
        }
        polled
    }

    // Without this, rustls' records would leave one by one, each in a segment of its own, and an alert queued behind
    // another record would be lost: on an error tokio-rustls writes once more before it gives up.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        if let Poll::Ready(Ok(written)) = polled {
            self.count_written(buffers, written);
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
