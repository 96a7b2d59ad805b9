//! What nobody knows, sent so that peers show that they pass it over (as RFC 8701 has it for TLS' own numbers).
//!
//! ```text
//! certificate, standalone or landmark-relative    a cosignature before all others: an ID of 3 bytes, 64 bytes that no key has made
//! ClientHello, CertificateRequest                 a trust anchor ID of 3 bytes before all others
//! ```
//!
//! Such an ID is one number from 2^20 to 2^21 - 1, which would be an enterprise's; IANA's registry is far from numbers as large. Which one
//! follows from the certificate that a party has, so a peer that knew one by heart would not know the next.
//!
//! Revision -07 of the draft has relying parties ignore cosigners that they do not know (Section 7.2), and says that landmark-relative
//! certificates carry none. A change to the draft that is under way lets both kinds carry some that nobody knows, for this purpose; its IDs
//! and lengths are not settled, these are this project's.

use mtc_core::certificate::{self, Certificate, MtcProof};
use mtc_core::cosign::Cosignature;
use mtc_core::id::TrustAnchorId;
use mtc_core::tree::leaf_hash;

/// Bit that makes an ID's only number larger than those of enterprises.
const UNASSIGNED: u32 = 1 << 20;

/// A trust anchor ID that nobody has.
pub(crate) fn id(seed: &[u8]) -> TrustAnchorId {
    let [a, b, c, ..] = leaf_hash(seed);
    let number = UNASSIGNED | (u32::from_be_bytes([0, a, b, c]) & (UNASSIGNED - 1));
    let id = number.to_string().parse();
    id.expect("a number is a trust anchor ID")
}

/// A Merkle Tree Certificate with a cosignature of nobody beside its own; none if it cannot be read.
pub(crate) fn certificate(leaf: &[u8]) -> Option<Vec<u8>> {
    let parsed = Certificate::parse(leaf).ok()?;
    let mut proof = MtcProof::from(parsed.proof);
    let hash = parsed.leaf_hash();
    proof.signatures.push(Cosignature {
        cosigner_id: id(leaf),
        signature: [hash, hash].concat(),
    });
    certificate::with_proof(leaf, &proof).ok()
}
