//! What a relying party holds about a CA (Sections 7.1, 7.4 and 7.5).

use std::collections::HashMap;

use super::policy::{CosignerGroup, PolicyError};
use crate::ca::CaCertificate;
use crate::cosign::Cosigner;
use crate::id::{LogNumber, TrustAnchorId};
use crate::tree::{Hash, Subtree};

/// A subtree whose hash was verified once, so that certificates in it need no signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TrustedSubtree {
    /// The log.
    pub log_number: LogNumber,
    /// The interval.
    pub subtree: Subtree,
    /// Its hash.
    pub hash: Hash,
}

/// Serial numbers that are not accepted, first and last included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokedRange {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// A trusted CA: its cosigner, the policy, trusted subtrees and revoked serial numbers.
#[derive(Clone, Debug)]
pub struct CaTrust {
    cosigner: Cosigner,
    issuer_name: Vec<u8>,
    groups: Vec<CosignerGroup>,
    trusted: HashMap<(LogNumber, Subtree), Hash>,
    revoked: Vec<RevokedRange>,
}

impl CaTrust {
    /// Trust in a CA as its certificate describes it: its cosignature suffices, no subtree is trusted yet, and serial
    /// numbers outside its range are revoked.
    pub fn new(certificate: &CaCertificate) -> Self {
        let CaCertificate {
            cosigner,
            min_serial,
            max_serial,
            prefix_url: _,
        } = certificate;
        let mut revoked = Vec::new();
        if let Some(last) = min_serial.checked_sub(1) {
            revoked.push(RevokedRange { first: 0, last });
        }
        if let Some(first) = max_serial.checked_add(1) {
            revoked.push(RevokedRange {
                first,
                last: u64::MAX,
            });
        }
        let issuer_name = cosigner.id.to_name();
        Self {
            cosigner: cosigner.clone(),
            issuer_name,
            groups: Vec::new(),
            trusted: HashMap::new(),
            revoked,
        }
    }

    /// Requires a quorum of other cosigners besides the CA.
    ///
    /// # Errors
    /// The CA is a member: it never counts towards a group.
    pub fn require(mut self, group: CosignerGroup) -> Result<Self, PolicyError> {
        if group
            .members()
            .iter()
            .any(|member| member.id == self.cosigner.id)
        {
            return Err(PolicyError::Member(self.cosigner.id));
        }
        self.groups.push(group);
        Ok(self)
    }

    /// The same trust with exactly these trusted subtrees.
    #[must_use]
    pub fn with_trusted_subtrees(
        &self,
        subtrees: impl IntoIterator<Item = TrustedSubtree>,
    ) -> Self {
        let trusted = subtrees
            .into_iter()
            .map(|trusted| ((trusted.log_number, trusted.subtree), trusted.hash))
            .collect();
        Self {
            trusted,
            ..self.clone()
        }
    }

    /// Revokes serial numbers.
    pub fn revoke(&mut self, range: RevokedRange) {
        self.revoked.push(range);
    }

    /// The CA's ID.
    pub const fn id(&self) -> &TrustAnchorId {
        &self.cosigner.id
    }

    /// The CA cosigner.
    pub const fn cosigner(&self) -> &Cosigner {
        &self.cosigner
    }

    /// Quorums of other cosigners, all of which must be reached.
    pub fn groups(&self) -> &[CosignerGroup] {
        &self.groups
    }

    /// How many subtrees are trusted.
    pub fn trusted_subtrees(&self) -> usize {
        self.trusted.len()
    }

    pub(super) fn issuer_name(&self) -> &[u8] {
        &self.issuer_name
    }

    pub(super) fn is_revoked(&self, serial: u64) -> bool {
        self.revoked
            .iter()
            .any(|range| (range.first..=range.last).contains(&serial))
    }

    pub(super) fn trusted_hash(&self, log_number: LogNumber, subtree: Subtree) -> Option<&Hash> {
        self.trusted.get(&(log_number, subtree))
    }
}
