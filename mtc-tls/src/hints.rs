//! Trust anchor names in `certificate_authorities`: what a peer shows that it trusts (Section 8).
//!
//! ```text
//! relying party trusts              says                        is served
//! an X.509 root                     the root's DN               the chain below that root
//! the MTCA's cosigners              C                           a standalone certificate
//! the MTCA's own cosigner alone     C.3.1                       a standalone certificate with that one cosignature
//! and landmarks of log N up to L    C.2.N.L                     a landmark-relative one of landmark <= L, else standalone
//! none of the landmarks since 0     C.2.N.0                     the same rule: a standalone certificate
//! ```
//!
//! Deviation: the draft has no name for a relying party whose policy asks for no cosigner but the CA. Saying `C` would not
//! do, since whoever says that may require witnesses. `C.3` is a branch that the draft does not allocate, and only a
//! party that knows this project reads it; to another it is a name of nothing, answered like no name at all.
//!
//! Deviation: TLS's own `trust_anchors` extension (draft-ietf-tls-trust-anchor-ids) cannot be sent with rustls 0.23.
//! The same identifiers travel as distinguished names in the RFC 8446 extension, in both directions: a stand-in, and relying parties
//! SHOULD NOT put Merkle Tree CAs there (Section 8 of the draft, since -06). It is for peers of this project among themselves.
//! Where a client sends the real extension ([`crate::trust_anchors`]) that counts, and to who has not used the stand-in a server
//! does not use it either.

use mtc_core::id::{Anchor, IdError, LandmarkNumber, LogNumber, TrustAnchorId};

use crate::profile::TrustDomain;

/// What a relying party says that it trusts of the MTCA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MtcAnchor {
    /// One of the draft's: cosigners as the party's policy wants them, with or without landmarks.
    Draft(Anchor),
    /// `C.3.1`: the CA's own cosigner, and no other.
    CaAlone,
}

impl MtcAnchor {
    /// Below a CA's ID: what relying parties of this project say beyond the draft.
    const PROJECT_BRANCH: u64 = 3;
    const CA_ALONE: u64 = 1;

    /// The name of a party that asks for the cosignature of `ca` and no other.
    pub(crate) fn ca_alone(ca: &TrustAnchorId) -> Result<TrustAnchorId, IdError> {
        ca.child(&[Self::PROJECT_BRANCH, Self::CA_ALONE])
    }

    fn of(id: &TrustAnchorId, ca: &TrustAnchorId) -> Option<Self> {
        let draft = id.as_anchor_of(ca).map(Self::Draft);
        draft.or_else(|| (Self::ca_alone(ca).as_ref() == Ok(id)).then_some(Self::CaAlone))
    }

    /// The world of a party that says this.
    pub(crate) const fn domain(self) -> TrustDomain {
        match self {
            Self::CaAlone => TrustDomain::MtcStandaloneCa,
            Self::Draft(Anchor::Ca) => TrustDomain::MtcStandalone,
            Self::Draft(Anchor::LandmarkGroup {
                landmark: LandmarkNumber(0),
                ..
            }) => TrustDomain::MtcLandmarkStale,
            Self::Draft(Anchor::LandmarkGroup { .. }) => TrustDomain::MtcLandmark,
        }
    }

    /// Whether a certificate of `landmark` in log `log_number` can be served to a party that says this.
    pub(crate) fn covers(self, log_number: LogNumber, landmark: LandmarkNumber) -> bool {
        match self {
            Self::CaAlone | Self::Draft(Anchor::Ca) => false,
            Self::Draft(Anchor::LandmarkGroup {
                log_number: trusted,
                landmark: newest,
            }) => trusted == log_number && landmark <= newest,
        }
    }
}

/// What identifiers of the real extension say about the MTCA `ca` to one whose certificate is of this landmark: the first that covers
/// it, else the first that says anything. A party may give several, any of which it is content with.
pub(crate) fn anchor_among(
    ids: impl IntoIterator<Item = TrustAnchorId>,
    ca: &TrustAnchorId,
    own: Option<(LogNumber, LandmarkNumber)>,
) -> Option<MtcAnchor> {
    let mut first = None;
    for id in ids {
        let Some(anchor) = id.as_anchor_of(ca).map(MtcAnchor::Draft) else {
            continue;
        };
        if own.is_some_and(|(log, landmark)| anchor.covers(log, landmark)) {
            return Some(anchor);
        }
        first = first.or(Some(anchor));
    }
    first
}

/// What a peer's list of names says about the MTCA `ca`: the first name that says anything.
pub(crate) fn mtc_anchor<'a>(
    names: impl IntoIterator<Item = &'a [u8]>,
    ca: &TrustAnchorId,
) -> Option<MtcAnchor> {
    names
        .into_iter()
        .find_map(|name| MtcAnchor::of(&TrustAnchorId::from_name(name).ok()?, ca))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_match_rules_of_the_profile() {
        let group = |number: u64, landmark| {
            MtcAnchor::Draft(Anchor::LandmarkGroup {
                log_number: LogNumber::new(number).unwrap(),
                landmark: LandmarkNumber(landmark),
            })
        };
        for (anchor, covered) in [
            (MtcAnchor::CaAlone, false),
            (MtcAnchor::Draft(Anchor::Ca), false),
            (group(1, 0), false),
            (group(1, 4), false),
            (group(1, 5), true),
            (group(1, 6), true),
            (group(2, 9), false),
        ] {
            assert_eq!(
                anchor.covers(LogNumber::FIRST, LandmarkNumber(5)),
                covered,
                "{anchor:?}"
            );
        }
    }

    #[test]
    fn of_several_identifiers_the_one_that_covers_the_landmark_counts() {
        let ca: TrustAnchorId = "32473.1".parse().unwrap();
        let own = Some((LogNumber::FIRST, LandmarkNumber(5)));
        for (ids, own, said) in [
            (
                &["32473.1", "32473.1.2.1.5"][..],
                own,
                Some("32473.1.2.1.5"),
            ),
            (&["32473.1.2.1.4", "32473.1"], own, Some("32473.1.2.1.4")),
            (&["32473.1", "32473.1.2.1.5"], None, Some("32473.1")),
            (&["32473.2", "32473.1.3.1", "32473.1.0.1"], own, None),
            (&[], own, None),
        ] {
            let ids = ids.iter().map(|id| id.parse().unwrap());
            let anchor = said.map(|id| id.parse::<TrustAnchorId>().unwrap());
            let anchor = anchor.and_then(|id| id.as_anchor_of(&ca));
            assert_eq!(anchor_among(ids, &ca, own), anchor.map(MtcAnchor::Draft));
        }
    }

    #[test]
    fn what_a_party_says_is_the_name_of_its_domain() {
        let ca: TrustAnchorId = "32473.1".parse().unwrap();
        for (name, domain) in [
            ("32473.1", Some(TrustDomain::MtcStandalone)),
            ("32473.1.3.1", Some(TrustDomain::MtcStandaloneCa)),
            ("32473.1.2.1.0", Some(TrustDomain::MtcLandmarkStale)),
            ("32473.1.2.1.1", Some(TrustDomain::MtcLandmark)),
            ("32473.1.3.2", None),
            ("32473.1.3", None),
            ("32473.2.3.1", None),
        ] {
            let name = name.parse::<TrustAnchorId>().unwrap().to_name();
            let anchor = mtc_anchor([name.as_slice()], &ca);
            assert_eq!(anchor.map(MtcAnchor::domain), domain);
        }
    }

    #[test]
    fn foreign_names_say_nothing() {
        let ca: TrustAnchorId = "32473.1".parse().unwrap();
        let group: TrustAnchorId = "32473.1.2.1.7".parse().unwrap();
        let foreign: TrustAnchorId = "32473.2".parse().unwrap();
        let names = [vec![0x30, 0], foreign.to_name(), group.to_name()];
        let anchor = mtc_anchor(names.iter().map(Vec::as_slice), &ca);
        assert_eq!(
            anchor,
            Some(MtcAnchor::Draft(Anchor::LandmarkGroup {
                log_number: LogNumber::FIRST,
                landmark: LandmarkNumber(7)
            }))
        );
        assert_eq!(mtc_anchor(names[..2].iter().map(Vec::as_slice), &ca), None);
    }
}
