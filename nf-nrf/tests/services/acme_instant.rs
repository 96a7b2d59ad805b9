//! A client for Merkle Tree Certificates on `instant-acme`, a library of others: what it takes beyond RFC 8555 to have both forms of one.
//!
//! ```text
//!  instant_acme::Account ── HttpClient ──> Wire ── adds Accept, notes Link, status and body ── TLS ──> the port
//! ```
//!
//! The library knows neither the media type with properties nor alternates. Both are the business of what carries its requests: that asks for
//! the type and notes the links. An alternate is read as an order would be, by a signed request without payload, and found in what was noted.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, LINK, RETRY_AFTER};
use hyper::http::HeaderValue;
use hyper::{HeaderMap, StatusCode};
use hyper_util::rt::TokioIo;
use instant_acme::{
    Account, BodyWrapper, BytesResponse, Error, ExternalAccountKey, HttpClient, Identifier,
    NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use mtc_core::certificate::Certificate;
use mtc_tls::key::{KeyAlgorithm, NfKey};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use sbi::enrolment::MTC_PROFILE;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::acme::{FQDN, NRF_FQDN, PORT, Scene, WITH_PROPERTIES};
use crate::acme_client::request;

/// What carries requests.
#[derive(Clone)]
struct Wire {
    port: SocketAddr,
    tls: TlsConnector,
    last: Arc<Mutex<Option<Noted>>>,
}

/// What the last answer was.
struct Noted {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

impl Wire {
    /// To the port, below whose `root` its certificate is.
    fn new(port: SocketAddr, root: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(root.to_vec().into()).expect("a root");
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = ClientConfig::builder_with_provider(provider.into());
        let config = config
            .with_safe_default_protocol_versions()
            .expect("versions");
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Self {
            port,
            tls: TlsConnector::from(Arc::new(config)),
            last: Arc::default(),
        }
    }

    async fn carry(
        &self,
        mut request: hyper::Request<BodyWrapper<Bytes>>,
    ) -> Result<BytesResponse, AnyError> {
        let target = request
            .uri()
            .path_and_query()
            .ok_or("no path")?
            .as_str()
            .parse()?;
        let host = HeaderValue::from_str(request.uri().authority().ok_or("no host")?.as_str())?;
        *request.uri_mut() = target;
        request.headers_mut().insert(HOST, host);
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static(WITH_PROPERTIES));
        let tcp = TcpStream::connect(self.port).await?;
        let stream = self
            .tls
            .connect(ServerName::try_from(NRF_FQDN)?, tcp)
            .await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut connections = JoinSet::new();
        connections.spawn(connection);
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        *self.last.lock().expect("no panic") = Some(Noted {
            status: parts.status,
            headers: parts.headers.clone(),
            body: body.clone(),
        });
        Ok(hyper::Response::from_parts(parts, Full::new(body)).into())
    }

    fn last(&self) -> Noted {
        self.last
            .lock()
            .expect("no panic")
            .take()
            .expect("an answer")
    }

    /// Reads a URL with a signed request.
    async fn read(&self, account: &Account, url: &str) -> Noted {
        // No order, and no matter.
        let _ = account.order(url.to_owned()).await;
        self.last()
    }
}

impl HttpClient for Wire {
    fn request(
        &self,
        request: hyper::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let wire = self.clone();
        Box::pin(async move { wire.carry(request).await.map_err(Error::Other) })
    }
}

/// The certificate in a PEM text with properties before it.
fn leaf(text: &[u8]) -> Vec<u8> {
    assert!(text.starts_with(b"-----BEGIN CERTIFICATE PROPERTIES-----\n"));
    let der = rustls::pki_types::CertificateDer::from_pem_slice(text);
    der.expect("a certificate").to_vec()
}

#[tokio::test]
async fn both_forms_of_a_merkle_tree_certificate_are_had_with_a_library_of_others() {
    let scene = Scene::start().await;
    let mut serving = JoinSet::new();
    let port = scene.serve_https(&mut serving).await;
    let wire = Wire::new(port, scene.service.enrolment.baselines[0].root());
    let minted = scene.mint();
    let external = ExternalAccountKey::new(minted.key_id, &minted.mac_key);
    let wanted = NewAccount {
        contact: &[],
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let directory = format!("https://{NRF_FQDN}:{PORT}/acme/directory");
    let account = Account::builder_with_http(Box::new(wire.clone())).create(
        &wanted,
        directory,
        Some(&external),
    );
    let (account, _) = account.await.expect("an account");
    assert!(
        account
            .profiles()
            .any(|profile| profile.name == MTC_PROFILE)
    );

    let identifiers = [Identifier::Dns(FQDN.to_owned())];
    let wanted = NewOrder::new(&identifiers).profile(MTC_PROFILE);
    let mut order = account.new_order(&wanted).await.expect("an order");
    assert_eq!(order.state().status, OrderStatus::Ready);
    let key = NfKey::generate(KeyAlgorithm::EcdsaP256).expect("randomness");
    let csr = request(&key, None, &[FQDN]);
    order.finalize_csr(&csr).await.expect("finalised");
    let standalone = order
        .poll_certificate(&RetryPolicy::default())
        .await
        .expect("issued");
    let noted = wire.last();
    let standalone = leaf(standalone.as_bytes());
    scene.service.trust().verify_issuance(&standalone).unwrap();

    let links = noted
        .headers
        .get_all(LINK)
        .iter()
        .map(|link| link.to_str().expect("text"));
    let alternate = links
        .filter_map(|link| link.strip_suffix(">;rel=\"acme-optional-alternate\""))
        .next();
    let alternate = alternate.expect("a link").trim_start_matches('<');
    let early = wire.read(&account, alternate).await;
    assert_eq!(early.status, StatusCode::ACCEPTED);
    assert!(early.headers.contains_key(RETRY_AFTER));
    // What the client would wait for.
    scene.service.allocate_first_landmark().await;
    let ready = wire.read(&account, alternate).await;
    assert_eq!(ready.status, StatusCode::OK);
    let relative = leaf(&ready.body);
    assert!(
        Certificate::parse(&relative)
            .expect("an MTC")
            .is_landmark_relative()
    );
    scene
        .service
        .trust_in_landmarks()
        .verify_issuance(&relative)
        .unwrap();
    assert!(relative.len() < standalone.len());
}
