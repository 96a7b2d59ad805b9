use super::*;
use crate::identity::CertificateId;
use crate::key::KeyAlgorithm;
use crate::revocation::RevokedSerials;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::CertificateRevocationListDer;

const NOW: UnixTime = UnixTime(1_800_000_000);
/// DER of a Name without attributes.
const ISSUER: &[u8] = &[der::SEQUENCE, 0];

fn signed(key: &NfKey, number: u64, revoked: &[RevokedCertificate]) -> Vec<u8> {
    let list = List {
        issuer: ISSUER,
        key_identifier: &[1; 20],
        number,
        this_update: NOW,
        next_update: UnixTime(NOW.0 + 100),
        revoked,
    };
    list.sign(key).unwrap()
}

fn public(key: &NfKey) -> PublicKey {
    PublicKey::from_spki(key.spki_der()).unwrap()
}

#[test]
fn a_list_is_read_as_it_was_written_whatever_signs_it() {
    let revoked = RevokedCertificate {
        serial: vec![0x41, 2],
        revoked_at: NOW,
        reason: Some(4),
    };
    for algorithm in KeyAlgorithm::ALL {
        let key = NfKey::generate(algorithm).unwrap();
        for revoked in [&[][..], std::slice::from_ref(&revoked)] {
            let der = signed(&key, 7, revoked);
            let crl = Crl::parse(&der).unwrap();
            assert_eq!((crl.issuer, crl.number), (ISSUER, 7));
            let serials: Vec<_> = revoked.iter().map(|entry| &*entry.serial).collect();
            assert_eq!(crl.serials().unwrap(), serials);
            assert_eq!(
                (crl.this_update, crl.next_update),
                (NOW, UnixTime(NOW.0 + 100))
            );
            assert_eq!(crl.check(ISSUER, &public(&key), NOW, 7), Ok(()));
        }
    }
}

#[test]
fn each_rule_that_a_list_breaks_is_named() {
    let key = NfKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let (der, own) = (signed(&key, 7, &[]), public(&key));
    let crl = Crl::parse(&der).unwrap();
    let check = |issuer: &[u8], key: &PublicKey, now: u64, newest| {
        crl.check(issuer, key, UnixTime(now), newest).unwrap_err()
    };
    let name = [der::SEQUENCE, 2, der::SET, 0];
    assert_eq!(check(&name, &own, NOW.0, 0), CrlError::Issuer);
    for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Ed25519] {
        let other = public(&NfKey::generate(algorithm).unwrap());
        assert_eq!(check(ISSUER, &other, NOW.0, 0), CrlError::Signature);
    }
    let early = check(ISSUER, &own, NOW.0 - 301, 0);
    assert_eq!(early, CrlError::NotYet { this_update: NOW });
    let late = check(ISSUER, &own, NOW.0 + 100, 0);
    let next_update = UnixTime(NOW.0 + 100);
    assert_eq!(late, CrlError::Stale { next_update });
    let (before, now) = (8, 7);
    assert_eq!(
        check(ISSUER, &own, NOW.0, 8),
        CrlError::WentBack { before, now }
    );
}

#[test]
fn no_part_of_a_list_is_one_and_no_changed_octet_is_signed() {
    let key = NfKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let revoked = RevokedCertificate {
        serial: vec![0x41],
        revoked_at: NOW,
        reason: None,
    };
    let der = signed(&key, 7, &[revoked]);
    for end in 0..der.len() {
        assert!(Crl::parse(&der[..end]).is_err(), "cut at {end}");
    }
    assert!(Crl::parse(&[&der[..], &[0]].concat()).is_err());
    for position in 0..der.len() {
        let mut changed = der.clone();
        changed[position] ^= 1;
        let checked = Crl::parse(&changed).and_then(|crl| crl.check(ISSUER, &public(&key), NOW, 0));
        assert!(checked.is_err(), "octet {position}");
    }
}

#[test]
fn a_list_that_is_too_long_or_lacks_its_number_or_end_is_refused() {
    assert_eq!(
        Crl::parse(&vec![0; MAX_CRL + 1]).unwrap_err(),
        CrlError::TooLong(MAX_CRL + 1)
    );
    // As OpenSSL writes them without -extensions: no number.
    let key = NfKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let algorithm = key.algorithm().signature_algorithm_identifier();
    let list = |rest: &[u8]| {
        let fields = [&VERSION[..], &algorithm, ISSUER, &NOW.to_der(), rest].concat();
        let tbs = der::element(der::SEQUENCE, &[&fields]);
        der::element(der::SEQUENCE, &[&tbs, &algorithm, &der::bit_string(&[1])])
    };
    let missing = |rest: &[u8]| Crl::parse(&list(rest)).map(|_| ()).unwrap_err();
    assert_eq!(missing(&[]), CrlError::Missing("nextUpdate"));
    assert_eq!(missing(&NOW.to_der()), CrlError::Missing("cRLNumber"));
}

#[test]
fn what_stands_in_lists_is_found_by_issuer_and_serial_number() {
    let key = NfKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let entry = |serial: &[u8]| RevokedCertificate {
        serial: serial.to_vec(),
        revoked_at: NOW,
        reason: Some(1),
    };
    let lists = [
        signed(&key, 1, &[]),
        signed(&key, 2, &[entry(&[9; 16]), entry(&[1])]),
    ];
    let revoked = RevokedSerials::of(&lists).unwrap();
    let contains = |issuer, serial| revoked.contains(&CertificateId::new(issuer, serial));
    assert!(contains(ISSUER, &[1]) && contains(ISSUER, &[9; 16]));
    assert!(!contains(ISSUER, &[9]) && !contains(&[der::SEQUENCE, 2, der::SET, 0], &[1]));
    assert!(!RevokedSerials::default().contains(&CertificateId::new(ISSUER, &[1])));
}

#[test]
fn an_entry_without_a_serial_number_is_malformed() {
    let key = NfKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let entry = RevokedCertificate {
        serial: vec![1],
        revoked_at: NOW,
        reason: None,
    };
    let der = signed(&key, 7, &[entry]);
    let serial = [der::INTEGER, 1, 1, der::UTC_TIME];
    let place = der.windows(4).position(|octets| octets == serial).unwrap();
    for changed in [place, place - 2] {
        let mut damaged = der.clone();
        damaged[changed] = der::BIT_STRING;
        let refused = RevokedSerials::of(&[damaged]).unwrap_err();
        let field = "revokedCertificates";
        assert!(matches!(refused, CrlError::Malformed { field: of, .. } if of == field));
    }
}

#[test]
fn webpki_takes_lists_that_are_long() {
    let key = NfKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let entry = |serial: u64| RevokedCertificate {
        serial: [&[0x40][..], &serial.to_be_bytes(), &[0; 7]].concat(),
        revoked_at: NOW,
        reason: Some(1),
    };
    // The longest that fits.
    let revoked: Vec<_> = (0..40_000).map(entry).collect();
    let der = signed(&key, 7, &revoked);
    assert!(der.len() <= MAX_CRL, "{}", der.len());
    assert!(Crl::parse(&der).is_ok());
    let mut roots = rustls::RootCertStore::empty();
    let root = rcgen::generate_simple_self_signed(["ca.test".to_owned()]).unwrap();
    roots.add(root.cert.der().clone()).unwrap();
    let provider = crate::provider::provider(&crate::provider::KeyExchange::ALL);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
        .with_crls([CertificateRevocationListDer::from(der)])
        .build();
    assert!(verifier.is_ok(), "{verifier:?}");
}
