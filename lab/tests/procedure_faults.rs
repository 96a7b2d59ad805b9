//! Procedures of UEs in which an NF does not do its part: the lab's own AMF and SMF, and a peer that is the test's. Each fault is met
//! directly and through the SCP, in both of its models.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use experiment::measure::ClientTotals;
use experiment::scenario::{LoadPlan, Nf, OperationKind};
use hyper::header::{HeaderValue, LOCATION, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};
use lab::pki;
use mtc_tls::peer::ExpectedPeer;
use mtc_tls::profile::{ClientAuth, ConnectionProfile, Via};
use procedures::route::{Exchange, Route};
use sbi::client::{Connection, Request};
use sbi::header::UserAgent;
use sbi::indirect::Scp;
use sbi::instance::Instance;
use sbi::limits::Limits;
use sbi::listener::{Host, Hosts, bind, serve_sbi};
use sbi::message::Message;
use sbi::model::{
    DnnSmfInfo, NfType, ServiceName, SmContextCreateData, SmfInfo, Snssai, SnssaiSmfInfo,
};
use sbi::problem::{Cause, Problem};
use sbi::process::{Event, Stop};
use sbi::response::Response;
use sbi::selection::Candidate;
use sbi::server::{self, Handler};
use serde_json::{Map, json};
use tokio::sync::watch;

use test_support::command::{PATIENCE, within};
use test_support::test_lab::{TestFolder, TestLab, small};
use test_support::test_nf::{PROFILE, TestNf, der};

const CONTEXTS: &str = "/nsmf-pdusession/v1/sm-contexts";

/// What an SMF of the test's own does otherwise than it should.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// It wants no session.
    Refuses,
    /// It has made a context, and transfers nothing.
    Silent,
    /// It does not know its context again.
    Stale,
    /// It says of the first token for each change of a context that it has expired.
    Expired,
}

/// An SMF of the test's own, which AMFs and the SCP prefer.
struct TestSmf {
    nf: TestNf,
    nrf: Connection,
    served: Arc<Served>,
    created: watch::Receiver<usize>,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

struct Served {
    instance: Arc<Instance>,
    root: Mutex<String>,
    amf: ExpectedPeer,
    amf_addr: SocketAddr,
    fault: Mutex<Fault>,
    /// Tokens of changes that it has refused.
    refused: Mutex<Vec<HeaderValue>>,
    created: watch::Sender<usize>,
}

impl Handler for Served {
    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        let fault = *self.fault.lock().expect("no holder panics");
        if request.path == CONTEXTS {
            return self.create(&request, fault).await;
        }
        match fault {
            Fault::Stale => {
                let (status, cause) = (StatusCode::NOT_FOUND, Cause::ContextNotFound);
                Err(Problem::with_cause(status, cause, "no such SM context"))
            }
            Fault::Expired => self.admit(&request),
            _ => Ok(Response::no_content()),
        }
    }
}

impl Served {
    async fn create(&self, request: &server::Request, fault: Fault) -> Result<Response, Problem> {
        if fault == Fault::Refuses {
            let (status, cause) = (StatusCode::FORBIDDEN, Cause::DnnNotSupported);
            return Err(Problem::with_cause(status, cause, "refused on purpose"));
        }
        let data = Message::<SmContextCreateData>::read(request)?.data;
        let supi = data.supi.expect("a subscriber");
        if fault != Fault::Silent {
            self.transfer(&supi, request.peer.profile).await;
        }
        self.created.send_modify(|created| *created += 1);
        let root = self.root.lock().expect("no holder panics").clone();
        let location = HeaderValue::try_from(format!("{root}{CONTEXTS}/7"));
        Ok(Response::json(StatusCode::CREATED, &Map::new())
            .with(LOCATION, location.expect("visible ASCII")))
    }

    /// N1N2 message transfer to the lab's AMF.
    async fn transfer(&self, supi: &str, profile: Option<ConnectionProfile>) {
        let profile = profile.expect("a profile of this project");
        let opened = self
            .instance
            .open(self.amf_addr, profile, self.amf.clone())
            .await;
        let path = format!("/namf-comm/v1/ue-contexts/{supi}/n1-n2-messages");
        let request = Request::new(Method::POST, &*self.amf.fqdn, path);
        let request = request.json(&json!({"pduSessionId": 5}));
        let connection = opened.expect("the AMF answers").connection;
        let answer = connection.call(request, PATIENCE).await;
        answer.expect("the AMF takes the transfer");
        connection.close().await;
    }

    /// Refuses each token once.
    fn admit(&self, request: &server::Request) -> Result<Response, Problem> {
        let token = request.headers.get(hyper::header::AUTHORIZATION);
        let token = token.expect("a token").clone();
        let mut refused = self.refused.lock().expect("no holder panics");
        if refused.is_empty() {
            refused.push(token);
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "the token has expired");
            return Err(problem.with(WWW_AUTHENTICATE, challenge));
        }
        Ok(Response::no_content())
    }
}

impl TestSmf {
    async fn new(lab: &mut TestLab) -> Self {
        let nf = TestNf::of_type(&lab.folder.lab, NfType::Smf, 90);
        let issued = nf.enrol(&nf.token()).await.expect("the SMF enrols");
        nf.present(der(&issued));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (listener, at) = bind(any, "test", "listen").expect("a free port");
        let (created, seen) = watch::channel(0);
        let served = Arc::new(Served {
            instance: nf.instance.clone(),
            root: Mutex::new(format!("https://{}:{}", nf.instance.fqdn, at.port())),
            amf: expected(NfType::Amf),
            amf_addr: listens(lab, Nf::Amf),
            fault: Mutex::new(Fault::None),
            refused: Mutex::default(),
            created,
        });
        let (stop, stopped) = Stop::new();
        let serving = tokio::spawn(serve_sbi(
            listener,
            Hosts::One(Host {
                endpoint: nf.instance.endpoint().clone(),
                handler: served.clone(),
            }),
            ClientAuth::Required,
            nf.instance.ledger().clone(),
            Limits::default(),
            stopped,
        ));
        let mut profile = nf.instance.producing(ServiceName::NsmfPdusession, at);
        profile.heart_beat_timer = Some(60);
        // Before the lab's own.
        profile.priority = Some(0);
        profile.allowed_nf_types = vec![NfType::Amf, NfType::Scp];
        let slice = Snssai::new(1, Some("010203")).expect("hex digits");
        profile.s_nssais = vec![slice.clone().into()];
        profile.smf_info = Some(serves(slice));
        let nrf = nf.connect().await.expect("the NRF answers").connection;
        let registered = nf.nrf.register(&nrf, &profile).await;
        registered.expect("the SMF registers");
        Self {
            nf,
            nrf,
            served,
            created: seen,
            stop,
            serving,
        }
    }

    fn will(&self, fault: Fault) {
        *self.served.fault.lock().expect("no holder panics") = fault;
    }

    /// Dies as soon as it has made so many contexts.
    async fn die_at(&mut self, contexts: usize) {
        let made = |created: &usize| *created >= contexts;
        within(self.created.wait_for(made)).await.expect("it lives");
        self.stop.send_replace(true);
    }

    /// The NRF hears that it is gone.
    async fn leave(self) {
        let gone = self.nf.nrf.deregister(&self.nrf, self.nf.instance.id).await;
        gone.expect("the NRF lets it go");
        within(self.serving).await.expect("no panic");
    }
}

fn serves(slice: Snssai) -> SmfInfo {
    SmfInfo {
        s_nssai_smf_info_list: vec![SnssaiSmfInfo {
            s_nssai: slice.into(),
            dnn_smf_info_list: vec![DnnSmfInfo {
                dnn: "internet".to_owned(),
                other: Map::new(),
            }],
            other: Map::new(),
        }],
        tai_list: Vec::new(),
        tai_range_list: Vec::new(),
        other: Map::new(),
    }
}

/// The lab's own instance of a type.
fn expected(nf_type: NfType) -> ExpectedPeer {
    ExpectedPeer {
        fqdn: pki::fqdn(nf_type.as_str(), 1),
        instance_id: None,
        nf_type: Some(nf_type.as_str().to_owned()),
    }
}

fn listens(lab: &mut TestLab, nf: Nf) -> SocketAddr {
    let child = lab.topology.child(nf).expect("it was started");
    let addr = child.seen(|event| match event {
        Event::SbiListening { addr, .. } => Some(*addr),
        _ => None,
    });
    addr.expect("it listens")
}

/// A PDU session by each way; what became of it.
async fn sessions(lab: &mut TestLab) -> Vec<ClientTotals> {
    let ways = Via::ALL.map(|via| ConnectionProfile { via, ..PROFILE }.to_string());
    let plan = LoadPlan::steady(OperationKind::PduSession, 15.0, Duration::from_millis(200));
    lab.start_load_of(plan, ways.to_vec()).await;
    lab.load_result().await.variants
}

fn assert_all_fail(ways: &[ClientTotals], cause: &str) {
    assert_eq!(ways.len(), Via::ALL.len());
    for (way, via) in ways.iter().zip(Via::ALL) {
        let causes: Vec<&String> = way.errors.keys().collect();
        assert_eq!((way.ok, causes), (0, vec![&cause.to_owned()]), "{via}");
    }
}

fn assert_all_succeed(ways: &[ClientTotals]) {
    for (way, via) in ways.iter().zip(Via::ALL) {
        assert_eq!(
            (way.errors.len(), way.ok),
            (0, 1),
            "{via}: {:?}",
            way.errors
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_smf_does_not_do_is_the_procedure_s_failure_by_every_way() {
    let mut lab = TestLab::start(TestFolder::new(&small())).await;
    let mut smf = TestSmf::new(&mut lab).await;
    assert_all_succeed(&sessions(&mut lab).await);
    assert_eq!(*smf.created.borrow(), 3, "it is preferred by every way");

    smf.will(Fault::Refuses);
    let cause = "http: create: status 403, DNN_NOT_SUPPORTED";
    assert_all_fail(&sessions(&mut lab).await, cause);

    smf.will(Fault::Stale);
    let cause = "http: modify: status 404, CONTEXT_NOT_FOUND";
    assert_all_fail(&sessions(&mut lab).await, cause);

    // One token serves all ways: the AMF gets another one in the middle of the procedure, and goes on.
    smf.will(Fault::Expired);
    assert_all_succeed(&sessions(&mut lab).await);
    let refused = smf.served.refused.lock().expect("no holder panics").len();
    assert_eq!(refused, 1);

    smf.will(Fault::Silent);
    let made = *smf.created.borrow();
    let (ways, ()) = tokio::join!(sessions(&mut lab), smf.die_at(made + 3));
    let cause = "application: the SMF did not transfer N1 and N2 in time";
    assert_all_fail(&ways, cause);

    // Whoever still knows it finds nobody there, once, and then the lab's own.
    smf.leave().await;
    sessions(&mut lab).await;
    assert_all_succeed(&sessions(&mut lab).await);
}

/// An AMF of the test's own, registered where nobody listens.
struct TestAmf {
    nf: TestNf,
    agent: UserAgent,
}

impl TestAmf {
    async fn new(lab: &TestLab) -> Self {
        let nf = TestNf::of_type(&lab.folder.lab, NfType::Amf, 91);
        let issued = nf.enrol(&nf.token()).await.expect("the AMF enrols");
        nf.present(der(&issued));
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut profile = nf.instance.producing(ServiceName::NamfComm, nobody);
        profile.heart_beat_timer = Some(60);
        let nrf = nf.connect().await.expect("the NRF answers").connection;
        let registered = nf.nrf.register(&nrf, &profile).await;
        registered.expect("the AMF registers");
        let agent = UserAgent::new(&nf.instance.nf_type, &nf.instance.fqdn);
        Self {
            agent: agent.expect("a host name"),
            nf,
        }
    }

    /// A connection on the way to the lab's SMF.
    async fn connect(&self, route: &Route) -> Connection {
        let to = route.destination();
        let opened = self.nf.instance.open(to.addr, PROFILE, to.expected).await;
        opened.expect("it answers").connection
    }

    /// The lab's SMF and SCP, as the NRF tells of them.
    async fn discover(&self) -> (Candidate, Scp) {
        let nrf = self.nf.connect().await.expect("the NRF answers").connection;
        let instance = &self.nf.instance;
        let wanted = sbi::nnrf::Discover {
            nf_type: NfType::Smf,
            service: ServiceName::NsmfPdusession,
            filters: Vec::new(),
        };
        let found = self.nf.nrf.discover(&nrf, instance, &wanted).await;
        let found = found.expect("the NRF answers");
        let profile = found.nf_instances.first().expect("an SMF");
        let service = profile.service(&ServiceName::NsmfPdusession);
        let smf = Candidate::new(profile, service.expect("its service"), None);
        let scp = Scp::discover(&self.nf.nrf, &nrf, instance, None).await;
        let scp = scp.expect("the NRF answers").expect("an SCP");
        (smf.expect("it says where it is"), scp)
    }

    fn session(&self, supi: &str) -> serde_json::Value {
        let status = format!("https://{}:9/namf-callback/v1/x", self.nf.instance.fqdn);
        json!({"supi": supi, "pduSessionId": 5, "dnn": "internet", "selectedDnn": "internet",
            "sNssai": {"sst": 1, "sd": "010203"}, "servingNfId": self.nf.id(),
            "guami": {"plmnId": {"mcc": "001", "mnc": "01"}, "amfId": "020040"},
            "servingNetwork": {"mcc": "001", "mnc": "01"}, "requestType": "INITIAL_REQUEST",
            "anType": "3GPP_ACCESS", "smContextStatusUri": status})
    }
}

/// Waits until the SMF's log has so many transfers that failed.
async fn await_failed_transfers(lab: &TestLab, times: usize) {
    let log = lab.folder.path().join("logs/smf.log");
    within(async {
        loop {
            let text = std::fs::read_to_string(&log).expect("the SMF's log");
            if text.matches("N1N2 transfer failed").count() >= times {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_smf_whose_amf_is_not_there_keeps_the_newest_context_of_a_session_and_serves_on() {
    let mut lab = TestLab::start(TestFolder::new(&small())).await;
    let amf = TestAmf::new(&lab).await;
    let (smf, scp) = amf.discover().await;
    let wanted = sbi::nnrf::Discover {
        nf_type: NfType::Smf,
        service: ServiceName::NsmfPdusession,
        filters: Vec::new(),
    };
    let routes = [
        Route::direct(smf.clone()),
        Route::through_to(scp.clone(), &smf).expect("an apiRoot"),
        Route::delegated(scp, NfType::Amf, wanted),
    ];
    for (number, route) in routes.iter().enumerate() {
        let connection = amf.connect(route).await;
        let exchange = Exchange::new(&connection, route, Some(&amf.agent));
        let supi = format!("imsi-00101000000000{number}");
        let create = || {
            exchange
                .request(Method::POST, CONTEXTS)
                .json(&amf.session(&supi))
        };
        let first = exchange.call(create(), PATIENCE).await.expect("201");
        await_failed_transfers(&lab, 2 * number + 1).await;
        // The same request again: the UE has one session, and what the AMF knew of it is stale.
        let second = exchange.call(create(), PATIENCE).await.expect("201");
        await_failed_transfers(&lab, 2 * number + 2).await;
        for (made, status) in [
            (first, StatusCode::NOT_FOUND),
            (second, StatusCode::NO_CONTENT),
        ] {
            let context = exchange.made(&made).expect("a Location");
            let modify = exchange
                .about(Method::POST, &context, "/modify")
                .json(&json!({}));
            let answered = exchange.call(modify, PATIENCE).await;
            let found = match answered {
                Ok(answer) => answer.status,
                Err(sbi::client::ClientError::Status { status, .. }) => status,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(found, status, "{route:?}");
        }
        connection.close().await;
    }
    let others = sessions(&mut lab).await;
    assert_all_succeed(&others);
}
