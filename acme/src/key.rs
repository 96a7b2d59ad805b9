//! The keys of accounts: the six algorithms of NFs, and RSA, since `certbot` has no other account key before its version 5.

use std::fmt;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jose::{Jwk, KeySetError, UnknownAlgorithm, rsa_thumbprint, thumbprint};
use mtc_core::cosign::{PublicKey, SignatureAlgorithm};
use serde_json::{Value, json};

/// `alg` of RSASSA-PKCS1-v1_5 with SHA-256.
const RS256: &str = "RS256";
/// `kty` of RSA.
const RSA: &str = "RSA";
/// Octets of an RSA modulus.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=512;
/// Most octets of an RSA exponent.
const MAX_EXPONENT: usize = 4;

/// With what a request is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256: for account keys alone, never for certificates.
    Rs256,
    /// What NFs sign with too.
    Of(SignatureAlgorithm),
}

impl Algorithm {
    /// Every `alg` that is taken, for the `algorithms` of `badSignatureAlgorithm`.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let ours = SignatureAlgorithm::ALL.into_iter().map(jose::alg);
        ours.chain([RS256])
    }

    pub(crate) fn of_name(name: &str) -> Result<Self, UnknownAlgorithm> {
        if name == RS256 {
            return Ok(Self::Rs256);
        }
        jose::algorithm(name).map(Self::Of)
    }
}

/// Why a JWK is no account key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not an object of the form of a JWK.
    #[error("jwk is not a key of kty EC, OKP, AKP or RSA")]
    Form(#[source] serde_json::Error),
    /// Not a key of the six algorithms.
    #[error("jwk is no key that is taken here")]
    Key(#[from] KeySetError),
    /// A member of an RSA key.
    #[error("jwk: {0} is not what an RSA key of 2048 to 4096 bits has")]
    Rsa(&'static str),
}

/// The public key of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountKey {
    key: Key,
    thumbprint: String,
}

#[derive(Clone, PartialEq, Eq)]
enum Key {
    Of(PublicKey),
    Rsa {
        /// Big-endian, without leading zeros.
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
}

impl AccountKey {
    /// Reads a JWK (RFC 7517).
    ///
    /// # Errors
    /// Every rule has its variant in [`KeyError`].
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        if jwk.get("kty").and_then(Value::as_str) == Some(RSA) {
            let modulus = number(jwk, "n").filter(|octets| MODULUS.contains(&octets.len()));
            let exponent = number(jwk, "e").filter(|octets| octets.len() <= MAX_EXPONENT);
            let exponent = exponent.ok_or(KeyError::Rsa("e"))?;
            return Ok(Self::rsa(modulus.ok_or(KeyError::Rsa("n"))?, exponent));
        }
        let jwk: Jwk = serde::Deserialize::deserialize(jwk).map_err(KeyError::Form)?;
        Ok(Self::of(jwk.public_key()?))
    }

    /// A key of one of the six algorithms.
    pub fn of(key: PublicKey) -> Self {
        Self {
            thumbprint: thumbprint(&key),
            key: Key::Of(key),
        }
    }

    fn rsa(modulus: Vec<u8>, exponent: Vec<u8>) -> Self {
        Self {
            thumbprint: rsa_thumbprint(&modulus, &exponent),
            key: Key::Rsa { modulus, exponent },
        }
    }

    /// The key as a JWK with the members that make it up and no others.
    pub fn to_jwk(&self) -> Value {
        match &self.key {
            Key::Of(key) => {
                let mut jwk = json!(Jwk::of(key));
                if let Some(members) = jwk.as_object_mut() {
                    members.remove("kid");
                }
                jwk
            }
            Key::Rsa { modulus, exponent } => {
                let [n, e] = [modulus, exponent].map(|octets| URL_SAFE_NO_PAD.encode(octets));
                json!({"kty": RSA, "n": n, "e": e})
            }
        }
    }

    /// Its thumbprint (RFC 7638), which no other key has.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Whether it is the key of a DER SubjectPublicKeyInfo. Of an RSA key it is not said, as no certificate has one.
    pub fn is_of(&self, spki: &[u8]) -> bool {
        matches!(&self.key, Key::Of(key) if key.to_spki() == spki)
    }

    /// Whether `signature`, as JWS has it, is this key's.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match (&self.key, algorithm) {
            (Key::Of(key), Algorithm::Of(algorithm)) => {
                key.algorithm() == algorithm && jose::verifies(key, message, signature)
            }
            (Key::Rsa { modulus, exponent }, Algorithm::Rs256) => {
                let components = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                let verified = components.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature);
                verified.is_ok()
            }
            _ => false,
        }
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountKey({})", self.thumbprint)
    }
}

/// A positive number of an RSA key in its shortest form, as it has to be (RFC 7518 section 2).
fn number(jwk: &Value, member: &str) -> Option<Vec<u8>> {
    let octets = URL_SAFE_NO_PAD.decode(jwk.get(member)?.as_str()?).ok()?;
    octets.first().filter(|first| **first != 0)?;
    Some(octets)
}

#[cfg(test)]
mod tests {
    use mtc_core::cosign::SecretKey;

    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        // The example of its section 3.1.
        let jwk = json!({"kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
        let key = AccountKey::from_jwk(&jwk).unwrap();
        assert_eq!(
            key.thumbprint(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        assert_eq!(AccountKey::from_jwk(&key.to_jwk()).unwrap(), key);
    }

    #[test]
    fn a_key_reads_back_as_itself() {
        for algorithm in SignatureAlgorithm::ALL {
            let key = SecretKey::generate(algorithm)
                .unwrap()
                .public_key()
                .unwrap();
            let key = AccountKey::of(key);
            assert!(key.to_jwk().get("kid").is_none());
            assert_eq!(AccountKey::from_jwk(&key.to_jwk()).unwrap(), key);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let short = URL_SAFE_NO_PAD.encode([1; 128]);
        let padded = URL_SAFE_NO_PAD.encode([[0].as_slice(), &[1; 256]].concat());
        for jwk in [
            json!({}),
            json!("RSA"),
            json!({"kty": "oct", "k": "AAAA"}),
            json!({"kty": "RSA"}),
            json!({"kty": "RSA", "n": short, "e": "AQAB"}),
            json!({"kty": "RSA", "n": padded, "e": "AQAB"}),
            json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        ] {
            assert!(AccountKey::from_jwk(&jwk).is_err(), "{jwk}");
        }
    }
}
