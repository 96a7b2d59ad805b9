//! The identity in a leaf certificate of any issuer: within its bounds, and issued again it is read as the same.

use mtc_core::certificate::{CertificateFields, MtcProof};
use mtc_core::id::{EntryIndex, LogNumber, TreeSize};
use mtc_core::time::UnixTime;
use mtc_core::tree::Subtree;
use mtc_core::x509::{EndEntity, Role};
use mtc_tls::identity::{MAX_FQDNS, MAX_NF_TYPES, NfIdentity, NfSubject};
use uuid::Uuid;

use crate::Verdict;
use crate::fixture::{NOW, PKI};

/// Reads the identity in a certificate, and checks what the certificate may be used for.
///
/// # Panics
/// An invariant does not hold.
pub fn nf_identity(data: &[u8]) -> Verdict {
    let usable = [Role::Client, Role::Server].map(|role| check_usage(data, role));
    let Ok(identity) = NfIdentity::from_certificate(data) else {
        return Verdict::Refused;
    };
    assert!((1..=MAX_NF_TYPES).contains(&identity.nf_types.len()));
    assert!(identity.fqdns.len() <= MAX_FQDNS);
    for text in identity.nf_types.iter().chain(&identity.fqdns) {
        assert!(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    check_issued_again(&identity);
    Verdict::of(usable.contains(&true))
}

/// A certificate that may be used now has not expired, and may not be used at either end of time.
fn check_usage(data: &[u8], role: Role) -> bool {
    let Ok(leaf) = EndEntity::parse(data) else {
        return false;
    };
    let at = |now| leaf.check_usage(now, Some(role));
    let usable = at(NOW).is_ok();
    if usable && let Ok(identity) = NfIdentity::from_certificate(data) {
        assert!(identity.not_after >= NOW.0);
        assert!(at(UnixTime(identity.not_after)).is_ok());
        assert!(at(UnixTime(identity.not_after + 1)).is_err(), "expired");
    }
    usable
}

/// Whoever may be the subject of a certificate is read from it, the NF types in their order.
fn check_issued_again(identity: &NfIdentity) {
    let Ok(subject) = NfSubject::new(
        "DE",
        "5gc.test",
        identity.instance_id,
        &identity.nf_types,
        &identity.fqdns,
    ) else {
        return;
    };
    let mut nf_types = identity.nf_types.clone();
    nf_types.sort_unstable();
    let expected = NfIdentity {
        nf_types,
        fqdns: identity.fqdns.clone(),
        ..*identity
    };
    let not_after = UnixTime(identity.not_after);
    let read = NfIdentity::from_certificate(&issue(&subject, not_after));
    assert_eq!(read, Ok(expected));
}

fn issue(subject: &NfSubject, not_after: UnixTime) -> Vec<u8> {
    let cosigner = &PKI.ca_certificate.cosigner;
    let proof = MtcProof {
        extensions: Vec::new(),
        subtree: Subtree::whole(TreeSize(1)),
        inclusion_proof: Vec::new(),
        signatures: Vec::new(),
    };
    let fields = CertificateFields {
        issuer: &cosigner.id,
        not_before: UnixTime(0),
        not_after,
        subject: &subject.name_der(),
        spki: &cosigner.key.to_spki(),
        extensions: &subject.extensions_der(),
    };
    fields
        .certificate(LogNumber::FIRST, EntryIndex(0), &proof)
        .expect("within all bounds")
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let instance = Uuid::from_u128(0x5b1d_0000_0000_4000_8000_0000_0000_0001);
    let subject = |nf_types: &[&str], fqdns: &[&str]| {
        let owned =
            |texts: &[&str]| -> Vec<String> { texts.iter().map(ToString::to_string).collect() };
        NfSubject::new(
            "DE",
            "5gc.mnc001.mcc001.3gppnetwork.org",
            instance,
            &owned(nf_types),
            &owned(fqdns),
        )
        .expect("by the rules")
    };
    let week = UnixTime(NOW.0 + 7 * 86_400);
    vec![
        issue(&subject(&["AMF"], &["amf1.5gc.test"]), week),
        issue(
            &subject(&["NRF", "SCP"], &["nrf.5gc.test", "scp.5gc.test"]),
            UnixTime(253_402_300_799),
        ),
    ]
}
