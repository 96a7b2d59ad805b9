//! SM contexts that do not become sessions, at an SMF whose NRF is a listener of the test's own.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use mtc_tls::identity::NfIdentity;
use nf_smf::config::SmfConfig;
use nf_smf::{Smf, Watching};
use sbi::client::{Connection, Request};
use sbi::model::NfType;
use sbi::nf::NetworkFunction;
use sbi::problem::ProblemDetails;
use sbi::server::{self, Peer};
use sbi::uri::Scheme;
use serde_json::json;
use test_support::nf::nrf;
use tokio::net::TcpListener;
use tokio::sync::watch;

const AMF: &str = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01";
const SMF: &str = "5b1d9a77-7d24-4b8f-9c61-2f4f0d9e1a01";
const FQDN: &str = "smf1.5gc.mnc001.mcc001.3gppnetwork.org";
const DEADLINE: Duration = Duration::from_secs(10);

/// An SMF with one place for a context and one for a transfer, which asks a UDM.
fn smf(nrf_at: std::net::SocketAddr) -> Arc<Smf> {
    let config = SmfConfig {
        max_sm_contexts: 1,
        max_transfers: 1,
        udm: true,
        ..SmfConfig::default()
    };
    let instance = test_support::nf::instance(NfType::Smf, SMF, FQDN);
    let smf = Smf::new(
        Arc::new(config),
        instance.clone(),
        nrf(nrf_at),
        Watching::Always,
    );
    smf.profile(&instance, ([127, 0, 0, 12], 7777).into());
    Arc::new(smf)
}

async fn connect(smf: &Arc<Smf>) -> Connection {
    let (client_io, server_io) = tokio::io::duplex(64 * 1024);
    let peer = Peer {
        identity: Some(NfIdentity {
            instance_id: AMF.parse().expect("a UUID"),
            nf_types: vec!["AMF".to_owned()],
            fqdns: Vec::new(),
            not_after: u64::MAX,
        }),
        ..Peer::cleartext(([127, 0, 0, 1], 1).into())
    };
    tokio::spawn(server::serve_connection(
        server_io,
        Arc::new(peer),
        smf.clone(),
        sbi::metrics::Metrics::new().requests,
        std::future::pending(),
    ));
    let connection = Connection::handshake(client_io, Scheme::Https).await;
    connection.expect("http/2")
}

fn create(session: u8) -> Request {
    let path = "/nsmf-pdusession/v1/sm-contexts";
    Request::new(Method::POST, FQDN, path).json(&json!({"supi": "imsi-001010000000001", "pduSessionId": session,
        "dnn": "internet", "sNssai": {"sst": 1, "sd": "010203"}, "servingNfId": AMF,
        "guami": {"plmnId": {"mcc": "001", "mnc": "01"}, "amfId": "020040"}, "servingNetwork": {"mcc": "001", "mnc": "01"},
        "requestType": "INITIAL_REQUEST", "anType": "3GPP_ACCESS",
        "smContextStatusUri": "https://amf1.example.org/namf-callback/v1/imsi-001010000000001/sm-context-status/5"}))
}

async fn refused(amf: &Connection, session: u8) -> (u16, Option<String>) {
    let answer = amf.send(create(session), DEADLINE).await;
    let answer = answer.expect("an answer");
    let details = ProblemDetails::from_body(&answer.body).expect("details");
    (answer.status.as_u16(), details.cause)
}

/// It was kept for a day, and nobody knew its name.
#[tokio::test]
async fn a_context_ends_whose_amf_has_given_up_waiting_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (release, mut released) = watch::channel(false);
    let (asked, mut is_asked) = watch::channel(0);
    // An NRF that says nothing, until it is told to break all connections off.
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted.expect("a connection");
                    asked.send_modify(|count| *count += 1);
                    if !*released.borrow() {
                        held.push(stream);
                    }
                }
                Ok(()) = released.changed() => held.clear(),
            }
        }
    });
    let smf = smf(at);
    let amf = connect(&smf).await;
    let waiting = tokio::spawn(async move { amf.send(create(5), DEADLINE).await });
    // That over which it hears of AMFs, and that of the search for a UDM.
    is_asked.wait_for(|count| *count >= 2).await.unwrap();
    waiting.abort();
    assert!(waiting.await.is_err());
    release.send(true).unwrap();

    let amf = connect(&smf).await;
    let busy = (503, Some("NF_CONGESTION".to_owned()));
    let answer = loop {
        let answer = refused(&amf, 6).await;
        if answer != busy {
            break answer;
        }
    };
    assert_eq!(answer, (504, Some("PEER_NOT_RESPONDING".to_owned())));
}

#[tokio::test]
async fn a_context_that_is_refused_leaves_its_place() {
    let (_socket, closed) = test_support::nf::closed_port();
    let amf = connect(&smf(closed)).await;
    for session in [5, 6, 5] {
        let silent = (504, Some("PEER_NOT_RESPONDING".to_owned()));
        assert_eq!(refused(&amf, session).await, silent);
    }
}
