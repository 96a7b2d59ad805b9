//! CRLs, OCSP responses and requests: nothing is believed that the CA of the fixture has not signed, and a request that is read is written as
//! one about the same certificate.
//!
//! An input is read as each of the three. Of the entries of CRLs serial numbers are read, the rest is for webpki.

use std::sync::LazyLock;

use mtc_core::cosign::{PublicKey, SignatureAlgorithm};
use mtc_core::der;
use mtc_core::time::UnixTime;
use mtc_core::x509::{Certificate, extension};
use mtc_tls::key::NfKey;
use mtc_tls::revocation::RevokedCertificate;
use mtc_tls::revocation::crl::{Crl, List, MAX_CRL};
use mtc_tls::revocation::ocsp::{Answer, CertId, MAX_REQUEST, MAX_RESPONSE, Response};

use crate::Verdict;
use crate::fixture;

const NOW: UnixTime = UnixTime(1_800_000_000);
const END: UnixTime = UnixTime(1_800_003_600);
const SERIAL: &[u8] = &[0x41, 2, 3];
/// DER of the CA's Name: one commonName.
const NAME: &[u8] = &[
    0x30, 13, 0x31, 11, 0x30, 9, 6, 3, 0x55, 4, 3, 0x13, 2, b'C', b'A',
];

static KEY: LazyLock<NfKey> = LazyLock::new(|| {
    NfKey::from_pkcs8(&fixture::pkcs8(SignatureAlgorithm::Ed25519, "a CA")).expect("a key")
});

/// The CA's certificate, which nobody has signed: who trusts it has it.
static ISSUER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let algorithm = KEY.algorithm().signature_algorithm_identifier();
    let validity = [NOW.to_der(), END.to_der()].concat();
    let usage = extension(&[0x55, 0x1d, 15], true, &[der::BIT_STRING, 2, 1, 6]);
    let extensions = der::element(der::SEQUENCE, &[&usage]);
    let tbs = der::element(
        der::SEQUENCE,
        &[
            &der::element(der::context(0), &[&der::unsigned_integer(2)]),
            &der::unsigned_integer(1),
            &algorithm,
            NAME,
            &der::element(der::SEQUENCE, &[&validity]),
            NAME,
            KEY.spki_der(),
            &der::element(der::context(3), &[&extensions]),
        ],
    );
    let signature = der::bit_string(&[0; 64]);
    der::element(der::SEQUENCE, &[&tbs, &algorithm, &signature])
});

static SEEDS: LazyLock<[Vec<u8>; 5]> = LazyLock::new(|| {
    let revoked = RevokedCertificate {
        serial: SERIAL.to_vec(),
        revoked_at: NOW,
        reason: Some(1),
    };
    let list = |revoked: &[RevokedCertificate]| {
        let list = List {
            issuer: NAME,
            key_identifier: &[1; 20],
            number: 7,
            this_update: NOW,
            next_update: END,
            revoked,
        };
        list.sign(&KEY).expect("a key that signs")
    };
    let id = CertId::new(NAME, KEY.spki_der(), SERIAL).expect("a key");
    let answer = |revoked| {
        let answer = Answer {
            cert_id: &id,
            revoked,
            this_update: NOW,
            next_update: END,
        };
        answer.sign(&KEY).expect("a key that signs")
    };
    let lists = [list(&[]), list(std::slice::from_ref(&revoked))];
    let [none, one] = lists;
    [
        none,
        one,
        answer(None),
        answer(Some(&revoked)),
        id.request(),
    ]
});

/// Reads a CRL, an OCSP response or an OCSP request.
///
/// # Panics
/// An invariant does not hold.
pub fn revocation(data: &[u8]) -> Verdict {
    Verdict::of(crl(data) | response(data) | request(data))
}

fn crl(data: &[u8]) -> bool {
    let Ok(crl) = Crl::parse(data) else {
        return false;
    };
    assert!(data.len() <= MAX_CRL);
    let key = PublicKey::from_spki(KEY.spki_der()).expect("a key");
    if crl.check(NAME, &key, NOW, 0).is_ok() {
        let seed = SEEDS[..2].iter().position(|seed| seed == data);
        let revoked = [&[][..], &[SERIAL]][seed.expect("forged")];
        assert_eq!(crl.serials().expect("written here"), revoked);
    }
    let serials = crl.serials().unwrap_or_default();
    assert!(serials.iter().map(|serial| serial.len()).sum::<usize>() < data.len());
    assert!(crl.check(NAME, &key, END, 0).is_err(), "stale");
    assert!(crl.check(NAME, &key, NOW, u64::MAX).is_err() || crl.number == u64::MAX);
    true
}

fn response(data: &[u8]) -> bool {
    let Ok(response) = Response::parse(data) else {
        return false;
    };
    assert!(data.len() <= MAX_RESPONSE);
    let issuer = Certificate::parse(&ISSUER).expect("a certificate");
    if response.check(&issuer, SERIAL, NOW).is_ok() {
        // Certificates beside the signature are passed over.
        let signed = signed_part(&SEEDS[2]);
        let mut windows = data.windows(signed.len());
        assert!(windows.any(|window| window == signed), "forged");
    }
    assert!(response.check(&issuer, SERIAL, END).is_err(), "stale");
    true
}

/// DER of what the CA has signed in a response of its own: all but the headers around it and the signature.
fn signed_part(response: &[u8]) -> &[u8] {
    let contents = der::only(response, der::SEQUENCE).expect("written here");
    let mut fields = der::Reader::new(contents);
    fields.contents(der::ENUMERATED).expect("written here");
    let bytes = fields.contents(der::context(0)).expect("written here");
    let mut bytes = der::Reader::new(der::only(bytes, der::SEQUENCE).expect("written here"));
    bytes.contents(der::OID).expect("written here");
    let basic = bytes.contents(der::OCTET_STRING).expect("written here");
    let basic = der::only(basic, der::SEQUENCE).expect("written here");
    let mut basic = der::Reader::new(basic);
    basic.expect(der::SEQUENCE).expect("written here").whole
}

fn request(data: &[u8]) -> bool {
    match CertId::of_request(data) {
        Ok(Some(id)) => {
            assert!(data.len() <= MAX_REQUEST);
            assert_eq!(CertId::of_request(&id.request()), Ok(Some(id)));
            true
        }
        // By a hash that nobody here knows.
        Ok(None) => true,
        Err(_) => false,
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    SEEDS.to_vec()
}
