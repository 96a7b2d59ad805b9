//! Keys by aws-lc: the fastest implementation of every algorithm here (`docs/performance.md`), hedged when it signs.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    KeyPair, ML_DSA_44, ML_DSA_44_SIGNING, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87,
    ML_DSA_87_SIGNING, ParsedPublicKey, PqdsaKeyPair, PqdsaSigningAlgorithm, VerificationAlgorithm,
};
use zeroize::Zeroizing;

use super::algorithm::{KeyError, SignatureAlgorithm};
use super::{Signer, Verifier};
use crate::der;

fn verification(algorithm: SignatureAlgorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        SignatureAlgorithm::Ed25519 => &ED25519,
        SignatureAlgorithm::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
        SignatureAlgorithm::EcdsaP384 => &ECDSA_P384_SHA384_ASN1,
        SignatureAlgorithm::MlDsa44 => &ML_DSA_44,
        SignatureAlgorithm::MlDsa65 => &ML_DSA_65,
        SignatureAlgorithm::MlDsa87 => &ML_DSA_87,
    }
}

/// A public key, parsed once for many verifications.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: SignatureAlgorithm,
    raw: Vec<u8>,
    parsed: ParsedPublicKey,
}

impl PublicKey {
    /// A key from its bare form: 32 bytes for Ed25519, the uncompressed point for ECDSA, FIPS 204's for ML-DSA.
    ///
    /// # Errors
    /// The bytes are not such a key.
    pub fn from_raw(algorithm: SignatureAlgorithm, raw: &[u8]) -> Result<Self, KeyError> {
        // The library would take other encodings of the key too; key IDs and hashes need one form.
        let expected = match algorithm {
            SignatureAlgorithm::Ed25519 => 32,
            SignatureAlgorithm::EcdsaP256 => 65,
            SignatureAlgorithm::EcdsaP384 => 97,
            SignatureAlgorithm::MlDsa44 => 1312,
            SignatureAlgorithm::MlDsa65 => 1952,
            SignatureAlgorithm::MlDsa87 => 2592,
        };
        let malformed = KeyError::Malformed(algorithm);
        if raw.len() != expected {
            return Err(malformed);
        }
        let parsed = ParsedPublicKey::new(verification(algorithm), raw).map_err(|_| malformed)?;
        Ok(Self {
            algorithm,
            raw: raw.to_vec(),
            parsed,
        })
    }

    /// Reads a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// Malformed, or not a key of a supported algorithm.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let mut fields = der::Reader::new(der::only(spki, der::SEQUENCE)?);
        let identifier = fields.contents(der::SEQUENCE)?;
        let raw = der::whole_octets(fields.contents(der::BIT_STRING)?)?;
        fields.finish()?;
        let algorithm = SignatureAlgorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.key_algorithm() == identifier)
            .ok_or(KeyError::UnsupportedAlgorithm)?;
        Self::from_raw(algorithm, raw)
    }

    /// DER of the SubjectPublicKeyInfo.
    pub fn to_spki(&self) -> Vec<u8> {
        let identifier = der::element(der::SEQUENCE, &[self.algorithm.key_algorithm()]);
        der::element(der::SEQUENCE, &[&identifier, &der::bit_string(&self.raw)])
    }

    /// The key's algorithm.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The bare form, as [`Self::from_raw`] takes it.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl Verifier for PublicKey {
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Self::verifies(self, message, signature)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.raw == other.raw
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {} bytes)", self.algorithm, self.raw.len())
    }
}

/// A private key. Holds a secret: prints nothing, implements no `Debug`.
pub struct SecretKey {
    algorithm: SignatureAlgorithm,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
    MlDsa(PqdsaKeyPair),
}

impl SecretKey {
    /// A new key from the system's randomness.
    ///
    /// # Errors
    /// The library fails, e.g. for want of randomness.
    pub fn generate(algorithm: SignatureAlgorithm) -> Result<Self, KeyError> {
        let failed = |_| KeyError::Generation(algorithm);
        let pair = match Family::of(algorithm) {
            Family::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            Family::Ecdsa(signing) => Pair::Ecdsa(EcdsaKeyPair::generate(signing).map_err(failed)?),
            Family::MlDsa(signing) => Pair::MlDsa(PqdsaKeyPair::generate(signing).map_err(failed)?),
        };
        Ok(Self { algorithm, pair })
    }

    /// The ML-DSA key that follows from this seed (FIPS 204, section 3.6.3).
    ///
    /// # Errors
    /// Not an ML-DSA algorithm.
    pub fn from_seed(algorithm: SignatureAlgorithm, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let Family::MlDsa(signing) = Family::of(algorithm) else {
            return Err(KeyError::UnsupportedAlgorithm);
        };
        let pair =
            PqdsaKeyPair::from_seed(signing, seed).map_err(|_| KeyError::Malformed(algorithm))?;
        Ok(Self {
            algorithm,
            pair: Pair::MlDsa(pair),
        })
    }

    /// Reads a PKCS#8 document (DER).
    ///
    /// # Errors
    /// Not a private key of this algorithm.
    pub fn from_pkcs8(algorithm: SignatureAlgorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let rejected = |_| KeyError::Malformed(algorithm);
        let pair = match Family::of(algorithm) {
            Family::Ed25519 => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8).map_err(rejected)?),
            Family::Ecdsa(signing) => {
                Pair::Ecdsa(EcdsaKeyPair::from_pkcs8(signing, pkcs8).map_err(rejected)?)
            }
            Family::MlDsa(signing) => {
                Pair::MlDsa(PqdsaKeyPair::from_pkcs8(signing, pkcs8).map_err(rejected)?)
            }
        };
        Ok(Self { algorithm, pair })
    }

    /// The PKCS#8 document (DER), version 1. It is wiped when it is dropped.
    ///
    /// # Errors
    /// The library cannot encode the key.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let document = match &self.pair {
            Pair::Ed25519(pair) => pair.to_pkcs8v1(),
            Pair::Ecdsa(pair) => pair.to_pkcs8v1(),
            Pair::MlDsa(pair) => pair.to_pkcs8v1(),
        };
        let document = document.map_err(|_| KeyError::Malformed(self.algorithm))?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The key's algorithm.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The public key.
    ///
    /// # Errors
    /// The library holds a key that it does not take back.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_raw(
            self.algorithm,
            match &self.pair {
                Pair::Ed25519(pair) => pair.public_key().as_ref(),
                Pair::Ecdsa(pair) => pair.public_key().as_ref(),
                Pair::MlDsa(pair) => pair.public_key().as_ref(),
            },
        )
    }

    /// Signs `message`; ML-DSA hedged and with an empty context.
    ///
    /// # Errors
    /// The library fails, e.g. for want of randomness.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError::Signing(self.algorithm);
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
            Pair::Ecdsa(pair) => Ok(pair
                .sign(&SystemRandom::new(), message)
                .map_err(failed)?
                .as_ref()
                .to_vec()),
            Pair::MlDsa(pair) => {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                pair.sign(message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

impl Signer for SecretKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Self::sign(self, message)
    }
}

/// The three ways in which the library makes and signs with keys.
enum Family {
    Ed25519,
    Ecdsa(&'static EcdsaSigningAlgorithm),
    MlDsa(&'static PqdsaSigningAlgorithm),
}

impl Family {
    const fn of(algorithm: SignatureAlgorithm) -> Self {
        match algorithm {
            SignatureAlgorithm::Ed25519 => Self::Ed25519,
            SignatureAlgorithm::EcdsaP256 => Self::Ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
            SignatureAlgorithm::EcdsaP384 => Self::Ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
            SignatureAlgorithm::MlDsa44 => Self::MlDsa(&ML_DSA_44_SIGNING),
            SignatureAlgorithm::MlDsa65 => Self::MlDsa(&ML_DSA_65_SIGNING),
            SignatureAlgorithm::MlDsa87 => Self::MlDsa(&ML_DSA_87_SIGNING),
        }
    }
}
