//! The profile as a whole: what is issued is read back, RFC 9310's example is understood, damage is refused.

use mtc_core::der::{self, DerError};
use mtc_core::oid;
use mtc_core::time::UnixTime;
use mtc_core::x509::{EndEntity, Extension, Role, UsageError, X509Error, extension};
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use uuid::Uuid;

use super::{
    AltNames, AltNamesError, IdentityError, MAX_FQDNS, MAX_NF_TYPES, NfIdentity, NfSubject,
    NfTypesError, SubjectError,
};

/// The example certificate of RFC 9310 Appendix B.
const RFC_9310_EXAMPLE: &str = "-----BEGIN CERTIFICATE-----
MIIC0DCCAlagAwIBAgIUbZoY923zOE0+ZIkjG4ehhCGoVXYwCgYIKoZIzj0EAwMw
FTETMBEGA1UECgwKRXhhbXBsZSBDQTAeFw0yMjEwMTkxNjMyMzZaFw0yMzEwMTkx
NjMyMzZaMDkxCzAJBgNVBAYTAlVTMSowKAYDVQQKEyE1Z2MubW5jNDAwLm1jYzMx
MS4zZ3BwbmV0d29yay5vcmcwdjAQBgcqhkjOPQIBBgUrgQQAIgNiAATJ6IFHI683
q/JJjsJUfEiRFqGQ6uKDGJ0oqDP6wEhRAuvyEyz5pgRmz/7Mze1+s1qcnPU9mo1v
rIW9rjKhb/Hm8H9TPvnMQwCRCtKvCD90MkWvc/G8qyCBpCms3zNOJOijggFBMIIB
PTATBggrBgEFBQcBIgQHMAUWA0FNRjAXBgNVHSAEEDAOMAwGCmCGSAFlAwIBMDAw
DgYDVR0PAQH/BAQDAgeAMBMGA1UdJQQMMAoGCCsGAQUFBwMBMB0GA1UdDgQWBBRM
Z5KgwYlYn885mKID55ZcEznIBzAfBgNVHSMEGDAWgBSIf6IE6QtqjXR2+p/xCtRh
4PqzNTAxBgNVHR8EKjAoMCagJKAihiBodHRwOi8vZXhhbXBsZS5jb20vZXhhbXBs
ZWNhLmNybDB1BgNVHREBAf8EazBpgjhhbWYxLmNsdXN0ZXIxLm5ldDIuYW1mLjVn
Yy5tbmM0MDAubWNjMzExLjNncHBuZXR3b3JrLm9yZ4YtdXJuOnV1aWQ6ZjgxZDRm
YWUtN2RlYy0xMWQwLWE3NjUtMDBhMGM5MWU2YmY2MAoGCCqGSM49BAMDA2gAMGUC
MQDCBp4Fb/1/ffZGEVDWdx1XeFjg1KEmfnBGkNC+GHtan1gbnBnDIfD1MD0ctWWf
/zQCMDUmAAk2gM3QohfVsfhGQBm1N2hRz34oHSfhIH+EJFW1rSIG/93r27j09x5C
SG8e0g==
-----END CERTIFICATE-----
";
const RFC_9310_NOT_BEFORE: u64 = 1_666_197_156;
const RFC_9310_NOT_AFTER: u64 = 1_697_733_156;

const INSTANCE: Uuid = Uuid::from_u128(0x5b1d_0000_0000_4000_8000_0000_0000_0001);
const FQDN: &str = "amf1.5gc.mnc001.mcc001.3gppnetwork.org";
const HOME_DOMAIN: &str = "5gc.mnc001.mcc001.3gppnetwork.org";
const NOT_BEFORE: UnixTime = UnixTime(1_800_000_000);
const NOT_AFTER: UnixTime = UnixTime(1_800_003_600);

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn subject(nf_types: &[&str]) -> NfSubject {
    NfSubject::new(
        "DE",
        HOME_DOMAIN,
        INSTANCE,
        &strings(nf_types),
        &strings(&[FQDN]),
    )
    .expect("subject is legal")
}

/// A certificate with this `Extensions` SEQUENCE; key and signature are not looked at by anything here.
fn certificate(subject: &NfSubject, extensions: &[u8]) -> Vec<u8> {
    let algorithm = der::element(der::SEQUENCE, &[&der::element(der::OID, &[&[0x2b]])]);
    let tbs = der::element(
        der::SEQUENCE,
        &[
            &der::element(der::context(0), &[&der::unsigned_integer(2)]),
            &der::unsigned_integer(1),
            &algorithm,
            &subject.name_der(),
            &der::element(der::SEQUENCE, &[&NOT_BEFORE.to_der(), &NOT_AFTER.to_der()]),
            &subject.name_der(),
            &der::element(der::SEQUENCE, &[]),
            &der::element(der::context(3), &[extensions]),
        ],
    );
    der::element(der::SEQUENCE, &[&tbs, &algorithm, &der::bit_string(&[])])
}

/// A certificate of the profile, except that `change` may edit, add or drop extensions.
fn changed(change: impl Fn(&mut Vec<(Vec<u8>, bool, Vec<u8>)>)) -> Vec<u8> {
    let subject = subject(&["AMF"]);
    let encoded = subject.extensions_der();
    let mut reader = der::Reader::new(der::only(&encoded, der::SEQUENCE).expect("a SEQUENCE"));
    let mut extensions = Vec::new();
    while !reader.is_empty() {
        let Extension {
            oid,
            critical,
            value,
        } = Extension::read(&mut reader).expect("an extension");
        extensions.push((oid.to_vec(), critical, value.to_vec()));
    }
    change(&mut extensions);
    let extensions: Vec<u8> = extensions
        .iter()
        .flat_map(|(oid, critical, value)| extension(oid, *critical, value))
        .collect();
    certificate(&subject, &der::element(der::SEQUENCE, &[&extensions]))
}

fn check_usage(certificate: &[u8], now: UnixTime, role: Role) -> Result<(), UsageError> {
    EndEntity::parse(certificate)?.check_usage(now, Some(role))
}

fn with_value(wanted: &[u8], value: &[u8]) -> Vec<u8> {
    changed(|extensions| {
        for extension in extensions.iter_mut().filter(|(oid, ..)| oid == wanted) {
            extension.2 = value.to_vec();
        }
    })
}

fn without(unwanted: &[u8]) -> Vec<u8> {
    changed(|extensions| extensions.retain(|(oid, ..)| oid != unwanted))
}

fn alt_names(names: &[(u8, &str)]) -> Vec<u8> {
    let names: Vec<u8> = names
        .iter()
        .flat_map(|(form, text)| der::element(0x80 | form, &[text.as_bytes()]))
        .collect();
    with_value(
        oid::SUBJECT_ALT_NAME,
        &der::element(der::SEQUENCE, &[&names]),
    )
}

fn nf_types(types: &[&str]) -> Vec<u8> {
    let types: Vec<u8> = types
        .iter()
        .flat_map(|text| der::element(der::IA5_STRING, &[text.as_bytes()]))
        .collect();
    with_value(oid::NF_TYPES, &der::element(der::SEQUENCE, &[&types]))
}

#[test]
fn the_example_of_rfc_9310_is_understood() {
    let example = CertificateDer::from_pem_slice(RFC_9310_EXAMPLE.as_bytes()).unwrap();
    assert_eq!(
        NfIdentity::from_certificate(&example),
        Ok(NfIdentity {
            instance_id: Uuid::try_parse("f81d4fae-7dec-11d0-a765-00a0c91e6bf6").unwrap(),
            nf_types: strings(&["AMF"]),
            fqdns: strings(&["amf1.cluster1.net2.amf.5gc.mnc400.mcc311.3gppnetwork.org"]),
            not_after: RFC_9310_NOT_AFTER,
        })
    );
    let check = |now, role| check_usage(&example, UnixTime(now), role);
    assert_eq!(check(RFC_9310_NOT_BEFORE, Role::Server), Ok(()));
    assert_eq!(check(RFC_9310_NOT_AFTER, Role::Server), Ok(()));
    assert_eq!(
        check(RFC_9310_NOT_AFTER, Role::Client),
        Err(UsageError::ExtendedKeyUsage("clientAuth"))
    );
}

#[test]
fn nf_types_have_the_bytes_of_rfc_9310() {
    let amf_and_smf = [
        0x30, 0x18, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x22, 0x04, 0x0c, 0x30,
        0x0a, 0x16, 0x03, 0x41, 0x4d, 0x46, 0x16, 0x03, 0x53, 0x4d, 0x46,
    ];
    let extensions = subject(&["SMF", "AMF"]).extensions_der();
    assert!(extensions.ends_with(&amf_and_smf), "{extensions:02x?}");
}

#[test]
fn what_is_issued_identifies_the_nf_and_serves_both_roles() {
    let subject = subject(&["SMF", "5G_EIR", "AMF"]);
    let certificate = certificate(&subject, &subject.extensions_der());
    assert_eq!(
        NfIdentity::from_certificate(&certificate),
        Ok(NfIdentity {
            instance_id: INSTANCE,
            nf_types: strings(&["5G_EIR", "AMF", "SMF"]),
            fqdns: strings(&[FQDN]),
            not_after: NOT_AFTER.0,
        })
    );
    for role in [Role::Client, Role::Server] {
        for now in [NOT_BEFORE, NOT_AFTER] {
            assert_eq!(check_usage(&certificate, now, role), Ok(()));
        }
    }
}

#[test]
fn subjects_that_break_a_rule_are_refused() {
    let make = |country: &str, organization: &str, nf_types: &[&str], fqdns: &[&str]| {
        NfSubject::new(
            country,
            organization,
            INSTANCE,
            &strings(nf_types),
            &strings(fqdns),
        )
        .err()
    };
    assert_eq!(make("DE", HOME_DOMAIN, &["AMF"], &[FQDN]), None);
    assert_eq!(
        make("de", HOME_DOMAIN, &["AMF"], &[FQDN]),
        Some(SubjectError::Country("de".to_owned()))
    );
    assert_eq!(
        make("DE", "lab", &["AMF"], &[FQDN]),
        Some(SubjectError::Organization("lab".to_owned()))
    );
    assert_eq!(
        make("DE", HOME_DOMAIN, &[], &[FQDN]),
        Some(SubjectError::NfTypeCount(0))
    );
    assert_eq!(
        make("DE", HOME_DOMAIN, &["AMF", "AMF"], &[FQDN]),
        Some(SubjectError::NfTypeCount(2))
    );
    assert_eq!(
        make("DE", HOME_DOMAIN, &["amf"], &[FQDN]),
        Some(SubjectError::NfType("amf".to_owned()))
    );
    assert_eq!(
        make("DE", HOME_DOMAIN, &["AMF"], &[]),
        Some(SubjectError::FqdnCount(0))
    );
    for bad in [
        "localhost",
        "nrf.lab1",
        "10.0.0.1",
        "*.5gc.org",
        "a..org",
        "-a.org",
        "a.org.",
        "a b.org",
        "a.o",
    ] {
        assert_eq!(
            make("DE", HOME_DOMAIN, &["AMF"], &[bad]),
            Some(SubjectError::Fqdn(bad.to_owned()))
        );
    }
}

#[test]
fn uuids_compare_without_case_and_other_names_are_passed_over() {
    let certificate = alt_names(&[
        (1, "ops@example.com"),
        (6, "https://example.com/"),
        (6, "URN:UUID:5B1D0000-0000-4000-8000-000000000001"),
    ]);
    let identity = NfIdentity::from_certificate(&certificate).unwrap();
    assert_eq!((identity.instance_id, identity.fqdns), (INSTANCE, vec![]));
}

#[test]
fn ambiguous_or_broken_names_are_refused() {
    let uuid = "urn:uuid:5b1d0000-0000-4000-8000-000000000001";
    let many = vec![(2, FQDN); MAX_FQDNS + 1];
    for (names, error) in [
        (
            &[(6, uuid), (6, uuid)][..],
            AltNamesError::SeveralInstanceIds.into(),
        ),
        (&[(2, FQDN)], IdentityError::NoInstanceId),
        (
            &[(6, "urn:uuid:5b1d0000000040008000000000000001")],
            AltNamesError::InvalidInstanceId.into(),
        ),
        (
            &[(6, "urn:uuid:5b1d0000-0000-4000-8000-00000000000x")],
            AltNamesError::InvalidInstanceId.into(),
        ),
        (&[(6, uuid), (2, "")], AltNamesError::InvalidFqdn.into()),
        (
            &[(6, uuid), (2, "amf\n.org")],
            AltNamesError::InvalidFqdn.into(),
        ),
        (&many, AltNamesError::TooManyFqdns.into()),
    ] {
        assert_eq!(
            NfIdentity::from_certificate(&alt_names(names)),
            Err(error),
            "{names:?}"
        );
    }
    assert_eq!(
        NfIdentity::from_certificate(&without(oid::SUBJECT_ALT_NAME)),
        Err(IdentityError::MissingExtension("subjectAltName"))
    );
}

#[test]
fn nf_types_are_read_in_any_order_and_refused_when_broken() {
    let identity = NfIdentity::from_certificate(&nf_types(&["SMF", "AMF"])).unwrap();
    assert_eq!(identity.nf_types, strings(&["SMF", "AMF"]));

    let long = "A".repeat(33);
    let nine: Vec<String> = (0..=MAX_NF_TYPES)
        .map(|number| format!("CUSTOM_{number}"))
        .collect();
    let nine: Vec<&str> = nine.iter().map(String::as_str).collect();
    for (types, error) in [
        (&[][..], NfTypesError::Count),
        (&nine, NfTypesError::Count),
        (&["AMF", "AMF"], NfTypesError::Duplicate("AMF".to_owned())),
        (&[""], NfTypesError::InvalidNfType),
        (&[&long], NfTypesError::InvalidNfType),
        (&["A F"], NfTypesError::InvalidNfType),
    ] {
        assert_eq!(
            NfIdentity::from_certificate(&nf_types(types)),
            Err(error.into()),
            "{types:?}"
        );
    }
    let utf8 = with_value(oid::NF_TYPES, &[0x30, 0x05, 0x0c, 0x03, 0x41, 0x4d, 0x46]);
    assert_eq!(
        NfIdentity::from_certificate(&utf8),
        Err(NfTypesError::Malformed(DerError::UnexpectedTag {
            expected: 0x16,
            found: 0x0c
        })
        .into())
    );
    assert_eq!(
        NfIdentity::from_certificate(&without(oid::NF_TYPES)),
        Err(IdentityError::MissingExtension("nfTypes"))
    );
}

#[test]
fn outside_its_validity_a_certificate_is_refused_with_both_times() {
    let certificate = changed(|_| {});
    let check = |now| check_usage(&certificate, now, Role::Server);
    let (early, late) = (UnixTime(NOT_BEFORE.0 - 90), UnixTime(NOT_AFTER.0 + 1));
    assert_eq!(
        check(early),
        Err(UsageError::NotYetValid {
            not_before: NOT_BEFORE,
            now: early
        })
    );
    assert_eq!(
        check(late),
        Err(UsageError::Expired {
            not_after: NOT_AFTER,
            now: late
        })
    );
    assert_eq!(
        check(early).unwrap_err().to_string(),
        "certificate: notBefore 2027-01-15T08:00:00Z is 90 s after the time of this check, 2027-01-15T07:58:30Z; is a clock wrong?"
    );
}

#[test]
fn a_certificate_for_another_use_is_refused() {
    let check = |certificate: &[u8]| check_usage(certificate, NOT_BEFORE, Role::Client);
    assert_eq!(check(&without(oid::KEY_USAGE)), Err(UsageError::KeyUsage));
    // keyCertSign alone, bit 5.
    assert_eq!(
        check(&with_value(oid::KEY_USAGE, &[3, 2, 2, 0x04])),
        Err(UsageError::KeyUsage)
    );
    assert_eq!(
        check(&without(oid::EXT_KEY_USAGE)),
        Err(UsageError::ExtendedKeyUsage("clientAuth"))
    );
    let server_only = der::element(
        der::SEQUENCE,
        &[&der::element(der::OID, &[oid::SERVER_AUTH])],
    );
    let server_only = with_value(oid::EXT_KEY_USAGE, &server_only);
    assert_eq!(
        check(&server_only),
        Err(UsageError::ExtendedKeyUsage("clientAuth"))
    );
    assert_eq!(check_usage(&server_only, NOT_BEFORE, Role::Server), Ok(()));

    let constrained = |value: &'static [u8]| {
        changed(|extensions| {
            extensions.push((oid::BASIC_CONSTRAINTS.to_vec(), true, value.to_vec()))
        })
    };
    assert_eq!(check(&constrained(&[0x30, 0])), Ok(()));
    assert_eq!(
        check(&constrained(&[0x30, 3, 1, 1, 0xff])),
        Err(UsageError::CaCertificate)
    );
}

#[test]
fn unknown_critical_extensions_are_refused_and_others_passed_over() {
    let check = |critical| {
        let certificate =
            changed(|extensions| extensions.push((vec![0x55, 0x1d, 0x63], critical, vec![])));
        check_usage(&certificate, NOT_BEFORE, Role::Server)
    };
    assert_eq!(check(false), Ok(()));
    assert_eq!(
        check(true),
        Err(UsageError::UnknownCriticalExtension("2.5.29.99".to_owned()))
    );
}

#[test]
fn repeated_and_excessive_extensions_are_refused() {
    let doubled = changed(|extensions| extensions.push(extensions[2].clone()));
    assert_eq!(
        NfIdentity::from_certificate(&doubled),
        Err(X509Error::DuplicateExtension("subjectAltName".to_owned()).into())
    );
    let with_unknown = |count: u8| {
        changed(|extensions| {
            extensions.extend((0..count).map(|arc| (vec![0x55, arc], false, vec![])));
        })
    };
    let many = with_unknown(29);
    assert_eq!(
        NfIdentity::from_certificate(&many),
        Err(X509Error::TooManyExtensions.into())
    );
    assert!(NfIdentity::from_certificate(&with_unknown(28)).is_ok());
}

#[test]
fn every_truncation_and_trailing_bytes_are_refused() {
    let mut certificate = changed(|_| {});
    for end in 0..certificate.len() {
        assert!(
            NfIdentity::from_certificate(&certificate[..end]).is_err(),
            "cut at {end}"
        );
        assert!(
            check_usage(&certificate[..end], NOT_BEFORE, Role::Server).is_err(),
            "cut at {end}"
        );
    }
    certificate.push(0);
    assert_eq!(
        NfIdentity::from_certificate(&certificate),
        Err(X509Error::Field {
            field: "Certificate",
            source: DerError::TrailingBytes(1)
        }
        .into())
    );
}

#[test]
fn host_names_match_as_webpki_matches_them() {
    let names = [
        FQDN,
        "AMF1.5gc.mnc001.mcc001.3gppnetwork.org",
        "*.5gc.mnc001.mcc001.3gppnetwork.org",
        "*.3gppnetwork.org",
        "*.org",
        "*",
        "a*.5gc.mnc001.mcc001.3gppnetwork.org",
        "amf1.*.mnc001.mcc001.3gppnetwork.org",
        "amf1.5gc.mnc001.mcc001.3gppnetwork.org.",
        "*.5gc.mnc001.mcc001.3gppnetwork.org.",
        ".5gc.mnc001.mcc001.3gppnetwork.org",
        "*..5gc.mnc001.mcc001.3gppnetwork.org",
        "3gppnetwork.org",
        "x_y.example.org",
        "org",
    ];
    let hosts = [
        FQDN,
        "amf1.5GC.mnc001.mcc001.3gppnetwork.org",
        "amf1.5gc.mnc001.mcc001.3gppnetwork.org.",
        "5gc.mnc001.mcc001.3gppnetwork.org",
        "b.amf1.5gc.mnc001.mcc001.3gppnetwork.org",
        "x.3gppnetwork.org",
        "3gppnetwork.org",
        "x_y.example.org",
        "org",
        "org.",
    ];
    let mut matches = 0;
    for name in names {
        let certificate = alt_names(&[(2, name)]);
        let der = CertificateDer::from(certificate.as_slice());
        let read_by_webpki = ParsedCertificate::try_from(&der).expect("webpki reads it");
        let ours = AltNames::of(&EndEntity::parse(&certificate).unwrap()).unwrap();
        for host in hosts {
            let server_name = ServerName::try_from(host).unwrap();
            let by_webpki = verify_server_name(&read_by_webpki, &server_name).is_ok();
            assert_eq!(ours.include(host), by_webpki, "{name} for {host}");
            matches += u32::from(by_webpki);
        }
    }
    assert!(matches > 10, "{matches}");
}
