//! The witness behind real HTTP, as c2sp.org/tlog-witness has it: HTTP/1.1, and HTTP/2 with prior knowledge.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Method;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ALLOW, CONTENT_TYPE, HOST};
use hyper::http::HeaderValue;
use hyper_util::rt::TokioIo;
use mtc_core::checkpoint::verify_subtree_line;
use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::hex;
use mtc_core::id::{LogId, LogNumber, TreeSize, TrustAnchorId};
use mtc_core::note::SignedNote;
use mtc_core::time::UnixTime;
use mtc_core::tree::{Hash, Subtree};
use mtc_log::{
    AddCheckpoint, CaCheckpoint, CosigningKey, DirectoryStorage, IssuanceLog, MAX_REQUEST_SIZE,
    SignSubtree, TreeReader, WitnessStore, WitnessedLog,
};
use mtc_tls::clock::Clock;
use nf_scp::metrics::WitnessMetrics;
use nf_scp::witness_api::WitnessApi;
use sbi::client::{Connection, Request};
use sbi::response::Response;
use sbi::server::{MAX_BODY, serve_cleartext};
use sbi::uri::Scheme;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::DuplexStream;

const LOGGED_AT: UnixTime = UnixTime(1_800_000_000);
const DEADLINE: Duration = Duration::from_secs(10);
const AUTHORITY: &str = "scp1.example.org:7001";
const REMOTE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
/// Far enough from the system's clock to tell whose time a cosignature has.
const CLOCK: Clock = Clock {
    offset_seconds: 1_000_000_000,
};
const ADD_CHECKPOINT: &str = "/add-checkpoint";
const SIGN_SUBTREE: &str = "/sign-subtree";

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Http1,
    Http2,
}

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// Someone who cosigns; the key is kept encoded, since those who sign own theirs.
struct Signer {
    id: TrustAnchorId,
    secret: Vec<u8>,
}

impl Signer {
    fn new(id: &str) -> Self {
        let secret =
            SecretKey::generate(SignatureAlgorithm::MlDsa44).and_then(|key| key.to_pkcs8());
        Self {
            id: id.parse().expect("a trust anchor ID"),
            secret: secret.expect("randomness").to_vec(),
        }
    }

    fn key(&self) -> CosigningKey {
        let secret = SecretKey::from_pkcs8(SignatureAlgorithm::MlDsa44, &self.secret);
        CosigningKey::new(self.id, secret.expect("its own encoding")).expect("a public half")
    }

    fn cosigner(&self) -> Cosigner {
        self.key().cosigner().clone()
    }
}

/// A log of `ca`, made of batches with these names and lengths, and the checkpoint after each.
struct Log<const BATCHES: usize> {
    checkpoints: [CaCheckpoint; BATCHES],
    log: IssuanceLog,
    /// Lives as long as the log in it.
    _folder: TempDir,
}

impl<const BATCHES: usize> Log<BATCHES> {
    fn new(ca: &Signer, number: LogNumber, batches: [(&str, u64); BATCHES]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let storage = DirectoryStorage::create(folder.path().join("log")).expect("a new folder");
        let id = LogId::new(ca.id, number).expect("a short ID");
        let mut log = IssuanceLog::create(Arc::new(storage), id, ca.key(), LOGGED_AT)
            .expect("an empty storage");
        let checkpoints = batches.map(|(name, length)| {
            let entries: Vec<_> = (0..length)
                .map(|entry| format!("{name} {entry}").into_bytes())
                .collect();
            log.append(&entries, LOGGED_AT)
                .expect("the storage works")
                .checkpoint
        });
        Self {
            checkpoints,
            log,
            _folder: folder,
        }
    }

    fn tree(&self, at: &CaCheckpoint) -> TreeReader {
        TreeReader::open(self.log.storage(), at.size(), at.root()).expect("a tree of the log")
    }

    /// The request to go from `old_size` to a checkpoint, with the proof that belongs to it.
    fn add_checkpoint(&self, old_size: u64, to: &CaCheckpoint) -> AddCheckpoint {
        let proof = self
            .tree(to)
            .consistency_proof(Subtree::whole(TreeSize(old_size)));
        AddCheckpoint {
            old_size: TreeSize(old_size),
            proof: proof.expect("not beyond the tree"),
            checkpoint: to.to_note(),
        }
    }

    /// The request for a subtree of `of`; `cosigned` is the note of that checkpoint.
    fn sign_subtree(
        &self,
        start: u64,
        end: u64,
        of: &CaCheckpoint,
        cosigned: Vec<u8>,
    ) -> SignSubtree {
        let (subtree, tree) = (Subtree::new(start, end).expect("valid"), self.tree(of));
        SignSubtree {
            subtree,
            hash: tree.subtree_hash(subtree).expect("in the tree"),
            proof: tree.consistency_proof(subtree).expect("in the tree"),
            checkpoint: cosigned,
        }
    }
}

/// A log of 10 and then 300 entries, and the witness that knows it.
struct Scene {
    ca: Signer,
    witness: Signer,
    log: Log<2>,
    state: TempDir,
    api: Arc<WitnessApi>,
}

impl Scene {
    fn new() -> Self {
        let (ca, witness) = (Signer::new("32473.1"), Signer::new("32473.9"));
        let state = tempfile::tempdir().expect("a temporary folder");
        Self {
            log: Log::new(&ca, LogNumber::FIRST, [("a", 10), ("b", 290)]),
            api: open(&ca, &witness, &state),
            ca,
            witness,
            state,
        }
    }

    /// Closes the witness and opens it again on what it has stored.
    fn reopen(self) -> Self {
        let Self {
            ca,
            witness,
            log,
            state,
            api,
        } = self;
        // The folder has one writer at a time.
        drop(api);
        let api = open(&ca, &witness, &state);
        Self {
            ca,
            witness,
            log,
            state,
            api,
        }
    }

    fn small(&self) -> &CaCheckpoint {
        &self.log.checkpoints[0]
    }

    fn large(&self) -> &CaCheckpoint {
        &self.log.checkpoints[1]
    }

    /// One request over a connection of its own, which is closed at both ends when this returns.
    async fn send(&self, protocol: Protocol, method: Method, path: &str, body: &[u8]) -> Response {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let never = std::future::pending();
        let serving = tokio::spawn(serve_cleartext(server, REMOTE, self.api.clone(), never));
        let request = Request::new(method, AUTHORITY, path).body(
            HeaderValue::from_static("text/plain; charset=utf-8"),
            body.to_vec(),
        );
        let response = match protocol {
            Protocol::Http1 => over_http1(client, request).await,
            Protocol::Http2 => over_http2(client, request).await,
        };
        serving.await.expect("no panic").expect("an orderly end");
        response
    }

    async fn post(&self, protocol: Protocol, path: &str, body: &[u8]) -> Response {
        self.send(protocol, Method::POST, path, body).await
    }

    /// Has the witness cosign the checkpoint of 10 entries, and returns its note with the cosignature.
    async fn cosign_small(&self, protocol: Protocol) -> Vec<u8> {
        let request = self.log.add_checkpoint(0, self.small());
        let response = self.post(protocol, ADD_CHECKPOINT, &request.encode()).await;
        assert_eq!(response.status, 200);
        [&self.small().to_note(), response.body.as_ref()].concat()
    }

    /// The time in the witness's one line about a subtree, which must verify.
    fn cosigned_at(&self, answer: &Response, subtree: Subtree, hash: &Hash) -> UnixTime {
        let lines = SignedNote::parse_signatures(text(answer)).expect("signature lines");
        assert_eq!(lines.len(), 1);
        let (cosigner, log) = (self.witness.cosigner(), self.log.log.id());
        let verified = verify_subtree_line(&lines, &cosigner, log, subtree, hash);
        verified.expect("the witness's cosignature").0
    }

    async fn latest(&self, protocol: Protocol) -> Response {
        let path = latest_path(self.log.log.id());
        self.send(protocol, Method::GET, &path, b"").await
    }
}

fn open(ca: &Signer, witness: &Signer, state: &TempDir) -> Arc<WitnessApi> {
    let storage = DirectoryStorage::create(state.path().join("witness")).expect("a folder");
    let log = WitnessedLog {
        id: LogId::new(ca.id, LogNumber::FIRST).expect("a short ID"),
        ca: ca.cosigner(),
    };
    let store = WitnessStore::open(Arc::new(storage), witness.key(), [log]).expect("sound state");
    Arc::new(WitnessApi {
        store: Arc::new(store),
        clock: CLOCK,
        metrics: WitnessMetrics::new(&sbi::metrics::Registry::default()),
    })
}

async fn over_http2(io: DuplexStream, request: Request) -> Response {
    let connection = Connection::handshake(io, Scheme::Http)
        .await
        .expect("http/2");
    let response = connection.send(request, DEADLINE).await.expect("an answer");
    connection.close().await;
    response
}

async fn over_http1(io: DuplexStream, request: Request) -> Response {
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.expect("http/1.1");
    let driver = tokio::spawn(connection);
    let mut http = hyper::Request::new(Full::<Bytes>::new(request.body));
    *http.method_mut() = request.method;
    *http.uri_mut() = request.path.parse().expect("a path");
    *http.headers_mut() = request.headers;
    http.headers_mut()
        .insert(HOST, HeaderValue::from_static(AUTHORITY));
    let exchange = async {
        let (head, body) = sender.send_request(http).await?.into_parts();
        Ok::<_, hyper::Error>(Response {
            status: head.status,
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    };
    let response = tokio::time::timeout(DEADLINE, exchange).await;
    let response = response.expect("an answer in time").expect("an answer");
    drop(sender);
    driver.await.expect("no panic").expect("an orderly end");
    response
}

fn latest_path(log: &LogId) -> String {
    let hash = hex::encode(&Sha256::digest(log.origin()));
    format!("/{hash}/checkpoint")
}

fn text(response: &Response) -> &str {
    str::from_utf8(&response.body).expect("UTF-8")
}

fn content_type(response: &Response) -> &str {
    response.header(&CONTENT_TYPE).unwrap_or_default()
}

/// The note in which the first `from` is `to`.
fn edited(note: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = str::from_utf8(note).expect("notes are text");
    assert!(text.contains(from), "{from:?} is in the note");
    text.replacen(from, to, 1).into_bytes()
}

#[tokio::test]
async fn a_checkpoint_is_cosigned_at_the_time_of_the_witness() {
    for protocol in PROTOCOLS {
        let scene = Scene::new();
        let before = CLOCK.now();
        let request = scene.log.add_checkpoint(0, scene.small());
        let response = scene
            .post(protocol, ADD_CHECKPOINT, &request.encode())
            .await;
        assert_eq!(response.status, 200, "{protocol:?}");
        assert_eq!(content_type(&response), "text/plain; charset=utf-8");
        let time = scene.cosigned_at(
            &response,
            Subtree::whole(TreeSize(10)),
            &scene.small().root(),
        );
        assert!(time >= before, "{protocol:?}: {time}");
        let larger = scene.log.add_checkpoint(10, scene.large());
        let response = scene.post(protocol, ADD_CHECKPOINT, &larger.encode()).await;
        assert_eq!(response.status, 200, "{protocol:?}");
        scene.cosigned_at(
            &response,
            Subtree::whole(TreeSize(300)),
            &scene.large().root(),
        );
    }
}

#[tokio::test]
async fn a_wrong_old_size_is_a_conflict_whose_body_is_the_latest_size() {
    for protocol in PROTOCOLS {
        let scene = Scene::new();
        scene.cosign_small(protocol).await;
        for (old_size, to) in [(0, scene.small()), (0, scene.large()), (9, scene.large())] {
            let request = scene.log.add_checkpoint(old_size, to);
            let response = scene
                .post(protocol, ADD_CHECKPOINT, &request.encode())
                .await;
            assert_eq!(response.status, 409, "{protocol:?}");
            assert_eq!(
                (content_type(&response), text(&response)),
                ("text/x.tlog.size", "10\n")
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_add_checkpoint_request_is_400() {
    for protocol in PROTOCOLS {
        let scene = Scene::new();
        let good = scene.log.add_checkpoint(0, scene.small());
        let beyond = AddCheckpoint {
            old_size: TreeSize(11),
            ..good.clone()
        };
        let no_note = AddCheckpoint {
            checkpoint: b"no note\n".to_vec(),
            ..good.clone()
        };
        let padded = AddCheckpoint {
            checkpoint: edited(&good.checkpoint, "\n10\n", "\n010\n"),
            ..good
        };
        for body in [
            Vec::new(),
            b"old 0\n".to_vec(),
            b"old minus\n\n".to_vec(),
            beyond.encode(),
            no_note.encode(),
            padded.encode(),
        ] {
            let response = scene.post(protocol, ADD_CHECKPOINT, &body).await;
            assert_eq!(
                response.status,
                400,
                "{protocol:?}: {}",
                String::from_utf8_lossy(&body)
            );
        }
        assert_eq!(
            scene.latest(protocol).await.status,
            404,
            "nothing was cosigned"
        );
    }
}

#[tokio::test]
async fn a_checkpoint_that_the_logs_ca_has_not_signed_is_403() {
    for protocol in PROTOCOLS {
        let scene = Scene::new();
        let good = scene.log.add_checkpoint(0, scene.small());
        // Another key under the CA's name, so that the log's own key has not signed.
        let impostor = Signer::new("32473.1");
        let forged = Log::new(&impostor, LogNumber::FIRST, [("a", 10)]);
        let tampered = AddCheckpoint {
            checkpoint: edited(&good.checkpoint, "\n10\n", "\n11\n"),
            ..good
        };
        for request in [forged.add_checkpoint(0, &forged.checkpoints[0]), tampered] {
            let response = scene
                .post(protocol, ADD_CHECKPOINT, &request.encode())
                .await;
            assert_eq!(response.status, 403, "{protocol:?}: {}", text(&response));
        }
        assert_eq!(
            scene.latest(protocol).await.status,
            404,
            "nothing was cosigned"
        );
    }
}

#[tokio::test]
async fn an_unknown_log_is_404() {
    for protocol in PROTOCOLS {
        let scene = Scene::new();
        let second = LogNumber::new(2).unwrap();
        let unknown = Log::new(&scene.ca, second, [("a", 10)]);
        let request = unknown.add_checkpoint(0, &unknown.checkpoints[0]);
        let response = scene
            .post(protocol, ADD_CHECKPOINT, &request.encode())
            .await;
        assert_eq!(response.status, 404, "{protocol:?}");
        let note = unknown.checkpoints[0].to_note();
        let request = unknown.sign_subtree(0, 4, &unknown.checkpoints[0], note);
        let response = scene.post(protocol, SIGN_SUBTREE, &request.encode()).await;
        assert_eq!(response.status, 404, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_checkpoint_that_does_not_extend_the_latest_is_422() {
    for protocol in PROTOCOLS {
        let scene = Scene::new();
        scene.cosign_small(protocol).await;
        let good = scene.log.add_checkpoint(10, scene.large());
        let mut damaged = good.clone();
        damaged.proof[0][0] ^= 1;
        let without_proof = AddCheckpoint {
            proof: Vec::new(),
            ..good.clone()
        };
        let fork = Log::new(
            &scene.ca,
            LogNumber::FIRST,
            [("fork", 10), ("more of it", 10)],
        );
        let same_size = AddCheckpoint {
            old_size: TreeSize(10),
            proof: Vec::new(),
            checkpoint: fork.checkpoints[0].to_note(),
        };
        let larger_fork = fork.add_checkpoint(10, &fork.checkpoints[1]);
        for request in [damaged, without_proof, same_size, larger_fork] {
            let response = scene
                .post(protocol, ADD_CHECKPOINT, &request.encode())
                .await;
            assert_eq!(response.status, 422, "{protocol:?}: {}", text(&response));
        }
        let response = scene.post(protocol, ADD_CHECKPOINT, &good.encode()).await;
        assert_eq!(
            response.status, 200,
            "{protocol:?}: refusals leave the way open"
        );
    }
}

#[tokio::test]
async fn a_subtree_of_a_cosigned_checkpoint_is_cosigned_without_a_time() {
    for protocol in PROTOCOLS {
        let scene = Scene::new();
        let cosigned = scene.cosign_small(protocol).await;
        for (start, end) in [(0, 10), (0, 4), (8, 10)] {
            let request = scene
                .log
                .sign_subtree(start, end, scene.small(), cosigned.clone());
            let response = scene.post(protocol, SIGN_SUBTREE, &request.encode()).await;
            assert_eq!(response.status, 200, "{protocol:?} [{start}, {end})");
            assert_eq!(
                scene.cosigned_at(&response, request.subtree, &request.hash),
                UnixTime(0)
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_sign_subtree_request_is_400() {
    for protocol in PROTOCOLS {
        let scene = Scene::new();
        let cosigned = scene.cosign_small(protocol).await;
        let good = scene.log.sign_subtree(4, 8, scene.small(), cosigned);
        let no_note = SignSubtree {
            checkpoint: b"no note\n".to_vec(),
            ..good.clone()
        };
        let no_subtree = edited(&good.encode(), "subtree 4 8\n", "subtree 3 8\n");
        for body in [Vec::new(), no_note.encode(), no_subtree] {
            let response = scene.post(protocol, SIGN_SUBTREE, &body).await;
            assert_eq!(
                response.status,
                400,
                "{protocol:?}: {}",
                String::from_utf8_lossy(&body)
            );
        }
    }
}

#[tokio::test]
async fn a_subtree_of_a_checkpoint_that_this_witness_has_not_cosigned_is_403() {
    for protocol in PROTOCOLS {
        let scene = Scene::new();
        let cosigned = scene.cosign_small(protocol).await;
        let bare = scene
            .log
            .sign_subtree(4, 8, scene.small(), scene.small().to_note());
        // The cosignature of 10 entries on the checkpoint of 300.
        let line = &cosigned[scene.small().to_note().len()..];
        let moved = [&scene.large().to_note(), line].concat();
        let moved = scene.log.sign_subtree(4, 8, scene.large(), moved);
        for request in [bare, moved] {
            let response = scene.post(protocol, SIGN_SUBTREE, &request.encode()).await;
            assert_eq!(response.status, 403, "{protocol:?}: {}", text(&response));
        }
    }
}

#[tokio::test]
async fn a_subtree_that_is_not_in_the_checkpoint_is_422() {
    for protocol in PROTOCOLS {
        let scene = Scene::new();
        let cosigned = scene.cosign_small(protocol).await;
        let good = scene.log.sign_subtree(4, 8, scene.small(), cosigned);
        let mut other_hash = good.clone();
        other_hash.hash[0] ^= 1;
        let other_place = SignSubtree {
            subtree: Subtree::new(0, 4).unwrap(),
            ..good.clone()
        };
        let beyond = SignSubtree {
            subtree: Subtree::new(12, 16).unwrap(),
            ..good
        };
        for request in [other_hash, other_place, beyond] {
            let response = scene.post(protocol, SIGN_SUBTREE, &request.encode()).await;
            assert_eq!(response.status, 422, "{protocol:?}: {}", text(&response));
        }
    }
}

#[tokio::test]
async fn the_latest_checkpoint_is_served_with_both_signatures() {
    for protocol in PROTOCOLS {
        let scene = Scene::new();
        assert_eq!(scene.latest(protocol).await.status, 404);
        let cosigned = scene.cosign_small(protocol).await;
        let response = scene.latest(protocol).await;
        assert_eq!(response.status, 200, "{protocol:?}");
        assert_eq!(content_type(&response), "text/plain; charset=utf-8");
        assert_eq!(response.body, cosigned);
        let log = scene.log.log.id();
        let latest = CaCheckpoint::verify(&response.body, log, &scene.ca.cosigner()).unwrap();
        assert!(
            latest
                .signed()
                .verify(log, &scene.witness.cosigner())
                .is_ok()
        );
        let unknown = LogId::new(scene.ca.id, LogNumber::new(2).unwrap()).unwrap();
        for path in [&latest_path(&unknown), "/", "/checkpoint", "//checkpoint"] {
            let response = scene.send(protocol, Method::GET, path, b"").await;
            assert_eq!(response.status, 404, "{protocol:?} {path}");
        }
    }
}

#[tokio::test]
async fn another_method_is_405_and_is_told_the_right_one() {
    for protocol in PROTOCOLS {
        let scene = Scene::new();
        let latest = latest_path(scene.log.log.id());
        for (method, path, allowed) in [
            (Method::GET, ADD_CHECKPOINT, "POST"),
            (Method::PUT, SIGN_SUBTREE, "POST"),
            (Method::POST, &latest, "GET"),
            (Method::DELETE, &latest, "GET"),
        ] {
            let response = scene.send(protocol, method.clone(), path, b"").await;
            assert_eq!(
                (response.status.as_u16(), response.header(&ALLOW)),
                (405, Some(allowed)),
                "{protocol:?} {method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn a_body_longer_than_any_request_is_413() {
    let scene = Scene::new();
    for protocol in PROTOCOLS {
        for path in [ADD_CHECKPOINT, SIGN_SUBTREE] {
            for (length, status) in [(MAX_REQUEST_SIZE, 400), (MAX_REQUEST_SIZE + 1, 413)] {
                let response = scene.post(protocol, path, &vec![b'x'; length]).await;
                assert_eq!(response.status, status, "{protocol:?} {path} {length}");
            }
        }
    }
    let beyond_the_server = vec![b'x'; MAX_BODY + 1];
    let response = scene
        .post(Protocol::Http2, ADD_CHECKPOINT, &beyond_the_server)
        .await;
    assert_eq!(response.status, 413);
}

#[tokio::test]
async fn what_was_cosigned_survives_reopening() {
    for protocol in PROTOCOLS {
        let scene = Scene::new();
        let cosigned = scene.cosign_small(protocol).await;
        let scene = scene.reopen();
        assert_eq!(scene.latest(protocol).await.body, cosigned);
        let from_nothing = scene.log.add_checkpoint(0, scene.large());
        let response = scene
            .post(protocol, ADD_CHECKPOINT, &from_nothing.encode())
            .await;
        assert_eq!((response.status.as_u16(), text(&response)), (409, "10\n"));
        let request = scene.log.add_checkpoint(10, scene.large());
        let response = scene
            .post(protocol, ADD_CHECKPOINT, &request.encode())
            .await;
        assert_eq!(response.status, 200, "{protocol:?}");
    }
}
