//! Access tokens between a consumer and a producer, over real HTTP/2 in memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::Method;
use hyper::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use jose::{Header, KeySet};
use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
use mtc_tls::clock::Clock;
use mtc_tls::identity::NfIdentity;
use mtc_tls::profile::{ConnectionProfile, Tokens};
use sbi::access_token::{
    AccessTokens, Authorizer, Bearer, FetchToken, Guarded, TokenNeed, TokenPolicy, TokenSource,
    TokenVerifier,
};
use sbi::client::{ClientError, Connection, Request};
use sbi::client_credentials::ClientCredentials;
use sbi::ledger::{Ledger, TokenTotals};
use sbi::model::{NfInstanceId, NfType};
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{self, Handler, Peer, serve_connection};
use sbi::uri::Scheme;
use serde_json::{Value, json};
use test_support::nf::instance;
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(10);
const AMF: Uuid = Uuid::from_u128(0xa);
const SMF: Uuid = Uuid::from_u128(0x5);
const CREATE: &str = "/nsmf-pdusession/v1/sm-contexts";
const PROFILE: &str = "mtc-landmark/ml-dsa-65/X25519";

fn id(uuid: Uuid) -> NfInstanceId {
    uuid.into()
}

/// Who an NF is by its certificate.
fn nf(instance_id: Uuid, nf_type: &str) -> NfIdentity {
    NfIdentity {
        instance_id,
        nf_types: vec![nf_type.to_owned()],
        fqdns: vec!["nf1.example.org".to_owned()],
        not_after: u64::MAX,
    }
}

/// A producer that serves whoever gets through, and notes with which token.
#[derive(Default)]
struct Smf(Mutex<Vec<Option<String>>>);

impl Handler for Smf {
    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        let token = request.headers.get(AUTHORIZATION);
        let token = token.map(|token| token.to_str().expect("ASCII").to_owned());
        self.0.lock().expect("test state").push(token);
        Ok(Response::no_content())
    }
}

/// The NRF's key, a producer that trusts it, and the AMF's connection to that.
struct Scene {
    nrf: Arc<SecretKey>,
    smf: Arc<Smf>,
    ledger: Arc<Ledger>,
    connection: Connection,
}

fn tokens(
    policy: TokenPolicy,
    nrf: &SecretKey,
    (of, nf_type): (Uuid, NfType),
    ledger: &Arc<Ledger>,
) -> Arc<AccessTokens> {
    let keys = KeySet::of([nrf.public_key().expect("a public key")]);
    let verifier = Arc::new(TokenVerifier::new(keys));
    let tokens = AccessTokens::new(
        policy,
        verifier,
        (id(of), nf_type),
        None,
        Clock::default(),
        ledger.clone(),
    );
    Arc::new(tokens.expect("tokens are on"))
}

impl Scene {
    async fn new(policy: TokenPolicy) -> Self {
        Self::from_peer(policy, AMF, "AMF").await
    }

    /// The producer's peer is this NF.
    async fn from_peer(policy: TokenPolicy, instance_id: Uuid, nf_type: &str) -> Self {
        let nrf = Arc::new(SecretKey::generate(SignatureAlgorithm::EcdsaP256).expect("a key"));
        let ledger = Arc::new(Ledger::default());
        let tokens = tokens(policy, &nrf, (SMF, NfType::Smf), &ledger);
        let slice = serde_json::from_value(json!({"sst": 1})).expect("a slice");
        tokens.serve_slices(vec![slice]);
        let scene = Self::of(tokens, ledger, (instance_id, nf_type), Tokens::Es256).await;
        Self { nrf, ..scene }
    }

    /// The producer checks with `tokens` what the AMF sends on a connection of this kind.
    async fn guarded_by(tokens: Arc<AccessTokens>, kind: Tokens) -> Self {
        Self::of(tokens, Arc::new(Ledger::default()), (AMF, "AMF"), kind).await
    }

    async fn of(
        tokens: Arc<AccessTokens>,
        ledger: Arc<Ledger>,
        (instance_id, nf_type): (Uuid, &str),
        kind: Tokens,
    ) -> Self {
        let nrf = Arc::new(SecretKey::generate(SignatureAlgorithm::EcdsaP256).expect("a key"));
        let smf = Arc::new(Smf::default());
        let guarded = Guarded::new(smf.clone(), Some(tokens));
        let peer = Peer {
            identity: Some(nf(instance_id, nf_type)),
            expired: None,
            certificate: None,
            remote: ([127, 0, 0, 1], 1).into(),
            profile: Some(profile(kind)),
        };
        let (client, server) = tokio::io::duplex(64 * 1024);
        tokio::spawn(serve_connection(
            server,
            Arc::new(peer),
            Arc::new(guarded),
            ledger.metrics().requests.clone(),
            std::future::pending(),
        ));
        let connection = Connection::handshake(client, Scheme::Https).await;
        Self {
            nrf,
            smf,
            ledger,
            connection: connection.expect("http/2"),
        }
    }

    /// A token for the claims of a good one, with `changes`.
    fn token(&self, changes: Value) -> String {
        mint(&self.nrf, changes)
    }

    /// The answer to a request with this `Authorization`: its status, and the error and check in its challenge.
    async fn ask(&self, path: &str, authorization: Option<String>) -> (u16, String) {
        let mut request = Request::new(Method::POST, "smf1.example.org", path);
        if let Some(value) = authorization {
            let value = value.try_into().expect("ASCII");
            request.headers.insert(AUTHORIZATION, value);
        }
        let response = self.connection.send(request, DEADLINE).await;
        let response = response.expect("an answer");
        let challenge = response.headers.get(WWW_AUTHENTICATE);
        let challenge = challenge.map_or("", |value| value.to_str().expect("ASCII"));
        (response.status.as_u16(), challenge.to_owned())
    }

    async fn ask_with(&self, changes: Value) -> (u16, String) {
        let token = self.token(changes);
        self.ask(CREATE, Some(format!("Bearer {token}"))).await
    }

    fn totals(&self) -> TokenTotals {
        self.ledger.snapshot().profiles[PROFILE].tokens
    }
}

fn profile(tokens: Tokens) -> ConnectionProfile {
    let profile: ConnectionProfile = PROFILE.parse().expect("a profile");
    ConnectionProfile { tokens, ..profile }
}

fn mint(key: &SecretKey, changes: Value) -> String {
    let now = Clock::default().now().0;
    let mut claims = json!({"iss": Uuid::from_u128(1), "sub": AMF, "aud": "SMF", "scope": "nsmf-pdusession", "exp": now + 3600});
    for (name, value) in changes.as_object().expect("members") {
        claims[name] = value.clone();
    }
    let name = jose::thumbprint(&key.public_key().expect("a public key"));
    jose::sign(&Header::of_key(key.algorithm(), name), &claims, key).expect("keys sign")
}

const INVALID: &str = r#"Bearer realm="SMF", error="invalid_token", error_description="#;
const NARROW: &str = r#"Bearer realm="SMF", error="insufficient_scope", error_description="#;

#[tokio::test]
async fn a_good_token_permits_its_service_and_is_verified_once() {
    let scene = Scene::new(TokenPolicy::Required).await;
    let token = format!("Bearer {}", scene.token(json!({})));
    for _ in 0..3 {
        assert_eq!(scene.ask(CREATE, Some(token.clone())).await.0, 204);
    }
    let totals = scene.totals();
    assert_eq!(
        (totals.requests, totals.verified, totals.refused),
        (3, 1, 0)
    );
    assert_eq!(totals.bytes, 3 * (token.len() - "Bearer ".len()) as u64);
    // For this instance by name, with other scopes and claims, in lower case.
    for changes in [
        json!({"aud": [SMF]}),
        json!({"scope": "nsmf-event-exposure nsmf-pdusession"}),
        json!({"producerSnssaiList": [{"sst": 2}, {"sst": 1}]}),
        json!({"vendor": {"a": 1}}),
    ] {
        assert_eq!(scene.ask_with(changes.clone()).await.0, 204, "{changes}");
    }
    let lower = token.replacen("Bearer", "bearer", 1);
    assert_eq!(scene.ask(CREATE, Some(lower)).await.0, 204);
}

#[tokio::test]
async fn every_rule_has_its_refusal() {
    let scene = Scene::new(TokenPolicy::Required).await;
    let now = Clock::default().now().0;
    for (changes, status, challenge) in [
        (
            json!({"exp": now - 60}),
            401,
            format!("{INVALID}\"expired\""),
        ),
        (json!({"aud": "AMF"}), 401, format!("{INVALID}\"audience\"")),
        (json!({"aud": [AMF]}), 401, format!("{INVALID}\"audience\"")),
        (json!({"sub": SMF}), 401, format!("{INVALID}\"subject\"")),
        (json!({"aud": []}), 401, format!("{INVALID}\"malformed\"")),
        (
            json!({"scope": "namf-comm"}),
            403,
            format!("{NARROW}\"scope\""),
        ),
        (
            json!({"producerSnssaiList": [{"sst": 2}]}),
            403,
            format!("{NARROW}\"slice\""),
        ),
        (
            json!({"producerNfSetId": "a"}),
            403,
            format!("{NARROW}\"slice\""),
        ),
    ] {
        let answer = scene.ask_with(changes.clone()).await;
        assert_eq!(answer, (status, challenge), "{changes}");
    }
    let other = SecretKey::generate(SignatureAlgorithm::EcdsaP256).unwrap();
    let foreign = format!("Bearer {}", mint(&other, json!({})));
    let answer = scene.ask(CREATE, Some(foreign)).await;
    assert_eq!(answer, (401, format!("{INVALID}\"key\"")));
    let mut damaged = scene.token(json!({}));
    damaged.truncate(damaged.len() - 4);
    let answer = scene
        .ask(CREATE, Some(format!("Bearer {damaged}AAAA")))
        .await;
    assert_eq!(answer, (401, format!("{INVALID}\"signature\"")));
    for malformed in ["Bearer", "Basic YTpi", "Bearer a.b"] {
        let answer = scene.ask(CREATE, Some(malformed.to_owned())).await;
        assert_eq!(
            answer,
            (401, format!("{INVALID}\"malformed\"")),
            "{malformed}"
        );
    }
    assert_eq!(
        scene.ask(CREATE, None).await,
        (401, r#"Bearer realm="SMF""#.to_owned())
    );
    assert!(scene.smf.0.lock().unwrap().is_empty());
    assert_eq!(scene.totals().refused, 14);
}

#[tokio::test]
async fn an_scp_hands_on_the_tokens_of_its_consumers_and_no_other_nf_does() {
    let other = Uuid::from_u128(0xb);
    for (nf_type, status) in [("SCP", 204), ("AMF", 401)] {
        let scene = Scene::from_peer(TokenPolicy::Required, other, nf_type).await;
        assert_eq!(scene.ask_with(json!({})).await.0, status, "{nf_type}");
    }
}

#[tokio::test]
async fn where_assertions_are_used_an_scp_is_believed_for_itself_alone() {
    let scp = Uuid::from_u128(0xb);
    let smf = instance(NfType::Smf, &SMF.to_string(), "smf1.example.org");
    let credentials = ClientCredentials::new(id(SMF), smf.endpoint().clone());
    let nrf = Arc::new(SecretKey::generate(SignatureAlgorithm::EcdsaP256).expect("a key"));
    let keys = KeySet::of([nrf.public_key().expect("a public key")]);
    let tokens = AccessTokens::new(
        TokenPolicy::Required,
        Arc::new(TokenVerifier::new(keys)),
        (id(SMF), NfType::Smf),
        Some(Arc::new(credentials)),
        Clock::default(),
        Arc::new(Ledger::default()),
    );
    let tokens = tokens.map(Arc::new).expect("tokens are on");
    let ledger = Arc::new(Ledger::default());
    let scene = Scene::of(tokens, ledger, (scp, "SCP"), Tokens::Es256).await;
    let scene = Scene { nrf, ..scene };
    assert_eq!(scene.ask_with(json!({"sub": scp})).await.0, 204);
    // No challenge: another token would not help.
    assert_eq!(scene.ask_with(json!({})).await, (403, String::new()));
}

#[tokio::test]
async fn without_a_token_is_served_what_needs_none() {
    let required = Scene::new(TokenPolicy::Required).await;
    for path in [
        "/nnrf-nfm/v1/nf-instances/a",
        "/oauth2/token",
        "/namf-callback/v1/imsi-001/sm-context-status/5",
    ] {
        assert_eq!(required.ask(path, None).await.0, 204, "{path}");
    }
    let optional = Scene::new(TokenPolicy::Optional).await;
    assert_eq!(optional.ask(CREATE, None).await.0, 204);
    assert_eq!(optional.ask_with(json!({"aud": "AMF"})).await.0, 401);
}

#[tokio::test]
async fn no_way_of_writing_a_path_does_without_a_token() {
    let required = Scene::new(TokenPolicy::Required).await;
    for path in [
        "/nsmf%2Dpdusession/v1/sm-contexts",
        "/nsmf-pdusession/v1/no-resource",
        "/nsmf-pdusession/v1/sm-contexts/oauth2/token",
    ] {
        assert_eq!(required.ask(path, None).await.0, 401, "{path}");
    }
    assert!(required.smf.0.lock().unwrap().is_empty());
}

/// Mints tokens, of which the first have other claims.
struct Nrf {
    key: Arc<SecretKey>,
    asked: Arc<AtomicU64>,
    first: (u64, Value),
}

impl TokenSource for Nrf {
    fn fetch<'a>(&'a self, need: &'a TokenNeed, _: ConnectionProfile) -> FetchToken<'a> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let (others, changes) = &self.first;
        let changes = if number < *others {
            changes.clone()
        } else {
            json!({})
        };
        let mut changes = changes;
        changes["scope"] = json!(need.service.as_str());
        let bearer = Bearer::of(&mint(&self.key, changes)).expect("ASCII");
        Box::pin(async move { Ok((bearer, Duration::from_secs(3600))) })
    }
}

/// The AMF's connection with tokens of which the first so many have these changes, and how often the NRF was asked.
fn authorized(scene: Scene, wanted: Tokens, first: (u64, Value)) -> (Scene, Arc<AtomicU64>) {
    let asked = Arc::new(AtomicU64::new(0));
    let of_amf = tokens(
        TokenPolicy::Required,
        &scene.nrf,
        (AMF, NfType::Amf),
        &scene.ledger,
    );
    of_amf.fetch_from(Nrf {
        key: scene.nrf.clone(),
        asked: asked.clone(),
        first,
    });
    let authorizer = Authorizer::new(of_amf, profile(wanted), &nf(SMF, "SMF"));
    let connection = scene.connection.authorized_by(Some(authorizer));
    (
        Scene {
            connection,
            ..scene
        },
        asked,
    )
}

#[tokio::test]
async fn a_consumer_fetches_a_token_once_and_sends_it_with_every_request() {
    let scene = Scene::new(TokenPolicy::Required).await;
    let (scene, asked) = authorized(scene, Tokens::Es256, (0, json!({})));
    for _ in 0..3 {
        assert_eq!(scene.ask(CREATE, None).await.0, 204);
    }
    // What needs no token gets none.
    assert_eq!(scene.ask("/nnrf-nfm/v1/nf-instances/a", None).await.0, 204);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let seen = scene.smf.0.lock().unwrap();
    assert!(seen[0].is_some() && seen[0] == seen[2]);
    assert_eq!(seen[3], None);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_fetched_anew_and_the_next_one_only_after_a_while() {
    let scene = Scene::new(TokenPolicy::Required).await;
    let (scene, asked) = authorized(scene, Tokens::Es256, (2, json!({"exp": 1})));
    for _ in 0..3 {
        assert_eq!(scene.ask(CREATE, None).await.0, 401);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(scene.ask(CREATE, None).await.0, 204);
    assert_eq!(scene.ask(CREATE, None).await.0, 204);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    assert_eq!(scene.totals().refused, 5);
    // One that is good and does not reach as far is not: no other would.
    let scene = Scene::new(TokenPolicy::Required).await;
    let narrow = json!({"producerSnssaiList": [{"sst": 9}]});
    let (scene, asked) = authorized(scene, Tokens::Es256, (1, narrow));
    assert_eq!(scene.ask(CREATE, None).await.0, 403);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

/// Never answers.
struct Silent;

impl TokenSource for Silent {
    fn fetch<'a>(&'a self, _: &'a TokenNeed, _: ConnectionProfile) -> FetchToken<'a> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_has_one_deadline_and_its_token_is_fetched_within_it() {
    let scene = Scene::new(TokenPolicy::Required).await;
    let of_amf = tokens(
        TokenPolicy::Required,
        &scene.nrf,
        (AMF, NfType::Amf),
        &scene.ledger,
    );
    of_amf.fetch_from(Silent);
    let authorizer = Authorizer::new(of_amf, profile(Tokens::Es256), &nf(SMF, "SMF"));
    let connection = scene.connection.authorized_by(Some(authorizer));
    let request = Request::new(Method::POST, "smf1.example.org", CREATE);
    let error = connection.send(request, DEADLINE).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout(DEADLINE)), "{error}");
    assert!(scene.smf.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_token_of_another_algorithm_than_the_connections_is_refused() {
    let ledger = Arc::new(Ledger::default());
    let mut keys = [SignatureAlgorithm::EcdsaP256, SignatureAlgorithm::MlDsa44]
        .map(|algorithm| SecretKey::generate(algorithm).expect("a key"));
    let public = keys
        .iter()
        .map(|key| key.public_key().expect("a public key"));
    let verifier = Arc::new(TokenVerifier::new(KeySet::of(public)));
    for wanted in Tokens::ALL {
        let tokens = AccessTokens::new(
            TokenPolicy::Required,
            verifier.clone(),
            (id(SMF), NfType::Smf),
            None,
            Clock::default(),
            ledger.clone(),
        );
        let scene = Scene::guarded_by(tokens.map(Arc::new).unwrap(), wanted).await;
        for key in &mut keys {
            let token = format!("Bearer {}", mint(key, json!({})));
            let answer = scene.ask(CREATE, Some(token)).await;
            let expected = if wanted.algorithm() == Some(key.algorithm()) {
                (204, String::new())
            } else {
                (401, format!("{INVALID}\"key\""))
            };
            assert_eq!(answer, expected, "{wanted}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_wants_no_tokens_sends_none() {
    let scene = Scene::new(TokenPolicy::Optional).await;
    let (scene, asked) = authorized(scene, Tokens::None, (0, json!({})));
    assert_eq!(scene.ask(CREATE, None).await.0, 204);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(*scene.smf.0.lock().unwrap(), [None]);
}
