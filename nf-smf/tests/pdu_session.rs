//! nsmf-pdusession over real HTTP/2, with the AMF's identity given instead of a certificate.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::header::{ALLOW, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use mtc_tls::identity::NfIdentity;
use nf_smf::n1n2::Transfer;
use nf_smf::pdu_session::{Change, PduSessions};
use nf_smf::sm_context::{Bounds, Held, SmContext};
use procedures::route::Resource;
use sbi::client::{Connection, Request};
use sbi::model::SmfInfo;
use sbi::multipart::{Multipart, NAS, NGAP};
use sbi::problem::{Problem, ProblemDetails};
use sbi::response::{JSON, PROBLEM_JSON, Response};
use sbi::server::{self, Handler, Peer};
use sbi::uri::Scheme;
use serde_json::{Value, json};
use test_support::transcript::{Fresh, Player};

const AMF: &str = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01";
const OTHER_AMF: &str = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a02";
const ROOT: &str = "https://smf1.5gc.mnc001.mcc001.3gppnetwork.org:7777";
const COLLECTION: &str = "/nsmf-pdusession/v1/sm-contexts";

/// The service, and the transfers that it wants done.
struct Scripted {
    sessions: PduSessions,
    transfers: Mutex<Vec<Transfer>>,
    changes: Mutex<Vec<Change>>,
    replaced: Mutex<Vec<SmContext>>,
}

impl Handler for Scripted {
    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        let segments = request.segments()?;
        let segments: Vec<_> = segments.iter().skip(2).map(String::as_str).collect();
        let root = ROOT.parse().expect("an apiRoot");
        let answer = self.sessions.handle(&request, &segments, &root)?;
        self.transfers
            .lock()
            .expect("no holder panics")
            .extend(answer.transfer);
        self.changes
            .lock()
            .expect("no holder panics")
            .extend(answer.change);
        self.replaced
            .lock()
            .expect("no holder panics")
            .extend(answer.replaced);
        Ok(answer.response)
    }
}

struct Lab {
    smf: Arc<Scripted>,
}

impl Lab {
    fn new(max_sm_contexts: usize, max_transfers: usize) -> Self {
        Self::shared(max_sm_contexts, max_sm_contexts, max_transfers)
    }

    fn shared(max_sm_contexts: usize, per_amf: usize, max_transfers: usize) -> Self {
        let serves: SmfInfo = serde_json::from_value(json!({"sNssaiSmfInfoList":
            [{"sNssai": {"sst": 1, "sd": "010203"}, "dnnSmfInfoList": [{"dnn": "internet"}]}]}))
        .expect("a valid smfInfo");
        let bounds = Bounds {
            capacity: max_sm_contexts,
            per_amf,
            idle: Duration::from_secs(3600),
        };
        let smf = Arc::new(Scripted {
            sessions: PduSessions::new(serves, bounds, max_transfers),
            transfers: Mutex::default(),
            changes: Mutex::default(),
            replaced: Mutex::default(),
        });
        Self { smf }
    }

    async fn connect(&self, nf_type: &str, id: &str) -> Client {
        let (client_io, server_io) = tokio::io::duplex(64 * 1024);
        let peer = Peer {
            expired: None,
            certificate: None,
            identity: Some(NfIdentity {
                instance_id: id.parse().expect("a UUID"),
                nf_types: vec![nf_type.to_owned()],
                fqdns: Vec::new(),
                not_after: u64::MAX,
            }),
            remote: ([127, 0, 0, 1], 1).into(),
            profile: Some(
                "mtc-landmark/ml-dsa-65/X25519MLKEM768"
                    .parse()
                    .expect("a profile"),
            ),
        };
        let serving = server::serve_connection(
            server_io,
            Arc::new(peer),
            self.smf.clone(),
            sbi::metrics::Metrics::new().requests,
            std::future::pending(),
        );
        tokio::spawn(serving);
        let connection = Connection::handshake(client_io, Scheme::Https).await;
        Client(connection.expect("http/2"))
    }

    fn transfers(&self) -> Vec<Transfer> {
        std::mem::take(&mut self.smf.transfers.lock().expect("no holder panics"))
    }
}

struct Client(Connection);

impl Client {
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

    async fn create(&self, body: &Value) -> Response {
        let message = Multipart::json(body).attach(
            NAS,
            "n1-sm",
            &[0x2e, 5, 1, 0xc1, 0xff, 0xff, 0x91, 0xa1][..],
        );
        let (content_type, body) = message.encode();
        self.post(COLLECTION, &content_type, body).await
    }

    /// Creates a context and returns its path.
    async fn created(&self, body: &Value) -> String {
        let response = self.create(body).await;
        assert_eq!(response.status, StatusCode::CREATED, "{:?}", response.body);
        let location = response.header(&LOCATION).expect("a Location");
        location
            .strip_prefix(ROOT)
            .expect("an absolute URI")
            .to_owned()
    }

    async fn send(&self, request: Request) -> Response {
        let answer = self.0.send(request, Duration::from_secs(10));
        answer.await.expect("an answer")
    }
}

fn request(method: Method, path: &str) -> Request {
    Request::new(method, "smf1.5gc.mnc001.mcc001.3gppnetwork.org:7777", path)
}

/// The request of an ordinary PDU session.
fn session() -> Value {
    json!({"supi": "imsi-001010000000001", "pduSessionId": 5, "dnn": "internet", "selectedDnn": "internet",
        "sNssai": {"sst": 1, "sd": "010203"}, "servingNfId": AMF,
        "guami": {"plmnId": {"mcc": "001", "mnc": "01"}, "amfId": "020040"},
        "servingNetwork": {"mcc": "001", "mnc": "01"}, "requestType": "INITIAL_REQUEST",
        "n1SmMsg": {"contentId": "n1-sm"}, "anType": "3GPP_ACCESS", "ratType": "NR",
        "smContextStatusUri": "https://amf1.5gc.mnc001.mcc001.3gppnetwork.org:7777/namf-callback/v1/imsi-001010000000001/sm-context-status/5"})
}

/// What a UDM and a PCF hold of a session.
fn held() -> Held {
    Held {
        is_registered: true,
        udm: None,
        policy: Some(Resource {
            root: "https://pcf1.example.org:7777".parse().expect("an apiRoot"),
            path: "/npcf-smpolicycontrol/v1/sm-policies/7".to_owned(),
        }),
    }
}

fn with(member: &str, value: Value) -> Value {
    let mut session = session();
    session[member] = value;
    session
}

fn without(member: &str) -> Value {
    let mut session = session();
    session.as_object_mut().expect("an object").remove(member);
    session
}

/// The details of a refusal, which must be nested and of type `application/json`.
fn nested(response: &Response) -> ProblemDetails {
    assert_eq!(response.header(&CONTENT_TYPE), Some(JSON));
    let body: Value = response.read_json().expect("JSON");
    assert!(body["error"].is_object(), "{body}");
    ProblemDetails::from_body(&response.body).expect("details")
}

fn cause(response: &Response) -> (u16, String) {
    let cause = nested(response).cause.expect("a cause");
    (response.status.as_u16(), cause)
}

#[tokio::test]
async fn a_session_is_created_modified_and_released() {
    let lab = Lab::new(1, 1);
    let amf = lab.connect("AMF", AMF).await;
    let context = amf.created(&session()).await;
    assert!(context.starts_with(&format!("{COLLECTION}/")));

    let update = Multipart::json(
        &json!({"n2SmInfo": {"contentId": "n2-sm"}, "n2SmInfoType": "PDU_RES_SETUP_RSP"}),
    )
    .attach(NGAP, "n2-sm", vec![0; 14]);
    let (content_type, body) = update.encode();
    let response = amf
        .post(&format!("{context}/modify"), &content_type, body)
        .await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.body, r#"{"upCnxState":"ACTIVATED"}"#);

    let release = format!("{context}/release");
    assert_eq!(
        amf.send(request(Method::POST, &release)).await.status,
        StatusCode::NO_CONTENT
    );
    let again = amf.send(request(Method::POST, &release)).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    let details = ProblemDetails::from_body(&again.body).unwrap();
    assert_eq!(details.cause.as_deref(), Some("CONTEXT_NOT_FOUND"));
}

#[tokio::test]
async fn the_life_of_an_sm_context_goes_as_written() {
    let lab = Lab::new(8, 8);
    let amf = lab.connect("AMF", AMF).await;
    let fresh = [(
        Fresh::Location("/nsmf-pdusession/v1/sm-contexts/"),
        "{smContextRef}",
    )];
    Player::new(
        &amf.0,
        "smf1.5gc.mnc001.mcc001.3gppnetwork.org:7777",
        &fresh,
    )
    .check(include_str!("transcripts/sm_context.txt"))
    .await;
}

#[tokio::test]
async fn udm_and_pcf_have_a_say_when_the_ue_asks_and_when_a_session_ends() {
    let lab = Lab::new(1, 1);
    let amf = lab.connect("AMF", AMF).await;
    let context = amf.created(&session()).await;
    let name = lab.transfers().remove(0).context;
    let held = held();
    assert!(lab.smf.sessions.hold(name, held.clone()));
    let (modify, release) = (format!("{context}/modify"), format!("{context}/release"));
    let asked = Multipart::json(&json!({"n1SmMsg": {"contentId": "n1-sm"}})).attach(
        NAS,
        "n1-sm",
        &[0x2e, 5, 2, 0xc9][..],
    );
    let (content_type, body) = asked.encode();
    let response = amf.post(&modify, &content_type, body).await;
    assert_eq!(response.status, StatusCode::NO_CONTENT);
    amf.post_json(&modify, &json!({"upCnxState": "DEACTIVATED"}))
        .await;
    amf.send(request(Method::POST, &release)).await;
    let changes = lab.smf.changes.lock().expect("no holder panics");
    let [Change::Modified(modified), Change::Released(released)] = changes.as_slice() else {
        panic!("what the radio network does is the SMF's alone: {changes:?}");
    };
    assert_eq!(modified.held, held);
    assert_eq!((released.session.id, &released.held), (5, &held));
}

#[tokio::test]
async fn a_context_that_is_not_to_be_had_is_taken_back_once() {
    let lab = Lab::new(1, 8);
    let amf = lab.connect("AMF", AMF).await;
    amf.created(&session()).await;
    let name = lab.transfers().remove(0).context;
    let sessions = &lab.smf.sessions;
    assert!(sessions.take_back(name).is_some());
    assert!(sessions.amfs().is_empty());
    assert!(sessions.take_back(name).is_none() && !sessions.hold(name, held()));
}

/// Its policy stayed at the PCF for ever.
#[tokio::test]
async fn what_udm_and_pcf_hold_of_a_replaced_context_is_known() {
    let lab = Lab::new(1, 8);
    let amf = lab.connect("AMF", AMF).await;
    amf.created(&session()).await;
    let name = lab.transfers().remove(0).context;
    assert!(lab.smf.sessions.hold(name, held()));
    amf.created(&session()).await;
    let replaced = lab.smf.replaced.lock().expect("no holder panics");
    let [replaced] = replaced.as_slice() else {
        panic!("one is replaced: {replaced:?}");
    };
    assert_eq!(replaced.held, held());
}

#[tokio::test]
async fn the_transfer_goes_to_the_serving_amf_in_the_profile_of_its_request() {
    let lab = Lab::new(1, 1);
    let amf = lab.connect("AMF", AMF).await;
    let response = amf.create(&session()).await;
    assert_eq!(
        (response.status, response.body.as_ref()),
        (StatusCode::CREATED, &b"{}"[..])
    );
    let transfers = lab.transfers();
    let [transfer] = transfers.as_slice() else {
        panic!("{transfers:?}");
    };
    assert_eq!(transfer.amf.to_string(), AMF);
    assert_eq!(transfer.session.supi, "imsi-001010000000001");
    assert_eq!(transfer.session.id, 5);
    let profile = transfer.came.profile.expect("the profile of the request");
    assert_eq!(profile.to_string(), "mtc-landmark/ml-dsa-65/X25519MLKEM768");
}

/// It made contexts and released none until the SMF was full for every AMF, also after it was gone.
#[tokio::test]
async fn an_amf_that_releases_nothing_leaves_room_for_others_and_ends_with_its_contexts() {
    let lab = Lab::shared(2, 1, 8);
    let greedy = lab.connect("AMF", AMF).await;
    greedy.created(&session()).await;
    let more = with("pduSessionId", json!(6));
    let response = greedy.create(&more).await;
    assert_eq!(cause(&response), (503, "INSUFFICIENT_RESOURCES".to_owned()));
    assert!(response.headers.contains_key(RETRY_AFTER));
    let other = lab.connect("AMF", OTHER_AMF).await;
    let mut of_other = with("pduSessionId", json!(7));
    of_other["servingNfId"] = json!(OTHER_AMF);
    other.created(&of_other).await;

    let sessions = &lab.smf.sessions;
    let gone = AMF.parse().expect("a UUID");
    assert_eq!(sessions.end(gone, |_| true), 1);
    assert_eq!(sessions.amfs(), [OTHER_AMF.parse().expect("a UUID")]);
    greedy.created(&more).await;
}

#[tokio::test]
async fn plain_json_without_n1_is_taken() {
    let lab = Lab::new(1, 1);
    let amf = lab.connect("AMF", AMF).await;
    let response = amf.post_json(COLLECTION, &without("n1SmMsg")).await;
    assert_eq!(response.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_incomplete_request_is_told_what_is_missing() {
    let lab = Lab::new(1, 1);
    let amf = lab.connect("AMF", AMF).await;
    for member in [
        "supi",
        "pduSessionId",
        "dnn",
        "sNssai",
        "requestType",
        "n1SmMsg",
        "servingNfId",
        "anType",
    ] {
        let response = amf.create(&without(member)).await;
        assert_eq!(
            cause(&response),
            (400, "MANDATORY_IE_MISSING".to_owned()),
            "{member}"
        );
        assert_eq!(
            nested(&response).invalid_params[0].param,
            format!("/{member}")
        );
    }
    assert!(lab.transfers().is_empty());
}

#[tokio::test]
async fn a_reference_to_a_part_that_is_not_there_is_refused() {
    let lab = Lab::new(1, 1);
    let amf = lab.connect("AMF", AMF).await;
    let incorrect = (400, "MANDATORY_IE_INCORRECT".to_owned());
    let response = amf
        .create(&with("n1SmMsg", json!({"contentId": "n1"})))
        .await;
    assert_eq!(cause(&response), incorrect);
    let response = amf.post_json(COLLECTION, &session()).await;
    assert_eq!(cause(&response), incorrect);
    let context = amf.created(&session()).await;
    let update = json!({"n2SmInfo": {"contentId": "n2-sm"}, "n2SmInfoType": "PDU_RES_SETUP_RSP"});
    let response = amf.post_json(&format!("{context}/modify"), &update).await;
    assert_eq!(cause(&response), incorrect);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let lab = Lab::new(1, 1);
    let amf = lab.connect("AMF", AMF).await;
    for (content_type, body) in [
        (JSON, "{"),
        ("multipart/related; boundary=b1", "--b2--"),
        ("multipart/related", "--b1--"),
    ] {
        let response = amf.post(COLLECTION, content_type, body).await;
        assert_eq!(
            cause(&response),
            (400, "INVALID_MSG_FORMAT".to_owned()),
            "{body}"
        );
    }
    let response = amf.post(COLLECTION, "text/plain", "{}").await;
    assert_eq!(response.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(response.header(&CONTENT_TYPE), Some(PROBLEM_JSON));
}

#[tokio::test]
async fn slices_and_data_networks_of_others_are_refused() {
    let lab = Lab::new(1, 1);
    let amf = lab.connect("AMF", AMF).await;
    let response = amf.create(&with("sNssai", json!({"sst": 2}))).await;
    assert_eq!(cause(&response), (403, "SNSSAI_DENIED".to_owned()));
    let response = amf.create(&with("dnn", json!("ims"))).await;
    assert_eq!(cause(&response), (403, "DNN_NOT_SUPPORTED".to_owned()));
}

#[tokio::test]
async fn contexts_are_bounded_and_a_repeated_request_replaces_its_own() {
    let lab = Lab::new(1, 8);
    let amf = lab.connect("AMF", AMF).await;
    let first = amf.created(&session()).await;
    let second = amf.created(&session()).await;
    let response = amf.post_json(&format!("{first}/modify"), &json!({})).await;
    assert_eq!(cause(&response), (404, "CONTEXT_NOT_FOUND".to_owned()));

    let full = amf.create(&with("pduSessionId", json!(6))).await;
    assert_eq!(cause(&full), (503, "INSUFFICIENT_RESOURCES".to_owned()));
    assert_eq!(full.header(&RETRY_AFTER), Some("30"));

    amf.send(request(Method::POST, &format!("{second}/release")))
        .await;
    amf.created(&with("pduSessionId", json!(6))).await;
}

#[tokio::test]
async fn no_session_is_taken_while_no_transfer_has_a_place() {
    let lab = Lab::new(8, 1);
    let amf = lab.connect("AMF", AMF).await;
    amf.created(&session()).await;
    let busy = amf.create(&with("pduSessionId", json!(6))).await;
    assert_eq!(cause(&busy), (503, "NF_CONGESTION".to_owned()));
    assert_eq!(busy.header(&RETRY_AFTER), Some("1"));
    drop(lab.transfers());
    amf.created(&with("pduSessionId", json!(6))).await;
}

#[tokio::test]
async fn an_amf_has_access_to_its_own_contexts_only() {
    let lab = Lab::new(8, 8);
    let amf = lab.connect("AMF", AMF).await;
    let context = amf.created(&session()).await;
    let mismatch = (403, "MTC5G_CERTIFICATE_MISMATCH".to_owned());
    let other = lab.connect("AMF", OTHER_AMF).await;
    assert_eq!(cause(&other.create(&session()).await), mismatch);
    let modify = other
        .post_json(&format!("{context}/modify"), &json!({}))
        .await;
    assert_eq!(cause(&modify), mismatch);
    let release = other
        .send(request(Method::POST, &format!("{context}/release")))
        .await;
    assert_eq!(release.status, StatusCode::FORBIDDEN);
    let scp = lab.connect("SCP", OTHER_AMF).await;
    let modify = scp
        .post_json(&format!("{context}/modify"), &json!({}))
        .await;
    assert_eq!(modify.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn other_nf_types_are_refused() {
    let lab = Lab::new(1, 1);
    let smf = lab.connect("SMF", AMF).await;
    assert_eq!(smf.create(&session()).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_modification_that_says_nothing_is_answered_with_nothing() {
    let lab = Lab::new(1, 1);
    let amf = lab.connect("AMF", AMF).await;
    let modify = format!("{}/modify", amf.created(&session()).await);
    let response = amf.post_json(&modify, &json!({})).await;
    assert_eq!(response.status, StatusCode::NO_CONTENT);
    let response = amf
        .post_json(&modify, &json!({"upCnxState": "DEACTIVATED"}))
        .await;
    assert_eq!(response.body, r#"{"upCnxState":"DEACTIVATED"}"#);
    let response = amf
        .post_json(&modify, &json!({"upCnxState": "FLYING"}))
        .await;
    assert_eq!(cause(&response), (400, "OPTIONAL_IE_INCORRECT".to_owned()));
}

#[tokio::test]
async fn wrong_methods_and_paths_have_their_statuses() {
    let lab = Lab::new(1, 1);
    let amf = lab.connect("AMF", AMF).await;
    let response = amf
        .send(request(Method::DELETE, &format!("{COLLECTION}/x/release")))
        .await;
    assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.header(&ALLOW), Some("POST"));
    let response = amf
        .send(request(Method::POST, &format!("{COLLECTION}/x/drop")))
        .await;
    let details = ProblemDetails::from_body(&response.body).unwrap();
    assert_eq!(
        details.cause.as_deref(),
        Some("RESOURCE_URI_STRUCTURE_NOT_FOUND")
    );
}
