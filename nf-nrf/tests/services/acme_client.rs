//! A client of the ACME port that signs what it likes.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::http::HeaderValue;
use hyper::{HeaderMap, Method};
use mtc_core::cosign::PublicKey;
use mtc_tls::csr;
use mtc_tls::key::{KeyAlgorithm, NfKey};
use nf_nrf::acme_port::AcmePort;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, Peer, Request};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::acme::{FQDN, Minted, NRF_FQDN, PORT, Scene};

pub(crate) fn encode(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

pub(crate) fn url(path: &str) -> String {
    format!("https://{NRF_FQDN}:{PORT}{path}")
}

/// The path of a URL of the port.
pub(crate) fn path(url: &str) -> String {
    let root = self::url("");
    url.strip_prefix(&root)
        .expect("a URL of the port")
        .to_owned()
}

/// Whoever has an account key.
pub(crate) struct Client {
    port: Arc<AcmePort>,
    pub(crate) key: NfKey,
    /// The URL of the account, once there is one.
    pub(crate) account: Option<String>,
}

impl Client {
    pub(crate) fn new(scene: &Scene, algorithm: KeyAlgorithm) -> Self {
        Self {
            port: scene.port.clone(),
            key: NfKey::generate(algorithm).expect("randomness"),
            account: None,
        }
    }

    /// A client with an account.
    pub(crate) async fn bound(scene: &Scene) -> Self {
        let mut client = Self::new(scene, KeyAlgorithm::Ed25519);
        let answer = client.bind(&scene.mint()).await;
        assert_eq!(answer.status, 201, "{}", text(&answer));
        client.account = Some(location(&answer));
        client
    }

    /// Goes on with the port of this scene, as after its restart.
    pub(crate) fn follow(&mut self, scene: &Scene) {
        self.port = scene.port.clone();
    }

    pub(crate) fn jwk(&self) -> Value {
        jwk(&self.key)
    }

    /// Asks for an account.
    pub(crate) async fn bind(&self, minted: &Minted) -> Response {
        let payload = json!({"externalAccountBinding": binding(minted, &self.jwk()), "contact": ["mailto:noc@amf1.test"]});
        self.post_by_key("/acme/new-account", &payload).await
    }

    pub(crate) async fn nonce(&self) -> String {
        let answer = self
            .send(
                Method::HEAD,
                "/acme/new-nonce",
                HeaderMap::new(),
                Vec::new(),
            )
            .await;
        assert_eq!(answer.status, 200);
        nonce(&answer)
    }

    /// The protected header that belongs to a request for `path`, of the account.
    pub(crate) async fn header(&self, path: &str) -> Value {
        json!({"alg": alg(&self.key), "nonce": self.nonce().await, "url": url(path), "kid": self.account})
    }

    /// As before, of the key.
    pub(crate) async fn header_of_key(&self, path: &str) -> Value {
        json!({"alg": alg(&self.key), "nonce": self.nonce().await, "url": url(path), "jwk": self.jwk()})
    }

    pub(crate) async fn post_by_key(&self, path: &str, payload: &Value) -> Response {
        let header = self.header_of_key(path).await;
        self.post_jws(path, &sign(&self.key, &header, &payload.to_string()))
            .await
    }

    pub(crate) async fn post(&self, path: &str, payload: &Value) -> Response {
        let header = self.header(path).await;
        self.post_jws(path, &sign(&self.key, &header, &payload.to_string()))
            .await
    }

    /// POST-as-GET.
    pub(crate) async fn read(&self, path: &str) -> Response {
        self.read_as(path, None).await
    }

    /// As before, of a media type.
    pub(crate) async fn read_as(&self, path: &str, accept: Option<&'static str>) -> Response {
        let jws = sign(&self.key, &self.header(path).await, "");
        let mut headers = jose_json();
        headers.extend(accept.map(|accept| (ACCEPT, HeaderValue::from_static(accept))));
        self.send(Method::POST, path, headers, jws.to_string().into_bytes())
            .await
    }

    pub(crate) async fn post_jws(&self, path: &str, jws: &Value) -> Response {
        self.send(
            Method::POST,
            path,
            jose_json(),
            jws.to_string().into_bytes(),
        )
        .await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Response {
        let request = Request {
            method,
            path: path.to_owned(),
            query: String::new(),
            headers,
            body: body.into(),
            peer: Arc::new(Peer::cleartext(([127, 0, 0, 1], 1).into())),
        };
        self.port
            .handle(request)
            .await
            .unwrap_or_else(Problem::into_response)
    }

    /// Orders a certificate of a profile for the AMF's first name; the path of the order.
    pub(crate) async fn order(&self, profile: &str) -> String {
        let wanted = json!({"identifiers": [dns(FQDN)], "profile": profile});
        let answer = self.post("/acme/new-order", &wanted).await;
        assert_eq!(answer.status, 201, "{}", text(&answer));
        assert_eq!(body(&answer)["status"], "ready");
        path(&location(&answer))
    }

    pub(crate) async fn finalize(&self, order: &str, csr: &[u8]) -> Response {
        self.post(&format!("{order}/finalize"), &json!({"csr": encode(csr)}))
            .await
    }

    /// The path of a new certificate of a profile, and its key.
    pub(crate) async fn enrol(&self, profile: &str) -> (String, NfKey) {
        let order = self.order(profile).await;
        let key = NfKey::generate(KeyAlgorithm::Ed25519).expect("randomness");
        let answer = self.finalize(&order, &request(&key, None, &[FQDN])).await;
        let order = body(&answer);
        assert_eq!(order["status"], "valid", "{order}");
        (path(order["certificate"].as_str().expect("a URL")), key)
    }
}

pub(crate) fn dns(name: &str) -> Value {
    json!({"type": "dns", "value": name})
}

/// A CSR with these names, and perhaps that of an NF instance: most clients know nothing of those.
pub(crate) fn request(key: &NfKey, instance: Option<Uuid>, names: &[&str]) -> Vec<u8> {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    if let Some(instance) = instance {
        return csr::create(key, instance, &names).expect("it signs");
    }
    let pem = key.to_pem().expect("it encodes");
    let key = rcgen::KeyPair::from_pem(&pem).expect("a key of its");
    let wished = rcgen::CertificateParams::new(names).expect("names");
    wished
        .serialize_request(&key)
        .expect("it signs")
        .der()
        .to_vec()
}

pub(crate) fn jose_json() -> HeaderMap {
    HeaderMap::from_iter([(
        CONTENT_TYPE,
        HeaderValue::from_static("application/jose+json"),
    )])
}

pub(crate) fn alg(key: &NfKey) -> &'static str {
    jose::alg(key.algorithm())
}

pub(crate) fn jwk(key: &NfKey) -> Value {
    json!(jose::Jwk::of(
        &PublicKey::from_spki(key.spki_der()).expect("a key")
    ))
}

/// Signs with a key whose signatures are the same everywhere, as ECDSA's are not.
pub(crate) fn sign(key: &NfKey, header: &Value, payload: &str) -> Value {
    let (protected, payload) = (encode(header.to_string()), encode(payload));
    let signature = key
        .sign(format!("{protected}.{payload}").as_bytes())
        .expect("it signs");
    json!({"protected": protected, "payload": payload, "signature": encode(signature)})
}

/// What says that the key in `jwk` is that of an external account.
pub(crate) fn binding(minted: &Minted, jwk: &Value) -> Value {
    binding_to(minted, jwk, &url("/acme/new-account"))
}

pub(crate) fn binding_to(minted: &Minted, jwk: &Value, url: &str) -> Value {
    let header = json!({"alg": "HS256", "kid": minted.key_id, "url": url});
    let (protected, payload) = (encode(header.to_string()), encode(jwk.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &minted.mac_key);
    let mac = hmac::sign(&key, format!("{protected}.{payload}").as_bytes());
    json!({"protected": protected, "payload": payload, "signature": encode(mac)})
}

pub(crate) fn body(answer: &Response) -> Value {
    answer.read_json().unwrap_or_default()
}

pub(crate) fn text(answer: &Response) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

pub(crate) fn nonce(answer: &Response) -> String {
    let nonce = answer
        .headers
        .get("replay-nonce")
        .expect("every answer has one");
    nonce.to_str().expect("text").to_owned()
}

pub(crate) fn location(answer: &Response) -> String {
    let location = answer.headers.get("location").expect("a Location");
    location.to_str().expect("text").to_owned()
}

/// The target of the Link of a relation, if there is one.
pub(crate) fn link(answer: &Response, relation: &str) -> Option<String> {
    let links = answer.headers.get_all("link").iter();
    let mut links = links.map(|link| link.to_str().expect("text"));
    let ending = format!(">;rel=\"{relation}\"");
    let link = links.find_map(|link| link.strip_suffix(&ending))?;
    Some(link.trim_start_matches('<').to_owned())
}
