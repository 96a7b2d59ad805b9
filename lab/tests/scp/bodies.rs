//! Bodies on their way through the SCP: how much of them it holds, and what happens when a side stands still or breaks off.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use experiment::scenario::Nf;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode};
use sbi::body::{Body, BodyError};
use sbi::client::Connection;
use sbi::server;
use test_support::body::Written;
use test_support::command::{PATIENCE, within};
use test_support::test_lab::TestLab;
use tokio::sync::mpsc;

use super::{Consumer, DISCOVERY, PATH, lab, refusal};

/// Octets of a frame.
const FRAME: usize = 16 * 1024;
/// A body that nobody should hold.
const LONG: u64 = 32 << 20;
/// What all windows and buffers between the two ends hold at most: two connections' windows of 64 KiB each for the SCP, what a
/// client buffers of its own, and the frames in hand.
const ON_THE_WAY: u64 = 2 << 20;
/// A body of which the SCP keeps no copy for another attempt.
const TOO_LONG_TO_REPEAT: u64 = 128 << 10;

/// What a test hears of a body that it sends.
#[derive(Clone)]
pub(super) struct Seen {
    octets: Arc<AtomicU64>,
    ended: mpsc::UnboundedSender<()>,
}

impl Seen {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<()>) {
        let (ended, end) = mpsc::unbounded_channel();
        let octets = Arc::default();
        (Self { octets, ended }, end)
    }

    fn octets(&self) -> u64 {
        self.octets.load(Ordering::Relaxed)
    }
}

/// A body of so many octets, with a trailer, unless it breaks off. Tells when it is dropped.
struct Sent {
    left: u64,
    trailers: Option<HeaderMap>,
    is_broken: bool,
    seen: Seen,
}

impl Sent {
    fn new(octets: u64, seen: &Seen) -> Self {
        let sum = HeaderValue::from(octets);
        let trailers = HeaderMap::from_iter([("x-octets".parse().expect("a name"), sum)]);
        Self {
            left: octets,
            trailers: Some(trailers),
            is_broken: false,
            seen: seen.clone(),
        }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.left == 0 && self.is_broken {
            return Poll::Ready(Some(Err("broken by the test".into())));
        }
        if self.left == 0 {
            let trailers = self.trailers.take();
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let octets = self.left.min(FRAME as u64);
        self.left -= octets;
        self.seen.octets.fetch_add(octets, Ordering::Relaxed);
        let data = Bytes::from_static(&[b'x'; FRAME]);
        let data = data.slice(..usize::try_from(octets).expect("at most a frame"));
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        // The test may be over.
        let _ = self.seen.ended.send(());
    }
}

/// What a producer of the test's does with bodies, by the last segment of the path.
pub(super) async fn answer(
    number: u16,
    seen: &Seen,
    request: server::Request,
    mut body: Body,
) -> hyper::Response<Body> {
    match request.path.rsplit('/').next().expect("a segment") {
        "mirror" => hyper::Response::new(body),
        "stuck" => std::future::pending().await,
        "flow" => hyper::Response::new(Body::passing(Sent::new(LONG, seen))),
        // Takes all that there is, then breaks an answer off that it said was short, unless it is the second producer.
        "short" => {
            while let Some(Ok(_)) = body.next().await {}
            let mut sent = Sent::new(8, seen);
            (sent.trailers, sent.is_broken) = (None, number == 101);
            let mut answer = hyper::Response::new(Body::passing(sent));
            let length = if number == 101 { "16" } else { "8" };
            let length = HeaderValue::from_static(length);
            answer.headers_mut().insert(CONTENT_LENGTH, length);
            answer
        }
        "broken" => {
            let mut sent = Sent::new(LONG / 32, seen);
            sent.is_broken = true;
            hyper::Response::new(Body::passing(sent))
        }
        other => panic!("no such path: {other}"),
    }
}

/// A request to the first producer's `path`.
fn request(amf: &Consumer, path: &str, root: &str, time: &str) -> sbi::client::Request {
    let headers = [
        ("3gpp-sbi-target-apiroot", root),
        ("3gpp-sbi-max-rsp-time", time),
    ];
    amf.request(Method::POST, &format!("{PATH}/bodies/{path}"), &headers)
}

async fn pass(
    scp: &Connection,
    request: sbi::client::Request,
    body: Body,
) -> hyper::Response<Body> {
    let answer = scp.pass(request, body, PATIENCE);
    answer.await.expect("the SCP answers")
}

/// Octets of `body` up to its end or error, and its trailers.
async fn read(mut body: Body) -> Result<(u64, Option<HeaderMap>), BodyError> {
    let (mut octets, mut trailers) = (0, None);
    while let Some(frame) = body.next().await {
        match frame?.into_data() {
            Ok(data) => octets += data.len() as u64,
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((octets, trailers))
}

/// The most memory that the SCP has had since this was asked before, in bytes.
fn peak_memory(lab: &mut TestLab) -> u64 {
    let process = format!("/proc/{}", lab.pid(Nf::Scp));
    let status = std::fs::read_to_string(format!("{process}/status")).expect("the SCP runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    std::fs::write(format!("{process}/clear_refs"), "5").expect("peaks can be reset");
    kib.expect("Linux tells") << 10
}

#[tokio::test]
async fn long_bodies_pass_both_ways_in_bounded_memory_with_their_trailers() {
    let (mut lab, [first, _second], amf) = lab().await;
    let scp = amf.connect_to_pass().await;
    // What the first of all requests takes is there.
    let (seen, _) = Seen::new();
    let warm = Body::passing(Sent::new(FRAME as u64, &seen));
    let answer = pass(&scp, request(&amf, "mirror", &first.root, "10000"), warm).await;
    assert!(within(read(answer.into_body())).await.is_ok());

    peak_memory(&mut lab);
    let before = peak_memory(&mut lab);
    let (seen, _) = Seen::new();
    let body = Body::passing(Sent::new(LONG, &seen));
    let answer = pass(&scp, request(&amf, "mirror", &first.root, "10000"), body).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let (octets, trailers) = within(read(answer.into_body())).await.expect("no error");
    assert_eq!((octets, seen.octets()), (LONG, LONG));
    let trailers = trailers.expect("the mirror shows them");
    assert_eq!(trailers["x-octets"], LONG.to_string());
    let grown = peak_memory(&mut lab).saturating_sub(before);
    assert!(grown < LONG / 4, "{grown} bytes for a body of {LONG}");
}

#[tokio::test]
async fn a_side_that_stands_still_holds_up_the_other_and_is_given_up() {
    let (_lab, [first, _second], amf) = lab().await;
    let scp = amf.connect_to_pass().await;

    // The producer takes nothing: the consumer's body is taken no further than windows reach.
    let (seen, mut end) = Seen::new();
    let body = Body::passing(Sent::new(LONG, &seen));
    let answer = pass(&scp, request(&amf, "stuck", &first.root, "500"), body).await;
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    drop(answer);
    within(end.recv()).await.expect("it is given up");
    assert!(seen.octets() < ON_THE_WAY, "{}", seen.octets());

    // The consumer takes nothing: neither does the SCP of the producer, and does not wait for ever.
    let sent = &first.sent;
    let mut given_up = first.given_up.lock().await;
    let ask = request(&amf, "flow", &first.root, "500");
    let answer = pass(&scp, ask, Body::empty()).await;
    within(given_up.recv()).await.expect("it is given up");
    assert!(sent.octets() < ON_THE_WAY, "{}", sent.octets());
    assert!(within(read(answer.into_body())).await.is_err(), "not whole");

    // The consumer sends nothing more: it is told so, and the producer is not blamed.
    let silent = Body::passing(Written::endless([]));
    let answer = pass(&scp, request(&amf, "mirror", &first.root, "500"), silent).await;
    assert!(within(read(answer.into_body())).await.is_err(), "not whole");
    let silent = Body::passing(Written::endless([]));
    let answer = pass(&scp, request(&amf, "short", &first.root, "500"), silent).await;
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_reset_on_either_side_reaches_the_other() {
    let (_lab, [first, _second], amf) = lab().await;
    let scp = amf.connect_to_pass().await;
    let mut given_up = first.given_up.lock().await;

    // The producer breaks its answer off.
    let ask = request(&amf, "broken", &first.root, "10000");
    let answer = pass(&scp, ask, Body::empty()).await;
    assert!(within(read(answer.into_body())).await.is_err());
    within(given_up.recv()).await.expect("it is over");

    // The consumer wants no more of an answer.
    let ask = request(&amf, "flow", &first.root, "10000");
    let mut answer = pass(&scp, ask, Body::empty()).await;
    let frame = within(answer.body_mut().next()).await;
    assert!(frame.expect("a frame").is_ok());
    drop(answer);
    within(given_up.recv()).await.expect("it is over");

    // The consumer's own body breaks off, which the mirror shows.
    let (seen, _) = Seen::new();
    let mut sent = Sent::new(LONG / 32, &seen);
    sent.is_broken = true;
    let ask = request(&amf, "mirror", &first.root, "10000");
    let answer = pass(&scp, ask, Body::passing(sent)).await;
    assert!(within(read(answer.into_body())).await.is_err());

    // All of it has cost the producer nothing: it is asked as before.
    let (seen, _) = Seen::new();
    let body = Body::passing(Sent::new(3, &seen));
    let answer = pass(&scp, request(&amf, "mirror", &first.root, "10000"), body).await;
    let (octets, _) = within(read(answer.into_body())).await.expect("no error");
    assert_eq!(octets, 3);
}

#[tokio::test]
async fn a_request_is_sent_to_another_producer_only_while_all_of_its_body_is_there() {
    let (_lab, [first, second], amf) = lab().await;
    let scp = amf.connect_to_pass().await;
    let put = |octets| {
        let (seen, _) = Seen::new();
        let path = format!("{PATH}/bodies/short");
        let request = amf.request(Method::PUT, &path, &DISCOVERY);
        let body = Body::passing(Sent::new(octets, &seen));
        pass(&scp, request, body)
    };
    // The first breaks its short answer off.
    let answer = put(FRAME as u64).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let chosen = &answer.headers()["3gpp-sbi-producer-id"];
    assert_eq!(*chosen, format!("nfinst={}", second.id));
    let (octets, _) = read(answer.into_body()).await.expect("it is whole");
    assert_eq!(octets, 8);

    let refused = put(TOO_LONG_TO_REPEAT).await;
    let (head, body) = refused.into_parts();
    let mut whole = sbi::response::Response::empty(head.status);
    whole.headers = head.headers;
    let mut body = body.gathered().await.expect("it is whole");
    let data = body.next().await.expect("a frame").expect("no error");
    whole.body = data.into_data().expect("data");
    let not_reachable = (504, "TARGET_NF_NOT_REACHABLE".to_owned());
    assert_eq!(refusal(&whole), not_reachable);

    // Nobody is at the first one's port: nothing was sent, so a body of any length goes to the second.
    first.end().await;
    let answer = put(TOO_LONG_TO_REPEAT).await;
    assert_eq!(answer.status(), StatusCode::OK);
}
