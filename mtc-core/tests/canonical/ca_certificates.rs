//! CA certificates: what they say counts once, and in one form.

use mtc_core::ca::{CaCertificate, CaError};
use mtc_core::der::{self, DerError};
use mtc_core::time::UnixTime;
use mtc_core::x509::extension;

use test_support::respelt;

use crate::ca_certificate;

/// The issuer (nobody) and the validity (whoever configures the CA decides) are not looked into.
#[test]
fn a_ca_certificate_has_one_der_encoding_but_for_what_says_nothing() {
    let der = ca_certificate().to_der(UnixTime(0), UnixTime(1));
    assert!(CaCertificate::parse(&der).is_ok());
    let mut unnoticed = 0;
    for (depth, form, bytes) in respelt::der(&der) {
        match CaCertificate::parse(&bytes) {
            Ok(read) => {
                assert_eq!(read, ca_certificate());
                assert!(depth > 2, "{form:?}, {depth} deep");
                unnoticed += 1;
            }
            Err(CaError::Der(_) | CaError::Subject(_) | CaError::Key(_) | CaError::Profile(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let forms_of = |der: &[u8]| {
        let inner = respelt::der(der)
            .into_iter()
            .filter(|(depth, _, _)| *depth > 0);
        inner.count()
    };
    let issuer = [
        0x30, 16, 0x31, 14, 0x30, 12, 6, 8, 0x2b, 6, 1, 5, 5, 7, 25, 1, 0x0c, 0,
    ];
    let validity = [UnixTime(0).to_der(), UnixTime(1).to_der()].concat();
    let validity = der::element(der::SEQUENCE, &[&validity]);
    assert_eq!(unnoticed, forms_of(&issuer) + forms_of(&validity));
}

#[test]
fn other_spellings_of_names_and_extensions_in_a_ca_certificate_are_rejected() {
    let good = ca_certificate().to_der(UnixTime(0), UnixTime(1));
    let replaced = |from: &[u8], to: &[u8]| {
        assert_eq!(from.len(), to.len());
        let place = good.windows(from.len()).rposition(|window| window == from);
        let place = place.expect("a part of it");
        let bytes = [&good[..place], to, &good[place + from.len()..]].concat();
        CaCertificate::parse(&bytes)
    };
    let key_usage = extension(&[0x55, 0x1d, 15], true, &[3, 2, 2, 4]);
    let rest = &key_usage[7..];
    let with_flag =
        |flag: u8| [&key_usage[..2], &key_usage[2..7], &[1, 1, flag], &rest[3..]].concat();
    assert_eq!(with_flag(0xff), key_usage);
    for flag in [0, 1, 0xfe] {
        assert_eq!(
            replaced(&key_usage, &with_flag(flag)),
            Err(CaError::Der(DerError::InvalidValue("BOOLEAN"))),
            "{flag}"
        );
    }
    // minSerial 2^48 with its seven octets, as a negative number and padded.
    assert!(
        replaced(
            &[2, 7, 1, 0, 0, 0, 0, 0, 0],
            &[2, 7, 0x81, 0, 0, 0, 0, 0, 0]
        )
        .is_err()
    );
    assert!(replaced(&[2, 7, 1, 0, 0, 0, 0, 0, 0], &[2, 7, 0, 1, 0, 0, 0, 0, 0]).is_err());
}

/// The CA certificate with its extensions, which are given as a list, changed.
fn with_extensions(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Result<CaCertificate, CaError> {
    let good = ca_certificate().to_der(UnixTime(0), UnixTime(1));
    let mut outer = der::Reader::new(der::only(&good, der::SEQUENCE).expect("DER"));
    let mut fields = der::Reader::new(outer.contents(der::SEQUENCE).expect("TBSCertificate"));
    let mut before = Vec::new();
    while fields.peek_tag() != Some(der::context(3)) {
        before.extend_from_slice(fields.element().expect("a field").whole);
    }
    let list = fields.contents(der::context(3)).expect("extensions");
    let mut list = der::Reader::new(der::only(list, der::SEQUENCE).expect("DER"));
    let mut extensions = Vec::new();
    while !list.is_empty() {
        extensions.push(list.element().expect("an extension").whole.to_vec());
    }
    change(&mut extensions);
    let extensions = der::element(der::SEQUENCE, &[&extensions.concat()]);
    let tbs = der::element(
        der::SEQUENCE,
        &[&before, &der::element(der::context(3), &[&extensions])],
    );
    CaCertificate::parse(&der::element(der::SEQUENCE, &[&tbs, outer.rest()]))
}

const EXTENSIONS_OF_A_CA: usize = 4;

/// RFC 5280 section 4.2: no more than one instance of an extension. Of two ranges of serial numbers, which would count?
#[test]
fn an_extension_stands_once_in_a_ca_certificate() {
    for position in 0..EXTENSIONS_OF_A_CA {
        let twice = with_extensions(|list| list.push(list[position].clone()));
        assert!(twice.is_err(), "extension {position} twice");
    }
}

#[test]
fn basic_constraints_hold_nothing_but_a_path_length_behind_the_flag() {
    for behind in [&[der::NULL, 0][..], &[der::INTEGER, 1, 0, 0], &[0]] {
        let value = der::element(der::SEQUENCE, &[&[der::BOOLEAN, 1, 0xff], behind]);
        let odd = extension(&[0x55, 0x1d, 19], true, &value);
        assert!(with_extensions(|list| list[1] = odd).is_err(), "{behind:?}");
    }
}

#[test]
fn a_ca_certificate_needs_each_of_its_extensions_but_the_url() {
    assert_eq!(
        with_extensions(|list| assert_eq!(list.len(), EXTENSIONS_OF_A_CA)),
        Ok(ca_certificate())
    );
    for position in 0..3 {
        let without = with_extensions(|list| drop(list.remove(position)));
        assert!(
            matches!(without, Err(CaError::Profile(_))),
            "{position}: {without:?}"
        );
    }
    let without_url = CaCertificate {
        prefix_url: None,
        ..ca_certificate()
    };
    assert_eq!(with_extensions(|list| drop(list.pop())), Ok(without_url));
}

/// Section 5.5 asks for a critical extension, RFC 5280 section 4.2 for the rejection of unknown critical ones.
#[test]
fn a_ca_certificate_marks_the_critical_extensions() {
    let not_critical = |extension: &[u8]| {
        let flag = [der::BOOLEAN, 1, 0xff];
        let contents = der::only(extension, der::SEQUENCE).expect("DER");
        let place = contents
            .windows(3)
            .position(|window| window == flag)
            .expect("critical");
        der::element(der::SEQUENCE, &[&contents[..place], &contents[place + 3..]])
    };
    assert_eq!(
        with_extensions(|list| list[2] = not_critical(&list[2])),
        Err(CaError::Profile(
            "no critical id-pe-mtcCertificationAuthority-SHA256"
        ))
    );
    let unknown = |critical| extension(&[0x2a, 3], critical, &[5, 0]);
    assert_eq!(
        with_extensions(|list| list.push(unknown(false))),
        Ok(ca_certificate())
    );
    assert_eq!(
        with_extensions(|list| list.push(unknown(true))),
        Err(CaError::Profile("unknown critical extension"))
    );
}
