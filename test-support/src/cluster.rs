//! A Kubernetes cluster, as far as it signs tokens of pods: with keys of its own, signed without the library that the NRF reads them with.
//!
//! ```text
//!   Cluster ── jwks() ──> what the API server shows at /openid/v1/jwks
//!      └── token(&claims) ──> what a kubelet writes into the projected volume of a pod
//! ```

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// `iss` of the tokens, as kubeadm has it.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedBy {
    /// With the RSA key, RS256.
    Rsa,
    /// With the key on P-256, ES256.
    P256,
    /// Not at all: `none`.
    Nobody,
    /// With HS256, whose secret is the modulus of the public RSA key, which everybody knows.
    PublicKey,
}

/// A cluster with two keys.
pub struct Cluster {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    /// What the names of its keys begin with.
    name: &'static str,
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Cluster {
    /// A cluster whose keys are called `<name>-rsa` and `<name>-p256`.
    pub fn new(name: &'static str) -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("randomness"),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("randomness"),
            name,
        }
    }

    /// Its public keys.
    pub fn jwks(&self) -> Value {
        let rsa = self.rsa.public_key();
        let (modulus, exponent) = (rsa.modulus(), rsa.exponent());
        let point = self.p256.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let name = self.name;
        json!({ "keys": [
            {
                "use": "sig", "kty": "RSA", "kid": format!("{name}-rsa"), "alg": "RS256",
                "n": encode(modulus.big_endian_without_leading_zero()),
                "e": encode(exponent.big_endian_without_leading_zero()),
            },
            { "use": "sig", "kty": "EC", "kid": format!("{name}-p256"), "alg": "ES256", "crv": "P-256", "x": encode(x), "y": encode(y) },
        ] })
    }

    /// A token with these claims.
    pub fn token(&self, by: SignedBy, claims: &Value) -> String {
        let name = self.name;
        let header = match by {
            SignedBy::Rsa => json!({ "alg": "RS256", "kid": format!("{name}-rsa") }),
            SignedBy::P256 => json!({ "alg": "ES256", "kid": format!("{name}-p256") }),
            SignedBy::Nobody => json!({ "alg": "none", "kid": format!("{name}-rsa") }),
            SignedBy::PublicKey => json!({ "alg": "HS256", "kid": format!("{name}-rsa") }),
        };
        let signed = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        let signature = self.sign(by, signed.as_bytes());
        format!("{signed}.{}", encode(signature))
    }

    fn sign(&self, by: SignedBy, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match by {
            SignedBy::Rsa => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                let signed = self
                    .rsa
                    .sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
                signed.expect("a buffer of the modulus's length");
                signature
            }
            SignedBy::P256 => {
                let signature = self.p256.sign(&random, message);
                signature.expect("randomness").as_ref().to_vec()
            }
            SignedBy::Nobody => Vec::new(),
            SignedBy::PublicKey => {
                let modulus = self.rsa.public_key().modulus();
                let secret = modulus.big_endian_without_leading_zero();
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
        }
    }
}

/// What the token of a pod in namespace `mtc5g` says: good for an hour, for `mtca`.
///
/// # Panics
/// The clock is before 1970.
pub fn claims(service_account: &str, pod: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a clock of these days").as_secs();
    json!({
        "aud": ["mtca"],
        "exp": now + 3600,
        "iat": now,
        "iss": ISSUER,
        "jti": "9e9be3ea-5c53-4e0b-9a3c-6d9f4f6dd0b1",
        "kubernetes.io": {
            "namespace": "mtc5g",
            "node": { "name": "node-1", "uid": "8a6a1d3c-3a2b-4f6e-9b0e-1f2a3b4c5d6e" },
            "pod": { "name": pod, "uid": "2d0c6c5e-0a7e-4c57-8f0d-7b1f1b7c9a10" },
            "serviceaccount": { "name": service_account, "uid": "5f1f0a0c-7d59-4a19-bb6a-0b7b0a4a8f21" },
        },
        "nbf": now,
        "sub": format!("system:serviceaccount:mtc5g:{service_account}"),
    })
}
