//! Certificates, the entries they state, and the integers, times and keys in them.

use mtc_core::certificate::{Certificate, CertificateError, CertificateFields};
use mtc_core::cosign::{PublicKey, SignatureAlgorithm};
use mtc_core::der::{self, DerError};
use mtc_core::entry::{EntryError, MtcLogEntry};
use mtc_core::id::{TreeSize, TrustAnchorId};
use mtc_core::time::UnixTime;
use mtc_core::tree::Subtree;
use mtc_core::verify::CaTrust;
use mtc_core::wire::WireError;

use test_support::mtca::Signer;
use test_support::respelt;
use test_support::respelt::Form;

use crate::{CA, ca_certificate, one_entry};

#[test]
fn a_certificate_has_one_der_encoding() {
    let mtca = one_entry();
    let only = Subtree::whole(TreeSize(1));
    let trust = CaTrust::ca_alone(&ca_certificate()).with_trusted_subtrees([mtca.trusted(only)]);
    let certificate = mtca.certificate(0, only, &[]);
    assert!(trust.verify_issuance(&certificate).is_ok());
    let respelt = respelt::der(&certificate);
    assert!(respelt.len() > 200, "{}", respelt.len());
    for (depth, form, bytes) in respelt {
        // What lies deeper is not read here but hashed, as it stands.
        if depth <= 2 {
            let parsed = Certificate::parse(&bytes);
            assert!(parsed.is_err(), "{form:?}, {depth} deep");
        }
        assert!(
            trust.verify_issuance(&bytes).is_err(),
            "{form:?}, {depth} deep"
        );
    }
}

/// What is issued must be read again; and two fields in the place of one would shift the rest.
#[test]
fn fields_that_are_not_one_sequence_are_not_issued() {
    let id: TrustAnchorId = CA.parse().expect("an ID");
    let spki = Signer::new(CA, SignatureAlgorithm::Ed25519)
        .cosigner
        .key
        .to_spki();
    let empty = der::element(der::SEQUENCE, &[]);
    let good = CertificateFields {
        issuer: &id,
        not_before: UnixTime(0),
        not_after: UnixTime(1),
        subject: &empty,
        spki: &spki,
        extensions: &empty,
    };
    assert!(good.log_entry().is_ok());
    let twice = empty.repeat(2);
    let integer = [der::INTEGER, 1, 1];
    for wrong in [&[][..], &[0x30], &[0x30, 0x81, 0], &twice, &integer] {
        for fields in [
            CertificateFields {
                subject: wrong,
                ..good
            },
            CertificateFields {
                extensions: wrong,
                ..good
            },
            CertificateFields {
                spki: wrong,
                ..good
            },
        ] {
            assert!(
                matches!(fields.log_entry(), Err(CertificateError::Der(_))),
                "{wrong:?}"
            );
        }
    }
    let without_algorithm = CertificateFields {
        spki: &empty,
        ..good
    };
    assert_eq!(
        without_algorithm.log_entry(),
        Err(CertificateError::Der(DerError::Truncated))
    );
}

#[test]
fn certificates_do_not_read_proofs_of_another_shape() {
    let mtca = one_entry();
    let certificate = mtca.certificate(0, Subtree::whole(TreeSize(1)), &[&mtca.ca]);
    for end in 0..certificate.len() {
        assert!(
            Certificate::parse(&certificate[..end]).is_err(),
            "cut at {end}"
        );
    }
    assert_eq!(
        Certificate::parse(&[&certificate[..], &[0]].concat()).map(|_| ()),
        Err(CertificateError::Der(DerError::TrailingBytes(1)))
    );
}

#[test]
fn entries_have_one_encoding() {
    for (what, bytes, error) in [
        ("nothing", &[][..], EntryError::Wire(WireError::Truncated)),
        ("no type", &[0, 0], EntryError::Wire(WireError::Truncated)),
        (
            "half a type",
            &[0, 0, 0],
            EntryError::Wire(WireError::Truncated),
        ),
        (
            "null entry with contents",
            &[0, 0, 0, 0, 0],
            EntryError::Wire(WireError::TrailingBytes(1)),
        ),
        ("unknown type", &[0, 0, 0, 2], EntryError::UnknownType(2)),
        (
            "largest type",
            &[0, 0, 0xff, 0xff],
            EntryError::UnknownType(0xffff),
        ),
        (
            "extensions cut",
            &[0, 5, 0, 1, 0, 0],
            EntryError::Wire(WireError::Truncated),
        ),
        (
            "extension cut",
            &[0, 4, 0, 1, 0, 1, 0, 0],
            EntryError::Wire(WireError::Truncated),
        ),
        (
            "half an extension type",
            &[0, 1, 0, 0, 0],
            EntryError::Wire(WireError::Truncated),
        ),
        (
            "extension twice",
            &[0, 8, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0],
            EntryError::ExtensionOrder {
                previous: 1,
                found: 1,
            },
        ),
        (
            "extensions descending",
            &[0, 8, 1, 0, 0, 0, 0, 0xff, 0, 0, 0, 0],
            EntryError::ExtensionOrder {
                previous: 0x100,
                found: 0xff,
            },
        ),
    ] {
        assert_eq!(MtcLogEntry::decode(bytes), Err(error), "{what}");
    }
}

#[test]
fn integers_have_one_form() {
    for contents in [
        &[][..],
        &[0, 0],
        &[0, 1],
        &[0, 0x7f],
        &[0, 0, 0x80],
        &[0x80],
        &[0xff],
        &[0xff, 0xff],
        &[1; 9],
        &[0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0],
        &[1, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        assert!(
            matches!(der::unsigned(contents), Err(DerError::InvalidValue(_))),
            "{contents:?}"
        );
    }
}

#[test]
fn times_have_the_form_of_rfc_5280() {
    let read = |tag, text: &str| {
        UnixTime::from_der(&mut der::Reader::new(&der::element(
            tag,
            &[text.as_bytes()],
        )))
    };
    assert_eq!(
        read(der::UTC_TIME, "260228235959Z"),
        Ok(UnixTime(1_772_323_199))
    );
    assert_eq!(
        read(der::GENERALIZED_TIME, "20500228235959Z"),
        Ok(UnixTime(2_529_705_599))
    );
    for digits in [
        "",
        "Z",
        "2602282359Z",
        "260228235959",
        "260228235959z",
        "2602282359590Z",
        "260228235959.0Z",
        "260228235959+0000",
        "260228235959-0100",
        " 60228235959Z",
        "26022823595 Z",
        "260028235959Z",
        "261328235959Z",
        "260200235959Z",
        "260229235959Z",
        "260431235959Z",
        "260228245959Z",
        "260228236059Z",
        "260228235960Z",
        "-60228235959Z",
    ] {
        assert!(read(der::UTC_TIME, digits).is_err(), "{digits:?}");
        let century = format!("20{digits}");
        assert!(
            read(der::GENERALIZED_TIME, &century).is_err(),
            "{century:?}"
        );
    }
    // The forms exchanged, and other types.
    assert!(read(der::UTC_TIME, "20500228235959Z").is_err());
    assert!(read(der::GENERALIZED_TIME, "500228235959Z").is_err());
    for tag in [
        der::INTEGER,
        der::UTF8_STRING,
        der::PRINTABLE_STRING,
        der::OCTET_STRING,
    ] {
        assert_eq!(
            read(tag, "260228235959Z"),
            Err(DerError::UnexpectedTag {
                expected: der::UTC_TIME,
                found: tag
            })
        );
    }
    for (_, form, bytes) in respelt::der(&UnixTime(0).to_der()) {
        if form != Form::Indefinite {
            assert!(
                UnixTime::from_der(&mut der::Reader::new(&bytes)).is_err(),
                "{form:?}"
            );
        }
    }
}

#[test]
fn a_public_key_has_one_der_encoding() {
    for algorithm in SignatureAlgorithm::ALL {
        let spki = Signer::new(CA, algorithm).cosigner.key.to_spki();
        for (depth, form, bytes) in respelt::der(&spki) {
            let read = PublicKey::from_spki(&bytes);
            assert!(read.is_err(), "{algorithm}: {form:?}, {depth} deep");
        }
    }
}
