//! The services of UDM and PCF over real HTTP/2, with the consumer's identity given instead of a certificate.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{ALLOW, LOCATION};
use hyper::{Method, StatusCode};
use mtc_tls::identity::NfIdentity;
use nf_peers::pcf::Pcf;
use nf_peers::udm::Udm;
use procedures::aka::{Challenge, from_hex, to_hex};
use procedures::authentication::AuthenticationInfoResult;
use sbi::client::{Connection, Request};
use sbi::model::Snssai;
use sbi::problem::{Problem, ProblemDetails};
use sbi::response::Response;
use sbi::server::{self, Handler, Peer};
use sbi::uri::{ApiRoot, Scheme};
use serde_json::{Value, json};
use test_support::transcript::{Fresh, Player};

const OWN: &str = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01";
const OTHER: &str = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a02";
const ROOT: &str = "https://peer1.5gc.mnc001.mcc001.3gppnetwork.org:7777";
const SUPI: &str = "imsi-001010000000001";
const NETWORK: &str = "5G:mnc001.mcc001.3gppnetwork.org";

enum Tested {
    Udm(Udm),
    Pcf(Pcf),
}

impl Handler for Tested {
    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        let segments = request.segments()?;
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let root: ApiRoot = ROOT.parse().expect("an apiRoot");
        match self {
            Self::Udm(udm) => udm.handle(&request, &segments, &root),
            Self::Pcf(pcf) => pcf.handle(&request, &segments, &root),
        }
    }
}

struct Service(Arc<Tested>);

impl Service {
    fn udm(max_ues: usize) -> Self {
        let slice = Snssai::new(1, Some("010203")).expect("hex digits");
        Self(Arc::new(Tested::Udm(Udm::new(slice, max_ues))))
    }

    fn pcf(max_ues: usize) -> Self {
        Self(Arc::new(Tested::Pcf(Pcf::new(max_ues))))
    }

    async fn consumer(&self, nf_type: &str, id: &str) -> Consumer {
        let (client_io, server_io) = tokio::io::duplex(64 * 1024);
        let peer = Peer {
            identity: Some(NfIdentity {
                instance_id: id.parse().expect("a UUID"),
                nf_types: vec![nf_type.to_owned()],
                fqdns: Vec::new(),
                not_after: u64::MAX,
            }),
            ..Peer::cleartext(([127, 0, 0, 1], 1).into())
        };
        tokio::spawn(server::serve_connection(
            server_io,
            Arc::new(peer),
            self.0.clone(),
            sbi::metrics::Metrics::new().requests,
            std::future::pending(),
        ));
        let connection = Connection::handshake(client_io, Scheme::Https).await;
        Consumer(connection.expect("http/2"))
    }
}

struct Consumer(Connection);

impl Consumer {
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let request = Request::new(method, "peer1.example.org", path);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = self.0.send(request, Duration::from_secs(10));
        answer.await.expect("an answer")
    }

    async fn patch(&self, path: &str, body: Value) -> Response {
        let request = Request::new(Method::PATCH, "peer1.example.org", path);
        let request = request.json_as("application/merge-patch+json", &body);
        let answer = self.0.send(request, Duration::from_secs(10));
        answer.await.expect("an answer")
    }

    /// Makes a resource and returns its path.
    async fn create(&self, path: &str, body: Value) -> String {
        let answer = self.send(Method::POST, path, Some(body)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
        let location = answer.header(&LOCATION).expect("a Location");
        location.strip_prefix(ROOT).expect("own URI").to_owned()
    }
}

fn cause(answer: &Response) -> String {
    let details = ProblemDetails::from_body(&answer.body).expect("problem details");
    details.cause.expect("a cause")
}

fn amf_registration(amf: &str) -> Value {
    json!({"amfInstanceId": amf, "deregCallbackUri": "https://amf1.example.org/cb", "ratType": "NR",
        "guami": {"plmnId": {"mcc": "001", "mnc": "01"}, "amfId": "020040"}})
}

fn purge() -> Value {
    json!({"guami": {"plmnId": {"mcc": "001", "mnc": "01"}, "amfId": "020040"}, "purgeFlag": true})
}

/// Plays a transcript as the consumer OWN of a type.
async fn check(service: &Service, nf_type: &str, transcript: &str) {
    let fresh = [
        (Fresh::Location("/sdm-subscriptions/"), "{subscriptionId}"),
        (Fresh::Location("/auth-events/"), "{authEventId}"),
        (Fresh::Location("/policies/"), "{polAssoId}"),
        (Fresh::Location("/sm-policies/"), "{smPolicyId}"),
        (Fresh::Member("/authenticationVector/rand"), "{rand}"),
        (Fresh::Member("/authenticationVector/autn"), "{autn}"),
        (
            Fresh::Member("/authenticationVector/xresStar"),
            "{xresStar}",
        ),
        (Fresh::Member("/authenticationVector/kausf"), "{kausf}"),
    ];
    let consumer = service.consumer(nf_type, OWN).await;
    Player::new(&consumer.0, "peer1.example.org", &fresh)
        .check(transcript)
        .await;
}

#[tokio::test]
async fn what_consumers_of_a_udm_say_goes_as_written() {
    let udm = Service::udm(10);
    check(&udm, "AUSF", include_str!("transcripts/udm_ausf.txt")).await;
    check(&udm, "AMF", include_str!("transcripts/udm_amf.txt")).await;
    check(&udm, "SMF", include_str!("transcripts/udm_smf.txt")).await;
}

#[tokio::test]
async fn what_consumers_of_a_pcf_say_goes_as_written() {
    let pcf = Service::pcf(10);
    check(&pcf, "AMF", include_str!("transcripts/pcf_amf.txt")).await;
    check(&pcf, "SMF", include_str!("transcripts/pcf_smf.txt")).await;
}

#[tokio::test]
async fn a_vector_is_of_the_subscriber_and_the_network_and_never_the_same() {
    let udm = Service::udm(10);
    let ausf = udm.consumer("AUSF", OWN).await;
    let vector = async |ue: &str| {
        let path = format!("/nudm-ueau/v1/{ue}/security-information/generate-auth-data");
        let wanted = json!({"servingNetworkName": NETWORK, "ausfInstanceId": OWN});
        let answer = ausf.send(Method::POST, &path, Some(wanted)).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        let result: AuthenticationInfoResult = answer.read_json().expect("a vector");
        result
    };
    let first = vector("suci-0-001-01-0000-0-0-0000000001").await;
    assert_eq!(
        (first.supi.as_str(), first.auth_type.as_str()),
        (SUPI, "5G_AKA")
    );
    let av = &first.authentication_vector;
    let (rand, autn) = (from_hex(&av.rand).unwrap(), from_hex(&av.autn).unwrap());
    let ue = Challenge::verified(SUPI, NETWORK, rand, &autn).expect("a genuine network");
    assert_eq!(to_hex(&ue.res_star()), av.xres_star);
    let second = vector(SUPI).await;
    assert_ne!(second.authentication_vector.rand, av.rand);
    assert_ne!(second.authentication_vector.autn, av.autn);
}

#[tokio::test]
async fn an_unknown_subscriber_and_a_foreign_consumer_get_no_vector() {
    let udm = Service::udm(10);
    let ask = async |nf_type, id, ue: &str| {
        let path = format!("/nudm-ueau/v1/{ue}/security-information/generate-auth-data");
        let wanted = json!({"servingNetworkName": NETWORK, "ausfInstanceId": OWN});
        let consumer = udm.consumer(nf_type, id).await;
        consumer.send(Method::POST, &path, Some(wanted)).await
    };
    let unknown = ask("AUSF", OWN, "suci-0-001-01-0000-1-27-00ff").await;
    assert_eq!(
        (unknown.status, cause(&unknown).as_str()),
        (StatusCode::NOT_FOUND, "USER_NOT_FOUND")
    );
    for (nf_type, id) in [("AMF", OWN), ("AUSF", OTHER)] {
        let refused = ask(nf_type, id, SUPI).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{nf_type} {id}");
    }
}

#[tokio::test]
async fn a_subscriber_is_served_by_the_amf_that_registered_last() {
    let udm = Service::udm(10);
    let path = format!("/nudm-uecm/v1/{SUPI}/registrations/amf-3gpp-access");
    let (first, second) = (
        udm.consumer("AMF", OWN).await,
        udm.consumer("AMF", OTHER).await,
    );
    let put = async |amf: &Consumer, id| {
        let registration = Some(amf_registration(id));
        amf.send(Method::PUT, &path, registration).await.status
    };
    assert_eq!(put(&first, OTHER).await, StatusCode::FORBIDDEN);
    assert_eq!(put(&first, OWN).await, StatusCode::CREATED);
    assert_eq!(put(&first, OWN).await, StatusCode::NO_CONTENT, "twice");
    assert_eq!(put(&second, OTHER).await, StatusCode::NO_CONTENT);
    let stale = first.patch(&path, purge()).await;
    assert_eq!(
        (stale.status, cause(&stale).as_str()),
        (StatusCode::NOT_FOUND, "CONTEXT_NOT_FOUND")
    );
    let purged = second.patch(&path, purge()).await;
    assert_eq!(purged.status, StatusCode::NO_CONTENT);
    let again = second.patch(&path, purge()).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_session_s_smf_is_registered_under_the_session_s_id() {
    let udm = Service::udm(10);
    let smf = udm.consumer("SMF", OWN).await;
    let path = |id| format!("/nudm-uecm/v1/{SUPI}/registrations/smf-registrations/{id}");
    let body = json!({"smfInstanceId": OWN, "pduSessionId": 5, "singleNssai": {"sst": 1},
        "plmnId": {"mcc": "001", "mnc": "01"}, "dnn": "internet"});
    let other = smf.send(Method::PUT, &path(6), Some(body.clone())).await;
    assert_eq!(cause(&other), "MANDATORY_IE_INCORRECT");
    let registered = smf.send(Method::PUT, &path(5), Some(body)).await;
    assert_eq!(registered.status, StatusCode::CREATED);
    let ended = smf.send(Method::DELETE, &path(5), None).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    let again = smf.send(Method::DELETE, &path(5), None).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn data_are_read_and_a_subscription_is_its_own_consumer_s_to_end() {
    let udm = Service::udm(10);
    let amf = udm.consumer("AMF", OWN).await;
    let data = |set| format!("/nudm-sdm/v2/{SUPI}/{set}");
    for set in ["am-data", "smf-select-data", "ue-context-in-smf-data"] {
        let answer = amf.send(Method::GET, &data(set), None).await;
        assert_eq!(
            (answer.status, &answer.body[..]),
            (StatusCode::OK, &b"{}"[..])
        );
    }
    let sm_data = amf.send(Method::GET, &data("sm-data"), None).await;
    let sm_data: Value = sm_data.read_json().unwrap();
    assert_eq!(sm_data[0]["singleNssai"], json!({"sst": 1, "sd": "010203"}));
    let posted = amf.send(Method::POST, &data("am-data"), None).await;
    assert_eq!(posted.headers[ALLOW], "GET");
    let subscription = json!({"nfInstanceId": OWN, "callbackReference": "https://amf1.example.org/cb",
        "monitoredResourceUris": [format!("{ROOT}/nudm-sdm/v2/{SUPI}/am-data")]});
    let path = amf.create(&data("sdm-subscriptions"), subscription).await;
    let other = udm.consumer("AMF", OTHER).await;
    let foreign = other.send(Method::DELETE, &path, None).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    let ended = amf.send(Method::DELETE, &path, None).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn policies_end_once_and_the_oldest_makes_way() {
    let pcf = Service::pcf(1);
    let amf = pcf.consumer("AMF", OWN).await;
    let wanted =
        json!({"notificationUri": "https://amf1.example.org/cb", "suppFeat": "0", "supi": SUPI});
    let policies = "/npcf-am-policy-control/v1/policies";
    let first = amf.create(policies, wanted.clone()).await;
    let second = amf.create(policies, wanted.clone()).await;
    let end = async |path: &str| amf.send(Method::DELETE, path, None).await.status;
    assert_eq!(end(&first).await, StatusCode::NOT_FOUND, "made way");
    assert_eq!(end(&second).await, StatusCode::NO_CONTENT);
    assert_eq!(end(&second).await, StatusCode::NOT_FOUND);
    let smf = pcf.consumer("SMF", OWN).await;
    let refused = smf.send(Method::POST, policies, Some(wanted)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_session_s_policy_is_updated_until_it_is_deleted() {
    let pcf = Service::pcf(10);
    let smf = pcf.consumer("SMF", OWN).await;
    let incomplete = json!({"supi": SUPI, "pduSessionId": 5});
    let policies = "/npcf-smpolicycontrol/v1/sm-policies";
    let refused = smf.send(Method::POST, policies, Some(incomplete)).await;
    assert_eq!(
        (refused.status, cause(&refused).as_str()),
        (StatusCode::BAD_REQUEST, "MANDATORY_IE_MISSING")
    );
    let wanted = json!({"supi": SUPI, "pduSessionId": 5, "pduSessionType": "IPV4", "dnn": "internet",
        "notificationUri": "https://smf1.example.org/cb", "sliceInfo": {"sst": 1}});
    let path = smf.create(policies, wanted).await;
    let post = async |what| {
        let path = format!("{path}/{what}");
        smf.send(Method::POST, &path, Some(json!({}))).await.status
    };
    assert_eq!(post("update").await, StatusCode::OK);
    assert_eq!(post("delete").await, StatusCode::NO_CONTENT);
    assert_eq!(post("update").await, StatusCode::NOT_FOUND);
}

/// 65,536 of them were kept, of as many octets as a path or a body may have.
#[tokio::test]
async fn what_is_kept_of_a_subscriber_is_short() {
    let long = format!("imsi-{}", "0".repeat(300));
    let udm = Service::udm(10);
    let amf = udm.consumer("AMF", OWN).await;
    let path = format!("/nudm-uecm/v1/{long}/registrations/amf-3gpp-access");
    let refused = amf
        .send(Method::PUT, &path, Some(amf_registration(OWN)))
        .await;
    assert_eq!(
        (refused.status, cause(&refused).as_str()),
        (StatusCode::NOT_FOUND, "USER_NOT_FOUND")
    );
    let pcf = Service::pcf(10);
    let amf = pcf.consumer("AMF", OWN).await;
    let wanted =
        json!({"notificationUri": "https://amf1.example.org/cb", "suppFeat": "0", "supi": long});
    let policies = "/npcf-am-policy-control/v1/policies";
    let refused = amf.send(Method::POST, policies, Some(wanted)).await;
    assert_eq!(
        (refused.status, cause(&refused).as_str()),
        (StatusCode::BAD_REQUEST, "MANDATORY_IE_INCORRECT")
    );
}
