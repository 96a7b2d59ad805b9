//! Pods of a Kubernetes cluster that enrol with their service-account tokens: what is accepted, and every rule that is not.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::Method;
use mtc_tls::clock::Clock;
use mtc_tls::identity::NfIdentity;
use nf_nrf::kubernetes::{KeyError, KubernetesConfig, PodTokenError, Pods};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use sbi::enrolment::{IssuedCertificate, MTC_PROFILE};
use sbi::service_account::{ClaimsError, Pod, unverified_claims};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::cluster::{Cluster, ISSUER, SignedBy, claims};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::enrolment::{answer, bearer, certificate_request, csr, request};
use crate::mtca::Service;

const FQDN: &str = "amf-0.amf.5gc.mnc001.mcc001.3gppnetwork.org";

fn config(jwks: &str) -> KubernetesConfig {
    let config = json!({
        "issuer": ISSUER,
        "jwks": jwks,
        "account": [
            { "namespace": "mtc5g", "name": "amf", "nf_type": "AMF", "fqdn": "{pod}.amf.5gc.mnc001.mcc001.3gppnetwork.org" },
            { "namespace": "mtc5g", "name": "smf", "nf_type": "SMF", "fqdn": "{pod}.smf.5gc.mnc001.mcc001.3gppnetwork.org" },
        ],
    });
    serde_json::from_value(config).expect("a configuration")
}

/// A cluster whose keys are in a file.
struct Scene {
    cluster: Cluster,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            cluster: Cluster::new("one"),
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        scene.publish(&scene.cluster.jwks());
        scene
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("jwks.json")
    }

    fn publish(&self, jwks: &Value) {
        fs::write(self.file(), jwks.to_string()).expect("written");
    }

    fn pods(&self) -> Pods {
        let config = config(self.file().to_str().expect("text"));
        let (pods, keeping) = Pods::open(&config).expect("keys");
        tokio::spawn(keeping.keep());
        pods
    }

    /// Why a token with these claims is refused.
    async fn refusal(&self, by: SignedBy, claims: &Value) -> PodTokenError {
        let token = self.cluster.token(by, claims);
        let verified = self.pods().verify(&token, Clock::default().now()).await;
        verified.expect_err("the token breaks a rule")
    }
}

fn of_amf() -> Value {
    claims("amf", "amf-0")
}

fn with(at: &str, value: Value) -> Value {
    let mut claims = of_amf();
    *claims.pointer_mut(at).expect("a claim") = value;
    claims
}

fn in_seconds(seconds: i64) -> Value {
    let now = i64::try_from(Clock::default().unix_seconds()).expect("a clock of these days");
    json!(now + seconds)
}

#[tokio::test]
async fn a_pod_gets_certificates_for_itself_as_often_as_it_asks() {
    let scene = Scene::new();
    let service = Service::start_for(scene.pods());
    for by in [SignedBy::Rsa, SignedBy::P256, SignedBy::P256] {
        let token = scene.cluster.token(by, &of_amf());
        let pod = Pod::try_from(unverified_claims(&token).expect("claims")).expect("a pod");
        let body = certificate_request(&csr(pod.instance_id(), &[FQDN]), MTC_PROFILE);
        let request = request(Method::POST, None, bearer(&token), body);
        let issued = answer(&service, &request, &["certificates"]).await;
        assert_eq!(issued.status, 201, "{issued:?}");
        let issued: IssuedCertificate = issued.read_json().expect("a certificate");
        let chain = issued.chain_der().expect("DER");
        service
            .trust()
            .verify_issuance(&chain[0])
            .expect("cosigned");
        let NfIdentity {
            instance_id,
            nf_types,
            fqdns,
            ..
        } = NfIdentity::from_certificate(&chain[0]).expect("an NF's");
        assert_eq!(instance_id, pod.instance_id());
        assert_eq!(
            (nf_types, fqdns),
            (vec!["AMF".to_owned()], vec![FQDN.to_owned()])
        );
    }
}

#[tokio::test]
async fn a_pod_gets_no_certificate_for_another() {
    let scene = Scene::new();
    let service = Service::start_for(scene.pods());
    let token = scene.cluster.token(SignedBy::Rsa, &of_amf());
    let own = Pod::try_from(unverified_claims(&token).expect("claims")).expect("a pod");
    let other = scene.cluster.token(SignedBy::Rsa, &claims("amf", "amf-1"));
    let other = Pod::try_from(unverified_claims(&other).expect("claims")).expect("a pod");
    let foreign = "amf-1.amf.5gc.mnc001.mcc001.3gppnetwork.org";
    for csr in [
        csr(other.instance_id(), &[FQDN]),
        csr(own.instance_id(), &[foreign]),
    ] {
        let body = certificate_request(&csr, MTC_PROFILE);
        let request = request(Method::POST, None, bearer(&token), body);
        let refused = answer(&service, &request, &["certificates"]).await;
        assert_eq!(refused.status, 403, "{refused:?}");
    }
}

#[tokio::test]
async fn whom_the_cluster_does_not_name_so_is_refused() {
    let scene = Scene::new();
    let by = SignedBy::Rsa;
    let refused = scene.refusal(by, &with("/aud", json!(["api"]))).await;
    assert!(
        matches!(refused, PodTokenError::Audience { .. }),
        "{refused}"
    );
    let refused = scene
        .refusal(by, &with("/iss", json!("https://other")))
        .await;
    assert!(matches!(refused, PodTokenError::Issuer { .. }), "{refused}");
    let refused = scene.refusal(by, &with("/exp", in_seconds(0))).await;
    assert!(
        matches!(refused, PodTokenError::Expired { .. }),
        "{refused}"
    );
    let refused = scene.refusal(by, &with("/exp", in_seconds(90_000))).await;
    assert!(
        matches!(refused, PodTokenError::TooLongLived { .. }),
        "{refused}"
    );
    let refused = scene.refusal(by, &with("/nbf", in_seconds(120))).await;
    assert!(matches!(refused, PodTokenError::NotYet { .. }), "{refused}");
    let refused = scene
        .refusal(by, &with("/sub", json!("system:serviceaccount:mtc5g:smf")))
        .await;
    assert!(
        matches!(refused, PodTokenError::Claims(ClaimsError::Subject(_))),
        "{refused}"
    );
    let refused = scene
        .refusal(by, &with("/kubernetes.io/pod", Value::Null))
        .await;
    assert!(
        matches!(refused, PodTokenError::Claims(ClaimsError::Unbound)),
        "{refused}"
    );
    let refused = scene.refusal(by, &claims("default", "amf-0")).await;
    assert!(
        matches!(refused, PodTokenError::Account { .. }),
        "{refused}"
    );
    let mut elsewhere = with("/kubernetes.io/namespace", json!("other"));
    elsewhere["sub"] = json!("system:serviceaccount:other:amf");
    let refused = scene.refusal(by, &elsewhere).await;
    assert!(
        matches!(refused, PodTokenError::Account { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn what_the_cluster_has_not_signed_is_refused() {
    let scene = Scene::new();
    let refused = scene.refusal(SignedBy::Nobody, &of_amf()).await;
    assert!(matches!(refused, PodTokenError::Malformed(_)), "{refused}");
    let refused = scene.refusal(SignedBy::PublicKey, &of_amf()).await;
    assert!(matches!(refused, PodTokenError::Algorithm(_)), "{refused}");
    // Another cluster with keys of the same names.
    let impostor = Cluster::new("one");
    for by in [SignedBy::Rsa, SignedBy::P256] {
        let token = impostor.token(by, &of_amf());
        let refused = scene.pods().verify(&token, Clock::default().now()).await;
        assert!(
            matches!(refused, Err(PodTokenError::BadSignature(_))),
            "{refused:?}"
        );
    }
    // Claims of one token with the signature of another.
    let signed = scene.cluster.token(SignedBy::P256, &of_amf());
    let other = scene.cluster.token(SignedBy::P256, &claims("smf", "smf-0"));
    let (payload, _) = other.rsplit_once('.').expect("a JWT");
    let (_, signature) = signed.rsplit_once('.').expect("a JWT");
    let forged = format!("{payload}.{signature}");
    let refused = scene.pods().verify(&forged, Clock::default().now()).await;
    assert!(
        matches!(refused, Err(PodTokenError::BadSignature(_))),
        "{refused:?}"
    );
    // The other key's name.
    let header = |text: &str| text.split_once('.').expect("a JWT").0.to_owned();
    let rsa = scene.cluster.token(SignedBy::Rsa, &of_amf());
    let mixed = signed.replacen(&header(&signed), &header(&rsa), 1);
    let refused = scene.pods().verify(&mixed, Clock::default().now()).await;
    assert!(
        matches!(refused, Err(PodTokenError::BadSignature(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn tokens_of_no_pod_are_the_enrolment_authoritys_to_judge() {
    let scene = Scene::new();
    let service = Service::start_for(scene.pods());
    for token in ["a.b.c", "no token"] {
        let request = request(Method::POST, None, bearer(token), Vec::new());
        let refused = answer(&service, &request, &["certificates"]).await;
        assert_eq!(refused.status, 401, "{refused:?}");
        let text = String::from_utf8_lossy(&refused.body).into_owned();
        assert!(text.contains("enrolment token"), "{text}");
    }
}

#[tokio::test]
async fn a_key_that_the_cluster_has_since_is_found_and_one_that_it_has_not_is_not() {
    let scene = Scene::new();
    let pods = scene.pods();
    let next = Cluster::new("next");
    scene.publish(&next.jwks());
    let now = Clock::default().now();
    let verified = pods
        .verify(&next.token(SignedBy::P256, &of_amf()), now)
        .await;
    assert_eq!(verified.expect("a new key").fqdn, FQDN);
    // What it has taken back is not good any more.
    let token = scene.cluster.token(SignedBy::P256, &of_amf());
    let refused = pods.verify(&token, now).await;
    let is_unknown =
        matches!(&refused, Err(PodTokenError::Key(KeyError::Unknown(kid))) if kid == "one-p256");
    assert!(is_unknown, "{refused:?}");
}

#[tokio::test]
async fn keys_that_are_no_set_are_told_at_the_start() {
    let scene = Scene::new();
    let open = |text: &str| {
        fs::write(scene.file(), text).expect("written");
        Pods::open(&config(scene.file().to_str().expect("text"))).map(drop)
    };
    let many = json!({ "keys": vec![scene.cluster.jwks()["keys"][0].clone(); 17] });
    let p384 = r#"{"keys":[{"kty":"EC","crv":"P-384","kid":"a","x":"AA","y":"AA"}]}"#;
    let symmetric = r#"{"keys":[{"kty":"oct","kid":"a","alg":"HS256","k":"AAAA"}]}"#;
    for (text, expected) in [
        ("{}", "not a JWK set"),
        ("", "not a JWK set"),
        (r#"{"keys":[]}"#, "no key"),
        (p384, "no key"),
        (symmetric, "no key"),
        (&many.to_string(), "more than"),
    ] {
        let error = open(text).expect_err("no keys").to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    fs::remove_file(scene.file()).expect("there");
    let error = Pods::open(&config(scene.file().to_str().expect("text"))).map(drop);
    assert!(
        error
            .expect_err("no file")
            .to_string()
            .contains("cannot read")
    );
    for wrong in [
        "http://kubernetes/jwks",
        "https://kubernetes",
        "https://",
        "",
    ] {
        let config = json!({ "issuer": "a", "jwks": wrong, "account": [] });
        let refused = serde_json::from_value::<KubernetesConfig>(config);
        assert!(refused.is_err(), "{wrong}");
    }
}

/// An API server: `https`, a certificate of its own CA, and keys for whoever shows a token of its own.
struct ApiServer {
    jwks: String,
    asked: Arc<AtomicUsize>,
    scene: Scene,
}

impl ApiServer {
    async fn start() -> (Self, KubernetesConfig) {
        let scene = Scene::new();
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let certified = certified.expect("a certificate");
        let key = certified
            .signing_key
            .serialize_der()
            .try_into()
            .expect("PKCS#8");
        let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .expect("a key of the certificate");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let file = |name: &str, text: &str| {
            let path = scene.folder.path().join(name);
            fs::write(&path, text).expect("written");
            Some(path)
        };
        let jwks = scene.cluster.jwks().to_string();
        let config = KubernetesConfig {
            ca: file("ca.crt", &certified.cert.pem()),
            bearer: file("token", "own-token\n"),
            ..config(&format!("https://localhost:{port}/openid/v1/jwks"))
        };
        let server = Self {
            jwks,
            asked: Arc::default(),
            scene,
        };
        tokio::spawn(serve(
            listener,
            TlsAcceptor::from(Arc::new(tls)),
            server.jwks.clone(),
            server.asked.clone(),
        ));
        (server, config)
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, jwks: String, asked: Arc<AtomicUsize>) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let Ok(mut stream) = tls.accept(stream).await else {
            continue;
        };
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(octet) => head.push(octet),
                Err(_) => break,
            }
        }
        asked.fetch_add(1, Ordering::SeqCst);
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let is_known = head.starts_with("get /openid/v1/jwks ")
            && head.contains("authorization: bearer own-token\r\n");
        let (status, body) = if is_known {
            ("200 OK", &*jwks)
        } else {
            ("401 Unauthorized", "")
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

#[tokio::test]
async fn the_api_server_is_asked_with_a_token_and_only_as_often_as_it_must_be() {
    let (server, config) = ApiServer::start().await;
    let (pods, keeping) = Pods::open(&config).expect("nothing is asked yet");
    tokio::spawn(keeping.keep());
    let now = Clock::default().now();
    let token = server.scene.cluster.token(SignedBy::Rsa, &of_amf());
    for _ in 0..3 {
        let verified = pods.verify(&token, now).await;
        assert_eq!(verified.expect("a key of the cluster").fqdn, FQDN);
    }
    // Others' names for keys cost the API server nothing.
    for name in ["a", "b", "c"] {
        let foreign = Cluster::new(name).token(SignedBy::P256, &of_amf());
        let refused = pods.verify(&foreign, now).await;
        let is_unknown = matches!(refused, Err(PodTokenError::Key(KeyError::Unknown(_))));
        assert!(is_unknown, "{refused:?}");
    }
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_keys_a_pod_is_told_to_come_again() {
    let (server, config) = ApiServer::start().await;
    let (other, _) = ApiServer::start().await;
    let untrusted = KubernetesConfig {
        ca: Some(other.scene.folder.path().join("ca.crt")),
        ..config.clone()
    };
    let unknown = KubernetesConfig {
        bearer: None,
        ..config
    };
    for config in [untrusted, unknown] {
        let (pods, keeping) = Pods::open(&config).expect("nothing is asked yet");
        tokio::spawn(keeping.keep());
        let service = Service::start_for(pods);
        let token = server.scene.cluster.token(SignedBy::Rsa, &of_amf());
        let request = request(Method::POST, None, bearer(&token), Vec::new());
        let refused = answer(&service, &request, &["certificates"]).await;
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(refused.headers.contains_key("retry-after"));
        let text = String::from_utf8_lossy(&refused.body).into_owned();
        assert!(text.contains("log says why"), "{text}");
    }
}

/// Nothing is listening for whoever waits for keys.
#[tokio::test(start_paused = true)]
async fn whoever_waits_for_keys_does_not_wait_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let config = config(&format!("https://127.0.0.1:{port}/jwks"));
    let (pods, _never_kept) = Pods::open(&config).expect("nothing is asked yet");
    let token = Cluster::new("one").token(SignedBy::Rsa, &of_amf());
    let waiting = pods.verify(&token, Clock::default().now());
    let refused = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    let refused = refused.expect("it ends");
    assert!(
        matches!(refused, Err(PodTokenError::Key(KeyError::NoKeys))),
        "{refused:?}"
    );
}
