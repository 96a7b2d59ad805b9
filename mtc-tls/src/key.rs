//! Keys of NFs and of the X.509 baseline CAs, as files, certificates and rustls need them.
//!
//! ```text
//!  generate ─┐            ┌─> spki_der          into certificates and CSRs
//!            ├─> NfKey ───┼─> sign              CSRs, baseline certificates
//!  PKCS#8 ───┘            ├─> to_pkcs8, to_pem  a file with mode 0600
//!                         └─> tls_signing_key   CertificateVerify, by rustls
//! ```
//!
//! The cryptography is [`mtc_core::cosign`]'s, on aws-lc for all six algorithms, so that no variant is measured on
//! another backend than its rivals.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use mtc_core::cosign::SignatureAlgorithm as KeyAlgorithm;
use mtc_core::cosign::{self, SecretKey};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey;
use zeroize::Zeroizing;

use crate::pem;

/// Why a private key could not be made, read or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NfKeyError {
    /// The input is not a PKCS#8 key of one of the six algorithms, or its parts contradict each other.
    #[error("private key: not a PKCS#8 key of a known algorithm")]
    UnknownPkcs8,
    /// The PEM text holds no `PRIVATE KEY` section.
    #[error("private key: no PEM section PRIVATE KEY")]
    NoPemSection,
    /// The cryptographic library failed to generate, encode or sign.
    #[error("private key: the cryptographic library failed")]
    Backend(#[from] cosign::KeyError),
    /// rustls does not take the key for TLS.
    #[error("private key: {0} is not usable for TLS")]
    NotForTls(KeyAlgorithm),
}

/// A private key with its public key at hand. Holds a secret, hence no `Debug`.
pub struct NfKey {
    secret: SecretKey,
    spki: Vec<u8>,
}

impl NfKey {
    /// A new key from the operating system's randomness.
    ///
    /// # Errors
    /// [`NfKeyError::Backend`] if the library fails.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, NfKeyError> {
        Self::new(SecretKey::generate(algorithm)?)
    }

    /// Reads a PKCS#8 private key; its algorithm is found from its contents.
    ///
    /// # Errors
    /// [`NfKeyError::UnknownPkcs8`] if it is no key of the six algorithms.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, NfKeyError> {
        let secret = KeyAlgorithm::ALL
            .into_iter()
            .find_map(|algorithm| SecretKey::from_pkcs8(algorithm, der).ok())
            .ok_or(NfKeyError::UnknownPkcs8)?;
        Self::new(secret)
    }

    /// Reads the first `PRIVATE KEY` section of a PEM text.
    ///
    /// # Errors
    /// [`NfKeyError::NoPemSection`] or those of [`Self::from_pkcs8`].
    pub fn from_pem(text: &str) -> Result<Self, NfKeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| NfKeyError::NoPemSection)?;
        Self::from_pkcs8(der.secret_pkcs8_der())
    }

    fn new(secret: SecretKey) -> Result<Self, NfKeyError> {
        let spki = secret.public_key()?.to_spki();
        Ok(Self { secret, spki })
    }

    /// The bare private key, as cosigners use it.
    pub fn into_secret(self) -> SecretKey {
        self.secret
    }

    /// The key's algorithm.
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.secret.algorithm()
    }

    /// The public key as DER SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The private key as PKCS#8 (version 1; ML-DSA keys as their seed, RFC 9881), wiped when it is dropped.
    ///
    /// # Errors
    /// [`NfKeyError::Backend`] if the library fails; it does for an ML-DSA key that was read without its seed.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, NfKeyError> {
        Ok(self.secret.to_pkcs8()?)
    }

    /// [`Self::to_pkcs8`] as a PEM text.
    ///
    /// # Errors
    /// As [`Self::to_pkcs8`].
    pub fn to_pem(&self) -> Result<Zeroizing<String>, NfKeyError> {
        let text = pem::encode(pem::PRIVATE_KEY, &self.to_pkcs8()?);
        Ok(Zeroizing::new(text))
    }

    /// Signs `message`: ECDSA signatures are DER, the others raw.
    ///
    /// # Errors
    /// [`NfKeyError::Backend`] if the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, NfKeyError> {
        Ok(self.secret.sign(message)?)
    }

    /// The key as rustls uses it for CertificateVerify.
    ///
    /// # Errors
    /// [`NfKeyError::NotForTls`] if rustls does not take it, [`NfKeyError::Backend`] if it cannot be encoded.
    pub fn tls_signing_key(&self) -> Result<Arc<dyn SigningKey>, NfKeyError> {
        let pkcs8 = self.to_pkcs8()?;
        let der = PrivateKeyDer::Pkcs8(pkcs8.as_slice().into());
        any_supported_type(&der).map_err(|_| NfKeyError::NotForTls(self.algorithm()))
    }
}

/// How many CA certificates stand between root and leaf, all of which are sent with the leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Intermediates {
    /// The root issues leaves.
    None,
    /// The root's one intermediate does.
    One,
    /// An intermediate below the root's intermediate does.
    Two,
}

impl Intermediates {
    /// Every length of chain, the shortest first.
    pub const ALL: [Self; 3] = [Self::None, Self::One, Self::Two];

    /// Their number.
    pub const fn count(self) -> u8 {
        match self {
            Self::None => 0,
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// What a profile's name ends in.
    const fn suffix(self) -> &'static str {
        match self {
            Self::None => "-direct",
            Self::One => "-intermediate",
            Self::Two => "-two-intermediates",
        }
    }
}

/// How peers learn that an X.509 certificate was revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum X509Revocation {
    /// Not at all.
    #[default]
    None,
    /// By the CRLs of the CAs.
    Crl,
    /// Servers' by the OCSP response that they staple, clients', which rustls staples nothing to, by the CRLs of the CAs.
    OcspStapled,
}

impl X509Revocation {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::None, Self::Crl, Self::OcspStapled];

    /// The name in scenarios and results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Crl => "crl",
            Self::OcspStapled => "ocsp-stapled",
        }
    }

    /// What a profile's name ends in.
    const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Crl => "-crl",
            Self::OcspStapled => "-ocsp",
        }
    }
}

/// One X.509 baseline: how its CAs sign, how many intermediates stand between root and leaf, and how its certificates are revoked.
///
/// Every profile has a root of its own, so that the root's name, shown by a peer as trust anchor, selects the chain and what is
/// asked of it. Written as text, and used as a folder name: `ml-dsa-65-direct`, `ml-dsa-65-intermediate`,
/// `ml-dsa-65-two-intermediates`, each also with `-crl` or `-ocsp` at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct X509Profile {
    /// Algorithm of the root's key and of every intermediate's.
    pub ca_signature: KeyAlgorithm,
    /// What stands between root and leaf.
    pub intermediates: Intermediates,
    /// How peers learn that a certificate was revoked.
    pub revocation: X509Revocation,
}

impl fmt::Display for X509Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (chain, revocation) = (self.intermediates.suffix(), self.revocation.suffix());
        write!(f, "{}{chain}{revocation}", self.ca_signature)
    }
}

/// The text names no X.509 profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownX509Profile {
    /// None of the endings is there.
    #[error(
        "X.509 profile {0:?} does not end in -direct, -intermediate or -two-intermediates, with -crl or -ocsp behind it or not"
    )]
    Chain(String),
    /// What stands before the ending is no key algorithm.
    #[error("X.509 profile {profile:?} names an unknown CA signature algorithm")]
    CaSignature {
        /// The whole text.
        profile: String,
        /// What is wrong with its first part.
        source: cosign::KeyError,
    },
}

impl FromStr for X509Profile {
    type Err = UnknownX509Profile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let checked = [X509Revocation::Crl, X509Revocation::OcspStapled]
            .into_iter()
            .find_map(|way| Some((text.strip_suffix(way.suffix())?, way)));
        let (chain, revocation) = checked.unwrap_or((text, X509Revocation::None));
        let (algorithm, intermediates) = Intermediates::ALL
            .into_iter()
            .find_map(|kind| Some((chain.strip_suffix(kind.suffix())?, kind)))
            .ok_or_else(|| UnknownX509Profile::Chain(text.to_owned()))?;
        let ca_signature = algorithm
            .parse()
            .map_err(|source| UnknownX509Profile::CaSignature {
                profile: text.to_owned(),
                source,
            })?;
        Ok(Self {
            ca_signature,
            intermediates,
            revocation,
        })
    }
}

#[cfg(test)]
mod tests {
    use mtc_core::cosign::PublicKey;

    use super::*;

    #[test]
    fn every_algorithm_survives_pkcs8_and_pem_and_signs() {
        for algorithm in KeyAlgorithm::ALL {
            let key = NfKey::generate(algorithm).unwrap();
            let read = NfKey::from_pem(&key.to_pem().unwrap()).unwrap();
            assert_eq!(read.algorithm(), algorithm);
            assert_eq!(read.spki_der(), key.spki_der());

            let public = PublicKey::from_spki(key.spki_der()).unwrap();
            assert!(
                public.verifies(b"message", &read.sign(b"message").unwrap()),
                "{algorithm}"
            );
        }
    }

    #[test]
    fn rustls_takes_every_algorithm() {
        for algorithm in KeyAlgorithm::ALL {
            let key = NfKey::generate(algorithm).unwrap();
            let signing_key = key.tls_signing_key().unwrap();
            assert_eq!(
                signing_key.public_key().unwrap().as_ref(),
                key.spki_der(),
                "{algorithm}"
            );
        }
    }

    #[test]
    fn rejects_what_is_no_pkcs8_key() {
        let mut der = NfKey::generate(KeyAlgorithm::Ed25519)
            .unwrap()
            .to_pkcs8()
            .unwrap();
        der.pop();
        assert_eq!(
            NfKey::from_pkcs8(&der).err(),
            Some(NfKeyError::UnknownPkcs8)
        );
        assert_eq!(
            NfKey::from_pem("no key").err(),
            Some(NfKeyError::NoPemSection)
        );
    }

    #[test]
    fn names_of_profiles_round_trip() {
        for ca_signature in KeyAlgorithm::ALL {
            for intermediates in Intermediates::ALL {
                for revocation in X509Revocation::ALL {
                    let profile = X509Profile {
                        ca_signature,
                        intermediates,
                        revocation,
                    };
                    assert_eq!(profile.to_string().parse(), Ok(profile));
                }
            }
        }
        assert_eq!(
            "ed25519".parse::<X509Profile>(),
            Err(UnknownX509Profile::Chain("ed25519".to_owned()))
        );
        assert!(matches!(
            "rsa-direct".parse::<X509Profile>(),
            Err(UnknownX509Profile::CaSignature { .. })
        ));
    }
}
