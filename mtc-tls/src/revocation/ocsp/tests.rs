use super::*;
use crate::key::KeyAlgorithm;

const NOW: UnixTime = UnixTime(1_800_000_000);
const END: UnixTime = UnixTime(1_800_000_100);
const SERIAL: &[u8] = &[0x41, 2, 3];

/// A CA's key, and its certificate by others.
fn ca(algorithm: &'static rcgen::SignatureAlgorithm) -> (NfKey, Vec<u8>) {
    let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let params = rcgen::CertificateParams::new(vec!["ca.test".to_owned()]).unwrap();
    let certificate = params.self_signed(&pair).unwrap();
    let key = NfKey::from_pkcs8(&pair.serialize_der()).unwrap();
    (key, certificate.der().to_vec())
}

fn id(issuer: &Certificate<'_>) -> CertId {
    CertId::new(issuer.statement.subject, issuer.spki, SERIAL).unwrap()
}

fn answer(cert_id: &CertId, key: &NfKey, revoked: Option<&RevokedCertificate>) -> Vec<u8> {
    let answer = Answer {
        cert_id,
        revoked,
        this_update: NOW,
        next_update: END,
    };
    answer.sign(key).unwrap()
}

fn check(response: &[u8], issuer: &Certificate<'_>, now: UnixTime) -> Result<(), OcspError> {
    Response::parse(response)?.check(issuer, SERIAL, now)
}

#[test]
fn an_answer_says_good_or_revoked_until_it_ends() {
    let (key, der) = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let issuer = Certificate::parse(&der).unwrap();
    let good = answer(&id(&issuer), &key, None);
    assert_eq!(check(&good, &issuer, NOW), Ok(()));
    assert_eq!(check(&good, &issuer, END), Err(OcspError::Stale(END)));
    let before = UnixTime(NOW.0 - 301);
    assert_eq!(check(&good, &issuer, before), Err(OcspError::NotYet(NOW)));
    for reason in [None, Some(1)] {
        let revoked = RevokedCertificate {
            serial: SERIAL.to_vec(),
            revoked_at: UnixTime(NOW.0 - 9),
            reason,
        };
        let revoked = answer(&id(&issuer), &key, Some(&revoked));
        let at = UnixTime(NOW.0 - 9);
        assert_eq!(check(&revoked, &issuer, NOW), Err(OcspError::Revoked(at)));
    }
}

#[test]
fn an_answer_about_another_certificate_or_by_another_ca_is_refused() {
    let (key, der) = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (other_key, other) = ca(&rcgen::PKCS_ED25519);
    let (issuer, other) = (
        Certificate::parse(&der).unwrap(),
        Certificate::parse(&other).unwrap(),
    );
    let own = answer(&id(&issuer), &key, None);
    let response = Response::parse(&own).unwrap();
    let about = |issuer, serial| response.check(issuer, serial, NOW);
    assert_eq!(about(&issuer, &[0x41]), Err(OcspError::OtherCertificate));
    assert_eq!(about(&other, SERIAL), Err(OcspError::OtherCertificate));
    let forged = answer(&id(&issuer), &other_key, None);
    assert_eq!(check(&forged, &issuer, NOW), Err(OcspError::Signature));
}

#[test]
fn no_part_of_an_answer_is_one_and_no_changed_octet_is_signed() {
    let (key, der) = ca(&rcgen::PKCS_ED25519);
    let issuer = Certificate::parse(&der).unwrap();
    let good = answer(&id(&issuer), &key, None);
    for end in 0..good.len() {
        assert!(Response::parse(&good[..end]).is_err(), "cut at {end}");
    }
    for position in 0..good.len() {
        let mut changed = good.clone();
        changed[position] ^= 1;
        assert!(check(&changed, &issuer, NOW).is_err(), "octet {position}");
    }
    let long = vec![0; MAX_RESPONSE + 1];
    let refused = Response::parse(&long).unwrap_err();
    assert_eq!(refused, OcspError::TooLong(MAX_RESPONSE + 1));
}

#[test]
fn a_responder_that_does_not_answer_says_why() {
    for (failure, status) in [
        (Failure::Malformed, 1),
        (Failure::Internal, 2),
        (Failure::TryLater, 3),
        (Failure::Unauthorized, 6),
    ] {
        let refused = Response::parse(&failure.to_der()).unwrap_err();
        assert_eq!(refused, OcspError::Status(status));
    }
}

#[test]
fn a_request_names_one_certificate() {
    let key = NfKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let id = CertId::new(&[der::SEQUENCE, 0], key.spki_der(), SERIAL).unwrap();
    let request = id.request();
    assert_eq!(CertId::of_request(&request), Ok(Some(id)));
    for end in 0..request.len() {
        assert!(CertId::of_request(&request[..end]).is_err(), "cut at {end}");
    }
    let long = vec![0; MAX_REQUEST + 1];
    assert_eq!(
        CertId::of_request(&long),
        Err(OcspError::TooLong(MAX_REQUEST + 1))
    );
}
