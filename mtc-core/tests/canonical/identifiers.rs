//! Trust anchor IDs: their text, their binary form, and the names that carry them.

use mtc_core::der;
use mtc_core::id::{IdError, TrustAnchorId};

use test_support::respelt;

use crate::CA;

#[test]
fn a_trust_anchor_name_has_one_der_encoding() {
    let id: TrustAnchorId = CA.parse().expect("an ID");
    for (depth, form, bytes) in respelt::der(&id.to_name()) {
        assert_eq!(
            TrustAnchorId::from_name(&bytes),
            Err(IdError::NotAName),
            "{form:?}, {depth} deep"
        );
    }
}

#[test]
fn trust_anchor_ids_have_one_text() {
    let prefix = "oid/1.3.6.1.4.1.";
    for text in ["32473.1", "0", "0.0.18446744073709551615"] {
        let id: TrustAnchorId = text.parse().expect("an ID");
        assert_eq!(
            TrustAnchorId::from_signed_text_name(&format!("{prefix}{text}")),
            Ok(id)
        );
        let components: Vec<&str> = text.split('.').collect();
        for (position, component) in components.iter().enumerate() {
            for other in respelt::decimal(component) {
                // Another ID, not another spelling of this one.
                if other == format!("{component}.0") {
                    continue;
                }
                let mut components = components.clone();
                components[position] = &other;
                let text = components.join(".");
                assert_eq!(
                    text.parse::<TrustAnchorId>(),
                    Err(IdError::NotDotted(text.clone())),
                    "{text:?}"
                );
            }
        }
        for text in [format!(".{text}"), format!("{text}."), format!("{text}..1")] {
            assert!(text.parse::<TrustAnchorId>().is_err(), "{text:?}");
        }
    }
    for other in [
        "",
        "OID/1.3.6.1.4.1.",
        "oid/1.3.6.1.4.1",
        "oid/1.3.6.1.4.1..",
        "oid:1.3.6.1.4.1.",
        " oid/1.3.6.1.4.1.",
    ] {
        let name = format!("{other}32473.1");
        assert!(
            TrustAnchorId::from_signed_text_name(&name).is_err(),
            "{name:?}"
        );
    }
}

#[test]
fn trust_anchor_ids_have_one_binary_form() {
    for (what, bytes, error) in [
        ("empty", &[][..], IdError::Length(0)),
        ("33 bytes", &[1; 33], IdError::Length(33)),
        (
            "padded first component",
            &[0x80, 0x81, 0xfd, 0x59, 1],
            IdError::Component,
        ),
        (
            "padded last component",
            &[0x81, 0xfd, 0x59, 0x80, 1],
            IdError::Component,
        ),
        (
            "padded zero",
            &[0x81, 0xfd, 0x59, 0x80, 0],
            IdError::Component,
        ),
        ("cut component", &[0x81, 0xfd], IdError::Component),
        (
            "top bit of the last byte",
            &[0x81, 0xfd, 0x59, 0x81],
            IdError::Component,
        ),
        (
            "2^64",
            &[0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
            IdError::Component,
        ),
    ] {
        assert_eq!(TrustAnchorId::from_bytes(bytes), Err(error), "{what}");
    }
}

#[test]
fn trust_anchor_names_have_one_shape() {
    let attribute_type = der::element(der::OID, &[&[0x2b, 6, 1, 5, 5, 7, 25, 3]]);
    let value = der::element(der::RELATIVE_OID, &[&[0x81, 0xfd, 0x59, 1]]);
    let attribute = |parts: &[&[u8]]| der::element(der::SEQUENCE, parts);
    let name = |rdn: &[&[u8]]| der::element(der::SEQUENCE, &[&der::element(der::SET, rdn)]);
    let good = attribute(&[&attribute_type, &value]);
    let id: TrustAnchorId = CA.parse().expect("an ID");
    assert_eq!(TrustAnchorId::from_name(&name(&[&good])), Ok(id));

    let of_another_type = [
        der::element(der::OID, &[&[0x2b, 6, 1, 5, 5, 7, 25, 1]]),
        der::element(der::OID, &[&[0x2b, 6, 1, 4, 1, 0x82, 0xda, 0x4b, 47, 1]]),
        der::element(der::OID, &[&[0x55, 4, 3]]),
    ];
    let mut others = vec![
        ("no RDN", der::element(der::SEQUENCE, &[])),
        ("an empty RDN", name(&[])),
        ("two attributes", name(&[&good, &good])),
        (
            "two RDNs",
            der::element(
                der::SEQUENCE,
                &[
                    &der::element(der::SET, &[&good]),
                    &der::element(der::SET, &[&good]),
                ],
            ),
        ),
        ("no value", name(&[&attribute(&[&attribute_type])])),
        (
            "two values",
            name(&[&attribute(&[&attribute_type, &value, &value])]),
        ),
        (
            "a SEQUENCE for a SET",
            der::element(der::SEQUENCE, &[&der::element(der::SEQUENCE, &[&good])]),
        ),
        ("a trailing byte", [name(&[&good]), vec![0]].concat()),
        (
            "text",
            name(&[&attribute(&[
                &attribute_type,
                &der::element(der::UTF8_STRING, &[b"32473.1"]),
            ])]),
        ),
        (
            "an absolute OID",
            name(&[&attribute(&[
                &attribute_type,
                &der::element(der::OID, &[&[0x2b, 6, 1, 4, 1, 0x81, 0xfd, 0x59, 1]]),
            ])]),
        ),
    ];
    for other in &of_another_type {
        others.push(("another type", name(&[&attribute(&[other, &value])])));
    }
    for (what, name) in others {
        assert_eq!(
            TrustAnchorId::from_name(&name),
            Err(IdError::NotAName),
            "{what}"
        );
    }
    let padded = der::element(der::RELATIVE_OID, &[&[0x80, 1]]);
    assert_eq!(
        TrustAnchorId::from_name(&name(&[&attribute(&[&attribute_type, &padded])])),
        Err(IdError::Component)
    );
}
