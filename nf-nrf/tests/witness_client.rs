//! Witnesses of others: where they take requests and where they show checkpoints is for their operators to say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::{Method, StatusCode};
use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::id::{LogId, LogNumber};
use mtc_log::{Witness as _, WitnessError};
use nf_nrf::config::WitnessAddress;
use nf_nrf::witness_client::HttpWitness;
use sbi::checksum::sha256;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, Request, serve_cleartext};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Takes requests below `/submit`, which are counted, and shows a checkpoint below `/show`, of one log.
#[derive(Default)]
struct Operator(AtomicUsize);

const NOTE: &str = "a checkpoint";

fn log(number: u64) -> LogId {
    let number = LogNumber::new(number).expect("a log number");
    LogId::new("32473.1".parse().expect("an ID"), number).expect("a short ID")
}

impl Handler for Operator {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let shown = format!("/show/{}/checkpoint", sha256(log(1).origin().as_bytes()));
        let answer =
            |status, text: &str| Ok(Response::bytes(status, "text/plain", text.to_owned()));
        match (&request.method, &*request.path) {
            (&Method::POST, "/submit/add-checkpoint") => {
                self.0.fetch_add(1, Ordering::Relaxed);
                answer(StatusCode::BAD_REQUEST, "no old size")
            }
            (&Method::GET, path) if path == shown => answer(StatusCode::OK, NOTE),
            _ => Err(Problem::not_found("nothing here")),
        }
    }
}

async fn serve() -> (SocketAddr, Arc<Operator>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let operator = Arc::new(Operator::default());
    let serving = operator.clone();
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (tcp, remote) = listener.accept().await.expect("a connection");
            let never = std::future::pending();
            connections.spawn(serve_cleartext(tcp, remote, serving.clone(), never));
        }
    });
    (addr, operator)
}

fn witness(submission: &str, monitoring: Option<&str>) -> HttpWitness {
    let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("a key");
    let cosigner = Cosigner {
        id: "32473.2".parse().expect("an ID"),
        key: secret.public_key().expect("a public key"),
    };
    let address = WitnessAddress {
        id: cosigner.id.to_string(),
        submission_prefix: submission.parse().expect("a URL"),
        monitoring_prefix: monitoring.map(|url| url.parse().expect("a URL")),
        mirror: false,
    };
    HttpWitness::new(cosigner, &address).expect("cleartext needs no roots")
}

#[tokio::test]
async fn a_witness_may_show_checkpoints_elsewhere_than_it_takes_requests() {
    let (addr, _) = serve().await;
    let (submit, show) = (
        format!("http://{addr}/submit"),
        format!("http://{addr}/show/"),
    );
    let witness = witness(&submit, Some(&show));
    let latest = witness.latest_checkpoint(&log(1)).await.expect("an answer");
    assert_eq!(latest.as_deref(), Some(NOTE.as_bytes()));
    let none = witness.latest_checkpoint(&log(2)).await.expect("an answer");
    assert_eq!(none, None);
}

// A log of which a witness has cosigned nothing and a prefix that is somebody else's have the same status.
#[tokio::test]
async fn a_wrong_prefix_is_told_from_a_log_of_which_nothing_was_cosigned() {
    let (addr, operator) = serve().await;
    let right = witness(&format!("http://{addr}/submit"), None);
    for number in 1..4 {
        let latest = right.latest_checkpoint(&log(number)).await;
        assert!(matches!(latest, Ok(None)));
    }
    assert_eq!(operator.0.load(Ordering::Relaxed), 1, "asked once");
    let wrong = witness(&addr.to_string(), None);
    let error = wrong
        .latest_checkpoint(&log(1))
        .await
        .expect_err("no witness");
    let WitnessError::Refused {
        status: 404,
        detail,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert!(detail.contains(&format!("http://{addr}")), "{detail}");
    assert!(detail.contains("submission prefix"), "{detail}");
}
