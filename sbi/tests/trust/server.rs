//! A log server that shows what it is told to, and remembers what it was asked for.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_ENCODING, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mtc_core::id::LogNumber;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, Request, serve_cleartext};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The server, on a port of its own.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    shown: Arc<Shown>,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::serving(|tcp, remote, shown| async move {
            let _ = serve_cleartext(tcp, remote, shown, std::future::pending()).await;
        })
        .await
    }

    /// A log behind a server of static files: HTTP/1.1 alone, objects with gzip that nobody asked for, and connections that end
    /// after two requests.
    pub(crate) async fn start_static() -> Self {
        Self::serving(|tcp, _, shown| async move {
            let requests = AtomicUsize::new(0);
            let service = service_fn(|request: hyper::Request<Incoming>| {
                let is_last = requests.fetch_add(1, Ordering::Relaxed) == 1;
                let answer = shown.file(request.uri().path());
                async move {
                    let mut answer = answer?;
                    if is_last {
                        let close = HeaderValue::from_static("close");
                        answer.headers_mut().insert(CONNECTION, close);
                    }
                    Ok::<_, hyper::http::Error>(answer)
                }
            });
            let served = http1::Builder::new().serve_connection(TokioIo::new(tcp), service);
            let _ = served.await;
        })
        .await
    }

    async fn serving<S>(
        serve: impl Fn(TcpStream, SocketAddr, Arc<Shown>) -> S + Send + 'static,
    ) -> Self
    where
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let shown = Arc::new(Shown::default());
        let served = shown.clone();
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (tcp, remote) = listener.accept().await.expect("a connection");
                connections.spawn(serve(tcp, remote, served.clone()));
            }
        });
        Self {
            addr,
            shown,
            serving,
        }
    }

    /// Shows `bytes` as object `name` of log 1 from now on.
    pub(crate) fn show(&self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        let path = format!("/1/{}", name.into());
        self.shown.objects().insert(path, bytes.into());
    }

    /// Shows `bytes` as object `name` of log `number` from now on.
    pub(crate) fn show_in(&self, number: LogNumber, name: &str, bytes: impl Into<Vec<u8>>) {
        let path = format!("/{number}/{name}");
        self.shown.objects().insert(path, bytes.into());
    }

    /// Says of log `number` that it is gone.
    pub(crate) fn lose(&self, number: LogNumber) {
        let prefix = format!("/{number}/");
        self.shown
            .objects()
            .retain(|path, _| !path.starts_with(&prefix));
        self.shown.gone().push(prefix);
    }

    /// Shows no such object any more.
    pub(crate) fn hide(&self, name: &str) {
        self.hide_in(LogNumber::FIRST, name);
    }

    /// Shows no such object of log `number` any more.
    pub(crate) fn hide_in(&self, number: LogNumber, name: &str) {
        let hidden = self.shown.objects().remove(&format!("/{number}/{name}"));
        assert!(hidden.is_some(), "{name} was shown");
    }

    /// The objects that were asked for since the last call, in order, without the lists of revoked serial numbers, which are asked for
    /// each time.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.shown.asked());
        asked.retain(|path| !path.ends_with("/revoked"));
        asked
    }

    /// Closes the port and every connection; when this returns, they are closed.
    pub(crate) async fn stop(&mut self) {
        self.serving.abort();
        let ended = (&mut self.serving).await;
        ended.expect_err("it was aborted");
    }
}

#[derive(Default)]
pub(crate) struct Shown {
    objects: Mutex<HashMap<String, Vec<u8>>>,
    asked: Mutex<Vec<String>>,
    /// Prefixes of paths.
    gone: Mutex<Vec<String>>,
}

impl Shown {
    fn objects(&self) -> MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, Vec<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file with gzip, or 404.
    fn file(&self, path: &str) -> Result<hyper::Response<Full<Bytes>>, hyper::http::Error> {
        self.asked().push(path.to_owned());
        let Some(bytes) = self.objects().get(path).cloned() else {
            let not_found = hyper::Response::builder().status(StatusCode::NOT_FOUND);
            return not_found.body(Full::default());
        };
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes).expect("memory");
        let body = encoder.finish().expect("memory");
        hyper::Response::builder()
            .header(CONTENT_ENCODING, "gzip")
            .body(Full::from(body))
    }

    fn gone(&self) -> MutexGuard<'_, Vec<String>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler for Shown {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        self.asked().push(request.path.clone());
        if self
            .gone()
            .iter()
            .any(|prefix| request.path.starts_with(prefix))
        {
            return Err(Problem::new(StatusCode::GONE, "retired"));
        }
        let object = self.objects().get(&request.path).cloned();
        object
            .map(|bytes| Response::bytes(StatusCode::OK, "application/octet-stream", bytes))
            .ok_or_else(|| Problem::not_found("not shown"))
    }
}
