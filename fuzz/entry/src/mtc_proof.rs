//! MTCProof: what is accepted is encoded to the bytes that were read, and keeps the rules of Section 6.2.

use mtc_core::certificate::{MtcProof, ParsedProof};
use mtc_core::cosign::Cosignature;
use mtc_core::der;
use mtc_core::wire::{Reader, WireError};

use crate::fixture::PKI;
use crate::{Verdict, oracle};

/// Reads an MTCProof.
///
/// # Panics
/// An invariant does not hold.
pub fn mtc_proof(data: &[u8]) -> Verdict {
    let Ok(parsed) = ParsedProof::parse(data) else {
        return Verdict::Refused;
    };
    assert!(oracle::is_subtree(
        parsed.subtree.start(),
        parsed.subtree.end()
    ));
    let signatures: Vec<Cosignature> = parsed
        .signatures()
        .map(|(cosigner_id, signature)| Cosignature {
            cosigner_id,
            signature: signature.to_vec(),
        })
        .collect();
    assert_eq!(parsed.is_unsigned(), signatures.is_empty());
    for pair in signatures.windows(2) {
        let key = |cosignature: &Cosignature| {
            let id = cosignature.cosigner_id.as_bytes();
            (id.len(), id.to_vec())
        };
        assert!(key(&pair[0]) < key(&pair[1]), "cosigners out of order");
    }
    let extensions = extensions(data).expect("parsed");
    assert!(
        extensions.is_sorted_by(|one, next| one.0 < next.0),
        "extensions out of order"
    );
    let proof = MtcProof {
        extensions,
        subtree: parsed.subtree,
        inclusion_proof: parsed.inclusion_proof.to_vec(),
        signatures,
    };
    assert_eq!(proof.encode().as_deref(), Ok(data));
    Verdict::Accepted
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    PKI.acceptable()
        .iter()
        .map(|certificate| proof_octets(certificate).expect("a certificate").to_vec())
        .collect()
}

fn proof_octets(certificate: &[u8]) -> Result<&[u8], der::DerError> {
    let mut fields = der::Reader::new(der::only(certificate, der::SEQUENCE)?);
    fields.expect(der::SEQUENCE)?;
    fields.expect(der::SEQUENCE)?;
    der::whole_octets(fields.contents(der::BIT_STRING)?)
}

/// The entry extensions at the beginning of a proof.
fn extensions(proof: &[u8]) -> Result<Vec<(u16, Vec<u8>)>, WireError> {
    let mut reader = Reader::new(Reader::new(proof).vector(2)?);
    let mut extensions = Vec::new();
    while !reader.is_empty() {
        extensions.push((reader.uint16()?, reader.vector(2)?.to_vec()));
    }
    Ok(extensions)
}
