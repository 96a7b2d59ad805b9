//! Signatures by the key of an NF's certificate, and who is believed to have made them.

use mtc_core::cosign::Signer as _;
use mtc_tls::endpoint::JudgeError;
use mtc_tls::kind::CertificateKind;
use mtc_tls::peer::VerifyError;
use mtc_tls::profile::{ConnectionProfile, TrustDomain};
use mtc_tls::signing::Signing;

use crate::lab::{DIRECT, INTERMEDIATE, Lab, NEWEST_LANDMARK, profile, skewed};
use crate::nf::LEAF_KEYS;

const MESSAGE: &[u8] = b"it is me";

fn signing(lab: &Lab, profile: ConnectionProfile, knows_landmarks: bool) -> Signing {
    let set = lab.set(&lab.amf, Some(NEWEST_LANDMARK));
    Signing::of(&set, profile, knows_landmarks).expect("the AMF has every credential")
}

fn chain(signing: &Signing) -> Vec<Vec<u8>> {
    signing.chain().map(<[u8]>::to_vec).collect()
}

#[test]
fn whoever_trusts_the_domain_knows_who_has_signed() {
    let lab = Lab::new();
    let smf = lab.smf_endpoint(Some(NEWEST_LANDMARK));
    for (domain, kind) in [
        (TrustDomain::MtcLandmark, CertificateKind::LandmarkRelative),
        (TrustDomain::MtcLandmarkStale, CertificateKind::Standalone),
        (TrustDomain::MtcStandalone, CertificateKind::Standalone),
        (TrustDomain::MtcStandaloneCa, CertificateKind::Standalone),
        (TrustDomain::X509(DIRECT), CertificateKind::DirectlySigned),
        (
            TrustDomain::X509(INTERMEDIATE),
            CertificateKind::DirectlySigned,
        ),
    ] {
        for leaf_key in LEAF_KEYS {
            let profile = ConnectionProfile {
                leaf_key,
                ..profile(domain)
            };
            let signing = signing(&lab, profile, true);
            assert_eq!(signing.kind(), kind, "{profile}");
            let (identity, key) = smf.judge(domain, &chain(&signing)).expect("the AMF");
            assert_eq!(identity.nf_types, ["AMF"]);
            let signature = signing.sign(MESSAGE).expect("keys sign");
            assert!(key.verifies(MESSAGE, &signature), "{profile}");
            assert!(!key.verifies(b"it is not", &signature), "{profile}");
        }
    }
}

#[test]
fn who_knows_no_landmark_is_shown_the_standalone_certificate() {
    let lab = Lab::new();
    let (domain, of) = (TrustDomain::MtcLandmark, profile(TrustDomain::MtcLandmark));
    let unknowing = lab.smf_endpoint(None);
    let refused = unknowing.judge(domain, &chain(&signing(&lab, of, true)));
    assert!(
        matches!(refused, Err(JudgeError::Refused(VerifyError::Mtc(_)))),
        "{refused:?}"
    );
    let standalone = signing(&lab, of, false);
    assert_eq!(standalone.kind(), CertificateKind::Standalone);
    assert!(unknowing.judge(domain, &chain(&standalone)).is_ok());
}

#[test]
fn certificates_are_judged_as_in_a_handshake() {
    let lab = Lab::new();
    let smf = lab.smf_endpoint(Some(NEWEST_LANDMARK));
    let standalone = TrustDomain::MtcStandalone;
    let good = chain(&signing(&lab, profile(standalone), true));
    // Another domain than its own.
    let direct = TrustDomain::X509(DIRECT);
    assert!(matches!(
        smf.judge(direct, &good),
        Err(JudgeError::Refused(VerifyError::X509(_)))
    ));
    let x509 = chain(&signing(&lab, profile(direct), true));
    assert!(matches!(
        smf.judge(standalone, &x509),
        Err(JudgeError::Refused(VerifyError::Mtc(_)))
    ));
    // Damage, nothing at all, and too late.
    let mut damaged = good.clone();
    let middle = damaged[0].len() / 2;
    damaged[0][middle] ^= 1;
    assert!(smf.judge(standalone, &damaged).is_err());
    assert!(matches!(smf.judge(standalone, &[]), Err(JudgeError::Empty)));
    let set = lab.set(&lab.smf, Some(NEWEST_LANDMARK));
    let late = skewed(set, 2 * 3600);
    assert!(matches!(
        late.judge(standalone, &good),
        Err(JudgeError::Refused(VerifyError::Usage(_)))
    ));
    // Another CA's.
    let elsewhere = Lab::of_ca("32473.2").smf_endpoint(None);
    assert!(elsewhere.judge(standalone, &good).is_err());
}
