//! nnrf-cm, from the request that a connection hands over to the certificate that a relying party verifies.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::http::HeaderValue;
use hyper::{HeaderMap, Method};
use mtc_core::certificate::Certificate;
use mtc_core::time::UnixTime;
use mtc_core::verify::{Basis, PolicyError, Rejection};
use mtc_core::x509::{EndEntity, Role};
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{CredentialSet, MtcTrust};
use mtc_tls::csr;
use mtc_tls::identity::{CertificateId, NfIdentity};
use mtc_tls::key::{KeyAlgorithm, NfKey};
use nf_nrf::certificate_management::CertificateManagement;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime as TlsTime};
use sbi::config::Wanted;
use sbi::credentials::{CertificateSource, Keeper, ObtainError};
use sbi::enrolment::{
    CERTIFICATES, CertificateRequest, EnrolmentError, IssuedCertificate, LandmarkAnswer,
    LandmarkRelativeCertificate, MTC_PROFILE,
};
use sbi::enrolment_claims::{ENROLMENT_ISSUER, EnrolmentClaims};
use sbi::instance::Instance;
use sbi::model::NfType;
use sbi::problem::{Problem, ProblemDetails};
use sbi::response::Response;
use sbi::server::{Peer, Request};
use sbi::vault::Vault;
use uuid::Uuid;

use crate::mtca::{Authority, BASELINE, LANDMARK_INTERVAL, RENEW_EXPIRED, Service};

const AMF: Uuid = Uuid::from_u128(0x0a3f_5c1e_7d24_4b8f_9c61_2f4f_0d9e_1a01);
const OTHER: Uuid = Uuid::from_u128(0x5b1d_9a77_3a51_4c0b_8d55_7e0f_6a3b_2c02);
const FQDN: &str = "amf1.5gc.mnc001.mcc001.3gppnetwork.org";
const SECOND_FQDN: &str = "amf1-mgmt.5gc.mnc001.mcc001.3gppnetwork.org";
const FOREIGN_FQDN: &str = "nrf1.5gc.mnc001.mcc001.3gppnetwork.org";
/// The baseline of the service as a profile.
const X509: &str = "x509-ecdsa-p256-intermediate";

/// What a new token says: the AMF, good for an hour.
fn claims() -> EnrolmentClaims {
    EnrolmentClaims {
        iss: ENROLMENT_ISSUER.to_owned(),
        sub: AMF,
        nf_type: "AMF".to_owned(),
        fqdn: vec![FQDN.to_owned(), SECOND_FQDN.to_owned()],
        exp: Clock::default().unix_seconds() + 3600,
        jti: Uuid::new_v4(),
    }
}

/// What a certificate for [`claims`] must say.
fn is_the_amf(identity: &NfIdentity) -> bool {
    let NfIdentity {
        instance_id,
        nf_types,
        fqdns,
        not_after: _,
    } = identity;
    *instance_id == AMF && *nf_types == ["AMF"] && *fqdns == [FQDN, SECOND_FQDN]
}

fn new_key() -> NfKey {
    NfKey::generate(KeyAlgorithm::EcdsaP256).expect("randomness")
}

/// A CSR for a new key with these names.
pub(crate) fn csr(instance: Uuid, fqdns: &[&str]) -> Vec<u8> {
    let fqdns: Vec<_> = fqdns.iter().map(|&fqdn| fqdn.to_owned()).collect();
    csr::create(&new_key(), instance, &fqdns).expect("a key that signs")
}

fn amf_csr() -> Vec<u8> {
    csr(AMF, &[FQDN])
}

/// The `Authorization` of a token.
pub(crate) fn bearer(token: &str) -> Option<String> {
    Some(format!("Bearer {token}"))
}

pub(crate) fn request(
    method: Method,
    identity: Option<NfIdentity>,
    authorization: Option<String>,
    body: Vec<u8>,
) -> Request {
    let authorization = authorization.map(|value| {
        let value = HeaderValue::from_str(&value).expect("visible ASCII");
        (AUTHORIZATION, value)
    });
    Request {
        method,
        path: String::new(),
        query: String::new(),
        headers: HeaderMap::from_iter(authorization.into_iter().chain([json()])),
        body: body.into(),
        peer: Arc::new(Peer {
            expired: None,
            certificate: identity.is_some().then(|| CertificateId::new(b"CA", &[1])),
            identity,
            remote: ([127, 0, 0, 1], 1).into(),
            profile: None,
        }),
    }
}

fn json() -> (HeaderName, HeaderValue) {
    (CONTENT_TYPE, HeaderValue::from_static("application/json"))
}

pub(crate) fn certificate_request(csr: &[u8], profile: &str) -> Vec<u8> {
    let body = CertificateRequest {
        csr: STANDARD.encode(csr),
        profile: profile.to_owned(),
    };
    serde_json::to_vec(&body).expect("JSON")
}

pub(crate) async fn answer(service: &Service, request: &Request, segments: &[&str]) -> Response {
    let certificates = CertificateManagement {
        enrolment: service.enrolment.clone(),
    };
    let answered = certificates.handle(request, segments).await;
    answered.unwrap_or_else(Problem::into_response)
}

/// Asks for a certificate with a token, without a client certificate.
async fn enrol_for(service: &Service, token: &str, csr: &[u8], profile: &str) -> Response {
    let body = certificate_request(csr, profile);
    let request = request(Method::POST, None, bearer(token), body);
    answer(service, &request, &["certificates"]).await
}

async fn enrol(service: &Service, token: &str, csr: &[u8]) -> Response {
    enrol_for(service, token, csr, MTC_PROFILE).await
}

/// Asks for a certificate with a client certificate.
async fn renew(service: &Service, identity: &NfIdentity, csr: &[u8]) -> Response {
    let body = certificate_request(csr, MTC_PROFILE);
    let request = request(Method::POST, Some(identity.clone()), None, body);
    answer(service, &request, &["certificates"]).await
}

async fn landmark_relative(service: &Service, identity: &NfIdentity, id: &str) -> Response {
    let request = request(Method::GET, Some(identity.clone()), None, Vec::new());
    let segments = ["certificates", id, "landmark-relative"];
    answer(service, &request, &segments).await
}

/// What an answer of 201 brings.
fn issued(response: &Response) -> IssuedCertificate {
    assert_eq!(response.status, 201, "{}", detail(response));
    response.read_json().expect("an issued certificate")
}

fn leaf(issued: &IssuedCertificate) -> Vec<u8> {
    issued.chain_der().expect("a chain").swap_remove(0)
}

fn details(response: &Response) -> ProblemDetails {
    ProblemDetails::from_body(&response.body).unwrap_or_default()
}

fn detail(response: &Response) -> String {
    details(response).detail.unwrap_or_default()
}

/// The AMF after its enrolment, as its connections show it.
async fn enrolled(service: &Service) -> (IssuedCertificate, NfIdentity) {
    let token = service.authority.mint(&claims());
    let issued = issued(&enrol(service, &token, &amf_csr()).await);
    let identity = NfIdentity::from_certificate(&leaf(&issued)).expect("names an NF");
    (issued, identity)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn how_long_issuing_took_is_counted() {
    let service = Service::start();
    assert_eq!(service.ledger.snapshot().issuance.certificates, 0);
    enrolled(&service).await;
    let counted = service.ledger.snapshot().issuance;
    assert_eq!(counted.certificates, 1);
    assert!(0 < counted.checkpoint_ns && counted.checkpoint_ns <= counted.issue_ns);
}

#[tokio::test]
async fn a_token_brings_a_certificate_that_relying_parties_verify() {
    let service = Service::start();
    let key = new_key();
    let csr = csr::create(&key, AMF, &[FQDN.to_owned()]).unwrap();
    let response = enrol(&service, &service.authority.mint(&claims()), &csr).await;
    let issued = issued(&response);
    let location = format!("{CERTIFICATES}/{}", issued.certificate_id);
    assert_eq!(response.header(&LOCATION), Some(location.as_str()));
    assert_eq!(
        issued.landmark_relative,
        Some(format!("{location}/landmark-relative"))
    );
    assert_eq!((issued.profile.as_str(), issued.chain.len()), ("mtc", 1));

    let leaf = leaf(&issued);
    let accepted = service.trust().verify_issuance(&leaf).unwrap();
    assert_eq!(accepted.basis, Basis::Cosignatures);
    let serial = Certificate::parse(&leaf).unwrap().serial;
    assert_eq!(issued.certificate_id, serial.to_string());
    assert!(contains(&leaf, key.spki_der()));
    assert_eq!(
        NfIdentity::from_certificate(&leaf).unwrap().not_after,
        issued.not_after
    );
    let stranger = Service::start();
    assert!(stranger.trust().verify_issuance(&leaf).is_err());
}

#[tokio::test]
async fn the_certificate_names_whom_the_token_names() {
    let service = Service::start();
    for names in [&[][..], &[SECOND_FQDN]] {
        let token = service.authority.mint(&claims());
        let issued = issued(&enrol(&service, &token, &csr(AMF, names)).await);
        let identity = NfIdentity::from_certificate(&leaf(&issued)).unwrap();
        assert!(is_the_amf(&identity), "{identity:?}");
    }
}

#[tokio::test]
async fn a_subject_that_a_csr_asks_for_is_not_certified() {
    let service = Service::start();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut wish = rcgen::CertificateParams::new([FQDN.to_owned()]).unwrap();
    wish.distinguished_name
        .push(rcgen::DnType::OrganizationName, "Intruder");
    wish.key_usages = vec![rcgen::KeyUsagePurpose::KeyEncipherment];
    let csr = wish.serialize_request(&key).unwrap();
    assert!(contains(csr.der(), b"Intruder"));
    let token = service.authority.mint(&claims());
    let leaf = leaf(&issued(&enrol(&service, &token, csr.der()).await));
    assert!(is_the_amf(&NfIdentity::from_certificate(&leaf).unwrap()));
    assert!(!contains(&leaf, b"Intruder"));
    let leaf = EndEntity::parse(&leaf).unwrap();
    let usage = leaf.check_usage(Clock::default().now(), Some(Role::Client));
    assert_eq!(usage, Ok(()));
}

#[tokio::test]
async fn a_csr_that_asks_for_more_than_it_may_is_told_each_member() {
    let service = Service::start();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let names = [FQDN, FOREIGN_FQDN].map(str::to_owned);
    let mut wish = rcgen::CertificateParams::new(names).unwrap();
    wish.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    wish.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    // NFTypes ::= SEQUENCE OF IA5String, of RFC 9310.
    let nf_types = rcgen::CustomExtension::from_oid_content(
        &[1, 3, 6, 1, 5, 5, 7, 1, 34],
        b"\x30\x05\x16\x03NRF".to_vec(),
    );
    wish.custom_extensions = vec![nf_types];
    let csr = wish.serialize_request(&key).unwrap();
    let token = service.authority.mint(&claims());
    let refused = enrol(&service, &token, csr.der()).await;
    assert_eq!(refused.status, 403);
    let params = details(&refused).invalid_params.into_iter();
    let mut told: Vec<_> = params
        .map(|param| (param.param, param.reason.unwrap_or_default()))
        .collect();
    told.sort_unstable();
    let allowed = format!("the token or certificate allows {FQDN}, {SECOND_FQDN}");
    let expected = [
        (
            "/csr: basicConstraints",
            "cA is for CAs, not for NFs".to_owned(),
        ),
        (
            "/csr: keyUsage",
            "keyCertSign is for CAs, not for NFs".to_owned(),
        ),
        (
            "/csr: nfTypes",
            "the CSR asks for NF type NRF, the token or certificate allows AMF".to_owned(),
        ),
        (
            "/csr: subjectAltName",
            format!("the CSR asks for {FOREIGN_FQDN}, {allowed}"),
        ),
    ];
    assert_eq!(
        told,
        expected.map(|(member, reason)| (member.to_owned(), reason))
    );
    // Nothing was issued for it, so the token is good.
    issued(&enrol(&service, &token, &amf_csr()).await);
}

#[tokio::test]
async fn without_its_log_the_nrf_issues_what_needs_none_and_tells_why_not_more() {
    let service = Service::start_without_log();
    let token = service.authority.mint(&claims());
    let refused = enrol(&service, &token, &amf_csr()).await;
    assert_eq!(refused.status, 503);
    let told = detail(&refused);
    assert!(told.contains("the issuance log in /lab/log"), "{told}");
    // Nothing was issued for it, so the token is good.
    let x509 = issued(&enrol_for(&service, &token, &amf_csr(), X509).await);
    let identity = NfIdentity::from_certificate(&leaf(&x509)).unwrap();
    assert!(is_the_amf(&identity), "{identity:?}");
    let read = request(Method::GET, Some(identity.clone()), None, Vec::new());
    let read = answer(&service, &read, &["certificates", "281474976710656"]).await;
    assert_eq!(read.status, 503);
    let relative = landmark_relative(&service, &identity, "281474976710656").await;
    assert_eq!(relative.status, 503);
    assert_eq!(renew(&service, &identity, &amf_csr()).await.status, 503);
}

#[tokio::test]
async fn an_expired_token_is_401_with_a_challenge() {
    let service = Service::start();
    let expired = EnrolmentClaims {
        exp: Clock::default().unix_seconds() - 1,
        ..claims()
    };
    let response = enrol(&service, &service.authority.mint(&expired), &amf_csr()).await;
    assert_eq!(response.status, 401);
    let challenge = response.header(&WWW_AUTHENTICATE).unwrap();
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    assert!(challenge.contains("invalid_token"), "{challenge}");
    assert!(detail(&response).contains("exp"), "{}", detail(&response));
}

#[tokio::test]
async fn a_token_of_another_authority_is_401() {
    let service = Service::start();
    let response = enrol(&service, &Authority::new().mint(&claims()), &amf_csr()).await;
    assert_eq!(response.status, 401);
    assert!(response.header(&WWW_AUTHENTICATE).is_some());
}

#[tokio::test]
async fn an_authorization_that_is_no_token_is_401_whoever_connects() {
    let service = Service::start();
    let (_, identity) = enrolled(&service).await;
    let token = service.authority.mint(&claims());
    for authorization in [String::new(), "Bearer".to_owned(), format!("Basic {token}")] {
        let body = certificate_request(&amf_csr(), MTC_PROFILE);
        let request = request(
            Method::POST,
            Some(identity.clone()),
            Some(authorization.clone()),
            body,
        );
        let response = answer(&service, &request, &["certificates"]).await;
        assert_eq!(response.status, 401, "{authorization:?}");
    }
}

#[tokio::test]
async fn a_token_is_good_for_one_certificate() {
    let service = Service::start();
    let token = service.authority.mint(&claims());
    issued(&enrol(&service, &token, &amf_csr()).await);
    let again = enrol(&service, &token, &amf_csr()).await;
    assert_eq!(again.status, 403);
    assert!(detail(&again).contains("already used"));
    let problem = ProblemDetails::from_body(&again.body).unwrap_or_default();
    assert_eq!(problem.cause.as_deref(), Some("ENROLMENT_TOKEN_USED"));
    let for_a_baseline = enrol_for(&service, &token, &amf_csr(), X509).await;
    assert_eq!(for_a_baseline.status, 403);
}

#[tokio::test]
async fn the_same_request_with_the_same_token_gets_the_same_certificate_again() {
    let service = Service::start();
    let token = service.authority.mint(&claims());
    let csr = amf_csr();
    let first = enrol(&service, &token, &csr).await;
    let again = enrol(&service, &token, &csr).await;
    assert_eq!(again.header(&LOCATION), first.header(&LOCATION));
    assert_eq!(issued(&again), issued(&first));
    let other_key = enrol(&service, &token, &amf_csr()).await;
    assert_eq!(other_key.status, 403);
    let other_profile = enrol_for(&service, &token, &csr, X509).await;
    assert_eq!(other_profile.status, 403);
    let other_token = service.authority.mint(&claims());
    let other = issued(&enrol(&service, &other_token, &csr).await);
    assert_ne!(other.certificate_id, issued(&first).certificate_id);

    // Never one that was not issued.
    let file = service.archived(issued(&first).certificate_id.parse().unwrap());
    let mut damaged = fs::read(&file).unwrap();
    let name = damaged.windows(FQDN.len());
    let mut name = name
        .enumerate()
        .filter(|(_, name)| *name == FQDN.as_bytes());
    let at = name.next().expect("the name").0;
    damaged[at] = b'z';
    fs::write(&file, damaged).unwrap();
    let damaged = enrol(&service, &token, &csr).await;
    assert_eq!(damaged.status, 500);

    // X.509 certificates are in no log: their answers are kept.
    let token = service.authority.mint(&claims());
    let first = issued(&enrol_for(&service, &token, &csr, X509).await);
    let again = issued(&enrol_for(&service, &token, &csr, X509).await);
    assert_eq!(again, first);
    assert_eq!(enrol(&service, &token, &csr).await.status, 403);
    let other_key = enrol_for(&service, &token, &amf_csr(), X509).await;
    assert_eq!(other_key.status, 403);
}

// A request was its octets: whoever signed it again, at random, was told that the token was used.
#[tokio::test]
async fn a_request_is_its_key_and_not_its_signature() {
    let service = Service::start();
    let key = new_key();
    let csr_for = |fqdns: &[&str]| {
        let fqdns: Vec<_> = fqdns.iter().map(|&fqdn| fqdn.to_owned()).collect();
        csr::create(&key, AMF, &fqdns).expect("a key that signs")
    };
    for profile in [MTC_PROFILE, X509] {
        let token = service.authority.mint(&claims());
        let (one, other) = (csr_for(&[FQDN]), csr_for(&[FQDN]));
        assert_ne!(one, other);
        let first = issued(&enrol_for(&service, &token, &one, profile).await);
        let again = issued(&enrol_for(&service, &token, &other, profile).await);
        assert_eq!(again, first);
        // It says what it may not ask for, whatever was issued.
        let excess = enrol_for(&service, &token, &csr_for(&[FOREIGN_FQDN]), profile).await;
        assert_eq!(excess.status, 403);
        assert!(detail(&excess).contains(FOREIGN_FQDN), "{excess:?}");
    }
}

/// The NRF, asked with a token; the first answers are lost on the way.
struct Lossy {
    service: Arc<Service>,
    token: String,
    to_lose: Arc<AtomicUsize>,
}

impl CertificateSource for Lossy {
    async fn request(&self, csr: &[u8], profile: &str) -> Result<IssuedCertificate, ObtainError> {
        let answer = enrol_for(&self.service, &self.token, csr, profile).await;
        let failed = |source| ObtainError::Enrolment {
            profile: profile.to_owned(),
            source,
        };
        let lost = self
            .to_lose
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if lost.is_ok() {
            assert_eq!(answer.status, 201, "{}", detail(&answer));
            // For good, as for a process that is killed.
            return Err(failed(EnrolmentError::Answer("lost")));
        }
        if answer.status != 201 {
            return Err(failed(EnrolmentError::Refused {
                status: answer.status,
                details: Box::new(details(&answer)),
            }));
        }
        Ok(issued(&answer))
    }

    async fn landmark_relative(&self, _path: &str) -> Result<LandmarkAnswer, ObtainError> {
        Ok(LandmarkAnswer::Never)
    }
}

#[tokio::test]
async fn an_nf_that_is_killed_before_it_has_its_answer_gets_it_after_its_restart() {
    let service = Arc::new(Service::start());
    for (wanted, profile) in [
        (Wanted::Mtc(KeyAlgorithm::EcdsaP256), MTC_PROFILE),
        (Wanted::X509(BASELINE, KeyAlgorithm::EcdsaP256), X509),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let token = service.authority.mint(&claims());
        let to_lose = Arc::new(AtomicUsize::new(2));
        // What a start of the NF is.
        let start = || {
            let instance = Instance::new(
                AMF.into(),
                NfType::Amf,
                FQDN.to_owned(),
                CredentialSet::new(MtcTrust::new(service.trust()), Vec::new()),
                Clock::default(),
                Arc::default(),
            );
            let source = Lossy {
                service: service.clone(),
                token: token.clone(),
                to_lose: to_lose.clone(),
            };
            let vault = Vault::open(folder.path(), AMF).unwrap();
            Keeper::load(
                Arc::new(instance),
                source,
                vec![wanted],
                vault,
                sbi::metrics::Metrics::new(),
            )
            .unwrap()
        };
        let deadline = || tokio::time::Instant::now() + Duration::from_secs(60);
        for _ in 0..2 {
            start().complete(deadline()).await.unwrap_err();
        }
        let mut keeper = start();
        let completed = keeper.complete(deadline()).await;
        completed.unwrap_or_else(|error| panic!("{profile}: {error:?}"));
        assert!(keeper.has_valid());
        drop(keeper);
        let stored = Vault::open(folder.path(), AMF).unwrap().load().unwrap();
        assert_eq!((stored.credentials.len(), stored.requests.len()), (1, 0));
        assert!(start().has_valid());
    }
}

#[tokio::test]
async fn names_that_the_token_does_not_allow_are_403() {
    let service = Service::start();
    let token = service.authority.mint(&claims());
    for (instance, fqdns, at_fault) in [
        (OTHER, &[FQDN][..], OTHER.to_string()),
        (AMF, &[FQDN, FOREIGN_FQDN], FOREIGN_FQDN.to_owned()),
        (AMF, &[FOREIGN_FQDN], FOREIGN_FQDN.to_owned()),
    ] {
        let response = enrol(&service, &token, &csr(instance, fqdns)).await;
        assert_eq!(response.status, 403, "{instance} {fqdns:?}");
        assert!(
            detail(&response).contains(&at_fault),
            "{}",
            detail(&response)
        );
    }
    issued(&enrol(&service, &token, &amf_csr()).await);
}

#[tokio::test]
async fn a_csr_without_proof_of_possession_is_400() {
    let service = Service::start();
    let token = service.authority.mint(&claims());
    let mut stolen_key = amf_csr();
    // The last bytes are the signature's.
    *stolen_key.last_mut().unwrap() ^= 1;
    let response = enrol(&service, &token, &stolen_key).await;
    assert_eq!(response.status, 400);
    let invalid = &details(&response).invalid_params[0];
    assert_eq!(invalid.param, "/csr");
    let reason = invalid.reason.clone().unwrap_or_default();
    assert!(reason.contains("does not verify"), "{reason}");
    issued(&enrol(&service, &token, &amf_csr()).await);
}

#[tokio::test]
async fn a_body_that_is_no_certificate_request_is_400() {
    let service = Service::start();
    let token = service.authority.mint(&claims());
    for body in [
        "",
        "{}",
        r#"{"csr":"AA==","profile":"mtc","more":1}"#,
        r#"{"csr":"*","profile":"mtc"}"#,
        r#"{"csr":"AA==","profile":"mtc"}"#,
    ] {
        let request = request(Method::POST, None, bearer(&token), body.into());
        let response = answer(&service, &request, &["certificates"]).await;
        assert_eq!(response.status, 400, "{body}");
    }
    issued(&enrol(&service, &token, &amf_csr()).await);
}

#[tokio::test]
async fn an_unknown_profile_is_400_and_lists_the_known() {
    let service = Service::start();
    let token = service.authority.mint(&claims());
    for profile in [
        "",
        "MTC",
        "mtc-standalone",
        "x509",
        "x509-ecdsa-p256-direct",
        "ecdsa-p256-intermediate",
    ] {
        let response = enrol_for(&service, &token, &amf_csr(), profile).await;
        assert_eq!(response.status, 400, "{profile:?}");
        let invalid = &details(&response).invalid_params[0];
        assert_eq!(invalid.param, "/profile");
        let reason = invalid.reason.clone().unwrap_or_default();
        assert!(reason.contains(&format!("mtc, {X509}")), "{reason}");
    }
    issued(&enrol(&service, &token, &amf_csr()).await);
}

#[tokio::test]
async fn neither_certificate_nor_token_is_401() {
    let service = Service::start();
    let body = certificate_request(&amf_csr(), MTC_PROFILE);
    let to_issue = request(Method::POST, None, None, body);
    let response = answer(&service, &to_issue, &["certificates"]).await;
    assert_eq!(response.status, 401);
    let (issued, _) = enrolled(&service).await;
    // A token is for enrolment and opens nothing else.
    let token = service.authority.mint(&claims());
    for authorization in [None, bearer(&token)] {
        let to_read = request(Method::GET, None, authorization, Vec::new());
        let segments = ["certificates", &issued.certificate_id, "landmark-relative"];
        assert_eq!(answer(&service, &to_read, &segments).await.status, 401);
    }
}

/// A request on a connection whose certificate had expired `ago` seconds before.
fn of_expired(service_identity: &NfIdentity, ago: u64, mut request: Request) -> Request {
    let identity = NfIdentity {
        not_after: Clock::default().unix_seconds() - ago,
        ..service_identity.clone()
    };
    request.peer = Arc::new(Peer {
        identity: None,
        expired: Some(identity),
        certificate: Some(CertificateId::new(b"CA", &[1])),
        ..Peer::clone(&request.peer)
    });
    request
}

#[tokio::test]
async fn a_certificate_that_expired_a_short_while_ago_is_renewed_and_serves_for_nothing_else() {
    let service = Service::start();
    let (first, identity) = enrolled(&service).await;
    let window = RENEW_EXPIRED.as_secs();
    let post = |profile: &str| {
        let body = certificate_request(&amf_csr(), profile);
        request(Method::POST, None, None, body)
    };
    let segments = ["certificates"];
    let renewal = of_expired(&identity, window - 60, post(MTC_PROFILE));
    let renewed = issued(&answer(&service, &renewal, &segments).await);
    let renewed = NfIdentity::from_certificate(&leaf(&renewed)).unwrap();
    assert!(is_the_amf(&renewed));

    let late = of_expired(&identity, window + 60, post(MTC_PROFILE));
    let refused = answer(&service, &late, &segments).await;
    assert_eq!(refused.status, 403);
    assert!(detail(&refused).contains("expired"), "{}", detail(&refused));
    let x509 = of_expired(&identity, 60, post(X509));
    assert_eq!(answer(&service, &x509, &segments).await.status, 403);
    let id = first.certificate_id.as_str();
    for segments in [
        &["certificates", id][..],
        &["certificates", id, "landmark-relative"],
    ] {
        let read = of_expired(&identity, 60, request(Method::GET, None, None, Vec::new()));
        let refused = answer(&service, &read, segments).await;
        assert_eq!(refused.status, 401);
        assert!(detail(&refused).contains("expired"), "{}", detail(&refused));
    }
}

// It was the CMP port's own matter: over nnrf-cm the certificate renewed itself all the same.
#[tokio::test]
async fn a_certificate_that_was_revoked_renews_nothing_in_time_or_after() {
    let service = Service::start();
    for profile in [MTC_PROFILE, X509] {
        let token = service.authority.mint(&claims());
        let first = issued(&enrol_for(&service, &token, &amf_csr(), profile).await);
        let leaf = leaf(&first);
        let identity = NfIdentity::from_certificate(&leaf).unwrap();
        let parsed = EndEntity::parse(&leaf).unwrap();
        let certificate = CertificateId::new(parsed.issuer, parsed.serial);
        let renewal = || {
            let body = certificate_request(&amf_csr(), profile);
            let mut renewal = request(Method::POST, Some(identity.clone()), None, body);
            renewal.peer = Arc::new(Peer {
                certificate: Some(certificate.clone()),
                ..Peer::clone(&renewal.peer)
            });
            renewal
        };
        let segments = ["certificates"];
        issued(&answer(&service, &renewal(), &segments).await);
        let revoked = &service.enrolment.revoked;
        revoked.mark(&leaf, None, UnixTime(1)).await.unwrap();
        let mut late = of_expired(&identity, 60, renewal());
        late.peer = Arc::new(Peer {
            certificate: Some(certificate.clone()),
            ..Peer::clone(&late.peer)
        });
        for renewal in [renewal(), late] {
            let refused = answer(&service, &renewal, &segments).await;
            assert_eq!(refused.status, 403);
            assert!(detail(&refused).contains("revoked"), "{}", detail(&refused));
        }
    }
}

#[tokio::test]
async fn a_client_certificate_is_renewed_for_the_same_nf() {
    let service = Service::start();
    let (first, identity) = enrolled(&service).await;
    let mut serials = vec![first.certificate_id];
    for _ in 0..2 {
        let renewed = issued(&renew(&service, &identity, &amf_csr()).await);
        let leaf = leaf(&renewed);
        assert!(service.trust().verify_issuance(&leaf).is_ok());
        assert!(is_the_amf(&NfIdentity::from_certificate(&leaf).unwrap()));
        assert!(!serials.contains(&renewed.certificate_id));
        serials.push(renewed.certificate_id);
    }
    for stranger in [csr(OTHER, &[FQDN]), csr(AMF, &[FOREIGN_FQDN])] {
        assert_eq!(renew(&service, &identity, &stranger).await.status, 403);
    }
}

#[tokio::test]
async fn an_x509_profile_brings_a_chain_to_its_root() {
    let service = Service::start();
    let (_, identity) = enrolled(&service).await;
    let key = new_key();
    let csr = csr::create(&key, AMF, &[FQDN.to_owned()]).unwrap();
    let body = certificate_request(&csr, X509);
    let request = request(Method::POST, Some(identity), None, body);
    let response = answer(&service, &request, &["certificates"]).await;
    let issued = issued(&response);
    assert_eq!(
        (issued.profile.as_str(), &issued.landmark_relative),
        (X509, &None)
    );
    let chain = issued.chain_der().unwrap();
    assert_eq!(chain.len(), 2, "leaf and intermediate, without the root");
    assert!(contains(&chain[0], key.spki_der()));
    let named = NfIdentity::from_certificate(&chain[0]).unwrap();
    assert!(is_the_amf(&named));
    assert_eq!(named.not_after, issued.not_after);

    let baseline = &service.enrolment.baselines[0];
    assert_eq!(baseline.profile(), BASELINE);
    let mut roots = RootCertStore::empty();
    roots.add(baseline.root().clone()).unwrap();
    let provider = Arc::new(default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = verifier.build().unwrap();
    let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
    let verify = |name: &'static str| {
        let name = ServerName::try_from(name).expect("a DNS name");
        verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], TlsTime::now())
    };
    assert!(verify(FQDN).is_ok() && verify(SECOND_FQDN).is_ok());
    assert!(verify(FOREIGN_FQDN).is_err());
}

#[tokio::test]
async fn a_token_is_free_again_when_no_certificate_was_issued() {
    let service = Service::start();
    let token = service.authority.mint(&claims());
    service.set_witness_down(true);
    // The witness is asked until the deadline, which with a paused clock is as soon as nothing else happens.
    tokio::time::pause();
    let response = enrol(&service, &token, &amf_csr()).await;
    tokio::time::resume();
    assert_eq!(response.status, 503);
    assert_eq!(response.header(&RETRY_AFTER), Some("1"));
    assert!(detail(&response).contains("32473.9"), "names the witness");

    service.set_witness_down(false);
    let issued = issued(&enrol(&service, &token, &amf_csr()).await);
    assert!(service.trust().verify_issuance(&leaf(&issued)).is_ok());
    assert_eq!(enrol(&service, &token, &amf_csr()).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_requests_with_one_token_one_gets_a_certificate() {
    let service = Arc::new(Service::start());
    let token: Arc<str> = service.authority.mint(&claims()).into();
    let requests: Vec<_> = (0..8)
        .map(|_| {
            let (service, token) = (service.clone(), token.clone());
            tokio::spawn(async move { enrol(&service, &token, &amf_csr()).await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for request in requests {
        let finished = tokio::time::timeout(Duration::from_secs(30), request).await;
        statuses.push(finished.unwrap().unwrap().as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 403, 403, 403, 403, 403, 403, 403]);
}

#[tokio::test]
async fn a_landmark_relative_certificate_comes_with_the_landmark() {
    let service = Service::start();
    let (standalone, identity) = enrolled(&service).await;
    let early = landmark_relative(&service, &identity, &standalone.certificate_id).await;
    assert_eq!((early.status.as_u16(), early.body.len()), (202, 0));
    // A log's first landmark is due as soon as there is something to allocate it for.
    assert_eq!(early.header(&RETRY_AFTER), Some("1"));

    service.allocate_first_landmark().await;
    let response = landmark_relative(&service, &identity, &standalone.certificate_id).await;
    assert_eq!(response.status, 200);
    let ready: LandmarkRelativeCertificate = response.read_json().unwrap();
    assert_eq!((ready.log_number, ready.landmark.0), (1, 1));
    let certificate = ready.der().unwrap();
    assert!(
        Certificate::parse(&certificate)
            .unwrap()
            .proof
            .is_unsigned()
    );
    let accepted = service
        .trust_in_landmarks()
        .verify_issuance(&certificate)
        .unwrap();
    assert_eq!(accepted.basis, Basis::TrustedSubtree);
    assert!(matches!(
        service.trust().verify_issuance(&certificate),
        Err(Rejection::Policy(PolicyError::NoCaCosignature(_)))
    ));
    let named = NfIdentity::from_certificate(&certificate).unwrap();
    assert_eq!(named, identity);
    let leaf = leaf(&standalone);
    assert_eq!(
        Certificate::parse(&certificate).unwrap().serial,
        Certificate::parse(&leaf).unwrap().serial
    );
}

// Whatever bit of the archive is flipped, peers accept what is handed out: a proof below other contents is none.
#[tokio::test]
async fn a_damaged_archived_certificate_is_not_handed_out() {
    let service = Service::start();
    let (standalone, identity) = enrolled(&service).await;
    service.allocate_first_landmark().await;
    let id = &standalone.certificate_id;
    let file = service.archived(id.parse().unwrap());
    let sound = fs::read(&file).unwrap();
    let trust = service.trust_in_landmarks();
    let mut refused = 0;
    // The contents come first; most of what follows are cosignatures.
    for at in (0..512).chain((512..sound.len()).step_by(97)) {
        let mut damaged = sound.clone();
        damaged[at] ^= 1;
        fs::write(&file, &damaged).unwrap();
        let response = landmark_relative(&service, &identity, id).await;
        if response.status == 200 {
            let ready: LandmarkRelativeCertificate = response.read_json().unwrap();
            let accepted = trust.verify_issuance(&ready.der().unwrap());
            assert!(accepted.is_ok(), "octet {at}: {accepted:?}");
        } else {
            refused += 1;
        }
    }
    assert!(refused > 100, "{refused} of 512 octets");
    fs::write(&file, sound).unwrap();
    let response = landmark_relative(&service, &identity, id).await;
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn a_certificate_after_the_newest_landmark_waits_for_the_next() {
    let service = Service::start();
    let (before, identity) = enrolled(&service).await;
    service.allocate_first_landmark().await;
    let after = issued(&renew(&service, &identity, &amf_csr()).await);
    let late = landmark_relative(&service, &identity, &after.certificate_id).await;
    assert_eq!(late.status, 202);
    // What is left of an interval that began just now.
    let wait: u64 = late.header(&RETRY_AFTER).unwrap().parse().unwrap();
    let interval = LANDMARK_INTERVAL.as_secs();
    assert!((interval / 2..=interval).contains(&wait), "{wait}");
    let ready = landmark_relative(&service, &identity, &before.certificate_id).await;
    assert_eq!(ready.status, 200);
}

#[tokio::test]
async fn an_unknown_certificate_is_404() {
    let service = Service::start();
    let (issued, identity) = enrolled(&service).await;
    service.allocate_first_landmark().await;
    let serial: u64 = issued.certificate_id.parse().unwrap();
    for id in [
        (serial + 1).to_string(),
        "0".to_owned(),
        u64::MAX.to_string(),
        "18446744073709551616".to_owned(),
        "../used-tokens".to_owned(),
        String::new(),
        Uuid::new_v4().to_string(),
    ] {
        let response = landmark_relative(&service, &identity, &id).await;
        assert_eq!(response.status, 404, "{id:?}");
    }
}

#[tokio::test]
async fn other_methods_are_405_and_other_paths_do_not_exist() {
    let service = Service::start();
    let (_, identity) = enrolled(&service).await;
    for (method, segments, status, allow) in [
        (Method::GET, &["certificates"][..], 405, Some("POST")),
        (
            Method::POST,
            &["certificates", "1", "landmark-relative"],
            405,
            Some("GET"),
        ),
        (Method::GET, &["certificates", "1"], 404, None),
        (Method::GET, &["certificates", "1", "chain"], 404, None),
        (Method::GET, &[], 404, None),
        (Method::POST, &["keys"], 404, None),
    ] {
        let request = request(method.clone(), Some(identity.clone()), None, Vec::new());
        let response = answer(&service, &request, segments).await;
        assert_eq!(response.status, status, "{method} {segments:?}");
        assert_eq!(
            response.header(&hyper::header::ALLOW),
            allow,
            "{method} {segments:?}"
        );
    }
}
