//! The compact serialisation of a JWS (RFC 7515 section 7.1), made and read.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mtc_core::cosign::{KeyError, PublicKey, SignatureAlgorithm, Signer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::algorithm::{UnknownAlgorithm, alg, algorithm};
use crate::ecdsa;

/// Most octets of a JWS. The longest of this project is an assertion with a chain of three certificates of ML-DSA-87 in its header,
/// twice in base64: 48 kB.
pub const MAX_JWS: usize = 56 * 1024;
/// Most certificates of an `x5c`.
const MAX_CHAIN: usize = 8;

/// The protected header of a JWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`.
    pub algorithm: SignatureAlgorithm,
    /// `kid`, if the key is named.
    pub key_id: Option<String>,
    /// `x5c`: the signer's certificate chain in DER, leaf first; empty if there is none.
    pub chain: Vec<Vec<u8>>,
}

impl Header {
    /// A header that names its key.
    pub fn of_key(algorithm: SignatureAlgorithm, key_id: impl Into<String>) -> Self {
        Self {
            algorithm,
            key_id: Some(key_id.into()),
            chain: Vec::new(),
        }
    }

    /// A header that has its key in a certificate.
    pub const fn of_chain(algorithm: SignatureAlgorithm, chain: Vec<Vec<u8>>) -> Self {
        Self {
            algorithm,
            key_id: None,
            chain,
        }
    }
}

/// The header as JSON has it.
#[derive(Serialize, Deserialize)]
struct Written {
    alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
    /// Base64 with padding, unlike all else (RFC 7515 section 4.1.6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x5c: Option<Vec<String>>,
    /// Extensions that must be understood; there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<Value>,
}

/// Why a text is no JWS that can be trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// Longer than the bound of this implementation.
    #[error("JWS: {0} bytes; at most {MAX_JWS} are allowed")]
    TooLong(usize),
    /// Not three parts.
    #[error("JWS: not three parts with dots between them")]
    Parts,
    /// A part is not base64url without padding.
    #[error("JWS: the {0} is not base64url")]
    Base64(&'static str),
    /// The header is not one of a JWS.
    #[error("JWS: not a header")]
    Header(#[source] serde_json::Error),
    /// The header asks for an extension.
    #[error("JWS: crit names an extension that is not understood")]
    Critical,
    /// Signed with an algorithm that is not used here, or not at all.
    #[error("JWS")]
    Algorithm(#[from] UnknownAlgorithm),
    /// Too many certificates, or none that is base64.
    #[error("JWS: x5c is not 1 to {MAX_CHAIN} certificates in base64")]
    Chain,
    /// Nobody who is trusted has this key.
    #[error("JWS: no trusted {} key {}", alg(*.algorithm), .key_id.as_deref().unwrap_or("at all"))]
    UnknownKey {
        /// The algorithm that the header names.
        algorithm: SignatureAlgorithm,
        /// The key that it names.
        key_id: Option<String>,
    },
    /// The signature is not the key's.
    #[error("JWS: the signature is wrong")]
    Signature,
    /// The payload is not the claims that it should be.
    #[error("JWS: not the claims that belong here")]
    Claims(#[source] serde_json::Error),
}

/// Signs `claims` with a key of the header's algorithm.
///
/// # Errors
/// The key cannot sign, or signs with another algorithm.
pub fn sign(
    header: &Header,
    claims: &impl Serialize,
    key: &impl Signer,
) -> Result<String, KeyError> {
    let Header {
        algorithm,
        key_id,
        chain,
    } = header;
    let x5c = (!chain.is_empty()).then(|| chain.iter().map(|der| STANDARD.encode(der)).collect());
    let header = Written {
        alg: alg(*algorithm).to_owned(),
        kid: key_id.clone(),
        typ: Some("JWT".to_owned()),
        x5c,
        crit: None,
    };
    let mut jws = String::new();
    encode(&mut jws, &json(&header));
    jws.push('.');
    encode(&mut jws, &json(claims));
    let signature = ecdsa::to_jws(*algorithm, key.sign(jws.as_bytes())?)?;
    jws.push('.');
    encode(&mut jws, &signature);
    Ok(jws)
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("headers and claims have string keys and do not fail")
}

fn encode(jws: &mut String, octets: &[u8]) {
    URL_SAFE_NO_PAD.encode_string(octets, jws);
}

/// A JWS that has been read, and nothing in it believed.
#[derive(Clone, Debug)]
pub struct Jws<'a> {
    /// Its header.
    pub header: Header,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Reads the compact serialisation.
    ///
    /// # Errors
    /// Every rule of form has its variant in [`JwsError`].
    pub fn parse(text: &'a str) -> Result<Self, JwsError> {
        if text.len() > MAX_JWS {
            return Err(JwsError::TooLong(text.len()));
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(JwsError::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::Parts)?;
        if payload.contains('.') {
            return Err(JwsError::Parts);
        }
        let header = read_header(&decode(header, "header")?)?;
        Ok(Self {
            header,
            signed,
            payload: decode(payload, "payload")?,
            signature: decode(signature, "signature")?,
        })
    }

    /// The claims, if the signature is that of `key`.
    ///
    /// # Errors
    /// [`JwsError::Signature`], also where the header names another algorithm than the key's.
    pub fn verify(self, key: &PublicKey) -> Result<Verified, JwsError> {
        if self.is_signed_by(key) {
            Ok(Verified(self.payload))
        } else {
            Err(JwsError::Signature)
        }
    }

    /// The claims of whoever wrote them. For who hands the JWS on, and may refuse it, but trusts nothing in it.
    ///
    /// # Errors
    /// [`JwsError::Claims`].
    pub fn unverified_claims<T: DeserializeOwned>(&self) -> Result<T, JwsError> {
        serde_json::from_slice(&self.payload).map_err(JwsError::Claims)
    }

    pub(crate) fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.algorithm() == self.header.algorithm
            && verifies(key, self.signed.as_bytes(), &self.signature)
    }

    /// Of a signature that was verified.
    pub(crate) fn into_verified(self) -> Verified {
        Verified(self.payload)
    }
}

/// Whether `signature`, in the form that JWS has it, is that of `key` on `message`.
pub fn verifies(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    ecdsa::from_jws(key.algorithm(), signature)
        .is_some_and(|signature| key.verifies(message, &signature))
}

fn decode(part: &str, name: &'static str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| JwsError::Base64(name))
}

fn read_header(octets: &[u8]) -> Result<Header, JwsError> {
    let Written {
        alg,
        kid,
        typ: _,
        x5c,
        crit,
    } = serde_json::from_slice(octets).map_err(JwsError::Header)?;
    if crit.is_some() {
        return Err(JwsError::Critical);
    }
    let chain = match x5c {
        None => Vec::new(),
        Some(chain) if chain.is_empty() || chain.len() > MAX_CHAIN => return Err(JwsError::Chain),
        Some(chain) => chain
            .iter()
            .map(|certificate| STANDARD.decode(certificate))
            .collect::<Result<_, _>>()
            .map_err(|_| JwsError::Chain)?,
    };
    Ok(Header {
        algorithm: algorithm(&alg)?,
        key_id: kid,
        chain,
    })
}

/// The payload of a JWS whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified(Vec<u8>);

impl Verified {
    /// The payload as claims.
    ///
    /// # Errors
    /// [`JwsError::Claims`].
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, JwsError> {
        serde_json::from_slice(&self.0).map_err(JwsError::Claims)
    }
}
