//! ML-DSA in pure Rust, by the `ml-dsa` crate: deterministic signatures from a seed, and verification without C.
//!
//! Four times slower than aws-lc at both (`mtc5g bench`), therefore not what a network function signs or verifies with: for
//! test vectors that must come out the same every time, and to check aws-lc against.

use alloc::boxed::Box;
use alloc::vec::Vec;

use ml_dsa::{
    EncodedVerifyingKey, ExpandedSigningKey, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature,
    VerifyingKey,
};

use super::{KeyError, SignatureAlgorithm, Signer, Verifier};

/// The context string of every signature here.
const NO_CONTEXT: &[u8] = &[];

/// An ML-DSA private key that signs deterministically (FIPS 204, algorithm 2 with `rnd` zero). Prints nothing.
pub struct MlDsaSecretKey(Secret);

enum Secret {
    MlDsa44(Box<ExpandedSigningKey<MlDsa44>>),
    MlDsa65(Box<ExpandedSigningKey<MlDsa65>>),
    MlDsa87(Box<ExpandedSigningKey<MlDsa87>>),
}

impl MlDsaSecretKey {
    /// The key that follows from this seed (FIPS 204, section 3.6.3).
    ///
    /// # Errors
    /// Not an ML-DSA algorithm.
    pub fn from_seed(algorithm: SignatureAlgorithm, seed: &[u8; 32]) -> Result<Self, KeyError> {
        fn expand<P: MlDsaParams>(seed: &[u8; 32]) -> Box<ExpandedSigningKey<P>> {
            Box::new(ExpandedSigningKey::from_seed(&(*seed).into()))
        }
        Ok(Self(match algorithm {
            SignatureAlgorithm::MlDsa44 => Secret::MlDsa44(expand(seed)),
            SignatureAlgorithm::MlDsa65 => Secret::MlDsa65(expand(seed)),
            SignatureAlgorithm::MlDsa87 => Secret::MlDsa87(expand(seed)),
            _ => return Err(KeyError::UnsupportedAlgorithm),
        }))
    }

    /// The bare public key, as FIPS 204 encodes it.
    pub fn public_key(&self) -> Vec<u8> {
        fn encode<P: MlDsaParams>(key: &ExpandedSigningKey<P>) -> Vec<u8> {
            key.verifying_key().encode().to_vec()
        }
        match &self.0 {
            Secret::MlDsa44(key) => encode(key),
            Secret::MlDsa65(key) => encode(key),
            Secret::MlDsa87(key) => encode(key),
        }
    }
}

impl Signer for MlDsaSecretKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        fn sign<P: MlDsaParams>(key: &ExpandedSigningKey<P>, message: &[u8]) -> Option<Vec<u8>> {
            let signature = key.sign_deterministic(message, NO_CONTEXT).ok()?;
            Some(signature.encode().to_vec())
        }
        let (algorithm, signature) = match &self.0 {
            Secret::MlDsa44(key) => (SignatureAlgorithm::MlDsa44, sign(key, message)),
            Secret::MlDsa65(key) => (SignatureAlgorithm::MlDsa65, sign(key, message)),
            Secret::MlDsa87(key) => (SignatureAlgorithm::MlDsa87, sign(key, message)),
        };
        signature.ok_or(KeyError::Signing(algorithm))
    }
}

/// An ML-DSA public key, expanded once for many verifications.
pub struct MlDsaPublicKey(Public);

enum Public {
    MlDsa44(Box<VerifyingKey<MlDsa44>>),
    MlDsa65(Box<VerifyingKey<MlDsa65>>),
    MlDsa87(Box<VerifyingKey<MlDsa87>>),
}

impl MlDsaPublicKey {
    /// A key from its bare form.
    ///
    /// # Errors
    /// Not an ML-DSA algorithm, or the bytes are not such a key.
    pub fn from_raw(algorithm: SignatureAlgorithm, raw: &[u8]) -> Result<Self, KeyError> {
        fn decode<P: MlDsaParams>(
            algorithm: SignatureAlgorithm,
            raw: &[u8],
        ) -> Result<Box<VerifyingKey<P>>, KeyError> {
            let encoded = EncodedVerifyingKey::<P>::try_from(raw)
                .map_err(|_| KeyError::Malformed(algorithm))?;
            Ok(Box::new(VerifyingKey::decode(&encoded)))
        }
        Ok(Self(match algorithm {
            SignatureAlgorithm::MlDsa44 => Public::MlDsa44(decode(algorithm, raw)?),
            SignatureAlgorithm::MlDsa65 => Public::MlDsa65(decode(algorithm, raw)?),
            SignatureAlgorithm::MlDsa87 => Public::MlDsa87(decode(algorithm, raw)?),
            _ => return Err(KeyError::UnsupportedAlgorithm),
        }))
    }
}

impl Verifier for MlDsaPublicKey {
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        fn verifies<P: MlDsaParams>(key: &VerifyingKey<P>, message: &[u8], bytes: &[u8]) -> bool {
            Signature::try_from(bytes)
                .is_ok_and(|signature| key.verify_with_context(message, NO_CONTEXT, &signature))
        }
        match &self.0 {
            Public::MlDsa44(key) => verifies(key, message, signature),
            Public::MlDsa65(key) => verifies(key, message, signature),
            Public::MlDsa87(key) => verifies(key, message, signature),
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use crate::cosign::{PublicKey, SecretKey};

    const ML_DSA: [SignatureAlgorithm; 3] = [
        SignatureAlgorithm::MlDsa44,
        SignatureAlgorithm::MlDsa65,
        SignatureAlgorithm::MlDsa87,
    ];

    /// Both verdicts, which must be one.
    fn verdict(
        algorithm: SignatureAlgorithm,
        raw: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let pure = MlDsaPublicKey::from_raw(algorithm, raw).expect("a raw key");
        let fast = PublicKey::from_raw(algorithm, raw).expect("a raw key");
        let verdict = pure.verifies(message, signature);
        assert_eq!(
            verdict,
            fast.verifies(message, signature),
            "{algorithm}: the implementations disagree"
        );
        verdict
    }

    #[test]
    fn both_implementations_make_one_key_of_a_seed_and_accept_each_other_s_signatures() {
        for algorithm in ML_DSA {
            for seed in [[0; 32], [7; 32], [0xff; 32]] {
                let pure = MlDsaSecretKey::from_seed(algorithm, &seed).unwrap();
                let fast = SecretKey::from_seed(algorithm, &seed).unwrap();
                let raw = pure.public_key();
                assert_eq!(raw, fast.public_key().unwrap().raw(), "{algorithm}");
                for signer in [&pure as &dyn Signer, &fast] {
                    let signature = signer.sign(b"message").unwrap();
                    assert!(verdict(algorithm, &raw, b"message", &signature));
                    assert!(!verdict(algorithm, &raw, b"massage", &signature));
                }
            }
        }
    }

    #[test]
    fn both_implementations_reject_the_same_damage() {
        for algorithm in ML_DSA {
            let key = MlDsaSecretKey::from_seed(algorithm, &[9; 32]).unwrap();
            let (raw, signature) = (key.public_key(), key.sign(b"message").unwrap());
            for place in (0..signature.len())
                .step_by(97)
                .chain([signature.len() - 1])
            {
                for bit in [1, 0x80] {
                    let mut damaged = signature.clone();
                    damaged[place] ^= bit;
                    assert!(!verdict(algorithm, &raw, b"message", &damaged), "{place}");
                }
            }
            for length in [0, 1, signature.len() - 1] {
                assert!(!verdict(algorithm, &raw, b"message", &signature[..length]));
            }
            let longer = [&signature[..], &[0]].concat();
            assert!(!verdict(algorithm, &raw, b"message", &longer));
        }
    }

    #[test]
    fn deterministic_signatures_are_the_same_and_hedged_ones_are_not() {
        let algorithm = SignatureAlgorithm::MlDsa44;
        let sign = |signer: &dyn Signer| signer.sign(b"message").unwrap();
        let pure = MlDsaSecretKey::from_seed(algorithm, &[1; 32]).unwrap();
        let fast = SecretKey::from_seed(algorithm, &[1; 32]).unwrap();
        assert_eq!(sign(&pure), sign(&pure));
        assert_ne!(sign(&fast), sign(&fast));
    }

    #[test]
    fn other_algorithms_and_lengths_are_refused() {
        let seed = [0; 32];
        for algorithm in SignatureAlgorithm::ALL {
            let ml_dsa = ML_DSA.contains(&algorithm);
            assert_eq!(MlDsaSecretKey::from_seed(algorithm, &seed).is_ok(), ml_dsa);
            assert_eq!(SecretKey::from_seed(algorithm, &seed).is_ok(), ml_dsa);
            assert!(MlDsaPublicKey::from_raw(algorithm, &seed).is_err());
        }
    }
}
