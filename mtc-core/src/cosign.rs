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
//! Which crypto library does what is decided here, behind [`Signer`] and [`Verifier`], by measurement
//! (`docs/performance.md`): aws-lc for every algorithm, three to four times as fast as pure Rust with ML-DSA, so that a
//! cosignature is checked by the same code as the signature of a directly-signed certificate; the `ml-dsa` crate where a
//! signature must be the same every time, or no C can be had (module `pure`, feature `ml-dsa`).

mod algorithm;
#[cfg(feature = "std")]
mod key;
#[cfg(feature = "ml-dsa")]
pub mod pure;

use alloc::vec::Vec;

pub use self::algorithm::{KeyError, SignatureAlgorithm};
#[cfg(feature = "std")]
pub use self::key::{PublicKey, SecretKey};
use crate::id::{LogId, TrustAnchorId};
use crate::time::UnixTime;
use crate::tree::{Hash, Subtree};

const LABEL: &[u8; 12] = b"subtree/v1\n\0";

/// A private key of some implementation.
pub trait Signer {
    /// Signs `message`; ML-DSA with an empty context.
    ///
    /// # Errors
    /// The implementation fails, e.g. for want of randomness.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// A public key of some implementation.
pub trait Verifier {
    /// Whether `signature` is this key's over `message`.
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool;
}

/// Who signs views of logs: the CA itself, a witness or a mirror.
#[cfg(feature = "std")]
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
        put_name(&mut out, self.cosigner);
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
        put_name(&mut out, self.log.id());
        out.extend_from_slice(&self.subtree.start().to_be_bytes());
        out.extend_from_slice(&self.subtree.end().to_be_bytes());
        out.extend_from_slice(self.hash);
        out
    }

    /// Signs the message with the cosigner's key.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn sign(&self, key: &impl Signer) -> Result<Cosignature, KeyError> {
        Ok(Cosignature {
            cosigner_id: *self.cosigner,
            signature: key.sign(&self.encode())?,
        })
    }
}

/// `opaque name<1..2^8-1>`. A trust anchor ID of 32 bytes has at most 4 + 16 + 32 * 4 characters: the length always fits.
fn put_name(out: &mut Vec<u8>, id: &TrustAnchorId) {
    let length = out.len();
    out.push(0);
    id.put_signed_text_name(out);
    out[length] = u8::try_from(out.len() - length - 1).unwrap_or(u8::MAX);
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use crate::der;
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
