//! Subscriptions of Nnrf_NFManagement over real HTTP/2, and the notifications that they bring about.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use mtc_tls::clock::Clock;
use nf_nrf::courier::{Couriers, Dial, DialError};
use nf_nrf::outbox::MAX_QUEUED_SILENT;
use nf_nrf::subscribing::{LONGEST, SHORTEST};
use nf_nrf::subscription::Subscription;
use nf_nrf::subscriptions::{Bounds, MAX_OCTETS};
use proptest::prelude::*;
use sbi::client::{Connection, Request};
use sbi::metrics::{Exposition, Metrics};
use sbi::problem::Problem;
use sbi::response::{FORM, JSON_PATCH, Response};
use sbi::server::{self, Handler, Peer};
use sbi::uri::Scheme;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;

use crate::nrf::{
    AMF_FQDN, AMF_ID, Client, NRF_ROOT, Nrf, api_root, instance, profile, refusal, request,
};

const SMF_ID: &str = "5b1d9a77-3a51-4c0b-8d55-7e0f6a3b2c02";
const SMF_FQDN: &str = "smf1.5gc.mnc001.mcc001.3gppnetwork.org";
const UDM_ID: &str = "5b1d9a77-3a51-4c0b-8d55-7e0f6a3b2c03";
const UDM_FQDN: &str = "udm1.5gc.mnc001.mcc001.3gppnetwork.org";
const SUBSCRIPTIONS: &str = "/nnrf-nfm/v1/subscriptions";
const MISMATCH: &str = "MTC5G_CERTIFICATE_MISMATCH";

fn callback(fqdn: &str) -> String {
    format!("https://{fqdn}:7777/namf-callback/v1/nf-status")
}

/// What an AMF asks for, with `members` put in.
fn data(members: Value) -> Value {
    let mut data = json!({"nfStatusNotificationUri": callback(AMF_FQDN)});
    for (name, value) in members.as_object().expect("members") {
        data[name] = value.clone();
    }
    data
}

fn subscribe(data: &Value) -> Request {
    request(Method::POST, SUBSCRIPTIONS).json(data)
}

fn renew(path: &str, operations: Value) -> Request {
    request(Method::PATCH, path).json_as(JSON_PATCH, &operations)
}

/// The path of the subscription that an answer created.
fn created(response: &Response) -> String {
    assert_eq!(response.status, 201, "{:?}", response.body);
    let location = response.headers["location"].to_str().expect("text");
    location
        .strip_prefix(NRF_ROOT)
        .expect("at the NRF")
        .to_owned()
}

async fn amf(nrf: &Nrf) -> Client {
    nrf.connect("AMF", AMF_ID, AMF_FQDN).await
}

async fn smf(nrf: &Nrf) -> Client {
    nrf.connect("SMF", SMF_ID, SMF_FQDN).await
}

fn smf_profile(members: Value) -> Value {
    profile("SMF", SMF_ID, SMF_FQDN, "nsmf-pdusession", members)
}

fn validity(data: &Value) -> u64 {
    let text = data["validityTime"].as_str().expect("a validityTime");
    let moment = OffsetDateTime::parse(text, &Rfc3339).expect("RFC 3339");
    u64::try_from(moment.unix_timestamp()).expect("after 1970")
}

fn in_seconds(seconds: i64) -> String {
    let moment = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    moment.format(&Rfc3339).expect("RFC 3339")
}

#[tokio::test]
async fn a_subscription_is_answered_as_it_was_asked_with_id_and_end() {
    let nrf = Nrf::start();
    let amf = amf(&nrf).await;
    let sent = data(
        json!({"reqNfInstanceId": AMF_ID, "reqNfType": "AMF", "reqNfFqdn": AMF_FQDN, "subscrCond": {"nfType": "SMF"},
        "reqNotifEvents": ["NF_REGISTERED"], "requesterFeatures": "1", "vendor": {"kept": [1]}}),
    );
    let now = Clock::default().unix_seconds();
    let response = amf.send(subscribe(&sent)).await;
    let path = created(&response);
    let id = path
        .strip_prefix(&format!("{SUBSCRIPTIONS}/"))
        .expect("below");
    assert!(
        id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id}"
    );
    let mut answered: Value = response.read_json().unwrap();
    let lasts = validity(&answered) - now;
    assert!((LONGEST.as_secs()..=LONGEST.as_secs() + 60).contains(&lasts));
    let mut expected = sent;
    let members = expected.as_object_mut().unwrap();
    members.remove("requesterFeatures");
    members.insert("subscriptionId".to_owned(), id.into());
    members.insert("nrfSupportedFeatures".to_owned(), "1".into());
    answered.as_object_mut().unwrap().remove("validityTime");
    assert_eq!(answered, expected);
}

#[tokio::test]
async fn the_nrf_decides_how_long_a_subscription_lasts() {
    let nrf = Nrf::start();
    let amf = amf(&nrf).await;
    let now = Clock::default().unix_seconds();
    let ends = async |proposed: String| {
        let response = amf
            .send(subscribe(&data(json!({"validityTime": proposed}))))
            .await;
        validity(&response.read_json().expect("JSON")) - now
    };
    let close = |lasts: u64, wanted: u64| lasts.abs_diff(wanted) < 60;
    assert!(close(ends(in_seconds(3600)).await, 3600));
    assert!(close(ends(in_seconds(-3600)).await, SHORTEST.as_secs()));
    assert!(close(
        ends("9999-01-01T00:00:00Z".to_owned()).await,
        LONGEST.as_secs()
    ));
    let refused = amf
        .send(subscribe(&data(json!({"validityTime": "tomorrow"}))))
        .await;
    let expected = (
        400,
        "OPTIONAL_IE_INCORRECT".to_owned(),
        "/validityTime".to_owned(),
    );
    assert_eq!(refusal(&refused), expected);
}

#[tokio::test]
async fn a_subscription_is_renewed_and_ended_by_who_made_it() {
    let nrf = Nrf::start();
    let (amf, smf) = (amf(&nrf).await, smf(&nrf).await);
    let path = created(&amf.send(subscribe(&data(json!({})))).await);
    let until = in_seconds(7200);
    let renewal = |until: &str| json!([{"op": "replace", "path": "/validityTime", "value": until}]);
    for stranger in [
        smf.send(renew(&path, renewal(&until))).await,
        smf.send(request(Method::DELETE, &path)).await,
    ] {
        assert_eq!(
            refusal(&stranger),
            (403, MISMATCH.to_owned(), String::new())
        );
    }
    // A fraction of a second is less than the NRF keeps, and no change of what was asked.
    assert_eq!(amf.send(renew(&path, renewal(&until))).await.status, 204);
    let too_long = amf
        .send(renew(&path, renewal("9999-01-01T00:00:00Z")))
        .await;
    assert_eq!(too_long.status, 200);
    let answered: Value = too_long.read_json().unwrap();
    assert!(path.ends_with(answered["subscriptionId"].as_str().unwrap()));
    let scp = nrf.connect("SCP", UDM_ID, UDM_FQDN).await;
    assert_eq!(scp.send(renew(&path, renewal(&until))).await.status, 204);
    assert_eq!(amf.send(request(Method::DELETE, &path)).await.status, 204);
    for gone in [
        amf.send(request(Method::DELETE, &path)).await,
        amf.send(renew(&path, renewal(&until))).await,
    ] {
        let expected = (404, "SUBSCRIPTION_NOT_FOUND".to_owned(), String::new());
        assert_eq!(refusal(&gone), expected);
    }
}

#[tokio::test]
async fn a_patch_is_checked_like_a_subscription() {
    let nrf = Nrf::start();
    let amf = amf(&nrf).await;
    let path = created(
        &amf.send(subscribe(&data(json!({"reqNfType": "AMF"}))))
            .await,
    );
    let replace = |path: &str, value: Value| json!([{"op": "add", "path": path, "value": value}]);
    for (operations, expected) in [
        (
            replace("/reqNfType", json!("SMF")),
            (403, "MODIFICATION_NOT_ALLOWED", "/reqNfType"),
        ),
        (
            replace("/subscriptionId", json!("0")),
            (403, "MODIFICATION_NOT_ALLOWED", "/subscriptionId"),
        ),
        (
            replace("/subscrCond", json!({})),
            (400, "OPTIONAL_IE_INCORRECT", "/subscrCond"),
        ),
        (
            replace("/nfStatusNotificationUri", json!(callback(SMF_FQDN))),
            (403, "SUBSCRIPTION_NOT_ALLOWED", ""),
        ),
        (
            json!([{"op": "remove", "path": "/vendor"}]),
            (400, "MANDATORY_IE_INCORRECT", "/0"),
        ),
        (json!([]), (400, "INVALID_MSG_FORMAT", "")),
    ] {
        let (status, cause, param) = refusal(&amf.send(renew(&path, operations.clone())).await);
        assert_eq!(
            (status, cause.as_str(), param.as_str()),
            expected,
            "{operations}"
        );
    }
}

#[tokio::test]
async fn the_subscriber_is_the_one_of_the_certificate() {
    let nrf = Nrf::start();
    let amf = amf(&nrf).await;
    for members in [
        json!({"reqNfInstanceId": SMF_ID}),
        json!({"reqNfType": "SMF"}),
        json!({"reqNfFqdn": SMF_FQDN}),
    ] {
        let refused = amf.send(subscribe(&data(members.clone()))).await;
        let expected = (403, MISMATCH.to_owned(), String::new());
        assert_eq!(refusal(&refused), expected, "{members}");
    }
    let nobody = nrf.connect_as(None).await;
    assert_eq!(nobody.send(subscribe(&data(json!({})))).await.status, 403);
    assert_eq!(
        nobody
            .send(request(Method::DELETE, &format!("{SUBSCRIPTIONS}/0")))
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn an_scp_subscribes_for_instances_that_are_registered() {
    let nrf = Nrf::start();
    let scp = nrf.connect("SCP", UDM_ID, UDM_FQDN).await;
    let sent = json!({"nfStatusNotificationUri": callback(SMF_FQDN), "reqNfInstanceId": SMF_ID, "reqNfType": "SMF"});
    assert_eq!(scp.send(subscribe(&sent)).await.status, 403);
    smf(&nrf).await.put(&smf_profile(json!({}))).await;
    let path = created(&scp.send(subscribe(&sent)).await);
    let own = smf(&nrf).await.send(request(Method::DELETE, &path)).await;
    assert_eq!(own.status, 204);
    let mut other_type = sent;
    other_type["reqNfType"] = json!("AMF");
    assert_eq!(scp.send(subscribe(&other_type)).await.status, 403);
}

#[tokio::test]
async fn the_nrf_calls_nobody_but_the_subscriber() {
    let nrf = Nrf::start();
    let amf = amf(&nrf).await;
    let with = |uri: &str| subscribe(&json!({"nfStatusNotificationUri": uri}));
    for (uri, expected) in [
        (
            callback(SMF_FQDN).as_str(),
            (403, "SUBSCRIPTION_NOT_ALLOWED", ""),
        ),
        (
            "https://127.0.0.1:8080/admin",
            (403, "SUBSCRIPTION_NOT_ALLOWED", ""),
        ),
        ("https://[::1]/admin", (403, "SUBSCRIPTION_NOT_ALLOWED", "")),
        (
            &format!("https://{AMF_FQDN}"),
            (400, "MANDATORY_IE_INCORRECT", "/nfStatusNotificationUri"),
        ),
        (
            &format!("http://{AMF_FQDN}/cb"),
            (400, "MANDATORY_IE_INCORRECT", "/nfStatusNotificationUri"),
        ),
        (
            "/cb",
            (400, "MANDATORY_IE_INCORRECT", "/nfStatusNotificationUri"),
        ),
    ] {
        let (status, cause, param) = refusal(&amf.send(with(uri)).await);
        assert_eq!((status, cause.as_str(), param.as_str()), expected, "{uri}");
    }
    // An address that the subscriber has registered is its own, but loopback is the NRF's.
    let mut profile = profile("AMF", AMF_ID, AMF_FQDN, "namf-comm", json!({}));
    profile["ipv4Addresses"] = json!(["198.51.100.7", "127.0.0.1"]);
    assert_eq!(amf.put(&profile).await.status, 201);
    created(&amf.send(with("https://198.51.100.7:7777/cb")).await);
    let (status, cause, _) = refusal(&amf.send(with("https://127.0.0.1:7777/cb")).await);
    assert_eq!((status, cause.as_str()), (403, "SUBSCRIPTION_NOT_ALLOWED"));
}

#[tokio::test]
async fn a_subscription_to_one_instance_needs_one_that_may_be_known() {
    let nrf = Nrf::start();
    let amf = amf(&nrf).await;
    let of_smf = subscribe(&data(json!({"subscrCond": {"nfInstanceId": SMF_ID}})));
    let (status, cause, _) = refusal(&amf.send(of_smf.clone()).await);
    assert_eq!((status, cause.as_str()), (404, "NF_NOT_FOUND"));
    smf(&nrf)
        .await
        .put(&smf_profile(json!({"allowedNfTypes": ["PCF"]})))
        .await;
    let (status, cause, _) = refusal(&amf.send(of_smf.clone()).await);
    assert_eq!((status, cause.as_str()), (403, "SUBSCRIPTION_NOT_ALLOWED"));
    smf(&nrf).await.put(&smf_profile(json!({}))).await;
    created(&amf.send(of_smf).await);
}

#[tokio::test]
async fn what_is_wrong_with_a_subscription_is_named() {
    let nrf = Nrf::start();
    let amf = amf(&nrf).await;
    for (body, expected) in [
        (
            json!({}),
            (400, "MANDATORY_IE_MISSING", "/nfStatusNotificationUri"),
        ),
        (json!([]), (400, "INVALID_MSG_FORMAT", "")),
        (
            data(json!({"subscrCond": {"nfType": "SMF", "serviceName": "nsmf-pdusession"}})),
            (400, "OPTIONAL_IE_INCORRECT", "/subscrCond"),
        ),
        (
            data(
                json!({"notifCondition": {"monitoredAttributes": ["/a"], "unmonitoredAttributes": ["/b"]}}),
            ),
            (400, "OPTIONAL_IE_INCORRECT", "/notifCondition"),
        ),
        (
            data(json!({"requesterFeatures": "x"})),
            (400, "OPTIONAL_IE_INCORRECT", "/requesterFeatures"),
        ),
        (
            data(json!({"completeProfileSubscription": 1})),
            (400, "OPTIONAL_IE_INCORRECT", "/completeProfileSubscription"),
        ),
        (
            data(json!({"vendor": "x".repeat(MAX_OCTETS)})),
            (413, "", ""),
        ),
    ] {
        let (status, cause, param) = refusal(&amf.send(subscribe(&body)).await);
        assert_eq!((status, cause.as_str(), param.as_str()), expected);
    }
    let text = HeaderValue::from_static("text/plain");
    let as_text = request(Method::POST, SUBSCRIPTIONS).body(text, "{}");
    assert_eq!(amf.send(as_text).await.status, 415);
    assert_eq!(amf.get(SUBSCRIPTIONS).await.headers["allow"], "POST");
    let one = format!("{SUBSCRIPTIONS}/0");
    assert_eq!(amf.get(&one).await.headers["allow"], "PATCH, DELETE");
    let below = amf.get(&format!("{one}/x")).await;
    assert_eq!(refusal(&below).1, "RESOURCE_URI_STRUCTURE_NOT_FOUND");
}

/// What the NRF answers who asks for complete profiles with a token of this scope, if any.
async fn for_all(client: &Client, id: &str, fqdn: &str, scope: Option<&str>) -> Response {
    let asked = json!({"nfStatusNotificationUri": callback(fqdn), "completeProfileSubscription": true,
        "subscrCond": {"nfType": "SMF"}});
    let mut asking = subscribe(&asked);
    if let Some(scope) = scope {
        let form = format!(
            "grant_type=client_credentials&nfInstanceId={id}&targetNfType=NRF&scope={scope}"
        );
        let form_type = HeaderValue::from_static(FORM);
        let request = request(Method::POST, "/oauth2/token").body(form_type, form);
        let answer: Value = client.send(request).await.read_json().expect("JSON");
        let Some(token) = answer["access_token"].as_str() else {
            panic!("{answer}");
        };
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).expect("ASCII");
        asking.headers.insert("authorization", bearer);
    }
    client.send(asking).await
}

/// It was refused to everybody.
#[tokio::test]
async fn complete_profiles_are_for_who_has_a_token_for_them_which_scps_get() {
    const SCP_ID: &str = "5b1d9a77-3a51-4c0b-8d55-7e0f6a3b2c04";
    const SCP_FQDN: &str = "scp1.5gc.mnc001.mcc001.3gppnetwork.org";
    const BOTH: &str = "nnrf-nfm+nnrf-nfm:subscriptions:subs-complete-profile";
    let nrf = Nrf::start();
    let (amf, scp) = (amf(&nrf).await, nrf.connect("SCP", SCP_ID, SCP_FQDN).await);
    for (client, nf_type, id, fqdn) in [
        (&amf, "AMF", AMF_ID, AMF_FQDN),
        (&scp, "SCP", SCP_ID, SCP_FQDN),
    ] {
        let profile = profile(nf_type, id, fqdn, "namf-comm", json!({}));
        assert_eq!(client.put(&profile).await.status, 201);
    }
    let asked = for_all(&scp, SCP_ID, SCP_FQDN, Some(BOTH)).await;
    let path = created(&asked);
    let answered: Value = asked.read_json().unwrap();
    assert_eq!(answered.get("completeProfileSubscription"), None);
    let change = json!([{"op": "replace", "path": "/completeProfileSubscription", "value": false}]);
    let changed = refusal(&scp.send(renew(&path, change)).await);
    assert_eq!(
        (changed.0, changed.1.as_str()),
        (403, "MODIFICATION_NOT_ALLOWED")
    );
    let longer = json!([{"op": "replace", "path": "/validityTime", "value": in_seconds(3600)}]);
    let renewed = scp.send(renew(&path, longer)).await.status;
    assert!(renewed.is_success(), "{renewed}");

    for (client, id, fqdn, scope, status, error) in [
        (&scp, SCP_ID, SCP_FQDN, None, 401, None),
        (&amf, AMF_ID, AMF_FQDN, None, 401, None),
        (
            &amf,
            AMF_ID,
            AMF_FQDN,
            Some("nnrf-nfm"),
            403,
            Some("insufficient_scope"),
        ),
    ] {
        let refused = for_all(client, id, fqdn, scope).await;
        assert_eq!(refused.status, status);
        let challenge = refused.headers["www-authenticate"].to_str().expect("text");
        assert!(
            error.is_none_or(|error| challenge.contains(error)),
            "{challenge}"
        );
    }
    // On behalf of another, whatever the SCP has.
    let asked = json!({"nfStatusNotificationUri": callback(AMF_FQDN), "reqNfInstanceId": AMF_ID,
        "completeProfileSubscription": true});
    let (status, cause, _) = refusal(&scp.send(subscribe(&asked)).await);
    assert_eq!((status, cause.as_str()), (403, "SUBSCRIPTION_NOT_ALLOWED"));
}

#[tokio::test]
async fn a_requester_has_so_many_subscriptions_and_no_more() {
    let nrf = Nrf::start();
    let amf = amf(&nrf).await;
    for _ in 0..Bounds::default().max_per_requester {
        created(&amf.send(subscribe(&data(json!({})))).await);
    }
    let (status, cause, _) = refusal(&amf.send(subscribe(&data(json!({})))).await);
    assert_eq!((status, cause.as_str()), (403, "SUBSCRIPTION_NOT_ALLOWED"));
    let smf = smf(&nrf).await;
    let other = json!({"nfStatusNotificationUri": callback(SMF_FQDN)});
    created(&smf.send(subscribe(&other)).await);
}

/// A subscriber: what it was told, and what it answers.
struct Subscriber {
    told: mpsc::UnboundedSender<(server::Request, Value)>,
    answers: Mutex<VecDeque<u16>>,
}

impl Handler for Subscriber {
    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        let body = serde_json::from_slice(&request.body).expect("JSON");
        let answer = self.answers.lock().expect("no holder panics").pop_front();
        let status = StatusCode::from_u16(answer.unwrap_or(204)).expect("a status");
        self.told.send((request, body)).expect("the test receives");
        Ok(Response::empty(status))
    }
}

/// Connects to the subscribers of a test, by authority; to others not at all.
#[derive(Clone, Default)]
struct Network(Arc<Mutex<HashMap<String, Arc<Subscriber>>>>);

impl Network {
    /// A subscriber that gives these answers and then 204.
    fn join(
        &self,
        fqdn: &str,
        answers: &[u16],
    ) -> mpsc::UnboundedReceiver<(server::Request, Value)> {
        let (told, hears) = mpsc::unbounded_channel();
        let subscriber = Subscriber {
            told,
            answers: Mutex::new(answers.iter().copied().collect()),
        };
        let mut subscribers = self.0.lock().expect("no holder panics");
        subscribers.insert(format!("{fqdn}:7777"), Arc::new(subscriber));
        hears
    }
}

impl Dial for Network {
    async fn dial(&self, subscription: &Subscription) -> Result<Connection, DialError> {
        let subscriber = {
            let subscribers = self.0.lock().expect("no holder panics");
            subscribers.get(subscription.callback.authority()).cloned()
        };
        let subscriber = subscriber.ok_or(DialError::NoAddress)?;
        let (client, server) = tokio::io::duplex(64 * 1024);
        tokio::spawn(server::serve_connection(
            server,
            Arc::new(Peer::cleartext(([127, 0, 0, 1], 1).into())),
            subscriber,
            Metrics::new().requests,
            std::future::pending(),
        ));
        let connection = Connection::handshake(client, Scheme::Https).await;
        Ok(connection.expect("http/2"))
    }
}

fn deliver(nrf: &Nrf, network: &Network) {
    let couriers = Couriers::new(nrf.notifier.clone(), api_root(), network.clone());
    tokio::spawn(couriers.run());
}

fn counted(nrf: &Nrf, event: &str, result: &str) -> bool {
    let text = Exposition::Prometheus.encode(&nrf.metrics.gather());
    let wanted = format!("nf_notifications_total{{event=\"{event}\",result=\"{result}\"}}");
    text.lines().any(|line| line.starts_with(&wanted))
}

#[tokio::test]
async fn a_subscriber_is_told_of_every_change_in_order() {
    let nrf = Nrf::start();
    let network = Network::default();
    let mut hears = network.join(AMF_FQDN, &[]);
    deliver(&nrf, &network);
    let path = created(
        &amf(&nrf)
            .await
            .send(subscribe(&data(
                json!({"subscrCond": {"nfType": "SMF"}, "requesterFeatures": "1"}),
            )))
            .await,
    );
    let smf = smf(&nrf).await;
    smf.put(&smf_profile(json!({}))).await;
    smf.put(&smf_profile(json!({"locality": "zone-a"}))).await;
    nrf.registry
        .update(|registry| registry.expire(Instant::now() + Duration::from_secs(20)));
    smf.send(request(Method::DELETE, &instance(SMF_ID))).await;
    let (first, registered) = hears.recv().await.unwrap();
    assert_eq!(
        (&first.method, first.path.as_str()),
        (&Method::POST, "/namf-callback/v1/nf-status")
    );
    assert_eq!(
        first.headers["3gpp-sbi-callback"],
        "Nnrf_NFManagement_NFStatusNotify"
    );
    assert_eq!(registered["event"], "NF_REGISTERED");
    assert_eq!(
        registered["nfInstanceUri"],
        format!("{NRF_ROOT}{}", instance(SMF_ID))
    );
    assert_eq!(registered["nfProfile"]["nfInstanceId"], SMF_ID);
    let context = &registered["subscriptionContext"];
    assert!(path.ends_with(context["subscriptionId"].as_str().unwrap()));
    let mut next = async || hears.recv().await.expect("a notification").1;
    assert_eq!(
        next().await["profileChanges"],
        json!([{"op": "ADD", "path": "/locality", "newValue": "zone-a"}])
    );
    assert_eq!(
        next().await["profileChanges"],
        json!([{"op": "REPLACE", "path": "/nfStatus", "origValue": "REGISTERED", "newValue": "SUSPENDED"}])
    );
    assert_eq!(next().await["event"], "NF_DEREGISTERED");
}

// No heartbeat was told to anybody, whatever the subscription named.
#[tokio::test]
async fn a_heartbeat_with_another_load_is_told_to_who_monitors_it() {
    let nrf = Nrf::start();
    let network = Network::default();
    let mut hears = network.join(AMF_FQDN, &[]);
    deliver(&nrf, &network);
    let monitoring = json!({"subscrCond": {"nfType": "SMF"}, "requesterFeatures": "1",
        "reqNotifEvents": ["NF_PROFILE_CHANGED"], "notifCondition": {"monitoredAttributes": ["/load"]}});
    let smf = smf(&nrf).await;
    smf.put(&smf_profile(json!({}))).await;
    let heartbeat = |load: u8| {
        let operations = json!([{"op": "replace", "path": "/load", "value": load}]);
        request(Method::PATCH, &instance(SMF_ID)).json_as(JSON_PATCH, &operations)
    };
    smf.send(heartbeat(1)).await;
    created(&amf(&nrf).await.send(subscribe(&data(monitoring))).await);
    for load in [1, 2] {
        assert_eq!(smf.send(heartbeat(load)).await.status, 204);
    }
    let (_, told) = hears.recv().await.expect("a notification");
    assert_eq!(
        told["profileChanges"],
        json!([{"op": "REPLACE", "path": "/load", "origValue": 1, "newValue": 2}])
    );
}

#[tokio::test(start_paused = true)]
async fn a_notification_is_sent_again_until_it_is_answered() {
    let nrf = Nrf::start();
    let network = Network::default();
    let mut hears = network.join(AMF_FQDN, &[503, 500, 429]);
    deliver(&nrf, &network);
    created(&amf(&nrf).await.send(subscribe(&data(json!({})))).await);
    let smf = smf(&nrf).await;
    smf.put(&smf_profile(json!({}))).await;
    smf.send(request(Method::DELETE, &instance(SMF_ID))).await;
    let mut events = Vec::new();
    for _ in 0..5 {
        let (_, body) = hears.recv().await.unwrap();
        events.push(body["event"].as_str().unwrap().to_owned());
    }
    let (new, gone) = ("NF_REGISTERED", "NF_DEREGISTERED");
    assert_eq!(events, [new, new, new, new, gone]);
    assert!(counted(&nrf, new, "ok"));
}

#[tokio::test]
async fn a_subscriber_that_knows_nothing_of_it_ends_the_subscription_and_one_that_refuses_does_not()
{
    let nrf = Nrf::start();
    let network = Network::default();
    let mut hears = network.join(AMF_FQDN, &[400, 404]);
    deliver(&nrf, &network);
    let amf = amf(&nrf).await;
    let path = created(&amf.send(subscribe(&data(json!({})))).await);
    let smf = smf(&nrf).await;
    smf.put(&smf_profile(json!({}))).await;
    hears.recv().await.unwrap();
    smf.put(&smf_profile(json!({"locality": "zone-a"}))).await;
    hears.recv().await.unwrap();
    // A second subscription is told behind the first, so when that has happened the first has ended.
    while nrf
        .notifier
        .get(&nf_nrf::subscription::SubscriptionId::named(
            &path[path.len() - 32..],
        ))
        .is_some()
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(amf.send(request(Method::DELETE, &path)).await.status, 404);
    assert!(counted(&nrf, "NF_REGISTERED", "refused"));
    assert!(counted(&nrf, "NF_PROFILE_CHANGED", "unknown"));
}

#[tokio::test(start_paused = true)]
async fn a_dead_subscriber_delays_nobody_and_takes_bounded_memory() {
    let nrf = Nrf::start();
    let network = Network::default();
    let mut hears = network.join(AMF_FQDN, &[]);
    deliver(&nrf, &network);
    created(&amf(&nrf).await.send(subscribe(&data(json!({})))).await);
    let udm = nrf.connect("UDM", UDM_ID, UDM_FQDN).await;
    let dead = json!({"nfStatusNotificationUri": callback(UDM_FQDN)});
    created(&udm.send(subscribe(&dead)).await);
    let smf = smf(&nrf).await;
    let changes = 3 * MAX_QUEUED_SILENT;
    for n in 0..changes {
        let moved = smf_profile(json!({"locality": format!("zone-{n}")}));
        smf.put(&moved).await;
        let (_, body) = hears.recv().await.unwrap();
        assert_eq!(body["nfProfile"]["locality"], format!("zone-{n}"));
    }
    // The clock runs on until the dead one is given up; it is back later, and is told the newest of what it has missed.
    while nrf.notifier.outboxes.silent() == 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(nrf.notifier.outboxes.queued(), MAX_QUEUED_SILENT);
    let mut returned = network.join(UDM_FQDN, &[]);
    for n in changes - MAX_QUEUED_SILENT..changes {
        let (_, body) = returned.recv().await.unwrap();
        assert_eq!(body["nfProfile"]["locality"], format!("zone-{n}"));
    }
    assert!(counted(&nrf, "NF_REGISTERED", "given-up"));
    assert!(counted(&nrf, "none", "overflown"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_arbitrary_member_is_answered_as_sent_or_refused(
        member in prop::sample::select(vec!["subscrCond", "notifCondition", "reqNotifEvents", "reqSnssais", "reqPlmnList",
            "plmnId", "validityTime", "requesterFeatures", "reqNfInstanceId", "nfStatusNotificationUri", "vendor"]),
        value in crate::nrf::arbitrary_json(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let (status, answered) = runtime.block_on(async {
            let nrf = Nrf::start();
            let response = amf(&nrf).await.send(subscribe(&data(json!({member: value.clone()})))).await;
            (response.status.as_u16(), response.read_json::<Value>().ok())
        });
        prop_assert!(matches!(status, 201 | 400 | 403 | 404), "{status}");
        if status == 201 && member == "vendor" && !value.is_null() {
            prop_assert_eq!(&answered.expect("JSON")["vendor"], &value);
        }
    }
}
