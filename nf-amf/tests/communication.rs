//! namf-comm and notifications over real HTTP/2, with the SMF's identity given instead of a certificate.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use mtc_tls::identity::NfIdentity;
use nf_amf::communication::{Communication, status_uri};
use nf_amf::ue_context::{Registered, SharedUeContexts};
use sbi::client::{Connection, Request};
use sbi::multipart::{Multipart, NAS, NGAP};
use sbi::problem::{Problem, ProblemDetails};
use sbi::response::{JSON, PROBLEM_JSON, Response};
use sbi::server::{self, Handler, Peer};
use sbi::uri::{ApiRoot, Scheme};
use serde_json::{Value, json};
use test_support::transcript::Player;

const SUPI: &str = "imsi-001010000000001";
const TRANSFER: &str = "/namf-comm/v1/ue-contexts/imsi-001010000000001/n1-n2-messages";
const STATUS: &str = "/namf-callback/v1/imsi-001010000000001/sm-context-status/5";

struct Scripted(Communication);

impl Handler for Scripted {
    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        let segments = request.segments()?;
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        self.0.handle(&request, &segments)
    }
}

/// An AMF with one UE, and a connection to it.
struct Lab {
    session: Registered,
    connection: Connection,
}

impl Lab {
    async fn connect(nf_type: &str) -> Self {
        let contexts = SharedUeContexts::new(1);
        let session = contexts.register(SUPI.to_owned(), 5).expect("room");
        let (client_io, server_io) = tokio::io::duplex(64 * 1024);
        let peer = Peer {
            expired: None,
            certificate: None,
            identity: Some(NfIdentity {
                instance_id: "5b1d9a77-7d24-4b8f-9c61-2f4f0d9e1a01"
                    .parse()
                    .expect("a UUID"),
                nf_types: vec![nf_type.to_owned()],
                fqdns: Vec::new(),
                not_after: u64::MAX,
            }),
            remote: ([127, 0, 0, 1], 1).into(),
            profile: None,
        };
        let handler = Arc::new(Scripted(Communication::new(contexts)));
        let serving = server::serve_connection(
            server_io,
            Arc::new(peer),
            handler,
            sbi::metrics::Metrics::new().requests,
            std::future::pending(),
        );
        tokio::spawn(serving);
        let connection = Connection::handshake(client_io, Scheme::Https).await;
        Self {
            session,
            connection: connection.expect("http/2"),
        }
    }

    async fn send(&self, request: Request) -> Response {
        let answer = self.connection.send(request, Duration::from_secs(10));
        answer.await.expect("an answer")
    }

    async fn post(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<bytes::Bytes>,
    ) -> Response {
        let content_type = HeaderValue::from_str(content_type).expect("visible ASCII");
        self.send(request(Method::POST, path).body(content_type, body))
            .await
    }

    async fn post_json(&self, path: &str, body: &Value) -> Response {
        self.post(path, JSON, body.to_string()).await
    }

    async fn transfer(&self, path: &str, n1_id: &str) -> Response {
        let message = Multipart::json(&transfer())
            .attach(NAS, n1_id, vec![0; 56])
            .attach(NGAP, "n2-sm", vec![0; 52]);
        let (content_type, body) = message.encode();
        self.post(path, &content_type, body).await
    }
}

fn request(method: Method, path: &str) -> Request {
    Request::new(method, "amf1.example.org:7777", path)
}

/// The request of a PDU session's resource set-up.
fn transfer() -> Value {
    json!({"pduSessionId": 5, "n1MessageContainer": {"n1MessageClass": "SM", "n1MessageContent": {"contentId": "n1-sm"}},
        "n2InfoContainer": {"n2InformationClass": "SM", "smInfo": {"pduSessionId": 5, "sNssai": {"sst": 1, "sd": "010203"},
        "n2InfoContent": {"ngapIeType": "PDU_RES_SETUP_REQ", "ngapData": {"contentId": "n2-sm"}}}}})
}

fn cause(response: &Response) -> (u16, String) {
    assert_eq!(response.header(&CONTENT_TYPE), Some(PROBLEM_JSON));
    let details = ProblemDetails::from_body(&response.body).expect("details");
    (response.status.as_u16(), details.cause.expect("a cause"))
}

#[tokio::test]
async fn transfers_and_notifications_go_as_written() {
    let lab = Lab::connect("SMF").await;
    Player::new(
        &lab.connection,
        "amf1.5gc.mnc001.mcc001.3gppnetwork.org:7777",
        &[],
    )
    .check(include_str!("transcripts/communication.txt"))
    .await;
}

#[tokio::test]
async fn a_transfer_reaches_the_session() {
    let mut lab = Lab::connect("SMF").await;
    let response = lab.transfer(TRANSFER, "n1-sm").await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.body, r#"{"cause":"N1_N2_TRANSFER_INITIATED"}"#);
    lab.session.transferred().await.unwrap();
}

#[tokio::test]
async fn a_transfer_as_plain_json_does_too() {
    let mut lab = Lab::connect("SCP").await;
    let response = lab.post_json(TRANSFER, &json!({"pduSessionId": 5})).await;
    assert_eq!(response.status, StatusCode::OK);
    lab.session.transferred().await.unwrap();
}

#[tokio::test]
async fn unknown_ues_and_sessions_are_not_found() {
    let lab = Lab::connect("SMF").await;
    let not_found = (404, "CONTEXT_NOT_FOUND".to_owned());
    let other_ue = TRANSFER.replace("0001/", "0002/");
    assert_eq!(cause(&lab.transfer(&other_ue, "n1-sm").await), not_found);
    let other_session = lab.post_json(TRANSFER, &json!({"pduSessionId": 6})).await;
    assert_eq!(cause(&other_session), not_found);
}

#[tokio::test]
async fn only_smfs_and_scps_have_access() {
    for nf_type in ["AMF", "NRF", "smf"] {
        let lab = Lab::connect(nf_type).await;
        let response = lab.transfer(TRANSFER, "n1-sm").await;
        assert_eq!(
            cause(&response),
            (403, "MTC5G_CERTIFICATE_MISMATCH".to_owned())
        );
    }
}

#[tokio::test]
async fn damaged_transfers_are_refused() {
    let lab = Lab::connect("SMF").await;
    let no_part = (400, "MANDATORY_IE_INCORRECT".to_owned());
    assert_eq!(cause(&lab.transfer(TRANSFER, "n1").await), no_part);
    assert_eq!(cause(&lab.post_json(TRANSFER, &transfer()).await), no_part);
    let missing = lab.post_json(TRANSFER, &json!({})).await;
    assert_eq!(cause(&missing), (400, "MANDATORY_IE_MISSING".to_owned()));
    let broken = lab
        .post(TRANSFER, "multipart/related; boundary=b1", "--b2--")
        .await;
    assert_eq!(cause(&broken), (400, "INVALID_MSG_FORMAT".to_owned()));
}

#[tokio::test]
async fn a_released_session_is_told_to_who_waits() {
    let mut lab = Lab::connect("SMF").await;
    let updated = json!({"statusInfo": {"resourceStatus": "UPDATED"}});
    assert_eq!(
        lab.post_json(STATUS, &updated).await.status,
        StatusCode::NO_CONTENT
    );
    let released = json!({"statusInfo": {"resourceStatus": "RELEASED"}});
    assert_eq!(
        lab.post_json(STATUS, &released).await.status,
        StatusCode::NO_CONTENT
    );
    assert!(lab.session.transferred().await.is_err());
    let again = lab.post_json(STATUS, &released).await;
    assert_eq!(cause(&again), (404, "CONTEXT_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn notifications_come_to_the_uri_that_is_given_to_the_smf() {
    let root = "https://amf1.example.org:7777";
    let api_root: ApiRoot = root.parse().unwrap();
    assert_eq!(status_uri(&api_root, SUPI, 5), format!("{root}{STATUS}"));
}

#[tokio::test]
async fn wrong_methods_and_paths_have_their_statuses() {
    let lab = Lab::connect("SMF").await;
    let response = lab.send(request(Method::GET, TRANSFER)).await;
    assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.header(&ALLOW), Some("POST"));
    let response = lab
        .post_json(&TRANSFER.replace("n1-n2", "n1"), &json!({}))
        .await;
    assert_eq!(
        cause(&response),
        (404, "RESOURCE_URI_STRUCTURE_NOT_FOUND".to_owned())
    );
    let response = lab
        .post_json("/namf-evts/v1/subscriptions", &json!({}))
        .await;
    assert_eq!(cause(&response), (400, "INVALID_API".to_owned()));
}
