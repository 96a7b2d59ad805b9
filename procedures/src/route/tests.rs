use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use hyper::StatusCode;
use hyper::header::{HeaderValue, USER_AGENT};
use sbi::header::TARGET_API_ROOT;
use sbi::model::{NfInstanceId, NfProfile, NfService, ScpInfo};
use sbi::problem::Problem;
use sbi::server::{self, Handler, Peer};

use super::*;

const SCP: &str = "scp1.example.org:7777";
const TIME: Duration = Duration::from_secs(5);

fn udm() -> Candidate {
    let mut service = NfService::new(ServiceName::NudmUecm);
    service.ip_end_points = vec![SocketAddr::from(([127, 0, 0, 31], 7777)).into()];
    service.api_prefix = Some("/edge".to_owned());
    let profile = NfProfile::new(NfInstanceId::random(), NfType::Udm, "udm1.example.org");
    Candidate::new(&profile, &service, None).expect("it says where it is")
}

fn scp() -> Scp {
    let mut profile = NfProfile::new(NfInstanceId::random(), NfType::Scp, "scp1.example.org");
    profile.ipv4_addresses = vec![[127, 0, 0, 9].into()];
    profile.scp_info = Some(ScpInfo {
        scp_ports: [("https".to_owned(), 7777)].into(),
        ..ScpInfo::default()
    });
    Scp::of(&profile).expect("it says where it is")
}

fn delegated() -> Route {
    let wanted = Discover {
        nf_type: NfType::Udm,
        service: ServiceName::NudmUecm,
        filters: Vec::new(),
    };
    Route::delegated(scp(), NfType::Amf, wanted)
}

/// Answers as it is told, and keeps what it was asked.
#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<Response>>,
    asked: Mutex<Vec<server::Request>>,
}

impl Handler for Scripted {
    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        self.asked.lock().expect("no holder panics").push(request);
        let answer = self.answers.lock().expect("no holder panics").pop_front();
        Ok(answer.unwrap_or_else(Response::no_content))
    }
}

async fn connected(answers: Vec<Response>) -> (Connection, Arc<Scripted>) {
    let scripted = Arc::new(Scripted {
        answers: Mutex::new(answers.into()),
        ..Scripted::default()
    });
    let (client, served) = tokio::io::duplex(64 * 1024);
    tokio::spawn(server::serve_connection(
        served,
        Arc::new(Peer::cleartext(([127, 0, 0, 1], 1).into())),
        scripted.clone(),
        sbi::metrics::Metrics::new().requests,
        std::future::pending(),
    ));
    let connection = Connection::handshake(client, Scheme::Https).await;
    (connection.expect("http/2"), scripted)
}

fn target(request: &Request) -> Option<&str> {
    let target = request.headers.get(TARGET_API_ROOT)?;
    Some(target.to_str().expect("visible ASCII"))
}

#[tokio::test]
async fn a_producer_is_called_by_its_name_below_its_prefix() {
    let (connection, _) = connected(Vec::new()).await;
    let route = Route::direct(udm());
    let exchange = Exchange::new(&connection, &route, None);
    let request = exchange.request(Method::GET, "/nudm-uecm/v1/x");
    assert_eq!(request.authority, "udm1.example.org:7777");
    assert_eq!(request.path, "/edge/nudm-uecm/v1/x");
    assert_eq!(target(&request), None);
    assert_eq!(route.destination().along, [NfType::Udm]);
    let root = exchange.producer().map(|root| root.to_string());
    assert_eq!(root.as_deref(), Some("https://udm1.example.org:7777/edge"));
}

#[tokio::test]
async fn through_an_scp_the_request_names_its_producer() {
    let (connection, _) = connected(Vec::new()).await;
    let route = Route::through_to(scp(), &udm()).expect("an apiRoot");
    let exchange = Exchange::new(&connection, &route, None);
    let request = exchange.request(Method::GET, "/nudm-uecm/v1/x");
    assert_eq!(request.authority, SCP);
    assert_eq!(request.path, "/nudm-uecm/v1/x");
    let root = "https://udm1.example.org:7777/edge";
    assert_eq!(target(&request), Some(root));
    let destination = route.destination();
    assert_eq!(destination.along, [NfType::Scp, NfType::Udm]);
    assert_eq!(destination.expected.fqdn, "scp1.example.org");
}

#[tokio::test]
async fn after_the_scp_has_found_a_producer_its_name_is_in_the_requests() {
    let found = HeaderValue::from_static("https://udm2.example.org:7777/edge");
    let answers = vec![Response::no_content().with(TARGET_API_ROOT, found)];
    let (connection, scripted) = connected(answers).await;
    let (route, agent) = (delegated(), "AMF-amf1.example.org".parse());
    let agent: UserAgent = agent.expect("a User-Agent");
    let exchange = Exchange::new(&connection, &route, Some(&agent));
    let first = exchange.request(Method::GET, "/nudm-uecm/v1/x");
    assert_eq!((target(&first), exchange.producer()), (None, None));
    let asked = &first.headers["3gpp-sbi-discovery-target-nf-type"];
    assert_eq!(asked, "UDM");
    exchange.call(first, TIME).await.expect("204");
    let next = exchange.request(Method::GET, "/nudm-uecm/v1/y");
    assert_eq!(target(&next), Some("https://udm2.example.org:7777/edge"));
    assert!(
        !next
            .headers
            .contains_key("3gpp-sbi-discovery-target-nf-type")
    );
    let onwards = exchange.onwards();
    let later = Exchange::new(&connection, &onwards, None);
    let request = later.request(Method::GET, "/nudm-uecm/v1/z");
    assert_eq!(target(&request), Some("https://udm2.example.org:7777/edge"));
    let asked = scripted.asked.lock().expect("no holder panics");
    assert_eq!(asked[0].headers[USER_AGENT], "AMF-amf1.example.org");
}

#[tokio::test]
async fn what_a_producer_has_made_is_asked_about_at_its_own_root() {
    let uri = "https://udm2.example.org:7777/edge/nudm-uecm/v1/x/7";
    let made = Response {
        status: StatusCode::CREATED,
        ..Response::no_content().with(LOCATION, HeaderValue::from_static(uri))
    };
    let (connection, _) = connected(vec![made]).await;
    let route = delegated();
    let exchange = Exchange::new(&connection, &route, None);
    let request = exchange.request(Method::POST, "/nudm-uecm/v1/x");
    let answer = exchange.call(request, TIME).await.expect("201");
    let resource = exchange.made(&answer).expect("a Location");
    let about = exchange.about(Method::POST, &resource, "/delete");
    assert_eq!(about.path, "/edge/nudm-uecm/v1/x/7/delete");
    assert_eq!(target(&about), Some("https://udm2.example.org:7777"));
    // The name of the service in the path tells where the prefix ends.
    let root = exchange.producer().map(|root| root.to_string());
    assert_eq!(root.as_deref(), Some("https://udm2.example.org:7777/edge"));
}

#[tokio::test]
async fn a_resource_elsewhere_or_nowhere_is_refused() {
    let (connection, _) = connected(Vec::new()).await;
    let elsewhere = "https://udm2.example.org:7777/edge/nudm-uecm/v1/x/7";
    for route in [
        Route::direct(udm()),
        Route::through_to(scp(), &udm()).expect("an apiRoot"),
    ] {
        let exchange = Exchange::new(&connection, &route, None);
        let here = exchange.resource("https://UDM1.example.org:7777/edge/nudm-uecm/v1/x/7");
        assert_eq!(here.expect("its own").path, "/edge/nudm-uecm/v1/x/7");
        let foreign = exchange.resource(elsewhere);
        assert!(matches!(foreign, Err(ResourceError::Foreign(_))));
        let none = exchange.made(&Response::no_content());
        assert_eq!(none, Err(ResourceError::Missing));
        assert!(matches!(
            exchange.resource("/x"),
            Err(ResourceError::Uri(_))
        ));
    }
    let route = delegated();
    let exchange = Exchange::new(&connection, &route, None);
    assert!(exchange.resource(elsewhere).is_ok());
    let cleartext = exchange.resource("http://udm2.example.org:7777/x");
    assert!(matches!(cleartext, Err(ResourceError::Foreign(_))));
}
