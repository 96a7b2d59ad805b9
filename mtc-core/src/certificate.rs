//! Merkle Tree Certificates: building them from a logged entry and reading them in place (Section 6.2).
//!
//! ```text
//! Certificate
//!   tbsCertificate   version, serial = log number << 48 | index, id-alg-mtcProof, issuer = CA, validity, subject, SPKI, ...
//!   signatureAlgorithm = id-alg-mtcProof
//!   signatureValue = MTCProof
//!
//! struct { opaque cosigner_id<1..32>; opaque signature<0..2^16-1>; } Cosignature;
//! struct {
//!     MTCLogEntryExtension extensions<0..2^16-1>;
//!     uint48 start;
//!     uint48 end;
//!     opaque inclusion_proof<0..2^16-1>;        32-byte hashes
//!     Cosignature signatures<0..2^24-1>;        unique and ordered by cosigner_id
//! } MTCProof;
//! ```
//!
//! A *standalone* certificate carries cosignatures; a *landmark-relative* one carries none and proves inclusion in a
//! landmark's subtree.

mod issue;
mod read;

use thiserror::Error;

pub use self::issue::{CertificateFields, MtcProof, PreparedCertificate, ProofParts, with_proof};
pub use self::read::{Certificate, ParsedProof, is_mtc};
use crate::der::DerError;
use crate::entry::EntryError;
use crate::id::{IdError, TrustAnchorId};
use crate::tree::ProofError;
use crate::wire::WireError;

/// DER of the AlgorithmIdentifier `id-alg-mtcProof`, 1.3.6.1.5.5.7.6.67, without parameters.
const MTC_PROOF_ALGORITHM: &[u8] = &[0x30, 0x0a, 6, 8, 0x2b, 6, 1, 5, 5, 7, 6, 67];
/// DER of `[0] EXPLICIT Version` v3.
const VERSION_3: &[u8] = &[0xa0, 3, 2, 1, 2];

/// Why bytes are not a Merkle Tree Certificate, or one cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The certificate's ASN.1 is malformed.
    #[error("malformed certificate")]
    Der(#[from] DerError),
    /// The signature algorithm is another one.
    #[error("not a Merkle Tree Certificate: the signature algorithm is not id-alg-mtcProof")]
    NotMtc,
    /// The signature algorithm is one of the arc 1.3.6.1.4.1.44363.47.
    #[error(
        "a certificate of an early MTC experiment (arc 1.3.6.1.4.1.44363.47), which is not supported"
    )]
    Experimental,
    /// The version is not v3.
    #[error("certificate version is not v3")]
    Version,
    /// The serial number is not positive or exceeds 64 bits.
    #[error("serial number is not between 1 and 2^64 - 1")]
    SerialRange,
    /// The serial number, or an identifier, breaks its rule.
    #[error("invalid identifier")]
    Id(#[from] IdError),
    /// The MTCProof is malformed.
    #[error("malformed MTCProof")]
    Proof(#[from] WireError),
    /// The entry extensions are malformed or out of order.
    #[error("malformed entry extensions")]
    Extensions(#[from] EntryError),
    /// The proof's interval is not a valid subtree.
    #[error("the MTCProof's interval is not a valid subtree")]
    Subtree(#[from] ProofError),
    /// The inclusion proof is not a whole number of hashes.
    #[error("inclusion proof of {0} bytes is not a whole number of 32-byte hashes")]
    HashLength(usize),
    /// Cosignatures are not unique or not in order.
    #[error("cosignature of {0} is a duplicate or out of order")]
    CosignerOrder(TrustAnchorId),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosign::Cosignature;
    use crate::tree::Subtree;

    fn proof() -> MtcProof {
        let signature = |id: &str| Cosignature {
            cosigner_id: id.parse().expect("an ID"),
            signature: vec![5; 3],
        };
        MtcProof {
            extensions: vec![(1, vec![2])],
            subtree: Subtree::new(8, 13).expect("valid"),
            inclusion_proof: vec![[1; 32], [2; 32]],
            signatures: vec![signature("300"), signature("2")],
        }
    }

    #[test]
    fn proofs_round_trip_with_cosigners_in_order() {
        let encoded = proof().encode().unwrap();
        let parsed = ParsedProof::parse(&encoded).unwrap();
        assert_eq!(
            (parsed.subtree, parsed.inclusion_proof),
            (proof().subtree, &proof().inclusion_proof[..])
        );
        let cosigners: Vec<_> = parsed.signatures().map(|(id, _)| id.to_string()).collect();
        assert_eq!(cosigners, ["2", "300"]);
    }

    #[test]
    fn every_truncation_and_a_trailing_byte_are_rejected() {
        let mut encoded = proof().encode().unwrap();
        for end in 0..encoded.len() {
            assert!(ParsedProof::parse(&encoded[..end]).is_err(), "cut at {end}");
        }
        encoded.push(0);
        assert_eq!(
            ParsedProof::parse(&encoded),
            Err(CertificateError::Proof(WireError::TrailingBytes(1)))
        );
    }

    #[test]
    fn duplicate_and_unordered_cosigners_are_rejected() {
        let mut twice = proof();
        twice.signatures[1].cosigner_id = twice.signatures[0].cosigner_id;
        assert_eq!(
            twice.encode(),
            Err(CertificateError::CosignerOrder("300".parse().unwrap()))
        );
        // Two cosignatures of one-byte IDs: 01 xx 00 03 ...; swap the IDs on the wire.
        let mut ordered = proof();
        ordered.signatures[0].cosigner_id = "3".parse().unwrap();
        let mut encoded = ordered.encode().unwrap();
        let last = encoded.len();
        encoded.swap(last - 14 + 1, last - 7 + 1);
        assert_eq!(
            ParsedProof::parse(&encoded),
            Err(CertificateError::CosignerOrder("2".parse().unwrap()))
        );
        encoded[last - 7 + 1] = 3;
        assert_eq!(
            ParsedProof::parse(&encoded),
            Err(CertificateError::CosignerOrder("3".parse().unwrap()))
        );
    }

    #[test]
    fn a_proof_of_half_a_hash_is_rejected() {
        let mut encoded = vec![0, 0];
        encoded.extend([0; 12]);
        encoded.extend([0, 16]);
        encoded.extend([7; 16]);
        encoded.extend([0, 0, 0]);
        assert_eq!(
            ParsedProof::parse(&encoded),
            Err(CertificateError::HashLength(16))
        );
    }
}
