//! Public keys as JSON (RFC 7517), and the set of those that are trusted.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mtc_core::cosign::{KeyError, PublicKey, SignatureAlgorithm};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::algorithm::{UnknownAlgorithm, alg, algorithm};
use crate::jws::{Jws, JwsError, Verified};

/// Most keys of a set: an NRF signs with one of each algorithm, and for a while with its next ones.
pub const MAX_KEYS: usize = 16;
/// An uncompressed point.
const UNCOMPRESSED: u8 = 4;

/// A public key: `kty` EC (RFC 7518), OKP (RFC 8037) or AKP, whose keys name their algorithm (RFC 9964).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum Jwk {
    /// A point on a curve.
    #[serde(rename = "EC")]
    Ec {
        /// Names the key.
        kid: Option<String>,
        /// The curve.
        crv: String,
        /// Base64url of a coordinate.
        x: String,
        /// Base64url of the other.
        y: String,
    },
    /// An Edwards key.
    #[serde(rename = "OKP")]
    Okp {
        /// Names the key.
        kid: Option<String>,
        /// The curve.
        crv: String,
        /// Base64url of the key.
        x: String,
    },
    /// A key of one algorithm.
    #[serde(rename = "AKP")]
    Akp {
        /// Names the key.
        kid: Option<String>,
        /// The algorithm.
        alg: String,
        /// Base64url of the key.
        #[serde(rename = "pub")]
        public: String,
    },
}

/// The set as JSON has it. Members that are not known are passed over (RFC 7517 section 5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// Why JSON is no set of keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// Not a JWK set.
    #[error("not a JWK set")]
    Json(#[from] serde_json::Error),
    /// None, or more than the bound of this implementation.
    #[error("keys: {0} keys; 1 to {MAX_KEYS} are allowed")]
    Count(usize),
    /// A key without a name.
    #[error("keys: a key has no kid")]
    NoName,
    /// Two keys of one name.
    #[error("keys: kid {0:?} twice")]
    Twice(String),
    /// A curve that is not used here.
    #[error("keys: unknown crv {0:?}")]
    Curve(String),
    /// An algorithm that is not used here.
    #[error("keys")]
    Algorithm(#[from] UnknownAlgorithm),
    /// A number that is not base64url.
    #[error("keys: a key is not base64url")]
    Base64(#[from] base64::DecodeError),
    /// A key that is none.
    #[error("keys")]
    Key(#[from] KeyError),
}

impl Jwk {
    /// The JWK of a key, named by its thumbprint.
    pub fn of(key: &PublicKey) -> Self {
        Self::named(key, thumbprint(key))
    }

    fn named(key: &PublicKey, name: String) -> Self {
        let kid = Some(name);
        match key.algorithm() {
            SignatureAlgorithm::EcdsaP256 | SignatureAlgorithm::EcdsaP384 => {
                let (x, y) = coordinates(key.raw());
                Self::Ec {
                    kid,
                    crv: curve(key.algorithm()).to_owned(),
                    x,
                    y,
                }
            }
            SignatureAlgorithm::Ed25519 => Self::Okp {
                kid,
                crv: curve(key.algorithm()).to_owned(),
                x: URL_SAFE_NO_PAD.encode(key.raw()),
            },
            algorithm => Self::Akp {
                kid,
                alg: alg(algorithm).to_owned(),
                public: URL_SAFE_NO_PAD.encode(key.raw()),
            },
        }
    }

    /// The key, whatever its name.
    ///
    /// # Errors
    /// It is none of the algorithms that are used here.
    pub fn public_key(&self) -> Result<PublicKey, KeySetError> {
        let of_curve = |crv: &String, wanted: &[SignatureAlgorithm]| {
            let known = wanted.iter().find(|known| curve(**known) == crv);
            known
                .copied()
                .ok_or_else(|| KeySetError::Curve(crv.clone()))
        };
        let (algorithm, raw) = match self {
            Self::Ec { crv, x, y, .. } => {
                let curves = [SignatureAlgorithm::EcdsaP256, SignatureAlgorithm::EcdsaP384];
                let algorithm = of_curve(crv, &curves)?;
                let mut point = vec![UNCOMPRESSED];
                URL_SAFE_NO_PAD.decode_vec(x, &mut point)?;
                URL_SAFE_NO_PAD.decode_vec(y, &mut point)?;
                (algorithm, point)
            }
            Self::Okp { crv, x, .. } => (
                of_curve(crv, &[SignatureAlgorithm::Ed25519])?,
                URL_SAFE_NO_PAD.decode(x)?,
            ),
            Self::Akp { alg, public, .. } => (algorithm(alg)?, URL_SAFE_NO_PAD.decode(public)?),
        };
        Ok(PublicKey::from_raw(algorithm, &raw)?)
    }

    fn name(&self) -> Result<&str, KeySetError> {
        let (Self::Ec { kid, .. } | Self::Okp { kid, .. } | Self::Akp { kid, .. }) = self;
        kid.as_deref().ok_or(KeySetError::NoName)
    }
}

/// `crv`; empty for an algorithm that has none.
const fn curve(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm {
        SignatureAlgorithm::EcdsaP256 => "P-256",
        SignatureAlgorithm::EcdsaP384 => "P-384",
        SignatureAlgorithm::Ed25519 => "Ed25519",
        _ => "",
    }
}

/// Base64url of the two halves of an uncompressed point.
fn coordinates(point: &[u8]) -> (String, String) {
    let (x, y) = point[1..].split_at(point.len() / 2);
    (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
}

/// The thumbprint of a key (RFC 7638, for AKP RFC 9964 section 6), base64url of its SHA-256: the `kid` of our keys.
pub fn thumbprint(key: &PublicKey) -> String {
    // The required members in lexicographic order, without space; base64url needs no escapes.
    let members = match key.algorithm() {
        algorithm @ (SignatureAlgorithm::EcdsaP256 | SignatureAlgorithm::EcdsaP384) => {
            let (x, y) = coordinates(key.raw());
            let crv = curve(algorithm);
            format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
        }
        algorithm @ SignatureAlgorithm::Ed25519 => {
            let (crv, x) = (curve(algorithm), URL_SAFE_NO_PAD.encode(key.raw()));
            format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{x}"}}"#)
        }
        algorithm => {
            let (alg, public) = (alg(algorithm), URL_SAFE_NO_PAD.encode(key.raw()));
            format!(r#"{{"alg":"{alg}","kty":"AKP","pub":"{public}"}}"#)
        }
    };
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

/// The thumbprint of an RSA key (RFC 7638), which signs nothing here but what software of others sends; both numbers big-endian.
pub fn rsa_thumbprint(modulus: &[u8], exponent: &[u8]) -> String {
    let [n, e] = [modulus, exponent].map(|octets| URL_SAFE_NO_PAD.encode(octets));
    let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

/// The keys that a signer is trusted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<(String, PublicKey)>,
}

impl KeySet {
    /// These keys, named by their thumbprints.
    pub fn of(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let named = |key: PublicKey| (thumbprint(&key), key);
        Self {
            keys: keys.into_iter().map(named).collect(),
        }
    }

    /// Reads a JWK set.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        let JwkSet { keys } = serde_json::from_slice(json)?;
        if !(1..=MAX_KEYS).contains(&keys.len()) {
            return Err(KeySetError::Count(keys.len()));
        }
        let mut named: Vec<(String, PublicKey)> = Vec::with_capacity(keys.len());
        for key in &keys {
            let name = key.name()?.to_owned();
            if named.iter().any(|(known, _)| *known == name) {
                return Err(KeySetError::Twice(name));
            }
            named.push((name, key.public_key()?));
        }
        Ok(Self { keys: named })
    }

    /// The set as others read it, each key under the name that it has here.
    pub fn to_jwk_set(&self) -> JwkSet {
        let named = |(name, key): &(String, PublicKey)| Jwk::named(key, name.clone());
        JwkSet {
            keys: self.keys.iter().map(named).collect(),
        }
    }

    /// Whether there is a key of this algorithm.
    pub fn has(&self, algorithm: SignatureAlgorithm) -> bool {
        self.keys
            .iter()
            .any(|(_, key)| key.algorithm() == algorithm)
    }

    /// The claims of a JWS that is signed with one of these keys: the one that it names, or any of its algorithm if it names none.
    ///
    /// # Errors
    /// [`JwsError::UnknownKey`], [`JwsError::Signature`].
    pub fn verify(&self, jws: Jws<'_>) -> Result<Verified, JwsError> {
        let algorithm = jws.header.algorithm;
        let wanted = jws.header.key_id.as_deref();
        let mut candidates = self
            .keys
            .iter()
            .filter(|(name, key)| {
                key.algorithm() == algorithm && wanted.is_none_or(|wanted| wanted == name)
            })
            .map(|(_, key)| key)
            .peekable();
        if candidates.peek().is_none() {
            return Err(JwsError::UnknownKey {
                algorithm,
                key_id: jws.header.key_id,
            });
        }
        if candidates.any(|key| jws.is_signed_by(key)) {
            Ok(jws.into_verified())
        } else {
            Err(JwsError::Signature)
        }
    }
}
