use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body as HttpBody, Frame};
use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
use mtc_core::id::{LogId, LogNumber, TreeSize};
use mtc_core::time::UnixTime;
use mtc_log::{
    AddCheckpoint, CosigningKey, DirectoryStorage, IssuanceLog, LogFolders, UploadHeader,
    WitnessedLog, upload_body,
};
use tempfile::TempDir;
use tokio::time::{Interval, interval};

use super::*;

/// Pieces of this many octets, one at each tick, for ever.
struct Drip {
    every: Interval,
    octets: usize,
}

impl Drip {
    fn body(octets: usize, every: Duration) -> Body {
        let every = interval(every);
        Body::passing(Self { every, octets })
    }
}

impl HttpBody for Drip {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        ready!(self.every.poll_tick(context));
        Poll::Ready(Some(Ok(Frame::data(vec![0; self.octets].into()))))
    }
}

/// How long a body is listened to, an hour at most.
async fn patience(mut body: Body) -> Duration {
    let began = Instant::now();
    let mut pace = Pace::default();
    let listening = async { while pace.next(&mut body).await.is_some() {} };
    let _ = timeout(Duration::from_secs(3600), listening).await;
    began.elapsed()
}

// An octet every nine seconds held one of 64 places for ever.
#[tokio::test(start_paused = true)]
async fn whoever_sends_too_slowly_is_not_waited_for() {
    let slow = patience(Drip::body(1, Duration::from_secs(9))).await;
    assert!(slow < 2 * SILENCE, "{slow:?}");
    let half = LEAST_RATE as usize / 2;
    let half = patience(Drip::body(half, Duration::from_secs(1))).await;
    assert!(half < 3 * SILENCE, "{half:?}");
    let enough = patience(Drip::body(LEAST_RATE as usize, Duration::from_secs(1))).await;
    assert_eq!(enough, Duration::from_secs(3600));
}

/// A mirror that has been told of a log of a thousand entries.
fn told() -> (TempDir, Arc<MirrorStore>, IssuanceLog) {
    let key = |id: &str| {
        let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("a key");
        CosigningKey::new(id.parse().expect("an ID"), secret).expect("a public half")
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let storage = DirectoryStorage::create(folder.path().join("log")).expect("a new folder");
    let id = LogId::new("32473.1".parse().expect("an ID"), LogNumber::FIRST).expect("short");
    let now = UnixTime(1_700_000_000);
    let log = IssuanceLog::create(Arc::new(storage), id, key("32473.1"), now);
    let mut log = log.expect("an empty storage");
    let entries: Vec<_> = (0..1000_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    let checkpoint = log.append(&entries, now).expect("works").checkpoint;
    let known = WitnessedLog {
        id,
        ca: log.ca().clone(),
    };
    let folders = LogFolders(folder.path().join("mirror"));
    let store = MirrorStore::open(folders, key("32473.7"), [known]).expect("an empty folder");
    let request = AddCheckpoint {
        old_size: TreeSize(0),
        proof: vec![],
        checkpoint: checkpoint.to_note(),
    };
    store
        .add_checkpoint(&request.encode())
        .expect("the CA's checkpoint");
    (folder, Arc::new(store), log)
}

fn receiver(store: &Arc<MirrorStore>, budget: &Budget) -> Receiver {
    Receiver {
        store: store.clone(),
        clock: Clock::default(),
        decoder: decoder(&HeaderMap::new()).expect("no encoding"),
        reader: UploadReader::default(),
        share: budget.share(0, false).expect("nothing takes no room"),
        pace: Pace::default(),
    }
}

// It was told that there was no package where there should be one.
#[tokio::test]
async fn who_finds_no_room_for_its_first_package_is_told_to_come_again() {
    let (_folder, store, log) = told();
    let header = UploadHeader {
        origin: log.id().origin(),
        start: 0,
        end: 1000,
        ticket: vec![],
    };
    let body = upload_body(&header, &log.reader().expect("a sound log")).expect("a sound log");
    let body = Bytes::from(body);
    // The header is read, the package does not fit.
    let full = receiver(&store, &Budget::new(300));
    let pieces = [body.slice(..200), body.slice(200..)];
    let refused = full.receive(Body::passing(Pieces(pieces.into()))).await;
    let refused = refused.expect_err("there is no room");
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);

    let roomy = receiver(&store, &Budget::new(1 << 20));
    let answer = roomy.receive(body.into()).await.expect("there is room");
    assert_eq!(answer.status, StatusCode::OK);
}

/// A body in these pieces.
struct Pieces(std::collections::VecDeque<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}
