//! The algorithms of cosigners and of certificates' subjects, and what can be wrong with a key.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::der;

/// A signature algorithm that a cosigner, or a certificate's subject, can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SignatureAlgorithm {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA on P-256 with SHA-256, signatures in DER.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384, signatures in DER.
    EcdsaP384,
    /// ML-DSA-44 (FIPS 204) with an empty context.
    MlDsa44,
    /// ML-DSA-65 (FIPS 204) with an empty context.
    MlDsa65,
    /// ML-DSA-87 (FIPS 204) with an empty context.
    MlDsa87,
}

impl SignatureAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 6] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
    ];

    /// The name in configuration, results and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::MlDsa44 => "ml-dsa-44",
            Self::MlDsa65 => "ml-dsa-65",
            Self::MlDsa87 => "ml-dsa-87",
        }
    }

    /// Contents octets of the AlgorithmIdentifier of a public key: the OID, then the curve where there is one.
    pub(super) const fn key_algorithm(self) -> &'static [u8] {
        match self {
            Self::Ed25519 => &[6, 3, 0x2b, 0x65, 0x70],
            Self::EcdsaP256 => &[
                6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1,
                7,
            ],
            Self::EcdsaP384 => &[
                6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22,
            ],
            Self::MlDsa44 => &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 17],
            Self::MlDsa65 => &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18],
            Self::MlDsa87 => &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 19],
        }
    }

    /// DER of the AlgorithmIdentifier of a *signature* by this algorithm, as in certificates and requests.
    pub fn signature_algorithm_identifier(self) -> Vec<u8> {
        let contents = match self {
            Self::EcdsaP256 => &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
            Self::EcdsaP384 => &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3],
            _ => self.key_algorithm(),
        };
        der::element(der::SEQUENCE, &[contents])
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SignatureAlgorithm {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| KeyError::UnknownName(text.to_owned()))
    }
}

/// Why something is not a usable key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not the name of an algorithm.
    #[error(
        "unknown algorithm {0:?}; known: ed25519, ecdsa-p256, ecdsa-p384, ml-dsa-44, ml-dsa-65, ml-dsa-87"
    )]
    UnknownName(String),
    /// Not a SubjectPublicKeyInfo.
    #[error("malformed SubjectPublicKeyInfo")]
    Der(#[from] der::DerError),
    /// A SubjectPublicKeyInfo of an algorithm that is not supported.
    #[error("unsupported public key algorithm")]
    UnsupportedAlgorithm,
    /// The key itself is not one of the algorithm.
    #[error("the bytes are not a {0} key")]
    Malformed(SignatureAlgorithm),
    /// The library could not make a key.
    #[error("a {0} key could not be generated")]
    Generation(SignatureAlgorithm),
    /// The library could not sign.
    #[error("the {0} key could not sign")]
    Signing(SignatureAlgorithm),
}
