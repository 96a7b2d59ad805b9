//! A TLS stream that remembers the failure on which it ended.
//!
//! In TLS 1.3 a client has finished its handshake before the server sees the client's certificate. A server that refuses it
//! sends an alert, which meets whatever the client reads next; under HTTP/2 that is a request that gets no answer, and HTTP/2
//! hands on neither the error nor, when it comes before the request is sent, any trace of it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::{OperationStep, SessionError};

/// The stream.
pub(crate) struct Watched<S> {
    stream: S,
    failure: Failure,
}

/// What a [`Watched`] stream remembers: the first failed read, as kind and text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failure(Arc<OnceLock<(io::ErrorKind, String)>>);

impl<S> Watched<S> {
    /// Watches `stream`.
    pub(crate) fn new(stream: S) -> (Self, Failure) {
        let failure = Failure::default();
        let watched = Self {
            stream,
            failure: failure.clone(),
        };
        (watched, failure)
    }
}

impl Failure {
    /// `error`, or in its place the failure of TLS that is behind it.
    pub(crate) fn explain(&self, step: OperationStep, error: SessionError) -> SessionError {
        match self.0.get() {
            // TLS streams give this kind to all errors of TLS, alerts among them, and to nothing else.
            Some((kind @ io::ErrorKind::InvalidData, text)) => SessionError::BrokenOff {
                step,
                source: io::Error::new(*kind, text.clone()),
            },
            _ => error,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if let Err(error) = &read {
            self.failure
                .0
                .get_or_init(|| (error.kind(), error.to_string()));
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
