use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use hyper::StatusCode;
use hyper::header::{LOCATION, USER_AGENT};
use hyper::http::HeaderValue;
use sbi::header::UserAgent;
use sbi::model::{Document, SmContextUpdateData};
use sbi::multipart::{Multipart, NAS, NGAP};
use sbi::problem::{Cause, Problem};
use sbi::response::Response;
use sbi::server::{self, Handler, Peer, Request};
use sbi::uri::ApiRoot;
use tokio::io::ReadBuf;

use crate::config::AmfConfig;
use crate::error::ErrorClass;
use crate::ue_context::SharedUeContexts;

use super::*;

const SUPI: &str = "imsi-001010000000001";
const SMF_ROOT: &str = "https://smf1.example.org:7777";
const COLLECTION: &str = "/nsmf-pdusession/v1/sm-contexts";

/// What a scripted SMF does otherwise than it should.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    RefuseCreate,
    NoTransfer,
    ReleaseAtOnce,
    RefuseModify,
    RefuseRelease,
}

/// An SMF whose N1N2 transfer comes before its answer to create.
struct ScriptedSmf {
    fault: Fault,
    contexts: SharedUeContexts,
    requests: Mutex<Vec<Request>>,
}

impl Handler for ScriptedSmf {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let refuse = || {
            let (status, cause) = (StatusCode::FORBIDDEN, Cause::ContextNotFound);
            Err(Problem::with_cause(status, cause, "refused on purpose"))
        };
        let path = request.path.clone();
        self.requests
            .lock()
            .expect("no holder panics")
            .push(request);
        match (
            path.strip_prefix(COLLECTION).expect("a path of the API"),
            self.fault,
        ) {
            ("", Fault::RefuseCreate)
            | ("/7/modify", Fault::RefuseModify)
            | ("/7/release", Fault::RefuseRelease) => refuse(),
            ("", fault) => {
                self.contexts.with(|contexts| match fault {
                    Fault::NoTransfer => {}
                    Fault::ReleaseAtOnce => contexts.release(SUPI, PDU_SESSION_ID),
                    _ => contexts
                        .transfer(SUPI, PDU_SESSION_ID)
                        .expect("a registered session"),
                });
                let location = HeaderValue::try_from(format!("{SMF_ROOT}{COLLECTION}/7"));
                Ok(Response::json(StatusCode::CREATED, &serde_json::Map::new())
                    .with(LOCATION, location.expect("visible ASCII")))
            }
            _ => Ok(Response::no_content()),
        }
    }
}

/// Establishes a session at an SMF with `fault`; the result, and the requests that the SMF got.
async fn run(fault: Fault) -> (Result<(), SessionError>, Vec<Request>) {
    let contexts = SharedUeContexts::new(1);
    let smf = Arc::new(ScriptedSmf {
        fault,
        contexts: contexts.clone(),
        requests: Mutex::default(),
    });
    let (client_io, server_io) = tokio::io::duplex(64 * 1024);
    let peer = Arc::new(Peer::cleartext(([127, 0, 0, 1], 1).into()));
    tokio::spawn(server::serve_connection(
        server_io,
        peer,
        smf.clone(),
        sbi::metrics::Metrics::new().requests,
        std::future::pending(),
    ));
    let connection = Connection::handshake(client_io, Scheme::Https).await;
    let connection = connection.expect("http/2");
    let config = AmfConfig::default();
    let api_root: ApiRoot = "https://amf1.example.org:7777".parse().expect("an apiRoot");
    let agent: UserAgent = "AMF-amf1.example.org".parse().expect("a User-Agent");
    let route = Route::direct(crate::test_smf::smf());
    let connected = SmfConnection {
        exchange: Exchange::new(&connection, &route, Some(&agent)),
        requester: Requester {
            id: uuid::Uuid::from_u128(1).into(),
            api_root: &api_root,
            config: &config,
        },
    };
    let mut session = contexts
        .register(SUPI.to_owned(), PDU_SESSION_ID)
        .expect("room");
    let result = establish(&connected, &mut session).await;
    let requests = std::mem::take(&mut *smf.requests.lock().expect("no holder panics"));
    (result, requests)
}

fn paths(requests: &[Request]) -> Vec<&str> {
    let paths = requests
        .iter()
        .map(|request| request.path.strip_prefix(COLLECTION));
    paths.map(|path| path.expect("a path of the API")).collect()
}

fn multipart(request: &Request) -> Multipart {
    let content_type = request.headers[hyper::header::CONTENT_TYPE].to_str();
    let content_type = content_type.expect("visible ASCII");
    Multipart::parse(content_type, &request.body).expect("multipart")
}

#[tokio::test]
async fn a_session_is_created_modified_and_released() {
    let (result, requests) = run(Fault::None).await;
    result.unwrap();
    assert_eq!(paths(&requests), ["", "/7/modify", "/7/release"]);
    for request in &requests {
        assert_eq!(request.headers[USER_AGENT], "AMF-amf1.example.org");
    }
    let create = multipart(&requests[0]);
    assert_eq!(create.part("n1-sm").unwrap().content_type, NAS);
    let modify = multipart(&requests[1]);
    let update = SmContextUpdateData::read(&modify.root().body).unwrap();
    assert_eq!(update.n2_sm_info_type.as_deref(), Some("PDU_RES_SETUP_RSP"));
    let n2 = modify.part(&update.n2_sm_info.unwrap().content_id).unwrap();
    assert_eq!((n2.content_type.as_str(), n2.body.len()), (NGAP, 16));
}

#[tokio::test]
async fn a_refused_session_is_neither_modified_nor_released() {
    let (result, requests) = run(Fault::RefuseCreate).await;
    let error = result.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Http);
    assert_eq!(error.cause(), "create: status 403, CONTEXT_NOT_FOUND");
    assert_eq!(paths(&requests), [""]);
}

#[tokio::test(start_paused = true)]
async fn a_session_without_its_transfer_fails_and_is_released() {
    let (result, requests) = run(Fault::NoTransfer).await;
    assert!(
        matches!(result, Err(SessionError::NoTransfer)),
        "{result:?}"
    );
    assert_eq!(paths(&requests), ["", "/7/release"]);
}

#[tokio::test]
async fn a_session_that_the_smf_releases_fails() {
    let (result, requests) = run(Fault::ReleaseAtOnce).await;
    assert!(matches!(result, Err(SessionError::Released)), "{result:?}");
    assert_eq!(paths(&requests), ["", "/7/release"]);
}

#[tokio::test]
async fn a_failed_modification_is_told_and_the_session_released() {
    let (result, requests) = run(Fault::RefuseModify).await;
    assert_eq!(
        result.unwrap_err().cause(),
        "modify: status 403, CONTEXT_NOT_FOUND"
    );
    assert_eq!(paths(&requests), ["", "/7/modify", "/7/release"]);
}

#[tokio::test]
async fn a_failed_release_is_a_failure() {
    let (result, _) = run(Fault::RefuseRelease).await;
    assert_eq!(
        result.unwrap_err().cause(),
        "release: status 403, CONTEXT_NOT_FOUND"
    );
}

#[tokio::test]
async fn a_peer_that_closes_ends_the_handshake_operation() {
    let (io, mut peer) = tokio::io::duplex(64);
    peer.write_all(b"settings").await.unwrap();
    drop(peer);
    close_and_wait(io).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_close_is_a_failure() {
    let (io, _peer) = tokio::io::duplex(64);
    let result = close_and_wait(io).await;
    assert!(
        matches!(result, Err(SessionError::NotClosed { .. })),
        "{result:?}"
    );
}

/// A TLS stream on which an error is all there is to read.
struct Broken(io::ErrorKind);

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::new(
            self.0,
            "received fatal alert: BadCertificate",
        )))
    }
}

impl AsyncWrite for Broken {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_alert_after_the_handshake_is_a_failure_of_tls() {
    let error = close_and_wait(Broken(io::ErrorKind::InvalidData))
        .await
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Tls);
    assert_eq!(
        error.cause(),
        "handshake: broken off after the handshake: received fatal alert: BadCertificate"
    );
    close_and_wait(Broken(io::ErrorKind::UnexpectedEof))
        .await
        .unwrap();
}

async fn answer_on(stream: Broken) -> SessionError {
    let step = OperationStep::Create;
    let Open {
        connection,
        failure,
    } = match Open::start(step, stream).await {
        Ok(open) => open,
        Err(error) => return error,
    };
    let request = sbi::client::Request::new(hyper::Method::GET, "smf1.example.org:7777", "/");
    let answer = connection.call(request, TRANSFER_TIME).await;
    failure.explain(step, failed(step, answer.expect_err("nothing to read")))
}

#[tokio::test]
async fn an_alert_in_place_of_an_answer_is_a_failure_of_tls() {
    let error = answer_on(Broken(io::ErrorKind::InvalidData)).await;
    assert_eq!(error.class(), ErrorClass::Tls);
    assert_eq!(
        error.cause(),
        "create: broken off after the handshake: received fatal alert: BadCertificate"
    );
}

#[tokio::test]
async fn a_connection_that_is_reset_in_place_of_an_answer_is_not() {
    let error = answer_on(Broken(io::ErrorKind::ConnectionReset)).await;
    assert_eq!(error.class(), ErrorClass::Http);
}
