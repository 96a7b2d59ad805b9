//! What a relying party holds about a CA (Sections 7.1, 7.4 and 7.5).

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::policy::{CosignerGroup, PolicyError};
use super::remembered::VerifiedSubtrees;
use super::trusted_subtree::TrustedSubtree;
use crate::ca::CaCertificate;
use crate::cosign::Cosigner;
use crate::id::{LogNumber, TrustAnchorId};
use crate::tree::{Hash, Subtree};

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
    /// The first and the last serial number that the CA's certificate allows.
    serials: RangeInclusive<u64>,
    groups: Vec<CosignerGroup>,
    /// Ordered by their ends, which few of them share; one for each log and interval.
    trusted: Vec<TrustedSubtree>,
    /// The ends alone: a search among them touches a fifth of the memory, which is in no cache after signatures were made.
    ends: Vec<u64>,
    /// Ascending, and none touches the next.
    revoked: Vec<RevokedRange>,
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
            revoked: Vec::new(),
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
        self.revoked.push(range);
        self.revoked.sort_by_key(|range| range.first);
        self.revoked.dedup_by(|next, kept| {
            let touches = next.first <= kept.last.saturating_add(1);
            if touches {
                kept.last = kept.last.max(next.last);
            }
            touches
        });
        self.forget_verified_subtrees();
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

    pub(super) fn issuer_name(&self) -> &[u8] {
        &self.issuer_name
    }

    /// The serial numbers that the CA's certificate allows.
    pub const fn serials(&self) -> &RangeInclusive<u64> {
        &self.serials
    }

    pub(super) fn is_revoked(&self, serial: u64) -> bool {
        let after = self.revoked.partition_point(|range| range.first <= serial);
        self.revoked[..after]
            .last()
            .is_some_and(|range| serial <= range.last)
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

    fn range(first: u64, last: u64) -> RevokedRange {
        RevokedRange { first, last }
    }

    #[test]
    fn revoked_ranges_merge_when_they_touch_and_each_serial_is_found() {
        let mut trust = trust(10, 90);
        for (first, last) in [(50, 60), (30, 30), (55, 70), (31, 32), (40, 39), (72, 72)] {
            trust.revoke(range(first, last));
        }
        let merged = [range(30, 32), range(50, 70), range(72, 72)];
        assert_eq!(trust.revoked, merged);
        for serial in 0..100 {
            let revoked = merged
                .iter()
                .any(|range| (range.first..=range.last).contains(&serial));
            assert_eq!(trust.is_revoked(serial), revoked, "{serial}");
        }
    }

    #[test]
    fn ranges_at_the_end_of_the_numbers_merge_without_overflow() {
        let mut trust = trust(0, u64::MAX);
        assert_eq!(trust.revoked, []);
        trust.revoke(range(u64::MAX, u64::MAX));
        trust.revoke(range(5, u64::MAX));
        assert_eq!(trust.revoked, [range(5, u64::MAX)]);
        assert!(!trust.is_revoked(4));
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
