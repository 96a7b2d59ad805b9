//! What the verification of a peer's certificate consisted of, and what its steps took.

use mtc_core::verify::Basis;
use serde::{Deserialize, Serialize};

/// CPU time of each step of a verification, in nanoseconds; of one, or a sum over many. Steps that a kind of certificate
/// does not have are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VerifySteps {
    /// MTC: reading the certificate; issuer, serial number, revocation.
    pub parse_ns: u64,
    /// MTC: hashing the log entry that it states.
    pub entry_hash_ns: u64,
    /// MTC: evaluating the inclusion proof.
    pub inclusion_path_ns: u64,
    /// MTC: verifying cosignatures.
    pub cosignatures_ns: u64,
    /// MTC: looking for trusted and remembered subtrees, and the rest of the cosigner policy.
    pub policy_ns: u64,
    /// X.509: the chain's signatures, validity and constraints, and for servers their name.
    pub chain_ns: u64,
    /// MTC: the server name; it is part of `chain_ns` in X.509.
    pub server_name_ns: u64,
    /// Validity, keyUsage, extKeyUsage, critical extensions.
    pub usage_ns: u64,
    /// The NF instance in the certificate, and whether it is the one that was wanted.
    pub identity_ns: u64,
}

impl VerifySteps {
    /// All steps with the names that results use, in their order.
    pub const fn parts(&self) -> [(&'static str, u64); 9] {
        [
            ("parse", self.parse_ns),
            ("entry_hash", self.entry_hash_ns),
            ("inclusion_path", self.inclusion_path_ns),
            ("cosignatures", self.cosignatures_ns),
            ("policy", self.policy_ns),
            ("chain", self.chain_ns),
            ("server_name", self.server_name_ns),
            ("usage", self.usage_ns),
            ("identity", self.identity_ns),
        ]
    }

    /// All steps together.
    pub fn total_ns(&self) -> u64 {
        self.parts().iter().map(|(_, ns)| ns).sum()
    }

    /// Adds or subtracts another's, step by step.
    pub fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self {
            parse_ns,
            entry_hash_ns,
            inclusion_path_ns,
            cosignatures_ns,
            policy_ns,
            chain_ns,
            server_name_ns,
            usage_ns,
            identity_ns,
        } = other;
        for (mine, theirs) in [
            (&mut self.parse_ns, parse_ns),
            (&mut self.entry_hash_ns, entry_hash_ns),
            (&mut self.inclusion_path_ns, inclusion_path_ns),
            (&mut self.cosignatures_ns, cosignatures_ns),
            (&mut self.policy_ns, policy_ns),
            (&mut self.chain_ns, chain_ns),
            (&mut self.server_name_ns, server_name_ns),
            (&mut self.usage_ns, usage_ns),
            (&mut self.identity_ns, identity_ns),
        ] {
            *mine = with(*mine, *theirs);
        }
    }
}

/// What a verification had to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// What made an MTC acceptable; none for X.509.
    pub basis: Option<Basis>,
    /// Certificates that the peer presented: leaf and intermediates.
    pub certificates: u64,
    /// Hashes in the inclusion proof.
    pub proof_hashes: u64,
    /// Cosignatures that the certificate carries.
    pub cosignatures_carried: u64,
    /// Those of cosigners that nobody told this side of.
    pub cosignatures_unknown: u64,
    /// Bytes of the certificate that those take.
    pub unknown_cosignature_bytes: u64,
    /// Cosignatures that were verified.
    pub cosignatures_verified: u64,
    /// The time of its steps, if it was broken down.
    pub steps: Option<VerifySteps>,
}
