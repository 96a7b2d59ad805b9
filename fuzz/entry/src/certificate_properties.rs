//! Certificate properties, as a list and in a file of certificates.
//!
//! What is accepted is encoded to the bytes that were read, its patterns among them; an ID matches as `oracle` says; and a PEM file that
//! holds the list before a certificate gives both again. The input is read as such a file too, of which any bytes may be one.

use mtc_core::id::TrustAnchorId;
use mtc_core::properties::{AnchorPattern, CertificateProperties};
use mtc_tls::pem;
use mtc_tools::certificate_file::{Filed, certificates};

use crate::fixture::{self, CA, PKI};
use crate::{Verdict, oracle};

/// Reads certificate properties.
///
/// # Panics
/// An invariant does not hold.
pub fn certificate_properties(data: &[u8]) -> Verdict {
    let as_file = certificates(data);
    if let Ok(filed) = &as_file {
        let listed = filed.iter().filter_map(|filed| filed.properties.as_ref());
        listed.flatten().for_each(check);
    }
    let Ok(properties) = CertificateProperties::parse(data) else {
        let is_file_with = |filed: &Filed| matches!(filed.properties, Some(Ok(_)));
        return Verdict::of(as_file.is_ok_and(|filed| filed.iter().any(is_file_with)));
    };
    assert_eq!(properties.encode().as_deref(), Ok(data));
    check(&properties);
    let certificate = PKI.acceptable().swap_remove(0);
    let file = pem::chain_with_properties(data, &[&certificate]);
    let expected = Filed {
        der: certificate,
        properties: Some(Ok(properties)),
    };
    let read = certificates(file.as_bytes()).expect("its own encoding");
    assert_eq!(read, [expected]);
    Verdict::Accepted
}

fn check(properties: &CertificateProperties) {
    let types: Vec<u16> = properties.unknown().map(|(kind, _)| kind).collect();
    assert!(types.is_sorted_by(|one, next| one < next), "out of order");
    let ca = fixture::id(CA);
    let mut named = vec![ca];
    named.extend(properties.trust_anchor_id);
    for group in &properties.groups {
        assert_eq!(
            AnchorPattern::from_bytes(group.as_bytes()).as_ref(),
            Ok(group)
        );
        // The least that it matches, and what is beside that.
        let minima = oracle::pairs(group.as_bytes()).into_iter();
        let minima: Vec<u8> = minima.flat_map(|(minimum, _)| minimum).collect();
        if let Ok(least) = TrustAnchorId::from_bytes(&minima) {
            named.push(least);
            named.extend(least.child(&[0]));
        }
    }
    for id in &named {
        for group in &properties.groups {
            let expected = oracle::pattern_matches(group.as_bytes(), id.as_bytes());
            assert_eq!(group.matches(id), expected, "{group} {id}");
        }
        let by_group = properties.groups.iter().any(|group| group.matches(id));
        let expected = by_group || properties.trust_anchor_id == Some(*id);
        assert_eq!(properties.match_any([id]), expected);
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let standalone = CertificateProperties::standalone(&fixture::id(CA));
    let log = fixture::log(8);
    let relative = CertificateProperties::landmark_relative(&log, mtc_core::id::LandmarkNumber(42))
        .expect("a short ID");
    let lists = [standalone, relative].map(|properties| properties.encode().expect("short"));
    let unknown = vec![0, 9, 0, 2, 0, 0, 1, 0, 0, 1, 7];
    let file = pem::chain_with_properties(&lists[0], &PKI.acceptable()[..1]);
    lists
        .into_iter()
        .chain([vec![0, 0], unknown, file.into_bytes()])
        .collect()
}
