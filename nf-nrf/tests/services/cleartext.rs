//! The registry in cleartext, over real sockets: transcripts of what NFs of other projects send, and what is not for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};
use nf_nrf::callback::Reach;
use nf_nrf::cleartext::{self, Cleartext, Registries};
use nf_nrf::courier::{CleartextDial, Couriers};
use nf_nrf::metrics::NrfMetrics;
use nf_nrf::registry::{Change, HEARTBEAT_INTERVAL, Registry, SharedRegistry};
use sbi::client::{Connection, Request};
use sbi::limits::Limits;
use sbi::listener::{bind, serve_cleartext_sbi};
use sbi::metrics::Metrics;
use sbi::model::{NfInstanceId, NfProfile, NfType};
use sbi::problem::Problem;
use sbi::process::Stop;
use sbi::response::{JSON, JSON_PATCH, Response};
use sbi::server::{self, Handler};
use serde_json::json;
use tempfile::TempDir;
use test_support::transcript::{Fresh, Player};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use crate::nrf::{AMF_FQDN, AMF_ID, instance, notifier, profile, refusal};

const DEADLINE: Duration = Duration::from_secs(10);
const FRESH: [(Fresh, &str); 2] = [
    (Fresh::Member("/subscriptionId"), "{subscriptionID}"),
    (Fresh::Member("/validityTime"), "{validityTime}"),
];
const MISMATCH: &str = "MTC5G_CERTIFICATE_MISMATCH";

/// An NRF with a cleartext port, and its one client.
struct Scene {
    client: Connection,
    addr: SocketAddr,
    /// What is registered with certificates.
    certified: Arc<SharedRegistry>,
    stopper: watch::Sender<bool>,
    _folder: TempDir,
}

/// Serves `handler` in cleartext at a free port.
fn serve<H: Handler>(handler: H) -> (SocketAddr, watch::Sender<bool>) {
    let (listener, addr) = bind(([127, 0, 0, 1], 0).into(), "test", "none").expect("a free port");
    let metrics = Metrics::new();
    let (stopper, stop) = Stop::new();
    tokio::spawn(serve_cleartext_sbi(
        listener,
        Arc::new(handler),
        metrics.requests.clone(),
        Limits::new(&Default::default(), &metrics),
        stop,
    ));
    (addr, stopper)
}

impl Scene {
    async fn new() -> Self {
        Self::with_heartbeats_each(HEARTBEAT_INTERVAL).await
    }

    async fn with_heartbeats_each(seconds: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let notifier = Arc::new(notifier(&folder, &Default::default()));
        let hearing = notifier.clone();
        let on_change = Box::new(move |change: &Change| hearing.announce(change));
        let claimed = Registry::new(cleartext::settings(seconds));
        let claimed = Arc::new(SharedRegistry::new(claimed, on_change));
        let certified = Registry::new(Default::default());
        let certified = Arc::new(SharedRegistry::new(certified, Box::new(|_| {})));
        let api_root: sbi::uri::ApiRoot = "http://127.0.0.1:7777".parse().expect("a root");
        let reach = Reach::of([127, 0, 0, 1].into());
        let dial = CleartextDial { reach };
        tokio::spawn(Couriers::new(notifier.clone(), api_root.clone(), dial).run());
        let registries = Registries {
            claimed,
            certified: certified.clone(),
        };
        let metrics = NrfMetrics::new(&Metrics::new().registry);
        let handler = Cleartext::new(registries, notifier, api_root, reach, 60, metrics);
        let (addr, stopper) = serve(handler);
        let client = Connection::connect_cleartext(addr, DEADLINE).await;
        Self {
            client: client.expect("a connection"),
            addr,
            certified,
            stopper,
            _folder: folder,
        }
    }

    async fn send(&self, request: Request) -> Response {
        let answer = self.client.send(request, DEADLINE).await;
        answer.expect("an answer")
    }

    async fn put(&self, body: &serde_json::Value) -> Response {
        let id = body["nfInstanceId"].as_str().expect("an id");
        self.send(request(Method::PUT, &instance(id)).json_as(JSON, body))
            .await
    }
}

fn request(method: Method, path: &str) -> Request {
    Request::new(method, "127.0.0.1:7777", path)
}

fn amf() -> serde_json::Value {
    profile("AMF", AMF_ID, AMF_FQDN, "namf-comm", json!({}))
}

/// Tells the test what it was told.
struct Subscriber(mpsc::UnboundedSender<server::Request>);

impl Handler for Subscriber {
    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        self.0.send(request).expect("the test receives");
        Ok(Response::empty(StatusCode::NO_CONTENT))
    }
}

async fn check(transcript: &str) {
    let scene = Scene::new().await;
    let (told, mut hears) = mpsc::unbounded_channel();
    let (subscriber, _stopper) = serve(Subscriber(told));
    Player::new(&scene.client, "127.0.0.1:7777", &FRESH)
        .told(subscriber.port(), &mut hears)
        .check(transcript)
        .await;
}

#[tokio::test]
async fn registration_and_heartbeats_go_as_written() {
    check(include_str!("transcripts/registration.txt")).await;
}

#[tokio::test]
async fn discovery_goes_as_written() {
    check(include_str!("transcripts/discovery.txt")).await;
}

#[tokio::test]
async fn subscriptions_and_notifications_go_as_written() {
    check(include_str!("transcripts/subscription.txt")).await;
}

#[tokio::test]
async fn an_instance_with_a_certificate_is_not_spoken_for() {
    let scene = Scene::new().await;
    let id: NfInstanceId = AMF_ID.parse().unwrap();
    let certified = NfProfile::new(id, NfType::Amf, AMF_FQDN);
    let registering = |registry: &mut Registry| registry.register(certified, Instant::now());
    scene.certified.update(registering).unwrap();
    let heartbeat = json!([{"op": "replace", "path": "/nfStatus", "value": "REGISTERED"}]);
    let subscription = json!({"nfStatusNotificationUri": "http://127.0.0.1:1/cb", "reqNfInstanceId": AMF_ID, "reqNfType": "AMF"});
    let discovery = format!(
        "/nnrf-disc/v1/nf-instances?target-nf-type=SMF&requester-nf-type=AMF&requester-nf-instance-id={AMF_ID}"
    );
    let subscriptions = "/nnrf-nfm/v1/subscriptions";
    for refused in [
        request(Method::PUT, &instance(AMF_ID)).json_as(JSON, &amf()),
        request(Method::PATCH, &instance(AMF_ID)).json_as(JSON_PATCH, &heartbeat),
        request(Method::DELETE, &instance(AMF_ID)),
        request(Method::POST, subscriptions).json(&subscription),
        request(Method::GET, &discovery),
    ] {
        let (status, cause, _) = refusal(&scene.send(refused).await);
        assert_eq!((status, cause.as_str()), (403, MISMATCH));
    }
    let stored = scene.certified.read(|registry| registry.get(id).cloned());
    assert_eq!(stored.unwrap().profile.fqdn.as_deref(), Some(AMF_FQDN));
    // It is not even shown.
    let reading = scene.send(request(Method::GET, &instance(AMF_ID))).await;
    assert_eq!(reading.status, 404);
}

#[tokio::test]
async fn what_is_registered_in_cleartext_is_not_among_those_with_certificates() {
    let scene = Scene::new().await;
    assert_eq!(scene.put(&amf()).await.status, 201);
    assert_eq!(
        scene.certified.read(|registry| registry.profiles().count()),
        0
    );
}

#[tokio::test]
async fn certificates_and_tokens_are_not_served() {
    let scene = Scene::new().await;
    for path in [
        "/nnrf-cm/v1/certificates",
        "/oauth2/token",
        "/bootstrapping",
    ] {
        let (status, cause, _) = refusal(&scene.send(request(Method::POST, path)).await);
        assert_eq!((status, cause.as_str()), (400, "INVALID_API"), "{path}");
    }
}

#[tokio::test]
async fn only_the_subscribers_own_address_is_notified() {
    let scene = Scene::new().await;
    for (uri, expected) in [
        ("http://192.0.2.1/cb", (403, "SUBSCRIPTION_NOT_ALLOWED")),
        (
            "http://nrf.example.org/cb",
            (403, "SUBSCRIPTION_NOT_ALLOWED"),
        ),
        ("https://127.0.0.1/cb", (400, "MANDATORY_IE_INCORRECT")),
        ("http://127.0.0.1", (400, "MANDATORY_IE_INCORRECT")),
    ] {
        let asking = json!({"nfStatusNotificationUri": uri, "reqNfInstanceId": AMF_ID});
        let asking = request(Method::POST, "/nnrf-nfm/v1/subscriptions").json(&asking);
        let (status, cause, _) = refusal(&scene.send(asking).await);
        assert_eq!((status, cause.as_str()), expected, "{uri}");
    }
}

#[tokio::test]
async fn more_instances_than_fit_are_refused() {
    let scene = Scene::new().await;
    let most = cleartext::settings(HEARTBEAT_INTERVAL).max_instances;
    for n in 0..=most {
        let id = uuid::Uuid::from_u128(n as u128 + 1).to_string();
        let status = scene
            .put(&profile("AMF", &id, AMF_FQDN, "namf-comm", json!({})))
            .await
            .status;
        assert_eq!(status, if n < most { 201 } else { 503 });
    }
}

/// Those of free5GC send none, and were suspended after twelve seconds whatever the operator said.
#[tokio::test]
async fn who_proposes_no_heartbeat_has_the_interval_of_the_configuration() {
    let day = 24 * 3600;
    let scene = Scene::with_heartbeats_each(day).await;
    let timer = async |proposed: serde_json::Value| {
        let profile = profile("AMF", AMF_ID, AMF_FQDN, "namf-comm", proposed);
        let answer: serde_json::Value = scene.put(&profile).await.read_json().expect("JSON");
        answer["heartBeatTimer"].clone()
    };
    assert_eq!(timer(json!({})).await, day);
    assert_eq!(timer(json!({"heartBeatTimer": 30})).await, 30);
}

/// A browser can be made to send HTTP/1.1 to this machine, and never HTTP/2 with prior knowledge.
#[tokio::test]
async fn http_1_is_not_spoken() {
    let scene = Scene::new().await;
    let mut tcp = TcpStream::connect(scene.addr).await.unwrap();
    let get = b"GET /nnrf-nfm/v1/nf-instances HTTP/1.1\r\nhost: a\r\n\r\n";
    tcp.write_all(get).await.unwrap();
    let mut answer = Vec::new();
    // The end may come as a reset.
    let _ = tcp.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{answer:?}");
    drop(scene.stopper);
}
