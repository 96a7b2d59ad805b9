//! Which cryptography TLS uses: aws-lc for every variant, chosen in this one place.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{NamedGroup, SignatureScheme};

use crate::key::KeyAlgorithm;

/// Has aws-lc gather its entropy now. Otherwise it does so when randomness is first asked for, which costs some 30 ms of CPU time once in a
/// process: in one that has its keys from an earlier start, as part of the first handshake.
pub fn gather_entropy() {
    // Where it fails here it fails wherever randomness is needed, and is told there.
    let _ = ::aws_lc_rs::rand::fill(&mut [0]);
}

/// A key exchange group of TLS 1.3 that a client can be told to offer alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyExchange {
    /// The hybrid of X25519 and ML-KEM-768.
    X25519MlKem768,
    /// X25519 alone.
    X25519,
    /// The hybrid of the NIST curve P-256 and ML-KEM-768.
    SecP256r1MlKem768,
    /// P-256 alone.
    SecP256r1,
}

impl KeyExchange {
    /// Every group, in the order in which a server prefers them.
    pub const ALL: [Self; 4] = [
        Self::X25519MlKem768,
        Self::SecP256r1MlKem768,
        Self::X25519,
        Self::SecP256r1,
    ];

    /// The name in the IANA registry, as scenarios and results have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X25519MlKem768 => "X25519MLKEM768",
            Self::X25519 => "X25519",
            Self::SecP256r1MlKem768 => "SecP256r1MLKEM768",
            Self::SecP256r1 => "secp256r1",
        }
    }

    /// The group with this code point, if it is one of ours.
    pub fn of_group(group: NamedGroup) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|exchange| exchange.group().name() == group)
    }

    fn group(self) -> &'static dyn SupportedKxGroup {
        match self {
            Self::X25519MlKem768 => kx_group::X25519MLKEM768,
            Self::X25519 => kx_group::X25519,
            Self::SecP256r1MlKem768 => kx_group::SECP256R1MLKEM768,
            Self::SecP256r1 => kx_group::SECP256R1,
        }
    }
}

impl fmt::Display for KeyExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no key exchange group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown key exchange {0:?}; known: X25519MLKEM768, SecP256r1MLKEM768, X25519, secp256r1")]
pub struct UnknownKeyExchange(pub String);

impl FromStr for KeyExchange {
    type Err = UnknownKeyExchange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|exchange| exchange.as_str() == text)
            .ok_or_else(|| UnknownKeyExchange(text.to_owned()))
    }
}

/// The provider for a side that accepts these groups, in order of preference. A ClientHello names all of its cipher suites, whatever version is
/// spoken, so it has those of TLS 1.3 alone: another crate in the same build may have rustls bring others.
pub(crate) fn provider(groups: &[KeyExchange]) -> Arc<CryptoProvider> {
    let kx_groups = groups.iter().map(|exchange| exchange.group()).collect();
    let suites = aws_lc_rs::DEFAULT_CIPHER_SUITES.iter().copied();
    Arc::new(CryptoProvider {
        kx_groups,
        cipher_suites: suites.filter(|suite| suite.tls13().is_some()).collect(),
        ..aws_lc_rs::default_provider()
    })
}

/// The TLS signature scheme of a leaf key.
pub(crate) const fn signature_scheme(algorithm: KeyAlgorithm) -> SignatureScheme {
    match algorithm {
        KeyAlgorithm::Ed25519 => SignatureScheme::ED25519,
        KeyAlgorithm::EcdsaP256 => SignatureScheme::ECDSA_NISTP256_SHA256,
        KeyAlgorithm::EcdsaP384 => SignatureScheme::ECDSA_NISTP384_SHA384,
        KeyAlgorithm::MlDsa44 => SignatureScheme::ML_DSA_44,
        KeyAlgorithm::MlDsa65 => SignatureScheme::ML_DSA_65,
        KeyAlgorithm::MlDsa87 => SignatureScheme::ML_DSA_87,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suites_are_those_of_tls_1_3_whatever_else_the_build_has() {
        let names = provider(&KeyExchange::ALL);
        let names = names.cipher_suites.iter().map(|suite| suite.suite());
        let names: Vec<_> = names.collect();
        use rustls::CipherSuite::{
            TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
        };
        assert_eq!(
            names,
            [
                TLS13_AES_256_GCM_SHA384,
                TLS13_AES_128_GCM_SHA256,
                TLS13_CHACHA20_POLY1305_SHA256,
            ]
        );
    }
}
