//! The ACME port, asked by a client that sends what it likes.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::{HeaderMap, Method};
use mtc_core::id::{LandmarkNumber, LogId, LogNumber};
use mtc_core::properties::CertificateProperties;
use mtc_core::x509::Certificate;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{Credential, CredentialSet, MtcTrust, Store, X509Credential, X509Trust};
use mtc_tls::csr::{self, Csr};
use mtc_tls::https::HttpsServer;
use mtc_tls::identity::{CertificateId, NfIdentity, NfSubject};
use mtc_tls::key::{KeyAlgorithm, NfKey};
use nf_nrf::acme_port::{AcmePort, Place};
use nf_nrf::enrolment_token::SharedSecrets;
use nf_nrf::files::PrivateFolder;
use sbi::enrolment::MTC_PROFILE;
use sbi::enrolment_claims::{ACME_ISSUER, CMP_ISSUER, EnrolmentClaims};
use sbi::limits::Limits;
use sbi::listener::serve_https;
use sbi::process::Stop;
use sbi::response::Response;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::acme_client::{
    Client, alg, binding, binding_to, body, dns, encode, jose_json, jwk, link, location, nonce,
    path, request, sign, text, url,
};
use crate::mtca::{BASELINE, HOME_DOMAIN, LANDMARK_INTERVAL, LIFETIME, Service};

pub(crate) const AMF: Uuid = Uuid::from_u128(0x0a3f_5c1e_7d24_4b8f_9c61_2f4f_0d9e_1a01);
const NRF: Uuid = Uuid::from_u128(0x5b1d_9a77_0000_4000_8000_0000_0000_00ff);
pub(crate) const FQDN: &str = "amf1.5gc.mnc001.mcc001.3gppnetwork.org";
const SECOND_FQDN: &str = "amf1-mgmt.5gc.mnc001.mcc001.3gppnetwork.org";
pub(crate) const NRF_FQDN: &str = "nrf1.5gc.mnc001.mcc001.3gppnetwork.org";
/// The port that clients are told, wherever it is.
pub(crate) const PORT: u16 = 7781;
pub(crate) const X509: &str = "x509-ecdsa-p256-intermediate";
const LOGS: &str = "http://127.0.0.10:7778";
const PROPERTIES: &str = "application/pem-certificate-chain-with-properties";
/// As clients that know properties and can do without say it.
pub(crate) const WITH_PROPERTIES: &str =
    "application/pem-certificate-chain-with-properties, application/pem-certificate-chain;q=0.5";
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// An NRF with an ACME port.
pub(crate) struct Scene {
    pub(crate) service: Service,
    pub(crate) port: Arc<AcmePort>,
    store: Store,
    folder: TempDir,
}

/// An external account.
pub(crate) struct Minted {
    pub(crate) key_id: String,
    pub(crate) mac_key: Zeroizing<Vec<u8>>,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let service = Service::start();
        let key = NfKey::generate(KeyAlgorithm::EcdsaP256).expect("randomness");
        let fqdn = NRF_FQDN.to_owned();
        let request = csr::create(&key, NRF, std::slice::from_ref(&fqdn)).expect("it signs");
        let request = Csr::parse_and_verify(&request).expect("a request");
        let subject = NfSubject::new("DE", HOME_DOMAIN, NRF, &["NRF".to_owned()], &[fqdn]);
        let subject = subject.expect("a subject");
        let root = service.enrolment.baselines[0].root().to_vec();
        let trust = X509Trust::new(BASELINE, &root).expect("a root");
        let mut set = CredentialSet::new(MtcTrust::new(service.trust()), vec![trust]);
        let issued = service.enrolment.certify(X509, &request, &subject).await;
        let chain = issued.expect("issued").chain_der().expect("a chain");
        let not_after = Clock::default().now().plus(LIFETIME);
        set.x509.push(X509Credential {
            profile: BASELINE,
            credential: Credential::new(chain, &key, not_after).expect("of this key"),
        });
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            port: Arc::new(port(&service, &folder)),
            service,
            store: Store::new(set),
            folder,
        }
    }

    /// As after a restart.
    pub(crate) fn restart(&mut self) {
        self.port = Arc::new(port(&self.service, &self.folder));
    }

    /// What the authority mints for the AMF.
    pub(crate) fn mint(&self) -> Minted {
        self.mint_of(&claims())
    }

    pub(crate) fn mint_of(&self, claims: &EnrolmentClaims) -> Minted {
        Minted {
            key_id: self.service.authority.mint(claims),
            mac_key: SharedSecrets::new(KEY).expect("a key").mac_key(claims.jti),
        }
    }

    /// Serves the port; where it is.
    pub(crate) async fn serve_https(&self, serving: &mut JoinSet<()>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("bound");
        let server = HttpsServer::new(self.store.receiver());
        let (raise, stop) = Stop::new();
        let serve = serve_https(listener, server, self.port.clone(), Limits::default(), stop);
        serving.spawn(async move {
            serve.await;
            drop(raise);
        });
        addr
    }

    /// Whether a certificate was revoked.
    pub(crate) fn is_revoked(&self, certificate: &[u8]) -> bool {
        let certificate = Certificate::parse(certificate).expect("a certificate");
        let id = CertificateId::new(certificate.statement.issuer, certificate.serial);
        self.service.enrolment.revoked.contains(&id)
    }
}

fn port(service: &Service, folder: &TempDir) -> AcmePort {
    let open = |name: &str| PrivateFolder::open(folder.path().join(name)).expect("a folder");
    let place = Place {
        root: format!("https://{NRF_FQDN}:{PORT}"),
        logs: LOGS.to_owned(),
        ca_certificate: service.ca_certificate(),
    };
    let secrets = SharedSecrets::new(KEY).expect("a key");
    AcmePort::new(service.enrolment.clone(), secrets, &open("acme"), place)
        .expect("a readable folder")
}

pub(crate) fn claims() -> EnrolmentClaims {
    EnrolmentClaims {
        iss: ACME_ISSUER.to_owned(),
        sub: AMF,
        nf_type: "AMF".to_owned(),
        fqdn: vec![FQDN.to_owned(), SECOND_FQDN.to_owned()],
        exp: Clock::default().unix_seconds() + 3600,
        jti: Uuid::new_v4(),
    }
}

/// An answer is this error, says this, and brings a nonce for the next request.
fn refused(answer: &Response, status: u16, kind: &str, detail: &str) {
    let said = text(answer);
    assert_eq!(answer.status, status, "{said}");
    let expected = format!("urn:ietf:params:acme:error:{kind}");
    assert_eq!(body(answer)["type"], expected, "{said}");
    assert!(said.contains(detail), "{said}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert!(!nonce(answer).is_empty());
}

fn is_the_amf(certificate: &[u8], fqdns: &[&str]) {
    let identity = NfIdentity::from_certificate(certificate).expect("names an NF");
    assert_eq!(identity.instance_id, AMF);
    assert_eq!(identity.nf_types, ["AMF"]);
    assert_eq!(identity.fqdns, fqdns);
}

/// The blocks of a PEM text: label and DER each.
fn blocks(answer: &Response) -> Vec<(String, Vec<u8>)> {
    assert_eq!(answer.status, 200, "{}", text(answer));
    let text = text(answer);
    let blocks = text.split_terminator("-----END").filter_map(|block| {
        let (label, base64) = block.split_once("-----BEGIN ")?.1.split_once("-----\n")?;
        let base64: String = base64.split_whitespace().collect();
        Some((label.to_owned(), STANDARD.decode(base64).expect("base64")))
    });
    blocks.collect()
}

#[tokio::test]
async fn an_order_brings_a_merkle_tree_certificate_and_is_found_again() {
    let mut scene = Scene::start().await;
    let mut client = Client::bound(&scene).await;
    let wanted = json!({"identifiers": [dns(SECOND_FQDN), dns(&FQDN.to_uppercase())]});
    let ordered = client.post("/acme/new-order", &wanted).await;
    assert_eq!(ordered.status, 201, "{}", text(&ordered));
    let (order, shown) = (path(&location(&ordered)), body(&ordered));
    assert_eq!(
        (&shown["status"], &shown["profile"]),
        (&json!("ready"), &json!("mtc"))
    );
    for (number, name) in [SECOND_FQDN, FQDN].into_iter().enumerate() {
        let authorization = shown["authorizations"][number].as_str().expect("a URL");
        let authorization = body(&client.read(&path(authorization)).await);
        assert_eq!(authorization["status"], "valid");
        assert_eq!(authorization["identifier"], dns(name));
        assert_eq!(authorization["challenges"], json!([]));
    }

    let key = NfKey::generate(KeyAlgorithm::MlDsa65).expect("randomness");
    let csr = request(&key, Some(AMF), &[FQDN, SECOND_FQDN]);
    let finalized = body(&client.finalize(&order, &csr).await);
    assert_eq!(finalized["status"], "valid", "{finalized}");
    assert_eq!(finalized["finalize"], url(&format!("{order}/finalize")));
    let certificate = path(finalized["certificate"].as_str().expect("a URL"));

    let first = client.read(&certificate).await;
    assert_eq!(
        first.headers["content-type"],
        "application/pem-certificate-chain"
    );
    let chain = blocks(&first);
    let labels: Vec<_> = chain.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!(labels, ["CERTIFICATE", "CERTIFICATE"]);
    assert_eq!(chain[1].1, scene.service.ca_certificate());
    is_the_amf(&chain[0].1, &[SECOND_FQDN, FQDN]);
    scene.service.trust().verify_issuance(&chain[0].1).unwrap();
    assert_eq!(link(&first, "collection"), Some(format!("{LOGS}/1/")));
    assert_eq!(link(&first, "index"), Some(url("/acme/directory")));

    // The answer was lost, with the NRF: the same order and request bring the same certificate.
    scene.restart();
    client.follow(&scene);
    let again = body(&client.finalize(&order, &csr).await);
    assert_eq!(again, finalized);
    assert_eq!(client.read(&certificate).await.body, first.body);
    let other = request(&key, Some(AMF), &[FQDN]);
    refused(
        &client.finalize(&order, &other).await,
        400,
        "badCSR",
        SECOND_FQDN,
    );
    let other = NfKey::generate(KeyAlgorithm::EcdsaP256).expect("randomness");
    let other = request(&other, None, &[FQDN, SECOND_FQDN]);
    refused(
        &client.finalize(&order, &other).await,
        403,
        "orderNotReady",
        "valid",
    );
    let account = path(&client.account.clone().expect("bound"));
    let orders = body(&client.read(&format!("{account}/orders")).await);
    assert_eq!(orders["orders"], json!([url(&order)]));
}

#[tokio::test]
async fn the_alternate_is_accepted_first_and_then_the_landmark_relative_certificate() {
    let scene = Scene::start().await;
    let client = Client::bound(&scene).await;
    let (certificate, key) = client.enrol(MTC_PROFILE).await;
    let standalone = client.read_as(&certificate, Some(WITH_PROPERTIES)).await;
    assert_eq!(standalone.headers["content-type"], PROPERTIES);
    let chain = blocks(&standalone);
    assert_eq!(chain.len(), 2);
    assert_eq!(chain[0].0, "CERTIFICATE PROPERTIES");
    let properties = CertificateProperties::parse(&chain[0].1).expect("properties");
    let ca = "32473.1".parse().expect("an ID");
    assert_eq!(properties, CertificateProperties::standalone(&ca));

    let alternate = link(&standalone, "acme-optional-alternate").expect("a link");
    let alternate = path(&alternate);
    let early = client.read_as(&alternate, Some(WITH_PROPERTIES)).await;
    assert_eq!(early.status, 202, "{}", text(&early));
    let seconds: u64 = early.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        (1..=LANDMARK_INTERVAL.as_secs()).contains(&seconds),
        "{seconds}"
    );

    scene.service.allocate_first_landmark().await;
    let ready = client.read_as(&alternate, Some(WITH_PROPERTIES)).await;
    assert_eq!(ready.headers["content-type"], PROPERTIES);
    let chain = blocks(&ready);
    let properties = CertificateProperties::parse(&chain[0].1).expect("properties");
    let log = LogId::new(ca, LogNumber::FIRST).expect("a log");
    let landmark = CertificateProperties::landmark_relative(&log, LandmarkNumber(1));
    assert_eq!(properties, landmark.expect("an ID"));
    let leaf = &chain[1].1;
    let parsed = Certificate::parse(leaf).expect("a certificate");
    assert!(
        mtc_core::certificate::Certificate::parse(leaf)
            .expect("an MTC")
            .is_landmark_relative()
    );
    assert_eq!(parsed.spki, key.spki_der());
    scene
        .service
        .trust_in_landmarks()
        .verify_issuance(leaf)
        .unwrap();
    assert_eq!(link(&ready, "collection"), Some(format!("{LOGS}/1/")));
    let plain = blocks(&client.read(&alternate).await);
    assert_eq!(plain, [("CERTIFICATE".to_owned(), leaf.clone())]);
}

#[tokio::test]
async fn an_x509_certificate_has_a_chain_and_neither_properties_nor_alternate() {
    let scene = Scene::start().await;
    let client = Client::bound(&scene).await;
    let (certificate, _) = client.enrol(X509).await;
    let answer = client.read_as(&certificate, Some(WITH_PROPERTIES)).await;
    let chain = blocks(&answer);
    assert_eq!(chain.len(), 2);
    is_the_amf(&chain[0].1, &[FQDN]);
    assert_eq!(link(&answer, "acme-optional-alternate"), None);
    let alternate = client
        .read(&format!("{certificate}/landmark-relative"))
        .await;
    refused(&alternate, 404, "malformed", "landmark");
}

#[tokio::test]
async fn the_directory_says_where_everything_is() {
    let scene = Scene::start().await;
    let client = Client::new(&scene, KeyAlgorithm::Ed25519);
    let get = async |path: &str| {
        let answer = client
            .send(Method::GET, path, HeaderMap::new(), Vec::new())
            .await;
        (answer.status.as_u16(), body(&answer))
    };
    let (status, all) = get("/acme/directory").await;
    assert_eq!(status, 200);
    assert_eq!(all["newNonce"], url("/acme/new-nonce"));
    assert_eq!(all["meta"]["externalAccountRequired"], true);
    let profiles = all["meta"]["profiles"].as_object().expect("profiles");
    assert_eq!(profiles.keys().collect::<Vec<_>>(), ["mtc", X509]);
    let (_, of_profile) = get(&format!("/acme/p/{X509}/directory")).await;
    assert_eq!(
        of_profile["newOrder"],
        url(&format!("/acme/p/{X509}/new-order"))
    );
    assert_eq!(get("/acme/p/x509-ed25519-direct/directory").await.0, 404);
    assert_eq!(get("/acme/new-nonce").await.0, 204);
    assert_eq!(get("/acme/new-account").await.0, 405);
    assert_eq!(get("/acme").await.0, 404);
}

#[tokio::test]
async fn a_nonce_is_good_once_and_only_if_it_was_made_here() {
    let scene = Scene::start().await;
    let client = Client::bound(&scene).await;
    let account = path(&client.account.clone().expect("bound"));
    let header = client.header(&account).await;
    let jws = sign(&client.key, &header, "");
    assert_eq!(client.post_jws(&account, &jws).await.status, 200);
    let replayed = client.post_jws(&account, &jws).await;
    refused(&replayed, 400, "badNonce", "used before");
    let mut fresh = header.clone();
    fresh["nonce"] = json!(nonce(&replayed));
    let answer = client
        .post_jws(&account, &sign(&client.key, &fresh, ""))
        .await;
    assert_eq!(answer.status, 200);
    for nonce in [json!(null), json!(""), json!(encode([7; 32]))] {
        let mut header = header.clone();
        header["nonce"] = nonce;
        let answer = client
            .post_jws(&account, &sign(&client.key, &header, ""))
            .await;
        refused(&answer, 400, "badNonce", "nonce");
    }
}

#[tokio::test]
async fn a_request_that_is_not_signed_as_it_must_be_is_refused() {
    let scene = Scene::start().await;
    let client = Client::bound(&scene).await;
    let other = Client::bound(&scene).await;
    let account = path(&client.account.clone().expect("bound"));
    let header = client.header(&account).await;
    let with = |member: &str, value: Value| {
        let mut header = header.clone();
        header[member] = value;
        header
    };
    let unknown = url(&format!("/acme/account/{}", Uuid::new_v4()));
    for (header, status, kind, detail) in [
        (
            with("url", json!(url("/acme/key-change"))),
            401,
            "unauthorized",
            "url",
        ),
        (with("url", json!(account)), 401, "unauthorized", "url"),
        (
            with("alg", json!("none")),
            400,
            "badSignatureAlgorithm",
            "ML-DSA-65",
        ),
        (
            with("alg", json!("HS256")),
            400,
            "badSignatureAlgorithm",
            "ES256",
        ),
        (
            with("alg", json!("ES256")),
            401,
            "unauthorized",
            "signature",
        ),
        (
            with("kid", json!(unknown)),
            400,
            "accountDoesNotExist",
            "no account",
        ),
        (
            with("kid", json!(null)),
            400,
            "malformed",
            "one of jwk and kid",
        ),
        (
            with("kid", json!(other.account)),
            401,
            "unauthorized",
            "signature",
        ),
        (
            with("jwk", client.jwk()),
            400,
            "malformed",
            "one of jwk and kid",
        ),
        (with("crit", json!(["b64"])), 400, "malformed", "crit"),
        (
            client.header_of_key(&account).await,
            400,
            "malformed",
            "kid",
        ),
        (with("kid", json!(7)), 400, "malformed", "header"),
    ] {
        let answer = client
            .post_jws(&account, &sign(&client.key, &header, ""))
            .await;
        refused(&answer, status, kind, detail);
    }
    let mut jwk = client.jwk();
    jwk["kty"] = json!("oct");
    let mut header = client.header_of_key("/acme/new-account").await;
    header["jwk"] = jwk;
    let answer = client
        .post_jws("/acme/new-account", &sign(&client.key, &header, "{}"))
        .await;
    refused(&answer, 400, "badPublicKey", "kty");
    let theirs = other.read(&account).await;
    refused(&theirs, 401, "unauthorized", "another account");
    for (headers, body, status) in [
        (jose_json(), b"{}".to_vec(), 400),
        (jose_json(), b"[1]".to_vec(), 400),
        (jose_json(), vec![b'{'; 4096], 400),
        (HeaderMap::new(), b"{}".to_vec(), 415),
    ] {
        let answer = client.send(Method::POST, &account, headers, body).await;
        assert_eq!(answer.status, status, "{}", text(&answer));
    }
    let payload = client.post("/acme/directory", &json!({})).await;
    refused(&payload, 400, "malformed", "POST-as-GET");
}

#[tokio::test]
async fn an_account_needs_an_external_account_and_has_it_alone() {
    let scene = Scene::start().await;
    let client = Client::new(&scene, KeyAlgorithm::MlDsa44);
    let post = async |client: &Client, binding: Value| {
        let payload = json!({"externalAccountBinding": binding});
        client.post_by_key("/acme/new-account", &payload).await
    };
    let answer = client.post_by_key("/acme/new-account", &json!({})).await;
    refused(
        &answer,
        403,
        "externalAccountRequired",
        "mtc5g token --acme",
    );
    let answer = client
        .post_by_key("/acme/new-account", &json!({"onlyReturnExisting": true}))
        .await;
    refused(&answer, 400, "accountDoesNotExist", "");
    let minted = scene.mint();
    let jwk = client.jwk();
    let other = Client::new(&scene, KeyAlgorithm::Ed25519);
    let guessed = Minted {
        key_id: minted.key_id.clone(),
        mac_key: vec![7; 32].into(),
    };
    let expired = scene.mint_of(&EnrolmentClaims { exp: 1, ..claims() });
    let of_cmp = scene.mint_of(&EnrolmentClaims {
        iss: CMP_ISSUER.to_owned(),
        ..claims()
    });
    let unknown = Minted {
        key_id: "amf1".to_owned(),
        ..scene.mint()
    };
    let elsewhere = binding_to(&minted, &jwk, "https://evil.test/acme/new-account");
    let mut no_mac = binding(&minted, &jwk);
    no_mac["signature"] = json!("");
    for (binding, status, kind, detail) in [
        (binding(&guessed, &jwk), 401, "unauthorized", "MAC"),
        (no_mac, 401, "unauthorized", "MAC"),
        (
            binding(&minted, &other.jwk()),
            401,
            "unauthorized",
            "payload",
        ),
        (elsewhere, 401, "unauthorized", "url"),
        (binding(&expired, &jwk), 401, "unauthorized", "exp 1970"),
        (binding(&of_cmp, &jwk), 401, "unauthorized", "iss"),
        (binding(&unknown, &jwk), 400, "malformed", "JWT"),
        (json!({}), 400, "malformed", "externalAccountBinding"),
    ] {
        refused(&post(&client, binding).await, status, kind, detail);
    }
    let contact = json!({"externalAccountBinding": binding(&minted, &jwk), "contact": ["tel:112"]});
    let answer = client.post_by_key("/acme/new-account", &contact).await;
    refused(&answer, 400, "unsupportedContact", "mailto");

    let made = client.bind(&minted).await;
    assert_eq!(made.status, 201, "{}", text(&made));
    let again = client.bind(&minted).await;
    assert_eq!(
        (again.status.as_u16(), location(&again)),
        (200, location(&made))
    );
    refused(
        &other.bind(&minted).await,
        401,
        "unauthorized",
        "another account key",
    );
    let found = client
        .post_by_key("/acme/new-account", &json!({"onlyReturnExisting": true}))
        .await;
    assert_eq!(location(&found), location(&made));
}

#[tokio::test]
async fn nobody_orders_what_is_not_his() {
    let scene = Scene::start().await;
    let client = Client::bound(&scene).await;
    let ip = json!({"type": "ip", "value": "192.0.2.1"});
    let many = vec![dns(FQDN); 17];
    for (wanted, status, kind, detail) in [
        (
            json!({"identifiers": [dns(FQDN), dns(NRF_FQDN)]}),
            403,
            "rejectedIdentifier",
            "subproblems",
        ),
        (
            json!({"identifiers": [dns("*.mcc001.3gppnetwork.org")]}),
            403,
            "rejectedIdentifier",
            FQDN,
        ),
        (
            json!({"identifiers": [ip]}),
            400,
            "unsupportedIdentifier",
            "ip",
        ),
        (json!({"identifiers": []}), 400, "malformed", "identifiers"),
        (
            json!({"identifiers": many}),
            400,
            "malformed",
            "identifiers",
        ),
        (json!({}), 400, "malformed", "payload"),
        (
            json!({"identifiers": [dns(FQDN)], "profile": "x"}),
            400,
            "invalidProfile",
            X509,
        ),
        (
            json!({"identifiers": [dns(FQDN)], "notAfter": "2036-01-01T00:00:00Z"}),
            400,
            "malformed",
            "notAfter",
        ),
    ] {
        refused(
            &client.post("/acme/new-order", &wanted).await,
            status,
            kind,
            detail,
        );
    }
    let wanted = json!({"identifiers": [dns(FQDN)], "profile": "mtc"});
    let answer = client
        .post(&format!("/acme/p/{X509}/new-order"), &wanted)
        .await;
    refused(&answer, 400, "invalidProfile", "path");
    let order = client.order(MTC_PROFILE).await;
    let other = Client::bound(&scene).await;
    refused(&other.read(&order).await, 404, "malformed", "no order");
    let certificate = order.replace("order", "certificate");
    refused(
        &client.read(&certificate).await,
        403,
        "orderNotReady",
        "ready",
    );
    refused(
        &client
            .read(&format!("/acme/authorization/{}/7", &order[12..]))
            .await,
        404,
        "malformed",
        "",
    );
    for _ in 1..64 {
        client.order(MTC_PROFILE).await;
    }
    let answer = client
        .post("/acme/new-order", &json!({"identifiers": [dns(FQDN)]}))
        .await;
    refused(&answer, 429, "rateLimited", "64");
    assert!(answer.headers.contains_key("retry-after"));
    other.order(MTC_PROFILE).await;
}

#[tokio::test]
async fn a_request_for_anything_but_what_was_ordered_is_refused_and_the_order_waits() {
    let scene = Scene::start().await;
    let client = Client::bound(&scene).await;
    let order = client.order(MTC_PROFILE).await;
    let key = NfKey::generate(KeyAlgorithm::EcdsaP256).expect("randomness");
    let mut changed = request(&key, None, &[FQDN]);
    let last = changed.len() - 1;
    changed[last] ^= 1;
    for (csr, detail) in [
        (request(&key, None, &[SECOND_FQDN]), FQDN),
        (request(&key, None, &[FQDN, SECOND_FQDN]), SECOND_FQDN),
        (request(&key, None, &[]), "names"),
        (request(&key, None, &[FQDN, NRF_FQDN]), NRF_FQDN),
        (request(&key, Some(NRF), &[FQDN]), "NF instance"),
        (request(&client.key, None, &[FQDN]), "key of an account"),
        (changed, "does not verify"),
        (b"no CSR".to_vec(), "malformed"),
        (Vec::new(), "malformed"),
    ] {
        refused(&client.finalize(&order, &csr).await, 400, "badCSR", detail);
    }
    let answer = client
        .post(&format!("{order}/finalize"), &json!({"csr": "?"}))
        .await;
    refused(&answer, 400, "badCSR", "base64url");
    assert_eq!(body(&client.read(&order).await)["status"], "ready");
    let finalized = client.finalize(&order, &request(&key, None, &[FQDN])).await;
    assert_eq!(body(&finalized)["status"], "valid", "{}", text(&finalized));
}

#[tokio::test]
async fn an_order_that_cannot_be_granted_says_why() {
    let scene = Scene::start().await;
    let client = Client::bound(&scene).await;
    let order = client.order(MTC_PROFILE).await;
    scene.service.set_witness_down(true);
    let key = NfKey::generate(KeyAlgorithm::EcdsaP256).expect("randomness");
    let answer = client.finalize(&order, &request(&key, None, &[FQDN])).await;
    let mut shown = body(&answer);
    while shown["status"] == "processing" {
        shown = body(&client.read(&order).await);
        tokio::task::yield_now().await;
    }
    assert_eq!(shown["status"], "invalid", "{shown}");
    assert_eq!(
        shown["error"]["type"],
        "urn:ietf:params:acme:error:serverInternal"
    );
    scene.service.set_witness_down(false);
    client.enrol(MTC_PROFILE).await;
}

#[tokio::test]
async fn a_certificate_is_revoked_by_its_account_or_its_key() {
    let scene = Scene::start().await;
    let client = Client::bound(&scene).await;
    let mut certificates = Vec::new();
    for profile in [MTC_PROFILE, X509] {
        let (certificate, key) = client.enrol(profile).await;
        let chain = blocks(&client.read(&certificate).await);
        certificates.push((chain[0].1.clone(), key));
    }
    let encoded = [0, 1].map(|number: usize| encode(&certificates[number].0));
    let wanted = |number: usize, reason: u8| {
        let certificate = &encoded[number];
        json!({"certificate": certificate, "reason": reason})
    };
    let other = Client::bound(&scene).await;
    let foreign = rcgen::generate_simple_self_signed([FQDN.to_owned()]).expect("a certificate");
    let foreign = json!({"certificate": encode(foreign.cert.der())});
    for (client, wanted, status, kind) in [
        (&other, wanted(0, 1), 401, "unauthorized"),
        (&client, wanted(0, 7), 400, "badRevocationReason"),
        (&client, foreign, 404, "malformed"),
        (&client, json!({"certificate": "AAAA"}), 400, "malformed"),
    ] {
        let answer = client.post("/acme/revoke-cert", &wanted).await;
        refused(&answer, status, kind, "");
    }
    assert!(!scene.is_revoked(&certificates[0].0));
    let revoked = client.post("/acme/revoke-cert", &wanted(0, 1)).await;
    assert_eq!(revoked.status, 200, "{}", text(&revoked));
    assert!(scene.is_revoked(&certificates[0].0));
    let again = client.post("/acme/revoke-cert", &wanted(0, 1)).await;
    refused(&again, 400, "alreadyRevoked", "");

    // Whoever has the key need not have the account.
    let by_key = async |key: NfKey| {
        let mut client = Client::new(&scene, KeyAlgorithm::Ed25519);
        client.key = key;
        client.post_by_key("/acme/revoke-cert", &wanted(1, 1)).await
    };
    let thief = NfKey::generate(KeyAlgorithm::Ed25519).expect("randomness");
    refused(&by_key(thief).await, 401, "unauthorized", "own key");
    let (_, key) = certificates.pop().expect("two");
    let revoked = by_key(key).await;
    assert_eq!(revoked.status, 200, "{}", text(&revoked));
}

#[tokio::test]
async fn an_account_changes_its_key_and_ends() {
    let mut scene = Scene::start().await;
    let mut client = Client::bound(&scene).await;
    let other = Client::bound(&scene).await;
    let account = client.account.clone().expect("bound");
    let new = NfKey::generate(KeyAlgorithm::MlDsa65).expect("randomness");
    let inner = |signer: &NfKey, account: &str, old: &Value| {
        let header =
            json!({"alg": alg(signer), "url": url("/acme/key-change"), "jwk": jwk(signer)});
        let payload = json!({"account": account, "oldKey": old});
        sign(signer, &header, &payload.to_string())
    };
    let old = client.jwk();
    let mut forged = inner(&new, &account, &old);
    forged["signature"] = json!("AAAA");
    for (inner, status, kind, detail) in [
        (
            inner(&new, &url("/acme/account/x"), &old),
            400,
            "malformed",
            "account",
        ),
        (
            inner(&new, &account, &jwk(&new)),
            400,
            "malformed",
            "oldKey",
        ),
        (
            inner(&other.key, &account, &old),
            409,
            "malformed",
            "another account",
        ),
        (forged, 401, "unauthorized", "signature"),
        (json!({}), 400, "malformed", "request"),
    ] {
        refused(
            &client.post("/acme/key-change", &inner).await,
            status,
            kind,
            detail,
        );
    }
    let changed = client
        .post("/acme/key-change", &inner(&new, &account, &old))
        .await;
    assert_eq!(changed.status, 200, "{}", text(&changed));
    let order = client.read(&path(&account)).await;
    refused(&order, 401, "unauthorized", "signature");
    client.key = new;
    scene.restart();
    client.follow(&scene);
    let contact = json!({"contact": ["mailto:new@amf1.test"]});
    let shown = body(&client.post(&path(&account), &contact).await);
    assert_eq!(shown["contact"], contact["contact"]);
    let ended = client
        .post(&path(&account), &json!({"status": "deactivated"}))
        .await;
    assert_eq!(body(&ended)["status"], "deactivated", "{}", text(&ended));
    refused(
        &client.read(&path(&account)).await,
        401,
        "unauthorized",
        "deactivated",
    );
    let again = client.post_by_key("/acme/new-account", &json!({})).await;
    refused(&again, 401, "unauthorized", "deactivated");
}
