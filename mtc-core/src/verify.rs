//! The relying party (Section 7): is this certificate the CA's, and logged where others can see it?
//!
//! ```text
//! parse ─> issuer ─> serial: log, index, revoked? ─> entry hash ─> inclusion proof ─> subtree hash
//!                                                                                        │
//!                          trusted subtree [start, end) of that log? ── yes ─> equal hash accepts, another rejects
//!                                                                    └─ no ──> verified before, and remembered? accepts
//!                                                                    └─ no ──> cosigner policy: CA and k of n witnesses
//! ```
//!
//! That is [`CaTrust::verify_issuance`], and it says nothing of validity, names and usage. [`RelyingParty::verify_for`] asks
//! for those as well and is what most programs want; `mtc-tls` adds what TLS knows of its peer.

mod observer;
mod policy;
mod relying_party;
mod remembered;
mod revoked;
mod trust;
mod trusted_subtree;

use thiserror::Error;

pub use self::observer::{Observer, VerificationStep};
pub use self::policy::{CosignerGroup, Policy, PolicyError};
pub use self::relying_party::{RelyingParty, Unacceptable};
pub use self::revoked::{RevokedRange, RevokedRanges};
pub use self::trust::CaTrust;
pub use self::trusted_subtree::TrustedSubtree;
use crate::certificate::{Certificate, CertificateError, ParsedProof};
use crate::cosign::CosignedMessage;
use crate::id::{EntryIndex, IdError, LogId, LogNumber, TrustAnchorId};
use crate::time::UnixTime;
use crate::tree::{Hash, ProofError, Subtree, evaluate_inclusion};

/// What made a certificate acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// Its subtree is trusted: no signature was looked at.
    TrustedSubtree,
    /// Cosignatures on its subtree satisfied the policy before: no signature was looked at
    /// ([`CaTrust::remembering`]).
    VerifiedSubtree,
    /// Its cosignatures satisfy the policy.
    Cosignatures,
}

/// A certificate that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Why.
    pub basis: Basis,
    /// The log that holds its entry.
    pub log_number: LogNumber,
    /// The index of its entry.
    pub index: EntryIndex,
    /// The subtree in which inclusion was proven.
    pub subtree: Subtree,
}

/// Why a certificate is rejected: the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Rejection {
    /// It is not a well-formed MTC.
    #[error("malformed certificate")]
    Malformed(#[from] CertificateError),
    /// Its issuer is not the trusted CA.
    #[error("the issuer is not {0}")]
    UnknownIssuer(TrustAnchorId),
    /// Its serial number names no log.
    #[error("the serial number names no log")]
    Serial(#[from] IdError),
    /// Its serial number is outside the range that the CA's certificate allows.
    #[error("serial number {serial} is outside the CA's range, {first} to {last}")]
    OutsideRange {
        /// The serial number.
        serial: u64,
        /// The first that is allowed.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Its serial number is revoked.
    #[error("serial number {0} is revoked")]
    Revoked(u64),
    /// Its inclusion proof does not fit its index and subtree.
    #[error("inclusion proof does not fit")]
    Inclusion(#[from] ProofError),
    /// The proof leads to another hash than the trusted one.
    #[error("the proof leads to another hash than that of the trusted subtree {0}")]
    TrustedSubtreeMismatch(Subtree),
    /// The cosignatures do not satisfy the policy.
    #[error("cosigner policy")]
    Policy(#[from] PolicyError),
}

impl CaTrust {
    /// Verifies that the CA issued a certificate and that it is logged to the policy (Section 7.2), and nothing else: an
    /// expired certificate passes, and so does one for another name or another usage. [`RelyingParty`] asks for all.
    ///
    /// # Errors
    /// The first rule that the certificate breaks.
    pub fn verify_issuance(&self, certificate: &[u8]) -> Result<Accepted, Rejection> {
        self.verify_issuance_observed(&Certificate::parse(certificate)?, &mut ())
    }

    /// [`Self::verify_issuance`] of a certificate that the caller has read and needs for more; `observer` hears of the steps.
    ///
    /// # Errors
    /// As [`Self::verify_issuance`].
    #[inline]
    pub fn verify_issuance_observed(
        &self,
        certificate: &Certificate<'_>,
        observer: &mut impl Observer,
    ) -> Result<Accepted, Rejection> {
        let (log_number, index) = self.check_serial(certificate)?;
        observer.ended(VerificationStep::Parse);
        let subtree = certificate.proof.subtree;
        let leaf = certificate.leaf_hash();
        observer.ended(VerificationStep::EntryHash);
        let hash = evaluate_inclusion(index, subtree, leaf, certificate.proof.inclusion_proof)?;
        observer.ended(VerificationStep::InclusionPath);
        let basis = match self.trusted_hash(log_number, subtree) {
            Some(trusted) if *trusted == hash => Basis::TrustedSubtree,
            Some(_) => return Err(Rejection::TrustedSubtreeMismatch(subtree)),
            None => self.check_cosigned(log_number, &certificate.proof, hash, observer)?,
        };
        observer.ended(VerificationStep::Policy);
        Ok(Accepted {
            basis,
            log_number,
            index,
            subtree,
        })
    }

    fn check_serial(
        &self,
        certificate: &Certificate<'_>,
    ) -> Result<(LogNumber, EntryIndex), Rejection> {
        if certificate.issuer != self.issuer_name() {
            return Err(Rejection::UnknownIssuer(*self.id()));
        }
        let entry = certificate.entry()?;
        let (serial, serials) = (certificate.serial, self.serials());
        if !serials.contains(&serial) {
            let (first, last) = (*serials.start(), *serials.end());
            return Err(Rejection::OutsideRange {
                serial,
                first,
                last,
            });
        }
        if self.revoked().contains(serial) {
            return Err(Rejection::Revoked(serial));
        }
        Ok(entry)
    }

    fn check_cosigned(
        &self,
        log_number: LogNumber,
        proof: &ParsedProof<'_>,
        hash: Hash,
        observer: &mut impl Observer,
    ) -> Result<Basis, Rejection> {
        let subtree = TrustedSubtree {
            log_number,
            subtree: proof.subtree,
            hash,
        };
        let Some(verified) = self.verified() else {
            self.check_policy(log_number, proof, &hash, observer)?;
            return Ok(Basis::Cosignatures);
        };
        if verified.contains(&subtree) {
            return Ok(Basis::VerifiedSubtree);
        }
        self.check_policy(log_number, proof, &hash, observer)?;
        verified.insert(subtree);
        Ok(Basis::Cosignatures)
    }

    /// The CA's cosignature, and k of n in every group; cosigners that nobody named are ignored.
    fn check_policy(
        &self,
        log: LogNumber,
        proof: &ParsedProof<'_>,
        hash: &Hash,
        observer: &mut impl Observer,
    ) -> Result<(), Rejection> {
        let log = LogId::new(*self.id(), log)?;
        let mut verifies = |cosigner: &crate::cosign::Cosigner| {
            let mut signatures = proof.signatures();
            let (_, signature) = signatures.find(|(id, _)| *id == cosigner.id)?;
            let message = CosignedMessage {
                cosigner: &cosigner.id,
                log: &log,
                timestamp: UnixTime(0),
                subtree: proof.subtree,
                hash,
            };
            let message = message.encode();
            observer.ended(VerificationStep::Policy);
            let valid = cosigner.key.verifies(&message, signature);
            observer.ended(VerificationStep::Cosignature);
            Some(valid)
        };
        match verifies(self.cosigner()) {
            Some(true) => {}
            Some(false) => return Err(PolicyError::Invalid(*self.id()).into()),
            None => return Err(PolicyError::NoCaCosignature(*self.id()).into()),
        }
        for group in self.groups() {
            group.check(&mut verifies)?;
        }
        Ok(())
    }
}
