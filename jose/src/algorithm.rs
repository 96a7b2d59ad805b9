//! The `alg` names of RFC 7518, RFC 8037 and RFC 9964.

use mtc_core::cosign::SignatureAlgorithm;

/// The text is no `alg` that is signed with here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("alg {0:?} is none of EdDSA, ES256, ES384, ML-DSA-44, ML-DSA-65, ML-DSA-87")]
pub struct UnknownAlgorithm(pub String);

/// The `alg` of an algorithm.
pub const fn alg(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm {
        SignatureAlgorithm::Ed25519 => "EdDSA",
        SignatureAlgorithm::EcdsaP256 => "ES256",
        SignatureAlgorithm::EcdsaP384 => "ES384",
        SignatureAlgorithm::MlDsa44 => "ML-DSA-44",
        SignatureAlgorithm::MlDsa65 => "ML-DSA-65",
        SignatureAlgorithm::MlDsa87 => "ML-DSA-87",
    }
}

/// The algorithm of an `alg`.
///
/// # Errors
/// It is none that is signed with here.
pub fn algorithm(name: &str) -> Result<SignatureAlgorithm, UnknownAlgorithm> {
    SignatureAlgorithm::ALL
        .into_iter()
        .find(|algorithm| alg(*algorithm) == name)
        .ok_or_else(|| UnknownAlgorithm(name.to_owned()))
}
