//! Access tokens and requests for them: nothing that is made of a token verifies with a key that did not sign it, and the fields of
//! a request are within their rules.
//!
//! ```text
//! <token> LF <form>
//! ```

use std::sync::LazyLock;

use jose::{Header, Jws};
use mtc_core::cosign::{PublicKey, SecretKey, SignatureAlgorithm};
use nf_nrf::access_token::AccessTokenReq;
use sbi::model::ServiceName;
use serde_json::json;

use crate::Verdict;

/// Keys of which nobody has seen a signature.
static KEYS: LazyLock<[PublicKey; 6]> = LazyLock::new(|| {
    SignatureAlgorithm::ALL.map(|of| {
        let key = SecretKey::generate(of).expect("a key");
        key.public_key().expect("a public key")
    })
});

/// Reads a token and a form.
///
/// # Panics
/// An invariant does not hold.
pub fn access_token(data: &[u8]) -> Verdict {
    let mut halves = data.splitn(2, |byte| *byte == b'\n');
    let token = halves.next().unwrap_or_default();
    let form = halves.next().unwrap_or_default();
    let token = std::str::from_utf8(token).unwrap_or_default();
    let is_token = Jws::parse(token).is_ok_and(|jws| {
        let is_forged = KEYS.iter().any(|key| jws.clone().verify(key).is_ok());
        assert!(!is_forged, "a signature of a key that made none");
        true
    });
    let is_form = AccessTokenReq::parse(form).is_ok_and(|wanted| {
        let is_name = |service: &ServiceName| {
            let name = service.as_str();
            !name.is_empty() && !name.contains(' ')
        };
        assert!(!wanted.scope.is_empty() && wanted.scope.iter().all(is_name));
        true
    });
    if is_token || is_form {
        Verdict::Accepted
    } else {
        Verdict::Refused
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let key = SecretKey::from_seed(SignatureAlgorithm::MlDsa44, &[7; 32]).expect("a key");
    let claims = json!({"iss": "5b1d9a77-0000-4000-8000-000000000001", "aud": "SMF", "scope": "nsmf-pdusession", "exp": 1});
    let token =
        jose::sign(&Header::of_key(key.algorithm(), "a"), &claims, &key).expect("keys sign");
    let form = "grant_type=client_credentials&nfInstanceId=5b1d9a77-0000-4000-8000-000000000001&nfType=AMF&targetNfType=SMF\
        &scope=nsmf-pdusession+nsmf-x&targetSnssaiList=%5B%7B%22sst%22%3A1%7D%5D&mtc5g-alg=ML-DSA-44";
    vec![
        format!("{token}\n{form}").into_bytes(),
        format!("\n{form}").into_bytes(),
        b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UifQ.AAAA\n".to_vec(),
    ]
}
