//! What a relying party holds about a CA (Sections 7.1, 7.4 and 7.5).

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::policy::{CosignerGroup, PolicyError};
use super::remembered::VerifiedSubtrees;
use super::revoked::{RevokedRange, RevokedRanges};
use super::trusted_subtree::TrustedSubtree;
use crate::ca::CaCertificate;
use crate::cosign::Cosigner;
use crate::id::{LogNumber, TrustAnchorId};
use crate::tree::{Hash, Subtree};

/// A trusted CA: its cosigner, the policy, trusted subtrees and revoked serial numbers.
#[derive(Clone, Debug)]
pub struct CaTrust {
    cosigner: Cosigner,
    issuer_name: Vec<u8>,
    /// The first and the last serial number that the CA's certificate allows.
    serials: RangeInclusive<u64>,
    groups: Vec<CosignerGroup>,
    /// Ordered by their ends, which few of them share; one for each log and interval.
    trusted: Vec<TrustedSubtree>,
    /// The ends alone: a search among them touches a fifth of the memory, which is in no cache after signatures were made.
    ends: Vec<u64>,
    revoked: RevokedRanges,
    /// Shared by those who share policy and revocation.
    verified: Option<Arc<VerifiedSubtrees>>,
}

impl CaTrust {
    /// Trust in a CA alone, as its certificate describes it: its cosignature suffices until [`Self::require`] wants others,
    /// no subtree is trusted yet, and serial numbers outside its range are not accepted.
    pub fn ca_alone(certificate: &CaCertificate) -> Self {
        let CaCertificate {
            cosigner,
            min_serial,
            max_serial,
            prefix_url: _,
        } = certificate;
        let issuer_name = cosigner.id.to_name();
        Self {
            cosigner: cosigner.clone(),
            issuer_name,
            serials: *min_serial..=*max_serial,
            groups: Vec::new(),
            trusted: Vec::new(),
            ends: Vec::new(),
            revoked: RevokedRanges::default(),
            verified: None,
        }
    }

    /// Requires a quorum of other cosigners besides the CA. Forgets verified subtrees.
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
        self.forget_verified_subtrees();
        Ok(self)
    }

    /// Remembers subtrees whose cosignatures satisfied the policy, `capacity` of them at most (rounded up to a power of
    /// two, 72 bytes each), so that further certificates of the same subtree need no signatures. Clones share them.
    #[must_use]
    pub fn remembering(self, capacity: NonZeroUsize) -> Self {
        Self {
            verified: Some(Arc::new(VerifiedSubtrees::new(capacity))),
            ..self
        }
    }

    /// This trust with exactly these trusted subtrees. Of two with the same log and interval the last one counts.
    #[must_use]
    pub fn with_trusted_subtrees(
        &self,
        subtrees: impl IntoIterator<Item = TrustedSubtree>,
    ) -> Self {
        let mut trusted: Vec<_> = subtrees.into_iter().collect();
        trusted.reverse();
        trusted.sort_by_key(TrustedSubtree::order);
        trusted.dedup_by_key(|subtree| subtree.order());
        Self {
            ends: trusted
                .iter()
                .map(|trusted| trusted.subtree.end())
                .collect(),
            trusted,
            ..self.clone()
        }
    }

    /// Revokes serial numbers; a range whose first exceeds its last is empty. Forgets verified subtrees.
    pub fn revoke(&mut self, range: RevokedRange) {
        if range.first > range.last {
            return;
        }
        self.revoked = self.revoked.with(range);
        self.forget_verified_subtrees();
    }

    /// This trust with exactly these serial numbers revoked. Forgets verified subtrees if they are others than before.
    #[must_use]
    pub fn with_revoked(&self, revoked: &RevokedRanges) -> Self {
        let mut trust = self.clone();
        if trust.revoked != *revoked {
            trust.revoked = revoked.clone();
            trust.forget_verified_subtrees();
        }
        trust
    }

    /// This trust, but the CA's cosignature suffices: without quorums, and with no verified subtree remembered.
    #[must_use]
    pub fn without_groups(&self) -> Self {
        let mut trust = Self {
            groups: Vec::new(),
            ..self.clone()
        };
        trust.forget_verified_subtrees();
        trust
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

    /// Whether somebody's cosignature can count: the CA's, or that of a member of a group.
    pub fn knows(&self, cosigner: &TrustAnchorId) -> bool {
        let members = self.groups.iter().flat_map(CosignerGroup::members);
        *cosigner == self.cosigner.id || members.into_iter().any(|member| member.id == *cosigner)
    }

    /// How many subtrees are trusted.
    pub const fn trusted_subtrees(&self) -> usize {
        self.trusted.len()
    }

    /// DER of the Name that the CA's certificates have as issuer.
    pub fn issuer_name(&self) -> &[u8] {
        &self.issuer_name
    }

    /// The serial numbers that the CA's certificate allows.
    pub const fn serials(&self) -> &RangeInclusive<u64> {
        &self.serials
    }

    /// The serial numbers that are revoked.
    pub const fn revoked(&self) -> &RevokedRanges {
        &self.revoked
    }

    pub(super) fn trusted_hash(&self, log_number: LogNumber, subtree: Subtree) -> Option<&Hash> {
        let from = self.ends.partition_point(|end| *end < subtree.end());
        self.trusted[from..]
            .iter()
            .take_while(|trusted| trusted.subtree.end() == subtree.end())
            .find(|trusted| trusted.subtree == subtree && trusted.log_number == log_number)
            .map(|trusted| &trusted.hash)
    }

    pub(super) fn verified(&self) -> Option<&VerifiedSubtrees> {
        self.verified.as_deref()
    }

    /// Those who share them keep theirs: their policy has not changed.
    fn forget_verified_subtrees(&mut self) {
        if let Some(verified) = &mut self.verified {
            *verified = Arc::new(verified.emptied());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosign::{SecretKey, SignatureAlgorithm};

    fn trust(min_serial: u64, max_serial: u64) -> CaTrust {
        let secret = SecretKey::generate(SignatureAlgorithm::Ed25519).unwrap();
        CaTrust::ca_alone(&CaCertificate {
            cosigner: Cosigner {
                id: "32473.1".parse().unwrap(),
                key: secret.public_key().unwrap(),
            },
            min_serial,
            max_serial,
            prefix_url: None,
        })
    }

    #[test]
    fn trusted_subtrees_are_found_by_log_start_and_end_and_the_last_of_two_counts() {
        let subtree = |log: u64, start: u64, end: u64, hash: u8| TrustedSubtree {
            log_number: LogNumber::new(log).unwrap(),
            subtree: Subtree::new(start, end).unwrap(),
            hash: [hash; 32],
        };
        let all = [
            subtree(1, 0, 8, 1),
            subtree(1, 4, 8, 2),
            subtree(2, 4, 8, 3),
            subtree(1, 8, 9, 4),
            subtree(1, 4, 8, 5),
        ];
        let trust = trust(0, u64::MAX).with_trusted_subtrees(all);
        assert_eq!(trust.trusted_subtrees(), 4);
        let hash = |wanted: TrustedSubtree| {
            let found = trust.trusted_hash(wanted.log_number, wanted.subtree);
            found.map(|hash| hash[0])
        };
        assert_eq!(all.map(hash), [1, 5, 3, 4, 5].map(Some));
        for absent in [
            subtree(2, 0, 8, 0),
            subtree(1, 0, 9, 0),
            subtree(1, 6, 8, 0),
        ] {
            assert_eq!(hash(absent), None);
        }
    }
}
