//! Cosignatures over subtrees and checkpoints (Section 5.3), and the keys that make and check them.
//!
//! ```text
//! struct {
//!     uint8 label[12] = "subtree/v1\n\0";
//!     opaque cosigner_name<1..2^8-1>;      oid/1.3.6.1.4.1.<cosigner id>
//!     uint64 timestamp;                    0 in certificates
//!     opaque log_origin<1..2^8-1>;         oid/1.3.6.1.4.1.<log id>
//!     uint64 start;
//!     uint64 end;
//!     uint8 subtree_hash[32];
//! } CosignedMessage;
//! ```
//!
//! Which crypto library does what is decided here: aws-lc for every algorithm, so that a cosignature is checked by the
//! same code as the signature of a directly-signed certificate.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    KeyPair, ML_DSA_44, ML_DSA_44_SIGNING, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87,
    ML_DSA_87_SIGNING, ParsedPublicKey, PqdsaKeyPair, PqdsaSigningAlgorithm, VerificationAlgorithm,
};
use thiserror::Error;

use crate::der;
use crate::id::{LogId, TrustAnchorId};
use crate::time::UnixTime;
use crate::tree::{Hash, Subtree};

const LABEL: &[u8; 12] = b"subtree/v1\n\0";

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
    const fn key_algorithm(self) -> &'static [u8] {
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

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Ed25519 => &ED25519,
            Self::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
            Self::EcdsaP384 => &ECDSA_P384_SHA384_ASN1,
            Self::MlDsa44 => &ML_DSA_44,
            Self::MlDsa65 => &ML_DSA_65,
            Self::MlDsa87 => &ML_DSA_87,
        }
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
        let parsed = ParsedPublicKey::new(algorithm.verification(), raw).map_err(|_| malformed)?;
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

    /// The PKCS#8 document (DER), version 1.
    ///
    /// # Errors
    /// The library cannot encode the key.
    pub fn to_pkcs8(&self) -> Result<Vec<u8>, KeyError> {
        let document = match &self.pair {
            Pair::Ed25519(pair) => pair.to_pkcs8v1(),
            Pair::Ecdsa(pair) => pair.to_pkcs8v1(),
            Pair::MlDsa(pair) => pair.to_pkcs8v1(),
        };
        Ok(document
            .map_err(|_| KeyError::Malformed(self.algorithm))?
            .as_ref()
            .to_vec())
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

/// Who signs views of logs: the CA itself, a witness or a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigner {
    /// The cosigner's ID; the CA cosigner's is the CA's.
    pub id: TrustAnchorId,
    /// The key that its cosignatures verify with.
    pub key: PublicKey,
}

/// A cosigner's signature on a view of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// Who signed.
    pub cosigner_id: TrustAnchorId,
    /// The signature, in its algorithm's usual form.
    pub signature: Vec<u8>,
}

/// What a cosigner signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CosignedMessage<'a> {
    /// Who signs.
    pub cosigner: &'a TrustAnchorId,
    /// Whose log.
    pub log: &'a LogId,
    /// 0 in certificates; the time of signing for a checkpoint.
    pub timestamp: UnixTime,
    /// The subtree; `[0, size)` for a checkpoint.
    pub subtree: Subtree,
    /// The subtree's hash.
    pub hash: &'a Hash,
}

impl CosignedMessage<'_> {
    /// The bytes to sign.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        out.extend_from_slice(LABEL);
        put_name(&mut out, &self.cosigner.signed_text_name());
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
        put_name(&mut out, &self.log.origin());
        out.extend_from_slice(&self.subtree.start().to_be_bytes());
        out.extend_from_slice(&self.subtree.end().to_be_bytes());
        out.extend_from_slice(self.hash);
        out
    }

    /// Signs the message with the cosigner's key.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn sign(&self, key: &SecretKey) -> Result<Cosignature, KeyError> {
        Ok(Cosignature {
            cosigner_id: *self.cosigner,
            signature: key.sign(&self.encode())?,
        })
    }
}

/// A trust anchor ID of 32 bytes has at most 4 + 16 + 32 * 4 characters: the 8-bit length always fits.
fn put_name(out: &mut Vec<u8>, name: &str) {
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LogNumber;

    #[test]
    fn every_algorithm_signs_and_rejects_damage() {
        for algorithm in SignatureAlgorithm::ALL {
            let secret = SecretKey::generate(algorithm).unwrap();
            let secret = SecretKey::from_pkcs8(algorithm, &secret.to_pkcs8().unwrap()).unwrap();
            let public = PublicKey::from_spki(&secret.public_key().unwrap().to_spki()).unwrap();
            let mut signature = secret.sign(b"message").unwrap();
            assert!(public.verifies(b"message", &signature), "{algorithm}");
            assert!(!public.verifies(b"massage", &signature), "{algorithm}");
            signature[20] ^= 1;
            assert!(!public.verifies(b"message", &signature), "{algorithm}");
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
        }
    }

    #[test]
    fn the_message_is_laid_out_as_the_draft_says() {
        let ca: TrustAnchorId = "32473.1".parse().unwrap();
        let log = LogId::new(ca, LogNumber::FIRST).unwrap();
        let message = CosignedMessage {
            cosigner: &ca,
            log: &log,
            timestamp: UnixTime(5),
            subtree: Subtree::new(8, 13).unwrap(),
            hash: &[0xab; 32],
        };
        let mut expected = b"subtree/v1\n\0\x17oid/1.3.6.1.4.1.32473.1".to_vec();
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 5, 0x1b]);
        expected.extend_from_slice(b"oid/1.3.6.1.4.1.32473.1.0.1");
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 13]);
        expected.extend_from_slice(&[0xab; 32]);
        assert_eq!(message.encode(), expected);
    }

    #[test]
    fn the_longest_names_fit_their_length_byte() {
        let longest = TrustAnchorId::from_bytes(&[0xff, 0xff, 0xff, 0x7f].repeat(8)).unwrap();
        assert!(longest.signed_text_name().len() < 256);
        let shortest_arcs = TrustAnchorId::from_bytes(&[0x7f; 32]).unwrap();
        assert!(shortest_arcs.signed_text_name().len() < 256);
    }

    #[test]
    fn keys_of_a_wrong_length_or_form_are_rejected() {
        for algorithm in SignatureAlgorithm::ALL {
            assert!(
                PublicKey::from_raw(algorithm, &[4; 31]).is_err(),
                "{algorithm}"
            );
        }
        assert_eq!(
            PublicKey::from_spki(&[0x30, 0]),
            Err(KeyError::Der(der::DerError::Truncated))
        );
    }
}
