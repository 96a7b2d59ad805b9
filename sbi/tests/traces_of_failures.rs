//! What a collector receives of requests that have no answer. One process, one subscriber: one test.

use std::net::Ipv4Addr;
use std::sync::Arc;

use hyper::{Method, StatusCode};
use sbi::client::{ClientError, Connection, Request};
use sbi::metrics::Metrics;
use sbi::operation::ServiceOperation;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{self, Handler, Peer};
use sbi::uri::Scheme;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::time::{pause, resume, timeout};

use test_support::collector::{Collector, DEADLINE, attribute};

/// Never answers.
struct Silent {
    entered: Arc<Notify>,
    given_up: mpsc::UnboundedSender<()>,
}

impl Handler for Silent {
    async fn handle(&self, _: server::Request) -> Result<Response, Problem> {
        self.entered.notify_one();
        std::future::pending().await
    }

    fn answered(&self, _: ServiceOperation, status: Option<StatusCode>) {
        assert_eq!(status, None);
        self.given_up.send(()).expect("the test listens");
    }
}

#[tokio::test]
async fn a_request_without_an_answer_is_a_failure_on_both_sides() {
    let mut collector = Collector::start().await;
    let (client, server) = tokio::io::duplex(64 * 1024);
    let entered = Arc::new(Notify::new());
    let (given_up, mut ends) = mpsc::unbounded_channel();
    let handler = Silent {
        entered: entered.clone(),
        given_up,
    };
    tokio::spawn(server::serve_connection(
        server,
        Arc::new(Peer::cleartext((Ipv4Addr::LOCALHOST, 1).into())),
        Arc::new(handler),
        Metrics::new().requests,
        std::future::pending(),
    ));
    let client = Connection::handshake(client, Scheme::Https)
        .await
        .expect("http/2");
    let request = || Request::new(Method::GET, "nrf", "/nnrf-disc/v1/nf-instances");

    // The clock jumps when there is nothing left but to wait: when the handler has the request.
    pause();
    let error = client.send(request(), DEADLINE).await;
    resume();
    assert!(matches!(error, Err(ClientError::Timeout(_))), "{error:?}");
    entered.notified().await;
    tokio::select! {
        _ = client.send(request(), DEADLINE) => panic!("nobody answers"),
        () = entered.notified() => {}
    }
    for _ in 0..2 {
        let end = timeout(DEADLINE, ends.recv()).await;
        end.expect("in time").expect("the handler is there");
    }

    let spans = collector.spans(4).await;
    let of_kind = |kind| spans.iter().filter(move |span| span["kind"] == kind);
    let (servers, clients): (Vec<_>, Vec<_>) = (of_kind(2).collect(), of_kind(3).collect());
    assert_eq!((servers.len(), clients.len()), (2, 2), "{spans:#?}");
    let is_failure = |span: &&Value| {
        attribute(span, "status")["stringValue"] == "failed" && span["status"]["code"] == 2
    };
    assert!(spans.iter().all(|span| is_failure(&span)), "{spans:#?}");
}
