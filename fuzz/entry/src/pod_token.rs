//! Service-account tokens of Kubernetes: whatever is a pod has names that fit an FQDN and an id, and they are those of its subject.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sbi::service_account::{MAX_TOKEN, Pod, PodFqdn, unverified_claims};
use serde_json::json;

use crate::Verdict;

/// Reads the claims of a token.
///
/// # Panics
/// An invariant does not hold.
pub fn pod_token(data: &[u8]) -> Verdict {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let Ok(claims) = unverified_claims(text) else {
        return Verdict::Refused;
    };
    assert!(text.len() <= MAX_TOKEN);
    let (issuer, subject) = (claims.iss.clone(), claims.sub.clone());
    let Ok(pod) = Pod::try_from(claims) else {
        return Verdict::Refused;
    };
    let account = [pod.namespace(), pod.service_account()].join(":");
    assert_eq!(subject, format!("system:serviceaccount:{account}"));
    assert_eq!(pod.issuer(), issuer);
    let fqdn: PodFqdn = "{pod}.amf.example".parse().expect("it is one");
    let fqdn = fqdn.of(&pod);
    let (label, domain) = fqdn.split_once('.').expect("three labels");
    assert!((1..=63).contains(&label.len()) && domain == "amf.example");
    let id = pod.instance_id();
    assert_eq!((id.get_version_num(), id), (5, pod.instance_id()));
    Verdict::Accepted
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let claims = json!({
        "aud": ["mtca"], "exp": 1, "nbf": 0, "iss": "https://cluster", "sub": "system:serviceaccount:a:b",
        "kubernetes.io": {
            "namespace": "a",
            "serviceaccount": { "name": "b", "uid": "c" },
            "pod": { "name": "d-0", "uid": "2d0c6c5e-0a7e-4c57-8f0d-7b1f1b7c9a10" },
        },
    });
    let token =
        |payload: &str| format!("e30.{}.AAAA", URL_SAFE_NO_PAD.encode(payload)).into_bytes();
    let mut one = claims.clone();
    one["aud"] = json!("mtca");
    vec![token(&claims.to_string()), token(&one.to_string())]
}
