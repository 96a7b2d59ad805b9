//! The issuance log and the public files beside it over real HTTP/2: every served object byte for byte, and nothing else that
//! the folders hold.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use hyper::http::HeaderValue;
use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
use mtc_core::id::{LogId, LogNumber};
use mtc_core::time::UnixTime;
use mtc_log::{
    CosigningKey, DirectoryStorage, IssuanceLog, LandmarkPolicy, LandmarkStore, Object, Storage,
};
use nf_nrf::log_api::LogApi;
use nf_nrf::openapi::{self, OpenApi};
use nf_nrf::public_files::PublicPort;
use nf_nrf::retired_log::RetiredLog;
use sbi::client::{Connection, Request};
use sbi::response::Response;
use sbi::server::serve_cleartext;
use sbi::uri::Scheme;
use tempfile::TempDir;

const NOW: UnixTime = UnixTime(1_800_000_000);
const DEADLINE: Duration = Duration::from_secs(10);
const REMOTE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
/// Makes a full and a partial tile of hashes and of entries, and a tile on level 1.
const ENTRIES: usize = 300;
/// What is in the folder of such a log, and served.
const SERVED: [&str; 8] = [
    "checkpoint",
    "landmarks",
    "revoked",
    "tile/0/000",
    "tile/0/001.p/44",
    "tile/1/000.p/1",
    "tile/entries/000",
    "tile/entries/001.p/44",
];

/// A log in a folder, and a connection to what serves it.
struct Served {
    folder: TempDir,
    client: Connection,
}

impl Served {
    async fn start() -> Self {
        Self::start_after(BTreeMap::new(), LogNumber::FIRST).await
    }

    /// A server of log `current`, which follows the `retired` ones.
    async fn start_after(retired: BTreeMap<LogNumber, RetiredLog>, current: LogNumber) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let storage: Arc<dyn Storage> = Arc::new(
            DirectoryStorage::create(folder.path().join("storage")).expect("a new folder"),
        );
        write_log(&storage);
        let log = LogApi {
            current,
            storage,
            retired,
        };
        let files = Some(folder.path().join("public"));
        let api = Arc::new(PublicPort {
            status: Default::default(),
            log: Ok(log),
            files,
            openapi: OpenApi::default(),
        });
        let (client, server) = tokio::io::duplex(64 * 1024);
        tokio::spawn(serve_cleartext(server, REMOTE, api, std::future::pending()));
        Self {
            folder,
            client: Connection::handshake(client, Scheme::Http)
                .await
                .expect("http/2"),
        }
    }

    async fn send(&self, method: Method, path: &str) -> Response {
        let request = Request::new(method, "nrf1.example.org:7000", path);
        let response = self.client.send(request, DEADLINE).await;
        response.expect("an answer")
    }

    async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path).await
    }

    fn file(&self, object: &str) -> PathBuf {
        self.folder.path().join("storage").join(object)
    }
}

/// Two batches, published without witnesses, and a landmark.
fn write_log(storage: &Arc<dyn Storage>) {
    let ca = "32473.1".parse().expect("a trust anchor ID");
    let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("randomness");
    let key = CosigningKey::new(ca, secret).expect("a public half");
    let id = LogId::new(ca, LogNumber::FIRST).expect("a short ID");
    let mut log = IssuanceLog::create(storage.clone(), id, key, NOW).expect("an empty storage");
    let entries: Vec<_> = (0..ENTRIES)
        .map(|entry| format!("entry {entry}").into_bytes())
        .collect();
    for batch in entries.chunks(ENTRIES / 2) {
        let note = log
            .append(batch, NOW)
            .expect("written")
            .checkpoint
            .to_note();
        log.publish(&note).expect("published");
    }
    let policy = LandmarkPolicy {
        time_between: Duration::from_secs(60),
        first_time_between: Duration::from_secs(60),
        max_certificate_lifetime: Duration::from_secs(3600),
    };
    let mut landmarks =
        LandmarkStore::open(storage.clone(), policy, log.published()).expect("no landmarks");
    landmarks
        .allocate(log.published().expect("just published"), NOW)
        .expect("the log has grown");
    let revoked = storage.put(&Object::Revoked, b"a list\n");
    revoked.expect("written");
}

// Relying parties ask for it as often as for landmarks, and have it already.
#[tokio::test]
async fn the_list_of_revoked_serial_numbers_is_not_sent_to_who_has_it() {
    let served = Served::start().await;
    let response = served.get("/1/revoked").await;
    assert_eq!(
        (response.status.as_u16(), &response.body[..]),
        (200, &b"a list\n"[..])
    );
    let again = |tag: HeaderValue| {
        let mut request = Request::new(Method::GET, "nrf1.example.org:7000", "/1/revoked");
        request.headers.insert(IF_NONE_MATCH, tag);
        served.client.send(request, DEADLINE)
    };
    let tag = response.headers[ETAG].clone();
    let known = again(tag.clone()).await.unwrap();
    assert_eq!((known.status.as_u16(), &known.body[..]), (304, &b""[..]));
    fs::write(served.file("log/revoked"), "another\n").unwrap();
    let another = again(tag).await.unwrap();
    assert_eq!(
        (another.status.as_u16(), &another.body[..]),
        (200, &b"another\n"[..])
    );
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![path],
        })
        .collect()
}

#[tokio::test]
async fn every_served_object_comes_exactly_as_it_is_stored() {
    let served = Served::start().await;
    for object in SERVED {
        let response = served.get(&format!("/1/{object}")).await;
        assert_eq!(response.status, 200, "{object}");
        let stored = fs::read(served.file("log").join(object)).unwrap();
        assert!(!stored.is_empty());
        assert_eq!(response.body, stored, "{object}");
        let (content_type, cache_control) = if object.starts_with("tile/") {
            (
                "application/octet-stream",
                "public, max-age=604800, immutable",
            )
        } else {
            ("text/plain; charset=utf-8", "no-cache")
        };
        assert_eq!(
            response.header(&CONTENT_TYPE),
            Some(content_type),
            "{object}"
        );
        assert_eq!(
            response.header(&CACHE_CONTROL),
            Some(cache_control),
            "{object}"
        );
    }
}

#[tokio::test]
async fn everything_below_the_served_folder_is_served() {
    let served = Served::start().await;
    let folder = served.file("log");
    let files = files_below(&folder);
    assert!(files.len() >= SERVED.len());
    for file in files {
        let object = file.strip_prefix(&folder).unwrap().to_str().unwrap();
        let response = served.get(&format!("/1/{object}")).await;
        assert_eq!(response.body, fs::read(&file).unwrap(), "{object}");
    }
}

/// Whether `path` is one that the document writes as `template`.
fn is_written_as(template: &str, path: &str) -> bool {
    let Some((fixed, rest)) = template.split_once('{') else {
        return template == path;
    };
    let Some(path) = path.strip_prefix(fixed) else {
        return false;
    };
    let (_, rest) = rest.split_once('}').expect("the brace is closed");
    let end = path.find(|c: char| !c.is_ascii_alphanumeric());
    end.map_or(rest.is_empty(), |end| is_written_as(rest, &path[end..]))
}

#[tokio::test]
async fn the_document_has_every_served_object_and_no_others() {
    let served = Served::start().await;
    let document = served.get(openapi::PATH).await;
    let document: serde_json::Value = document.read_json().expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let mut described: Vec<_> = paths
        .keys()
        .filter(|path| path.starts_with("/{log"))
        .collect();
    for object in SERVED {
        let path = format!("/1/{object}");
        let found = paths.keys().find(|template| is_written_as(template, &path));
        let found = found.unwrap_or_else(|| panic!("{path} is not described"));
        described.retain(|template| *template != found);
    }
    assert!(described.is_empty(), "nothing is served at {described:?}");
}

// Over HTTP/2 the body came along, which clients must treat as a protocol error.
#[tokio::test]
async fn a_head_request_gets_the_headers_alone() {
    let served = Served::start().await;
    let response = served.send(Method::HEAD, "/1/tile/0/000").await;
    assert_eq!((response.status.as_u16(), response.body.len()), (200, 0));
    assert_eq!(response.header(&CONTENT_LENGTH), Some("8192"));
}

#[tokio::test]
async fn another_log_number_is_404() {
    let served = Served::start().await;
    for number in ["0", "2", "01", "+1", "11", "", "x"] {
        for object in SERVED {
            let response = served.get(&format!("/{number}/{object}")).await;
            assert_eq!(response.status, 404, "{number} {object}");
        }
    }
}

#[tokio::test]
async fn nothing_outside_the_served_objects_has_a_path() {
    let served = Served::start().await;
    for private in [&Object::SignedCheckpoint, &Object::LandmarkState] {
        assert!(served.file(&private.to_string()).is_file(), "{private}");
    }
    for path in [
        "/1/../state/signed-checkpoint",
        "/1/../state/landmarks",
        "/1/../../state/landmarks",
        "/1/../log/checkpoint",
        "/1/./checkpoint",
        "/1//checkpoint",
        "/1/tile/0/../../checkpoint",
        "/1/tile/0/../..",
        "/1/tile/../../state/landmarks",
        "/1/tile/0/%2e%2e/%2e%2e/checkpoint",
        "/1/%2e%2e/state/landmarks",
        "/1/..%2fstate%2flandmarks",
        "/1/%63heckpoint",
        "/1/state/signed-checkpoint",
        "/1/log/checkpoint",
        "/1/lock",
        "/../storage/state/landmarks",
        "/",
        "/1",
        "/1/",
        "/1/tile",
        "/1/tile/",
    ] {
        assert_eq!(served.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_tile_has_one_path() {
    let served = Served::start().await;
    for path in [
        "/1/tile/0/0",
        "/1/tile/00/000",
        "/1/tile/0/x000/000",
        "/1/tile/0/000.p/256",
        "/1/tile/0/000/",
        "/1/tile/Entries/000",
        "/1/tile/64/000",
    ] {
        assert_eq!(served.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_tile_that_the_log_has_not_is_404() {
    let served = Served::start().await;
    for path in [
        "/1/tile/0/001",
        "/1/tile/0/001.p/45",
        "/1/tile/0/002",
        "/1/tile/2/000",
        "/1/tile/entries/002",
        "/1/tile/0/x999/x999/x999/999",
    ] {
        assert_eq!(served.get(path).await.status, 404, "{path}");
    }
}

// Tiles of a batch that no checkpoint had published were served as immutable; after a crash the next batch replaces them.
#[tokio::test]
async fn tiles_beyond_the_published_checkpoint_are_404() {
    let served = Served::start().await;
    let published = fs::read(served.file("log/checkpoint")).unwrap();
    for (beyond, within) in [
        ("tile/0/001.p/45", "tile/0/001.p/44"),
        ("tile/1/000.p/2", "tile/1/000.p/1"),
        ("tile/entries/001.p/45", "tile/entries/001.p/44"),
        ("tile/2/000.p/1", "tile/0/000"),
    ] {
        let file = served.file("log").join(beyond);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, b"of a batch that was never published").unwrap();
        let status = served.get(&format!("/1/{beyond}")).await.status;
        assert_eq!(status, 404, "{beyond}");
        let status = served.get(&format!("/1/{within}")).await.status;
        assert_eq!(status, 200, "{within}");
    }
    // Without a checkpoint nothing is published.
    fs::remove_file(served.file("log/checkpoint")).unwrap();
    assert_eq!(served.get("/1/tile/0/000").await.status, 404);
    fs::write(served.file("log/checkpoint"), published).unwrap();
    assert_eq!(served.get("/1/tile/0/000").await.status, 200);
}

#[tokio::test]
async fn the_log_is_read_only() {
    let served = Served::start().await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let response = served.send(method.clone(), "/1/checkpoint").await;
        assert_eq!(
            (response.status.as_u16(), response.header(&ALLOW)),
            (405, Some("GET, HEAD")),
            "{method}"
        );
    }
}

/// Two logs after a first one in `folder`, of which the second is lost.
async fn third_log(folder: &Path) -> Served {
    let number = |number| LogNumber::new(number).expect("a log number");
    let retired = [
        (number(1), RetiredLog::new(folder.to_owned())),
        (number(2), RetiredLog::new(folder.join("lost"))),
    ];
    Served::start_after(retired.into(), number(3)).await
}

#[tokio::test]
async fn retired_logs_are_served_beside_the_current_one() {
    let first = Served::start().await;
    let served = third_log(&first.file("")).await;
    for object in SERVED {
        for (number, log) in [(1, &first), (3, &served)] {
            let response = served.get(&format!("/{number}/{object}")).await;
            let stored = fs::read(log.file("log").join(object)).unwrap();
            assert_eq!(response.body, stored, "{number} {object}");
        }
    }
    for private in [
        "/1/../state/landmarks",
        "/1/state/signed-checkpoint",
        "/1/lock",
        "/01/checkpoint",
        "/0/checkpoint",
        "/4/checkpoint",
        "/65536/checkpoint",
    ] {
        assert_eq!(served.get(private).await.status, 404, "{private}");
    }
}

#[tokio::test]
async fn a_retired_log_that_cannot_be_read_is_gone() {
    let first = Served::start().await;
    let served = third_log(&first.file("")).await;
    assert_eq!(served.get("/2/checkpoint").await.status, 410);
    // A tile that the log never had is not served by a log that is there.
    assert_eq!(served.get("/1/tile/0/002").await.status, 404);
    fs::remove_file(first.file("log/checkpoint")).unwrap();
    fs::create_dir(first.file("log/checkpoint")).unwrap();
    assert_eq!(served.get("/1/checkpoint").await.status, 410);
    assert_eq!(served.get("/1/landmarks").await.status, 200);
}

#[test]
fn a_retired_log_takes_no_writes_and_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let log = RetiredLog::new(folder.path().to_owned());
    assert!(!log.is_empty().unwrap(), "no log can be created there");
    assert_eq!(log.get(&Object::Checkpoint).unwrap(), None);
    log.put(&Object::Checkpoint, b"x").expect_err("refused");
    assert_eq!(files_below(folder.path()), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn public_files_are_served_beside_the_log_and_nothing_outside_their_folder_is() {
    let served = Served::start().await;
    let public = served.folder.path().join("public");
    fs::create_dir_all(public.join("x509/a")).expect("new folders");
    for (name, text) in [
        ("lab.toml", "lab"),
        ("x509/a/root.crt", "root"),
        (".hidden", "no"),
    ] {
        fs::write(public.join(name), text).expect("written");
    }
    fs::write(served.folder.path().join("cosigner.key"), "secret").expect("written");
    for (name, text) in [("lab.toml", "lab"), ("x509/a/root.crt", "root")] {
        let answer = served.get(&format!("/lab/{name}")).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.body),
            (200, text.as_bytes())
        );
        assert_eq!(answer.headers[CACHE_CONTROL], "no-cache");
    }
    for path in [
        "/lab/",
        "/lab",
        "/lab/x509",
        "/lab/x509/a",
        "/lab/none",
        "/lab/.hidden",
        "/lab/../cosigner.key",
        "/lab/..%2fcosigner.key",
        "/lab/%2e%2e/cosigner.key",
        "/lab//etc/passwd",
        "/lab/x509/../lab.toml",
    ] {
        assert_eq!(served.get(path).await.status, 404, "{path}");
    }
    let answer = served.send(Method::PUT, "/lab/lab.toml").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers[ALLOW]),
        (405, &"GET, HEAD".parse().expect("a value"))
    );
    assert_eq!(served.get("/1/checkpoint").await.status, 200);
}
