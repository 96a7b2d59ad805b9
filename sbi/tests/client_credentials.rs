//! What a consumer sends through an SCP to say who it is, over real HTTP/2 in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::Method;
use hyper::StatusCode;
use hyper::header::AUTHORIZATION;
use jose::{Jws, KeySet};
use mtc_core::ca::CaCertificate;
use mtc_core::cosign::{PublicKey, SecretKey, SignatureAlgorithm};
use mtc_core::time::UnixTime;
use mtc_core::verify::CaTrust;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{
    Credential, CredentialSet, LandmarkCredential, MtcCredential, MtcTrust, Store,
};
use mtc_tls::endpoint::Endpoint;
use mtc_tls::identity::NfIdentity;
use mtc_tls::key::{KeyAlgorithm, NfKey};
use mtc_tls::kind::CertificateKind;
use mtc_tls::profile::{ConnectionProfile, TrustDomain};
use sbi::access_token::{
    AccessTokens, Authorizer, Bearer, FetchToken, TokenNeed, TokenPolicy, TokenSource,
    TokenVerifier,
};
use sbi::client::{Connection, Request};
use sbi::client_credentials::{self, AssertionRefusal, ClientCredentials};
use sbi::header::{CLIENT_CREDENTIALS, TARGET_API_ROOT, set_discovery};
use sbi::ledger::Ledger;
use sbi::model::{ClientCredentialsAssertion, NfInstanceId, NfType};
use sbi::problem::{Cause, Problem};
use sbi::response::Response;
use sbi::server::{self, Handler, Peer, serve_connection};
use sbi::uri::Scheme;
use test_support::mtca::Mtca;
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(10);
const AMF: Uuid = Uuid::from_u128(0xa);
const CREATE: &str = "/nsmf-pdusession/v1/sm-contexts";
const PROFILE: &str = "mtc-landmark/ecdsa-p256/X25519";

/// The two certificates of the AMF, the standalone one and the landmark-relative one, and its assertions.
struct Amf {
    standalone: Vec<u8>,
    landmark: Vec<u8>,
    credentials: Arc<ClientCredentials>,
}

impl Amf {
    fn new() -> Self {
        let key = NfKey::generate(KeyAlgorithm::EcdsaP256).expect("a key");
        let public = PublicKey::from_spki(key.spki_der()).expect("its public half");
        let mut mtca = Mtca::new("32473.1", 1, SignatureAlgorithm::Ed25519, &[]);
        let index = mtca.append(&public, Vec::new());
        let standalone = mtca.standalone(index, 0, &[&mtca.ca]);
        let landmark = mtca.standalone(index, 0, &[]);
        let trust = CaTrust::ca_alone(&CaCertificate {
            cosigner: mtca.ca.cosigner.clone(),
            min_serial: 0,
            max_serial: u64::MAX,
            prefix_url: None,
        });
        let credential = |certificate: &[u8]| {
            Credential::new(vec![certificate.to_vec()], &key, UnixTime(u64::MAX))
                .expect("the certificate is the key's")
        };
        let of_landmark = LandmarkCredential {
            log_number: mtca.log.number(),
            landmark: mtc_core::id::LandmarkNumber(1),
            credential: credential(&landmark),
        };
        let mut set = CredentialSet::new(MtcTrust::new(trust), Vec::new());
        set.mtc = vec![MtcCredential::new(
            credential(&standalone),
            Some(of_landmark),
        )];
        let endpoint = Endpoint::new(Store::new(set).receiver(), Clock::default());
        Self {
            standalone,
            landmark,
            credentials: Arc::new(ClientCredentials::new(AMF.into(), endpoint)),
        }
    }

    /// Its connection to `peer`, whom it takes for an NF of type `nf_type`.
    async fn connected(&self, peer: Arc<Scp>, nf_type: &str) -> Connection {
        let nrf = SecretKey::generate(SignatureAlgorithm::EcdsaP256).expect("a key");
        let keys = KeySet::of([nrf.public_key().expect("a public key")]);
        let ledger = Arc::new(Ledger::default());
        let tokens = AccessTokens::new(
            TokenPolicy::Required,
            Arc::new(TokenVerifier::new(keys)),
            (AMF.into(), NfType::Amf),
            Some(self.credentials.clone()),
            Clock::default(),
            ledger.clone(),
        );
        let tokens = tokens.expect("tokens are on");
        tokens.fetch_from(Nrf);
        let (client, server) = tokio::io::duplex(64 * 1024);
        tokio::spawn(serve_connection(
            server,
            Arc::new(Peer {
                identity: Some(identity("AMF")),
                ..Peer::cleartext(([127, 0, 0, 1], 1).into())
            }),
            peer,
            ledger.metrics().requests.clone(),
            std::future::pending(),
        ));
        let connection = Connection::handshake(client, Scheme::Https).await;
        let authorizer = Authorizer::new(Arc::new(tokens), profile(), &identity(nf_type));
        let connection = connection.expect("http/2");
        connection.authorized_by(Some(authorizer))
    }
}

fn profile() -> ConnectionProfile {
    PROFILE.parse().expect("a profile")
}

fn identity(nf_type: &str) -> NfIdentity {
    NfIdentity {
        instance_id: AMF,
        nf_types: vec![nf_type.to_owned()],
        fqdns: Vec::new(),
        not_after: u64::MAX,
    }
}

/// Gives tokens that nobody looks into.
struct Nrf;

impl TokenSource for Nrf {
    fn fetch<'a>(&'a self, _: &'a TokenNeed, _: ConnectionProfile) -> FetchToken<'a> {
        let bearer = Bearer::of("token").expect("ASCII");
        Box::pin(async move { Ok((bearer, Duration::from_secs(3600))) })
    }
}

/// What a request carried: the certificate in its assertion, and whether there was a token.
type Seen = (Option<Vec<u8>>, bool);

/// Answers as a producer does that knows some certificates, and wants a token if the SCP fetches none.
#[derive(Default)]
struct Scp {
    unknown: Vec<Vec<u8>>,
    wants_token: bool,
    seen: Mutex<Vec<Seen>>,
}

impl Handler for Scp {
    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        let text = client_credentials::of(&request.headers).ok();
        let certificate = text.map(|text| {
            let jws = Jws::parse(text).expect("a JWS");
            let claims: ClientCredentialsAssertion = jws.unverified_claims().expect("claims");
            assert_eq!(claims.sub, NfInstanceId::from(AMF));
            assert_eq!(claims.aud, [NfType::Smf, NfType::Nrf]);
            assert!(claims.iat < claims.exp && claims.exp - claims.iat <= 600);
            jws.header.chain[0].clone()
        });
        let has_token = request.headers.contains_key(AUTHORIZATION);
        let seen = (certificate.clone(), has_token);
        self.seen.lock().expect("test state").push(seen);
        if certificate.is_some_and(|certificate| self.unknown.contains(&certificate)) {
            let (status, cause) = (StatusCode::FORBIDDEN, Cause::CcaVerificationFailure);
            return Err(Problem::with_cause(status, cause, "which landmark?"));
        }
        if self.wants_token && !has_token {
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "no token"));
        }
        Ok(Response::no_content())
    }
}

impl Scp {
    fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().expect("test state"))
    }
}

/// The status of the answer to a request to a producer that the consumer names, or leaves to the SCP.
async fn ask(connection: &Connection, is_delegated: bool) -> u16 {
    let mut request = Request::new(Method::POST, "scp1.example.org", CREATE);
    if is_delegated {
        set_discovery(&mut request.headers, "target-nf-type", "SMF").expect("a name");
    } else {
        let root = "https://smf1.example.org:7777".parse().expect("a value");
        request.headers.insert(TARGET_API_ROOT, root);
    }
    let response = connection.send(request, DEADLINE).await;
    response.expect("an answer").status.as_u16()
}

#[tokio::test]
async fn a_landmark_that_somebody_does_not_know_is_done_without_from_then_on() {
    let amf = Amf::new();
    let scp = Arc::new(Scp {
        unknown: vec![amf.landmark.clone()],
        ..Scp::default()
    });
    let connection = amf.connected(scp.clone(), "SCP").await;
    let (landmark, standalone) = (Some(amf.landmark.clone()), Some(amf.standalone.clone()));
    assert_eq!(ask(&connection, false).await, 204);
    assert_eq!(
        scp.take_seen(),
        [(landmark, true), (standalone.clone(), true)]
    );
    assert_eq!(ask(&connection, false).await, 204);
    assert_eq!(scp.take_seen(), [(standalone, true)]);
    // Who believes neither is not asked again and again.
    let scp = Arc::new(Scp {
        unknown: vec![amf.landmark.clone(), amf.standalone.clone()],
        ..Scp::default()
    });
    let connection = amf.connected(scp.clone(), "SCP").await;
    assert_eq!(ask(&connection, false).await, 403);
    assert_eq!(scp.take_seen().len(), 1);
}

#[tokio::test]
async fn what_is_left_to_the_scp_carries_a_token_only_if_the_scp_gets_none() {
    let amf = Amf::new();
    let landmark = Some(amf.landmark.clone());
    let scp = Arc::new(Scp::default());
    let connection = amf.connected(scp.clone(), "SCP").await;
    assert_eq!(ask(&connection, true).await, 204);
    assert_eq!(scp.take_seen(), [(landmark.clone(), false)]);
    let scp = Arc::new(Scp {
        wants_token: true,
        ..Scp::default()
    });
    let connection = amf.connected(scp.clone(), "SCP").await;
    assert_eq!(ask(&connection, true).await, 204);
    assert_eq!(
        scp.take_seen(),
        [(landmark.clone(), false), (landmark, true)]
    );
}

#[tokio::test]
async fn a_producer_itself_is_shown_no_assertion() {
    let amf = Amf::new();
    let smf = Arc::new(Scp::default());
    let connection = amf.connected(smf.clone(), "SMF").await;
    for is_delegated in [false, true] {
        assert_eq!(ask(&connection, is_delegated).await, 204);
    }
    assert_eq!(smf.take_seen(), [(None, true), (None, true)]);
}

#[test]
fn an_assertion_is_signed_once_and_is_not_of_who_has_no_nf_certificate() {
    let amf = Amf::new();
    let made = || {
        let made = amf.credentials.assertion(&NfType::Smf, profile());
        made.expect("keys sign").expect("there is a certificate")
    };
    assert_eq!(made(), made());
    assert_eq!(made().kind(), CertificateKind::LandmarkRelative);
    let others = ConnectionProfile {
        leaf_key: KeyAlgorithm::MlDsa44,
        ..profile()
    };
    let none = amf.credentials.assertion(&NfType::Smf, others);
    assert!(none.expect("nothing to sign").is_none());
    // The certificates of this test name nobody: signed as well as can be, they make no NF of their holder.
    let text = made().header().to_str().expect("ASCII").to_owned();
    let read = |domain| amf.credentials.verify(&text, domain, &NfType::Smf);
    for domain in [TrustDomain::MtcLandmark, TrustDomain::MtcStandalone] {
        assert!(matches!(
            read(domain),
            Err(AssertionRefusal::Certificate(_))
        ));
    }
    let two = hyper::HeaderMap::from_iter([
        (CLIENT_CREDENTIALS, made().header().clone()),
        (CLIENT_CREDENTIALS, made().header().clone()),
    ]);
    assert!(matches!(
        client_credentials::of(&two),
        Err(AssertionRefusal::Missing)
    ));
}
