//! Which request caused which: one trace ID from an operation through every network function that it reaches.
//!
//! ```text
//!  AMF: operation ─┬─ handshake                         SpanContext: trace ID of all, span ID of each
//!                  ├─ request (client) ── traceparent ──> NRF: request (server)
//!                  └─ request (client) ── traceparent ──> SMF: request (server) ─ request (client) ──> AMF: request (server)
//! ```
//!
//! Spans have target [`TARGET`] and level DEBUG, so they cost nothing and send nothing unless somebody asks for them:
//! `RUST_LOG=info,sbi::trace=debug`, or an OTLP collector. What is logged below one carries its IDs. The header is that of
//! W3C Trace Context, level 1; of `tracestate` nothing is kept.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::str::FromStr;

use hyper::{HeaderMap, StatusCode};
use mtc_tls::handshake::HandshakeError;
use mtc_tls::identity::NfIdentity;
use mtc_tls::profile::ConnectionProfile;
use tokio::task_local;
use tracing::{Level, Span, debug_span, field};

use crate::operation::ServiceOperation;

/// Target of spans that belong to a trace.
pub const TARGET: &str = "sbi::trace";
/// The header that carries a [`SpanContext`].
pub const TRACEPARENT: &str = "traceparent";

task_local! {
    /// What the task is doing. Scoped to futures: it is set by [`within`] alone.
    static CURRENT: SpanContext;
}

/// A span's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanContext {
    /// ID of the trace: everything that one operation causes has the same; never 0.
    pub trace: u128,
    /// ID of this span; never 0.
    pub span: u64,
}

impl SpanContext {
    /// The first span of a new trace.
    pub fn root() -> Self {
        Self {
            trace: fastrand::u128(1..),
            span: fastrand::u64(1..),
        }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            span: fastrand::u64(1..),
            ..self
        }
    }

    /// What the sender of a request was doing. W3C Trace Context has one header: of two, neither can be
    /// believed.
    fn of_caller(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        value.to_str().ok()?.parse().ok()
    }

    /// What the task is doing now, if that is part of a trace.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|current| *current).ok()
    }
}

impl fmt::Display for SpanContext {
    /// `traceparent`: version, trace ID, span ID, and the flag that says that this span is recorded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-01", self.trace, self.span)
    }
}

/// The text is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct NoTraceparent;

impl FromStr for SpanContext {
    type Err = NoTraceparent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = |part: &str, digits: usize| {
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            part.len() == digits && part.bytes().all(is_hex)
        };
        let mut parts = text.split('-');
        let (Some(version), Some(trace), Some(span), Some(flags)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoTraceparent);
        };
        // Later versions may append; this one has four parts, and ff is none.
        let is_known = version != "ff" && (version != "00" || parts.next().is_none());
        if !is_known || !hex(version, 2) || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
            return Err(NoTraceparent);
        }
        let trace = u128::from_str_radix(trace, 16).map_err(|_| NoTraceparent)?;
        let span = u64::from_str_radix(span, 16).map_err(|_| NoTraceparent)?;
        if trace == 0 || span == 0 {
            return Err(NoTraceparent);
        }
        Ok(Self { trace, span })
    }
}

/// Whether somebody asked for spans.
pub fn is_on() -> bool {
    tracing::enabled!(target: TARGET, Level::DEBUG)
}

/// Runs `work` as the span `context`, of which [`SpanContext::current`] tells in it.
pub async fn within<F: Future>(context: SpanContext, span: Span, work: F) -> F::Output {
    use tracing::Instrument as _;
    CURRENT.scope(context, work.instrument(span)).await
}

/// Takes along what the task is doing into a future that another task will run. The span of what caused it is not kept open: it
/// ends when that has its answer.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let context = SpanContext::current();
    async move {
        match context {
            Some(context) => CURRENT.scope(context, work).await,
            None => work.await,
        }
    }
}

/// Runs one operation, the start of a trace.
pub async fn operation<F: Future>(
    name: &'static str,
    profile: ConnectionProfile,
    work: F,
) -> F::Output {
    if !is_on() {
        return work.await;
    }
    let context = SpanContext::root();
    let span = debug_span!(
        target: TARGET, "operation",
        trace_id = %TraceId(context.trace), span_id = %SpanId(context.span), kind = "internal", name, %profile
    );
    within(context, span, work).await
}

/// A handshake on this side, caused by what the task is doing.
pub fn handshake(kind: &'static str, peer: impl fmt::Display) -> Span {
    if !is_on() {
        return Span::none();
    }
    let (context, parent) = next();
    debug_span!(
        target: TARGET, "handshake",
        trace_id = %TraceId(context.trace), span_id = %SpanId(context.span), parent_id = parent.map(field::display),
        kind, %peer, profile = field::Empty, result = field::Empty
    )
}

/// Notes how a [`handshake`] went.
pub(crate) fn shook_hands(
    span: &Span,
    profile: Option<ConnectionProfile>,
    error: Option<&HandshakeError>,
) {
    if span.is_none() {
        return;
    }
    if let Some(profile) = profile {
        span.record("profile", field::display(profile));
    }
    span.record("result", error.map_or("ok", HandshakeError::class));
}

/// An accepted connection: what is logged of it has the peer's identity. It has no trace; its requests have.
pub(crate) fn connection(
    remote: SocketAddr,
    peer: Option<&NfIdentity>,
    profile: Option<ConnectionProfile>,
) -> Span {
    debug_span!(
        target: TARGET, "connection",
        id = %SpanId(fastrand::u64(1..)), %remote,
        nf_instance_id = peer.map(|peer| field::display(peer.instance_id)),
        profile = profile.map(field::display)
    )
}

/// A request that this side sends; `None` when nobody asked for spans.
pub(crate) fn sent_request(operation: ServiceOperation) -> Option<(SpanContext, Span)> {
    if !is_on() {
        return None;
    }
    let (context, parent) = next();
    Some((context, request("client", context, parent, operation)))
}

/// A request that this side received with these headers; `None` when nobody asked for spans.
pub(crate) fn received_request(
    headers: &HeaderMap,
    operation: ServiceOperation,
) -> Option<(SpanContext, Span)> {
    if !is_on() {
        return None;
    }
    let caller = SpanContext::of_caller(headers);
    let context = caller.map_or_else(SpanContext::root, SpanContext::child);
    let parent = caller.map(|caller| SpanId(caller.span));
    Some((context, request("server", context, parent, operation)))
}

/// Notes how a request ended; without a status it failed.
pub(crate) fn answered(span: &Span, status: Option<StatusCode>) {
    match status {
        Some(status) => span.record("status", status.as_u16()),
        None => span.record("status", "failed"),
    };
}

fn request(
    kind: &str,
    context: SpanContext,
    parent: Option<SpanId>,
    operation: ServiceOperation,
) -> Span {
    let ServiceOperation { service, operation } = operation;
    debug_span!(
        target: TARGET, "request",
        trace_id = %TraceId(context.trace), span_id = %SpanId(context.span), parent_id = parent.map(field::display),
        kind, service, operation, status = field::Empty
    )
}

/// A new span below what the task is doing.
fn next() -> (SpanContext, Option<SpanId>) {
    match SpanContext::current() {
        Some(current) => (current.child(), Some(SpanId(current.span))),
        None => (SpanContext::root(), None),
    }
}

struct TraceId(u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

struct SpanId(u64);

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_it_is_written() {
        let context = SpanContext::root();
        assert_eq!(context.to_string().parse(), Ok(context));
        assert_eq!(context.child().trace, context.trace);
        assert_ne!(context.child().span, context.span);
        // The example of W3C Trace Context.
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context: SpanContext = text.parse().expect("a traceparent");
        assert_eq!(context.span, 0xb7ad_6b71_6920_3331);
        assert_eq!(context.to_string(), text);
        // A later version may say more.
        assert_eq!(format!("01{}-more", &text[2..]).parse(), Ok(context));
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for bad in [
            String::new(),
            good[..54].to_owned(),
            good.to_uppercase(),
            format!("{good}-00"),
            good.replace("00-0af", "ff-0af"),
            good.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            good.replace("b7ad6b7169203331", &"0".repeat(16)),
            good.replace('b', "+"),
        ] {
            assert_eq!(bad.parse::<SpanContext>(), Err(NoTraceparent), "{bad}");
        }
    }

    #[tokio::test]
    async fn another_task_goes_on_with_what_is_carried_to_it() {
        let context = SpanContext::root();
        let inside = within(context, Span::none(), async {
            let carried = tokio::spawn(carried(async { SpanContext::current() }));
            let left = tokio::spawn(async { SpanContext::current() });
            (carried.await.ok().flatten(), left.await.ok().flatten())
        });
        assert_eq!(inside.await, (Some(context), None));
        assert_eq!(SpanContext::current(), None);
    }
}
