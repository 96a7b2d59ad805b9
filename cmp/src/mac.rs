//! Protection by a shared secret: PBMAC1 (RFC 8018 and RFC 9810 section 5.1.3.1) and the older password-based MAC.
//!
//! ```text
//! PBMParameter  ::= SEQUENCE { salt OCTET STRING, owf AlgorithmIdentifier, iterationCount INTEGER, mac AlgorithmIdentifier }
//! PBMAC1-params ::= SEQUENCE { keyDerivationFunc AlgorithmIdentifier {PBKDF2}, messageAuthScheme AlgorithmIdentifier }
//! PBKDF2-params ::= SEQUENCE { salt OCTET STRING, iterationCount INTEGER, keyLength INTEGER OPTIONAL,
//!                              prf AlgorithmIdentifier DEFAULT hmacWithSHA1 }
//! ```
//!
//! Whoever sends a message chooses how long its key takes to derive; hence [`MAX_ITERATIONS`].
//!
//! HMAC with SHA-1 is taken as MAC and in PBKDF2, where collisions do not matter (RFC 9481 section 6): it is what clients send that are
//! told nothing else. As one-way function SHA-1 is refused.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use mtc_core::der::{self, DerError, Reader};

use crate::algorithm::Algorithm;
use crate::oid;

/// Most iterations: some 30 ms. Secrets here are of 256 random bits, so that none would do.
pub const MAX_ITERATIONS: u64 = 100_000;
/// Octets of a salt.
const MAX_SALT: usize = 128;
/// Octets of a derived key.
const MAX_KEY: usize = 64;

/// Why no MAC can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MacError {
    /// `protectionAlg` is no MAC.
    #[error("protectionAlg is neither PBMAC1 nor password-based MAC")]
    NoMac,
    /// The parameters are not what they should be.
    #[error("parameters of protectionAlg are malformed")]
    Malformed(#[from] DerError),
    /// An algorithm among the parameters is not known, or not allowed.
    #[error("{0} of protectionAlg is not SHA-256, SHA-384 or SHA-512, or HMAC with one of them")]
    Algorithm(&'static str),
    /// Salt, iterations or length of key.
    #[error(
        "{0} of protectionAlg is out of bounds; at most {MAX_ITERATIONS} iterations, a salt of {MAX_SALT} and a key of {MAX_KEY} octets"
    )]
    Bound(&'static str),
}

/// A key derived from a shared secret, as a message asks for it.
pub struct Mac {
    key: hmac::Key,
    identifier: Vec<u8>,
}

impl Mac {
    /// Whether an algorithm is of this kind.
    pub fn is_named_by(algorithm: &Algorithm<'_>) -> bool {
        [oid::PASSWORD_BASED_MAC, oid::PBMAC1].contains(&algorithm.oid)
    }

    /// Derives the key, as the DER of an AlgorithmIdentifier asks for it. Takes as long as the iterations take, so not for a thread that
    /// others wait for.
    ///
    /// # Errors
    /// See [`MacError`].
    pub fn of(identifier: &[u8], secret: &[u8]) -> Result<Self, MacError> {
        let mut reader = Reader::new(identifier);
        let algorithm = Algorithm::read(&mut reader)?;
        reader.finish()?;
        let key = match algorithm.oid {
            oid::PASSWORD_BASED_MAC => password_based(algorithm.parameters, secret)?,
            oid::PBMAC1 => pbmac1(algorithm.parameters, secret)?,
            _ => return Err(MacError::NoMac),
        };
        Ok(Self {
            key,
            identifier: identifier.to_vec(),
        })
    }

    /// DER of the AlgorithmIdentifier, for an answer that is protected alike.
    pub(crate) fn identifier(&self) -> &[u8] {
        &self.identifier
    }

    pub(crate) fn verifies(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.key, message, tag).is_ok()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.key, message).as_ref().to_vec()
    }
}

/// The key of a password-based MAC: the one-way function, so often, over secret and salt.
fn password_based(parameters: &[u8], secret: &[u8]) -> Result<hmac::Key, MacError> {
    let mut fields = Reader::new(der::only(parameters, der::SEQUENCE)?);
    let salt = salt(&mut fields)?;
    let one_way = match Algorithm::read(&mut fields)?.oid {
        oid::SHA256 => &digest::SHA256,
        oid::SHA384 => &digest::SHA384,
        oid::SHA512 => &digest::SHA512,
        _ => return Err(MacError::Algorithm("owf")),
    };
    let iterations = iterations(&mut fields)?;
    let mac = hmac_of(Algorithm::read(&mut fields)?.oid, "mac")?;
    fields.finish()?;
    let mut context = digest::Context::new(one_way);
    context.update(secret);
    context.update(salt);
    let mut key = context.finish();
    for _ in 1..iterations.get() {
        key = digest::digest(one_way, key.as_ref());
    }
    Ok(hmac::Key::new(mac, key.as_ref()))
}

fn pbmac1(parameters: &[u8], secret: &[u8]) -> Result<hmac::Key, MacError> {
    let mut fields = Reader::new(der::only(parameters, der::SEQUENCE)?);
    let derivation = Algorithm::read(&mut fields)?;
    let mac = hmac_of(Algorithm::read(&mut fields)?.oid, "messageAuthScheme")?;
    fields.finish()?;
    if derivation.oid != oid::PBKDF2 {
        return Err(MacError::Algorithm("keyDerivationFunc"));
    }
    let mut fields = Reader::new(der::only(derivation.parameters, der::SEQUENCE)?);
    let salt = salt(&mut fields)?;
    let iterations = iterations(&mut fields)?;
    let length = match fields.optional(der::INTEGER)? {
        Some(length) => usize::try_from(der::unsigned(length.contents)?).ok(),
        None => Some(mac.digest_algorithm().output_len()),
    };
    let length = length.filter(|length| (1..=MAX_KEY).contains(length));
    let length = length.ok_or(MacError::Bound("keyLength"))?;
    let pseudorandom = if fields.is_empty() {
        oid::HMAC_WITH_SHA1
    } else {
        Algorithm::read(&mut fields)?.oid
    };
    fields.finish()?;
    let pseudorandom = match pseudorandom {
        oid::HMAC_WITH_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
        oid::HMAC_WITH_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
        oid::HMAC_WITH_SHA384 => pbkdf2::PBKDF2_HMAC_SHA384,
        oid::HMAC_WITH_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return Err(MacError::Algorithm("prf")),
    };
    let mut key = [0; MAX_KEY];
    pbkdf2::derive(pseudorandom, iterations, salt, secret, &mut key[..length]);
    Ok(hmac::Key::new(mac, &key[..length]))
}

fn salt<'a>(fields: &mut Reader<'a>) -> Result<&'a [u8], MacError> {
    let salt = fields.contents(der::OCTET_STRING)?;
    Some(salt)
        .filter(|salt| salt.len() <= MAX_SALT)
        .ok_or(MacError::Bound("salt"))
}

fn iterations(fields: &mut Reader<'_>) -> Result<NonZeroU32, MacError> {
    let count = der::unsigned(fields.contents(der::INTEGER)?)?;
    let count = Some(count).filter(|count| *count <= MAX_ITERATIONS);
    count
        .and_then(|count| u32::try_from(count).ok())
        .and_then(NonZeroU32::new)
        .ok_or(MacError::Bound("iterationCount"))
}

fn hmac_of(named: &[u8], field: &'static str) -> Result<hmac::Algorithm, MacError> {
    match named {
        oid::HMAC_SHA1 | oid::HMAC_WITH_SHA1 => Ok(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        oid::HMAC_WITH_SHA256 => Ok(hmac::HMAC_SHA256),
        oid::HMAC_WITH_SHA384 => Ok(hmac::HMAC_SHA384),
        oid::HMAC_WITH_SHA512 => Ok(hmac::HMAC_SHA512),
        _ => Err(MacError::Algorithm(field)),
    }
}
