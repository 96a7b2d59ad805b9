//! A request: a JWS in flattened JSON (RFC 7515 section 7.2.2) with the header that RFC 8555 section 6.2 wants.
//!
//! ```text
//! { "protected": base64url({ "alg", "nonce", "url", "jwk" or "kid" }), "payload": base64url(JSON or nothing), "signature": base64url }
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jose::UnknownAlgorithm;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::key::{AccountKey, Algorithm, KeyError};

/// Most octets of a request. The longest that is meant revokes a certificate with a chain of ML-DSA-87 by its key: 35 kB.
pub const MAX_REQUEST: usize = 48 * 1024;

/// Why bytes are no request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Longer than the bound of this implementation.
    #[error("request: {0} bytes; at most {MAX_REQUEST} are allowed")]
    TooLong(usize),
    /// Not a JWS in flattened JSON. One with several signatures, or with an unprotected header, is none here.
    #[error("request: not a JWS in flattened JSON, which has protected, payload and signature")]
    Form(#[source] serde_json::Error),
    /// A part is not base64url without padding.
    #[error("request: {0} is not base64url without padding")]
    Base64(&'static str),
    /// The protected header lacks what it must have.
    #[error("request: the protected header does not have alg and url as texts")]
    Header(#[source] serde_json::Error),
    /// The header asks for an extension.
    #[error("request: crit names an extension that is not understood")]
    Critical,
    /// Signed with an algorithm that is not taken, or not at all.
    #[error("request")]
    Algorithm(#[from] UnknownAlgorithm),
    /// Both or neither of the two that name the key.
    #[error("request: the protected header must have one of jwk and kid")]
    Signer,
    /// The key is none.
    #[error("request")]
    Key(#[from] KeyError),
    /// The signature is not the key's.
    #[error("request: the signature is not by the key that it names")]
    Signature,
    /// The payload is not what belongs there.
    #[error("payload: not the JSON that belongs here")]
    Payload(#[source] serde_json::Error),
    /// A payload where there must be none.
    #[error("payload: must be empty (POST-as-GET)")]
    NotEmpty,
}

/// Who signed a request, as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// Whoever has this key.
    Key(AccountKey),
    /// The account with this URL.
    Account(String),
}

/// The protected header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `nonce`; the inner request of a key change has none.
    pub nonce: Option<String>,
    /// `url`: where the request is meant to go.
    pub url: String,
    /// `jwk` or `kid`.
    pub by: By,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flattened {
    protected: String,
    payload: String,
    signature: String,
}

impl Flattened {
    /// Header and payload, decoded.
    pub(crate) fn decode<H: DeserializeOwned>(
        &self,
    ) -> Result<(H, Vec<u8>, Vec<u8>), RequestError> {
        let header = decode(&self.protected, "protected")?;
        let header = serde_json::from_slice(&header).map_err(RequestError::Header)?;
        let payload = decode(&self.payload, "payload")?;
        Ok((header, payload, decode(&self.signature, "signature")?))
    }

    /// What is signed.
    pub(crate) fn signed(&self) -> String {
        format!("{}.{}", self.protected, self.payload)
    }
}

#[derive(Deserialize)]
struct Written {
    alg: String,
    nonce: Option<String>,
    url: String,
    jwk: Option<Value>,
    kid: Option<String>,
    crit: Option<Value>,
}

/// A request that has been read, and nothing in it believed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Its header.
    pub header: Header,
    signed: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    /// Reads a request.
    ///
    /// # Errors
    /// Every rule of form has its variant in [`RequestError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.len() > MAX_REQUEST {
            return Err(RequestError::TooLong(bytes.len()));
        }
        Self::read(serde_json::from_slice(bytes).map_err(RequestError::Form)?)
    }

    fn read(flattened: Flattened) -> Result<Self, RequestError> {
        let (header, payload, signature) = flattened.decode()?;
        let Written {
            alg,
            nonce,
            url,
            jwk,
            kid,
            crit,
        } = header;
        if crit.is_some() {
            return Err(RequestError::Critical);
        }
        let algorithm = Algorithm::of_name(&alg)?;
        let by = match (jwk, kid) {
            (Some(jwk), None) => By::Key(AccountKey::from_jwk(&jwk)?),
            (None, Some(account)) => By::Account(account),
            _ => return Err(RequestError::Signer),
        };
        Ok(Self {
            header: Header {
                algorithm,
                nonce,
                url,
                by,
            },
            signed: flattened.signed(),
            payload,
            signature,
        })
    }

    /// The payload, if the signature is that of `key`.
    ///
    /// # Errors
    /// [`RequestError::Signature`], also where the header names another algorithm than the key's.
    pub fn verify(self, key: &AccountKey) -> Result<Verified, RequestError> {
        let algorithm = self.header.algorithm;
        if key.verifies(algorithm, self.signed.as_bytes(), &self.signature) {
            Ok(Verified(self.payload))
        } else {
            Err(RequestError::Signature)
        }
    }
}

/// The payload of a request whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified(Vec<u8>);

impl Verified {
    /// The payload, read.
    ///
    /// # Errors
    /// [`RequestError::Payload`].
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, RequestError> {
        serde_json::from_slice(&self.0).map_err(RequestError::Payload)
    }

    /// The payload as a request within this one, as a key change has it.
    ///
    /// # Errors
    /// As [`Signed::parse`].
    pub fn inner(&self) -> Result<Signed, RequestError> {
        Signed::parse(&self.0)
    }

    /// Whether there is no payload: the request reads a resource (POST-as-GET, RFC 8555 section 6.3).
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses a payload.
    ///
    /// # Errors
    /// [`RequestError::NotEmpty`].
    pub fn require_empty(&self) -> Result<(), RequestError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(RequestError::NotEmpty)
        }
    }
}

/// The octets of a base64url text without padding, as all binary of ACME is; `name` is for the error.
///
/// # Errors
/// [`RequestError::Base64`].
pub fn decode(text: &str, name: &'static str) -> Result<Vec<u8>, RequestError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| RequestError::Base64(name))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
    use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const URL: &str = "https://nrf1.test/acme/new-order";

    fn encode(octets: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(octets)
    }

    /// A request whose signature is `sign`'s.
    fn request(header: &Value, payload: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let (protected, payload) = (encode(header.to_string()), encode(payload));
        let signature = encode(sign(format!("{protected}.{payload}").as_bytes()));
        let request = json!({"protected": protected, "payload": payload, "signature": signature});
        request.to_string().into_bytes()
    }

    #[test]
    fn a_request_is_its_signers_and_nobody_elses() {
        let key = SecretKey::generate(SignatureAlgorithm::MlDsa65).unwrap();
        let own = AccountKey::of(key.public_key().unwrap());
        let header = json!({"alg": "ML-DSA-65", "nonce": "n", "url": URL, "jwk": own.to_jwk()});
        let bytes = request(&header, "{}", |message| key.sign(message).unwrap());
        let signed = Signed::parse(&bytes).unwrap();
        assert_eq!(signed.header.by, By::Key(own.clone()));
        assert_eq!(
            (signed.header.nonce.as_deref(), &*signed.header.url),
            (Some("n"), URL)
        );
        let other = SecretKey::generate(SignatureAlgorithm::MlDsa65).unwrap();
        let other = AccountKey::of(other.public_key().unwrap());
        assert!(matches!(
            signed.clone().verify(&other),
            Err(RequestError::Signature)
        ));
        let payload = signed.verify(&own).unwrap();
        assert!(payload.require_empty().is_err());
        assert_eq!(payload.read::<Value>().unwrap(), json!({}));
    }

    #[test]
    fn rsa_signs_for_accounts() {
        let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = key.public_key();
        let [n, e] = [public.modulus(), public.exponent()];
        let [n, e] = [n, e].map(|number| encode(number.big_endian_without_leading_zero()));
        let jwk = json!({"kty": "RSA", "n": n, "e": e});
        let own = AccountKey::from_jwk(&jwk).unwrap();
        let sign = |message: &[u8]| {
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .unwrap();
            signature
        };
        let verify = |alg: &str, payload: &str, signed_payload: &str| {
            let header = json!({"alg": alg, "url": URL, "kid": "1"});
            let bytes = request(&header, signed_payload, sign);
            let mut changed: Value = serde_json::from_slice(&bytes).unwrap();
            changed["payload"] = json!(encode(payload));
            let signed = Signed::parse(changed.to_string().as_bytes());
            signed.and_then(|signed| signed.verify(&own))
        };
        assert!(verify("RS256", "{}", "{}").is_ok());
        assert!(matches!(
            verify("RS256", "{ }", "{}"),
            Err(RequestError::Signature)
        ));
        // The key says which algorithm, and no header another.
        assert!(matches!(
            verify("ES256", "{}", "{}"),
            Err(RequestError::Signature)
        ));
        for alg in ["RS512", "PS256", "HS256", "none"] {
            let refused = verify(alg, "{}", "{}");
            assert!(matches!(refused, Err(RequestError::Algorithm(_))), "{alg}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let header = json!({"alg": "EdDSA", "url": URL, "kid": "1"});
        let whole = request(&header, "", |_| vec![0; 64]);
        assert!(Signed::parse(&whole).is_ok());
        let with = |member: &str, value: Value| {
            let mut request: Value = serde_json::from_slice(&whole).unwrap();
            request[member] = value;
            Signed::parse(request.to_string().as_bytes())
        };
        for (member, value) in [
            ("header", json!({"kid": "2"})),
            ("signatures", json!([])),
            ("signature", json!("AA==")),
            ("payload", json!("+/")),
            ("payload", json!(null)),
            ("protected", json!(encode("[]"))),
            (
                "protected",
                json!(encode(r#"{"alg":"EdDSA","alg":"ES256","url":"","kid":""}"#)),
            ),
        ] {
            assert!(with(member, value.clone()).is_err(), "{member} {value}");
        }
        assert!(matches!(
            Signed::parse(&vec![b' '; MAX_REQUEST + 1]),
            Err(RequestError::TooLong(_))
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_and_no_header_are_too_strange(bytes: Vec<u8>, header in ".*", payload: Vec<u8>) {
            let _ = Signed::parse(&bytes);
            let request = json!({"protected": encode(&header), "payload": encode(&payload), "signature": ""});
            let _ = Signed::parse(request.to_string().as_bytes());
        }
    }
}
