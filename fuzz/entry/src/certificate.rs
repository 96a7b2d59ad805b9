//! Certificates: reading, the statement that is hashed, verification.
//!
//! - What parses says that it is an MTC, and `with_proof` with its own proof gives the same bytes.
//! - `leaf_hash` is the hash of `log_entry`, encoded; that decodes to itself.
//! - Verification gives the verdict of a second one, made of the parts and the oracle, whether the subtree's hash is trusted
//!   or another is.
//! - The relying party of the fixture accepts only TBSCertificates that its CA has issued, byte for byte.
//! - Another one, which remembers verified subtrees of all inputs before, accepts what the first one accepts, and of the rest
//!   only other ways to say what it has accepted before.

use mtc_core::certificate::{Certificate, MtcProof, is_mtc, with_proof};
use mtc_core::cosign::Cosignature;
use mtc_core::der;
use mtc_core::entry::{EntryError, MtcLogEntry};
use mtc_core::tree::{Hash, leaf_hash};
use mtc_core::verify::{Accepted, Basis, Rejection, TrustedSubtree};

use crate::fixture::{self, PKI};
use crate::{Verdict, oracle};

/// Reads and verifies a certificate.
///
/// # Panics
/// An invariant does not hold.
pub fn certificate(data: &[u8]) -> Verdict {
    let accepted = PKI.trust.verify_issuance(data);
    let remembered = PKI.remembering.verify_issuance(data);
    let Ok(parsed) = Certificate::parse(data) else {
        assert!(
            accepted.is_err() && remembered.is_err(),
            "accepted without being read"
        );
        return Verdict::Refused;
    };
    assert!(is_mtc(data));
    let entry = parsed.log_entry().expect("parsed");
    assert_eq!(
        with_proof(data, &proof_of(&parsed, &entry)).as_deref(),
        Ok(data)
    );
    check_leaf_hash(&parsed, &entry);
    check_trusted_subtree(data, &parsed);
    for accepted in accepted.iter().chain(&remembered) {
        check_was_issued(data, accepted);
    }
    match (&accepted, remembered) {
        (Ok(_), remembered) => assert!(remembered.is_ok(), "remembering rejects"),
        (Err(Rejection::Policy(_)), Ok(remembered)) => {
            assert_eq!(remembered.basis, Basis::VerifiedSubtree);
        }
        (Err(rejection), remembered) => assert_eq!(remembered.as_ref(), Err(rejection)),
    }
    Verdict::of(accepted.is_ok())
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    PKI.acceptable()
}

fn proof_of(parsed: &Certificate<'_>, entry: &MtcLogEntry) -> MtcProof {
    let signatures = parsed.proof.signatures();
    MtcProof {
        extensions: entry.extensions.clone(),
        subtree: parsed.proof.subtree,
        inclusion_proof: parsed.proof.inclusion_proof.to_vec(),
        signatures: signatures
            .map(|(cosigner_id, signature)| Cosignature {
                cosigner_id,
                signature: signature.to_vec(),
            })
            .collect(),
    }
}

fn check_leaf_hash(parsed: &Certificate<'_>, entry: &MtcLogEntry) {
    match entry.encode() {
        Ok(encoded) => {
            assert_eq!(parsed.leaf_hash(), leaf_hash(&encoded));
            assert_eq!(MtcLogEntry::decode(&encoded).as_ref(), Ok(entry));
        }
        Err(error) => assert!(matches!(error, EntryError::TooLong(_)), "{error}"),
    }
}

/// With the hash that the proof leads to trusted, the verdict depends on issuer, serial number and the proof's length alone;
/// with another one trusted there is no way to be accepted.
fn check_trusted_subtree(data: &[u8], parsed: &Certificate<'_>) {
    let Ok((log_number, index)) = parsed.entry() else {
        assert!(
            PKI.trust.verify_issuance(data).is_err(),
            "accepted without a log"
        );
        return;
    };
    let subtree = parsed.proof.subtree;
    let hash = subtree
        .contains(index)
        .then(|| {
            oracle::inclusion(
                index.0 - subtree.start(),
                subtree.len(),
                parsed.leaf_hash(),
                parsed.proof.inclusion_proof,
            )
        })
        .flatten();
    let verify = |hash: Hash| {
        let trusted = TrustedSubtree {
            log_number,
            subtree,
            hash,
        };
        PKI.trust
            .with_trusted_subtrees([trusted])
            .verify_issuance(data)
    };
    let issuer_is_known = parsed.issuer == PKI.ca_certificate.cosigner.id.to_name();
    let serials = PKI.ca_certificate.min_serial..=PKI.ca_certificate.max_serial;
    let serial_is_good =
        serials.contains(&parsed.serial) && parsed.serial != fixture::revoked_serial();
    let Some(hash) = hash else {
        assert!(
            verify([0; 32]).is_err(),
            "accepted with a proof that is none"
        );
        return;
    };
    let verdict = verify(hash);
    if issuer_is_known && serial_is_good {
        let expected = Accepted {
            basis: Basis::TrustedSubtree,
            log_number,
            index,
            subtree,
        };
        assert_eq!(verdict, Ok(expected));
        let mut other = hash;
        other[31] ^= 1;
        assert_eq!(
            verify(other),
            Err(Rejection::TrustedSubtreeMismatch(subtree))
        );
    } else {
        assert!(verdict.is_err(), "issuer or serial number went unnoticed");
    }
}

/// Whatever else was changed, the statement is one that the CA has made about this entry.
fn check_was_issued(data: &[u8], accepted: &Accepted) {
    let issued = usize::try_from(accepted.index.0)
        .ok()
        .and_then(|index| PKI.issued.get(index))
        .expect("an index that was issued");
    assert_eq!(accepted.log_number.get(), 1);
    assert_eq!(tbs_certificate(data), tbs_certificate(&issued.standalone));
}

fn tbs_certificate(certificate: &[u8]) -> &[u8] {
    let contents = der::only(certificate, der::SEQUENCE).expect("parsed before");
    let mut fields = der::Reader::new(contents);
    fields.expect(der::SEQUENCE).expect("parsed before").whole
}
