//! Requests that go through the SCP of a whole lab, to producers that are the test's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use experiment::scenario::{LoadPlan, Nf, OperationKind};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::{HeaderMap, Method, StatusCode};
use jose::Header;
use lab::pki;
use lab::topology::Plan;
use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
use mtc_tls::peer::ExpectedPeer;
use mtc_tls::profile::{ClientAuth, Via};
use mtc_tls::signing::Signing;
use sbi::access_token::{TokenNeed, TokenPolicy};
use sbi::body::Body;
use sbi::client::{Connection, Request};
use sbi::header::{OCI, SenderTimestamp};
use sbi::ledger::NfTotals;
use sbi::limits::Limits;
use sbi::listener::{Host, Hosts, bind, serve_sbi};
use sbi::model::{NfProfile, NfType, ServiceName};
use sbi::nnrf::fetch_token;
use sbi::problem::{Problem, ProblemDetails};
use sbi::process::{Event, Stop};
use sbi::response::Response;
use sbi::server::{self, Handler};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::{Mutex, Notify, mpsc, watch};
use uuid::Uuid;

use test_support::command::{PATIENCE, within};
use test_support::test_lab::{LEAF_KEY, TestFolder, TestLab, now, small};
use test_support::test_nf::{PROFILE, TestNf, der};

mod bodies;
mod chain;
mod overload;
mod restart;

const SERVICE: &str = "nsmf-event-exposure";
const PATH: &str = "/nsmf-event-exposure/v1/subscriptions";
/// The set that all producers belong to.
const SET: &str = "set1.smfset.5gc.mnc001.mcc001";
/// Requests that the SCP routes at a time.
const PLACES: usize = 2;

/// Tells what it was asked.
struct Echo {
    number: u16,
    id: Uuid,
    /// Told of each request that will not be answered.
    held: Arc<Notify>,
    /// Of the bodies that it makes up.
    sent: bodies::Seen,
}

impl Handler for Echo {
    const RELAYS: bool = true;

    fn relays(&self, _: &Method, path: &str, _: &HeaderMap) -> bool {
        path.contains("/bodies/")
    }

    async fn relay(
        &self,
        request: server::Request,
        body: Body,
    ) -> Result<hyper::Response<Body>, Problem> {
        Ok(bodies::answer(self.number, &self.sent, request, body).await)
    }

    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        if request.path.ends_with("/held") {
            self.held.notify_one();
            std::future::pending::<()>().await;
        }
        if request.path.ends_with("/refused") {
            let refused = Problem::new(StatusCode::FORBIDDEN, "not you");
            return Err(refused);
        }
        let headers: Vec<(String, String)> = request
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into(),
                )
            })
            .collect();
        let identity = request.peer.identity.as_ref().expect("mutual TLS");
        let told = json!({
            "number": self.number, "method": request.method.as_str(), "path": request.path, "query": request.query,
            "headers": headers, "body": String::from_utf8_lossy(&request.body), "peer": identity.nf_types,
            "profile": request.peer.profile.map(|profile| profile.to_string()),
        });
        let response = Response::json(StatusCode::OK, &told);
        if request.path.ends_with("/located") {
            let location = HeaderValue::from_static("https://elsewhere.example.org/x/1");
            return Ok(response.with(LOCATION, location));
        }
        if request.path.ends_with("/overloaded") {
            let now = SenderTimestamp(OffsetDateTime::now_utc());
            let oci = format!(
                "Timestamp: \"{now}\"; Period-of-Validity: 600s; Overload-Reduction-Metric: 100%; NF-Instance: {}",
                self.id
            );
            let oci = HeaderValue::try_from(oci).expect("visible ASCII");
            return Ok(response.with(OCI, oci));
        }
        Ok(response)
    }
}

/// A producer of the test's own, registered.
struct Producer {
    root: String,
    id: String,
    held: Arc<Notify>,
    /// Of the bodies that it makes up, and when one of them is dropped.
    sent: bodies::Seen,
    given_up: Mutex<mpsc::UnboundedReceiver<()>>,
    stop: watch::Sender<bool>,
    served: tokio::task::JoinHandle<()>,
}

impl Producer {
    async fn new(lab: &TestLab, number: u16) -> Self {
        Self::in_domains(lab, number, &[]).await
    }

    /// One that belongs to these SCP domains.
    async fn in_domains(lab: &TestLab, number: u16, domains: &[&str]) -> Self {
        let nf = TestNf::of_type(&lab.folder.lab, NfType::Smf, number);
        let issued = nf.enrol(&nf.token()).await.expect("the SMF enrols");
        nf.present(der(&issued));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (listener, at) = bind(any, "test", "listen").expect("a free port");
        let held = Arc::new(Notify::new());
        let (sent, given_up) = bodies::Seen::new();
        let echo = Echo {
            number,
            id: nf.id(),
            held: held.clone(),
            sent: sent.clone(),
        };
        let (stop, stopped) = Stop::new();
        let served = tokio::spawn(serve_sbi(
            listener,
            Hosts::One(Host {
                endpoint: nf.instance.endpoint().clone(),
                handler: Arc::new(echo),
            }),
            ClientAuth::Required,
            nf.instance.ledger().clone(),
            Limits::default(),
            stopped,
        ));
        let mut profile: NfProfile = nf.instance.producing(ServiceName::from(SERVICE), at);
        profile.heart_beat_timer = Some(60);
        profile.priority = Some(number);
        let set = serde_json::json!([SET]);
        profile.other.insert("nfSetIdList".to_owned(), set);
        profile.scp_domains = domains.iter().map(|one| (*one).to_owned()).collect();
        profile.allowed_nf_types = vec![NfType::Amf];
        let connection = nf.connect().await.expect("the NRF answers").connection;
        let registered = nf.nrf.register(&connection, &profile).await;
        registered.expect("the SMF registers");
        Self {
            root: format!("https://{}:{}", nf.instance.fqdn, at.port()),
            id: nf.id().to_string(),
            held,
            sent,
            given_up: Mutex::new(given_up),
            stop,
            served,
        }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.served.await.expect("no panic");
    }
}

/// A consumer with a connection to the SCP.
struct Consumer {
    nf: TestNf,
    scp: Connection,
    /// Where the SCP is.
    addr: SocketAddr,
}

impl Consumer {
    async fn new(lab: &mut TestLab, nf_type: NfType, number: u16) -> Self {
        let nf = TestNf::of_type(&lab.folder.lab, nf_type, number);
        let issued = nf.enrol(&nf.token()).await.expect("the consumer enrols");
        nf.present(der(&issued));
        let scp = lab.topology.child(Nf::Scp).expect("the SCP was started");
        let addr = scp.seen(|event| match event {
            Event::SbiListening { addr, .. } => Some(*addr),
            _ => None,
        });
        let addr = addr.expect("the SCP listens");
        let opened = nf.instance.open(addr, PROFILE, expected_scp()).await;
        let scp = opened.expect("the SCP answers").connection;
        Self { nf, scp, addr }
    }

    /// A connection on which no more of an answer comes than is taken.
    async fn connect_to_pass(&self) -> Connection {
        let instance = &self.nf.instance;
        let opened = instance.open_to_pass(self.addr, PROFILE, expected_scp(), 4);
        opened.await.expect("the SCP answers").connection
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
        let answer = self.scp.send(self.request(method, path, headers), PATIENCE);
        answer.await.expect("the SCP answers")
    }

    fn request(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::new(method, pki::fqdn("SCP", 1), path);
        let agent = format!("{}-{}", self.nf.instance.nf_type, self.nf.instance.fqdn);
        let all = headers.iter().copied().chain([("user-agent", &*agent)]);
        request.headers = HeaderMap::from_iter(all.map(|(name, value)| {
            let name = HeaderName::try_from(name).expect("a name");
            (name, HeaderValue::from_str(value).expect("a value"))
        }));
        request
    }
}

fn expected_scp() -> ExpectedPeer {
    ExpectedPeer {
        fqdn: pki::fqdn("SCP", 1),
        instance_id: None,
        nf_type: Some(NfType::Scp.as_str().to_owned()),
    }
}

/// `Authorization` with a token of the NF instance `subject`, whoever signed it.
fn bearer(subject: &str) -> String {
    let key = SecretKey::generate(SignatureAlgorithm::EcdsaP256).expect("a key");
    let claims = json!({"iss": subject, "sub": subject, "aud": "SMF", "scope": SERVICE, "exp": 1_900_000_000});
    let token = jose::sign(&Header::of_key(key.algorithm(), "1"), &claims, &key);
    format!("Bearer {}", token.expect("keys sign"))
}

/// Status, cause and `Server` of an answer that the SCP made itself.
fn refusal(answer: &Response) -> (u16, String) {
    let server = answer.header(&hyper::header::SERVER);
    assert_eq!(server, Some(&*format!("SCP-{}", pki::fqdn("SCP", 1))));
    let details = ProblemDetails::from_body(&answer.body).expect("problem details");
    (answer.status.as_u16(), details.cause.unwrap_or_default())
}

fn told(answer: &Response) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    answer.read_json().expect("what Echo tells")
}

fn header<'a>(told: &'a Value, name: &str) -> Option<&'a str> {
    let headers = told["headers"].as_array().expect("pairs");
    let found = headers.iter().find(|pair| pair[0] == name)?;
    found[1].as_str()
}

/// A lab with two producers, of which the first is preferred, and an AMF.
async fn lab() -> (TestLab, [Producer; 2], Consumer) {
    let folder = TestFolder::new(&small());
    let file = folder.lab.config_file("scp");
    let mut text = std::fs::read_to_string(&file).expect("configuration is readable");
    text.push_str(&format!("\n[routing]\nmax_requests = {PLACES}\n"));
    std::fs::write(file, text).expect("configuration is written");
    let mut lab = TestLab::start(folder).await;
    let producers = [
        Producer::new(&lab, 101).await,
        Producer::new(&lab, 102).await,
    ];
    let amf = Consumer::new(&mut lab, NfType::Amf, 103).await;
    (lab, producers, amf)
}

const DISCOVERY: [(&str, &str); 2] = [
    ("3gpp-sbi-discovery-target-nf-type", "SMF"),
    ("3gpp-sbi-discovery-service-names", SERVICE),
];

#[tokio::test]
async fn requests_are_routed_to_whom_the_headers_say_and_changed_no_more_than_they_must() {
    let (mut lab, [first, second], amf) = lab().await;
    let root = first.root.clone();
    let target = ("3gpp-sbi-target-apiroot", &*root);

    // Of a token the SCP asks only that it is its consumer's own: the producer cannot tell.
    let own = bearer(&amf.nf.instance.id.to_string());
    let others = bearer(&second.id);
    for authorization in [&*others, "Bearer x.y.z"] {
        let headers = [target, ("authorization", authorization)];
        let answer = amf.send(Method::GET, PATH, &headers).await;
        assert_eq!(refusal(&answer).0, 401, "{authorization}");
    }

    // Model C: what is the consumer's arrives as it was, what was for the SCP does not.
    let path = format!("{PATH}?a=%2c&b=%7E&c&d=+");
    let mut request = amf.request(
        Method::POST,
        &path,
        &[
            target,
            ("3gpp-sbi-max-rsp-time", "5000"),
            ("3gpp-sbi-max-forward-hops", "3; nodetype=scp"),
            ("3gpp-sbi-correlation-info", "imsi-001010000000001"),
            ("authorization", &*own),
            ("te", "trailers"),
        ],
    );
    let body = "--b\r\n\r\nnot JSON\r\n";
    request = request.body(
        HeaderValue::from_static("multipart/related; boundary=b"),
        body,
    );
    let answer = amf.scp.send(request, PATIENCE).await.expect("an answer");
    let told_c = told(&answer);
    assert_eq!(told_c["number"], 101);
    assert_eq!(
        (&told_c["method"], &told_c["path"]),
        (&json!("POST"), &json!(PATH))
    );
    assert_eq!(told_c["query"], "a=%2c&b=%7E&c&d=+");
    assert_eq!(told_c["body"], body);
    assert_eq!(told_c["peer"], json!(["SCP"]), "the producer sees the SCP");
    assert_eq!(
        told_c["profile"],
        PROFILE.to_string(),
        "both legs are alike"
    );
    let agent = format!("AMF-{}", pki::fqdn("AMF", 103));
    for (name, value) in [
        ("user-agent", Some(&*agent)),
        (AUTHORIZATION.as_str(), Some(&*own)),
        (CONTENT_TYPE.as_str(), Some("multipart/related; boundary=b")),
        ("3gpp-sbi-correlation-info", Some("imsi-001010000000001")),
        ("3gpp-sbi-max-forward-hops", Some("2; nodetype=scp")),
        ("via", Some(&*format!("2.0 SCP-{}", pki::fqdn("SCP", 1)))),
        ("3gpp-sbi-target-apiroot", None),
        ("te", None),
    ] {
        assert_eq!(header(&told_c, name), value, "{name}");
    }
    let left: u32 = header(&told_c, "3gpp-sbi-max-rsp-time")
        .and_then(|left| left.parse().ok())
        .expect("the consumer's time goes on");
    assert!(left <= 5000, "{left}");
    assert_eq!(
        answer.header(&HeaderName::from_static("3gpp-sbi-producer-id")),
        None
    );

    // What the producer refuses comes back as it is, with the way it has come.
    let refused = amf
        .send(Method::GET, &format!("{PATH}/refused"), &[target])
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.headers.contains_key("via") && !refused.headers.contains_key("server"));

    // Model D: the preferred one, and the consumer is told who it was.
    let answer = amf.send(Method::POST, PATH, &DISCOVERY).await;
    assert_eq!(told(&answer)["number"], 101);
    assert!(header(&told(&answer), DISCOVERY[0].0).is_none());
    assert_eq!(
        answer.headers["3gpp-sbi-producer-id"],
        format!("nfinst={}", first.id)
    );
    assert_eq!(answer.headers["3gpp-sbi-target-apiroot"], first.root);
    let located = amf
        .send(Method::POST, &format!("{PATH}/located"), &DISCOVERY)
        .await;
    assert!(!located.headers.contains_key("3gpp-sbi-target-apiroot"));
    assert_eq!(
        located.headers[LOCATION],
        "https://elsewhere.example.org/x/1"
    );
    let binding = format!("bl=nf-instance; nfinst={}", second.id);
    let bound = [("3gpp-sbi-routing-binding", &*binding)];
    assert_eq!(
        told(&amf.send(Method::GET, PATH, &bound).await)["number"],
        102
    );

    // Discovery of the consumer's own may take the same way; other services of the NRF may not.
    let discovery = "/nnrf-disc/v1/nf-instances?target-nf-type=SMF&requester-nf-type=AMF";
    let found = amf.send(Method::GET, discovery, &[]).await;
    assert_eq!(found.status, StatusCode::OK);
    let as_smf = discovery.replace("=AMF", "=SMF");
    let answer = amf.send(Method::GET, &as_smf, &[]).await;
    assert_eq!(
        refusal(&answer),
        (403, "MTC5G_CERTIFICATE_MISMATCH".to_owned())
    );
    let deregister = format!("/nnrf-nfm/v1/nf-instances/{}", first.id);
    let answer = amf.send(Method::DELETE, &deregister, &[]).await;
    assert_eq!(refusal(&answer), (400, "MANDATORY_IE_MISSING".to_owned()));

    // Who may not discover a producer does not reach it, and nobody reaches what is not registered.
    let not_reachable = (504, "TARGET_NF_NOT_REACHABLE".to_owned());
    let ausf = Consumer::new(&mut lab, NfType::Ausf, 104).await;
    assert_eq!(
        refusal(&ausf.send(Method::GET, PATH, &[target]).await),
        not_reachable
    );
    let nrf = lab.folder.lab.nrf.clone();
    let at_nrf = format!("https://{}:{}", nrf.fqdn, nrf.sbi.port());
    for elsewhere in [&*at_nrf, "https://localhost:22", "http://127.0.0.1:80"] {
        let target = [("3gpp-sbi-target-apiroot", elsewhere)];
        let answer = amf.send(Method::DELETE, &deregister, &target).await;
        assert_eq!(refusal(&answer), not_reachable, "{elsewhere}");
    }
    let nobody = [
        DISCOVERY[0],
        ("3gpp-sbi-discovery-service-names", "nsmf-nidd"),
    ];
    assert_eq!(
        refusal(&amf.send(Method::GET, PATH, &nobody).await),
        (400, "NF_DISCOVERY_FAILURE".to_owned())
    );
    let unknown = [
        DISCOVERY[0],
        DISCOVERY[1],
        ("3gpp-sbi-discovery-snssais", "x"),
    ];
    assert_eq!(
        refusal(&amf.send(Method::GET, PATH, &unknown).await),
        (400, "INVALID_DISCOVERY_PARAM".to_owned())
    );

    // The consumer's time is up.
    let held = format!("{PATH}/held");
    let answer = amf
        .send(
            Method::GET,
            &held,
            &[target, ("3gpp-sbi-max-rsp-time", "50")],
        )
        .await;
    assert_eq!(refusal(&answer), (504, "TIMED_OUT_REQUEST".to_owned()));
    first.held.notified().await;

    // The preferred producer is gone: nothing was sent to it, so the next one gets a POST too, unless that is forbidden.
    let first_id = first.id.clone();
    first.end().await;
    let no_retries = [
        DISCOVERY[0],
        DISCOVERY[1],
        ("3gpp-sbi-retry-info", "no-retries"),
    ];
    assert_eq!(
        refusal(&amf.send(Method::POST, PATH, &no_retries).await),
        not_reachable
    );
    let answer = amf.send(Method::POST, PATH, &DISCOVERY).await;
    assert_eq!(told(&answer)["number"], 102);
    let reselected = [target, DISCOVERY[0], DISCOVERY[1]];
    assert_eq!(
        told(&amf.send(Method::POST, PATH, &reselected).await)["number"],
        102
    );

    // A request that is bound to it alone has nowhere to go, one that is bound to its set too has.
    let alone = format!("bl=nf-instance; nfinst={first_id}");
    let in_set = format!("{alone}; nfset={SET}");
    let bound = [("3gpp-sbi-routing-binding", &*alone)];
    assert_eq!(
        refusal(&amf.send(Method::POST, PATH, &bound).await),
        not_reachable
    );
    let bound = [("3gpp-sbi-routing-binding", &*in_set)];
    assert_eq!(
        told(&amf.send(Method::POST, PATH, &bound).await)["number"],
        102
    );
}

#[tokio::test]
async fn neither_role_starves_the_other() {
    let (lab, [first, second], amf) = lab().await;
    let held = format!("{PATH}/held");
    let target = ("3gpp-sbi-target-apiroot", &*first.root);
    let time = ("3gpp-sbi-max-rsp-time", "10000");
    let hold = || {
        amf.scp
            .send(amf.request(Method::GET, &held, &[target, time]), PATIENCE)
    };
    let full = async {
        // Requests beyond the last place are told to come again.
        for _ in 0..PLACES {
            first.held.notified().await;
        }
        let answer = amf.send(Method::GET, PATH, &[target]).await;
        assert_eq!(refusal(&answer), (503, "NF_CONGESTION".to_owned()));
        assert_eq!(answer.headers[RETRY_AFTER], "1");
        // The witness cosigns all the same: without it nobody gets a certificate.
        let enrolling = TestNf::of_type(&lab.folder.lab, NfType::Smf, 105);
        let enrolled = within(enrolling.enrol(&enrolling.token())).await;
        assert!(enrolled.is_ok(), "{enrolled:?}");
    };
    tokio::select! {
        _ = async { tokio::join!(hold(), hold()) } => panic!("held requests are not answered"),
        () = full => {}
    }

    // Requests to the witness that never end take no place of routing.
    let text = std::fs::read_to_string(lab.folder.lab.config_file("scp")).expect("readable");
    let config: toml::Table = text.parse().expect("TOML");
    let witness = config["witness"]["listen"].as_str().expect("an address");
    let witness: SocketAddr = witness.parse().expect("an address");
    let mut slow = Vec::new();
    for _ in 0..64 {
        let mut stream = tokio::net::TcpStream::connect(witness)
            .await
            .expect("accepted");
        let head =
            b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 60000\r\n\r\nold 0\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, head)
            .await
            .expect("sent");
        slow.push(stream);
    }
    let at_second = [("3gpp-sbi-target-apiroot", &*second.root)];
    let routed = async {
        loop {
            let answer = amf.send(Method::GET, PATH, &at_second).await;
            // The places of the requests above are free when the producer's side has heard of their end.
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                break told(&answer);
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(within(routed).await["number"], 102);
    drop(slow);
}

#[tokio::test]
async fn sessions_go_through_the_scp_in_both_directions() {
    let mut lab = TestLab::start(TestFolder::new(&small())).await;
    for via in [Via::ScpC, Via::ScpD] {
        let profile = format!("mtc-standalone/{LEAF_KEY}/X25519MLKEM768/{via}");
        let before = totals(&mut lab, &profile).await;
        let plan = LoadPlan::steady(OperationKind::Session, 10.0, Duration::from_secs(1));
        lab.start_load_of(plan, vec![profile.clone()]).await;
        let result = lab.load_result().await;
        let [variant] = &*result.variants else {
            panic!("one variant")
        };
        assert_eq!(variant.errors, [].into());
        assert_eq!((variant.attempts, variant.ok), (10, 10));
        let after = totals(&mut lab, &profile).await;
        let [scp, smf] = [0, 1].map(|nf| after[nf].since(&before[nf]));
        // Each session brings a connection of the AMF's and, for the callback, one of the SMF's.
        assert!(scp.server.handshakes >= 20, "{via:?}");
        let mut legs = scp.legs.clone();
        legs.combine(&smf.legs, u64::saturating_add);
        // Create, modify and release, and the transfer the other way. The SCP keeps its own connections.
        let requests: Vec<_> = legs.iter().map(|(leg, one)| (leg, one.requests)).collect();
        assert_eq!(
            requests,
            [("SCP-AMF", 10), ("SCP-SMF", 30), ("SMF-SCP", 10)],
            "{via:?}"
        );
        let handshakes: Vec<_> = legs.iter().map(|(_, one)| one.handshakes()).collect();
        assert!(handshakes[0] <= 1 && handshakes[1] <= 1, "{via:?}");
        assert_eq!(handshakes[2], 10, "{via:?}");
    }
}

/// What SCP and SMF have counted of a profile.
async fn totals(lab: &mut TestLab, profile: &str) -> [NfTotals; 2] {
    let mut all = Vec::new();
    for nf in [Nf::Scp, Nf::Smf] {
        let counted = within(lab.topology.measurements(nf)).await;
        let mut counted = counted.expect("it answers");
        all.push(counted.profiles.remove(profile).unwrap_or_default());
    }
    all.try_into().expect("two")
}

/// A service of the lab's own SMF, which asks for a token, and a path of it at which there is nothing.
const SESSIONS: &str = "nsmf-pdusession";
const NO_SESSION: &str = "/nsmf-pdusession/v1/sm-contexts/none/release";
/// What the SMF says of that to whom it lets in.
const LET_IN: (u16, &str) = (404, "CONTEXT_NOT_FOUND");
/// What is said to whoever has no assertion that is believed.
const UNBELIEVED: (u16, &str) = (403, "CCA_VERIFICATION_FAILURE");

impl Consumer {
    /// A consumer that the NRF knows.
    async fn registered(lab: &mut TestLab, nf_type: NfType, number: u16) -> Self {
        let consumer = Self::new(lab, nf_type.clone(), number).await;
        let instance = &consumer.nf.instance;
        let mut profile = NfProfile::new(instance.id, nf_type, instance.fqdn.clone());
        profile.ipv4_addresses = vec![[127, 0, 0, 1].into()];
        profile.heart_beat_timer = Some(60);
        let connection = consumer.nf.connect().await.expect("the NRF answers");
        let registered = consumer.nf.nrf.register(&connection.connection, &profile);
        registered.await.expect("the consumer registers");
        consumer
    }

    /// `Authorization` with a token that the NRF gives it for the SMF's sessions.
    async fn token(&self) -> String {
        let TestNf { instance, nrf, .. } = &self.nf;
        let need = TokenNeed {
            target: NfType::Smf,
            service: ServiceName::NsmfPdusession,
            tokens: PROFILE.tokens,
        };
        let consumer = (instance.id, &instance.nf_type);
        let fetched = fetch_token(nrf, instance, PROFILE, consumer, &need, None).await;
        let (bearer, _) = fetched.expect("the NRF gives it a token");
        bearer.header().to_str().expect("ASCII").to_owned()
    }

    /// An assertion, with these changes of its claims.
    fn assertion(&self, changes: Value) -> String {
        let instance = &self.nf.instance;
        let signing = Signing::of(&instance.store.current(), PROFILE, true);
        let signing = signing.expect("it has a certificate");
        let now = now().0;
        let mut claims =
            json!({"sub": instance.id, "iat": now, "exp": now + 60, "aud": ["SMF", "NRF"]});
        for (name, value) in changes.as_object().expect("members") {
            claims[name] = value.clone();
        }
        let chain = signing.chain().map(<[u8]>::to_vec).collect();
        let header = Header::of_chain(signing.algorithm(), chain);
        jose::sign(&header, &claims, &signing).expect("keys sign")
    }

    /// Status and cause of the SMF's answer, or the SCP's, to a request that leaves the choice of the SMF to the SCP.
    async fn ask(&self, token: Option<&str>, assertion: Option<&str>) -> (u16, String) {
        let mut headers = vec![
            DISCOVERY[0],
            ("3gpp-sbi-discovery-service-names", SESSIONS),
            ("content-type", "application/json"),
        ];
        headers.extend(token.map(|token| ("authorization", token)));
        headers.extend(assertion.map(|text| ("3gpp-sbi-client-credentials", text)));
        let answer = self.send(Method::POST, NO_SESSION, &headers).await;
        let details = ProblemDetails::from_body(&answer.body).expect("problem details");
        (answer.status.as_u16(), details.cause.unwrap_or_default())
    }
}

/// A small lab whose network functions serve nobody without a token.
fn strict() -> Plan {
    Plan {
        access_tokens: TokenPolicy::Required,
        await_landmarks: true,
        ..small()
    }
}

#[tokio::test]
async fn behind_the_scp_a_token_is_good_for_who_says_by_its_own_key_that_it_is_its_owner() {
    let mut lab = TestLab::start(TestFolder::new(&strict())).await;
    let amf = Consumer::registered(&mut lab, NfType::Amf, 101).await;
    let other = Consumer::registered(&mut lab, NfType::Amf, 102).await;
    let (token, others_token) = (amf.token().await, other.token().await);
    let (good, others) = (amf.assertion(json!({})), other.assertion(json!({})));
    let is = |(status, cause): (u16, &str)| (status, cause.to_owned());

    for _ in 0..2 {
        let answer = amf.ask(Some(&token), Some(&good)).await;
        assert_eq!(answer, is(LET_IN));
    }
    assert_eq!(amf.ask(Some(&token), None).await, is(UNBELIEVED));
    // The assertion of another NF, and that one's token with it, which the SCP does not hand on.
    let answer = amf.ask(Some(&token), Some(&others)).await;
    assert_eq!(answer, is((403, "TOKEN_CCA_MISMATCH")));
    assert_eq!(amf.ask(Some(&others_token), Some(&others)).await.0, 401);

    let now = now().0;
    let mut damaged = good.clone();
    let within = good.len() - 8..good.len() - 7; // not the last character, some bits of which say nothing
    let other_character = if &good[within.clone()] == "A" {
        "B"
    } else {
        "A"
    };
    damaged.replace_range(within, other_character);
    let (head, signature) = good.rsplit_once('.').expect("a JWS");
    let (head_of_other, _) = others.rsplit_once('.').expect("a JWS");
    for (text, what) in [
        (
            amf.assertion(json!({"iat": now - 120, "exp": now - 60})),
            "over",
        ),
        (
            amf.assertion(json!({"iat": now + 60, "exp": now + 120})),
            "to come",
        ),
        (amf.assertion(json!({"exp": now + 86_400})), "for too long"),
        (amf.assertion(json!({"aud": ["AMF"]})), "for others"),
        (
            amf.assertion(json!({"sub": other.nf.instance.id})),
            "of another",
        ),
        (damaged, "damaged"),
        (format!("{head}."), "not signed"),
        (format!("{head_of_other}.{signature}"), "signed by another"),
        ("x.y.z".to_owned(), "none"),
    ] {
        let answer = amf.ask(Some(&token), Some(&text)).await;
        assert_eq!(answer, is(UNBELIEVED), "{what}");
    }
}

#[tokio::test]
async fn the_scp_gets_tokens_for_consumers_whose_assertion_the_nrf_believes() {
    let mut lab = TestLab::start(TestFolder::new(&strict())).await;
    let amf = Consumer::registered(&mut lab, NfType::Amf, 101).await;
    let other = Consumer::registered(&mut lab, NfType::Amf, 102).await;
    let unknown = Consumer::new(&mut lab, NfType::Amf, 103).await;
    let is = |(status, cause): (u16, &str)| (status, cause.to_owned());
    // Without an assertion there is nothing to ask the NRF with.
    assert_eq!(amf.ask(None, None).await.0, 401);
    // The SCP has had a token of its own for its discovery.
    let before = issued(&mut lab).await;
    let now = now().0;
    let over = other.assertion(json!({"iat": now - 120, "exp": now - 60}));
    assert_eq!(other.ask(None, Some(&over)).await, is(UNBELIEVED));
    let not_for_the_nrf = other.assertion(json!({"aud": ["SMF"]}));
    let answer = other.ask(None, Some(&not_for_the_nrf)).await;
    assert_eq!(answer, is(UNBELIEVED));
    // Another's assertion, and that of an NF that is not registered.
    let denied = is((403, "ACCESS_TOKEN_DENIED"));
    let good = amf.assertion(json!({}));
    assert_eq!(other.ask(None, Some(&good)).await, denied);
    let strangers = unknown.assertion(json!({}));
    assert_eq!(unknown.ask(None, Some(&strangers)).await, denied);
    assert_eq!(issued(&mut lab).await, before);

    // One token is for all of its requests, whichever assertion they carry.
    for text in [good, amf.assertion(json!({}))] {
        assert_eq!(amf.ask(None, Some(&text)).await, is(LET_IN));
    }
    assert_eq!(issued(&mut lab).await, before + 1);
    // It is lent to nobody else.
    let others = other.assertion(json!({}));
    let answer = amf.ask(None, Some(&others)).await;
    assert_eq!(answer, is((403, "TOKEN_CCA_MISMATCH")));
}

/// Tokens that the NRF has made for connections like the consumers'.
async fn issued(lab: &mut TestLab) -> u64 {
    let counted = within(lab.topology.measurements(Nf::Nrf)).await;
    let counted = counted.expect("it answers").profiles;
    let of_kind = counted.get(&PROFILE.to_string());
    of_kind.map_or(0, |totals| totals.tokens.issued)
}

#[tokio::test]
async fn sessions_through_the_scp_carry_assertions_and_landmarks_make_them_short() {
    let mut lab = TestLab::start(TestFolder::new(&strict())).await;
    for via in [Via::ScpC, Via::ScpD] {
        let mut bytes = Vec::new();
        for domain in ["mtc-standalone", "mtc-landmark"] {
            let profile = format!("{domain}/{LEAF_KEY}/X25519MLKEM768/{via}");
            let before = totals(&mut lab, &profile).await;
            let plan = LoadPlan::steady(OperationKind::Session, 10.0, Duration::from_secs(1));
            lab.start_load_of(plan, vec![profile.clone()]).await;
            let result = lab.load_result().await;
            let [variant] = &*result.variants else {
                panic!("one variant")
            };
            assert_eq!(variant.errors, [].into());
            let after = totals(&mut lab, &profile).await;
            let tokens = after[1].since(&before[1]).tokens;
            // Create, modify and release; one assertion is for all of them, or, where it met a landmark that was not known, two.
            assert_eq!(
                (tokens.requests, tokens.assertions),
                (30, 30),
                "{via:?} {domain}"
            );
            assert!(tokens.assertions_verified <= 2, "{via:?} {domain}");
            bytes.push(tokens.assertion_bytes / tokens.assertions);
        }
        assert!(bytes[1] < bytes[0], "{via:?}: {bytes:?}");
    }
}
