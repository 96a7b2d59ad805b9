//! Orders to revoke, as the admin port takes them.

use std::sync::Arc;

use hyper::{HeaderMap, Method};
use mtc_core::x509::Certificate;
use mtc_tls::clock::Clock;
use mtc_tls::csr::{self, Csr};
use mtc_tls::identity::{CertificateId, NfSubject};
use mtc_tls::key::{KeyAlgorithm, NfKey};
use nf_nrf::enrolment::Enrolment;
use nf_nrf::revocation::{
    Answer, MAX_REASON, ORDER_ISSUER, RevocationCommand, RevocationOrder, What,
};
use sbi::admin::Commands;
use sbi::enrolment::MTC_PROFILE;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Peer, Request};
use uuid::Uuid;

use crate::mtca::{Authority, HOME_DOMAIN, Service};

const AMF: Uuid = Uuid::from_u128(7);
const X509: &str = "x509-ecdsa-p256-intermediate";

async fn certified(service: &Service, instance: Uuid, profile: &str) -> Vec<u8> {
    let key = NfKey::generate(KeyAlgorithm::EcdsaP256).expect("randomness");
    let fqdns = ["amf1.5gc.mnc001.mcc001.3gppnetwork.org".to_owned()];
    let request = csr::create(&key, instance, &fqdns).expect("it signs");
    let request = Csr::parse_and_verify(&request).expect("a request");
    let subject = NfSubject::new("DE", HOME_DOMAIN, instance, &["AMF".to_owned()], &fqdns);
    let subject = subject.expect("a subject");
    let issued = service.enrolment.certify(profile, &request, &subject).await;
    let chain = issued.expect("issued").chain_der().expect("a chain");
    chain.into_iter().next().expect("a leaf")
}

pub(crate) fn order(what: What) -> RevocationOrder {
    RevocationOrder {
        iss: ORDER_ISSUER.to_owned(),
        exp: Clock::default().unix_seconds() + 60,
        what,
        reason: None,
    }
}

async fn answer(enrolment: &Arc<Enrolment>, method: Method, text: String) -> Response {
    let command = RevocationCommand {
        enrolment: enrolment.clone(),
        published: None,
    };
    let request = Request {
        method,
        path: command.path().to_owned(),
        query: String::new(),
        headers: HeaderMap::new(),
        body: text.into(),
        peer: Arc::new(Peer::cleartext(([127, 0, 0, 1], 1).into())),
    };
    let answered = command.handle(&request).await;
    answered.unwrap_or_else(Problem::into_response)
}

async fn carried_out(service: &Service, order: &RevocationOrder) -> Answer {
    carry_out(&service.enrolment, &service.authority, order).await
}

/// What has become of an order that is taken.
pub(crate) async fn carry_out(
    enrolment: &Arc<Enrolment>,
    authority: &Authority,
    order: &RevocationOrder,
) -> Answer {
    let answer = answer(enrolment, Method::POST, authority.mint(order)).await;
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    serde_json::from_slice(&answer.body).expect("an answer")
}

async fn status(service: &Service, order: &RevocationOrder) -> u16 {
    let order = service.authority.mint(order);
    let answer = answer(&service.enrolment, Method::POST, order).await;
    answer.status.as_u16()
}

fn id(certificate: &[u8]) -> CertificateId {
    let parsed = Certificate::parse(certificate).expect("a certificate");
    CertificateId::new(parsed.statement.issuer, parsed.serial)
}

#[tokio::test]
async fn the_certificates_of_an_instance_are_revoked_and_no_others() {
    let service = Service::start();
    let other = certified(&service, Uuid::from_u128(8), MTC_PROFILE).await;
    let own = [
        certified(&service, AMF, MTC_PROFILE).await,
        certified(&service, AMF, MTC_PROFILE).await,
    ];
    let answer = carried_out(&service, &order(What::Instance(AMF))).await;
    assert_eq!(answer.revoked.len(), 2);
    assert_eq!(answer.list, None, "nobody publishes here");
    let revoked = &service.enrolment.revoked;
    assert!(own.iter().all(|own| revoked.contains(&id(own))));
    assert!(!revoked.contains(&id(&other)));
    assert_eq!(
        status(&service, &order(What::Instance(Uuid::nil()))).await,
        404
    );
}

#[tokio::test]
async fn a_certificate_of_any_ca_of_the_nrf_is_revoked_and_none_of_others() {
    let service = Service::start();
    for (profile, ranges) in [(MTC_PROFILE, 1), (X509, 0)] {
        let leaf = certified(&service, AMF, profile).await;
        let certificate = id(&leaf);
        let what = What::certificate(certificate.issuer(), certificate.serial(), u64::MAX);
        for _ in 0..2 {
            let answer = carried_out(&service, &order(what.clone())).await;
            assert_eq!(answer.revoked.len(), ranges, "{profile}");
        }
        assert!(
            service.enrolment.revoked.contains(&certificate),
            "{profile}"
        );
    }
    let foreign = What::certificate(&[0x30, 0], &[1], u64::MAX);
    assert_eq!(status(&service, &order(foreign)).await, 400);
}

#[tokio::test]
async fn orders_that_are_not_good_change_nothing() {
    let service = Service::start();
    let leaf = certified(&service, AMF, MTC_PROFILE).await;
    let all = What::Instance(AMF);
    let stranger = Authority::new().mint(&order(all.clone()));
    let expired = RevocationOrder {
        exp: 1,
        ..order(all.clone())
    };
    let expired = service.authority.mint(&expired);
    let token = RevocationOrder {
        iss: "mtc5g-enrolment".to_owned(),
        ..order(all.clone())
    };
    let token = service.authority.mint(&token);
    for text in [stranger, expired, token, String::new(), "a.b.c".to_owned()] {
        let refused = answer(&service.enrolment, Method::POST, text).await;
        assert_eq!(refused.status, 401);
    }
    let unknown_reason = RevocationOrder {
        reason: Some(MAX_REASON + 1),
        ..order(all.clone())
    };
    assert_eq!(status(&service, &unknown_reason).await, 400);
    let first = 1 << 48;
    for (first, last) in [
        (first, first + 1000),
        (first + 1, first),
        (0, first),
        (2 << 48, 2 << 48),
    ] {
        assert_eq!(
            status(&service, &order(What::Serials { first, last })).await,
            400
        );
    }
    let all = service.authority.mint(&order(all));
    let got = answer(&service.enrolment, Method::GET, all).await;
    assert_eq!(got.status, 405);
    assert!(!service.enrolment.revoked.contains(&id(&leaf)));
    assert!(service.enrolment.revoked.ranges().borrow().is_empty());
}
