//! The mirror behind real HTTP, as c2sp.org/tlog-mirror has it.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Method;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use hyper::http::HeaderValue;
use mtc_core::checkpoint::verify_subtree_line;
use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::id::{LogId, LogNumber, TreeSize};
use mtc_core::note::SignedNote;
use mtc_core::time::UnixTime;
use mtc_core::tree::Subtree;
use mtc_log::{
    AddCheckpoint, CaCheckpoint, CosigningKey, DirectoryStorage, IssuanceLog, LogFolders,
    MirrorInfo, MirrorStore, TreeReader, UploadHeader, WitnessedLog, upload_body,
};
use mtc_mirror::api::MirrorApi;
use mtc_mirror::metrics::MirrorMetrics;
use mtc_tls::clock::Clock;
use mtc_web::{Answer, Client};
use sbi::client::{Connection, Request};
use sbi::limits::Limits;
use sbi::listener::{bind, serve_plain};
use sbi::metrics::Registry;
use sbi::process::Stop;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

const LOGGED_AT: UnixTime = UnixTime(1_700_000_000);
const PATIENCE: Duration = Duration::from_secs(60);
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");
const LIMIT: usize = 1 << 20;

fn key(id: &str) -> CosigningKey {
    let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("a key");
    CosigningKey::new(id.parse().expect("an ID"), secret).expect("a public half")
}

/// A log of 1000 entries, and the mirror that knows it, served.
struct Scene {
    log: IssuanceLog,
    checkpoint: CaCheckpoint,
    mirror: Cosigner,
    client: Client,
    _stop: watch::Sender<bool>,
    _folder: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let storage = DirectoryStorage::create(folder.path().join("log")).expect("a new folder");
        let id = LogId::new("32473.1".parse().expect("an ID"), LogNumber::FIRST).expect("short");
        let mut log = IssuanceLog::create(Arc::new(storage), id, key("32473.1"), LOGGED_AT)
            .expect("an empty storage");
        let entries: Vec<_> = (0..1000_u32)
            .map(|entry| entry.to_be_bytes().to_vec())
            .collect();
        let checkpoint = log.append(&entries, LOGGED_AT).expect("works").checkpoint;
        let key = key("32473.7");
        let mirror = key.cosigner().clone();
        let known = WitnessedLog {
            id,
            ca: log.ca().clone(),
        };
        let folders = LogFolders(folder.path().join("mirror"));
        let store = MirrorStore::open(folders, key, [known]).expect("an empty folder");
        let metrics = MirrorMetrics::new(&Registry::default());
        let api = MirrorApi::new(Arc::new(store), Clock::default(), metrics);
        let any_port = ([127, 0, 0, 1], 0).into();
        let (listener, addr) = bind(any_port, "mirror", "listen").expect("a free port");
        let (raise, stop) = Stop::new();
        tokio::spawn(serve_plain(
            listener,
            Arc::new(api),
            Limits::default(),
            stop,
        ));
        Self {
            log,
            checkpoint,
            mirror,
            client: Client::new(addr.into(), PATIENCE).expect("cleartext"),
            _stop: raise,
            _folder: folder,
        }
    }

    fn tree(&self) -> TreeReader {
        self.log.reader().expect("a sound log")
    }

    fn body(&self, start: u64) -> Vec<u8> {
        let header = UploadHeader {
            origin: self.log.id().origin(),
            start,
            end: 1000,
            ticket: vec![],
        };
        upload_body(&header, &self.tree()).expect("a sound log")
    }

    async fn post(&self, path: &str, content_type: HeaderValue, body: Vec<u8>) -> Answer {
        let answer = self.client.post(path, content_type, body, LIMIT).await;
        answer.expect("the mirror answers")
    }

    async fn announce(&self) {
        let request = AddCheckpoint {
            old_size: TreeSize(0),
            proof: vec![],
            checkpoint: self.checkpoint.to_note(),
        };
        let answer = self.post("add-checkpoint", TEXT, request.encode()).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    }

    /// Fails unless the answer is the mirror's cosignature of the checkpoint.
    fn assert_cosigned(&self, lines: &[u8]) {
        let lines = std::str::from_utf8(lines).expect("text");
        let lines = SignedNote::parse_signatures(lines).expect("signature lines");
        let whole = Subtree::whole(self.checkpoint.size());
        let root = self.checkpoint.root();
        let verified = verify_subtree_line(&lines, &self.mirror, self.log.id(), whole, &root);
        assert_ne!(verified.expect("signed by the mirror").0, UnixTime(0));
    }

    async fn get(&self, object: &str) -> Answer {
        let hash = sbi::checksum::sha256(self.log.id().origin().as_bytes());
        let answer = self.client.get(&format!("{hash}/{object}"), LIMIT).await;
        answer.expect("the mirror answers")
    }
}

fn info(answer: &Answer) -> (u64, u64) {
    assert_eq!(answer.headers[CONTENT_TYPE], "text/x.tlog.mirror-info");
    let info = MirrorInfo::parse(&answer.body).expect("three lines");
    (info.size.0, info.next)
}

#[tokio::test]
async fn a_log_is_announced_uploaded_cosigned_and_served() {
    let scene = Scene::new().await;
    let answer = scene.post("add-entries", BINARY, scene.body(0)).await;
    assert_eq!(answer.status, 422, "nothing is pending");
    scene.announce().await;
    assert_eq!(scene.get("checkpoint").await.status, 404);
    assert_eq!(scene.get("tile/entries/000").await.status, 404);

    let body = scene.body(0);
    let cut = scene
        .post("add-entries", BINARY, body[..4000].to_vec())
        .await;
    assert_eq!(cut.status, 202, "{:?}", cut.body);
    assert_eq!(info(&cut), (1000, 512));
    assert_eq!(cut.headers[ACCEPT_ENCODING], "gzip");
    assert_eq!(
        scene.get("tile/entries/000").await.status,
        404,
        "not covered"
    );
    let ahead = scene.post("add-entries", BINARY, scene.body(600)).await;
    assert_eq!((ahead.status.as_u16(), info(&ahead)), (409, (1000, 512)));
    let whole = scene.post("add-entries", BINARY, scene.body(512)).await;
    assert_eq!(whole.status, 200, "{:?}", whole.body);
    scene.assert_cosigned(&whole.body);

    let note = scene.get("checkpoint").await;
    let id = scene.log.id();
    let shown = CaCheckpoint::verify(&note.body, id, scene.log.ca()).expect("signed by the CA");
    shown
        .signed()
        .verify(id, &scene.mirror)
        .expect("and by the mirror");
    assert_eq!(scene.get("tile/entries/000").await.body.len(), 256 * 6);
    assert_eq!(
        scene.get("tile/entries/003.p/232").await.body.len(),
        232 * 6
    );
    assert_eq!(scene.get("tile/0/003.p/232").await.body.len(), 232 * 32);
    assert_eq!(scene.get("tile/0/003").await.status, 404);
    assert_eq!(scene.get("../state/pending-checkpoint").await.status, 404);
}

#[tokio::test]
async fn a_compressed_upload_is_taken_and_one_in_another_encoding_is_not() {
    let scene = Scene::new().await;
    scene.announce().await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&scene.body(0)).unwrap();
    let compressed = encoder.finish().unwrap();
    let address = scene.client.prefix().address();
    let connection = Connection::connect_cleartext(address.parse().unwrap(), PATIENCE)
        .await
        .unwrap();
    let send = async |encoding: &'static str, body: Vec<u8>| {
        let request = Request::new(Method::POST, address.clone(), "/add-entries");
        let mut request = request.body(BINARY, body);
        request
            .headers
            .insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        connection.send(request, PATIENCE).await.unwrap()
    };
    let refused = send("br", compressed.clone()).await;
    assert_eq!(refused.status, 415);
    assert_eq!(refused.headers[ACCEPT_ENCODING], "gzip");
    assert_eq!(send("gzip", scene.body(0)).await.status, 400);
    let taken = send("gzip", compressed).await;
    assert_eq!(taken.status, 200, "{:?}", taken.body);
    scene.assert_cosigned(&taken.body);
}

#[tokio::test]
async fn what_is_no_upload_is_refused_and_stores_nothing() {
    let scene = Scene::new().await;
    scene.announce().await;
    let body = scene.body(0);
    let header = body.len() - scene_packages(&body);
    let mut damaged = body.clone();
    damaged[header + 3] ^= 1;
    for (sent, status) in [
        (vec![], 400),
        (body[..header - 1].to_vec(), 400),
        (body[..header].to_vec(), 400),
        (body[..header + 100].to_vec(), 400),
        (damaged, 422),
        (vec![0xff; 200_000], 400),
        ([&[0, 1, b'x'][..], &[0; 18]].concat(), 404),
    ] {
        let answer = scene.post("add-entries", BINARY, sent).await;
        assert_eq!(answer.status, status, "{:?}", answer.body);
    }
    let get = scene.client.get("add-entries", LIMIT).await.unwrap();
    assert_eq!(get.status, 405);
    let answer = scene.post("add-entries", BINARY, body).await;
    assert_eq!(answer.status, 200);
}

/// Octets of the packages of an upload of 1000 entries of four octets.
fn scene_packages(body: &[u8]) -> usize {
    let origin = usize::from(u16::from_be_bytes([body[0], body[1]]));
    body.len() - (2 + origin + 8 + 8 + 2)
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_what_it_has_sent() {
    let scene = Scene::new().await;
    scene.announce().await;
    let body = scene.body(0);
    let address = scene.client.prefix().address();
    let mut tcp = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /add-entries HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    tcp.write_all(head.as_bytes()).await.unwrap();
    tcp.write_all(&body[..body.len() - 1]).await.unwrap();
    tcp.shutdown().await.unwrap();
    // The mirror closes when it has seen the end.
    let mut rest = Vec::new();
    tcp.read_to_end(&mut rest).await.unwrap();
    loop {
        // Whatever is asked for is answered after what was stored, or before it.
        let asked = scene.post("add-entries", BINARY, scene.body(900)).await;
        match info(&asked) {
            (1000, 768) => break,
            (1000, 0) => tokio::task::yield_now().await,
            other => panic!("{other:?}"),
        }
    }
}
