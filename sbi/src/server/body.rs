//! Reading a request's body within its bound, the process's budget and time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;

use crate::budget::Share;
use crate::problem::{Cause, Problem};

/// How long a request body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// When a peer is told to come again after there was no room for its request: bodies that do not arrive are given up by then.
const RETRY_WHEN_FULL: u32 = 5;

/// Reads `body`, of which `share` pays every octet before it is kept.
pub(super) async fn read(
    body: Incoming,
    bound: usize,
    share: &mut Share,
) -> Result<Bytes, Problem> {
    // Most requests have none, and wait for nothing.
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    // A body that says that it is too long is not waited for.
    if body.size_hint().lower() > bound as u64 {
        return Err(too_long(bound));
    }
    match Box::pin(timeout(BODY_TIMEOUT, collect(body, bound, share))).await {
        Ok(body) => body,
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("body did not arrive within {BODY_TIMEOUT:?}"),
        )),
    }
}

async fn collect(mut body: Incoming, bound: usize, share: &mut Share) -> Result<Bytes, Problem> {
    // Frames are copied: each is a part of what was read from the socket, and would hold all of it.
    let mut collected = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Problem::invalid_msg_format(format!("body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = collected.len() + data.len();
        if length > bound {
            return Err(too_long(bound));
        }
        if length > collected.capacity() {
            let capacity = length.next_power_of_two().min(bound);
            let more = capacity - collected.capacity();
            share.grow(more).map_err(|_| no_room())?;
            collected.reserve_exact(capacity - collected.len());
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected.into())
}

fn too_long(bound: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("body is longer than {bound} octets"),
    )
}

/// What a peer is told for whose request or answer there is no room.
pub(super) fn no_room() -> Problem {
    Problem::unavailable(
        Cause::InsufficientResources,
        "no room for this request now",
        RETRY_WHEN_FULL,
    )
}
