//! The mirror over HTTP (c2sp.org/tlog-mirror): statuses and bodies around [`MirrorStore`].
//!
//! ```text
//! POST /add-checkpoint      200 nothing; 400, 403, 404, 409 (with the pending size), 422
//! POST /add-entries         200 cosignature lines; 202, 409 where to go on; 400, 404, 415, 422
//! POST /sign-subtree        200 a cosignature line; 400, 403, 404, 422
//! GET  /<hex SHA-256 of the origin>/checkpoint, /landmarks, /tile/...     as the log itself serves them
//! ```
//!
//! An upload is read as it comes and stored as it is proven: what it takes of memory is a package, and what is about to be stored.
//! All uploads together have a budget; of those that come when it is used up, what has been proven is stored, and they are told to
//! go on later.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use hyper::http::HeaderValue;
use hyper::{HeaderMap, Method, StatusCode};
use mtc_core::causes::Causes;
use mtc_log::encoding::{EncodingError, PieceDecoder};
use mtc_log::{
    CONFLICT_CONTENT_TYPE, MAX_REQUEST_SIZE, MIRROR_INFO_CONTENT_TYPE, MirrorInfo, MirrorStore,
    Object, Refusal, Upload, UploadError, UploadReader, UploadRefusal, Uploaded,
};
use mtc_tls::clock::Clock;
use sbi::body::Body;
use sbi::budget::{Budget, Exhausted, Share};
use sbi::problem::{Cause, Problem};
use sbi::response::Response;
use sbi::server::{Handler, Request};
use sbi::telemetry::{Quoted, Throttle};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use crate::metrics::MirrorMetrics;

const TEXT: &str = "text/plain; charset=utf-8";
const BINARY: &str = "application/octet-stream";
const CHANGES: HeaderValue = HeaderValue::from_static("no-cache");
const NEVER_CHANGES: HeaderValue = HeaderValue::from_static("public, max-age=604800, immutable");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");
/// Uploads at a time: most wait for their next packet.
const MAX_UPLOADS: usize = 64;
/// Bytes that all uploads may hold: the largest package has 16 MiB, and one of this project's certificates some 100 KiB.
const UPLOAD_BUDGET: usize = 128 << 20;
/// How long an upload may be silent.
const SILENCE: Duration = Duration::from_secs(10);
/// Octets a second that an upload must bring, but for a silence at the start: whoever sends fewer holds one of few places. What
/// has come until it is broken off is stored, so that a slow log goes on where it was.
const LEAST_RATE: u64 = 64 * 1024;
/// Octets that are read in vain of an upload that was refused: this project's clients send 4 MiB, and a package, at a time.
const MAX_DRAINED: usize = 32 << 20;
/// When a client is told to come again that finds no room.
const RETRY_WHEN_FULL: u32 = 5;
static REFUSALS: Throttle = Throttle::new();
static FAILURES: Throttle = Throttle::new();

/// Answers a mirror's requests.
pub struct MirrorApi {
    store: Arc<MirrorStore>,
    clock: Clock,
    metrics: MirrorMetrics,
    uploads: Arc<Semaphore>,
    budget: Budget,
}

impl MirrorApi {
    /// The API of `store`, which signs times of `clock`.
    pub fn new(store: Arc<MirrorStore>, clock: Clock, metrics: MirrorMetrics) -> Self {
        Self {
            store,
            clock,
            metrics,
            uploads: Arc::new(Semaphore::new(MAX_UPLOADS)),
            budget: Budget::new(UPLOAD_BUDGET),
        }
    }
}

impl Handler for MirrorApi {
    const RELAYS: bool = true;

    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        match (&request.method, request.path.as_str()) {
            (&Method::POST, "/add-checkpoint") => {
                let answering = self.judge(request, |store, body| {
                    store.add_checkpoint(body).map(|()| Vec::new())
                });
                self.count("add-checkpoint", answering).await
            }
            (&Method::POST, "/sign-subtree") => {
                let answering = self.judge(request, |store, body| store.sign_subtree(body));
                self.count("sign-subtree", answering).await
            }
            (_, "/add-checkpoint" | "/add-entries" | "/sign-subtree") => {
                Err(Problem::method_not_allowed("POST"))
            }
            (&Method::GET | &Method::HEAD, path) => self.read(path).await,
            _ => Err(Problem::method_not_allowed("GET, HEAD")),
        }
    }

    fn relays(&self, method: &Method, path: &str, _headers: &HeaderMap) -> bool {
        method == Method::POST && path == "/add-entries"
    }

    async fn relay(&self, request: Request, body: Body) -> Result<hyper::Response<Body>, Problem> {
        let Ok(slot) = Arc::clone(&self.uploads).try_acquire_owned() else {
            return Err(no_room());
        };
        let receiver = Receiver {
            store: Arc::clone(&self.store),
            clock: self.clock,
            decoder: match decoder(&request.headers) {
                Ok(decoder) => decoder,
                Err(error) => return Ok(into_http(unsupported(&error))),
            },
            reader: UploadReader::default(),
            share: self.budget.share(0, false).expect("nothing takes no room"),
            pace: Pace::default(),
        };
        // A client that is gone takes nothing with it of what it has sent.
        let receiving = tokio::spawn(async move {
            let _slot = slot;
            receiver.receive(body).await
        });
        let answering = async { receiving.await.map_err(|_| Problem::system_failure())? };
        let answer = self.count("add-entries", answering).await?;
        if answer.status == StatusCode::OK {
            self.metrics.mirrored_checkpoint();
        }
        Ok(into_http(answer))
    }

    /// One octet more, so that who sends a little too much over HTTP/1.1 is told so by the handler after all was read:
    /// closing before that can lose the answer.
    fn max_body(&self, _method: &Method, _path: &str) -> usize {
        MAX_REQUEST_SIZE + 1
    }
}

impl MirrorApi {
    async fn count(
        &self,
        request: &str,
        answering: impl Future<Output = Result<Response, Problem>>,
    ) -> Result<Response, Problem> {
        let status = |answer: &Result<Response, Problem>| match answer {
            Ok(response) => response.status,
            Err(problem) => problem.status,
        };
        self.metrics
            .count(request, &self.store, status, answering)
            .await
    }

    async fn judge(
        &self,
        request: Request,
        answer: impl FnOnce(&MirrorStore, &[u8]) -> Result<Vec<u8>, Refusal> + Send + 'static,
    ) -> Result<Response, Problem> {
        if request.body.len() > MAX_REQUEST_SIZE {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("more than {MAX_REQUEST_SIZE} bytes"),
            ));
        }
        let store = Arc::clone(&self.store);
        let answered = spawn_blocking(move || answer(&store, &request.body)).await;
        match answered.map_err(|_| Problem::system_failure())? {
            Ok(lines) => Ok(Response::bytes(StatusCode::OK, TEXT, lines)),
            Err(Refusal::Conflict { latest }) => Ok(Response::bytes(
                StatusCode::CONFLICT,
                CONFLICT_CONTENT_TYPE,
                format!("{latest}\n"),
            )),
            Err(refusal) => Ok(refused(refusal.status(), &refusal)),
        }
    }

    async fn read(&self, path: &str) -> Result<Response, Problem> {
        let unknown = || {
            Problem::not_found(
                "there are /add-checkpoint, /add-entries, /sign-subtree, and below /<hex hash of a log's origin>/ checkpoint, landmarks and tile/...",
            )
        };
        let (origin_hash, object) = path
            .strip_prefix('/')
            .and_then(|path| path.split_once('/'))
            .and_then(|(hash, object)| Some((hash.to_owned(), Object::served_at(object)?)))
            .ok_or_else(unknown)?;
        let (content_type, cache) = match object {
            Object::Tile(_) => (BINARY, NEVER_CHANGES),
            _ => (TEXT, CHANGES),
        };
        let store = Arc::clone(&self.store);
        let read = spawn_blocking(move || store.read(&origin_hash, &object)).await;
        match read.map_err(|_| Problem::system_failure())? {
            Ok(Some(bytes)) => {
                Ok(Response::bytes(StatusCode::OK, content_type, bytes).with(CACHE_CONTROL, cache))
            }
            Ok(None) => Err(unknown()),
            Err(error) => {
                if let Some(left_out) = FAILURES.pass() {
                    tracing::error!(error = %Causes(&error), left_out, "the mirror's copy cannot be read");
                }
                Err(Problem::system_failure())
            }
        }
    }
}

/// One upload, from its first octet to its answer.
struct Receiver {
    store: Arc<MirrorStore>,
    clock: Clock,
    decoder: PieceDecoder,
    reader: UploadReader,
    /// Pays for what `reader` and the upload hold.
    share: Share,
    pace: Pace,
}

/// How fast a body comes.
#[derive(Default)]
struct Pace {
    /// Time that was spent waiting for it, and not for the disk.
    waited: Duration,
    received: u64,
}

impl Pace {
    /// The data of the next frame; none after the last, or when it takes too long.
    async fn next(&mut self, body: &mut Body) -> Option<Bytes> {
        let earned = Duration::from_millis(self.received.saturating_mul(1000) / LEAST_RATE);
        let left = (SILENCE + earned).saturating_sub(self.waited);
        let began = Instant::now();
        let frame = timeout(left.min(SILENCE), body.next()).await;
        self.waited += began.elapsed();
        // Trailers say nothing here.
        let data = frame.ok()??.ok()?.into_data().unwrap_or_default();
        self.received += data.len() as u64;
        Some(data)
    }
}

/// Why an upload is not read to its end.
enum Broken {
    Refused(UploadRefusal),
    Encoding(EncodingError),
    /// There is no room for more.
    NoRoom,
    /// The mirror is ending, or has a fault.
    Failed,
}

impl From<UploadRefusal> for Broken {
    fn from(refusal: UploadRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<UploadError> for Broken {
    fn from(error: UploadError) -> Self {
        Self::Refused(error.into())
    }
}

impl Receiver {
    async fn receive(mut self, mut body: Body) -> Result<Response, Problem> {
        let mut upload = None;
        let broken = self.read(&mut body, &mut upload).await.err();
        let answer = self.answer(broken, upload).await;
        drain(body, self.pace).await;
        answer
    }

    async fn answer(
        &self,
        broken: Option<Broken>,
        upload: Option<Upload>,
    ) -> Result<Response, Problem> {
        let refusal = match (broken, upload) {
            (Some(Broken::Refused(refusal)), _) => refusal,
            (Some(Broken::Failed), _) => return Err(Problem::system_failure()),
            (Some(Broken::NoRoom), None) => return Err(no_room()),
            (Some(Broken::NoRoom), Some(upload)) if !upload.has_some() => return Err(no_room()),
            (None | Some(Broken::Encoding(_) | Broken::NoRoom), Some(upload)) => {
                match self.finish(upload).await? {
                    Ok(Uploaded::Mirrored(lines)) => {
                        return Ok(Response::bytes(StatusCode::OK, TEXT, lines));
                    }
                    Ok(Uploaded::Partly(info)) => {
                        return Ok(where_to_go_on(StatusCode::ACCEPTED, &info));
                    }
                    Err(refusal) => refusal,
                }
            }
            (Some(Broken::Encoding(error)), None) => return Ok(refused(400, &error)),
            (None, None) => UploadError::NoHeader.into(),
        };
        Ok(match refusal {
            UploadRefusal::Conflict(info) => where_to_go_on(StatusCode::CONFLICT, &info),
            refusal => refused(refusal.status(), &refusal),
        })
    }

    /// Reads until all packages are there, or the body ends or breaks off, which is the same.
    async fn read(&mut self, body: &mut Body, upload: &mut Option<Upload>) -> Result<(), Broken> {
        while let Some(mut data) = self.pace.next(body).await {
            while !data.is_empty() {
                let piece = data.split_to(data.len().min(PieceDecoder::MAX_PIECE));
                if self.take(piece, upload).await? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes a piece of the body; whether it was the last that matters.
    async fn take(&mut self, piece: Bytes, upload: &mut Option<Upload>) -> Result<bool, Broken> {
        let plain = self.decoder.decode(piece).map_err(Broken::Encoding)?;
        self.reader.push(&plain);
        self.pay(upload.as_ref())?;
        if upload.is_none() {
            let Some(header) = self.reader.header()? else {
                return Ok(false);
            };
            let store = Arc::clone(&self.store);
            let begun = spawn_blocking(move || store.begin_upload(&header)).await;
            *upload = Some(begun.map_err(|_| Broken::Failed)??);
        }
        while let Some(mut current) = upload.take() {
            let Some(next) = current.expected() else {
                *upload = Some(current);
                return Ok(true);
            };
            let package = match self.reader.package(next.end - next.start) {
                Ok(Some(package)) => package,
                Ok(None) => {
                    *upload = Some(current);
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            };
            let added = spawn_blocking(move || current.add(package).map(|()| current)).await;
            *upload = Some(added.map_err(|_| Broken::Failed)??);
            self.pay(upload.as_ref())?;
        }
        Ok(false)
    }

    fn pay(&mut self, upload: Option<&Upload>) -> Result<(), Broken> {
        let held = self.reader.capacity() + upload.map_or(0, Upload::held);
        self.share.resize(held).map_err(|Exhausted| Broken::NoRoom)
    }

    async fn finish(&self, upload: Upload) -> Result<Result<Uploaded, UploadRefusal>, Problem> {
        let now = self.clock.now();
        let finished = spawn_blocking(move || upload.finish(now)).await;
        finished.map_err(|_| Problem::system_failure())
    }
}

/// Reads what is left of a body that is not wanted, unless it is too much: over HTTP/1.1 a connection that is closed before loses the answer.
async fn drain(mut body: Body, mut pace: Pace) {
    let mut left = MAX_DRAINED;
    while let Some(data) = pace.next(&mut body).await {
        let Some(less) = left.checked_sub(data.len()) else {
            return;
        };
        left = less;
    }
}

fn where_to_go_on(status: StatusCode, info: &MirrorInfo) -> Response {
    Response::bytes(status, MIRROR_INFO_CONTENT_TYPE, info.encode())
}

/// A reason for people.
fn refused(status: u16, refusal: &dyn std::error::Error) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = Quoted(&Causes(refusal).to_string()).to_string();
    // Anybody can have requests refused, as fast as the port answers.
    if let Some(left_out) = REFUSALS.pass() {
        tracing::warn!(%status, reason, left_out, "did not mirror");
    }
    Response::bytes(status, TEXT, format!("{reason}\n"))
}

fn decoder(headers: &HeaderMap) -> Result<PieceDecoder, EncodingError> {
    let encodings = headers.get_all(CONTENT_ENCODING);
    PieceDecoder::new(encodings.iter().map(HeaderValue::as_bytes))
}

fn unsupported(error: &EncodingError) -> Response {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Response::bytes(status, TEXT, format!("{error}\n")).with(ACCEPT_ENCODING, GZIP)
}

fn no_room() -> Problem {
    Problem::unavailable(
        Cause::InsufficientResources,
        "no room for this upload now",
        RETRY_WHEN_FULL,
    )
}

fn into_http(response: Response) -> hyper::Response<Body> {
    let Response {
        status,
        mut headers,
        body,
    } = response;
    headers.entry(ACCEPT_ENCODING).or_insert(GZIP);
    debug_assert!(headers.contains_key(CONTENT_TYPE));
    let mut http = hyper::Response::new(Body::from(body));
    *http.status_mut() = status;
    *http.headers_mut() = headers;
    http
}

#[cfg(test)]
mod tests;
