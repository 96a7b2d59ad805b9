//! Several SCPs on the way, and how a way that has no end is noticed.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::{HeaderMap, Method, StatusCode};
use lab::pki;
use mtc_tls::profile::ClientAuth;
use nf_scp::config::RoutingConfig;
use nf_scp::routing::{Router, RoutingMetrics};
use sbi::body::Body;
use sbi::limits::Limits;
use sbi::listener::{Host, Hosts, bind, serve_sbi};
use sbi::metrics::Metrics;
use sbi::model::NfType;
use sbi::problem::{Problem, ProblemDetails};
use sbi::process::Stop;
use sbi::response::Response;
use sbi::server::{self, Handler};
use test_support::test_lab::TestLab;
use test_support::test_nf::{TestNf, der};
use tokio::sync::watch;

use super::{DISCOVERY, PATH, Producer, lab, told};

/// An SCP beside that of the lab, in this process.
struct Scp {
    name: String,
    _stop: watch::Sender<bool>,
}

struct Routing(Router);

impl Handler for Routing {
    const RELAYS: bool = true;

    async fn handle(&self, _: server::Request) -> Result<Response, Problem> {
        Err(Problem::system_failure())
    }

    fn relays(&self, _: &Method, _: &str, _: &HeaderMap) -> bool {
        true
    }

    async fn relay(
        &self,
        request: server::Request,
        body: Body,
    ) -> Result<hyper::Response<Body>, Problem> {
        Ok(self.0.route(&request, body).await)
    }
}

impl Scp {
    /// One that registers for a domain, and serves another one if it is mistaken.
    async fn new(lab: &TestLab, number: u16, registered: &str, served: &str) -> Self {
        let nf = TestNf::of_type(&lab.folder.lab, NfType::Scp, number);
        let issued = nf.enrol(&nf.token()).await.expect("the SCP enrols");
        nf.present(der(&issued));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (listener, at) = bind(any, "test", "listen").expect("a free port");
        let config = RoutingConfig {
            domain: served.to_owned(),
            ..RoutingConfig::default()
        };
        let metrics = RoutingMetrics::new(&Metrics::new().registry);
        let router = Router::new(nf.instance.clone(), nf.nrf.clone(), &config, metrics);
        let (stop, stopped) = Stop::new();
        tokio::spawn(serve_sbi(
            listener,
            Hosts::One(Host {
                endpoint: nf.instance.endpoint().clone(),
                handler: Arc::new(Routing(router)),
            }),
            ClientAuth::Required,
            nf.instance.ledger().clone(),
            Limits::default(),
            stopped,
        ));
        let mut profile = nf_scp::profile(&nf.instance, at, registered);
        profile.heart_beat_timer = Some(60);
        let connection = nf.connect().await.expect("the NRF answers").connection;
        let registered = nf.nrf.register(&connection, &profile).await;
        registered.expect("the SCP registers");
        Self {
            name: format!("SCP-{}", nf.instance.fqdn),
            _stop: stop,
        }
    }
}

fn cause(answer: &Response) -> (u16, Option<String>) {
    let details = ProblemDetails::from_body(&answer.body).expect("problem details");
    (answer.status.as_u16(), details.cause)
}

#[tokio::test]
async fn a_producer_of_another_domain_is_reached_through_an_scp_that_serves_it() {
    let (lab, _nearer, amf) = lab().await;
    let next = Scp::new(&lab, 110, "other", "other").await;
    let far = Producer::in_domains(&lab, 91, &["other"]).await;
    let target = ("3gpp-sbi-target-apiroot", &*far.root);
    let first = format!("2.0 SCP-{}", pki::fqdn("SCP", 1));
    let both = [first, format!("2.0 {}", next.name)];
    // It is also the most preferred of all that fit.
    for headers in [&[target][..], &DISCOVERY] {
        let answer = amf.send(Method::POST, PATH, headers).await;
        let told = told(&answer);
        assert_eq!(told["number"], 91);
        let headers = told["headers"].as_array().expect("pairs");
        let via = headers.iter().filter(|pair| pair[0] == "via");
        let via: Vec<_> = via.map(|pair| pair[1].as_str().expect("text")).collect();
        assert_eq!(via, both);
        let is_for_scps = |pair: &&serde_json::Value| {
            let name = pair[0].as_str().expect("text");
            name == "3gpp-sbi-target-apiroot" || name.starts_with("3gpp-sbi-discovery")
        };
        assert_eq!(headers.iter().find(is_for_scps), None);
    }

    // Each SCP is a hop.
    let hops = async |hops| {
        let headers = [target, ("3gpp-sbi-max-forward-hops", hops)];
        amf.send(Method::POST, PATH, &headers).await
    };
    assert_eq!(hops("2; nodetype=scp").await.status, StatusCode::OK);
    let refused = hops("1; nodetype=scp").await;
    let expected = Some("MAX_SCP_HOPS_REACHED".to_owned());
    assert_eq!(cause(&refused), (502, expected));
    assert_eq!(refused.headers["server"], next.name, "the second refuses");

    // Nobody serves the domain of this one.
    let lost = Producer::in_domains(&lab, 92, &["nowhere"]).await;
    let target = ("3gpp-sbi-target-apiroot", &*lost.root);
    let answer = amf.send(Method::POST, PATH, &[target]).await;
    let expected = Some("TARGET_NF_NOT_REACHABLE".to_owned());
    assert_eq!(cause(&answer), (504, expected));
}

#[tokio::test]
async fn a_request_that_comes_back_to_an_scp_ends_there() {
    let (lab, _nearer, amf) = lab().await;
    // Each takes the other for the one that serves the domain.
    let _one = Scp::new(&lab, 110, "x", "a").await;
    let _other = Scp::new(&lab, 111, "x", "b").await;
    let far = Producer::in_domains(&lab, 91, &["x"]).await;
    let target = ("3gpp-sbi-target-apiroot", &*far.root);
    let answer = amf.send(Method::POST, PATH, &[target]).await;
    assert_eq!(answer.status, StatusCode::LOOP_DETECTED);
    let hops = ("3gpp-sbi-max-forward-hops", "2; nodetype=scp");
    let answer = amf.send(Method::POST, PATH, &[target, hops]).await;
    let expected = Some("MAX_SCP_HOPS_REACHED".to_owned());
    assert_eq!(cause(&answer), (502, expected));
}
