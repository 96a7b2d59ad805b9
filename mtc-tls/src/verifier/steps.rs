//! Follows the verification of a peer's certificate step by step.

use std::time::Duration;

use mtc_core::certificate::Certificate;
use mtc_core::verify::{CaTrust, Observer, VerificationStep};

use crate::cpu;
use crate::kind::CertificateKind;
use crate::verification::{Verification, VerifySteps};

/// Follows a verification; reads a clock only if asked to.
pub(super) struct Protocol {
    pub(super) verification: Verification,
    pub(super) kind: CertificateKind,
    last: Option<Duration>,
}

impl Protocol {
    pub(super) fn new(certificates: usize, timed: bool) -> Self {
        Self {
            verification: Verification {
                certificates: certificates as u64,
                steps: timed.then(VerifySteps::default),
                ..Verification::default()
            },
            kind: CertificateKind::DirectlySigned,
            last: timed.then(cpu::thread_time),
        }
    }

    /// Notes what a Merkle Tree Certificate is made of.
    pub(super) fn reads(&mut self, certificate: &Certificate<'_>) {
        let proof = &certificate.proof;
        self.kind = CertificateKind::of_mtc(certificate);
        self.verification.proof_hashes = proof.inclusion_proof.len() as u64;
        self.verification.cosignatures_carried = proof.signatures().count() as u64;
    }

    /// Notes the cosignatures that cannot count for one who trusts this.
    pub(super) fn passes_over(&mut self, certificate: &Certificate<'_>, trust: &CaTrust) {
        let cosignatures = certificate.proof.signatures();
        for (cosigner, signature) in cosignatures.filter(|(cosigner, _)| !trust.knows(cosigner)) {
            let length = 1 + cosigner.as_bytes().len() + 2 + signature.len();
            self.verification.cosignatures_unknown += 1;
            self.verification.unknown_cosignature_bytes += length as u64;
        }
    }

    /// The time since the last call belongs to the step that `of` picks.
    pub(super) fn ended(&mut self, of: impl FnOnce(&mut VerifySteps) -> &mut u64) {
        let (Some(steps), Some(last)) = (&mut self.verification.steps, &mut self.last) else {
            return;
        };
        let now = cpu::thread_time();
        let spent = now.saturating_sub(*last).as_nanos();
        *of(steps) += u64::try_from(spent).unwrap_or(u64::MAX);
        *last = now;
    }
}

impl Observer for Protocol {
    fn ended(&mut self, step: VerificationStep) {
        self.verification.cosignatures_verified += u64::from(step == VerificationStep::Cosignature);
        self.ended(|steps| match step {
            VerificationStep::Parse => &mut steps.parse_ns,
            VerificationStep::EntryHash => &mut steps.entry_hash_ns,
            VerificationStep::InclusionPath => &mut steps.inclusion_path_ns,
            VerificationStep::Cosignature => &mut steps.cosignatures_ns,
            VerificationStep::Policy => &mut steps.policy_ns,
        });
    }
}
