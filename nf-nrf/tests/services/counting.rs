//! The counters of TS 28.552 and of enrolments, for requests over real HTTP/2: one for each request, however it ends.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use hyper::http::HeaderValue;
use mtc_tls::identity::{CertificateId, NfIdentity};
use nf_nrf::bootstrapping::Bootstrapping;
use nf_nrf::discovery::Discovery;
use nf_nrf::management::Management;
use nf_nrf::registry::{Registry, Settings, SharedRegistry};
use nf_nrf::services::Services;
use sbi::client::{Connection, Request};
use sbi::metrics::Exposition;
use sbi::response::{JSON, JSON_PATCH, Response};
use sbi::server::{MAX_BODY, Peer, serve_connection};
use sbi::uri::Scheme;
use serde_json::json;
use tempfile::TempDir;

use crate::mtca::Service;
use crate::nrf::{AMF_FQDN, AMF_ID, api_root, instance, notifier, profile, request, subscribing};

/// An NRF with all its services, and the AMF's connection to it.
pub(crate) struct Scene {
    mtca: Service,
    amf: Connection,
    _folder: TempDir,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let mtca = Service::start();
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::new(Settings::default());
        let registry = Arc::new(SharedRegistry::new(registry, Box::new(|_| {})));
        let services = Services::new(
            Management::new(registry.clone(), api_root()),
            subscribing(
                &Arc::new(notifier(&folder, &sbi::metrics::Registry::default())),
                &registry,
            ),
            Discovery::new(registry, 60),
            Bootstrapping::new(AMF_ID.parse().expect("an ID"), &api_root(), false),
            mtca.enrolment.clone(),
        );
        let identity = NfIdentity {
            instance_id: AMF_ID.parse().expect("an ID"),
            nf_types: vec!["AMF".to_owned()],
            fqdns: vec![AMF_FQDN.to_owned()],
            not_after: u64::MAX,
        };
        let peer = Peer {
            expired: None,
            certificate: Some(CertificateId::new(&[], &[])),
            identity: Some(identity),
            remote: ([127, 0, 0, 1], 1).into(),
            profile: None,
        };
        let (client, server) = tokio::io::duplex(64 * 1024);
        tokio::spawn(serve_connection(
            server,
            Arc::new(peer),
            Arc::new(services),
            mtca.ledger.metrics().requests.clone(),
            std::future::pending(),
        ));
        let amf = Connection::handshake(client, Scheme::Https).await;
        Self {
            amf: amf.expect("http/2"),
            _folder: folder,
            mtca,
        }
    }

    pub(crate) async fn answer(&self, request: Request) -> Response {
        let answered = self.amf.send(request, Duration::from_secs(10)).await;
        answered.expect("an answer")
    }

    async fn send(&self, request: Request) -> u16 {
        self.answer(request).await.status.as_u16()
    }

    /// The counters of TS 28.552 and of enrolments that are not 0, by name.
    fn counted(&self) -> Vec<(String, u64)> {
        let registry = &self.mtca.ledger.metrics().registry;
        let text = Exposition::Prometheus.encode(&registry.gather());
        let lines = text
            .lines()
            .filter(|line| line.starts_with("NFS_") || line.starts_with("mtc_enrolments"));
        let counters = lines.map(|line| {
            let (name, value) = line.split_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        });
        counters.filter(|(_, value)| *value > 0).collect()
    }
}

fn counts(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    let owned = expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value));
    owned.collect()
}

#[tokio::test]
async fn a_registration_whose_body_is_too_long_is_one_that_cannot_be_used() {
    let scene = Scene::new().await;
    let body = vec![b' '; MAX_BODY + 1];
    let registering = request(Method::PUT, &instance(AMF_ID));
    let registering = registering.body(HeaderValue::from_static(JSON), body);
    assert_eq!(scene.send(registering).await, 413);
    let expected = [("NFS_RegFailEncodeErr_total", 1), ("NFS_RegReq_total", 1)];
    assert_eq!(scene.counted(), counts(&expected));
}

#[tokio::test]
async fn each_request_is_counted_once_under_its_operation() {
    let scene = Scene::new().await;
    let profile = profile("AMF", AMF_ID, AMF_FQDN, "namf-comm", json!({}));
    let registering = request(Method::PUT, &instance(AMF_ID)).json_as(JSON, &profile);
    assert_eq!(scene.send(registering).await, 201);
    let updating = request(Method::PATCH, &instance(AMF_ID)).json_as(JSON_PATCH, &json!([{}]));
    assert_eq!(scene.send(updating).await, 400);
    let discovering = request(Method::GET, "/nnrf-disc/v1/nf-instances");
    assert_eq!(scene.send(discovering).await, 400);
    let retrieving = request(Method::GET, &instance(AMF_ID));
    assert_eq!(scene.send(retrieving).await, 200);
    let enrolling = request(Method::POST, "/nnrf-cm/v1/certificates").json_as(JSON, &json!({}));
    assert_eq!(scene.send(enrolling).await, 400);
    let expected = [
        ("NFS_DiscFailInputErr_total", 1),
        ("NFS_DiscReq_total", 1),
        ("NFS_RegReq_total", 1),
        ("NFS_RegSucc_total", 1),
        ("NFS_UpdateFailEncodeErr_total", 1),
        ("NFS_UpdateReq_total", 1),
        (
            "mtc_enrolments_total{protocol=\"nnrf-cm\",result=\"refused\"}",
            1,
        ),
    ];
    assert_eq!(scene.counted(), counts(&expected));
}
